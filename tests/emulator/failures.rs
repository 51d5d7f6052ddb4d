//! The failure queue of a deployment: what comes into it, and what people do about that, as Terraform lets them.

use std::time::{Duration, Instant};

use remediation::{Batch, BatchId, Finding, Manifest, Outcome, POLICY_KEY, Region, Report, Rule, RunId};
use rules::s3_public_bucket::S3PublicBucket;
use serde_json::{Value, json};
use testkit::account::{Account, REGION};
use testkit::central::Central;
use testkit::deployment::{Deployment, Environment, Settings};
use testkit::emulator::Emulator;
use testkit::netskope::FakeNetskope;
use testkit::{paths, violations};
use tokio::process::Command;

const PATIENCE: Duration = Duration::from_secs(90);
const OPEN: Option<[bool; 4]> = Some([false; 4]);
const FIXED: Option<[bool; 4]> = Some([false, true, false, true]);
const RULE: &str = "s3-public-bucket";
/// A message for people, as EventBridge puts it into a queue when it cannot pass it on.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-event-delivery.html#eb-rule-dlq>
const UNDELIVERED: [(&str, &str); 4] = [
    ("RULE_ARN", "arn:aws:events:us-east-1:111111111111:rule/autoremediate-chat"),
    ("TARGET_ARN", "arn:aws:sns:us-east-1:111111111111:autoremediate-chat"),
    ("ERROR_CODE", "NO_PERMISSIONS"),
    ("ERROR_MESSAGE", "not authorized to publish \u{202e}"),
];

struct Failing {
    manifest: Manifest,
    deployment: Deployment,
    target: Account,
    _netskope: FakeNetskope,
}

