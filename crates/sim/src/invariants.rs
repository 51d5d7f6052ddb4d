//! What must hold whatever happens: the invariants of the design, looked at with root's eyes at every step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use remediation::records::{CardPlace, Confirmed, Unchanged};
use remediation::{
    Batch, Finding, Mode, Outcome, PAUSES_KEY, Pauses, Place, Plan, Region, Report, Resource, RunId, Side,
};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::actor::Actor;
use crate::cloud::{Hand, State, Thing};
use crate::netskope::{CONTROLS, TOKEN};
use crate::rules::Client;
use crate::scenario::PolicyText;
use crate::sts::{SECRET, Session};
use crate::wire::REGION;
use crate::world::{World, lock};

/// A look that is older than this is not written on.
const FRESH: SignedDuration = SignedDuration::from_secs(30);
/// Two clocks are at most so far apart.
const APART: SignedDuration = SignedDuration::from_secs(41);
/// So long before a write the policy that let it through may have been read: a second for which an answer serves, one try
/// of a read, and the way to the call.
const READ_BEFORE: Duration = Duration::from_secs(22);
/// What is exempt is decided on at a run's beginning.
const DECIDED_BEFORE: Duration = Duration::from_secs(3_600);
/// A Lambda lives no longer.
const LAMBDA: Duration = Duration::from_secs(900);
/// So many resources of an account are at work at once.
const AT_ONCE: usize = 8;

/// A change of a resource, as it was stored or shown: the resource's ARN, and the change.
pub(crate) type Shown = BTreeSet<(String, String)>;

/// What a run is for.
#[derive(Debug, Clone)]
pub(crate) enum Purpose {
    /// A person has approved this.
    Approval(Shown),
    /// A person was shown this.
    Shown(Shown),
    /// It takes a run back, and this was shown.
    Undo(Shown),
}

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Watch(Mutex<Seen>);

/// When, and what was shown; none where the thing is gone.
type Look = (Instant, Option<State>);

#[derive(Debug, Default)]
struct Seen {
    /// The policies, since when; none cannot be read.
    policies: Vec<(Option<Instant>, Option<PolicyText>)>,
    /// The pauses, since when; none cannot be read.
    pauses: Vec<(Instant, Option<Pauses>)>,
    /// By the names of runs' sessions.
    purposes: BTreeMap<String, Purpose>,
    /// The sessions of undos that put back what is only half in force.
    forced: BTreeSet<String>,
    /// What plans said when they were stored, by run.
    planned: BTreeMap<String, Shown>,
    /// The batches as they were stored, and when.
    batches: BTreeMap<String, (Vec<u8>, Instant)>,
    /// The reports as they were stored.
    reports: BTreeMap<String, Report>,
    /// The cards as they were stored last, by their resources, and when.
    cards: BTreeMap<String, Value>,
    cards_stored: BTreeMap<String, Instant>,
    /// Until when the session of this name has claimed this resource, as its card said last.
    claimed: BTreeMap<(String, String), Timestamp>,
    /// By session's name and resource.
    looks: BTreeMap<(String, String), Vec<Look>>,
    /// By session's name and resource.
    applies: BTreeMap<(String, String), Vec<Applied>>,
    /// Who writes to what.
    writing: BTreeMap<String, Writer>,
    /// What our fixes have closed.
    closed: BTreeMap<String, BTreeSet<String>>,
    /// When people have closed what.
    closed_by_hand: BTreeMap<String, Vec<(Timestamp, BTreeSet<String>)>>,
    /// What each run has begun to write.
    begun: BTreeMap<String, Shown>,
    /// The entries that each run's sessions have added to a gate, and whether they have removed others.
    entries: BTreeMap<(String, String), Entries>,
    /// In how many resources of an account a process has begun to write.
    begun_by: BTreeMap<(String, String), BTreeSet<String>>,
}

#[derive(Debug)]
struct Writer {
    session: String,
    actor: Arc<Actor>,
}

#[derive(Debug, Default)]
struct Entries {
    added: BTreeSet<String>,
    narrowed: bool,
}

#[derive(Debug, Clone)]
struct Applied {
    by: String,
    ended: Option<Instant>,
}

impl Watch {
    /// There is another policy.
    pub(crate) fn policy(&self, policy: Option<PolicyText>) {
        lock(&self.0).policies.push((Some(Instant::now()), policy));
    }

    /// There are other pauses.
    pub(crate) fn pauses(&self, pauses: Option<Pauses>) {
        lock(&self.0).pauses.push((Instant::now(), pauses));
    }

    /// The things that a plan is about.
    pub(crate) fn touched(&self, plan: &[u8]) -> Vec<String> {
        let plan: Value = serde_json::from_slice(plan).unwrap_or_default();
        let resources = plan["resources"].as_array().cloned().unwrap_or_default();
        resources.iter().filter_map(|of| of["resource"]["arn"].as_str().map(str::to_owned)).collect()
    }

    /// Whether a run takes another one back.
    pub(crate) fn is_undo(&self, key: &str) -> bool {
        let seen = lock(&self.0);
        let undoes = seen.purposes.iter().filter(|(_, purpose)| matches!(purpose, Purpose::Undo(_)));
        undoes.map(|(session, _)| session).any(|session| key.contains(session.trim_start_matches("autoremediate-")))
    }

