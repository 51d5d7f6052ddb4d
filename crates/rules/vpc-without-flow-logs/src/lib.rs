//! The rule `vpc-without-flow-logs`: a VPC that has no flow log.
//!
//! The fix makes one flow log to a log group of CloudWatch. Invariants: a VPC with any flow log complies, also where
//! that delivers nothing, which is noted; the log group is named by the account and the VPC alone, so that runs do not
//! add groups and a second flow log to it is refused by EC2 itself; a retention that somebody chose is not changed;
//! undo deletes nothing but a flow log of that VPC, to that group, with the rule's tag, and never any logs.

mod api;
mod settings;

use std::collections::BTreeMap;
use std::fmt;

use remediation::{Finding, Proposal, Result, Rule, RunId, Target};
use serde::{Deserialize, Serialize};

use crate::api::{FlowLog, LogGroup};
pub use crate::settings::{Settings, Traffic};

/// The rule.
#[derive(Debug)]
pub struct VpcWithoutFlowLogs;

/// The clients of a session, and what belongs to its account and run.
#[derive(Debug)]
pub struct Client {
    ec2: aws_sdk_ec2::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    delivery_role: String,
    run: RunId,
}

/// Whether the rule's flow log is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// It is.
    Present,
    /// It is not.
    Absent,
}

/// Makes the flow log of one VPC, and its log group where there is none yet; or deletes that flow log again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The VPC's ID.
    pub vpc: String,
    /// The log group's name.
    pub log_group: String,
    /// For how many days a log group without a retention keeps what is in it.
    pub retention_days: i32,
    /// What is recorded.
    pub traffic: Traffic,
    /// The role with which the logs are delivered.
    pub delivery_role: String,
    /// What was found.
    pub before: Presence,
    /// What is written.
    pub after: Presence,
}

impl Rule for VpcWithoutFlowLogs {
    const MANIFEST: &'static str = include_str!("../rule.json");
    type Settings = Settings;
    type Client = Client;
    type Change = Change;

    fn client(target: &Target) -> Self::Client {
        Client {
            ec2: aws_sdk_ec2::Client::new(&target.config),
            logs: aws_sdk_cloudwatchlogs::Client::new(&target.config),
            delivery_role: target.service_role_arn(),
            run: target.run,
        }
    }

    async fn plan(client: &Self::Client, finding: &Finding, settings: &Settings) -> Result<Proposal<Change>> {
        let vpc = api::find_vpc(&client.ec2, finding).await?.id;
        let flow_logs = api::flow_logs(&client.ec2, &vpc).await?;
        if !flow_logs.is_empty() {
            let notes = flow_logs.iter().filter_map(not_delivered).collect();
            return Ok(Proposal { notes, ..Proposal::default() });
        }
        let log_group = format!("/autoremediate/vpc-flow-logs/{}/{vpc}", finding.account);
        let found = api::log_group(&client.logs, &log_group).await?;
        let change = Change {
            log_group,
            retention_days: settings.retention_days,
            traffic: settings.traffic,
            delivery_role: client.delivery_role.clone(),
            before: Presence::Absent,
            after: Presence::Present,
            vpc,
        };
        let notes = found.and_then(|found| retention_stays(&change, &found)).into_iter().collect();
        Ok(Proposal { changes: vec![change], notes, ..Proposal::default() })
    }

    async fn tags(client: &Self::Client, finding: &Finding) -> Result<BTreeMap<String, String>> {
        Ok(api::find_vpc(&client.ec2, finding).await?.tags)
    }

    async fn apply(client: &Self::Client, change: &Change) -> Result<()> {
        match change.after {
            Presence::Present => {
                make_log_group(&client.logs, change).await?;
                // Of the run, because EC2 would answer a later one, after an undo, with the flow log that is deleted.
                api::create(&client.ec2, change, &format!("{}-{}", client.run, change.vpc)).await
            }
            Presence::Absent => {
                for id in api::ours(&client.ec2, change).await? {
                    api::delete(&client.ec2, &id).await?;
                }
                Ok(())
            }
        }
    }

    fn undo(change: &Change) -> Option<Change> {
        Some(Change { before: change.after, after: change.before, ..change.clone() })
    }
}

/// A group that is there already may be one that another run has made a moment ago, and that has no retention yet: by
/// its name it is the rule's own, so it gets one.
async fn make_log_group(logs: &aws_sdk_cloudwatchlogs::Client, change: &Change) -> Result<()> {
    let made = api::create_log_group(logs, &change.log_group).await?;
    let kept = !made && api::log_group(logs, &change.log_group).await?.is_some_and(|of| of.retention_days.is_some());
    if kept { Ok(()) } else { api::set_retention(logs, &change.log_group, change.retention_days).await }
}

/// The note on a log group whose retention is not the one that the settings ask for.
fn retention_stays(change: &Change, found: &LogGroup) -> Option<String> {
    let days = found.retention_days.filter(|days| *days != change.retention_days)?;
    let Change { log_group, retention_days, .. } = change;
    Some(format!("the log group {log_group} exists and keeps its retention of {days} days, not {retention_days}"))
}

/// The note on a flow log that records nothing.
fn not_delivered(flow_log: &FlowLog) -> Option<String> {
    let error = flow_log.delivery_error.as_deref()?;
    let FlowLog { id, destination, .. } = flow_log;
    Some(format!("the flow log {id} to {destination} delivers nothing: {error}"))
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vpc, log_group, retention_days, traffic, .. } = self;
        match self.after {
            Presence::Present => {
                write!(f, "VPC {vpc}: flow log of {traffic} traffic to {log_group}, kept {retention_days} days")
            }
            Presence::Absent => write!(f, "VPC {vpc}: no flow log of this rule to {log_group}; the logs in it stay"),
        }
    }
}

#[cfg(test)]
mod tests;
