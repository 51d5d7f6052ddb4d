//! Questions to the person at the terminal.

use std::io::{self, BufRead, IsTerminal, Write};

/// Whether there is somebody to ask, and the answer would not be in the way of `json`.
pub(crate) fn can_be_asked(json: bool) -> bool {
    !json && io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks; only a yes is one.
pub(crate) fn confirmed(question: &str) -> io::Result<bool> {
    let mut answer = String::new();
    write!(io::stderr(), "{question} [y/N] ")?;
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
