//! The rule `rds-public-snapshot` through the engine.

use remediation::{Mode, Outcome, Region};
use rules::rds_public_snapshot::RdsPublicSnapshot;
use testkit::Result;
use testkit::account::Account;
use testkit::emulator::Emulator;
use testkit::organization::Organization;
use testkit::subjects::rds_public_snapshot::{Database, Databases, PARTNER, arn, restore};

/// A database with one manual snapshot that these may restore.
async fn database(of: &Organization, kind: Database, name: &str, restore: &[&str]) -> Result<String> {
    Databases::of(&of.target).make(kind, name, false, restore).await?;
    Ok(name.to_owned())
}

async fn organization() -> Organization {
    Organization::new::<RdsPublicSnapshot>(Emulator::shared().await.unwrap()).await.unwrap()
}

#[tokio::test]
async fn accounts_listed_by_name_stay_and_other_snapshots_are_left_alone() {
    let of = organization().await;
    let databases = Databases::of(&of.target);
    database(&of, Database::Instance, "orders", &["all", PARTNER]).await.unwrap();
    for (snapshot, restore) in [("public-too", &["all"][..]), ("shared", &[PARTNER]), ("private", &[])] {
        databases.make_snapshot(Database::Instance, "orders", snapshot, restore).await.unwrap();
    }
    database(&of, Database::Instance, "other", &["all"]).await.unwrap();
    let report = of.run::<RdsPublicSnapshot>(of.batch(&["orders"]), Mode::Apply).await;
    assert_eq!((report.count(Outcome::Fixed), report.findings[0].written), (1, 2), "{report:?}");
    for (snapshot, restore) in [
        ("orders-manual", &[PARTNER][..]),
        ("public-too", &[]),
        ("shared", &[PARTNER]),
        ("private", &[]),
        ("other-manual", &["all"]),
    ] {
        assert_eq!(databases.restore(Database::Instance, snapshot).await.unwrap(), restore, "{snapshot}");
    }
}

#[tokio::test]
async fn every_page_of_the_snapshots_is_read() {
    let of = organization().await;
    of.target.set_page_size(Emulator::shared().await.unwrap(), 1).await.unwrap();
    for kind in [Database::Instance, Database::Cluster] {
        let (databases, name) = (Databases::of(&of.target), format!("{kind:?}").to_lowercase());
        database(&of, kind, &name, &[]).await.unwrap();
        for number in 1..=2 {
            databases.make_snapshot(kind, &name, &format!("{name}-{number}"), &["all"]).await.unwrap();
        }
        let report = of.run::<RdsPublicSnapshot>(of.batch(&[&name]), Mode::Apply).await;
        assert_eq!((report.count(Outcome::Fixed), report.findings[0].written), (1, 2), "{report:?}");
    }
}

#[tokio::test]
async fn another_accounts_public_snapshot_is_not_touched() {
    let of = organization().await;
    let stranger = Account::fresh(Emulator::shared().await.unwrap());
    let theirs = Databases::of(&stranger);
    theirs.make(Database::Instance, "orders", false, &["all"]).await.unwrap();
    // An instance of the same name without a public snapshot, and then none at all.
    database(&of, Database::Instance, "orders", &[]).await.unwrap();
    let report = of.run::<RdsPublicSnapshot>(of.batch(&["orders"]), Mode::Apply).await;
    assert_eq!(report.count(Outcome::AlreadyCompliant), 1, "{report:?}");
    let elsewhere = organization().await;
    let batch = elsewhere
        .batch(&[&arn(&elsewhere.target, "db", "orders"), &arn(&elsewhere.target, "snapshot", "orders-manual")]);
    let report = elsewhere.run::<RdsPublicSnapshot>(batch, Mode::Apply).await;
    assert_eq!(report.count(Outcome::Gone), 2, "{report:?}");
    assert_eq!(theirs.restore(Database::Instance, "orders-manual").await.unwrap(), ["all"]);
}

#[tokio::test]
async fn what_an_instance_that_is_gone_has_left_is_fixed_and_only_then_it_complies() {
    let of = organization().await;
    database(&of, Database::Instance, "left", &["all", PARTNER]).await.unwrap();
    Databases::of(&of.target).delete(Database::Instance, "left").await.unwrap();
    for outcome in [Outcome::Fixed, Outcome::AlreadyCompliant] {
        let report = of.run::<RdsPublicSnapshot>(of.batch(&["left"]), Mode::Apply).await;
        assert_eq!(report.count(outcome), 1, "{report:?}");
        assert_eq!(restore(&of.target, Database::Instance, "left").await.unwrap(), [PARTNER]);
    }
}

