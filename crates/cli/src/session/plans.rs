//! Plans without their rule's type.
//!
//! A plan is read once. What a person is shown of it, its digest and what is carried out all come from that one read:
//! whoever swaps the stored plan while a question is asked changes nothing of what is answered.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;

use engine::{Deadline, Done, Drifted, Engine, Taken, TakenBack, Undo};
use futures::future::BoxFuture;
use jiff::Timestamp;
use remediation::{
    Approved, BatchId, Mode, Plan, PlannedChange, PlannedResource, RecordError, Records, Report, ReportedFinding, Rule,
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
    /// What cards know the resources' parts of the plan by, in the same order.
    #[serde(skip)]
    pub(crate) parts: Vec<Part>,
}

/// What a card knows a resource's part of a plan by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// [`PlannedResource::digest`].
    pub(crate) digest: String,
    /// [`PlannedResource::digest_of_changes`].
    pub(crate) changes: String,
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
        let part = |of: &PlannedResource<C>| Ok(Part { digest: of.digest()?, changes: of.digest_of_changes()? });
        let parts = plan.resources.iter().map(part).collect::<serde_json::Result<_>>()?;
        Ok(Self { id: plan.id.clone(), digest: plan.digest()?, resources, parts })
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
    fn changed_later<'a>(&'a self, only: &'a BTreeSet<String>) -> BoxFuture<'a, Vec<TakenBack>>;

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

    async fn into_way_back(self, id: BatchId, ask: WayBackOf) -> Result<WayBackIn<R>, Error> {
        let WayBackOf { key, report, only, beneath, drifted } = ask;
        let Self { engine, plan, shown: Shown { digest, .. } } = self;
        let now: BTreeSet<_> = only.difference(&beneath).cloned().collect();
        let mut taken = Taken { key, plan, report, only: now };
        let (mut resources, mut looked) = (Vec::new(), None);
        if !taken.only.is_empty() {
            let show = Undo::Show { drifted };
            let Done { report, plan, .. } = engine.undo(id.clone(), taken.clone(), &show, Deadline::never()).await;
            resources = plan.map(|plan| plan.resources).unwrap_or_default();
            looked = Some(report);
        }
        let is_stored = taken
            .report
            .as_ref()
            .is_none_or(|report| report.plans().any(|stored| (&stored.key, &stored.digest) == (&taken.key, &digest)));
        if is_stored {
            resources.extend(written_back::<R>(&taken, &beneath));
        }
        taken.only = only;
        let back = Plan::new(id, Mode::Plan, resources);
        let shown = Shown::of(&back)?;
        Ok(WayBackIn { engine, taken, back, shown, report: looked, drifted })
    }
}

