//! What a poll finds as an earlier report says it already: the report of the poll counts it, and names the report that
//! says it in full. So what stays as it is costs next to nothing, however often it is polled.
//!
//! The card of a resource remembers that report, and the digest of what it says of the resource: the outcome and why, the
//! findings that lead to it, and its part of the plan. A poll whose digest is the same stores no second plan and no second
//! row, and leaves the card alone; else the row is a full one, its part of the plan replaces the one that waits, and the
//! card says so. What moves by itself, such as the age of a violation, is in no digest.
//!
//! The card is written when the report is stored, so that a report that is named is there. And every week each resource is
//! said in full again, on a day of its own: so neither that report nor the plan that waits expires while it is named, and
//! a resource that nobody lists any more is known by that.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use jiff::Timestamp;
use remediation::records::{AwaitedClosures, Condition, Folder, Reported, Unchanged, Waiting, WaitsFor, digest};
use remediation::{Card, Finding, Outcome, RecordError, Records, Rule, StoredPlan};

use crate::cards::Known;
use crate::closure::{Closed, Closing};
use crate::decide::{Awaits, Decided, Decision};
use crate::resolve::{Row, Verdict};
use crate::{Engine, Job};

/// Every so many days what stays as it is is said in full again. Terraform keeps plans and reports for so much longer than
/// it is asked to.
const IN_FULL_EVERY: i64 = 7;
const SECONDS_A_DAY: i64 = 86_400;
/// The longest key of an object, in bytes.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
const MOST_OF_KEY: usize = 1_024;
/// So many cards are written at once.
const AT_ONCE: usize = 16;

/// What is to be remembered once the report of a batch is stored: on the cards of resources, and of the fixes that wait for
/// Netskope.
#[derive(Debug)]
pub struct Told {
    records: Records,
    rule: String,
    cards: Vec<Next>,
    /// What Netskope has confirmed.
    confirmed: Vec<Closing>,
    /// What Netskope need not be asked about any more.
    settled: Vec<Finding>,
    /// What was fixed, and when: by this batch, or by one that may not have said so.
    fixed: Vec<(Finding, Timestamp)>,
}

/// A card as it was read, and as it is to be.
#[derive(Debug)]
struct Next {
    known: Known,
    card: Card,
}

/// What earlier reports say already: which findings have which outcome in which report, by when
/// Netskope saw them first.
#[derive(Debug, Default)]
pub(crate) struct Counted(BTreeMap<(String, Outcome), Vec<Option<Timestamp>>>);

