//! Lives and numbers, from reports as the engine writes them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use remediation::records::{Confirmed, Contested, Unchanged};
use remediation::{
    Approval, Approved, BatchId, BatchLineError, Finding, Folder, Mode, Outcome, Region, Report, ReportedFinding,
    Resource, RunId, StoredPlan, Verification,
};
use serde_json::{Value, json};

use crate::{Closure, Counts, History, Life, Scope, State, Summary, Times, in_order, page};

const RULE: &str = "open-door";
const NOW: &str = "2026-01-05T00:00:00Z";

fn at(text: &str) -> Timestamp {
    format!("2026-01-{text}Z").parse().unwrap()
}

fn scope() -> Scope {
    let (from, to) = ("2026-01-01".parse().unwrap(), "2026-01-04".parse().unwrap());
    Scope { from, to, rules: Vec::new(), accounts: Vec::new(), regions: Vec::new() }
}

fn finding(resource: &str) -> Finding {
    Finding {
        control: "Ensure every door is closed.".into(),
        account: "222222222222".parse().unwrap(),
        region: Region::code("eu-west-1"),
        resource: resource.into(),
        first_seen: Some(at("01T00:00:00")),
        last_scanned: None,
    }
}

fn row(resource: &str, outcome: Outcome) -> ReportedFinding {
    let arn = format!("arn:aws:test:eu-west-1:222222222222:door/{resource}");
    let written = matches!(outcome, Outcome::Fixed | Outcome::Undone);
    ReportedFinding {
        resource: Some(Resource::of_arn("x", arn, resource).unwrap()),
        changes: vec!["close it".into()],
        written: usize::from(written),
        ..ReportedFinding::unwritten(finding(resource), outcome, Some("why".into()))
    }
}

/// A report that takes a minute from `started` on, and whose fixes are proved after half of it.
fn report(started: Timestamp, mut rows: Vec<ReportedFinding>) -> (String, Report) {
    for row in rows.iter_mut().filter(|row| row.outcome == Outcome::Fixed) {
        let at = started + SignedDuration::from_secs(30);
        row.verification = Some(Verification { at, looks: 1, actions: vec!["test:Look".into()] });
    }
    let id = BatchId { rule: RULE.into(), run: RunId::start(), batch: 1 };
    let plan = StoredPlan { key: id.plan_key(), digest: "d".into() };
    let finished = started + SignedDuration::from_secs(60);
    let report = Report { finished, plan: Some(plan), ..Report::done(id, Mode::Apply, started, rows, Vec::new()) };
    (report.id.report_key(), report)
}

fn history(reports: impl IntoIterator<Item = (String, Report)>) -> History {
    let mut history = History::new(scope());
    for (key, report) in reports {
        history.report(&key, &report);
    }
    history
}

fn summary(reports: impl IntoIterator<Item = (String, Report)>) -> Summary {
    history(reports).summary(NOW.parse().unwrap())
}

/// The life of the only finding, which had these outcomes one day after the other.
fn life(outcomes: &[Outcome]) -> Life {
    let reports = outcomes
        .iter()
        .zip(1..)
        .map(|(outcome, day)| report(at(&format!("{day:02}T12:00:00")), vec![row("a", *outcome)]));
    let mut findings = summary(reports).findings;
    assert_eq!(findings.len(), 1);
    findings.remove(0)
}

#[test]
fn a_finding_stands_as_the_last_look_at_it_says() {
    use Outcome::{AlreadyCompliant, Deferred, Exempt, Failed, Fixed, Gone, Held, Planned, Undone, Unverified};
    for (outcomes, state) in [
        (&[Planned][..], State::Open),
        (&[Deferred], State::Open),
        (&[Held, Deferred], State::Held),
        (&[Planned, Fixed], State::Fixed),
        (&[Fixed, AlreadyCompliant], State::Fixed),
        (&[Fixed, Deferred], State::Fixed),
        (&[Fixed, Planned], State::Open),
        (&[AlreadyCompliant], State::Closed),
        (&[Held, Gone], State::Closed),
        (&[Unverified], State::Failed),
        (&[Failed, Fixed], State::Fixed),
        (&[Fixed, Undone], State::Undone),
        (&[Exempt], State::Exempt),
    ] {
        assert_eq!(life(outcomes).state, state, "{outcomes:?}");
    }
}

