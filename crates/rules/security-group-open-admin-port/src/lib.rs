//! The rule `security-group-open-admin-port`: a security group that lets everyone in to SSH (22) or RDP (3389).
//!
//! A rule for the port alone is revoked. A wider one, of a range of ports or of all traffic, is narrowed: rules for
//! everything but the port are added, and then it is revoked. Invariants:
//!
//! - only inbound rules for 0.0.0.0/0 and ::/0 are changed, and of them only those that open the port of the finding's
//!   own control; a rule is told by its properties, so that one which was changed since it was planned stays;
//! - what narrows a rule is there before it is revoked, and is added only while that rule is there; a narrower rule that
//!   was there before is in no change, so that undo leaves it alone;
//! - the runbook revokes SSH and RDP for everyone at once, so it is used only where that is what the plan says: the
//!   rules of its kind that the group has are all to be revoked. In a VPC that is not a default one it revokes nothing
//!   unless all four of them exist, and then two are the other control's: there, and for what it does not know or does
//!   not do, the rules are revoked directly.

mod admin_port;
mod api;
mod ingress;
mod named;

use std::collections::BTreeMap;
use std::fmt;

use remediation::{ErrorKind, Finding, Guard, Proposal, Result, Rule, Target};
use runbook::Runbooks;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::ingress::{Everyone, IngressRule, Protocol, Tags};

use crate::admin_port::AdminPort;
use crate::api::{Group, Interface};

/// <https://docs.aws.amazon.com/systems-manager-automation-runbooks/latest/userguide/automation-aws-disablepublicaccessforsecuritygroup.html>
const RUNBOOK: &str = "AWS-DisablePublicAccessForSecurityGroup";
/// The ports that the runbook closes, for TCP.
const RUNBOOK_PORTS: [i32; 2] = [22, 3389];
/// The partition for which the runbook's page says that it is not there.
const WITHOUT_RUNBOOK: &str = "aws-cn";

/// So many network interfaces the guard names.
const NAMED_INTERFACES: usize = 5;

/// The rule.
#[derive(Debug)]
pub struct SecurityGroupOpenAdminPort;

/// What is done with a rule that opens more than the admin port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WideRules {
    /// All but the admin port stays open.
    #[default]
    Narrow,
    /// The whole rule is revoked.
    Revoke,
    /// It stays, for a person to decide.
    Hold,
}

/// The rule's own settings.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether rules for ::/0 count, which the controls' names do not mention.
    pub ipv6: bool,
    /// What is done with a rule that opens more than the admin port.
    pub wide_rules: WideRules,
    /// What is done where the group protects network interfaces that are in use.
    pub guard_in_use: Guard,
}

impl Default for Settings {
    fn default() -> Self {
        Self { ipv6: true, wide_rules: WideRules::default(), guard_in_use: Guard::default() }
    }
}

/// The clients of one session.
#[derive(Debug)]
pub struct Client {
    ec2: aws_sdk_ec2::Client,
    runbooks: Runbooks,
    partition: &'static str,
}

/// What is done with the rules of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Write {
    /// They are added.
    Authorize,
    /// They are revoked.
    Revoke,
}

/// Adds rules to one security group, or revokes rules of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The security group's ID.
    pub group: String,
    /// What is done with the rules.
    pub write: Write,
    /// The rules, as they were found or as they will be.
    pub rules: Vec<IngressRule>,
    /// Whether the runbook does it, where it is revoking.
    pub runbook: bool,
    /// The wider rule that the rules are added for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub narrowed: Option<IngressRule>,
}

impl Rule for SecurityGroupOpenAdminPort {
    const MANIFEST: &'static str = include_str!("../rule.json");
    type Settings = Settings;
    type Client = Client;
    type Change = Change;

    fn client(target: &Target) -> Client {
        let ec2 = aws_sdk_ec2::Client::new(&target.config);
        Client { ec2, runbooks: Runbooks::new(target), partition: target.partition }
    }

    async fn plan(client: &Client, finding: &Finding, settings: &Settings) -> Result<Proposal<Change>> {
        let port: AdminPort = finding.parameters::<Self, _>()?;
        let group = api::find(&client.ec2, &named::parse(finding)?, finding).await?;
        let present = open_rules(client, &group.id).await?;
        let mut proposal = Proposal::default();
        let (counted, left): (Vec<_>, Vec<_>) = present
            .iter()
            .filter(|rule| port.is_opened_by(rule))
            .cloned()
            .partition(|rule| settings.ipv6 || rule.from == Everyone::Ipv4);
        let left = left.iter().map(|rule| format!("{rule} stays: the setting `ipv6` is false"));
        proposal.notes.extend(left);
        let (exact, wide): (Vec<_>, Vec<_>) = counted.into_iter().partition(|rule| port.is_all_of(rule));
        // First, so that they go also where a wide rule cannot be narrowed, and make room for the narrower ones.
        proposal.changes = revoke_exact(client, &group, &present, exact).await?;
        replace_wide(&group.id, present, wide, &port, settings.wide_rules, &mut proposal);
        if !proposal.changes.is_empty() && settings.guard_in_use.is_on() {
            let interfaces = api::interfaces_in_use(&client.ec2, &group.id).await?;
            if !interfaces.is_empty() {
                proposal.guard(settings.guard_in_use, in_use(&interfaces));
            }
        }
        Ok(proposal)
    }

    async fn tags(client: &Client, finding: &Finding) -> Result<BTreeMap<String, String>> {
        Ok(api::find(&client.ec2, &named::parse(finding)?, finding).await?.tags)
    }

