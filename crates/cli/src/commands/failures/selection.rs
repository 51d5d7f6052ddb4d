//! What the commands on the failure queue share: which queue, which of its messages, and how these are printed.

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap_complete::ArgValueCompleter;
use failure_queue::{Condition, Deployment, Failure, Kind, What};
use remediation::Records;

use crate::commands::complete;
use crate::commands::pauses::BucketArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::print::line::Line;
use crate::print::list::{Entry, List};
use crate::print::table::{Cell, Table};
use crate::print::text::{Count, listed};
use crate::print::time;
use crate::session::connection::Connection;
use crate::session::queue::Read;
use crate::session::rules;

/// The queue of a deployment.
#[derive(Debug, Args)]
pub(crate) struct QueueArgs {
    #[command(flatten)]
    bucket: BucketArgs,
    /// What the names of the deployment begin with: `name_prefix` in Terraform.
    #[arg(long, value_name = "NAME", default_value = "autoremediate", value_parser = name_prefix)]
    name_prefix: String,
    /// Read so many messages at most, of at most 10,000.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    most: u16,
}

/// Which messages: all that is given must apply.
#[derive(Debug, Default, Args)]
pub(crate) struct WhichArgs {
    /// Only what is of this rule, by its ID; can be repeated.
    #[arg(long = "rule", value_name = "ID", add = ArgValueCompleter::new(complete::rule))]
    pub(crate) rules: Vec<String>,
    /// Only what is of this kind; can be repeated.
    #[arg(long = "kind", value_name = "KIND", value_parser = kind())]
    pub(crate) kinds: Vec<Kind>,
}

/// A deployment, and the connection to it.
pub(crate) struct Desk {
    pub(crate) connection: Connection,
    pub(crate) deployment: Deployment,
    pub(crate) bucket: String,
    pub(crate) most: usize,
}

impl QueueArgs {
    /// Connects to the deployment.
    pub(crate) async fn open(&self) -> Result<Desk, Error> {
        let connection = self.bucket.open().await?;
        let Records::Bucket { bucket, owner, .. } = &connection.records else {
            return Err(Error::NoBucket(connection.place.to_string()));
        };
        let (bucket, account) = (bucket.clone(), owner.clone());
        let rules = rules::all()?.into_iter().map(|rule| rule.manifest.id).collect();
        let (prefix, region) = (self.name_prefix.clone(), connection.region.clone());
        let deployment = Deployment { prefix, account, region, rules };
        Ok(Desk { connection, deployment, bucket, most: self.most.into() })
    }
}

impl WhichArgs {
    /// That there are such rules.
    pub(crate) fn check(&self) -> Result<(), Error> {
        rules::select(&self.rules).map(drop)
    }

    pub(crate) fn is_none(&self) -> bool {
        self.rules.is_empty() && self.kinds.is_empty()
    }

    pub(crate) fn is_asked(&self, failure: &Failure) -> bool {
        let Self { rules, kinds } = self;
        let of_rule = rules.is_empty() || failure.what.rule().is_some_and(|rule| rules.iter().any(|of| of == rule));
        of_rule && (kinds.is_empty() || kinds.contains(&failure.what.kind()))
    }
}

/// A kind by its name.
fn kind() -> impl TypedValueParser<Value = Kind> {
    let about = |kind| match kind {
        Kind::Batch => "A rule's Lambda, with a batch of findings",
        Kind::Approval => "A rule's Lambda, with an approval",
        Kind::Poll => "The poller, or the schedule that starts it",
        Kind::Message => "EventBridge, with a message for people",
        Kind::Unknown => "Nothing that the deployment's services send",
    };
    let names = Kind::ALL.map(|kind| PossibleValue::new(kind.name()).help(about(kind)));
    let of_name = |name: String| Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or("there is no such kind");
    PossibleValuesParser::new(names).try_map(of_name)
}

