//! Tables that fit the terminal. A cell escapes its text when it is made, so that no table can hold anything else.

use std::fmt::{self, Display, Formatter};
use std::io::{self, Write};
use std::ops::Range;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ColumnConstraint, ContentArrangement};
use escape::{csv_cell, escaped};

use crate::exit::Exit;
use crate::print::colour;

/// The width of a terminal, in columns, from which a table is made to fit it. Below, columns of a few letters could not
/// be read; the terminal's own wrapping can.
const NARROWEST: u16 = 100;

/// What is made of escaped text alone, and so can be printed as it is.
pub(crate) trait Printed: Display {}

/// A table.
pub(crate) struct Table {
    header: Vec<&'static str>,
    table: comfy_table::Table,
}

/// A cell of a table.
pub(crate) struct Cell(comfy_table::Cell);

impl Table {
    /// An empty table.
    pub(crate) fn new<const N: usize>(header: [&'static str; N]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header(header);
        if table.width().is_some_and(|width| width >= NARROWEST) {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        Self { header: header.into(), table }
    }

    /// Keeps the text of these columns in one piece, so that it can be copied.
    pub(crate) fn keep_whole(&mut self, columns: Range<usize>) {
        for column in self.table.column_iter_mut().skip(columns.start).take(columns.len()) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.table.add_row(cells.map(|Cell(cell)| cell));
    }

    /// Writes it as comma-separated values, each cell such that no spreadsheet takes it for a formula.
    pub(crate) fn write_csv(&self, to: impl Write) -> io::Result<()> {
        let mut csv = csv::Writer::from_writer(to);
        csv.write_record(&self.header)?;
        for row in self.table.row_iter() {
            csv.write_record(row.cell_iter().map(|cell| csv_cell(cell.content())))?;
        }
        csv.flush()
    }
}

impl Printed for Table {}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.table.fmt(f)
    }
}

impl Cell {
    /// A cell with this text in one paragraph.
    pub(crate) fn text(text: impl AsRef<str>) -> Self {
        Self(comfy_table::Cell::new(escaped(text.as_ref())))
    }

    /// A cell with a line for each text.
    pub(crate) fn lines<T: AsRef<str>>(lines: impl IntoIterator<Item = T>) -> Self {
        let lines: Vec<_> = lines.into_iter().map(|line| escaped(line.as_ref())).collect();
        Self(comfy_table::Cell::new(lines.join("\n")))
    }

    /// A cell in the colour of how good or bad its text is.
    pub(crate) fn judged(text: impl AsRef<str>, how: Exit) -> Self {
        Self(colour::coloured(Self::text(text).0, how))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spreadsheet_takes_a_cell_for_a_formula() {
        let mut table = Table::new(["resource", "detail"]);
        table.row([Cell::text("=HYPERLINK(\"http://x\")"), Cell::text("a, b")]);
        table.row([Cell::text("-1+2"), Cell::lines(["@sum", "x\u{1b}"])]);
        table.row([Cell::text("+1"), Cell::text("plain = it")]);
        table.row([Cell::text(" =1"), Cell::text("＝1")]);
        let mut csv = Vec::new();
        table.write_csv(&mut csv).unwrap();
        let expected = "resource,detail\n\"'=HYPERLINK(\"\"http://x\"\")\",\"a, b\"\n'-1+2,\"'@sum\nx\\u{1b}\"\n'+1,plain = it\n' =1,'＝1\n";
        assert_eq!(String::from_utf8(csv).unwrap(), expected);
    }
}
