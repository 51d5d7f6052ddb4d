//! The table of what became of findings.

use remediation::{AccountProblem, Approved, Finding, Manifest, Outcome, Report, ReportedFinding};

use crate::exit::Exit;
use crate::print::table::{Cell, Table};
use crate::print::text::counted;
use crate::print::time;

/// Where what is only planned is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Planned {
    /// Beside the other findings.
    Here,
    /// In a table of its own.
    Apart,
}

/// A row for each finding that needs attention. One that complies or is gone is only counted, unless it has a note.
/// What stopped all findings of an account is shown once, by [`accounts`].
///
/// `planned` says whether what is only planned is among them, or is shown by itself.
pub(crate) fn table<'a>(
    reports: impl IntoIterator<Item = &'a Report>,
    planned: Planned,
    manifests: &[&Manifest],
) -> Table {
    let mut table = Table::new(["control", "account", "region", "resource", "change", "outcome", "detail"]);
    // An account and a region, to copy.
    table.keep_whole(1..3);
    for Report { findings, accounts, .. } in reports {
        for row in findings.iter().filter(|row| has_news(row) && !is_shown_by(accounts, row)) {
            if planned == Planned::Apart && row.outcome == Outcome::Planned {
                continue;
            }
            table.row(cells(row, manifests));
        }
    }
    table
}

/// A line for each account whose findings could not be worked on.
pub(crate) fn accounts(report: &Report) -> impl Iterator<Item = String> {
    report.accounts.iter().map(|AccountProblem { account, findings, reason }| {
        format!("account {account}: {}: {reason}", counted(*findings, "finding"))
    })
}

/// Who approved what a report is of, and who wrote in spite of the policy, each with the reason; and by which source
/// identity CloudTrail knows the sessions, where it is not the rule's.
pub(crate) fn people(report: &Report) -> impl Iterator<Item = String> {
    let approved = report.approval.iter().flat_map(approved);
    let overridden = report.policy_override.iter();
    let overridden = overridden.map(|of| format!("policy overridden by {}: {}", of.by, of.reason));
    approved.chain(overridden).chain(report.source_identity.iter().map(ToString::to_string))
}

fn approved(approved: &Approved) -> Vec<String> {
    let Approved { approval, stored_by } = approved;
    let stored = stored_by.as_ref().map(|by| format!(" (stored by {by})")).unwrap_or_default();
    let mut lines = vec![format!("approved by {}{stored}: {}", approval.by, approval.reason)];
    if approved.is_by_another() {
        lines.push("warning: the approval was stored by somebody else than it names".to_owned());
    }
    lines
}

/// The short name of the finding's control.
pub(crate) fn control<'a>(finding: &'a Finding, manifests: &[&'a Manifest]) -> &'a str {
    let control = manifests.iter().find_map(|manifest| manifest.control(&finding.control));
    control.map_or(&finding.control, |control| &control.short_name)
}

fn has_news(row: &ReportedFinding) -> bool {
    !row.notes.is_empty() || !matches!(row.outcome, Outcome::AlreadyCompliant | Outcome::Gone)
}

fn is_shown_by(accounts: &[AccountProblem], row: &ReportedFinding) -> bool {
    accounts.iter().any(|of| of.account == row.finding.account && Some(&of.reason) == row.detail.as_ref())
}

fn cells(row: &ReportedFinding, manifests: &[&Manifest]) -> [Cell; 7] {
    let finding = &row.finding;
    let proof = row.verification.as_ref().map(|proof| {
        let (at, looks) = (time::shown(proof.at), counted(proof.looks as usize, "look"));
        let what = if row.outcome == Outcome::Undone { "verified" } else { "verified compliant" };
        format!("{what} at {at} with {} ({looks})", proof.actions.join(", "))
    });
    let arn = row.resource.iter().map(|resource| &resource.arn).filter(|arn| **arn != finding.resource);
    let notes = row.notes.iter().map(|note| format!("note: {note}"));
    let detail: Vec<_> = row.detail.iter().cloned().chain(proof).chain(notes).collect();
    [
        Cell::text(control(finding, manifests)),
        Cell::text(&finding.account),
        Cell::text(&finding.region),
        Cell::lines([&finding.resource].into_iter().chain(arn)),
        Cell::text(row.changes.join("; ")),
        Cell::judged(row.outcome.to_string(), Exit::of(row.outcome)),
        Cell::text(detail.join("; ")),
    ]
}
