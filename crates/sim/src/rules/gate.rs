//! A gate lets everybody in by some ways: a set of entries, each of one way or a range of them.

use std::collections::BTreeSet;
use std::fmt;

use remediation::{Error, ErrorKind, Finding, Proposal, Resource, Result, Rule, Seen, Side, Tags, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Client, GONE, REFUSED, named};
use crate::actor::Actor;
use crate::cloud::{QUOTA, Request, State};
use crate::invariants::Applying;

const GET: &str = "sim:GetGate";
const ADD: &str = "sim:AddEntry";
const REMOVE: &str = "sim:RemoveEntry";

/// A gate with the way `a`, or `b`, open.
#[derive(Debug)]
pub(crate) struct OpenGate;

/// Nothing can be set.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {}

/// The way that a control is about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Way {
    way: char,
}

/// Entries that go, and those that come in their place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replace {
    /// Those that go.
    pub(crate) take: BTreeSet<String>,
    /// Those that come, none of which the gate had.
    pub(crate) give: BTreeSet<String>,
}

impl Replace {
    /// Where a gate with these entries stands.
    pub(crate) fn side(&self, entries: &BTreeSet<String>) -> Side {
        let (all, none) = (
            |of: &BTreeSet<String>| of.is_subset(entries),
            |of: &BTreeSet<String>| of.intersection(entries).next().is_none(),
        );
        if none(&self.take) && all(&self.give) {
            Side::After
        } else if all(&self.take) && none(&self.give) {
            Side::Before
        } else {
            Side::Neither
        }
    }

    /// Whether what comes lets in nobody whom what goes does not.
    fn narrows(&self) -> bool {
        let ways = |of: &BTreeSet<String>| of.iter().flat_map(|entry| entry.chars()).collect::<BTreeSet<_>>();
        ways(&self.give).is_subset(&ways(&self.take))
    }
}

impl fmt::Display for Replace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |of: &BTreeSet<String>| of.iter().cloned().collect::<Vec<_>>().join(" ");
        write!(f, "replace {{{}}} by {{{}}}", list(&self.take), list(&self.give))
    }
}

impl Rule for OpenGate {
    const MANIFEST: &'static str = r#"{
        "id": "open-gate", "title": "Gate that is open", "service": "sim", "scope": "regional",
        "controls": [
            {"rule_names": ["Ensure the way a is closed."], "short_name": "S-1", "parameters": {"way": "a"}},
            {"rule_names": ["Ensure the way b is closed."], "short_name": "S-2", "parameters": {"way": "b"}}
        ],
        "read": [{"action": "sim:GetGate", "resource": "*"}],
        "write": [{"action": "sim:AddEntry", "resource": "*"}, {"action": "sim:RemoveEntry", "resource": "*"}],
        "undo": [], "extra": [], "runbook": null,
        "docs": {"why": "w", "impact": "i", "undo": "u", "by_hand": "h"}
    }"#;
    type Settings = Settings;
    type Control = Way;
    type Client = Client;
    type State = BTreeSet<String>;
    type Change = Replace;

    fn client(target: &Target) -> Client {
        Client::new(target)
    }

    async fn look(client: &Client, finding: &Finding) -> Result<Seen<Self::State>> {
        let (resource, state) = client.look(GET, "gate", named(finding)).await?;
        match state {
            State::Gate(entries) => Ok(Seen::now(resource, entries)),
            State::Pump(_) => Err(Error::unusable(GET, "a pump")),
        }
    }

    fn plan(seen: &Seen<Self::State>, controls: &[&Way], _: &Settings) -> Proposal<Replace> {
        let asked: BTreeSet<_> = controls.iter().map(|control| control.way).collect();
        let (mut entries, mut proposal) = (seen.state.clone(), Proposal::default());
        for entry in seen.state.iter().filter(|entry| entry.chars().any(|way| asked.contains(&way))) {
            let stays = entry.chars().filter(|way| !asked.contains(way)).map(String::from);
            let change = Replace {
                take: BTreeSet::from([entry.clone()]),
                give: stays.filter(|stays| !entries.contains(stays)).collect(),
            };
            if entries.len() + change.give.len() > QUOTA {
                proposal.held.push(format!("the gate has no room for what stays of {entry}"));
                continue;
            }
            entries.remove(entry);
            entries.extend(change.give.iter().cloned());
            proposal.changes.push(change);
        }
        proposal
    }

    async fn tags(_: &Client, _: &Seen<Self::State>) -> Result<Tags> {
        Ok(Tags::new())
    }

    /// What comes is added first, so that at every moment what is to stay open is open.
    async fn apply(client: &Client, resource: &Resource, change: &Replace) -> Result<()> {
        let actor = Actor::current();
        let applying = Applying::begin(&actor, client, "open-gate", &resource.arn, change, |state| match state {
            State::Gate(entries) => change.side(entries),
            State::Pump(_) => Side::Neither,
        });
        let applying = applying.await?;
        let result = write(client, &resource.arn, change, &applying).await;
        applying.end(&result);
        result
    }

    fn undo(change: &Replace) -> Replace {
        Replace { take: change.give.clone(), give: change.take.clone() }
    }

    fn side(change: &Replace, entries: &Self::State) -> Side {
        change.side(entries)
    }
}

