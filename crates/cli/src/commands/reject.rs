//! `reject`: changes that wait are not proposed again until they differ, or until the rejection ends. It is kept on the card
//! of each resource, on condition that they still wait there.

use std::collections::BTreeSet;

use clap::{ArgAction, Args};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use remediation::records::{CardPlace, Rejected, card_key};
use remediation::{AccountId, Records, Region};
use serde::Serialize;

use crate::commands::approve::asks;
use crate::commands::arguments::{OutputArgs, consent, reason};
use crate::commands::help::{self, SIMPLE_EXIT_CODES};
use crate::commands::moments::until;
use crate::commands::selection::{RecordsArgs, Roles, WaitingArgs};
use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::{Format, Page, complain};
use crate::print::plan;
use crate::print::question::{self, Consent};
use crate::print::table::{Cell, Table};
use crate::print::text::counted;
use crate::print::time;
use crate::session::cards::{self, AT_A_TIME, CardAt, Unchanged};
use crate::session::connection::Connection;
use crate::session::decisions::{self, Asked, Case, Decision, Refusal};
use crate::session::plans::Part;
use crate::session::records::{RecordAt, locate, rule_of};
use crate::session::rules::{self, LoadedRule};
use crate::session::waiting::PartOf;

/// The version of the JSON document.
const OUTPUT_SCHEMA: u32 = 1;

/// What to reject.
#[derive(Debug, Args)]
pub(crate) struct RejectArgs {
    /// The plans, as `inbox` and reports name them: s3://bucket/plans/…, or files. Filters narrow what is rejected of them.
    #[arg(value_name = "PLAN", value_parser = RecordAt::plan,
        required_unless_present_any = ["all", "rules", "accounts", "regions", "resources", "older_than"])]
    plans: Vec<RecordAt>,
    /// Everything that is waiting.
    #[arg(long, conflicts_with_all = ["plans", "rules", "accounts", "regions", "resources", "older_than"])]
    all: bool,
    #[command(flatten)]
    waiting: WaitingArgs,
    /// Why you reject it. The reason is recorded, and is in the report of everything that it holds back.
    #[arg(long, value_name = "TEXT", value_parser = reason, required_unless_present = "withdraw")]
    reason: Option<String>,
    /// When the rejection ends: a time with its zone, such as 2026-12-01T08:00:00Z, or a duration, such as 30d.
    #[arg(long, value_name = "TIME", value_parser = until, default_value = "90d")]
    until: Timestamp,
    /// Take rejections back: with a plan, those of its changes; with filters, those of what they name.
    #[arg(long, conflicts_with_all = ["reason", "until"])]
    withdraw: bool,
    /// Reject what is printed, without being asked first. Required without a terminal, and with --json.
    #[arg(long = "yes", action = ArgAction::SetTrue, value_parser = consent())]
    pub(crate) consent: Consent,
    #[command(flatten)]
    records: RecordsArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

pub(crate) fn help() -> String {
    help::below(
        SIMPLE_EXIT_CODES,
        "
  See what a plan would change, and reject it when asked, for 90 days:
    autoremediate reject s3://bucket/plans/s3-public-bucket/2026-01-02/RUN-1.json --reason TICKET-4711

  One resource of it, for a year; everything of one rule in one account:
    autoremediate reject s3://bucket/plans/s3-public-bucket/2026-01-02/RUN-1.json --resource data --until 365d \
         --reason TICKET-4711
    autoremediate reject --records s3://bucket --rule s3-public-bucket --account 222222222222 --reason TICKET-4711

  Take that back:
    autoremediate reject --withdraw --records s3://bucket --rule s3-public-bucket --account 222222222222",
    )
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    exit_code: u8,
    /// The resources whose changes are rejected now, or, with `--withdraw`, not any more.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    rejected: &'a [Decided],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    withdrawn: &'a [Decided],
    /// What was asked for and is left as it is, with the reason.
    left: &'a [String],
    problems: &'a [String],
}

/// A resource that is decided on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Decided {
    rule: String,
    account: AccountId,
    region: Region,
    /// Its ARN.
    resource: String,
    /// The plan whose changes are rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    until: Timestamp,
}

/// What came of it.
#[derive(Debug, Default)]
struct Came {
    decided: Vec<Decided>,
    left: Vec<String>,
    problems: Vec<String>,
}

/// One resource's part of a plan that is to be rejected.
struct Refused<'a> {
    key: String,
    place: CardPlace,
    resource: &'a str,
    plan: &'a str,
    part: &'a Part,
}

/// A rejection that is to be taken back.
struct InForce {
    at: CardAt,
    rejected: Rejected,
}

/// A plan, and what of it is decided on.
struct Item {
    key: String,
    case: Case,
}

