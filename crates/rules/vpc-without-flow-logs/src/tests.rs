use aws_sdk_cloudwatchlogs::Client as Logs;
use aws_sdk_cloudwatchlogs::operation::create_log_group::{CreateLogGroupError, CreateLogGroupOutput};
use aws_sdk_cloudwatchlogs::operation::describe_log_groups::{DescribeLogGroupsError, DescribeLogGroupsOutput};
use aws_sdk_cloudwatchlogs::operation::describe_log_streams::{
    DescribeLogStreamsError, DescribeLogStreamsInput, DescribeLogStreamsOutput,
};
use aws_sdk_cloudwatchlogs::operation::put_retention_policy::{PutRetentionPolicyError, PutRetentionPolicyOutput};
use aws_sdk_cloudwatchlogs::types::{LogStream, OrderBy};
use aws_sdk_ec2::Client as Ec2;
use aws_sdk_ec2::error::ErrorMetadata;
use aws_sdk_ec2::operation::create_flow_logs::{CreateFlowLogsError, CreateFlowLogsInput, CreateFlowLogsOutput};
use aws_sdk_ec2::operation::delete_flow_logs::{DeleteFlowLogsError, DeleteFlowLogsOutput};
use aws_sdk_ec2::operation::describe_flow_logs::{
    DescribeFlowLogsError, DescribeFlowLogsInput, DescribeFlowLogsOutput,
};
use aws_sdk_ec2::operation::describe_network_interfaces::{
    DescribeNetworkInterfacesError, DescribeNetworkInterfacesOutput,
};
use aws_sdk_ec2::operation::describe_vpcs::{DescribeVpcsError, DescribeVpcsOutput};
use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_ec2::types::{
    FlowLog as Ec2FlowLog, FlowLogsResourceType, LogDestinationType, NetworkInterface, NetworkInterfaceStatus,
    ResourceType, Tag, TrafficType, UnsuccessfulItem, UnsuccessfulItemError, Vpc as Ec2Vpc,
};
use aws_smithy_mocks::{Rule as MockRule, RuleMode, mock, mock_client};
use jiff::Timestamp;
use proptest::prelude::*;
use remediation::Manifest;
use rule_testing::{ACCOUNT, REGION, World, finding, hold, poll};

use super::*;
use crate::state::{Delivery, FlowLog, Place};

mod plan;

const VPC: &str = "vpc-0123456789abcdef0";
const GROUP: &str = "/autoremediate/vpc-flow-logs/222222222222/vpc-0123456789abcdef0";
const BUCKET: &str = "arn:aws:s3:::flow-logs-222222222222/vpc/";
const ROLE: &str = "arn:aws:iam::222222222222:role/autoremediate-vpc-without-flow-logs-service";

const CONTROL: &str = "Baseline network operations and data flows: Ensure VPC flow logging is enabled in all VPCs";

/// The VPC.
fn edge() -> Resource {
    let arn = format!("arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/{VPC}");
    Resource::of_arn("ec2:DescribeVpcs", arn, VPC).unwrap()
}

fn metadata(code: &'static str) -> ErrorMetadata {
    ErrorMetadata::builder().code(code).message("told so").build()
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

fn vpc(id: &str, name: &str) -> Ec2Vpc {
    Ec2Vpc::builder().vpc_id(id).owner_id("222222222222").tags(tag("Name", name)).build()
}

/// The VPC by its ID, and those that a filter of names lets through.
fn vpcs() -> [MockRule; 2] {
    let by_id = mock!(Ec2::describe_vpcs)
        .match_requests(|request| request.vpc_ids() == [VPC])
        .then_output(|| DescribeVpcsOutput::builder().vpcs(vpc(VPC, "edge")).build());
    let by_name = mock!(Ec2::describe_vpcs)
        .match_requests(|request| request.filters().iter().any(|of| of.name() == Some("tag:Name")))
        .then_output(|| {
            let vpcs = vec![vpc(VPC, "edge"), vpc("vpc-1", "twice"), vpc("vpc-2", "twice")];
            DescribeVpcsOutput::builder().set_vpcs(Some(vpcs)).build()
        });
    [by_id, by_name]
}

/// The value of a filter of the request.
fn filtered<'a>(request: &'a DescribeFlowLogsInput, name: &str) -> Option<&'a str> {
    request.filter().iter().find(|of| of.name() == Some(name)).map(|of| of.values()[0].as_str())
}

/// The page of the VPC's flow logs that `token` asks for.
fn page(token: Option<&'static str>, logs: Vec<Ec2FlowLog>, next: Option<&'static str>) -> MockRule {
    mock!(Ec2::describe_flow_logs)
        .match_requests(move |request| request.next_token() == token && filtered(request, "resource-id") == Some(VPC))
        .then_output(move || {
            let next = next.map(Into::into);
            DescribeFlowLogsOutput::builder().set_flow_logs(Some(logs.clone())).set_next_token(next).build()
        })
}

fn flow_logs(logs: Vec<Ec2FlowLog>) -> MockRule {
    page(None, logs, None)
}

/// When the flow logs of these tests were made, in seconds.
const MADE: i64 = 1_750_000_000;

