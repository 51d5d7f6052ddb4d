//! From an S3 event to a report for each batch, or approved plan, that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_lambda_events::event::s3::{S3Event, S3EventRecord};
use engine::{Bounds, Deadline, Done, Engine, WaitsNoMore};
use lambda_runtime::{Diagnostic, LambdaEvent};
use logging::Line;
use messages::Bus;
use percent_encoding::percent_decode_str;
use remediation::aws::Concurrency;
use remediation::records::{MOST_OF_BATCH, Record as _, read};
use remediation::{
    Access, Approval, Approved, Batch, BatchId, Folder, Manifest, ManifestError, Outcome, Plan, Policy, PolicyError,
    PolicyRecord, Records, Regions, Report, Rule, RunId, Sessions, TargetRole, sdk_loader,
};
use serde::Serialize;
use tracing::Instrument;

use crate::Error;
use failures::failures;
use metrics::Tally;
use telling::tell;

pub use telling::Messages;

mod failures;
mod metrics;
mod telling;

/// The most characters of a principal's ID that are kept: a role's ID and a session's name have less than a hundred.
const MOST_OF_PRINCIPAL: usize = 256;
/// For how long a session in a target account is asked for: the least that STS gives, so that one which leaks is of little
/// use. It is renewed where an invocation lasts longer.
const SESSION_LENGTH: Duration = Duration::from_secs(900);

/// The most bytes of a plan. That of a batch has a few million, and takes some times as much when it is read.
const MOST_OF_PLAN: usize = 16 * 1024 * 1024;
/// The most findings of a batch: far more than the poller's 200, and no more than a Lambda has memory and time for.
const MOST_FINDINGS: usize = 5_000;
/// The most records of an event that are taken. S3 puts one into each event, though the format has room for many; who
/// calls the function by hand could send thousands, each of them with a report of its own.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
const MOST_OF_EVENT: usize = 100;
/// The most approvals that one batch takes up because a change window has opened; the next poll takes up the others.
const MOST_APPROVALS: usize = 10;
/// The most characters of an error that the service is told; the log and the reports have it in full.
const MOST_OF_ERROR: usize = 8_000;

/// What the rule Lambda is made of; it lives as long as the process.
#[derive(Debug)]
pub struct Shell<R> {
    base: SdkConfig,
    manifest: Manifest,
    records: Records,
    role: TargetRole,
    regions: Regions,
    /// The digest of the policy that Terraform has written.
    policy_digest: String,
    /// Where what a report says is told; none where nobody is told.
    bus: Option<Bus>,
    /// How many calls AWS takes, as the runs before have learned.
    concurrency: Arc<Concurrency>,
    rule: PhantomData<R>,
}

/// One invocation, of which the service may make several tries.
#[derive(Debug)]
struct Invocation {
    deadline: Deadline,
    /// The same for all of them, and of no other invocation.
    request: String,
    tally: Mutex<Tally>,
}

/// An object that an event is about.
#[derive(Debug)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Who has stored it.
    pub stored_by: Option<String>,
}

/// What became of the batches of an event.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// One for each record of the event.
    pub batches: Vec<BatchAnswer>,
}

/// What became of one batch.
#[derive(Debug, Serialize)]
pub struct BatchAnswer {
    /// The key of its findings, or of the approval.
    pub key: String,
    /// The key of its report, unless it could not be stored.
    pub report: Option<String>,
    /// How many findings had each outcome.
    pub outcomes: BTreeMap<Outcome, usize>,
    /// How many messages about it were sent, and how many could not be.
    pub messages: Messages,
}

/// The batches of an event that somebody has to look at; their reports, where they could be stored, say more.
#[derive(Debug, thiserror::Error)]
#[error("{}", failures.join("; "))]
pub struct EventError {
    failures: Vec<String>,
}

impl From<EventError> for Diagnostic {
    fn from(error: EventError) -> Self {
        let error_message = escape::beginning(&error.to_string(), MOST_OF_ERROR);
        Self { error_type: "EventError".into(), error_message }
    }
}

