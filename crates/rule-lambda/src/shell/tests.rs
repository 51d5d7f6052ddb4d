//! Events in, reports in a folder out: with a rule over doors in memory and an STS that lets everybody in.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use aws_sdk_s3::config::{Credentials, Region as SdkRegion, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use jiff::{SignedDuration, Timestamp};
use lambda_runtime::Context;
use remediation::records::{Claim, FoundUnmade, card_key, read};
use remediation::{
    AccountId, Card, Finding, Mode, NoParameters, POLICY_KEY, Proposal, Region, Resource, Result, Seen, Side, Tags,
    Target,
};
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

/// Opens a door, or closes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Turn {
    open: bool,
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "open → {}", self.open)
    }
}

impl Rule for OpenDoor {
    const MANIFEST: &'static str = r#"{"id": "open-door", "title": "t", "service": "test", "scope": "regional",
        "controls": [{"rule_names": ["Ensure every door is closed."], "short_name": "T-1"}], "read": [], "write": [],
        "undo": [], "runbook": null, "docs": {"why": "w", "impact": "i", "undo": "u", "by_hand": "h"}}"#;
    type Settings = Settings;
    type Control = NoParameters;
    type Client = ();
    type State = bool;
    type Change = Turn;

    fn client(_: &Target) {}

    async fn look((): &(), finding: &Finding) -> Result<Seen<bool>> {
        let Finding { account, region, resource, .. } = finding;
        let is_open = OPEN.lock().unwrap().contains(resource);
        Ok(Seen::now(door(account, region, resource), is_open))
    }

    fn plan(seen: &Seen<bool>, _: &[&NoParameters], _: &Settings) -> Proposal<Turn> {
        seen.state.then_some(Turn { open: false }).into_iter().collect::<Vec<_>>().into()
    }

    async fn tags((): &(), _: &Seen<bool>) -> Result<Tags> {
        Ok(Tags::new())
    }

    async fn apply((): &(), resource: &Resource, change: &Turn) -> Result<()> {
        let mut open = OPEN.lock().unwrap();
        if change.open {
            open.insert(resource.id.clone());
        } else {
            open.remove(&resource.id);
        }
        Ok(())
    }

    fn undo(change: &Turn) -> Turn {
        Turn { open: !change.open }
    }

    fn side(change: &Turn, is_open: &bool) -> Side {
        Side::of(is_open, &!change.open, &change.open)
    }
}

fn door(account: &AccountId, region: &Region, name: &str) -> Resource {
    Resource::of_arn("test:GetDoors", format!("arn:aws:test:{region}:{account}:door/{name}"), name).unwrap()
}

/// An account that lets nobody in.
const CLOSED: &str = "333333333333";

/// Gives a session to everybody who asks, except in one account.
#[derive(Debug)]
struct Sts;

impl HttpConnector for Sts {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if String::from_utf8_lossy(request.body().bytes().unwrap()).contains(CLOSED) {
            let error = "<Type>Sender</Type><Code>AccessDenied</Code><Message>not for you</Message>";
            let body = SdkBody::from(format!("<ErrorResponse><Error>{error}</Error></ErrorResponse>"));
            return HttpConnectorFuture::ready(Ok(HttpResponse::new(403.try_into().unwrap(), body)));
        }
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
        std::fs::write(folder.path().join(remediation::POLICY_KEY), policy).unwrap();
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
        regions: Regions::only("us-east-1"),
        policy_digest: "of-no-policy".into(),
        bus: None,
        concurrency: Bounds::default().for_calls(),
        rule: PhantomData,
    };
    (shell, folder)
}

/// A batch of these doors, all of them open.
fn batch(doors: &[&str]) -> Batch {
    batch_in("222222222222", doors)
}

