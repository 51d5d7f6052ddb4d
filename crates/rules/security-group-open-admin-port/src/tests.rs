use aws_sdk_ec2::error::ErrorMetadata;
use aws_sdk_ec2::operation::describe_security_group_rules::DescribeSecurityGroupRulesOutput;
use aws_sdk_ec2::operation::describe_security_groups::DescribeSecurityGroupsOutput;
use aws_sdk_ec2::operation::describe_vpcs::DescribeVpcsOutput;
use aws_sdk_ec2::operation::revoke_security_group_ingress::RevokeSecurityGroupIngressOutput;
use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, PrefixListId, SecurityGroup, SecurityGroupRule, Vpc};
use aws_smithy_mocks::{Rule as MockRule, RuleMode, mock, mock_client};
use ipnet::IpNet;
use remediation::{Manifest, RunId};
use rule_testing::{ACCOUNT as OURS, REGION};

use super::*;
use crate::look::Inbound;

mod calls;
mod laws;
mod looks;
mod plans;

type Ec2 = aws_sdk_ec2::Client;
type Ssm = aws_sdk_ssm::Client;

const GROUP: &str = "sg-0123456789abcdef0";
/// What everyone may do in a group that complies.
const WEB: &str = "tcp 80-80 ::/0";
const SSH: usize = 0;
const RDP: usize = 1;

fn manifest() -> Manifest {
    Manifest::from_json(SecurityGroupOpenAdminPort::MANIFEST).unwrap()
}

fn finding(control: usize, resource: &str) -> Finding {
    rule_testing::finding(&manifest().controls[control].rule_names[0], resource)
}

fn admin_port(control: usize) -> AdminPort {
    let parameters = manifest().controls[control].parameters.clone();
    serde_json::from_value(serde_json::Value::Object(parameters)).unwrap()
}

fn metadata(code: &'static str) -> ErrorMetadata {
    ErrorMetadata::builder().code(code).message("told so").build()
}

/// What EC2 lists a rule of the form `tcp 22-22 ::/0` as; its ID is its own text, or what comes after ` is `. The peer is
/// also a range of addresses or the ID of a prefix list or a group.
fn listed(text: &str) -> SecurityGroupRule {
    let (text, id) = text.split_once(" is ").unwrap_or((text, text));
    let [protocol, ports, peer] = <[&str; 3]>::try_from(text.split(' ').collect::<Vec<_>>()).unwrap();
    let (from, to) = ports.split_once('-').unwrap();
    let port = |text: &str| text.parse().unwrap_or(-1);
    let rule = SecurityGroupRule::builder().security_group_rule_id(id).is_egress(false).ip_protocol(protocol);
    let rule = rule.from_port(port(from)).to_port(port(to));
    match peer {
        list if list.starts_with("pl-") => rule.prefix_list_id(list).build(),
        group if group.starts_with("sg-") => rule.build(),
        range if range.contains(':') => rule.cidr_ipv6(range).build(),
        range => rule.cidr_ipv4(range).build(),
    }
}

/// The same with something changed.
fn changed(text: &str, change: impl FnOnce(&mut SecurityGroupRule)) -> SecurityGroupRule {
    let mut listed = listed(text);
    change(&mut listed);
    listed
}

fn inbound(texts: &[&str]) -> Inbound {
    let mut inbound = Inbound::default();
    for text in texts {
        inbound.take(listed(text)).unwrap();
    }
    inbound.everyone.sort();
    inbound
}

/// A rule for everyone.
fn rule(text: &str) -> IngressRule {
    let [(rule, _)] = <[_; 1]>::try_from(inbound(&[text]).everyone).unwrap();
    rule
}

fn rules(texts: &[&str]) -> Vec<IngressRule> {
    texts.iter().map(|text| rule(text)).collect()
}

fn resource() -> Resource {
    let arn = format!("arn:aws:ec2:{REGION}:{OURS}:security-group/{GROUP}");
    Resource::of_arn("ec2:DescribeSecurityGroups", arn, GROUP).unwrap()
}

/// A look at the group with these rules; none of its prefix lists has entries.
fn seen(Inbound { everyone, partial }: Inbound) -> Seen<State> {
    let lists = partial.iter().filter_map(Partial::list).map(|list| (list.to_owned(), Ok(Vec::new()))).collect();
    let everyone = everyone.into_iter().map(|(rule, _)| rule).collect();
    Seen::now(resource(), State { tags: Tags::new(), everyone, partial, lists, is_runbooks: false })
}

