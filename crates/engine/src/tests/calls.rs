//! How often the bucket of records is called, over a bucket in memory that counts, and that can lose an answer.

use remediation::{Limits, RunId};

use super::bucket::Bucket;
use super::*;

/// The calls for the fix of so many resources, each of which has a card already or has none, sorted.
async fn calls_of(houses: usize, with_cards: bool) -> Vec<(&'static str, String)> {
    let mut world = World::new();
    world.cloud.strict.store(false, std::sync::atomic::Ordering::Relaxed);
    let bucket = Bucket::default();
    let houses: Vec<_> = (0..houses).map(|_| world.house(ONE, REGION, &[true], Script::Works)).collect();
    for _ in 0..=usize::from(with_cards) {
        bucket.calls();
        world.run = RunId::start();
        houses.iter().for_each(|house| world.open_door(house, 0));
        let engine = world.engine_with(IMPATIENT, bucket.records());
        let report = engine.run(world.batch(), Mode::Apply, Deadline::never()).await.report;
        assert_eq!(outcomes(&report), vec![Outcome::Fixed; houses.len()], "{report:?}");
    }
    let mut calls = bucket.calls();
    calls.sort();
    calls
}

/// How many of the calls are about what is in this folder.
fn about(folder: &str, calls: &[(&'static str, String)]) -> usize {
    calls.iter().filter(|(_, of)| of == folder).count()
}

#[tokio::test(start_paused = true)]
async fn each_wave_stores_its_plan_with_one_call() {
    let mut world = World::new();
    world.gather = Duration::from_millis(50);
    world.cloud.strict.store(false, std::sync::atomic::Ordering::Relaxed);
    for (number, account) in [ONE, TWO, THREE].into_iter().enumerate() {
        world.open_houses(account, REGION, 1);
        world.slow(account, Look, crate::fake::Wait::Time(Duration::from_secs(number as u64)));
    }
    let bucket = Bucket::default();
    let engine = world.engine_with(IMPATIENT, bucket.records());
    let report = engine.run(world.batch(), Mode::Apply, Deadline::never()).await.report;
    assert_eq!((outcomes(&report), report.plans().count()), (vec![Outcome::Fixed; 3], 3));
    assert_eq!(about("plans", &bucket.calls()), 3);
}

#[tokio::test]
async fn a_fix_calls_the_bucket_twice_without_a_card_and_three_times_with_one() {
    for (with_cards, most) in [(false, 2), (true, 3)] {
        let (one, many) = (calls_of(1, with_cards).await, calls_of(11, with_cards).await);
        assert_eq!(many.len() - one.len(), 10 * most, "with cards {with_cards}: {one:?}");
        // What a batch does once: the cards of its account are listed, and the plan is stored.
        assert_eq!((about("resources", &one), about("plans", &one)), (most + 1, 1), "{one:?}");
        assert!(one.len() <= most + 4, "{one:?}");
    }
}

#[tokio::test]
async fn a_change_whose_ledger_was_written_and_the_answer_lost_is_counted_once() {
    let bucket = Bucket::default();
    let ledger = Ledger::new(bucket.records(), "open-door", RunId::start());
    let limits = Limits { changes_per_run: Some(2), ..Limits::default() };
    let wanted = [(ONE.parse().unwrap(), 1)];
    bucket.lose(1);
    for taken in [true, true, false] {
        let held = ledger.take("open-door", &limits, &wanted).await.unwrap();
        assert_eq!((held[0].is_none(), bucket.keys().len()), (taken, 1), "{held:?}");
    }
    // Each reads the ledger, and two write it. The lost answer costs another write, which is refused, and a read, which
    // finds the ledger as it was to be.
    assert_eq!(about("ledgers", &bucket.calls()), 3 + 2 + 2);
}
