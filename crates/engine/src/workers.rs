//! How much is under way at once, until when, and who is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use remediation::aws::{Concurrency, Most};
use remediation::{AccountId, Finding, Rule};
use tokio::time::Instant;
use tracing::Instrument;

use crate::Engine;

/// Bounds of a run.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Resources under way at once.
    pub concurrency: usize,
    /// Resources under way at once in one account, and calls of one API in its region, however well it goes.
    pub account_concurrency: usize,
    /// Calls under way at once in all target accounts.
    pub calls: usize,
    /// How long a fresh look is repeated until an eventually consistent service shows the change.
    pub verify_within: Duration,
    /// How long before the deadline no new resource is taken up: time for one fix, its proof and the report.
    pub reserve: Duration,
    /// How long before the deadline a write that is under way is not awaited any more: time for the proof and the
    /// report.
    pub conclude: Duration,
    /// How long a claim of a run without a deadline holds before it is renewed or over.
    pub claim: Duration,
    /// How long an account that is planned waits for others, so that they share a plan.
    pub gather: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            concurrency: 128,
            account_concurrency: 64,
            calls: 64,
            verify_within: Duration::from_secs(30),
            reserve: Duration::from_secs(75),
            conclude: Duration::from_secs(45),
            claim: Duration::from_secs(300),
            gather: Duration::from_millis(50),
        }
    }
}

/// When the run will be cut off; never, for a person at a command line.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// A run that nobody cuts off.
    pub fn never() -> Self {
        Self(None)
    }

    /// A run that ends after `time`.
    pub fn after(time: Duration) -> Self {
        Self(Some(Instant::now() + time))
    }

    pub(crate) fn left(self) -> Duration {
        self.0.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()))
    }

    pub(crate) fn is_set(self) -> bool {
        self.0.is_some()
    }
}

/// A person's word that a run shall end early. What is under way still ends and is proved; nothing more is begun.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

/// What is reported of a resource that an interrupted run has not begun.
pub(crate) const INTERRUPTED: &str = "interrupted before anything was written to it";

impl Interrupt {
    /// Ends every run that has this interrupt, or a clone of it.
    pub fn interrupt(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the runs shall end.
    pub fn is_interrupted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Is told when the engine is done with a step of a resource. Some are applied while others are planned.
pub trait Progress: Send + Sync {
    /// A run begins, in which `resources` need a look.
    fn planning(&self, resources: usize);
    /// One of them has had its look.
    fn planned(&self);
    /// So many `resources` more need a fix.
    fn applying(&self, resources: usize);
    /// One of them has had its fix.
    fn applied(&self);
}

/// A finding with its place in the batch.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) place: usize,
    pub(crate) finding: Finding,
}

/// What is about a resource, for which somebody found something first.
pub(crate) trait About {
    /// The finding that leads to it.
    fn finding(&self) -> &Finding;
}

impl Bounds {
    /// The permits of calls that keep to these bounds.
    pub fn for_calls(self) -> Arc<Concurrency> {
        Concurrency::new(Most { calls: self.calls, of_account: self.account_concurrency, ..Most::default() })
    }
}

impl<R: Rule> Engine<R> {
    /// Runs `step` over all items, bounded in one account and in all; gives the results in the items' order.
    pub(crate) async fn for_each_bounded<T: About, U, F>(&self, items: Vec<T>, step: impl Fn(T) -> F) -> Vec<U>
    where
        F: Future<Output = U>,
    {
        let mut accounts: BTreeMap<AccountId, Vec<(usize, T)>> = BTreeMap::new();
        for (place, item) in items.into_iter().enumerate() {
            accounts.entry(item.finding().account.clone()).or_default().push((place, item));
        }
        let one = |(place, item): (usize, T)| {
            let span = span(item.finding());
            let step = &step;
            async move {
                // The semaphore is never closed, so this waits and cannot fail.
                let _slot = self.slots.acquire().await;
                let Finding { account, region, .. } = item.finding();
                let (account, region) = (account.clone(), region.clone());
                (place, self.concurrency.each(&account, &region, step(item)).await)
            }
            .instrument(span)
        };
        let in_account = |items| stream::iter(items).map(one).buffer_unordered(self.bounds.account_concurrency.max(1));
        let accounts = accounts.into_values().map(in_account);
        let mut results: Vec<_> = stream::select_all(accounts).collect().await;
        results.sort_by_key(|(place, _)| *place);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// Why no further resource is taken up, where that is so; `no_time` where it is the deadline.
    pub(crate) fn why_stop(&self, deadline: Deadline, no_time: &str) -> Option<String> {
        if self.interrupt.is_interrupted() {
            return Some(INTERRUPTED.to_owned());
        }
        (deadline.left() < self.bounds.reserve).then(|| no_time.to_owned())
    }

    pub(crate) fn notify(&self, tell: impl FnOnce(&dyn Progress)) {
        if let Some(progress) = &self.progress {
            tell(progress.as_ref());
        }
    }
}

fn span(finding: &Finding) -> tracing::Span {
    let Finding { account, region, resource, .. } = finding;
    tracing::info_span!("resource", %account, %region, resource)
}
