//! The way back: taking back what a stored plan wrote, as a run of its own.
//!
//! A plan is believed only for what it is: its digest, computed afresh, is that of the run's report, or a resource's card
//! says that a run that never came back was at work on just that part of it. A change is taken back only where the
//! report, or that card, says that the run wrote it, on the resource to which the *finding* leads, where it is still in
//! force there, and where no undo has taken it back before: what is in force after that, somebody else has done.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use remediation::aws::WritePermit;
use remediation::records::{Ended, Exempt, FoundUnmade, Write, kept};
use remediation::{
    BatchId, Card, ErrorKind, Finding, Mode, Outcome, Plan, PlannedChange, PlannedResource, Report, ReportedFinding,
    Resource, Result, Rule, RunId, Seen, SessionKind, Side, Verification,
};

use crate::cards::{Cards, CardsError, Known};
use crate::claim::{CameOfIt, CameOfUndo, Claimed, PartOf, Purpose, Undoes};
use crate::prove::{SETTLED, after, in_force, look_until, outcome_of, settled, sides};
use crate::record::unstored;
use crate::resolve::{Looked, Row, Verdict};
use crate::workers::{About, INTERRUPTED, Placed};
use crate::write::{Order, Written, is_old};
use crate::{Deadline, Done, Engine, summaries};

/// What a run has stored, to be taken back.
#[derive(Debug, Clone)]
pub struct Taken<C> {
    /// The plan's key.
    pub key: String,
    /// The plan.
    pub plan: Plan<C>,
    /// The run's report; none where the run never came back to store one.
    pub report: Option<Report>,
    /// The ARNs of the resources to take back; all of the plan where there is none. The digest is of the whole plan.
    pub only: BTreeSet<String>,
}

/// How a plan is taken back.
#[derive(Debug, Clone)]
pub enum Undo<C> {
    /// It is only shown.
    Show {
        /// What would become of what is not as the fix left it.
        drifted: Drifted,
    },
    /// It is written.
    Write {
        /// What the person was shown; only that is written. None where nobody was shown anything.
        shown: Option<Plan<C>>,
        /// What becomes of what is not as the fix left it.
        drifted: Drifted,
        /// Until when runs leave alone what was put back.
        exempt_until: Timestamp,
    },
}

/// What becomes of a resource that is not as the fix left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drifted {
    /// It is held.
    Hold,
    /// It is put back all the same.
    PutBack,
}

/// A resource that a later run of ours has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenBack {
    /// The resource.
    pub resource: Resource,
    /// The batches that have changed it since, the newest first.
    pub later: Vec<BatchId>,
}

/// A resource that is to be taken back.
struct Asked<C> {
    place: usize,
    planned: PlannedResource<C>,
}

/// A resource on its way back.
struct Back<R: Rule> {
    asked: Asked<R::Change>,
    state: State<R>,
}

/// What is reported of a resource that was opened and closed again after the run had closed it.
const NOT_OURS: &str = "somebody has taken it back since, and what is in force now is not of this run";
/// What is reported of a resource that was looked at again, and was not as before.
const MOVED: &str = "it has changed since it was looked at: undo it again";

/// What came of taking a resource back.
#[derive(Default)]
struct TookBack {
    written: usize,
    /// Which of the changes are in force because of this run.
    took: Vec<usize>,
    verification: Option<Verification>,
}

/// How far a resource is on its way back.
enum State<R: Rule> {
    Settled(Verdict),
    Ready(Box<Ready<R>>),
}

/// What one undo is about.
struct Trip<'a, C> {
    /// The undo's own run.
    by: RunId,
    /// The batch that wrote the plan.
    run: BatchId,
    report: Option<&'a Report>,
    /// Why the plan is not believed, where that is so.
    believed: Result<(), String>,
    cards: Cards,
    how: &'a Undo<C>,
    deadline: Deadline,
}

/// What takes a resource back.
struct Ready<R: Rule> {
    /// The resource to which the finding leads.
    resource: Resource,
    /// When it was looked at.
    looked: Timestamp,
    /// The changes to write.
    changes: Vec<R::Change>,
    /// The changes that they take back, and where each of them stood.
    originals: Vec<R::Change>,
    sides: Vec<Side>,
    /// The digest of the part of the plan that they take back.
    part: String,
    known: Known,
    claimed: Option<Claimed>,
}

