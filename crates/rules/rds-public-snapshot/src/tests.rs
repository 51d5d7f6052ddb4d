use aws_sdk_rds::error::ErrorMetadata;
use aws_sdk_rds::operation::describe_db_cluster_snapshot_attributes::DescribeDbClusterSnapshotAttributesOutput;
use aws_sdk_rds::operation::describe_db_instances::DescribeDBInstancesError;
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
use aws_sdk_rds::types::{DbSnapshot, DbSnapshotAttribute, DbSnapshotAttributesResult};
use aws_smithy_mocks::{Rule as MockRule, RuleMode, mock, mock_client};
use proptest::prelude::*;
use remediation::{ErrorKind, Manifest, Resource};
use rule_testing::{ACCOUNT, World, finding, hold, poll};

use super::*;
use crate::fake::{RESOURCE_ID, Rds};

const THEIRS: &str = "333333333333";

const CONTROL: &str =
    "Access permissions and authorizations: Ensure RDS Instances do not have Publicly Accessible Snapshots";

fn arn(resource: &str) -> String {
    format!("arn:aws:rds:eu-central-1:{ACCOUNT}:{resource}")
}

fn planned(seen: &Seen<State>) -> Proposal<Change> {
    RdsPublicSnapshot::plan(seen, &[&NoParameters {}], &Settings {})
}

async fn look(rds: &Rds, resource: &str) -> Result<Seen<State>> {
    RdsPublicSnapshot::look(&rds.client(), &finding(CONTROL, resource)).await
}

/// The snapshots that are made private for a finding of `resource`, by kind and name.
async fn fixed(rds: &Rds, resource: &str) -> Vec<(Kind, String)> {
    let proposal = planned(&look(rds, resource).await.unwrap());
    assert!(proposal.held.is_empty() && proposal.not_now.is_empty(), "{proposal:?}");
    proposal.changes.into_iter().map(|change| (change.kind, change.snapshot)).collect()
}

fn instances(name: &str) -> Vec<(Kind, String)> {
    vec![(Kind::Instance, name.to_owned())]
}

fn clusters(name: &str) -> Vec<(Kind, String)> {
    vec![(Kind::Cluster, name.to_owned())]
}

/// The change that makes a snapshot private.
fn change(kind: Kind, snapshot: &str) -> Change {
    Change { kind, snapshot: snapshot.into(), before: Access::Public, after: Access::Private }
}

/// The instance `orders`.
fn orders() -> Resource {
    let resource = Resource::of_arn("rds:DescribeDBInstances", arn("db:orders"), "orders").unwrap();
    resource.called([RESOURCE_ID.to_owned()])
}

fn shared(kind: Kind, name: &str, status: &str, restore: &[&str]) -> SharedSnapshot {
    let restore = restore.iter().map(ToString::to_string).collect();
    SharedSnapshot { kind, name: name.into(), status: status.into(), restore }
}

fn seen(snapshots: Vec<SharedSnapshot>) -> Seen<State> {
    Seen::now(orders(), State { snapshots, tags: Tags::new() })
}

#[test]
fn everyone_is_taken_off_and_accounts_listed_by_name_stay() {
    let proposal = planned(&seen(vec![
        shared(Kind::Instance, "alone", "available", &["all"]),
        shared(Kind::Instance, "listed", "available", &["444444444444", "all", THEIRS]),
        shared(Kind::Instance, "private", "available", &[]),
        shared(Kind::Instance, "shared", "available", &[THEIRS]),
        shared(Kind::Cluster, "weekly", "available", &["all", THEIRS]),
    ]));
    let expected = [(Kind::Instance, "alone"), (Kind::Instance, "listed"), (Kind::Cluster, "weekly")]
        .map(|(k, name)| change(k, name));
    assert_eq!(proposal.changes, expected);
    let shown: Vec<_> = proposal.changes.iter().map(ToString::to_string).collect();
    let to_private = ["snapshot alone", "snapshot listed", "cluster snapshot weekly"];
    assert_eq!(shown, to_private.map(|what| format!("{what}: public → private")));
    let notes = [
        "the snapshot listed stays shared with the accounts 333333333333, 444444444444",
        "the cluster snapshot weekly stays shared with the account 333333333333",
    ];
    assert_eq!(proposal.notes, notes);
}

#[test]
fn what_cannot_be_changed_now_does_not_hold_up_the_others() {
    for status in ["creating", "copying"] {
        let proposal = planned(&seen(vec![
            shared(Kind::Instance, "busy", status, &["all"]),
            shared(Kind::Cluster, "busy-private", status, &[THEIRS]),
            shared(Kind::Instance, "ready", "available", &["all"]),
        ]));
        assert_eq!(proposal.changes, [change(Kind::Instance, "ready")]);
        let [later] = &proposal.not_now[..] else { panic!("{proposal:?}") };
        assert!(later.starts_with(&format!("the snapshot busy is {status}")), "{later}");
        assert!(later.ends_with("the next run will retry"), "{later}");
    }
}

