//! What people do: by hand in the accounts, by the command line, with the policy, and with records that are not theirs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use engine::{Bounds, Deadline, Drifted, Engine, Taken, Undo};
use jiff::SignedDuration;
use remediation::records::{change_pauses, end_all_pauses};
use remediation::{
    Approval, Batch, BatchId, Finding, Folder, Manifest, Mode, Outcome, PAUSES_KEY, POLICY_KEY, Pause, Pauses, Plan,
    PolicyRecord, RecordError, Region, Report, ReportedFinding, Rule, RunId, Sessions, Stops,
};
use serde_json::Value;
use tokio::time::sleep;

use crate::actor::Actor;
use crate::cloud::{Hand, State, Thing};
use crate::invariants::Purpose;
use crate::lambda::{self, RULES, role};
use crate::netskope::{CONTROLS, is_about};
use crate::rules::{OpenGate, PublicPump, REFUSED};
use crate::scenario::{Deed, PolicyText, Stopped};
use crate::store;
use crate::wire::{REGION, config};
use crate::world::World;

/// What goes wrong for a person, which the command line tells.
type Told<T> = Result<T, String>;

/// Does it.
pub(crate) async fn perform(world: &Arc<World>, number: usize, deed: &Deed) {
    let things = &world.scenario.things;
    let thing = |place: &usize| &things[place % things.len()];
    match deed {
        Deed::Poll(rule) => lambda::poll(world, RULES[rule % RULES.len()]).await,
        Deed::Scan => world.tenant.scan(world),
        Deed::Open(place, entry) => world.cloud.change(world, &thing(place).arn(), &Hand::Person, |state| {
            Some(match state {
                State::Gate(entries) if entries.len() < crate::cloud::QUOTA => {
                    State::Gate(entries.iter().chain([entry]).cloned().collect())
                }
                State::Gate(_) => state.clone(),
                State::Pump(_) => State::Pump(true),
            })
        }),
        Deed::Close(place, entry) => world.cloud.change(world, &thing(place).arn(), &Hand::Person, |state| {
            Some(match state {
                State::Gate(entries) => {
                    let gone = entries.iter().nth(entry % entries.len().max(1));
                    State::Gate(entries.iter().filter(|entry| Some(*entry) != gone).cloned().collect())
                }
                State::Pump(_) => State::Pump(false),
            })
        }),
        Deed::Delete(place) => world.cloud.change(world, &thing(place).arn(), &Hand::Person, |_| None),
        Deed::Rename(one, other) => {
            let (one, other) = (thing(one), thing(other));
            if one.account == other.account && one.kind() == other.kind() && one.id != other.id {
                world.tell("somebody", format!("swaps the names of {} and {}", one.id, other.id));
                world.cloud.rename(&one.arn(), &other.arn());
            }
        }
        Deed::Policy(policy) => set_policy(world, Some(policy)),
        Deed::PolicyUnreadable => set_policy(world, None),
        Deed::PausesUnreadable => set_pauses(world, None),
        Deed::Refuse(place, seconds) => {
            let account = &thing(place).account;
            world.tell("somebody", format!("lets nobody into {account}"));
            world.sts.refuse(account, true);
            sleep(Duration::from_secs(*seconds)).await;
            world.sts.refuse(account, false);
        }
        Deed::Deny(place, seconds) => {
            let account = &thing(place).account;
            world.tell("somebody", format!("lets nobody write in {account}"));
            world.cloud.deny(account, true);
            sleep(Duration::from_secs(*seconds)).await;
            world.cloud.deny(account, false);
        }
        Deed::CutShort(place) => cut_short(world, *place),
        Deed::Edit(place) => {
            let keys = world.store.keys(&Folder::Plans.of("open-gate"));
            if let Some(key) = before_last(&keys, *place) {
                edit(world, key);
            }
        }
        Deed::Approve(_)
        | Deed::ApproveAndEdit(_)
        | Deed::Undo(..)
        | Deed::Apply(..)
        | Deed::Pause(..)
        | Deed::Resume => {
            let actor = Actor::new(world, format!("person {number}"));
            let (deed, told) = (deed.clone(), Arc::clone(&actor));
            let work = async move {
                match deed {
                    Deed::Approve(place) => approve_any(&told, place, |_| ()).await,
                    Deed::ApproveAndEdit(place) => {
                        let edits = |key: &str| {
                            if rule_of(key) == "open-gate" {
                                edit(&told.world, key)
                            }
                        };
                        approve_any(&told, place, edits).await
                    }
                    Deed::Undo(place, seconds) => undo_any(&told, place, Duration::from_secs(seconds)).await,
                    Deed::Apply(rule, seconds) => {
                        let think = Duration::from_secs(seconds);
                        if rule % RULES.len() == 0 {
                            apply::<OpenGate>(&told, think).await
                        } else {
                            apply::<PublicPump>(&told, think).await
                        }
                    }
                    Deed::Pause(place, stopped, seconds) => {
                        let things = &told.world.scenario.things;
                        pause(&told, &things[place % things.len()], stopped, seconds).await
                    }
                    Deed::Resume => resume(&told).await,
                    _ => Ok(()),
                }
            };
            let said = Arc::clone(&actor).act(work).await;
            if let Err(error) = said {
                actor.tell(format!("is told: {error}"));
            }
        }
    }
}

