//! Reports and pauses in, messages out.

use std::path::Path;
use std::{fs, iter};

use jiff::{SignedDuration, Timestamp};
use remediation::records::{Contested, Grace};
use remediation::{BatchId, BatchLineError, Finding, Mode, Region, Resource, RunId, Stops, StoredPlan};
use serde_json::Value;

use super::*;
use crate::detail::schema;
use crate::samples::samples;

const KEY: &str = "reports/open-door/2026-01-02/x-1.json";
const WAITS: &str = "needs an approval: the mode is approve";
const FOUGHT: &str = "needs an approval: fought over: it was fixed 3 times and violates again; the reports: a, b, c";

/// A row about the door of this number, in an account.
fn row(account: &str, door: usize, outcome: Outcome, detail: &str) -> ReportedFinding {
    let finding = Finding {
        control: "Ensure every door is closed.".into(),
        account: account.parse().unwrap(),
        region: Region::code("us-east-1"),
        resource: format!("door-{door}"),
        first_seen: None,
        last_scanned: None,
    };
    let arn = format!("arn:aws:test:us-east-1:{account}:door/door-{door}");
    let resource = Resource::of_arn("test:GetDoors", arn, format!("door-{door}")).unwrap();
    let detail = (!detail.is_empty()).then(|| detail.to_owned());
    let changes = vec!["open → closed".into()];
    ReportedFinding { resource: Some(resource), changes, ..ReportedFinding::unwritten(finding, outcome, detail) }
}

fn report(rows: Vec<ReportedFinding>) -> Report {
    let id = BatchId { rule: "open-door".into(), run: RunId::start(), batch: 1 };
    let plan = StoredPlan { key: id.plan_key(), digest: "d".into() };
    Report { plan: Some(plan), ..Report::done(id, Mode::Apply, Timestamp::now(), rows, Vec::new()) }
}

/// The kinds that are told of a report, each with its number of findings.
fn kinds(report: &Report) -> Vec<(Kind, usize)> {
    of_report(report, "b", KEY).into_iter().map(|message| (message.detail.kind, message.detail.findings)).collect()
}

fn lines(text: &Text) -> [&str; 6] {
    let Text { title, what, which, why, origin, command } = text;
    [title, what, which, why, origin, command].map(String::as_str)
}

fn grace(begins: bool) -> Grace {
    let first_seen: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
    Grace { first_seen, until: "2026-01-09T00:00:00Z".parse().unwrap(), owner: Some("team-web".into()), begins }
}

fn pause(stops: Stops) -> Pause {
    Pause { id: "5e0c7a11".into(), stops, reason: "T-1".into(), by: "arn:x".into(), at: Timestamp::now(), until: None }
}

#[test]
fn each_kind_is_told_once_a_batch_with_how_many_findings_it_is_about() {
    use Outcome::{AlreadyCompliant, Deferred, Exempt, Failed, Fixed, Gone, Held, Planned, Unverified};
    let mut begins = row("222222222222", 9, Deferred, "grace until x");
    begins.grace = Some(grace(true));
    let mut goes_on = row("222222222222", 10, Deferred, "grace until x");
    goes_on.grace = Some(grace(false));
    let quiet = [AlreadyCompliant, Gone, Planned, Exempt, Deferred].map(|outcome| row("222222222222", 1, outcome, "x"));
    let mut rows = vec![
        row("222222222222", 2, Held, WAITS),
        row("222222222222", 3, Held, WAITS),
        row("222222222222", 4, Held, "the policy does not allow it"),
        row("222222222222", 5, Fixed, ""),
        row("222222222222", 6, Failed, "s3:PutX: AccessDenied"),
        row("222222222222", 7, Unverified, "not seen in time"),
        row("222222222222", 8, Held, FOUGHT),
        begins,
        goes_on,
    ];
    rows.extend(quiet.clone());
    let told =
        [(Kind::PlanWaits, 2), (Kind::Fixed, 1), (Kind::Failed, 2), (Kind::FoughtOver, 1), (Kind::GraceBegins, 1)];
    assert_eq!(kinds(&report(rows.clone())), told);
    assert_eq!(kinds(&report(quiet.to_vec())), []);
    // Without a plan that was stored, none waits.
    let report = Report { plan: None, ..report(rows) };
    assert_eq!(kinds(&report), [(Kind::Fixed, 1), (Kind::Failed, 2), (Kind::GraceBegins, 1)]);
}

