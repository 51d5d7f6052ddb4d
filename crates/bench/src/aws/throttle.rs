//! Token buckets, as AWS throttles by them: each account and region has, for each API, so many tokens; a call takes one,
//! and is refused where there is none; so many come back each second.
//!
//! What is documented is taken from there. Of IAM, RDS, Redshift, Systems Manager Automation and the configuration of
//! buckets nothing is documented: there, the buckets are those of EC2.
//!
//! - EC2: <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>
//! - STS: 600 a second, of the account that asks: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
//! - CloudTrail: <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/WhatIsCloudTrail-Limits.html>
//! - CloudWatch Logs: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html>
//! - S3: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html>

use std::collections::HashMap;

use tokio::time::Instant;

use super::call::{Call, Caller, Input, Refusal};

/// The size of a bucket, and how fast it fills.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limit {
    /// The most tokens that are in it.
    pub(crate) capacity: f64,
    /// Tokens a second.
    pub(crate) refill: f64,
}

/// Which bucket a call takes from: one account's and region's, of one API.
type Key = (String, String, String);

/// The buckets.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    buckets: HashMap<Key, Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

const READS: Limit = Limit::of(100, 20);
/// Reads of EC2 that are neither filtered nor by pages, of the operations that it names.
const UNBOUNDED_READS: Limit = Limit::of(50, 10);
/// EC2's mutating and its resource-intensive actions have the same.
const WRITES: Limit = Limit::of(50, 5);
const UNBOUNDED: [&str; 2] = ["DescribeNetworkInterfaces", "DescribeSecurityGroups"];

impl Limit {
    const fn of(capacity: u16, refill: u16) -> Self {
        Self { capacity: capacity as f64, refill: refill as f64 }
    }

    /// So many calls in any second.
    const fn a_second(calls: u16) -> Self {
        Self::of(calls, calls)
    }

    /// That of an API, such as `ec2:DescribeVpcs`; of EC2's, where it is filtered or by pages.
    pub(crate) fn of_api(api: &str) -> Self {
        let (service, operation) = api.split_once(':').unwrap_or_default();
        let is_read = ["Describe", "Get", "List"].iter().any(|verb| operation.starts_with(verb));
        match (service, operation) {
            ("sts", _) => Self::a_second(600),
            ("cloudtrail", _) => Self::a_second(if is_read { 10 } else { 1 }),
            ("logs", "DescribeLogStreams") => Self::a_second(25),
            ("logs", _) => Self::a_second(10),
            ("s3", "GetObject" | "ListObjectsV2") => Self::a_second(5_500),
            ("s3", "PutObject") => Self::a_second(3_500),
            _ if is_read => READS,
            _ => WRITES,
        }
    }

    /// How many seconds so many calls take at least.
    pub(crate) fn seconds_for(self, calls: f64) -> f64 {
        ((calls - self.capacity) / self.refill).max(0.0)
    }
}

impl Throttle {
    /// Takes a token for a call.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(crate) fn take(&mut self, call: &Call, now: Instant) -> Result<(), Refusal> {
        let account = match &call.caller {
            Caller::Central => "central",
            Caller::Session { account, .. } => account,
        };
        let is_unbounded = matches!(&call.input, Input::Form(form) if form.is_unbounded())
            && call.service == "ec2"
            && UNBOUNDED.contains(&call.operation.as_str());
        let (api, limit) = if is_unbounded {
            (format!("{}, unbounded", call.api()), UNBOUNDED_READS)
        } else {
            (call.api(), Limit::of_api(&call.api()))
        };
        let full = Bucket { tokens: limit.capacity, at: now };
        let bucket = self.buckets.entry((account.to_owned(), call.region.clone(), api)).or_insert(full);
        let came = now.saturating_duration_since(bucket.at).as_secs_f64() * limit.refill;
        (bucket.tokens, bucket.at) = ((bucket.tokens + came).min(limit.capacity), now);
        if bucket.tokens < 1.0 {
            return Err(refusal(call));
        }
        bucket.tokens -= 1.0;
        Ok(())
    }
}

