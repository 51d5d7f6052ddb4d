//! A scan that is asked for: `GET /api/v1/csa_scan` with `op=start`, the name of one of the tenant's policies and who asks.
//! The answer names the scan; nobody waits for its end, because the lists say by their scan times what it has seen.
//!
//! The documentation has `scan_id` and not where in the answer it is, so each place that an answer of this API has for it
//! is looked at. An answer without one has started nothing, as far as is known.

use escape::is_unsafe;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use crate::client::Most;
use crate::page::Envelope;
use crate::text::readable;
use crate::{Client, Error, PageError};

/// The most bytes of an answer: it names one scan.
const MOST_BYTES: usize = 64 * 1024;
/// The longest name of a scan, in characters.
const MOST_OF_ID: usize = 128;
/// Who asks, as the tenant shows it.
const STARTED_BY: &str = "autoremediate";

/// Why a scan was not started, as far as is known.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The request failed, or was refused.
    #[error(transparent)]
    Request(PageError),
    /// The answer is not the one that is documented.
    #[error("the answer does not say which scan was started: {0}")]
    Unknown(String),
    /// It took too long.
    #[error("there was no answer in time")]
    OutOfTime,
}

/// What an answer has beside what every answer has.
#[derive(Deserialize)]
struct Started<'a> {
    scan_id: Option<Value>,
    data: Option<Value>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "errorCode")]
    error_code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    errors: Option<&'a RawValue>,
    #[serde(borrow, default)]
    msg: Option<&'a RawValue>,
}

impl Client {
    /// Asks for a scan by the tenant's policy of this name, until `until`, and gives the scan's ID. A request that fails is
    /// not sent again: it may have started one.
    ///
    /// # Errors
    ///
    /// None was started, or nobody knows.
    pub async fn start_scan(&self, policy: &str, until: Instant) -> Result<String, Error> {
        let started = match timeout_at(until, self.request_scan(policy)).await {
            Ok(answer) => answer.and_then(|body| self.started(body)),
            Err(_) => Err(ScanError::OutOfTime),
        };
        started.map_err(|source| Error::Scan { policy: policy.to_owned(), source })
    }

    async fn request_scan(&self, policy: &str) -> Result<Vec<u8>, ScanError> {
        let query = [("op", "start"), ("name", policy), ("scan_start_by", STARTED_BY)];
        let body = self.get("csa_scan", &query, Most { bytes: MOST_BYTES, rows: 1 }).await;
        body.map_err(|error| match error {
            PageError::TooLarge { most, .. } => ScanError::Unknown(format!("it is larger than {most} bytes")),
            error => ScanError::Request(error.cleaned(|text| self.redact(text))),
        })
    }

