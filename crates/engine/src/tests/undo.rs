//! The way back.

use jiff::SignedDuration;
use remediation::{POLICY_KEY, UNDO_ROLE_SUFFIX};
use tempfile::NamedTempFile;

use std::collections::BTreeSet;

use super::*;
use crate::fake::AssumeRole;

/// What a report says that a run has stored.
pub(super) async fn taken(world: &World, report: &Report) -> Taken<Change> {
    let key = report.plan.as_ref().unwrap().key.clone();
    let plan = world.records().get_as(&key).await.unwrap();
    Taken { key, plan, report: Some(report.clone()), only: BTreeSet::new() }
}

/// Fixes every house of the world in a run of its own.
pub(super) async fn fixed(world: &mut World) -> Taken<Change> {
    world.run = remediation::RunId::start();
    let report = run(world, Mode::Apply).await;
    taken(world, &report).await
}

pub(super) fn write(drifted: Drifted) -> Undo<Change> {
    Undo::Write { shown: None, drifted, exempt_until: Timestamp::now() + SignedDuration::from_hours(24) }
}

pub(super) async fn undo_as(world: &World, taken: &Taken<Change>, how: &Undo<Change>) -> Done<Change> {
    let id = BatchId { run: remediation::RunId::start(), ..world.batch().id };
    world.engine_with(IMPATIENT, world.records()).undo(id, taken.clone(), how, Deadline::never()).await
}

pub(super) async fn undo(world: &World, taken: &Taken<Change>) -> Report {
    undo_as(world, taken, &write(Drifted::Hold)).await.report
}

fn detail(report: &Report, place: usize) -> &str {
    report.findings[place].detail.as_deref().unwrap_or_default()
}

#[tokio::test]
async fn undo_shows_takes_back_and_proves_and_records_itself() {
    let mut world = World::new();
    world.house(ONE, REGION, &[true, false, true], Script::Works);
    world.open_houses(TWO, REGION, 1);
    let before = world.doors();
    let fixed = fixed(&mut world).await;
    let shown = undo_as(&world, &fixed, &Undo::Show { drifted: Drifted::Hold }).await.report;
    assert_eq!(outcomes(&shown), [Outcome::Planned; 2]);
    // The last change first.
    assert_eq!(shown.findings[0].changes, ["door 2 open false → true", "door 0 open false → true"]);
    assert!(world.all_closed());
    let undone = undo(&world, &fixed).await;
    assert_eq!(outcomes(&undone), [Outcome::Undone; 2], "{undone:?}");
    assert!(undone.findings.iter().all(|row| row.verification.is_some()));
    assert_eq!(detail(&undone, 0), "it violates again: door 0 open true → false; door 2 open true → false");
    assert_eq!(world.doors(), before);
    assert_eq!(undone.undoes.as_deref(), Some(fixed.key.as_str()));
    let again = undo(&world, &fixed).await;
    assert_eq!(
        (outcomes(&again), again.plan.is_none(), again.findings[0].written),
        (vec![Outcome::Undone; 2], true, 0)
    );
}

/// What is in force after an undo, somebody else has done: it is not opened a second time.
#[tokio::test]
async fn what_is_taken_back_is_not_taken_back_again() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Works);
    let fixed = fixed(&mut world).await;
    let cut_off = Taken { report: None, ..fixed.clone() };
    assert_eq!(outcomes(&undo(&world, &fixed).await), [Outcome::Undone]);
    world.set_door(&house, 0, false);
    for taken in [&fixed, &cut_off] {
        let again = undo(&world, taken).await;
        assert_eq!(outcomes(&again), [Outcome::Held]);
        assert!(detail(&again, 0).contains("has taken it back already"), "{again:?}");
        assert!(world.all_closed());
    }
    let forced = undo_as(&world, &fixed, &write(Drifted::PutBack)).await.report;
    assert_eq!(outcomes(&forced), [Outcome::Undone]);
    assert!(!world.all_closed());
}

