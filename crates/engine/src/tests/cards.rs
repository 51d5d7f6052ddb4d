//! One resource, one plan, one writer.

use std::collections::BTreeSet;

use remediation::records::Ended;
use remediation::{Approval, BatchId, Regions};
use serde_json::json;

use super::undo::{fixed, taken, undo};
use super::*;
use crate::fake::{CONTROL, FRONT};

fn detail(report: &Report, place: usize) -> &str {
    report.findings[place].detail.as_deref().unwrap_or_default()
}

fn approving() -> Policy {
    Policy::from_json(json!({"schema": 1, "mode": "approve"}).to_string().as_bytes()).unwrap()
}

async fn approve(world: &World, report: &Report, engine: &Engine<crate::fake::OpenDoor>) -> (Report, Approval) {
    let of = taken(world, report).await;
    let digest = of.plan.digest().unwrap();
    let approval = Approval::new(&report.id, &of.key, &digest, "who".into(), "why".into());
    let approved = Approved { approval: approval.clone(), stored_by: None };
    (engine.run_approved(approved, of.plan, Deadline::never()).await.report, approval)
}

#[tokio::test]
async fn findings_of_one_resource_are_one_piece_of_work_by_whatever_they_name_it() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true, true], Script::Works);
    world.list_as(&house, FRONT, REGION, "h0");
    world.list_as(&house, CONTROL, REGION, &format!("arn:aws:test:{REGION}:{ONE}:house/h0"));
    world.list_as(&house, CONTROL, REGION, "the museum");
    world.list_as(&house, CONTROL, "us-west-2", "h0");
    world.open_houses(ONE, REGION, 1);
    let planned = world.engine().run(world.batch(), Mode::Plan, Deadline::never()).await;
    assert_eq!(outcomes(&planned.report), [Outcome::Planned; 6]);
    let plan = planned.plan.unwrap();
    let sizes: Vec<_> = plan.resources.iter().map(|of| (of.findings.len(), of.changes.len())).collect();
    assert_eq!(sizes, [(5, 2), (1, 1)]);
    let report = run(&world, Mode::Apply).await;
    assert_eq!(outcomes(&report), [Outcome::Fixed; 6], "{report:?}");
    let arns: std::collections::BTreeSet<_> =
        report.findings.iter().map(|row| row.resource.as_ref().unwrap().arn.clone()).collect();
    assert_eq!(arns.len(), 2);
    assert_eq!(world.count(Write), 3, "each door once");
}

#[tokio::test]
async fn the_same_words_are_looked_at_once() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[false], Script::Works);
    world.list_as(&house, FRONT, REGION, "h0");
    assert_eq!(outcomes(&run(&world, Mode::Apply).await), [Outcome::AlreadyCompliant; 2]);
    assert_eq!(world.calls(&house), [Look]);
}

#[tokio::test]
async fn a_control_that_the_resource_complied_with_says_so_beside_one_that_was_fixed() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[false, true], Script::Works);
    world.list_as(&house, FRONT, REGION, "h0");
    let report = run(&world, Mode::Apply).await;
    assert_eq!(outcomes(&report), [Outcome::Fixed, Outcome::AlreadyCompliant], "{report:?}");
}

#[tokio::test]
async fn a_control_that_is_none_of_the_rule_does_not_stop_the_resources_others() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Works);
    world.list_as(&house, "Ensure every window is closed.", REGION, "h0");
    assert_eq!(outcomes(&run(&world, Mode::Apply).await), [Outcome::Fixed, Outcome::Failed]);
}

#[tokio::test]
async fn of_two_runs_at_once_one_writes_and_the_other_says_who() {
    for other in [FRONT, CONTROL] {
        let mut world = World::new();
        let house = world.house(ONE, REGION, &[true, true], Script::Works);
        world.slow(ONE, Write, Wait::Time(Duration::from_millis(2000)));
        let first = world.batch();
        world.list_as(&house, other, REGION, "the museum");
        let id = BatchId { run: remediation::RunId::start(), ..first.id.clone() };
        let second = Batch::new(id, vec![world.batch().findings[1].clone()]);
        let (engine, rival) = (world.engine(), world.engine());
        let late = async {
            world.until(Write, 1).await;
            rival.run(second.clone(), Mode::Apply, Deadline::never()).await.report
        };
        let (first, second) = tokio::join!(engine.run(first, Mode::Apply, Deadline::never()), late);
        assert_eq!(outcomes(&first.report), [Outcome::Fixed]);
        assert_eq!(outcomes(&second), [Outcome::Deferred], "{second:?}");
        assert!(detail(&second, 0).contains(&first.report.id.run.to_string()), "{second:?}");
        assert_eq!(world.count(Write), 2);
        assert!(world.card(&house).unwrap().claim.is_none());
    }
}

