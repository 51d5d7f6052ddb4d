//! The rule `s3-public-bucket` through the engine.

use std::collections::BTreeSet;

use remediation::{Mode, Outcome, Plan, Report, ReportedFinding, Rule};
use s3_public_bucket::{Change, S3PublicBucket};
use testkit::account::Account;
use testkit::emulator::Emulator;
use testkit::organization::{Decision, Organization};

const FIXED: [bool; 4] = [false, true, false, true];

async fn organization() -> Organization {
    Organization::new::<S3PublicBucket>(Emulator::shared().await.unwrap()).await.unwrap()
}

/// A bucket with this public access block in the target account.
async fn bucket(of: &Organization, name: &str, block: Option<[bool; 4]>) -> String {
    let name = format!("{name}-{}", of.target.id);
    of.target.make_bucket(&name, block).await.unwrap();
    name
}

async fn apply(of: &Organization, buckets: &[&str]) -> Report {
    of.run::<S3PublicBucket>(of.batch(buckets), Mode::Apply).await
}

fn only(report: &Report) -> &ReportedFinding {
    assert_eq!(report.findings.len(), 1, "{report:?}");
    &report.findings[0]
}

fn count(decisions: &[Decision], action: &str) -> usize {
    decisions.iter().filter(|decision| decision.action == action).count()
}

#[tokio::test]
async fn a_violating_bucket_is_fixed_with_three_calls_and_two_sessions() {
    let of = organization().await;
    for (name, block) in [("none", None), ("off", Some([false; 4])), ("partly", Some([false, true, false, false]))] {
        let bucket = bucket(&of, name, block).await;
        let before = of.decisions().await.unwrap().len();
        let report = apply(&of, &[&bucket]).await;
        let finding = only(&report);
        assert_eq!(finding.outcome, Outcome::Fixed, "{finding:?}");
        assert_eq!(finding.verification.as_ref().unwrap().looks, 1);
        assert_eq!(of.target.public_access_block(&bucket).await.unwrap(), Some(FIXED), "{name}");
        let calls = &of.decisions().await.unwrap()[before..];
        assert_eq!(count(calls, "s3:GetBucketPublicAccessBlock"), 2, "{calls:?}");
        assert_eq!(count(calls, "s3:PutBucketPublicAccessBlock"), 1, "{calls:?}");
        assert_eq!(count(calls, "sts:AssumeRole"), 2, "{calls:?}");
    }
}

#[tokio::test]
async fn a_complying_bucket_costs_one_call_and_one_session_and_no_plan() {
    let of = organization().await;
    let bucket = bucket(&of, "clean", Some([true; 4])).await;
    let report = apply(&of, &[&bucket]).await;
    assert_eq!(only(&report).outcome, Outcome::AlreadyCompliant);
    assert_eq!(report.plan, None);
    assert_eq!(of.target.public_access_block(&bucket).await.unwrap(), Some([true; 4]));
    let calls = of.decisions().await.unwrap();
    assert_eq!(count(&calls, "s3:GetBucketPublicAccessBlock"), 1, "{calls:?}");
    assert_eq!(count(&calls, "sts:AssumeRole"), 1, "{calls:?}");
}

#[tokio::test]
async fn a_bucket_that_is_gone_is_gone_and_the_others_go_on() {
    let of = organization().await;
    let bucket = bucket(&of, "here", None).await;
    let report = apply(&of, &["no-such-bucket-anywhere", &bucket, "Not A Bucket"]).await;
    let outcomes: Vec<_> = report.findings.iter().map(|finding| finding.outcome).collect();
    assert_eq!(outcomes, [Outcome::Gone, Outcome::Fixed, Outcome::Failed], "{report:?}");
}

#[tokio::test]
async fn a_bucket_of_another_owner_is_not_touched() {
    let of = organization().await;
    let stranger = Account::fresh(Emulator::shared().await.unwrap());
    let bucket = format!("stranger-{}", stranger.id);
    stranger.make_bucket(&bucket, None).await.unwrap();
    let report = apply(&of, &[&bucket]).await;
    assert_eq!(only(&report).outcome, Outcome::Failed, "{report:?}");
    assert_eq!(stranger.public_access_block(&bucket).await.unwrap(), None);
}

#[tokio::test]
async fn each_permission_taken_away_fails_and_is_named() {
    let of = organization().await;
    let actions: Vec<_> = of.permissions().map(|permission| permission.action.clone()).collect();
    for (number, action) in actions.iter().enumerate() {
        let bucket = bucket(&of, &format!("denied-{number}"), None).await;
        let taken = of.take_away(action).await.unwrap();
        let report = apply(&of, &[&bucket]).await;
        let finding = only(&report);
        assert_eq!(finding.outcome, Outcome::Failed, "{finding:?}");
        assert!(finding.detail.as_ref().unwrap().starts_with(&format!("{action}: ")), "{finding:?}");
        assert_eq!(of.target.public_access_block(&bucket).await.unwrap(), None, "{action}");
        of.give_back(taken).await.unwrap();
    }
}

