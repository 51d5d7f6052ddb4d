//! What the deployed pipeline may not write, and who may say so: each part of the policy, with the roles that Terraform
//! has made, IAM enforced.

use std::time::Instant;

use aws_sdk_s3::error::ProvideErrorMetadata;
use remediation::{Approval, Approved, Batch, BatchId, Outcome, POLICY_KEY, Report, RunId};
use serde_json::{Value, json};
use testkit::deployment::Environment;
use testkit::emulator::Emulator;
use testkit::paths;
use tokio::process::Command;

use super::metrics::becomes;
use super::{PATIENCE, Pipeline};

/// Nothing of the two settings that end public access.
const OPEN: Option<[bool; 4]> = Some([false; 4]);
const WRITE: &str = "s3:PutBucketPublicAccessBlock";
/// More buckets than are written at once before the first answer of a slow call.
const MANY: usize = 60;
const FIXED: Option<[bool; 4]> = Some([false, true, false, true]);

impl Pipeline {
    pub(super) async fn keeps_to_its_policy(&self) {
        let approver = self.deployment.person("approver").await.unwrap();
        let operator = self.deployment.person("operator").await.unwrap();
        self.stops_in_the_middle_when_it_is_paused().await;
        self.stops_what_somebody_pauses_and_nothing_else().await;
        self.writes_nothing_under_a_policy_with_a_typo().await;
        self.leaves_alone_what_is_exempt().await;
        self.writes_what_was_approved_and_nothing_that_has_drifted(&approver).await;
        self.holds_what_an_approval_is_not_for().await;
        self.is_well_by_doctor(&operator).await;
        self.lets_an_approver_approve_and_nothing_else(&approver).await;
        self.keeps_to_limits().await;
        self.asks_where_a_guard_holds().await;
        self.holds_what_is_fought_over().await;
        self.leaves_alone_what_an_operator_has_undone(&operator).await;
        self.takes_no_record_of_who_has_the_operator_policy_alone(&operator).await;
        self.raises_an_alarm_where_an_operator_overrides_it(&operator).await;
        self.tells_people_what_became_of_batches(&operator).await;
    }

    pub(super) async fn set_policy(&self, keys: Value) {
        let mut policy = json!({"schema": 1, "mode": "apply"});
        policy.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        // All that is tried here is one day, in one account.
        for limit in ["changes_per_day", "changes_per_account_per_day"] {
            policy["limits"][limit] = Value::Null;
        }
        self.put(POLICY_KEY, policy.to_string()).await;
    }

    /// Buckets of the first target account that violate.
    async fn open_buckets(&self, name: &str, count: usize) -> Vec<String> {
        let target = &self.targets[0];
        let buckets: Vec<_> = (0..count).map(|number| format!("{name}-{number}-{}", target.id)).collect();
        for bucket in &buckets {
            target.make_bucket(bucket, OPEN).await.unwrap();
        }
        buckets
    }

    async fn remediate(&self, buckets: &[String]) -> Report {
        self.run_batch(self.batch_of(&self.targets[0], buckets)).await
    }

    async fn is_fixed(&self, bucket: &str) -> bool {
        self.targets[0].public_access_block(bucket).await.unwrap() == FIXED
    }

    async fn one_is_fixed(&self, buckets: &[String]) -> bool {
        for bucket in buckets {
            if self.is_fixed(bucket).await {
                return true;
            }
        }
        false
    }

    /// Buckets whose remediation has begun, and which AWS takes long over: some are fixed, and a pause finds the others.
    async fn is_in_the_middle_of(&self, name: &str) -> (Vec<String>, Batch) {
        let emulator = Emulator::shared().await.unwrap();
        let buckets = self.open_buckets(name, MANY).await;
        emulator.slow_down(&self.targets[0].id, WRITE, 3, MANY).await.unwrap();
        let batch = self.batch_of(&self.targets[0], &buckets);
        let text = String::from_utf8(batch.to_ndjson().unwrap()).unwrap();
        self.put(&batch.id.findings_key(), text).await;
        let end = Instant::now() + PATIENCE;
        while !self.one_is_fixed(&buckets).await {
            assert!(Instant::now() < end, "nothing was written");
        }
        (buckets, batch)
    }

