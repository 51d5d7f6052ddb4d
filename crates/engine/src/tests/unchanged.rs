//! What a poll finds as an earlier report says it.

use std::path::PathBuf;

use jiff::SignedDuration;
use remediation::records::{Rejected, Unchanged, Waiting, WaitsFor, card_key};
use remediation::{Approval, Card, Guard, Resource};
use serde_json::json;

use super::*;

const A_DAY: i64 = 24 * 3_600;
/// The most bytes that a day of 48 polls adds in plans, reports and cards.
const MOST_A_DAY: usize = 1024 * 1024;
/// How many findings a batch of the poller has.
const BATCH: usize = 200;

fn policy(keys: serde_json::Value) -> Policy {
    let mut policy = json!({"schema": 1, "mode": "apply"});
    policy.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    Policy::from_json(policy.to_string().as_bytes()).unwrap()
}

fn in_mode(mode: &str) -> Policy {
    policy(json!({"mode": mode}))
}

/// A house with an open door, whose changes wait for an approval.
fn waiting() -> (World, House) {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true, false], Script::Works);
    world.policy = in_mode("approve");
    (world, house)
}

/// One poll as the rule's Lambda makes it: its report is stored, and then it is remembered.
async fn poll(world: &mut World) -> Report {
    poll_batch(world, 1, world.batch().findings).await
}

async fn poll_batch(world: &mut World, batch: u32, findings: Vec<remediation::Finding>) -> Report {
    if batch == 1 {
        world.run = remediation::RunId::start();
    }
    let id = BatchId { batch, ..world.batch().id };
    let Done { report, told, .. } = world.engine().poll(Batch::new(id, findings), Deadline::never()).await;
    told.remember(&world.records().store_report(&report).await.unwrap()).await;
    report
}

fn waits(world: &World, house: &House) -> Waiting {
    world.card(house).unwrap().waiting.unwrap()
}

fn card_path(world: &World, house: &House) -> PathBuf {
    let House { account, region, name } = house;
    let arn = format!("arn:aws:test:{region}:{account}:house/{name}");
    let resource = Resource::of_arn("test:GetDoors", arn, name.clone()).unwrap();
    world.folder.path().join(card_key("open-door", &resource))
}

fn edit(world: &World, house: &House, edit: impl FnOnce(&mut Card)) {
    let mut card = world.card(house).unwrap();
    edit(&mut card);
    std::fs::write(card_path(world, house), card.to_json().unwrap()).unwrap();
}

/// Everything that is stored.
fn stored(world: &World) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = files(world.folder.path()).into_iter();
    files.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

async fn approve(world: &World, key: &str) -> Report {
    let plan: Plan<Change> = world.records().get_as(key).await.unwrap();
    let approval = Approval::new(&plan.id, key, &plan.digest().unwrap(), "who".into(), "why".into());
    let approved = Approved { approval, stored_by: Some("AWS:AROAX:who".into()) };
    world.engine().run_approved(approved, plan, Deadline::never()).await.report
}

fn detail(report: &Report) -> &str {
    report.findings[0].detail.as_deref().unwrap_or_default()
}

#[tokio::test]
async fn what_a_report_says_is_only_counted_and_that_report_is_named() {
    let frozen = json!([{"from": "2020-01-01", "to": "2100-01-01", "reason": "holidays"}]);
    let cases = [
        ("mode plan", in_mode("plan"), Script::Works, Outcome::Planned),
        ("mode approve", in_mode("approve"), Script::Works, Outcome::Held),
        ("guard", in_mode("apply"), Script::Works, Outcome::Held),
        ("settings", in_mode("apply"), Script::HoldsLast, Outcome::Held),
        ("grace", policy(json!({"rules": {"open-door": {"grace_days": 7}}})), Script::Works, Outcome::Deferred),
        ("window", policy(json!({"freezes": frozen})), Script::Works, Outcome::Deferred),
        (
            "tag",
            policy(json!({"exemptions": [{"tags": {"keep": "yes"}, "reason": "r", "owner": "o"}]})),
            Script::Works,
            Outcome::Exempt,
        ),
    ];
    for (what, policy, script, outcome) in cases {
        let mut world = World::new();
        let house = world.house(ONE, REGION, &[true], script);
        world.policy = policy;
        world.tag(&house, "keep", "yes");
        if what == "guard" {
            world.enter(&house, "anna");
        }
        let first = poll(&mut world).await;
        assert_eq!((outcomes(&first), &first.unchanged[..]), (vec![outcome], &[][..]), "{what}: {first:?}");
        let before = stored(&world);
        for _ in 0..3 {
            let next = poll(&mut world).await;
            let unchanged = [Unchanged { report: first.id.report_key(), outcome, findings: 1, first_seen: None }];
            assert_eq!((outcomes(&next), &next.unchanged[..]), (vec![], &unchanged[..]), "{what}: {next:?}");
            assert_eq!((next.counts, next.plan), (BTreeMap::from([(outcome, 1)]), None), "{what}");
        }
        let mut after = stored(&world);
        after.retain(|path, _| before.contains_key(path));
        assert_eq!(after, before, "{what}: no card is written again");
        assert_eq!(stored(&world).len(), before.len() + 3, "{what}: a report each, and no plan");
    }
}

