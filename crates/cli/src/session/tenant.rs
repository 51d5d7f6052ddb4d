//! The Netskope tenant and its token.

use std::env;

use netskope::Endpoint;
use secrecy::SecretString;

use crate::error::Error;

/// Where the Netskope API is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tenant {
    /// The domain name of a tenant.
    Domain(String),
    /// Another address, such as that of a proxy.
    Address(String),
}

impl Tenant {
    /// The API's endpoint.
    pub(crate) fn endpoint(&self) -> Result<Endpoint, Error> {
        Ok(match self {
            Self::Domain(domain) => Endpoint::tenant(domain)?,
            Self::Address(address) => Endpoint::url(address)?,
        })
    }
}

/// The token of the tenant's API, from the environment.
pub(crate) fn token() -> Result<SecretString, Error> {
    token_of(env::var("NETSKOPE_TOKEN").ok())
}

fn token_of(variable: Option<String>) -> Result<SecretString, Error> {
    // A file that Windows wrote begins with a byte order mark.
    let token = variable.map(|token| token.trim_start_matches('\u{feff}').trim().to_owned());
    let token = token.filter(|token| !token.is_empty());
    token.map(SecretString::from).ok_or(Error::NoToken)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn the_token_comes_from_the_environment_and_is_never_shown() {
        assert!(matches!(token_of(None), Err(Error::NoToken)));
        assert!(matches!(token_of(Some(" \n".into())), Err(Error::NoToken)));
        let token = token_of(Some("\u{feff}s3cr3t-token\r\n".into())).unwrap();
        assert_eq!(token.expose_secret(), "s3cr3t-token");
        assert!(!format!("{token:?}").contains("s3cr3t"));
    }
}
