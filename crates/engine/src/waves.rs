//! Waves: an account's writes begin when its own plan is stored, and not when the slowest account is planned.
//!
//! A batch is about many accounts, and AWS throttles each by itself. So accounts are looked at and decided side by side,
//! each as a whole; the accounts that are planned by now are a wave:
//!
//! ```text
//!  account 1 ── look, decide ──┐
//!  account 2 ── look, decide ──┴─► limits ─► claim ─► record ─► write, prove
//!  account 3 ── look, decide ─────────────────────┐             write, prove
//!  account 4 ── throttled ── look, decide ────────┴─► limits ─► claim ─► record ─► write, prove
//! ```
//!
//! One wave is recorded after the other, and the next one gathers meanwhile: so there are as many plans as can be stored
//! while the batch is planned, and never more than accounts. Where all accounts are planned at about the same time, there
//! is one plan.
//!
//! What is not written is kept back to the last wave: whatever waits for a person is in one plan, the report's
//! [`plan`](remediation::Report::plan). A wave whose plan cannot be stored writes nothing, and stops no other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt as _;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use jiff::Timestamp;
use remediation::{Finding, Mode, Rule};
use tokio::time::{Instant, timeout_at};

use crate::claim::Claimed;
use crate::closure::Closed;
use crate::decide::{Decided, Decision};
use crate::record::{Recorded, unstored};
use crate::resolve::{InAccount, Row};
use crate::unchanged::{Counted, Told};
use crate::{Engine, Job, WaitsNoMore};

/// What has come of a batch.
pub(crate) struct CameOfAll<C> {
    /// The plans, in the order in which they were stored.
    pub(crate) plans: Vec<Recorded<C>>,
    pub(crate) rows: Vec<Row>,
    pub(crate) closed: Closed,
    pub(crate) approvals: BTreeSet<WaitsNoMore>,
    pub(crate) waiting_since: Option<Timestamp>,
    pub(crate) unchanged: Counted,
    pub(crate) told: Told,
    /// The findings of resources that comply whose fixes may be confirmed yet, and when those were.
    pub(crate) awaited: Vec<(Finding, Timestamp)>,
}

/// What has come of the accounts before their changes are written.
#[derive(Default)]
struct Planned {
    rows: Vec<Row>,
    closed: Closed,
}

/// The accounts that are planned by now.
struct Wave<R: Rule> {
    /// By the places of their findings.
    decided: Vec<Decided<R>>,
    /// Whether there are no others.
    is_last: bool,
}

/// What is written, and the key of the plan that says so.
struct ToWrite<R: Rule> {
    decided: Vec<Decided<R>>,
    plan: String,
}

/// Where waves are recorded.
struct Desk<'a, R: Rule> {
    job: &'a Job<R::Change>,
    mode: Mode,
    plans: Vec<Recorded<R::Change>>,
    rows: Vec<Row>,
    told: Told,
    to_write: UnboundedSender<ToWrite<R>>,
}

/// What has come of all waves but for what is written.
struct AllRecorded<C> {
    plans: Vec<Recorded<C>>,
    rows: Vec<Row>,
    approvals: BTreeSet<WaitsNoMore>,
    waiting_since: Option<Timestamp>,
    unchanged: Counted,
    told: Told,
    awaited: Vec<(Finding, Timestamp)>,
}

impl<R: Rule> Wave<R> {
    /// Waits for an account, and for others for so long after it.
    async fn gather(ready: &mut UnboundedReceiver<Vec<Decided<R>>>, within: Duration) -> Self {
        let (mut decided, mut end, mut is_last) = (Vec::new(), None, false);
        loop {
            let next = match end {
                None => ready.next().await,
                Some(end) => match timeout_at(end, ready.next()).await {
                    Ok(next) => next,
                    Err(_) => break,
                },
            };
            let Some(next) = next else {
                is_last = true;
                break;
            };
            decided.extend(next);
            end.get_or_insert_with(|| Instant::now() + within);
        }
        decided.sort_by_key(Decided::place);
        Self { decided, is_last }
    }
}

