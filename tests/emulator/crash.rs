//! A rule Lambda that dies in the middle of a batch.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use remediation::{Outcome, Plan, Report};
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
        for change in plan.findings.into_iter().flat_map(|finding| finding.changes) {
            planned.entry(change.change.bucket.clone()).or_insert(change.change);
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
