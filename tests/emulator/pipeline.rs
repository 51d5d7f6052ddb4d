//! The deployed pipeline: Terraform, schedules, pollers, rule Lambdas; every control, three target accounts, one deployment
//! of two regions and one of its own alone.
//! One deployment serves every check, because applying it takes most of the time.

mod closure;
mod messages;
mod metrics;
mod policy;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use remediation::{Batch, BatchId, Finding, Manifest, Outcome, POLICY_KEY, Region, Report, Rule, RunId, Scope};
use rules::s3_public_bucket::S3PublicBucket;
use serde_json::{Value, json};
use testkit::account::{Account, REGION, fresh_account};
use testkit::central::{Central, Done};
use testkit::deployment::{Deployment, Settings};
use testkit::emulator::Emulator;
use testkit::manifests;
use testkit::netskope::{FakeNetskope, POLICY, display_name, row};
use testkit::violations::{self, Violation};

const TOKEN: &str = "a-token-that-must-not-be-seen-2f6b";
/// The alarm of a policy that Terraform has not written.
const UNEXPECTED_POLICY: &str = "autoremediate-unexpected-policy";
const PATIENCE: Duration = Duration::from_secs(60);
/// The regions of each deployment, first the one that it is in.
const REGIONS: [&[&str]; 2] = [&[REGION, "ap-southeast-2"], &["eu-west-1"]];
/// Buckets beside the violations: one that is half public, and one that complies before anything is done.
const KINDS: [(&str, [bool; 4]); 2] = [("partly", [false, true, false, false]), ("clean", [true; 4])];

/// A deployment with three target accounts, what Netskope listed when it was made, and what became of that.
struct Pipeline {
    manifest: Manifest,
    targets: [Account; 3],
    violations: Vec<Violation>,
    deployment: Deployment,
    done: Vec<Done>,
    netskope: FakeNetskope,
    rows: Vec<Value>,
}

#[tokio::test]
async fn everything_from_the_schedule_to_the_proof() {
    let pipeline = Pipeline::deploy().await;
    pipeline.renders_policies_that_aws_understands().await;
    pipeline.fixes_and_proves_each_finding_once().await;
    pipeline.acts_on_global_findings_in_the_home_region_alone().await;
    pipeline.records_each_plan_before_the_first_write().await;
    pipeline.logs_one_json_object_a_line_with_run_rule_account_and_resource().await;
    pipeline.keeps_fixing_undoing_and_looking_apart().await;
    pipeline.asks_for_the_shortest_sessions().await;
    pipeline.writes_one_valid_line_of_metrics_for_each_invocation().await;
    pipeline.has_no_alarm().await;
    pipeline.closes_what_netskope_confirms_and_tells_what_it_contests().await;
    pipeline.asks_for_a_rescan_once_in_an_interval().await;
    pipeline.raises_each_alarm_when_its_cause_is_made().await;
    let deployed = pipeline.policy().await;
    pipeline.fails_without_any_single_permission_of_the_manifest().await;
    pipeline.raises_an_alarm_where_the_policy_is_another().await;
    pipeline.keeps_to_its_policy().await;
    pipeline.put(POLICY_KEY, deployed).await;
    pipeline.refuses_a_region_that_another_deployment_looks_after().await;
    pipeline.keeps_the_token_out_of_states_logs_and_objects().await;
    pipeline.deployment.has_no_drift().await.unwrap();
}

