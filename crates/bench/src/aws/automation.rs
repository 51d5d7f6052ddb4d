//! Systems Manager Automation: its runbooks have done their work when their start is answered, because what is measured
//! is not how long AWS takes for them.

use std::collections::HashMap;

use serde_json::json;

use super::call::{Call, Input, Output, Refusal, Result, unknown};

/// The executions of runbooks.
#[derive(Debug, Default)]
pub(crate) struct Automation {
    /// By their IDs: which account's each is, and with which token it was started.
    executions: HashMap<String, Execution>,
}

#[derive(Debug)]
struct Execution {
    account: String,
    token: String,
}

/// What a runbook does that has just been started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Started {
    EnableLogFileValidation { trail: String },
    DisablePublicAccess { cluster: String },
}

impl Automation {
    /// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_StartAutomationExecution.html>
    pub(crate) fn start(&mut self, call: &Call, account: &str) -> Result<(Started, Output)> {
        let Input::Json(input) = &call.input else { return Err(unknown("a form")) };
        let parameter = |name: &str| {
            let value = input["Parameters"][name][0].as_str().map(str::to_owned);
            let message = || format!("the parameter {name} is missing");
            value.ok_or_else(|| Refusal::new(400, "InvalidAutomationExecutionParametersException", message()))
        };
        parameter("AutomationAssumeRole")?;
        let started = match call.json("DocumentName")? {
            "AWSConfigRemediation-EnableCloudTrailLogFileValidation" => {
                Started::EnableLogFileValidation { trail: parameter("TrailName")? }
            }
            "AWSConfigRemediation-DisablePublicAccessToRedshiftCluster" => {
                Started::DisablePublicAccess { cluster: parameter("ClusterIdentifier")? }
            }
            other => return Err(Refusal::new(400, "AutomationDefinitionNotFoundException", other)),
        };
        let token = call.json("ClientToken")?;
        if self.executions.values().any(|of| of.account == account && of.token == token) {
            return Err(Refusal::new(400, "IdempotentParameterMismatch", "the client token can't be reused"));
        }
        let id = format!("execution-{}", self.executions.len());
        let execution = Execution { account: account.to_owned(), token: token.to_owned() };
        self.executions.insert(id.clone(), execution);
        Ok((started, Output::Json(json!({"AutomationExecutionId": id}))))
    }

    /// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetAutomationExecution.html>
    pub(crate) fn answer(&self, call: &Call, account: &str) -> Result<Output> {
        match call.operation.as_str() {
            "GetAutomationExecution" => {
                let id = call.json("AutomationExecutionId")?;
                if self.executions.get(id).is_none_or(|of| of.account != account) {
                    return Err(Refusal::new(400, "AutomationExecutionNotFoundException", id));
                }
                let execution = json!({"AutomationExecutionId": id, "AutomationExecutionStatus": "Success"});
                Ok(Output::Json(json!({"AutomationExecution": execution})))
            }
            // All have ended.
            "DescribeAutomationExecutions" => Ok(Output::Json(json!({"AutomationExecutionMetadataList": []}))),
            other => Err(unknown(other)),
        }
    }
}