/// Somebody's flow log to a bucket.
fn theirs(id: &str) -> Ec2FlowLog {
    let log = Ec2FlowLog::builder().flow_log_id(id).resource_id(VPC).creation_time(DateTime::from_secs(MADE));
    let log = log.log_destination("arn:aws:s3:::flows").log_destination_type(LogDestinationType::S3);
    log.traffic_type(TrafficType::Reject).deliver_logs_status("SUCCESS").build()
}

/// The rule's own flow log.
fn ours(id: &str) -> Ec2FlowLog {
    with(theirs(id), |log| {
        log.log_destination_type = Some(LogDestinationType::CloudWatchLogs);
        (log.log_destination, log.log_group_name) = (None, Some(GROUP.into()));
        (log.traffic_type, log.tags) =
            (Some(TrafficType::All), Some(vec![tag("autoremediate", "vpc-without-flow-logs")]));
    })
}

/// The rule's own flow log to the bucket, as EC2 tells it: a slash at the end need not be there.
fn ours_in_bucket(id: &str) -> Ec2FlowLog {
    with(ours(id), |log| {
        log.log_destination_type = Some(LogDestinationType::S3);
        (log.log_destination, log.log_group_name) = (Some(BUCKET.trim_end_matches('/').into()), None);
    })
}

/// The streams of the log group, each with the times of its events in milliseconds.
fn streams(streams: &[(&str, [Option<i64>; 3])]) -> MockRule {
    let stream = |(name, [first, last, ingested]): &(&str, [Option<i64>; 3])| {
        let stream = LogStream::builder().log_stream_name(*name).set_first_event_timestamp(*first);
        stream.set_last_event_timestamp(*last).set_last_ingestion_time(*ingested).build()
    };
    let streams: Vec<_> = streams.iter().map(stream).collect();
    let asked = |request: &DescribeLogStreamsInput| {
        request.log_group_name() == Some(GROUP)
            && (request.order_by(), request.descending()) == (Some(&OrderBy::LastEventTime), Some(true))
    };
    mock!(Logs::describe_log_streams)
        .match_requests(asked)
        .then_output(move || DescribeLogStreamsOutput::builder().set_log_streams(Some(streams.clone())).build())
}

fn streams_refused(code: &'static str) -> MockRule {
    mock!(Logs::describe_log_streams).then_error(move || DescribeLogStreamsError::generic(metadata(code)))
}

/// A page of the VPC's network interfaces.
fn interfaces(
    token: Option<&'static str>,
    statuses: &[NetworkInterfaceStatus],
    next: Option<&'static str>,
) -> MockRule {
    let interface =
        |status: &NetworkInterfaceStatus| NetworkInterface::builder().vpc_id(VPC).status(status.clone()).build();
    let interfaces: Vec<_> = statuses.iter().map(interface).collect();
    mock!(Ec2::describe_network_interfaces)
        .match_requests(move |request| {
            let of_vpc = |of: &aws_sdk_ec2::types::Filter| of.name() == Some("vpc-id") && of.values() == [VPC];
            request.next_token() == token && request.filters().iter().any(of_vpc)
        })
        .then_output(move || {
            let answer = DescribeNetworkInterfacesOutput::builder().set_network_interfaces(Some(interfaces.clone()));
            answer.set_next_token(next.map(Into::into)).build()
        })
}

/// A value with a change.
fn with<T>(mut value: T, change: impl FnOnce(&mut T)) -> T {
    change(&mut value);
    value
}

/// The log group, and one whose name goes on from it.
fn log_group(retention: Option<i32>) -> MockRule {
    let group = |name: &str, days| {
        aws_sdk_cloudwatchlogs::types::LogGroup::builder().log_group_name(name).set_retention_in_days(days).build()
    };
    mock!(Logs::describe_log_groups)
        .match_requests(|request| request.log_group_name_prefix() == Some(GROUP))
        .then_output(move || {
            let longer = format!("{GROUP}-more");
            let groups = vec![group(&longer, Some(1)), group(GROUP, retention)];
            DescribeLogGroupsOutput::builder().set_log_groups(Some(groups)).build()
        })
}

fn no_log_group() -> MockRule {
    mock!(Logs::describe_log_groups).then_output(|| DescribeLogGroupsOutput::builder().build())
}

fn client(ec2: &[&MockRule], logs: &[&MockRule]) -> Client {
    Client {
        ec2: mock_client!(aws_sdk_ec2, RuleMode::MatchAny, ec2),
        logs: mock_client!(aws_sdk_cloudwatchlogs, RuleMode::MatchAny, logs),
        vpcs: Together::new(api::DESCRIBE_VPCS),
        flow_logs: Together::new(api::DESCRIBE),
        in_use: Together::new(api::DESCRIBE_INTERFACES),
        delivery_role: ROLE.into(),
        session_name: "autoremediate-01999999-9999-7999-8999-999999999999".into(),
    }
}

/// Looks at a VPC that is found by ID or name, with nothing delivered and no network interface unless `ec2` and `logs`
/// have some.
async fn look(ec2: &[&MockRule], logs: &[&MockRule], resource: &str) -> Result<Seen<Vpc>> {
    let ([by_id, by_name], no_interface) = (vpcs(), interfaces(None, &[], None));
    let (no_group, no_stream) = (no_log_group(), streams_refused("ResourceNotFoundException"));
    let none = flow_logs(vec![]);
    let ec2: Vec<_> = ec2.iter().copied().chain([&by_id, &by_name, &none, &no_interface]).collect();
    let logs: Vec<_> = logs.iter().copied().chain([&no_group, &no_stream]).collect();
    VpcWithoutFlowLogs::look(&client(&ec2, &logs), &finding(CONTROL, resource)).await
}