    /// Says what a run is for.
    pub(crate) fn purpose(&self, run: RunId, purpose: Purpose) {
        lock(&self.0).purposes.insert(session_name(&run.to_string()), purpose);
    }

    /// A run puts back what is only half in force.
    pub(crate) fn forces(&self, run: RunId) {
        lock(&self.0).forced.insert(session_name(&run.to_string()));
    }
}

impl Seen {
    /// Of two who close it at once, both have: of ours, who began at `at` with a look that was still fresh.
    fn closed_at_once(&mut self, arn: &str, at: Timestamp) {
        let by_hand = self.closed_by_hand.get(arn).map(Vec::as_slice).unwrap_or_default();
        let at_once = by_hand.iter().filter(|(by_hand, _)| *by_hand + FRESH + APART >= at && *by_hand <= at + APART);
        let entries: BTreeSet<_> = at_once.flat_map(|(_, entries)| entries.iter().cloned()).collect();
        self.closed.entry(arn.to_owned()).or_default().extend(entries);
    }

    /// The policies that were in force at some moment of so long until now.
    fn policies_within(&self, time: Duration) -> impl Iterator<Item = Option<&PolicyText>> {
        let since = Instant::now().checked_sub(time);
        let ended = self.policies.iter().skip(1).map(|(since, _)| *since).chain([None]);
        let within = self.policies.iter().zip(ended).filter(move |(_, ended)| ended.is_none() || *ended >= since);
        within.map(|((_, policy), _)| policy.as_ref())
    }

    /// Whether, at every moment of so long until now, what a rule writes to a thing was paused, by any clock.
    fn is_paused(&self, rule: &str, thing: &Thing, now: Timestamp) -> bool {
        let (account, region) = (thing.account.parse().expect("an account"), Region::code(REGION));
        let place = Place { rule, account: &account, region: &region, is_in: Some(&region) };
        let stops =
            |pauses: &Option<Pauses>| pauses.as_ref().is_none_or(|pauses| pauses.of(&place, now + APART).is_some());
        let since = Instant::now().checked_sub(READ_BEFORE);
        let before = self.pauses.iter().rev().find(|(at, _)| since.is_some_and(|since| *at <= since));
        let within = self.pauses.iter().filter(|(at, _)| since.is_none_or(|since| *at > since));
        // Where nothing was ever stored, nothing is paused.
        before.is_some_and(|(_, pauses)| stops(pauses)) && within.into_iter().all(|(_, pauses)| stops(pauses))
    }

    fn last_look(&self, session: &str, arn: &str) -> Option<&Look> {
        self.looks.get(&(session.to_owned(), arn.to_owned())).and_then(|looks| looks.last())
    }
}

/// The name of a run's sessions.
fn session_name(run: &str) -> String {
    format!("autoremediate-{run}")
}

/// What a plan says.
pub(crate) fn shown<C: Serialize>(plan: &Plan<C>) -> Shown {
    let of = |planned: &remediation::PlannedResource<C>| {
        let arn = planned.resource.arn.clone();
        let changes = planned.changes().map(|change| serde_json::to_string(change).expect("JSON"));
        changes.map(|change| (arn.clone(), change)).collect::<Vec<_>>()
    };
    plan.resources.iter().flat_map(of).collect()
}

/// A thing by its ARN.
fn thing(world: &World, arn: &str) -> Option<Thing> {
    world.scenario.things.iter().find(|thing| thing.arn() == arn).cloned()
}

/// Somebody of ours looked at a thing.
pub(crate) fn looked(actor: &Actor, session: &Session, arn: &str, state: Option<&State>) {
    let mut seen = lock(&actor.world.watch.0);
    let looks = seen.looks.entry((session.name.clone(), arn.to_owned())).or_default();
    looks.push((Instant::now(), state.cloned()));
}

/// A change that is being written.
pub(crate) struct Applying {
    actor: Arc<Actor>,
    session: Arc<Session>,
    arn: String,
    takes_back: AtomicBool,
}

impl Applying {
    /// A change begins to be written.
    pub(crate) async fn begin<C: Serialize>(
        actor: &Arc<Actor>,
        client: &Client,
        rule: &str,
        arn: &str,
        change: &C,
        side: impl Fn(&State) -> Side,
    ) -> remediation::Result<Self> {
        let began = Instant::now();
        let session = client.session(actor).await;
        let session = session.map_err(|error| remediation::Error::unusable("session", &error.to_string()))?;
        let change = serde_json::to_string(change).expect("JSON");
        actor.tell(format!("writes to {arn}: {change}"));
        has_fresh_look(actor, &session, arn, began);
        begins(actor, &session, rule, arn, &change, side);
        let writer = Writer { session: session.name.clone(), actor: Arc::clone(actor) };
        lock(&actor.world.watch.0).writing.insert(arn.to_owned(), writer);
        let applied = Applied { by: actor.name.clone(), ended: None };
        let key = (session.name.clone(), arn.to_owned());
        lock(&actor.world.watch.0).entries.insert(key.clone(), Entries::default());
        lock(&actor.world.watch.0).applies.entry(key).or_default().push(applied);
        // What only adds needs no take-back.
        let parsed: Value = serde_json::from_str(&change).unwrap_or_default();
        let only_adds = parsed["take"].as_array().is_none_or(Vec::is_empty);
        Ok(Self { actor: Arc::clone(actor), session, arn: arn.to_owned(), takes_back: AtomicBool::new(only_adds) })
    }

