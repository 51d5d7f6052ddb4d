//! The engine: what becomes of a batch of findings.
//!
//! A finding is what somebody called a resource, and several findings can be about the same one: two controls, a name
//! and an ARN, two regions. So the engine first finds out what they lead to, and from then on works on resources, each
//! of which goes through the same stations:
//!
//! ```text
//!  findings ─► resolve ─► decide ─► claim ─► record ─► write ─► prove ─► report
//!              look       policy    card     plan      change   look
//!                         card                by        by
//!                         guard               change    change
//! ```
//!
//! 1. **resolve**: a look in a session that can only read says what the resource is and how it stands.
//! 2. **decide**: the rule plans the changes for all controls together; exemptions, the resource's card, the guard, the
//!    mode, the grace, the change windows and the limits say what becomes of them. A person's approval, or answer, stands in
//!    the mode's place.
//! 3. **claim**: who writes to the resource says so on its card first. There is one writer at a time; what was decided on
//!    an older card is not claimed. A claim ends with the run's time, and with what the run has set going: before a claim
//!    that nobody let go of is taken over, the rule is asked what is still under way, and the resource is looked at again.
//! 4. **record**: the plan is stored. Without it nothing is written. No account waits for another here: those that are
//!    planned by now share a plan, and are written while the others are still looked at (`waves`).
//! 5. **write**: change by change, while the policy still lets it and the claim holds.
//! 6. **prove**: a fresh look must find nothing left to change. Then the card says what was written, and lets go.
//!
//! Once Netskope has scanned a fixed resource again, what it says of it is kept as well (`closure`).
//!
//! Undo goes the same way back, from a stored plan that is believed for its digest alone.
//!
//! Invariants, each with a test:
//!
//! - Nothing is written before the plan that says so is stored, nor what the policy did not allow a second ago, nor by two
//!   at once.
//! - [`Outcome::Fixed`] means that a fresh look found nothing left to change for any control of the resource;
//!   [`Outcome::AlreadyCompliant`] and [`Outcome::Gone`], that the right object was looked at.
//! - Every finding has one outcome. One bad account, finding, resource or record never stops the others.
//! - Running anything twice, or twice at once, ends in the same state; what a crash has cut off is ended by the next run,
//!   or taken back by undo.
//! - What a person was shown is what is written, once, or nothing is.

mod breaker;
mod cards;
mod claim;
mod clock;
mod closure;
mod decide;
mod grace;
mod problems;
mod prove;
mod record;
mod reopened;
mod resolve;
mod unchanged;
mod undo;
mod waves;
mod workers;
mod write;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use remediation::aws::{Concurrency, WritePermit};
use remediation::domain::Controls;
use remediation::records::{Ended, Write, fixed_by, kept};
use remediation::{
    AccountId, AccountProblem, Approval, Approved, Batch, BatchId, BatchLineError, Finding, Ledger, Manifest,
    ManifestError, Mode, Outcome, Plan, PlannedResource, Policy, PolicyRecord, Records, Regions, Report,
    ReportedFinding, Rule, SessionKind, Sessions,
};
use tokio::sync::Semaphore;

use breaker::{Breaker, Effect, Opened};
use cards::Cards;
use claim::{CameOfIt, Claimed, Purpose, Refused};
use decide::{Decided, Decision};
use problems::Problems;
use prove::{Proof, in_force, judge};
use record::Recorded;
use reopened::Part;
use resolve::{ClientKey, ClientSlot, InAccount, Row, Verdict, Work};
use waves::CameOfAll;
use workers::{About, Placed};
use write::{CHANGED, NO_TIME, Order, Written, is_old};

pub use breaker::is_by_breaker;
pub use clock::Clock;
pub use grace::WaitsNoMore;
pub use unchanged::Told;
pub use undo::{Drifted, Taken, TakenBack, Undo};
pub use workers::{Bounds, Deadline, Interrupt, Progress};