impl Told {
    /// Nothing of the rule `rule`.
    pub(crate) fn nothing(records: &Records, rule: &str) -> Self {
        let (cards, confirmed, settled, fixed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { records: records.clone(), rule: rule.to_owned(), cards, confirmed, settled, fixed }
    }

    /// Adds what the cards of other resources remember.
    pub(crate) fn add(&mut self, other: Self) {
        self.cards.extend(other.cards);
    }

    /// The same with what has become of fixes that waited, and with those that wait from now on.
    pub(crate) fn with_closures(self, closed: Closed, fixed: Vec<(Finding, Timestamp)>) -> Self {
        let Closed { confirmed, settled } = closed;
        Self { confirmed, settled, fixed, ..self }
    }

    /// Lets fixes wait for Netskope while the report is being stored, where no other becomes settled by it.
    pub async fn await_closures(&mut self) {
        if self.confirmed.is_empty() && self.settled.is_empty() {
            self.keep_awaited(&[]).await;
        }
    }

    /// Remembers it, after the report was stored as `report`. What cannot be remembered is said in full again by the next
    /// poll.
    pub async fn remember(mut self, report: &str) {
        let (confirmed, mut settled) = (std::mem::take(&mut self.confirmed), std::mem::take(&mut self.settled));
        self.remember_cards(report).await;
        settled.extend(self.close(confirmed).await);
        self.keep_awaited(&settled).await;
    }

    async fn keep_awaited(&mut self, settled: &[Finding]) {
        let fixed = std::mem::take(&mut self.fixed);
        if let Err(error) = AwaitedClosures::update(&self.records, &self.rule, &fixed, settled).await {
            tracing::error!(%error, "which fixes wait for Netskope could not be kept");
        }
    }

    /// Keeps what is confirmed on the cards, and gives the findings of which it could be kept: Netskope is asked again about
    /// the others.
    async fn close(&self, confirmed: Vec<Closing>) -> Vec<Finding> {
        let store = |Closing { known, card, findings, .. }: Closing| async move {
            match put(&self.records, &known, &card).await {
                Ok(Some(_)) => return findings,
                Ok(None) => {}
                Err(error) => tracing::error!(%error, key = known.key, "what is confirmed could not be kept on a card"),
            }
            Vec::new()
        };
        let stored: Vec<_> = futures::stream::iter(confirmed).map(store).buffer_unordered(AT_ONCE).collect().await;
        stored.into_iter().flatten().collect()
    }

    async fn remember_cards(&mut self, report: &str) {
        let records = &self.records;
        let store = |Next { known, mut card }: Next| async move {
            if let Some(reported) = &mut card.reported {
                report.clone_into(&mut reported.report);
            }
            if let Some(waiting) = &mut card.waiting {
                waiting.report = Some(report.to_owned());
            }
            if let Err(error) = put(records, &known, &card).await {
                tracing::error!(%error, key = known.key, "what was reported could not be kept on a resource's card");
            }
        };
        futures::stream::iter(std::mem::take(&mut self.cards)).for_each_concurrent(AT_ONCE, store).await;
    }
}

async fn put(records: &Records, known: &Known, card: &Card) -> Result<Option<Condition>, RecordError> {
    let stored = records.put_if(&known.condition, &known.key, card.to_json()?).await?;
    Ok(stored.map(Condition::Unchanged))
}

impl Counted {
    fn count(&mut self, report: &str, rows: &[Row]) {
        for row in rows {
            let of = self.0.entry((report.to_owned(), row.row.outcome)).or_default();
            of.push(row.row.finding.first_seen);
        }
    }

    pub(crate) fn into_report(self) -> Vec<Unchanged> {
        let unchanged = |((report, outcome), seen): (_, Vec<_>)| {
            let (findings, first_seen) = (seen.len(), seen.into_iter().flatten().min());
            Unchanged { report, outcome, findings, first_seen }
        };
        self.0.into_iter().map(unchanged).collect()
    }
}

impl<R: Rule> Engine<R> {
    /// Takes out what an earlier report says already, and counts it. Of the rest it is known then what a later poll need
    /// not say again.
    pub(crate) async fn leave_out_unchanged(
        &self,
        decided: Vec<Decided<R>>,
        job: &Job<R::Change>,
        counted: &mut Counted,
    ) -> Vec<Decided<R>> {
        if !job.is_poll {
            return decided;
        }
        let compared = self.for_each_bounded(decided, |decided| Box::pin(self.compare(decided, job))).await;
        let mut others = Vec::with_capacity(compared.len());
        for (mut decided, report) in compared {
            match report {
                Some(report) => {
                    self.remember_time(&mut decided, job).await;
                    counted.count(&report, &self.unwritten(&decided));
                }
                None => others.push(decided),
            }
        }
        others
    }

    /// Finds out whether a report says already what is to be said of a resource, and which.
    async fn compare(&self, mut decided: Decided<R>, job: &Job<R::Change>) -> (Decided<R>, Option<String>) {
        if !stands(&decided) {
            return (decided, None);
        }
        if decided.known.is_none() {
            decided.known = job.cards.read(decided.work.resource()).await.ok();
        }
        let Some(known) = &decided.known else { return (decided, None) };
        let now = self.clock.now();
        if known.card.claimed_by_another(&self.holder, now).is_some() {
            return (decided, None);
        }
        let Ok(says) = self.digest_of_rows(&decided) else { return (decided, None) };
        let of_rule = Folder::Reports.of(&self.manifest.id);
        let is_named = |of: &&Reported| of.report.starts_with(&of_rule) && of.report.len() <= MOST_OF_KEY;
        let holds = |of: &&Reported| of.digest == says && is_named(of) && !is_due(of, &known.key, now);
        // A rejection that is over, or of other changes, leaves the card.
        let is_left = known.card.rejected.is_none() || self.rejection(&decided, now).is_some();
        let report = known.card.reported.as_ref().filter(holds).filter(|_| is_left).map(|of| of.report.clone());
        decided.says = Some(says);
        (decided, report)
    }