    /// What it added is taken back.
    pub(crate) fn takes_back(&self) {
        self.takes_back.store(true, Ordering::Relaxed);
    }

    /// It has come to its end.
    pub(crate) fn end(&self, result: &remediation::Result<()>) {
        let said = result.as_ref().map_or_else(ToString::to_string, |()| "ok".into());
        self.actor.tell(format!("has written to {}: {said}", self.arn));
        let key = (self.session.name.clone(), self.arn.clone());
        let left = lock(&self.actor.world.watch.0).entries.remove(&key).unwrap_or_default();
        if !left.narrowed && !left.added.is_empty() && !self.takes_back.load(Ordering::Relaxed) {
            let how = format!("{} leaves {:?} in {}", self.session.name, left.added, self.arn);
            self.actor.world.breaks("9: what was added for nothing is taken back", how);
        }
    }
}

impl Drop for Applying {
    fn drop(&mut self) {
        let mut seen = lock(&self.actor.world.watch.0);
        if seen.writing.get(&self.arn).is_some_and(|writer| Arc::ptr_eq(&writer.actor, &self.actor)) {
            seen.writing.remove(&self.arn);
        }
        let key = (self.session.name.clone(), self.arn.clone());
        if let Some(applied) = seen.applies.get_mut(&key).and_then(|applies| applies.last_mut()) {
            applied.ended = Some(Instant::now());
        }
    }
}

/// What was looked at, or written to, long before a write begins is looked at again first.
fn has_fresh_look(actor: &Actor, session: &Session, arn: &str, began: Instant) {
    let seen = lock(&actor.world.watch.0);
    let looked = seen.last_look(&session.name, arn).map(|(at, _)| *at);
    let applies = seen.applies.get(&(session.name.clone(), arn.to_owned())).into_iter().flatten();
    let last = applies.filter_map(|applied| applied.ended).chain(looked).max();
    let age = last.map(|last| began.duration_since(last));
    if age.is_none_or(|age| SignedDuration::try_from(age).is_ok_and(|age| age > FRESH)) {
        let how = format!("{} ({}) writes to {arn}, {age:?} after its look", actor.name, session.name);
        actor.world.breaks("drift: an old look is not written on", how);
    }
}

