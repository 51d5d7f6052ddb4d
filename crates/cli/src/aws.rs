//! The AWS configuration of the person who runs this.

use std::path::Path;

use aws_config::{Region, SdkConfig};
use remediation::{POLICY_KEY, Policy, PolicyError, PolicyRecord, Records, TargetRole, sdk_loader};

use crate::args::{AccessArgs, PolicyArgs, RecordsPlace};
use crate::error::Error;
use crate::rules::PolicyInForce;

/// The engine's own configuration, with the profile and the region of the arguments.
pub(crate) async fn config(access: &AccessArgs, region: Option<&String>) -> SdkConfig {
    let mut loader = sdk_loader();
    if let Some(profile) = &access.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = region {
        loader = loader.region(Region::new(region.clone()));
    }
    loader.load().await
}

/// The region whose findings are looked at.
pub(crate) fn region(config: &SdkConfig) -> Result<String, Error> {
    config.region().map(ToString::to_string).ok_or(Error::NoRegion)
}

/// The store of records at `place`.
pub(crate) fn records(place: &RecordsPlace, config: &SdkConfig) -> Records {
    match place {
        RecordsPlace::Bucket(bucket) => {
            Records::Bucket { client: aws_sdk_s3::Client::new(config), bucket: bucket.clone() }
        }
        RecordsPlace::Folder(folder) => Records::Folder(folder.clone()),
    }
}

/// The policy to keep to: the one that is named, or that of the bucket.
pub(crate) async fn policy(
    args: &PolicyArgs,
    place: &RecordsPlace,
    config: &SdkConfig,
) -> Result<PolicyInForce, PolicyError> {
    let record = match (&args.policy, place) {
        (Some(file), _) => {
            let folder = file.parent().unwrap_or(Path::new("")).to_owned();
            let key = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            PolicyRecord { records: Records::Folder(folder), key }
        }
        (None, RecordsPlace::Bucket(_)) => PolicyRecord { records: records(place, config), key: POLICY_KEY.to_owned() },
        (None, RecordsPlace::Folder(_)) => return Ok(PolicyInForce { policy: Policy::unrestricted(), record: None }),
    };
    Ok(PolicyInForce { policy: record.read().await?, record: Some(record) })
}

/// The role to assume in the accounts for a rule.
pub(crate) fn target_role(access: &AccessArgs, rule: &str) -> TargetRole {
    TargetRole { name: access.role_name.replace("{rule}", rule), external_id: access.external_id.clone() }
}

/// Where a person finds the record `key`.
pub(crate) fn locate(records: &Records, key: &str) -> String {
    match records {
        Records::Bucket { bucket, .. } => format!("s3://{bucket}/{key}"),
        Records::Folder(folder) => folder.join(key).display().to_string(),
    }
}
