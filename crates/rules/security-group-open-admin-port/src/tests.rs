use aws_sdk_ec2::error::ErrorMetadata;
use aws_sdk_ec2::operation::authorize_security_group_ingress::{
    AuthorizeSecurityGroupIngressError, AuthorizeSecurityGroupIngressOutput,
};
use aws_sdk_ec2::operation::describe_network_interfaces::{
    DescribeNetworkInterfacesError, DescribeNetworkInterfacesOutput,
};
use aws_sdk_ec2::operation::describe_security_group_rules::{
    DescribeSecurityGroupRulesError, DescribeSecurityGroupRulesOutput,
};
use aws_sdk_ec2::operation::describe_security_groups::{DescribeSecurityGroupsError, DescribeSecurityGroupsOutput};
use aws_sdk_ec2::operation::describe_vpcs::{DescribeVpcsError, DescribeVpcsOutput};
use aws_sdk_ec2::operation::revoke_security_group_ingress::{
    RevokeSecurityGroupIngressError, RevokeSecurityGroupIngressOutput,
};
use aws_sdk_ec2::types::{NetworkInterface, NetworkInterfaceAttachment, SecurityGroup, SecurityGroupRule, Tag, Vpc};
use aws_sdk_ssm::operation::get_automation_execution::GetAutomationExecutionOutput;
use aws_sdk_ssm::operation::start_automation_execution::{
    StartAutomationExecutionError, StartAutomationExecutionOutput,
};
use aws_sdk_ssm::types::{AutomationExecution, AutomationExecutionStatus};
use aws_smithy_mocks::{Rule as MockRule, RuleMode, mock, mock_client};
use proptest::prelude::*;
use remediation::{Manifest, Region, RunId};

use super::*;

type Ec2 = aws_sdk_ec2::Client;
type Ssm = aws_sdk_ssm::Client;

const OURS: &str = "222222222222";
const GROUP: &str = "sg-0123456789abcdef0";
const SSH: usize = 0;
const RDP: usize = 1;

fn manifest() -> Manifest {
    Manifest::from_json(SecurityGroupOpenAdminPort::MANIFEST).unwrap()
}

fn finding(control: usize, resource: &str) -> Finding {
    Finding {
        control: manifest().controls[control].rule_names[0].clone(),
        account: OURS.parse().unwrap(),
        region: Region::code("us-east-1"),
        resource: resource.into(),
        first_seen: None,
        last_scanned: None,
    }
}

fn admin_port(control: usize) -> AdminPort {
    finding(control, GROUP).parameters::<SecurityGroupOpenAdminPort, _>().unwrap()
}

fn metadata(code: &'static str) -> ErrorMetadata {
    ErrorMetadata::builder().code(code).message("told so").build()
}

/// A rule from the form `tcp 22-22 ::/0`.
fn rule(text: &str) -> IngressRule {
    let [protocol, ports, from] = <[&str; 3]>::try_from(text.split(' ').collect::<Vec<_>>()).unwrap();
    let (from_port, to_port) = ports.split_once('-').unwrap();
    let port = |text: &str| text.parse().unwrap_or(-1);
    IngressRule {
        protocol: Protocol::parse(protocol).unwrap(),
        from_port: port(from_port),
        to_port: port(to_port),
        from: Everyone::parse(from).unwrap(),
        description: None,
        tags: Tags::new(),
    }
}

fn rules(texts: &[&str]) -> Vec<IngressRule> {
    texts.iter().map(|text| rule(text)).collect()
}

/// What EC2 lists a rule as; its ID is its own text.
fn listed(text: &str) -> SecurityGroupRule {
    let IngressRule { protocol, from_port, to_port, from, .. } = rule(text);
    let listed = SecurityGroupRule::builder().security_group_rule_id(text).is_egress(false);
    let listed = listed.ip_protocol(protocol.name()).from_port(from_port).to_port(to_port);
    match from {
        Everyone::Ipv4 => listed.cidr_ipv4(from.cidr()).build(),
        Everyone::Ipv6 => listed.cidr_ipv6(from.cidr()).build(),
    }
}

/// The same with something changed.
fn changed(text: &str, change: impl FnOnce(&mut SecurityGroupRule)) -> SecurityGroupRule {
    let mut listed = listed(text);
    change(&mut listed);
    listed
}

fn group(owner: &str) -> MockRule {
    let found = SecurityGroup::builder().group_id(GROUP).group_name("web").vpc_id("vpc-1").owner_id(owner).build();
    mock!(Ec2::describe_security_groups)
        .then_output(move || DescribeSecurityGroupsOutput::builder().security_groups(found.clone()).build())
}

