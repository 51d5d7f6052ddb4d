//! Questions to the person at the terminal.

use std::io::{self, BufRead, IsTerminal, Write};

use escape::escaped;

use crate::print::page::Format;

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