impl<R: Rule> Engine<R> {
    /// Plans all accounts, and records and writes what is planned, wave by wave.
    pub(crate) async fn in_waves(
        &self,
        accounts: Vec<InAccount>,
        mode: Mode,
        job: &Job<R::Change>,
    ) -> CameOfAll<R::Change> {
        let (planned, ready) = unbounded();
        let (recorded, to_write) = unbounded();
        let (before, all, written) = tokio::join!(
            Box::pin(self.plan_accounts(accounts, job, planned)),
            Box::pin(self.record_waves(ready, mode, job, recorded)),
            Box::pin(self.write_waves(to_write, job)),
        );
        let AllRecorded { plans, mut rows, approvals, waiting_since, unchanged, told, awaited } = all;
        rows.extend(before.rows);
        rows.extend(written);
        CameOfAll { plans, rows, closed: before.closed, approvals, waiting_since, unchanged, told, awaited }
    }

    /// Looks at all accounts side by side, and gives each away once everything of it is decided.
    async fn plan_accounts(
        &self,
        accounts: Vec<InAccount>,
        job: &Job<R::Change>,
        ready: UnboundedSender<Vec<Decided<R>>>,
    ) -> Planned {
        let ready = &ready;
        let plan = |of: InAccount| {
            let plan = async move {
                tokio::join!(self.list_cards(&of, job), self.begin_session(&of, job));
                let InAccount { named, passed } = of;
                let closed = self.close(passed, job).await;
                let (works, rows) = self.resolve(named, job).await;
                let decided = self.for_each_bounded(works, |work| Box::pin(self.decide(work, job))).await;
                // Whoever takes it is there until all are planned.
                drop(ready.unbounded_send(decided));
                Planned { rows, closed }
            };
            Box::pin(plan)
        };
        let mut all = Planned::default();
        for Planned { rows, closed } in futures::future::join_all(accounts.into_iter().map(plan)).await {
            all.rows.extend(rows);
            all.closed.add(closed);
        }
        all
    }

    /// Records wave after wave, until there are no more accounts.
    async fn record_waves(
        &self,
        mut ready: UnboundedReceiver<Vec<Decided<R>>>,
        mode: Mode,
        job: &Job<R::Change>,
        to_write: UnboundedSender<ToWrite<R>>,
    ) -> AllRecorded<R::Change> {
        let told = Told::nothing(&self.records, &self.manifest.id);
        let mut desk = Desk { job, mode, plans: Vec::new(), rows: Vec::new(), told, to_write };
        let mut kept_back = Vec::new();
        let written = loop {
            let Wave { decided, is_last } = Wave::gather(&mut ready, self.bounds.gather).await;
            let claimed = self.claim_wave(decided, job).await;
            let (written, others): (Vec<_>, Vec<_>) = claimed.into_iter().partition(Decided::is_written);
            kept_back.extend(others);
            if is_last {
                break written;
            }
            self.record_wave(written, &mut desk).await;
        };
        let waiting_since = kept_back.iter().filter_map(|decided| decided.waits_since(self.clock.now())).min();
        let (settled, waiting): (Vec<_>, Vec<_>) =
            kept_back.into_iter().partition(|decided| matches!(decided.decision, Decision::Settle(_)));
        let approvals = waiting.iter().filter_map(|decided| self.approved_before(decided)).collect();
        let mut unchanged = Counted::default();
        let settled = self.leave_out_unchanged(settled, job, &mut unchanged).await;
        let mut planned = self.leave_out_unchanged(waiting, job, &mut unchanged).await;
        planned.extend(written);
        planned.sort_by_key(Decided::place);
        self.record_wave(planned, &mut desk).await;
        let Desk { plans, mut rows, mut told, .. } = desk;
        rows.extend(settled.iter().flat_map(|decided| self.rows_of(decided, &decided.decision.verdict())));
        told.add(self.told(&settled, None));
        let awaited = settled.into_iter().flat_map(|decided| decided.awaited).collect();
        AllRecorded { plans, rows, approvals, waiting_since, unchanged, told, awaited }
    }