/// What an undo had taken back is in force again when the undo itself is taken back, and can be taken back once more.
#[tokio::test]
async fn an_undo_is_taken_back_and_then_the_fix_again() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Works);
    let fixed = fixed(&mut world).await;
    let undone = undo(&world, &fixed).await;
    let undo_itself = taken(&world, &undone).await;
    assert_eq!(outcomes(&undo(&world, &undo_itself).await), [Outcome::Undone]);
    assert!(world.all_closed());
    assert!(!world.card(&house).unwrap().writes[0].is_undone());
    assert_eq!(outcomes(&undo(&world, &fixed).await), [Outcome::Undone]);
    assert_eq!(world.doors()[&house], [true]);
}

/// In the role that can open again: shown with sessions that can only read, and written with one that can write. A fix
/// never takes it.
#[tokio::test]
async fn an_undo_and_nothing_else_takes_the_role_that_can_open_again() {
    let mut world = World::new();
    world.house(ONE, REGION, &[true], Script::Works);
    let fixed = fixed(&mut world).await;
    let roles = |world: &World, from: usize| {
        let requests = world.sts.requests().split_off(from);
        let role = |of: &AssumeRole| (of.form["RoleArn"].ends_with(UNDO_ROLE_SUFFIX), of.form.contains_key("Policy"));
        requests.iter().map(role).collect::<Vec<_>>()
    };
    assert_eq!(roles(&world, 0), [(false, true), (false, false)]);
    undo_as(&world, &fixed, &Undo::Show { drifted: Drifted::Hold }).await;
    assert_eq!(roles(&world, 2), [(true, true)]);
    assert_eq!(outcomes(&undo(&world, &fixed).await), [Outcome::Undone]);
    assert_eq!(roles(&world, 3), [(true, true), (true, false)]);
}

#[tokio::test]
async fn undo_leaves_what_somebody_else_has_changed_back_unless_it_is_forced() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true, false], Script::Works);
    world.open_houses(TWO, REGION, 1);
    let fixed = fixed(&mut world).await;
    // What the fix never touched is nobody's business.
    world.open_door(&house, 1);
    assert_eq!(outcomes(&undo(&world, &fixed).await), [Outcome::Undone; 2]);
    assert_eq!(world.doors()[&house], [true, true]);
}

#[tokio::test]
async fn what_is_neither_in_force_nor_taken_back_is_held() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Works);
    let fixed = fixed(&mut world).await;
    world.rebuild(&house, &[]);
    let held = undo(&world, &fixed).await;
    assert_eq!(outcomes(&held), [Outcome::Held]);
    assert!(detail(&held, 0).contains("it has changed since the fix"), "{held:?}");
}

#[tokio::test]
async fn undone_means_that_a_fresh_look_found_it_taken_back() {
    for (script, outcome) in [
        (Script::Deaf, Outcome::Unverified),
        (Script::WriteFails(AccessDenied), Outcome::Failed),
        (Script::WriteFails(NotNow), Outcome::Deferred),
        (Script::WriteFailsLate(Throttled), Outcome::Undone),
        (Script::WriteFailsLate(Unfinished), Outcome::Unverified),
        (Script::LookFails(Throttled), Outcome::Deferred),
        (Script::LookFails(AccessDenied), Outcome::Failed),
        (Script::LookFails(Gone), Outcome::Gone),
    ] {
        let mut world = World::new();
        let house = world.house(ONE, REGION, &[true], Script::Works);
        let fixed = fixed(&mut world).await;
        world.script(&house, script);
        let report = undo(&world, &fixed).await;
        assert_eq!(outcomes(&report), [outcome], "{script:?}: {report:?}");
        let proof = report.findings[0].verification.as_ref();
        assert_eq!(proof.is_some(), outcome == Outcome::Undone, "{script:?}: {report:?}");
    }
}

