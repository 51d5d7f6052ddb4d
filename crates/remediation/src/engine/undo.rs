//! Taking back what a stored plan wrote, as a run of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::{Deadline, Decision, Engine, Planned, Proposed, Settled, Waiting, outcome_of, sort, summaries};
use crate::{
    BatchId, Error, Exempted, Finding, Mode, Outcome, Plan, PlannedFinding, Proposal, REPORT_SCHEMA, RecordError,
    Report, ReportedFinding, Rule,
};

/// How a plan is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undo {
    /// Whether it is written, or only shown.
    pub write: bool,
    /// Whether also what is not as the fix left it is put back.
    pub force: bool,
    /// Until when runs leave alone what was put back.
    pub exempt_until: Timestamp,
}

/// What a fresh look found, beside a resource that is as it was before the fix.
enum Found {
    Gone(Error),
    Other(String),
}

impl<R: Rule> Engine<R> {
    /// Takes back the changes of `plan`, which is stored under `key`, the last of a resource first; or says what it
    /// would write. What it puts back is exempt for a time, so that the next poll does not fix it again.
    ///
    /// A resource that is not as the fix left it is held, unless `force` says otherwise: a fresh look must find nothing
    /// to change, or only what the plan had too, where the fix or an earlier undo was cut off. [`Outcome::Undone`] means that a fresh look then found the very changes that the plan had.
    pub async fn undo(&self, id: BatchId, key: &str, plan: Plan<R::Change>, how: Undo, deadline: Deadline) -> Report {
        let mode = if how.write { Mode::Apply } else { Mode::Plan };
        let started = Timestamp::now();
        let findings: Vec<_> = plan.findings.into_iter().enumerate().collect();
        let originals: BTreeMap<usize, Vec<R::Change>> =
            findings.iter().map(|(place, planned)| (*place, changes(planned))).collect();
        self.notify(|progress| progress.planning(findings.len()));
        let step = |(place, planned): (usize, PlannedFinding<R::Change>)| async move {
            let taken_back = Box::pin(self.plan_undo(&planned, how, deadline)).await;
            (place, planned.finding, taken_back)
        };
        let planned = self.for_each_bounded(findings, |(_, planned)| &planned.finding, step).await;
        let (waiting, mut rows) = sort(planned);
        let mut plans = Vec::new();
        if !waiting.is_empty() {
            let mut stored = self.store_plan(&id, mode, &waiting).await;
            plans.extend(stored.as_ref().ok().cloned());
            if how.write && stored.is_ok() {
                let exempt = self.exempt(&id, key, &waiting, how.exempt_until).await;
                stored = exempt.and(stored);
            }
            let apply = |waiting: Waiting<R::Change>| {
                let original = originals.get(&waiting.place).map_or(&[][..], Vec::as_slice);
                async move { (waiting.place, Box::pin(self.undo_one(waiting, original, deadline)).await) }
            };
            rows.extend(self.finish(waiting, stored, apply).await);
        }
        let report = Report::done(id, mode, started, rows.into_values().collect(), Vec::new());
        Report { plans, undoes: Some(key.to_owned()), accounts: self.account_problems(), ..report }
    }

    /// Keeps that runs leave these resources alone, before they are put back: a poll may come in between.
    async fn exempt(
        &self,
        id: &BatchId,
        key: &str,
        waiting: &[Waiting<R::Change>],
        expires: Timestamp,
    ) -> Result<(), RecordError> {
        let findings = waiting.iter().map(|waiting| waiting.finding.clone()).collect();
        let reason = format!("an undo has put it back, of {key}");
        let exempted = Exempted { schema: REPORT_SCHEMA, findings, expires, reason };
        self.records.put_new(&id.exemptions_key(), serde_json::to_vec_pretty(&exempted)?).await.map(drop)
    }

