//! The calls of RDS, under one name for instances and clusters.

use std::collections::BTreeMap;

use aws_sdk_rds::Client;
use aws_sdk_rds::types::{Filter, Tag};
use remediation::{Error, ErrorKind, Result};

use crate::Kind;
use crate::named::Id;

pub(crate) const DESCRIBE_INSTANCES: &str = "rds:DescribeDBInstances";
pub(crate) const DESCRIBE_CLUSTERS: &str = "rds:DescribeDBClusters";
const DESCRIBE_SNAPSHOTS: &str = "rds:DescribeDBSnapshots";
const DESCRIBE_CLUSTER_SNAPSHOTS: &str = "rds:DescribeDBClusterSnapshots";
const DESCRIBE_ATTRIBUTES: &str = "rds:DescribeDBSnapshotAttributes";
const DESCRIBE_CLUSTER_ATTRIBUTES: &str = "rds:DescribeDBClusterSnapshotAttributes";
/// The attribute that lists who may restore a snapshot.
const RESTORE: &str = "restore";
/// Snapshots that the account itself took, or copied; no other can be shared.
const MANUAL: &str = "manual";

/// The tags of a database or a snapshot.
pub(crate) type Tags = BTreeMap<String, String>;

/// A database that exists.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) tags: Tags,
}

/// A snapshot as it is listed.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) name: String,
    pub(crate) arn: Option<String>,
    pub(crate) available: bool,
    pub(crate) tags: Tags,
}

/// The database, if it exists.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBInstances.html>
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBClusters.html>
pub(crate) async fn find(client: &Client, kind: Kind, id: &Id) -> Result<Option<Database>> {
    let database = |name: Option<String>, listed: Option<Vec<Tag>>| Some(Database { name: name?, tags: tags(listed) });
    let found = match kind {
        Kind::Instance => {
            let call = client.describe_db_instances();
            let call = match id {
                Id::Name(name) => call.db_instance_identifier(name),
                Id::ResourceId(id) => call.filters(filter("dbi-resource-id", id)),
            };
            let pages = call.into_paginator().items().send();
            let found = pages.collect::<Result<Vec<_>, _>>().await;
            let found = found.map_err(|error| Error::api(DESCRIBE_INSTANCES, error));
            found.map(|found| found.into_iter().find_map(|of| database(of.db_instance_identifier, of.tag_list)))
        }
        Kind::Cluster => {
            let call = client.describe_db_clusters();
            let call = match id {
                Id::Name(name) => call.db_cluster_identifier(name),
                Id::ResourceId(id) => call.filters(filter("db-cluster-resource-id", id)),
            };
            let pages = call.into_paginator().items().send();
            let found = pages.collect::<Result<Vec<_>, _>>().await;
            let found = found.map_err(|error| Error::api(DESCRIBE_CLUSTERS, error));
            found.map(|found| found.into_iter().find_map(|of| database(of.db_cluster_identifier, of.tag_list)))
        }
    };
    found.or_else(|error| none_if_gone(error.gone_if(&["DBInstanceNotFound", "DBClusterNotFoundFault"])))
}

/// The account's manual snapshots of a database. By a filter, because the parameter for the database's identifier is
/// documented to take only a database that exists.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBSnapshots.html>
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBClusterSnapshots.html>
pub(crate) async fn manual_snapshots(client: &Client, kind: Kind, id: &Id) -> Result<Vec<Snapshot>> {
    let listed = |action, name: Option<String>, arn, status: Option<String>, listed: Option<Vec<Tag>>| {
        let name = name.ok_or_else(|| Error::unusable(action, "a snapshot without its identifier"))?;
        Ok(Snapshot { name, arn, available: status.as_deref() == Some("available"), tags: tags(listed) })
    };
    match kind {
        Kind::Instance => {
            let action = DESCRIBE_SNAPSHOTS;
            let filter = match id {
                Id::Name(name) => filter("db-instance-id", name),
                Id::ResourceId(id) => filter("dbi-resource-id", id),
            };
            let pages = client.describe_db_snapshots().snapshot_type(MANUAL).filters(filter).into_paginator();
            let found = pages.items().send().collect::<Result<Vec<_>, _>>().await;
            let found = found.map_err(|error| Error::api(action, error))?.into_iter();
            let listed = |of: aws_sdk_rds::types::DbSnapshot| {
                listed(action, of.db_snapshot_identifier, of.db_snapshot_arn, of.status, of.tag_list)
            };
            found.map(listed).collect()
        }
        Kind::Cluster => {
            let action = DESCRIBE_CLUSTER_SNAPSHOTS;
            let call = client.describe_db_cluster_snapshots().snapshot_type(MANUAL);
            let call = match id {
                Id::Name(name) => call.filters(filter("db-cluster-id", name)),
                Id::ResourceId(id) => call.db_cluster_resource_id(id),
            };
            let found = call.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
            let found = found.map_err(|error| Error::api(action, error))?.into_iter();
            let listed = |of: aws_sdk_rds::types::DbClusterSnapshot| {
                let (name, arn) = (of.db_cluster_snapshot_identifier, of.db_cluster_snapshot_arn);
                listed(action, name, arn, of.status, of.tag_list)
            };
            found.map(listed).collect()
        }
    }
}