#[test]
fn an_undo_that_takes_nothing_back_leaves_a_finding_as_it_was() {
    for (outcome, state) in [
        (Outcome::Undone, State::Undone),
        (Outcome::Held, State::Fixed),
        (Outcome::Failed, State::Fixed),
        (Outcome::Unverified, State::Failed),
    ] {
        let fixed = report(at("01T12:00:00"), vec![row("a", Outcome::Fixed)]);
        let (key, undo) = report(at("02T12:00:00"), vec![row("a", outcome)]);
        let undo = Report { undoes: fixed.1.plan.as_ref().map(|plan| plan.key.clone()), ..undo };
        let life = summary([fixed, (key, undo)]).findings.remove(0);
        assert_eq!((life.state, life.steps[1].undo), (state, true), "{outcome}");
    }
}

#[test]
fn what_polls_say_alike_is_one_step_and_each_write_is_one_of_its_own() {
    let held = life(&[Outcome::Held; 4]);
    let [step] = &held.steps[..] else { panic!("{:?}", held.steps) };
    assert_eq!((step.times, step.at, step.until), (4, at("01T12:01:00"), at("04T12:01:00")));
    assert_eq!(held.last_listed, at("04T12:00:00"));
    assert_eq!(life(&[Outcome::Fixed; 3]).steps.len(), 3);
    assert_eq!(life(&[Outcome::Held, Outcome::Planned, Outcome::Held]).steps.len(), 3);
}

#[test]
fn a_fix_takes_from_the_first_sight_to_its_proof() {
    let life = life(&[Outcome::Held, Outcome::Held, Outcome::Fixed]);
    let [fix] = life.fixes[..] else { panic!("{:?}", life.fixes) };
    assert_eq!((fix.found, fix.fixed), (at("01T12:00:00"), at("03T12:00:30")));
    assert_eq!(fix.seconds_since_first_seen(), 60 * 3_600 + 30);
    assert_eq!(fix.seconds_since_found(), 48 * 3_600 + 30);
}

#[test]
fn what_comes_back_is_counted_from_its_own_first_sight() {
    let mut again = row("a", Outcome::Fixed);
    again.finding.first_seen = Some(at("03T11:00:00"));
    let reports = [report(at("01T12:00:00"), vec![row("a", Outcome::Fixed)]), report(at("03T12:00:00"), vec![again])];
    let life = summary(reports).findings.remove(0);
    let seconds: Vec<_> = life.fixes.iter().map(|fix| fix.seconds_since_first_seen()).collect();
    assert_eq!(seconds, [12 * 3_600 + 30, 3_630]);
    // Netskope's first sight of the first violation is not that of the second.
    let stale = [
        report(at("01T12:00:00"), vec![row("a", Outcome::Fixed)]),
        report(at("03T12:00:00"), vec![row("a", Outcome::Fixed)]),
    ];
    assert_eq!(summary(stale).findings[0].fixes[1].seconds_since_first_seen(), 30);
}

#[test]
fn the_numbers_are_those_of_the_lives() {
    let outcomes = [Outcome::Fixed, Outcome::Fixed, Outcome::Held, Outcome::Failed, Outcome::Planned];
    let rows = outcomes.iter().enumerate().map(|(number, outcome)| {
        let mut row = row(&number.to_string(), *outcome);
        if number == 0 {
            row.finding.account = "111111111111".parse().unwrap();
        }
        row
    });
    let reports =
        [report(at("02T12:00:00"), rows.collect()), report(at("03T12:00:00"), vec![row("4", Outcome::Fixed)])];
    let summary = summary(reports);
    let counts = Counts { findings: 5, open: 0, held: 1, failed: 1, fixed: 3, ..Counts::default() };
    assert_eq!(summary.totals.counts, counts);
    assert_eq!(counts.unsolved(), 2);
    let (day, half) = (86_400, 43_200 + 30);
    assert_eq!(summary.totals.first_seen_to_fixed, Times { median: Some(day + half), p95: Some(2 * day + half) });
    let accounts: Vec<_> =
        summary.by_account.iter().map(|group| (group.id.as_str(), group.numbers.counts.findings)).collect();
    assert_eq!(accounts, [("111111111111", 1), ("222222222222", 4)]);
    let days: Vec<_> = summary.days.iter().map(|day| [day.found, day.fixed]).collect();
    assert_eq!(days, [[0, 0], [5, 2], [0, 1], [0, 0]]);
    let ends: Vec<_> = summary.days.iter().map(|day| [day.open_at_end, day.held_at_end, day.failed_at_end]).collect();
    assert_eq!(ends, [[0, 0, 0], [1, 1, 1], [0, 1, 1], [0, 1, 1]]);
}

