//! The second station: what becomes of a resource's changes. What the policy, the resource's card, the guard and the
//! limits say; or what a person was shown.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use remediation::domain::{FOUGHT_OVER, NEEDS_APPROVAL};
use remediation::policy::{About as Covers, Closed, Names};
use remediation::records::{Contested, Ended, FoughtOver, Grace, HeldBack, Rejected, WaitsFor, Write};
use remediation::{
    AccountId, Finding, Guard, Mode, Outcome, PlannedResource, Proposal, Result, Rule, SessionKind, Side, Sighting,
    Tags,
};

use crate::cards::Known;
use crate::claim::Claimed;
use crate::resolve::{Verdict, Work};
use crate::workers::{About, INTERRUPTED};
use crate::write::CHANGED;
use crate::{Engine, Job, Warrant, summaries};

/// A resource whose changes are decided on.
pub(crate) struct Decided<R: Rule> {
    pub(crate) work: Work<R>,
    pub(crate) proposal: Proposal<R::Change>,
    pub(crate) sightings: Vec<Sighting>,
    pub(crate) known: Option<Known>,
    /// The grace that its fix has, over or not.
    pub(crate) grace: Option<Grace>,
    /// That a change window is closed, where its changes wait for that alone.
    pub(crate) closed: Option<Closed>,
    pub(crate) decision: Decision<R::Change>,
    /// That Netskope still fails what we have fixed, by the places of the findings.
    pub(crate) contested: BTreeMap<usize, Contested>,
    /// The findings of which we have proved a fix before, and when, where a scan may confirm it yet.
    pub(crate) awaited: Vec<(Finding, Timestamp)>,
    /// The digest of what is reported of it, where a later poll need not say it again.
    pub(crate) says: Option<String>,
}

/// What becomes of a resource's changes.
#[derive(Debug)]
pub(crate) enum Decision<C> {
    /// Nothing of them is even in the plan: this is what is reported.
    Settle(Verdict),
    /// They are in the plan alone.
    Show,
    /// They wait for an approval.
    Await(Awaits),
    /// They are in the plan and are left: to a later run, or until somebody changes the policy.
    Leave(Verdict),
    /// These are written, by the resource's one writer once it is claimed.
    Write(Vec<C>, Option<Box<Claimed>>),
}

/// Why changes wait for an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Awaits {
    pub(crate) reasons: Vec<String>,
    /// The same for who sorts them.
    pub(crate) why: BTreeSet<WaitsFor>,
    /// Where one of them is that the resource is fought over.
    pub(crate) fought_over: Option<FoughtOver>,
}

/// The changes of a resource that are to be written.
pub(crate) struct Wanted {
    /// The place of its first finding.
    place: usize,
    account: AccountId,
    /// So many.
    changes: u32,
}

/// What the policy's exemptions say of a resource.
enum Exemptions {
    /// It is exempt, for this reason.
    Exempt(String),
    /// It is not; these it had.
    Expired(Vec<String>),
}

impl<R: Rule> About for Decided<R> {
    fn finding(&self) -> &Finding {
        self.work.finding()
    }
}

impl<R: Rule> Decided<R> {
    /// What of it is to be written, if anything.
    pub(crate) fn wanted(&self) -> Option<Wanted> {
        let Decision::Write(changes, _) = &self.decision else { return None };
        let changes = u32::try_from(changes.len()).unwrap_or(u32::MAX);
        Some(Wanted { place: self.place(), account: self.work.account().clone(), changes })
    }
}

impl<C> Decision<C> {
    /// They are left to a later run, for this reason.
    pub(crate) fn defer(reason: impl Into<String>) -> Self {
        Self::Leave(Verdict::new(Outcome::Deferred, reason))
    }

    /// Why an approval is awaited.
    pub(crate) fn awaits(&self) -> &[String] {
        match self {
            Self::Await(awaits) => &awaits.reasons,
            _ => &[],
        }
    }

