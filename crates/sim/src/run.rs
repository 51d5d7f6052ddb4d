//! One run: what a scenario comes to.

use std::sync::Arc;
use std::time::Duration;

use remediation::Pauses;
use tokio::time::{sleep, sleep_until, timeout};

use crate::invariants;
use crate::lambda::{self, RULES};
use crate::people;
use crate::scenario::{BUSY, PolicyText, Scenario};
use crate::world::{Broken, Line, World};

/// Polls after the faults have ended until everything that the policy wants fixed must be.
const POLLS: usize = 3;
/// No run takes longer, in its own time.
const AT_MOST: Duration = Duration::from_secs(7 * 24 * 3_600);

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The first invariant that did not hold.
    pub broken: Option<Broken>,
    /// What happened.
    pub story: Vec<Line>,
}

/// Runs a scenario in a runtime of its own, whose clock goes on when nothing else does.
///
/// # Panics
///
/// There can be no runtime.
pub fn run(scenario: Scenario) -> Ran {
    // The SDK's own chance, for its waits between tries.
    fastrand::seed(scenario.seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let world = World::new(scenario);
        tokio::select! {
            biased;
            () = world.until_broken() => {}
            ended = timeout(AT_MOST, drive(&world)) => {
                if ended.is_err() {
                    world.breaks("it ends", "a week is past");
                }
            }
        }
        Ran { broken: world.broken(), story: world.story() }
    })
}

async fn drive(world: &Arc<World>) {
    people::set_policy(world, Some(&world.scenario.policy));
    let mut deeds = Vec::new();
    for (number, step) in world.scenario.steps.iter().cloned().enumerate() {
        let world = Arc::clone(world);
        deeds.push(tokio::spawn(async move {
            sleep_until(world.moment(Duration::from_secs(step.at))).await;
            people::perform(&world, number, &step.deed).await;
        }));
    }
    sleep_until(world.moment(Duration::from_secs(BUSY))).await;
    world.tell("—", "the faults end");
    world.end_faults();
    world.lambdas.make_room();
    for key in world.store.mend() {
        world.tell("operator", format!("puts {key} back"));
    }
    people::set_policy(world, Some(&PolicyText::APPLY));
    for deed in deeds {
        if let Err(panicked) = deed.await {
            world.breaks("a process panics", panicked.to_string());
        }
    }
    people::set_pauses(world, Some(Pauses::default()));
    world.lambdas.until_idle().await;
    // Until every claim is over.
    sleep(Duration::from_secs(3_600)).await;
    for _ in 0..POLLS {
        world.tenant.scan(world);
        for rule in RULES {
            lambda::poll(world, rule).await;
        }
        world.lambdas.until_idle().await;
        sleep(Duration::from_secs(1_800)).await;
    }
    invariants::at_rest(world);
    people::undo_all(world).await;
    invariants::at_the_beginning_again(world);
}
