//! Random sequences of everything that can happen, by two engines, two operators and a person who edits, over one cloud,
//! against what must hold whatever happens.

use std::collections::BTreeSet;
use std::pin::pin;
use std::task::Poll;

use remediation::records::read;
use remediation::{Approval, POLICY_KEY, RunId};
use serde_json::json;

use super::undo::write;
use super::*;
use crate::fake::{CONTROL, FRONT};

/// Something that happens.
#[derive(Debug, Clone)]
enum Step {
    /// A poll brings every finding; it is cut off after so many turns, if it takes longer.
    Poll(Turns),
    /// Two batches of a poll, or two polls, at once, the second so many turns after the first.
    TwoPolls(u32),
    /// The plan that is so many before the last of those that wait for it is approved and carried out.
    Approve(usize, Turns),
    /// The plan that is so many before the last is taken back.
    Undo(usize, Turns),
    /// The same while a poll is at work.
    UndoAtOnce(usize, u32),
    /// A plan is shown to somebody, and written as shown when a person has opened or closed a door meanwhile.
    AsShown { house: usize, door: usize, open: bool },
    /// Somebody else opens or closes a door.
    Drift { house: usize, door: usize, open: bool },
    /// Somebody edits a stored plan, so that it is about another door.
    Edit(usize),
    /// The operator has another policy.
    Policy(Rules),
    /// So many minutes pass.
    Pass(i64),
}

/// After how many turns it crashes; never, where there are none.
type Turns = Option<u32>;

/// The policy's part of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rules {
    mode: Mode,
    paused: bool,
    exempt: Option<usize>,
    limit: u32,
}

const HOUSES: usize = 4;
const DOORS: usize = 2;

impl Rules {
    fn json(self) -> String {
        let exemption = |house| json!({"resources": [format!("h{house}")], "reason": "r", "owner": "o"});
        let exemptions: Vec<_> = self.exempt.map(exemption).into_iter().collect();
        json!({"schema": 1, "mode": self.mode, "paused": self.paused, "exemptions": exemptions,
            "limits": {"changes_per_run": self.limit}, "fight": {"fixes": 50}})
        .to_string()
    }
}

fn rules() -> impl Strategy<Value = Rules> {
    let mode =
        prop::sample::select(vec![Mode::Off, Mode::Plan, Mode::Approve, Mode::Approve, Mode::Apply, Mode::Apply]);
    let exempt = prop::option::weighted(0.2, 0..HOUSES);
    (mode, prop::bool::weighted(0.15), exempt, prop::sample::select(vec![1_u32, 3, 100, 100]))
        .prop_map(|(mode, paused, exempt, limit)| Rules { mode, paused, exempt, limit })
}

fn first_mode() -> impl Strategy<Value = Mode> {
    prop::sample::select(vec![Mode::Apply, Mode::Approve])
}

fn steps(people: bool) -> impl Strategy<Value = Vec<Step>> {
    let turns = || prop::option::weighted(0.25, 0..160_u32);
    let door = || (0..HOUSES, 0..DOORS, any::<bool>());
    let weight = |of| if people { of } else { 0 };
    let step = prop_oneof![
        4 => turns().prop_map(Step::Poll),
        3 => (0..160_u32).prop_map(Step::TwoPolls),
        4 => (0..2_usize, turns()).prop_map(|(plan, turns)| Step::Approve(plan, turns)),
        2 => (0..4_usize, turns()).prop_map(|(plan, turns)| Step::Undo(plan, turns)),
        2 => (0..4_usize, 0..160_u32).prop_map(|(plan, turns)| Step::UndoAtOnce(plan, turns)),
        weight(2) => door().prop_map(|(house, door, open)| Step::AsShown { house, door, open }),
        weight(3) => door().prop_map(|(house, door, open)| Step::Drift { house, door, open }),
        weight(1) => (0..4_usize).prop_map(Step::Edit),
        2 => rules().prop_map(Step::Policy),
        2 => prop::sample::select(vec![6_i64, 25 * 60]).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 1..20)
}

