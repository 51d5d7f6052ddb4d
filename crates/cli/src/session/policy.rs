//! The policy that a command keeps to.
//!
//! Where the records are in a deployment's bucket, that bucket's policy holds, for every command: a file of the
//! operator's can only narrow it. In an emergency an operator can write in spite of it; then the bucket is told first,
//! which raises an alarm, and the reports say so.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use remediation::{
    Mode, PAUSES_KEY, POLICY_KEY, Place, Policy, PolicyError, PolicyOverride, PolicyRecord, Records, RunId,
    read_at_most, utf8,
};

use crate::error::Error;
use crate::session::connection::Connection;
use crate::session::records::RecordsPlace;
use crate::session::rules::{self, PolicyInForce};
use crate::session::typos;

/// Which policy is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked<'a> {
    /// The operator's own: `--policy`.
    pub(crate) file: Option<&'a Path>,
    /// Why the bucket's is not kept to: `--override`.
    pub(crate) emergency: Option<&'a str>,
}

/// The policy in force.
///
/// # Errors
///
/// A policy cannot be read or used, or the two do not go together.
pub(crate) async fn in_force(connection: &Connection, asked: Asked<'_>) -> Result<PolicyInForce, Error> {
    match (&connection.place, asked.file, asked.emergency) {
        (RecordsPlace::Bucket(_), None, None) => of_bucket(connection).await,
        (RecordsPlace::Bucket(_), Some(file), None) => narrowed(of_bucket(connection).await?, file).await,
        // Nothing stops it any more, so it is read once.
        (RecordsPlace::Bucket(_), None, Some(_)) => {
            let PolicyInForce { policy, .. } = of_bucket(connection).await?;
            Ok(PolicyInForce { policy: policy.lifted(), record: None, wider: Vec::new() })
        }
        (RecordsPlace::Folder(folder), _, Some(_)) => Err(Error::NothingToOverride { folder: folder.clone() }),
        (RecordsPlace::Folder(_), None, None) => {
            Ok(PolicyInForce { policy: Policy::unrestricted(), record: None, wider: Vec::new() })
        }
        (_, Some(file), _) => own(file).await,
    }
}

async fn of_bucket(connection: &Connection) -> Result<PolicyInForce, Error> {
    let record = PolicyRecord::of_deployment(connection.records.clone());
    let policy = record.read().await.map_err(|source| unusable(connection, source))?;
    Ok(PolicyInForce { policy: Arc::unwrap_or_clone(policy), record: Some(record), wider: Vec::new() })
}

/// That the bucket's policy, or what is paused, cannot be used.
pub(crate) fn unusable(connection: &Connection, source: PolicyError) -> Error {
    let key = if matches!(source, PolicyError::Pauses { .. }) { PAUSES_KEY } else { POLICY_KEY };
    Error::BucketPolicy { place: connection.locate(key), source }
}

/// Checks the operator's own policy, before anything is asked of AWS.
///
/// # Errors
///
/// It cannot be read or used; all that is wrong with it is told at once.
pub(crate) fn check_own(asked: Asked<'_>) -> Result<(), Error> {
    let Some(file) = asked.file else { return Ok(()) };
    let failed = |source| Error::PolicyFile { path: file.to_owned(), source };
    let bytes = File::open(file).and_then(|opened| read_at_most(opened, Policy::MOST_BYTES)).map_err(failed)?;
    let problems = typos::read(&String::from_utf8_lossy(&utf8(&bytes)), &rules::all()?).problems;
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::OwnTypos { path: file.to_owned(), problems })
}

/// The policy of a file.
async fn own(file: &Path) -> Result<PolicyInForce, Error> {
    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
    let key = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let record = PolicyRecord::new(Records::Folder(folder), key);
    let policy = record.read().await;
    let policy = policy.map_err(|source| Error::OwnPolicy { path: file.to_owned(), source })?;
    Ok(PolicyInForce { policy: Arc::unwrap_or_clone(policy), record: Some(record), wider: Vec::new() })
}

async fn narrowed(bucket: PolicyInForce, file: &Path) -> Result<PolicyInForce, Error> {
    let PolicyInForce { policy: wanted, record: own, .. } = own(file).await?;
    let failed = |source| Error::OwnPolicy { path: file.to_owned(), source };
    let every = rules::all()?;
    // A typo in a setting has a line; what the two policies do not agree on has none.
    for rule in &every {
        rule.guard(&wanted).map_err(failed)?;
    }
    let (defaults, wanted) = (rules::setting_defaults(&every), Arc::new(wanted));
    let policy = bucket.policy.narrowed_by(&wanted, &defaults).map_err(failed)?;
    let wider = bucket.policy.without_effect(&wanted, &defaults);
    let record = bucket.record.zip(own).map(|(bucket, own)| bucket.narrowed_by(own, defaults));
    Ok(PolicyInForce { policy, record, wider })
}

impl PolicyInForce {
    /// Why nothing is written there, where that is so.
    pub(crate) fn why_not(&self, place: &Place<'_>) -> Option<String> {
        let Place { rule, account, .. } = place;
        let mode = self.policy.mode(rule, account);
        if self.policy.paused {
            return Some("the policy has paused all writes".to_owned());
        }
        if let Some(why) = self.policy.why_paused(place, ambient::now()) {
            return Some(format!("it is {why}"));
        }
        (mode < Mode::Apply).then(|| {
            let unsure = self.policy.unsure(rule, account);
            unsure.unwrap_or_else(|| format!("the policy's mode of {rule} in the account {account} is {mode}"))
        })
    }
}

/// Stores that the policy is not kept to, before anything is written.
///
/// # Errors
///
/// Nobody knows who runs this, or it cannot be stored: then nothing may be written.
pub(crate) async fn record_override(
    connection: &Connection,
    run: RunId,
    reason: &str,
) -> Result<PolicyOverride, Error> {
    let stored = PolicyOverride::new(run, connection.caller().await?, reason.to_owned());
    let key = stored.key();
    let put = connection.records.put_new(&key, serde_json::to_vec_pretty(&stored)?).await;
    put.map_err(|source| Error::NotRecorded { place: connection.locate(&key), source: Box::new(source) })?;
    Ok(stored)
}
