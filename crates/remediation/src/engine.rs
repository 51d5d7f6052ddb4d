//! The engine: look → plan → decide → record → apply → verify, for a batch of findings of one rule, as far as the policy goes
//! along; the same for a plan that a person has approved; and undo, from a stored plan.

mod breaker;
mod decide;
mod problems;
mod undo;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::{Instant, timeout};
use tracing::Instrument;

use crate::call::counted;
use crate::history::History;
use crate::rule::Controls;
use crate::{
    AccountId, AccountProblem, Approval, Batch, BatchId, Error, ErrorKind, Finding, Guard, Ledger, Manifest,
    ManifestError, Mode, Outcome, Plan, PlannedChange, PlannedFinding, Policy, PolicyRecord, Proposal, RecordError,
    Records, Region, Report, ReportedFinding, Resource, Result, Rule, Seen, SessionKind, Sessions, StoredPlan,
    Verification,
};

use breaker::{Breaker, Effect, Opened};
use decide::{Decision, Exempting, Warrant};
use problems::Problems;

pub use undo::Undo;

/// Bounds of a run.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Findings under way at once.
    pub concurrency: usize,
    /// Findings under way at once in one account, because AWS throttles by account.
    pub account_concurrency: usize,
    /// How long a fresh look is repeated until an eventually consistent service shows the change.
    pub verify_within: Duration,
    /// How long before the deadline no new finding is taken up: time for one fix, its proof and the report.
    pub reserve: Duration,
    /// How long before the deadline a write that is under way is not awaited any more: time for the proof and the
    /// report.
    pub conclude: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            concurrency: 32,
            account_concurrency: 8,
            verify_within: Duration::from_secs(30),
            reserve: Duration::from_secs(75),
            conclude: Duration::from_secs(45),
        }
    }
}

/// When the run will be cut off; never, for a person at a command line.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// A run that nobody cuts off.
    pub fn never() -> Self {
        Self(None)
    }

    /// A run that ends after `time`.
    pub fn after(time: Duration) -> Self {
        Self(Some(Instant::now() + time))
    }

    fn left(self) -> Duration {
        self.0.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()))
    }
}

/// Is told when the engine is done with a step of a finding.
pub trait Progress: Send + Sync {
    /// `findings` findings need a look.
    fn planning(&self, findings: usize);
    /// `findings` findings need a fix.
    fn applying(&self, findings: usize);
    /// One of them is done.
    fn done(&self);
}

/// Why nothing is done at all.
const PAUSED: &str = "everything is paused by the policy";

type ClientSlot<C> = Arc<OnceCell<Result<Arc<C>>>>;
type ClientKey = (AccountId, Region, SessionKind);

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
    breaker: Breaker,
    problems: Problems,
    progress: Option<Arc<dyn Progress>>,
    slots: Semaphore,
    clients: Mutex<HashMap<ClientKey, ClientSlot<R::Client>>>,
}

/// A finding that waits for its changes to be written, with its place in the batch.
struct Waiting<C> {
    place: usize,
    finding: Finding,
    resource: Resource,
    proposal: Proposal<C>,
    decision: Decision,
}

/// What planning found out about one finding.
type Planned<C> = Result<Box<Proposed<C>>, Box<Settled>>;

/// What would have to change, and whether it is written.
struct Proposed<C> {
    resource: Resource,
    proposal: Proposal<C>,
    decision: Decision,
}

/// What is reported of a finding for which nothing is written.
struct Settled {
    resource: Option<Resource>,
    outcome: Outcome,
    detail: Option<String>,
    notes: Vec<String>,
}

/// A fresh look at a finding's resource, and what the rule makes of it.
struct Looked<R: Rule> {
    client: Arc<R::Client>,
    seen: Seen<R::State>,
    proposal: Proposal<R::Change>,
    /// The actions that it called.
    calls: Vec<String>,
}

