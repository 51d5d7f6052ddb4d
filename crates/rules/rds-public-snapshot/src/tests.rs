use aws_sdk_rds::error::ErrorMetadata;
use aws_sdk_rds::operation::describe_db_cluster_snapshot_attributes::DescribeDbClusterSnapshotAttributesOutput;
use aws_sdk_rds::operation::describe_db_cluster_snapshots::DescribeDbClusterSnapshotsOutput;
use aws_sdk_rds::operation::describe_db_clusters::{DescribeDBClustersError, DescribeDbClustersOutput};
use aws_sdk_rds::operation::describe_db_instances::{DescribeDBInstancesError, DescribeDbInstancesOutput};
use aws_sdk_rds::operation::describe_db_snapshot_attributes::{
    DescribeDBSnapshotAttributesError, DescribeDbSnapshotAttributesOutput,
};
use aws_sdk_rds::operation::describe_db_snapshots::{DescribeDBSnapshotsError, DescribeDbSnapshotsOutput};
use aws_sdk_rds::operation::modify_db_cluster_snapshot_attribute::{
    ModifyDBClusterSnapshotAttributeError, ModifyDbClusterSnapshotAttributeOutput,
};
use aws_sdk_rds::operation::modify_db_snapshot_attribute::{
    ModifyDBSnapshotAttributeError, ModifyDbSnapshotAttributeOutput,
};
use aws_sdk_rds::types::{
    DbCluster, DbClusterSnapshot, DbClusterSnapshotAttribute, DbClusterSnapshotAttributesResult, DbInstance,
    DbSnapshot, DbSnapshotAttribute, DbSnapshotAttributesResult, Filter, Tag,
};
use aws_smithy_mocks::{Rule as MockRule, RuleMode, mock, mock_client};
use proptest::prelude::*;
use remediation::{Manifest, Region};

use super::*;

const OURS: &str = "222222222222";
const THEIRS: &str = "333333333333";
const RESOURCE_ID: &str = "db-ABCDEFGHIJKL01234";

fn finding(resource: &str) -> Finding {
    Finding {
        control:
            "Access permissions and authorizations: Ensure RDS Instances do not have Publicly Accessible Snapshots"
                .into(),
        account: OURS.parse().unwrap(),
        region: Region::code("us-east-1"),
        resource: resource.into(),
        first_seen: None,
        last_scanned: None,
    }
}

fn metadata(code: &'static str) -> ErrorMetadata {
    ErrorMetadata::builder().code(code).message("told so").build()
}

/// The instance `orders`, by its identifier or by its resource ID.
fn instance() -> MockRule {
    mock!(Client::describe_db_instances)
        .match_requests(|request| {
            request.db_instance_identifier() == Some("orders")
                || request.filters() == [filter("dbi-resource-id", RESOURCE_ID)]
        })
        .then_output(|| {
            let orders = DbInstance::builder().db_instance_identifier("orders").build();
            DescribeDbInstancesOutput::builder().db_instances(orders).build()
        })
}

fn no_instance() -> MockRule {
    mock!(Client::describe_db_instances)
        .then_error(|| DescribeDBInstancesError::generic(metadata("DBInstanceNotFound")))
}

fn cluster() -> MockRule {
    mock!(Client::describe_db_clusters)
        .match_requests(|request| request.db_cluster_identifier() == Some("orders"))
        .then_output(|| {
            let orders = DbCluster::builder().db_cluster_identifier("orders").build();
            DescribeDbClustersOutput::builder().db_clusters(orders).build()
        })
}

