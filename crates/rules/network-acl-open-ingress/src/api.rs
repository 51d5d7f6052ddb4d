//! The calls of EC2.

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, NetworkAcl, NetworkAclEntry, RuleAction, Tag};
use remediation::{Ec2Name, Error, Finding, Result};

use crate::{Change, Everywhere};

const DESCRIBE: &str = "ec2:DescribeNetworkAcls";
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

/// A network ACL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acl {
    pub(crate) id: String,
    pub(crate) is_default: bool,
    pub(crate) subnets: Vec<String>,
    pub(crate) inbound: Vec<Entry>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// An inbound entry of a network ACL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) number: i32,
    pub(crate) allows: bool,
    pub(crate) protocol: String,
    pub(crate) source: String,
}

impl Entry {
    /// From where it allows all traffic; none where it denies, or allows some only. EC2 keeps address ranges in their
    /// canonical form.
    pub(crate) fn open_to(&self) -> Option<Everywhere> {
        let sources = [Everywhere::Ipv4, Everywhere::Ipv6];
        let source = sources.into_iter().find(|source| source.to_string() == self.source);
        source.filter(|_| self.allows && self.protocol == ALL)
    }

    pub(crate) fn is_ipv6(&self) -> bool {
        self.source.contains(':')
    }
}

/// The ACL that the finding names.
pub(crate) async fn find(client: &Client, finding: &Finding) -> Result<Acl> {
    match finding.ec2_name("network-acl", "acl")? {
        Ec2Name::Id(id) => get(client, id).await,
        name @ Ec2Name::Tag(tag) => {
            let named = |acl: &NetworkAcl| name_tag(acl.tags()) == Some(tag);
            let call = client.describe_network_acls().filters(filter("tag:Name", [tag]));
            let found = call.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
            let found = found.map_err(|error| Error::api(DESCRIBE, error))?;
            // A filter takes * and ? for wildcards.
            acl(name.only(DESCRIBE, found.into_iter().filter(named).collect())?)
        }
    }
}

/// The ACL of an ID.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeNetworkAcls.html>
pub(crate) async fn get(client: &Client, id: &str) -> Result<Acl> {
    let call = client.describe_network_acls().network_acl_ids(id).into_paginator().items().send();
    let found = call.collect::<Result<Vec<_>, _>>().await;
    let found = found.map_err(|error| Error::api(DESCRIBE, error).gone_if(NO_ACL))?;
    acl(Ec2Name::Id(id).only(DESCRIBE, found)?)
}

/// These subnets, each with its tag `Name` if it has one.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSubnets.html>
pub(crate) async fn named_subnets(client: &Client, ids: &[String]) -> Result<Vec<String>> {
    let mut described = Vec::new();
    for ids in ids.chunks(FILTER_VALUES) {
        // By a filter, because an ID that is gone since would be an error.
        let call = client.describe_subnets().filters(filter("subnet-id", ids));
        let found = call.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
        described.extend(found.map_err(|error| Error::api(DESCRIBE_SUBNETS, error))?);
    }
    let named = |id: &String| {
        let subnet = described.iter().find(|subnet| subnet.subnet_id() == Some(id));
        match subnet.and_then(|subnet| name_tag(subnet.tags())) {
            Some(name) => format!("{id} ({name})"),
            None => id.clone(),
        }
    };
    Ok(ids.iter().map(named).collect())
}

/// Deletes the inbound entry of the change's number; one that is gone is deleted.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteNetworkAclEntry.html>
pub(crate) async fn delete(client: &Client, change: &Change) -> Result<()> {
    let call = client.delete_network_acl_entry().network_acl_id(&change.acl).rule_number(change.number).egress(false);
    match call.send().await.map_err(|error| Error::api(DELETE, error).gone_if(NO_ACL).gone_if(&[NO_ENTRY])) {
        Err(error) if error.is_gone() => Ok(()),
        other => other.map(drop),
    }
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateNetworkAclEntry.html>
pub(crate) async fn create(client: &Client, change: &Change) -> Result<()> {
    let call = client.create_network_acl_entry().network_acl_id(&change.acl).rule_number(change.number).egress(false);
    let call = call.protocol(ALL).rule_action(RuleAction::Allow);
    let source = change.source.to_string();
    let call = match change.source {
        Everywhere::Ipv4 => call.cidr_block(source),
        Everywhere::Ipv6 => call.ipv6_cidr_block(source),
    };
    call.send().await.map(drop).map_err(|error| Error::api(CREATE, error).gone_if(NO_ACL))
}

fn acl(of: NetworkAcl) -> Result<Acl> {
    let unusable = |what| Error::unusable(DESCRIBE, what);
    let id = of.network_acl_id.ok_or_else(|| unusable("a network ACL without its ID"))?;
    let is_default =
        of.is_default.ok_or_else(|| unusable("a network ACL that does not say whether it is a default"))?;
    let subnets = of.associations.unwrap_or_default().into_iter().filter_map(|of| of.subnet_id).collect();
    let entries = of.entries.unwrap_or_default().into_iter();
    let inbound = entries.filter(|entry| entry.egress != Some(true)).map(entry).collect::<Option<_>>();
    let inbound = inbound.ok_or_else(|| unusable("an entry of a network ACL that is not whole"))?;
    let tags =
        of.tags.unwrap_or_default().into_iter().filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())));
    Ok(Acl { id, is_default, subnets, inbound, tags: tags.collect() })
}

/// An inbound entry; none where a part is missing, so that nobody takes it for something else.
fn entry(of: NetworkAclEntry) -> Option<Entry> {
    Some(Entry {
        number: of.egress.and(of.rule_number)?,
        allows: of.rule_action? == RuleAction::Allow,
        protocol: of.protocol?,
        source: of.cidr_block.or(of.ipv6_cidr_block)?,
    })
}

fn name_tag(tags: &[Tag]) -> Option<&str> {
    tags.iter().find(|tag| tag.key() == Some("Name"))?.value()
}

fn filter(name: &str, values: impl IntoIterator<Item = impl Into<String>>) -> Filter {
    let values = values.into_iter().map(Into::into).collect();
    Filter::builder().name(name).set_values(Some(values)).build()
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, allows, protocol, source } = self;
        let action = if *allows { "allow" } else { "deny" };
        let protocol = if protocol == ALL { "all" } else { protocol };
        write!(f, "inbound entry {number}, {action} {protocol} from {source}")
    }
}
