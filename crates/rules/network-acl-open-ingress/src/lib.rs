//! The rule `network-acl-open-ingress`: a default network ACL, or one that a subnet uses, with an inbound entry that
//! allows all traffic from everywhere.
//!
//! The fix deletes each such entry. Invariants: nothing else is deleted, no entry that denies, that allows less than all
//! protocols or that is outbound; an entry is looked at again right before it is deleted, because a delete goes by the
//! number alone and somebody may have put another entry there since; undo never takes the place of another entry. The
//! plan names the subnets that lose traffic: an ACL is stateless, so what is lost are the answers from outside, too.

mod api;

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_ec2::Client;
use remediation::{Error, ErrorKind, Finding, Guard, Proposal, Result, Rule, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::{Acl, Entry};

/// The rule.
#[derive(Debug)]
pub struct NetworkAclOpenIngress;

/// The rule's part of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether an entry that allows all IPv6 traffic violates, too.
    pub ipv6: bool,
    /// What is done where the last inbound allow, of everything or of one address family, would go.
    pub guard_last_allow: Guard,
}

impl Default for Settings {
    fn default() -> Self {
        Self { ipv6: true, guard_last_allow: Guard::default() }
    }
}

/// What distinguishes the two controls.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    which: Which,
}

/// Which ACLs a control is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Which {
    /// The default ACL of a VPC.
    Default,
    /// An ACL that a subnet is associated with.
    Subnet,
}

/// Everywhere, in one of the two address families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Everywhere {
    /// Every IPv4 address.
    #[serde(rename = "0.0.0.0/0")]
    Ipv4,
    /// Every IPv6 address.
    #[serde(rename = "::/0")]
    Ipv6,
}

/// Whether an entry is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// It is.
    Present,
    /// It is not.
    Absent,
}

/// Deletes one inbound entry that allows all traffic from everywhere, or puts it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The network ACL's ID.
    pub acl: String,
    /// The entry's number, which no other inbound entry of the ACL has.
    pub number: i32,
    /// From where it allows all traffic.
    pub source: Everywhere,
    /// What was found.
    pub before: Presence,
    /// What is written.
    pub after: Presence,
}

impl Rule for NetworkAclOpenIngress {
    const MANIFEST: &'static str = include_str!("../rule.json");
    type Settings = Settings;
    type Client = Client;
    type Change = Change;

    fn client(target: &Target) -> Self::Client {
        Client::new(&target.config)
    }

    async fn plan(client: &Self::Client, finding: &Finding, settings: &Settings) -> Result<Proposal<Change>> {
        let Parameters { which } = finding.parameters::<Self, _>()?;
        let acl = api::find(client, finding).await?;
        if let Some(note) = not_meant(&acl, which) {
            return Ok(Proposal { notes: vec![note], ..Proposal::default() });
        }
        let counts = |source| source == Everywhere::Ipv4 || settings.ipv6;
        let (going, staying): (Vec<&Entry>, Vec<&Entry>) =
            acl.inbound.iter().filter(|entry| entry.allows).partition(|entry| entry.open_to().is_some_and(counts));
        let notes = staying.iter().filter(|entry| entry.open_to().is_some()).map(|entry| left(entry)).collect();
        let mut proposal = Proposal { notes, ..Proposal::default() };
        if !going.is_empty() {
            say_what_is_lost(client, &acl, &losses(&going, &staying), settings.guard_last_allow, &mut proposal).await?;
        }
        let change = |entry: &Entry| {
            let source = entry.open_to()?;
            let (before, after) = (Presence::Present, Presence::Absent);
            Some(Change { acl: acl.id.clone(), number: entry.number, source, before, after })
        };
        proposal.changes = going.into_iter().filter_map(change).collect();
        Ok(proposal)
    }

    async fn tags(client: &Self::Client, finding: &Finding) -> Result<BTreeMap<String, String>> {
        Ok(api::find(client, finding).await?.tags)
    }

    /// An entry, or an ACL, that somebody deleted in the meantime allows nothing any more: that is done, so that the
    /// other entries are not passed over.
    async fn apply(client: &Self::Client, change: &Change) -> Result<()> {
        match change.after {
            Presence::Absent => match standing(client, change).await {
                Ok(Some(entry)) if change.is_about(&entry) => api::delete(client, change).await,
                Err(error) if !error.is_gone() => Err(error),
                _ => Ok(()),
            },
            Presence::Present => match api::create(client, change).await {
                Err(error) if error.code.as_deref() == Some(api::ALREADY_EXISTS) => {
                    match standing(client, change).await? {
                        Some(entry) if change.is_about(&entry) => Ok(()),
                        Some(entry) => Err(taken(error, change, &entry)),
                        None => Err(error),
                    }
                }
                other => other,
            },
        }
    }

