//! A process that stands still for a while, as a Lambda between two invocations or a notebook that sleeps, and goes on
//! as if nothing had been.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::SignedDuration;

use super::undo::{fixed, undo};
use super::*;

/// A machine whose time can be gone on without its processes.
#[derive(Default)]
struct Machine(AtomicI64);

impl Machine {
    fn stand_still(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl ambient::Surroundings for Machine {
    fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.0.load(Ordering::Relaxed))
    }

    fn random(&self) -> [u8; 16] {
        Timestamp::now().as_nanosecond().to_le_bytes()
    }
}

/// A house with two open doors, at which a look takes its time.
fn slow_house() -> (World, House) {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true, true], Script::Works);
    world.slow(ONE, Look, Wait::Time(Duration::from_millis(200)));
    (world, house)
}

/// Does `work` on a machine that stands still for a minute in the middle of the next look; `meanwhile` happens then.
async fn standing_still<T>(world: &World, work: impl Future<Output = T>, meanwhile: impl FnOnce()) -> T {
    let machine = Arc::new(Machine::default());
    let looks = world.count(Look);
    let stands_still = async {
        world.until(Look, looks + 1).await;
        // The look has seen what there is to see before its answer comes.
        tokio::time::sleep(Duration::from_millis(100)).await;
        machine.stand_still(60);
    };
    let then = async {
        world.until(Look, looks + 2).await;
        meanwhile();
    };
    let work = ambient::within(Arc::clone(&machine) as Arc<dyn ambient::Surroundings>, work);
    tokio::join!(work, stands_still, then).0
}

#[tokio::test]
async fn what_was_looked_at_before_a_standstill_is_looked_at_again_before_it_is_written() {
    let (world, _) = slow_house();
    let report = standing_still(&world, Box::pin(run(&world, Mode::Apply)), || ()).await;
    assert_eq!((outcomes(&report), world.count(Look)), (vec![Outcome::Fixed], 3), "{report:?}");

    let (world, house) = slow_house();
    let report = standing_still(&world, Box::pin(run(&world, Mode::Apply)), || world.set_door(&house, 0, false)).await;
    assert_eq!((outcomes(&report), world.count(Write)), (vec![Outcome::Deferred], 0), "{report:?}");
    let detail = report.findings[0].detail.as_deref().unwrap();
    assert!(detail.contains("it has changed since it was looked at"), "{detail}");
    assert!(world.card(&house).is_none(), "it was not even claimed");
}

#[tokio::test]
async fn an_undo_looks_again_after_a_standstill_too() {
    let (mut world, house) = slow_house();
    let of = fixed(&mut world).await;
    let writes = world.count(Write);
    let report = standing_still(&world, Box::pin(undo(&world, &of)), || world.set_door(&house, 0, true)).await;
    assert_eq!((outcomes(&report), world.count(Write)), (vec![Outcome::Deferred], writes), "{report:?}");
    assert!(world.card(&house).unwrap().claim.is_none());
    let report = standing_still(&world, Box::pin(undo(&world, &of)), || ()).await;
    assert_eq!(outcomes(&report), [Outcome::Undone], "{report:?}");
    assert_eq!(world.doors()[&house], [true, true]);
}

/// Whoever has claimed the resource since is its one writer.
#[tokio::test]
async fn a_write_does_not_go_on_when_its_claim_is_over() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Works);
    world.slow(ONE, Write, Wait::Time(Duration::from_millis(200)));
    let stands_still = async {
        world.until(Write, 1).await;
        world.pass(301);
    };
    let (report, ()) = tokio::join!(run_with(&world, IMPATIENT, Deadline::never()), stands_still);
    assert_eq!(outcomes(&report), [Outcome::Unverified], "{report:?}");
    let detail = report.findings[0].detail.as_deref().unwrap();
    assert!(detail.contains("had not ended when the claim on the resource was over"), "{detail}");
    assert_eq!(world.doors()[&house], [true]);
}