/// Runs one rule over batches of findings.
pub struct Engine<R: Rule> {
    manifest: Manifest,
    controls: Controls<R::Control>,
    settings: R::Settings,
    sessions: Sessions,
    records: Records,
    bounds: Bounds,
    policy: Policy,
    policy_record: Option<PolicyRecord>,
    ledger: Option<Ledger>,
    regions: Option<Regions>,
    holder: String,
    clock: Clock,
    breaker: Breaker,
    problems: Problems,
    progress: Option<Arc<dyn Progress>>,
    interrupt: Interrupt,
    slots: Semaphore,
    concurrency: Arc<Concurrency>,
    clients: Mutex<HashMap<ClientKey, ClientSlot<R::Client>>>,
}

/// A report, and the plan of which it says what became.
#[derive(Debug)]
pub struct Done<C> {
    /// The report; [`Records::store_report`] keeps it.
    pub report: Report,
    /// The last plan as it was stored; none where there was nothing to change. Of a run that writes nothing, there is no
    /// other.
    pub plan: Option<Plan<C>>,
    /// Approvals of its resources that waited for a change window, and do no more: they can be carried out.
    pub approvals: BTreeSet<WaitsNoMore>,
    /// Since when the one waits for a person that has waited the longest; none where nothing does.
    pub waiting_since: Option<Timestamp>,
    /// What the cards remember of it: [`Told::remember`], once the report is stored.
    pub told: Told,
}

/// What one run is about.
struct Job<C> {
    id: BatchId,
    warrant: Warrant<C>,
    deadline: Deadline,
    cards: Cards,
    /// Whether it is one of many that find the same: what an earlier report says in full is only counted.
    is_poll: bool,
}

/// What lets the changes of a run be written.
enum Warrant<C> {
    /// The mode that was asked for, as far as the policy goes along.
    Mode(Mode),
    /// That a person has seen exactly these changes, by the ARNs of their resources.
    Shown(Shown<C>),
}

/// What a person has seen, and how that person said yes.
struct Shown<C> {
    resources: BTreeMap<String, PlannedResource<C>>,
    consent: Consent,
}

/// How a person said yes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Consent {
    /// By an approval of a stored plan.
    Approval(Box<Approved>),
    /// By an answer to a command, which runs the changes itself.
    Answer,
}

impl<C> Shown<C> {
    fn get(&self, arn: &str) -> Option<&PlannedResource<C>> {
        self.resources.get(arn)
    }
}

impl<C> Warrant<C> {
    /// The most that is done.
    fn mode(&self) -> Mode {
        match self {
            Self::Mode(mode) => *mode,
            Self::Shown(_) => self.needs(),
        }
    }

    /// The mode that the policy must allow for something to be written.
    fn needs(&self) -> Mode {
        match self {
            Self::Mode(_) | Self::Shown(Shown { consent: Consent::Answer, .. }) => Mode::Apply,
            Self::Shown(Shown { consent: Consent::Approval(_), .. }) => Mode::Approve,
        }
    }

    /// Whether it is a person's approval.
    fn is_approved(&self) -> bool {
        matches!(self, Self::Shown(Shown { consent: Consent::Approval(_), .. }))
    }
}

impl<C> Job<C> {
    /// The most that is done in an account.
    fn mode_for<R: Rule>(&self, engine: &Engine<R>, account: &AccountId) -> Mode {
        engine.policy.mode(&engine.manifest.id, account).min(self.warrant.mode())
    }

    /// Why less is done in an account than perhaps should be, where that is so.
    fn unsure<R: Rule>(&self, engine: &Engine<R>, account: &AccountId) -> Option<String> {
        let less = engine.policy.mode(&engine.manifest.id, account) < self.warrant.mode();
        less.then(|| engine.policy.unsure(&engine.manifest.id, account)).flatten()
    }
}

impl<R: Rule> Engine<R> {
    /// An engine for one run.
    ///
    /// # Errors
    ///
    /// The parameters of the manifest's controls are not what the rule takes.
    pub fn new(
        manifest: Manifest,
        settings: R::Settings,
        sessions: Sessions,
        records: Records,
        bounds: Bounds,
    ) -> Result<Self, ManifestError> {
        Ok(Self {
            controls: manifest.parameters()?,
            manifest,
            settings,
            sessions,
            records,
            bounds,
            policy: Policy::unrestricted(),
            policy_record: None,
            ledger: None,
            regions: None,
            holder: ambient::uuid_v4().to_string(),
            clock: Clock::default(),
            breaker: Breaker::default(),
            problems: Problems::default(),
            progress: None,
            interrupt: Interrupt::default(),
            slots: Semaphore::new(bounds.concurrency.max(1)),
            concurrency: bounds.for_calls(),
            clients: Mutex::default(),
        })
    }

