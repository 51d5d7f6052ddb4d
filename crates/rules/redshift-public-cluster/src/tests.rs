use std::collections::BTreeSet;

use aws_sdk_redshift::error::ErrorMetadata;
use aws_sdk_redshift::operation::describe_clusters::{DescribeClustersError, DescribeClustersOutput};
use aws_sdk_redshift::operation::modify_cluster::{ModifyClusterError, ModifyClusterOutput};
use aws_sdk_redshift::types::{Cluster, ElasticIpStatus, PendingModifiedValues, Tag};
use aws_sdk_ssm::operation::get_automation_execution::GetAutomationExecutionOutput;
use aws_sdk_ssm::operation::start_automation_execution::{
    StartAutomationExecutionError, StartAutomationExecutionOutput,
};
use aws_sdk_ssm::types::{AutomationExecution, AutomationExecutionStatus};
use aws_smithy_mocks::{Rule as MockRule, RuleMode, mock, mock_client};
use proptest::prelude::*;
use remediation::{Manifest, RunId};
use rule_testing::{World, finding, hold, poll};

use super::*;

const ROLE: &str = "arn:aws:iam::222222222222:role/r-service";
const ARN: &str = "arn:aws:redshift:eu-central-1:222222222222:cluster:wh";
/// <https://docs.aws.amazon.com/systems-manager-automation-runbooks/latest/userguide/automation-runbook-reference.html>
const RUNBOOK: &str = "AWSConfigRemediation-DisablePublicAccessToRedshiftCluster";

const CONTROL: &str = "Access permissions and authorizations: Ensure Redshift Clusters are not Publicly accessible";

/// The cluster `wh`.
fn wh() -> Resource {
    Resource::of_arn(api::DESCRIBE, ARN.into(), "wh").unwrap()
}

fn described(status: &'static str, public: Option<bool>, pending: Option<bool>) -> MockRule {
    mock!(Client::describe_clusters).match_requests(|request| request.cluster_identifier() == Some("wh")).then_output(
        move || {
            let pending = pending.map(|pending| PendingModifiedValues::builder().publicly_accessible(pending).build());
            let cluster = Cluster::builder().cluster_status(status).set_publicly_accessible(public);
            DescribeClustersOutput::builder().clusters(cluster.set_pending_modified_values(pending).build()).build()
        },
    )
}

/// Systems Manager's answers to the start of a runbook, and to the question how it ended.
fn ssm(status: AutomationExecutionStatus) -> [MockRule; 2] {
    let start = mock!(aws_sdk_ssm::Client::start_automation_execution)
        .match_requests(|request| {
            let value = |name: &str| request.parameters()?.get(name)?.first().cloned();
            request.document_name() == Some(RUNBOOK)
                && value("ClusterIdentifier").as_deref() == Some("wh")
                && value("AutomationAssumeRole").as_deref() == Some(ROLE)
        })
        .then_output(|| StartAutomationExecutionOutput::builder().automation_execution_id("e").build());
    let get = mock!(aws_sdk_ssm::Client::get_automation_execution).then_output(move || {
        let execution = AutomationExecution::builder().automation_execution_status(status.clone());
        GetAutomationExecutionOutput::builder().automation_execution(execution.build()).build()
    });
    [start, get]
}

fn runbooks_over(ssm: &[MockRule; 2]) -> Runbooks {
    Runbooks::over(mock_client!(aws_sdk_ssm, RuleMode::MatchAny, ssm), RunId::start())
}

/// A runbook that ends with this status.
fn runbooks(status: AutomationExecutionStatus) -> (Runbooks, MockRule) {
    let ssm = ssm(status);
    let runbooks = runbooks_over(&ssm);
    let [start, _] = ssm;
    (runbooks, start)
}

fn clients(redshift: &[&MockRule], runbooks: Runbooks) -> Clients {
    let redshift = mock_client!(aws_sdk_redshift, RuleMode::MatchAny, redshift);
    let arn_prefix = ARN.trim_end_matches("wh").into();
    Clients { redshift, together: Together::new(api::DESCRIBE), runbooks, service_role: ROLE.into(), arn_prefix }
}

async fn look(rules: &[&MockRule], resource: &str) -> Result<Seen<State>> {
    let clients = clients(rules, runbooks(AutomationExecutionStatus::Success).0);
    RedshiftPublicCluster::look(&clients, &finding(CONTROL, resource)).await
}

