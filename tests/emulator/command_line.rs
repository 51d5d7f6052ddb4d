//! `autoremediate` as a person or a script runs it.

mod access;
mod inbox;
mod interrupt;
mod policy;

use std::process::Stdio;
use std::time::{Duration, Instant};

use assert_cmd::Command;
use remediation::Batch;
use rules::s3_public_bucket::S3PublicBucket;
use rules::security_group_open_admin_port::SecurityGroupOpenAdminPort;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::emulator::Emulator;
use testkit::netskope::{FakeNetskope, row};
use testkit::organization::Organization;
use testkit::paths;
use testkit::subjects::security_group_open_admin_port::SecurityGroups;

const TOKEN: &str = "a-token-that-must-not-be-seen-77aa";

/// Runs what follows on a terminal. When it asks, makes the first file, waits for the second, and answers yes.
const ON_A_TERMINAL: &str = r#"
import os, pty, sys, time
asked, go, *command = sys.argv[1:]
child, terminal = pty.fork()
if child == 0:
    os.execvp(command[0], command)
seen = b""
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    if not part:
        break
    seen += part
    if b"[y/N]" in seen and not os.path.exists(asked):
        open(asked, "w").close()
        while not os.path.exists(go):
            time.sleep(0.05)
        os.write(terminal, b"y\n")
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;

/// An organization, and a folder to work in.
pub(crate) struct Desk {
    pub(crate) of: Organization,
    folder: TempDir,
    environment: Vec<(String, String)>,
}

impl Desk {
    async fn new() -> Self {
        Self::of(Organization::new::<S3PublicBucket>(Emulator::shared().await.unwrap()).await.unwrap()).await
    }

    pub(crate) async fn of(of: Organization) -> Self {
        let environment = of.with_operator().await.unwrap();
        Self { of, folder: tempfile::tempdir().unwrap(), environment }
    }

    /// With these variables in its environment as well.
    pub(crate) fn with(mut self, variables: &[(&str, &str)]) -> Self {
        self.environment.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self
    }

    pub(crate) async fn bucket(&self, name: &str, block: Option<[bool; 4]>) -> String {
        let name = format!("{name}-{}", self.of.target.id);
        self.of.target.make_bucket(&name, block).await.unwrap();
        name
    }

    pub(crate) fn findings(&self, batch: &Batch) -> String {
        let path = self.folder.path().join("findings.ndjson");
        std::fs::write(&path, batch.to_ndjson().unwrap()).unwrap();
        path.display().to_string()
    }

