//! The engine over a cloud in memory.

mod bucket;
mod calls;
mod cards;
mod closure;
mod interrupt;
mod model;
mod policy;
mod sessions;
mod standstill;
mod steps;
mod unchanged;
mod undo;
mod waiting;
mod waves;

use std::sync::Mutex;

use proptest::prelude::*;

use remediation::ErrorKind::{
    AccessDenied, Gone, InvalidFinding, NotNow, OutOfReach, Passing, Permanent, Throttled, Transient, Unfinished,
};
use remediation::Region;

use super::*;
use crate::fake::Call::{Look, Write};
use crate::fake::{Change, House, SECRET, Script, Wait, World, files, plans};

const ONE: &str = "111111111111";
const TWO: &str = "222222222222";
const THREE: &str = "333333333333";
const REGION: &str = "eu-central-1";

/// One look is proof enough, or none comes.
const IMPATIENT: Bounds = Bounds {
    concurrency: 32,
    account_concurrency: 8,
    calls: 32,
    verify_within: Duration::ZERO,
    reserve: Duration::from_secs(75),
    conclude: Duration::from_secs(45),
    claim: Duration::from_secs(300),
    gather: Duration::ZERO,
};

async fn run(world: &World, mode: Mode) -> Report {
    world.engine().run(world.batch(), mode, Deadline::never()).await.report
}

async fn run_with(world: &World, bounds: Bounds, deadline: Deadline) -> Report {
    world.engine_with(bounds, world.records()).run(world.batch(), Mode::Apply, deadline).await.report
}

fn outcomes(report: &Report) -> Vec<Outcome> {
    report.findings.iter().map(|row| row.outcome).collect()
}

/// One house, fixed by itself: its report's row, and the calls that came for it.
async fn fix(open: &[bool], script: Script, bounds: Bounds) -> (ReportedFinding, Vec<crate::fake::Call>) {
    let mut world = World::new();
    let house = world.house(ONE, REGION, open, script);
    let mut report = run_with(&world, bounds, Deadline::never()).await;
    assert_eq!(report.counts, BTreeMap::from([(report.findings[0].outcome, 1)]));
    (report.findings.remove(0), world.calls(&house))
}

#[tokio::test]
async fn nothing_is_written_before_the_plan_is_stored() {
    let mut world = World::new();
    world.open_houses(ONE, REGION, 3);
    // The cloud panics at a write that no stored plan holds.
    let report = run(&world, Mode::Apply).await;
    assert_eq!(outcomes(&report), [Outcome::Fixed; 3]);
    let (stored, plan) = (report.plan.as_ref().unwrap(), &plans(world.folder.path())[0]);
    assert_eq!((stored.key.clone(), stored.digest.clone()), (world.batch().id.plan_key(), plan.digest().unwrap()));
    assert_eq!(plan.resources.len(), 3);
}

#[tokio::test]
async fn nothing_is_written_where_the_plan_cannot_be_stored() {
    let mut world = World::new();
    world.open_houses(ONE, REGION, 2);
    world.house(TWO, REGION, &[false], Script::Works);
    // A file stands where the folder of the plans would be.
    std::fs::write(world.folder.path().join("plans"), "").unwrap();
    let report = run(&world, Mode::Apply).await;
    assert_eq!(outcomes(&report), [Outcome::Failed, Outcome::Failed, Outcome::AlreadyCompliant]);
    let detail = report.findings[0].detail.as_deref().unwrap();
    assert!(detail.starts_with("the plan could not be stored, so nothing was written: /"), "{detail}");
    assert_eq!((world.count(Write), report.plan), (0, None));
}

#[tokio::test]
async fn mode_plan_stores_the_plan_and_writes_nothing() {
    let mut world = World::new();
    world.house(ONE, REGION, &[true, false, true], Script::Works);
    world.house(ONE, REGION, &[false], Script::Works);
    let report = run(&world, Mode::Plan).await;
    assert_eq!(outcomes(&report), [Outcome::Planned, Outcome::AlreadyCompliant]);
    assert_eq!(report.findings[0].changes, ["door 0 open true → false", "door 2 open true → false"]);
    let plans = plans(world.folder.path());
    assert_eq!((plans.len(), plans[0].mode, plans[0].resources.len()), (1, Mode::Plan, 1));
    assert_eq!(plans[0].resources[0].changes.len(), 2);
    assert_eq!((world.count(Look), world.count(Write)), (2, 0));
    assert!(world.sts.requests().iter().all(|request| request.form.contains_key("Policy")), "a write session");
}

