//! What a person decides on: the changes of stored plans that still wait, by the plans and by the cards of their resources.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use remediation::records::{CardPlace, Rejected, card_key};
use remediation::{Card, Records};
use serde::Serialize;

use crate::error::Error;
use crate::session::cards::{self, AT_A_TIME, Unchanged, Which};
use crate::session::plans::{Part, Shown};
use crate::session::waiting::{PartOf, Standing, standing, waits};

/// A resource's card and its place, or why it cannot be read.
type Found = Result<(CardPlace, Option<Card>), String>;

/// What is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Of what needs one.
    Approval,
    /// Of whatever waits, a grace and a change window too.
    Rejection,
}

/// What is asked for.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// The plans' keys; whatever waits, where none is given.
    pub(crate) plans: Vec<String>,
    /// Of which resources.
    pub(crate) which: Which,
    /// Only what has waited for so long.
    pub(crate) older_than: Option<SignedDuration>,
}

/// The keys of the plans, what waits longest first, and what could not be read.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    pub(crate) keys: Vec<String>,
    pub(crate) problems: Vec<String>,
}

/// What of a plan is decided on.
#[derive(Debug)]
pub(crate) struct Case {
    /// The resources that were asked for, and on which it still waits.
    pub(crate) shown: Shown,
    /// Whether that is all that needs an approval in the plan.
    pub(crate) is_all: bool,
    /// What was asked for and is left out, with the reason.
    pub(crate) left: Vec<String>,
    /// What could not be read.
    pub(crate) problems: Vec<String>,
}

impl Decision {
    fn takes(self, standing: &Standing) -> bool {
        match self {
            Self::Approval => *standing == Standing::Needs,
            Self::Rejection => matches!(standing, Standing::Needs | Standing::Waits | Standing::Approved),
        }
    }
}

/// The plans that are asked for by name, or in which something waits that is asked for.
///
/// # Errors
///
/// The cards cannot be listed.
pub(crate) async fn plans(
    records: &Records,
    asked: &Asked,
    decision: Decision,
    now: Timestamp,
) -> Result<Plans, Error> {
    if !asked.plans.is_empty() {
        let mut seen = BTreeSet::new();
        let keys = asked.plans.iter().filter(|key| seen.insert(*key)).cloned().collect();
        return Ok(Plans { keys, problems: Vec::new() });
    }
    let cards::Cards { cards, problems } = cards::read(records, &asked.which).await?;
    let mut oldest = BTreeMap::new();
    for waits in cards.iter().filter_map(|card| waits(card, now)) {
        if decision.takes(&waits.standing) && asked.is_old_enough(waits.waiting.since, now) {
            let since = oldest.entry(waits.waiting.plan).or_insert(waits.waiting.since);
            *since = waits.waiting.since.min(*since);
        }
    }
    let mut keys: Vec<_> = oldest.into_iter().collect();
    keys.sort_by_key(|(_, since)| *since);
    Ok(Plans { keys: keys.into_iter().map(|(key, _)| key).collect(), problems })
}

/// What of the plan `key` is decided on, by the cards of its resources.
pub(crate) async fn case(
    records: &Records,
    key: &str,
    plan: &Shown,
    asked: &Asked,
    decision: Decision,
    now: Timestamp,
) -> Case {
    judge(key, plan, cards_of(records, plan).await, asked, decision, now)
}

/// What stands on the card of a resource about its part of a plan, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Stands {
    /// The resource's ARN.
    pub(crate) resource: String,
    pub(crate) stands: String,
}