/// Stores a policy; none is one that cannot be read.
pub(crate) fn set_policy(world: &World, policy: Option<&PolicyText>) {
    let text = policy.map_or_else(|| b"{\"schema\": 1, \"mode\": \"".to_vec(), PolicyText::json);
    world.tell("operator", format!("stores the policy {}", String::from_utf8_lossy(&text)));
    world.store.overwrite(POLICY_KEY, text, world.now());
    world.watch.policy(policy.cloned());
}

/// Stores these pauses, on no condition; none are some that cannot be read.
pub(crate) fn set_pauses(world: &World, pauses: Option<Pauses>) {
    let text = pauses.as_ref().map_or_else(|| b"{".to_vec(), |pauses| serde_json::to_vec(pauses).expect("JSON"));
    world.tell("operator", format!("stores the pauses {}", String::from_utf8_lossy(&text)));
    world.store.overwrite(PAUSES_KEY, text, world.now());
    world.watch.pauses(pauses);
}

/// Pauses what a thing is in, as the command line does.
async fn pause(actor: &Arc<Actor>, thing: &Thing, stopped: Stopped, seconds: Option<u64>) -> Told<()> {
    let rule = RULES.into_iter().find(|rule| rule.ends_with(thing.kind())).unwrap_or_default();
    let (rules, accounts) = (vec![rule.to_owned()], vec![thing.account.parse().expect("an account")]);
    let stops = match stopped {
        Stopped::Rule => Stops { rules, ..Stops::default() },
        Stopped::Account => Stops { accounts, ..Stops::default() },
        Stopped::Both => Stops { rules, accounts, ..Stops::default() },
    };
    let (at, by, reason) = (ambient::now(), actor.name.clone(), "why".to_owned());
    let until = seconds.map(|seconds| at + Duration::from_secs(seconds));
    actor.tell(format!("pauses {stops} until {until:?}"));
    let add = |pauses: &mut Pauses| {
        let (stops, by, reason) = (stops.clone(), by.clone(), reason.clone());
        // There is room for all that a scenario pauses.
        drop(pauses.add(Pause { id: pauses.free_id(), stops, reason, by, at, until }));
        Ok::<_, Box<RecordError>>(())
    };
    change_pauses(&store::records(), add).await.map(drop).map_err(|error| error.to_string())
}

/// Ends every pause, as the command line does.
async fn resume(actor: &Arc<Actor>) -> Told<()> {
    actor.tell("ends every pause");
    end_all_pauses(&store::records()).await.map(drop).map_err(|error| error.to_string())
}

