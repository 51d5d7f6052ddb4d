//! The rule `rds-public-snapshot`: a manual snapshot of a DB instance, or of an Aurora cluster, that anyone may restore.
//!
//! The fix takes `all` off the list of those who may restore the snapshot and leaves the accounts on it that are listed
//! by name. Invariants: only snapshots of the finding's account are looked at, for AWS lists everybody's public ones;
//! a database that is gone can have left public snapshots, so it is gone only where none is left; a change holds the
//! whole list before and after, so that undo needs nothing else. The tags are the database's; those of one that is gone
//! are what the snapshots that it left have in common, so that no snapshot is spared for another's tag.

mod api;
mod named;

use std::fmt;

use aws_sdk_rds::Client;
use remediation::{Arn, Error, ErrorKind, Finding, Proposal, Result, Rule, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::{Database, Snapshot, Tags};
use crate::named::{Id, Named};

/// The value that stands for every account.
const EVERYONE: &str = "all";

/// The rule.
#[derive(Debug)]
pub struct RdsPublicSnapshot;

/// The rule has no settings of its own.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {}

/// What a snapshot is of. Each has calls of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A DB instance.
    Instance,
    /// An Aurora or Multi-AZ DB cluster.
    Cluster,
}

/// Changes who may restore one snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What it is a snapshot of.
    pub kind: Kind,
    /// The snapshot's identifier.
    pub snapshot: String,
    /// Who was found to be allowed to restore it: account IDs, and `all` for everyone.
    pub before: Vec<String>,
    /// Who is allowed to after the change.
    pub after: Vec<String>,
}

impl Rule for RdsPublicSnapshot {
    const MANIFEST: &'static str = include_str!("../rule.json");
    type Settings = Settings;
    type Client = Client;
    type Change = Change;

    fn client(target: &Target) -> Self::Client {
        Client::new(&target.config)
    }

    async fn plan(client: &Self::Client, finding: &Finding, _: &Settings) -> Result<Proposal<Change>> {
        let mut changes = Vec::new();
        for (kind, Snapshot { name, .. }) in snapshots(client, finding).await? {
            // None: it was deleted since it was listed.
            let before = api::who_may_restore(client, kind, &name).await?.unwrap_or_default();
            if before.iter().any(|value| value == EVERYONE) {
                let after = before.iter().filter(|value| *value != EVERYONE).cloned().collect();
                changes.push(Change { kind, snapshot: name, before, after });
            }
        }
        Ok(changes.into())
    }

    async fn tags(client: &Self::Client, finding: &Finding) -> Result<Tags> {
        let Named { kinds, id } = named::parse(finding)?;
        let mut tags = Vec::new();
        for kind in kinds.iter().copied() {
            if let Some(database) = api::find(client, kind, &id).await? {
                tags.push(database.tags);
                break;
            }
            let left = api::manual_snapshots(client, kind, &id).await?.into_iter();
            tags.extend(left.filter(|snapshot| is_owned(snapshot, finding)).map(|snapshot| snapshot.tags));
        }
        tags.into_iter().reduce(in_both).ok_or_else(|| gone(kinds, &finding.resource))
    }

    /// Only the difference is written, so that an account which was added in the meantime stays. A snapshot that was
    /// deleted in the meantime is not public any more: that is done, so that the others are not passed over.
    async fn apply(client: &Self::Client, change: &Change) -> Result<()> {
        let added = only_in(&change.after, &change.before);
        let removed = only_in(&change.before, &change.after);
        let may_be_gone = added.is_empty();
        match api::modify(client, change.kind, &change.snapshot, added, removed).await {
            Err(error) if error.is_gone() && may_be_gone => Ok(()),
            other => other,
        }
    }

    fn undo(change: &Change) -> Option<Change> {
        Some(Change { before: change.after.clone(), after: change.before.clone(), ..change.clone() })
    }
}

/// The manual snapshots that the finding's account has of the database that the finding names.
async fn snapshots(client: &Client, finding: &Finding) -> Result<Vec<(Kind, Snapshot)>> {
    let Named { kinds, id } = named::parse(finding)?;
    let (mut found, mut exists) = (Vec::new(), false);
    for kind in kinds.iter().copied() {
        let database = api::find(client, kind, &id).await?;
        exists = database.is_some();
        let id = database.map_or_else(|| id.clone(), |Database { name, .. }| Id::Name(name));
        let listed = api::manual_snapshots(client, kind, &id).await?;
        let owned = listed.into_iter().filter(|snapshot| is_owned(snapshot, finding));
        found.extend(owned.map(|snapshot| (kind, snapshot)));
        if exists {
            break;
        }
    }
    if !exists && found.is_empty() {
        return Err(gone(kinds, &finding.resource));
    }
    // One that cannot be changed now does not hold up those that can.
    found.sort_by_key(|(_, snapshot)| !snapshot.available);
    Ok(found)
}

/// The tags that both have, with the same value.
fn in_both(these: Tags, those: Tags) -> Tags {
    these.into_iter().filter(|(key, value)| those.get(key) == Some(value)).collect()
}

fn is_owned(snapshot: &Snapshot, finding: &Finding) -> bool {
    let arn = snapshot.arn.as_deref().and_then(Arn::parse);
    arn.is_none_or(|arn| arn.account == finding.account.as_ref())
}

fn gone(kinds: &[Kind], resource: &str) -> Error {
    let (action, what) = match kinds {
        [Kind::Instance] => (api::DESCRIBE_INSTANCES, "DB instance"),
        [Kind::Cluster] => (api::DESCRIBE_CLUSTERS, "DB cluster"),
        _ => (api::DESCRIBE_CLUSTERS, "DB instance or cluster"),
    };
    let message = format!("there is no {what} `{resource}`, and no manual snapshot is left of it");
    Error { action: action.into(), kind: ErrorKind::Gone, code: None, message }
}

fn only_in(these: &[String], those: &[String]) -> Vec<String> {
    these.iter().filter(|value| !those.contains(value)).cloned().collect()
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = |values: &[String]| if values.is_empty() { "nobody else".into() } else { values.join(", ") };
        let kind = if self.kind == Kind::Instance { "" } else { "cluster " };
        write!(f, "{kind}snapshot {}: restore by {} → {}", self.snapshot, who(&self.before), who(&self.after))
    }
}

#[cfg(test)]
mod tests;
