//! What the record of an execution says: under way, ended well, or failed, and why.

use aws_sdk_ssm::types::{AutomationExecution, AutomationExecutionStatus as Status, StepExecution};
use remediation::ErrorKind;

/// How far an execution is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Not at its end, with its status.
    UnderWay(String),
    /// Every step that ran has done its work.
    EndedWell,
    /// It, or one of its steps, has failed.
    Failed(Reason),
}

/// Why an execution failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
}

/// A step with `onFailure: Continue` can fail below a "Success", so the steps count as well as the whole.
/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_AutomationExecution.html>
pub(crate) fn judge(execution: &AutomationExecution) -> Progress {
    let Some(status) = execution.automation_execution_status() else {
        return Progress::UnderWay("without a status".into());
    };
    if !is_terminal(status) {
        return Progress::UnderWay(status.to_string());
    }
    let failed = execution.step_executions().iter().find(|step| step.step_status().is_some_and(is_failure));
    match failed {
        Some(step) => Progress::Failed(step_failure(step)),
        None if is_failure(status) => {
            let message = execution.failure_message().unwrap_or("AWS gives no reason");
            Progress::Failed(Reason { kind: ErrorKind::Permanent, message: format!("{status}: {message}") })
        }
        None => Progress::EndedWell,
    }
}

/// No page says which statuses are final; these follow from their descriptions.
fn is_terminal(status: &Status) -> bool {
    is_failure(status) || matches!(status, Status::Success | Status::CompletedWithSuccess | Status::Exited)
}

fn is_failure(status: &Status) -> bool {
    matches!(
        status,
        Status::Failed | Status::Timedout | Status::Cancelled | Status::Rejected | Status::CompletedWithFailure
    )
}

/// The code of the call that a step made says more than the step's own type of failure.
/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_FailureDetails.html>
fn step_failure(step: &StepExecution) -> Reason {
    let message = step.failure_message().unwrap_or("AWS gives no reason");
    let by_type = match step.failure_details().and_then(|details| details.failure_type()) {
        Some("Permission") => ErrorKind::AccessDenied,
        Some("Throttling") => ErrorKind::Throttled,
        Some("Internal") => ErrorKind::Transient,
        _ => ErrorKind::Permanent,
    };
    let kind = code_in(message).and_then(|code| ErrorKind::of_code(code, message)).unwrap_or(by_type);
    let name = step.step_name().unwrap_or("(unnamed)");
    let status = step.step_status().map(ToString::to_string).unwrap_or_default();
    Reason { kind, message: format!("the step {name} is {status}: {message}") }
}

/// The code in the words with which steps report a call: botocore's, "An error occurred (Throttling) when calling the …",
/// or those of the SDK for Java, "(Service: AmazonEC2; Status Code: 400; Error Code: Throttling; …)".
/// <https://github.com/aws-samples/aws-systemsmanagerautomation-with-asglifecyclehooks/issues/2>
fn code_in(message: &str) -> Option<&str> {
    let after = |start: &str, end: char| message.split_once(start)?.1.split_once(end).map(|(code, _)| code);
    after("An error occurred (", ')').or_else(|| after("Error Code: ", ';'))
}