    /// Keeps a wave to the limits, and claims what is to be written. Where there are none, only a breaker can have stopped the
    /// run, which is asked beside the claims.
    async fn claim_wave(&self, decided: Vec<Decided<R>>, job: &Job<R::Change>) -> Vec<Decided<R>> {
        let wanted: Vec<_> = decided.iter().filter_map(Decided::wanted).collect();
        let claim = |decided| self.for_each_bounded(decided, |decided| self.claim_for(decided, job));
        if self.policy.limits.are_any() {
            let held = self.held_back(job, &wanted).await;
            return claim(self.hold_back(decided, held).await).await;
        }
        let (held, claimed) = tokio::join!(self.held_back(job, &wanted), claim(decided));
        self.hold_back(claimed, held).await
    }

    /// Lets go of what is not written after all.
    async fn hold_back(
        &self,
        mut decided: Vec<Decided<R>>,
        mut held: BTreeMap<usize, Decision<R::Change>>,
    ) -> Vec<Decided<R>> {
        let mut claims = Vec::new();
        for decided in decided.iter_mut().filter(|decided| decided.is_written()) {
            let Some(decision) = held.remove(&decided.place()) else { continue };
            if let Decision::Write(_, Some(claimed)) = std::mem::replace(&mut decided.decision, decision) {
                claims.push(claimed);
            }
        }
        let give_up = |claimed: Box<Claimed>| async move { claimed.give_up().await };
        futures::stream::iter(claims).for_each_concurrent(self.bounds.concurrency.max(1), give_up).await;
        decided
    }

    /// Stores the plan of a wave, lets the writes of it begin, and says of the rest why it is not written.
    async fn record_wave(&self, planned: Vec<Decided<R>>, desk: &mut Desk<'_, R>) {
        let (job, resources) = (desk.job, planned.iter().map(Decided::planned).collect());
        let number = desk.plans.last().map_or(1, Recorded::next_number);
        // The policy is read for the writes meanwhile; that it cannot be is told there.
        let policy = async {
            if let Some(record) = self.policy_record.as_ref().filter(|_| planned.iter().any(Decided::is_written)) {
                drop(record.watched().await);
            }
        };
        let (recorded, ()) = tokio::join!(self.record(&job.id, number, desk.mode, resources), policy);
        let recorded = match recorded {
            Ok(Some(recorded)) => recorded,
            Ok(None) => return,
            Err(error) => {
                let verdict = unstored(&error);
                let given_up = self.for_each_bounded(planned, |decided| self.give_up(decided, &verdict)).await;
                desk.rows.extend(given_up.into_iter().flatten());
                return;
            }
        };
        let (written, mut unwritten): (Vec<_>, Vec<_>) = planned.into_iter().partition(Decided::is_written);
        if !written.is_empty() {
            let to_write = ToWrite { decided: written, plan: recorded.stored.key.clone() };
            // Whoever takes it is there until all are recorded.
            drop(desk.to_write.unbounded_send(to_write));
        }
        if !job.is_poll {
            let waiting = unwritten.iter().map(|decided| self.remember_waiting(decided, job, &recorded.stored));
            futures::future::join_all(waiting).await;
        }
        futures::future::join_all(unwritten.iter_mut().map(|decided| self.remember_time(decided, job))).await;
        desk.rows.extend(unwritten.iter().flat_map(|decided| self.unwritten(decided)));
        desk.told.add(self.told(&unwritten, Some(&recorded.stored)));
        desk.plans.push(recorded);
    }

    /// Writes what is recorded, wave beside wave.
    async fn write_waves(&self, to_write: UnboundedReceiver<ToWrite<R>>, job: &Job<R::Change>) -> Vec<Row> {
        let write = |ToWrite { decided, plan }: ToWrite<R>| async move {
            self.notify(|progress| progress.applying(decided.len()));
            let fix = |decided| async {
                let rows = Box::pin(self.fix(decided, job)).await;
                self.notify(|progress| progress.applied());
                rows
            };
            let mut rows: Vec<_> = self.for_each_bounded(decided, fix).await.into_iter().flatten().collect();
            rows.iter_mut().for_each(|row| row.row.earlier_plan = Some(plan.clone()));
            rows
        };
        // Each wave is of other accounts, and what is under way in all of them is bounded.
        to_write.map(write).buffer_unordered(usize::MAX).concat().await
    }
}