/// What fresh looks after an undo said.
struct LastLook {
    found: std::result::Result<Verification, Found>,
    /// What the resource is now, by the last look.
    is_now: String,
    /// Where the last look found each of the undo's own changes, none where nothing is there any more; nothing where it
    /// failed.
    sides: Option<Vec<Side>>,
}

/// What a fresh look after an undo found, where it was not what was there before the fix.
enum Found {
    Gone(String),
    Other(String),
}

impl<C> About for Asked<C> {
    fn finding(&self) -> &Finding {
        &self.planned.findings[0]
    }
}

impl<R: Rule> About for Back<R> {
    fn finding(&self) -> &Finding {
        self.asked.finding()
    }
}

impl<R: Rule> Engine<R> {
    /// Takes back what a plan wrote, the last change of a resource first; or says what it would write. What it puts back
    /// is left alone by runs for a time, so that the next poll does not fix it again.
    ///
    /// [`Outcome::Undone`] means that a fresh look found each of the changes taken back.
    pub async fn undo(
        &self,
        id: BatchId,
        taken: Taken<R::Change>,
        how: &Undo<R::Change>,
        deadline: Deadline,
    ) -> Done<R::Change> {
        let writes = matches!(how, Undo::Write { .. });
        let mode = if writes { Mode::Apply } else { Mode::Plan };
        let started = ambient::now();
        let Taken { key, plan, report, only } = taken;
        let trip = Trip {
            by: id.run,
            run: plan.id.clone(),
            report: report.as_ref(),
            believed: self.believe(&key, &plan, report.as_ref()),
            cards: Cards::new(&self.records, &self.manifest.id),
            how,
            deadline,
        };
        let meant = plan.resources.into_iter().filter(|planned| is_meant(planned, &only)).enumerate();
        let asked: Vec<_> = meant.map(|(place, planned)| Asked { place, planned }).collect();
        self.notify(|progress| progress.planning(asked.len()));
        let step = |asked: Asked<R::Change>| {
            let trip = &trip;
            async move {
                let ready = Box::pin(self.ready(&asked.planned, trip)).await;
                self.notify(|progress| progress.planned());
                let state = ready.map_or_else(State::Settled, |ready| State::Ready(Box::new(ready)));
                Back { asked, state }
            }
        };
        let mut backs = self.for_each_bounded(asked, step).await;
        if let Undo::Write { exempt_until, .. } = how {
            let reason = format!("an undo has put it back, of {key}");
            let exempt = Exempt { until: *exempt_until, reason };
            let claim = |back: Back<R>| self.claim_back(back, &id, exempt.clone(), &trip);
            backs = self.for_each_bounded(backs, claim).await;
        }
        let resources = backs.iter().filter_map(Back::to_record).collect();
        let recorded = self.record(&id, 1, mode, resources).await;
        let (recorded, failed) = match recorded {
            Ok(recorded) => (recorded, None),
            Err(error) => (None, Some(unstored(&error))),
        };
        if writes && failed.is_none() {
            self.notify(|progress| progress.applying(backs.iter().filter(|back| back.is_ready()).count()));
        }
        let end = |back: Back<R>| async {
            let applies = back.is_ready();
            let rows = Box::pin(self.end(back, failed.as_ref(), &trip)).await;
            if applies && writes {
                self.notify(|progress| progress.applied());
            }
            rows
        };
        let rows = self.for_each_bounded(backs, end).await.into_iter().flatten().collect();
        let done = self.done(id, mode, started, rows, Vec::new(), recorded.into_iter().collect());
        let report = Report { undoes: Some(key), ..done.report };
        Done { report, ..done }
    }

    /// Which of these resources of a plan later runs have changed: those are to be taken back first. Of one whose card
    /// cannot be read nobody knows; it is not taken back either.
    pub async fn changed_later(&self, plan: &Plan<R::Change>, only: &BTreeSet<String>) -> Vec<TakenBack> {
        let cards = Cards::new(&self.records, &self.manifest.id);
        let later = |planned: &PlannedResource<R::Change>| {
            let (cards, resource) = (&cards, planned.resource.clone());
            async move {
                let _slot = self.slots.acquire().await;
                let known = cards.read_again(&resource).await;
                let known = known.inspect_err(|error| tracing::error!(resource = %resource.arn, %error)).ok()?;
                let later = known.card.written_after(plan.id.run);
                let later: Vec<_> = later.iter().map(|write| write.id(&self.manifest.id)).collect();
                (!later.is_empty()).then_some(TakenBack { resource, later })
            }
        };
        let meant = plan.resources.iter().filter(|planned| is_meant(planned, only));
        futures::future::join_all(meant.map(later)).await.into_iter().flatten().collect()
    }

