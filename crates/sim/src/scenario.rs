//! What is to happen in a run: all of it is data, so that a run can be told, kept, and made smaller.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use remediation::Mode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::cloud::{State, Thing};
use crate::fault::{Fault, Faults};
use crate::lambda::RULES;

/// How long things happen, in seconds; then there is quiet.
pub(crate) const BUSY: u64 = 3 * 3_600;

/// What is to happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scenario {
    /// The seed of all chance in it.
    pub seed: u64,
    /// What there is.
    pub things: Vec<Thing>,
    /// The policy at the beginning.
    pub policy: PolicyText,
    /// What goes wrong by itself.
    pub faults: Faults,
    /// What is done, and when.
    pub steps: Vec<Step>,
    /// How many findings a batch has.
    pub batch_size: usize,
    /// How long a Lambda lives, in seconds.
    pub lambda_seconds: u64,
    /// Whether all events come at once.
    #[serde(default)]
    pub rush: bool,
    /// How long the event of a batch may wait, in seconds.
    #[serde(default = "half_an_hour")]
    pub event_age: u64,
    /// How many events a rule's Lambda takes at once; all of them, where it is not said.
    #[serde(default)]
    pub concurrency: Option<usize>,
}

fn half_an_hour() -> u64 {
    1_800
}

/// Something that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When, in seconds since the beginning.
    pub at: u64,
    /// What.
    pub deed: Deed,
}

/// What is done. Things are meant by their place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// The schedule of a rule fires.
    Poll(usize),
    /// Netskope scans.
    Scan,
    /// A person opens ways of a gate by an entry, or a pump.
    Open(usize, String),
    /// A person closes an entry of a gate, the one of this place, or a pump.
    Close(usize, usize),
    /// A person deletes a thing.
    Delete(usize),
    /// Two things swap their names.
    Rename(usize, usize),
    /// The operator has another policy.
    Policy(PolicyText),
    /// The policy is not one.
    PolicyUnreadable,
    /// A person pauses what a thing is in: its rule, its account, or both; for so many seconds, if any.
    Pause(usize, Stopped, Option<u64>),
    /// A person ends every pause.
    Resume,
    /// The pauses are none.
    PausesUnreadable,
    /// A person approves a plan that waits, so many before the last.
    Approve(usize),
    /// The same, and somebody edits the plan as soon as it is approved.
    ApproveAndEdit(usize),
    /// A person takes a plan back, so many before the last, and thinks for so many seconds in between.
    Undo(usize, u64),
    /// A person lets the command line plan and write for a rule, and thinks for so many seconds in between.
    Apply(usize, u64),
    /// Somebody cuts a record short, so many before the last.
    CutShort(usize),
    /// Somebody edits a plan, so many before the last.
    Edit(usize),
    /// An account lets nobody in for so many seconds.
    Refuse(usize, u64),
    /// An account takes from our roles what they need for writing, for so many seconds.
    Deny(usize, u64),
}

/// What a pause stops of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// All that its rule writes.
    Rule,
    /// All that is written in its account.
    Account,
    /// What its rule writes in its account.
    Both,
}

/// A policy of the simulation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyText {
    /// The mode of both rules.
    pub mode: Mode,
    /// Whether nothing may be written.
    pub paused: bool,
    /// The ID of a thing that is exempt.
    pub exempt: Option<String>,
    /// The most changes of a run.
    pub changes_per_run: Option<u32>,
    /// So many fixes at least before the breaker opens.
    pub failure_minimum: u32,
    /// The account that is written to; all of them where none is named.
    pub account: Option<String>,
    /// Whether there is a freeze.
    #[serde(default)]
    pub frozen: bool,
    /// Whether every violation has a grace, which is longer than a run.
    #[serde(default)]
    pub grace: bool,
}

impl PolicyText {
    /// Everything is fixed.
    pub const APPLY: Self = Self {
        mode: Mode::Apply,
        paused: false,
        exempt: None,
        changes_per_run: None,
        failure_minimum: 1_000,
        account: None,
        frozen: false,
        grace: false,
    };

    /// As it is stored.
    pub fn json(&self) -> Vec<u8> {
        let exemption = |id: &String| json!({"resources": [id], "reason": "r", "owner": "o"});
        let exemptions: Vec<_> = self.exempt.iter().map(exemption).collect();
        let limits = json!({"changes_per_run": self.changes_per_run, "changes_per_day": null,
            "changes_per_account": null, "changes_per_account_per_day": null,
            "failure_minimum": self.failure_minimum});
        let scope = self.account.as_ref().map_or_else(|| json!({}), |account| json!({"accounts": [account]}));
        let freeze = json!({"from": "2000-01-01", "to": "2199-12-31", "reason": "r"});
        let freezes: Vec<_> = self.frozen.then_some(freeze).into_iter().collect();
        let rules: BTreeMap<_, _> =
            RULES.iter().map(|rule| (*rule, json!({"grace_days": u32::from(self.grace)}))).collect();
        let policy: Value = json!({"schema": 1, "mode": self.mode, "paused": self.paused, "exemptions": exemptions,
            "limits": limits, "fight": {"fixes": 50}, "scope": scope, "freezes": freezes, "rules": rules});
        policy.to_string().into_bytes()
    }

