//! The findings as CSV, a line each, for spreadsheets and scripts.
//!
//! A spreadsheet runs a cell that begins like a formula, and the names of resources are anybody's. Such a cell gets an
//! apostrophe before it, which spreadsheets take for "this is text".
//! <https://owasp.org/www-community/attacks/CSV_Injection>

use std::io::{self, Write};

use escape::{csv_cell, escaped};
use jiff::Timestamp;

use crate::life::Life;
use crate::summary::Summary;

const COLUMNS: [&str; 17] = [
    "rule",
    "control",
    "account",
    "region",
    "resource",
    "arn",
    "state",
    "outcome",
    "first_seen",
    "found",
    "last_listed",
    "fixed",
    "seconds_from_first_seen_to_fixed",
    "changes",
    "detail",
    "netskope",
    "scanned",
];
/// Writes the findings of a summary, below a line of names.
///
/// # Errors
///
/// `to` does not take them.
pub fn write(summary: &Summary, to: impl Write) -> io::Result<()> {
    let mut lines = ::csv::Writer::from_writer(to);
    lines.write_record(COLUMNS)?;
    for life in &summary.findings {
        lines.write_record(cells(life).map(|text| harmless(&text)))?;
    }
    lines.flush()
}

fn cells(life: &Life) -> [String; 17] {
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    let (fix, last) = (life.fixes.last(), life.steps.last());
    [
        life.rule.clone(),
        life.control.clone(),
        life.account.to_string(),
        life.region.to_string(),
        life.resource.clone(),
        life.arn.clone().unwrap_or_default(),
        life.state.word().to_owned(),
        life.outcome.map(|outcome| outcome.to_string()).unwrap_or_default(),
        time(life.first_seen),
        time(Some(life.found)),
        time(Some(life.last_listed)),
        time(fix.map(|fix| fix.fixed)),
        fix.map(|fix| fix.seconds_since_first_seen().to_string()).unwrap_or_default(),
        last.map(|step| step.changes.join("; ")).unwrap_or_default(),
        last.and_then(|step| step.detail.clone()).unwrap_or_default(),
        life.closure.map(|closure| closure.words().to_owned()).unwrap_or_default(),
        time(life.closure.map(|closure| closure.scanned)),
    ]
}

/// A cell that nothing runs: its control characters are escaped, a line end or tabulator at its start among them.
fn harmless(text: &str) -> String {
    csv_cell(escaped(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_no_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "＝1", "\u{3000}=1"] {
            assert_eq!(harmless(text), format!("'{text}"));
        }
        for (text, expected) in [("\t=1", "\\u{9}=1"), ("\r=1", "\\u{d}=1"), ("a=1", "a=1"), ("", "")] {
            assert_eq!(harmless(text), expected);
        }
    }
}
