//! The calls of RDS, under one name for instances and clusters.

use std::collections::BTreeSet;

use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbCluster, DbClusterSnapshot, DbInstance, DbSnapshot, Filter, Tag};
use remediation::{Arn, Error, Resource, Result, Tags, call};

use crate::named::Id;
use crate::{Access, EVERYONE, Kind};

const DESCRIBE_INSTANCES: &str = "rds:DescribeDBInstances";
const DESCRIBE_CLUSTERS: &str = "rds:DescribeDBClusters";
const DESCRIBE_SNAPSHOTS: &str = "rds:DescribeDBSnapshots";
const DESCRIBE_CLUSTER_SNAPSHOTS: &str = "rds:DescribeDBClusterSnapshots";
const DESCRIBE_ATTRIBUTES: &str = "rds:DescribeDBSnapshotAttributes";
const DESCRIBE_CLUSTER_ATTRIBUTES: &str = "rds:DescribeDBClusterSnapshotAttributes";
const MODIFY: &str = "rds:ModifyDBSnapshotAttribute";
const MODIFY_CLUSTER: &str = "rds:ModifyDBClusterSnapshotAttribute";
/// The attribute that lists who may restore a snapshot.
const RESTORE: &str = "restore";
/// Snapshots that the account itself took, or copied.
const MANUAL: &str = "manual";
/// Those that RDS and AWS Backup took: to share one, it must be copied first.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_ShareSnapshot.html>
const NEVER_SHARED: [&str; 2] = [AUTOMATED, "awsbackup"];
const AUTOMATED: &str = "automated";
const NO_SUCH_DATABASE: &[&str] = &["DBInstanceNotFound", "DBClusterNotFoundFault"];
const NO_SUCH_SNAPSHOT: &[&str] = &["DBSnapshotNotFound", "DBClusterSnapshotNotFoundFault"];

/// A database that exists.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) kind: Kind,
    pub(crate) arn: String,
    pub(crate) name: String,
    /// Its ID that never changes; its name can.
    pub(crate) resource_id: Option<String>,
    /// The cluster that an instance belongs to.
    pub(crate) cluster: Option<String>,
    pub(crate) tags: Tags,
}

/// A snapshot as it is listed.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) kind: Kind,
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) status: String,
    /// Whether it can be shared.
    pub(crate) can_be_shared: bool,
    /// The name that its database had when it was taken.
    pub(crate) database: Option<String>,
    /// The resource ID of its database.
    pub(crate) database_id: Option<String>,
    pub(crate) tags: Tags,
}

impl Kind {
    pub(crate) fn describes(self) -> &'static str {
        match self {
            Self::Instance => DESCRIBE_INSTANCES,
            Self::Cluster => DESCRIBE_CLUSTERS,
        }
    }

    pub(crate) fn describes_snapshots(self) -> &'static str {
        match self {
            Self::Instance => DESCRIBE_SNAPSHOTS,
            Self::Cluster => DESCRIBE_CLUSTER_SNAPSHOTS,
        }
    }
}

/// The database, if it exists.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBInstances.html>
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBClusters.html>
pub(crate) async fn database(client: &Client, kind: Kind, id: &Id) -> Result<Option<Database>> {
    let found = match kind {
        Kind::Instance => instances(client, id).await,
        Kind::Cluster => clusters(client, id).await,
    };
    let found = unless_gone(found.map(Some).map_err(|error| error.gone_if(NO_SUCH_DATABASE)))?;
    Ok(found.unwrap_or_default().into_iter().next())
}

async fn instances(client: &Client, id: &Id) -> Result<Vec<Database>> {
    let request = client.describe_db_instances();
    let request = match id {
        Id::Name(name) => request.db_instance_identifier(name),
        Id::ResourceId(id) => request.filters(filter("dbi-resource-id", id)),
    };
    let pages = || request.clone().into_paginator().items().send().collect::<Result<Vec<_>, _>>();
    let found = call(DESCRIBE_INSTANCES, pages).await?;
    let database = |of: DbInstance| {
        let missing = || Error::unusable(DESCRIBE_INSTANCES, "a DB instance without its name or ARN");
        Ok(Database {
            kind: Kind::Instance,
            arn: of.db_instance_arn.ok_or_else(missing)?,
            name: of.db_instance_identifier.ok_or_else(missing)?,
            resource_id: of.dbi_resource_id,
            cluster: of.db_cluster_identifier,
            tags: tags(of.tag_list),
        })
    };
    found.into_iter().map(database).collect()
}

