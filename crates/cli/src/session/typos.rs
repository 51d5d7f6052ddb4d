//! All that is wrong with the text of a policy, and not only the first of it.
//!
//! A parser stops at the first key or word that it does not know. So each of those is noted and blanked out, with what
//! belongs to it, and the rest is read again; the lines stay where they are.

use std::ops::Range;

use remediation::{Policy, PolicyError, nearest};
use serde::de::IgnoredAny;

use crate::session::rules::{self, LoadedRule};

/// So many typos are found at most.
const MOST: usize = 100;

/// What was read of a policy.
pub(crate) struct Read {
    /// The policy, without its typos; none where it is no policy for another reason.
    pub(crate) policy: Option<Policy>,
    /// What is wrong with it, in words.
    pub(crate) problems: Vec<String>,
}

/// Reads a policy, and finds all that is wrong with it.
pub(crate) fn read(text: &str, rules: &[LoadedRule]) -> Read {
    let (mut text, mut problems) = (text.to_owned(), Vec::new());
    let policy = loop {
        match Policy::from_json(text.as_bytes()) {
            Ok(policy) => break policy,
            Err(error) => {
                let follows = !problems.is_empty() && error.to_string().contains("missing field");
                let blanked = without(&text, &error.to_string(), position(&text)).filter(|_| problems.len() < MOST);
                if !follows {
                    problems.push(error.to_string());
                }
                match blanked {
                    Some(blanked) => text = blanked,
                    None => return Read { policy: None, problems },
                }
            }
        }
    };
    problems.extend(unknown_rules(&policy, rules));
    for rule in rules {
        problems.extend(of_settings(&text, rule));
    }
    Read { policy: Some(policy), problems }
}

fn unknown_rules(policy: &Policy, rules: &[LoadedRule]) -> Vec<String> {
    let known = || rules.iter().map(|rule| rule.manifest.id.as_str());
    let named = policy.rules_named().into_iter().filter(|(rule, _)| !known().any(|known| known == rule));
    let unknown = |(rule, line): (String, Option<usize>)| {
        let meant = nearest(&rule, known())
            .map_or_else(|| format!("the rules are: {}", rules::ids(rules)), |meant| format!("is `{meant}` meant?"));
        let line = line.map(|line| format!(" in line {line}")).unwrap_or_default();
        format!("there is no rule `{rule}`{line}; {meant}")
    };
    named.map(unknown).collect()
}

/// What is wrong with the settings of a rule.
fn of_settings(text: &str, rule: &LoadedRule) -> Vec<String> {
    let (mut text, mut problems) = (text.to_owned(), Vec::new());
    while problems.len() < MOST {
        let Ok(policy) = Policy::from_json(text.as_bytes()) else { break };
        let Err(error) = rule.guard(&policy) else { break };
        let (message, place) = (error.to_string(), line_of(&error).and_then(|line| offset(&text, line, 1)));
        problems.push(message.clone());
        let name = unknown(&message);
        let token = name.zip(place).and_then(|(name, start)| Some(start + text.get(start..)?.find(&quoted(name))?));
        let Some(blanked) = token.and_then(|token| blank(&text, token)) else { break };
        text = blanked;
    }
    problems
}