    fn undo(change: &Change) -> Option<Change> {
        Some(Change { before: change.after, after: change.before, ..change.clone() })
    }
}

impl Change {
    fn is_about(&self, entry: &Entry) -> bool {
        entry.number == self.number && entry.open_to() == Some(self.source)
    }
}

/// The inbound entry that has the change's number now.
async fn standing(client: &Client, change: &Change) -> Result<Option<Entry>> {
    let acl = api::get(client, &change.acl).await?;
    Ok(acl.inbound.into_iter().find(|entry| entry.number == change.number))
}

/// Why the control is not about this ACL; none where it is.
fn not_meant(acl: &Acl, which: Which) -> Option<String> {
    match which {
        Which::Default if !acl.is_default => Some(format!("{} is not the default network ACL of its VPC", acl.id)),
        Which::Subnet if acl.subnets.is_empty() => Some(format!("no subnet is associated with {}", acl.id)),
        _ => None,
    }
}

fn left(entry: &Entry) -> String {
    format!("{entry} stays: the rule's setting ipv6 is false")
}

/// What the subnets of an ACL lose with the entries that go.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Loss {
    /// All that is let in.
    All,
    /// All that is let in by one address family.
    Family(&'static str),
    /// Of one address family, all but what the entries of these numbers let in.
    AllBut(&'static str, String),
}

impl Loss {
    /// Whether it is what the guard is about.
    fn is_of_last_allow(&self) -> bool {
        !matches!(self, Self::AllBut(..))
    }

    /// The loss of these subnets, in words.
    fn by(&self, subnets: &str) -> String {
        match self {
            Self::All => format!("the last inbound allow: subnets {subnets} are cut off, return traffic included"),
            Self::Family(family) => format!(
                "the last inbound allow of {family}: subnets {subnets} are cut off from {family}, return traffic included"
            ),
            Self::AllBut(family, staying) => format!(
                "subnets {subnets} take in only the {family} traffic that {staying} allow, return traffic included"
            ),
        }
    }
}

/// The losses when these entries go and those stay, family by family, for they do not stand in for each other.
fn losses(going: &[&Entry], staying: &[&Entry]) -> Vec<Loss> {
    if staying.is_empty() {
        return vec![Loss::All];
    }
    let loss = |(family, is_ipv6): (&'static str, bool)| {
        let of_family = |entry: &&&Entry| entry.is_ipv6() == is_ipv6;
        going.iter().find(of_family)?;
        let staying: Vec<_> = staying.iter().filter(of_family).map(|entry| entry.number.to_string()).collect();
        Some(if staying.is_empty() { Loss::Family(family) } else { Loss::AllBut(family, staying.join(", ")) })
    };
    [("IPv4", false), ("IPv6", true)].into_iter().filter_map(loss).collect()
}

/// Notes the losses, subnets by name; what the guard is about, as the guard says. Nothing to say, nothing to look up.
async fn say_what_is_lost(
    client: &Client,
    acl: &Acl,
    losses: &[Loss],
    guard: Guard,
    proposal: &mut Proposal<Change>,
) -> Result<()> {
    if acl.subnets.is_empty() {
        proposal.notes.push("no subnet is associated with it: nobody is cut off".into());
        return Ok(());
    }
    let said: Vec<_> = losses.iter().filter(|loss| guard.is_on() || !loss.is_of_last_allow()).collect();
    if said.is_empty() {
        return Ok(());
    }
    let subnets = api::named_subnets(client, &acl.subnets).await?.join(", ");
    for loss in said {
        let text = loss.by(&subnets);
        if loss.is_of_last_allow() {
            proposal.guard(guard, text);
        } else {
            proposal.notes.push(text);
        }
    }
    Ok(())
}

fn taken(error: Error, change: &Change, entry: &Entry) -> Error {
    let Change { acl, number, .. } = change;
    let message = format!("{acl} has another entry in its place: {entry}. Move it away from the number {number} first");
    Error { kind: ErrorKind::Permanent, message, ..error }
}

impl fmt::Display for Everywhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "0.0.0.0/0",
            Self::Ipv6 => "::/0",
        })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acl, number, source, before, after } = self;
        write!(f, "network ACL {acl}: inbound entry {number}, allow all from {source}: {before} → {after}")
    }
}

impl fmt::Display for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Present => "present",
            Self::Absent => "absent",
        })
    }
}

#[cfg(test)]
mod tests;