#[tokio::test]
async fn mode_off_holds_every_finding_and_calls_nothing() {
    let mut world = World::new();
    world.open_houses(ONE, REGION, 2);
    let report = run(&world, Mode::Off).await;
    assert_eq!(outcomes(&report), [Outcome::Held; 2]);
    assert_eq!((world.count(Look), world.sts.requests().len()), (0, 0));
    assert!(files(world.folder.path()).is_empty());
}

#[tokio::test]
async fn a_complying_resource_takes_one_look_and_a_fixed_one_look_write_look() {
    let (row, calls) = fix(&[false, false], Script::Works, IMPATIENT).await;
    assert_eq!((row.outcome, calls), (Outcome::AlreadyCompliant, vec![Look]));
    let (row, calls) = fix(&[true], Script::Works, IMPATIENT).await;
    assert_eq!((row.outcome, row.written, calls), (Outcome::Fixed, 1, vec![Look, Write, Look]));
    let proof = row.verification.unwrap();
    // What was called, and not all that the manifest lists.
    assert_eq!((proof.looks, proof.actions), (1, vec!["test:GetDoors".to_owned()]));
}

#[tokio::test]
async fn fixed_means_that_a_fresh_look_found_nothing_left() {
    // What goes wrong; the outcome; the start of its detail; writes; looks after them.
    let cases = [
        (Script::Stale(2), Outcome::Fixed, "", 1, 3..=3),
        (Script::Deaf, Outcome::Unverified, "a fresh look still finds: door 0 open", 1, 2..=4),
        (Script::Stale(1000), Outcome::Unverified, "a fresh look still finds: door 0 open", 1, 2..=4),
        (Script::LaterLookFails(Throttled), Outcome::Unverified, "a fresh look failed: test:GetDoors: ", 1, 2..=4),
        (Script::LaterLookFails(Gone), Outcome::Gone, "test:GetDoors: ", 1, 1..=1),
        (Script::WriteFails(AccessDenied), Outcome::Failed, "test:CloseDoor: ", 0, 1..=1),
        (Script::WriteFails(Gone), Outcome::Failed, "test:CloseDoor: ", 0, 1..=1),
        (Script::WriteFails(NotNow), Outcome::Deferred, "test:CloseDoor: ", 0, 1..=1),
        (
            Script::WriteFailsLate(Throttled),
            Outcome::Fixed,
            "a write failed, and yet the resource complies: test:CloseDoor: ",
            0,
            1..=1,
        ),
        // A step back of it, say, may still come.
        (
            Script::WriteFailsLate(Unfinished),
            Outcome::Unverified,
            "the resource complies, and what was begun may still change it: test:CloseDoor: ",
            0,
            1..=1,
        ),
    ];
    let bounds = Bounds { verify_within: Duration::from_secs(2), ..IMPATIENT };
    let fixed = futures::future::join_all(cases.iter().map(|(script, ..)| fix(&[true], *script, bounds))).await;
    for ((script, outcome, detail, written, looks), (row, calls)) in cases.into_iter().zip(fixed) {
        assert_eq!((row.outcome, row.written), (outcome, written), "{script:?}: {row:?}");
        let says = row.detail.as_deref().unwrap_or_default();
        assert!(says.starts_with(detail) && says.is_empty() == detail.is_empty(), "{script:?}: {says}");
        assert_eq!(row.verification.is_some(), outcome == Outcome::Fixed, "{script:?}");
        assert_eq!(calls[..2], [Look, Write], "{script:?}");
        assert!(
            calls[2..].iter().all(|call| *call == Look) && looks.contains(&(calls.len() - 2)),
            "{script:?}: {calls:?}"
        );
    }
}

