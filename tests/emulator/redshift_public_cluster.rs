//! The rule `redshift-public-cluster` through the engine.

use std::time::{Duration, Instant};

use engine::{Clock, Deadline};
use jiff::{SignedDuration, Timestamp};
use remediation::{Mode, Outcome, Region};
use rules::redshift_public_cluster::RedshiftPublicCluster;
use serde_json::json;
use testkit::Result;
use testkit::emulator::Emulator;
use testkit::organization::Organization;
use testkit::subjects::Subject;
use testkit::subjects::redshift_public_cluster::{Clusters, Warehouse, arn};

async fn cluster(of: &Organization, name: &str, public: bool) -> Result<String> {
    Clusters::of(&of.target).make(name, public).await?;
    Ok(name.to_owned())
}

async fn organization() -> Organization {
    Organization::new::<RedshiftPublicCluster>(Emulator::shared().await.unwrap()).await.unwrap()
}

async fn is_public(of: &Organization, cluster: &str) -> bool {
    Clusters::of(&of.target).settled(cluster).await.unwrap().publicly_accessible.unwrap()
}

#[tokio::test]
async fn a_cluster_that_is_not_available_is_deferred_with_its_status_and_fixed_later() {
    let of = organization().await;
    let emulator = Emulator::shared().await.unwrap();
    for (name, status) in [("paused", "paused"), ("resizing", "resizing")] {
        cluster(&of, name, true).await.unwrap();
        emulator.set_status(&arn(&of.target, name), status).await.unwrap();
    }
    cluster(&of, "other", true).await.unwrap();
    let report = of.run::<RedshiftPublicCluster>(of.batch(&["paused", "resizing", "other"]), Mode::Apply).await;
    let outcomes: Vec<_> = report.findings.iter().map(|finding| finding.outcome).collect();
    assert_eq!(outcomes, [Outcome::Deferred, Outcome::Deferred, Outcome::Fixed], "{report:?}");
    for (finding, status) in report.findings.iter().zip(["is paused", "is resizing"]) {
        assert!(finding.detail.as_ref().unwrap().contains(status), "{finding:?}");
    }
    assert!(is_public(&of, "paused").await);
    emulator.set_status(&arn(&of.target, "paused"), "available").await.unwrap();
    let report = of.run::<RedshiftPublicCluster>(of.batch(&["paused"]), Mode::Apply).await;
    assert_eq!(report.count(Outcome::Fixed), 1, "{report:?}");
    assert!(!is_public(&of, "paused").await);
}

#[tokio::test]
async fn too_many_runbooks_at_once_is_deferred() {
    let of = organization().await;
    cluster(&of, "queued", true).await.unwrap();
    of.target.set(Emulator::shared().await.unwrap(), "automation_limit", json!(0)).await.unwrap();
    let report = of.run::<RedshiftPublicCluster>(of.batch(&["queued"]), Mode::Apply).await;
    assert_eq!(report.count(Outcome::Deferred), 1, "{report:?}");
    let detail = report.findings[0].detail.as_ref().unwrap();
    assert!(detail.contains("AutomationExecutionLimitExceededException"), "{detail}");
    assert!(is_public(&of, "queued").await);
}

#[tokio::test]
async fn what_the_runbooks_own_role_may_not_do_is_named() {
    let of = organization().await;
    // Long enough for our own look to see the change under way, and not its end.
    of.target.set(Emulator::shared().await.unwrap(), "redshift_modifying_seconds", json!(20)).await.unwrap();
    for (name, action) in [("modify", "redshift:ModifyCluster"), ("describe", "redshift:DescribeClusters")] {
        let cluster = cluster(&of, name, true).await.unwrap();
        let taken = of.target.take_away(&of.service_role(), action).await.unwrap();
        let report = of.run::<RedshiftPublicCluster>(of.batch(&[&cluster]), Mode::Apply).await;
        assert_eq!(report.count(Outcome::Failed), 1, "{report:?}");
        let detail = report.findings[0].detail.as_ref().unwrap();
        assert!(detail.contains(action) && detail.contains("the step "), "{detail}");
        of.target.give_back(&of.service_role(), taken).await.unwrap();
    }
}

