//! Stand-ins for what the Lambdas call, quick enough for a hundred thousand findings: S3 with conditional writes, STS,
//! Secrets Manager, and Netskope's list. They judge no permissions.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use remediation::POLICY_KEY;
use serde_json::{Value, json};
use testkit::netskope::row;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

pub(super) const TOKEN: &str = "a-token-that-must-not-be-seen-5d2e";
pub(super) const BUCKET: &str = "records";
/// The most keys that a list has.
const PAGE: usize = 1_000;
const CONTROL: &str = "Ensure S3 Bucket is not publicly accessible.";

/// How a bucket of a target account stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    Violating,
    Compliant,
    Gone,
}

/// How many findings there are, and of what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub(super) findings: usize,
    pub(super) accounts: usize,
}

impl Scale {
    pub(super) fn account(self, number: usize) -> String {
        format!("{:012}", 100_000_000_000 + number % self.accounts)
    }

    pub(super) fn bucket(self, number: usize) -> String {
        format!("soak-{number}")
    }

    /// One in five violates, one in ten is gone.
    pub(super) fn stands(self, number: usize) -> Stands {
        match number / self.accounts % 10 {
            0 | 5 => Stands::Violating,
            9 => Stands::Gone,
            _ => Stands::Compliant,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) bytes: Vec<u8>,
    etag: u64,
}

/// What the stand-ins keep.
#[derive(Debug)]
pub(super) struct Cloud {
    scale: Scale,
    objects: Mutex<BTreeMap<String, Stored>>,
    /// The buckets of target accounts that were written to, and how often.
    written: Mutex<HashMap<String, usize>>,
    pub(super) calls: AtomicU64,
    etags: AtomicU64,
}

pub(super) fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cloud {
    pub(super) fn new(scale: Scale, policy: &Value) -> Arc<Self> {
        let (objects, written) = (Mutex::default(), Mutex::default());
        let (calls, etags) = (AtomicU64::new(0), AtomicU64::new(1));
        let cloud = Self { scale, objects, written, calls, etags };
        cloud.store(POLICY_KEY, policy.to_string().into());
        Arc::new(cloud)
    }

    pub(super) async fn serve(self: &Arc<Self>) -> MockServer {
        let server = MockServer::builder().disable_request_recording().start().await;
        let cloud = Arc::clone(self);
        Mock::given(any()).respond_with(move |request: &Request| cloud.answer(request)).mount(&server).await;
        server
    }

    /// Netskope's list: every finding, page by page.
    pub(super) async fn netskope(scale: Scale) -> MockServer {
        let server = MockServer::builder().disable_request_recording().start().await;
        let listed = move |request: &Request| {
            let query: HashMap<_, _> = request.url.query_pairs().into_owned().collect();
            let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok()).unwrap_or_default();
            let (skip, limit) = (number("skip"), number("limit"));
            let rows = skip..scale.findings.min(skip + limit);
            let rows = rows.map(|of| row(CONTROL, &scale.account(of), "US East(N. Virginia)", &scale.bucket(of)));
            let data: Vec<_> = rows.collect();
            ResponseTemplate::new(200).set_body_json(json!({"status": "success", "msg": "", "data": data}))
        };
        Mock::given(any()).respond_with(listed).mount(&server).await;
        server
    }

    pub(super) fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Stored>> {
        lock(&self.objects)
    }

    pub(super) fn written(&self) -> HashMap<String, usize> {
        lock(&self.written).clone()
    }

    fn store(&self, key: &str, bytes: Vec<u8>) -> u64 {
        let etag = self.etags.fetch_add(1, Ordering::Relaxed);
        lock(&self.objects).insert(key.to_owned(), Stored { bytes, etag });
        etag
    }

    fn answer(&self, request: &Request) -> ResponseTemplate {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let path = request.url.path().trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        match request.method.as_str() {
            "POST" if request.headers.contains_key("x-amz-target") => {
                ResponseTemplate::new(200).set_body_json(json!({"SecretString": TOKEN, "Name": "token", "ARN": "arn"}))
            }
            "POST" => session(),
            "GET" if bucket == BUCKET && key.is_empty() => self.list(&request.url.query_pairs().into_owned().collect()),
            "GET" if bucket == BUCKET => self.get(key),
            "PUT" if bucket == BUCKET => self.put(key, request),
            "GET" => self.look(bucket, request.url.query().unwrap_or_default()),
            "PUT" => {
                *lock(&self.written).entry(bucket.to_owned()).or_default() += 1;
                ResponseTemplate::new(200)
            }
            _ => refused(405, "MethodNotAllowed"),
        }
    }

