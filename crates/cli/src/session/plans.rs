//! Plans without their rule's type.
//!
//! A plan is read once. What a person is shown of it, its digest and what is carried out all come from that one read:
//! whoever swaps the stored plan while a question is asked changes nothing of what is answered.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;

use engine::{Deadline, Done, Engine, Taken, TakenBack, Undo};
use futures::future::BoxFuture;
use jiff::Timestamp;
use remediation::{
    Approved, BatchId, Mode, Outcome, Plan, PlannedChange, PlannedResource, RecordError, Records, Report,
    ReportedFinding, Rule,
};
use serde::Serialize;
use serde_json::Value;

use crate::error::Error;

/// A plan as a person sees it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Shown {
    #[serde(flatten)]
    pub(crate) id: BatchId,
    /// Computed from the plan that the rest is made of.
    pub(crate) digest: String,
    pub(crate) resources: Vec<PlannedResource<Value>>,
}

impl Shown {
    /// The words of a change are those of its data: whatever a stored summary says, this is what would be written.
    pub(crate) fn of<C: Serialize + Display>(plan: &Plan<C>) -> serde_json::Result<Self> {
        let resource = |planned: &PlannedResource<C>| {
            let changes = planned
                .changes()
                .map(|change| Ok(PlannedChange { summary: change.to_string(), change: serde_json::to_value(change)? }));
            let PlannedResource { resource, findings, awaits, held, sightings, notes, .. } = planned;
            Ok(PlannedResource {
                resource: resource.clone(),
                findings: findings.clone(),
                changes: changes.collect::<serde_json::Result<_>>()?,
                awaits: awaits.clone(),
                held: held.clone(),
                sightings: sightings.clone(),
                notes: notes.clone(),
            })
        };
        let resources = plan.resources.iter().map(resource).collect::<serde_json::Result<_>>()?;
        Ok(Self { id: plan.id.clone(), digest: plan.digest()?, resources })
    }
}

/// Reads a stored plan of the rule, only to show it.
pub(crate) async fn show<R: Rule>(records: &Records, key: &str) -> Result<Shown, RecordError> {
    let plan: Plan<R::Change> = records.get_as(key).await?;
    Ok(Shown::of(&plan)?)
}

/// A plan that was read, or made, and can be carried out just as it is shown.
pub(crate) trait PlanInHand: Send + Sync {
    fn shown(&self) -> &Shown;

    /// [`Engine::run_shown`].
    fn fix(self: Box<Self>) -> BoxFuture<'static, Report>;

    /// [`Engine::run_approved`].
    fn fix_approved(self: Box<Self>, approved: Approved) -> BoxFuture<'static, Report>;

    /// [`Engine::changed_later`].
    fn changed_later(&self) -> BoxFuture<'_, Result<Vec<TakenBack>, String>>;

    /// Finds out how it would be taken back.
    fn way_back(self: Box<Self>, id: BatchId, ask: WayBackOf) -> BoxFuture<'static, Result<Box<dyn WayBack>, Error>>;
}

/// What of a plan is to be taken back.
#[derive(Debug)]
pub(crate) struct WayBackOf {
    /// The plan's key.
    pub(crate) key: String,
    /// The report of what became of it, where there is one.
    pub(crate) report: Option<Report>,
    /// The ARNs of the resources: not none of them.
    pub(crate) only: BTreeSet<String>,
    /// Those of them that a later run has changed, and that are taken back there first.
    pub(crate) beneath: BTreeSet<String>,
    pub(crate) drifted: Drifted,
}

/// What to do with a resource that is not as the fix left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drifted {
    Hold,
    PutBack,
}

/// How a plan would be taken back. What it shows is all that it writes.
pub(crate) trait WayBack: Send + Sync {
    fn shown(&self) -> &Shown;

    /// What a look found of the resources; none where none was looked at, because later runs come first.
    fn report(&self) -> Option<&Report>;

    /// [`Engine::undo`] of what is shown; runs leave it alone until `exempt_until`.
    fn write(self: Box<Self>, id: BatchId, exempt_until: Timestamp) -> BoxFuture<'static, Report>;
}

/// A plan of one rule.
pub(crate) struct PlanOf<R: Rule> {
    engine: Arc<Engine<R>>,
    plan: Plan<R::Change>,
    shown: Shown,
}

struct WayBackIn<R: Rule> {
    engine: Arc<Engine<R>>,
    taken: Taken<R::Change>,
    back: Plan<R::Change>,
    shown: Shown,
    report: Option<Report>,
    drifted: Drifted,
}

impl<R: Rule> PlanOf<R> {
    pub(crate) fn new(engine: Arc<Engine<R>>, plan: Plan<R::Change>) -> serde_json::Result<Self> {
        Ok(Self { shown: Shown::of(&plan)?, engine, plan })
    }

    /// Reads a stored plan.
    pub(crate) async fn read(engine: Arc<Engine<R>>, records: &Records, key: &str) -> Result<Self, RecordError> {
        Ok(Self::new(engine, records.get_as(key).await?)?)
    }

