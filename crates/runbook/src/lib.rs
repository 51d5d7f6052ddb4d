//! Runs a Systems Manager runbook in a target account and waits for its end.
//!
//! Invariants: a runbook that has ended well is not a proof, it is only not a failure: whoever starts one reads the
//! state afterwards; a step that failed is a failure also where the runbook as a whole says "Success"; the same run
//! starts the same runbook with the same parameters once, however often it asks.
//!
//! AWS does not publish every runbook in every partition, and no page lists where one is missing. So `rule.json` names
//! the partitions that are known to lack it ([`RunbookUse::missing_in`]). There, and only there, the rule calls the API
//! itself ([`Runbooks::or_directly`]): elsewhere its role may not, and whatever ends the runbook ends the fix.

mod execution;

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::BuildError;
use aws_sdk_ssm::types::{AutomationExecution, AutomationExecutionFilter, AutomationExecutionFilterKey as Key};
use backon::{ExponentialBuilder, Retryable};
use remediation::{Error, ErrorKind, Manifest, Result, Rule, RunbookUse, Target, call};
use uuid::Uuid;

use crate::execution::{Progress, judge};

/// The permission that a start needs.
pub const START: &str = "ssm:StartAutomationExecution";
/// The permission that waiting for the end needs.
pub const GET: &str = "ssm:GetAutomationExecution";
/// The permission that finding executions needs.
pub const DESCRIBE: &str = "ssm:DescribeAutomationExecutions";
/// The code of a runbook that this region, or partition, does not have.
pub const NO_SUCH_RUNBOOK: &str = "AutomationDefinitionNotFoundException";

/// The codes with which Systems Manager says that it has no document of that name.
/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_StartAutomationExecution.html>
/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetDocument.html>
const MISSING: [&str; 2] = [NO_SUCH_RUNBOOK, "InvalidDocument"];

/// The statuses by which executions that are under way are listed; the others on the way are those of approvals and
/// change calendars, which these runbooks do not have.
/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_AutomationExecutionMetadata.html>
const UNDER_WAY: [&str; 4] = ["Pending", "InProgress", "Waiting", "Cancelling"];

/// How long the end is awaited where nobody's deadline comes first; the longest step of the runbooks that are used
/// times out before.
const WAIT_AT_MOST: Duration = Duration::from_secs(3600);

/// Runs runbooks in one account and region, with the rights of one session.
#[derive(Debug, Clone)]
pub struct Runbooks {
    ssm: Client,
    session_name: String,
    partition: &'static str,
}

/// The runbook that the rule's `rule.json` names.
///
/// # Errors
///
/// It names none.
pub fn of_rule<R: Rule>() -> Result<RunbookUse> {
    let unnamed = |why: String| Error::new(START, ErrorKind::Permanent, format!("rule.json names no runbook: {why}"));
    let manifest = Manifest::from_json(R::MANIFEST).map_err(|error| unnamed(error.to_string()))?;
    manifest.runbook.ok_or_else(|| unnamed("`runbook` is null".into()))
}

impl Runbooks {
    /// Those of a session.
    pub fn new(target: &Target) -> Self {
        let session_name = target.session_name.clone();
        Self { ssm: Client::new(&target.config), session_name, partition: target.partition }
    }

    /// The same over another client in the partition `aws`, for tests.
    pub fn over(ssm: Client, session_name: impl ToString) -> Self {
        Self { ssm, session_name: session_name.to_string(), partition: "aws" }
    }

    /// The same in another partition, for tests.
    #[must_use]
    pub fn in_partition(self, partition: &'static str) -> Self {
        Self { partition, ..self }
    }

    /// Runs a runbook, or does its work `directly` in a partition that has no such runbook, as `rule.json` says. Elsewhere
    /// a runbook that is not there, was refused, or failed, is an error.
    ///
    /// # Errors
    ///
    /// [`Runbooks::run`]'s, or those of `directly`.
    pub async fn or_directly<F>(
        &self,
        runbook: &RunbookUse,
        parameters: &[(&str, &str)],
        directly: impl FnOnce() -> F,
    ) -> Result<()>
    where
        F: Future<Output = Result<()>>,
    {
        if self.lacks(runbook) {
            return directly().await;
        }
        self.run(&runbook.name, parameters).await
    }

    /// Whether `rule.json` says that this partition does not have the runbook.
    fn lacks(&self, runbook: &RunbookUse) -> bool {
        runbook.missing_in.iter().any(|partition| partition == self.partition)
    }

