//! A person ends a run early, at any of its awaits.

use std::future::poll_fn;
use std::pin::pin;

use super::undo::{fixed, undo, write};
use super::*;

/// In how many places each run is interrupted.
const TIMES: usize = 50;
/// Few at once, so that some are not begun when the others are under way.
const FEW: Bounds = Bounds { concurrency: 3, account_concurrency: 2, ..IMPATIENT };

/// A run, and what was so when it was interrupted.
struct Interrupted<T> {
    came: T,
    /// How many writes had begun; none where the run was done before.
    writes: Option<usize>,
    /// How often the run was woken in all.
    wakes: usize,
}

/// Does `work` until it is done, and interrupts it when it is woken for this time.
async fn at<T>(wake: usize, world: &World, interrupt: &Interrupt, work: impl Future<Output = T>) -> Interrupted<T> {
    let (mut work, mut wakes, mut writes) = (pin!(work), 0, None);
    let came = poll_fn(|context| {
        wakes += 1;
        if wakes == wake {
            interrupt.interrupt();
            writes = Some(world.count(Write));
        }
        work.as_mut().poll(context)
    });
    let came = came.await;
    Interrupted { came, writes, wakes }
}

/// Twelve houses with two open doors each, in three accounts.
fn town() -> World {
    let mut world = World::new();
    for account in [ONE, TWO, THREE] {
        for _ in 0..4 {
            world.house(account, REGION, &[true, true], Script::Works);
        }
        // Long enough to be interrupted in.
        world.slow(account, Write, Wait::Turns(20));
    }
    world
}

async fn apply(world: &World, wake: usize) -> Interrupted<Report> {
    let interrupt = Interrupt::default();
    let engine = world.engine_with(FEW, world.records()).ended_by(interrupt.clone());
    let run = async { engine.run(world.batch(), Mode::Apply, Deadline::never()).await.report };
    Box::pin(at(wake, world, &interrupt, run)).await
}

async fn take_back(world: &World, of: &Taken<Change>, wake: usize) -> Interrupted<Report> {
    let interrupt = Interrupt::default();
    let engine = world.engine_with(FEW, world.records()).ended_by(interrupt.clone());
    let id = BatchId { run: remediation::RunId::start(), ..world.batch().id };
    let how = write(Drifted::Hold);
    let run = async { engine.undo(id, of.clone(), &how, Deadline::never()).await.report };
    Box::pin(at(wake, world, &interrupt, run)).await
}

/// Each finding has an outcome: it was done and proved, or not begun, or ended between two changes.
fn assert_told(report: &Report, done: Outcome) {
    assert_eq!(report.findings.len(), 12);
    for row in &report.findings {
        let detail = row.detail.as_deref().unwrap_or_default();
        match row.outcome {
            Outcome::Deferred => assert!(detail.contains("interrupted"), "{row:?}"),
            outcome => assert!(outcome == done && row.verification.is_some(), "{row:?}"),
        }
    }
}

#[tokio::test]
async fn an_interrupted_run_begins_no_write_proves_those_under_way_and_can_be_undone() {
    let wakes = apply(&town(), usize::MAX).await.wakes;
    let (mut cut, mut between) = (0, 0);
    for time in 0..TIMES {
        let world = town();
        let before = world.doors();
        let Interrupted { came: report, writes, .. } = apply(&world, 1 + time * wakes / TIMES).await;
        assert_told(&report, Outcome::Fixed);
        if let Some(writes) = writes {
            assert_eq!(writes, world.count(Write), "a write began after the interrupt at {time}");
        }
        cut += usize::from(report.findings.iter().any(|row| row.outcome == Outcome::Deferred));
        between += usize::from(report.findings.iter().any(|row| row.took.len() == 1));
        let claims = before.keys().filter_map(|house| world.card(house)?.claim);
        assert_eq!(claims.count(), 0, "a claim was left");
        if report.plan.is_some() {
            undo(&world, &super::undo::taken(&world, &report).await).await;
        }
        assert_eq!(world.doors(), before, "at {time}");
    }
    assert!(cut > TIMES / 2 && between > 0, "{cut} of {TIMES} were cut off, {between} between two changes");
}

#[tokio::test]
async fn an_interrupted_undo_can_be_gone_on_with() {
    let wakes = {
        let mut world = town();
        let of = fixed(&mut world).await;
        take_back(&world, &of, usize::MAX).await.wakes
    };
    let mut cut = 0;
    for time in 0..TIMES {
        let mut world = town();
        let before = world.doors();
        let of = fixed(&mut world).await;
        let Interrupted { came: report, writes, .. } = take_back(&world, &of, 1 + time * wakes / TIMES).await;
        assert_told(&report, Outcome::Undone);
        if let Some(writes) = writes {
            assert_eq!(writes, world.count(Write), "a write began after the interrupt at {time}");
        }
        cut += usize::from(report.findings.iter().any(|row| row.outcome == Outcome::Deferred));
        undo(&world, &of).await;
        assert_eq!(world.doors(), before, "at {time}");
    }
    assert!(cut > TIMES / 2, "{cut} of {TIMES} were cut off");
}
