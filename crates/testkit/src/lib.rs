//! What tests and the demo share: the emulator, the Netskope stand-in, accounts with resources in them, a Lambda
//! Runtime API for one process, and the deployment of the whole pipeline by Terraform.
//!
//! Invariants: whatever is started here ends with the process that started it, also when that is killed; every test
//! has AWS accounts of its own, so tests share an emulator without meeting.

pub mod access_keys;
pub mod account;
pub mod cases;
pub mod central;
pub mod clusters;
pub mod deployment;
pub mod emulator;
pub mod lambda;
pub mod members;
pub mod netskope;
pub mod network_acls;
pub mod organization;
pub mod pages;
pub mod paths;
pub mod security_groups;
pub mod settings;
pub mod snapshots;
mod tags;
pub mod trails;
pub mod violations;
pub mod vpcs;

use remediation::Manifest;

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

/// The manifests of all rules of the repository, sorted by ID.
///
/// # Errors
///
/// One cannot be read.
pub fn manifests() -> Result<Vec<Manifest>> {
    let mut manifests = Vec::new();
    for file in paths::manifests()? {
        manifests.push(Manifest::from_json(&std::fs::read_to_string(file)?)?);
    }
    manifests.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(manifests)
}
