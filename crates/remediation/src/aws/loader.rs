//! The SDK configuration that everything starts from.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, profile};
use aws_types::os_shim_internal::{Env, Fs};
use network::{Network, SettingError};

use super::http::http_client;

/// The loader of the SDK configuration that everything here starts from: every call ends within 30 seconds, retries
/// included, and goes by the proxies and the certificates of the environment. `profile` is the AWS profile, if not the
/// default one: its `ca_bundle` counts where `AWS_CA_BUNDLE` is not set, as in the AWS CLI.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-gen-config.html>
///
/// # Errors
///
/// A proxy's address or a file of certificates cannot be used.
pub async fn sdk_loader(profile: Option<&str>) -> Result<ConfigLoader, SettingError> {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(30))
        .build();
    let network = Network::from_env(profile_bundle(profile).await.as_deref())?;
    // One HTTP client, so that every service client shares its connections and its certificates, and so do those that
    // fetch credentials.
    Ok(aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client(network))
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(5)))
}

/// The `ca_bundle` of the profile. What is wrong with the files themselves is said where the credentials are loaded.
async fn profile_bundle(profile: Option<&str>) -> Option<PathBuf> {
    let name = profile.map(|name| Cow::Owned(name.to_owned()));
    let profiles = profile::load(&Fs::real(), &Env::real(), &Default::default(), name).await.ok()?;
    profiles.get("ca_bundle").filter(|path| !path.is_empty()).map(PathBuf::from)
}