fn to_log_group(log_group: &str) -> Change {
    let (log_group, delivery_role) = (log_group.into(), ROLE.into());
    let flow_log = NewFlowLog::ToLogGroup { log_group, retention_days: 365, traffic: Traffic::All, delivery_role };
    Change { flow_log, before: Presence::Absent, after: Presence::Present }
}

fn change() -> Change {
    to_log_group(GROUP)
}

fn change_to_bucket() -> Change {
    let flow_log = NewFlowLog::ToBucket { log_destination: BUCKET.into(), traffic: Traffic::All };
    Change { flow_log, ..change() }
}

/// The digest of a plan that an earlier version stored covers the order of the fields.
#[test]
fn changes_are_stored_as_they_were() {
    let stored = format!(
        r#"{{"log_group":"{GROUP}","retention_days":365,"traffic":"ALL","delivery_role":"{ROLE}","before":"absent","after":"present"}}"#
    );
    assert_eq!(serde_json::to_string(&change()).unwrap(), stored);
    assert_eq!(serde_json::from_str::<Change>(&stored).unwrap(), change());
    let stored = format!(r#"{{"log_destination":"{BUCKET}","traffic":"ALL","before":"absent","after":"present"}}"#);
    assert_eq!(serde_json::to_string(&change_to_bucket()).unwrap(), stored);
    assert_eq!(serde_json::from_str::<Change>(&stored).unwrap(), change_to_bucket());
    assert!(serde_json::from_str::<Change>(r#"{"traffic":"ALL","before":"absent","after":"present"}"#).is_err());
}

#[tokio::test]
async fn a_vpc_is_found_by_every_name_and_is_what_ec2_says() {
    let arn = format!("arn:aws:ec2:eu-central-1:222222222222:vpc/{VPC}");
    for resource in [VPC, &arn, "edge"] {
        let seen = look(&[&flow_logs(vec![])], &[], resource).await.unwrap();
        let Resource { arn: found, owner, id, names, .. } = &seen.resource;
        assert_eq!((found, owner.as_ref(), id.as_str()), (&arn, "222222222222", VPC), "{resource}");
        assert_eq!(*names, ["edge".to_owned()].into());
        let tags = VpcWithoutFlowLogs::tags(&client(&[], &[]), &seen).await.unwrap();
        assert_eq!(tags, [("Name".to_owned(), "edge".to_owned())].into());
        assert_eq!((seen.state.log_group.as_str(), seen.state.delivery_role.as_str()), (GROUP, ROLE));
    }
    for (resource, says) in [
        ("twice", "2 resources have it as their tag Name"),
        ("e*", "0 resources have it as their tag Name"),
        ("", "neither the ID"),
        ("arn:aws:ec2:eu-central-1:222222222222:subnet/subnet-0123456789abcdef0", "neither the ID"),
        ("arn:aws:ec2:eu-central-1:333333333333:vpc/vpc-0123456789abcdef0", "belongs to the account 333333333333"),
        ("arn:aws:ec2:eu-west-1:222222222222:vpc/vpc-0123456789abcdef0", "is in the region eu-west-1"),
    ] {
        let error = look(&[&flow_logs(vec![])], &[], resource).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidFinding, "{resource}");
        assert!(error.message.contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_shared_vpc_is_its_owners() {
    let shared = mock!(Ec2::describe_vpcs).then_output(|| {
        let vpc = with(vpc(VPC, "theirs"), |vpc| vpc.owner_id = Some("333333333333".into()));
        DescribeVpcsOutput::builder().vpcs(vpc).build()
    });
    let logs = streams_refused("ResourceNotFoundException");
    let rules = [&shared, &flow_logs(vec![]), &interfaces(None, &[], None)];
    let seen =
        VpcWithoutFlowLogs::look(&client(&rules, &[&no_log_group(), &logs]), &finding(CONTROL, VPC)).await.unwrap();
    assert_eq!(seen.resource.owner.as_ref(), "333333333333");
}

#[tokio::test]
async fn every_page_of_the_flow_logs_is_read_with_what_aws_says_of_the_delivery() {
    let status = |id, status: Option<&str>, reason: Option<&str>| {
        with(theirs(id), |log| {
            log.deliver_logs_status = status.map(Into::into);
            log.deliver_logs_error_message = reason.map(Into::into);
        })
    };
    let first = page(None, vec![ours("fl-1"), status("fl-2", Some("FAILED"), Some("Access error"))], Some("more"));
    let last = vec![status("fl-3", Some("FAILED"), None), status("fl-4", None, None)];
    let second = page(Some("more"), last, None);
    let seen = look(&[&first, &second], &[], VPC).await.unwrap();
    let found: Vec<_> =
        seen.state.flow_logs.iter().map(|of| (of.id.as_str(), of.is_ours, of.delivery.clone())).collect();
    let expected = [
        ("fl-1", true, Delivery::NotFailed),
        ("fl-2", false, Delivery::Failed("Access error".into())),
        ("fl-3", false, Delivery::Failed("AWS gives no reason".into())),
        ("fl-4", false, Delivery::Unknown),
    ];
    assert_eq!(found, expected);
    assert_eq!(seen.state.flow_logs[0].made, Timestamp::from_second(MADE).unwrap());
    // With the tag alone, or to the group alone, it is not the rule's own.
    for not_ours in [
        with(ours("fl-1"), |log| log.tags = None),
        with(ours("fl-1"), |log| log.tags = Some(vec![tag("autoremediate", "other")])),
        with(ours("fl-1"), |log| log.log_group_name = Some("theirs".into())),
    ] {
        assert!(!look(&[&flow_logs(vec![not_ours])], &[], VPC).await.unwrap().state.flow_logs[0].is_ours);
    }
}

#[tokio::test]
async fn what_has_arrived_is_of_a_network_interface_whichever_time_is_known_first() {
    for (found, expected) in [
        (&[][..], None),
        (&[("eni-1-all", [None; 3])], None),
        (&[("eni-1-all", [Some(7), None, None])], Some(7)),
        (&[("eni-1-all", [None, Some(8), None])], Some(8)),
        (&[("eni-1-reject", [Some(7), Some(8), Some(9)])], Some(9)),
        (&[("eni-1-all", [Some(7), None, None]), ("eni-2-all", [Some(8), None, None])], Some(8)),
        (&[("by-hand", [Some(7), Some(8), Some(9)])], None),
    ] {
        let seen = look(&[&flow_logs(vec![ours("fl-1")])], &[&streams(found)], VPC).await.unwrap();
        let expected = expected.map(|at| Timestamp::from_millisecond(at).unwrap());
        assert_eq!(seen.state.last_delivery, expected, "{found:?}");
    }
}

#[tokio::test]
async fn a_network_interface_that_is_in_use_is_looked_for_on_every_page() {
    use NetworkInterfaceStatus::{Available, InUse};
    for (first, second, expected) in
        [(&[][..], &[][..], false), (&[Available], &[Available], false), (&[Available], &[InUse], true)]
    {
        let pages = [interfaces(None, first, Some("more")), interfaces(Some("more"), second, None)];
        let found = look(&[&flow_logs(vec![ours("fl-1")]), &pages[0], &pages[1]], &[], VPC).await.unwrap();
        assert_eq!((found.state.is_in_use, pages[1].num_calls()), (expected, 1), "{first:?} {second:?}");
    }
    let (first, second) = (interfaces(None, &[InUse], Some("more")), interfaces(Some("more"), &[], None));
    assert!(look(&[&flow_logs(vec![]), &first, &second], &[], VPC).await.unwrap().state.is_in_use);
    assert_eq!(second.num_calls(), 0, "one is enough");
}

#[tokio::test]
async fn where_somebodys_flow_log_works_nothing_else_is_looked_up() {
    let (streams, interfaces) = (streams(&[]), interfaces(None, &[], None));
    look(&[&flow_logs(vec![theirs("fl-1"), ours("fl-2")]), &interfaces], &[&streams], VPC).await.unwrap();
    assert_eq!((streams.num_calls(), interfaces.num_calls()), (0, 0));
    // Else the looks that will prove a fix come before it, so that none is made that cannot be proved.
    look(&[&flow_logs(vec![]), &interfaces], &[&streams], VPC).await.unwrap();
    assert_eq!((streams.num_calls(), interfaces.num_calls()), (1, 1));
}

#[tokio::test]
async fn the_retention_of_a_log_group_of_the_name_is_seen() {
    for retention in [None, Some(30)] {
        let seen = look(&[&flow_logs(vec![])], &[&log_group(retention), &streams(&[])], VPC).await.unwrap();
        assert_eq!(seen.state.retention_days, retention);
    }
}

#[tokio::test]
async fn errors_name_the_action() {
    for (code, kind) in [("UnauthorizedOperation", ErrorKind::AccessDenied), ("InvalidVpcID.NotFound", ErrorKind::Gone)]
    {
        let vpcs = mock!(Ec2::describe_vpcs).then_error(move || DescribeVpcsError::generic(metadata(code)));
        let error = look(&[&vpcs], &[], VPC).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (kind, "ec2:DescribeVpcs"), "{error}");
    }
    let denied = "UnauthorizedOperation";
    let logs = mock!(Ec2::describe_flow_logs).then_error(move || DescribeFlowLogsError::generic(metadata(denied)));
    let interfaces = mock!(Ec2::describe_network_interfaces)
        .then_error(move || DescribeNetworkInterfacesError::generic(metadata(denied)));
    let groups = mock!(Logs::describe_log_groups)
        .then_error(|| DescribeLogGroupsError::generic(metadata("AccessDeniedException")));
    let (none, no_streams, streams) = (flow_logs(vec![]), streams(&[]), streams_refused("AccessDeniedException"));
    for (ec2, logs, action) in [
        (&[&logs][..], &[][..], "ec2:DescribeFlowLogs"),
        (&[&none], &[&groups, &no_streams], "logs:DescribeLogGroups"),
        (&[&none], &[&streams], "logs:DescribeLogStreams"),
        (&[&none, &interfaces], &[], "ec2:DescribeNetworkInterfaces"),
    ] {
        let error = look(ec2, logs, VPC).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::AccessDenied, action), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_whole_is_an_error_and_not_compliance() {
    for answer in [
        None,
        Some(with(vpc(VPC, "edge"), |vpc| vpc.vpc_id = None)),
        Some(with(vpc(VPC, "edge"), |vpc| vpc.owner_id = None)),
    ] {
        let vpcs = mock!(Ec2::describe_vpcs).then_output(move || {
            DescribeVpcsOutput::builder().set_vpcs(Some(answer.clone().into_iter().collect())).build()
        });
        let error = look(&[&vpcs], &[], VPC).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Transient, "ec2:DescribeVpcs"), "{error}");
    }
    for broken in [
        with(theirs("fl-1"), |log| log.flow_log_id = None),
        with(theirs("fl-1"), |log| log.resource_id = None),
        with(theirs("fl-1"), |log| log.resource_id = Some("vpc-00000000".into())),
        with(theirs("fl-1"), |log| log.creation_time = None),
    ] {
        let error = look(&[&flow_logs(vec![broken])], &[], VPC).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Transient, "ec2:DescribeFlowLogs"), "{error}");
    }
}

fn made_group() -> MockRule {
    mock!(Logs::create_log_group)
        .match_requests(|request| request.log_group_name() == Some(GROUP))
        .then_output(|| CreateLogGroupOutput::builder().build())
}

fn group_refused(code: &'static str) -> MockRule {
    mock!(Logs::create_log_group).then_error(move || CreateLogGroupError::generic(metadata(code)))
}

fn retention() -> MockRule {
    mock!(Logs::put_retention_policy)
        .match_requests(|request| request.log_group_name() == Some(GROUP) && request.retention_in_days() == Some(365))
        .then_output(|| PutRetentionPolicyOutput::builder().build())
}

fn is_as_planned(request: &CreateFlowLogsInput) -> bool {
    let [tags] = request.tag_specifications() else { return false };
    request.client_token().is_some_and(|token| token.ends_with(VPC) && token.len() <= 64)
        && request.resource_type() == Some(&FlowLogsResourceType::Vpc)
        && request.resource_ids() == [VPC]
        && request.traffic_type() == Some(&TrafficType::All)
        && request.log_group_name() == Some(GROUP)
        && request.deliver_logs_permission_arn() == Some(ROLE)
        && tags.resource_type() == Some(&ResourceType::VpcFlowLog)
        && tags.tags() == [tag("autoremediate", "vpc-without-flow-logs")]
}

/// CreateFlowLogs that answers with this failure in a 200, if any.
fn create(failure: Option<(&'static str, &'static str)>) -> MockRule {
    mock!(Ec2::create_flow_logs).match_requests(is_as_planned).then_output(move || {
        let error = |(code, message)| UnsuccessfulItemError::builder().code(code).message(message).build();
        let item = failure.map(|failure| UnsuccessfulItem::builder().resource_id(VPC).error(error(failure)).build());
        CreateFlowLogsOutput::builder().set_unsuccessful(Some(item.into_iter().collect())).build()
    })
}

#[tokio::test]
async fn to_a_bucket_no_log_group_and_no_role_are_needed() {
    let create = || {
        mock!(Ec2::create_flow_logs).match_requests(|request| {
            request.log_destination_type() == Some(&LogDestinationType::S3)
                && request.log_destination() == Some(BUCKET)
                && (request.log_group_name(), request.deliver_logs_permission_arn()) == (None, None)
                && (request.traffic_type(), request.resource_ids()) == (Some(&TrafficType::All), &[VPC.to_owned()][..])
                && request.tag_specifications()[0].tags() == [tag("autoremediate", "vpc-without-flow-logs")]
        })
    };
    let made = create().then_output(|| CreateFlowLogsOutput::builder().build());
    apply(&[&made], &[], &change_to_bucket()).await.unwrap();
    for (message, explained) in [
        ("Access Denied for LogDestination: flow-logs. Please check LogDestination permission", true),
        ("LogDestination: flow-logs does not exist.", true),
        ("LogDestination flow-logs is undeliverable", true),
        ("something else", false),
    ] {
        let refused = create().then_output(move || {
            let error = UnsuccessfulItemError::builder().code("400").message(message).build();
            let item = UnsuccessfulItem::builder().resource_id(VPC).error(error).build();
            CreateFlowLogsOutput::builder().unsuccessful(item).build()
        });
        let error = apply(&[&refused], &[], &change_to_bucket()).await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("ec2:CreateFlowLogs: 400: {message}")), "{error}");
        let what_to_do = format!("({BUCKET} must be a bucket, and its policy");
        assert_eq!(error.message.contains(&what_to_do), explained, "{error}");
    }
    // A log group's refusal has nothing to do with a bucket.
    let logs = [&made_group(), &retention()];
    let error = apply(&[&self::create(Some(("400", "Access Denied for LogDestination")))], &logs, &change()).await;
    assert!(!error.unwrap_err().message.contains("bucket"));
}

