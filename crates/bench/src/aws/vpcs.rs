//! EC2's VPCs with their flow logs, and CloudWatch Logs, where these deliver to.
//!
//! A flow log delivers at once here, and not after minutes: what is measured is the work, and not the wait for AWS.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::call::{Call, Form, Output, Refusal, Result, unknown, xml};
use super::{Things, ec2_id};

/// VPCs and log groups.
#[derive(Debug, Default)]
pub(crate) struct Vpcs {
    vpcs: Things<Vpc>,
    groups: Things<LogGroup>,
    flow_logs: usize,
}

#[derive(Debug, Default)]
struct Vpc {
    flow_log: Option<FlowLog>,
}

#[derive(Debug)]
struct FlowLog {
    id: String,
    made: Timestamp,
    log_group: String,
    tags: Vec<(String, String)>,
}

#[derive(Debug, Default)]
struct LogGroup {
    retention_days: Option<i64>,
    last_event: Option<Timestamp>,
}

impl Vpcs {
    /// Makes a VPC without a flow log, and gives its ID.
    pub(crate) fn violate(&mut self, account: &str, n: usize) -> String {
        self.vpcs.insert(account, ec2_id("vpc", n), Vpc::default())
    }

    pub(crate) fn answer(&mut self, call: &Call, account: &str) -> Result<Output> {
        match call.operation.as_str() {
            "DescribeVpcs" => self.describe(call.form()?, account),
            "DescribeFlowLogs" => self.describe_flow_logs(call.form()?, account),
            "CreateFlowLogs" => self.create_flow_log(call.form()?, account),
            "DescribeLogGroups" => self.describe_groups(call, account),
            "DescribeLogStreams" => self.describe_streams(call, account),
            "CreateLogGroup" => {
                let name = call.json("logGroupName")?;
                if self.groups.get(account, name).is_some() {
                    return Err(Refusal::new(400, "ResourceAlreadyExistsException", "the log group exists"));
                }
                self.groups.insert(account, name.to_owned(), LogGroup::default());
                Ok(Output::Json(json!({})))
            }
            "PutRetentionPolicy" => {
                let days =
                    if let super::Input::Json(input) = &call.input { input["retentionInDays"].as_i64() } else { None };
                self.group(call, account)?.retention_days = days;
                Ok(Output::Json(json!({})))
            }
            other => Err(unknown(other)),
        }
    }

    /// A VPC that nobody made here is of a security group, and is no default one.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVpcs.html>
    fn describe(&self, form: &Form, account: &str) -> Result<Output> {
        let ids = form.filter("vpc-id").unwrap_or_else(|| form.list("VpcId"));
        let items = ids.iter().fold(String::new(), |mut text, id| {
            let _ = write!(
                text,
                "<item><vpcId>{}</vpcId><ownerId>{account}</ownerId><state>available</state><isDefault>false</isDefault>\
                 <tagSet/></item>",
                xml(id)
            );
            text
        });
        Ok(Output::Xml(format!("<vpcSet>{items}</vpcSet>")))
    }

    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeFlowLogs.html>
    fn describe_flow_logs(&self, form: &Form, account: &str) -> Result<Output> {
        let vpcs = form.filter("resource-id").ok_or_else(|| unknown("a list of every flow log"))?;
        let found = vpcs.iter().filter_map(|id| Some((id, self.vpcs.get(account, id)?.flow_log.as_ref()?)));
        let items = found.fold(String::new(), |mut text, (vpc, FlowLog { id, made, log_group, tags })| {
            let (log_group, made) = (xml(log_group), made.strftime("%Y-%m-%dT%H:%M:%S.000Z"));
            let tag = |(key, value): &(String, String)| {
                format!("<item><key>{}</key><value>{}</value></item>", xml(key), xml(value))
            };
            let tags: String = tags.iter().map(tag).collect();
            let _ = write!(
                text,
                "<item><flowLogId>{id}</flowLogId><creationTime>{made}</creationTime><flowLogStatus>ACTIVE</flowLogStatus>\
                 <resourceId>{vpc}</resourceId><trafficType>ALL</trafficType><logGroupName>{log_group}</logGroupName>\
                 <logDestinationType>cloud-watch-logs</logDestinationType><deliverLogsStatus>SUCCESS</deliverLogsStatus>\
                 <tagSet>{tags}</tagSet></item>"
            );
            text
        });
        Ok(Output::Xml(format!("<flowLogSet>{items}</flowLogSet>")))
    }

    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFlowLogs.html>
    fn create_flow_log(&mut self, form: &Form, account: &str) -> Result<Output> {
        let (vpc, log_group) = (form.required("ResourceId.1")?, form.required("LogGroupName")?);
        let made = Timestamp::now();
        if let Some(group) = self.groups.get_mut(account, log_group) {
            group.last_event = Some(made);
        }
        let vpc = self.vpcs.get_mut(account, vpc);
        let vpc = vpc.ok_or_else(|| Refusal::new(400, "InvalidVpcID.NotFound", "there is no such VPC"))?;
        if vpc.flow_log.is_some() {
            return Err(Refusal::new(400, "FlowLogAlreadyExists", "the VPC has a flow log to this log group"));
        }
        let tags = (1..).map_while(|n| {
            let text = |name| form.text(&format!("TagSpecification.1.Tag.{n}.{name}")).map(str::to_owned);
            Some((text("Key")?, text("Value")?))
        });
        self.flow_logs += 1;
        let id = ec2_id("fl", self.flow_logs);
        let made = FlowLog { id: id.clone(), made, log_group: log_group.to_owned(), tags: tags.collect() };
        vpc.flow_log = Some(made);
        Ok(Output::Xml(format!("<flowLogIdSet><item>{id}</item></flowLogIdSet><unsuccessful/>")))
    }

    /// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogGroups.html>
    fn describe_groups(&self, call: &Call, account: &str) -> Result<Output> {
        let prefix = call.json("logGroupNamePrefix")?;
        let listed = self.groups.of(account).filter(|(name, _)| name.starts_with(prefix));
        let listed = listed.map(|(name, of)| match of.retention_days {
            Some(days) => json!({"logGroupName": name, "retentionInDays": days}),
            None => json!({"logGroupName": name}),
        });
        Ok(Output::Json(json!({"logGroups": listed.collect::<Vec<Value>>()})))
    }

    /// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogStreams.html>
    fn describe_streams(&mut self, call: &Call, account: &str) -> Result<Output> {
        let last = self.group(call, account)?.last_event.map(Timestamp::as_millisecond);
        let stream = last.map(|at| json!({"logStreamName": "eni-1-all", "lastEventTimestamp": at}));
        Ok(Output::Json(json!({"logStreams": stream.into_iter().collect::<Vec<Value>>()})))
    }

    fn group(&mut self, call: &Call, account: &str) -> Result<&mut LogGroup> {
        let group = self.groups.get_mut(account, call.json("logGroupName")?);
        group.ok_or_else(|| Refusal::new(400, "ResourceNotFoundException", "The specified log group does not exist."))
    }
}
