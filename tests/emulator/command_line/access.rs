//! Who runs a command, and where its records are.

use serde_json::{Value, json};
use testkit::emulator::Emulator;
use testkit::organization::OPERATOR_ROLE;

use super::{Desk, outcome};

/// AWS refuses another source identity, and passes the caller's own on.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_with_a_source_identity_keeps_it_and_the_report_says_so() {
    let mut desk = Desk::new().await;
    let bucket = desk.bucket("named", None).await;
    let findings = desk.findings(&desk.of.batch(&[&bucket]));
    let arguments = ["apply", "--alone", "--yes", "--findings", &findings];

    let operator = format!("arn:aws:iam::{}:role/{OPERATOR_ROLE}", desk.of.central.id);
    desk.environment.extend(desk.of.central.session_with(&operator, Some("alice")).await.unwrap());
    let (code, shown, log) = desk.run(&arguments);
    assert_eq!((code, outcome(&shown)), (0, "fixed"), "{shown} {log}");
    let identity = &shown["reports"][0]["report"]["source_identity"];
    assert_eq!(identity["asked"], "autoremediate-s3-public-bucket", "{shown}");

    desk.environment.extend(desk.of.central.session(&operator).await.unwrap());
    let (code, shown, log) = desk.run(&arguments);
    assert_eq!((code, outcome(&shown)), (0, "already_compliant"), "{shown} {log}");
    assert_eq!(shown["reports"][0]["report"]["source_identity"], Value::Null, "{shown}");
}

/// On AWS's side: what each session in the target account has, as CloudTrail would show it, and what a trust policy asks for.
#[tokio::test(flavor = "multi_thread")]
async fn the_sessions_in_the_target_account_have_the_callers_source_identity() {
    let mut desk = Desk::new().await;
    let (target, role) = (desk.of.target.clone(), desk.of.target_role());
    let operator = format!("arn:aws:iam::{}:role/{OPERATOR_ROLE}", desk.of.central.id);
    let mut trust: Value = serde_json::from_str(&target.trust(&role).await.unwrap()).unwrap();
    for statement in trust["Statement"].as_array_mut().unwrap() {
        statement["Condition"]["StringEquals"]["sts:SourceIdentity"] =
            json!(["alice", "autoremediate-s3-public-bucket"]);
    }
    target.iam.update_assume_role_policy().role_name(&role).policy_document(trust.to_string()).send().await.unwrap();

    let mut seen = 0;
    for (caller, theirs) in
        [(Some("alice"), Some("alice")), (Some("mallory"), None), (None, Some("autoremediate-s3-public-bucket"))]
    {
        let bucket = desk.bucket(caller.unwrap_or("nobody"), None).await;
        let findings = desk.findings(&desk.of.batch(&[&bucket]));
        desk.environment.extend(desk.of.central.session_with(&operator, caller).await.unwrap());
        let (_, shown, log) = desk.run(&["apply", "--alone", "--yes", "--findings", &findings]);
        let expected = if theirs.is_some() { "fixed" } else { "failed" };
        assert_eq!(outcome(&shown), expected, "{caller:?}: {shown} {log}");
        let sessions = Emulator::shared().await.unwrap().sessions(&target.id).await.unwrap();
        let new: Vec<_> = sessions[seen..].iter().map(|session| session["source_identity"].as_str()).collect();
        assert!(new.iter().all(|identity| *identity == theirs) && new.is_empty() == theirs.is_none(), "{new:?}");
        seen = sessions.len();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_in_another_region_say_which_one_to_give() {
    let desk = Desk::new().await;
    let bucket = desk.bucket("records", None).await;
    let findings = desk.findings(&desk.of.batch(&[&bucket]));
    let place = format!("s3://{}", desk.of.bucket);
    let record =
        |folder: &str| format!("{place}/{folder}/s3-public-bucket/2026-01-02/{}-1.json", remediation::RunId::start());
    let (plan, report) = (record("plans"), record("reports"));
    // Where S3 redirects, and where it refuses.
    for region in ["eu-west-1", "me-south-1"] {
        for command in [
            &["plan", "--findings", &findings, "--records", &place][..],
            &["apply", "--yes", "--findings", &findings, "--records", &place],
            &["approve", &plan, "--reason", "T-1", "--yes"],
            &["undo", &report],
            &["doctor", "--records", &place],
        ] {
            let flag = if command[0] == "approve" { "--records-region" } else { "--region" };
            let (code, shown, log) = desk.run(&[command, &[flag, region]].concat());
            let said = format!("{shown} {log}");
            let hint = "the bucket is in us-east-1: on the command line, give --region us-east-1";
            assert!(code == 1 && said.contains(hint), "{command:?} {region}: {code} {said}");
        }
    }
}