    /// Tells `progress` how far the run is.
    #[must_use]
    pub fn with_progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Lets `interrupt` end the runs early: what is not begun by then is [`Outcome::Deferred`].
    #[must_use]
    pub fn ended_by(mut self, interrupt: Interrupt) -> Self {
        self.interrupt = interrupt;
        self
    }

    /// Holds the runs to `policy`, which `record`, where there is one, says anew while writes are under way.
    #[must_use]
    pub fn under(mut self, policy: Policy, record: Option<PolicyRecord>) -> Self {
        self.policy = policy;
        self.policy_record = record;
        self
    }

    /// Counts what the runs change in `ledger`, instead of one of the rule alone.
    #[must_use]
    pub fn with_ledger(mut self, ledger: Ledger) -> Self {
        self.ledger = Some(ledger);
        self
    }

    /// Leaves to other deployments what is in none of `regions`; what has no region is at their home.
    #[must_use]
    pub fn in_regions(mut self, regions: Regions) -> Self {
        self.regions = Some(regions);
        self
    }

    /// Claims in the name of `holder`: who comes back in that name goes on with its claims.
    #[must_use]
    pub fn held_by(mut self, holder: String) -> Self {
        self.holder = holder;
        self
    }

    /// Makes its calls by `concurrency`, which earlier runs of the process have taught how many reads AWS takes.
    #[must_use]
    pub fn sharing(mut self, concurrency: Arc<Concurrency>) -> Self {
        concurrency.begin_run();
        self.concurrency = concurrency;
        self
    }

    /// Tells the time of claims by `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Takes a batch from findings to outcomes. `mode` is the most that it does; the policy can make that less.
    pub async fn run(&self, batch: Batch, mode: Mode, deadline: Deadline) -> Done<R::Change> {
        self.carry_out(batch, Warrant::Mode(mode), deadline, false).await
    }

    /// The same as [`Engine::run`] in mode `apply`, for a batch that comes again and again: a finding that is as an earlier
    /// report says costs no plan and no row.
    pub async fn poll(&self, batch: Batch, deadline: Deadline) -> Done<R::Change> {
        self.carry_out(batch, Warrant::Mode(Mode::Apply), deadline, true).await
    }

    /// Writes what a person was shown, and has said yes to: those changes of `plan` that were only planned, on the
    /// resources on which each of them is still to be made.
    pub async fn run_shown(&self, id: BatchId, plan: Plan<R::Change>, deadline: Deadline) -> Done<R::Change> {
        let resources = plan.resources.into_iter().filter(|planned| planned.awaits.is_empty());
        self.carry_out_shown(id, resources, Consent::Answer, deadline).await
    }

    /// Carries out a plan that a person has approved: those of its resources that wait for an approval and are covered by
    /// this one, on which each change is still to be made and the guard sees nothing new. An approval serves once.
    pub async fn run_approved(&self, approved: Approved, plan: Plan<R::Change>, deadline: Deadline) -> Done<R::Change> {
        let approval = &approved.approval;
        let checked = self.check(approval, &plan);
        let waiting = plan
            .resources
            .into_iter()
            .filter(|planned| !planned.awaits.is_empty() && approval.covers(&planned.resource.arn));
        let done = match checked {
            Ok(()) => {
                let consent = Consent::Approval(Box::new(approved.clone()));
                self.carry_out_shown(approval.id(), waiting, consent, deadline).await
            }
            Err(why) => {
                let findings = waiting.flat_map(|planned| planned.findings).collect();
                let report = Report::untouched(Batch::new(approval.id(), findings), Outcome::Held, &why);
                Done {
                    report,
                    plan: None,
                    approvals: BTreeSet::new(),
                    waiting_since: None,
                    told: Told::nothing(&self.records, &self.manifest.id),
                }
            }
        };
        let report = Report { approval: Some(approved), mode: Mode::Approve, ..done.report };
        Done { report, ..done }
    }

