//! The third station: the claim. Only who holds it writes to the resource, and only until its time is up.

use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use remediation::records::{Claim, Condition, Ended, Exempt, FoundUnmade, Write};
use remediation::{BatchId, Card, Finding, Outcome, RecordError, Records, Resource, Result, Rule, RunId};
use serde_json::Value;
use tokio::sync::{Mutex as AsyncMutex, watch};

use crate::cards::Known;
use crate::resolve::Verdict;
use crate::{Deadline, Engine};

/// How long after a Lambda's deadline its claims end: it is dead by then, and cannot write.
const AFTER_DEADLINE: Duration = Duration::from_secs(60);

/// What a claim is for.
#[derive(Debug, Clone)]
pub(crate) struct Purpose {
    /// The digest of the resource's part of the plan.
    pub(crate) part: String,
    /// The changes of that part, as cards keep them.
    pub(crate) changes: Vec<Value>,
    /// What a look after the card was listed has found to be still to be made of what earlier runs wrote.
    pub(crate) found: FoundUnmade,
    /// What it takes back, where it is an undo's, and until when runs then leave the resource alone.
    pub(crate) undo: Option<Undoes>,
}

/// A resource's part of what a batch's plan says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PartOf<'a> {
    pub(crate) id: &'a BatchId,
    /// Its digest.
    pub(crate) part: &'a str,
}

/// What came of a claim.
#[derive(Debug)]
pub(crate) enum CameOfIt<'a> {
    /// The run has written.
    Write {
        write: Write,
        /// The findings that it was to end.
        violated: Vec<Finding>,
    },
    /// The undo has come so far.
    Undo(CameOfUndo<'a>),
}

/// What came of an undo.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CameOfUndo<'a> {
    /// What it was to take back.
    pub(crate) of: PartOf<'a>,
    /// Whether all of that is taken back.
    pub(crate) is_taken_back: bool,
    /// Whether any of that was its own doing, or may be.
    pub(crate) has_written: bool,
}

/// What an undo takes back.
#[derive(Debug, Clone)]
pub(crate) struct Undoes {
    pub(crate) run: RunId,
    pub(crate) exempt: Exempt,
}

/// The right to write to a resource.
#[derive(Debug)]
pub(crate) struct Claimed {
    records: Records,
    key: String,
    run: RunId,
    part: String,
    changes: Vec<Value>,
    found: FoundUnmade,
    held: AsyncMutex<Held>,
    until: Mutex<Timestamp>,
    lost: watch::Sender<bool>,
}

/// The card as it was stored last.
#[derive(Debug)]
struct Held {
    card: Card,
    condition: Condition,
}

/// Why a resource is not claimed.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Somebody else is at work on it, or has just been.
    Busy(String),
    /// The claim could not be stored.
    Failed(RecordError),
}