    /// A pause has left buckets unwritten, and the report says which.
    async fn ends_in_the_middle(&self, batch: &Batch) {
        let report = self.report(&batch.id).await;
        Emulator::shared().await.unwrap().slow_down(&self.targets[0].id, WRITE, 0, 0).await.unwrap();
        let (fixed, held) = (report.count(Outcome::Fixed), report.count(Outcome::Held));
        assert!(fixed > 0 && held > 0 && fixed + held == MANY, "{:?}", report.counts);
        for row in &report.findings {
            assert_eq!(self.is_fixed(&row.finding.resource).await, row.outcome == Outcome::Fixed, "{row:?}");
        }
    }

    /// 1: the kill switch.
    async fn stops_in_the_middle_when_it_is_paused(&self) {
        self.set_policy(json!({"limits": {"changes_per_account": null}})).await;
        let (buckets, batch) = self.is_in_the_middle_of("paused").await;
        self.set_policy(json!({"paused": true})).await;
        self.ends_in_the_middle(&batch).await;
        let report = self.remediate(&buckets[59..]).await;
        assert_eq!(detail(&report), (Outcome::Held, "everything is paused by the policy"));
    }

    /// The pause of a person with the pauser's policy alone: it stops one account in the middle of a run, shows, and is
    /// ended.
    async fn stops_what_somebody_pauses_and_nothing_else(&self) {
        let pauser = self.deployment.person("pauser").await.unwrap();
        let records = format!("s3://{}", self.deployment.home().bucket);
        self.set_policy(json!({"limits": {"changes_per_account": null}})).await;
        let (buckets, batch) = self.is_in_the_middle_of("pause").await;
        let account = &self.targets[0].id;
        let pause = ["pause", "--records", &records, "--account", account, "--reason", "ticket 4711"];
        let (code, paused) = self.command(&pauser, &pause).await;
        assert_eq!(code, Some(0), "{paused}");
        let id = paused["pauses"][0]["id"].as_str().unwrap();
        self.ends_in_the_middle(&batch).await;
        let report = self.remediate(&buckets[59..]).await;
        let (outcome, says) = detail(&report);
        let parts = ["paused by arn:aws:sts::", "/pauser/", "ticket 4711", id];
        assert!(outcome == Outcome::Held && parts.iter().all(|part| says.contains(part)), "{says}");
        // The other account goes on.
        let other = format!("goes-on-{}", self.targets[1].id);
        self.targets[1].make_bucket(&other, OPEN).await.unwrap();
        let report = self.run_batch(self.batch_of(&self.targets[1], &[&other])).await;
        assert_eq!(detail(&report).0, Outcome::Fixed, "{report:?}");
        let (code, shown) =
            self.command(&pauser, &["policy", "show", "--records", &records, "--account", account]).await;
        assert_eq!((code, &shown["pauses"][0]["id"]), (Some(0), &json!(id)), "{shown}");
        let paths: Vec<_> = shown["deployed"]["differences"].as_array().unwrap().iter().map(|of| &of["path"]).collect();
        assert!(paths.contains(&&json!("limits")) && !paths.contains(&&json!("schema")), "{paths:?}");
        let (code, resumed) = self.command(&pauser, &["resume", "--records", &records, id]).await;
        assert_eq!((code, &resumed["pauses"]), (Some(0), &json!([])), "{resumed}");
        let report = self.remediate(&buckets[59..]).await;
        assert_eq!(detail(&report).0, Outcome::Fixed, "{report:?}");
    }

    async fn writes_nothing_under_a_policy_with_a_typo(&self) {
        self.put(POLICY_KEY, "{\"mode\": \"apply\",\n\"pausd\": false}".into()).await;
        let buckets = self.open_buckets("typo", 1).await;
        let report = self.remediate(&buckets).await;
        let (outcome, says) = detail(&report);
        assert!(outcome == Outcome::Held && says.contains("line 2") && says.contains("is `paused` meant?"), "{says}");
        assert!(!self.is_fixed(&buckets[0]).await);
    }