/// What a fresh look after a write said, when it was not yet that the resource complies.
enum Look {
    Gone(Error),
    Held(String),
    /// Something could not be changed yet.
    Later(String),
    /// It is changed, and not shown to work yet.
    Unproved(String),
    /// It still violates.
    Left(String),
    /// There was no look.
    Unseen(Error),
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
            breaker: Breaker::default(),
            problems: Problems::default(),
            progress: None,
            slots: Semaphore::new(bounds.concurrency.max(1)),
            clients: Mutex::default(),
        })
    }

    /// Tells `progress` how far the run is.
    #[must_use]
    pub fn with_progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Holds the runs to `policy`, which `record`, where there is one, says anew before each write.
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

    /// Takes a batch from findings to outcomes. [`Records::store_report`] keeps what it gives.
    ///
    /// `mode` is the most that it does; the policy can make that less.
    pub async fn run(&self, batch: Batch, mode: Mode, deadline: Deadline) -> Report {
        self.carry_out(batch, &Warrant::Mode(mode), deadline).await
    }

    /// Carries out a plan that a person has approved: those of its findings that wait for an approval, where a fresh
    /// look finds the very same changes. An approval serves once.
    pub async fn run_approved(&self, approval: &Approval, plan: Plan<R::Change>, deadline: Deadline) -> Report {
        let waiting = plan.findings.iter().filter(|planned| !planned.awaits.is_empty());
        let batch = Batch::new(approval.id(), waiting.clone().map(|planned| planned.finding.clone()).collect());
        let said = |report| Report { approval: Some(approval.clone()), mode: Mode::Approve, ..report };
        let hash = match plan.digest() {
            Ok(hash) => hash,
            Err(error) => return said(Report::held(batch, &error.to_string())),
        };
        if let Err(error) = approval.check(&hash, self.policy.approval_hours, Timestamp::now()) {
            return said(Report::held(batch, &error.to_string()));
        }
        match self.ledger(&batch.id).claim("approval").await {
            Ok(true) => {}
            Ok(false) => return said(Report::held(batch, "this approval was used before: approve the plan again")),
            Err(error) => {
                let reason = format!("the approval cannot be claimed: {error}");
                return said(Report::untouched(batch, error.outcome(), &reason));
            }
        }
        let warrant = Warrant::Approval(waiting.map(undo::changes).collect());
        said(self.carry_out(batch, &warrant, deadline).await)
    }

    async fn carry_out(&self, batch: Batch, warrant: &Warrant<R::Change>, deadline: Deadline) -> Report {
        if self.policy.paused {
            return Report::held(batch, PAUSED);
        }
        let started = Timestamp::now();
        let exempting = match Exempting::read(&self.records, &self.manifest.id).await {
            Ok(exempting) => exempting,
            Err(error) => {
                let reason = format!("the exemptions cannot be read, so nothing is written: {error}");
                return Report::untouched(batch, error.outcome(), &reason);
            }
        };
        let allowed = |finding: &Finding| self.policy.mode(&self.manifest.id, &finding.account);
        let mode = batch.findings.iter().map(allowed).max().unwrap_or_default().min(warrant.mode());
        let (mut plans, mut rows) = (Vec::new(), BTreeMap::new());
        for pass in passes(batch.findings, mode >= warrant.needs()) {
            let (mut waiting, settled) = self.plan(pass, warrant, &exempting, deadline).await;
            rows.extend(settled);
            if !waiting.is_empty() {
                self.keep_to_limits(&batch.id, &mut waiting).await;
                let stored = self.store_plan(&batch.id, mode, &waiting).await;
                plans.extend(stored.as_ref().ok().cloned());
                let id = &batch.id;
                let apply = |waiting: Waiting<R::Change>| async move {
                    (waiting.place, Box::pin(self.apply_one(id, waiting, warrant.needs(), deadline)).await)
                };
                rows.extend(self.finish(waiting, stored, apply).await);
            }
        }
        let findings = rows.into_values().collect();
        let report = Report::done(batch.id, mode, started, findings, batch.bad_lines);
        Report { plans, accounts: self.account_problems(), ..report }
    }

    /// What stopped all findings of an account, one line an account: in the report and in the log.
    fn account_problems(&self) -> Vec<AccountProblem> {
        let problems = self.problems.take();
        for AccountProblem { account, findings, reason } in &problems {
            tracing::warn!(%account, findings, "{reason}");
        }
        problems
    }

    /// Sorts the findings into those that need changes and those whose outcome is settled, by their place in the batch.
    async fn plan(
        &self,
        findings: Vec<(usize, Finding)>,
        warrant: &Warrant<R::Change>,
        exempting: &Exempting,
        deadline: Deadline,
    ) -> (Vec<Waiting<R::Change>>, BTreeMap<usize, ReportedFinding>) {
        self.notify(|progress| progress.planning(findings.len()));
        let step = |(place, finding): (usize, Finding)| async move {
            let planned = Box::pin(self.plan_and_decide(place, &finding, warrant, exempting, deadline)).await;
            (place, finding, planned)
        };
        sort(self.for_each_bounded(findings, |(_, finding)| finding, step).await)
    }

    /// Applies by `step` what the stored plan says is written, and says of the rest why it is not.
    async fn finish<F>(
        &self,
        waiting: Vec<Waiting<R::Change>>,
        stored: Result<StoredPlan, RecordError>,
        step: impl Fn(Waiting<R::Change>) -> F,
    ) -> Vec<(usize, ReportedFinding)>
    where
        F: Future<Output = (usize, ReportedFinding)>,
    {
        if let Err(error) = stored {
            tracing::error!(%error, "the plan could not be stored, so nothing was written");
            let detail = format!("the plan could not be stored, so nothing was written: {error}");
            let outcome = error.outcome();
            let unwritten = |waiting: Waiting<R::Change>| (waiting.place, waiting.row(outcome, Some(detail.clone())));
            return waiting.into_iter().map(unwritten).collect();
        }
        let (written, unwritten): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|waiting| waiting.decision == Decision::Write);
        let mut rows: Vec<_> = unwritten.into_iter().map(Waiting::unwritten).collect();
        if !written.is_empty() {
            self.notify(|progress| progress.applying(written.len()));
            rows.extend(self.for_each_bounded(written, |waiting| &waiting.finding, step).await);
        }
        rows
    }

    async fn store_plan(
        &self,
        id: &BatchId,
        mode: Mode,
        waiting: &[Waiting<R::Change>],
    ) -> Result<StoredPlan, RecordError> {
        let change = |change: &R::Change| PlannedChange { summary: change.to_string(), change: change.clone() };
        let findings = waiting
            .iter()
            .map(|waiting| PlannedFinding {
                finding: waiting.finding.clone(),
                resource: waiting.resource.clone(),
                changes: waiting.proposal.changes.iter().map(change).collect(),
                awaits: waiting.decision.awaits().to_vec(),
                held: waiting.proposal.held.clone(),
                notes: waiting.proposal.notes.clone(),
            })
            .collect();
        let plan = Plan::new(id.clone(), mode, findings)?;
        let key = self.records.put_new(&id.plan_key(), serde_json::to_vec_pretty(&plan)?).await?;
        tracing::info!(plan = %key, findings = plan.findings.len(), "plan stored");
        Ok(StoredPlan { key, hash: plan.hash })
    }

    /// A fresh look, unless there is no time left for it.
    async fn look_in_time(&self, finding: &Finding, deadline: Deadline) -> Result<Looked<R>, Box<Settled>> {
        if deadline.left() < self.bounds.reserve {
            return Err(Settled::of(Outcome::Deferred, "no time was left to plan it; the next poll will"));
        }
        Box::pin(self.look(finding)).await.map_err(|error| self.failed(finding, &error))
    }

    /// What is reported of a finding for which a call failed before anything was written.
    fn failed(&self, finding: &Finding, error: &Error) -> Box<Settled> {
        let outcome = error.kind.outcome();
        if error.is_of_account() {
            self.problems.count(&finding.account, error);
        } else if outcome == Outcome::Failed {
            tracing::warn!(%error, "planning failed");
        }
        Settled::of(outcome, error.to_string())
    }

    /// A fresh look through the read-only session, and what the rule makes of it.
    async fn look(&self, finding: &Finding) -> Result<Looked<R>> {
        let Some(control) = self.controls.get(&finding.control) else {
            let message = format!("`{}` is not a control of {}", finding.control, self.manifest.id);
            return Err(Error::invalid_finding("control", message));
        };
        let finding = finding.located(self.manifest.scope)?;
        let client = self.client(&finding, SessionKind::Read).await?;
        let (seen, calls) = counted(Box::pin(R::look(&client, &finding))).await;
        let seen = seen.map_err(|error| self.in_session(&finding, error))?;
        if seen.resource.owner != finding.account {
            let Resource { arn, owner, .. } = &seen.resource;
            let message = format!(
                "it belongs to the account {owner}, which shares it with {}: it can be changed there only ({arn})",
                finding.account
            );
            return Err(Error::out_of_reach("finding's account", message));
        }
        let proposal = R::plan(&seen, &[control], &self.settings);
        Ok(Looked { client, seen, proposal, calls })
    }

    /// An error of a call with a session for the finding's account and region.
    fn in_session(&self, finding: &Finding, error: Error) -> Error {
        let region =
            if finding.region.is_global() { self.sessions.region().to_owned() } else { finding.region.to_string() };
        error.in_session(&finding.account, &region)
    }

    /// What a guard sees of the changes is noted; what it says that holds them back. A guard that cannot see says so.
    async fn guard(&self, looked: &mut Looked<R>) -> Vec<String> {
        let guard = R::guard(&self.settings);
        if guard == Guard::Off {
            return Vec::new();
        }
        let Looked { client, seen, proposal, .. } = looked;
        let sights = match Box::pin(R::impact(client, seen, &proposal.changes, &self.settings)).await {
            Ok(sights) => sights.iter().map(ToString::to_string).collect(),
            Err(error) => vec![format!("what the fix would break could not be seen: {error}")],
        };
        proposal.notes.extend(sights.iter().cloned());
        if guard == Guard::Hold { sights } else { Vec::new() }
    }

    /// Writes the changes and proves them; `needs` is the mode that the policy must still allow.
    async fn apply_one(
        &self,
        id: &BatchId,
        waiting: Waiting<R::Change>,
        needs: Mode,
        deadline: Deadline,
    ) -> ReportedFinding {
        let mut row = waiting.row(Outcome::Deferred, None);
        let proposal = waiting.proposal;
        if deadline.left() < self.bounds.reserve {
            row.detail = Some("no time was left to write it; the next poll will".into());
            return row;
        }
        if let Some(open) = self.breaker.is_open(&row.finding.account, &self.policy.limits) {
            row.detail = Some(open);
            return row;
        }
        let failure = self.write(&row.finding, &waiting.resource, &proposal.changes, needs, deadline, &mut row.written).await.err();
        // After a failed write one look is enough: another run, or the service itself, may have brought it about.
        let within = if failure.is_some() { Duration::ZERO } else { self.bounds.verify_within };
        let looked = self.verify(&row.finding, within.min(deadline.left())).await;
        if let Ok((_, notes)) = &looked {
            row.notes.extend(notes.iter().filter(|note| !proposal.notes.contains(note)).cloned());
        }
        if let Some(error) = failure.as_ref().filter(|error| error.is_of_account()) {
            self.problems.count(&row.finding.account, error);
        }
        let judged = judge(looked.map(|(proof, _)| proof), failure);
        (row.outcome, row.detail, row.verification) = (judged.outcome, judged.detail, judged.verification);
        self.remember(id, &mut row, judged.effect).await;
        tracing::info!(outcome = %row.outcome, written = row.written, detail = row.detail.as_deref(), "applied");
        row
    }

    /// Counts what became of a fix: for the breaker, and for the resource's history.
    async fn remember(&self, id: &BatchId, row: &mut ReportedFinding, effect: Effect) {
        for Opened { account, why } in self.breaker.count(&row.finding.account, effect, &self.policy.limits) {
            tracing::error!("{why}");
            if let Err(error) = self.ledger(id).stop(account.as_ref(), &why).await {
                tracing::error!(%error, "the other batches of the run were not told");
            }
        }
        if row.outcome == Outcome::Fixed {
            let kept = History::new(&self.records, &self.manifest.id, &row.finding).fixed_by(id).await;
            if let Err(error) = kept {
                tracing::error!(%error, "the fix could not be counted");
                row.notes.push(format!("the fix could not be counted, for when it is taken back again: {error}"));
            }
        }
    }

    fn ledger(&self, id: &BatchId) -> Ledger {
        self.ledger.clone().unwrap_or_else(|| Ledger::new(self.records.clone(), &id.rule, id.run))
    }

    /// Whether the policy, as it is now, still lets this be written.
    async fn is_let(&self, finding: &Finding, needs: Mode) -> Result<()> {
        let Some(record) = &self.policy_record else { return Ok(()) };
        let stopped = |message: String| Err(Error::stopped(message));
        match record.read().await {
            Err(error) if error.passes() => Err(Error::new("policy", ErrorKind::Transient, error.to_string())),
            Err(error) => stopped(error.to_string()),
            Ok(policy) if policy.paused => stopped(PAUSED.into()),
            Ok(policy) if policy.mode(&self.manifest.id, &finding.account) < needs => {
                stopped("the rule's mode is another by now".into())
            }
            Ok(_) => Ok(()),
        }
    }

    /// Writes the changes, and counts in `written` those that were.
    #[allow(clippy::too_many_arguments)]
    async fn write(
        &self,
        finding: &Finding,
        resource: &Resource,
        changes: &[R::Change],
        needs: Mode,
        deadline: Deadline,
        written: &mut usize,
    ) -> Result<()> {
        let located = finding.located(self.manifest.scope)?;
        let client = self.client(&located, SessionKind::Write).await?;
        for change in changes {
            self.is_let(finding, needs).await?;
            let left = deadline.left().saturating_sub(self.bounds.conclude);
            let unfinished = |_| {
                let message = format!("the write was begun, but had not ended after {} s", left.as_secs());
                Error::new(&change.to_string(), ErrorKind::Unfinished, message)
            };
            let applied = timeout(left, Box::pin(R::apply(&client, resource, change))).await.map_err(unfinished)?;
            applied.map_err(|error| self.in_session(&located, error))?;
            *written += 1;
        }
        Ok(())
    }

    /// Looks afresh until the resource complies, with backoff, for at most `within`; at least once.
    async fn verify(&self, finding: &Finding, within: Duration) -> Result<(Verification, Vec<String>), Look> {
        let look = || async {
            let Looked { proposal, calls, .. } = Box::pin(self.look(finding)).await.map_err(Look::failed)?;
            let Proposal { changes, held, not_now, unproved, notes } = proposal;
            match (&changes[..], &held[..], &not_now[..], &unproved[..]) {
                ([], [], [], []) => Ok((calls, notes)),
                ([], [], [], unproved) => Err(Look::Unproved(unproved.join("; "))),
                ([], [], not_now, _) => Err(Look::Later(not_now.join("; "))),
                ([], held, ..) => Err(Look::Held(held.join("; "))),
                (changes, ..) => {
                    Err(Look::Left(format!("a fresh look still finds: {}", summaries(changes).join("; "))))
                }
            }
        };
        // What is only not proved takes minutes: the next poll looks again.
        self.look_until(within, look, |look| matches!(look, Look::Left(_) | Look::Later(_) | Look::Unseen(_))).await
    }

    /// Repeats `look`, which gives the calls that it made, with backoff while it fails with something for which `again`
    /// holds, for at most `within`.
    async fn look_until<T, E, F>(
        &self,
        within: Duration,
        look: impl Fn() -> F,
        again: impl Fn(&E) -> bool,
    ) -> Result<(Verification, T), E>
    where
        F: Future<Output = Result<(Vec<String>, T), E>>,
    {
        let looks = std::sync::atomic::AtomicU32::new(0);
        let started = Instant::now();
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(5))
            .without_max_times()
            .with_total_delay(Some(within));
        let counted = || {
            looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            look()
        };
        // The backoff counts its own waits; a slow look takes time as well.
        let retried = counted.retry(backoff).when(|error| again(error) && started.elapsed() < within);
        let (actions, found) = retried.await?;
        Ok((Verification { at: Timestamp::now(), looks: looks.into_inner(), actions }, found))
    }

    async fn client(&self, finding: &Finding, kind: SessionKind) -> Result<Arc<R::Client>> {
        let slot = {
            let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(clients.entry((finding.account.clone(), finding.region.clone(), kind)).or_default())
        };
        let make = || async {
            let target = self.sessions.target(&finding.account, &finding.region, kind).await?;
            Ok(Arc::new(R::client(&target)))
        };
        slot.get_or_init(make).await.clone()
    }

    /// Runs `step` over all items, bounded in one account and in all; gives the results in the items' order.
    async fn for_each_bounded<T, U, F>(
        &self,
        items: Vec<T>,
        finding: impl Fn(&T) -> &Finding,
        step: impl Fn(T) -> F,
    ) -> Vec<U>
    where
        F: Future<Output = U>,
    {
        let mut accounts: BTreeMap<AccountId, Vec<(usize, T)>> = BTreeMap::new();
        for (place, item) in items.into_iter().enumerate() {
            accounts.entry(finding(&item).account.clone()).or_default().push((place, item));
        }
        let one = |(place, item): (usize, T)| {
            let span = finding(&item).span();
            let step = &step;
            async move {
                // The semaphore is never closed, so this waits and cannot fail.
                let _slot = self.slots.acquire().await;
                let result = step(item).await;
                self.notify(|progress| progress.done());
                (place, result)
            }
            .instrument(span)
        };
        let in_account = |items| stream::iter(items).map(one).buffer_unordered(self.bounds.account_concurrency.max(1));
        let accounts = accounts.into_values().map(in_account);
        let mut results: Vec<_> = stream::select_all(accounts).collect().await;
        results.sort_by_key(|(place, _)| *place);
        results.into_iter().map(|(_, result)| result).collect()
    }

    fn notify(&self, tell: impl FnOnce(&dyn Progress)) {
        if let Some(progress) = &self.progress {
            tell(progress.as_ref());
        }
    }
}

