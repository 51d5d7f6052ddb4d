//! One poll: every control of a rule, page by page, row by row.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use netskope::{Client, Endpoint, Filter, Filters, Options, Violation};
use remediation::records::TurnPlace;
use remediation::{Control, Finding, Manifest, RecordError, Records, Region, Regions, RunId};
use tokio::time::Instant;
use tracing::Instrument;

use crate::batches::Batches;
use crate::event::{self, Event, EventError, Polled};
use crate::turns::PollTurns;
use crate::under_way::UnderWay;
use crate::{Answer, Limits, OrganizationReader, Passed, PolledControl, RefreshError, TokenError, TokenSource};

/// What a poll needs.
#[derive(Debug)]
pub struct Poller {
    /// Every rule that can be polled for.
    pub manifests: Vec<Manifest>,
    /// Where batches go.
    pub records: Records,
    /// Where the token comes from.
    pub token: TokenSource,
    /// Where Netskope's API is.
    pub endpoint: Endpoint,
    /// How the API is asked.
    pub options: Options,
    /// Of which profiles and policies violations are asked for.
    pub filters: Filters,
    /// How much a poll reads and writes.
    pub limits: Limits,
    /// The regions whose findings are kept. Those without a region are, too, where their home is one of them.
    pub regions: Regions,
    /// How long the event of a batch can wait, where what is under way is not handed on again; none where it is.
    pub event_age: Option<Duration>,
    /// The place of this deployment among those that poll the tenant and take turns, where requests wait for that; none where
    /// nobody else asks.
    pub deployment: Option<TurnPlace>,
    /// Reads the organization for the policy, where that asks for it.
    pub organization: Option<OrganizationReader>,
}

/// Why a poll failed. The findings written before are still correct.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// What was asked for cannot be polled for.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The token cannot be read.
    #[error("cannot read the Netskope token: {0}")]
    Token(#[from] TokenError),
    /// The client could not be created, or a list could not be read.
    #[error(transparent)]
    Client(#[from] netskope::Error),
    /// A batch could not be written.
    #[error("cannot write a batch of findings: {0}")]
    Record(#[from] RecordError),
    /// Nobody can say which findings are under way.
    #[error("cannot read which findings earlier polls have handed on; the next poll starts again: {0}")]
    UnderWay(#[source] RecordError),
    /// A list is longer than a poll may read.
    #[error(
        "the list of `{rule_name}` goes on after {rows} rows ({bytes} bytes), the most that this poll may read of it \
         (limits of a poll: {} rows, {} bytes). The findings read so far were handed on. If there really are that many \
         violations, mute or fix some in Netskope first",
        limits.rows, limits.bytes
    )]
    TooLong {
        /// The control that was asked for.
        rule_name: String,
        /// How many rows were read of it.
        rows: usize,
        /// How many bytes they had.
        bytes: usize,
        /// The limits.
        limits: Limits,
    },
    /// There are more findings than a poll may hand on.
    #[error(
        "{left} finding(s) were not handed on, because a poll may write at most {batches} batches. The next poll reads \
         them again; they are handed on once enough of the other findings are fixed"
    )]
    TooMany {
        /// How many findings were left.
        left: usize,
        /// The most batches.
        batches: u32,
    },
    /// The list of at least one control is incomplete. The other controls were polled.
    #[error("the list of violations is incomplete; the next poll starts again: {}", .0.join("; "))]
    Incomplete(Vec<String>),
    /// The organization could not be read again. The poll itself is done.
    #[error(
        "the poll is done, but the organization could not be read again. Modes and scopes go by what was read last, until that is too old: {0}"
    )]
    Organization(#[from] RefreshError),
}

impl PollError {
    /// Whether nothing at Netskope's address answered: then no other rule's list can be had either.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Client(error) if error.is_unreachable())
    }
}

/// The most rows that cannot be used that a poll logs one by one. All of them are counted.
const MAX_LOGGED: usize = 100;

