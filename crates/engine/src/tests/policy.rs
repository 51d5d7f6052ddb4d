//! Runs under a policy: what is written, and what keeps the rest back.

use serde_json::{Value, json};

use super::*;
use crate::fake::manifest;
use remediation::{Approval, Guard, POLICY_KEY};

/// So long after it is stored, a policy holds for writes.
const WATCHED: Duration = Duration::from_millis(1_100);

/// A policy in which every rule applies, with these keys beside.
fn policy(keys: serde_json::Value) -> Policy {
    let mut policy = json!({"schema": 1, "mode": "apply"});
    policy.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    Policy::from_json(policy.to_string().as_bytes()).unwrap()
}

/// A world of `houses` houses with an open door each, under a policy.
fn world(houses: usize, keys: serde_json::Value) -> World {
    let mut world = World::new();
    world.open_houses(ONE, REGION, houses);
    world.policy = policy(keys);
    world
}

/// A later run over the same findings.
async fn poll(world: &mut World) -> Report {
    world.run = remediation::RunId::start();
    run(world, Mode::Apply).await
}

fn detail(report: &Report, place: usize) -> &str {
    report.findings[place].detail.as_deref().unwrap_or_default()
}

async fn stored_plan(world: &World, report: &Report) -> (String, Plan<Change>) {
    let key = report.plan.as_ref().unwrap().key.clone();
    (key.clone(), world.records().get_as(&key).await.unwrap())
}

async fn approval(world: &World, report: &Report) -> (Approval, Plan<Change>) {
    let (key, plan) = stored_plan(world, report).await;
    let digest = plan.digest().unwrap();
    (Approval::new(&report.id, &key, &digest, "arn:aws:sts::1:who".into(), "why".into()), plan)
}

fn approved(approval: &Approval) -> Approved {
    Approved { approval: approval.clone(), stored_by: Some("AWS:AROAX:who".into()) }
}

async fn run_approved(world: &World, approval: &Approval, plan: Plan<Change>) -> Report {
    let engine = world.engine_with(IMPATIENT, world.records());
    engine.run_approved(approved(approval), plan, Deadline::never()).await.report
}

#[tokio::test]
async fn paused_nothing_is_even_looked_at() {
    let world = world(2, json!({"paused": true}));
    let report = run(&world, Mode::Apply).await;
    assert_eq!(outcomes(&report), [Outcome::Held; 2]);
    assert_eq!((detail(&report, 0), world.count(Look)), ("everything is paused by the policy", 0));
}

