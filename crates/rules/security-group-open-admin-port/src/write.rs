//! The calls that write.

use std::collections::BTreeMap;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{
    IpPermission, IpRange, Ipv6Range, ResourceType, SecurityGroupRuleRequest, SecurityGroupRuleUpdate, Tag,
    TagSpecification,
};
use remediation::{Error, ErrorKind, Result, Side, call};

use crate::change::{Change, Modify, Steps, list};
use crate::ingress::{Everyone, IngressRule, Protocol, Tags};
use crate::look::{DESCRIBE_RULES, GONE, for_everyone};

const AUTHORIZE: &str = "ec2:AuthorizeSecurityGroupIngress";
const MODIFY: &str = "ec2:ModifySecurityGroupRules";
const REVOKE: &str = "ec2:RevokeSecurityGroupIngress";
const NO_SUCH_ID: &str = "InvalidSecurityGroupRuleId.NotFound";
const NO_SUCH_RULE: [&str; 2] = ["InvalidPermission.NotFound", NO_SUCH_ID];

/// Writes what a change still comes to. Rules are added only to narrow a wider one, so they are taken back where the
/// rest is refused, or where somebody else has removed or changed that one in the meantime.
pub(crate) async fn write(ec2: &Client, group: &str, change: &Change) -> Result<()> {
    let before = for_everyone(ec2, group).await?;
    let Some(steps) = change.steps(&before)? else { return Err(Error::unneeded(DESCRIBE_RULES)) };
    let writer = Writer { ec2, group, change };
    let mut added = Vec::new();
    let written = writer.write(&before, &steps, &mut added).await;
    match written {
        Err(Stopped { error, added: Added::Unwanted }) if !added.is_empty() => {
            Err(writer.take_back(&added, error).await)
        }
        Err(Stopped { error, added: Added::Needed }) if !added.is_empty() => {
            let message = format!("{} (added before that, and still there: {})", error.message, list(&added));
            Err(Error { message, ..error })
        }
        Err(Stopped { error, .. }) => Err(error),
        Ok(()) => Ok(()),
    }
}

/// Why a change was not written to its end.
struct Stopped {
    error: Error,
    added: Added,
}

/// What becomes of the rules that were added for a change which was not written to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Added {
    /// They are taken back.
    Unwanted,
    /// They stay: the wide rule may just have been narrowed, and then they alone keep the rest open.
    Needed,
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self { error, added: Added::Unwanted }
    }
}

/// Writes one change of one group.
struct Writer<'a> {
    ec2: &'a Client,
    group: &'a str,
    change: &'a Change,
}