    /// Why the plan is not believed as a whole, where that is so.
    fn believe(&self, key: &str, plan: &Plan<R::Change>, report: Option<&Report>) -> Result<(), String> {
        let rule = &self.manifest.id;
        if plan.id.rule != *rule {
            return Err(format!("the plan is of the rule `{}`, not of `{rule}`", plan.id.rule));
        }
        if BatchId::from_plan_key(key, rule).as_ref() != Some(&plan.id) {
            return Err(format!("the plan says that it is of another batch than {key}"));
        }
        let Some(report) = report else { return Ok(()) };
        let digest = plan.digest().map_err(|error| error.to_string())?;
        match report.plans().find(|stored| stored.key == key) {
            _ if report.id != plan.id => Err("the report is of another batch than the plan".into()),
            Some(stored) if stored.digest == digest => Ok(()),
            Some(stored) => Err(format!(
                "the plan is not the one that was carried out: its digest is {digest}, and the report says {}",
                stored.digest
            )),
            None => Err(format!("the report says nothing of {key}")),
        }
    }

    /// What takes one resource back; or what is reported where nothing does.
    async fn ready(
        &self,
        planned: &PlannedResource<R::Change>,
        trip: &Trip<'_, R::Change>,
    ) -> Result<Ready<R>, Verdict> {
        let (finding, run) = (&planned.findings[0], &trip.run);
        trip.believed.as_ref().map_err(|why| Verdict::new(Outcome::Held, why.clone()))?;
        let (writes, drifted) = match trip.how {
            Undo::Show { drifted } => (false, *drifted),
            Undo::Write { drifted, .. } => (true, *drifted),
        };
        if writes && let Some(why) = self.why_paused(&self.policy, finding, Some(&planned.resource)) {
            return Err(Verdict::new(Outcome::Held, why));
        }
        let unlisted = |error: CardsError| Verdict::new(error.outcome, error.to_string());
        trip.cards.list(&finding.account).await.map_err(unlisted)?;
        if let Some(why) = self.why_stop(trip.deadline, "no time was left to take it back") {
            return Err(Verdict::new(Outcome::Deferred, why));
        }
        let looked = Box::pin(self.look_in(SessionKind::ReadForUndo, finding)).await;
        let Looked { mut seen, client, mut began, .. } = looked.map_err(|error| self.failed(finding, &error, 1))?;
        if seen.resource.arn != planned.resource.arn {
            let (found, meant) = (&seen.resource.arn, &planned.resource.arn);
            let message = format!("the finding leads to {found} by now, and the plan is of {meant}");
            return Err(Verdict::new(Outcome::Held, message));
        }
        let known = trip.cards.read(&seen.resource).await.map_err(unlisted)?;
        let part = planned.digest().map_err(|error| Verdict::new(Outcome::Failed, error.to_string()))?;
        let mut written = written_by(planned, run, trip.report, &known.card);
        let is_ours = !written.is_empty();
        if !is_ours {
            written = what_is_as_before::<R>(planned, trip.report, &seen)?;
        }
        let busy = self.at_work(&client, &seen.resource, &known).await;
        let busy = busy.map_err(|error| self.failed(finding, &self.in_session(finding, error), 1))?;
        if let Some(busy) = busy {
            return Err(Verdict::new(Outcome::Deferred, busy));
        }
        is_last(&known.card, run.run, drifted)?;
        let mut originals = to_take_back::<R>(&written, &seen, drifted)?;
        let undone_by = known.card.undone_by(run, &part);
        let unsettled = self.unsettled(&known.card, trip.report);
        if originals.len() < written.len() && undone_by.is_none() && !unsettled.is_zero() {
            // What a look finds taken back already may be what was there before the write.
            tokio::time::sleep(unsettled.min(trip.deadline.left())).await;
            Looked { seen, began, .. } = self.look_before_undo(finding, &planned.resource).await?;
            originals = to_take_back::<R>(&written, &seen, drifted)?;
        }
        if !is_ours && !originals.is_empty() {
            return Err(Verdict::new(Outcome::Held, NOT_OURS));
        }
        // What the run that never let go of it had begun may have ended since the look.
        if known.card.claim.is_some() {
            let Looked { seen, .. } = self.look_before_undo(finding, &planned.resource).await?;
            if to_take_back::<R>(&written, &seen, drifted)? != originals {
                return Err(Verdict::new(Outcome::Deferred, MOVED));
            }
        }
        if let Some(by) = undone_by
            && !originals.is_empty()
            && drifted == Drifted::Hold
        {
            let detail =
                format!("the run {by} has taken it back already, and what is in force since is not of this run");
            return Err(Verdict::new(Outcome::Held, detail));
        }
        if originals.is_empty() {
            self.remember_undone(&known, PartOf { id: run, part: &part }, trip.by).await;
            return Err(Verdict::new(Outcome::Undone, "it is as it was before the fix already"));
        }
        let mode = self.policy.mode(&self.manifest.id, &finding.account);
        if writes && mode < Mode::Apply {
            let detail = format!("the policy's mode is {mode}, and an undo writes without an approval");
            return Err(Verdict::new(Outcome::Held, detail));
        }
        let changes: Vec<_> = originals.iter().rev().map(R::undo).collect();
        as_shown(trip.how, &seen.resource, &changes)?;
        let (looked, sides) = (began, sides::<R>(&originals, &seen));
        Ok(Ready { resource: seen.resource, looked, changes, originals, sides, part, known, claimed: None })
    }

