//! What is kept of a run: the plan, stored before the first write, and the report, stored when it is done.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{AccountId, Approval, Batch, BatchId, BatchLineError, Finding, Mode, Resource};

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
    /// What still violates was left as it is because the policy says so, or waits for an approval.
    Held,
    /// The policy exempts the resource.
    Exempt,
    /// The changes were written, and a fresh look found nothing left to change.
    Fixed,
    /// The changes were written, but a fresh look could not confirm them in time.
    Unverified,
    /// A call failed, or the finding is unusable.
    Failed,
    /// What an earlier run wrote was taken back, and a fresh look found the resource as it was before that run.
    Undone,
    /// There was no time left for it, or it cannot be changed now; the next poll takes it up.
    Deferred,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::AlreadyCompliant => "already_compliant",
            Self::Gone => "gone",
            Self::Planned => "planned",
            Self::Held => "held",
            Self::Exempt => "exempt",
            Self::Fixed => "fixed",
            Self::Unverified => "unverified",
            Self::Failed => "failed",
            Self::Undone => "undone",
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
    /// What its resource is.
    pub resource: Resource,
    /// What would make its resource comply.
    pub changes: Vec<PlannedChange<C>>,
    /// Why the changes wait for a person's approval; empty where they do not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaits: Vec<String>,
    /// What violates and is left as it is because the rule's settings say so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<String>,
    /// What a person should know before the changes are written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
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
    /// The most that the rule was allowed to do with any of the findings.
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
        let plan = Self { schema: REPORT_SCHEMA, id, mode, created: Timestamp::now(), hash: String::new(), findings };
        Ok(Self { hash: plan.digest()?, ..plan })
    }

    /// The hash of the findings as they are.
    ///
    /// # Errors
    ///
    /// A change that cannot be written as JSON.
    pub fn digest(&self) -> serde_json::Result<String> {
        Ok(hexadecimal(&Sha256::digest(serde_json::to_vec(&self.findings)?)))
    }
}

/// The bytes of a hash as people write them.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
    /// What its resource is; none where it could not be found out, or nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Resource>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, where the outcome alone does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What a person should know of the resource or of the changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
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

/// What stopped every finding of an account, such as a role that is missing there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountProblem {
    /// The account.
    pub account: AccountId,
    /// How many findings met it.
    pub findings: usize,
    /// What it is, and what to do.
    pub reason: String,
}

/// The outcome of every finding of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The version of the format.
    pub schema: u32,
    /// The batch that it is about.
    #[serde(flatten)]
    pub id: BatchId,
    /// The most that the rule was allowed to do with any of the findings.
    pub mode: Mode,
    /// When the batch was taken up.
    pub started: Timestamp,
    /// When it was done.
    pub finished: Timestamp,
    /// The plans, in the order in which they were written; none where there was nothing to change, and more than one
    /// only where a resource fails several controls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<StoredPlan>,
    /// The key of the plan that this run takes back, where it is an undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<String>,
    /// The approval that it carries out, where it is one of a plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Why the batch could not be read at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How many findings had each outcome; a line that is no finding counts as failed.
    pub counts: BTreeMap<Outcome, usize>,
    /// What stopped all findings of an account, account by account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<AccountProblem>,
    /// Every finding, in the batch's order.
    pub findings: Vec<ReportedFinding>,
    /// The lines of the batch that are no findings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bad_lines: Vec<BatchLineError>,
}

impl ReportedFinding {
    /// A finding for which nothing was written.
    pub(crate) fn unwritten(finding: Finding, outcome: Outcome, detail: Option<String>) -> Self {
        let (changes, notes) = (Vec::new(), Vec::new());
        Self { finding, resource: None, outcome, detail, changes, notes, written: 0, verification: None }
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
        let (schema, plans, accounts) = (REPORT_SCHEMA, Vec::new(), Vec::new());
        let (undoes, approval, error) = (None, None, None);
        Self {
            schema,
            id,
            mode,
            started,
            finished,
            plans,
            undoes,
            approval,
            error,
            counts,
            accounts,
            findings,
            bad_lines,
        }
    }

    /// The report of a batch that cannot be read, because of `error`.
    pub fn unreadable(id: BatchId, error: String) -> Self {
        let report = Self::done(id, Mode::Off, Timestamp::now(), Vec::new(), Vec::new());
        Self { error: Some(error), ..report }
    }

