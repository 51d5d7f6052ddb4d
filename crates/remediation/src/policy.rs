//! The operator's settings: one JSON file that Terraform writes to the bucket, read at each run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Rule;

/// The key of the policy in the bucket.
pub const POLICY_KEY: &str = "policy.json";

/// The version of the policy format that this build reads.
const POLICY_SCHEMA: u32 = 1;

/// What a rule may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Not even read.
    Off,
    /// Say what would change; never write.
    #[default]
    Plan,
    /// Write the planned changes and verify them.
    Apply,
}

/// The operator's settings for one rule.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulePolicy {
    /// What the rule may do.
    #[serde(default)]
    pub mode: Mode,
    /// The rule's own settings; the rule gives their shape and defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<serde_json::Value>,
}

/// The operator's settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    schema: u32,
    #[serde(default)]
    rules: BTreeMap<String, RulePolicy>,
}

/// A policy that cannot be used. Nothing is written while it is so.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// It is not a policy.
    #[error("the policy cannot be read, so nothing is written: {0}")]
    Syntax(#[from] serde_json::Error),
    /// A rule does not know its settings.
    #[error("the policy's settings of {rule} cannot be used, so nothing is written: {source}")]
    Settings {
        /// The rule.
        rule: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// It is of another version of the format.
    #[error("the policy has schema version {found}, but this build reads {POLICY_SCHEMA}, so nothing is written")]
    Schema {
        /// The version that it names.
        found: u32,
    },
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    ///
    /// A typo (with its line and the known keys), or another schema version.
    pub fn from_json(bytes: &[u8]) -> Result<Self, PolicyError> {
        let policy: Self = serde_json::from_slice(bytes)?;
        if policy.schema == POLICY_SCHEMA { Ok(policy) } else { Err(PolicyError::Schema { found: policy.schema }) }
    }

    /// The mode and the settings of the rule `R` with the ID `id`; a rule that the policy does not name only plans.
    ///
    /// # Errors
    ///
    /// The rule does not know one of its settings, or its value.
    pub fn rule<R: Rule>(&self, id: &str) -> Result<(Mode, R::Settings), PolicyError> {
        let Some(policy) = self.rules.get(id) else { return Ok(Default::default()) };
        let settings = policy.settings.clone().map(serde_json::from_value).transpose();
        let settings = settings.map_err(|source| PolicyError::Settings { rule: id.to_owned(), source })?;
        Ok((policy.mode, settings.unwrap_or_default()))
    }
}