impl Pipeline {
    async fn deploy() -> Self {
        let emulator = Emulator::shared().await.unwrap();
        let manifest = Manifest::from_json(S3PublicBucket::MANIFEST).unwrap();
        let targets = [Account::fresh(emulator), Account::fresh(emulator), Account::fresh(emulator)];
        let deployments = REGIONS.map(|own| own.iter().map(ToString::to_string).collect());
        let regions = REGIONS.concat().into_iter().map(String::from).collect::<Vec<_>>();
        let netskope = FakeNetskope::start(TOKEN).await;
        let (mut violations, mut rows) = (Vec::new(), Vec::new());
        for target in &targets {
            violations.extend(Violation::make_all(target, &regions).await.unwrap());
            for (kind, block) in KINDS {
                let bucket = format!("{kind}-{}", target.id);
                target.make_bucket(&bucket, Some(block)).await.unwrap();
                let region = display_name(REGION).unwrap();
                rows.push(row(&manifest.controls[0].rule_names[0], &target.id, region, &bucket));
            }
        }
        rows.extend(violations.iter().map(|violation| violation.row().unwrap()));
        // Netskope lists a violation once for each profile and policy.
        let rows = [rows.clone(), rows].concat();
        netskope.set_rows(rows.clone());
        let mut policy = violations::policy().unwrap();
        policy["rescan"] = json!({"netskope_policies": [POLICY], "interval_hours": 1});
        let settings = Settings {
            central: fresh_account(),
            regions: deployments.into(),
            targets: targets.iter().map(|target| target.id.clone()).collect(),
            policy,
            netskope: netskope.url(),
            token: TOKEN.into(),
        };
        // What the alarms look back for, and how long a plan may wait: a second.
        let options = [
            ("alarm_period", "60"),
            ("alarm_waiting_hours", "0.0003"),
            ("alarm_throttled_seconds", "180"),
            ("chat_messages", "{}"),
            ("email_messages", "{}"),
        ];
        let deployment = Deployment::apply_with(emulator, settings, &options).await.unwrap();
        let done = deployment.done(PATIENCE).await.unwrap();
        Self { manifest, targets, violations, deployment, done, netskope, rows }
    }

    /// Every policy that was stored so far, those of roles, buckets and queues and of the sessions that were taken.
    async fn renders_policies_that_aws_understands(&self) {
        let emulator = Emulator::shared().await.unwrap();
        let targets = self.targets.iter().map(|target| &target.id);
        for account in targets.chain([&self.deployment.home().account.id]) {
            assert_eq!(emulator.misfits(account).await.unwrap(), Vec::<Value>::new(), "{account}");
        }
    }

    async fn fixes_and_proves_each_finding_once(&self) {
        let mut listed: Vec<_> = self.violations.iter().map(listed).collect();
        for target in &self.targets {
            let named = |(kind, _)| {
                [&self.manifest.controls[0].rule_names[0], &target.id, REGION, &format!("{kind}-{}", target.id)]
                    .map(String::from)
            };
            listed.extend(KINDS.map(named));
        }
        let reported: Vec<_> = self.done.iter().flat_map(Done::findings).map(|of| reported(&of.finding)).collect();
        let neither = (Vec::new(), Vec::new());
        assert_eq!((beyond(&reported, &listed), beyond(&listed, &reported)), neither, "too many, too few");
        for finding in self.done.iter().flat_map(Done::findings) {
            let clean = finding.finding.resource.starts_with("clean");
            let expected = if clean { Outcome::AlreadyCompliant } else { Outcome::Fixed };
            assert_eq!((finding.outcome, finding.verification.is_some()), (expected, !clean), "{finding:?}");
        }
        for violation in &self.violations {
            assert!(violation.complies().await.unwrap(), "{violation:?}");
        }
        for target in &self.targets {
            for (kind, block) in KINDS {
                let found = target.public_access_block(&format!("{kind}-{}", target.id)).await.unwrap();
                let expected = if kind == "clean" { block } else { [false, true, false, true] };
                assert_eq!(found, Some(expected), "{kind}");
            }
        }
        for region in &self.deployment.regions {
            assert_eq!(region.failures().await.unwrap(), 0, "{}", region.account.region);
        }
    }