    /// How long a look may not show yet what our runs have written: by the card, and by the report of the run that is taken
    /// back, because a card does not say when an undo wrote.
    fn unsettled(&self, card: &Card, report: Option<&Report>) -> Duration {
        let by_card = card.all_writes().map(|write| self.clock.now().duration_since(write.at));
        let by_report = report.map(|report| ambient::now().duration_since(report.finished));
        let Some(since) = by_card.chain(by_report).min() else { return Duration::ZERO };
        SETTLED.min(self.bounds.verify_within).saturating_sub(since.try_into().unwrap_or_default())
    }

    /// Looks again at what is taken back.
    async fn look_before_undo(&self, finding: &Finding, resource: &Resource) -> Result<Looked<R>, Verdict> {
        let looked = Box::pin(self.look_again(SessionKind::ReadForUndo, finding, resource)).await;
        looked.map_err(|error| self.failed(finding, &error, 1))
    }

    /// Keeps on the card that a run is taken back already: an undo was cut off before it could say so, or the run before
    /// it wrote. Else it would have to be taken back before those that came before it.
    async fn remember_undone(&self, known: &Known, of: PartOf<'_>, by: RunId) {
        let card = known.card.clone().undone(of.id, of.part, by);
        if card != known.card
            && let Err(error) = self.keep(known, &card).await
        {
            tracing::error!(%error, "that a run is taken back could not be kept on a resource's card");
        }
    }

    async fn claim_back(&self, mut back: Back<R>, id: &BatchId, exempt: Exempt, trip: &Trip<'_, R::Change>) -> Back<R> {
        let (run, deadline) = (trip.run.run, trip.deadline);
        let State::Ready(mut ready) = back.state else { return back };
        if self.interrupt.is_interrupted() {
            back.state = State::Settled(Verdict::new(Outcome::Deferred, INTERRUPTED));
            return back;
        }
        let part = PlannedResource { changes: planned_changes(&ready.changes), ..back.asked.planned.clone() };
        let purpose = match part.digest() {
            Ok(part) => {
                let (changes, found) = (kept(&ready.changes), FoundUnmade::nothing());
                Purpose { part, changes, found, undo: Some(Undoes { run, exempt }) }
            }
            Err(error) => {
                back.state = State::Settled(Verdict::new(Outcome::Failed, error.to_string()));
                return back;
            }
        };
        back.state = match self.claim(id, &ready.known, purpose, deadline).await {
            Ok(claimed) => {
                ready.claimed = Some(claimed);
                State::Ready(ready)
            }
            Err(refused) => State::Settled(refused.verdict()),
        };
        back
    }