/// What stands about the plan `key` on the cards of its resources.
pub(crate) async fn standings(records: &Records, key: &str, plan: &Shown, now: Timestamp) -> Vec<Stands> {
    let found = cards_of(records, plan).await;
    let parts = plan.resources.iter().zip(&plan.parts).zip(found);
    let stands = parts.map(|((planned, Part { digest, changes }), found)| {
        let stands = match found {
            Err(why) => format!("its card cannot be read: {why}"),
            Ok((_, card)) => {
                let stands = standing(card.as_ref(), PartOf { plan: key, digest, changes }, now);
                why_left(&stands).unwrap_or_else(|| "it needs an approval".to_owned())
            }
        };
        Stands { resource: planned.resource.arn.clone(), stands }
    });
    stands.collect()
}

/// The cards of a plan's resources, in its order.
async fn cards_of(records: &Records, plan: &Shown) -> Vec<Found> {
    let places = plan.resources.iter().map(|planned| {
        let card = card_key(&plan.id.rule, &planned.resource);
        let place = CardPlace::of_key(&card);
        place.map(|place| (card, place))
    });
    let read = |at: Option<(String, CardPlace)>| async move {
        let Some((card, place)) = at else { return Err("it cannot have a card".to_owned()) };
        cards::fetch(records, &card, &place).await.map(|found| (place, found.map(|(card, _)| card)))
    };
    stream::iter(places.collect::<Vec<_>>()).map(read).buffered(AT_A_TIME).collect().await
}

fn judge(key: &str, plan: &Shown, found: Vec<Found>, asked: &Asked, decision: Decision, now: Timestamp) -> Case {
    let (mut resources, mut parts) = (Vec::new(), Vec::new());
    let (mut is_all, mut left, mut problems) = (true, Vec::new(), Vec::new());
    for ((planned, part), found) in plan.resources.iter().zip(&plan.parts).zip(found) {
        let arn = &planned.resource.arn;
        let needs_approval = !planned.awaits.is_empty();
        if decision == Decision::Approval && !needs_approval {
            continue;
        }
        let (place, card) = match found {
            Ok(found) => found,
            Err(why) => {
                problems.push(format!("{arn}: left as it is, because its card cannot be read: {why}"));
                is_all = false;
                continue;
            }
        };
        let Part { digest, changes } = part;
        let stands = standing(card.as_ref(), PartOf { plan: key, digest, changes }, now);
        let since = card.as_ref().and_then(|card| card.waiting.as_ref()).map(|waiting| waiting.since);
        let is_asked = asked.which.holds(&place, arn) && since.is_none_or(|since| asked.is_old_enough(since, now));
        if is_asked && decision.takes(&stands) {
            resources.push(planned.clone());
            parts.push(part.clone());
            continue;
        }
        is_all &= !needs_approval;
        // Of what was not asked for, and of what a poll has settled since the plan was found on a card, nothing is told.
        if is_asked && let Some(why) = why_left(&stands) {
            left.push(format!("{arn}: {why}"));
        }
    }
    Case { shown: Shown { resources, parts, ..plan.clone() }, is_all, left, problems }
}

/// Why a resource is not decided on.
fn why_left(standing: &Standing) -> Option<String> {
    Some(match standing {
        Standing::Needs => return None,
        Standing::Waits => "it waits for a time, and needs no approval".to_owned(),
        Standing::Approved => "it is approved, and waits for a change window".to_owned(),
        Standing::Rejected { by, until, reason } => {
            format!("rejected until {until} by {by}: {reason}; `autoremediate reject --withdraw` takes that back")
        }
        Standing::Replaced { by } => format!("another plan has taken the place of this one: {by}"),
        Standing::Nothing => "nothing of it waits any more".to_owned(),
    })
}

/// Who does not want changes, why, and until when.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) reason: String,
    pub(crate) by: String,
    pub(crate) until: Timestamp,
}

