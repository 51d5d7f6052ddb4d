//! The table of what a stored plan would change, as it is approved.

use remediation::{Manifest, Plan, PlannedFinding};
use serde_json::Value;

use crate::print::report::control;
use crate::print::table::{Cell, Table};

/// A row for each finding of the plan: its changes, why it waits, and what its approver has to know.
pub(crate) fn table(plan: &Plan<Value>, manifests: &[&Manifest]) -> Table {
    let mut table = Table::new(["control", "account", "region", "resource", "change", "waits because", "notes"]);
    for PlannedFinding { finding, changes, awaits, notes, .. } in &plan.findings {
        let changes: Vec<_> = changes.iter().map(|change| change.summary.as_str()).collect();
        table.row([
            Cell::text(control(finding, manifests)),
            Cell::text(&finding.account),
            Cell::text(finding.region.to_string()),
            Cell::text(&finding.resource),
            Cell::text(changes.join("; ")),
            Cell::text(awaits.join("; ")),
            Cell::text(notes.join("; ")),
        ]);
    }
    table
}