/// So many before the last of these, or the first.
fn before_last(keys: &[String], place: usize) -> Option<&String> {
    keys.get(keys.len().checked_sub(1)?.saturating_sub(place))
}

fn cut_short(world: &World, place: usize) {
    let mut keys = Vec::new();
    for folder in [Folder::Plans, Folder::Reports, Folder::Resources, Folder::Ledgers, Folder::Findings] {
        keys.extend(world.store.keys(&format!("{}/", folder.name())));
    }
    // Not by their folders, one after the other.
    keys.sort_by_key(|key| key.rsplit('/').next().map(str::to_owned));
    if let Some(key) = before_last(&keys, place) {
        world.tell("somebody", format!("cuts {key} short"));
        world.store.spoil(key, |bytes| bytes[..bytes.len() / 2].to_vec());
    }
}

/// Edits a plan: one way more goes, or comes.
fn edit(world: &World, key: &str) {
    let count = world.store.keys(&Folder::Plans.of("open-gate")).len();
    let field = if count.is_multiple_of(2) { "take" } else { "give" };
    world.tell("somebody", format!("edits {key}: x is in `{field}`"));
    let arns = world.store.peek(key).map(|bytes| world.watch.touched(&bytes));
    arns.into_iter().flatten().for_each(|arn| world.cloud.touch(&arn));
    world.store.spoil(key, |bytes| {
        let Ok(mut plan) = serde_json::from_slice::<Value>(bytes) else { return bytes.to_vec() };
        for planned in plan["resources"].as_array_mut().into_iter().flatten() {
            for planned in planned["changes"].as_array_mut().into_iter().flatten() {
                if let Some(entries) = planned["change"][field].as_array_mut() {
                    entries.push("x".into());
                }
            }
        }
        serde_json::to_vec(&plan).expect("JSON")
    });
}

/// The rule of a key.
fn rule_of(key: &str) -> &str {
    key.split('/').nth(1).unwrap_or_default()
}

/// The keys of a folder, the oldest first, whatever the rule: by their runs.
fn by_run(world: &World, folder: Folder) -> Vec<String> {
    let mut keys = world.store.keys(&format!("{}/", folder.name()));
    keys.sort_by_key(|key| key.rsplit('/').next().map(str::to_owned));
    keys
}

async fn approve_any(actor: &Arc<Actor>, place: usize, then: impl FnOnce(&str)) -> Told<()> {
    let keys = by_run(&actor.world, Folder::Plans);
    let waits = |key: &String| {
        let plan = actor.world.store.peek(key).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        let resources = plan.as_ref().and_then(|plan| plan["resources"].as_array());
        resources.is_some_and(|resources| resources.iter().any(|of| !of["awaits"].is_null()))
    };
    let keys: Vec<_> = keys.into_iter().filter(waits).collect();
    let Some(key) = before_last(&keys, place) else { return Ok(()) };
    if rule_of(key) == "open-gate" {
        approve::<OpenGate>(actor, key, then).await
    } else {
        approve::<PublicPump>(actor, key, then).await
    }
}

/// `then` happens as soon as the approval is there.
async fn approve<R: Rule>(actor: &Arc<Actor>, key: &str, then: impl FnOnce(&str)) -> Told<()> {
    let records = store::records();
    let plan: Plan<R::Change> = records.get_as(key).await.map_err(|error| error.to_string())?;
    let digest = plan.digest().map_err(|error| error.to_string())?;
    let approval = Approval::new(&plan.id, key, &digest, actor.name.clone(), "why".into());
    actor.tell(format!("approves {key} for the run {}", approval.run));
    let shown = crate::invariants::shown(&plan);
    actor.world.watch.purpose(approval.run, Purpose::Approval(shown));
    let bytes = serde_json::to_vec(&approval).map_err(|error| error.to_string())?;
    let stored = records.put_new(&Approval::key(key), bytes).await;
    then(key);
    stored.map(drop).map_err(|error| error.to_string())
}