/// Keeps on the card of a resource that these changes of it are rejected, where they still wait. An approval of them that
/// waits for a change window is over with that.
///
/// # Errors
///
/// [`Unchanged`].
pub(crate) async fn reject(
    records: &Records,
    key: &str,
    place: &CardPlace,
    part: PartOf<'_>,
    refusal: &Refusal,
) -> Result<(), Unchanged> {
    let change = |mut card: Card| {
        let now = ambient::now();
        let stands = standing(Some(&card), part, now);
        if !Decision::Rejection.takes(&stands) {
            return Err(why_left(&stands).unwrap_or_default());
        }
        let Refusal { reason, by, until } = refusal.clone();
        let rejected = Rejected { digest: part.changes.to_owned(), reason, by, since: now, until };
        (card.rejected, card.approved) = (Some(rejected), None);
        Ok(card)
    };
    cards::change(records, key, place, change).await
}

/// Takes a rejection back.
///
/// # Errors
///
/// [`Unchanged`].
pub(crate) async fn withdraw(
    records: &Records,
    key: &str,
    place: &CardPlace,
    rejected: &Rejected,
) -> Result<(), Unchanged> {
    let change = |mut card: Card| {
        if card.rejected.as_ref() != Some(rejected) {
            return Err("what was rejected is not what it was any more".to_owned());
        }
        card.rejected = None;
        Ok(card)
    };
    cards::change(records, key, place, change).await
}

impl Asked {
    /// Whether what waits since then has waited for as long as is asked.
    pub(crate) fn is_old_enough(&self, since: Timestamp, now: Timestamp) -> bool {
        self.older_than.is_none_or(|age| since <= cards::before(now, age))
    }
}

#[cfg(test)]
mod tests {
    use remediation::RunId;
    use remediation::records::{ApprovedToWait, Claim, Waiting, WaitsFor};

    use super::*;
    use crate::session::fixtures::{ACCOUNT, Desk, RULE, Stored, bucket, hours_ago};

    fn names(case: &Case) -> Vec<&str> {
        case.shown.resources.iter().map(|planned| planned.resource.id.as_str()).collect()
    }

    async fn case_of(desk: &Desk, plan: &Stored, asked: &Asked, decision: Decision) -> Case {
        case(&desk.records, &plan.key, &plan.shown, asked, decision, ambient::now()).await
    }

    fn refusal() -> Refusal {
        let until = ambient::now() + SignedDuration::from_hours(1);
        Refusal { reason: "why".into(), by: "who".into(), until }
    }

    async fn reject_one(desk: &Desk, plan: &Stored, name: &str) -> Result<(), Unchanged> {
        let (key, Part { digest, changes }) = (card_key(RULE, &bucket(name)), plan.part(name));
        let part = PartOf { plan: &plan.key, digest: &digest, changes: &changes };
        reject(&desk.records, &key, &CardPlace::of_key(&key).unwrap(), part, &refusal()).await
    }

    /// A plan of which each bucket stands otherwise.
    async fn mixed() -> (Desk, Stored) {
        let desk = Desk::new();
        let names = ["needs", "grace", "approved", "rejected", "replaced", "settled", "edited"];
        let plan = desk.plan(&names.map(|name| (name, name != "grace"))).await;
        let other = |card: &mut Card| card.waiting.as_mut().unwrap().plan = "plans/other.json".into();
        desk.waits(&plan, "needs", WaitsFor::Guard, |_| {}).await;
        desk.waits(&plan, "grace", WaitsFor::Grace, |_| {}).await;
        let approved = ApprovedToWait { plan: plan.key.clone(), approval: None, until: hours_ago(-1), stored_by: None };
        desk.waits(&plan, "approved", WaitsFor::Mode, |card| card.approved = Some(approved)).await;
        desk.waits(&plan, "rejected", WaitsFor::Mode, |_| {}).await;
        reject_one(&desk, &plan, "rejected").await.unwrap();
        desk.waits(&plan, "replaced", WaitsFor::Mode, other).await;
        desk.waits(&plan, "settled", WaitsFor::Mode, |card| card.waiting = None).await;
        desk.waits(&plan, "edited", WaitsFor::Mode, |card| card.waiting.as_mut().unwrap().digest = "d".into()).await;
        (desk, plan)
    }