#[tokio::test]
async fn an_instance_is_named_by_name_arn_or_resource_id() {
    let mut rds = Rds::default();
    rds.instance("orders", RESOURCE_ID, None);
    rds.instance("other", "db-OTHER", None);
    rds.snapshot("nightly", "orders", RESOURCE_ID, &["all"]);
    rds.snapshot("others", "other", "db-OTHER", &["all"]);
    for resource in ["orders", "Orders", &arn("db:orders"), &arn("db:Orders"), RESOURCE_ID] {
        let seen = look(&rds, resource).await.unwrap();
        assert_eq!(fixed(&rds, resource).await, instances("nightly"), "{resource}");
        assert_eq!(seen.resource.all_names().collect::<Vec<_>>(), [&arn("db:orders"), "orders", RESOURCE_ID]);
        assert_eq!(seen.resource.owner.as_ref(), ACCOUNT);
    }
}

#[tokio::test]
async fn a_cluster_is_named_by_name_arn_or_resource_id() {
    let mut rds = Rds::default();
    rds.cluster("orders", "cluster-ABC123");
    rds.cluster_snapshot("weekly", "orders", "cluster-ABC123", &["all"]);
    for resource in ["orders", &arn("cluster:orders"), "cluster-ABC123"] {
        assert_eq!(fixed(&rds, resource).await, clusters("weekly"), "{resource}");
        assert_eq!(look(&rds, resource).await.unwrap().resource.arn, arn("cluster:orders"));
    }
}

#[tokio::test]
async fn an_instance_of_a_cluster_leads_to_its_clusters_snapshots() {
    let mut rds = Rds::default();
    rds.cluster("orders", "cluster-ABC123");
    rds.instance("orders-writer", RESOURCE_ID, Some("orders"));
    rds.cluster_snapshot("weekly", "orders", "cluster-ABC123", &["all"]);
    // Taken before the cluster got its name.
    rds.cluster_snapshot("old", "orders-2025", "cluster-ABC123", &["all"]);
    let both = [clusters("old"), clusters("weekly")].concat();
    for resource in ["orders-writer", &arn("db:orders-writer"), RESOURCE_ID] {
        assert_eq!(fixed(&rds, resource).await, both, "{resource}");
        // An exemption of the cluster holds for the instance's finding: the snapshots are the cluster's.
        let Seen { resource, .. } = look(&rds, resource).await.unwrap();
        assert_eq!(resource.arn, arn("db:orders-writer"));
        for name in [RESOURCE_ID, "orders", "cluster-ABC123", &arn("cluster:orders")] {
            assert!(resource.all_names().any(|one| one == name), "{name}: {resource:?}");
        }
    }
}

#[tokio::test]
async fn a_name_that_several_things_have_means_all_of_them() {
    let mut rds = Rds::default();
    rds.cluster("shop", "cluster-ABC123");
    rds.instance("shop", RESOURCE_ID, None);
    rds.snapshot("of-instance", "shop", RESOURCE_ID, &["all"]);
    rds.cluster_snapshot("of-cluster", "shop", "cluster-ABC123", &["all"]);
    rds.snapshot("shop", "another", "db-OTHER", &["all"]);
    rds.cluster_snapshot("shop", "another", "cluster-OTHER", &["all"]);
    let (instance, cluster) = ("of-instance", "of-cluster");
    let expected = [instances(instance), instances("shop"), clusters(cluster), clusters("shop")].concat();
    assert_eq!(fixed(&rds, "shop").await, expected);
    // What says which one is meant, means that one alone.
    assert_eq!(fixed(&rds, &arn("db:shop")).await, instances(instance));
    assert_eq!(fixed(&rds, &arn("cluster:shop")).await, clusters(cluster));
    assert_eq!(fixed(&rds, &arn("snapshot:shop")).await, instances("shop"));
    assert_eq!(fixed(&rds, &arn("cluster-snapshot:shop")).await, clusters("shop"));
}

#[tokio::test]
async fn a_renamed_database_is_looked_at_by_its_resource_id_and_by_its_name() {
    let mut rds = Rds::default();
    rds.instance("now", RESOURCE_ID, None);
    rds.cluster("now-cluster", "cluster-ABC123");
    rds.snapshot("old", "before", RESOURCE_ID, &["all"]);
    rds.cluster_snapshot("old", "before-cluster", "cluster-ABC123", &["all"]);
    // Left by a former database of the name.
    rds.snapshot("of-former", "now", "db-FORMER", &["all"]);
    let both = [instances("of-former"), instances("old")].concat();
    for (resource, expected) in [
        ("now", both.clone()),
        (&arn("db:now"), both.clone()),
        (RESOURCE_ID, both.clone()),
        ("now-cluster", clusters("old")),
        ("cluster-ABC123", clusters("old")),
        // By the name that it does not have any more, the snapshots know it still.
        ("before", both.clone()),
        (&arn("db:before"), both),
        (&arn("cluster:before-cluster"), clusters("old")),
    ] {
        assert_eq!(fixed(&rds, resource).await, expected, "{resource}");
        let now = if resource.contains("cluster") { arn("cluster:now-cluster") } else { arn("db:now") };
        assert_eq!(look(&rds, resource).await.unwrap().resource.arn, now, "{resource}");
    }
}

