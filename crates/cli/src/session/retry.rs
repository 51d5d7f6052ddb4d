//! A retry: the rule's Lambda is invoked once more with the object that it was to work on, as S3's own event would. The
//! batch is the same, so its plan and its report are stored beside those of the first attempt, and whatever was written then
//! is found as it is. Neither the function nor the object is taken from a message: the one is derived from the deployment's
//! names, and the other must be in the bucket, where only the poller, or an approver, can have put it.

use aws_config::SdkConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use failure_queue::{Deployment, Object};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use remediation::records::MOST_OF_BATCH;
use remediation::{RecordError, Records, call};
use serde_json::{Value, json};

/// What S3 leaves as it is in the key of an event.
const KEPT: AsciiSet = NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'*');

/// Why a batch was not retried.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RetryError {
    #[error(
        "{key} is not in the bucket any more, or never was: it cannot be retried, and the next poll lists what is still \
         wrong. `autoremediate failures drop` takes its message out of the queue"
    )]
    Missing { key: String },
    #[error(transparent)]
    Unreadable(#[from] RecordError),
    #[error("{0}. It needs the policy autoremediate-retrier-<region> of terraform/deploy/central")]
    Refused(#[from] remediation::Error),
}

/// What invokes the Lambdas of a deployment.
pub(crate) struct Retry<'a> {
    client: Client,
    deployment: &'a Deployment,
    records: &'a Records,
    bucket: &'a str,
}

impl<'a> Retry<'a> {
    pub(crate) fn new(config: &SdkConfig, deployment: &'a Deployment, records: &'a Records, bucket: &'a str) -> Self {
        Self { client: Client::new(config), deployment, records, bucket }
    }

    /// Has the rule's Lambda work on the object once more. It is accepted then, and not done.
    ///
    /// # Errors
    ///
    /// The object is not in the bucket, or Lambda refuses.
    pub(crate) async fn retry(&self, object: Object<'_>) -> Result<(), RetryError> {
        let Object { rule, key } = object;
        if self.records.find_at_most(key, MOST_OF_BATCH).await?.is_none() {
            return Err(RetryError::Missing { key: key.to_owned() });
        }
        let event = event(self.bucket, &self.deployment.region, key).to_string();
        let function = self.deployment.function(rule);
        let invoke = || {
            let invoke = self.client.invoke().function_name(&function).invocation_type(InvocationType::Event);
            invoke.payload(Blob::new(event.as_bytes())).send()
        };
        Ok(call("lambda:InvokeFunction", invoke).await.map(drop)?)
    }
}

/// The event of an object. It does not say who has put it there: only S3 knows.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
fn event(bucket: &str, region: &str, key: &str) -> Value {
    let key = utf8_percent_encode(key, &KEPT).to_string();
    json!({"Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": region,
        "eventTime": ambient::now().to_string(),
        "eventName": "ObjectCreated:Put",
        "userIdentity": {},
        "requestParameters": {},
        "responseElements": {},
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": bucket}, "object": {"key": key}},
    }]})
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::event::s3::S3Event;

    use super::*;
    use failure_queue::{Failure, Received};

    #[test]
    fn the_event_is_one_that_the_lambda_reads_and_names_the_same_object() {
        for key in ["findings/r/2026-01-02/x-1.ndjson.gz", "findings/r/by hand/ä+b%2F.ndjson"] {
            let event = event("b", "eu-west-1", key);
            let read: S3Event = serde_json::from_value(event.clone()).unwrap();
            assert_eq!((read.records.len(), read.records[0].principal_id.principal_id.clone()), (1, None));
            // As a message in which it has failed once more says it.
            let arn = "arn:aws:lambda:eu-west-1:111111111111:function:p-r";
            let context = json!({"functionArn": arn, "condition": "RetriesExhausted"});
            let body = json!({"requestContext": context, "requestPayload": event}).to_string();
            let deployment = Deployment {
                prefix: "p".into(),
                account: "111111111111".parse().unwrap(),
                region: "eu-west-1".into(),
                rules: ["r".to_owned()].into(),
            };
            let failure = Failure::of(&Received { body, ..Received::default() }, &deployment);
            assert_eq!(failure.what.object(), Some(Object { rule: "r", key }));
        }
    }
}
