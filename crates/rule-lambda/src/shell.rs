//! From an S3 event to a report for each batch, or approved plan, that it names.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_lambda_events::event::s3::S3Event;
use lambda_runtime::{Diagnostic, LambdaEvent};
use percent_encoding::percent_decode_str;
use remediation::{
    Approval, Batch, BatchId, Bounds, Deadline, Engine, Manifest, ManifestError, Mode, Outcome, POLICY_KEY, Plan,
    PolicyError, PolicyRecord, Records, Report, Rule, RunId, Sessions, TargetRole, sdk_loader,
};
use serde::Serialize;
use tracing::Instrument;

use crate::Error;

/// How the keys of approvals begin.
const APPROVALS: &str = "approvals/";

/// What the rule Lambda is made of; it lives as long as the process.
#[derive(Debug)]
pub struct Shell<R> {
    base: SdkConfig,
    manifest: Manifest,
    records: Records,
    role: TargetRole,
    rule: PhantomData<R>,
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
}

/// The batches of an event that somebody has to look at; their reports, where they could be stored, say more.
#[derive(Debug, thiserror::Error)]
#[error("{}", failures.join("; "))]
pub struct EventError {
    failures: Vec<String>,
}

impl From<EventError> for Diagnostic {
    fn from(error: EventError) -> Self {
        Self { error_type: "EventError".into(), error_message: error.to_string() }
    }
}

impl<R: Rule> Shell<R> {
    /// The shell as the environment describes it: `BUCKET`, `TARGET_ROLE_NAME`, `EXTERNAL_ID`.
    ///
    /// # Errors
    ///
    /// A variable is missing, or the rule's manifest is broken.
    pub async fn from_env() -> Result<Self, Error> {
        let setting = |name| std::env::var(name).map_err(|_| Error::Setting(name));
        let role = TargetRole { name: setting("TARGET_ROLE_NAME")?, external_id: Some(setting("EXTERNAL_ID")?) };
        let bucket = setting("BUCKET")?;
        let manifest = Manifest::from_json(R::MANIFEST)?;
        let base = sdk_loader().load().await;
        let records = Records::Bucket { client: aws_sdk_s3::Client::new(&base), bucket };
        Ok(Self { base, manifest, records, role, rule: PhantomData })
    }

    /// Takes every batch of the event to its report.
    ///
    /// # Errors
    ///
    /// A batch or the policy could not be used, or a report could not be stored. The other batches are done all the
    /// same.
    pub async fn handle(&self, event: LambdaEvent<S3Event>) -> Result<Answer, EventError> {
        let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
        let deadline = Deadline::after(left);
        let (mut batches, mut failures) = (Vec::new(), Vec::new());
        for record in event.payload.records {
            // Keys arrive as in an HTML form: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
            let encoded = record.s3.object.key.unwrap_or_default().replace('+', " ");
            let key = percent_decode_str(&encoded).decode_utf8_lossy().into_owned();
            batches.push(self.process(key, deadline, &mut failures).await);
        }
        if failures.is_empty() { Ok(Answer { batches }) } else { Err(EventError { failures }) }
    }

    async fn process(&self, key: String, deadline: Deadline, failures: &mut Vec<String>) -> BatchAnswer {
        let rule = &self.manifest.id;
        // An object of another name still gets a report: under a run of its own.
        let unnamed = || BatchId { rule: rule.clone(), run: RunId::start(), batch: 0 };
        let id = BatchId::from_findings_key(&key, rule).unwrap_or_else(unnamed);
        let span = tracing::info_span!("batch", rule, run = %id.run, batch = id.batch);
        async {
            let mut fail = |what: String| {
                tracing::error!(key, "{what}");
                failures.push(format!("{key}: {what}"));
            };
            let reported = if key.starts_with(APPROVALS) {
                self.carry_out(&key, deadline).await
            } else {
                self.remediate(&key, deadline).await
            };
            let report = reported.unwrap_or_else(|unusable| {
                fail(unusable.error.clone());
                match unusable.batch {
                    Some((batch, outcome)) => Report::untouched(batch, outcome, &unusable.error),
                    None => Report::unreadable(id, unusable.error),
                }
            });
            if !report.bad_lines.is_empty() {
                let lines: Vec<_> = report.bad_lines.iter().map(ToString::to_string).collect();
                fail(lines.join("; "));
            }
            let stored = self.records.store_report(&report).await;
            let stored = stored.map_err(|error| fail(format!("the report could not be stored: {error}"))).ok();
            tracing::info!(report = stored, outcomes = ?report.counts, "batch done");
            BatchAnswer { key: key.clone(), report: stored, outcomes: report.counts }
        }
        .instrument(span)
        .await
    }

    /// Takes a batch of findings to its report.
    async fn remediate(&self, key: &str, deadline: Deadline) -> Result<Report, Unusable> {
        let bytes = self.records.get(key).await.map_err(Unusable::without_batch)?;
        let batch = Batch::from_ndjson(&bytes, &self.manifest.id).map_err(Unusable::without_batch)?;
        match self.engine(batch.id.run).await {
            Ok(engine) => Ok(engine.run(batch, Mode::Apply, deadline).await),
            Err(error) => Err(Unusable { error: error.to_string(), batch: Some((batch, error.outcome())) }),
        }
    }

    /// Takes an approval, and the plan that it is of, to a report.
    async fn carry_out(&self, key: &str, deadline: Deadline) -> Result<Report, Unusable> {
        let rule = &self.manifest.id;
        let bytes = self.records.get(key).await.map_err(Unusable::without_batch)?;
        let approval = Approval::from_json(&bytes, rule).map_err(Unusable::without_batch)?;
        if !approval.plan.starts_with(&format!("plans/{rule}/")) {
            return Err(Unusable::without_batch(format!(
                "the approval is of {}, which is no plan of {rule}",
                approval.plan
            )));
        }
        let plan = self.records.get(&approval.plan).await.map_err(Unusable::without_batch)?;
        let plan: Plan<R::Change> = serde_json::from_slice(&plan)
            .map_err(|error| Unusable::without_batch(format!("{} is no plan of {rule}: {error}", approval.plan)))?;
        let engine = self.engine(approval.run).await.map_err(Unusable::without_batch)?;
        Ok(engine.run_approved(&approval, plan, deadline).await)
    }

    /// An engine for one run, as the policy is now.
    async fn engine(&self, run: RunId) -> Result<Engine<R>, NoEngine> {
        let (manifest, records) = (self.manifest.clone(), self.records.clone());
        let record = PolicyRecord { records: records.clone(), key: POLICY_KEY.into() };
        let policy = record.read().await?;
        let settings = policy.settings::<R>(&manifest.id)?;
        let sessions = Sessions::new(self.base.clone(), self.role.clone(), &manifest, run);
        let engine = Engine::new(manifest, settings, sessions, records, Bounds::default())?;
        Ok(engine.under(policy, Some(record)))
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