fn planned(seen: &Seen<State>) -> Proposal<Change> {
    RedshiftPublicCluster::plan(seen, &[&NoParameters {}], &Settings {})
}

/// The cluster `wh` as a look sees it.
fn seen(status: &str, access: Access, pending: Option<bool>) -> Seen<State> {
    Seen::now(wh(), State { status: status.to_owned(), access, pending, tags: Tags::new() })
}

fn access(public: bool, elastic_ip: Option<&str>) -> Access {
    Access { public, elastic_ip: elastic_ip.map(str::to_owned) }
}

fn private() -> Change {
    Change { before: access(true, None), after: Access::PRIVATE }
}

#[test]
fn a_public_cluster_that_is_available_becomes_private() {
    for status in ["available", "available, prep-for-resize", "available, resize-cleanup"] {
        assert_eq!(planned(&seen(status, access(true, None), None)), vec![private()].into(), "{status}");
    }
    assert_eq!(private().to_string(), "publicly accessible true → false");
    for status in ["available", "paused", "modifying"] {
        assert!(planned(&seen(status, Access::PRIVATE, None)).complies(), "{status}");
        assert!(planned(&seen(status, Access::PRIVATE, Some(false))).complies(), "{status}");
    }
}

#[test]
fn the_elastic_ip_is_in_the_plan_and_in_its_undo() {
    let change = planned(&seen("available", access(true, Some("203.0.113.7")), None)).changes.remove(0);
    assert_eq!(change.to_string(), "publicly accessible true (Elastic IP 203.0.113.7) → false");
    let stored: Change = serde_json::from_str(&serde_json::to_string(&change).unwrap()).unwrap();
    assert_eq!(RedshiftPublicCluster::undo(&stored).after, access(true, Some("203.0.113.7")));
}

#[test]
fn a_public_cluster_in_another_status_is_left_for_later_with_its_status() {
    for (status, public, pending) in [
        ("paused", true, None),
        ("resizing", true, None),
        ("modifying", true, Some(false)),
        ("modifying", false, Some(true)),
        ("availableish", true, None),
        ("modifying", true, Some(true)),
    ] {
        let proposal = planned(&seen(status, access(public, None), pending));
        assert_eq!((&proposal.changes[..], proposal.not_now.len()), (&[][..], 1), "{status}");
        let says = format!("the cluster is {status} and can only be changed while it is available");
        assert!(proposal.not_now[0].starts_with(&says), "{proposal:?}");
    }
}

#[test]
fn a_change_that_is_under_way_is_awaited() {
    for (public, pending, says) in [(false, true, "publicly accessible"), (true, false, "private")] {
        let proposal = planned(&seen("available", access(public, None), Some(pending)));
        let says = format!("a change that makes the cluster {says} is already under way; the next run will look again");
        assert_eq!((proposal.changes, proposal.not_now), (vec![], vec![says]));
    }
    assert_eq!(planned(&seen("available", access(true, None), Some(true))), vec![private()].into());
}

#[test]
fn a_side_is_what_is_in_force_and_nothing_that_is_under_way() {
    let change = Change { before: access(true, Some("203.0.113.7")), after: Access::PRIVATE };
    for (now, pending, side) in [
        (access(true, Some("203.0.113.7")), None, Side::Before),
        (access(true, Some("203.0.113.7")), Some(true), Side::Before),
        (access(true, Some("203.0.113.7")), Some(false), Side::Neither),
        (access(true, Some("203.0.113.8")), None, Side::Neither),
        (access(true, None), None, Side::Neither),
        (Access::PRIVATE, None, Side::After),
        (Access::PRIVATE, Some(false), Side::After),
        (Access::PRIVATE, Some(true), Side::Neither),
    ] {
        // The status matters to the plan alone.
        for status in ["available", "paused"] {
            let State { access, .. } = &seen(status, now.clone(), pending).state;
            assert_eq!(
                RedshiftPublicCluster::side(&change, &seen(status, now.clone(), pending).state),
                side,
                "{access}"
            );
        }
    }
}