impl Writer<'_> {
    /// Writes the steps of the change to a group that lets everyone in by `before`.
    async fn write(
        &self,
        before: &[(IngressRule, String)],
        Steps { add, modify, revoke }: &Steps,
        added: &mut Vec<IngressRule>,
    ) -> Result<(), Stopped> {
        self.add_all(add, added).await?;
        if let Some(modify) = modify {
            // Without an add, the group was looked at just now.
            let now = if added.is_empty() { None } else { Some(for_everyone(self.ec2, self.group).await?) };
            self.replace(before, now.as_deref(), modify).await?;
        }
        Ok(revoke_all(self.ec2, self.group, revoke).await?)
    }

    /// Adds rules, and says in `added` which it did or may have done; one that is there already stays as it is.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html>
    async fn add_all(&self, rules: &[IngressRule], added: &mut Vec<IngressRule>) -> Result<()> {
        // The tags of a call are those of all the rules that it adds.
        let mut by_tags: BTreeMap<&Tags, Vec<&IngressRule>> = BTreeMap::new();
        for rule in rules {
            by_tags.entry(&rule.tags).or_default().push(rule);
        }
        for (tags, rules) in by_tags {
            // A call adds all of its rules or none.
            if !self.add(tags, &rules, added).await? && rules.len() > 1 {
                for rule in rules {
                    self.add(tags, &[rule], added).await?;
                }
            }
        }
        Ok(())
    }

    async fn add(&self, tags: &Tags, rules: &[&IngressRule], added: &mut Vec<IngressRule>) -> Result<bool> {
        let answer = add(self.ec2, self.group, tags, rules).await;
        // Without an answer they may have been added after all.
        let may_be_there = match &answer {
            Ok(done) => *done,
            Err(error) => error.kind == ErrorKind::Transient,
        };
        if may_be_there {
            added.extend(rules.iter().copied().cloned());
        }
        answer
    }

    /// Makes one rule another; `now` is how the group stands after an add. A modify goes by the rule's ID alone, so who
    /// has changed that rule since, and perhaps closed something by that, would be overruled.
    async fn replace(
        &self,
        before: &[(IngressRule, String)],
        now: Option<&[(IngressRule, String)]>,
        Modify { id, becomes }: &Modify,
    ) -> Result<(), Stopped> {
        if let Some(now) = now
            && !self.change.is_undisturbed(before, now)
        {
            return self.unless_done(now);
        }
        match modify(self.ec2, self.group, id, becomes).await {
            Ok(Modified::Done) => Ok(()),
            Ok(Modified::Refused) => {
                // Somebody has added what it was to become, or has removed it. A fresh look tells which.
                let now = for_everyone(self.ec2, self.group).await?;
                let taken = now.iter().find(|(rule, of)| of == id && rule.is_in(&self.change.take));
                match taken {
                    Some(_) if becomes.is_in(&rules(&now)) => {
                        Ok(revoke_all(self.ec2, self.group, std::slice::from_ref(id)).await?)
                    }
                    _ => self.unless_done(&now),
                }
            }
            Err(error) if error.kind == ErrorKind::Transient => self.after_no_answer(id, becomes, error).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Without an answer the rule may have changed or not: a fresh look tells, where it can.
    async fn after_no_answer(&self, id: &str, becomes: &IngressRule, error: Error) -> Result<(), Stopped> {
        let Ok(now) = for_everyone(self.ec2, self.group).await else {
            return Err(Stopped { error, added: Added::Needed });
        };
        match now.iter().find(|(_, of)| of == id) {
            Some((rule, _)) if rule.is_same_as(becomes) => Ok(()),
            // The call may still be under way. Until then, the wide rule lets in all that was added.
            Some((rule, _)) if rule.is_in(&self.change.take) => Err(Stopped { error, added: Added::Needed }),
            _ => self.unless_done(&now),
        }
    }

    /// The change was not written by us alone: that is well only where it is done, as by another run of the same plan.
    fn unless_done(&self, now: &[(IngressRule, String)]) -> Result<(), Stopped> {
        if self.change.side(now.iter().map(|(rule, _)| rule)) == Side::After {
            return Ok(());
        }
        let message = format!(
            "somebody else changed the group while {} was being replaced, so it was left as they made it; the next run \
             will plan it again",
            list(&self.change.take)
        );
        Err(Error::not_now(DESCRIBE_RULES, message).into())
    }

    /// Takes back what was added before `error`; gives the error that says so. It goes by what the rules let in and not by
    /// their IDs: a look right after an add need not show them yet.
    async fn take_back(&self, added: &[IngressRule], error: Error) -> Error {
        let rules = list(added);
        match revoke_same(self.ec2, self.group, added).await {
            Ok(()) => {
                let message = format!("{} (what had been added before that was taken back: {rules})", error.message);
                Error { message, ..error }
            }
            Err(also) => {
                let message = format!(
                    "{} (what had been added before that could not be taken back, so it is still there: {rules}; revoke \
                     it unless the group is meant to let that in. Taking it back failed with {also})",
                    error.message
                );
                let kind = match error.kind {
                    // It may still be revoked, after a look that shows it.
                    _ if also.is_unanswered() => ErrorKind::Unfinished,
                    // What stays open is no matter of time.
                    ErrorKind::NotNow => also.kind,
                    kind => kind,
                };
                Error { message, kind, ..error }
            }
        }
    }
}

fn rules(of: &[(IngressRule, String)]) -> Vec<IngressRule> {
    of.iter().map(|(rule, _)| rule.clone()).collect()
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

/// What became of a rule that was to change in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Modified {
    Done,
    /// The group has the rule already that it was to become, or does not have this one any more.
    Refused,
}

/// Makes another rule of the one of this ID, which keeps its tags.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifySecurityGroupRules.html>
async fn modify(ec2: &Client, group: &str, id: &str, rule: &IngressRule) -> Result<Modified> {
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
    let refusals = ["InvalidPermission.Duplicate", NO_SUCH_ID];
    let is_done = done_unless(call(MODIFY, || request.clone().send()).await, &refusals)?;
    Ok(if is_done { Modified::Done } else { Modified::Refused })
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
    done_unless(call(REVOKE, || request.clone().send()).await, &NO_SUCH_RULE)
}

/// Revokes rules that let in the same; what is gone already is no error.
async fn revoke_same(ec2: &Client, group: &str, rules: &[IngressRule]) -> Result<()> {
    let revoke = async |rules: &[IngressRule]| {
        let permissions = rules.iter().map(permission).collect();
        let request = ec2.revoke_security_group_ingress().group_id(group).set_ip_permissions(Some(permissions));
        done_unless(call(REVOKE, || request.clone().send()).await, &NO_SUCH_RULE)
    };
    // A call revokes all of its rules or none; in a default VPC, those that are there.
    if !revoke(rules).await? && rules.len() > 1 {
        for rule in rules {
            revoke(std::slice::from_ref(rule)).await?;
        }
    }
    Ok(())
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
        "{} (the group is full: its quota \"Inbound or outbound rules per security group\", L-0EA8095F, has no room for \
         {count} more rule(s), which must be added first, so nothing wider was closed: have the quota raised, or remove \
         rules)",
        error.message
    );
    Error::out_of_reach(AUTHORIZE, message)
}
