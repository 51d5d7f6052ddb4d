//! Tables that fit the terminal. A cell escapes its text when it is made, so that no table can hold anything else.

use std::fmt::{self, Display, Formatter};
use std::ops::Range;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ColumnConstraint, ContentArrangement};
use escape::escaped;

use crate::exit::Exit;
use crate::print::colour;

/// The width of a terminal, in columns, from which a table is made to fit it. Below, columns of a few letters could not
/// be read; the terminal's own wrapping can.
const NARROWEST: u16 = 100;

/// A table.
pub(crate) struct Table(comfy_table::Table);

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
        Self(table)
    }

    /// Keeps the text of these columns in one piece, so that it can be copied.
    pub(crate) fn keep_whole(&mut self, columns: Range<usize>) {
        for column in self.0.column_iter_mut().skip(columns.start).take(columns.len()) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.0.add_row(cells.map(|Cell(cell)| cell));
    }

    /// Whether there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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