fn no_cluster() -> MockRule {
    mock!(Client::describe_db_clusters)
        .then_error(|| DescribeDBClustersError::generic(metadata("DBClusterNotFoundFault")))
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

fn snapshot(account: &str, name: &str, status: &str) -> DbSnapshot {
    let arn = format!("arn:aws:rds:us-east-1:{account}:snapshot:{name}");
    DbSnapshot::builder().db_snapshot_identifier(name).db_snapshot_arn(arn).status(status).build()
}

/// The page of the manual snapshots of `orders` that `marker` asks for, and the marker of the next.
fn page(marker: Option<&'static str>, snapshots: Vec<DbSnapshot>, next: Option<&'static str>) -> MockRule {
    mock!(Client::describe_db_snapshots)
        .match_requests(move |request| {
            request.snapshot_type() == Some("manual")
                && request.filters() == [filter("db-instance-id", "orders")]
                && request.marker() == marker
        })
        .then_output(move || {
            let page = DescribeDbSnapshotsOutput::builder().set_db_snapshots(Some(snapshots.clone()));
            page.set_marker(next.map(str::to_owned)).build()
        })
}

/// Available snapshots of our account.
fn snapshots(names: &[&str]) -> MockRule {
    page(None, names.iter().map(|name| snapshot(OURS, name, "available")).collect(), None)
}

/// Who may restore the snapshot `name`.
fn restore(name: &'static str, values: &'static [&str]) -> MockRule {
    mock!(Client::describe_db_snapshot_attributes)
        .match_requests(move |request| request.db_snapshot_identifier() == Some(name))
        .then_output(move || {
            let values = values.iter().map(ToString::to_string).collect();
            let other = DbSnapshotAttribute::builder().attribute_name("other").attribute_values("all").build();
            let restore = DbSnapshotAttribute::builder().attribute_name("restore").set_attribute_values(Some(values));
            let result = DbSnapshotAttributesResult::builder().db_snapshot_attributes(other);
            let result = result.db_snapshot_attributes(restore.build()).build();
            DescribeDbSnapshotAttributesOutput::builder().db_snapshot_attributes_result(result).build()
        })
}

/// The cluster `orders` has the one snapshot `weekly`, and these may restore it.
fn cluster_snapshot(values: &'static [&str]) -> [MockRule; 2] {
    let listed = mock!(Client::describe_db_cluster_snapshots)
        .match_requests(|request| {
            request.snapshot_type() == Some("manual") && request.filters() == [filter("db-cluster-id", "orders")]
        })
        .then_output(|| {
            let weekly = DbClusterSnapshot::builder().db_cluster_snapshot_identifier("weekly").status("available");
            DescribeDbClusterSnapshotsOutput::builder().db_cluster_snapshots(weekly.build()).build()
        });
    let restore = mock!(Client::describe_db_cluster_snapshot_attributes)
        .match_requests(|request| request.db_cluster_snapshot_identifier() == Some("weekly"))
        .then_output(move || {
            let values = values.iter().map(ToString::to_string).collect();
            let restore = DbClusterSnapshotAttribute::builder().attribute_name("restore");
            let restore = restore.set_attribute_values(Some(values)).build();
            let result = DbClusterSnapshotAttributesResult::builder().db_cluster_snapshot_attributes(restore).build();
            DescribeDbClusterSnapshotAttributesOutput::builder().db_cluster_snapshot_attributes_result(result).build()
        });
    [listed, restore]
}

fn no_cluster_snapshots() -> MockRule {
    mock!(Client::describe_db_cluster_snapshots).then_output(|| DescribeDbClusterSnapshotsOutput::builder().build())
}

async fn plan(rules: &[&MockRule], resource: &str) -> Result<Vec<Change>> {
    let client = mock_client!(aws_sdk_rds, RuleMode::MatchAny, rules);
    Ok(RdsPublicSnapshot::plan(&client, &finding(resource), &Settings {}).await?.changes)
}

fn change(kind: Kind, snapshot: &str, before: &[&str], after: &[&str]) -> Change {
    let values = |values: &[&str]| values.iter().map(ToString::to_string).collect();
    Change { kind, snapshot: snapshot.into(), before: values(before), after: values(after) }
}

#[tokio::test]
async fn everyone_is_taken_off_and_accounts_listed_by_name_stay() {
    let listed = snapshots(&["alone", "listed", "private", "shared"]);
    let attributes = [
        restore("alone", &["all"]),
        restore("listed", &["444444444444", "all", THEIRS]),
        restore("private", &[]),
        restore("shared", &[THEIRS]),
    ];
    let rules: Vec<_> = [&instance(), &listed].into_iter().chain(&attributes).cloned().collect();
    let changes = plan(&rules.iter().collect::<Vec<_>>(), "orders").await.unwrap();
    let expected = [
        change(Kind::Instance, "alone", &["all"], &[]),
        change(Kind::Instance, "listed", &["444444444444", "all", THEIRS], &["444444444444", THEIRS]),
    ];
    assert_eq!(changes, expected);
    assert_eq!(changes[0].to_string(), "snapshot alone: restore by all → nobody else");
    let summary = "snapshot listed: restore by 444444444444, all, 333333333333 → 444444444444, 333333333333";
    assert_eq!(changes[1].to_string(), summary);
}

#[tokio::test]
async fn every_page_is_read_and_another_accounts_snapshot_is_not_looked_at() {
    let first = page(None, vec![snapshot(OURS, "first", "available")], Some("more"));
    let second = [snapshot(THEIRS, "theirs", "available"), snapshot(OURS, "second", "available")];
    let second = page(Some("more"), second.into(), None);
    let (one, two, theirs) = (restore("first", &["all"]), restore("second", &["all"]), restore("theirs", &["all"]));
    let changes = plan(&[&instance(), &first, &second, &one, &two, &theirs], "orders").await.unwrap();
    let names: Vec<_> = changes.iter().map(|change| change.snapshot.as_str()).collect();
    assert_eq!((names, theirs.num_calls()), (vec!["first", "second"], 0));
}

#[tokio::test]
async fn what_cannot_be_changed_now_comes_last() {
    let listed = [snapshot(OURS, "copying", "creating"), snapshot(OURS, "ready", "available")];
    let (copying, ready) = (restore("copying", &["all"]), restore("ready", &["all"]));
    let changes = plan(&[&instance(), &page(None, listed.into(), None), &copying, &ready], "orders").await.unwrap();
    assert_eq!(changes[0].snapshot, "ready");
}

#[tokio::test]
async fn an_instance_is_named_by_name_arn_or_resource_id() {
    for resource in ["orders", "Orders", "arn:aws:rds:us-east-1:222222222222:db:orders", RESOURCE_ID] {
        let changes = plan(&[&instance(), &snapshots(&["nightly"]), &restore("nightly", &["all"])], resource).await;
        assert_eq!(changes.unwrap(), [change(Kind::Instance, "nightly", &["all"], &[])], "{resource}");
    }
    for (resource, says) in [
        ("", "neither the name"),
        ("no name", "neither the name"),
        ("arn:aws:rds:us-east-1:222222222222:db:", "neither the name"),
        ("arn:aws:rds:us-east-1:222222222222:snapshot:nightly", "neither the name"),
        ("arn:aws:ec2:us-east-1:222222222222:db:orders", "service ec2, not of rds"),
        ("arn:aws:rds:us-east-1:333333333333:db:orders", "account 333333333333, but the finding is of 222222222222"),
        ("arn:aws:rds:eu-west-1:222222222222:db:orders", "region eu-west-1, but the finding is of us-east-1"),
    ] {
        let error = plan(&[&instance()], resource).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidFinding, "{resource}");
        assert!(error.message.contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_cluster_is_named_by_arn_or_by_a_name_that_no_instance_has() {
    let [listed, restore] = cluster_snapshot(&["all", THEIRS]);
    let expected = [change(Kind::Cluster, "weekly", &["all", THEIRS], &[THEIRS])];
    let arn = "arn:aws:rds:us-east-1:222222222222:cluster:orders";
    assert_eq!(plan(&[&cluster(), &listed, &restore], arn).await.unwrap(), expected);
    let rules = [&no_instance(), &snapshots(&[]), &cluster(), &listed, &restore];
    let changes = plan(&rules, "orders").await.unwrap();
    assert_eq!(changes, expected);
    assert_eq!(changes[0].to_string(), "cluster snapshot weekly: restore by all, 333333333333 → 333333333333");
    // An instance of that name is what is meant, and its cluster is not looked at.
    assert_eq!(plan(&[&instance(), &snapshots(&[]), &cluster(), &listed, &restore], "orders").await.unwrap(), []);
}

#[tokio::test]
async fn a_cluster_is_named_by_its_resource_id() {
    let id = "cluster-ABCDEFGHIJKL01234";
    let found = mock!(Client::describe_db_clusters)
        .match_requests(move |request| request.filters() == [filter("db-cluster-resource-id", id)])
        .then_output(|| {
            let orders = DbCluster::builder().db_cluster_identifier("orders").build();
            DescribeDbClustersOutput::builder().db_clusters(orders).build()
        });
    let [listed, restore] = cluster_snapshot(&["all"]);
    let changes = plan(&[&found, &listed, &restore], id).await.unwrap();
    assert_eq!(changes, [change(Kind::Cluster, "weekly", &["all"], &[])]);
}

#[tokio::test]
async fn an_instance_that_is_gone_can_have_left_public_snapshots() {
    let (listed, restore) = (snapshots(&["final"]), restore("final", &["all"]));
    let expected = [change(Kind::Instance, "final", &["all"], &[])];
    let arn = "arn:aws:rds:us-east-1:222222222222:db:orders";
    assert_eq!(plan(&[&no_instance(), &listed, &restore], arn).await.unwrap(), expected);
    let rules = [&no_instance(), &listed, &restore, &no_cluster(), &no_cluster_snapshots()];
    assert_eq!(plan(&rules, "orders").await.unwrap(), expected);
    // Nothing tells its name any more, but its snapshots know its resource ID.
    let none = mock!(Client::describe_db_instances).then_output(|| DescribeDbInstancesOutput::builder().build());
    let listed = mock!(Client::describe_db_snapshots)
        .match_requests(|request| request.filters() == [filter("dbi-resource-id", RESOURCE_ID)])
        .then_output(|| {
            DescribeDbSnapshotsOutput::builder().db_snapshots(snapshot(OURS, "final", "available")).build()
        });
    assert_eq!(plan(&[&none, &listed, &restore], RESOURCE_ID).await.unwrap(), expected);
}

#[tokio::test]
async fn gone_is_what_has_left_no_snapshot_either() {
    let rules = [&no_instance(), &snapshots(&[]), &no_cluster(), &no_cluster_snapshots()];
    for (resource, action, what) in [
        ("orders", "rds:DescribeDBClusters", "no DB instance or cluster `orders`"),
        ("arn:aws:rds:us-east-1:222222222222:db:orders", "rds:DescribeDBInstances", "no DB instance `arn:"),
        ("arn:aws:rds:us-east-1:222222222222:cluster:orders", "rds:DescribeDBClusters", "no DB cluster `arn:"),
    ] {
        let error = plan(&rules, resource).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Gone, action), "{error}");
        assert!(error.message.contains(what), "{error}");
    }
    let theirs = page(None, vec![snapshot(THEIRS, "theirs", "available")], None);
    let rules = [&no_instance(), &theirs, &no_cluster(), &no_cluster_snapshots()];
    assert_eq!(plan(&rules, "orders").await.unwrap_err().kind, ErrorKind::Gone);
    assert_eq!(plan(&[&instance(), &snapshots(&[])], "orders").await.unwrap(), []);
}

#[tokio::test]
async fn a_snapshot_that_goes_while_it_is_looked_at_is_passed_over() {
    let gone = mock!(Client::describe_db_snapshot_attributes)
        .match_requests(|request| request.db_snapshot_identifier() == Some("going"))
        .then_error(|| DescribeDBSnapshotAttributesError::generic(metadata("DBSnapshotNotFound")));
    let rules = [&instance(), &snapshots(&["going", "staying"]), &gone, &restore("staying", &["all"])];
    assert_eq!(plan(&rules, "orders").await.unwrap(), [change(Kind::Instance, "staying", &["all"], &[])]);
}

#[tokio::test]
async fn an_answer_that_is_not_whole_is_an_error_and_not_compliance() {
    let empty = mock!(Client::describe_db_snapshot_attributes)
        .then_output(|| DescribeDbSnapshotAttributesOutput::builder().build());
    let nameless = page(None, vec![DbSnapshot::builder().build()], None);
    for (listed, attributes, action) in [
        (&snapshots(&["nightly"]), &empty, "rds:DescribeDBSnapshotAttributes"),
        (&nameless, &empty, "rds:DescribeDBSnapshots"),
    ] {
        let error = plan(&[&instance(), listed, attributes], "orders").await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Transient, action), "{error}");
    }
}

