//! Whole polls: Netskope's stand-in at one end, a folder at the other.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_secretsmanager::operation::get_secret_value::{GetSecretValueError, GetSecretValueOutput as Secret};
use aws_smithy_mocks::{MockResponse, Rule as MockRule, RuleMode, mock, mock_client};
use netskope::Skipped;
use proptest::prelude::*;
use remediation::Batch;
use remediation::records::AwaitedClosures;
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::netskope::{FakeNetskope, POLICY, Quirks, passed, row};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use wiremock::matchers::{method, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::Rescan;

const TOKEN: &str = "s3cret/tok en+2f6b==";
const CONTROL: &str = "Ensure every door is closed.";
const SPELLING: &str = "Ensure that every door is closed";
const WINDOWS: &str = "Ensure every window is closed.";
const ACCOUNT: &str = "222222222222";
const HERE: &str = "US East (N. Virginia)";

/// A rule of two controls, the first with two spellings.
fn manifest() -> Manifest {
    let controls = json!([
        {"rule_names": [CONTROL, SPELLING], "short_name": "DOORS"},
        {"rule_names": [WINDOWS], "short_name": "WINDOWS"},
    ]);
    let value = json!({"id": "open-door", "title": "t", "service": "s", "scope": "regional", "controls": controls,
        "read": [], "write": [], "undo": [], "runbook": null,
        "docs": {"why": "w", "impact": "i", "undo": "u", "by_hand": "h"}});
    Manifest::from_json(&value.to_string()).unwrap()
}

fn poller(address: &str, page_size: u32, folder: &Path) -> Poller {
    let (timeout, retry_delay) = (Duration::from_secs(10), Duration::from_millis(1));
    Poller {
        manifests: vec![manifest()],
        records: Records::Folder(folder.into()),
        token: TokenSource::given(SecretString::from(TOKEN)),
        endpoint: Endpoint::url(address).unwrap(),
        options: Options { page_size, timeout, retries: 0, retry_delay, ..Options::default() },
        filters: Filters::default(),
        limits: Limits::default(),
        regions: Regions::new("us-east-1", "eu-west-1").unwrap(),
        event_age: None,
        deployment: None,
        organization: None,
    }
}

/// Polls, with more time than a test takes.
async fn poll(poller: &Poller) -> Result<Answer, PollError> {
    poller.poll("open-door", Instant::now() + Duration::from_secs(120)).await
}

/// The findings below a folder, batch by batch in the order of their numbers.
fn batches(folder: &Path) -> Vec<Batch> {
    let rules = std::fs::read_dir(folder.join("findings/open-door")).into_iter().flatten();
    let days = rules.flat_map(|day| std::fs::read_dir(day.unwrap().path()).unwrap());
    let read = |path| Batch::from_stored(&std::fs::read(path).unwrap(), "open-door").unwrap();
    let mut batches: Vec<_> = days.map(|file| read(file.unwrap().path())).collect();
    batches.sort_by_key(|batch| batch.id.batch);
    assert!(batches.iter().all(|batch| batch.bad_lines.is_empty()));
    batches
}

fn findings(folder: &Path) -> Vec<Finding> {
    batches(folder).into_iter().flat_map(|batch| batch.findings).collect()
}

fn resources(folder: &Path) -> Vec<String> {
    findings(folder).into_iter().map(|finding| finding.resource).collect()
}

fn page(rows: &[Value]) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({"status": "success", "msg": "", "data": rows}))
}

fn refused() -> ResponseTemplate {
    let errors = [format!("Invalid token {TOKEN}")];
    let body = json!({"status": "error", "errorCode": "Authorization Error", "errors": errors});
    ResponseTemplate::new(403).set_body_json(body)
}

async fn answer_to(server: &MockServer, parameters: &[(&str, &str)], answer: ResponseTemplate) {
    let mock = Mock::given(method("GET"));
    let mock = parameters.iter().fold(mock, |mock, (name, value)| mock.and(query_param(*name, *value)));
    mock.respond_with(answer).mount(server).await;
}

/// The log of this thread, at its most talkative.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn capture(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || log.clone());
        let lines = lines.with_filter(filter_fn(|metadata| logging::is_safe(metadata.target())));
        tracing::subscriber::set_default(tracing_subscriber::registry().with(lines))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn hides_token(text: &str) {
    let encoded = TOKEN.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    for form in [TOKEN, "s3cret%2Ftok+en%2B2f6b%3D%3D", "s3cret%2Ftok%20en%2B2f6b%3D%3D", &encoded] {
        assert!(!text.contains(form), "the token is in: {text}");
    }
}

#[tokio::test]
async fn a_row_becomes_a_finding() {
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    netskope.set_rows(vec![row(CONTROL, ACCOUNT, HERE, "h")]);
    let answer = poll(&poller(&netskope.url(), 1000, folder.path())).await.unwrap();
    let expected = Finding {
        control: CONTROL.into(),
        account: ACCOUNT.parse().unwrap(),
        region: Region::code("us-east-1"),
        resource: "h".into(),
        first_seen: Some("2025-10-09T08:53:20Z".parse().unwrap()),
        last_scanned: Some("2026-02-12T02:30:17Z".parse().unwrap()),
    };
    assert_eq!(findings(folder.path()), [expected]);
    assert_eq!((answer.received, answer.kept, answer.batches), (1, 1, 1));
    assert_eq!(batches(folder.path())[0].id.run, answer.run);
}

#[tokio::test]
async fn what_is_under_way_is_not_handed_on_again_and_is_counted() {
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    netskope.set_rows(vec![row(CONTROL, ACCOUNT, HERE, "h")]);
    let poller = Poller { event_age: Some(Duration::from_secs(60)), ..poller(&netskope.url(), 1000, folder.path()) };
    assert_eq!(poll(&poller).await.unwrap().kept, 1);
    // The same resource by another control, another resource, and one row twice.
    let rows = [(CONTROL, "h"), (CONTROL, "new"), (WINDOWS, "h"), (WINDOWS, "h")];
    netskope.set_rows(rows.map(|(control, resource)| row(control, ACCOUNT, HERE, resource)).into());
    let answer = poll(&poller).await.unwrap();
    assert_eq!((answer.received, answer.kept, answer.under_way, answer.duplicates, answer.batches), (4, 1, 2, 1, 1));
    let batches = batches(folder.path());
    for batch in &batches {
        poller.records.put_new(&batch.id.report_key(), b"{}".to_vec()).await.unwrap();
    }
    let answer = poll(&poller).await.unwrap();
    assert_eq!((answer.kept, answer.under_way), (3, 0));
}

