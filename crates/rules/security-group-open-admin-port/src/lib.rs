//! The rule `security-group-open-admin-port`: a security group that lets everyone in to SSH (22) or RDP (3389).
//!
//! ```text
//! tcp 22        from 0.0.0.0/0    revoked: it opens nothing else
//! tcp 0-65535   from ::/0         narrowed: it becomes tcp 0-21, and tcp 23-3388 and tcp 3390-65535 are added before,
//!                                 where the group is listed for both ports
//! tcp 22        from 0.0.0.0/1    together these two are as wide as everyone: held, because a person has to decide who
//! tcp 22        from 128.0.0.0/1  is to get in
//! ```
//!
//! A rule is told by its properties, so one that was changed since it was planned stays. Invariants:
//!
//! - Only inbound rules for 0.0.0.0/0 and ::/0 are changed, and of them only those that open a port for which the group
//!   is listed. Both ports are planned together: a rule that opens both becomes what opens neither.
//! - What narrows a rule is there before the rule changes, and is added only while that rule is there. Right before the
//!   rule changes, the group is looked at again. Where somebody has removed or changed the rule meanwhile, or is adding
//!   rules as well, what was added is taken back, as it is where the rest is refused. A narrower rule that was there
//!   before is in no change, so undo leaves it alone.
//! - An undo opens only what the fix has closed: where somebody has since removed one of the narrower rules, it writes
//!   nothing.
//! - A group never has more rules than before or after, whichever are more, so the quota stops nothing that fits it in
//!   the end.
//! - The runbook revokes SSH and RDP for everyone at once, so it is used only where the plan says the same: all the rules
//!   of its kind that the group has are to be revoked. In a VPC that is not a default one it revokes nothing unless all
//!   four of them exist. Elsewhere, and for what it does not know or does not do, the rules are revoked directly.
//!
//! Calls in the target account: 1 where the group complies, 2 where it is held, 3 where the guard holds it, and until the
//! fix is proved, guard included, 7 where rules are revoked, 9 where the runbook revokes them, 6 where a rule changes in
//! place and 8 where others are added before; 1 more for each prefix list that matters. Groups, their rules and VPCs are looked
//! at together with others of the account and region.

mod admin_port;
mod change;
mod ingress;
mod look;
mod named;
mod narrow;
mod reach;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{SecurityGroup, SecurityGroupRule, Vpc};
use remediation::aws::Together;
use remediation::{Error, ErrorKind, Finding, Guard, Proposal, Resource, Result, Rule, Seen, Side, Sighting, Target};
use runbook::Runbooks;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::admin_port::AdminPort;
pub use crate::change::{Change, Means};
pub use crate::ingress::{Everyone, IngressRule, Protocol, Tags};

use crate::admin_port::{ADMIN_PORTS, AdminPorts, opens_admin_port};
use crate::look::{Group, Inbound, Interface, Summary};
use crate::narrow::{Narrowed, narrow};
use crate::reach::{Lists, Open, Partial};

/// <https://docs.aws.amazon.com/systems-manager-automation-runbooks/latest/userguide/automation-aws-disablepublicaccessforsecuritygroup.html>
const RUNBOOK: &str = "AWS-DisablePublicAccessForSecurityGroup";
/// So many rules the runbook revokes: those of both ports, for 0.0.0.0/0 and ::/0.
const ALL_OF_RUNBOOK: usize = 4;

/// The guard names so many of the things that the group protects, and so many network interfaces of each.
const NAMED: usize = 20;
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
    /// What the guard does if the group protects network interfaces that are in use.
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
    groups: Together<SecurityGroup>,
    rules: Together<Vec<SecurityGroupRule>>,
    vpcs: Together<Vpc>,
    interfaces: Together<Vec<Interface>>,
    runbooks: Runbooks,
    partition: &'static str,
}

impl Client {
    fn new(ec2: aws_sdk_ec2::Client, runbooks: Runbooks, partition: &'static str) -> Self {
        Self {
            ec2,
            groups: Together::new(look::DESCRIBE_GROUPS),
            rules: Together::new(look::DESCRIBE_RULES),
            vpcs: Together::new(look::DESCRIBE_VPCS),
            interfaces: Together::new(look::DESCRIBE_INTERFACES),
            runbooks,
            partition,
        }
    }
}

/// How a security group stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    tags: remediation::Tags,
    /// The inbound rules for everyone, in an order of their own.
    everyone: Vec<IngressRule>,
    /// Those for ranges of addresses and prefix lists, where any of them, or of the others, opens an admin port.
    partial: Vec<Partial>,
    lists: Lists,
    /// Whether the runbook revokes what it knows: it is there, and either the VPC is a default one, or the group has all
    /// four of its rules.
    is_runbooks: bool,
}

impl Rule for SecurityGroupOpenAdminPort {
    const MANIFEST: &'static str = include_str!("../rule.json");
    type Settings = Settings;
    type Control = AdminPort;
    type Client = Client;
    type State = State;
    type Change = Change;

