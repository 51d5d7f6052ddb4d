//! `approve`: a stored plan in, an approval beside it. In the bucket, the approval starts the rule's Lambda on the
//! plan; where the records are in a folder, this command carries the plan out.

use std::sync::Arc;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgAction, Args};
use remediation::{Approval, Mode, Plan, Records, Report};
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::commands::arguments::{AccessArgs, OutputArgs, PolicyArgs, consent};
use crate::commands::help::{self, RUN_EXIT_CODES};
use crate::commands::results::{Results, StoredReport};
use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::{Format, Page};
use crate::print::plan;
use crate::print::progress::Bar;
use crate::print::question::{self, Consent};
use crate::print::text::counted;
use crate::session::connection::Connection;
use crate::session::records::{RecordAt, RecordsPlace, locate};
use crate::session::rules::{self, LoadedRule};
use crate::session::workplace::Workplace;

/// How long to wait before looking for the report again.
const PAUSE: Duration = Duration::from_secs(2);

/// What to approve.
#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// The plan, as reports name it: s3://bucket/plans/…, or a file.
    #[arg(value_name = "PLAN", value_parser = RecordAt::plan)]
    plan: RecordAt,
    /// Why you approve it. The reason is recorded.
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    reason: String,
    /// Approve without showing the plan and asking. Required without a terminal, and with --json.
    #[arg(long = "yes", action = ArgAction::SetTrue, value_parser = consent())]
    consent: Consent,
    /// Wait up to this many seconds for the report of the rule's Lambda.
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

pub(crate) fn help() -> String {
    help::below(
        RUN_EXIT_CODES,
        "
  See what a plan that is waiting for approval would change, and approve it when asked:
    autoremediate approve s3://bucket/plans/s3-public-bucket/2026-01-02/RUN-1.json --reason TICKET-4711

  Without being asked; then wait until the rule's Lambda is done, and show its report:
    autoremediate approve s3://bucket/plans/s3-public-bucket/2026-01-02/RUN-1.json --reason T-4711 --yes --wait 300",
    )
}

/// What `--json` prints where the rule's Lambda carries out the plan, and the command does not wait for it.
#[derive(Serialize)]
struct Approved<'a> {
    approval_at: String,
    report_at: String,
    approval: &'a Approval,
}

/// Approves a plan; without consent, after a question that shows it.
pub(crate) async fn approve(args: &ApproveArgs, bar: &Bar, page: &mut Page<'_>) -> Result<Exit, Error> {
    if args.consent == Consent::Ask && !question::can_ask(args.output.format) {
        return Err(Error::Unapproved);
    }
    let rules = rules::select(&[args.plan.rule().to_owned()])?;
    let connection = Connection::open(args.access.access(), args.plan.place.clone()).await?;
    let records = &connection.records;
    let bytes = records.get(&args.plan.key).await.map_err(Box::new)?;
    let plan = waiting(&bytes, || connection.locate(&args.plan.key))?;
    if args.consent == Consent::Ask {
        page.table(&plan::table(&plan, &rules::manifests(&rules)))?;
        let question = format!("Approve these changes to {}?", counted(plan.findings.len(), "resource"));
        if !question::is_confirmed(&question)? {
            return Ok(Exit::Left);
        }
    }
    let by = connection.caller().await?;
    let approval = Approval::new(&plan.id, &args.plan.key, &plan.hash, by, args.reason.clone());
    let stored = serde_json::to_vec_pretty(&approval)?;
    let key = records.put_new(&Approval::key(&args.plan.key), stored).await.map_err(Box::new)?;
    let approved = Approved {
        approval_at: connection.locate(&key),
        report_at: connection.locate(&approval.id().report_key()),
        approval: &approval,
    };
    let results = match (&connection.place, args.wait) {
        (RecordsPlace::Folder(_), _) => {
            let policy = connection.policy(args.policy.policy.as_deref()).await?;
            let workplace = Workplace { connection, policy, progress: Arc::new(bar.clone()) };
            let results = carry_out(&workplace, &rules, &approval, &bytes).await?;
            bar.clear();
            results
        }
        (RecordsPlace::Bucket(_), Some(seconds)) => {
            let report = await_report(records, &approval, seconds).await?;
            let reports = vec![StoredReport::of(report, records, Some(approved.report_at))];
            Results { reports, ..Results::of(Mode::Approve) }
        }
        (RecordsPlace::Bucket(_), None) => {
            approved.print(args.output.format, page)?;
            return Ok(Exit::NothingLeft);
        }
    };
    results.print(args.output.format, &rules, page)?;
    Ok(results.exit())
}

impl Approved<'_> {
    fn print(&self, format: Format, page: &mut Page<'_>) -> Result<(), Error> {
        match format {
            Format::Json => page.json(self)?,
            Format::Table => {
                page.line(format!("approval: {}", self.approval_at))?;
                page.line(format!("report, when it is done: {}", self.report_at))?;
            }
        }
        Ok(())
    }
}

/// What of the plan is waiting for an approval.
fn waiting(plan: &[u8], place: impl Fn() -> String) -> Result<Plan<Value>, Error> {
    let broken = |source| Error::Broken { place: place(), source };
    let mut plan: Plan<Value> = serde_json::from_slice(plan).map_err(broken)?;
    plan.findings.retain(|planned| !planned.awaits.is_empty());
    if plan.findings.is_empty() {
        return Err(Error::NothingAwaits(place()));
    }
    Ok(plan)
}

/// Carries out the approved plan.
async fn carry_out(
    workplace: &Workplace,
    rules: &[LoadedRule],
    approval: &Approval,
    plan: &[u8],
) -> Result<Results, Error> {
    let mut results = Results::of(Mode::Approve);
    let connection = &workplace.connection;
    for rule in rules {
        let engine = workplace.engine(rule, approval.run, None)?;
        let broken = |source| Error::Broken { place: connection.locate(&approval.plan), source };
        let report = engine.run_approved(approval, plan).await.map_err(broken)?;
        results.store(report, &connection.records).await;
    }
    Ok(results)
}

/// The report of the rule's Lambda.
async fn await_report(records: &Records, approval: &Approval, seconds: u64) -> Result<Report, Error> {
    let (key, end) = (approval.id().report_key(), Instant::now() + Duration::from_secs(seconds));
    loop {
        if records.list(&key).await.map_err(Box::new)?.contains(&key) {
            let broken = |source| Error::Broken { place: locate(records, &key), source };
            return serde_json::from_slice(&records.get(&key).await.map_err(Box::new)?).map_err(broken);
        }
        if Instant::now() >= end {
            return Err(Error::NoReportYet { report: locate(records, &key), seconds });
        }
        sleep(PAUSE).await;
    }
}