    /// The outcome where nothing is written, and why.
    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Self::Settle(verdict) | Self::Leave(verdict) => verdict.clone(),
            Self::Show | Self::Write(..) => Verdict { outcome: Outcome::Planned, detail: None },
            Self::Await(Awaits { reasons, .. }) => {
                Verdict::new(Outcome::Held, format!("{NEEDS_APPROVAL}{}", reasons.join("; ")))
            }
        }
    }
}

impl<R: Rule> Engine<R> {
    /// What becomes of one resource.
    pub(crate) async fn decide(&self, work: Work<R>, job: &Job<R::Change>) -> Decided<R> {
        let proposal = self.plan(&work.findings, &work.looked.seen);
        let decision = Decision::Settle(Verdict { outcome: Outcome::AlreadyCompliant, detail: None });
        let (sightings, known, grace, closed) = (Vec::new(), None, None, None);
        let (contested, awaited, says) = (BTreeMap::new(), Vec::new(), None);
        let mut decided =
            Decided { work, proposal, sightings, known, grace, closed, decision, contested, awaited, says };
        decided.decision = match self.consider(&mut decided, job).await {
            Ok(decision) => decision,
            Err(verdict) => Decision::Settle(verdict),
        };
        if !matches!(decided.decision, Decision::Write(..)) {
            self.remember_reopened(&mut decided).await;
        }
        decided
    }

    async fn consider(&self, decided: &mut Decided<R>, job: &Job<R::Change>) -> Result<Decision<R::Change>, Verdict> {
        // The looks of an interrupted run are not gone on with: what follows is more calls.
        if self.interrupt.is_interrupted() && !decided.proposal.changes.is_empty() {
            return Err(Verdict::new(Outcome::Deferred, INTERRUPTED));
        }
        self.heed_exemptions(decided).await?;
        if decided.proposal.changes.is_empty() {
            self.forget_what_is_over(decided, job).await;
            return Err(settled(&decided.proposal));
        }
        // Its region, which the finding need not know.
        if let Some(why) = self.why_paused(&self.policy, decided.finding(), Some(decided.work.resource())) {
            return Err(Verdict::new(Outcome::Held, why));
        }
        let known = job.cards.read(decided.work.resource()).await;
        let mut known = known.map_err(|error| Verdict::new(error.outcome, error.to_string()))?;
        self.heed_reopened(&mut known, decided, &job.id);
        let known = decided.known.insert(known);
        let now = self.clock.now();
        if let Some(exempt) = known.card.exempt.as_ref().filter(|exempt| now < exempt.until) {
            return Err(Verdict::new(Outcome::Exempt, format!("{} (until {})", exempt.reason, exempt.until)));
        }
        if let Some(rejected) = self.rejection(decided, now) {
            return Err(Verdict::new(Outcome::Held, told_of(rejected)));
        }
        decided.sightings = match &job.warrant {
            Warrant::Mode(_) => self.guard(&decided.work, &decided.proposal.changes).await?,
            Warrant::Shown(shown) => {
                let shown = shown.get(&decided.work.resource().arn).map(|of| of.changes().cloned().collect::<Vec<_>>());
                self.guard(&decided.work, &shown.unwrap_or_default()).await?
            }
        };
        let decision = match &job.warrant {
            Warrant::Mode(_) => self.by_mode(decided, job),
            Warrant::Shown(shown) => {
                if job.mode_for(self, decided.work.account()) < job.warrant.needs() {
                    return Err(Verdict::new(
                        Outcome::Held,
                        "it was shown, but the policy's mode does not let it be written any more",
                    ));
                }
                self.as_shown(decided, shown.get(&decided.work.resource().arn), job)?
            }
        };
        if !matches!(decision, Decision::Write(..)) {
            return Ok(decision);
        }
        if let Some(waits) = self.wait_for_its_time(decided, job).await {
            return Ok(Decision::Leave(waits));
        }
        let Some(known) = &decided.known else { return Ok(decision) };
        let work = &decided.work;
        let busy = self.at_work(&work.looked.client, work.resource(), known).await;
        let busy = busy.map_err(|error| {
            let finding = work.finding();
            self.failed(finding, &self.in_session(finding, error), work.findings.len())
        })?;
        if let Some(busy) = busy {
            return Ok(Decision::defer(busy));
        }
        // What the run that never let go of it had begun may have ended since the look.
        if known.card.claim.is_some() && self.has_changed(decided).await? {
            return Ok(Decision::defer(CHANGED));
        }
        Ok(decision)
    }