#[test]
fn a_message_names_the_plan_that_all_of_it_is_in() {
    let fixed = |door, earlier: Option<&str>| ReportedFinding {
        earlier_plan: earlier.map(str::to_owned),
        ..row("222222222222", door, Outcome::Fixed, "")
    };
    let plan = |rows: Vec<ReportedFinding>| {
        let report = report(rows);
        let last = format!("s3://b/{}", report.plan.as_ref().unwrap().key);
        let plan = of_report(&report, "b", KEY).remove(0).detail.plan;
        plan.map(|plan| if plan == last { "the last".to_owned() } else { plan })
    };
    assert_eq!(plan(vec![fixed(1, None), fixed(2, None)]).as_deref(), Some("the last"));
    assert_eq!(plan(vec![fixed(1, Some("x")), fixed(2, Some("x"))]).as_deref(), Some("s3://b/x"));
    assert_eq!(plan(vec![fixed(1, Some("x")), fixed(2, None)]), None, "the report names both");
    let waits = vec![fixed(1, Some("x")), row("222222222222", 2, Outcome::Held, WAITS)];
    let told = of_report(&report(waits), "b", KEY);
    let waits = told.iter().find(|message| message.detail.kind == Kind::PlanWaits).unwrap();
    assert!(waits.detail.plan.as_ref().is_some_and(|plan| plan.contains("plans/open-door/")), "{waits:?}");
}

#[test]
fn a_batch_that_could_not_be_read_has_failed() {
    let id = BatchId { rule: "open-door".into(), run: RunId::start(), batch: 1 };
    let report = Report::unreadable(id, "the header is missing".into());
    assert_eq!(kinds(&report), [(Kind::Failed, 0)]);
    let [message] = &of_report(&report, "b", KEY)[..] else { panic!("another number") };
    assert_eq!(message.detail.text.title, "open-door: a batch could not be read");
    assert_eq!(message.detail.text.why, "Why: the header is missing");
    assert_eq!(message.detail.text.which, "No resource could be read from the batch");
    let bad_lines = vec![BatchLineError { line: 3, reason: "broken".into() }];
    let report = Report { error: None, bad_lines, ..report };
    assert_eq!(kinds(&report), [(Kind::Failed, 1)]);
    assert!(of_report(&report, "b", KEY)[0].detail.text.why.contains("line 3"));
}

#[test]
fn a_reader_is_told_what_happened_to_what_why_and_what_to_do() {
    let rows = vec![row("222222222222", 1, Outcome::Held, WAITS), row("333333333333", 2, Outcome::Held, WAITS)];
    let report = report(rows);
    let [message] = &of_report(&report, "records", KEY)[..] else { panic!("another number") };
    let run = report.id.run;
    let expected = [
        "open-door: 2 resources wait for approval",
        "2 findings of 2 resources will be fixed once a person approves the plan. By account: 222222222222 (1), \
         333333333333 (1).",
        "Resources: arn:aws:test:us-east-1:222222222222:door/door-1, arn:aws:test:us-east-1:333333333333:door/door-2",
        "Why: the mode is approve",
        &format!("Run {run}, batch 1, done at {}", at(report.finished)),
        "autoremediate show s3://records/reports/open-door/2026-01-02/x-1.json",
    ];
    assert_eq!(lines(&message.detail.text), expected);
    let chat = &message.detail.chat;
    assert_eq!(chat.content.title, expected[0]);
    assert!(chat.content.description.contains("`Why: the mode is approve`"), "{chat:?}");
    let approve = format!("`autoremediate approve s3://records/{} --reason TICKET`", report.id.plan_key());
    assert_eq!(chat.content.next_steps, [format!("`{}`", expected[5]), approve]);
    assert_eq!(message.resources.len(), 2);
    let fixed = super::of_report(&self::report(vec![row("222222222222", 1, Outcome::Fixed, "")]), "b", KEY);
    assert_eq!(fixed[0].detail.text.why, "Changed: open → closed");
    let unproved = row("222222222222", 1, Outcome::Unverified, "nothing was delivered yet");
    let unproved = &of_report(&self::report(vec![unproved]), "b", KEY)[0].detail.text;
    assert_eq!(unproved.title, "open-door: 1 resource changed, but not proved");
    let begins = ReportedFinding { grace: Some(grace(true)), ..row("222222222222", 1, Outcome::Deferred, "grace") };
    let begins = &of_report(&self::report(vec![begins]), "b", KEY)[0].detail;
    assert!(begins.text.what.contains("2026-01-09 00:00:00 UTC"), "{begins:?}");
    assert_eq!(begins.resources[0].owner.as_deref(), Some("team-web"));
}

