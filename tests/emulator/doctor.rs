//! `autoremediate doctor`: all is well, and then one thing after the other is not.

use assert_cmd::Command;
use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, LambdaFunctionConfiguration, NotificationConfiguration,
    NotificationConfigurationFilter, S3KeyFilter,
};
use rules::redshift_public_cluster::RedshiftPublicCluster;
use serde_json::{Value, json};
use testkit::account::fresh_account;
use testkit::emulator::Emulator;
use testkit::netskope::{FakeNetskope, row};
use testkit::organization::{DOCTOR_ROLE, OPERATOR_ROLE, Organization};
use testkit::paths;

const TOKEN: &str = "a-token-that-must-not-be-seen-42bb";
const RULE: &str = "redshift-public-cluster";
const EXTERNAL_ID: &str = "EXTERNAL_ID";

/// An organization with an operator, a bucket that starts the rule's Lambda, and a tenant.
struct Practice {
    of: Organization,
    netskope: FakeNetskope,
    environment: Vec<(String, String)>,
}

/// What a run of doctor said.
struct Told {
    code: i32,
    checks: Vec<Value>,
    log: String,
}

impl Practice {
    async fn new() -> Self {
        let of = Organization::new::<RedshiftPublicCluster>(Emulator::shared().await.unwrap()).await.unwrap();
        let environment = of.with_operator().await.unwrap();
        let netskope = FakeNetskope::start(TOKEN).await;
        let control = &of.manifest.controls[0].rule_names[0];
        netskope.set_rows(vec![row(control, &of.target.id, "US East(N. Virginia)", "cluster")]);
        let practice = Self { of, netskope, environment };
        practice.notify(&["findings", "approvals"]).await;
        practice
    }

    /// Lets new keys below these folders start the rule's Lambda, and no others.
    async fn notify(&self, folders: &[&str]) {
        let lambda = format!("arn:aws:lambda:us-east-1:{}:function:autoremediate-{RULE}", self.of.central.id);
        let start = |folder: &&str| {
            let prefix = FilterRule::builder().name(FilterRuleName::Prefix).value(format!("{folder}/{RULE}/")).build();
            let filter = S3KeyFilter::builder().filter_rules(prefix).build();
            LambdaFunctionConfiguration::builder()
                .lambda_function_arn(&lambda)
                .events(Event::from("s3:ObjectCreated:*"))
                .filter(NotificationConfigurationFilter::builder().key(filter).build())
                .build()
                .unwrap()
        };
        let starts = folders.iter().map(start).collect();
        let notification =
            NotificationConfiguration::builder().set_lambda_function_configurations(Some(starts)).build();
        let put = self.of.central.s3.put_bucket_notification_configuration().bucket(&self.of.bucket);
        put.notification_configuration(notification).skip_destination_validation(true).send().await.unwrap();
    }

    /// Runs it without a terminal; gives the exit code and what it printed.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(paths::binary("autoremediate").unwrap())
            .arg("doctor")
            .args(["--rule", RULE, "--account", &self.of.target.id])
            .args(["--records", &format!("s3://{}", self.of.bucket), "--netskope-endpoint", &self.netskope.url()])
            .args(arguments)
            .env_clear()
            .envs(self.environment.iter().cloned())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("NETSKOPE_TOKEN", TOKEN)
            .env("TERM", "xterm")
            .output()
            .unwrap();
        let (text, log) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(!text.contains(TOKEN) && !log.contains(TOKEN), "{text}{log}");
        (output.status.code().unwrap(), text, log)
    }

    fn look(&self) -> Told {
        self.look_with(&[])
    }

    fn look_with(&self, arguments: &[&str]) -> Told {
        let (code, text, log) = self.run(&[arguments, &["--json"]].concat());
        let document: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{log}"));
        assert_eq!(document["exit_code"], code);
        Told { code, checks: document["checks"].as_array().unwrap().clone(), log }
    }

    async fn set_trust(&self, role: &str, trust: &Value) {
        let set = self.of.target.iam.update_assume_role_policy().role_name(role);
        set.policy_document(trust.to_string()).send().await.unwrap();
    }

    fn external_id(&self) -> &str {
        &self.environment.iter().find(|(name, _)| name == EXTERNAL_ID).unwrap().1
    }
}