impl Claimed {
    /// Until when it holds.
    pub(crate) fn until(&self) -> Timestamp {
        *self.until.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The digest of the resource's part of the plan that it is for.
    pub(crate) fn part(&self) -> &str {
        &self.part
    }

    /// The changes of that part, as cards keep them.
    pub(crate) fn changes(&self) -> &[Value] {
        &self.changes
    }

    /// Says that it is lost: what is being written is not gone on with.
    pub(crate) fn lose(&self) {
        self.lost.send_replace(true);
    }

    /// Waits until it is lost, which it may never be.
    pub(crate) async fn is_lost(&self) {
        // The sender is a part of this claim, so that it is there.
        drop(self.lost.subscribe().wait_for(|lost| *lost).await);
    }

    /// Makes it hold until `until`.
    pub(crate) async fn renew(&self, until: Timestamp) -> Result<(), Refused> {
        let longer = |mut card: Card| {
            if let Some(claim) = &mut card.claim {
                claim.until = until;
            }
            card
        };
        self.store(longer).await?;
        *self.until.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = until;
        Ok(())
    }

    /// Ends it; `came` says what came of it.
    pub(crate) async fn release(&self, came: Option<CameOfIt<'_>>) -> Result<(), Refused> {
        self.store(|card| self.told(card, came).release()).await
    }

    /// Says what came of it, as [`Claimed::release`] does, and lets it hold until its time is up: what was set going may
    /// not have ended.
    pub(crate) async fn hold(&self, came: Option<CameOfIt<'_>>) -> Result<(), Refused> {
        self.store(|card| self.told(card, came)).await
    }

    fn told(&self, card: Card, came: Option<CameOfIt<'_>>) -> Card {
        match came {
            None => card,
            Some(CameOfIt::Write { write, .. }) if write.took.is_empty() => card.hold(write),
            Some(CameOfIt::Write { write, violated }) => {
                let (run, batch, proved) = (write.run, write.batch, write.ended == Ended::Proved);
                let card = card.made_again(&self.found).hold(write);
                if proved { card.fixed(run, batch, &violated) } else { card }
            }
            Some(CameOfIt::Undo(CameOfUndo { of: PartOf { id, part }, is_taken_back, has_written })) => {
                let card = if has_written { card.in_force_again() } else { card };
                if is_taken_back { card.undone(id, part, self.run) } else { card }
            }
        }
    }

    /// Ends it where nothing was written after all.
    pub(crate) async fn give_up(&self) {
        if let Err(refused) = self.release(None).await {
            tracing::error!(?refused, "a claim could not be released");
        }
    }

    async fn store(&self, change: impl FnOnce(Card) -> Card) -> Result<(), Refused> {
        let mut held = self.held.lock().await;
        let card = change(held.card.clone());
        let stored = put(&self.records, &self.key, &held.condition, &card).await.map_err(Refused::Failed)?;
        let condition = stored.ok_or_else(|| Refused::Busy("somebody else has changed its card".into()))?;
        *held = Held { card, condition };
        Ok(())
    }
}

/// Stores a card on a condition; gives the condition on which it can be stored next.
async fn put(
    records: &Records,
    key: &str,
    condition: &Condition,
    card: &Card,
) -> Result<Option<Condition>, RecordError> {
    let version = records.put_if(condition, key, card.to_json()?).await?;
    Ok(version.map(Condition::Unchanged))
}

impl<R: Rule> Engine<R> {
    /// Claims a resource on its card.
    pub(crate) async fn claim(
        &self,
        id: &BatchId,
        known: &Known,
        purpose: Purpose,
        deadline: Deadline,
    ) -> Result<Claimed, Refused> {
        let since = self.clock.now();
        let until = self.claimed_until(deadline);
        let Purpose { part, changes, found, undo } = purpose;
        let claim = Claim {
            run: id.run,
            batch: id.batch,
            since,
            until,
            holder: self.holder.clone(),
            part: part.clone(),
            changes: changes.clone(),
            undoes: undo.as_ref().map(|undoes| undoes.run),
        };
        let mut card = known.card.clone().claim(claim, &found);
        // What was reported of it is over.
        card.reported = None;
        match undo {
            Some(Undoes { exempt, .. }) => card.exempt = Some(exempt),
            // One that is in force lets nothing be claimed.
            None => card.rejected = None,
        }
        let stored = put(&self.records, &known.key, &known.condition, &card).await.map_err(Refused::Failed)?;
        let Some(condition) = stored else {
            let busy = "another run was at work on it just now; the next poll looks again";
            return Err(Refused::Busy(busy.into()));
        };
        let held = AsyncMutex::new(Held { card, condition });
        let (records, key, until) = (self.records.clone(), known.key.clone(), Mutex::new(until));
        let lost = watch::Sender::new(false);
        Ok(Claimed { records, key, run: id.run, part, changes, found, held, until, lost })
    }

    /// Who else is at work on a resource: another run that has claimed it, or what a run that never let go of it has set
    /// going, such as a runbook, which outlives a Lambda.
    pub(crate) async fn at_work(
        &self,
        client: &R::Client,
        resource: &Resource,
        known: &Known,
    ) -> Result<Option<String>> {
        let card = &known.card;
        let Some(Claim { run, .. }) = &card.claim else { return Ok(None) };
        if let Some(Claim { until, .. }) = card.claimed_by_another(&self.holder, self.clock.now()) {
            return Ok(Some(format!(
                "the run {run} is at work on it, until {until} at most; the next poll looks again"
            )));
        }
        let under_way = Box::pin(R::under_way(client, resource)).await?;
        Ok(under_way.map(|what| format!("{what}, since the run {run}; the next poll looks again")))
    }

    /// Until when a claim of a run with this deadline holds.
    pub(crate) fn claimed_until(&self, deadline: Deadline) -> Timestamp {
        let time = if deadline.is_set() { deadline.left().saturating_add(AFTER_DEADLINE) } else { self.bounds.claim };
        let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
        self.clock.now().checked_add(time).unwrap_or(Timestamp::MAX)
    }

    /// Keeps something on a card without a claim: nothing is written to the resource. Gives the condition on
    /// which it can be stored next; none where somebody else was faster, and the next poll says it again.
    pub(crate) async fn keep(&self, known: &Known, card: &Card) -> Result<Option<Condition>, RecordError> {
        put(&self.records, &known.key, &known.condition, card).await
    }
}

impl Refused {
    /// What is reported of a resource that is not claimed, and so not written to.
    pub(crate) fn verdict(self) -> Verdict {
        match self {
            Self::Busy(busy) => Verdict::new(Outcome::Deferred, busy),
            Self::Failed(error) => {
                let why = format!("it could not be claimed, so nothing was written: {error}");
                Verdict::new(error.outcome(), why)
            }
        }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Busy(busy) => f.write_str(busy),
            Self::Failed(error) => error.fmt(f),
        }
    }
}