fn houses() -> impl Strategy<Value = Vec<[bool; DOORS]>> {
    prop::collection::vec(any::<[bool; DOORS]>(), HOUSES)
}

/// The world, and what was seen in it.
struct Model {
    world: World,
    rules: Rules,
    houses: Vec<House>,
    first: BTreeMap<House, Vec<bool>>,
    /// The doors that somebody else has moved, and whose plans were edited.
    touched: BTreeSet<House>,
    /// The reports by the keys of their plans.
    reports: BTreeMap<String, Report>,
    edited: BTreeSet<String>,
}

impl Model {
    fn new(doors: &[[bool; DOORS]], mode: Mode) -> Self {
        let mut world = World::new();
        world.gather = Duration::ZERO;
        let account = |number: usize| if number.is_multiple_of(2) { ONE } else { TWO };
        let houses = doors.iter().enumerate();
        let houses: Vec<_> =
            houses.map(|(number, open)| world.house(account(number), REGION, open, Script::Works)).collect();
        // Long enough for the other account to be written meanwhile.
        world.slow(TWO, Look, Wait::Turns(60));
        // The same house on both lists, and by another name.
        world.list_as(&houses[0], FRONT, REGION, "h0");
        world.list_as(&houses[1], CONTROL, REGION, "the museum");
        let first = world.doors();
        world.policy_record = Some(PolicyRecord::new(world.records(), POLICY_KEY));
        let rules = Rules { mode, paused: false, exempt: None, limit: 100 };
        let (touched, reports, edited) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
        let mut model = Self { world, rules, houses, first, touched, reports, edited };
        model.set(rules);
        model
    }

    fn set(&mut self, rules: Rules) {
        std::fs::write(self.world.folder.path().join(POLICY_KEY), rules.json()).unwrap();
        self.world.policy = Policy::from_json(rules.json().as_bytes()).unwrap();
        self.world.policy_record = Some(PolicyRecord::new(self.world.records(), POLICY_KEY));
        self.rules = rules;
    }

    /// The stored plans of fixes with their keys, in the order in which they were made.
    fn plans(&self) -> Vec<Taken<Change>> {
        let folder = self.world.folder.path();
        let stored = files(&folder.join("plans")).into_iter();
        let stored = stored.filter(|file| file.extension().is_some_and(|extension| extension == "json"));
        let taken = |file: std::path::PathBuf| {
            let key = file.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            let plan: Plan<Change> = read(&std::fs::read(&file).unwrap()).unwrap();
            let closes = plan.resources.iter().flat_map(|planned| planned.changes()).all(|change| !change.after);
            let report = self.reports.get(&key).cloned();
            closes.then_some(Taken { key, plan, report, only: BTreeSet::new() })
        };
        let mut plans: Vec<_> = stored.filter_map(taken).collect();
        plans.sort_by_key(|taken| (taken.plan.id.run.to_string(), taken.plan.id.batch));
        plans
    }

    fn keep(&mut self, report: Option<&Report>) {
        let Some(report) = report else { return };
        self.reports.extend(report.plans().map(|plan| (plan.key.clone(), report.clone())));
    }

