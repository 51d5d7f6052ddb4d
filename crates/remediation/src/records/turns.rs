//! When the pollers of a deployment may ask Netskope, kept where all of them see it, so that a tenant's rate holds for all
//! together.
//!
//! Time is divided into slots, by the clock: in each, one request is sent, whoever sends it. Slots are dealt to deployments in
//! turn, because each has a bucket of its own. Those of a deployment are numbered; its pollers take some at a time from one
//! object, which is written only on condition that it is still as it was read, so that no slot is taken twice.
//!
//! Every fourth is never taken. These are shared out to the deployment's rules in turn, for the time when the object cannot be
//! read or written: then each poller still has slots that nobody else uses.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::again::{Refused, again};
use super::keys::TURNS_KEY;
use super::schema::{Record, read};
use super::{Condition, RecordError, Records};

/// The version of the format of turns that this build writes and reads.
pub const TURNS_SCHEMA: u32 = 1;
/// How long a slot is. Netskope takes four requests a second. Whoever sends within [`LATE`] of a slot's beginning sends with
/// the next three in no less than a second.
const SLOT: i64 = 260;
/// How many milliseconds after its beginning a slot is still used.
const LATE: i64 = 40;
/// Which of a deployment's slots nobody takes: one of so many.
const KEPT: i64 = 4;
/// How far ahead slots are taken: no Lambda lives longer.
const AHEAD: SignedDuration = SignedDuration::from_mins(15);
/// The most slots that are taken at once.
pub const MOST_SLOTS: usize = 4;
/// How long a poller tries to take slots among others.
const PATIENCE: Duration = Duration::from_secs(20);
/// The most members of what takes turns.
const MOST: u32 = 1_000;

/// One of several who take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Place {
    place: u32,
    of: u32,
}

/// A place that there is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no place {place} of {of}: places are counted from 0, and 1 to {MOST} take part")]
pub struct InvalidPlace {
    /// The place.
    pub place: u32,
    /// How many there are.
    pub of: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    place: u32,
    of: u32,
}

impl TryFrom<Unchecked> for Place {
    type Error = InvalidPlace;

    fn try_from(Unchecked { place, of }: Unchecked) -> Result<Self, InvalidPlace> {
        Self::new(place, of)
    }
}

impl Place {
    /// The place of one who is alone.
    pub const ALONE: Self = Self { place: 0, of: 1 };

    /// The place `place`, from 0, of so many.
    ///
    /// # Errors
    ///
    /// There is no such place, or there are too many.
    pub fn new(place: u32, of: u32) -> Result<Self, InvalidPlace> {
        if (1..=MOST).contains(&of) && place < of { Ok(Self { place, of }) } else { Err(InvalidPlace { place, of }) }
    }

    /// Whether its turn is the one of this number.
    fn has(self, number: i64) -> bool {
        number.rem_euclid(self.of.into()) == i64::from(self.place)
    }
}

/// A slot of a deployment, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(i64);

/// The slots of one deployment.
#[derive(Debug, Clone)]
pub struct Turns {
    records: Records,
    deployment: Place,
}

/// Which slots are taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Taken {
    schema: u32,
    /// What no other version has: two pollers that take the same must not think that either's is their own.
    nonce: Uuid,
    slots: BTreeSet<Slot>,
}

impl Record for Taken {
    const KIND: &'static str = "turns";
    const SCHEMA: u32 = TURNS_SCHEMA;
    const MOST_BYTES: usize = 256 * 1024;
}

impl Turns {
    /// The slots of the deployment that has this place among those that poll the same tenant.
    pub fn new(records: Records, deployment: Place) -> Self {
        Self { records, deployment }
    }