    async fn to_way_back(self, id: BatchId, ask: WayBackOf) -> Result<WayBackIn<R>, Error> {
        let WayBackOf { key, report, only, beneath, drifted } = ask;
        let Self { engine, plan, shown: Shown { digest, .. } } = self;
        let now: Vec<_> = only.difference(&beneath).cloned().collect();
        let mut taken = Taken { key, plan, report, only: now };
        let (mut resources, mut looked) = (Vec::new(), None);
        if !taken.only.is_empty() {
            let Done { report, plan } = engine.undo(id.clone(), taken.clone(), &Undo::Show, Deadline::never()).await;
            resources = plan.map(|plan| plan.resources).unwrap_or_default();
            looked = Some(report);
        }
        let is_held = |arn: &String| {
            let mut rows = looked.iter().flat_map(|report| rows_of(report, arn));
            rows.any(|row| row.outcome == Outcome::Held)
        };
        let drifts = |arn: &String| drifted == Drifted::PutBack && is_held(arn);
        let is_stored = taken.report.as_ref().is_none_or(|report| {
            report.plan.as_ref().is_some_and(|stored| (&stored.key, &stored.digest) == (&taken.key, &digest))
        });
        if is_stored {
            let ahead = only.iter().filter(|arn| beneath.contains(*arn) || drifts(arn)).collect();
            resources.extend(written_back::<R>(&taken, &ahead));
        }
        taken.only = only.into_iter().collect();
        let back = Plan::new(id, Mode::Plan, resources);
        let shown = Shown::of(&back)?;
        Ok(WayBackIn { engine, taken, back, shown, report: looked, drifted })
    }
}

/// What takes back all that the run wrote to these resources, the last change first: what is shown of resources that a
/// look of today would not let be taken back yet. The engine then holds what is not so.
fn written_back<R: Rule>(taken: &Taken<R::Change>, arns: &BTreeSet<&String>) -> Vec<PlannedResource<R::Change>> {
    let back = |planned: &PlannedResource<R::Change>| {
        let took = places(taken.report.as_ref(), &planned.resource.arn, planned.changes.len());
        let written = took.iter().rev().filter_map(|place| planned.changes.get(*place));
        let change = |planned: &PlannedChange<R::Change>| {
            let change = R::undo(&planned.change);
            PlannedChange { summary: change.to_string(), change }
        };
        let (awaits, held, sightings, notes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (resource, findings) = (planned.resource.clone(), planned.findings.clone());
        let changes = written.map(change).collect();
        PlannedResource { resource, findings, changes, awaits, held, sightings, notes }
    };
    let concerned = taken.plan.resources.iter().filter(|planned| arns.contains(&planned.resource.arn));
    concerned.map(back).filter(|back| !back.changes.is_empty()).collect()
}

/// Which of a resource's changes a run has put in force, by its report; perhaps all of them, where it left none.
fn places(report: Option<&Report>, arn: &str, all: usize) -> BTreeSet<usize> {
    let Some(report) = report else { return (0..all).collect() };
    rows_of(report, arn).flat_map(|row| row.took.iter().copied()).collect()
}

fn rows_of<'a>(report: &'a Report, arn: &'a str) -> impl Iterator<Item = &'a ReportedFinding> {
    report.findings.iter().filter(move |row| row.resource.as_ref().is_some_and(|of| of.arn == arn))
}

/// Whether a run may have changed the resource: whether undo has anything to look for.
pub(crate) fn was_written(report: Option<&Report>, arn: &str) -> bool {
    !places(report, arn, 1).is_empty()
}

impl<R: Rule> PlanInHand for PlanOf<R> {
    fn shown(&self) -> &Shown {
        &self.shown
    }

    fn fix(self: Box<Self>) -> BoxFuture<'static, Report> {
        let Self { engine, plan, .. } = *self;
        Box::pin(async move { engine.run_shown(plan.id.clone(), plan, Deadline::never()).await.report })
    }

    fn fix_approved(self: Box<Self>, approved: Approved) -> BoxFuture<'static, Report> {
        let Self { engine, plan, .. } = *self;
        Box::pin(async move { engine.run_approved(approved, plan, Deadline::never()).await.report })
    }

    fn changed_later(&self) -> BoxFuture<'_, Result<Vec<TakenBack>, String>> {
        Box::pin(self.engine.changed_later(&self.plan))
    }

    fn way_back(self: Box<Self>, id: BatchId, ask: WayBackOf) -> BoxFuture<'static, Result<Box<dyn WayBack>, Error>> {
        Box::pin(async move { Ok(Box::new(self.to_way_back(id, ask).await?) as Box<dyn WayBack>) })
    }
}

impl<R: Rule> WayBack for WayBackIn<R> {
    fn shown(&self) -> &Shown {
        &self.shown
    }

    fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }

    fn write(self: Box<Self>, id: BatchId, exempt_until: Timestamp) -> BoxFuture<'static, Report> {
        let Self { engine, taken, back, drifted, .. } = *self;
        let how = Undo::Write { shown: Some(back), force: drifted == Drifted::PutBack, exempt_until };
        Box::pin(async move { engine.undo(id, taken, &how, Deadline::never()).await.report })
    }
}
