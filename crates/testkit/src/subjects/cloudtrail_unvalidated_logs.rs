//! CloudTrail trails: `cloudtrail-unvalidated-logs`.

use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::types::{Tag, Trail};
use rules::cloudtrail_unvalidated_logs::CloudTrailUnvalidatedLogs;
use serde_json::{Value, json};

use super::{AnySubject, Subject};
use crate::Result;
use crate::account::Account;
use crate::emulator::Emulator;

/// The subject of each control.
pub const SUBJECTS: &[AnySubject] = &[AnySubject::of::<RegionalTrail>()];

/// A trail of one region.
#[derive(Debug)]
pub struct RegionalTrail;

impl Subject for RegionalTrail {
    type Rule = CloudTrailUnvalidatedLogs;
    const NAME: &'static str = "audit";
    const FOUND: &'static str = "a trail without log file validation";
    const THROTTLED: (&str, &[&str]) = (
        "ThrottlingException",
        &["cloudtrail:DescribeTrails", "ssm:StartAutomationExecution", "ssm:GetAutomationExecution"],
    );

    async fn violating(account: &Account, name: &str) -> Result<String> {
        Trails::of(account).make(name, false, TrailScope::Region).await?;
        Ok(name.to_owned())
    }

    async fn complying(account: &Account, name: &str) -> Result<String> {
        Trails::of(account).make(name, true, TrailScope::Region).await?;
        Ok(name.to_owned())
    }

    fn gone(account: &Account) -> String {
        arn(account, "gone")
    }

    fn names(account: &Account, resource: &str) -> Vec<String> {
        vec![resource.to_owned(), arn(account, resource)]
    }

    async fn tag(account: &Account, resource: &str, key: &str, value: &str) -> Result<()> {
        Trails::of(account).tag(&arn(account, resource), key, value).await
    }

    async fn describe(account: &Account, resource: &str) -> Result<Value> {
        let trail = Trails::of(account).get(resource).await?;
        Ok(json!({"all": format!("{trail:?}"), "validated": trail.log_file_validation_enabled}))
    }

    async fn complies(account: &Account, resource: &str) -> Result<bool> {
        Ok(Trails::of(account).get(resource).await?.log_file_validation_enabled == Some(true))
    }
}

/// An organization's trail in the management account: to change it takes every permission of the manifest.
#[derive(Debug)]
pub struct OrganizationTrail;

impl OrganizationTrail {
    async fn make(account: &Account, name: &str, validated: bool) -> Result<String> {
        let emulator = Emulator::shared().await?;
        if !account.has_organization(emulator).await {
            account.make_organization(emulator).await?;
        }
        Trails::of(account).make(name, validated, TrailScope::Organization).await?;
        Ok(name.to_owned())
    }
}

impl Subject for OrganizationTrail {
    type Rule = CloudTrailUnvalidatedLogs;
    const NAME: &'static str = RegionalTrail::NAME;
    const FOUND: &'static str = RegionalTrail::FOUND;
    const THROTTLED: (&str, &[&str]) = RegionalTrail::THROTTLED;

    async fn violating(account: &Account, name: &str) -> Result<String> {
        Self::make(account, name, false).await
    }

    async fn complying(account: &Account, name: &str) -> Result<String> {
        Self::make(account, name, true).await
    }

    fn gone(account: &Account) -> String {
        RegionalTrail::gone(account)
    }

    fn names(account: &Account, resource: &str) -> Vec<String> {
        RegionalTrail::names(account, resource)
    }

    async fn tag(account: &Account, resource: &str, key: &str, value: &str) -> Result<()> {
        RegionalTrail::tag(account, resource, key, value).await
    }

    async fn describe(account: &Account, resource: &str) -> Result<Value> {
        RegionalTrail::describe(account, resource).await
    }

    async fn complies(account: &Account, resource: &str) -> Result<bool> {
        RegionalTrail::complies(account, resource).await
    }
}

/// The ARN of a trail whose home is the account's region.
pub fn arn(account: &Account, trail: &str) -> String {
    format!("arn:{}:cloudtrail:{}:{}:trail/{trail}", account.partition(), account.region, account.id)
}

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

    /// Gives a trail of this region one more tag, by its ARN.
    ///
    /// # Errors
    ///
    /// CloudTrail refuses.
    pub async fn tag(&self, arn: &str, key: &str, value: &str) -> Result<()> {
        let tag = Tag::builder().key(key).value(value).build()?;
        self.cloudtrail.add_tags().resource_id(arn).tags_list(tag).send().await?;
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    mod regional {
        crate::rule_cases!(super::RegionalTrail: a_violating_resource_is_fixed, a_complying_resource_is_left_alone,
            a_resource_that_is_gone_is_gone, every_form_of_the_name_works, throttled_and_then_fine,
            run_twice_the_second_finds_nothing_to_do, two_runs_at_once_end_in_the_same_state,
            undone_it_is_as_it_was_also_twice, the_engine_takes_a_run_back, mode_plan_writes_nothing,
            its_tags_are_read);
    }

    mod of_an_organization {
        crate::rule_cases!(super::OrganizationTrail: a_violating_resource_is_fixed, a_complying_resource_is_left_alone,
            each_permission_taken_away_is_named, the_manifest_has_exactly_the_permissions_that_are_used,
            undone_it_is_as_it_was_also_twice, the_engine_takes_a_run_back);
    }
}
