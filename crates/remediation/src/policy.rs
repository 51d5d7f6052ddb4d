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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{OpenDoor, Settings};

    fn policy(rules: &str) -> Result<Policy, PolicyError> {
        Policy::from_json(format!("{{\n\"schema\": 1,\n\"rules\": {rules}\n}}").as_bytes())
    }

    #[test]
    fn a_rule_has_the_mode_and_the_settings_that_the_policy_gives() {
        let days = |days| Settings { days };
        for (rules, mode, settings) in [
            (r#"{"open-door": {"mode": "apply", "settings": {"days": 30}}}"#, Mode::Apply, days(30)),
            (r#"{"open-door": {"mode": "off"}}"#, Mode::Off, days(90)),
            (r#"{"open-door": {"mode": "plan"}}"#, Mode::Plan, days(90)),
            (r#"{"open-door": {}}"#, Mode::Plan, days(90)),
        ] {
            assert_eq!(policy(rules).unwrap().rule::<OpenDoor>("open-door").unwrap(), (mode, settings), "{rules}");
        }
    }

    #[test]
    fn a_rule_that_the_policy_does_not_name_only_plans() {
        for text in [r#"{"schema": 1}"#, r#"{"schema": 1, "rules": {"other": {"mode": "apply"}}}"#] {
            let policy = Policy::from_json(text.as_bytes()).unwrap();
            assert_eq!(policy.rule::<OpenDoor>("open-door").unwrap(), (Mode::Plan, Settings::default()), "{text}");
        }
    }

    #[test]
    fn a_typo_is_refused_with_its_line_and_the_known_words() {
        for (rules, word) in [
            (r#"{"open-door": {"mod": "apply"}}"#, "unknown field `mod`, expected `mode` or `settings` at line 3"),
            (r#"{"open-door": {"mode": "Apply"}}"#, "unknown variant `Apply`, expected one of `off`, `plan`, `apply`"),
            (r#"{}, "rule": {}"#, "unknown field `rule`, expected `schema` or `rules` at line 3"),
        ] {
            let error = policy(rules).unwrap_err().to_string();
            assert!(error.starts_with("the policy cannot be read, so nothing is written: "), "{error}");
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn another_schema_version_is_refused() {
        let error = Policy::from_json(br#"{"schema": 2, "rules": {}}"#).unwrap_err();
        let says = "the policy has schema version 2, but this build reads 1, so nothing is written";
        assert_eq!(error.to_string(), says);
        assert!(matches!(Policy::from_json(b"{}"), Err(PolicyError::Syntax(_))));
    }

    #[test]
    fn settings_that_the_rule_does_not_know_are_refused_and_named() {
        for (settings, word) in [
            (r#"{"day": 30}"#, "unknown field `day`, expected `days`"),
            (r#"{"days": "many"}"#, "invalid type: string \"many\""),
        ] {
            let policy = policy(&format!(r#"{{"open-door": {{"mode": "apply", "settings": {settings}}}}}"#)).unwrap();
            let error = policy.rule::<OpenDoor>("open-door").unwrap_err().to_string();
            assert!(
                error.starts_with("the policy's settings of open-door cannot be used, so nothing is written: "),
                "{error}"
            );
            assert!(error.contains(word), "{error}");
        }
    }
}
