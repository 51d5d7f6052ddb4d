//! The failure queue itself, and the queue of what was only too old, as if they were one. To read a message is to hide it from
//! everybody else for a while, and nobody is told who has it: so what is read and not taken is given back at once, and comes
//! back by itself where that fails.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry as Entry, Message, MessageSystemAttributeName as SystemAttribute,
    QueueAttributeName as Attribute,
};
use failure_queue::{Deployment, Failure, Received};
use jiff::Timestamp;
use remediation::{Error as CallError, call};
use serde::Serialize;
use tokio::time::Instant;

use crate::error::Error;

/// For how long what is read is hidden from others, in seconds: longer than all of it is read and worked on.
const HIDDEN: i32 = 180;
/// For how long messages are read: what was read first must still be hidden when the last one is.
const READING: Duration = Duration::from_secs(90);
/// How long SQS waits for a message, in seconds. Where it does not wait at all, it asks only some of its servers.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html>
const WAIT: i32 = 1;
/// The most messages of one call. <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>
const MOST_OF_CALL: usize = 10;

/// The code of a queue that there is not.
const NO_QUEUE: [&str; 2] = ["QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"];

/// The queues of a deployment.
pub(crate) struct Queue<'a> {
    client: Client,
    deployment: &'a Deployment,
    queues: Vec<Single>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Single {
    name: String,
    url: String,
}

/// How many messages there are, roughly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Those that can be read.
    pub(crate) visible: usize,
    /// Those that somebody is reading.
    pub(crate) hidden: usize,
}

/// A message that is hidden from others.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) failure: Failure,
    /// The body as it is, where it was asked for.
    pub(crate) body: Option<String>,
    receipt: String,
    queue: Single,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) held: Vec<Held>,
    /// As they were before.
    pub(crate) counts: Counts,
    /// Whether there was nothing more to be read.
    pub(crate) is_whole: bool,
}

impl<'a> Queue<'a> {
    /// The failure queue of the deployment, and the queue of what was too old, which deployments of before have not.
    ///
    /// # Errors
    ///
    /// There is no failure queue, or the caller may not look.
    pub(crate) async fn open(config: &SdkConfig, deployment: &'a Deployment) -> Result<Self, Error> {
        let client = Client::new(config);
        let mut queues = Vec::new();
        for (name, is_needed) in [(deployment.queue(), true), (deployment.too_old_queue(), false)] {
            let url = call("sqs:GetQueueUrl", || client.get_queue_url().queue_name(&name).send()).await;
            let failed = |source| Error::FailureQueue { queue: name.clone(), source: Box::new(source) };
            let url = match url {
                Err(CallError { code: Some(code), .. }) if !is_needed && NO_QUEUE.contains(&code.as_str()) => continue,
                url => url.map_err(failed)?.queue_url,
            };
            let url = url.ok_or_else(|| failed(CallError::unusable("sqs:GetQueueUrl", "no URL")))?;
            queues.push(Single { name, url });
        }
        Ok(Self { client, deployment, queues })
    }

    /// Reads the messages, `most` of them at most, and hides them from others meanwhile. Only the bodies that are `wanted`
    /// are kept: there may be thousands, of a million bytes each.
    ///
    /// # Errors
    ///
    /// A call failed; what was read before is given back.
    pub(crate) async fn read(&self, most: usize, wanted: impl Fn(&Failure) -> bool) -> Result<Read, Error> {
        let counts = self.counts().await?;
        let (end, mut held, mut seen) = (Instant::now() + READING, Vec::new(), BTreeSet::new());
        for queue in &self.queues {
            loop {
                if held.len() >= most || Instant::now() >= end {
                    return Ok(Read { held, counts, is_whole: false });
                }
                let some = match self.receive(queue, (most - held.len()).min(MOST_OF_CALL)).await {
                    Ok(some) => some,
                    Err(error) => {
                        // The first error says more than one of giving back would.
                        let _ = self.give_back(&held).await;
                        return Err(error);
                    }
                };
                if some.is_empty() {
                    break;
                }
                // SQS may give a message twice.
                let some = some.into_iter().filter_map(|message| self.held(queue, message, &wanted));
                held.extend(some.filter(|of| seen.insert(of.failure.id.clone())));
            }
        }
        Ok(Read { held, counts, is_whole: true })
    }