    /// 2: by resource and by tag; an expired one shows.
    async fn leaves_alone_what_is_exempt(&self) {
        let buckets = self.open_buckets("exempt", 3).await;
        let tag = aws_sdk_s3::types::Tag::builder().key("keep").value("public").build().unwrap();
        let tags = aws_sdk_s3::types::Tagging::builder().tag_set(tag).build().unwrap();
        self.targets[0].s3.put_bucket_tagging().bucket(&buckets[1]).tagging(tags).send().await.unwrap();
        let exemption = |keys: Value| {
            let mut exemption = json!({"reason": "a download area", "owner": "web team"});
            exemption.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
            exemption
        };
        let exemptions = json!([
            exemption(json!({"resources": ["arn:aws:s3:::exempt-0-*"]})),
            exemption(json!({"tags": {"keep": "public"}, "accounts": [self.targets[0].id]})),
            exemption(json!({"resources": ["exempt-2-*"], "expires": "2020-01-01"})),
        ]);
        self.set_policy(json!({"exemptions": exemptions})).await;
        let report = self.remediate(&buckets).await;
        let outcomes: Vec<_> = report.findings.iter().map(|row| row.outcome).collect();
        assert_eq!(outcomes, [Outcome::Exempt, Outcome::Exempt, Outcome::Fixed], "{report:?}");
        assert_eq!(detail(&report).1, "a download area (owner: web team)");
        assert!(report.findings[2].notes[0].contains("an exemption has expired"), "{report:?}");
        assert!(!self.is_fixed(&buckets[0]).await && !self.is_fixed(&buckets[1]).await);
    }

    /// 3: a plan, a person's approval, the approved changes.
    async fn writes_what_was_approved_and_nothing_that_has_drifted(&self, approver: &Environment) {
        self.set_policy(json!({"mode": "approve"})).await;
        let buckets = self.open_buckets("approve", 2).await;
        let held = self.remediate(&buckets).await;
        assert_eq!(held.count(Outcome::Held), 2, "{held:?}");
        assert!(!self.is_fixed(&buckets[0]).await && !self.is_fixed(&buckets[1]).await);
        self.targets[0].set_public_access_block(&buckets[1], Some([true, false, false, false])).await.unwrap();
        let plan = self.place(&held.plan.as_ref().unwrap().key);
        let (code, document) =
            self.command(approver, &["approve", &plan, "--reason", "ticket 4711", "--yes", "--wait", "60"]).await;
        assert_eq!(code, Some(2), "{document}");
        let report: Report = serde_json::from_value(document["reports"][0]["report"].clone()).unwrap();
        let Approved { approval, stored_by } = report.approval.as_ref().unwrap();
        // What S3's event says: the role's unique ID, and the session that the command names, too.
        let (id, session) = stored_by.as_ref().unwrap().rsplit_once(':').unwrap();
        assert!(id.starts_with("AWS:AROA"), "{stored_by:?}");
        assert!(approval.by.ends_with(&format!("/{session}")), "{approval:?} {stored_by:?}");
        assert!(!report.approval.as_ref().unwrap().is_by_another());
        assert!(approval.by.contains(":assumed-role/approver/") && approval.reason == "ticket 4711", "{approval:?}");
        let outcomes: Vec<_> = report.findings.iter().map(|row| row.outcome).collect();
        assert_eq!(outcomes, [Outcome::Fixed, Outcome::Held], "{report:?}");
        assert!(report.findings[1].detail.as_ref().unwrap().starts_with("drifted: "), "{report:?}");
        assert!(self.is_fixed(&buckets[0]).await);
        let drifted = self.targets[0].public_access_block(&buckets[1]).await.unwrap();
        assert_eq!(drifted, Some([true, false, false, false]));
    }

    /// An approval that is too old, or of another plan, starts the rule's Lambda all the same.
    async fn holds_what_an_approval_is_not_for(&self) {
        self.set_policy(json!({"mode": "approve"})).await;
        let buckets = self.open_buckets("stale", 1).await;
        let held = self.remediate(&buckets).await;
        let plan = held.plan.as_ref().unwrap();
        let approval = |hash: &str| Approval::new(&held.id, &plan.key, hash, "who".into(), "why".into());
        let mut old = approval(&plan.digest);
        old.approved -= jiff::SignedDuration::from_hours(73);
        for (number, (approval, says)) in
            [(old, "has expired"), (approval(&"0".repeat(64)), "digest is")].iter().enumerate()
        {
            let key = Approval::key(&plan.key).replace(".json", &format!(".by-hand-{number}.json"));
            self.put(&key, serde_json::to_string(approval).unwrap()).await;
            let report = self.report(&approval.id()).await;
            let (outcome, why) = detail(&report);
            assert!(outcome == Outcome::Held && why.contains(says), "{why}");
        }
        assert!(!self.is_fixed(&buckets[0]).await);
    }

