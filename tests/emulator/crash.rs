//! A rule Lambda that dies in the middle of a batch.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use remediation::{Mode, Outcome, Plan, Report, StoredPlan};
use s3_public_bucket::{Change, S3PublicBucket};
use serde_json::{Value, json};
use testkit::emulator::Emulator;
use testkit::lambda::Invocation;
use testkit::organization::Organization;
use testkit::paths;

const BUCKETS: usize = 60;

/// The event of one object; S3 sends keys URL-encoded.
fn event(bucket: &str, key: &str) -> Value {
    json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
        "eventTime": "2026-01-01T00:00:00.000Z", "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "p"}, "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {},
        "s3": {"s3SchemaVersion": "1.0", "configurationId": "c",
            "bucket": {"name": bucket, "ownerIdentity": {"principalId": "p"}, "arn": format!("arn:aws:s3:::{bucket}")},
            "object": {"key": key, "size": 1, "eTag": "e", "sequencer": "0"}}}]})
}

async fn start(of: &Organization, key: &str) -> Invocation {
    let environment = of.environment().await.unwrap();
    let environment: Vec<_> = environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let binary = paths::binary("s3-public-bucket").unwrap();
    Invocation::start(&binary, &environment, &event(&of.bucket, key), Duration::from_secs(900)).await.unwrap()
}

/// How many of the buckets are fixed.
async fn fixed(of: &Organization, buckets: &[String]) -> usize {
    let looks = buckets.iter().map(|bucket| of.target.public_access_block(bucket));
    let found = futures::future::try_join_all(looks).await.unwrap();
    found.iter().filter(|block| block.is_some_and(|[_, ignore_acls, _, restrict]| ignore_acls && restrict)).count()
}

#[tokio::test]
async fn a_killed_run_is_finished_by_the_next_and_every_write_has_a_plan() {
    let of = Organization::new::<S3PublicBucket>(Emulator::shared().await.unwrap()).await.unwrap();
    let buckets: Vec<_> = (0..BUCKETS).map(|number| format!("crash-{number}-{}", of.target.id)).collect();
    for bucket in &buckets {
        of.target.make_bucket(bucket, Some([false; 4])).await.unwrap();
    }
    let names: Vec<_> = buckets.iter().map(String::as_str).collect();
    let batch = of.batch(&names);
    let key = batch.id.findings_key();
    let put = of.central.s3.put_object().bucket(&of.bucket).key(&key).body(batch.to_ndjson().unwrap().into());
    put.send().await.unwrap();

    let first = start(&of, &key).await;
    let written_by_first = kill_between_two_writes(&of, first, &buckets).await;

    let mut second = start(&of, &key).await;
    second.answer(Duration::from_secs(60)).await.unwrap().unwrap();
    assert_eq!(fixed(&of, &buckets).await, BUCKETS);

    let mut planned: BTreeMap<String, Change> = BTreeMap::new();
    let plans = of.central.keys(&of.bucket, "plans/").await.unwrap();
    assert_eq!(plans.len(), 2, "the second plan must not replace the first: {plans:?}");
    for key in &plans {
        let plan: Plan<Change> = serde_json::from_value(of.central.json(&of.bucket, key).await.unwrap()).unwrap();
        for finding in plan.findings {
            let bucket = finding.resource.id;
            for change in finding.changes {
                planned.entry(bucket.clone()).or_insert(change.change);
            }
        }
    }
    assert!(planned.keys().eq(std::collections::BTreeSet::from_iter(&buckets)), "every write has a plan");
    assert!(planned.values().all(|change| change.before.is_some_and(|block| block == Default::default())));

    let reports = of.central.keys(&of.bucket, "reports/").await.unwrap();
    let report: Report = serde_json::from_value(of.central.json(&of.bucket, &reports[0]).await.unwrap()).unwrap();
    assert_eq!(reports.len(), 1, "the killed run left no report: {reports:?}");
    assert_eq!(report.count(Outcome::Fixed) + report.count(Outcome::AlreadyCompliant), BUCKETS);
    assert!(report.count(Outcome::AlreadyCompliant) >= written_by_first, "{:?}", report.counts);
}