    /// Whether the approval is of this plan, and holds.
    fn check(&self, approval: &Approval, plan: &Plan<R::Change>) -> Result<(), String> {
        let digest = plan.digest().map_err(|error| error.to_string())?;
        if plan.id.rule != self.manifest.id {
            return Err(format!("the plan is of the rule `{}`, not of `{}`", plan.id.rule, self.manifest.id));
        }
        approval.check(&digest, self.policy.approval_hours, ambient::now()).map_err(|error| error.to_string())
    }

    async fn carry_out_shown(
        &self,
        id: BatchId,
        resources: impl Iterator<Item = PlannedResource<R::Change>>,
        consent: Consent,
        deadline: Deadline,
    ) -> Done<R::Change> {
        let resources: Vec<_> = resources.collect();
        let findings = resources.iter().flat_map(|planned| planned.findings.clone()).collect();
        let by_arn = resources.into_iter().map(|planned| (planned.resource.arn.clone(), planned));
        let warrant = Warrant::Shown(Shown { resources: by_arn.collect(), consent });
        self.carry_out(Batch::new(id, findings), warrant, deadline, false).await
    }

    /// The stations, one after the other for each account.
    async fn carry_out(
        &self,
        batch: Batch,
        warrant: Warrant<R::Change>,
        deadline: Deadline,
        is_poll: bool,
    ) -> Done<R::Change> {
        let Batch { id, findings, passed, bad_lines } = batch;
        let started = ambient::now();
        let cards = Cards::new(&self.records, &self.manifest.id);
        let job = Job { id, warrant, deadline, cards, is_poll };
        let mode = findings
            .iter()
            .chain(&passed)
            .map(|finding| job.mode_for(self, &finding.account))
            .max()
            .unwrap_or_default();
        let findings = findings.into_iter().enumerate().map(|(place, finding)| Placed { place, finding });
        let (accounts, before) = self.by_account(findings.collect(), passed, &job);
        self.notify(|progress| progress.planning(accounts.iter().map(|of| of.named.len()).sum()));
        let CameOfAll { plans, mut rows, closed, approvals, waiting_since, unchanged, told, awaited } =
            self.in_waves(accounts, mode, &job).await;
        rows.extend(before);
        let done = self.done(job.id, mode, started, rows, bad_lines, plans);
        let mut report = done.report.with_unchanged(unchanged.into_report());
        report.confirmed = closed.confirmed();
        let told = told.with_closures(closed, fixed_by(&report).into_iter().chain(awaited).collect());
        Done { approvals, told, waiting_since, report, ..done }
    }

    /// Lists the cards of an account before anything of it is looked at: what is written in between is then seen by the
    /// claims.
    async fn list_cards(&self, InAccount { named, passed }: &InAccount, job: &Job<R::Change>) {
        if self.interrupt.is_interrupted() {
            return;
        }
        let goes_on = |finding: &&Finding| {
            self.why_paused(&self.policy, finding, None).is_none()
                && job.mode_for(self, &finding.account) > Mode::Off
                && self.policy.may_include(&finding.account)
        };
        // What is looked at goes on by now.
        let looked_at = named.first().map(About::finding).or_else(|| passed.iter().find(goes_on));
        let Some(Finding { account, .. }) = looked_at else { return };
        let _slot = self.slots.acquire().await;
        // Who needs a card that could not be listed is told so.
        drop(job.cards.list(account).await);
    }

    /// Claims a resource whose changes are to be written, or says who else is at work on it.
    async fn claim_for(&self, mut decided: Decided<R>, job: &Job<R::Change>) -> Decided<R> {
        let Decision::Write(changes, None) = &decided.decision else { return decided };
        let changes = changes.clone();
        let Some(known) = &decided.known else { return decided };
        if let Some(why) = self.why_stop(job.deadline, NO_TIME) {
            decided.decision = Decision::defer(why);
            return decided;
        }
        let part = match decided.planned().digest() {
            Ok(part) => part,
            Err(error) => {
                decided.decision = Decision::Settle(Verdict::new(Outcome::Failed, error.to_string()));
                return decided;
            }
        };
        match self.still_to_be_made(&decided).await {
            Ok(looked) => decided.work.looked.began = looked,
            Err(verdict) => {
                decided.decision = Decision::Settle(verdict);
                return decided;
            }
        }
        let found =
            self.found_unmade(&known.card, &job.id, &decided.work.looked, &Part { digest: &part, changes: &changes });
        let purpose = Purpose { part, changes: kept(&changes), found, undo: None };
        // The role with which it is written is assumed meanwhile; that it cannot be is told at the write.
        let session = async { drop(self.client_to_write(decided.finding()).await) };
        let (claimed, ()) = tokio::join!(self.claim(&job.id, known, purpose, job.deadline), session);
        decided.decision = match claimed {
            Ok(claimed) => Decision::Write(changes, Some(Box::new(claimed))),
            Err(Refused::Busy(busy)) => Decision::defer(busy),
            Err(failed) => Decision::Settle(failed.verdict()),
        };
        decided
    }