/// Invariants 1, 6, 9 and 11, and that the policy and people are heeded: before a write.
fn begins(actor: &Actor, session: &Session, rule: &str, arn: &str, change: &str, side: impl Fn(&State) -> Side) {
    let world = &actor.world;
    let breaks = |invariant, how: String| world.breaks(invariant, format!("{} ({}): {how}", actor.name, session.name));
    let mut seen = lock(&world.watch.0);
    let step = (arn.to_owned(), change.to_owned());
    if !seen.planned.get(&session.name).is_some_and(|planned| planned.contains(&step)) {
        breaks("1: planned before written", format!("no stored plan says {change} of {arn}"));
    }
    let purpose = seen.purposes.get(&session.name);
    let needs = if matches!(purpose, Some(Purpose::Approval(_))) { Mode::Approve } else { Mode::Apply };
    if let Some(Purpose::Approval(shown) | Purpose::Shown(shown) | Purpose::Undo(shown)) = purpose
        && !shown.contains(&step)
    {
        breaks("what a person was shown is what is written", format!("{change} of {arn} was not shown"));
    }
    // Who stands still writes nothing. What it does when it goes on is looked at when that arrives.
    if let Some(Writer { actor: other, .. }) = seen.writing.get(arn).filter(|writer| !writer.actor.stands_still()) {
        breaks("6: one writer", format!("{} writes to {arn}, too", other.name));
    }
    for (other, execution) in world.automation.under_way(arn) {
        if other != session.name {
            breaks("6: one writer", format!("{execution} of {other} is under way on {arn}"));
        }
    }
    let time = |text: &Value| text.as_str().and_then(|time| time.parse::<Timestamp>().ok());
    let exempt = seen.cards.get(arn).and_then(|card| time(&card["exempt"]["until"]));
    if exempt.is_some_and(|until| world.now() + APART < until) && !session.undo {
        breaks("what an undo has put back is left alone", format!("{arn} is exempt until {exempt:?}"));
    }
    let claim = seen.cards.get(arn).map_or(&Value::Null, |card| &card["claim"]);
    let until = time(&claim["until"]);
    let is_own = claim["run"].as_str().is_some_and(|run| session_name(run) == session.name);
    if !is_own || until.is_none_or(|until| world.now() > until + APART) {
        breaks("6: who writes has claimed", format!("the claim on {arn} is {claim}, and it is {}", world.now()));
    }
    if let Some(thing) = thing(world, arn) {
        let allows = |policy: Option<&PolicyText>| {
            policy.is_some_and(|of| if session.undo { of.allows_undo(&thing, needs) } else { of.allows(&thing, needs) })
        };
        if !seen.policies_within(READ_BEFORE).any(allows) {
            breaks("11: the policy is kept to", format!("no policy lets {change} be written to {arn}"));
        }
        if seen.is_paused(rule, &thing, world.now()) {
            breaks("11: nothing that is paused is written", format!("{change} of {arn}, by {rule}"));
        }
        let exempts = |policy: Option<&PolicyText>| policy.is_some_and(|of| of.exempt.as_ref() == Some(&thing.id));
        if seen.policies_within(DECIDED_BEFORE).all(exempts) && !session.undo {
            breaks("11: the policy is kept to", format!("{arn} is exempt"));
        }
        let graces = |policy: Option<&PolicyText>| policy.is_some_and(|policy| policy.grace);
        let is_approved = matches!(seen.purposes.get(&session.name), Some(Purpose::Approval(_)));
        if seen.policies_within(DECIDED_BEFORE).all(graces) && !session.undo && !is_approved {
            breaks("told before it is fixed", format!("{arn} is in its grace"));
        }
        begins_within_limits(&mut seen, actor, session, step.clone());
        // A runbook does not say whether it had anything to do.
        if !session.undo && matches!(world.cloud.state(arn), Some(State::Pump(_))) {
            seen.closed_at_once(arn, world.now());
        }
        // What somebody else has made already does not fail.
        if world.cloud.state(arn).is_some_and(|state| side(&state) != Side::After) {
            begins_where_nothing_can_be_written(&mut seen, actor, &thing);
        }
    }
    let cut_off = seen.applies.get(&(session.name.clone(), arn.to_owned()));
    let cut_off = cut_off.is_some_and(|applies| applies.iter().any(|applied| applied.by != actor.name));
    let last = seen.last_look(&session.name, arn).and_then(|(_, state)| state.clone());
    let others = seen.begun.get(&session.name).is_some_and(|begun| begun.iter().any(|(of, _)| of == arn));
    let stands = last.as_ref().map(&side);
    let is_half = stands == Some(Side::Neither) && seen.forced.contains(&session.name);
    if !cut_off && !others && stands != Some(Side::Before) && !is_half {
        let last = last.map_or("gone".into(), |state| state.to_string());
        breaks("drift: what is written is still to be made", format!("{change} of {arn}, which is {last} ({rule})"));
    }
    seen.begun.entry(session.name.clone()).or_default().insert(step);
}

fn begins_within_limits(seen: &mut Seen, actor: &Actor, session: &Session, step: (String, String)) {
    let world = &actor.world;
    let policies: Vec<_> = seen.policies_within(DECIDED_BEFORE).flatten().cloned().collect();
    let mut begun = seen.begun.get(&session.name).cloned().unwrap_or_default();
    begun.insert(step);
    let limits: Option<Vec<u32>> = policies.iter().map(|policy| policy.changes_per_run).collect();
    let most = limits.and_then(|limits| limits.into_iter().max());
    if !session.undo && most.is_some_and(|most| begun.len() > most as usize) {
        world.breaks("11: limits", format!("{} writes {} changes, of at most {most:?}", session.name, begun.len()));
    }
}

fn begins_where_nothing_can_be_written(seen: &mut Seen, actor: &Actor, thing: &Thing) {
    let world = &actor.world;
    let policies: Vec<_> = seen.policies_within(DECIDED_BEFORE).flatten().cloned().collect();
    let of_account = seen.begun_by.entry((actor.name.clone(), thing.account.clone())).or_default();
    of_account.insert(thing.id.clone());
    let minimum = policies.iter().map(|policy| policy.failure_minimum as usize).max().unwrap_or_default();
    if world.cloud.is_denied(&thing.account) && of_account.len() > minimum + AT_ONCE {
        let count = of_account.len();
        world.breaks("11: the breaker of an account", format!("{} goes on: {count} in {}", actor.name, thing.account));
    }
}

/// An entry comes or goes by a session of ours.
pub(crate) fn entry(world: &World, session: &Session, arn: &str, entry: &str, comes: bool) {
    let mut seen = lock(&world.watch.0);
    let Some(entries) = seen.entries.get_mut(&(session.name.clone(), arn.to_owned())) else { return };
    if comes {
        entries.added.insert(entry.to_owned());
    } else if !entries.added.remove(entry) {
        entries.narrowed = true;
    }
}

/// Whether a session of ours has added this entry a moment ago.
pub(crate) fn has_added(world: &World, session: &Session, arn: &str, entry: &str) -> bool {
    let seen = lock(&world.watch.0);
    let entries = seen.entries.get(&(session.name.clone(), arn.to_owned()));
    entries.is_some_and(|entries| entries.added.contains(entry))
}

