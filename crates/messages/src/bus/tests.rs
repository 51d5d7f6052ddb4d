//! Answers of the service in, what became of the messages out.

use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_eventbridge::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

use super::*;
use crate::samples::samples;

/// Answers each request alike, and keeps what it was asked.
#[derive(Debug, Clone)]
struct Service {
    status: u16,
    answer: Value,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Service {
    fn answers(status: u16, answer: Value) -> Self {
        Self { status, answer, asked: Arc::default() }
    }

    fn bus(&self) -> Bus {
        let connector = SharedHttpConnector::new(self.clone());
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .build();
        Bus::new(&config, "house")
    }
}

impl HttpConnector for Service {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let asked = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        self.asked.lock().unwrap().push(asked);
        let mut answer = HttpResponse::new(self.status.try_into().unwrap(), SdkBody::from(self.answer.to_string()));
        answer.headers_mut().insert("Content-Type", "application/x-amz-json-1.1");
        HttpConnectorFuture::ready(Ok(answer))
    }
}

#[tokio::test]
async fn messages_go_in_one_call_and_what_is_refused_is_said() {
    let messages = samples("records").unwrap();
    let refused = json!({"ErrorCode": "InternalFailure", "ErrorMessage": "later"});
    let mut entries = vec![json!({"EventId": "i"}); messages.len()];
    entries[1] = refused;
    let service = Service::answers(200, json!({"FailedEntryCount": 1, "Entries": entries}));
    let sent = service.bus().send(&messages).await.unwrap();
    assert_eq!((sent.taken, sent.refused.len()), (messages.len() - 1, 1));
    assert_eq!(sent.refused[0].to_string(), "Run Has Fixed: events:PutEvents: InternalFailure: later");
    let asked = service.asked.lock().unwrap().clone();
    let [call] = &asked[..] else { panic!("{asked:?}") };
    for (entry, message) in call["Entries"].as_array().unwrap().iter().zip(&messages) {
        assert_eq!((&entry["Source"], &entry["EventBusName"]), (&json!("autoremediate"), &json!("house")));
        assert_eq!(entry["DetailType"], message.detail.kind.detail_type());
        assert_eq!(entry["Resources"], json!(message.resources));
        let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
        assert_eq!(detail, serde_json::to_value(&message.detail).unwrap());
    }
}

#[tokio::test]
async fn no_call_is_made_without_a_message() {
    let service = Service::answers(200, json!({}));
    assert_eq!(service.bus().send(&[]).await.unwrap(), Sent::default());
    assert_eq!(*service.asked.lock().unwrap(), [] as [Value; 0]);
}

#[tokio::test]
async fn an_error_names_the_action() {
    let denied = json!({"__type": "AccessDeniedException", "message": "not for you"});
    let error = Service::answers(400, denied).bus().send(&samples("records").unwrap()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("events:PutEvents: ") && text.contains("not for you"), "{text}");
}

/// No call of a test waits, so the time is turned on.
#[tokio::test(start_paused = true)]
async fn a_bus_that_does_not_answer_is_given_up() {
    #[derive(Debug)]
    struct Silent;
    impl HttpConnector for Silent {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            HttpConnectorFuture::new(std::future::pending())
        }
    }
    let connector = SharedHttpConnector::new(Silent);
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .build();
    let began = tokio::time::Instant::now();
    let error = Bus::new(&config, "house").send(&samples("records").unwrap()).await.unwrap_err();
    assert!(error.to_string().starts_with("events:PutEvents: "), "{error}");
    assert!(began.elapsed() <= ALL_TRIES + Duration::from_secs(1), "{:?}", began.elapsed());
}