#[tokio::test]
async fn a_poll_takes_turns_where_others_poll_the_same_tenant() {
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    let deployment = Some(TurnPlace::ALONE);
    let poller = Poller { deployment, ..poller(&netskope.url(), 1000, folder.path()) };
    poll(&poller).await.unwrap();
    let turns = poller.records.get("netskope-turns.json").await.unwrap();
    let turns: Value = serde_json::from_slice(&turns).unwrap();
    assert!(turns["slots"].as_array().is_some_and(|slots| !slots.is_empty()), "{turns}");
}

#[tokio::test]
async fn an_empty_list_makes_no_batch() {
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    let answer = poll(&poller(&netskope.url(), 1000, folder.path())).await.unwrap();
    assert_eq!((answer.received, answer.batches, batches(folder.path()).len()), (0, 0, 0));
}

#[tokio::test]
async fn every_page_of_every_control_is_of_the_same_moment() {
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    let rows = |control, count: usize| (0..count).map(move |n| row(control, ACCOUNT, HERE, &format!("{control}{n}")));
    netskope.set_rows(rows(CONTROL, 5).chain(rows(WINDOWS, 1)).collect());
    let answer = poll(&poller(&netskope.url(), 2, folder.path())).await.unwrap();
    assert_eq!((answer.received, answer.kept), (6, 6));
    let requests = netskope.requests().await;
    let pages: Vec<_> =
        requests.iter().map(|request| (request["rule_name"].as_str(), request["skip"].as_str())).collect();
    assert_eq!(
        pages,
        [(CONTROL, "0"), (CONTROL, "2"), (CONTROL, "4"), (CONTROL, "5"), (WINDOWS, "0"), (WINDOWS, "1"),]
    );
    let moments: BTreeSet<_> = requests.iter().map(|request| &request["as_of"]).collect();
    assert_eq!(moments.len(), 1);
    let as_of = jiff::Timestamp::from_second(moments.first().unwrap().parse().unwrap()).unwrap();
    assert!((jiff::Timestamp::now() - as_of).as_secs().abs() < 3600, "{as_of}");
}

#[tokio::test]
async fn a_page_has_up_to_a_thousand_rows_unless_told_otherwise() {
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    netskope.set_rows((0..1001).map(|n| row(CONTROL, ACCOUNT, HERE, &format!("h{n}"))).collect());
    let poller = Poller { options: Options::default(), ..poller(&netskope.url(), 1, folder.path()) };
    let answer = poll(&poller).await.unwrap();
    assert_eq!((answer.kept, answer.batches), (1001, 6));
    let sizes: Vec<_> = batches(folder.path()).iter().map(|batch| batch.findings.len()).collect();
    assert_eq!(sizes, [200, 200, 200, 200, 200, 1]);
    for request in netskope.requests().await {
        assert_eq!(request["limit"], "1000");
    }
}

#[tokio::test]
async fn the_same_row_on_another_page_is_a_duplicate_and_of_another_control_it_is_not() {
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    let mut again = row(CONTROL, ACCOUNT, "us-east-1", "h0");
    again["profiles"] = json!(["another"]);
    netskope.set_rows(vec![
        row(CONTROL, ACCOUNT, HERE, "h0"),
        row(CONTROL, ACCOUNT, HERE, "h1"),
        again,
        row(WINDOWS, ACCOUNT, HERE, "h0"),
    ]);
    let answer = poll(&poller(&netskope.url(), 2, folder.path())).await.unwrap();
    assert_eq!((answer.received, answer.kept, answer.duplicates), (4, 3, 1));
    assert_eq!(resources(folder.path()), ["h0", "h0", "h1"]);
}

#[tokio::test]
async fn global_findings_are_kept_only_at_home() {
    for (home, kept) in [("us-east-1", 2), ("eu-west-1", 0)] {
        let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
        netskope.set_rows(vec![row(CONTROL, ACCOUNT, "global", "alice"), row(CONTROL, ACCOUNT, "", "bob")]);
        let regions = Regions::new("us-east-1,us-west-2", home).unwrap();
        let poller = Poller { regions, ..poller(&netskope.url(), 1000, folder.path()) };
        let answer = poll(&poller).await.unwrap();
        assert_eq!((answer.kept, answer.other_regions), (kept, 2 - kept));
        assert!(findings(folder.path()).iter().all(|finding| finding.region.is_global()));
    }
}

#[tokio::test]
async fn a_deployment_of_many_regions_keeps_the_findings_of_each() {
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    let listed = [HERE, "EU(Ireland)", "EU(Frankfurt)", "global"];
    netskope.set_rows(listed.iter().enumerate().map(|(n, of)| row(CONTROL, ACCOUNT, of, &format!("h{n}"))).collect());
    let regions = Regions::new("eu-west-1,us-east-1", "us-east-1").unwrap();
    let poller = Poller { regions, ..poller(&netskope.url(), 1000, folder.path()) };
    let answer = poll(&poller).await.unwrap();
    let kept: BTreeSet<_> = findings(folder.path()).iter().map(|finding| finding.region.to_string()).collect();
    assert_eq!((answer.kept, answer.other_regions), (3, 1));
    assert_eq!(kept, ["eu-west-1", "global", "us-east-1"].map(String::from).into());
}