async fn clusters(client: &Client, id: &Id) -> Result<Vec<Database>> {
    let request = client.describe_db_clusters();
    let request = match id {
        Id::Name(name) => request.db_cluster_identifier(name),
        Id::ResourceId(id) => request.filters(filter("db-cluster-resource-id", id)),
    };
    let pages = || request.clone().into_paginator().items().send().collect::<Result<Vec<_>, _>>();
    let found = call(DESCRIBE_CLUSTERS, pages).await?;
    let database = |of: DbCluster| {
        let missing = || Error::unusable(DESCRIBE_CLUSTERS, "a DB cluster without its name or ARN");
        Ok(Database {
            kind: Kind::Cluster,
            arn: of.db_cluster_arn.ok_or_else(missing)?,
            name: of.db_cluster_identifier.ok_or_else(missing)?,
            resource_id: of.db_cluster_resource_id,
            cluster: None,
            tags: tags(of.tag_list),
        })
    };
    found.into_iter().map(database).collect()
}

/// The account's manual snapshots of a database, which need not exist any more. By a filter, because the parameter for
/// the database's identifier is documented to take only a database that exists.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBSnapshots.html>
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBClusterSnapshots.html>
pub(crate) async fn manual_snapshots(client: &Client, kind: Kind, of: &Id) -> Result<Vec<Snapshot>> {
    match kind {
        Kind::Instance => {
            let filter = match of {
                Id::Name(name) => filter("db-instance-id", name),
                Id::ResourceId(id) => filter("dbi-resource-id", id),
            };
            let request = client.describe_db_snapshots().snapshot_type(MANUAL).filters(filter);
            let pages = || request.clone().into_paginator().items().send().collect::<Result<Vec<_>, _>>();
            call(DESCRIBE_SNAPSHOTS, pages).await?.into_iter().map(Snapshot::of_instance).collect()
        }
        Kind::Cluster => {
            let request = client.describe_db_cluster_snapshots().snapshot_type(MANUAL);
            let request = match of {
                Id::Name(name) => request.filters(filter("db-cluster-id", name)),
                Id::ResourceId(id) => request.db_cluster_resource_id(id),
            };
            let pages = || request.clone().into_paginator().items().send().collect::<Result<Vec<_>, _>>();
            call(DESCRIBE_CLUSTER_SNAPSHOTS, pages).await?.into_iter().map(Snapshot::of_cluster).collect()
        }
    }
}

/// The snapshot of this name, if it exists. Of automated ones, and of AWS Backup's, the type must be said.
pub(crate) async fn snapshot(client: &Client, kind: Kind, name: &str) -> Result<Option<Snapshot>> {
    let of_type = name.split_once(':').map(|(made_by, _)| if made_by == "rds" { AUTOMATED } else { made_by });
    let of_type = of_type.map(str::to_owned);
    let found: Result<Vec<_>> = match kind {
        Kind::Instance => {
            let request = client.describe_db_snapshots().db_snapshot_identifier(name).set_snapshot_type(of_type);
            let pages = || request.clone().into_paginator().items().send().collect::<Result<Vec<_>, _>>();
            let found = call(DESCRIBE_SNAPSHOTS, pages).await;
            found.and_then(|found| found.into_iter().map(Snapshot::of_instance).collect())
        }
        Kind::Cluster => {
            let request = client.describe_db_cluster_snapshots().db_cluster_snapshot_identifier(name);
            let request = request.set_snapshot_type(of_type);
            let pages = || request.clone().into_paginator().items().send().collect::<Result<Vec<_>, _>>();
            let found = call(DESCRIBE_CLUSTER_SNAPSHOTS, pages).await;
            found.and_then(|found| found.into_iter().map(Snapshot::of_cluster).collect())
        }
    };
    let found = unless_gone(found.map(Some).map_err(|error| error.gone_if(NO_SUCH_SNAPSHOT)))?;
    Ok(found.unwrap_or_default().into_iter().next())
}

impl Snapshot {
    fn of_instance(of: DbSnapshot) -> Result<Self> {
        let missing = || Error::unusable(DESCRIBE_SNAPSHOTS, "a snapshot without its name or ARN");
        Ok(Self {
            kind: Kind::Instance,
            arn: of.db_snapshot_arn.ok_or_else(missing)?,
            name: of.db_snapshot_identifier.ok_or_else(missing)?,
            status: of.status.unwrap_or_default(),
            can_be_shared: can_be_shared(of.snapshot_type.as_deref()),
            database: of.db_instance_identifier,
            database_id: of.dbi_resource_id,
            tags: tags(of.tag_list),
        })
    }

    fn of_cluster(of: DbClusterSnapshot) -> Result<Self> {
        let missing = || Error::unusable(DESCRIBE_CLUSTER_SNAPSHOTS, "a snapshot without its name or ARN");
        Ok(Self {
            kind: Kind::Cluster,
            arn: of.db_cluster_snapshot_arn.ok_or_else(missing)?,
            name: of.db_cluster_snapshot_identifier.ok_or_else(missing)?,
            status: of.status.unwrap_or_default(),
            can_be_shared: can_be_shared(of.snapshot_type.as_deref()),
            database: of.db_cluster_identifier,
            database_id: of.db_cluster_resource_id,
            tags: tags(of.tag_list),
        })
    }
}

