//! Questions to the person at the terminal.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};

use escape::escaped;

use crate::print::page::Format;

/// The terminal itself: standard input may hold findings, and standard error may be a file.
const TERMINAL: &str = "/dev/tty";

/// Whether the person has agreed to a write already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    /// Not yet.
    Ask,
    /// On the command line: `--yes`.
    Given,
}

/// Whether there is somebody to ask, and a question would not be in the way of the result.
pub(crate) fn can_ask(format: Format) -> bool {
    format == Format::Table && io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks; only a yes is one.
pub(crate) fn is_confirmed(question: &str) -> io::Result<bool> {
    let mut answer = String::new();
    write!(io::stderr(), "{} [y/N] ", escaped(question))?;
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Asks the person at the terminal, wherever the standard streams lead; gives the line that was typed.
pub(crate) fn ask(question: &str) -> io::Result<String> {
    let mut terminal = OpenOptions::new().read(true).write(true).open(TERMINAL)?;
    write!(terminal, "{}", escaped(question))?;
    let mut typed = String::new();
    BufReader::new(terminal).read_line(&mut typed)?;
    Ok(typed)
}