#[tokio::test]
async fn a_region_of_an_unknown_name_is_reported() {
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    let regions = ["Mars (Olympus Mons)", "Mars (Olympus Mons)", "Mars (Tharsis)", "eu-central-1", "mx-west-9"];
    netskope.set_rows(regions.iter().enumerate().map(|(n, of)| row(CONTROL, ACCOUNT, of, &format!("h{n}"))).collect());
    let answer = poll(&poller(&netskope.url(), 1000, folder.path())).await.unwrap();
    let unknown = [("Mars (Olympus Mons)", 2), ("Mars (Tharsis)", 1)];
    let unknown: BTreeMap<_, _> = unknown.map(|(name, count)| (name.to_owned(), count)).into();
    assert_eq!((answer.kept, answer.unknown_regions, answer.other_regions), (0, unknown, 2));
}

#[tokio::test]
async fn however_many_rows_are_of_no_use_the_answer_and_the_log_stay_short() {
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    // The longest names, and reasons.
    let unknown = (0..1_500).map(|n| row(CONTROL, ACCOUNT, &format!("Mars {n:x<250}"), "h"));
    let invalid = (0..1_500).map(|n| row(CONTROL, &format!("{n:x<250}"), HERE, "h"));
    netskope.set_rows(unknown.chain(invalid).collect());
    let log = Log::default();
    let guard = log.capture();
    let answer = poll(&poller(&netskope.url(), 1000, folder.path())).await.unwrap();
    drop(guard);
    assert_eq!((answer.unknown_regions.len(), answer.unknown_regions["(further names)"]), (51, 1_450));
    assert_eq!((answer.received, answer.invalid), (3_000, 1_500));
    assert!(serde_json::to_string(&answer).unwrap().len() < 20_000);
    let log = log.text();
    let count = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    assert_eq!((count("unknown region"), count("a row cannot be used")), (51, 100));
    assert!(log.len() < 200_000, "{}", log.len());
}

#[tokio::test]
async fn a_deployment_acts_in_a_region_that_is_newer_than_this_build() {
    // A code as AWS writes them today, and one of a form that nobody knows yet.
    for (region, upper) in [("mx-west-9", "MX-West-9"), ("mx-orbit-1", "MX-Orbit-1")] {
        let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
        let rows = [region, upper, "us-east-1"].into_iter().enumerate();
        netskope.set_rows(rows.map(|(n, of)| row(CONTROL, ACCOUNT, of, &format!("h{n}"))).collect());
        let regions = Regions::new(&format!("ap-south-1,{region}"), "us-east-1").unwrap();
        let poller = Poller { regions, ..poller(&netskope.url(), 1000, folder.path()) };
        let answer = poll(&poller).await.unwrap();
        assert_eq!((answer.kept, answer.other_regions), (2, 1));
        assert!(findings(folder.path()).iter().all(|finding| finding.region == Region::code(region)));
    }
}

#[tokio::test]
async fn a_list_that_gives_fewer_rows_a_page_than_asked_for_is_read_whole() {
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    netskope.set_quirks(Quirks { page_size: Some(5), ..Quirks::default() });
    netskope.set_rows((0..12).map(|n| row(CONTROL, ACCOUNT, HERE, &format!("h{n}"))).collect());
    let answer = poll(&poller(&netskope.url(), 1000, folder.path())).await.unwrap();
    assert_eq!((answer.received, answer.kept, resources(folder.path()).len()), (12, 12, 12));
}