/// Rejects what was asked for, or takes rejections back.
pub(crate) async fn reject(args: &RejectArgs, page: &mut Page<'_>) -> Result<Exit, Error> {
    if args.consent == Consent::Ask && !question::can_ask(args.output.format) {
        return Err(Error::Unrejected);
    }
    let place = args.records.place(&args.plans)?;
    let (asked, rules) = (args.waiting.asked(&args.plans)?, rules::all()?);
    let shown = place.to_string();
    let work = |records| Work { args, rules: &rules, records, place: &shown, asked: &asked };
    if args.withdraw {
        // Who takes it back is kept nowhere, so nobody is asked.
        return work(&args.records.read(place).await?).withdraw(page).await;
    }
    let connection = args.records.open(place, Roles::default()).await?;
    work(&connection.records).reject(&connection, page).await
}

/// What works on it.
struct Work<'a> {
    args: &'a RejectArgs,
    rules: &'a [LoadedRule],
    records: &'a Records,
    /// Where they are, as it is shown.
    place: &'a str,
    asked: &'a Asked,
}

impl Work<'_> {
    async fn reject(&self, connection: &Connection, page: &mut Page<'_>) -> Result<Exit, Error> {
        let (records, mut came) = (self.records, Came::default());
        let items = self.items(&mut came).await?;
        if items.is_empty() {
            came.tell();
            return Err(Error::NothingWaits { place: format!(" in {}", self.place) });
        }
        if self.args.output.format == Format::Table {
            for Item { key, case } in &items {
                page.line(format!("To be rejected, of {}:", locate(records, key)))?;
                page.table(&plan::table(&case.shown.resources, &rules::manifests(self.rules)))?;
            }
        }
        let cases: Vec<_> = items.iter().map(|item| &item.case).collect();
        if !self.is_agreed(&asks("Reject", &cases))? {
            return Ok(Exit::NothingLeft);
        }
        let (by, until) = (connection.caller().await?, self.args.until);
        let refusal = Refusal { reason: self.args.reason.clone().unwrap_or_default(), by, until };
        let refused: Vec<_> = items.iter().flat_map(refused).collect();
        came.add(refuse(records, refused, &refusal).await);
        came.print(&format!("Rejected until {}", time::shown(until)), self.args, page)
    }

    async fn withdraw(&self, page: &mut Page<'_>) -> Result<Exit, Error> {
        let mut came = Came::default();
        let in_force = self.in_force(&mut came).await?;
        if in_force.is_empty() {
            came.tell();
            return Err(Error::NothingRejected(self.place.to_owned()));
        }
        if self.args.output.format == Format::Table {
            for InForce { at, rejected: Rejected { reason, by, until, .. } } in &in_force {
                let until = time::shown(*until);
                page.line(format!("{}: rejected until {until} by {by}: {reason}", at.card.resource()))?;
            }
        }
        let resources = counted(in_force.len(), "resource");
        if !self.is_agreed(&format!("Take back what was rejected of {resources}?"))? {
            return Ok(Exit::NothingLeft);
        }
        came.add(take_back(self.records, in_force).await);
        came.print("No longer rejected", self.args, page)
    }

    fn is_agreed(&self, question: &str) -> Result<bool, Error> {
        Ok(self.args.consent == Consent::Given || question::is_confirmed(question)?)
    }

    /// The plans of which something is to be rejected. One that cannot be read is a problem, and stops no other.
    async fn items(&self, came: &mut Came) -> Result<Vec<Item>, Error> {
        let (records, now) = (self.records, ambient::now());
        let decisions::Plans { keys, problems } =
            decisions::plans(records, self.asked, Decision::Rejection, now).await?;
        came.problems.extend(problems);
        let mut items = Vec::new();
        for key in keys {
            let shown = match self.rule(&key) {
                Ok(rule) => rule.show(records, &key).await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            match shown {
                Err(problem) => came.problems.push(problem),
                Ok(shown) => {
                    let mut case = decisions::case(records, &key, &shown, self.asked, Decision::Rejection, now).await;
                    came.left.append(&mut case.left);
                    came.problems.append(&mut case.problems);
                    if !case.shown.resources.is_empty() {
                        items.push(Item { key, case });
                    }
                }
            }
        }
        Ok(items)
    }

    /// The rejections in force that are asked for: of the changes of plans, or of the resources that the filters name.
    async fn in_force(&self, came: &mut Came) -> Result<Vec<InForce>, Error> {
        let (records, now, asked) = (self.records, ambient::now(), self.asked);
        let mut changes = BTreeSet::new();
        for key in &asked.plans {
            let shown = self.rule(key)?.show(records, key).await.map_err(Box::new)?;
            changes.extend(shown.parts.into_iter().map(|part| part.changes));
        }
        let mut which = asked.which.clone();
        if which.rules.is_empty() {
            which.rules.extend(asked.plans.iter().map(|key| rule_of(key).to_owned()));
        }
        let cards::Cards { cards, problems } = cards::read(records, &which).await?;
        came.problems.extend(problems);
        let in_force = cards.into_iter().filter_map(|at| {
            let rejected = at.card.rejected.clone().filter(|rejected| now < rejected.until)?;
            let is_of_plan = asked.plans.is_empty() || changes.contains(&rejected.digest);
            (is_of_plan && asked.is_old_enough(rejected.since, now)).then_some(InForce { at, rejected })
        });
        Ok(in_force.collect())
    }

    fn rule(&self, key: &str) -> Result<&LoadedRule, Error> {
        rules::by_id(self.rules, rule_of(key))
    }
}

