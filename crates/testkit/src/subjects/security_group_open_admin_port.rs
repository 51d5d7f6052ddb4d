//! Security groups and their inbound rules: `security-group-open-admin-port`.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{
    AddPrefixListEntry, Filter, IpPermission, IpRange, Ipv6Range, NetworkInterface, PrefixListId, ResourceType,
    SecurityGroupRule, Tag, TagSpecification, UserIdGroupPair,
};
use rules::security_group_open_admin_port::SecurityGroupOpenAdminPort;
use serde_json::{Value, json};

use super::{AnySubject, Subject};
use crate::Result;
use crate::account::Account;

/// The subject of each control.
pub const SUBJECTS: &[AnySubject] = &[AnySubject::of::<Revoked>(), AnySubject::of::<Narrowed>()];
/// What everyone may do in a group that complies.
const WEB: &str = "tcp 443-443 0.0.0.0/0";

/// What the subjects have in common: groups, which must not be open to a port.
macro_rules! of_group {
    ($port:literal) => {
        fn names(account: &Account, resource: &str) -> Vec<String> {
            vec![resource.to_owned(), arn(account, resource), "named".into()]
        }

        async fn tag(account: &Account, resource: &str, key: &str, value: &str) -> Result<()> {
            account.tag_ec2(resource, key, value).await
        }

        async fn describe(account: &Account, resource: &str) -> Result<Value> {
            SecurityGroups::of(account).describe(resource).await
        }

        async fn complies(account: &Account, resource: &str) -> Result<bool> {
            Ok(!SecurityGroups::of(account).is_open(resource, $port).await?)
        }
    };
}

/// A group in the default VPC with rules for port 22 alone: the runbook's.
#[derive(Debug)]
pub struct Revoked;

impl Subject for Revoked {
    type Rule = SecurityGroupOpenAdminPort;
    const NAME: &'static str = "bastion";
    const FOUND: &'static str = "port 22 open to the world";
    const THROTTLED: (&str, &[&str]) = (
        "RequestLimitExceeded",
        &[
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSecurityGroupRules",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeVpcs",
            "ec2:RevokeSecurityGroupIngress",
        ],
    );

    async fn violating(account: &Account, name: &str) -> Result<String> {
        let groups = SecurityGroups::of(account);
        let group = groups.make_in_default_vpc(name, &[WEB, "tcp 22-22 ::/0 from home, too"]).await?;
        groups.allow(&group, "tcp 22-22 0.0.0.0/0 from home", &[("owner", "ops")]).await?;
        Ok(group)
    }

    async fn complying(account: &Account, name: &str) -> Result<String> {
        SecurityGroups::of(account).make_in_default_vpc(name, &[WEB, "tcp 22-22 10.0.0.0/8"]).await
    }

    fn gone(_: &Account) -> String {
        "sg-00000000000000000".into()
    }

    of_group!(22);
}

/// A group in another VPC with rules that open port 3389 among others.
#[derive(Debug)]
pub struct Narrowed;

impl Subject for Narrowed {
    type Rule = SecurityGroupOpenAdminPort;
    const CONTROL: usize = 1;
    const NAME: &'static str = "desktops";
    const FOUND: &'static str = "all ports open to the world, 3389 among them";
    const THROTTLED: (&str, &[&str]) = (
        "RequestLimitExceeded",
        &[
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSecurityGroupRules",
            "ec2:DescribeNetworkInterfaces",
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:ModifySecurityGroupRules",
        ],
    );

    async fn violating(account: &Account, name: &str) -> Result<String> {
        let groups = SecurityGroups::of(account);
        let group = groups.make_in_other_vpc(name, &[WEB, "tcp 3389-3389 10.0.0.0/8"]).await?;
        groups.allow(&group, "-1 - 0.0.0.0/0 for now", &[("owner", "ops"), ("until", "")]).await?;
        groups.allow(&group, "tcp 3380-3395 ::/0", &[]).await?;
        Ok(group)
    }

