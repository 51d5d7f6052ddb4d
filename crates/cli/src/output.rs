//! What a person or a script is told in the end: tables, JSON, exit codes.

use std::collections::BTreeMap;
use std::io::{self, Write};

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, ColumnConstraint, ContentArrangement, Table};
use remediation::{
    AccountProblem, Batch, Finding, Mode, Outcome, Permission, Plan, PlannedFinding, Records, Report, ReportedFinding,
};
use serde::Serialize;
use serde_json::Value;

use crate::aws;
use crate::colour;
use crate::error::Error;
use crate::rules::LoadedRule;
use crate::source::Skipped;
use crate::time;

/// The version of the JSON document that `plan` and `apply` print.
const OUTPUT_SCHEMA: u32 = 1;

/// The width of a terminal from which a table is made to fit it.
const NARROWEST: u16 = 100;

/// How a command ended, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    NothingLeft,
    Left,
    Failed,
}

impl Exit {
    /// The process's exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::NothingLeft => 0,
            Self::Left => 2,
            Self::Failed => 1,
        }
    }

    fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::AlreadyCompliant | Outcome::Gone | Outcome::Fixed | Outcome::Undone | Outcome::Exempt => {
                Self::NothingLeft
            }
            Outcome::Planned | Outcome::Held | Outcome::Deferred => Self::Left,
            Outcome::Unverified | Outcome::Failed => Self::Failed,
        }
    }
}

/// How results are printed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Format {
    Table,
    Json(Mode),
}

impl Format {
    pub(crate) fn of(json: bool, mode: Mode) -> Self {
        if json { Self::Json(mode) } else { Self::Table }
    }
}

/// A report, and where it and its plans are kept.
#[derive(Debug, Serialize)]
pub(crate) struct StoredReport {
    pub(crate) plans_at: Vec<String>,
    pub(crate) report_at: Option<String>,
    pub(crate) report: Report,
}

impl StoredReport {
    /// A report that is stored at `report_at`, if it could be.
    pub(crate) fn of(report: Report, records: &Records, report_at: Option<String>) -> Self {
        let plans_at = report.plans.iter().map(|plan| aws::locate(records, &plan.key)).collect();
        Self { plans_at, report_at, report }
    }
}

/// What became of all findings.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) reports: Vec<StoredReport>,
    pub(crate) skipped: Skipped,
    pub(crate) problems: Vec<String>,
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
    reports: &'a [StoredReport],
}

impl Results {
    /// Keeps a report, also where it cannot be stored.
    pub(crate) async fn store(&mut self, report: Report, records: &Records) {
        let stored = records.store_report(&report).await.map(|key| aws::locate(records, &key));
        if let Err(error) = &stored {
            self.problems.push(format!("the report of {} could not be stored: {error}", report.id.report_key()));
        }
        self.reports.push(StoredReport::of(report, records, stored.ok()));
    }

    /// How the command ended.
    pub(crate) fn exit(&self) -> Exit {
        self.exit_of(|_| true)
    }

    /// How the command ended for the findings of some outcomes, and for what is no finding.
    pub(crate) fn exit_of(&self, counts: impl Fn(Outcome) -> bool) -> Exit {
        if !self.problems.is_empty() || self.skipped.invalid > 0 {
            return Exit::Failed;
        }
        let outcomes = self.counts().into_keys().filter(|outcome| counts(*outcome));
        outcomes.map(Exit::of).max().unwrap_or(Exit::NothingLeft)
    }