#[tokio::test]
async fn a_second_start_of_the_same_run_is_harmless() {
    let of = organization().await;
    cluster(&of, "same-run", true).await.unwrap();
    let batch = of.batch(&["same-run"]);
    let twice = tokio::join!(
        of.run::<RedshiftPublicCluster>(batch.clone(), Mode::Apply),
        of.run::<RedshiftPublicCluster>(batch, Mode::Apply)
    );
    for report in <[_; 2]>::from(twice) {
        assert_eq!(report.count(Outcome::Failed) + report.count(Outcome::Unverified), 0, "{report:?}");
    }
    assert!(!is_public(&of, "same-run").await);
    let starts = of.decisions().await.unwrap();
    let modified = starts.iter().filter(|decision| decision.action == "redshift:ModifyCluster").count();
    assert_eq!(modified, 1, "one run starts the runbook once");
}

#[tokio::test]
async fn another_region_or_account_in_the_arn_is_said_and_stops_nobody() {
    let of = organization().await;
    cluster(&of, "ours", true).await.unwrap();
    let elsewhere = format!("arn:aws:redshift:eu-west-1:{}:cluster:ours", of.target.id);
    let theirs = "arn:aws:redshift:us-east-1:999999999999:cluster:ours";
    let report = of.run::<RedshiftPublicCluster>(of.batch(&[&elsewhere, theirs, "ours"]), Mode::Apply).await;
    let outcomes: Vec<_> = report.findings.iter().map(|finding| finding.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Failed, Outcome::Fixed], "{report:?}");
    for (finding, says) in report.findings.iter().zip(["is in the region eu-west-1", "belongs to the account 9999"]) {
        assert!(finding.detail.as_ref().unwrap().contains(says), "{finding:?}");
    }
}

#[tokio::test]
async fn an_elastic_ip_is_in_the_plan_and_comes_back_with_an_undo() {
    let of = organization().await;
    let clusters = Clusters::of(&of.target);
    let address = clusters.make_at_elastic_ip("known").await.unwrap();
    let before = Warehouse::describe(&of.target, "known").await.unwrap();
    let report = of.run::<RedshiftPublicCluster>(of.batch(&["known"]), Mode::Apply).await;
    assert_eq!(report.count(Outcome::Fixed), 1, "{report:?}");
    assert!(report.findings[0].changes[0].contains(&format!("Elastic IP {address}")), "{report:?}");
    assert!(clusters.settled("known").await.unwrap().elastic_ip_status.is_none());
    let undone = of.undo::<RedshiftPublicCluster>(&report, Mode::Apply).await.unwrap();
    assert_eq!(undone.count(Outcome::Undone), 1, "{undone:?}");
    assert_eq!(Warehouse::describe(&of.target, "known").await.unwrap(), before);
}

#[tokio::test]
async fn where_the_runbook_is_not_there_nothing_is_changed() {
    let of = organization().await;
    cluster(&of, "direct", true).await.unwrap();
    let runbook = &of.manifest.runbook.as_ref().unwrap().name;
    of.target.set(Emulator::shared().await.unwrap(), "missing_runbooks", json!([runbook])).await.unwrap();
    let report = of.run::<RedshiftPublicCluster>(of.batch(&["direct"]), Mode::Apply).await;
    assert_eq!(report.count(Outcome::Failed), 1, "{report:?}");
    assert!(
        report.findings[0].detail.as_ref().unwrap().contains("AutomationDefinitionNotFoundException"),
        "{report:?}"
    );
    assert!(is_public(&of, "direct").await);
    assert!(!of.used(&of.target_role()).await.unwrap().contains("redshift:ModifyCluster"));
}

