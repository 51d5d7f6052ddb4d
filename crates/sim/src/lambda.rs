//! The Lambdas and who invokes them: the scheduler for pollers, S3's events for rules, with the service's own retries.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use aws_lambda_events::event::s3::S3Event;
use lambda_runtime::{Context, LambdaEvent};
use netskope::{Endpoint, Filters, Options};
use poller::{Limits, Poller, TokenSource};
use remediation::records::TurnPlace;
use remediation::{Manifest, Regions, Rule, TargetRole};
use rule_lambda::Shell;
use secrecy::SecretString;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use crate::actor::Actor;
use crate::fault::Fault;
use crate::netskope::{Line, TOKEN};
use crate::rules::{OpenGate, PublicPump};
use crate::store;
use crate::wire::{REGION, config};
use crate::world::{World, lock};

/// The rules.
pub(crate) const RULES: [&str; 2] = ["open-gate", "public-pump"];
/// When the service tries an event again.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>
const RETRIES: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(120)];

/// The Lambdas.
#[derive(Debug, Default)]
pub(crate) struct Lambdas {
    count: AtomicUsize,
    at_work: AtomicUsize,
    /// The events that ended in the failure queue.
    failed: Mutex<Vec<String>>,
    /// The events of batches that no Lambda began before they were too old.
    too_old: Mutex<Vec<String>>,
    /// The room that each rule's Lambda has for events.
    places: Mutex<BTreeMap<String, Arc<Semaphore>>>,
}

/// What became of an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ended {
    Well,
    Badly(String),
    Killed,
}