    async fn step(&mut self, step: Step) {
        self.world.run = RunId::start();
        let before = self.world.doors();
        let written = self.world.cloud.written().len();
        let reports = match step {
            Step::Poll(turns) => {
                let engine = self.world.engine_with(IMPATIENT, self.world.records());
                let batch = self.world.batch();
                let run = engine.run(batch.clone(), Mode::Apply, Deadline::never());
                let done = Box::pin(crashing(turns, run)).await;
                self.polled(&before, &self.world.cloud.written()[written..], 1);
                let report = done.map(|done| done.report);
                if let Some(report) = &report {
                    let rows = report.findings.iter().map(|row| &row.finding);
                    assert!(rows.eq(&batch.findings), "a finding has no outcome, or two: {report:?}");
                }
                vec![report]
            }
            Step::TwoPolls(later) => {
                let (one, two) = (self.world.engine(), self.world.engine_with(IMPATIENT, self.world.records()));
                let first = self.world.batch();
                let second = Batch::new(BatchId { batch: 2, ..first.id.clone() }, first.findings.clone());
                let second = async {
                    turns(later).await;
                    two.run(second, Mode::Apply, Deadline::never()).await.report
                };
                let (first, second) = tokio::join!(one.run(first, Mode::Apply, Deadline::never()), second);
                self.polled(&before, &self.world.cloud.written()[written..], 1);
                vec![Some(first.report), Some(second)]
            }
            Step::Approve(number, turns) => {
                let waits = |taken: &Taken<Change>| taken.plan.resources.iter().any(|of| !of.awaits.is_empty());
                let plans = self.plans().into_iter().filter(waits).collect();
                let Some(Taken { key, plan, .. }) = before_last(plans, number) else { return };
                let digest = plan.digest().unwrap();
                let approval = Approval::new(&plan.id, &key, &digest, "who".into(), "why".into());
                let engine = self.world.engine_with(IMPATIENT, self.world.records());
                let approved = Approved { approval, stored_by: None };
                let run = engine.run_approved(approved, plan.clone(), Deadline::never());
                let done = Box::pin(crashing(turns, run)).await;
                self.shown(&plan, &before, &self.world.cloud.written()[written..], Mode::Approve);
                vec![done.map(|done| done.report)]
            }
            Step::AsShown { house, door, open } => {
                let engine = self.world.engine_with(IMPATIENT, self.world.records());
                let shown = engine.run(self.world.batch(), Mode::Plan, Deadline::never()).await;
                self.drift(house, door, open);
                let Some(plan) = shown.plan else { return };
                let id = BatchId { run: RunId::start(), ..plan.id.clone() };
                let before = self.world.doors();
                let done = engine.run_shown(id, plan.clone(), Deadline::never()).await;
                self.shown(&plan, &before, &self.world.cloud.written()[written..], Mode::Apply);
                vec![Some(done.report)]
            }
            Step::Undo(number, turns) => {
                let Some(taken) = before_last(self.plans(), number) else { return };
                let report = self.undo(&taken, turns).await;
                self.undone(&taken, &before, &self.world.cloud.written()[written..]);
                vec![report]
            }
            Step::UndoAtOnce(number, later) => {
                let Some(taken) = before_last(self.plans(), number) else { return };
                let engine = self.world.engine_with(IMPATIENT, self.world.records());
                let poll = async {
                    turns(later).await;
                    engine.run(self.world.batch(), Mode::Apply, Deadline::never()).await.report
                };
                let (undone, polled) = tokio::join!(self.undo(&taken, None), poll);
                vec![undone, Some(polled)]
            }
            Step::Drift { house, door, open } => {
                self.drift(house, door, open);
                Vec::new()
            }
            Step::Edit(number) => {
                self.edit(number);
                Vec::new()
            }
            Step::Policy(rules) => {
                self.set(rules);
                Vec::new()
            }
            Step::Pass(minutes) => {
                self.world.pass(minutes * 60);
                Vec::new()
            }
        };
        if self.rules.paused {
            assert_eq!(self.world.cloud.written().len(), written, "paused, and yet something was written");
        }
        let alone = reports.len() == 1;
        for report in reports {
            for row in report.iter().flat_map(|report| &report.findings).filter(|_| alone) {
                let Some(resource) = &row.resource else { continue };
                let doors = &self.world.doors()[&House::from(resource)];
                let complies = matches!(row.outcome, Outcome::Fixed | Outcome::AlreadyCompliant);
                let front = row.finding.control == FRONT;
                let closed = if front { !doors[0] } else { doors.iter().all(|open| !open) };
                assert!(!complies || closed, "{row:?}: {doors:?}");
            }
            self.keep(report.as_ref());
        }
    }

