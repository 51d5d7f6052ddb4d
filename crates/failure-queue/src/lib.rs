//! What is in the failure queue, and what each message is about.
//!
//! Three services send to it, and each in a form of its own: Lambda sends a record of the invocation that failed, EventBridge
//! Scheduler the payload that it could not deliver, and EventBridge an event that it could not pass on; the latter two say
//! the rest in the message's attributes. What a message says is only believed as far as it can be held against the
//! deployment's own names: whoever may send to the queue can put anything into it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use remediation::{AccountId, BatchId, Folder};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

/// The most characters of an error that are kept: those that a Lambda of ours tells.
const MOST_OF_ERROR: usize = 8_000;
/// The longest key of an object, in bytes. <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
const MOST_OF_KEY: usize = 1_024;

/// The names of a deployment, which its messages are held against.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// What the names of its Lambdas and its queue begin with: `name_prefix` in Terraform.
    pub prefix: String,
    /// The account that it is in.
    pub account: AccountId,
    /// The code of the region that it is in.
    pub region: String,
    /// The IDs of the rules that this command line knows.
    pub rules: BTreeSet<String>,
}

impl Deployment {
    /// The name of the failure queue.
    pub fn queue(&self) -> String {
        format!("{}-failures", self.prefix)
    }

    /// The name of the queue of batches that were too old before a Lambda had room for them.
    pub fn too_old_queue(&self) -> String {
        format!("{}-too-old", self.prefix)
    }

    /// The name of the Lambda of a rule, or of the poller.
    pub fn function(&self, of: &str) -> String {
        format!("{}-{of}", self.prefix)
    }

    /// What the Lambda of this ARN works for: a rule's ID or `poller`; none where it is not of the deployment.
    fn of_function<'a>(&self, arn: &'a str) -> Option<&'a str> {
        let parts: Vec<_> = arn.split(':').collect();
        let [_, _, "lambda", region, account, "function", name, ..] = parts[..] else { return None };
        let is_here = region == self.region && account == self.account.as_ref();
        name.strip_prefix(&self.prefix)?.strip_prefix('-').filter(|_| is_here)
    }
}

/// A message as SQS gave it.
#[derive(Debug, Clone, Default)]
pub struct Received {
    /// The message's ID.
    pub id: String,
    /// When it came into the queue, by SQS.
    pub since: Option<Timestamp>,
    /// What it says.
    pub body: String,
    /// What the service says beside it.
    pub attributes: BTreeMap<String, String>,
}

/// A message of the queue, as far as it can be made out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The message's ID.
    pub id: String,
    /// When it came into the queue.
    pub since: Option<Timestamp>,
    /// What failed.
    #[serde(flatten)]
    pub what: What,
    /// Why it is in the queue, as the service says; none where it does not.
    pub condition: Option<Condition>,
    /// How often it was tried.
    pub attempts: Option<u64>,
    /// What went wrong, in the service's or the Lambda's words.
    pub error: Option<String>,
}

/// What failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// A rule's Lambda, with a batch of findings.
    Batch {
        /// The rule's ID.
        rule: String,
        /// The key of the batch.
        key: String,
        /// Where its first report is, if there is one; none where the key has not the form of a batch's.
        #[serde(skip_serializing_if = "Option::is_none")]
        report: Option<String>,
    },
    /// A rule's Lambda, with an approval of a plan.
    Approval {
        /// The rule's ID.
        rule: String,
        /// The key of the approval.
        key: String,
    },
    /// A poll for a rule: the poller failed, or the scheduler could not start it.
    Poll {
        /// The rule's ID, where it is one that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
    },
    /// A message for people that EventBridge could not pass on.
    Message {
        /// The ARN of EventBridge's rule.
        event_rule: String,
        /// What it would have said first.
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<String>,
    },
    /// Nothing that this deployment's services send.
    Unknown {
        /// Why it is none of the others.
        why: String,
    },
}

/// What a message is about, without which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A rule's Lambda, with a batch of findings.
    Batch,
    /// A rule's Lambda, with an approval.
    Approval,
    /// The poller, or the schedule that starts it.
    Poll,
    /// EventBridge, with a message for people.
    Message,
    /// Nothing that the deployment's services send.
    Unknown,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Batch, Self::Approval, Self::Poll, Self::Message, Self::Unknown];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Approval => "approval",
            Self::Poll => "poll",
            Self::Message => "message",
            Self::Unknown => "unknown",
        }
    }
}