#[tokio::test]
async fn a_flow_log_to_a_bucket_is_ours_by_its_tag_and_nothing_is_read_there() {
    let theirs = with(ours_in_bucket("fl-theirs"), |log| log.tags = None);
    let firehose = with(ours_in_bucket("fl-firehose"), |log| {
        log.log_destination_type = Some(LogDestinationType::KinesisDataFirehose);
    });
    let failed = |log| with(log, |log: &mut Ec2FlowLog| log.deliver_logs_status = Some("FAILED".into()));
    let found = vec![failed(theirs), failed(firehose), ours_in_bucket("fl-ours")];
    let (streams, interfaces) = (streams(&[]), interfaces(None, &[NetworkInterfaceStatus::InUse], None));
    let seen = look(&[&flow_logs(found), &interfaces], &[&streams], VPC).await.unwrap();
    let whose: Vec<_> = seen.state.flow_logs.iter().map(|of| (of.is_ours, of.place.clone())).collect();
    let bucket = BUCKET.trim_end_matches('/').to_owned();
    let (place, other) = (Place::Bucket(bucket.clone()), Place::Other(bucket));
    assert_eq!(whose, [(false, place.clone()), (false, other), (true, place)]);
    assert_eq!((streams.num_calls(), interfaces.num_calls(), seen.state.is_in_use), (0, 1, true));
}