impl Finding {
    fn span(&self) -> tracing::Span {
        tracing::info_span!("finding", account = %self.account, region = %self.region, resource = %self.resource)
    }
}

impl<R: Rule> Looked<R> {
    /// What is reported where nothing is to be changed, for that it complies or because nothing can be.
    fn unless_settled(self) -> Result<Self, Box<Settled>> {
        let Proposal { changes, held, not_now, unproved, notes } = &self.proposal;
        if !changes.is_empty() {
            return Ok(self);
        }
        let (outcome, detail) = match (&held[..], &not_now[..], &unproved[..]) {
            ([], [], []) => (Outcome::AlreadyCompliant, None),
            ([], [], unproved) => (Outcome::Unverified, Some(unproved.join("; "))),
            ([], not_now, _) => (Outcome::Deferred, Some(not_now.join("; "))),
            (held, ..) => (Outcome::Held, Some(held.join("; "))),
        };
        Err(Box::new(Settled { resource: Some(self.seen.resource.clone()), outcome, detail, notes: notes.clone() }))
    }
}

impl Settled {
    fn of(outcome: Outcome, detail: impl Into<String>) -> Box<Self> {
        Box::new(Self { resource: None, outcome, detail: Some(detail.into()), notes: Vec::new() })
    }
}

impl Look {
    fn failed(error: Error) -> Self {
        if error.is_gone() { Self::Gone(error) } else { Self::Unseen(error) }
    }
}

