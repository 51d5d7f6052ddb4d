//! `failures retry` and `failures drop`: what was shown, and nothing else, is retried or dropped. While somebody is asked, the
//! messages are given back, so that they are hidden from nobody for as long as that takes; then they are read again.

use failure_queue::{Failure, Object};
use std::collections::{BTreeMap, BTreeSet};

use clap::{ArgAction, Args};
use futures::{StreamExt, stream};
use serde::Serialize;

use crate::commands::arguments::{OutputArgs, consent};
use crate::commands::failures::selection::{Desk, QueueArgs, WhichArgs, beyond, list, summary, table};
use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::{Format, Page, complain};
use crate::print::question::{self, Consent};
use crate::print::text::counted;
use crate::session::queue::{Held, Queue, Read};
use crate::session::retry::Retry;

/// The version of the JSON document.
const OUTPUT_SCHEMA: u32 = 1;
/// How many messages are worked on at a time.
const AT_A_TIME: usize = 8;

/// What to retry.
#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    pub(crate) decide: DecideArgs,
}

/// What to drop.
#[derive(Debug, Args)]
pub(crate) struct DropArgs {
    #[command(flatten)]
    pub(crate) decide: DecideArgs,
}

/// Which messages.
#[derive(Debug, Args)]
pub(crate) struct DecideArgs {
    /// The messages, by their IDs.
    #[arg(value_name = "ID", conflicts_with_all = ["all", "rules", "kinds"],
        required_unless_present_any = ["all", "rules", "kinds"])]
    ids: Vec<String>,
    /// Every message that is read.
    #[arg(long, conflicts_with_all = ["rules", "kinds"])]
    all: bool,
    #[command(flatten)]
    which: WhichArgs,
    /// Do it without being asked first. Required without a terminal, and with --json.
    #[arg(long = "yes", action = ArgAction::SetTrue, value_parser = consent())]
    pub(crate) consent: Consent,
    #[command(flatten)]
    queue: QueueArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// What is done with messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Retry,
    Drop,
}

/// What came of it.
#[derive(Debug, Default)]
struct Came {
    done: Vec<Failure>,
    /// What is left in the queue, with the reason.
    left: Vec<String>,
    problems: Vec<String>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    retried: Option<&'a [Failure]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<&'a [Failure]>,
    /// What was asked for and is left in the queue, with the reason.
    left: &'a [String],
    problems: &'a [String],
}

/// Retries batches and approvals.
pub(crate) async fn retry(args: &RetryArgs, page: &mut Page<'_>) -> Result<Exit, Error> {
    args.decide.carry_out(Deed::Retry, page).await
}

/// Drops messages.
pub(crate) async fn drop_messages(args: &DropArgs, page: &mut Page<'_>) -> Result<Exit, Error> {
    args.decide.carry_out(Deed::Drop, page).await
}

impl DecideArgs {
    async fn carry_out(&self, deed: Deed, page: &mut Page<'_>) -> Result<Exit, Error> {
        if self.consent == Consent::Ask && !question::can_ask(self.output.format) {
            return Err(if deed == Deed::Retry { Error::Unretried } else { Error::Undropped });
        }
        self.which.check()?;
        let desk = self.queue.open().await?;
        let queue = Queue::open(&desk.connection.config, &desk.deployment).await?;
        let mut came = Came::default();
        let read = queue.read(desk.most, |_| false).await?;
        let mut held = self.choose(read, &desk, &queue).await?;
        if deed == Deed::Retry {
            let (retried, left): (Vec<_>, Vec<_>) = held.into_iter().partition(|of| of.failure.what.object().is_some());
            came.left.extend(left.iter().map(|of| why_not_retried(&of.failure)));
            queue.give_back(&left).await?;
            held = retried;
        }
        let locate = |key: &str| desk.connection.locate(key);
        if self.output.format == Format::Table && !held.is_empty() {
            page.table(&list(held.iter().map(|of| &of.failure), locate))?;
            if deed == Deed::Drop {
                for lost in held.iter().map(|of| of.failure.what.lost()).collect::<BTreeSet<_>>() {
                    page.line(format!("Lost when it is dropped: {lost}."))?;
                }
            }
        }
        if self.consent == Consent::Ask && !held.is_empty() {
            queue.give_back(&held).await?;
            let shown: BTreeSet<_> = held.iter().map(|of| of.failure.id.clone()).collect();
            if !question::is_confirmed(&deed.question(&held))? {
                return Ok(Exit::NothingLeft);
            }
            held = again(&queue, desk.most, &shown, &mut came).await?;
        }
        match deed {
            Deed::Retry => retry_all(&desk, &queue, &held, &mut came).await,
            Deed::Drop => drop_all(&queue, &held, &mut came).await,
        }
        came.print(deed, &self.output, &desk, page)
    }

