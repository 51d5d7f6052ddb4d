//! How a command ended, as its exit code tells it.

use remediation::Outcome;

/// How a command ended, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Nothing is left to do.
    NothingLeft,
    /// Something is left: changes that are planned, held or deferred.
    Left,
    /// Something failed.
    Failed,
}

impl Exit {
    /// The process's exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::NothingLeft => 0,
            Self::Left => 2,
            Self::Failed => 1,
        }
    }

    /// How a command ended whose only finding had this outcome.
    pub(crate) fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::AlreadyCompliant | Outcome::Gone | Outcome::Fixed | Outcome::Undone | Outcome::Exempt => {
                Self::NothingLeft
            }
            Outcome::Planned | Outcome::Held | Outcome::Deferred => Self::Left,
            Outcome::Unverified | Outcome::Failed => Self::Failed,
        }
    }
}