    /// 8: everything is there, as Terraform has made it.
    async fn is_well_by_doctor(&self, operator: &Environment) {
        let records = format!("s3://{}", self.deployment.home().bucket);
        let arguments = ["doctor", "--account", &self.targets[0].id, "--records", &records];
        let (code, document) = self.command(operator, &arguments).await;
        assert_eq!(code, Some(0), "{document:#}");
        let roles = document["checks"].as_array().unwrap().iter().filter(|row| row["check"] == "role");
        assert_eq!(roles.count(), testkit::manifests().unwrap().len(), "{document:#}");
    }

    async fn lets_an_approver_approve_and_nothing_else(&self, approver: &Environment) {
        let bucket = &self.deployment.home().bucket;
        let value = |name: &str| approver.iter().find(|(key, _)| key == name).unwrap().1.clone();
        let credentials = aws_sdk_s3::config::Credentials::new(
            value("AWS_ACCESS_KEY_ID"),
            value("AWS_SECRET_ACCESS_KEY"),
            Some(value("AWS_SESSION_TOKEN")),
            None,
            "approver",
        );
        let config = self.deployment.home().account.config.to_builder();
        let provider = aws_sdk_s3::config::SharedCredentialsProvider::new(credentials);
        let config = config.credentials_provider(provider).build();
        let s3 = aws_sdk_s3::Client::new(&Emulator::shared().await.unwrap().as_product(&config).unwrap());
        self.says_who_stored_an_approval_in_somebody_elses_name(&s3).await;
        let mut refused = Vec::new();
        for folder in ["policy.json", "pauses.json", "findings/", "plans/", "reports/", "resources/", "ledgers/"] {
            let key = if folder.ends_with('/') { format!("{folder}x/y.json") } else { folder.to_owned() };
            let put = s3.put_object().bucket(bucket).key(&key).body(b"{}".to_vec().into()).send().await;
            refused.push(put.is_err());
        }
        refused.push(s3.delete_object().bucket(bucket).key("approvals/x/y.json").send().await.is_err());
        let findings = self.deployment.home().account.keys(bucket, "findings/").await.unwrap();
        refused.push(s3.get_object().bucket(bucket).key(&findings[0]).send().await.is_err());
        assert_eq!(refused, [true; 9], "an approver may do more than approve");
        let findings = self.findings_file("approver").await;
        let (code, document) = self.command(approver, &["plan", "--findings", &findings]).await;
        let says = document["reports"][0]["report"]["findings"][0]["detail"].as_str().unwrap_or_default();
        assert!(code == Some(1) && says.starts_with("sts:AssumeRole: AccessDenied"), "{document}");
    }

    /// S3's event says who stored it, whatever stands in it.
    async fn says_who_stored_an_approval_in_somebody_elses_name(&self, approver: &aws_sdk_s3::Client) {
        self.set_policy(json!({"mode": "approve"})).await;
        let held = self.remediate(&self.open_buckets("forged", 1).await).await;
        let plan = held.plan.as_ref().unwrap();
        let by = format!("arn:aws:sts::{}:assumed-role/approver/the-boss", self.deployment.home().account.id);
        let approval = Approval::new(&held.id, &plan.key, &plan.digest, by, "trust me".into());
        let body = serde_json::to_vec(&approval).unwrap();
        let put = approver.put_object().bucket(&self.deployment.home().bucket).key(Approval::key(&plan.key));
        put.if_none_match("*").body(body.into()).send().await.unwrap();
        let report = self.report(&approval.id()).await;
        assert!(report.approval.as_ref().unwrap().is_by_another(), "{report:?}");
    }

    /// A file with one finding.
    async fn findings_file(&self, name: &str) -> String {
        let buckets = self.open_buckets(name, 1).await;
        let file = self.deployment.folder().join(format!("{name}.ndjson"));
        std::fs::write(&file, self.batch_of(&self.targets[0], &buckets).to_ndjson().unwrap()).unwrap();
        file.display().to_string()
    }

