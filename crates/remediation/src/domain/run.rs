//! Runs.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One poll, or one call of the command line: a UUID of version 7, so that runs sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub(crate) uuid::Uuid);

impl RunId {
    /// A new run that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self(ambient::uuid_v7())
    }

    /// The first of the runs that could have started at `at`: those that did, and all later ones, sort after it.
    #[must_use]
    pub fn earliest(at: Timestamp) -> Self {
        let millis = u64::try_from(at.as_millisecond()).unwrap_or_default();
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid())
    }

    /// When the run started, from the UUID itself.
    pub fn started(&self) -> Timestamp {
        let (seconds, _) = self.0.get_timestamp().map_or((0, 0), |timestamp| timestamp.to_unix());
        let started = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        started.unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The UTC date on which the run started.
    pub fn date(&self) -> String {
        self.started().strftime("%Y-%m-%d").to_string()
    }
}

impl FromStr for RunId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_run_of_a_moment_is_before_all_that_start_then_or_later() {
        let before = RunId::start();
        let at = before.started().checked_add(jiff::SignedDuration::from_secs(1)).unwrap();
        let earliest = RunId::earliest(at);
        assert_eq!(earliest.started(), at);
        assert!(before.to_string() < earliest.to_string());
        let started = RunId::start();
        let same = RunId::earliest(started.started());
        assert!(same.to_string() < started.to_string(), "{same} {started}");
        assert_eq!(RunId::earliest(Timestamp::MIN).started(), Timestamp::UNIX_EPOCH);
    }
}
