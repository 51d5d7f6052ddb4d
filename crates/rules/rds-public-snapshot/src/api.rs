//! The calls of RDS, under one name for instances and clusters.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_rds::Client;
use aws_sdk_rds::operation::describe_db_cluster_snapshots::builders::DescribeDBClusterSnapshotsFluentBuilder;
use aws_sdk_rds::operation::describe_db_clusters::builders::DescribeDBClustersFluentBuilder;
use aws_sdk_rds::operation::describe_db_instances::builders::DescribeDBInstancesFluentBuilder;
use aws_sdk_rds::types::{DbCluster, DbClusterSnapshot, DbInstance, DbSnapshot, Filter, Tag};
use remediation::aws::Together;
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

/// The client of a session. What is looked at by name, or an instance's snapshots by its resource ID, is asked for in one call
/// with others.
#[derive(Debug)]
pub struct Session {
    rds: Client,
    instances: Together<Database>,
    clusters: Together<Database>,
    snapshots: Together<Vec<Snapshot>>,
    snapshots_by_resource_id: Together<Vec<Snapshot>>,
    cluster_snapshots: Together<Vec<Snapshot>>,
}

impl Session {
    pub(crate) fn new(rds: Client) -> Self {
        Self {
            rds,
            instances: Together::new(DESCRIBE_INSTANCES),
            clusters: Together::new(DESCRIBE_CLUSTERS),
            snapshots: Together::new(DESCRIBE_SNAPSHOTS),
            snapshots_by_resource_id: Together::new(DESCRIBE_SNAPSHOTS),
            cluster_snapshots: Together::new(DESCRIBE_CLUSTER_SNAPSHOTS),
        }
    }
}

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
pub(crate) async fn database(session: &Session, kind: Kind, id: &Id) -> Result<Option<Database>> {
    let rds = session.rds.clone();
    if let Id::Name(name) = id {
        let together = match kind {
            Kind::Instance => &session.instances,
            Kind::Cluster => &session.clusters,
        };
        let ask = move |names: Vec<String>| async move {
            let found = match kind {
                Kind::Instance => instances(rds.describe_db_instances().filters(any("db-instance-id", names))).await?,
                Kind::Cluster => clusters(rds.describe_db_clusters().filters(any("db-cluster-id", names))).await?,
            };
            Ok(found.into_iter().map(|database| (database.name.clone(), database)).collect())
        };
        if let Some(found) = together.find(name, ask).await? {
            return Ok(Some(found));
        }
    }
    let found = match (kind, id) {
        (Kind::Instance, Id::Name(name)) => {
            instances(session.rds.describe_db_instances().db_instance_identifier(name)).await
        }
        (Kind::Instance, Id::ResourceId(id)) => {
            instances(session.rds.describe_db_instances().filters(filter("dbi-resource-id", id))).await
        }
        (Kind::Cluster, Id::Name(name)) => {
            clusters(session.rds.describe_db_clusters().db_cluster_identifier(name)).await
        }
        (Kind::Cluster, Id::ResourceId(id)) => {
            clusters(session.rds.describe_db_clusters().filters(filter("db-cluster-resource-id", id))).await
        }
    };
    let found = unless_gone(found.map(Some).map_err(|error| error.gone_if(NO_SUCH_DATABASE)))?;
    Ok(found.unwrap_or_default().into_iter().next())
}

