//! The rule `vpc-without-flow-logs` through the engine.

use std::time::Duration;

use remediation::{Mode, Outcome, Plan, Report, Rule};
use rules::vpc_without_flow_logs::{Settings, Traffic, VpcWithoutFlowLogs};
use serde_json::{Value, json};
use testkit::emulator::Emulator;
use testkit::organization::Organization;
use testkit::subjects::vpc_without_flow_logs::Vpcs;

fn vpcs(of: &Organization) -> Vpcs {
    Vpcs::of(&of.target)
}

/// The log group of a VPC.
fn group(of: &Organization, vpc: &str) -> String {
    format!("/autoremediate/vpc-flow-logs/{}/{vpc}", of.target.id)
}

async fn organization() -> Organization {
    Organization::new::<VpcWithoutFlowLogs>(Emulator::shared().await.unwrap()).await.unwrap()
}

async fn apply(of: &Organization, vpc: &str) -> Report {
    of.run::<VpcWithoutFlowLogs>(of.batch(&[vpc]), Mode::Apply).await
}

/// Undoes the stored plan of a report.
async fn undo(of: &Organization, report: &Report) {
    try_undo(of, report).await.unwrap();
}

async fn try_undo(of: &Organization, report: &Report) -> remediation::Result<()> {
    let stored = of.central.json(&of.bucket, &report.plan.as_ref().unwrap().key).await.unwrap();
    let plan: Plan<<VpcWithoutFlowLogs as Rule>::Change> = serde_json::from_value(stored).unwrap();
    let client = of.undo_client::<VpcWithoutFlowLogs>().await.unwrap();
    let planned = &plan.resources[0];
    let undo = VpcWithoutFlowLogs::undo(&planned.changes[0].change);
    VpcWithoutFlowLogs::apply(&client, &planned.resource, &undo).await
}

/// What the rule makes, as it is described.
fn made(of: &Organization, vpc: &str, traffic: &str) -> Value {
    json!([{
        "group": group(of, vpc), "traffic": traffic, "status": "SUCCESS", "error": null,
        "role": format!("arn:aws:iam::{}:role/{}", of.target.id, of.service_role()),
        "tags": [["autoremediate", "vpc-without-flow-logs"]],
    }])
}

#[tokio::test]
async fn the_flow_log_delivers_to_a_group_of_the_vpc_that_is_kept_for_a_year() {
    let of = organization().await;
    let vpc = vpcs(&of).make_in_use("vpc").await.unwrap();
    let report = apply(&of, &vpc).await;
    assert_eq!(report.count(Outcome::Fixed), 1, "{report:?}");
    assert_eq!(report.findings[0].notes, [""; 0]);
    assert_eq!(vpcs(&of).described(&vpc).await.unwrap(), made(&of, &vpc, "ALL"));
    assert_eq!(vpcs(&of).log_groups("/").await.unwrap(), [(group(&of, &vpc), Some(365))]);
}

#[tokio::test]
async fn the_settings_choose_traffic_and_retention() {
    let of = organization().await;
    let vpc = vpcs(&of).make_in_use("vpc").await.unwrap();
    let settings = Settings { retention_days: 30, traffic: Traffic::Reject, ..Settings::default() };
    let report = of.run_with::<VpcWithoutFlowLogs>(settings, of.batch(&[&vpc]), Mode::Apply).await;
    assert_eq!(report.count(Outcome::Fixed), 1, "{report:?}");
    assert_eq!(vpcs(&of).described(&vpc).await.unwrap(), made(&of, &vpc, "REJECT"));
    assert_eq!(vpcs(&of).log_groups("/").await.unwrap(), [(group(&of, &vpc), Some(30))]);
}

/// A central bucket, and the settings that name it for the target account's region.
async fn central_bucket(of: &Organization, name: &str) -> (String, Settings) {
    let name = format!("{name}-{}", of.central.id);
    let arn = Vpcs::of(&of.central).make_bucket(&format!("{name}-{}", of.target.region), &of.target).await.unwrap();
    let place = format!("{}/{}", of.target.id, of.target.region);
    let destinations = json!({place: format!("arn:aws:s3:::{name}-{{region}}/vpc/"), "eu-north-1": "cloud-watch-logs"});
    let settings = json!({"destination": "arn:aws:s3:::no-such-bucket-{account}", "destinations": destinations});
    (format!("{arn}/vpc/"), serde_json::from_value(settings).unwrap())
}