    fn drift(&mut self, house: usize, door: usize, open: bool) {
        self.world.set_door(&self.houses[house], door, open);
        self.touched.insert(self.houses[house].clone());
    }

    /// Edits a plan in the store, as whoever can write there could.
    fn edit(&mut self, number: usize) {
        let Some(Taken { key, mut plan, .. }) = before_last(self.plans(), number) else { return };
        for planned in plan.resources.iter_mut() {
            for planned in &mut planned.changes {
                planned.change.door = 1 - planned.change.door;
            }
        }
        // The cloud knows a plan as it was first stored, and so sees what no such plan says.
        let file = self.world.folder.path().join(&key);
        std::fs::write(file, serde_json::to_vec(&plan).unwrap()).unwrap();
        // Edited twice, it is as it was.
        if !self.edited.remove(&key) {
            self.edited.insert(key);
        }
    }

    /// What a poll may write: in mode `apply` only, up to the limit, and nothing exempt.
    fn polled(&self, before: &BTreeMap<House, Vec<bool>>, written: &[(House, Change)], polls: usize) {
        let Rules { mode, exempt, limit, .. } = self.rules;
        assert!(mode == Mode::Apply || written.is_empty(), "not approved: {written:?}");
        assert!(written.len() <= limit as usize * polls, "over the limit: {written:?}");
        for (house, change) in written {
            assert!(before[house][change.door] && !change.after, "not planned: {change}");
            assert!(exempt.is_none_or(|exempt| self.houses[exempt] != *house), "exempt: {change}");
        }
        let distinct: BTreeSet<_> = written.iter().collect();
        assert_eq!(distinct.len(), written.len(), "written twice: {written:?}");
    }

    /// What a run of what was shown may write: that, where it is still to be made, and no more.
    fn shown(
        &self,
        plan: &Plan<Change>,
        before: &BTreeMap<House, Vec<bool>>,
        written: &[(House, Change)],
        needs: Mode,
    ) {
        assert!(self.rules.mode >= needs || written.is_empty(), "{written:?}");
        for (house, change) in written {
            let of_it = plan.resources.iter().filter(|planned| House::from(&planned.resource) == *house);
            assert!(of_it.flat_map(PlannedResource::changes).any(|shown| shown == change), "not shown: {change}");
            assert!(before[house][change.door], "not to be made any more: {change}");
        }
    }

    /// What an undo may write: in mode `apply` only, what the run's plan closed, where it is still closed.
    fn undone(&self, taken: &Taken<Change>, before: &BTreeMap<House, Vec<bool>>, written: &[(House, Change)]) {
        assert!(written.is_empty() || self.rules.mode == Mode::Apply, "not without an approval: {written:?}");
        assert!(written.is_empty() || !self.edited.contains(&taken.key), "an edited plan was believed: {written:?}");
        for (house, change) in written {
            assert!(change.after && !before[house][change.door], "{change}");
        }
    }

    async fn undo(&self, taken: &Taken<Change>, turns: Turns) -> Option<Report> {
        let id = BatchId { run: RunId::start(), ..taken.plan.id.clone() };
        let engine = self.world.engine_with(IMPATIENT, self.world.records());
        let how = write(crate::Drifted::Hold);
        let undo = engine.undo(id, taken.clone(), &how, Deadline::never());
        Box::pin(crashing(turns, undo)).await.map(|done| done.report)
    }

    /// Takes everything back, again where a record that a dead run was storing has come about meanwhile.
    async fn undo_until_as_before(&mut self) {
        for _ in 0..POLLS {
            if self.world.doors() == self.first {
                break;
            }
            Box::pin(self.undo_all()).await;
        }
    }

    /// Takes everything back, the last plan first.
    async fn undo_all(&mut self) {
        self.set(Rules { mode: Mode::Apply, paused: false, exempt: None, limit: 1 });
        self.world.pass(600);
        for taken in self.plans().into_iter().rev() {
            self.undo(&taken, None).await;
        }
    }
}