/// What an undo had begun may have changed it after the last look, so it can be taken back once more.
#[tokio::test]
async fn what_may_still_be_changed_is_taken_back_again() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Works);
    let fixed = fixed(&mut world).await;
    world.script(&house, Script::WriteFailsLate(Unfinished));
    assert_eq!(outcomes(&undo(&world, &fixed).await), [Outcome::Unverified]);
    world.script(&house, Script::Works);
    world.set_door(&house, 0, false);
    world.pass(3600);
    assert_eq!(outcomes(&undo(&world, &fixed).await), [Outcome::Undone]);
    assert!(!world.all_closed());
}

#[tokio::test]
async fn undo_writes_nothing_where_nothing_can_be_stored() {
    let mut world = World::new();
    world.open_houses(ONE, REGION, 1);
    let (fixed, file) = (fixed(&mut world).await, NamedTempFile::new().unwrap());
    let engine = world.engine_with(IMPATIENT, Records::Folder(file.path().into()));
    let report = engine.undo(world.batch().id, fixed, &write(Drifted::Hold), Deadline::never()).await.report;
    assert_eq!(outcomes(&report), [Outcome::Failed]);
    assert!(world.all_closed());
}

#[tokio::test]
async fn a_plan_is_believed_for_its_digest_alone() {
    type Edit = fn(&mut Taken<Change>);
    let edits: [(Edit, &str); 6] = [
        (|of| of.plan.resources[0].changes[0].change.door = 1, "is not the one that was carried out"),
        (
            |of| of.plan.resources[0].resource.arn = "arn:aws:test:eu-central-1:111111111111:house/h1".into(),
            "is not the one",
        ),
        (|of| of.plan.resources[0].findings[0].resource = "h1".into(), "is not the one that was carried out"),
        (|of| of.plan.id.rule = "other".into(), "the plan is of the rule `other`"),
        (|of| of.plan.id.batch = 7, "of another batch than"),
        (|of| of.report.as_mut().unwrap().id.batch = 7, "the report is of another batch"),
    ];
    for (edit, says) in edits {
        let mut world = World::new();
        world.house(ONE, REGION, &[true, false], Script::Works);
        world.house(ONE, REGION, &[false, false], Script::Works);
        let mut fixed = fixed(&mut world).await;
        edit(&mut fixed);
        let report = undo(&world, &fixed).await;
        assert_eq!(outcomes(&report), [Outcome::Held], "{says}: {report:?}");
        assert!(detail(&report, 0).contains(says), "{says}: {report:?}");
        assert!(world.all_closed());
    }
}