impl Told {
    /// That exactly this check failed, that it found this, and that its fix says how.
    fn only(&self, check: &str, found: &str, fix: &str) {
        assert_eq!(self.failed(), [check], "{:#?} {}", self.checks, self.log);
        let row = self.checks.iter().find(|row| row["result"] == "failed").unwrap();
        assert!(row["found"].as_str().unwrap().contains(found), "{row}");
        assert!(row["fix"].as_str().unwrap().contains(fix), "{row}");
        assert_eq!(self.code, 1);
    }

    fn failed(&self) -> Vec<&str> {
        let failed = self.checks.iter().filter(|row| row["result"] == "failed");
        failed.map(|row| row["check"].as_str().unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_well() {
    let practice = Practice::new().await;
    let Told { code, checks, log } = practice.look();
    assert!(code == 0 && checks.iter().all(|row| row["result"] == "ok"), "{checks:#?} {log}");
    let names: Vec<_> = checks.iter().map(|row| row["check"].as_str().unwrap()).collect();
    let expected = [
        "credentials",
        "clock",
        "token",
        "control",
        "reachable",
        "cards",
        "policy.json",
        "starts on findings",
        "starts on approvals",
        "doctor's role",
        "role",
        "trust",
        "permissions",
        "undo role",
        "undo trust",
        "undo permissions",
        "service role",
        "runbook",
    ];
    assert_eq!(names, expected);
    let (code, text, _) = practice.run(&[]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("18 checks: 18 ok") && !text.contains('\u{1b}'), "{text}");

    // What is not asked for is said to be skipped.
    let output = Command::new(paths::binary("autoremediate").unwrap())
        .args(["doctor", "--json"])
        .env_clear()
        .envs(practice.environment.iter().cloned())
        .output()
        .unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = document["checks"].as_array().unwrap();
    let skipped: Vec<_> = rows.iter().filter(|row| row["result"] == "skipped").map(|row| &row["check"]).collect();
    assert_eq!(skipped, ["token", "reachable", "accounts"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_in_an_account_fails_with_its_fix() {
    let practice = Practice::new().await;
    let (of, role) = (&practice.of, practice.of.target_role());
    let account = format!("terraform/deploy/targets for account {}", of.target.id);
    let fine = of.trust(&[OPERATOR_ROLE], practice.external_id());

    let (own, undo) = ((role.clone(), "permissions"), (of.undo_role(), "undo permissions"));
    for ((role, check), action) in [
        (&own, "redshift:DescribeClusters"),
        (&own, "iam:PassRole"),
        (&own, "ssm:StartAutomationExecution"),
        (&undo, "redshift:DescribeClusters"),
        (&undo, "redshift:ModifyCluster"),
    ] {
        let policies = of.target.take_away(role, action).await.unwrap();
        practice.look().only(check, action, &account);
        of.target.give_back(role, policies).await.unwrap();
    }
    practice.set_trust(&undo.0, &of.trust(&["somebody"], practice.external_id())).await;
    practice.look().only("undo trust", "sts:AssumeRole: AccessDenied", "operator_role_arns");
    practice.set_trust(&undo.0, &fine).await;

    let policies = of.target.take_away(DOCTOR_ROLE, "ssm:DescribeDocument").await.unwrap();
    practice.look().only("runbook", "ssm:DescribeDocument: AccessDenied", "terraform/deploy/targets");
    of.target.give_back(DOCTOR_ROLE, policies).await.unwrap();

    practice.set_trust(&role, &of.trust(&[OPERATOR_ROLE], "another")).await;
    practice.look().only("trust", "sts:AssumeRole: AccessDenied", "set EXTERNAL_ID");
    let mut open = fine.clone();
    open["Statement"][0]["Condition"].as_object_mut().unwrap().remove("StringEquals");
    practice.set_trust(&role, &open).await;
    practice.look().only("trust", "without an external ID", &account);
    let mut loose = fine.clone();
    loose["Statement"][0]["Condition"]["StringLike"] = json!({"sts:ExternalId": "*"});
    loose["Statement"][0]["Condition"].as_object_mut().unwrap().remove("StringEquals");
    practice.set_trust(&role, &loose).await;
    practice.look().only("trust", "with another external ID", &account);
    practice.set_trust(&role, &fine).await;

    let service = of.service_role();
    practice.set_trust(&service, &fine).await;
    practice.look().only("service role", "not ssm.amazonaws.com alone", &account);
    delete_role(of, &service).await;
    practice.look().only("service role", "NoSuchEntity", &account);

    delete_role(of, &role).await;
    let told = practice.look();
    assert_eq!((told.code, told.failed()), (1, vec!["role", "service role"]), "{:#?}", told.checks);

    practice.set_trust(DOCTOR_ROLE, &of.trust(&["somebody"], practice.external_id())).await;
    let told = practice.look();
    let row = told.checks.iter().find(|row| row["check"] == "doctor's role").unwrap();
    assert!(row["fix"].as_str().unwrap().contains("operator_role_arns"), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_around_the_accounts_fails_with_its_fix() {
    let practice = Practice::new().await;
    practice.notify(&["findings"]).await;
    practice.look().only("starts on approvals", "approvals/redshift-public-cluster/", "terraform/deploy/central");
    practice.notify(&["approvals"]).await;
    practice.look().only("starts on findings", "findings/redshift-public-cluster/", "terraform/deploy/central");
    practice.notify(&["findings", "approvals"]).await;

    let s3 = &practice.of.central.s3;
    let broken =
        s3.put_object().bucket(&practice.of.bucket).key("policy.json").body(b"{\"pausd\": true}".to_vec().into());
    broken.send().await.unwrap();
    practice.look().only("policy.json", "is `paused` meant?", "terraform/deploy/central");
    s3.delete_object().bucket(&practice.of.bucket).key("policy.json").send().await.unwrap();
    practice.look().only("policy.json", "NoSuchKey", "terraform/deploy/central");
    s3.delete_bucket().bucket(&practice.of.bucket).send().await.unwrap();
    practice.look().only("reachable", "s3:ListBucket", "terraform/deploy/central");
    s3.create_bucket().bucket(&practice.of.bucket).send().await.unwrap();
    let policy = br#"{"schema": 1}"#.to_vec().into();
    s3.put_object().bucket(&practice.of.bucket).key("policy.json").body(policy).send().await.unwrap();
    practice.notify(&["findings", "approvals"]).await;

    practice.netskope.set_rows(Vec::new());
    let told = practice.look();
    let row = told.checks.iter().find(|row| row["check"] == "control").unwrap();
    assert!(told.code == 0 && row["found"].as_str().unwrap().contains("no violation now"), "{row}");
    practice.netskope.set_token("another");
    practice.look().only("token", "refused the token", "NETSKOPE_TOKEN");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_out_of_reach_does_not_stop_the_others() {
    let practice = Practice::new().await;
    let folder = tempfile::tempdir().unwrap();
    let (file, other) = (folder.path().join("accounts.txt"), fresh_account());
    std::fs::write(&file, format!("# all\n{other}\n{}\n", practice.of.target.id)).unwrap();
    let told = practice.look_with(&["--accounts-file", &file.display().to_string()]);
    let of = |account: &str| told.checks.iter().filter(|row| row["account"] == account).collect::<Vec<_>>();
    let (ours, theirs) = (of(&practice.of.target.id), of(&other));
    assert_eq!(told.code, 1);
    assert!(ours.len() == 9 && ours.iter().all(|row| row["result"] == "ok"), "{ours:#?}");
    assert_eq!(theirs.len(), 9, "{theirs:#?}");
    assert!(theirs[0]["fix"].as_str().unwrap().contains(&format!("for account {other}")), "{theirs:#?}");
    assert_eq!(told.failed(), ["doctor's role", "trust", "undo trust"]);
}

async fn delete_role(of: &Organization, role: &str) {
    let iam = &of.target.iam;
    let policies = iam.list_role_policies().role_name(role).send().await.unwrap();
    for policy in policies.policy_names() {
        iam.delete_role_policy().role_name(role).policy_name(policy).send().await.unwrap();
    }
    iam.delete_role().role_name(role).send().await.unwrap();
}