#[tokio::test]
async fn the_manifest_has_exactly_the_permissions_that_are_used() {
    let of = organization().await;
    let bucket = bucket(&of, "used", None).await;
    apply(&of, &[&bucket]).await;
    let calls = of.decisions().await.unwrap();
    let used: BTreeSet<_> =
        calls.iter().map(|call| call.action.as_str()).filter(|action| !action.starts_with("sts:")).collect();
    let allowed: BTreeSet<_> = of.permissions().map(|permission| permission.action.as_str()).collect();
    assert_eq!(used, allowed);
}

#[tokio::test]
async fn the_read_only_session_cannot_write() {
    let of = organization().await;
    let bucket = bucket(&of, "read-only", None).await;
    let environment = of.environment().await.unwrap();
    let external_id = environment.iter().find(|(name, _)| name == "EXTERNAL_ID").unwrap().1.clone();
    let name = format!("autoremediate-{}", of.manifest.id);
    let role = remediation::TargetRole { name, external_id: Some(external_id) };
    let run = remediation::RunId::start();
    let sessions = remediation::Sessions::new(of.lambda.clone(), role, &of.manifest, run);
    let finding = of.finding(&bucket);
    let session = |kind| sessions.target(&finding.account, &finding.region, kind);
    let read = S3PublicBucket::client(&session(remediation::SessionKind::Read).await.unwrap());
    let changes = S3PublicBucket::plan(&read, &finding, &Default::default()).await.unwrap();
    let error = S3PublicBucket::apply(&read, &changes[0]).await.unwrap_err();
    assert_eq!(error.kind, remediation::ErrorKind::AccessDenied, "{error}");
    let write = S3PublicBucket::client(&session(remediation::SessionKind::Write).await.unwrap());
    S3PublicBucket::apply(&write, &changes[0]).await.unwrap();
}

#[tokio::test]
async fn mode_plan_writes_nothing_and_stores_what_it_would_do() {
    let of = organization().await;
    let bucket = bucket(&of, "planned", None).await;
    let report = of.run::<S3PublicBucket>(of.batch(&[&bucket]), Mode::Plan).await;
    assert_eq!(only(&report).outcome, Outcome::Planned);
    assert_eq!(of.target.public_access_block(&bucket).await.unwrap(), None);
    let plan = stored_plan(&of, &report).await;
    assert_eq!(plan.findings[0].changes[0].change.bucket, bucket);
    assert_eq!(count(&of.decisions().await.unwrap(), "sts:AssumeRole"), 1);
}

#[tokio::test]
async fn run_twice_and_twice_at_once_ends_in_the_same_state() {
    let of = organization().await;
    let bucket = bucket(&of, "twice", Some([true, false, true, false])).await;
    let buckets = [bucket.as_str()];
    let (one, two) = tokio::join!(apply(&of, &buckets), apply(&of, &buckets));
    for report in [one, two] {
        let outcome = only(&report).outcome;
        assert!(matches!(outcome, Outcome::Fixed | Outcome::AlreadyCompliant), "{report:?}");
    }
    assert_eq!(of.target.public_access_block(&bucket).await.unwrap(), Some([true; 4]));
    assert_eq!(only(&apply(&of, &[&bucket]).await).outcome, Outcome::AlreadyCompliant);
}

#[tokio::test]
async fn undo_from_the_stored_plan_puts_back_what_was_found_also_twice() {
    let of = organization().await;
    for (name, block) in [("none", None), ("some", Some([true, false, false, true]))] {
        let bucket = bucket(&of, name, block).await;
        let report = apply(&of, &[&bucket]).await;
        assert_eq!(only(&report).outcome, Outcome::Fixed);
        let plan = stored_plan(&of, &report).await;
        let undo = S3PublicBucket::undo(&plan.findings[0].changes[0].change).unwrap();
        for _ in 0..2 {
            S3PublicBucket::apply(&of.target.s3, &undo).await.unwrap();
            assert_eq!(of.target.public_access_block(&bucket).await.unwrap(), block, "{name}");
        }
    }
}

async fn stored_plan(of: &Organization, report: &Report) -> Plan<Change> {
    let key = &report.plan.as_ref().unwrap().key;
    serde_json::from_value(of.central.json(&of.bucket, key).await.unwrap()).unwrap()
}