/// The plan that is so many before the last, or the first.
fn before_last<T>(mut plans: Vec<T>, number: usize) -> Option<T> {
    let last = plans.len().checked_sub(1)?;
    Some(plans.swap_remove(last.saturating_sub(number)))
}

/// Lets everything else have so many turns.
async fn turns(count: u32) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

/// What `run` comes to; none where it is broken off after so many turns.
async fn crashing<T>(turns: Turns, run: impl Future<Output = T>) -> Option<T> {
    let (mut run, mut left) = (pin!(run), turns);
    let done = std::future::poll_fn(|context| {
        if left == Some(0) {
            return Poll::Ready(None);
        }
        left = left.map(|turns| turns - 1);
        run.as_mut().poll(context).map(Some)
    })
    .await;
    if done.is_none() {
        // What was sent to the store before it died still arrives.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    done
}

/// How many sequences are tried; more where the variable asks for them.
fn cases() -> u32 {
    std::env::var("MODEL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(160)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn whatever_happens_only_what_is_allowed_is_written(doors in houses(), mode in first_mode(), steps in steps(true)) {
        block_on(async {
            let mut model = Model::new(&doors, mode);
            for step in steps {
                Box::pin(model.step(step)).await;
            }
        });
    }

    #[test]
    fn after_any_steps_undo_gives_back_the_first_state(doors in houses(), mode in first_mode(), steps in steps(false)) {
        block_on(async {
            let mut model = Model::new(&doors, mode);
            for step in steps {
                Box::pin(model.step(step)).await;
            }
            model.undo_until_as_before().await;
            assert_eq!(model.world.doors(), model.first);
        });
    }
}

/// So many tries end what was broken off.
const POLLS: usize = 3;

/// Every place in which a run can be broken off, one after the other.
#[tokio::test]
async fn a_crash_anywhere_loses_nothing() {
    let doors = [[true, true], [true, false], [false, false], [false, false]];
    for turns in 0.. {
        let mut model = Model::new(&doors, Mode::Apply);
        let engine = model.world.engine_with(IMPATIENT, model.world.records());
        let run = engine.run(model.world.batch(), Mode::Apply, Deadline::never());
        let report = Box::pin(crashing(Some(turns), run)).await;
        model.keep(report.as_ref().map(|done| &done.report));
        let half = model.world.doors();
        // The next run ends it once the claims of the first are over, and the plans of both take everything back. A record
        // that the first was storing may still come about: then it is the run, or the undo, after that one.
        Box::pin(model.step(Step::Pass(6))).await;
        for _ in 0..POLLS {
            if model.world.all_closed() {
                break;
            }
            Box::pin(model.step(Step::Poll(None))).await;
        }
        assert!(model.world.all_closed(), "after {turns} turns, {half:?}: {:?}", model.world.doors());
        model.undo_until_as_before().await;
        assert_eq!(model.world.doors(), model.first, "after {turns} turns, {half:?}");
        if report.is_some() {
            assert!(turns > 20, "only {turns} turns: nothing was broken off");
            return;
        }
    }
}

/// The same for an undo.
#[tokio::test]
async fn a_crash_anywhere_in_an_undo_loses_nothing() {
    let doors = [[true, true], [true, false], [false, false], [false, false]];
    for turns in 0.. {
        let mut model = Model::new(&doors, Mode::Apply);
        Box::pin(model.step(Step::Poll(None))).await;
        let plans = model.plans();
        let report = model.undo(&plans[plans.len() - 1], Some(turns)).await;
        Box::pin(model.step(Step::Pass(6))).await;
        for taken in plans.iter().rev().cycle().take(POLLS * plans.len()) {
            model.undo(taken, None).await;
        }
        assert_eq!(model.world.doors(), model.first, "after {turns} turns");
        if report.is_some() {
            assert!(turns > 20, "only {turns} turns: nothing was broken off");
            return;
        }
    }
}
