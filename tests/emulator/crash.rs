//! A rule Lambda that dies: in the middle of a batch, and at every single call.
//!
//! What it had claimed is its own until its time is up. The service's retry, which has the same request ID, goes on with
//! it at once; any other run leaves the resource alone until then.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use remediation::records::{card_key, read};
use remediation::{BatchId, Card, Mode, Outcome, POLICY_KEY, Plan, Report, Resource, RunId};
use rules::s3_public_bucket::{Change, S3PublicBucket};
use serde_json::{Value, json};
use testkit::emulator::Emulator;
use testkit::lambda::Invocation;
use testkit::organization::Organization;
use testkit::paths;

const BUCKETS: usize = 60;
/// The variable that says how many Lambdas are killed, and how many are where it is not set.
const KILLS: (&str, usize) = ("KILLS", 50);
const OPEN: [bool; 4] = [true, false, false, false];

/// The event of one object; S3 sends keys URL-encoded.
pub(crate) fn event(bucket: &str, key: &str) -> Value {
    json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
        "eventTime": "2026-01-01T00:00:00.000Z", "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "p"}, "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {},
        "s3": {"s3SchemaVersion": "1.0", "configurationId": "c",
            "bucket": {"name": bucket, "ownerIdentity": {"principalId": "p"}, "arn": format!("arn:aws:s3:::{bucket}")},
            "object": {"key": key, "size": 1, "eTag": "e", "sequencer": "0"}}}]})
}

/// Starts a try of the request that this batch is.
async fn start(of: &Organization, id: &BatchId) -> Invocation {
    let environment = of.environment().await.unwrap();
    let environment: Vec<_> = environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let binary = paths::binary("s3-public-bucket").unwrap();
    let (event, timeout) = (event(&of.bucket, &id.findings_key()), Duration::from_secs(900));
    Invocation::start(&binary, &environment, &event, &id.run.to_string(), timeout).await.unwrap()
}

/// Runs a batch to its end, and gives its report.
pub(crate) async fn run(of: &Organization, id: &BatchId) -> Report {
    start(of, id).await.answer(Duration::from_secs(60)).await.unwrap().unwrap();
    read(&of.central.object(&of.bucket, &id.report_key()).await.unwrap()).unwrap()
}

/// An organization whose limits are counted, and which these tests do not reach.
pub(crate) async fn organization() -> Organization {
    let of = Organization::new::<S3PublicBucket>(Emulator::shared().await.unwrap()).await.unwrap();
    let limits = json!({"changes_per_day": 1_000_000, "changes_per_run": null, "changes_per_account": null,
        "changes_per_account_per_day": null});
    let policy = json!({"schema": 1, "mode": "apply", "limits": limits});
    of.central.put(&of.bucket, POLICY_KEY, policy.to_string().into()).await.unwrap();
    of
}

/// Puts a batch of a run of its own into the bucket.
pub(crate) async fn put(of: &Organization, buckets: &[&str]) -> BatchId {
    let batch = of.batch(buckets);
    of.central.put(&of.bucket, &batch.id.findings_key(), batch.to_ndjson().unwrap()).await.unwrap();
    batch.id
}

/// How many of the buckets are fixed.
pub(crate) async fn fixed(of: &Organization, buckets: &[String]) -> usize {
    let looks = buckets.iter().map(|bucket| of.target.public_access_block(bucket));
    let found = futures::future::try_join_all(looks).await.unwrap();
    found.iter().filter(|block| block.is_some_and(|[_, ignore_acls, _, restrict]| ignore_acls && restrict)).count()
}