#[test]
fn median_and_p95_are_numbers_of_fixes() {
    let of = |many: u32| {
        let fixes = (1..=many).map(|number| {
            let mut row = row(&number.to_string(), Outcome::Fixed);
            row.finding.first_seen = Some(at("02T12:00:30") - SignedDuration::from_secs(i64::from(number)));
            row
        });
        let times = summary([report(at("02T12:00:00"), fixes.collect())]).totals.first_seen_to_fixed;
        (times.median, times.p95)
    };
    // Our own first sight, 30 s before, is the earlier one of the first thirty.
    for (many, expected) in [(0, (None, None)), (1, (Some(30), Some(30))), (100, (Some(50), Some(95)))] {
        assert_eq!(of(many), expected, "{many}");
    }
}

#[test]
fn an_approval_is_told_when_it_is_carried_out_and_before() {
    let by = "arn:aws:sts::111111111111:assumed-role/approver/alice".to_owned();
    let (key, held) = report(at("01T12:00:00"), vec![row("a", Outcome::Held), row("b", Outcome::Planned)]);
    let plan = held.plan.clone().unwrap().key;
    let approval = Approval::new(&held.id, &plan, "d", by.clone(), "ticket 4711".into());
    let approvals: BTreeMap<_, _> = [(plan, approval.clone())].into();
    let mut waiting = history([(key.clone(), held.clone())]);
    waiting.approvals(&approvals);
    let waiting = waiting.summary(NOW.parse().unwrap());
    assert!(waiting.findings.iter().all(|life| life.approved.as_ref().is_some_and(|of| of.by == by)));

    let (fixed_key, fixed) = report(at("02T12:00:00"), vec![row("a", Outcome::Fixed)]);
    let approved = Some(Approved { approval, stored_by: Some("AWS:AROAEXAMPLE:alice".into()) });
    let mut done = history([(key, held), (fixed_key, Report { approval: approved, ..fixed })]);
    done.approvals(&approvals);
    let done = done.summary(NOW.parse().unwrap());
    assert!(done.findings.iter().all(|life| life.approved.is_none()), "it is not shown as waiting any more");
    let step = &done.findings[0].steps[1];
    let approver = step.approver.as_ref().unwrap();
    assert_eq!((&approver.by, approver.stored_by.as_deref()), (&by, Some("AWS:AROAEXAMPLE:alice")));
}

#[test]
fn each_finding_leads_to_the_plan_that_has_its_changes() {
    let (key, mut of_waves) = report(at("03T12:00:00"), vec![row("a", Outcome::Fixed), row("b", Outcome::Held)]);
    let last = of_waves.plan.clone().unwrap();
    let first = StoredPlan { key: last.key.replace(".json", ".2.json"), digest: "e".into() };
    of_waves.findings.iter_mut().for_each(|row| row.changes = vec!["close it".into()]);
    of_waves.findings[0].earlier_plan = Some(first.key.clone());
    of_waves.earlier_plans.push(first.clone());
    let history = history([(key, of_waves)]);
    assert!(!history.is_unreported(&first.key) && !history.is_unreported(&last.key));
    let summary = history.summary(NOW.parse().unwrap());
    let plans: Vec<_> = summary.findings.iter().map(|life| life.steps[0].plan.clone().unwrap()).collect();
    assert_eq!(plans, [first.key, last.key]);
}

