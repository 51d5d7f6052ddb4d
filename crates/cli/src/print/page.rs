//! Standard output and standard error, as commands write to them: whatever goes through is escaped.

use std::fmt::Display;
use std::io::{self, Write};

use clap::ValueEnum;
use escape::escaped;
use serde::Serialize;

use crate::print::table::{Printed, Table};

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For scripts: one JSON document.
    Json,
    /// For spreadsheets: a header, and a row each.
    Csv,
}

/// Where the result of a command goes.
pub(crate) struct Page<'a>(&'a mut dyn Write);

impl<'a> Page<'a> {
    pub(crate) fn new(out: &'a mut dyn Write) -> Self {
        Self(out)
    }

    /// Prints one line, escaped; a line end within it too.
    pub(crate) fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.0, "{}", escaped(&text.to_string()))
    }

    /// Prints a table or a list.
    pub(crate) fn table(&mut self, table: &impl Printed) -> io::Result<()> {
        writeln!(self.0, "{table}")
    }

    /// Prints a table as comma-separated values.
    pub(crate) fn csv(&mut self, table: &Table) -> io::Result<()> {
        table.write_csv(&mut self.0)
    }

    /// Prints one JSON document.
    pub(crate) fn json(&mut self, document: &impl Serialize) -> io::Result<()> {
        writeln!(self.0, "{}", escape::json(&serde_json::to_string_pretty(document)?))
    }

    /// Prints CSV, whose cells are escaped already.
    pub(crate) fn csv_lines(&mut self, lines: &[u8]) -> io::Result<()> {
        self.0.write_all(lines)
    }

    /// Prints a script of this build as it is.
    pub(crate) fn script(&mut self, script: &[u8]) -> io::Result<()> {
        self.0.write_all(script)
    }
}

/// Tells an error or a hint on standard error, escaped.
pub(crate) fn complain(text: impl Display) {
    // Where standard error is closed, nobody is left to tell.
    let _ = writeln!(io::stderr(), "{}", escaped(&text.to_string()));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::print::table::Cell;

    #[test]
    fn nothing_leaves_unescaped() {
        let mut out = Vec::new();
        let mut page = Page::new(&mut out);
        let name = "x\u{1b}[2J\u{202e}y";
        page.line(format!("report: {name}")).unwrap();
        page.json(&json!({ name: [name] })).unwrap();
        let mut table = Table::new(["resource"]);
        table.row([Cell::text(name)]);
        table.row([Cell::lines([name, name])]);
        page.table(&table).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
        assert_eq!(text.matches("\\u{202e}").count(), 4, "{text}");
    }
}