/// What is kept while the lists of one rule come in.
struct Sieve<'a> {
    poller: &'a Poller,
    batches: Batches<'a>,
    /// What earlier polls have handed on.
    under_way: UnderWay,
    /// A digest of each finding of this deployment: eight bytes a finding are all that grows with the list. No two polls
    /// digest alike, so findings that are alike in one are not in the next.
    seen: HashSet<u64>,
    hasher: RandomState,
    answer: Answer,
    /// Bytes that Netskope sent.
    bytes: usize,
    room: Room,
    /// Why lists are incomplete.
    broken: Vec<String>,
}

/// Up to which sums of rows and bytes the lists of the control at hand may be read.
#[derive(Debug, Clone, Copy, Default)]
struct Room {
    rows: usize,
    bytes: usize,
}

impl Poller {
    /// Polls for the rule `rule` until `until` at the latest, and writes its findings.
    ///
    /// # Errors
    ///
    /// A list is incomplete or longer than the limits, a batch could not be written, or the organization not read again.
    /// The findings read before the error are written all the same, because each of them is correct by itself.
    pub async fn poll(&self, rule: &str, until: Instant) -> Result<Answer, PollError> {
        self.poll_for(event::known(rule, &self.manifests)?, until).await
    }

    /// Polls as an event of a schedule asks for.
    pub(crate) async fn answer(&self, event: &Event, until: Instant) -> Result<Answer, PollError> {
        self.poll_for(event.polled(&self.manifests)?, until).await
    }

    async fn poll_for(&self, polled: Polled<'_>, until: Instant) -> Result<Answer, PollError> {
        let run = RunId::start();
        let span = tracing::info_span!("poll", rule = polled.rule, %run);
        async {
            // Before the findings, whose modes can depend on it.
            let refreshed = self.refresh_organization().await;
            let answer = self.poll_run(polled, run, until).await?;
            refreshed?;
            Ok(answer)
        }
        .instrument(span)
        .await
    }

    async fn refresh_organization(&self) -> Result<(), RefreshError> {
        let Some(organization) = &self.organization else { return Ok(()) };
        // Some of the SDK's futures are large.
        let refreshed = Box::pin(organization.refresh(&self.records)).await;
        if let Err(error) = &refreshed {
            tracing::error!(%error, "the organization could not be read again");
        }
        refreshed
    }

    async fn poll_run(&self, polled: Polled<'_>, run: RunId, until: Instant) -> Result<Answer, PollError> {
        let Polled { rule, controls, turns } = polled;
        let under_way = match self.event_age {
            Some(age) => UnderWay::find(&self.records, rule, age).await.map_err(PollError::UnderWay)?,
            None => UnderWay::default(),
        };
        let mut client = Client::new(self.endpoint.clone(), self.token.get().await?, self.options)?;
        if let Some(deployment) = self.deployment {
            client = client.paced_by(Arc::new(PollTurns::new(self.records.clone(), deployment, turns)));
        }
        let as_of = ambient::now().as_second();
        let batches = Batches::new(&self.records, rule, run, self.limits);
        let (seen, hasher, answer) = (HashSet::new(), RandomState::new(), Answer::new(rule, run, self.filters.clone()));
        let (room, broken) = (Room::default(), Vec::new());
        let mut sieve = Sieve { poller: self, batches, under_way, seen, hasher, answer, bytes: 0, room, broken };
        for (after, control) in (0..controls.len()).rev().zip(controls) {
            self.poll_control(&mut client, control, Time { as_of, until, after }, &mut sieve).await?;
        }
        sieve.batches.finish().await?;
        let mut broken = std::mem::take(&mut sieve.broken);
        let (batches, left) = (sieve.batches.written, sieve.batches.left);
        if left > 0 {
            let error = PollError::TooMany { left, batches };
            tracing::error!(%error, "the poll has reached its limit of batches");
            broken.push(error.to_string());
        }
        let kept = sieve.answer.kept.saturating_sub(left);
        let mut answer = Answer { batches, left, kept, ..sieve.answer };
        // Of lists that are not whole nobody knows what still fails.
        if broken.is_empty() {
            let is_listed = |finding: &Finding| sieve.seen.contains(&digest(&sieve.hasher, finding));
            let (closures, passed) = self.ask_passed(&client, polled, run, Moment { as_of, until }, is_listed).await;
            let (batches, handed_on) = self.hand_on_passed(rule, run, batches, passed).await?;
            (answer.batches, answer.closures) = (batches, Passed { passed: handed_on, ..closures });
        }
        if !self.filters.is_empty() && answer.received == 0 && broken.is_empty() {
            let filters = serde_json::to_string(&self.filters).unwrap_or_default();
            tracing::warn!(
                filters,
                "no violation is listed. A profile or policy that the tenant does not have lists none either: compare \
                 the names with those in Netskope's console, letter by letter"
            );
        }
        let counts = serde_json::to_string(&answer).unwrap_or_default();
        tracing::info!(answer = counts, whole = broken.is_empty(), "poll done");
        if broken.is_empty() { Ok(answer) } else { Err(PollError::Incomplete(broken)) }
    }

