//! What becomes of findings.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::aws::ErrorKind;

/// How the detail of a held finding begins whose changes wait for a person's approval; why is after it.
pub const NEEDS_APPROVAL: &str = "needs an approval: ";
/// How it says among the reasons that the resource is fought over.
pub const FOUGHT_OVER: &str = "fought over: ";

/// What became of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The resource complied before anything was done.
    AlreadyCompliant,
    /// The resource does not exist any more.
    Gone,
    /// Its changes are in the plan; the mode is `plan`.
    Planned,
    /// What still violates was left as it is because the policy says so, or waits for an approval.
    Held,
    /// The policy exempts the resource.
    Exempt,
    /// The changes were written, and a fresh look found nothing left to change.
    Fixed,
    /// The changes were written, but a fresh look could not confirm them in time.
    Unverified,
    /// A call failed, or the finding is unusable.
    Failed,
    /// What an earlier run wrote was taken back, and a fresh look found the resource as it was before that run.
    Undone,
    /// There was no time left for it, or it cannot be changed now; the next poll takes it up.
    Deferred,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::AlreadyCompliant => "already_compliant",
            Self::Gone => "gone",
            Self::Planned => "planned",
            Self::Held => "held",
            Self::Exempt => "exempt",
            Self::Fixed => "fixed",
            Self::Unverified => "unverified",
            Self::Failed => "failed",
            Self::Undone => "undone",
            Self::Deferred => "deferred",
        })
    }
}

impl ErrorKind {
    /// What the report says of a finding whose look, or whose write, failed so.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Gone => Outcome::Gone,
            Self::OutOfReach | Self::Stopped => Outcome::Held,
            Self::Passing | Self::Throttled | Self::Transient | Self::NotNow => Outcome::Deferred,
            Self::AccessDenied | Self::Permanent | Self::InvalidFinding => Outcome::Failed,
            Self::Unfinished | Self::Unneeded => Outcome::Unverified,
        }
    }
}
