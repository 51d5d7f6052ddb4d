//! `failures`: what is in the failure queue is listed, shown, retried or dropped.

mod decide;
mod list;
mod selection;

use clap::Subcommand;

use crate::commands::arguments::{OutputArgs, paging};
use crate::commands::help::{self, RUN_EXIT_CODES};
use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::Page;
use crate::print::pager::Paging;

#[derive(Debug, Subcommand)]
pub(crate) enum FailuresCommand {
    /// List what is in the queue, the oldest first: batches, approvals and polls that failed, and messages for people that
    /// EventBridge could not pass on.
    List(list::ListArgs),
    /// Show one message with all that it says, and whether what it names is still in the bucket.
    Show(list::ShowArgs),
    /// Have the rule's Lambda work on batches and approvals once more; then their messages are deleted.
    ///
    /// A retried batch is the same batch: its report is stored beside that of the first attempt.
    Retry(decide::RetryArgs),
    /// Delete messages, without doing anything about what they say.
    Drop(decide::DropArgs),
}

impl FailuresCommand {
    pub(crate) fn output(&self) -> &OutputArgs {
        match self {
            Self::List(args) => &args.output,
            Self::Show(args) => &args.output,
            Self::Retry(args) => &args.decide.output,
            Self::Drop(args) => &args.decide.output,
        }
    }

    pub(crate) fn paging(&self) -> Paging {
        match self {
            Self::List(_) | Self::Show(_) => self.output().paging,
            Self::Retry(decide::RetryArgs { decide }) | Self::Drop(decide::DropArgs { decide }) => {
                paging(decide.consent, &decide.output)
            }
        }
    }
}

pub(crate) fn help() -> String {
    help::below(
        RUN_EXIT_CODES,
        "
  See what is in the failure queue, and one message of it:
    autoremediate failures list --records s3://bucket
    autoremediate failures show --records s3://bucket 6d7f1c0e-9a53-4c1b-8f5e-0a2b3c4d5e6f

  When the cause is mended, retry one batch, or all that failed of a rule:
    autoremediate failures retry --records s3://bucket 6d7f1c0e-9a53-4c1b-8f5e-0a2b3c4d5e6f
    autoremediate failures retry --records s3://bucket --rule s3-public-bucket --yes

  Drop the polls, which the next poll makes up for:
    autoremediate failures drop --records s3://bucket --kind poll",
    )
}

/// Carries out a command on the failure queue.
pub(crate) async fn failures(command: &FailuresCommand, page: &mut Page<'_>) -> Result<Exit, Error> {
    match command {
        FailuresCommand::List(args) => list::list(args, page).await,
        FailuresCommand::Show(args) => list::show(args, page).await,
        FailuresCommand::Retry(args) => decide::retry(args, page).await,
        FailuresCommand::Drop(args) => decide::drop_messages(args, page).await,
    }
}