#[tokio::test]
async fn the_settings_send_flow_logs_to_a_bucket_of_another_account_and_undo_takes_back_that_one_alone() {
    let of = organization().await;
    let (bucket, settings) = central_bucket(&of, "flow-logs").await;
    let vpc = vpcs(&of).make_in_use("vpc").await.unwrap();
    let planned = of.run_with::<VpcWithoutFlowLogs>(settings.clone(), of.batch(&[&vpc]), Mode::Plan).await;
    let summary = format!("create a flow log of ALL traffic to {bucket}");
    assert_eq!(planned.findings[0].changes[0], summary, "{planned:?}");
    let report = of.run_with::<VpcWithoutFlowLogs>(settings.clone(), of.batch(&[&vpc]), Mode::Apply).await;
    assert_eq!((report.count(Outcome::Unverified), report.findings[0].written), (1, 1), "{report:?}");
    let detail = report.findings[0].detail.as_ref().unwrap();
    assert!(detail.contains("is so new that a failure need not show yet"), "{detail}");
    let [made] = &vpcs(&of).flow_logs(&vpc).await.unwrap()[..] else { panic!() };
    assert_eq!((made.log_destination(), made.log_group_name()), (Some(bucket.as_str()), None), "{made:?}");
    assert_eq!((made.deliver_logs_permission_arn(), made.deliver_logs_status()), (None, Some("SUCCESS")));
    assert_eq!(vpcs(&of).log_groups("/").await.unwrap(), []);
    // Whatever the settings say by now: nothing more is made, and it is the same flow log that an undo takes back.
    let again = apply(&of, &vpc).await;
    assert_eq!((again.count(Outcome::Unverified), again.findings[0].written), (1, 0), "{again:?}");
    let theirs = vpcs(&of).make_flow_log(&vpc, "theirs", "missing").await.unwrap();
    for _ in 0..2 {
        undo(&of, &report).await;
        let left = vpcs(&of).flow_logs(&vpc).await.unwrap();
        assert_eq!(left.iter().filter_map(|of| of.flow_log_id()).collect::<Vec<_>>(), [&theirs]);
    }
}

#[tokio::test]
async fn to_a_bucket_the_role_needs_log_deliveries_and_no_log_group_or_role_of_ours() {
    let of = organization().await;
    let (_, settings) = central_bucket(&of, "rights").await;
    let needless = ["iam:PassRole", "logs:CreateLogGroup", "logs:PutRetentionPolicy"];
    for action in needless {
        of.take_away(action).await.unwrap();
    }
    let run =
        async |vpc: &str| of.run_with::<VpcWithoutFlowLogs>(settings.clone(), of.batch(&[vpc]), Mode::Apply).await;
    for action in ["logs:CreateLogDelivery", "logs:DeleteLogDelivery"] {
        let vpc = vpcs(&of).make_in_use(action).await.unwrap();
        let taken = of.take_away(action).await.unwrap();
        let report = run(&vpc).await;
        assert_eq!(report.count(Outcome::Failed), 1, "{report:?}");
        let detail = report.findings[0].detail.as_ref().unwrap();
        assert!(detail.starts_with("ec2:CreateFlowLogs") && detail.contains(action), "{detail}");
        of.give_back(taken).await.unwrap();
    }
    let vpc = vpcs(&of).make_in_use("whole").await.unwrap();
    let report = run(&vpc).await;
    assert_eq!((report.count(Outcome::Unverified), report.findings[0].written), (1, 1), "{report:?}");
    let taken = of.target.take_away(&of.undo_role(), "logs:DeleteLogDelivery").await.unwrap();
    let error = try_undo(&of, &report).await.unwrap_err().to_string();
    assert!(error.contains("logs:DeleteLogDelivery"), "{error}");
    of.target.give_back(&of.undo_role(), taken).await.unwrap();
    undo(&of, &report).await;
    let mut expected = of.actions();
    expected.retain(|action| !needless.contains(&action.as_str()));
    assert_eq!(of.used(&of.target_role()).await.unwrap(), expected);
    assert!(of.used(&of.undo_role()).await.unwrap().is_superset(&of.undo_actions()));
}

