//! A file of CA certificates in PEM form.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::SettingError;

/// The most bytes of a file of certificates: those of a system are a few hundred thousand.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// CA certificates, each of which TLS can use.
#[derive(Debug, Clone)]
pub struct CaBundle(Vec<CertificateDer<'static>>);

impl CaBundle {
    /// Reads the file that `setting` names. A certificate that TLS cannot use is left out: bundles of a whole company
    /// hold some that are older than its rules.
    ///
    /// # Errors
    ///
    /// It cannot be read, is not PEM, or holds no certificate that can be used.
    pub(crate) fn read(setting: &str, path: &Path) -> Result<Self, SettingError> {
        read(path).map_err(|reason| SettingError::CaBundle {
            setting: setting.to_owned(),
            path: path.to_owned(),
            reason,
        })
    }

    /// Each certificate in DER form.
    pub fn der(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// All of them in PEM form.
    pub fn pem(&self) -> String {
        let block =
            |der| format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64_STANDARD.encode(der));
        self.der().map(block).collect()
    }
}

fn read(path: &Path) -> Result<CaBundle, String> {
    let (mut bytes, most) = (Vec::new(), MOST_BYTES);
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > most {
        return Err(format!("it has more than {most} bytes"));
    }
    if bytes.is_empty() {
        return Err("it is empty".to_owned());
    }
    of_pem(&bytes)
}

fn of_pem(bytes: &[u8]) -> Result<CaBundle, String> {
    let (mut usable, mut unusable) = (Vec::new(), Vec::new());
    for certificate in CertificateDer::pem_slice_iter(bytes) {
        let certificate = certificate.map_err(|error| format!("it is not PEM: {error}"))?;
        match RootCertStore::empty().add(certificate.clone()) {
            Ok(()) => usable.push(certificate),
            Err(error) => unusable.push(error.to_string()),
        }
    }
    match (usable.is_empty(), unusable.first()) {
        (true, None) => Err("it holds no certificate in PEM form".to_owned()),
        (true, Some(error)) => Err(format!("none of its {} certificate(s) can be used: {error}", unusable.len())),
        (false, Some(error)) => {
            tracing::warn!(left_out = unusable.len(), error, "some certificates of the CA bundle cannot be used");
            Ok(CaBundle(usable))
        }
        (false, None) => Ok(CaBundle(usable)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A CA certificate that nothing is signed with: its key is not kept.
    const CA: &str = include_str!("ca_bundle/ca.pem");

    fn reason(bytes: &[u8]) -> String {
        of_pem(bytes).unwrap_err()
    }

    #[test]
    fn only_certificates_are_taken_from_a_bundle() {
        assert!(reason(b"no certificate").contains("no certificate in PEM form"));
        let key = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert!(reason(key).contains("no certificate in PEM form"));
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(reason(broken).contains("none of its 1 certificate(s) can be used"));
        assert!(reason(b"-----BEGIN CERTIFICATE-----\nAAAA\n").contains("it is not PEM"));
    }

    #[test]
    fn what_can_be_used_is_taken_and_stays_the_same() {
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let bundle = of_pem(format!("# a company's\r\n{broken}{CA}{CA}").as_bytes()).unwrap();
        assert_eq!(bundle.der().count(), 2);
        let again = of_pem(bundle.pem().as_bytes()).unwrap();
        assert!(again.der().eq(bundle.der()), "{}", bundle.pem());
    }

    #[test]
    fn an_error_names_the_setting_and_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "").unwrap();
        for (path, why) in [
            (folder.path().join("missing.pem"), "No such file"),
            (empty, "it is empty"),
            (folder.path().to_owned(), "Is a directory"),
        ] {
            let error = CaBundle::read("AWS_CA_BUNDLE", &path).unwrap_err().to_string();
            assert!(error.starts_with("AWS_CA_BUNDLE: ") && error.contains(path.to_str().unwrap()), "{error}");
            assert!(error.contains(why), "{error}");
        }
    }
}
