//! `pause`: one more pause beside the policy, in effect before the next write of anybody.

use clap::Args;
use jiff::{Span, SpanRelativeTo, Timestamp};
use remediation::Pause;
use remediation::records::change_pauses;

use crate::commands::arguments::{OutputArgs, reason};
use crate::commands::help::{self, SIMPLE_EXIT_CODES};
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

/// When a pause ends by itself.
fn until(text: &str) -> Result<Timestamp, Error> {
    let (now, no_time) = (ambient::now(), || Error::Until(text.to_owned()));
    let at = match text.parse::<Timestamp>() {
        Ok(at) => at,
        Err(_) => {
            let span: Span = text.parse().map_err(|_| no_time())?;
            let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| no_time())?;
            now.checked_add(length).map_err(|_| no_time())?
        }
    };
    if at <= now { Err(Error::UntilPast(text.to_owned())) } else { Ok(at) }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_pause_ends_at_a_time_or_after_a_duration() {
        for (text, seconds) in
            [("4h", 14_400), ("2d", 172_800), ("90 minutes", 5_400), ("PT1H", 3_600), ("1w", 604_800)]
        {
            let from_now = until(text).unwrap().duration_since(ambient::now());
            assert!((from_now - SignedDuration::from_secs(seconds)).abs() < SignedDuration::from_secs(10), "{text}");
        }
        assert_eq!(until("2999-01-02T08:00+01:00").unwrap(), "2999-01-02T07:00:00Z".parse().unwrap());
    }

    #[test]
    fn what_is_over_or_is_no_time_is_refused_with_what_to_give() {
        for text in ["2020-01-01T00:00:00Z", "-4h", "0s"] {
            let error = until(text).unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")) && error.contains("is over"), "{error}");
        }
        for text in ["", "tomorrow", "4", "2999-01-01T00:00:00", "1mo", "99999999999h"] {
            let error = until(text).unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")) && error.contains("such as 4h"), "{error}");
        }
    }
}
