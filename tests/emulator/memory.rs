//! The memory of the Lambdas, as processes of their own, under the worst that can come in: pages of Netskope's for the
//! poller, batches for a rule. It is held against what Terraform gives them.
//!
//! The binaries of a test build hold more than those of a release, so what has room here has room there.

use std::fs;
use std::time::Duration;

use remediation::{Batch, BatchId, Finding, Region, RunId};
use serde_json::{Value, json};
use testkit::lambda::Invocation;
use testkit::netskope::row;
use testkit::paths;
use wiremock::matchers::{method, path, path_regex, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const CONTROL: &str = "Ensure S3 Bucket is not publicly accessible.";
const ACCOUNT: &str = "222222222222";
const MEBIBYTE: u64 = 1024 * 1024;
/// The longest time for one invocation: a test build is slow.
const WITHIN: Duration = Duration::from_secs(250);
/// The most bytes that a Lambda can answer with.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const MOST_OF_ANSWER: usize = 6 * 1024 * 1024;

/// What STS says to who may not assume a role.
const REFUSED: &str = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";

/// What Terraform gives the poller and the Lambda of a rule, in bytes.
fn configured() -> [u64; 2] {
    let text = fs::read_to_string(paths::repository().join("terraform/modules/central/main.functions.tf")).unwrap();
    let sizes = text.lines().filter_map(|line| line.trim().strip_prefix("memory_size"));
    let sizes: Vec<u64> = sizes.filter_map(|size| size.trim_start_matches([' ', '=']).parse().ok()).collect();
    let [poller, rule] = sizes[..] else { panic!("{sizes:?}") };
    [poller, rule].map(|size| size * MEBIBYTE)
}

/// A stand-in for the AWS APIs that a Lambda calls: the token, a bucket of this one batch, and no role to be assumed.
async fn aws(batch: Vec<u8>) -> MockServer {
    let server = MockServer::builder().start().await;
    let token = json!({"SecretString": TOKEN, "Name": "token", "ARN": "arn"});
    let answers = [
        (Mock::given(method("GET")).and(path_regex("/policy.json$")), ResponseTemplate::new(200).set_body_string("{}")),
        (Mock::given(method("GET")).and(path_regex("/findings/")), ResponseTemplate::new(200).set_body_bytes(batch)),
        (
            Mock::given(method("GET")).and(query_param("list-type", "2")),
            ResponseTemplate::new(200)
                .set_body_string("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"),
        ),
        (
            Mock::given(method("GET")),
            ResponseTemplate::new(404).set_body_string("<Error><Code>NoSuchKey</Code></Error>"),
        ),
        (Mock::given(method("PUT")), ResponseTemplate::new(200)),
        (Mock::given(method("POST")).and(wiremock::matchers::header_exists("x-amz-target")), {
            ResponseTemplate::new(200).set_body_json(token)
        }),
        (Mock::given(method("POST")), ResponseTemplate::new(403).set_body_string(REFUSED)),
    ];
    for (mock, answer) in answers {
        mock.respond_with(answer.insert_header("ETag", "\"1\"")).mount(&server).await;
    }
    server
}

/// What an invocation held at most, in bytes, and what it answered.
async fn invoke(binary: &str, environment: &[(&str, &str)], event: Value) -> (u64, Value) {
    let binary = paths::binary(binary).unwrap();
    let environment = [
        &[
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("BUCKET", "bucket"),
            ("BUCKET_OWNER", "111111111111"),
            ("METRICS_NAMESPACE", "autoremediate"),
            ("POLICY_DIGEST", "digest"),
            ("REGIONS", "us-east-1"),
            ("HOME_REGION", "us-east-1"),
            ("RUST_LOG", "warn"),
        ],
        environment,
    ]
    .concat();
    let timeout = Duration::from_secs(900);
    let mut lambda = Invocation::start(&binary, &environment, &event, "request", timeout).await.unwrap();
    let answer = lambda.answer(WITHIN).await.unwrap().unwrap_or_else(|error| error);
    let memory = lambda.peak_memory().unwrap();
    lambda.kill().await.unwrap();
    assert!(answer.to_string().len() < MOST_OF_ANSWER / 10, "{}", answer.to_string().len());
    (memory, answer)
}

/// A poll of what Netskope's stand-in serves.
async fn poll(netskope: &MockServer) -> (u64, Value) {
    let aws = aws(Vec::new()).await;
    let environment = [
        ("AWS_ENDPOINT_URL", &*aws.uri()),
        ("NETSKOPE_TENANT", "tenant.goskope.com"),
        ("NETSKOPE_ENDPOINT", &netskope.uri()),
        ("TOKEN_SECRET_ARN", "secret"),
    ];
    invoke("poller", &environment, json!({"rule": "s3-public-bucket"})).await
}

/// A stand-in for Netskope whose first page is this, and whose second is the end.
async fn netskope(first: impl Into<Vec<u8>>) -> MockServer {
    let (server, first) = (MockServer::start().await, first.into());
    let page = ResponseTemplate::new(200).set_body_bytes(first);
    Mock::given(query_param("skip", "0")).respond_with(page).mount(&server).await;
    let end = ResponseTemplate::new(200).set_body_json(json!({"status": "success", "data": []}));
    Mock::given(path("/api/v1/security_assessment")).respond_with(end).mount(&server).await;
    server
}

fn page(rows: &str) -> Vec<u8> {
    format!(r#"{{"status":"success","data":[{rows}]}}"#).into()
}

/// So many bytes of JSON that would be many times as long as values.
fn junk(bytes: usize) -> String {
    format!("[{}]", ["[]"].repeat(bytes / 3).join(","))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_poller_holds_the_worst_page_in_half_of_its_memory() {
    let [poller, _] = configured();
    // A little less than a page can have.
    let most = 8 * 1024 * 1024 - 4096;
    let within_string =
        |bytes: Vec<u8>| [b"{\"status\":\"success\",\"data\":[{\"account_id\":\"", &bytes[..], b"\"}]}"].concat();
    let many = |text: &str| page(&vec![text; (most / (text.len() + 1)).min(9_999)].join(","));
    let long = json!({"account_id": ACCOUNT, "region_name": "global", "muted": "x".repeat(700)}).to_string();
    let nested = format!(r#"{{"account_id":{0},"region_name":{0},"resource_id":{0},"muted":{0}}}"#, junk(16_000));
    for (name, body) in [
        ("no byte of it is text", within_string(vec![0xff; most])),
        ("control characters alone", within_string(vec![1; most])),
        ("rows of nothing", many("0")),
        ("rows that are all invalid", many(&long)),
        ("rows of values within values", many(&nested)),
        ("one row that is a whole page", page(&format!(r#"{{"account_id":{}}}"#, junk(most)))),
        ("an error that is a whole page", format!(r#"{{"status":"error","errors":{}}}"#, junk(most)).into()),
        ("more rows than a page can have", format!(r#"{{"status":"success","data":{}}}"#, junk(most)).into()),
    ] {
        let (memory, answer) = poll(&netskope(body).await).await;
        println!("{name}: {} MiB, {answer:.200}", memory / MEBIBYTE);
        let text = answer.to_string();
        assert!(
            !text.contains("s3:") && !text.contains("secretsmanager:"),
            "{name}: the list was not read: {text:.300}"
        );
        assert!(memory < poller / 2, "{name}: {} MiB", memory / MEBIBYTE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_poller_has_room_for_a_long_list_of_the_longest_names() {
    let [poller, _] = configured();
    const ROWS: usize = 12_000;
    let netskope = MockServer::start().await;
    let listed = |request: &Request| {
        let query: std::collections::HashMap<_, _> = request.url.query_pairs().into_owned().collect();
        let number = |name: &str| query[name].parse::<usize>().unwrap();
        let (skip, limit) = (number("skip"), number("limit"));
        // No two are of one account, so that as many wait as may.
        let rows = (skip..ROWS.min(skip + limit)).map(|n| {
            let account = format!("{:012}", n + 1);
            row(CONTROL, &account, "us-east-1", &format!("{n:0>2048}"))
        });
        let data: Vec<_> = rows.collect();
        ResponseTemplate::new(200).set_body_json(json!({"status": "success", "data": data}))
    };
    Mock::given(path("/api/v1/security_assessment")).respond_with(listed).mount(&netskope).await;
    let (memory, answer) = poll(&netskope).await;
    println!("a long list: {} MiB, {answer:.300}", memory / MEBIBYTE);
    assert_eq!(answer["kept"], ROWS, "{answer}");
    assert!(memory < poller * 3 / 4, "{} MiB", memory / MEBIBYTE);
}

/// A batch of these findings.
fn batch(id: &BatchId, names: impl IntoIterator<Item = String>) -> Vec<u8> {
    let finding = |resource| Finding {
        control: CONTROL.into(),
        account: ACCOUNT.parse().unwrap(),
        region: Region::code("us-east-1"),
        resource,
        first_seen: None,
        last_scanned: None,
    };
    Batch::new(id.clone(), names.into_iter().map(finding).collect()).to_ndjson().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_has_room_for_the_worst_batch() {
    let [_, rule] = configured();
    let id = BatchId { rule: "s3-public-bucket".into(), run: RunId::start(), batch: 1 };
    let named =
        |count: usize, length: usize| batch(&id, (0..count).map(|n| format!("{n:04}{}", "x".repeat(length - 4))));
    let bad = [batch(&id, []), b"x\n".repeat(2 << 20)].concat();
    for (name, batch, says) in [
        ("names of a megabyte each", named(20, 1 << 20), "more than 4194304 bytes"),
        ("one name of a megabyte", named(1, 1 << 20), "its resource has 1048576 bytes"),
        ("the longest names", named(1_000, 2_048), "AccessDenied"),
        ("the most findings", named(5_000, 600), "AccessDenied"),
        ("more than the most findings", named(8_000, 8), "at most 5000 are allowed"),
        ("bad lines alone", bad[..4 << 20].to_vec(), "more lines, up to this one, are not findings"),
    ] {
        let aws = aws(batch).await;
        let environment = [
            ("AWS_ENDPOINT_URL", &*aws.uri()),
            ("TARGET_ROLE_NAME", "autoremediate-s3-public-bucket"),
            ("EXTERNAL_ID", "external-id"),
        ];
        let (memory, answer) =
            invoke("s3-public-bucket", &environment, crate::crash::event("bucket", &id.findings_key())).await;
        println!("{name}: {} MiB, {answer:.300}", memory / MEBIBYTE);
        assert!(memory < rule * 3 / 8, "{name}: {} MiB", memory / MEBIBYTE);
        let requests = aws.received_requests().await.unwrap();
        let report = requests.iter().rfind(|request| request.url.path().contains("/reports/")).unwrap();
        let report = String::from_utf8_lossy(&report.body);
        assert!(report.contains(says), "{name}: {report:.2000}");
    }
}
