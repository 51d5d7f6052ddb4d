//! The rule `network-acl-open-ingress`: a default network ACL, or one that a subnet uses, that lets in all traffic from
//! everywhere.
//!
//! ```text
//! 100 allow all from 0.0.0.0/0     deleted: by itself it allows everything
//! 110 allow TCP 443 from 0.0.0.0/0 stays
//! 120 allow all from 0.0.0.0/1     together these two let everything in: held, because which of the two the
//! 130 allow all from 128.0.0.0/1   subnets need is for a person to say
//! ```
//!
//! The controls ask that "no rule exists which allows all ingress traffic". So an entry that allows all traffic from
//! everywhere violates, whatever is denied before it, and is deleted. What is open in pieces violates as well, and is
//! held. Only live entries count there, each with all that it allows, as with the one entry: a deny of a part before the
//! pieces does not make them comply; a deny of all of a piece takes that piece away.
//!
//! Nothing else is deleted: no entry that denies, that allows less or that is outbound. An entry is looked at again
//! right before it is deleted, because a delete goes by the number alone and somebody may have put another entry there
//! since. An undo never takes another entry's place. The plan names the subnets that lose traffic: an ACL is stateless,
//! so they also lose the answers to connections of their own.
//!
//! Calls in the target account: 1 where the ACL complies or is open in pieces, 2 where the guard holds it, and for one
//! entry 4 until the fix is proved, 5 where the guard looks up names; each further entry takes 2 more.

mod acl;
mod api;
mod loss;
mod traffic;

use std::fmt;

use aws_sdk_ec2::Client as Ec2;
use aws_sdk_ec2::types::NetworkAcl;
use remediation::aws::Together;
use remediation::{
    Error, ErrorKind, Finding, Guard, Proposal, Resource, Result, Rule, Seen, Side, Sighting, Tags, Target,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::acl::Family;
use crate::acl::{Acl, Entry};
use crate::loss::{Loss, losses, numbers};

/// The rule.
#[derive(Debug)]
pub struct NetworkAclOpenIngress;

/// The rule's part of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether an ACL that lets in all IPv6 traffic violates, too.
    pub ipv6: bool,
    /// What the guard does if the last inbound allow would go, of everything or of one address family.
    pub guard_last_allow: Guard,
}

impl Default for Settings {
    fn default() -> Self {
        Self { ipv6: true, guard_last_allow: Guard::Hold }
    }
}

/// What distinguishes the two controls.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
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

/// What is done with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Write {
    /// It is deleted.
    Delete,
    /// It is created.
    Create,
}

/// Deletes one inbound entry that allows all traffic from everywhere, or puts it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// What is done with the entry.
    pub write: Write,
    /// The entry's number, which no other inbound entry of the ACL has.
    pub number: i32,
    /// From where it allows all traffic.
    pub source: Family,
}

/// The client of one session.
#[derive(Debug)]
pub struct Client {
    ec2: Ec2,
    acls: Together<NetworkAcl>,
}

impl Client {
    fn new(ec2: Ec2) -> Self {
        Self { ec2, acls: Together::new(api::DESCRIBE) }
    }
}

impl Rule for NetworkAclOpenIngress {
    const MANIFEST: &'static str = include_str!("../rule.json");
    type Settings = Settings;
    type Control = Control;
    type Client = Client;
    type State = Acl;
    type Change = Change;

    fn client(target: &Target) -> Self::Client {
        Client::new(Ec2::new(&target.config))
    }

    async fn look(client: &Self::Client, finding: &Finding) -> Result<Seen<Acl>> {
        api::look(&client.ec2, &client.acls, finding).await
    }