/// Who may restore a snapshot, besides the account itself; none where the snapshot does not exist any more.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBSnapshotAttributes.html>
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBClusterSnapshotAttributes.html>
pub(crate) async fn who_may_restore(client: &Client, kind: Kind, snapshot: &str) -> Result<Option<Vec<String>>> {
    let found = match kind {
        Kind::Instance => {
            let answer = client.describe_db_snapshot_attributes().db_snapshot_identifier(snapshot).send().await;
            answer.map_err(|error| Error::api(DESCRIBE_ATTRIBUTES, error)).and_then(|answer| {
                let result = answer.db_snapshot_attributes_result;
                let result = result.ok_or_else(|| Error::unusable(DESCRIBE_ATTRIBUTES, "no attributes"))?;
                let attributes = result.db_snapshot_attributes.unwrap_or_default().into_iter();
                Ok(restore(attributes.map(|of| (of.attribute_name, of.attribute_values))))
            })
        }
        Kind::Cluster => {
            let call = client.describe_db_cluster_snapshot_attributes().db_cluster_snapshot_identifier(snapshot);
            call.send().await.map_err(|error| Error::api(DESCRIBE_CLUSTER_ATTRIBUTES, error)).and_then(|answer| {
                let result = answer.db_cluster_snapshot_attributes_result;
                let result = result.ok_or_else(|| Error::unusable(DESCRIBE_CLUSTER_ATTRIBUTES, "no attributes"))?;
                let attributes = result.db_cluster_snapshot_attributes.unwrap_or_default().into_iter();
                Ok(restore(attributes.map(|of| (of.attribute_name, of.attribute_values))))
            })
        }
    };
    found.map(Some).or_else(|error| none_if_gone(gone_if_there_is_no_snapshot(error)))
}

/// Adds to, and removes from, those who may restore a snapshot.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBSnapshotAttribute.html>
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBClusterSnapshotAttribute.html>
pub(crate) async fn modify(
    client: &Client,
    kind: Kind,
    snapshot: &str,
    added: Vec<String>,
    removed: Vec<String>,
) -> Result<()> {
    let (added, removed) = (some_if_any(added), some_if_any(removed));
    let written = match kind {
        Kind::Instance => {
            let call = client.modify_db_snapshot_attribute().db_snapshot_identifier(snapshot).attribute_name(RESTORE);
            let answer = call.set_values_to_add(added).set_values_to_remove(removed).send().await;
            answer.map(drop).map_err(|error| Error::api("rds:ModifyDBSnapshotAttribute", error))
        }
        Kind::Cluster => {
            let call = client.modify_db_cluster_snapshot_attribute().db_cluster_snapshot_identifier(snapshot);
            let call = call.attribute_name(RESTORE).set_values_to_add(added).set_values_to_remove(removed);
            let answer = call.send().await;
            answer.map(drop).map_err(|error| Error::api("rds:ModifyDBClusterSnapshotAttribute", error))
        }
    };
    written.map_err(|error| with_advice(gone_if_there_is_no_snapshot(error), snapshot))
}

/// A snapshot can be shared, or not any more, only in the right state; it gets there by itself.
fn with_advice(error: Error, snapshot: &str) -> Error {
    match error.code.as_deref() {
        Some("InvalidDBSnapshotState" | "InvalidDBClusterSnapshotStateFault") => {
            let Error { message, .. } = &error;
            let message =
                format!("{message} (the state of the snapshot {snapshot} forbids it; the next poll tries again)");
            Error { kind: ErrorKind::Transient, message, ..error }
        }
        _ => error,
    }
}

fn restore(attributes: impl Iterator<Item = (Option<String>, Option<Vec<String>>)>) -> Vec<String> {
    let mut restore = attributes.filter(|(name, _)| name.as_deref() == Some(RESTORE));
    restore.next().and_then(|(_, values)| values).unwrap_or_default()
}

fn tags(listed: Option<Vec<Tag>>) -> Tags {
    let listed = listed.unwrap_or_default().into_iter();
    listed.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect()
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

fn gone_if_there_is_no_snapshot(error: Error) -> Error {
    error.gone_if(&["DBSnapshotNotFound", "DBClusterSnapshotNotFoundFault"])
}

fn none_if_gone<T>(error: Error) -> Result<Option<T>> {
    if error.is_gone() { Ok(None) } else { Err(error) }
}

fn some_if_any(values: Vec<String>) -> Option<Vec<String>> {
    (!values.is_empty()).then_some(values)
}