/// The group has these rules at one look after the other.
fn looks(looks: &[&[&str]]) -> MockRule {
    let page = |texts: &[&str]| {
        let rules = texts.iter().map(|text| listed(text)).collect();
        DescribeSecurityGroupRulesOutput::builder().set_security_group_rules(Some(rules)).build()
    };
    let mut sequence = mock!(Ec2::describe_security_group_rules)
        .match_requests(|request| request.filters()[0].values() == [GROUP])
        .sequence();
    for texts in looks {
        let page = page(texts);
        sequence = sequence.output(move || page.clone());
    }
    sequence.build()
}

fn vpc(is_default: bool) -> MockRule {
    mock!(Ec2::describe_vpcs).match_requests(|request| request.vpc_ids() == ["vpc-1"]).then_output(move || {
        DescribeVpcsOutput::builder().vpcs(Vpc::builder().vpc_id("vpc-1").is_default(is_default).build()).build()
    })
}

/// Revokes of exactly these rules, by their IDs.
fn revoked(ids: &'static [&'static str]) -> MockRule {
    mock!(Ec2::revoke_security_group_ingress)
        .match_requests(move |request| request.group_id() == Some(GROUP) && request.security_group_rule_ids() == ids)
        .then_output(|| RevokeSecurityGroupIngressOutput::builder().build())
}

fn started() -> MockRule {
    mock!(Ssm::start_automation_execution)
        .match_requests(|request| {
            let parameters = request.parameters().unwrap();
            request.document_name() == Some(RUNBOOK) && parameters.len() == 1 && parameters["GroupId"] == [GROUP]
        })
        .then_output(|| StartAutomationExecutionOutput::builder().automation_execution_id("e-1").build())
}

fn not_started(code: &'static str) -> MockRule {
    mock!(Ssm::start_automation_execution).then_error(move || StartAutomationExecutionError::generic(metadata(code)))
}

fn ended(status: AutomationExecutionStatus) -> MockRule {
    mock!(Ssm::get_automation_execution).then_output(move || {
        let execution = AutomationExecution::builder().automation_execution_status(status.clone()).build();
        GetAutomationExecutionOutput::builder().automation_execution(execution).build()
    })
}

/// The page of the group's network interfaces in use that `token` asks for, and the token of the next.
fn interfaces(token: Option<&'static str>, listed: Vec<NetworkInterface>, next: Option<&'static str>) -> MockRule {
    mock!(Ec2::describe_network_interfaces)
        .match_requests(move |request| {
            let filters = request.filters().iter().map(|of| (of.name().unwrap(), of.values()));
            let expected = [("group-id", &[GROUP.to_owned()][..]), ("status", &["in-use".to_owned()])];
            filters.eq(expected) && request.next_token() == token
        })
        .then_output(move || {
            let output = DescribeNetworkInterfacesOutput::builder().set_network_interfaces(Some(listed.clone()));
            output.set_next_token(next.map(str::to_owned)).build()
        })
}

fn interface(id: &str, instance: Option<&str>, description: &str) -> NetworkInterface {
    let attachment = NetworkInterfaceAttachment::builder().set_instance_id(instance.map(str::to_owned)).build();
    let interface = NetworkInterface::builder().network_interface_id(id).attachment(attachment);
    interface.description(description).subnet_id("subnet-1").build()
}

/// Where no other rule says so, the group protects nothing.
fn client_in(partition: &'static str, ec2: &[&MockRule], ssm: &[&MockRule]) -> Client {
    let ssm = mock_client!(aws_sdk_ssm, RuleMode::MatchAny, ssm);
    let unused = interfaces(None, vec![], None);
    let ec2 = [ec2, &[&unused]].concat();
    let ec2 = mock_client!(aws_sdk_ec2, RuleMode::MatchAny, ec2);
    Client { ec2, runbooks: Runbooks::over(ssm, RunId::start()), partition }
}

fn client(ec2: &[&MockRule], ssm: &[&MockRule]) -> Client {
    client_in("aws", ec2, ssm)
}

async fn plan_with(client: &Client, control: usize, resource: &str) -> Result<Proposal<Change>> {
    SecurityGroupOpenAdminPort::plan(client, &finding(control, resource), &Settings::default()).await
}

/// What is planned for a control of the group with these rules, in a VPC that is not a default one.
async fn plan(control: usize, settings: Settings, present: &[&str]) -> Proposal<Change> {
    let client = client(&[&group(OURS), &looks(&[present]), &vpc(false)], &[]);
    SecurityGroupOpenAdminPort::plan(&client, &finding(control, GROUP), &settings).await.unwrap()
}

fn change(write: Write, texts: &[&str]) -> Change {
    Change { group: GROUP.into(), write, rules: rules(texts), runbook: false, narrowed: None }
}

fn by_runbook(texts: &[&str]) -> Change {
    Change { runbook: true, ..change(Write::Revoke, texts) }
}

async fn apply(client: &Client, change: &Change) -> Result<()> {
    SecurityGroupOpenAdminPort::apply(client, change).await
}

