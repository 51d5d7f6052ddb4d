//! EC2's network ACLs. Each is a VPC's default one, and a subnet has it.

use std::fmt::Write as _;

use super::call::{Call, Form, Output, Refusal, Result, unknown};
use super::{Things, ec2_id};

/// The network ACLs.
#[derive(Debug, Default)]
pub(crate) struct Acls(Things<Acl>);

#[derive(Debug)]
struct Acl {
    vpc: String,
    subnet: String,
    /// The inbound ones.
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    number: u16,
    action: &'static str,
    /// The port of TCP; none for all traffic.
    port: Option<u16>,
}

impl Acls {
    /// Makes an ACL that lets in everything, and HTTPS besides, so that nobody is cut off; gives its ID.
    pub(crate) fn violate(&mut self, account: &str, n: usize) -> String {
        let entry = |number, action, port| Entry { number, action, port };
        let entries = vec![entry(100, "allow", None), entry(110, "allow", Some(443)), entry(32_767, "deny", None)];
        self.0.insert(account, ec2_id("acl", n), Acl { vpc: ec2_id("vpc", n), subnet: ec2_id("subnet", n), entries })
    }

    pub(crate) fn answer(&mut self, call: &Call, account: &str) -> Result<Output> {
        let form = call.form()?;
        match call.operation.as_str() {
            "DescribeNetworkAcls" => self.describe(form, account),
            "DeleteNetworkAclEntry" => self.delete(form, account),
            other => Err(unknown(other)),
        }
    }

    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeNetworkAcls.html>
    fn describe(&self, form: &Form, account: &str) -> Result<Output> {
        let named = form.list("NetworkAclId");
        let ids = form.filter("network-acl-id").unwrap_or_else(|| named.clone());
        if let Some(missing) = named.iter().find(|id| self.0.get(account, id).is_none()) {
            return Err(missing_acl(missing));
        }
        let items = ids.into_iter().filter_map(|id| Some((id, self.0.get(account, id)?)));
        let items = items.fold(String::new(), |mut text, (id, Acl { vpc, subnet, entries })| {
            let entries: String = entries.iter().map(Entry::item).collect();
            let _ = write!(
                text,
                "<item><networkAclId>{id}</networkAclId><vpcId>{vpc}</vpcId><default>true</default>\
                 <ownerId>{account}</ownerId><entrySet>{entries}</entrySet><associationSet><item>\
                 <networkAclAssociationId>aclassoc-1</networkAclAssociationId><networkAclId>{id}</networkAclId>\
                 <subnetId>{subnet}</subnetId></item></associationSet><tagSet/></item>"
            );
            text
        });
        Ok(Output::Xml(format!("<networkAclSet>{items}</networkAclSet>")))
    }

    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteNetworkAclEntry.html>
    fn delete(&mut self, form: &Form, account: &str) -> Result<Output> {
        let id = form.required("NetworkAclId")?;
        let acl = self.0.get_mut(account, id).ok_or_else(|| missing_acl(id))?;
        let number = form.required("RuleNumber")?;
        let is_meant = |entry: &Entry| form.text("Egress") == Some("false") && entry.number.to_string() == number;
        let before = acl.entries.len();
        acl.entries.retain(|entry| !is_meant(entry) || entry.number == 32_767);
        if acl.entries.len() == before {
            return Err(Refusal::new(400, "InvalidNetworkAclEntry.NotFound", "there is no such entry"));
        }
        Ok(Output::Xml("<return>true</return>".into()))
    }
}

fn missing_acl(id: &str) -> Refusal {
    Refusal::new(400, "InvalidNetworkAclID.NotFound", format!("The networkAcl ID '{id}' does not exist"))
}

impl Entry {
    fn item(&self) -> String {
        let Self { number, action, port } = self;
        let (protocol, ports) = match port {
            Some(port) => ("6", format!("<portRange><from>{port}</from><to>{port}</to></portRange>")),
            None => ("-1", String::new()),
        };
        format!(
            "<item><ruleNumber>{number}</ruleNumber><protocol>{protocol}</protocol><ruleAction>{action}</ruleAction>\
             <egress>false</egress><cidrBlock>0.0.0.0/0</cidrBlock>{ports}</item>"
        )
    }
}
