//! The AWS configuration of the person who runs this.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use remediation::{Records, sdk_config};

use crate::args::{RecordsPlace, RunArgs};
use crate::error::Error;

/// The engine's own configuration, with the profile and the region of the arguments.
pub(crate) async fn config(args: &RunArgs) -> SdkConfig {
    let base = sdk_config().await;
    if args.profile.is_none() && args.region.is_none() {
        return base;
    }
    // A profile decides on credentials and region while the configuration is loaded, so it is loaded again; the time
    // limits, the retries and the HTTP client stay the engine's.
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(profile) = &args.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &args.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(timeouts) = base.timeout_config() {
        loader = loader.timeout_config(timeouts.clone());
    }
    if let Some(retries) = base.retry_config() {
        loader = loader.retry_config(retries.clone());
    }
    if let Some(http) = base.http_client() {
        loader = loader.http_client(http);
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

/// Where a person finds the record `key`.
pub(crate) fn locate(records: &Records, key: &str) -> String {
    match records {
        Records::Bucket { bucket, .. } => format!("s3://{bucket}/{key}"),
        Records::Folder(folder) => folder.join(key).display().to_string(),
    }
}
