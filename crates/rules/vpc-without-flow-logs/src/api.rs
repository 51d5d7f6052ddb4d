//! The calls of EC2 and of CloudWatch Logs.

use std::collections::BTreeMap;

use aws_sdk_cloudwatchlogs::Client as Logs;
use aws_sdk_ec2::Client as Ec2;
use aws_sdk_ec2::types::{
    Filter, FlowLogsResourceType, LogDestinationType, ResourceType, Tag, TagSpecification, TrafficType,
    UnsuccessfulItem, Vpc as Ec2Vpc,
};
use remediation::{Ec2Name, Error, ErrorKind, Finding, Result};

use crate::{Change, Traffic};

const DESCRIBE_VPCS: &str = "ec2:DescribeVpcs";
const DESCRIBE: &str = "ec2:DescribeFlowLogs";
const CREATE: &str = "ec2:CreateFlowLogs";
const DELETE: &str = "ec2:DeleteFlowLogs";
const DESCRIBE_GROUPS: &str = "logs:DescribeLogGroups";
const CREATE_GROUP: &str = "logs:CreateLogGroup";
const SET_RETENTION: &str = "logs:PutRetentionPolicy";
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>
const NO_VPC: &[&str] = &["InvalidVpcID.NotFound"];
const NO_FLOW_LOG: &[&str] = &["InvalidFlowLogId.NotFound"];
const ALREADY_EXISTS: &str = "FlowLogAlreadyExists";
/// Two runs at once make the same log group; it is over in a moment.
const IN_CONFLICT: &[&str] = &["OperationAbortedException"];
/// The tag of the rule's own flow logs.
pub(crate) const TAG: (&str, &str) = ("autoremediate", "vpc-without-flow-logs");

/// A flow log of a VPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FlowLog {
    pub(crate) id: String,
    pub(crate) destination: String,
    pub(crate) is_ours: bool,
    pub(crate) delivery_error: Option<String>,
}

/// What of a log group matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogGroup {
    /// None: it keeps everything for ever.
    pub(crate) retention_days: Option<i32>,
}

/// A VPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vpc {
    pub(crate) id: String,
    pub(crate) tags: BTreeMap<String, String>,
}

/// The VPC that the finding names.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVpcs.html>
pub(crate) async fn find_vpc(ec2: &Ec2, finding: &Finding) -> Result<Vpc> {
    let name = finding.ec2_name("vpc", "vpc")?;
    let call = match name {
        Ec2Name::Id(id) => ec2.describe_vpcs().vpc_ids(id),
        Ec2Name::Tag(tag) => ec2.describe_vpcs().filters(filter("tag:Name", tag)),
    };
    let found = call.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
    let found = found.map_err(|error| Error::api(DESCRIBE_VPCS, error).gone_if(NO_VPC))?;
    // A filter takes * and ? for wildcards.
    let is_named = |vpc: &Ec2Vpc| match name {
        Ec2Name::Id(id) => vpc.vpc_id() == Some(id),
        Ec2Name::Tag(tag) => has_tag(vpc.tags(), ("Name", tag)),
    };
    let vpc = name.only(DESCRIBE_VPCS, found.into_iter().filter(is_named).collect())?;
    let id = vpc.vpc_id.ok_or_else(|| Error::unusable(DESCRIBE_VPCS, "a VPC without its ID"))?;
    let tags = vpc.tags.unwrap_or_default().into_iter();
    Ok(Vpc { id, tags: tags.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect() })
}

/// Every flow log of a VPC, whoever made it.
pub(crate) async fn flow_logs(ec2: &Ec2, vpc: &str) -> Result<Vec<FlowLog>> {
    filtered(ec2, vec![filter("resource-id", vpc)]).await
}

