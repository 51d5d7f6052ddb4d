//! `notify`: one message of each kind, marked as a test, to see that they arrive; and the JSON Schema of messages.

use clap::{ArgGroup, Args};
use messages::{Bus, BusError, DEFAULT_BUS, Message, samples, schema};
use remediation::Records;
use serde::Serialize;

use crate::commands::arguments::OutputArgs;
use crate::commands::help::{self, SIMPLE_EXIT_CODES};
use crate::commands::pauses::BucketArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::{Format, Page, complain};
use crate::print::table::{Cell, Table};
use crate::print::text::counted;
use crate::session::connection::Connection;

/// What to send or to print.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["test", "schema"])))]
pub(crate) struct NotifyArgs {
    /// Send one message of each kind, marked as a test.
    #[arg(long)]
    test: bool,
    /// Print the JSON Schema of the detail of messages, and nothing else.
    #[arg(long, exclusive = true)]
    schema: bool,
    #[command(flatten)]
    event_bus: EventBusArgs,
    #[command(flatten)]
    bucket: Option<BucketArgs>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Where messages go.
#[derive(Debug, Args)]
pub(crate) struct EventBusArgs {
    /// The event bus of the deployment, in the bucket's region: `event_bus_name` in Terraform.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_BUS)]
    event_bus: String,
}

pub(crate) fn help() -> String {
    help::below(
        SIMPLE_EXIT_CODES,
        "
  See that messages arrive where they should:
    autoremediate notify --test --records s3://bucket

  The same on an event bus of your own:
    autoremediate notify --test --records s3://bucket --event-bus security

  See what the detail of a message holds:
    autoremediate notify --schema",
    )
}

/// What became of the tests.
#[derive(Serialize)]
struct Tested<'a> {
    event_bus: &'a str,
    sent: usize,
    taken: usize,
    refused: Vec<String>,
}

impl EventBusArgs {
    /// The bus, as the connection reaches it.
    fn bus(&self, connection: &Connection) -> Bus {
        Bus::new(&connection.config, self.event_bus.as_str())
    }

    /// Sends a message about what was done already. Where that fails, the command says so, and has not failed.
    pub(crate) async fn tell(&self, connection: &Connection, message: Message) {
        let why = match self.bus(connection).send(&[message]).await {
            Ok(sent) => sent.refused.first().map(ToString::to_string),
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = why {
            complain(format!("warning: no message was sent about this: {why}"));
        }
    }
}

/// Sends the tests, or prints the schema.
pub(crate) async fn notify(args: &NotifyArgs, page: &mut Page<'_>) -> Result<Exit, Error> {
    let Some(bucket) = args.bucket.as_ref().filter(|_| args.test) else {
        page.json(&schema())?;
        return Ok(Exit::NothingLeft);
    };
    let connection = bucket.open().await?;
    let messages = samples(bucket_of(&connection)).map_err(BusError::from)?;
    let bus = args.event_bus.bus(&connection);
    let sent = bus.send(&messages).await?;
    let refused: Vec<_> = sent.refused.iter().map(ToString::to_string).collect();
    let tested = Tested { event_bus: bus.name(), sent: messages.len(), taken: sent.taken, refused };
    match args.output.format {
        Format::Json => page.json(&tested)?,
        Format::Csv => page.csv(&tested.table())?,
        Format::Table => tested.print(page)?,
    }
    Ok(if tested.taken == tested.sent { Exit::NothingLeft } else { Exit::Failed })
}

/// The bucket of the connection.
pub(crate) fn bucket_of(connection: &Connection) -> &str {
    match &connection.records {
        Records::Bucket { bucket, .. } => bucket,
        Records::Folder(_) => "",
    }
}

impl Tested<'_> {
    fn table(&self) -> Table {
        let mut table = Table::new(["event bus", "sent", "taken", "refused"]);
        let counts = [self.sent, self.taken].map(|count| Cell::text(count.to_string()));
        let [sent, taken] = counts;
        table.row([Cell::text(self.event_bus), sent, taken, Cell::lines(&self.refused)]);
        table
    }

    fn print(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let Self { event_bus, sent, taken, refused } = self;
        page.line(format!(
            "The event bus {event_bus} took {taken} of {}, each marked [TEST].",
            counted(*sent, "message")
        ))?;
        for refused in refused {
            page.line(format!("Not taken: {refused}"))?;
        }
        Ok(page.line("Whether they arrive depends on the rules of the bus: look at the chat and the mailbox.")?)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use clap::error::ErrorKind;

    use crate::commands::Cli;

    #[test]
    fn tests_need_the_bucket_and_the_schema_needs_nothing() {
        let parse = |words: &[&str]| {
            let line = ["autoremediate", "notify"].iter().chain(words);
            Cli::try_parse_from(line).map(drop).map_err(|error| error.kind())
        };
        assert_eq!(parse(&["--schema"]), Ok(()));
        assert_eq!(parse(&["--test", "--records", "s3://bucket"]), Ok(()));
        for words in [&["--test"][..], &["--records", "s3://bucket"], &[]] {
            assert_eq!(parse(words), Err(ErrorKind::MissingRequiredArgument), "{words:?}");
        }
        assert_eq!(parse(&["--test", "--records", "./folder"]), Err(ErrorKind::ValueValidation));
    }
}