#[tokio::test]
async fn a_plan_says_what_is_added_before_what_is_revoked() {
    let present = ["tcp 22-22 0.0.0.0/0", "tcp 20-30 0.0.0.0/0", "-1 - ::/0", "udp 22-22 ::/0", "tcp 80-80 ::/0"];
    let proposal = plan(SSH, Settings::default(), &present).await;
    let summaries: Vec<_> = proposal.changes.iter().map(ToString::to_string).collect();
    let summary = |text: &str| format!("security group {GROUP}: {text}");
    let expected = [
        "revoke tcp 22 from 0.0.0.0/0",
        "add tcp 0-21 from ::/0, tcp 23-65535 from ::/0, udp 0-65535 from ::/0, icmpv6 from ::/0",
        "revoke all traffic from ::/0",
        "add tcp 20-21 from 0.0.0.0/0, tcp 23-30 from 0.0.0.0/0",
        "revoke tcp 20-30 from 0.0.0.0/0",
    ];
    assert_eq!(summaries, expected.map(summary));
    assert!(proposal.held.is_empty());
    assert!(proposal.notes[0].starts_with("all traffic from ::/0 is narrowed to TCP, UDP and ICMP"), "{proposal:?}");
}

#[tokio::test]
async fn only_what_opens_the_controls_own_port_counts() {
    for (control, complies, violates) in [
        (
            SSH,
            &["tcp 0-21 0.0.0.0/0", "tcp 23-3389 0.0.0.0/0", "udp 0-65535 0.0.0.0/0", "icmp - 0.0.0.0/0"][..],
            &["tcp 22-22 0.0.0.0/0", "tcp 0-22 ::/0", "tcp 22-65535 ::/0", "-1 - ::/0"][..],
        ),
        (
            RDP,
            &["tcp 22-3388 0.0.0.0/0", "udp 3390-3400 ::/0", "icmpv6 - ::/0"],
            &["tcp 3389-3389 ::/0", "udp 3389-3389 0.0.0.0/0", "udp 1-65535 ::/0", "-1 - 0.0.0.0/0"],
        ),
    ] {
        assert!(plan(control, Settings::default(), complies).await.is_empty(), "{complies:?}");
        for rule in violates {
            assert!(!plan(control, Settings::default(), &[rule]).await.is_empty(), "{rule}");
        }
    }
}

#[tokio::test]
async fn the_description_and_the_tags_of_a_rule_go_on_to_the_narrower_ones() {
    let tag = |key: &str| Tag::builder().key(key).value("v").build();
    let wide = changed("tcp 20-30 0.0.0.0/0", |rule| {
        rule.description = Some("for now".into());
        rule.tags = Some(vec![tag("owner"), tag("aws:cloudformation:stack-name")]);
    });
    let look = mock!(Ec2::describe_security_group_rules)
        .then_output(move || DescribeSecurityGroupRulesOutput::builder().security_group_rules(wide.clone()).build());
    let added = mock!(Ec2::authorize_security_group_ingress)
        .match_requests(|request| {
            let descriptions = request.ip_permissions().iter().flat_map(|of| of.ip_ranges());
            let [tags] = request.tag_specifications() else { return false };
            descriptions.map(|range| range.description()).eq([Some("for now"); 2])
                && tags.tags().iter().map(|tag| (tag.key(), tag.value())).eq([(Some("owner"), Some("v"))])
        })
        .then_output(|| AuthorizeSecurityGroupIngressOutput::builder().build());
    let client = client(&[&group(OURS), &look, &added], &[]);
    let proposal = plan_with(&client, SSH, GROUP).await.unwrap();
    apply(&client, &proposal.changes[0]).await.unwrap();
    assert_eq!(added.num_calls(), 1);
}