    /// Takes a resource back, or says why not.
    async fn end(&self, back: Back<R>, failed: Option<&Verdict>, trip: &Trip<'_, R::Change>) -> Vec<Row> {
        let deadline = trip.deadline;
        let ready = match &back.state {
            State::Settled(verdict) => return back.rows(verdict, &[], &TookBack::default()),
            State::Ready(ready) => ready,
        };
        let Some(claimed) = &ready.claimed else {
            let planned = Verdict { outcome: Outcome::Planned, detail: None };
            return back.rows(failed.unwrap_or(&planned), &ready.changes, &TookBack::default());
        };
        if let Some(failed) = failed {
            claimed.give_up().await;
            return back.rows(failed, &ready.changes, &TookBack::default());
        }
        let Finding { account, region, .. } = back.finding();
        let permit = self.concurrency.permit_to_write(account, region).await;
        if self.interrupt.is_interrupted() {
            claimed.give_up().await;
            let interrupted = Verdict::new(Outcome::Deferred, INTERRUPTED);
            return back.rows(&interrupted, &ready.changes, &TookBack::default());
        }
        if let Err(verdict) = self.renew_if_due(claimed, deadline).await {
            return back.rows(&verdict, &ready.changes, &TookBack::default());
        }
        let looked = match permit.of(self.still_in_force(back.finding(), ready)).await {
            Ok(looked) => looked,
            Err(verdict) => {
                claimed.give_up().await;
                return back.rows(&verdict, &ready.changes, &TookBack::default());
            }
        };
        let order = Order {
            finding: back.finding(),
            resource: &ready.resource,
            changes: &ready.changes,
            looked,
            session: SessionKind::Undo,
            needs: Mode::Apply,
            claimed,
            deadline,
        };
        let work = Box::pin(self.take_back(&order, &permit, ready));
        let (written, last) = self.while_claimed(claimed, deadline, work).await;
        let took = in_force(last.sides.as_deref(), &written);
        let of = PartOf { id: &trip.run, part: &ready.part };
        let may_still_come = written.may_still_come();
        let verdict = judged(&last, written.failure);
        let is_taken_back = verdict.outcome == Outcome::Undone;
        permit.end(is_taken_back);
        let came = CameOfUndo { of, is_taken_back, has_written: !took.is_empty() };
        let kept = match may_still_come {
            None => claimed.release(Some(CameOfIt::Undo(came))).await,
            Some(_) => claimed.hold(Some(CameOfIt::Undo(came))).await,
        };
        tracing::info!(outcome = %verdict.outcome, written = written.done, "taken back");
        let verification = last.found.ok().filter(|_| is_taken_back);
        let came_of_it = TookBack { written: written.done - written.unneeded.len(), took, verification };
        let mut rows = back.rows(&verdict, &ready.changes, &came_of_it);
        if let Err(refused) = kept {
            for Row { row, .. } in &mut rows {
                row.notes.push(format!("that it was taken back could not be kept on its card: {refused}"));
            }
        }
        rows
    }

    /// When what is taken back was last seen to be as it was when that was decided: by that look, or by another one where
    /// that was a while ago.
    async fn still_in_force(&self, finding: &Finding, ready: &Ready<R>) -> Result<Timestamp, Verdict> {
        if !is_old(ready.looked) {
            return Ok(ready.looked);
        }
        let Looked { seen, began, .. } = self.look_before_undo(finding, &ready.resource).await?;
        let is_same = sides::<R>(&ready.originals, &seen) == ready.sides;
        if is_same { Ok(began) } else { Err(Verdict::new(Outcome::Deferred, MOVED)) }
    }

