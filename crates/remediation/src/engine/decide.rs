//! Whether the changes of a finding are written: what the policy, the guards, the limits and the resource's history say.

use jiff::Timestamp;

use super::undo::same;
use super::{Deadline, Engine, Looked, Planned, Proposed, Settled, Waiting, summaries};
use crate::history::History;
use crate::policy::{About, Exempted, Exemption, Names};
use crate::{BatchId, Finding, Mode, Outcome, RecordError, Records, Result, Rule, Seen};

/// What lets the changes of a run be written.
#[derive(Debug)]
pub(super) enum Warrant<C> {
    /// The mode that was asked for, as far as the policy goes along.
    Mode(Mode),
    /// A person's approval of exactly these changes, by the finding's place.
    Approval(Vec<Vec<C>>),
}

impl<C> Warrant<C> {
    /// The most that is done.
    pub(super) fn mode(&self) -> Mode {
        match self {
            Self::Mode(mode) => *mode,
            Self::Approval(_) => Mode::Approve,
        }
    }

    /// The mode that the policy must allow for something to be written.
    pub(super) fn needs(&self) -> Mode {
        match self {
            Self::Mode(_) => Mode::Apply,
            Self::Approval(_) => Mode::Approve,
        }
    }
}

/// What becomes of a finding's changes, beside being in the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// They are written.
    Write,
    /// They are only shown.
    Show,
    /// They wait for an approval, for these reasons.
    Await(Vec<String>),
    /// They are left to a later run, for this reason.
    Defer(String),
}

impl Decision {
    /// Why an approval is awaited.
    pub(super) fn awaits(&self) -> &[String] {
        match self {
            Self::Await(reasons) => reasons,
            _ => &[],
        }
    }

    /// The outcome where nothing is written, and why.
    pub(super) fn outcome(self) -> (Outcome, Option<String>) {
        match self {
            Self::Write | Self::Show => (Outcome::Planned, None),
            Self::Await(reasons) => (Outcome::Held, Some(format!("needs an approval: {}", reasons.join("; ")))),
            Self::Defer(reason) => (Outcome::Deferred, Some(reason)),
        }
    }
}

/// What undo has put back, and is left alone for a time.
#[derive(Debug)]
pub(super) struct Exempting(Vec<(String, Exempted)>);

impl Exempting {
    pub(super) async fn read(records: &Records, rule: &str) -> Result<Self, RecordError> {
        let mut all = Vec::new();
        for key in records.list(&format!("exemptions/{rule}/")).await? {
            let exempted = serde_json::from_slice(&records.get(&key).await?)?;
            all.push((key, exempted));
        }
        Ok(Self(all))
    }

    fn of(&self, finding: &Finding, now: Timestamp) -> Option<String> {
        let (key, exempted) = self.0.iter().find(|(_, exempted)| exempted.holds_for(finding, now))?;
        Some(format!("{} (until {}; {key})", exempted.reason, exempted.expires))
    }
}

/// What the policy's exemptions say of a finding.
enum Exemptions {
    /// It is exempt, for this reason.
    Exempt(String),
    /// It is not; these it had.
    Expired(Vec<String>),
}

impl<R: Rule> Engine<R> {
    /// What would have to change, and whether it is written; or what is reported where nothing is.
    pub(super) async fn plan_and_decide(
        &self,
        place: usize,
        finding: &Finding,
        warrant: &Warrant<R::Change>,
        exempting: &Exempting,
        deadline: Deadline,
    ) -> Planned<R::Change> {
        let mode = self.policy.mode(&self.manifest.id, &finding.account).min(warrant.mode());
        if mode == Mode::Off {
            return Err(Settled::of(Outcome::Held, "the rule's mode is off"));
        }
        // What the finding itself says can be enough, and then the account is not even called.
        if let Some(why) = self.exempt_by_finding(finding, exempting) {
            return Err(Settled::of(Outcome::Exempt, why));
        }
        let mut looked = self.look_in_time(finding, deadline).await?;
        match self.exempt_by_resource(finding, &looked).await {
            Ok(Exemptions::Exempt(why)) => {
                let resource = Some(looked.seen.resource);
                let notes = looked.proposal.notes;
                return Err(Box::new(Settled { resource, notes, ..*Settled::of(Outcome::Exempt, why) }));
            }
            Ok(Exemptions::Expired(expired)) => {
                let expired = expired.into_iter().map(|exemption| format!("an exemption has expired: {exemption}"));
                looked.proposal.notes.extend(expired);
            }
            Err(error) => return Err(self.failed(finding, &self.in_session(finding, error))),
        }
        let mut looked = looked.unless_settled()?;
        let guarded = self.guard(&mut looked).await;
        let Looked { seen: Seen { resource, .. }, proposal, .. } = looked;
        let decided = match warrant {
            Warrant::Approval(approved) => {
                let approved = approved.get(place).map(Vec::as_slice).unwrap_or_default();
                approved_decision(mode, approved, &proposal.changes)
            }
            Warrant::Mode(_) => self.decide(finding, mode, &guarded).await,
        };
        match decided {
            Ok(decision) => Ok(Box::new(Proposed { resource, proposal, decision })),
            Err((outcome, detail)) => {
                let (resource, notes) = (Some(resource), proposal.notes);
                Err(Box::new(Settled { resource, notes, ..*Settled::of(outcome, detail) }))
            }
        }
    }