    /// How many findings had `outcome`.
    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        self.reports.iter().map(|stored| stored.report.count(outcome)).sum()
    }

    /// The findings that a plan would change, as batches of their own.
    pub(crate) fn planned_batches(&self) -> Vec<Batch> {
        let planned = |report: &Report| {
            let rows = report.findings.iter().filter(|row| row.outcome == Outcome::Planned);
            Batch::new(report.id.clone(), rows.map(|row| row.finding.clone()).collect())
        };
        let batches = self.reports.iter().map(|stored| planned(&stored.report));
        batches.filter(|batch| !batch.findings.is_empty()).collect()
    }

    /// Prints the results to `out`, and what went wrong beside the findings to standard error.
    pub(crate) fn print(&self, format: Format, rules: &[LoadedRule], out: &mut impl Write) -> Result<(), Error> {
        for problem in self.problems.iter().cloned().chain(self.bad_lines()) {
            writeln!(io::stderr(), "error: {}", printable(&problem))?;
        }
        match format {
            Format::Json(mode) => Ok(print_json(&self.document(mode), out)?),
            Format::Table => Ok(self.print_table(rules, out)?),
        }
    }

    fn document(&self, mode: Mode) -> Document<'_> {
        Document {
            schema: OUTPUT_SCHEMA,
            mode,
            exit_code: self.exit().code(),
            counts: self.counts(),
            skipped: &self.skipped,
            problems: &self.problems,
            reports: &self.reports,
        }
    }

    fn counts(&self) -> BTreeMap<Outcome, usize> {
        let mut counts = BTreeMap::new();
        for (outcome, count) in self.reports.iter().flat_map(|stored| &stored.report.counts) {
            *counts.entry(*outcome).or_default() += count;
        }
        counts
    }

    fn bad_lines(&self) -> impl Iterator<Item = String> + '_ {
        self.reports.iter().flat_map(|StoredReport { report, .. }| {
            report.bad_lines.iter().map(|line| format!("{}: {line}", report.id.findings_key()))
        })
    }

    fn print_table(&self, rules: &[LoadedRule], out: &mut impl Write) -> io::Result<()> {
        let mut table = table(["control", "account", "region", "resource", "change", "outcome", "detail"]);
        // An account and a region in one piece, to copy.
        for column in table.column_iter_mut().skip(1).take(2) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
        for Report { findings, accounts, .. } in self.reports.iter().map(|stored| &stored.report) {
            // What stopped all findings of an account is told once, below.
            let is_of_account = |row: &ReportedFinding| {
                let stops =
                    |of: &AccountProblem| of.account == row.finding.account && Some(&of.reason) == row.detail.as_ref();
                accounts.iter().any(stops)
            };
            for row in findings.iter().filter(|row| is_told(row) && !is_of_account(row)) {
                table.add_row(cells(row, rules));
            }
        }
        if !table.is_empty() {
            writeln!(out, "{table}")?;
        }
        for AccountProblem { account, findings, reason } in
            self.reports.iter().flat_map(|stored| &stored.report.accounts)
        {
            writeln!(out, "account {account}: {findings} finding(s): {}", printable(reason))?;
        }
        for StoredReport { plans_at, report_at, .. } in &self.reports {
            for plan in plans_at {
                writeln!(out, "plan: {plan}")?;
            }
            if let Some(report) = report_at {
                writeln!(out, "report: {report}")?;
            }
        }
        writeln!(out, "{}", self.summary())
    }

    /// The counts in one line.
    fn summary(&self) -> String {
        let counts = self.counts();
        let total: usize = counts.values().sum();
        let outcomes = listed(counts.iter().map(|(outcome, count)| (*count, outcome.to_string())));
        let Skipped { other_regions, other_accounts, unknown_regions, duplicates, invalid, rows } = &self.skipped;
        let unknown = unknown_regions.iter().map(|(name, count)| (*count, format!("in the unknown region `{name}`")));
        let skipped = [
            (*other_regions, "in other regions".to_owned()),
            (*other_accounts, "in other accounts".to_owned()),
            (*duplicates, "repeated".to_owned()),
            (*invalid, "without account, region or resource".to_owned()),
            (rows.muted, "muted in Netskope".to_owned()),
            (rows.not_failed, "not failed".to_owned()),
            (rows.other_rules, "of other Netskope rules".to_owned()),
            (rows.other_clouds, "of other clouds".to_owned()),
            (rows.remediated_by_netskope, "remediated by Netskope itself".to_owned()),
        ];
        let skipped = listed(skipped.into_iter().chain(unknown));
        let mut line = format!("{total} finding(s)");
        for (what, list) in [(": ", outcomes), ("; skipped: ", skipped)] {
            if !list.is_empty() {
                line = line + what + &list;
            }
        }
        printable(&line)
    }
}

/// Prints the changes of a plan, and what a person should know of them.
pub(crate) fn print_plan(plan: &Plan<Value>, rules: &[LoadedRule], out: &mut impl Write) -> io::Result<()> {
    let mut table = table(["control", "account", "region", "resource", "change", "waits because", "notes"]);
    for PlannedFinding { finding, changes, awaits, notes, .. } in &plan.findings {
        let changes: Vec<_> = changes.iter().map(|change| change.summary.as_str()).collect();
        table.add_row([
            printable(control(finding, rules)),
            finding.account.to_string(),
            printable(&finding.region.to_string()),
            printable(&finding.resource),
            printable(&changes.join("; ")),
            printable(&awaits.join("; ")),
            printable(&notes.join("; ")),
        ]);
    }
    writeln!(out, "{table}")
}

