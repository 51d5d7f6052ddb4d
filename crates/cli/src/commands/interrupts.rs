//! Ctrl-C, and SIGTERM, which means the same.
//!
//! From when rules are at work, the first one lets the work end as it should: no new write starts, those under way end and are
//! proved, the report is stored, and what came of it is printed. The second one ends the command at once; so does the first
//! one before that, and while a question waits. They are heard on a thread of their own, because a question blocks the other
//! one.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use engine::Interrupt;
use tokio::signal::unix::{SignalKind, signal};

use crate::print::page::complain;
use crate::print::pager;
use crate::print::progress::Bar;

/// The exit code of a command that a SIGINT has ended at once: 128 and the signal's number.
const ENDED: i32 = 130;

/// What ends the work of a command early.
#[derive(Clone, Default)]
pub(crate) struct Interrupts {
    interrupt: Interrupt,
    is_at_work: Arc<AtomicBool>,
}

/// What a signal leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// The work ends as it should.
    EndWork,
    /// The command ends.
    EndAtOnce,
    /// It is for the pager.
    Nothing,
}

impl Interrupts {
    /// Listens from now on.
    ///
    /// # Errors
    ///
    /// The signals cannot be listened to.
    pub(crate) fn listen(bar: &Bar) -> io::Result<Self> {
        let interrupts = Self::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let mut signals = {
            let _inside = runtime.enter();
            [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?]
        };
        let (heard, bar) = (interrupts.clone(), bar.clone());
        let listen = move || {
            runtime.block_on(async {
                loop {
                    let [int, term] = &mut signals;
                    tokio::select! {
                        _ = int.recv() => {}
                        _ = term.recv() => {}
                    }
                    heard.hear(&bar);
                }
            });
        };
        thread::Builder::new().name("signals".into()).spawn(listen)?;
        Ok(interrupts)
    }

    /// Says that rules are at work from now on.
    pub(crate) fn begin_work(&self) {
        self.is_at_work.store(true, Ordering::Relaxed);
    }

    /// Asks a person, while nothing is at work.
    pub(crate) fn ask<T>(&self, ask: impl FnOnce() -> T) -> T {
        self.is_at_work.store(false, Ordering::Relaxed);
        ask()
    }

    /// What ends the runs of an engine.
    pub(crate) fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    /// Whether somebody wants the command to end.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupt.is_interrupted()
    }

    fn hear(&self, bar: &Bar) {
        match self.heard(pager::is_open()) {
            Heard::Nothing => {}
            Heard::EndWork => {
                self.interrupt.interrupt();
                bar.above(|| {
                    complain(
                        "Interrupted: no new write starts. Those under way end and are proved, then the report is stored. \
                         Ctrl-C again ends at once.",
                    );
                });
            }
            Heard::EndAtOnce => {
                bar.clear();
                if self.is_at_work() {
                    complain(
                        "Ended at once: a write may have been under way, and a report may be missing. To undo such a run, \
                         give `autoremediate undo` its plan, which is in plans/, when its claims have ended: in 5 minutes \
                         at most.",
                    );
                }
                process::exit(ENDED);
            }
        }
    }

    fn heard(&self, has_pager: bool) -> Heard {
        match (self.is_at_work(), self.is_interrupted()) {
            _ if has_pager => Heard::Nothing,
            (true, false) => Heard::EndWork,
            _ => Heard::EndAtOnce,
        }
    }

    fn is_at_work(&self) -> bool {
        self.is_at_work.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_lets_work_end_and_the_second_one_ends_at_once() {
        let interrupts = Interrupts::default();
        assert_eq!(interrupts.heard(false), Heard::EndAtOnce, "nothing is at work yet");
        interrupts.begin_work();
        assert_eq!((interrupts.heard(false), interrupts.heard(true)), (Heard::EndWork, Heard::Nothing));
        interrupts.ask(|| assert_eq!(interrupts.heard(false), Heard::EndAtOnce, "while it asks, nothing is at work"));
        interrupts.begin_work();
        interrupts.interrupt().interrupt();
        assert!(interrupts.is_interrupted() && interrupts.heard(false) == Heard::EndAtOnce);
    }
}