#[tokio::test]
async fn a_policy_that_pauses_changes_its_mode_or_breaks_stops_a_run_between_two_changes() {
    for (later, says) in [
        (r#"{"schema": 1, "mode": "apply", "paused": true}"#, "policy: everything is paused by the policy"),
        (r#"{"schema": 1, "mode": "approve"}"#, "policy: the rule's mode has changed since the plan was made"),
        (
            r#"{"schema": 1, "mode": "apply", "pausd": true}"#,
            "policy: the policy cannot be used, so nothing is written",
        ),
    ] {
        let mut world = World::new();
        world.house(ONE, REGION, &[true, true], Script::Works);
        world.house(ONE, REGION, &[true], Script::Works);
        world.slow(ONE, Write, Wait::Time(WATCHED));
        let path = world.folder.path().join(POLICY_KEY);
        std::fs::write(&path, r#"{"schema": 1, "mode": "apply"}"#).unwrap();
        world.policy_record = Some(PolicyRecord::new(world.records(), POLICY_KEY));
        let change = async {
            world.until(Write, 1).await;
            std::fs::write(&path, later).unwrap();
        };
        let bounds = Bounds { concurrency: 1, ..IMPATIENT };
        let (report, ()) = tokio::join!(run_with(&world, bounds, Deadline::never()), change);
        assert_eq!(outcomes(&report), [Outcome::Held; 2], "{report:?}");
        assert!(detail(&report, 0).starts_with(says) && detail(&report, 1).starts_with(says), "{report:?}");
        assert_eq!((report.findings[0].written, report.findings[1].written, world.count(Write)), (1, 0, 1));
    }
}

/// Pauses as they are stored, each of what it stops.
fn pauses(stops: &[serde_json::Value]) -> String {
    let pause = |(number, stops): (usize, &serde_json::Value)| {
        json!({"id": format!("{number:08x}"), "stops": stops, "reason": "ticket 4711", "by": "arn:aws:sts::1:who",
            "at": "2026-01-02T03:04:05Z"})
    };
    let pauses: Vec<_> = stops.iter().enumerate().map(pause).collect();
    json!({"schema": 1, "pauses": pauses}).to_string()
}

const BY: &str = "paused by arn:aws:sts::1:who until somebody resumes it: ticket 4711";

#[tokio::test]
async fn a_pause_holds_what_it_is_of_unseen_and_lets_all_else_go_on() {
    for (stops, held) in [
        (json!({}), vec![0, 1, 2]),
        (json!({"rules": [manifest().id]}), vec![0, 1, 2]),
        (json!({"accounts": [TWO]}), vec![2]),
        (json!({"regions": ["eu-west-2"]}), vec![1]),
        (json!({"regions": [REGION], "accounts": [ONE]}), vec![0]),
        (json!({"rules": ["another"]}), vec![]),
        (json!({"regions": ["global"]}), vec![]),
    ] {
        let mut world = world(1, json!({}));
        world.open_houses(ONE, "eu-west-2", 1);
        world.open_houses(TWO, REGION, 1);
        let pauses = serde_json::from_str(&pauses(std::slice::from_ref(&stops))).unwrap();
        world.policy = world.policy.under(pauses);
        let report = run(&world, Mode::Apply).await;
        let is_held = |place: &usize| report.findings[*place].outcome == Outcome::Held;
        let found: Vec<_> = (0..3).filter(is_held).collect();
        assert_eq!(found, held, "{stops}: {report:?}");
        assert!(held.iter().all(|place| detail(&report, *place).starts_with(BY)), "{report:?}");
        assert!(held.iter().all(|place| world.calls_of(*place).is_empty()), "{stops}: it was looked at");
        assert_eq!(report.count(Outcome::Fixed), 3 - held.len(), "{stops}: {report:?}");
    }
}

#[tokio::test]
async fn a_pause_stops_a_run_under_way_where_it_is_of_and_ends_when_it_is_ended() {
    let mut world = World::new();
    world.house(ONE, REGION, &[true, true], Script::Works);
    world.house(TWO, REGION, &[true, true], Script::Works);
    for account in [ONE, TWO] {
        world.slow(account, Write, Wait::Time(WATCHED));
    }
    let write = |key, text: &str| std::fs::write(world.folder.path().join(key), text).unwrap();
    write(POLICY_KEY, r#"{"schema": 1, "mode": "apply"}"#);
    world.policy_record = Some(PolicyRecord::of_deployment(world.records()));
    let paused = pauses(&[json!({"accounts": [ONE]})]);
    let pause = async {
        world.until(Write, 2).await;
        std::fs::write(world.folder.path().join(remediation::PAUSES_KEY), &paused).unwrap();
    };
    let (report, ()) = tokio::join!(run_with(&world, IMPATIENT, Deadline::never()), pause);
    assert_eq!(outcomes(&report), [Outcome::Held, Outcome::Fixed], "{report:?}");
    assert!(detail(&report, 0).starts_with(&format!("policy: {BY}")), "{report:?}");
    assert_eq!((report.findings[0].written, report.findings[1].written), (1, 2));
    // What is no list of pauses stops everything.
    std::fs::write(world.folder.path().join(remediation::PAUSES_KEY), "{").unwrap();
    world.run = remediation::RunId::start();
    let report = run(&world, Mode::Apply).await;
    assert!(report.findings[0].outcome == Outcome::Held && detail(&report, 0).contains("resume --all"), "{report:?}");
    std::fs::write(world.folder.path().join(remediation::PAUSES_KEY), pauses(&[])).unwrap();
    let report = poll(&mut world).await;
    assert_eq!(outcomes(&report)[0], Outcome::Fixed, "{report:?}");
}

#[tokio::test]
async fn the_policy_makes_less_of_the_mode_that_was_asked_for_and_never_more() {
    for (asked, allowed, outcome, writes) in [
        (Mode::Apply, "apply", Outcome::Fixed, 1),
        (Mode::Apply, "approve", Outcome::Held, 0),
        (Mode::Apply, "plan", Outcome::Planned, 0),
        (Mode::Apply, "off", Outcome::Held, 0),
        (Mode::Plan, "apply", Outcome::Planned, 0),
        (Mode::Approve, "apply", Outcome::Held, 0),
    ] {
        let world = world(1, json!({"mode": allowed}));
        let report = run(&world, asked).await;
        assert_eq!(outcomes(&report), [outcome], "{asked:?} of {allowed}");
        assert_eq!(world.count(Write), writes);
        assert_eq!(report.mode, asked.min(serde_json::from_value(json!(allowed)).unwrap()), "the report's");
    }
}

#[tokio::test]
async fn accounts_of_one_batch_can_have_modes_of_their_own() {
    let mut world = world(1, json!({"overrides": [{"accounts": [TWO], "mode": "approve"}]}));
    world.open_houses(TWO, REGION, 1);
    let report = run(&world, Mode::Apply).await;
    assert_eq!(outcomes(&report), [Outcome::Fixed, Outcome::Held]);
    let (_, plan) = stored_plan(&world, &report).await;
    assert_eq!(plan.resources.iter().map(|planned| planned.awaits.len()).collect::<Vec<_>>(), [0, 1]);
}

#[tokio::test]
async fn what_is_exempt_is_not_looked_at_and_says_why() {
    let exemption = json!({"resources": ["h0"], "reason": "a museum", "owner": "anna", "expires": "2999-01-01"});
    let world = world(2, json!({"exemptions": [exemption]}));
    let report = run(&world, Mode::Apply).await;
    assert_eq!(outcomes(&report), [Outcome::Exempt, Outcome::Fixed]);
    assert_eq!(detail(&report, 0), "a museum (owner: anna; until 2999-01-01)");
    assert!(world.calls_of(0).is_empty());
}

#[tokio::test]
async fn an_expired_exemption_shows_and_no_longer_counts() {
    let exemption = json!({"resources": ["h*"], "reason": "a museum", "owner": "anna", "expires": "2020-01-01"});
    let mut world = world(1, json!({"exemptions": [exemption]}));
    world.house(ONE, REGION, &[false], Script::Works);
    let report = run(&world, Mode::Apply).await;
    assert_eq!(outcomes(&report), [Outcome::Fixed, Outcome::AlreadyCompliant]);
    for row in &report.findings {
        assert_eq!(row.notes, ["an exemption has expired: a museum (owner: anna; until 2020-01-01)"]);
    }
}

#[tokio::test]
async fn an_approval_applies_exactly_its_plan_and_says_whose_it_is() {
    let mut world = world(2, json!({"mode": "approve"}));
    let report = run(&world, Mode::Apply).await;
    assert_eq!(outcomes(&report), [Outcome::Held; 2]);
    assert_eq!(detail(&report, 0), "needs an approval: the mode is approve");
    // What comes later was not approved.
    world.open_houses(ONE, REGION, 1);
    let (approval, plan) = approval(&world, &report).await;
    let done = run_approved(&world, &approval, plan).await;
    assert_eq!(outcomes(&done), [Outcome::Fixed; 2], "{done:?}");
    assert_eq!((&done.id, done.approval.as_ref()), (&approval.id(), Some(&approved(&approval))));
    assert_eq!((world.count(Write), world.calls_of(2)), (2, vec![]));
}

#[tokio::test]
async fn an_approval_of_some_resources_leaves_the_rest_of_the_plan_for_another_one() {
    let mut world = World::new();
    world.open_houses(ONE, REGION, 2);
    world.policy = policy(json!({"mode": "approve"}));
    let (whole, plan) = approval(&world, &run(&world, Mode::Apply).await).await;
    let houses: Vec<_> = plan.resources.iter().map(|planned| House::from(&planned.resource)).collect();
    for (planned, left) in plan.resources.iter().zip([[false, true], [false, false]]) {
        let mut some = whole.clone();
        (some.only, some.run) = ([planned.resource.arn.clone()].into(), remediation::RunId::start());
        let done = run_approved(&world, &some, plan.clone()).await;
        assert_eq!(outcomes(&done), [Outcome::Fixed], "{done:?}");
        assert_eq!(houses.iter().map(|house| world.doors()[house][0]).collect::<Vec<_>>(), left);
    }
}

#[tokio::test]
async fn what_has_drifted_since_the_approval_is_held_and_nothing_of_it_is_written() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true, false], Script::Works);
    world.house(ONE, REGION, &[true, true], Script::Works);
    let closed = world.house(ONE, REGION, &[true], Script::Works);
    world.policy = policy(json!({"mode": "approve"}));
    let (approval, plan) = approval(&world, &run(&world, Mode::Apply).await).await;
    world.close_doors(&house);
    world.open_door(&house, 1);
    world.close_doors(&closed);
    let report = run_approved(&world, &approval, plan).await;
    assert_eq!(outcomes(&report), [Outcome::Held, Outcome::Fixed, Outcome::AlreadyCompliant]);
    assert!(detail(&report, 0).starts_with("drifted: ") && detail(&report, 0).contains("door 1 open"), "{report:?}");
    assert_eq!(world.calls(&house), [Look, Look]);
    assert_eq!(world.doors()[&house], [false, true]);
}

#[tokio::test]
async fn an_approval_serves_once() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Works);
    world.policy = policy(json!({"mode": "approve"}));
    let (approval, plan) = approval(&world, &run(&world, Mode::Apply).await).await;
    assert_eq!(outcomes(&run_approved(&world, &approval, plan.clone()).await), [Outcome::Fixed]);
    world.open_door(&house, 0);
    let again = run_approved(&world, &approval, plan).await;
    assert_eq!(outcomes(&again), [Outcome::Held]);
    assert!(detail(&again, 0).contains("used before"), "{again:?}");
    assert_eq!(world.count(Write), 1);
}

