//! The calls of EC2.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{IcmpTypeCode, NetworkAcl, NetworkAclEntry, PortRange, RuleAction, Subnet};
use ec2::{filter, name_tag};
use remediation::aws::Together;
use remediation::{Ec2Name, Error, Finding, Result, Seen, call};

use crate::Change;
use crate::acl::{Acl, Action, Entry, Family, ICMP, ICMPV6, Protocol, TCP, UDP};

pub(crate) const DESCRIBE: &str = "ec2:DescribeNetworkAcls";
const DESCRIBE_SUBNETS: &str = "ec2:DescribeSubnets";
const DELETE: &str = "ec2:DeleteNetworkAclEntry";
const CREATE: &str = "ec2:CreateNetworkAclEntry";
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>
const NO_ACL: &[&str] = &["InvalidNetworkAclID.NotFound"];
const NO_ENTRY: &str = "InvalidNetworkAclEntry.NotFound";
pub(crate) const ALREADY_EXISTS: &str = "NetworkAclEntryAlreadyExists";
/// All protocols.
const ALL: &str = "-1";
/// So many values a filter may have.
const FILTER_VALUES: usize = 200;

/// The ACL that the finding names.
pub(crate) async fn look(client: &Client, together: &Together<NetworkAcl>, finding: &Finding) -> Result<Seen<Acl>> {
    let ec2 = client.clone();
    // By a filter, because one ID that is wrong would be an error for all.
    let by_ids = |ids: Vec<String>| async move {
        let filtered = || ec2.describe_network_acls().filters(filter("network-acl-id", ids.clone()));
        let found =
            call(DESCRIBE, || filtered().into_paginator().items().send().collect::<Result<Vec<_>, _>>()).await?;
        Ok(found.into_iter().filter_map(|acl| Some((acl.network_acl_id.clone()?, acl))).collect())
    };
    let found = match finding.ec2_name("network-acl", "acl")? {
        Ec2Name::Id(id) => match together.find(id, by_ids).await? {
            Some(acl) => acl,
            None => describe(client, id).await?,
        },
        name @ Ec2Name::Name(tag) => {
            let named = |acl: &NetworkAcl| name_tag(acl.tags()) == Some(tag);
            let filtered = || client.describe_network_acls().filters(filter("tag:Name", [tag]));
            let found = call(DESCRIBE, || filtered().into_paginator().items().send().collect());
            let found: Vec<NetworkAcl> = found.await?;
            name.only(DESCRIBE, found.into_iter().filter(named).collect())?
        }
    };
    let owner = found.owner_id().ok_or_else(|| unusable("a network ACL without its owner"))?.to_owned();
    let names = name_tag(found.tags()).map(str::to_owned);
    let acl = acl(found)?;
    let resource = ec2::resource(DESCRIBE, finding, &owner, "network-acl", &acl.id)?;
    Ok(Seen::now(resource.called(names), acl))
}