/// What takes back all that the run wrote to these resources, the last change first: what is shown of resources that a
/// later run has changed, which is taken back first. The engine then holds what is not so.
fn written_back<R: Rule>(taken: &Taken<R::Change>, arns: &BTreeSet<String>) -> Vec<PlannedResource<R::Change>> {
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

    fn changed_later<'a>(&'a self, only: &'a BTreeSet<String>) -> BoxFuture<'a, Vec<TakenBack>> {
        Box::pin(self.engine.changed_later(&self.plan, only))
    }

    fn way_back(self: Box<Self>, id: BatchId, ask: WayBackOf) -> BoxFuture<'static, Result<Box<dyn WayBack>, Error>> {
        Box::pin(async move { Ok(Box::new(self.into_way_back(id, ask).await?) as Box<dyn WayBack>) })
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
        let how = Undo::Write { shown: Some(back), drifted, exempt_until };
        Box::pin(async move { engine.undo(id, taken, &how, Deadline::never()).await.report })
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use remediation::{
        Batch, Finding, NoParameters, Outcome, Proposal, Region, Resource, Result as CallResult, RunId, Seen, Side,
        StoredPlan, Tags, Target,
    };
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    /// A rule of which only the changes matter.
    struct OpenDoor;

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    struct Turn {
        from: u8,
        to: u8,
    }

    impl Display for Turn {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&format!("turn the door from {} to {}", self.from, self.to))
        }
    }

    impl Rule for OpenDoor {
        const MANIFEST: &'static str = "";
        type Settings = ();
        type Control = NoParameters;
        type Client = ();
        type State = u8;
        type Change = Turn;

        fn client(_: &Target) {}

        async fn look((): &(), _: &Finding) -> CallResult<Seen<u8>> {
            unreachable!("nothing is looked at")
        }

        fn plan(_: &Seen<u8>, _: &[&NoParameters], (): &()) -> Proposal<Turn> {
            Proposal::default()
        }

        async fn tags((): &(), _: &Seen<u8>) -> CallResult<Tags> {
            Ok(Tags::new())
        }

        async fn apply((): &(), _: &Resource, _: &Turn) -> CallResult<()> {
            Ok(())
        }

        fn undo(Turn { from, to }: &Turn) -> Turn {
            Turn { from: *to, to: *from }
        }

        fn side(turn: &Turn, state: &u8) -> Side {
            Side::of(state, &turn.from, &turn.to)
        }
    }

    const ARN: &str = "arn:aws:test:us-east-1:222222222222:door/front";

    fn finding() -> Finding {
        Finding {
            control: "c".into(),
            account: "222222222222".parse().unwrap(),
            region: Region::code("us-east-1"),
            resource: "front".into(),
            first_seen: None,
            last_scanned: None,
        }
    }

    /// A plan of three turns, and what its run reports of them.
    fn taken(took: Option<Vec<usize>>) -> Taken<Turn> {
        let id = BatchId { rule: "open-door".into(), run: RunId::start(), batch: 1 };
        let turn = |(from, to)| PlannedChange { summary: "harmless".into(), change: Turn { from, to } };
        let planned = PlannedResource {
            resource: Resource::of_arn("test", ARN.into(), "front").unwrap(),
            findings: vec![finding()],
            changes: [(1, 2), (2, 3), (3, 4)].map(turn).into(),
            awaits: Vec::new(),
            held: Vec::new(),
            sightings: Vec::new(),
            notes: Vec::new(),
        };
        let resource = planned.resource.clone();
        let plan = Plan::new(id.clone(), Mode::Apply, vec![planned]);
        let report = took.map(|took| {
            let report = Report::untouched(Batch::new(id.clone(), vec![finding()]), Outcome::Fixed, "why");
            let findings = report.findings.into_iter();
            let findings =
                findings.map(|row| ReportedFinding { resource: Some(resource.clone()), took: took.clone(), ..row });
            let stored = StoredPlan { key: id.plan_key(), digest: plan.digest().unwrap() };
            Report { findings: findings.collect(), plan: Some(stored), ..report }
        });
        Taken { key: id.plan_key(), plan, report, only: BTreeSet::new() }
    }

    #[tokio::test]
    async fn the_words_that_are_shown_are_those_of_what_is_executed_and_so_is_the_digest() {
        let folder = tempfile::tempdir().unwrap();
        let (records, taken) = (Records::Folder(folder.path().into()), taken(None));
        records.put_new(&taken.key, serde_json::to_vec(&taken.plan).unwrap()).await.unwrap();
        let shown = show::<OpenDoor>(&records, &taken.key).await.unwrap();
        assert_eq!(shown.digest, taken.plan.digest().unwrap());
        let words: Vec<_> = shown.resources[0].changes.iter().map(|change| change.summary.as_str()).collect();
        assert_eq!(words[..2], ["turn the door from 1 to 2", "turn the door from 2 to 3"]);
        assert_eq!(shown.resources[0].changes[0].change, json!({"from": 1, "to": 2}));
        // A digest that somebody has written into the plan is none.
        let mut edited = serde_json::to_value(&taken.plan).unwrap();
        edited["digest"] = json!("d");
        edited["resources"][0]["changes"][0]["change"]["to"] = json!(9);
        records.put_new("plans/edited.json", serde_json::to_vec(&edited).unwrap()).await.unwrap();
        let edited = show::<OpenDoor>(&records, "plans/edited.json").await.unwrap();
        assert!(edited.digest != shown.digest && edited.digest != "d");
        assert_eq!(edited.resources[0].changes[0].summary, "turn the door from 1 to 9");
    }

    #[tokio::test]
    async fn a_plan_that_cannot_be_read_is_named_with_both_versions() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::Folder(folder.path().into());
        records.put_new("plans/x.json", br#"{"schema": 1, "findings": []}"#.into()).await.unwrap();
        let error = show::<OpenDoor>(&records, "plans/x.json").await.unwrap_err().to_string();
        assert!(["plans/x.json", "version 1", "reads 2"].iter().all(|part| error.contains(part)), "{error}");
    }

    #[test]
    fn what_lies_beneath_later_runs_is_shown_as_all_that_the_run_wrote_taken_back_the_last_first() {
        let arn = ARN.to_owned();
        let back = |took: Option<Vec<usize>>| {
            let resources = written_back::<OpenDoor>(&taken(took), &BTreeSet::from([arn.clone()]));
            let turns = resources.iter().flat_map(PlannedResource::changes).map(|turn| (turn.from, turn.to));
            turns.collect::<Vec<_>>()
        };
        assert_eq!(back(Some(vec![0, 2])), [(4, 3), (2, 1)]);
        assert_eq!(back(Some(vec![])), []);
        assert_eq!(back(None), [(4, 3), (3, 2), (2, 1)], "a run that never came back may have written all");
        assert!(written_back::<OpenDoor>(&taken(None), &BTreeSet::new()).is_empty());
    }

    #[test]
    fn only_what_a_run_may_have_written_is_looked_for() {
        let was_written = |took| was_written(taken(took).report.as_ref(), ARN);
        assert!(was_written(Some(vec![0])) && was_written(None));
        assert!(!was_written(Some(vec![])));
        assert!(!super::was_written(taken(Some(vec![0])).report.as_ref(), "arn:another"));
    }
}
