//! Dry runs: EC2 is asked whether it would carry out two writes of the rules, in an account and a region.
//!
//! IAM's simulation leaves out service control policies with conditions, resource control policies, and the policies of VPC
//! endpoints. EC2 itself knows all of them, and says with `DryRun` whether it would carry a call out, without doing so.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_testing-policies.html>
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html>
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFlowLogs.html>
//!
//! The question is asked as the rule's code would call, with its tags and its delivery role, or the bucket that the policy
//! names for the account and the region, and of a security group or a VPC of the account that is there: a session that may only read looks for one. Three things keep it from being more than a
//! question: the session that asks is held by a session policy to that one call and what it depends on, its client sends no
//! request without `DryRun=true`, and the rule that the group would get is for an address that nobody has.

use std::time::Duration;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;
use aws_sdk_ec2::types::{
    FlowLogsResourceType, IpPermission, IpRange, LogDestinationType, ResourceType, Tag, TagSpecification, TrafficType,
};
use remediation::{AccountId, Error, ErrorKind, Manifest, Permission, Policy, Region, Target};
use rules::vpc_without_flow_logs::Settings;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::commands::doctor::check::Check;

/// The longest wait for one region's answers.
const PATIENCE: Duration = Duration::from_secs(120);
/// An address of RFC 5737, which nobody has.
const NOBODY: &str = "192.0.2.1/32";
/// The most pages that are searched for a resource of the account's own.
const MOST_PAGES: usize = 10;
/// What EC2 answers where it would carry the call out.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>
const WOULD: &str = "DryRunOperation";

/// The rules whose writes are asked about.
const ADDS_RULES: &str = "security-group-open-admin-port";
const MAKES_FLOW_LOGS: &str = "vpc-without-flow-logs";

/// A write that EC2 is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    /// A rule with a tag, for a security group.
    AddRule,
    /// A flow log with a tag, for a VPC.
    CreateFlowLog {
        /// The ARN of the bucket that it is to deliver to; none where that is a log group.
        bucket: Option<String>,
    },
}

/// The two sessions of the rule's own role in one region.
pub(super) struct Asking {
    /// It may only read.
    pub(super) reads: Target,
    /// It may only make the call that is asked about.
    pub(super) asks: Target,
}

impl Question {
    /// The question about a rule in an account and a region, if there is one. Without a policy, and with settings that cannot
    /// be used, flow logs are to a log group, as by default.
    pub(super) fn of(rule: &str, policy: Option<&Policy>, account: &AccountId, region: &Region) -> Option<Self> {
        match rule {
            ADDS_RULES => Some(Self::AddRule),
            MAKES_FLOW_LOGS => {
                let settings = policy.and_then(|policy| policy.settings::<Settings>(rule).ok());
                Some(Self::CreateFlowLog { bucket: settings.and_then(|settings| settings.bucket_for(account, region)) })
            }
            _ => None,
        }
    }

