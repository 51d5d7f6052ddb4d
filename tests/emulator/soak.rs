//! The soak: 100,000 findings in 200 accounts, from Netskope's list to one outcome each, while Lambdas are killed:
//! `./justw soak`, with SOAK_FINDINGS and SOAK_ACCOUNTS for less.
//!
//! The poller's and the rule's Lambdas are the real ones, as processes that stay for one event after the other, as in
//! Lambda: four of them for the rule, of which three are killed again and again. A killed event is tried again with the same
//! request ID, twice at most, as the service does; the last try is let alone, because what a dead Lambda has claimed is
//! nobody else's for a quarter of an hour. What they call are [stand-ins](aws), because the emulator is too slow for it:
//! S3 with conditional writes, STS and Netskope, which refuse nothing by permission. One finding in five violates, one in
//! ten is of a bucket that is gone.

mod aws;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use remediation::records::{CardPlace, read};
use remediation::{Batch, Folder, Outcome, Report};
use serde_json::{Value, json};
use testkit::lambda::Invocation;
use testkit::paths;
use tokio::process::{Child, Command};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use aws::{BUCKET, Cloud, Scale, Stands, TOKEN, lock};

const RULE: &str = "s3-public-bucket";
const LAMBDAS: usize = 4;
/// How often an event is tried.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>
const TRIES: usize = 3;
/// A Lambda is killed after every so many batches.
const KILL_EACH: usize = 7;
const MEBIBYTE: u64 = 1024 * 1024;
/// Half of the memory that Terraform gives the Lambda of a rule, which has it for the processor that comes with it.
const MEMORY: u64 = 256 * MEBIBYTE;
/// By so much may a Lambda that is never killed grow from its twentieth batch to its last.
const GROWTH: u64 = 24 * MEBIBYTE;
/// The longest time for it all.
const WITHIN: Duration = Duration::from_secs(45 * 60);

/// An event, and how often it was tried.
#[derive(Debug, Clone)]
struct Event {
    key: String,
    tries: usize,
}

/// What a Lambda is at work on, and has done.
#[derive(Debug, Default)]
struct Work {
    event: Option<Event>,
    done: usize,
}

/// The events that wait, and those that were given up.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Event>,
    done: usize,
    failed: Vec<String>,
}

impl Queue {
    fn again(&mut self, event: Event, why: &str) {
        if event.tries < TRIES {
            self.waiting.push_back(event);
        } else {
            self.failed.push(format!("{}: {why:.1000}", event.key));
        }
    }
}

/// A rule's Lambda that stays.
struct Lambda {
    child: Child,
    work: Arc<Mutex<Work>>,
    _api: MockServer,
}

impl Lambda {
    /// Starts one that takes its events from the queue.
    async fn start(queue: &Arc<Mutex<Queue>>, environment: &[(String, String)]) -> Self {
        let api = MockServer::builder().disable_request_recording().start().await;
        let work: Arc<Mutex<Work>> = Arc::default();
        let (own, queue) = (Arc::clone(&work), Arc::clone(queue));
        Mock::given(any()).respond_with(move |request: &Request| runtime(request, &own, &queue)).mount(&api).await;
        let child = Command::new(paths::binary(RULE).unwrap())
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", api.address().to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "soak")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .envs(environment.iter().cloned())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { child, work, _api: api }
    }

    /// The most memory that it has held, in bytes; none where it is gone.
    fn peak(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
    }

    /// Ends it in the midst of its event, which is then tried again; whether it had one that may be.
    async fn kill(&mut self, queue: &Mutex<Queue>) -> bool {
        let is_last = |event: &Event| event.tries >= TRIES;
        if lock(&self.work).event.as_ref().is_none_or(is_last) {
            return false;
        }
        self.child.kill().await.unwrap();
        // It may have answered meanwhile.
        let Some(event) = lock(&self.work).event.take() else { return true };
        lock(queue).again(event, "killed");
        true
    }
}