#[tokio::test]
async fn a_bucket_that_is_not_there_or_takes_nothing_is_told_and_nothing_is_made() {
    let of = organization().await;
    let vpc = vpcs(&of).make_in_use("vpc").await.unwrap();
    let name = format!("closed-{}", of.central.id);
    for (there, says) in [(false, "does not exist"), (true, "Please check LogDestination permission")] {
        if there {
            of.central.make_private_bucket(&name).await.unwrap();
        }
        let settings = serde_json::from_value(json!({"destination": format!("arn:aws:s3:::{name}")})).unwrap();
        let report = of.run_with::<VpcWithoutFlowLogs>(settings, of.batch(&[&vpc]), Mode::Apply).await;
        assert_eq!((report.count(Outcome::Failed), report.findings[0].written), (1, 0), "{report:?}");
        let detail = report.findings[0].detail.as_ref().unwrap();
        let what_to_do = format!("{says} (arn:aws:s3:::{name} must be a bucket, and its policy");
        assert!(detail.contains(&what_to_do), "{detail}");
        assert_eq!(vpcs(&of).flow_logs(&vpc).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_flow_log_of_ours_to_a_bucket_that_takes_nothing_any_more_is_held_with_what_to_do() {
    let of = organization().await;
    let (bucket, settings) = central_bucket(&of, "shut").await;
    let vpc = vpcs(&of).make_in_use("vpc").await.unwrap();
    of.run_with::<VpcWithoutFlowLogs>(settings, of.batch(&[&vpc]), Mode::Apply).await;
    let name = bucket.trim_start_matches("arn:aws:s3:::").trim_end_matches("/vpc/");
    let s3 = aws_sdk_s3::Client::new(&of.central.config);
    s3.delete_bucket_policy().bucket(name).send().await.unwrap();
    let report = apply(&of, &vpc).await;
    assert_eq!(report.count(Outcome::Held), 1, "{report:?}");
    let detail = report.findings[0].detail.as_ref().unwrap();
    let says = format!("to {bucket} delivers nothing: Access error. The bucket must exist, and its policy");
    assert!(detail.contains(&says), "{detail}");
}

#[tokio::test]
async fn a_log_group_that_is_there_keeps_its_retention_and_gets_one_where_it_has_none() {
    let of = organization().await;
    for (name, found, expected) in [("chosen", Some(7), 7), ("for ever", None, 365)] {
        let (vpcs, vpc) = (vpcs(&of), vpcs(&of).make_in_use(name).await.unwrap());
        let group = group(&of, &vpc);
        vpcs.logs.create_log_group().log_group_name(&group).send().await.unwrap();
        if let Some(days) = found {
            let call = vpcs.logs.put_retention_policy().log_group_name(&group).retention_in_days(days);
            call.send().await.unwrap();
        }
        let report = apply(&of, &vpc).await;
        assert_eq!(report.count(Outcome::Fixed), 1, "{report:?}");
        assert_eq!(vpcs.log_groups(&group).await.unwrap(), [(group.clone(), Some(expected))]);
        let notes = &report.findings[0].notes;
        let note = format!("the log group {group} exists and keeps its retention of 7 days, not 365");
        assert_eq!(*notes, Vec::from_iter((found == Some(7)).then_some(note)));
    }
}

#[tokio::test]
async fn a_failure_in_a_success_is_a_failure() {
    let of = organization().await;
    let vpc = vpcs(&of).make_in_use("vpc").await.unwrap();
    let emulator = Emulator::shared().await.unwrap();
    let error = json!("Access Denied for LogDestination");
    of.target.set(emulator, "flow_logs_error", error).await.unwrap();
    let report = apply(&of, &vpc).await;
    assert_eq!((report.count(Outcome::Failed), report.findings[0].written), (1, 0), "{report:?}");
    let detail = report.findings[0].detail.as_deref();
    assert_eq!(detail, Some("ec2:CreateFlowLogs: 400: Access Denied for LogDestination"));
    // The log group is there by now; the next poll goes on from it.
    of.target.set(emulator, "flow_logs_error", Value::Null).await.unwrap();
    assert_eq!(apply(&of, &vpc).await.count(Outcome::Fixed), 1);
}

/// Sets how long the emulator takes to find out whether a new flow log of the account delivers.
async fn set_delivery_seconds(of: &Organization, seconds: u32) {
    let emulator = Emulator::shared().await.unwrap();
    of.target.set(emulator, "flow_logs_delivery_seconds", json!(seconds)).await.unwrap();
}

#[tokio::test]
async fn a_flow_log_of_ours_that_fails_is_held_with_what_to_do_until_it_works() {
    let of = organization().await;
    // With and without anything to record; and where the failure shows a moment after the flow log is made.
    let used = vpcs(&of).make_in_use("used").await.unwrap();
    let unused = vpcs(&of).make("unused", false).await.unwrap();
    let later = vpcs(&of).make_in_use("later").await.unwrap();
    let taken = of.target.take_away(&of.service_role(), "logs:PutLogEvents").await.unwrap();
    for (vpc, seconds) in [(&used, 0), (&unused, 0), (&later, 2)] {
        set_delivery_seconds(&of, seconds).await;
        let mut report = apply(&of, vpc).await;
        assert_eq!(report.findings[0].written, 1, "{report:?}");
        if seconds > 0 {
            assert_eq!(report.count(Outcome::Unverified), 1, "{report:?}");
            tokio::time::sleep(Duration::from_secs(u64::from(seconds) + 1)).await;
            report = apply(&of, vpc).await;
        }
        assert_eq!(report.count(Outcome::Held), 1, "{report:?}");
        let id = vpcs(&of).flow_logs(vpc).await.unwrap()[0].flow_log_id.clone().unwrap();
        let detail = format!("the flow log {id} to {} delivers nothing: Access error. Its role arn:", group(&of, vpc));
        assert!(report.findings[0].detail.as_ref().unwrap().starts_with(&detail), "{report:?}");
        // As long as it lasts; and no second one is made.
        let again = apply(&of, vpc).await;
        assert_eq!((again.count(Outcome::Held), &again.plan), (1, &None), "{again:?}");
        assert_eq!(vpcs(&of).flow_logs(vpc).await.unwrap().len(), 1);
    }
    of.target.give_back(&of.service_role(), taken).await.unwrap();
    for vpc in [&used, &later] {
        let report = apply(&of, vpc).await;
        assert_eq!((report.count(Outcome::AlreadyCompliant), report.findings[0].notes.len()), (1, 0), "{report:?}");
    }
}

#[tokio::test]
async fn a_flow_log_of_ours_is_unverified_until_something_of_it_arrives() {
    let of = organization().await;
    let vpc = vpcs(&of).make_in_use("vpc").await.unwrap();
    set_delivery_seconds(&of, 3600).await;
    for (count, written) in [(1, 1), (1, 0)] {
        let report = apply(&of, &vpc).await;
        assert_eq!((report.count(Outcome::Unverified), report.findings[0].written), (count, written), "{report:?}");
        let detail = report.findings[0].detail.as_ref().unwrap();
        assert!(detail.contains(&format!("has not delivered anything to {} yet", group(&of, &vpc))), "{detail}");
    }
    set_delivery_seconds(&of, 0).await;
    assert_eq!(apply(&of, &vpc).await.count(Outcome::AlreadyCompliant), 1);
}

#[tokio::test]
async fn where_nothing_is_in_use_it_is_unverified_at_first_too() {
    let of = organization().await;
    let vpc = vpcs(&of).make("vpc", false).await.unwrap();
    let report = apply(&of, &vpc).await;
    assert_eq!((report.count(Outcome::Unverified), report.findings[0].written), (1, 1), "{report:?}");
    // What somebody else puts there, or put there before, is no delivery.
    let (logs, group) = (vpcs(&of).logs, group(&of, &vpc));
    logs.create_log_stream().log_group_name(&group).log_stream_name("by-hand").send().await.unwrap();
    assert_eq!(apply(&of, &vpc).await.count(Outcome::Unverified), 1);
}

#[tokio::test]
async fn somebody_elses_flow_log_that_fails_is_held_and_nothing_is_made() {
    let of = organization().await;
    let vpc = vpcs(&of).make_in_use("vpc").await.unwrap();
    let id = vpcs(&of).make_flow_log(&vpc, "theirs", "missing").await.unwrap();
    let report = apply(&of, &vpc).await;
    assert_eq!((report.count(Outcome::Held), &report.plan), (1, &None), "{report:?}");
    let detail = report.findings[0].detail.as_ref().unwrap();
    assert!(detail.starts_with(&format!("the flow log {id} to theirs delivers nothing: Access error.")), "{detail}");
    assert_eq!(vpcs(&of).log_groups("/").await.unwrap(), []);
    // Another one that works is enough, and the failing one is noted.
    let working = "/autoremediate/vpc-flow-logs/theirs";
    vpcs(&of).make_flow_log(&vpc, working, &of.service_role()).await.unwrap();
    let report = apply(&of, &vpc).await;
    assert_eq!((report.count(Outcome::AlreadyCompliant), report.findings[0].notes.len()), (1, 1), "{report:?}");
}

#[tokio::test]
async fn a_vpc_that_another_account_shares_is_held_before_anything_is_made() {
    let of = organization().await;
    let emulator = Emulator::shared().await.unwrap();
    let owner = testkit::account::Account::fresh(emulator);
    let owners = Vpcs::of(&owner);
    let vpc = owners.make("theirs", false).await.unwrap();
    let subnet = owners.make_subnet(&vpc, 1, "shared").await.unwrap();
    owners.share_subnet(emulator, &subnet, &of.target.id).await.unwrap();
    for mode in [Mode::Plan, Mode::Apply] {
        let report = of.run::<VpcWithoutFlowLogs>(of.batch(&[&vpc]), mode).await;
        assert_eq!((report.count(Outcome::Held), &report.plan), (1, &None), "{report:?}");
        let detail = report.findings[0].detail.as_ref().unwrap();
        assert!(detail.contains(&format!("belongs to the account {}", owner.id)), "{detail}");
    }
    assert_eq!(vpcs(&of).log_groups("/").await.unwrap(), []);
    assert_eq!(owners.flow_logs(&vpc).await.unwrap().len(), 0);
}

#[tokio::test]
async fn every_permission_of_the_delivery_role_is_needed() {
    let of = organization().await;
    let permissions = of.manifest.service_role.as_ref().unwrap().permissions.clone();
    let vpc = vpcs(&of).make_in_use("vpc").await.unwrap();
    assert_eq!(apply(&of, &vpc).await.count(Outcome::Fixed), 1);
    // EC2 makes the group itself where somebody has deleted it.
    vpcs(&of).logs.delete_log_group().log_group_name(group(&of, &vpc)).send().await.unwrap();
    assert_eq!(vpcs(&of).described(&vpc).await.unwrap(), made(&of, &vpc, "ALL"));
    for permission in permissions {
        let taken = of.target.take_away(&of.service_role(), &permission.action).await.unwrap();
        let status = vpcs(&of).described(&vpc).await.unwrap()[0]["status"].clone();
        assert_eq!(status, "FAILED", "{}", permission.action);
        of.target.give_back(&of.service_role(), taken).await.unwrap();
    }
}

#[tokio::test]
async fn somebody_elses_flow_logs_comply_are_noted_on_every_page_and_never_deleted() {
    let of = organization().await;
    of.target.set_page_size(Emulator::shared().await.unwrap(), 1).await.unwrap();
    let (vpcs, vpc) = (vpcs(&of), vpcs(&of).make_in_use("vpc").await.unwrap());
    let report = apply(&of, &vpc).await;
    assert_eq!(report.count(Outcome::Fixed), 1, "{report:?}");
    let mut theirs = Vec::new();
    for group in ["theirs", "theirs-too"] {
        theirs.push(vpcs.make_flow_log(&vpc, group, "missing").await.unwrap());
    }
    let again = apply(&of, &vpc).await;
    assert_eq!((again.count(Outcome::AlreadyCompliant), again.plan), (1, None));
    assert_eq!(again.findings[0].notes.len(), 2, "{:?}", again.findings[0]);
    for _ in 0..2 {
        undo(&of, &report).await;
        let left = vpcs.flow_logs(&vpc).await.unwrap();
        assert_eq!(
            left.iter().map(|of| of.flow_log_id.as_ref().unwrap()).collect::<Vec<_>>(),
            [&theirs[0], &theirs[1]]
        );
    }
    // The evidence stays.
    assert_eq!(vpcs.log_groups("/").await.unwrap(), [(group(&of, &vpc), Some(365))]);
}

#[tokio::test]
async fn undone_and_fixed_again_it_has_one_flow_log() {
    let of = organization().await;
    let vpc = vpcs(&of).make_in_use("vpc").await.unwrap();
    for _ in 0..2 {
        let report = apply(&of, &vpc).await;
        assert_eq!(report.count(Outcome::Fixed), 1, "{report:?}");
        assert_eq!(vpcs(&of).described(&vpc).await.unwrap(), made(&of, &vpc, "ALL"));
        undo(&of, &report).await;
        assert_eq!(vpcs(&of).described(&vpc).await.unwrap(), json!([]));
    }
}

#[tokio::test]
async fn another_region_or_account_in_the_arn_is_said_and_stops_nobody() {
    let of = organization().await;
    let vpc = vpcs(&of).make_in_use("ours").await.unwrap();
    let elsewhere = format!("arn:aws:ec2:eu-west-1:{}:vpc/{vpc}", of.target.id);
    let theirs = format!("arn:aws:ec2:us-east-1:999999999999:vpc/{vpc}");
    let report = of.run::<VpcWithoutFlowLogs>(of.batch(&[&elsewhere, &theirs, &vpc]), Mode::Apply).await;
    let outcomes: Vec<_> = report.findings.iter().map(|finding| finding.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Failed, Outcome::Fixed], "{report:?}");
    for (finding, says) in report.findings.iter().zip(["is in the region eu-west-1", "belongs to the account 9999"]) {
        assert!(finding.detail.as_ref().unwrap().contains(says), "{finding:?}");
    }
}
