//! What can go wrong by itself, and how often.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::chance::Chance;

/// A way in which something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A call takes up to half a minute.
    Slow,
    /// The service asks to come back later.
    Throttled,
    /// The service fails, and does nothing.
    Failing,
    /// The request is lost on its way.
    LostRequest,
    /// The service refuses for good to remove an entry that was there before.
    Refused,
    /// The service does it, and its answer is lost.
    LostAnswer,
    /// A write goes unanswered for so long that its caller gives up, and takes effect later, or not at all.
    Unanswered,
    /// A read of a target account shows what was some seconds ago.
    Stale,
    /// A conditional write meets another one on the same key (S3's 409).
    Conflict,
    /// A session ends before its time.
    SessionEnds,
    /// A process is killed while it waits.
    Killed,
    /// A process stands still for minutes, and then goes on.
    Frozen,
    /// An event comes twice.
    Twice,
    /// An event comes minutes late.
    Late,
    /// A page of Netskope's list is one that came before.
    RepeatedPage,
    /// A process's clock is some seconds off.
    Skewed,
    /// A runbook takes longer than a Lambda lives.
    LongRunbook,
    /// A runbook fails.
    FailedRunbook,
}

impl Fault {
    /// All of them, each with the most that it happens, of a thousand times.
    pub const ALL: [(Self, u16); 18] = [
        (Self::Slow, 20),
        (Self::Throttled, 60),
        (Self::Failing, 60),
        (Self::LostRequest, 40),
        (Self::Refused, 60),
        (Self::LostAnswer, 60),
        (Self::Unanswered, 60),
        (Self::Stale, 200),
        (Self::Conflict, 40),
        (Self::SessionEnds, 60),
        (Self::Killed, 400),
        (Self::Frozen, 80),
        (Self::Twice, 300),
        (Self::Late, 200),
        (Self::RepeatedPage, 60),
        (Self::Skewed, 700),
        (Self::LongRunbook, 300),
        (Self::FailedRunbook, 200),
    ];
}

/// How often each happens, of a thousand times; never, where it is not listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Faults(pub BTreeMap<Fault, u16>);

impl Faults {
    /// Some of them: a run with all at once says less of each.
    pub fn by(chance: &Chance) -> Self {
        let of = |(fault, most): &(Fault, u16)| {
            let rate = u16::try_from(chance.between(1, u64::from(*most))).unwrap_or(*most);
            chance.strikes(450).then_some((*fault, rate))
        };
        Self(Fault::ALL.iter().filter_map(of).collect())
    }

    /// How often it happens.
    pub fn rate(&self, fault: Fault) -> u16 {
        self.0.get(&fault).copied().unwrap_or_default()
    }
}