#[tokio::test]
async fn errors_name_the_action() {
    for (code, kind) in [("AccessDenied", ErrorKind::AccessDenied), ("InvalidParameterValue", ErrorKind::Permanent)] {
        let instances =
            mock!(Client::describe_db_instances).then_error(move || DescribeDBInstancesError::generic(metadata(code)));
        let listed =
            mock!(Client::describe_db_snapshots).then_error(move || DescribeDBSnapshotsError::generic(metadata(code)));
        let attributes = mock!(Client::describe_db_snapshot_attributes)
            .then_error(move || DescribeDBSnapshotAttributesError::generic(metadata(code)));
        for (rules, action) in [
            (vec![&instances], "rds:DescribeDBInstances"),
            (vec![&instance(), &listed], "rds:DescribeDBSnapshots"),
            (vec![&instance(), &snapshots(&["nightly"]), &attributes], "rds:DescribeDBSnapshotAttributes"),
        ] {
            let error = plan(&rules, "orders").await.unwrap_err();
            assert_eq!((error.kind, error.action.as_str()), (kind, action), "{error}");
        }
    }
}

#[tokio::test]
async fn apply_writes_only_the_difference() {
    let modify = |added: Option<&'static str>, removed: Option<&'static str>| {
        mock!(Client::modify_db_snapshot_attribute)
            .match_requests(move |request| {
                request.db_snapshot_identifier() == Some("nightly")
                    && request.attribute_name() == Some("restore")
                    && request.values_to_add().iter().map(String::as_str).eq(added)
                    && request.values_to_remove().iter().map(String::as_str).eq(removed)
            })
            .then_output(|| ModifyDbSnapshotAttributeOutput::builder().build())
    };
    let fix = change(Kind::Instance, "nightly", &[THEIRS, "all"], &[THEIRS]);
    let undo = RdsPublicSnapshot::undo(&fix).unwrap();
    for (change, rule) in [(fix, modify(None, Some("all"))), (undo, modify(Some("all"), None))] {
        let client = mock_client!(aws_sdk_rds, RuleMode::MatchAny, [&rule]);
        RdsPublicSnapshot::apply(&client, &change).await.unwrap();
        assert_eq!(rule.num_calls(), 1);
    }
    let rule = mock!(Client::modify_db_cluster_snapshot_attribute)
        .match_requests(|request| {
            request.db_cluster_snapshot_identifier() == Some("weekly")
                && request.attribute_name() == Some("restore")
                && request.values_to_add().is_empty()
                && request.values_to_remove() == ["all"]
        })
        .then_output(|| ModifyDbClusterSnapshotAttributeOutput::builder().build());
    let client = mock_client!(aws_sdk_rds, RuleMode::MatchAny, [&rule]);
    RdsPublicSnapshot::apply(&client, &change(Kind::Cluster, "weekly", &["all"], &[])).await.unwrap();
    assert_eq!(rule.num_calls(), 1);
}