impl<R: Rule> Shell<R> {
    /// The shell as the environment describes it: `BUCKET`, `BUCKET_OWNER` (the account that has it), `POLICY_DIGEST` (the
    /// SHA-256 digest of the policy that Terraform has written), `TARGET_ROLE_NAME`, `EXTERNAL_ID`, `REGIONS` (the codes
    /// of the regions whose resources it changes, with commas between them), `HOME_REGION`, `OBJECT_LOCK`, where
    /// records have a retention, and `EVENT_BUS`, the name of the event bus that is told, if there is one.
    ///
    /// # Errors
    ///
    /// A variable is missing, empty or cannot be used, or the rule's manifest is broken.
    pub async fn from_env() -> Result<Self, Error> {
        let setting = |name| std::env::var(name).map_err(|_| Error::Setting(name));
        let role = TargetRole { name: setting("TARGET_ROLE_NAME")?, external_id: Some(setting("EXTERNAL_ID")?) };
        let regions = Regions::new(&setting("REGIONS")?, &setting("HOME_REGION")?)?;
        let (bucket, owner) = (setting("BUCKET")?, setting("BUCKET_OWNER")?.parse()?);
        let policy_digest = setting("POLICY_DIGEST")?;
        let retention = std::env::var("OBJECT_LOCK").ok().map(|text| text.parse()).transpose()?;
        let base = sdk_loader(None).await?.load().await;
        let records = Records::Bucket { client: aws_sdk_s3::Client::new(&base), bucket, owner, retention };
        let bus = std::env::var("EVENT_BUS").ok().map(|name| Bus::new(&base, name));
        Ok(Self { bus, ..Self::new(base, records, role, regions, policy_digest)? })
    }

    /// A shell of these parts, as [`Shell::from_env`] makes it of the environment: the calls go by `base`, and `regions` are
    /// those whose resources it changes. It tells nobody.
    ///
    /// # Errors
    ///
    /// The rule's manifest is broken.
    pub fn new(
        base: SdkConfig,
        records: Records,
        role: TargetRole,
        regions: Regions,
        policy_digest: String,
    ) -> Result<Self, Error> {
        let manifest = Manifest::from_json(R::MANIFEST)?;
        let concurrency = Bounds::default().for_calls();
        Ok(Self { base, manifest, records, role, regions, policy_digest, bus: None, concurrency, rule: PhantomData })
    }

    /// Takes every batch of the event to its report.
    ///
    /// # Errors
    ///
    /// A batch, a record or the policy could not be used, a batch failed as a whole, a part of an approval was deferred,
    /// or a report could not be stored. The other batches are done all the same; of an event with too many records, the
    /// first hundred.
    pub async fn handle(&self, event: LambdaEvent<S3Event>) -> Result<Answer, EventError> {
        self.measure(event).await.0
    }

    /// The same, with the metrics of the invocation, also of one that has failed.
    pub(crate) async fn measure(&self, event: LambdaEvent<S3Event>) -> (Result<Answer, EventError>, Line) {
        let left = event.context.deadline().duration_since(ambient::system_time()).unwrap_or(Duration::ZERO);
        let invocation = Invocation {
            deadline: Deadline::after(left),
            request: event.context.request_id,
            tally: Mutex::new(Tally::begin()),
        };
        let (mut batches, mut failures) = (Vec::new(), Vec::new());
        let records = event.payload.records;
        let count = records.len();
        if count > MOST_OF_EVENT {
            let left = count - MOST_OF_EVENT;
            let what = format!(
                "the event has {count} records, of which the first {MOST_OF_EVENT} are taken: nothing was done about the \
                 last {left}. Invoke the function again with these, in events of at most {MOST_OF_EVENT}"
            );
            tracing::error!("{what}");
            failures.push(what);
        }
        for record in records.into_iter().take(MOST_OF_EVENT) {
            // Some of the SDK's futures are large.
            Box::pin(self.process_all(Object::of(record), &invocation, &mut batches, &mut failures)).await;
        }
        let line = invocation.tally().line(&self.manifest.id, failures.is_empty());
        let answer = if failures.is_empty() { Ok(Answer { batches }) } else { Err(EventError { failures }) };
        (answer, line)
    }

