//! Five hundred batches that ask one ledger at the same moment: how long they take, and how often the bucket is asked.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use remediation::records::{HeldBack, Ledger};
use remediation::{AccountId, Limits, RunId};
use tokio::time::Instant;

use crate::actor::Actor;
use crate::fault::{Fault, Faults};
use crate::scenario::{PolicyText, Scenario};
use crate::store::{self, Requests};
use crate::world::World;

const BATCHES: usize = 500;

/// What became of so many batches, each of which wants some changes in an account of its own and one in a common account.
struct Crowd {
    /// How many changes were taken.
    taken: usize,
    /// How many of them in the common account.
    in_common: usize,
    /// How many batches got no answer.
    failed: usize,
    lasted: Duration,
    asked: Requests,
}

fn crowd(batches: usize, limits: Limits, faults: Faults) -> Crowd {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = World::new(Scenario {
            seed: 1,
            things: Vec::new(),
            policy: PolicyText::APPLY,
            faults,
            steps: Vec::new(),
            batch_size: 1,
            lambda_seconds: 900,
            rush: false,
            event_age: 1_800,
            concurrency: None,
        });
        world.store.list_whole_pages();
        let (run, began) = (RunId::start(), Instant::now());
        let common: AccountId = "999999999999".parse().unwrap();
        let batch = |number: usize| {
            let actor = Actor::new(&world, format!("batch {number}"));
            let own: AccountId = format!("{number:012}").parse().unwrap();
            let wanted = vec![(own.clone(), 1), (common.clone(), 1), (own, 1)];
            actor.act(async move {
                let ledger = Ledger::new(store::records(), "open-gate", run);
                ledger.take("open-gate", &limits, &wanted).await
            })
        };
        let taken: Vec<_> = join_all((0..batches).map(batch).map(tokio::spawn)).await;
        let taken: Vec<_> = taken.into_iter().map(Result::unwrap).collect();
        let lasted = began.elapsed();
        let answers: Vec<Vec<Option<HeldBack>>> = taken.into_iter().filter_map(Result::ok).collect();
        Crowd {
            taken: answers.iter().flatten().filter(|held| held.is_none()).count(),
            in_common: answers.iter().filter(|held| held[1].is_none()).count(),
            failed: batches - answers.len(),
            lasted,
            asked: Arc::clone(&world).store.asked(),
        }
    })
}

fn limits(run: u32) -> Limits {
    Limits { changes_per_run: Some(run), changes_per_account: Some(70), ..Limits::unlimited() }
}

#[test]
fn a_ledger_serves_five_hundred_batches_within_seconds_and_its_limits_are_hard() {
    let Crowd { taken, in_common, failed, lasted, asked } = crowd(BATCHES, limits(800), Faults::default());
    println!("{BATCHES} batches: {lasted:?}, {asked:?}");
    // The run's limit, to the last change, whatever account they are in.
    assert_eq!((taken, failed), (800, 0));
    assert!(in_common <= 70, "{in_common}");
    assert!(lasted < Duration::from_secs(20), "{lasted:?}");
    let requests = asked.put + asked.get + asked.list;
    assert!(requests < 20 * 500, "{asked:?}");
}

#[test]
fn what_is_asked_grows_as_the_batches_do() {
    let requests = |batches: usize| {
        let Crowd { asked: Requests { put, get, list, .. }, taken, .. } =
            crowd(batches, limits(10_000), Faults::default());
        // Room for all but what the common account is limited to.
        assert_eq!(taken, 2 * batches + batches.min(70));
        (put + get + list) / i64::try_from(batches).unwrap()
    };
    let (few, many) = (requests(20), requests(100));
    println!("requests a batch: {few} of 20, {many} of 100");
    assert!(many <= 2 * few.max(8), "{few} requests a batch, then {many}");
}

#[test]
fn one_batch_alone_reads_once_and_writes_once() {
    let Crowd { taken, asked, .. } = crowd(1, limits(10_000), Faults::default());
    assert_eq!((taken, asked.get, asked.put, asked.list), (3, 1, 1, 0));
}

#[test]
fn a_crowd_under_faults_exceeds_no_limit() {
    let rates = [(Fault::Failing, 60), (Fault::LostRequest, 40), (Fault::LostAnswer, 60), (Fault::Conflict, 40)];
    let faults = Faults(rates.into());
    let Crowd { taken, in_common, failed, .. } = crowd(40, limits(60), faults);
    // What was taken for a batch that never heard of it is taken all the same. All of them share one process, and so the SDK's
    // tokens for retries, of which a Lambda has its own: some get no answer.
    assert!((1..=60).contains(&taken) && in_common <= 60, "{taken} {in_common}, {failed} got no answer");
}
