//! When Netskope was last asked for a rescan: one small object, which every poller of a deployment writes by compare and
//! swap before it asks. So all of them together ask at most once in an interval, whatever becomes of the request.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::closures::{AHEAD, is_after_fix};
use super::schema::{Record, read};
use super::{Condition, RecordError, Records};

/// Where it is kept.
pub const RESCAN_KEY: &str = "rescan.json";
/// The version of its format that this build writes and reads.
pub const RESCAN_SCHEMA: u32 = 1;

/// What `rescan.json` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastRescan {
    schema: u32,
    /// What no other version has: two pollers that write the same must not think that either's is their own.
    nonce: Uuid,
    /// When.
    asked: Timestamp,
}

impl Record for LastRescan {
    const KIND: &'static str = "moment of the last rescan";
    const SCHEMA: u32 = RESCAN_SCHEMA;
    const MOST_BYTES: usize = 1024;
}

impl LastRescan {
    /// Whether a rescan is to be asked for at `now`, because it would be the first one that can see what was fixed at
    /// `fixed`, and the last one is an interval ago. Then nobody else asks for one in this interval. What is stored and
    /// cannot be used is replaced, and the log says so.
    ///
    /// # Errors
    ///
    /// What is stored cannot be read, or not be replaced.
    pub async fn claim(
        records: &Records,
        fixed: Timestamp,
        interval: SignedDuration,
        now: Timestamp,
    ) -> Result<bool, RecordError> {
        let stored = match records.find_at_most(RESCAN_KEY, Self::MOST_BYTES).await {
            // Only its version matters, by which it is replaced.
            Err(RecordError::TooLong { .. }) => records.find(RESCAN_KEY).await?,
            stored => stored?,
        };
        let (last, condition) = match stored {
            None => (None, Condition::Absent),
            Some(stored) => (asked(&stored.bytes, now), Condition::Unchanged(stored.version)),
        };
        if !is_due(last, fixed, interval, now) {
            return Ok(false);
        }
        let claimed = Self { schema: RESCAN_SCHEMA, nonce: ambient::uuid_v4(), asked: now };
        // Whoever is faster asks for it.
        Ok(records.put_if(&condition, RESCAN_KEY, serde_json::to_vec(&claimed)?).await?.is_some())
    }
}

/// The moment that is stored; none where it is not one that can be.
fn asked(bytes: &[u8], now: Timestamp) -> Option<Timestamp> {
    let why = match read::<LastRescan>(bytes) {
        Ok(last) if last.asked.duration_since(now) <= AHEAD => return Some(last.asked),
        Ok(last) => format!("{} is in the future", last.asked),
        Err(error) => error.to_string(),
    };
    tracing::error!(why, key = RESCAN_KEY, "it is replaced, as if no rescan had been asked for");
    None
}

fn is_due(last: Option<Timestamp>, fixed: Timestamp, interval: SignedDuration, now: Timestamp) -> bool {
    // A scan that begins sooner would say nothing of the fix.
    is_after_fix(now, fixed, now)
        && last.is_none_or(|last| now.duration_since(last) >= interval && !is_after_fix(last, fixed, now))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_rescan_is_due_once_a_scan_can_see_the_fix_that_none_has_and_the_interval_is_over() {
        let now = at(100_000);
        for (last, fixed, due, why) in [
            (None, 99_000, true, "the first one"),
            (None, 99_800, false, "a scan that begins now says nothing of the fix"),
            (None, 100_001, false, "a fix to come"),
            (Some(50_000), 99_000, true, "after the last one"),
            (Some(96_400), 99_000, true, "the interval is over"),
            (Some(96_401), 99_000, false, "the interval is not over"),
            (Some(50_000), 49_000, false, "the last one has seen it"),
            (Some(50_000), 49_800, true, "the last one began too soon after it"),
            (Some(100_060), 99_000, false, "a clock that is ahead"),
        ] {
            assert_eq!(is_due(last.map(at), at(fixed), HOUR, now), due, "{why}");
        }
    }

    #[tokio::test]
    async fn of_many_that_would_ask_at_once_one_does_and_the_next_an_interval_later() {
        let folder = TempDir::new().unwrap();
        let records = Records::Folder(folder.path().into());
        let (fixed, now) = (at(90_000), at(100_000));
        let claims = (0..8).map(|_| LastRescan::claim(&records, fixed, HOUR, now));
        let claims: Vec<_> = futures::future::try_join_all(claims).await.unwrap();
        assert_eq!(claims.iter().filter(|claimed| **claimed).count(), 1, "{claims:?}");
        let later = now + HOUR;
        assert!(!LastRescan::claim(&records, fixed, HOUR, later).await.unwrap(), "the last one has seen this fix");
        assert!(LastRescan::claim(&records, at(102_000), HOUR, later).await.unwrap());
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_replaced() {
        let folder = TempDir::new().unwrap();
        let records = Records::Folder(folder.path().into());
        let (fixed, now) = (at(90_000), at(100_000));
        let nonce = Uuid::nil();
        for stored in [
            "{".to_owned(),
            " ".repeat(2_000),
            serde_json::json!({"schema": 2, "nonce": nonce, "asked": now}).to_string(),
            serde_json::json!({"schema": 1, "nonce": nonce, "asked": "9999-01-01T00:00:00Z"}).to_string(),
        ] {
            std::fs::write(folder.path().join(RESCAN_KEY), &stored).unwrap();
            assert!(LastRescan::claim(&records, fixed, HOUR, now).await.unwrap(), "{stored}");
            assert!(!LastRescan::claim(&records, fixed, HOUR, now).await.unwrap(), "{stored}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), moment in ".{0,40}") {
            asked(&bytes, at(0));
            let json = serde_json::json!({"schema": 1, "nonce": Uuid::nil(), "asked": moment});
            asked(json.to_string().as_bytes(), at(0));
        }

        #[test]
        fn no_two_are_ever_due_within_an_interval(
            moments in prop::collection::vec((0..100_000_i64, -2_000..2_000_i64), 1..40),
        ) {
            let (mut last, mut now): (Option<Timestamp>, i64) = (None, 1_000_000);
            for (step, fixed) in moments {
                now += step;
                if is_due(last, at(now + fixed), HOUR, at(now)) {
                    prop_assert!(last.is_none_or(|last| at(now).duration_since(last) >= HOUR));
                    last = Some(at(now));
                }
            }
        }
    }
}
