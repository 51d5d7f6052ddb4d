//! The credentials of whoever runs this, from where the AWS CLI takes them.
//!
//! Without `--profile`: the environment's keys, then the profile of `AWS_PROFILE` (or the default one), a web identity, a
//! container, the instance. With it, the environment's keys and web identity do not count, and the rest does.
//! <https://docs.aws.amazon.com/cli/latest/userguide/cli-chap-authentication.html>,
//! <https://github.com/boto/botocore/blob/develop/botocore/credentials.py> (`create_credential_resolver`)
//!
//! What a profile says of itself is the SDK's to load. The roles that it names are assumed here: the SDK knows neither
//! `mfa_serial` nor `duration_seconds`, and does not say at which of the profiles of a chain it failed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::credentials::EnvironmentVariableCredentialsProvider;
use aws_config::imds;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileSet};
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_sts::config::{Credentials, IdentityCache};
use aws_types::os_shim_internal::Env;
use remediation::{Error as CallError, plain};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::error::NoCredentials;
use crate::session::credentials::mfa::Ask;
use crate::session::credentials::profiles::{Base, Chain, Kind, ProfileError, Role};

pub(crate) mod mfa;
mod profiles;

/// How long a provider may take: it may ask another process, or IAM Identity Center.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How often the instance's metadata service is asked: where there is none, it takes a second each time.
const METADATA_TRIES: u32 = 2;
/// So long before their end credentials are renewed.
const MARGIN: Duration = Duration::from_secs(60);
/// What to look at where a web identity is of no use.
const OF_WEB_IDENTITY: &str = "is the file there, and does the role trust its issuer?";
/// What the SDK says of a call that did not reach AWS.
const UNREACHED: [&str; 2] = ["dispatch failure", "no answer in"];
/// What IAM Identity Center says to who has logged in and may not have this.
const UNASSIGNED: &str = "ForbiddenException";

/// The names of the profiles in the files of the AWS configuration, in order.
pub(crate) fn profile_names() -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.map(|runtime| runtime.block_on(profiles::names(&Env::real()))).unwrap_or_default()
}

/// The profile that counts, and who named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// `--profile`.
    Argument(String),
    /// `AWS_PROFILE`, or `AWS_DEFAULT_PROFILE`, as the AWS CLI also calls it.
    Environment(String),
    /// Nobody.
    Default,
}

impl Chosen {
    /// The profile of the argument, else of the environment. A variable that is empty names none.
    pub(crate) fn of(argument: Option<&str>, env: &Env) -> Self {
        let variable = |name| env.get(name).ok().filter(|text| !text.is_empty());
        match argument {
            Some(name) => Self::Argument(name.to_owned()),
            None => variable("AWS_PROFILE")
                .or_else(|| variable("AWS_DEFAULT_PROFILE"))
                .map_or(Self::Default, Self::Environment),
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Argument(name) | Self::Environment(name) => name,
            Self::Default => "default",
        }
    }
}

/// Reads the files of the AWS configuration.
async fn read(env: &Env) -> Result<ProfileSet, NoCredentials> {
    let advice = || "correct the file; AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name other ones".to_owned();
    profiles::load(env).await.map_err(|error| NoCredentials { reason: plain(&error), advice: advice() })
}