/// A request that writes is sent: by who has claimed the resource, and not after its claim's time.
pub(crate) fn sends(actor: &Actor, session: &Session, arn: &str) {
    let seen = lock(&actor.world.watch.0);
    let until = seen.claimed.get(&(session.name.clone(), arn.to_owned()));
    if until.is_none_or(|until| actor.world.now() > *until + APART) {
        let how =
            format!("{} ({}) sends a write to {arn}, of which the claim was over {until:?}", actor.name, session.name);
        actor.world.breaks("6: a write ends with its claim", how);
    }
}

/// A write takes effect now, perhaps after whoever sent it is gone: its claim is there still, unless its time is up.
pub(crate) fn writes(actor: &Actor, session: &Session, arn: &str) {
    let seen = lock(&actor.world.watch.0);
    let run = seen.cards.get(arn).and_then(|card| card["claim"]["run"].as_str()).map(session_name);
    let until = seen.claimed.get(&(session.name.clone(), arn.to_owned()));
    if run.as_deref() != Some(&session.name) && until.is_some_and(|until| actor.world.now() + APART < *until) {
        let how = format!("a write of {} ({}) arrives at {arn} when it has let go of it", actor.name, session.name);
        actor.world.breaks("6: who may still write keeps its claim", how);
    }
    if let Some(Writer { session: other, actor: by }) = seen.writing.get(arn)
        && *other != session.name
    {
        let by = &by.name;
        let how = format!("a write of {} ({}) arrives while {by} ({other}) writes to {arn}", actor.name, session.name);
        actor.world.breaks("6: one writer", how);
    }
}

/// Invariant 9, whenever something of ours changes a thing.
pub(crate) fn changed(world: &World, arn: &str, hand: &Hand, before: &State, after: Option<&State>) {
    let Some(after) = after else { return };
    let (was, is) = (before.open(), after.open());
    let Hand::Ours(session) = hand else {
        let mut seen = lock(&world.watch.0);
        // Of two who close it at once, both have; and of a run that never came back, nobody knows whether it has.
        let cut_off =
            |card: &Value| card["writes"].as_array().is_some_and(|of| of.iter().any(|of| of["ended"] == "cut_off"));
        let claimed = seen.cards.get(arn).is_some_and(|card| !card["claim"].is_null() || cut_off(card));
        seen.closed_by_hand.entry(arn.to_owned()).or_default().push((world.now(), before.less(after)));
        if claimed || seen.writing.contains_key(arn) || !world.automation.under_way(arn).is_empty() {
            seen.closed.entry(arn.to_owned()).or_default().extend(before.less(after));
        }
        return;
    };
    let opened: BTreeSet<_> = is.difference(&was).copied().collect();
    let mut seen = lock(&world.watch.0);
    let is_undo = session.undo || matches!(seen.purposes.get(&session.name), Some(Purpose::Undo(_)));
    let may = if is_undo {
        // What is open again, we have not closed; what an undo of an undo closes again, we have.
        let closed = seen.closed.entry(arn.to_owned()).or_default();
        // An entry that is put back opens all of its ways.
        let may = closed.iter().flat_map(|entry| entry.chars()).collect();
        let back = after.less(before);
        closed.retain(|entry| !back.contains(entry));
        closed.extend(before.less(after));
        may
    } else {
        seen.closed.entry(arn.to_owned()).or_default().extend(before.less(after));
        // Who approves a plan that somebody has edited before has seen what it opens.
        let approved = match seen.purposes.get(&session.name) {
            Some(Purpose::Approval(shown)) => given(shown, arn),
            _ => BTreeSet::new(),
        };
        let looks = seen.looks.get(&(session.name.clone(), arn.to_owned()));
        approved
            .into_iter()
            .chain(looks.into_iter().flatten().filter_map(|(_, state)| state.as_ref()).flat_map(State::open))
            .collect()
    };
    if !opened.is_subset(&may) {
        let invariant = if is_undo { "9: undo opens what we closed" } else { "9: a fix opens nothing" };
        world.breaks(invariant, format!("{} opens {opened:?} of {arn}: {before} → {after}", session.name));
    }
}

/// The ways that changes of a gate open.
fn given(shown: &Shown, arn: &str) -> BTreeSet<char> {
    let of_it = shown.iter().filter(|(of, _)| of == arn).map(|(_, change)| change);
    let changes = of_it.filter_map(|change| serde_json::from_str::<Value>(change).ok());
    let entries = changes.flat_map(|change| change["give"].as_array().cloned().unwrap_or_default());
    entries.flat_map(|entry| entry.as_str().unwrap_or_default().chars().collect::<Vec<_>>()).collect()
}