    fn get(&self, key: &str) -> ResponseTemplate {
        match lock(&self.objects).get(key) {
            Some(Stored { bytes, etag }) => with_etag(ResponseTemplate::new(200), *etag).set_body_bytes(bytes.clone()),
            None => refused(404, "NoSuchKey"),
        }
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>
    fn list(&self, query: &HashMap<String, String>) -> ResponseTemplate {
        let text = |name: &str| query.get(name).cloned().unwrap_or_default();
        let (prefix, after) = (text("prefix"), text("continuation-token"));
        let objects = lock(&self.objects);
        let from = objects.range(prefix.clone().max(after.clone())..).filter(|(key, _)| **key > after);
        let mut from = from.take_while(|(key, _)| key.starts_with(&prefix));
        let page: Vec<_> = from.by_ref().take(PAGE).collect();
        let next = from.next().and(page.last()).map(|(key, _)| key);
        let contents = page
            .iter()
            .map(|(key, stored)| format!("<Contents><Key>{key}</Key><ETag>{}</ETag></Contents>", quoted(stored.etag)));
        let token =
            next.map_or_else(String::new, |key| format!("<NextContinuationToken>{key}</NextContinuationToken>"));
        ResponseTemplate::new(200).set_body_string(format!(
            "<ListBucketResult><IsTruncated>{}</IsTruncated>{token}{}</ListBucketResult>",
            next.is_some(),
            contents.collect::<String>()
        ))
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
    fn put(&self, key: &str, request: &Request) -> ResponseTemplate {
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        let mut objects = lock(&self.objects);
        let found = objects.get(key).map(|stored| quoted(stored.etag));
        let holds = match (header("if-none-match"), header("if-match")) {
            (Some(_), _) => found.is_none(),
            (_, Some(etag)) => found.as_deref() == Some(etag),
            _ => true,
        };
        if !holds {
            return refused(412, "PreconditionFailed");
        }
        let etag = self.etags.fetch_add(1, Ordering::Relaxed);
        objects.insert(key.to_owned(), Stored { bytes: request.body.clone(), etag });
        with_etag(ResponseTemplate::new(200), etag)
    }

    /// A bucket of a target account.
    fn look(&self, bucket: &str, query: &str) -> ResponseTemplate {
        let number = bucket.strip_prefix("soak-").and_then(|text| text.parse().ok());
        let Some(number) = number else { return refused(404, "NoSuchBucket") };
        let is_written = lock(&self.written).contains_key(bucket);
        match self.scale.stands(number) {
            Stands::Gone => refused(404, "NoSuchBucket"),
            _ if !query.contains("publicAccessBlock") => refused(404, "NoSuchWebsiteConfiguration"),
            Stands::Violating if !is_written => refused(404, "NoSuchPublicAccessBlockConfiguration"),
            stands => {
                let others = stands == Stands::Compliant;
                ResponseTemplate::new(200).set_body_string(format!(
                    "<PublicAccessBlockConfiguration><BlockPublicAcls>{others}</BlockPublicAcls>\
                     <IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>{others}</BlockPublicPolicy>\
                     <RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>"
                ))
            }
        }
    }
}

fn quoted(etag: u64) -> String {
    format!("\"{etag:032x}\"")
}

fn with_etag(answer: ResponseTemplate, etag: u64) -> ResponseTemplate {
    answer.insert_header("ETag", quoted(etag).as_str())
}

/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
fn session() -> ResponseTemplate {
    let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(900);
    ResponseTemplate::new(200).set_body_string(format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
         <AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
         <SessionToken>token</SessionToken><Expiration>{expires:.0}</Expiration></Credentials></AssumeRoleResult>\
         </AssumeRoleResponse>"
    ))
}

fn refused(status: u16, code: &str) -> ResponseTemplate {
    let text = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
    ResponseTemplate::new(status).set_body_string(text)
}
