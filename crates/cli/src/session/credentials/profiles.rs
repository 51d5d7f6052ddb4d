//! A profile of the AWS configuration: where its credentials come from, and which roles are assumed with them.
//!
//! ```text
//! [profile audit]                         [profile people]
//! role_arn = arn:…:role/auditor           sso_session = corp
//! source_profile = people          ──►    sso_account_id = …
//! mfa_serial = arn:…:mfa/me
//! ```
//!
//! Read from left to right, a profile is a chain: roles, and at its end the profile whose credentials begin it. Nothing
//! here calls AWS. <https://docs.aws.amazon.com/cli/latest/topic/config-vars.html>

use std::time::Duration;

use aws_config::profile::{self, Profile, ProfileFileLoadError, ProfileSet};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};
use remediation::nearest;

/// The most seconds of a role's session.
const LONGEST: u64 = 43_200;
/// The fewest.
const SHORTEST: u64 = 900;
/// So many profiles are named in an error.
const MOST_NAMED: usize = 20;

/// Reads the files of the AWS configuration.
pub(super) async fn load(env: &Env) -> Result<ProfileSet, ProfileFileLoadError> {
    profile::load(&Fs::real(), env, &EnvConfigFiles::default(), None).await
}

/// The names of the profiles, in order; none where they cannot be read.
pub(super) async fn names(env: &Env) -> Vec<String> {
    let Ok(profiles) = load(env).await else { return Vec::new() };
    let mut names: Vec<_> = profiles.profiles().map(str::to_owned).collect();
    names.sort_unstable();
    names
}

/// Where the credentials of a profile come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) base: Base,
    /// The roles, in the order in which they are assumed.
    pub(super) roles: Vec<Role>,
}

/// What a chain begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Base {
    /// What a profile says of itself.
    Profile { name: String, kind: Kind },
    /// The keys in a profile that also names a role.
    Keys { profile: String },
    /// `credential_source`: the keys of the environment.
    Environment,
    /// `credential_source`: the role of the container.
    Container,
    /// `credential_source`: the role of the instance.
    Instance,
}

/// The kind of the credentials in a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// IAM Identity Center.
    Sso,
    /// `aws login`.
    Login,
    Process,
    WebIdentity {
        token_file: String,
    },
    Keys,
    /// It has none, such as one that only names a region.
    Missing,
}

/// A role to assume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Role {
    /// The profile that names it.
    pub(super) profile: String,
    pub(super) arn: String,
    pub(super) external_id: Option<String>,
    pub(super) session_name: Option<String>,
    /// The MFA device whose code is asked for.
    pub(super) mfa_serial: Option<String>,
    /// None is AWS's own hour.
    pub(super) length: Option<Duration>,
}

/// A profile that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProfileError {
    #[error("there is no profile `{name}` in the AWS configuration; there are: {known}")]
    Unknown { name: String, known: String },
    #[error("the profile `{by}` has source_profile = {name}, and there is no such profile; there are: {known}")]
    UnknownSource { name: String, by: String, known: String },
    #[error("the profiles {path} lead back to `{next}`: correct a source_profile")]
    Loop { path: String, next: String },
    #[error("the profile `{0}` has both source_profile and credential_source: keep one")]
    TwoSources(String),
    #[error("the profile `{0}` has role_arn, and neither source_profile nor credential_source: add one")]
    NoSource(String),
    #[error("the profile `{0}` is its own source_profile and has no keys: add them, or name another profile")]
    OwnSource(String),
    #[error(
        "the profile `{profile}` has credential_source = {source_name}: give Environment, EcsContainer or Ec2InstanceMetadata"
    )]
    Source { profile: String, source_name: String },
    #[error("the profile `{profile}` has duration_seconds = {text}: give {SHORTEST} to {LONGEST}")]
    Duration { profile: String, text: String },
}

