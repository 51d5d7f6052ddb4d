//! `pause`: one more pause beside the policy, in effect before the next write of anybody.

use clap::Args;
use jiff::Timestamp;
use remediation::Pause;
use remediation::records::change_pauses;

use crate::commands::arguments::{OutputArgs, reason};
use crate::commands::help::{self, SIMPLE_EXIT_CODES};
use crate::commands::moments::until;
use crate::commands::notify::{EventBusArgs, bucket_of};
use crate::commands::pauses::{BucketArgs, Paused, StopsArgs, with_place};
use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::Page;

/// What to pause. Without a rule, an account and a region: everything, undo included.
#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    stops: StopsArgs,
    /// Why. The reason is recorded, and is in the report of everything that it holds back.
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
    /// When it ends by itself: a time with its zone, such as 2026-12-01T08:00:00Z, or a duration, such as 4h or 2d.
    /// Default: when somebody resumes it.
    #[arg(long, value_name = "TIME", value_parser = until)]
    until: Option<Timestamp>,
    #[command(flatten)]
    event_bus: EventBusArgs,
    #[command(flatten)]
    bucket: BucketArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

pub(crate) fn help() -> String {
    help::below(
        SIMPLE_EXIT_CODES,
        "
  Stop everything, at once:
    autoremediate pause --records s3://bucket --reason TICKET-4711

  Stop one rule in one account and one region, for four hours:
    autoremediate pause --records s3://bucket --rule s3-public-bucket --account 222222222222 --region eu-west-1 \
         --reason TICKET-4711 --until 4h

  Stop what has no region, such as IAM users:
    autoremediate pause --records s3://bucket --region global --reason TICKET-4711",
    )
}

/// Adds a pause, and shows what is paused now. One of everything is told to whoever listens to the event bus.
pub(crate) async fn pause(args: &PauseArgs, page: &mut Page<'_>) -> Result<Exit, Error> {
    let stops = args.stops.stops()?;
    let connection = args.bucket.open().await?;
    let by = connection.caller().await?;
    let added = change_pauses(&connection.records, |pauses| {
        let pause = Pause {
            id: pauses.free_id(),
            stops: stops.clone(),
            reason: args.reason.clone(),
            by: by.clone(),
            at: ambient::now(),
            until: args.until,
        };
        pauses.add(pause.clone())?;
        Ok::<_, Error>(pause)
    });
    let (pause, pauses) = added.await.map_err(|error| with_place(error, &connection))?;
    // Told here and not by the Lambdas: a pause is stored once, and met by every batch after that.
    if let Some(message) = messages::of_pause(&pause, bucket_of(&connection)) {
        args.event_bus.tell(&connection, message).await;
    }
    let (bucket, id) = (connection.locate(""), &pause.id);
    let done = format!("Paused: {stops}. To end it: autoremediate resume --records {bucket} {id}");
    Paused::of(&connection, &pauses).print(&done, args.output.format, page)?;
    Ok(Exit::NothingLeft)
}
