//! How much this process asks of AWS: requests, each try of the SDK's counted, and those that AWS answered with "slower".
//!
//! They are counted where requests leave, because the SDK tries a throttled call again by itself and says nothing of it. A
//! Lambda works on one invocation at a time, so what an invocation asked for is the difference of two readings.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;

use super::concurrency;
use super::error::says_slower;

static REQUESTS: AtomicU64 = AtomicU64::new(0);
static THROTTLED: AtomicU64 = AtomicU64::new(0);

/// Status of an answer to one request too many. <https://www.rfc-editor.org/rfc/rfc6585#section-4>
const TOO_MANY_REQUESTS: u16 = 429;
/// Where a service with JSON says the code of its error.
const ERROR_TYPE: &str = "x-amzn-errortype";

/// Requests to AWS since the process began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// All of them, the SDK's retries included.
    pub requests: u64,
    /// Those that AWS throttled.
    pub throttled: u64,
}

impl Traffic {
    /// What there was so far.
    pub fn now() -> Self {
        Self { requests: REQUESTS.load(Ordering::Relaxed), throttled: THROTTLED.load(Ordering::Relaxed) }
    }

    /// What there has been since an earlier reading.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            throttled: self.throttled.saturating_sub(earlier.throttled),
        }
    }
}

/// Counts a request that leaves.
pub(super) fn count_request() {
    REQUESTS.fetch_add(1, Ordering::Relaxed);
}

/// Counts an answer that says "slower". Some services say it in the body alone, so an error's is read here: a few hundred
/// bytes, within the time of the SDK's try, as which it would read them in any case.
pub(super) async fn count_answer(mut answer: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    if !answer.status().is_client_error() && !answer.status().is_server_error() {
        return Ok(answer);
    }
    let body = ByteStream::new(answer.take_body()).collect().await;
    let body = body.map_err(|error| ConnectorError::io(error.into()))?.into_bytes();
    let of_header = answer.headers().get(ERROR_TYPE).is_some_and(says_slower);
    let of_status = answer.status().as_u16() == TOO_MANY_REQUESTS;
    if of_status || of_header || says_slower(&String::from_utf8_lossy(&body)) {
        THROTTLED.fetch_add(1, Ordering::Relaxed);
        concurrency::slower();
    }
    *answer.body_mut() = SdkBody::from(body);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn counted(status: u16, header: Option<&'static str>, body: &'static str) -> (u64, String) {
        let mut answer = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
        if let Some(header) = header {
            answer.headers_mut().insert(ERROR_TYPE, header);
        }
        let before = Traffic::now();
        let answer = count_answer(answer).await.unwrap();
        let body = String::from_utf8(answer.body().bytes().unwrap().to_vec()).unwrap();
        (Traffic::now().since(before).throttled, body)
    }

    // One test, because the counts are the process's.
    #[tokio::test]
    async fn what_aws_answers_with_slower_is_counted_by_status_header_or_body_and_nothing_else_is() {
        for (throttled, status, header, body) in [
            (1, 429, None, ""),
            (1, 400, Some("ThrottlingException:http://internal.amazon.com/"), "{}"),
            (1, 400, None, r#"{"__type":"com.amazonaws.ssm#ThrottlingException","message":"Rate exceeded"}"#),
            (1, 400, None, "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>"),
            (1, 503, None, "<Response><Errors><Error><Code>RequestLimitExceeded</Code></Error></Errors></Response>"),
            (1, 503, None, "<Error><Code>SlowDown</Code></Error>"),
            (0, 503, None, "<Error><Code>ServiceUnavailable</Code></Error>"),
            (0, 404, None, "<Error><Code>NoSuchKey</Code></Error>"),
            (0, 403, Some("AccessDeniedException"), ""),
            // No error, whatever somebody calls his objects.
            (0, 200, None, "<Key>SlowDown</Key>"),
        ] {
            assert_eq!(counted(status, header, body).await, (throttled, body.to_owned()), "{status} {header:?} {body}");
        }
    }
}
