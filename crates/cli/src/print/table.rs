//! Tables that fit the terminal. A cell escapes its text when it is made, so that no table can hold anything else.

use std::fmt::{self, Display, Formatter};
use std::io::{self, Write};
use std::ops::Range;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ColumnConstraint, ContentArrangement};
use escape::{csv_cell, escaped};
use textwrap::core::display_width;

use crate::exit::Exit;
use crate::print::colour;
use crate::print::line::{Line, Paper};

/// What the frame takes of each column's width, and of the first one's besides.
const FRAME: usize = 3;
const EDGE: usize = 1;
/// Up to this many columns, what a cell says stays on one line.
const SHORT: usize = 32;

/// What is made of escaped text alone, and so can be printed as it is.
pub(crate) trait Printed: Display {}

/// A table. Where a terminal is too narrow for it, each row is a paragraph instead.
pub(crate) struct Table {
    header: Vec<&'static str>,
    whole: Range<usize>,
    rows: Vec<Vec<Cell>>,
}

/// A cell of a table.
pub(crate) struct Cell {
    text: String,
    how: Option<Exit>,
}

impl Table {
    /// An empty table.
    pub(crate) fn new<const N: usize>(header: [&'static str; N]) -> Self {
        Self { header: header.into(), whole: 0..0, rows: Vec::new() }
    }

    /// Keeps the text of these columns in one piece, so that it can be copied.
    pub(crate) fn keep_whole(&mut self, columns: Range<usize>) {
        self.whole = columns;
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.rows.push(cells.into());
    }

    /// Writes it as comma-separated values, each cell such that no spreadsheet takes it for a formula.
    pub(crate) fn write_csv(&self, to: impl Write) -> io::Result<()> {
        let mut csv = csv::Writer::from_writer(to);
        csv.write_record(&self.header)?;
        for row in &self.rows {
            csv.write_record(row.iter().map(|cell| csv_cell(cell.text.clone())))?;
        }
        csv.flush()
    }

    fn on(&self, paper: Paper) -> String {
        match paper.width {
            Some(width) if width < self.narrowest() => self.paragraphs(paper),
            _ => self.grid(paper.width),
        }
    }

    /// The width, in columns, below which words would be broken.
    fn narrowest(&self) -> usize {
        let of_column = |column: usize| {
            let texts = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.as_str());
            let is_whole = self.whole.contains(&column);
            let pieces = texts.chain(self.header.get(column).copied()).flat_map(|text| {
                let at = move |of: char| of == '\n' || (!is_whole && of == ' ');
                text.split(at)
            });
            pieces.map(display_width).max().unwrap_or_default() + FRAME
        };
        (0..self.header.len()).map(of_column).sum::<usize>() + EDGE
    }

    fn grid(&self, width: Option<usize>) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header(self.header.clone());
        table.add_rows(self.rows.iter().map(|row| row.iter().map(Cell::in_grid)));
        if let Some(width) = width.and_then(|width| u16::try_from(width).ok()) {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        for column in table.column_iter_mut().skip(self.whole.start).take(self.whole.len()) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
        table.to_string()
    }

    fn paragraphs(&self, paper: Paper) -> String {
        let paragraph = |row: &Vec<Cell>| {
            let head = row.iter().take(1).fold(Line::default(), |line, cell| line.name(&cell.text));
            let said = self.header.iter().zip(row).skip(1).filter(|(_, cell)| !cell.text.is_empty());
            let body = said.fold(Line::default(), |line, (name, cell)| {
                let text = format!("{name}: {}", cell.text.replace('\n', "; "));
                match cell.how {
                    Some(how) => line.judged(text, how),
                    None if display_width(&text) <= SHORT => line.name(text),
                    None => line.words(text),
                }
            });
            format!("{}\n{}", head.wrapped(paper, "", ""), body.wrapped(paper, "  ", "  "))
        };
        let about = format!("{}:", self.header.first().copied().unwrap_or_default());
        std::iter::once(about).chain(self.rows.iter().map(paragraph)).collect::<Vec<_>>().join("\n")
    }
}

impl Printed for Table {}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.on(Paper::of_stdout()))
    }
}

impl Cell {
    /// A cell with this text in one paragraph.
    pub(crate) fn text(text: impl AsRef<str>) -> Self {
        Self { text: escaped(text.as_ref()), how: None }
    }

    /// A cell with a line for each text.
    pub(crate) fn lines<T: AsRef<str>>(lines: impl IntoIterator<Item = T>) -> Self {
        let lines: Vec<_> = lines.into_iter().map(|line| escaped(line.as_ref())).collect();
        Self { text: lines.join("\n"), how: None }
    }

    /// A cell in the colour of how good or bad its text is.
    pub(crate) fn judged(text: impl AsRef<str>, how: Exit) -> Self {
        Self { how: Some(how), ..Self::text(text) }
    }

    fn in_grid(&self) -> comfy_table::Cell {
        let cell = comfy_table::Cell::new(&self.text);
        match self.how {
            Some(how) => colour::coloured(cell, how),
            None => cell,
        }
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

    fn counts() -> Table {
        let mut table = Table::new(["rule", "findings", "open", "median to fix", "says"]);
        table.keep_whole(0..1);
        table.row([
            Cell::text("security-group-open-admin-port"),
            Cell::text("11"),
            Cell::judged("1", Exit::Left),
            Cell::text("33 d 3 h"),
            Cell::lines(["one", "two"]),
        ]);
        table.row([Cell::text("all"), Cell::text("11"), Cell::text("1"), Cell::text(""), Cell::text("")]);
        table
    }

    #[test]
    fn a_table_that_a_terminal_is_too_narrow_for_is_paragraphs_and_no_word_is_broken() {
        for width in [40, 60, 72, 80, 120, 200] {
            let text = counts().on(Paper { width: Some(width), has_colours: false });
            assert!(text.lines().all(|line| display_width(line) <= width), "{width}:\n{text}");
            for word in ["security-group-open-admin-port", "findings", "median", "open", "33"] {
                assert!(text.contains(word), "{width}: {word}\n{text}");
            }
            assert_eq!(text.contains('│'), width >= counts().narrowest(), "{width}:\n{text}");
        }
        let narrow = counts().on(Paper { width: Some(60), has_colours: false });
        let expected = "rule:\nsecurity-group-open-admin-port\n  findings: 11  open: 1  median to fix: 33 d 3 h\n    \
                        says: one; two\nall\n  findings: 11  open: 1";
        assert_eq!(narrow, expected);
    }

    #[test]
    fn a_table_of_any_width_is_a_grid_where_nothing_has_to_fit() {
        let text = counts().on(Paper { width: None, has_colours: false });
        assert!(text.lines().any(|line| line.contains("│ rule") && line.contains("median to fix")), "{text}");
    }
}