/// Prints the manifests of `rules`.
pub(crate) fn print_rules(rules: &[LoadedRule], json: bool, out: &mut impl Write) -> Result<(), Error> {
    let manifests: Vec<_> = rules.iter().map(|rule| &rule.manifest).collect();
    if json {
        return Ok(print_json(&manifests, out)?);
    }
    let mut table = table(["rule", "title", "controls", "scope", "reads", "writes"]);
    for manifest in manifests {
        let controls = manifest.controls.iter().map(|control| {
            let names: Vec<_> = control.rule_names.iter().map(|name| format!("\"{name}\"")).collect();
            format!("{}: {}", control.short_name, names.join(" or "))
        });
        let scope = match manifest.scope {
            remediation::Scope::Regional => "regional",
            remediation::Scope::Located => "located",
            remediation::Scope::Global => "global",
        };
        table.add_row([
            manifest.id.clone(),
            manifest.title.clone(),
            controls.collect::<Vec<_>>().join("\n"),
            scope.to_owned(),
            actions(&manifest.read),
            actions(&[manifest.write.as_slice(), &manifest.extra].concat()),
        ]);
    }
    Ok(writeln!(out, "{table}")?)
}

/// Prints one JSON document.
pub(crate) fn print_json(document: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, document)?;
    writeln!(out)
}

/// An empty table that fits the terminal.
pub(crate) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    // Columns of a few letters cannot be read; the terminal's own wrapping can.
    if table.width().is_some_and(|width| width >= NARROWEST) {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table
}

/// Whether a finding has a row: one that needs nothing is only counted.
fn is_told(row: &ReportedFinding) -> bool {
    !row.notes.is_empty() || !matches!(row.outcome, Outcome::AlreadyCompliant | Outcome::Gone)
}

fn cells(row: &ReportedFinding, rules: &[LoadedRule]) -> [Cell; 7] {
    let finding = &row.finding;
    let proof = row.verification.as_ref().map(|proof| {
        let (at, looks) = (time::shown(proof.at), proof.looks);
        format!("complies at {at} by {} ({looks} look(s))", proof.actions.join(", "))
    });
    let notes = row.notes.iter().map(|note| format!("note: {note}"));
    let detail: Vec<_> = row.detail.iter().cloned().chain(proof).chain(notes).collect();
    [
        Cell::new(printable(control(finding, rules))),
        Cell::new(&finding.account),
        Cell::new(printable(&finding.region.to_string())),
        Cell::new(printable(&finding.resource)),
        Cell::new(printable(&row.changes.join("; "))),
        colour::cell(&row.outcome.to_string(), Exit::of(row.outcome)),
        Cell::new(printable(&detail.join("; "))),
    ]
}

/// The short name of the finding's control.
fn control<'a>(finding: &'a Finding, rules: &'a [LoadedRule]) -> &'a str {
    let control = rules.iter().find_map(|rule| rule.manifest.control(&finding.control));
    control.map_or(&finding.control, |control| &control.short_name)
}

/// The text without what a terminal would take for a command: names come from whoever made the resource.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Counts in words, without those of nothing.
pub(crate) fn listed(parts: impl Iterator<Item = (usize, String)>) -> String {
    let parts = parts.filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    parts.collect::<Vec<_>>().join(", ")
}

fn actions(permissions: &[Permission]) -> String {
    let mut actions: Vec<_> = permissions.iter().map(|permission| permission.action.as_str()).collect();
    // An action on two kinds of resources is two permissions.
    actions.dedup();
    actions.join("\n")
}

#[cfg(test)]
mod tests {
    use remediation::{BatchId, BatchLineError, Region, RunId};
    use serde_json::json;