    /// Writes, and looks until each change is taken back; says what the resource is then.
    async fn take_back(
        &self,
        order: &Order<'_, R::Change>,
        permit: &WritePermit,
        ready: &Ready<R>,
    ) -> (Written, LastLook) {
        let written = permit.of(self.write(order)).await;
        let within = self.bounds.verify_within.min(order.deadline.left());
        let within = settled(&written, within).await;
        let last = Mutex::new((String::new(), None::<Vec<Side>>));
        let look = || async {
            let looked = Box::pin(self.look_again(SessionKind::ReadForUndo, order.finding, order.resource)).await;
            let looked = looked.map_err(|error| {
                last.lock().unwrap_or_else(std::sync::PoisonError::into_inner).1 = error.is_gone().then(Vec::new);
                if error.is_gone() {
                    Found::Gone(error.to_string())
                } else {
                    Found::Other(format!("a fresh look failed: {error}"))
                }
            })?;
            let not_yet = |change: &&R::Change| R::side(change, &looked.seen.state) != Side::Before;
            let left: Vec<_> = ready.originals.iter().filter(not_yet).map(ToString::to_string).collect();
            let placed = [Placed { place: 0, finding: order.finding.clone() }];
            let violates = summaries(&self.plan(&placed, &looked.seen).changes).join("; ");
            let now = if violates.is_empty() {
                "it complies as it is now".to_owned()
            } else {
                format!("it violates again: {violates}")
            };
            let sides = sides::<R>(&ready.changes, &looked.seen);
            *last.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = (now, Some(sides));
            if left.is_empty() {
                Ok(looked.calls)
            } else {
                Err(Found::Other(format!("a fresh look finds that this is not taken back: {}", left.join("; "))))
            }
        };
        let is_seen = || {
            let last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            last.1.as_deref().is_some_and(|sides| written.is_seen(&after(sides)))
        };
        let again = |found: &Found| matches!(found, Found::Other(_)) && !is_seen();
        let found = look_until(within, look, again).await;
        let (is_now, sides) = last.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        (written, LastLook { found, is_now, sides })
    }
}

impl<R: Rule> Back<R> {
    fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready(_))
    }

    /// Its part of the undo's own plan.
    fn to_record(&self) -> Option<PlannedResource<R::Change>> {
        let State::Ready(ready) = &self.state else { return None };
        let (awaits, held, sightings) = (Vec::new(), Vec::new(), Vec::new());
        let changes = planned_changes(&ready.changes);
        Some(PlannedResource { changes, awaits, held, sightings, notes: Vec::new(), ..self.asked.planned.clone() })
    }

    fn rows(&self, verdict: &Verdict, changes: &[R::Change], came_of_it: &TookBack) -> Vec<Row> {
        let Asked { place, planned } = &self.asked;
        let row = |finding: &Finding| {
            let row = ReportedFinding::unwritten(finding.clone(), verdict.outcome, verdict.detail.clone());
            let row = ReportedFinding {
                resource: Some(planned.resource.clone()),
                changes: summaries(changes),
                written: came_of_it.written,
                took: came_of_it.took.clone(),
                verification: came_of_it.verification.clone(),
                ..row
            };
            Row { place: *place, row }
        };
        planned.findings.iter().map(row).collect()
    }
}

fn is_meant<C>(planned: &PlannedResource<C>, only: &BTreeSet<String>) -> bool {
    !planned.findings.is_empty() && (only.is_empty() || only.contains(&planned.resource.arn))
}

/// Whether no later run of ours has changed the resource.
fn is_last(card: &Card, run: RunId, drifted: Drifted) -> Result<(), Verdict> {
    let later: Vec<_> = card.written_after(run).iter().map(|write| write.run.to_string()).collect();
    if later.is_empty() || drifted == Drifted::PutBack {
        return Ok(());
    }
    let detail = format!("a later run has changed it, and has to be taken back first: {}", later.join(", "));
    Err(Verdict::new(Outcome::Held, detail))
}

/// The changes that are in force, of those that were written; and those that are neither in force nor taken back, where
/// they are put back all the same.
fn to_take_back<R: Rule>(
    written: &[R::Change],
    seen: &Seen<R::State>,
    drifted: Drifted,
) -> Result<Vec<R::Change>, Verdict> {
    let sided: Vec<_> = written.iter().map(|change| (change, R::side(change, &seen.state))).collect();
    let neither: Vec<_> = sided.iter().filter(|(_, side)| *side == Side::Neither).map(|(change, _)| *change).collect();
    if !neither.is_empty() && drifted == Drifted::Hold {
        let changes = neither.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let detail = format!("it has changed since the fix: neither in force nor taken back is `{changes}`");
        return Err(Verdict::new(Outcome::Held, detail));
    }
    Ok(sided.into_iter().filter(|(_, side)| *side != Side::Before).map(|(change, _)| change.clone()).collect())
}

/// Whether this is what the person was shown, where somebody was.
fn as_shown<C: Eq + ToString>(how: &Undo<C>, resource: &Resource, changes: &[C]) -> Result<(), Verdict> {
    let Undo::Write { shown: Some(shown), .. } = how else { return Ok(()) };
    let shown = shown.resources.iter().find(|of| of.resource.arn == resource.arn);
    if shown.is_some_and(|shown| shown.changes.iter().map(|planned| &planned.change).eq(changes)) {
        return Ok(());
    }
    let now = changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Err(Verdict::new(Outcome::Held, format!("it has changed since it was shown; to take it back is now: {now}")))
}