/// The provider of the credentials, which asks for none yet. `config` reaches AWS.
///
/// # Errors
///
/// The files of the AWS configuration cannot be read, or the profile is not in them.
pub(crate) async fn provider(
    chosen: &Chosen,
    config: &SdkConfig,
    ask: Ask,
) -> Result<SharedCredentialsProvider, NoCredentials> {
    let env = Env::real();
    let profiles = read(&env).await?;
    let is_there = profiles.get_profile(chosen.name()).is_some();
    let chain = (is_there || *chosen != Chosen::Default).then(|| Chain::of(&profiles, chosen.name()));
    if let Some(Err(error @ ProfileError::Unknown { .. })) = &chain {
        return Err(unusable(error, chosen));
    }
    let settings = settings(config);
    let start_of = |chain: Chain| base(&chain.base, &profiles, &settings).map(|base| Start { chain, base });
    let start = chain.transpose().map_err(|error| unusable(&error, chosen));
    let start = start.and_then(|chain| chain.map(start_of).transpose());
    let of_profile = OfProfile { start, config: config.clone(), ask, known: Mutex::default() };
    let providers = match chosen {
        Chosen::Argument(_) => CredentialsProviderChain::first_try("Profile", of_profile),
        Chosen::Environment(_) | Chosen::Default => {
            let token_file = env.get("AWS_WEB_IDENTITY_TOKEN_FILE").unwrap_or_default();
            let web = Told {
                provider: WebIdentityTokenCredentialsProvider::builder().configure(&settings).build(),
                what: format!("the web identity of AWS_WEB_IDENTITY_TOKEN_FILE = {token_file}"),
                advice: OF_WEB_IDENTITY,
            };
            CredentialsProviderChain::first_try("Environment", EnvironmentVariableCredentialsProvider::new())
                .or_else("Profile", of_profile)
                .or_else("WebIdentityToken", web)
        }
    };
    let token_file = env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").ok();
    let token_file = token_file.map(|file| format!(" with AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE = {file}"));
    let container = Told {
        provider: container(&settings),
        what: format!("the container's role{}", token_file.unwrap_or_default()),
        advice: "look at the role of the task or the pod, and at its AWS_CONTAINER_… variables",
    };
    let instance = Told {
        provider: instance(&settings),
        what: "the instance's role".to_owned(),
        advice: "look at the instance's profile and role; AWS_EC2_METADATA_DISABLED=true does not ask for them",
    };
    Ok(SharedCredentialsProvider::new(
        providers.or_else("EcsContainer", container).or_else("Ec2InstanceMetadata", instance),
    ))
}

/// Why there are no credentials, from a provider's error.
pub(crate) fn why(error: &CredentialsError, chosen: &Chosen) -> NoCredentials {
    let causes = std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source());
    if let Some(told) = causes.filter_map(|cause| cause.downcast_ref::<NoCredentials>()).next() {
        return told.clone();
    }
    if !matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
        return NoCredentials { reason: plain(error), advice: set_up() };
    }
    let where_not = match chosen {
        Chosen::Argument(name) => {
            format!("the profile `{name}` has none, and neither a container nor the instance does")
        }
        Chosen::Environment(name) => {
            format!(
                "there are none in the environment, the profile `{name}`, a web identity, a container or the instance"
            )
        }
        Chosen::Default => {
            "there are none in the environment, the default profile, a web identity, a container or the instance"
                .to_owned()
        }
    };
    NoCredentials { reason: where_not, advice: set_up() }
}

fn set_up() -> String {
    "give --profile, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned()
}

fn unusable(error: &ProfileError, chosen: &Chosen) -> NoCredentials {
    let advice = match chosen {
        Chosen::Argument(_) => "correct --profile, or the AWS configuration",
        Chosen::Environment(_) => "correct AWS_PROFILE, or the AWS configuration",
        Chosen::Default => "correct the AWS configuration",
    };
    NoCredentials { reason: error.to_string(), advice: advice.to_owned() }
}

/// What the SDK's providers reach AWS with.
fn settings(config: &SdkConfig) -> ProviderConfig {
    let mut settings = ProviderConfig::without_region().with_region(config.region().cloned());
    if let Some(http) = config.http_client() {
        settings = settings.with_http_client(http);
    }
    if let Some(timeouts) = config.timeout_config() {
        settings = settings.with_timeout_config(timeouts.clone());
    }
    if let Some(retries) = config.retry_config() {
        settings = settings.with_retry_config(retries.clone());
    }
    settings.with_use_fips(config.use_fips()).with_use_dual_stack(config.use_dual_stack())
}