#[tokio::test]
async fn an_approval_that_does_not_hold_writes_nothing() {
    type Spoil = fn(&mut Approval, &mut Plan<Change>, &mut World);
    let cases: [(Spoil, &str); 5] = [
        (|approval, _, _| approval.digest = "0".repeat(64), "was approved"),
        (|_, plan, _| plan.resources[0].changes[0].change.after = true, "was approved"),
        (|approval, _, _| approval.approved -= jiff::SignedDuration::from_hours(80), "has expired"),
        (|_, _, world| world.policy = policy(json!({"paused": true})), "paused"),
        (|_, _, world| world.policy = policy(json!({"mode": "plan"})), "the policy's mode does not let it"),
    ];
    for (spoil, says) in cases {
        let mut world = world(1, json!({"mode": "approve"}));
        let (mut approval, mut plan) = approval(&world, &run(&world, Mode::Apply).await).await;
        spoil(&mut approval, &mut plan, &mut world);
        let report = run_approved(&world, &approval, plan).await;
        assert_eq!((outcomes(&report), world.count(Write)), (vec![Outcome::Held], 0), "{says}: {report:?}");
        assert!(detail(&report, 0).contains(says), "{says}: {report:?}");
    }
}

#[tokio::test]
async fn what_is_exempt_by_now_is_left_alone_in_spite_of_an_approval() {
    let mut world = world(1, json!({"mode": "approve"}));
    let (approval, plan) = approval(&world, &run(&world, Mode::Apply).await).await;
    let exemption = json!({"rules": ["open-door"], "reason": "r", "owner": "o"});
    world.policy = policy(json!({"mode": "approve", "exemptions": [exemption]}));
    assert_eq!(outcomes(&run_approved(&world, &approval, plan).await), [Outcome::Exempt]);
}

