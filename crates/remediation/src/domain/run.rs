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
