//! The calls of EC2 and of CloudWatch Logs.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_cloudwatchlogs::Client as Logs;
use aws_sdk_cloudwatchlogs::types::{LogGroup, LogStream, OrderBy};
use aws_sdk_ec2::Client as Ec2;
use aws_sdk_ec2::operation::describe_vpcs::builders::DescribeVpcsFluentBuilder;
use aws_sdk_ec2::types::{
    Filter, FlowLogsResourceType, LogDestinationType, NetworkInterfaceStatus, ResourceType, Tag, TagSpecification,
    TrafficType, UnsuccessfulItem, Vpc as Ec2Vpc,
};
use ec2::{filter, name_tag};
use jiff::Timestamp;
use remediation::aws::Together;
use remediation::{Ec2Name, Error, ErrorKind, Finding, Resource, Result, Tags, call};

use crate::state::{Delivery, FlowLog, LETS_IN, Place};
use crate::{NewFlowLog, Traffic};

pub(crate) const DESCRIBE_VPCS: &str = "ec2:DescribeVpcs";
pub(crate) const DESCRIBE: &str = "ec2:DescribeFlowLogs";
pub(crate) const DESCRIBE_INTERFACES: &str = "ec2:DescribeNetworkInterfaces";
pub(crate) const CREATE: &str = "ec2:CreateFlowLogs";
const DELETE: &str = "ec2:DeleteFlowLogs";
const DESCRIBE_GROUPS: &str = "logs:DescribeLogGroups";
const DESCRIBE_STREAMS: &str = "logs:DescribeLogStreams";
const CREATE_GROUP: &str = "logs:CreateLogGroup";
const SET_RETENTION: &str = "logs:PutRetentionPolicy";
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>
const NO_VPC: &[&str] = &["InvalidVpcID.NotFound"];
const NO_FLOW_LOG: &[&str] = &["InvalidFlowLogId.NotFound"];
const ALREADY_EXISTS: &str = "FlowLogAlreadyExists";
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/CommonErrors.html>
const NO_GROUP: &[&str] = &["ResourceNotFoundException"];
const GROUP_EXISTS: &str = "ResourceAlreadyExistsException";
/// The tag of the rule's own flow logs.
pub(crate) const TAG: (&str, &str) = ("autoremediate", "vpc-without-flow-logs");

/// A VPC: what it is, and its tags.
#[derive(Debug)]
pub(crate) struct Vpc {
    pub(crate) resource: Resource,
    pub(crate) tags: Tags,
}

/// The VPC that the finding names.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVpcs.html>
pub(crate) async fn find_vpc(
    ec2: &Ec2,
    together: &Together<Ec2Vpc>,
    name: Ec2Name<'_>,
    finding: &Finding,
) -> Result<Vpc> {
    let client = ec2.clone();
    // By a filter, because one ID that is wrong would be an error for all.
    let by_ids = |ids: Vec<String>| async move {
        let found = vpcs(client.describe_vpcs().filters(filter("vpc-id", ids))).await?;
        Ok(found.into_iter().filter_map(|vpc| Some((vpc.vpc_id.clone()?, vpc))).collect())
    };
    let found = match name {
        Ec2Name::Id(id) => match together.find(id, by_ids).await? {
            Some(vpc) => vec![vpc],
            None => vpcs(ec2.describe_vpcs().vpc_ids(id)).await.map_err(|error| error.gone_if(NO_VPC))?,
        },
        Ec2Name::Name(name) => vpcs(ec2.describe_vpcs().filters(filter("tag:Name", [name]))).await?,
    };
    let is_named = |vpc: &Ec2Vpc| match name {
        Ec2Name::Id(id) => vpc.vpc_id() == Some(id),
        Ec2Name::Name(name) => name_tag(vpc.tags()) == Some(name),
    };
    let vpc = name.only(DESCRIBE_VPCS, found.into_iter().filter(is_named).collect())?;
    let unusable = |what| Error::unusable(DESCRIBE_VPCS, what);
    let id = vpc.vpc_id.ok_or_else(|| unusable("a VPC without its ID"))?;
    let owner = vpc.owner_id.ok_or_else(|| unusable("a VPC without its owner"))?;
    let tags = ec2::tags(vpc.tags);
    let resource = ec2::resource(DESCRIBE_VPCS, finding, &owner, "vpc", &id)?.called(tags.get("Name").cloned());
    Ok(Vpc { resource, tags })
}