    #[tokio::test]
    async fn only_what_still_waits_on_its_card_is_approved_and_the_rest_is_told() {
        let (desk, plan) = mixed().await;
        let case = case_of(&desk, &plan, &Asked::default(), Decision::Approval).await;
        assert_eq!((names(&case), case.is_all), (vec!["needs"], false));
        assert_eq!((&case.shown.digest, &case.shown.parts[..]), (&plan.shown.digest, &[plan.part("needs")][..]));
        let left = case.left.join("\n");
        for part in [
            "arn:aws:s3:::approved: it is approved, and waits for a change window",
            "arn:aws:s3:::rejected: rejected until ",
            "by who: why; `autoremediate reject --withdraw`",
            "arn:aws:s3:::replaced: another plan has taken the place of this one: plans/other.json",
            "arn:aws:s3:::settled: nothing of it waits any more",
            "arn:aws:s3:::edited: another plan has taken",
        ] {
            assert!(left.contains(part), "{part}: {left}");
        }
        assert_eq!((case.left.len(), case.problems.len()), (5, 0), "what is in its grace needs no approval: {left}");
        let case = case_of(&desk, &plan, &Asked::default(), Decision::Rejection).await;
        assert_eq!(names(&case), ["needs", "grace", "approved"]);
    }

    #[tokio::test]
    async fn all_that_needs_an_approval_is_all_of_the_plan_and_a_filter_narrows_it() {
        let desk = Desk::new();
        let plan = desk.plan(&[("one", true), ("two", true), ("free", false)]).await;
        for name in ["one", "two"] {
            desk.waits(&plan, name, WaitsFor::Mode, |_| {}).await;
        }
        let which = |resources: &[&str]| Which {
            resources: resources.iter().map(ToString::to_string).collect(),
            ..Which::default()
        };
        for (which, expected, is_all) in [
            (Which::default(), vec!["one", "two"], true),
            (which(&["two"]), vec!["two"], false),
            (which(&["arn:aws:s3:::one"]), vec!["one"], false),
            (Which { accounts: vec![ACCOUNT.parse().unwrap()], ..Which::default() }, vec!["one", "two"], true),
            (Which { accounts: vec!["333333333333".parse().unwrap()], ..Which::default() }, vec![], false),
        ] {
            let asked = Asked { which, ..Asked::default() };
            let case = case_of(&desk, &plan, &asked, Decision::Approval).await;
            assert_eq!((names(&case), case.is_all, case.left.len()), (expected, is_all, 0), "{asked:?}");
        }
        let asked = Asked { older_than: Some(SignedDuration::from_hours(2)), ..Asked::default() };
        assert!(names(&case_of(&desk, &plan, &asked, Decision::Approval).await).is_empty());
    }

    #[tokio::test]
    async fn plans_are_found_by_the_cards_the_oldest_first_or_are_those_that_are_named() {
        let desk = Desk::new();
        let (new, old) = (desk.plan(&[("new", true)]).await, desk.plan(&[("old", true), ("graced", false)]).await);
        desk.waits(&new, "new", WaitsFor::Mode, |_| {}).await;
        desk.waits(&old, "graced", WaitsFor::Grace, |card| card.waiting.as_mut().unwrap().since = hours_ago(90)).await;
        desk.waits(&old, "old", WaitsFor::Mode, |card| card.waiting.as_mut().unwrap().since = hours_ago(9)).await;
        desk.records.put_new("resources/odd", b"{}".into()).await.unwrap();
        let keys = |asked: Asked, decision| {
            let desk = &desk;
            async move { plans(&desk.records, &asked, decision, ambient::now()).await.unwrap() }
        };
        let found = keys(Asked::default(), Decision::Approval).await;
        assert_eq!((found.keys, found.problems.len()), (vec![old.key.clone(), new.key.clone()], 1));
        let older = || Asked { older_than: Some(SignedDuration::from_hours(24)), ..Asked::default() };
        assert!(keys(older(), Decision::Approval).await.keys.is_empty(), "what is in its grace needs no approval");
        assert_eq!(keys(older(), Decision::Rejection).await.keys, std::slice::from_ref(&old.key));
        let named = Asked { plans: vec![new.key.clone(), old.key.clone(), new.key.clone()], ..Asked::default() };
        assert_eq!(keys(named, Decision::Approval).await.keys, [new.key, old.key]);
    }

