//! The SDK configuration that everything starts from.

use std::fs::File;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::text::read_at_most;

/// The most bytes of a file of certificates: those of a system are a few hundred thousand.
const MOST_OF_BUNDLE: usize = 16 * 1024 * 1024;

/// The loader of the SDK configuration that everything here starts from: every call ends within 30 seconds, retries included.
pub fn sdk_loader() -> ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(30))
        .build();
    // One HTTP client, so that every service client shares its connections and its certificates.
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
    let http = match TlsContext::builder().with_trust_store(trust_store()).build() {
        Ok(context) => http.tls_context(context).build_https(),
        Err(error) => {
            tracing::error!(%error, "the certificates of AWS_CA_BUNDLE cannot be used");
            http.build_https()
        }
    };
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(5))
}

/// The system's certificates, and those of the file that AWS_CA_BUNDLE names.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-gen-config.html>
fn trust_store() -> TrustStore {
    let store = TrustStore::default();
    let Some(path) = std::env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty()) else { return store };
    let read = File::open(&path).and_then(|file| read_at_most(file, MOST_OF_BUNDLE)).map_err(|error| error.to_string());
    let read = read.and_then(|pem| certificates(&pem).map(|()| pem));
    match read {
        Ok(pem) => store.with_pem_certificate(pem),
        Err(error) => {
            tracing::error!(path = %path.display(), error, "AWS_CA_BUNDLE cannot be used, so its certificates are not trusted");
            store
        }
    }
}

/// Whether these bytes are certificates: the HTTP client itself would panic at what is none.
fn certificates(pem: &[u8]) -> Result<(), String> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        store.add(certificate).map_err(|error| error.to_string())?;
    }
    if store.is_empty() { Err("it holds no certificate".into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_certificates_are_taken_from_a_bundle() {
        assert_eq!(certificates(b"").unwrap_err(), "it holds no certificate");
        assert_eq!(certificates(b"no certificate").unwrap_err(), "it holds no certificate");
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(certificates(broken).is_err());
        let key = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(certificates(key).unwrap_err(), "it holds no certificate");
    }
}