#[tokio::test]
async fn a_killed_run_is_finished_by_its_retry_and_every_write_has_a_plan() {
    let of = organization().await;
    let buckets: Vec<_> = (0..BUCKETS).map(|number| format!("crash-{number}-{}", of.target.id)).collect();
    for bucket in &buckets {
        of.target.make_bucket(bucket, Some([false; 4])).await.unwrap();
    }
    let id = put(&of, &buckets.iter().map(String::as_str).collect::<Vec<_>>()).await;

    let first = start(&of, &id).await;
    let written_by_first = kill_between_two_writes(&of, first, &buckets).await;

    let report = run(&of, &id).await;
    assert_eq!(fixed(&of, &buckets).await, BUCKETS);

    let mut planned: BTreeMap<String, Change> = BTreeMap::new();
    let plans = of.central.keys(&of.bucket, "plans/").await.unwrap();
    assert_eq!(plans.len(), 2, "the second plan must not replace the first: {plans:?}");
    for key in &plans {
        let plan: Plan<Change> = read(&of.central.object(&of.bucket, key).await.unwrap()).unwrap();
        for resource in plan.resources {
            planned.entry(resource.resource.id).or_insert(resource.changes[0].change);
        }
    }
    assert!(planned.keys().eq(std::collections::BTreeSet::from_iter(&buckets)), "every write has a plan");
    assert!(planned.values().all(|change| change.before.is_some_and(|block| block == Default::default())));

    let reports = of.central.keys(&of.bucket, "reports/").await.unwrap();
    assert_eq!(reports, [id.report_key()], "the killed run left no report");
    assert_eq!(report.count(Outcome::Fixed) + report.count(Outcome::AlreadyCompliant), BUCKETS);
    assert!(report.count(Outcome::AlreadyCompliant) >= written_by_first, "{:?}", report.counts);
}

/// The calls of one run, in their order: whose account it is made in, the action, and how many such came before it.
async fn calls(of: &Organization, id: &BatchId) -> Vec<(String, String, usize)> {
    run(of, id).await;
    let accounts = [&of.central.id, &of.target.id];
    let mut calls: Vec<(String, String, usize)> = Vec::new();
    for decision in Emulator::shared().await.unwrap().decisions().await.unwrap() {
        let principal = decision["principal"].as_str().unwrap();
        let account = accounts.iter().find(|account| principal.contains(&format!("::{account}:assumed-role/")));
        let action = decision["action"].as_str().unwrap().to_owned();
        // What AssumeRole and a PutObject with If-Match need beside their own permission is no call.
        // <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
        let is_of_put = action == "s3:GetObject" && calls.last().is_some_and(|(_, last, _)| last == "s3:PutObject");
        if let (Some(account), false) = (account, is_of_put || action == "sts:SetSourceIdentity") {
            let before = calls.iter().filter(|(of, other, _)| of == *account && *other == action).count();
            calls.push(((*account).clone(), action, before));
        }
    }
    calls
}

/// At each call between reading the batch and storing the report, before it is carried out: which is after the one before
/// it was. Half of the killed runs are tried again by the service; after the others a run of its own comes, and another
/// one when the claim is over. Whichever it was, the resource is fixed in the end, and is put back as it was.
///
/// 50 Lambdas are killed; another number of them where the variable KILLS has one: `KILLS=1000 cargo nextest run --profile long -E
/// 'test(crash::)'` takes a quarter of an hour.
#[tokio::test]
async fn killed_at_any_call_nothing_is_lost() {
    let of = organization().await;
    let first = format!("calls-{}", of.target.id);
    of.target.make_bucket(&first, Some(OPEN)).await.unwrap();
    let mut calls = calls(&of, &put(&of, &[&first]).await).await;
    let count = |action: &str| calls.iter().filter(|(_, of, _)| of == action).count();
    assert_eq!(count("s3:PutBucketPublicAccessBlock"), 1, "{calls:?}");
    let writes = "the ledger, a claim, a plan, what was written, a report, and that it waits for Netskope";
    assert_eq!(count("s3:PutObject"), 6, "{writes}: {calls:?}");
    // With the report the run has come to its end: only what Netskope is asked about comes after it.
    calls.retain(|(_, action, before)| action != "s3:PutObject" || *before < 5);

    let kills = std::env::var(KILLS.0).map_or(KILLS.1, |number| number.parse().unwrap());
    assert!(kills >= 2 * calls.len(), "{kills} kills are too few for two at each of {} calls", calls.len());
    let mut deferred = 0;
    for number in 0..kills {
        let (call, is_retried) = (&calls[number % calls.len()], (number / calls.len()).is_multiple_of(2));
        let bucket = format!("killed-{number}-{}", of.target.id);
        let at =
            format!("killed at {} ({}), and then {}", call.1, number, if is_retried { "a retry" } else { "a run" });
        let killed = kill_at(&of, call, &bucket, &at).await;

        let written = fixed(&of, std::slice::from_ref(&bucket)).await == 1;
        let plan = killed.plan_key();
        let plans = of.central.keys(&of.bucket, &plan).await.unwrap();
        assert!(!written || plans.len() == 1, "{at}: written, and no plan says so");

        let report = if is_retried {
            run(&of, &killed).await
        } else {
            let next = run(&of, &put(&of, &[&bucket]).await).await;
            let claim = claim(&of, &bucket).await;
            let busy = claim.filter(|_| next.count(Outcome::Deferred) == 1);
            match busy {
                Some((run, until)) => {
                    deferred += 1;
                    let detail = next.findings[0].detail.as_deref().unwrap();
                    assert!(
                        run == killed.run && detail.contains(&format!("the run {run} is at work on it")),
                        "{at}: {detail}"
                    );
                    assert!(detail.contains(&until.to_string()), "{at}: {detail}");
                    assert_eq!(fixed(&of, std::slice::from_ref(&bucket)).await, 0, "{at}: it was claimed");
                    pass(&of, &bucket).await;
                    run_next(&of, &bucket).await
                }
                None => next,
            }
        };
        assert_eq!(fixed(&of, std::slice::from_ref(&bucket)).await, 1, "{at}");
        let outcome = if written { Outcome::AlreadyCompliant } else { Outcome::Fixed };
        assert_eq!(report.count(outcome), 1, "{at}: {report:?}");

        // A run that never came back has no report; the card says that it was at work on its plan.
        let undone = if written {
            pass(&of, &bucket).await;
            of.undo_plan::<S3PublicBucket>(plan, None, Mode::Apply).await.unwrap()
        } else {
            of.undo::<S3PublicBucket>(&report, Mode::Apply).await.unwrap()
        };
        assert_eq!(undone.count(Outcome::Undone), 1, "{at}: {undone:?}");
        assert_eq!(of.target.public_access_block(&bucket).await.unwrap(), Some(OPEN), "{at}");
    }
    assert!(deferred > 0, "no run met the claim of a killed one");
}

