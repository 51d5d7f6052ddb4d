//! The calls of EC2.

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{
    Filter, IpPermission, IpRange, Ipv6Range, NetworkInterface, NetworkInterfaceStatus, ResourceType, SecurityGroup,
    SecurityGroupRule, Tag, TagSpecification,
};
use remediation::{Error, ErrorKind, Finding, Result};

use crate::ingress::{Everyone, IngressRule, Protocol, Tags};
use crate::named::Named;

const DESCRIBE_GROUPS: &str = "ec2:DescribeSecurityGroups";
const DESCRIBE_RULES: &str = "ec2:DescribeSecurityGroupRules";
const DESCRIBE_VPCS: &str = "ec2:DescribeVpcs";
const DESCRIBE_INTERFACES: &str = "ec2:DescribeNetworkInterfaces";
const AUTHORIZE: &str = "ec2:AuthorizeSecurityGroupIngress";
const REVOKE: &str = "ec2:RevokeSecurityGroupIngress";
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>
const GONE: [&str; 2] = ["InvalidGroup.NotFound", "InvalidSecurityGroupID.NotFound"];
/// The most that a page can hold.
const PAGE: i32 = 1000;

/// A security group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) vpc: Option<String>,
    pub(crate) tags: Tags,
}

/// A network interface that a group protects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Interface {
    pub(crate) id: String,
    /// The instance that it is attached to, or, where EC2 shows none, its description.
    pub(crate) of: Option<String>,
    pub(crate) subnet: Option<String>,
}

/// The security group that a finding names.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroups.html>
pub(crate) async fn find(ec2: &Client, named: &Named<'_>, finding: &Finding) -> Result<Group> {
    let call = ec2.describe_security_groups();
    let call = match named {
        Named::Id(id) => call.group_ids(*id),
        Named::Name(name) => call.filters(filter("group-name", name)),
    };
    let found = call.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
    let found = found.map_err(|error| Error::api(DESCRIBE_GROUPS, error).gone_if(&GONE)).map_err(invalid_id)?;
    // A filter takes `*` in a name for any text.
    let is_meant = |group: &SecurityGroup| match named {
        Named::Id(_) => true,
        Named::Name(name) => group.group_name() == Some(name),
    };
    let mut meant: Vec<_> = found.into_iter().filter(is_meant).collect();
    let resource = &finding.resource;
    let is_ours = |group: &SecurityGroup| group.owner_id().is_none_or(|owner| owner == finding.account.as_ref());
    // A group that another account shares is listed here, and can be changed only there.
    if let ([theirs], Named::Id(_)) = (meant.as_slice(), named)
        && !is_ours(theirs)
    {
        let message = format!("`{resource}` is a security group of the account {}", theirs.owner_id().unwrap_or("?"));
        return Err(Error::invalid_finding("resource", message));
    }
    meant.retain(is_ours);
    let mut groups = meant.into_iter().map(|group| {
        let id = group.group_id.ok_or_else(|| Error::unusable(DESCRIBE_GROUPS, "a security group without its ID"))?;
        let tags = group.tags.unwrap_or_default().into_iter().filter_map(key_and_value).collect();
        Ok(Group { id, vpc: group.vpc_id, tags })
    });
    match (groups.next(), groups.next()) {
        (Some(group), None) => group,
        (Some(first), Some(second)) => {
            let ids = [first?, second?].into_iter().map(Ok).chain(groups).map(|group| group.map(|group| group.id));
            let ids = ids.collect::<Result<Vec<_>>>()?.join(", ");
            let message = format!("`{resource}` is the name of several security groups: name one of {ids}");
            Err(Error::invalid_finding("resource", message))
        }
        (None, _) => {
            let message = format!("there is no security group `{resource}`");
            Err(Error { action: DESCRIBE_GROUPS.into(), kind: ErrorKind::Gone, code: None, message })
        }
    }
}

