//! `completions`: the script that completes this command's words in a shell.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::commands::help::{self, SIMPLE_EXIT_CODES};
use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::Page;

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

pub(crate) fn help() -> String {
    help::below(
        SIMPLE_EXIT_CODES,
        "
  Complete commands and arguments in bash, zsh or fish:
    source <(autoremediate completions bash)
    autoremediate completions zsh > ~/.zfunc/_autoremediate
    autoremediate completions fish > ~/.config/fish/completions/autoremediate.fish",
    )
}

/// Prints the script for `command`.
pub(crate) fn completions(args: &CompletionsArgs, command: &mut Command, page: &mut Page<'_>) -> Result<Exit, Error> {
    // Not straight to standard output: that would panic where it is closed.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "autoremediate", &mut script);
    page.script(&script)?;
    Ok(Exit::NothingLeft)
}
