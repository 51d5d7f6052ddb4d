//! The event bus.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::config::timeout::TimeoutConfig;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use remediation::call;

use crate::detail::{Kind, Message, SOURCE};

/// The bus that every account has in every region.
pub const DEFAULT_BUS: &str = "default";
/// The API action.
const ACTION: &str = "events:PutEvents";
/// The most entries of one call. <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>
const MOST_ENTRIES: usize = 10;
/// For how long one try is waited for, and for how long all of them together: a run that has ended waits for no message
/// longer than that. The SDK makes three tries.
const TRY: Duration = Duration::from_secs(3);
const ALL_TRIES: Duration = Duration::from_secs(10);

/// Where events go.
#[derive(Debug, Clone)]
pub struct Bus {
    client: Client,
    name: String,
}

/// What became of messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// How many the bus has taken.
    pub taken: usize,
    /// Those that it has not.
    pub refused: Vec<Refused>,
}

/// A message that the bus did not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {ACTION}: {code}: {message}", kind.detail_type())]
pub struct Refused {
    /// What it would have told.
    pub kind: Kind,
    /// The service's code.
    pub code: String,
    /// What the service says.
    pub message: String,
}

/// Why nothing of a call was taken.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The call failed.
    #[error("{0}")]
    Call(#[from] remediation::Error),
    /// It did not end in time.
    #[error(
        "{ACTION}: no answer within {} seconds: in a VPC, it needs the endpoint of `events`, or a way to the internet",
        ALL_TRIES.as_secs()
    )]
    Late,
    /// A message cannot be written as JSON.
    #[error("a message cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl Bus {
    /// The bus `name` of the account and region of `config`.
    pub fn new(config: &SdkConfig, name: impl Into<String>) -> Self {
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(TRY).operation_timeout(ALL_TRIES).build();
        let config = aws_sdk_eventbridge::config::Builder::from(config).timeout_config(timeouts).build();
        Self { client: Client::from_conf(config), name: name.into() }
    }

    /// The bus's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends the messages.
    ///
    /// # Errors
    ///
    /// The bus took none of a call: [`BusError`]. What it refused of a call is in [`Sent`].
    pub async fn send(&self, messages: &[Message]) -> Result<Sent, BusError> {
        let mut sent = Sent::default();
        for some in messages.chunks(MOST_ENTRIES) {
            let of_call = tokio::time::timeout(ALL_TRIES, self.put(some)).await.map_err(|_| BusError::Late)??;
            sent.taken = sent.taken.saturating_add(of_call.taken);
            sent.refused.extend(of_call.refused);
        }
        Ok(sent)
    }

    /// Sends what fits into one call.
    async fn put(&self, messages: &[Message]) -> Result<Sent, BusError> {
        let entries = messages.iter().map(|message| self.entry(message)).collect::<Result<Vec<_>, _>>()?;
        let put = || self.client.put_events().set_entries(Some(entries.clone())).send();
        let answer = call(ACTION, put).await?;
        let mut sent = Sent::default();
        // In the order of the request, one for each of its entries.
        for (message, entry) in messages.iter().zip(answer.entries()) {
            match entry.error_code() {
                None => sent.taken = sent.taken.saturating_add(1),
                Some(code) => sent.refused.push(Refused {
                    kind: message.detail.kind,
                    code: escape::brief(code),
                    message: escape::brief(entry.error_message().unwrap_or_default()),
                }),
            }
        }
        Ok(sent)
    }

    fn entry(&self, message: &Message) -> Result<PutEventsRequestEntry, serde_json::Error> {
        let Message { detail, resources } = message;
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(SOURCE)
            .detail_type(detail.kind.detail_type())
            .detail(serde_json::to_string(detail)?)
            .set_resources(Some(resources.clone()));
        Ok(entry.build())
    }
}

#[cfg(test)]
mod tests;