/// A client that refuses both kinds of write.
fn refusing(code: &'static str, cluster_code: &'static str) -> Client {
    let instance = mock!(Client::modify_db_snapshot_attribute)
        .then_error(move || ModifyDBSnapshotAttributeError::generic(metadata(code)));
    let cluster = mock!(Client::modify_db_cluster_snapshot_attribute)
        .then_error(move || ModifyDBClusterSnapshotAttributeError::generic(metadata(cluster_code)));
    mock_client!(aws_sdk_rds, RuleMode::MatchAny, [&instance, &cluster])
}

const WRITES: [(Kind, &str); 2] =
    [(Kind::Instance, "rds:ModifyDBSnapshotAttribute"), (Kind::Cluster, "rds:ModifyDBClusterSnapshotAttribute")];

#[tokio::test]
async fn a_snapshot_that_is_gone_needs_no_fix_and_cannot_be_made_public_again() {
    let client = refusing("DBSnapshotNotFound", "DBClusterSnapshotNotFoundFault");
    for (kind, action) in WRITES {
        let fix = change(kind, "nightly", &["all"], &[]);
        RdsPublicSnapshot::apply(&client, &fix).await.unwrap();
        let undo = RdsPublicSnapshot::undo(&fix).unwrap();
        let error = RdsPublicSnapshot::apply(&client, &undo).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Gone, action), "{error}");
    }
}

