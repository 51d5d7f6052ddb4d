//! What may be written, but not yet: a grace, and change windows.

use jiff::SignedDuration;
use serde_json::json;

use super::undo::{fixed, undo};
use super::*;
use crate::fake::Call::Tags;
use remediation::{Approval, POLICY_KEY};

const A_DAY: i64 = 24 * 3_600;

fn policy(keys: serde_json::Value) -> Policy {
    let mut policy = json!({"schema": 1, "mode": "apply"});
    policy.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    Policy::from_json(policy.to_string().as_bytes()).unwrap()
}

/// A house with an open door, and a week until that is closed.
fn graced() -> (World, House) {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Works);
    world.tag(&house, "owner", "web team");
    let keys = json!({"rules": {"open-door": {"grace_days": 7}}, "owner_tags": ["team", "owner"]});
    world.policy = policy(keys);
    (world, house)
}

/// Nothing is changed before the day after tomorrow.
fn frozen() -> serde_json::Value {
    let tomorrow = Timestamp::now() + SignedDuration::from_hours(24);
    let tomorrow = tomorrow.to_string();
    json!([{"from": "2020-01-01", "to": tomorrow.split('T').next().unwrap(), "reason": "holidays"}])
}

async fn poll(world: &mut World) -> Done<Change> {
    world.run = remediation::RunId::start();
    world.engine().run(world.batch(), Mode::Apply, Deadline::never()).await
}

fn only(done: Done<Change>) -> (Outcome, String, Option<(bool, Option<String>)>) {
    let [row] = &done.report.findings[..] else { panic!("{:?}", done.report) };
    let grace = row.grace.as_ref().map(|grace| (grace.begins, grace.owner.clone()));
    (row.outcome, row.detail.clone().unwrap_or_default(), grace)
}

fn card_file(world: &World) -> Vec<u8> {
    std::fs::read(&files(&world.folder.path().join("resources"))[0]).unwrap()
}

#[tokio::test]
async fn a_violation_is_told_once_and_fixed_when_its_grace_is_over() {
    let (mut world, house) = graced();
    let owner = Some("web team".to_owned());
    let (outcome, detail, grace) = only(poll(&mut world).await);
    assert_eq!((outcome, grace), (Outcome::Deferred, Some((true, owner.clone()))), "{detail}");
    let says = ["grace until ", "(first seen ", "0 days ago, owner web team)"];
    assert!(says.iter().all(|part| detail.contains(part)), "{detail}");
    assert_eq!(plans(world.folder.path())[0].resources[0].changes.len(), 1, "it is in the plan");
    let card = card_file(&world);
    let (outcome, _, grace) = only(poll(&mut world).await);
    assert_eq!((outcome, grace), (Outcome::Deferred, Some((false, owner.clone()))));
    assert_eq!(card_file(&world), card, "not every poll writes the card");
    world.pass(7 * A_DAY - 60);
    let (outcome, detail, _) = only(poll(&mut world).await);
    assert!(outcome == Outcome::Deferred && detail.contains(", 6 days ago"), "{detail}");
    assert!(
        world.card(&house).unwrap().violation.unwrap().last_seen > Timestamp::now() + SignedDuration::from_hours(100)
    );
    assert_eq!((world.count(Write), world.count(Tags)), (0, 1));
    world.pass(120);
    let done = poll(&mut world).await;
    assert_eq!(done.report.findings[0].grace.as_ref().unwrap().owner, owner);
    assert_eq!((only(done).0, world.card(&house).unwrap().violation), (Outcome::Fixed, None));
    world.open_door(&house, 0);
    let (outcome, _, grace) = only(poll(&mut world).await);
    assert_eq!((outcome, grace.unwrap().0), (Outcome::Deferred, true), "a later violation has its grace anew");
}

#[tokio::test]
async fn what_complied_meanwhile_or_was_not_seen_for_a_month_has_its_grace_anew() {
    let (mut world, house) = graced();
    poll(&mut world).await;
    world.pass(8 * A_DAY);
    world.close_doors(&house);
    assert_eq!(
        (only(poll(&mut world).await).0, world.card(&house).unwrap().violation),
        (Outcome::AlreadyCompliant, None)
    );
    world.open_door(&house, 0);
    assert!(only(poll(&mut world).await).2.unwrap().0);
    world.pass(31 * A_DAY);
    let (outcome, _, grace) = only(poll(&mut world).await);
    assert_eq!((outcome, grace.unwrap().0), (Outcome::Deferred, true));
    assert_eq!(world.count(Write), 0);
}

#[tokio::test]
async fn when_netskope_saw_it_first_shortens_no_grace() {
    let (mut world, _) = graced();
    let mut batch = world.batch();
    batch.findings[0].first_seen = Some("2020-01-01T00:00:00Z".parse().unwrap());
    world.list(batch.findings);
    assert_eq!(only(poll(&mut world).await).0, Outcome::Deferred);
}

