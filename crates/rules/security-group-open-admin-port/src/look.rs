//! What a finding's security group is, and how it stands: the calls that read.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::operation::describe_security_groups::builders::DescribeSecurityGroupsFluentBuilder;
use aws_sdk_ec2::types::{
    IpPermission, NetworkInterface, NetworkInterfaceStatus, SecurityGroup, SecurityGroupRule, Vpc,
};
use ec2::filter;
use ipnet::IpNet;
use remediation::aws::Together;
use remediation::{Arn, Ec2Name, Error, ErrorKind, Finding, Resource, Result, call};

use crate::admin_port::{LAST_PORT, opens_admin_port};
use crate::ingress::{Everyone, IngressRule, Protocol, Tags};
use crate::reach::{Lists, Partial, Peer};

pub(crate) const DESCRIBE_GROUPS: &str = "ec2:DescribeSecurityGroups";
pub(crate) const DESCRIBE_RULES: &str = "ec2:DescribeSecurityGroupRules";
pub(crate) const DESCRIBE_VPCS: &str = "ec2:DescribeVpcs";
pub(crate) const DESCRIBE_INTERFACES: &str = "ec2:DescribeNetworkInterfaces";
const GET_ENTRIES: &str = "ec2:GetManagedPrefixListEntries";
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>
pub(crate) const GONE: [&str; 2] = ["InvalidGroup.NotFound", "InvalidSecurityGroupID.NotFound"];
/// The most that a page can hold.
const PAGE: i32 = 1000;
/// The most entries that a page can hold.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetManagedPrefixListEntries.html>
const PAGE_OF_ENTRIES: i32 = 100;

/// A security group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) resource: Resource,
    pub(crate) vpc: Option<String>,
    pub(crate) tags: Tags,
    pub(crate) summary: Summary,
}

/// What the group's own description tells of its inbound rules. It has neither their IDs nor their tags, but it comes
/// without a call of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Summary {
    /// Nobody but security groups reaches an admin port. These are the rules for everyone, without their tags.
    Closed(Vec<IngressRule>),
    /// Somebody does, or the description does not say.
    NotClosed,
}

/// Whom a group lets in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Inbound {
    /// The rules for everyone, each with its ID, in an order of their own.
    pub(crate) everyone: Vec<(IngressRule, String)>,
    /// Those for ranges of addresses and prefix lists.
    pub(crate) partial: Vec<Partial>,
}

/// A network interface that a group protects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Interface {
    pub(crate) id: String,
    /// What it serves: an instance by its ID; for what AWS runs, what EC2 says of the interface.
    pub(crate) of: Option<String>,
    pub(crate) subnet: Option<String>,
}

/// The security group that a finding names.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroups.html>
pub(crate) async fn find(
    ec2: &Client,
    together: &Together<SecurityGroup>,
    named: Ec2Name<'_>,
    finding: &Finding,
) -> Result<Group> {
    let client = ec2.clone();
    // By a filter, because one ID that is wrong would be an error for all.
    let by_ids = |ids: Vec<String>| async move {
        let found = list(client.describe_security_groups().filters(filter("group-id", ids))).await?;
        Ok(found.into_iter().filter_map(|group| Some((group.group_id.clone()?, group))).collect())
    };
    let found = match named {
        Ec2Name::Id(id) => match together.find(id, by_ids).await? {
            Some(group) => vec![group],
            None => list(ec2.describe_security_groups().group_ids(id)).await.map_err(of_id)?,
        },
        Ec2Name::Name(name) => list(ec2.describe_security_groups().filters(filter("group-name", [name]))).await?,
    };
    let is_meant = |group: &SecurityGroup| match named {
        Ec2Name::Id(id) => group.group_id() == Some(id),
        Ec2Name::Name(name) => group.group_name() == Some(name),
    };
    let meant = found.into_iter().filter(is_meant).map(|group| described(group, finding));
    let meant = meant.collect::<Result<Vec<_>>>()?;
    // A group that another account shares is listed here as well, and can be changed only there.
    let (ours, theirs): (Vec<_>, Vec<_>) = meant.into_iter().partition(|group| group.resource.owner == finding.account);
    only(named, if ours.is_empty() { theirs } else { ours }, finding)
}

async fn list(request: DescribeSecurityGroupsFluentBuilder) -> Result<Vec<SecurityGroup>> {
    call(DESCRIBE_GROUPS, || request.clone().into_paginator().items().send().collect::<Result<Vec<_>, _>>()).await
}

