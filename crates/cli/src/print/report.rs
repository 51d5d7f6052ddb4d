//! What became of findings.

use std::collections::BTreeMap;

use remediation::{AccountProblem, Approved, Finding, Manifest, Outcome, Report, ReportedFinding, Resource};

use crate::exit::Exit;
use crate::print::line::Line;
use crate::print::list::{Entry, List};
use crate::print::table::{Cell, Table};
use crate::print::text::counted;
use crate::print::time;

/// Where what is only planned is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Planned {
    /// Beside the other findings.
    Here,
    /// In a list of its own.
    Apart,
}

/// An entry for each resource with findings that need attention, grouped by account and rule. One that complies or is gone
/// is only counted, unless it has a note. What stopped all findings of an account is shown once, by [`accounts`].
///
/// `planned` says whether what is only planned is among them, or is shown by itself.
pub(crate) fn list<'a>(
    reports: impl IntoIterator<Item = &'a Report>,
    planned: Planned,
    manifests: &[&Manifest],
) -> List {
    let mut list = List::default();
    for Report { id, findings, accounts, .. } in reports {
        let shown = findings.iter().filter(|row| has_news(row) && !is_shown_by(accounts, row));
        let shown = shown.filter(|row| planned == Planned::Here || row.outcome != Outcome::Planned);
        for rows in alike(shown) {
            let Some(row) = rows.first() else { continue };
            let title = format!("{}  {}", row.finding.account, id.rule);
            list.add(title, Entry { head: head(&rows, manifests), body: body(row) });
        }
    }
    list
}

/// The findings, those together that say the same of one resource.
fn alike<'a>(rows: impl Iterator<Item = &'a ReportedFinding>) -> Vec<Vec<&'a ReportedFinding>> {
    let (mut groups, mut places) = (Vec::<Vec<_>>::new(), BTreeMap::new());
    for row in rows {
        let Finding { account, region, resource, .. } = &row.finding;
        let said = (&row.outcome, &row.detail, &row.changes, &row.notes);
        let place = *places.entry((account, region.to_string(), resource, said)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups
}

/// Every finding, for scripts: whatever its outcome.
pub(crate) fn table<'a>(reports: impl IntoIterator<Item = &'a Report>, manifests: &[&Manifest]) -> Table {
    let mut table = Table::new([
        "outcome", "rule", "control", "account", "region", "resource", "arn", "changes", "detail", "notes", "plan",
        "report",
    ]);
    for report in reports {
        let plan = report.plan.as_ref().map(|plan| plan.key.as_str()).unwrap_or_default();
        for row in &report.findings {
            let Finding { account, region, resource, .. } = &row.finding;
            let arn = row.resource.as_ref().map(|resource| resource.arn.as_str()).unwrap_or_default();
            table.row([
                Cell::text(row.outcome.to_string()),
                Cell::text(&report.id.rule),
                Cell::text(control(&row.finding, manifests)),
                Cell::text(account),
                Cell::text(region),
                Cell::text(resource),
                Cell::text(arn),
                Cell::lines(&row.changes),
                Cell::text(row.detail.as_deref().unwrap_or_default()),
                Cell::lines(&row.notes),
                Cell::text(row.earlier_plan.as_deref().unwrap_or(plan)),
                Cell::text(report.id.report_key()),
            ]);
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

/// What it is: by which name it is listed, what else it is called where that does not follow, where, and which controls
/// list it.
fn head(rows: &[&ReportedFinding], manifests: &[&Manifest]) -> Line {
    let Some(row) = rows.first() else { return Line::default() };
    let other = row.resource.as_ref().filter(|resource| !ends_in(&resource.arn, &row.finding.resource));
    let mut controls: Vec<_> = rows.iter().map(|row| control(&row.finding, manifests)).collect();
    controls.sort_unstable();
    controls.dedup();
    let listed = Line::default().name(&row.finding.resource);
    let named = match other {
        Some(Resource { arn, id, .. }) => listed.name(if ends_in(arn, id) { id } else { arn }),
        None => listed,
    };
    named.name(&row.finding.region).words(controls.join(", "))
}

/// Whether a resource's ARN ends in a name, so that it says nothing more.
pub(crate) fn ends_in(arn: &str, name: &str) -> bool {
    arn.strip_suffix(name).is_some_and(|start| start.is_empty() || start.ends_with(['/', ':']))
}

/// What became of it, and what is to be known of that.
fn body(row: &ReportedFinding) -> Vec<Line> {
    let proof = row.verification.as_ref().map(|proof| {
        let what = if row.outcome == Outcome::Undone { "verified" } else { "verified compliant" };
        format!("{what} at {}", time::clock(proof.at))
    });
    let said: Vec<_> = [row.changes.join("; ")].into_iter().chain(row.detail.clone()).chain(proof).collect();
    let said: Vec<_> = said.into_iter().filter(|text| !text.is_empty()).collect();
    let end = if said.is_empty() { "" } else { ":" };
    let outcome = Line::default().judged(format!("{}{end}", row.outcome), Exit::of(row.outcome));
    let notes = row.notes.iter().map(|note| Line::default().words(format!("note: {note}")));
    [outcome.words(said.join("; "))].into_iter().chain(notes).collect()
}