/// What gives the credentials that a chain begins with.
fn base(
    base: &Base,
    profiles: &ProfileSet,
    settings: &ProviderConfig,
) -> Result<Arc<dyn ProvideCredentials>, NoCredentials> {
    Ok(match base {
        Base::Profile { name, .. } => {
            Arc::new(ProfileFileCredentialsProvider::builder().configure(settings).profile_name(name).build())
        }
        Base::Keys { profile } => Arc::new(keys(profiles, profile)?),
        Base::Environment => Arc::new(EnvironmentVariableCredentialsProvider::new()),
        Base::Container => Arc::new(container(settings)),
        Base::Instance => Arc::new(instance(settings)),
    })
}

/// The keys in a profile, whatever role it names.
fn keys(profiles: &ProfileSet, name: &str) -> Result<Credentials, NoCredentials> {
    let profile = profiles.get_profile(name);
    let value = |key: &'static str| {
        let missing = || NoCredentials {
            reason: format!("the profile `{name}` has no {key}"),
            advice: "add it, in the file of credentials".to_owned(),
        };
        profile.and_then(|profile| profile.get(key)).ok_or_else(missing)
    };
    let token = profile.and_then(|profile| profile.get("aws_session_token")).map(str::to_owned);
    let (id, secret) = (value("aws_access_key_id")?, value("aws_secret_access_key")?);
    Ok(Credentials::new(id, secret, token, None, "autoremediate-profile"))
}

fn container(settings: &ProviderConfig) -> EcsCredentialsProvider {
    EcsCredentialsProvider::builder().configure(settings).build()
}

fn instance(settings: &ProviderConfig) -> ImdsCredentialsProvider {
    let client = imds::Client::builder().configure(settings).max_attempts(METADATA_TRIES).build();
    ImdsCredentialsProvider::builder().configure(settings).imds_client(client).build()
}

/// A provider whose failure says what it is of. That it has nothing to say of is no failure.
#[derive(Debug)]
struct Told<P> {
    provider: P,
    what: String,
    advice: &'static str,
}

impl<P: ProvideCredentials> ProvideCredentials for Told<P> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let failed = |reason: String| {
                let advice = advice_for(&reason, self.advice.to_owned());
                Err(told(NoCredentials { reason: format!("{}: {reason}", self.what), advice }))
            };
            match timeout(TIMEOUT, self.provider.provide_credentials()).await {
                Ok(Err(error)) if !matches!(error, CredentialsError::CredentialsNotLoaded(_)) => failed(plain(&error)),
                Ok(answer) => answer,
                Err(_) => failed(no_answer()),
            }
        })
    }
}

/// The credentials of a profile.
#[derive(Debug)]
struct OfProfile {
    /// None where there is no default profile.
    start: Result<Option<Start>, NoCredentials>,
    config: SdkConfig,
    ask: Ask,
    /// The credentials of the last time.
    known: Mutex<Option<Credentials>>,
}

/// A chain, and what gives the credentials that it begins with.
#[derive(Debug)]
struct Start {
    chain: Chain,
    base: Arc<dyn ProvideCredentials>,
}

