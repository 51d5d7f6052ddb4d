//! A process of the simulation: with a clock of its own, chance of its own, and times in which it stands still.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use ambient::Surroundings;
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::chance::Chance;
use crate::fault::Fault;
use crate::world::World;

tokio::task_local! {
    static ACTOR: Arc<Actor>;
}

/// A process.
pub(crate) struct Actor {
    /// What it is called in the story.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) world: Arc<World>,
    /// Its own chance.
    pub(crate) chance: Chance,
    /// When it began.
    pub(crate) began: Instant,
    skew: SignedDuration,
    frozen_until: Mutex<Option<Instant>>,
}

impl Actor {
    /// A process of this name, which no other has.
    pub(crate) fn new(world: &Arc<World>, name: String) -> Arc<Self> {
        let chance = Chance::new(world.seed(), &name);
        let skew = if world.strikes(Fault::Skewed, &chance) { chance.between(0, 40).cast_signed() - 20 } else { 0 };
        let skew = SignedDuration::from_secs(skew);
        let (world, began) = (Arc::clone(world), Instant::now());
        Arc::new(Self { name, world, chance, began, skew, frozen_until: Mutex::default() })
    }

    /// The process that is at work.
    ///
    /// # Panics
    ///
    /// None is.
    pub(crate) fn current() -> Arc<Self> {
        ACTOR.with(Arc::clone)
    }

    /// Runs `work` as this process.
    pub(crate) async fn act<F: Future>(self: Arc<Self>, work: F) -> F::Output {
        let thawing = Thawing { actor: Arc::clone(&self), work: Box::pin(work), thaw: None };
        let surroundings: Arc<dyn Surroundings> = Arc::clone(&self) as Arc<dyn Surroundings>;
        ACTOR.scope(self, ambient::within(surroundings, thawing)).await
    }

    /// It stands still for so long, with all that it does.
    pub(crate) fn freeze(&self, time: Duration) {
        self.tell(format!("stands still for {} s", time.as_secs()));
        *self.frozen() = Some(Instant::now() + time);
    }

    /// Whether it stands still now.
    pub(crate) fn stands_still(&self) -> bool {
        self.frozen().is_some_and(|until| until > Instant::now())
    }

    /// Adds a line to the story.
    pub(crate) fn tell(&self, what: impl Into<String>) {
        self.world.tell(&self.name, what);
    }

    fn frozen(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.frozen_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Surroundings for Actor {
    fn now(&self) -> Timestamp {
        self.world.now() + self.skew
    }

    fn random(&self) -> [u8; 16] {
        self.chance.bytes()
    }
}

/// What a process does while it does not stand still.
struct Thawing<F> {
    actor: Arc<Actor>,
    work: Pin<Box<F>>,
    thaw: Option<Pin<Box<Sleep>>>,
}

impl<F: Future> Future for Thawing<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        loop {
            let until = self.actor.frozen().filter(|until| *until > Instant::now());
            let Some(until) = until else { break };
            let mut thaw = Box::pin(sleep_until(until));
            let thawed = thaw.as_mut().poll(context);
            self.thaw = Some(thaw);
            if thawed.is_pending() {
                return Poll::Pending;
            }
        }
        self.work.as_mut().poll(context)
    }
}
