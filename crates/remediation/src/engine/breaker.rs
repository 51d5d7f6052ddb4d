//! The breaker: where too many fixes fail, the rest of the run is deferred.

use std::sync::{Mutex, PoisonError};

use crate::Outcome;
use crate::policy::Limits;

/// Counts fixes and failures.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<Counts>);

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    done: u64,
    failed: u64,
    open: bool,
}

impl Breaker {
    /// Counts the outcome of a write. Says so where this opens the breaker.
    pub(super) fn count(&self, outcome: Outcome, limits: &Limits) -> Option<String> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Outcome::Fixed => counts.done += 1,
            Outcome::Failed | Outcome::Unverified => {
                counts.done += 1;
                counts.failed += 1;
            }
            _ => return None,
        }
        let over = counts.failed * 100 > counts.done * u64::from(limits.failure_percent);
        let opens = !counts.open && counts.done >= u64::from(limits.failure_minimum) && over;
        counts.open |= opens;
        opens.then(|| counts.why(limits))
    }

    /// Why nothing more is written, where that is so.
    pub(super) fn is_open(&self, limits: &Limits) -> Option<String> {
        let counts = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.open.then(|| counts.why(limits))
    }
}

impl Counts {
    fn why(self, limits: &Limits) -> String {
        let Self { done, failed, .. } = self;
        format!("{failed} of {done} fixes failed, more than the limit failure_percent ({})", limits.failure_percent)
    }
}
