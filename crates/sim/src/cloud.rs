//! The target accounts: gates and pumps, who sees what of them, and who changes them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::ErrorMetadata;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::actor::Actor;
use crate::chance::Chance;
use crate::fault::Fault;
use crate::sts::Session;
use crate::wire::{REGION, latency};
use crate::world::{World, lock};

/// An answer of a target account, or why there is none.
pub(crate) type Called<T> = Result<T, SdkError<ErrorMetadata, HttpResponse>>;

/// How often a call is tried, as the SDK does.
const TRIES: u32 = 5;
/// The most entries that a gate can have.
pub(crate) const QUOTA: usize = 6;
/// How long a read can show what was.
const LAG: (u64, u64) = (100, 6_000);

/// How a thing stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The entries of a gate: each a range of ways, by their letters.
    Gate(BTreeSet<String>),
    /// Whether a pump is public.
    Pump(bool),
}

impl State {
    /// The entries of this state that another has not; of a pump, its one way.
    pub fn less(&self, other: &Self) -> BTreeSet<String> {
        match (self, other) {
            (Self::Gate(entries), Self::Gate(others)) => entries.difference(others).cloned().collect(),
            _ => self.open().difference(&other.open()).map(char::to_string).collect(),
        }
    }

    /// What stands open.
    pub fn open(&self) -> BTreeSet<char> {
        match self {
            Self::Gate(entries) => entries.iter().flat_map(|entry| entry.chars()).collect(),
            Self::Pump(public) => public.then_some('p').into_iter().collect(),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gate(entries) => write!(f, "{{{}}}", entries.iter().cloned().collect::<Vec<_>>().join(" ")),
            Self::Pump(public) => f.write_str(if *public { "public" } else { "private" }),
        }
    }
}

/// A thing, as a scenario has it at its beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thing {
    /// Its account.
    pub account: String,
    /// Its ID, which stays.
    pub id: String,
    /// How it stands.
    pub state: State,
    /// Whether Netskope calls it by its name.
    pub by_name: bool,
}

impl Thing {
    /// An open gate of this number, in one of three accounts.
    pub(crate) fn open_gate(number: usize) -> Self {
        let account = ["111111111111", "222222222222", "333333333333"][number % 3].into();
        let state = State::Gate(["a".to_owned()].into());
        Self { account, id: format!("gate-{number}"), state, by_name: false }
    }

    /// Its kind, which is the first part of its ID.
    pub fn kind(&self) -> &str {
        self.id.split('-').next().unwrap_or_default()
    }

    /// Its name at the beginning.
    pub fn first_name(&self) -> String {
        format!("the-{}", self.id)
    }

    /// Its canonical ARN.
    pub fn arn(&self) -> String {
        format!("arn:aws:sim:{REGION}:{}:{}/{}", self.account, self.kind(), self.id)
    }
}

/// A thing as it is, and was.
#[derive(Debug)]
struct Life {
    thing: Thing,
    name: String,
    /// How it stood since when; none where it was deleted.
    states: Vec<(Instant, Option<State>)>,
    /// Whether somebody else changed it.
    by_hand: bool,
}

/// What a change is made with.
#[derive(Debug, Clone)]
pub(crate) enum Hand {
    /// Somebody who is none of ours.
    Person,
    /// A session of ours.
    Ours(Arc<Session>),
}

/// All accounts.
#[derive(Debug)]
pub(crate) struct Cloud {
    lives: Mutex<BTreeMap<String, Life>>,
    /// The accounts in which our roles may write nothing.
    denied: Mutex<BTreeSet<String>>,
    chance: Chance,
}

impl Cloud {
    pub(crate) fn new(seed: u64, things: &[Thing]) -> Self {
        let life = |thing: &Thing| {
            let states = vec![(Instant::now(), Some(thing.state.clone()))];
            Life { name: thing.first_name(), thing: thing.clone(), states, by_hand: false }
        };
        let lives = things.iter().map(|thing| (thing.arn(), life(thing))).collect();
        Self { lives: Mutex::new(lives), denied: Mutex::default(), chance: Chance::new(seed, "cloud") }
    }

    /// How a thing really stands; none where it is gone.
    pub(crate) fn state(&self, arn: &str) -> Option<State> {
        let lives = lock(&self.lives);
        lives.get(arn).and_then(|life| life.states.last()).and_then(|(_, state)| state.clone())
    }

    /// Whether somebody else changed it.
    pub(crate) fn is_by_hand(&self, arn: &str) -> bool {
        lock(&self.lives).get(arn).is_some_and(|life| life.by_hand)
    }

    /// What becomes of a thing is somebody else's doing.
    pub(crate) fn touch(&self, arn: &str) {
        if let Some(life) = lock(&self.lives).get_mut(arn) {
            life.by_hand = true;
        }
    }

    /// All things, each with its name of now and its state; none where it is gone.
    pub(crate) fn things(&self) -> Vec<(Thing, String, Option<State>)> {
        let lives = lock(&self.lives);
        let of = |life: &Life| {
            let state = life.states.last().and_then(|(_, state)| state.clone());
            (life.thing.clone(), life.name.clone(), state)
        };
        lives.values().map(of).collect()
    }

