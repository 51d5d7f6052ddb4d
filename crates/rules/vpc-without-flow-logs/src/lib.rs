//! The rule `vpc-without-flow-logs`: a VPC whose traffic nobody records.
//!
//! ```text
//! vpc-1                                  gets a flow log to /autoremediate/vpc-flow-logs/<account>/vpc-1
//! vpc-2  fl-1 to s3://flows    SUCCESS   complies
//! vpc-3  fl-2 to theirs        FAILED    held: mend or delete it
//! vpc-4  fl-3, made by this rule         unverified until something of it arrives in the log group
//! ```
//!
//! The log group is named by the account and the VPC alone, so runs do not add groups, and EC2 itself refuses a second
//! flow log to it. A retention that somebody chose is not changed. Undo deletes nothing but a flow log of that VPC, to
//! that group, with the rule's tag, and never any logs. A flow log that turns out not to be needed, because somebody
//! made one at the same time, stays, and a note says so. What shows that a flow log delivers is told in [`state`].
//!
//! Calls: compliant 2 by somebody's flow log, 3 by the rule's own; fixed 11 (look 5, write 3, proof 3); held 2.

mod api;
mod settings;
mod state;

use std::fmt;

use remediation::{
    Error, ErrorKind, Finding, NoParameters, Proposal, Resource, Result, Rule, Seen, Side, Tags, Target,
};
use serde::{Deserialize, Serialize};

pub use crate::settings::{Settings, Traffic};
use crate::state::Vpc;

/// The rule.
#[derive(Debug)]
pub struct VpcWithoutFlowLogs;

/// The clients of a session, and what belongs to its account and run.
#[derive(Debug)]
pub struct Client {
    ec2: aws_sdk_ec2::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    delivery_role: String,
    session_name: String,
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

/// Makes the rule's flow log, and its log group if there is none yet; or deletes that flow log again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
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

/// The end of the session's name, which no other run's has, and the VPC: a token has at most 64 characters.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFlowLogs.html>
fn client_token(session_name: &str, vpc: &str) -> String {
    let (name, most) = (format!("{session_name}-{vpc}"), 64);
    name.chars().skip(name.chars().count().saturating_sub(most)).collect()
}

impl Rule for VpcWithoutFlowLogs {
    const MANIFEST: &'static str = include_str!("../rule.json");
    type Settings = Settings;
    type Control = NoParameters;
    type Client = Client;
    type State = Vpc;
    type Change = Change;

    fn client(target: &Target) -> Self::Client {
        Client {
            ec2: aws_sdk_ec2::Client::new(&target.config),
            logs: aws_sdk_cloudwatchlogs::Client::new(&target.config),
            delivery_role: target.service_role_arn(),
            session_name: target.session_name.clone(),
        }
    }

    async fn look(client: &Self::Client, finding: &Finding) -> Result<Seen<Vpc>> {
        let Client { ec2, logs, delivery_role, .. } = client;
        let api::Vpc { resource, tags } = api::find_vpc(ec2, finding).await?;
        let log_group = log_group_of(&resource);
        let flow_logs = api::flow_logs(ec2, &resource.id, &log_group).await?;
        let at = ambient::now();
        let (mut retention_days, mut last_delivery, mut is_in_use) = (None, None, false);
        let to_prove = state::to_prove(&flow_logs);
        // Also before there is a flow log, so that none is made that could not be proved to work.
        if flow_logs.is_empty() || to_prove.is_some() {
            last_delivery = api::last_delivery(logs, &log_group).await?;
        }
        if flow_logs.is_empty() || to_prove.is_some_and(|of| !of.has_delivered(last_delivery) && of.is_due(at)) {
            is_in_use = api::is_in_use(ec2, &resource.id).await?;
        }
        if flow_logs.is_empty() {
            retention_days = api::log_group(logs, &log_group).await?.and_then(|of| of.retention_in_days);
        }
        let delivery_role = delivery_role.clone();
        let state = Vpc { tags, flow_logs, log_group, retention_days, last_delivery, is_in_use, delivery_role };
        Ok(Seen { resource, at, state })
    }

