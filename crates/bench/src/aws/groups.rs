//! EC2's security groups. None is of a default VPC, so that the runbook does not know their rules.

use std::fmt::Write as _;

use super::call::{Call, Form, Output, Refusal, Result, unknown};
use super::{Things, ec2_id};

/// The security groups.
#[derive(Debug, Default)]
pub(crate) struct Groups(Things<Group>);

#[derive(Debug)]
struct Group {
    vpc: String,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    id: String,
    port: u16,
    cidr: &'static str,
}

impl Groups {
    /// Makes a group that lets everyone in to SSH, and some to a web server; gives its ID.
    pub(crate) fn violate(&mut self, account: &str, n: usize) -> String {
        let rule = |m, port, cidr| Rule { id: ec2_id("sgr", n * 2 + m), port, cidr };
        let rules = vec![rule(0, 22, "0.0.0.0/0"), rule(1, 443, "10.0.0.0/8")];
        self.0.insert(account, ec2_id("sg", n), Group { vpc: ec2_id("vpc", n), rules })
    }

    pub(crate) fn answer(&mut self, call: &Call, account: &str) -> Result<Output> {
        let form = call.form()?;
        match call.operation.as_str() {
            "DescribeSecurityGroups" => self.describe(form, account),
            "DescribeSecurityGroupRules" => self.describe_rules(form, account),
            "RevokeSecurityGroupIngress" => self.revoke(form, account),
            other => Err(unknown(other)),
        }
    }

    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroups.html>
    fn describe(&self, form: &Form, account: &str) -> Result<Output> {
        let named = form.list("GroupId");
        let ids = form.filter("group-id").unwrap_or_else(|| named.clone());
        if let Some(missing) = named.iter().find(|id| self.0.get(account, id).is_none()) {
            let message = format!("The security group '{missing}' does not exist");
            return Err(Refusal::new(400, "InvalidGroup.NotFound", message));
        }
        let items = ids.into_iter().filter_map(|id| Some((id, self.0.get(account, id)?)));
        let items = items.fold(String::new(), |mut text, (id, Group { vpc, rules })| {
            let permissions: String = rules.iter().map(Rule::permission).collect();
            let _ = write!(
                text,
                "<item><ownerId>{account}</ownerId><groupId>{id}</groupId><groupName>group {id}</groupName>\
                 <groupDescription>for the benchmark</groupDescription><vpcId>{vpc}</vpcId>\
                 <ipPermissions>{permissions}</ipPermissions><ipPermissionsEgress/></item>"
            );
            text
        });
        Ok(Output::Xml(format!("<securityGroupInfo>{items}</securityGroupInfo>")))
    }

    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroupRules.html>
    fn describe_rules(&self, form: &Form, account: &str) -> Result<Output> {
        let groups = form.filter("group-id").ok_or_else(|| unknown("a list of every rule"))?;
        let rules = groups.iter().filter_map(|id| Some((id, self.0.get(account, id)?)));
        let rules = rules.flat_map(|(id, group)| group.rules.iter().map(move |rule| (id, rule)));
        let items = rules.fold(String::new(), |mut text, (group, Rule { id, port, cidr })| {
            let _ = write!(
                text,
                "<item><securityGroupRuleId>{id}</securityGroupRuleId><groupId>{group}</groupId>\
                 <groupOwnerId>{account}</groupOwnerId><isEgress>false</isEgress><ipProtocol>tcp</ipProtocol>\
                 <fromPort>{port}</fromPort><toPort>{port}</toPort><cidrIpv4>{cidr}</cidrIpv4></item>"
            );
            text
        });
        Ok(Output::Xml(format!("<securityGroupRuleSet>{items}</securityGroupRuleSet>")))
    }

    /// By rules' IDs, or by what they let in. All of them, or none.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RevokeSecurityGroupIngress.html>
    fn revoke(&mut self, form: &Form, account: &str) -> Result<Output> {
        let group = self.0.get_mut(account, form.required("GroupId")?);
        let group = group.ok_or_else(|| Refusal::new(400, "InvalidGroup.NotFound", "there is no such group"))?;
        let ids = form.list("SecurityGroupRuleId");
        let by_properties = (1..).map_while(|n| {
            let text = |name: &str| form.text(&format!("IpPermissions.{n}.{name}"));
            Some((text("FromPort")?, text("IpRanges.1.CidrIp")?))
        });
        let by_properties: Vec<_> = by_properties.collect();
        let is_meant = |rule: &Rule| {
            let port = rule.port.to_string();
            ids.contains(&rule.id.as_str()) || by_properties.contains(&(port.as_str(), rule.cidr))
        };
        let meant = group.rules.iter().filter(|rule| is_meant(rule)).count();
        if meant == 0 || meant < ids.len() + by_properties.len() {
            let code =
                if ids.is_empty() { "InvalidPermission.NotFound" } else { "InvalidSecurityGroupRuleId.NotFound" };
            return Err(Refusal::new(400, code, "there is no such rule"));
        }
        group.rules.retain(|rule| !is_meant(rule));
        Ok(Output::Xml("<return>true</return>".into()))
    }
}

impl Rule {
    fn permission(&self) -> String {
        let Self { port, cidr, .. } = self;
        format!(
            "<item><ipProtocol>tcp</ipProtocol><fromPort>{port}</fromPort><toPort>{port}</toPort><groups/>\
             <ipRanges><item><cidrIp>{cidr}</cidrIp></item></ipRanges><ipv6Ranges/><prefixListIds/></item>"
        )
    }
}
