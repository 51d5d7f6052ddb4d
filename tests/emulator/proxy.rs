//! A network that lets nothing out but by a proxy, which may inspect TLS: its CA is the one that signed the emulator's
//! certificate. The command line on the emulator, and each kind of Lambda as far as it gets without one.

use std::time::Duration;

use rules::s3_public_bucket::S3PublicBucket;
use serde_json::{Value, json};
use testkit::emulator::{Emulator, Kind, Tls, Transport};
use testkit::lambda::Invocation;
use testkit::organization::Organization;
use testkit::paths;
use testkit::proxy::{Manner, Proxy};
use wiremock::matchers::{method, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::command_line::Desk;
use crate::crash::event;

/// A user name and a password as a proxy's address holds them, and as they are sent: me, hunter@2.
const CREDENTIALS: (&str, &str) = ("me:hunter%402", "Basic bWU6aHVudGVyQDI=");

/// The emulator that all tests share, if it listens for TLS, or one that does.
async fn emulator(own: &mut Option<Emulator>) -> &Emulator {
    let shared = Emulator::shared().await.unwrap();
    if shared.tls().is_some() {
        return shared;
    }
    own.insert(Emulator::start_with(Kind::Process, Transport::Tls).await.unwrap())
}

fn detail(shown: &Value) -> &str {
    shown["reports"][0]["report"]["findings"][0]["detail"].as_str().unwrap_or_default()
}

fn outcome(shown: &Value) -> &str {
    shown["reports"][0]["report"]["findings"][0]["outcome"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_the_command_line_goes_through_the_proxy_and_none_of_an_exception() {
    let mut own = None;
    let emulator = emulator(&mut own).await;
    let Tls { url, .. } = emulator.tls().unwrap().clone();
    let host = url.strip_prefix("https://").unwrap();
    let proxy = Proxy::start(Manner::AsksFor(CREDENTIALS.1.to_owned())).await.unwrap();
    let of = Organization::new::<S3PublicBucket>(emulator).await.unwrap();
    let address = format!("http://{}@{}", CREDENTIALS.0, proxy.address());
    let desk = Desk::of(of).await.with(&[("HTTPS_PROXY", &address)]);
    let bucket = desk.bucket("proxy", None).await;
    let findings = desk.findings(&desk.of.batch(&[&bucket]));

    // STS and S3: whatever is called at the emulator's address was asked of the proxy.
    let (code, shown, log) = desk.run(&["plan", "--findings", &findings]);
    assert_eq!((code, outcome(&shown)), (2, "planned"), "{shown} {log}");
    let connects = proxy.connects();
    assert!(!connects.is_empty() && connects.iter().all(|target| target == host), "{connects:?}");
    assert!(proxy.heads().iter().all(|head| head.contains(CREDENTIALS.1) && !head.contains("AWS4")), "{connects:?}");

    // Netskope's, by the same rules and the same CA. The emulator is no tenant, so all of it is 404.
    let asked = proxy.connects().len();
    let (code, shown, log) = desk.run(&["plan", "--netskope-endpoint", &url, "--rule", "s3-public-bucket"]);
    assert!(code == 1 && format!("{shown}{log}").contains("HTTP 404"), "{code} {shown} {log}");
    assert!(proxy.connects().len() > asked, "{:?}", proxy.connects());
    assert!(!format!("{:?}", proxy.heads()).contains("token"), "the proxy has seen the token");

    // Another name of the variable, and an exception with a port
    let asked = proxy.connects().len();
    let desk = desk.with(&[("https_proxy", &address), ("NO_PROXY", &format!("example.com,{host}"))]);
    let (code, shown, log) = desk.run(&["plan", "--findings", &findings]);
    assert_eq!((code, outcome(&shown)), (2, "planned"), "{shown} {log}");
    assert_eq!(proxy.connects().len(), asked, "{:?}", proxy.connects());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_through_or_trusts_the_wrong_ca_is_told_what_to_look_at() {
    let mut own = None;
    let emulator = emulator(&mut own).await;
    let of = Organization::new::<S3PublicBucket>(emulator).await.unwrap();
    let mut desk = Desk::of(of).await;
    let bucket = desk.bucket("proxy", None).await;
    let findings = desk.findings(&desk.of.batch(&[&bucket]));

    let proxy = Proxy::start(Manner::AsksFor(CREDENTIALS.1.to_owned())).await.unwrap();
    let closed = Proxy::start(Manner::Refuses).await.unwrap();
    let wrong = format!("http://me:hunter3@{}", proxy.address());
    for (address, parts) in [
        (wrong, vec![proxy.address().to_owned(), "127.0.0.1".into(), "HTTP 407".into(), "HTTPS_PROXY".into()]),
        (format!("http://{}", closed.address()), vec![format!("{} did not connect to 127.0.0.1", closed.address())]),
    ] {
        desk = desk.with(&[("HTTPS_PROXY", &address)]);
        let (_, shown, log) = desk.run(&["plan", "--findings", &findings]);
        assert_eq!(outcome(&shown), "deferred", "{shown} {log}");
        assert!(parts.iter().all(|part| detail(&shown).contains(part)), "{parts:?}: {shown}");
        assert!(!format!("{shown}{log}").contains("hunter"), "{shown} {log}");
    }

    // A CA, but of nobody here
    let other = paths::repository().join("crates/network/src/ca_bundle/ca.pem");
    let desk = desk.with(&[("HTTPS_PROXY", ""), ("AWS_CA_BUNDLE", other.to_str().unwrap())]);
    let (_, shown, log) = desk.run(&["plan", "--findings", &findings]);
    assert!(detail(&shown).contains("AWS_CA_BUNDLE must name a file"), "{shown} {log}");

    let desk = desk.with(&[("AWS_CA_BUNDLE", "/no/such/ca.pem")]);
    let (code, _, log) = desk.run(&["plan", "--findings", &findings]);
    assert!(code == 1 && log.contains("AWS_CA_BUNDLE: the certificates in /no/such/ca.pem cannot be used"), "{log}");
}

/// What a Lambda answers whose HTTPS goes through a proxy that connects nobody, with what the proxy was asked for.
async fn lambda(binary: &str, environment: &[(&str, &str)], event: Value) -> (String, Vec<String>) {
    let proxy = Proxy::start(Manner::Refuses).await.unwrap();
    let address = format!("http://{}", proxy.address());
    let common = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("BUCKET", "records"),
        ("BUCKET_OWNER", "111111111111"),
        ("POLICY_DIGEST", "digest"),
        ("REGIONS", "us-east-1"),
        ("HOME_REGION", "us-east-1"),
        ("HTTPS_PROXY", &address),
    ];
    let (binary, environment) = (paths::binary(binary).unwrap(), [&common, environment].concat());
    let timeout = Duration::from_secs(120);
    let mut lambda = Invocation::start(&binary, &environment, &event, "request", timeout).await.unwrap();
    let answer = lambda.answer(timeout).await.unwrap().unwrap_err().to_string();
    assert!(answer.contains(proxy.address()), "{answer}");
    (answer, proxy.connects())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pollers_calls_to_netskope_go_through_the_proxy() {
    // Secrets Manager and the bucket, at a plain address, for which no proxy is set
    let aws = MockServer::start().await;
    let token = json!({"SecretString": "a-token-that-must-not-be-seen", "Name": "token", "ARN": "arn"});
    let nothing = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    let missing = ResponseTemplate::new(404).set_body_string("<Error><Code>NoSuchKey</Code></Error>");
    for (mock, answer) in [
        (Mock::given(method("POST")), ResponseTemplate::new(200).set_body_json(token)),
        (Mock::given(query_param("list-type", "2")), ResponseTemplate::new(200).set_body_string(nothing)),
        (Mock::given(method("GET")), missing),
        (Mock::given(method("PUT")), ResponseTemplate::new(200).insert_header("ETag", "\"1\"")),
    ] {
        mock.respond_with(answer).mount(&aws).await;
    }
    let environment =
        [("AWS_ENDPOINT_URL", &*aws.uri()), ("NETSKOPE_TENANT", "tenant.goskope.com"), ("TOKEN_SECRET_ARN", "secret")];
    let (answer, connects) = lambda("poller", &environment, json!({"rule": "s3-public-bucket"})).await;
    assert!(!connects.is_empty() && connects.iter().all(|target| target == "tenant.goskope.com:443"), "{connects:?}");
    assert!(answer.contains("did not connect to tenant.goskope.com"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rules_calls_go_through_the_proxy() {
    let environment = [("TARGET_ROLE_NAME", "role"), ("EXTERNAL_ID", "external")];
    let key = "findings/s3-public-bucket/2026-01-01/01a228ee-b950-7db6-af09-4e7ce8e9f9f7-1.ndjson";
    let (answer, connects) = lambda("s3-public-bucket", &environment, event("records", key)).await;
    let s3 = "records.s3.us-east-1.amazonaws.com:443";
    assert!(!connects.is_empty() && connects.iter().all(|target| target == s3), "{connects:?}");
    assert!(answer.contains("did not connect to records.s3.us-east-1.amazonaws.com"), "{answer}");
}
