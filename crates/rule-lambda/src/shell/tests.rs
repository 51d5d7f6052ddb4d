//! Events in, reports in a folder out: with a rule over doors in memory and an STS that lets everybody in.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use aws_sdk_s3::config::{Credentials, Region as SdkRegion, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use lambda_runtime::Context;
use remediation::{Finding, NoParameters, Proposal, Region, Resource, Result, Seen, Tags, Target};
use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;

use super::*;

/// The doors that are open. Every test names its own.
static OPEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Closes doors.
#[derive(Debug)]
struct OpenDoor;

#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Close(String);

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "close {}", self.0)
    }
}

impl Rule for OpenDoor {
    const MANIFEST: &'static str = r#"{"id": "open-door", "title": "t", "service": "test", "scope": "regional",
        "controls": [{"rule_names": ["Ensure every door is closed."], "short_name": "T-1"}], "read": [], "write": [],
        "runbook": null, "docs": {"why": "w", "impact": "i", "undo": "u"}}"#;
    type Settings = Settings;
    type Control = NoParameters;
    type Client = ();
    type State = bool;
    type Change = Close;

    fn client(_: &Target) {}

    async fn look((): &(), finding: &Finding) -> Result<Seen<bool>> {
        let Finding { account, region, resource, .. } = finding;
        let arn = format!("arn:aws:test:{region}:{account}:door/{resource}");
        let is_open = OPEN.lock().unwrap().contains(resource);
        Ok(Seen::now(Resource::of_arn("test:GetDoors", arn, resource)?, is_open))
    }

    fn plan(seen: &Seen<bool>, _: &[&NoParameters], _: &Settings) -> Proposal<Close> {
        seen.state.then(|| Close(seen.resource.id.clone())).into_iter().collect::<Vec<_>>().into()
    }

    async fn tags((): &(), _: &Seen<bool>) -> Result<Tags> {
        Ok(Tags::new())
    }

    async fn apply((): &(), change: &Close) -> Result<()> {
        OPEN.lock().unwrap().remove(&change.0);
        Ok(())
    }

    fn undo(_: &Close) -> Option<Close> {
        None
    }
}

/// Gives a session to everybody who asks.
#[derive(Debug)]
struct Sts;

impl HttpConnector for Sts {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let credentials = "<AccessKeyId>A</AccessKeyId><SecretAccessKey>S</SecretAccessKey>\
            <SessionToken>T</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration>";
        let result = format!("<AssumeRoleResult><Credentials>{credentials}</Credentials></AssumeRoleResult>");
        let body = SdkBody::from(format!("<AssumeRoleResponse>{result}</AssumeRoleResponse>"));
        HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().unwrap(), body)))
    }
}

const APPLY: &str = r#"{"schema": 1, "rules": {"open-door": {"mode": "apply"}}}"#;

