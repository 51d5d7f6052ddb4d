//! The client against a server that behaves, and against every way in which one does not.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use network::{Network, Proxies};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::{Carrier, Client, Endpoint, Options, Transport, http};
use crate::{Error, Filter, InvalidItem, Pace, Page, PageError, Skipped, Violations};

/// With characters that a URL encodes, so that both forms have to stay hidden.
const TOKEN: &str = "s3cret/tok en+2f6b==";
const ENCODED: [&str; 2] = ["s3cret%2Ftok+en%2B2f6b%3D%3D", "s3cret%2Ftok%20en%2B2f6b%3D%3D"];
const RULE: &str = "Ensure S3 Bucket is not publicly accessible.";

fn options(page_size: u32) -> Options {
    let (timeout, retry_delay) = (Duration::from_millis(500), Duration::from_millis(1));
    Options { page_size, timeout, retries: 2, retry_delay, ..Options::default() }
}

fn client(address: &str, page_size: u32) -> Client {
    Client::new(Endpoint::url(address).unwrap(), SecretString::from(TOKEN), options(page_size)).unwrap()
}

/// The list of a client, with more time than a test takes.
fn list(client: &Client) -> Violations {
    client.violations(RULE, 1_700_000_000, Instant::now() + Duration::from_secs(60))
}

async fn pages(client: &Client) -> Result<Vec<Page>, Error> {
    let (mut list, mut pages) = (list(client), Vec::new());
    while let Some(page) = list.next().await? {
        pages.push(page);
    }
    Ok(pages)
}

