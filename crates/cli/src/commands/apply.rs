//! `apply`: findings in; changes made and verified, as reports, out.

use clap::{ArgAction, Args};
use remediation::{Mode, Outcome};

use crate::commands::arguments::{CompanyArgs, OverrideArgs, consent};
use crate::commands::help::{self, RUN_EXIT_CODES};
use crate::commands::interrupts::Interrupts;
use crate::commands::results::Results;
use crate::commands::run::{InHand, RunArgs, Runner, Started};
use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::{Format, Page};
use crate::print::progress::Bar;
use crate::print::question::{self, Consent};
use crate::print::text::counted;
use crate::session::rules;

/// What to apply.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Do not ask before making changes. Required without a terminal, and with --json.
    #[arg(long = "yes", action = ArgAction::SetTrue, value_parser = consent())]
    pub(crate) consent: Consent,
    #[command(flatten)]
    overriding: OverrideArgs,
    #[command(flatten)]
    company: CompanyArgs,
}

pub(crate) fn help() -> String {
    help::below(
        RUN_EXIT_CODES,
        "
  See what one rule would change in a batch, and make the changes when asked. The bucket is the deployment's, where its
  Lambdas see what this command is at work on:
    autoremediate apply --rule s3-public-bucket --findings batch.ndjson --records s3://bucket

  In a script, without being asked:
    autoremediate apply --findings batch.ndjson --records s3://bucket --yes --json

  Without a deployment, and with nobody else at work on these resources:
    autoremediate apply --findings batch.ndjson --alone

  Only two resources:
    autoremediate apply --findings batch.ndjson --alone --resource data --resource arn:aws:s3:::logs

  At most what a policy of your own allows; in an emergency, although the bucket's policy has paused all writes:
    autoremediate apply --findings batch.ndjson --records s3://bucket --policy narrower.json
    autoremediate apply --findings batch.ndjson --records s3://bucket --override TICKET-4711",
    )
}

/// Makes the changes; without consent, after a question that shows them.
pub(crate) async fn apply(
    args: &ApplyArgs,
    bar: &Bar,
    interrupts: &Interrupts,
    page: &mut Page<'_>,
) -> Result<Exit, Error> {
    let format = args.run.output.format;
    args.run.records.may_write(args.company.company)?;
    if args.consent == Consent::Ask && !question::can_ask(format) {
        return Err(Error::Unasked);
    }
    let rules = rules::select(&args.run.rules)?;
    let asked = args.run.policy.asked_but_for(&args.overriding);
    let Started { mut runner, mut gathered } = Runner::start(&args.run, asked, &rules, bar, interrupts).await?;
    if args.consent == Consent::Given {
        runner.record_override(asked).await?;
        let results = runner.run(gathered, Mode::Apply).await;
        results.print(format, &rules, page)?;
        return Ok(results.exit());
    }
    // Where the policy lets nothing be written, a run does what it always does, such as to leave a plan that waits for an
    // approval; nobody is asked about that.
    let unwritable = runner.take_unwritable(&mut gathered);
    let waiting = if unwritable.batches.is_empty() { None } else { Some(runner.run(unwritable, Mode::Apply).await) };
    let left = waiting.as_ref().map_or(Exit::NothingLeft, Results::exit);
    if let Some(waiting) = &waiting {
        waiting.print(Format::Table, &rules, page)?;
        if interrupts.is_interrupted() || gathered.batches.is_empty() && gathered.problems.is_empty() {
            return Ok(left);
        }
    }
    let InHand { results: planned, plans } = runner.plan(gathered).await;
    planned.print(Format::Table, &rules, page)?;
    let question = format!("Change {} as shown?", counted(planned.shown(), "resource"));
    if planned.shown() == 0 || interrupts.is_interrupted() || !interrupts.ask(|| question::is_confirmed(&question))? {
        return Ok(planned.exit().max(left));
    }
    runner.record_override(asked).await?;
    // What was not shown as a change is not changed, whatever has happened to it since.
    let results = runner.fix(plans).await;
    results.print(format, &rules, page)?;
    Ok(planned.exit_of(|outcome| outcome != Outcome::Planned).max(results.exit()).max(left))
}
