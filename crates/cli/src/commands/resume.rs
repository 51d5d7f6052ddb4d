//! `resume`: pauses are ended, by their IDs, by what they stop, or all of them.

use clap::Args;
use remediation::records::{change_pauses, end_all_pauses};
use remediation::{Pause, Pauses, Stops};

use crate::commands::arguments::OutputArgs;
use crate::commands::help::{self, SIMPLE_EXIT_CODES};
use crate::commands::pauses::{BucketArgs, Paused, StopsArgs, with_place};
use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::Page;
use crate::print::text::counted;

/// The arguments that say what a pause stops.
const STOPS: [&str; 3] = ["rules", "accounts", "regions"];

/// Which pauses to end.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The pauses, by their IDs.
    #[arg(value_name = "ID", conflicts_with = "all", conflicts_with_all = STOPS,
        required_unless_present_any = ["all", "rules", "accounts", "regions"])]
    ids: Vec<String>,
    /// Every pause, also where what is stored there cannot be read.
    #[arg(long, conflicts_with_all = STOPS)]
    all: bool,
    #[command(flatten)]
    stops: StopsArgs,
    #[command(flatten)]
    bucket: BucketArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

pub(crate) fn help() -> String {
    help::below(
        SIMPLE_EXIT_CODES,
        "
  End a pause by the ID that `pause` and `policy show` print:
    autoremediate resume --records s3://bucket 5e0c7a11

  End the pauses that were made with just these arguments:
    autoremediate resume --records s3://bucket --rule s3-public-bucket --account 222222222222

  End every pause:
    autoremediate resume --records s3://bucket --all

Where policy.json says `paused`, only another policy ends that.",
    )
}

/// Ends pauses, and shows what is still paused.
pub(crate) async fn resume(args: &ResumeArgs, page: &mut Page<'_>) -> Result<Exit, Error> {
    let stops = args.stops.stops()?;
    let connection = args.bucket.open().await?;
    let (done, pauses) = if args.all {
        let pauses = end_all_pauses(&connection.records).await;
        let pauses = pauses.map_err(|source| with_place(source.into(), &connection))?;
        ("Every pause was ended.".to_owned(), pauses)
    } else {
        let ended = change_pauses(&connection.records, |pauses| end(pauses, &args.ids, &stops)).await;
        let (ended, pauses) = ended.map_err(|error| with_place(error, &connection))?;
        let ids: Vec<_> = ended.iter().map(|pause| pause.id.as_str()).collect();
        (format!("Ended {}: {}.", counted(ids.len(), "pause"), ids.join(", ")), pauses)
    };
    Paused::of(&connection, &pauses).print(&done, args.output.format, page)?;
    Ok(Exit::NothingLeft)
}

/// Ends the pauses of these IDs, or those that stop just this; none, where one that is asked for is not in force.
fn end(pauses: &mut Pauses, ids: &[String], stops: &Stops) -> Result<Vec<Pause>, Error> {
    let now = ambient::now();
    let is_asked = |pause: &Pause| if ids.is_empty() { pause.stops.is_same(stops) } else { ids.contains(&pause.id) };
    let unknown = ids.iter().find(|id| !pauses.in_force(now).any(|pause| pause.id == **id));
    if unknown.is_some() || !pauses.in_force(now).any(is_asked) {
        let asked = unknown.map_or_else(|| format!("of just {stops}"), |id| format!("`{id}`"));
        let in_force: Vec<_> = pauses.in_force(now).map(|pause| format!("{} ({})", pause.id, pause.stops)).collect();
        let in_force = if in_force.is_empty() { "none".to_owned() } else { in_force.join("; ") };
        return Err(Error::NoSuchPause { asked, in_force });
    }
    Ok(pauses.end(now, is_asked))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: ResumeArgs,
    }

    fn pauses() -> Pauses {
        let pause =
            |id: &str, stops| json!({"id": id, "stops": stops, "reason": "r", "by": "b", "at": "2026-01-02T03:04:05Z"});
        let over = json!({"id": "00000003", "stops": {}, "reason": "r", "by": "b", "at": "2026-01-02T03:04:05Z",
            "until": "2026-01-02T03:04:06Z"});
        let of = [pause("00000001", json!({"rules": ["a"]})), pause("00000002", json!({})), over];
        serde_json::from_value(json!({"schema": 1, "pauses": of})).unwrap()
    }

    #[test]
    fn exactly_one_way_says_which_pauses_end() {
        let parse = |more: &[&str]| Line::try_parse_from([&["x", "--records", "s3://b"], more].concat());
        for given in [&["00000001", "00000002"][..], &["--all"], &["--rule", "a", "--region", "global"]] {
            assert!(parse(given).is_ok(), "{given:?}");
        }
        for given in
            [&[][..], &["00000001", "--all"], &["00000001", "--rule", "a"], &["--all", "--account", "111111111111"]]
        {
            assert!(parse(given).is_err(), "{given:?}");
        }
    }

    #[test]
    fn pauses_end_by_their_ids_or_by_what_they_stop_and_no_others() {
        let of_rule = |rule: &str| Stops { rules: vec![rule.into()], ..Stops::default() };
        for (ids, stops, left) in
            [(vec!["00000002".to_owned()], Stops::default(), "00000001"), (vec![], of_rule("a"), "00000002")]
        {
            let mut pauses = pauses();
            assert_eq!(end(&mut pauses, &ids, &stops).unwrap().len(), 1);
            assert_eq!(pauses.in_force(ambient::now()).map(|pause| &pause.id[..]).collect::<Vec<_>>(), [left]);
        }
        for (ids, stops, asked) in [
            (vec!["00000001".to_owned(), "00000009".into()], Stops::default(), "`00000009`"),
            (vec!["00000003".to_owned()], Stops::default(), "`00000003`"),
            (vec![], of_rule("b"), "of just rule b"),
        ] {
            let mut pauses = pauses();
            let Error::NoSuchPause { asked: found, in_force } = end(&mut pauses, &ids, &stops).unwrap_err() else {
                panic!()
            };
            assert_eq!((found.as_str(), in_force.as_str()), (asked, "00000001 (rule a); 00000002 (everything)"));
            assert_eq!(pauses, super::tests::pauses(), "nothing was ended");
        }
    }
}
