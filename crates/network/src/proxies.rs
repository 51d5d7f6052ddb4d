//! The proxies of the environment.

use std::ffi::{OsStr, OsString};
use std::fmt;

use url::Url;

use crate::SettingError;
use crate::exceptions::Exceptions;

/// The variables of each scheme. The name in small letters comes first, and where it is empty there is no proxy, as in
/// the AWS CLI; it, too, knows no ALL_PROXY.
const OF_HTTPS: [&str; 2] = ["https_proxy", "HTTPS_PROXY"];
const OF_HTTP: [&str; 2] = ["http_proxy", "HTTP_PROXY"];
const NOT_OF: [&str; 2] = ["no_proxy", "NO_PROXY"];
/// The addresses of credentials that the environment itself names.
const OF_CREDENTIALS: [&str; 2] = ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_EC2_METADATA_SERVICE_ENDPOINT"];

/// Which proxy is asked for which address.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    https: Option<Proxy>,
    http: Option<Proxy>,
    exceptions: Exceptions,
}

/// A proxy. Its text and its Debug output are the address without user name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    variable: &'static str,
    url: Url,
}

impl Proxies {
    /// Those of the environment.
    ///
    /// # Errors
    ///
    /// An address cannot be used.
    pub fn from_env() -> Result<Self, SettingError> {
        Self::of(|name| std::env::var_os(name))
    }

    /// Those of an environment: the value of each variable.
    ///
    /// # Errors
    ///
    /// An address cannot be used.
    pub fn of(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, SettingError> {
        let first = |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, variable(name)?)));
        let proxy = |names| match first(names) {
            Some((name, value)) if !value.is_empty() => Proxy::new(name, &value).map(Some),
            _ => Ok(None),
        };
        let (https, http) = (proxy(OF_HTTPS)?, proxy(OF_HTTP)?);
        let list = first(NOT_OF).map(|(_, list)| list.to_string_lossy().into_owned()).unwrap_or_default();
        let of_credentials =
            OF_CREDENTIALS.into_iter().filter_map(|name| variable(name)?.to_str()?.parse::<Url>().ok());
        let exceptions =
            of_credentials.fold(Exceptions::of_list(&list).and_credentials(), |all, url| all.and_url(&url));
        Ok(Self { https, http, exceptions })
    }

    /// The proxy for `https` addresses.
    pub fn https(&self) -> Option<&Proxy> {
        self.https.as_ref()
    }

    /// The proxy for `http` addresses.
    pub fn http(&self) -> Option<&Proxy> {
        self.http.as_ref()
    }

    /// The proxy that is asked for an address; none where it is reached directly.
    pub fn of_address(&self, scheme: &str, host: &str, port: Option<u16>) -> Option<&Proxy> {
        let (proxy, usual) = match scheme {
            "https" => (self.https()?, 443),
            "http" => (self.http()?, 80),
            _ => return None,
        };
        (!self.exceptions.cover(host, port.unwrap_or(usual))).then_some(proxy)
    }
}