#[tokio::test]
async fn what_the_run_did_not_write_is_not_taken_back_whoever_closed_it() {
    let cases = [
        // A plan of mode plan, one that waits, one over a limit, one that failed: all closed by hand afterwards.
        (r#"{"schema": 1, "mode": "plan"}"#, Script::Works),
        (r#"{"schema": 1, "mode": "approve"}"#, Script::Works),
        (r#"{"schema": 1, "mode": "apply", "limits": {"changes_per_run": 0}}"#, Script::Works),
        (r#"{"schema": 1, "mode": "apply"}"#, Script::WriteFails(AccessDenied)),
    ];
    for (policy, script) in cases {
        let mut world = World::new();
        let house = world.house(ONE, REGION, &[true, true], script);
        world.policy = Policy::from_json(policy.as_bytes()).unwrap();
        let planned = fixed(&mut world).await;
        world.script(&house, Script::Works);
        world.close_doors(&house);
        let report = undo(&world, &planned).await;
        assert_eq!(outcomes(&report), [Outcome::Held], "{policy}: {report:?}");
        assert!(detail(&report, 0).contains("the run wrote nothing of it"), "{report:?}");
        assert!(world.all_closed(), "{policy}: what a person closed was opened");
    }
}

#[tokio::test]
async fn an_undo_that_failed_says_that_nothing_of_it_is_in_force() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true, true], Script::Works);
    let fixed = fixed(&mut world).await;
    world.script(&house, Script::WriteFails(AccessDenied));
    let report = undo(&world, &fixed).await;
    assert_eq!((outcomes(&report), report.findings[0].written), (vec![Outcome::Failed], 0), "{report:?}");
    assert!(report.findings[0].took.is_empty(), "{report:?}");
    world.script(&house, Script::Works);
    let undone = undo(&world, &fixed).await;
    assert_eq!((outcomes(&undone), &undone.findings[0].took[..]), (vec![Outcome::Undone], &[0, 1][..]), "{undone:?}");
}

/// Of a service that is eventually consistent, which shows what was before.
#[tokio::test]
async fn what_was_written_right_before_its_undo_is_looked_at_again() {
    let patient = async |world: &World, taken: Taken<Change>| {
        let id = BatchId { run: remediation::RunId::start(), ..world.batch().id };
        let (engine, how) = (world.engine(), write(Drifted::Hold));
        engine.undo(id, taken, &how, Deadline::never()).await.report
    };
    for shown in [[true, true], [true, false]] {
        let mut world = World::new();
        let house = world.house(ONE, REGION, &[true, true], Script::Works);
        let fixed = fixed(&mut world).await;
        world.show_once(&house, &shown);
        let undone = patient(&world, fixed).await;
        assert_eq!((outcomes(&undone), undone.findings[0].written), (vec![Outcome::Undone], 2), "{undone:?}");
        assert_eq!(world.doors()[&house], [true, true]);

        // The card knows the time of the fix alone.
        world.pass(60);
        world.show_once(&house, &[false, !shown[1]]);
        let again = taken(&world, &undone).await;
        let again = patient(&world, again).await;
        assert_eq!((outcomes(&again), again.findings[0].written), (vec![Outcome::Undone], 2), "{again:?}");
        assert_eq!(world.doors()[&house], [false, false]);
    }
}

/// A call to which nobody answered may take after the last look.
#[tokio::test]
async fn what_takes_once_its_run_has_ended_is_taken_back() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::WriteFails(Transient));
    let report = run_with(&world, IMPATIENT, Deadline::never()).await;
    assert_eq!((outcomes(&report), &report.findings[0].took[..]), (vec![Outcome::Deferred], &[0][..]), "{report:?}");
    world.set_door(&house, 0, false);
    world.pass(301);
    let late = taken(&world, &report).await;
    let undone = undo(&world, &late).await;
    assert_eq!(
        (outcomes(&undone), &undone.findings[0].took[..]),
        (vec![Outcome::Deferred], &[0][..]),
        "of an undo, too"
    );
    world.script(&house, Script::Works);
    world.pass(301);
    let undone = undo(&world, &late).await;
    assert!(outcomes(&undone) == [Outcome::Undone] && world.doors()[&house] == [true], "{undone:?}");
}

#[tokio::test]
async fn what_has_drifted_is_shown_and_put_back_where_that_is_asked_for() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true, true], Script::Works);
    let fixed = fixed(&mut world).await;
    // Of the two doors that were closed, there is no second any more.
    world.rebuild(&house, &[false]);
    let held = undo_as(&world, &fixed, &Undo::Show { drifted: Drifted::Hold }).await;
    assert_eq!((outcomes(&held.report), held.plan.is_none()), (vec![Outcome::Held], true));
    let shown = undo_as(&world, &fixed, &Undo::Show { drifted: Drifted::PutBack }).await;
    assert_eq!(shown.report.findings[0].changes, ["door 1 open false → true", "door 0 open false → true"]);
}