async fn apply(ec2: &[&MockRule], logs: &[&MockRule], change: &Change) -> Result<()> {
    VpcWithoutFlowLogs::apply(&client(ec2, logs), &edge(), change).await
}

#[tokio::test]
async fn the_log_group_comes_first_and_a_retention_that_somebody_chose_stays() {
    for (group, found, set) in [
        (made_group(), no_log_group(), 1),
        (group_refused("ResourceAlreadyExistsException"), log_group(None), 1),
        (group_refused("ResourceAlreadyExistsException"), log_group(Some(30)), 0),
        (group_refused("ResourceAlreadyExistsException"), log_group(Some(365)), 0),
    ] {
        let (retention, create) = (retention(), create(None));
        apply(&[&create], &[&group, &found, &retention], &change()).await.unwrap();
        assert_eq!((retention.num_calls(), create.num_calls()), (set, 1));
    }
}

#[tokio::test]
async fn a_write_that_fails_names_its_action_and_ends_it() {
    let denied = mock!(Logs::put_retention_policy)
        .then_error(|| PutRetentionPolicyError::generic(metadata("AccessDeniedException")));
    let create = create(None);
    for (rules, kind, action) in [
        ([&group_refused("AccessDeniedException"), &denied], ErrorKind::AccessDenied, "logs:CreateLogGroup"),
        ([&group_refused("OperationAbortedException"), &denied], ErrorKind::Passing, "logs:CreateLogGroup"),
        ([&group_refused("LimitExceededException"), &denied], ErrorKind::Permanent, "logs:CreateLogGroup"),
        ([&made_group(), &denied], ErrorKind::AccessDenied, "logs:PutRetentionPolicy"),
    ] {
        let error = apply(&[&create], &rules, &change()).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (kind, action), "{error}");
    }
    assert_eq!(create.num_calls(), 0);
}