    /// 4: how much a run may change, and how much of it may fail.
    async fn keeps_to_limits(&self) {
        self.set_policy(json!({"limits": {"changes_per_account": 2}})).await;
        let report = self.remediate(&self.open_buckets("limited", 3).await).await;
        assert_eq!((report.count(Outcome::Fixed), report.count(Outcome::Deferred)), (2, 1), "{report:?}");
        let deferred = report.findings.iter().find(|row| row.outcome == Outcome::Deferred).unwrap();
        assert!(deferred.detail.as_ref().unwrap().contains("changes_per_account (2)"), "{deferred:?}");
        // Two batches of one run, which two Lambdas take up at once.
        self.set_policy(json!({"limits": {"changes_per_run": 4}})).await;
        let first = self.batch_of(&self.targets[0], &self.open_buckets("first", 3).await);
        let second = self.batch_of(&self.targets[0], &self.open_buckets("second", 3).await);
        let second = Batch { id: BatchId { batch: 2, ..first.id.clone() }, ..second };
        let (first, second) = tokio::join!(self.run_batch(first), self.run_batch(second));
        let count = |outcome| first.count(outcome) + second.count(outcome);
        assert_eq!((count(Outcome::Fixed), count(Outcome::Deferred)), (4, 2), "{first:?} {second:?}");
        self.set_policy(json!({"limits": {"failure_percent": 50, "failure_minimum": 8}})).await;
        let role = format!("autoremediate-{}", self.manifest.id);
        let taken = self.targets[0].take_away(&role, "s3:PutBucketPublicAccessBlock").await.unwrap();
        let report = self.remediate(&self.open_buckets("failing", 40).await).await;
        self.targets[0].give_back(&role, taken).await.unwrap();
        let (failed, deferred) = (report.count(Outcome::Failed), report.count(Outcome::Deferred));
        assert!(failed >= 8 && deferred > 0 && failed + deferred == 40, "{:?}", report.counts);
        let deferred = report.findings.iter().find(|row| row.outcome == Outcome::Deferred).unwrap();
        assert!(deferred.detail.as_ref().unwrap().contains("failure_percent (50)"), "{deferred:?}");
        becomes(self.deployment.home(), &[("breaker", "ALARM")]).await;
    }

    /// 5: a guard that holds.
    async fn asks_where_a_guard_holds(&self) {
        let settings = json!({"guard_website": "hold"});
        self.set_policy(json!({"rules": {&self.manifest.id: {"settings": settings}}})).await;
        let buckets = self.open_buckets("site", 1).await;
        self.targets[0].make_website(&buckets[0], "start.html").await.unwrap();
        let report = self.remediate(&buckets).await;
        let (outcome, says) = detail(&report);
        assert!(outcome == Outcome::Held && says.contains("needs an approval: the bucket serves a website"), "{says}");
        let plan = self
            .deployment
            .home()
            .account
            .json(&self.deployment.home().bucket, &report.plan.as_ref().unwrap().key)
            .await;
        let notes = plan.unwrap()["resources"][0]["sightings"].to_string();
        assert!(notes.contains("start.html") && !self.is_fixed(&buckets[0]).await, "{notes}");
    }

    /// 6: what violates again and again.
    async fn holds_what_is_fought_over(&self) {
        self.set_policy(json!({"fight": {"fixes": 2}})).await;
        let buckets = self.open_buckets("fought", 1).await;
        let mut reports = Vec::new();
        for _ in 0..2 {
            let report = self.remediate(&buckets).await;
            assert_eq!(report.count(Outcome::Fixed), 1, "{report:?}");
            reports.push(report.id.report_key());
            self.targets[0].set_public_access_block(&buckets[0], OPEN).await.unwrap();
        }
        let report = self.remediate(&buckets).await;
        let (outcome, says) = detail(&report);
        assert!(outcome == Outcome::Held && reports.iter().all(|key| says.contains(key)), "{says}");
        // From then on, whatever the policy says of fights.
        self.set_policy(json!({"fight": {"fixes": 50}})).await;
        let again = self.remediate(&buckets).await;
        assert_eq!((again.count(Outcome::Held), again.findings.len()), (1, 0), "{again:?}");
        assert_eq!(again.unchanged[0].report, report.id.report_key(), "{again:?}");
        assert!(!self.is_fixed(&buckets[0]).await);
    }

    /// 7: what was put back stays so.
    async fn leaves_alone_what_an_operator_has_undone(&self, operator: &Environment) {
        self.set_policy(json!({})).await;
        let buckets = self.open_buckets("undone", 2).await;
        let report = self.remediate(&buckets).await;
        let place = self.place(&report.id.report_key());
        let undo = ["undo", &place, "--resource", &buckets[0]];
        let (code, document) = self.command(operator, &undo).await;
        assert_eq!((code, &document["counts"]), (Some(2), &json!({"planned": 1})), "{document}");
        assert!(self.is_fixed(&buckets[0]).await);
        let (code, document) = self.command(operator, &[&undo[..], &["--yes"]].concat()).await;
        assert_eq!((code, &document["counts"]), (Some(0), &json!({"undone": 1})), "{document}");
        assert_eq!(self.targets[0].public_access_block(&buckets[0]).await.unwrap(), OPEN);
        let report = self.remediate(&buckets).await;
        let outcomes: Vec<_> = report.findings.iter().map(|row| row.outcome).collect();
        assert_eq!(outcomes, [Outcome::Exempt, Outcome::AlreadyCompliant], "{report:?}");
    }