/// Something was stored in the bucket by a process of the product.
pub(crate) fn stored(actor: &Actor, key: &str, before: Option<&[u8]>, bytes: &[u8], conditional: bool) {
    let world = &actor.world;
    let text = String::from_utf8_lossy(bytes);
    if [SECRET, TOKEN].iter().any(|secret| text.contains(secret)) {
        world.breaks("7: no secret in a record", format!("{key}, by {}", actor.name));
    }
    if !conditional {
        world.breaks("6: every write of a record has its condition", format!("{key}, by {}", actor.name));
    }
    let json: Value = serde_json::from_slice(bytes).unwrap_or_default();
    match key.split('/').next().unwrap_or_default() {
        "plans" => {
            let run = json["run"].as_str().unwrap_or_default();
            let mut seen = lock(&world.watch.0);
            let planned = seen.planned.entry(session_name(run)).or_default();
            for resource in json["resources"].as_array().into_iter().flatten() {
                let arn = resource["resource"]["arn"].as_str().unwrap_or_default();
                for planned_change in resource["changes"].as_array().into_iter().flatten() {
                    planned.insert((arn.to_owned(), planned_change["change"].to_string()));
                }
            }
            actor.tell(format!("stores the plan {key}"));
        }
        "reports" => reported(actor, key, bytes),
        PAUSES_KEY => world.watch.pauses(serde_json::from_slice(bytes).ok()),
        "resources" if CardPlace::of_key(key).is_some() => card_stored(actor, key, before, &json),
        "findings" => batch_stored(actor, key, bytes),
        _ => {}
    }
}

fn batch_stored(actor: &Actor, key: &str, bytes: &[u8]) {
    let rule = key.split('/').nth(1).unwrap_or_default();
    is_not_under_way(actor, key, rule, bytes);
    lock(&actor.world.watch.0).batches.insert(key.to_owned(), (bytes.to_vec(), Instant::now()));
    let findings = Batch::from_stored(bytes, rule).map(|batch| batch.findings.len() + batch.passed.len());
    actor.tell(format!("stores the batch {key}: {findings:?}"));
    // The findings of one resource stay together.
    let most = actor.world.scenario.batch_size.max(2);
    if !matches!(findings, Ok(count) if count <= most) {
        actor.world.breaks("11: a batch is bounded", format!("{key}: {findings:?}"));
    }
}

/// What an earlier batch is about is not handed on again before that has its report, or nobody can write one any more.
fn is_not_under_way(actor: &Actor, key: &str, rule: &str, bytes: &[u8]) {
    let world = &actor.world;
    let resources = |bytes: &[u8]| -> BTreeSet<_> {
        let findings = Batch::from_stored(bytes, rule).map(|batch| batch.findings).unwrap_or_default();
        findings.into_iter().map(|of| (of.account.to_string(), of.region.to_string(), of.resource)).collect()
    };
    let (own, lasts) = (resources(bytes), world.scenario.event_age() + LAMBDA);
    let seen = lock(&world.watch.0);
    for (other, (stored, at)) in seen.batches.iter().filter(|(other, _)| other.split('/').nth(1) == Some(rule)) {
        let report = other.replacen("findings/", "reports/", 1);
        let has_report = !world.store.keys(report.trim_end_matches("ndjson.gz")).is_empty();
        let is_spoilt = world.store.peek(other).is_none_or(|now| *now != *stored);
        let was_seen = *at < actor.began && at.elapsed() + Duration::try_from(APART).unwrap_or_default() < lasts;
        if was_seen && !has_report && !is_spoilt && !own.is_disjoint(&resources(stored)) {
            let how = format!("{key} by {} has what is in {other}, which is {:?} old", actor.name, at.elapsed());
            world.breaks("queue: what is under way is not handed on again", how);
        }
    }
}

/// What a card says is never lost, and no claim is taken from who holds it.
fn card_stored(actor: &Actor, key: &str, before: Option<&[u8]>, card: &Value) {
    let world = &actor.world;
    let arn = card["resource"].as_str().unwrap_or_default().to_owned();
    let claim = |card: &Value| {
        let claim = &card["claim"];
        let of = |name: &str| claim[name].as_str().unwrap_or_default().to_owned();
        (!claim.is_null()).then(|| (of("holder"), of("run"), of("until").parse::<Timestamp>().ok()))
    };
    let told = match claim(card) {
        Some((_, run, Some(until))) => format!("claims {arn} for {run} until {until}"),
        _ => format!("keeps the card of {arn}"),
    };
    actor.tell(format!("{told}, with {} write(s)", card["writes"].as_array().map_or(0, Vec::len)));
    let before: Value = before.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
    let writes = |card: &Value| -> BTreeSet<(String, String)> {
        let writes = card["writes"].as_array().into_iter().flatten();
        writes.map(|write| (write["run"].to_string(), write["batch"].to_string())).collect()
    };
    let lost: Vec<_> = writes(&before).difference(&writes(card)).cloned().collect();
    if !lost.is_empty() {
        world.breaks("6: no write is forgotten", format!("{key}: {lost:?} by {}", actor.name));
    }
    if let (Some((holder, run, Some(until))), after) = (claim(&before), claim(card))
        && after.as_ref().is_some_and(|(other, ..)| *other != holder)
        && world.now() + APART + SignedDuration::from_secs(1) < until
    {
        world.breaks("6: a claim is nobody else's", format!("{key}: that of {run} until {until}, by {}", actor.name));
    }
    let mut seen = lock(&world.watch.0);
    if let Some((_, run, Some(until))) = claim(card) {
        let session = session_name(&run);
        let is_new = claim(&before).is_none_or(|(_, of, _)| of != run);
        let is_older = |stored: &Instant| seen.last_look(&session, &arn).is_none_or(|(looked, _)| looked < stored);
        if is_new && seen.cards_stored.get(&arn).is_some_and(is_older) {
            world.breaks("6: what was decided on an older card is not claimed", format!("{key}, by {}", actor.name));
        }
        seen.claimed.insert((session, arn.clone()), until);
    }
    seen.cards_stored.insert(arn.clone(), Instant::now());
    // Of a run that never came back nobody knows whether it was the one that has closed what it had seen open.
    for write in card["writes"].as_array().into_iter().flatten().filter(|write| write["ended"] == "cut_off") {
        if let Some(at) = write["at"].as_str().and_then(|at| at.parse::<Timestamp>().ok()) {
            seen.closed_at_once(&arn, at);
        }
    }
    seen.cards.insert(arn, card.clone());
}