#[tokio::test]
async fn of_a_fix_that_failed_half_way_the_half_that_took_is_taken_back() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true, true], Script::LaterWriteFails(AccessDenied));
    let half = fixed(&mut world).await;
    world.script(&house, Script::Works);
    assert_eq!(world.doors()[&house], [false, true]);
    world.close_doors(&house);
    let report = undo(&world, &half).await;
    assert_eq!(outcomes(&report), [Outcome::Undone], "{report:?}");
    // A person has closed the other one.
    assert_eq!(world.doors()[&house], [true, false]);
}

#[tokio::test]
async fn what_a_later_run_has_changed_is_taken_back_first_or_not_at_all() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true, true], Script::Works);
    let all = world.batch().findings;
    world.only_front(0);
    let first = fixed(&mut world).await;
    assert_eq!(world.doors()[&house], [false, true]);
    world.list(all);
    let second = fixed(&mut world).await;
    assert!(world.all_closed());
    let held = undo(&world, &first).await;
    assert_eq!(outcomes(&held), [Outcome::Held]);
    assert!(detail(&held, 0).contains(&second.plan.id.run.to_string()), "{held:?}");
    assert!(world.all_closed());
    let engine = world.engine();
    let later = engine.changed_later(&first.plan, &BTreeSet::new()).await;
    assert_eq!(later[0].later, std::slice::from_ref(&second.plan.id));
    assert!(engine.changed_later(&first.plan, &BTreeSet::from(["another".to_owned()])).await.is_empty());
    assert_eq!(outcomes(&undo(&world, &second).await), [Outcome::Undone]);
    assert_eq!(outcomes(&undo(&world, &first).await), [Outcome::Undone]);
    assert_eq!(world.doors()[&house], [true, true]);
    assert!(engine.changed_later(&first.plan, &BTreeSet::new()).await.is_empty());
}

#[tokio::test]
async fn undo_writes_what_was_shown_and_nothing_else() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true, true], Script::Works);
    let fixed = fixed(&mut world).await;
    let shown = undo_as(&world, &fixed, &Undo::Show { drifted: Drifted::Hold }).await.plan.unwrap();
    // Somebody has opened one of the doors: to take the fix back is less than was shown.
    world.open_door(&house, 0);
    let how = Undo::Write { shown: Some(shown), drifted: Drifted::Hold, exempt_until: Timestamp::now() };
    let held = undo_as(&world, &fixed, &how).await.report;
    assert_eq!(outcomes(&held), [Outcome::Held]);
    assert!(detail(&held, 0).contains("it has changed since it was shown"), "{held:?}");
    assert_eq!(world.doors()[&house], [true, false]);
}

#[tokio::test]
async fn the_settings_of_today_do_not_judge_an_undo() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true, true], Script::Works);
    let fixed = fixed(&mut world).await;
    // To the rule, an open last door is fine by now.
    world.script(&house, Script::HoldsLast);
    assert_eq!(outcomes(&undo(&world, &fixed).await), [Outcome::Undone]);
    assert_eq!(world.doors()[&house], [true, true]);
}

#[tokio::test]
async fn what_undo_puts_back_runs_leave_alone_by_whatever_name_and_control_it_is_listed() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Works);
    let fixed = fixed(&mut world).await;
    assert_eq!(outcomes(&undo(&world, &fixed).await), [Outcome::Undone]);
    world.list_as(&house, crate::fake::FRONT, REGION, "h0");
    world.list_as(&house, crate::fake::CONTROL, REGION, "the museum");
    world.list_as(&house, crate::fake::CONTROL, "us-west-2", "h0");
    world.run = remediation::RunId::start();
    let exempt = run(&world, Mode::Apply).await;
    assert_eq!(outcomes(&exempt), [Outcome::Exempt; 4], "{exempt:?}");
    assert!(detail(&exempt, 3).contains(&format!("an undo has put it back, of {}", fixed.key)), "{exempt:?}");
    world.pass(25 * 3600);
    world.run = remediation::RunId::start();
    assert_eq!(outcomes(&run(&world, Mode::Apply).await), [Outcome::Fixed; 4]);
}