#[test]
fn findings_of_a_resource_name_it_once() {
    let rows = vec![row("222222222222", 1, Outcome::Fixed, ""), row("222222222222", 1, Outcome::Fixed, "")];
    let message = &of_report(&report(rows), "b", KEY)[0];
    assert_eq!((message.detail.findings, message.detail.resources.len(), message.resources.len()), (2, 1, 1));
    assert!(message.detail.text.what.starts_with("2 findings of 1 resource:"), "{:?}", message.detail.text);
}

#[test]
fn that_a_fix_is_contested_is_told_once_and_says_by_which_scan() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let contested = |begins| ReportedFinding {
        contested: Some(Contested {
            fixed: at("2026-01-02T03:00:00Z"),
            report: "reports/r".into(),
            scanned: at("2026-01-02T04:00:00Z"),
            since: at("2026-01-02T05:00:00Z"),
            begins,
        }),
        ..row("222222222222", 1, Outcome::AlreadyCompliant, "")
    };
    assert_eq!(kinds(&report(vec![contested(false)])), []);
    let told = report(vec![contested(true), contested(true), contested(false)]);
    assert_eq!(kinds(&told), [(Kind::Contested, 2)], "one event, whatever the number");
    let message = of_report(&told, "records", KEY).remove(0).detail;
    assert_eq!(message.text.title, "open-door: Netskope contests the fix of 1 resource");
    let why = "fixed at 2026-01-02 03:00:00 UTC, and listed as Failed by the scan at 2026-01-02 04:00:00 UTC";
    assert_eq!(message.resources[0].why.as_deref(), Some(why));
}

/// EventBridge takes 256 KB an entry, and SNS passes on as much.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html>
#[test]
fn however_long_the_report_the_message_is_short_and_counts_all() {
    let long = "\u{1f980}\"\\".repeat(5_000);
    let rows = (0..5_000).map(|number| {
        let account = format!("{:012}", 200_000_000_000_u64 + number % 400);
        let mut row = row(&account, usize::try_from(number).unwrap(), Outcome::Failed, &format!("{number}{long}"));
        row.resource.as_mut().unwrap().arn.push_str(&long);
        row
    });
    let mut report = report(rows.collect());
    report.bad_lines = iter::repeat_n(BatchLineError { line: 3, reason: long.clone() }, 100).collect();
    let [message] = &of_report(&report, "b", KEY)[..] else { panic!("another number") };
    let Message { detail, resources } = message;
    let size = serde_json::to_vec(detail).unwrap().len() + resources.iter().map(String::len).sum::<usize>();
    assert!(size < 200_000, "{size} bytes");
    assert_eq!((detail.findings, detail.resources.len(), detail.accounts.len()), (5_100, MOST_NAMED, MOST_NAMED));
    assert_eq!((detail.further_resources, detail.further_accounts), (4_980, 380));
    assert!(lines(&detail.text).iter().all(|line| line.chars().count() <= MOST_OF_LINE + 1));
}