impl<C: ToString> Waiting<C> {
    /// The report's row of a finding for which nothing has been written yet.
    fn row(&self, outcome: Outcome, detail: Option<String>) -> ReportedFinding {
        let Self { finding, resource, proposal, .. } = self;
        let (notes, changes) = (proposal.notes.clone(), summaries(&proposal.changes));
        let row = ReportedFinding::unwritten(finding.clone(), outcome, detail);
        ReportedFinding { resource: Some(resource.clone()), notes, changes, ..row }
    }

    /// The row of a finding that is not written, with its place.
    fn unwritten(self) -> (usize, ReportedFinding) {
        let (outcome, detail) = self.decision.clone().outcome();
        let Proposal { held, not_now, .. } = &self.proposal;
        let left: Vec<_> = held.iter().chain(not_now).map(String::as_str).collect();
        let left = (!left.is_empty()).then(|| left.join("; "));
        (self.place, self.row(outcome, detail.or(left)))
    }
}

/// The findings with their places, in passes that have no resource twice: what is written for one control of a resource
/// changes what is to be planned for another. Where nothing is written, one pass shows everything.
fn passes(findings: Vec<Finding>, writes: bool) -> Vec<Vec<(usize, Finding)>> {
    let mut passes: Vec<Vec<_>> = Vec::new();
    let mut seen: HashMap<_, usize> = HashMap::new();
    for (place, finding) in findings.into_iter().enumerate() {
        let resource = (finding.account.clone(), finding.region.clone(), finding.resource.clone());
        let count = seen.entry(resource).or_default();
        let pass = if writes { *count } else { 0 };
        *count += 1;
        if passes.len() == pass {
            passes.push(Vec::new());
        }
        passes[pass].push((place, finding));
    }
    passes
}