    async fn apply(client: &Client, change: &Change) -> Result<()> {
        if change.write == Write::Authorize {
            return if is_still_wanted(client, change).await? {
                api::authorize(&client.ec2, &change.group, &change.rules).await
            } else {
                Ok(())
            };
        }
        if change.runbook {
            run_runbook(client, change).await?;
        }
        api::revoke(&client.ec2, &change.group, &change.rules).await
    }

    fn undo(change: &Change) -> Option<Change> {
        let write = match change.write {
            Write::Authorize => Write::Revoke,
            Write::Revoke => Write::Authorize,
        };
        Some(Change { write, ..change.clone() })
    }
}

/// Rules that narrow another are added only while that is there. Once it is gone they would open what somebody has
/// closed since: the fix for the other control leaves rules that are narrower still.
async fn is_still_wanted(client: &Client, change: &Change) -> Result<bool> {
    match &change.narrowed {
        Some(wide) => Ok(wide.is_in(&open_rules(client, &change.group).await?)),
        None => Ok(true),
    }
}

async fn open_rules(client: &Client, group: &str) -> Result<Vec<IngressRule>> {
    Ok(api::open_rules(&client.ec2, group).await?.into_iter().map(|(rule, _)| rule).collect())
}

/// The changes that revoke rules which open nothing but the admin port: by the runbook what it can, the rest directly.
async fn revoke_exact(
    client: &Client,
    group: &Group,
    present: &[IngressRule],
    exact: Vec<IngressRule>,
) -> Result<Vec<Change>> {
    let revoke =
        |runbook, rules| Change { group: group.id.clone(), write: Write::Revoke, rules, runbook, narrowed: None };
    let fits = client.partition != WITHOUT_RUNBOOK && does_what_is_planned(present, &exact);
    let by_runbook = match &group.vpc {
        Some(vpc) if fits => api::is_default_vpc(&client.ec2, vpc).await?,
        _ => false,
    };
    let (theirs, ours): (Vec<_>, Vec<_>) = exact.into_iter().partition(|rule| by_runbook && is_runbooks(rule));
    let changes = [revoke(true, theirs), revoke(false, ours)];
    Ok(changes.into_iter().filter(|change| !change.rules.is_empty()).collect())
}

/// Whether the runbook would revoke something of the group, and nothing but rules that are to be revoked.
fn does_what_is_planned(present: &[IngressRule], planned: &[IngressRule]) -> bool {
    let mut revoked = present.iter().filter(|rule| is_runbooks(rule)).peekable();
    revoked.peek().is_some() && revoked.all(|rule| rule.is_in(planned))
}

/// Whether the runbook revokes such a rule.
fn is_runbooks(rule: &IngressRule) -> bool {
    rule.protocol == Protocol::Tcp && rule.from_port == rule.to_port && RUNBOOK_PORTS.contains(&rule.from_port)
}

/// Adds to the proposal what becomes of the rules that open more than the admin port.
fn replace_wide(
    group: &str,
    mut present: Vec<IngressRule>,
    wide: Vec<IngressRule>,
    port: &AdminPort,
    setting: WideRules,
    proposal: &mut Proposal<Change>,
) {
    let change = |write, rules, narrowed| Change { group: group.to_owned(), write, rules, runbook: false, narrowed };
    for rule in wide {
        match setting {
            WideRules::Hold => {
                let reason =
                    format!("{rule} opens more than port {}, and the setting `wide_rules` is `hold`", port.port);
                proposal.held.push(reason);
                continue;
            }
            WideRules::Revoke => {
                proposal.notes.push(format!("all that {rule} opens is closed: the setting `wide_rules` is `revoke`"));
            }
            WideRules::Narrow => {
                if rule.protocol == Protocol::All {
                    proposal.notes.push(format!(
                        "{rule} is narrowed to TCP, UDP and ICMP: it cannot be kept open for other protocols, such as \
                         GRE and ESP"
                    ));
                }
                let narrower: Vec<_> = port.without(&rule).into_iter().filter(|rule| !rule.is_in(&present)).collect();
                if !narrower.is_empty() {
                    present.extend(narrower.iter().cloned());
                    proposal.changes.push(change(Write::Authorize, narrower, Some(rule.clone())));
                }
            }
        }
        proposal.changes.push(change(Write::Revoke, vec![rule], None));
    }
}

/// What the guard says of a group's network interfaces in use: the first of them by name, and how many there are.
fn in_use(interfaces: &[Interface]) -> String {
    let (named, count) = (interfaces.iter().take(NAMED_INTERFACES), interfaces.len());
    let named = named.map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let more = match count.saturating_sub(NAMED_INTERFACES) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("the group protects {count} network interface{plural} in use: {named}{more}")
}

/// Runs the runbook where it would still do what the change says. It runs with the caller's own rights. That it is not
/// there, or has failed, is not the end: what it leaves is revoked directly.
async fn run_runbook(client: &Client, change: &Change) -> Result<()> {
    if !does_what_is_planned(&open_rules(client, &change.group).await?, &change.rules) {
        return Ok(());
    }
    match client.runbooks.run(RUNBOOK, &[("GroupId", &change.group)]).await {
        Err(error) if is_end_of_runbook(&error) => {
            tracing::warn!(%error, "the runbook did not do it; the rules are revoked directly");
            Ok(())
        }
        ended => ended,
    }
}

/// Whether it is not there, or has come to an end; not where a call was refused or got no answer.
fn is_end_of_runbook(error: &remediation::Error) -> bool {
    let is_missing = error.code.as_deref() == Some(runbook::NO_SUCH_RUNBOOK);
    is_missing || error.action == RUNBOOK && error.kind != ErrorKind::Unfinished
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let write = if self.write == Write::Authorize { "add" } else { "revoke" };
        write!(f, "security group {}: {write} {rules}", self.group)?;
        if self.runbook && self.write == Write::Revoke {
            write!(f, " (by {RUNBOOK})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