    /// Whether a fix that needs `mode` is let through to a thing.
    pub fn allows(&self, thing: &Thing, mode: Mode) -> bool {
        !self.frozen && self.allows_undo(thing, mode)
    }

    /// Whether an undo is, which no freeze keeps back.
    pub fn allows_undo(&self, thing: &Thing, mode: Mode) -> bool {
        let in_scope = self.account.as_ref().is_none_or(|account| *account == thing.account);
        !self.paused && self.mode >= mode && in_scope
    }
}

const ACCOUNTS: [&str; 3] = ["111111111111", "222222222222", "333333333333"];
const ENTRIES: [&str; 8] = ["a", "b", "ab", "abr", "ar", "br", "r", "s"];

impl Scenario {
    /// The scenario of a seed.
    pub fn by_seed(seed: u64) -> Self {
        let chance = &Chance::new(seed, "scenario");
        // Now and then many things in one account, of which nothing can be written.
        let crowd = chance.strikes(60);
        // Or a few, of which each is a batch of its own, and all batches are at work at once.
        let rush = !crowd && chance.strikes(80);
        let mut things = match (crowd, rush) {
            (true, _) => alike(chance.between(12, 16)),
            (_, true) => alike(chance.between(2, 5)),
            _ => things(chance),
        };
        let mut policy = policy(chance, &things);
        let mut steps = steps(chance, &things);
        if crowd {
            policy = PolicyText { failure_minimum: 1, ..PolicyText::APPLY };
            steps.retain(|step| !matches!(step.deed, Deed::Policy(_) | Deed::Deny(..)));
            steps.insert(0, Step { at: 0, deed: Deed::Deny(0, BUSY) });
        }
        if rush {
            policy = PolicyText { changes_per_run: Some(1), ..PolicyText::APPLY };
            steps.retain(|step| !matches!(step.deed, Deed::Policy(_)));
        }
        // Or one batch is of many accounts, of which some are planned long before others.
        let spread = !crowd && !rush && Chance::new(seed, "spread").strikes(200);
        if spread {
            things.extend((100..106).map(Thing::open_gate));
            policy = PolicyText { mode: Mode::Apply, paused: false, account: None, ..policy };
        }
        let batch_size = if crowd || spread {
            50
        } else if rush {
            1
        } else {
            usize::try_from(chance.between(1, 5)).unwrap_or(1)
        };
        let mut faults = Faults::by(chance);
        let lambda_seconds = *chance.pick(&[180, 300, 900, 900]);
        // Or things swap their names while they are written to.
        if !crowd && !rush && chance.strikes(80) {
            swap_names(chance, &mut things, &mut steps, &mut faults);
        }
        // Or polls come faster than fixes are made.
        let event_age = *chance.pick(&[60, 300, 1_800, 1_800]);
        let concurrency = (!crowd && !rush && chance.strikes(150)).then_some(1);
        if concurrency.is_some() {
            for at in (1..BUSY).step_by(900) {
                steps.extend((0..RULES.len()).map(|rule| Step { at, deed: Deed::Poll(rule) }));
            }
            steps.sort_by_key(|step| step.at);
        }
        Self { seed, things, policy, faults, steps, batch_size, lambda_seconds, rush, event_age, concurrency }
    }

    /// How long the event of a batch may wait.
    pub fn event_age(&self) -> Duration {
        Duration::from_secs(self.event_age)
    }

    /// How long a Lambda lives.
    pub fn lambda_limit(&self) -> Duration {
        Duration::from_secs(self.lambda_seconds)
    }
}

fn things(chance: &Chance) -> Vec<Thing> {
    let thing = |number: u64| {
        let account = (*chance.pick(&ACCOUNTS)).to_owned();
        let (id, state) = if chance.strikes(700) {
            let count = chance.between(0, 3);
            let entries = (0..count).map(|_| (*chance.pick(&ENTRIES)).to_owned()).collect();
            (format!("gate-{number}"), State::Gate(entries))
        } else {
            (format!("pump-{number}"), State::Pump(chance.strikes(700)))
        };
        Thing { account, id, state, by_name: chance.strikes(250) }
    };
    (0..chance.between(1, 6)).map(thing).collect()
}

