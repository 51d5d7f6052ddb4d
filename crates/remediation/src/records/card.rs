//! The card of a resource: the one small object that is kept for it. Who may write to the resource now, what we did to
//! it, since when it violates, what waits for a person, and what an undo put back.
//!
//! A card is only ever written on condition that it is still as it was read, or that there is none yet. Who has put a
//! claim on it so is the one writer of that resource until the claim is released or its time is up.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

mod closure;
mod in_force;

pub use closure::{Closure, ScanSays, ScanVerdict};
pub use in_force::{FoundUnmade, Unmade, kept};

use super::BatchId;
use super::keys::CardPlace;
use super::schema::{Record, SchemaError, read};
use crate::domain::{Outcome, Resource, RunId};
use crate::policy::Fight;

/// The version of the format of cards that this build writes and reads.
pub const CARD_SCHEMA: u32 = 1;
/// So many writes are remembered; older ones are forgotten first.
const REMEMBERED: usize = 50;
/// A violation that nobody has seen for so long counts as over.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(30 * 24);
const A_DAY: SignedDuration = SignedDuration::from_hours(24);

/// What is kept of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    schema: u32,
    /// The rule whose resource it is.
    rule: String,
    /// The resource's canonical ARN.
    resource: String,
    /// Who may write to the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// What our runs have written to it, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<Write>,
    /// That its fixes are taken back again and again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fought_over: Option<FoughtOver>,
    /// The plan that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// That a person has rejected its changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Rejected>,
    /// What a report says of it in full, so that the next ones only name that report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Reported>,
    /// The approval that waits for a change window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<ApprovedToWait>,
    /// That an undo has put it back, so that runs leave it alone for a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exempt: Option<Exempt>,
    /// Since when it violates, where its fix has a grace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violation: Option<Violation>,
    /// The findings that our fixes have ended, and what Netskope says of that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closures: Vec<Closure>,
    /// What no other version of this card has, so that its ETag never comes back.
    nonce: Uuid,
}

/// The right to write to a resource for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The run.
    pub run: RunId,
    /// The batch of that run.
    pub batch: u32,
    /// Since when.
    pub since: Timestamp,
    /// Until when; nothing is written after that.
    pub until: Timestamp,
    /// Which process: the ID of a Lambda's request, which is that of its retries too, or of a command. Only it goes on
    /// with a claim of its own.
    pub holder: String,
    /// The digest of the resource's part of the plan that it claims for.
    pub part: String,
    /// The changes of that part, as [`Write::changes`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Value>,
    /// The run that it takes back, where it is an undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<RunId>,
}

/// How what a run wrote ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Proved to have taken.
    Proved,
    /// Written, at least in part, and not proved.
    Unproved,
    /// The run never came back to say.
    CutOff,
}

/// What one run wrote to a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// The run.
    pub run: RunId,
    /// The batch of that run.
    pub batch: u32,
    /// When it ended, or was last heard of.
    pub at: Timestamp,
    /// How.
    pub ended: Ended,
    /// The digest of the resource's part of that run's plan.
    pub part: String,
    /// The changes of that part, by which a later look tells whether they are still in force. None where they are long.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Value>,
    /// Which changes of that part are in force because of it, by their places from 0. Of a run that never came back nobody
    /// knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub took: Vec<usize>,
    /// The undo that has taken it back, and has not been taken back itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone_by: Option<RunId>,
}

/// A resource that was fixed again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoughtOver {
    /// Since when.
    pub since: Timestamp,
    /// The reports of those fixes.
    pub reports: Vec<String>,
}

/// A plan that waits: for a person, or for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// The plan's key.
    pub plan: String,
    /// The digest of this resource's part of it: [`PlannedResource::digest`](super::PlannedResource::digest).
    pub digest: String,
    /// The digest of its changes alone: [`PlannedResource::digest_of_changes`](super::PlannedResource::digest_of_changes).
    /// A rejection is of these. None on an older card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<String>,
    /// Since when these changes wait.
    pub since: Timestamp,
    /// Why. Empty on an older card.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub why: BTreeSet<WaitsFor>,
    /// When it waits no more, where that is known: the end of a grace, or the beginning of a change window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The key of the report that says it in full. None on an older card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
}

