//! What a schedule sends: the rule to poll for. With a rule that this build does not have, also the names of its
//! controls, as Terraform read them in its `rule.json`. And which of the deployment's rules it is.
//!
//! Who may invoke the poller can so let it ask for any control; what comes of it is findings for a rule's Lambda, which
//! knows its own controls and refuses others. The controls of the rules of this build cannot be replaced.

use escape::{brief, is_unsafe};
use remediation::records::TurnPlace;
use remediation::{Control, Manifest};
use serde::Deserialize;

/// The most characters of a rule's ID. Terraform makes names of roles from it.
const MOST_OF_ID: usize = 31;
/// The most controls of a rule.
const MOST_CONTROLS: usize = 20;
/// The most spellings of a control.
const MOST_SPELLINGS: usize = 10;
/// The most characters of a control's name.
const MOST_OF_NAME: usize = 512;

/// What a schedule sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Event {
    /// The ID of the rule to poll for.
    rule: String,
    /// The controls of a rule that this build does not have.
    controls: Option<Vec<Control>>,
    /// The place of the rule among those of the deployment, which take turns to ask Netskope.
    turns: Option<TurnPlace>,
}

/// A rule to poll for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Polled<'a> {
    pub(crate) rule: &'a str,
    pub(crate) controls: &'a [Control],
    pub(crate) turns: Option<TurnPlace>,
}

/// Why nothing can be polled for.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The event names a rule that this build does not have, and no controls.
    #[error(
        "there is no rule `{rule}`. The rules are: {known}. For a rule of your own, the event needs its controls as \
         well, as its schedule has them: put its rule.json into further_rules and apply Terraform"
    )]
    UnknownRule {
        /// What was asked for.
        rule: String,
        /// What there is.
        known: String,
    },
    /// The event has controls for a rule of this build.
    #[error("the event has controls for the rule `{0}`, whose controls this build has: take them out")]
    KnownRule(String),
    /// The ID is none.
    #[error(
        "`{0}` cannot be a rule's ID: it must start with a letter and have at most {MOST_OF_ID} lower-case letters, \
         digits and hyphens"
    )]
    Id(String),
    /// The controls of the event cannot be asked for.
    #[error("the controls of the rule `{rule}` in the event cannot be used: {reason}")]
    Controls {
        /// The rule.
        rule: String,
        /// What is wrong.
        reason: String,
    },
}

impl Event {
    /// The rule that it names, whether there is such a rule or not.
    pub(crate) fn rule(&self) -> &str {
        &self.rule
    }

    /// What to poll for, where these are the rules of this build.
    pub(crate) fn polled<'a>(&'a self, manifests: &'a [Manifest]) -> Result<Polled<'a>, EventError> {
        let Self { rule, controls, turns } = self;
        let polled = match (known(rule, manifests), controls) {
            (Ok(polled), None) => Ok(polled),
            (Err(unknown), None) => Err(unknown),
            (Ok(_), Some(_)) => Err(EventError::KnownRule(rule.clone())),
            (Err(_), Some(controls)) => {
                if !is_id(rule) {
                    return Err(EventError::Id(brief(rule)));
                }
                check(controls).map_err(|reason| EventError::Controls { rule: rule.clone(), reason })?;
                Ok(Polled { rule, controls, turns: None })
            }
        };
        polled.map(|polled| Polled { turns: *turns, ..polled })
    }
}

/// The rule of this build with the ID `rule`.
pub(crate) fn known<'a>(rule: &str, manifests: &'a [Manifest]) -> Result<Polled<'a>, EventError> {
    let found = manifests.iter().find(|manifest| manifest.id == rule);
    found.map(|manifest| Polled { rule: &manifest.id, controls: &manifest.controls, turns: None }).ok_or_else(|| {
        let known: Vec<_> = manifests.iter().map(|manifest| manifest.id.as_str()).collect();
        EventError::UnknownRule { rule: brief(rule), known: known.join(", ") }
    })
}

