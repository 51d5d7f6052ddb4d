//! An RDS in memory for tests: what it has, and its answers to the calls that look.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_rds::Client;
use aws_sdk_rds::error::ErrorMetadata;
use aws_sdk_rds::operation::describe_db_cluster_snapshot_attributes::{
    DescribeDBClusterSnapshotAttributesError, DescribeDbClusterSnapshotAttributesOutput,
};
use aws_sdk_rds::operation::describe_db_cluster_snapshots::{
    DescribeDBClusterSnapshotsError, DescribeDbClusterSnapshotsOutput,
};
use aws_sdk_rds::operation::describe_db_clusters::{DescribeDBClustersError, DescribeDbClustersOutput};
use aws_sdk_rds::operation::describe_db_instances::{DescribeDBInstancesError, DescribeDbInstancesOutput};
use aws_sdk_rds::operation::describe_db_snapshot_attributes::{
    DescribeDBSnapshotAttributesError, DescribeDbSnapshotAttributesOutput,
};
use aws_sdk_rds::operation::describe_db_snapshots::{DescribeDBSnapshotsError, DescribeDbSnapshotsOutput};
use aws_sdk_rds::types::{
    DbCluster, DbClusterSnapshot, DbClusterSnapshotAttribute, DbClusterSnapshotAttributesResult, DbInstance,
    DbSnapshot, DbSnapshotAttribute, DbSnapshotAttributesResult, Filter, Tag,
};
use aws_smithy_mocks::{MockResponse, Rule as MockRule, RuleMode, mock, mock_client};

use rule_testing::{ACCOUNT, REGION};

use crate::Session;

/// The resource ID of an instance.
pub(crate) const RESOURCE_ID: &str = "db-ABCDEFGHIJKL01234";

/// What there is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rds {
    instances: Vec<DbInstance>,
    clusters: Vec<DbCluster>,
    snapshots: Vec<DbSnapshot>,
    cluster_snapshots: Vec<DbClusterSnapshot>,
    /// Who may restore what, by ARN.
    restore: BTreeMap<String, Vec<String>>,
}

fn arn(resource: &str) -> String {
    format!("arn:aws:rds:{REGION}:{ACCOUNT}:{resource}")
}

impl Rds {
    pub(crate) fn instance(&mut self, name: &str, resource_id: &str, cluster: Option<&str>) {
        let instance = DbInstance::builder().db_instance_identifier(name).db_instance_arn(arn(&format!("db:{name}")));
        let instance = instance.dbi_resource_id(resource_id).set_db_cluster_identifier(cluster.map(str::to_owned));
        self.instances.push(instance.build());
    }

    pub(crate) fn cluster(&mut self, name: &str, resource_id: &str) {
        let arn = arn(&format!("cluster:{name}"));
        let cluster = DbCluster::builder().db_cluster_identifier(name).db_cluster_arn(arn);
        self.clusters.push(cluster.db_cluster_resource_id(resource_id).build());
    }

    /// A manual snapshot of an instance, with the name and the resource ID that this had then.
    pub(crate) fn snapshot(&mut self, name: &str, instance: &str, resource_id: &str, restore: &[&str]) {
        let arn = arn(&format!("snapshot:{name}"));
        self.restore.insert(arn.clone(), restore.iter().map(ToString::to_string).collect());
        let snapshot = DbSnapshot::builder().db_snapshot_identifier(name).db_snapshot_arn(arn).status("available");
        let snapshot = snapshot.db_instance_identifier(instance).dbi_resource_id(resource_id);
        self.snapshots.push(snapshot.snapshot_type("manual").build());
    }

    /// The same of a cluster.
    pub(crate) fn cluster_snapshot(&mut self, name: &str, cluster: &str, resource_id: &str, restore: &[&str]) {
        let arn = arn(&format!("cluster-snapshot:{name}"));
        self.restore.insert(arn.clone(), restore.iter().map(ToString::to_string).collect());
        let snapshot = DbClusterSnapshot::builder().db_cluster_snapshot_identifier(name).db_cluster_snapshot_arn(arn);
        let snapshot = snapshot.db_cluster_identifier(cluster).db_cluster_resource_id(resource_id);
        self.cluster_snapshots.push(snapshot.status("available").snapshot_type("manual").build());
    }