#[test]
fn a_plan_without_a_report_is_a_step_in_its_place_by_time() {
    let (key, done) = report(at("03T12:00:00"), vec![row("a", Outcome::Fixed)]);
    let id = BatchId { rule: RULE.into(), run: RunId::start(), batch: 1 };
    let planned = |name: &str| {
        json!({"resource": row(name, Outcome::Planned).resource, "findings": [finding(name)],
            "changes": [{"summary": "close it", "change": {}}]})
    };
    let plan = json!({"schema": 2, "rule": RULE, "run": id.run, "batch": 1, "mode": "apply",
        "created": "2026-01-02T12:00:00Z", "resources": [planned("a"), planned("b")]});
    let plan: remediation::Plan<Value> = serde_json::from_value(plan).unwrap();
    let mut history = history([(key, done.clone())]);
    assert!(history.is_unreported(&id.plan_key()) && !history.is_unreported(&done.plan.unwrap().key));
    history.plan(&id.plan_key(), &plan);
    let summary = history.summary(NOW.parse().unwrap());
    let [a, b] = &summary.findings[..] else { panic!() };
    assert_eq!((a.steps[0].outcome, a.steps[1].outcome), (None, Some(Outcome::Fixed)));
    assert_eq!((a.state, b.state, b.outcome, a.found), (State::Fixed, State::Open, None, at("02T12:00:00")));
    assert_eq!(summary.problems, Vec::<String>::new());
}

#[test]
fn what_a_report_of_before_the_span_says_still_counts_where_nothing_newer_is_told() {
    let (before, mut old) = report(at("01T00:00:00"), vec![row("still", Outcome::Held), row("fixed", Outcome::Held)]);
    old.started = "2025-12-30T00:00:00Z".parse().unwrap();
    let (key, within) = report(at("02T00:00:00"), vec![row("fixed", Outcome::Fixed)]);
    let named =
        |report: &str| Unchanged { report: report.into(), outcome: Outcome::Held, findings: 1, first_seen: None };
    let within = within.with_unchanged(vec![named(&before), named(&key), named("policy.json")]);
    let mut history = history([(key, within)]);
    assert_eq!(history.named_before(), [before.as_str()]);
    history.report_before(&before, &old);
    let Counts { findings, held, fixed, .. } = history.summary(NOW.parse().unwrap()).totals.counts;
    assert_eq!((findings, held, fixed), (2, 1, 1));
}

/// A row that no look has told: the resource is not known.
fn paused(resource: &str) -> ReportedFinding {
    ReportedFinding::unwritten(finding(resource), Outcome::Held, Some("paused by a person".into()))
}

#[test]
fn what_was_paused_is_again_as_it_was_found_before_once_a_report_says_that_it_is_unchanged() {
    let rows = ["planned", "fixed", "paused-still"].map(|name| row(name, Outcome::Planned));
    let (before, seen) = report(at("01T00:00:00"), rows.to_vec());
    let pause = report(at("02T00:00:00"), ["planned", "fixed", "paused-still"].map(paused).to_vec());
    let states = |reports: Vec<(String, Report)>| {
        let findings = summary(reports).findings;
        findings.into_iter().map(|life| (life.resource, life.state)).collect::<BTreeMap<_, _>>()
    };
    let in_the_pause = states(vec![(before.clone(), seen.clone()), pause.clone()]);
    assert!(in_the_pause.values().all(|state| *state == State::Held), "{in_the_pause:?}");
    let named = Unchanged { report: before.clone(), outcome: Outcome::Planned, findings: 1, first_seen: None };
    let (key, after) = report(at("03T00:00:00"), vec![row("fixed", Outcome::Fixed), paused("paused-still")]);
    let after = (key, after.with_unchanged(vec![named.clone()]));
    let expected = [("fixed", State::Fixed), ("paused-still", State::Held), ("planned", State::Open)];
    let expected = BTreeMap::from(expected.map(|(name, state)| (name.to_owned(), state)));
    assert_eq!(states(vec![(before.clone(), seen.clone()), pause.clone(), after.clone()]), expected);

    // What was fixed before a pause, and is listed still, is not closed by anybody else.
    let rows = [
        vec![row("a", Outcome::Fixed)],
        vec![paused("a")],
        vec![paused("a")],
        vec![row("a", Outcome::AlreadyCompliant)],
    ];
    let days = rows.into_iter().zip(1..).map(|(rows, day)| report(at(&format!("{day:02}T00:00:00")), rows));
    assert_eq!(states(days.collect()), BTreeMap::from([("a".to_owned(), State::Fixed)]));

    // The look was before the span.
    let (key, only) = report(at("03T00:00:00"), Vec::new());
    let again = (key, only.with_unchanged(vec![named]));
    let mut history = history([report(at("02T00:00:00"), vec![paused("planned")]), again]);
    history.report_before(&before, &seen);
    let findings = history.summary(NOW.parse().unwrap()).findings;
    let planned = findings.iter().find(|life| life.resource == "planned").unwrap();
    assert_eq!((planned.state, planned.steps.last().unwrap().at), (State::Open, at("03T00:01:00")));
    // And nothing is told of it after a pause that no report has ended.
    let mut history = self::history([report(at("02T00:00:00"), vec![paused("planned")])]);
    history.report_before(&before, &seen);
    let findings = history.summary(NOW.parse().unwrap()).findings;
    assert_eq!(findings.iter().find(|life| life.resource == "planned").unwrap().state, State::Held);
}