/// The parts of a plan that are to be rejected, one a resource.
fn refused(item: &Item) -> impl Iterator<Item = Refused<'_>> {
    let Case { shown, .. } = &item.case;
    shown.resources.iter().zip(&shown.parts).filter_map(|(planned, part)| {
        let key = card_key(&shown.id.rule, &planned.resource);
        let place = CardPlace::of_key(&key)?;
        Some(Refused { key, place, resource: &planned.resource.arn, plan: &item.key, part })
    })
}

async fn refuse(records: &Records, refused: Vec<Refused<'_>>, refusal: &Refusal) -> Came {
    let one = |Refused { key, place, resource, plan, part }| async move {
        let Part { digest, changes } = part;
        let came = decisions::reject(records, &key, &place, PartOf { plan, digest, changes }, refusal).await;
        let CardPlace { rule, account, region, .. } = place;
        let (resource, plan) = (resource.to_owned(), Some(locate(records, plan)));
        (Decided { rule, account, region, resource, plan, until: refusal.until }, came)
    };
    stream::iter(refused).map(one).buffered(AT_A_TIME).collect::<Vec<_>>().await.into_iter().collect()
}

async fn take_back(records: &Records, in_force: Vec<InForce>) -> Came {
    let one = |InForce { at: CardAt { key, place, card }, rejected }: InForce| async move {
        let came = decisions::withdraw(records, &key, &place, &rejected).await;
        let CardPlace { rule, account, region, .. } = place;
        let resource = card.resource().to_owned();
        (Decided { rule, account, region, resource, plan: None, until: rejected.until }, came)
    };
    stream::iter(in_force).map(one).buffered(AT_A_TIME).collect::<Vec<_>>().await.into_iter().collect()
}

impl FromIterator<(Decided, Result<(), Unchanged>)> for Came {
    fn from_iter<I: IntoIterator<Item = (Decided, Result<(), Unchanged>)>>(each: I) -> Self {
        let mut all = Self::default();
        for (decided, came) in each {
            match came {
                Ok(()) => all.decided.push(decided),
                Err(Unchanged::Left(why)) => all.left.push(format!("{}: {why}", decided.resource)),
                Err(Unchanged::Failed(why)) => all.problems.push(format!("{}: {why}", decided.resource)),
            }
        }
        all
    }
}

impl Came {
    fn add(&mut self, Self { decided, left, problems }: Self) {
        self.decided.extend(decided);
        self.left.extend(left);
        self.problems.extend(problems);
    }

    fn tell(&self) {
        self.left.iter().for_each(|left| complain(format!("Left as it is: {left}.")));
        self.problems.iter().for_each(|problem| complain(format!("error: {problem}")));
    }

    fn print(&self, done: &str, args: &RejectArgs, page: &mut Page<'_>) -> Result<Exit, Error> {
        self.tell();
        let exit = if self.problems.is_empty() { Exit::NothingLeft } else { Exit::Failed };
        if args.output.format == Format::Json {
            let Self { decided, left, problems } = self;
            let (rejected, withdrawn) = if args.withdraw { (&[][..], &decided[..]) } else { (&decided[..], &[][..]) };
            let (schema, exit_code) = (OUTPUT_SCHEMA, exit.code());
            page.json(&Document { schema, exit_code, rejected, withdrawn, left, problems })?;
        } else if args.output.format == Format::Csv {
            let mut table = Table::new(["rule", "account", "region", "resource", "until"]);
            for Decided { rule, account, region, resource, until, .. } in &self.decided {
                let until = until.to_string();
                table.row([rule, account.as_ref(), region.as_ref(), resource, &until].map(Cell::text));
            }
            page.csv(&table)?;
        } else {
            page.line(format!("{done}: {}", counted(self.decided.len(), "resource")))?;
        }
        Ok(exit)
    }
}