    /// Takes what an object holds to its report; and then, where it is a batch, the approvals of its resources for which a
    /// change window has opened since.
    async fn process_all(
        &self,
        object: Object,
        invocation: &Invocation,
        batches: &mut Vec<BatchAnswer>,
        failed: &mut Vec<String>,
    ) {
        let (answer, approvals) = self.process(object, invocation, failed).await;
        batches.push(answer);
        // A card names them: no other records than approvals of this rule are taken up for that.
        let of_rule = Folder::Approvals.of(&self.manifest.id);
        let approvals = approvals.into_iter().filter(|of| of.approval.starts_with(&of_rule));
        for WaitsNoMore { approval, stored_by } in approvals.take(MOST_APPROVALS) {
            // What is put off once more waits for the next poll.
            let object = Object { key: approval, stored_by };
            let (answer, _) = self.process(object, invocation, &mut Vec::new()).await;
            batches.push(answer);
        }
    }

    async fn process(
        &self,
        object: Object,
        invocation: &Invocation,
        failed: &mut Vec<String>,
    ) -> (BatchAnswer, BTreeSet<WaitsNoMore>) {
        let (rule, key) = (&self.manifest.id, &object.key);
        // An object of another name still gets a report: under a run of its own.
        let unnamed = || BatchId { rule: rule.clone(), run: RunId::start(), batch: 0 };
        let id = BatchId::from_findings_key(key, rule).unwrap_or_else(unnamed);
        let span = tracing::info_span!("batch", rule, run = %id.run, batch = id.batch);
        async {
            let mut fail = |what: String| {
                tracing::error!(key, "{what}");
                failed.push(format!("{key}: {what}"));
            };
            let done = if Folder::Approvals.holds(key) {
                self.carry_out(&object, invocation).await
            } else {
                self.remediate(key, invocation).await
            };
            let (report, approvals, waiting_since, mut told) = match done {
                Ok(Done { report, approvals, waiting_since, told, .. }) => {
                    failures(&report).into_iter().for_each(&mut fail);
                    (report, approvals, waiting_since, Some(told))
                }
                Err(Unusable { error, batch }) => {
                    fail(error.clone());
                    let report = match batch {
                        Some((batch, outcome)) => Report::untouched(batch, outcome, &error),
                        None => Report::unreadable(id, error),
                    };
                    (report, BTreeSet::new(), None, None)
                }
            };
            invocation.tally().add(&report, waiting_since);
            let waits = async {
                if let Some(told) = &mut told {
                    told.await_closures().await;
                }
            };
            let (stored, ()) = tokio::join!(self.records.store_report(&report), waits);
            let stored = stored.map_err(|error| fail(format!("the report could not be stored: {error}"))).ok();
            // A card names no report that is not there.
            if let (Some(told), Some(key)) = (told, &stored) {
                told.remember(key).await;
            }
            tracing::info!(report = stored, outcomes = ?report.counts, "batch done");
            let messages = tell(self.bus.as_ref(), &self.records, &report, stored.as_deref()).await;
            (BatchAnswer { key: key.clone(), report: stored, outcomes: report.counts, messages }, approvals)
        }
        .instrument(span)
        .await
    }

    /// Takes a batch of findings to its report.
    async fn remediate(&self, key: &str, invocation: &Invocation) -> Result<Done<R::Change>, Unusable> {
        let (bytes, policy) = tokio::join!(self.records.get_at_most(key, MOST_OF_BATCH), self.policy());
        let bytes = bytes.map_err(Unusable::without_batch)?;
        let batch = Batch::from_stored(&bytes, &self.manifest.id).map_err(Unusable::without_batch)?;
        let count = batch.findings.len().saturating_add(batch.passed.len());
        if count > MOST_FINDINGS {
            let error = format!(
                "the batch has {count} findings, but at most {MOST_FINDINGS} are allowed: split it into several batches"
            );
            return Err(Unusable { error, batch: None });
        }
        match policy.and_then(|policy| self.engine(batch.id.run, policy, invocation)) {
            Ok(engine) => Ok(engine.poll(batch, invocation.deadline).await),
            Err(error) => Err(Unusable { error: error.to_string(), batch: Some((batch, error.outcome())) }),
        }
    }