    /// In the reports, in what the pollers say, and in what IAM was asked for.
    async fn acts_on_global_findings_in_the_home_region_alone(&self) {
        let global: Vec<_> = self.violations.iter().filter(|violation| violation.region.is_global()).collect();
        assert_eq!(global.len(), self.targets.len());
        for (own, done) in REGIONS.into_iter().zip(&self.done) {
            let home = done.region == REGION;
            let own =
                own.iter().map(|code| Region::code(*code)).chain(home.then(Region::global)).collect::<BTreeSet<_>>();
            let found: BTreeSet<_> = done.findings().map(|finding| finding.finding.region.clone()).collect();
            assert_eq!(found, own, "{done:?}");
            for manifest in manifests().unwrap().iter().filter(|manifest| manifest.scope == Scope::Global) {
                let (kept, left) = if home { (global.len(), 0) } else { (0, 2 * global.len()) };
                let poll = done.poll(&manifest.id).unwrap();
                assert_eq!((&poll["kept"], &poll["other_regions"]), (&json!(kept), &json!(left)), "{poll}");
                assert_eq!(done.reports.iter().any(|(_, report)| report.id.rule == manifest.id), home);
            }
        }
        let decisions = Emulator::shared().await.unwrap().decisions().await.unwrap();
        for target in &self.targets {
            let of_target = |of: &&Value| of["principal"].as_str().unwrap().contains(&format!("::{}:", target.id));
            let written = decisions.iter().filter(of_target).filter(|of| of["action"] == "iam:UpdateAccessKey");
            assert_eq!(written.count(), 1, "{}", target.id);
        }
    }

    async fn records_each_plan_before_the_first_write(&self) {
        for (region, done) in self.deployment.regions.iter().zip(&self.done) {
            for (_, report) in &done.reports {
                for row in report.findings.iter().filter(|row| row.verification.is_some()) {
                    let plan = region.account.json(&region.bucket, report.plan_of(row).unwrap()).await.unwrap();
                    let proved = row.verification.as_ref().unwrap().at.to_string();
                    assert!(plan["created"].as_str().unwrap() < proved.as_str(), "{plan}");
                }
            }
        }
    }

    async fn logs_one_json_object_a_line_with_run_rule_account_and_resource(&self) {
        for (region, done) in self.deployment.regions.iter().zip(&self.done) {
            for (_, report) in &done.reports {
                let lines = log_lines(region, &report.id.rule).await;
                let lines: Vec<Value> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
                let applied: Vec<_> = lines.iter().filter(|line| line["message"] == "applied").collect();
                assert_eq!(applied.len(), report.count(Outcome::Fixed), "{lines:?}");
                for line in &applied {
                    for field in ["run", "rule", "account", "resource", "outcome"] {
                        assert!(line[field].is_string(), "no {field} in {line}");
                    }
                }
                assert!(lines.iter().all(|line| line["run"].is_string() && line["rule"].is_string()), "{lines:?}");
            }
        }
    }

    /// Of every rule: its own role, the one that takes back and the reader's, against all that any of them may do.
    async fn keeps_fixing_undoing_and_looking_apart(&self) {
        let target = &self.targets[0];
        for manifest in manifests().unwrap() {
            let id = &manifest.id;
            let (fix, undo): (Vec<_>, Vec<_>) = (manifest.to_fix("aws").collect(), manifest.to_undo().collect());
            let (read, directly): (Vec<_>, Vec<_>) =
                (manifest.read.iter().collect(), manifest.directly.iter().collect());
            for (suffix, allowed) in [("", &fix), ("-undo", &undo), ("-reader", &read)] {
                for permission in fix.iter().chain(&undo).chain(&directly) {
                    let may = target.simulate(&format!("autoremediate-{id}{suffix}"), permission).await.unwrap();
                    assert_eq!(may, allowed.contains(permission), "{id}{suffix}: {permission:?}");
                }
            }
            // And whom they let in.
            let central = &self.deployment.home().account.id;
            let lambda = format!("role/autoremediate-{id}-*-*-*");
            for (suffix, lets_in, keeps_out) in [
                ("", vec![lambda.as_str(), "role/operator"], vec!["role/reader"]),
                ("-undo", vec!["role/operator"], vec![&lambda, "role/reader"]),
                ("-reader", vec!["role/reader"], vec![&lambda, "role/operator"]),
            ] {
                let trust = target.trust(&format!("autoremediate-{id}{suffix}")).await.unwrap();
                let names = |role: &&str| trust.contains(&format!("\"arn:aws:iam::{central}:{role}\""));
                assert!(lets_in.iter().all(names) && !keeps_out.iter().any(names), "{id}{suffix}: {trust}");
            }
        }
    }