/// The Runtime API: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>
fn runtime(request: &Request, work: &Mutex<Work>, queue: &Mutex<Queue>) -> ResponseTemplate {
    let mut work = lock(work);
    match request.url.path().rsplit('/').next() {
        Some("next") => {
            let Some(mut event) = lock(queue).waiting.pop_front() else {
                return ResponseTemplate::new(200).set_delay(Duration::from_secs(3600));
            };
            event.tries += 1;
            let deadline = (SystemTime::now() + Duration::from_secs(900)).duration_since(UNIX_EPOCH).unwrap();
            let answer = ResponseTemplate::new(200)
                .insert_header("Lambda-Runtime-Aws-Request-Id", request_id(&event.key).as_str())
                .insert_header("Lambda-Runtime-Deadline-Ms", deadline.as_millis().to_string().as_str())
                .insert_header(
                    "Lambda-Runtime-Invoked-Function-Arn",
                    "arn:aws:lambda:us-east-1:111111111111:function:f",
                )
                .set_body_json(crate::crash::event(BUCKET, &event.key));
            work.event = Some(event);
            answer
        }
        end => {
            if let Some(event) = work.event.take() {
                let mut queue = lock(queue);
                if end == Some("response") {
                    queue.done += 1;
                } else {
                    queue.again(event, &String::from_utf8_lossy(&request.body));
                }
                work.done += 1;
            }
            ResponseTemplate::new(202).set_body_raw(r#"{"status":"OK"}"#, "application/json")
        }
    }
}

/// The ID of the request that an event is, which is that of its tries.
fn request_id(key: &str) -> String {
    key.rsplit('/').next().unwrap_or(key).replace(".ndjson.gz", "")
}

fn environment(aws: &MockServer, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_ENDPOINT_URL", &aws.uri()),
        ("BUCKET", BUCKET),
        ("BUCKET_OWNER", "111111111111"),
        ("REGIONS", "us-east-1"),
        ("HOME_REGION", "us-east-1"),
        ("RUST_LOG", "warn"),
    ];
    own.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn setting(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect(name))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a hundred thousand findings take some twenty minutes: ./justw soak"]
async fn every_finding_of_a_hundred_thousand_has_one_outcome() {
    let scale = Scale { findings: setting("SOAK_FINDINGS", 100_000), accounts: setting("SOAK_ACCOUNTS", 200) };
    // Counted, and never reached.
    let most = 10_000_000;
    let limits = json!({"changes_per_day": most, "changes_per_run": most, "changes_per_account": most,
        "changes_per_account_per_day": most});
    let cloud = Cloud::new(scale, &json!({"schema": 1, "mode": "apply", "limits": limits}));
    let (aws, netskope) = (cloud.serve().await, Cloud::netskope(scale).await);
    let started = Instant::now();

    let (memory, answer) = poll(&aws, &netskope).await;
    println!("poll: {:?}, peak {} MiB, {answer}", started.elapsed(), memory / MEBIBYTE);
    assert_eq!(answer["kept"], scale.findings, "{answer}");
    assert!(memory < MEMORY / 2, "the poller held {} MiB", memory / MEBIBYTE);

    let queue = Arc::new(Mutex::new(Queue::default()));
    let keys: Vec<_> = cloud.objects().keys().filter(|key| Folder::Findings.holds(key)).cloned().collect();
    let batches = keys.len();
    lock(&queue).waiting.extend(keys.iter().map(|key| Event { key: key.clone(), tries: 0 }));
    let remediated = Instant::now();
    let run = run(&aws, &queue, batches, started).await;
    let (failed, took) = (lock(&queue).failed.clone(), remediated.elapsed());
    assert_eq!(failed, Vec::<String>::new(), "events that were given up");
    let rate = scale.findings as f64 / took.as_secs_f64();
    let calls = cloud.calls.load(Ordering::Relaxed);
    println!("{} findings in {took:?}: {rate:.0} a second, {calls} calls, {} kills", scale.findings, run.kills);
    println!("the rule's peak of memory: {} MiB in {} processes", run.peak / MEBIBYTE, run.started);
    println!("of the one that was never killed: {:?}", run.survivor);
    print_objects(&cloud);

    assert!(run.kills * KILL_EACH * 4 > batches, "{} kills are too few", run.kills);
    assert!(run.peak < MEMORY / 2, "a rule's Lambda held {} MiB", run.peak / MEBIBYTE);
    let late = run.survivor.iter().find(|(done, _)| *done >= 20).map(|(_, peak)| *peak);
    if let (Some(at), Some((_, last))) = (late, run.survivor.last()) {
        assert!(*last < at + GROWTH, "it grows: {:?}", run.survivor);
    }
    check(&cloud, scale, &keys);
}

/// A poll, with the most memory that it held.
async fn poll(aws: &MockServer, netskope: &MockServer) -> (u64, Value) {
    let more = [
        ("NETSKOPE_TENANT", "tenant.goskope.com"),
        ("NETSKOPE_ENDPOINT", &*netskope.uri()),
        ("TOKEN_SECRET_ARN", "secret"),
        ("METRICS_NAMESPACE", "autoremediate"),
        ("POLICY_DIGEST", "digest"),
    ];
    let environment = environment(aws, &more);
    let environment: Vec<_> = environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (binary, event) = (paths::binary("poller").unwrap(), json!({"rule": RULE}));
    let timeout = Duration::from_secs(900);
    let mut poller = Invocation::start(&binary, &environment, &event, "poll", timeout).await.unwrap();
    let answer = poller.answer(timeout).await.unwrap().unwrap();
    let memory = poller.peak_memory().unwrap();
    poller.kill().await.unwrap();
    (memory, answer)
}

/// What became of the Lambdas.
#[derive(Debug, Default)]
struct Run {
    kills: usize,
    started: usize,
    /// The most memory that one has held, in bytes.
    peak: u64,
    /// The memory of the one that is never killed, in MiB, by the number of batches that it has done.
    survivor: Vec<(usize, u64)>,
}

/// Runs the Lambdas until every event has ended.
async fn run(aws: &MockServer, queue: &Arc<Mutex<Queue>>, batches: usize, started: Instant) -> Run {
    let more = [
        ("TARGET_ROLE_NAME", "autoremediate-s3-public-bucket"),
        ("EXTERNAL_ID", "external-id"),
        ("METRICS_NAMESPACE", "autoremediate"),
        ("POLICY_DIGEST", "digest"),
    ];
    let environment = environment(aws, &more);
    let mut lambdas = Vec::new();
    for _ in 0..LAMBDAS {
        lambdas.push(Lambda::start(queue, &environment).await);
    }
    let mut run = Run { started: LAMBDAS, ..Run::default() };
    let (mut chance, mut told) = (fastrand::Rng::with_seed(1), Instant::now());
    loop {
        tokio::time::sleep(Duration::from_millis(chance.u64(20..200))).await;
        let (ended, waiting) = {
            let queue = lock(queue);
            (queue.done + queue.failed.len(), queue.waiting.len())
        };
        for lambda in &lambdas {
            run.peak = run.peak.max(lambda.peak().unwrap_or_default());
        }
        let done = lock(&lambdas[0].work).done;
        if run.survivor.last().is_none_or(|(before, _)| done >= before + 20) {
            run.survivor.push((done, lambdas[0].peak().unwrap_or_default()));
        }
        if told.elapsed() > Duration::from_secs(30) {
            told = Instant::now();
            println!("{:?}: {ended} of {batches} batches, {} kills", started.elapsed(), run.kills);
        }
        if ended == batches {
            return run;
        }
        assert!(started.elapsed() < WITHIN, "{ended} of {batches} batches had ended");
        let dies = chance.usize(1..LAMBDAS);
        if ended >= run.kills * KILL_EACH && lambdas[dies].kill(queue).await {
            run.kills += 1;
        }
        for lambda in &mut lambdas {
            let is_idle = lock(&lambda.work).event.is_none();
            // What has found no event waits for ever, and another has come since.
            if lambda.child.id().is_none() || (is_idle && waiting > 0 && ended + LAMBDAS >= batches) {
                *lambda = Lambda::start(queue, &environment).await;
                run.started += 1;
            }
        }
    }
}

fn print_objects(cloud: &Cloud) {
    let mut sizes: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (key, stored) in cloud.objects().iter() {
        let folder = key.split('/').next().unwrap_or_default().to_owned();
        let (count, bytes) = sizes.entry(folder).or_default();
        (*count, *bytes) = (*count + 1, *bytes + stored.bytes.len());
    }
    for (folder, (count, bytes)) in sizes {
        println!("{folder}: {count} objects, {bytes} bytes, {} each", bytes / count);
    }
}

/// One outcome each, and the right one; each write once, and on a card and in a plan.
fn check(cloud: &Cloud, scale: Scale, batches: &[String]) {
    let objects = cloud.objects();
    let mut outcomes: HashMap<String, Outcome> = HashMap::new();
    for key in batches {
        let batch = Batch::from_stored(&objects[key].bytes, RULE).unwrap();
        let stem = batch.id.report_key().replace(".json", ".");
        let reports = objects.range(stem.clone()..).take_while(|(key, _)| key.starts_with(&stem));
        let reports: Vec<Report> = reports.map(|(_, stored)| read(&stored.bytes).unwrap()).collect();
        assert!(!reports.is_empty(), "{key} has no report");
        for report in &reports {
            let came: Vec<_> = batch.findings.iter().map(|finding| &finding.resource).collect();
            let had: Vec<_> = report.findings.iter().map(|row| &row.finding.resource).collect();
            assert_eq!(had, came, "{key}");
        }
        // A Lambda that was killed after it had stored its report leaves two.
        for row in reports.iter().rev().flat_map(|report| &report.findings) {
            outcomes.insert(row.finding.resource.clone(), row.outcome);
        }
    }
    let mut counts: BTreeMap<Outcome, usize> = BTreeMap::new();
    outcomes.values().for_each(|outcome| *counts.entry(*outcome).or_default() += 1);
    println!("outcomes: {counts:?}");
    assert_eq!(outcomes.len(), scale.findings);

    let written = cloud.written();
    let plans = objects.range("plans/".to_owned()..).take_while(|(key, _)| key.starts_with("plans/"));
    let mut planned: HashSet<String> = HashSet::new();
    for (_, stored) in plans {
        let plan: Value = serde_json::from_slice(&stored.bytes).unwrap();
        let resources = plan["resources"].as_array().unwrap().iter();
        planned.extend(resources.map(|of| of["resource"]["id"].as_str().unwrap().to_owned()));
    }
    let twice = written.values().filter(|count| **count > 1).count();
    println!("{} buckets were written to, {twice} of them more than once", written.len());
    for number in 0..scale.findings {
        let (bucket, stands) = (scale.bucket(number), scale.stands(number));
        let possible: &[Outcome] = match stands {
            // What a killed Lambda has fixed complies when its event is tried again.
            Stands::Violating => &[Outcome::Fixed, Outcome::AlreadyCompliant],
            Stands::Compliant => &[Outcome::AlreadyCompliant],
            Stands::Gone => &[Outcome::Gone],
        };
        assert!(possible.contains(&outcomes[&bucket]), "{bucket}: {:?}", outcomes[&bucket]);
        assert_eq!(written.contains_key(&bucket), stands == Stands::Violating, "{bucket}");
        assert!(!written.contains_key(&bucket) || planned.contains(&bucket), "{bucket} was written without a plan");
    }
    let cards = objects.keys().filter(|key| CardPlace::of_key(key).is_some()).count();
    assert_eq!(cards, written.len(), "a card for each bucket that was written to");
    for (key, stored) in objects.iter() {
        assert!(!String::from_utf8_lossy(&stored.bytes).contains(TOKEN), "the token is in {key}");
    }
}