    /// The digest of all that is said of a resource, but for what moves by itself.
    fn digest_of_rows(&self, decided: &Decided<R>) -> serde_json::Result<String> {
        let Verdict { outcome, detail } = decided.decision.verdict();
        let is_in_grace = decided.grace.as_ref().is_some_and(|grace| self.clock.now() < grace.until);
        // The words about a grace have its age.
        let detail = detail.filter(|_| !is_in_grace);
        let grace = decided.grace.as_ref().map(|grace| (grace.first_seen, grace.until, &grace.owner));
        let rows: Vec<_> = self.unwritten(decided).iter().map(|row| row.row.outcome).collect();
        digest(&(decided.planned().digest()?, outcome, detail, grace, rows))
    }

    /// What the cards of these resources are to remember once they are reported.
    pub(crate) fn told(&self, decided: &[Decided<R>], plan: Option<&StoredPlan>) -> Told {
        let next = |decided: &Decided<R>| {
            let (Some(known), Some(says)) = (&decided.known, &decided.says) else { return None };
            let now = self.clock.now();
            let mut card = self.with_waiting(decided, known, plan)?;
            if self.rejection(decided, now).is_none() {
                card.rejected = None;
            }
            let Verdict { outcome, .. } = decided.decision.verdict();
            card.reported = Some(Reported { report: String::new(), digest: says.clone(), outcome, at: now });
            Some(Next { known: known.clone(), card })
        };
        Told { cards: decided.iter().filter_map(next).collect(), ..Told::nothing(&self.records, &self.manifest.id) }
    }

    /// Keeps on the card of a resource whose plan waits that it does. A poll does so once its report is stored.
    pub(crate) async fn remember_waiting(&self, decided: &Decided<R>, job: &Job<R::Change>, plan: &StoredPlan) {
        let (Decision::Await(_), Some(known)) = (&decided.decision, &decided.known) else { return };
        let Some(mut card) = self.with_waiting(decided, known, Some(plan)) else { return };
        if let (Some(next), Some(of)) = (&mut card.waiting, &known.card.waiting)
            && next.digest == of.digest
        {
            // It waits already.
            next.clone_from(of);
        }
        if card == known.card {
            return;
        }
        if let Some(waiting) = &mut card.waiting {
            waiting.report.get_or_insert_with(|| job.id.report_key());
        }
        // What was reported before is not what waits now.
        card.reported = None;
        if let Err(error) = self.keep_unclaimed(known, &card).await {
            tracing::error!(%error, batch = job.id.batch, "that its plan waits could not be kept on a resource's card");
        }
    }

    /// The card with what waits, which may be nothing. Changes that wait for a while keep their age. None where nobody can
    /// tell what they are.
    fn with_waiting(&self, decided: &Decided<R>, known: &Known, plan: Option<&StoredPlan>) -> Option<Card> {
        let mut card = known.card.clone();
        let place = decided.work.resource();
        if self.why_paused(&self.policy, &decided.work.findings[0].finding, Some(place)).is_some() {
            return Some(card);
        }
        let (Some((why, until)), Some(plan)) = (self.waits_for(decided), plan) else {
            card.waiting = None;
            return Some(card);
        };
        let planned = decided.planned();
        let (digest, changes) = (planned.digest().ok()?, planned.digest_of_changes().ok()?);
        let goes_on = card.waiting.as_ref().filter(|of| is_same(of, &digest, &changes));
        let since = goes_on.map_or_else(|| self.clock.now(), |of| of.since);
        let (plan, changes) = (plan.key.clone(), Some(changes));
        card.waiting = Some(Waiting { plan, digest, changes, since, why, until, report: None });
        if let Decision::Await(Awaits { fought_over, .. }) = &decided.decision {
            card.fought_over.clone_from(fought_over);
        }
        Some(card)
    }