    async fn client_to_write(&self, finding: &Finding) -> remediation::Result<Arc<R::Client>> {
        self.client(&*finding.located(self.manifest.scope)?, SessionKind::Write).await
    }

    /// When the changes were last seen to be still to be made: by the look that they were planned from, or by another one
    /// where that was a while ago.
    async fn still_to_be_made(&self, decided: &Decided<R>) -> Result<Timestamp, Verdict> {
        let looked = decided.work.looked.began;
        if !is_old(looked) {
            return Ok(looked);
        }
        let began = ambient::now();
        let has_changed = self.has_changed(decided).await?;
        if has_changed { Err(Verdict::new(Outcome::Deferred, CHANGED)) } else { Ok(began) }
    }

    /// Lets go of a resource to which nothing is written after all.
    async fn give_up(&self, decided: Decided<R>, verdict: &Verdict) -> Vec<Row> {
        if let Decision::Write(_, Some(claimed)) = &decided.decision {
            claimed.give_up().await;
        }
        self.rows_of(&decided, verdict)
    }

    /// The rows of a resource that is not written.
    fn unwritten(&self, decided: &Decided<R>) -> Vec<Row> {
        let Verdict { outcome, detail } = decided.decision.verdict();
        let left: Vec<_> = decided.proposal.held.iter().chain(&decided.proposal.not_now).map(String::as_str).collect();
        let left = (!left.is_empty()).then(|| left.join("; "));
        let mut rows = self.rows_of(decided, &Verdict { outcome, detail: detail.or(left) });
        if let Some(replaces) = self.replaces(decided) {
            rows.iter_mut().for_each(|row| row.row.notes.push(replaces.clone()));
        }
        rows
    }

    /// Writes the changes of one resource, proves them, and lets go of it.
    async fn fix(&self, decided: Decided<R>, job: &Job<R::Change>) -> Vec<Row> {
        let Decision::Write(changes, Some(claimed)) = &decided.decision else {
            return self.rows_of(&decided, &decided.decision.verdict());
        };
        // Before it is looked at whether it may still be written: what waits for a permit after that is written too late.
        let Finding { account, region, .. } = decided.finding();
        let permit = self.concurrency.permit_to_write(account, region).await;
        let stopped = self.why_stop(job.deadline, NO_TIME);
        let stopped = stopped.or_else(|| self.breaker.is_open(decided.work.account(), &self.policy.limits));
        if let Some(stopped) = stopped {
            let verdict = Verdict::new(Outcome::Deferred, stopped);
            return self.give_up(decided, &verdict).await;
        }
        if let Err(verdict) = self.renew_if_due(claimed, job.deadline).await {
            return self.rows_of(&decided, &verdict);
        }
        let looked = match permit.of(self.still_to_be_made(&decided)).await {
            Ok(looked) => looked,
            Err(verdict) => return self.give_up(decided, &verdict).await,
        };
        let order = Order {
            finding: decided.finding(),
            resource: decided.work.resource(),
            changes,
            looked,
            session: SessionKind::Write,
            needs: job.warrant.needs(),
            claimed,
            deadline: job.deadline,
        };
        let (written, proof) = self
            .while_claimed(claimed, job.deadline, Box::pin(self.write_and_prove(&order, &permit, &decided, job)))
            .await;
        let took = in_force(proof.sides.as_deref(), &written);
        let Proof { found, notes, .. } = proof;
        if let Some(error) = written.failure.as_ref().filter(|error| error.is_of_account()) {
            self.problems.count(decided.work.account(), error, decided.work.findings.len());
        }
        let has_ended = written.may_still_come().is_none() && self.has_set_nothing_going(&decided, &written).await;
        let judged = judge(found, written.failure);
        self.count_effect(&job.id, decided.work.account(), judged.effect).await;
        // Not before: the breaker must know of it before the next one begins.
        permit.end(judged.effect == Effect::Worked);
        let write = (written.begun > 0).then(|| CameOfIt::Write {
            write: self.written(&job.id, claimed, judged.outcome, &took),
            violated: self.violated(&decided),
        });
        let kept = if has_ended { claimed.release(write).await } else { claimed.hold(write).await };
        let mut rows = self.rows_of(&decided, &Verdict { outcome: judged.outcome, detail: judged.detail });
        for Row { row, .. } in &mut rows {
            row.written = written.done - written.unneeded.len();
            row.took.clone_from(&took);
            if row.outcome != Outcome::AlreadyCompliant {
                row.verification.clone_from(&judged.verification);
            }
            row.notes.extend(notes.iter().filter(|note| !decided.proposal.notes.contains(note)).cloned());
            if let Err(refused) = &kept {
                row.notes.push(format!("what was written could not be kept on its card: {refused}"));
            }
        }
        tracing::info!(outcome = %judged.outcome, written = written.done, "applied");
        rows
    }