#[tokio::test]
async fn a_database_that_is_gone_can_have_left_public_snapshots() {
    let mut rds = Rds::default();
    rds.snapshot("final", "orders", RESOURCE_ID, &["all"]);
    rds.cluster_snapshot("final", "sales", "cluster-ABC123", &["all"]);
    for (resource, kind, database) in [
        ("orders", Kind::Instance, arn("db:orders")),
        (&arn("db:orders"), Kind::Instance, arn("db:orders")),
        (RESOURCE_ID, Kind::Instance, arn("db:orders")),
        ("sales", Kind::Cluster, arn("cluster:sales")),
        (&arn("cluster:sales"), Kind::Cluster, arn("cluster:sales")),
        ("cluster-ABC123", Kind::Cluster, arn("cluster:sales")),
    ] {
        assert_eq!(fixed(&rds, resource).await, [(kind, "final".to_owned())], "{resource}");
        assert_eq!(look(&rds, resource).await.unwrap().resource.arn, database, "{resource}");
    }
}

#[tokio::test]
async fn a_snapshot_is_named_by_its_own_name_or_arn() {
    let mut rds = Rds::default();
    rds.instance("orders", RESOURCE_ID, None);
    rds.snapshot("before-upgrade", "orders", RESOURCE_ID, &["all"]);
    rds.snapshot("nightly", "orders", RESOURCE_ID, &["all"]);
    rds.cluster_snapshot("weekly", "sales", "cluster-ABC123", &["all"]);
    let long = "a".repeat(200);
    rds.snapshot(&long, "orders", RESOURCE_ID, &["all"]);
    for (resource, expected, its_arn) in [
        ("before-upgrade", instances("before-upgrade"), arn("snapshot:before-upgrade")),
        ("Before-Upgrade", instances("before-upgrade"), arn("snapshot:before-upgrade")),
        (&arn("snapshot:before-upgrade"), instances("before-upgrade"), arn("snapshot:before-upgrade")),
        ("weekly", clusters("weekly"), arn("cluster-snapshot:weekly")),
        (&arn("cluster-snapshot:weekly"), clusters("weekly"), arn("cluster-snapshot:weekly")),
        (&long, instances(&long), arn(&format!("snapshot:{long}"))),
    ] {
        assert_eq!(fixed(&rds, resource).await, expected, "{resource}");
        assert_eq!(look(&rds, resource).await.unwrap().resource.arn, its_arn, "{resource}");
    }
    // An exemption of its database holds for it, by whatever name this has had.
    rds.instance("renamed", "db-RENAMED", None);
    rds.tag("db:renamed", &[("keep", "yes"), ("a", "database")]);
    rds.snapshot("first", "unnamed", "db-RENAMED", &["all"]);
    rds.tag("snapshot:first", &[("a", "snapshot")]);
    let Seen { resource, .. } = look(&rds, "first").await.unwrap();
    let names = [arn("snapshot:first"), "first".into(), arn("db:renamed"), "db-RENAMED".into(), "renamed".into()];
    assert_eq!(resource.all_names().collect::<Vec<_>>(), [&names[..], &["unnamed".into()]].concat());
    assert_eq!(tags(&rds, "first").await, owned_tags(&[("a", "snapshot"), ("keep", "yes")]));
}

#[tokio::test]
async fn an_automated_snapshot_is_looked_at_and_cannot_be_public() {
    let mut rds = Rds::default();
    rds.automated("rds:orders-2026-11-28-03-05", "automated");
    rds.automated("awsbackup:job-1", "awsbackup");
    for name in ["rds:orders-2026-11-28-03-05", "awsbackup:job-1"] {
        for resource in [name, &arn(&format!("snapshot:{name}"))] {
            let looked = look(&rds, resource).await.unwrap();
            assert_eq!((looked.resource.id.as_str(), planned(&looked).complies()), (name, true), "{resource}");
        }
    }
}

#[tokio::test]
async fn only_an_arn_or_a_resource_id_can_be_gone() {
    let mut rds = Rds::default();
    rds.instance("other", "db-OTHER", None);
    for (resource, action, what) in [
        (arn("db:orders"), "rds:DescribeDBInstances", "no DB instance, and no manual snapshot"),
        (RESOURCE_ID.into(), "rds:DescribeDBInstances", "no DB instance, and no manual snapshot"),
        (arn("cluster:orders"), "rds:DescribeDBClusters", "no DB cluster, and no manual snapshot"),
        ("cluster-ABC123".into(), "rds:DescribeDBClusters", "no DB cluster, and no manual snapshot"),
        (arn("snapshot:orders"), "rds:DescribeDBSnapshots", "no DB snapshot"),
        (arn("cluster-snapshot:orders"), "rds:DescribeDBClusterSnapshots", "no DB cluster snapshot"),
    ] {
        let error = look(&rds, &resource).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Gone, action), "{error}");
        assert!(error.message.contains(what), "{error}");
    }
    for (resource, what) in [
        ("orders", "no DB instance, DB cluster, snapshot of either, or manual snapshot that one has left, `orders`"),
        ("rds:orders-2026", "no DB snapshot or DB cluster snapshot `rds:orders-2026`"),
        ("arn:aws:rds:::db:orders", "no DB instance, and no manual snapshot that one has left"),
    ] {
        let error = look(&rds, resource).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidFinding, "{error}");
        let message = &error.message;
        assert!(message.contains(what) && message.ends_with("in eu-central-1 of the account 222222222222"), "{error}");
    }
}

