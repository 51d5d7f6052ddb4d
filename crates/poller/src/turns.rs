//! When a poller may ask Netskope, which takes four requests a second from a tenant, whoever sends them.
//!
//! A poller takes some slots at a time, as far apart as its requests have been, and sends a request at the beginning of
//! each. Where none can be taken, because the bucket cannot be read or written, it keeps to the slots that are kept for its
//! rule. Who has invoked the poller without a place among the rules has none of these, and then asks nothing.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;
use netskope::Pace;
use remediation::Records;
use remediation::records::{Slot, TurnPlace, Turns};
use tokio::sync::Mutex;
use tokio::time::sleep;

/// The slots of one poll.
#[derive(Debug)]
pub(crate) struct PollTurns {
    turns: Turns,
    /// Which of the deployment's rules it polls for.
    rule: Option<TurnPlace>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: VecDeque<Slot>,
    /// The slot of the last request.
    last: Option<Slot>,
    /// When the last request was sent.
    sent: Option<Timestamp>,
}

impl PollTurns {
    pub(crate) fn new(records: Records, deployment: TurnPlace, rule: Option<TurnPlace>) -> Self {
        Self { turns: Turns::new(records, deployment), rule, state: Mutex::default() }
    }

    async fn next(&self) -> Result<(), String> {
        let mut state = self.state.lock().await;
        let apart = state.sent.map_or(Duration::ZERO, |sent| ambient::now().duration_since(sent).unsigned_abs());
        loop {
            let Some(slot) = state.taken.pop_front() else {
                state.taken = match self.turns.take(apart).await {
                    Ok(taken) if !taken.is_empty() => taken.into(),
                    Ok(_) => [self.kept(state.last, "all are taken")?].into(),
                    Err(error) => [self.kept(state.last, &error.to_string())?].into(),
                };
                continue;
            };
            let Some(wait) = self.turns.until(slot, ambient::now()) else { continue };
            sleep(wait).await;
            let now = ambient::now();
            // Whoever has slept for too long has missed it.
            if self.turns.until(slot, now) == Some(Duration::ZERO) {
                (state.sent, state.last) = (Some(now), Some(slot));
                return Ok(());
            }
        }
    }

    /// The slot that is kept for the rule, where none can be taken.
    fn kept(&self, last: Option<Slot>, why: &str) -> Result<Slot, String> {
        tracing::warn!(why, "no turns to ask Netskope can be taken; the poll keeps to those of its rule, and is slow");
        let rule = self.rule.ok_or_else(|| format!("no turn to ask Netskope can be taken: {why}"))?;
        Ok(self.turns.kept_for(rule, ambient::now(), last))
    }
}

impl Pace for PollTurns {
    fn turn(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(self.next())
    }
}

#[cfg(test)]
mod tests;
