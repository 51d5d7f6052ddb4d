//! The rule `ebs-public-snapshot`: an EBS snapshot that anyone may make a volume of.
//!
//! The fix takes the group `all` off the list of those who may. Accounts that are listed by ID stay listed, also when
//! the fix is undone.

use std::collections::BTreeSet;
use std::fmt;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{OperationType, PermissionGroup, Snapshot, SnapshotAttributeName, Tag};
use remediation::{
    Ec2Name, Error, Finding, NoParameters, Proposal, Resource, Result, Rule, Seen, Side, Tags, Target, call, partition,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const DESCRIBE: &str = "ec2:DescribeSnapshots";
const DESCRIBE_ATTRIBUTE: &str = "ec2:DescribeSnapshotAttribute";
const MODIFY: &str = "ec2:ModifySnapshotAttribute";
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>
const NO_SNAPSHOT: &[&str] = &["InvalidSnapshot.NotFound"];

/// The rule.
#[derive(Debug)]
pub struct EbsPublicSnapshot;

/// The rule has no settings of its own.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {}

/// Who may make a volume of a snapshot, besides the accounts that are listed by ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Every AWS account.
    Public,
    /// Nobody.
    Private,
}

/// How a snapshot stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Who may make a volume of it.
    pub access: Access,
    /// Its tags.
    pub tags: Tags,
}

/// Makes a snapshot public or private. It does not say which snapshot: the resource is beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// As it was found.
    pub before: Access,
    /// As it is written.
    pub after: Access,
}

impl Rule for EbsPublicSnapshot {
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
        let Ec2Name::Id(id) = finding.ec2_name("snapshot", "snap")? else {
            return Err(Error::invalid_finding("resource", "a snapshot is named by its ID or its ARN"));
        };
        let snapshot = describe(client, id).await?;
        let owner = snapshot.owner_id.as_ref().and_then(|id| id.parse().ok());
        let owner = owner.ok_or_else(|| Error::unusable(DESCRIBE, "a snapshot without its owner"))?;
        // Everyone sees a public snapshot, and its owner alone sees with whom it is shared.
        if owner != finding.account {
            return Err(Error::invalid_finding("resource", format!("{id} belongs to the account {owner}")));
        }
        let region = finding.region.clone();
        let arn = format!("arn:{}:ec2:{region}::snapshot/{id}", partition(region.as_ref()));
        let resource = Resource { arn, owner, region, id: id.to_owned(), names: BTreeSet::new() };
        let state = State { access: access(client, id).await?, tags: tags(snapshot.tags.unwrap_or_default()) };
        Ok(Seen::now(resource, state))
    }

    fn plan(seen: &Seen<State>, _: &[&NoParameters], _: &Settings) -> Proposal<Change> {
        match seen.state.access {
            Access::Public => vec![Change { before: Access::Public, after: Access::Private }].into(),
            Access::Private => Proposal::default(),
        }
    }

    async fn tags(_: &Self::Client, seen: &Seen<State>) -> Result<Tags> {
        Ok(seen.state.tags.clone())
    }

    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifySnapshotAttribute.html>
    async fn apply(client: &Self::Client, resource: &Resource, change: &Change) -> Result<()> {
        let operation = match change.after {
            Access::Public => OperationType::Add,
            Access::Private => OperationType::Remove,
        };
        let modify = || {
            let modify = client.modify_snapshot_attribute().snapshot_id(&resource.id).group_names("all");
            modify.attribute(SnapshotAttributeName::CreateVolumePermission).operation_type(operation.clone()).send()
        };
        call(MODIFY, modify).await.map(drop).map_err(|error| error.gone_if(NO_SNAPSHOT))
    }

    fn undo(change: &Change) -> Change {
        Change { before: change.after, after: change.before }
    }

    fn side(change: &Change, state: &State) -> Side {
        Side::of(&state.access, &change.before, &change.after)
    }
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSnapshots.html>
async fn describe(client: &Client, id: &str) -> Result<Snapshot> {
    let found = call(DESCRIBE, || client.describe_snapshots().snapshot_ids(id).send()).await;
    let found = found.map_err(|error| error.gone_if(NO_SNAPSHOT))?.snapshots.unwrap_or_default();
    let found = found.into_iter().find(|snapshot| snapshot.snapshot_id() == Some(id));
    found.ok_or_else(|| Error::unusable(DESCRIBE, "nothing of the ID that was asked for"))
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSnapshotAttribute.html>
async fn access(client: &Client, id: &str) -> Result<Access> {
    let describe = || {
        let describe = client.describe_snapshot_attribute().snapshot_id(id);
        describe.attribute(SnapshotAttributeName::CreateVolumePermission).send()
    };
    let found = call(DESCRIBE_ATTRIBUTE, describe).await.map_err(|error| error.gone_if(NO_SNAPSHOT))?;
    let is_public = found.create_volume_permissions().iter().any(|who| who.group() == Some(&PermissionGroup::All));
    Ok(if is_public { Access::Public } else { Access::Private })
}

fn tags(found: Vec<Tag>) -> Tags {
    found.into_iter().filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect()
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.after {
            Access::Private => "nobody but the accounts that are listed by ID may make a volume of it",
            Access::Public => "anyone may make a volume of it",
        })
    }
}

#[cfg(test)]
mod tests {
    use rule_testing::{ACCOUNT, REGION, World, hold};

    use super::*;

    impl World for EbsPublicSnapshot {
        fn write(state: &mut State, change: &Change) {
            state.access = change.after;
        }

        fn open(state: &State) -> BTreeSet<String> {
            if state.access == Access::Public { BTreeSet::from(["everyone".to_owned()]) } else { BTreeSet::new() }
        }
    }

    #[test]
    fn the_laws_hold() {
        let (owner, region, id) =
            (ACCOUNT.parse().unwrap(), remediation::Region::code(REGION), "snap-00000001".to_owned());
        let arn = format!("arn:aws:ec2:{region}::snapshot/{id}");
        let snapshot = Resource { arn, owner, region, id, names: BTreeSet::new() };
        for access in [Access::Public, Access::Private] {
            let state = State { access, tags: Tags::new() };
            hold::<EbsPublicSnapshot>(&snapshot, &state, &[NoParameters {}], &Settings {});
        }
    }
}
