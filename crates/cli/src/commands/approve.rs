//! `approve`: a stored plan in, an approval beside it. In the bucket, the approval starts the rule's Lambda on the
//! plan; where the records are in a folder, this command carries the plan out.

use std::sync::Arc;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgAction, Args};
use remediation::{Approval, Approved, Mode, Records, Report, RunId};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::commands::arguments::{AccessArgs, CompanyArgs, OutputArgs, PolicyArgs, consent};
use crate::commands::help::{self, RUN_EXIT_CODES};
use crate::commands::interrupts::Interrupts;
use crate::commands::results::{Diff, Results, StoredReport};
use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::{Format, Page};
use crate::print::plan;
use crate::print::progress::Bar;
use crate::print::question::{self, Consent};
use crate::print::table::{Cell, Table};
use crate::print::text::counted;
use crate::session::connection::Connection;
use crate::session::plans::{PlanInHand, Shown};
use crate::session::policy::{self, Asked};
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
    /// Approve what is printed, without being asked first. Required without a terminal, and with --json.
    #[arg(long = "yes", action = ArgAction::SetTrue, value_parser = consent())]
    pub(crate) consent: Consent,
    /// Wait up to this many seconds for the report of the rule's Lambda; at most a day.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=86_400))]
    wait: Option<u64>,
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    company: CompanyArgs,
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
    autoremediate approve s3://bucket/plans/s3-public-bucket/2026-01-02/RUN-1.json --reason T-4711 --yes --wait 300

  A plan in a folder, which this command carries out itself:
    autoremediate approve autoremediate-records/plans/s3-public-bucket/2026-01-02/RUN-1.json --reason T-4711 --alone",
    )
}

impl ApproveArgs {
    /// By which arguments an undo reaches AWS and the records.
    fn reached_by(&self) -> String {
        let alone = if matches!(self.plan.place, RecordsPlace::Folder(_)) { " --alone" } else { "" };
        self.access.again() + alone
    }
}

/// What `--json` prints where the rule's Lambda carries out the plan, and the command does not wait for it.
#[derive(Serialize)]
struct Waiting<'a> {
    approval_at: String,
    report_at: String,
    approval: &'a Approval,
    shown: &'a Shown,
}

/// The plan as it is approved.
enum Read {
    /// The rule's Lambda carries it out.
    ForLambda(Shown),
    /// This command carries it out.
    InHand(Box<dyn PlanInHand>),
}

impl Read {
    fn shown(&self) -> &Shown {
        match self {
            Self::ForLambda(shown) => shown,
            Self::InHand(plan) => plan.shown(),
        }
    }
}