    /// Polls the spellings of a control's name until one has findings: under each, the lists of all profiles and policies.
    async fn poll_control(
        &self,
        client: &mut Client,
        control: &Control,
        time: Time,
        sieve: &mut Sieve<'_>,
    ) -> Result<(), PollError> {
        let (mut found, lists) = (None, self.filters.each());
        for rule_name in &control.rule_names {
            let (before, whole) = (sieve.answer.listed(), sieve.broken.len());
            for (left, filter) in (1..=lists.len()).rev().zip(&lists) {
                let left = left.saturating_add(lists.len().saturating_mul(time.after));
                let moment = Moment { as_of: time.as_of, until: share(time.until, left) };
                sieve.room = sieve.share(left);
                match self.poll_list(client, (rule_name, filter), moment, sieve).await {
                    // The first thing that is asked for, so nothing was read.
                    Err(error) if error.is_unreachable() => return Err(error),
                    Err(error @ (PollError::Client(_) | PollError::Token(_) | PollError::TooLong { .. })) => {
                        tracing::error!(control = control.short_name, %error, "the list of this control is incomplete");
                        sieve.broken.push(error.to_string());
                    }
                    other => other?,
                }
            }
            if sieve.broken.len() > whole {
                return Ok(());
            }
            if sieve.answer.listed() > before {
                found = Some(rule_name.clone());
                break;
            }
        }
        let short_name = control.short_name.clone();
        sieve.answer.controls.push(PolledControl { short_name, rule_name: found });
        Ok(())
    }