    /// Our roles may write nothing in an account, or may again.
    pub(crate) fn deny(&self, account: &str, denied: bool) {
        let mut accounts = lock(&self.denied);
        if denied {
            accounts.insert(account.to_owned())
        } else {
            accounts.remove(account)
        };
    }

    pub(crate) fn is_denied(&self, account: &str) -> bool {
        lock(&self.denied).contains(account)
    }

    /// Two things of an account swap their names.
    pub(crate) fn rename(&self, one: &str, other: &str) {
        let mut lives = lock(&self.lives);
        let names: Vec<_> = [one, other].iter().filter_map(|arn| lives.get(*arn)).map(|of| of.name.clone()).collect();
        for (arn, name) in [one, other].into_iter().zip(names.into_iter().rev()) {
            if let Some(life) = lives.get_mut(arn) {
                life.name = name;
                // By a name that is another's for a while, it is not found when it is to be taken back.
                life.by_hand = true;
            }
        }
    }

    /// Changes a thing; none deletes it.
    pub(crate) fn change(&self, world: &World, arn: &str, hand: &Hand, to: impl FnOnce(&State) -> Option<State>) {
        let (before, after) = {
            let mut lives = lock(&self.lives);
            let Some(life) = lives.get_mut(arn) else { return };
            let Some(before) = life.states.last().and_then(|(_, state)| state.clone()) else { return };
            let after = to(&before);
            if after.as_ref() == Some(&before) {
                return;
            }
            life.states.push((Instant::now(), after.clone()));
            life.by_hand |= matches!(hand, Hand::Person);
            (before, after)
        };
        let shown = after.as_ref().map_or("gone".into(), ToString::to_string);
        let who = match hand {
            Hand::Person => "somebody".to_owned(),
            Hand::Ours(session) => session.name.clone(),
        };
        world.tell("cloud", format!("{arn}: {before} → {shown} ({who})"));
        crate::invariants::changed(world, arn, hand, &before, after.as_ref());
    }

    /// What a read of a thing shows: its state, perhaps of some seconds ago; and its name. None where there is no such ID.
    fn shown(&self, world: &World, arn: &str) -> Option<(Option<State>, String)> {
        let lag =
            if world.strikes(Fault::Stale, &self.chance) { self.chance.millis(LAG.0, LAG.1) } else { Duration::ZERO };
        let lives = lock(&self.lives);
        let life = lives.get(arn)?;
        let at = Instant::now().checked_sub(lag);
        let shown = life.states.iter().rev().find(|(since, _)| at.is_none_or(|at| *since <= at));
        let shown = shown.or(life.states.first());
        Some((shown.and_then(|(_, state)| state.clone()), life.name.clone()))
    }

    /// The ARN of the thing of this kind in an account that has this ID, ARN or name.
    fn find(&self, account: &str, kind: &str, named: &str) -> Option<String> {
        let lives = lock(&self.lives);
        let is_it = |life: &&Life| {
            let is_there = life.states.last().is_some_and(|(_, state)| state.is_some());
            let names = [life.thing.id.clone(), life.thing.arn()];
            let is_named = names.iter().any(|of| of == named) || (is_there && life.name == named);
            life.thing.account == account && life.thing.kind() == kind && is_named
        };
        lives.values().find(is_it).map(|life| life.thing.arn())
    }
}

/// A call of ours in a target account.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    /// What a thing is.
    Get { kind: &'static str, named: String },
    /// One entry more.
    Add { arn: String, entry: String },
    /// One entry less.
    Remove { arn: String, entry: String },
    /// A pump is made public, or private.
    Set { arn: String, public: bool },
}

impl Request {
    /// The ARN of what it changes; none where it only looks.
    fn written_to(&self) -> Option<&str> {
        match self {
            Self::Get { .. } => None,
            Self::Add { arn, .. } | Self::Remove { arn, .. } | Self::Set { arn, .. } => Some(arn),
        }
    }
}

/// What a call gives.
#[derive(Debug, Clone)]
pub(crate) enum Given {
    /// Nothing.
    Nothing,
    /// A thing: its ARN, its state (none where it is gone), and its name.
    Thing { arn: String, state: Option<State>, name: String },
}

/// Sends a request with a session, and again, as the SDK does, while it fails for a moment only.
pub(crate) async fn send(actor: &Arc<Actor>, session: &Arc<Session>, request: &Request) -> Called<Given> {
    if request.written_to().is_some() && actor.world.strikes(Fault::Unanswered, &actor.chance) {
        return unanswered(actor, session, request).await;
    }
    let mut tries = 0;
    loop {
        tries += 1;
        if let Some(arn) = request.written_to() {
            crate::invariants::sends(actor, session, arn);
        }
        let sent = tokio::spawn(arrive(Arc::clone(actor), Arc::clone(session), request.clone()));
        let answer = sent.await.unwrap_or_else(|error| Err(lost(&error.to_string())));
        let passes = match &answer {
            Ok(_) => false,
            Err(SdkError::ServiceError(error)) => {
                error.raw().status().is_server_error() || error.err().code() == Some("ThrottlingException")
            }
            Err(_) => true,
        };
        if !passes || tries == TRIES {
            return answer;
        }
        sleep(actor.chance.millis(0, 1_000 << tries)).await;
    }
}

