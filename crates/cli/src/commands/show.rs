//! `show`: a plan, a run, a report or a resource, with its changes and its life.

use std::str::FromStr;

use clap::Args;
use remediation::records::CardPlace;
use remediation::{AccountId, Card, Folder, Mode, Records, Region, Report, RunId};
use serde::Serialize;

use crate::commands::arguments::OutputArgs;
use crate::commands::help::{self, SIMPLE_EXIT_CODES};
use crate::commands::results::{Diff, Results, StoredReport};
use crate::commands::selection::{RecordsArgs, WhichArgs};
use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::{Format, Page, complain};
use crate::print::plan;
use crate::print::table::{Cell, Table};
use crate::print::time;
use crate::session::cards::{CardAt, Cards};
use crate::session::decisions::{self, Stands};
use crate::session::life::{Archive, Event, Life, RunRecords, What};
use crate::session::plans::Shown;
use crate::session::records::{RecordAt, locate, rule_of};
use crate::session::rules;
use crate::session::runs;

/// The version of the JSON documents.
const OUTPUT_SCHEMA: u32 = 1;
/// So many resources of one name are shown.
const MOST_RESOURCES: usize = 20;

/// What to show.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// A plan or a report, s3://bucket/plans/… or a file; the ID of a run; or a resource, by its ARN, or by the name that the
    /// ARN or a finding calls it.
    #[arg(value_name = "PLAN|RUN|REPORT|RESOURCE")]
    subject: Subject,
    #[command(flatten)]
    which: WhichArgs,
    #[command(flatten)]
    records: RecordsArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// What is to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    /// A plan or a report.
    Record(RecordAt),
    /// A run, or one batch of it, and where its records are if that is said.
    Run { run: RunId, batch: Option<u32>, at: Option<RecordAt> },
    /// A resource.
    Resource(String),
}

impl FromStr for Subject {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let whole = |text: &str| text.parse::<RunId>().ok().filter(|run| run.to_string() == text);
        let batch = |text: &str| {
            let (run, batch) = text.rsplit_once('-')?;
            Some((whole(run)?, Some(batch.parse().ok()?)))
        };
        let of_run = |text: &str| whole(text).map(|run| (run, None)).or_else(|| batch(text));
        match RecordAt::report_or_plan(text) {
            Ok(record) if record.key.ends_with(".json") => Ok(Self::Record(record)),
            Ok(record) => {
                let name = record.key.rsplit('/').next().unwrap_or_default();
                let (run, batch) = of_run(name).ok_or_else(|| Error::Report(text.to_owned()))?;
                Ok(Self::Run { run, batch, at: Some(record) })
            }
            Err(_) => Ok(match of_run(text) {
                Some((run, batch)) => Self::Run { run, batch, at: None },
                None => Self::Resource(text.to_owned()),
            }),
        }
    }
}

pub(crate) fn help() -> String {
    help::below(
        SIMPLE_EXIT_CODES,
        "
  A plan: what it would change, and what became of it:
    autoremediate show s3://bucket/plans/s3-public-bucket/2026-01-02/RUN-1.json

  A resource: when it was found, planned, approved, changed, verified and undone, and what waits:
    autoremediate show --records s3://bucket arn:aws:ec2:eu-west-1:222222222222:security-group/sg-0123456789abcdef0
    autoremediate show --records s3://bucket --account 222222222222 data

  A run, with all its reports; one report, for a script:
    autoremediate show --records s3://bucket 019a0b1c-2d3e-7f40-8a5b-6c7d8e9fa0b1
    autoremediate show s3://bucket/reports/s3-public-bucket/2026-01-02/RUN-1.json --json",
    )
}

/// What `--json` prints of a plan.
#[derive(Serialize)]
struct PlanDocument<'a> {
    schema: u32,
    plan_at: &'a str,
    #[serde(flatten)]
    shown: &'a Shown,
    /// What stands on the card of each resource.
    standing: &'a [Stands],
    life: &'a [Event],
    problems: &'a [String],
}

/// What `--json` prints of a run or a report.
#[derive(Serialize)]
struct RunDocument<'a> {
    schema: u32,
    reports: Vec<ReportAt<'a>>,
    plans: Vec<PlanAt<'a>>,
    problems: &'a [String],
}

#[derive(Serialize)]
struct ReportAt<'a> {
    report_at: &'a str,
    report: &'a Report,
}

#[derive(Serialize)]
struct PlanAt<'a> {
    plan_at: &'a str,
    #[serde(flatten)]
    shown: &'a Shown,
}

/// What `--json` prints of resources.
#[derive(Serialize)]
struct ResourcesDocument<'a> {
    schema: u32,
    resources: &'a [ResourceLife],
    problems: &'a [String],
}

/// A resource, with its card and its life.
#[derive(Serialize)]
struct ResourceLife {
    rule: String,
    account: AccountId,
    region: Region,
    /// Its ARN.
    resource: String,
    card_at: String,
    card: Card,
    life: Vec<Event>,
}

