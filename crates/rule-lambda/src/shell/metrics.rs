//! What the metrics of an invocation are made of: counts over the reports of all its batches.
//!
//! How long invocations take, Lambda measures itself; here that, the outcomes and the requests to AWS are fields of the log.

use std::collections::BTreeMap;

use jiff::Timestamp;
use logging::{Line, Of, Unit};
use remediation::{Outcome, Report, ReportedFinding, Traffic};
use serde_json::json;

/// Counts of an invocation so far.
#[derive(Debug)]
pub(crate) struct Tally {
    started: Timestamp,
    before: Traffic,
    /// The run of its first batch.
    run: Option<String>,
    batches: u64,
    /// Batches, and approvals, of which nothing could be done.
    unusable: u64,
    outcomes: BTreeMap<Outcome, u64>,
    changes: u64,
    /// Findings that a breaker has deferred.
    stopped: u64,
    /// Findings that Netskope still fails after our fix, and fixes that it has confirmed.
    contested: u64,
    confirmed: u64,
    /// Whether any batch was about findings, and not only about what Netskope says of earlier fixes.
    has_findings: bool,
    open_since: Option<Timestamp>,
    waiting_since: Option<Timestamp>,
}

impl Tally {
    /// Begins to count.
    pub(crate) fn begin() -> Self {
        Self {
            started: ambient::now(),
            before: Traffic::now(),
            run: None,
            batches: 0,
            unusable: 0,
            outcomes: BTreeMap::new(),
            changes: 0,
            stopped: 0,
            contested: 0,
            confirmed: 0,
            has_findings: false,
            open_since: None,
            waiting_since: None,
        }
    }

    /// Counts a batch, of whose findings one has waited for a person since `waiting_since`.
    pub(crate) fn add(&mut self, report: &Report, waiting_since: Option<Timestamp>) {
        self.run.get_or_insert_with(|| report.id.run.to_string());
        self.batches += 1;
        self.unusable += u64::from(report.error.is_some());
        for (outcome, count) in &report.counts {
            *self.outcomes.entry(*outcome).or_default() += *count as u64;
        }
        self.changes += changes(&report.findings);
        let is_stopped = |row: &&ReportedFinding| row.detail.as_deref().is_some_and(engine::is_by_breaker);
        self.stopped += report.findings.iter().filter(is_stopped).count() as u64;
        self.contested += report.findings.iter().filter(|row| row.contested.is_some()).count() as u64;
        self.confirmed += report.confirmed.len() as u64;
        self.has_findings |= report.error.is_some() || !report.counts.is_empty();
        let open = report.findings.iter().filter(|row| is_open(row.outcome));
        let open_since = open.filter_map(|row| row.finding.first_seen).min();
        let unchanged = report.unchanged.iter().filter(|of| is_open(of.outcome)).filter_map(|of| of.first_seen).min();
        self.open_since = earlier(self.open_since, earlier(open_since, unchanged));
        self.waiting_since = earlier(self.waiting_since, waiting_since);
    }

    /// The line of the invocation, which ends now.
    pub(crate) fn line(&self, rule: &str, succeeded: bool) -> Line {
        let now = ambient::now();
        let count = |outcome| self.outcomes.get(&outcome).copied().unwrap_or_default();
        let age = |since: Option<Timestamp>| since.map_or(0, |since| seconds(since, now));
        let Traffic { requests, throttled } = Traffic::now().since(self.before);
        let line = Line::of(rule).metric(Of::Rule, "Throttles", Unit::Count, throttled);
        // What Netskope says of earlier fixes is no run that has fixed nothing.
        let line = match self.has_findings || self.batches == 0 {
            false => line,
            true => line
                .metric(Of::Both, "Failed", Unit::Count, count(Outcome::Failed))
                .metric(Of::Both, "OldestWaiting", Unit::Seconds, age(self.waiting_since))
                .metric(Of::Rule, "Fixed", Unit::Count, count(Outcome::Fixed))
                .metric(Of::Rule, "Changes", Unit::Count, self.changes)
                .metric(Of::Rule, "OldestOpen", Unit::Seconds, age(self.open_since))
                .metric(Of::Deployment, "StoppedByBreaker", Unit::Count, self.stopped)
                .field("outcomes", json!(self.outcomes)),
        };
        // Also where nothing was listed: the alarm would go by the last batch that had findings, although they have passed.
        let line = line
            .metric(Of::Deployment, "Contested", Unit::Count, self.contested)
            .field("confirmed", self.confirmed)
            .field("batches", self.batches)
            .field("unusable_batches", self.unusable)
            .field("requests", requests)
            .field("seconds", seconds(self.started, now))
            .field("succeeded", succeeded);
        match &self.run {
            Some(run) => line.field("run", run.as_str()),
            None => line,
        }
    }
}