#[tokio::test]
async fn what_the_settings_hold_is_not_written_and_the_rest_is() {
    let (row, calls) = fix(&[true], Script::HoldsLast, IMPATIENT).await;
    assert_eq!((row.outcome, row.detail.as_deref()), (Outcome::Held, Some("door 0 may stay open")));
    assert_eq!((row.written, calls), (0, vec![Look]));
    let (row, calls) = fix(&[true, true], Script::HoldsLast, IMPATIENT).await;
    assert_eq!((row.outcome, row.detail.as_deref()), (Outcome::Held, Some("door 1 may stay open")));
    assert_eq!((row.written, row.verification, calls), (1, None, vec![Look, Write, Look]));
    let mut world = World::new();
    world.house(ONE, REGION, &[true, true], Script::HoldsLast);
    let report = run(&world, Mode::Plan).await;
    let planned = &plans(world.folder.path())[0].resources[0];
    assert_eq!((outcomes(&report), planned.changes.len()), (vec![Outcome::Planned], 1));
    assert_eq!(report.findings[0].detail.as_deref(), Some("door 1 may stay open"));
    assert_eq!(
        (&planned.held[..], &planned.notes[..]),
        (&["door 1 may stay open".into()][..], &report.findings[0].notes[..])
    );
}

#[tokio::test]
async fn a_note_is_in_the_report_whatever_the_outcome_and_only_once() {
    for (open, script) in [
        ([false, false], Script::Works),
        ([true, false], Script::Works),
        ([true, false], Script::WriteFails(Throttled)),
        ([false, true], Script::HoldsLast),
    ] {
        let (row, _) = fix(&open, script, IMPATIENT).await;
        assert_eq!(row.notes, ["the house has 2 doors"], "{script:?}");
    }
}

#[tokio::test]
async fn a_write_that_does_not_end_leaves_time_for_the_report() {
    let mut world = World::new();
    world.open_houses(ONE, REGION, 1);
    world.open_houses(TWO, REGION, 1);
    world.slow(ONE, Write, Wait::Time(Duration::from_secs(60)));
    let bounds = Bounds { reserve: Duration::from_millis(100), conclude: Duration::from_secs(3), ..IMPATIENT };
    let report = run_with(&world, bounds, Deadline::after(Duration::from_millis(3300))).await;
    assert_eq!(outcomes(&report), [Outcome::Unverified, Outcome::Fixed]);
    let detail = report.findings[0].detail.as_ref().unwrap();
    assert!(detail.contains("the write was begun, but had not ended after"), "{detail}");
}

#[tokio::test]
async fn the_first_write_that_fails_ends_a_findings_writes() {
    let (row, calls) = fix(&[true, true, true], Script::LaterWriteFails(Throttled), IMPATIENT).await;
    assert_eq!((row.outcome, row.written), (Outcome::Deferred, 1));
    assert_eq!(calls, [Look, Write, Write, Look]);
}

#[tokio::test]
async fn a_look_that_fails_is_failed_and_names_the_action_and_a_resource_that_is_gone_is_gone() {
    for (kind, outcome) in [
        (AccessDenied, Outcome::Failed),
        (Permanent, Outcome::Failed),
        (InvalidFinding, Outcome::Failed),
        (OutOfReach, Outcome::Held),
        (Throttled, Outcome::Deferred),
        (Transient, Outcome::Deferred),
        (Passing, Outcome::Deferred),
        (Gone, Outcome::Gone),
        (NotNow, Outcome::Deferred),
    ] {
        let (row, calls) = fix(&[true], Script::LookFails(kind), IMPATIENT).await;
        assert_eq!((row.outcome, calls), (outcome, vec![Look]));
        assert!(row.detail.unwrap().starts_with("test:GetDoors: "));
    }
}

#[tokio::test]
async fn verification_ends_in_time_although_each_look_is_slow() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Deaf);
    world.slow(ONE, Look, Wait::Time(Duration::from_millis(500)));
    let bounds = Bounds { verify_within: Duration::from_millis(700), ..IMPATIENT };
    assert_eq!(outcomes(&run_with(&world, bounds, Deadline::never()).await), [Outcome::Unverified]);
    // The waits between three looks would fit into the time; the looks themselves count as well.
    assert!(world.calls(&house).len() <= 4, "{:?}", world.calls(&house));
}