    /// Whether nothing is under way after a write that failed: a look at a runbook may fail while that goes on. Where it
    /// cannot be asked, something may be.
    async fn has_set_nothing_going(&self, decided: &Decided<R>, written: &Written) -> bool {
        if written.failure.is_none() || written.begun == 0 {
            return true;
        }
        let Work { looked, .. } = &decided.work;
        matches!(Box::pin(R::under_way(&looked.client, &looked.seen.resource)).await, Ok(None))
    }

    async fn write_and_prove(
        &self,
        order: &Order<'_, R::Change>,
        permit: &WritePermit,
        decided: &Decided<R>,
        job: &Job<R::Change>,
    ) -> (Written, Proof) {
        let mut written = permit.of(self.write(order)).await;
        if self.was_cut_off(decided, job) {
            // An earlier attempt of this very run may have made it.
            written.unneeded.clear();
        }
        let within = self.bounds.verify_within.min(job.deadline.left());
        let proof = self.prove(&decided.work, order.changes, &written, &job.warrant, within).await;
        (written, proof)
    }

    /// What the card says of what was written.
    fn written(&self, id: &BatchId, claimed: &Claimed, outcome: Outcome, took: &[usize]) -> Write {
        let ended = if outcome == Outcome::Fixed { Ended::Proved } else { Ended::Unproved };
        let (part, changes, took) = (claimed.part().to_owned(), claimed.changes().to_vec(), took.to_vec());
        Write { run: id.run, batch: id.batch, at: self.clock.now(), ended, part, changes, took, undone_by: None }
    }

