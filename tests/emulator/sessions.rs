//! Sessions that end: for how long the Lambdas ask, and that a session's end in the middle of a run costs nothing.

use remediation::{BatchId, Finding, Outcome, Report, RunId, SessionKind};
use serde_json::{Value, json};
use testkit::emulator::Emulator;
use testkit::organization::Organization;

use crate::command_line::Desk;
use crate::crash;

/// Every bucket takes several calls: so many that each session of a run ends before its work is done.
const BUCKETS: usize = 25;
/// After so many calls a session ends: more than the calls that are under way at a time, so that one renewal is enough.
const CALLS: u32 = 40;

async fn open_buckets(of: &Organization) -> Vec<String> {
    let buckets: Vec<_> = (0..BUCKETS).map(|number| format!("session-{number}-{}", of.target.id)).collect();
    for bucket in &buckets {
        of.target.make_bucket(bucket, Some([false; 4])).await.unwrap();
    }
    buckets
}

async fn batch(of: &Organization, buckets: &[String]) -> BatchId {
    crash::put(of, &buckets.iter().map(String::as_str).collect::<Vec<_>>()).await
}

async fn all_are_fixed_and_proved(of: &Organization, report: &Report, buckets: &[String]) {
    assert_eq!(report.count(Outcome::Fixed), buckets.len(), "{report:?}");
    assert!(report.findings.iter().all(|finding| finding.verification.is_some()), "{report:?}");
    assert_eq!(crash::fixed(of, buckets).await, buckets.len());
}

/// The sessions of the rule's role, oldest first.
async fn sessions(of: &Organization) -> Vec<Value> {
    let every = Emulator::shared().await.unwrap().sessions(&of.target.id).await.unwrap();
    every.into_iter().filter(|session| session["role"].as_str().unwrap().ends_with(&of.target_role())).collect()
}

fn refused(sessions: &[Value]) -> u64 {
    sessions.iter().map(|session| session["refused"].as_u64().unwrap()).sum()
}

#[tokio::test]
async fn a_lambda_whose_sessions_end_in_the_middle_fixes_everything() {
    let emulator = Emulator::shared().await.unwrap();
    let of = crash::organization().await;
    let buckets = open_buckets(&of).await;
    of.target.set(emulator, "session_calls", json!(CALLS)).await.unwrap();
    let report = crash::run(&of, &batch(&of, &buckets).await).await;
    all_are_fixed_and_proved(&of, &report, &buckets).await;
    let sessions = sessions(&of).await;
    // One to look and one to write, and what came after them.
    assert!(sessions.len() > 2 && refused(&sessions) > 0, "{sessions:?}");
    // The least that AWS gives.
    assert!(sessions.iter().all(|session| session["asked"] == 900 && session["chained"] == true), "{sessions:?}");
}

#[tokio::test]
async fn a_lambda_renews_a_session_before_the_end_that_it_was_told() {
    let emulator = Emulator::shared().await.unwrap();
    let of = crash::organization().await;
    let buckets = &open_buckets(&of).await[..2];
    // Less than what a session must be good for to be used.
    of.target.set(emulator, "session_seconds", json!(50)).await.unwrap();
    let report = crash::run(&of, &batch(&of, buckets).await).await;
    all_are_fixed_and_proved(&of, &report, buckets).await;
    let sessions = sessions(&of).await;
    assert!(sessions.len() > 2 && refused(&sessions) == 0, "{sessions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_sessions_end_in_the_middle_fixes_everything() {
    let emulator = Emulator::shared().await.unwrap();
    let desk = Desk::of(crash::organization().await).await;
    let buckets = open_buckets(&desk.of).await;
    desk.of.target.set(emulator, "session_calls", json!(CALLS)).await.unwrap();
    let findings = desk.findings(&desk.of.batch(&buckets.iter().map(String::as_str).collect::<Vec<_>>()));
    let (code, document, log) = desk.run(&["apply", "--alone", "--yes", "--findings", &findings]);
    assert_eq!(code, 0, "{document} {log}");
    let report: Report = serde_json::from_value(document["reports"][0]["report"].clone()).unwrap();
    all_are_fixed_and_proved(&desk.of, &report, &buckets).await;
    let sessions = sessions(&desk.of).await;
    assert!(sessions.len() > 2 && refused(&sessions) > 0, "{sessions:?}");
    // AWS's own hour, the most for a role that a role assumes.
    let is_hour = |session: &Value| session["asked"].is_null() && session["seconds"] == 3600;
    assert!(sessions.iter().all(is_hour), "{sessions:?}");
}

/// Where every new session has ended as well, the call fails, and is not tried for ever.
#[tokio::test]
async fn a_call_is_tried_with_one_new_session() {
    let emulator = Emulator::shared().await.unwrap();
    let of = crash::organization().await;
    let buckets = &open_buckets(&of).await[..1];
    of.target.set(emulator, "session_calls", json!(0)).await.unwrap();
    let report = crash::run(&of, &batch(&of, buckets).await).await;
    assert_eq!(report.count(Outcome::Fixed), 0, "{report:?}");
    assert_eq!(crash::fixed(&of, buckets).await, 0);
    let sessions = sessions(&of).await;
    assert!(sessions.len() >= 2 && refused(&sessions) == sessions.len() as u64, "{sessions:?}");
    let Finding { account, region, .. } = of.finding(&buckets[0]);
    assert!(of.sessions(RunId::start()).target(&account, &region, SessionKind::Read).await.is_ok());
}
