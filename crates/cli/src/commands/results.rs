//! What came of findings: the reports of a command, what was left out, and what failed beside them.

use std::collections::BTreeMap;

use remediation::records::{AwaitedClosures, fixed_by};
use remediation::{Mode, Outcome, PolicyOverride, Records, Report, StoredPlan};
use serde::Serialize;

use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::{Format, Page, complain};
use crate::print::plan;
use crate::print::report::{self, Planned};
use crate::print::table::Table;
use crate::print::text::{Count, counted, listed, quoted};
use crate::session::findings::Skipped;
use crate::session::plans::Shown;
use crate::session::records::locate;
use crate::session::rules::{self, LoadedRule};

/// The version of the JSON document that commands with reports print.
const OUTPUT_SCHEMA: u32 = 2;

/// A report, and where it and its plans are kept.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StoredReport {
    pub(crate) plan_at: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) earlier_plans_at: Vec<String>,
    pub(crate) report_at: Option<String>,
    pub(crate) report: Report,
}

impl StoredReport {
    /// A report that is stored at `report_at`, if it could be.
    pub(crate) fn of(report: Report, records: &Records, report_at: Option<String>) -> Self {
        let at = |plan: &StoredPlan| locate(records, &plan.key);
        let (plan_at, earlier_plans_at) = (report.plan.as_ref().map(at), report.earlier_plans.iter().map(at).collect());
        Self { plan_at, earlier_plans_at, report_at, report }
    }
}

/// What a question, or `--yes`, is about.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Diff {
    /// What it would do, for people.
    pub(crate) what: String,
    #[serde(flatten)]
    pub(crate) shown: Shown,
}

/// What came of all findings.
#[derive(Debug, Clone)]
pub(crate) struct Results {
    /// How the command treated them.
    pub(crate) mode: Mode,
    /// What would be written, in that order, where somebody is asked about it.
    pub(crate) diffs: Vec<Diff>,
    pub(crate) reports: Vec<StoredReport>,
    pub(crate) skipped: Skipped,
    pub(crate) problems: Vec<String>,
    /// The rules of which Netskope lists no finding.
    pub(crate) without_findings: Vec<String>,
    /// That the policy is not kept to: every report that is stored says so.
    pub(crate) policy_override: Option<PolicyOverride>,
    /// The arguments by which a further command reaches AWS and the records as this one does; they begin with a space.
    pub(crate) reached_by: String,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    mode: Mode,
    exit_code: u8,
    counts: BTreeMap<Outcome, usize>,
    skipped: &'a Skipped,
    problems: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    without_findings: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    shown: &'a [Diff],
    reports: &'a [StoredReport],
}

/// Lets what was fixed wait for Netskope to confirm it, where a deployment's poller asks for that. The report is stored
/// whatever comes of this.
async fn await_netskope(report: &Report, records: &Records) {
    let Records::Bucket { .. } = records else { return };
    let fixed = fixed_by(report);
    if let Err(error) = AwaitedClosures::update(records, &report.id.rule, &fixed, &[]).await {
        complain(format!("warning: Netskope will not be asked to confirm what was fixed: {error}"));
    }
}

impl Results {
    /// Of no finding yet.
    pub(crate) fn of(mode: Mode) -> Self {
        Self {
            mode,
            diffs: Vec::new(),
            reports: Vec::new(),
            skipped: Skipped::default(),
            problems: Vec::new(),
            without_findings: Vec::new(),
            policy_override: None,
            reached_by: String::new(),
        }
    }

    /// Stores a report; one that cannot be stored is kept all the same, and is a problem.
    pub(crate) async fn store(&mut self, report: Report, records: &Records) {
        let report = Report { policy_override: self.policy_override.clone(), ..report };
        let stored = records.store_report(&report).await.map(|key| locate(records, &key));
        match &stored {
            Ok(_) => await_netskope(&report, records).await,
            Err(error) => {
                self.problems.push(format!("cannot store the report {}: {error}", report.id.report_key()));
            }
        }
        self.reports.push(StoredReport::of(report, records, stored.ok()));
    }

