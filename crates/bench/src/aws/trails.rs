//! CloudTrail's trails.

use serde_json::{Value, json};

use super::call::{Call, Output, Result, unknown};
use super::{REGION, Things};

/// The trails.
#[derive(Debug, Default)]
pub(crate) struct Trails(Things<bool>);

impl Trails {
    /// Makes a trail whose log files nobody can validate, and gives its name.
    pub(crate) fn violate(&mut self, account: &str, n: usize) -> String {
        self.0.insert(account, format!("trail-{n:06}"), false)
    }

    /// What the runbook does to a trail, by its ARN.
    pub(crate) fn validate(&mut self, account: &str, arn: &str) {
        if let Some(validated) = arn.rsplit('/').next().and_then(|name| self.0.get_mut(account, name)) {
            *validated = true;
        }
    }

    /// Every trail of the account; it has no pages.
    /// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_DescribeTrails.html>
    pub(crate) fn answer(&mut self, call: &Call, account: &str) -> Result<Output> {
        if call.operation != "DescribeTrails" {
            return Err(unknown(&call.operation));
        }
        let listed = self.0.of(account).map(|(name, validated)| {
            json!({
                "Name": name, "TrailARN": format!("arn:aws:cloudtrail:{REGION}:{account}:trail/{name}"),
                "HomeRegion": REGION, "S3BucketName": "trails", "IsMultiRegionTrail": false,
                "LogFileValidationEnabled": validated, "IsOrganizationTrail": false,
            })
        });
        Ok(Output::Json(json!({"trailList": listed.collect::<Vec<Value>>()})))
    }
}
