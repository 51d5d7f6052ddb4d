//! A bucket of records in memory: with conditional writes, a log of the calls, and a time that each takes.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::config::{Credentials, Region as SdkRegion, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use remediation::Records;

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
    /// How long a call takes.
    latency: Duration,
}

/// The bucket.
#[derive(Debug, Clone, Default)]
pub(super) struct Bucket(Arc<Mutex<Contents>>);

impl Bucket {
    /// As the engine has it.
    pub(super) fn records(&self) -> Records {
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
    pub(super) fn calls(&self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut self.0.lock().unwrap().calls)
    }

    /// Loses the answers of the next writes.
    pub(super) fn lose(&self, answers: usize) {
        self.0.lock().unwrap().lost = answers;
    }

    /// Lets each call take so long.
    pub(super) fn slow(&self, latency: Duration) {
        self.0.lock().unwrap().latency = latency;
    }

    /// Puts an object there.
    pub(super) fn put(&self, key: &str, bytes: &[u8]) {
        self.0.lock().unwrap().store(key, bytes);
    }

    /// What is in it.
    pub(super) fn keys(&self) -> Vec<String> {
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
        self.store(key, request.body().bytes().unwrap());
        answer(200, Some(self.versions), "")
    }

    fn store(&mut self, key: &str, bytes: &[u8]) {
        self.versions += 1;
        self.objects.insert(key.to_owned(), (bytes.to_vec(), self.versions));
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
        let latency = contents.latency;
        HttpConnectorFuture::new(async move {
            tokio::time::sleep(latency).await;
            if is_lost { Err(ConnectorError::io("reset".into())) } else { Ok(answer) }
        })
    }
}