#[tokio::test]
async fn an_undo_that_is_shown_or_has_nothing_to_put_back_exempts_nothing() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Works);
    let fixed_once = fixed(&mut world).await;
    undo_as(&world, &fixed_once, &Undo::Show { drifted: Drifted::Hold }).await;
    world.open_door(&house, 0);
    assert_eq!(outcomes(&undo(&world, &fixed_once).await), [Outcome::Undone]);
    assert!(world.card(&house).unwrap().writes[0].is_undone());
    world.run = remediation::RunId::start();
    assert_eq!(outcomes(&run(&world, Mode::Apply).await), [Outcome::Fixed]);
}

#[tokio::test]
async fn paused_an_undo_writes_nothing_either() {
    let mut world = World::new();
    world.open_houses(ONE, REGION, 1);
    let fixed = fixed(&mut world).await;
    std::fs::write(world.folder.path().join(POLICY_KEY), r#"{"schema": 1, "paused": true}"#).unwrap();
    world.policy_record = Some(PolicyRecord::new(world.records(), POLICY_KEY));
    let report = undo(&world, &fixed).await;
    assert_eq!((outcomes(&report), world.all_closed()), (vec![Outcome::Held], true));
}

#[tokio::test]
async fn an_undo_keeps_to_a_pause_of_its_account_alone() {
    let mut world = World::new();
    world.open_houses(ONE, REGION, 1);
    world.open_houses(TWO, REGION, 1);
    let fixed = fixed(&mut world).await;
    let pauses = r#"{"schema": 1, "pauses": [{"id": "00000001", "stops": {"accounts": ["111111111111"]}, "reason": "r",
        "by": "b", "at": "2026-01-02T03:04:05Z"}]}"#;
    world.policy = world.policy.under(serde_json::from_str(pauses).unwrap());
    let report = undo(&world, &fixed).await;
    assert_eq!(outcomes(&report), [Outcome::Held, Outcome::Undone], "{report:?}");
    assert!(detail(&report, 0).starts_with("paused by b"), "{report:?}");
}