/// Every flow log of a VPC, whoever made it.
pub(crate) async fn flow_logs(
    ec2: &Ec2,
    together: &Together<Vec<aws_sdk_ec2::types::FlowLog>>,
    vpc: &str,
) -> Result<Vec<aws_sdk_ec2::types::FlowLog>> {
    let client = ec2.clone();
    let of_vpcs = |vpcs: Vec<String>| async move {
        // One without flow logs is not listed.
        let mut found: HashMap<_, _> = vpcs.iter().map(|vpc| (vpc.clone(), Vec::new())).collect();
        for flow_log in filtered(&client, vec![filter("resource-id", vpcs)]).await? {
            let vpc = flow_log.resource_id.as_ref().and_then(|vpc| found.get_mut(vpc));
            let unusable = || Error::unusable(DESCRIBE, "a flow log of something else than was asked for");
            vpc.ok_or_else(unusable)?.push(flow_log);
        }
        Ok(found)
    };
    match together.find(vpc, of_vpcs).await? {
        Some(found) => Ok(found),
        None => filtered(ec2, vec![filter("resource-id", [vpc])]).await,
    }
}

/// The flow logs as they are listed. Those that have the rule's tag and are to `log_group`, or to a bucket, are its own.
pub(crate) fn described(listed: Vec<aws_sdk_ec2::types::FlowLog>, vpc: &str, log_group: &str) -> Result<Vec<FlowLog>> {
    listed.into_iter().map(|of| flow_log(of, vpc, log_group)).collect()
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVpcs.html>
async fn vpcs(request: DescribeVpcsFluentBuilder) -> Result<Vec<Ec2Vpc>> {
    call(DESCRIBE_VPCS, || request.clone().into_paginator().items().send().collect::<Result<Vec<_>, _>>()).await
}

/// The IDs of the VPC's flow logs to the same place that the rule has made, in whatever run.
pub(crate) async fn ours(ec2: &Ec2, vpc: &str, log_group: &str, flow_log: &NewFlowLog) -> Result<Vec<String>> {
    let place = match flow_log {
        NewFlowLog::ToLogGroup { log_group, .. } => filter("log-group-name", [log_group.as_str()]),
        NewFlowLog::ToBucket { .. } => filter("log-destination-type", [LogDestinationType::S3.as_str()]),
    };
    let tag = filter(&format!("tag:{}", TAG.0), [TAG.1]);
    let found = filtered(ec2, vec![filter("resource-id", [vpc]), place, tag]).await?;
    let found = described(found, vpc, log_group)?;
    // Whatever the filters let through: nothing is deleted that is not marked as ours.
    Ok(found.into_iter().filter(|of| of.is_ours && flow_log.is_to(&of.place)).map(|of| of.id).collect())
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeFlowLogs.html>
async fn filtered(ec2: &Ec2, filters: Vec<Filter>) -> Result<Vec<aws_sdk_ec2::types::FlowLog>> {
    let asked = || ec2.describe_flow_logs().set_filter(Some(filters.clone()));
    call(DESCRIBE, || asked().into_paginator().items().send().collect::<Result<Vec<_>, _>>()).await
}

/// FlowLogStatus is ACTIVE whatever happens; only the status of the delivery says whether anything is recorded.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_FlowLog.html>
fn flow_log(of: aws_sdk_ec2::types::FlowLog, vpc: &str, log_group: &str) -> Result<FlowLog> {
    let unusable = |what| Error::unusable(DESCRIBE, what);
    if of.resource_id() != Some(vpc) {
        return Err(unusable("a flow log of something else than was asked for"));
    }
    let place = place(&of);
    let can_be_ours = match &place {
        Place::LogGroup(name) => name == log_group,
        Place::Bucket(_) => true,
        Place::Other(_) => false,
    };
    let is_ours = can_be_ours && ec2::tag(of.tags(), TAG.0) == Some(TAG.1);
    let reason = of.deliver_logs_error_message;
    let delivery = match of.deliver_logs_status.as_deref() {
        Some("FAILED") => Delivery::Failed(reason.unwrap_or_else(|| "AWS gives no reason".into())),
        Some("SUCCESS") => Delivery::NotFailed,
        _ => Delivery::Unknown,
    };
    let made = of.creation_time.and_then(|at| Timestamp::from_second(at.secs()).ok());
    Ok(FlowLog {
        id: of.flow_log_id.ok_or_else(|| unusable("a flow log without its ID"))?,
        made: made.ok_or_else(|| unusable("a flow log without the time of its creation"))?,
        place,
        records_all: of.traffic_type == Some(TrafficType::All),
        is_ours,
        delivery,
    })
}

/// A log group has a name, a bucket an ARN.
fn place(of: &aws_sdk_ec2::types::FlowLog) -> Place {
    match (of.log_group_name(), of.log_destination()) {
        (Some(name), _) => Place::LogGroup(name.to_owned()),
        (None, Some(arn)) if of.log_destination_type() == Some(&LogDestinationType::S3) => {
            Place::Bucket(arn.to_owned())
        }
        (None, arn) => Place::Other(arn.unwrap_or("an unknown place").to_owned()),
    }
}

/// Whether a network interface of the VPC is in use: there is something to record.
pub(crate) async fn is_in_use(ec2: &Ec2, together: &Together<bool>, vpc: &str) -> Result<bool> {
    let client = ec2.clone();
    let of_vpcs = |vpcs: Vec<String>| async move {
        let used = in_use(&client, &vpcs).await?;
        Ok(vpcs.into_iter().map(|vpc| (vpc.clone(), used.contains(&vpc))).collect())
    };
    match together.find(vpc, of_vpcs).await? {
        Some(is_in_use) => Ok(is_in_use),
        None => Ok(!in_use(ec2, &[vpc.to_owned()]).await?.is_empty()),
    }
}

/// Those of `vpcs` that have a network interface in use. No more pages are read than tell that.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeNetworkInterfaces.html>
async fn in_use(ec2: &Ec2, vpcs: &[String]) -> Result<BTreeSet<String>> {
    let asked = || ec2.describe_network_interfaces().filters(filter("vpc-id", vpcs));
    let used = || async {
        let (mut interfaces, mut used) = (asked().into_paginator().items().send(), BTreeSet::new());
        while used.len() < vpcs.len()
            && let Some(interface) = interfaces.try_next().await?
        {
            if interface.status() == Some(&NetworkInterfaceStatus::InUse) {
                used.extend(interface.vpc_id.filter(|vpc| vpcs.contains(vpc)));
            }
        }
        Ok(used)
    };
    call(DESCRIBE_INTERFACES, used).await
}

/// Makes the flow log. One that is there already, with the same configuration, is fine: whether the VPC complies, a
/// fresh look says.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFlowLogs.html>
pub(crate) async fn create(ec2: &Ec2, vpc: &str, flow_log: &NewFlowLog, client_token: &str) -> Result<()> {
    let tag = Tag::builder().key(TAG.0).value(TAG.1).build();
    let tags = TagSpecification::builder().resource_type(ResourceType::VpcFlowLog).tags(tag).build();
    let create = || {
        let create = ec2
            .create_flow_logs()
            .client_token(client_token)
            .resource_type(FlowLogsResourceType::Vpc)
            .resource_ids(vpc)
            .tag_specifications(tags.clone());
        match flow_log {
            NewFlowLog::ToLogGroup { log_group, traffic, delivery_role, .. } => create
                .traffic_type((*traffic).into())
                .log_destination_type(LogDestinationType::CloudWatchLogs)
                .log_group_name(log_group)
                .deliver_logs_permission_arn(delivery_role),
            // EC2 refuses a role or a log group here.
            NewFlowLog::ToBucket { log_destination, traffic } => create
                .traffic_type((*traffic).into())
                .log_destination_type(LogDestinationType::S3)
                .log_destination(log_destination),
        }
    };
    let answer = call(CREATE, || create().send()).await.map_err(|error| error.gone_if(NO_VPC));
    let made = answer.and_then(|answer| successful(CREATE, answer.unsuccessful));
    made.or_else(|error| if error.code.as_deref() == Some(ALREADY_EXISTS) { Ok(()) } else { Err(error) })
        .map_err(|error| of_bucket(flow_log, error))
}

/// EC2 finds out at once that a bucket is not there or does not let it write, and says little of why.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-troubleshooting.html>
fn of_bucket(flow_log: &NewFlowLog, error: Error) -> Error {
    match flow_log {
        NewFlowLog::ToBucket { log_destination, .. } if error.message.contains("LogDestination") => {
            let message = format!("{} ({log_destination} must be a bucket, and {LETS_IN})", error.message);
            Error { message, ..error }
        }
        _ => error,
    }
}

/// Deletes a flow log; one that is gone is deleted.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteFlowLogs.html>
pub(crate) async fn delete(ec2: &Ec2, id: &str) -> Result<()> {
    let answer = call(DELETE, || ec2.delete_flow_logs().flow_log_ids(id).send()).await;
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
    let message = error.message.as_deref().unwrap_or("AWS gives no reason");
    let message = match &error.code {
        Some(code) => format!("{code}: {message}"),
        None => message.to_owned(),
    };
    Err(Error { code: error.code, ..Error::new(action, ErrorKind::Permanent, message) })
}

/// The log group of exactly this name, if there is one.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogGroups.html>
pub(crate) async fn log_group(logs: &Logs, name: &str) -> Result<Option<LogGroup>> {
    let asked = || logs.describe_log_groups().log_group_name_prefix(name);
    let found =
        call(DESCRIBE_GROUPS, || asked().into_paginator().items().send().collect::<Result<Vec<_>, _>>()).await?;
    Ok(found.into_iter().find(|group| group.log_group_name() == Some(name)))
}

/// When a flow log last delivered something to the log group, by the 50 of its streams that received something last.
/// The stream of a network interface is called `eni-…-all`, or by another traffic type.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-cwl.html>
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogStreams.html>
pub(crate) async fn last_delivery(logs: &Logs, log_group: &str) -> Result<Option<Timestamp>> {
    let asked =
        || logs.describe_log_streams().log_group_name(log_group).order_by(OrderBy::LastEventTime).descending(true);
    let answer = match call(DESCRIBE_STREAMS, || asked().send()).await.map_err(|error| error.gone_if(NO_GROUP)) {
        Err(error) if error.is_gone() => return Ok(None),
        answer => answer?,
    };
    let is_of_interface = |stream: &&LogStream| stream.log_stream_name().is_some_and(|name| name.starts_with("eni-"));
    let streams = answer.log_streams().iter().filter(is_of_interface);
    Ok(streams.filter_map(last_event).max())
}

/// When the stream last received something, as far as that is known yet: its times follow within an hour or so.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_LogStream.html>
fn last_event(of: &LogStream) -> Option<Timestamp> {
    let times = [of.first_event_timestamp(), of.last_event_timestamp(), of.last_ingestion_time()];
    Timestamp::from_millisecond(times.into_iter().flatten().max()?).ok()
}

/// Makes the log group; false where there is one already.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html>
pub(crate) async fn create_log_group(logs: &Logs, name: &str) -> Result<bool> {
    match call(CREATE_GROUP, || logs.create_log_group().log_group_name(name).send()).await {
        Ok(_) => Ok(true),
        Err(error) if error.code.as_deref() == Some(GROUP_EXISTS) => Ok(false),
        Err(error) => Err(error),
    }
}

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html>
pub(crate) async fn set_retention(logs: &Logs, name: &str, days: i32) -> Result<()> {
    let set = || logs.put_retention_policy().log_group_name(name).retention_in_days(days);
    call(SET_RETENTION, || set().send()).await.map(drop)
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
