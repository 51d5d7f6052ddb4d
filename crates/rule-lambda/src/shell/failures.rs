//! What of a report somebody has to look at, or the service has to try again: then the invocation is a failed one.
//!
//! The outcome of one finding never is: the report says it, and the next poll comes back to it. What is: a line that
//! is no finding, a record that nobody but a person can mend, a batch that failed as a whole, and an approval that was
//! not carried out, because no poll comes back to that.

use std::collections::BTreeSet;

use remediation::policy::Closed;
use remediation::{Outcome, Report, ReportedFinding};

/// How the engine says that a resource's card cannot be used.
const CARD: &str = "its card cannot be read";
/// How it says that a resource could not be claimed on its card.
const CLAIM: &str = "it could not be claimed";
/// How it says what the whole batch needs and could not have: a stored plan, and the ledger.
const OF_BATCH: [&str; 2] = ["the plan could not be stored", "the limits could not be checked"];
/// So many reasons are told; the report has them all.
const MOST_REASONS: usize = 3;

/// What makes the invocation a failed one; nothing where it is none.
pub(super) fn failures(report: &Report) -> Vec<String> {
    let count = report.bad_lines.len();
    let lines = (count > 0).then(|| first(report.bad_lines.iter().map(ToString::to_string), count));
    [lines, whole(report), cards(report), unapproved(report)].into_iter().flatten().collect()
}

/// That the batch failed as a whole: for want of what all of it needs, or because every finding was stopped by the store
/// of records or by its account.
fn whole(report: &Report) -> Option<String> {
    let rows = &report.findings;
    let of_batch = |row: &&ReportedFinding| OF_BATCH.iter().any(|what| says(row, what));
    if let Some(first) = rows.iter().find(of_batch) {
        return first.detail.clone();
    }
    let is_stopped = |row: &ReportedFinding| matches!(row.outcome, Outcome::Failed | Outcome::Deferred);
    if rows.is_empty() || !report.unchanged.is_empty() || !rows.iter().all(is_stopped) {
        return None;
    }
    let by_store: Vec<_> = rows.iter().filter(|row| is_of_store(row)).collect();
    let by_account = report.accounts.iter().fold(0, |sum: usize, problem| sum.saturating_add(problem.findings));
    if by_store.len().saturating_add(by_account) < rows.len() {
        return None;
    }
    let accounts = report.accounts.iter().map(|problem| format!("{}: {}", problem.account, problem.reason));
    Some(format!(
        "none of its {} finding(s) could be worked on: {}",
        rows.len(),
        told(accounts.chain(reasons(by_store)))
    ))
}

/// The cards that only a person can mend. One that could not be read or written for a moment is left to the next poll.
fn cards(report: &Report) -> Option<String> {
    let broken = |row: &&ReportedFinding| row.outcome == Outcome::Failed && is_of_store(row);
    let broken: Vec<_> = report.findings.iter().filter(broken).collect();
    let named = broken.iter().map(|row| format!("{}: {}", row.finding.resource, row.detail.as_deref().unwrap_or("")));
    (!broken.is_empty()).then(|| format!("{} finding(s) could not be worked on: {}", broken.len(), told(named)))
}

/// That a part of an approval was put off: the service's next try carries it out. What waits for a change window is
/// carried out by the first poll in it.
fn unapproved(report: &Report) -> Option<String> {
    report.approval.as_ref()?;
    let waits = |row: &ReportedFinding| row.detail.as_deref().is_some_and(Closed::is_in);
    let deferred = |row: &&ReportedFinding| row.outcome == Outcome::Deferred && !waits(row);
    let deferred: Vec<_> = report.findings.iter().filter(deferred).collect();
    let named = deferred.iter().map(|row| format!("{}: {}", row.finding.resource, row.detail.as_deref().unwrap_or("")));
    let count = deferred.len();
    (count > 0)
        .then(|| format!("{count} finding(s) of the approval were deferred, and are tried again: {}", told(named)))
}

fn is_of_store(row: &ReportedFinding) -> bool {
    says(row, CARD) || says(row, CLAIM)
}

