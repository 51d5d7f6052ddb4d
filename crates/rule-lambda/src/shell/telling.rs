//! What a stored report says is told to whoever listens to the event bus. That fails nothing: the report is stored, and
//! says the same.

use messages::{Bus, of_report};
use remediation::{Records, Report};
use serde::Serialize;

/// How many messages about a batch were sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Messages {
    /// Those that the bus has taken.
    pub sent: usize,
    /// Those that it has not; the log says why.
    pub lost: usize,
}

/// Tells what the report says, which is stored under `key`; nothing of one that is not stored.
pub(super) async fn tell(bus: Option<&Bus>, records: &Records, report: &Report, key: Option<&str>) -> Messages {
    let (Some(bus), Some(key)) = (bus, key) else { return Messages::default() };
    let bucket = match records {
        Records::Bucket { bucket, .. } => bucket.as_str(),
        Records::Folder(_) => "",
    };
    let messages = of_report(report, bucket, key);
    let kinds: Vec<_> = messages.iter().map(|message| message.detail.kind).collect();
    let sent = bus.send(&messages).await;
    match &sent {
        Ok(sent) => sent.refused.iter().for_each(|refused| tracing::error!(%refused, "a message was not taken")),
        Err(error) => tracing::error!(%error, ?kinds, bus = bus.name(), "no message could be sent"),
    }
    let sent = sent.map_or(0, |sent| sent.taken);
    let done = Messages { sent, lost: messages.len().saturating_sub(sent) };
    if !messages.is_empty() {
        tracing::info!(?kinds, messages_sent = done.sent, messages_lost = done.lost, "messages");
    }
    done
}
