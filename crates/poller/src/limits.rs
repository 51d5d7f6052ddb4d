//! How much one poll reads and writes at most, whatever Netskope sends: each batch starts the rule's Lambda.

use std::ops::RangeInclusive;

use serde::Deserialize;

/// The most rows that can be allowed: of so many findings, sixteen bytes each still fit beside a page.
const MOST_ROWS: usize = 1_000_000;
/// The most bytes that can be allowed.
const MOST_BYTES: usize = 16 * 1024 * 1024 * 1024;
/// The most batches that can be allowed.
const MOST_BATCHES: u32 = 10_000;
/// The most findings of a batch that can be allowed. A rule's Lambda reads batches of so many, and no longer ones.
const MOST_OF_BATCH: usize = 1_000;
/// The most requests for what has passed that can be allowed: with all else that a poll asks, some minutes in turns of its own.
const MOST_PASSED_REQUESTS: usize = 100;
/// The most days that can be allowed: what waits longer is forgotten.
const MOST_PASSED_DAYS: u32 = 30;

/// The limits of one poll. A poll that reaches one fails and says which; what it has read by then is handed on all the
/// same, because each finding is true by itself and is looked at before anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Rows of all lists together. Each control may use its share of what is left, as of the time.
    pub rows: usize,
    /// Bytes of all answers together, shared in the same way.
    pub bytes: usize,
    /// Batches. Findings that are left have no room in them.
    pub batches: u32,
    /// Findings in a batch. Those of one resource stay together, even where they are more.
    pub batch_size: usize,
    /// Requests for what has passed, where fixes wait for that. 0: Netskope is not asked.
    pub passed_requests: usize,
    /// For so many days after a fix it is asked whether the resource has passed.
    pub passed_days: u32,
}

/// Limits that cannot be kept to.
#[derive(Debug, thiserror::Error)]
pub enum InvalidLimits {
    /// They are no JSON of limits.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// One of them is too small or too large.
    #[error("`{name}` is {found}, but must be from {} to {}", allowed.start(), allowed.end())]
    Range {
        /// Which.
        name: &'static str,
        /// What it is.
        found: usize,
        /// What it may be.
        allowed: RangeInclusive<usize>,
    },
}

impl Default for Limits {
    /// 100,000 findings fit into the batches, whatever accounts they are of: each but the last is more than half full.
    fn default() -> Self {
        Self {
            rows: 200_000,
            bytes: 1024 * 1024 * 1024,
            batches: 1_000,
            batch_size: 200,
            passed_requests: 20,
            passed_days: 7,
        }
    }
}

impl Limits {
    /// Reads limits; one that is not named is as usual.
    ///
    /// # Errors
    ///
    /// It is no JSON of limits, or one of them is too small or too large.
    pub fn from_json(text: &str) -> Result<Self, InvalidLimits> {
        let limits: Self = serde_json::from_str(text)?;
        let count = |most| usize::try_from(most).unwrap_or(usize::MAX);
        for (name, found, allowed) in [
            ("rows", limits.rows, 1..=MOST_ROWS),
            ("bytes", limits.bytes, 1..=MOST_BYTES),
            ("batches", count(limits.batches), 1..=count(MOST_BATCHES)),
            ("batch_size", limits.batch_size, 1..=MOST_OF_BATCH),
            ("passed_requests", limits.passed_requests, 0..=MOST_PASSED_REQUESTS),
            ("passed_days", count(limits.passed_days), 1..=count(MOST_PASSED_DAYS)),
        ] {
            if !allowed.contains(&found) {
                return Err(InvalidLimits::Range { name, found, allowed });
            }
        }
        Ok(limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_is_as_usual() {
        assert_eq!(Limits::from_json("{}").unwrap(), Limits::default());
        let json = r#"{"rows": 1000000, "bytes": 17179869184, "batches": 10000, "batch_size": 1000,
            "passed_requests": 100, "passed_days": 30}"#;
        let most = Limits {
            rows: MOST_ROWS,
            bytes: MOST_BYTES,
            batches: MOST_BATCHES,
            batch_size: MOST_OF_BATCH,
            passed_requests: MOST_PASSED_REQUESTS,
            passed_days: MOST_PASSED_DAYS,
        };
        assert_eq!(Limits::from_json(json).unwrap(), most);
        let one = Limits::from_json(r#"{"batch_size": 1}"#).unwrap();
        assert_eq!(one, Limits { batch_size: 1, ..Limits::default() });
    }

    #[test]
    fn a_limit_that_cannot_be_kept_to_is_refused_by_its_name() {
        for (json, says) in [
            (r#"{"rows": 0}"#, "`rows` is 0, but must be from 1 to 1000000"),
            (r#"{"rows": 1000001}"#, "`rows` is 1000001"),
            (r#"{"bytes": 0}"#, "`bytes` is 0, but must be from 1 to 17179869184"),
            (r#"{"bytes": 17179869185}"#, "`bytes` is 17179869185"),
            (r#"{"batches": 0}"#, "`batches` is 0, but must be from 1 to 10000"),
            (r#"{"batches": 10001}"#, "`batches` is 10001"),
            (r#"{"batch_size": 0}"#, "`batch_size` is 0, but must be from 1 to 1000"),
            (r#"{"batch_size": 1001}"#, "`batch_size` is 1001"),
            (r#"{"passed_requests": 101}"#, "`passed_requests` is 101, but must be from 0 to 100"),
            (r#"{"passed_days": 0}"#, "`passed_days` is 0, but must be from 1 to 30"),
            (r#"{"passed_days": 31}"#, "`passed_days` is 31"),
            (r#"{"batchs": 1}"#, "unknown field `batchs`"),
            (r#"{"rows": -1}"#, "invalid value: integer `-1`"),
            (r#"{"rows": 1.5}"#, "invalid type: floating point `1.5`"),
            ("", "EOF"),
        ] {
            let error = Limits::from_json(json).unwrap_err().to_string();
            assert!(error.contains(says), "{json}: {error}");
        }
    }
}