    /// Starts a runbook and waits until it has ended. Where this run has started the same one before, such as by a start
    /// whose answer was lost, that start counts.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotNow`] where too many runbooks are under way; a call, or a step of the runbook, that failed.
    pub async fn run(&self, runbook: &str, parameters: &[(&str, &str)]) -> Result<()> {
        let id = match self.start(runbook, parameters).await? {
            Some(id) => id,
            None => match self.started(runbook, parameters).await? {
                Some(id) => id,
                // It has ended, and the state says how.
                None => return Ok(()),
            },
        };
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

    /// Which execution of the runbook is under way with this value of a parameter, whoever has started it.
    ///
    /// # Errors
    ///
    /// A call that failed.
    pub async fn under_way(&self, runbook: &RunbookUse, (name, value): (&str, &str)) -> Result<Option<String>> {
        if self.lacks(runbook) {
            return Ok(None);
        }
        let found = self.find(&runbook.name, |given| is_given(given, name, value)).await?;
        Ok(found.map(|(id, status)| format!("the execution {id} of the runbook {} is {status}", runbook.name)))
    }

    /// The ID of the execution under way with all of these parameters.
    async fn started(&self, runbook: &str, parameters: &[(&str, &str)]) -> Result<Option<String>> {
        let is_it = |given: &Given| parameters.iter().all(|(name, value)| is_given(given, name, value));
        Ok(self.find(runbook, is_it).await?.map(|(id, _)| id))
    }

    /// The execution of a runbook that is under way with such parameters: its ID and status.
    async fn find(&self, runbook: &str, is_it: impl Fn(&Given) -> bool) -> Result<Option<(String, String)>> {
        for id in self.listed(runbook).await? {
            let execution = self.execution(&id).await?;
            if execution.parameters().is_some_and(&is_it)
                && let Progress::UnderWay(status) = judge(&execution)
            {
                return Ok(Some((id, status)));
            }
        }
        Ok(None)
    }

    /// The IDs of a runbook's executions that are under way: at most 100 in an account and region.
    /// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeAutomationExecutions.html>
    async fn listed(&self, runbook: &str) -> Result<Vec<String>> {
        let filter = |key: Key, values: &[&str]| {
            let values = values.iter().map(ToString::to_string).collect();
            AutomationExecutionFilter::builder().key(key).set_values(Some(values)).build()
        };
        let unusable = |error: BuildError| Error::unusable(DESCRIBE, &error.to_string());
        let by_name = filter(Key::DocumentNamePrefix, &[runbook]).map_err(unusable)?;
        let by_status = filter(Key::ExecutionStatus, &UNDER_WAY).map_err(unusable)?;
        let request = self.ssm.describe_automation_executions().filters(by_name).filters(by_status);
        let listed = call(DESCRIBE, || request.clone().into_paginator().items().send().collect::<Result<Vec<_>, _>>());
        let named = listed.await?.into_iter().filter(|listed| listed.document_name() == Some(runbook));
        Ok(named.filter_map(|listed| listed.automation_execution_id).collect())
    }

    /// The ID of the execution; none where this run has started the same one before.
    /// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_StartAutomationExecution.html>
    async fn start(&self, runbook: &str, parameters: &[(&str, &str)]) -> Result<Option<String>> {
        let mut request = self.ssm.start_automation_execution().document_name(runbook);
        for (name, value) in parameters {
            request = request.parameters(*name, vec![(*value).to_owned()]);
        }
        let request = request.client_token(client_token(&self.session_name, runbook, parameters));
        match call(START, || request.clone().send()).await {
            Ok(answer) => answer.automation_execution_id.map(Some).ok_or_else(|| Error::unusable(START, "no ID")),
            // "The client token can't be reused": somebody of this run was faster.
            Err(error) if error.code.as_deref() == Some("IdempotentParameterMismatch") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetAutomationExecution.html>
    async fn execution(&self, id: &str) -> Result<AutomationExecution> {
        let answer = call(GET, || self.ssm.get_automation_execution().automation_execution_id(id).send()).await?;
        answer.automation_execution.ok_or_else(|| Error::unusable(GET, "no execution"))
    }

    async fn look(&self, runbook: &str, id: &str) -> Result<()> {
        match judge(&self.execution(id).await?) {
            Progress::EndedWell => Ok(()),
            Progress::UnderWay(status) => {
                Err(Error::new(runbook, ErrorKind::Unfinished, format!("the execution {id} is still {status}")))
            }
            Progress::Failed(reason) => {
                Err(Error::new(runbook, reason.kind, format!("the execution {id} failed: {}", reason.message)))
            }
        }
    }
}

/// The parameters of an execution.
type Given = HashMap<String, Vec<String>>;

/// Whether a parameter has this value.
fn is_given(given: &Given, name: &str, value: &str) -> bool {
    given.get(name).is_some_and(|values| values.iter().any(|given| given == value))
}

/// Whether a start failed because there is no such runbook.
pub fn is_missing(error: &Error) -> bool {
    error.action == START && error.code.as_deref().is_some_and(|code| MISSING.contains(&code))
}

/// The same for the same start of the same run, whose sessions' name no other has, and for no other.
fn client_token(session_name: &str, runbook: &str, parameters: &[(&str, &str)]) -> String {
    let name = format!("{session_name} {runbook} {parameters:?}");
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
}

#[cfg(test)]
mod tests;
