//! Reports: what became of every finding of a batch, stored when it is done.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::schema::Record;
use super::{Approved, Batch, BatchId, BatchLineError, PolicyOverride, StoredPlan};
use crate::aws::{AccountId, SourceIdentity};
use crate::domain::{Finding, Mode, Outcome, Resource};

/// The version of the format of reports that this build writes and reads.
pub const REPORT_SCHEMA: u32 = 2;

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

/// The time for which a violation is told before it is fixed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grace {
    /// When a look of ours saw the violation first.
    pub first_seen: Timestamp,
    /// When it is over.
    #[serde(rename = "grace_until")]
    pub until: Timestamp,
    /// Who owns the resource, by the first of the policy's `owner_tags` that it had then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Whether it begins with this report: the report, and the log, tell it once.
    pub begins: bool,
}

/// That Netskope still lists a fixed finding as Failed, by a scan after the fix, although a fresh look finds the fix in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contested {
    /// When the fix was proved.
    pub fixed: Timestamp,
    /// The key of the report of the fix.
    pub report: String,
    /// When Netskope scanned it.
    pub scanned: Timestamp,
    /// Since when it is contested.
    pub since: Timestamp,
    /// Whether it begins with this report: it is told once.
    pub begins: bool,
}

/// That Netskope lists a fixed finding as Passed, by a scan after the fix, and that a fresh look finds the fix in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// The finding that was fixed, with the time of the scan.
    pub finding: Finding,
    /// What its resource is.
    pub resource: Resource,
    /// When the fix was proved.
    pub fixed: Timestamp,
    /// The key of the report of the fix.
    pub report: String,
    /// When Netskope scanned it.
    pub scanned: Timestamp,
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
    /// Since when it violates, and until when that is only told, where its fix has a grace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<Grace>,
    /// What a person should know of the resource or of the changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The planned changes of its resource, in one line each. Findings of the same resource share them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// The key of the plan that has them, where that is one of the report's earlier plans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier_plan: Option<String>,
    /// How many of them were written, from the first on.
    #[serde(default)]
    pub written: usize,
    /// Which of them, by their places from 0, are in force because of this run: undo takes back these and no others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub took: Vec<usize>,
    /// What proved that it complies now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// That Netskope still lists it as Failed, by a scan after our fix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contested: Option<Contested>,
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

/// Findings that are as another report says: it has their rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unchanged {
    /// That report's key.
    pub report: String,
    /// Their outcome.
    pub outcome: Outcome,
    /// How many they are.
    pub findings: usize,
    /// When Netskope saw the first of them first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<Timestamp>,
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
    /// The plan, or the last of several: all that waits is in it. None where there was nothing to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<StoredPlan>,
    /// The plans that were stored before it, each of what was written first in some accounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_plans: Vec<StoredPlan>,
    /// The key of the plan that this run takes back, where it is an undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<String>,
    /// The approval that it carries out, where it is one of a plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approved>,
    /// That the command line which ran it did not keep to the deployment's policy, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_override: Option<PolicyOverride>,
    /// That its sessions have another source identity than the rule's, and which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_identity: Option<SourceIdentity>,
    /// Why the batch could not be read at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How many findings had each outcome, those included that are as another report says; a line that is no finding
    /// counts as failed.
    pub counts: BTreeMap<Outcome, usize>,
    /// What stopped all findings of an account, account by account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<AccountProblem>,
    /// Every finding of which there is something new, in the batch's order.
    pub findings: Vec<ReportedFinding>,
    /// The other findings of the batch. Each is in one of these reports, in a row with the same account, region, control
    /// and resource.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unchanged: Vec<Unchanged>,
    /// What Netskope has confirmed of earlier runs' fixes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confirmed: Vec<Confirmed>,
    /// The lines of the batch that are no findings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bad_lines: Vec<BatchLineError>,
}

impl Record for Report {
    const KIND: &'static str = "report";
    const SCHEMA: u32 = REPORT_SCHEMA;
}

impl ReportedFinding {
    /// A finding for which nothing was written.
    pub fn unwritten(finding: Finding, outcome: Outcome, detail: Option<String>) -> Self {
        Self {
            finding,
            resource: None,
            outcome,
            detail,
            grace: None,
            notes: Vec::new(),
            changes: Vec::new(),
            earlier_plan: None,
            written: 0,
            took: Vec::new(),
            verification: None,
            contested: None,
        }
    }
}

