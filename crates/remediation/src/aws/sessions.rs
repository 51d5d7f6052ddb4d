//! Sessions in a target account: the rule's role there, assumed once for each account and kind of session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_sdk_s3::config::{Credentials, IdentityCache, Region as SdkRegion, SharedCredentialsProvider};
use tokio::sync::OnceCell;

use super::{AccountId, Error, Region, Result, SessionKind, Target, TargetRole, partition};

/// What sessions are asked for with.
#[derive(Debug, Clone)]
pub struct Access {
    /// The role.
    pub role: TargetRole,
    /// The session policy of a read-only session, with `{partition}` to fill in.
    pub read_policy: String,
    /// Who uses the session, for CloudTrail: at most 64 characters.
    pub source_identity: String,
    /// The session's name: at most 64 characters, the same for all sessions of a run.
    pub session_name: String,
}

type Slot = Arc<OnceCell<Result<Credentials>>>;

/// Assumes the target role, once for each account and [`SessionKind`] in a run; a refusal is remembered as well.
#[derive(Debug)]
pub struct Sessions {
    base: SdkConfig,
    sts: aws_sdk_sts::Client,
    access: Access,
    region: String,
    assumed: Mutex<HashMap<(AccountId, SessionKind), Slot>>,
}

impl Sessions {
    /// Sessions of one run, from the caller's configuration `base`.
    ///
    /// STS is asked at the endpoint of `base`'s region.
    /// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-sts-regionalized-endpoints.html>
    pub fn new(base: SdkConfig, access: Access) -> Self {
        let region = base.region().map(ToString::to_string).unwrap_or_default();
        let access = Access { read_policy: access.read_policy.replace("{partition}", partition(&region)), ..access };
        Self { sts: aws_sdk_sts::Client::new(&base), access, region, base, assumed: Mutex::default() }
    }

    /// The session of `kind` in `account`, for a resource in `region`.
    ///
    /// # Errors
    ///
    /// The region is in another partition, where nobody gets in from here; or `sts:AssumeRole` failed.
    pub async fn target(&self, account: &AccountId, region: &Region, kind: SessionKind) -> Result<Target> {
        let region = if region.is_global() { self.region.clone() } else { region.to_string() };
        let (partition, own) = (partition(&region), partition(&self.region));
        if partition != own {
            let message = format!("{region} is in the partition {partition}, and this deployment is in {own}");
            return Err(Error::invalid_finding("region", message));
        }
        let role_arn = format!("arn:{partition}:iam::{account}:role/{}", self.access.role.name);
        let slot = self.slot(account, kind);
        let credentials = slot.get_or_init(|| self.assume(&role_arn, kind)).await.clone()?;
        let config = self
            .base
            .to_builder()
            .region(SdkRegion::new(region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .identity_cache(IdentityCache::no_cache())
            .build();
        let (account, session_name) = (account.clone(), self.access.session_name.clone());
        Ok(Target { config, account, region, partition, role_arn, session_name })
    }

    /// The region of what has none.
    pub fn region(&self) -> &str {
        &self.region
    }

    fn slot(&self, account: &AccountId, kind: SessionKind) -> Slot {
        let mut assumed = self.assumed.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(assumed.entry((account.clone(), kind)).or_default())
    }

    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
    async fn assume(&self, role_arn: &str, kind: SessionKind) -> Result<Credentials> {
        let policy = (kind == SessionKind::Read).then(|| self.access.read_policy.clone());
        let answer = self
            .sts
            .assume_role()
            .role_arn(role_arn)
            .role_session_name(&self.access.session_name)
            .source_identity(&self.access.source_identity)
            .set_external_id(self.access.role.external_id.clone())
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