    /// The messages that are asked for; the others are given back. All of them, where one that is asked for is not there.
    async fn choose(&self, read: Read, desk: &Desk, queue: &Queue<'_>) -> Result<Vec<Held>, Error> {
        let more = beyond(&read, desk.most);
        let count = read.held.len();
        let is_asked = |held: &Held| {
            if self.ids.is_empty() { self.which.is_asked(&held.failure) } else { self.ids.contains(&held.failure.id) }
        };
        let (chosen, others): (Vec<_>, Vec<_>) = read.held.into_iter().partition(is_asked);
        queue.give_back(&others).await?;
        let unknown = self.ids.iter().find(|id| !chosen.iter().any(|of| of.failure.id == **id));
        let asked = match unknown {
            Some(id) => Some(format!("`{id}`")),
            None => (chosen.is_empty() && !self.which.is_none()).then(|| "what you asked for".to_owned()),
        };
        if let Some(asked) = asked {
            queue.give_back(&chosen).await?;
            return Err(Error::NoSuchFailure { asked, queue: desk.deployment.queue(), read: count, more });
        }
        more.iter().for_each(complain);
        Ok(chosen)
    }
}

impl Deed {
    fn question(self, held: &[Held]) -> String {
        let word = if self == Self::Retry { "Retry" } else { "Drop" };
        let what = summary(held.iter().map(|of| &of.failure));
        format!("{word} {} ({what})?", counted(held.len(), "message"))
    }
}

/// Why a message is nothing to retry.
fn why_not_retried(failure: &Failure) -> String {
    format!(
        "{} ({}) is left in the queue: only batches and approvals are retried; if it is dropped, this is lost: {}",
        failure.id,
        failure.what.kind(),
        failure.what.lost()
    )
}

/// Reads once more what was shown.
async fn again(queue: &Queue<'_>, most: usize, shown: &BTreeSet<String>, came: &mut Came) -> Result<Vec<Held>, Error> {
    let read = queue.read(most, |_| false).await?;
    let (held, others): (Vec<_>, Vec<_>) = read.held.into_iter().partition(|of| shown.contains(&of.failure.id));
    queue.give_back(&others).await?;
    let found: BTreeSet<_> = held.iter().map(|of| &of.failure.id).collect();
    for id in shown.iter().filter(|id| !found.contains(id)) {
        came.problems.push(format!("{id} was not done: somebody else has it, or has dealt with it"));
    }
    Ok(held)
}

/// Retries each object once, in however many messages it is.
async fn retry_all(desk: &Desk, queue: &Queue<'_>, held: &[Held], came: &mut Came) {
    let retry = Retry::new(&desk.connection.config, &desk.deployment, &desk.connection.records, &desk.bucket);
    let mut objects = BTreeMap::<Object<'_>, Vec<&Held>>::new();
    for of in held {
        if let Some(object) = of.failure.what.object() {
            objects.entry(object).or_default().push(of);
        }
    }
    let retried = stream::iter(objects).map(|(object, messages)| retry_one(&retry, queue, object, messages));
    for of in retried.buffered(AT_A_TIME).collect::<Vec<_>>().await {
        came.add(of);
    }
}

