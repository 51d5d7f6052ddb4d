//! Security groups and their inbound rules, for tests.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{
    AddPrefixListEntry, Filter, IpPermission, IpRange, Ipv6Range, NetworkInterface, PrefixListId, ResourceType,
    SecurityGroupRule, Tag, TagSpecification, UserIdGroupPair,
};
use serde_json::{Value, json};

use crate::Result;
use crate::account::Account;

/// The security groups of one account, with its full rights.
#[derive(Debug)]
pub struct SecurityGroups {
    /// EC2 with the account's full rights.
    pub ec2: Client,
}

impl SecurityGroups {
    /// Those of `account`.
    pub fn of(account: &Account) -> Self {
        Self { ec2: Client::new(&account.config) }
    }

    /// The ID of the default VPC, which every account has.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn default_vpc(&self) -> Result<String> {
        let answer = self.ec2.describe_vpcs().filters(filter("is-default", "true")).send().await?;
        Ok(answer.vpcs().first().and_then(|vpc| vpc.vpc_id()).ok_or("no default VPC")?.to_owned())
    }

    /// Makes a VPC that is not a default one.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn make_vpc(&self) -> Result<String> {
        let answer = self.ec2.create_vpc().cidr_block("10.0.0.0/16").send().await?;
        Ok(answer.vpc.and_then(|vpc| vpc.vpc_id).ok_or("a VPC without its ID")?)
    }

    /// Makes a group with these inbound rules, each as [`SecurityGroups::allow`] takes them; gives its ID.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn make(&self, name: &str, vpc: &str, rules: &[&str]) -> Result<String> {
        let call = self.ec2.create_security_group().group_name(name).description("of a test").vpc_id(vpc);
        let group = call.send().await?.group_id.ok_or("a security group without its ID")?;
        for rule in rules {
            self.allow(&group, rule, &[]).await?;
        }
        Ok(group)
    }

    /// Makes a prefix list with these entries; gives its ID.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn make_prefix_list(&self, name: &str, entries: &[&str]) -> Result<String> {
        let family = if entries.iter().any(|entry| entry.contains(':')) { "IPv6" } else { "IPv4" };
        let call = self.ec2.create_managed_prefix_list().prefix_list_name(name).address_family(family).max_entries(9);
        let entries = entries.iter().map(|entry| AddPrefixListEntry::builder().cidr(*entry).build()).collect();
        let list = call.set_entries(Some(entries)).send().await?.prefix_list;
        Ok(list.and_then(|list| list.prefix_list_id).ok_or("a prefix list without its ID")?)
    }

    /// Adds so many inbound rules for addresses of somebody in particular.
    ///
    /// # Errors
    ///
    /// EC2 refuses, as where the group would be more than full.
    pub async fn fill(&self, group: &str, count: usize) -> Result<()> {
        let ranges = (0..count).map(|number| IpRange::builder().cidr_ip(format!("10.0.{number}.0/24")).build());
        let web = IpPermission::builder().ip_protocol("tcp").from_port(443).to_port(443);
        let web = web.set_ip_ranges(Some(ranges.collect())).build();
        self.ec2.authorize_security_group_ingress().group_id(group).ip_permissions(web).send().await?;
        Ok(())
    }

    /// Runs an instance with this group in a subnet of the VPC, which gets one where it has none, and gives the network
    /// interface that the group then protects.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn run_instance(&self, vpc: &str, group: &str) -> Result<NetworkInterface> {
        let found = self.ec2.describe_subnets().filters(filter("vpc-id", vpc)).send().await?;
        let subnet = match found.subnets().first().and_then(|subnet| subnet.subnet_id()) {
            Some(subnet) => subnet.to_owned(),
            None => {
                let made = self.ec2.create_subnet().vpc_id(vpc).cidr_block("10.0.0.0/24").send().await?;
                made.subnet.and_then(|subnet| subnet.subnet_id).ok_or("CreateSubnet gave no subnet")?
            }
        };
        let images = self.ec2.describe_images().send().await?;
        let image = images.images().first().and_then(|image| image.image_id()).ok_or("no image")?;
        let call = self.ec2.run_instances().image_id(image).min_count(1).max_count(1);
        let run = call.subnet_id(subnet).security_group_ids(group).send().await?;
        let instance = run.instances().first().and_then(|instance| instance.instance_id()).ok_or("no instance")?;
        let call = self.ec2.describe_network_interfaces().filters(filter("attachment.instance-id", instance));
        let found = call.send().await?.network_interfaces.unwrap_or_default();
        Ok(found.into_iter().next().ok_or("the instance has no network interface")?)
    }

    /// Adds an inbound rule in the form `tcp 22-22 0.0.0.0/0`, with more words for its description. The peer is a range
    /// of addresses, a group or a prefix list.
    ///
    /// # Errors
    ///
    /// The form is another, or EC2 refuses.
    pub async fn allow(&self, group: &str, rule: &str, tags: &[(&str, &str)]) -> Result<()> {
        let mut words = rule.splitn(4, ' ');
        let (Some(protocol), Some(ports), Some(peer)) = (words.next(), words.next(), words.next()) else {
            return Err(format!("`{rule}` is no rule").into());
        };
        let description = words.next().map(str::to_owned);
        let permission = IpPermission::builder().ip_protocol(protocol);
        let permission = match ports.split_once('-') {
            Some((from, to)) if !from.is_empty() => permission.from_port(from.parse()?).to_port(to.parse()?),
            _ if protocol == "-1" => permission,
            _ => permission.from_port(-1).to_port(-1),
        };
        let permission = if peer.starts_with("sg-") {
            permission
                .user_id_group_pairs(UserIdGroupPair::builder().group_id(peer).set_description(description).build())
        } else if peer.starts_with("pl-") {
            permission
                .prefix_list_ids(PrefixListId::builder().prefix_list_id(peer).set_description(description).build())
        } else if peer.contains(':') {
            permission.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(peer).set_description(description).build())
        } else {
            permission.ip_ranges(IpRange::builder().cidr_ip(peer).set_description(description).build())
        };
        let call = self.ec2.authorize_security_group_ingress().group_id(group).ip_permissions(permission.build());
        let tags: Vec<_> = tags.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build()).collect();
        let tags = (!tags.is_empty()).then(|| {
            let of = TagSpecification::builder().resource_type(ResourceType::SecurityGroupRule).set_tags(Some(tags));
            vec![of.build()]
        });
        call.set_tag_specifications(tags).send().await?;
        Ok(())
    }

    /// The inbound rules of a group in the form of [`SecurityGroups::allow`], without their descriptions, sorted.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn rules(&self, group: &str) -> Result<Vec<String>> {
        let rule = |rule: &SecurityGroupRule| {
            let ports = match (rule.from_port(), rule.to_port()) {
                (None | Some(-1), _) => "-1".to_owned(),
                (from, to) => format!("{}-{}", from.unwrap_or(-1), to.unwrap_or(-1)),
            };
            format!("{} {ports} {}", rule.ip_protocol().unwrap_or("?"), peer(rule))
        };
        let mut rules: Vec<_> = self.inbound(group).await?.iter().map(rule).collect();
        rules.sort();
        Ok(rules)
    }

    /// All that there is to say of a group's inbound rules but their IDs, in an order of its own.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn describe(&self, group: &str) -> Result<Value> {
        let rule = |rule: &SecurityGroupRule| {
            let mut tags: Vec<_> = rule.tags().iter().map(|tag| json!([tag.key(), tag.value()])).collect();
            tags.sort_by_key(ToString::to_string);
            json!({"protocol": rule.ip_protocol(), "ports": [rule.from_port(), rule.to_port()], "peer": peer(rule),
                "description": rule.description(), "tags": tags})
        };
        let mut rules: Vec<_> = self.inbound(group).await?.iter().map(rule).collect();
        rules.sort_by_key(ToString::to_string);
        Ok(rules.into())
    }

    /// The IDs of a group's inbound rules.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn ids(&self, group: &str) -> Result<Vec<String>> {
        Ok(self.inbound(group).await?.into_iter().filter_map(|rule| rule.security_group_rule_id).collect())
    }

    async fn inbound(&self, group: &str) -> Result<Vec<SecurityGroupRule>> {
        let call = self.ec2.describe_security_group_rules().filters(filter("group-id", group));
        let rules = call.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await?;
        Ok(rules.into_iter().filter(|rule| rule.is_egress() == Some(false)).collect())
    }
}

fn peer(rule: &SecurityGroupRule) -> &str {
    let group = rule.referenced_group_info().and_then(|group| group.group_id());
    rule.cidr_ipv4().or(rule.cidr_ipv6()).or(rule.prefix_list_id()).or(group).unwrap_or("?")
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}