    /// What the changes of a resource wait for, and until when; none where they do not.
    fn waits_for(&self, decided: &Decided<R>) -> Option<(BTreeSet<WaitsFor>, Option<Timestamp>)> {
        match &decided.decision {
            Decision::Await(awaits) => Some((awaits.why.clone(), None)),
            Decision::Leave(_) => {
                let grace = decided.grace.as_ref().filter(|grace| self.clock.now() < grace.until);
                if let Some(grace) = grace {
                    return Some((BTreeSet::from([WaitsFor::Grace]), Some(grace.until)));
                }
                let closed = decided.closed.as_ref()?;
                Some((BTreeSet::from([WaitsFor::Window]), closed.next.as_ref().map(|next| next.timestamp())))
            }
            _ => None,
        }
    }

    /// That what waits for a resource from now on replaces what has waited so far.
    pub(crate) fn replaces(&self, decided: &Decided<R>) -> Option<String> {
        self.waits_for(decided)?;
        let waiting = decided.known.as_ref()?.card.waiting.as_ref()?;
        let planned = decided.planned();
        let (digest, changes) = (planned.digest().ok()?, planned.digest_of_changes().ok()?);
        let Waiting { plan, since, .. } = waiting;
        if waiting.digest == digest {
            return None;
        }
        Some(if is_same(waiting, &digest, &changes) {
            format!(
                "this plan replaces {plan}: its changes, which wait since {since}, are the same, and what is shown with them is not"
            )
        } else {
            format!("this plan replaces {plan}, which waited since {since}: its changes are others")
        })
    }
}

/// Whether what becomes of a resource may stay so for long. That something went wrong is said each time.
fn stands<R: Rule>(decided: &Decided<R>) -> bool {
    let Verdict { outcome, .. } = decided.decision.verdict();
    match &decided.decision {
        Decision::Write(..) => false,
        Decision::Settle(_) if outcome == Outcome::Deferred => decided.proposal.changes.is_empty(),
        Decision::Settle(_) => matches!(outcome, Outcome::Held | Outcome::Exempt),
        _ => matches!(outcome, Outcome::Planned | Outcome::Held | Outcome::Deferred),
    }
}

/// Whether these are the changes that have waited so far. An older card knows only their part of the plan.
fn is_same(waiting: &Waiting, digest: &str, changes: &str) -> bool {
    waiting.changes.as_ref().map_or(waiting.digest == digest, |of| of == changes)
}

/// Whether a resource is to be said in full again: once a week, on a day of its own, so that all of them do not come at
/// once, and few reports are named at a time. A clock that was wrong by more than a day has said nothing.
fn is_due(reported: &Reported, key: &str, now: Timestamp) -> bool {
    let day = |at: Timestamp| at.as_second().div_euclid(SECONDS_A_DAY);
    let own = key.bytes().map(i64::from).sum::<i64>() % IN_FULL_EVERY;
    let last = day(now) - (day(now) - own).rem_euclid(IN_FULL_EVERY);
    day(reported.at) < last || day(reported.at) > day(now) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const A_DAY: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

    #[test]
    fn everything_is_said_in_full_again_once_a_week_on_a_day_of_its_own() {
        let start: Timestamp = "2026-03-01T08:00:00Z".parse().unwrap();
        let reported = |at| Reported { report: "r".into(), digest: "d".into(), outcome: Outcome::Held, at };
        let mut days = BTreeSet::new();
        for number in 0..100 {
            let key = format!("resources/open-door/111111111111/us-east-1/{number:064x}.json");
            let due = |at: Timestamp, days: i32| is_due(&reported(at), &key, start + A_DAY * days);
            let first = (1..=7).find(|days| due(start, *days)).expect("within a week");
            assert!(!due(start, 0) && (first..30).all(|days| due(start, days)), "{number}");
            let again = start + A_DAY * first;
            assert_eq!((first..30).find(|days| due(again, *days)), Some(first + 7), "{number}");
            days.insert(first);
            assert!(due(start + A_DAY * 3, 0), "a clock was wrong");
        }
        assert_eq!(days.len(), 7);
    }
}