fn says(row: &ReportedFinding, what: &str) -> bool {
    row.detail.as_deref().is_some_and(|detail| detail.starts_with(what))
}

fn reasons<'a>(rows: Vec<&'a ReportedFinding>) -> impl Iterator<Item = String> + 'a {
    rows.into_iter().filter_map(|row| row.detail.clone())
}

/// The first reasons, each once.
fn told(reasons: impl Iterator<Item = String>) -> String {
    let reasons: BTreeSet<_> = reasons.collect();
    let count = reasons.len();
    first(reasons.into_iter(), count)
}

/// The first of `count` reasons, in their order.
fn first(reasons: impl Iterator<Item = String>, count: usize) -> String {
    let told = reasons.take(MOST_REASONS).collect::<Vec<_>>().join("; ");
    let more = count.saturating_sub(MOST_REASONS);
    if more > 0 { format!("{told}; and {more} more") } else { told }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use remediation::{AccountProblem, Approval, Approved, BatchId, BatchLineError, Finding, Mode, Region, RunId};

    use super::*;

    const NO_ROLE: &str = "sts:AssumeRole: AccessDenied: not for you";
    const CORRUPT: &str =
        "its card cannot be read, so nothing is written: resources/x.json: the card cannot be read: e";
    const NO_PLAN: &str =
        "the plan could not be stored, so nothing was written: s3://b/plans/x: s3:PutObject: AccessDenied";
    const NO_LEDGER: &str = "the limits could not be checked, so nothing was written: s3://b/ledgers/x: s3:ListBucket";
    const NO_CLAIM: &str =
        "it could not be claimed, so nothing was written: s3://b/resources/x: s3:PutObject: SlowDown";
    const LATE: &str = "no time was left to plan it; the next poll will";
    const BUSY: &str = "the run r is at work on it, until 10:00 at most; the next poll looks again";

    use Outcome::{AlreadyCompliant, Deferred, Failed, Fixed, Held};

    /// A report of these outcomes with their reasons, of which the first `of_account` findings were of account problems.
    fn report(rows: &[(Outcome, &str)], of_account: usize) -> Report {
        let id = BatchId { rule: "open-door".into(), run: RunId::start(), batch: 1 };
        let row = |(number, (outcome, detail)): (usize, &(Outcome, &str))| {
            let finding = Finding {
                control: "Ensure every door is closed.".into(),
                account: "222222222222".parse().unwrap(),
                region: Region::code("us-east-1"),
                resource: format!("door-{number}"),
                first_seen: None,
                last_scanned: None,
            };
            ReportedFinding::unwritten(finding, *outcome, (!detail.is_empty()).then(|| (*detail).to_owned()))
        };
        let rows = rows.iter().enumerate().map(row).collect();
        let report = Report::done(id, Mode::Apply, Timestamp::now(), rows, Vec::new());
        let account = "222222222222".parse().unwrap();
        let problem = AccountProblem { account, findings: of_account, reason: NO_ROLE.into() };
        Report { accounts: (of_account > 0).then_some(problem).into_iter().collect(), ..report }
    }

    #[test]
    fn a_batch_of_which_an_earlier_report_says_something_has_not_failed_as_a_whole() {
        let alone = report(&[(Failed, NO_ROLE)], 1);
        assert_eq!(failures(&alone).len(), 1);
        let unchanged = remediation::records::Unchanged {
            report: "reports/x".into(),
            outcome: Held,
            findings: 1,
            first_seen: None,
        };
        assert_eq!(failures(&alone.with_unchanged(vec![unchanged])), [""; 0]);
    }

    #[test]
    fn a_batch_fails_as_a_whole_or_by_a_record_that_only_a_person_can_mend() {
        for (rows, of_account, fails) in [
            (&[][..], 0, None),
            (&[(Fixed, ""), (AlreadyCompliant, "")], 0, None),
            // What the report says of a finding is no failure of the invocation.
            (&[(Failed, "s3:PutBucketPolicy: AccessDenied")], 0, None),
            (&[(Failed, "s3:PutBucketPolicy: AccessDenied"), (Deferred, BUSY)], 0, None),
            (&[(Deferred, LATE), (Deferred, LATE)], 0, None),
            (&[(Held, "the rule's mode is off")], 0, None),
            // No role for any of them, or only for some.
            (&[(Failed, NO_ROLE), (Failed, NO_ROLE)], 2, Some(NO_ROLE)),
            (&[(Failed, NO_ROLE), (Fixed, "")], 1, None),
            (&[(Failed, NO_ROLE), (Deferred, LATE)], 1, None),
            (&[(Held, "out of reach"), (Held, "out of reach")], 2, None),
            // No plan, or no ledger: whatever else is well.
            (&[(AlreadyCompliant, ""), (Failed, NO_PLAN)], 0, Some(NO_PLAN)),
            (&[(AlreadyCompliant, ""), (Deferred, NO_PLAN)], 0, Some(NO_PLAN)),
            (&[(AlreadyCompliant, ""), (Deferred, NO_LEDGER)], 0, Some(NO_LEDGER)),
            // One card, or all of them; what passes does so by itself where others were worked on.
            (&[(Fixed, ""), (Failed, CORRUPT)], 0, Some(CORRUPT)),
            (&[(Fixed, ""), (Failed, NO_CLAIM)], 0, Some(NO_CLAIM)),
            (&[(Fixed, ""), (Deferred, NO_CLAIM)], 0, None),
            (&[(Fixed, ""), (Deferred, CORRUPT)], 0, None),
            (&[(Deferred, NO_CLAIM), (Deferred, CORRUPT)], 0, Some(NO_CLAIM)),
            (&[(Failed, NO_ROLE), (Deferred, NO_CLAIM)], 1, Some(NO_ROLE)),
        ] {
            let failed = failures(&report(rows, of_account)).join("; ");
            assert_eq!(!failed.is_empty(), fails.is_some(), "{rows:?}: {failed}");
            assert!(failed.contains(fails.unwrap_or_default()), "{rows:?}: {failed}");
        }
    }

    #[test]
    fn an_approval_of_which_a_part_was_deferred_is_tried_again() {
        for (rows, fails) in [
            (&[(Fixed, ""), (Held, "drifted: x")][..], false),
            (&[(Failed, "s3:PutBucketPolicy: AccessDenied")], false),
            (&[(Fixed, ""), (Deferred, BUSY)], true),
            (&[(Deferred, LATE)], true),
        ] {
            let report = report(rows, 0);
            let approval = Approval::new(&report.id, "plans/x", "digest", "who".into(), "why".into());
            let approved = Report { approval: Some(Approved { approval, stored_by: None }), ..report };
            let failed = failures(&approved).join("; ");
            assert_eq!(!failed.is_empty(), fails, "{rows:?}: {failed}");
            if fails {
                let (number, (_, detail)) = rows.iter().enumerate().next_back().unwrap();
                assert!(failed.contains(&format!("door-{number}: {detail}")), "{failed}");
            }
        }
    }

    #[test]
    fn of_many_bad_lines_and_cards_the_first_are_told() {
        let bad_lines = vec![BatchLineError { line: 3, reason: "broken".into() }];
        assert_eq!(failures(&Report { bad_lines, ..report(&[], 0) }), ["line 3 of the batch: broken"]);
        let bad_lines = (2..9).map(|line| BatchLineError { line, reason: "broken".into() }).collect();
        let failed = failures(&Report { bad_lines, ..report(&[], 0) }).join("");
        assert!(failed.starts_with("line 2 of the batch: broken; line 3") && failed.ends_with("; and 4 more"));
        let rows: Vec<_> = std::iter::repeat_n((Failed, CORRUPT), 5).chain([(Fixed, "")]).collect();
        let failed = failures(&report(&rows, 0)).join("; ");
        assert!(failed.starts_with("5 finding(s) could not be worked on: door-0: ") && failed.ends_with("and 2 more"));
    }
}