#[tokio::test]
async fn what_a_guard_holds_waits_for_an_approval_and_is_then_written() {
    let mut world = World::new();
    world.house(ONE, REGION, &[true], Script::Guarded);
    world.open_houses(ONE, REGION, 1);
    let report = run(&world, Mode::Apply).await;
    assert_eq!(outcomes(&report), [Outcome::Held, Outcome::Fixed]);
    assert_eq!(detail(&report, 0), "needs an approval: somebody is in the house");
    assert_eq!(report.findings[0].notes, ["somebody is in the house (since a moment ago)"]);
    let (approval, plan) = approval(&world, &report).await;
    let done = run_approved(&world, &approval, plan).await;
    assert_eq!(outcomes(&done), [Outcome::Fixed], "what did not wait is not in it: {done:?}");
}

#[tokio::test]
async fn what_is_over_a_limit_is_deferred_and_the_limit_named() {
    for (limit, name, written) in [
        (json!({"changes_per_run": 3}), "changes_per_run (3)", 3),
        (json!({"changes_per_rule": 1}), "changes_per_rule (1)", 1),
        (json!({"changes_per_account": 2}), "changes_per_account (2)", 3),
    ] {
        let mut world = world(4, json!({"limits": limit}));
        world.open_houses(TWO, REGION, 1);
        let report = run(&world, Mode::Apply).await;
        let (fixed, deferred) = (report.count(Outcome::Fixed), report.count(Outcome::Deferred));
        assert_eq!((fixed, deferred, world.count(Write)), (written, 5 - written, written), "{name}");
        let mut held = report.findings.iter().filter(|row| row.outcome == Outcome::Deferred);
        assert!(held.all(|row| row.detail.as_ref().unwrap().contains(name)), "{report:?}");
        // The next poll takes up the rest.
        let next = poll(&mut world).await;
        assert!(next.count(Outcome::Fixed) > 0, "{next:?}");
    }
}