    fn plan(seen: &Seen<Vpc>, _controls: &[&NoParameters], settings: &Settings) -> Proposal<Change> {
        let Seen { at, state: vpc, .. } = seen;
        if !vpc.flow_logs.is_empty() {
            return vpc.judge(*at);
        }
        let change = Change {
            log_group: vpc.log_group.clone(),
            retention_days: settings.retention_days,
            traffic: settings.traffic,
            delivery_role: vpc.delivery_role.clone(),
            before: Presence::Absent,
            after: Presence::Present,
        };
        let notes = retention_stays(&change, vpc.retention_days).into_iter().collect();
        Proposal { changes: vec![change], notes, ..Proposal::default() }
    }

    async fn tags(_client: &Client, seen: &Seen<Vpc>) -> Result<Tags> {
        Ok(seen.state.tags.clone())
    }

    async fn apply(client: &Self::Client, resource: &Resource, change: &Change) -> Result<()> {
        let (vpc, Change { log_group, .. }) = (&resource.id, change);
        match change.after {
            Presence::Present if *log_group != log_group_of(resource) => {
                let message = format!("the log group {log_group} does not belong to {vpc}, so no flow log was created");
                Err(Error::new(api::CREATE, ErrorKind::Permanent, message))
            }
            Presence::Present => {
                make_log_group(&client.logs, change).await?;
                // Of the run, because EC2 would answer a later one, after an undo, with the flow log that is deleted.
                api::create(&client.ec2, vpc, change, &client_token(&client.session_name, vpc)).await
            }
            Presence::Absent => {
                for id in api::ours(&client.ec2, vpc, log_group).await? {
                    api::delete(&client.ec2, &id).await?;
                }
                Ok(())
            }
        }
    }

    fn undo(change: &Change) -> Change {
        Change { before: change.after, after: change.before, ..change.clone() }
    }

    fn side(change: &Change, state: &Vpc) -> Side {
        let is_there = state.flow_logs.iter().any(|of| of.is_ours);
        let now = if is_there { Presence::Present } else { Presence::Absent };
        Side::of(&now, &change.before, &change.after)
    }
}

/// The name of the log group to which the rule's own flow log of a VPC delivers.
fn log_group_of(vpc: &Resource) -> String {
    format!("/autoremediate/vpc-flow-logs/{}/{}", vpc.owner, vpc.id)
}

/// A group that exists may be one that another run made a moment ago and that has no retention yet. By its name it is
/// the rule's own, so it gets one.
async fn make_log_group(logs: &aws_sdk_cloudwatchlogs::Client, change: &Change) -> Result<()> {
    let made = api::create_log_group(logs, &change.log_group).await?;
    let kept = !made && api::log_group(logs, &change.log_group).await?.is_some_and(|of| of.retention_in_days.is_some());
    if kept { Ok(()) } else { api::set_retention(logs, &change.log_group, change.retention_days).await }
}

/// The note on a log group whose retention is not the one that the settings ask for.
fn retention_stays(change: &Change, found: Option<i32>) -> Option<String> {
    let days = found.filter(|days| *days != change.retention_days)?;
    let Change { log_group, retention_days, .. } = change;
    Some(format!("the log group {log_group} exists and keeps its retention of {days} days, not {retention_days}"))
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { log_group, retention_days, traffic, .. } = self;
        match self.after {
            Presence::Present => {
                write!(f, "create a flow log of {traffic} traffic to {log_group}, kept for {retention_days} days")
            }
            Presence::Absent => {
                write!(f, "delete this rule's flow log to {log_group}; the log group and its logs stay")
            }
        }
    }
}

#[cfg(test)]
mod tests;
