//! How batches that want something of a ledger at once wait for each other.
//!
//! A ledger takes one write at a time. Were each batch to make its own, five hundred would need five hundred writes one
//! after the other, and most tries would come to nothing. So a batch whose first write was refused stores what it wants beside
//! the ledger. Then it looks now and then whether it has been served; and now and then it serves all who wait: it reads what
//! they want, takes it for them by the same rules, in the order in which they came, and stores all of it with their answers in
//! one write. Few serve at a time, by chance: the more wait, the more seldom each of them tries.
//!
//! Nothing is taken that was not asked for, and nothing twice: an answer is kept for longer than a request is served.
//! Whoever has died or given up meanwhile has taken what it asked for, as if it had died right after its own write.

use std::time::Duration;

use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::asked::Asked;
use super::{Day, HeldBack, Ledger, PATIENCE};
use crate::domain::RunId;
use crate::records::RecordError;

/// The longest first wait; each next one can be twice as long.
const WAIT: Duration = Duration::from_millis(400);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How many of those who wait try to serve at a time, in the mean.
const SERVE: u128 = 3;
/// The most requests that one write serves, and how many of them are read at once.
const MOST_SERVED: usize = 250;
const AT_ONCE: usize = 32;
/// How old a request is that is still served. Whoever has made it waits for [`PATIENCE`].
const SERVED_FOR: SignedDuration = SignedDuration::from_mins(5);
/// How long an answer is kept: longer than its request is served, by whatever clock.
const KEPT_FOR: SignedDuration = SignedDuration::from_mins(15);
/// The most requests that are listed.
const MOST: usize = 5_000;

impl Ledger {
    /// Stands in line for what is asked.
    pub(super) async fn stand_in_line(&self, asked: &Asked) -> Result<Vec<Option<HeldBack>>, RecordError> {
        let own = ambient::uuid_v7();
        self.records.create(&self.request_key(own), serde_json::to_vec(asked)?).await?;
        let (until, mut longest) = (Instant::now() + PATIENCE, WAIT);
        while Instant::now() < until {
            sleep(by_chance(longest)).await;
            longest = LONGEST_WAIT.min(longest * 2);
            let (day, condition) = self.read().await?;
            if let Some(taken) = day.served.get(&own) {
                return Ok(day.explain(asked, taken));
            }
            let waiting = self.waiting(&day).await?;
            if chance() % u128::try_from(waiting.len()).unwrap_or(u128::MAX).max(1) >= SERVE {
                continue;
            }
            let (mut next, now) = (day, ambient::now());
            next.served.retain(|id, _| time_of(*id) + KEPT_FOR > now);
            for (id, asked) in self.requests(waiting, own, asked).await {
                let held = next.take_all(&asked);
                next.served.insert(id, held.iter().map(Option::is_none).collect());
            }
            let answer = next.served.get(&own).map(|taken| next.explain(asked, taken));
            if self.store(next, &condition).await? {
                return answer.ok_or_else(|| self.taken());
            }
        }
        Err(self.taken())
    }

    /// Who waits and has no answer yet, in the order in which they came.
    async fn waiting(&self, day: &Day) -> Result<Vec<Uuid>, RecordError> {
        let folder = self.requests_folder();
        let since = RunId::earliest(ambient::now().saturating_sub(SERVED_FOR).unwrap_or(Timestamp::MIN));
        let listed = self.records.list_after(&folder, &format!("{folder}{since}"), MOST).await?;
        let id = |key: &str| key.strip_prefix(&folder)?.strip_suffix(".json")?.parse::<Uuid>().ok();
        Ok(listed.iter().filter_map(|of| id(&of.key)).filter(|id| !day.served.contains_key(id)).collect())
    }

    /// What these ask for, one's own among them. What cannot be read is not served: whoever asked for it knows it, and serves
    /// itself.
    async fn requests(&self, waiting: Vec<Uuid>, own: Uuid, asked: &Asked) -> Vec<(Uuid, Asked)> {
        let others = waiting.into_iter().filter(|id| *id != own).take(MOST_SERVED);
        let read = |id: Uuid| async move { (id, self.records.get_as::<Asked>(&self.request_key(id)).await) };
        let read = futures::stream::iter(others).map(read).buffer_unordered(AT_ONCE);
        let usable = read.filter_map(|(id, asked)| async move {
            let asked = asked.inspect_err(|error| tracing::warn!(%error, "a request to a ledger cannot be read"));
            Some((id, asked.ok()?))
        });
        let mut requests: Vec<_> = usable.collect().await;
        requests.push((own, asked.clone()));
        requests.sort_by_key(|(id, _)| *id);
        requests
    }

    fn requests_folder(&self) -> String {
        format!("{}/", self.key.strip_suffix(".json").unwrap_or(&self.key))
    }

    fn request_key(&self, id: Uuid) -> String {
        format!("{}{id}.json", self.requests_folder())
    }
}

impl Day {
    /// What holds back each change that was not taken. Since then only more was taken, so what held it back still does.
    fn explain(&self, asked: &Asked, taken: &[bool]) -> Vec<Option<HeldBack>> {
        let (limits, taken) = (asked.limits(), taken.iter().copied().chain(std::iter::repeat(false)));
        let each = asked.wanted.iter().zip(taken);
        each.map(|((account, changes), taken)| {
            let why = || self.held_back(asked.run, &asked.rule, account, *changes, &limits);
            let unknown = || HeldBack::Later("a limit of the policy had no room for it".into());
            (!taken).then(|| why().unwrap_or_else(unknown))
        })
        .collect()
    }
}

/// When a request was made, from its ID.
fn time_of(id: Uuid) -> Timestamp {
    RunId(id).started()
}

fn by_chance(most: Duration) -> Duration {
    let millis = chance() % most.as_millis().max(1);
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

fn chance() -> u128 {
    // The lowest bits of a UUID are chance, but for none of its version and variant.
    ambient::uuid_v4().as_u128() & u128::from(u32::MAX)
}
