//! A session over a connector of the test's own: what is sent, and where to, without a network.

use std::sync::{Arc, Mutex, PoisonError};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::config::{Credentials, Region, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use remediation::{Target, partition};

use crate::ACCOUNT;

/// A session in [`ACCOUNT`] and `region` whose requests `connector` answers.
///
/// # Panics
///
/// Never: the account's ID is one.
pub fn target(region: &str, connector: impl HttpConnector + 'static) -> Target {
    let connector = SharedHttpConnector::new(connector);
    let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", Some("session".into()), None, "a test");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .build();
    let partition = partition(region);
    Target {
        config,
        account: ACCOUNT.parse().expect("twelve digits"),
        region: region.to_owned(),
        partition,
        role_arn: format!("arn:{partition}:iam::{ACCOUNT}:role/r"),
        session_name: "autoremediate-a-test".into(),
    }
}

/// Refuses everything, and remembers which hosts were called. CloudTrail knows no trail.
#[derive(Debug, Clone, Default)]
pub struct Wire {
    hosts: Arc<Mutex<Vec<String>>>,
}

impl Wire {
    /// The hosts that were called, in order.
    pub fn hosts(&self) -> Vec<String> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let host = request.uri().split('/').nth(2).unwrap_or_default().to_owned();
        let (status, body) = if host.starts_with("cloudtrail.") { (200, "{\"trailList\": []}") } else { (400, "") };
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).push(host);
        let status = StatusCode::try_from(status).expect("a status");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(body))))
    }
}
