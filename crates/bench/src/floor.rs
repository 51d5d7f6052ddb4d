//! The least time that a run can take: the calls in target accounts that its fixes need, and one session an account, as many
//! of them at once as there are, each as long as AWS takes for one. Calls to the bucket of records are not in it.
//!
//! Where the stand-in throttles, no run is faster than the buckets of tokens let it be.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::aws::Limit;
use crate::findings::Batch;
use crate::rule::{Need, Rule};

/// The calls in flight that a floor takes for granted, for each process at work: one that makes fewer is slower than it
/// need be, and its floor stays.
pub(crate) const IN_FLIGHT: usize = 64;

/// The calls that the fixes of some batches need, by API and account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Needed {
    by_api: BTreeMap<&'static str, BTreeMap<usize, usize>>,
    sessions: usize,
}

impl Needed {
    /// Batches share no reads: each is an invocation of its own.
    pub(crate) fn by(rule: Rule, batches: &[Batch]) -> Self {
        let mut by_api: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for (account, findings) in batches.iter().flatten() {
            for Need { api, of } in rule.needs() {
                *by_api.entry(*api).or_default().entry(*account).or_default() += findings.div_ceil(*of);
            }
        }
        let sessions = batches.iter().flatten().map(|(account, _)| account).collect::<std::collections::BTreeSet<_>>();
        Self { by_api, sessions: sessions.len() }
    }

    /// Calls and sessions.
    pub(crate) fn count(&self) -> usize {
        self.by_api.values().flat_map(BTreeMap::values).sum::<usize>() + self.sessions
    }

    /// How often an API is called, over all accounts.
    pub(crate) fn of_api(&self, api: &str) -> usize {
        if api == "sts:AssumeRole" {
            return self.sessions;
        }
        self.by_api.get(api).map(|accounts| accounts.values().sum()).unwrap_or_default()
    }

    /// In seconds.
    pub(crate) fn floor(&self, in_flight: usize, latency: Duration, throttles: bool) -> f64 {
        let by_latency = self.count() as f64 / in_flight.max(1) as f64 * latency.as_secs_f64();
        let of_api = |(api, accounts): (&&str, &BTreeMap<usize, usize>)| {
            let most = accounts.values().max().copied().unwrap_or_default();
            Limit::of_api(api).seconds_for(most as f64)
        };
        let by_tokens = self.by_api.iter().map(of_api).fold(0.0, f64::max);
        if throttles { by_latency.max(by_tokens) } else { by_latency }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Spread;

    fn needed(rule: Rule, findings: usize, accounts: usize) -> Needed {
        Needed::by(rule, &Spread { findings, accounts }.batches())
    }

    #[test]
    fn a_floor_counts_each_fix_and_one_session_an_account() {
        let buckets = needed(Rule::S3PublicBucket, 100, 50);
        assert_eq!(buckets.count(), 100 * 4 + 50);
        assert_eq!(buckets.of_api("s3:GetPublicAccessBlock"), 200);
        assert_eq!(buckets.of_api("sts:AssumeRole"), 50);
        let floor = buckets.floor(32, Duration::from_millis(40), false);
        assert!((floor - 0.5625).abs() < 1e-9, "{floor}");
    }

    #[test]
    fn reads_that_aws_collects_count_once_for_an_account_of_a_batch() {
        // Five batches, each of ten accounts.
        let groups = needed(Rule::SecurityGroupOpenAdminPort, 1_000, 50);
        assert_eq!(groups.count(), 1_000 + 50 * 5 + 50);
        // One account has five batches.
        let groups = needed(Rule::SecurityGroupOpenAdminPort, 1_000, 1);
        assert_eq!(groups.count(), 1_000 + 5 * 5 + 1);
        // A page of instances has a hundred.
        let instances = needed(Rule::RdsPublicSnapshot, 200, 1);
        assert_eq!(instances.of_api("rds:DescribeDBInstances"), 2);
    }

    #[test]
    fn where_the_stand_in_throttles_the_tokens_count() {
        let groups = needed(Rule::SecurityGroupOpenAdminPort, 200, 1);
        let floor = |throttles| groups.floor(32, Duration::from_millis(40), throttles);
        assert!((floor(true) - 30.0).abs() < 1e-9, "{}", floor(true));
        assert!(floor(false) < 1.0);
    }
}
