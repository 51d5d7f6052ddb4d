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

/// The tenant that the environment names as Netskope's own tools do; none where it names none.
pub(crate) fn of_environment() -> Option<Tenant> {
    domain_of(env::var("NETSKOPE_TENANT").ok())
}

/// A domain name, also where it is written as the address of the tenant's page.
fn domain_of(variable: Option<String>) -> Option<Tenant> {
    let text = variable?;
    let domain = text.trim().strip_prefix("https://").unwrap_or(text.trim()).trim_end_matches('/');
    (!domain.is_empty()).then(|| Tenant::Domain(domain.to_owned()))
}

/// The token of the tenant's API, from the environment: from our own variable, or else from that of Netskope's tools.
pub(crate) fn token() -> Result<SecretString, Error> {
    token_of(["NETSKOPE_TOKEN", "NETSKOPE_API_TOKEN"].map(|name| env::var(name).ok()))
}

/// The first variable that holds something.
fn token_of(variables: [Option<String>; 2]) -> Result<SecretString, Error> {
    // A file that Windows wrote begins with a byte order mark.
    let token = |variable: String| variable.trim_start_matches('\u{feff}').trim().to_owned();
    let mut tokens = variables.into_iter().flatten().map(token).filter(|token| !token.is_empty());
    tokens.next().map(SecretString::from).ok_or(Error::NoToken)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn the_token_comes_from_the_environment_and_is_never_shown() {
        let of =
            |ours: Option<&str>, theirs: Option<&str>| token_of([ours, theirs].map(|text| text.map(str::to_owned)));
        assert!(matches!(of(None, None), Err(Error::NoToken)));
        assert!(matches!(of(Some(" \n"), None), Err(Error::NoToken)));
        assert_eq!(of(Some(" "), Some("theirs")).unwrap().expose_secret(), "theirs");
        assert_eq!(of(Some("ours"), Some("theirs")).unwrap().expose_secret(), "ours");
        let token = of(Some("\u{feff}s3cr3t-token\r\n"), None).unwrap();
        assert_eq!(token.expose_secret(), "s3cr3t-token");
        assert!(!format!("{token:?}").contains("s3cr3t"));
    }

    #[test]
    fn the_environment_names_a_tenant_by_its_domain_or_its_page() {
        let of = |text: &str| domain_of(Some(text.to_owned()));
        for text in ["example.goskope.com", " https://example.goskope.com/ ", "https://example.goskope.com"] {
            assert_eq!(of(text), Some(Tenant::Domain("example.goskope.com".into())), "{text}");
        }
        assert_eq!((domain_of(None), of(" ")), (None, None));
    }
}