/// So many gates of one account, all open in the same way.
fn alike(count: u64) -> Vec<Thing> {
    let thing = |number: u64| Thing {
        account: ACCOUNTS[0].into(),
        id: format!("gate-{number}"),
        state: State::Gate(BTreeSet::from(["a".to_owned()])),
        by_name: false,
    };
    (0..count).map(thing).collect()
}

/// Lets things of one account, which Netskope calls by their names, swap these soon after each poll; and lets writes go
/// unanswered, so that a proof is long in coming.
fn swap_names(chance: &Chance, things: &mut [Thing], steps: &mut Vec<Step>, faults: &mut Faults) {
    for thing in things.iter_mut() {
        thing.account = ACCOUNTS[0].into();
        thing.by_name = true;
    }
    faults.0.insert(Fault::Unanswered, 300);
    let polls: Vec<_> = steps.iter().filter(|step| matches!(step.deed, Deed::Poll(_))).map(|step| step.at).collect();
    let place = || usize::try_from(chance.between(0, things.len() as u64 - 1)).unwrap_or_default();
    for poll in polls {
        let at = (poll + chance.between(3, 40)).min(BUSY - 1);
        steps.push(Step { at, deed: Deed::Rename(place(), place()) });
    }
    steps.sort_by_key(|step| step.at);
}

fn policy(chance: &Chance, things: &[Thing]) -> PolicyText {
    let mode = *chance.pick(&[Mode::Apply, Mode::Apply, Mode::Apply, Mode::Approve, Mode::Approve, Mode::Plan]);
    let limit = *chance.pick(&[None, None, None, Some(1), Some(2), Some(3)]);
    let exempt = chance.strikes(150).then(|| chance.pick(things).id.clone());
    let account = chance.strikes(100).then(|| (*chance.pick(&ACCOUNTS)).to_owned());
    let paused = chance.strikes(120);
    let (frozen, grace) = (chance.strikes(80), chance.strikes(80));
    PolicyText { mode, paused, exempt, changes_per_run: limit, failure_minimum: 10, account, frozen, grace }
}

/// A pause, the end of all of them, or a list of them that cannot be read.
fn pause(chance: &Chance, thing: usize) -> Deed {
    match chance.between(0, 9) {
        0..6 => {
            let stopped = *chance.pick(&[Stopped::Rule, Stopped::Account, Stopped::Both]);
            Deed::Pause(thing, stopped, chance.strikes(500).then(|| chance.between(60, 3_600)))
        }
        6..9 => Deed::Resume,
        _ => Deed::PausesUnreadable,
    }
}

fn steps(chance: &Chance, things: &[Thing]) -> Vec<Step> {
    let mut steps = vec![Step { at: 0, deed: Deed::Scan }];
    let place = |most: u64| usize::try_from(chance.between(0, most)).unwrap_or_default();
    for rule in 0..RULES.len() {
        for _ in 0..chance.between(2, 4) {
            steps.push(Step { at: chance.between(1, BUSY - 1), deed: Deed::Poll(rule) });
        }
    }
    let seconds = || chance.between(1, 900);
    let thing = || place(things.len() as u64 - 1);
    for _ in 0..chance.between(2, 14) {
        let deed = match chance.between(0, 99) {
            0..14 => Deed::Open(thing(), (*chance.pick(&ENTRIES)).to_owned()),
            14..26 => Deed::Close(thing(), place(3)),
            26..29 => Deed::Delete(thing()),
            29..32 => Deed::Rename(thing(), thing()),
            32..39 => Deed::Policy(policy(chance, things)),
            39..41 => Deed::PolicyUnreadable,
            41..47 => pause(chance, thing()),
            47..55 => Deed::Approve(place(1)),
            55..58 => Deed::ApproveAndEdit(place(1)),
            58..70 => Deed::Undo(place(3), seconds()),
            70..80 => Deed::Apply(place(1), seconds()),
            80..84 => Deed::CutShort(place(3)),
            84..88 => Deed::Edit(place(1)),
            88..91 => Deed::Refuse(thing(), seconds()),
            91..94 => Deed::Deny(thing(), seconds()),
            94..97 => Deed::Scan,
            _ => Deed::Poll(place(1)),
        };
        let at = chance.between(1, BUSY - 1);
        // What is done in the middle of something else shows more than what is done in between.
        let near = chance.strikes(500).then(|| chance.pick(&steps).at + chance.between(0, 30));
        steps.push(Step { at: near.unwrap_or(at).min(BUSY - 1), deed });
    }
    steps.sort_by_key(|step| step.at);
    steps
}
