//! The rule `cloudtrail-unvalidated-logs` through the engine.

use std::collections::BTreeMap;

use remediation::{Mode, Outcome, Region, Rule};
use rules::cloudtrail_unvalidated_logs::CloudTrailUnvalidatedLogs;
use serde_json::json;
use testkit::account::{Account, REGION};
use testkit::emulator::Emulator;
use testkit::organization::Organization;
use testkit::subjects::Subject;
use testkit::subjects::cloudtrail_unvalidated_logs::{OrganizationTrail, RegionalTrail, TrailScope, Trails, arn};

/// A region that is not the one in which tests work.
const ELSEWHERE: &str = "eu-west-1";

#[tokio::test]
async fn what_the_runbooks_own_role_needs_for_it_is_named() {
    let of = organization().await;
    for (number, action) in
        ["iam:GetRole", "iam:CreateServiceLinkedRole", "organizations:ListAWSServiceAccessForOrganization"]
            .into_iter()
            .enumerate()
    {
        let trail = OrganizationTrail::violating(&of.target, &format!("denied-{number}")).await.unwrap();
        let taken = of.target.take_away(&of.service_role(), action).await.unwrap();
        let report = of.run::<CloudTrailUnvalidatedLogs>(of.batch(&[&trail]), Mode::Apply).await;
        assert_eq!(report.count(Outcome::Failed), 1, "{action}: {report:?}");
        assert!(report.findings[0].detail.as_ref().unwrap().contains(action), "{action}: {report:?}");
        of.target.give_back(&of.service_role(), taken).await.unwrap();
    }
}

async fn organization() -> Organization {
    Organization::new::<CloudTrailUnvalidatedLogs>(Emulator::shared().await.unwrap()).await.unwrap()
}

async fn is_validated(account: &Account, region: &str, trail: &str) -> bool {
    Trails::of(&account.in_region(region)).get(trail).await.unwrap().log_file_validation_enabled.unwrap()
}

async fn tags(of: &Organization, trail: &str) -> BTreeMap<String, String> {
    let client = of.read_client::<CloudTrailUnvalidatedLogs>().await.unwrap();
    let seen = of.look::<CloudTrailUnvalidatedLogs>(&client, trail).await.unwrap();
    CloudTrailUnvalidatedLogs::tags(&client, &seen).await.unwrap()
}

#[tokio::test]
async fn a_trail_is_changed_in_its_home_region_wherever_it_was_found() {
    let of = organization().await;
    let home = Trails::of(&of.target.in_region(ELSEWHERE));
    for (name, named) in [("by-name", "by-name".to_owned()), ("by-arn", arn(&of.target.in_region(ELSEWHERE), "by-arn"))]
    {
        let trail = home.make(name, false, TrailScope::AllRegions).await.unwrap();
        Trails::of(&of.target.in_region(ELSEWHERE)).tag(&trail, "name", name).await.unwrap();
        assert_eq!(tags(&of, &named).await, [("name".to_owned(), name.to_owned())].into());
        let report = of.run::<CloudTrailUnvalidatedLogs>(of.batch(&[&named]), Mode::Apply).await;
        assert_eq!(report.count(Outcome::Fixed), 1, "{report:?}");
        assert!(is_validated(&of.target, ELSEWHERE, name).await, "{name}");
    }
}

#[tokio::test]
async fn the_regions_own_trail_comes_before_another_of_its_name() {
    let of = organization().await;
    Trails::of(&of.target).make("audit", false, TrailScope::Region).await.unwrap();
    let elsewhere = Trails::of(&of.target.in_region(ELSEWHERE));
    let bucket = format!("audit-{}-{REGION}", of.target.id);
    let made = elsewhere.cloudtrail.create_trail().name("audit").s3_bucket_name(bucket).is_multi_region_trail(true);
    made.send().await.unwrap();
    let report = of.run::<CloudTrailUnvalidatedLogs>(of.batch(&["audit"]), Mode::Apply).await;
    assert_eq!(report.count(Outcome::Fixed), 1, "{report:?}");
    assert!(is_validated(&of.target, REGION, "audit").await);
    assert!(!is_validated(&of.target, ELSEWHERE, "audit").await);
}

#[tokio::test]
async fn an_organizations_trail_is_not_touched_in_a_member_account() {
    let emulator = Emulator::shared().await.unwrap();
    let management = Account::fresh(emulator);
    let member = management.make_organization(emulator).await.unwrap();
    let trail = Trails::of(&management).make("everybodys", false, TrailScope::Organization).await.unwrap();
    Trails::of(&management).tag(&trail, "keep", "yes").await.unwrap();
    let in_member = Organization::with_target::<CloudTrailUnvalidatedLogs>(emulator, Account::new(emulator, &member));
    let in_member = in_member.await.unwrap();
    let report =
        in_member.run::<CloudTrailUnvalidatedLogs>(in_member.batch(&["everybodys", &trail]), Mode::Apply).await;
    assert_eq!(report.count(Outcome::Held), 2, "{report:?}");
    for finding in &report.findings {
        let detail = finding.detail.as_ref().unwrap();
        assert!(detail.contains(&format!("belongs to the account {}", management.id)), "{detail}");
    }
    assert!(!is_validated(&management, REGION, "everybodys").await);
    // The member's own trail of the name is what the name means there.
    Trails::of(&in_member.target).make("everybodys", false, TrailScope::Region).await.unwrap();
    let report = in_member.run::<CloudTrailUnvalidatedLogs>(in_member.batch(&["everybodys"]), Mode::Apply).await;
    assert_eq!(report.count(Outcome::Fixed), 1, "{report:?}");
    assert!(is_validated(&in_member.target, REGION, &arn(&in_member.target, "everybodys")).await);
    assert!(!is_validated(&management, REGION, "everybodys").await);

    let in_management = Organization::with_target::<CloudTrailUnvalidatedLogs>(emulator, management.clone());
    let in_management = in_management.await.unwrap();
    assert!(tags(&in_management, "everybodys").await.contains_key("keep"));
    let batch = in_management.batch(&["everybodys"]);
    let report = in_management.run::<CloudTrailUnvalidatedLogs>(batch, Mode::Apply).await;
    assert_eq!(report.count(Outcome::Fixed), 1, "{report:?}");
}