/// The ACL of an ID.
pub(crate) async fn get(client: &Client, id: &str) -> Result<Acl> {
    acl(describe(client, id).await?)
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeNetworkAcls.html>
async fn describe(client: &Client, id: &str) -> Result<NetworkAcl> {
    let by_id = || client.describe_network_acls().network_acl_ids(id);
    let found = call(DESCRIBE, || by_id().into_paginator().items().send().collect());
    let found: Vec<NetworkAcl> = found.await.map_err(|error| error.gone_if(NO_ACL))?;
    Ec2Name::Id(id).only(DESCRIBE, found.into_iter().filter(|acl| acl.network_acl_id() == Some(id)).collect())
}

/// The names of these subnets by their IDs; without those that have no tag `Name`.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSubnets.html>
pub(crate) async fn names_of_subnets(client: &Client, ids: &[String]) -> Result<BTreeMap<String, String>> {
    let mut names = BTreeMap::new();
    for ids in ids.chunks(FILTER_VALUES) {
        // By a filter, because the ID of a subnet that was deleted since would be an error.
        let filtered = || client.describe_subnets().filters(filter("subnet-id", ids));
        let found =
            call(DESCRIBE_SUBNETS, || filtered().into_paginator().items().send().collect::<Result<Vec<_>, _>>());
        let named = |subnet: Subnet| Some((subnet.subnet_id.clone()?, name_tag(subnet.tags())?.to_owned()));
        names.extend(found.await?.into_iter().filter_map(named));
    }
    Ok(names)
}

/// Deletes the inbound entry of the change's number; one that is gone is deleted.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteNetworkAclEntry.html>
pub(crate) async fn delete(client: &Client, acl: &str, change: &Change) -> Result<()> {
    let delete = || client.delete_network_acl_entry().network_acl_id(acl).rule_number(change.number).egress(false);
    let deleted = call(DELETE, || delete().send()).await;
    match deleted.map_err(|error| error.gone_if(NO_ACL).gone_if(&[NO_ENTRY])) {
        Err(error) if error.is_gone() => Ok(()),
        other => other.map(drop),
    }
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateNetworkAclEntry.html>
pub(crate) async fn create(client: &Client, acl: &str, change: &Change) -> Result<()> {
    let create = || {
        let call = client.create_network_acl_entry().network_acl_id(acl).rule_number(change.number);
        let call = call.egress(false).protocol(ALL).rule_action(RuleAction::Allow);
        match change.source {
            Family::Ipv4 => call.cidr_block(change.source.everywhere()),
            Family::Ipv6 => call.ipv6_cidr_block(change.source.everywhere()),
        }
    };
    call(CREATE, || create().send()).await.map(drop).map_err(|error| error.gone_if(NO_ACL))
}

fn unusable(what: &str) -> Error {
    Error::unusable(DESCRIBE, what)
}

/// What an answer says of an ACL; an error where it leaves something out, so that nobody takes that for "none".
fn acl(of: NetworkAcl) -> Result<Acl> {
    let id = of.network_acl_id.ok_or_else(|| unusable("a network ACL without its ID"))?;
    let is_default =
        of.is_default.ok_or_else(|| unusable("a network ACL that does not say whether it is a default"))?;
    let associations = of.associations.ok_or_else(|| unusable("a network ACL that does not say whose it is"))?;
    let subnets = associations.into_iter().map(|of| of.subnet_id).collect::<Option<_>>();
    let subnets = subnets.ok_or_else(|| unusable("an association of a network ACL without its subnet"))?;
    let entries = of.entries.ok_or_else(|| unusable("a network ACL without entries"))?.into_iter();
    let inbound = entries.filter(|entry| entry.egress != Some(true)).map(entry).collect::<Option<Vec<_>>>();
    let mut inbound = inbound.ok_or_else(|| unusable("an entry of a network ACL that is not whole"))?;
    inbound.sort_by_key(|entry| entry.number);
    Ok(Acl { id, is_default, subnets, inbound, tags: ec2::tags(of.tags) })
}

/// An inbound entry; none where a part is missing or unknown, so that nobody takes it for something else.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NetworkAclEntry.html>
fn entry(of: NetworkAclEntry) -> Option<Entry> {
    let action = match of.rule_action? {
        RuleAction::Allow => Action::Allow,
        RuleAction::Deny => Action::Deny,
        _ => return None,
    };
    let protocol = match of.protocol?.as_str() {
        ALL => Protocol::All,
        number => {
            let number = number.parse().ok()?;
            let part = match number {
                TCP | UDP => ports(&of.port_range?)?,
                ICMP | ICMPV6 => of.icmp_type_code.as_ref().map_or(Some(0..=u16::MAX), types)?,
                _ => 0..=u16::MAX,
            };
            Protocol::Some(number, part)
        }
    };
    let source = of.cidr_block.or(of.ipv6_cidr_block)?.parse().ok()?;
    Some(Entry { number: of.egress.and(of.rule_number)?, action, protocol, source })
}

fn ports(of: &PortRange) -> Option<RangeInclusive<u16>> {
    Some(u16::try_from(of.from?).ok()?..=u16::try_from(of.to?).ok()?)
}

/// A type of ICMP and a code as one number; -1 is every one.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IcmpTypeCode.html>
fn types(of: &IcmpTypeCode) -> Option<RangeInclusive<u16>> {
    let first =
        |kind: i32, code: i32| Some(u16::from(u8::try_from(kind).ok()?) << 8 | u16::from(u8::try_from(code).ok()?));
    match (of.r#type.unwrap_or(-1), of.code.unwrap_or(-1)) {
        (-1, _) => Some(0..=u16::MAX),
        (kind, -1) => Some(first(kind, 0)?..=first(kind, 255)?),
        (kind, code) => Some(first(kind, code)?..=first(kind, code)?),
    }
}