    async fn plan_undo(
        &self,
        planned: &PlannedFinding<R::Change>,
        how: Undo,
        deadline: Deadline,
    ) -> Planned<R::Change> {
        let original = changes(planned);
        let looked = self.look_in_time(&planned.finding, deadline).await?;
        let found = match looked.unless_settled() {
            // What the settings hold was held when it was fixed, too; what is not shown to work is there all the same.
            Err(settled)
                if matches!(settled.outcome, Outcome::AlreadyCompliant | Outcome::Held | Outcome::Unverified) =>
            {
                None
            }
            Err(settled) => return Err(settled),
            Ok(looked) if same(&looked.proposal.changes, &original) => {
                return Err(Settled::of(Outcome::Undone, "it is as it was before the fix already"));
            }
            Ok(looked) if is_part(&looked.proposal.changes, &original) => None,
            Ok(looked) => Some(summaries(&looked.proposal.changes).join("; ")),
        };
        if let (Some(found), false) = (found, how.force) {
            let detail = format!("it has changed since the fix; a fresh look finds: {found}");
            return Err(Settled::of(Outcome::Held, detail));
        }
        let changes: Vec<_> = original.iter().rev().map(R::undo).collect();
        let decision = if how.write { Decision::Write } else { Decision::Show };
        let (resource, proposal) = (planned.resource.clone(), Proposal::from(changes));
        Ok(Box::new(Proposed { resource, proposal, decision }))
    }

    async fn undo_one(
        &self,
        waiting: Waiting<R::Change>,
        original: &[R::Change],
        deadline: Deadline,
    ) -> ReportedFinding {
        let mut row = waiting.row(Outcome::Deferred, None);
        let proposal = waiting.proposal;
        if deadline.left() < self.bounds.reserve {
            row.detail = Some("no time was left to take it back".into());
            return row;
        }
        let failure = self.write(&row.finding, &waiting.resource, &proposal.changes, Mode::Off, deadline, &mut row.written).await.err();
        let within = if failure.is_some() { Duration::ZERO } else { self.bounds.verify_within.min(deadline.left()) };
        let is_there = |found: &Found| matches!(found, Found::Other(_));
        let looked = self.look_until(within, || self.is_as_it_was(&row.finding, original), is_there).await;
        let looked = looked.map(|(proof, ())| proof);
        (row.outcome, row.detail, row.verification) = match (looked, failure) {
            (Ok(proof), None) => (Outcome::Undone, None, Some(proof)),
            (Ok(proof), Some(error)) => {
                let detail = format!("a write failed, and yet the resource is as it was: {error}");
                (Outcome::Undone, Some(detail), Some(proof))
            }
            (Err(Found::Gone(error)), _) => (Outcome::Gone, Some(error.to_string()), None),
            (Err(Found::Other(found)), None) => (Outcome::Unverified, Some(found), None),
            (Err(Found::Other(_)), Some(error)) => (outcome_of(&error), Some(error.to_string()), None),
        };
        tracing::info!(outcome = %row.outcome, written = row.written, detail = row.detail.as_deref(), "taken back");
        row
    }

    async fn is_as_it_was(&self, finding: &Finding, original: &[R::Change]) -> Result<(Vec<String>, ()), Found> {
        match Box::pin(self.look(finding)).await {
            Ok(looked) if same(&looked.proposal.changes, original) => Ok((looked.calls, ())),
            Ok(looked) => {
                let found = summaries(&looked.proposal.changes).join("; ");
                Err(Found::Other(format!("a fresh look does not find it as it was before the fix, but: {found}")))
            }
            Err(error) if error.is_gone() => Err(Found::Gone(error)),
            Err(error) => Err(Found::Other(format!("a fresh look failed: {error}"))),
        }
    }
}

/// What was planned for a finding, without its words.
pub(super) fn changes<C: Clone>(planned: &PlannedFinding<C>) -> Vec<C> {
    planned.changes.iter().map(|planned| planned.change.clone()).collect()
}

/// Whether each of `these` is one of `all`.
fn is_part<C: Serialize>(these: &[C], all: &[C]) -> bool {
    these.iter().all(|this| all.iter().any(|one| same(std::slice::from_ref(this), std::slice::from_ref(one))))
}

/// Whether they write the same: their data is all that there is to a change.
pub(super) fn same<C: Serialize>(these: &[C], those: &[C]) -> bool {
    let data = |changes: &[C]| changes.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>();
    matches!((data(these), data(those)), (Ok(these), Ok(those)) if these == those)
}