#[tokio::test]
async fn a_snapshots_state_that_forbids_it_is_said() {
    let client = refusing("InvalidDBSnapshotState", "InvalidDBClusterSnapshotStateFault");
    for (kind, action) in WRITES {
        let error = RdsPublicSnapshot::apply(&client, &change(kind, "nightly", &["all"], &[])).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Transient, action), "{error}");
        assert!(error.message.contains("told so (the state of the snapshot nightly forbids it"), "{error}");
    }
}

#[test]
fn the_manifest_can_be_read_and_serves_the_control() {
    let manifest = Manifest::from_json(RdsPublicSnapshot::MANIFEST).unwrap();
    assert!(manifest.control(&finding("orders").control).is_some());
}

async fn tags(rules: &[&MockRule], resource: &str) -> Result<Tags> {
    RdsPublicSnapshot::tags(&mock_client!(aws_sdk_rds, RuleMode::MatchAny, rules), &finding(resource)).await
}

fn listed_tags(tags: &[(&str, &str)]) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build()).collect()
}

fn owned_tags(tags: &[(&str, &str)]) -> Tags {
    tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A manual snapshot of the instance with these tags.
fn tagged(account: &str, name: &str, tags: &[(&str, &str)]) -> DbSnapshot {
    let mut snapshot = snapshot(account, name, "available");
    snapshot.tag_list = Some(listed_tags(tags));
    snapshot
}

#[tokio::test]
async fn the_tags_of_a_database_that_exists_are_its_own() {
    let instance = mock!(Client::describe_db_instances).then_output(|| {
        let orders =
            DbInstance::builder().db_instance_identifier("orders").tag_list(listed_tags(&[("a", "1")]).remove(0));
        DescribeDbInstancesOutput::builder().db_instances(orders.build()).build()
    });
    let unasked = snapshots(&[]);
    assert_eq!(tags(&[&instance, &unasked], "orders").await, Ok(owned_tags(&[("a", "1")])));
    assert_eq!(unasked.num_calls(), 0);
    let cluster = mock!(Client::describe_db_clusters).then_output(|| {
        let orders =
            DbCluster::builder().db_cluster_identifier("orders").tag_list(listed_tags(&[("b", "2")]).remove(0));
        DescribeDbClustersOutput::builder().db_clusters(orders.build()).build()
    });
    let arn = "arn:aws:rds:us-east-1:222222222222:cluster:orders";
    assert_eq!(tags(&[&cluster], arn).await, Ok(owned_tags(&[("b", "2")])));
}

#[tokio::test]
async fn the_tags_of_a_database_that_is_gone_are_those_that_all_it_left_has() {
    let left = vec![
        tagged(OURS, "one", &[("a", "1"), ("b", "2"), ("c", "3")]),
        tagged(OURS, "two", &[("a", "1"), ("b", "other")]),
        tagged(THEIRS, "public", &[]),
    ];
    let (none, cluster, left) = (no_instance(), no_cluster(), page(None, left, None));
    let rules = [&none, &left, &cluster, &no_cluster_snapshots()];
    assert_eq!(tags(&rules, "orders").await, Ok(owned_tags(&[("a", "1")])));
    // A cluster of the name has its own word, too.
    let untagged = self::cluster();
    assert_eq!(tags(&[&none, &left, &untagged], "orders").await, Ok(Tags::new()));
    let rules = [&none, &page(None, vec![tagged(THEIRS, "public", &[])], None), &cluster, &no_cluster_snapshots()];
    assert_eq!(tags(&rules, "orders").await.unwrap_err().kind, ErrorKind::Gone);
}

proptest! {
    #[test]
    fn undo_of_undo_is_the_change_itself(cluster: bool, accounts in prop::collection::vec("[0-9]{12}", 0..4), place: prop::sample::Index) {
        let mut before = accounts.clone();
        before.insert(place.index(before.len() + 1), EVERYONE.to_owned());
        let kind = if cluster { Kind::Cluster } else { Kind::Instance };
        let change = Change { kind, snapshot: "nightly".into(), before, after: accounts };
        let stored: Change = serde_json::from_str(&serde_json::to_string(&change).unwrap()).unwrap();
        let undo = RdsPublicSnapshot::undo(&stored).unwrap();
        prop_assert_eq!((&undo.before, &undo.after), (&change.after, &change.before));
        prop_assert_eq!(RdsPublicSnapshot::undo(&undo), Some(change));
    }

    #[test]
    fn no_resource_makes_the_parser_panic(resource: String, rest in "[a-zA-Z0-9:é-]{0,70}") {
        for resource in [resource, format!("arn:aws:rds:us-east-1:222222222222:{rest}"), format!("db-{rest}"), rest] {
            let _ = named::parse(&finding(&resource));
        }
    }
}