#[tokio::test]
async fn encrypted_snapshots_comply() {
    let of = organization().await;
    let databases = Databases::of(&of.target);
    databases.make(Database::Instance, "encrypted", true, &[]).await.unwrap();
    databases.make(Database::Cluster, "encrypted-cluster", true, &[PARTNER]).await.unwrap();
    let report = of.run::<RdsPublicSnapshot>(of.batch(&["encrypted", "encrypted-cluster"]), Mode::Apply).await;
    assert_eq!(report.count(Outcome::AlreadyCompliant), 2, "{report:?}");
}

/// Every resource is looked at, and what was public is private then: who may restore `public` is checked each time.
async fn each_leads_to(of: &Organization, resources: &[&str], kind: Database, public: &str) {
    let databases = Databases::of(&of.target);
    for resource in resources {
        databases.share(kind, public, "all").await.unwrap();
        let report = of.run::<RdsPublicSnapshot>(of.batch(&[resource]), Mode::Apply).await;
        assert_eq!(report.count(Outcome::Fixed), 1, "{resource}: {report:?}");
        assert!(databases.restore(kind, public).await.unwrap().is_empty(), "{resource}");
        forget(of).await;
    }
}

/// Forgets what was done to each resource: it is the same one by all of its names, and would be fought over.
async fn forget(of: &Organization) {
    for card in of.central.keys(&of.bucket, "resources/").await.unwrap() {
        of.central.s3.delete_object().bucket(&of.bucket).key(card).send().await.unwrap();
    }
}

#[tokio::test]
async fn an_instance_of_a_cluster_leads_to_its_clusters_snapshots() {
    let of = organization().await;
    let databases = Databases::of(&of.target);
    database(&of, Database::Cluster, "sales", &[]).await.unwrap();
    databases.make_member("sales", "sales-writer").await.unwrap();
    let id = databases.resource_id(Database::Instance, "sales-writer").await.unwrap();
    let names = ["sales-writer", &id, &arn(&of.target, "db", "sales-writer")];
    each_leads_to(&of, &names, Database::Cluster, "sales-manual").await;
}

#[tokio::test]
async fn an_instance_and_a_cluster_of_one_name_are_both_looked_at() {
    let of = organization().await;
    for kind in [Database::Instance, Database::Cluster] {
        database(&of, kind, "shop", &[]).await.unwrap();
    }
    for kind in [Database::Instance, Database::Cluster] {
        each_leads_to(&of, &["shop"], kind, "shop-manual").await;
    }
}

#[tokio::test]
async fn a_renamed_database_leads_to_what_was_taken_before() {
    let of = organization().await;
    let databases = Databases::of(&of.target);
    for (kind, of_arn) in [(Database::Instance, "db"), (Database::Cluster, "cluster")] {
        let (before, after) = (format!("{of_arn}-before"), format!("{of_arn}-after"));
        database(&of, kind, &before, &[]).await.unwrap();
        let id = databases.resource_id(kind, &before).await.unwrap();
        databases.rename(kind, &before, &after).await.unwrap();
        let names = [&after, &id, &arn(&of.target, of_arn, &after), &before, &arn(&of.target, of_arn, &before)];
        each_leads_to(&of, &names.map(String::as_str), kind, &format!("{before}-manual")).await;
        // Once it is gone, its snapshots know it still.
        databases.delete(kind, &after).await.unwrap();
        each_leads_to(&of, &[&id, &before], kind, &format!("{before}-manual")).await;
    }
}

#[tokio::test]
async fn a_snapshot_leads_to_itself_by_its_name_and_its_arn() {
    let of = organization().await;
    for (kind, of_arn) in [(Database::Instance, "snapshot"), (Database::Cluster, "cluster-snapshot")] {
        let name = format!("{of_arn}-of");
        database(&of, kind, &name, &[]).await.unwrap();
        let snapshot = format!("{name}-manual");
        each_leads_to(&of, &[&snapshot, &arn(&of.target, of_arn, &snapshot)], kind, &snapshot).await;
    }
}