    fn started(&self, body: Vec<u8>) -> Result<String, ScanError> {
        let text = readable(body);
        let unknown = |why: &str| ScanError::Unknown(self.redact(why));
        let Started { scan_id, data, status, error_code, errors, msg } =
            serde_json::from_str(&text).map_err(|error| unknown(&error.to_string()))?;
        let envelope = Envelope { status, error_code, errors, msg, data: None };
        if !envelope.is_success() {
            return Err(ScanError::Request(envelope.error().cleaned(|text| self.redact(text))));
        }
        let in_data = data.as_ref().and_then(|data| data.get("scan_id").or_else(|| data.get(0)?.get("scan_id")));
        let id = match scan_id.as_ref().or(in_data) {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            _ => return Err(unknown("it has no `scan_id`")),
        };
        let is_id = (1..=MOST_OF_ID).contains(&id.chars().count()) && !id.chars().any(is_unsafe);
        if !is_id || self.forms().is_in(&id) {
            return Err(unknown("its `scan_id` is none"));
        }
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use secrecy::SecretString;
    use serde_json::json;
    use wiremock::matchers::{method, path, query_param};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::{Endpoint, Options};

    /// With characters that a URL encodes, so that both forms have to stay hidden.
    const TOKEN: &str = "s3cret/tok en+2f6b==";

    fn client(address: &str) -> Client {
        let options = Options { timeout: Duration::from_millis(500), retries: 3, ..Options::default() };
        Client::new(Endpoint::url(address).unwrap(), SecretString::from(TOKEN), options).unwrap()
    }

    async fn start(answer: ResponseTemplate) -> (Result<String, String>, usize) {
        let server = MockServer::start().await;
        let mock = Mock::given(method("GET")).and(path("/api/v1/csa_scan"));
        let mock = [("op", "start"), ("name", "Best & more"), ("scan_start_by", "autoremediate"), ("token", TOKEN)]
            .into_iter()
            .fold(mock, |mock, (name, value)| mock.and(query_param(name, value)));
        mock.respond_with(answer).mount(&server).await;
        let started = client(&server.uri()).start_scan("Best & more", Instant::now() + Duration::from_secs(5)).await;
        (started.map_err(|error| error.to_string()), server.received_requests().await.unwrap_or_default().len())
    }

    #[tokio::test]
    async fn a_scan_is_started_and_its_id_is_found_where_it_can_be() {
        for (body, id) in [
            (json!({"status": "success", "msg": "", "data": {"scan_id": "a-1"}}), "a-1"),
            (json!({"status": "Success", "data": [{"scan_id": 17}]}), "17"),
            (json!({"status": "success", "scan_id": "b"}), "b"),
        ] {
            let (started, _) = start(ResponseTemplate::new(200).set_body_json(&body)).await;
            assert_eq!(started.as_deref(), Ok(id), "{body}");
        }
    }

    #[tokio::test]
    async fn what_starts_no_scan_is_an_error_without_the_token_and_is_asked_once() {
        let ok = |body| ResponseTemplate::new(200).set_body_json(body);
        let errors = [format!("no such policy for {TOKEN}")];
        let said = json!({"status": "error", "errorCode": "Invalid Parameter", "errors": errors});
        for (answer, says) in [
            (ok(said.clone()), "Invalid Parameter: no such policy for [token]"),
            (ResponseTemplate::new(403).set_body_json(said), "the API refused the token"),
            (ResponseTemplate::new(500), "HTTP 500"),
            (ResponseTemplate::new(302).insert_header("location", "https://elsewhere.example/"), "redirect"),
            (ok(json!({"status": "success", "data": []})), "it has no `scan_id`"),
            (ok(json!({"status": "success", "scan_id": ""})), "its `scan_id` is none"),
            (ok(json!({"status": "success", "scan_id": format!("for {TOKEN}")})), "its `scan_id` is none"),
            (ok(json!({"status": "success", "scan_id": {"a": 1}})), "it has no `scan_id`"),
            (ResponseTemplate::new(200).set_body_string("<html>"), "does not say which scan was started"),
            (ResponseTemplate::new(200).set_body_string("x".repeat(MOST_BYTES + 1)), "larger than 65536 bytes"),
            (ok(json!({})).set_delay(Duration::from_secs(2)), "the answer did not arrive"),
        ] {
            let (started, requests) = start(answer).await;
            let error = started.unwrap_err();
            assert!(error.starts_with("cannot start a scan by Netskope's policy `Best & more`: "), "{error}");
            assert!(error.contains(says) && !error.contains("s3cret"), "{says}: {error}");
            assert_eq!(requests, 1, "{says}");
        }
    }

    #[tokio::test]
    async fn no_scan_is_waited_for_longer_than_the_time_that_is_left() {
        let server = MockServer::start().await;
        let late = ResponseTemplate::new(200).set_delay(Duration::from_secs(60));
        Mock::given(wiremock::matchers::any()).respond_with(late).mount(&server).await;
        let error = client(&server.uri()).start_scan("p", Instant::now()).await.unwrap_err();
        assert!(error.to_string().ends_with("there was no answer in time"), "{error}");
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_reader_panic(bytes: Vec<u8>, data in ".{0,80}") {
            let client = client("http://127.0.0.1:1/");
            drop(client.started(bytes));
            drop(client.started(format!(r#"{{"status": "success", "scan_id": {data}}}"#).into_bytes()));
        }
    }
}