/// Why a service gave up.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Every try failed.
    RetriesExhausted,
    /// It was not done before it was too old: the Lambda was throttled, or the service could not reach it.
    TooOld,
    /// In the service's own words.
    Other(String),
}

impl Condition {
    /// Of Lambda's record, or of EventBridge's attribute EXHAUSTED_RETRY_CONDITION.
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-event-delivery.html#eb-rule-dlq>
    fn of(text: &str) -> Self {
        match text {
            "RetriesExhausted" | "MaximumRetryAttempts" => Self::RetriesExhausted,
            "EventAgeExceeded" | "MaximumEventAgeInSeconds" => Self::TooOld,
            other => Self::Other(escape::brief(other)),
        }
    }

    /// As JSON and CSV have it.
    pub fn name(&self) -> &str {
        match self {
            Self::RetriesExhausted => "retries_exhausted",
            Self::TooOld => "too_old",
            Self::Other(text) => text,
        }
    }
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl What {
    /// What it is about, without which of them.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Batch { .. } => Kind::Batch,
            Self::Approval { .. } => Kind::Approval,
            Self::Poll { .. } => Kind::Poll,
            Self::Message { .. } => Kind::Message,
            Self::Unknown { .. } => Kind::Unknown,
        }
    }

    /// The ID of the rule that it is about.
    pub fn rule(&self) -> Option<&str> {
        match self {
            Self::Batch { rule, .. } | Self::Approval { rule, .. } => Some(rule),
            Self::Poll { rule } => rule.as_deref(),
            Self::Message { .. } | Self::Unknown { .. } => None,
        }
    }

    /// What the rule's Lambda was to work on.
    pub fn object(&self) -> Option<Object<'_>> {
        match self {
            Self::Batch { rule, key, .. } | Self::Approval { rule, key } => Some(Object { rule, key }),
            _ => None,
        }
    }

    /// What is lost where the message is dropped.
    pub fn lost(&self) -> &'static str {
        match self {
            Self::Batch { .. } => "these findings are worked on again only if the next poll lists them",
            Self::Approval { .. } => "the approved changes are not made, unless somebody approves them again",
            Self::Poll { .. } => "nothing: the next poll is its retry",
            Self::Message { .. } => "nobody is told what the message says",
            Self::Unknown { .. } => "what the message says, which nothing of this deployment reads",
        }
    }
}

/// An object that a rule's Lambda works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object<'a> {
    /// The rule's ID.
    pub rule: &'a str,
    /// Its key.
    pub key: &'a str,
}

impl Display for Kind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Lambda's record of an invocation that failed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    request_context: Context,
    request_payload: Value,
    #[serde(default)]
    response_payload: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    function_arn: String,
    condition: String,
    #[serde(default)]
    approximate_invoke_count: Option<u64>,
}

impl Failure {
    /// What a message says.
    pub fn of(received: &Received, deployment: &Deployment) -> Self {
        let Received { id, since, body, attributes } = received;
        let attribute = |name: &str| attributes.get(name).map(String::as_str);
        // EventBridge and its Scheduler say what went wrong in attributes, Lambda in the body.
        let of_events = |what| Self {
            id: escape::brief(id),
            since: *since,
            what,
            condition: attribute("EXHAUSTED_RETRY_CONDITION").map(Condition::of),
            attempts: attribute("RETRY_ATTEMPTS").and_then(|count| count.parse().ok()),
            error: error(attribute("ERROR_CODE"), attribute("ERROR_MESSAGE")),
        };
        let json = serde_json::from_str::<Value>(body);
        if let Some(rule) = attribute("RULE_ARN") {
            let title = json.ok().and_then(|event| Some(escape::brief(event["detail"]["text"]["title"].as_str()?)));
            return of_events(What::Message { event_rule: escape::brief(rule), title });
        }
        if attribute("SCHEDULE_ARN").is_some() {
            let rule = json.ok().and_then(|payload| deployment.rule_of_poll(&payload));
            return of_events(What::Poll { rule });
        }
        match serde_json::from_str::<Invocation>(body) {
            Ok(invocation) => Self::of_invocation(id, *since, invocation, deployment),
            Err(error) => {
                of_events(What::Unknown { why: escape::brief(&format!("it is no record of Lambda's: {error}")) })
            }
        }
    }