#[tokio::test]
async fn rows_to_leave_alone_are_skipped_counted_and_told_in_the_log() {
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    netskope.set_quirks(Quirks { unfiltered: true, ..Quirks::default() });
    let changed = |n: usize, field: &str, value: Value| {
        let mut row = row(CONTROL, ACCOUNT, HERE, &format!("h{n}"));
        row[field] = value;
        row
    };
    netskope.set_rows(vec![
        changed(0, "muted", json!("Yes")),
        changed(1, "status", json!("Passed")),
        changed(2, "rule_name", json!("Ensure every cupboard is closed.")),
        changed(3, "cloud_provider", json!("Azure")),
        changed(4, "remediated_by", json!("somebody")),
        changed(5, "is_auto_remediation", json!(true)),
        row(CONTROL, ACCOUNT, HERE, "h6"),
    ]);
    let (log, manifest) = (Log::default(), manifest());
    let guard = log.capture();
    // One control of one name: what is not filtered comes for every name.
    let controls = vec![Control { rule_names: vec![CONTROL.into()], ..manifest.controls[0].clone() }];
    let manifests = vec![Manifest { controls, ..manifest }];
    let poller = Poller { manifests, ..poller(&netskope.url(), 1000, folder.path()) };
    let answer = poll(&poller).await.unwrap();
    drop(guard);
    let skipped = Skipped {
        not_failed: 1,
        muted: 1,
        other_rules: 1,
        other_clouds: 1,
        remediated_by_netskope: 2,
        ..Skipped::default()
    };
    assert_eq!((answer.received, answer.kept, answer.skipped), (7, 1, skipped));
    assert_eq!(resources(folder.path()), ["h6"]);
    assert!(log.text().contains(r#"remediated_by_netskope\":2"#), "{}", log.text());
}

/// A row of a door in these profiles and this policy.
fn listed(resource: &str, profiles: &[&str], policy: &str) -> Value {
    let mut row = row(CONTROL, ACCOUNT, HERE, resource);
    (row["profiles"], row["policies"]) = (json!(profiles), json!([policy]));
    row
}

fn filters(profiles: &[&str], policies: &[&str]) -> Filters {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Filters::new(owned(profiles), owned(policies)).unwrap()
}

#[tokio::test]
async fn the_lists_of_each_profile_and_policy_are_read_and_what_is_on_two_is_handed_on_once() {
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    netskope.set_rows(vec![
        listed("a", &["CIS & more"], "prod"),
        listed("b", &["CIS & more", "Bewährtes"], "prod"),
        listed("c", &["Other"], "prod"),
        listed("d", &["Bewährtes"], "test"),
    ]);
    let filters = filters(&["CIS & more", "Bewährtes"], &["prod"]);
    let poller = Poller { filters: filters.clone(), ..poller(&netskope.url(), 1000, folder.path()) };
    let answer = poll(&poller).await.unwrap();
    assert_eq!((answer.received, answer.kept, answer.duplicates), (3, 2, 1));
    assert_eq!((resources(folder.path()), answer.filters), (vec!["a".into(), "b".into()], filters));
    let requests = netskope.requests().await;
    assert!(requests.iter().all(|query| query["policy_name"] == "prod" && query.contains_key("profile_name")));
}

#[tokio::test]
async fn rows_of_other_profiles_are_left_where_the_api_ignores_the_filter() {
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    netskope.set_quirks(Quirks { unfiltered: true, ..Quirks::default() });
    let mut silent = listed("d", &[], "prod");
    silent["profiles"] = Value::Null;
    netskope.set_rows(vec![
        listed("a", &["CIS"], "prod"),
        listed("b", &["BPR"], "prod"),
        listed("c", &["CIS"], "test"),
        silent,
    ]);
    let manifest = manifest();
    let controls = vec![Control { rule_names: vec![CONTROL.into()], ..manifest.controls[0].clone() }];
    let (manifests, filters) = (vec![Manifest { controls, ..manifest }], filters(&["CIS"], &["prod"]));
    let poller = Poller { manifests, filters, ..poller(&netskope.url(), 1000, folder.path()) };
    let answer = poll(&poller).await.unwrap();
    let skipped = Skipped { other_profiles: 1, other_policies: 1, ..Skipped::default() };
    assert_eq!((answer.received, answer.kept, answer.skipped), (4, 2, skipped));
    assert_eq!(resources(folder.path()), ["a", "d"]);
}

#[tokio::test]
async fn a_filter_that_nothing_passes_is_told_because_its_name_may_be_wrong() {
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    netskope.set_rows(vec![listed("a", &["CIS"], "prod")]);
    for (filters, is_told) in [(filters(&["cis"], &[]), true), (filters(&["CIS"], &[]), false)] {
        let log = Log::default();
        let guard = log.capture();
        let poller = Poller { filters, ..poller(&netskope.url(), 1000, folder.path()) };
        poll(&poller).await.unwrap();
        drop(guard);
        assert_eq!(log.text().contains("that the tenant does not have lists none either"), is_told, "{}", log.text());
    }
}

#[tokio::test]
async fn a_rule_of_ones_own_is_polled_for_by_the_controls_of_its_event() {
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    netskope.set_rows(vec![row("Ensure that it is mine.", ACCOUNT, HERE, "m")]);
    let controls = json!([{"rule_names": ["Ensure that it is mine."], "short_name": "MINE"}]);
    let event = serde_json::from_value(json!({"rule": "my-rule", "controls": controls})).unwrap();
    let until = Instant::now() + Duration::from_secs(120);
    let answer = poller(&netskope.url(), 1000, folder.path()).answer(&event, until).await.unwrap();
    assert_eq!((answer.rule.as_str(), answer.kept, answer.batches), ("my-rule", 1, 1));
    assert!(folder.path().join("findings/my-rule").is_dir());
}

#[tokio::test]
async fn rows_of_another_rule_do_not_end_the_search_for_the_spelling() {
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    netskope.set_quirks(Quirks { unfiltered: true, ..Quirks::default() });
    netskope.set_rows(vec![row(SPELLING, ACCOUNT, HERE, "h")]);
    let answer = poll(&poller(&netskope.url(), 1000, folder.path())).await.unwrap();
    let names: Vec<_> = answer.controls.iter().map(|control| control.rule_name.as_deref()).collect();
    assert_eq!((names, answer.kept), (vec![Some(SPELLING), None], 1));
}

#[tokio::test]
async fn a_list_that_repeats_itself_fails_the_poll_and_what_it_listed_is_handed_on_once() {
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    netskope.set_quirks(Quirks { ignores_skip: true, ..Quirks::default() });
    netskope.set_rows(vec![row(CONTROL, ACCOUNT, HERE, "h0"), row(CONTROL, ACCOUNT, HERE, "h1")]);
    let error = poll(&poller(&netskope.url(), 2, folder.path())).await.unwrap_err();
    assert!(error.to_string().contains("page 2") && error.to_string().contains("on earlier pages"), "{error}");
    assert_eq!(resources(folder.path()), ["h0", "h1"]);
}

#[tokio::test]
async fn a_list_without_end_leaves_time_for_the_other_control_and_fails_the_poll_in_time() {
    let (server, folder) = (MockServer::start().await, TempDir::new().unwrap());
    let endless = |request: &wiremock::Request| page(&[row(CONTROL, ACCOUNT, HERE, &asked_for(request).1)]);
    Mock::given(query_param("rule_name", CONTROL)).respond_with(endless).mount(&server).await;
    answer_to(&server, &[("rule_name", WINDOWS), ("skip", "0")], page(&[row(WINDOWS, ACCOUNT, HERE, "w")])).await;
    answer_to(&server, &[("rule_name", WINDOWS)], page(&[])).await;
    let started = Instant::now();
    let until = started + Duration::from_secs(6);
    let error = poller(&server.uri(), 1, folder.path()).poll("open-door", until).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let PollError::Incomplete(lists) = &error else { panic!("{error:?}") };
    assert!(lists.len() == 1 && lists[0].contains("no time was left") && lists[0].contains(CONTROL), "{error}");
    let found = resources(folder.path());
    assert!(["w", "0", "1"].iter().all(|known| found.iter().any(|of| of == known)), "{found:?}");
}

#[tokio::test]
async fn a_list_longer_than_a_poll_may_read_leaves_room_for_the_other_control_and_fails_the_poll() {
    let of = |control, count: usize| (0..count).map(move |n| row(control, ACCOUNT, HERE, &format!("{control}{n}")));
    for (limits, read) in [
        (Limits { rows: 12, ..Limits::default() }, 6..7),
        (Limits { bytes: 9_000, ..Limits::default() }, 4..12),
        (Limits { rows: 80, bytes: 1 << 20, batches: 1, ..Limits::default() }, 40..41),
    ] {
        let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
        netskope.set_rows(of(CONTROL, 40).chain(of(WINDOWS, 3)).collect());
        let poller = Poller { limits, ..poller(&netskope.url(), 2, folder.path()) };
        let polled = poll(&poller).await;
        let count = |control| findings(folder.path()).iter().filter(|of| of.control == control).count();
        assert!(read.contains(&count(CONTROL)) && count(WINDOWS) == 3, "{limits:?}: {}", count(CONTROL));
        match polled {
            Ok(answer) => assert_eq!((answer.kept, limits.batches), (43, 1)),
            Err(error) => {
                let text = error.to_string();
                assert!(
                    text.contains(CONTROL) && text.contains(&format!("goes on after {} rows", count(CONTROL))),
                    "{text}"
                );
                assert!(text.contains(&format!("{} rows, {} bytes", limits.rows, limits.bytes)), "{text}");
            }
        }
    }
}

#[tokio::test]
async fn a_poll_writes_no_more_batches_than_it_may_and_says_how_many_findings_are_left() {
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    netskope.set_rows((0..950).map(|n| row(CONTROL, ACCOUNT, HERE, &format!("h{n:03}"))).collect());
    let limits = Limits { batches: 3, ..Limits::default() };
    let log = Log::default();
    let guard = log.capture();
    let error = poll(&Poller { limits, ..poller(&netskope.url(), 1_000, folder.path()) }).await.unwrap_err();
    drop(guard);
    assert!(error.to_string().contains("350 finding(s) were not handed on"), "{error}");
    assert_eq!(batches(folder.path()).len(), 3);
    assert_eq!(resources(folder.path()), (0..600).map(|n| format!("h{n:03}")).collect::<Vec<_>>());
    let text = log.text();
    assert!(text.contains(r#"\"kept\":600,\"left\":350"#), "{text}");
}

#[tokio::test]
async fn an_address_at_which_nothing_answers_fails_the_poll_at_once() {
    let folder = TempDir::new().unwrap();
    // The port was free a moment ago.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let started = Instant::now();
    let error = poll(&poller(&format!("http://{address}"), 1000, folder.path())).await.unwrap_err();
    assert!(error.is_unreachable() && error.to_string().contains("netskope_tenant"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[tokio::test]
async fn an_invalid_row_is_logged_with_its_position_in_the_list_and_the_rest_goes_on() {
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    let mut nameless = row(CONTROL, ACCOUNT, HERE, "");
    nameless["account_id"] = json!(null);
    netskope.set_rows(vec![
        row(CONTROL, ACCOUNT, HERE, "h0"),
        nameless,
        row(CONTROL, "12345", HERE, "h1\u{1b}"),
        row(CONTROL, ACCOUNT, HERE, "h2"),
    ]);
    let log = Log::default();
    let guard = log.capture();
    let answer = poll(&poller(&netskope.url(), 2, folder.path())).await.unwrap();
    drop(guard);
    assert_eq!((answer.received, answer.kept, answer.invalid), (4, 2, 2));
    assert_eq!(resources(folder.path()), ["h0", "h2"]);
    let log = log.text();
    let said: Vec<_> = log.lines().filter(|line| line.contains("a row cannot be used")).collect();
    assert_eq!(said.len(), 2, "{log}");
    assert!(said[0].contains("position=2") && said[0].contains("account_id"), "{}", said[0]);
    assert!(said[1].contains("position=3") && said[1].contains("`12345` is not an AWS account ID"), "{}", said[1]);
}

#[tokio::test]
async fn the_spelling_that_has_findings_is_named_and_the_next_is_not_asked_for() {
    for (spelling, asked) in [
        (Some(CONTROL), vec![CONTROL, WINDOWS]),
        (Some(SPELLING), vec![CONTROL, SPELLING, WINDOWS]),
        (None, vec![CONTROL, SPELLING, WINDOWS]),
    ] {
        let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
        netskope.set_rows(spelling.map(|name| row(name, ACCOUNT, HERE, "h")).into_iter().collect());
        let answer = poll(&poller(&netskope.url(), 1000, folder.path())).await.unwrap();
        let polled = |short_name: &str, rule_name: Option<&str>| PolledControl {
            short_name: short_name.into(),
            rule_name: rule_name.map(str::to_owned),
        };
        assert_eq!(answer.controls, [polled("DOORS", spelling), polled("WINDOWS", None)]);
        let requests = netskope.requests().await;
        let mut names: Vec<_> = requests.iter().map(|request| request["rule_name"].as_str()).collect();
        names.dedup();
        assert_eq!(names, asked);
        assert!(findings(folder.path()).iter().all(|finding| Some(finding.control.as_str()) == spelling));
    }
}

#[tokio::test]
async fn a_broken_control_fails_the_poll_but_stops_neither_the_others_nor_what_came_before() {
    for (broken, whole) in [(CONTROL, WINDOWS), (WINDOWS, CONTROL)] {
        let (server, folder) = (MockServer::start().await, TempDir::new().unwrap());
        let first = [row(broken, ACCOUNT, HERE, "before"), row(broken, ACCOUNT, HERE, "the break")];
        answer_to(&server, &[("rule_name", broken), ("skip", "0")], page(&first)).await;
        answer_to(
            &server,
            &[("rule_name", broken), ("skip", "2")],
            ResponseTemplate::new(200).set_body_string("<html>"),
        )
        .await;
        answer_to(&server, &[("rule_name", whole), ("skip", "1")], page(&[])).await;
        answer_to(&server, &[("rule_name", whole)], page(&[row(whole, ACCOUNT, HERE, "whole")])).await;
        let error = poll(&poller(&server.uri(), 2, folder.path())).await.unwrap_err();
        let PollError::Incomplete(lists) = &error else { panic!("{error:?}") };
        assert_eq!(lists.len(), 1);
        let says = format!(
            "the list of violations is incomplete; the next poll starts again: cannot read page 2 of the violations of \
             `{broken}`: "
        );
        assert!(error.to_string().starts_with(&says), "{error}");
        let found: BTreeSet<_> = resources(folder.path()).into_iter().collect();
        assert_eq!(found, ["before", "the break", "whole"].map(str::to_owned).into());
    }
}

#[tokio::test]
async fn a_rule_that_is_not_there_is_named_beside_those_that_are() {
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    let error = poller(&netskope.url(), 1000, folder.path()).poll("open-window", Instant::now()).await.unwrap_err();
    let error = error.to_string();
    assert!(error.starts_with("there is no rule `open-window`. The rules are: open-door. "), "{error}");
    assert!(netskope.requests().await.is_empty());
}

#[tokio::test]
async fn a_batch_that_cannot_be_written_fails_the_poll() {
    let (netskope, file) = (FakeNetskope::start(TOKEN).await, tempfile::NamedTempFile::new().unwrap());
    netskope.set_rows(vec![row(CONTROL, ACCOUNT, HERE, "h")]);
    let error = poll(&poller(&netskope.url(), 1000, file.path())).await.unwrap_err();
    assert!(matches!(error, PollError::Record(_)), "{error:?}");
}

/// A secret that holds these tokens, one after the other; `None` is a failed read.
fn secret(tokens: &'static [Option<&'static str>]) -> MockRule {
    let read = AtomicUsize::new(0);
    mock!(aws_sdk_secretsmanager::Client::get_secret_value).then_compute_response(move |_| {
        let token = tokens[read.fetch_add(1, Ordering::Relaxed)];
        match token {
            Some(token) => MockResponse::Output(Secret::builder().secret_string(token).build()),
            None => MockResponse::Error(GetSecretValueError::unhandled("gone")),
        }
    })
}

fn source(secret: &MockRule) -> TokenSource {
    let client = mock_client!(aws_sdk_secretsmanager, RuleMode::MatchAny, [secret]);
    TokenSource::new(client, "the-secret".into())
}

/// A list of three rows, two a page, whose second page is for the token `new` only.
async fn rotating(server: &MockServer) {
    let rows = ["h0", "h1", "h2"].map(|resource| row(CONTROL, ACCOUNT, HERE, resource));
    answer_to(server, &[("rule_name", CONTROL), ("skip", "0")], page(&rows[..2])).await;
    answer_to(server, &[("rule_name", CONTROL), ("skip", "2"), ("token", "new")], page(&rows[2..])).await;
    answer_to(server, &[("rule_name", CONTROL), ("skip", "2")], refused()).await;
    answer_to(server, &[("rule_name", CONTROL), ("skip", "3")], page(&[])).await;
    answer_to(server, &[("rule_name", WINDOWS)], page(&[])).await;
}

#[tokio::test]
async fn a_refused_token_is_read_again_and_the_list_goes_on_at_the_same_page() {
    let (server, folder) = (MockServer::start().await, TempDir::new().unwrap());
    rotating(&server).await;
    let secret = secret(&[Some("old"), Some("new")]);
    let poller = Poller { token: source(&secret), ..poller(&server.uri(), 2, folder.path()) };
    let answer = poll(&poller).await.unwrap();
    assert_eq!((answer.received, answer.kept, answer.duplicates), (3, 3, 0));
    assert_eq!(resources(folder.path()), ["h0", "h1", "h2"]);
    assert_eq!(secret.num_calls(), 2);
    let asked: Vec<_> = server.received_requests().await.unwrap().iter().map(asked_for).collect();
    let pages = [("old", "0"), ("old", "2"), ("new", "2"), ("new", "3"), ("new", "0")]
        .map(|(token, skip)| (token.into(), skip.into()));
    assert_eq!(asked, pages);
}

/// A request's token and `skip`.
fn asked_for(request: &wiremock::Request) -> (String, String) {
    let query: BTreeMap<_, _> = request.url.query_pairs().into_owned().collect();
    (query["token"].clone(), query["skip"].clone())
}

#[tokio::test]
async fn a_token_that_is_refused_twice_fails_the_poll() {
    let (server, folder) = (MockServer::start().await, TempDir::new().unwrap());
    rotating(&server).await;
    let secret = secret(&[Some("old"), Some("older")]);
    let poller = Poller { token: source(&secret), ..poller(&server.uri(), 2, folder.path()) };
    let error = poll(&poller).await.unwrap_err();
    assert!(matches!(&error, PollError::Incomplete(lists) if lists.len() == 1), "{error:?}");
    assert!(error.to_string().contains("page 2") && error.to_string().contains("refused the token"), "{error}");
    assert_eq!(secret.num_calls(), 2);
    assert_eq!(resources(folder.path()), ["h0", "h1"]);
}

#[tokio::test]
async fn a_token_that_cannot_be_read_again_loses_nothing_that_came_before() {
    let (server, folder) = (MockServer::start().await, TempDir::new().unwrap());
    rotating(&server).await;
    let secret = secret(&[Some("old"), None, None]);
    let poller = Poller { token: source(&secret), ..poller(&server.uri(), 2, folder.path()) };
    let error = poll(&poller).await.unwrap_err().to_string();
    assert!(error.contains("secretsmanager:GetSecretValue"), "{error}");
    assert_eq!(resources(folder.path()), ["h0", "h1"]);
}

#[tokio::test]
async fn the_token_is_in_no_error_answer_or_log_line() {
    let log = Log::default();
    let guard = log.capture();
    let echo = |status| ResponseTemplate::new(status).set_body_string(format!("you sent {TOKEN}"));
    let encoded = TOKEN.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let echoes = [
        row(CONTROL, ACCOUNT, TOKEN, "h1"),
        row(CONTROL, ACCOUNT, &format!("Mars {encoded}"), "h2"),
        row(CONTROL, ACCOUNT, HERE, &format!("https://x/?token={encoded}")),
        row(CONTROL, TOKEN, HERE, "h3"),
        row(TOKEN, ACCOUNT, HERE, "h4"),
    ];
    for answer in [page(&[row(CONTROL, "12345", HERE, "h")]), page(&echoes), refused(), echo(200), echo(400), echo(500)]
    {
        let (server, folder) = (MockServer::start().await, TempDir::new().unwrap());
        answer_to(&server, &[], answer).await;
        let poller = poller(&server.uri(), 1000, folder.path());
        match poll(&poller).await {
            Ok(answer) => hides_token(&format!("{answer:?} {}", serde_json::to_string(&answer).unwrap())),
            Err(error) => hides_token(&format!("{error} {error:?}")),
        }
        hides_token(&format!("{poller:?}"));
        assert!(findings(folder.path()).is_empty(), "a row with the token is none to act on");
    }
    drop(guard);
    let log = log.text();
    assert!(log.contains("poll done") && log.contains("the list of this control is incomplete"), "{log}");
    hides_token(&log);
}

/// Where a row of the property test says that its resource is.
const REGIONS: [&str; 7] = [HERE, "us-east-1", "US East(N.Virginia)", "EU (Frankfurt)", "Mars", "global", ""];
const ACCOUNTS: [&str; 5] = [ACCOUNT, "333333333333", "12345", "", "-"];

/// The answer that these rows should get, by the words of the specification.
fn expected(rows: &[(usize, usize, u8)], is_home: bool) -> (Answer, BTreeSet<(String, bool, String)>) {
    let mut answer = Answer::new("open-door", RunId::start(), Filters::default());
    let mut kept = BTreeSet::new();
    for (region, account, resource) in rows {
        answer.received += 1;
        let (region, account) = (REGIONS[*region], ACCOUNTS[*account]);
        let is_global = matches!(region, "global" | "");
        match (region, account) {
            (_, "" | "-" | "12345") => answer.invalid += 1,
            ("Mars", _) => *answer.unknown_regions.entry("Mars".into()).or_default() += 1,
            ("EU (Frankfurt)", _) => answer.other_regions += 1,
            _ if is_global && !is_home => answer.other_regions += 1,
            _ if kept.insert((account.to_owned(), is_global, format!("h{resource}"))) => answer.kept += 1,
            _ => answer.duplicates += 1,
        }
    }
    (answer, kept)
}

proptest! {
    // Each case waits for the rate limit between the two controls.
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_row_is_counted_exactly_once(
        rows in prop::collection::vec((0..REGIONS.len(), 0..ACCOUNTS.len(), 0..4_u8), 1..60),
        is_home: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (answer, found) = runtime.block_on(async {
            let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
            let json = |(region, account, resource): &(usize, usize, u8)| {
                let mut row = row(CONTROL, ACCOUNTS[*account], REGIONS[*region], &format!("h{resource}"));
                if ACCOUNTS[*account] == "-" {
                    row.as_object_mut().unwrap().remove("account_id");
                }
                row
            };
            netskope.set_rows(rows.iter().map(json).collect());
            let regions = Regions::new("us-east-1", if is_home { "us-east-1" } else { "eu-west-1" }).unwrap();
            let poller = Poller { regions, ..poller(&netskope.url(), 1000, folder.path()) };
            (poll(&poller).await.unwrap(), findings(folder.path()))
        });
        let sum = answer.kept + answer.other_regions + answer.unknown_regions.values().sum::<usize>()
            + answer.invalid + answer.duplicates;
        prop_assert_eq!(answer.received, sum);
        let (expected, kept) = expected(&rows, is_home);
        let count = found.len();
        let found: BTreeSet<_> = found
            .into_iter()
            .map(|finding| (finding.account.to_string(), finding.region.is_global(), finding.resource))
            .collect();
        prop_assert_eq!((count, found), (kept.len(), kept));
        let (run, batches, controls) = (answer.run, answer.batches, answer.controls.clone());
        prop_assert_eq!(answer, Answer { run, batches, controls, ..expected });
    }
}

/// What was asked about fixes: the accounts, by the requests for what has passed.
async fn asked_passed(netskope: &FakeNetskope) -> Vec<String> {
    let requests = netskope.requests().await.into_iter();
    let passed = requests.filter(|query| query["status"] == "Passed");
    passed.map(|query| query["account_id"].clone()).collect()
}

/// Fixes of half an hour ago that wait.
async fn await_fixes(folder: &Path, resources: &[&str]) -> jiff::Timestamp {
    await_fixes_at(folder, resources, jiff::Timestamp::now() - jiff::SignedDuration::from_mins(30)).await
}

async fn await_fixes_at(folder: &Path, resources: &[&str], fixed: jiff::Timestamp) -> jiff::Timestamp {
    let finding = |resource: &&str| Finding {
        control: CONTROL.into(),
        account: ACCOUNT.parse().unwrap(),
        region: Region::code("us-east-1"),
        resource: (*resource).to_owned(),
        first_seen: None,
        last_scanned: None,
    };
    let fixes: Vec<_> = resources.iter().map(finding).map(|finding| (finding, fixed)).collect();
    let records = Records::Folder(folder.into());
    AwaitedClosures::update(&records, "open-door", &fixes, &[]).await.unwrap();
    fixed
}

#[tokio::test]
async fn what_has_passed_since_its_fix_is_asked_for_and_handed_on_in_a_batch_of_its_own() {
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    let poller = poller(&netskope.url(), 2, folder.path());
    let of = |resource: &str| row(CONTROL, ACCOUNT, HERE, resource);
    let now = jiff::Timestamp::now();
    netskope.set_rows(vec![of("x"), passed(of("a"), now)]);
    assert_eq!(poll(&poller).await.unwrap().closures, Passed::default());
    assert_eq!(asked_passed(&netskope).await, [""; 0], "no fix waits");

    let fixed = await_fixes(folder.path(), &["a", "b", "c", "x"]).await;
    netskope.set_rows(vec![
        of("x"),
        passed(of("x"), now),
        passed(of("another"), now),
        passed(row(CONTROL, "333333333333", HERE, "b"), now),
        passed(of("a"), now),
        passed(of("a"), now),
        passed(of("b"), fixed),
    ]);
    let answer = poll(&poller).await.unwrap();
    let asked = asked_passed(&netskope).await;
    assert!(asked.iter().all(|account| account == ACCOUNT) && asked.len() == answer.closures.requests, "{asked:?}");
    assert_eq!((answer.closures.waiting, answer.closures.passed, answer.kept), (3, 1, 1), "x is listed as Failed");
    let batches = batches(folder.path());
    let passed: Vec<_> = batches.iter().filter(|batch| !batch.passed.is_empty()).collect();
    let [batch] = &passed[..] else { panic!("{passed:?}") };
    assert_eq!((batch.findings.len(), batch.id.batch, answer.batches), (0, 2, 2));
    let [finding] = &batch.passed[..] else { panic!("{batch:?}") };
    let scanned = finding.last_scanned.map(|at| at.as_second());
    assert_eq!((finding.resource.as_str(), scanned), ("a", Some(now.as_second())));
}

#[tokio::test]
async fn no_more_requests_are_sent_for_what_has_passed_than_a_poll_may() {
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    let rows = (0..50).map(|number| passed(row(CONTROL, ACCOUNT, HERE, &number.to_string()), jiff::Timestamp::now()));
    netskope.set_rows(rows.collect());
    await_fixes(folder.path(), &["never listed"]).await;
    for (most, sent) in [(0, 0), (1, 1), (3, 3), (20, 11)] {
        let before = asked_passed(&netskope).await.len();
        let limits = Limits { passed_requests: most, ..Limits::default() };
        let answer = poll(&Poller { limits, ..poller(&netskope.url(), 5, folder.path()) }).await.unwrap();
        assert_eq!((asked_passed(&netskope).await.len() - before, answer.closures.requests), (sent, sent), "{most}");
    }
}

#[tokio::test]
async fn that_nobody_answers_what_has_passed_fails_no_poll() {
    let (server, folder) = (MockServer::start().await, TempDir::new().unwrap());
    await_fixes(folder.path(), &["a"]).await;
    answer_to(&server, &[("status", "Passed")], ResponseTemplate::new(500)).await;
    answer_to(&server, &[("status", "Failed")], page(&[])).await;
    let answer = poll(&poller(&server.uri(), 5, folder.path())).await.unwrap();
    assert_eq!(answer.closures, Passed { waiting: 1, requests: 1, ..Passed::default() });

    std::fs::write(folder.path().join("resources/open-door/awaited-closures.json"), "{").unwrap();
    let answer = poll(&poller(&server.uri(), 5, folder.path())).await.unwrap();
    assert_eq!(answer.closures, Passed::default());
}

/// Writes a policy that asks for rescans by these policies of the tenant.
fn want_rescans(folder: &Path, policies: &[&str]) {
    let policy = json!({"schema": 1, "rescan": {"netskope_policies": policies, "interval_hours": 4}});
    std::fs::write(folder.join("policy.json"), policy.to_string()).unwrap();
}

#[tokio::test]
async fn a_rescan_is_asked_for_once_an_interval_after_a_fix_where_the_policy_wants_it() {
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    // As it is right after its fix: the last scan, before it, still says Failed.
    netskope.set_rows(vec![row(CONTROL, ACCOUNT, HERE, "a")]);
    let poller = &poller(&netskope.url(), 5, folder.path());
    let rescans = async || {
        let before = netskope.scans().len();
        let polls = futures::future::try_join_all((0..3).map(|_| poll(poller))).await.unwrap();
        let said = polls.iter().filter(|answer| answer.closures.rescan == Rescan::Started).count();
        (netskope.scans().len() - before, said)
    };
    assert_eq!(rescans().await, (0, 0), "nothing was fixed");
    await_fixes(folder.path(), &["a"]).await;
    assert_eq!(rescans().await, (0, 0), "no policy asks for it");
    std::fs::write(folder.path().join("policy.json"), r#"{"schema": 1, "mode": "apply"}"#).unwrap();
    assert_eq!(rescans().await, (0, 0), "the policy does not ask for it");
    want_rescans(folder.path(), &[POLICY]);
    assert_eq!(rescans().await, (1, 1), "three polls at once");
    await_fixes(folder.path(), &["b"]).await;
    assert_eq!(rescans().await, (0, 0), "the interval is not over");
    assert_eq!(netskope.scans(), [POLICY]);
}

#[tokio::test]
async fn a_fix_that_is_confirmed_or_too_young_or_too_old_asks_for_no_rescan() {
    let now = jiff::Timestamp::now();
    for (ago, days, why) in [(2, 7, "too young"), (60 * 25, 1, "waited for no more"), (-60, 7, "a fix to come")] {
        let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
        want_rescans(folder.path(), &[POLICY]);
        await_fixes_at(folder.path(), &["a"], now - jiff::SignedDuration::from_mins(ago)).await;
        let limits = Limits { passed_days: days, ..Limits::default() };
        let answer = poll(&Poller { limits, ..poller(&netskope.url(), 5, folder.path()) }).await.unwrap();
        assert_eq!((answer.closures.rescan, netskope.scans().len()), (Rescan::None, 0), "{why}");
    }
    let (netskope, folder) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap());
    want_rescans(folder.path(), &[POLICY]);
    await_fixes(folder.path(), &["a"]).await;
    netskope.set_rows(vec![passed(row(CONTROL, ACCOUNT, HERE, "a"), now)]);
    let answer = poll(&poller(&netskope.url(), 5, folder.path())).await.unwrap();
    assert_eq!((answer.closures.passed, answer.closures.rescan), (1, Rescan::None), "a scan after it has passed it");
}

#[tokio::test]
async fn a_rescan_that_is_refused_fails_no_poll_and_is_not_asked_for_again_before_the_interval_is_over() {
    let (netskope, folder, log) = (FakeNetskope::start(TOKEN).await, TempDir::new().unwrap(), Log::default());
    let poller = poller(&netskope.url(), 5, folder.path());
    await_fixes(folder.path(), &["a"]).await;
    want_rescans(folder.path(), &["no policy of the tenant", POLICY]);
    let _capture = log.capture();
    assert_eq!(poll(&poller).await.unwrap().closures.rescan, Rescan::Failed);
    assert_eq!(netskope.scans(), [POLICY], "one policy that is refused stops no other");
    let text = log.text();
    assert!(text.contains("cannot start a scan by Netskope's policy `no policy of the tenant`"), "{text}");
    assert!(text.contains("there is no such policy"), "{text}");
    assert_eq!(poll(&poller).await.unwrap().closures.rescan, Rescan::None);

    std::fs::write(folder.path().join("policy.json"), "{").unwrap();
    assert_eq!(poll(&poller).await.unwrap().closures.rescan, Rescan::Failed);
    assert_eq!(netskope.scans().len(), 1);
    hides_token(&log.text());
}