impl Chain {
    /// The chain that begins, or ends, with the profile `name`.
    ///
    /// # Errors
    ///
    /// A profile that is not there, or cannot be used.
    pub(super) fn of(profiles: &ProfileSet, name: &str) -> Result<Self, ProfileError> {
        let mut seen: Vec<&str> = Vec::new();
        let mut roles = Vec::new();
        let mut name = name;
        let base = loop {
            let Some(profile) = profiles.get_profile(name) else { return Err(unknown(profiles, name, seen.last())) };
            if seen.contains(&name) {
                return Err(ProfileError::Loop { path: quoted(&seen), next: name.to_owned() });
            }
            seen.push(name);
            // A web identity begins a chain. The keys of a source are taken before its role, as the AWS CLI does.
            let is_role = profile.get("role_arn").is_some() && profile.get("web_identity_token_file").is_none();
            let is_source = seen.len() > 1;
            match is_role {
                false => break Base::Profile { name: name.to_owned(), kind: Kind::of(profile) },
                true if is_source && has_keys(profile) => break Base::Keys { profile: name.to_owned() },
                true => roles.push(Role::of(profile)?),
            }
            match (profile.get("source_profile"), profile.get("credential_source")) {
                (Some(_), Some(_)) => return Err(ProfileError::TwoSources(name.to_owned())),
                (None, None) => return Err(ProfileError::NoSource(name.to_owned())),
                (Some(source), None) if source == name && has_keys(profile) => {
                    break Base::Keys { profile: name.to_owned() };
                }
                (Some(source), None) if source == name => return Err(ProfileError::OwnSource(name.to_owned())),
                (Some(source), None) => name = source,
                (None, Some(source)) => break named(profile, source)?,
            }
        };
        roles.reverse();
        Ok(Self { base, roles })
    }
}

impl Kind {
    fn of(profile: &Profile) -> Self {
        let has_one_of = |names: &[&str]| names.iter().any(|name| profile.get(name).is_some());
        if let Some(token_file) = profile.get("web_identity_token_file") {
            Self::WebIdentity { token_file: token_file.to_owned() }
        } else if has_one_of(&["sso_session", "sso_start_url", "sso_region", "sso_account_id", "sso_role_name"]) {
            Self::Sso
        } else if has_one_of(&["login_session"]) {
            Self::Login
        } else if has_one_of(&["credential_process"]) {
            Self::Process
        } else if has_keys(profile) {
            Self::Keys
        } else {
            Self::Missing
        }
    }
}

impl Role {
    fn of(profile: &Profile) -> Result<Self, ProfileError> {
        let text = |name| profile.get(name).map(str::to_owned);
        let length = profile.get("duration_seconds").map(|text| {
            let seconds = text.parse().ok().filter(|seconds| (SHORTEST..=LONGEST).contains(seconds));
            let wrong = || ProfileError::Duration { profile: profile.name().to_owned(), text: text.to_owned() };
            seconds.map(Duration::from_secs).ok_or_else(wrong)
        });
        Ok(Self {
            profile: profile.name().to_owned(),
            arn: text("role_arn").unwrap_or_default(),
            external_id: text("external_id"),
            session_name: text("role_session_name"),
            mfa_serial: text("mfa_serial"),
            length: length.transpose()?,
        })
    }
}

fn has_keys(profile: &Profile) -> bool {
    ["aws_access_key_id", "aws_secret_access_key"].iter().any(|name| profile.get(name).is_some())
}

/// What a `credential_source` names.
fn named(profile: &Profile, source: &str) -> Result<Base, ProfileError> {
    match source.to_ascii_lowercase().as_str() {
        "environment" => Ok(Base::Environment),
        "ecscontainer" => Ok(Base::Container),
        "ec2instancemetadata" => Ok(Base::Instance),
        _ => Err(ProfileError::Source { profile: profile.name().to_owned(), source_name: source.to_owned() }),
    }
}