/// A shell over a folder with this policy in it.
fn shell(policy: Option<&str>) -> (Shell<OpenDoor>, TempDir) {
    let folder = TempDir::new().unwrap();
    if let Some(policy) = policy {
        std::fs::write(folder.path().join(POLICY_KEY), policy).unwrap();
    }
    let connector = SharedHttpConnector::new(Sts);
    let base = SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(SdkRegion::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .build();
    let shell = Shell {
        base,
        manifest: Manifest::from_json(OpenDoor::MANIFEST).unwrap(),
        records: Records::Folder(folder.path().into()),
        role: TargetRole { name: "role".into(), external_id: None },
        rule: PhantomData,
    };
    (shell, folder)
}

/// A batch of these doors, all of them open.
fn batch(doors: &[&str]) -> Batch {
    OPEN.lock().unwrap().extend(doors.iter().map(|door| (*door).to_owned()));
    let finding = |door: &&str| Finding {
        control: "Ensure every door is closed.".into(),
        account: "222222222222".parse().unwrap(),
        region: Region::code("us-east-1"),
        resource: (*door).to_owned(),
        first_seen: None,
        last_scanned: None,
    };
    let id = BatchId { rule: "open-door".into(), run: RunId::start(), batch: 1 };
    Batch::new(id, doors.iter().map(finding).collect())
}

fn is_open(door: &str) -> bool {
    OPEN.lock().unwrap().contains(door)
}

fn text(batch: &Batch) -> String {
    String::from_utf8(batch.to_ndjson().unwrap()).unwrap()
}

async fn put(shell: &Shell<OpenDoor>, key: &str, text: &str) {
    assert_eq!(shell.records.put_new(key, text.into()).await.unwrap(), key);
}

async fn report(shell: &Shell<OpenDoor>, key: &str) -> Report {
    serde_json::from_slice(&shell.records.get(key).await.unwrap()).unwrap()
}

/// S3's event for objects with these keys, as it writes them, and 15 minutes for it.
fn event(keys: &[&str]) -> LambdaEvent<S3Event> {
    let record = |key: &&str| {
        json!({"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
            "eventTime": "2026-02-12T02:30:17.000Z", "eventName": "ObjectCreated:Put",
            "userIdentity": {"principalId": "p"}, "requestParameters": {"sourceIPAddress": "127.0.0.1"},
            "responseElements": {}, "s3": {"s3SchemaVersion": "1.0", "configurationId": "c",
                "bucket": {"name": "records", "ownerIdentity": {"principalId": "p"}, "arn": "arn:aws:s3:::records"},
                "object": {"key": key, "size": 1, "eTag": "e", "sequencer": "s"}}})
    };
    let event = serde_json::from_value(json!({"Records": keys.iter().map(record).collect::<Vec<_>>()})).unwrap();
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(900);
    let mut context = Context::default();
    context.deadline = deadline.as_millis().try_into().unwrap();
    LambdaEvent::new(event, context)
}

#[tokio::test]
async fn a_batch_is_taken_to_its_report() {
    let (shell, _folder) = shell(Some(APPLY));
    let batch = batch(&["taken"]);
    let key = batch.id.findings_key();
    put(&shell, &key, &text(&batch)).await;
    let answer = shell.handle(event(&[&key])).await.unwrap();
    let expected = json!({"batches": [{"key": key, "report": batch.id.report_key(), "outcomes": {"fixed": 1}}]});
    assert_eq!(serde_json::to_value(answer).unwrap(), expected);
    assert!(!is_open("taken"));
    let report = report(&shell, &batch.id.report_key()).await;
    assert_eq!((&report.id, report.mode, report.count(Outcome::Fixed)), (&batch.id, Mode::Apply, 1));
    assert_eq!(report.plans[0].key, batch.id.plan_key());
}

#[tokio::test]
async fn keys_arrive_as_in_an_html_form() {
    for (encoded, key) in [
        ("findings/open-door/by+hand.ndjson", "findings/open-door/by hand.ndjson"),
        ("findings/open-door/a%2Bb.ndjson", "findings/open-door/a+b.ndjson"),
        ("findings/open-door/100%25+%C3%BC.ndjson", "findings/open-door/100% ü.ndjson"),
        ("findings%2Fopen-door%2Fx.ndjson", "findings/open-door/x.ndjson"),
    ] {
        let (shell, _folder) = shell(Some(APPLY));
        put(&shell, key, &text(&batch(&[encoded]))).await;
        let answer = shell.handle(event(&[encoded])).await.unwrap();
        assert_eq!(answer.batches[0].key, key);
        assert!(!is_open(encoded), "{key}");
    }
}

#[tokio::test]
async fn a_batch_that_cannot_be_read_leaves_a_report_and_fails_the_event_but_not_the_others() {
    let (shell, _folder) = shell(Some(APPLY));
    let batches = [batch(&["before"]), batch(&["unreadable"]), batch(&["after"])];
    let keys = batches.each_ref().map(|batch| batch.id.findings_key());
    for (batch, key) in batches.iter().zip(&keys) {
        put(
            &shell,
            key,
            &text(batch).replace("\"schema\":1", if *key == keys[1] { "\"schema\":2" } else { "\"schema\":1" }),
        )
        .await;
    }
    let error = shell.handle(event(&keys.each_ref().map(String::as_str))).await.unwrap_err();
    let says = "line 1 of the batch: schema version 2, but this build reads 1";
    assert!(error.to_string().starts_with(&format!("{}: {says}", keys[1])), "{error}");
    assert_eq!(Diagnostic::from(error).error_message.split(": ").next(), Some(keys[1].as_str()));
    assert_eq!(["before", "unreadable", "after"].map(is_open), [false, true, false]);
    let report = report(&shell, &batches[1].id.report_key()).await;
    assert!(report.error.unwrap().starts_with(says));
    assert_eq!((report.id, report.findings.len()), (batches[1].id.clone(), 0));
}

#[tokio::test]
async fn what_is_not_there_leaves_a_report_under_a_run_of_its_own() {
    let (shell, folder) = shell(Some(APPLY));
    let error = shell.handle(event(&["findings/open-door/nothing.ndjson"])).await.unwrap_err().to_string();
    assert!(error.contains("findings/open-door/nothing.ndjson"), "{error}");
    let day = std::fs::read_dir(folder.path().join("reports/open-door")).unwrap().next().unwrap().unwrap();
    let file = std::fs::read_dir(day.path()).unwrap().next().unwrap().unwrap();
    let report: Report = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
    assert_eq!((report.id.batch, report.error.is_some()), (0, true));
}

#[tokio::test]
async fn a_broken_line_fails_the_event_but_not_the_other_findings() {
    let (shell, _folder) = shell(Some(APPLY));
    let batch = batch(&["first", "broken", "last"]);
    let key = batch.id.findings_key();
    put(&shell, &key, &text(&batch).replace("\"resource\":\"broken\"", "\"resource\":")).await;
    let error = shell.handle(event(&[&key])).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("{key}: line 3 of the batch: ")), "{error}");
    assert_eq!(["first", "broken", "last"].map(is_open), [false, true, false]);
    let report = report(&shell, &batch.id.report_key()).await;
    assert_eq!((report.count(Outcome::Fixed), report.count(Outcome::Failed)), (2, 1));
    assert_eq!(report.bad_lines[0].line, 3);
}

