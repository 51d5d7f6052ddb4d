//! `autoremediate` as a person or a script runs it.

use assert_cmd::Command;
use remediation::Batch;
use rules::s3_public_bucket::S3PublicBucket;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::emulator::Emulator;
use testkit::netskope::{FakeNetskope, row};
use testkit::organization::Organization;
use testkit::paths;

const TOKEN: &str = "a-token-that-must-not-be-seen-77aa";

/// An organization, and a folder to work in.
struct Desk {
    of: Organization,
    folder: TempDir,
    environment: Vec<(String, String)>,
}

impl Desk {
    async fn new() -> Self {
        let of = Organization::new::<S3PublicBucket>(Emulator::shared().await.unwrap()).await.unwrap();
        let environment = of.environment().await.unwrap();
        Self { of, folder: tempfile::tempdir().unwrap(), environment }
    }

    async fn bucket(&self, name: &str, block: Option<[bool; 4]>) -> String {
        let name = format!("{name}-{}", self.of.target.id);
        self.of.target.make_bucket(&name, block).await.unwrap();
        name
    }

    fn findings(&self, batch: &Batch) -> String {
        let path = self.folder.path().join("findings.ndjson");
        std::fs::write(&path, batch.to_ndjson().unwrap()).unwrap();
        path.display().to_string()
    }

