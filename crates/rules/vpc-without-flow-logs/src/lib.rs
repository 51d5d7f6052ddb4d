//! The rule `vpc-without-flow-logs`: a VPC whose traffic nobody records.
//!
//! ```text
//! vpc-1                                  gets a flow log to /autoremediate/vpc-flow-logs/<account>/vpc-1
//! vpc-2  fl-1 to s3://flows    SUCCESS   complies
//! vpc-3  fl-2 to theirs        FAILED    held: mend or delete it
//! vpc-4  fl-3, made by this rule         unverified until something of it arrives in the log group
//! vpc-5                                  gets one to s3://flow-logs-<account>, where the settings say so
//! vpc-6  fl-4, made by this rule         to a bucket: unverified for 15 minutes, in which a failure shows
//! ```
//!
//! A VPC that has a flow log is left as it is, wherever that delivers to; the settings say where a new one does.
//!
//! The log group is named by the account and the VPC alone, so runs do not add groups, and EC2 itself refuses a second
//! flow log to it. A retention that somebody chose is not changed. Undo deletes nothing but a flow log of that VPC, to
//! that group or bucket, with the rule's tag, and never any logs. A flow log that turns out not to be needed, because
//! somebody made one at the same time, stays, and a note says so. What shows that a flow log delivers is told in
//! [`state`].
//!
//! Calls: compliant 2 by somebody's flow log, 3 by the rule's own; fixed 11 (look 5, write 3, proof 3), to a bucket 8
//! (look 5, write 1, proof 2); held 2. VPCs, their flow logs and whether they are in use are looked at together with others of
//! the account and region.

mod api;
mod destination;
mod settings;
mod state;

use std::fmt;

use aws_sdk_ec2::types::{FlowLog, Vpc as Ec2Vpc};
use remediation::aws::Together;
use remediation::{
    Ec2Name, Error, ErrorKind, Finding, NoParameters, Proposal, Resource, Result, Rule, Seen, Side, Tags, Target,
};
use serde::{Deserialize, Serialize};

pub use crate::destination::{Destination, Destinations};
pub use crate::settings::{Settings, Traffic};
use crate::state::{Place, Vpc};

/// The rule.
#[derive(Debug)]
pub struct VpcWithoutFlowLogs;

/// The clients of a session, and what belongs to its account and run.
#[derive(Debug)]
pub struct Client {
    ec2: aws_sdk_ec2::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    vpcs: Together<Ec2Vpc>,
    flow_logs: Together<Vec<FlowLog>>,
    /// Whether VPCs are in use.
    in_use: Together<bool>,
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
    /// The flow log.
    #[serde(flatten)]
    pub flow_log: NewFlowLog,
    /// What was found.
    pub before: Presence,
    /// What is written.
    pub after: Presence,
}

/// The rule's own flow log of a VPC: what it records, and where it delivers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NewFlowLog {
    /// To CloudWatch Logs.
    ToLogGroup {
        /// The log group's name.
        log_group: String,
        /// For how many days a log group without a retention keeps what is in it.
        retention_days: i32,
        /// What is recorded.
        traffic: Traffic,
        /// The role with which the logs are delivered.
        delivery_role: String,
    },
    /// To S3.
    ToBucket {
        /// The ARN of the bucket, with the folder, if any, behind it.
        log_destination: String,
        /// What is recorded.
        traffic: Traffic,
    },
}

