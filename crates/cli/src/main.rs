//! `autoremediate`: plans and applies remediation from a command line, over the same engine as the Lambdas.
//!
//! Invariants: standard output holds the result and nothing else; the Netskope token comes from the environment only
//! and is never printed; the exit code says whether anything is left to do, and never 0 where something failed.

mod approve;
mod args;
mod aws;
mod colour;
mod doctor;
mod error;
mod help;
mod output;
mod policy;
mod progress;
mod question;
mod rules;
mod run;
mod source;
mod time;
mod undo;
mod workplace;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::args::{Cli, Command, PolicyCommand};
use crate::error::Error;
use crate::output::Exit;
use crate::progress::Bar;

fn main() -> ExitCode {
    let exit = match Cli::try_parse() {
        Ok(cli) => execute(cli.command).unwrap_or_else(|error| {
            // Nothing is left to tell it to where standard error is closed.
            let _ = writeln!(io::stderr(), "error: {error}");
            Exit::Failed
        }),
        Err(error) => {
            let _ = error.print();
            // clap's own code for a bad command line, 2, means here that changes are left.
            if error.use_stderr() { Exit::Failed } else { Exit::NothingLeft }
        }
    };
    ExitCode::from(exit.code())
}

fn execute(command: Command) -> Result<Exit, Error> {
    let mut out = io::stdout();
    let json = match &command {
        Command::Plan(run) | Command::Apply { run, .. } => run.json,
        Command::Undo(args) => args.json,
        Command::Approve(args) => args.json,
        Command::Rules { json } | Command::Policy(PolicyCommand::Check { json, .. }) => *json,
        Command::Policy(PolicyCommand::Schema) => true,
        Command::Doctor(args) => args.json,
        Command::Completions { .. } => true,
    };
    let bar = Bar::new(json);
    progress::log_above(&bar);
    // One thread: the work is waiting for AWS and Netskope.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
    match command {
        Command::Plan(run) => runtime.block_on(run::plan(&run, &bar, &mut out)),
        Command::Apply { run, yes } => runtime.block_on(run::apply(&run, yes, &bar, &mut out)),
        Command::Undo(args) => runtime.block_on(undo::undo(&args, &bar, &mut out)),
        Command::Approve(args) => runtime.block_on(approve::approve(&args, &bar, &mut out)),
        Command::Policy(PolicyCommand::Check { files, json }) => policy::check(&files, json, &mut out),
        Command::Policy(PolicyCommand::Schema) => policy::print_schema(&mut out),
        Command::Rules { json } => {
            output::print_rules(&rules::all()?, json, &mut out)?;
            Ok(Exit::NothingLeft)
        }
        Command::Doctor(args) => runtime.block_on(doctor::doctor(&args, &bar, &mut out)),
        Command::Completions { shell } => {
            // Not to standard output at once: that would panic where it is closed.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "autoremediate", &mut script);
            out.write_all(&script)?;
            Ok(Exit::NothingLeft)
        }
    }
}