impl ProvideCredentials for OfProfile {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

impl OfProfile {
    /// Those of the last time, as long as they are good.
    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let not_here = || CredentialsError::not_loaded_no_source();
        let start = self.start.as_ref().map_err(|why| told(why.clone()))?;
        let Some(Start { chain: Chain { base, roles }, base: provider }) = start else { return Err(not_here()) };
        let mut known = self.known.lock().await;
        if let Some(credentials) = known.as_ref().filter(|credentials| is_good(credentials)) {
            return Ok(credentials.clone());
        }
        if let (Some(role), Some(_)) = (roles.iter().find(|role| role.mfa_serial.is_some()), &*known) {
            return Err(told(ended(role)));
        }
        let mut credentials = match timeout(TIMEOUT, provider.provide_credentials()).await {
            Ok(Ok(credentials)) => credentials,
            Ok(Err(error)) if is_nothing(base, roles, &error) => return Err(not_here()),
            Ok(Err(error)) => return Err(told(failed(base, &plain(&error), Fault::of(&error)))),
            Err(_) => return Err(told(failed(base, &no_answer(), Fault::Answer))),
        };
        for role in roles {
            credentials = self.assume(role, credentials).await.map_err(told)?;
        }
        Ok(known.insert(credentials).clone())
    }

    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
    async fn assume(&self, role: &Role, with: Credentials) -> Result<Credentials, NoCredentials> {
        const ACTION: &str = "sts:AssumeRole";
        let Role { profile, arn, external_id, session_name, mfa_serial, length } = role;
        let code = match mfa_serial {
            Some(serial) => Some(mfa::code(self.ask, profile, serial).await?),
            None => None,
        };
        let config = self.config.to_builder().credentials_provider(SharedCredentialsProvider::new(with));
        let sts = aws_sdk_sts::Client::new(&config.identity_cache(IdentityCache::no_cache()).build());
        let own_name = || format!("autoremediate-{}", ambient::now().as_second());
        let request = sts
            .assume_role()
            .role_arn(arn)
            .role_session_name(session_name.clone().unwrap_or_else(own_name))
            .set_external_id(external_id.clone())
            .set_serial_number(mfa_serial.clone())
            .set_token_code(code)
            .set_duration_seconds(length.and_then(|length| i32::try_from(length.as_secs()).ok()));
        let refused = |error: CallError| {
            let reason = format!("the role {arn} of the profile `{profile}` cannot be assumed: {error}");
            let advice = "look at what the role trusts, and at what the profile's source may do";
            NoCredentials { advice: advice_for(&reason, advice.to_owned()), reason }
        };
        let answer = request.send().await.map_err(|error| refused(CallError::api(ACTION, error)))?;
        let given = answer.credentials.ok_or_else(|| refused(CallError::unusable(ACTION, "no credentials")))?;
        let end = SystemTime::try_from(given.expiration).ok();
        let token = Some(given.session_token);
        Ok(Credentials::new(given.access_key_id, given.secret_access_key, token, end, "autoremediate-profile"))
    }
}

fn told(why: NoCredentials) -> CredentialsError {
    CredentialsError::provider_error(why)
}

fn no_answer() -> String {
    format!("no answer in {} s", TIMEOUT.as_secs())
}

fn is_good(credentials: &Credentials) -> bool {
    credentials.expiry().is_none_or(|end| end > ambient::system_time() + MARGIN)
}

/// Whether a profile just has no credentials, so that the container's or the instance's are its own.
fn is_nothing(base: &Base, roles: &[Role], error: &CredentialsError) -> bool {
    let has_none = matches!(base, Base::Profile { kind: Kind::Missing, .. });
    has_none && roles.is_empty() && matches!(error, CredentialsError::CredentialsNotLoaded(_))
}

/// What is at fault where a profile gives no credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// What it says.
    Profile,
    /// What was answered, or read, where it says.
    Answer,
}

impl Fault {
    fn of(error: &CredentialsError) -> Self {
        match error {
            CredentialsError::InvalidConfiguration(_) | CredentialsError::CredentialsNotLoaded(_) => Self::Profile,
            _ => Self::Answer,
        }
    }
}