    fn action(&self) -> &'static str {
        match self {
            Self::AddRule => "ec2:AuthorizeSecurityGroupIngress",
            Self::CreateFlowLog { .. } => "ec2:CreateFlowLogs",
        }
    }

    /// The actions without which EC2 would refuse the call: whoever makes something with tags must be allowed to tag it,
    /// whoever names a delivery role to pass it, and whoever names a bucket to have logs delivered. Else the session's own
    /// policy would be the reason for a no.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html>
    /// <https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html>
    /// <https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-permissions.html>
    fn depends_on(&self) -> &'static [&'static str] {
        match self {
            Self::AddRule => &["ec2:CreateTags"],
            Self::CreateFlowLog { bucket: None } => &["ec2:CreateTags", "iam:PassRole"],
            Self::CreateFlowLog { bucket: Some(_) } => {
                &["ec2:CreateTags", "logs:CreateLogDelivery", "logs:DeleteLogDelivery"]
            }
        }
    }

    /// The session policy of the session that asks: of the rule's permissions those for this call, and no others. `fill`
    /// fills in the parts of a manifest's text.
    pub(super) fn session_policy(&self, manifest: &Manifest, fill: impl Fn(&str) -> String) -> String {
        let needed = |permission: &&Permission| {
            permission.action == self.action() || self.depends_on().contains(&permission.action.as_str())
        };
        let statement = |Permission { action, resource, condition }: &Permission| {
            let mut statement = json!({"Effect": "Allow", "Action": action, "Resource": fill(resource)});
            if !condition.is_empty() {
                statement["Condition"] = json!(condition);
            }
            statement
        };
        let permissions = manifest.write.iter().chain(&manifest.extra);
        let statements: Vec<Value> = permissions.filter(needed).map(statement).collect();
        json!({"Version": "2012-10-17", "Statement": statements}).to_string()
    }

    /// Asks in one region.
    pub(super) async fn ask(&self, asking: &Asking, check: Check) -> Check {
        let region = asking.reads.region.clone();
        match timeout(PATIENCE, Box::pin(self.ask_in_region(asking, check.clone()))).await {
            Ok(check) => check,
            Err(_) => check.skipped(format!("not tried: no answer in {region} within {} s", PATIENCE.as_secs())),
        }
    }

    async fn ask_in_region(&self, Asking { reads, asks }: &Asking, check: Check) -> Check {
        let Target { account, region, .. } = reads;
        let found = match self {
            Self::AddRule => own_group(&Client::new(&reads.config), account).await,
            Self::CreateFlowLog { .. } => own_vpc(&Client::new(&reads.config), account).await,
        };
        let id = match found {
            Ok(Some(id)) => id,
            Ok(None) => return check.skipped(format!("not tried: {region} has no {} of the account's", self.noun())),
            Err(error) => return check.skipped(format!("not tried: {}", error.in_session(account, region))),
        };
        let answer = self.send(asks, &id).await;
        self.judge(check, region, &id, answer.map_err(|error| error.in_session(account, region)))
    }

    fn noun(&self) -> &'static str {
        match self {
            Self::AddRule => "security group",
            Self::CreateFlowLog { .. } => "VPC",
        }
    }

    /// The one place that asks. EC2 answers a dry run with an error in any case.
    async fn send(&self, asks: &Target, id: &str) -> Result<(), Error> {
        let ec2 = client(asks);
        match self {
            Self::AddRule => {
                let nobody = IpRange::builder().cidr_ip(NOBODY).build();
                let permission = IpPermission::builder().ip_protocol("tcp").from_port(22).to_port(22);
                let call = ec2.authorize_security_group_ingress().dry_run(true).group_id(id);
                let call = call.ip_permissions(permission.ip_ranges(nobody).build());
                let call = call.tag_specifications(tagged(ResourceType::SecurityGroupRule, ADDS_RULES));
                Box::pin(call.send()).await.map(drop).map_err(|error| Error::api(self.action(), error))
            }
            Self::CreateFlowLog { bucket } => {
                let call =
                    ec2.create_flow_logs().dry_run(true).resource_type(FlowLogsResourceType::Vpc).resource_ids(id);
                let call = call.traffic_type(TrafficType::All);
                let call = match bucket {
                    Some(arn) => call.log_destination_type(LogDestinationType::S3).log_destination(arn),
                    None => call
                        .log_destination_type(LogDestinationType::CloudWatchLogs)
                        .log_group_name(format!("/autoremediate/vpc-flow-logs/{}/{id}", asks.account))
                        .deliver_logs_permission_arn(asks.service_role_arn()),
                };
                let call = call.tag_specifications(tagged(ResourceType::VpcFlowLog, MAKES_FLOW_LOGS));
                Box::pin(call.send()).await.map(drop).map_err(|error| Error::api(self.action(), error))
            }
        }
    }

    /// What an answer means.
    fn judge(&self, check: Check, region: &str, id: &str, answer: Result<(), Error>) -> Check {
        let action = self.action();
        let error = match answer {
            Err(error) => error,
            Ok(()) => {
                return check.failed(
                    format!("{region}: {action} on {id} was carried out, although only asked about"),
                    format!("take it back by hand on {id}, and tell whoever runs this EC2"),
                );
            }
        };
        match error.kind {
            _ if error.code.as_deref() == Some(WOULD) => {
                check.ok(format!("{region}: EC2 would allow {action} on {id}{}", self.untold()))
            }
            ErrorKind::AccessDenied | ErrorKind::OutOfReach => check.failed(
                format!("{region}: EC2 would refuse it on {id}: {error}"),
                "let the role in: in the policy that is named, else in its permissions boundary and in the organization's \
                 policies with conditions, which IAM's simulation leaves out",
            ),
            _ => check.warn(
                format!("{region}: neither a yes nor a no for {id}: {error}"),
                "run doctor again; if it says the same, look up that error of EC2",
            ),
        }
    }

    /// What a yes does not cover: no page of AWS says whether a dry run looks at iam:PassRole, or at the bucket.
    fn untold(&self) -> String {
        match self {
            Self::AddRule => String::new(),
            Self::CreateFlowLog { bucket: None } => "; whether it looked at iam:PassRole, AWS does not document".into(),
            Self::CreateFlowLog { bucket: Some(arn) } => {
                format!(", to {arn}; whether it looked at the bucket and its policy, AWS does not document")
            }
        }
    }
}