#[tokio::test]
async fn verification_does_not_outlast_the_deadline() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Deaf);
    let bounds = Bounds {
        reserve: Duration::ZERO,
        conclude: Duration::ZERO,
        verify_within: Duration::from_secs(5),
        ..IMPATIENT
    };
    let deadline = Deadline::after(Duration::from_millis(500));
    assert_eq!(outcomes(&run_with(&world, bounds, deadline).await), [Outcome::Unverified]);
    // In five seconds there would be five.
    assert!(world.calls(&house).len() <= 4, "{:?}", world.calls(&house));
}

#[tokio::test]
async fn a_finding_of_another_rules_control_fails_without_a_call() {
    let mut world = World::new();
    world.open_houses(ONE, REGION, 2);
    let mut batch = world.batch();
    batch.findings[0].control = "Ensure every window is closed.".into();
    let report = world.engine().run(batch, Mode::Apply, Deadline::never()).await.report;
    assert_eq!(outcomes(&report), [Outcome::Failed, Outcome::Fixed]);
    let detail = report.findings[0].detail.as_deref().unwrap();
    assert_eq!(detail, "finding's control: `Ensure every window is closed.` is not a control of open-door");
    assert!(world.calls_of(0).is_empty());
}

#[tokio::test]
async fn a_role_is_assumed_once_for_each_account_and_kind_of_session() {
    let mut world = World::new();
    for region in [REGION, "us-east-1", "ap-south-1"] {
        world.open_houses(ONE, region, 5);
        world.open_houses(TWO, region, 5);
        world.house(THREE, region, &[false], Script::Works);
    }
    let report = run(&world, Mode::Apply).await;
    assert_eq!((report.count(Outcome::Fixed), report.count(Outcome::AlreadyCompliant)), (30, 3));
    let mut asked: Vec<_> = world
        .sts
        .requests()
        .iter()
        .map(|request| (request.form["RoleArn"][13..25].to_owned(), request.form.contains_key("Policy")))
        .collect();
    asked.sort();
    let expected = [(ONE, false), (ONE, true), (TWO, false), (TWO, true), (THREE, true)];
    assert_eq!(asked, expected.map(|(account, read)| (account.to_owned(), read)));
}

#[tokio::test]
async fn a_role_that_is_refused_fails_its_own_accounts_findings_and_is_asked_for_once() {
    let mut world = World::new();
    for region in [REGION, "us-east-1"] {
        world.open_houses(ONE, region, 2);
        world.open_houses(TWO, region, 2);
    }
    world.sts.refuse(ONE);
    let report = run(&world, Mode::Apply).await;
    for row in &report.findings {
        let refused = row.finding.account.as_ref() == ONE;
        assert_eq!(row.outcome, if refused { Outcome::Failed } else { Outcome::Fixed });
        let named = row.detail.as_deref().unwrap_or_default().starts_with("sts:AssumeRole: AccessDenied: not for you");
        assert_eq!(named, refused, "{row:?}");
    }
    let asked = world.sts.requests().iter().filter(|request| request.form["RoleArn"].contains(ONE)).count();
    // With the rule's source identity, and with the caller's own.
    assert_eq!(asked, 2);
}

#[tokio::test]
async fn what_stops_an_account_is_said_once_an_account() {
    let mut world = World::new();
    for account in [ONE, TWO, THREE] {
        world.open_houses(account, REGION, 5);
    }
    world.sts.refuse(ONE);
    world.sts.switch_off(TWO);
    let report = run(&world, Mode::Apply).await;
    let expected = [[Outcome::Failed; 5], [Outcome::Held; 5], [Outcome::Fixed; 5]].concat();
    assert_eq!(outcomes(&report), expected);
    let said: Vec<_> = report.accounts.iter().map(|of| (of.account.as_ref(), of.findings)).collect();
    assert_eq!(said, [(ONE, 5), (TWO, 5)]);
    assert!(report.accounts[0].reason.starts_with("sts:AssumeRole: AccessDenied: not for you"), "{report:?}");
    assert!(report.accounts[1].reason.contains("has not enabled this region"), "{report:?}");
}

