//! An account's writes begin when its own plan is stored. The clock goes on when nothing else does.

use std::collections::BTreeSet;

use futures::future::join;
use remediation::{Approval, RunId};
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::undo::{undo_as, write};
use super::*;

/// How long a look in the slow account takes.
const SLOW: Duration = Duration::from_secs(20);
/// A time within that, long after the first wave is written.
const BETWEEN: Duration = Duration::from_secs(10);

/// Accounts that are planned within a short time share a plan.
fn gathering() -> World {
    let mut world = World::new();
    world.gather = Duration::from_millis(50);
    world
}

/// Two accounts with two houses each, of which the first of each has somebody in it; a look in the other account is slow.
fn two_accounts(scripts: [Script; 2]) -> World {
    let mut world = gathering();
    for account in [ONE, TWO] {
        for script in scripts {
            world.house(account, REGION, &[true], script);
        }
    }
    world.slow(TWO, Look, Wait::Time(SLOW));
    world
}

/// The plans that a report names, each with its key.
async fn plans_of(world: &World, report: &Report) -> Vec<Taken<Change>> {
    let mut plans = Vec::new();
    for stored in report.plans() {
        let plan: Plan<Change> = world.records().get_as(&stored.key).await.unwrap();
        assert_eq!(plan.digest().unwrap(), stored.digest);
        let report = Some(report.clone());
        plans.push(Taken { key: stored.key.clone(), plan, report, only: BTreeSet::new() });
    }
    plans
}

/// The names of the houses in a plan.
fn houses(of: &Taken<Change>) -> Vec<String> {
    of.plan.resources.iter().map(|planned| House::from(&planned.resource).name).collect()
}

/// What a report says of which plan has the changes of each row, by the plans' places.
fn places(report: &Report) -> Vec<Option<usize>> {
    let place = |key| report.plans().position(|stored| stored.key == key);
    report.findings.iter().map(|row| report.plan_of(row).map(|key| place(key).unwrap())).collect()
}

#[tokio::test(start_paused = true)]
async fn an_account_is_written_while_another_is_looked_at() {
    let world = two_accounts([Script::Works; 2]);
    let report = run(&world, Mode::Apply).await;
    assert_eq!(outcomes(&report), [Outcome::Fixed; 4]);
    // The other account's first look ends when this one's looks, writes and proofs have.
    let ended = world.ended();
    let first = ended.iter().position(|account| account.as_ref() == TWO);
    assert_eq!(first, Some(6), "{ended:?}");
    let plans = plans_of(&world, &report).await;
    assert_eq!(plans.iter().map(houses).collect::<Vec<_>>(), [["h0", "h1"], ["h2", "h3"]]);
    assert_eq!(plans[0].key, world.batch().id.plan_key());
    assert_eq!(report.plan.as_ref().unwrap().key, plans[1].key);
    assert_eq!(places(&report), [Some(0), Some(0), Some(1), Some(1)]);
}