    use super::*;
    use crate::rules;

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
        let held = Report::held(Batch::new(id, vec![finding; outcomes.len()]), "a reason");
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
        let stored = StoredReport { plans_at: vec!["plans/x".into()], report_at: Some("reports/x".into()), report };
        Results { reports: vec![stored], skipped: Skipped::default(), problems: Vec::new() }
    }

    fn printed(results: &Results, format: Format) -> String {
        let mut out = Vec::new();
        results.print(format, &rules::all().unwrap(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
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
        let problem = Results { problems: vec!["the list is not whole".into()], ..results(&["fixed"]) };
        assert_eq!(problem.exit(), Exit::Failed);
        let invalid = Skipped { invalid: 1, ..Skipped::default() };
        assert_eq!(Results { skipped: invalid, ..results(&[]) }.exit(), Exit::Failed);
        let others = Skipped { other_regions: 3, other_accounts: 2, duplicates: 1, ..Skipped::default() };
        assert_eq!(Results { skipped: others, ..results(&["fixed"]) }.exit(), Exit::NothingLeft);
    }

    #[test]
    fn only_planned_findings_are_applied_after_the_question() {
        let results = results(&["already_compliant", "planned", "failed"]);
        assert_eq!(results.planned_batches()[0].findings.len(), 1);
        assert_eq!(results.exit_of(|outcome| outcome != Outcome::Planned), Exit::Failed);
    }

    #[test]
    fn the_table_tells_what_was_done_and_proved_and_counts_the_rest() {
        let skipped = Skipped { other_regions: 4, ..Skipped::default() };
        let text = printed(&Results { skipped, ..results(&["fixed", "gone"]) }, Format::Table);
        let at = "2026-01-02T03:04:05Z".parse().unwrap();
        for part in [
            "BPR-1-0-0",
            "111122223333",
            "turn on IgnorePublicAcls",
            &format!("complies at {} by s3:GetBucketPublicAccessBlock (1 look(s))", time::shown(at)),
            "plan: plans/x\nreport: reports/x\n",
            "2 finding(s): 1 gone, 1 fixed; skipped: 4 in other regions\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(text.matches("BPR-1-0-0").count(), 1);
        assert!(!text.contains('\u{1b}'), "a terminal would obey a resource's name");
    }

    #[test]
    fn a_note_is_told_also_of_a_resource_that_complies() {
        let mut results = results(&["already_compliant"]);
        results.reports[0].report.findings[0].notes = vec!["it delivers nothing".into()];
        let text = printed(&results, Format::Table);
        assert!(text.contains("note: it delivers nothing"), "{text}");
    }

    #[test]
    fn what_stops_an_account_is_told_once() {
        let mut results = results(&["failed", "failed", "planned"]);
        let report = &mut results.reports[0].report;
        let (account, reason) = (report.findings[0].finding.account.clone(), "sts:AssumeRole: AccessDenied".to_owned());
        for row in &mut report.findings[..2] {
            row.detail = Some(reason.clone());
        }
        report.accounts = vec![AccountProblem { account, findings: 2, reason }];
        let text = printed(&results, Format::Table);
        assert_eq!(text.matches("sts:AssumeRole").count(), 1, "{text}");
        assert!(text.contains("2 finding(s): sts:AssumeRole: AccessDenied"), "{text}");
    }

    #[test]
    fn without_a_row_there_is_no_table() {
        assert_eq!(printed(&Results { reports: vec![], ..results(&[]) }, Format::Table), "0 finding(s)\n");
    }

    #[test]
    fn json_is_one_document_with_the_reports() {
        let mut results = results(&["planned"]);
        results.reports[0].report.bad_lines.push(BatchLineError { line: 3, reason: "no JSON".into() });
        let document: Value = serde_json::from_str(&printed(&results, Format::Json(Mode::Plan))).unwrap();
        assert_eq!(document["schema"], 1);
        assert_eq!((&document["mode"], &document["exit_code"]), (&json!("plan"), &json!(2)));
        assert_eq!(document["counts"], json!({"planned": 1}));
        assert_eq!(document["reports"][0]["report_at"], "reports/x");
        assert_eq!(document["reports"][0]["report"]["findings"][0]["outcome"], "planned");
        assert_eq!(document["reports"][0]["report"]["bad_lines"][0]["line"], 3);
    }

    #[test]
    fn the_rules_are_told_with_their_controls_and_permissions() {
        let (mut text, mut json) = (Vec::new(), Vec::new());
        print_rules(&rules::all().unwrap(), false, &mut text).unwrap();
        print_rules(&rules::all().unwrap(), true, &mut json).unwrap();
        let text = String::from_utf8(text).unwrap();
        for part in ["s3-public-bucket", "BPR-1-0-0", CONTROL, "regional", "s3:PutBucketPublicAccessBlock"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let json: Value = serde_json::from_slice(&json).unwrap();
        let mut ids = json.as_array().unwrap().iter().map(|rule| &rule["id"]);
        assert!(ids.any(|id| id == "s3-public-bucket"), "{json}");
    }
}
