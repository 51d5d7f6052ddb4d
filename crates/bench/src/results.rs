//! What was measured, as it is stored and compared: each figure is also a ratio to something of the same run, because
//! machines differ.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::rule::Rule;

/// The version of the format.
pub const SCHEMA: u32 = 1;

/// The results of one benchmark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: u32,
    /// When it began.
    pub at: String,
    /// Where.
    pub machine: Machine,
    /// How.
    pub settings: Settings,
    /// Starts of Lambdas.
    pub starts: Vec<Start>,
    /// Runs of rules.
    pub runs: Vec<Run>,
    /// Polls.
    pub polls: Vec<Poll>,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processors that the benchmark could use.
    pub processors: usize,
    /// What they call themselves.
    pub model: String,
}

/// What the stand-ins did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// How long each call takes, in milliseconds.
    pub latency_ms: u64,
    /// The most Lambda processes at a time.
    pub processes: usize,
    /// Whether AWS throttles.
    pub throttle: bool,
    /// Whether the policy limits the changes, so that the runs keep a ledger.
    pub limits: bool,
    /// The pollers that read a list at the same time.
    #[serde(default = "one")]
    pub pollers: usize,
}

fn one() -> usize {
    1
}

/// The starts of a Lambda.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// Which Lambda.
    pub lambda: String,
    /// From the start to the first request for work, in milliseconds, sorted.
    pub milliseconds: Vec<f64>,
    /// The same for a Lambda that only starts the runtime, started by turns with it.
    pub empty_milliseconds: Vec<f64>,
    /// The most memory that it held by then, in bytes.
    pub peak_memory: u64,
    /// The size of its zip, in bytes, where there is one.
    pub zip: Option<u64>,
}

/// The run of a rule over all of its batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Which rule.
    pub rule: Rule,
    /// Violations.
    pub findings: usize,
    /// The accounts that they are in.
    pub accounts: usize,
    /// The processes that shared the batches.
    pub processes: usize,
    /// From the first event to the last answer, sorted; one for each time that it was repeated.
    pub seconds: Vec<f64>,
    /// The least that it could have been, in seconds.
    pub floor: f64,
    /// The calls in flight that the floor is computed for.
    pub floor_in_flight: usize,
    /// The most calls in target accounts that were under way at once.
    pub most_in_flight: usize,
    /// What became of the findings.
    pub outcomes: BTreeMap<String, usize>,
    /// The calls to each API.
    pub calls: BTreeMap<String, Calls>,
    /// Of a processor, the seconds that the Lambdas took.
    pub processor_seconds: f64,
    /// The same of the stand-ins, which share the machine with them.
    pub stand_in_seconds: f64,
    /// The most memory of any of the Lambdas, in bytes.
    pub peak_memory: u64,
}

/// The calls to an API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// Those that were made, the refused ones included.
    pub made: usize,
    /// Those that the fixes need; none for what is not in a target account.
    pub needed: usize,
    /// Those that were refused because there were too many.
    pub throttled: usize,
}

/// A poll.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Poll {
    /// Rows of the list.
    pub rows: usize,
    /// From the event to the answer.
    pub seconds: f64,
    /// Requests to Netskope.
    pub requests: usize,
    /// Batches that it has stored.
    pub batches: usize,
    /// Of a processor, the seconds that the poller took.
    pub processor_seconds: f64,
    /// The most memory, in bytes.
    pub peak_memory: u64,
}

/// The middle one of what is sorted; zero where there is nothing.
pub(crate) fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

impl Start {
    /// How many times as long as the empty Lambda it takes, by the medians.
    pub fn ratio(&self) -> f64 {
        median(&self.milliseconds) / median(&self.empty_milliseconds)
    }
}

impl Run {
    /// The median of the times that it took.
    pub fn median(&self) -> f64 {
        median(&self.seconds)
    }

    /// How many times the floor it took.
    pub fn ratio(&self) -> f64 {
        self.median() / self.floor
    }

    /// The calls in target accounts, and those that are needed there; sessions are among both.
    pub(crate) fn in_targets(&self) -> Calls {
        let of_targets = self.calls.iter().filter(|(api, _)| is_targets(api)).map(|(_, calls)| calls);
        of_targets.fold(Calls::default(), |sum, calls| Calls {
            made: sum.made + calls.made,
            needed: sum.needed + calls.needed,
            throttled: sum.throttled + calls.throttled,
        })
    }

    /// How many findings were fixed.
    pub(crate) fn fixed(&self) -> usize {
        self.outcomes.get("fixed").copied().unwrap_or_default()
    }
}

/// Whether calls of an API go to a target account, or are for a session there; the others are to the bucket of records.
pub(crate) fn is_targets(api: &str) -> bool {
    !["s3:GetObject", "s3:PutObject", "s3:ListObjectsV2"].contains(&api)
}