    async fn asks_for_the_shortest_sessions(&self) {
        let emulator = Emulator::shared().await.unwrap();
        for target in &self.targets {
            let sessions = emulator.sessions(&target.id).await.unwrap();
            for manifest in manifests().unwrap() {
                let role = format!("arn:aws:iam::{}:role/autoremediate-{}", target.id, manifest.id);
                let asked: Vec<_> = sessions.iter().filter(|of| of["role"] == *role).map(|of| &of["asked"]).collect();
                assert!(!asked.is_empty() && asked.iter().all(|seconds| **seconds == 900), "{role}: {asked:?}");
            }
        }
    }

    async fn fails_without_any_single_permission_of_the_manifest(&self) {
        let target = &self.targets[0];
        let (bucket, role) = (format!("website-{}-{REGION}", target.id), format!("autoremediate-{}", self.manifest.id));
        let Manifest { read, write, extra, .. } = &self.manifest;
        // So that tags are asked for.
        let exemption = json!({"tags": {"keep": "public"}, "reason": "r", "owner": "o"});
        self.set_policy(json!({"exemptions": [exemption]})).await;
        for permission in read.iter().chain(write).chain(extra) {
            target.set_public_access_block(&bucket, None).await.unwrap();
            let taken = target.take_away(&role, &permission.action).await.unwrap();
            let report = self.run(target, &bucket).await;
            let finding = &report.findings[0];
            if permission.action == "s3:GetBucketWebsite" {
                // The guard's own look: it warns of what it could not see, and the fix goes on.
                assert_eq!(finding.outcome, Outcome::Fixed, "{finding:?}");
                assert!(finding.notes.iter().any(|note| note.contains(&permission.action)), "{finding:?}");
            } else {
                assert_eq!(finding.outcome, Outcome::Failed, "{finding:?}");
                assert!(finding.detail.as_ref().unwrap().starts_with(&permission.action), "{finding:?}");
                assert_eq!(target.public_access_block(&bucket).await.unwrap(), None);
            }
            target.give_back(&role, taken).await.unwrap();
        }
        target.set_public_access_block(&bucket, None).await.unwrap();
        assert_eq!(self.run(target, &bucket).await.findings[0].outcome, Outcome::Fixed);
    }

    /// Every rule has read the policy that Terraform has written, and every log is there.
    async fn has_no_alarm(&self) {
        for region in &self.deployment.regions {
            let alarms = region.alarms().await.unwrap();
            assert_eq!(alarms[UNEXPECTED_POLICY], "OK", "{alarms}");
        }
    }