#[tokio::test]
async fn what_another_account_owns_is_held_and_names_the_owner() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Works);
    world.give(&house, TWO);
    let report = run(&world, Mode::Apply).await;
    assert_eq!((outcomes(&report), world.count(Write)), (vec![Outcome::Held], 0));
    let detail = report.findings[0].detail.as_deref().unwrap();
    assert!(detail.contains(&format!("it belongs to the account {TWO}")), "{detail}");
    assert!(files(world.folder.path()).is_empty(), "nothing was planned");
}

#[tokio::test]
async fn a_finding_without_a_region_is_looked_for_where_its_arn_says_and_nowhere_else() {
    let mut world = World::new();
    world.house(ONE, REGION, &[true], Script::Works);
    let mut batch = world.batch();
    batch.findings[0].region = Region::global();
    let report = world.engine().run(batch.clone(), Mode::Apply, Deadline::never()).await.report;
    assert_eq!((outcomes(&report), world.count(Look)), (vec![Outcome::Failed], 0));
    assert!(report.findings[0].detail.as_ref().unwrap().contains("the finding names no region"), "{report:?}");
    batch.findings[0].resource = format!("arn:aws:test:{REGION}:{ONE}:house/h0");
    let report = world.engine().run(batch, Mode::Apply, Deadline::never()).await.report;
    assert_eq!(outcomes(&report), [Outcome::Fixed], "{report:?}");
}

#[tokio::test]
async fn what_cannot_be_changed_now_is_deferred_and_what_is_not_shown_to_work_is_unverified() {
    let (row, calls) = fix(&[true], Script::JamsLast, IMPATIENT).await;
    assert_eq!((row.outcome, row.detail.as_deref()), (Outcome::Deferred, Some("door 0 is jammed")));
    assert_eq!(calls, [Look]);
    let (row, calls) = fix(&[true, true], Script::JamsLast, IMPATIENT).await;
    assert_eq!((row.outcome, row.detail.as_deref(), row.written), (Outcome::Deferred, Some("door 1 is jammed"), 1));
    assert_eq!(calls, [Look, Write, Look]);
    for (open, written) in [(true, 1), (false, 0)] {
        let (row, _) = fix(&[open], Script::NeverProved, IMPATIENT).await;
        assert_eq!((row.outcome, row.written), (Outcome::Unverified, written));
        assert_eq!(row.detail.as_deref(), Some("nobody has tried the doors"));
    }
}

#[tokio::test]
async fn calls_are_bounded_in_all_and_in_one_account() {
    // Accounts; the bounds; the most calls in all and in one account: the bounds are kept, and used.
    for (accounts, bounds, most) in [
        (10, Bounds::default(), (64, 8)),
        (2, Bounds::default(), (16, 8)),
        (10, Bounds { calls: 7, ..Bounds::default() }, (7, 7)),
        (4, Bounds { concurrency: 5, account_concurrency: 3, ..Bounds::default() }, (5, 3)),
        (2, Bounds { concurrency: 0, account_concurrency: 0, ..Bounds::default() }, (1, 1)),
    ] {
        let mut world = World::new();
        for number in 0..accounts {
            let account = format!("{number:012}");
            world.open_houses(&account, REGION, 8);
            world.slow(&account, Look, Wait::Turns(300));
            world.slow(&account, Write, Wait::Turns(300));
        }
        let report =
            world.engine_with(bounds, world.records()).run(world.batch(), Mode::Apply, Deadline::never()).await.report;
        assert_eq!(report.count(Outcome::Fixed), accounts * 8);
        assert_eq!(world.most_in_flight(), most);
    }
}

#[tokio::test]
async fn more_calls_are_under_way_in_an_account_while_all_goes_well() {
    let mut world = World::new();
    world.open_houses(ONE, REGION, 100);
    world.slow(ONE, Look, Wait::Turns(300));
    assert_eq!(
        run_with(&world, Bounds { verify_within: Duration::ZERO, ..Bounds::default() }, Deadline::never())
            .await
            .count(Outcome::Fixed),
        100
    );
    assert!(world.most_in_flight().1 > 32, "{:?}", world.most_in_flight());
}

