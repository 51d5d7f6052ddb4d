//! Over a mocked Systems Manager.

use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_ssm::error::ErrorMetadata;
use aws_sdk_ssm::operation::describe_automation_executions::{
    DescribeAutomationExecutionsError, DescribeAutomationExecutionsOutput,
};
use aws_sdk_ssm::operation::get_automation_execution::{GetAutomationExecutionError, GetAutomationExecutionOutput};
use aws_sdk_ssm::operation::start_automation_execution::{
    StartAutomationExecutionError, StartAutomationExecutionOutput,
};
use aws_sdk_ssm::types::{
    AutomationExecution, AutomationExecutionMetadata, AutomationExecutionStatus as Status, FailureDetails,
    StepExecution,
};
use aws_smithy_mocks::{Rule as MockRule, RuleMode, mock, mock_client};
use proptest::prelude::*;
use remediation::Outcome;

use super::*;

const SESSION: &str = "autoremediate-a-run";
const RUNBOOK: &str = "AWSConfigRemediation-X";
const PARAMETERS: [(&str, &str); 2] = [("TrailName", "t"), ("AutomationAssumeRole", "r")];

fn started() -> MockRule {
    mock!(Client::start_automation_execution)
        .match_requests(|request| {
            let value = |name: &str| request.parameters()?.get(name).map(|values| values.join(","));
            request.document_name() == Some(RUNBOOK)
                && value("TrailName").as_deref() == Some("t")
                && value("AutomationAssumeRole").as_deref() == Some("r")
                && request.client_token().is_some_and(|token| Uuid::parse_str(token).is_ok())
        })
        .then_output(|| StartAutomationExecutionOutput::builder().automation_execution_id("e-1").build())
}

fn refused(code: &'static str) -> MockRule {
    mock!(Client::start_automation_execution).then_error(move || {
        StartAutomationExecutionError::generic(ErrorMetadata::builder().code(code).message("told so").build())
    })
}

fn step(status: Status, failure_type: &str) -> StepExecution {
    let details = FailureDetails::builder().failure_type(failure_type).build();
    let step = StepExecution::builder().step_name("Change").step_status(status);
    step.failure_details(details).failure_message("the step's own words").build()
}

fn execution(status: Status, steps: Vec<StepExecution>) -> AutomationExecution {
    let built = AutomationExecution::builder().automation_execution_status(status);
    built.failure_message("the whole's own words").set_step_executions(Some(steps)).build()
}

/// Answers with these executions, one after the other.
fn looks(executions: Vec<AutomationExecution>) -> MockRule {
    let mut sequence = mock!(Client::get_automation_execution)
        .match_requests(|request| request.automation_execution_id() == Some("e-1"))
        .sequence();
    for execution in executions {
        sequence = sequence
            .output(move || GetAutomationExecutionOutput::builder().automation_execution(execution.clone()).build());
    }
    sequence.build()
}

async fn run(rules: &[&MockRule]) -> Result<()> {
    let ssm = mock_client!(aws_sdk_ssm, RuleMode::MatchAny, rules);
    Runbooks::over(ssm, SESSION).run(RUNBOOK, &PARAMETERS).await
}

#[tokio::test]
async fn the_end_is_awaited() {
    let looks = looks([Status::Pending, Status::Inprogress, Status::Success].map(|of| execution(of, vec![])).into());
    run(&[&started(), &looks]).await.unwrap();
    assert_eq!(looks.num_calls(), 3);
}

#[test]
fn every_status_on_the_way_is_not_the_end() {
    for status in [
        Status::Pending,
        Status::Inprogress,
        Status::Waiting,
        Status::Cancelling,
        Status::PendingApproval,
        Status::Approved,
        Status::Scheduled,
        Status::RunbookInprogress,
        Status::PendingChangeCalendarOverride,
        Status::ChangeCalendarOverrideApproved,
        Status::ChangeCalendarOverrideRejected,
        Status::from("ANewOne"),
    ] {
        let expected = Progress::UnderWay(status.to_string());
        assert_eq!(judge(&execution(status, vec![step(Status::Failed, "Action")])), expected);
    }
}