#[tokio::test]
async fn many_runs_at_once_write_each_change_once_and_the_next_finds_nothing() {
    let mut world = World::new();
    for account in [ONE, TWO] {
        for _ in 0..6 {
            world.house(account, REGION, &[true, true], Script::Works);
        }
        world.slow(account, Look, Wait::Turns(20));
        world.slow(account, Write, Wait::Turns(50));
    }
    // The fake cloud panics where two write to a house at once.
    let engines: Vec<_> = (0..5).map(|_| world.engine()).collect();
    let batch = |number| Batch { id: BatchId { batch: number, ..world.batch().id }, ..world.batch() };
    let runs =
        engines.iter().zip(1..).map(|(engine, number)| engine.run(batch(number), Mode::Apply, Deadline::never()));
    let reports = futures::future::join_all(runs).await;
    let fixed: usize = reports.iter().map(|done| done.report.count(Outcome::Fixed)).sum();
    assert_eq!((fixed, world.count(Write)), (12, 24));
    let rest = [Outcome::Fixed, Outcome::Deferred, Outcome::AlreadyCompliant];
    assert!(reports.iter().flat_map(|done| &done.report.findings).all(|row| rest.contains(&row.outcome)));
    assert_eq!(outcomes(&run(&world, Mode::Apply).await), [Outcome::AlreadyCompliant; 12]);
}

#[tokio::test]
async fn a_write_by_another_run_since_the_look_is_seen_by_the_claim() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Guarded);
    world.guard = remediation::Guard::Warn;
    world.slow(ONE, Look, Wait::Time(Duration::from_millis(2000)));
    let (slow, quick) = (world.engine(), world.engine());
    let batch = world.batch();
    let other = Batch::new(BatchId { batch: 2, ..batch.id.clone() }, batch.findings.clone());
    let slow_run = slow.run(batch, Mode::Apply, Deadline::never());
    let quick_run = async {
        // It has listed the cards, and looks.
        world.until(Look, 1).await;
        world.slow(ONE, Look, Wait::Turns(1));
        let done = quick.run(other, Mode::Apply, Deadline::never()).await;
        world.open_door(&house, 0);
        done
    };
    let (slow, quick) = tokio::join!(slow_run, quick_run);
    assert_eq!(outcomes(&quick.report), [Outcome::Fixed]);
    assert_eq!(outcomes(&slow.report), [Outcome::Deferred], "what it saw is not what is there: {slow:?}");
    assert!(detail(&slow.report, 0).contains("another run was at work on it just now"), "{slow:?}");
}

#[tokio::test]
async fn a_claim_of_a_dead_run_holds_for_its_time_and_its_retry_goes_on_at_once() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true, true], Script::Works);
    world.slow(ONE, Write, Wait::Turns(50));
    let engine = world.engine().held_by("request-1".into());
    tokio::select! {
        done = engine.run(world.batch(), Mode::Apply, Deadline::never()) => panic!("{done:?}"),
        () = world.until(Write, 2) => {}
    }
    assert_eq!(world.doors()[&house], [false, true]);
    let busy = run(&world, Mode::Apply).await;
    assert_eq!(outcomes(&busy), [Outcome::Deferred]);
    let again = world.engine().held_by("request-1".into()).run(world.batch(), Mode::Apply, Deadline::never()).await;
    assert_eq!(outcomes(&again.report), [Outcome::Fixed], "{again:?}");
    assert!(world.all_closed());
}

