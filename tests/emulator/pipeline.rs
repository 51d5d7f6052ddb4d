//! The deployed pipeline: Terraform, schedule, poller, rule Lambda, target accounts. One deployment serves every check,
//! because applying it takes most of the time.

use std::path::Path;
use std::time::{Duration, Instant};

use remediation::{Batch, BatchId, Finding, Manifest, Outcome, Region, Report, Rule, RunId};
use s3_public_bucket::S3PublicBucket;
use serde_json::Value;
use testkit::account::{Account, REGION, fresh_account};
use testkit::deployment::{Deployment, Settings, findings};
use testkit::emulator::Emulator;
use testkit::netskope::{FakeNetskope, row};

const TOKEN: &str = "a-token-that-must-not-be-seen-2f6b";
const PATIENCE: Duration = Duration::from_secs(60);
const KINDS: [(&str, Option<[bool; 4]>); 3] =
    [("public", None), ("partly", Some([false, true, false, false])), ("clean", Some([true; 4]))];

/// A deployment with two target accounts, and what Netskope listed when it was made.
struct Pipeline {
    manifest: Manifest,
    targets: [Account; 2],
    deployment: Deployment,
    _netskope: FakeNetskope,
}

#[tokio::test]
async fn everything_from_the_schedule_to_the_proof() {
    let pipeline = Pipeline::deploy().await;
    pipeline.fixes_proves_and_records_what_netskope_lists().await;
    pipeline.logs_one_json_object_a_line_with_run_rule_account_and_resource().await;
    pipeline.fails_without_any_single_permission_of_the_manifest().await;
    pipeline.reports_a_batch_that_cannot_be_read_and_fails_the_invocation().await;
    pipeline.keeps_the_token_out_of_states_logs_and_objects().await;
    pipeline.deployment.has_no_drift().await.unwrap();
}

impl Pipeline {
    async fn deploy() -> Self {
        let emulator = Emulator::shared().await.unwrap();
        let manifest = Manifest::from_json(S3PublicBucket::MANIFEST).unwrap();
        let targets = [Account::fresh(emulator), Account::fresh(emulator)];
        let netskope = FakeNetskope::start(TOKEN).await;
        let mut rows = Vec::new();
        for target in &targets {
            for (kind, block) in KINDS {
                let bucket = format!("{kind}-{}", target.id);
                target.make_bucket(&bucket, block).await.unwrap();
                let listed = row(&manifest.controls[0].rule_names[0], &target.id, "US East(N. Virginia)", &bucket);
                rows.extend([listed.clone(), listed]);
            }
        }
        netskope.set_rows(rows);
        let settings = Settings {
            central: fresh_account(),
            targets: targets.iter().map(|target| target.id.clone()).collect(),
            mode: "apply".into(),
            netskope: netskope.url(),
            token: TOKEN.into(),
        };
        let deployment = Deployment::apply(emulator, settings).await.unwrap();
        Self { manifest, targets, deployment, _netskope: netskope }
    }

    async fn fixes_proves_and_records_what_netskope_lists(&self) {
        let listed = self.targets.len() * KINDS.len();
        let reports = self.deployment.reported(listed, PATIENCE).await.unwrap();
        assert_eq!(findings(&reports).count(), listed, "{reports:?}");
        for (_, finding) in findings(&reports) {
            let clean = finding.finding.resource.starts_with("clean");
            let expected = if clean { Outcome::AlreadyCompliant } else { Outcome::Fixed };
            assert_eq!((finding.outcome, finding.verification.is_some()), (expected, !clean), "{finding:?}");
        }
        for (_, report) in &reports {
            let plan = self.json(&report.plans[0].key).await;
            assert!(plan["created"].as_str().unwrap() < self.written_at(report).as_str(), "{plan}");
        }
        for target in &self.targets {
            for (kind, block) in KINDS {
                let found = target.public_access_block(&format!("{kind}-{}", target.id)).await.unwrap();
                let expected = if kind == "clean" { block } else { Some([false, true, false, true]) };
                assert_eq!(found, expected, "{kind}");
            }
        }
    }

    /// When the first fix of a report was proved.
    fn written_at(&self, report: &Report) -> String {
        let proofs = report.findings.iter().filter_map(|finding| finding.verification.as_ref());
        proofs.map(|proof| proof.at.to_string()).min().unwrap()
    }

    async fn logs_one_json_object_a_line_with_run_rule_account_and_resource(&self) {
        let lines = self.log_lines(&format!("autoremediate-{}", self.manifest.id)).await;
        let lines: Vec<Value> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let applied: Vec<_> = lines.iter().filter(|line| line["message"] == "applied").collect();
        assert_eq!(applied.len(), 4, "{lines:?}");
        for line in &applied {
            for field in ["run", "rule", "account", "resource", "outcome"] {
                assert!(line[field].is_string(), "no {field} in {line}");
            }
        }
        assert!(lines.iter().all(|line| line["run"].is_string() && line["rule"].is_string()), "{lines:?}");
    }