#[tokio::test]
async fn what_one_run_learns_of_an_account_holds_for_the_next_that_shares_it() {
    let concurrency = Bounds::default().for_calls();
    for (houses, share, most) in [(100, true, 32..65), (16, false, 8..9), (16, true, 16..17)] {
        let mut world = World::new();
        world.open_houses(ONE, REGION, houses);
        world.slow(ONE, Look, Wait::Turns(300));
        let engine = world.engine();
        let engine = if share { engine.sharing(Arc::clone(&concurrency)) } else { engine };
        let report = engine.run(world.batch(), Mode::Apply, Deadline::never()).await.report;
        assert_eq!(report.count(Outcome::Fixed), houses);
        let (_, of_account) = world.most_in_flight();
        assert!(most.contains(&of_account), "{houses} {share}: {of_account}");
    }
    // Writes begin anew, so that a breaker stops a run most of whose writes would fail.
    let mut world = World::new();
    for _ in 0..16 {
        world.house(ONE, REGION, &[true], Script::WriteFails(AccessDenied));
    }
    let policy = r#"{"schema": 1, "mode": "apply", "limits": {"failure_percent": 50, "failure_minimum": 4}}"#;
    world.policy = Policy::from_json(policy.as_bytes()).unwrap();
    let report = world.engine().sharing(concurrency).run(world.batch(), Mode::Apply, Deadline::never()).await.report;
    let (failed, deferred) = (report.count(Outcome::Failed), report.count(Outcome::Deferred));
    // Eight at first, and one more for each that had failed before the fourth did.
    assert!((8..12).contains(&failed) && failed + deferred == 16, "{report:?}");
}

#[tokio::test]
async fn a_slow_account_does_not_hold_up_the_others() {
    let mut world = World::new();
    world.open_houses(ONE, REGION, 40);
    world.open_houses(TWO, REGION, 40);
    world.slow(ONE, Look, Wait::Turns(3000));
    assert_eq!(run(&world, Mode::Plan).await.count(Outcome::Planned), 80);
    let ended = world.ended();
    assert!(ended[..40].iter().all(|account| account.as_ref() == TWO), "{ended:?}");
}

#[tokio::test]
async fn near_the_deadline_nothing_new_starts_and_the_rest_is_deferred() {
    const HOUSES: usize = 6;
    let bounds = Bounds { concurrency: 1, ..IMPATIENT };
    for slow in [Look, Write] {
        let mut world = World::new();
        world.open_houses(ONE, REGION, HOUSES);
        // All six would take three times as long as there is.
        world.slow(ONE, slow, Wait::Time(Duration::from_millis(500)));
        let deadline = Deadline::after(bounds.reserve + Duration::from_secs(1));
        let report = run_with(&world, bounds, deadline).await;
        assert_eq!(report.counts.values().sum::<usize>(), HOUSES);
        let (looks, writes) = (world.count(Look), world.count(Write));
        let fixed = report.count(Outcome::Fixed);
        assert_eq!((report.count(Outcome::Deferred), writes), (HOUSES - fixed, fixed));
        let planned = looks - writes;
        let started = if slow == Look { planned } else { fixed };
        assert!((1..HOUSES).contains(&started), "{slow:?}: {started}");
        for (place, row) in report.findings.iter().enumerate() {
            let (expected, detail) = match place {
                _ if place < fixed => (Outcome::Fixed, ""),
                _ if place < planned => (Outcome::Deferred, "no time was left to write it"),
                _ => (Outcome::Deferred, "no time was left to plan it"),
            };
            assert_eq!((row.outcome, row.changes.is_empty()), (expected, place >= planned), "{place}: {row:?}");
            assert!(row.detail.as_deref().unwrap_or_default().starts_with(detail), "{place}: {row:?}");
        }
    }
}

#[tokio::test]
async fn a_second_run_finds_nothing_left_to_do() {
    let mut world = World::new();
    world.open_houses(ONE, REGION, 3);
    assert_eq!(outcomes(&run(&world, Mode::Apply).await), [Outcome::Fixed; 3]);
    let second = run(&world, Mode::Apply).await;
    assert_eq!((outcomes(&second), second.plan), (vec![Outcome::AlreadyCompliant; 3], None));
    assert_eq!(world.count(Write), 3);
}

