//! How AWS is reached: the configuration of the person who runs this, and the roles in the accounts.

use std::env;
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_sts::config::ProvideCredentials;
use remediation::{TargetRole, sdk_loader};
use tokio::time::timeout;

use crate::error::{Error, NoCredentials};

/// How long credentials may take: the SDK may ask another process, or IAM Identity Center.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(60);
/// Parts of what the SDK or IAM Identity Center report, or of the name of its token's file, where a login is missing or
/// has expired.
const OF_SSO: [&str; 4] = ["loading an access token", "SSO token", "/sso/cache/", "Session token not found or invalid"];

/// How AWS is reached.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// The profile of the AWS configuration, if not its default.
    pub(crate) profile: Option<String>,
    /// The region's code, if not that of the AWS configuration.
    pub(crate) region: Option<String>,
    /// The role to assume in each account; `{rule}` stands for the rule's ID.
    pub(crate) role_name: String,
    /// What the trust policy of the roles asks for.
    pub(crate) external_id: Option<String>,
}

impl Access {
    /// The engine's own configuration, with this profile and region. Without a region, it is that of `AWS_REGION`,
    /// `AWS_DEFAULT_REGION` or the profile, in this order, as in the AWS CLI.
    pub(crate) async fn load(&self) -> SdkConfig {
        let mut loader = sdk_loader();
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        loader.load().await
    }

    /// Loads the credentials once, so that a fault of theirs is reported once and not for every resource.
    pub(crate) async fn credentials(&self, config: &SdkConfig) -> Result<(), NoCredentials> {
        let failed = |reason: String| {
            let profile = self.profile.clone().or_else(|| env::var("AWS_PROFILE").ok());
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

    /// The role to assume in the accounts for a rule.
    pub(crate) fn role(&self, rule: &str) -> TargetRole {
        TargetRole { name: self.role_name.replace("{rule}", rule), external_id: self.external_id.clone() }
    }
}

/// The region to work in.
///
/// # Errors
///
/// [`Error::NoRegion`] where neither the arguments nor the AWS configuration name one.
pub(crate) fn region(config: &SdkConfig) -> Result<String, Error> {
    config.region().map(ToString::to_string).ok_or(Error::NoRegion)
}

/// What to do about credentials that cannot be loaded.
fn advice(reason: &str, profile: Option<&str>) -> String {
    if OF_SSO.iter().any(|part| reason.contains(part)) {
        return format!("log in: aws sso login --profile {}", profile.unwrap_or("default"));
    }
    "give --profile, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned()
}

/// An error with its causes in one line; a cause that repeats the one before is left out.
fn chain(error: &dyn std::error::Error) -> String {
    let mut causes: Vec<_> =
        std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    causes.dedup();
    // The list of where credentials were looked for has several lines.
    causes.join(": ").split_whitespace().collect::<Vec<_>>().join(" ")
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