/// The first security group of the account's own: one of a shared VPC can be another's.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroups.html>
async fn own_group(ec2: &Client, account: &AccountId) -> Result<Option<String>, Error> {
    let mut pages = ec2.describe_security_groups().max_results(100).into_paginator().send();
    for _ in 0..MOST_PAGES {
        let Some(page) = pages.next().await else { return Ok(None) };
        let page = page.map_err(|error| Error::api("ec2:DescribeSecurityGroups", error))?;
        let mut groups = page.security_groups.unwrap_or_default().into_iter();
        if let Some(group) = groups.find(|group| group.owner_id() == Some(account.as_ref())) {
            return Ok(group.group_id);
        }
    }
    Ok(None)
}

/// The first VPC of the account's own: a participant of a shared one cannot make flow logs for it.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVpcs.html>
async fn own_vpc(ec2: &Client, account: &AccountId) -> Result<Option<String>, Error> {
    let mut pages = ec2.describe_vpcs().max_results(100).into_paginator().send();
    for _ in 0..MOST_PAGES {
        let Some(page) = pages.next().await else { return Ok(None) };
        let page = page.map_err(|error| Error::api("ec2:DescribeVpcs", error))?;
        let mut vpcs = page.vpcs.unwrap_or_default().into_iter();
        if let Some(vpc) = vpcs.find(|vpc| vpc.owner_id() == Some(account.as_ref())) {
            return Ok(vpc.vpc_id);
        }
    }
    Ok(None)
}

/// The tag by which the rules know what they made.
fn tagged(of: ResourceType, rule: &str) -> TagSpecification {
    let tag = Tag::builder().key("autoremediate").value(rule).build();
    TagSpecification::builder().resource_type(of).tags(tag).build()
}

/// A client from which nothing goes out but dry runs.
fn client(asks: &Target) -> Client {
    Client::from_conf(aws_sdk_ec2::config::Builder::from(&asks.config).interceptor(OnlyDryRuns).build())
}

/// Stops every request that is not a dry run, whatever the code above makes.
#[derive(Debug)]
struct OnlyDryRuns;

impl Intercept for OnlyDryRuns {
    fn name(&self) -> &'static str {
        "OnlyDryRuns"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let form = context.request().body().bytes().unwrap_or_default();
        let is_dry = form.split(|byte| *byte == b'&').any(|field| field == b"DryRun=true");
        if is_dry { Ok(()) } else { Err("not sent: it is no dry run".into()) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_types::body::SdkBody;

    use super::*;
    use crate::commands::doctor::check::{Area, CheckResult};
    use crate::session::rules;

    /// Keeps the forms that were sent, and answers each with an error of EC2.
    #[derive(Debug, Clone)]
    struct Line {
        code: &'static str,
        sent: Arc<Mutex<Vec<String>>>,
    }

    impl HttpConnector for Line {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let form = String::from_utf8(request.body().bytes().unwrap().to_vec()).unwrap();
            self.sent.lock().unwrap().push(form);
            let body = format!(
                "<Response><Errors><Error><Code>{}</Code><Message>told so</Message></Error></Errors></Response>",
                self.code
            );
            HttpConnectorFuture::ready(Ok(HttpResponse::new(412.try_into().unwrap(), SdkBody::from(body))))
        }
    }

    fn line(code: &'static str) -> Line {
        Line { code, sent: Arc::default() }
    }

    fn check() -> Check {
        Check::of(Area::Account, "dry run")
    }

    #[tokio::test]
    async fn each_question_is_sent_as_a_dry_run_with_the_rules_tags_and_role() {
        for (question, parts) in [
            (
                Question::AddRule,
                vec!["Action=AuthorizeSecurityGroupIngress", "ResourceType=security-group-rule", "192.0.2.1"],
            ),
            (
                Question::CreateFlowLog { bucket: None },
                vec![
                    "Action=CreateFlowLogs",
                    "ResourceType=vpc-flow-log",
                    "r-service",
                    "LogDestinationType=cloud-watch-logs",
                ],
            ),
            (
                Question::CreateFlowLog { bucket: Some("arn:aws:s3:::flows/vpc/".into()) },
                vec!["LogDestinationType=s3", "LogDestination=arn%3Aaws%3As3%3A%3A%3Aflows%2Fvpc%2F"],
            ),
        ] {
            let line = line(WOULD);
            let target = rule_testing::target("eu-west-1", line.clone());
            let error = question.send(&target, "an-id").await.unwrap_err();
            assert_eq!(error.code.as_deref(), Some(WOULD), "{error}");
            let sent = line.sent.lock().unwrap().clone();
            let [form] = &sent[..] else { panic!("{sent:?}") };
            assert!(form.split('&').any(|field| field == "DryRun=true"), "{form}");
            assert!(parts.iter().all(|part| form.contains(part)), "{form}");
        }
    }