#[tokio::test]
async fn a_failure_in_a_success_is_a_failure_and_a_flow_log_that_exists_is_none() {
    let logs = [&made_group(), &retention()];
    let refused = create(Some(("400", "Access Denied for LogDestination")));
    let error = apply(&[&refused], &logs, &change()).await.unwrap_err();
    let said = (error.kind, error.to_string(), error.code);
    let expected = "ec2:CreateFlowLogs: 400: Access Denied for LogDestination".to_owned();
    assert_eq!(said, (ErrorKind::Permanent, expected, Some("400".into())));
    apply(&[&create(Some(("FlowLogAlreadyExists", "there is one")))], &logs, &change()).await.unwrap();
    for (code, kind) in [
        ("FlowLogAlreadyExists", None),
        ("InvalidVpcID.NotFound", Some(ErrorKind::Gone)),
        ("UnauthorizedOperation", Some(ErrorKind::AccessDenied)),
        ("FlowLogsLimitExceeded", Some(ErrorKind::Permanent)),
    ] {
        let rule = mock!(Ec2::create_flow_logs).then_error(move || CreateFlowLogsError::generic(metadata(code)));
        let result = apply(&[&rule], &logs, &change()).await;
        assert!(result.as_ref().err().is_none_or(|error| error.action == "ec2:CreateFlowLogs"), "{result:?}");
        assert_eq!(result.err().map(|error| error.kind), kind, "{code}");
    }
}

fn delete(id: &'static str) -> MockRule {
    mock!(Ec2::delete_flow_logs)
        .match_requests(move |request| request.flow_log_ids() == [id])
        .then_output(|| DeleteFlowLogsOutput::builder().build())
}

#[tokio::test]
async fn undo_deletes_only_the_rules_own_flow_log() {
    let undo = VpcWithoutFlowLogs::undo(&change());
    let asked = mock!(Ec2::describe_flow_logs)
        .match_requests(|request| {
            filtered(request, "resource-id") == Some(VPC)
                && filtered(request, "log-group-name") == Some(GROUP)
                && filtered(request, "tag:autoremediate") == Some("vpc-without-flow-logs")
        })
        .then_output(|| {
            // More than was asked for: without the tag, with another tag, and to another group.
            let untagged = with(ours("fl-theirs"), |log| log.tags = None);
            let other = with(ours("fl-other"), |log| log.tags = Some(vec![tag("autoremediate", "other")]));
            let elsewhere = with(ours("fl-elsewhere"), |log| log.log_group_name = Some("theirs".into()));
            let logs = vec![untagged, ours("fl-ours"), other, elsewhere];
            DescribeFlowLogsOutput::builder().set_flow_logs(Some(logs)).build()
        });
    let delete = delete("fl-ours");
    apply(&[&asked, &delete], &[], &undo).await.unwrap();
    assert_eq!(delete.num_calls(), 1);
    apply(&[&flow_logs(vec![])], &[], &undo).await.unwrap();
    assert_eq!(undo.to_string(), format!("delete this rule's flow log to {GROUP}; the log group and its logs stay"));
}