fn batch_in(account: &str, doors: &[&str]) -> Batch {
    OPEN.lock().unwrap().extend(doors.iter().map(|door| (*door).to_owned()));
    let finding = |door: &&str| Finding {
        control: "Ensure every door is closed.".into(),
        account: account.parse().unwrap(),
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
    shell.records.get_as(key).await.unwrap()
}

/// Who stores objects, as S3 says it of a session of a role.
const PRINCIPAL: &str = "AWS:AROAEXAMPLEEXAMPLE123:somebody@example.org";
/// The ID of the request that every event is.
const REQUEST: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";

/// S3's event for objects with these keys, as it writes them, and 15 minutes for it.
fn event(keys: &[&str]) -> LambdaEvent<S3Event> {
    let record = |key: &&str| {
        json!({"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
            "eventTime": "2026-02-12T02:30:17.000Z", "eventName": "ObjectCreated:Put",
            "userIdentity": {"principalId": PRINCIPAL}, "requestParameters": {"sourceIPAddress": "127.0.0.1"},
            "responseElements": {}, "s3": {"s3SchemaVersion": "1.0", "configurationId": "c",
                "bucket": {"name": "records", "ownerIdentity": {"principalId": "p"}, "arn": "arn:aws:s3:::records"},
                "object": {"key": key, "size": 1, "eTag": "e", "sequencer": "s"}}})
    };
    let event = serde_json::from_value(json!({"Records": keys.iter().map(record).collect::<Vec<_>>()})).unwrap();
    let deadline = ambient::system_time().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(900);
    let mut context = Context::default();
    context.request_id = REQUEST.into();
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
    let (outcomes, messages) = (json!({"fixed": 1}), json!({"sent": 0, "lost": 0}));
    let done = json!({"key": key, "report": batch.id.report_key(), "outcomes": outcomes, "messages": messages});
    let expected = json!({"batches": [done]});
    assert_eq!(serde_json::to_value(answer).unwrap(), expected);
    assert!(!is_open("taken"));
    let report = report(&shell, &batch.id.report_key()).await;
    assert_eq!((&report.id, report.mode, report.count(Outcome::Fixed)), (&batch.id, Mode::Apply, 1));
    assert_eq!(report.plan.unwrap().key, batch.id.plan_key());
}

/// What answers here answers as STS does, which is no answer of EventBridge.
#[tokio::test]
async fn a_message_that_cannot_be_sent_is_counted_and_fails_nothing() {
    let (mut shell, _folder) = shell(Some(APPLY));
    shell.bus = Some(Bus::new(&shell.base, "default"));
    for (doors, lost) in [(&["unheard"][..], 1), (&[], 0)] {
        let batch = batch(doors);
        let key = batch.id.findings_key();
        put(&shell, &key, &text(&batch)).await;
        let answer = shell.handle(event(&[&key])).await.unwrap();
        assert_eq!(answer.batches[0].messages, Messages { sent: 0, lost });
        assert_eq!(report(&shell, &batch.id.report_key()).await.count(Outcome::Fixed), doors.len());
    }
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
async fn the_metrics_are_those_of_all_batches_also_where_one_has_failed() {
    let (shell, _folder) = shell(Some(APPLY));
    let (good, unread) = (batch(&["measured", "counted"]), batch(&["unread"]));
    put(&shell, &good.id.findings_key(), &text(&good)).await;
    put(&shell, &unread.id.findings_key(), "{}").await;
    let (answer, line) = shell.measure(event(&[&good.id.findings_key(), &unread.id.findings_key()])).await;
    assert!(answer.is_err());
    let document = line.document("n", 0);
    let fields = ["rule", "run", "succeeded", "outcomes", "Fixed", "Changes", "batches", "unusable_batches"];
    let run = good.id.run.to_string();
    let expected = json!(["open-door", run, false, {"fixed": 2}, 2, 2, 2, 1]);
    assert_eq!(json!(fields.map(|name| &document[name])), expected);
}

#[tokio::test]
async fn a_plan_waits_since_it_was_first_found_and_not_since_the_last_look() {
    let (shell, folder) = shell(Some(r#"{"schema": 1, "rules": {"open-door": {"mode": "approve"}}}"#));
    let waiting = async |batch: Batch| {
        put(&shell, &batch.id.findings_key(), &text(&batch)).await;
        let (answer, line) = shell.measure(event(&[&batch.id.findings_key()])).await;
        assert_eq!(answer.unwrap().batches[0].outcomes, BTreeMap::from([(Outcome::Held, 1)]));
        line.document("n", 0)["OldestWaiting"].as_u64().unwrap()
    };
    assert!(waiting(batch(&["waits"])).await < 60);
    let waits = door(&"222222222222".parse().unwrap(), &Region::code("us-east-1"), "waits");
    let card = folder.path().join(card_key("open-door", &waits));
    let mut kept: serde_json::Value = serde_json::from_slice(&std::fs::read(&card).unwrap()).unwrap();
    kept["waiting"]["since"] = json!(Timestamp::now() - SignedDuration::from_hours(70));
    std::fs::write(&card, kept.to_string()).unwrap();
    assert_eq!(waiting(batch(&["waits"])).await / 3600, 70);
}

#[tokio::test]
async fn an_event_with_too_many_records_fails_and_says_how_many_were_left() {
    let (shell, _folder) = shell(Some(APPLY));
    let batches = [batch(&["the hundredth"]), batch(&["the next"])];
    let keys = batches.each_ref().map(|batch| batch.id.findings_key());
    for (batch, key) in batches.iter().zip(&keys) {
        put(&shell, key, &text(batch)).await;
    }
    let mut many = vec!["findings/open-door/nothing.ndjson"; MOST_OF_EVENT - 1];
    many.push(&keys[0]);
    let error = shell.handle(event(&many)).await.unwrap_err().to_string();
    assert!(!error.contains("records"), "so many are taken: {error:.300}");
    batch(&["the hundredth"]);
    many.push(&keys[1]);
    let error = shell.handle(event(&many)).await.unwrap_err();
    assert_eq!(["the hundredth", "the next"].map(is_open), [false, true]);
    let says = Diagnostic::from(error).error_message;
    assert!(says.starts_with("the event has 101 records, of which the first 100 are taken"), "{says:.300}");
    assert!(says.contains("the last 1."), "{says:.300}");
}

#[tokio::test]
async fn an_approval_is_read_no_further_than_one_can_be_long() {
    let (shell, _folder) = shell(Some(APPLY));
    let key = "approvals/open-door/2026-01-02/x-1.json";
    put(&shell, key, &" ".repeat(Approval::MOST_BYTES + 1)).await;
    let error = shell.handle(event(&[key])).await.unwrap_err().to_string();
    assert!(error.contains("has more than 65536 bytes, so it was not read"), "{error}");
}

#[tokio::test]
async fn what_is_not_there_leaves_a_report_under_a_run_of_its_own() {
    let (shell, folder) = shell(Some(APPLY));
    let error = shell.handle(event(&["findings/open-door/nothing.ndjson"])).await.unwrap_err().to_string();
    assert!(error.contains("findings/open-door/nothing.ndjson"), "{error}");
    let day = std::fs::read_dir(folder.path().join("reports/open-door")).unwrap().next().unwrap().unwrap();
    let file = std::fs::read_dir(day.path()).unwrap().next().unwrap().unwrap();
    let report: Report = read(&std::fs::read(file.path()).unwrap()).unwrap();
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

#[tokio::test]
async fn the_doors_of_other_regions_are_left_to_their_own_deployment() {
    let (mut shell, _folder) = shell(Some(APPLY));
    shell.regions = Regions::only("eu-west-1");
    let batch = batch(&["elsewhere"]);
    let key = batch.id.findings_key();
    put(&shell, &key, &text(&batch)).await;
    shell.handle(event(&[&key])).await.unwrap();
    let report = report(&shell, &batch.id.report_key()).await;
    let detail = report.findings[0].detail.as_deref().unwrap();
    assert!(is_open("elsewhere") && detail.contains("it is in us-east-1"), "{detail}");
}

#[tokio::test]
async fn a_batch_of_which_no_finding_has_a_role_fails_the_event() {
    let (shell, _folder) = shell(Some(APPLY));
    let mut batch = batch_in(CLOSED, &["no role", "no role either"]);
    let key = batch.id.findings_key();
    put(&shell, &key, &text(&batch)).await;
    let error = shell.handle(event(&[&key])).await.unwrap_err().to_string();
    let says = format!("{key}: none of its 2 finding(s) could be worked on: {CLOSED}: sts:AssumeRole: AccessDenied");
    assert!(error.starts_with(&says), "{error}");
    assert_eq!(report(&shell, &batch.id.report_key()).await.count(Outcome::Failed), 2);
    // Where another account lets us in, that one's report says it.
    batch.id.batch = 2;
    batch.findings.extend(batch_in("222222222222", &["with a role"]).findings);
    let key = batch.id.findings_key();
    put(&shell, &key, &text(&batch)).await;
    let answer = shell.handle(event(&[&key])).await.unwrap();
    assert_eq!(answer.batches[0].outcomes, BTreeMap::from([(Outcome::Failed, 2), (Outcome::Fixed, 1)]));
}

#[tokio::test]
async fn a_plan_that_cannot_be_stored_fails_the_event_and_nothing_is_written() {
    let (shell, folder) = shell(Some(APPLY));
    std::fs::write(folder.path().join("plans"), "a file in the folder's place").unwrap();
    let batch = batch(&["unplanned"]);
    let key = batch.id.findings_key();
    put(&shell, &key, &text(&batch)).await;
    let error = shell.handle(event(&[&key])).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("{key}: the plan could not be stored, so nothing was written: ")), "{error}");
    assert!(is_open("unplanned"));
    assert_eq!(report(&shell, &batch.id.report_key()).await.count(Outcome::Failed), 1);
}

#[tokio::test]
async fn a_ledger_that_cannot_be_read_fails_the_event_and_nothing_is_written() {
    let (shell, folder) = shell(Some(APPLY));
    let batch = batch(&["uncounted"]);
    let ledgers = folder.path().join("ledgers/open-door");
    std::fs::create_dir_all(&ledgers).unwrap();
    std::fs::write(ledgers.join(format!("{}.json", batch.id.run.date())), r#"{"schema": 1}"#).unwrap();
    let key = batch.id.findings_key();
    put(&shell, &key, &text(&batch)).await;
    let error = shell.handle(event(&[&key])).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("{key}: the limits could not be checked, so nothing was written: ")), "{error}");
    assert!(error.contains("the ledger has schema version 1, but this build reads 3"), "{error}");
    assert!(is_open("uncounted"));
}

#[tokio::test]
async fn a_corrupt_card_fails_the_event_but_not_the_other_findings() {
    for (corrupt, says) in [
        ("{}", "the card cannot be read: missing field `schema`"),
        (r#"{"schema": 99}"#, "the card has schema version 99, but this build reads 1"),
    ] {
        let (shell, _folder) = shell(Some(APPLY));
        let batch = batch(&["well", "corrupt"]);
        let card = card_key("open-door", &door_of(&batch, 1));
        put(&shell, &card, corrupt).await;
        let key = batch.id.findings_key();
        put(&shell, &key, &text(&batch)).await;
        let error = shell.handle(event(&[&key])).await.unwrap_err().to_string();
        let expected = format!(
            "{key}: 1 finding(s) could not be worked on: corrupt: its card cannot be read, so nothing is written: \
             {card}: {says}"
        );
        assert!(error.starts_with(&expected), "{error}");
        assert_eq!(["well", "corrupt"].map(is_open), [false, true]);
        let report = report(&shell, &batch.id.report_key()).await;
        assert_eq!((report.count(Outcome::Fixed), report.count(Outcome::Failed)), (1, 1), "{report:?}");
    }
}

/// The door that a finding of a batch leads to.
fn door_of(batch: &Batch, place: usize) -> Resource {
    let Finding { account, region, resource, .. } = &batch.findings[place];
    door(account, region, resource)
}

const APPROVE: &str = r#"{"schema": 1, "rules": {"open-door": {"mode": "approve"}}}"#;

/// Makes a plan of these doors that waits, and an approval of it; gives its key.
async fn approve(shell: &Shell<OpenDoor>, batch: &Batch) -> (String, Approval) {
    let key = batch.id.findings_key();
    put(shell, &key, &text(batch)).await;
    let answer = shell.handle(event(&[&key])).await.unwrap();
    assert_eq!(answer.batches[0].outcomes, BTreeMap::from([(Outcome::Held, batch.findings.len())]));
    let plan = report(shell, &batch.id.report_key()).await.plan.unwrap();
    let approval = Approval::new(&batch.id, &plan.key, &plan.digest, "arn:who".into(), "why".into());
    let key = Approval::key(&plan.key);
    put(shell, &key, &serde_json::to_string(&approval).unwrap()).await;
    (key, approval)
}

#[tokio::test]
async fn an_approval_is_carried_out_and_its_report_says_who_stored_it() {
    let (shell, _folder) = shell(Some(APPROVE));
    let (key, approval) = approve(&shell, &batch(&["approved"])).await;
    let answer = shell.handle(event(&[&key])).await.unwrap();
    assert_eq!(answer.batches[0].outcomes, BTreeMap::from([(Outcome::Fixed, 1)]));
    assert!(!is_open("approved"));
    let report = report(&shell, &approval.id().report_key()).await;
    let approved = report.approval.unwrap();
    assert_eq!((approved.approval, approved.stored_by.as_deref()), (approval, Some(PRINCIPAL)));
}

#[tokio::test]
async fn a_poll_that_finds_the_same_names_the_report_that_says_it_and_reads_what_is_compressed() {
    let (shell, folder) = shell(Some(APPROVE));
    let first = batch(&["held"]);
    let next = Batch::new(BatchId { run: RunId::start(), ..first.id.clone() }, first.findings.clone());
    for batch in [&first, &next] {
        let key = batch.id.findings_key();
        assert_eq!(shell.records.put_new(&key, batch.to_stored().unwrap()).await.unwrap(), key);
        let answer = shell.handle(event(&[&key])).await.unwrap();
        assert_eq!(answer.batches[0].outcomes, BTreeMap::from([(Outcome::Held, 1)]));
    }
    let (held, same) = (report(&shell, &first.id.report_key()).await, report(&shell, &next.id.report_key()).await);
    assert_eq!((held.findings.len(), held.unchanged.len(), held.plan.is_some()), (1, 0, true));
    let named: Vec<_> = same.unchanged.iter().map(|of| (of.report.clone(), of.findings)).collect();
    assert_eq!((same.findings.len(), named, same.plan), (0, vec![(first.id.report_key(), 1)], None));
    assert_eq!(std::fs::read_dir(folder.path().join("plans/open-door")).unwrap().count(), 1);
}

#[tokio::test]
async fn an_approval_that_waits_for_a_window_fails_nothing_and_the_first_poll_in_it_carries_it_out() {
    let frozen = r#"{"mode": "approve", "freezes": [{"from": "2020-01-01", "to": "2999-12-31", "reason": "r"}]}"#;
    let (shell, folder) = shell(Some(frozen));
    let first = batch(&["frozen"]);
    let (key, approval) = approve(&shell, &first).await;
    let answer = shell.handle(event(&[&key])).await.unwrap();
    assert_eq!(answer.batches[0].outcomes, BTreeMap::from([(Outcome::Deferred, 1)]));
    std::fs::write(folder.path().join(POLICY_KEY), APPROVE).unwrap();
    let id = BatchId { run: RunId::start(), ..first.id.clone() };
    let next = Batch::new(id, first.findings.clone());
    put(&shell, &next.id.findings_key(), &text(&next)).await;
    let answer = shell.handle(event(&[&next.id.findings_key()])).await.unwrap();
    let outcomes: Vec<_> = answer.batches.iter().map(|batch| (batch.key.as_str(), batch.outcomes.clone())).collect();
    let expected = [(next.id.findings_key(), Outcome::Held), (key, Outcome::Fixed)];
    assert_eq!(outcomes, expected.each_ref().map(|(key, outcome)| (key.as_str(), BTreeMap::from([(*outcome, 1)]))));
    let report = report(&shell, answer.batches[1].report.as_deref().unwrap()).await;
    assert_eq!((report.id, report.approval.unwrap().stored_by.as_deref()), (approval.id(), Some(PRINCIPAL)));
    assert!(!is_open("frozen"));
}

#[test]
fn a_principal_is_text_of_bounded_length() {
    let stored_by = |principal: &str| {
        let mut record = event(&["k"]).payload.records.remove(0);
        record.principal_id.principal_id = Some(principal.to_owned());
        Object::of(record).stored_by
    };
    assert_eq!(stored_by(PRINCIPAL).as_deref(), Some(PRINCIPAL));
    assert_eq!(stored_by(""), None);
    assert_eq!(stored_by("AWS:A\u{1b}[2J:\n").as_deref(), Some("AWS:A\\u{1b}[2J:\\u{a}"));
    assert_eq!(stored_by(&"x".repeat(10_000)).map(|text| text.len()), Some(256 + "…".len()));
}

#[tokio::test]
async fn an_approval_that_is_put_off_fails_the_event_and_the_claim_is_its_own_requests_alone() {
    for (holder, outcome) in [("another request", Outcome::Deferred), (REQUEST, Outcome::Fixed)] {
        let (shell, _folder) = shell(Some(APPROVE));
        let batch = batch(&["busy"]);
        let (key, approval) = approve(&shell, &batch).await;
        let resource = door_of(&batch, 0);
        let card_key = card_key("open-door", &resource);
        let now = Timestamp::now();
        let claim = Claim {
            run: RunId::start(),
            batch: 1,
            since: now,
            until: now + SignedDuration::from_hours(1),
            holder: holder.into(),
            part: "part".into(),
            changes: Vec::new(),
            undoes: None,
        };
        let card = Card::new("open-door", &resource).claim(claim.clone(), &FoundUnmade::nothing()).to_json().unwrap();
        // That its plan waits is on its card already.
        let stored = shell.records.fetch(&card_key).await.unwrap();
        let condition = remediation::records::Condition::Unchanged(stored.version);
        shell.records.put_if(&condition, &card_key, card).await.unwrap().unwrap();
        let handled = shell.handle(event(&[&key])).await;
        let report = report(&shell, &approval.id().report_key()).await;
        assert_eq!(report.count(outcome), 1, "{holder}: {report:?}");
        assert_eq!(is_open("busy"), outcome == Outcome::Deferred, "{holder}");
        match handled {
            Ok(_) => assert_eq!(outcome, Outcome::Fixed),
            Err(error) => {
                let says = format!(
                    "{key}: 1 finding(s) of the approval were deferred, and are tried again: busy: the run {} is at work \
                     on it, until {}",
                    claim.run, claim.until
                );
                assert!(outcome == Outcome::Deferred && error.to_string().starts_with(&says), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn records_of_another_version_are_refused_by_name() {
    let (shell, folder) = shell(Some(APPROVE));
    let (key, approval) = approve(&shell, &batch(&["version"])).await;
    for (record, kind, written, found) in [
        (approval.plan.as_str(), "plan", 2, 1),
        (approval.plan.as_str(), "plan", 2, 99),
        (key.as_str(), "approval", 2, 1),
        (key.as_str(), "approval", 2, 99),
    ] {
        let file = folder.path().join(record);
        let as_written = std::fs::read_to_string(&file).unwrap();
        let number = spelled(&as_written, written);
        std::fs::write(&file, as_written.replacen(&number, &format!("\"schema\":{found}"), 1)).unwrap();
        let error = shell.handle(event(&[&key])).await.unwrap_err().to_string();
        let says = format!("the {kind} has schema version {found}, but this build reads {written}");
        assert!(error.starts_with(&key) && error.contains(&says), "{error}");
        assert!(is_open("version"), "{kind} {found}");
        std::fs::write(&file, as_written).unwrap();
    }
}

/// How a record spells its version, with or without a space.
fn spelled(text: &str, version: u32) -> String {
    let spellings = [format!("\"schema\":{version}"), format!("\"schema\": {version}")];
    spellings.into_iter().find(|spelling| text.contains(spelling)).unwrap()
}

#[tokio::test]
async fn an_approval_of_another_rules_plan_is_refused() {
    let (shell, _folder) = shell(Some(APPROVE));
    let (_, approval) = approve(&shell, &batch(&["another rule"])).await;
    let mut other = approval;
    other.plan = "plans/other/2026-01-01/x-1.json".into();
    put(&shell, "approvals/open-door/other.json", &serde_json::to_string(&other).unwrap()).await;
    let error = shell.handle(event(&["approvals/open-door/other.json"])).await.unwrap_err().to_string();
    assert!(error.contains("is of plans/other/2026-01-01/x-1.json, which is no plan of open-door"), "{error}");
}