#[tokio::test]
async fn a_limit_holds_for_the_batches_of_a_run_together() {
    let world = world(3, json!({"limits": {"changes_per_run": 4}}));
    let batch = |number| Batch { id: BatchId { batch: number, ..world.batch().id }, ..world.batch() };
    let (engine, other) = (world.engine(), world.engine());
    let first = engine.run(batch(1), Mode::Apply, Deadline::never()).await.report;
    for house in world.doors().keys() {
        world.open_door(house, 0);
    }
    let second = other.run(batch(2), Mode::Apply, Deadline::never()).await.report;
    assert_eq!((first.count(Outcome::Fixed), second.count(Outcome::Fixed)), (3, 1));
}

#[tokio::test]
async fn too_many_failures_in_an_account_end_the_run_there_and_in_the_batches_after_it() {
    let limits = json!({"limits": {"failure_percent": 50, "failure_minimum": 4}});
    let mut world = world(0, limits);
    for number in 0..8 {
        let script = if number % 4 == 0 { Script::Works } else { Script::WriteFails(AccessDenied) };
        world.house(ONE, REGION, &[true], script);
    }
    let bounds = Bounds { concurrency: 1, ..IMPATIENT };
    let report = run_with(&world, bounds, Deadline::never()).await;
    let (fixed, failed, deferred) = (Outcome::Fixed, Outcome::Failed, Outcome::Deferred);
    assert_eq!(outcomes(&report), [fixed, failed, failed, failed, deferred, deferred, deferred, deferred]);
    let why = format!("account {ONE}: 3 of 4 fixes failed, more than the limit failure_percent (50)");
    assert_eq!(detail(&report, 4), why);
    world.open_houses(TWO, REGION, 1);
    let batch = Batch { id: BatchId { batch: 2, ..world.batch().id }, ..world.batch() };
    let after = world.engine().run(batch, Mode::Apply, Deadline::never()).await.report;
    assert_eq!((after.count(Outcome::Deferred), after.count(Outcome::Fixed)), (7, 1), "{after:?}");
    assert_eq!(poll(&mut world).await.count(Outcome::Deferred), 0, "the next run starts anew");
}

