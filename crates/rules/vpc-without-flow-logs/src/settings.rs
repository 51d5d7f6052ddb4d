//! The rule's part of the policy.

use std::fmt;

use remediation::{AccountId, Region};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::destination::{Destination, Destinations};

/// The retentions that CloudWatch Logs has.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html>
const RETENTIONS: [i32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// The rule's part of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where new flow logs go: `cloud-watch-logs`, or a bucket's ARN, with the VPC's `{account}` and `{region}` in it.
    pub destination: Destination,
    /// The same for single places, by `ACCOUNT`, `REGION` or `ACCOUNT/REGION`; the most exact counts.
    pub destinations: Destinations,
    /// For how many days CloudWatch Logs keeps the logs; one of the numbers that it allows.
    #[serde(deserialize_with = "retention")]
    #[schemars(extend("enum" = RETENTIONS))]
    pub retention_days: i32,
    /// Which traffic is recorded.
    pub traffic: Traffic,
}

impl Default for Settings {
    fn default() -> Self {
        let (destination, destinations) = <_>::default();
        Self { destination, destinations, retention_days: 365, traffic: Traffic::All }
    }
}

impl Settings {
    /// The ARN of the bucket to which a VPC's flow log delivers in an account and a region; none where that is a log group.
    pub fn bucket_for(&self, account: &AccountId, region: &Region) -> Option<String> {
        self.destinations.of(account, region).unwrap_or(&self.destination).bucket_for(account, region)
    }
}

/// Which traffic is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Traffic {
    /// All of it.
    All,
    /// What is let through.
    Accept,
    /// What is not.
    Reject,
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "ALL",
            Self::Accept => "ACCEPT",
            Self::Reject => "REJECT",
        })
    }
}

fn retention<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    let days = i32::deserialize(deserializer)?;
    if RETENTIONS.contains(&days) {
        return Ok(days);
    }
    let allowed = RETENTIONS.map(|days| days.to_string()).join(", ");
    Err(serde::de::Error::custom(format!("retention_days is {days}, but CloudWatch Logs has only {allowed}")))
}