    #[tokio::test]
    async fn a_rejection_is_kept_on_the_card_ends_a_waiting_approval_and_is_taken_back() {
        let desk = Desk::new();
        let plan = desk.plan(&[("data", true)]).await;
        let approved = ApprovedToWait { plan: plan.key.clone(), approval: None, until: hours_ago(-1), stored_by: None };
        desk.waits(&plan, "data", WaitsFor::Mode, |card| card.approved = Some(approved)).await;
        let before = desk.card("data").await;
        reject_one(&desk, &plan, "data").await.unwrap();
        let card = desk.card("data").await;
        let rejected = card.rejected.clone().unwrap();
        assert_eq!((rejected.digest.as_str(), rejected.by.as_str()), (plan.part("data").changes.as_str(), "who"));
        assert_eq!((&card.waiting, &card.approved), (&before.waiting, &None));
        match reject_one(&desk, &plan, "data").await.unwrap_err() {
            Unchanged::Left(why) => assert!(why.starts_with("rejected until"), "{why}"),
            Unchanged::Failed(why) => panic!("{why}"),
        }
        let key = card_key(RULE, &bucket("data"));
        let place = CardPlace::of_key(&key).unwrap();
        let other = Rejected { reason: "another".into(), ..rejected.clone() };
        assert!(matches!(withdraw(&desk.records, &key, &place, &other).await, Err(Unchanged::Left(_))));
        withdraw(&desk.records, &key, &place, &rejected).await.unwrap();
        let card = desk.card("data").await;
        assert_eq!((card.rejected, card.waiting), (None, before.waiting), "it waits again, since when it did");
    }

    #[tokio::test]
    async fn a_card_that_a_run_has_claimed_or_that_waits_for_something_else_by_now_is_left() {
        let desk = Desk::new();
        let plan = desk.plan(&[("claimed", true), ("dead", true), ("moved", true)]).await;
        let claim = |until| {
            let (holder, part) = ("a Lambda".to_owned(), "d".to_owned());
            let (run, batch, changes) = (RunId::start(), 1, Vec::new());
            let claim = Claim { run, batch, since: hours_ago(2), until, holder, part, changes, undoes: None };
            move |card: &mut Card| card.claim = Some(claim)
        };
        desk.waits(&plan, "claimed", WaitsFor::Mode, claim(hours_ago(-1))).await;
        desk.waits(&plan, "dead", WaitsFor::Mode, claim(hours_ago(1))).await;
        let other = |waiting: &mut Waiting| waiting.plan = "plans/other.json".into();
        desk.waits(&plan, "moved", WaitsFor::Mode, |card| other(card.waiting.as_mut().unwrap())).await;
        match reject_one(&desk, &plan, "claimed").await.unwrap_err() {
            Unchanged::Failed(why) => assert!(why.contains("is at work on it, until"), "{why}"),
            Unchanged::Left(why) => panic!("{why}"),
        }
        assert!(matches!(reject_one(&desk, &plan, "moved").await, Err(Unchanged::Left(_))));
        reject_one(&desk, &plan, "dead").await.unwrap();
        let rejected = ["claimed", "dead", "moved"].map(|name| desk.card(name));
        let rejected = futures::future::join_all(rejected).await;
        assert_eq!(rejected.iter().map(|card| card.rejected.is_some()).collect::<Vec<_>>(), [false, true, false]);
    }
}
