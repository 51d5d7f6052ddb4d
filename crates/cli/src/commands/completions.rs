//! `completions`: the script that completes this command's words in a shell. It asks the command itself, which knows its
//! rules, the regions, and the profiles of the machine.

use std::env;
use std::path::{self, MAIN_SEPARATOR};

use clap::Args;
use clap_complete::Shell;
use clap_complete::env::Shells;

use crate::commands::help::{self, SIMPLE_EXIT_CODES};
use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::Page;

/// What the command is called.
pub(crate) const NAME: &str = "autoremediate";
/// The variable by which the script asks, with the shell's name.
pub(crate) const COMPLETE: &str = "AUTOREMEDIATE_COMPLETE";

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

pub(crate) fn help() -> String {
    help::below(
        SIMPLE_EXIT_CODES,
        "
  Complete commands, arguments, rules, regions and profiles in bash, zsh or fish:
    source <(autoremediate completions bash)
    source <(autoremediate completions zsh)
    autoremediate completions fish > ~/.config/fish/completions/autoremediate.fish",
    )
}

/// Prints the script.
pub(crate) fn completions(args: &CompletionsArgs, page: &mut Page<'_>) -> Result<Exit, Error> {
    let mut script = Vec::new();
    let shell = args.shell.to_string();
    if let Some(shell) = Shells::builtins().completer(&shell) {
        shell.write_registration(COMPLETE, NAME, NAME, &own_path(), &mut script)?;
    }
    page.script(&script)?;
    Ok(Exit::NothingLeft)
}

/// How the script calls this binary: as it was called, from wherever the shell is then.
fn own_path() -> String {
    let called = env::args().next().unwrap_or_else(|| NAME.to_owned());
    if !called.contains(MAIN_SEPARATOR) {
        return called;
    }
    path::absolute(&called).map_or(called, |path| path.display().to_string())
}