/// The name that a deployment may have: `name_prefix` in Terraform.
fn name_prefix(text: &str) -> Result<String, Error> {
    let is_letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let is_one = text.len() <= 16 && text.starts_with(|letter: char| letter.is_ascii_lowercase());
    (is_one && text.chars().all(is_letter)).then(|| text.to_owned()).ok_or_else(|| Error::NamePrefix(text.to_owned()))
}

/// What was read, and what of the queue was not.
pub(crate) fn beyond(read: &Read, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    if !read.is_whole && read.counts.visible > read.held.len() {
        let (of, all) = (read.held.len(), read.counts.visible);
        lines
            .push(format!("Only {of} of about {all} messages were read: --most reads more than {most}, or drop some."));
    }
    if read.counts.hidden > 0 {
        let hidden = read.counts.hidden;
        lines.push(format!(
            "About {hidden} more cannot be seen now, because somebody is reading them: look again in three minutes."
        ));
    }
    lines
}

/// What the failures are about, counted.
pub(crate) fn summary<'a>(failures: impl IntoIterator<Item = &'a Failure>) -> String {
    let mut counts = Kind::ALL.map(|kind| (kind, 0_usize));
    for failure in failures {
        for (kind, count) in &mut counts {
            *count += usize::from(*kind == failure.what.kind());
        }
    }
    listed(counts.into_iter().map(|(kind, count)| Count::of(count, kind.to_string())))
}

/// The failures, for people; by what they are about.
pub(crate) fn list<'a>(failures: impl IntoIterator<Item = &'a Failure>, locate: impl Fn(&str) -> String) -> List {
    let mut list = List::default();
    for failure in failures {
        list.add(group(failure), entry(failure, &locate));
    }
    list
}

fn group(failure: &Failure) -> &str {
    match &failure.what {
        What::Message { .. } => "messages for people, not delivered",
        What::Unknown { .. } => "unknown",
        what => what.rule().unwrap_or("polls"),
    }
}

fn entry(failure: &Failure, locate: impl Fn(&str) -> String) -> Entry {
    let since = failure.since.map(|since| format!("since {}", time::shown(since))).unwrap_or_default();
    let head = Line::default().name(&failure.id).words(failure.what.kind().to_string()).words(since);
    let about = match &failure.what {
        What::Batch { key, .. } | What::Approval { key, .. } => Line::default().name(locate(key)),
        What::Poll { .. } => Line::default().words("the next poll is its retry"),
        What::Message { event_rule, title } => {
            let title = title.as_deref().unwrap_or("an event");
            Line::default().words(format!("\"{title}\", not passed on by")).name(event_rule)
        }
        What::Unknown { why } => Line::default().words(why),
    };
    let error = failure.error.as_deref().map(escape::brief).unwrap_or_default();
    let why = Line::default().judged(condition(failure) + ":", Exit::Failed).words(error);
    Entry { head, body: vec![about, why] }
}

/// Why it is in the queue, in words.
fn condition(failure: &Failure) -> String {
    let tries = failure.attempts.map(|count| format!(" ({count} tries)")).unwrap_or_default();
    match &failure.condition {
        Some(Condition::RetriesExhausted) => format!("every try failed{tries}"),
        Some(Condition::TooOld) => {
            format!("too old: it was not done in time, because it was throttled or could not be started{tries}")
        }
        Some(Condition::Other(text)) => format!("{text}{tries}"),
        None => "failed".to_owned(),
    }
}