#[tokio::test]
async fn nothing_is_done_without_a_policy_that_can_be_read() {
    for (policy, says) in [
        (None, "the policy cannot be read, so nothing is written: "),
        (Some("{"), "the policy cannot be used, so nothing is written: "),
        (Some(r#"{"schema": 9}"#), "the policy has schema version 9"),
        (
            Some(r#"{"schema": 1, "rules": {"open-door": {"mode": "apply", "settings": {"x": 1}}}}"#),
            "the policy's settings of open-door cannot be used",
        ),
    ] {
        let (shell, _folder) = shell(policy);
        let batch = batch(&["held"]);
        let key = batch.id.findings_key();
        put(&shell, &key, &text(&batch)).await;
        let error = shell.handle(event(&[&key])).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("{key}: {says}")), "{error}");
        assert!(is_open("held"), "{policy:?}");
        let report = report(&shell, &batch.id.report_key()).await;
        assert_eq!(report.count(Outcome::Held), 1);
        assert!(report.findings[0].detail.as_deref().unwrap().starts_with(says));
    }
}

#[tokio::test]
async fn the_policys_mode_is_kept_to() {
    for (policy, outcome) in [
        (r#"{"schema": 1}"#, Outcome::Planned),
        (r#"{"schema": 1, "rules": {"open-door": {"mode": "plan"}}}"#, Outcome::Planned),
        (r#"{"schema": 1, "rules": {"open-door": {"mode": "off"}}}"#, Outcome::Held),
        (r#"{"schema": 1, "rules": {"another": {"mode": "apply"}}}"#, Outcome::Planned),
    ] {
        let (shell, _folder) = shell(Some(policy));
        let batch = batch(&["kept open"]);
        let key = batch.id.findings_key();
        put(&shell, &key, &text(&batch)).await;
        let answer = shell.handle(event(&[&key])).await.unwrap();
        assert_eq!(answer.batches[0].outcomes, BTreeMap::from([(outcome, 1)]), "{policy}");
        assert!(is_open("kept open"), "{policy}");
    }
}

#[tokio::test]
async fn with_no_time_left_everything_is_deferred_and_reported() {
    let (shell, _folder) = shell(Some(APPLY));
    let batch = batch(&["too late"]);
    let key = batch.id.findings_key();
    put(&shell, &key, &text(&batch)).await;
    let mut event = event(&[&key]);
    event.context.deadline = 0;
    let answer = shell.handle(event).await.unwrap();
    assert_eq!(answer.batches[0].outcomes, BTreeMap::from([(Outcome::Deferred, 1)]));
    assert!(is_open("too late"));
    assert_eq!(report(&shell, &batch.id.report_key()).await.count(Outcome::Deferred), 1);
}

#[tokio::test]
async fn a_report_that_cannot_be_stored_fails_the_event() {
    let (shell, folder) = shell(Some(APPLY));
    std::fs::write(folder.path().join("reports"), "a file in the folder's place").unwrap();
    let batch = batch(&["unreported"]);
    let key = batch.id.findings_key();
    put(&shell, &key, &text(&batch)).await;
    let error = shell.handle(event(&[&key])).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("{key}: the report could not be stored: ")), "{error}");
}
