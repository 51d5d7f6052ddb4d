//! From an S3 event to a report for each batch that it names.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_lambda_events::event::s3::S3Event;
use lambda_runtime::{Diagnostic, LambdaEvent};
use percent_encoding::percent_decode_str;
use remediation::{
    Batch, BatchId, Deadline, Engine, Limits, Manifest, Mode, Outcome, POLICY_KEY, Policy, Records, Report, Rule,
    RunId, Sessions, TargetRole, sdk_loader,
};
use serde::Serialize;
use tracing::Instrument;

use crate::Error;

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
    /// The key of its findings.
    pub findings: String,
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
                tracing::error!(findings = key, "{what}");
                failures.push(format!("{key}: {what}"));
            };
            let report = match self.read(&key).await {
                Ok(batch) => self.report(batch, deadline, &mut fail).await,
                Err(error) => {
                    fail(error.clone());
                    Report::unreadable(id, error)
                }
            };
            if !report.bad_lines.is_empty() {
                let lines: Vec<_> = report.bad_lines.iter().map(ToString::to_string).collect();
                fail(lines.join("; "));
            }
            let stored = self.records.store_report(&report).await;
            let stored = stored.map_err(|error| fail(format!("the report could not be stored: {error}"))).ok();
            tracing::info!(report = stored, outcomes = ?report.counts, "batch done");
            BatchAnswer { findings: key.clone(), report: stored, outcomes: report.counts }
        }
        .instrument(span)
        .await
    }

    async fn read(&self, key: &str) -> Result<Batch, String> {
        let bytes = self.records.get(key).await.map_err(|error| error.to_string())?;
        Batch::from_ndjson(&bytes, &self.manifest.id).map_err(|error| error.to_string())
    }

    async fn report(&self, batch: Batch, deadline: Deadline, fail: &mut impl FnMut(String)) -> Report {
        let (mode, settings) = match self.policy().await {
            Ok(policy) => policy,
            Err(error) => {
                fail(error.clone());
                return Report::held(batch, &error);
            }
        };
        let sessions = Sessions::new(self.base.clone(), self.role.clone(), &self.manifest, batch.id.run);
        let (manifest, records) = (self.manifest.clone(), self.records.clone());
        Engine::<R>::new(manifest, settings, sessions, records, Limits::default()).run(batch, mode, deadline).await
    }

    /// What the operator allows right now.
    async fn policy(&self) -> Result<(Mode, R::Settings), String> {
        let bytes = self.records.get(POLICY_KEY).await;
        let bytes = bytes.map_err(|error| format!("the policy cannot be read, so nothing is written: {error}"))?;
        let policy = Policy::from_json(&bytes).map_err(|error| error.to_string())?;
        policy.rule::<R>(&self.manifest.id).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests;