    /// A snapshot of an instance that AWS itself took: it has no attributes that could be asked for.
    pub(crate) fn automated(&mut self, name: &str, snapshot_type: &str) {
        let arn = arn(&format!("snapshot:{name}"));
        let snapshot = DbSnapshot::builder().db_snapshot_identifier(name).db_snapshot_arn(arn).status("available");
        self.snapshots.push(snapshot.db_instance_identifier("orders").snapshot_type(snapshot_type).build());
    }

    /// Tags what has this ARN, from the type on.
    pub(crate) fn tag(&mut self, resource: &str, tags: &[(&str, &str)]) {
        let arn = Some(arn(resource));
        let tags = tags.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build());
        let tags = Some(tags.collect());
        let lists = [
            self.instances.iter_mut().find(|of| of.db_instance_arn == arn).map(|of| &mut of.tag_list),
            self.clusters.iter_mut().find(|of| of.db_cluster_arn == arn).map(|of| &mut of.tag_list),
            self.snapshots.iter_mut().find(|of| of.db_snapshot_arn == arn).map(|of| &mut of.tag_list),
        ];
        *lists.into_iter().flatten().next().unwrap() = tags;
    }

    pub(crate) fn client(&self) -> Session {
        Session::new(mock_client!(aws_sdk_rds, RuleMode::MatchAny, &self.rules()))
    }

    /// The answer to each call that looks.
    pub(crate) fn rules(&self) -> [MockRule; 6] {
        let rds = Arc::new(self.clone());
        let instances = {
            let rds = Arc::clone(&rds);
            mock!(Client::describe_db_instances).then_compute_response(move |asked| {
                let filters = Filters::of(&asked.filters);
                let is_it = |of: &&DbInstance| {
                    filters.are("dbi-resource-id", of.dbi_resource_id.as_ref())
                        && filters.are("db-instance-id", of.db_instance_identifier.as_ref())
                        && is(&asked.db_instance_identifier, of.db_instance_identifier.as_ref())
                };
                let found: Vec<_> = rds.instances.iter().filter(is_it).cloned().collect();
                if found.is_empty() && asked.db_instance_identifier.is_some() {
                    return MockResponse::Error(DescribeDBInstancesError::generic(unknown("DBInstanceNotFound")));
                }
                MockResponse::Output(DescribeDbInstancesOutput::builder().set_db_instances(Some(found)).build())
            })
        };
        let clusters = {
            let rds = Arc::clone(&rds);
            mock!(Client::describe_db_clusters).then_compute_response(move |asked| {
                let filters = Filters::of(&asked.filters);
                let is_it = |of: &&DbCluster| {
                    filters.are("db-cluster-resource-id", of.db_cluster_resource_id.as_ref())
                        && filters.are("db-cluster-id", of.db_cluster_identifier.as_ref())
                        && is(&asked.db_cluster_identifier, of.db_cluster_identifier.as_ref())
                };
                let found: Vec<_> = rds.clusters.iter().filter(is_it).cloned().collect();
                if found.is_empty() && asked.db_cluster_identifier.is_some() {
                    return MockResponse::Error(DescribeDBClustersError::generic(unknown("DBClusterNotFoundFault")));
                }
                MockResponse::Output(DescribeDbClustersOutput::builder().set_db_clusters(Some(found)).build())
            })
        };
        let snapshots = {
            let rds = Arc::clone(&rds);
            mock!(Client::describe_db_snapshots).then_compute_response(move |asked| {
                let filters = Filters::of(&asked.filters);
                let is_it = |of: &&DbSnapshot| {
                    filters.are("db-instance-id", of.db_instance_identifier.as_ref())
                        && filters.are("dbi-resource-id", of.dbi_resource_id.as_ref())
                        && is(&asked.db_snapshot_identifier, of.db_snapshot_identifier.as_ref())
                        && is_of_type(&asked.snapshot_type, of.snapshot_type.as_deref())
                };
                let found: Vec<_> = rds.snapshots.iter().filter(is_it).cloned().collect();
                if found.is_empty() && asked.db_snapshot_identifier.is_some() {
                    return MockResponse::Error(DescribeDBSnapshotsError::generic(unknown("DBSnapshotNotFound")));
                }
                MockResponse::Output(DescribeDbSnapshotsOutput::builder().set_db_snapshots(Some(found)).build())
            })
        };
        let cluster_snapshots = {
            let rds = Arc::clone(&rds);
            mock!(Client::describe_db_cluster_snapshots).then_compute_response(move |asked| {
                let filters = Filters::of(&asked.filters);
                let is_it = |of: &&DbClusterSnapshot| {
                    filters.are("db-cluster-id", of.db_cluster_identifier.as_ref())
                        && is(&asked.db_cluster_resource_id, of.db_cluster_resource_id.as_ref())
                        && is(&asked.db_cluster_snapshot_identifier, of.db_cluster_snapshot_identifier.as_ref())
                        && is_of_type(&asked.snapshot_type, of.snapshot_type.as_deref())
                };
                let found: Vec<_> = rds.cluster_snapshots.iter().filter(is_it).cloned().collect();
                if found.is_empty() && asked.db_cluster_snapshot_identifier.is_some() {
                    let error = unknown("DBClusterSnapshotNotFoundFault");
                    return MockResponse::Error(DescribeDBClusterSnapshotsError::generic(error));
                }
                let answer = DescribeDbClusterSnapshotsOutput::builder().set_db_cluster_snapshots(Some(found));
                MockResponse::Output(answer.build())
            })
        };
        [instances, clusters, snapshots, cluster_snapshots, attributes(&rds), cluster_attributes(&rds)]
    }
}