    /// Polls one list. When the token is refused, it is read again, once, and the list goes on from the same page.
    async fn poll_list(
        &self,
        client: &mut Client,
        (rule_name, filter): (&str, &Filter),
        moment: Moment,
        sieve: &mut Sieve<'_>,
    ) -> Result<(), PollError> {
        let mut list = client.violations(rule_name, moment.as_of, moment.until).filtered(filter.clone());
        let (mut renewed, mut rows, mut bytes) = (false, 0_usize, 0_usize);
        loop {
            match list.next().await {
                Ok(Some(_)) if sieve.is_full() => {
                    let (rule_name, limits) = (rule_name.to_owned(), self.limits);
                    return Err(PollError::TooLong { rule_name, rows, bytes, limits });
                }
                Ok(Some(page)) => {
                    rows = rows.saturating_add(page.received);
                    bytes = bytes.saturating_add(page.bytes);
                    sieve.page(rule_name, page).await?;
                }
                Ok(None) => return Ok(()),
                Err(error) if error.is_refused() && !renewed => {
                    tracing::warn!(%error, "Netskope refused the token; it is read again");
                    renewed = true;
                    let token = self.token.renew().await?;
                    list.set_token(token.clone());
                    *client = client.with_token(token);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The moment that the lists of a poll describe, until when they may be read, and how many controls come after the one
/// at hand.
#[derive(Debug, Clone, Copy)]
struct Time {
    as_of: i64,
    until: Instant,
    after: usize,
}

/// The moment that a list describes, and until when it may be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) as_of: i64,
    pub(crate) until: Instant,
}

/// The end of the first of `parts` equal shares of the time that is left, so that an endless list leaves time for the
/// others.
fn share(until: Instant, parts: usize) -> Instant {
    let now = Instant::now();
    let parts = u32::try_from(parts).unwrap_or(u32::MAX).max(1);
    now + until.saturating_duration_since(now) / parts
}

impl Sieve<'_> {
    /// The first of `parts` equal shares of what the poll may still read, so that an endless list leaves room for the
    /// others.
    fn share(&self, parts: usize) -> Room {
        let Limits { rows, bytes, .. } = self.poller.limits;
        let up_to = |most: usize, so_far: usize| so_far.saturating_add(most.saturating_sub(so_far) / parts.max(1));
        Room { rows: up_to(rows, self.answer.received), bytes: up_to(bytes, self.bytes) }
    }

    /// Whether the control at hand has no room left.
    fn is_full(&self) -> bool {
        self.answer.received >= self.room.rows || self.bytes >= self.room.bytes
    }

    async fn page(&mut self, rule_name: &str, page: netskope::Page) -> Result<(), PollError> {
        self.answer.received += page.received;
        self.bytes = self.bytes.saturating_add(page.bytes);
        self.answer.skipped += page.skipped;
        for item in page.invalid {
            self.invalid(item.position, &item.reason);
        }
        for violation in page.violations {
            if let Some(region) = self.region(&violation) {
                self.keep(rule_name, region, violation).await?;
            }
        }
        Ok(())
    }

    /// The violation's region, if it is for this deployment to act on.
    fn region(&mut self, violation: &Violation) -> Option<Region> {
        let own = own_region(&self.poller.regions, &violation.region);
        match &violation.region {
            _ if own.is_some() => {}
            netskope::Region::Unknown(name) => {
                if self.answer.add_unknown_region(name) == 1 {
                    tracing::warn!(region = name, position = violation.position, "unknown region");
                }
            }
            netskope::Region::Global | netskope::Region::Code(_) => self.answer.other_regions += 1,
        }
        own
    }

    async fn keep(&mut self, rule_name: &str, region: Region, violation: Violation) -> Result<(), PollError> {
        let account = match violation.account_id.parse() {
            Ok(account) => account,
            Err(error) => {
                self.invalid(violation.position, &format!("{error}"));
                return Ok(());
            }
        };
        let finding = Finding {
            control: rule_name.to_owned(),
            account,
            region,
            resource: violation.resource,
            first_seen: violation.failing_since,
            last_scanned: violation.last_scan_time,
        };
        if !self.seen.insert(digest(&self.hasher, &finding)) {
            self.answer.duplicates += 1;
            return Ok(());
        }
        if self.under_way.has(&finding) {
            self.answer.under_way += 1;
            return Ok(());
        }
        self.answer.kept += 1;
        Ok(self.batches.add(finding).await?)
    }

    fn invalid(&mut self, position: usize, reason: &str) {
        self.answer.invalid += 1;
        if self.answer.invalid <= MAX_LOGGED {
            tracing::warn!(position, reason, "a row cannot be used");
        }
    }
}

/// A row's region, if it is for this deployment to act on. A code of a form that is newer than this build is still known
/// where the deployment looks after it.
pub(crate) fn own_region(regions: &Regions, region: &netskope::Region) -> Option<Region> {
    match region {
        netskope::Region::Global => regions.include_home().then(Region::global),
        netskope::Region::Code(name) | netskope::Region::Unknown(name) => regions.find(name).map(Region::code),
    }
}

/// What makes two rows the same finding.
fn digest(hasher: &RandomState, finding: &Finding) -> u64 {
    let Finding { control, account, region, resource, .. } = finding;
    hasher.hash_one((control, account.as_ref(), region.as_ref(), resource))
}

#[cfg(test)]
mod tests;