#[tokio::test]
async fn the_card_says_why_a_plan_waits_and_until_when() {
    let a_week = policy(json!({"rules": {"open-door": {"grace_days": 7}}}));
    let frozen = policy(json!({"freezes": [{"from": "2020-01-01", "to": "2100-01-01", "reason": "holidays"}]}));
    for (policy, is_in, why, has_end) in [
        (in_mode("approve"), false, vec![WaitsFor::Mode], false),
        (in_mode("apply"), true, vec![WaitsFor::Guard], false),
        (in_mode("approve"), true, vec![WaitsFor::Mode, WaitsFor::Guard], false),
        (a_week, false, vec![WaitsFor::Grace], true),
        (frozen, false, vec![WaitsFor::Window], false),
    ] {
        let mut world = World::new();
        let house = world.house(ONE, REGION, &[true], Script::Works);
        if is_in {
            world.enter(&house, "anna");
        }
        world.policy = policy;
        let report = poll(&mut world).await;
        let waiting = waits(&world, &house);
        assert_eq!(waiting.why, BTreeSet::from_iter(why));
        assert_eq!(waiting.until, report.findings[0].grace.as_ref().map(|grace| grace.until));
        assert_eq!(waiting.until.is_some(), has_end);
        let plan: Plan<Change> = world.records().get_as(&waiting.plan).await.unwrap();
        assert_eq!(waiting.digest, plan.resources[0].digest().unwrap());
        assert_eq!(waiting.changes, Some(plan.resources[0].digest_of_changes().unwrap()));
        assert_eq!(waiting.report, Some(report.id.report_key()));
    }
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Works);
    world.policy = in_mode("plan");
    poll(&mut world).await;
    assert_eq!(world.card(&house).unwrap().waiting, None, "nobody can approve it");
}

#[tokio::test]
async fn other_changes_replace_those_that_wait_and_say_so_and_the_rest_is_not_planned_again() {
    let (mut world, house) = waiting();
    let other = world.house(ONE, REGION, &[true], Script::Works);
    let first = poll(&mut world).await;
    let (waited, others) = (waits(&world, &house), waits(&world, &other));
    world.pass(3_600);
    world.open_door(&house, 1);
    let next = poll(&mut world).await;
    assert_eq!((outcomes(&next), next.count(Outcome::Held)), (vec![Outcome::Held], 2));
    let says = format!("this plan replaces {}, which waited since {}", waited.plan, waited.since);
    assert!(next.findings[0].notes.iter().any(|note| note.starts_with(&says)), "{next:?}");
    let plan: Plan<Change> = world.records().get_as(&next.plan.as_ref().unwrap().key).await.unwrap();
    assert_eq!(plan.resources.len(), 1, "the other one waits already");
    let waiting = waits(&world, &house);
    assert!(waiting.since > waited.since && waiting.plan == next.plan.unwrap().key);
    assert_eq!(waits(&world, &other), others);
    // Whoever approves the older plan gets what it shows, and no more.
    let report = approve(&world, &first.plan.unwrap().key).await;
    assert_eq!(world.doors()[&house], [false, true], "{report:?}");
}

#[tokio::test]
async fn changes_that_are_shown_otherwise_keep_their_age() {
    let (mut world, house) = waiting();
    poll(&mut world).await;
    let waited = waits(&world, &house);
    world.pass(3_600);
    world.enter(&house, "anna");
    let next = poll(&mut world).await;
    assert!(next.findings[0].notes.iter().any(|note| note.contains("are the same")), "{next:?}");
    let waiting = waits(&world, &house);
    assert_eq!((waiting.since, waiting.why.len()), (waited.since, 2));
    assert_ne!((waiting.plan, waiting.digest), (waited.plan, waited.digest));
}

