//! What is kept of a run: the plan, stored before the first write, and the report, stored when it is done.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Batch, BatchId, BatchLineError, Finding, Mode};

/// The version of the formats of plans and reports that this build writes.
pub const REPORT_SCHEMA: u32 = 1;

/// What became of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The resource complied before anything was done.
    AlreadyCompliant,
    /// The resource does not exist any more.
    Gone,
    /// Its changes are in the plan; the mode is `plan`.
    Planned,
    /// Nothing was done because the policy says so.
    Held,
    /// The changes were written, and a fresh look found nothing left to change.
    Fixed,
    /// The changes were written, but a fresh look could not confirm them in time.
    Unverified,
    /// A call failed, or the finding is unusable.
    Failed,
    /// There was no time left for it; the next poll takes it up.
    Deferred,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::AlreadyCompliant => "already_compliant",
            Self::Gone => "gone",
            Self::Planned => "planned",
            Self::Held => "held",
            Self::Fixed => "fixed",
            Self::Unverified => "unverified",
            Self::Failed => "failed",
            Self::Deferred => "deferred",
        })
    }
}

/// One change of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedChange<C> {
    /// The change in one line, for people.
    pub summary: String,
    /// The change as data; undo starts from it.
    pub change: C,
}

/// The changes for one finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFinding<C> {
    /// The finding.
    pub finding: Finding,
    /// What would make its resource comply.
    pub changes: Vec<PlannedChange<C>>,
}

/// The changes for a batch, computed without writing anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "C: DeserializeOwned"))]
pub struct Plan<C> {
    /// The version of the format.
    pub schema: u32,
    /// The batch that it is for.
    #[serde(flatten)]
    pub id: BatchId,
    /// What the rule was allowed to do.
    pub mode: Mode,
    /// When it was made.
    pub created: Timestamp,
    /// SHA-256 of `findings` as JSON, in hexadecimal: two plans with the same hash do the same.
    pub hash: String,
    /// The findings that need changes.
    pub findings: Vec<PlannedFinding<C>>,
}

impl<C: Serialize> Plan<C> {
    /// A plan made now.
    ///
    /// # Errors
    ///
    /// A change that cannot be written as JSON.
    pub fn new(id: BatchId, mode: Mode, findings: Vec<PlannedFinding<C>>) -> serde_json::Result<Self> {
        let digest = Sha256::digest(serde_json::to_vec(&findings)?);
        let hash = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { schema: REPORT_SCHEMA, id, mode, created: Timestamp::now(), hash, findings })
    }
}

/// Where a plan is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPlan {
    /// Its key.
    pub key: String,
    /// Its hash.
    pub hash: String,
}

/// How it was shown that a resource complies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// When the fresh look found nothing left to change.
    pub at: Timestamp,
    /// How many looks it took.
    pub looks: u32,
    /// The API actions of that look.
    pub actions: Vec<String>,
}

/// What became of one finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedFinding {
    /// The finding.
    pub finding: Finding,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, where the outcome alone does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Its planned changes, in one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// How many of them were written.
    #[serde(default)]
    pub written: usize,
    /// What proved that it complies now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
}

/// The outcome of every finding of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The version of the format.
    pub schema: u32,
    /// The batch that it is about.
    #[serde(flatten)]
    pub id: BatchId,
    /// What the rule was allowed to do.
    pub mode: Mode,
    /// When the batch was taken up.
    pub started: Timestamp,
    /// When it was done.
    pub finished: Timestamp,
    /// The plan, where there was something to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<StoredPlan>,
    /// Why the batch could not be read at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How many findings had each outcome; a line that is no finding counts as failed.
    pub counts: BTreeMap<Outcome, usize>,
    /// Every finding, in the batch's order.
    pub findings: Vec<ReportedFinding>,
    /// The lines of the batch that are no findings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bad_lines: Vec<BatchLineError>,
}

impl ReportedFinding {
    /// A finding for which nothing was written.
    pub(crate) fn unwritten(finding: Finding, outcome: Outcome, detail: Option<String>) -> Self {
        Self { finding, outcome, detail, changes: Vec::new(), written: 0, verification: None }
    }
}

impl Report {
    /// The report of a batch that was taken up at `started` and is done now.
    pub(crate) fn done(
        id: BatchId,
        mode: Mode,
        started: Timestamp,
        findings: Vec<ReportedFinding>,
        bad_lines: Vec<BatchLineError>,
    ) -> Self {
        let mut counts = BTreeMap::new();
        for row in &findings {
            *counts.entry(row.outcome).or_default() += 1;
        }
        if !bad_lines.is_empty() {
            *counts.entry(Outcome::Failed).or_default() += bad_lines.len();
        }
        let finished = Timestamp::now();
        let (plan, error) = (None, None);
        Self { schema: REPORT_SCHEMA, id, mode, started, finished, plan, error, counts, findings, bad_lines }
    }

    /// The report of a batch that cannot be read, because of `error`.
    pub fn unreadable(id: BatchId, error: String) -> Self {
        let report = Self::done(id, Mode::Off, Timestamp::now(), Vec::new(), Vec::new());
        Self { error: Some(error), ..report }
    }

    /// The report of a batch of which nothing may be done, for `reason`.
    pub fn held(batch: Batch, reason: &str) -> Self {
        let held = |finding| ReportedFinding::unwritten(finding, Outcome::Held, Some(reason.to_owned()));
        let findings = batch.findings.into_iter().map(held).collect();
        Self::done(batch.id, Mode::Off, Timestamp::now(), findings, batch.bad_lines)
    }

    /// How many findings had `outcome`.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.counts.get(&outcome).copied().unwrap_or_default()
    }
}