#[test]
fn no_name_breaks_a_template_or_is_obeyed_by_a_terminal_or_a_chat() {
    let bad = "x\"y\\z`<!channel>\n[a](http://b)\u{1b}[2J\u{202e}";
    let mut row = row("222222222222", 1, Outcome::Failed, bad);
    row.resource.as_mut().unwrap().arn.push_str(bad);
    let messages = of_report(&report(vec![row]), "b", KEY);
    let mut texts: Vec<_> = lines(&messages[0].detail.text).map(str::to_owned).into();
    let reason = Pause { reason: bad.into(), by: bad.into(), ..pause(Stops::default()) };
    texts.extend(lines(&of_pause(&reason, "b").unwrap().detail.text).map(str::to_owned));
    for text in &texts {
        assert!(!text.is_empty() && !text.contains(['"', '\\', '`', '<', '>']), "{text}");
        assert!(!text.chars().any(escape::is_unsafe), "{text}");
    }
    // In a chat, a name is in code: between backquotes on its line.
    for line in messages[0].detail.chat.content.description.lines().filter(|line| line.contains("http://b")) {
        assert!(line.starts_with('`') && line.ends_with('`') && line.matches('`').count() == 2, "{line}");
    }
}

#[test]
fn a_pause_of_everything_is_told_and_no_other() {
    let message = of_pause(&pause(Stops::default()), "records").unwrap();
    assert_eq!(message.detail.text.command, "autoremediate resume --records s3://records 5e0c7a11");
    let some = Stops { rules: vec!["open-door".into()], ..Stops::default() };
    assert_eq!(of_pause(&pause(some), "records"), None);
    let for_hours =
        Pause { until: Timestamp::now().checked_add(SignedDuration::from_hours(4)).ok(), ..pause(Stops::default()) };
    let until = at(for_hours.until.unwrap());
    assert!(of_pause(&for_hours, "records").unwrap().detail.text.what.contains(&until));
}

#[test]
fn there_is_a_sample_of_each_kind_and_it_says_that_it_is_a_test() {
    let samples = samples("records").unwrap();
    let kinds: Vec<_> = samples.iter().map(|message| message.detail.kind).collect();
    assert_eq!(kinds, Kind::ALL);
    for Message { detail, .. } in &samples {
        assert!(detail.test && detail.text.title.starts_with("[TEST] "), "{detail:?}");
        assert_eq!(detail.chat.content.title, detail.text.title);
    }
}

/// What the schema says must be there is there, under names that it knows, in every kind of message.
#[test]
fn every_message_is_as_its_schema_says() {
    let schema = schema();
    for message in samples("records").unwrap() {
        let detail = serde_json::to_value(&message.detail).unwrap();
        conforms(&schema, &schema, &detail, "$");
        assert_eq!(serde_json::from_value::<Detail>(detail).unwrap(), message.detail);
    }
}

/// Checks a value by the parts of JSON Schema that ours has.
fn conforms(root: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let definition = &root["$defs"][name.trim_start_matches("#/$defs/")];
        assert!(definition.is_object(), "{at}: {name}");
        return conforms(root, definition, value, at);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let with_a_type = any.iter().find(|of| of["type"] != "null").unwrap();
        return conforms(root, with_a_type, value, at);
    }
    if let Some(one) = schema["oneOf"].as_array() {
        return assert!(one.iter().any(|of| of["const"] == *value), "{at}: {value}");
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is_typed = schema["type"] == kind || schema["type"].as_array().is_some_and(|of| of.contains(&kind.into()));
    assert!(is_typed, "{at}: {value} is no {}", schema["type"]);
    for (place, item) in value.as_array().into_iter().flatten().enumerate() {
        conforms(root, &schema["items"], item, &format!("{at}[{place}]"));
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        assert!(value.get(required.as_str().unwrap()).is_some(), "{at} has no {required}");
    }
    for (name, of) in value.as_object().into_iter().flatten() {
        let known = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
        conforms(root, known.unwrap_or_else(|| panic!("{at}.{name} is not known")), of, &format!("{at}.{name}"));
    }
}

/// Where it fails, `autoremediate notify --schema` prints what the file must be.
#[test]
fn the_published_schema_is_that_of_the_type() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../terraform/modules/central/messages.schema.json");
    let published: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert!(published == schema(), "run: autoremediate notify --schema > {}", file.display());
}