#[tokio::test]
async fn within_a_week_everything_is_said_in_full_again_and_keeps_its_age() {
    let (mut world, house) = waiting();
    let first = poll(&mut world).await;
    let waited = waits(&world, &house);
    let mut in_full = Vec::new();
    for day in 1..=8 {
        world.pass(A_DAY);
        let report = poll(&mut world).await;
        assert_eq!(report.count(Outcome::Held), 1);
        if !report.findings.is_empty() {
            assert!(!report.findings[0].notes.iter().any(|note| note.contains("replaces")), "{report:?}");
            in_full.push((day, report));
        }
    }
    let (day, report) = in_full.first().unwrap();
    assert!(*day <= 7 && in_full.len() <= 2, "{in_full:?}");
    assert!(report.plan.is_some() && report.plan != first.plan);
    let waiting = waits(&world, &house);
    assert_eq!((waiting.since, waiting.digest), (waited.since, waited.digest));
    assert_eq!(Some(&waiting.plan), in_full.last().unwrap().1.plan.as_ref().map(|plan| &plan.key));
}

#[tokio::test]
async fn a_report_that_was_not_stored_is_not_named() {
    let (mut world, house) = waiting();
    let done = world.engine().poll(world.batch(), Deadline::never()).await;
    assert_eq!(outcomes(&done.report), [Outcome::Held]);
    drop(done.told);
    assert_eq!(world.card(&house), None);
    let next = poll(&mut world).await;
    assert_eq!(outcomes(&next), [Outcome::Held], "it is said in full");
    assert_eq!(poll(&mut world).await.unchanged[0].report, next.id.report_key());
}

#[tokio::test]
async fn what_is_no_report_of_the_rule_is_not_named() {
    for report in ["reports/another-rule/2026-01-01/x-1.json".to_owned(), "r".repeat(2_000), String::new()] {
        let (mut world, house) = waiting();
        poll(&mut world).await;
        edit(&world, &house, |card| {
            card.reported.as_mut().unwrap().report.clone_from(&report);
        });
        assert_eq!(outcomes(&poll(&mut world).await), [Outcome::Held], "{report}");
    }
}

#[tokio::test]
async fn a_command_says_in_full_what_waits_and_stores_no_other_age() {
    let (mut world, house) = waiting();
    poll(&mut world).await;
    let card = world.card(&house).unwrap();
    for mode in [Mode::Plan, Mode::Apply] {
        world.run = remediation::RunId::start();
        let report = run(&world, mode).await;
        assert_eq!((report.findings.len(), report.unchanged.len()), (1, 0), "{mode}");
        assert_eq!(world.card(&house).unwrap(), card, "{mode}");
    }
}

#[tokio::test]
async fn what_complies_waits_no_more_and_a_later_violation_is_said_in_full() {
    let (mut world, house) = waiting();
    poll(&mut world).await;
    world.close_doors(&house);
    assert_eq!(outcomes(&poll(&mut world).await), [Outcome::AlreadyCompliant]);
    let card = world.card(&house).unwrap();
    assert_eq!((card.waiting, card.reported), (None, None));
    world.open_door(&house, 0);
    assert_eq!(outcomes(&poll(&mut world).await), [Outcome::Held]);
}

#[tokio::test]
async fn what_was_written_in_between_is_said_in_full() {
    let (mut world, house) = waiting();
    let first = poll(&mut world).await;
    assert_eq!(outcomes(&approve(&world, &first.plan.unwrap().key).await), [Outcome::Fixed]);
    world.open_door(&house, 0);
    assert_eq!(outcomes(&poll(&mut world).await), [Outcome::Held]);
}

#[tokio::test]
async fn a_pause_ends_no_wait() {
    let (mut world, house) = waiting();
    poll(&mut world).await;
    let waited = waits(&world, &house);
    world.policy = policy(json!({"mode": "approve", "paused": true}));
    assert_eq!(outcomes(&poll(&mut world).await), [Outcome::Held]);
    world.policy = in_mode("approve");
    poll(&mut world).await;
    assert_eq!(waits(&world, &house).since, waited.since);
}

#[tokio::test]
async fn the_card_of_what_somebody_else_has_claimed_is_left_alone() {
    let (mut world, house) = waiting();
    poll(&mut world).await;
    let until = Timestamp::now() + SignedDuration::from_hours(1);
    let (run, holder, part) = (remediation::RunId::start(), "another".to_owned(), "part".to_owned());
    let claim = remediation::records::Claim {
        run,
        batch: 1,
        since: Timestamp::now(),
        until,
        holder,
        part,
        changes: Vec::new(),
        undoes: None,
    };
    edit(&world, &house, |card| card.claim = Some(claim));
    let card = world.card(&house);
    world.open_door(&house, 1);
    assert_eq!((outcomes(&poll(&mut world).await), world.card(&house)), (vec![Outcome::Held], card));
}

fn reject(world: &World, house: &House, until: Timestamp) {
    edit(world, house, |card| {
        let digest = card.waiting.as_ref().unwrap().changes.clone().unwrap();
        let (reason, by, since) = ("it is a museum".to_owned(), "anna".to_owned(), Timestamp::now());
        card.rejected = Some(Rejected { digest, reason, by, since, until });
    });
}