    /// How the command ended.
    pub(crate) fn exit(&self) -> Exit {
        self.exit_of(|_| true)
    }

    /// How the command ended, counting only findings of some outcomes, and what is not about a finding.
    pub(crate) fn exit_of(&self, counts: impl Fn(Outcome) -> bool) -> Exit {
        if !self.problems.is_empty() || self.skipped.invalid > 0 {
            return Exit::Failed;
        }
        let shown = (self.mode == Mode::Plan && self.shown() > 0).then_some(Outcome::Planned);
        let outcomes = self.counts().into_keys().chain(shown).filter(|outcome| counts(*outcome));
        outcomes.map(Exit::of).max().unwrap_or(Exit::NothingLeft)
    }

    /// How many resources would be written to.
    pub(crate) fn shown(&self) -> usize {
        self.diffs.iter().map(|diff| diff.shown.resources.len()).sum()
    }

    /// Prints the results, and on standard error what failed beside the findings.
    pub(crate) fn print(&self, format: Format, rules: &[LoadedRule], page: &mut Page<'_>) -> Result<(), Error> {
        for problem in self.problems.iter().cloned().chain(self.bad_lines()) {
            complain(format!("error: {problem}"));
        }
        match format {
            Format::Json => Ok(page.json(&self.document())?),
            Format::Csv => Ok(page.csv(&self.table(rules))?),
            Format::Table => self.print_list(rules, page),
        }
    }

    /// Every finding; where somebody is asked about changes, those that are planned are among them.
    fn table(&self, rules: &[LoadedRule]) -> Table {
        report::table(self.reports.iter().map(|stored| &stored.report), &rules::manifests(rules))
    }

    fn document(&self) -> Document<'_> {
        Document {
            schema: OUTPUT_SCHEMA,
            mode: self.mode,
            exit_code: self.exit().code(),
            counts: self.counts(),
            skipped: &self.skipped,
            problems: &self.problems,
            without_findings: &self.without_findings,
            shown: &self.diffs,
            reports: &self.reports,
        }
    }

    fn counts(&self) -> BTreeMap<Outcome, usize> {
        let mut counts = BTreeMap::new();
        for (outcome, count) in self.reports.iter().flat_map(|stored| &stored.report.counts) {
            let sum: &mut usize = counts.entry(*outcome).or_default();
            // A report is read from where others write.
            *sum = sum.saturating_add(*count);
        }
        counts
    }

    fn bad_lines(&self) -> impl Iterator<Item = String> + '_ {
        self.reports.iter().flat_map(|StoredReport { report, .. }| {
            report.bad_lines.iter().map(|line| format!("{}: {line}", report.id.findings_key()))
        })
    }

    fn print_list(&self, rules: &[LoadedRule], page: &mut Page<'_>) -> Result<(), Error> {
        let reports = || self.reports.iter().map(|stored| &stored.report);
        let manifests = rules::manifests(rules);
        let planned = if self.diffs.is_empty() { Planned::Here } else { Planned::Apart };
        let list = report::list(reports(), planned, &manifests);
        if !list.is_empty() {
            page.table(&list)?;
        }
        for Diff { what, shown } in self.diffs.iter().filter(|diff| !diff.shown.resources.is_empty()) {
            page.line(what)?;
            page.table(&plan::table(&shown.resources, &manifests))?;
        }
        for line in reports().flat_map(report::accounts).chain(reports().flat_map(report::people)) {
            page.line(line)?;
        }
        if !self.without_findings.is_empty() {
            page.line(format!("Netskope lists no findings of {}.", self.without_findings.join(", ")))?;
        }
        page.line(self.summary())?;
        for StoredReport { plan_at, earlier_plans_at, report_at, .. } in &self.reports {
            for plan in earlier_plans_at.iter().chain(plan_at) {
                page.line(format!("plan: {plan}"))?;
            }
            if let Some(report) = report_at {
                page.line(format!("report: {report}"))?;
            }
        }
        Ok(self.next().into_iter().try_for_each(|next| page.line(next))?)
    }

    /// What there is to be done next, each a command to copy.
    fn next(&self) -> Vec<String> {
        let mut next = Vec::new();
        for StoredReport { plan_at, report, .. } in &self.reports {
            let awaits = report.mode == Mode::Approve && report.findings.iter().any(|row| row.outcome == Outcome::Held);
            if let Some(plan) = plan_at.as_ref().filter(|_| awaits && report.approval.is_none()) {
                let reason = "--reason TICKET";
                next.push(format!("to approve: autoremediate approve {} {reason}{}", quoted(plan), self.reached_by));
            }
        }
        let is_planned = |report: &Report| {
            report.undoes.is_none() && report.findings.iter().any(|row| row.outcome == Outcome::Planned)
        };
        if self.diffs.is_empty() && self.reports.iter().any(|stored| is_planned(&stored.report)) {
            next.push("to make these changes: autoremediate apply, with the same arguments".to_owned());
        }
        let mut undo = Vec::new();
        for StoredReport { report_at, report, .. } in &self.reports {
            let has_written = report.undoes.is_none() && report.findings.iter().any(|row| !row.took.is_empty());
            let Some(run) = report_at.as_deref().filter(|_| has_written).and_then(of_run) else { continue };
            if !undo.contains(&run) {
                undo.push(run);
            }
        }
        if !undo.is_empty() {
            let runs: Vec<_> = undo.into_iter().map(quoted).collect();
            next.push(format!("to undo: autoremediate undo {}{}", runs.join(" "), self.reached_by));
        }
        next
    }

    /// The counts in one line.
    fn summary(&self) -> String {
        let counts = self.counts();
        let total = counted(counts.values().fold(0, |sum: usize, count| sum.saturating_add(*count)), "finding");
        let outcomes = listed(counts.iter().map(|(outcome, count)| Count::of(*count, outcome.to_string())));
        let skipped = listed(skipped(&self.skipped));
        let mut line = total;
        for (what, list) in [(": ", outcomes), ("; skipped: ", skipped)] {
            if !list.is_empty() {
                line = line + what + &list;
            }
        }
        line
    }
}

