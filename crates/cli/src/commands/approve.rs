//! `approve`: stored plans in, an approval beside each. In the bucket, an approval starts the rule's Lambda on the plan;
//! where the records are in a folder, this command carries the plan out.
//!
//! What is approved is what is printed: the changes that were asked for, and that still wait on the cards of their
//! resources. Where that is not all that waits in a plan, the approval names the resources that it covers.

use std::sync::Arc;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgAction, Args};
use remediation::{Approval, Approved, Mode, Records, Report, RunId};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::commands::arguments::{CompanyArgs, OutputArgs, PolicyArgs, ROLE_NAME, consent};
use crate::commands::help::{self, RUN_EXIT_CODES};
use crate::commands::interrupts::Interrupts;
use crate::commands::results::{Diff, Results, StoredReport};
use crate::commands::selection::{RecordsArgs, Roles, WaitingArgs};
use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::{Format, Page, complain};
use crate::print::plan;
use crate::print::progress::Bar;
use crate::print::question::{self, Consent};
use crate::print::table::{Cell, Table};
use crate::print::text::counted;
use crate::session::connection::Connection;
use crate::session::decisions::{self, Asked, Case, Decision};
use crate::session::plans::{PlanInHand, Shown};
use crate::session::policy;
use crate::session::records::{RecordAt, RecordsPlace, locate, rule_of};
use crate::session::rules::{self, LoadedRule};
use crate::session::workplace::Workplace;

/// How long to wait before looking for the report again.
const PAUSE: Duration = Duration::from_secs(2);
/// The version of the JSON document.
const OUTPUT_SCHEMA: u32 = 1;

/// What to approve.
#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// The plans, as `inbox` and reports name them: s3://bucket/plans/…, or files. Filters narrow what is approved of them.
    #[arg(value_name = "PLAN", value_parser = RecordAt::plan,
        required_unless_present_any = ["all", "rules", "accounts", "regions", "resources", "older_than"])]
    plans: Vec<RecordAt>,
    /// Everything that needs an approval.
    #[arg(long, conflicts_with_all = ["plans", "rules", "accounts", "regions", "resources", "older_than"])]
    all: bool,
    #[command(flatten)]
    waiting: WaitingArgs,
    /// Why you approve it. The reason is recorded.
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    reason: String,
    /// Approve what is printed, without being asked first. Required without a terminal, and with --json.
    #[arg(long = "yes", action = ArgAction::SetTrue, value_parser = consent())]
    pub(crate) consent: Consent,
    /// Wait up to this many seconds for the reports of the rules' Lambdas; at most a day.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=86_400))]
    wait: Option<u64>,
    #[command(flatten)]
    records: RecordsArgs,
    /// With records in a folder: the role to assume in each account; {rule} stands for the rule's ID.
    #[arg(long, value_name = "NAME", default_value = ROLE_NAME)]
    role_name: String,
    /// With records in a folder: the external ID that the roles require.
    #[arg(long, value_name = "ID", env = "EXTERNAL_ID", hide_env_values = true)]
    external_id: Option<String>,
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

  Everything that one rule's changes wait for in one account, in whatever plans; of a plan, one resource:
    autoremediate approve --records s3://bucket --rule s3-public-bucket --account 222222222222 --reason TICKET-4711
    autoremediate approve s3://bucket/plans/s3-public-bucket/2026-01-02/RUN-1.json --resource data --reason T-4711

  Without being asked; then wait until the rule's Lambda is done, and show its report:
    autoremediate approve s3://bucket/plans/s3-public-bucket/2026-01-02/RUN-1.json --reason T-4711 --yes --wait 300

  A plan in a folder, which this command carries out itself:
    autoremediate approve autoremediate-records/plans/s3-public-bucket/2026-01-02/RUN-1.json --reason T-4711 --alone",
    )
}

/// What `--json` prints where rules' Lambdas carry out the plans, and the command does not wait for them.
#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    exit_code: u8,
    approved: &'a [Given],
    /// What was asked for and is left as it is, with the reason.
    left: &'a [String],
    problems: &'a [String],
}

/// An approval that is stored.
#[derive(Serialize)]
struct Given {
    approval_at: String,
    report_at: String,
    approval: Approval,
    shown: Shown,
}

/// Where plans are read, and who carries them out.
enum Reader {
    /// The rules' Lambdas carry them out.
    Bucket(Box<Connection>),
    /// This command carries them out.
    Folder(Box<Workplace>),
}

/// The plan as it is approved.
enum Read {
    /// The rule's Lambda carries it out.
    ForLambda(Shown),
    /// This command carries it out.
    InHand(Box<dyn PlanInHand>),
}

/// A plan of which something is approved.
struct Item {
    key: String,
    read: Read,
    run: RunId,
    case: Case,
}

/// What of the plans can be approved.
#[derive(Default)]
struct Items {
    items: Vec<Item>,
    left: Vec<String>,
    problems: Vec<String>,
}

impl Read {
    fn shown(&self) -> &Shown {
        match self {
            Self::ForLambda(shown) => shown,
            Self::InHand(plan) => plan.shown(),
        }
    }
}