#[tokio::test]
async fn a_look_knows_the_cluster_by_its_arn() {
    let tagged = mock!(Client::describe_clusters).then_output(|| {
        let tag = Tag::builder().key("keep").value("yes").build();
        let elastic_ip = ElasticIpStatus::builder().elastic_ip("203.0.113.7").status("active").build();
        let cluster = Cluster::builder().cluster_status("available").publicly_accessible(true).tags(tag);
        DescribeClustersOutput::builder().clusters(cluster.elastic_ip_status(elastic_ip).build()).build()
    });
    let looked = look(&[&tagged], "WH").await.unwrap();
    assert_eq!((looked.resource.arn.as_str(), looked.resource.id.as_str()), (ARN, "wh"));
    assert_eq!(looked.state.access, access(true, Some("203.0.113.7")));
    let clients = clients(&[], runbooks(AutomationExecutionStatus::Success).0);
    let tags = RedshiftPublicCluster::tags(&clients, &looked).await;
    assert_eq!(tags, Ok([("keep".to_owned(), "yes".to_owned())].into()));
    // A cluster whose public address AWS has chosen has an empty one here, or none.
    let unnamed = mock!(Client::describe_clusters).then_output(|| {
        let elastic_ip = ElasticIpStatus::builder().elastic_ip("").build();
        let cluster = Cluster::builder().publicly_accessible(true).elastic_ip_status(elastic_ip).build();
        DescribeClustersOutput::builder().clusters(cluster).build()
    });
    assert_eq!(look(&[&unnamed], "wh").await.unwrap().state.access, access(true, None));
    // A private one has none that anybody could reach.
    let private = mock!(Client::describe_clusters).then_output(|| {
        let elastic_ip = ElasticIpStatus::builder().elastic_ip("203.0.113.7").build();
        let cluster = Cluster::builder().publicly_accessible(false).elastic_ip_status(elastic_ip).build();
        DescribeClustersOutput::builder().clusters(cluster).build()
    });
    assert_eq!(look(&[&private], "wh").await.unwrap().state.access, Access::PRIVATE);
}

#[tokio::test]
async fn an_answer_without_a_word_on_public_access_concludes_nothing() {
    let error = look(&[&described("available", None, None)], "wh").await.unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Transient, api::DESCRIBE), "{error}");
}

fn describe_refused(code: &'static str) -> MockRule {
    mock!(Client::describe_clusters).then_error(move || {
        DescribeClustersError::generic(ErrorMetadata::builder().code(code).message("told so").build())
    })
}

#[tokio::test]
async fn a_clusters_own_arn_can_be_gone_and_a_name_can_only_be_wrong() {
    let error = look(&[&describe_refused("ClusterNotFound")], ARN).await.unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Gone, api::DESCRIBE), "{error}");
    let without_region = "arn:aws:redshift::222222222222:cluster:wh";
    for resource in ["wh", without_region] {
        let error = look(&[&describe_refused("ClusterNotFound")], resource).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidFinding, "{error}");
        let says = "the account 222222222222 has no Redshift cluster named `wh` in eu-central-1";
        assert!(error.message.contains(says), "{error}");
    }
}

#[tokio::test]
async fn errors_name_the_action() {
    for (code, kind) in [("AccessDenied", ErrorKind::AccessDenied), ("Throttling", ErrorKind::Throttled)] {
        let error = look(&[&describe_refused(code)], "wh").await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (kind, api::DESCRIBE), "{error}");
    }
}

#[tokio::test]
async fn the_fix_is_the_runbook_with_the_service_role() {
    let (runbooks, start) = runbooks(AutomationExecutionStatus::Success);
    RedshiftPublicCluster::apply(&clients(&[], runbooks), &wh(), &private()).await.unwrap();
    assert_eq!(start.num_calls(), 1);
}

