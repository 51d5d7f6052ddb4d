//! `autoremediate`: plans and applies remediation from a command line, over the same engine as the Lambdas.
//!
//! `commands/` has a file for each subcommand. They stand on `session/`, which talks to AWS, Netskope and the store of
//! records, and on `print/`, which is what people and scripts see. Those two know neither the commands nor each other.
//! Below all of them are the errors and the exit codes.
//!
//! Invariants: standard output holds the result and nothing else; the Netskope token comes from the environment only
//! and is never printed; whatever came from outside is escaped before it is printed; the exit code tells whether
//! anything is left to do, and is never 0 where something failed.
//!
//! The rules of this repository are built in. A rule that is outside of it needs a command line that knows it, to approve
//! its plans and to take its fixes back: a binary of one's own that calls [`run`] with the further rules.

#[cfg(test)]
mod arrows;
mod commands;
mod error;
mod exit;
mod print;
mod session;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;

use crate::commands::completions::{COMPLETE, NAME};
use crate::commands::{Cli, Command};
use crate::exit::Exit;
use crate::print::page::{Page, complain};
use crate::print::pager::Out;

pub use session::rules::FurtherRule;

/// Carries out the command line of this process, with the rules of this repository and `further` ones.
///
/// ```no_run
/// # use rules::s3_public_bucket::S3PublicBucket as MyRule;
/// autoremediate::run(&[autoremediate::FurtherRule::of::<MyRule>()]);
/// ```
#[must_use]
pub fn run(further: &[FurtherRule]) -> ExitCode {
    session::rules::add(further);
    // A shell that completes a command line asks this very binary; then this ends it.
    CompleteEnv::with_factory(Cli::command).var(COMPLETE).bin(NAME).complete();
    let exit = match Cli::try_parse() {
        Ok(cli) => carry_out(cli.command),
        Err(answer) => explain(&answer),
    };
    ExitCode::from(exit.code())
}

fn carry_out(command: Command) -> Exit {
    let mut out = Out::new(command.paging());
    let done = commands::run(command, &mut Page::new(&mut out));
    out.end();
    done.unwrap_or_else(|error| {
        if !error.is_unread() {
            error.lines().iter().for_each(|line| complain(format!("error: {line}")));
        }
        Exit::Failed
    })
}

/// Prints clap's answer to a command line: help, the version, or what is wrong.
fn explain(answer: &clap::Error) -> Exit {
    if !answer.use_stderr() {
        // Where standard output is closed, nobody is left to tell.
        let _ = answer.print();
        return Exit::NothingLeft;
    }
    // An argument may have been pasted from anywhere, and clap would print it as it is.
    answer.render().to_string().lines().for_each(complain);
    // clap's own code for a bad command line is 2, which here means that changes are left.
    Exit::Failed
}
