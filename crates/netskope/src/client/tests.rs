//! The client against a server that behaves, and against every way in which one does not.

use std::time::{Duration, Instant};

use futures::TryStreamExt;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{Client, Endpoint, Options, Page};
use crate::{Error, PageError};

/// With characters that a URL encodes, so that both forms have to stay hidden.
const TOKEN: &str = "s3cret/tok en+2f6b==";
const ENCODED: [&str; 2] = ["s3cret%2Ftok+en%2B2f6b%3D%3D", "s3cret%2Ftok%20en%2B2f6b%3D%3D"];
const RULE: &str = "Ensure S3 Bucket is not publicly accessible.";

fn options(page_size: u32) -> Options {
    let (timeout, retry_delay) = (Duration::from_millis(500), Duration::from_millis(1));
    Options { page_size, timeout, retries: 2, retry_delay }
}

fn client(address: &str, page_size: u32) -> Client {
    Client::new(Endpoint::url(address).unwrap(), SecretString::from(TOKEN), options(page_size)).unwrap()
}

async fn pages(client: &Client) -> Result<Vec<Page>, Error> {
    client.violations(RULE, 1_700_000_000, 1).try_collect().await
}

fn rows(from: usize, count: usize) -> Value {
    let row = |n| json!({"account_id": "222222222222", "region_name": "global", "resource_id": format!("r{n}")});
    json!({"status": "success", "msg": "", "data": (from..from + count).map(row).collect::<Vec<_>>()})
}

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

/// Answers every request alike.
async fn always(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(answer).mount(&server).await;
    server
}

async fn requests(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().len()
}

/// The page's error, after showing that the token is in none of its texts.
fn page_error(result: Result<Vec<Page>, Error>) -> PageError {
    let error = result.unwrap_err();
    hides_token(&format!("{error} {error:?}"));
    match error {
        Error::Page { source, .. } => source,
        other => panic!("{other}"),
    }
}

fn hides_token(text: &str) {
    for form in [TOKEN].into_iter().chain(ENCODED) {
        assert!(!text.contains(form), "the token is in: {text}");
    }
}

