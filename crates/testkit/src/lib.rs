//! What tests and the demo share: the emulator, the Netskope stand-in, accounts with resources in them, a Lambda
//! Runtime API for one process, and the deployment of the whole pipeline by Terraform.
//!
//! Invariants: whatever is started here ends with the process that started it, also when that is killed; every test
//! has AWS accounts of its own, so tests share an emulator without meeting.

pub mod account;
pub mod cases;
pub mod central;
pub mod deployment;
pub mod emulator;
pub mod lambda;
pub mod members;
pub mod modules;
pub mod netskope;
pub mod organization;
pub mod pages;
pub mod paths;
pub mod proxy;
pub mod readme;
pub mod samples;
pub mod settings;
pub mod subjects;
pub mod violations;

use remediation::{Manifest, Rule};

/// Why the harness could not do its part.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// The result of a step of the harness.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How long the emulator may take for an answer.
pub(crate) const ANSWER_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);

/// What an HTTP GET of `url` gives.
///
/// # Errors
///
/// No answer within ten seconds, or not one of success.
pub async fn get(url: &str) -> Result<String> {
    Ok(reqwest::Client::new().get(url).timeout(ANSWER_WITHIN).send().await?.error_for_status()?.text().await?)
}

/// The manifests of all rules, sorted by ID.
///
/// # Errors
///
/// One cannot be read.
pub fn manifests() -> Result<Vec<Manifest>> {
    struct Read;
    impl rules::Visitor for Read {
        type Output = Result<Manifest>;

        fn visit<R: Rule>(&self) -> Result<Manifest> {
            Ok(Manifest::from_json(R::MANIFEST)?)
        }
    }
    rules::visit(&Read).into_iter().collect()
}
