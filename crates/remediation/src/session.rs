//! Sessions in a target account: the rule's role there, assumed once for each account and kind of session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};
use aws_sdk_s3::config::{Credentials, IdentityCache, Region as SdkRegion, SharedCredentialsProvider};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::OnceCell;

use crate::{AccountId, Error, Manifest, Region, Result, RunId, ServiceRole};

/// What a session may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionKind {
    /// Held to the manifest's read actions by a session policy.
    Read,
    /// All that the role may do.
    Write,
}

/// The role that a rule assumes in each target account.
#[derive(Debug, Clone)]
pub struct TargetRole {
    /// Its name, the same in every account.
    pub name: String,
    /// The external ID that its trust policy asks for.
    pub external_id: Option<String>,
}

/// A session in a target account.
#[derive(Debug, Clone)]
pub struct Target {
    /// SDK configuration with the session's credentials and region.
    pub config: SdkConfig,
    /// The account.
    pub account: AccountId,
    /// The region's code.
    pub region: String,
    /// The partition, such as `aws` or `aws-us-gov`.
    pub partition: &'static str,
    /// The ARN of the role that was assumed.
    pub role_arn: String,
    /// The run that it was assumed for.
    pub run: RunId,
}

impl Target {
    /// The same session in another region of the same partition.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        let config = self.config.to_builder().region(SdkRegion::new(region.to_owned())).build();
        Self { config, region: region.to_owned(), ..self.clone() }
    }

    /// The ARN of the role that the rule passes on to an AWS service ([`crate::ServiceRole`]).
    pub fn service_role_arn(&self) -> String {
        format!("{}{}", self.role_arn, ServiceRole::NAME_SUFFIX)
    }
}

type Slot = Arc<OnceCell<Result<Credentials>>>;

/// Assumes the target role, once for each account and [`SessionKind`] in a run; a refusal is remembered as well.
#[derive(Debug)]
pub struct Sessions {
    base: SdkConfig,
    sts: aws_sdk_sts::Client,
    role: TargetRole,
    session_name: String,
    source_identity: String,
    read_policy: String,
    region: String,
    run: RunId,
    assumed: Mutex<HashMap<(AccountId, SessionKind), Slot>>,
}

impl Sessions {
    /// Sessions of one run of the rule of `manifest`, from the caller's configuration `base`.
    ///
    /// STS is asked at the endpoint of `base`'s region.
    /// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-sts-regionalized-endpoints.html>
    pub fn new(base: SdkConfig, role: TargetRole, manifest: &Manifest, run: RunId) -> Self {
        let region = base.region().map(ToString::to_string).unwrap_or_default();
        Self {
            sts: aws_sdk_sts::Client::new(&base),
            role,
            session_name: format!("autoremediate-{run}"),
            source_identity: format!("autoremediate-{}", manifest.id),
            read_policy: read_policy(manifest, partition(&region)),
            region,
            run,
            base,
            assumed: Mutex::default(),
        }
    }

    /// The session of `kind` in `account`, for a resource in `region`.
    ///
    /// # Errors
    ///
    /// `sts:AssumeRole` failed.
    pub async fn target(&self, account: &AccountId, region: &Region, kind: SessionKind) -> Result<Target> {
        let region = if region.is_global() { self.region.clone() } else { region.to_string() };
        let partition = partition(&region);
        let role_arn = format!("arn:{partition}:iam::{account}:role/{}", self.role.name);
        let slot = self.slot(account, kind);
        let credentials = slot.get_or_init(|| self.assume(&role_arn, kind)).await.clone()?;
        let config = self
            .base
            .to_builder()
            .region(SdkRegion::new(region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .identity_cache(IdentityCache::no_cache())
            .build();
        Ok(Target { config, account: account.clone(), region, partition, role_arn, run: self.run })
    }

    /// The region of what has none.
    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    fn slot(&self, account: &AccountId, kind: SessionKind) -> Slot {
        let mut assumed = self.assumed.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(assumed.entry((account.clone(), kind)).or_default())
    }

    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
    async fn assume(&self, role_arn: &str, kind: SessionKind) -> Result<Credentials> {
        let policy = (kind == SessionKind::Read).then(|| self.read_policy.clone());
        let answer = self
            .sts
            .assume_role()
            .role_arn(role_arn)
            .role_session_name(&self.session_name)
            .source_identity(&self.source_identity)
            .set_external_id(self.role.external_id.clone())
            .set_policy(policy)
            .send()
            .await
            .map_err(|error| Error::api("sts:AssumeRole", error))?;
        let credentials = answer.credentials.ok_or_else(|| Error::unusable("sts:AssumeRole", "no credentials"))?;
        Ok(Credentials::new(
            credentials.access_key_id,
            credentials.secret_access_key,
            Some(credentials.session_token),
            SystemTime::try_from(credentials.expiration).ok(),
            "autoremediate-target-role",
        ))
    }
}

/// The session policy of a read-only session: the manifest's read actions, nothing else.
fn read_policy(manifest: &Manifest, partition: &str) -> String {
    let statements: Vec<_> = manifest
        .read
        .iter()
        .map(|permission| {
            let resource = permission.resource.replace("{partition}", partition);
            let resource =
                ["{region}", "{account}", "{prefix}"].iter().fold(resource, |text, key| text.replace(key, "*"));
            serde_json::json!({"Effect": "Allow", "Action": permission.action, "Resource": resource})
        })
        .collect();
    serde_json::json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

/// The partition of a region, by the code's prefix.
/// <https://docs.aws.amazon.com/general/latest/gr/rande.html>
pub fn partition(region: &str) -> &'static str {
    const PREFIXES: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
        ("eusc-", "aws-eusc"),
    ];
    PREFIXES.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
}

/// The loader of the SDK configuration that everything here starts from: every call ends within 30 seconds, retries included.
pub fn sdk_loader() -> ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(30))
        .build();
    // One HTTP client, so that every service client shares its connections and its certificates.
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
    let http = match TlsContext::builder().with_trust_store(trust_store()).build() {
        Ok(context) => http.tls_context(context).build_https(),
        Err(error) => {
            tracing::error!(%error, "the certificates of AWS_CA_BUNDLE cannot be used");
            http.build_https()
        }
    };
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(5))
}

/// The system's certificates, and those of the file that AWS_CA_BUNDLE names.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-gen-config.html>
fn trust_store() -> TrustStore {
    let store = TrustStore::default();
    let Some(path) = std::env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty()) else { return store };
    let read = std::fs::read(&path).map_err(|error| error.to_string());
    let read = read.and_then(|pem| certificates(&pem).map(|()| pem));
    match read {
        Ok(pem) => store.with_pem_certificate(pem),
        Err(error) => {
            tracing::error!(path = %path.display(), error, "AWS_CA_BUNDLE cannot be used, so its certificates are not trusted");
            store
        }
    }
}

/// Whether these bytes are certificates: the HTTP client itself would panic at what is none.
fn certificates(pem: &[u8]) -> Result<(), String> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        store.add(certificate).map_err(|error| error.to_string())?;
    }
    if store.is_empty() { Err("it holds no certificate".into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