impl NewFlowLog {
    /// Whether a flow log that is there delivers to the same place.
    fn is_to(&self, place: &Place) -> bool {
        match (self, place) {
            (Self::ToLogGroup { log_group, .. }, Place::LogGroup(found)) => log_group == found,
            (Self::ToBucket { log_destination, .. }, Place::Bucket(found)) => {
                destination::is_same(log_destination, found)
            }
            _ => false,
        }
    }
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
            vpcs: Together::new(api::DESCRIBE_VPCS),
            flow_logs: Together::new(api::DESCRIBE),
            in_use: Together::new(api::DESCRIBE_INTERFACES),
            delivery_role: target.service_role_arn(),
            session_name: target.session_name.clone(),
        }
    }

    async fn look(client: &Self::Client, finding: &Finding) -> Result<Seen<Vpc>> {
        let Client { ec2, logs, vpcs, delivery_role, .. } = client;
        let name = finding.ec2_name("vpc", "vpc")?;
        let flow_logs = async |vpc: &str| api::flow_logs(ec2, &client.flow_logs, vpc).await;
        let (api::Vpc { resource, tags }, listed) = match name {
            Ec2Name::Id(id) => {
                let (vpc, listed) = futures::join!(api::find_vpc(ec2, vpcs, name, finding), flow_logs(id));
                (vpc?, listed?)
            }
            Ec2Name::Name(_) => {
                let vpc = api::find_vpc(ec2, vpcs, name, finding).await?;
                let listed = flow_logs(&vpc.resource.id).await?;
                (vpc, listed)
            }
        };
        let log_group = log_group_of(&resource);
        let flow_logs = api::described(listed, &resource.id, &log_group)?;
        let at = ambient::now();
        let use_of_it = || api::is_in_use(ec2, &client.in_use, &resource.id);
        let (mut retention_days, mut last_delivery, mut is_in_use) = (None, None, false);
        if flow_logs.is_empty() {
            // What proves a fix is looked at before there is one, so that none is made that could not be proved to work.
            let group;
            (last_delivery, is_in_use, group) = futures::try_join!(
                api::last_delivery(logs, &log_group),
                use_of_it(),
                api::log_group(logs, &log_group)
            )?;
            retention_days = group.and_then(|of| of.retention_in_days);
        } else if let Some(of) = state::to_prove(&flow_logs) {
            // What is in a bucket is not ours to read.
            if !of.is_to_bucket() {
                last_delivery = api::last_delivery(logs, &log_group).await?;
            }
            if !of.has_delivered(last_delivery) && of.is_due(at) {
                is_in_use = use_of_it().await?;
            }
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
        let Settings { retention_days, traffic, .. } = *settings;
        let flow_log = match settings.bucket_for(&seen.resource.owner, &seen.resource.region) {
            Some(log_destination) => NewFlowLog::ToBucket { log_destination, traffic },
            None => {
                let (log_group, delivery_role) = (vpc.log_group.clone(), vpc.delivery_role.clone());
                NewFlowLog::ToLogGroup { log_group, retention_days, traffic, delivery_role }
            }
        };
        let notes = retention_stays(&flow_log, vpc.retention_days).into_iter().collect();
        let change = Change { flow_log, before: Presence::Absent, after: Presence::Present };
        Proposal { changes: vec![change], notes, ..Proposal::default() }
    }

    async fn tags(_client: &Client, seen: &Seen<Vpc>) -> Result<Tags> {
        Ok(seen.state.tags.clone())
    }

    async fn apply(client: &Self::Client, resource: &Resource, change: &Change) -> Result<()> {
        let (vpc, Change { flow_log, .. }) = (&resource.id, change);
        match change.after {
            Presence::Present => {
                if let NewFlowLog::ToLogGroup { log_group, retention_days, .. } = flow_log {
                    is_of(log_group, resource)?;
                    make_log_group(&client.logs, log_group, *retention_days).await?;
                }
                // Of the run, because EC2 would answer a later one, after an undo, with the flow log that is deleted.
                api::create(&client.ec2, vpc, flow_log, &client_token(&client.session_name, vpc)).await
            }
            Presence::Absent => {
                for id in api::ours(&client.ec2, vpc, &log_group_of(resource), flow_log).await? {
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
        let is_there = state.flow_logs.iter().any(|of| of.is_ours && change.flow_log.is_to(&of.place));
        let now = if is_there { Presence::Present } else { Presence::Absent };
        Side::of(&now, &change.before, &change.after)
    }
}

/// The name of the log group to which the rule's own flow log of a VPC delivers.
fn log_group_of(vpc: &Resource) -> String {
    format!("/autoremediate/vpc-flow-logs/{}/{}", vpc.owner, vpc.id)
}

/// No flow log delivers to another VPC's group.
fn is_of(log_group: &str, vpc: &Resource) -> Result<()> {
    if log_group == log_group_of(vpc) {
        return Ok(());
    }
    let message = format!("the log group {log_group} does not belong to {}, so no flow log was created", vpc.id);
    Err(Error::new(api::CREATE, ErrorKind::Permanent, message))
}

/// A group that exists may be one that another run made a moment ago and that has no retention yet. By its name it is
/// the rule's own, so it gets one.
async fn make_log_group(logs: &aws_sdk_cloudwatchlogs::Client, name: &str, retention_days: i32) -> Result<()> {
    let made = api::create_log_group(logs, name).await?;
    let kept = !made && api::log_group(logs, name).await?.is_some_and(|of| of.retention_in_days.is_some());
    if kept { Ok(()) } else { api::set_retention(logs, name, retention_days).await }
}

/// The note on a log group whose retention is not the one that the settings ask for.
fn retention_stays(flow_log: &NewFlowLog, found: Option<i32>) -> Option<String> {
    let NewFlowLog::ToLogGroup { log_group, retention_days, .. } = flow_log else { return None };
    let days = found.filter(|days| days != retention_days)?;
    Some(format!("the log group {log_group} exists and keeps its retention of {days} days, not {retention_days}"))
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.after, &self.flow_log) {
            (Presence::Present, NewFlowLog::ToLogGroup { log_group, retention_days, traffic, .. }) => {
                write!(f, "create a flow log of {traffic} traffic to {log_group}, kept for {retention_days} days")
            }
            (Presence::Present, NewFlowLog::ToBucket { log_destination, traffic }) => {
                write!(f, "create a flow log of {traffic} traffic to {log_destination}")
            }
            (Presence::Absent, NewFlowLog::ToLogGroup { log_group, .. }) => {
                write!(f, "delete this rule's flow log to {log_group}; the log group and its logs stay")
            }
            (Presence::Absent, NewFlowLog::ToBucket { log_destination, .. }) => {
                write!(f, "delete this rule's flow log to {log_destination}; the logs that are there stay")
            }
        }
    }
}

#[cfg(test)]
mod tests;
