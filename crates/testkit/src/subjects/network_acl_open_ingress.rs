//! Network ACLs with entries: `network-acl-open-ingress`.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, NetworkAcl, NetworkAclEntry, PortRange, ResourceType, RuleAction, Tag};
use rules::network_acl_open_ingress::NetworkAclOpenIngress;
use serde_json::{Value, json};

use super::vpc_without_flow_logs::{Vpcs, named};
use super::{AnySubject, Subject};
use crate::Result;
use crate::account::Account;

/// The subject of each control.
pub const SUBJECTS: &[AnySubject] = &[AnySubject::of::<DefaultAcl>(), AnySubject::of::<SubnetsAcl>()];
/// All addresses, of both families.
const EVERYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// What the subjects have in common: ACLs, which must not let in everything from everywhere.
macro_rules! of_acl {
    () => {
        const THROTTLED: (&str, &[&str]) =
            ("RequestLimitExceeded", &["ec2:DescribeNetworkAcls", "ec2:DescribeSubnets", "ec2:DeleteNetworkAclEntry"]);

        /// The last inbound allow goes without a person's approval.
        fn settings() -> Value {
            json!({"guard_last_allow": "warn"})
        }

        fn gone(_: &Account) -> String {
            "acl-0123456789abcdef0".into()
        }

        fn names(account: &Account, resource: &str) -> Vec<String> {
            vec![resource.to_owned(), arn(account, resource), "named".into()]
        }

        async fn tag(account: &Account, resource: &str, key: &str, value: &str) -> Result<()> {
            account.tag_ec2(resource, key, value).await
        }

        async fn describe(account: &Account, resource: &str) -> Result<Value> {
            NetworkAcls::of(account).described(resource).await
        }

        async fn complies(account: &Account, resource: &str) -> Result<bool> {
            let allowed = NetworkAcls::of(account).allowed(resource).await?;
            let is_open = |entry: &String| EVERYWHERE.iter().any(|from| entry.ends_with(&format!(" -1 {from}")));
            Ok(!allowed.iter().any(is_open))
        }
    };
}

/// A default ACL, as EC2 makes it, with a subnet.
#[derive(Debug)]
pub struct DefaultAcl;

impl Subject for DefaultAcl {
    type Rule = NetworkAclOpenIngress;
    const NAME: &'static str = "office";
    const FOUND: &'static str = "a default ACL as AWS makes it: everything may come in";

    async fn violating(account: &Account, name: &str) -> Result<String> {
        NetworkAcls::of(account).make_default(name, false).await
    }

    async fn complying(account: &Account, name: &str) -> Result<String> {
        let acls = NetworkAcls::of(account);
        let acl = acls.make_default(name, false).await?;
        acls.remove(&acl, 100).await?;
        Ok(acl)
    }

    of_acl!();
}

/// An ACL that is no default, with a subnet, open to IPv4 and IPv6.
#[derive(Debug)]
pub struct SubnetsAcl;

impl Subject for SubnetsAcl {
    type Rule = NetworkAclOpenIngress;
    const CONTROL: usize = 1;
    const NAME: &'static str = "backend";
    const FOUND: &'static str = "a subnet's ACL that lets everything in";

    async fn violating(account: &Account, name: &str) -> Result<String> {
        let acls = NetworkAcls::of(account);
        let acl = acls.make_in_use(name).await?;
        acls.add(&acl, 100, RuleAction::Allow, "-1", "0.0.0.0/0").await?;
        acls.add(&acl, 200, RuleAction::Allow, "-1", "::/0").await?;
        Ok(acl)
    }

    async fn complying(account: &Account, name: &str) -> Result<String> {
        let acls = NetworkAcls::of(account);
        let acl = acls.make_in_use(name).await?;
        acls.add(&acl, 100, RuleAction::Allow, "-1", "10.0.0.0/8").await?;
        Ok(acl)
    }

    of_acl!();
}

fn arn(account: &Account, acl: &str) -> String {
    format!("arn:{}:ec2:{}:{}:network-acl/{acl}", account.partition(), account.region, account.id)
}

/// The network ACLs of one account, with its full rights.
#[derive(Debug)]
pub struct NetworkAcls {
    /// EC2 with the account's full rights.
    pub ec2: Client,
    /// The VPCs that they belong to.
    pub vpcs: Vpcs,
}

impl NetworkAcls {
    /// Those of `account`.
    pub fn of(account: &Account) -> Self {
        Self { ec2: Client::new(&account.config), vpcs: Vpcs::of(account) }
    }

