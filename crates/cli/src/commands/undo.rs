//! `undo`: a report in; what its run changed, put back from the stored plans alone.

use std::sync::Arc;

use clap::builder::{BoolValueParser, TypedValueParser};
use clap::{ArgAction, Args};
use jiff::{SignedDuration, Timestamp};
use remediation::{AccountId, BatchId, Finding, Mode, Outcome, Records, Report, RunId, StoredPlan, Undo};

use crate::commands::arguments::{AccessArgs, OutputArgs, PolicyArgs, consent};
use crate::commands::help::{self, RUN_EXIT_CODES};
use crate::commands::results::Results;
use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::{Page, complain};
use crate::print::progress::Bar;
use crate::print::question::Consent;
use crate::session::connection::Connection;
use crate::session::records::{RecordAt, locate};
use crate::session::rules::{self, UndoPlan};
use crate::session::workplace::Workplace;

/// What to undo.
#[derive(Debug, Args)]
pub(crate) struct UndoArgs {
    /// The report of the run, as plan and apply print it: s3://bucket/reports/…, or a file. Without -<batch>.json, all
    /// reports of the run. If the run ended early and left no report, its plan.
    #[arg(value_name = "REPORT", value_parser = RecordAt::report_or_plan)]
    report: RecordAt,
    /// Only resources of this account, by its twelve digits; can be repeated.
    #[arg(long = "account", value_name = "ID")]
    accounts: Vec<AccountId>,
    /// Only this resource, by its name in the report; can be repeated.
    #[arg(long = "resource", value_name = "NAME")]
    resources: Vec<String>,
    #[command(flatten)]
    access: AccessArgs,
    /// Put it back. Without it, nothing is changed in any account.
    #[arg(long = "yes", action = ArgAction::SetTrue, value_parser = consent())]
    consent: Consent,
    /// Also put back resources that were changed after the fix.
    #[arg(long = "force", action = ArgAction::SetTrue, value_parser = drifted())]
    drifted: Drifted,
    /// How many hours to exempt what was put back, so that no run fixes it again.
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    exempt_hours: u32,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// What to do with a resource that is not as the fix left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drifted {
    Hold,
    /// `--force`.
    PutBack,
}

fn drifted() -> impl TypedValueParser<Value = Drifted> {
    BoolValueParser::new().map(|is_given| if is_given { Drifted::PutBack } else { Drifted::Hold })
}

pub(crate) fn help() -> String {
    help::below(
        RUN_EXIT_CODES,
        "
  See what a run changed and how it would be put back; then put it back:
    autoremediate undo s3://bucket/reports/s3-public-bucket/2026-01-02/RUN-1.json
    autoremediate undo s3://bucket/reports/s3-public-bucket/2026-01-02/RUN-1.json --yes

  All batches of a run; a run that ended early and left only its plan:
    autoremediate undo s3://bucket/reports/s3-public-bucket/2026-01-02/RUN
    autoremediate undo s3://bucket/plans/s3-public-bucket/2026-01-02/RUN-1.json

  Only one resource, even if it was changed after the fix:
    autoremediate undo reports/s3-public-bucket/2026-01-02/RUN-1.json --resource data --force --yes",
    )
}

/// A plan, and the report of what its run changed; a run that ended early left none.
struct Written {
    plan: String,
    report: Option<Arc<Report>>,
}

/// Shows how what a run changed would be put back; with consent, puts it back.
pub(crate) async fn undo(args: &UndoArgs, bar: &Bar, page: &mut Page<'_>) -> Result<Exit, Error> {
    let connection = Connection::open(args.access.access(), args.report.place.clone()).await?;
    let policy = connection.policy(args.policy.policy.as_deref()).await?;
    let written = written(&connection.records, &args.report.key).await?;
    let rules = rules::select(&[args.report.rule().to_owned()])?;
    let mode = match args.consent {
        Consent::Ask => Mode::Plan,
        Consent::Given => Mode::Apply,
    };
    let exempt_until = Timestamp::now() + SignedDuration::from_hours(i64::from(args.exempt_hours));
    let how = Undo { write: mode == Mode::Apply, force: args.drifted == Drifted::PutBack, exempt_until };
    let (mut results, run) = (Results::of(mode), RunId::start());
    let workplace = Workplace { connection, policy, progress: Arc::new(bar.clone()) };
    let records = &workplace.connection.records;
    for rule in &rules {
        let engine = workplace.engine(rule, run, None)?;
        for (batch, Written { plan: key, report }) in (1..).zip(&written) {
            let wanted = |finding: &Finding| is_wanted(args, finding) && was_written(report.as_deref(), finding);
            let id = BatchId { rule: rule.manifest.id.clone(), run, batch };
            let plan = records.get(key).await.map_err(Box::new)?;
            let undone = engine.undo(UndoPlan { id, key, plan: &plan, wanted: &wanted, how }).await;
            let undone = undone.map_err(|source| Error::Broken { place: locate(records, key), source })?;
            results.store(undone, records).await;
        }
    }
    bar.clear();
    results.print(args.output.format, &rules, page)?;
    if args.consent == Consent::Ask {
        complain("Nothing was changed. To put it back, give --yes.");
    }
    Ok(results.exit())
}

