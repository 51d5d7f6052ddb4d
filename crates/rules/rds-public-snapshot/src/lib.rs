//! The rule `rds-public-snapshot`: a manual snapshot of a DB instance, or of an Aurora cluster, that anyone may restore.
//!
//! The fix takes `all` off the list of those who may restore the snapshot. The accounts that are listed by name stay
//! as they are found, also when it is undone. RDS lists values in no particular order, so a list is compared as a set,
//! and to a change nothing matters but whether `all` is in it.
//!
//! Only snapshots of the finding's account are looked at, because AWS lists everybody's public ones. A database that is
//! gone can have left public snapshots, so it is gone only if none is left. The tags are the database's; those of a
//! database that is gone are the ones that all its snapshots have, so that no snapshot is spared for another's tag.
//!
//! The call that changes a snapshot does not say whose it is. So a write first asks RDS, and refuses a snapshot that is
//! not the resource, nor one of that database or its cluster.
//!
//! Calls, for an instance that is named by its ARN: compliant 3 and 1 for each snapshot; fixed twice that (look, proof)
//! and 2 for each public one (whose it is, write); held never. Databases and their snapshots are looked at together with others
//! of the account and region.

mod api;
#[cfg(test)]
mod fake;
mod look;
mod named;

use std::collections::BTreeSet;
use std::fmt;

use aws_sdk_rds::Client;
use remediation::{
    Error, ErrorKind, Finding, NoParameters, Proposal, Resource, Result, Rule, Seen, Side, Tags, Target,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::api::Session;

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

/// Whether anyone may restore a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Every AWS account may.
    Public,
    /// Only the account itself may, and those that are listed by name.
    Private,
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

/// Changes whether anyone may restore one of the snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What it is a snapshot of.
    pub kind: Kind,
    /// The snapshot's identifier.
    pub snapshot: String,
    /// Whether anyone was found to be allowed to restore it.
    pub before: Access,
    /// Whether anyone is allowed to after the change.
    pub after: Access,
}

impl Rule for RdsPublicSnapshot {
    const MANIFEST: &'static str = include_str!("../rule.json");
    type Settings = Settings;
    type Control = NoParameters;
    type Client = Session;
    type State = State;
    type Change = Change;

    fn client(target: &Target) -> Self::Client {
        Session::new(Client::new(&target.config))
    }

    async fn look(session: &Self::Client, finding: &Finding) -> Result<Seen<State>> {
        look::look(session, finding).await
    }

    /// A snapshot that cannot be changed now does not hold up those that can.
    fn plan(seen: &Seen<State>, _: &[&NoParameters], _: &Settings) -> Proposal<Change> {
        let public = seen.state.snapshots.iter().filter(|snapshot| snapshot.access() == Access::Public);
        let (later, now): (Vec<_>, Vec<_>) = public.partition(|snapshot| snapshot.is_under_way());
        Proposal {
            not_now: later.into_iter().map(SharedSnapshot::why_not_now).collect(),
            notes: now.iter().filter_map(|snapshot| snapshot.stays_shared()).collect(),
            ..Proposal::from(now.into_iter().map(SharedSnapshot::made_private).collect::<Vec<_>>())
        }
    }

    async fn tags(_: &Self::Client, seen: &Seen<State>) -> Result<Tags> {
        Ok(seen.state.tags.clone())
    }

    /// A snapshot that has been deleted is not public any more. To make it private then succeeds, so that the others
    /// still get their turn.
    async fn apply(session: &Self::Client, resource: &Resource, change: &Change) -> Result<()> {
        let Change { kind, snapshot, after, .. } = change;
        let written = match api::snapshot(session, *kind, snapshot).await? {
            Some(found) if found.is_of(resource) => api::set_access(session, *kind, snapshot, *after).await,
            Some(_) => Err(not_of(resource, change)),
            None => Err(no_longer_there(change)),
        };
        match written {
            Err(error) if error.is_gone() && *after == Access::Private => Ok(()),
            other => other,
        }
    }

    fn undo(change: &Change) -> Change {
        Change { before: change.after, after: change.before, ..change.clone() }
    }

    /// A snapshot that has been deleted is neither public nor private.
    fn side(change: &Change, state: &State) -> Side {
        let is_it = |of: &&SharedSnapshot| of.kind == change.kind && of.name == change.snapshot;
        let found = state.snapshots.iter().find(is_it);
        found.map_or(Side::Neither, |found| Side::of(&found.access(), &change.before, &change.after))
    }
}

fn not_of(resource: &Resource, Change { kind, snapshot, .. }: &Change) -> Error {
    let message = format!("the {kind} {snapshot} does not belong to {}, so it was not changed", resource.arn);
    Error::new(kind.describes_snapshots(), ErrorKind::Permanent, message)
}

fn no_longer_there(Change { kind, snapshot, .. }: &Change) -> Error {
    let message = format!("the {kind} {snapshot} no longer exists");
    Error::new(kind.describes_snapshots(), ErrorKind::Gone, message)
}

impl SharedSnapshot {
    fn is_under_way(&self) -> bool {
        UNDER_WAY.contains(&self.status.as_str())
    }

    fn why_not_now(&self) -> String {
        let Self { kind, name, status, .. } = self;
        format!("the {kind} {name} is {status} and can only be changed while it is available; the next run will retry")
    }

    fn access(&self) -> Access {
        if self.restore.contains(EVERYONE) { Access::Public } else { Access::Private }
    }

    fn made_private(&self) -> Change {
        Change { kind: self.kind, snapshot: self.name.clone(), before: Access::Public, after: Access::Private }
    }

    /// The note on a snapshot that is shared with accounts by name, too.
    fn stays_shared(&self) -> Option<String> {
        let Self { kind, name, restore, .. } = self;
        let accounts: Vec<_> = restore.iter().filter(|who| *who != EVERYONE).map(String::as_str).collect();
        let plural = if accounts.len() == 1 { "" } else { "s" };
        let stays = || format!("the {kind} {name} stays shared with the account{plural} {}", accounts.join(", "));
        (!accounts.is_empty()).then(stays)
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
        let Self { kind, snapshot, before, after } = self;
        write!(f, "{kind} {snapshot}: {before} → {after}")
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::Private => "private",
        })
    }
}

#[cfg(test)]
mod tests;