/// Retries an object, and deletes its messages only when Lambda has accepted it.
async fn retry_one<'h>(retry: &Retry<'_>, queue: &Queue<'_>, object: Object<'h>, messages: Vec<&'h Held>) -> Came {
    let mut came = Came::default();
    if let Err(error) = retry.retry(object).await {
        came.problems.push(format!("{} was not retried: {error}", object.key));
        came.problems.extend(queue.give_back(messages).await.err().map(|error| error.to_string()));
        return came;
    }
    for held in messages {
        if let Err(error) = queue.delete(held).await {
            let id = &held.failure.id;
            came.problems.push(format!("{} is retried, but its message {id} is still there: {error}", object.key));
        }
        came.done.push(held.failure.clone());
    }
    came
}

async fn drop_all(queue: &Queue<'_>, held: &[Held], came: &mut Came) {
    let dropped = stream::iter(held).map(|held| queue.delete(held)).buffered(AT_A_TIME).collect::<Vec<_>>().await;
    for (Held { failure, .. }, deleted) in held.iter().zip(dropped) {
        match deleted {
            Ok(()) => came.done.push(failure.clone()),
            Err(error) => came.problems.push(format!("{} was not dropped: {error}", failure.id)),
        }
    }
}

impl Came {
    fn add(&mut self, other: Self) {
        self.done.extend(other.done);
        self.left.extend(other.left);
        self.problems.extend(other.problems);
    }

    fn print(&self, deed: Deed, output: &OutputArgs, desk: &Desk, page: &mut Page<'_>) -> Result<Exit, Error> {
        let exit = match (self.problems.is_empty(), self.left.is_empty()) {
            (false, _) => Exit::Failed,
            (true, false) => Exit::Left,
            (true, true) => Exit::NothingLeft,
        };
        let Self { done, left, problems } = self;
        for problem in problems {
            complain(format!("error: {problem}"));
        }
        match output.format {
            Format::Json => page.json(&Document {
                schema: OUTPUT_SCHEMA,
                exit_code: exit.code(),
                retried: (deed == Deed::Retry).then_some(done),
                dropped: (deed == Deed::Drop).then_some(done),
                left,
                problems,
            })?,
            Format::Csv => page.csv(&table(done, |key| desk.connection.locate(key)))?,
            Format::Table => self.tell(deed, page)?,
        }
        Ok(exit)
    }

    fn tell(&self, deed: Deed, page: &mut Page<'_>) -> Result<(), Error> {
        for left in &self.left {
            page.line(left)?;
        }
        let messages = counted(self.done.len(), "message");
        match deed {
            _ if self.done.is_empty() => page.line("Nothing was done.")?,
            Deed::Drop => page.line(format!("Dropped {messages}."))?,
            Deed::Retry => page.line(format!(
                "Retried {messages}. The Lambdas are at work on it: what fails once more comes into the queue again, and the \
                 reports are in the bucket's reports/, beside those of the first attempts."
            ))?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Of {
        #[command(flatten)]
        args: DecideArgs,
    }

    #[test]
    fn exactly_one_way_says_which_messages() {
        let parse = |more: &[&str]| Of::try_parse_from([&["x", "--records", "s3://b"], more].concat());
        for given in [&["1", "2"][..], &["--all"], &["--rule", "a", "--kind", "batch"], &["--kind", "poll"]] {
            assert!(parse(given).is_ok(), "{given:?}");
        }
        for given in [&[][..], &["1", "--all"], &["1", "--rule", "a"], &["--all", "--kind", "poll"], &["--kind", "x"]] {
            assert!(parse(given).is_err(), "{given:?}");
        }
        for most in ["0", "10001", "-1"] {
            assert!(parse(&["--all", "--most", most]).is_err(), "{most}");
        }
    }
}