/// Approves what was asked for of each plan: what is printed, of which the plan is read once.
pub(crate) async fn approve(
    args: &ApproveArgs,
    bar: &Bar,
    interrupts: &Interrupts,
    page: &mut Page<'_>,
) -> Result<Exit, Error> {
    let (place, format) = (checked(args)?, args.output.format);
    let (asked, rules) = (args.waiting.asked(&args.plans)?, rules::all()?);
    let reader = Reader::open(args, place, bar, interrupts).await?;
    let Items { items, left, problems } = reader.items(&asked, &rules).await?;
    left.iter().for_each(|left| complain(format!("Not approved: {left}.")));
    if items.is_empty() {
        problems.iter().for_each(|problem| complain(format!("error: {problem}")));
        return Err(reader.nothing_waits(args));
    }
    if format == Format::Table {
        for Item { key, case, .. } in &items {
            page.line(format!("To be approved, of {}:", reader.connection().locate(key)))?;
            page.table(&plan::table(&case.shown.resources, &rules::manifests(&rules)))?;
        }
    }
    let cases: Vec<_> = items.iter().map(|item| &item.case).collect();
    let question = asks("Approve", &cases);
    if args.consent == Consent::Ask && !interrupts.ask(|| question::is_confirmed(&question))? {
        return Ok(Exit::Left);
    }
    let by = reader.connection().caller().await?;
    let mut results = Results { problems, reached_by: args.reached_by(&reader), ..Results::of(Mode::Approve) };
    let end = args.wait.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let given = reader.give(items, (&by, &args.reason), interrupts, &mut results).await?;
    bar.clear();
    match (&reader, end) {
        (Reader::Folder(_), _) => {}
        (Reader::Bucket(_), None) => return print_given(&given, &left, &results.problems, format, page),
        (Reader::Bucket(connection), Some(end)) => {
            let seconds = args.wait.unwrap_or_default();
            await_reports(&connection.records, &given, end, seconds, &mut results).await?;
        }
    }
    if format == Format::Json {
        let diff = |of: Given| Diff { what: format!("Approved, of {}:", of.approval.plan), shown: of.shown };
        results.diffs = given.into_iter().map(diff).collect();
    }
    results.print(format, &rules, page)?;
    Ok(results.exit())
}

impl ApproveArgs {
    /// By which arguments an undo reaches AWS and the records.
    fn reached_by(&self, reader: &Reader) -> String {
        let alone = if matches!(reader, Reader::Folder(_)) { " --alone" } else { "" };
        self.records.again(&self.role_name) + alone
    }
}

/// Where the plans are, if what was asked for can be done there.
fn checked(args: &ApproveArgs) -> Result<RecordsPlace, Error> {
    let place = args.records.place(&args.plans)?;
    place.may_write(args.company.company)?;
    if matches!(place, RecordsPlace::Bucket(_)) && args.policy.file().is_some() {
        return Err(Error::PolicyOfLambda);
    }
    if args.consent == Consent::Ask && !question::can_ask(args.output.format) {
        return Err(Error::Unapproved);
    }
    Ok(place)
}

/// The question about these changes.
pub(crate) fn asks(decide: &str, cases: &[&Case]) -> String {
    let resources = cases.iter().map(|case| case.shown.resources.len()).sum();
    let plans = if cases.len() == 1 { String::new() } else { format!(", of {}", counted(cases.len(), "plan")) };
    format!("{decide} these changes to {}{plans}?", counted(resources, "resource"))
}

/// Prints where the approvals are, and where the reports will be.
fn print_given(
    approved: &[Given],
    left: &[String],
    problems: &[String],
    format: Format,
    page: &mut Page<'_>,
) -> Result<Exit, Error> {
    let exit = if problems.is_empty() { Exit::NothingLeft } else { Exit::Failed };
    problems.iter().for_each(|problem| complain(format!("error: {problem}")));
    match format {
        Format::Json => {
            let (schema, exit_code) = (OUTPUT_SCHEMA, exit.code());
            page.json(&Document { schema, exit_code, approved, left, problems })?;
        }
        Format::Csv => {
            let mut table = Table::new(["approval", "report"]);
            for Given { approval_at, report_at, .. } in approved {
                table.row([Cell::text(approval_at), Cell::text(report_at)]);
            }
            page.csv(&table)?;
        }
        Format::Table => {
            for Given { approval_at, report_at, .. } in approved {
                page.line(format!("approval: {approval_at}"))?;
                page.line(format!("report, when it is done: {report_at}"))?;
            }
        }
    }
    Ok(exit)
}

impl Reader {
    async fn open(args: &ApproveArgs, place: RecordsPlace, bar: &Bar, interrupts: &Interrupts) -> Result<Self, Error> {
        let is_bucket = matches!(place, RecordsPlace::Bucket(_));
        let roles = Roles { name: args.role_name.clone(), external_id: args.external_id.clone() };
        let connection = args.records.open(place, roles).await?;
        if is_bucket {
            return Ok(Self::Bucket(Box::new(connection)));
        }
        let policy = policy::in_force(&connection, args.policy.asked()).await?;
        let (progress, interrupt) = (Arc::new(bar.clone()), interrupts.interrupt());
        Ok(Self::Folder(Box::new(Workplace { connection, policy, progress, interrupt })))
    }

