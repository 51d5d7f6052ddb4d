use clap::ValueEnum;
use serde_json::Value;

use super::*;

const ACCOUNT: &str = "123456789012";

/// A request that is signed for a service in a session that may write.
fn request(method: &str, target: &str, service: &str, body: &str) -> Request {
    let key = Caller::access_key(ACCOUNT, false);
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={key}/20261130/{REGION}/{service}/aws4_request, Signature=0");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, query, body) = (path.to_owned(), query.to_owned(), Bytes::from(body.to_owned()));
    let headers = [(http::header::AUTHORIZATION, authorization.parse().unwrap())].into_iter().collect();
    Request { method: method.parse().unwrap(), path, query, headers, body }
}

/// A call by a form, or by JSON where it has a target.
pub(crate) fn signed(service: &str, body: &str, target: Option<&str>) -> Call {
    let mut request = request("POST", "/", service, body);
    if let Some(target) = target {
        request.headers.insert("x-amz-target", target.parse().unwrap());
    }
    Call::of(request).unwrap()
}

pub(crate) fn ec2(operation: &str, parameters: &[(&str, &str)]) -> Call {
    let mut form = url::form_urlencoded::Serializer::new(format!("Action={operation}"));
    signed("ec2", &form.extend_pairs(parameters).finish(), None)
}

pub(crate) fn s3(method: &str, target: &str, body: &str) -> Call {
    Call::of(request(method, target, "s3", body)).unwrap()
}

/// The same call by the Lambda's own role.
pub(crate) fn central(call: Call) -> Call {
    Call { caller: Caller::Central, ..call }
}

pub(crate) fn with_header(mut call: Call, name: &'static str, value: &str) -> Call {
    call.request.headers.insert(name, value.parse().unwrap());
    call
}

/// What is stored under a key.
pub(crate) fn stored(world: &mut World, key: &str) -> Vec<u8> {
    match world.call(&central(s3("GET", &format!("/{BUCKET}/{key}"), ""))) {
        Ok(Output::Whole(answer)) => answer.body.to_vec(),
        other => panic!("{other:?}"),
    }
}

/// The answer's text, or the code of the refusal.
fn said(world: &mut World, call: &Call) -> Result<String, &'static str> {
    match world.call(call) {
        Ok(Output::Xml(text)) => Ok(text),
        Ok(Output::Json(json)) => Ok(json.to_string()),
        Ok(Output::Whole(answer)) => Ok(String::from_utf8(answer.body.to_vec()).unwrap()),
        Err(refusal) => Err(refusal.code),
    }
}

fn json(service: &str, operation: &str, input: Value) -> Call {
    signed(service, &input.to_string(), Some(&format!("Service.{operation}")))
}

fn form(service: &str, operation: &str, parameters: &[(&str, &str)]) -> Call {
    let mut form = url::form_urlencoded::Serializer::new(format!("Action={operation}"));
    signed(service, &form.extend_pairs(parameters).finish(), None)
}