    /// What becomes of the changes by the mode, what guards hold, and the resource's history.
    async fn decide(&self, finding: &Finding, mode: Mode, guarded: &[String]) -> Result<Decision, (Outcome, String)> {
        let mut reasons = guarded.to_vec();
        match mode {
            Mode::Off | Mode::Plan => return Ok(Decision::Show),
            Mode::Approve => reasons.push("the mode is approve".into()),
            Mode::Apply => {
                let history = History::new(&self.records, &self.manifest.id, finding);
                match history.fought_over(self.policy.fight, Timestamp::now()).await {
                    Ok(fought_over) => reasons.extend(fought_over.map(|fought_over| fought_over.to_string())),
                    Err(error) => {
                        let detail = format!("its history cannot be read, so nothing is written: {error}");
                        return Err((error.outcome(), detail));
                    }
                }
            }
        }
        Ok(if reasons.is_empty() { Decision::Write } else { Decision::Await(reasons) })
    }

    /// Why the finding is exempt by what it says itself, where that is so.
    fn exempt_by_finding(&self, finding: &Finding, exempting: &Exempting) -> Option<String> {
        let now = Timestamp::now();
        let names = Names::of_finding(finding, &self.manifest, self.sessions.region());
        let exempts = |exemption: &&Exemption| {
            exemption.is_about(&self.manifest.id, finding, &names) == About::Yes && !exemption.is_expired(now)
        };
        let by_policy = || self.policy.exemptions().iter().find(exempts).map(ToString::to_string);
        exempting.of(finding, now).or_else(by_policy)
    }

    /// Whether the resource is exempt by any of its names, or by its tags, which are read only if they matter: where it
    /// does not comply.
    async fn exempt_by_resource(&self, finding: &Finding, looked: &Looked<R>) -> Result<Exemptions> {
        let now = Timestamp::now();
        let names = Names::of_finding(finding, &self.manifest, self.sessions.region()).and(&looked.seen.resource);
        let (mut expired, mut by_tag) = (Vec::new(), Vec::new());
        for exemption in self.policy.exemptions() {
            match (exemption.is_about(&self.manifest.id, finding, &names), exemption.is_expired(now)) {
                (About::Yes, false) => return Ok(Exemptions::Exempt(exemption.to_string())),
                (About::Yes, true) => expired.push(exemption.to_string()),
                (About::IfTagged, _) => by_tag.push(exemption),
                (About::No, _) => {}
            }
        }
        if by_tag.is_empty() || looked.proposal.complies() {
            return Ok(Exemptions::Expired(expired));
        }
        let tags = Box::pin(R::tags(&looked.client, &looked.seen)).await?;
        for exemption in by_tag.into_iter().filter(|exemption| exemption.is_tagged(&tags)) {
            if !exemption.is_expired(now) {
                return Ok(Exemptions::Exempt(exemption.to_string()));
            }
            expired.push(exemption.to_string());
        }
        Ok(Exemptions::Expired(expired))
    }

    /// Leaves to a later run what the policy's limits have no room for.
    pub(super) async fn keep_to_limits(&self, id: &BatchId, waiting: &mut [Waiting<R::Change>]) {
        let mut written: Vec<_> = waiting.iter_mut().filter(|waiting| waiting.decision == Decision::Write).collect();
        if written.is_empty() {
            return;
        }
        let count = |waiting: &&mut Waiting<R::Change>| {
            let changes = u32::try_from(waiting.proposal.changes.len()).unwrap_or(u32::MAX);
            (waiting.finding.account.clone(), changes)
        };
        let wanted: Vec<_> = written.iter().map(count).collect();
        match self.ledger(id).take(&self.manifest.id, &self.policy.limits, &wanted).await {
            Ok(held) => {
                for (waiting, why) in written.iter_mut().zip(held) {
                    if let Some(why) = why {
                        waiting.decision = Decision::Defer(why);
                    }
                }
            }
            Err(error) => {
                tracing::error!(%error, "the limits could not be checked, so nothing was written");
                let why = format!("the limits could not be checked, so nothing was written: {error}");
                for waiting in written {
                    waiting.decision = Decision::Defer(why.clone());
                }
            }
        }
    }
}

/// What becomes of changes of which a person has approved `approved`: they are written where they are the same.
fn approved_decision<C: serde::Serialize + ToString>(
    mode: Mode,
    approved: &[C],
    found: &[C],
) -> Result<Decision, (Outcome, String)> {
    if mode < Mode::Approve {
        return Err((Outcome::Held, "it was approved, but the rule's mode is `plan` by now".into()));
    }
    if !same(approved, found) {
        let found = summaries(found).join("; ");
        return Err((Outcome::Held, format!("drifted: this is not what was approved; a fresh look finds: {found}")));
    }
    Ok(Decision::Write)
}