/// The line that an error of settings names at its end.
fn line_of(error: &PolicyError) -> Option<usize> {
    let PolicyError::Settings { message, .. } = error else { return None };
    let digits = message.rsplit_once(" in line ")?.1;
    digits.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

/// Where the parser stopped.
fn position(text: &str) -> Option<usize> {
    let error = serde_json::from_str::<Policy>(text).err()?;
    offset(text, error.line(), error.column().max(1))
}

/// The offset of a line and column, both from 1. A column is counted in bytes.
fn offset(text: &str, line: usize, column: usize) -> Option<usize> {
    let before: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    let offset = before.checked_add(column - 1)?;
    (offset <= text.len()).then_some(offset)
}

/// The text without what the error says is unknown, right before the place where the parser stopped.
fn without(text: &str, error: &str, stopped: Option<usize>) -> Option<String> {
    let before = text.get(..=stopped?).or_else(|| text.get(..stopped?))?;
    blank(text, before.rfind(&quoted(unknown(error)?))?)
}

/// The key or word that an error says is unknown.
fn unknown(error: &str) -> Option<&str> {
    let (_, rest) = error.split_once("unknown ")?;
    rest.split('`').nth(1)
}

fn quoted(name: &str) -> String {
    serde_json::Value::from(name).to_string()
}

/// The text with spaces in the place of the member, or the element, to which the string at `token` belongs.
fn blank(text: &str, token: usize) -> Option<String> {
    let end = end_of_value(text, token)?;
    let is_key = text.get(end..)?.trim_start().starts_with(':');
    let member = if is_key {
        let colon = end + text.get(end..)?.find(':')? + 1;
        let value = colon + (text.get(colon..)?.len() - text.get(colon..)?.trim_start().len());
        token..end_of_value(text, value)?
    } else {
        key_before(text, token).unwrap_or(token)..end
    };
    let Range { start, end } = with_comma(text, member);
    let spaces: String = text.get(start..end)?.chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }).collect();
    Some(format!("{}{spaces}{}", text.get(..start)?, text.get(end..)?))
}

fn end_of_value(text: &str, start: usize) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_str(text.get(start..)?).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    Some(start + values.byte_offset())
}

/// Where the key of a value begins, where it has one.
fn key_before(text: &str, value: usize) -> Option<usize> {
    let key = text.get(..value)?.trim_end().strip_suffix(':')?.trim_end().strip_suffix('"')?;
    key.rfind('"')
}

/// With the comma after it, or else the one before it.
fn with_comma(text: &str, Range { start, end }: Range<usize>) -> Range<usize> {
    let (before, after) = (text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default());
    if after.trim_start().starts_with(',') {
        return start..end + after.find(',').unwrap_or_default() + 1;
    }
    match before.trim_end().strip_suffix(',') {
        Some(rest) => rest.len()..end,
        None => start..end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_typos_are_found_at_once_each_in_its_line() {
        let text = r#"{
  "pausd": true,
  "mode": "aply",
  "rules": {
    "s3-public-bukket": {"mode": "plan"},
    "iam-stale-access-key": {"settings": {"dais": 30, "guard_recent_us": "warn"}}
  },
  "limits": {"changes_per_rum": 3}
}"#;
        let rules = rules::all().unwrap();
        let Read { policy, problems } = read(text, &rules);
        assert!(policy.is_some() && problems.len() == 6, "{problems:#?}");
        for (part, line) in [
            ("`pausd`", 2),
            ("`aply`", 3),
            ("`changes_per_rum`", 8),
            ("`s3-public-bukket`", 5),
            ("`dais`", 6),
            ("`guard_recent_us`", 6),
        ] {
            let found = problems.iter().filter(|problem| problem.contains(part)).collect::<Vec<_>>();
            assert!(found.len() == 1 && found[0].contains(&format!("line {line}")), "{part}: {problems:#?}");
            assert!(found[0].contains("is `"), "it says what is meant: {found:?}");
        }
    }

    #[test]
    fn on_one_line_and_at_an_end_typos_are_found_too() {
        let rules = rules::all().unwrap();
        let problems = |text: &str| read(text, &rules).problems.len();
        assert_eq!(problems(r#"{"pausd": {"a": [1, 2]}, "mode": "aply", "limitz": {}}"#), 3);
        assert_eq!(problems(r#"{"mode": "plan", "limitz": {}, "ü": "é"}"#), 2);
        assert_eq!(problems(r#"{"mode": "plan"}"#), 0);
        assert_eq!(problems("{"), 1, "what is no JSON is told once");
        assert_eq!(problems(r#"{"mode": 3}"#), 1);
    }
}
