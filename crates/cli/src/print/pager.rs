//! Standard output, by way of a pager where somebody reads it on a terminal.

use std::env;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

/// It ends by itself where all fits the screen, shows colours, and leaves what was read on the screen.
const DEFAULT: &str = "less -FRX";

/// Whether somebody is reading: then Ctrl-C is the pager's.
static IS_OPEN: AtomicBool = AtomicBool::new(false);

/// How a result may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paging {
    /// By a pager.
    Allowed,
    /// As it comes.
    Off,
    /// As it comes, because a question about it follows. Where it cannot be printed, nothing must be asked.
    Asks,
}

/// Where a result goes. Where the reader has left, as `head` does, the rest is dropped without a word.
pub(crate) struct Out {
    paging: Paging,
    to: To,
}

enum To {
    NotYet,
    Stdout,
    Pager(Child, ChildStdin),
    Nobody,
}

impl Out {
    pub(crate) fn new(paging: Paging) -> Self {
        Self { paging, to: To::NotYet }
    }

    /// Ends the result, and waits until it is read.
    pub(crate) fn end(self) {
        match self.to {
            To::Pager(mut pager, text) => {
                drop(text);
                // However it ended, its reader is done.
                drop(pager.wait());
                IS_OPEN.store(false, Ordering::Relaxed);
            }
            To::Stdout => drop(io::stdout().flush()),
            To::NotYet | To::Nobody => {}
        }
    }

    fn open(&self) -> To {
        let pager = (self.paging == Paging::Allowed && io::stdout().is_terminal()).then(pager).flatten();
        pager.and_then(|words| start(&words)).unwrap_or(To::Stdout)
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if matches!(self.to, To::NotYet) {
            self.to = self.open();
        }
        let written = match &mut self.to {
            To::Pager(_, text) => text.write(bytes),
            To::Nobody => Ok(bytes.len()),
            _ => io::stdout().write(bytes),
        };
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe && self.paging != Paging::Asks => {
                if !matches!(self.to, To::Pager(..)) {
                    self.to = To::Nobody;
                }
                Ok(bytes.len())
            }
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::Pager(_, text) => text.flush(),
            To::Nobody | To::NotYet => Ok(()),
            To::Stdout => io::stdout().flush(),
        }
    }
}

/// Whether somebody is reading in a pager.
pub(crate) fn is_open() -> bool {
    IS_OPEN.load(Ordering::Relaxed)
}

/// The pager's command line.
fn pager() -> Option<Vec<String>> {
    chosen(env::var("AUTOREMEDIATE_PAGER").ok(), env::var("PAGER").ok())
}

/// Ours comes first. Who sets one to nothing, or to `cat`, wants none.
fn chosen(ours: Option<String>, general: Option<String>) -> Option<Vec<String>> {
    let line = ours.or(general).unwrap_or_else(|| DEFAULT.to_owned());
    let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
    (!words.is_empty() && words != ["cat"]).then_some(words)
}

/// Starts the pager; one that is not there is done without.
fn start(words: &[String]) -> Option<To> {
    let (program, arguments) = words.split_first()?;
    let mut pager = Command::new(program).args(arguments).stdin(Stdio::piped()).spawn().ok()?;
    let text = pager.stdin.take()?;
    IS_OPEN.store(true, Ordering::Relaxed);
    Some(To::Pager(pager, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pager_is_ours_or_the_general_one_or_less() {
        let words = |ours: Option<&str>, general: Option<&str>| {
            chosen(ours.map(str::to_owned), general.map(str::to_owned)).map(|words| words.join(" "))
        };
        for (ours, general, expected) in [
            (None, None, Some("less -FRX")),
            (None, Some("more"), Some("more")),
            (Some("most -s"), Some("more"), Some("most -s")),
            (Some(""), Some("more"), None),
            (None, Some("cat"), None),
        ] {
            assert_eq!(words(ours, general).as_deref(), expected, "{ours:?} {general:?}");
        }
    }

    #[test]
    fn a_pager_that_is_not_there_is_done_without() {
        assert!(start(&["/nonexistent/pager".to_owned()]).is_none() && !is_open());
    }
}