#[tokio::test]
async fn an_account_out_of_scope_is_held_at_no_call() {
    let mut world = world(1, json!({"scope": {"accounts": [TWO]}}));
    world.open_houses(TWO, REGION, 1);
    let report = run(&world, Mode::Apply).await;
    assert_eq!(outcomes(&report), [Outcome::Held, Outcome::Fixed]);
    assert_eq!(detail(&report, 0), format!("out of scope: the policy's scope does not include the account {ONE}"));
    assert_eq!(world.calls_of(0), []);
    assert!(
        world.sts.requests().iter().all(|request| !request.form["RoleArn"].contains(ONE)),
        "its role is not asked for"
    );
}

#[tokio::test]
async fn what_goes_out_of_scope_is_not_written_nor_taken_back() {
    let mut world = world(1, json!({}));
    let fixed = super::undo::fixed(&mut world).await;
    world.policy = policy(json!({"scope": {"accounts": [TWO]}}));
    let calls = world.count(Look);
    let report = super::undo::undo(&world, &fixed).await;
    assert_eq!((outcomes(&report), world.count(Look)), (vec![Outcome::Held], calls), "{report:?}");
    assert!(detail(&report, 0).contains("out of scope"), "{report:?}");

    let mut world = self::world(1, json!({}));
    let narrowed = json!({"schema": 1, "mode": "apply", "scope": {"accounts": [TWO]}});
    world.records().put_new(POLICY_KEY, narrowed.to_string().into()).await.unwrap();
    world.policy_record = Some(remediation::PolicyRecord::new(world.records(), POLICY_KEY));
    let report = run(&world, Mode::Apply).await;
    assert_eq!((outcomes(&report), world.count(Write)), (vec![Outcome::Held], 0), "{report:?}");
    assert!(detail(&report, 0).contains("out of scope"), "{report:?}");
}

#[tokio::test]
async fn where_an_organization_is_the_scope_a_refused_role_is_the_proof() {
    let mut world = world(1, json!({"scope": {"organization": "o-a1b2c3d4e5"}}));
    world.open_houses(TWO, REGION, 1);
    world.sts.refuse(ONE);
    let report = run(&world, Mode::Apply).await;
    assert_eq!(outcomes(&report), [Outcome::Held, Outcome::Fixed]);
    let says = "out of scope, or without our role: the policy's scope is the organization o-a1b2c3d4e5";
    assert!(detail(&report, 0).starts_with(says) && detail(&report, 0).contains("sts:AssumeRole: AccessDenied"));
    assert_eq!(report.accounts.len(), 1, "{report:?}");
    // Without an organization in the scope, it is a failure.
    world.policy = policy(json!({"scope": {"accounts": [ONE, TWO]}}));
    assert_eq!(poll(&mut world).await.count(Outcome::Failed), 1);
}

#[tokio::test]
async fn what_no_run_has_room_for_is_held_and_in_the_plan() {
    let mut world = world(0, json!({"limits": {"changes_per_account": 2}}));
    world.house(ONE, REGION, &[true; 3], Script::Works);
    let report = run(&world, Mode::Apply).await;
    assert_eq!((outcomes(&report), world.count(Write)), (vec![Outcome::Held], 0));
    assert!(detail(&report, 0).contains("more than the limit changes_per_account (2) ever allows"), "{report:?}");
    assert_eq!(stored_plan(&world, &report).await.1.resources[0].changes.len(), 3);
}

#[tokio::test]
async fn too_many_failures_over_many_accounts_end_the_whole_run() {
    let limits =
        ["day", "run", "rule", "account", "account_per_day"].map(|of| (format!("changes_per_{of}"), Value::Null));
    let mut limits: serde_json::Map<_, _> = limits.into_iter().collect();
    limits.extend([("failure_percent".into(), json!(50)), ("failure_minimum".into(), json!(4))]);
    let mut world = world(0, json!({"limits": limits}));
    for account in [ONE, TWO, THREE, "444444444444", "555555555555", "666666666666"] {
        world.house(account, REGION, &[true], Script::WriteFails(AccessDenied));
    }
    let bounds = Bounds { concurrency: 1, ..IMPATIENT };
    let report = run_with(&world, bounds, Deadline::never()).await;
    assert_eq!((report.count(Outcome::Failed), report.count(Outcome::Deferred)), (5, 1), "{report:?}");
    let written = world.count(Write);
    let batch = Batch { id: BatchId { batch: 2, ..world.batch().id }, ..world.batch() };
    let after = world.engine().run(batch, Mode::Apply, Deadline::never()).await.report;
    assert_eq!((after.count(Outcome::Deferred), world.count(Write)), (6, written), "{after:?}");
    // What was claimed while that was asked is let go of.
    let cards = world.doors().into_keys().filter_map(|house| world.card(&house));
    assert_eq!(cards.map(|card| card.claim).collect::<Vec<_>>(), vec![None; 6]);
}

