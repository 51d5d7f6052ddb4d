//! VPCs with subnets and flow logs: `vpc-without-flow-logs`.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{FlowLog, FlowLogsResourceType, ResourceType, Tag, TagSpecification, TrafficType};
use remediation::SERVICE_ROLE_SUFFIX;
use rules::vpc_without_flow_logs::VpcWithoutFlowLogs;
use serde_json::{Value, json};

use super::{AnySubject, Subject};
use crate::Result;
use crate::account::Account;
use crate::emulator::Emulator;

/// The subject of each control.
pub const SUBJECTS: &[AnySubject] = &[AnySubject::of::<Vpc>()];

/// A VPC.
#[derive(Debug)]
pub struct Vpc;

impl Subject for Vpc {
    type Rule = VpcWithoutFlowLogs;
    const NAME: &'static str = "frontend";
    const FOUND: &'static str = "a VPC without a flow log";
    const THROTTLED: (&str, &[&str]) = (
        "RequestLimitExceeded",
        &[
            "ec2:DescribeVpcs",
            "ec2:DescribeFlowLogs",
            "ec2:DescribeNetworkInterfaces",
            "ec2:CreateFlowLogs",
            "logs:DescribeLogGroups",
            "logs:DescribeLogStreams",
            "logs:CreateLogGroup",
            "logs:PutRetentionPolicy",
        ],
    );
    /// Of flow logs to a bucket.
    const WITH_OTHER_SETTINGS: &[&str] = &["logs:CreateLogDelivery", "logs:DeleteLogDelivery"];

    async fn violating(account: &Account, name: &str) -> Result<String> {
        Vpcs::of(account).make_in_use(name).await
    }

    async fn complying(account: &Account, name: &str) -> Result<String> {
        let vpc = Vpcs::of(account).make(name, false).await?;
        // Another role would do, but this one exists and may deliver.
        let role = format!("autoremediate-vpc-without-flow-logs{SERVICE_ROLE_SUFFIX}");
        Vpcs::of(account).make_flow_log(&vpc, "/autoremediate/vpc-flow-logs/theirs", &role).await?;
        Ok(vpc)
    }

    fn gone(_: &Account) -> String {
        "vpc-0123456789abcdef0".into()
    }

    fn names(account: &Account, resource: &str) -> Vec<String> {
        let arn = format!("arn:{}:ec2:{}:{}:vpc/{resource}", account.partition(), account.region, account.id);
        vec![resource.to_owned(), arn, "named".into()]
    }

    async fn tag(account: &Account, resource: &str, key: &str, value: &str) -> Result<()> {
        account.tag_ec2(resource, key, value).await
    }

    async fn describe(account: &Account, resource: &str) -> Result<Value> {
        Vpcs::of(account).described(resource).await
    }

    async fn complies(account: &Account, resource: &str) -> Result<bool> {
        let flow_logs = Vpcs::of(account).flow_logs(resource).await?;
        Ok(flow_logs.iter().any(|of| of.deliver_logs_status() == Some("SUCCESS")))
    }
}

/// The VPCs of one account, with its full rights.
#[derive(Debug)]
pub struct Vpcs {
    /// EC2 with the account's full rights.
    pub ec2: Client,
    /// CloudWatch Logs with the account's full rights.
    pub logs: aws_sdk_cloudwatchlogs::Client,
    account: Account,
}

impl Vpcs {
    /// Those of `account`.
    pub fn of(account: &Account) -> Self {
        let logs = aws_sdk_cloudwatchlogs::Client::new(&account.config);
        Self { ec2: Client::new(&account.config), logs, account: account.clone() }
    }