#[tokio::test]
async fn what_is_neither_a_name_nor_an_arn_of_ours_is_said() {
    for (resource, says) in [
        ("", "neither the name"),
        ("no name", "neither the name"),
        ("arn:aws:rds:eu-central-1:222222222222:db:", "neither the name"),
        ("arn:aws:rds:eu-central-1:222222222222:og:orders", "neither the name"),
        ("arn:aws:rds:eu-central-1:222222222222:snapshot:rds:", "neither the name"),
        ("arn:aws:ec2:eu-central-1:222222222222:db:orders", "service ec2, not of rds"),
        ("arn:aws:rds:eu-central-1:333333333333:db:orders", "account 333333333333, but the finding is of 222222222222"),
        ("arn:aws:rds:eu-west-1:222222222222:db:orders", "region eu-west-1, but the finding is of eu-central-1"),
    ] {
        let error = look(&Rds::default(), resource).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidFinding, "{resource}");
        assert!(error.message.contains(says), "{error}");
    }
}

fn metadata(code: &'static str) -> ErrorMetadata {
    ErrorMetadata::builder().code(code).message("told so").build()
}

fn listed(account: &str, name: &str) -> DbSnapshot {
    let arn = format!("arn:aws:rds:eu-central-1:{account}:snapshot:{name}");
    let snapshot = DbSnapshot::builder().db_snapshot_identifier(name).db_snapshot_arn(arn);
    snapshot.db_instance_identifier("orders").status("available").build()
}

/// What is planned of `orders` where RDS answers with `rules` first.
async fn planned_with(rules: &[&MockRule]) -> Result<Vec<Change>> {
    let mut rds = Rds::default();
    rds.instance("orders", RESOURCE_ID, None);
    let behind = rds.rules();
    let rules: Vec<_> = rules.iter().copied().chain(&behind).collect();
    let client = Session::new(mock_client!(aws_sdk_rds, RuleMode::MatchAny, &rules));
    Ok(planned(&RdsPublicSnapshot::look(&client, &finding(CONTROL, &arn("db:orders"))).await?).changes)
}

/// Everyone may restore the snapshot `name`.
fn public(name: &'static str) -> MockRule {
    mock!(Client::describe_db_snapshot_attributes)
        .match_requests(move |request| request.db_snapshot_identifier() == Some(name))
        .then_output(|| attributes(vec![attribute("other", &[]), attribute("restore", &["all"])]))
}

fn attribute(name: &str, values: &[&str]) -> DbSnapshotAttribute {
    let values = values.iter().map(ToString::to_string).collect();
    DbSnapshotAttribute::builder().attribute_name(name).set_attribute_values(Some(values)).build()
}

fn attributes(attributes: Vec<DbSnapshotAttribute>) -> DescribeDbSnapshotAttributesOutput {
    let result = DbSnapshotAttributesResult::builder().set_db_snapshot_attributes(Some(attributes)).build();
    DescribeDbSnapshotAttributesOutput::builder().db_snapshot_attributes_result(result).build()
}

/// The page of snapshots that `marker` asks for, and the marker of the next.
fn page(marker: Option<&'static str>, snapshots: Vec<DbSnapshot>, next: Option<&'static str>) -> MockRule {
    mock!(Client::describe_db_snapshots)
        .match_requests(move |request| request.snapshot_type() == Some("manual") && request.marker() == marker)
        .then_output(move || {
            let page = DescribeDbSnapshotsOutput::builder().set_db_snapshots(Some(snapshots.clone()));
            page.set_marker(next.map(str::to_owned)).build()
        })
}

#[tokio::test]
async fn every_page_is_read_and_another_accounts_snapshot_is_not_looked_at() {
    let first = page(None, vec![listed(ACCOUNT, "first")], Some("more"));
    let second = page(Some("more"), vec![listed(THEIRS, "theirs"), listed(ACCOUNT, "second")], None);
    let (one, two, theirs) = (public("first"), public("second"), public("theirs"));
    let changes = planned_with(&[&first, &second, &one, &two, &theirs]).await.unwrap();
    let names: Vec<_> = changes.iter().map(|change| change.snapshot.as_str()).collect();
    assert_eq!((names, theirs.num_calls()), (vec!["first", "second"], 0));
}

#[tokio::test]
async fn a_snapshot_that_goes_while_it_is_looked_at_is_passed_over() {
    let gone = mock!(Client::describe_db_snapshot_attributes)
        .match_requests(|request| request.db_snapshot_identifier() == Some("going"))
        .then_error(|| DescribeDBSnapshotAttributesError::generic(metadata("DBSnapshotNotFound")));
    let listed = page(None, vec![listed(ACCOUNT, "going"), listed(ACCOUNT, "staying")], None);
    let changes = planned_with(&[&listed, &gone, &public("staying")]).await.unwrap();
    assert_eq!(changes, [change(Kind::Instance, "staying")]);
}

