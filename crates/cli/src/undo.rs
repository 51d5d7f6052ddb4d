//! `undo`: a report in, what its run wrote put back, from the stored plans alone.

use std::io::{self, Write};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use remediation::{BatchId, Finding, Mode, Outcome, Records, Report, RunId, StoredPlan, Undo};

use crate::args::UndoArgs;
use crate::aws;
use crate::error::Error;
use crate::output::{Exit, Format, Results};
use crate::progress::Bar;
use crate::rules::{self, UndoPlan};
use crate::workplace::Workplace;

/// A plan, and the report of what its run wrote of it; a run that has died left none.
struct Written {
    plan: String,
    report: Option<Arc<Report>>,
}

/// Shows how what a run wrote would be put back; with `--yes`, puts it back.
pub(crate) async fn undo(args: &UndoArgs, bar: &Bar, out: &mut impl Write) -> Result<Exit, Error> {
    let config = aws::config(&args.access, args.region.as_ref()).await?;
    aws::region(&config)?;
    let records = aws::records(&args.report.place, &config);
    let policy = aws::policy(&args.policy, &args.report.place, &config).await?;
    let written = written(&records, &args.report.key).await?;
    let rules = rules::select(&[args.report.rule().to_owned()])?;
    let mode = if args.yes { Mode::Apply } else { Mode::Plan };
    let exempt_until = Timestamp::now() + SignedDuration::from_hours(i64::from(args.exempt_hours));
    let how = Undo { write: args.yes, force: args.force, exempt_until };
    let (mut results, run) = (Results::default(), RunId::start());
    let workplace = Workplace { config, access: &args.access, records, policy, bar };
    let records = &workplace.records;
    for rule in &rules {
        let engine = workplace.engine(rule, run, None)?;
        for (batch, Written { plan: key, report }) in (1..).zip(&written) {
            let wanted = |finding: &Finding| is_wanted(args, finding) && was_written(report.as_deref(), finding);
            let id = BatchId { rule: rule.manifest.id.clone(), run, batch };
            let plan = records.get(key).await.map_err(Box::new)?;
            let undone = engine.undo(UndoPlan { id, key, plan: &plan, wanted: &wanted, how }).await;
            let undone = undone.map_err(|source| Error::Broken { place: aws::locate(records, key), source })?;
            results.store(undone, records).await;
        }
    }
    bar.clear();
    results.print(Format::of(args.json, mode), &rules, out)?;
    if !args.yes {
        writeln!(io::stderr(), "Nothing was written: --yes puts it back.")?;
    }
    Ok(results.exit())
}

/// The plans that `key` leads to: those of a report, of all reports of a run, or one itself. Of a report the last plan
/// comes first: it was made on what the ones before had left.
async fn written(records: &Records, key: &str) -> Result<Vec<Written>, Error> {
    if key.starts_with("plans/") {
        return Ok(vec![Written { plan: key.to_owned(), report: None }]);
    }
    let is_one = key.ends_with(".json");
    let reports = match is_one {
        true => vec![key.to_owned()],
        false => records.list(&format!("{key}-")).await.map_err(Box::new)?,
    };
    if reports.is_empty() {
        return Err(Error::NoReports(aws::locate(records, key)));
    }
    let mut written = Vec::new();
    for key in reports.iter().rev() {
        let broken = |source| Error::Broken { place: aws::locate(records, key), source };
        let report = records.get(key).await.map_err(Box::new)?;
        let report: Arc<Report> = Arc::new(serde_json::from_slice(&report).map_err(broken)?);
        let plans = report.plans.iter().rev();
        written.extend(plans.map(|StoredPlan { key, .. }| Written { plan: key.clone(), report: Some(report.clone()) }));
    }
    if written.is_empty() {
        return Err(Error::NoPlan(aws::locate(records, key)));
    }
    Ok(written)
}

/// Whether the run wrote something for a finding, or may have: a write that failed, or that another had to end, can
/// have had an effect. Where there is no report, everything that was planned may have been written.
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
