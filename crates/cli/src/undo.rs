//! `undo`: a report in, what it wrote put back, from the stored plans alone.

use std::io::{self, Write};
use std::sync::Arc;

use remediation::{BatchId, Finding, Mode, Outcome, Report, RunId, Sessions};

use crate::args::UndoArgs;
use crate::aws;
use crate::error::Error;
use crate::output::{Exit, Format, Results};
use crate::progress::Bar;
use crate::rules::{self, Undo};
use crate::source::Skipped;

/// Shows how what a run wrote would be put back; with `--yes`, puts it back.
pub(crate) async fn undo(args: &UndoArgs, bar: &Bar, out: &mut impl Write) -> Result<Exit, Error> {
    let config = aws::config(&args.access, args.region.as_ref()).await?;
    aws::region(&config)?;
    let records = aws::records(&args.report.place, &config);
    let place = |key: &str| aws::locate(&records, key);
    let read = async |key: &str| records.get(key).await.map_err(Box::new);
    let broken = |key: &str, source| Error::Broken { place: place(key), source };
    let key = &args.report.key;
    let report: Report = serde_json::from_slice(&read(key).await?).map_err(|source| broken(key, source))?;
    if report.plans.is_empty() {
        return Err(Error::NoPlan(place(key)));
    }
    let rules = rules::select(std::slice::from_ref(&report.id.rule))?;
    let mode = if args.yes { Mode::Apply } else { Mode::Plan };
    let mut results = Results { reports: Vec::new(), skipped: Skipped::default(), problems: Vec::new() };
    let (run, wanted) = (RunId::start(), |finding: &Finding| is_wanted(args, finding) && was_written(&report, finding));
    for rule in &rules {
        let role = aws::target_role(&args.access, &rule.manifest.id);
        let sessions = Sessions::new(config.clone(), role, &rule.manifest, run);
        let engine = rule.engine(sessions, records.clone(), Arc::new(bar.clone()));
        // The last plan first: it was made on what the ones before had left.
        for (batch, plan) in (1..).zip(report.plans.iter().rev()) {
            let id = BatchId { rule: rule.manifest.id.clone(), run, batch };
            let bytes = read(&plan.key).await?;
            let undo = Undo { id, key: &plan.key, plan: &bytes, wanted: &wanted, mode, force: args.force };
            let undone = engine.undo(undo).await.map_err(|source| broken(&plan.key, source))?;
            results.store(undone, &records).await;
        }
    }
    bar.clear();
    results.print(Format::of(args.json, mode), &rules, out)?;
    if !args.yes {
        writeln!(io::stderr(), "Nothing was written: --yes puts it back.")?;
    }
    Ok(results.exit())
}

/// Whether the run wrote something for a finding, or may have: a write that failed can have had an effect.
fn was_written(report: &Report, finding: &Finding) -> bool {
    let may_have = |outcome| matches!(outcome, Outcome::Failed | Outcome::Unverified);
    report.findings.iter().any(|row| row.finding == *finding && (row.written > 0 || may_have(row.outcome)))
}

fn is_wanted(args: &UndoArgs, finding: &Finding) -> bool {
    let UndoArgs { accounts, resources, .. } = args;
    (accounts.is_empty() || accounts.contains(&finding.account))
        && (resources.is_empty() || resources.contains(&finding.resource))
}