#[tokio::test]
async fn an_answer_that_is_not_whole_is_an_error_and_not_compliance() {
    let nightly = || page(None, vec![listed(ACCOUNT, "nightly")], None);
    let answers = [
        DescribeDbSnapshotAttributesOutput::builder().build(),
        DescribeDbSnapshotAttributesOutput::builder()
            .db_snapshot_attributes_result(DbSnapshotAttributesResult::builder().build())
            .build(),
        attributes(vec![]),
        // Not what says who may restore.
        attributes(vec![attribute("copy", &[])]),
    ];
    for answer in answers {
        let answer = mock!(Client::describe_db_snapshot_attributes).then_output(move || answer.clone());
        let error = planned_with(&[&nightly(), &answer]).await.unwrap_err();
        let action = "rds:DescribeDBSnapshotAttributes";
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Transient, action), "{error}");
    }
    for cut in [
        |snapshot: &mut DbSnapshot| snapshot.db_snapshot_identifier = None,
        |snapshot: &mut DbSnapshot| snapshot.db_snapshot_arn = None,
    ] {
        let mut snapshot = listed(ACCOUNT, "nightly");
        cut(&mut snapshot);
        let error = planned_with(&[&page(None, vec![snapshot], None)]).await.unwrap_err();
        let action = "rds:DescribeDBSnapshots";
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Transient, action), "{error}");
    }
    let mut rds = Rds::default();
    rds.cluster("orders", "cluster-ABC123");
    rds.cluster_snapshot("weekly", "orders", "cluster-ABC123", &["all"]);
    let empty = mock!(Client::describe_db_cluster_snapshot_attributes)
        .then_output(|| DescribeDbClusterSnapshotAttributesOutput::builder().build());
    let behind = rds.rules();
    let rules: Vec<_> = [&empty].into_iter().chain(&behind).collect();
    let client = Session::new(mock_client!(aws_sdk_rds, RuleMode::MatchAny, &rules));
    let error = RdsPublicSnapshot::look(&client, &finding(CONTROL, "orders")).await.unwrap_err();
    let action = "rds:DescribeDBClusterSnapshotAttributes";
    assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Transient, action), "{error}");
}

#[tokio::test]
async fn errors_name_the_action() {
    for (code, kind) in [("AccessDenied", ErrorKind::AccessDenied), ("InvalidParameterValue", ErrorKind::Permanent)] {
        let instances =
            mock!(Client::describe_db_instances).then_error(move || DescribeDBInstancesError::generic(metadata(code)));
        let list =
            mock!(Client::describe_db_snapshots).then_error(move || DescribeDBSnapshotsError::generic(metadata(code)));
        let attributes = mock!(Client::describe_db_snapshot_attributes)
            .then_error(move || DescribeDBSnapshotAttributesError::generic(metadata(code)));
        let nightly = page(None, vec![listed(ACCOUNT, "nightly")], None);
        for (rules, action) in [
            (vec![&instances], "rds:DescribeDBInstances"),
            (vec![&list], "rds:DescribeDBSnapshots"),
            (vec![&nightly, &attributes], "rds:DescribeDBSnapshotAttributes"),
        ] {
            let error = planned_with(&rules).await.unwrap_err();
            assert_eq!((error.kind, error.action.as_str()), (kind, action), "{error}");
        }
    }
}

/// Takes a change of one of the accounts that may restore the snapshot `name` of an instance.
fn modify(name: &'static str, added: Option<&'static str>, removed: Option<&'static str>) -> MockRule {
    mock!(Client::modify_db_snapshot_attribute)
        .match_requests(move |request| {
            request.db_snapshot_identifier() == Some(name)
                && request.attribute_name() == Some("restore")
                && request.values_to_add().iter().map(String::as_str).eq(added)
                && request.values_to_remove().iter().map(String::as_str).eq(removed)
        })
        .then_output(|| ModifyDbSnapshotAttributeOutput::builder().build())
}

/// An RDS with the instance `orders` and a public snapshot of it, which is shared with an account as well; and with the
/// cluster `sales` and one of that.
fn shop() -> Rds {
    let mut rds = Rds::default();
    rds.instance("orders", RESOURCE_ID, None);
    rds.snapshot("nightly", "orders", RESOURCE_ID, &[THEIRS, "all"]);
    rds.cluster("sales", "cluster-ABC123");
    rds.cluster_snapshot("weekly", "sales", "cluster-ABC123", &["all"]);
    rds
}

/// The cluster `sales`.
fn sales() -> Resource {
    let resource = Resource::of_arn("rds:DescribeDBClusters", arn("cluster:sales"), "sales").unwrap();
    resource.called(["cluster-ABC123".to_owned()])
}