fn attributes(rds: &Arc<Rds>) -> MockRule {
    let rds = Arc::clone(rds);
    mock!(Client::describe_db_snapshot_attributes).then_compute_response(move |asked| {
        let name = asked.db_snapshot_identifier.clone().unwrap_or_default();
        let Some(values) = rds.restore.get(&arn(&format!("snapshot:{name}"))) else {
            return MockResponse::Error(DescribeDBSnapshotAttributesError::generic(unknown("DBSnapshotNotFound")));
        };
        // Others have values like this one's, and say nothing of who may restore.
        let other = DbSnapshotAttribute::builder().attribute_name("other").attribute_values("all").build();
        let restore = DbSnapshotAttribute::builder().attribute_name("restore");
        let restore = restore.set_attribute_values(Some(values.clone())).build();
        let result = DbSnapshotAttributesResult::builder().db_snapshot_attributes(other);
        let result = result.db_snapshot_attributes(restore).build();
        let answer = DescribeDbSnapshotAttributesOutput::builder().db_snapshot_attributes_result(result);
        MockResponse::Output(answer.build())
    })
}

fn cluster_attributes(rds: &Arc<Rds>) -> MockRule {
    let rds = Arc::clone(rds);
    mock!(Client::describe_db_cluster_snapshot_attributes).then_compute_response(move |asked| {
        let name = asked.db_cluster_snapshot_identifier.clone().unwrap_or_default();
        let Some(values) = rds.restore.get(&arn(&format!("cluster-snapshot:{name}"))) else {
            let error = unknown("DBClusterSnapshotNotFoundFault");
            return MockResponse::Error(DescribeDBClusterSnapshotAttributesError::generic(error));
        };
        let restore = DbClusterSnapshotAttribute::builder().attribute_name("restore");
        let restore = restore.set_attribute_values(Some(values.clone())).build();
        let result = DbClusterSnapshotAttributesResult::builder().db_cluster_snapshot_attributes(restore).build();
        let answer = DescribeDbClusterSnapshotAttributesOutput::builder();
        MockResponse::Output(answer.db_cluster_snapshot_attributes_result(result).build())
    })
}

fn unknown(code: &'static str) -> ErrorMetadata {
    ErrorMetadata::builder().code(code).message("told so").build()
}

/// Whether it is the one that was asked for, if one was.
fn is(asked: &Option<String>, found: Option<&String>) -> bool {
    asked.is_none() || asked.as_ref() == found
}

/// Where no type is asked for, automated and manual ones are given.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBSnapshots.html>
fn is_of_type(asked: &Option<String>, found: Option<&str>) -> bool {
    match asked {
        Some(asked) => found == Some(asked),
        None => found == Some("manual"),
    }
}

/// The filters of a call.
struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    fn of(filters: &Option<Vec<Filter>>) -> Self {
        let filters = filters.iter().flatten().cloned();
        Self(filters.map(|of| (of.name.unwrap_or_default(), of.values.unwrap_or_default())).collect())
    }

    fn are(&self, name: &str, found: Option<&String>) -> bool {
        self.0.get(name).is_none_or(|values| found.is_some_and(|found| values.contains(found)))
    }
}