impl Snapshot {
    /// Whether it is the resource, or was taken of that database or its cluster: their IDs, and those of a database
    /// that is gone, are among the resource's names.
    pub(crate) fn is_of(&self, resource: &Resource) -> bool {
        let is_name = |text: &str| resource.all_names().any(|name| name == text);
        let database = self.database_id.as_deref().or(self.database.as_deref());
        let is_owned = Arn::parse(&self.arn).is_some_and(|arn| arn.account == resource.owner.as_ref());
        is_owned && (is_name(&self.arn) || database.is_some_and(is_name))
    }
}

/// A type that is not known to exclude it does not: then its attributes tell.
fn can_be_shared(snapshot_type: Option<&str>) -> bool {
    snapshot_type.is_none_or(|of| !NEVER_SHARED.contains(&of))
}

/// Who may restore a snapshot, besides the account itself; none where the snapshot does not exist any more. No page
/// documents an order of the values.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBSnapshotAttributes.html>
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBClusterSnapshotAttributes.html>
pub(crate) async fn who_may_restore(client: &Client, kind: Kind, snapshot: &str) -> Result<Option<BTreeSet<String>>> {
    let found = match kind {
        Kind::Instance => {
            let request = client.describe_db_snapshot_attributes().db_snapshot_identifier(snapshot);
            call(DESCRIBE_ATTRIBUTES, || request.clone().send()).await.and_then(|answer| {
                let attributes = answer.db_snapshot_attributes_result.and_then(|result| result.db_snapshot_attributes);
                let attributes = attributes.unwrap_or_default().into_iter();
                restore(DESCRIBE_ATTRIBUTES, attributes.map(|of| (of.attribute_name, of.attribute_values)))
            })
        }
        Kind::Cluster => {
            let request = client.describe_db_cluster_snapshot_attributes().db_cluster_snapshot_identifier(snapshot);
            call(DESCRIBE_CLUSTER_ATTRIBUTES, || request.clone().send()).await.and_then(|answer| {
                let result = answer.db_cluster_snapshot_attributes_result;
                let attributes = result.and_then(|result| result.db_cluster_snapshot_attributes);
                let attributes = attributes.unwrap_or_default().into_iter();
                restore(DESCRIBE_CLUSTER_ATTRIBUTES, attributes.map(|of| (of.attribute_name, of.attribute_values)))
            })
        }
    };
    unless_gone(found.map(Some).map_err(|error| error.gone_if(NO_SUCH_SNAPSHOT)))
}

/// The values of the one attribute that says who may restore. A snapshot that is shared with nobody has it as well, so
/// that an answer without it says nothing.
fn restore(
    action: &str,
    mut attributes: impl Iterator<Item = (Option<String>, Option<Vec<String>>)>,
) -> Result<BTreeSet<String>> {
    let restore = attributes.find(|(name, _)| name.as_deref() == Some(RESTORE));
    let (_, values) = restore.ok_or_else(|| Error::unusable(action, "no attribute `restore`"))?;
    Ok(values.unwrap_or_default().into_iter().collect())
}

/// Lets everyone restore a snapshot, or no longer; who else may stays as it is.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBSnapshotAttribute.html>
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBClusterSnapshotAttribute.html>
pub(crate) async fn set_access(client: &Client, kind: Kind, snapshot: &str, access: Access) -> Result<()> {
    let everyone = || Some(vec![EVERYONE.to_owned()]);
    let (added, removed) = match access {
        Access::Public => (everyone(), None),
        Access::Private => (None, everyone()),
    };
    let written = match kind {
        Kind::Instance => {
            let request = client.modify_db_snapshot_attribute().db_snapshot_identifier(snapshot);
            let request = request.attribute_name(RESTORE).set_values_to_add(added).set_values_to_remove(removed);
            call(MODIFY, || request.clone().send()).await.map(drop)
        }
        Kind::Cluster => {
            let request = client.modify_db_cluster_snapshot_attribute().db_cluster_snapshot_identifier(snapshot);
            let request = request.attribute_name(RESTORE).set_values_to_add(added).set_values_to_remove(removed);
            call(MODIFY_CLUSTER, || request.clone().send()).await.map(drop)
        }
    };
    written.map_err(|error| error.gone_if(NO_SUCH_SNAPSHOT))
}

fn tags(listed: Option<Vec<Tag>>) -> Tags {
    let listed = listed.unwrap_or_default().into_iter();
    listed.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect()
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

/// None for what AWS says does not exist.
fn unless_gone<T>(found: Result<Option<T>>) -> Result<Option<T>> {
    match found {
        Err(error) if error.is_gone() => Ok(None),
        other => other,
    }
}