#[tokio::test]
async fn the_next_run_ends_what_a_dead_one_began_once_its_time_is_up() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true, true, true], Script::Works);
    world.slow(ONE, Write, Wait::Turns(50));
    let dead = world.run;
    tokio::select! {
        report = run(&world, Mode::Apply) => panic!("{report:?}"),
        () = world.until(Write, 2) => {}
    }
    world.pass(301);
    world.run = remediation::RunId::start();
    assert_eq!(outcomes(&run(&world, Mode::Apply).await), [Outcome::Fixed]);
    let writes = world.card(&house).unwrap().writes;
    let writes: Vec<_> = writes.iter().map(|write| (write.run, write.ended, &write.took[..])).collect();
    assert_eq!(writes, [(dead, Ended::Unproved, &[0][..]), (world.run, Ended::Proved, &[0, 1])]);
    let planned: Vec<_> = plans(world.folder.path()).iter().map(|plan| plan.resources[0].changes.len()).collect();
    assert_eq!((planned.iter().max(), planned.len()), (Some(&3), 2));
}

/// What the dead run had begun may have ended since the first look.
#[tokio::test]
async fn an_undo_of_a_dead_run_looks_twice() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true, true], Script::Stale(1));
    world.slow(ONE, Write, Wait::Turns(50));
    tokio::select! {
        report = run(&world, Mode::Apply) => panic!("{report:?}"),
        () = world.until(Write, 2) => {}
    }
    assert_eq!(world.doors()[&house], [false, true]);
    world.pass(301);
    let plan = plans(world.folder.path()).remove(0);
    let dead = Taken { key: plan.id.plan_key(), plan, report: None, only: BTreeSet::new() };
    let between = undo(&world, &dead).await;
    assert_eq!(outcomes(&between), [Outcome::Deferred], "{between:?}");
    assert!(detail(&between, 0).contains("it has changed since it was looked at"), "{between:?}");
    world.script(&house, Script::Works);
    assert_eq!(outcomes(&undo(&world, &dead).await), [Outcome::Undone]);
    assert_eq!(world.doors()[&house], [true, true]);
}

#[tokio::test]
async fn an_approval_covers_all_controls_of_the_resource() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true, true], Script::Works);
    world.list_as(&house, FRONT, REGION, "h0");
    world.policy = approving();
    let waits = run(&world, Mode::Apply).await;
    assert_eq!(outcomes(&waits), [Outcome::Held; 2]);
    let (done, _) = approve(&world, &waits, &world.engine()).await;
    assert_eq!(outcomes(&done), [Outcome::Fixed; 2], "{done:?}");
    assert!(world.all_closed());
}

#[tokio::test]
async fn what_waits_is_kept_on_the_card_and_goes_when_it_is_written() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Works);
    world.policy = approving();
    let waits = run(&world, Mode::Apply).await;
    let first = world.card(&house).unwrap();
    assert_eq!(first.waiting.as_ref().unwrap().plan, waits.plan.as_ref().unwrap().key);
    world.run = remediation::RunId::start();
    let again = run(&world, Mode::Apply).await;
    assert_eq!(world.card(&house).unwrap(), first, "the same waits, since the first time");
    let (done, _) = approve(&world, &again, &world.engine()).await;
    assert_eq!(outcomes(&done), [Outcome::Fixed]);
    assert!(world.card(&house).unwrap().waiting.is_none());
}

#[tokio::test]
async fn what_a_guard_sees_beyond_what_was_shown_holds_an_approved_fix() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Works);
    world.enter(&house, "anna");
    let waits = run(&world, Mode::Apply).await;
    assert_eq!(detail(&waits, 0), "needs an approval: anna is in the house");
    world.enter(&house, "bert");
    let (held, _) = approve(&world, &waits, &world.engine()).await;
    assert_eq!((outcomes(&held), world.count(Write)), (vec![Outcome::Held], 0));
    assert!(detail(&held, 0).contains("drifted: the guard sees what was not shown: bert is in the house"), "{held:?}");
}

