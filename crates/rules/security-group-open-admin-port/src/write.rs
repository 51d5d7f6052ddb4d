//! The calls that write.

use std::collections::BTreeMap;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{
    IpPermission, IpRange, Ipv6Range, ResourceType, SecurityGroupRuleRequest, SecurityGroupRuleUpdate, Tag,
    TagSpecification,
};
use remediation::{Error, ErrorKind, Result, call};

use crate::change::{Change, Steps, list};
use crate::ingress::{Everyone, IngressRule, Protocol, Tags};
use crate::look::{GONE, for_everyone};

const AUTHORIZE: &str = "ec2:AuthorizeSecurityGroupIngress";
const MODIFY: &str = "ec2:ModifySecurityGroupRules";
const REVOKE: &str = "ec2:RevokeSecurityGroupIngress";

/// Writes what a change still comes to. What is refused after rules were added takes them back.
pub(crate) async fn write(ec2: &Client, change: &Change) -> Result<()> {
    let group = change.group.as_str();
    let Some(steps) = change.steps(&for_everyone(ec2, group).await?)? else { return Ok(()) };
    let mut added = Vec::new();
    let written = match add_all(ec2, group, &steps.add, &mut added).await {
        Ok(()) => replace(ec2, change, steps).await,
        Err(error) => Err(error),
    };
    match written {
        // What an undo added is what it is for.
        Err(error) if !change.undoes && !added.is_empty() => Err(take_back(ec2, change, &added, error).await),
        written => written,
    }
}

/// Adds rules to a group, and says in `added` which it did; one that is there already stays as it is.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html>
async fn add_all(ec2: &Client, group: &str, rules: &[IngressRule], added: &mut Vec<IngressRule>) -> Result<()> {
    // The tags of a call are those of all the rules that it adds.
    let mut by_tags: BTreeMap<&Tags, Vec<&IngressRule>> = BTreeMap::new();
    for rule in rules {
        by_tags.entry(&rule.tags).or_default().push(rule);
    }
    for (tags, rules) in by_tags {
        // A call adds all of its rules or none.
        if add(ec2, group, tags, &rules).await? {
            added.extend(rules.into_iter().cloned());
        } else if rules.len() > 1 {
            for rule in rules {
                if add(ec2, group, tags, &[rule]).await? {
                    added.push(rule.clone());
                }
            }
        }
    }
    Ok(())
}

