//! Modes.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a rule may do, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Not even read.
    Off,
    /// Say what would change; never write.
    #[default]
    Plan,
    /// Say what would change, and write it when a person has approved that plan.
    Approve,
    /// Write the planned changes and verify them.
    Apply,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Off => "off",
            Self::Plan => "plan",
            Self::Approve => "approve",
            Self::Apply => "apply",
        })
    }
}