/// What follows from a fix.
struct Judged {
    outcome: Outcome,
    detail: Option<String>,
    verification: Option<Verification>,
    effect: Effect,
}

/// What follows from the last look and from the failed write, if there was one.
fn judge(looked: Result<Verification, Look>, failure: Option<Error>) -> Judged {
    let (outcome, detail, effect) = match (&looked, failure) {
        (Ok(_), None) => (Outcome::Fixed, None, Effect::Worked),
        (Ok(_), Some(error)) => {
            let detail = format!("a write failed, and yet the resource complies: {error}");
            (Outcome::Fixed, Some(detail), Effect::Worked)
        }
        (Err(Look::Gone(error)), _) => (Outcome::Gone, Some(error.to_string()), Effect::Unknown),
        (Err(_), Some(error)) => (outcome_of(&error), Some(error.to_string()), effect_of(&error)),
        (Err(Look::Held(held)), None) => (Outcome::Held, Some(held.clone()), Effect::Unknown),
        (Err(Look::Later(later)), None) => (Outcome::Deferred, Some(later.clone()), Effect::Unknown),
        (Err(Look::Unproved(missing)), None) => (Outcome::Unverified, Some(missing.clone()), Effect::Unknown),
        (Err(Look::Left(left)), None) => (Outcome::Unverified, Some(left.clone()), Effect::Failed),
        (Err(Look::Unseen(error)), None) => {
            (Outcome::Unverified, Some(format!("a fresh look failed: {error}")), effect_of(error))
        }
    };
    Judged { outcome, detail, verification: looked.ok(), effect }
}

