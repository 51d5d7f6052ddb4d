//! How the network is reached: by which proxy, and whom TLS trusts.
//!
//! Two HTTP clients go out, the AWS SDK's and Netskope's, and each comes with rules of its own for proxies and
//! certificates. Here are the rules for both, so that one set of variables serves a whole network. They are those of
//! the AWS CLI, which whoever runs this has set up already:
//!
//! - [`Proxies`]: `HTTPS_PROXY` and `HTTP_PROXY` by the scheme of the address, except for what `NO_PROXY` names.
//!   Credentials of a machine or a container are never fetched through a proxy;
//! - [`CaBundle`]: the certificates of `AWS_CA_BUNDLE`, or of the profile's `ca_bundle`, in addition to the system's;
//! - [`Failure`]: why there was no connection, and which of these variables to look at.
//!
//! A setting that cannot be used is an error, and never "then without": whoever set a proxy does not want to go around
//! it. The user name and the password of a proxy are in no text that comes from here.
//!
//! <https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-proxy.html>,
//! <https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html>

mod ca_bundle;
mod exceptions;
mod failure;
mod proxies;

use std::path::{Path, PathBuf};

pub use ca_bundle::CaBundle;
pub use failure::Failure;
pub use proxies::{Proxies, Proxy};

/// How the network is reached.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// By which proxy.
    pub proxies: Proxies,
    /// Whom TLS trusts in addition to the system's certificates.
    pub ca_bundle: Option<CaBundle>,
}

/// A variable or a setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// A file of certificates that cannot be used.
    #[error(
        "{setting}: the certificates in {} cannot be used: {reason}. Name a file with the CA certificates of your network \
         in PEM form (-----BEGIN CERTIFICATE-----), or unset it", escape::brief(&path.display().to_string())
    )]
    CaBundle {
        /// What names the file.
        setting: String,
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The address of a proxy that cannot be used; it is not shown, since it may hold a password.
    #[error(
        "{variable}: its value cannot be used as the address of a proxy: {reason}. Give http://host:port, or \
         http://user:password@host:port with %40 for @, %3A for : and %2F for / in the password, or unset it"
    )]
    Proxy {
        /// The variable.
        variable: &'static str,
        /// Why not.
        reason: String,
    },
}

impl Network {
    /// What the environment says; `profile_bundle` is the `ca_bundle` of the AWS profile, which `AWS_CA_BUNDLE` comes
    /// before.
    ///
    /// # Errors
    ///
    /// A proxy's address or a file of certificates cannot be used.
    pub fn from_env(profile_bundle: Option<&Path>) -> Result<Self, SettingError> {
        let proxies = Proxies::from_env()?;
        // The system's certificates are then those of this file, and whoever loads them takes none in silence.
        if let Some(path) = file_of("SSL_CERT_FILE") {
            CaBundle::read("SSL_CERT_FILE", &path)?;
        }
        let ca_bundle = match (file_of("AWS_CA_BUNDLE"), profile_bundle) {
            (Some(path), _) => Some(CaBundle::read("AWS_CA_BUNDLE", &path)?),
            (None, Some(path)) => Some(CaBundle::read("ca_bundle of the AWS profile", path)?),
            (None, None) => None,
        };
        Ok(Self { proxies, ca_bundle })
    }
}

/// The file that a variable names; an empty one names none.
fn file_of(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from)
}