/// The calls of one run, in their order: whose account it is made in, the action, and how many such came before it.
async fn calls(of: &Organization, key: &str) -> Vec<(String, String, usize)> {
    let mut run = start(of, key).await;
    run.answer(Duration::from_secs(60)).await.unwrap().unwrap();
    let accounts = [&of.central.id, &of.target.id];
    let mut calls: Vec<(String, String, usize)> = Vec::new();
    for decision in Emulator::shared().await.unwrap().decisions().await.unwrap() {
        let principal = decision["principal"].as_str().unwrap();
        let account = accounts.iter().find(|account| principal.contains(&format!("::{account}:assumed-role/")));
        let action = decision["action"].as_str().unwrap().to_owned();
        // A part of AssumeRole, not a call.
        if let (Some(account), true) = (account, action != "sts:SetSourceIdentity") {
            let before = calls.iter().filter(|(of, other, _)| of == *account && *other == action).count();
            calls.push(((*account).clone(), action, before));
        }
    }
    calls
}

/// At each call between reading the batch and storing the report, before it is carried out: which is after the one before
/// it was.
#[tokio::test]
async fn killed_at_any_call_nothing_is_lost() {
    let emulator = Emulator::shared().await.unwrap();
    let of = Organization::new::<S3PublicBucket>(emulator).await.unwrap();
    let put = async |bucket: &str| {
        let batch = of.batch(&[bucket]);
        let key = batch.id.findings_key();
        let put = of.central.s3.put_object().bucket(&of.bucket).key(&key).body(batch.to_ndjson().unwrap().into());
        put.send().await.unwrap();
        (key, batch.id)
    };
    let open = Some([true, false, false, false]);
    let first = format!("calls-{}", of.target.id);
    of.target.make_bucket(&first, open).await.unwrap();
    let calls = calls(&of, &put(&first).await.0).await;
    let writes = calls.iter().filter(|(_, action, _)| action == "s3:PutBucketPublicAccessBlock").count();
    let kept = calls.iter().filter(|(_, action, _)| action == "s3:PutObject").count();
    assert_eq!((writes, kept), (1, 3), "a plan, a fix and a report are kept: {calls:?}");
    for (number, (account, action, before)) in calls.iter().enumerate() {
        let at = format!("killed at {action}, call {number}");
        let bucket = format!("killed-{number}-{}", of.target.id);
        of.target.make_bucket(&bucket, open).await.unwrap();
        let (key, id) = put(&bucket).await;
        emulator.hold(account, action, *before).await.unwrap();
        let lambda = start(&of, &key).await;
        let end = Instant::now() + Duration::from_secs(30);
        while !emulator.no_faults_left(account).await.unwrap() {
            assert!(Instant::now() < end, "{at}: it did not come that far");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        lambda.kill().await.unwrap();

        let written = fixed(&of, std::slice::from_ref(&bucket)).await == 1;
        let plans = of.central.keys(&of.bucket, &id.plan_key()).await.unwrap();
        assert!(!written || plans.len() == 1, "{at}: written, and no plan says so");
        let mut next = start(&of, &key).await;
        next.answer(Duration::from_secs(60)).await.unwrap().unwrap();
        assert_eq!(fixed(&of, std::slice::from_ref(&bucket)).await, 1, "{at}");
        let report: Report =
            serde_json::from_value(of.central.json(&of.bucket, &id.report_key()).await.unwrap()).unwrap();
        let outcome = if written { Outcome::AlreadyCompliant } else { Outcome::Fixed };
        assert_eq!(report.count(outcome), 1, "{at}: {report:?}");

        // The first of the plans is the one that was written, by whichever run.
        let plan = of.central.keys(&of.bucket, id.plan_key().trim_end_matches(".json")).await.unwrap();
        let plans = [StoredPlan { key: plan.iter().min_by_key(|key| key.len()).unwrap().clone(), hash: String::new() }];
        let report = Report { plans: plans.into(), ..report };
        let undone = of.undo::<S3PublicBucket>(&report, Mode::Apply).await.unwrap();
        assert_eq!(undone.count(Outcome::Undone), 1, "{at}: {undone:?}");
        assert_eq!(of.target.public_access_block(&bucket).await.unwrap(), open, "{at}");
    }
}

/// Kills the Lambda when it has written some changes and not yet all; gives how many it had written.
async fn kill_between_two_writes(of: &Organization, lambda: Invocation, buckets: &[String]) -> usize {
    let end = Instant::now() + Duration::from_secs(60);
    while fixed(of, &buckets[..1]).await == 0 {
        assert!(Instant::now() < end, "the Lambda wrote nothing");
    }
    lambda.kill().await.unwrap();
    let written = fixed(of, buckets).await;
    assert!((1..BUCKETS).contains(&written), "{written} of {BUCKETS} were written when the Lambda was killed");
    written
}
