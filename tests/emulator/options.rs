//! A deployment with what an operator may choose: a scope, Object Lock and a key of the customer's own, as Terraform
//! applies them, with IAM enforced.

use std::time::Duration;

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{ObjectLockMode, ServerSideEncryption};
use jiff::Timestamp;
use remediation::{
    Batch, BatchId, Finding, Manifest, Outcome, POLICY_KEY, Region, Report, ReportedFinding, Rule, RunId,
};
use rules::s3_public_bucket::S3PublicBucket;
use serde_json::{Value, json};
use testkit::account::{Account, REGION};
use testkit::central::Central;
use testkit::deployment::{Deployment, Settings};
use testkit::emulator::Emulator;
use testkit::netskope::{FakeNetskope, display_name, row};
use testkit::{paths, violations};
use tokio::process::Command;

const PATIENCE: Duration = Duration::from_secs(60);
const OPEN: Option<[bool; 4]> = Some([false; 4]);
const FIXED: Option<[bool; 4]> = Some([false, true, false, true]);
/// The folders of what is kept for a time, and of what is replaced or goes early.
const LOCKED: [&str; 3] = ["plans/", "reports/", "approvals/"];
const REPLACED: [&str; 3] = ["resources/", "ledgers/", "findings/"];
const DAY: i64 = 24 * 60 * 60;

/// A deployment, whose central account is the management account of an organization.
struct Optional {
    manifest: Manifest,
    deployment: Deployment,
    /// Its member account, which is in scope.
    inside: Account,
    /// An account of nobody's, with the same roles.
    outside: Account,
    organization: String,
    key: String,
    _netskope: FakeNetskope,
}

#[tokio::test]
async fn scope_lock_and_key_hold_as_deployed() {
    let mut of = Optional::deploy().await;
    of.acts_within_the_listed_accounts_alone().await;
    of.deployment.has_no_drift().await.unwrap();
    of.is_held_to_its_scope_by_iam().await;
    of.keeps_what_was_planned_reported_and_approved().await;
    of.encrypts_everything_by_the_key().await;
    of.acts_within_the_organization_alone().await;
    of.is_held_to_its_scope_by_iam().await;
}

impl Optional {
    async fn deploy() -> Self {
        let emulator = Emulator::shared().await.unwrap();
        let manifest = Manifest::from_json(S3PublicBucket::MANIFEST).unwrap();
        let central = Account::fresh(emulator);
        let inside = Account::new(emulator, &central.make_organization(emulator).await.unwrap());
        // Organizations makes it with the account, for the management account. The deployment makes its own.
        let (role, all) = ("OrganizationAccountAccessRole", "arn:aws:iam::aws:policy/AdministratorAccess");
        inside.iam.detach_role_policy().role_name(role).policy_arn(all).send().await.unwrap();
        inside.iam.delete_role().role_name(role).send().await.unwrap();
        let organization = central.organization_id(emulator).await.unwrap();
        let outside = Account::fresh(emulator);
        let key = central.make_key(emulator).await.unwrap();
        let netskope = FakeNetskope::start("a-token").await;
        let mut rows = Vec::new();
        for account in [&inside, &outside] {
            let bucket = format!("listed-{}", account.id);
            account.make_bucket(&bucket, OPEN).await.unwrap();
            let region = display_name(REGION).unwrap();
            rows.push(row(&manifest.controls[0].rule_names[0], &account.id, region, &bucket));
        }
        netskope.set_rows(rows);
        let settings = Settings {
            central: central.id,
            regions: vec![vec![REGION.into()]],
            targets: vec![inside.id.clone(), outside.id.clone()],
            policy: policy(&json!({"accounts": [inside.id]})),
            netskope: netskope.url(),
            token: "a-token".into(),
        };
        let lock = json!({"mode": "GOVERNANCE", "days": 1}).to_string();
        let options = [("object_lock", lock.as_str()), ("kms_key_arn", key.as_str())];
        let deployment = Deployment::apply_with(emulator, settings, &options).await.unwrap();
        Self { manifest, deployment, inside, outside, organization, key, _netskope: netskope }
    }

    fn home(&self) -> &Central {
        self.deployment.home()
    }