/// The inbound rules of a group that let everyone in, each with its ID, in an order of their own.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroupRules.html>
pub(crate) async fn open_rules(ec2: &Client, group: &str) -> Result<Vec<(IngressRule, String)>> {
    let call = ec2.describe_security_group_rules().filters(filter("group-id", group)).max_results(PAGE);
    let listed = call.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
    let listed = listed.map_err(|error| Error::api(DESCRIBE_RULES, error))?;
    let open = listed.into_iter().map(open_rule).filter_map(Result::transpose).collect::<Result<Vec<_>>>();
    open.map(|mut open| {
        open.sort();
        open
    })
}

/// None where the rule is for outbound traffic, for somebody in particular, or of another protocol.
fn open_rule(listed: SecurityGroupRule) -> Result<Option<(IngressRule, String)>> {
    let lacks = |what| move || Error::unusable(DESCRIBE_RULES, what);
    let from = listed.cidr_ipv4().or(listed.cidr_ipv6()).and_then(Everyone::parse);
    let is_egress = listed.is_egress.ok_or_else(lacks("a rule without its direction"))?;
    let protocol = Protocol::parse(listed.ip_protocol().ok_or_else(lacks("a rule without its protocol"))?);
    let (Some(from), Some(protocol), false) = (from, protocol, is_egress) else { return Ok(None) };
    let id = listed.security_group_rule_id.ok_or_else(lacks("a rule without its ID"))?;
    let port = |port: Option<i32>| port.filter(|_| protocol != Protocol::All).unwrap_or(-1);
    let rule = IngressRule {
        protocol,
        from_port: port(listed.from_port),
        to_port: port(listed.to_port),
        from,
        description: listed.description.filter(|text| !text.is_empty()),
        tags: listed.tags.unwrap_or_default().into_iter().filter_map(own_tag).collect(),
    };
    Ok(Some((rule, id)))
}

/// Tags of AWS's own cannot be written.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions>
fn own_tag(tag: Tag) -> Option<(String, String)> {
    key_and_value(tag).filter(|(key, _)| !key.starts_with("aws:"))
}

fn key_and_value(tag: Tag) -> Option<(String, String)> {
    Some((tag.key?, tag.value.unwrap_or_default()))
}

/// The network interfaces in use that a group protects, in the order of their IDs.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeNetworkInterfaces.html>
pub(crate) async fn interfaces_in_use(ec2: &Client, group: &str) -> Result<Vec<Interface>> {
    let call = ec2.describe_network_interfaces().filters(filter("group-id", group));
    let call = call.filters(filter("status", NetworkInterfaceStatus::InUse.as_str())).max_results(PAGE);
    let listed = call.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
    let listed = listed.map_err(|error| Error::api(DESCRIBE_INTERFACES, error))?.into_iter();
    let mut interfaces = listed.map(interface).collect::<Result<Vec<_>>>()?;
    interfaces.sort();
    Ok(interfaces)
}

