//! Random sequences of everything that can happen, against what must hold whatever happens.

use std::collections::BTreeSet;
use std::pin::pin;
use std::task::Poll;

use serde_json::json;

use super::*;
use crate::policy::POLICY_KEY;

/// Something that happens.
#[derive(Debug, Clone)]
enum Step {
    /// A poll brings every finding; it is cut off after so many turns, if it takes longer.
    Poll(Turns),
    /// The plan that is so many before the last of those that wait for it is approved and carried out.
    Approve(usize, Turns),
    /// The plan that is so many before the last is taken back.
    Undo(usize, Turns),
    /// Somebody else opens or closes a door.
    Drift { house: usize, door: usize, open: bool },
    /// The operator has another policy.
    Policy(Rules),
    /// Time passes until what undo has exempted is not any more.
    ExemptionsEnd,
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
            "limits": {"changes_per_run": self.limit}, "fight": {"fixes": 1000}})
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

fn steps(drift: bool) -> impl Strategy<Value = Vec<Step>> {
    let turns = || prop::option::weighted(0.25, 0..120_u32);
    let drifts = if drift { 3 } else { 0 };
    let step = prop_oneof![
        4 => turns().prop_map(Step::Poll),
        4 => (0..2_usize, turns()).prop_map(|(plan, turns)| Step::Approve(plan, turns)),
        2 => (0..4_usize, turns()).prop_map(|(plan, turns)| Step::Undo(plan, turns)),
        drifts => (0..HOUSES, 0..DOORS, any::<bool>()).prop_map(|(house, door, open)| Step::Drift { house, door, open }),
        2 => rules().prop_map(Step::Policy),
        1 => Just(Step::ExemptionsEnd),
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
    drifted: BTreeSet<House>,
}

impl Model {
    fn new(doors: &[[bool; DOORS]], mode: Mode) -> Self {
        let mut world = World::new();
        let account = |number: usize| if number.is_multiple_of(2) { ONE } else { TWO };
        let houses = doors.iter().enumerate();
        let houses = houses.map(|(number, open)| world.house(account(number), REGION, open, Script::Works)).collect();
        let first = world.doors();
        world.policy_record = Some(PolicyRecord { records: world.records(), key: POLICY_KEY.into() });
        let rules = Rules { mode, paused: false, exempt: None, limit: 100 };
        let mut model = Self { world, rules, houses, first, drifted: BTreeSet::new() };
        model.set(rules);
        model
    }

    fn set(&mut self, rules: Rules) {
        std::fs::write(self.world.folder.path().join(POLICY_KEY), rules.json()).unwrap();
        self.world.policy = Policy::from_json(rules.json().as_bytes()).unwrap();
        self.rules = rules;
    }

    /// The stored plans of fixes with their keys, in the order in which they were made.
    fn plans(&self) -> Vec<(String, Plan<Change>)> {
        let folder = self.world.folder.path();
        let stored = files(&folder.join("plans")).into_iter();
        let stored = stored.filter(|file| file.extension().is_some_and(|extension| extension == "json"));
        let read = |file: std::path::PathBuf| {
            let key = file.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            let plan: Plan<Change> = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            let closes = plan.findings.iter().flat_map(|planned| &planned.changes).all(|change| !change.change.after);
            closes.then_some((key, plan))
        };
        stored.filter_map(read).collect()
    }

    async fn step(&mut self, step: Step) {
        self.world.run = crate::RunId::start();
        let before = self.world.doors();
        let written = self.world.cloud.written().len();
        let report = match step {
            Step::Poll(turns) => {
                let engine = self.world.engine_with(IMPATIENT, self.world.records());
                let batch = self.world.batch();
                let report = crashing(turns, engine.run(batch.clone(), Mode::Apply, Deadline::never())).await;
                self.polled(&before, &self.world.cloud.written()[written..]);
                if let Some(report) = &report {
                    let rows = report.findings.iter().map(|row| &row.finding);
                    assert!(rows.eq(&batch.findings), "a finding has no outcome, or two: {report:?}");
                }
                report
            }
            Step::Approve(number, turns) => {
                let waits = |(_, plan): &(String, Plan<Change>)| plan.findings.iter().any(|of| !of.awaits.is_empty());
                let plans = self.plans().into_iter().filter(waits).collect();
                let Some((key, plan)) = before_last(plans, number) else { return };
                let approval = Approval::new(&plan.id, &key, &plan.hash, "who".into(), "why".into());
                let engine = self.world.engine_with(IMPATIENT, self.world.records());
                let run = engine.run_approved(&approval, plan.clone(), Deadline::never());
                let report = crashing(turns, run).await;
                self.approved(&plan, &self.world.cloud.written()[written..]);
                if let Some(report) = &report {
                    let waiting = plan.findings.iter().filter(|planned| !planned.awaits.is_empty());
                    let rows = report.findings.iter().map(|row| &row.finding);
                    assert!(rows.eq(waiting.map(|planned| &planned.finding)), "{report:?}");
                }
                report
            }
            Step::Undo(number, turns) => {
                let Some((key, plan)) = before_last(self.plans(), number) else { return };
                self.undo(&key, plan, turns).await
            }
            Step::Drift { house, door, open } => {
                self.world.set_door(&self.houses[house], door, open);
                self.drifted.insert(self.houses[house].clone());
                None
            }
            Step::Policy(rules) => {
                self.set(rules);
                None
            }
            Step::ExemptionsEnd => {
                for file in files(&self.world.folder.path().join("exemptions")) {
                    std::fs::remove_file(file).unwrap();
                }
                None
            }
        };
        if self.rules.paused {
            assert_eq!(self.world.cloud.written().len(), written, "paused, and yet something was written");
        }
        for row in report.iter().flat_map(|report| &report.findings) {
            let doors = &self.world.doors()[&House::from(&row.finding)];
            let complies = matches!(row.outcome, Outcome::Fixed | Outcome::AlreadyCompliant);
            assert!(!complies || doors.iter().all(|open| !open), "{row:?}: {doors:?}");
        }
    }

    /// What a poll may write: in mode `apply` only, up to the limit, and nothing exempt.
    fn polled(&self, before: &BTreeMap<House, Vec<bool>>, written: &[Change]) {
        let Rules { mode, exempt, limit, .. } = self.rules;
        assert!(mode == Mode::Apply || written.is_empty(), "not approved: {written:?}");
        assert!(written.len() <= limit as usize, "over the limit: {written:?}");
        for change in written {
            assert!(before[&change.house][change.door] && !change.after, "not planned: {change}");
            assert!(exempt.is_none_or(|exempt| self.houses[exempt] != change.house), "exempt: {change}");
        }
    }

    /// What an approved run may write: what was approved, and waited for it.
    fn approved(&self, plan: &Plan<Change>, written: &[Change]) {
        assert!(self.rules.mode >= Mode::Approve || written.is_empty(), "{written:?}");
        let waiting = || plan.findings.iter().filter(|planned| !planned.awaits.is_empty());
        for change in written {
            let mut approved = waiting().flat_map(|planned| &planned.changes);
            assert!(approved.any(|approved| approved.change == *change), "not approved: {change}");
        }
    }

    async fn undo(&self, key: &str, plan: Plan<Change>, turns: Turns) -> Option<Report> {
        let id = BatchId { run: crate::RunId::start(), ..plan.id.clone() };
        let engine = self.world.engine_with(IMPATIENT, self.world.records());
        crashing(turns, engine.undo(id, key, plan, how(Mode::Apply, false), Deadline::never())).await
    }

    /// Takes everything back, the last plan first.
    async fn undo_all(&mut self) {
        self.set(Rules { mode: Mode::Plan, paused: false, exempt: None, limit: 1 });
        for (key, plan) in self.plans().into_iter().rev() {
            self.undo(&key, plan, None).await;
        }
    }
}

/// The plan that is so many before the last, or the first.
fn before_last(mut plans: Vec<(String, Plan<Change>)>, number: usize) -> Option<(String, Plan<Change>)> {
    let last = plans.len().checked_sub(1)?;
    Some(plans.swap_remove(last.saturating_sub(number)))
}

/// What `run` comes to; none where it is broken off after so many turns.
async fn crashing<T>(turns: Turns, run: impl Future<Output = T>) -> Option<T> {
    let (mut run, mut left) = (pin!(run), turns);
    std::future::poll_fn(|context| {
        if left == Some(0) {
            return Poll::Ready(None);
        }
        left = left.map(|turns| turns - 1);
        run.as_mut().poll(context).map(Some)
    })
    .await
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn whatever_happens_only_what_is_allowed_is_written(doors in houses(), mode in first_mode(), steps in steps(true)) {
        block_on(async {
            let mut model = Model::new(&doors, mode);
            for step in steps {
                model.step(step).await;
            }
            model.undo_all().await;
            for (house, open) in model.world.doors() {
                assert!(model.drifted.contains(&house) || open == model.first[&house], "{house:?}");
            }
        });
    }

    #[test]
    fn after_any_steps_undo_gives_back_the_first_state(doors in houses(), mode in first_mode(), steps in steps(false)) {
        block_on(async {
            let mut model = Model::new(&doors, mode);
            for step in steps {
                model.step(step).await;
            }
            model.undo_all().await;
            assert_eq!(model.world.doors(), model.first);
        });
    }
}

/// Every place in which a run can be broken off, one after the other.
#[tokio::test]
async fn a_crash_anywhere_loses_nothing() {
    let doors = [[true, true], [true, false], [false, false]];
    for turns in 0.. {
        let mut model = Model::new(&doors, Mode::Apply);
        let engine = model.world.engine_with(IMPATIENT, model.world.records());
        let report = crashing(Some(turns), engine.run(model.world.batch(), Mode::Apply, Deadline::never())).await;
        let half = model.world.doors();
        // The next run ends it, and the plans of both take everything back.
        model.step(Step::Poll(None)).await;
        assert!(model.world.all_closed(), "after {turns} turns, {half:?}: {:?}", model.world.doors());
        model.undo_all().await;
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
    let doors = [[true, true], [true, false], [false, false]];
    for turns in 0.. {
        let mut model = Model::new(&doors, Mode::Apply);
        model.step(Step::Poll(None)).await;
        let (key, plan) = model.plans().remove(0);
        let report = model.undo(&key, plan.clone(), Some(turns)).await;
        model.undo(&key, plan, None).await;
        assert_eq!(model.world.doors(), model.first, "after {turns} turns");
        if report.is_some() {
            assert!(turns > 20, "only {turns} turns: nothing was broken off");
            return;
        }
    }
}
