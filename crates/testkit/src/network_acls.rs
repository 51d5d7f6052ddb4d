//! Network ACLs with entries, for tests.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, NetworkAcl, NetworkAclEntry, PortRange, ResourceType, RuleAction, Tag};
use serde_json::{Value, json};

use crate::Result;
use crate::account::Account;
use crate::vpcs::{Vpcs, named};

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