    /// Takes slots in which nobody else sends, each `apart` from the one before it or more; the first begins later than now.
    ///
    /// # Errors
    ///
    /// The object cannot be read or written, or none is free.
    pub async fn take(&self, apart: Duration) -> Result<Vec<Slot>, RecordError> {
        let key = TURNS_KEY;
        let attempt = || async {
            let now = ambient::now();
            let (mut taken, condition) = match self.records.find_at_most(key, Taken::MOST_BYTES).await? {
                None => (Taken { schema: TURNS_SCHEMA, nonce: Uuid::nil(), slots: BTreeSet::new() }, Condition::Absent),
                Some(stored) => {
                    let unusable = |source| RecordError::Unusable { key: key.to_owned(), source };
                    (read(&stored.bytes).map_err(unusable)?, Condition::Unchanged(stored.version))
                }
            };
            let slots = self.free(&taken.slots, now, apart);
            taken.slots.retain(|slot| self.is_ahead(*slot, now));
            taken.slots.extend(&slots);
            taken.nonce = ambient::uuid_v4();
            let bytes = serde_json::to_vec(&taken).map_err(RecordError::from)?;
            let stored = self.records.put_if(&condition, key, bytes).await?;
            if stored.is_some() { Ok(slots) } else { Err(Refused::Taken) }
        };
        again(PATIENCE, attempt, || RecordError::Taken { key: key.to_owned() }).await
    }

    /// The next slot after `last` that only the rule at this place uses, and only while slots cannot be taken.
    pub fn kept_for(&self, rule: Place, now: Timestamp, last: Option<Slot>) -> Slot {
        let first = self.first_from(now).max(last.map_or(i64::MIN, |last| last.0.saturating_add(1)));
        let kept = |number: &i64| number.rem_euclid(KEPT) == KEPT - 1 && rule.has(number.div_euclid(KEPT));
        Slot((first..).find(kept).unwrap_or(first))
    }

    /// How long it is until a slot begins; none where it is too late for it.
    pub fn until(&self, slot: Slot, now: Timestamp) -> Option<Duration> {
        let wait = self.begins(slot).saturating_sub(now.as_millisecond());
        (wait >= -LATE).then(|| Duration::from_millis(wait.max(0).unsigned_abs()))
    }

    fn free(&self, taken: &BTreeSet<Slot>, now: Timestamp, apart: Duration) -> Vec<Slot> {
        let apart = i64::try_from(apart.as_millis()).unwrap_or(i64::MAX);
        // The one that begins next may have begun before the answer is there.
        let (mut free, mut number) = (Vec::new(), self.first_from(now).saturating_add(1));
        while free.len() < MOST_SLOTS && self.is_ahead(Slot(number), now) {
            let slot = Slot(number);
            number = number.saturating_add(1);
            if slot.0.rem_euclid(KEPT) != KEPT - 1 && !taken.contains(&slot) {
                free.push(slot);
                let next = self.begins(slot).saturating_add(apart);
                number = number.max(self.first_from(Timestamp::from_millisecond(next).unwrap_or(Timestamp::MAX)));
            }
        }
        free
    }

    /// Whether it is to come, and not so far off that nobody takes it yet.
    fn is_ahead(&self, slot: Slot, now: Timestamp) -> bool {
        let begins = self.begins(slot).saturating_sub(now.as_millisecond());
        (0..SignedDuration::as_millis(&AHEAD).try_into().unwrap_or(i64::MAX)).contains(&begins)
    }

    /// The number of the first slot that does not begin before `at`.
    fn first_from(&self, at: Timestamp) -> i64 {
        let (place, of) = (i64::from(self.deployment.place), i64::from(self.deployment.of));
        let slot = at.as_millisecond().div_euclid(SLOT) + i64::from(at.as_millisecond().rem_euclid(SLOT) > 0);
        (slot - place).div_euclid(of) + i64::from((slot - place).rem_euclid(of) > 0)
    }

    /// When a slot begins, in milliseconds since 1970.
    fn begins(&self, slot: Slot) -> i64 {
        let (place, of) = (i64::from(self.deployment.place), i64::from(self.deployment.of));
        slot.0.saturating_mul(of).saturating_add(place).saturating_mul(SLOT)
    }
}

#[cfg(test)]
mod tests;