/// Applies a change to the shop, where `rule` answers the write.
async fn apply(resource: &Resource, change: &Change, rules: &[&MockRule]) -> Result<()> {
    let behind = shop().rules();
    let rules: Vec<_> = rules.iter().copied().chain(&behind).collect();
    let client = Session::new(mock_client!(aws_sdk_rds, RuleMode::MatchAny, &rules));
    RdsPublicSnapshot::apply(&client, resource, change).await
}

#[tokio::test]
async fn apply_writes_everyone_and_no_account() {
    let fix = change(Kind::Instance, "nightly");
    let undo = RdsPublicSnapshot::undo(&fix);
    for (change, rule) in [(fix, modify("nightly", None, Some("all"))), (undo, modify("nightly", Some("all"), None))] {
        apply(&orders(), &change, &[&rule]).await.unwrap();
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
    apply(&sales(), &change(Kind::Cluster, "weekly"), &[&rule]).await.unwrap();
    assert_eq!(rule.num_calls(), 1);
}

#[tokio::test]
async fn a_snapshot_of_something_else_is_not_changed() {
    let snapshot = |name| Resource::of_arn("rds:X", arn(&format!("snapshot:{name}")), name).unwrap();
    let other_owner = Resource { owner: THEIRS.parse().unwrap(), ..orders() };
    let nightly = change(Kind::Instance, "nightly");
    for (resource, change) in [
        (sales(), nightly.clone()),
        (orders(), change(Kind::Cluster, "weekly")),
        (snapshot("another"), nightly.clone()),
        (other_owner, nightly.clone()),
    ] {
        let rules = [&modify("nightly", None, Some("all")), &modify("nightly", Some("all"), None)];
        for change in [RdsPublicSnapshot::undo(&change), change] {
            let error = apply(&resource, &change, &rules).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Permanent, "{error}");
            assert!(error.message.contains(&format!("does not belong to {}", resource.arn)), "{error}");
        }
        assert_eq!(rules.map(|rule| rule.num_calls()), [0, 0]);
    }
    let rule = modify("nightly", None, Some("all"));
    apply(&snapshot("nightly"), &nightly, &[&rule]).await.unwrap();
    assert_eq!(rule.num_calls(), 1, "named itself, it is its own");
}

#[tokio::test]
async fn whatever_a_look_leads_to_can_be_written() {
    let mut rds = shop();
    rds.instance("writer", "db-WRITER", Some("sales"));
    rds.cluster_snapshot("older", "sales-2025", "cluster-ABC123", &["all"]);
    rds.snapshot("of-former", "orders", "db-FORMER", &["all"]);
    rds.snapshot("final", "gone", "db-GONE", &["all"]);
    rds.snapshot("orders", "another", "db-OTHER", &["all"]);
    for named in ["orders", "nightly", "sales", "weekly", "writer", "gone", "of-former", "older", "final"] {
        let seen = look(&rds, named).await.unwrap();
        let (snapshot, cluster) = (
            mock!(Client::modify_db_snapshot_attribute)
                .then_output(|| ModifyDbSnapshotAttributeOutput::builder().build()),
            mock!(Client::modify_db_cluster_snapshot_attribute)
                .then_output(|| ModifyDbClusterSnapshotAttributeOutput::builder().build()),
        );
        let behind = rds.rules();
        let rules: Vec<_> = [&snapshot, &cluster].into_iter().chain(&behind).collect();
        let client = Session::new(mock_client!(aws_sdk_rds, RuleMode::MatchAny, &rules));
        let changes = planned(&seen).changes;
        for change in &changes {
            RdsPublicSnapshot::apply(&client, &seen.resource, change).await.unwrap();
        }
        assert_eq!(snapshot.num_calls() + cluster.num_calls(), changes.len(), "{named}");
        assert!(!changes.is_empty(), "{named}");
    }
}

/// Refusals of both kinds of write.
fn refusing(code: &'static str, cluster_code: &'static str) -> [MockRule; 2] {
    let instance = mock!(Client::modify_db_snapshot_attribute)
        .then_error(move || ModifyDBSnapshotAttributeError::generic(metadata(code)));
    let cluster = mock!(Client::modify_db_cluster_snapshot_attribute)
        .then_error(move || ModifyDBClusterSnapshotAttributeError::generic(metadata(cluster_code)));
    [instance, cluster]
}

/// The snapshots of the shop, with what writes them.
fn writes() -> [(Resource, Change, &'static str); 2] {
    [
        (orders(), change(Kind::Instance, "nightly"), "rds:ModifyDBSnapshotAttribute"),
        (sales(), change(Kind::Cluster, "weekly"), "rds:ModifyDBClusterSnapshotAttribute"),
    ]
}

#[tokio::test]
async fn a_snapshot_that_is_gone_needs_no_fix_and_cannot_be_made_public_again() {
    let [one, other] = refusing("DBSnapshotNotFound", "DBClusterSnapshotNotFoundFault");
    for (resource, fix, action) in writes() {
        let gone = Change { snapshot: "gone".into(), ..fix.clone() };
        // At the write, or just before it.
        for (fix, action) in [(fix, action), (gone.clone(), gone.kind.describes_snapshots())] {
            apply(&resource, &fix, &[&one, &other]).await.unwrap();
            let error = apply(&resource, &RdsPublicSnapshot::undo(&fix), &[&one, &other]).await.unwrap_err();
            assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Gone, action), "{error}");
        }
    }
}