#[tokio::test]
async fn a_resource_that_disappears_between_plan_and_write_is_gone() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Works);
    world.house(TWO, REGION, &[true], Script::Works);
    world.slow(ONE, Write, Wait::Turns(1000));
    let tear_down = async {
        world.until(Write, 1).await;
        world.tear_down(&house);
    };
    let (report, ()) = tokio::join!(run(&world, Mode::Apply), tear_down);
    assert_eq!(outcomes(&report), [Outcome::Gone, Outcome::Fixed]);
}

#[tokio::test]
async fn no_secret_of_a_session_is_in_a_record_or_a_debug_text() {
    let mut world = World::new();
    world.open_houses(ONE, REGION, 1);
    world.house(ONE, REGION, &[true], Script::Deaf);
    world.open_houses(TWO, REGION, 1);
    world.open_houses(THREE, REGION, 1);
    world.sts.refuse(TWO);
    world.sts.garble(THREE);
    let engine = world.engine_with(IMPATIENT, world.records());
    let report = engine.run(world.batch(), Mode::Apply, Deadline::never()).await.report;
    assert_eq!(outcomes(&report), [Outcome::Fixed, Outcome::Unverified, Outcome::Failed, Outcome::Failed]);
    world.records().store_report(&report).await.unwrap();
    let files = files(world.folder.path());
    assert_eq!(
        files.iter().filter(|file| !file.ends_with(".lock")).count(),
        4,
        "a plan, a report, two cards: {files:?}"
    );
    let records = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
    for text in records.chain([format!("{report:?} {:?}", engine.sessions)]) {
        assert!(!text.contains(SECRET), "{text}");
    }
    let garbled = report.findings[3].detail.as_deref().unwrap();
    assert!(garbled.starts_with("sts:AssumeRole: "), "{garbled}");
}