#[tokio::test]
async fn what_was_shown_is_written_and_what_came_later_is_left_and_named() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true, false], Script::Works);
    let shown = world.engine().run(world.batch(), Mode::Plan, Deadline::never()).await.plan.unwrap();
    world.open_door(&house, 1);
    let id = BatchId { run: remediation::RunId::start(), ..world.batch().id };
    let engine = world.engine_with(IMPATIENT, world.records());
    let report = engine.run_shown(id, shown, Deadline::never()).await.report;
    assert_eq!(outcomes(&report), [Outcome::Held], "{report:?}");
    assert!(detail(&report, 0).contains("not shown, and so left as it is: door 1 open"), "{report:?}");
    assert_eq!((world.doors()[&house].clone(), report.findings[0].written), (vec![false, true], 1));
}

#[tokio::test]
async fn an_approved_run_that_was_cut_off_goes_on_when_it_is_tried_again() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true, true], Script::Works);
    world.policy = approving();
    let waits = run(&world, Mode::Apply).await;
    let of = taken(&world, &waits).await;
    let approval = Approval::new(&waits.id, &of.key, &of.plan.digest().unwrap(), "who".into(), "why".into());
    let approved = Approved { approval, stored_by: None };
    world.slow(ONE, Write, Wait::Turns(50));
    let engine = world.engine().held_by("r".into());
    tokio::select! {
        done = engine.run_approved(approved.clone(), of.plan.clone(), Deadline::never()) => panic!("{done:?}"),
        () = world.until(Write, 2) => {}
    }
    assert_eq!(world.doors()[&house], [false, true]);
    let again =
        world.engine().held_by("r".into()).run_approved(approved.clone(), of.plan.clone(), Deadline::never()).await;
    assert_eq!(outcomes(&again.report), [Outcome::Fixed], "{again:?}");
    world.open_door(&house, 0);
    let used = world.engine().held_by("r".into()).run_approved(approved, of.plan, Deadline::never()).await;
    assert_eq!(outcomes(&used.report), [Outcome::Held], "{used:?}");
    assert!(detail(&used.report, 0).contains("used before"));
}

#[tokio::test]
async fn another_deployments_resource_is_held_with_its_region() {
    let mut world = World::new();
    let house = world.house(ONE, "us-west-2", &[true], Script::Works);
    world.list_as(&house, CONTROL, REGION, "the museum");
    let engine = world.engine().in_regions(Regions::only(REGION));
    let report = engine.run(world.batch(), Mode::Apply, Deadline::never()).await.report;
    assert_eq!((outcomes(&report), world.count(Write)), (vec![Outcome::Held; 2], 0));
    assert!((0..2).all(|place| detail(&report, place).contains("it is in us-west-2")), "{report:?}");
    assert_eq!(world.calls(&house), [Look], "only where the finding says nothing of the other region");
    let engine = world.engine().in_regions(Regions::new("us-west-2", REGION).unwrap());
    let report = engine.run(world.batch(), Mode::Apply, Deadline::never()).await.report;
    assert_eq!(outcomes(&report), [Outcome::Fixed, Outcome::Held], "{report:?}");
}

#[tokio::test]
async fn a_run_without_a_deadline_renews_its_claims_while_it_writes() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Works);
    world.slow(ONE, Write, Wait::Time(Duration::from_millis(6000)));
    let bounds = Bounds { claim: Duration::from_millis(3000), ..IMPATIENT };
    let engine = world.engine_with(bounds, world.records());
    let rival = async {
        world.until(Write, 1).await;
        tokio::time::sleep(Duration::from_millis(4000)).await;
        run(&world, Mode::Apply).await
    };
    let (done, rival) = tokio::join!(engine.run(world.batch(), Mode::Apply, Deadline::never()), rival);
    assert_eq!((outcomes(&done.report), outcomes(&rival)), (vec![Outcome::Fixed], vec![Outcome::Deferred]));
    assert!(world.card(&house).unwrap().claim.is_none());
}