#[tokio::test]
async fn an_end_that_is_not_a_success_is_a_failure_with_its_reason() {
    for status in [Status::Failed, Status::Timedout, Status::Cancelled, Status::Rejected, Status::CompletedWithFailure]
    {
        let looks = looks(vec![execution(status.clone(), vec![])]);
        let error = run(&[&started(), &looks]).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Permanent, RUNBOOK), "{error}");
        let says = format!("the execution e-1 failed: {status}: the whole's own words");
        assert_eq!(error.message, says);
    }
    for status in [Status::Success, Status::CompletedWithSuccess, Status::Exited] {
        run(&[&started(), &looks(vec![execution(status, vec![step(Status::Success, "Action")])])]).await.unwrap();
    }
}

#[tokio::test]
async fn a_step_that_failed_counts_also_below_a_success() {
    for (failure_type, kind) in [
        ("Permission", ErrorKind::AccessDenied),
        ("Throttling", ErrorKind::Throttled),
        ("Internal", ErrorKind::Transient),
        ("Action", ErrorKind::Permanent),
        ("Verification", ErrorKind::Permanent),
    ] {
        for status in [Status::Success, Status::Failed] {
            let steps = vec![step(Status::Success, ""), step(Status::Failed, failure_type)];
            let error = run(&[&started(), &looks(vec![execution(status, steps)])]).await.unwrap_err();
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.message.contains("the step Change is Failed: the step's own words"), "{error}");
        }
    }
}

#[test]
fn the_code_of_a_steps_call_says_more_than_the_type_of_its_failure() {
    for (failure_type, code, kind) in [
        ("Action", "ThrottlingException", ErrorKind::Throttled),
        ("Action", "ConflictException", ErrorKind::Passing),
        ("Action", "InvalidClusterState", ErrorKind::NotNow),
        ("Action", "NotOrganizationMasterAccountException", ErrorKind::OutOfReach),
        ("Permission", "AccessDenied", ErrorKind::AccessDenied),
        ("Action", "TrailNotFoundException", ErrorKind::Permanent),
        ("Throttling", "Unheard-of", ErrorKind::Throttled),
    ] {
        for says in [
            format!("An error occurred ({code}) when calling the X operation: told so"),
            format!(
                "Exception Message from X API: [told so (Service: Y; Status Code: 400; Error Code: {code}; Proxy: null)]"
            ),
        ] {
            let mut step = step(Status::Failed, failure_type);
            step.failure_message = Some(says);
            let Progress::Failed(reason) = judge(&execution(Status::Failed, vec![step])) else { panic!("{code}") };
            assert_eq!(reason.kind, kind, "{code}");
            assert!(reason.message.contains(code), "{reason:?}");
        }
    }
    let mut refused = step(Status::Failed, "Permission");
    let says = "An error occurred (AccessDenied) when calling the X operation: with an explicit deny in a service control \
                policy";
    refused.failure_message = Some(says.into());
    let Progress::Failed(reason) = judge(&execution(Status::Failed, vec![refused])) else { panic!("it failed") };
    assert_eq!(reason.kind, ErrorKind::OutOfReach);
}

#[tokio::test]
async fn a_start_that_is_refused_says_what_it_is() {
    for (code, kind) in [
        ("AutomationExecutionLimitExceededException", ErrorKind::NotNow),
        ("AccessDeniedException", ErrorKind::AccessDenied),
        ("ThrottlingException", ErrorKind::Throttled),
        (NO_SUCH_RUNBOOK, ErrorKind::Permanent),
        ("InvalidAutomationExecutionParametersException", ErrorKind::Permanent),
    ] {
        let error = run(&[&refused(code)]).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (kind, START), "{error}");
        assert_eq!(error.kind.outcome() == Outcome::Deferred, error.message.contains("the next run tries again"));
    }
}