    fn of_invocation(id: &str, since: Option<Timestamp>, invocation: Invocation, deployment: &Deployment) -> Self {
        let Invocation { request_context, request_payload, response_payload } = invocation;
        let Context { function_arn, condition, approximate_invoke_count } = request_context;
        let what = match deployment.of_function(&function_arn) {
            Some("poller") => What::Poll { rule: deployment.rule_of_poll(&request_payload) },
            Some(rule) if deployment.rules.contains(rule) => of_event(rule, &request_payload),
            Some(rule) => unknown(format!("it is of the rule `{rule}`, which this command line does not know")),
            None => unknown(format!("it is of the function `{function_arn}`, which is not of this deployment")),
        };
        let text = |field: &str| response_payload[field].as_str();
        Self {
            id: escape::brief(id),
            since,
            what,
            condition: Some(Condition::of(&condition)),
            attempts: approximate_invoke_count,
            error: error(text("errorType"), text("errorMessage")),
        }
    }
}

impl Deployment {
    fn rule_of_poll(&self, payload: &Value) -> Option<String> {
        payload["rule"].as_str().filter(|rule| self.rules.contains(*rule)).map(str::to_owned)
    }
}

/// What the event of a rule's Lambda is about.
fn of_event(rule: &str, event: &Value) -> What {
    let records = event["Records"].as_array().map(Vec::as_slice).unwrap_or_default();
    let [record] = records else {
        return unknown(format!("its event has {} records of S3, and one is expected", records.len()));
    };
    // Keys arrive as in an HTML form.
    let encoded = record["s3"]["object"]["key"].as_str().unwrap_or_default().replace('+', " ");
    let key = percent_decode_str(&encoded).decode_utf8_lossy().into_owned();
    let rule = rule.to_owned();
    if key.len() <= MOST_OF_KEY && key.starts_with(&Folder::Findings.of(&rule)) {
        let report = BatchId::from_findings_key(&key, &rule).map(|id| id.report_key());
        return What::Batch { rule, key, report };
    }
    if key.len() <= MOST_OF_KEY && key.starts_with(&Folder::Approvals.of(&rule)) {
        return What::Approval { rule, key };
    }
    unknown(format!("its object is no batch and no approval of the rule {rule}: `{key}`"))
}

fn unknown(why: String) -> What {
    What::Unknown { why: escape::brief(&why) }
}