/// The IDs of the flow logs that the change, or another run's change to the same group, has made.
pub(crate) async fn ours(ec2: &Ec2, change: &Change) -> Result<Vec<String>> {
    let tag = filter(&format!("tag:{}", TAG.0), TAG.1);
    let filters = vec![filter("resource-id", &change.vpc), filter("log-group-name", &change.log_group), tag];
    let found = filtered(ec2, filters).await?;
    // Whatever the filters let through: nothing is deleted that is not marked as ours.
    Ok(found.into_iter().filter(|of| of.is_ours && of.destination == change.log_group).map(|of| of.id).collect())
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeFlowLogs.html>
async fn filtered(ec2: &Ec2, filters: Vec<Filter>) -> Result<Vec<FlowLog>> {
    let call = ec2.describe_flow_logs().set_filter(Some(filters)).into_paginator().items().send();
    let found = call.collect::<Result<Vec<_>, _>>().await.map_err(|error| Error::api(DESCRIBE, error))?;
    found.into_iter().map(flow_log).collect()
}

/// FlowLogStatus is ACTIVE whatever happens; only the status of the delivery says whether anything is recorded.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_FlowLog.html>
fn flow_log(of: aws_sdk_ec2::types::FlowLog) -> Result<FlowLog> {
    let is_ours = has_tag(of.tags(), TAG);
    let failed = of.deliver_logs_status() == Some("FAILED");
    let delivery_error = failed.then(|| of.deliver_logs_error_message.unwrap_or_else(|| "no reason is given".into()));
    let id = of.flow_log_id.ok_or_else(|| Error::unusable(DESCRIBE, "a flow log without its ID"))?;
    let destination = of.log_group_name.or(of.log_destination).unwrap_or_else(|| "an unknown place".into());
    Ok(FlowLog { id, destination, is_ours, delivery_error })
}

/// Makes the flow log. One that is there already, with the same configuration, is fine: whether the VPC complies, a
/// fresh look says.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFlowLogs.html>
pub(crate) async fn create(ec2: &Ec2, change: &Change, client_token: &str) -> Result<()> {
    let tag = Tag::builder().key(TAG.0).value(TAG.1).build();
    let tags = TagSpecification::builder().resource_type(ResourceType::VpcFlowLog).tags(tag).build();
    let call = ec2
        .create_flow_logs()
        .client_token(client_token)
        .resource_type(FlowLogsResourceType::Vpc)
        .resource_ids(&change.vpc)
        .traffic_type(change.traffic.into())
        .log_destination_type(LogDestinationType::CloudWatchLogs)
        .log_group_name(&change.log_group)
        .deliver_logs_permission_arn(&change.delivery_role)
        .tag_specifications(tags);
    let answer = call.send().await.map_err(|error| Error::api(CREATE, error).gone_if(NO_VPC));
    let made = answer.and_then(|answer| successful(CREATE, answer.unsuccessful));
    made.or_else(|error| if error.code.as_deref() == Some(ALREADY_EXISTS) { Ok(()) } else { Err(error) })
}

/// Deletes a flow log; one that is gone is deleted.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteFlowLogs.html>
pub(crate) async fn delete(ec2: &Ec2, id: &str) -> Result<()> {
    let answer = ec2.delete_flow_logs().flow_log_ids(id).send().await.map_err(|error| Error::api(DELETE, error));
    let deleted = answer.and_then(|answer| successful(DELETE, answer.unsuccessful));
    deleted
        .map_err(|error| error.gone_if(NO_FLOW_LOG))
        .or_else(|error| if error.is_gone() { Ok(()) } else { Err(error) })
}

/// A 200 of EC2 can hold a failure for each resource; here there is one.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_UnsuccessfulItem.html>
fn successful(action: &str, unsuccessful: Option<Vec<UnsuccessfulItem>>) -> Result<()> {
    let Some(item) = unsuccessful.unwrap_or_default().into_iter().next() else {
        return Ok(());
    };
    let error = item.error.unwrap_or_else(|| aws_sdk_ec2::types::UnsuccessfulItemError::builder().build());
    let message = error.message.as_deref().unwrap_or("no reason is given");
    let message = match &error.code {
        Some(code) => format!("{code}: {message}"),
        None => message.to_owned(),
    };
    Err(Error { action: action.into(), kind: ErrorKind::Permanent, code: error.code, message })
}

/// The log group of exactly this name, if there is one.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogGroups.html>
pub(crate) async fn log_group(logs: &Logs, name: &str) -> Result<Option<LogGroup>> {
    let call = logs.describe_log_groups().log_group_name_prefix(name).into_paginator().items().send();
    let found = call.collect::<Result<Vec<_>, _>>().await.map_err(|error| Error::api(DESCRIBE_GROUPS, error))?;
    let found = found.into_iter().find(|group| group.log_group_name() == Some(name));
    Ok(found.map(|group| LogGroup { retention_days: group.retention_in_days }))
}

/// Makes the log group; false where there is one already.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html>
pub(crate) async fn create_log_group(logs: &Logs, name: &str) -> Result<bool> {
    let answer = logs.create_log_group().log_group_name(name).send().await;
    match answer.map_err(|error| Error::api(CREATE_GROUP, error).not_now_if(IN_CONFLICT)) {
        Ok(_) => Ok(true),
        Err(error) if error.code.as_deref() == Some("ResourceAlreadyExistsException") => Ok(false),
        Err(error) => Err(error),
    }
}

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html>
pub(crate) async fn set_retention(logs: &Logs, name: &str, days: i32) -> Result<()> {
    let answer = logs.put_retention_policy().log_group_name(name).retention_in_days(days).send().await;
    answer.map(drop).map_err(|error| Error::api(SET_RETENTION, error).not_now_if(IN_CONFLICT))
}

fn has_tag(tags: &[Tag], (key, value): (&str, &str)) -> bool {
    tags.iter().any(|tag| tag.key() == Some(key) && tag.value() == Some(value))
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

impl From<Traffic> for TrafficType {
    fn from(traffic: Traffic) -> Self {
        match traffic {
            Traffic::All => Self::All,
            Traffic::Accept => Self::Accept,
            Traffic::Reject => Self::Reject,
        }
    }
}
