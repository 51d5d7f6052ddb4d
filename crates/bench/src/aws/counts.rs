//! What was called, how often, and how much of it at the same time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::call::Call;

/// Counts of calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// By API, whatever the answer was.
    pub(crate) calls: BTreeMap<String, usize>,
    /// Of these, the ones that were refused because there were too many.
    pub(crate) throttled: BTreeMap<String, usize>,
    /// The most calls in target accounts, and for sessions there, that were under way at once.
    pub(crate) most_in_flight: usize,
    in_flight: usize,
}

/// Counts that the stand-in and whoever measures share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counter(Arc<Mutex<Counts>>);

/// A call that is under way, until this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Counter);

impl Counter {
    /// Counts a call.
    pub(crate) fn begin(&self, call: &Call) -> Option<UnderWay> {
        let mut counts = self.lock();
        *counts.calls.entry(call.api()).or_default() += 1;
        call.is_targets().then(|| {
            counts.in_flight += 1;
            counts.most_in_flight = counts.most_in_flight.max(counts.in_flight);
            UnderWay(self.clone())
        })
    }

    /// Counts that a call was refused because there were too many.
    pub(crate) fn throttled(&self, call: &Call) {
        *self.lock().throttled.entry(call.api()).or_default() += 1;
    }

    pub(crate) fn so_far(&self) -> Counts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::tests::{central, ec2, s3};

    #[test]
    fn the_most_in_flight_is_of_target_accounts_alone() {
        let counter = Counter::default();
        let (one, other) = (counter.begin(&ec2("DescribeVpcs", &[])), counter.begin(&ec2("DescribeVpcs", &[])));
        let record = counter.begin(&central(s3("GET", "/records/policy.json", "")));
        drop((one, other, record));
        drop(counter.begin(&ec2("CreateFlowLogs", &[])));
        let counts = counter.so_far();
        assert_eq!(counts.most_in_flight, 2);
        let calls = [("ec2:CreateFlowLogs", 1), ("ec2:DescribeVpcs", 2), ("s3:GetObject", 1)];
        assert_eq!(counts.calls, calls.map(|(api, count)| (api.to_owned(), count)).into());
    }
}
