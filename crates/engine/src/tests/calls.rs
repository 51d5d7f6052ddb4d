//! How often the bucket of records is called, over a bucket in memory that counts, and that can lose an answer.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::config::{Credentials, Region as SdkRegion, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use remediation::{Limits, Records, RunId};

use super::*;

/// An object, and the number of its version.
type Object = (Vec<u8>, usize);

#[derive(Debug, Default)]
struct Contents {
    objects: BTreeMap<String, Object>,
    /// Each call, with the first part of the key that it was about.
    calls: Vec<(&'static str, String)>,
    versions: usize,
    /// Of so many writes, the answer is lost.
    lost: usize,
}

/// A bucket with conditional writes.
#[derive(Debug, Clone, Default)]
struct Bucket(Arc<Mutex<Contents>>);

impl Bucket {
    fn records(&self) -> Records {
        let connector = SharedHttpConnector::new(self.clone());
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(SdkRegion::from_static("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .build();
        Records::Bucket {
            client: aws_sdk_s3::Client::new(&config),
            bucket: "records".into(),
            owner: "111111111111".parse().unwrap(),
            retention: None,
        }
    }

    /// The calls since the last question.
    fn calls(&self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut self.0.lock().unwrap().calls)
    }

    fn lose(&self, answers: usize) {
        self.0.lock().unwrap().lost = answers;
    }

    fn keys(&self) -> Vec<String> {
        self.0.lock().unwrap().objects.keys().cloned().collect()
    }
}

fn answer(status: u16, tag: Option<usize>, body: impl Into<SdkBody>) -> HttpResponse {
    let mut answer = HttpResponse::new(status.try_into().unwrap(), body.into());
    if let Some(tag) = tag {
        answer.headers_mut().insert("etag", format!("\"{tag}\""));
    }
    answer
}

fn refusal(status: u16, code: &str) -> HttpResponse {
    answer(status, None, format!("<Error><Code>{code}</Code></Error>"))
}

impl Contents {
    fn list(&self, prefix: &str) -> HttpResponse {
        let listed = self.objects.iter().filter(|(key, _)| key.starts_with(prefix));
        let listed =
            listed.map(|(key, (_, tag))| format!("<Contents><Key>{key}</Key><ETag>\"{tag}\"</ETag></Contents>"));
        answer(200, None, format!("<ListBucketResult>{}</ListBucketResult>", listed.collect::<String>()))
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
    fn put(&mut self, key: &str, request: &HttpRequest) -> HttpResponse {
        let found = self.objects.get(key).map(|(_, tag)| format!("\"{tag}\""));
        match (request.headers().get("if-none-match"), request.headers().get("if-match"), found) {
            (Some(_), _, Some(_)) => return refusal(412, "PreconditionFailed"),
            (_, Some(_), None) => return refusal(404, "NoSuchKey"),
            (_, Some(wanted), Some(found)) if wanted != found => return refusal(412, "PreconditionFailed"),
            _ => {}
        }
        self.versions += 1;
        let body = request.body().bytes().unwrap().to_vec();
        self.objects.insert(key.to_owned(), (body, self.versions));
        answer(200, Some(self.versions), "")
    }
}

impl HttpConnector for Bucket {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let url = url::Url::parse(request.uri()).unwrap();
        let prefix = url.query_pairs().find(|(name, _)| name == "prefix").map(|(_, prefix)| prefix.into_owned());
        let key = prefix.clone().unwrap_or_else(|| url.path().trim_start_matches('/').to_owned());
        let mut contents = self.0.lock().unwrap();
        let (call, answer) = match (request.method(), prefix) {
            ("GET", Some(prefix)) => ("list", contents.list(&prefix)),
            ("GET", None) => match contents.objects.get(&key) {
                Some((bytes, tag)) => ("get", answer(200, Some(*tag), bytes.clone())),
                None => ("get", refusal(404, "NoSuchKey")),
            },
            ("PUT", _) => ("put", contents.put(&key, &request)),
            (other, _) => panic!("{other}"),
        };
        contents.calls.push((call, key.split('/').next().unwrap_or_default().to_owned()));
        let is_lost = call == "put" && contents.lost > 0 && answer.status().is_success();
        contents.lost -= usize::from(is_lost);
        HttpConnectorFuture::ready(if is_lost { Err(ConnectorError::io("reset".into())) } else { Ok(answer) })
    }
}

/// The calls for the fix of so many resources, each of which has a card already or has none, sorted.
async fn calls_of(houses: usize, with_cards: bool) -> Vec<(&'static str, String)> {
    let mut world = World::new();
    world.cloud.strict.store(false, std::sync::atomic::Ordering::Relaxed);
    let bucket = Bucket::default();
    let houses: Vec<_> = (0..houses).map(|_| world.house(ONE, REGION, &[true], Script::Works)).collect();
    for _ in 0..=usize::from(with_cards) {
        bucket.calls();
        world.run = RunId::start();
        houses.iter().for_each(|house| world.open_door(house, 0));
        let engine = world.engine_with(IMPATIENT, bucket.records());
        let report = engine.run(world.batch(), Mode::Apply, Deadline::never()).await.report;
        assert_eq!(outcomes(&report), vec![Outcome::Fixed; houses.len()], "{report:?}");
    }
    let mut calls = bucket.calls();
    calls.sort();
    calls
}

/// How many of the calls are about what is in this folder.
fn about(folder: &str, calls: &[(&'static str, String)]) -> usize {
    calls.iter().filter(|(_, of)| of == folder).count()
}

#[tokio::test(start_paused = true)]
async fn each_wave_stores_its_plan_with_one_call() {
    let mut world = World::new();
    world.gather = Duration::from_millis(50);
    world.cloud.strict.store(false, std::sync::atomic::Ordering::Relaxed);
    for (number, account) in [ONE, TWO, THREE].into_iter().enumerate() {
        world.open_houses(account, REGION, 1);
        world.slow(account, Look, crate::fake::Wait::Time(Duration::from_secs(number as u64)));
    }
    let bucket = Bucket::default();
    let engine = world.engine_with(IMPATIENT, bucket.records());
    let report = engine.run(world.batch(), Mode::Apply, Deadline::never()).await.report;
    assert_eq!((outcomes(&report), report.plans().count()), (vec![Outcome::Fixed; 3], 3));
    assert_eq!(about("plans", &bucket.calls()), 3);
}

#[tokio::test]
async fn a_fix_calls_the_bucket_twice_without_a_card_and_three_times_with_one() {
    for (with_cards, most) in [(false, 2), (true, 3)] {
        let (one, many) = (calls_of(1, with_cards).await, calls_of(11, with_cards).await);
        assert_eq!(many.len() - one.len(), 10 * most, "with cards {with_cards}: {one:?}");
        // What a batch does once: the cards of its account are listed, and the plan is stored.
        assert_eq!((about("resources", &one), about("plans", &one)), (most + 1, 1), "{one:?}");
        assert!(one.len() <= most + 4, "{one:?}");
    }
}

#[tokio::test]
async fn a_change_whose_ledger_was_written_and_the_answer_lost_is_counted_once() {
    let bucket = Bucket::default();
    let ledger = Ledger::new(bucket.records(), "open-door", RunId::start());
    let limits = Limits { changes_per_run: Some(2), ..Limits::default() };
    let wanted = [(ONE.parse().unwrap(), 1)];
    bucket.lose(1);
    for taken in [true, true, false] {
        let held = ledger.take("open-door", &limits, &wanted).await.unwrap();
        assert_eq!((held[0].is_none(), bucket.keys().len()), (taken, 1), "{held:?}");
    }
    // Each reads the ledger, and two write it. The lost answer costs another write, which is refused, and a read, which
    // finds the ledger as it was to be.
    assert_eq!(about("ledgers", &bucket.calls()), 3 + 2 + 2);
}