    /// Whether another look finds something else to change.
    pub(crate) async fn has_changed(&self, decided: &Decided<R>) -> Result<bool, Verdict> {
        let work = &decided.work;
        let looked = Box::pin(self.look_again(SessionKind::Read, work.finding(), work.resource())).await;
        let looked = looked.map_err(|error| self.failed(work.finding(), &error, work.findings.len()))?;
        Ok(self.plan(&work.findings, &looked.seen).changes != decided.proposal.changes)
    }

    /// What the mode, the guard and the resource's history say of the changes.
    fn by_mode(&self, decided: &Decided<R>, job: &Job<R::Change>) -> Decision<R::Change> {
        let (mut reasons, mut why) = (Vec::new(), BTreeSet::new());
        if R::guard(&self.settings) == Guard::Hold && !decided.sightings.is_empty() {
            // What moves of a sighting is in the notes: by that nothing waits that has not waited before.
            reasons.extend(decided.sightings.iter().map(|sighting| sighting.what.clone()));
            why.insert(WaitsFor::Guard);
        }
        let mut fought_over = None;
        match job.mode_for(self, decided.work.account()) {
            Mode::Off | Mode::Plan => {
                let unsure = job.unsure(self, decided.work.account());
                return unsure.map_or(Decision::Show, |why| Decision::Leave(Verdict::new(Outcome::Held, why)));
            }
            Mode::Approve => {
                let unsure = job.unsure(self, decided.work.account());
                why.insert(if unsure.is_some() { WaitsFor::UnsureMode } else { WaitsFor::Mode });
                reasons.push(unsure.unwrap_or_else(|| "the mode is approve".into()));
            }
            Mode::Apply => {
                let known = decided.known.as_ref().map(|known| &known.card);
                fought_over = known.and_then(|card| card.fought_over(self.policy.fight, self.clock.now()));
                if let Some(fought_over) = &fought_over {
                    why.insert(WaitsFor::FoughtOver);
                    reasons.push(told(fought_over));
                }
            }
        }
        if reasons.is_empty() {
            return Decision::Write(decided.proposal.changes.clone(), None);
        }
        Decision::Await(Awaits { reasons, why, fought_over })
    }