#[tokio::test]
async fn a_claim_that_cannot_be_renewed_ends_the_write() {
    let mut world = World::new();
    world.house(ONE, REGION, &[true], Script::Works);
    world.slow(ONE, Write, Wait::Time(Duration::from_secs(60)));
    let bounds = Bounds { claim: Duration::from_millis(300), ..IMPATIENT };
    let engine = world.engine_with(bounds, world.records());
    let somebody_else = async {
        world.until(Write, 1).await;
        let card = &files(&world.folder.path().join("resources"))[0];
        std::fs::write(card, std::fs::read_to_string(card).unwrap() + " ").unwrap();
    };
    let (done, ()) = tokio::join!(engine.run(world.batch(), Mode::Apply, Deadline::never()), somebody_else);
    assert_eq!(outcomes(&done.report), [Outcome::Unverified], "{done:?}");
    assert!(detail(&done.report, 0).contains("the claim on the resource was lost"), "{done:?}");
}

/// A write that goes on after the run that began it has ended: a runbook outlives a Lambda.
#[tokio::test]
async fn a_claim_holds_until_what_was_set_going_under_it_has_ended() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true, true], Script::Works);
    world.only_front(0);
    let first = fixed(&mut world).await;
    world.list_as(&house, CONTROL, REGION, "h0");
    world.slow(ONE, Write, Wait::Time(Duration::from_secs(60)));
    let bounds = Bounds { reserve: Duration::ZERO, conclude: Duration::from_secs(2), ..IMPATIENT };
    let engine = world.engine_with(bounds, world.records());
    world.run = remediation::RunId::start();
    let cut = engine.run(world.batch(), Mode::Apply, Deadline::after(Duration::from_secs(3))).await.report;
    assert_eq!(cut.findings[1].outcome, Outcome::Unverified, "{cut:?}");
    assert!(world.card(&house).unwrap().claim.is_some(), "it may be written still");

    world.slow(ONE, Write, Wait::Turns(1));
    world.begin(&house, "the execution e-1 is InProgress");
    for seconds in [0, 600] {
        world.pass(seconds);
        world.run = remediation::RunId::start();
        let busy = run(&world, Mode::Apply).await;
        let says = if seconds == 0 { "until" } else { "the execution e-1 is InProgress" };
        assert_eq!(busy.findings[1].outcome, Outcome::Deferred, "{busy:?}");
        assert!(detail(&busy, 1).contains(says) && detail(&busy, 1).contains(&cut.id.run.to_string()), "{busy:?}");
        let undone = undo(&world, &first).await;
        assert_eq!(outcomes(&undone), [Outcome::Deferred], "{undone:?}");
    }
    world.end(&house);
    let later = undo(&world, &first).await;
    assert_eq!(outcomes(&later), [Outcome::Held], "{later:?}");
    assert!(
        detail(&later, 0)
            .contains(&format!("a later run has changed it, and has to be taken back first: {}", cut.id.run))
    );
    let ended = run(&world, Mode::Apply).await;
    assert_eq!(ended.findings[1].outcome, Outcome::Fixed, "{ended:?}");
    assert!(world.card(&house).unwrap().claim.is_none());
}

#[tokio::test]
async fn a_complying_resource_has_no_card() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[false], Script::Works);
    assert_eq!(outcomes(&run(&world, Mode::Apply).await), [Outcome::AlreadyCompliant]);
    assert!(world.card(&house).is_none() && files(world.folder.path()).is_empty());
}

#[tokio::test]
async fn a_name_that_leads_to_another_resource_by_now_was_not_shown() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Works);
    let other = world.house(ONE, REGION, &[true], Script::Works);
    world.list(Vec::new());
    world.list_as(&house, CONTROL, REGION, "the museum");
    world.policy = approving();
    let waits = run(&world, Mode::Apply).await;
    world.list_as(&other, CONTROL, REGION, "the museum");
    let (held, _) = approve(&world, &waits, &world.engine()).await;
    assert_eq!((outcomes(&held), world.count(Write)), (vec![Outcome::Held], 0));
    assert!(detail(&held, 0).contains("drifted: what the finding leads to by now was not shown"), "{held:?}");
}

