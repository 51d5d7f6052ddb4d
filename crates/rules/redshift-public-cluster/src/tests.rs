use aws_sdk_redshift::error::ErrorMetadata;
use aws_sdk_redshift::operation::describe_clusters::{DescribeClustersError, DescribeClustersOutput};
use aws_sdk_redshift::operation::modify_cluster::{ModifyClusterError, ModifyClusterOutput};
use aws_sdk_redshift::types::{PendingModifiedValues, Tag};
use aws_sdk_ssm::operation::get_automation_execution::GetAutomationExecutionOutput;
use aws_sdk_ssm::operation::start_automation_execution::StartAutomationExecutionOutput;
use aws_sdk_ssm::types::{AutomationExecution, AutomationExecutionStatus};
use aws_smithy_mocks::{Rule as MockRule, RuleMode, mock, mock_client};
use proptest::prelude::*;
use remediation::{Manifest, Region, RunId};

use super::*;

const ROLE: &str = "arn:aws:iam::222222222222:role/r-service";

fn finding(resource: &str) -> Finding {
    let manifest = Manifest::from_json(RedshiftPublicCluster::MANIFEST).unwrap();
    Finding {
        control: manifest.controls[0].rule_names[0].clone(),
        account: "222222222222".parse().unwrap(),
        region: Region::code("us-east-1"),
        resource: resource.into(),
        first_seen: None,
        last_scanned: None,
    }
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

/// A runbook that ends with this status.
fn runbooks(status: AutomationExecutionStatus) -> (Runbooks, MockRule) {
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
    let ssm = mock_client!(aws_sdk_ssm, RuleMode::MatchAny, [&start, &get]);
    (Runbooks::over(ssm, RunId::start()), start)
}

fn clients(redshift: &[&MockRule], runbooks: Runbooks) -> Clients {
    let redshift = mock_client!(aws_sdk_redshift, RuleMode::MatchAny, redshift);
    Clients { redshift, runbooks, service_role: ROLE.into() }
}

async fn plan(described: &MockRule, resource: &str) -> Result<Vec<Change>> {
    let clients = clients(&[described], runbooks(AutomationExecutionStatus::Success).0);
    Ok(RedshiftPublicCluster::plan(&clients, &finding(resource), &Settings {}).await?.changes)
}

fn private() -> Change {
    Change { cluster: "wh".into(), before: true, after: false }
}

#[tokio::test]
async fn a_public_cluster_that_is_available_becomes_private() {
    for status in ["available", "available, prep-for-resize"] {
        let changes = plan(&described(status, Some(true), None), "wh").await.unwrap();
        assert_eq!(changes, [private()], "{status}");
    }
    assert_eq!(private().to_string(), "cluster wh: publicly accessible true → false");
    assert_eq!(plan(&described("paused", Some(false), None), "wh").await.unwrap(), []);
}

#[tokio::test]
async fn a_public_cluster_in_another_status_is_left_for_later_with_its_status() {
    for (status, public, pending) in [
        ("paused", true, None),
        ("resizing", true, None),
        ("modifying", true, Some(false)),
        ("modifying", false, Some(true)),
        ("availableish", true, None),
    ] {
        let error = plan(&described(status, Some(public), pending), "wh").await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::NotNow, MODIFY), "{error}");
        assert!(error.message.contains(&format!("the cluster wh is {status}, ")), "{error}");
    }
}

#[tokio::test]
async fn an_answer_without_a_word_on_public_access_concludes_nothing() {
    let error = plan(&described("available", None, None), "wh").await.unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Transient, DESCRIBE), "{error}");
}

#[tokio::test]
async fn errors_name_the_action() {
    for (code, kind) in [
        ("ClusterNotFound", ErrorKind::Gone),
        ("AccessDenied", ErrorKind::AccessDenied),
        ("Throttling", ErrorKind::Throttled),
    ] {
        let refused = mock!(Client::describe_clusters).then_error(move || {
            DescribeClustersError::generic(ErrorMetadata::builder().code(code).message("told so").build())
        });
        let error = plan(&refused, "wh").await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (kind, DESCRIBE), "{error}");
    }
}

#[tokio::test]
async fn the_fix_is_the_runbook_with_the_service_role() {
    let (runbooks, start) = runbooks(AutomationExecutionStatus::Success);
    RedshiftPublicCluster::apply(&clients(&[], runbooks), &private()).await.unwrap();
    assert_eq!(start.num_calls(), 1);
}