    /// From the object in the bucket, by what a rule's Lambda logs and the filter counts, to the alarm's state. The rule
    /// has run in the home region alone since somebody else's policy is there.
    async fn raises_an_alarm_where_the_policy_is_another(&self) {
        let end = Instant::now() + PATIENCE;
        while self.deployment.home().alarms().await.unwrap()[UNEXPECTED_POLICY] != "ALARM" {
            assert!(Instant::now() < end, "{}", self.deployment.home().alarms().await.unwrap());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        assert_eq!(self.deployment.regions[1].alarms().await.unwrap()[UNEXPECTED_POLICY], "OK");
    }

    /// Before a Lambda is told of the region: nothing else is changed.
    async fn refuses_a_region_that_another_deployment_looks_after(&self) {
        let regions = ["eu-west-1", "ap-southeast-2"].map(String::from);
        let error = self.deployment.look_after("eu-west-1", &regions).await.unwrap_err().to_string();
        assert!(error.contains("EntityAlreadyExists"), "{error}");
        assert!(error.contains("autoremediate-looks-after-ap-southeast-2"), "{error}");
    }

    async fn reports_a_batch_that_cannot_be_read_and_fails_the_invocation(&self) {
        let batch = self.batch(&self.targets[0], "unread");
        let newer = String::from_utf8(batch.to_ndjson().unwrap()).unwrap().replace("\"schema\":1", "\"schema\":2");
        let failed_before = self.deployment.home().failures().await.unwrap();
        self.put(&batch.id.findings_key(), newer).await;
        let report = self.report(&batch.id).await;
        assert!(report.error.as_ref().unwrap().contains("schema version 2"), "{report:?}");
        let end = Instant::now() + PATIENCE;
        while self.deployment.home().failures().await.unwrap() == failed_before {
            assert!(Instant::now() < end, "the failure queue has no message");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn keeps_the_token_out_of_states_logs_and_objects(&self) {
        hides_token_in_files(self.deployment.folder());
        for (region, done) in self.deployment.regions.iter().zip(&self.done) {
            let Central { account, bucket, .. } = region;
            for key in account.keys(bucket, "").await.unwrap() {
                let object = account.s3.get_object().bucket(bucket).key(&key).send().await.unwrap();
                hides_token(&key, &object.body.collect().await.unwrap().into_bytes());
            }
            for function in done.reports.iter().map(|(_, report)| report.id.rule.as_str()).chain(["poller"]) {
                let lines = log_lines(region, function).await;
                assert!(!lines.is_empty(), "no log of {function}");
                hides_token(function, lines.join("\n").as_bytes());
            }
        }
    }

    fn batch(&self, target: &Account, bucket: &str) -> Batch {
        self.batch_of(target, &[bucket])
    }

    fn batch_of(&self, target: &Account, buckets: &[impl AsRef<str>]) -> Batch {
        let finding = |bucket: &str| Finding {
            control: self.manifest.controls[0].rule_names[0].clone(),
            account: target.id.parse().unwrap(),
            region: Region::code(REGION),
            resource: bucket.to_owned(),
            first_seen: None,
            last_scanned: None,
        };
        let findings = buckets.iter().map(|bucket| finding(bucket.as_ref())).collect();
        Batch::new(BatchId { rule: self.manifest.id.clone(), run: RunId::start(), batch: 1 }, findings)
    }

    /// Puts a batch with one finding into the bucket, which starts the rule's Lambda, and waits for its report.
    async fn run(&self, target: &Account, bucket: &str) -> Report {
        self.run_batch(self.batch(target, bucket)).await
    }

    async fn run_batch(&self, batch: Batch) -> Report {
        let text = String::from_utf8(batch.to_ndjson().unwrap()).unwrap();
        self.put(&batch.id.findings_key(), text).await;
        self.report(&batch.id).await
    }

    async fn report(&self, id: &BatchId) -> Report {
        self.deployment.home().report(id, PATIENCE).await.unwrap()
    }

    /// The policy as Terraform has written it.
    async fn policy(&self) -> String {
        let Central { account, bucket, .. } = self.deployment.home();
        let object = account.s3.get_object().bucket(bucket).key(POLICY_KEY).send().await.unwrap();
        String::from_utf8(object.body.collect().await.unwrap().to_vec()).unwrap()
    }

    async fn put(&self, key: &str, text: String) {
        let Central { account, bucket, .. } = self.deployment.home();
        // As Terraform has it, for the policy's sake.
        let content_type = if key == POLICY_KEY { "application/json" } else { "application/octet-stream" };
        let put = account.s3.put_object().bucket(bucket).key(key).content_type(content_type);
        put.body(text.into_bytes().into()).send().await.unwrap();
    }
}

/// What says which finding it is: control, account, region, resource.
fn listed(of: &Violation) -> [String; 4] {
    [of.control.rule_names[0].clone(), of.account().to_owned(), of.region.to_string(), of.resource.clone()]
}

fn reported(of: &Finding) -> [String; 4] {
    [of.control.clone(), of.account.to_string(), of.region.to_string(), of.resource.clone()]
}

/// What `one` has more often than `other`.
fn beyond(one: &[[String; 4]], other: &[[String; 4]]) -> Vec<[String; 4]> {
    let mut left = one.to_vec();
    for finding in other {
        if let Some(at) = left.iter().position(|of| of == finding) {
            left.swap_remove(at);
        }
    }
    left
}

/// Everything that a function has logged when its first invocation has ended.
async fn log_lines(region: &Central, function: &str) -> Vec<String> {
    let end = Instant::now() + PATIENCE;
    loop {
        let lines = region.log_lines(function).await.unwrap();
        if lines.iter().any(|line| line.starts_with("REPORT")) || Instant::now() > end {
            return lines;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
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