/// The code and what it means, as one text.
fn error(code: Option<&str>, message: Option<&str>) -> Option<String> {
    let parts: Vec<_> = [code, message].into_iter().flatten().filter(|part| !part.is_empty()).collect();
    (!parts.is_empty()).then(|| escape::beginning(&parts.join(": "), MOST_OF_ERROR))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const RULE: &str = "s3-public-bucket";
    const KEY: &str = "findings/s3-public-bucket/2025-09-30/01999999-9999-7999-8999-999999999999-1.ndjson.gz";

    fn deployment() -> Deployment {
        Deployment {
            prefix: "autoremediate".into(),
            account: "111111111111".parse().unwrap(),
            region: "eu-west-1".into(),
            rules: [RULE.to_owned()].into(),
        }
    }

    /// Lambda's record, as its documentation shows it.
    fn record(function: &str, condition: &str, event: &Value) -> Value {
        json!({
            "version": "1.0", "timestamp": "2026-01-02T03:04:05.678Z",
            "requestContext": {"requestId": "e4b46cbf", "condition": condition, "approximateInvokeCount": 3,
                "functionArn": format!("arn:aws:lambda:eu-west-1:111111111111:function:{function}:$LATEST")},
            "requestPayload": event,
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "responsePayload": {"errorMessage": "line 1 of the batch", "errorType": "EventError"},
        })
    }

    fn event(key: &str) -> Value {
        json!({"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": key}}}]})
    }

    fn read(body: &Value) -> Failure {
        read_with(&body.to_string(), &[])
    }

    fn read_with(body: &str, attributes: &[(&str, &str)]) -> Failure {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let received = Received { id: "1".into(), since: None, body: body.into(), attributes };
        Failure::of(&received, &deployment())
    }

    #[test]
    fn a_batch_that_failed_and_one_that_was_too_old_are_told_apart() {
        for (condition, name) in [
            ("RetriesExhausted", "retries_exhausted"),
            ("EventAgeExceeded", "too_old"),
            ("ZeroReservedConcurrency", "ZeroReservedConcurrency"),
        ] {
            let failure = read(&record("autoremediate-s3-public-bucket", condition, &event(KEY)));
            let report = Some(KEY.replace("findings", "reports").replace("ndjson.gz", "json"));
            assert_eq!(failure.what, What::Batch { rule: RULE.into(), key: KEY.into(), report });
            assert_eq!(failure.condition.as_ref().map(Condition::name), Some(name));
            assert_eq!(
                (failure.attempts, failure.error.as_deref()),
                (Some(3), Some("EventError: line 1 of the batch"))
            );
        }
        // One that never ran has no answer.
        let mut never_ran = record("autoremediate-s3-public-bucket", "EventAgeExceeded", &event(KEY));
        never_ran.as_object_mut().unwrap().remove("responsePayload");
        assert_eq!((read(&never_ran).what.kind(), read(&never_ran).error), (Kind::Batch, None));
    }

    #[test]
    fn each_service_says_in_its_own_form_what_failed() {
        let approval = "approvals/s3-public-bucket/2026-01-02/x-1.json";
        let failure = read(&record("autoremediate-s3-public-bucket", "RetriesExhausted", &event(approval)));
        assert_eq!(failure.what, What::Approval { rule: RULE.into(), key: approval.into() });
        let failure = read(&record("autoremediate-poller", "RetriesExhausted", &json!({"rule": RULE})));
        assert_eq!(failure.what, What::Poll { rule: Some(RULE.into()) });

        let of_schedule = [
            ("SCHEDULE_ARN", "arn:aws:scheduler:eu-west-1:111111111111:schedule/autoremediate/s3-public-bucket"),
            ("ERROR_CODE", "AccessDeniedException"),
            ("EXHAUSTED_RETRY_CONDITION", "MaximumEventAgeInSeconds"),
        ];
        let failure = read_with(r#"{"rule": "s3-public-bucket"}"#, &of_schedule);
        assert_eq!(
            (failure.what, failure.condition),
            (What::Poll { rule: Some(RULE.into()) }, Some(Condition::TooOld))
        );
        assert_eq!(failure.error.as_deref(), Some("AccessDeniedException"));

        let rule = "arn:aws:events:eu-west-1:111111111111:rule/autoremediate-chat";
        let of_rule =
            [("RULE_ARN", rule), ("ERROR_CODE", "NO_PERMISSIONS"), ("ERROR_MESSAGE", "no"), ("RETRY_ATTEMPTS", "0")];
        let failure = read_with(r#"{"detail": {"text": {"title": "3 fixed"}}}"#, &of_rule);
        assert_eq!(failure.what, What::Message { event_rule: rule.into(), title: Some("3 fixed".into()) });
        assert_eq!((failure.error.as_deref(), failure.attempts), (Some("NO_PERMISSIONS: no"), Some(0)));
        assert_eq!(failure.what.rule(), None);
    }

    /// Whoever may send to the queue says what they like.
    #[test]
    fn nothing_but_what_the_deployment_has_itself_is_believed() {
        let good = "autoremediate-s3-public-bucket";
        for (function, event, why) in [
            ("autoremediate-other-rule", event(KEY), "does not know"),
            ("payments", event(KEY), "not of this deployment"),
            ("autoremediate-", event(KEY), "does not know"),
            (good, event("findings/iam-stale-access-key/2025-09-30/x-1.ndjson.gz"), "no batch and no approval"),
            (good, event("findings/s3-public-bucket"), "no batch and no approval"),
            (good, event("policy.json"), "no batch and no approval"),
            (good, event(&format!("findings/s3-public-bucket/{}", "x".repeat(1_100))), "no batch and no approval"),
            (good, json!({"Records": []}), "has 0 records"),
            (good, json!({"Records": [{}, {}]}), "has 2 records"),
            (good, json!({"Records": "x"}), "has 0 records"),
            (good, json!({"Records": [{"s3": []}]}), "no batch and no approval"),
            (good, Value::Null, "has 0 records"),
        ] {
            let failure = read(&record(function, "RetriesExhausted", &event));
            let What::Unknown { why: found } = &failure.what else { panic!("{failure:?}") };
            assert!(found.contains(why) && found.chars().count() <= escape::BRIEF + 1, "{found}");
            assert_eq!(failure.what.object(), None);
        }
        // The same function of another account or another region.
        for arn in [
            "arn:aws:lambda:eu-west-1:222222222222:function:autoremediate-s3-public-bucket",
            "arn:aws:lambda:us-east-1:111111111111:function:autoremediate-s3-public-bucket",
            "autoremediate-s3-public-bucket",
        ] {
            let mut record = record(good, "RetriesExhausted", &event(KEY));
            record["requestContext"]["functionArn"] = json!(arn);
            assert_eq!(read(&record).what.kind(), Kind::Unknown, "{arn}");
        }
        let deep = "[".repeat(100_000);
        for body in ["", "x", "[]", "null", r#"{"requestContext": 1}"#, deep.as_str()] {
            let failure = read_with(body, &[]);
            assert_eq!(failure.what.kind(), Kind::Unknown, "{failure:?}");
        }
    }

    #[test]
    fn what_a_message_says_is_bounded_and_escaped() {
        let mut record = record("autoremediate-s3-public-bucket", "\u{1b}[2J", &event(KEY));
        record["responsePayload"]["errorMessage"] = json!(format!("\u{202e}{}", "x".repeat(100_000)));
        let failure = read(&record);
        let error = failure.error.unwrap();
        assert!(error.len() < 9_000 && !error.contains('\u{202e}') && error.contains("\\u{202e}"));
        assert_eq!(failure.condition, Some(Condition::Other("\\u{1b}[2J".into())));
    }

    #[test]
    fn a_key_is_decoded_as_s3_encodes_it() {
        let key = "findings/s3-public-bucket/by+hand/a%2Bb.ndjson";
        let failure = read(&record("autoremediate-s3-public-bucket", "RetriesExhausted", &event(key)));
        let key = "findings/s3-public-bucket/by hand/a+b.ndjson";
        assert_eq!(failure.what, What::Batch { rule: RULE.into(), key: key.into(), report: None });
    }

    /// A message, of any of the three services, of which one part is anything.
    fn a_message() -> impl Strategy<Value = (String, Vec<(&'static str, String)>)> {
        let names = ["RULE_ARN", "SCHEDULE_ARN", "ERROR_CODE", "ERROR_MESSAGE", "RETRY_ATTEMPTS"];
        let attributes = prop::collection::vec((prop::sample::select(names.to_vec()), any::<String>()), 0..4);
        let functions = ["autoremediate-s3-public-bucket", "autoremediate-poller", "other"];
        let body = (prop::sample::select(functions.to_vec()), any::<String>(), any::<String>(), 0..5).prop_map(
            |(function, key, text, part)| match part {
                0 => text,
                1 => record(function, &text, &event(&key)).to_string(),
                2 => record(function, "RetriesExhausted", &event(&format!("findings/{RULE}/{key}"))).to_string(),
                3 => record(function, "RetriesExhausted", &json!({"rule": text, "Records": key})).to_string(),
                _ => json!({"detail": {"text": {"title": text}}, "rule": key}).to_string(),
            },
        );
        (body, attributes)
    }

    proptest! {
        #[test]
        fn any_message_is_made_out_and_nothing_of_it_is_long_or_unsafe((body, attributes) in a_message()) {
            let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            let received = Received { id: body.clone(), since: None, body, attributes };
            let failure = Failure::of(&received, &deployment());
            prop_assert!(!failure.id.contains(escape::is_unsafe) && failure.id.chars().count() <= escape::BRIEF + 1);
            prop_assert!(failure.error.is_none_or(|error| !error.contains(escape::is_unsafe)));
            if let Some(object) = failure.what.object() {
                let folders = [Folder::Findings.of(RULE), Folder::Approvals.of(RULE)];
                prop_assert!(object.rule == RULE && folders.iter().any(|folder| object.key.starts_with(folder)));
                prop_assert!(object.key.len() <= MOST_OF_KEY);
            }
            prop_assert!(failure.what.rule().is_none_or(|rule| rule == RULE));
        }
    }
}