    fn client(target: &Target) -> Client {
        Client::new(aws_sdk_ec2::Client::new(&target.config), Runbooks::new(target), target.partition)
    }

    async fn look(client: &Client, finding: &Finding) -> Result<Seen<State>> {
        let group = look::find(&client.ec2, &client.groups, named::parse(finding)?, finding).await?;
        let Group { resource, vpc, tags, summary } = group;
        let Inbound { everyone, partial } = match summary {
            Summary::NotClosed => look::inbound_together(&client.ec2, &client.rules, &resource.id).await?,
            Summary::Closed(everyone) => {
                let (partial, lists) = (Vec::new(), Lists::new());
                return Ok(Seen::now(resource, State { tags, everyone, partial, lists, is_runbooks: false }));
            }
        };
        let everyone: Vec<_> = everyone.into_iter().map(|(rule, _)| rule).collect();
        let lists = look::entries(&client.ec2, lists_that_matter(&partial)).await?;
        let known = everyone.iter().filter(|rule| is_runbooks(rule)).count();
        let is_runbooks = match (known, vpc) {
            _ if !has_runbook(client.partition) => false,
            (ALL_OF_RUNBOOK, _) => true,
            (1.., Some(vpc)) => look::is_default_vpc(&client.ec2, &client.vpcs, &vpc).await?,
            _ => false,
        };
        Ok(Seen::now(resource, State { tags, everyone, partial, lists, is_runbooks }))
    }

    fn plan(seen: &Seen<State>, controls: &[&AdminPort], settings: &Settings) -> Proposal<Change> {
        let State { everyone: present, partial, lists, is_runbooks, .. } = &seen.state;
        let ports = AdminPorts(controls);
        let mut proposal = Proposal::default();
        let (counted, left): (Vec<_>, Vec<_>) = present
            .iter()
            .filter(|rule| ports.are_opened_by(rule))
            .cloned()
            .partition(|rule| settings.ipv6 || rule.from == Everyone::Ipv4);
        let left = left.iter().map(|rule| format!("{rule} is not changed, because the setting `ipv6` is false"));
        proposal.notes.extend(left);
        let (exact, wide): (Vec<_>, Vec<_>) = counted.into_iter().partition(|rule| ports.without(rule).is_empty());
        // First, so that they go also where a wide rule cannot be narrowed, and make room for the narrower ones.
        proposal.changes = revoke_exact(*is_runbooks, present, exact);
        replace_wide(present, wide, ports, settings.wide_rules, &mut proposal);
        for open in controls.iter().flat_map(|port| reach::open(port, partial, lists)) {
            match open {
                Open::ToEveryone(Everyone::Ipv6, what) if !settings.ipv6 => {
                    proposal.notes.push(format!("{what}; not changed, because the setting `ipv6` is false"));
                }
                Open::ToEveryone(_, what) | Open::ToUnknown(what) => proposal.held.push(what),
            }
        }
        proposal
    }

    fn guard(settings: &Settings) -> Guard {
        settings.guard_in_use
    }

    async fn impact(client: &Client, seen: &Seen<State>, _: &[Change], _: &Settings) -> Result<Vec<Sighting>> {
        Ok(in_use(&look::interfaces_in_use(&client.ec2, &client.interfaces, &seen.resource.id).await?))
    }

    async fn tags(_: &Client, seen: &Seen<State>) -> Result<remediation::Tags> {
        Ok(seen.state.tags.clone())
    }

    async fn under_way(client: &Client, resource: &Resource) -> Result<Option<String>> {
        client.runbooks.under_way(&runbook::of_rule::<Self>()?, ("GroupId", &resource.id)).await
    }

    async fn apply(client: &Client, Resource { id: group, .. }: &Resource, change: &Change) -> Result<()> {
        if change.by == Means::Api || change.take.is_empty() {
            return write::write(&client.ec2, group, change).await;
        }
        run_runbook(client, group, change).await?;
        match write::write(&client.ec2, group, change).await {
            // The runbook has left nothing.
            Err(error) if error.kind == ErrorKind::Unneeded => Ok(()),
            written => written,
        }
    }

    fn undo(change: &Change) -> Change {
        change.undo()
    }

    fn side(change: &Change, state: &State) -> Side {
        change.side(state.everyone.iter())
    }
}

/// The prefix lists by which an admin port could be open.
fn lists_that_matter(rules: &[Partial]) -> BTreeSet<&str> {
    let matters = |rule: &&Partial| opens_admin_port(rule.protocol, rule.ports);
    rules.iter().filter(matters).filter_map(Partial::list).collect()
}

/// Whether the partition has the runbook.
fn has_runbook(partition: &str) -> bool {
    let runbook = runbook::of_rule::<SecurityGroupOpenAdminPort>();
    runbook.is_ok_and(|runbook| !runbook.missing_in.iter().any(|missing| missing == partition))
}

