//! Ctrl-C, and SIGTERM, which means the same.
//!
//! While rules are at work, the first one lets the work end as it should: no new write starts, those under way end and are
//! proved, and the report is stored. The second one ends the command at once; so does the first one where no rule is at work,
//! such as while a question waits. They are heard on a thread of their own, because a question blocks the other one.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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
    at_work: Arc<AtomicUsize>,
}

/// Says, as long as it is there, that rules are at work.
pub(crate) struct AtWork(Arc<AtomicUsize>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
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

    /// Says that rules are at work, for as long as the result is there.
    pub(crate) fn at_work(&self) -> AtWork {
        self.at_work.fetch_add(1, Ordering::Relaxed);
        AtWork(Arc::clone(&self.at_work))
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
                        "Ended at once: a write may have been under way, and no report is stored. To undo the run, give \
                         `autoremediate undo` its plan, which is in plans/.",
                    );
                }
                process::exit(ENDED);
            }
        }
    }

    fn heard(&self, has_pager: bool) -> Heard {
        match (self.is_at_work(), self.is_interrupted()) {
            (true, false) => Heard::EndWork,
            (false, _) if has_pager => Heard::Nothing,
            _ => Heard::EndAtOnce,
        }
    }

    fn is_at_work(&self) -> bool {
        self.at_work.load(Ordering::Relaxed) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_lets_work_end_and_the_second_one_ends_at_once() {
        let interrupts = Interrupts::default();
        assert_eq!(interrupts.heard(false), Heard::EndAtOnce, "while it is asked, nothing is at work");
        assert_eq!(interrupts.heard(true), Heard::Nothing, "it is for the pager");
        let at_work = interrupts.at_work();
        assert_eq!(interrupts.heard(false), Heard::EndWork);
        interrupts.interrupt().interrupt();
        assert_eq!(interrupts.heard(false), Heard::EndAtOnce);
        drop(at_work);
        assert!(interrupts.is_interrupted() && interrupts.heard(true) == Heard::Nothing);
    }
}