#[tokio::test]
async fn a_runbook_that_fails_because_the_cluster_left_available_is_for_later() {
    for (status, kind) in [("resizing", ErrorKind::NotNow), ("available", ErrorKind::Permanent)] {
        let clients = clients(&[&described(status, Some(true), None)], runbooks(AutomationExecutionStatus::Failed).0);
        let error = RedshiftPublicCluster::apply(&clients, &wh(), &private()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
    }
}

/// Takes a ModifyCluster with just this.
fn modified(public: bool, elastic_ip: Option<&'static str>) -> MockRule {
    mock!(Client::modify_cluster)
        .match_requests(move |request| {
            (request.cluster_identifier(), request.publicly_accessible(), request.elastic_ip())
                == (Some("wh"), Some(public), elastic_ip)
        })
        .then_output(|| ModifyClusterOutput::builder().build())
}

#[tokio::test]
async fn in_a_partition_without_the_runbook_the_fix_is_the_call_itself() {
    let missing = || {
        mock!(aws_sdk_ssm::Client::start_automation_execution).then_error(|| {
            StartAutomationExecutionError::generic(ErrorMetadata::builder().code(runbook::NO_SUCH_RUNBOOK).build())
        })
    };
    for (partition, starts, calls) in [("aws", 1, 0), ("aws-us-gov", 0, 1), ("aws-cn", 0, 1)] {
        let start = missing();
        let ssm = mock_client!(aws_sdk_ssm, RuleMode::MatchAny, [&start]);
        let runbooks = Runbooks::over(ssm, RunId::start()).in_partition(partition);
        let modify = modified(false, None);
        let clients = clients(&[&described("available", Some(true), None), &modify], runbooks);
        let applied = RedshiftPublicCluster::apply(&clients, &wh(), &private()).await;
        assert_eq!(applied.is_ok(), calls == 1, "{partition}: {applied:?}");
        assert_eq!((modify.num_calls(), start.num_calls()), (calls, starts), "{partition}");
    }
}

#[tokio::test]
async fn undo_goes_to_the_api_and_only_where_there_is_something_to_do() {
    let undo = RedshiftPublicCluster::undo(&private());
    for (public, pending, calls) in [(false, None, 1), (true, None, 0), (false, Some(true), 0), (true, Some(false), 1)]
    {
        let modify = modified(true, None);
        let described = described("available", Some(public), pending);
        let (runbooks, start) = runbooks(AutomationExecutionStatus::Success);
        RedshiftPublicCluster::apply(&clients(&[&described, &modify], runbooks), &wh(), &undo).await.unwrap();
        assert_eq!((modify.num_calls(), start.num_calls()), (calls, 0), "{public} {pending:?}");
    }
    for (code, kind) in [("InvalidClusterState", ErrorKind::NotNow), ("ClusterNotFound", ErrorKind::Gone)] {
        let refused = mock!(Client::modify_cluster).then_error(move || {
            ModifyClusterError::generic(ErrorMetadata::builder().code(code).message("told so").build())
        });
        let described = described("available", Some(false), None);
        let clients = clients(&[&described, &refused], runbooks(AutomationExecutionStatus::Success).0);
        let error = RedshiftPublicCluster::apply(&clients, &wh(), &undo).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (kind, api::MODIFY), "{error}");
    }
}

#[tokio::test]
async fn undo_asks_for_the_elastic_ip_again_unless_it_is_there() {
    let address = "203.0.113.7";
    let undo = Change { before: Access::PRIVATE, after: access(true, Some(address)) };
    for (public, has, calls) in
        [(false, None, 1), (true, None, 1), (true, Some("203.0.113.8"), 1), (true, Some(address), 0)]
    {
        let described = mock!(Client::describe_clusters).then_output(move || {
            let status = has.map(|has| ElasticIpStatus::builder().elastic_ip(has).build());
            let cluster = Cluster::builder().publicly_accessible(public).set_elastic_ip_status(status);
            DescribeClustersOutput::builder().clusters(cluster.build()).build()
        });
        let modify = modified(true, Some(address));
        let clients = clients(&[&described, &modify], runbooks(AutomationExecutionStatus::Success).0);
        RedshiftPublicCluster::apply(&clients, &wh(), &undo).await.unwrap();
        assert_eq!(modify.num_calls(), calls, "{public} {has:?}");
    }
}

#[test]
fn an_identifier_and_an_arn_name_a_cluster_and_nothing_else_does() {
    for resource in ["wh", "WH", "arn:aws:redshift:eu-central-1:222222222222:cluster:wh"] {
        assert!(finding(CONTROL, resource).named(&IDENTIFIER).unwrap().name.eq_ignore_ascii_case("wh"), "{resource}");
    }
    for resource in
        ["", "1wh", "w h", "arn:aws:redshift:eu-central-1:222222222222:namespace:wh", "arn:aws:redshift:x:1:cluster:wh"]
    {
        let error = finding(CONTROL, resource).named(&IDENTIFIER).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidFinding, "{resource}");
    }
}