/// Approves a plan: the one that is printed, of which it is read once.
pub(crate) async fn approve(
    args: &ApproveArgs,
    bar: &Bar,
    interrupts: &Interrupts,
    page: &mut Page<'_>,
) -> Result<Exit, Error> {
    args.plan.place.may_write(args.company.company)?;
    if matches!(args.plan.place, RecordsPlace::Bucket(_)) && args.policy.file().is_some() {
        return Err(Error::PolicyOfLambda);
    }
    if args.consent == Consent::Ask && !question::can_ask(args.output.format) {
        return Err(Error::Unapproved);
    }
    let rules = rules::select(&[args.plan.rule().to_owned()])?;
    let Some(rule) = rules.first() else { return Err(Error::Plan(args.plan.key.clone())) };
    let connection = Connection::open(args.access.access(), args.plan.place.clone()).await?;
    let policy = args.policy.asked();
    let (run, format) = (RunId::start(), args.output.format);
    let (read, connection) = read(args, rule, run, connection, policy, bar, interrupts).await?;
    let records = &connection.records;
    let asked = waiting(read.shown());
    if asked.resources.is_empty() {
        return Err(Error::NothingAwaits(connection.locate(&args.plan.key)));
    }
    if format == Format::Table {
        page.table(&plan::table(&asked.resources, &rules::manifests(&rules)))?;
    }
    let question = format!("Approve these changes to {}?", counted(asked.resources.len(), "resource"));
    if args.consent == Consent::Ask && !interrupts.ask(|| question::is_confirmed(&question))? {
        return Ok(Exit::Left);
    }
    let by = connection.caller().await?;
    let mut approval = Approval::new(&asked.id, &args.plan.key, &asked.digest, by, args.reason.clone());
    approval.run = run;
    let stored = serde_json::to_vec_pretty(&approval)?;
    let key = records.put_new(&Approval::key(&args.plan.key), stored).await.map_err(Box::new)?;
    let report_at = connection.locate(&approval.id().report_key());
    let mut results = Results { reached_by: args.reached_by(), ..Results::of(Mode::Approve) };
    match (read, args.wait) {
        (Read::InHand(plan), _) => {
            interrupts.begin_work();
            let report = plan.fix_approved(Approved { approval, stored_by: None }).await;
            results.store(report, records).await;
            bar.clear();
        }
        (Read::ForLambda(_), Some(seconds)) => {
            let report = await_report(records, &approval, seconds).await?;
            results.reports.push(StoredReport::of(report, records, Some(report_at)));
        }
        (Read::ForLambda(_), None) => {
            let approval_at = connection.locate(&key);
            Waiting { approval_at, report_at, approval: &approval, shown: &asked }.print(format, page)?;
            return Ok(Exit::NothingLeft);
        }
    }
    if format == Format::Json {
        let what = format!("Approved, of {}:", args.plan.key);
        results.diffs = vec![Diff { what, shown: asked }];
    }
    results.print(format, &rules, page)?;
    Ok(results.exit())
}

impl Waiting<'_> {
    fn print(&self, format: Format, page: &mut Page<'_>) -> Result<(), Error> {
        match format {
            Format::Json => page.json(self)?,
            Format::Csv => {
                let mut table = Table::new(["approval", "report"]);
                table.row([Cell::text(&self.approval_at), Cell::text(&self.report_at)]);
                page.csv(&table)?;
            }
            Format::Table => {
                page.line(format!("approval: {}", self.approval_at))?;
                page.line(format!("report, when it is done: {}", self.report_at))?;
            }
        }
        Ok(())
    }
}

/// Reads the plan, with the engine that carries it out where this command does.
async fn read(
    args: &ApproveArgs,
    rule: &LoadedRule,
    run: RunId,
    connection: Connection,
    policy: Asked<'_>,
    bar: &Bar,
    interrupts: &Interrupts,
) -> Result<(Read, Connection), Error> {
    let key = &args.plan.key;
    if matches!(connection.place, RecordsPlace::Bucket(_)) {
        let shown = rule.show(&connection.records, key).await.map_err(Box::new)?;
        return Ok((Read::ForLambda(shown), connection));
    }
    let policy = policy::in_force(&connection, policy).await?;
    let (progress, interrupt) = (Arc::new(bar.clone()), interrupts.interrupt());
    let workplace = Workplace { connection, policy, progress, interrupt };
    let engine = workplace.engine(rule, run, None)?;
    let plan = engine.read(&workplace.connection.records, key).await.map_err(Box::new)?;
    Ok((Read::InHand(plan), workplace.connection))
}

/// What of the plan waits for an approval. Its digest is that of the whole plan.
fn waiting(plan: &Shown) -> Shown {
    let waits = plan.resources.iter().filter(|planned| !planned.awaits.is_empty());
    Shown { resources: waits.cloned().collect(), ..plan.clone() }
}

/// The report of the rule's Lambda.
async fn await_report(records: &Records, approval: &Approval, seconds: u64) -> Result<Report, Error> {
    let (key, end) = (approval.id().report_key(), Instant::now() + Duration::from_secs(seconds));
    loop {
        if records.list(&key).await.map_err(Box::new)?.contains(&key) {
            return Ok(records.get_as(&key).await.map_err(Box::new)?);
        }
        if Instant::now() >= end {
            return Err(Error::NoReportYet { report: locate(records, &key), seconds });
        }
        sleep(PAUSE).await;
    }
}
