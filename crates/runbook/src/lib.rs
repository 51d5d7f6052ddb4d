//! Runs a Systems Manager runbook in a target account and waits for its end.
//!
//! Invariants: a runbook that has ended well is not a proof, it is only not a failure: whoever starts one reads the
//! state afterwards; a step that failed is a failure also where the runbook as a whole says "Success"; the same run
//! starts the same runbook with the same parameters once, however often it asks.

mod execution;

use std::time::Duration;

use aws_sdk_ssm::Client;
use backon::{ExponentialBuilder, Retryable};
use remediation::{Error, ErrorKind, Result, RunId, Target};
use uuid::Uuid;

use crate::execution::{Progress, judge};

/// The permission that a start needs.
pub const START: &str = "ssm:StartAutomationExecution";
/// The permission that waiting for the end needs.
pub const GET: &str = "ssm:GetAutomationExecution";
/// The code of a runbook that this region, or partition, does not have.
pub const NO_SUCH_RUNBOOK: &str = "AutomationDefinitionNotFoundException";

/// How long the end is awaited where nobody's deadline comes first; the longest step of the runbooks that are used
/// times out before.
const WAIT_AT_MOST: Duration = Duration::from_secs(3600);

/// Runs runbooks in one account and region, with the rights of one session.
#[derive(Debug, Clone)]
pub struct Runbooks {
    ssm: Client,
    run: RunId,
}

impl Runbooks {
    /// Those of a session.
    pub fn new(target: &Target) -> Self {
        Self { ssm: Client::new(&target.config), run: target.run }
    }

    /// The same over another client, for tests.
    pub fn over(ssm: Client, run: RunId) -> Self {
        Self { ssm, run }
    }

    /// Starts a runbook and waits until it has ended. Where this run has started the same one before, that start
    /// counts, and there is nothing to wait for.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotNow`] where too many runbooks are under way; a call, or a step of the runbook, that failed.
    pub async fn run(&self, runbook: &str, parameters: &[(&str, &str)]) -> Result<()> {
        let Some(id) = self.start(runbook, parameters).await? else { return Ok(()) };
        tracing::info!(runbook, execution = id, "runbook started");
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(5))
            .without_max_times()
            .with_total_delay(Some(WAIT_AT_MOST));
        let look = || async { self.look(runbook, &id).await };
        // The SDK's retries are used up when a look fails; the execution goes on all the same.
        look.retry(backoff).when(|error| error.kind == ErrorKind::Unfinished).await
    }

    /// The ID of the execution; none where this run has started the same one before.
    /// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_StartAutomationExecution.html>
    async fn start(&self, runbook: &str, parameters: &[(&str, &str)]) -> Result<Option<String>> {
        let mut call = self.ssm.start_automation_execution().document_name(runbook);
        for (name, value) in parameters {
            call = call.parameters(*name, vec![(*value).to_owned()]);
        }
        let answer = call.client_token(client_token(self.run, runbook, parameters)).send().await;
        match answer.map_err(|error| Error::api(START, error)) {
            Ok(answer) => answer.automation_execution_id.map(Some).ok_or_else(|| Error::unusable(START, "no ID")),
            // "The client token can't be reused": somebody of this run was faster.
            Err(error) if error.code.as_deref() == Some("IdempotentParameterMismatch") => Ok(None),
            Err(error) => Err(error.not_now_if(&["AutomationExecutionLimitExceededException"])),
        }
    }

    /// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetAutomationExecution.html>
    async fn look(&self, runbook: &str, id: &str) -> Result<()> {
        let answer = self.ssm.get_automation_execution().automation_execution_id(id).send().await;
        let execution = answer.map_err(|error| Error::api(GET, error))?.automation_execution;
        let execution = execution.ok_or_else(|| Error::unusable(GET, "no execution"))?;
        match judge(&execution) {
            Progress::EndedWell => Ok(()),
            Progress::UnderWay(status) => Err(Error {
                action: runbook.to_owned(),
                kind: ErrorKind::Unfinished,
                code: None,
                message: format!("the execution {id} is still {status}"),
            }),
            Progress::Failed(reason) => Err(Error {
                action: runbook.to_owned(),
                kind: reason.kind,
                code: None,
                message: format!("the execution {id} failed: {}", reason.message),
            }),
        }
    }
}

/// The same for the same start of the same run, and for no other.
fn client_token(run: RunId, runbook: &str, parameters: &[(&str, &str)]) -> String {
    let name = format!("{run} {runbook} {parameters:?}");
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
}

#[cfg(test)]
mod tests;