#[test]
fn the_manifest_names_the_runbook_and_where_there_is_none() {
    let runbook = runbook::of_rule::<RedshiftPublicCluster>().unwrap();
    assert_eq!(runbook.name, RUNBOOK);
    assert!(Manifest::from_json(RedshiftPublicCluster::MANIFEST).unwrap().control(CONTROL).is_some());
    for partition in ["aws-us-gov", "aws-cn"] {
        assert!(runbook.missing_in.iter().any(|missing| missing == partition), "{partition}");
    }
}

#[tokio::test]
async fn it_makes_the_fewest_calls() {
    for (public, partition, expected) in [(false, "aws", 1), (true, "aws", 4), (true, "aws-us-gov", 4)] {
        let ssm = ssm(AutomationExecutionStatus::Success);
        let rules = [&described("available", Some(public), None), &modified(false, None)];
        let clients = clients(&rules, runbooks_over(&ssm).in_partition(partition));
        let finding = finding(CONTROL, "wh");
        poll::<RedshiftPublicCluster>(&clients, &finding, &[NoParameters {}], &Settings {}).await.unwrap();
        let calls: usize = rules.into_iter().chain(&ssm).map(|rule| rule.num_calls()).sum();
        assert_eq!(calls, expected, "{public} {partition}");
    }
}

impl World for RedshiftPublicCluster {
    fn write(state: &mut State, change: &Change) {
        state.access = change.after.clone();
    }

    fn open(state: &State) -> BTreeSet<String> {
        let is_public = state.access.public || state.pending == Some(true);
        is_public.then(|| "the internet reaches it".to_owned()).into_iter().collect()
    }
}

fn any_state() -> impl Strategy<Value = State> {
    let status = prop::sample::select(vec!["available", "available, resize-cleanup", "modifying", "paused"]);
    let address = prop::option::of("203\\.0\\.113\\.[1-9]");
    (status, any::<bool>(), address, any::<Option<bool>>()).prop_map(|(status, public, address, pending)| {
        let elastic_ip = address.filter(|_| public);
        // What is pending and in force already is nothing that a change could leave behind.
        let pending = pending.filter(|pending| *pending != public);
        State { status: status.into(), access: Access { public, elastic_ip }, pending, tags: Tags::new() }
    })
}

proptest! {
    #[test]
    fn the_laws_hold(state in any_state()) {
        hold::<RedshiftPublicCluster>(&wh(), &state, &[NoParameters {}], &Settings {});
    }

    #[test]
    fn a_cluster_that_the_internet_reaches_or_will_reach_does_not_comply(state in any_state()) {
        let complies = planned(&Seen::now(wh(), state.clone())).complies();
        prop_assert_eq!(complies, RedshiftPublicCluster::open(&state).is_empty());
    }

    #[test]
    fn no_resource_makes_the_parser_panic(resource: String) {
        let _ = finding(CONTROL, &resource).named(&IDENTIFIER);
    }
}

#[tokio::test]
async fn clusters_at_one_moment_are_one_list_and_one_that_is_gone_is_asked_for_alone() {
    let cluster = |id: &str, public| {
        Cluster::builder().cluster_identifier(id).cluster_status("available").publicly_accessible(public).build()
    };
    let all = mock!(Client::describe_clusters).match_requests(|request| request.cluster_identifier().is_none());
    let all = all.then_output(move || {
        DescribeClustersOutput::builder().clusters(cluster("other", false)).clusters(cluster("wh", true)).build()
    });
    let gone = mock!(Client::describe_clusters)
        .match_requests(|request| request.cluster_identifier() == Some("gone"))
        .then_error(|| DescribeClustersError::generic(ErrorMetadata::builder().code("ClusterNotFound").build()));
    let clients = clients(&[&all, &gone], runbooks(AutomationExecutionStatus::Success).0);
    let [one, other, none] = ["wh", "other", "gone"].map(|id| finding(CONTROL, &ARN.replace(":wh", &format!(":{id}"))));
    let (one, other, none) = tokio::join!(
        RedshiftPublicCluster::look(&clients, &one),
        RedshiftPublicCluster::look(&clients, &other),
        RedshiftPublicCluster::look(&clients, &none)
    );
    assert!(one.unwrap().state.access.public && !other.unwrap().state.access.public);
    assert_eq!(none.unwrap_err().kind, ErrorKind::Gone);
    assert_eq!((all.num_calls(), gone.num_calls()), (1, 1));
}