/// Nobody else would be asked: an approval covers the changes of a fix.
#[tokio::test]
async fn only_in_mode_apply_an_undo_writes_and_in_the_middle_too() {
    for mode in ["off", "plan", "approve"] {
        let mut world = World::new();
        world.open_houses(ONE, REGION, 2);
        let fixed = fixed(&mut world).await;
        let policy = format!(r#"{{"schema": 1, "mode": "{mode}"}}"#);
        std::fs::write(world.folder.path().join(POLICY_KEY), &policy).unwrap();
        world.policy_record = Some(PolicyRecord::new(world.records(), POLICY_KEY));
        let report = undo(&world, &fixed).await;
        assert_eq!((outcomes(&report), world.all_closed()), (vec![Outcome::Held; 2], true), "{mode}");
        world.policy = remediation::Policy::from_json(policy.as_bytes()).unwrap();
        let report = undo(&world, &fixed).await;
        assert_eq!((outcomes(&report), world.all_closed()), (vec![Outcome::Held; 2], true), "{mode}");
        assert!(detail(&report, 0).contains(&format!("the policy's mode is {mode}")), "{report:?}");
        let shown = undo_as(&world, &fixed, &Undo::Show { drifted: Drifted::Hold }).await;
        assert_eq!(outcomes(&shown.report), [Outcome::Planned; 2], "to look is allowed");
    }
}

#[tokio::test]
async fn an_undo_of_a_thousand_changes_is_bounded_and_goes_on_where_it_was_cut_off() {
    let mut world = World::new();
    for account in [ONE, TWO, THREE] {
        world.open_houses(account, REGION, 334);
    }
    let before = world.doors();
    let fixed = fixed(&mut world).await;
    let written = world.count(Write);
    assert_eq!(written, 1002);
    {
        let cut_off = async { world.until(Write, written + 400).await };
        tokio::select! { biased; () = cut_off => {}, _ = undo(&world, &fixed) => panic!("too fast") }
    }
    let first = world.count(Write) - written;
    let busy = undo(&world, &fixed).await;
    assert!(busy.count(Outcome::Deferred) > 0 && busy.count(Outcome::Deferred) + busy.count(Outcome::Undone) == 1002);
    world.pass(600);
    let report = undo(&world, &fixed).await;
    assert_eq!((report.count(Outcome::Undone), world.doors()), (1002, before));
    // What was put back is not written again, but for what was under way.
    assert!(world.count(Write) - written <= 1002 + 64 && first >= 400, "{first}");
    let (most, most_in_account) = world.most_in_flight();
    assert!(most <= 64 && most_in_account <= 64, "{most}, {most_in_account}");
}

#[tokio::test]
async fn an_undo_that_waits_for_others_renews_its_claims() {
    let mut world = World::new();
    world.open_houses(ONE, REGION, 3);
    let fixed = fixed(&mut world).await;
    world.slow(ONE, Write, Wait::Time(Duration::from_millis(1500)));
    // One after the other they take longer than a claim.
    let bounds = Bounds { concurrency: 1, claim: Duration::from_millis(3000), ..IMPATIENT };
    let id = BatchId { run: remediation::RunId::start(), ..world.batch().id };
    let engine = world.engine_with(bounds, world.records());
    let report = engine.undo(id, fixed, &write(Drifted::Hold), Deadline::never()).await.report;
    assert_eq!(outcomes(&report), [Outcome::Undone; 3], "{report:?}");
}

#[tokio::test]
async fn a_name_that_leads_to_another_resource_by_now_takes_nothing_back() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Works);
    let other = world.house(ONE, REGION, &[false], Script::Works);
    world.list(Vec::new());
    world.list_as(&house, crate::fake::CONTROL, REGION, "the museum");
    let fixed = fixed(&mut world).await;
    world.list_as(&other, crate::fake::CONTROL, REGION, "the museum");
    let held = undo(&world, &fixed).await;
    assert_eq!(outcomes(&held), [Outcome::Held]);
    assert!(detail(&held, 0).contains("the finding leads to") && world.all_closed(), "{held:?}");
}

/// What a look by the same name finds proves nothing of what was written to, neither a fix nor an undo.
#[tokio::test]
async fn a_name_that_leads_to_another_resource_after_the_write_proves_nothing() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true, true], Script::LosesItsNames);
    let other = world.house(ONE, REGION, &[false, false], Script::Works);
    world.list(Vec::new());
    world.list_as(&house, crate::fake::CONTROL, REGION, "the museum");
    let engine = world.engine_with(IMPATIENT, world.records());
    let fixed = taken(&world, &engine.run(world.batch(), Mode::Apply, Deadline::never()).await.report).await;
    let leads = |detail: &str| detail.contains("the finding leads to") && detail.contains(&other.name);
    let report = fixed.report.as_ref().unwrap();
    assert_eq!(outcomes(report), [Outcome::Unverified]);
    assert!(leads(detail(report, 0)), "{report:?}");
    assert_eq!(report.findings[0].took, [0, 1], "what nobody has seen may be in force");

    world.list_as(&house, crate::fake::CONTROL, REGION, "the museum");
    for door in [0, 1] {
        world.open_door(&other, door);
    }
    let undone = undo(&world, &fixed).await;
    assert_eq!(outcomes(&undone), [Outcome::Unverified]);
    assert!(leads(detail(&undone, 0)), "{undone:?}");
}

