//! The world of one run: true time, its parts, the story of what happened, and what broke.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::automation::Automation;
use crate::chance::Chance;
use crate::cloud::Cloud;
use crate::fault::{Fault, Faults};
use crate::invariants::Watch;
use crate::lambda::Lambdas;
use crate::netskope::Tenant;
use crate::scenario::Scenario;
use crate::store::Store;
use crate::sts::Sts;

/// When every run begins.
const BEGINNING: &str = "2026-03-01T08:00:00Z";

/// Everything that there is.
#[derive(Debug)]
pub(crate) struct World {
    /// What is to happen.
    pub scenario: Scenario,
    /// The bucket of records.
    pub store: Store,
    /// Who gives sessions.
    pub sts: Sts,
    /// The target accounts.
    pub cloud: Cloud,
    /// Their runbooks.
    pub automation: Automation,
    /// Netskope.
    pub tenant: Tenant,
    /// The Lambdas.
    pub lambdas: Lambdas,
    /// What is looked at all the time.
    pub watch: Watch,
    beginning: Timestamp,
    began: Instant,
    faults: Mutex<Faults>,
    story: Mutex<Vec<Line>>,
    broken: Mutex<Option<Broken>>,
    breaks: Notify,
}

/// One step of the story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When, since the beginning.
    pub at: Duration,
    /// Who.
    pub who: String,
    /// What.
    pub what: String,
}

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which: its number in the design, and its name.
    pub invariant: &'static str,
    /// How.
    pub how: String,
}

impl World {
    /// The world of a scenario. Needs a runtime whose clock is paused.
    pub(crate) fn new(scenario: Scenario) -> Arc<Self> {
        let seed = scenario.seed;
        Arc::new(Self {
            store: Store::new(seed),
            sts: Sts::default(),
            cloud: Cloud::new(seed, &scenario.things),
            automation: Automation::new(seed),
            tenant: Tenant::new(seed),
            lambdas: Lambdas::default(),
            watch: Watch::default(),
            beginning: BEGINNING.parse().expect("a time"),
            began: Instant::now(),
            faults: Mutex::new(scenario.faults.clone()),
            story: Mutex::default(),
            broken: Mutex::default(),
            breaks: Notify::new(),
            scenario,
        })
    }

    /// The seed of all chance.
    pub(crate) fn seed(&self) -> u64 {
        self.scenario.seed
    }

    /// What time it really is.
    pub(crate) fn now(&self) -> Timestamp {
        self.beginning + SignedDuration::try_from(self.began.elapsed()).expect("not that long")
    }

    /// How much time is past.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The moment at which so much time is past.
    pub(crate) fn moment(&self, elapsed: Duration) -> Instant {
        self.began + elapsed
    }

    /// Whether this goes wrong now, by the chance of whom it happens to.
    pub(crate) fn strikes(&self, fault: Fault, chance: &Chance) -> bool {
        let rate = lock(&self.faults).rate(fault);
        rate > 0 && chance.strikes(rate)
    }

    /// Nothing goes wrong by itself any more.
    pub(crate) fn end_faults(&self) {
        *lock(&self.faults) = Faults::default();
    }

    /// Adds a line to the story.
    pub(crate) fn tell(&self, who: &str, what: impl Into<String>) {
        let line = Line { at: self.elapsed(), who: who.to_owned(), what: what.into() };
        lock(&self.story).push(line);
    }

    /// What happened so far.
    pub(crate) fn story(&self) -> Vec<Line> {
        lock(&self.story).clone()
    }

    /// An invariant does not hold. The first one ends the run.
    pub(crate) fn breaks(&self, invariant: &'static str, how: impl Into<String>) {
        let how = how.into();
        self.tell("INVARIANT", format!("{invariant}: {how}"));
        lock(&self.broken).get_or_insert(Broken { invariant, how });
        self.breaks.notify_one();
    }

    /// What broke first.
    pub(crate) fn broken(&self) -> Option<Broken> {
        lock(&self.broken).clone()
    }

    /// Waits until something breaks.
    pub(crate) async fn until_broken(&self) {
        self.breaks.notified().await;
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.at.as_secs(), self.at.subsec_millis());
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{hours}:{minutes:02}:{seconds:02}.{millis:03} {:<18} {}", self.who, self.what)
    }
}

/// What a lock guards; nothing here panics while it holds one.
pub(crate) fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
