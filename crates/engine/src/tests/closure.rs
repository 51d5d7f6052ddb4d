//! What Netskope says of fixes.

use jiff::{SignedDuration, Timestamp};
use remediation::records::{AwaitedClosures, ScanVerdict};
use remediation::{Card, Finding, Region};

use super::*;
use crate::fake::CONTROL;

const AN_HOUR: i64 = 3_600;

/// A house that a poll has fixed; and then an hour passes.
async fn fixed() -> (World, House) {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Works);
    let report = poll(&world, world.batch().findings, Vec::new()).await;
    assert_eq!(outcomes(&report), [Outcome::Fixed]);
    world.pass(AN_HOUR);
    (world, house)
}

/// One poll as the rule's Lambda makes it, of findings that fail and of such that have passed.
async fn poll(world: &World, findings: Vec<Finding>, passed: Vec<Finding>) -> Report {
    let id = BatchId { run: remediation::RunId::start(), ..world.batch().id };
    let batch = Batch { passed, ..Batch::new(id, findings) };
    let Done { report, told, .. } = world.engine().poll(batch, Deadline::never()).await;
    told.remember(&world.records().store_report(&report).await.unwrap()).await;
    report
}

/// When Netskope scanned, so many seconds before the world's time.
fn scanned(world: &World, ago: i64) -> Option<Timestamp> {
    let passed = world.passed.load(std::sync::atomic::Ordering::Relaxed);
    Some(Timestamp::now() + SignedDuration::from_secs(passed - ago))
}

/// The finding of a house by a scan that was so many seconds ago.
fn listed(world: &World, house: &House, ago: i64) -> Finding {
    let House { account, region, name } = house;
    let last_scanned = scanned(world, ago);
    Finding { last_scanned, ..crate::fake::finding(account.as_ref(), region.as_ref(), name) }
}

async fn awaited(world: &World) -> usize {
    let awaited = AwaitedClosures::find(&world.records(), "open-door").await.unwrap();
    awaited.map_or(0, |awaited| awaited.of(CONTROL).len())
}

fn said(card: &Card) -> Option<ScanVerdict> {
    card.closures[0].said.as_ref().map(|said| said.verdict)
}

#[tokio::test]
async fn a_scan_after_the_fix_that_passes_the_resource_confirms_it_once_and_nothing_is_written() {
    let (world, house) = fixed().await;
    assert_eq!((awaited(&world).await, said(&world.card(&house).unwrap())), (1, None));
    let writes = world.count(Write);
    let passed = listed(&world, &house, 60);
    let report = poll(&world, Vec::new(), vec![passed.clone()]).await;
    let [confirmed] = &report.confirmed[..] else { panic!("{report:?}") };
    assert_eq!((&confirmed.finding, Some(confirmed.scanned)), (&passed, passed.last_scanned));
    let card = world.card(&house).unwrap();
    assert_eq!(confirmed.fixed, card.writes[0].at);
    assert_eq!(confirmed.report, card.writes[0].id("open-door").report_key());
    assert_eq!((said(&card), awaited(&world).await), (Some(ScanVerdict::Confirmed), 0));
    assert_eq!((report.findings.len(), report.counts.len(), world.count(Write)), (0, 0, writes));
    assert_eq!(poll(&world, Vec::new(), vec![passed]).await.confirmed, []);
}

#[tokio::test]
async fn a_scan_before_the_fix_or_in_a_time_to_come_says_nothing() {
    let (world, house) = fixed().await;
    for ago in [AN_HOUR + 60, AN_HOUR - 60, -AN_HOUR] {
        let finding = listed(&world, &house, ago);
        let report = poll(&world, vec![finding.clone()], vec![finding]).await;
        assert_eq!((report.confirmed.len(), &report.findings[0].contested), (0, &None), "{ago}");
    }
    assert_eq!((said(&world.card(&house).unwrap()), awaited(&world).await), (None, 1), "a later scan may confirm it");
}