/// The look at a resource, what it says while the resource violates, and the writes that mend it.
fn fix(rule: Rule, resource: &str) -> (Call, &'static str, Vec<Call>) {
    let runbook = |name: &str, parameter: &str, value: &str| {
        let parameters = json!({parameter: [value], "AutomationAssumeRole": ["role"]});
        let input = json!({"DocumentName": name, "ClientToken": "token", "Parameters": parameters});
        vec![json("ssm", "StartAutomationExecution", input)]
    };
    match rule {
        Rule::CloudTrailUnvalidatedLogs => {
            let arn = format!("arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/{resource}");
            let name = "AWSConfigRemediation-EnableCloudTrailLogFileValidation";
            let look = json("cloudtrail", "DescribeTrails", json!({"includeShadowTrails": true}));
            (look, r#""LogFileValidationEnabled":false"#, runbook(name, "TrailName", &arn))
        }
        Rule::IamStaleAccessKey => {
            let key = format!("AKIA{:016}", 7);
            let update = [("UserName", resource), ("AccessKeyId", &key), ("Status", "Inactive")];
            let look = form("iam", "ListAccessKeys", &[("UserName", resource)]);
            (look, "<Status>Active</Status>", vec![form("iam", "UpdateAccessKey", &update)])
        }
        Rule::NetworkAclOpenIngress => {
            let delete = [("NetworkAclId", resource), ("RuleNumber", "100"), ("Egress", "false")];
            let look = ec2("DescribeNetworkAcls", &[("NetworkAclId.1", resource)]);
            (look, "<protocol>-1</protocol><ruleAction>allow", vec![ec2("DeleteNetworkAclEntry", &delete)])
        }
        Rule::RdsPublicSnapshot => {
            let id = format!("{}-snapshot", resource.rsplit(':').next().unwrap());
            let modify = [("DBSnapshotIdentifier", id.as_str()), ("AttributeName", "restore")];
            let modify: Vec<_> = modify.into_iter().chain([("ValuesToRemove.AttributeValue.1", "all")]).collect();
            let look = form("rds", "DescribeDBSnapshotAttributes", &[("DBSnapshotIdentifier", &id)]);
            (look, "<AttributeValue>all<", vec![form("rds", "ModifyDBSnapshotAttribute", &modify)])
        }
        Rule::RedshiftPublicCluster => {
            let name = "AWSConfigRemediation-DisablePublicAccessToRedshiftCluster";
            let look = form("redshift", "DescribeClusters", &[("ClusterIdentifier", resource)]);
            (look, "<PubliclyAccessible>true<", runbook(name, "ClusterIdentifier", resource))
        }
        Rule::S3PublicBucket => {
            let target = format!("/{resource}?publicAccessBlock");
            let on = |name| format!("<{name}>true</{name}>");
            let block = format!("{}{}", on("IgnorePublicAcls"), on("RestrictPublicBuckets"));
            (s3("GET", &target, ""), "NoSuchPublicAccessBlockConfiguration", vec![s3("PUT", &target, &block)])
        }
        Rule::SecurityGroupOpenAdminPort => {
            let revoke = [("GroupId", resource), ("SecurityGroupRuleId.1", "sgr-0000000000000000e")];
            let look =
                ec2("DescribeSecurityGroupRules", &[("Filter.1.Name", "group-id"), ("Filter.1.Value.1", resource)]);
            (look, "<cidrIpv4>0.0.0.0/0<", vec![ec2("RevokeSecurityGroupIngress", &revoke)])
        }
        Rule::VpcWithoutFlowLogs => {
            let group = format!("/logs/{resource}");
            let create = [("ResourceId.1", resource), ("LogGroupName", group.as_str())];
            let writes =
                vec![json("logs", "CreateLogGroup", json!({"logGroupName": group})), ec2("CreateFlowLogs", &create)];
            let look = ec2("DescribeFlowLogs", &[("Filter.1.Name", "resource-id"), ("Filter.1.Value.1", resource)]);
            (look, "<flowLogSet></flowLogSet>", writes)
        }
    }
}

/// What a look says, or the code with which it is refused.
fn look(world: &mut World, call: &Call) -> String {
    said(world, call).unwrap_or_else(str::to_owned)
}

#[test]
fn a_resource_violates_until_the_right_write_has_come_and_not_after() {
    for rule in Rule::value_variants() {
        let mut world = World::default();
        let (other, resource) = (world.violate(*rule, ACCOUNT, 3), world.violate(*rule, ACCOUNT, 7));
        let (call, violates, writes) = fix(*rule, &resource);
        assert!(look(&mut world, &call).contains(violates), "{rule:?} before");
        for write in &writes {
            assert!(said(&mut world, write).is_ok(), "{rule:?}: {write:?}");
        }
        let after = look(&mut world, &call);
        // A look that lists all of them has the other one, too.
        let violating = after.matches(violates).count();
        let is_list = *rule == Rule::CloudTrailUnvalidatedLogs;
        assert_eq!(violating, usize::from(is_list), "{rule:?} after: {after}");
        if *rule != Rule::IamStaleAccessKey && *rule != Rule::SecurityGroupOpenAdminPort {
            let (call, violates, _) = fix(*rule, &other);
            assert!(look(&mut world, &call).contains(violates), "{rule:?}: another changed with it");
        }
    }
}

#[test]
fn a_session_that_may_only_read_is_refused_every_write_and_changes_nothing() {
    for rule in Rule::value_variants() {
        let mut world = World::default();
        let resource = world.violate(*rule, ACCOUNT, 7);
        let (call, violates, writes) = fix(*rule, &resource);
        for write in writes {
            let caller = Caller::Session { account: ACCOUNT.into(), read_only: true };
            let refused = said(&mut world, &Call { caller, ..write }).unwrap_err();
            assert!(["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"].contains(&refused), "{refused}");
        }
        assert!(look(&mut world, &call).contains(violates), "{rule:?}");
    }
}

#[test]
fn a_session_sees_and_changes_its_own_account_alone() {
    for rule in Rule::value_variants() {
        let mut world = World::default();
        let resource = world.violate(*rule, ACCOUNT, 7);
        let (call, violates, writes) = fix(*rule, &resource);
        let elsewhere = |call: Call| {
            let caller = Caller::Session { account: "999999999998".into(), read_only: false };
            Call { caller, ..call }
        };
        for write in writes {
            // The refusal, or a runbook that has found nothing.
            drop(said(&mut world, &elsewhere(write)));
        }
        assert!(look(&mut world, &call).contains(violates), "{rule:?}");
    }
}

#[test]
fn what_no_rule_calls_is_refused() {
    let mut world = World::default();
    assert_eq!(said(&mut world, &ec2("TerminateInstances", &[])), Err("NotImplemented"));
    assert_eq!(said(&mut world, &json("cloudtrail", "StopLogging", json!({}))), Err("NotImplemented"));
    let group = world.violate(Rule::SecurityGroupOpenAdminPort, ACCOUNT, 1);
    let revoke = [("GroupId", group.as_str()), ("SecurityGroupRuleId.1", "sgr-00000000000000000")];
    assert_eq!(
        said(&mut world, &ec2("RevokeSecurityGroupIngress", &revoke)),
        Err("InvalidSecurityGroupRuleId.NotFound")
    );
}

#[test]
fn a_role_is_assumed_for_the_account_of_its_arn_and_by_the_lambda_alone() {
    let mut world = World::default();
    let role = format!("arn:aws:iam::{ACCOUNT}:role/autoremediate");
    let assume = |more: &[(&str, &str)]| {
        let parameters: Vec<_> = [("RoleArn", role.as_str())].into_iter().chain(more.iter().copied()).collect();
        form("sts", "AssumeRole", &parameters)
    };
    let read = said(&mut world, &central(assume(&[("Policy", "{}")]))).unwrap();
    assert!(read.contains(&format!("<AccessKeyId>{}</AccessKeyId>", Caller::access_key(ACCOUNT, true))), "{read}");
    let write = said(&mut world, &central(assume(&[]))).unwrap();
    assert!(write.contains(&format!("<AccessKeyId>{}</AccessKeyId>", Caller::access_key(ACCOUNT, false))), "{write}");
    assert!(said(&mut world, &assume(&[])).is_err());
}

#[tokio::test]
async fn what_is_throttled_is_counted_refused_and_not_done() {
    tokio::time::pause();
    let mut world = World::default();
    let acl = world.violate(Rule::NetworkAclOpenIngress, ACCOUNT, 7);
    let (counter, latency) = (Counter::default(), Duration::from_millis(40));
    let inner = Inner { latency, throttle: Some(Mutex::default()), counter, world: Mutex::new(world) };
    let entry = |number: &str| {
        let body = format!("Action=DeleteNetworkAclEntry&NetworkAclId={acl}&Egress=false&RuleNumber={number}");
        inner.answer(request("POST", "/", "ec2", &body))
    };
    let begin = Instant::now();
    for _ in 0..50 {
        // Each has taken its token by then; nobody waits for the answers, so that no token comes back.
        assert!(futures::poll!(std::pin::pin!(entry("1"))).is_pending());
    }
    let answer = entry("100").await;
    let body = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(answer.status == 503 && begin.elapsed() >= latency, "{answer:?} after {:?}", begin.elapsed());
    assert!(body.contains("<Code>RequestLimitExceeded</Code>"), "{body}");
    let counts = inner.counter.so_far();
    assert_eq!((counts.calls["ec2:DeleteNetworkAclEntry"], counts.throttled["ec2:DeleteNetworkAclEntry"]), (51, 1));
    let (call, violates, _) = fix(Rule::NetworkAclOpenIngress, &acl);
    assert!(look(&mut inner.world(), &call).contains(violates));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(entry("100").await.status, 200);
}