/// The same, where a prefix list has these entries.
fn with_list(mut seen: Seen<State>, list: &str, entries: &[&str]) -> Seen<State> {
    let entries = entries.iter().map(|entry| entry.parse::<IpNet>().unwrap()).collect();
    seen.state.lists.insert(list.to_owned(), Ok(entries));
    seen
}

fn plan_of(seen: &Seen<State>, controls: &[usize], settings: &Settings) -> Proposal<Change> {
    let ports: Vec<_> = controls.iter().map(|control| admin_port(*control)).collect();
    SecurityGroupOpenAdminPort::plan(seen, &ports.iter().collect::<Vec<_>>(), settings)
}

/// What is planned for a control of the group with these rules, in a VPC that is not a default one.
fn plan(control: usize, settings: Settings, present: &[&str]) -> Proposal<Change> {
    plan_of(&seen(inbound(present)), &[control], &settings)
}

/// Replaces rules by others, and keeps nothing else open.
fn change(take: &[&str], give: &[&str]) -> Change {
    Change { give: rules(give), ..Change::revoke(rules(take)) }
}

fn by_runbook(texts: &[&str]) -> Change {
    Change { by: Means::Runbook, ..change(texts, &[]) }
}

fn group(owner: &str) -> MockRule {
    let found = SecurityGroup::builder().group_id(GROUP).group_name("web").vpc_id("vpc-1").owner_id(owner).build();
    mock!(Ec2::describe_security_groups)
        .then_output(move || DescribeSecurityGroupsOutput::builder().security_groups(found.clone()).build())
}

/// The group, which says itself that it has these rules, at one look after the other.
fn groups_with(looks: &[&[&str]]) -> MockRule {
    let permission = |text: &&str| {
        let rule = listed(text);
        let of = IpPermission::builder().ip_protocol(rule.ip_protocol().unwrap());
        let ipv4 = rule.cidr_ipv4().map(|range| vec![IpRange::builder().cidr_ip(range).description("").build()]);
        let ipv6 = rule.cidr_ipv6().map(|range| vec![Ipv6Range::builder().cidr_ipv6(range).build()]);
        let lists = rule.prefix_list_id().map(|list| vec![PrefixListId::builder().prefix_list_id(list).build()]);
        let of = of.set_from_port(rule.from_port()).set_to_port(rule.to_port());
        of.set_ip_ranges(ipv4).set_ipv6_ranges(ipv6).set_prefix_list_ids(lists).build()
    };
    let mut sequence = mock!(Ec2::describe_security_groups).sequence();
    for texts in looks {
        let found = SecurityGroup::builder().group_id(GROUP).group_name("web").vpc_id("vpc-1").owner_id(OURS);
        let found = found.set_ip_permissions(Some(texts.iter().map(permission).collect())).build();
        let output = DescribeSecurityGroupsOutput::builder().security_groups(found).build();
        sequence = sequence.output(move || output.clone());
    }
    sequence.build()
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

/// Revokes of exactly these rules, by what they let in.
fn revoked_same(texts: &'static [&'static str]) -> MockRule {
    mock!(Ec2::revoke_security_group_ingress)
        .match_requests(move |request| {
            let ranges = request.ip_permissions().iter().flat_map(|of| of.ip_ranges().iter().map(move |to| (of, to)));
            let text = |(of, to): (&IpPermission, &IpRange)| {
                let (from, until) = (of.from_port().unwrap(), of.to_port().unwrap());
                format!("{} {from}-{until} {}", of.ip_protocol().unwrap(), to.cidr_ip().unwrap())
            };
            request.group_id() == Some(GROUP) && ranges.map(text).eq(texts.iter().copied())
        })
        .then_output(|| RevokeSecurityGroupIngressOutput::builder().build())
}

fn client_in(partition: &'static str, ec2: &[&MockRule], ssm: &[&MockRule]) -> Client {
    let ssm = mock_client!(aws_sdk_ssm, RuleMode::MatchAny, ssm);
    let ec2 = mock_client!(aws_sdk_ec2, RuleMode::MatchAny, ec2);
    Client::new(ec2, Runbooks::over(ssm, RunId::start()), partition)
}

fn client(ec2: &[&MockRule], ssm: &[&MockRule]) -> Client {
    client_in("aws", ec2, ssm)
}

async fn look(client: &Client, resource: &str) -> Result<Seen<State>> {
    SecurityGroupOpenAdminPort::look(client, &finding(SSH, resource)).await
}

async fn apply(client: &Client, change: &Change) -> Result<()> {
    SecurityGroupOpenAdminPort::apply(client, &resource(), change).await
}