impl Report {
    /// The report of a batch that was taken up at `started` and is done now.
    pub fn done(
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
        let finished = ambient::now();
        let (schema, plan, accounts) = (REPORT_SCHEMA, None, Vec::new());
        let (undoes, approval, policy_override, source_identity, error) = (None, None, None, None, None);
        Self {
            schema,
            id,
            mode,
            started,
            finished,
            plan,
            earlier_plans: Vec::new(),
            undoes,
            approval,
            policy_override,
            source_identity,
            error,
            counts,
            accounts,
            findings,
            unchanged: Vec::new(),
            confirmed: Vec::new(),
            bad_lines,
        }
    }

    /// The same with findings that are as other reports say.
    #[must_use]
    pub fn with_unchanged(mut self, unchanged: Vec<Unchanged>) -> Self {
        for Unchanged { outcome, findings, .. } in &unchanged {
            *self.counts.entry(*outcome).or_default() += findings;
        }
        self.unchanged = unchanged;
        self
    }

    /// The report of a batch that cannot be read, because of `error`.
    pub fn unreadable(id: BatchId, error: String) -> Self {
        let report = Self::done(id, Mode::Off, ambient::now(), Vec::new(), Vec::new());
        Self { error: Some(error), ..report }
    }

    /// The report of a batch of which nothing was done, for `reason`.
    pub fn untouched(batch: Batch, outcome: Outcome, reason: &str) -> Self {
        let row = |finding| ReportedFinding::unwritten(finding, outcome, Some(reason.to_owned()));
        let findings = batch.findings.into_iter().map(row).collect();
        Self::done(batch.id, Mode::Off, ambient::now(), findings, batch.bad_lines)
    }

    /// Its plans, in the order in which they were stored.
    pub fn plans(&self) -> impl DoubleEndedIterator<Item = &StoredPlan> {
        self.earlier_plans.iter().chain(&self.plan)
    }

    /// The key of the plan that has the changes of a row; none where the row has none, or none was stored.
    pub fn plan_of<'a>(&'a self, row: &'a ReportedFinding) -> Option<&'a str> {
        let plan = row.earlier_plan.as_ref().or(self.plan.as_ref().map(|plan| &plan.key));
        plan.filter(|_| !row.changes.is_empty()).map(String::as_str)
    }

    /// How many findings had `outcome`.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.counts.get(&outcome).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RunId;

    #[test]
    fn a_row_leads_to_the_plan_that_has_its_changes() {
        let row = |changes: &[&str], earlier: Option<&str>| ReportedFinding {
            changes: changes.iter().map(ToString::to_string).collect(),
            earlier_plan: earlier.map(str::to_owned),
            ..ReportedFinding::unwritten(Finding::of("222222222222", "us-east-1", "h"), Outcome::Fixed, None)
        };
        let plan = |key: &str| StoredPlan { key: key.into(), digest: "d".into() };
        let rows = vec![row(&["c"], None), row(&["c"], Some("first")), row(&[], None)];
        let report = Report::done(id(), Mode::Apply, Timestamp::now(), rows, Vec::new());
        let report = Report { plan: Some(plan("last")), earlier_plans: vec![plan("first"), plan("second")], ..report };
        let led: Vec<_> = report.findings.iter().map(|row| report.plan_of(row)).collect();
        assert_eq!(led, [Some("last"), Some("first"), None]);
        let keys: Vec<_> = report.plans().map(|stored| stored.key.as_str()).collect();
        assert_eq!(keys, ["first", "second", "last"]);
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }

    fn id() -> BatchId {
        BatchId { rule: "open-door".into(), run: RunId::start(), batch: 1 }
    }

    #[test]
    fn a_report_is_read_back_as_it_was_written() {
        let finding = Finding::of("222222222222", "us-east-1", "h");
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
        assert_eq!((report.mode, report.plan), (Mode::Off, None));
    }

    #[test]
    fn a_held_batch_says_why_for_each_finding_and_keeps_its_bad_lines() {
        let mut batch = Batch::new(id(), vec![Finding::of("222222222222", "us-east-1", "h"); 2]);
        batch.bad_lines = vec![BatchLineError { line: 3, reason: "broken".into() }];
        let report = Report::untouched(batch.clone(), Outcome::Held, "because");
        assert!(report.findings.iter().all(|row| row.detail.as_deref() == Some("because")));
        assert_eq!((report.count(Outcome::Held), report.count(Outcome::Failed)), (2, 1));
        assert_eq!(report.bad_lines, batch.bad_lines);
    }
}