/// The first page alone: not all of these servers have an end.
async fn first(client: &Client) -> Result<Vec<Page>, Error> {
    Ok(list(client).next().await?.into_iter().collect())
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
    for (skip, count) in [("0", 2), ("2", 2), ("4", 1), ("5", 0)] {
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

/// A server of these rows that gives as many from `skip` on as `slice` says.
async fn serving(
    rows: Vec<Value>,
    slice: impl Fn(usize, usize) -> std::ops::Range<usize> + Send + Sync + 'static,
) -> MockServer {
    let server = MockServer::start().await;
    let answer = move |request: &Request| {
        let number = |name: &str| {
            let mut query = request.url.query_pairs();
            query.find(|(key, _)| key == name).unwrap().1.parse::<usize>().unwrap()
        };
        let of = slice(number("skip"), number("limit"));
        ok(json!({"status": "success", "msg": "", "data": rows[of.start.min(rows.len())..of.end.min(rows.len())]}))
    };
    Mock::given(method("GET")).respond_with(answer).mount(&server).await;
    server
}

fn numbered(count: usize) -> Vec<Value> {
    rows(0, count)["data"].as_array().unwrap().clone()
}

fn received(pages: &[Page]) -> Vec<usize> {
    pages.iter().map(|page| page.received).collect()
}

#[tokio::test]
async fn a_page_shorter_than_asked_for_is_not_the_end() {
    // At most two a page, whatever was asked for.
    let server = serving(numbered(5), |skip, limit| skip..skip + limit.min(2)).await;
    let pages = pages(&client(&server.uri(), 1_000)).await.unwrap();
    assert_eq!(received(&pages), [2, 2, 1]);
    let resources: Vec<_> = pages.iter().flat_map(|page| &page.violations).map(|of| of.resource.as_str()).collect();
    assert_eq!(resources, ["r0", "r1", "r2", "r3", "r4"]);
}

#[tokio::test]
async fn a_page_longer_than_asked_for_is_read_whole() {
    let server = serving(numbered(5), |skip, _| skip..5).await;
    assert_eq!(received(&pages(&client(&server.uri(), 2)).await.unwrap()), [5]);
}

#[tokio::test]
async fn a_list_that_repeats_itself_ends_with_an_error_that_names_the_page() {
    type Slice = fn(usize, usize) -> std::ops::Range<usize>;
    // `skip` is not heeded; it is held to the last page; it goes round.
    let cases: [(Slice, usize); 3] = [
        (|_, limit| 0..limit, 2),
        (|skip, limit| skip.min(2)..skip.min(2) + limit, 3),
        (|skip, limit| skip % 4..skip % 4 + limit, 3),
    ];
    for (slice, page) in cases {
        let server = serving(numbered(4), slice).await;
        let client = client(&server.uri(), 2);
        let error = pages(&client).await.unwrap_err();
        assert!(
            error.to_string().starts_with(&format!("cannot read page {page} of the violations of `{RULE}`: ")),
            "{error}"
        );
        assert!(matches!(page_error(Err(error)), PageError::Repeats));
        assert_eq!(requests(&server).await, page);
    }
}

#[tokio::test]
async fn rows_that_come_on_two_pages_are_an_error_after_all_of_the_list_was_read() {
    // Behind the first page the list has moved by one row.
    let slice = |skip: usize, limit| skip.saturating_sub(1)..skip.saturating_sub(1) + limit;
    let server = serving(numbered(6), slice).await;
    let (client, mut read) = (client(&server.uri(), 3), Vec::new());
    let mut list = list(&client);
    let error = loop {
        match list.next().await {
            Ok(page) => read.push(page.expect("an error at the end").received),
            Err(error) => break error,
        }
    };
    assert_eq!(read, [3, 3, 1]);
    assert!(matches!(page_error(Err(error)), PageError::Overlaps(1)));
    assert!(list.next().await.unwrap().is_none(), "the list must end after an error");
}

#[tokio::test]
async fn the_same_row_twice_on_one_page_and_the_same_junk_on_two_are_no_repetition() {
    let row = &numbered(1)[0];
    let listed = vec![row.clone(), row.clone(), json!(null), json!(null), numbered(3)[2].clone()];
    let server = serving(listed, |skip, limit| skip..skip + limit).await;
    assert_eq!(received(&pages(&client(&server.uri(), 3)).await.unwrap()), [3, 2]);
}

#[tokio::test]
async fn a_list_that_never_ends_is_an_error_by_its_pages_and_by_its_rows() {
    for (max_pages, max_rows) in [(2, 1_000), (1_000, 8)] {
        let server = MockServer::start().await;
        let answer = |request: &Request| {
            let skip = request.url.query_pairs().find(|(name, _)| name == "skip").unwrap().1.parse().unwrap();
            ok(rows(skip, 4))
        };
        Mock::given(method("GET")).respond_with(answer).mount(&server).await;
        let options = Options { max_pages, max_rows, ..options(4) };
        let client = Client::new(Endpoint::url(&server.uri()).unwrap(), SecretString::from(TOKEN), options).unwrap();
        let error = page_error(pages(&client).await);
        assert!(matches!(error, PageError::Endless { pages: 3, rows: 12 }), "{error:?}");
    }
}

#[tokio::test]
async fn a_list_that_takes_longer_than_there_is_time_for_is_an_error_in_time() {
    let slow = ok(rows(0, 1)).set_delay(Duration::from_secs(60));
    let server = always(slow).await;
    let options = Options { timeout: Duration::from_secs(60), ..options(4) };
    let client = Client::new(Endpoint::url(&server.uri()).unwrap(), SecretString::from(TOKEN), options).unwrap();
    let started = Instant::now();
    let mut list = client.violations(RULE, 0, started + Duration::from_millis(300));
    let error = page_error(list.next().await.map(|_| Vec::new()));
    assert!(matches!(error, PageError::OutOfTime { pages: 0, rows: 0 }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[tokio::test]
async fn rows_to_leave_alone_are_counted_by_the_reason() {
    let mut body = rows(0, 6);
    for (row, (name, value)) in [
        ("muted", "Yes"),
        ("status", "Passed"),
        ("rule_name", "another"),
        ("cloud_provider", "azure"),
        ("is_auto_remediation", "true"),
    ]
    .into_iter()
    .enumerate()
    {
        body["data"][row][name] = json!(value);
    }
    let server = always(ok(body)).await;
    let pages = first(&client(&server.uri(), 9)).await.unwrap();
    let skipped = Skipped {
        not_failed: 1,
        muted: 1,
        other_rules: 1,
        other_clouds: 1,
        remediated_by_netskope: 1,
        ..Skipped::default()
    };
    assert_eq!((pages[0].received, pages[0].violations.len(), pages[0].skipped), (6, 1, skipped));
    assert_eq!(pages[0].violations[0].position, 6);
}

#[tokio::test]
async fn one_bad_row_costs_itself_alone_whatever_is_in_it() {
    let good = r#"{"account_id":"222222222222","region_name":"global","resource_id":"good"}"#;
    let named = |id: &[u8]| {
        let row = br#"{"account_id":"222222222222","region_name":"global","resource_id":"ID"}"#;
        let at = row.windows(2).rposition(|of| of == b"ID").unwrap();
        [&row[..at], id, &row[at + 2..]].concat()
    };
    let deep = format!(r#"{{"account_id":{}1{}}}"#, "[".repeat(9_999), "]".repeat(9_999));
    for bad in [
        named(b"a\xffb"),
        named(b"a\xe2\x82"),
        named(b"a\x00b"),
        named(b"a\x1b[31mb"),
        named(br"a\x41"),
        named(br"\ud800"),
        named(&b"x".repeat(1 << 20)),
        b"null".to_vec(),
        b"[1, 2]".to_vec(),
        b"17".to_vec(),
        br#""text""#.to_vec(),
        b"{}".to_vec(),
        deep.into_bytes(),
    ] {
        let body =
            [br#"{"status":"success","data":["#, good.as_bytes(), b",", &bad, b",", good.as_bytes(), b"]}"].concat();
        let server = always(ResponseTemplate::new(200).set_body_raw(body, "application/json")).await;
        let pages = first(&client(&server.uri(), 9)).await.unwrap();
        let shown = String::from_utf8_lossy(&bad).chars().take(99).collect::<String>();
        assert_eq!((pages[0].received, pages[0].violations.len(), pages[0].invalid.len()), (3, 2, 1), "{shown}");
        let InvalidItem { position, reason } = &pages[0].invalid[0];
        assert_eq!(*position, 2, "{shown}");
        assert!(reason.chars().count() <= 301 && !reason.contains(char::is_control), "{shown}: {reason}");
    }
}

#[tokio::test]
async fn what_is_written_otherwise_but_says_the_same_is_read() {
    let rows = rows(0, 1)["data"].to_string();
    for (body, received) in [
        (format!("\u{feff}{{\"status\":\"success\",\"data\":{rows}}}"), 1),
        (format!(r#"{{"status":"Success","errors":null,"errorCode":null,"msg":null,"data":{rows}}}"#), 1),
        (format!(r#"{{"status":"success","errors":[],"errorCode":0,"warnings":{{}},"data":{rows}}}"#), 1),
        (format!(r#"{{"status":"success","errors":"","msg":7,"data":{rows}}}"#), 1),
        (r#"{"status":"success","data":null}"#.to_owned(), 0),
    ] {
        let server = always(ResponseTemplate::new(200).set_body_string(&body)).await;
        let pages = first(&client(&server.uri(), 9)).await.unwrap();
        assert_eq!(pages.iter().map(|page| page.violations.len()).sum::<usize>(), received, "{body}");
    }
}

#[tokio::test]
async fn what_the_api_says_of_an_error_is_told_in_whatever_form_it_comes() {
    for (body, says) in [
        (json!({"status": "error", "errorCode": 1234, "errors": ["first", 2]}), "1234: first: 2"),
        (json!({"status": "error", "errorCode": null, "errors": "the only one"}), "the only one"),
        (json!({"status": "error", "errors": null, "msg": "said so"}), "said so"),
        (json!({"status": "error", "errors": {"code": 7}}), r#"{"code":7}"#),
        (json!({"status": 500, "errors": ["a\u{1b}[31m"]}), "a\\u{1b}[31m"),
        (json!({"status": "error", "errors": null}), "it gave no reason"),
    ] {
        let server = always(ok(body.clone())).await;
        let error = page_error(pages(&client(&server.uri(), 9)).await);
        assert!(matches!(&error, PageError::Api(said) if said == says), "{body}: {error:?}");
    }
    let server = always(ok(json!({"status": "error", "errorCode": 403, "errors": "Invalid token"}))).await;
    assert!(matches!(page_error(pages(&client(&server.uri(), 9)).await), PageError::Refused(_)));
}

#[tokio::test]
async fn a_page_that_is_too_large_is_asked_for_with_fewer_rows() {
    // A row has some hundred bytes, and one of them many more.
    let mut listed = numbered(40);
    listed[20]["resource_id"] = json!("x".repeat(3_000));
    let server = serving(listed, |skip, limit| skip..skip + limit).await;
    let options = Options { max_page_bytes: 4_000, ..options(100) };
    let client = Client::new(Endpoint::url(&server.uri()).unwrap(), SecretString::from(TOKEN), options).unwrap();
    let pages = pages(&client).await.unwrap();
    assert_eq!(received(&pages).iter().sum::<usize>(), 40);
    let invalid: Vec<_> = pages.into_iter().flat_map(|page| page.invalid).collect();
    assert_eq!(invalid.len(), 1);
    assert!(invalid[0].position == 21 && invalid[0].reason.contains("3000 bytes"), "{invalid:?}");
}

#[tokio::test]
async fn junk_that_would_take_many_times_its_length_is_not_read() {
    let junk = |count: usize| format!("[{}]", ["[]"].repeat(count).join(","));
    let page = |data: &str| format!(r#"{{"status":"success","data":{data}}}"#);
    for (body, is_page) in [
        (page(&junk(10_000)), false),
        (page(&junk(9_999)), true),
        (format!(r#"{{"status":{}}}"#, junk(1 << 18)), false),
        (format!(r#"{{"status":"error","errors":{},"msg":{}}}"#, junk(1 << 18), junk(1 << 18)), false),
    ] {
        let server = always(ResponseTemplate::new(200).set_body_string(body)).await;
        let read = first(&client(&server.uri(), 9)).await;
        assert_eq!(read.is_ok(), is_page, "{read:?}");
        assert!(read.err().is_none_or(|error| error.to_string().chars().count() < 1_000));
    }
    let row = format!(r#"[{{"account_id":{},"resource_id":"r"}}]"#, junk(1 << 18));
    let server = always(ResponseTemplate::new(200).set_body_string(page(&row))).await;
    let pages = first(&client(&server.uri(), 9)).await.unwrap();
    assert!(pages[0].invalid[0].reason.starts_with("its account_id has 786433 bytes of JSON"), "{pages:?}");
}

#[tokio::test]
async fn a_row_that_is_larger_than_a_page_can_be_is_an_error() {
    let server = always(ok(rows(0, 100))).await;
    let options = Options { max_page_bytes: 2_000, ..options(100) };
    let client = Client::new(Endpoint::url(&server.uri()).unwrap(), SecretString::from(TOKEN), options).unwrap();
    assert!(matches!(page_error(pages(&client).await), PageError::TooLarge { most: 2_000, rows: 1 }));
    assert_eq!(requests(&server).await, 3);
}

#[tokio::test]
async fn asks_at_most_four_times_a_second() {
    let server = serving(numbered(5), |skip, limit| skip..skip + limit).await;
    let started = Instant::now();
    let client = client(&server.uri(), 1);
    let mut list = list(&client);
    for _ in 0..5 {
        list.next().await.unwrap().unwrap();
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
    let mut list = list(&client);
    assert_eq!(list.next().await.unwrap().unwrap().received, 1);
    let error = list.next().await.unwrap_err();
    assert!(error.to_string().starts_with("cannot read page 2 of the violations of `Ensure S3"), "{error}");
    assert!(list.next().await.unwrap().is_none(), "the list must end after an error");
}

#[tokio::test]
async fn transient_statuses_are_tried_again() {
    for status in [429, 500, 502, 503, 504] {
        let server = MockServer::start().await;
        let sick = ResponseTemplate::new(status).set_body_string(format!("sorry {TOKEN}"));
        Mock::given(method("GET")).respond_with(sick).up_to_n_times(2).mount(&server).await;
        Mock::given(method("GET")).respond_with(ok(rows(0, 1))).mount(&server).await;
        assert_eq!(first(&client(&server.uri(), 9)).await.unwrap()[0].received, 1, "{status}");
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
    first(&client(&server.uri(), 9)).await.unwrap();
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

/// An address at which nothing listens.
async fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn an_address_at_which_nothing_ever_answered_fails_within_seconds_and_says_what_to_look_at() {
    let plain = MockServer::start().await;
    let endpoints = [
        Endpoint::tenant("no-such-tenant.invalid").unwrap(),
        Endpoint::url(&format!("http://{}", closed().await)).unwrap(),
        // Not the one that is named: what answers there has no certificate of its name.
        Endpoint::url(&format!("https://{}", plain.address())).unwrap(),
    ];
    for endpoint in endpoints {
        let started = Instant::now();
        let client = Client::new(endpoint, SecretString::from(TOKEN), Options::default()).unwrap();
        let error = pages(&client).await.unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}: {error}", started.elapsed());
        let said = error.to_string();
        let parts = ["cannot be reached", "netskope_tenant", client.url.host_str().unwrap()];
        assert!(error.is_unreachable() && parts.iter().all(|part| said.contains(part)), "{said}");
        assert!(matches!(page_error(Err(error)), PageError::Unreachable { .. }));
    }
}

#[tokio::test]
async fn an_api_that_has_answered_and_is_gone_for_a_moment_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = |body: Value| {
        let body = body.to_string();
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let one = |listener: TcpListener, answer: String| async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let _ = connection.read(&mut [0; 4096]).await.unwrap();
        connection.write_all(answer.as_bytes()).await.unwrap();
    };
    let options = Options { retries: 9, retry_delay: Duration::from_millis(200), ..options(1) };
    let endpoint = Endpoint::url(&format!("http://{address}")).unwrap();
    let client = Client::new(endpoint, SecretString::from(TOKEN), options).unwrap();
    let mut list = list(&client);
    let (page, ()) = tokio::join!(list.next(), one(listener, answer(rows(0, 1))));
    assert_eq!(page.unwrap().unwrap().received, 1);
    let back = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        one(TcpListener::bind(address).await.unwrap(), answer(rows(1, 0))).await;
    };
    let (end, ()) = tokio::join!(list.next(), back);
    assert!(end.unwrap().is_none());
}

#[tokio::test]
async fn an_invalid_row_is_reported_with_its_position_and_the_rest_goes_on() {
    let mut body = rows(0, 4);
    body["data"][1] = json!({"region_name": TOKEN});
    body["data"][2] = json!("no object");
    let server = always(ok(body)).await;
    let pages = first(&client(&server.uri(), 9)).await.unwrap();
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

#[tokio::test]
async fn a_profile_and_a_policy_go_into_the_query_as_they_are_called() {
    let server = always(ok(rows(0, 0))).await;
    let filter = Filter { profile: Some("CIS & more=1 #2 %41/ä".into()), policy: Some("a+b token=x".into()) };
    assert!(list(&client(&server.uri(), 9)).filtered(filter.clone()).next().await.unwrap().is_none());
    let requests = server.received_requests().await.unwrap();
    let of = |name: &str| {
        let mut values =
            requests[0].url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        (values.next(), values.next())
    };
    assert_eq!((of("profile_name"), of("policy_name")), ((filter.profile, None), (filter.policy, None)));
    assert_eq!(of("token"), (Some(TOKEN.to_owned()), None));
    first(&client(&server.uri(), 9)).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    assert!(requests[1].url.query_pairs().all(|(key, _)| key != "profile_name" && key != "policy_name"));
}

/// The client for an address that is reached by the proxies of this environment.
fn behind(environment: &[(&str, String)], address: &str) -> Client {
    let value = |name: &str| environment.iter().find(|(of, _)| *of == name).map(|(_, value)| value.into());
    let network = Network { proxies: Proxies::of(value).unwrap(), ca_bundle: None };
    let http = http(&network, options(10).timeout).unwrap();
    let carrier = Carrier::Network { http, proxies: Arc::new(network.proxies) };
    Client { carrier, ..client(address, 10) }
}

#[tokio::test]
async fn a_proxy_sees_the_tenants_name_and_never_the_token() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = tokio::spawn(async move {
        let (mut proxy, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 4096];
        let length = proxy.read(&mut head).await.unwrap();
        proxy.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        String::from_utf8(head[..length].to_vec()).unwrap()
    });
    let proxy = [("HTTPS_PROXY", format!("http://me:hunter%402@{address}"))];
    let error = page_error(first(&behind(&proxy, "https://tenant.goskope.com")).await);
    let PageError::Unconnected(failure) = &error else { panic!("{error:?}") };
    assert!(failure.is_permanent() && !error.is_transient());
    let text = error.to_string();
    for part in [&*address.to_string(), "tenant.goskope.com", "HTTP 407", "HTTPS_PROXY"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("hunter"), "{text}");
    let head = asked.await.unwrap();
    assert!(head.starts_with("CONNECT tenant.goskope.com:443 HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("proxy-authorization: basic bwu6ahvudgvyqdi="), "{head}");
    hides_token(&head);
}

#[tokio::test]
async fn a_plain_address_is_never_asked_of_a_proxy_which_would_see_the_token() {
    let server = always(ok(rows(0, 0))).await;
    let proxy = MockServer::start().await;
    let proxies = [("HTTP_PROXY", proxy.uri()), ("HTTPS_PROXY", proxy.uri())];
    first(&behind(&proxies, &server.uri())).await.unwrap();
    assert_eq!((requests(&server).await, requests(&proxy).await), (1, 0));
}

#[tokio::test]
async fn exceptions_are_reached_without_the_proxy() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = MockServer::start().await;
    let proxies = [("HTTPS_PROXY", proxy.uri()), ("NO_PROXY", format!("goskope.com,{free}"))];
    let error = page_error(first(&behind(&proxies, &format!("https://{free}"))).await);
    assert!(matches!(&error, PageError::Unreachable { .. }) && error.to_string().contains("refused"), "{error:?}");
    assert_eq!(requests(&proxy).await, 0);
}

/// Notes when requests come, and fails each second one.
#[derive(Debug, Default)]
struct Noting(Mutex<Vec<Instant>>);

impl Transport for Noting {
    fn send(
        &self,
        _: reqwest::Request,
    ) -> Pin<Box<dyn Future<Output = Result<reqwest::Response, String>> + Send + '_>> {
        let mut came = self.0.lock().unwrap();
        came.push(Instant::now());
        let (status, rows) = if came.len().is_multiple_of(2) { (503, 0) } else { (200, usize::from(came.len() < 7)) };
        let body = self::rows(came.len(), rows).to_string();
        Box::pin(async move { Ok(http::Response::builder().status(status).body(body).unwrap().into()) })
    }
}

/// Lets so many requests through, a second apart.
#[derive(Debug)]
struct Turnstile(Mutex<usize>);

impl Pace for Turnstile {
    fn turn(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        let left = std::mem::replace(&mut *self.0.lock().unwrap(), 0);
        *self.0.lock().unwrap() = left.saturating_sub(1);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if left > 0 { Ok(()) } else { Err("the turnstile is shut".into()) }
        })
    }
}

/// A request that is tried again is one more.
#[tokio::test(start_paused = true)]
async fn each_request_waits_for_its_turn_and_none_is_sent_without() {
    let noting = Arc::new(Noting::default());
    let endpoint = Endpoint::tenant("example.goskope.com").unwrap().over(noting.clone());
    let client = Client::new(endpoint, SecretString::from(TOKEN), options(1)).unwrap();
    let error = page_error(pages(&client.paced_by(Arc::new(Turnstile(Mutex::new(5))))).await);
    assert!(matches!(&error, PageError::NoTurn(why) if why == "the turnstile is shut") && !error.is_transient());
    let came = noting.0.lock().unwrap().clone();
    let apart: Vec<_> = came.windows(2).map(|two| (two[1] - two[0]).as_millis()).collect();
    assert!(came.len() == 5 && apart.iter().all(|millis| *millis >= 1_000), "{apart:?}");
}
