//! What no proxy is asked for: NO_PROXY, and the addresses at which a machine or a container gets its credentials.
//!
//! NO_PROXY is a list with commas or blanks between its entries. An entry is
//! - a name: that host, and every host below it (`example.com`, `.example.com` and `*.example.com` mean the same);
//! - an address, or a network in CIDR form;
//! - either of the first two with `:port`, for that port alone; or `*`, for everything.

use std::net::IpAddr;

use ipnet::IpNet;
use url::Url;

/// Where credentials come from: EC2's instance metadata, the agents of ECS and EKS. They answer without a password, so
/// through a proxy they would hand out the proxy's own credentials, or show ours to it.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>,
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>
const OF_CREDENTIALS: [&str; 5] =
    ["169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23"];

/// The hosts that are reached without a proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Exceptions(Vec<Exception>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Exception {
    Everything,
    Address(IpAddr, Option<u16>),
    Network(IpNet),
    /// A name in small letters, and the names below it.
    Name(String, Option<u16>),
}

impl Exceptions {
    /// Those of NO_PROXY.
    pub(crate) fn of_list(list: &str) -> Self {
        let entries = list.split(|letter: char| letter == ',' || letter.is_whitespace());
        Self(entries.filter_map(Exception::of).collect())
    }

    /// With the host and port of a `url` as well.
    pub(crate) fn and_url(mut self, url: &Url) -> Self {
        let host = url.host_str().map(|host| format!("{host}:{}", url.port_or_known_default().unwrap_or_default()));
        self.0.extend(host.as_deref().and_then(Exception::of));
        self
    }

    /// With the addresses of credentials as well.
    pub(crate) fn and_credentials(mut self) -> Self {
        self.0.extend(OF_CREDENTIALS.iter().copied().filter_map(Exception::of));
        self
    }

    /// Whether `host` is reached at `port` without a proxy.
    pub(crate) fn cover(&self, host: &str, port: u16) -> bool {
        let host = bare(host).trim_end_matches('.').to_ascii_lowercase();
        let address = host.parse::<IpAddr>().ok();
        self.0.iter().any(|exception| match exception {
            Exception::Everything => true,
            Exception::Address(ip, of) => address == Some(*ip) && of.is_none_or(|of| of == port),
            Exception::Network(network) => address.is_some_and(|ip| network.contains(&ip)),
            Exception::Name(name, of) => address.is_none() && is_below(&host, name) && of.is_none_or(|of| of == port),
        })
    }
}

impl Exception {
    fn of(entry: &str) -> Option<Self> {
        if entry == "*" {
            return Some(Self::Everything);
        }
        if let Ok(network) = entry.parse() {
            return Some(Self::Network(network));
        }
        if let Ok(address) = bare(entry).parse() {
            return Some(Self::Address(address, None));
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (entry, None),
        };
        if let Ok(address) = bare(host).parse() {
            return Some(Self::Address(address, port));
        }
        let name = host.trim_start_matches('*').trim_matches('.').to_ascii_lowercase();
        (!name.is_empty()).then_some(Self::Name(name, port))
    }
}

/// Whether `host` is `name` or below it.
fn is_below(host: &str, name: &str) -> bool {
    host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_entry_covers_a_host_those_below_it_and_a_port_if_it_has_one() {
        for (list, host, port, covered) in [
            ("sts.amazonaws.com", "sts.amazonaws.com", 443, true),
            ("amazonaws.com", "sts.eu-west-1.amazonaws.com", 443, true),
            (".amazonaws.com", "sts.eu-west-1.amazonaws.com", 443, true),
            ("*.amazonaws.com", "STS.eu-west-1.AmazonAWS.com.", 443, true),
            ("amazonaws.com", "notamazonaws.com", 443, false),
            ("amazonaws.com", "amazonaws.com.example.org", 443, false),
            ("example.org, amazonaws.com", "s3.amazonaws.com", 443, true),
            ("example.org amazonaws.com", "s3.amazonaws.com", 443, true),
            ("amazonaws.com:443", "s3.amazonaws.com", 443, true),
            ("amazonaws.com:8443", "s3.amazonaws.com", 443, false),
            ("amazonaws.com:https", "s3.amazonaws.com", 443, false),
            ("127.0.0.1", "127.0.0.1", 4566, true),
            ("127.0.0.1:4566", "127.0.0.1", 4566, true),
            ("127.0.0.1:4566", "127.0.0.1", 4567, false),
            ("10.0.0.0/8", "10.20.30.40", 443, true),
            ("10.0.0.0/8", "11.20.30.40", 443, false),
            ("10.0.0.0/99", "10.0.0.0", 443, false),
            ("0.0.1", "127.0.0.1", 443, false),
            ("::1", "[::1]", 443, true),
            ("[::1]:443", "[::1]", 443, true),
            ("fd00::/8", "[fd00::1]", 443, true),
            ("*", "anything.example", 80, true),
            ("", "anything.example", 80, false),
            (",,", "anything.example", 80, false),
        ] {
            assert_eq!(Exceptions::of_list(list).cover(host, port), covered, "{list} {host}:{port}");
        }
    }

    #[test]
    fn credentials_are_never_fetched_through_a_proxy() {
        let none = Exceptions::default().and_credentials();
        for address in ["169.254.169.254", "169.254.170.2", "169.254.170.23", "[fd00:ec2::254]", "[fd00:ec2::23]"] {
            assert!(none.cover(address, 80), "{address}");
        }
        assert!(!none.cover("169.254.1.1", 80));
    }

    proptest! {
        #[test]
        fn no_list_makes_it_panic(list in "\\PC*", host in "\\PC*", port: u16) {
            Exceptions::of_list(&list).cover(&host, port);
        }
    }
}