    /// The report of a batch of which nothing may be done, for `reason`.
    pub fn held(batch: Batch, reason: &str) -> Self {
        Self::untouched(batch, Outcome::Held, reason)
    }

    /// The report of a batch of which nothing was done, for `reason`.
    pub fn untouched(batch: Batch, outcome: Outcome, reason: &str) -> Self {
        let row = |finding| ReportedFinding::unwritten(finding, outcome, Some(reason.to_owned()));
        let findings = batch.findings.into_iter().map(row).collect();
        Self::done(batch.id, Mode::Off, Timestamp::now(), findings, batch.bad_lines)
    }

    /// How many findings had `outcome`.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.counts.get(&outcome).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RunId;
    use crate::fake::finding;

    fn id() -> BatchId {
        BatchId { rule: "open-door".into(), run: RunId::start(), batch: 1 }
    }

    fn planned(resource: &str, change: u8) -> PlannedFinding<u8> {
        let finding = finding("222222222222", "us-east-1", resource);
        let changes = vec![PlannedChange { summary: "s".into(), change }];
        let arn = format!("arn:aws:test:us-east-1:222222222222:house/{resource}");
        let resource = Resource::of_arn("test:GetDoors", arn, resource).unwrap();
        PlannedFinding { finding, resource, changes, awaits: Vec::new(), held: Vec::new(), notes: Vec::new() }
    }

    fn hash(mode: Mode, findings: Vec<PlannedFinding<u8>>) -> String {
        Plan::new(id(), mode, findings).unwrap().hash
    }

    #[test]
    fn plans_that_do_the_same_have_the_same_hash_and_others_another() {
        let first = hash(Mode::Plan, vec![planned("a", 1), planned("b", 2)]);
        assert_eq!(first, hash(Mode::Apply, vec![planned("a", 1), planned("b", 2)]));
        assert!(first.len() == 64 && first.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')), "{first}");
        for other in
            [vec![planned("a", 1)], vec![planned("a", 1), planned("b", 3)], vec![planned("a", 1), planned("c", 2)]]
        {
            assert_ne!(first, hash(Mode::Plan, other));
        }
    }

    #[test]
    fn a_report_is_read_back_as_it_was_written() {
        let finding = finding("222222222222", "us-east-1", "h");
        let mut rows = Vec::new();
        for outcome in
            [Outcome::AlreadyCompliant, Outcome::Gone, Outcome::Unverified, Outcome::Deferred, Outcome::Deferred]
        {
            rows.push(ReportedFinding::unwritten(finding.clone(), outcome, Some("why".into())));
        }
        let bad_line = BatchLineError { line: 3, reason: "broken".into() };
        let report = Report::done(id(), Mode::Apply, Timestamp::now(), rows, vec![bad_line]);
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
        let counts = r#""counts":{"already_compliant":1,"gone":1,"unverified":1,"failed":1,"deferred":2}"#;
        assert!(text.contains(counts), "{text}");
        for (outcome, count) in report.counts.clone() {
            // The words of the report are the words that people are shown.
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.to_string());
            assert_eq!(report.count(outcome), count);
        }
    }

    #[test]
    fn an_unreadable_batch_has_a_report_with_the_error_and_no_findings() {
        let report = Report::unreadable(id(), "line 1 is broken".into());
        assert_eq!((report.error.as_deref(), report.findings.len()), (Some("line 1 is broken"), 0));
        assert_eq!((report.mode, report.plans), (Mode::Off, vec![]));
    }

    #[test]
    fn a_held_batch_says_why_for_each_finding_and_keeps_its_bad_lines() {
        let mut batch = Batch::new(id(), vec![finding("222222222222", "us-east-1", "h"); 2]);
        batch.bad_lines = vec![BatchLineError { line: 3, reason: "broken".into() }];
        let report = Report::held(batch.clone(), "because");
        assert!(report.findings.iter().all(|row| row.detail.as_deref() == Some("because")));
        assert_eq!((report.count(Outcome::Held), report.count(Outcome::Failed)), (2, 1));
        assert_eq!(report.bad_lines, batch.bad_lines);
    }
}