#[tokio::test]
async fn a_snapshots_state_that_forbids_it_is_for_later() {
    let [one, other] = refusing("InvalidDBSnapshotState", "InvalidDBClusterSnapshotStateFault");
    for (resource, fix, action) in writes() {
        let error = apply(&resource, &fix, &[&one, &other]).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::NotNow, action), "{error}");
        assert!(error.message.contains("the next run tries again"), "{error}");
    }
}

/// How many calls a poll makes for a finding of `resource`.
async fn calls(rds: &Rds, resource: &str) -> usize {
    let written =
        mock!(Client::modify_db_snapshot_attribute).then_output(|| ModifyDbSnapshotAttributeOutput::builder().build());
    let behind = rds.rules();
    let rules: Vec<_> = [&written].into_iter().chain(&behind).collect();
    let client = Session::new(mock_client!(aws_sdk_rds, RuleMode::MatchAny, &rules));
    let finding = finding(CONTROL, resource);
    poll::<RdsPublicSnapshot>(&client, &finding, &[NoParameters {}], &Settings {}).await.unwrap();
    rules.iter().map(|rule| rule.num_calls()).sum()
}

#[tokio::test]
async fn it_makes_the_fewest_calls() {
    let mut rds = Rds::default();
    rds.instance("orders", RESOURCE_ID, None);
    assert_eq!(calls(&rds, &arn("db:orders")).await, 3);
    rds.snapshot("private", "orders", RESOURCE_ID, &[THEIRS]);
    assert_eq!(calls(&rds, &arn("db:orders")).await, 4);
    rds.snapshot("public", "orders", RESOURCE_ID, &["all"]);
    assert_eq!(calls(&rds, &arn("db:orders")).await, 5 + 2 + 5);
}

#[tokio::test]
async fn a_look_asks_for_no_database_twice() {
    let mut rds = Rds::default();
    // An instance, its cluster, and a snapshot of either, all by one name.
    rds.cluster("shop", "cluster-ABC123");
    rds.instance("shop", RESOURCE_ID, Some("shop"));
    rds.snapshot("shop", "shop", RESOURCE_ID, &[]);
    rds.cluster_snapshot("shop", "shop", "cluster-ABC123", &[]);
    let rules = rds.rules();
    let client = Session::new(mock_client!(aws_sdk_rds, RuleMode::MatchAny, &rules));
    RdsPublicSnapshot::look(&client, &finding(CONTROL, "shop")).await.unwrap();
    let [instances, clusters, ..] = &rules;
    assert_eq!((instances.num_calls(), clusters.num_calls()), (1, 1));
}

#[test]
fn a_side_is_whether_everyone_may_and_neither_order_nor_accounts_matter() {
    let change = change(Kind::Instance, "nightly");
    for (name, restore, side) in [
        ("nightly", &["all"][..], Side::Before),
        ("nightly", &["444444444444", "all", THEIRS], Side::Before),
        ("nightly", &[THEIRS, "444444444444", "all"], Side::Before),
        ("nightly", &[], Side::After),
        ("nightly", &[THEIRS], Side::After),
        ("another", &["all"], Side::Neither),
    ] {
        for status in ["available", "copying"] {
            let of_cluster = shared(Kind::Cluster, "nightly", "available", &["all"]);
            let State { snapshots, tags } = seen(vec![of_cluster, shared(Kind::Instance, name, status, restore)]).state;
            assert_eq!(RdsPublicSnapshot::side(&change, &State { snapshots, tags }), side, "{name} {restore:?}");
        }
    }
}

#[test]
fn the_manifest_can_be_read_and_serves_the_control() {
    let manifest = Manifest::from_json(RdsPublicSnapshot::MANIFEST).unwrap();
    assert!(manifest.control(CONTROL).is_some());
}

async fn tags(rds: &Rds, resource: &str) -> Tags {
    let client = rds.client();
    let seen = RdsPublicSnapshot::look(&client, &finding(CONTROL, resource)).await.unwrap();
    RdsPublicSnapshot::tags(&client, &seen).await.unwrap()
}