/// An engine of the command line.
async fn engine<R: Rule>(run: RunId) -> Told<Engine<R>> {
    let manifest = Manifest::from_json(R::MANIFEST).expect("a manifest");
    let records = store::records();
    let record = PolicyRecord::of_deployment(records.clone());
    let policy = record.read().await.map_err(|error| error.to_string())?;
    let settings = policy.settings::<R::Settings>(&manifest.id).map_err(|error| error.to_string())?;
    let sessions = Sessions::new(config(), manifest.access(role(&manifest), run));
    let engine = Engine::<R>::new(manifest, settings, sessions, records, Bounds::default());
    Ok(engine.map_err(|error| error.to_string())?.under((*policy).clone(), Some(record)))
}

/// Plans for all that a rule is about in one account, and writes what was shown.
async fn apply<R: Rule>(actor: &Arc<Actor>, think: Duration) -> Told<()> {
    let run = RunId::start();
    let manifest = Manifest::from_json(R::MANIFEST).expect("a manifest");
    let id = BatchId { rule: manifest.id.clone(), run, batch: 1 };
    let findings = findings(&actor.world, &manifest.id);
    if findings.is_empty() {
        return Ok(());
    }
    actor.tell(format!("lets {} plan as the run {run}", manifest.id));
    let engine = engine::<R>(run).await?;
    let planned = engine.run(Batch::new(id, findings), Mode::Plan, Deadline::never()).await;
    store(actor, &planned.report).await;
    let Some(plan) = planned.plan else { return Ok(()) };
    sleep(think).await;
    actor.tell("says yes");
    actor.world.watch.purpose(run, Purpose::Shown(crate::invariants::shown(&plan)));
    let done = engine.run_shown(plan.id.clone(), plan, Deadline::never()).await;
    store(actor, &done.report).await;
    Ok(())
}

/// The findings of all things of a rule.
fn findings(world: &World, rule: &str) -> Vec<Finding> {
    let of = |(thing, name, state): &(Thing, String, Option<State>)| {
        let called = if thing.by_name { name } else { &thing.id };
        let state = state.as_ref().unwrap_or(&thing.state).clone();
        let is_its = rule.ends_with(thing.kind());
        let controls = CONTROLS.iter().filter(move |(control, _)| is_its && is_about(control, &state));
        let finding = |(control, _): &(&str, char)| Finding {
            control: (*control).to_owned(),
            account: thing.account.parse().expect("an account"),
            region: Region::code(REGION),
            resource: called.clone(),
            first_seen: None,
            last_scanned: None,
        };
        controls.map(finding).collect::<Vec<_>>()
    };
    world.cloud.things().iter().flat_map(of).collect()
}

async fn store(actor: &Actor, report: &Report) {
    if let Err(error) = store::records().store_report(report).await {
        actor.tell(format!("the report could not be stored: {error}"));
    }
}

async fn undo_any(actor: &Arc<Actor>, place: usize, think: Duration) -> Told<()> {
    let keys: Vec<_> = by_run(&actor.world, Folder::Plans);
    let Some(key) = before_last(&keys, place).cloned() else { return Ok(()) };
    if rule_of(&key) == "open-gate" {
        undo::<OpenGate>(actor, &key, think, &Force::default()).await.map(drop)
    } else {
        undo::<PublicPump>(actor, &key, think, &Force::default()).await.map(drop)
    }
}

/// The ARNs of the resources of which a change is half in force, and which are put back all the same; none, where what is
/// only half in force is left as it is.
type Force = BTreeSet<String>;