    /// Makes a VPC with this tag `Name`, with or without an IPv6 range, and gives its ID.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn make(&self, name: &str, ipv6: bool) -> Result<String> {
        let call = self.ec2.create_vpc().cidr_block("10.0.0.0/16").amazon_provided_ipv6_cidr_block(ipv6);
        let made = call.tag_specifications(named(ResourceType::Vpc, name)).send().await?;
        Ok(made.vpc.and_then(|vpc| vpc.vpc_id).ok_or("CreateVpc gave no VPC")?)
    }

    /// Makes a subnet with this tag `Name`, the `number`th of the VPC, and gives its ID.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn make_subnet(&self, vpc: &str, number: u8, name: &str) -> Result<String> {
        let call = self.ec2.create_subnet().vpc_id(vpc).cidr_block(format!("10.0.{number}.0/24"));
        let made = call.tag_specifications(named(ResourceType::Subnet, name)).send().await?;
        Ok(made.subnet.and_then(|subnet| subnet.subnet_id).ok_or("CreateSubnet gave no subnet")?)
    }

    /// Makes a VPC with a network interface that is in use, an instance's, so that a flow log has something to record.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn make_in_use(&self, name: &str) -> Result<String> {
        let vpc = self.make(name, false).await?;
        let subnet = self.make_subnet(&vpc, 1, &format!("subnet of {name}")).await?;
        let registered = self.ec2.register_image().name("image").send().await?;
        let image = registered.image_id().ok_or("RegisterImage gave no image")?;
        let run = self.ec2.run_instances().image_id(image).min_count(1).max_count(1).subnet_id(subnet);
        run.send().await?;
        Ok(vpc)
    }

    /// Shares a subnet with the account `with` by RAM, so that this sees the VPC.
    ///
    /// # Errors
    ///
    /// RAM refuses.
    pub async fn share_subnet(&self, emulator: &Emulator, subnet: &str, with: &str) -> Result<()> {
        let (Account { id, region, .. }, partition) = (&self.account, self.account.partition());
        let share = json!({
            "name": "network", "principals": [with],
            "resourceArns": [format!("arn:{partition}:ec2:{region}:{id}:subnet/{subnet}")],
        });
        // The emulator tells the account from the key, and checks no signature.
        let credential = format!("{id}/20260101/{region}/ram/aws4_request");
        let signature = format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=none");
        let call = reqwest::Client::new().post(format!("{}/createresourceshare", emulator.url()));
        let call = call.header("authorization", signature).header("content-type", "application/json");
        call.body(share.to_string()).send().await?.error_for_status()?;
        Ok(())
    }

    /// Makes a flow log as somebody else would, to a log group of this name, with the role of this name: where there is
    /// none, it delivers nothing. Gives its ID.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn make_flow_log(&self, vpc: &str, group: &str, role: &str) -> Result<String> {
        let role = self.account.role_arn(role);
        let call = self.ec2.create_flow_logs().resource_type(FlowLogsResourceType::Vpc).resource_ids(vpc);
        let call = call.traffic_type(TrafficType::Reject).log_group_name(group).deliver_logs_permission_arn(role);
        let made = call.send().await?;
        Ok(made.flow_log_ids().first().ok_or("CreateFlowLogs made none")?.clone())
    }

    /// Makes a bucket of this account that takes the flow logs of another one, in the region of both. Gives its ARN.
    /// <https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-permissions.html>
    ///
    /// # Errors
    ///
    /// S3 refuses.
    pub async fn make_bucket(&self, name: &str, of: &Account) -> Result<String> {
        self.account.make_private_bucket(name).await?;
        let (arn, partition) = (format!("arn:{}:s3:::{name}", of.partition()), of.partition());
        let source = format!("arn:{partition}:logs:{}:{}:*", of.region, of.id);
        let statement = |action, resource, equals: Value| {
            json!({
                "Effect": "Allow", "Principal": {"Service": "delivery.logs.amazonaws.com"}, "Action": action,
                "Resource": resource,
                "Condition": {"StringEquals": equals, "ArnLike": {"aws:SourceArn": source}},
            })
        };
        let acl = "bucket-owner-full-control";
        let put = json!({"aws:SourceAccount": of.id, "s3:x-amz-acl": acl});
        let statements = [
            statement("s3:PutObject", format!("{arn}/*"), put),
            statement("s3:GetBucketAcl", arn.clone(), json!({"aws:SourceAccount": of.id})),
        ];
        let policy = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let s3 = aws_sdk_s3::Client::new(&self.account.config);
        s3.put_bucket_policy().bucket(name).policy(policy).send().await?;
        Ok(arn)
    }

    /// The flow logs of a VPC.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn flow_logs(&self, vpc: &str) -> Result<Vec<FlowLog>> {
        let filter = aws_sdk_ec2::types::Filter::builder().name("resource-id").values(vpc).build();
        let pages = self.ec2.describe_flow_logs().filter(filter).into_paginator().items().send();
        Ok(pages.collect::<Result<Vec<_>, _>>().await?)
    }

    /// The flow logs of a VPC, without what EC2 makes up: IDs and times.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn described(&self, vpc: &str) -> Result<Value> {
        let described = |of: FlowLog| {
            let tags: Vec<_> = of.tags().iter().map(|tag| json!([tag.key(), tag.value()])).collect();
            json!({
                "group": of.log_group_name, "traffic": of.traffic_type.map(|traffic| traffic.to_string()),
                "role": of.deliver_logs_permission_arn, "status": of.deliver_logs_status,
                "error": of.deliver_logs_error_message, "tags": tags,
            })
        };
        Ok(self.flow_logs(vpc).await?.into_iter().map(described).collect())
    }

    /// The log groups whose names begin so, each with its retention.
    ///
    /// # Errors
    ///
    /// CloudWatch Logs refuses.
    pub async fn log_groups(&self, prefix: &str) -> Result<Vec<(String, Option<i32>)>> {
        let answer = self.logs.describe_log_groups().log_group_name_prefix(prefix).send().await?;
        let groups = answer.log_groups.unwrap_or_default().into_iter();
        Ok(groups.filter_map(|group| Some((group.log_group_name?, group.retention_in_days))).collect())
    }
}

/// The tag `Name` of something that is made.
pub(crate) fn named(kind: ResourceType, name: &str) -> TagSpecification {
    let name = Tag::builder().key("Name").value(name).build();
    TagSpecification::builder().resource_type(kind).tags(name).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::rule_cases!(Vpc);
}