#[tokio::test]
async fn the_settings_say_what_becomes_of_wide_rules_and_of_ipv6() {
    let defaults: Settings = serde_json::from_str("{}").unwrap();
    assert_eq!((defaults.ipv6, defaults.wide_rules, defaults.guard_in_use), (true, WideRules::Narrow, Guard::Warn));
    for wrong in [r#"{"ipv4": true}"#, r#"{"wide_rules": "close"}"#, r#"{"guard_in_use": true}"#, r#"{"ipv6": "no"}"#] {
        assert!(serde_json::from_str::<Settings>(wrong).is_err(), "{wrong}");
    }
    let present = ["tcp 22-22 0.0.0.0/0", "tcp 20-30 0.0.0.0/0", "tcp 22-22 ::/0"];
    for (settings, changes, held, notes) in [
        (r#"{"wide_rules": "narrow"}"#, 3, 0, 0),
        (r#"{"wide_rules": "revoke"}"#, 2, 0, 1),
        (r#"{"wide_rules": "hold"}"#, 1, 1, 0),
        (r#"{"ipv6": false}"#, 3, 0, 1),
    ] {
        let found = plan(SSH, serde_json::from_str(settings).unwrap(), &present).await;
        let counts = (found.changes.len(), found.held.len(), found.notes.len());
        assert_eq!(counts, (changes, held, notes), "{settings}: {found:?}");
    }
}

#[tokio::test]
async fn the_guard_warns_of_interfaces_in_use_holds_them_or_does_not_look() {
    let web = || vec![interface("eni-2", None, "ELB app/web/1"), interface("eni-1", Some("i-1"), "")];
    let says = "the group protects 2 network interfaces in use: eni-1 (i-1, subnet-1), eni-2 (ELB app/web/1, subnet-1)";
    for rule in ["tcp 22-22 0.0.0.0/0", "tcp 20-30 0.0.0.0/0"] {
        for (guard, listed, notes, guarded) in [
            (Guard::Off, web(), 0, 0),
            (Guard::Warn, web(), 1, 0),
            (Guard::Hold, web(), 1, 1),
            (Guard::Hold, vec![], 0, 0),
        ] {
            let interfaces = interfaces(None, listed, None);
            let client = client(&[&group(OURS), &looks(&[&[rule]]), &vpc(false), &interfaces], &[]);
            let settings = Settings { guard_in_use: guard, ..Settings::default() };
            let proposal = SecurityGroupOpenAdminPort::plan(&client, &finding(SSH, GROUP), &settings).await.unwrap();
            assert!(!proposal.changes.is_empty());
            assert_eq!(interfaces.num_calls(), usize::from(guard.is_on()), "{guard:?}");
            assert_eq!((proposal.notes.len(), proposal.guarded.len()), (notes, guarded), "{guard:?}: {proposal:?}");
            assert!(proposal.notes.iter().chain(&proposal.guarded).all(|text| text == says), "{proposal:?}");
        }
    }
}

#[tokio::test]
async fn the_guard_does_not_look_where_nothing_is_written() {
    let settings = Settings { wide_rules: WideRules::Hold, guard_in_use: Guard::Hold, ..Settings::default() };
    for present in [&["tcp 443-443 0.0.0.0/0"][..], &["tcp 20-30 0.0.0.0/0"]] {
        let interfaces = interfaces(None, vec![interface("eni-1", Some("i-1"), "")], None);
        let client = client(&[&group(OURS), &looks(&[present]), &interfaces], &[]);
        let proposal = SecurityGroupOpenAdminPort::plan(&client, &finding(SSH, GROUP), &settings).await.unwrap();
        assert_eq!((proposal.guarded, interfaces.num_calls()), (vec![], 0), "{present:?}");
    }
}

#[tokio::test]
async fn every_page_of_the_interfaces_counts_and_five_are_named() {
    let listed = |numbers: std::ops::Range<u32>| {
        numbers.map(|number| interface(&format!("eni-{number}"), Some("i-1"), "")).collect::<Vec<_>>()
    };
    let first = interfaces(None, listed(0..3), Some("more"));
    let second = interfaces(Some("more"), listed(3..7), None);
    let present: &[&str] = &["tcp 22-22 0.0.0.0/0"];
    let client = client(&[&group(OURS), &looks(&[present]), &vpc(false), &first, &second], &[]);
    let [note] = &plan_with(&client, SSH, GROUP).await.unwrap().notes[..] else { panic!("one note") };
    let named = (0..5).map(|number| format!("eni-{number} (i-1, subnet-1)")).collect::<Vec<_>>().join(", ");
    assert_eq!(*note, format!("the group protects 7 network interfaces in use: {named}, and 2 more"));
}

#[test]
fn one_interface_is_said_as_one_and_without_what_is_not_known() {
    let interface = |of, subnet| Interface { id: "eni-1".into(), of, subnet };
    let says = "the group protects 1 network interface in use: eni-1";
    assert_eq!(in_use(&[interface(None, None)]), says);
    assert_eq!(in_use(&[interface(None, Some("subnet-1".into()))]), format!("{says} (subnet-1)"));
}

#[tokio::test]
async fn interfaces_that_cannot_be_read_fail_by_their_action() {
    let denied = mock!(Ec2::describe_network_interfaces)
        .then_error(|| DescribeNetworkInterfacesError::generic(metadata("UnauthorizedOperation")));
    let client = client(&[&group(OURS), &looks(&[&["tcp 22-22 0.0.0.0/0"]]), &vpc(false), &denied], &[]);
    let error = plan_with(&client, SSH, GROUP).await.unwrap_err();
    let expected = (ErrorKind::AccessDenied, "ec2:DescribeNetworkInterfaces");
    assert_eq!((error.kind, error.action.as_str()), expected, "{error}");
}

#[tokio::test]
async fn its_tags_are_those_that_describe_gives_also_those_of_aws() {
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    let found = SecurityGroup::builder().group_id(GROUP).vpc_id("vpc-1").owner_id(OURS).tags(tag("keep", "yes"));
    let found = found.tags(tag("aws:cloudformation:stack-name", "web")).build();
    let described = mock!(Ec2::describe_security_groups)
        .then_output(move || DescribeSecurityGroupsOutput::builder().security_groups(found.clone()).build());
    let tags = SecurityGroupOpenAdminPort::tags(&client(&[&described], &[]), &finding(SSH, GROUP)).await.unwrap();
    let expected = [("aws:cloudformation:stack-name", "web"), ("keep", "yes")];
    assert!(tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).eq(expected), "{tags:?}");
    let untagged = SecurityGroupOpenAdminPort::tags(&client(&[&group(OURS)], &[]), &finding(SSH, GROUP)).await;
    assert_eq!(untagged, Ok(BTreeMap::new()));
}

#[tokio::test]
async fn the_runbook_is_planned_only_where_it_does_what_the_plan_says() {
    let (ssh, rdp) = ("tcp 22-22 0.0.0.0/0", "tcp 3389-3389 ::/0");
    for (partition, is_default, present, runbook) in [
        ("aws", true, &[ssh][..], true),
        ("aws-us-gov", true, &[ssh], true),
        ("aws", false, &[ssh], false),
        ("aws-cn", true, &[ssh], false),
        ("aws", true, &[ssh, rdp], false),
        ("aws", true, &[ssh, "tcp 0-65535 ::/0"], true),
    ] {
        let vpc = vpc(is_default);
        let client = client_in(partition, &[&group(OURS), &looks(&[present]), &vpc], &[]);
        let found = plan_with(&client, SSH, GROUP).await;
        let first = &found.unwrap().changes[0];
        assert_eq!((first.runbook, &first.rules), (runbook, &rules(&[ssh])), "{partition} {is_default} {present:?}");
        assert_eq!(first.to_string().contains(RUNBOOK), runbook);
        // Not asked where the answer does not matter.
        assert_eq!(vpc.num_calls(), usize::from(partition != "aws-cn" && !present.contains(&rdp)));
    }
}

#[tokio::test]
async fn what_the_runbook_does_not_do_is_done_directly() {
    const SSH_RULE: &str = "tcp 22-22 0.0.0.0/0";
    let present: &[&str] = &[SSH_RULE];
    let missing = not_started(runbook::NO_SUCH_RUNBOOK);
    let failed = ended(AutomationExecutionStatus::Failed);
    let succeeded = ended(AutomationExecutionStatus::Success);
    for (ssm, left, revokes) in [
        (&[&missing][..], present, 1),
        (&[&started(), &failed], present, 1),
        (&[&started(), &succeeded], present, 1),
        (&[&started(), &succeeded], &[], 0),
    ] {
        let revoke = revoked(&[SSH_RULE]);
        let client = client(&[&looks(&[present, left]), &revoke], ssm);
        apply(&client, &by_runbook(present)).await.unwrap();
        assert_eq!(revoke.num_calls(), revokes);
    }
}

#[tokio::test]
async fn a_start_that_is_refused_stays_an_error_and_nothing_is_revoked() {
    let present: &[&str] = &["tcp 22-22 0.0.0.0/0"];
    for (code, kind) in [
        ("AccessDeniedException", ErrorKind::AccessDenied),
        ("ThrottlingException", ErrorKind::Throttled),
        ("AutomationExecutionLimitExceededException", ErrorKind::NotNow),
    ] {
        let revoke = revoked(&["tcp 22-22 0.0.0.0/0"]);
        let client = client(&[&looks(&[present, present]), &revoke], &[&not_started(code)]);
        let error = apply(&client, &by_runbook(present)).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (kind, runbook::START), "{error}");
        assert_eq!(revoke.num_calls(), 0);
    }
}

#[tokio::test]
async fn the_runbook_is_not_started_where_it_would_do_more_or_nothing_any_more() {
    let start = started();
    let ssh = "tcp 22-22 0.0.0.0/0";
    let revoke = revoked(&["tcp 22-22 0.0.0.0/0"]);
    let more: &[&str] = &[ssh, "tcp 3389-3389 0.0.0.0/0"];
    for present in [more, &[]] {
        let client = client(&[&looks(&[present, present]), &revoke], &[&start]);
        apply(&client, &by_runbook(&[ssh])).await.unwrap();
    }
    assert_eq!((start.num_calls(), revoke.num_calls()), (0, 1));
}

#[tokio::test]
async fn narrower_rules_are_added_only_while_the_wide_one_is_there() {
    let added = mock!(Ec2::authorize_security_group_ingress)
        .then_output(|| AuthorizeSecurityGroupIngressOutput::builder().build());
    let narrowed = Some(rule("-1 - 0.0.0.0/0"));
    let narrower = Change { narrowed, ..change(Write::Authorize, &["tcp 0-3388 0.0.0.0/0"]) };
    for (present, calls) in [(&["tcp 0-21 0.0.0.0/0"][..], 0), (&["-1 - ::/0"], 0), (&["-1 - 0.0.0.0/0"], 1)] {
        apply(&client(&[&looks(&[present]), &added], &[]), &narrower).await.unwrap();
        assert_eq!(added.num_calls(), calls, "{present:?}");
    }
}

/// A client that answers each call to add rules with the next code; none: it adds them.
fn adding(codes: &[Option<&'static str>]) -> (Client, MockRule) {
    let mut sequence = mock!(Ec2::authorize_security_group_ingress).sequence();
    for code in codes.iter().copied() {
        sequence = match code {
            Some(code) => sequence.error(move || AuthorizeSecurityGroupIngressError::generic(metadata(code))),
            None => sequence.output(|| AuthorizeSecurityGroupIngressOutput::builder().build()),
        };
    }
    let added = sequence.build();
    (client(&[&added], &[]), added)
}

#[tokio::test]
async fn of_rules_that_are_partly_there_each_missing_one_is_added() {
    const THERE: Option<&str> = Some("InvalidPermission.Duplicate");
    let two = change(Write::Authorize, &["tcp 0-21 0.0.0.0/0", "tcp 23-65535 0.0.0.0/0"]);
    let (client, added) = adding(&[THERE, THERE, None]);
    apply(&client, &two).await.unwrap();
    assert_eq!(added.num_calls(), 3);
    let (client, added) = adding(&[THERE]);
    apply(&client, &change(Write::Authorize, &["tcp 0-21 0.0.0.0/0"])).await.unwrap();
    assert_eq!(added.num_calls(), 1);
}

#[tokio::test]
async fn rules_with_other_tags_are_added_by_calls_of_their_own() {
    let mut two = change(Write::Authorize, &["tcp 22-22 0.0.0.0/0", "tcp 22-22 ::/0"]);
    two.rules[1].tags.insert("owner".into(), "ops".into());
    let (client, added) = adding(&[None, None]);
    apply(&client, &two).await.unwrap();
    assert_eq!(added.num_calls(), 2);
}

#[tokio::test]
async fn a_group_without_room_for_the_narrower_rules_says_so() {
    let (client, _) = adding(&[Some("RulesPerSecurityGroupLimitExceeded")]);
    let error = apply(&client, &change(Write::Authorize, &["tcp 0-21 0.0.0.0/0"])).await.unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Permanent, "ec2:AuthorizeSecurityGroupIngress"));
    assert!(error.message.contains("raise the quota of rules per security group"), "{error}");
}

#[tokio::test]
async fn a_rule_that_was_changed_since_it_was_planned_is_not_revoked() {
    const IPV6: &str = "tcp 22-22 ::/0";
    let revoke = revoked(&[IPV6]);
    // The same IDs, but one is for somebody in particular now, and one for another port.
    let theirs = changed("tcp 22-22 0.0.0.0/0", |rule| rule.cidr_ipv4 = Some("10.0.0.0/8".into()));
    let web = changed("tcp 22-22 0.0.0.0/0", |rule| (rule.from_port, rule.to_port) = (Some(443), Some(443)));
    let look = mock!(Ec2::describe_security_group_rules).then_output(move || {
        let rules = vec![theirs.clone(), web.clone(), listed(IPV6)];
        DescribeSecurityGroupRulesOutput::builder().set_security_group_rules(Some(rules)).build()
    });
    apply(&client(&[&look, &revoke], &[]), &change(Write::Revoke, &["tcp 22-22 0.0.0.0/0", IPV6])).await.unwrap();
    assert_eq!(revoke.num_calls(), 1);
}

#[tokio::test]
async fn a_rule_that_goes_while_it_is_revoked_does_not_keep_the_others() {
    let present: &[&str] = &["tcp 22-22 0.0.0.0/0", "tcp 22-22 ::/0"];
    for code in ["InvalidSecurityGroupRuleId.NotFound", "InvalidPermission.NotFound"] {
        let revoke = mock!(Ec2::revoke_security_group_ingress)
            .sequence()
            .error(move || RevokeSecurityGroupIngressError::generic(metadata(code)))
            .error(move || RevokeSecurityGroupIngressError::generic(metadata(code)))
            .output(|| RevokeSecurityGroupIngressOutput::builder().build())
            .build();
        apply(&client(&[&looks(&[present]), &revoke], &[]), &change(Write::Revoke, present)).await.unwrap();
        assert_eq!(revoke.num_calls(), 3);
    }
}

#[tokio::test]
async fn a_group_is_named_by_id_arn_or_name() {
    let arn = format!("arn:aws:ec2:us-east-1:{OURS}:security-group/{GROUP}");
    for resource in [GROUP, &arn, "web"] {
        let client = client(&[&group(OURS), &looks(&[&["tcp 0-65535 ::/0"]])], &[]);
        let found = plan_with(&client, SSH, resource).await;
        assert_eq!(found.unwrap().changes.len(), 2, "{resource}");
    }
    let arn = |service: &str, region: &str, account: &str, resource: &str| {
        format!("arn:aws:{service}:{region}:{account}:{resource}")
    };
    let ours = format!("security-group/{GROUP}");
    for (resource, says) in [
        (String::new(), "is neither"),
        ("sg-".into(), "is neither"),
        ("sg-web".into(), "is neither"),
        ("wéb".into(), "is neither"),
        (arn("ec2", "us-east-1", OURS, "instance/i-1"), "is neither"),
        (arn("ec2", "us-east-1", OURS, "security-group/web"), "is neither"),
        (arn("rds", "us-east-1", OURS, &ours), "service rds, not of ec2"),
        (arn("ec2", "eu-west-1", OURS, &ours), "is in the region eu-west-1"),
        (arn("ec2", "us-east-1", "333333333333", &ours), "belongs to the account 333333333333"),
    ] {
        let error = plan_with(&client(&[], &[]), SSH, &resource).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidFinding, "{resource}");
        assert!(error.message.contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_group_that_is_not_there_is_gone_and_a_shared_one_is_not_ours() {
    let refused = |code: &'static str| {
        mock!(Ec2::describe_security_groups).then_error(move || DescribeSecurityGroupsError::generic(metadata(code)))
    };
    let none = mock!(Ec2::describe_security_groups).then_output(|| DescribeSecurityGroupsOutput::builder().build());
    for (resource, answer, kind) in [
        (GROUP, refused("InvalidGroup.NotFound"), ErrorKind::Gone),
        (GROUP, refused("InvalidGroupId.Malformed"), ErrorKind::InvalidFinding),
        ("web", none, ErrorKind::Gone),
        // A filter takes the `*` in it for any text, and finds the group `web`.
        ("w*b", group(OURS), ErrorKind::Gone),
        (GROUP, group("333333333333"), ErrorKind::InvalidFinding),
        ("web", group("333333333333"), ErrorKind::Gone),
    ] {
        let client = client(&[&answer], &[]);
        let error = plan_with(&client, SSH, resource).await.unwrap_err();
        assert_eq!(error.kind, kind, "{resource}: {error}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_whole_is_an_error_and_not_compliance() {
    for rule in [
        changed("tcp 22-22 0.0.0.0/0", |rule| rule.is_egress = None),
        changed("tcp 22-22 0.0.0.0/0", |rule| rule.ip_protocol = None),
        changed("tcp 22-22 0.0.0.0/0", |rule| rule.security_group_rule_id = None),
    ] {
        let look = mock!(Ec2::describe_security_group_rules).then_output(move || {
            DescribeSecurityGroupRulesOutput::builder().security_group_rules(rule.clone()).build()
        });
        let client = client(&[&group(OURS), &look], &[]);
        let error = plan_with(&client, SSH, GROUP).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Transient, "ec2:DescribeSecurityGroupRules"));
    }
}

#[tokio::test]
async fn errors_name_the_action() {
    let (code, kind) = ("UnauthorizedOperation", ErrorKind::AccessDenied);
    let present: &[&str] = &["tcp 22-22 0.0.0.0/0"];
    let groups =
        mock!(Ec2::describe_security_groups).then_error(move || DescribeSecurityGroupsError::generic(metadata(code)));
    let listed = mock!(Ec2::describe_security_group_rules)
        .then_error(move || DescribeSecurityGroupRulesError::generic(metadata(code)));
    let vpcs = mock!(Ec2::describe_vpcs).then_error(move || DescribeVpcsError::generic(metadata(code)));
    for (rules, action) in [
        (vec![&groups], "ec2:DescribeSecurityGroups"),
        (vec![&group(OURS), &listed], "ec2:DescribeSecurityGroupRules"),
        (vec![&group(OURS), &looks(&[present]), &vpcs], "ec2:DescribeVpcs"),
    ] {
        let client = client(&rules, &[]);
        let error = plan_with(&client, SSH, GROUP).await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (kind, action), "{error}");
    }
    let revoke = mock!(Ec2::revoke_security_group_ingress)
        .then_error(move || RevokeSecurityGroupIngressError::generic(metadata(code)));
    let error = apply(&client(&[&looks(&[present]), &revoke], &[]), &change(Write::Revoke, present)).await.unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (kind, "ec2:RevokeSecurityGroupIngress"), "{error}");
}