#[tokio::test]
async fn what_the_runbooks_own_role_may_not_do_is_named() {
    let of = organization().await;
    let trail = RegionalTrail::violating(&of.target, "denied").await.unwrap();
    let taken = of.target.take_away(&of.service_role(), "cloudtrail:UpdateTrail").await.unwrap();
    let report = of.run::<CloudTrailUnvalidatedLogs>(of.batch(&[&trail]), Mode::Apply).await;
    assert_eq!(report.count(Outcome::Failed), 1, "{report:?}");
    let detail = report.findings[0].detail.as_ref().unwrap();
    assert!(detail.contains("cloudtrail:UpdateTrail") && detail.contains("the step "), "{detail}");
    assert!(!is_validated(&of.target, REGION, &trail).await);
    // Without the right to look, the runbook ends in a failure, although it has done its work: our own look proves it.
    of.target.give_back(&of.service_role(), taken).await.unwrap();
    of.target.take_away(&of.service_role(), "cloudtrail:GetTrail").await.unwrap();
    let report = of.run::<CloudTrailUnvalidatedLogs>(of.batch(&[&trail]), Mode::Apply).await;
    assert_eq!(report.count(Outcome::Fixed), 1, "{report:?}");
    let detail = report.findings[0].detail.as_ref().unwrap();
    assert!(detail.contains("and yet the resource complies") && detail.contains("cloudtrail:GetTrail"), "{detail}");
}

#[tokio::test]
async fn an_arn_leads_to_no_other_region_or_account() {
    let of = organization().await;
    let trail = RegionalTrail::violating(&of.target, "ours").await.unwrap();
    let elsewhere = arn(&of.target.in_region(ELSEWHERE), "ours");
    let theirs = "arn:aws:cloudtrail:us-east-1:999999999999:trail/ours";
    let unknown = "nobodys";
    let report =
        of.run::<CloudTrailUnvalidatedLogs>(of.batch(&[&elsewhere, theirs, unknown, &trail]), Mode::Apply).await;
    let outcomes: Vec<_> = report.findings.iter().map(|finding| finding.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Failed, Outcome::Failed, Outcome::Fixed], "{report:?}");
    let says = [
        "is in the region eu-west-1, but the finding is of us-east-1",
        "belongs to the account 9999",
        "no trail named `nobodys` logs in us-east-1",
    ];
    for (finding, says) in report.findings.iter().zip(says) {
        assert!(finding.detail.as_ref().unwrap().contains(says), "{finding:?}");
    }
    // A trail of one region logs nowhere else, so it is changed for a finding of that region alone.
    Trails::of(&of.target.in_region(ELSEWHERE)).make("ours", false, TrailScope::Region).await.unwrap();
    let mut batch = of.batch(&[&elsewhere, &elsewhere]);
    batch.findings[1].region = Region::code(ELSEWHERE);
    let report = of.run::<CloudTrailUnvalidatedLogs>(batch, Mode::Apply).await;
    let outcomes: Vec<_> = report.findings.iter().map(|finding| finding.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Fixed], "{report:?}");
    assert!(is_validated(&of.target, ELSEWHERE, "ours").await);
}

#[tokio::test]
async fn a_finding_without_a_region_goes_by_its_arn() {
    let of = organization().await;
    let trail = Trails::of(&of.target.in_region(ELSEWHERE)).make("afar", false, TrailScope::Region).await.unwrap();
    let mut batch = of.batch(&[&trail, "afar"]);
    batch.findings.iter_mut().for_each(|finding| finding.region = Region::global());
    let report = of.run::<CloudTrailUnvalidatedLogs>(batch, Mode::Apply).await;
    let outcomes: Vec<_> = report.findings.iter().map(|finding| finding.outcome).collect();
    assert_eq!(outcomes, [Outcome::Fixed, Outcome::Failed], "{report:?}");
    assert!(report.findings[1].detail.as_ref().unwrap().contains("names no region"), "{report:?}");
    assert!(is_validated(&of.target, ELSEWHERE, "afar").await);
}

#[tokio::test]
async fn where_the_runbook_is_not_there_nothing_is_changed() {
    let of = organization().await;
    let trail = RegionalTrail::violating(&of.target, "direct").await.unwrap();
    let runbook = &of.manifest.runbook.as_ref().unwrap().name;
    of.target.set(Emulator::shared().await.unwrap(), "missing_runbooks", json!([runbook])).await.unwrap();
    let report = of.run::<CloudTrailUnvalidatedLogs>(of.batch(&[&trail]), Mode::Apply).await;
    assert_eq!(report.count(Outcome::Failed), 1, "{report:?}");
    assert!(
        report.findings[0].detail.as_ref().unwrap().contains("AutomationDefinitionNotFoundException"),
        "{report:?}"
    );
    assert!(!is_validated(&of.target, REGION, "direct").await);
    assert!(!of.used(&of.target_role()).await.unwrap().contains("cloudtrail:UpdateTrail"));
}