async fn instances(request: DescribeDBInstancesFluentBuilder) -> Result<Vec<Database>> {
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

async fn clusters(request: DescribeDBClustersFluentBuilder) -> Result<Vec<Database>> {
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
pub(crate) async fn manual_snapshots(session: &Session, kind: Kind, of: &Id) -> Result<Vec<Snapshot>> {
    let rds = session.rds.clone();
    let (together, name, id) = match (kind, of) {
        (Kind::Instance, Id::Name(id)) => (&session.snapshots, "db-instance-id", id),
        (Kind::Instance, Id::ResourceId(id)) => (&session.snapshots_by_resource_id, "dbi-resource-id", id),
        (Kind::Cluster, Id::Name(id)) => (&session.cluster_snapshots, "db-cluster-id", id),
        // No filter takes these.
        (Kind::Cluster, Id::ResourceId(id)) => {
            let request = rds.describe_db_cluster_snapshots().snapshot_type(MANUAL).db_cluster_resource_id(id);
            return cluster_snapshots(request).await;
        }
    };
    let by_name = matches!(of, Id::Name(_));
    let ask = move |ids: Vec<String>| async move {
        // One without snapshots is not listed.
        let mut found: HashMap<_, _> = ids.iter().map(|id| (id.clone(), Vec::new())).collect();
        for snapshot in filtered(&rds, kind, any(name, ids)).await? {
            let database = if by_name { &snapshot.database } else { &snapshot.database_id };
            let database = database.as_ref().and_then(|database| found.get_mut(database));
            let unusable = || Error::unusable(kind.describes_snapshots(), "a snapshot of another database");
            database.ok_or_else(unusable)?.push(snapshot);
        }
        Ok(found)
    };
    match together.find(id, ask).await? {
        Some(found) => Ok(found),
        None => filtered(&session.rds, kind, filter(name, id)).await,
    }
}

async fn filtered(rds: &Client, kind: Kind, filter: Filter) -> Result<Vec<Snapshot>> {
    match kind {
        Kind::Instance => {
            let request = rds.describe_db_snapshots().snapshot_type(MANUAL).filters(filter);
            let pages = || request.clone().into_paginator().items().send().collect::<Result<Vec<_>, _>>();
            call(DESCRIBE_SNAPSHOTS, pages).await?.into_iter().map(Snapshot::of_instance).collect()
        }
        Kind::Cluster => {
            cluster_snapshots(rds.describe_db_cluster_snapshots().snapshot_type(MANUAL).filters(filter)).await
        }
    }
}

async fn cluster_snapshots(request: DescribeDBClusterSnapshotsFluentBuilder) -> Result<Vec<Snapshot>> {
    let pages = || request.clone().into_paginator().items().send().collect::<Result<Vec<_>, _>>();
    call(DESCRIBE_CLUSTER_SNAPSHOTS, pages).await?.into_iter().map(Snapshot::of_cluster).collect()
}

/// The snapshot of this name, if it exists. Of automated ones, and of AWS Backup's, the type must be said.
pub(crate) async fn snapshot(session: &Session, kind: Kind, name: &str) -> Result<Option<Snapshot>> {
    let of_type = name.split_once(':').map(|(made_by, _)| if made_by == "rds" { AUTOMATED } else { made_by });
    let of_type = of_type.map(str::to_owned);
    let found: Result<Vec<_>> = match kind {
        Kind::Instance => {
            let request = session.rds.describe_db_snapshots().db_snapshot_identifier(name).set_snapshot_type(of_type);
            let pages = || request.clone().into_paginator().items().send().collect::<Result<Vec<_>, _>>();
            let found = call(DESCRIBE_SNAPSHOTS, pages).await;
            found.and_then(|found| found.into_iter().map(Snapshot::of_instance).collect())
        }
        Kind::Cluster => {
            let request = session.rds.describe_db_cluster_snapshots().db_cluster_snapshot_identifier(name);
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
pub(crate) async fn who_may_restore(session: &Session, kind: Kind, snapshot: &str) -> Result<Option<BTreeSet<String>>> {
    let found = match kind {
        Kind::Instance => {
            let request = session.rds.describe_db_snapshot_attributes().db_snapshot_identifier(snapshot);
            call(DESCRIBE_ATTRIBUTES, || request.clone().send()).await.and_then(|answer| {
                let attributes = answer.db_snapshot_attributes_result.and_then(|result| result.db_snapshot_attributes);
                let attributes = attributes.unwrap_or_default().into_iter();
                restore(DESCRIBE_ATTRIBUTES, attributes.map(|of| (of.attribute_name, of.attribute_values)))
            })
        }
        Kind::Cluster => {
            let request =
                session.rds.describe_db_cluster_snapshot_attributes().db_cluster_snapshot_identifier(snapshot);
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
pub(crate) async fn set_access(session: &Session, kind: Kind, snapshot: &str, access: Access) -> Result<()> {
    let everyone = || Some(vec![EVERYONE.to_owned()]);
    let (added, removed) = match access {
        Access::Public => (everyone(), None),
        Access::Private => (None, everyone()),
    };
    let written = match kind {
        Kind::Instance => {
            let request = session.rds.modify_db_snapshot_attribute().db_snapshot_identifier(snapshot);
            let request = request.attribute_name(RESTORE).set_values_to_add(added).set_values_to_remove(removed);
            call(MODIFY, || request.clone().send()).await.map(drop)
        }
        Kind::Cluster => {
            let request = session.rds.modify_db_cluster_snapshot_attribute().db_cluster_snapshot_identifier(snapshot);
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
    any(name, vec![value.to_owned()])
}

/// A filter for any of some values.
fn any(name: &str, values: Vec<String>) -> Filter {
    Filter::builder().name(name).set_values(Some(values)).build()
}

/// None for what AWS says does not exist.
fn unless_gone<T>(found: Result<Option<T>>) -> Result<Option<T>> {
    match found {
        Err(error) if error.is_gone() => Ok(None),
        other => other,
    }
}
