//! What waits for a person, or for a time, by the cards of the resources.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use remediation::records::{CardPlace, Waiting, WaitsFor};
use remediation::{AccountId, Card, Region};
use serde::Serialize;

use crate::session::cards::CardAt;

/// What stands on a card about a resource's changes that are planned and not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// This part of this plan waits for a person.
    Needs,
    /// It waits for a time: a grace, or a change window.
    Waits,
    /// A person has approved it, and it waits for a change window.
    Approved,
    /// A person has rejected it.
    Rejected { by: String, until: Timestamp, reason: String },
    /// Another plan of the resource waits now.
    Replaced { by: String },
    /// Nothing waits: it was written, or is not to be made any more.
    Nothing,
}

/// Which part of which plan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PartOf<'a> {
    /// The plan's key.
    pub(crate) plan: &'a str,
    /// The digest of the resource's part of it.
    pub(crate) digest: &'a str,
    /// The digest of its changes alone.
    pub(crate) changes: &'a str,
}

/// What stands on a resource's card about its part of a plan.
pub(crate) fn standing(card: Option<&Card>, part: PartOf<'_>, now: Timestamp) -> Standing {
    let Some(card) = card else { return Standing::Nothing };
    // A rejection is of changes, whatever plan they are in.
    if let Some(rejected) = card.rejects(part.changes, now) {
        let (by, until, reason) = (rejected.by.clone(), rejected.until, rejected.reason.clone());
        return Standing::Rejected { by, until, reason };
    }
    match &card.waiting {
        None => Standing::Nothing,
        Some(waiting) if (waiting.plan.as_str(), waiting.digest.as_str()) != (part.plan, part.digest) => {
            Standing::Replaced { by: waiting.plan.clone() }
        }
        Some(waiting) => of_waiting(card, waiting, now),
    }
}

fn of_waiting(card: &Card, waiting: &Waiting, now: Timestamp) -> Standing {
    if card.approved.as_ref().is_some_and(|approved| approved.plan == waiting.plan && now < approved.until) {
        return Standing::Approved;
    }
    if needs_a_person(&waiting.why) { Standing::Needs } else { Standing::Waits }
}

/// Whether an approval is what is missing. An older card does not say why it waits: only what needs one did then.
fn needs_a_person(why: &BTreeSet<WaitsFor>) -> bool {
    why.is_empty() || why.iter().any(|why| !matches!(why, WaitsFor::Grace | WaitsFor::Window))
}

/// Changes of a resource that wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waits {
    pub(crate) place: CardPlace,
    pub(crate) resource: String,
    pub(crate) waiting: Waiting,
    pub(crate) standing: Standing,
    /// When the approval that waits for a change window expires.
    pub(crate) approved_until: Option<Timestamp>,
}

/// What waits on a card; none where nothing does, or where it was rejected.
pub(crate) fn waits(at: &CardAt, now: Timestamp) -> Option<Waits> {
    let CardAt { place, card, .. } = at;
    let waiting = card.waiting.clone()?;
    if waiting.changes.as_ref().is_some_and(|changes| card.rejects(changes, now).is_some()) {
        return None;
    }
    let standing = of_waiting(card, &waiting, now);
    let approved = card.approved.as_ref().filter(|_| standing == Standing::Approved);
    let (place, resource) = (place.clone(), card.resource().to_owned());
    Some(Waits { place, resource, waiting, standing, approved_until: approved.map(|approved| approved.until) })
}

/// Resources of one plan and one account that wait for the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Together {
    /// The plan's key, made a place by whoever prints it.
    pub(crate) plan: String,
    pub(crate) rule: String,
    pub(crate) account: AccountId,
    /// Why they wait; empty where an older card does not say.
    pub(crate) why: BTreeSet<WaitsFor>,
    /// Whether `approve` takes them up.
    pub(crate) needs_approval: bool,
    /// Since when the first of them waits.
    pub(crate) since: Timestamp,
    /// When they wait no more, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<Timestamp>,
    /// When the approval that waits for a change window expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) approved_until: Option<Timestamp>,
    /// The report that says it in full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) report: Option<String>,
    pub(crate) resources: Vec<WaitingResource>,
}

/// A resource that waits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct WaitingResource {
    pub(crate) since: Timestamp,
    pub(crate) region: Region,
    /// Its ARN.
    pub(crate) resource: String,
}

/// What waits, put together by plan, account and reason: what waits longest comes first.
pub(crate) fn together(waits: impl IntoIterator<Item = Waits>) -> Vec<Together> {
    let mut groups = BTreeMap::<_, Together>::new();
    for Waits { place, resource, waiting, standing, approved_until } in waits {
        let Waiting { plan, since, why, until, report, .. } = waiting;
        let (CardPlace { rule, account, region, .. }, needs_approval) = (place, standing == Standing::Needs);
        // A plan is of one rule, but what a card names may be anything.
        let of = (plan.clone(), rule.clone(), account.clone());
        let key = (of, why.clone(), until, approved_until, report.clone());
        let group = groups.entry(key).or_insert_with(|| Together {
            plan,
            rule,
            account,
            why,
            needs_approval,
            since,
            until,
            approved_until,
            report,
            resources: Vec::new(),
        });
        group.since = group.since.min(since);
        group.resources.push(WaitingResource { since, region, resource });
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.iter_mut().for_each(|group| group.resources.sort_unstable());
    groups.sort_by_key(|group| group.since);
    groups
}

/// Why something waits, for people.
pub(crate) fn words(why: &BTreeSet<WaitsFor>) -> String {
    if why.is_empty() {
        return "it needs an approval".to_owned();
    }
    let word = |why: &WaitsFor| match why {
        WaitsFor::Mode => "the mode is approve",
        WaitsFor::UnsureMode => "its mode is not known for sure",
        WaitsFor::Guard => "a guard holds it",
        WaitsFor::FoughtOver => "it is fought over",
        WaitsFor::Grace => "its grace is not over",
        WaitsFor::Window => "a change window is closed",
    };
    why.iter().map(word).collect::<Vec<_>>().join("; ")
}