    async fn fails_without_any_single_permission_of_the_manifest(&self) {
        let target = &self.targets[0];
        let (bucket, role) = (format!("public-{}", target.id), format!("autoremediate-{}", self.manifest.id));
        let Manifest { read, write, extra, .. } = &self.manifest;
        for permission in read.iter().chain(write).chain(extra) {
            target.set_public_access_block(&bucket, None).await.unwrap();
            let taken = target.take_away(&role, &permission.action).await.unwrap();
            let report = self.run(target, &bucket).await;
            let finding = &report.findings[0];
            assert_eq!(finding.outcome, Outcome::Failed, "{finding:?}");
            assert!(finding.detail.as_ref().unwrap().starts_with(&permission.action), "{finding:?}");
            assert_eq!(target.public_access_block(&bucket).await.unwrap(), None);
            target.give_back(&role, taken).await.unwrap();
        }
        assert_eq!(self.run(target, &bucket).await.findings[0].outcome, Outcome::Fixed);
    }

    async fn reports_a_batch_that_cannot_be_read_and_fails_the_invocation(&self) {
        let batch = self.batch(&self.targets[0], "unread");
        let newer = String::from_utf8(batch.to_ndjson().unwrap()).unwrap().replace("\"schema\":1", "\"schema\":2");
        let failed_before = self.failures().await;
        self.put(&batch.id.findings_key(), newer).await;
        let report = self.report(&batch.id).await;
        assert!(report.error.as_ref().unwrap().contains("schema version 2"), "{report:?}");
        let end = Instant::now() + PATIENCE;
        while self.failures().await == failed_before {
            assert!(Instant::now() < end, "the failure queue has no message");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn keeps_the_token_out_of_states_logs_and_objects(&self) {
        hides_token_in_files(self.deployment.folder());
        let central = &self.deployment.central;
        for key in central.keys(&self.deployment.bucket, "").await.unwrap() {
            let object = central.s3.get_object().bucket(&self.deployment.bucket).key(&key).send().await.unwrap();
            hides_token(&key, &object.body.collect().await.unwrap().into_bytes());
        }
        for function in ["autoremediate-poller".to_owned(), format!("autoremediate-{}", self.manifest.id)] {
            let lines = self.log_lines(&function).await;
            assert!(!lines.is_empty(), "no log of {function}");
            hides_token(&function, lines.join("\n").as_bytes());
        }
    }

    fn batch(&self, target: &Account, bucket: &str) -> Batch {
        let finding = Finding {
            control: self.manifest.controls[0].rule_names[0].clone(),
            account: target.id.parse().unwrap(),
            region: Region::code(REGION),
            resource: bucket.to_owned(),
            first_seen: None,
            last_scanned: None,
        };
        Batch::new(BatchId { rule: self.manifest.id.clone(), run: RunId::start(), batch: 1 }, vec![finding])
    }

    /// Puts a batch with one finding into the bucket, which starts the rule's Lambda, and waits for its report.
    async fn run(&self, target: &Account, bucket: &str) -> Report {
        let batch = self.batch(target, bucket);
        let text = String::from_utf8(batch.to_ndjson().unwrap()).unwrap();
        self.put(&batch.id.findings_key(), text).await;
        self.report(&batch.id).await
    }

    async fn report(&self, id: &BatchId) -> Report {
        let end = Instant::now() + PATIENCE;
        loop {
            let keys = self.deployment.central.keys(&self.deployment.bucket, &id.report_key()).await.unwrap();
            if !keys.is_empty() {
                return serde_json::from_value(self.json(&id.report_key()).await).unwrap();
            }
            assert!(Instant::now() < end, "no report {}", id.report_key());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn put(&self, key: &str, text: String) {
        let put = self.deployment.central.s3.put_object().bucket(&self.deployment.bucket).key(key);
        put.body(text.into_bytes().into()).send().await.unwrap();
    }

    async fn json(&self, key: &str) -> Value {
        self.deployment.central.json(&self.deployment.bucket, key).await.unwrap()
    }

    /// Everything that a function has logged; LocalStack ships a log when the invocation has ended.
    async fn log_lines(&self, function: &str) -> Vec<String> {
        let logs = aws_sdk_cloudwatchlogs::Client::new(&self.deployment.central.config);
        let group = format!("/aws/lambda/{function}");
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = logs.filter_log_events().log_group_name(&group).send().await.unwrap();
            let lines: Vec<_> =
                answer.events().iter().filter_map(|event| event.message()).map(|line| line.trim().to_owned()).collect();
            if lines.iter().any(|line| line.starts_with("REPORT")) || Instant::now() > end {
                return lines;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn failures(&self) -> usize {
        self.deployment.queued("autoremediate-failures").await.unwrap()
    }
}

fn hides_token_in_files(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() || path.ends_with(".terraform") {
            continue;
        }
        if path.is_dir() {
            hides_token_in_files(&path);
        } else {
            hides_token(&path.display().to_string(), &std::fs::read(&path).unwrap());
        }
    }
}

fn hides_token(place: &str, bytes: &[u8]) {
    let found = bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes());
    assert!(!found, "the token is in {place}");
}