/// The changes that a run wrote to a resource: by its report, as far as the resource's card does not know better by now,
/// or, where it never came back, by that card.
fn written_by<C: Clone + serde::Serialize>(
    planned: &PlannedResource<C>,
    run: &BatchId,
    report: Option<&Report>,
    card: &Card,
) -> Vec<C> {
    let by_card = by_card(planned, run, card);
    let places = match by_report(planned, report) {
        None => by_card.unwrap_or_default().into_iter().collect(),
        Some(mut places) => {
            places.retain(|place| by_card.as_ref().is_none_or(|by_card| by_card.contains(place)));
            places
        }
    };
    changes_at(planned, &places)
}

/// What a run wrote of which nothing is in force because of it, where the resource is as it was before: that is taken back
/// already.
fn what_is_as_before<R: Rule>(
    planned: &PlannedResource<R::Change>,
    report: Option<&Report>,
    seen: &Seen<R::State>,
) -> Result<Vec<R::Change>, Verdict> {
    let written = changes_at(planned, &by_report(planned, report).unwrap_or_default());
    if written.is_empty() {
        return Err(Verdict::new(Outcome::Held, "the run wrote nothing of it, so there is nothing to take back"));
    }
    let is_before = written.iter().all(|change| R::side(change, &seen.state) == Side::Before);
    if is_before { Ok(written) } else { Err(Verdict::new(Outcome::Held, NOT_OURS)) }
}

/// Which changes of its part of a plan a resource's rows say that the run has put in force; none where it has no row.
fn by_report<C>(planned: &PlannedResource<C>, report: Option<&Report>) -> Option<BTreeSet<usize>> {
    let rows = report.iter().flat_map(|report| &report.findings);
    let is_of = |row: &&ReportedFinding| row.resource.as_ref().is_some_and(|of| of.arn == planned.resource.arn);
    let mut rows = rows.filter(is_of).peekable();
    rows.peek()?;
    Some(rows.flat_map(|row| row.took.iter().copied()).collect())
}

fn changes_at<C: Clone>(planned: &PlannedResource<C>, places: &BTreeSet<usize>) -> Vec<C> {
    places.iter().filter_map(|place| planned.changes.get(*place)).map(|planned| planned.change.clone()).collect()
}

/// Which changes of its part of a plan a resource's card says that the run has put in force, or may have; none where the
/// card knows nothing of it.
fn by_card<C: serde::Serialize>(planned: &PlannedResource<C>, run: &BatchId, card: &Card) -> Option<Vec<usize>> {
    let digest = planned.digest().ok()?;
    let is_it = |write: &Write| (write.run, write.batch) == (run.run, run.batch) && write.part == digest;
    let written = card.all_writes().rfind(is_it)?;
    Some(match written.ended {
        Ended::CutOff => (0..planned.changes.len()).collect(),
        Ended::Proved | Ended::Unproved => written.took,
    })
}

fn planned_changes<C: Clone + ToString>(changes: &[C]) -> Vec<PlannedChange<C>> {
    changes.iter().map(|change| PlannedChange { summary: change.to_string(), change: change.clone() }).collect()
}

/// What follows from the last look and from the failed write, if there was one.
fn judged(LastLook { found, is_now, .. }: &LastLook, failure: Option<remediation::Error>) -> Verdict {
    match (found, failure) {
        (Ok(_), None) => Verdict::new(Outcome::Undone, is_now.clone()),
        (Ok(_), Some(error)) if error.kind == ErrorKind::Unfinished => {
            let detail = format!("it is taken back, and what was begun may still change it; {is_now}: {error}");
            Verdict::new(Outcome::Unverified, detail)
        }
        (Ok(_), Some(error)) => {
            Verdict::new(Outcome::Undone, format!("a write failed, and yet it is taken back; {is_now}: {error}"))
        }
        (Err(Found::Gone(error)), _) => Verdict::new(Outcome::Gone, error.clone()),
        (Err(Found::Other(found)), None) => Verdict::new(Outcome::Unverified, found.clone()),
        (Err(Found::Other(_)), Some(error)) => Verdict::new(outcome_of(&error), error.to_string()),
    }
}