async fn write(client: &Client, arn: &str, change: &Replace, applying: &Applying) -> Result<()> {
    let entries = entries(client, arn).await?;
    let found: BTreeSet<_> = change.take.intersection(&entries).cloned().collect();
    let missing: BTreeSet<_> = change.give.difference(&entries).cloned().collect();
    if found.is_empty() && missing.is_empty() {
        return Err(Error::unneeded(GET));
    }
    if !missing.is_empty() && found.len() < change.take.len() {
        // Somebody else has closed what was to be narrowed, or what is put back would open it again.
        let would_open = || Error::new(GET, ErrorKind::Permanent, REFUSED);
        return if change.narrows() { Err(Error::unneeded(GET)) } else { Err(would_open()) };
    }
    let mut added = Vec::new();
    let done = replace(client, arn, &found, &missing, &mut added).await;
    if done.is_err() {
        for entry in added {
            applying.takes_back();
            let back = client.call(REMOVE, Request::Remove { arn: arn.to_owned(), entry }).await;
            back.or_else(unless("NoSuchEntry")).map_err(|error| match error.is_unanswered() {
                true => Error { kind: ErrorKind::Unfinished, ..error },
                false => error,
            })?;
        }
    }
    done
}

/// Adds what is missing, looks whether it is still wanted, and removes what goes.
async fn replace(
    client: &Client,
    arn: &str,
    found: &BTreeSet<String>,
    missing: &BTreeSet<String>,
    added: &mut Vec<String>,
) -> Result<()> {
    for entry in missing {
        // Whether or not its answer comes.
        added.push(entry.clone());
        let add = client.call(ADD, Request::Add { arn: arn.to_owned(), entry: entry.clone() }).await;
        add.or_else(unless("DuplicateEntry"))?;
    }
    if !added.is_empty() && !found.is_subset(&entries(client, arn).await?) {
        return Err(Error::not_now(GET, "somebody else is closing it at this moment"));
    }
    for entry in found {
        let removed = client.call(REMOVE, Request::Remove { arn: arn.to_owned(), entry: entry.clone() }).await;
        // It was there a moment ago: this very call, whose answer was lost, may have removed it.
        removed.or_else(unless("NoSuchEntry"))?;
    }
    Ok(())
}

async fn entries(client: &Client, arn: &str) -> Result<BTreeSet<String>> {
    let given = client.call(GET, Request::Get { kind: "gate", named: arn.to_owned() }).await;
    match given.map_err(|error| error.gone_if(GONE))? {
        crate::cloud::Given::Thing { state: Some(State::Gate(entries)), .. } => Ok(entries),
        _ => Err(Error::new(GET, ErrorKind::Gone, "it does not exist any more")),
    }
}

/// Nothing, where the error is only this.
fn unless(code: &'static str) -> impl Fn(Error) -> Result<crate::cloud::Given> {
    move |error| {
        let is_it = error.code.as_deref() == Some(code);
        if is_it { Ok(crate::cloud::Given::Nothing) } else { Err(error.gone_if(GONE)) }
    }
}