#[tokio::test]
async fn a_runbook_that_outlives_its_run_keeps_others_away_until_it_has_ended() {
    let of = organization().await;
    cluster(&of, "slow", true).await.unwrap();
    of.target.set(Emulator::shared().await.unwrap(), "automation_step_seconds", json!(10)).await.unwrap();
    let run = async |deadline: Deadline, passed: i64| {
        let clock = Clock::new(move || Timestamp::now() + SignedDuration::from_secs(passed));
        of.run_under::<RedshiftPublicCluster>(of.batch(&["slow"]), deadline, clock).await.findings.remove(0)
    };
    let cut = run(Deadline::after(Duration::from_secs(8)), 0).await;
    assert_eq!(cut.outcome, Outcome::Unverified, "{cut:?}");
    let claimed = run(Deadline::never(), 0).await;
    assert!(claimed.outcome == Outcome::Deferred && claimed.detail.as_ref().unwrap().contains("until"), "{claimed:?}");
    // The claim's time is up, and the runbook is at work all the same.
    let busy = run(Deadline::never(), 120).await;
    let runbook = &of.manifest.runbook.as_ref().unwrap().name;
    assert!(busy.detail.as_ref().unwrap().contains(&format!("of the runbook {runbook} is ")), "{busy:?}");
    assert_eq!(busy.outcome, Outcome::Deferred, "{busy:?}");
    let end = Instant::now() + Duration::from_secs(120);
    while run(Deadline::never(), 120).await.outcome != Outcome::AlreadyCompliant {
        assert!(Instant::now() < end, "the runbook does not end");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test]
async fn throttled_runbooks_are_deferred_and_do_not_stop_the_others() {
    let of = organization().await;
    let emulator = Emulator::shared().await.unwrap();
    let names: Vec<_> = (0..12).map(|number| format!("throttled-{number}")).collect();
    for name in &names {
        cluster(&of, name, true).await.unwrap();
    }
    of.target.set(emulator, "automation_limit", json!(0)).await.unwrap();
    let batch = of.batch(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let report = of.run::<RedshiftPublicCluster>(batch, Mode::Apply).await;
    assert_eq!(report.count(Outcome::Deferred), 12, "{report:?}");
    // Every one was tried: the breaker, which opens at ten failures, does not count them.
    for finding in &report.findings {
        let detail = finding.detail.as_ref().unwrap();
        assert!(detail.contains("AutomationExecutionLimitExceededException"), "{detail}");
    }
}

#[tokio::test]
async fn a_finding_without_a_region_goes_by_its_arn() {
    let of = organization().await;
    let elsewhere = of.target.in_region("eu-west-1");
    Clusters::of(&elsewhere).make("afar", true).await.unwrap();
    let arn = arn(&of.target, "afar").replace("us-east-1", "eu-west-1");
    let mut batch = of.batch(&[&arn, "afar"]);
    batch.findings.iter_mut().for_each(|finding| finding.region = Region::global());
    let report = of.run::<RedshiftPublicCluster>(batch, Mode::Apply).await;
    let outcomes: Vec<_> = report.findings.iter().map(|finding| finding.outcome).collect();
    assert_eq!(outcomes, [Outcome::Fixed, Outcome::Failed], "{report:?}");
    assert!(report.findings[1].detail.as_ref().unwrap().contains("names no region"), "{report:?}");
    assert_eq!(Clusters::of(&elsewhere).settled("afar").await.unwrap().publicly_accessible, Some(false));
}

#[tokio::test]
async fn a_name_that_no_cluster_has_is_failed_and_not_gone() {
    let of = organization().await;
    let report = of.run::<RedshiftPublicCluster>(of.batch(&["analytics-workgroup"]), Mode::Apply).await;
    assert_eq!(report.count(Outcome::Failed), 1, "{report:?}");
    let detail = report.findings[0].detail.as_ref().unwrap();
    assert!(detail.contains("has no Redshift cluster named `analytics-workgroup` in us-east-1"), "{detail}");
}