#[tokio::test]
async fn without_tags_that_name_an_owner_none_are_asked_for() {
    let (mut world, _) = graced();
    world.policy = policy(json!({"rules": {"open-door": {"grace_days": 7}}}));
    assert_eq!((only(poll(&mut world).await).2, world.count(Tags)), (Some((true, None)), 0));
}

#[tokio::test]
async fn what_is_in_its_grace_uses_up_no_limit() {
    let (mut world, _) = graced();
    world.open_houses(TWO, REGION, 1);
    world.policy =
        policy(json!({"overrides": [{"accounts": [ONE], "grace_days": 7}], "limits": {"changes_per_run": 1}}));
    assert_eq!(outcomes(&poll(&mut world).await.report), [Outcome::Deferred, Outcome::Fixed]);
}

#[tokio::test]
async fn what_a_person_answers_keeps_to_the_grace_and_what_a_person_approves_does_not() {
    let (mut world, house) = graced();
    let shown = world.engine().run(world.batch(), Mode::Plan, Deadline::never()).await.plan.unwrap();
    assert_eq!(world.card(&house), None, "a plan tells nobody");
    let id = BatchId { run: remediation::RunId::start(), ..world.batch().id };
    let done = world.engine().run_shown(id, shown, Deadline::never()).await;
    assert_eq!((only(done).0, world.count(Write)), (Outcome::Deferred, 0));
    world.policy = policy(json!({"mode": "approve", "rules": {"open-door": {"grace_days": 7}}}));
    let report = poll(&mut world).await.report;
    assert_eq!(outcomes(&report), [Outcome::Held]);
    assert_eq!(outcomes(&approve(&world, &report).await), [Outcome::Fixed]);
}

/// Lets a person approve what a report says waits.
async fn approve(world: &World, report: &Report) -> Report {
    let key = report.plan.as_ref().unwrap().key.clone();
    let plan: Plan<Change> = world.records().get_as(&key).await.unwrap();
    let approval = Approval::new(&plan.id, &key, &plan.digest().unwrap(), "who".into(), "why".into());
    carry_out(world, &Approved { approval, stored_by: Some("AWS:AROAX:who".into()) }).await
}

async fn carry_out(world: &World, approved: &Approved) -> Report {
    let plan: Plan<Change> = world.records().get_as(&approved.approval.plan).await.unwrap();
    world.engine().run_approved(approved.clone(), plan, Deadline::never()).await.report
}

#[tokio::test]
async fn in_a_freeze_changes_are_planned_and_wait() {
    let mut world = World::new();
    world.open_houses(ONE, REGION, 1);
    world.policy = policy(json!({"freezes": frozen()}));
    let (outcome, detail, _) = only(poll(&mut world).await);
    assert_eq!(outcome, Outcome::Deferred);
    assert!(detail.starts_with("next window 2") && detail.ends_with("[UTC] (a freeze: holidays)"), "{detail}");
    assert_eq!(plans(world.folder.path())[0].resources[0].changes.len(), 1);
    assert!(files(&world.folder.path().join("resources")).is_empty(), "the card has nothing to say of it");
    world.pass(3 * A_DAY);
    assert_eq!(only(poll(&mut world).await).0, Outcome::Fixed);
}