/// The one group of this name.
fn only(named: Ec2Name<'_>, groups: Vec<Group>, finding: &Finding) -> Result<Group> {
    let ids: Vec<_> = groups.iter().map(|group| group.resource.id.clone()).collect();
    let mut groups = groups.into_iter();
    match (groups.next(), groups.next(), named) {
        (Some(only), None, _) => Ok(only),
        (None, _, Ec2Name::Id(_)) => Err(Error::unusable(DESCRIBE_GROUPS, "no group of the ID that was asked for")),
        (None, _, Ec2Name::Name(name)) => {
            let message = format!(
                "no security group of the account {} in {} has the group name `{name}`: give the group's ID",
                finding.account, finding.region
            );
            Err(Error::invalid_finding("resource", message))
        }
        (Some(_), Some(_), _) => {
            let message = format!(
                "`{}` is the name of several security groups: give the ID of one of {}",
                finding.resource,
                ids.join(", ")
            );
            Err(Error::invalid_finding("resource", message))
        }
    }
}

fn described(group: SecurityGroup, finding: &Finding) -> Result<Group> {
    let lacks = |what| move || Error::unusable(DESCRIBE_GROUPS, what);
    let id = group.group_id.ok_or_else(lacks("a security group without its ID"))?;
    let owner = group.owner_id.ok_or_else(lacks("a security group without its owner"))?;
    let tags = ec2::tags(group.tags);
    let names = group.group_name.into_iter().chain(tags.get("Name").cloned());
    let resource = ec2::resource(DESCRIBE_GROUPS, finding, &owner, "security-group", &id)?.called(names);
    let summary = match group.ip_permissions {
        Some(permissions) => Summary::of(permissions)?,
        None => Summary::NotClosed,
    };
    Ok(Group { resource, vpc: group.vpc_id, tags, summary })
}

impl Summary {
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html>
    fn of(permissions: Vec<IpPermission>) -> Result<Self> {
        let lacks = |what| move || Error::unusable(DESCRIBE_GROUPS, what);
        let mut everyone = Vec::new();
        for of in permissions {
            let protocol = of.ip_protocol().ok_or_else(lacks("a rule without its protocol"))?;
            let Some(protocol) = Protocol::parse(protocol) else { continue };
            let (from_port, to_port) = ports(protocol, of.from_port, of.to_port);
            let ipv4 = of.ip_ranges().iter().map(|range| (range.cidr_ip(), range.description()));
            let ipv6 = of.ipv6_ranges().iter().map(|range| (range.cidr_ipv6(), range.description()));
            let ranges: Vec<_> = ipv4.chain(ipv6).collect();
            let has_peers = !ranges.is_empty() || !of.prefix_list_ids().is_empty();
            if has_peers && opens_admin_port(protocol, (from_port, to_port)) {
                return Ok(Self::NotClosed);
            }
            for (cidr, description) in ranges {
                let range = parse_range(DESCRIBE_GROUPS, cidr.ok_or_else(lacks("a rule without its range"))?)?;
                let Some(from) = Everyone::of(range) else { continue };
                let description = description.filter(|text| !text.is_empty()).map(str::to_owned);
                everyone.push(IngressRule { protocol, from_port, to_port, from, description, tags: Tags::new() });
            }
        }
        everyone.sort();
        Ok(Self::Closed(everyone))
    }
}

/// What EC2 says of an ID, it says of this very group.
fn of_id(error: Error) -> Error {
    match error.code.as_deref() {
        Some("InvalidGroupId.Malformed") => Error { kind: ErrorKind::InvalidFinding, ..error },
        _ => error.gone_if(&GONE),
    }
}

/// Whom a group lets in.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroupRules.html>
pub(crate) async fn inbound(ec2: &Client, group: &str) -> Result<Inbound> {
    Inbound::of(rules(ec2, vec![group.to_owned()]).await?)
}

/// The same, in one call with what others look at.
pub(crate) async fn inbound_together(
    ec2: &Client,
    together: &Together<Vec<SecurityGroupRule>>,
    group: &str,
) -> Result<Inbound> {
    let client = ec2.clone();
    let ask = move |groups: Vec<String>| async move {
        // One without rules is not listed.
        let mut found: HashMap<_, _> = groups.iter().map(|group| (group.clone(), Vec::new())).collect();
        for rule in rules(&client, groups).await? {
            let group = rule.group_id.as_ref().and_then(|group| found.get_mut(group));
            group.ok_or_else(|| Error::unusable(DESCRIBE_RULES, "a rule of another group"))?.push(rule);
        }
        Ok(found)
    };
    match together.find(group, ask).await? {
        Some(rules) => Inbound::of(rules),
        None => inbound(ec2, group).await,
    }
}