#[tokio::test]
async fn what_is_opened_again_gone_exempt_or_called_otherwise_is_not_confirmed_and_waits_no_more() {
    for what in ["opened", "gone", "off", "another house"] {
        let (mut world, house) = fixed().await;
        let mut passed = listed(&world, &house, 60);
        match what {
            "opened" => world.open_door(&house, 0),
            "gone" => world.tear_down(&house),
            "off" => world.policy = Policy::from_json(br#"{"schema": 1, "mode": "off"}"#).unwrap(),
            _ => {
                let other = world.house(ONE, REGION, &[false], Script::Works);
                world.tear_down(&house);
                world.list_as(&other, CONTROL, REGION, &house.name);
                passed.region = Region::code(REGION);
            }
        }
        let writes = world.count(Write);
        let report = poll(&world, Vec::new(), vec![passed]).await;
        assert_eq!((report.confirmed.len(), awaited(&world).await), (0, 0), "{what}");
        assert_eq!((said(&world.card(&house).unwrap()), world.count(Write)), (None, writes), "{what}");
    }
}

#[tokio::test]
async fn what_cannot_be_seen_for_now_waits_on() {
    let (world, house) = fixed().await;
    let passed = listed(&world, &house, 60);
    world.script(&house, Script::LookFails(Throttled));
    let report = poll(&world, Vec::new(), vec![passed.clone()]).await;
    assert_eq!((report.confirmed.len(), awaited(&world).await), (0, 1));
    world.script(&house, Script::Works);
    assert_eq!(poll(&world, Vec::new(), vec![passed]).await.confirmed.len(), 1);
}

#[tokio::test]
async fn a_scan_after_the_fix_that_still_fails_contests_it_and_begins_once() {
    let (world, house) = fixed().await;
    let mut begun = Vec::new();
    for ago in [600, 300, 60] {
        let report = poll(&world, vec![listed(&world, &house, ago)], Vec::new()).await;
        assert_eq!(outcomes(&report), [Outcome::AlreadyCompliant]);
        let contested = report.findings[0].contested.clone().unwrap();
        assert_eq!(contested.report, world.card(&house).unwrap().writes[0].id("open-door").report_key());
        begun.push(contested.begins);
    }
    assert_eq!(begun, [true, false, false]);
    let before = world.card(&house).unwrap();
    poll(&world, vec![listed(&world, &house, 30)], Vec::new()).await;
    assert_eq!(world.card(&house).unwrap(), before, "the card is written once");
    assert_eq!((said(&before), awaited(&world).await), (Some(ScanVerdict::Contested), 1), "it may pass yet");
    let passed = listed(&world, &house, 10);
    let report = poll(&world, Vec::new(), vec![passed]).await;
    assert_eq!((report.confirmed.len(), awaited(&world).await), (1, 0));
}

#[tokio::test]
async fn what_violates_again_is_fixed_again_and_is_neither() {
    let (world, house) = fixed().await;
    world.open_door(&house, 0);
    let report = poll(&world, vec![listed(&world, &house, 60)], Vec::new()).await;
    assert_eq!((outcomes(&report), &report.findings[0].contested), (vec![Outcome::Fixed], &None));
    let card = world.card(&house).unwrap();
    assert_eq!((card.closures.len(), said(&card), awaited(&world).await), (1, None, 1));
    assert_eq!(card.closures[0].run, report.id.run, "the new fix is waited for");
}

#[tokio::test]
async fn what_complied_by_itself_waits_for_nothing() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[false], Script::Works);
    let report = poll(&world, world.batch().findings, Vec::new()).await;
    assert_eq!((outcomes(&report), awaited(&world).await), (vec![Outcome::AlreadyCompliant], 0));
    world.pass(AN_HOUR);
    let finding = listed(&world, &house, 60);
    let report = poll(&world, vec![finding.clone()], vec![finding]).await;
    assert_eq!((report.confirmed.len(), &report.findings[0].contested), (0, &None));
}

#[tokio::test]
async fn a_fix_whose_lambda_died_before_it_was_put_on_the_list_is_put_there_by_the_next_poll_of_the_resource() {
    let mut world = World::new();
    let house = world.house(ONE, REGION, &[true], Script::Works);
    // Its report may be stored or not; nothing is remembered.
    let Done { report, .. } = world.engine().poll(world.batch(), Deadline::never()).await;
    assert_eq!((outcomes(&report), awaited(&world).await), (vec![Outcome::Fixed], 0));
    world.pass(AN_HOUR);
    let old = listed(&world, &house, AN_HOUR + 60);
    for _ in 0..2 {
        let report = poll(&world, vec![old.clone()], Vec::new()).await;
        assert_eq!((outcomes(&report), awaited(&world).await), (vec![Outcome::AlreadyCompliant], 1));
    }
    let records = world.records();
    let list = || AwaitedClosures::find(&records, "open-door");
    let before = list().await.unwrap();
    poll(&world, vec![old], Vec::new()).await;
    assert_eq!(list().await.unwrap(), before, "it is written once");
    let report = poll(&world, Vec::new(), vec![listed(&world, &house, 60)]).await;
    assert_eq!((report.confirmed.len(), awaited(&world).await), (1, 0));
}