#[tokio::test]
async fn undo_deletes_only_the_rules_own_flow_log_to_that_bucket() {
    let undo = VpcWithoutFlowLogs::undo(&change_to_bucket());
    let asked = mock!(Ec2::describe_flow_logs)
        .match_requests(|request| {
            filtered(request, "resource-id") == Some(VPC)
                && filtered(request, "log-destination-type") == Some("s3")
                && filtered(request, "tag:autoremediate") == Some("vpc-without-flow-logs")
        })
        .then_output(|| {
            // More than was asked for: without the tag, to another bucket, and to the log group.
            let untagged = with(ours_in_bucket("fl-theirs"), |log| log.tags = None);
            let elsewhere = with(ours_in_bucket("fl-elsewhere"), |log| {
                log.log_destination = Some("arn:aws:s3:::flow-logs-222222222222".into());
            });
            let logs = vec![untagged, elsewhere, ours("fl-group"), ours_in_bucket("fl-ours")];
            DescribeFlowLogsOutput::builder().set_flow_logs(Some(logs)).build()
        });
    let delete = delete("fl-ours");
    apply(&[&asked, &delete], &[], &undo).await.unwrap();
    assert_eq!(delete.num_calls(), 1);
    assert_eq!(undo.to_string(), format!("delete this rule's flow log to {BUCKET}; the logs that are there stay"));
}

#[tokio::test]
async fn no_flow_log_delivers_to_another_vpcs_group() {
    let (create, group, retention) = (create(None), made_group(), retention());
    let other = to_log_group(&GROUP.replace("f0", "f1"));
    let error = apply(&[&create], &[&group, &retention], &other).await.unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Permanent, "ec2:CreateFlowLogs"), "{error}");
    assert_eq!((create.num_calls(), group.num_calls()), (0, 0));
}

#[tokio::test]
async fn it_makes_the_fewest_calls() {
    let failing = with(theirs("fl-1"), |log| log.deliver_logs_status = Some("FAILED".into()));
    let made_now = with(ours("fl-ours"), |log| {
        log.creation_time = Some(DateTime::from_secs(Timestamp::now().as_second()));
    });
    for (found, then, expected) in [
        (vec![theirs("fl-1")], None, 2),
        (vec![ours("fl-ours")], None, 3),
        (vec![failing], None, 2),
        (vec![], Some(made_now), 11),
    ] {
        let looks = std::sync::atomic::AtomicUsize::new(0);
        let flow_logs = mock!(Ec2::describe_flow_logs).then_compute_output(move |_| {
            let is_first = looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
            let logs = if is_first { found.clone() } else { then.iter().cloned().collect() };
            DescribeFlowLogsOutput::builder().set_flow_logs(Some(logs)).build()
        });
        let [by_id, _] = vpcs();
        let delivered = streams(&[("eni-1-all", [Some((MADE + 600) * 1000), None, None])]);
        let ec2 = [&by_id, &flow_logs, &interfaces(None, &[], None), &create(None)];
        let logs = [&no_log_group(), &delivered, &made_group(), &retention()];
        let (client, finding) = (client(&ec2, &logs), finding(CONTROL, VPC));
        poll::<VpcWithoutFlowLogs>(&client, &finding, &[NoParameters {}], &Settings::default()).await.unwrap();
        assert_eq!(ec2.into_iter().chain(logs).map(|rule| rule.num_calls()).sum::<usize>(), expected);
    }
}

#[tokio::test]
async fn undo_is_done_where_the_flow_log_is_gone_and_says_what_else_fails() {
    let undo = VpcWithoutFlowLogs::undo(&change());
    let found = flow_logs(vec![ours("fl-1")]);
    for (code, kind) in [("InvalidFlowLogId.NotFound", None), ("UnauthorizedOperation", Some(ErrorKind::AccessDenied))]
    {
        let refusing = mock!(Ec2::delete_flow_logs).then_error(move || DeleteFlowLogsError::generic(metadata(code)));
        let result = apply(&[&found, &refusing], &[], &undo).await;
        assert!(result.as_ref().err().is_none_or(|error| error.action == "ec2:DeleteFlowLogs"), "{result:?}");
        assert_eq!(result.err().map(|error| error.kind), kind, "{code}");
    }
    for (code, fails) in [("InvalidFlowLogId.NotFound", false), ("Other", true)] {
        let unsuccessful = mock!(Ec2::delete_flow_logs).then_output(move || {
            let error = UnsuccessfulItemError::builder().code(code).build();
            let item = UnsuccessfulItem::builder().resource_id("fl-1").error(error).build();
            DeleteFlowLogsOutput::builder().unsuccessful(item).build()
        });
        assert_eq!(apply(&[&found, &unsuccessful], &[], &undo).await.is_err(), fails, "{code}");
    }
}

#[test]
fn the_manifest_can_be_read_and_serves_the_control() {
    let manifest = Manifest::from_json(VpcWithoutFlowLogs::MANIFEST).unwrap();
    assert!(manifest.control(CONTROL).is_some());
}