    /// Lets others see these messages again.
    ///
    /// # Errors
    ///
    /// A call failed; they come back by themselves within three minutes.
    pub(crate) async fn give_back<'h>(&self, held: impl IntoIterator<Item = &'h Held>) -> Result<(), Error> {
        let held: Vec<_> = held.into_iter().collect();
        for some in held.chunk_by(|one, other| one.queue == other.queue).flat_map(|of| of.chunks(MOST_OF_CALL)) {
            let Some(Held { queue, .. }) = some.first() else { continue };
            let entry = |(number, of): (usize, &&Held)| {
                Entry::builder().id(number.to_string()).receipt_handle(&of.receipt).visibility_timeout(0).build()
            };
            let entries: Vec<_> = some
                .iter()
                .enumerate()
                .map(entry)
                .collect::<Result<_, _>>()
                .map_err(|error| queue.failed(CallError::unusable("sqs:ReceiveMessage", &error.to_string())))?;
            let give = || {
                self.client
                    .change_message_visibility_batch()
                    .queue_url(&queue.url)
                    .set_entries(Some(entries.clone()))
                    .send()
            };
            // One that somebody else has read or deleted meanwhile is theirs.
            call("sqs:ChangeMessageVisibility", give).await.map_err(|source| queue.failed(source))?;
        }
        Ok(())
    }

    /// Deletes a message.
    ///
    /// # Errors
    ///
    /// The call failed: the message is still in the queue.
    pub(crate) async fn delete(&self, held: &Held) -> Result<(), Error> {
        let Held { queue, receipt, .. } = held;
        let delete = || self.client.delete_message().queue_url(&queue.url).receipt_handle(receipt).send();
        call("sqs:DeleteMessage", delete).await.map(drop).map_err(|source| queue.failed(source))
    }

    async fn counts(&self) -> Result<Counts, Error> {
        let (visible, hidden) =
            (Attribute::ApproximateNumberOfMessages, Attribute::ApproximateNumberOfMessagesNotVisible);
        let names = [visible.clone(), hidden.clone()];
        let mut counts = Counts { visible: 0, hidden: 0 };
        for queue in &self.queues {
            let ask = || self.client.get_queue_attributes().queue_url(&queue.url);
            let ask = || ask().set_attribute_names(Some(names.to_vec())).send();
            let answer = call("sqs:GetQueueAttributes", ask).await.map_err(|source| queue.failed(source))?;
            let count =
                |name| answer.attributes().and_then(|of| of.get(name)?.parse::<usize>().ok()).unwrap_or_default();
            counts.visible = count(&visible).saturating_add(counts.visible);
            counts.hidden = count(&hidden).saturating_add(counts.hidden);
        }
        Ok(counts)
    }

    async fn receive(&self, queue: &Single, count: usize) -> Result<Vec<Message>, Error> {
        let count = i32::try_from(count).unwrap_or(1);
        let receive = || {
            let receive = self.client.receive_message().queue_url(&queue.url).max_number_of_messages(count);
            let receive = receive.visibility_timeout(HIDDEN).wait_time_seconds(WAIT).message_attribute_names("All");
            receive.message_system_attribute_names(SystemAttribute::SentTimestamp).send()
        };
        let answer = call("sqs:ReceiveMessage", receive).await.map_err(|source| queue.failed(source))?;
        Ok(answer.messages.unwrap_or_default())
    }

    /// None without the receipt: nothing can be done with it, and it comes back.
    fn held(&self, queue: &Single, message: Message, wanted: impl Fn(&Failure) -> bool) -> Option<Held> {
        let attributes = message.message_attributes.unwrap_or_default().into_iter();
        let since = message.attributes.as_ref().and_then(|of| of.get(&SystemAttribute::SentTimestamp)?.parse().ok());
        let received = Received {
            id: message.message_id.unwrap_or_default(),
            since: since.and_then(|sent| Timestamp::from_millisecond(sent).ok()),
            body: message.body.unwrap_or_default(),
            attributes: attributes.filter_map(|(name, value)| Some((name, value.string_value?))).collect(),
        };
        let failure = Failure::of(&received, self.deployment);
        let body = wanted(&failure).then_some(received.body);
        Some(Held { failure, body, receipt: message.receipt_handle?, queue: queue.clone() })
    }
}

impl Single {
    fn failed(&self, source: CallError) -> Error {
        Error::FailureQueue { queue: self.name.clone(), source: Box::new(source) }
    }
}
