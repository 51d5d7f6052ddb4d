//! Whether the changes of a finding are written: what the policy, the guards, the limits and the resource's history say.

use jiff::Timestamp;

use super::undo::same;
use super::{Deadline, Engine, Planned, Waiting, summaries};
use crate::history::History;
use crate::policy::{About, Exempted, Resource};
use crate::{BatchId, Finding, Mode, Outcome, RecordError, Records, Result, Rule, SessionKind};

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

/// Whether a finding is exempt.
enum Exemptions {
    /// It is, for this reason.
    Exempt(String),
    /// It is not; these it had.
    Expired(Vec<String>),
}

impl<R: Rule> Engine<R> {
    /// What would have to change, and whether it is written.
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
            return Planned::Settled(Outcome::Held, Some("the rule's mode is off".into()), Vec::new());
        }
        let expired = match self.exemptions(finding, exempting).await {
            Ok(Exemptions::Exempt(why)) => return Planned::Settled(Outcome::Exempt, Some(why), Vec::new()),
            Ok(Exemptions::Expired(expired)) => expired,
            Err(error) => return Planned::failed(&error),
        };
        let expired = expired.into_iter().map(|exemption| format!("an exemption has expired: {exemption}"));
        match self.plan_one(finding, deadline).await {
            Planned::Proposed(mut proposal, _) => {
                proposal.notes.extend(expired);
                let decided = match warrant {
                    Warrant::Approval(approved) => {
                        let approved = approved.get(place).map(Vec::as_slice).unwrap_or_default();
                        approved_decision(mode, approved, &proposal.changes)
                    }
                    Warrant::Mode(_) => self.decide(finding, mode, &proposal.guarded).await,
                };
                match decided {
                    Ok(decision) => Planned::Proposed(proposal, decision),
                    Err((outcome, detail)) => Planned::Settled(outcome, Some(detail), proposal.notes),
                }
            }
            Planned::Settled(outcome, detail, mut notes) => {
                notes.extend(expired);
                Planned::Settled(outcome, detail, notes)
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
                        return Err((Outcome::Failed, detail));
                    }
                }
            }
        }
        Ok(if reasons.is_empty() { Decision::Write } else { Decision::Await(reasons) })
    }

    async fn exemptions(&self, finding: &Finding, exempting: &Exempting) -> Result<Exemptions> {
        let now = Timestamp::now();
        if let Some(why) = exempting.of(finding, now) {
            return Ok(Exemptions::Exempt(why));
        }
        let resource = Resource::new(finding, &self.manifest, self.sessions.region());
        let (mut expired, mut by_tag) = (Vec::new(), Vec::new());
        for exemption in self.policy.exemptions() {
            match (exemption.is_about(&self.manifest.id, &resource), exemption.is_expired(now)) {
                (About::Yes, false) => return Ok(Exemptions::Exempt(exemption.to_string())),
                (About::Yes, true) => expired.push(exemption.to_string()),
                (About::IfTagged, _) => by_tag.push(exemption),
                (About::No, _) => {}
            }
        }
        if by_tag.is_empty() {
            return Ok(Exemptions::Expired(expired));
        }
        let client = self.client(finding, SessionKind::Read).await?;
        let tags = R::tags(&client, finding).await?;
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