async fn rules(ec2: &Client, groups: Vec<String>) -> Result<Vec<SecurityGroupRule>> {
    let request = ec2.describe_security_group_rules().filters(filter("group-id", groups)).max_results(PAGE);
    call(DESCRIBE_RULES, || request.clone().into_paginator().items().send().collect::<Result<Vec<_>, _>>()).await
}

/// The rules for everyone alone.
pub(crate) async fn for_everyone(ec2: &Client, group: &str) -> Result<Vec<(IngressRule, String)>> {
    Ok(inbound(ec2, group).await?.everyone)
}

impl Inbound {
    fn of(rules: Vec<SecurityGroupRule>) -> Result<Self> {
        let mut inbound = Self::default();
        for rule in rules {
            inbound.take(rule)?;
        }
        inbound.everyone.sort();
        Ok(inbound)
    }

    /// Takes a rule as it is listed; not where it is for outbound traffic, for a security group, or of a protocol that
    /// opens no admin port.
    pub(crate) fn take(&mut self, listed: SecurityGroupRule) -> Result<()> {
        let lacks = |what| move || Error::unusable(DESCRIBE_RULES, what);
        let is_egress = listed.is_egress.ok_or_else(lacks("a rule without its direction"))?;
        let protocol = Protocol::parse(listed.ip_protocol().ok_or_else(lacks("a rule without its protocol"))?);
        let (Some(protocol), false) = (protocol, is_egress) else { return Ok(()) };
        let ranges = [listed.cidr_ipv4(), listed.cidr_ipv6()].into_iter().flatten();
        let ranges = ranges.map(|cidr| parse_range(DESCRIBE_RULES, cidr)).collect::<Result<Vec<_>>>()?;
        let lists = listed.prefix_list_id.clone().map(Peer::List);
        let peers: Vec<_> = ranges.into_iter().map(Peer::Range).chain(lists).collect();
        let id = listed.security_group_rule_id.ok_or_else(lacks("a rule without its ID"))?;
        let ports = ports(protocol, listed.from_port, listed.to_port);
        let description = listed.description.filter(|text| !text.is_empty());
        let tags: Tags = own(ec2::tags(listed.tags));
        for peer in peers {
            let everyone = if let Peer::Range(range) = peer { Everyone::of(range) } else { None };
            match everyone {
                Some(from) => {
                    let (from_port, to_port) = ports;
                    let (description, tags) = (description.clone(), tags.clone());
                    let rule = IngressRule { protocol, from_port, to_port, from, description, tags };
                    self.everyone.push((rule, id.clone()));
                }
                None => self.partial.push(Partial { id: id.clone(), protocol, ports, peer }),
            }
        }
        Ok(())
    }
}

/// -1 stands for every type of ICMP, and for the ports of a protocol that has none; where TCP or UDP had it, it could
/// only be every port.
fn ports(protocol: Protocol, from: Option<i32>, to: Option<i32>) -> (i32, i32) {
    let known = |port: Option<i32>| port.filter(|port| *port >= 0);
    match protocol {
        Protocol::All => (-1, -1),
        Protocol::Tcp | Protocol::Udp => (known(from).unwrap_or(0), known(to).unwrap_or(LAST_PORT)),
        Protocol::Icmp | Protocol::Icmpv6 => (from.unwrap_or(-1), to.unwrap_or(-1)),
    }
}

fn parse_range(action: &str, cidr: &str) -> Result<IpNet> {
    cidr.parse().map_err(|_| Error::unusable(action, &format!("`{cidr}`, which is no range of addresses")))
}

/// The entries of prefix lists. A list that is not there any more, or that this account does not see, is no failure: its
/// reason is kept.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetManagedPrefixListEntries.html>
pub(crate) async fn entries(ec2: &Client, lists: BTreeSet<&str>) -> Result<Lists> {
    let mut all = Lists::new();
    for list in lists {
        let request = ec2.get_managed_prefix_list_entries().prefix_list_id(list).max_results(PAGE_OF_ENTRIES);
        let read = || request.clone().into_paginator().items().send().collect::<Result<Vec<_>, _>>();
        let entries = match call(GET_ENTRIES, read).await {
            Ok(entries) => {
                let cidr = |entry: &aws_sdk_ec2::types::PrefixListEntry| {
                    let cidr =
                        entry.cidr().ok_or_else(|| Error::unusable(GET_ENTRIES, "an entry without its range"))?;
                    parse_range(GET_ENTRIES, cidr)
                };
                Ok(entries.iter().map(cidr).collect::<Result<Vec<_>>>()?)
            }
            Err(error) if error.kind == ErrorKind::Permanent => Err(error.to_string()),
            Err(error) => return Err(error),
        };
        all.insert(list.to_owned(), entries);
    }
    Ok(all)
}