#[tokio::test]
async fn a_name_that_nothing_has_is_failed_with_what_was_looked_for() {
    let of = organization().await;
    let report = of.run::<RdsPublicSnapshot>(of.batch(&["nobodys", "rds:nobodys"]), Mode::Apply).await;
    assert_eq!(report.count(Outcome::Failed), 2, "{report:?}");
    for (finding, says) in report.findings.iter().zip(["no DB instance, DB cluster, snapshot", "no DB snapshot or"]) {
        assert!(finding.detail.as_ref().unwrap().contains(says), "{finding:?}");
    }
}

#[tokio::test]
async fn a_snapshot_that_is_copied_is_deferred_and_the_others_are_fixed() {
    let of = organization().await;
    let (emulator, databases) = (Emulator::shared().await.unwrap(), Databases::of(&of.target));
    let kinds =
        [(Database::Instance, "snapshot", "of-instance"), (Database::Cluster, "cluster-snapshot", "of-cluster")];
    for (kind, of_arn, name) in kinds {
        let copy = format!("{name}-copy");
        database(&of, kind, name, &["all"]).await.unwrap();
        databases.make_snapshot(kind, name, &copy, &["all"]).await.unwrap();
        emulator.set_status(&arn(&of.target, of_arn, &copy), "copying").await.unwrap();
    }
    let batch = of.batch(&kinds.map(|(_, _, name)| name));
    let report = of.run::<RdsPublicSnapshot>(batch, Mode::Apply).await;
    assert_eq!(report.count(Outcome::Deferred), 2, "{report:?}");
    for (finding, (kind, _, name)) in report.findings.iter().zip(kinds) {
        let detail = finding.detail.as_ref().unwrap();
        assert!(detail.contains(&format!("{name}-copy is copying")) && detail.contains("next run"), "{detail}");
        assert_eq!(finding.written, 1, "{finding:?}");
        assert!(restore(&of.target, kind, name).await.unwrap().is_empty());
    }
    // The next poll finds them available.
    for (_, of_arn, name) in kinds {
        emulator.set_status(&arn(&of.target, of_arn, &format!("{name}-copy")), "available").await.unwrap();
    }
    let report = of.run::<RdsPublicSnapshot>(of.batch(&kinds.map(|(_, _, name)| name)), Mode::Apply).await;
    assert_eq!(report.count(Outcome::Fixed), 2, "{report:?}");
}

#[tokio::test]
async fn a_finding_without_a_region_goes_by_its_arn() {
    let of = organization().await;
    let elsewhere = Databases::of(&of.target.in_region("eu-west-1"));
    elsewhere.make(Database::Instance, "afar", false, &["all"]).await.unwrap();
    let arn = arn(&of.target, "db", "afar").replace("us-east-1", "eu-west-1");
    let mut batch = of.batch(&[&arn, "afar"]);
    batch.findings.iter_mut().for_each(|finding| finding.region = Region::global());
    let report = of.run::<RdsPublicSnapshot>(batch, Mode::Apply).await;
    let outcomes: Vec<_> = report.findings.iter().map(|finding| finding.outcome).collect();
    assert_eq!(outcomes, [Outcome::Fixed, Outcome::Failed], "{report:?}");
    assert!(report.findings[1].detail.as_ref().unwrap().contains("names no region"), "{report:?}");
    assert!(elsewhere.restore(Database::Instance, "afar-manual").await.unwrap().is_empty());
}

#[tokio::test]
async fn another_region_or_account_in_the_arn_is_said_and_stops_nobody() {
    let of = organization().await;
    database(&of, Database::Instance, "orders", &["all"]).await.unwrap();
    let elsewhere = format!("arn:aws:rds:eu-west-1:{}:db:orders", of.target.id);
    let theirs = format!("arn:aws:rds:us-east-1:{PARTNER}:db:orders");
    let report = of.run::<RdsPublicSnapshot>(of.batch(&[&elsewhere, &theirs, "orders"]), Mode::Apply).await;
    let outcomes: Vec<_> = report.findings.iter().map(|finding| finding.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Failed, Outcome::Fixed], "{report:?}");
    for (finding, says) in report.findings.iter().zip(["is in the region eu-west-1", "belongs to the account 9999"]) {
        assert!(finding.detail.as_ref().unwrap().contains(says), "{finding:?}");
    }
}