/// A row for each.
pub(crate) fn table<'a>(failures: impl IntoIterator<Item = &'a Failure>, locate: impl Fn(&str) -> String) -> Table {
    let mut table = Table::new(["since", "kind", "rule", "condition", "attempts", "about", "error", "id"]);
    for failure in failures {
        let Failure { id, since, what, condition, attempts, error } = failure;
        let about = match what {
            What::Batch { key, .. } | What::Approval { key, .. } => locate(key),
            What::Poll { .. } => String::new(),
            What::Message { event_rule, .. } => event_rule.clone(),
            What::Unknown { why } => why.clone(),
        };
        table.row([
            Cell::text(since.map(|since| since.to_string()).unwrap_or_default()),
            Cell::text(what.kind().to_string()),
            Cell::text(what.rule().unwrap_or_default()),
            Cell::text(condition.as_ref().map(Condition::name).unwrap_or_default()),
            Cell::text(attempts.map(|count| count.to_string()).unwrap_or_default()),
            Cell::text(about),
            Cell::text(error.as_deref().unwrap_or_default()),
            Cell::text(id),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::queue::Counts;

    fn failure(what: What, condition: Option<Condition>) -> Failure {
        let since = Some("2026-01-02T03:04:05Z".parse().unwrap());
        Failure { id: "id-1".into(), since, what, condition, attempts: Some(3), error: Some("broken\u{1b}".into()) }
    }

    fn batch(condition: Condition) -> Failure {
        let what = What::Batch { rule: "s3-public-bucket".into(), key: "findings/x".into(), report: None };
        failure(what, Some(condition))
    }

    fn message() -> Failure {
        let what = What::Message { event_rule: "arn:rule".into(), title: Some("3 fixed".into()) };
        failure(what, None)
    }

    #[test]
    fn the_kinds_and_reasons_are_told_apart() {
        let failures = [batch(Condition::RetriesExhausted), batch(Condition::TooOld), message()];
        let text = list(&failures, |key| format!("s3://b/{key}")).at(200);
        for part in [
            "messages for people, not delivered\n  id-1  message  since 2026-01-02",
            "\"3 fixed\", not passed on by arn:rule",
            "s3-public-bucket\n  id-1  batch  since 2026-01-02",
            "    s3://b/findings/x\n    every try failed (3 tries): broken\\u{1b}",
            "    too old: it was not done in time",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(summary(&failures), "2 batch, 1 message");
        let mut csv = Vec::new();
        table(&failures, |key| format!("s3://b/{key}")).write_csv(&mut csv).unwrap();
        let csv = String::from_utf8(csv).unwrap();
        let row = "2026-01-02T03:04:05Z,batch,s3-public-bucket,too_old,3,s3://b/findings/x,broken\\u{1b},id-1";
        assert!(csv.contains(row), "{csv}");
    }

    #[test]
    fn everything_that_is_asked_for_must_apply() {
        let which = |rules: &[&str], kinds: &[Kind]| WhichArgs {
            rules: rules.iter().map(ToString::to_string).collect(),
            kinds: kinds.into(),
        };
        let (batch, message) = (batch(Condition::TooOld), message());
        for (which, of_batch, of_message) in [
            (which(&[], &[]), true, true),
            (which(&["s3-public-bucket"], &[]), true, false),
            (which(&["iam-stale-access-key"], &[]), false, false),
            (which(&[], &[Kind::Message, Kind::Poll]), false, true),
            (which(&["s3-public-bucket"], &[Kind::Message]), false, false),
        ] {
            assert_eq!((which.is_asked(&batch), which.is_asked(&message)), (of_batch, of_message), "{which:?}");
        }
        let error = which(&["s3-public-bukket"], &[]).check().unwrap_err().to_string();
        assert!(error.contains("`s3-public-bukket`"), "{error}");
    }

    #[test]
    fn what_was_not_read_is_told() {
        let read = |visible, hidden, is_whole| Read { held: Vec::new(), counts: Counts { visible, hidden }, is_whole };
        assert!(beyond(&read(7, 0, true), 10).is_empty());
        assert!(beyond(&read(70_000, 0, false), 10)[0].contains("Only 0 of about 70000"));
        assert!(beyond(&read(0, 3, true), 10)[0].contains("About 3 more"));
    }

    #[test]
    fn a_deployment_has_a_name_as_terraform_takes_it() {
        assert!(name_prefix("autoremediate").is_ok() && name_prefix("r2-d2").is_ok());
        for text in ["", "x".repeat(17).as_str(), "2x", "A", "x/y", "arn:aws:x", "ü"] {
            assert!(name_prefix(text).unwrap_err().to_string().contains("name_prefix"), "{text}");
        }
    }
}