/// Whether the rules were added; not where one of them is there already.
async fn add(ec2: &Client, group: &str, tags: &Tags, rules: &[&IngressRule]) -> Result<bool> {
    let specification = (!tags.is_empty()).then(|| {
        let tags = tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
        let of = TagSpecification::builder().resource_type(ResourceType::SecurityGroupRule).set_tags(Some(tags));
        vec![of.build()]
    });
    let request = ec2.authorize_security_group_ingress().group_id(group).set_tag_specifications(specification);
    let request = request.set_ip_permissions(Some(rules.iter().map(|rule| permission(rule)).collect()));
    let answer = call(AUTHORIZE, || request.clone().send()).await;
    done_unless(answer, &["InvalidPermission.Duplicate"]).map_err(|error| without_room(error, rules.len()))
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

/// Changes the one rule in place, and revokes the others.
async fn replace(ec2: &Client, change: &Change, steps: Steps) -> Result<()> {
    let group = change.group.as_str();
    let mut revoke = steps.revoke;
    if let Some((id, rule)) = &steps.modify
        && !modify(ec2, group, id, rule).await?
    {
        // Somebody has added it in the meantime: then there is nothing for the rule to become. Who was faster may also
        // have changed this very rule, so a fresh look says whether it is still the one that goes.
        let present = for_everyone(ec2, group).await?;
        revoke.extend(present.into_iter().filter(|(rule, of)| of == id && rule.is_in(&change.take)).map(|(_, id)| id));
    }
    revoke_all(ec2, group, &revoke).await
}

/// Makes another rule of the one of this ID, which keeps its tags. False where the group has that rule already.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifySecurityGroupRules.html>
async fn modify(ec2: &Client, group: &str, id: &str, rule: &IngressRule) -> Result<bool> {
    let becomes = SecurityGroupRuleRequest::builder().ip_protocol(rule.protocol.name());
    let becomes = match rule.protocol {
        Protocol::All => becomes,
        _ => becomes.from_port(rule.from_port).to_port(rule.to_port),
    };
    let becomes = match rule.from {
        Everyone::Ipv4 => becomes.cidr_ipv4(rule.from.cidr()),
        Everyone::Ipv6 => becomes.cidr_ipv6(rule.from.cidr()),
    };
    let becomes = becomes.set_description(rule.description.clone()).build();
    let update = SecurityGroupRuleUpdate::builder().security_group_rule_id(id).security_group_rule(becomes).build();
    let request = ec2.modify_security_group_rules().group_id(group).security_group_rules(update);
    done_unless(call(MODIFY, || request.clone().send()).await, &["InvalidPermission.Duplicate"])
}

/// Revokes rules by their IDs; what is gone already is no error.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RevokeSecurityGroupIngress.html>
async fn revoke_all(ec2: &Client, group: &str, ids: &[String]) -> Result<()> {
    // A call revokes all of its rules or none.
    if !ids.is_empty() && !revoke(ec2, group, ids).await? && ids.len() > 1 {
        for id in ids {
            revoke(ec2, group, std::slice::from_ref(id)).await?;
        }
    }
    Ok(())
}

/// Whether the rules were revoked; not where one of them is gone already.
async fn revoke(ec2: &Client, group: &str, ids: &[String]) -> Result<bool> {
    let request = ec2.revoke_security_group_ingress().group_id(group).set_security_group_rule_ids(Some(ids.to_vec()));
    let answer = call(REVOKE, || request.clone().send()).await;
    done_unless(answer, &["InvalidPermission.NotFound", "InvalidSecurityGroupRuleId.NotFound"])
}

/// Takes back what was added before `error`, so that the group ends as it was; gives the error that says so.
async fn take_back(ec2: &Client, change: &Change, added: &[IngressRule], error: Error) -> Error {
    let rules = list(added);
    // Without an answer it may have been done after all, and then these are what keeps the rest open.
    if error.kind == ErrorKind::Transient {
        let message = format!("{} (added before that, and still there: {rules})", error.message);
        return Error { message, ..error };
    }
    let ids = async {
        let present = for_everyone(ec2, &change.group).await?.into_iter();
        let ids: Vec<_> = present.filter(|(rule, _)| rule.is_in(added)).map(|(_, id)| id).collect();
        revoke_all(ec2, &change.group, &ids).await
    };
    let what = match ids.await {
        Ok(()) => format!("what had been added before that was taken back: {rules}"),
        Err(also) => format!(
            "what had been added before that could not be taken back, so it is still there: {rules}; it lets in nobody \
             whom the group did not let in before. Taking it back failed with {also}"
        ),
    };
    Error { message: format!("{} ({what})", error.message), ..error }
}

/// Whether it was done; not where one of `codes` says that somebody else was faster.
fn done_unless<T>(answer: Result<T>, codes: &[&str]) -> Result<bool> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.code.as_deref().is_some_and(|code| codes.contains(&code)) => Ok(false),
        Err(error) => Err(error.gone_if(&GONE)),
    }
}

/// A full group is nothing that passes, and nothing that another try changes.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups>
fn without_room(error: Error, count: usize) -> Error {
    if error.code.as_deref() != Some("RulesPerSecurityGroupLimitExceeded") {
        return error;
    }
    let message = format!(
        "{} (the group is full: {count} more rules are needed than its quota \"Inbound or outbound rules per security \
         group\", L-0EA8095F, has room for, so nothing wider was closed for them: have the quota raised, or remove \
         rules)",
        error.message
    );
    Error::out_of_reach(AUTHORIZE, message)
}