/// Tags of AWS's own cannot be written.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions>
fn own(mut tags: Tags) -> Tags {
    tags.retain(|key, _| !key.starts_with("aws:"));
    tags
}

/// The network interfaces in use that a group protects, in the order of their IDs.
pub(crate) async fn interfaces_in_use(
    ec2: &Client,
    together: &Together<Vec<Interface>>,
    group: &str,
) -> Result<Vec<Interface>> {
    let client = ec2.clone();
    let of_groups = |groups: Vec<String>| async move {
        // One that protects nothing is not listed.
        let mut found: HashMap<_, _> = groups.iter().map(|group| (group.clone(), Vec::new())).collect();
        for (interface, protects) in list_in_use(&client, groups).await? {
            let asked: Vec<_> = protects.into_iter().filter(|group| found.contains_key(group)).collect();
            if asked.is_empty() {
                return Err(Error::unusable(DESCRIBE_INTERFACES, "a network interface of another group"));
            }
            for group in asked {
                found.entry(group).or_default().push(interface.clone());
            }
        }
        Ok(found)
    };
    let mut interfaces = match together.find(group, of_groups).await? {
        Some(found) => found,
        None => list_in_use(ec2, vec![group.to_owned()]).await?.into_iter().map(|(interface, _)| interface).collect(),
    };
    interfaces.sort();
    Ok(interfaces)
}

/// The network interfaces in use that any of `groups` protects, each with all groups that do.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeNetworkInterfaces.html>
async fn list_in_use(ec2: &Client, groups: Vec<String>) -> Result<Vec<(Interface, Vec<String>)>> {
    let request = ec2.describe_network_interfaces().filters(filter("group-id", groups));
    let request = request.filters(filter("status", [NetworkInterfaceStatus::InUse.as_str()])).max_results(PAGE);
    let list = || request.clone().into_paginator().items().send().collect::<Result<Vec<_>, _>>();
    let listed = call(DESCRIBE_INTERFACES, list).await?.into_iter();
    let with_groups = |mut listed: NetworkInterface| {
        let groups = listed.groups.take().unwrap_or_default();
        Ok((interface(listed)?, groups.into_iter().filter_map(|group| group.group_id).collect()))
    };
    listed.map(with_groups).collect()
}

/// One that AWS made, such as a load balancer's, has no instance that is shown, and says what it is. That of a task of ECS
/// says which, and tasks come and go by themselves.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-networking-awsvpc.html>
fn interface(listed: NetworkInterface) -> Result<Interface> {
    let lacks_id = || Error::unusable(DESCRIBE_INTERFACES, "a network interface without its ID");
    let id = listed.network_interface_id.ok_or_else(lacks_id)?;
    let instance = listed.attachment.and_then(|attachment| attachment.instance_id);
    let description = listed.description.filter(|text| !text.is_empty()).map(|text| {
        let is_tasks = Arn::parse(&text).is_some_and(|arn| arn.service == "ecs");
        if is_tasks { "tasks of ECS".to_owned() } else { text }
    });
    Ok(Interface { id, of: instance.or(description), subnet: listed.subnet_id })
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVpcs.html>
pub(crate) async fn is_default_vpc(ec2: &Client, together: &Together<Vpc>, vpc: &str) -> Result<bool> {
    let client = ec2.clone();
    let by_ids = |ids: Vec<String>| async move {
        let request = client.describe_vpcs().filters(filter("vpc-id", ids));
        let found =
            call(DESCRIBE_VPCS, || request.clone().into_paginator().items().send().collect::<Result<Vec<_>, _>>());
        Ok(found.await?.into_iter().filter_map(|vpc| Some((vpc.vpc_id.clone()?, vpc))).collect())
    };
    if let Some(found) = together.find(vpc, by_ids).await? {
        return Ok(found.is_default() == Some(true));
    }
    let answer = call(DESCRIBE_VPCS, || ec2.describe_vpcs().vpc_ids(vpc).send()).await?;
    Ok(answer.vpcs().iter().any(|vpc| vpc.is_default() == Some(true)))
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        self.subnet.as_ref().map_or(Ok(()), |subnet| write!(f, " in {subnet}"))
    }
}