/// The plans that `key` leads to: those of a report, of all reports of a run, or one itself. A report's last plan comes
/// first, because it was made on what the earlier ones had left.
async fn written(records: &Records, key: &str) -> Result<Vec<Written>, Error> {
    if key.starts_with("plans/") {
        return Ok(vec![Written { plan: key.to_owned(), report: None }]);
    }
    let reports = if key.ends_with(".json") {
        vec![key.to_owned()]
    } else {
        records.list(&format!("{key}-")).await.map_err(Box::new)?
    };
    if reports.is_empty() {
        return Err(Error::NoReports(locate(records, key)));
    }
    let mut written = Vec::new();
    for key in reports.iter().rev() {
        let broken = |source| Error::Broken { place: locate(records, key), source };
        let report = records.get(key).await.map_err(Box::new)?;
        let report: Arc<Report> = Arc::new(serde_json::from_slice(&report).map_err(broken)?);
        let plans = report.plans.iter().rev();
        written.extend(plans.map(|StoredPlan { key, .. }| Written { plan: key.clone(), report: Some(report.clone()) }));
    }
    if written.is_empty() {
        return Err(Error::NoPlan(locate(records, key)));
    }
    Ok(written)
}

/// Whether the run changed something for a finding, or may have: a write that failed, or that a later run had to
/// finish, can have had an effect. Without a report, everything that was planned may have been written.
fn was_written(report: Option<&Report>, finding: &Finding) -> bool {
    use Outcome::{Deferred, Failed, Fixed, Unverified};
    let Some(report) = report else { return true };
    let may_have = |outcome| matches!(outcome, Failed | Unverified | Fixed | Deferred);
    report.findings.iter().any(|row| row.finding == *finding && (row.written > 0 || may_have(row.outcome)))
}

fn is_wanted(args: &UndoArgs, finding: &Finding) -> bool {
    let UndoArgs { accounts, resources, .. } = args;
    (accounts.is_empty() || accounts.contains(&finding.account))
        && (resources.is_empty() || resources.contains(&finding.resource))
}

#[cfg(test)]
mod tests {
    use remediation::{Batch, Region};
    use serde_json::json;

    use super::*;

    fn finding() -> Finding {
        Finding {
            control: "c".into(),
            account: "111122223333".parse().unwrap(),
            region: Region::code("eu-central-1"),
            resource: "r".into(),
            first_seen: None,
            last_scanned: None,
        }
    }

    fn report(outcome: &str, written: usize) -> Report {
        let id = BatchId { rule: "s3-public-bucket".into(), run: RunId::start(), batch: 1 };
        let mut report = serde_json::to_value(Report::held(Batch::new(id, vec![finding()]), "why")).unwrap();
        report["findings"][0]["outcome"] = json!(outcome);
        report["findings"][0]["written"] = json!(written);
        serde_json::from_value(report).unwrap()
    }

    #[test]
    fn whatever_may_have_been_written_is_looked_at() {
        for (outcome, written, looked_at) in [
            ("fixed", 1, true),
            // A runbook that ended badly and took effect, or had to be left.
            ("fixed", 0, true),
            ("deferred", 0, true),
            ("failed", 0, true),
            ("unverified", 0, true),
            ("held", 1, true),
            ("held", 0, false),
            ("planned", 0, false),
            ("already_compliant", 0, false),
            ("exempt", 0, false),
        ] {
            assert_eq!(was_written(Some(&report(outcome, written)), &finding()), looked_at, "{outcome} {written}");
        }
        let other = Finding { resource: "s".into(), ..finding() };
        assert!(!was_written(Some(&report("fixed", 1)), &other) && was_written(None, &other));
    }
}