    /// Runs it without a terminal; gives the exit code and the JSON on standard output.
    fn run(&self, arguments: &[&str]) -> (i32, Value, String) {
        let output = Command::new(paths::binary("autoremediate").unwrap())
            .args(arguments)
            .arg("--json")
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.environment.iter().cloned())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("NETSKOPE_TOKEN", TOKEN)
            .output()
            .unwrap();
        let (text, log) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(!text.contains(TOKEN) && !log.contains(TOKEN), "{text}{log}");
        (output.status.code().unwrap(), serde_json::from_str(&text).unwrap_or(Value::Null), log)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_says_two_then_apply_fixes_and_then_nothing_is_left() {
    let desk = Desk::new().await;
    let bucket = desk.bucket("cli", None).await;
    let findings = desk.findings(&desk.of.batch(&[&bucket]));
    let source = ["--findings", &findings];

    let (code, shown, log) = desk.run(&[&["plan"], &source[..]].concat());
    assert_eq!((code, outcome(&shown)), (2, "planned"), "{log}");
    assert_eq!(desk.of.target.public_access_block(&bucket).await.unwrap(), None);

    let (code, _, log) = desk.run(&[&["apply"], &source[..]].concat());
    assert_eq!(code, 1, "without a terminal, apply needs --yes");
    assert!(log.contains("--yes"), "{log}");
    assert_eq!(desk.of.target.public_access_block(&bucket).await.unwrap(), None);

    let (code, shown, log) = desk.run(&[&["apply", "--yes"], &source[..]].concat());
    assert_eq!((code, outcome(&shown)), (0, "fixed"), "{log}");
    assert_eq!(desk.of.target.public_access_block(&bucket).await.unwrap(), Some([false, true, false, true]));

    let (code, shown, log) = desk.run(&[&["plan"], &source[..]].concat());
    assert_eq!((code, outcome(&shown)), (0, "already_compliant"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn undo_shows_first_and_with_yes_puts_back_what_was_asked_for() {
    let desk = Desk::new().await;
    let (ours, theirs) =
        (desk.bucket("ours", None).await, desk.bucket("theirs", Some([true, false, false, false])).await);
    let findings = desk.findings(&desk.of.batch(&[&ours, &theirs]));
    let (code, shown, log) = desk.run(&["apply", "--yes", "--findings", &findings]);
    assert_eq!(code, 0, "{log}");
    let report = shown["reports"][0]["report_at"].as_str().unwrap();
    let fixed = Some([false, true, false, true]);

    let (code, shown, log) = desk.run(&["undo", report, "--resource", &ours]);
    assert_eq!((code, outcome(&shown)), (2, "planned"), "{log}");
    assert!(log.contains("--yes"), "{log}");
    assert_eq!(desk.of.target.public_access_block(&ours).await.unwrap(), fixed);

    for _ in 0..2 {
        let (code, shown, log) = desk.run(&["undo", report, "--resource", &ours, "--yes"]);
        assert_eq!((code, outcome(&shown)), (0, "undone"), "{log}");
        assert_eq!(shown["reports"][0]["report"]["findings"].as_array().unwrap().len(), 1, "{shown}");
        assert_eq!(desk.of.target.public_access_block(&ours).await.unwrap(), None);
    }

    desk.of.target.set_public_access_block(&theirs, Some([false; 4])).await.unwrap();
    let (code, shown, log) = desk.run(&["undo", report, "--resource", &theirs, "--yes"]);
    assert_eq!((code, outcome(&shown)), (2, "held"), "{log}");
    let (code, shown, log) = desk.run(&["undo", report, "--resource", &theirs, "--yes", "--force"]);
    let found = desk.of.target.public_access_block(&theirs).await.unwrap();
    assert_eq!((code, outcome(&shown), found), (0, "undone", Some([true, false, false, false])), "{log}");

    // What was put back is left alone, also by this command.
    let (code, shown, log) = desk.run(&["apply", "--yes", "--findings", &findings]);
    assert_eq!((code, &shown["counts"]), (0, &json!({"exempt": 2})), "{log}");

    // A run that only planned has nothing to put back, whatever became of the resource since.
    let planned = desk.bucket("planned", None).await;
    let (_, shown, _) = desk.run(&["plan", "--findings", &desk.findings(&desk.of.batch(&[&planned]))]);
    let report = shown["reports"][0]["report_at"].as_str().unwrap();
    desk.of.target.set_public_access_block(&planned, fixed).await.unwrap();
    let (code, shown, log) = desk.run(&["undo", report, "--yes"]);
    let found = desk.of.target.public_access_block(&planned).await.unwrap();
    assert_eq!((code, outcome(&shown), found), (0, "(no finding)", fixed), "{log}");

    let (code, _, log) = desk.run(&["undo", "autoremediate-records/reports/r/2026-01-02/none-1.json"]);
    assert!(code == 1 && log.contains("none-1.json"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn findings_come_from_netskope_too() {
    let desk = Desk::new().await;
    let bucket = desk.bucket("netskope", None).await;
    let netskope = FakeNetskope::start(TOKEN).await;
    let control = &desk.of.manifest.controls[0].rule_names[0];
    netskope.set_rows(vec![row(control, &desk.of.target.id, "US East(N. Virginia)", &bucket)]);
    let (code, shown, log) = desk.run(&["plan", "--netskope-endpoint", &netskope.url()]);
    assert_eq!((code, outcome(&shown)), (2, "planned"), "{log}");
    netskope.set_token("another");
    let (code, _, log) = desk.run(&["plan", "--netskope-endpoint", &netskope.url()]);
    assert_eq!(code, 1);
    assert!(log.contains("refused the token") || log.contains("Netskope"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_exit_code_one_and_names_the_permission() {
    let desk = Desk::new().await;
    let bucket = desk.bucket("denied", None).await;
    desk.of.take_away("s3:PutBucketPublicAccessBlock").await.unwrap();
    let findings = desk.findings(&desk.of.batch(&[&bucket]));
    let (code, shown, log) = desk.run(&["apply", "--yes", "--findings", &findings]);
    assert_eq!((code, outcome(&shown)), (1, "failed"), "{log}");
    assert!(shown.to_string().contains("s3:PutBucketPublicAccessBlock: AccessDenied"), "{shown}");
}

fn outcome(shown: &Value) -> &str {
    shown["reports"][0]["report"]["findings"][0]["outcome"].as_str().unwrap_or("(no finding)")
}

#[tokio::test(flavor = "multi_thread")]
async fn undo_takes_all_reports_of_a_run_or_the_plan_of_one_that_died() {
    let desk = Desk::new().await;
    let buckets = [desk.bucket("one", None).await, desk.bucket("two", None).await];
    let findings = desk.findings(&desk.of.batch(&[&buckets[0], &buckets[1]]));
    let applied = |desk: &Desk| desk.run(&["apply", "--yes", "--findings", &findings]).1["reports"][0].clone();
    let report = applied(&desk);
    let place = report["report_at"].as_str().unwrap();
    let run = place.strip_suffix("-1.json").unwrap();
    let (code, shown, log) = desk.run(&["undo", run, "--yes", "--exempt-hours", "0"]);
    assert_eq!((code, &shown["counts"]), (0, &json!({"undone": 2})), "{log}");
    let report = applied(&desk);
    std::fs::remove_file(desk.folder.path().join(report["report_at"].as_str().unwrap())).unwrap();
    let (code, shown, log) = desk.run(&["undo", report["plans_at"][0].as_str().unwrap(), "--yes"]);
    assert_eq!((code, &shown["counts"]), (0, &json!({"undone": 2})), "{log}");
    for bucket in &buckets {
        assert_eq!(desk.of.target.public_access_block(bucket).await.unwrap(), None);
    }
    let (code, _, log) = desk.run(&["undo", "autoremediate-records/reports/s3-public-bucket/2026-01-02/none"]);
    assert!(code == 1 && log.contains("has no reports"), "{log}");
}

/// With records in a folder there is no Lambda: the command carries out the plan itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_kept_to_and_an_approved_plan_carried_out() {
    let desk = Desk::new().await;
    let bucket = desk.bucket("approved", None).await;
    let findings = desk.findings(&desk.of.batch(&[&bucket]));
    std::fs::write(desk.folder.path().join("policy.json"), r#"{"mode": "approve"}"#).unwrap();
    let policy = ["--policy", "policy.json"];
    let (code, shown, log) = desk.run(&[&["apply", "--yes", "--findings", &findings], &policy[..]].concat());
    assert_eq!((code, outcome(&shown)), (2, "held"), "{log}");
    let plan = shown["reports"][0]["plans_at"][0].as_str().unwrap();
    let approve = [&["approve", plan, "--reason", "a ticket"], &policy[..]].concat();
    let (code, _, log) = desk.run(&approve);
    assert!(code == 1 && log.contains("--yes"), "{log}");
    let (code, _, log) = desk.run(&["approve", plan, "--reason", "", "--yes"]);
    assert!(code == 1 && log.contains("--reason"), "{log}");
    assert_eq!(desk.of.target.public_access_block(&bucket).await.unwrap(), None);

    let (code, shown, log) = desk.run(&[&approve[..], &["--yes"]].concat());
    assert_eq!((code, outcome(&shown)), (0, "fixed"), "{log}");
    let approval = &shown["reports"][0]["report"]["approval"];
    assert!(approval["by"].as_str().unwrap().contains(":assumed-role/"), "{approval}");
    assert_eq!(approval["reason"], "a ticket");

    std::fs::write(desk.folder.path().join("policy.json"), r#"{"paused": true}"#).unwrap();
    desk.of.target.set_public_access_block(&bucket, None).await.unwrap();
    let (code, shown, log) = desk.run(&[&["apply", "--yes", "--findings", &findings], &policy[..]].concat());
    assert_eq!((code, outcome(&shown)), (2, "held"), "{log}");
    std::fs::write(desk.folder.path().join("policy.json"), r#"{"pausd": true}"#).unwrap();
    let (code, _, log) = desk.run(&[&["apply", "--yes", "--findings", &findings], &policy[..]].concat());
    assert!(code == 1 && log.contains("is `paused` meant?"), "{log}");
}