/// The outcome of a write that failed and had no effect that can be seen.
fn outcome_of(error: &Error) -> Outcome {
    // It is there: a look has found it.
    if error.is_gone() { Outcome::Failed } else { error.kind.outcome() }
}

/// What an error says of whether fixes work: nothing, where it passes by itself or is not a fix's.
fn effect_of(error: &Error) -> Effect {
    match outcome_of(error) {
        Outcome::Failed | Outcome::Unverified => Effect::Failed,
        _ => Effect::Unknown,
    }
}

/// Those that wait for their changes to be written, and the rows of those that are settled, by their place.
fn sort<C>(planned: Vec<(usize, Finding, Planned<C>)>) -> (Vec<Waiting<C>>, BTreeMap<usize, ReportedFinding>) {
    let (mut waiting, mut settled) = (Vec::new(), BTreeMap::new());
    for (place, finding, planned) in planned {
        match planned {
            Ok(proposed) => {
                let Proposed { resource, proposal, decision } = *proposed;
                waiting.push(Waiting { place, finding, resource, proposal, decision });
            }
            Err(of) => {
                let Settled { resource, outcome, detail, notes } = *of;
                let row = ReportedFinding::unwritten(finding, outcome, detail);
                settled.insert(place, ReportedFinding { resource, notes, ..row });
            }
        }
    }
    (waiting, settled)
}

fn summaries<C: ToString>(changes: &[C]) -> Vec<String> {
    changes.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests;