    async fn acts_within_the_listed_accounts_alone(&self) {
        let done = self.deployment.done(PATIENCE).await.unwrap();
        let of = |account: &Account| -> &ReportedFinding {
            let mut found = done[0].findings().filter(|row| row.finding.account.to_string() == account.id);
            found.next().expect("a finding of the account")
        };
        let (fixed, held) = (of(&self.inside), of(&self.outside));
        assert_eq!((fixed.outcome, held.outcome), (Outcome::Fixed, Outcome::Held), "{fixed:?} {held:?}");
        assert!(fixed.verification.is_some(), "{fixed:?}");
        let says = format!("out of scope: the policy's scope does not include the account {}", self.outside.id);
        assert_eq!(held.detail.as_ref(), Some(&says));
        assert!(self.is(&self.inside, "listed", FIXED).await && self.is(&self.outside, "listed", OPEN).await);
        // Nobody tried.
        assert_eq!(self.tries_outside().await, Vec::<Value>::new());
    }

    async fn acts_within_the_organization_alone(&mut self) {
        let scope = json!({"organization": self.organization});
        self.deployment.change_policy(policy(&scope)).await.unwrap();
        let before = self.tries_outside().await.len();
        let report = self.run("organization").await;
        let [fixed, held] = &report.findings[..] else { panic!("{report:?}") };
        assert_eq!((fixed.outcome, held.outcome), (Outcome::Fixed, Outcome::Held), "{report:?}");
        let detail = held.detail.as_ref().unwrap();
        let says =
            format!("out of scope, or without our role: the policy's scope is the organization {}", self.organization);
        assert!(detail.starts_with(&says) && detail.contains("sts:AssumeRole: AccessDenied"), "{detail}");
        self.refused(before).await;
    }

    /// Somebody who may write the policy has taken the scope out of it. What Terraform gave the roles is as before.
    async fn is_held_to_its_scope_by_iam(&self) {
        self.put(POLICY_KEY, json!({"schema": 1, "mode": "apply"}).to_string()).await;
        let before = self.tries_outside().await.len();
        let report = self.run(&format!("unscoped{before}")).await;
        let [fixed, failed] = &report.findings[..] else { panic!("{report:?}") };
        assert_eq!((fixed.outcome, failed.outcome), (Outcome::Fixed, Outcome::Failed), "{report:?}");
        let detail = failed.detail.as_ref().unwrap();
        assert!(detail.starts_with("sts:AssumeRole: AccessDenied"), "{detail}");
        self.refused(before).await;
    }

    /// What was tried since then was refused by the Lambda's own role, whatever the role there says.
    async fn refused(&self, before: usize) {
        let tries = self.tries_outside().await;
        assert!(tries.len() > before, "nobody tried");
        for of in &tries[before..] {
            assert!(of["allowed"] == false && of["action"] == "sts:AssumeRole", "{of}");
            assert!(of["reason"].as_str().unwrap().contains("no identity-based policy allows"), "{of}");
        }
        let sessions = Emulator::shared().await.unwrap().sessions(&self.outside.id).await.unwrap();
        let is_ours = |of: &&Value| of["role"].as_str().unwrap().contains("role/autoremediate-");
        assert_eq!(sessions.iter().find(is_ours), None);
    }

    /// The decisions on roles of ours in the account that is out of scope, but for those that go with an AssumeRole.
    async fn tries_outside(&self) -> Vec<Value> {
        let role = format!("arn:aws:iam::{}:role/autoremediate-", self.outside.id);
        let of_ours = |of: &Value| of["resource"].as_str().is_some_and(|resource| resource.starts_with(&role));
        let by_us = |of: &Value| of["principal"].as_str().unwrap().contains(&format!("::{}:", self.home().account.id));
        let every = Emulator::shared().await.unwrap().decisions().await.unwrap();
        every.into_iter().filter(|of| of_ours(of) && by_us(of) && of["action"] == "sts:AssumeRole").collect()
    }