    /// Makes a VPC with one subnet, named `subnet of <name>`, and gives the ID of its default ACL, as EC2 makes it: open.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn make_default(&self, name: &str, ipv6: bool) -> Result<String> {
        let vpc = self.vpcs.make(name, ipv6).await?;
        self.vpcs.make_subnet(&vpc, 1, &format!("subnet of {name}")).await?;
        let acl = self.first(&[("vpc-id", &vpc), ("default", "true")]).await?;
        let id = acl.network_acl_id.ok_or("an ACL without an ID")?;
        let tag = Tag::builder().key("Name").value(name).build();
        self.ec2.create_tags().resources(&id).tags(tag).send().await?;
        Ok(id)
    }

    /// Makes a VPC with an ACL in it that has no entries but the catch-all denies and no subnet; gives the VPC's ID and
    /// the ACL's.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn make_custom(&self, name: &str) -> Result<(String, String)> {
        let vpc = self.vpcs.make(name, false).await?;
        let call = self.ec2.create_network_acl().vpc_id(&vpc);
        let made = call.tag_specifications(named(ResourceType::NetworkAcl, name)).send().await?;
        let acl = made.network_acl.and_then(|acl| acl.network_acl_id).ok_or("CreateNetworkAcl gave no ACL")?;
        Ok((vpc, acl))
    }

    /// Makes such an ACL with a subnet, and gives its ID.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn make_in_use(&self, name: &str) -> Result<String> {
        let (vpc, acl) = self.make_custom(name).await?;
        self.associate(&vpc, 1, &acl).await?;
        Ok(acl)
    }

    /// Makes the `number`th subnet of the VPC and associates it with the ACL; gives the subnet's ID.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn associate(&self, vpc: &str, number: u8, acl: &str) -> Result<String> {
        let subnet = self.vpcs.make_subnet(vpc, number, &format!("subnet {number}")).await?;
        let found = self.first(&[("association.subnet-id", &subnet)]).await?;
        let of_subnet = found.associations().iter().find(|of| of.subnet_id() == Some(subnet.as_str()));
        let id = of_subnet.and_then(|of| of.network_acl_association_id()).ok_or("the subnet has no association")?;
        self.ec2.replace_network_acl_association().association_id(id).network_acl_id(acl).send().await?;
        Ok(subnet)
    }

    /// Adds an inbound entry; `protocol` is `-1` for all, or one's number, for TCP and UDP with ports: `6 443-443`.
    ///
    /// # Errors
    ///
    /// The form is another, or EC2 refuses.
    pub async fn add(&self, acl: &str, number: i32, action: RuleAction, protocol: &str, source: &str) -> Result<()> {
        let call = self.ec2.create_network_acl_entry().network_acl_id(acl).rule_number(number).egress(false);
        let (protocol, ports) = protocol.split_once(' ').map_or((protocol, None), |(of, ports)| (of, Some(ports)));
        let call = call.protocol(protocol).rule_action(action);
        let call = match ports.map(|ports| ports.split_once('-').ok_or("ports are a range")).transpose()? {
            Some((from, to)) => call.port_range(PortRange::builder().from(from.parse()?).to(to.parse()?).build()),
            None => call,
        };
        let call = if source.contains(':') { call.ipv6_cidr_block(source) } else { call.cidr_block(source) };
        call.send().await?;
        Ok(())
    }

    /// Deletes an inbound entry.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn remove(&self, acl: &str, number: i32) -> Result<()> {
        let call = self.ec2.delete_network_acl_entry().network_acl_id(acl).rule_number(number).egress(false);
        call.send().await?;
        Ok(())
    }

    /// The inbound entries of an ACL that allow something, each as `number protocol source`.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn allowed(&self, acl: &str) -> Result<Vec<String>> {
        let entries = self.get(acl).await?.entries.unwrap_or_default();
        let allowed = entries.iter().filter(|of| of.egress == Some(false) && of.rule_action == Some(RuleAction::Allow));
        let text = |of: &NetworkAclEntry| {
            let source = of.cidr_block().or(of.ipv6_cidr_block()).unwrap_or_default();
            format!("{} {} {source}", of.rule_number.unwrap_or_default(), of.protocol().unwrap_or_default())
        };
        Ok(allowed.map(text).collect())
    }

    /// Every entry of an ACL, outbound ones included, and its subnets.
    ///
    /// # Errors
    ///
    /// EC2 refuses.
    pub async fn described(&self, acl: &str) -> Result<Value> {
        let acl = self.get(acl).await?;
        let entry = |of: &NetworkAclEntry| {
            let ports = of.port_range().map(|ports| json!([ports.from, ports.to]));
            json!({
                "number": of.rule_number, "outbound": of.egress, "protocol": of.protocol, "ports": ports,
                "action": of.rule_action().map(RuleAction::as_str), "ipv4": of.cidr_block, "ipv6": of.ipv6_cidr_block,
            })
        };
        let entries: Vec<_> = acl.entries().iter().map(entry).collect();
        let subnets: Vec<_> = acl.associations().iter().map(|of| of.subnet_id()).collect();
        Ok(json!({"entries": entries, "subnets": subnets}))
    }

    async fn get(&self, acl: &str) -> Result<NetworkAcl> {
        self.first(&[("network-acl-id", acl)]).await
    }

    async fn first(&self, filters: &[(&str, &str)]) -> Result<NetworkAcl> {
        let filters = filters.iter().map(|(name, value)| Filter::builder().name(*name).values(*value).build());
        let found = self.ec2.describe_network_acls().set_filters(Some(filters.collect())).send().await?;
        Ok(found.network_acls.unwrap_or_default().into_iter().next().ok_or("there is no such network ACL")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    mod default_acl {
        crate::rule_cases!(super::DefaultAcl);
    }

    mod subnets_acl {
        crate::rule_cases!(super::SubnetsAcl);
    }
}