/// All reports of the run of a report at this place: the place without `-<batch>.json`.
fn of_run(report_at: &str) -> Option<&str> {
    Some(report_at.rsplit_once('-')?.0)
}

fn skipped(skipped: &Skipped) -> Vec<Count> {
    let Skipped { other_regions, other_accounts, other_resources, unknown_regions, duplicates, invalid, rows } =
        skipped;
    let unknown =
        unknown_regions.iter().map(|(name, count)| Count::of(*count, format!("in the unknown region `{name}`")));
    let mut counts = vec![
        Count::of(*other_regions, "in other regions"),
        Count::of(*other_accounts, "in other accounts"),
        Count::of(*other_resources, "about other resources"),
        Count::of(*duplicates, "repeated"),
        Count::of(*invalid, "without a usable account, region or resource"),
        Count::of(rows.muted, "muted in Netskope"),
        Count::of(rows.not_failed, "not failed"),
        Count::of(rows.other_rules, "of other Netskope rules"),
        Count::of(rows.other_clouds, "of other clouds"),
        Count::of(rows.other_profiles, "of other Netskope profiles"),
        Count::of(rows.other_policies, "of other Netskope policies"),
        Count::of(rows.remediated_by_netskope, "remediated by Netskope itself"),
    ];
    counts.extend(unknown);
    counts
}

#[cfg(test)]
mod tests {
    use remediation::{
        AccountProblem, Approval, Approved, Batch, BatchId, BatchLineError, Finding, PlannedChange, PlannedResource,
        Region, Resource, RunId,
    };
    use serde_json::{Value, json};

    use super::*;

    const CONTROL: &str = "Ensure S3 Bucket is not publicly accessible.";