#[tokio::test]
async fn a_batch_that_failed_is_told_retried_and_reported_and_the_rest_is_dropped() {
    let of = Failing::deploy().await;
    let (retrier, operator) =
        (of.deployment.person("retrier").await.unwrap(), of.deployment.person("operator").await.unwrap());
    let (code, listed, log) = of.failures(&retrier, &["list"]).await;
    assert_eq!((code, &listed["failures"]), (0, &json!([])), "{log}");
    let (code, _, log) = of.failures(&operator, &["list"]).await;
    assert!(code == 1 && log.contains("AccessDenied") && log.contains("autoremediate-retrier-"), "{code} {log}");

    // A batch under a policy with a typo fails; and then there is what others have sent.
    let policy = of.home().account.json(&of.home().bucket, POLICY_KEY).await.unwrap();
    of.put(POLICY_KEY, r#"{"schema": 1, "pausd": true}"#.into()).await;
    let batch = of.batch("retried").await;
    let key = batch.id.findings_key();
    of.put(&key, String::from_utf8(batch.to_ndjson().unwrap()).unwrap()).await;
    let failed = of.listed_with(&retrier, 1).await.remove(0);
    assert_eq!((&failed["kind"], &failed["rule"], &failed["key"]), (&json!("batch"), &json!(RULE), &json!(key)));
    assert_eq!((&failed["condition"], &failed["attempts"]), (&json!("retries_exhausted"), &json!(3)), "{failed}");
    assert!(failed["error"].as_str().unwrap().contains("pausd"), "{failed}");
    let Central { account, .. } = of.home();
    let record = |function: &str, key: &str| {
        let arn = format!("arn:aws:lambda:{REGION}:{}:function:{function}:$LATEST", account.id);
        let context = json!({"functionArn": arn, "condition": "EventAgeExceeded", "approximateInvokeCount": 0});
        let event = json!({"Records": [{"s3": {"object": {"key": key}}}]});
        json!({"version": "1.0", "requestContext": context, "requestPayload": event}).to_string()
    };
    let nothing = BatchId { run: RunId::start(), ..batch.id.clone() }.findings_key();
    of.home().fail(r#"{"detail": {"text": {"title": "3 fixed"}}}"#, &UNDELIVERED).await.unwrap();
    of.home().fail(&record("autoremediate-s3-public-bucket", &key), &[]).await.unwrap();
    of.home().fail(&record("autoremediate-s3-public-bucket", &nothing), &[]).await.unwrap();
    of.home().fail(&record("payments", &key), &[]).await.unwrap();

    // Each is told apart, and nothing is hidden by looking.
    for _ in 0..2 {
        let listed = of.listed_with(&retrier, 5).await;
        let mut kinds: Vec<_> = listed.iter().map(|of| of["kind"].as_str().unwrap()).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, ["batch", "batch", "batch", "message", "unknown"], "{listed:#?}");
        assert_eq!(listed.iter().filter(|of| of["condition"] == "too_old").count(), 3, "{listed:#?}");
        let message = listed.iter().find(|of| of["kind"] == "message").unwrap();
        assert_eq!((&message["title"], &message["event_rule"]), (&json!("3 fixed"), &json!(UNDELIVERED[0].1)));
    }
    let id = failed["id"].as_str().unwrap();
    let (code, shown, log) = of.failures(&retrier, &["show", id]).await;
    assert_eq!((code, &shown["object"]["holds"]), (2, &json!("1 finding")), "{shown:#} {log}");
    assert!(shown["object"]["report"].as_str().unwrap().ends_with(&batch.id.report_key()), "{shown:#}");
    let (code, _, log) = of.failures(&retrier, &["show", "nobody"]).await;
    assert!(code == 1 && log.contains("`nobody`"), "{log}");
    for deed in ["retry", "drop"] {
        let (code, _, log) = of.failures(&retrier, &[deed, id]).await;
        assert!(code == 1 && log.contains("--yes"), "{log}");
    }

    // Of the rule, what is in the bucket is retried, once for both messages; and what is not stays where it is.
    of.put(POLICY_KEY, policy.to_string()).await;
    let (code, retried, log) = of.failures(&retrier, &["retry", "--rule", RULE, "--yes"]).await;
    assert_eq!((code, retried["retried"].as_array().map(Vec::len)), (1, Some(2)), "{retried:#} {log}");
    assert!(log.contains(&nothing) && log.contains("not in the bucket any more"), "{log}");
    let report = of.fixed(&batch.id).await;
    assert_eq!((&report.id, report.findings.len()), (&batch.id, 1));
    assert_eq!(of.target.public_access_block(&bucket(&of.target, "retried")).await.unwrap(), FIXED);

    // What is nothing to retry is left; what is dropped is gone.
    assert_eq!(of.listed_with(&retrier, 3).await.len(), 3);
    let (code, retried, log) = of.failures(&retrier, &["retry", "--kind", "message", "--yes"]).await;
    assert_eq!(
        (code, &retried["retried"], retried["left"].as_array().map(Vec::len)),
        (2, &json!([]), Some(1)),
        "{log}"
    );
    let (code, _, log) = of.failures(&retrier, &["drop", id, "--yes"]).await;
    assert!(code == 1 && log.contains(id), "it is retried, and not there any more: {log}");
    let (code, dropped, log) = of.failures(&retrier, &["drop", "--kind", "message", "--yes"]).await;
    assert_eq!((code, dropped["dropped"].as_array().map(Vec::len)), (0, Some(1)), "{log}");
    let (code, dropped, log) = of.failures(&retrier, &["drop", "--all", "--yes"]).await;
    assert_eq!((code, dropped["dropped"].as_array().map(Vec::len)), (0, Some(2)), "{log}");
    assert_eq!(of.failures(&retrier, &["list"]).await.0, 0);
}

/// What Lambda drops is in exactly one of the queues, and only what is certainly too old is in the one without an alarm.
#[tokio::test]
async fn what_was_only_too_old_is_told_apart_and_wakes_nobody() {
    let of = Failing::deploy().await;
    let home = of.home();
    let record = |context: Value, response: Value, event: Value| json!({"version": "1.0", "requestContext": context, "responseContext": response, "requestPayload": event});
    let about = |key: &str| json!({"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": key}}}]});
    let arn = format!("arn:aws:lambda:{REGION}:{}:function:autoremediate-{RULE}:$LATEST", home.account.id);
    let context = |condition: &str| json!({"functionArn": arn, "condition": condition, "approximateInvokeCount": 1});
    let (too_old, failed) = (context("EventAgeExceeded"), json!({"statusCode": 200, "functionError": "Unhandled"}));
    let findings = about(&of.batch("too-old").await.id.findings_key());
    // Throttled all the time: whether the response is there, and without an error, no page says.
    let mut never_ran = record(too_old.clone(), json!(null), findings.clone());
    never_ran.as_object_mut().unwrap().remove("responseContext");
    let throttled = record(too_old.clone(), json!({"statusCode": 429}), findings.clone());
    let failures = [
        record(too_old.clone(), failed.clone(), findings.clone()),
        record(context("RetriesExhausted"), failed.clone(), findings.clone()),
        record(context("ZeroReservedConcurrency"), json!({}), findings.clone()),
        record(json!({"functionArn": arn}), json!({}), findings),
        record(too_old.clone(), json!({}), about("approvals/s3-public-bucket/x.json")),
        record(too_old.clone(), json!({}), json!({"Records": []})),
        record(too_old, json!({}), json!("nonsense")),
    ];
    for record in [&never_ran, &throttled] {
        home.tell_dropped(record).await.unwrap();
    }
    let retrier = of.deployment.person("retrier").await.unwrap();
    let listed = of.listed_with(&retrier, 2).await;
    assert!(listed.iter().all(|of| of["kind"] == "batch" && of["condition"] == "too_old"), "{listed:#?}");
    assert_eq!((home.too_old().await.unwrap().matches("<Message>").count(), home.failures().await.unwrap()), (2, 0));
    assert_ne!(home.alarms().await.unwrap()["autoremediate-failures"], "ALARM");
    for record in &failures {
        home.tell_dropped(record).await.unwrap();
    }
    of.listed_with(&retrier, 2 + failures.len()).await;
    assert_eq!(
        (home.too_old().await.unwrap().matches("<Message>").count(), home.failures().await.unwrap()),
        (2, failures.len())
    );
    // SQS sends a queue's metrics once a minute.
    let end = Instant::now() + Duration::from_secs(180);
    while home.alarms().await.unwrap()["autoremediate-failures"] != "ALARM" {
        assert!(Instant::now() < end, "{}", home.alarms().await.unwrap());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let (code, dropped, log) = of.failures(&retrier, &["drop", "--all", "--yes"]).await;
    assert_eq!((code, dropped["dropped"].as_array().map(Vec::len)), (0, Some(2 + failures.len())), "{log}");
}