/// Invariants 3, 5, 8 and 10.
fn reported(actor: &Actor, key: &str, bytes: &[u8]) {
    let world = &actor.world;
    let report: Report = match remediation::records::read(bytes) {
        Ok(report) => report,
        Err(error) => return world.breaks("5: a report can be read", format!("{key}: {error}")),
    };
    lock(&world.watch.0).reports.insert(key.to_owned(), report.clone());
    let details: BTreeSet<_> = report.findings.iter().filter_map(|row| row.detail.as_deref()).collect();
    let waves = if report.earlier_plans.is_empty() { "" } else { ", in waves" };
    actor.tell(format!("stores the report {key}: {:?} {details:?}{waves}", report.counts));
    let session = session_name(&report.id.run.to_string());
    let batch = lock(&world.watch.0).batches.get(&report.id.findings_key()).cloned();
    if let Some(Ok(batch)) = batch.map(|(bytes, _)| Batch::from_stored(&bytes, &report.id.rule))
        && report.error.is_none()
        // A batch that somebody has cut short says so.
        && report.bad_lines.is_empty()
        && let Err(how) = each_has_one_outcome(world, &report, &batch)
    {
        world.breaks("5: one outcome a finding", format!("{key}: {how}"));
    }
    for confirmed in &report.confirmed {
        closed(actor, key, &session, confirmed);
    }
    for row in &report.findings {
        if row.contested.is_some() && row.outcome != Outcome::AlreadyCompliant {
            world.breaks("closure: only a fix that is in force is contested", format!("{key}: {row:?}"));
        }
        if matches!(row.outcome, Outcome::Failed | Outcome::Held | Outcome::Deferred) && row.detail.is_none() {
            world.breaks("8: an error says why", format!("{key}: {row:?}"));
        }
        let Some(resource) = &row.resource else {
            if matches!(row.outcome, Outcome::Fixed | Outcome::AlreadyCompliant | Outcome::Undone) {
                world.breaks("10: the right object was looked at", format!("{key}: {row:?}"));
            }
            continue;
        };
        if !row.took.is_empty() && !report.plan_of(row).is_some_and(|plan| has_plan_of(world, plan, &resource.arn)) {
            world.breaks("1: a report names the plan of what was written", format!("{key}: {row:?}"));
        }
        proved(world, key, &session, &row.finding.control, row.outcome, resource);
    }
}

/// Whether the stored plan `key` has changes of the resource; perhaps, where somebody has cut it short.
fn has_plan_of(world: &World, key: &str, arn: &str) -> bool {
    let Some(plan) = world.store.peek(key) else { return false };
    let Ok(plan) = serde_json::from_slice::<Value>(&plan) else { return true };
    plan["resources"].as_array().into_iter().flatten().any(|planned| planned["resource"]["arn"] == arn)
}

/// That Netskope has confirmed a fix is said of a proved fix of ours alone, by a scan after it, and where a look of this run
/// has found it in force.
fn closed(actor: &Actor, key: &str, session: &str, confirmed: &Confirmed) {
    let (world, Confirmed { finding, resource, fixed, report, scanned }) = (&actor.world, confirmed);
    actor.tell(format!("Netskope confirms the fix of {}", resource.arn));
    proved(world, key, session, &finding.control, Outcome::AlreadyCompliant, resource);
    let is_fix =
        |write: &Value| write["ended"] == "proved" && write["run"].as_str().is_some_and(|run| report.contains(run));
    let card = lock(&world.watch.0).cards.get(&resource.arn).cloned().unwrap_or_default();
    if scanned <= fixed || !card["writes"].as_array().is_some_and(|writes| writes.iter().any(is_fix)) {
        world.breaks("closure: only a proved fix of ours is confirmed", format!("{key}: {confirmed:?}"));
    }
}

/// Whether each finding of a batch has its row in the report, or in one of those that it names.
fn each_has_one_outcome(world: &World, report: &Report, batch: &Batch) -> Result<(), String> {
    let mut rows = report.findings.iter().peekable();
    let others: Vec<_> = batch.findings.iter().filter(|of| rows.next_if(|row| row.finding == **of).is_none()).collect();
    if let Some(row) = rows.next() {
        return Err(format!("{row:?} is of no finding, or of one that has an outcome"));
    }
    let mut places = Vec::new();
    for Unchanged { report, outcome, findings, .. } in &report.unchanged {
        let named = lock(&world.watch.0).reports.get(report).cloned();
        let named = named.ok_or_else(|| format!("it names {report}, which is not there"))?;
        let rows = named.findings.into_iter().filter(|row| row.outcome == *outcome);
        places.push(Places { left: *findings, told: rows.map(|row| told(&row.finding)).collect() });
    }
    let count: usize = places.iter().map(|of| of.left).sum();
    let others: Vec<_> = others.into_iter().map(told).collect();
    if count == others.len() && has_room(&others, &mut places) {
        return Ok(());
    }
    Err(format!("{others:?} have no outcome, or more than one: {:?}", report.unchanged))
}