fn owned_tags(tags: &[(&str, &str)]) -> Tags {
    tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn the_tags_of_a_database_that_exists_are_its_own_and_its_clusters() {
    let mut rds = Rds::default();
    rds.instance("orders", RESOURCE_ID, None);
    rds.tag("db:orders", &[("a", "1")]);
    rds.snapshot("nightly", "orders", RESOURCE_ID, &[]);
    rds.tag("snapshot:nightly", &[("b", "2")]);
    for resource in ["orders", RESOURCE_ID, &arn("db:orders")] {
        assert_eq!(tags(&rds, resource).await, owned_tags(&[("a", "1")]), "{resource}");
    }
    rds.cluster("sales", "cluster-ABC123");
    rds.tag("cluster:sales", &[("c", "3"), ("d", "cluster")]);
    rds.instance("sales-writer", "db-WRITER", Some("sales"));
    rds.tag("db:sales-writer", &[("d", "instance")]);
    assert_eq!(tags(&rds, "sales").await, owned_tags(&[("c", "3"), ("d", "cluster")]));
    assert_eq!(tags(&rds, "sales-writer").await, owned_tags(&[("c", "3"), ("d", "instance")]));
}

#[tokio::test]
async fn of_several_things_only_the_tags_that_all_have_hold() {
    let mut rds = Rds::default();
    rds.snapshot("one", "orders", RESOURCE_ID, &[]);
    rds.tag("snapshot:one", &[("a", "1"), ("b", "2"), ("c", "3")]);
    rds.snapshot("two", "orders", RESOURCE_ID, &[]);
    rds.tag("snapshot:two", &[("a", "1"), ("b", "other")]);
    assert_eq!(tags(&rds, "orders").await, owned_tags(&[("a", "1")]));
    // A snapshot has tags of its own, where it is named itself.
    assert_eq!(tags(&rds, "two").await, owned_tags(&[("a", "1"), ("b", "other")]));
    // A cluster of the name has its own word, too.
    rds.cluster("orders", "cluster-ABC123");
    assert_eq!(tags(&rds, "orders").await, Tags::new());
}

fn any_snapshots() -> impl Strategy<Value = Vec<SharedSnapshot>> {
    let value = prop_oneof![Just(EVERYONE.to_owned()), "[0-9]{12}"];
    let status = prop_oneof![Just("available"), Just("creating"), Just("copying")];
    let snapshot = (any::<bool>(), status, prop::collection::btree_set(value, 0..4));
    prop::collection::vec(snapshot, 0..6).prop_map(|snapshots| {
        let named = |(number, (cluster, status, restore)): (usize, (bool, &str, _))| {
            let kind = if cluster { Kind::Cluster } else { Kind::Instance };
            SharedSnapshot { kind, name: format!("s{number}"), status: status.into(), restore }
        };
        snapshots.into_iter().enumerate().map(named).collect()
    })
}

impl World for RdsPublicSnapshot {
    fn write(state: &mut State, Change { kind, snapshot, after, .. }: &Change) {
        let is_it = |of: &&mut SharedSnapshot| (of.kind, &of.name) == (*kind, snapshot);
        let found = state.snapshots.iter_mut().find(is_it).unwrap();
        match after {
            Access::Public => found.restore.insert(EVERYONE.into()),
            Access::Private => found.restore.remove(EVERYONE),
        };
    }

    fn open(state: &State) -> BTreeSet<String> {
        let pairs = |of: &SharedSnapshot| {
            let (kind, name) = (of.kind, of.name.clone());
            of.restore.clone().into_iter().map(move |who| format!("{who} restores {kind} {name}"))
        };
        state.snapshots.iter().flat_map(pairs).collect()
    }
}

proptest! {
    #[test]
    fn the_laws_hold(snapshots in any_snapshots()) {
        let state = State { snapshots, tags: Tags::new() };
        hold::<RdsPublicSnapshot>(&orders(), &state, &[NoParameters {}], &Settings {});
    }

    #[test]
    fn every_public_snapshot_is_changed_now_or_later(snapshots in any_snapshots()) {
        let public = snapshots.iter().filter(|snapshot| snapshot.restore.contains(EVERYONE)).count();
        let Proposal { changes, not_now, .. } = planned(&seen(snapshots));
        prop_assert_eq!(changes.len() + not_now.len(), public);
    }

    #[test]
    fn no_resource_makes_the_parser_panic(resource: String, rest in "[a-zA-Z0-9:é-]{0,70}") {
        for resource in [resource, format!("arn:aws:rds:eu-central-1:222222222222:{rest}"), format!("db-{rest}"), rest] {
            let _ = named::parse(&finding(CONTROL, &resource));
        }
    }
}

#[tokio::test]
async fn databases_at_one_moment_are_looked_at_together_and_one_that_is_gone_alone() {
    let mut rds = Rds::default();
    for (name, id) in [("orders", RESOURCE_ID), ("shop", "db-SHOP"), ("idle", "db-IDLE")] {
        rds.instance(name, id, None);
    }
    rds.snapshot("a", "orders", RESOURCE_ID, &["all"]);
    rds.snapshot("b", "shop", "db-SHOP", &[]);
    let rules = rds.rules();
    let client = Session::new(mock_client!(aws_sdk_rds, RuleMode::MatchAny, &rules));
    let findings = ["orders", "shop", "idle", "gone"].map(|name| finding(CONTROL, &arn(&format!("db:{name}"))));
    let looks = findings.iter().map(|finding| RdsPublicSnapshot::look(&client, finding));
    let found = futures::future::join_all(looks).await;
    let snapshots: Vec<_> = found.iter().flatten().map(|seen| seen.state.snapshots.len()).collect();
    assert_eq!((snapshots, found[3].as_ref().unwrap_err().kind), (vec![1, 1, 0], ErrorKind::Gone));
    let [instances, _, snapshots, ..] = &rules;
    // All of them, and the one that is gone; by name of all, by resource ID of those that are there.
    assert_eq!((instances.num_calls(), snapshots.num_calls()), (2, 2));
}