    fn nothing_waits(&self, args: &ApproveArgs) -> Error {
        let connection = self.connection();
        let plans: Vec<_> = args.plans.iter().map(|plan| connection.locate(&plan.key)).collect();
        match &plans[..] {
            [] => Error::NothingWaits { place: format!(" in {}", connection.place) },
            plans => Error::NothingAwaits(plans.join(", ")),
        }
    }

    fn connection(&self) -> &Connection {
        match self {
            Self::Bucket(connection) => connection,
            Self::Folder(workplace) => &workplace.connection,
        }
    }

    /// What of the plans can be approved. A plan or a card that cannot be read is a problem, and stops no other.
    async fn items(&self, asked: &Asked, rules: &[LoadedRule]) -> Result<Items, Error> {
        let (now, records) = (ambient::now(), &self.connection().records);
        let decisions::Plans { keys, problems } = decisions::plans(records, asked, Decision::Approval, now).await?;
        let mut items = Items { problems, ..Items::default() };
        for key in keys {
            let run = RunId::start();
            let read = match self.read(&key, rules, run).await {
                Ok(read) => read,
                Err(error) => {
                    items.problems.push(error.to_string());
                    continue;
                }
            };
            let mut case = decisions::case(records, &key, read.shown(), asked, Decision::Approval, now).await;
            items.left.append(&mut case.left);
            items.problems.append(&mut case.problems);
            if !case.shown.resources.is_empty() {
                items.items.push(Item { key, read, run, case });
            }
        }
        Ok(items)
    }

    /// Stores an approval of each, by whom and why, and carries out what this command carries out. One that cannot be stored is
    /// a problem, and stops no other; none is stored any more once somebody has interrupted the command.
    async fn give(
        &self,
        items: Vec<Item>,
        (by, reason): (&str, &str),
        interrupts: &Interrupts,
        results: &mut Results,
    ) -> Result<Vec<Given>, Error> {
        let (records, mut given) = (&self.connection().records, Vec::new());
        for Item { key, read, run, case: Case { shown, is_all, .. } } in items {
            if interrupts.is_interrupted() {
                results.problems.push(format!("{key} is not approved: interrupted"));
                continue;
            }
            let mut approval = Approval::new(&shown.id, &key, &shown.digest, by.to_owned(), reason.to_owned());
            approval.run = run;
            if !is_all {
                approval.only = shown.resources.iter().map(|planned| planned.resource.arn.clone()).collect();
            }
            let stored = records.put_new(&approval.own_key(), serde_json::to_vec_pretty(&approval)?).await;
            let approval_at = match stored {
                Ok(key) => locate(records, &key),
                Err(error) => {
                    results.problems.push(format!("{key} is not approved: {error}"));
                    continue;
                }
            };
            if let Read::InHand(plan) = read {
                interrupts.begin_work();
                let approved = Approved { approval: approval.clone(), stored_by: None };
                results.store(plan.fix_approved(approved).await, records).await;
            }
            let report_at = locate(records, &approval.id().report_key());
            given.push(Given { approval_at, report_at, approval, shown });
        }
        Ok(given)
    }

    /// Reads the plan, with the engine that carries it out where this command does.
    async fn read(&self, key: &str, rules: &[LoadedRule], run: RunId) -> Result<Read, Error> {
        let rule = rules::by_id(rules, rule_of(key))?;
        match self {
            Self::Bucket(connection) => {
                Ok(Read::ForLambda(rule.show(&connection.records, key).await.map_err(Box::new)?))
            }
            Self::Folder(workplace) => {
                let engine = workplace.engine(rule, run, None)?;
                let plan = engine.read(&workplace.connection.records, key).await.map_err(Box::new)?;
                Ok(Read::InHand(plan))
            }
        }
    }
}

/// The reports of the rules' Lambdas. One that is not there by `end` is a problem.
async fn await_reports(
    records: &Records,
    given: &[Given],
    end: Instant,
    seconds: u64,
    results: &mut Results,
) -> Result<(), Error> {
    for Given { approval, report_at, .. } in given {
        match await_report(records, approval, end).await? {
            Some(report) => results.reports.push(StoredReport::of(report, records, Some(report_at.clone()))),
            None => {
                results.problems.push(Error::NoReportYet { report: report_at.clone(), seconds }.to_string());
            }
        }
    }
    Ok(())
}

/// The report of the rule's Lambda; none where there is none by `end`.
async fn await_report(records: &Records, approval: &Approval, end: Instant) -> Result<Option<Report>, Error> {
    let key = approval.id().report_key();
    loop {
        if records.list(&key).await.map_err(Box::new)?.contains(&key) {
            return Ok(Some(records.get_as(&key).await.map_err(Box::new)?));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        sleep(PAUSE).await;
    }
}