/// Why changes wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitsFor {
    /// The mode is `approve`: a person approves them first.
    Mode,
    /// Which mode the account has is not known for sure, so that a person approves them first.
    UnsureMode,
    /// The guard sees what they would break, and holds them until a person approves them.
    Guard,
    /// The resource is fought over, so that a person approves them first.
    FoughtOver,
    /// The violation has its grace.
    Grace,
    /// A change window is closed.
    Window,
}

/// That a person does not want changes. They are not proposed again until they differ, or until it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rejected {
    /// The digest of the changes: [`Waiting::changes`].
    pub digest: String,
    /// Why.
    pub reason: String,
    /// Who stored it.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    /// When it ends.
    pub until: Timestamp,
}

/// What a report says of a resource's findings in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reported {
    /// The report's key.
    pub report: String,
    /// The digest of what it says: of the outcomes, of their reasons, and of the resource's part of the plan.
    pub digest: String,
    /// The outcome of the resource.
    pub outcome: Outcome,
    /// When it was said. Every few days it is said in full again, while somebody lists the resource.
    pub at: Timestamp,
}

/// An approval that met a closed change window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovedToWait {
    /// The key of the plan that was approved.
    pub plan: String,
    /// The approval's key, where it is not that of the plan's first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    /// When it expires.
    pub until: Timestamp,
    /// Who stored it, as [`Approved`](super::Approved) says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_by: Option<String>,
}

/// A violation that is told before it is fixed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Violation {
    /// When a look of ours saw it first.
    pub first_seen: Timestamp,
    /// When one saw it last, to a day.
    pub last_seen: Timestamp,
    /// Who owns the resource, by its tags at the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// That runs leave a resource alone for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exempt {
    /// Until when.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}

/// A card that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// It is none, or is of another version.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// It is that of something else.
    #[error("it is the card of {found}, not of {expected}")]
    Other {
        /// Whose it says that it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
}

impl Record for Card {
    const KIND: &'static str = "card";
    const SCHEMA: u32 = CARD_SCHEMA;
    const MOST_BYTES: usize = 256 * 1024;
}

impl Card {
    /// The empty card of a resource of `rule`.
    pub fn new(rule: &str, resource: &Resource) -> Self {
        Self {
            schema: CARD_SCHEMA,
            rule: rule.to_owned(),
            resource: resource.arn.clone(),
            claim: None,
            writes: Vec::new(),
            fought_over: None,
            waiting: None,
            rejected: None,
            reported: None,
            approved: None,
            exempt: None,
            violation: None,
            closures: Vec::new(),
            nonce: ambient::uuid_v4(),
        }
    }

    /// Reads the card of a resource of `rule`.
    ///
    /// # Errors
    ///
    /// It is no card, of another version, or of something else.
    pub fn from_json(bytes: &[u8], rule: &str, resource: &Resource) -> Result<Self, CardError> {
        let card: Self = read(bytes)?;
        if (card.rule.as_str(), &card.resource) != (rule, &resource.arn) {
            let (found, expected) = (named(&card.rule, &card.resource), named(rule, &resource.arn));
            return Err(CardError::Other { found, expected });
        }
        Ok(card)
    }

    /// Reads the card that is kept at `place`, whatever resource it is of.
    ///
    /// # Errors
    ///
    /// It is no card, of another version, or is kept elsewhere than it says.
    pub fn at(bytes: &[u8], place: &CardPlace) -> Result<Self, CardError> {
        let card: Self = read(bytes)?;
        if card.rule != place.rule || !place.is_of(&card.resource) {
            let found = named(&card.rule, &card.resource);
            return Err(CardError::Other { found, expected: "the resource that its key names".into() });
        }
        Ok(card)
    }

