//! Sessions in a target account: a role of the rule's there, assumed once for each account and kind of session.
//!
//! A session lasts as long as it is good, and a run may last longer: 900 s in a Lambda, or an hour on a command line. So
//! what a client signs with is asked of its session before each try, and a session that is about to end is assumed anew.
//! The SDK's own provider for roles sets no source identity, and its cache of identities cannot be told that one has ended
//! before its time, so the two are done here: [`Session`] keeps the credentials, and [`call`](super::call()) says by
//! [`signing`](super::signing) with which of them a call was refused as ended.
//!
//! A session's source identity cannot be changed, and goes on into every role that it assumes. So a caller who has one may
//! set no other, and STS refuses ours: it is asked once more without, the caller's own holds, and the record says so.
//!
//! A refusal of STS is remembered for the run. A lost or throttled answer is not: the next who asks tries again, and who
//! has waited for that try takes what it came to.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future;
use aws_sdk_s3::config::{
    Credentials, IdentityCache, ProvideCredentials, Region as SdkRegion, SharedCredentialsProvider,
};
use aws_sdk_sts::operation::assume_role::AssumeRoleOutput;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::concurrency::of_no_account;
use super::{AccountId, Error, ErrorKind, Region, Result, SessionKind, Target, TargetRole, partition, signing};

/// So long before its end a session is assumed anew: longer than a call and its retries take.
const MARGIN: Duration = Duration::from_secs(60);
/// What an error of STS names as its action.
const ASSUME: &str = "sts:AssumeRole";
/// So many roles are being assumed at once: STS throttles the account that asks.
const AT_ONCE: usize = 64;
/// The permission without which nobody sets a source identity.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_monitor.html>
const SET_IDENTITY: &str = "sts:SetSourceIdentity";

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

/// That sessions do not have the source identity that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceIdentity {
    /// What was asked for, and refused.
    pub asked: String,
    /// What holds in its place, where STS says it: the caller's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}

impl fmt::Display for SourceIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, held } = self;
        match held {
            Some(held) => write!(f, "source identity: the caller's own, {held}, and not {asked}"),
            None => write!(
                f,
                "source identity: not {asked}, which STS refused: the caller's session keeps its own, or {SET_IDENTITY} is \
                 not allowed"
            ),
        }
    }
}

/// What a run knows of its sessions' source identity.
#[derive(Debug, Default)]
struct Identity {
    /// That a session was given without ours.
    other: Option<SourceIdentity>,
    /// Whether ours is refused in every account, because the caller has one.
    is_callers: bool,
}

/// Assumes the target role, once for each account and [`SessionKind`], and anew before such a session ends; a refusal is
/// remembered as well.
#[derive(Debug)]
pub struct Sessions {
    base: SdkConfig,
    sts: aws_sdk_sts::Client,
    at_once: Arc<Semaphore>,
    access: Arc<Access>,
    region: String,
    identity: Arc<Mutex<Identity>>,
    sessions: Mutex<HashMap<(AccountId, SessionKind), Arc<Session>>>,
}

/// One role's session.
#[derive(Debug)]
struct Session {
    sts: aws_sdk_sts::Client,
    at_once: Arc<Semaphore>,
    access: Arc<Access>,
    role_arn: String,
    kind: SessionKind,
    identity: Arc<Mutex<Identity>>,
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
        let at_once = Arc::new(Semaphore::new(AT_ONCE));
        Self { sts, at_once, access, region, base, identity: Arc::default(), sessions: Mutex::default() }
    }

    /// That sessions of this run do not have the source identity that they were to have; none where all have it.
    pub fn other_identity(&self) -> Option<SourceIdentity> {
        lock(&self.identity).other.clone()
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
            at_once: Arc::clone(&self.at_once),
            access: Arc::clone(&self.access),
            role_arn: format!("{role_arn}{}", kind.role_suffix()),
            kind,
            identity: Arc::clone(&self.identity),
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

    /// Credentials with our source identity; with none of ours where the caller's own holds.
    async fn assume(&self) -> Result<Credentials> {
        let ours = &self.access.source_identity;
        if lock(&self.identity).is_callers {
            return credentials(self.ask(None).await?);
        }
        let refusal = match self.ask(Some(ours)).await {
            Ok(answer) => return credentials(answer),
            Err(error) if error.code.as_deref() == Some("AccessDenied") => error,
            Err(error) => return Err(error),
        };
        let mut answer = self.ask(None).await?;
        let held = answer.source_identity.take();
        // A permission that is missing may be missing in this account alone.
        let is_callers = held.is_some() || !refusal.message.contains(SET_IDENTITY);
        tracing::warn!(held, "{refusal}: the role was assumed without the source identity {ours}");
        let mut identity = lock(&self.identity);
        identity.is_callers |= is_callers;
        identity.other.get_or_insert(SourceIdentity { asked: ours.clone(), held });
        drop(identity);
        credentials(answer)
    }

    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
    async fn ask(&self, source_identity: Option<&String>) -> Result<AssumeRoleOutput> {
        let Access { role, read_policy, session_name, session_length, .. } = &*self.access;
        let seconds = session_length.and_then(|length| i32::try_from(length.as_secs()).ok());
        let request = self
            .sts
            .assume_role()
            .role_arn(&self.role_arn)
            .role_session_name(session_name)
            .set_source_identity(source_identity.cloned())
            .set_external_id(role.external_id.clone())
            .set_policy(self.kind.is_read_only().then(|| read_policy.clone()))
            .set_duration_seconds(seconds);
        // It is never closed, so this waits and cannot fail.
        let _permit = self.at_once.acquire().await;
        of_no_account(request.send()).await.map_err(|error| Error::api(ASSUME, error))
    }
}

fn credentials(answer: AssumeRoleOutput) -> Result<Credentials> {
    let credentials = answer.credentials.ok_or_else(|| Error::unusable(ASSUME, "no credentials"))?;
    Ok(Credentials::new(
        credentials.access_key_id,
        credentials.secret_access_key,
        Some(credentials.session_token),
        SystemTime::try_from(credentials.expiration).ok(),
        "autoremediate-target-role",
    ))
}

fn lock(identity: &Mutex<Identity>) -> MutexGuard<'_, Identity> {
    identity.lock().unwrap_or_else(PoisonError::into_inner)
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