/// One that AWS made, such as a load balancer's, has no instance that is shown, and says what it is.
fn interface(listed: NetworkInterface) -> Result<Interface> {
    let lacks_id = || Error::unusable(DESCRIBE_INTERFACES, "a network interface without its ID");
    let id = listed.network_interface_id.ok_or_else(lacks_id)?;
    let instance = listed.attachment.and_then(|attachment| attachment.instance_id);
    let of = instance.or(listed.description.filter(|text| !text.is_empty()));
    Ok(Interface { id, of, subnet: listed.subnet_id })
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVpcs.html>
pub(crate) async fn is_default_vpc(ec2: &Client, vpc: &str) -> Result<bool> {
    let answer = ec2.describe_vpcs().vpc_ids(vpc).send().await.map_err(|error| Error::api(DESCRIBE_VPCS, error))?;
    Ok(answer.vpcs().iter().any(|vpc| vpc.is_default() == Some(true)))
}

/// Adds rules to a group; one that is there already stays as it is.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html>
pub(crate) async fn authorize(ec2: &Client, group: &str, rules: &[IngressRule]) -> Result<()> {
    // The tags of a call are those of all the rules that it adds.
    let mut by_tags: BTreeMap<&Tags, Vec<&IngressRule>> = BTreeMap::new();
    for rule in rules {
        by_tags.entry(&rule.tags).or_default().push(rule);
    }
    for (tags, rules) in by_tags {
        // A call adds all of its rules or none.
        if !add(ec2, group, tags, &rules).await? && rules.len() > 1 {
            for rule in rules {
                add(ec2, group, tags, &[rule]).await?;
            }
        }
    }
    Ok(())
}

/// Whether the rules were added; not where one of them is there already.
async fn add(ec2: &Client, group: &str, tags: &Tags, rules: &[&IngressRule]) -> Result<bool> {
    let call = ec2.authorize_security_group_ingress().group_id(group);
    let call = call.set_ip_permissions(Some(rules.iter().map(|rule| permission(rule)).collect()));
    let specification = (!tags.is_empty()).then(|| {
        let tags = tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
        let of = TagSpecification::builder().resource_type(ResourceType::SecurityGroupRule).set_tags(Some(tags));
        vec![of.build()]
    });
    let answer = call.set_tag_specifications(specification).send().await;
    done_unless(answer.map(drop).map_err(|error| Error::api(AUTHORIZE, error)), &["InvalidPermission.Duplicate"])
        .map_err(with_advice)
}

fn permission(rule: &IngressRule) -> IpPermission {
    let permission = IpPermission::builder().ip_protocol(rule.protocol.name());
    let permission = match rule.protocol {
        Protocol::All => permission,
        _ => permission.from_port(rule.from_port).to_port(rule.to_port),
    };
    let description = rule.description.clone();
    let permission = match rule.from {
        Everyone::Ipv4 => {
            permission.ip_ranges(IpRange::builder().cidr_ip(rule.from.cidr()).set_description(description).build())
        }
        Everyone::Ipv6 => permission
            .ipv6_ranges(Ipv6Range::builder().cidr_ipv6(rule.from.cidr()).set_description(description).build()),
    };
    permission.build()
}

/// Revokes those of the rules that the group has now, by their IDs. Their properties alone say which they are: somebody
/// may have changed a rule since it was planned, and it keeps its ID.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RevokeSecurityGroupIngress.html>
pub(crate) async fn revoke(ec2: &Client, group: &str, rules: &[IngressRule]) -> Result<()> {
    let present = open_rules(ec2, group).await?;
    let ids: Vec<_> = present.into_iter().filter(|(rule, _)| rule.is_in(rules)).map(|(_, id)| id).collect();
    // A call revokes all of its rules or none.
    if !ids.is_empty() && !remove(ec2, group, &ids).await? && ids.len() > 1 {
        for id in ids {
            remove(ec2, group, &[id]).await?;
        }
    }
    Ok(())
}

/// Whether the rules were revoked; not where one of them is gone already.
async fn remove(ec2: &Client, group: &str, ids: &[String]) -> Result<bool> {
    let call = ec2.revoke_security_group_ingress().group_id(group);
    let answer = call.set_security_group_rule_ids(Some(ids.to_vec())).send().await;
    let answer = answer.map(drop).map_err(|error| Error::api(REVOKE, error));
    done_unless(answer, &["InvalidPermission.NotFound", "InvalidSecurityGroupRuleId.NotFound"])
}

/// Whether it was done; not where one of `codes` says that somebody else was faster.
fn done_unless(answer: Result<()>, codes: &[&str]) -> Result<bool> {
    match answer {
        Ok(()) => Ok(true),
        Err(error) if error.code.as_deref().is_some_and(|code| codes.contains(&code)) => Ok(false),
        Err(error) => Err(error.gone_if(&GONE)),
    }
}

fn with_advice(error: Error) -> Error {
    match error.code.as_deref() {
        Some("RulesPerSecurityGroupLimitExceeded") => {
            let message = format!(
                "{} (the group's quota has no room for these rules, so nothing wider was revoked for them: raise the \
                 quota of rules per security group, or remove rules)",
                error.message
            );
            Error { message, ..error }
        }
        _ => error,
    }
}

fn invalid_id(error: Error) -> Error {
    match error.code.as_deref() {
        Some("InvalidGroupId.Malformed") => Error { kind: ErrorKind::InvalidFinding, ..error },
        _ => error,
    }
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<_> = [&self.of, &self.subnet].into_iter().flatten().map(String::as_str).collect();
        f.write_str(&self.id)?;
        if known.is_empty() { Ok(()) } else { write!(f, " ({})", known.join(", ")) }
    }
}