fn unknown(profiles: &ProfileSet, name: &str, by: Option<&&str>) -> ProfileError {
    let mut known: Vec<_> = profiles.profiles().collect();
    known.sort_unstable();
    let known = match (known.len(), nearest(name, known.iter().copied())) {
        (0, _) => "none".to_owned(),
        (1..=MOST_NAMED, _) => quoted(&known),
        (many, Some(near)) => format!("{many}, such as `{near}`"),
        (many, None) => many.to_string(),
    };
    let name = name.to_owned();
    match by {
        None => ProfileError::Unknown { name, known },
        Some(by) => ProfileError::UnknownSource { name, by: (*by).to_owned(), known },
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn chain(config: &str, name: &str) -> Result<Chain, ProfileError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(&file, config).unwrap();
        let env = Env::from_slice(&[
            ("AWS_CONFIG_FILE", file.to_str().unwrap()),
            ("AWS_SHARED_CREDENTIALS_FILE", folder.path().join("none").to_str().unwrap()),
        ]);
        Chain::of(&load(&env).await.unwrap(), name)
    }

    fn role(profile: &str) -> Role {
        let (external_id, session_name, mfa_serial, length) = (None, None, None, None);
        Role { profile: profile.into(), arn: format!("arn:{profile}"), external_id, session_name, mfa_serial, length }
    }

    #[tokio::test]
    async fn a_chain_goes_to_the_profile_whose_credentials_begin_it() {
        let config = "\
[profile outer]
role_arn = arn:outer
source_profile = inner
mfa_serial = arn:mfa
duration_seconds = 7200
external_id = shared
role_session_name = me

[profile inner]
role_arn = arn:inner
source_profile = people

[profile people]
sso_session = corp
sso_account_id = 111122223333
sso_role_name = Security

[profile keys]
role_arn = arn:keys
source_profile = keys
aws_access_key_id = AKIAIOSFODNN7EXAMPLE
aws_secret_access_key = secret

[profile over-keys]
role_arn = arn:over-keys
source_profile = keys

[profile instance]
role_arn = arn:instance
credential_source = ec2InstanceMetadata

[profile pod]
role_arn = arn:pod
web_identity_token_file = /var/run/token
";
        let outer = Role {
            external_id: Some("shared".into()),
            session_name: Some("me".into()),
            mfa_serial: Some("arn:mfa".into()),
            length: Some(Duration::from_secs(7200)),
            ..role("outer")
        };
        let of_profile = |name: &str, kind| Base::Profile { name: name.into(), kind };
        let keys = Base::Keys { profile: "keys".into() };
        let token = Kind::WebIdentity { token_file: "/var/run/token".into() };
        for (name, base, roles) in [
            ("outer", of_profile("people", Kind::Sso), vec![role("inner"), outer]),
            ("keys", keys.clone(), vec![role("keys")]),
            ("over-keys", keys, vec![role("over-keys")]),
            ("instance", Base::Instance, vec![role("instance")]),
            ("pod", of_profile("pod", token), vec![]),
        ] {
            assert_eq!(chain(config, name).await.unwrap(), Chain { base, roles }, "{name}");
        }
    }

    #[tokio::test]
    async fn a_profile_that_cannot_be_used_says_which_and_why() {
        let config = "\
[default]
region = eu-west-1
[profile dangling]
role_arn = arn:r
source_profile = nobody
[profile a]
role_arn = arn:r
source_profile = b
[profile b]
role_arn = arn:r
source_profile = a
[profile two]
role_arn = arn:r
source_profile = a
credential_source = Environment
[profile none]
role_arn = arn:r
[profile own]
role_arn = arn:r
source_profile = own
[profile odd]
role_arn = arn:r
credential_source = Elsewhere
[profile short]
role_arn = arn:r
source_profile = default
duration_seconds = 60
";
        for (name, said) in [
            ("prod", &["no profile `prod`", "`dangling`", "`default`"][..]),
            ("dangling", &["`dangling` has source_profile = nobody", "`default`"]),
            ("a", &["`a`, `b` lead back to `a`"]),
            ("two", &["`two` has both"]),
            ("none", &["`none` has role_arn, and neither"]),
            ("own", &["`own` is its own source_profile"]),
            ("odd", &["credential_source = Elsewhere", "Ec2InstanceMetadata"]),
            ("short", &["duration_seconds = 60", "900 to 43200"]),
        ] {
            let error = chain(config, name).await.unwrap_err().to_string();
            assert!(said.iter().all(|part| error.contains(part)), "{name}: {error}");
        }
        assert!(chain("", "prod").await.unwrap_err().to_string().ends_with("there are: none"));
    }
}