    /// The resource's canonical ARN.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The card's next version as JSON.
    ///
    /// # Errors
    ///
    /// It cannot be written as JSON; no such card is known.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&Self { nonce: ambient::uuid_v4(), ..self.clone() })
    }

    /// The claim that somebody other than `holder` has at `now`.
    pub fn claimed_by_another(&self, holder: &str, now: Timestamp) -> Option<&Claim> {
        self.claim.as_ref().filter(|claim| now < claim.until && claim.holder != holder)
    }

    /// The same with another claim. One whose time is up is of a run that never came back: that it may have written is
    /// remembered. Of what a look before the claim has `found` to be as it was before a write, nothing is in force. What an
    /// undo left undone, the same undo does again; what it was taking back may be taken back.
    #[must_use]
    pub fn claim(mut self, claim: Claim, found: &FoundUnmade) -> Self {
        if let Some(mut write) = self.cut_off() {
            if let Some(unmade) = found.of(&write) {
                write.leave_out(unmade);
            }
            if write.is_in_force() {
                self.remember(write);
            }
        }
        self = self.without(found, |write| write.ended != Ended::Proved || found.is_certain_of(write));
        self = self.in_force_again();
        // Clocks are apart: what this claim's own batch said before it is not said under it.
        let before = self.writes.iter().filter(|write| (write.run, write.batch) == (claim.run, claim.batch));
        let after = before.filter_map(|write| write.at.checked_add(SignedDuration::from_millis(1)).ok()).max();
        let since = claim.since.max(after.unwrap_or(Timestamp::MIN));
        self.claim = Some(Claim { since, ..claim });
        self
    }

    /// The rejection of changes with this digest ([`Waiting::changes`]) that is in force at `now`.
    pub fn rejects(&self, changes: &str, now: Timestamp) -> Option<&Rejected> {
        self.rejected.as_ref().filter(|rejected| rejected.digest == changes && now < rejected.until)
    }

    /// What our runs have written to it, the oldest first; last, what the run that has claimed it may have written.
    pub fn all_writes(&self) -> impl DoubleEndedIterator<Item = Write> {
        let writes = self.writes.iter().map(|write| Write { undone_by: self.undone_by_now(write), ..write.clone() });
        writes.chain(self.cut_off())
    }

    /// The undo that has taken a write back, where nothing is taking that back in its turn.
    fn undone_by_now(&self, write: &Write) -> Option<RunId> {
        let undoes = self.claim.as_ref().and_then(|claim| claim.undoes);
        write.undone_by.filter(|undo| Some(*undo) != undoes)
    }

    /// The same after the undo that has claimed it has put back in force what another undo had taken back.
    #[must_use]
    pub fn in_force_again(mut self) -> Self {
        let undone_by: Vec<_> = self.writes.iter().map(|write| self.undone_by_now(write)).collect();
        for (write, undone_by) in self.writes.iter_mut().zip(undone_by) {
            write.undone_by = undone_by;
        }
        self
    }

    /// What the run that has claimed it may have written, where it has not said so.
    fn cut_off(&self) -> Option<Write> {
        let claim = self.claim.as_ref().filter(|claim| claim.undoes.is_none())?;
        let (run, batch) = (claim.run, claim.batch);
        let said = self.writes.iter().any(|write| (write.run, write.batch) == (run, batch) && write.at >= claim.since);
        let (at, part, changes, took) = (claim.since, claim.part.clone(), claim.changes.clone(), Vec::new());
        (!said).then_some(Write { run, batch, at, ended: Ended::CutOff, part, changes, took, undone_by: None })
    }

    /// The same after the run `by` has taken this part of what a run had written back.
    #[must_use]
    pub fn undone(mut self, id: &BatchId, part: &str, by: RunId) -> Self {
        if let Some(cut_off) = self.cut_off().filter(|write| write.is_of(id, part)) {
            self.remember(cut_off);
        }
        if self.undone_by(id, part).is_none() {
            for write in self.writes.iter_mut().filter(|write| write.is_of(id, part)) {
                write.undone_by = Some(by);
            }
        }
        self
    }

    /// The undo that has taken this part of what a run had written back.
    pub fn undone_by(&self, id: &BatchId, part: &str) -> Option<RunId> {
        self.all_writes().filter(|write| write.is_of(id, part)).find_map(|write| write.undone_by)
    }

    /// The same without a claim.
    #[must_use]
    pub fn release(self) -> Self {
        Self { claim: None, ..self }
    }

    /// The same with what came of `write`, and still claimed: what it has set going may not have ended.
    #[must_use]
    pub fn hold(mut self, write: Write) -> Self {
        (self.waiting, self.approved) = (None, None);
        if write.ended == Ended::Proved {
            self.violation = None;
        }
        let since = self.claim.as_ref().map_or(Timestamp::MIN, |claim| claim.since);
        let took = self.proved_before(&write).chain(write.took.iter().copied()).collect::<BTreeSet<_>>();
        self.remember(Write { at: write.at.max(since), took: took.into_iter().collect(), ..write });
        self
    }

    /// What an earlier attempt of the same has proved to have made. A later one that had an old look finds it still to be
    /// made, and then made already, by somebody else as it seems.
    fn proved_before(&self, write: &Write) -> impl Iterator<Item = usize> {
        let same = self
            .writes
            .iter()
            .filter(|known| (known.run, known.batch, &known.part) == (write.run, write.batch, &write.part));
        let in_force = same.filter(|known| known.ended == Ended::Proved && !known.is_undone());
        in_force.flat_map(|known| known.took.iter().copied())
    }

    /// One entry for each part of a batch's plans: what it said last. A later attempt of the batch has another part where
    /// the one before it has written.
    fn remember(&mut self, write: Write) {
        let of = |write: &Write| (write.run, write.batch, write.part.clone());
        self.writes.retain(|known| of(known) != of(&write));
        self.writes.push(write);
        let forgotten = self.writes.len().saturating_sub(REMEMBERED);
        self.writes.drain(..forgotten);
    }

    /// Whether the resource is fought over at `now`: since earlier, or because its proved fixes within the window are
    /// too many.
    pub fn fought_over(&self, fight: Fight, now: Timestamp) -> Option<FoughtOver> {
        if self.fought_over.is_some() {
            return self.fought_over.clone();
        }
        let window = SignedDuration::from_hours(24 * i64::from(fight.window_days));
        let start = now.checked_sub(window).unwrap_or(Timestamp::MIN);
        let is_fix = |write: &&Write| write.ended == Ended::Proved && !write.is_undone() && write.at >= start;
        let fixes: Vec<_> = self.writes.iter().filter(is_fix).collect();
        let reports = || fixes.iter().map(|write| write.id(&self.rule).report_key()).collect();
        (fixes.len() as u64 >= u64::from(fight.fixes)).then(|| FoughtOver { since: now, reports: reports() })
    }

    /// The violation that goes on at `now`. One that nobody has seen for a month counts as over, as does one that a clock
    /// has seen that was wrong by more than a day.
    pub fn violation(&self, now: Timestamp) -> Option<&Violation> {
        let goes_on = |of: &&Violation| {
            let since = now.duration_since(of.last_seen);
            of.first_seen <= of.last_seen && since <= FORGOTTEN && since >= -A_DAY
        };
        self.violation.as_ref().filter(goes_on)
    }

    /// What was written after `run` had, or may have been, and was not taken back: the newest first. A run of which
    /// nothing is in force has left nothing to take back.
    pub fn written_after(&self, run: RunId) -> Vec<Write> {
        let after = self.all_writes().rev().take_while(|write| write.run != run);
        let counts = |write: &Write| !write.is_undone() && write.is_in_force() && write.run.started() >= run.started();
        after.filter(counts).collect()
    }
}