/// Runs the runbook, which is missing in `aws-us-gov`, or does its work directly; gives how often that was.
async fn or_directly(partition: &'static str, rules: &[&MockRule]) -> (Result<()>, u32) {
    let runbook = RunbookUse { name: RUNBOOK.into(), missing_in: vec!["aws-us-gov".into()] };
    let ssm = mock_client!(aws_sdk_ssm, RuleMode::MatchAny, rules);
    let runbooks = Runbooks::over(ssm, SESSION).in_partition(partition);
    let count = AtomicU32::new(0);
    let directly = || async {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    let result = runbooks.or_directly(&runbook, &PARAMETERS, directly).await;
    (result, count.into_inner())
}

#[tokio::test]
async fn where_there_is_a_runbook_nothing_is_done_directly() {
    let well = looks(vec![execution(Status::Success, vec![])]);
    assert_eq!(or_directly("aws", &[&started(), &well]).await, (Ok(()), 0));
    let failed = looks(vec![execution(Status::Failed, vec![])]);
    let (result, count) = or_directly("aws", &[&started(), &failed]).await;
    assert_eq!((result.unwrap_err().kind, count), (ErrorKind::Permanent, 0));
    for code in ["AccessDeniedException", "ThrottlingException", "AutomationExecutionLimitExceededException"] {
        let (result, count) = or_directly("aws", &[&refused(code)]).await;
        assert_eq!((result.is_err(), count), (true, 0), "{code}");
    }
}

#[tokio::test]
async fn where_there_is_no_runbook_its_work_is_done_directly() {
    let unasked = started();
    assert_eq!(or_directly("aws-us-gov", &[&unasked]).await, (Ok(()), 1));
    assert_eq!(unasked.num_calls(), 0);
}

#[tokio::test]
async fn a_runbook_that_should_be_there_and_is_not_ends_the_fix() {
    for code in [NO_SUCH_RUNBOOK, "InvalidDocument"] {
        let (result, count) = or_directly("aws", &[&refused(code)]).await;
        let error = result.unwrap_err();
        assert_eq!((is_missing(&error), error.kind, count), (true, ErrorKind::Permanent, 0), "{error}");
    }
    let (result, _) = or_directly("aws", &[&refused("AccessDeniedException")]).await;
    assert!(!is_missing(&result.unwrap_err()));
}

#[tokio::test]
async fn what_is_done_directly_can_fail() {
    let runbook = RunbookUse { name: RUNBOOK.into(), missing_in: vec!["aws".into()] };
    let runbooks = Runbooks::over(mock_client!(aws_sdk_ssm, RuleMode::MatchAny, []), SESSION);
    let refused = Error::not_now("redshift:ModifyCluster", "it is paused");
    let result = runbooks.or_directly(&runbook, &PARAMETERS, || async { Err(refused.clone()) }).await;
    assert_eq!(result, Err(refused));
}

#[tokio::test]
async fn a_start_that_an_scp_refuses_names_it_and_is_out_of_reach() {
    let refused = mock!(Client::start_automation_execution).then_error(|| {
        let message = "User: u is not authorized to perform: ssm:StartAutomationExecution on resource: d with an \
                       explicit deny in a service control policy";
        let metadata = ErrorMetadata::builder().code("AccessDeniedException").message(message).build();
        StartAutomationExecutionError::generic(metadata)
    });
    let error = run(&[&refused]).await.unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (ErrorKind::OutOfReach, START), "{error}");
    assert!(error.message.contains("explicit deny in a service control policy of the organization"), "{error}");
}

#[tokio::test]
async fn what_this_run_has_started_before_is_not_started_again() {
    run(&[&refused("IdempotentParameterMismatch"), &listed(&[])]).await.unwrap();
}

#[tokio::test]
async fn what_a_start_whose_answer_was_lost_has_begun_is_awaited() {
    let of = |status: Status, trail: &str| {
        let execution = AutomationExecution::builder().automation_execution_status(status);
        let execution = execution.parameters("TrailName", vec![trail.to_owned()]);
        execution.parameters("AutomationAssumeRole", vec!["r".to_owned()]).build()
    };
    let another = mock!(Client::get_automation_execution)
        .match_requests(|request| request.automation_execution_id() == Some("e-0"))
        .then_output(move || {
            let another = of(Status::Inprogress, "another");
            GetAutomationExecutionOutput::builder().automation_execution(another).build()
        });
    let ours = looks([Status::Inprogress, Status::Inprogress, Status::Success].map(|status| of(status, "t")).into());
    let list = listed(&[("e-0", RUNBOOK), ("e-1", RUNBOOK)]);
    run(&[&refused("IdempotentParameterMismatch"), &list, &another, &ours]).await.unwrap();
    assert_eq!(ours.num_calls(), 3, "it was not awaited to its end");
}