    /// Does `work` while the claim holds. Where no deadline ends it, it is renewed; where that fails, it is lost.
    async fn while_claimed<T>(&self, claimed: &Claimed, deadline: Deadline, work: impl Future<Output = T>) -> T {
        if deadline.is_set() {
            return work.await;
        }
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = tokio::time::sleep(self.bounds.claim / 3) => {}
            }
            // A renewal that has begun is never broken off, also when the work is done meanwhile: the store would have a card
            // that the claim does not know, and so could not release.
            let mut renewal = pin!(claimed.renew(self.claimed_until(deadline)));
            let (renewed, done) = tokio::select! {
                biased;
                renewed = &mut renewal => (renewed, None),
                done = &mut work => (renewal.await, Some(done)),
            };
            if let Err(refused) = renewed {
                tracing::error!(?refused, "a claim could not be renewed");
                claimed.lose();
                return match done {
                    Some(done) => done,
                    None => work.await,
                };
            }
            if let Some(done) = done {
                return done;
            }
        }
    }

    /// Renews a claim of which a third of its time has passed before anything was written under it: it waited for others.
    async fn renew_if_due(&self, claimed: &Claimed, deadline: Deadline) -> Result<(), Verdict> {
        let left = Duration::try_from(claimed.until().duration_since(self.clock.now())).unwrap_or_default();
        if deadline.is_set() || left >= self.bounds.claim * 2 / 3 {
            return Ok(());
        }
        let renewed = claimed.renew(self.claimed_until(deadline)).await;
        let lost = |refused| Verdict::new(Outcome::Deferred, format!("its claim could not be renewed: {refused}"));
        renewed.map_err(lost)
    }

    /// Counts what became of a fix, for the breaker.
    async fn count_effect(&self, id: &BatchId, account: &AccountId, effect: Effect) {
        for Opened { account, why } in self.breaker.count(account, effect, &self.policy.limits) {
            tracing::error!("{why}");
            if let Err(error) = self.ledger(id).stop(account.as_ref(), &why).await {
                tracing::error!(%error, "the other batches of the run were not told");
            }
        }
    }

    fn ledger(&self, id: &BatchId) -> Ledger {
        self.ledger.clone().unwrap_or_else(|| Ledger::new(self.records.clone(), &id.rule, id.run))
    }

    /// The rows of a resource's findings. One whose own control the resource complied with says so, whatever the others
    /// came to.
    fn rows_of(&self, decided: &Decided<R>, verdict: &Verdict) -> Vec<Row> {
        let Decided { work, proposal, sightings, grace, decision, .. } = decided;
        let Work { findings, looked } = work;
        let changes = match decision {
            Decision::Write(changes, _) => summaries(changes),
            _ => summaries(&proposal.changes),
        };
        let notes: Vec<_> = sightings.iter().map(ToString::to_string).chain(proposal.notes.iter().cloned()).collect();
        let row = |placed: &Placed| {
            let complied = findings.len() > 1
                && !matches!(verdict.outcome, Outcome::Exempt | Outcome::Gone)
                && self.plan(std::slice::from_ref(placed), &looked.seen).complies();
            let (outcome, detail) = match complied {
                true => (Outcome::AlreadyCompliant, None),
                false => (verdict.outcome, verdict.detail.clone()),
            };
            let row = ReportedFinding::unwritten(placed.finding.clone(), outcome, detail);
            let resource = Some(looked.seen.resource.clone());
            let (notes, changes, grace) = (notes.clone(), changes.clone(), grace.clone());
            let contested = decided.contested.get(&placed.place).cloned();
            let row = ReportedFinding { resource, notes, changes, grace, contested, ..row };
            Row { place: placed.place, row }
        };
        findings.iter().map(row).collect()
    }

    /// The findings of a resource whose own control it violates.
    fn violated(&self, decided: &Decided<R>) -> Vec<Finding> {
        let Work { findings, looked } = &decided.work;
        let violates = |placed: &&Placed| !self.plan(std::slice::from_ref(*placed), &looked.seen).complies();
        findings.iter().filter(violates).map(|placed| placed.finding.clone()).collect()
    }

    fn done(
        &self,
        id: BatchId,
        mode: Mode,
        started: Timestamp,
        mut rows: Vec<Row>,
        bad_lines: Vec<BatchLineError>,
        mut plans: Vec<Recorded<R::Change>>,
    ) -> Done<R::Change> {
        let (plan, stored) = plans.pop().map(|Recorded { plan, stored, .. }| (plan, stored)).unzip();
        for Row { row, .. } in &mut rows {
            row.earlier_plan.take_if(|key| stored.as_ref().is_some_and(|last| last.key == *key));
        }
        rows.sort_by_key(|row| row.place);
        let findings = rows.into_iter().map(|row| row.row).collect();
        let report = Report::done(id, mode, started, findings, bad_lines);
        let earlier_plans = plans.into_iter().map(|recorded| recorded.stored).collect();
        let (accounts, source_identity) = (self.account_problems(), self.sessions.other_identity());
        let report = Report { plan: stored, earlier_plans, accounts, source_identity, ..report };
        Done {
            report,
            plan,
            approvals: BTreeSet::new(),
            waiting_since: None,
            told: Told::nothing(&self.records, &self.manifest.id),
        }
    }

    /// What stopped all findings of an account, one line an account: in the report and in the log.
    fn account_problems(&self) -> Vec<AccountProblem> {
        let problems = self.problems.take();
        for AccountProblem { account, findings, reason } in &problems {
            tracing::warn!(%account, findings, "{reason}");
        }
        problems
    }
}

fn summaries<C: ToString>(changes: &[C]) -> Vec<String> {
    changes.iter().map(ToString::to_string).collect()
}