    fn plan(seen: &Seen<Acl>, controls: &[&Control], settings: &Settings) -> Proposal<Change> {
        let acl = &seen.state;
        if !controls.iter().any(|control| control.is_about(acl)) {
            let notes = controls.iter().map(|control| control.is_not_about(acl)).collect();
            return Proposal { notes, ..Proposal::default() };
        }
        let mut proposal = Proposal::from(deletions(acl, settings));
        let goes = |entry: &Entry| proposal.changes.iter().any(|change| change.is_about(entry));
        let left = |entry: &&Entry| entry.open_to().is_some() && !goes(entry);
        let mut notes: Vec<_> = acl.inbound.iter().filter(left).map(stays).collect();
        notes.extend(acl.inbound.iter().filter(|entry| goes(entry)).filter_map(|entry| lets_nothing_in(entry, acl)));
        notes.extend(what_is_lost(acl, &losses(acl, goes)));
        proposal.held = open_in_pieces(acl, goes, settings);
        proposal.notes = notes;
        proposal
    }

    fn guard(settings: &Settings) -> Guard {
        settings.guard_last_allow
    }

    /// One sighting for each subnet that is cut off, so that a subnet which joins later is one that nobody was shown.
    async fn impact(
        client: &Client,
        Seen { state: acl, .. }: &Seen<Acl>,
        changes: &[Change],
        _settings: &Settings,
    ) -> Result<Vec<Sighting>> {
        let losses = losses(acl, |entry| changes.iter().any(|change| change.is_about(entry)));
        let cut_off: Vec<_> = losses.iter().filter_map(Loss::cuts_off).collect();
        if cut_off.is_empty() || acl.subnets.is_empty() {
            return Ok(Vec::new());
        }
        // Which subnets are cut off is known without their names.
        let names = api::names_of_subnets(&client.ec2, &acl.subnets).await;
        let sighting = |subnet: &String, cut_off: &String| {
            let sighting = Sighting::new(format!("{subnet} {cut_off}"));
            match &names {
                Ok(names) => match names.get(subnet) {
                    Some(name) => sighting.with(name),
                    None => sighting,
                },
                Err(error) => sighting.with(format!("its name could not be read: {error}")),
            }
        };
        let of_subnet = |subnet| cut_off.iter().map(move |cut_off| (subnet, cut_off));
        Ok(acl.subnets.iter().flat_map(of_subnet).map(|(subnet, cut_off)| sighting(subnet, cut_off)).collect())
    }

    async fn tags(_client: &Client, seen: &Seen<Acl>) -> Result<Tags> {
        Ok(seen.state.tags.clone())
    }

    /// An entry, or an ACL, that somebody else has deleted allows nothing any more: the change is done, and the ACL's
    /// other changes are written.
    async fn apply(client: &Client, Resource { id: acl, .. }: &Resource, change: &Change) -> Result<()> {
        match change.write {
            Write::Delete => match standing(&client.ec2, acl, change).await {
                Ok(Some(entry)) if change.is_about(&entry) => api::delete(&client.ec2, acl, change).await,
                Err(error) if !error.is_gone() => Err(error),
                _ => Err(Error::unneeded(api::DESCRIBE)),
            },
            Write::Create => match api::create(&client.ec2, acl, change).await {
                Err(error) if error.code.as_deref() == Some(api::ALREADY_EXISTS) => {
                    match standing(&client.ec2, acl, change).await? {
                        Some(entry) if change.is_about(&entry) => Ok(()),
                        Some(entry) => Err(taken(error, change, &entry)),
                        None => Err(error),
                    }
                }
                other => other,
            },
        }
    }

    fn undo(change: &Change) -> Change {
        let write = match change.write {
            Write::Delete => Write::Create,
            Write::Create => Write::Delete,
        };
        Change { write, ..change.clone() }
    }

    fn side(change: &Change, acl: &Acl) -> Side {
        let standing = acl.inbound.iter().find(|entry| entry.number == change.number);
        match (change.write, standing) {
            (_, Some(entry)) if !change.is_about(entry) => Side::Neither,
            (Write::Delete, Some(_)) | (Write::Create, None) => Side::Before,
            (Write::Delete, None) | (Write::Create, Some(_)) => Side::After,
        }
    }
}

impl Control {
    fn is_about(self, acl: &Acl) -> bool {
        match self.which {
            Which::Default => acl.is_default,
            Which::Subnet => !acl.subnets.is_empty(),
        }
    }