/// Shows it.
pub(crate) async fn show(args: &ShowArgs, page: &mut Page<'_>) -> Result<Exit, Error> {
    let which = args.which.which()?;
    let named: Vec<_> = match &args.subject {
        Subject::Record(record) => vec![record.clone()],
        Subject::Run { at, .. } => at.iter().cloned().collect(),
        Subject::Resource(_) => Vec::new(),
    };
    let place = args.records.place(&named)?;
    let rules = rules::select(&which.rules)?;
    let records = args.records.read(place.clone()).await?;
    let shower = Shower { records: &records, rules: &rules, format: args.output.format };
    match &args.subject {
        Subject::Record(record) if Folder::Plans.holds(&record.key) => shower.plan(&record.key, page).await,
        Subject::Record(record) => {
            let found = shower.archive().of_report_at(&record.key).await?;
            shower.run(found, page)
        }
        Subject::Run { run, batch, .. } => {
            let found = shower.archive().of_run(*run, *batch).await?;
            if found.reports.is_empty() && found.plans.is_empty() && found.problems.is_empty() {
                return Err(Error::NothingKnown(run.to_string(), place.to_string()));
            }
            shower.run(found, page)
        }
        Subject::Resource(name) => {
            let found = shower.archive().named(name, &which).await?;
            if found.cards.is_empty() {
                found.problems.iter().for_each(|problem| complain(format!("error: {problem}")));
                return Err(Error::NothingKnown(name.clone(), place.to_string()));
            }
            shower.resources(found, page).await
        }
    }
}

/// What shows it.
struct Shower<'a> {
    records: &'a Records,
    rules: &'a [rules::LoadedRule],
    format: Format,
}

impl Shower<'_> {
    fn archive(&self) -> Archive<'_> {
        Archive { records: self.records, rules: self.rules }
    }

    async fn plan(&self, key: &str, page: &mut Page<'_>) -> Result<Exit, Error> {
        let (records, archive) = (self.records, self.archive());
        let shown = rules::by_id(self.rules, rule_of(key))?.show(records, key).await.map_err(Box::new)?;
        let found = runs::find(records, key).await?;
        let report = found.plans.into_iter().find(|plan| plan.key == key).and_then(|plan| plan.report);
        let Life { events, mut problems } = archive.of_plan(key, &shown.id, report.as_ref()).await;
        problems.extend(found.problems);
        let standing = decisions::standings(records, key, &shown, ambient::now()).await;
        tell(&problems);
        let (plan_at, schema) = (locate(records, key), OUTPUT_SCHEMA);
        if self.format == Format::Json {
            let (standing, life) = (&standing[..], &events[..]);
            page.json(&PlanDocument { schema, plan_at: &plan_at, shown: &shown, standing, life, problems: &problems })?;
            return Ok(exit(&problems));
        }
        if self.format == Format::Csv {
            page.csv(&life([(plan_at.as_str(), &events[..])]))?;
            return Ok(exit(&problems));
        }
        page.line(format!("plan: {plan_at}"))?;
        page.table(&plan::table(&shown.resources, &rules::manifests(self.rules)))?;
        for Stands { resource, stands } in &standing {
            page.line(format!("  {resource}: {stands}"))?;
        }
        print_life(&events, page)?;
        Ok(exit(&problems))
    }

    fn run(&self, found: RunRecords, page: &mut Page<'_>) -> Result<Exit, Error> {
        let RunRecords { reports, plans, problems } = found;
        if self.format == Format::Json {
            tell(&problems);
            let reports = reports.iter().map(|(report_at, report)| ReportAt { report_at, report }).collect();
            let plans = plans.iter().map(|(plan_at, shown)| PlanAt { plan_at, shown }).collect();
            page.json(&RunDocument { schema: OUTPUT_SCHEMA, reports, plans, problems: &problems })?;
            return Ok(exit(&problems));
        }
        let ended = exit(&problems);
        for (at, Report { mode, started, finished, .. }) in &reports {
            let (started, finished) = (time::shown(*started), time::shown(*finished));
            page.line(format!("{at}: mode {mode}, from {started} to {finished}"))?;
        }
        if reports.is_empty() {
            page.line("There is no report yet: the run is still at work, or never came back.")?;
        }
        let diff = |(at, shown): (String, Shown)| Diff { what: format!("Planned, in {at}:"), shown };
        let report = |(at, report): (String, Report)| StoredReport::of(report, self.records, Some(at));
        let (diffs, reports) = (plans.into_iter().map(diff).collect(), reports.into_iter().map(report).collect());
        Results { diffs, reports, problems, ..Results::of(Mode::Plan) }.print(self.format, self.rules, page)?;
        Ok(ended)
    }

    async fn resources(&self, found: Cards, page: &mut Page<'_>) -> Result<Exit, Error> {
        let Cards { cards, mut problems } = found;
        if cards.len() > MOST_RESOURCES {
            let more = cards.len() - MOST_RESOURCES;
            problems.push(format!("{more} more resources go by that name: give --account, --region or --rule"));
        }
        let mut resources = Vec::new();
        for at in cards.into_iter().take(MOST_RESOURCES) {
            let life = self.archive().of_resource(&at).await;
            problems.extend(life.problems);
            let CardAt { key, place: CardPlace { rule, account, region, .. }, card } = at;
            let (resource, card_at) = (card.resource().to_owned(), locate(self.records, &key));
            resources.push(ResourceLife { rule, account, region, resource, card_at, card, life: life.events });
        }
        tell(&problems);
        if self.format == Format::Json {
            let (schema, resources, problems) = (OUTPUT_SCHEMA, &resources[..], &problems[..]);
            page.json(&ResourcesDocument { schema, resources, problems })?;
            return Ok(exit(problems));
        }
        if self.format == Format::Csv {
            page.csv(&life(resources.iter().map(|of| (of.resource.as_str(), &of.life[..]))))?;
            return Ok(exit(&problems));
        }
        for of in &resources {
            page.line(format!("{} ({}, account {}, {})", of.resource, of.rule, of.account, of.region))?;
            print_life(&of.life, page)?;
            for line in now(&of.card) {
                page.line(format!("  now: {line}"))?;
            }
            page.line(format!("  card: {}", of.card_at))?;
        }
        Ok(exit(&problems))
    }
}

