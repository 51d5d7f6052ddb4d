//! Why there was no connection, and what to look at.
//!
//! Both HTTP clients connect with hyper and rustls, so their errors have the same causes, at different depths.

use std::error::Error;
use std::io;

use rustls::CertificateError;

use crate::Proxy;

/// Why a host was not reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The proxy wants other credentials, or some.
    #[error(
        "the proxy {proxy} asks for a user name and a password before it connects to {host} (HTTP 407). Check those in \
         {variable}: http://user:password@host:port"
    )]
    ProxyCredentials {
        /// The proxy.
        proxy: String,
        /// The variable that names it.
        variable: &'static str,
        /// The host that was asked for.
        host: String,
    },
    /// The proxy has refused the host, or cannot reach it.
    #[error(
        "the proxy {proxy} did not connect to {host}: it does not allow that host, or cannot reach it. Ask who runs the \
         proxy to allow it; if {host} can be reached without the proxy, name it in NO_PROXY"
    )]
    ProxyRefused {
        /// The proxy.
        proxy: String,
        /// The host that was asked for.
        host: String,
    },
    /// The proxy cannot be reached.
    #[error("the proxy {proxy} cannot be reached ({reason}), so neither can {host}. Check {variable}")]
    ProxyUnreached {
        /// The proxy.
        proxy: String,
        /// The variable that names it.
        variable: &'static str,
        /// The host that was asked for.
        host: String,
        /// Why not.
        reason: String,
    },
    /// The host shows a certificate of nobody who is trusted.
    #[error(
        "the certificate of {host} is signed by nobody who is trusted here. If your network inspects TLS, AWS_CA_BUNDLE \
         must name a file with its CA certificate in PEM form"
    )]
    Untrusted {
        /// The host, or the proxy that is spoken to in TLS.
        host: String,
    },
    /// No such name.
    #[error(
        "the name {host} cannot be resolved. Check the region and the network; if hosts outside are reached by a proxy \
         only, set HTTPS_PROXY"
    )]
    UnknownHost {
        /// The host.
        host: String,
    },
}

impl Failure {
    /// What `error` says of a connection to `host`, by `proxy` or directly; none where it is another kind of failure.
    pub fn of(error: &(dyn Error + 'static), host: &str, proxy: Option<&Proxy>) -> Option<Self> {
        let host = escape::brief(host);
        let mut of_name = false;
        let mut of_tunnel = None;
        for cause in causes(error) {
            if let Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) = cause.downcast_ref() {
                return Some(Self::Untrusted { host });
            }
            let text = cause.to_string();
            of_name |= text.starts_with("dns error") || text.starts_with("failed to lookup address");
            of_tunnel = of_tunnel.or_else(|| text.strip_prefix("tunnel error: ").map(str::to_owned));
        }
        let Some(proxy) = proxy else { return of_name.then_some(Self::UnknownHost { host }) };
        let (variable, proxy) = (proxy.variable(), proxy.to_string());
        match of_tunnel.as_deref() {
            Some("proxy authorization required") => Some(Self::ProxyCredentials { proxy, variable, host }),
            Some("failed to create underlying connection") | None => {
                let reason = refusal(error).or_else(|| of_name.then(|| "its name cannot be resolved".to_owned()))?;
                Some(Self::ProxyUnreached { proxy, variable, host, reason })
            }
            Some(_) => Some(Self::ProxyRefused { proxy, host }),
        }
    }

    /// Whether another try, without a change of the settings, cannot help.
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::ProxyCredentials { .. } | Self::Untrusted { .. })
    }
}

/// What the machine says of a connection that was not made.
fn refusal(error: &(dyn Error + 'static)) -> Option<String> {
    let kinds = [
        io::ErrorKind::ConnectionRefused,
        io::ErrorKind::HostUnreachable,
        io::ErrorKind::NetworkUnreachable,
        io::ErrorKind::TimedOut,
    ];
    let of_machine = causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>());
    let of_machine =
        of_machine.filter(|cause| kinds.contains(&cause.kind())).last().map(|cause| escape::brief(&cause.to_string()));
    // The clients' own limits, in the words of each.
    let is_late = |text: String| text.starts_with("HTTP connect timeout") || text == "operation timed out";
    let late =
        || causes(error).any(|cause| is_late(cause.to_string())).then(|| "it does not answer in time".to_owned());
    of_machine.or_else(late)
}

/// An error and its causes. An I/O error that wraps another does not name it among its causes.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error: &&'a (dyn Error + 'static)| {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|wrapped| wrapped as &(dyn Error + 'static)).or_else(|| error.source())
    })
}
