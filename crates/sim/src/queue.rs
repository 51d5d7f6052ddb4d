//! Polls that come faster than fixes are made: nothing piles up, what was too old comes again, and all is fixed in the end.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::cloud::Thing;
use crate::fault::{Fault, Faults};
use crate::lambda::{self, RULES};
use crate::people;
use crate::scenario::{PolicyText, Scenario};
use crate::world::World;

const GATES: usize = 12;
/// The time between two polls, in seconds: less than the fix of one gate takes.
const INTERVAL: u64 = 20;
const POLLS: usize = 240;

/// A gate a batch, one Lambda at a time, and each call takes seconds.
fn world() -> Arc<World> {
    World::new(Scenario {
        seed: 1,
        things: (0..GATES).map(Thing::open_gate).collect(),
        policy: PolicyText::APPLY,
        faults: Faults([(Fault::Slow, 100)].into()),
        steps: Vec::new(),
        batch_size: 1,
        lambda_seconds: 900,
        rush: false,
        event_age: 6 * INTERVAL,
        concurrency: Some(1),
    })
}

/// The batches that have no report and whose events were not dropped.
fn under_way(world: &World) -> usize {
    let dropped = world.lambdas.too_old();
    let batches = world.store.keys("findings/").into_iter().filter(|key| !dropped.contains(key));
    let has_report = |key: &String| {
        let report = key.replacen("findings/", "reports/", 1);
        !world.store.keys(report.trim_end_matches("ndjson.gz")).is_empty()
    };
    batches.filter(|key| !has_report(key)).count()
}

fn open(world: &World) -> usize {
    world
        .cloud
        .things()
        .iter()
        .filter(|(.., state)| state.as_ref().is_some_and(|state| !state.open().is_empty()))
        .count()
}

#[test]
fn polls_that_are_faster_than_fixes_do_not_pile_up() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = world();
        people::set_policy(&world, Some(&world.scenario.policy));
        let (mut most, mut first) = (0, None);
        for poll in 1..=POLLS {
            world.tenant.scan(&world);
            lambda::poll(&world, RULES[0]).await;
            most = most.max(under_way(&world));
            if open(&world) == 0 {
                first.get_or_insert(poll);
            }
            sleep(Duration::from_secs(INTERVAL)).await;
        }
        world.lambdas.until_idle().await;
        assert_eq!(world.broken(), None);
        let batches = world.store.keys("findings/").len();
        let too_old = world.lambdas.too_old().len();
        println!("{batches} batches, {too_old} of them too old, {most} under way at most, all fixed by poll {first:?}");
        // Each gate is in one batch at a time.
        assert!(most <= GATES, "{most} batches were under way");
        assert!(too_old > 0, "no event was too old, so fixing was not slower than polling");
        assert!(open(&world) == 0 && first.is_some_and(|poll| poll > 3), "{} are open, {first:?}", open(&world));
    });
}