#[test]
fn settings_are_read_and_their_mistakes_refused() {
    let read = |text: &str| serde_json::from_str::<Settings>(text);
    let all = Settings::default();
    assert_eq!((all.retention_days, all.traffic, &all.destination), (365, Traffic::All, &Destination::LogGroup));
    assert_eq!(read("{}").unwrap(), all);
    let expected = Settings { retention_days: 30, traffic: Traffic::Reject, ..all };
    assert_eq!(read(r#"{"retention_days": 30, "traffic": "REJECT"}"#).unwrap(), expected);
    assert_eq!(read(r#"{"traffic": "ACCEPT"}"#).unwrap().traffic, Traffic::Accept);
    let error = read(r#"{"retention_days": 31}"#).unwrap_err().to_string();
    assert!(error.contains("retention_days is 31, but CloudWatch Logs has only 1, 3, 5"), "{error}");
    for wrong in [r#"{"retention_days": 0}"#, r#"{"traffic": "all"}"#, r#"{"days": 30}"#] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_resource_makes_the_parser_panic(resource: String, rest in "[a-z0-9:/é-]{0,40}") {
        for resource in [resource, format!("vpc-{rest}"), format!("arn:aws:ec2:eu-central-1:222222222222:{rest}")] {
            let _ = finding(CONTROL, &resource).ec2_name("vpc", "vpc");
        }
    }
}

#[tokio::test]
async fn vpcs_at_one_moment_and_their_flow_logs_are_two_calls() {
    const OTHER: &str = "vpc-0123456789abcdef1";
    let vpcs = mock!(Ec2::describe_vpcs)
        .match_requests(|request| request.filters().iter().any(|of| of.values() == [VPC, OTHER]))
        .then_output(|| DescribeVpcsOutput::builder().vpcs(vpc(OTHER, "b")).vpcs(vpc(VPC, "a")).build());
    let flow_logs = mock!(Ec2::describe_flow_logs)
        .match_requests(|request| request.filter().iter().any(|of| of.values() == [VPC, OTHER]))
        .then_output(|| {
            let of_other = with(theirs("fl-2"), |log| log.resource_id = Some(OTHER.into()));
            DescribeFlowLogsOutput::builder().flow_logs(of_other).build()
        });
    let (no_interface, any) = (interfaces(None, &[], None), log_group(None));
    let client = client(&[&vpcs, &flow_logs, &no_interface], &[&any, &streams(&[])]);
    let (one, other) = (finding(CONTROL, VPC), finding(CONTROL, OTHER));
    let (one, other) = tokio::join!(VpcWithoutFlowLogs::look(&client, &one), VpcWithoutFlowLogs::look(&client, &other));
    assert!(one.unwrap().state.flow_logs.is_empty(), "a VPC without flow logs is in no list of them");
    let other = other.unwrap();
    assert_eq!((other.resource.id.as_str(), other.state.flow_logs[0].id.as_str()), (OTHER, "fl-2"));
    assert_eq!((vpcs.num_calls(), flow_logs.num_calls()), (1, 1));
}

#[tokio::test]
async fn whether_vpcs_at_one_moment_are_in_use_is_one_call_of_no_more_pages_than_tell_it() {
    use NetworkInterfaceStatus::{Available, InUse};
    const OTHER: &str = "vpc-0123456789abcdef1";
    let vpcs = mock!(Ec2::describe_vpcs)
        .then_output(|| DescribeVpcsOutput::builder().vpcs(vpc(OTHER, "b")).vpcs(vpc(VPC, "a")).build());
    let no_flow_log = mock!(Ec2::describe_flow_logs).then_output(|| DescribeFlowLogsOutput::builder().build());
    let page = |token: Option<&'static str>, of: &[(&str, NetworkInterfaceStatus)], next: Option<&'static str>| {
        let one = |(vpc, status): &(&str, NetworkInterfaceStatus)| {
            NetworkInterface::builder().vpc_id(*vpc).status(status.clone()).build()
        };
        let listed: Vec<_> = of.iter().map(one).collect();
        mock!(Ec2::describe_network_interfaces)
            .match_requests(move |request| {
                let asked = request.filters()[0].values();
                asked.len() == 2
                    && [VPC, OTHER].iter().all(|vpc| asked.iter().any(|of| of == vpc))
                    && request.next_token() == token
            })
            .then_output(move || {
                let answer = DescribeNetworkInterfacesOutput::builder().set_network_interfaces(Some(listed.clone()));
                answer.set_next_token(next.map(Into::into)).build()
            })
    };
    for (second, next, expected) in
        [(&[(VPC, InUse)][..], Some("unread"), true), (&[(VPC, Available), ("vpc-elses", InUse)], None, false)]
    {
        let first = page(None, &[(VPC, Available), (OTHER, InUse), ("vpc-elses", InUse)], Some("more"));
        let (second, none) = (page(Some("more"), second, next), streams_refused("ResourceNotFoundException"));
        let no_group = no_log_group();
        let client = client(&[&vpcs, &no_flow_log, &first, &second], &[&none, &no_group]);
        let (one, other) = (finding(CONTROL, VPC), finding(CONTROL, OTHER));
        let (one, other) =
            tokio::join!(VpcWithoutFlowLogs::look(&client, &one), VpcWithoutFlowLogs::look(&client, &other));
        assert_eq!((one.unwrap().state.is_in_use, other.unwrap().state.is_in_use), (expected, true));
        assert_eq!((first.num_calls(), second.num_calls()), (1, 1));
    }
}