#[tokio::test]
async fn what_a_person_has_rejected_is_held_until_it_differs_or_the_rejection_ends() {
    let until = Timestamp::now() + SignedDuration::from_hours(48);
    for ends in [false, true] {
        let (mut world, house) = waiting();
        let first = poll(&mut world).await;
        reject(&world, &house, until);
        let held = poll(&mut world).await;
        assert_eq!((outcomes(&held), held.plan.is_none()), (vec![Outcome::Held], true));
        let says = format!("rejected by anna: it is a museum (until {until}");
        assert!(detail(&held).starts_with(&says), "{held:?}");
        assert_eq!(world.card(&house).unwrap().waiting, None);
        assert_eq!(poll(&mut world).await.unchanged[0].report, held.id.report_key());
        // Neither another mode nor an approval of it writes what was rejected.
        world.policy = in_mode("apply");
        assert_eq!(poll(&mut world).await.count(Outcome::Held), 1);
        world.policy = in_mode("approve");
        let approved = approve(&world, &first.plan.as_ref().unwrap().key).await;
        assert!(detail(&approved).starts_with(&says), "{approved:?}");
        assert_eq!(world.count(Write), 0);
        if ends {
            world.pass(3 * A_DAY);
        } else {
            world.open_door(&house, 1);
            let approved = approve(&world, &first.plan.as_ref().unwrap().key).await;
            assert!(detail(&approved).starts_with(&says) && world.count(Write) == 0, "{approved:?}");
        }
        let proposed = poll(&mut world).await;
        assert!(detail(&proposed).starts_with("needs an approval") && proposed.plan.is_some(), "{proposed:?}");
        let card = world.card(&house).unwrap();
        assert!(card.rejected.is_none() && card.waiting.is_some(), "{card:?}");
    }
}

#[tokio::test]
async fn a_rejection_of_what_waits_no_more_leaves_the_card() {
    let (mut world, house) = waiting();
    poll(&mut world).await;
    reject(&world, &house, Timestamp::now() - SignedDuration::from_hours(1));
    assert_eq!(outcomes(&poll(&mut world).await), [Outcome::Held]);
    assert_eq!(world.card(&house).unwrap().rejected, None);
    assert!(poll(&mut world).await.findings.is_empty());
}

/// So many bytes were put since the last time: new plans and reports, and cards that are not as they were.
fn put_since(world: &World, seen: &mut BTreeMap<PathBuf, Vec<u8>>) -> usize {
    let now = stored(world);
    let put = now.iter().filter(|(path, bytes)| seen.get(*path) != Some(*bytes)).map(|(_, bytes)| bytes.len()).sum();
    *seen = now;
    put
}

/// A week of daily polls of 1,000 findings, after which reports of several days are named, and then a day of 48 polls.
async fn a_day_of_polls(policy: Policy, guard: Guard, outcome: Outcome) {
    let mut world = World::new();
    (world.policy, world.guard) = (policy, guard);
    for number in 0..1_000 {
        let house = world.house([ONE, TWO, THREE][number % 3], REGION, &[true], Script::Works);
        world.enter(&house, "anna");
    }
    let mut seen = BTreeMap::new();
    let mut put = Vec::new();
    for number in 0..55 {
        let findings = world.batch().findings;
        let mut found = 0;
        for (batch, findings) in (1..).zip(findings.chunks(BATCH)) {
            found += poll_batch(&mut world, batch, findings.to_vec()).await.count(outcome);
        }
        assert_eq!(found, 1_000);
        put.push(put_since(&world, &mut seen));
        world.pass(if number < 7 { A_DAY } else { A_DAY / 48 });
    }
    let day: usize = put[7..].iter().sum();
    println!("the first poll put {} bytes, the daily ones {:?}, and the 48 polls of a day {day}", put[0], &put[1..7]);
    assert!(day < MOST_A_DAY && put[1..7].iter().all(|put| *put < MOST_A_DAY), "{day}, {put:?}");
}

#[tokio::test]
async fn a_day_of_polls_in_mode_plan_adds_less_than_a_mebibyte() {
    a_day_of_polls(in_mode("plan"), Guard::Warn, Outcome::Planned).await;
}

#[tokio::test]
async fn a_day_of_polls_that_the_guard_holds_adds_less_than_a_mebibyte() {
    a_day_of_polls(in_mode("apply"), Guard::Hold, Outcome::Held).await;
}

#[tokio::test]
async fn a_day_of_polls_that_wait_for_an_approval_adds_less_than_a_mebibyte() {
    a_day_of_polls(in_mode("approve"), Guard::Warn, Outcome::Held).await;
}