    fn results(outcomes: &[&str]) -> Results {
        let id = BatchId { rule: "s3-public-bucket".into(), run: RunId::start(), batch: 1 };
        let finding = Finding {
            control: CONTROL.into(),
            account: "111122223333".parse().unwrap(),
            region: Region::code("eu-central-1"),
            resource: "data\u{1b}[2J".into(),
            first_seen: None,
            last_scanned: None,
        };
        let held = Report::untouched(Batch::new(id, vec![finding; outcomes.len()]), Outcome::Held, "a reason");
        let mut report = serde_json::to_value(held).unwrap();
        report["counts"] = json!({});
        for (place, outcome) in outcomes.iter().enumerate() {
            let row = &mut report["findings"][place];
            row["outcome"] = json!(outcome);
            row["changes"] = json!(["turn on IgnorePublicAcls"]);
            if *outcome == "fixed" {
                row["verification"] =
                    json!({"at": "2026-01-02T03:04:05Z", "looks": 1, "actions": ["s3:GetBucketPublicAccessBlock"]});
            }
            let count = report["counts"][outcome].as_u64().unwrap_or_default();
            report["counts"][outcome] = json!(count + 1);
        }
        let report = serde_json::from_value(report).unwrap();
        let (plan_at, report_at) = (Some("plans/x".into()), Some("reports/x".into()));
        let stored = StoredReport { plan_at, earlier_plans_at: Vec::new(), report_at, report };
        Results { reports: vec![stored], ..Results::of(Mode::Plan) }
    }

