//! The fourth station: the plan is stored, and without that nothing is written.

use jiff::Timestamp;
use remediation::records::Numbered;
use remediation::{BatchId, Mode, Plan, PlannedChange, PlannedResource, RecordError, Rule, StoredPlan};

use crate::Engine;
use crate::decide::{Decided, Decision};
use crate::resolve::Verdict;

/// What is reported of resources whose plan could not be stored.
pub(crate) fn unstored(error: &RecordError) -> Verdict {
    tracing::error!(%error, "the plan could not be stored, so nothing was written");
    Verdict::new(error.outcome(), format!("the plan could not be stored, so nothing was written: {error}"))
}

/// A plan, and where it is stored.
pub(crate) struct Recorded<C> {
    pub(crate) plan: Plan<C>,
    pub(crate) stored: StoredPlan,
    /// The number of its name among those of the batch's plans.
    number: u32,
}

impl<C> Recorded<C> {
    /// The number that the batch's next plan may have.
    pub(crate) fn next_number(&self) -> u32 {
        self.number.saturating_add(1)
    }
}

impl<R: Rule> Decided<R> {
    /// The place of its first finding in the batch.
    pub(crate) fn place(&self) -> usize {
        self.work.findings[0].place
    }

    /// Whether its changes are written.
    pub(crate) fn is_written(&self) -> bool {
        matches!(self.decision, Decision::Write(..))
    }

    /// Since when its changes wait for a person: since now where these did not before. None where they do not wait.
    pub(crate) fn waits_since(&self, now: Timestamp) -> Option<Timestamp> {
        let Decision::Await(_) = &self.decision else { return None };
        let digest = self.planned().digest().ok()?;
        let waiting = self.known.as_ref().and_then(|known| known.card.waiting.as_ref());
        Some(waiting.filter(|waiting| waiting.digest == digest).map_or(now, |waiting| waiting.since))
    }

    /// The resource's part of the plan.
    pub(crate) fn planned(&self) -> PlannedResource<R::Change> {
        let planned = |change: &R::Change| PlannedChange { summary: change.to_string(), change: change.clone() };
        let changes = match &self.decision {
            Decision::Write(changes, _) => changes,
            _ => &self.proposal.changes,
        };
        PlannedResource {
            resource: self.work.resource().clone(),
            findings: self.work.findings.iter().map(|placed| placed.finding.clone()).collect(),
            changes: changes.iter().map(planned).collect(),
            awaits: self.decision.awaits().to_vec(),
            held: self.proposal.held.iter().chain(&self.proposal.not_now).cloned().collect(),
            sightings: self.sightings.clone(),
            notes: self.proposal.notes.clone(),
        }
    }
}

impl<R: Rule> Engine<R> {
    /// Stores the plan of what is decided on, under a name with this number or a later one. None where there is nothing in
    /// it.
    pub(crate) async fn record(
        &self,
        id: &BatchId,
        first: u32,
        mode: Mode,
        resources: Vec<PlannedResource<R::Change>>,
    ) -> Result<Option<Recorded<R::Change>>, RecordError> {
        if resources.is_empty() {
            return Ok(None);
        }
        let plan = Plan::new(id.clone(), mode, resources);
        let digest = plan.digest()?;
        let stored = self.records.put_new_from(first, &id.plan_key(), serde_json::to_vec(&plan)?).await?;
        let Numbered { key, number } = stored;
        tracing::info!(plan = %key, resources = plan.resources.len(), "plan stored");
        Ok(Some(Recorded { plan, stored: StoredPlan { key, digest }, number }))
    }
}