#[test]
fn the_manifest_serves_both_controls_and_no_other() {
    for (control, port, protocols) in [(SSH, 22, &[Protocol::Tcp][..]), (RDP, 3389, &[Protocol::Tcp, Protocol::Udp])] {
        let parameters = admin_port(control);
        assert_eq!((parameters.port, parameters.protocols.as_slice()), (port, protocols));
    }
    let other = Finding { control: "another".into(), ..finding(SSH, GROUP) };
    assert!(other.parameters::<SecurityGroupOpenAdminPort, AdminPort>().is_err());
    assert_eq!(manifest().runbook.as_deref(), Some(RUNBOOK));
}

fn any_protocol() -> impl Strategy<Value = Protocol> {
    prop::sample::select(vec![Protocol::All, Protocol::Tcp, Protocol::Udp, Protocol::Icmp, Protocol::Icmpv6])
}

/// Any rule that EC2 can have.
fn any_rule() -> impl Strategy<Value = IngressRule> {
    let from = prop::sample::select(vec![Everyone::Ipv4, Everyone::Ipv6]);
    // Ports around those that matter come up as often as all the others.
    let port = || prop_oneof![0..=65535i32, prop::sample::select(vec![0, 21, 22, 23, 3388, 3389, 3390, 65535])];
    let tags = prop::collection::btree_map("[a-z]{1,4}", "[a-z]{0,4}", 0..3);
    let description = prop::option::of("[a-z ]{1,8}");
    (any_protocol(), port(), port(), from, description, tags).prop_map(
        |(protocol, one, two, from, description, tags)| {
            let (from_port, to_port) = match protocol {
                Protocol::Tcp | Protocol::Udp => (one.min(two), one.max(two)),
                _ => (-1, -1),
            };
            IngressRule { protocol, from_port, to_port, from, description, tags }
        },
    )
}