/// Each service has a code of its own for it.
fn refusal(call: &Call) -> Refusal {
    match (call.service.as_str(), &call.input) {
        ("ec2", _) => Refusal::new(503, "RequestLimitExceeded", "Request limit exceeded."),
        ("s3", _) => Refusal::new(503, "SlowDown", "Please reduce your request rate."),
        (_, Input::Json(_)) => Refusal::new(400, "ThrottlingException", "Rate exceeded"),
        _ => Refusal::new(400, "Throttling", "Rate exceeded"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{advance, pause};

    use super::*;
    use crate::aws::tests::{central, ec2, s3, signed};

    fn passes(throttle: &mut Throttle, call: &Call) -> bool {
        throttle.take(call, Instant::now()).is_ok()
    }

    /// How many of five thousand calls that come at once pass.
    fn burst(throttle: &mut Throttle, call: &Call) -> usize {
        (0..5_000).filter(|_| passes(throttle, call)).count()
    }

    #[tokio::test]
    async fn a_bucket_is_emptied_and_fills_by_its_rate_and_no_further_than_its_size() {
        pause();
        let mut throttle = Throttle::default();
        let call = ec2("DescribeVpcs", &[("MaxResults", "5")]);
        assert_eq!(burst(&mut throttle, &call), 100);
        advance(Duration::from_millis(500)).await;
        assert_eq!(burst(&mut throttle, &call), 10);
        advance(Duration::from_millis(49)).await;
        assert_eq!(burst(&mut throttle, &call), 0);
        advance(Duration::from_millis(1)).await;
        assert_eq!(burst(&mut throttle, &call), 1);
        advance(Duration::from_secs(3_600)).await;
        assert_eq!(burst(&mut throttle, &call), 100);
    }

    #[tokio::test]
    async fn each_api_account_and_region_has_a_bucket_of_its_own() {
        pause();
        let mut throttle = Throttle::default();
        let revoke = ec2("RevokeSecurityGroupIngress", &[]);
        assert_eq!(burst(&mut throttle, &revoke), 50);
        assert!(passes(&mut throttle, &ec2("DeleteNetworkAclEntry", &[])));
        let elsewhere = Call { region: "eu-west-1".into(), ..ec2("RevokeSecurityGroupIngress", &[]) };
        assert!(passes(&mut throttle, &elsewhere));
        let caller = Caller::Session { account: "999999999999".into(), read_only: false };
        assert!(passes(&mut throttle, &Call { caller, ..ec2("RevokeSecurityGroupIngress", &[]) }));
        assert!(!passes(&mut throttle, &revoke));
    }

    #[tokio::test]
    async fn what_is_neither_filtered_nor_by_pages_has_the_smaller_bucket() {
        pause();
        let mut throttle = Throttle::default();
        assert_eq!(burst(&mut throttle, &ec2("DescribeSecurityGroups", &[("GroupId.1", "sg-1")])), 50);
        assert_eq!(burst(&mut throttle, &ec2("DescribeSecurityGroups", &[("Filter.1.Name", "group-id")])), 100);
    }

    #[tokio::test]
    async fn each_service_refuses_by_its_own_code() {
        pause();
        for (call, passing, status, code) in [
            (ec2("DescribeVpcs", &[]), 100, 503, "RequestLimitExceeded"),
            (s3("PUT", "/records/key", ""), 3_500, 503, "SlowDown"),
            (signed("iam", "Action=GetUser", None), 100, 400, "Throttling"),
            (signed("cloudtrail", "{}", Some("CloudTrail_20131101.DescribeTrails")), 10, 400, "ThrottlingException"),
            (signed("logs", "{}", Some("Logs_20140328.CreateLogGroup")), 10, 400, "ThrottlingException"),
            (central(signed("sts", "Action=AssumeRole", None)), 600, 400, "Throttling"),
        ] {
            let mut throttle = Throttle::default();
            assert_eq!(burst(&mut throttle, &call), passing, "{}", call.api());
            let refusal = throttle.take(&call, Instant::now()).unwrap_err();
            assert_eq!((refusal.status, refusal.code), (status, code), "{}", call.api());
        }
    }

    #[test]
    fn what_exceeds_a_bucket_takes_time() {
        let limit = Limit::of_api("ec2:RevokeSecurityGroupIngress");
        assert_eq!(limit.seconds_for(50.0), 0.0);
        assert_eq!(limit.seconds_for(200.0), 30.0);
    }
}