#[tokio::test(start_paused = true)]
async fn accounts_that_are_planned_at_about_the_same_time_have_one_plan() {
    let mut world = gathering();
    for (number, account) in [THREE, ONE, TWO].into_iter().enumerate() {
        world.open_houses(account, REGION, 2);
        world.slow(account, Look, Wait::Time(Duration::from_millis(1_000 + 20 * number as u64)));
    }
    let report = run(&world, Mode::Apply).await;
    assert_eq!(outcomes(&report), [Outcome::Fixed; 6]);
    let plans = plans_of(&world, &report).await;
    // In the order of the batch.
    assert_eq!(plans.iter().map(houses).collect::<Vec<_>>(), [["h0", "h1", "h2", "h3", "h4", "h5"]]);
    assert_eq!((plans[0].key.clone(), report.earlier_plans.len()), (world.batch().id.plan_key(), 0));
    assert_eq!(places(&report), [Some(0); 6]);
    assert!(report.findings.iter().all(|row| row.earlier_plan.is_none()), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn each_wave_has_a_plan_of_its_own_name() {
    const ACCOUNTS: u64 = 12;
    let mut world = gathering();
    for number in 0..ACCOUNTS {
        let account = format!("{number:012}");
        world.open_houses(&account, REGION, 1);
        world.slow(&account, Look, Wait::Time(Duration::from_secs(1 + number)));
    }
    let report = run(&world, Mode::Apply).await;
    let places: Vec<_> = places(&report).into_iter().flatten().collect();
    assert_eq!((report.count(Outcome::Fixed), places.len()), (12, 12));
    let keys: BTreeSet<_> = report.plans().map(|stored| &stored.key).collect();
    assert_eq!((keys.len(), plans(world.folder.path()).len()), (12, 12));
    assert!(keys.iter().all(|key| BatchId::from_plan_key(key, "open-door").as_ref() == Some(&report.id)), "{keys:?}");
    assert!(places.is_sorted(), "{places:?}");
}

#[tokio::test(start_paused = true)]
async fn what_waits_of_all_waves_is_in_one_plan_which_is_approved() {
    let world = two_accounts([Script::Guarded, Script::Works]);
    let done = world.engine_with(IMPATIENT, world.records()).run(world.batch(), Mode::Apply, Deadline::never()).await;
    let report = done.report;
    let (held, fixed) = (Outcome::Held, Outcome::Fixed);
    assert_eq!(outcomes(&report), [held, fixed, held, fixed]);
    let [first, last] = &plans_of(&world, &report).await[..] else { panic!("{report:?}") };
    assert_eq!((houses(first), houses(last)), (vec!["h1".into()], vec!["h0".into(), "h2".into(), "h3".into()]));
    assert_eq!(places(&report), [Some(1), Some(0), Some(1), Some(1)]);
    let waits = last.plan.resources.iter().filter(|planned| !planned.awaits.is_empty());
    assert_eq!((waits.count(), done.waiting_since.is_some()), (2, true));
    for house in ["h0", "h2"] {
        let house = world.doors().into_keys().find(|of| of.name == house).unwrap();
        assert_eq!(world.card(&house).unwrap().waiting.unwrap().plan, last.key, "{house:?}");
    }
    let approval = Approval::new(&report.id, &last.key, &last.plan.digest().unwrap(), "who".into(), "why".into());
    let engine = world.engine_with(IMPATIENT, world.records());
    let approved = Approved { approval, stored_by: None };
    let approved = engine.run_approved(approved, last.plan.clone(), Deadline::never()).await.report;
    assert_eq!(outcomes(&approved), [fixed, fixed]);
    assert!(world.all_closed());
}

#[tokio::test(start_paused = true)]
async fn a_poll_says_what_waits_once_whatever_waves_there_are() {
    let mut world = two_accounts([Script::Guarded, Script::Works]);
    let Done { report, told, .. } = world.engine().poll(world.batch(), Deadline::never()).await;
    assert_eq!((report.count(Outcome::Held), report.earlier_plans.len()), (2, 1));
    told.remember(&world.records().store_report(&report).await.unwrap()).await;
    world.run = RunId::start();
    let Done { report: again, .. } = world.engine().poll(world.batch(), Deadline::never()).await;
    let unchanged: Vec<_> = again.unchanged.iter().map(|of| (&of.report, of.outcome, of.findings)).collect();
    assert_eq!(unchanged, [(&report.id.report_key(), Outcome::Held, 2)]);
    assert_eq!((again.count(Outcome::AlreadyCompliant), again.plan), (2, None));
}

#[tokio::test(start_paused = true)]
async fn a_limit_holds_for_all_waves_together() {
    let mut world = two_accounts([Script::Works; 2]);
    world.policy = Policy::from_json(
        json!({"schema": 1, "mode": "apply", "limits": {"changes_per_run": 3}}).to_string().as_bytes(),
    )
    .unwrap();
    let report = run(&world, Mode::Apply).await;
    assert_eq!(outcomes(&report), [Outcome::Fixed, Outcome::Fixed, Outcome::Fixed, Outcome::Deferred]);
    assert_eq!(
        report.findings[3].detail.as_deref(),
        Some("the limit changes_per_run (3) has no room for its 1 change(s)")
    );
    assert_eq!((world.count(Write), report.earlier_plans.len()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_wave_whose_plan_cannot_be_stored_writes_nothing_and_stops_no_other() {
    let world = two_accounts([Script::Works; 2]);
    // A file stands where the folder of the plans would be.
    let plans = world.folder.path().join("plans");
    std::fs::write(&plans, "").unwrap();
    let make_room = async {
        sleep(BETWEEN).await;
        std::fs::remove_file(&plans).unwrap();
    };
    let (report, ()) = join(run(&world, Mode::Apply), make_room).await;
    assert_eq!(outcomes(&report), [Outcome::Failed, Outcome::Failed, Outcome::Fixed, Outcome::Fixed]);
    let detail = report.findings[0].detail.as_deref().unwrap();
    assert!(detail.starts_with("the plan could not be stored, so nothing was written: /"), "{detail}");
    assert_eq!(world.count(Write), 2);
    assert!(world.doors().keys().all(|house| world.card(house).unwrap().claim.is_none()), "a claim was left");
    let plans = plans_of(&world, &report).await;
    assert_eq!(plans.iter().map(houses).collect::<Vec<_>>(), [["h2", "h3"]]);
}

#[tokio::test(start_paused = true)]
async fn all_plans_of_a_report_are_taken_back_each_believed_for_its_own_digest() {
    let world = two_accounts([Script::Works; 2]);
    let before = world.doors();
    let report = run(&world, Mode::Apply).await;
    let plans = plans_of(&world, &report).await;
    // One cannot stand for the other.
    let swapped = Taken { plan: plans[1].plan.clone(), ..plans[0].clone() };
    let held = undo_as(&world, &swapped, &write(Drifted::Hold)).await.report;
    assert_eq!(outcomes(&held), [Outcome::Held; 2], "{held:?}");
    assert!(held.findings[0].detail.as_deref().unwrap().contains("the plan is not the one that was carried out"));
    for taken in plans.iter().rev() {
        let undone = undo_as(&world, taken, &write(Drifted::Hold)).await.report;
        assert_eq!(outcomes(&undone), [Outcome::Undone; 2], "{undone:?}");
    }
    assert_eq!(world.doors(), before);
}

/// A run that dies after so long.
async fn killed(world: &World, after: Duration) {
    let engine = world.engine_with(IMPATIENT, world.records());
    let run = engine.run(world.batch(), Mode::Apply, Deadline::never());
    assert!(timeout(after, run).await.is_err(), "it has ended");
}

/// The stored plan of a run that never came back.
fn unreported(world: &World) -> Taken<Change> {
    let plan = plans(world.folder.path()).remove(0);
    Taken { key: plan.id.plan_key(), plan, report: None, only: BTreeSet::new() }
}

#[tokio::test(start_paused = true)]
async fn what_the_first_wave_of_a_killed_run_wrote_is_taken_back() {
    let world = two_accounts([Script::Works; 2]);
    let before = world.doors();
    killed(&world, BETWEEN).await;
    let taken = unreported(&world);
    assert_eq!((houses(&taken), world.count(Write)), (vec!["h0".into(), "h1".into()], 2));
    let undone = undo_as(&world, &taken, &write(Drifted::Hold)).await.report;
    assert_eq!(outcomes(&undone), [Outcome::Undone; 2], "{undone:?}");
    assert_eq!(world.doors(), before);
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_run_had_begun_is_ended_by_the_next_attempt_of_its_batch() {
    let world = two_accounts([Script::Works; 2]);
    world.slow(ONE, Write, Wait::Time(BETWEEN));
    // It dies in the middle of the first wave's writes.
    killed(&world, BETWEEN / 2).await;
    assert!(
        world.doors().keys().filter(|of| of.account.as_ref() == ONE).all(|of| world.card(of).unwrap().claim.is_some())
    );
    world.pass(600);
    let report = run(&world, Mode::Apply).await;
    assert_eq!(outcomes(&report), [Outcome::Fixed; 4]);
    // The names of the first attempt's plans are left to them.
    let keys: Vec<_> = report.plans().map(|stored| stored.key.clone()).collect();
    assert_eq!(plans(world.folder.path()).len(), 3);
    assert!(!keys.contains(&report.id.plan_key()), "{keys:?}");
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_between_waves_leaves_the_next_one_and_reports_both() {
    let world = two_accounts([Script::Works; 2]);
    let interrupt = Interrupt::default();
    let engine = world.engine_with(IMPATIENT, world.records()).ended_by(interrupt.clone());
    let interrupts = async {
        sleep(BETWEEN).await;
        interrupt.interrupt();
    };
    let (done, ()) = join(engine.run(world.batch(), Mode::Apply, Deadline::never()), interrupts).await;
    let report = done.report;
    let (fixed, deferred) = (Outcome::Fixed, Outcome::Deferred);
    assert_eq!(outcomes(&report), [fixed, fixed, deferred, deferred]);
    assert!(report.findings[3].detail.as_deref().unwrap().contains("interrupted"), "{report:?}");
    assert_eq!(world.count(Write), 2);
    // The first wave's plan is the last one, too.
    assert_eq!((report.plan.as_ref().unwrap().key.clone(), report.earlier_plans.len()), (report.id.plan_key(), 0));
    assert_eq!(places(&report)[..2], [Some(0); 2]);
}

#[tokio::test(start_paused = true)]
async fn the_breaker_of_an_account_holds_for_what_comes_after_it() {
    let mut world = gathering();
    for number in 0..4 {
        let account = format!("{number:012}");
        world.house(&account, REGION, &[true], Script::WriteFails(AccessDenied));
        world.slow(&account, Look, Wait::Time(Duration::from_secs(10 * number)));
    }
    let limits = json!({"schema": 1, "mode": "apply", "limits": {"failure_percent": 50, "failure_minimum": 1}});
    world.policy = Policy::from_json(limits.to_string().as_bytes()).unwrap();
    let report = run(&world, Mode::Apply).await;
    // No account alone opens that of all.
    assert_eq!(outcomes(&report), [Outcome::Failed, Outcome::Failed, Outcome::Deferred, Outcome::Deferred]);
    assert_eq!(world.count(Write), 2);
}

#[tokio::test(start_paused = true)]
async fn progress_tells_of_both_steps_at_once() {
    #[derive(Default)]
    struct Told(Mutex<Vec<&'static str>>);
    impl Told {
        fn tell(&self, what: &'static str) {
            self.0.lock().unwrap().push(what);
        }
    }
    impl Progress for Told {
        fn planning(&self, _: usize) {
            self.tell("planning");
        }
        fn planned(&self) {
            self.tell("planned");
        }
        fn applying(&self, _: usize) {
            self.tell("applying");
        }
        fn applied(&self) {
            self.tell("applied");
        }
    }
    let mut world = gathering();
    world.open_houses(ONE, REGION, 1);
    world.open_houses(TWO, REGION, 1);
    world.slow(TWO, Look, Wait::Time(SLOW));
    let told = Arc::new(Told::default());
    let engine = world.engine().with_progress(Arc::clone(&told) as Arc<dyn Progress>);
    engine.run(world.batch(), Mode::Apply, Deadline::never()).await;
    let expected = ["planning", "planned", "applying", "applied", "planned", "applying", "applied"];
    assert_eq!(*told.0.lock().unwrap(), expected);
}