#[tokio::test]
async fn a_look_that_fails_names_its_action() {
    let denied = mock!(Client::get_automation_execution).then_error(|| {
        GetAutomationExecutionError::generic(ErrorMetadata::builder().code("AccessDeniedException").build())
    });
    let error = run(&[&started(), &denied]).await.unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (ErrorKind::AccessDenied, GET), "{error}");
}

proptest! {
    #[test]
    fn a_token_stands_for_one_start_of_one_run(runbook in "[a-z]{1,3}", value in "[a-z]{1,3}", other in "[a-z]{1,3}") {
        let (run, second) = (SESSION, "autoremediate-another-run");
        let token = client_token(run, &runbook, &[("X", &value)]);
        prop_assert_eq!(&token, &client_token(run, &runbook, &[("X", &value)]));
        prop_assert_ne!(&token, &client_token(second, &runbook, &[("X", &value)]));
        prop_assert_eq!(token == client_token(run, &runbook, &[("X", &other)]), value == other);
        prop_assert_eq!(token.len(), 36);
    }
}

fn listed(executions: &'static [(&'static str, &'static str)]) -> MockRule {
    mock!(Client::describe_automation_executions)
        .match_requests(|request| {
            let values =
                |key: Key| request.filters().iter().find(|of| *of.key() == key).map(|of| of.values().join(","));
            values(Key::DocumentNamePrefix).as_deref() == Some(RUNBOOK)
                && values(Key::ExecutionStatus).as_deref() == Some("Pending,InProgress,Waiting,Cancelling")
        })
        .then_output(move || {
            let metadata = |(id, document): &(&str, &str)| {
                AutomationExecutionMetadata::builder().automation_execution_id(*id).document_name(*document).build()
            };
            DescribeAutomationExecutionsOutput::builder()
                .set_automation_execution_metadata_list(Some(executions.iter().map(metadata).collect()))
                .build()
        })
}

/// An execution for the trail of this name.
fn of_trail(id: &'static str, status: Status, trail: &'static str) -> MockRule {
    mock!(Client::get_automation_execution)
        .match_requests(move |of| of.automation_execution_id() == Some(id))
        .then_output(move || {
            let execution = AutomationExecution::builder().automation_execution_status(status.clone());
            let execution = execution.parameters("TrailName", vec![trail.to_owned()]).build();
            GetAutomationExecutionOutput::builder().automation_execution(execution).build()
        })
}

async fn under_way(rules: &[&MockRule], partition: &'static str) -> Result<Option<String>> {
    let ssm = mock_client!(aws_sdk_ssm, RuleMode::MatchAny, rules);
    let runbook = RunbookUse { name: RUNBOOK.into(), missing_in: vec!["aws-cn".into()] };
    Runbooks::over(ssm, SESSION).in_partition(partition).under_way(&runbook, ("TrailName", "t")).await
}

#[tokio::test]
async fn an_execution_for_this_resource_is_found_whoever_has_started_it() {
    // A longer name begins the same.
    let list = listed(&[("e-0", "AWSConfigRemediation-X2"), ("e-1", RUNBOOK), ("e-2", RUNBOOK), ("e-3", RUNBOOK)]);
    let another = of_trail("e-1", Status::Inprogress, "another");
    let ended = of_trail("e-2", Status::Success, "t");
    let ours = of_trail("e-3", Status::Pending, "t");
    let found = under_way(&[&list, &another, &ended, &ours], "aws").await.unwrap();
    assert_eq!(found.as_deref(), Some("the execution e-3 of the runbook AWSConfigRemediation-X is Pending"));
    let none = listed(&[("e-1", RUNBOOK), ("e-2", RUNBOOK)]);
    assert_eq!(under_way(&[&none, &another, &ended], "aws").await.unwrap(), None);
    assert_eq!(under_way(&[], "aws-cn").await.unwrap(), None, "where there is no runbook nothing is asked");
}

#[tokio::test]
async fn executions_that_cannot_be_listed_are_an_error() {
    let refused = mock!(Client::describe_automation_executions).then_error(|| {
        DescribeAutomationExecutionsError::generic(ErrorMetadata::builder().code("AccessDeniedException").build())
    });
    let error = under_way(&[&refused], "aws").await.unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (ErrorKind::AccessDenied, DESCRIBE), "{error}");
}