    fn printed(results: &Results, format: Format) -> String {
        let mut out = Vec::new();
        results.print(format, &rules::all().unwrap(), &mut Page::new(&mut out)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn that_a_rule_has_no_findings_is_said_and_is_no_error() {
        let without = Results { without_findings: vec!["rds-public-snapshot".into()], ..Results::of(Mode::Plan) };
        assert_eq!(without.exit(), Exit::NothingLeft);
        let text = printed(&without, Format::Table);
        assert_eq!(text, "Netskope lists no findings of rds-public-snapshot.\n0 findings\n");
        let document: Value = serde_json::from_str(&printed(&without, Format::Json)).unwrap();
        assert_eq!(document["without_findings"], json!(["rds-public-snapshot"]));
        let with = printed(&results(&["fixed"]), Format::Json);
        assert!(!with.contains("without_findings"), "{with}");
    }

    #[test]
    fn the_exit_code_is_that_of_the_worst_outcome() {
        for (outcomes, code) in [
            (&[][..], 0),
            (&["already_compliant", "gone", "fixed", "undone"], 0),
            (&["fixed", "planned"], 2),
            (&["fixed", "held"], 2),
            (&["deferred"], 2),
            (&["planned", "failed", "fixed"], 1),
            (&["unverified"], 1),
        ] {
            assert_eq!(results(outcomes).exit().code(), code, "{outcomes:?}");
        }
    }

    #[test]
    fn a_problem_and_an_invalid_row_are_failures_and_what_is_skipped_is_not() {
        let problem = Results { problems: vec!["the list is incomplete".into()], ..results(&["fixed"]) };
        assert_eq!(problem.exit(), Exit::Failed);
        let invalid = Skipped { invalid: 1, ..Skipped::default() };
        assert_eq!(Results { skipped: invalid, ..results(&[]) }.exit(), Exit::Failed);
        let others = Skipped { other_regions: 3, other_accounts: 2, duplicates: 1, ..Skipped::default() };
        assert_eq!(Results { skipped: others, ..results(&["fixed"]) }.exit(), Exit::NothingLeft);
    }

    /// What somebody is asked about.
    fn asking() -> Results {
        let mut results = results(&["planned", "failed"]);
        let resource = Resource::of_arn("test", "arn:aws:s3:eu-central-1:111122223333:bucket/x".into(), "x").unwrap();
        let finding = results.reports[0].report.findings[0].finding.clone();
        let change = PlannedChange { summary: "close it".to_owned(), change: json!({}) };
        let planned = PlannedResource {
            resource,
            findings: vec![finding],
            changes: vec![change],
            awaits: Vec::new(),
            held: Vec::new(),
            sightings: Vec::new(),
            notes: Vec::new(),
        };
        let shown = Shown {
            id: results.reports[0].report.id.clone(),
            digest: "d".into(),
            resources: vec![planned],
            parts: Vec::new(),
        };
        results.diffs = vec![Diff { what: "to be changed:".into(), shown }];
        results
    }

    #[test]
    fn what_somebody_is_asked_about_is_shown_once_and_left_until_it_is_written() {
        let asking = asking();
        let text = printed(&asking, Format::Table);
        assert!(
            text.contains("to be changed:\n")
                && text.contains("\n  x  data\\u{1b}[2J  eu-central-1  BPR-1-0-0\n    close it\n"),
            "{text}"
        );
        assert_eq!(text.matches("turn on IgnorePublicAcls").count(), 1, "only of what failed: {text}");
        let alone = Results { reports: Vec::new(), ..asking.clone() };
        assert_eq!((asking.shown(), asking.exit(), alone.exit()), (1, Exit::Failed, Exit::Left));
        assert_eq!(asking.exit_of(|outcome| outcome != Outcome::Planned), Exit::Failed);
        assert_eq!(Results { mode: Mode::Apply, ..alone }.exit(), Exit::NothingLeft);
        let document: Value = serde_json::from_str(&printed(&asking, Format::Json)).unwrap();
        assert_eq!(document["shown"][0]["digest"], "d");
        assert_eq!(document["shown"][0]["resources"][0]["changes"][0]["summary"], "close it");
    }

    #[test]
    fn the_table_shows_what_was_done_and_proved_and_counts_the_rest() {
        let skipped = Skipped { other_regions: 4, ..Skipped::default() };
        let text = printed(&Results { skipped, ..results(&["fixed", "gone"]) }, Format::Table);
        for part in [
            "BPR-1-0-0",
            "111122223333",
            "turn on IgnorePublicAcls",
            "fixed: turn on IgnorePublicAcls; a reason; verified compliant at 03:04:05Z\n",
            "\n2 findings: 1 gone, 1 fixed; skipped: 4 in other regions\nplan: plans/x\nreport: reports/x\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(text.matches("BPR-1-0-0").count(), 1);
        assert!(!text.contains('\u{1b}'), "a terminal would obey a resource's name");
    }

    #[test]
    fn findings_take_two_lines_each_and_a_few_more_at_any_usual_width() {
        let mut results = results(&["held"; 66]);
        let report = &mut results.reports[0].report;
        for (number, row) in report.findings.iter_mut().enumerate() {
            row.finding.resource = format!("an-application-s-bucket-{number}");
            row.detail = Some("the rule's mode is approve".into());
            row.finding.account = format!("{:012}", number % 3).parse().unwrap();
        }
        let (rules, report) = (rules::all().unwrap(), &results.reports[0].report);
        let manifests = rules::manifests(&rules);
        let lines = |width| {
            let text = report::list([report], Planned::Here, &manifests).at(width);
            for number in 0..66 {
                let name = format!("\n  an-application-s-bucket-{number}");
                assert!(text.contains(&format!("{name} ")) || text.contains(&format!("{name}\n")), "{width}: {text}");
            }
            text.lines().count()
        };
        assert_eq!([80, 120, 200].map(lines), [66 * 2 + 3; 3]);
        assert_eq!(lines(40), 66 * 4 + 3, "there, each of the two takes two");
        assert_eq!(printed(&results, Format::Table).lines().count(), 66 * 2 + 3 + 3);
        assert_eq!(printed(&results, Format::Csv).lines().count(), 67);
    }

    #[test]
    fn what_is_told_of_one_resource_for_two_controls_is_told_once() {
        let mut results = results(&["held", "held"]);
        results.reports[0].report.id.rule = "network-acl-open-ingress".into();
        for (row, control) in results.reports[0].report.findings.iter_mut().zip(["one control", "another control"]) {
            row.finding.control = control.into();
        }
        let text = printed(&results, Format::Table);
        assert!(
            text.contains("  eu-central-1  another control, one control\n") && text.matches("held:").count() == 1,
            "{text}"
        );
    }

    #[test]
    fn the_last_line_is_the_command_that_comes_next() {
        let next = |results: &Results| printed(results, Format::Table).lines().last().unwrap_or_default().to_owned();
        let run = "reports/s3-public-bucket/2026-01-02/RUN";
        let mut fixed = Results { reached_by: " --profile audit --alone".into(), ..results(&["fixed"]) };
        fixed.reports[0].report_at = Some(format!("my records/{run}-1.json"));
        fixed.reports[0].report.findings[0].took = vec![0];
        fixed.reports.push(fixed.reports[0].clone());
        assert_eq!(next(&fixed), format!("to undo: autoremediate undo 'my records/{run}' --profile audit --alone"));
        let mut held = Results { reached_by: String::new(), ..results(&["held"]) };
        held.reports[0].report.mode = Mode::Approve;
        assert_eq!(next(&held), "to approve: autoremediate approve plans/x --reason TICKET");
        assert_eq!(next(&results(&["fixed"])), "report: reports/x", "it wrote nothing that can be taken back");
    }

    #[test]
    fn a_note_is_shown_even_for_a_resource_that_complies() {
        let mut results = results(&["already_compliant"]);
        results.reports[0].report.findings[0].notes = vec!["it delivers nothing".into()];
        let text = printed(&results, Format::Table);
        assert!(text.contains("note: it delivers nothing"), "{text}");
    }

    #[test]
    fn what_stops_an_account_is_shown_once() {
        let mut results = results(&["failed", "failed", "planned"]);
        let report = &mut results.reports[0].report;
        let (account, reason) = (report.findings[0].finding.account.clone(), "sts:AssumeRole: AccessDenied".to_owned());
        for row in &mut report.findings[..2] {
            row.detail = Some(reason.clone());
        }
        report.accounts = vec![AccountProblem { account, findings: 2, reason }];
        let text = printed(&results, Format::Table);
        assert_eq!(text.matches("sts:AssumeRole").count(), 1, "{text}");
        assert!(text.contains("2 findings: sts:AssumeRole: AccessDenied"), "{text}");
    }

    #[test]
    fn who_approved_and_who_wrote_in_spite_of_the_policy_is_shown() {
        let mut results = results(&["fixed"]);
        let report = &mut results.reports[0].report;
        let by = "arn:aws:sts::111122223333:assumed-role/approver/alice".to_owned();
        let approval = Approval::new(&report.id, "plans/x", "d", by.clone(), "ticket 4711".into());
        report.approval = Some(Approved { approval, stored_by: Some("AWS:AROAEXAMPLE:alice".into()) });
        report.policy_override = Some(PolicyOverride::new(report.id.run, by, "it\u{1b}burns".into()));
        let text = printed(&results, Format::Table);
        for part in [
            "approved by arn:aws:sts::111122223333:assumed-role/approver/alice (stored by AWS:AROAEXAMPLE:alice): ticket",
            "policy overridden by arn:aws:sts::111122223333:assumed-role/approver/alice: it\\u{1b}burns\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("warning"), "{text}");
        let approved = results.reports[0].report.approval.as_mut().unwrap();
        approved.stored_by = Some("AWS:AROAEXAMPLE:mallory".into());
        let text = printed(&results, Format::Table);
        assert!(
            text.contains("mallory") && text.contains("warning: the approval was stored by somebody else"),
            "{text}"
        );
    }

    #[test]
    fn without_a_row_there_is_no_table() {
        assert_eq!(printed(&Results { reports: vec![], ..results(&[]) }, Format::Table), "0 findings\n");
    }

    #[test]
    fn json_is_one_document_with_the_reports() {
        let mut results = results(&["planned"]);
        results.reports[0].report.bad_lines.push(BatchLineError { line: 3, reason: "no JSON".into() });
        let document: Value = serde_json::from_str(&printed(&results, Format::Json)).unwrap();
        assert_eq!(document["schema"], 2);
        assert_eq!((&document["mode"], &document["exit_code"]), (&json!("plan"), &json!(2)));
        assert_eq!(document["counts"], json!({"planned": 1}));
        assert_eq!(document["reports"][0]["report_at"], "reports/x");
        assert_eq!(document["reports"][0]["report"]["findings"][0]["outcome"], "planned");
        assert_eq!(document["reports"][0]["report"]["bad_lines"][0]["line"], 3);
    }
}
