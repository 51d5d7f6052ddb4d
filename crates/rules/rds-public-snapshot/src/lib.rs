//! The rule `rds-public-snapshot`: a manual snapshot of a DB instance, or of an Aurora cluster, that anyone may restore.
//!
//! The fix takes `all` off the list of those who may restore the snapshot and leaves the accounts on it that are listed
//! by name. Invariants: only snapshots of the finding's account are looked at, for AWS lists everybody's public ones;
//! a database that is gone can have left public snapshots, so it is gone only where none is left; a change holds the
//! whole list before and after, so that undo needs nothing else. The tags are the database's; those of one that is gone
//! are what the snapshots that it left have in common, so that no snapshot is spared for another's tag.

mod api;
#[cfg(test)]
mod fake;
mod look;
mod named;

use std::collections::BTreeSet;
use std::fmt;

use aws_sdk_rds::Client;
use remediation::{Finding, NoParameters, Proposal, Result, Rule, Seen, Tags, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The value that stands for every account.
const EVERYONE: &str = "all";

/// The statuses that end by themselves, and in which a snapshot cannot be changed.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBSnapshotAttribute.html>
const UNDER_WAY: [&str; 4] = ["creating", "copying", "pending", "deleting"];

/// The rule.
#[derive(Debug)]
pub struct RdsPublicSnapshot;

/// The rule has no settings of its own.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {}

/// What a snapshot is of. Each has calls of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A DB instance.
    Instance,
    /// An Aurora or Multi-AZ DB cluster.
    Cluster,
}

/// How the snapshots stand that a finding leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The manual ones, by their kind and name.
    pub snapshots: Vec<SharedSnapshot>,
    /// The tags that hold for all of them.
    pub tags: Tags,
}

/// A manual snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedSnapshot {
    /// What it is a snapshot of.
    pub kind: Kind,
    /// Its identifier.
    pub name: String,
    /// Its status, such as `available` or `copying`.
    pub status: String,
    /// Who may restore it: account IDs, and `all` for everyone.
    pub restore: BTreeSet<String>,
}

/// Changes who may restore one snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What it is a snapshot of.
    pub kind: Kind,
    /// The snapshot's identifier.
    pub snapshot: String,
    /// Who was found to be allowed to restore it: account IDs, and `all` for everyone.
    pub before: BTreeSet<String>,
    /// Who is allowed to after the change.
    pub after: BTreeSet<String>,
}

impl Rule for RdsPublicSnapshot {
    const MANIFEST: &'static str = include_str!("../rule.json");
    type Settings = Settings;
    type Control = NoParameters;
    type Client = Client;
    type State = State;
    type Change = Change;

    fn client(target: &Target) -> Self::Client {
        Client::new(&target.config)
    }

    async fn look(client: &Self::Client, finding: &Finding) -> Result<Seen<State>> {
        look::look(client, finding).await
    }

    /// One that cannot be changed now does not hold up those that can.
    fn plan(seen: &Seen<State>, _: &[&NoParameters], _: &Settings) -> Proposal<Change> {
        let public = seen.state.snapshots.iter().filter(|snapshot| snapshot.restore.contains(EVERYONE));
        let (later, now): (Vec<_>, Vec<_>) = public.partition(|snapshot| snapshot.is_under_way());
        let not_now = later.into_iter().map(SharedSnapshot::why_not_now).collect();
        Proposal { not_now, ..Proposal::from(now.into_iter().map(SharedSnapshot::made_private).collect::<Vec<_>>()) }
    }

    async fn tags(_: &Self::Client, seen: &Seen<State>) -> Result<Tags> {
        Ok(seen.state.tags.clone())
    }

    /// Only the difference is written, so that an account which was added in the meantime stays. A snapshot that was
    /// deleted in the meantime is not public any more: that is done, so that the others are not passed over.
    async fn apply(client: &Self::Client, change: &Change) -> Result<()> {
        let Change { kind, snapshot, before, after } = change;
        let added: Vec<_> = after.difference(before).cloned().collect();
        let removed = before.difference(after).cloned().collect();
        let may_be_gone = added.is_empty();
        match api::modify(client, *kind, snapshot, added, removed).await {
            Err(error) if error.is_gone() && may_be_gone => Ok(()),
            other => other,
        }
    }

    fn undo(change: &Change) -> Option<Change> {
        Some(Change { before: change.after.clone(), after: change.before.clone(), ..change.clone() })
    }
}

impl SharedSnapshot {
    fn is_under_way(&self) -> bool {
        UNDER_WAY.contains(&self.status.as_str())
    }

    fn why_not_now(&self) -> String {
        let Self { kind, name, status, .. } = self;
        format!("the {kind} {name} is {status}, and only an available one can be changed; the next poll tries again")
    }

    fn made_private(&self) -> Change {
        let Self { kind, name, restore, .. } = self.clone();
        let after = restore.iter().filter(|value| *value != EVERYONE).cloned().collect();
        Change { kind, snapshot: name, before: restore, after }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Instance => "snapshot",
            Self::Cluster => "cluster snapshot",
        })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = |values: &BTreeSet<String>| {
            if values.is_empty() { "nobody else".into() } else { Vec::from_iter(values.iter().cloned()).join(", ") }
        };
        let Self { kind, snapshot, before, after } = self;
        write!(f, "{kind} {snapshot}: restore by {} → {}", who(before), who(after))
    }
}

#[cfg(test)]
mod tests;