/// How many changes were written. Findings of one resource share them.
fn changes(rows: &[ReportedFinding]) -> u64 {
    let resources: BTreeMap<_, _> = rows
        .iter()
        .enumerate()
        .map(|(place, row)| {
            let resource = row.resource.as_ref().map(|resource| resource.arn.as_str());
            // A finding whose resource is not known is one of its own.
            (resource.ok_or(place), row.written as u64)
        })
        .collect();
    resources.into_values().sum()
}

/// Whether the resource still violates, as far as anybody knows, and is to be fixed.
fn is_open(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Planned | Outcome::Held | Outcome::Unverified | Outcome::Failed | Outcome::Deferred => true,
        Outcome::AlreadyCompliant | Outcome::Gone | Outcome::Exempt | Outcome::Fixed | Outcome::Undone => false,
    }
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    [one, other].into_iter().flatten().min()
}

/// From one time to another, and none where the clocks disagree.
fn seconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_secs()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use remediation::records::Unchanged;
    use remediation::{BatchId, Finding, Mode, Region, Resource, RunId};
    use serde_json::Value;

    use super::*;

    fn row(name: &str, outcome: Outcome, days: i64, written: usize) -> ReportedFinding {
        let finding = Finding {
            control: "Ensure every door is closed.".into(),
            account: "222222222222".parse().unwrap(),
            region: Region::code("us-east-1"),
            resource: name.into(),
            first_seen: Some(Timestamp::now() - SignedDuration::from_hours(24 * days)),
            last_scanned: None,
        };
        let arn = format!("arn:aws:test:us-east-1:222222222222:door/{name}");
        let resource = Resource::of_arn("test:GetDoors", arn, name).unwrap();
        ReportedFinding { resource: Some(resource), written, ..ReportedFinding::unwritten(finding, outcome, None) }
    }

    fn report(rows: Vec<ReportedFinding>) -> Report {
        let id = BatchId { rule: "open-door".into(), run: RunId::start(), batch: 1 };
        Report::done(id, Mode::Apply, Timestamp::now(), rows, Vec::new())
    }

    fn document(reports: &[(Report, Option<Timestamp>)]) -> Value {
        let mut tally = Tally::begin();
        for (report, waiting_since) in reports {
            tally.add(report, *waiting_since);
        }
        tally.line("open-door", true).document("n", 0)
    }

    #[test]
    fn outcomes_and_changes_are_summed_over_the_batches_and_a_resources_changes_count_once() {
        let stopped = ReportedFinding {
            detail: Some(
                "account 222222222222: 11 of 11 fixes failed, more than the limit failure_percent (50)".into(),
            ),
            ..row("d", Outcome::Deferred, 1, 0)
        };
        let first = report(vec![row("a", Outcome::Fixed, 9, 2), row("a", Outcome::Fixed, 9, 2), stopped]);
        let second = report(vec![row("b", Outcome::Fixed, 9, 1), row("c", Outcome::Failed, 3, 0)]);
        let run = first.id.run.to_string();
        let document = document(&[(first, None), (second, None)]);
        assert_eq!(document["outcomes"], json!({"fixed": 3, "failed": 1, "deferred": 1}));
        let counts = ["Fixed", "Failed", "Changes", "StoppedByBreaker", "batches"].map(|name| &document[name]);
        assert_eq!(counts, [3, 1, 3, 1, 2]);
        assert_eq!(document["run"], run);
    }

    #[test]
    fn the_oldest_open_finding_is_one_that_still_violates() {
        let age = |rows| document(&[(report(rows), None)])["OldestOpen"].as_u64().unwrap() / 86_400;
        assert_eq!(age(vec![row("a", Outcome::Fixed, 90, 1), row("b", Outcome::Held, 30, 0)]), 30);
        assert_eq!(age(vec![row("a", Outcome::Exempt, 90, 0), row("b", Outcome::Deferred, 2, 0)]), 2);
        assert_eq!(age(vec![row("a", Outcome::Fixed, 90, 1)]), 0);
        // Somebody's clock is ahead.
        assert_eq!(age(vec![row("a", Outcome::Held, -2, 0)]), 0);
        assert_eq!(age(vec![row("a", Outcome::Gone, 9, 0)]), 0);
        // What an earlier report says in full is open, too.
        let of = |outcome, days: i64| Unchanged {
            report: "reports/open-door/2026-01-01/a.json".into(),
            outcome,
            findings: 1,
            first_seen: Some(Timestamp::now() - SignedDuration::from_hours(24 * days)),
        };
        let unchanged = report(vec![row("b", Outcome::Held, 30, 0)])
            .with_unchanged(vec![of(Outcome::Exempt, 90), of(Outcome::Held, 60)]);
        assert_eq!(document(&[(unchanged, None)])["OldestOpen"].as_u64().unwrap() / 86_400, 60);
    }

    #[test]
    fn what_is_contested_counts_at_each_poll_and_a_batch_of_what_has_passed_is_no_run_that_fixed_nothing() {
        use remediation::records::{Confirmed, Contested};

        let now = Timestamp::now();
        let contested = Contested { fixed: now, report: "r".into(), scanned: now, since: now, begins: false };
        let listed = row("a", Outcome::AlreadyCompliant, 1, 0);
        let contested = ReportedFinding { contested: Some(contested), ..listed.clone() };
        let document_of = |report: Report| document(&[(report, None)]);
        let of_findings = document_of(report(vec![contested, listed.clone()]));
        assert_eq!((&of_findings["Contested"], &of_findings["confirmed"]), (&json!(1), &json!(0)));
        let (finding, resource) = (listed.finding, listed.resource.unwrap());
        let confirmed = Confirmed { finding, resource, fixed: now, report: "r".into(), scanned: now };
        let passed = document_of(Report { confirmed: vec![confirmed], ..report(Vec::new()) });
        assert_eq!((&passed["confirmed"], &passed["batches"]), (&json!(1), &json!(1)));
        assert_eq!(passed["Contested"], 0, "{passed}");
        for name in ["Fixed", "OldestOpen", "OldestWaiting", "outcomes"] {
            assert!(passed.get(name).is_none() && of_findings.get(name).is_some(), "{name}: {passed}");
        }
    }

    #[test]
    fn the_finding_that_waits_the_longest_counts_whichever_batch_it_is_in() {
        let hours = |hours| Some(Timestamp::now() - SignedDuration::from_hours(hours));
        let rows = || vec![row("a", Outcome::Held, 1, 0)];
        let reports = [hours(5), hours(70), None].map(|since| (report(rows()), since));
        assert_eq!(document(&reports)["OldestWaiting"].as_u64().unwrap() / 3600, 70);
        assert_eq!(document(&[])["OldestWaiting"], 0);
    }

    #[test]
    fn a_batch_that_cannot_be_read_is_counted() {
        let id = BatchId { rule: "open-door".into(), run: RunId::start(), batch: 1 };
        let document = document(&[(Report::unreadable(id, "broken".into()), None)]);
        assert_eq!((&document["unusable_batches"], &document["Failed"]), (&json!(1), &json!(0)));
    }
}