impl Proxy {
    /// The proxy at the address that a variable holds; without a scheme, it is spoken to in HTTP.
    fn new(variable: &'static str, value: &OsStr) -> Result<Self, SettingError> {
        let unusable = |reason: &str| SettingError::Proxy { variable, reason: reason.to_owned() };
        let value = value.to_str().ok_or_else(|| unusable("it is not UTF-8"))?.trim();
        let address = match value.strip_prefix("//") {
            Some(rest) => format!("http://{rest}"),
            None if value.contains("://") => value.to_owned(),
            None => format!("http://{value}"),
        };
        let url = Url::parse(&address).map_err(|error| unusable(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(unusable("only http and https proxies are supported"));
        }
        if url.host_str().is_none()
            || !matches!(url.path(), "" | "/")
            || url.query().is_some()
            || url.fragment().is_some()
        {
            return Err(unusable("there is something after its port, or / ? # in its password"));
        }
        Ok(Self { variable, url })
    }

    /// Its address, with the user name and the password: never to be shown.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The variable that names it.
    pub fn variable(&self) -> &'static str {
        self.variable
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host) = (self.url.scheme(), self.url.host_str().unwrap_or_default());
        write!(f, "{scheme}://{host}:{}", self.url.port_or_known_default().unwrap_or_default())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self} of {})", self.variable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(environment: &[(&str, &str)]) -> Result<Proxies, SettingError> {
        Proxies::of(|name| environment.iter().find(|(of, _)| *of == name).map(|(_, value)| OsString::from(value)))
    }

    fn asked(environment: &[(&str, &str)], address: &str) -> Option<String> {
        let (proxies, url) = (of(environment).unwrap(), Url::parse(address).unwrap());
        proxies.of_address(url.scheme(), url.host_str().unwrap(), url.port()).map(ToString::to_string)
    }

    const STS: &str = "https://sts.eu-west-1.amazonaws.com/";

    #[test]
    fn each_scheme_has_its_proxy_and_small_letters_come_first() {
        let upper = ("HTTPS_PROXY", "http://upper:3128");
        assert_eq!(asked(&[upper], STS).unwrap(), "http://upper:3128");
        assert_eq!(asked(&[upper], "http://127.0.0.1:4566/"), None);
        assert_eq!(asked(&[upper, ("https_proxy", "http://lower:1")], STS).unwrap(), "http://lower:1");
        assert_eq!(asked(&[upper, ("https_proxy", "")], STS), None);
        assert_eq!(asked(&[("HTTP_PROXY", "plain:8080")], "http://127.0.0.1:4566/").unwrap(), "http://plain:8080");
        assert_eq!(asked(&[("HTTP_PROXY", "plain:8080")], STS), None);
        assert_eq!(asked(&[("HTTPS_PROXY", "//bare")], STS).unwrap(), "http://bare:80");
        assert_eq!(asked(&[("HTTPS_PROXY", "https://tls")], STS).unwrap(), "https://tls:443");
        assert_eq!(asked(&[("ALL_PROXY", "http://all:1")], STS), None);
        assert_eq!(asked(&[], STS), None);
    }

    #[test]
    fn exceptions_are_reached_directly() {
        let proxy = ("HTTPS_PROXY", "http://proxy:3128");
        assert_eq!(asked(&[proxy, ("NO_PROXY", "eu-west-1.amazonaws.com")], STS), None);
        assert_eq!(asked(&[proxy, ("NO_PROXY", "x"), ("no_proxy", "amazonaws.com:443")], STS), None);
        assert!(asked(&[proxy, ("NO_PROXY", "amazonaws.com:444")], STS).is_some());
        let plain = ("HTTP_PROXY", "http://proxy:3128");
        assert_eq!(asked(&[plain], "http://169.254.169.254/latest/"), None);
        let agent = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost:9911/role");
        assert_eq!(asked(&[plain, agent], "http://localhost:9911/role"), None);
        assert!(asked(&[plain, agent], "http://localhost:9912/").is_some());
    }

    #[test]
    fn what_is_no_address_is_an_error_that_names_the_variable_and_shows_no_password() {
        for value in [
            "http://user:hunter2@proxy:port",
            "http://user:hunter2/@proxy:3128",
            "http://user:hunter2#@proxy:3128",
            "socks5://user:hunter2@proxy:1080",
            "http://",
            "http://proxy:3128/hunter2",
        ] {
            let error = of(&[("HTTPS_PROXY", value)]).unwrap_err().to_string();
            assert!(error.starts_with("HTTPS_PROXY: ") && !error.contains("hunter2"), "{value}: {error}");
        }
    }

    #[test]
    fn the_password_of_a_proxy_is_in_no_text() {
        let proxies = of(&[("HTTPS_PROXY", "http://user:hunter%402@proxy:3128")]).unwrap();
        let proxy = proxies.https().unwrap();
        assert_eq!(proxy.url().password(), Some("hunter%402"));
        let shown = format!("{proxy} {proxy:?} {proxies:?} {proxies:#?}");
        assert!(!shown.contains("hunter") && !shown.contains("user"), "{shown}");
    }
}