    /// The rejection of a resource's changes that is in force, where there is one.
    pub(crate) fn rejection<'a>(&self, decided: &'a Decided<R>, now: Timestamp) -> Option<&'a Rejected> {
        let card = &decided.known.as_ref()?.card;
        card.rejected.as_ref()?;
        card.rejects(&decided.planned().digest_of_changes().ok()?, now)
    }

    /// What becomes of changes that a person has seen: they are written while each is still to be made, and while the
    /// guard sees nothing that the person did not. Today's settings do not judge them.
    fn as_shown(
        &self,
        decided: &Decided<R>,
        shown: Option<&PlannedResource<R::Change>>,
        job: &Job<R::Change>,
    ) -> Result<Decision<R::Change>, Verdict> {
        let drifted = |what: String| Verdict::new(Outcome::Held, format!("drifted: {what}"));
        let Some(shown) = shown else {
            return Err(drifted("what the finding leads to by now was not shown".into()));
        };
        let rejected = decided.known.as_ref().filter(|known| known.card.rejected.is_some()).and_then(|known| {
            let shown = shown.digest_of_changes().ok()?;
            known.card.rejects(&shown, self.clock.now())
        });
        if let Some(rejected) = rejected {
            return Err(Verdict::new(Outcome::Held, told_of(rejected)));
        }
        let ours = |write: &&Write| {
            (write.run, write.batch) == (job.id.run, job.id.batch)
                && (write.is_undone() || write.ended != Ended::CutOff)
        };
        if decided.known.iter().flat_map(|known| &known.card.writes).any(|write| ours(&write)) {
            return Err(Verdict::new(Outcome::Held, "this approval was used before: approve the plan again"));
        }
        let state = &decided.work.looked.seen.state;
        let changes: Vec<_> = shown.changes().cloned().collect();
        let moved = changes.iter().filter(|change| R::side(change, state) != Side::Before);
        let moved: Vec<_> = moved.map(ToString::to_string).collect();
        // An earlier attempt of this very run may have moved them before it was cut off; to write them again is harmless.
        if !moved.is_empty() && !self.was_cut_off(decided, job) {
            let (moved, found) = (moved.join("; "), summaries(&decided.proposal.changes).join("; "));
            return Err(drifted(format!(
                "what was shown is not to be made any more (`{moved}`); a fresh look finds: {found}"
            )));
        }
        let known = |sighting: &&Sighting| shown.sightings.iter().any(|of| of.what == sighting.what);
        let unseen: Vec<_> = decided.sightings.iter().filter(|of| !known(of)).map(ToString::to_string).collect();
        if !unseen.is_empty() {
            return Err(drifted(format!("the guard sees what was not shown: {}", unseen.join("; "))));
        }
        Ok(Decision::Write(changes, None))
    }

    /// Whether an earlier attempt of this very run was cut off while it wrote.
    pub(crate) fn was_cut_off(&self, decided: &Decided<R>, job: &Job<R::Change>) -> bool {
        let Some(known) = &decided.known else { return false };
        let is_its = |run, batch| (run, batch) == (job.id.run, job.id.batch);
        let claimed = known.card.claim.iter().any(|claim| is_its(claim.run, claim.batch));
        let is_cut_off = |write: &Write| write.ended == Ended::CutOff && !write.is_undone();
        claimed || known.card.writes.iter().any(|write| is_its(write.run, write.batch) && is_cut_off(write))
    }

    /// What the guard sees of the changes. That it cannot see is a sighting, too; but what would hold is left to the next poll
    /// where that may see it: nobody has to decide on what AWS was only too busy to show.
    async fn guard(&self, work: &Work<R>, changes: &[R::Change]) -> Result<Vec<Sighting>, Verdict> {
        let guard = R::guard(&self.settings);
        if !guard.is_on() || changes.is_empty() {
            return Ok(Vec::new());
        }
        let impact = R::impact(&work.looked.client, &work.looked.seen, changes, &self.settings);
        match Box::pin(impact).await {
            Ok(sightings) => Ok(sightings),
            Err(error) if guard == Guard::Hold && error.kind.outcome() == Outcome::Deferred => {
                let finding = work.finding();
                Err(self.failed(finding, &self.in_session(finding, error), work.findings.len()))
            }
            Err(error) => Ok(vec![Sighting::new(format!("what the fix would break could not be seen: {error}"))]),
        }
    }

    /// Ends the matter where the resource is exempt by any of its names, or by its tags, which are read only if they
    /// matter: where it does not comply.
    async fn heed_exemptions(&self, decided: &mut Decided<R>) -> Result<(), Verdict> {
        match self.exemptions(decided).await {
            Ok(Exemptions::Exempt(why)) => Err(Verdict::new(Outcome::Exempt, why)),
            Ok(Exemptions::Expired(expired)) => {
                let expired = expired.into_iter().map(|exemption| format!("an exemption has expired: {exemption}"));
                decided.proposal.notes.extend(expired);
                Ok(())
            }
            Err(error) => {
                let finding = decided.finding();
                Err(self.failed(finding, &self.in_session(finding, error), decided.work.findings.len()))
            }
        }
    }

    async fn exemptions(&self, decided: &Decided<R>) -> Result<Exemptions> {
        let (now, rule, work) = (ambient::now(), &self.manifest.id, &decided.work);
        let mut tags: Option<Tags> = None;
        let mut expired = Vec::new();
        for exemption in self.policy.exemptions() {
            let covers = |placed: &crate::workers::Placed| {
                let names = Names::of_finding(&placed.finding, &self.manifest, self.sessions.region());
                exemption.is_about(rule, &placed.finding, &names.and(work.resource()))
            };
            let covers: Vec<_> = work.findings.iter().map(covers).collect();
            let holds = if covers.contains(&Covers::Yes) {
                true
            } else if covers.contains(&Covers::IfTagged) && !decided.proposal.complies() {
                if tags.is_none() {
                    tags = Some(Box::pin(R::tags(&work.looked.client, &work.looked.seen)).await?);
                }
                tags.as_ref().is_some_and(|tags| exemption.is_tagged(tags))
            } else {
                false
            };
            match (holds, exemption.is_expired(now)) {
                (true, false) => return Ok(Exemptions::Exempt(exemption.to_string())),
                (true, true) => expired.push(exemption.to_string()),
                (false, _) => {}
            }
        }
        Ok(Exemptions::Expired(expired))
    }

    /// What becomes of the changes that the limits hold back, or a breaker that has stopped the run, by the places of their
    /// findings.
    pub(crate) async fn held_back(
        &self,
        job: &Job<R::Change>,
        wanted: &[Wanted],
    ) -> BTreeMap<usize, Decision<R::Change>> {
        if wanted.is_empty() {
            return BTreeMap::new();
        }
        let of_accounts: Vec<_> = wanted.iter().map(|of| (of.account.clone(), of.changes)).collect();
        let taken = self.ledger(&job.id).take(&self.manifest.id, &self.policy.limits, &of_accounts).await;
        let places = wanted.iter().map(|of| of.place);
        match taken {
            Ok(held) => {
                let decision = |why| match why {
                    HeldBack::Later(why) => Decision::defer(why),
                    HeldBack::Always(why) => Decision::Leave(Verdict::new(Outcome::Held, why)),
                };
                places.zip(held).filter_map(|(place, why)| Some((place, decision(why?)))).collect()
            }
            Err(error) => {
                tracing::error!(%error, "the limits could not be checked, so nothing was written");
                let why = format!("the limits could not be checked, so nothing was written: {error}");
                places.map(|place| (place, Decision::Settle(Verdict::new(error.outcome(), why.clone())))).collect()
            }
        }
    }
}

/// What is reported where nothing is to be changed: the resource complies, or nothing of it can be changed.
fn settled<C>(proposal: &Proposal<C>) -> Verdict {
    let Proposal { held, not_now, unproved, .. } = proposal;
    match (&held[..], &not_now[..], &unproved[..]) {
        ([], [], []) => Verdict { outcome: Outcome::AlreadyCompliant, detail: None },
        ([], [], unproved) => Verdict::new(Outcome::Unverified, unproved.join("; ")),
        ([], not_now, _) => Verdict::new(Outcome::Deferred, not_now.join("; ")),
        (held, ..) => Verdict::new(Outcome::Held, held.join("; ")),
    }
}

fn told_of(rejected: &Rejected) -> String {
    let Rejected { reason, by, until, .. } = rejected;
    format!("rejected by {by}: {reason} (until {until}, or until the changes are others)")
}

fn told(fought_over: &FoughtOver) -> String {
    let FoughtOver { reports, .. } = fought_over;
    let (times, reports) = (reports.len(), reports.join(", "));
    format!("{FOUGHT_OVER}it was fixed {times} times and violates again; the reports: {reports}")
}
