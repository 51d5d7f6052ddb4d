//! The rule `rds-public-snapshot` through the engine.

use rds_public_snapshot::RdsPublicSnapshot;
use remediation::{Mode, Outcome};
use serde_json::{Value, json};
use testkit::Result;
use testkit::account::Account;
use testkit::cases::Subject;
use testkit::emulator::Emulator;
use testkit::organization::Organization;
use testkit::snapshots::{Database, Databases};

/// An account that the owner listed by name.
const PARTNER: &str = "999999999999";

/// The cases of the shared table that one database goes through.
macro_rules! database_cases {
    ($subject:ty) => {
        testkit::rule_cases!($subject: a_violating_resource_is_fixed, a_complying_resource_is_left_alone,
            a_resource_that_is_gone_is_gone, every_form_of_the_name_works, throttled_and_then_fine,
            run_twice_the_second_finds_nothing_to_do, two_runs_at_once_end_in_the_same_state,
            undone_it_is_as_it_was_also_twice, mode_plan_writes_nothing, its_tags_are_read);
    };
}

mod instance {
    use super::*;

    struct Instance;

    impl Subject for Instance {
        type Rule = RdsPublicSnapshot;
        const THROTTLED: (&str, &[&str]) = (
            "Throttling",
            &[
                "rds:DescribeDBInstances",
                "rds:DescribeDBSnapshots",
                "rds:DescribeDBSnapshotAttributes",
                "rds:ModifyDBSnapshotAttribute",
            ],
        );

        async fn violating(of: &Organization, name: &str) -> Result<String> {
            database(of, Database::Instance, name, &["all", PARTNER]).await
        }

        async fn complying(of: &Organization, name: &str) -> Result<String> {
            database(of, Database::Instance, name, &[PARTNER]).await
        }

        fn gone(_: &Organization) -> String {
            "gone".into()
        }

        /// The emulator gives every instance the same resource ID, so it names the only one of the account.
        fn names(of: &Organization, resource: &str) -> Vec<String> {
            vec![resource.to_owned(), arn(of, "db", resource), "db-M5ENSHXFPU6XHZ4G4ZEI5QIO2U".into()]
        }

        async fn tag(of: &Organization, resource: &str, key: &str, value: &str) -> Result<()> {
            of.target.tag_rds(&arn(of, "db", resource), key, value).await
        }

        async fn describe(of: &Organization, resource: &str) -> Result<Value> {
            Ok(json!(restore(of, Database::Instance, resource).await?))
        }
    }

    database_cases!(Instance);
}

mod cluster {
    use super::*;

    struct Cluster;

    impl Subject for Cluster {
        type Rule = RdsPublicSnapshot;
        const THROTTLED: (&str, &[&str]) = (
            "Throttling",
            &[
                "rds:DescribeDBClusters",
                "rds:DescribeDBClusterSnapshots",
                "rds:DescribeDBClusterSnapshotAttributes",
                "rds:ModifyDBClusterSnapshotAttribute",
            ],
        );

        async fn violating(of: &Organization, name: &str) -> Result<String> {
            database(of, Database::Cluster, name, &["all", PARTNER]).await
        }

        async fn complying(of: &Organization, name: &str) -> Result<String> {
            database(of, Database::Cluster, name, &[PARTNER]).await
        }

        fn gone(of: &Organization) -> String {
            arn(of, "cluster", "gone")
        }

        fn names(of: &Organization, resource: &str) -> Vec<String> {
            vec![resource.to_owned(), arn(of, "cluster", resource)]
        }

        async fn tag(of: &Organization, resource: &str, key: &str, value: &str) -> Result<()> {
            of.target.tag_rds(&arn(of, "cluster", resource), key, value).await
        }

        async fn describe(of: &Organization, resource: &str) -> Result<Value> {
            Ok(json!(restore(of, Database::Cluster, resource).await?))
        }
    }

    database_cases!(Cluster);
}

mod permissions {
    use super::*;

    /// A name of an instance that is gone and left a public snapshot, and of a cluster with one: all the calls in one
    /// finding.
    struct Both;

    impl Subject for Both {
        type Rule = RdsPublicSnapshot;
        const THROTTLED: (&str, &[&str]) = ("Throttling", &[]);

        async fn violating(of: &Organization, name: &str) -> Result<String> {
            database(of, Database::Cluster, name, &["all"]).await?;
            database(of, Database::Instance, name, &["all"]).await?;
            Databases::of(&of.target).delete(Database::Instance, name).await?;
            Ok(name.to_owned())
        }

        async fn complying(of: &Organization, name: &str) -> Result<String> {
            database(of, Database::Cluster, name, &[]).await
        }

        fn gone(_: &Organization) -> String {
            "gone".into()
        }

        fn names(_: &Organization, resource: &str) -> Vec<String> {
            vec![resource.to_owned()]
        }

        async fn tag(of: &Organization, resource: &str, key: &str, value: &str) -> Result<()> {
            // What is left of the instance has a word, too.
            of.target.tag_rds(&arn(of, "snapshot", &format!("{resource}-manual")), key, value).await?;
            of.target.tag_rds(&arn(of, "cluster", resource), key, value).await
        }

        async fn describe(of: &Organization, resource: &str) -> Result<Value> {
            let instance = restore(of, Database::Instance, resource).await?;
            Ok(json!([instance, restore(of, Database::Cluster, resource).await?]))
        }
    }

    testkit::rule_cases!(Both: each_permission_taken_away_is_named, a_violating_resource_is_fixed,
        the_manifest_has_exactly_the_permissions_that_are_used, undone_it_is_as_it_was_also_twice, its_tags_are_read);
}

/// A database with one manual snapshot that these may restore.
async fn database(of: &Organization, kind: Database, name: &str, restore: &[&str]) -> Result<String> {
    Databases::of(&of.target).make(kind, name, false, restore).await?;
    Ok(name.to_owned())
}

/// Who may restore the snapshot of a database.
async fn restore(of: &Organization, kind: Database, name: &str) -> Result<Vec<String>> {
    Databases::of(&of.target).restore(kind, &format!("{name}-manual")).await
}

fn arn(of: &Organization, kind: &str, name: &str) -> String {
    format!("arn:aws:rds:us-east-1:{}:{kind}:{name}", of.target.id)
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
    let report = elsewhere.run::<RdsPublicSnapshot>(elsewhere.batch(&["orders"]), Mode::Apply).await;
    assert_eq!(report.count(Outcome::Gone), 1, "{report:?}");
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
        assert_eq!(restore(&of, Database::Instance, "left").await.unwrap(), [PARTNER]);
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