#[tokio::test]
async fn a_freeze_that_begins_stops_a_run_between_two_changes() {
    let mut world = World::new();
    world.house(ONE, REGION, &[true, true], Script::Works);
    // For longer than what was read of the policy serves.
    world.slow(ONE, Write, Wait::Time(Duration::from_millis(1_100)));
    let path = world.folder.path().join(POLICY_KEY);
    std::fs::write(&path, r#"{"schema": 1, "mode": "apply"}"#).unwrap();
    world.policy_record = Some(PolicyRecord::new(world.records(), POLICY_KEY));
    let change = async {
        world.until(Write, 1).await;
        std::fs::write(&path, json!({"mode": "apply", "freezes": frozen()}).to_string()).unwrap();
    };
    let (report, ()) = tokio::join!(run(&world, Mode::Apply), change);
    let row = &report.findings[0];
    assert_eq!((row.outcome, row.written, world.count(Write)), (Outcome::Deferred, 1, 1), "{report:?}");
    assert!(row.detail.as_deref().unwrap().starts_with("policy: next window "), "{report:?}");
}

#[tokio::test]
async fn a_way_back_is_open_in_a_freeze() {
    let mut world = World::new();
    world.open_houses(ONE, REGION, 1);
    let fixed = fixed(&mut world).await;
    world.policy = policy(json!({"freezes": frozen(), "rules": {"open-door": {"grace_days": 7}}}));
    assert_eq!(outcomes(&undo(&world, &fixed).await), [Outcome::Undone]);
}

#[tokio::test]
async fn an_approval_waits_for_the_window_and_the_first_poll_in_it_takes_it_up() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Works);
    world.policy = policy(json!({"mode": "approve", "freezes": frozen()}));
    let waits = poll(&mut world).await.report;
    assert_eq!(outcomes(&waits), [Outcome::Held]);
    let deferred = approve(&world, &waits).await;
    assert_eq!((outcomes(&deferred), world.count(Write)), (vec![Outcome::Deferred], 0));
    let approved = deferred.approval.unwrap();
    // A poll while it is closed, and another one, change nothing of that.
    assert!(poll(&mut world).await.approvals.is_empty());
    let waits = world.card(&house).unwrap().approved.unwrap();
    assert_eq!((&waits.plan, &waits.stored_by), (&approved.approval.plan, &approved.stored_by));
    world.pass(2 * A_DAY);
    let opened = poll(&mut world).await;
    let expected =
        WaitsNoMore { approval: Approval::key(&approved.approval.plan), stored_by: approved.stored_by.clone() };
    assert_eq!(opened.approvals, BTreeSet::from([expected]));
    assert_eq!(outcomes(&carry_out(&world, &approved).await), [Outcome::Fixed]);
    assert_eq!((world.card(&house).unwrap().approved, world.all_closed()), (None, true));
}

#[tokio::test]
async fn an_approval_of_some_resources_that_waits_for_the_window_is_taken_up_itself() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Works);
    world.house(ONE, REGION, &[true], Script::Works);
    world.policy = policy(json!({"mode": "approve", "freezes": frozen()}));
    let waits = poll(&mut world).await.report;
    let plan = waits.plan.clone().unwrap();
    let mut some = Approval::new(&waits.id, &plan.key, &plan.digest, "arn:who".into(), "why".into());
    let resources = waits.findings.iter().filter_map(|row| row.resource.as_ref());
    let own = resources.filter(|resource| House::from(*resource) == house).map(|resource| resource.arn.clone());
    some.only = own.collect();
    let approved = Approved { approval: some, stored_by: None };
    assert_eq!(outcomes(&carry_out(&world, &approved).await), [Outcome::Deferred]);
    world.pass(2 * A_DAY);
    let opened = poll(&mut world).await;
    let own = WaitsNoMore { approval: approved.approval.own_key(), stored_by: None };
    assert_eq!(opened.approvals, BTreeSet::from([own]));
    assert_eq!(outcomes(&carry_out(&world, &approved).await), [Outcome::Fixed]);
    assert!(!world.doors()[&house][0] && !world.all_closed());
}

#[tokio::test]
async fn an_approval_that_expires_before_the_window_is_not_taken_up_and_one_more_violation_does_not_end_it() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true, false], Script::Works);
    world.policy = policy(json!({"mode": "approve", "freezes": frozen()}));
    let waits = poll(&mut world).await.report;
    let approved = approve(&world, &waits).await.approval.unwrap();
    world.pass(4 * A_DAY);
    assert!(poll(&mut world).await.approvals.is_empty(), "it holds for 72 hours");
    world.pass(-2 * A_DAY);
    world.open_door(&house, 1);
    assert_eq!(poll(&mut world).await.approvals.len(), 1);
    carry_out(&world, &approved).await;
    assert_eq!(world.doors()[&house], [false, true], "what was shown, and no more");
}

/// Who has claimed the resource stores its card on condition that it is as it was.
#[tokio::test]
async fn the_card_of_what_another_run_is_at_work_on_is_left_as_it_is() {
    let (mut world, house) = graced();
    poll(&mut world).await;
    let path = files(&world.folder.path().join("resources")).remove(0);
    let mut card = world.card(&house).unwrap();
    let now = Timestamp::now() + SignedDuration::from_hours(48);
    let (run, holder, part) = (remediation::RunId::start(), "another".to_owned(), "part".to_owned());
    let (batch, changes, undoes) = (1, Vec::new(), None);
    let claim = remediation::records::Claim { run, batch, since: now, until: now, holder, part, changes, undoes };
    card.claim = Some(claim);
    std::fs::write(&path, card.to_json().unwrap()).unwrap();
    let claimed = card_file(&world);
    world.pass(A_DAY + 60);
    assert_eq!((only(poll(&mut world).await).0, card_file(&world)), (Outcome::Deferred, claimed));
    world.pass(A_DAY);
    poll(&mut world).await;
    let violation = world.card(&house).unwrap().violation.unwrap();
    assert!(violation.last_seen > violation.first_seen, "whose time is up writes nothing more");
}