#[tokio::test]
async fn asks_as_documented_page_after_page_of_the_same_moment() {
    let server = MockServer::start().await;
    for (skip, count) in [("0", 2), ("2", 2), ("4", 1)] {
        Mock::given(method("GET"))
            .and(path("/api/v1/security_assessment"))
            .and(query_param("token", TOKEN))
            .and(query_param("cloud_provider", "aws"))
            .and(query_param("status", "Failed"))
            .and(query_param("muted", "No"))
            .and(query_param("rule_name", RULE))
            .and(query_param("as_of", "1700000000"))
            .and(query_param("limit", "2"))
            .and(query_param("skip", skip))
            .respond_with(ok(rows(skip.parse().unwrap(), count)))
            .expect(1)
            .mount(&server)
            .await;
    }
    let pages = pages(&client(&server.uri(), 2)).await.unwrap();
    let violations: Vec<_> = pages.into_iter().flat_map(|page| page.violations).collect();
    assert_eq!(violations.iter().map(|violation| violation.position).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(violations[4].resource, "r4");
}

#[tokio::test]
async fn a_list_that_fills_its_last_page_ends_with_an_empty_one() {
    let server = MockServer::start().await;
    Mock::given(query_param("skip", "0")).respond_with(ok(rows(0, 2))).mount(&server).await;
    Mock::given(query_param("skip", "2")).respond_with(ok(rows(2, 0))).mount(&server).await;
    let received: Vec<_> = pages(&client(&server.uri(), 2)).await.unwrap().iter().map(|page| page.received).collect();
    assert_eq!(received, [2, 0]);
}

#[tokio::test]
async fn asks_at_most_four_times_a_second() {
    let server = always(ok(rows(0, 1))).await;
    let started = Instant::now();
    let client = client(&server.uri(), 1);
    let mut pages = Box::pin(client.violations(RULE, 0, 1));
    for _ in 0..5 {
        pages.try_next().await.unwrap();
    }
    // The first at once, then one each 250 ms: the fifth after a second. A slow machine only makes it later.
    assert!(started.elapsed() >= Duration::from_millis(990), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_later_page_that_fails_ends_the_list_and_is_named() {
    let server = MockServer::start().await;
    Mock::given(query_param("skip", "0")).respond_with(ok(rows(0, 1))).mount(&server).await;
    let broken = ResponseTemplate::new(200).set_body_string("<html>");
    Mock::given(query_param("skip", "1")).respond_with(broken).mount(&server).await;
    let client = client(&server.uri(), 1);
    let mut stream = Box::pin(client.violations(RULE, 0, 1));
    assert_eq!(stream.try_next().await.unwrap().unwrap().received, 1);
    let error = stream.try_next().await.unwrap_err();
    assert!(error.to_string().starts_with("page 2 of the violations of `Ensure S3"), "{error}");
    assert!(stream.try_next().await.unwrap().is_none(), "the stream must end after an error");
}

#[tokio::test]
async fn transient_statuses_are_tried_again() {
    for status in [429, 500, 502, 503, 504] {
        let server = MockServer::start().await;
        let sick = ResponseTemplate::new(status).set_body_string(format!("sorry {TOKEN}"));
        Mock::given(method("GET")).respond_with(sick).up_to_n_times(2).mount(&server).await;
        Mock::given(method("GET")).respond_with(ok(rows(0, 1))).mount(&server).await;
        assert_eq!(pages(&client(&server.uri(), 9)).await.unwrap()[0].received, 1, "{status}");
        assert_eq!(requests(&server).await, 3, "{status}");
    }
}

#[tokio::test]
async fn retries_end_and_the_error_names_the_status() {
    let body = json!({"status": "error", "errorCode": "Busy", "errors": [format!("token={TOKEN} {}", ENCODED[0])]});
    let server = always(ResponseTemplate::new(503).set_body_json(body)).await;
    let error = page_error(pages(&client(&server.uri(), 9)).await);
    assert!(
        matches!(&error, PageError::Status { status: 503, message, .. } if message.contains("[token]")),
        "{error:?}"
    );
    assert_eq!(requests(&server).await, 3);
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let server = MockServer::start().await;
    let busy = ResponseTemplate::new(429).insert_header("Retry-After", "1");
    Mock::given(method("GET")).respond_with(busy).up_to_n_times(1).mount(&server).await;
    Mock::given(method("GET")).respond_with(ok(rows(0, 1))).mount(&server).await;
    let started = Instant::now();
    pages(&client(&server.uri(), 9)).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_refused_token_is_an_error_at_once_with_any_status() {
    let body = json!({"status": "error", "errorCode": "Authorization Error", "errors": [format!("Invalid: {TOKEN}")]});
    for status in [200, 401, 403] {
        let server = always(ResponseTemplate::new(status).set_body_json(&body)).await;
        let result = pages(&client(&server.uri(), 9)).await;
        assert!(result.as_ref().unwrap_err().is_refused(), "{status}");
        assert!(matches!(page_error(result), PageError::Refused(_)), "{status}");
        assert_eq!(requests(&server).await, 1, "{status}");
    }
}

#[tokio::test]
async fn an_error_body_under_http_200_is_an_error() {
    for body in [
        json!({"status": "error", "errorCode": "Bad", "errors": [TOKEN], "data": []}),
        json!({"status": "error"}),
        json!({"data": []}),
        json!({"status": "success", "msg": TOKEN}),
    ] {
        let server = always(ok(body.clone())).await;
        let error = page_error(pages(&client(&server.uri(), 9)).await);
        assert!(matches!(error, PageError::Api(_) | PageError::Malformed(_)), "{body}: {error:?}");
        assert_eq!(requests(&server).await, 1, "{body}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = always(ok(rows(0, 1))).await;
    let location = format!("{}/?token={}", other.uri(), ENCODED[0]);
    for status in [301, 302, 303, 307, 308] {
        let server = always(ResponseTemplate::new(status).insert_header("Location", location.as_str())).await;
        let error = page_error(pages(&client(&server.uri(), 9)).await);
        assert!(matches!(error, PageError::Redirect(found) if found == status), "{error:?}");
        assert_eq!(requests(&server).await, 1);
    }
    assert_eq!(requests(&other).await, 0);
}

#[tokio::test]
async fn what_is_not_json_or_ends_early_is_an_error() {
    let whole = rows(0, 2).to_string();
    for (body, says) in [
        ("<html>busy</html>", "not the documented JSON"),
        ("", "ends early"),
        (&whole[..whole.len() - 20], "ends early"),
        (r#"{"status":"success","data":{}}"#, "not the documented JSON"),
    ] {
        let server = always(ResponseTemplate::new(200).set_body_string(body)).await;
        let error = page_error(pages(&client(&server.uri(), 9)).await);
        assert!(matches!(&error, PageError::Malformed(what) if what.contains(says)), "{body}: {error:?}");
    }
}

#[tokio::test]
async fn other_statuses_are_errors_at_once() {
    let server = always(ResponseTemplate::new(404)).await;
    let error = page_error(pages(&client(&server.uri(), 9)).await);
    assert!(matches!(error, PageError::Status { status: 404, .. }), "{error:?}");
    assert_eq!(requests(&server).await, 1);
}

#[tokio::test]
async fn no_answer_in_time_is_tried_again_and_then_an_error() {
    let server = always(ok(rows(0, 1)).set_delay(Duration::from_secs(60))).await;
    let error = page_error(pages(&client(&server.uri(), 9)).await);
    assert!(matches!(error, PageError::Transport(_)), "{error:?}");
    assert_eq!(requests(&server).await, 3);
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_body_is_tried_again_and_then_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        for _ in 0..3 {
            let (mut connection, _) = listener.accept().await.unwrap();
            let _ = connection.read(&mut [0; 4096]).await.unwrap();
            let half = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"status\":";
            connection.write_all(half.as_bytes()).await.unwrap();
        }
    });
    let error = page_error(pages(&client(&address, 9)).await);
    assert!(matches!(error, PageError::Transport(_)), "{error:?}");
    served.await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_without_the_url() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    assert!(matches!(page_error(pages(&client(&address, 9)).await), PageError::Transport(_)));
}

#[tokio::test]
async fn an_invalid_row_is_reported_with_its_position_and_the_rest_goes_on() {
    let mut body = rows(0, 4);
    body["data"][1] = json!({"region_name": TOKEN});
    body["data"][2] = json!("no object");
    let server = always(ok(body)).await;
    let pages = pages(&client(&server.uri(), 9)).await.unwrap();
    assert_eq!(pages[0].received, 4);
    assert_eq!(pages[0].invalid.iter().map(|item| item.position).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(pages[0].violations.iter().map(|violation| violation.position).collect::<Vec<_>>(), [1, 4]);
    hides_token(&format!("{:?}", pages[0].invalid));
}

#[test]
fn debug_shows_no_token() {
    hides_token(&format!("{:?}", client("http://127.0.0.1:1", 9)));
}

#[test]
fn only_addresses_that_keep_the_token_secret_are_taken() {
    for good in ["tenant.goskope.com", "tenant.eu.goskope.com", "Tenant.GoSkope.com"] {
        Endpoint::tenant(good).unwrap();
    }
    for bad in ["", "tenant", "https://tenant.goskope.com", "tenant.goskope.com/x", "a@b.com", "a.com:8443", "a b.com"]
    {
        Endpoint::tenant(bad).unwrap_err();
    }
    for good in ["https://proxy.example/netskope", "http://127.0.0.1:8080", "http://[::1]:8080"] {
        Endpoint::url(good).unwrap();
    }
    for bad in ["http://tenant.goskope.com", "http://10.0.0.1", "http://localhost:1", "ftp://a.com", "nonsense"] {
        Endpoint::url(bad).unwrap_err();
    }
}

#[test]
fn the_page_size_is_held_to_the_apis_range() {
    for page_size in [0, 10_000] {
        let endpoint = Endpoint::tenant("tenant.goskope.com").unwrap();
        let made = Client::new(endpoint, SecretString::from(TOKEN), options(page_size));
        assert!(matches!(made, Err(Error::PageSize(found)) if found == page_size));
    }
}