    /// Why it is not about an ACL.
    fn is_not_about(self, acl: &Acl) -> String {
        match self.which {
            Which::Default => format!("{} is not the default network ACL of its VPC", acl.id),
            Which::Subnet => format!("no subnet is associated with {}", acl.id),
        }
    }
}

impl Settings {
    /// Whether what is open to the addresses of a family counts.
    fn counts(self, family: Family) -> bool {
        family == Family::Ipv4 || self.ipv6
    }
}

impl Change {
    fn is_about(&self, entry: &Entry) -> bool {
        entry.number == self.number && entry.open_to() == Some(self.source)
    }
}

/// Deletes each entry that allows all traffic by itself.
fn deletions(acl: &Acl, settings: &Settings) -> Vec<Change> {
    let deletion = |entry: &Entry| {
        let source = entry.open_to().filter(|family| settings.counts(*family))?;
        Some(Change { write: Write::Delete, number: entry.number, source })
    };
    acl.inbound.iter().filter_map(deletion).collect()
}

/// What is still open when those entries are gone for which `goes` holds: everything, in pieces.
fn open_in_pieces(acl: &Acl, goes: impl Fn(&Entry) -> bool, settings: &Settings) -> Vec<String> {
    let in_pieces = |family: Family| {
        let stays = |of: &&Entry| of.allows() && of.family() == family && !goes(of);
        let live = acl.inbound.iter().filter(stays).filter(|of| !traffic::is_dead(of, &acl.inbound));
        let pieces = traffic::all_let_in_by(&live.collect::<Vec<_>>(), family)?;
        let (by, what_to_do) = match &pieces[..] {
            [piece] => (format!("entry {}", piece.number), "Narrow or delete it"),
            pieces => {
                let pieces: Vec<_> = pieces.iter().map(|piece| piece.number).collect();
                let by = format!("entries {} together", numbers(&pieces));
                (by, "Narrow or delete some of them")
            }
        };
        let id = &acl.id;
        Some(format!(
            "{id} lets in all TCP and UDP traffic from every public {family} address, by the inbound {by}. \
             {what_to_do}: a person has to decide what the subnets need"
        ))
    };
    let families = [Family::Ipv4, Family::Ipv6].into_iter().filter(|family| settings.counts(*family));
    families.filter_map(in_pieces).collect()
}

fn stays(entry: &Entry) -> String {
    format!("{entry} is not changed, because the setting `ipv6` is false")
}

/// The note on an entry whose deletion nobody notices.
fn lets_nothing_in(entry: &Entry, acl: &Acl) -> Option<String> {
    let dead = traffic::is_dead(entry, &acl.inbound);
    dead.then(|| {
        format!("{entry} lets nothing in, because lower-numbered entries deny all of it: deleting it cuts nothing off")
    })
}

/// The notes on the losses that cut nobody off; of the others [`Rule::impact`] warns.
fn what_is_lost(acl: &Acl, losses: &[Loss]) -> Vec<String> {
    if acl.subnets.is_empty() {
        let note = "no subnet uses it, so none is cut off".to_owned();
        return Vec::from_iter((!losses.is_empty()).then_some(note));
    }
    let subnets = acl.subnets.join(", ");
    losses.iter().filter_map(|loss| loss.leaves(&subnets)).collect()
}

/// The inbound entry that has the change's number now.
async fn standing(client: &Ec2, acl: &str, change: &Change) -> Result<Option<Entry>> {
    let acl = api::get(client, acl).await?;
    Ok(acl.inbound.into_iter().find(|entry| entry.number == change.number))
}

fn taken(error: Error, change: &Change, entry: &Entry) -> Error {
    let message = format!(
        "another entry has the number {} now: {entry}. Give that entry another number, then undo again",
        change.number
    );
    Error { kind: ErrorKind::Permanent, message, ..error }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { write, number, source } = self;
        let write = match write {
            Write::Delete => "delete",
            Write::Create => "create",
        };
        write!(f, "{write} inbound entry {number}, allow all from {}", source.everywhere())
    }
}

#[cfg(test)]
mod tests;
