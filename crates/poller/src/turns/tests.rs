//! Pollers that start at the same second, by Tokio's clock, which is paused.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::SignedDuration;
use tempfile::TempDir;
use tokio::time::Instant;

use super::*;

struct Clockwork {
    began: Instant,
    count: AtomicU64,
}

impl ambient::Surroundings for Clockwork {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.began.elapsed()).unwrap();
        Timestamp::from_second(1_700_000_000).unwrap() + elapsed
    }

    fn random(&self) -> [u8; 16] {
        u128::from(self.count.fetch_add(1, Ordering::Relaxed)).to_be_bytes()
    }
}

/// A poller of the deployment whose bucket is `folder`.
fn poller(folder: &Path, deployment: TurnPlace, rule: Option<TurnPlace>) -> PollTurns {
    PollTurns::new(Records::Folder(folder.into()), deployment, rule)
}

fn place(place: u32, of: u32) -> TurnPlace {
    TurnPlace::new(place, of).unwrap()
}

/// When each poller sent its requests, of which each takes so long, in milliseconds since all of them started.
async fn sent(pollers: &[PollTurns], requests: usize, takes: Duration) -> Vec<Vec<u128>> {
    let began = Instant::now();
    let clock = Arc::new(Clockwork { began, count: AtomicU64::default() });
    let polls = pollers.iter().map(async |poller| {
        let mut sent = Vec::new();
        for _ in 0..requests {
            poller.turn().await.unwrap();
            sent.push(began.elapsed().as_millis());
            sleep(takes).await;
        }
        sent
    });
    ambient::within(clock, futures::future::join_all(polls)).await
}

/// The most requests that were sent within a second.
fn most_a_second(sent: &[Vec<u128>]) -> usize {
    let mut all: Vec<_> = sent.iter().flatten().copied().collect();
    all.sort_unstable();
    let within = |from: &u128| all.iter().filter(|at| (*from..*from + 1_000).contains(at)).count();
    all.iter().map(within).max().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn eight_pollers_that_start_at_once_send_four_a_second_together_and_waste_little() {
    for takes in [0, 700] {
        let folder = TempDir::new().unwrap();
        let pollers: Vec<_> =
            (0..8).map(|rule| poller(folder.path(), TurnPlace::ALONE, Some(place(rule, 8)))).collect();
        let sent = sent(&pollers, 12, Duration::from_millis(takes)).await;
        assert!(most_a_second(&sent) <= 4, "{sent:?}");
        let last = sent.iter().flatten().max().unwrap();
        // 96 requests in three of four slots, with one or two slots of each poller's that it had no use for.
        assert!((30_000..45_000).contains(last), "the last of 96 after {last} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_poller_that_is_alone_has_three_of_four_slots() {
    let folder = TempDir::new().unwrap();
    let sent = sent(&[poller(folder.path(), TurnPlace::ALONE, None)], 30, Duration::ZERO).await;
    let last = sent[0].last().unwrap();
    assert!((9_000..15_000).contains(last), "the last of 30 after {last} ms");
}

#[tokio::test(start_paused = true)]
async fn deployments_with_a_bucket_each_share_the_tenant() {
    let folders: Vec<_> = (0..3).map(|_| TempDir::new().unwrap()).collect();
    let of = |deployment: u32| {
        let folder = folders[deployment as usize].path();
        (0..3).map(move |rule| poller(folder, place(deployment, 3), Some(place(rule, 3))))
    };
    let sent = sent(&(0..3).flat_map(of).collect::<Vec<_>>(), 8, Duration::from_millis(50)).await;
    assert!(most_a_second(&sent) <= 4, "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn who_cannot_take_turns_has_slots_of_its_own_beside_those_who_can() {
    let folder = TempDir::new().unwrap();
    let broken = folder.path().join("broken");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("netskope-turns.json"), "no JSON").unwrap();
    let of = |rule: u32| {
        let folder = if rule.is_multiple_of(2) { folder.path() } else { &broken };
        poller(folder, TurnPlace::ALONE, Some(place(rule, 8)))
    };
    let sent = sent(&(0..8).map(of).collect::<Vec<_>>(), 12, Duration::ZERO).await;
    assert!(most_a_second(&sent) <= 4, "{sent:?}");
    assert!(sent[1].last() > sent[0].last(), "{sent:?}");
    // Who has no place among the rules has no slots of its own.
    let clock = Arc::new(Clockwork { began: Instant::now(), count: AtomicU64::default() });
    let by_hand = poller(&broken, TurnPlace::ALONE, None);
    let error = ambient::within(clock, by_hand.turn()).await.unwrap_err();
    assert!(error.starts_with("no turn to ask Netskope can be taken: netskope-turns.json: "), "{error}");
}

#[tokio::test(start_paused = true)]
async fn who_stood_still_does_not_send_in_a_slot_that_is_past() {
    let folder = TempDir::new().unwrap();
    let clock = Arc::new(Clockwork { began: Instant::now(), count: AtomicU64::default() });
    let poller = poller(folder.path(), TurnPlace::ALONE, None);
    ambient::within(clock, async {
        poller.turn().await.unwrap();
        let taken = poller.state.lock().await.taken.clone();
        assert!(!taken.is_empty());
        tokio::time::advance(Duration::from_secs(60)).await;
        poller.turn().await.unwrap();
        assert!(poller.state.lock().await.taken.iter().all(|slot| !taken.contains(slot)));
    })
    .await;
}