/// A call to which nobody answered may take yet: who writes meanwhile is a second writer.
#[tokio::test]
async fn a_write_to_which_nobody_answered_keeps_its_claim() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::WriteFails(Transient));
    assert_eq!(outcomes(&run_with(&world, IMPATIENT, Deadline::never()).await), [Outcome::Deferred]);
    let card = world.card(&house).unwrap();
    assert!(card.claim.is_some() && card.writes[0].ended == Ended::Unproved, "{card:?}");
    world.script(&house, Script::Works);
    let busy = run(&world, Mode::Apply).await;
    assert!(outcomes(&busy) == [Outcome::Deferred] && detail(&busy, 0).contains("is at work on it"), "{busy:?}");
    world.pass(301);
    let first = fixed(&mut world).await;
    assert!(world.all_closed());

    world.script(&house, Script::WriteFails(Transient));
    assert_eq!(outcomes(&undo(&world, &first).await), [Outcome::Deferred]);
    assert!(world.card(&house).unwrap().claim.is_some(), "of an undo, too");
    world.script(&house, Script::Works);
    assert_eq!(outcomes(&undo(&world, &first).await), [Outcome::Deferred]);
    world.pass(301);
    assert_eq!(outcomes(&undo(&world, &first).await), [Outcome::Undone]);

    let answered = world.house(TWO, REGION, &[true], Script::WriteFails(Throttled));
    run_with(&world, IMPATIENT, Deadline::never()).await;
    assert!(world.card(&answered).unwrap().claim.is_none(), "it is over");
}

#[tokio::test]
async fn what_somebody_else_has_made_right_before_the_write_is_none_of_ours() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true, true], Script::Forestalled);
    let report = run(&world, Mode::Apply).await;
    assert_eq!(outcomes(&report), [Outcome::Fixed], "a fresh look says so");
    assert_eq!((report.findings[0].written, report.findings[0].took.len()), (0, 0));
    world.script(&house, Script::Works);
    let back = undo(&world, &taken(&world, &report).await).await;
    assert_eq!(outcomes(&back), [Outcome::Held], "{back:?}");
    assert!(detail(&back, 0).contains("wrote nothing") && world.all_closed(), "{back:?}");
}

/// That its execution could not be looked at does not end a runbook.
#[tokio::test]
async fn a_runbook_that_goes_on_although_the_write_failed_keeps_the_claim() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::WriteFails(AccessDenied));
    world.begin(&house, "the execution e-1 is InProgress");
    assert_eq!(outcomes(&run(&world, Mode::Apply).await), [Outcome::Failed]);
    assert!(world.card(&house).unwrap().claim.is_some());
    world.script(&house, Script::Works);
    world.pass(301);
    let busy = run(&world, Mode::Apply).await;
    assert!(detail(&busy, 0).contains("the execution e-1 is InProgress"), "{busy:?}");
    world.end(&house);
    assert_eq!(outcomes(&run(&world, Mode::Apply).await), [Outcome::Fixed]);
}

/// What a dead run had begun may end between the look of who takes over and its question whether it has.
#[tokio::test]
async fn who_takes_a_claim_over_looks_again() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true, true], Script::WriteFails(Transient));
    run_with(&world, IMPATIENT, Deadline::never()).await;
    world.script(&house, Script::Works);
    world.pass(301);
    world.slow(ONE, Look, Wait::Time(Duration::from_millis(500)));
    let (looks, writes) = (world.count(Look), world.count(Write));
    let what_was_begun_ends = async {
        world.until(Look, looks + 2).await;
        world.set_door(&house, 0, false);
    };
    let (report, ()) = tokio::join!(run(&world, Mode::Apply), what_was_begun_ends);
    assert_eq!((outcomes(&report), world.count(Write) - writes), (vec![Outcome::Deferred], 0), "{report:?}");
    assert!(detail(&report, 0).contains("it has changed since it was looked at"), "{report:?}");
    assert_eq!(outcomes(&run(&world, Mode::Apply).await), [Outcome::Fixed]);
}

#[tokio::test]
async fn nothing_is_begun_that_there_is_no_time_to_wait_for() {
    let mut world = World::new();
    world.house(ONE, REGION, &[true], Script::Works);
    let bounds = Bounds { reserve: Duration::ZERO, conclude: Duration::from_secs(45), ..IMPATIENT };
    let engine = world.engine_with(bounds, world.records());
    let report = engine.run(world.batch(), Mode::Apply, Deadline::after(Duration::from_secs(10))).await.report;
    assert_eq!((outcomes(&report), world.count(Write)), (vec![Outcome::Deferred], 0), "{report:?}");
}
