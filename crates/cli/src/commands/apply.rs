//! `apply`: findings in; changes made and verified, as reports, out.

use clap::{ArgAction, Args};
use remediation::{Mode, Outcome};

use crate::commands::arguments::consent;
use crate::commands::help::{self, RUN_EXIT_CODES};
use crate::commands::run::{RunArgs, Runner, Started};
use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::{Format, Page};
use crate::print::progress::Bar;
use crate::print::question::{self, Consent};
use crate::print::text::counted;
use crate::session::findings::Gathered;
use crate::session::rules;

/// What to apply.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Do not ask before making changes. Required without a terminal, and with --json.
    #[arg(long = "yes", action = ArgAction::SetTrue, value_parser = consent())]
    pub(crate) consent: Consent,
}

pub(crate) fn help() -> String {
    help::below(
        RUN_EXIT_CODES,
        "
  See what one rule would change in a batch, and make the changes when asked:
    autoremediate apply --rule s3-public-bucket --findings batch.ndjson

  In a script, without being asked:
    autoremediate apply --findings batch.ndjson --yes --json

  Keep plans and reports where the Lambdas keep theirs:
    autoremediate apply --findings batch.ndjson --records s3://bucket",
    )
}

/// Makes the changes; without consent, after a question that shows them.
pub(crate) async fn apply(args: &ApplyArgs, bar: &Bar, page: &mut Page<'_>) -> Result<Exit, Error> {
    let format = args.run.output.format;
    if args.consent == Consent::Ask && !question::can_ask(format) {
        return Err(Error::Unasked);
    }
    let rules = rules::select(&args.run.rules)?;
    let Started { runner, mut gathered } = Runner::start(&args.run, &rules, bar).await?;
    let mut settled = Exit::NothingLeft;
    if args.consent == Consent::Ask {
        let planned = runner.run(gathered, Mode::Plan).await;
        planned.print(Format::Table, &rules, page)?;
        let count = planned.count(Outcome::Planned);
        let question = format!("Change {} as shown?", counted(count, "resource"));
        if count == 0 || !question::is_confirmed(&question)? {
            return Ok(planned.exit());
        }
        settled = planned.exit_of(|outcome| outcome != Outcome::Planned);
        // What was not shown as a change is not changed, whatever has happened to it since.
        gathered = Gathered { batches: planned.planned_batches(), ..Gathered::default() };
    }
    let results = runner.run(gathered, Mode::Apply).await;
    results.print(format, &rules, page)?;
    Ok(settled.max(results.exit()))
}