impl Failing {
    async fn deploy() -> Self {
        let emulator = Emulator::shared().await.unwrap();
        let (central, target) = (Account::fresh(emulator), Account::fresh(emulator));
        let netskope = FakeNetskope::start("a-token").await;
        let settings = Settings {
            central: central.id,
            regions: vec![vec![REGION.into()]],
            targets: vec![target.id.clone()],
            policy: violations::policy().unwrap(),
            netskope: netskope.url(),
            token: "a-token".into(),
        };
        let deployment = Deployment::apply(emulator, settings).await.unwrap();
        let manifest = Manifest::from_json(S3PublicBucket::MANIFEST).unwrap();
        Self { manifest, deployment, target, _netskope: netskope }
    }

    fn home(&self) -> &Central {
        self.deployment.home()
    }

    async fn put(&self, key: &str, text: String) {
        let Central { account, bucket, .. } = self.home();
        account.put(bucket, key, text.into()).await.unwrap();
    }

    /// A batch of one open bucket.
    async fn batch(&self, name: &str) -> Batch {
        let resource = bucket(&self.target, name);
        self.target.make_bucket(&resource, OPEN).await.unwrap();
        let finding = Finding {
            control: self.manifest.controls[0].rule_names[0].clone(),
            account: self.target.id.parse().unwrap(),
            region: Region::code(REGION),
            resource,
            first_seen: None,
            last_scanned: None,
        };
        Batch::new(BatchId { rule: RULE.into(), run: RunId::start(), batch: 1 }, vec![finding])
    }

    /// What is in the queue, once so many messages are.
    async fn listed_with(&self, retrier: &Environment, count: usize) -> Vec<Value> {
        let end = Instant::now() + PATIENCE;
        loop {
            let (code, listed, log) = self.failures(retrier, &["list"]).await;
            let failures = listed["failures"].as_array().cloned().unwrap_or_else(|| panic!("{code} {log}"));
            if failures.len() == count {
                assert_eq!(code, 2, "{log}");
                return failures;
            }
            assert!(Instant::now() < end && failures.len() < count, "{failures:#?} {log}");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// The report of the batch in which it is fixed.
    async fn fixed(&self, id: &BatchId) -> Report {
        let (Central { account, bucket, .. }, end) = (self.home(), Instant::now() + PATIENCE);
        let prefix = id.report_key();
        loop {
            for key in account.keys(bucket, prefix.trim_end_matches("json")).await.unwrap() {
                let report: Report = serde_json::from_value(account.json(bucket, &key).await.unwrap()).unwrap();
                if report.count(Outcome::Fixed) > 0 {
                    assert_ne!(key, prefix, "beside that of the first attempt");
                    return report;
                }
            }
            assert!(Instant::now() < end, "no report of {id:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn failures(&self, person: &Environment, arguments: &[&str]) -> (i32, Value, String) {
        let output = Command::new(paths::binary("autoremediate").unwrap())
            .arg("failures")
            .args(arguments)
            .args(["--records", &format!("s3://{}", self.home().bucket), "--json"])
            .current_dir(self.deployment.folder())
            .env_clear()
            .envs(person.iter().cloned())
            .output()
            .await
            .unwrap();
        let (text, log) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(!text.contains('\u{202e}') && !log.contains('\u{202e}'), "{text}{log}");
        (output.status.code().unwrap(), serde_json::from_str(&text).unwrap_or(Value::Null), log)
    }
}

fn bucket(target: &Account, name: &str) -> String {
    format!("{name}-{}", target.id)
}
