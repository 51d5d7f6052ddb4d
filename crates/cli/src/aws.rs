//! The AWS configuration of the person who runs this.

use std::env;
use std::path::Path;
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_sts::config::ProvideCredentials;
use remediation::{POLICY_KEY, Policy, PolicyError, PolicyRecord, Records, TargetRole, sdk_loader};
use tokio::time::timeout;

use crate::args::{AccessArgs, PolicyArgs, RecordsPlace};
use crate::error::Error;
use crate::rules::PolicyInForce;

/// How long credentials may take: a process may be asked for them, or SSO.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(60);
/// What the SDK, the name of its token's file, or IAM Identity Center say where nobody is logged in any more.
const OF_SSO: [&str; 4] = ["loading an access token", "SSO token", "/sso/cache/", "Session token not found or invalid"];

/// The configuration of [`load`], of which the credentials can be had.
pub(crate) async fn config(access: &AccessArgs, region: Option<&String>) -> Result<SdkConfig, Error> {
    let config = load(access, region).await;
    credentials(&config, access).await?;
    Ok(config)
}

/// The engine's own configuration, with the profile and the region of the arguments. Without a region there, it is that
/// of AWS_REGION, AWS_DEFAULT_REGION or the profile, in this order, as the AWS CLI has it.
pub(crate) async fn load(access: &AccessArgs, region: Option<&String>) -> SdkConfig {
    let mut loader = sdk_loader();
    if let Some(profile) = &access.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = region {
        loader = loader.region(Region::new(region.clone()));
    }
    loader.load().await
}

/// Credentials that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("the AWS credentials cannot be loaded: {reason}; {advice}")]
pub(crate) struct NoCredentials {
    pub(crate) reason: String,
    /// What to do about it.
    pub(crate) advice: String,
}

/// Loads the credentials once, so that what is wrong with them is said once and not for every resource.
pub(crate) async fn credentials(config: &SdkConfig, access: &AccessArgs) -> Result<(), NoCredentials> {
    let failed = |reason: String| {
        let profile = access.profile.clone().or_else(|| env::var("AWS_PROFILE").ok());
        let advice = advice(&reason, profile.as_deref());
        Err(NoCredentials { reason, advice })
    };
    let Some(provider) = config.credentials_provider() else { return failed("there is no provider".into()) };
    match timeout(CREDENTIALS_TIMEOUT, provider.provide_credentials()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => failed(chain(&error)),
        Err(_) => failed(format!("no answer in {} s", CREDENTIALS_TIMEOUT.as_secs())),
    }
}

/// What to do about credentials that cannot be loaded.
fn advice(reason: &str, profile: Option<&str>) -> String {
    if OF_SSO.iter().any(|part| reason.contains(part)) {
        return format!("log in: aws sso login --profile {}", profile.unwrap_or("default"));
    }
    "give --profile, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned()
}

/// An error with its causes in one line, without those that say the same as the one before.
fn chain(error: &dyn std::error::Error) -> String {
    let mut causes: Vec<_> =
        std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    causes.dedup();
    // The list of where credentials were looked for has several lines.
    causes.join(": ").split_whitespace().collect::<Vec<_>>().join(" ")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_logged_in_is_told_to_log_in() {
        for reason in [
            "an error occurred while loading an access token: failed to load the cached SSO token",
            "failed to read `/home/me/.aws/sso/cache/a517.json`: No such file or directory",
            "service error: UnauthorizedException: Session token not found or invalid",
        ] {
            assert_eq!(advice(reason, Some("security")), "log in: aws sso login --profile security");
            assert_eq!(advice(reason, None), "log in: aws sso login --profile default");
        }
        let other = advice("profile `sso` was not defined", Some("sso"));
        assert!(other.contains("AWS_PROFILE") && !other.contains("aws sso login"), "{other}");
    }
}
