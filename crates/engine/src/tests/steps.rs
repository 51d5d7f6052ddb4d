//! How many calls a fix waits for, one after the other. Each takes as long as the others, and the clock goes on when nothing else
//! does.

use remediation::{POLICY_KEY, PolicyRecord};
use serde_json::json;
use tokio::time::Instant;

use super::bucket::Bucket;
use super::*;

const STEP: Duration = Duration::from_millis(40);

/// A bucket, an STS and houses of which each call takes a step.
struct Steps {
    world: World,
    bucket: Bucket,
}

impl Steps {
    fn new() -> Self {
        let (mut world, bucket) = (World::new(), Bucket::default());
        world.cloud.strict.store(false, std::sync::atomic::Ordering::Relaxed);
        world.gather = Duration::ZERO;
        bucket.put(POLICY_KEY, json!({"schema": 1, "mode": "apply"}).to_string().as_bytes());
        world.policy_record = Some(PolicyRecord::new(bucket.records(), POLICY_KEY));
        world.sts.slow(Wait::Time(STEP));
        bucket.slow(STEP);
        Self { world, bucket }
    }

    /// A house to close.
    fn house(&mut self, account: &str) {
        self.world.open_houses(account, REGION, 1);
        [Look, Write].into_iter().for_each(|call| self.world.slow(account, call, Wait::Time(STEP)));
    }

    /// How many steps a run of all of them takes, all of which are fixed.
    async fn of_a_run(&self) -> u128 {
        let began = Instant::now();
        let engine = self.world.engine_with(Bounds::default(), self.bucket.records());
        let report = engine.run(self.world.batch(), Mode::Apply, Deadline::never()).await.report;
        assert!(report.findings.iter().all(|row| row.outcome == Outcome::Fixed), "{report:?}");
        began.elapsed().as_millis() / STEP.as_millis()
    }
}

/// The session beside the cards, the look, the claim beside the session to write with, the plan beside the policy, the write, the
/// look that proves it, and the card.
#[tokio::test(start_paused = true)]
async fn a_fix_waits_for_seven_calls() {
    let mut steps = Steps::new();
    steps.house(ONE);
    assert_eq!(steps.of_a_run().await, 7);
}

/// What the limits leave room for is read and taken before anything is claimed.
#[tokio::test(start_paused = true)]
async fn limits_are_two_calls_more() {
    let mut steps = Steps::new();
    steps.house(ONE);
    steps.world.policy = Policy::from_json(
        json!({"schema": 1, "mode": "apply", "limits": {"changes_per_run": 1}}).to_string().as_bytes(),
    )
    .unwrap();
    assert_eq!(steps.of_a_run().await, 9);
}

/// As many as are under way at once take as long as one of them.
#[tokio::test(start_paused = true)]
async fn many_fixes_wait_for_no_more_calls_than_one() {
    let mut steps = Steps::new();
    (0..64).for_each(|number| steps.house(&format!("{number:012}")));
    assert_eq!(steps.of_a_run().await, 7);
}