/// Takes a plan back as the command line does: shows it, and writes what was shown. Says which of its resources it has to
/// be forced to put back.
async fn undo<R: Rule>(actor: &Arc<Actor>, key: &str, think: Duration, force: &Force) -> Told<Force> {
    let (records, run) = (store::records(), RunId::start());
    let plan: Plan<R::Change> = records.get_as(key).await.map_err(|error| error.to_string())?;
    let id = BatchId { rule: plan.id.rule.clone(), run, batch: 1 };
    let report = report_of(&records, key, &plan.id).await?;
    actor.tell(format!("takes {key} back as the run {run}"));
    let engine = engine::<R>(run).await?;
    let taken = Taken { key: key.to_owned(), plan, report, only: force.clone() };
    let drifted = if force.is_empty() { Drifted::Hold } else { Drifted::PutBack };
    if !force.is_empty() {
        actor.world.watch.forces(run);
    }
    let show = Undo::Show { drifted };
    let shown = engine.undo(id.clone(), taken.clone(), &show, Deadline::never()).await;
    store(actor, &shown.report).await;
    let halves = shown.report.findings.iter().filter(|row| {
        let detail = row.detail.as_deref().unwrap_or_default();
        row.outcome == Outcome::Held && detail.contains("neither in force nor taken back")
    });
    let halves = halves.filter_map(|row| row.resource.as_ref()).map(|resource| resource.arn.clone()).collect();
    let Some(back) = shown.plan else { return Ok(halves) };
    sleep(think).await;
    actor.world.watch.purpose(run, Purpose::Undo(crate::invariants::shown(&back)));
    let exempt_until = ambient::now() + SignedDuration::from_hours(72);
    let how = Undo::Write { shown: Some(back), drifted, exempt_until };
    let done = engine.undo(id, taken, &how, Deadline::never()).await;
    store(actor, &done.report).await;
    let refused = |row: &&ReportedFinding| row.detail.as_ref().is_some_and(|detail| detail.contains(REFUSED));
    for row in done.report.findings.iter().filter(refused).filter_map(|row| row.resource.as_ref()) {
        // Whoever is told so puts it back by hand.
        actor.world.cloud.touch(&row.arn);
    }
    Ok(halves)
}

/// Takes a plan back, also what is only half in force, but where a person may have done that.
async fn undo_wholly<R: Rule>(actor: &Arc<Actor>, key: &str) -> Told<()> {
    let mut halves = undo::<R>(actor, key, Duration::ZERO, &Force::default()).await?;
    halves.retain(|arn| !actor.world.cloud.is_by_hand(arn));
    if halves.is_empty() { Ok(()) } else { undo::<R>(actor, key, Duration::ZERO, &halves).await.map(drop) }
}

/// The report that names a plan; none where the run never came back.
async fn report_of(records: &remediation::Records, key: &str, id: &BatchId) -> Told<Option<Report>> {
    let of_batch = id.report_key().trim_end_matches("json").to_owned();
    let keys = records.list(&of_batch).await.map_err(|error| error.to_string())?;
    for report in keys {
        let Ok(report) = records.get_as::<Report>(&report).await else { continue };
        if report.id == *id && report.plans().any(|stored| stored.key == key) {
            return Ok(Some(report));
        }
    }
    Ok(None)
}

/// Takes everything back, the last plan first, as often as something comes of it.
pub(crate) async fn undo_all(world: &Arc<World>) {
    for round in 1..=3 {
        let keys: Vec<_> = by_run(world, Folder::Plans);
        let fixes = keys.iter().filter(|key| !world.watch.is_undo(key));
        for (number, key) in fixes.enumerate().collect::<Vec<_>>().into_iter().rev() {
            let actor = Actor::new(world, format!("undoer {round}.{number}"));
            let (told, key) = (Arc::clone(&actor), key.clone());
            let work = async move {
                if rule_of(&key) == "open-gate" {
                    undo_wholly::<OpenGate>(&told, &key).await
                } else {
                    undo_wholly::<PublicPump>(&told, &key).await
                }
            };
            if let Err(error) = Arc::clone(&actor).act(work).await {
                actor.tell(format!("is told: {error}"));
            }
        }
        sleep(Duration::from_secs(600)).await;
    }
}