#[test]
fn only_what_is_asked_for_is_in_it() {
    let reports = || [report(at("01T12:00:00"), vec![row("a", Outcome::Held)])];
    for (scope, findings) in [
        (Scope { accounts: vec!["222222222222".parse().unwrap()], ..scope() }, 1),
        (Scope { accounts: vec!["333333333333".parse().unwrap()], ..scope() }, 0),
        (Scope { regions: vec![Region::code("eu-west-1")], rules: vec![RULE.into()], ..scope() }, 1),
        (Scope { regions: vec![Region::global()], ..scope() }, 0),
        (Scope { rules: vec!["another".into()], ..scope() }, 0),
    ] {
        let mut history = History::new(scope.clone());
        for (key, report) in reports() {
            history.report(&key, &report);
        }
        assert_eq!(history.summary(NOW.parse().unwrap()).findings.len(), findings, "{scope:?}");
    }
}

#[test]
fn what_is_wrong_with_a_record_is_a_problem_and_no_number() {
    let (key, good) = report(at("01T12:00:00"), vec![row("a", Outcome::Held)]);
    let unreadable = Report::unreadable(BatchId { run: RunId::start(), ..good.id.clone() }, "line 1".into());
    let bad_lines = vec![BatchLineError { line: 3, reason: "no JSON".into() }];
    let id = BatchId { run: RunId::start(), ..good.id.clone() };
    let broken = Report::done(id, Mode::Apply, good.started, Vec::new(), bad_lines);
    let forged = key.replace(&good.id.run.to_string(), &RunId::start().to_string());
    let of = |report: Report| (report.id.report_key(), report);
    let summary = summary([of(unreadable), of(broken), (forged.clone(), good.clone()), of(good)]);
    assert_eq!(summary.totals.counts.findings, 1);
    assert_eq!(summary.findings[0].steps[0].times, 1, "a report under another's name says nothing");
    assert_eq!(summary.problems.len(), 3);
    for (problem, part) in summary.problems.iter().zip(["line 1", "no JSON", forged.as_str()]) {
        assert!(problem.contains(part), "{problem}");
    }
}

#[test]
fn keys_are_in_the_order_of_their_runs_batches_and_attempts() {
    let key = |rule: &str, rest: &str| format!("reports/{rule}/2026-01-02/0199-{rest}.json");
    let ordered = [key("a", "1"), key("a", "1.2"), key("a", "2"), key("a", "10"), key("b", "1")];
    let mut keys = ordered.clone();
    keys.reverse();
    in_order(&mut keys, Folder::Reports);
    assert_eq!(keys, ordered);
}

#[test]
fn the_page_holds_each_name_as_text_alone() {
    let name = "</script><script>alert(1)</script><!-- \u{202e}";
    let page = page::write(&summary([report(at("01T12:00:00"), vec![row(name, Outcome::Held)])])).unwrap();
    assert!(!page.contains("alert(1)</script>") && !page.contains("<!-- ") && !page.contains('\u{202e}'));
    assert_eq!(page.matches("<script").count(), 2, "the data, and the page's own");
    assert!(page.contains("\\u003c/script\\u003e\\u003cscript\\u003ealert(1)"));
}

#[test]
fn json_and_csv_have_what_the_summary_has() {
    let summary = summary([report(at("01T12:00:00"), vec![row("a", Outcome::Held), row("=b", Outcome::Fixed)])]);
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(
        (&json["from"], &json["totals"]["held"], &json["by_rule"][0]["fixed"]),
        (&json!("2026-01-01"), &json!(1), &json!(1))
    );
    assert_eq!(json["findings"][1]["state"], "held");
    let mut lines = Vec::new();
    crate::csv::write(&summary, &mut lines).unwrap();
    let text = String::from_utf8(lines).unwrap();
    assert_eq!(text.lines().count(), 3);
    assert!(text.contains(",'=b,") && text.contains(",held,held,"), "{text}");
}

