//! `plan`: findings in; what would change, as reports, out.

use clap::Args;
use remediation::Mode;

use crate::commands::help::{self, RUN_EXIT_CODES};
use crate::commands::interrupts::Interrupts;
use crate::commands::run::{RunArgs, Runner, Started};
use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::Page;
use crate::print::progress::Bar;
use crate::session::rules;

/// What to plan.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

pub(crate) fn help() -> String {
    help::below(
        RUN_EXIT_CODES,
        "
  See what the findings of a batch would change:
    autoremediate plan --findings batch.ndjson

  The same for the findings of Netskope in one account, as JSON:
    export NETSKOPE_TOKEN=...
    autoremediate plan --netskope-tenant example.goskope.com --account 111122223333 --json

  Only what a benchmark asks for, by the exact name of the tenant's profile:
    autoremediate plan --netskope-tenant example.goskope.com --netskope-profile CIS

  Only one resource, in whatever region it is:
    autoremediate plan --findings batch.ndjson --all-regions --resource arn:aws:s3:::data

  For a spreadsheet:
    autoremediate plan --findings batch.ndjson --output csv

  With a profile of the AWS configuration, in another region than the profile's:
    autoremediate plan --findings batch.ndjson --profile security --region eu-west-1",
    )
}

/// Shows what would change.
pub(crate) async fn plan(
    args: &PlanArgs,
    bar: &Bar,
    interrupts: &Interrupts,
    page: &mut Page<'_>,
) -> Result<Exit, Error> {
    let rules = rules::select(&args.run.rules)?;
    let Started { runner, gathered } =
        Runner::start(&args.run, args.run.policy.asked(), &rules, bar, interrupts).await?;
    let results = runner.run(gathered, Mode::Plan).await;
    results.print(args.run.output.format, &rules, page)?;
    Ok(results.exit())
}