/// Why a chain could not begin, and what to do about it.
fn failed(base: &Base, reason: &str, fault: Fault) -> NoCredentials {
    let (what, advice) = match base {
        Base::Profile { name, kind: Kind::Missing } => {
            let reason = format!("the profile `{name}` has no credentials");
            let advice = format!("add them: aws configure --profile {name}, or aws configure sso --profile {name}");
            return NoCredentials { reason, advice };
        }
        Base::Profile { name, kind } => of_profile(name, kind, reason, fault),
        Base::Keys { profile } => (format!("the profile `{profile}`"), "correct its keys".to_owned()),
        Base::Environment => {
            ("credential_source = Environment".to_owned(), "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned())
        }
        Base::Container => (
            "credential_source = EcsContainer".to_owned(),
            "this works in a container that has a role of its own".to_owned(),
        ),
        Base::Instance => (
            "credential_source = Ec2InstanceMetadata".to_owned(),
            "this works on an instance that has a role of its own".to_owned(),
        ),
    };
    NoCredentials { reason: format!("{what}: {reason}"), advice: advice_for(reason, advice) }
}

fn of_profile(name: &str, kind: &Kind, reason: &str, fault: Fault) -> (String, String) {
    let of = format!("the profile `{name}`");
    match kind {
        Kind::Sso if fault == Fault::Profile => (of, format!("correct it: aws configure sso --profile {name}")),
        Kind::Sso if reason.contains(UNASSIGNED) => {
            let advice = "you are logged in, and its sso_role_name is not assigned to you in its sso_account_id: ask for it, \
                          or correct them";
            (of, advice.to_owned())
        }
        Kind::Sso => (of, format!("log in: aws sso login --profile {name}")),
        Kind::Login => (of, format!("log in: aws login --profile {name}")),
        Kind::Process => {
            let advice = "run it by itself to see what it says";
            (format!("the credential_process of the profile `{name}`"), advice.to_owned())
        }
        Kind::WebIdentity { token_file } => {
            (format!("{of}, web_identity_token_file = {token_file}"), OF_WEB_IDENTITY.to_owned())
        }
        Kind::Keys | Kind::Missing => (of, "correct its keys".to_owned()),
    }
}

/// The advice, unless nothing reached AWS at all.
fn advice_for(reason: &str, advice: String) -> String {
    let reached = !UNREACHED.iter().any(|part| reason.contains(part));
    if reached {
        advice
    } else {
        "can this machine reach it? Look at the network, and at HTTPS_PROXY and NO_PROXY".to_owned()
    }
}

/// A session for which a code was typed is not renewed: nobody may be there any more to type another.
fn ended(Role { profile, .. }: &Role) -> NoCredentials {
    NoCredentials {
        reason: format!("the session of the profile `{profile}`, for which a code was typed, has ended"),
        advice:
            "run the command again; duration_seconds in the profile, up to what the role allows, makes a longer session"
                .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_counts_before_the_environment() {
        let env = |of: &[(&str, &str)]| Env::from_slice(of);
        let both = [("AWS_PROFILE", "security"), ("AWS_DEFAULT_PROFILE", "older")];
        let of_environment = |name: &str| Chosen::Environment(name.into());
        assert_eq!(Chosen::of(Some("audit"), &env(&both)), Chosen::Argument("audit".into()));
        assert_eq!(Chosen::of(None, &env(&both)), of_environment("security"));
        assert_eq!(Chosen::of(None, &env(&both[1..])), of_environment("older"));
        assert_eq!(Chosen::of(None, &env(&[("AWS_PROFILE", "")])), Chosen::Default);
    }

    #[test]
    fn who_is_not_logged_in_is_told_where_to_log_in() {
        let sso = Base::Profile { name: "people".into(), kind: Kind::Sso };
        for reason in [
            "an error occurred while loading an access token: failed to load the cached SSO token",
            "service error: UnauthorizedException: Session token not found or invalid",
        ] {
            assert_eq!(failed(&sso, reason, Fault::Answer).advice, "log in: aws sso login --profile people");
        }
        let unassigned = failed(&sso, "service error: ForbiddenException: No access", Fault::Answer).advice;
        assert!(unassigned.contains("not assigned to you") && !unassigned.contains("aws sso login"), "{unassigned}");
        let login = Base::Profile { name: "console".into(), kind: Kind::Login };
        let expired = failed(&login, "cached Login token is expired", Fault::Answer).advice;
        assert_eq!(expired, "log in: aws login --profile console");
        let unreached = failed(&sso, "dispatch failure: io error", Fault::Answer).advice;
        assert!(unreached.contains("HTTPS_PROXY") && !unreached.contains("aws sso login"), "{unreached}");
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_parsed_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(&file, "[default]\nregion = eu-west-1\n[profile broken\n").unwrap();
        let error = read(&Env::from_slice(&[("AWS_CONFIG_FILE", file.to_str().unwrap())])).await.unwrap_err();
        assert!(error.reason.contains("config") && error.reason.contains("line 3"), "{}", error.reason);
    }
}
