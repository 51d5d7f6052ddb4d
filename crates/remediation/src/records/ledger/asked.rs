//! What a batch asks a ledger for, as it stands in line for it.

use serde::{Deserialize, Serialize};

use super::super::schema::Record;
use crate::aws::AccountId;
use crate::domain::RunId;
use crate::policy::Limits;

/// The version of the format that this build writes and reads.
const SCHEMA: u32 = 1;

/// What a batch wants to change, and within which limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    schema: u32,
    pub(super) run: RunId,
    pub(super) rule: String,
    changes_per_day: Option<u32>,
    changes_per_run: Option<u32>,
    changes_per_rule: Option<u32>,
    changes_per_account: Option<u32>,
    changes_per_account_per_day: Option<u32>,
    /// Changes of one resource each, by its account.
    pub(super) wanted: Vec<(AccountId, u32)>,
}

impl Record for Asked {
    const KIND: &'static str = "request to a ledger";
    const SCHEMA: u32 = SCHEMA;
    /// A batch has at most some thousand findings.
    const MOST_BYTES: usize = 256 * 1024;
}

impl Asked {
    pub(super) fn new(run: RunId, rule: &str, limits: &Limits, wanted: &[(AccountId, u32)]) -> Self {
        Self {
            schema: SCHEMA,
            run,
            rule: rule.to_owned(),
            changes_per_day: limits.changes_per_day,
            changes_per_run: limits.changes_per_run,
            changes_per_rule: limits.changes_per_rule,
            changes_per_account: limits.changes_per_account,
            changes_per_account_per_day: limits.changes_per_account_per_day,
            wanted: wanted.to_vec(),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            changes_per_day: self.changes_per_day,
            changes_per_run: self.changes_per_run,
            changes_per_rule: self.changes_per_rule,
            changes_per_account: self.changes_per_account,
            changes_per_account_per_day: self.changes_per_account_per_day,
            ..Limits::unlimited()
        }
    }
}