/// What a report that is named says in full, and of how many findings that is asked.
struct Places {
    left: usize,
    told: BTreeSet<[String; 4]>,
}

/// By what a finding is known in a row of another report.
fn told(of: &Finding) -> [String; 4] {
    [of.account.to_string(), of.region.to_string(), of.control.clone(), of.resource.clone()]
}

/// Whether each of these has a place of its own. An older report may say something of it, too.
fn has_room(findings: &[[String; 4]], places: &mut [Places]) -> bool {
    let Some((first, others)) = findings.split_first() else { return true };
    (0..places.len()).any(|place| {
        if places[place].left == 0 || !places[place].told.contains(first) {
            return false;
        }
        places[place].left -= 1;
        let has_room = has_room(others, places);
        places[place].left += 1;
        has_room
    })
}

fn proved(world: &World, key: &str, session: &str, control: &str, outcome: Outcome, resource: &Resource) {
    let seen = lock(&world.watch.0);
    let of = (session.to_owned(), resource.arn.clone());
    let looks = seen.looks.get(&of).map(Vec::as_slice).unwrap_or_default();
    let written = seen.applies.get(&of).and_then(|applies| applies.last()).map(|applied| applied.ended);
    let way = CONTROLS.iter().find(|(of, _)| *of == control).map(|(_, way)| *way);
    let complies = |state: &Option<State>| {
        let open = state.as_ref().map(State::open);
        open.is_some_and(|open| way.is_some_and(|way| !open.contains(&way)))
    };
    let proof = match outcome {
        Outcome::Fixed => {
            let since = |at: &Instant| written.flatten().is_none_or(|written| *at >= written);
            looks.iter().any(|(at, state)| since(at) && complies(state))
        }
        Outcome::AlreadyCompliant => looks.iter().any(|(_, state)| complies(state)),
        Outcome::Gone => looks.iter().any(|(_, state)| state.is_none()),
        _ => true,
    };
    if !proof {
        let arn = &resource.arn;
        world.breaks("3: success is proved", format!("{key}: {outcome} of {arn} ({control}), but {looks:?}"));
    }
}

/// What holds once nothing goes wrong any more, a few polls later.
pub(crate) fn at_rest(world: &World) {
    for (thing, _, state) in world.cloud.things() {
        let Some(state) = state else { continue };
        let ways: &[char] = if matches!(state, State::Gate(_)) { &['a', 'b'] } else { &['p'] };
        let violates = ways.iter().any(|way| state.open().contains(way));
        if violates && !is_left_alone(world, &thing) && !is_full(&state) {
            world.breaks("at rest: what is to be fixed is fixed", format!("{} is {state}", thing.arn()));
        }
    }
    let cards: Vec<_> = lock(&world.watch.0).cards.values().cloned().collect();
    for card in cards {
        let until = card["claim"]["until"].as_str().and_then(|until| until.parse::<Timestamp>().ok());
        if until.is_some_and(|until| until > world.now() + APART) {
            world.breaks("at rest: every claim has ended", card.to_string());
        }
    }
    let (failed, too_old) = (world.lambdas.failed(), world.lambdas.too_old());
    for key in world.store.keys("findings/") {
        let report = key.replacen("findings/", "reports/", 1);
        let report = report.trim_end_matches("ndjson.gz");
        let is_told = failed.contains(&key) || too_old.contains(&key);
        if world.store.keys(report).is_empty() && !is_told {
            world.breaks("5: one outcome a finding", format!("{key} has no report"));
        }
    }
}

/// A gate that has no room for what would stay open.
fn is_full(state: &State) -> bool {
    matches!(state, State::Gate(entries) if entries.len() + 2 > crate::cloud::QUOTA)
}

/// Whether an undo has put a thing back.
fn is_left_alone(world: &World, thing: &Thing) -> bool {
    let seen = lock(&world.watch.0);
    let exempt = seen.cards.get(&thing.arn()).map(|card| card["exempt"]["until"].clone());
    let until = exempt.and_then(|until| until.as_str().and_then(|until| until.parse::<Timestamp>().ok()));
    until.is_some_and(|until| until > world.now())
}

/// What holds once everything is taken back.
pub(crate) fn at_the_beginning_again(world: &World) {
    for (thing, _, state) in world.cloud.things() {
        let arn = thing.arn();
        if !world.cloud.is_by_hand(&arn) && state.as_ref() != Some(&thing.state) {
            let is = state.map_or("gone".into(), |state| state.to_string());
            world.breaks("4: undo gives back the first state", format!("{arn} was {} and is {is}", thing.state));
        }
    }
}