/// What an undo has put back stays as it says while nobody has taken it back: an attempt that wrote nothing has not.
#[tokio::test]
async fn an_undo_of_an_undo_that_wrote_nothing_leaves_it_as_it_was() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Works);
    let of = fixed(&mut world).await;
    let undone = undo(&world, &of).await;
    let undo_itself = taken(&world, &undone).await;
    world.script(&house, Script::WriteFails(AccessDenied));
    assert_eq!(outcomes(&undo(&world, &undo_itself).await), [Outcome::Failed]);
    world.script(&house, Script::Works);
    world.set_door(&house, 0, false);
    assert_eq!(outcomes(&undo(&world, &of).await), [Outcome::Held], "somebody else has closed it");
    assert_eq!(outcomes(&undo_as(&world, &of, &write(Drifted::PutBack)).await.report), [Outcome::Undone]);
}

/// Of a run that found everything made already nothing is in force, so that it is in nobody's way.
#[tokio::test]
async fn a_run_of_which_nothing_is_in_force_has_not_to_be_taken_back_first() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Works);
    let of = fixed(&mut world).await;
    world.open_door(&house, 0);
    world.script(&house, Script::Forestalled);
    let forestalled = fixed(&mut world).await;
    world.script(&house, Script::Works);
    assert_eq!(outcomes(&undo(&world, &forestalled).await), [Outcome::Held], "it wrote nothing");
    assert_eq!(outcomes(&undo(&world, &of).await), [Outcome::Undone]);
}

/// Else it would have to be taken back before the run before it can be.
#[tokio::test]
async fn a_dead_run_that_wrote_nothing_is_in_nobodys_way_once_an_undo_was_shown() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true, true], Script::Works);
    world.only_front(0);
    let first = fixed(&mut world).await;
    world.list_as(&house, crate::fake::CONTROL, REGION, "h0");
    world.run = remediation::RunId::start();
    let writes = world.count(Write);
    world.slow(ONE, Write, Wait::Time(Duration::from_secs(60)));
    tokio::select! {
        report = run(&world, Mode::Apply) => panic!("{report:?}"),
        () = world.until(Write, writes + 1) => {}
    }
    world.pass(301);
    world.slow(ONE, Write, Wait::Turns(1));
    assert_eq!(outcomes(&undo(&world, &first).await), [Outcome::Held], "the dead run may have written after it");
    let plan = crate::fake::plans(world.folder.path()).into_iter().find(|plan| plan.id.run == world.run).unwrap();
    let dead = Taken { key: plan.id.plan_key(), plan, report: None, only: BTreeSet::new() };
    let shown = undo_as(&world, &dead, &Undo::Show { drifted: Drifted::Hold }).await.report;
    assert!(outcomes(&shown).iter().all(|outcome| *outcome == Outcome::Undone), "{shown:?}");
    assert_eq!(outcomes(&undo(&world, &first).await), [Outcome::Undone]);
}

/// Who makes it again is the one whose it is: where that is taken back, and somebody closes it, it is theirs.
#[tokio::test]
async fn what_was_opened_again_is_not_taken_back_although_somebody_has_closed_it_since() {
    for (opened_after, made_again) in [(120, true), (0, true), (120, false)] {
        let mut world = World::new();
        let house = world.house(ONE, REGION, &[true, true], Script::Works);
        let first = fixed(&mut world).await;
        world.pass(opened_after);
        world.open_door(&house, 0);
        if made_again {
            let second = fixed(&mut world).await;
            assert_eq!(outcomes(&undo(&world, &second).await), [Outcome::Undone]);
        } else {
            world.run = remediation::RunId::start();
            assert_eq!(outcomes(&run(&world, Mode::Plan).await), [Outcome::Planned]);
        }
        world.set_door(&house, 0, false);
        let undone = undo(&world, &first).await;
        assert_eq!(outcomes(&undone), [Outcome::Undone], "{opened_after} s, {made_again}: {undone:?}");
        assert_eq!(
            world.doors()[&house],
            [false, true],
            "{opened_after} s, {made_again}: the other door is of the first run"
        );
        assert_eq!(undone.findings[0].changes, ["door 1 open false → true"]);
    }
}