#[tokio::test]
async fn a_runbook_that_fails_because_the_cluster_left_available_is_for_later() {
    for (status, kind) in [("resizing", ErrorKind::NotNow), ("available", ErrorKind::Permanent)] {
        let clients = clients(&[&described(status, Some(true), None)], runbooks(AutomationExecutionStatus::Failed).0);
        let error = RedshiftPublicCluster::apply(&clients, &private()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
    }
}

#[tokio::test]
async fn undo_goes_to_the_api_and_only_where_there_is_something_to_do() {
    let undo = RedshiftPublicCluster::undo(&private()).unwrap();
    for (public, pending, calls) in [(false, None, 1), (true, None, 0), (false, Some(true), 0), (true, Some(false), 1)]
    {
        let modify = mock!(Client::modify_cluster)
            .match_requests(|request| {
                (request.cluster_identifier(), request.publicly_accessible()) == (Some("wh"), Some(true))
            })
            .then_output(|| ModifyClusterOutput::builder().build());
        let described = described("available", Some(public), pending);
        let (runbooks, start) = runbooks(AutomationExecutionStatus::Success);
        RedshiftPublicCluster::apply(&clients(&[&described, &modify], runbooks), &undo).await.unwrap();
        assert_eq!((modify.num_calls(), start.num_calls()), (calls, 0), "{public} {pending:?}");
    }
    for (code, kind) in [("InvalidClusterState", ErrorKind::NotNow), ("ClusterNotFound", ErrorKind::Gone)] {
        let refused = mock!(Client::modify_cluster).then_error(move || {
            ModifyClusterError::generic(ErrorMetadata::builder().code(code).message("told so").build())
        });
        let described = described("available", Some(false), None);
        let clients = clients(&[&described, &refused], runbooks(AutomationExecutionStatus::Success).0);
        let error = RedshiftPublicCluster::apply(&clients, &undo).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (kind, MODIFY), "{error}");
    }
}

#[test]
fn an_identifier_and_an_arn_name_a_cluster_and_nothing_else_does() {
    for resource in ["wh", "WH", "arn:aws:redshift:us-east-1:222222222222:cluster:wh"] {
        assert_eq!(cluster_identifier(&finding(resource)).unwrap(), "wh", "{resource}");
    }
    for resource in
        ["", "1wh", "w h", "arn:aws:redshift:us-east-1:222222222222:namespace:wh", "arn:aws:redshift:x:1:cluster:wh"]
    {
        let error = cluster_identifier(&finding(resource)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidFinding, "{resource}");
    }
}

#[tokio::test]
async fn its_tags_are_those_that_describe_gives() {
    let tagged = mock!(Client::describe_clusters).then_output(|| {
        let tag = Tag::builder().key("keep").value("yes").build();
        DescribeClustersOutput::builder().clusters(Cluster::builder().tags(tag).build()).build()
    });
    let gone = mock!(Client::describe_clusters).then_error(|| {
        DescribeClustersError::generic(ErrorMetadata::builder().code("ClusterNotFound").message("told so").build())
    });
    let tags = |rule: MockRule| async move {
        let clients = clients(&[&rule], runbooks(AutomationExecutionStatus::Success).0);
        RedshiftPublicCluster::tags(&clients, &finding("WH")).await
    };
    assert_eq!(tags(tagged).await, Ok([("keep".to_owned(), "yes".to_owned())].into()));
    assert_eq!(tags(described("paused", Some(true), None)).await, Ok(BTreeMap::new()));
    let error = tags(gone).await.unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Gone, "redshift:DescribeClusters"), "{error}");
}

proptest! {
    #[test]
    fn undo_of_undo_is_the_change_itself(cluster: String, before: bool, after: bool) {
        let change = Change { cluster, before, after };
        let stored: Change = serde_json::from_str(&serde_json::to_string(&change).unwrap()).unwrap();
        let undo = RedshiftPublicCluster::undo(&stored).unwrap();
        prop_assert_eq!((undo.before, undo.after), (after, before));
        prop_assert_eq!(RedshiftPublicCluster::undo(&undo), Some(change));
    }

    #[test]
    fn no_resource_makes_the_parser_panic(resource: String) {
        let _ = cluster_identifier(&finding(&resource));
    }
}