fn is_id(text: &str) -> bool {
    text.len() <= MOST_OF_ID
        && text.starts_with(|letter: char| letter.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn check(controls: &[Control]) -> Result<(), String> {
    if !(1..=MOST_CONTROLS).contains(&controls.len()) {
        return Err(format!("there are {}, and 1 to {MOST_CONTROLS} are taken", controls.len()));
    }
    for Control { rule_names, short_name, .. } in controls {
        if !(1..=MOST_SPELLINGS).contains(&rule_names.len()) {
            let (count, name) = (rule_names.len(), brief(short_name));
            return Err(format!("`{name}` has {count} rule_names, and 1 to {MOST_SPELLINGS} are taken"));
        }
        if let Some(name) = rule_names.iter().chain([short_name]).find(|name| !is_name(name)) {
            let name = brief(name);
            return Err(format!("`{name}` is no name: it must have 1 to {MOST_OF_NAME} characters that can be seen"));
        }
    }
    Ok(())
}

fn is_name(text: &str) -> bool {
    (1..=MOST_OF_NAME).contains(&text.chars().count()) && !text.trim().is_empty() && !text.chars().any(is_unsafe)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const KNOWN: &str = r#"{"id": "open-door", "title": "t", "service": "s", "scope": "regional", "controls": [],
        "read": [], "write": [], "undo": [], "runbook": null,
        "docs": {"why": "w", "impact": "i", "undo": "u", "by_hand": "h"}}"#;

    /// The rule and the first control's first name of what an event leads to.
    fn polled(event: &Value) -> Result<(String, Option<String>), String> {
        let event: Event = serde_json::from_value(event.clone()).map_err(|error| error.to_string())?;
        let manifests = [Manifest::from_json(KNOWN).unwrap()];
        let polled = event.polled(&manifests).map_err(|error| error.to_string())?;
        Ok((polled.rule.to_owned(), polled.controls.first().map(|control| control.rule_names[0].clone())))
    }

    fn control(name: &str) -> Value {
        json!({"rule_names": [name], "short_name": "MINE-1"})
    }

    #[test]
    fn a_rule_of_the_build_needs_its_id_and_another_its_controls_too() {
        assert_eq!(polled(&json!({"rule": "open-door"})).unwrap(), ("open-door".into(), None));
        let mine = json!({"rule": "my-rule", "controls": [control("Ensure that it is mine.")]});
        assert_eq!(polled(&mine).unwrap(), ("my-rule".into(), Some("Ensure that it is mine.".into())));
        let unknown = polled(&json!({"rule": "my-rule"})).unwrap_err();
        assert!(unknown.contains("`my-rule`") && unknown.contains("open-door") && unknown.contains("further_rules"));
    }

    #[test]
    fn the_controls_of_a_rule_of_the_build_cannot_be_replaced() {
        let error = polled(&json!({"rule": "open-door", "controls": [control("Another.")]})).unwrap_err();
        assert!(error.contains("controls for the rule `open-door`"), "{error}");
    }

    #[test]
    fn what_else_an_event_has_is_refused() {
        let names = |count: usize| vec!["x"; count];
        for (event, says) in [
            (json!({}), "missing field `rule`"),
            (json!({"rule": 1}), "invalid type"),
            (json!({"rule": "open-door", "mode": "apply"}), "unknown field `mode`"),
            (json!({"rule": "open-door", "turns": {"place": 3, "of": 3}}), "there is no place 3 of 3"),
            (json!({"rule": "../policy", "controls": [control("x")]}), "cannot be a rule's ID"),
            (json!({"rule": "My-rule", "controls": [control("x")]}), "cannot be a rule's ID"),
            (json!({"rule": "x".repeat(32), "controls": [control("x")]}), "at most 31"),
            (json!({"rule": "my-rule", "controls": []}), "there are 0"),
            (json!({"rule": "my-rule", "controls": vec![control("x"); 21]}), "there are 21"),
            (json!({"rule": "my-rule", "controls": [{"rule_names": names(0), "short_name": "S"}]}), "has 0 rule_names"),
            (json!({"rule": "my-rule", "controls": [{"rule_names": names(11), "short_name": "S"}]}), "has 11"),
            (json!({"rule": "my-rule", "controls": [control(" ")]}), "is no name"),
            (json!({"rule": "my-rule", "controls": [control("a\nb")]}), "is no name"),
            (json!({"rule": "my-rule", "controls": [control(&"x".repeat(513))]}), "is no name"),
            (json!({"rule": "my-rule", "controls": [{"rule_names": ["x"], "short_name": ""}]}), "is no name"),
        ] {
            let error = polled(&event).unwrap_err();
            assert!(error.contains(says), "{event}: {error}");
        }
    }
}