/// What holds on a card at this moment and has no place among the events.
fn now(card: &Card) -> Vec<String> {
    let at = ambient::now();
    let claim = card.claim.iter().filter(|claim| at < claim.until);
    let claim = claim
        .map(|claim| format!("the run {} is at work on it, until {} at most", claim.run, time::shown(claim.until)));
    let approved = card.approved.iter().filter(|approved| at < approved.until);
    let approved = approved.map(|of| {
        format!("approved, and waits for a change window; the approval expires at {}", time::shown(of.until))
    });
    let exempt = card.exempt.iter().filter(|exempt| at < exempt.until);
    let exempt = exempt.map(|of| format!("left alone until {}: {}", time::shown(of.until), of.reason));
    claim.chain(approved).chain(exempt).collect()
}

/// A row for each event in these lives.
fn life<'a>(lives: impl IntoIterator<Item = (&'a str, &'a [Event])>) -> Table {
    let mut table = Table::new(["of", "at", "event", "by", "detail", "changes", "record"]);
    for (of, events) in lives {
        for Event { at, event, by, detail, changes, record_at } in events {
            let text = |text: &Option<String>| Cell::text(text.as_deref().unwrap_or_default());
            let (at, event) = (Cell::text(at.to_string()), Cell::text(word(*event)));
            table.row([Cell::text(of), at, event, text(by), text(detail), Cell::lines(changes), text(record_at)]);
        }
    }
    table
}

fn print_life(events: &[Event], page: &mut Page<'_>) -> Result<(), Error> {
    for Event { at, event, by, detail, changes, record_at } in events {
        let detail = detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
        let by = by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        page.line(format!("  {} {}{by}{detail}", time::shown(*at), word(*event)))?;
        for line in changes.iter().chain(record_at) {
            page.line(format!("      {line}"))?;
        }
    }
    Ok(())
}

fn word(what: What) -> &'static str {
    match what {
        What::Found => "found",
        What::Planned => "planned",
        What::Waits => "waits",
        What::Approved => "approved",
        What::Rejected => "rejected",
        What::Changed => "changed",
        What::Verified => "verified",
        What::Reported => "reported",
        What::Undone => "undone",
        What::FoughtOver => "fought over",
        What::Confirmed => "confirmed by Netskope",
        What::Contested => "contested by Netskope",
    }
}

fn tell(problems: &[String]) {
    problems.iter().for_each(|problem| complain(format!("error: {problem}")));
}

fn exit(problems: &[String]) -> Exit {
    if problems.is_empty() { Exit::NothingLeft } else { Exit::Failed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_a_record_a_run_or_a_resource() {
        let run = "019a0b1c-2d3e-7f40-8a5b-6c7d8e9fa0b1";
        let subject = |text: &str| text.parse::<Subject>().unwrap();
        let of_run = |text: &str| match subject(text) {
            Subject::Run { run, batch, at } => (run.to_string(), batch, at.is_some()),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(of_run(run), (run.into(), None, false));
        assert_eq!(of_run(&format!("{run}-12")), (run.into(), Some(12), false));
        assert_eq!(of_run(&format!("s3://b/reports/r/2026-01-02/{run}")), (run.into(), None, true));
        for kind in ["plans", "reports"] {
            let record = format!("s3://b/{kind}/r/2026-01-02/{run}-1.json");
            assert!(matches!(subject(&record), Subject::Record(_)), "{record}");
        }
        let digits = run.replace('-', "");
        for resource in ["data", "arn:aws:s3:::data", "sg-0123456789abcdef0", "a-1", &digits] {
            assert_eq!(subject(resource), Subject::Resource(resource.into()));
        }
        assert!("s3://b/reports/r/2026-01-02/no-run".parse::<Subject>().is_err());
    }
}