    async fn keeps_what_was_planned_reported_and_approved(&self) {
        self.put(POLICY_KEY, json!({"schema": 1, "mode": "approve"}).to_string()).await;
        let held = self.run("approve").await;
        assert_eq!(held.findings[0].outcome, Outcome::Held, "{held:?}");
        let plan = format!("s3://{}/{}", self.home().bucket, held.plan.as_ref().unwrap().key);
        let mut approver = self.deployment.person("approver").await.unwrap();
        approver.push(("OBJECT_LOCK".into(), "GOVERNANCE/1".into()));
        let output = Command::new(paths::binary("autoremediate").unwrap())
            .args(["approve", &plan, "--reason", "ticket 4711", "--yes", "--wait", "60", "--json"])
            .current_dir(self.deployment.folder())
            .env_clear()
            .envs(approver)
            .output()
            .await
            .unwrap();
        assert!(self.is(&self.inside, "approve", FIXED).await, "{output:?}");

        let (Central { account, bucket, .. }, now) = (self.home(), Timestamp::now().as_second());
        for folder in LOCKED {
            let keys = account.keys(bucket, folder).await.unwrap();
            assert!(!keys.is_empty(), "nothing below {folder}");
            for key in &keys {
                let head = account.s3.head_object().bucket(bucket).key(key).send().await.unwrap();
                assert_eq!(head.object_lock_mode, Some(ObjectLockMode::Governance), "{key}");
                let until = head.object_lock_retain_until_date.unwrap().secs();
                assert!((now + DAY - 600..=now + DAY + 60).contains(&until), "{key}: {until}");
                // By the account's root, whom the emulator holds to no policy: it is the lock that refuses.
                let delete = account.s3.delete_object().bucket(bucket).key(key).version_id(head.version_id.unwrap());
                let error = delete.send().await.unwrap_err();
                assert_eq!(error.code(), Some("AccessDenied"), "{key}");
            }
        }
        for folder in REPLACED {
            let keys = account.keys(bucket, folder).await.unwrap();
            assert!(!keys.is_empty(), "nothing below {folder}");
            for key in &keys {
                let head = account.s3.head_object().bucket(bucket).key(key).send().await.unwrap();
                assert_eq!((head.object_lock_mode, head.object_lock_retain_until_date), (None, None), "{key}");
            }
        }
    }

    async fn encrypts_everything_by_the_key(&self) {
        let Central { account, bucket, .. } = self.home();
        let keys = account.keys(bucket, "").await.unwrap();
        for key in &keys {
            let head = account.s3.head_object().bucket(bucket).key(key).send().await.unwrap();
            let by = (head.server_side_encryption, head.ssekms_key_id.as_ref());
            assert_eq!(by, (Some(ServerSideEncryption::AwsKms), Some(&self.key)), "{key}");
        }
        // Whoever may do everything with S3, and nothing with the key.
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"AWS": format!("arn:aws:iam::{}:root", account.id)}}]});
        let all = json!([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]);
        let role = account.make_role("keyless", &trust, &all).await.unwrap();
        let config = account.as_role(&role).await.unwrap();
        let s3 = aws_sdk_s3::Client::new(&Emulator::shared().await.unwrap().as_product(&config).unwrap());
        s3.list_objects_v2().bucket(bucket).send().await.unwrap();
        let error = s3.get_object().bucket(bucket).key(&keys[0]).send().await.unwrap_err();
        let says = error.message().unwrap_or_default();
        assert!(error.code() == Some("AccessDenied") && says.contains("kms:Decrypt"), "{says}");
    }

    /// Has one open bucket of each account fixed, by as many batches as polls would put: on a busy machine a call may have
    /// no answer in time, and what is deferred for that is the next poll's.
    async fn run(&self, name: &str) -> Report {
        let findings = self.open_buckets(name).await;
        let mut report = self.batch(findings.clone()).await;
        for _ in 0..2 {
            if report.count(Outcome::Deferred) > 0 {
                report = self.batch(findings.clone()).await;
            }
        }
        assert!(self.is(&self.outside, name, OPEN).await, "{report:?}");
        report
    }

    /// Makes an open bucket in each account; gives the findings about them.
    async fn open_buckets(&self, name: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        for account in [&self.inside, &self.outside] {
            let resource = format!("{name}-{}", account.id);
            account.make_bucket(&resource, OPEN).await.unwrap();
            findings.push(Finding {
                control: self.manifest.controls[0].rule_names[0].clone(),
                account: account.id.parse().unwrap(),
                region: Region::code(REGION),
                resource,
                first_seen: None,
                last_scanned: None,
            });
        }
        findings
    }

    /// Puts a batch into the bucket, and waits for its report.
    async fn batch(&self, findings: Vec<Finding>) -> Report {
        let id = BatchId { rule: self.manifest.id.clone(), run: RunId::start(), batch: 1 };
        let batch = Batch::new(id, findings);
        self.put(&batch.id.findings_key(), String::from_utf8(batch.to_ndjson().unwrap()).unwrap()).await;
        self.home().report(&batch.id, PATIENCE).await.unwrap()
    }

    async fn put(&self, key: &str, text: String) {
        let Central { account, bucket, .. } = self.home();
        account.put(bucket, key, text.into()).await.unwrap();
    }

    async fn is(&self, account: &Account, name: &str, block: Option<[bool; 4]>) -> bool {
        account.public_access_block(&format!("{name}-{}", account.id)).await.unwrap() == block
    }
}

/// The policy of the tests, with a scope.
fn policy(scope: &Value) -> Value {
    let mut policy = violations::policy().unwrap();
    policy["scope"] = scope.clone();
    policy
}