/// Makes the bucket, starts a run on it, and kills that before this call is carried out.
async fn kill_at(
    of: &Organization,
    (account, action, before): &(String, String, usize),
    bucket: &str,
    at: &str,
) -> BatchId {
    let emulator = Emulator::shared().await.unwrap();
    of.target.make_bucket(bucket, Some(OPEN)).await.unwrap();
    let id = put(of, &[bucket]).await;
    emulator.hold(account, action, *before).await.unwrap();
    let lambda = start(of, &id).await;
    let end = Instant::now() + Duration::from_secs(30);
    while !emulator.no_faults_left(account).await.unwrap() {
        assert!(Instant::now() < end, "{at}: it did not come that far");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    lambda.kill().await.unwrap();
    id
}

async fn run_next(of: &Organization, bucket: &str) -> Report {
    run(of, &put(of, &[bucket]).await).await
}

fn resource(of: &Organization, bucket: &str) -> Resource {
    let (owner, region) = (of.target.id.parse().unwrap(), of.finding(bucket).region);
    Resource { arn: format!("arn:aws:s3:::{bucket}"), owner, region, id: bucket.to_owned(), names: Default::default() }
}

/// The card of a bucket with its key.
async fn card(of: &Organization, bucket: &str) -> Option<(String, Card)> {
    let (rule, resource) = (&of.manifest.id, resource(of, bucket));
    let key = card_key(rule, &resource);
    let keys = of.central.keys(&of.bucket, &key).await.unwrap();
    let bytes = of.central.object(&of.bucket, keys.first()?).await.unwrap();
    Some((key, Card::from_json(&bytes, rule, &resource).unwrap()))
}

/// Which run has claimed a bucket, and until when.
async fn claim(of: &Organization, bucket: &str) -> Option<(RunId, Timestamp)> {
    let (_, card) = card(of, bucket).await?;
    card.claim.map(|claim| (claim.run, claim.until))
}

/// So much time passes that the claim of the bucket is over, if there is one: nobody waits for a quarter of an hour.
async fn pass(of: &Organization, bucket: &str) {
    let Some((key, mut card)) = card(of, bucket).await else { return };
    let Some(claim) = &mut card.claim else { return };
    claim.until = Timestamp::now() - SignedDuration::from_secs(1);
    of.central.put(&of.bucket, &key, card.to_json().unwrap()).await.unwrap();
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