/// Sends a request on a way that takes longer than the caller waits.
async fn unanswered(actor: &Arc<Actor>, session: &Arc<Session>, request: &Request) -> Called<Given> {
    let (on_its_way, waits) = (actor.chance.millis(0, 90_000), actor.chance.millis(5_000, 20_000));
    let (sender, session, sent) = (Arc::clone(actor), Arc::clone(session), request.clone());
    tokio::spawn(async move {
        sleep(on_its_way).await;
        arrive(sender, session, sent).await
    });
    sleep(waits).await;
    actor.tell(format!("waits no longer for an answer to {request:?}"));
    Err(lost("nobody answers"))
}

async fn arrive(actor: Arc<Actor>, session: Arc<Session>, request: Request) -> Called<Given> {
    let world = &actor.world;
    let latency = || latency(world, &actor.chance).min(Duration::from_secs(10)) + distance(&session.account);
    sleep(latency()).await;
    for (fault, status, code) in
        [(Fault::Throttled, 400, "ThrottlingException"), (Fault::Failing, 500, "InternalFailure")]
    {
        if world.strikes(fault, &world.cloud.chance) {
            return Err(refused(status, code));
        }
    }
    if world.strikes(Fault::LostRequest, &actor.chance) {
        return Err(lost("the request is lost"));
    }
    let answer = effect(&actor, &session, &request);
    if world.strikes(Fault::LostAnswer, &actor.chance) {
        actor.tell(format!("the answer to {request:?} is lost"));
        return Err(lost("the answer is lost"));
    }
    sleep(latency()).await;
    answer
}

/// How much longer one way to an account takes: so some are planned long before others.
fn distance(account: &str) -> Duration {
    let first = account.chars().next().and_then(|digit| digit.to_digit(10)).unwrap_or_default();
    Duration::from_millis(u64::from(first) * 150)
}

fn effect(actor: &Arc<Actor>, session: &Arc<Session>, request: &Request) -> Called<Given> {
    let (world, cloud) = (&actor.world, &actor.world.cloud);
    if session.has_ended() {
        return Err(refused(400, "ExpiredToken"));
    }
    if let Request::Get { kind, named } = request {
        let Some(arn) = cloud.find(&session.account, kind, named) else { return Err(refused(400, "NoSuchName")) };
        let Some((state, name)) = cloud.shown(world, &arn) else { return Err(refused(404, "Gone")) };
        return Ok(Given::Thing { arn, state, name });
    }
    if session.read_only || cloud.is_denied(&session.account) {
        if session.read_only {
            world.breaks("2: what looks cannot write", format!("{}: {request:?}", session.name));
        }
        return Err(refused(403, "AccessDenied"));
    }
    let Some(arn) = request.written_to() else { return Ok(Given::Nothing) };
    let Some(now) = cloud.state(arn) else { return Err(refused(404, "Gone")) };
    let after = match (request, now) {
        (Request::Add { entry, .. }, State::Gate(entries)) if !entries.contains(entry) => {
            if entries.len() >= QUOTA {
                return Err(refused(400, "QuotaExceeded"));
            }
            let mut entries = entries;
            entries.insert(entry.clone());
            State::Gate(entries)
        }
        (Request::Add { .. }, _) => return Err(refused(400, "DuplicateEntry")),
        (Request::Remove { entry, .. }, State::Gate(mut entries)) => {
            if entries.contains(entry)
                && !crate::invariants::has_added(world, session, arn, entry)
                && world.strikes(Fault::Refused, &cloud.chance)
            {
                return Err(refused(400, "OperationNotPermitted"));
            }
            if !entries.remove(entry) {
                crate::invariants::entry(world, session, arn, entry, false);
                return Err(refused(400, "NoSuchEntry"));
            }
            State::Gate(entries)
        }
        (Request::Set { public, .. }, _) => State::Pump(*public),
        (_, now) => now,
    };
    crate::invariants::writes(actor, session, arn);
    cloud.change(world, arn, &Hand::Ours(Arc::clone(session)), |_| Some(after));
    match request {
        Request::Add { entry, .. } => crate::invariants::entry(world, session, arn, entry, true),
        Request::Remove { entry, .. } => crate::invariants::entry(world, session, arn, entry, false),
        _ => {}
    }
    Ok(Given::Nothing)
}

fn refused(status: u16, code: &str) -> SdkError<ErrorMetadata, HttpResponse> {
    let error = ErrorMetadata::builder().code(code).message("the simulation says so").build();
    SdkError::service_error(error, HttpResponse::new(status.try_into().expect("a status"), SdkBody::empty()))
}

fn lost(why: &str) -> SdkError<ErrorMetadata, HttpResponse> {
    SdkError::dispatch_failure(ConnectorError::io(why.to_owned().into()))
}