#[tokio::test]
async fn what_passes_and_what_is_out_of_reach_opens_no_breaker() {
    for kind in [Throttled, Passing, Transient, NotNow, OutOfReach] {
        for script in [Script::WriteFails(kind), Script::LaterLookFails(kind)] {
            let mut world = world(0, json!({"limits": {"failure_percent": 1, "failure_minimum": 1}}));
            for number in 0..20 {
                world.house(ONE, REGION, &[true], if number < 10 { script } else { Script::Works });
            }
            let report = run_with(&world, IMPATIENT, Deadline::never()).await;
            assert_eq!(
                (report.count(Outcome::Fixed), report.count(Outcome::Failed)),
                (10, 0),
                "{script:?}: {report:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_exemption_holds_for_every_name_of_the_resource() {
    let exempt = |resources: &str| json!({"exemptions": [{"resources": [resources], "reason": "r", "owner": "o"}]});
    let arn = format!("arn:aws:test:{REGION}:{ONE}:house/h0");
    for (resources, outcome) in [("bastion-*", Outcome::Exempt), (&arn, Outcome::Exempt), ("bastion", Outcome::Fixed)] {
        let world = world(1, exempt(resources));
        world.call_it(&House::from(&world.batch().findings[0]), "bastion-1");
        let report = run(&world, Mode::Apply).await;
        assert_eq!(outcomes(&report), [outcome], "{resources}");
        assert_eq!(report.findings[0].resource.as_ref().map(|resource| &resource.arn), Some(&arn), "{resources}");
    }
}

#[tokio::test]
async fn a_guard_that_cannot_look_warns_or_holds_as_it_is_set() {
    let says = "what the fix would break could not be seen: test:ListPeople: scripted AccessDenied";
    for (guard, outcome, notes) in [
        (Guard::Warn, Outcome::Fixed, vec![says]),
        (Guard::Hold, Outcome::Held, vec![says]),
        (Guard::Off, Outcome::Fixed, vec![]),
    ] {
        let mut world = World::new();
        world.guard = guard;
        world.house(ONE, REGION, &[true], Script::Dark(AccessDenied));
        let report = run(&world, Mode::Apply).await;
        assert_eq!(
            (outcomes(&report), &report.findings[0].notes),
            (vec![outcome], &notes.into_iter().map(str::to_owned).collect())
        );
    }
}

#[tokio::test]
async fn what_a_guard_could_not_see_for_now_is_left_to_the_next_poll_and_to_no_person() {
    for kind in [Throttled, Transient, Passing] {
        for (guard, outcome) in [(Guard::Hold, Outcome::Deferred), (Guard::Warn, Outcome::Fixed)] {
            let mut world = World::new();
            world.guard = guard;
            world.house(ONE, REGION, &[true], Script::Dark(kind));
            let report = run(&world, Mode::Apply).await;
            assert_eq!(outcomes(&report), [outcome], "{kind:?} {guard:?}: {report:?}");
        }
    }
}

#[tokio::test]
async fn a_resource_that_is_fought_over_is_held_with_its_reports_and_needs_an_approval_from_then_on() {
    let mut world = world(1, json!({"fight": {"fixes": 2, "window_days": 7}}));
    let house = House::from(&world.batch().findings[0]);
    let mut reports = Vec::new();
    for _ in 0..2 {
        let report = poll(&mut world).await;
        assert_eq!(outcomes(&report), [Outcome::Fixed]);
        reports.push(report.id.report_key());
        world.open_door(&house, 0);
    }
    let held = poll(&mut world).await;
    assert_eq!((outcomes(&held), world.count(Write)), (vec![Outcome::Held], 2));
    assert!(detail(&held, 0).contains("fought over: it was fixed 2 times"), "{held:?}");
    assert!(reports.iter().all(|report| detail(&held, 0).contains(report)), "{held:?}");
    let (approval, plan) = approval(&world, &held).await;
    assert_eq!(outcomes(&run_approved(&world, &approval, plan).await), [Outcome::Fixed]);
    world.open_door(&house, 0);
    // Also where the policy would see no fight any more.
    world.policy = policy(json!({"fight": {"fixes": 50}}));
    assert_eq!(outcomes(&poll(&mut world).await), [Outcome::Held]);
}

#[tokio::test]
async fn fixes_outside_of_the_window_and_of_others_are_no_fight() {
    let mut world = world(2, json!({"fight": {"fixes": 1, "window_days": 7}}));
    let houses: Vec<_> = world.batch().findings.iter().map(House::from).collect();
    assert_eq!(outcomes(&run(&world, Mode::Apply).await), [Outcome::Fixed; 2]);
    world.pass(8 * 24 * 3600);
    world.open_door(&houses[0], 0);
    assert_eq!(outcomes(&poll(&mut world).await), [Outcome::Fixed, Outcome::AlreadyCompliant]);
    world.open_door(&houses[0], 0);
    world.open_door(&houses[1], 0);
    assert_eq!(outcomes(&poll(&mut world).await), [Outcome::Held, Outcome::Fixed]);
}

#[tokio::test]
async fn a_card_that_cannot_be_read_stops_its_resource_alone() {
    for (broken, says) in [
        ("{", "its card cannot be read, so nothing is written: resources/open-door/"),
        ("", "the card cannot be read: EOF"),
        (r#"{"schema": 99}"#, "the card has schema version 99, but this build reads 1"),
    ] {
        let mut world = world(2, json!({}));
        let houses: Vec<_> = world.batch().findings.iter().map(House::from).collect();
        assert_eq!(outcomes(&poll(&mut world).await), [Outcome::Fixed; 2]);
        let cards = files(&world.folder.path().join("resources"));
        let of_first = cards.iter().find(|card| std::fs::read_to_string(card).unwrap().contains("house/h0")).unwrap();
        std::fs::write(of_first, broken).unwrap();
        houses.iter().for_each(|house| world.open_door(house, 0));
        let report = poll(&mut world).await;
        assert_eq!(outcomes(&report), [Outcome::Failed, Outcome::Fixed], "{broken}: {report:?}");
        assert!(detail(&report, 0).contains(says), "{broken}: {report:?}");
    }
}

#[tokio::test]
async fn the_card_of_something_else_is_not_believed() {
    let mut world = world(2, json!({}));
    let houses: Vec<_> = world.batch().findings.iter().map(House::from).collect();
    assert_eq!(outcomes(&poll(&mut world).await), [Outcome::Fixed; 2]);
    let cards = files(&world.folder.path().join("resources"));
    std::fs::copy(&cards[0], &cards[1]).unwrap();
    houses.iter().for_each(|house| world.open_door(house, 0));
    let report = poll(&mut world).await;
    assert_eq!((report.count(Outcome::Failed), report.count(Outcome::Fixed)), (1, 1), "{report:?}");
}

#[tokio::test]
async fn tags_are_read_only_where_they_matter_and_exempt_the_resource() {
    let exemption = json!({"tags": {"public": "yes"}, "reason": "a museum", "owner": "anna"});
    let mut world = world(2, json!({"exemptions": [exemption]}));
    world.house(ONE, REGION, &[false], Script::Works);
    let houses: Vec<_> = world.batch().findings.iter().map(House::from).collect();
    world.tag(&houses[0], "public", "yes");
    let report = run(&world, Mode::Apply).await;
    assert_eq!(outcomes(&report), [Outcome::Exempt, Outcome::Fixed, Outcome::AlreadyCompliant], "{report:?}");
    let asked = |house| world.calls(house).contains(&crate::fake::Call::Tags);
    assert_eq!([asked(&houses[0]), asked(&houses[1]), asked(&houses[2])], [true, true, false]);
}
