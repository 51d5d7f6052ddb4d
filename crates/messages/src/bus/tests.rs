//! Answers of the service in, what became of the messages out.

use aws_sdk_eventbridge::operation::put_events::{PutEventsError, PutEventsOutput};
use aws_sdk_eventbridge::types::PutEventsResultEntry;
use aws_sdk_eventbridge::types::error::InternalException;
use aws_smithy_mocks::{RuleMode, mock, mock_client};

use super::*;
use crate::samples::samples;

fn taken() -> PutEventsResultEntry {
    PutEventsResultEntry::builder().event_id("i").build()
}

#[tokio::test]
async fn messages_go_in_one_call_and_what_is_refused_is_said() {
    let messages = samples("records").unwrap();
    let refused = PutEventsResultEntry::builder().error_code("ThrottlingException").error_message("slower").build();
    let answers = [taken(), refused].into_iter().chain((2..messages.len()).map(|_| taken())).collect::<Vec<_>>();
    let rule = mock!(Client::put_events)
        .match_requests(|request| {
            let sources: Vec<_> = request.entries().iter().filter_map(PutEventsRequestEntry::source).collect();
            sources == [SOURCE; 6] && request.entries().iter().all(|entry| entry.event_bus_name() == Some("house"))
        })
        .then_output(move || PutEventsOutput::builder().set_entries(Some(answers.clone())).build());
    let client = mock_client!(aws_sdk_eventbridge, RuleMode::Sequential, [&rule]);
    let sent = Bus { client, name: "house".into() }.send(&messages).await.unwrap();
    assert_eq!((sent.taken, sent.refused.len(), rule.num_calls()), (5, 1, 1));
    let refused = sent.refused[0].to_string();
    assert_eq!(refused, "Run Has Fixed: events:PutEvents: ThrottlingException: slower");
}

#[tokio::test]
async fn no_call_is_made_without_a_message() {
    let client = mock_client!(aws_sdk_eventbridge, []);
    assert_eq!(Bus { client, name: "house".into() }.send(&[]).await.unwrap(), Sent::default());
}

#[tokio::test]
async fn an_error_names_the_action() {
    let rule = mock!(Client::put_events)
        .then_error(|| PutEventsError::InternalException(InternalException::builder().message("oh").build()));
    let client = mock_client!(aws_sdk_eventbridge, [&rule]);
    let bus = Bus { client, name: "house".into() };
    let error = bus.send(&samples("records").unwrap()).await.unwrap_err().to_string();
    assert!(error.starts_with("events:PutEvents: "), "{error}");
}
