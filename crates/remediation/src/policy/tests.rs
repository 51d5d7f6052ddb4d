//! Policies, as an operator writes them.

use super::*;
use crate::domain::{Finding, Manifest, Resource};
use jiff::Timestamp;

/// A rule's settings.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { days: 90 }
    }
}

fn manifest() -> Manifest {
    let manifest = serde_json::json!({
        "id": "open-door", "title": "Door that is open", "service": "test", "scope": "regional",
        "arns": [],
        "controls": [{"rule_names": ["Ensure every door is closed."], "short_name": "T-1"}],
        "read": [], "write": [], "undo": [], "runbook": null,
        "docs": {"why": "w", "impact": "i", "undo": "u", "by_hand": "h"}
    });
    Manifest::from_json(&manifest.to_string()).unwrap()
}

const ONE: &str = "111111111111";
const TWO: &str = "222222222222";

/// A policy with these keys, from its second line on.
fn policy(keys: &str) -> Result<Policy, PolicyError> {
    Policy::from_json(format!("{{\"schema\": 1,\n{keys}\n}}").as_bytes())
}

fn mode(policy: &Policy, rule: &str, account: &str) -> Mode {
    policy.mode(rule, &account.parse().unwrap())
}

#[test]
fn a_rule_has_the_mode_and_the_settings_that_the_policy_gives() {
    for (rules, mode_of_it, days) in [
        (r#"{"open-door": {"mode": "apply", "settings": {"days": 30}}}"#, Mode::Apply, 30),
        (r#"{"open-door": {"mode": "off"}}"#, Mode::Off, 90),
        (r#"{"open-door": {"mode": "approve", "settings": null}}"#, Mode::Approve, 90),
        (r#"{"open-door": {}}"#, Mode::Plan, 90),
        (r#"{"other": {"mode": "apply", "settings": {"what": "ever"}}}"#, Mode::Plan, 90),
    ] {
        let policy = policy(&format!("\"rules\": {rules}")).unwrap();
        assert_eq!(mode(&policy, "open-door", ONE), mode_of_it, "{rules}");
        assert_eq!(policy.settings::<Settings>("open-door").unwrap(), Settings { days }, "{rules}");
    }
    assert_eq!(mode(&policy("\"mode\": \"approve\"").unwrap(), "open-door", ONE), Mode::Approve);
    assert_eq!(mode(&Policy::from_json(br#"{"schema": 1}"#).unwrap(), "open-door", ONE), Mode::Plan);
    assert_eq!(mode(&Policy::unrestricted(), "open-door", ONE), Mode::Apply);
}

#[test]
fn modes_go_from_the_least_to_the_most() {
    assert!(Mode::Off < Mode::Plan && Mode::Plan < Mode::Approve && Mode::Approve < Mode::Apply);
}

#[test]
fn the_last_override_of_which_everything_applies_counts() {
    let policy = policy(
        r#""mode": "apply",
        "accounts": {"111111111111": {"organizational_units": ["ou-prod"], "tags": {"env": "prod", "team": "a"}}},
        "overrides": [
            {"accounts": ["111111111111", "333333333333"], "mode": "plan"},
            {"organizational_units": ["ou-prod"], "rules": ["open-door"], "mode": "approve"},
            {"account_tags": {"env": "prod", "team": "b"}, "mode": "off"},
            {"account_tags": {"env": "prod", "team": "a"}, "rules": ["sealed-door"], "mode": "off"}
        ]"#,
    )
    .unwrap();
    for (rule, account, expected) in [
        ("open-door", ONE, Mode::Approve),
        ("sealed-door", ONE, Mode::Off),
        ("other", ONE, Mode::Plan),
        ("open-door", "333333333333", Mode::Plan),
        ("open-door", TWO, Mode::Apply),
    ] {
        assert_eq!(mode(&policy, rule, account), expected, "{rule} in {account}");
    }
}

#[test]
fn a_typo_is_refused_with_its_line_and_the_word_that_is_meant() {
    for (keys, words) in [
        ("\"pasued\": true", ["unknown field `pasued`, expected one of `schema`", "at line 2", "; is `paused` meant?"]),
        ("\"rules\": {\"a\": {\"mod\": \"off\"}}", ["unknown field `mod`", "at line 2", "; is `mode` meant?"]),
        ("\"mode\": \"Apply\"", ["unknown variant `Apply`", "at line 2", "; is `apply` meant?"]),
        (
            "\"limits\":\n{\"change_per_run\": 3}",
            ["unknown field `change_per_run`", "at line 3", "`changes_per_run` meant"],
        ),
        ("\"accounts\": {\"1\": {}}", ["`1` is not an AWS account ID", "at line 2", ""]),
        ("\"limits\": {\"failure_percent\": 101}", ["`101`, expected a whole number from 1 to 100", "at line 2", ""]),
        (
            "\"fight\": {\"window_days\": 10000000}",
            ["`10000000`, expected a whole number from 1 to 365", "at line 2", ""],
        ),
        ("\"fight\": {\"fixes\": 51}", ["`51`, expected a whole number from 1 to 50", "at line 2", ""]),
        ("\"approval_hours\": 4294967295", ["expected a whole number from 1 to 8760", "at line 2", ""]),
        ("\"approval_hours\": 0", ["`0`, expected a whole number from 1", "at line 2", ""]),
        ("\"overrides\": [{\"mode\": \"off\"}]", ["an override names no rule", "at line 2", ""]),
        (
            "\"overrides\": [{\"account\": [], \"mode\": \"off\"}]",
            ["unknown field `account`", "line 2", "`accounts` meant"],
        ),
        ("\"exemptions\": [{\"reason\": \"r\", \"owner\": \"o\"}]", ["an exemption names no rule", "at line 2", ""]),
        ("\"exemptions\": [{\"rules\": [\"a\"], \"reason\": \" \", \"owner\": \"o\"}]", ["a `reason`", "line 2", ""]),
        ("\"exemptions\": [{\"rules\": [\"a\"], \"owner\": \"o\"}]", ["missing field `reason`", "line 2", ""]),
        (
            "\"exemptions\": [{\"resources\": [\"a[\"], \"reason\": \"r\", \"owner\": \"o\"}]",
            ["error parsing glob 'a['", "line 2", ""],
        ),
        (
            "\"exemptions\": [{\"rules\": [\"a\"], \"expires\": \"soon\", \"reason\": \"r\", \"owner\": \"o\"}]",
            ["as year", "line 2", ""],
        ),
    ] {
        let error = policy(keys).unwrap_err().to_string();
        assert!(error.starts_with("the policy cannot be used, so nothing is written: "), "{error}");
        assert!(words.iter().all(|word| error.contains(word)), "{keys}: {error}");
    }
}

#[test]
fn another_schema_version_is_refused() {
    let error = Policy::from_json(br#"{"schema": 2, "rules": {}}"#).unwrap_err();
    let says = "the policy has schema version 2, but this build reads 1, so nothing is written";
    assert_eq!(error.to_string(), says);
    assert!(Policy::from_json(b"{}").is_ok());
    assert!(matches!(Policy::from_json(b"{"), Err(PolicyError::Syntax(_))));
    assert!(matches!(Policy::from_json(&[0xff]), Err(PolicyError::Syntax(_))));
    let mut long = br#"{"schema": 1}"#.to_vec();
    long.resize(Policy::MOST_BYTES, b' ');
    assert!(Policy::from_json(&long).is_ok());
    long.push(b' ');
    assert!(Policy::from_json(&long).unwrap_err().to_string().contains("more than the 4194304 that one can have"));
}

#[test]
fn a_policy_that_windows_wrote_is_read() {
    let text = "\u{feff}{\"schema\": 1,\r\n\"paused\": true}";
    for bytes in [text.into(), text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()] {
        assert!(Policy::from_json(&bytes).unwrap().paused, "{bytes:?}");
    }
}

#[test]
fn settings_that_the_rule_does_not_know_are_refused_with_the_line() {
    for (settings, words) in [
        ("{\n\"day\": 30}", ["unknown field `day`, expected `days`", "; is `days` meant? in line 5"]),
        ("{\"days\": \"many\"}", ["invalid type: string \"many\"", " in line 4"]),
        ("3", ["invalid type: integer `3`", " in line 4"]),
    ] {
        // The same text stands before, where it is another rule's.
        let rules = format!("{{\"a\": {{\"settings\": {settings}}},\n\n\"open-door\": {{\"settings\": {settings}}}}}");
        let rules = rules.replacen("{\n\"day\"", "{\"day\"", 1);
        let error = policy(&format!("\"rules\": {rules}")).unwrap().settings::<Settings>("open-door").unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with("the policy's settings of open-door cannot be used, so nothing is written: "),
            "{error}"
        );
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
}

#[test]
fn every_rule_that_is_named_is_told_with_its_line() {
    let policy = policy(
        r#""rules": {"a": {}},
        "overrides": [{"rules": ["b"], "mode": "off"}],
        "exemptions": [{"rules": ["c"], "reason": "r", "owner": "o"}]"#,
    );
    let named = policy.unwrap().rules_named();
    assert_eq!(named, [("a".into(), Some(2)), ("b".into(), Some(3)), ("c".into(), Some(4))]);
}

fn exemption(keys: &str) -> Exemption {
    let policy = policy(&format!("\"exemptions\": [{{{keys}, \"reason\": \"why\", \"owner\": \"who\"}}]")).unwrap();
    policy.exemptions[0].clone()
}

#[test]
fn an_exemption_is_about_what_everything_in_it_fits() {
    let finding = Finding::of(ONE, "eu-central-1", "h0");
    let arn = Finding { resource: "arn:aws:test:eu-central-1:111111111111:house/h0".into(), ..finding.clone() };
    let mut manifest = manifest();
    manifest.arns = vec!["arn:{partition}:test:{region}:{account}:house/{id}".into()];
    for (keys, about) in [
        (r#""rules": ["open-door"]"#, About::Yes),
        (r#""rules": ["a", "open-door"], "accounts": ["111111111111"], "regions": ["eu-central-1"]"#, About::Yes),
        (r#""rules": ["other"]"#, About::No),
        (r#""rules": ["open-door"], "accounts": ["222222222222"]"#, About::No),
        (r#""regions": ["global"]"#, About::No),
        (r#""resources": ["h*"]"#, About::Yes),
        (r#""resources": ["h1", "h?"]"#, About::Yes),
        (r#""resources": ["arn:aws:test:*:111111111111:house/h*"]"#, About::Yes),
        (r#""resources": ["arn:aws:test:*:222222222222:house/*"]"#, About::No),
        (r#""resources": ["H0", "h"]"#, About::No),
        (r#""tags": {"keep": "yes"}"#, About::IfTagged),
        (r#""tags": {"keep": "yes"}, "resources": ["x"]"#, About::No),
    ] {
        for finding in [&finding, &arn] {
            let names = Names::of_finding(finding, &manifest, "us-east-1");
            assert_eq!(exemption(keys).is_about("open-door", finding, &names), about, "{keys}: {finding:?}");
        }
    }
}

#[test]
fn a_resource_without_a_region_is_named_in_the_home_region() {
    let finding = Finding::of(ONE, "global", "anna");
    let mut manifest = manifest();
    manifest.arns = vec!["arn:{partition}:iam:{region}:{account}:user/{id}".into()];
    let names = Names::of_finding(&finding, &manifest, "us-gov-west-1");
    let exemption = exemption(r#""resources": ["arn:aws-us-gov:iam:us-gov-west-1:111111111111:user/anna"]"#);
    assert_eq!(exemption.is_about("open-door", &finding, &names), About::Yes);
}

#[test]
fn an_exemption_is_about_every_name_and_the_region_that_aws_knows() {
    let finding = Finding::of(ONE, "global", "h0");
    let resource = Resource::of_arn("x:X", format!("arn:aws:test:eu-west-1:{ONE}:house/h0"), "h0").unwrap();
    let resource = resource.called(["bastion-1".to_owned()]);
    for keys in [
        r#""resources": ["bastion-*"]"#,
        r#""resources": ["arn:aws:test:eu-west-1:*"]"#,
        r#""resources": ["h0"], "regions": ["eu-west-1"]"#,
        r#""resources": ["h0"], "regions": ["global"]"#,
    ] {
        let names = Names::of_finding(&finding, &manifest(), "us-east-1").and(&resource);
        assert_eq!(exemption(keys).is_about("open-door", &finding, &names), About::Yes, "{keys}");
    }
    let names = Names::of_finding(&finding, &manifest(), "us-east-1").and(&resource);
    assert_eq!(exemption(r#""resources": ["bastion-2"]"#).is_about("open-door", &finding, &names), About::No);
}

#[test]
fn all_tags_of_an_exemption_must_be_there() {
    let exemption = exemption(r#""tags": {"keep": "yes", "team": "a"}"#);
    let tags = |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    assert!(exemption.is_tagged(&tags(&[("keep", "yes"), ("team", "a"), ("more", "")])));
    assert!(!exemption.is_tagged(&tags(&[("keep", "yes"), ("team", "b")])));
    assert!(!exemption.is_tagged(&tags(&[("keep", "yes")])));
}

#[test]
fn an_exemption_holds_to_the_end_of_its_last_day() {
    let of_a_day = exemption(r#""rules": ["open-door"], "expires": "2026-01-31""#);
    let expired = |at: &str| of_a_day.is_expired(at.parse::<Timestamp>().unwrap());
    assert!(!expired("2026-01-31T23:59:59Z") && expired("2026-02-01T00:00:00Z"));
    assert!(!exemption(r#""rules": ["open-door"]"#).is_expired(Timestamp::MAX));
    assert_eq!(of_a_day.to_string(), "why (owner: who; until 2026-01-31)");
    assert_eq!(exemption(r#""rules": ["a"]"#).to_string(), "why (owner: who)");
}

#[test]
fn a_policy_that_cannot_be_read_for_a_moment_defers_and_any_other_error_holds() {
    use crate::domain::Outcome;
    let unread = |passes| PolicyError::Unread { why: "told so".into(), passes };
    assert_eq!((unread(true).outcome(), unread(false).outcome()), (Outcome::Deferred, Outcome::Held));
    assert_eq!(policy("\"pausd\": true").unwrap_err().outcome(), Outcome::Held);
}

#[test]
fn of_mode_and_grace_the_last_override_that_says_it_counts() {
    let policy = policy(
        r#""mode": "apply", "rules": {"a": {"grace_days": 3}},
        "overrides": [{"accounts": ["111111111111"], "mode": "approve", "grace_days": 14},
            {"rules": ["a"], "grace_days": 0}, {"rules": ["a", "b"], "mode": "plan"}]"#,
    )
    .unwrap();
    let of = |rule: &str, account: &str| {
        let account = account.parse().unwrap();
        (policy.mode(rule, &account), policy.grace_days(rule, &account))
    };
    let two = "222222222222";
    assert_eq!((of("a", ONE), of("a", two)), ((Mode::Plan, 0), (Mode::Plan, 0)));
    assert_eq!((of("b", ONE), of("b", two)), ((Mode::Plan, 14), (Mode::Plan, 0)));
    assert_eq!((of("c", ONE), of("c", two)), ((Mode::Approve, 14), (Mode::Apply, 0)));
}

#[test]
fn a_grace_that_cannot_be_is_refused_with_its_line() {
    let many = format!(r#""owner_tags": [{}]"#, [r#""a""#; 11].join(","));
    for (keys, says) in [
        (
            r#""overrides": [{"rules": ["a"]}]"#,
            "an override says nothing: give it a `mode`, `grace_days` or both at line",
        ),
        (r#""rules": {"a": {"grace_days": 366}}"#, "expected a whole number from 0 to 365 at line"),
        (r#""rules": {"a": {"grace_days": 1.5}}"#, "expected a whole number from 0 to 365 at line"),
        (r#""rules": {"a": {"grace_days": -1}}"#, "expected a whole number from 0 to 365 at line"),
        (r#""owner_tags": [" "]"#, "an owner's tag has no name at line"),
        (&many, "11 tags are more than the 10"),
    ] {
        let error = policy(keys).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_rescan_names_policies_of_netskope_and_is_every_six_hours_unless_set() {
    let rescan = |text: &str| policy(&format!("\"rescan\": {text}")).map(|policy| policy.rescan);
    let found = rescan(r#"{"netskope_policies": ["Best practices"]}"#).unwrap().unwrap();
    assert_eq!((found.interval().as_hours(), &found.netskope_policies[..]), (6, &["Best practices".to_owned()][..]));
    let found = rescan(r#"{"netskope_policies": ["a"], "interval_hours": 168}"#).unwrap().unwrap();
    assert_eq!(found.interval().as_hours(), 168);
    assert!(rescan("null").unwrap().is_none() && policy("\"mode\": \"plan\"").unwrap().rescan.is_none());
    let (many, long) = (vec!["a"; 11], "x".repeat(129));
    for (value, says) in [
        (serde_json::json!({}), "missing field `netskope_policies` at line 2"),
        (serde_json::json!({"netskope_policies": []}), "names 1 to 10 of Netskope's policies, not 0"),
        (serde_json::json!({"netskope_policies": many}), "names 1 to 10 of Netskope's policies, not 11"),
        (serde_json::json!({"netskope_policies": [long]}), "has 1 to 128 characters"),
        (serde_json::json!({"netskope_policies": [" a"]}), "no space at either end"),
        (serde_json::json!({"netskope_policies": ["a\u{202e}"]}), "characters that can be seen"),
        (serde_json::json!({"netskope_policies": ["a"], "interval_hours": 0}), "a whole number from 1 to 168"),
        (serde_json::json!({"netskope_policies": ["a"], "interval_hours": 169}), "a whole number from 1 to 168"),
        (serde_json::json!({"netskope_policy": ["a"]}), "is `netskope_policies` meant?"),
    ] {
        let error = rescan(&value.to_string()).unwrap_err().to_string();
        assert!(error.contains(says), "{value}: {error}");
    }
}

#[test]
fn the_owner_is_who_the_first_of_the_tags_names() {
    let policy = policy(r#""owner_tags": ["Owner", "team"]"#).unwrap();
    let tags = |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    assert_eq!(policy.owner(&tags(&[("team", "b"), ("Owner", "a")])), Some("a"));
    assert_eq!(policy.owner(&tags(&[("team", "b"), ("owner", "a")])), Some("b"));
    assert_eq!(policy.owner(&tags(&[])), None);
}