/// Whether one of the rules lets in what a packet is; a port is -1 where the protocol has none.
fn opens(rules: &[IngressRule], protocol: Protocol, port: i32) -> bool {
    rules.iter().any(|rule| {
        rule.protocol == Protocol::All || rule.protocol == protocol && (rule.from_port..=rule.to_port).contains(&port)
    })
}

proptest! {
    #[test]
    fn narrowing_closes_the_port_and_nothing_else(rule in any_rule(), control in 0..2usize, ports in prop::collection::vec(0..=65535i32, 16)) {
        let admin = admin_port(control);
        prop_assume!(admin.is_opened_by(&rule));
        let narrower = admin.without(&rule);
        prop_assert!(narrower.iter().all(|one| !admin.is_opened_by(one) && one.from == rule.from), "{:?}", narrower);
        prop_assert!(narrower.iter().all(|one| (&one.description, &one.tags) == (&rule.description, &rule.tags)));
        prop_assert!(narrower.iter().all(|one| one.from_port <= one.to_port && one.to_port <= 65535));
        let edges = [0, 21, 22, 23, 3388, 3389, 3390, 65535, rule.from_port, rule.to_port];
        for port in ports.into_iter().chain(edges).filter(|port| *port >= 0) {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                let is_admins = port == admin.port && admin.protocols.contains(&protocol);
                let before = opens(std::slice::from_ref(&rule), protocol, port);
                prop_assert_eq!(opens(&narrower, protocol, port), before && !is_admins, "{:?} {}", protocol, port);
            }
        }
        let icmp = if rule.from == Everyone::Ipv4 { Protocol::Icmp } else { Protocol::Icmpv6 };
        prop_assert_eq!(opens(&narrower, icmp, -1), opens(std::slice::from_ref(&rule), icmp, -1));
        // Where there is nothing left, the rule was for the port alone.
        prop_assert_eq!(narrower.is_empty(), admin.is_all_of(&rule));
    }

    #[test]
    fn undo_of_undo_is_the_change_itself(rules in prop::collection::vec(any_rule(), 0..4), narrowed in prop::option::of(any_rule()), adds: bool, runbook: bool) {
        let write = if adds { Write::Authorize } else { Write::Revoke };
        let change = Change { group: GROUP.into(), write, rules, runbook, narrowed };
        let stored: Change = serde_json::from_str(&serde_json::to_string(&change).unwrap()).unwrap();
        let undo = SecurityGroupOpenAdminPort::undo(&stored).unwrap();
        prop_assert_ne!(undo.write, change.write);
        prop_assert_eq!(&undo.rules, &change.rules);
        prop_assert_eq!(SecurityGroupOpenAdminPort::undo(&undo), Some(change));
    }

    #[test]
    fn no_resource_makes_the_parser_panic(resource: String, rest in "[a-zA-Z0-9:/é*-]{0,70}") {
        let arn = format!("arn:aws:ec2:us-east-1:{OURS}:{rest}");
        for resource in [resource, arn, format!("sg-{rest}"), rest] {
            let _ = named::parse(&finding(SSH, &resource));
        }
    }
}
