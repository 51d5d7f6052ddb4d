//! CloudTrail trails, for tests.

use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::types::Trail;

use crate::Result;
use crate::account::Account;

/// The trails of one account in its region, with the account's full rights.
#[derive(Debug)]
pub struct Trails {
    /// CloudTrail with the account's full rights.
    pub cloudtrail: Client,
    account: Account,
}

impl Trails {
    /// Those of `account`.
    pub fn of(account: &Account) -> Self {
        Self { cloudtrail: Client::new(&account.config), account: account.clone() }
    }

    /// Makes a trail with a bucket of its own, and gives its ARN.
    ///
    /// # Errors
    ///
    /// S3 or CloudTrail refuses.
    pub async fn make(&self, name: &str, validated: bool, scope: TrailScope) -> Result<String> {
        let bucket = format!("{name}-{}-{}", self.account.id, self.account.region);
        self.account.make_private_bucket(&bucket).await?;
        let call = self.cloudtrail.create_trail().name(name).s3_bucket_name(bucket);
        let call = call.enable_log_file_validation(validated).is_multi_region_trail(scope != TrailScope::Region);
        let made = call.is_organization_trail(scope == TrailScope::Organization).send().await?;
        Ok(made.trail_arn.ok_or("CreateTrail gave no ARN")?)
    }

    /// A trail, by its ARN or the name of one of this region.
    ///
    /// # Errors
    ///
    /// CloudTrail refuses.
    pub async fn get(&self, name: &str) -> Result<Trail> {
        Ok(self.cloudtrail.get_trail().name(name).send().await?.trail.ok_or("GetTrail gave no trail")?)
    }
}

/// What a trail logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrailScope {
    /// Its home region.
    Region,
    /// Every region.
    AllRegions,
    /// Every region of every account of the organization.
    Organization,
}