    async fn complying(account: &Account, name: &str) -> Result<String> {
        let around = ["tcp 0-3388 0.0.0.0/0", "tcp 3390-65535 0.0.0.0/0", "udp 22-22 ::/0"];
        SecurityGroups::of(account).make_in_other_vpc(name, &around).await
    }

    fn gone(account: &Account) -> String {
        arn(account, "sg-00000000000000000")
    }

    of_group!(3389);
}

/// A group whose fix takes every call.
#[derive(Debug)]
pub struct Mixed;

impl Subject for Mixed {
    type Rule = SecurityGroupOpenAdminPort;
    const NAME: &'static str = "jump-host";
    const FOUND: &'static str = "port 22 open to the world, alone and among others";
    const THROTTLED: (&str, &[&str]) = ("ThrottlingException", &["ssm:StartAutomationExecution"]);

    async fn violating(account: &Account, name: &str) -> Result<String> {
        let groups = SecurityGroups::of(account);
        let group = groups.make_in_default_vpc(name, &[WEB]).await?;
        groups.allow(&group, "tcp 22-22 0.0.0.0/0", &[("owner", "ops")]).await?;
        groups.allow(&group, "tcp 0-65535 ::/0 for now", &[("owner", "ops")]).await?;
        let office = groups.make_prefix_list(name, &["10.0.0.0/8"]).await?;
        groups.allow(&group, &format!("tcp 22-22 {office}"), &[]).await?;
        Ok(group)
    }

    async fn complying(account: &Account, name: &str) -> Result<String> {
        SecurityGroups::of(account).make_in_default_vpc(name, &[WEB]).await
    }

    fn gone(_: &Account) -> String {
        "sg-0000abcd".into()
    }

    of_group!(22);
}

fn arn(account: &Account, group: &str) -> String {
    format!("arn:{}:ec2:{}:{}:security-group/{group}", account.partition(), account.region, account.id)
}

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

    /// The same in the default VPC.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn make_in_default_vpc(&self, name: &str, rules: &[&str]) -> Result<String> {
        self.make(name, &self.default_vpc().await?, rules).await
    }

    /// The same in a new VPC that is not a default one.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn make_in_other_vpc(&self, name: &str, rules: &[&str]) -> Result<String> {
        self.make(name, &self.make_vpc().await?, rules).await
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
        let registered = self.ec2.register_image().name("image").send().await?;
        let image = registered.image_id().ok_or("RegisterImage gave no image")?;
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

    /// Whether a group lets everyone in to a port by TCP.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn is_open(&self, group: &str, port: u16) -> Result<bool> {
        let opens = |rule: &String| {
            let [protocol, ports, peer] = rule.splitn(3, ' ').collect::<Vec<_>>()[..] else { return true };
            let range = ports.split_once('-').and_then(|(from, to)| Some(from.parse::<u16>().ok()?..=to.parse().ok()?));
            let in_range = protocol == "tcp" && range.is_some_and(|range| range.contains(&port));
            ["0.0.0.0/0", "::/0"].contains(&peer) && (protocol == "-1" || in_range)
        };
        Ok(self.rules(group).await?.iter().any(opens))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The cases that a group goes through which does not take every call.
    macro_rules! group_cases {
        ($subject:ty) => {
            crate::rule_cases!($subject: a_violating_resource_is_fixed, a_complying_resource_is_left_alone,
                a_resource_that_is_gone_is_gone, every_form_of_the_name_works, throttled_and_then_fine,
                run_twice_the_second_finds_nothing_to_do, two_runs_at_once_end_in_the_same_state,
                undone_it_is_as_it_was_also_twice, mode_plan_writes_nothing, its_tags_are_read);
        };
    }

    mod revoked {
        group_cases!(super::Revoked);
    }

    mod narrowed {
        group_cases!(super::Narrowed);
    }

    mod mixed {
        crate::rule_cases!(super::Mixed: each_permission_taken_away_is_named, a_violating_resource_is_fixed,
            a_resource_that_is_gone_is_gone, the_manifest_has_exactly_the_permissions_that_are_used,
            throttled_and_then_fine, undone_it_is_as_it_was_also_twice);
    }
}