    /// Runs it on a terminal, does `meanwhile` while it asks, and answers yes; gives the exit code and what is seen.
    async fn answer(&self, arguments: &[&str], meanwhile: impl Future<Output = ()>) -> (i32, String) {
        let (asked, go) = (self.folder.path().join("asked"), self.folder.path().join("go"));
        for left in [&asked, &go] {
            drop(std::fs::remove_file(left));
        }
        let mut command = std::process::Command::new("python3");
        command.args(["-c", ON_A_TERMINAL]).args([&asked, &go]).arg(paths::binary("autoremediate").unwrap());
        command.args(arguments).current_dir(self.folder.path()).env_clear().envs(self.environment.iter().cloned());
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("PATH", std::env::var_os("PATH").unwrap());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = command.spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        while !asked.exists() && running.try_wait().unwrap().is_none() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if asked.exists() {
            meanwhile.await;
        }
        std::fs::write(&go, "").unwrap();
        let output = tokio::task::spawn_blocking(|| running.wait_with_output().unwrap()).await.unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code().unwrap(), text)
    }

    /// Runs it without a terminal; gives the exit code and the JSON on standard output.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, Value, String) {
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

    let (code, _, log) = desk.run(&[&["apply", "--alone"], &source[..]].concat());
    assert_eq!(code, 1, "without a terminal, apply needs --yes");
    assert!(log.contains("--yes"), "{log}");
    assert_eq!(desk.of.target.public_access_block(&bucket).await.unwrap(), None);

    let (code, shown, log) = desk.run(&[&["apply", "--alone", "--yes"], &source[..]].concat());
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
    let (code, shown, log) = desk.run(&["apply", "--alone", "--yes", "--findings", &findings]);
    assert_eq!(code, 0, "{log}");
    let report = shown["reports"][0]["report_at"].as_str().unwrap();
    let fixed = Some([false, true, false, true]);

    let (code, shown, log) = desk.run(&["undo", report, "--resource", &ours]);
    assert_eq!((code, outcome(&shown)), (2, "planned"), "{log}");
    assert!(log.contains("--yes"), "{log}");
    assert_eq!(desk.of.target.public_access_block(&ours).await.unwrap(), fixed);

    for _ in 0..2 {
        let (code, shown, log) = desk.run(&["undo", report, "--resource", &ours, "--yes", "--alone"]);
        assert_eq!((code, outcome(&shown)), (0, "undone"), "{log}");
        assert_eq!(shown["reports"][0]["report"]["findings"].as_array().unwrap().len(), 1, "{shown}");
        assert_eq!(desk.of.target.public_access_block(&ours).await.unwrap(), None);
    }

    desk.of.target.set_public_access_block(&theirs, Some([false; 4])).await.unwrap();
    let (code, shown, log) = desk.run(&["undo", report, "--resource", &theirs, "--yes", "--alone"]);
    assert_eq!((code, outcome(&shown)), (2, "held"), "{log}");
    let (code, shown, log) = desk.run(&["undo", report, "--resource", &theirs, "--yes", "--alone", "--force"]);
    let found = desk.of.target.public_access_block(&theirs).await.unwrap();
    assert_eq!((code, outcome(&shown), found), (0, "undone", Some([true, false, false, false])), "{log}");

    // An undo is no fix to be taken back.
    let of_undo = shown["reports"][0]["report_at"].as_str().unwrap();
    let (code, shown, log) = desk.run(&["undo", of_undo, "--yes", "--alone", "--force"]);
    let unchanged = desk.of.target.public_access_block(&theirs).await.unwrap();
    assert_eq!((code, unchanged), (1, found), "{log}");
    assert!(shown["problems"][0].as_str().unwrap().contains("an undo cannot be taken back"), "{shown}");

    // What was put back is left alone, also by this command.
    let (code, shown, log) = desk.run(&["apply", "--alone", "--yes", "--findings", &findings]);
    assert_eq!((code, &shown["counts"]), (0, &json!({"exempt": 2})), "{log}");

    // A run that only planned has nothing to put back, whatever became of the resource since.
    let planned = desk.bucket("planned", None).await;
    let (_, shown, _) = desk.run(&["plan", "--findings", &desk.findings(&desk.of.batch(&[&planned]))]);
    let report = shown["reports"][0]["report_at"].as_str().unwrap();
    desk.of.target.set_public_access_block(&planned, fixed).await.unwrap();
    let (code, shown, log) = desk.run(&["undo", report, "--yes", "--alone"]);
    let found = desk.of.target.public_access_block(&planned).await.unwrap();
    assert_eq!((code, outcome(&shown), found), (0, "(no finding)", fixed), "{log}");

    let (code, _, log) = desk.run(&["undo", "autoremediate-records/reports/s3-public-bucket/2026-01-02/none-1.json"]);
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
async fn all_regions_are_worked_in_where_that_is_asked_for_and_an_empty_list_is_said() {
    let desk = Desk::new().await;
    let here = desk.bucket("here", None).await;
    let there = format!("there-{}", desk.of.target.id);
    desk.of.target.in_region("eu-west-1").make_bucket(&there, None).await.unwrap();
    let netskope = FakeNetskope::start(TOKEN).await;
    let (control, account) = (&desk.of.manifest.controls[0].rule_names[0], &desk.of.target.id);
    let rows = [("US East(N. Virginia)", &here), ("EU(Ireland)", &there)];
    netskope.set_rows(rows.map(|(region, bucket)| row(control, account, region, bucket)).into());
    let url = netskope.url();
    let run = |command: &str, more: &[&str]| {
        let arguments = ["--netskope-endpoint", &url, "--rule", "s3-public-bucket"];
        desk.run(&[&[command], &arguments[..], more].concat())
    };
    let (code, shown, log) = run("plan", &[]);
    let skipped = &shown["skipped"]["other_regions"];
    assert_eq!((code, &shown["counts"], skipped), (2, &json!({"planned": 1}), &json!(1)), "{log}");
    let (code, shown, log) = run("plan", &["--all-regions"]);
    assert_eq!((code, &shown["counts"]), (2, &json!({"planned": 2})), "{shown:#} {log}");
    let (code, shown, log) = run("apply", &["--all-regions", "--alone", "--yes"]);
    assert_eq!((code, &shown["counts"]), (0, &json!({"fixed": 2})), "{shown:#} {log}");
    for (region, bucket) in [("us-east-1", &here), ("eu-west-1", &there)] {
        let found = desk.of.target.in_region(region).public_access_block(bucket).await.unwrap();
        assert_eq!(found, Some([false, true, false, true]), "{region}");
    }

    // Where Netskope lists nothing of the rule that is an answer, and no error: whatever the span.
    netskope.set_rows(Vec::new());
    for more in [&[][..], &["--all-regions"], &["--account", account], &["--rule", "rds-public-snapshot"]] {
        let (code, shown, log) = run("plan", more);
        let rules = shown["without_findings"].as_array().unwrap_or_else(|| panic!("{shown:#} {log}"));
        assert!(code == 0 && rules.contains(&json!("s3-public-bucket")), "{more:?} {shown:#} {log}");
        assert_eq!(rules.len(), 1 + usize::from(more.contains(&"rds-public-snapshot")), "{shown:#}");
    }
    let (code, shown, log) = run("apply", &["--alone", "--yes"]);
    assert_eq!((code, &shown["without_findings"]), (0, &json!(["s3-public-bucket"])), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_exit_code_one_and_names_the_permission() {
    let desk = Desk::new().await;
    let bucket = desk.bucket("denied", None).await;
    desk.of.take_away("s3:PutBucketPublicAccessBlock").await.unwrap();
    let findings = desk.findings(&desk.of.batch(&[&bucket]));
    let (code, shown, log) = desk.run(&["apply", "--alone", "--yes", "--findings", &findings]);
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
    let applied =
        |desk: &Desk| desk.run(&["apply", "--alone", "--yes", "--findings", &findings]).1["reports"][0].clone();
    let report = applied(&desk);
    let place = report["report_at"].as_str().unwrap();
    let run = place.strip_suffix("-1.json").unwrap();
    let (code, shown, log) = desk.run(&["undo", run, "--yes", "--alone", "--exempt-hours", "0"]);
    assert_eq!((code, &shown["counts"]), (0, &json!({"undone": 2})), "{log}");
    let report = applied(&desk);
    std::fs::remove_file(desk.folder.path().join(report["report_at"].as_str().unwrap())).unwrap();
    let (code, shown, log) = desk.run(&["undo", report["plan_at"].as_str().unwrap(), "--yes", "--alone"]);
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
    let (code, shown, log) = desk.run(&[&["apply", "--alone", "--yes", "--findings", &findings], &policy[..]].concat());
    assert_eq!((code, outcome(&shown)), (2, "held"), "{log}");
    let plan = shown["reports"][0]["plan_at"].as_str().unwrap();
    let approve = [&["approve", plan, "--alone", "--reason", "a ticket"], &policy[..]].concat();
    let (code, _, log) = desk.run(&approve);
    assert!(code == 1 && log.contains("--yes"), "{log}");
    let (code, _, log) = desk.run(&["approve", plan, "--alone", "--reason", "", "--yes"]);
    assert!(code == 1 && log.contains("--reason"), "{log}");
    assert_eq!(desk.of.target.public_access_block(&bucket).await.unwrap(), None);

    let (code, shown, log) = desk.run(&[&approve[..], &["--yes"]].concat());
    assert_eq!((code, outcome(&shown)), (0, "fixed"), "{log}");
    assert_eq!(shown["shown"][0]["resources"].as_array().unwrap().len(), 1, "{shown}");
    let approval = &shown["reports"][0]["report"]["approval"]["approval"];
    assert_eq!(approval["digest"], shown["shown"][0]["digest"], "the digest is of what was printed");
    assert!(approval["by"].as_str().unwrap().contains(":assumed-role/"), "{approval}");
    assert_eq!(approval["reason"], "a ticket");

    std::fs::write(desk.folder.path().join("policy.json"), r#"{"paused": true}"#).unwrap();
    desk.of.target.set_public_access_block(&bucket, None).await.unwrap();
    let (code, shown, log) = desk.run(&[&["apply", "--alone", "--yes", "--findings", &findings], &policy[..]].concat());
    assert_eq!((code, outcome(&shown)), (2, "held"), "{log}");
    std::fs::write(desk.folder.path().join("policy.json"), r#"{"pausd": true}"#).unwrap();
    let (code, _, log) = desk.run(&[&["apply", "--alone", "--yes", "--findings", &findings], &policy[..]].concat());
    assert!(code == 1 && log.contains("is `paused` meant?"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_folder_nothing_is_written_unless_nobody_else_is_at_work() {
    let desk = Desk::new().await;
    let bucket = desk.bucket("alone", None).await;
    let findings = desk.findings(&desk.of.batch(&[&bucket]));
    let refused = |arguments: &[&str]| {
        let (code, shown, log) = desk.run(arguments);
        assert!(code == 1 && shown.is_null(), "{arguments:?}: {shown}");
        assert!(["--alone", "s3://<bucket>"].iter().all(|part| log.contains(part)), "{log}");
    };
    refused(&["apply", "--yes", "--findings", &findings]);
    assert_eq!(desk.of.target.public_access_block(&bucket).await.unwrap(), None);
    let (_, shown, log) = desk.run(&["apply", "--alone", "--yes", "--findings", &findings]);
    let report = shown["reports"][0]["report_at"].as_str().unwrap_or_else(|| panic!("{log}"));
    let plan = shown["reports"][0]["plan_at"].as_str().unwrap();
    refused(&["undo", report, "--yes"]);
    refused(&["approve", plan, "--reason", "why", "--yes"]);
    assert_eq!(desk.of.target.public_access_block(&bucket).await.unwrap(), Some([false, true, false, true]));
    let (code, shown, log) = desk.run(&["undo", report]);
    assert_eq!((code, outcome(&shown)), (2, "planned"), "showing needs nobody's leave: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_writes_what_it_showed_and_holds_what_has_changed_while_it_asked() {
    let desk = Desk::new().await;
    let (still, moved) = (desk.bucket("still", None).await, desk.bucket("moved", None).await);
    let findings = desk.findings(&desk.of.batch(&[&still, &moved]));
    let theirs = Some([true, false, false, false]);
    let (code, seen) = desk
        .answer(&["apply", "--alone", "--findings", &findings], async {
            desk.of.target.set_public_access_block(&moved, theirs).await.unwrap();
        })
        .await;
    assert!(code == 2 && seen.contains("Change 2 resources as shown?") && seen.contains("drifted"), "{code} {seen}");
    assert_eq!(desk.of.target.public_access_block(&still).await.unwrap(), Some([false, true, false, true]));
    assert_eq!(desk.of.target.public_access_block(&moved).await.unwrap(), theirs);
}

#[tokio::test(flavor = "multi_thread")]
async fn approve_carries_out_the_plan_that_it_showed_whatever_is_stored_meanwhile() {
    let desk = Desk::new().await;
    std::fs::write(desk.folder.path().join("policy.json"), r#"{"mode": "approve"}"#).unwrap();
    let policy = ["--policy", "policy.json"];
    let mut plans = Vec::new();
    let buckets = [desk.bucket("shown", None).await, desk.bucket("swapped", None).await];
    for bucket in &buckets {
        let findings = desk.findings(&desk.of.batch(&[bucket]));
        let (_, shown, log) =
            desk.run(&[&["apply", "--alone", "--yes", "--findings", &findings], &policy[..]].concat());
        let plan = shown["reports"][0]["plan_at"].as_str().unwrap_or_else(|| panic!("{log}"));
        plans.push(desk.folder.path().join(plan));
    }
    let plan = plans[0].display().to_string();
    let (code, seen) = desk
        .answer(&[&["approve", &plan, "--alone", "--reason", "a ticket"], &policy[..]].concat(), async {
            std::fs::copy(&plans[1], &plans[0]).unwrap();
        })
        .await;
    assert!(code == 0 && seen.contains(&buckets[0]) && !seen.contains(&buckets[1]), "{code} {seen}");
    assert_eq!(desk.of.target.public_access_block(&buckets[0]).await.unwrap(), Some([false, true, false, true]));
    assert_eq!(desk.of.target.public_access_block(&buckets[1]).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn undo_holds_what_has_changed_while_it_asked() {
    let desk = Desk::new().await;
    let (still, moved) = (desk.bucket("back", None).await, desk.bucket("touched", None).await);
    let findings = desk.findings(&desk.of.batch(&[&still, &moved]));
    let (_, shown, log) = desk.run(&["apply", "--alone", "--yes", "--findings", &findings]);
    let report = shown["reports"][0]["report_at"].as_str().unwrap_or_else(|| panic!("{log}"));
    let theirs = Some([true, true, true, true]);
    let (code, seen) = desk
        .answer(&["undo", report, "--alone"], async {
            desk.of.target.set_public_access_block(&moved, theirs).await.unwrap();
        })
        .await;
    assert!(code == 2 && seen.contains("Put back 2 resources as shown?"), "{code} {seen}");
    assert_eq!(desk.of.target.public_access_block(&still).await.unwrap(), None);
    assert_eq!(desk.of.target.public_access_block(&moved).await.unwrap(), theirs);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_later_run_has_changed_is_taken_back_first_and_only_if_asked_for() {
    let desk = Desk::new().await;
    let bucket = desk.bucket("twice", None).await;
    let fixed = Some([false, true, false, true]);
    let mut reports = Vec::new();
    for _ in 0..2 {
        desk.of.target.set_public_access_block(&bucket, None).await.unwrap();
        // A batch of a file is of one run, and the next one of another.
        let findings = desk.findings(&desk.of.batch(&[&bucket]));
        let (_, shown, log) = desk.run(&["apply", "--alone", "--yes", "--findings", &findings]);
        assert_eq!(outcome(&shown), "fixed", "{log}");
        reports.push(shown["reports"][0].clone());
    }
    let first = reports[0]["report_at"].as_str().unwrap();
    let later = reports[1]["report"]["run"].as_str().unwrap();
    let (code, shown, log) = desk.run(&["undo", first, "--yes", "--alone"]);
    assert_eq!((code, outcome(&shown)), (2, "held"), "{log}");
    assert!(log.contains(later) && log.contains("--with-later"), "{log}");
    assert_eq!(desk.of.target.public_access_block(&bucket).await.unwrap(), fixed);

    let (code, shown, log) = desk.run(&["undo", first, "--yes", "--alone", "--with-later"]);
    assert_eq!((code, &shown["counts"]), (0, &json!({"undone": 2})), "{shown} {log}");
    let runs: Vec<_> = shown["reports"].as_array().unwrap().iter().map(|of| of["report"]["undoes"].clone()).collect();
    assert!(runs[0].as_str().unwrap().contains(later), "the later one first: {runs:?}");
    assert_eq!(shown["shown"].as_array().unwrap().len(), 2, "both are shown: {shown}");
    assert_eq!(desk.of.target.public_access_block(&bucket).await.unwrap(), None);
}

/// A group on the lists of both controls, fixed for one of them in each of two runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_two_runs_have_narrowed_is_given_back_the_later_run_first() {
    let of = Organization::new::<SecurityGroupOpenAdminPort>(Emulator::shared().await.unwrap()).await.unwrap();
    let desk = Desk::of(of).await;
    let groups = SecurityGroups::of(&desk.of.target);
    let before = ["tcp 0-65535 0.0.0.0/0"];
    let group = groups.make_in_other_vpc("both", &before).await.unwrap();
    let mut reports = Vec::new();
    // For 22, then for 3389.
    for (control, port) in [(0, 22), (1, 3389)] {
        let findings = desk.findings(&desk.of.batch_of(control, &[&group]));
        let (code, shown, log) = desk.run(&["apply", "--alone", "--yes", "--findings", &findings]);
        assert_eq!((code, outcome(&shown)), (0, "fixed"), "{log}");
        assert!(!groups.is_open(&group, port).await.unwrap());
        reports.push(shown["reports"][0].clone());
    }
    let narrowed = groups.rules(&group).await.unwrap();
    let first = reports[0]["report_at"].as_str().unwrap();
    let later = reports[1]["report"]["run"].as_str().unwrap();
    for force in [&[][..], &["--resource", &group]] {
        let (code, shown, log) = desk.run(&[&["undo", first, "--yes", "--alone"][..], force].concat());
        assert_eq!((code, outcome(&shown)), (2, "held"), "{log}");
        let detail = shown["reports"][0]["report"]["findings"][0]["detail"].as_str().unwrap();
        assert!(detail.contains(later) && log.contains(later) && log.contains("--with-later"), "{detail} {log}");
        assert_eq!(groups.rules(&group).await.unwrap(), narrowed, "neither port is opened");
    }
    let (code, shown, log) = desk.run(&["undo", first, "--with-later"]);
    assert_eq!((code, groups.rules(&group).await.unwrap()), (2, narrowed), "only shown: {log}");
    let shown = shown["shown"].as_array().unwrap();
    let runs: Vec<_> = shown.iter().map(|of| of["what"].as_str().unwrap()).collect();
    assert!(runs.len() == 2 && runs[0].contains(later) && !runs[1].contains(later), "the later first: {runs:?}");
    let (code, shown, log) = desk.run(&["undo", first, "--yes", "--alone", "--with-later"]);
    assert_eq!((code, &shown["counts"]), (0, &json!({"undone": 2})), "{shown} {log}");
    let undone: Vec<_> = shown["reports"].as_array().unwrap().iter().map(|of| of["report"]["undoes"].clone()).collect();
    assert!(undone[0].as_str().unwrap().contains(later), "the later first: {undone:?}");
    assert_eq!(groups.rules(&group).await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn undo_takes_back_what_two_rules_have_changed() {
    let desk = Desk::new().await;
    let (central, target) = (desk.of.central.clone(), desk.of.target.clone());
    let emulator = Emulator::shared().await.unwrap();
    let other = Organization::with_accounts::<SecurityGroupOpenAdminPort>(emulator, central, target).await.unwrap();
    let groups = SecurityGroups::of(&desk.of.target);
    let before = ["tcp 0-65535 0.0.0.0/0"];
    let (bucket, group) =
        (desk.bucket("of-two", None).await, groups.make_in_other_vpc("of-two", &before).await.unwrap());
    let mut reports = Vec::new();
    for batch in [desk.of.batch(&[&bucket]), other.batch_of(0, &[&group])] {
        let (code, shown, log) = desk.run(&["apply", "--alone", "--yes", "--findings", &desk.findings(&batch)]);
        assert_eq!((code, outcome(&shown)), (0, "fixed"), "{shown:#} {log}");
        reports.push(shown["reports"][0]["report_at"].as_str().unwrap().to_owned());
    }
    let undo = |more: &[&str]| desk.run(&[&["undo", &reports[0], &reports[1]], more].concat());
    let narrowed = groups.rules(&group).await.unwrap();

    // One of them where only that is asked for; a rule that is of neither is an error.
    let (code, shown, log) = undo(&["--rule", "s3-public-bucket"]);
    assert_eq!((code, &shown["counts"]), (2, &json!({"planned": 1})), "{shown:#} {log}");
    let (code, _, log) = undo(&["--rule", "rds-public-snapshot", "--yes", "--alone"]);
    assert!(code == 1 && log.contains("--rule rds-public-snapshot"), "{log}");
    assert_eq!(desk.of.target.public_access_block(&bucket).await.unwrap(), Some([false, true, false, true]));

    let (code, shown, log) = undo(&["--yes", "--alone"]);
    assert_eq!((code, &shown["counts"]), (0, &json!({"undone": 2})), "{shown:#} {log}");
    assert_eq!(desk.of.target.public_access_block(&bucket).await.unwrap(), None);
    assert_ne!(groups.rules(&group).await.unwrap(), narrowed);
    assert_eq!(groups.rules(&group).await.unwrap(), before);
}

/// What a process gives as credentials for so many seconds, and how often it is asked while a bucket is fixed.
async fn asked_for_credentials(desk: &mut Desk, seconds: u32) -> usize {
    let value = |name: &str| desk.environment.iter().find(|(key, _)| key == name).unwrap().1.clone();
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
    let [id, secret, token] = keys.map(value);
    let folder = desk.folder.path();
    let (script, config, asked) = (folder.join("give"), folder.join("config"), folder.join(format!("asked-{seconds}")));
    let given = format!(
        r#"#!/bin/sh
echo asked >> {}
echo "{{\"Version\": 1, \"AccessKeyId\": \"{id}\", \"SecretAccessKey\": \"{secret}\", \"SessionToken\": \"{token}\",
\"Expiration\": \"$(date -u -d '+{seconds} seconds' +%Y-%m-%dT%H:%M:%SZ)\"}}"
"#,
        asked.display()
    );
    std::fs::write(&script, given).unwrap();
    std::fs::write(&config, format!("[default]\ncredential_process = sh {}\n", script.display())).unwrap();
    let own = std::mem::take(&mut desk.environment);
    let kept = own.iter().filter(|(name, _)| !keys.contains(&name.as_str())).cloned();
    desk.environment = kept.chain([("AWS_CONFIG_FILE".to_owned(), config.display().to_string())]).collect();
    let bucket = desk.bucket(&format!("for-{seconds}"), None).await;
    let findings = desk.findings(&desk.of.batch(&[&bucket]));
    let (code, shown, log) = desk.run(&["apply", "--alone", "--yes", "--findings", &findings]);
    assert_eq!((code, outcome(&shown)), (0, "fixed"), "{log}");
    desk.environment = own;
    std::fs::read_to_string(asked).unwrap().lines().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_end_while_it_runs_are_loaded_again() {
    let mut desk = Desk::new().await;
    let long = asked_for_credentials(&mut desk, 3600).await;
    let short = asked_for_credentials(&mut desk, 5).await;
    assert!(short > long, "{short} times for those of 5 s, {long} for those of an hour");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_record_of_a_run_is_named_and_the_rest_is_put_back() {
    let desk = Desk::new().await;
    let bucket = desk.bucket("corrupt", None).await;
    let findings = desk.findings(&desk.of.batch(&[&bucket]));
    let (_, shown, log) = desk.run(&["apply", "--alone", "--yes", "--findings", &findings]);
    let report = shown["reports"][0]["report_at"].as_str().unwrap_or_else(|| panic!("{log}"));
    let run = report.strip_suffix("-1.json").unwrap();
    let plan = run.replace("/reports/", "/plans/") + "-3.json";
    std::fs::write(desk.folder.path().join(format!("{run}-2.json")), r#"{"schema": 99}"#).unwrap();
    std::fs::write(desk.folder.path().join(&plan), r#"{"schema": 1}"#).unwrap();
    let (code, shown, log) = desk.run(&["undo", run, "--yes", "--alone"]);
    assert_eq!((code, &shown["counts"]), (1, &json!({"undone": 1})), "{log}");
    for part in ["-2.json", "version 99", "-3.json", "version 1,", "reads 2"] {
        assert!(log.contains(part), "{part}: {log}");
    }
    assert_eq!(desk.of.target.public_access_block(&bucket).await.unwrap(), None);
}