    /// Takes an approval, and the plan that it is of, to a report.
    async fn carry_out(&self, object: &Object, invocation: &Invocation) -> Result<Done<R::Change>, Unusable> {
        let rule = &self.manifest.id;
        let approval = self.records.get_at_most(&object.key, Approval::MOST_BYTES);
        let (bytes, policy) = tokio::join!(approval, self.policy());
        let bytes = bytes.map_err(Unusable::without_batch)?;
        let approval = Approval::from_json(&bytes, rule).map_err(Unusable::without_batch)?;
        if !approval.plan.starts_with(&Folder::Plans.of(rule)) {
            let why = format!("the approval is of {}, which is no plan of {rule}", approval.plan);
            return Err(Unusable::without_batch(why));
        }
        let plan = self.records.get_at_most(&approval.plan, MOST_OF_PLAN).await.map_err(Unusable::without_batch)?;
        let plan: Plan<R::Change> =
            read(&plan).map_err(|error| Unusable::without_batch(format!("{}: {error}", approval.plan)))?;
        let engine = policy.and_then(|policy| self.engine(approval.run, policy, invocation));
        let engine = engine.map_err(Unusable::without_batch)?;
        let approved = Approved { approval, stored_by: object.stored_by.clone() };
        if approved.is_by_another() {
            let Approved { approval, stored_by } = &approved;
            tracing::warn!(by = approval.by, ?stored_by, "the approval was stored by somebody else than it names");
        }
        Ok(engine.run_approved(approved, plan, invocation.deadline).await)
    }

    /// The policy as it is now, and where it is read anew.
    async fn policy(&self) -> Result<(PolicyRecord, Arc<Policy>), NoEngine> {
        let record = PolicyRecord::of_deployment(self.records.clone()).expecting(self.policy_digest.clone());
        let policy = record.read().await?;
        Ok((record, policy))
    }

    /// An engine for one run under a policy.
    fn engine(
        &self,
        run: RunId,
        (record, policy): (PolicyRecord, Arc<Policy>),
        invocation: &Invocation,
    ) -> Result<Engine<R>, NoEngine> {
        let (manifest, records) = (self.manifest.clone(), self.records.clone());
        let settings = policy.settings(&manifest.id)?;
        let access = Access { session_length: Some(SESSION_LENGTH), ..manifest.access(self.role.clone(), run) };
        let sessions = Sessions::new(self.base.clone(), access);
        let engine = Engine::new(manifest, settings, sessions, records, Bounds::default())?;
        // The service's own retries go on with what the try before them has claimed; a duplicate of the event does not.
        let engine = engine.in_regions(self.regions.clone()).held_by(invocation.request.clone());
        let engine = engine.sharing(Arc::clone(&self.concurrency));
        Ok(engine.under(Arc::unwrap_or_clone(policy), Some(record)))
    }
}

impl Invocation {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Object {
    /// The object of a record.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
    pub fn of(record: S3EventRecord) -> Self {
        // Keys arrive as in an HTML form.
        let encoded = record.s3.object.key.unwrap_or_default().replace('+', " ");
        let key = percent_decode_str(&encoded).decode_utf8_lossy().into_owned();
        let principal = record.principal_id.principal_id.unwrap_or_default();
        let stored_by = escape::beginning(&principal, MOST_OF_PRINCIPAL);
        Self { key, stored_by: Some(stored_by).filter(|by| !by.is_empty()) }
    }
}

/// Why nothing was done, and the batch of which that is so, with what is reported of its findings.
struct Unusable {
    error: String,
    batch: Option<(Batch, Outcome)>,
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
enum NoEngine {
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

impl NoEngine {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Policy(error) => error.outcome(),
            Self::Manifest(_) => Outcome::Failed,
        }
    }
}

impl Unusable {
    fn without_batch(error: impl ToString) -> Self {
        Self { error: error.to_string(), batch: None }
    }
}

#[cfg(test)]
mod tests;