impl Lambdas {
    /// An object was stored: its event comes, some time, perhaps twice.
    pub(crate) fn stored(&self, actor: &Actor, key: &str) {
        let is_event = ["findings/", "approvals/"].iter().any(|folder| key.starts_with(folder));
        if !is_event {
            return;
        }
        let (world, chance) = (&actor.world, &actor.chance);
        let copies = 1 + usize::from(world.strikes(Fault::Twice, chance));
        for _ in 0..copies {
            let late = world.strikes(Fault::Late, chance);
            let delay = if world.scenario.rush {
                chance.millis(0, 5)
            } else if late {
                chance.millis(60_000, 1_800_000)
            } else {
                chance.millis(100, 4_000)
            };
            self.at_work.fetch_add(1, Ordering::Relaxed);
            let (world, key) = (Arc::clone(world), key.to_owned());
            tokio::spawn(async move {
                sleep(delay).await;
                deliver(&world, &key).await;
                world.lambdas.at_work.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }

    /// The events that ended in the failure queue, by their objects' keys.
    pub(crate) fn failed(&self) -> Vec<String> {
        lock(&self.failed).clone()
    }

    /// The events of batches that were too old before a Lambda began, by their objects' keys.
    pub(crate) fn too_old(&self) -> Vec<String> {
        lock(&self.too_old).clone()
    }

    /// There is room for all events from now on.
    pub(crate) fn make_room(&self) {
        for places in lock(&self.places).values() {
            places.add_permits(Semaphore::MAX_PERMITS / 2);
        }
    }

    fn places(&self, rule: &str, count: Option<usize>) -> Arc<Semaphore> {
        let mut places = lock(&self.places);
        let new = || Arc::new(Semaphore::new(count.unwrap_or(Semaphore::MAX_PERMITS / 2 - 1)));
        Arc::clone(places.entry(rule.to_owned()).or_insert_with(new))
    }

    /// Waits until no event is under way.
    pub(crate) async fn until_idle(&self) {
        while self.at_work.load(Ordering::Relaxed) > 0 {
            sleep(Duration::from_secs(30)).await;
        }
    }

    fn number(&self) -> usize {
        self.count.fetch_add(1, Ordering::Relaxed)
    }
}

/// Invokes the rule's Lambda for an object once it has room, and again where that failed; neither when the event is too old.
async fn deliver(world: &Arc<World>, key: &str) {
    let rule = key.split('/').nth(1).unwrap_or_default().to_owned();
    let number = world.lambdas.number();
    let places = world.lambdas.places(&rule, world.scenario.concurrency);
    let until = Instant::now() + world.scenario.event_age();
    for attempt in 1..=RETRIES.len() + 1 {
        let Ok(Ok(place)) = timeout_at(until, places.acquire()).await else {
            world.tell("lambda", format!("the event of {key} is too old after {} attempt(s)", attempt - 1));
            // Terraform lets the failure queue have what a Lambda has failed with, and approvals.
            let is_told = attempt > 1 || !key.starts_with("findings/");
            lock(if is_told { &world.lambdas.failed } else { &world.lambdas.too_old }).push(key.to_owned());
            return;
        };
        let actor = Actor::new(world, format!("{rule} λ{number}.{attempt}"));
        actor.tell(format!("begins with {key}"));
        let (request, limit) = (format!("request-{number}"), world.scenario.lambda_limit());
        let work = handle(rule.clone(), key.to_owned(), request, Arc::clone(&actor));
        let ended = live(&actor, limit, work).await;
        actor.tell(format!("ends: {ended:?}"));
        if ended == Ended::Well {
            return;
        }
        drop(place);
        if let Some(wait) = RETRIES.get(attempt - 1) {
            sleep(*wait).await;
        }
    }
    lock(&world.lambdas.failed).push(key.to_owned());
}

async fn handle(rule: String, key: String, request: String, actor: Arc<Actor>) -> Result<(), String> {
    match rule.as_str() {
        "open-gate" => invoke::<OpenGate>(key, request, &actor).await,
        _ => invoke::<PublicPump>(key, request, &actor).await,
    }
}

/// The role of a rule in the target accounts.
pub(crate) fn role(manifest: &Manifest) -> TargetRole {
    TargetRole { name: format!("remediation-{}", manifest.id), external_id: Some("external".into()) }
}

async fn invoke<R: Rule>(key: String, request: String, actor: &Actor) -> Result<(), String> {
    let manifest = Manifest::from_json(R::MANIFEST).expect("a manifest");
    let shell = Shell::<R>::new(config(), store::records(), role(&manifest), Regions::only(REGION), "unknown".into());
    let shell = shell.map_err(|error| error.to_string())?;
    let record = json!({"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": REGION,
        "eventTime": "2026-03-01T08:00:00.000Z", "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:AROA:somebody"}, "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {}, "s3": {"s3SchemaVersion": "1.0", "configurationId": "c",
            "bucket": {"name": store::BUCKET, "ownerIdentity": {"principalId": "p"}, "arn": "arn:aws:s3:::records"},
            "object": {"key": key, "size": 1, "eTag": "e", "sequencer": "s"}}});
    let event: S3Event = serde_json::from_value(json!({"Records": [record]})).expect("an event");
    let mut context = Context::default();
    let end = actor.world.now().as_millisecond().cast_unsigned() + millis(actor.world.scenario.lambda_limit());
    (context.request_id, context.deadline) = (request, end);
    shell.handle(LambdaEvent::new(event, context)).await.map(drop).map_err(|error| error.to_string())
}

fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

/// Polls for a rule, as its schedule has it.
pub(crate) async fn poll(world: &Arc<World>, rule: &'static str) {
    let actor = Actor::new(world, format!("poller λ{}", world.lambdas.number()));
    actor.tell(format!("polls for {rule}"));
    let limit = world.scenario.lambda_limit();
    let (line, batch_size) = (Arc::new(Line(Arc::clone(world))), world.scenario.batch_size);
    let event_age = Some(world.scenario.event_age());
    let work = async move {
        let manifests = [OpenGate::MANIFEST, PublicPump::MANIFEST];
        let poller = Poller {
            manifests: manifests.map(|text| Manifest::from_json(text).expect("a manifest")).into(),
            records: store::records(),
            token: TokenSource::given(SecretString::from(TOKEN)),
            endpoint: Endpoint::tenant("tenant.goskope.com").expect("a tenant").over(line),
            options: Options { page_size: 3, ..Options::default() },
            filters: Filters::default(),
            limits: Limits { batch_size, ..Limits::default() },
            regions: Regions::only(REGION),
            event_age,
            deployment: Some(TurnPlace::ALONE),
            organization: None,
        };
        let polled = poller.poll(rule, Instant::now() + limit.saturating_sub(Duration::from_secs(60))).await;
        polled.map(drop).map_err(|error| error.to_string())
    };
    let ended = live(&actor, limit, work).await;
    actor.tell(format!("ends: {ended:?}"));
}

/// Lets a Lambda live until it is done, its time is up, or it is killed.
async fn live<F>(actor: &Arc<Actor>, limit: Duration, work: F) -> Ended
where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let killed = actor.world.strikes(Fault::Killed, &actor.chance);
    // By its turns, so that it can die at any await; or by time, most of which it waits.
    let by_turns = actor.chance.strikes(500);
    let turns = if killed && by_turns { actor.chance.between(1, 300) } else { u64::MAX };
    let time = if killed && !by_turns { actor.chance.millis(1, 20_000).min(limit) } else { limit };
    let mortal = Mortal { turns, work: Box::pin(work) };
    let alive = tokio::spawn(Arc::clone(actor).act(mortal));
    let abort = alive.abort_handle();
    match tokio::time::timeout(time, alive).await {
        Ok(Ok(Some(Ok(())))) => Ended::Well,
        Ok(Ok(Some(Err(error)))) => Ended::Badly(error),
        Ok(Ok(None)) => Ended::Killed,
        Ok(Err(panicked)) => {
            actor.world.breaks("a process panics", format!("{}: {panicked}", actor.name));
            Ended::Killed
        }
        Err(_) => {
            abort.abort();
            Ended::Killed
        }
    }
}

/// What is dropped after so many turns.
struct Mortal<F> {
    turns: u64,
    work: Pin<Box<F>>,
}

impl<F: Future> Future for Mortal<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Self::Output> {
        if self.turns == 0 {
            return Poll::Ready(None);
        }
        self.turns -= 1;
        self.work.as_mut().poll(context).map(Some)
    }
}
