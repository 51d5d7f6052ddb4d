//! The rule `iam-stale-access-key` through the engine.

use remediation::{Guard, Mode, Outcome, Region};
use rules::iam_stale_access_key::{IamStaleAccessKey, Settings};
use testkit::Result;
use testkit::emulator::Emulator;
use testkit::organization::{Organization, Proposed};
use testkit::subjects::iam_stale_access_key::set_last_use;

/// A user below a path, with an active key of each age in days.
async fn user(of: &Organization, name: &str, ages: &[i64]) -> Result<String> {
    of.target.make_user("/of/a/path/", name, ages).await?;
    Ok(name.to_owned())
}

fn arn(of: &Organization, user: &str) -> String {
    format!("arn:aws:iam::{}:user/of/a/path/{user}", of.target.id)
}

async fn organization() -> Organization {
    Organization::new::<IamStaleAccessKey>(Emulator::shared().await.unwrap()).await.unwrap()
}

/// The status of each key of a user.
async fn statuses(of: &Organization, user: &str) -> Vec<String> {
    let keys = of.target.access_keys(user).await.unwrap();
    keys.as_array().unwrap().iter().map(|key| key["status"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn both_stale_keys_go_and_a_young_one_beside_a_stale_one_stays() {
    let of = organization().await;
    for (name, ages, found, changed) in
        [("both", [91, 4000], ["Inactive", "Inactive"], 2), ("one", [91, 89], ["Inactive", "Active"], 1)]
    {
        let user = user(&of, name, &ages).await.unwrap();
        let report = of.run::<IamStaleAccessKey>(of.batch(&[&user]), Mode::Apply).await;
        assert_eq!(report.count(Outcome::Fixed), 1, "{report:?}");
        assert_eq!((report.findings[0].written, report.findings[0].changes.len()), (changed, changed), "{report:?}");
        assert_eq!(statuses(&of, &user).await, found, "{name}");
    }
}

/// As Netskope lists it: with a bare user name and the region `global`.
#[tokio::test]
async fn a_global_finding_is_fixed() {
    let of = organization().await;
    let user = user(&of, "global", &[91]).await.unwrap();
    let mut batch = of.batch(&[&user, &arn(&of, &user)]);
    batch.findings.iter_mut().for_each(|finding| finding.region = Region::global());
    let report = of.run::<IamStaleAccessKey>(batch, Mode::Apply).await;
    assert_eq!(report.count(Outcome::Fixed), 2, "{report:?}");
    assert_eq!(statuses(&of, &user).await, ["Inactive"]);
}

#[tokio::test]
async fn every_page_of_the_keys_is_read() {
    let of = organization().await;
    of.target.set_page_size(Emulator::shared().await.unwrap(), 1).await.unwrap();
    let user = user(&of, "paged", &[89, 91]).await.unwrap();
    let report = of.run::<IamStaleAccessKey>(of.batch(&[&user]), Mode::Apply).await;
    assert_eq!((report.count(Outcome::Fixed), report.findings[0].written), (1, 1), "{report:?}");
}

#[tokio::test]
async fn a_key_that_was_never_used_is_as_stale_as_any() {
    let of = organization().await;
    let ids = of.target.make_user("/", "unused", &[91]).await.unwrap();
    let used = of.target.iam.get_access_key_last_used().access_key_id(&ids[0]).send().await.unwrap();
    assert!(used.access_key_last_used.is_none_or(|used| used.last_used_date.is_none()));
    let report = of.run::<IamStaleAccessKey>(of.batch(&["unused"]), Mode::Apply).await;
    assert_eq!(report.count(Outcome::Fixed), 1, "{report:?}");
}

#[tokio::test]
async fn the_guard_warns_of_a_key_in_use_holds_it_or_does_not_look() {
    let (of, emulator) = (organization().await, Emulator::shared().await.unwrap());
    let used = async |name: &str| {
        let ids = of.target.make_user("/", name, &[91, 4000]).await.unwrap();
        set_last_use(emulator, &ids[0], 3, "s3", "eu-central-1").await.unwrap();
        set_last_use(emulator, &ids[1], 40, "ec2", "us-east-1").await.unwrap();
        ids[0].clone()
    };
    let settings = |guard_recent_use| Settings { guard_recent_use, ..Settings::default() };
    let action = "iam:GetAccessKeyLastUsed";

    used("unseen").await;
    let report = of.run_with::<IamStaleAccessKey>(settings(Guard::Off), of.batch(&["unseen"]), Mode::Apply).await;
    assert_eq!((report.count(Outcome::Fixed), report.findings[0].notes.len()), (1, 0), "{report:?}");
    assert!(!of.used(&of.target_role()).await.unwrap().contains(action));

    let key = used("seen").await;
    let Proposed { sights, .. } = of.propose::<IamStaleAccessKey>(settings(Guard::Hold), "seen").await.unwrap();
    let [saw] = &sights[..] else { panic!("{sights:?}") };
    let saw = saw.to_string();
    let says = format!("access key {key} was used with s3 in eu-central-1 (3 days ago, on 20");
    assert!(saw.starts_with(&says), "{saw}");
    let longer = Settings { guard_recent_use_days: 41, ..settings(Guard::Hold) };
    assert_eq!(of.propose::<IamStaleAccessKey>(longer, "seen").await.unwrap().sights.len(), 2);
    // Unless the policy says otherwise, it waits for a person.
    let held = of.run::<IamStaleAccessKey>(of.batch(&["seen"]), Mode::Apply).await;
    assert_eq!((held.count(Outcome::Held), statuses(&of, "seen").await), (1, vec!["Active".to_owned(); 2]), "{held:?}");
    let report = of.run_with::<IamStaleAccessKey>(settings(Guard::Warn), of.batch(&["seen"]), Mode::Apply).await;
    assert_eq!((report.count(Outcome::Fixed), &report.findings[0].notes), (1, &vec![saw.clone()]), "{report:?}");
    assert_eq!(statuses(&of, "seen").await, ["Inactive", "Inactive"]);

    let unused = user(&of, "unused", &[91]).await.unwrap();
    let proposed = of.propose::<IamStaleAccessKey>(settings(Guard::Hold), &unused).await.unwrap();
    assert_eq!((proposed.proposal.changes.len(), proposed.sights), (1, vec![]));
}

#[tokio::test]
async fn an_inactive_key_and_a_user_without_keys_comply() {
    let of = organization().await;
    user(&of, "keyless", &[]).await.unwrap();
    let ids = of.target.make_user("/", "inactive", &[4000]).await.unwrap();
    let update = of.target.iam.update_access_key().user_name("inactive").access_key_id(&ids[0]);
    update.status("Inactive".into()).send().await.unwrap();
    let report = of.run::<IamStaleAccessKey>(of.batch(&["keyless", "inactive"]), Mode::Apply).await;
    assert_eq!(report.count(Outcome::AlreadyCompliant), 2, "{report:?}");
}

#[tokio::test]
async fn another_accounts_user_and_the_root_are_not_touched_and_stop_nobody() {
    let of = organization().await;
    let user = user(&of, "ours", &[91]).await.unwrap();
    let theirs = "arn:aws:iam::999999999999:user/ours";
    let report = of.run::<IamStaleAccessKey>(of.batch(&[theirs, "<root_account>", &user]), Mode::Apply).await;
    let outcomes: Vec<_> = report.findings.iter().map(|finding| finding.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Failed, Outcome::Fixed], "{report:?}");
    let detail = report.findings[0].detail.as_ref().unwrap();
    assert!(detail.contains("belongs to the account 999999999999"), "{detail}");
}