    /// An operator's policy on the bucket is not what makes an operator: who is not in operator_role_arns adds nothing to
    /// what others have recorded.
    async fn takes_no_record_of_who_has_the_operator_policy_alone(&self, operator: &Environment) {
        self.set_policy(json!({})).await;
        let buckets = self.open_buckets("forged", 1).await;
        let report = self.remediate(&buckets).await;
        let bucket = &self.deployment.home().bucket;
        let stranger = self.deployment.stranger().await.unwrap();
        let own = self.deployment.home().account.as_role(&stranger).await.unwrap();
        let s3 = aws_sdk_s3::Client::new(&Emulator::shared().await.unwrap().as_product(&own).unwrap());
        let forged = BatchId { batch: 99, ..report.id.clone() };
        for key in
            [forged.plan_key(), forged.report_key(), BatchId { run: RunId::start(), ..forged.clone() }.plan_key()]
        {
            let put = s3.put_object().bucket(bucket).key(&key).if_none_match("*").body(b"{}".to_vec().into());
            let refused = put.send().await.unwrap_err();
            assert_eq!(refused.code(), Some("AccessDenied"), "{key}");
            assert!(refused.message().unwrap().contains("explicit deny in a resource-based policy"), "{refused:?}");
        }
        let run = report.id.report_key().replace("-1.json", "");
        let (code, document) = self.command(operator, &["undo", &self.place(&run)]).await;
        assert_eq!((code, &document["counts"]), (Some(2), &json!({"planned": 1})), "{document}");
    }

    /// 9: an emergency, with the permissions, the rule and the queue that Terraform has made.
    async fn raises_an_alarm_where_an_operator_overrides_it(&self, operator: &Environment) {
        self.set_policy(json!({})).await;
        let buckets = self.open_buckets("emergency", 1).await;
        let report = self.remediate(&buckets).await;
        self.set_policy(json!({"paused": true})).await;
        let place = self.place(&report.id.report_key());
        let undo = ["undo", &place, "--yes"];
        let (code, document) = self.command(operator, &undo).await;
        assert_eq!((code, &document["counts"]), (Some(2), &json!({"held": 1})), "{document}");
        let central = self.deployment.home();
        assert!(!central.overrides().await.unwrap().contains("<Message>"), "an alarm for nothing");
        let (code, document) = self.command(operator, &[&undo[..], &["--override", "ticket 4711"]].concat()).await;
        assert_eq!((code, &document["counts"]["undone"]), (Some(0), &json!(1)), "{document}");
        assert_eq!(self.targets[0].public_access_block(&buckets[0]).await.unwrap(), OPEN);
        let recorded = central.account.keys(&central.bucket, "overrides/").await.unwrap();
        let end = Instant::now() + PATIENCE;
        while !central.overrides().await.unwrap().contains(&recorded[0]) {
            assert!(Instant::now() < end, "no message of {recorded:?}: {}", central.overrides().await.unwrap());
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }

    /// Runs the command line in a folder of the test's; gives the exit code and the JSON on standard output.
    pub(super) async fn command(&self, environment: &Environment, arguments: &[&str]) -> (Option<i32>, Value) {
        let output = Command::new(paths::binary("autoremediate").unwrap())
            .args(arguments)
            .arg("--json")
            .current_dir(self.deployment.folder())
            .env_clear()
            .envs(environment.iter().cloned())
            .output()
            .await
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let document = serde_json::from_str(&text).unwrap_or_else(|_| String::from_utf8_lossy(&output.stderr).into());
        (output.status.code(), document)
    }

    pub(super) fn place(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.deployment.home().bucket)
    }
}

/// The outcome of a report's first finding, and why.
fn detail(report: &Report) -> (Outcome, &str) {
    let row = report.findings.first().expect("a finding");
    (row.outcome, row.detail.as_deref().unwrap_or_default())
}