/// How errors name a resource of a rule.
fn named(rule: &str, resource: &str) -> String {
    format!("{resource} ({rule})")
}

impl Violation {
    /// One that is seen at `now` for the first time.
    pub fn new(now: Timestamp, owner: Option<String>) -> Self {
        Self { first_seen: now, last_seen: now, owner }
    }

    /// The same, seen at `now` again. Within a day it stays as it is, so that not every poll writes the card.
    #[must_use]
    pub fn seen_again(self, now: Timestamp) -> Self {
        if now.duration_since(self.last_seen) < A_DAY { self } else { Self { last_seen: now, ..self } }
    }
}

impl Write {
    /// The batch that wrote.
    pub fn id(&self, rule: &str) -> BatchId {
        BatchId { rule: rule.to_owned(), run: self.run, batch: self.batch }
    }

    /// Whether an undo has taken it back.
    pub fn is_undone(&self) -> bool {
        self.undone_by.is_some()
    }

    /// Whether anything of it was in force when it ended, or may have been.
    fn is_in_force(&self) -> bool {
        self.ended == Ended::CutOff || !self.took.is_empty()
    }

    fn is_of(&self, id: &BatchId, part: &str) -> bool {
        (self.run, self.batch, self.part.as_str()) == (id.run, id.batch, part)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::records::card_key;

    const RULE: &str = "open-door";

    fn resource(name: &str) -> Resource {
        let arn = format!("arn:aws:test:eu-central-1:222222222222:house/{name}");
        Resource::of_arn("test:GetDoors", arn, name).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn claim(run: RunId, holder: &str, undoes: Option<RunId>) -> Claim {
        let (holder, part) = (holder.to_owned(), "digest".to_owned());
        Claim { run, batch: 1, since: at(100), until: at(200), holder, part, changes: Vec::new(), undoes }
    }

    fn write(run: RunId, second: i64, ended: Ended) -> Write {
        let took = if ended == Ended::CutOff { Vec::new() } else { vec![0] };
        Write {
            run,
            batch: 1,
            at: at(second),
            ended,
            part: "digest".into(),
            changes: Vec::new(),
            took,
            undone_by: None,
        }
    }

    fn card() -> Card {
        Card::new(RULE, &resource("h"))
    }

    #[test]
    fn it_is_read_back_as_that_of_its_resource_alone() {
        let card = card()
            .claim(claim(RunId::start(), "me", None), &FoundUnmade::nothing())
            .hold(write(RunId::start(), 150, Ended::Proved))
            .release();
        let json = card.to_json().unwrap();
        let read = Card::from_json(&json, RULE, &resource("h")).unwrap();
        assert_eq!(Card { nonce: card.nonce, ..read }, card);
        let other = Card::from_json(&json, RULE, &resource("other")).unwrap_err().to_string();
        assert!(other.starts_with("it is the card of arn:aws:test:eu-central-1:222222222222:house/h ("), "{other}");
        assert!(Card::from_json(&json, "other", &resource("h")).is_err());
        let newer = String::from_utf8(json.clone()).unwrap().replace("\"schema\":1", "\"schema\":2");
        let newer = Card::from_json(newer.as_bytes(), RULE, &resource("h")).unwrap_err().to_string();
        assert!(newer.contains("schema version 2, but this build reads 1"), "{newer}");
        let place = CardPlace::of_key(&card_key(RULE, &resource("h"))).unwrap();
        assert_eq!(Card::at(&json, &place).unwrap().resource(), resource("h").arn);
        for elsewhere in [card_key(RULE, &resource("other")), card_key("other", &resource("h"))] {
            let elsewhere = CardPlace::of_key(&elsewhere).unwrap();
            let other = Card::at(&json, &elsewhere).unwrap_err().to_string();
            assert!(other.contains("house/h (") && other.contains("that its key names"), "{other}");
        }
        let long = vec![b' '; Card::MOST_BYTES + 1];
        assert!(Card::from_json(&long, RULE, &resource("h")).unwrap_err().to_string().contains("more than the"));
    }

    #[test]
    fn no_two_versions_have_the_same_bytes() {
        let card = card();
        assert_ne!(card.to_json().unwrap(), card.to_json().unwrap());
    }

    #[test]
    fn a_claim_is_anothers_while_it_lasts() {
        let claimed = card().claim(claim(RunId::start(), "me", None), &FoundUnmade::nothing());
        for (holder, now, another) in [("you", 199, true), ("you", 200, false), ("me", 199, false)] {
            assert_eq!(claimed.claimed_by_another(holder, at(now)).is_some(), another, "{holder} at {now}");
        }
    }

    #[test]
    fn a_claim_that_nobody_released_is_remembered_as_cut_off_unless_it_was_an_undos() {
        let (dead, next) = (RunId::start(), RunId::start());
        let card = card()
            .claim(claim(dead, "dead", None), &FoundUnmade::nothing())
            .claim(claim(next, "next", None), &FoundUnmade::nothing());
        assert_eq!(card.writes, [write(dead, 100, Ended::CutOff)]);
        let card = self::card()
            .claim(claim(dead, "dead", Some(next)), &FoundUnmade::nothing())
            .claim(claim(next, "next", None), &FoundUnmade::nothing());
        assert!(card.writes.is_empty());
        // What the same batch says later replaces it.
        let card = self::card()
            .claim(claim(dead, "a", None), &FoundUnmade::nothing())
            .claim(claim(dead, "b", None), &FoundUnmade::nothing());
        let card = card.hold(write(dead, 150, Ended::Proved)).release();
        assert_eq!(card.writes, [write(dead, 150, Ended::Proved)]);
    }

    #[test]
    fn a_claim_that_is_held_on_to_is_not_cut_off_and_what_it_wrote_counts_as_later() {
        let (first, second, next) = (RunId::start(), RunId::start(), RunId::start());
        let card = card()
            .hold(write(first, 90, Ended::Proved))
            .release()
            .claim(claim(second, "second", None), &FoundUnmade::nothing());
        assert_eq!(card.written_after(first), [write(second, 100, Ended::CutOff)]);
        assert!(card.written_after(second).is_empty());
        let said = write(second, 150, Ended::Unproved);
        let card = card.hold(said.clone());
        assert!(card.claimed_by_another("next", at(199)).is_some());
        assert_eq!(card.written_after(first), std::slice::from_ref(&said));
        assert_eq!(card.claim(claim(next, "next", None), &FoundUnmade::nothing()).writes[1], said);
    }

    #[test]
    fn the_oldest_writes_are_forgotten_first() {
        let card =
            (0..60).fold(card(), |card, second| card.hold(write(RunId::start(), second, Ended::Proved)).release());
        assert_eq!((card.writes.len(), card.writes[0].at), (REMEMBERED, at(10)));
        assert!(card.to_json().unwrap().len() < Card::MOST_BYTES);
    }

    #[test]
    fn it_is_fought_over_where_proved_fixes_are_many_within_the_window_and_from_then_on() {
        let day = 24 * 3600;
        let fight = Fight { window_days: 7, fixes: 2 };
        let now = at(100 * day);
        let fought = |writes: &[(i64, Ended)]| {
            let writes = writes.iter().map(|(days, ended)| write(RunId::start(), days * day, *ended));
            writes
                .fold(card(), |card, write| card.hold(write).release())
                .fought_over(fight, now)
                .map(|of| of.reports.len())
        };
        assert_eq!(fought(&[(94, Ended::Proved), (99, Ended::Proved)]), Some(2));
        assert_eq!(fought(&[(92, Ended::Proved), (99, Ended::Proved)]), None);
        for ended in [Ended::Unproved, Ended::CutOff] {
            assert_eq!(fought(&[(98, ended), (99, Ended::Proved)]), None, "{ended:?}");
        }
        let undone = Write { undone_by: Some(RunId::start()), ..write(RunId::start(), 98 * day, Ended::Proved) };
        let card_of = [undone, write(RunId::start(), 99 * day, Ended::Proved)];
        let card_of = card_of.into_iter().fold(card(), |card, write| card.hold(write).release());
        assert_eq!(card_of.fought_over(fight, now), None);
        let since = FoughtOver { since: now, reports: Vec::new() };
        let card = Card { fought_over: Some(since.clone()), ..card() };
        assert_eq!(card.fought_over(fight, now), Some(since));
    }

    proptest! {
        #[test]
        fn no_window_and_no_time_is_too_much(
            window_days in prop::sample::select(vec![0, 1, 365, 10_000_000, u32::MAX]),
            fixes in prop::sample::select(vec![0, 1, 50, u32::MAX]),
            now in prop::sample::select(vec![Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX]),
            then in prop::sample::select(vec![Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX]),
        ) {
            let write = Write { at: then, ..write(RunId::start(), 0, Ended::Proved) };
            let fought = card().hold(write).release().fought_over(Fight { window_days, fixes }, now);
            prop_assert!(fixes < 2 || fought.is_none());
        }
    }

    #[test]
    fn a_violation_goes_on_while_it_is_seen_and_its_card_is_seldom_written() {
        let day = 24 * 3_600;
        let card = |violation| Card { violation: Some(violation), ..card() };
        let seen = Violation::new(at(100 * day), Some("web team".into()));
        let goes_on = |of: &Violation, now: Timestamp| card(of.clone()).violation(now).is_some();
        let moments = [(130, true), (131, false), (99, true), (98, false)];
        assert_eq!(moments.map(|(now, _)| (now, goes_on(&seen, at(now * day)))), moments);
        assert!(!goes_on(&seen, Timestamp::MIN) && !goes_on(&seen, Timestamp::MAX));
        let never = Violation { first_seen: Timestamp::MAX, ..seen.clone() };
        assert!(!goes_on(&never, at(100 * day)), "it was seen last before it was seen first");
        assert_eq!(seen.clone().seen_again(at(101 * day - 1)), seen);
        let again = seen.clone().seen_again(at(101 * day));
        assert_eq!((again.first_seen, again.last_seen), (seen.first_seen, at(101 * day)));
        for (ended, left) in [(Ended::Proved, None), (Ended::Unproved, Some(seen.clone()))] {
            assert_eq!(card(seen.clone()).hold(write(RunId::start(), 150, ended)).violation, left);
        }
    }

    #[test]
    fn what_an_attempt_has_proved_is_not_lost_to_a_later_one_that_finds_it_made_already() {
        let run = RunId::start();
        let after = |ended, undone: bool| {
            let first =
                card().claim(claim(run, "first", None), &FoundUnmade::nothing()).hold(write(run, 150, ended)).release();
            let first =
                if undone { first.undone(&write(run, 150, ended).id(RULE), "digest", RunId::start()) } else { first };
            let again = first.claim(claim(run, "second", None), &FoundUnmade::nothing());
            again.hold(Write { took: Vec::new(), ..write(run, 160, Ended::Proved) }).writes[0].took.clone()
        };
        assert_eq!(after(Ended::Proved, false), [0]);
        assert!(after(Ended::Unproved, false).is_empty(), "nobody knows whose it is");
        assert!(after(Ended::Proved, true).is_empty(), "it was taken back meanwhile");
    }

    #[test]
    fn parts_of_a_batch_are_remembered_and_taken_back_one_by_one() {
        let run = RunId::start();
        let first = card().claim(claim(run, "first", None), &FoundUnmade::nothing());
        let later = Write { part: "another".into(), ..write(run, 150, Ended::Proved) };
        let again = Claim { part: later.part.clone(), ..claim(run, "second", None) };
        let card = first.claim(again, &FoundUnmade::nothing()).hold(later.clone()).release();
        let parts = |card: &Card| card.writes.iter().map(|write| (write.part.clone(), write.ended)).collect::<Vec<_>>();
        let (digest, another) = ("digest".to_owned(), "another".to_owned());
        assert_eq!(parts(&card), [(digest.clone(), Ended::CutOff), (another.clone(), Ended::Proved)]);
        let undo = RunId::start();
        let undone = card.clone().undone(&later.id(RULE), &later.part, undo);
        let by = |card: &Card, part: &str| card.undone_by(&later.id(RULE), part);
        assert_eq!((by(&undone, &digest), by(&undone, &another)), (None, Some(undo)));
        let again = undone.clone().undone(&later.id(RULE), &later.part, RunId::start());
        assert_eq!(again, undone, "who took it back first has");
        let taking_back = undone.clone().claim(claim(RunId::start(), "third", Some(undo)), &FoundUnmade::nothing());
        assert_eq!(by(&taking_back, &another), None, "the undo may be taken back");
        assert_eq!(taking_back.clone().release(), undone, "the undo of the undo has written nothing");
        assert_eq!(taking_back.clone().in_force_again().release(), card, "the undo is taken back");
        let next = taking_back.claim(claim(RunId::start(), "next", None), &FoundUnmade::nothing()).release();
        assert_eq!(next, card, "the undo of the undo never came back");
    }

    #[test]
    fn what_an_attempt_on_a_faster_clock_said_is_not_said_for_the_next_one() {
        let run = RunId::start();
        let said = Write { at: at(1_000), ..write(run, 0, Ended::Unproved) };
        let card = card().claim(claim(run, "fast", None), &FoundUnmade::nothing()).hold(said);
        let next = card.claim(claim(run, "slow", None), &FoundUnmade::nothing());
        assert_eq!(next.all_writes().last().map(|write| write.ended), Some(Ended::CutOff));
    }

    #[test]
    fn what_came_after_a_run_and_was_not_taken_back_is_known() {
        let runs: Vec<_> = (0..4).map(|_| RunId::start()).collect();
        let ended = [Ended::Proved, Ended::Proved, Ended::CutOff, Ended::Unproved];
        let undone_by = [None, Some(RunId::start()), None, None];
        let writes = runs.iter().zip(ended).zip(undone_by);
        let writes = writes.map(|((run, ended), undone_by)| Write { undone_by, ..write(*run, 1, ended) });
        let card = writes.fold(card(), |card, write| card.hold(write).release());
        let after = |card: &Card, run| card.written_after(run).iter().map(|write| write.run).collect::<Vec<_>>();
        assert_eq!(after(&card, runs[0]), [runs[3], runs[2]]);
        assert!(after(&card, runs[3]).is_empty());
        let last = write(runs[3], 1, Ended::Unproved);
        let unneeded = Write { took: Vec::new(), ..write(RunId::start(), 2, Ended::Unproved) };
        let card = card.hold(unneeded).release();
        assert_eq!(after(&card, runs[0]), [runs[3], runs[2]], "somebody else had made all of it already");
        assert_eq!(after(&card.undone(&last.id(RULE), &last.part, RunId::start()), runs[0]), [runs[2]]);
    }
}
