//! EBS snapshots: `ebs-public-snapshot`.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{CreateVolumePermission, OperationType, SnapshotAttributeName};
use ebs_public_snapshot_example::EbsPublicSnapshot;
use serde_json::{Value, json};

use testkit::Result;
use testkit::account::Account;
use testkit::subjects::{AnySubject, Subject};

/// The subject of each control.
pub const SUBJECTS: &[AnySubject] = &[AnySubject::of::<Backup>()];
/// An account that the owner of the snapshots listed by ID.
const PARTNER: &str = "999999999999";

/// A snapshot.
#[derive(Debug)]
pub struct Backup;

impl Subject for Backup {
    type Rule = EbsPublicSnapshot;
    const NAME: &'static str = "backup";
    const FOUND: &'static str = "a snapshot that anyone may make a volume of";
    const THROTTLED: (&str, &[&str]) = (
        "RequestLimitExceeded",
        &["ec2:DescribeSnapshots", "ec2:DescribeSnapshotAttribute", "ec2:ModifySnapshotAttribute"],
    );

    async fn violating(account: &Account, name: &str) -> Result<String> {
        let snapshot = Self::complying(account, name).await?;
        let share = Client::new(&account.config).modify_snapshot_attribute().snapshot_id(&snapshot);
        let share = share.attribute(SnapshotAttributeName::CreateVolumePermission).operation_type(OperationType::Add);
        share.group_names("all").send().await?;
        Ok(snapshot)
    }

    async fn complying(account: &Account, _: &str) -> Result<String> {
        let ec2 = Client::new(&account.config);
        let zone = format!("{}a", account.region);
        let volume = ec2.create_volume().availability_zone(zone).size(1).send().await?;
        let volume = volume.volume_id.ok_or("CreateVolume gave no volume")?;
        let snapshot = ec2.create_snapshot().volume_id(volume).send().await?;
        let snapshot = snapshot.snapshot_id.ok_or("CreateSnapshot gave no snapshot")?;
        let share = ec2.modify_snapshot_attribute().snapshot_id(&snapshot).user_ids(PARTNER);
        share.operation_type(OperationType::Add).send().await?;
        Ok(snapshot)
    }

    fn gone(_: &Account) -> String {
        "snap-0123456789abcdef0".into()
    }

    fn names(account: &Account, resource: &str) -> Vec<String> {
        vec![resource.to_owned(), format!("arn:aws:ec2:{}::snapshot/{resource}", account.region)]
    }

    async fn tag(account: &Account, resource: &str, key: &str, value: &str) -> Result<()> {
        account.tag_ec2(resource, key, value).await
    }

    async fn describe(account: &Account, resource: &str) -> Result<Value> {
        let describe = Client::new(&account.config).describe_snapshot_attribute().snapshot_id(resource);
        let found = describe.attribute(SnapshotAttributeName::CreateVolumePermission).send().await?;
        let who = |of: &CreateVolumePermission| json!([of.group().map(|group| group.as_str()), of.user_id()]);
        let mut found: Vec<_> = found.create_volume_permissions().iter().map(who).collect();
        found.sort_by_key(ToString::to_string);
        Ok(found.into())
    }

    async fn complies(account: &Account, resource: &str) -> Result<bool> {
        let found = Self::describe(account, resource).await?;
        Ok(found.as_array().is_some_and(|found| found.iter().all(|who| who[0].is_null())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    testkit::rule_cases!(Backup);
}
