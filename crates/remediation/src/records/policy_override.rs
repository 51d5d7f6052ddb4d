//! That an operator wrote in spite of the policy, and why: stored before the first write. In the deployment's bucket, that
//! it is stored raises an alarm.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::keys::Folder;
use super::schema::Record;
use crate::domain::RunId;

/// The version of the format of overrides that this build writes and reads.
pub const OVERRIDE_SCHEMA: u32 = 1;

/// That a command line did not keep to the deployment's policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyOverride {
    /// The version of the format.
    schema: u32,
    /// The run of the command.
    pub run: RunId,
    /// When it was stored.
    pub at: Timestamp,
    /// Who did so, by what the command said: the ARN of its caller.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl PolicyOverride {
    /// That the run `run` does so from now on.
    pub fn new(run: RunId, by: String, reason: String) -> Self {
        Self { schema: OVERRIDE_SCHEMA, run, at: ambient::now(), by, reason }
    }

    /// Where it is kept.
    pub fn key(&self) -> String {
        format!("{}/{}/{}.json", Folder::Overrides.name(), self.run.date(), self.run)
    }
}

impl Record for PolicyOverride {
    const KIND: &'static str = "override";
    const SCHEMA: u32 = OVERRIDE_SCHEMA;
    const MOST_BYTES: usize = 64 * 1024;
}
