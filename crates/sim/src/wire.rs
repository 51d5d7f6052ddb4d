//! What the SDK's clients send, and what comes back: requests go to the part of the world that answers at their host, and
//! may be lost on either way. What was sent arrives even if whoever sent it is dead by then.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::config::{Credentials, Region as SdkRegion, SharedCredentialsProvider};
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use tokio::time::sleep;
use url::Url;

use crate::actor::Actor;
use crate::chance::Chance;
use crate::fault::Fault;
use crate::world::World;

/// The region of everything.
pub(crate) const REGION: &str = "eu-west-1";

/// The configuration of all clients, as the product's own loader sets it but for where the calls go.
pub(crate) fn config() -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(30))
        .build();
    let connector = SharedHttpConnector::new(Wire);
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(SdkRegion::from_static(REGION))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .time_source(Ambient)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(5))
        .build()
}

/// The time of the process that asks.
#[derive(Debug)]
struct Ambient;

impl TimeSource for Ambient {
    fn now(&self) -> SystemTime {
        ambient::system_time()
    }
}

/// Carries requests.
#[derive(Debug)]
struct Wire;

/// A request as it arrives.
pub(crate) struct Arrived {
    pub(crate) method: String,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) tag: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Arrived {
    fn of(request: &HttpRequest) -> Self {
        let headers = request.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let body = request.body().bytes().unwrap_or_default().to_vec();
        let url = Url::parse(request.uri()).expect("a URL of the SDK's");
        Self { method: request.method().to_owned(), url, headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn query(&self, name: &str) -> Option<String> {
        self.url.query_pairs().find(|(of, _)| of == name).map(|(_, value)| value.into_owned())
    }

    /// The access key with which it is signed.
    pub(crate) fn access_key(&self) -> String {
        let signed = self.header("authorization").unwrap_or_default();
        let key = signed.split_once("Credential=").and_then(|(_, rest)| rest.split('/').next());
        key.unwrap_or_default().to_owned()
    }
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, tag: None, body: body.into() }
    }

    pub(crate) fn tagged(self, tag: &str) -> Self {
        Self { tag: Some(format!("\"{tag}\"")), ..self }
    }

    fn into_response(self) -> HttpResponse {
        let status = self.status.try_into().expect("a status");
        let mut response = HttpResponse::new(status, SdkBody::from(self.body));
        if let Some(tag) = self.tag {
            response.headers_mut().insert("etag", tag);
        }
        response
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (actor, arrived) = (Actor::current(), Arrived::of(&request));
        HttpConnectorFuture::new(async move {
            let sent = tokio::spawn(send(Arc::clone(&actor), arrived));
            let answer = sent.await.unwrap_or(None);
            answer.map(Answer::into_response).ok_or_else(|| ConnectorError::io("the connection broke".into()))
        })
    }
}

/// What becomes of a request; no answer where it, or its answer, is lost.
async fn send(actor: Arc<Actor>, request: Arrived) -> Option<Answer> {
    let (world, host) = (&actor.world, request.url.host_str().unwrap_or_default().to_owned());
    let is_store = host.starts_with("s3.");
    if is_store && world.strikes(Fault::Frozen, &actor.chance) {
        actor.freeze(Duration::from_secs(actor.chance.between(60, 1_500)));
    }
    sleep(latency(world, &actor.chance)).await;
    if world.strikes(Fault::LostRequest, &actor.chance) {
        actor.tell(format!("a request to {host} is lost"));
        sleep(actor.chance.millis(100, 15_000)).await;
        return None;
    }
    let answer = if is_store {
        world.store.answer(&actor, &request)
    } else if host.starts_with("sts.") {
        world.sts.answer(&actor, &request)
    } else {
        world.automation.answer(&actor, &request)
    };
    if world.strikes(Fault::LostAnswer, &actor.chance) {
        actor.tell(format!("an answer of {host} is lost"));
        sleep(actor.chance.millis(100, 15_000)).await;
        return None;
    }
    sleep(latency(world, &actor.chance)).await;
    Some(answer)
}

/// How long one way takes.
pub(crate) fn latency(world: &World, chance: &Chance) -> Duration {
    if world.strikes(Fault::Slow, chance) { chance.millis(1_000, 28_000) } else { chance.millis(2, 40) }
}