/// The changes that revoke rules which open nothing but admin ports: by the runbook what it can, the rest directly.
fn revoke_exact(runbook_works: bool, present: &[IngressRule], exact: Vec<IngressRule>) -> Vec<Change> {
    let by_runbook = runbook_works && does_what_is_planned(present, &exact);
    let (theirs, ours): (Vec<_>, Vec<_>) = exact.into_iter().partition(|rule| by_runbook && is_runbooks(rule));
    let changes = [Change { by: Means::Runbook, ..Change::revoke(theirs) }, Change::revoke(ours)];
    changes.into_iter().filter(|change| !change.take.is_empty()).collect()
}

/// Whether the runbook would revoke something of the group, and nothing but rules that are to be revoked.
fn does_what_is_planned(present: &[IngressRule], planned: &[IngressRule]) -> bool {
    let mut revoked = present.iter().filter(|rule| is_runbooks(rule)).peekable();
    revoked.peek().is_some() && revoked.all(|rule| rule.is_in(planned))
}

/// Whether the runbook revokes such a rule.
fn is_runbooks(rule: &IngressRule) -> bool {
    rule.protocol == Protocol::Tcp && rule.from_port == rule.to_port && ADMIN_PORTS.contains(&rule.from_port)
}

/// Adds to the proposal what becomes of the rules that open more than admin ports.
fn replace_wide(
    present: &[IngressRule],
    wide: Vec<IngressRule>,
    ports: AdminPorts<'_>,
    setting: WideRules,
    proposal: &mut Proposal<Change>,
) {
    match setting {
        WideRules::Hold => {
            let reason = |rule| {
                format!(
                    "{rule} opens more than port {ports} and is not changed, because the setting `wide_rules` is `hold`"
                )
            };
            proposal.held.extend(wide.iter().map(reason));
        }
        WideRules::Revoke => {
            let note = |rule| format!("{rule} is revoked as a whole, because the setting `wide_rules` is `revoke`");
            proposal.notes.extend(wide.iter().map(note));
            proposal.changes.extend(wide.into_iter().map(|rule| Change::revoke(vec![rule])));
        }
        WideRules::Narrow => {
            let note = |rule| {
                format!(
                    "{rule} is narrowed to TCP, UDP and ICMP: it cannot be kept open for other protocols, such as GRE \
                     and ESP"
                )
            };
            proposal.notes.extend(wide.iter().filter(|rule| rule.protocol == Protocol::All).map(note));
            let changes = narrow(&wide, present, ports).into_iter();
            let change = |Narrowed { wide, give, keep }| Change { give, keep, ..Change::revoke(vec![wide]) };
            proposal.changes.extend(changes.map(change));
        }
    }
}

/// What the guard sees: one sighting for each thing that the group protects, such as an instance or a load balancer, so
/// that one which joins later is a sighting that nobody was shown. Its network interfaces come and go by themselves.
fn in_use(interfaces: &[Interface]) -> Vec<Sighting> {
    let mut things: BTreeMap<&str, Vec<&Interface>> = BTreeMap::new();
    for interface in interfaces {
        things.entry(interface.of.as_deref().unwrap_or(&interface.id)).or_default().push(interface);
    }
    let more = things.len().saturating_sub(NAMED);
    let thing = |(thing, interfaces): (&str, Vec<&Interface>)| {
        let named = interfaces.iter().take(NAMED_INTERFACES).map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let more = match interfaces.len().saturating_sub(NAMED_INTERFACES) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        Sighting::new(format!("the group protects {thing}")).with(format!("{named}{more}"))
    };
    // Their number is all that tells of one more among them.
    let others = (more > 0).then(|| Sighting::new(format!("the group protects {more} more resources that are in use")));
    things.into_iter().take(NAMED).map(thing).chain(others).collect()
}

/// Runs the runbook where it would still do what the change says. It runs with the caller's own rights. That it is not
/// there, or has failed, is not the end: what it leaves is revoked directly.
async fn run_runbook(client: &Client, group: &str, change: &Change) -> Result<()> {
    let present = look::for_everyone(&client.ec2, group).await?;
    let present: Vec<_> = present.into_iter().map(|(rule, _)| rule).collect();
    if change.side(present.iter()) == Side::After {
        return Err(Error::unneeded(look::DESCRIBE_RULES));
    }
    if !does_what_is_planned(&present, &change.take) {
        return Ok(());
    }
    let runbook = runbook::of_rule::<SecurityGroupOpenAdminPort>()?;
    let directly = || async { Ok(()) };
    match client.runbooks.or_directly(&runbook, &[("GroupId", group)], directly).await {
        // It has come to an end, or is not there; a call that was refused or got no answer is another thing.
        Err(error) if runbook::is_missing(&error) || error.action == RUNBOOK && error.kind != ErrorKind::Unfinished => {
            tracing::warn!(%error, "the runbook failed, so the rules are revoked directly");
            Ok(())
        }
        ended => ended,
    }
}

#[cfg(test)]
mod tests;