/// A report that Netskope has confirmed the fix of a resource, by a scan of an hour before.
fn confirms(started: Timestamp, resource: &str) -> (String, Report) {
    let (key, report) = report(started, Vec::new());
    let fixed = row(resource, Outcome::Fixed);
    let scanned = started - SignedDuration::from_hours(1);
    let (finding, resource) = (fixed.finding, fixed.resource.unwrap());
    let confirmed = Confirmed { finding, resource, fixed: at("01T12:00:00"), report: "r".into(), scanned };
    (key, Report { confirmed: vec![confirmed], ..report })
}

fn contests(started: Timestamp, resource: &str) -> (String, Report) {
    let (fixed, scanned) = (at("01T12:00:00"), started - SignedDuration::from_hours(1));
    let contested = Contested { fixed, report: "r".into(), scanned, since: started, begins: true };
    let row = ReportedFinding { contested: Some(contested), ..row(resource, Outcome::AlreadyCompliant) };
    report(started, vec![row])
}

#[test]
fn a_fix_is_confirmed_or_contested_by_the_newest_scan_until_something_else_becomes_of_it() {
    let fixed = || report(at("01T12:00:00"), vec![row("a", Outcome::Fixed)]);
    let of = |day: &str, outcome| report(at(&format!("{day}T12:00:00")), vec![row("a", outcome)]);
    let verdict = |reports: Vec<(String, Report)>| {
        let summary = summary(reports);
        let [life] = &summary.findings[..] else { panic!("{:?}", summary.findings) };
        let numbers = (summary.totals.confirmed, summary.totals.contested);
        (life.closure.as_ref().map(Closure::words), life.state, numbers)
    };
    let (confirmed, contested) = (
        |day: &str| confirms(at(&format!("{day}T12:00:00")), "a"),
        |day: &str| contests(at(&format!("{day}T12:00:00")), "a"),
    );
    assert_eq!(verdict(vec![fixed()]), (None, State::Fixed, (0, 0)));
    assert_eq!(verdict(vec![fixed(), confirmed("02")]), (Some("confirmed"), State::Fixed, (1, 0)));
    assert_eq!(verdict(vec![fixed(), contested("02")]), (Some("contested"), State::Fixed, (0, 1)));
    let later = vec![fixed(), contested("02"), confirmed("03")];
    assert_eq!(verdict(later), (Some("confirmed"), State::Fixed, (1, 0)));
    let again = vec![fixed(), confirmed("02"), of("03", Outcome::Held)];
    assert_eq!(verdict(again), (None, State::Held, (0, 0)), "it violates again");
    let again = vec![fixed(), confirmed("02"), of("03", Outcome::Fixed)];
    assert_eq!(verdict(again), (None, State::Fixed, (0, 0)), "of the new fix nothing is known");
    let before = vec![confirmed("02")];
    assert_eq!(verdict(before), (Some("confirmed"), State::Fixed, (1, 0)), "it was fixed before these days");
}

#[test]
fn what_netskope_says_is_a_step_of_the_life_and_in_every_output() {
    let fixed = report(at("01T12:00:00"), vec![row("a", Outcome::Fixed)]);
    let summary = summary([fixed, confirms(at("02T12:00:00"), "a")]);
    let [_, step] = &summary.findings[0].steps[..] else { panic!("{:?}", summary.findings) };
    assert_eq!((step.at, step.outcome, step.state), (at("02T12:01:00"), None, State::Fixed));
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["findings"][0]["closure"]["verdict"], "confirmed");
    assert_eq!((&json["totals"]["confirmed"], &json["totals"]["contested"]), (&json!(1), &json!(0)));
    let mut lines = Vec::new();
    crate::csv::write(&summary, &mut lines).unwrap();
    let text = String::from_utf8(lines).unwrap();
    assert!(text.trim_end().ends_with(",confirmed,2026-01-02T11:00:00Z"), "{text}");
    let page = page::write(&summary).unwrap();
    assert!(page.contains(r#"<dd id="confirmed">1</dd>"#) && page.contains(r#""says":[1]"#), "{page}");
}
