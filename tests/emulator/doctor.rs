//! `autoremediate doctor`: all is well, and then one thing after the other is not.

use assert_cmd::Command;
use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, LambdaFunctionConfiguration, NotificationConfiguration,
    NotificationConfigurationFilter, S3KeyFilter,
};
use remediation::Rule;
use rules::redshift_public_cluster::RedshiftPublicCluster;
use rules::security_group_open_admin_port::SecurityGroupOpenAdminPort;
use rules::vpc_without_flow_logs::VpcWithoutFlowLogs;
use serde_json::{Value, json};
use testkit::account::{Account, fresh_account};
use testkit::emulator::Emulator;
use testkit::netskope::{FakeNetskope, row};
use testkit::organization::{DOCTOR_ROLE, OPERATOR_ROLE, Organization};
use testkit::paths;
use testkit::subjects::security_group_open_admin_port::SecurityGroups;
use testkit::subjects::vpc_without_flow_logs::Vpcs;

const TOKEN: &str = "a-token-that-must-not-be-seen-42bb";
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
        Self::of::<RedshiftPublicCluster>(Account::fresh(Emulator::shared().await.unwrap())).await
    }

    /// That of the rule `R` and its target account.
    async fn of<R: Rule>(target: Account) -> Self {
        Self::with(Organization::with_target::<R>(Emulator::shared().await.unwrap(), target).await.unwrap()).await
    }

    async fn with(of: Organization) -> Self {
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
        let rule = &self.of.manifest.id;
        let lambda = format!("arn:aws:lambda:us-east-1:{}:function:autoremediate-{rule}", self.of.central.id);
        let start = |folder: &&str| {
            let prefix = FilterRule::builder().name(FilterRuleName::Prefix).value(format!("{folder}/{rule}/")).build();
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
            .args(["--rule", &self.of.manifest.id, "--account", &self.of.target.id])
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

    /// The rows of a check.
    fn of(&self, check: &str) -> Vec<&Value> {
        self.checks.iter().filter(|row| row["check"] == check).collect()
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
        "Netskope's own stack",
        "reachable",
        "cards",
        "policy.json",
        "starts on findings",
        "starts on approvals",
        "doctor's role",
        "Netskope's own stack",
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
    assert!(text.contains("20 checks: 20 ok") && !text.contains('\u{1b}'), "{text}");

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
    assert!(ours.len() == 10 && ours.iter().all(|row| row["result"] == "ok"), "{ours:#?}");
    assert_eq!(theirs.len(), 10, "{theirs:#?}");
    assert!(theirs[0]["fix"].as_str().unwrap().contains(&format!("for account {other}")), "{theirs:#?}");
    assert_eq!(told.failed(), ["doctor's role", "trust", "undo trust"]);
}

/// Asks a role's permissions of IAM's simulator and of EC2 itself: the first leaves out service control policies with
/// conditions.
async fn only_ec2_knows_of_the_organizations_policy<R: Rule>(action: &str) {
    let emulator = Emulator::shared().await.unwrap();
    let management = Account::fresh(emulator);
    let member = Account::new(emulator, &management.make_organization(emulator).await.unwrap());
    let practice = Practice::of::<R>(member).await;
    let told = practice.look();
    assert_eq!((told.code, told.failed()), (0, Vec::new()), "{:#?}", told.checks);
    let found = told.of("dry run")[0]["found"].as_str().unwrap();
    assert!(found.starts_with(&format!("us-east-1: EC2 would allow {action} on ")), "{found}");

    let here = json!({"StringEquals": {"aws:RequestedRegion": "us-east-1"}});
    let deny = json!([{"Effect": "Deny", "Action": action, "Resource": "*", "Condition": here}]);
    management.control(emulator, &practice.of.target.id, &deny).await.unwrap();
    let told = practice.look();
    told.only("dry run", "service control policy", "let the role in");
    let found = told.of("dry run")[0]["found"].as_str().unwrap();
    assert!(!found.contains("Encoded") && !found.contains("0000000000"), "{found}");

    // Of two regions, the one that the policy is about.
    let told = practice.look_with(&["--regions", "us-east-1,eu-west-1"]);
    let results: Vec<_> = told.of("dry run").iter().map(|row| row["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["ok", "failed"], "{:#?}", told.checks);
}

#[tokio::test(flavor = "multi_thread")]
async fn ec2_is_asked_whether_a_rule_with_a_tag_may_be_added() {
    only_ec2_knows_of_the_organizations_policy::<SecurityGroupOpenAdminPort>("ec2:AuthorizeSecurityGroupIngress").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ec2_is_asked_whether_a_flow_log_may_be_made() {
    only_ec2_knows_of_the_organizations_policy::<VpcWithoutFlowLogs>("ec2:CreateFlowLogs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_changes_nothing_and_needs_what_the_rule_needs() {
    let practice = Practice::of::<VpcWithoutFlowLogs>(Account::fresh(Emulator::shared().await.unwrap())).await;
    let (of, vpcs) = (&practice.of, Vpcs::of(&practice.of.target));
    let vpc = vpcs.make("asked", false).await.unwrap();
    for action in ["ec2:CreateFlowLogs", "ec2:CreateTags", "iam:PassRole"] {
        let policies = of.take_away(action).await.unwrap();
        let told = practice.look();
        assert_eq!(told.failed(), ["permissions", "dry run"], "{:#?}", told.checks);
        assert!(told.of("dry run")[0]["found"].as_str().unwrap().contains(action), "{:#?}", told.checks);
        of.give_back(policies).await.unwrap();
    }
    assert_eq!(vpcs.described(&vpc).await.unwrap(), json!([]));
    let asked = of.decisions().await.unwrap();
    let wrote = |action: &str| asked.iter().any(|of| of.action == action && of.allowed);
    assert!(wrote("ec2:CreateFlowLogs") && !wrote("logs:CreateLogGroup"), "{asked:?}");

    // Where the role does not let it ask, that is said, and is no no.
    practice.set_trust(&of.target_role(), &of.trust(&["somebody"], practice.external_id())).await;
    let told = practice.look();
    assert_eq!(told.failed(), ["trust"], "{:#?}", told.checks);
    let row = told.of("dry run")[0];
    assert!(row["result"] == "skipped" && row["found"].as_str().unwrap().starts_with("not tried: "), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_log_is_asked_about_to_the_bucket_that_the_policy_names_for_the_account_and_the_region() {
    let practice = Practice::of::<VpcWithoutFlowLogs>(Account::fresh(Emulator::shared().await.unwrap())).await;
    let of = &practice.of;
    let settings = json!({"destinations": {format!("{}/us-east-1", of.target.id): "arn:aws:s3:::flows-{account}"}});
    let policy = json!({"schema": 1, "rules": {&of.manifest.id: {"settings": settings}}}).to_string();
    of.central
        .s3
        .put_object()
        .bucket(&of.bucket)
        .key("policy.json")
        .body(policy.into_bytes().into())
        .send()
        .await
        .unwrap();
    let told = practice.look_with(&["--regions", "eu-west-1,us-east-1", "--all"]);
    let found: Vec<_> = told.of("dry run").iter().map(|row| row["found"].as_str().unwrap()).collect();
    let bucket = format!(", to arn:aws:s3:::flows-{};", of.target.id);
    assert_eq!(
        (told.failed(), found[0].contains(&bucket), found[1].contains(&bucket)),
        (vec![], false, true),
        "{found:?}"
    );
    // Only whoever has flow logs delivered to a bucket needs it.
    let policies = of.take_away("logs:CreateLogDelivery").await.unwrap();
    let told = practice.look_with(&["--regions", "eu-west-1,us-east-1"]);
    let results: Vec<_> = told.of("dry run").iter().map(|row| row["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["ok", "failed"], "{:#?}", told.checks);
    assert!(told.of("dry run")[1]["found"].as_str().unwrap().contains("logs:CreateLogDelivery"), "{:#?}", told.checks);
    of.give_back(policies).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_asked_about_only_where_there_is_one() {
    let practice = Practice::of::<SecurityGroupOpenAdminPort>(Account::fresh(Emulator::shared().await.unwrap())).await;
    let groups = SecurityGroups::of(&practice.of.target);
    let group = groups.make_in_default_vpc("asked", &["tcp 22-22 0.0.0.0/0"]).await.unwrap();
    let before = groups.describe(&group).await.unwrap();
    let told = practice.look();
    assert_eq!(told.of("dry run")[0]["result"], "ok", "{:#?}", told.checks);
    assert_eq!(groups.describe(&group).await.unwrap(), before);
    let told = practice.look_with(&["--regions", "us-gov-west-1"]);
    let row = told.of("dry run")[0];
    assert!(row["result"] == "skipped" && row["found"].as_str().unwrap().contains("partition"), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn netskopes_own_stacks_are_seen_in_both_accounts() {
    let practice = Practice::new().await;
    let nobody = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"Service": "lambda.amazonaws.com"}}]});
    let nothing = json!([{"Effect": "Deny", "Action": "none:Nothing", "Resource": "*"}]);
    let (central, target) = (&practice.of.central, &practice.of.target);
    let theirs = [
        (target, "BPR-1-9-RedShiftClusterPublicTargetRole_us-east-1"),
        // Of another rule, which is not asked for.
        (target, "BPR-0-6-NACLTargetRole_us-east-1"),
        (central, "GetNetskopeCSPMResultsLFRole_eu-west-1"),
    ];
    for (account, role) in theirs {
        account.make_role(role, &nobody, &nothing).await.unwrap();
    }
    let told = practice.look_with(&["--regions", "us-east-1,eu-west-1"]);
    assert_eq!((told.code, told.failed()), (0, Vec::new()), "{:#?}", told.checks);
    let rows = told.of("Netskope's own stack");
    let warned: Vec<_> = rows.iter().filter(|row| row["result"] == "warn").collect();
    let [in_central, in_target] = warned[..] else { panic!("{rows:#?}") };
    let found = |row: &Value| row["found"].as_str().unwrap().to_owned();
    assert!(found(in_central).contains("GetNetskopeCSPMResultsLFRole_eu-west-1"), "{in_central}");
    assert!(found(in_target).contains("BPR-1-9-RedShiftClusterPublicTargetRole_us-east-1"), "{in_target}");
    assert!(!found(in_target).contains("NACL"), "{in_target}");
    assert!(in_target["fix"].as_str().unwrap().contains("docs/from-netskopes-framework.md"), "{in_target}");

    // A role that may not be looked for is not taken for gone.
    practice.of.target.take_away(DOCTOR_ROLE, "iam:GetRole").await.unwrap();
    let told = practice.look();
    let row = told.of("Netskope's own stack")[1];
    assert!(row["result"] == "skipped" && found(row).contains("iam:GetRole: AccessDenied"), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_central_account_is_checked_like_any_target() {
    let emulator = Emulator::shared().await.unwrap();
    let both = Account::fresh(emulator);
    let of = Organization::with_accounts::<RedshiftPublicCluster>(emulator, both.clone(), both).await.unwrap();
    let told = Practice::with(of).await.look();
    assert_eq!((told.code, told.failed()), (0, Vec::new()), "{:#?}", told.checks);
}

async fn delete_role(of: &Organization, role: &str) {
    let iam = &of.target.iam;
    let policies = iam.list_role_policies().role_name(role).send().await.unwrap();
    for policy in policies.policy_names() {
        iam.delete_role_policy().role_name(role).policy_name(policy).send().await.unwrap();
    }
    iam.delete_role().role_name(role).send().await.unwrap();
}
