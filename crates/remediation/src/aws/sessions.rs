//! Sessions in a target account: a role of the rule's there, assumed once for each account and kind of session.
//!
//! A session lasts as long as it is good, and a run may last longer: 900 s in a Lambda, or an hour on a command line. So
//! what a client signs with is asked of its session before each try, and a session that is about to end is assumed anew.
//! The SDK's own provider for roles sets no source identity, and its cache of identities cannot be told that one has ended
//! before its time, so the two are done here: [`Session`] keeps the credentials, and [`call`](super::call()) says by
//! [`signing`](super::signing) with which of them a call was refused as ended.
//!
//! A refusal of STS is remembered for the run. A lost or throttled answer is not: the next who asks tries again, and who
//! has waited for that try takes what it came to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future;
use aws_sdk_s3::config::{
    Credentials, IdentityCache, ProvideCredentials, Region as SdkRegion, SharedCredentialsProvider,
};

use super::{AccountId, Error, ErrorKind, Region, Result, SessionKind, Target, TargetRole, partition, signing};

/// So long before its end a session is assumed anew: longer than a call and its retries take.
const MARGIN: Duration = Duration::from_secs(60);
/// What an error of STS names as its action.
const ASSUME: &str = "sts:AssumeRole";

/// What sessions are asked for with.
#[derive(Debug, Clone)]
pub struct Access {
    /// The rule's own role; the names of its other roles begin with this one's.
    pub role: TargetRole,
    /// The session policy of a read-only session, with `{partition}` to fill in.
    pub read_policy: String,
    /// Who uses the session, for CloudTrail: at most 64 characters.
    pub source_identity: String,
    /// The session's name: at most 64 characters, the same for all sessions of a run.
    pub session_name: String,
    /// For how long a session is asked for, in whole seconds, at least 900; none is AWS's own hour.
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
    pub session_length: Option<Duration>,
}

/// Assumes the target role, once for each account and [`SessionKind`], and anew before such a session ends; a refusal is
/// remembered as well.
#[derive(Debug)]
pub struct Sessions {
    base: SdkConfig,
    sts: aws_sdk_sts::Client,
    access: Arc<Access>,
    region: String,
    sessions: Mutex<HashMap<(AccountId, SessionKind), Arc<Session>>>,
}

/// One role's session.
#[derive(Debug)]
struct Session {
    sts: aws_sdk_sts::Client,
    access: Arc<Access>,
    role_arn: String,
    kind: SessionKind,
    /// How often it was tried to assume the role.
    tries: AtomicU64,
    known: tokio::sync::Mutex<Known>,
}

/// What is known of a session.
#[derive(Debug, Default)]
enum Known {
    #[default]
    Nothing,
    Assumed(Credentials),
    /// The last try failed with what another try can get over.
    Lost(Error),
    Refused(Error),
}

impl Sessions {
    /// Sessions of one run, from the caller's configuration `base`.
    ///
    /// STS is asked at the endpoint of `base`'s region.
    /// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-sts-regionalized-endpoints.html>
    pub fn new(base: SdkConfig, access: Access) -> Self {
        let region = base.region().map(ToString::to_string).unwrap_or_default();
        let access = Access { read_policy: access.read_policy.replace("{partition}", partition(&region)), ..access };
        let (sts, access) = (aws_sdk_sts::Client::new(&base), Arc::new(access));
        Self { sts, access, region, base, sessions: Mutex::default() }
    }

    /// The session of `kind` in `account`, for a resource in `region`. It is renewed for as long as it is used.
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
        let session = self.session(account, kind, &role_arn);
        session.credentials().await?;
        let config = self
            .base
            .to_builder()
            .region(SdkRegion::new(region.clone()))
            .credentials_provider(SharedCredentialsProvider::from(session as Arc<dyn ProvideCredentials>))
            .identity_cache(IdentityCache::no_cache())
            .build();
        let (account, session_name) = (account.clone(), self.access.session_name.clone());
        Ok(Target { config, account, region, partition, role_arn, session_name })
    }

    /// The region of what has none.
    pub fn region(&self) -> &str {
        &self.region
    }

    fn session(&self, account: &AccountId, kind: SessionKind, role_arn: &str) -> Arc<Session> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Session {
            sts: self.sts.clone(),
            access: Arc::clone(&self.access),
            role_arn: format!("{role_arn}{}", kind.role_suffix()),
            kind,
            tries: AtomicU64::default(),
            known: tokio::sync::Mutex::default(),
        };
        Arc::clone(sessions.entry((account.clone(), kind)).or_insert_with(|| Arc::new(make())))
    }
}

impl Session {
    /// Credentials that are good for [`MARGIN`] at least.
    async fn credentials(&self) -> Result<Credentials> {
        let tries = self.tries.load(Ordering::Relaxed);
        // Whoever comes while the role is being assumed waits here.
        let mut known = self.known.lock().await;
        match &*known {
            Known::Assumed(credentials) if is_good(credentials) => {
                signing::signs_with(credentials.access_key_id());
                return Ok(credentials.clone());
            }
            Known::Refused(error) => return Err(error.clone()),
            Known::Lost(error) if self.tries.load(Ordering::Relaxed) > tries => return Err(error.clone()),
            _ => {}
        }
        // The SDK's futures are large.
        let answer = Box::pin(self.assume()).await;
        self.tries.fetch_add(1, Ordering::Relaxed);
        *known = match &answer {
            Ok(credentials) => {
                signing::signs_with(credentials.access_key_id());
                Known::Assumed(credentials.clone())
            }
            Err(error) if is_refusal(error) => Known::Refused(error.clone()),
            Err(error) => Known::Lost(error.clone()),
        };
        answer
    }

    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
    async fn assume(&self) -> Result<Credentials> {
        let Access { role, read_policy, source_identity, session_name, session_length } = &*self.access;
        let seconds = session_length.and_then(|length| i32::try_from(length.as_secs()).ok());
        let answer = self
            .sts
            .assume_role()
            .role_arn(&self.role_arn)
            .role_session_name(session_name)
            .source_identity(source_identity)
            .set_external_id(role.external_id.clone())
            .set_policy(self.kind.is_read_only().then(|| read_policy.clone()))
            .set_duration_seconds(seconds)
            .send()
            .await
            .map_err(|error| Error::api(ASSUME, error))?;
        let credentials = answer.credentials.ok_or_else(|| Error::unusable(ASSUME, "no credentials"))?;
        Ok(Credentials::new(
            credentials.access_key_id,
            credentials.secret_access_key,
            Some(credentials.session_token),
            SystemTime::try_from(credentials.expiration).ok(),
            "autoremediate-target-role",
        ))
    }
}

impl ProvideCredentials for Session {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async { self.credentials().await.map_err(CredentialsError::provider_error) })
    }
}

/// Whether credentials last for a call, as far as anybody knows.
fn is_good(credentials: &Credentials) -> bool {
    let lasts = credentials.expiry().is_none_or(|end| end > ambient::system_time() + MARGIN);
    lasts && !signing::has_ended(credentials.access_key_id())
}

/// Whether the same call will be refused again in this run. Of credentials that have ended, the caller may get new ones.
fn is_refusal(error: &Error) -> bool {
    let passes = [ErrorKind::Transient, ErrorKind::Throttled, ErrorKind::Passing].contains(&error.kind);
    !passes && !error.is_of_ended_session()
}