    #[tokio::test]
    async fn what_is_no_dry_run_never_leaves() {
        let line = line(WOULD);
        let ec2 = client(&rule_testing::target("eu-west-1", line.clone()));
        for dry in [None, Some(false)] {
            let call = ec2.create_flow_logs().set_dry_run(dry).resource_ids("vpc-1").log_group_name("DryRun=true");
            call.send().await.unwrap_err();
            ec2.authorize_security_group_ingress().set_dry_run(dry).group_id("sg-1").send().await.unwrap_err();
        }
        assert_eq!(line.sent.lock().unwrap().len(), 0);
        ec2.create_flow_logs().dry_run(true).resource_ids("vpc-1").send().await.unwrap_err();
        assert_eq!(line.sent.lock().unwrap().len(), 1);
    }

    #[test]
    fn an_answer_is_a_yes_a_no_or_neither() {
        let error = |code: &str, kind| Error { code: Some(code.into()), ..Error::new("ec2:X", kind, code) };
        for (answer, result) in [
            (Err(error(WOULD, ErrorKind::Permanent)), CheckResult::Ok),
            (Err(error("UnauthorizedOperation", ErrorKind::AccessDenied)), CheckResult::Failed),
            (Err(error("UnauthorizedOperation", ErrorKind::OutOfReach)), CheckResult::Failed),
            (Err(error("RulesPerSecurityGroupLimitExceeded", ErrorKind::Permanent)), CheckResult::Warn),
            (Err(error("InternalError", ErrorKind::Transient)), CheckResult::Warn),
            (Ok(()), CheckResult::Failed),
        ] {
            let said = format!("{answer:?}");
            let check = Question::CreateFlowLog { bucket: None }.judge(check(), "eu-west-1", "vpc-1", answer);
            assert_eq!((check.result, check.fix.is_some()), (result, result != CheckResult::Ok), "{said}");
            assert!(check.found.unwrap().contains("vpc-1"), "{said}");
        }
    }

    fn policy(destinations: &Value) -> Policy {
        let settings = json!({"settings": {"destination": "cloud-watch-logs", "destinations": destinations}});
        let policy = json!({"schema": 1, "rules": {MAKES_FLOW_LOGS: settings}});
        Policy::from_json(policy.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_flow_log_is_asked_about_to_where_the_policy_has_it() {
        let policy = policy(&json!({"eu-west-1": "arn:aws:s3:::flows-{account}"}));
        let bucket = |policy: Option<&Policy>, region: &str| {
            let account = "222222222222".parse().unwrap();
            match Question::of(MAKES_FLOW_LOGS, policy, &account, &Region::code(region)) {
                Some(Question::CreateFlowLog { bucket }) => bucket,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(bucket(Some(&policy), "eu-west-1").as_deref(), Some("arn:aws:s3:::flows-222222222222"));
        assert_eq!(bucket(Some(&policy), "us-east-1"), None);
        assert_eq!(bucket(None, "eu-west-1"), None);
        assert_eq!(Question::of("s3-public-bucket", None, &"222222222222".parse().unwrap(), &Region::global()), None);
    }

    #[test]
    fn the_session_that_asks_may_do_nothing_else() {
        for (question, rule, actions) in [
            (
                Question::AddRule,
                ADDS_RULES,
                vec!["ec2:AuthorizeSecurityGroupIngress", "ec2:AuthorizeSecurityGroupIngress", "ec2:CreateTags"],
            ),
            (
                Question::CreateFlowLog { bucket: None },
                MAKES_FLOW_LOGS,
                vec!["ec2:CreateFlowLogs", "ec2:CreateFlowLogs", "ec2:CreateTags", "iam:PassRole"],
            ),
            (
                Question::CreateFlowLog { bucket: Some("arn:aws:s3:::flows".into()) },
                MAKES_FLOW_LOGS,
                vec![
                    "ec2:CreateFlowLogs",
                    "ec2:CreateFlowLogs",
                    "ec2:CreateTags",
                    "logs:CreateLogDelivery",
                    "logs:DeleteLogDelivery",
                ],
            ),
        ] {
            let manifest = rules::select(&[rule.to_owned()]).unwrap().remove(0).manifest;
            let policy = question.session_policy(&manifest, |text| text.replace("{region}", "*"));
            assert!(policy.len() <= 2048, "{policy}");
            let policy: Value = serde_json::from_str(&policy).unwrap();
            let statements = policy["Statement"].as_array().unwrap();
            let allowed: Vec<_> = statements.iter().map(|of| of["Action"].as_str().unwrap()).collect();
            assert_eq!(allowed, actions);
            // AWS knows no resource of log deliveries.
            let is_of_logs = |of: &Value| of["Action"].as_str().unwrap().starts_with("logs:");
            assert!(statements.iter().all(|of| of["Resource"] != "*" || is_of_logs(of)), "{policy}");
        }
    }
}
