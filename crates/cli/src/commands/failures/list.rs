//! `failures list` and `failures show`: they only look, and give back at once what they have read.

use clap::Args;
use failure_queue::{Failure, What};
use remediation::Batch;
use remediation::records::MOST_OF_BATCH;
use serde::Serialize;
use serde_json::Value;

use crate::commands::arguments::OutputArgs;
use crate::commands::failures::selection::{Desk, QueueArgs, WhichArgs, beyond, list as listed, summary, table};
use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::{Format, Page, complain};
use crate::print::text::counted;
use crate::session::queue::{Counts, Held, Queue};

/// The version of the JSON documents.
const OUTPUT_SCHEMA: u32 = 1;

/// What to list.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    which: WhichArgs,
    #[command(flatten)]
    queue: QueueArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// What to show.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The message's ID, as `failures list` has it.
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    queue: QueueArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// What `list --json` prints.
#[derive(Serialize)]
struct Listed<'a> {
    schema: u32,
    exit_code: u8,
    queue: String,
    /// What was in the queue, roughly, before it was read.
    counts: Counts,
    /// Whether there was nothing more to be read.
    is_whole: bool,
    failures: &'a [&'a Failure],
}

/// What `show --json` prints.
#[derive(Serialize)]
struct Shown<'a> {
    schema: u32,
    failure: &'a Failure,
    /// What is in the bucket of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<Object>,
    /// The message itself: as JSON, where it is that.
    message: Value,
}

/// What a rule's Lambda was to work on.
#[derive(Serialize)]
struct Object {
    at: String,
    /// What it holds, or why it cannot be read, for people.
    holds: String,
    /// Where the report of its first attempt is, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<String>,
}

/// Lists what is in the queue.
pub(crate) async fn list(args: &ListArgs, page: &mut Page<'_>) -> Result<Exit, Error> {
    args.which.check()?;
    let desk = args.queue.open().await?;
    let queue = Queue::open(&desk.connection.config, &desk.deployment).await?;
    let mut read = queue.read(desk.most, |_| false).await?;
    give_back(&queue, &read.held).await;
    read.held.sort_by_key(|held| held.failure.since);
    let failures: Vec<_> = read.held.iter().map(|of| &of.failure).filter(|of| args.which.is_asked(of)).collect();
    let exit = if failures.is_empty() { Exit::NothingLeft } else { Exit::Left };
    let locate = |key: &str| desk.connection.locate(key);
    match args.output.format {
        Format::Json => page.json(&Listed {
            schema: OUTPUT_SCHEMA,
            exit_code: exit.code(),
            queue: desk.deployment.queue(),
            counts: read.counts,
            is_whole: read.is_whole,
            failures: &failures,
        })?,
        Format::Csv => page.csv(&table(failures.iter().copied(), locate))?,
        Format::Table => {
            let list = listed(failures.iter().copied(), locate);
            if list.is_empty() {
                page.line(format!("Nothing of that is in the queue {}.", desk.deployment.queue()))?;
            } else {
                page.table(&list)?;
                page.line(format!("{}: {}", counted(failures.len(), "message"), summary(failures.iter().copied())))?;
                page.line(
                    "When the cause is mended: autoremediate failures retry ID, or autoremediate failures drop ID",
                )?;
            }
        }
    }
    // They are about what is not in the result.
    beyond(&read, desk.most).iter().for_each(complain);
    Ok(exit)
}

/// Shows one message.
pub(crate) async fn show(args: &ShowArgs, page: &mut Page<'_>) -> Result<Exit, Error> {
    let desk = args.queue.open().await?;
    let queue = Queue::open(&desk.connection.config, &desk.deployment).await?;
    let read = queue.read(desk.most, |failure| failure.id == args.id).await?;
    give_back(&queue, &read.held).await;
    let Some(Held { failure, body, .. }) = read.held.iter().find(|of| of.failure.id == args.id) else {
        let (asked, queue) = (format!("`{}`", args.id), desk.deployment.queue());
        return Err(Error::NoSuchFailure { asked, queue, read: read.held.len(), more: beyond(&read, desk.most) });
    };
    let body = body.as_deref().unwrap_or_default();
    let message = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()));
    let object = object(&desk, &failure.what).await;
    match args.output.format {
        Format::Json => page.json(&Shown { schema: OUTPUT_SCHEMA, failure, object, message })?,
        Format::Csv => page.csv(&table([failure], |key| desk.connection.locate(key)))?,
        Format::Table => {
            page.table(&listed([failure], |key| desk.connection.locate(key)))?;
            if let Some(Object { at, holds, report }) = &object {
                page.line(format!("{at}: {holds}"))?;
                if let Some(report) = report {
                    page.line(format!("Its first report: autoremediate show {report}"))?;
                }
            }
            page.line(format!("If it is dropped, this is lost: {}", failure.what.lost()))?;
            page.line("The message:")?;
            page.json(&message)?;
        }
    }
    Ok(Exit::Left)
}

/// What is in the bucket of what failed. Whatever cannot be read is told, and hides nothing else.
async fn object(desk: &Desk, what: &What) -> Option<Object> {
    let (records, object) = (&desk.connection.records, what.object()?);
    let holds = match records.find_at_most(object.key, MOST_OF_BATCH).await {
        Ok(None) => "it is not in the bucket any more, or never was".to_owned(),
        Err(error) => format!("it cannot be read: {error}"),
        Ok(Some(_)) if matches!(what, What::Approval { .. }) => "an approval".to_owned(),
        Ok(Some(stored)) => match Batch::from_stored(&stored.bytes, object.rule) {
            Ok(batch) => {
                let passed = match batch.passed.len() {
                    0 => String::new(),
                    passed => format!(", and {} that Netskope has passed", counted(passed, "finding")),
                };
                let bad = batch.bad_lines.first().map(|line| format!("; {line}")).unwrap_or_default();
                counted(batch.findings.len(), "finding") + &passed + &bad
            }
            Err(error) => error.to_string(),
        },
    };
    let report = match what {
        What::Batch { report: Some(report), .. } => {
            let listed = records.list(report).await.unwrap_or_default();
            listed.contains(report).then(|| desk.connection.locate(report))
        }
        _ => None,
    };
    Some(Object { at: desk.connection.locate(object.key), holds, report })
}

/// Gives back what was only looked at.
async fn give_back(queue: &Queue<'_>, held: &[Held]) {
    if let Err(error) = queue.give_back(held).await {
        complain(format!("warning: others see what was read only in three minutes: {error}"));
    }
}