#[tokio::test]
async fn progress_is_told_of_every_step() {
    #[derive(Default)]
    struct Told(Mutex<Vec<(&'static str, usize)>>);
    impl Progress for Told {
        fn planning(&self, findings: usize) {
            self.0.lock().unwrap().push(("planning", findings));
        }
        fn planned(&self) {
            self.0.lock().unwrap().push(("planned", 1));
        }
        fn applying(&self, findings: usize) {
            self.0.lock().unwrap().push(("applying", findings));
        }
        fn applied(&self) {
            self.0.lock().unwrap().push(("applied", 1));
        }
    }
    let mut world = World::new();
    world.open_houses(ONE, REGION, 1);
    world.house(ONE, REGION, &[false], Script::Works);
    let told = Arc::new(Told::default());
    let engine = world.engine().with_progress(Arc::clone(&told) as Arc<dyn Progress>);
    engine.run(world.batch(), Mode::Apply, Deadline::never()).await;
    let expected = [("planning", 2), ("planned", 1), ("planned", 1), ("applying", 1), ("applied", 1)];
    assert_eq!(*told.0.lock().unwrap(), expected);
}

/// A finding's story, whose outcome is known.
#[derive(Debug, Clone)]
struct Story {
    account: usize,
    doors: Vec<bool>,
    script: Script,
}

const ACCOUNTS: [&str; 4] = [ONE, TWO, THREE, "444444444444"];
/// The last account's role is refused.
const REFUSED: usize = 3;

impl Story {
    fn outcome(&self) -> Outcome {
        let open = self.doors.iter().filter(|open| **open).count();
        match (self.script, open) {
            _ if self.account == REFUSED => Outcome::Failed,
            (Script::LookFails(kind), _) => kind.outcome(),
            (Script::NeverProved, _) => Outcome::Unverified,
            (_, 0) => Outcome::AlreadyCompliant,
            (Script::Works | Script::Stale(0) | Script::Forestalled | Script::LosesItsNames, _) => Outcome::Fixed,
            (Script::LaterLookFails(Gone), _) => Outcome::Gone,
            (Script::Deaf | Script::Stale(_) | Script::LaterLookFails(_), _) => Outcome::Unverified,
            (Script::LaterWriteFails(_) | Script::WriteFailsLate(_), 1) => Outcome::Fixed,
            (Script::Guarded | Script::Dark(_), _) => Outcome::Held,
            (Script::HoldsLast, _) if self.doors.last() == Some(&true) => Outcome::Held,
            (Script::JamsLast, _) if self.doors.last() == Some(&true) => Outcome::Deferred,
            (Script::HoldsLast | Script::JamsLast, _) => Outcome::Fixed,
            // A look has found it, whatever the write said.
            (Script::WriteFails(Gone) | Script::LaterWriteFails(Gone) | Script::WriteFailsLate(Gone), _) => {
                Outcome::Failed
            }
            (Script::WriteFails(kind) | Script::LaterWriteFails(kind) | Script::WriteFailsLate(kind), _) => {
                kind.outcome()
            }
        }
    }
}

fn stories() -> impl Strategy<Value = Vec<Story>> {
    let kinds = [Throttled, AccessDenied, Gone, InvalidFinding, NotNow, OutOfReach, Passing, Transient, Permanent];
    let kind = || prop::sample::select(kinds.to_vec());
    let script = prop_oneof![
        Just(Script::Works),
        Just(Script::Deaf),
        Just(Script::HoldsLast),
        Just(Script::JamsLast),
        Just(Script::NeverProved),
        Just(Script::Guarded),
        Just(Script::Dark(AccessDenied)),
        (0..2_u32).prop_map(Script::Stale),
        kind().prop_map(Script::LookFails),
        kind().prop_map(Script::LaterLookFails),
        kind().prop_map(Script::WriteFails),
        kind().prop_map(Script::LaterWriteFails),
        kind().prop_map(Script::WriteFailsLate),
    ];
    let story = (0..ACCOUNTS.len(), prop::collection::vec(any::<bool>(), 0..4), script)
        .prop_map(|(account, doors, script)| Story { account, doors, script });
    prop::collection::vec(story, 0..25)
}

fn world_of(stories: &[Story]) -> World {
    let mut world = World::new();
    for story in stories {
        world.house(ACCOUNTS[story.account], REGION, &story.doors, story.script);
    }
    world
}

fn block_on<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_finding_has_one_outcome_in_the_batchs_order(stories in stories(), bad_lines in 0..3_usize) {
        let world = world_of(&stories);
        world.sts.refuse(ACCOUNTS[REFUSED]);
        let mut batch = world.batch();
        batch.bad_lines = (0..bad_lines).map(|line| BatchLineError { line, reason: "broken".into() }).collect();
        let engine = world.engine_with(IMPATIENT, world.records());
        let report = block_on(engine.run(batch.clone(), Mode::Apply, Deadline::never())).report;
        let rows: Vec<_> = report.findings.iter().map(|row| row.finding.clone()).collect();
        prop_assert_eq!(rows, batch.findings);
        let expected: Vec<_> = stories.iter().map(Story::outcome).collect();
        prop_assert_eq!(outcomes(&report), expected.clone());
        prop_assert_eq!(&report.bad_lines, &batch.bad_lines);
        prop_assert_eq!(report.counts.values().sum::<usize>(), stories.len() + bad_lines);
        let failed = expected.iter().filter(|outcome| **outcome == Outcome::Failed).count();
        prop_assert_eq!(report.count(Outcome::Failed), failed + bad_lines);
    }

    #[test]
    fn what_failed_is_made_good_by_the_next_run(stories in stories()) {
        let mut world = world_of(&stories);
        block_on(run_with(&world, IMPATIENT, Deadline::never()));
        for house in world.doors().keys() {
            world.script(house, Script::Works);
        }
        // The run that had failed too often stays stopped; the next poll is a run of its own. What nobody answered to keeps
        // its claim.
        world.pass(301);
        world.run = remediation::RunId::start();
        let again = block_on(run(&world, Mode::Apply));
        let fine = |row: &ReportedFinding| matches!(row.outcome, Outcome::Fixed | Outcome::AlreadyCompliant);
        prop_assert!(again.findings.iter().all(fine), "{again:?}");
        prop_assert!(world.all_closed());
    }
}
