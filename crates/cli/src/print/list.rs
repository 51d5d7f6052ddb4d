//! Lists that fit any width: an entry says what it is, and below it what is to be said of it. A long line goes on below its
//! beginning, but no name is ever cut or broken, so that it can be copied: it rather goes beyond the width.

use std::collections::BTreeMap;
use std::env;
use std::fmt::{self, Display, Formatter};
use std::io::{self, IsTerminal};

use anstyle::{AnsiColor, Style};
use escape::escaped;
use terminal_size::{Width, terminal_size_of};
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

use crate::exit::Exit;
use crate::print::colour;
use crate::print::table::Printed;

/// Stands for a space within a name while a line is wrapped. It cannot be part of a text: what is escaped has none of
/// Unicode's private letters.
const KEPT_SPACE: char = '\u{e000}';

/// Entries, grouped by what they are about; the groups in the order of their titles.
#[derive(Debug, Default)]
pub(crate) struct List(BTreeMap<String, Vec<Entry>>);

/// What is listed.
#[derive(Debug)]
pub(crate) struct Entry {
    /// What it is.
    pub(crate) head: Line,
    /// What is to be said of it.
    pub(crate) body: Vec<Line>,
}

/// A line, as long as it may be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line(Vec<Part>);

#[derive(Debug, Clone)]
struct Part {
    text: String,
    how: Option<Exit>,
}

/// Where a list is printed.
#[derive(Debug, Clone, Copy)]
struct Paper {
    /// In columns; none where nothing has to fit.
    width: Option<usize>,
    has_colours: bool,
}

impl Line {
    /// Adds words, which can be wrapped.
    pub(crate) fn words(mut self, text: impl AsRef<str>) -> Self {
        self.0.push(Part { text: escaped(text.as_ref()), how: None });
        self
    }

    /// Adds a name, which stays whole.
    pub(crate) fn name(mut self, text: impl AsRef<str>) -> Self {
        let text = escaped(text.as_ref()).replace(' ', KEPT_SPACE.encode_utf8(&mut [0; 4]));
        self.0.push(Part { text, how: None });
        self
    }

    /// Adds a word in the colour of how good or bad it is.
    pub(crate) fn judged(mut self, text: impl AsRef<str>, how: Exit) -> Self {
        self.0.push(Part { text: escaped(text.as_ref()), how: Some(how) });
        self
    }

    fn text(&self, has_colours: bool, between: &str) -> String {
        let part = |Part { text, how }: &Part| match how.filter(|_| has_colours) {
            Some(how) => {
                let style = style(how);
                format!("{style}{text}{style:#}")
            }
            None => text.clone(),
        };
        self.0.iter().map(part).collect::<Vec<_>>().join(between)
    }

    fn wrapped(&self, paper: Paper, indent: &str, between: &str) -> String {
        let text = self.text(paper.has_colours, between);
        let further = format!("{indent}  ");
        let options = Options::new(paper.width.unwrap_or(usize::MAX))
            .initial_indent(indent)
            .subsequent_indent(&further)
            .break_words(false)
            .word_separator(WordSeparator::AsciiSpace)
            .word_splitter(WordSplitter::NoHyphenation)
            .wrap_algorithm(WrapAlgorithm::FirstFit);
        textwrap::fill(&text, options).replace(KEPT_SPACE, " ")
    }
}

fn style(how: Exit) -> Style {
    let colour = match how {
        Exit::NothingLeft => AnsiColor::Green,
        Exit::Left => AnsiColor::Yellow,
        Exit::Failed => AnsiColor::Red,
    };
    colour.on_default()
}

impl List {
    /// Adds an entry to the group of this title.
    pub(crate) fn add(&mut self, group: impl AsRef<str>, entry: Entry) {
        self.0.entry(escaped(group.as_ref())).or_default().push(entry);
    }

    /// Adds a group that may have no entries.
    pub(crate) fn group(&mut self, group: impl AsRef<str>) {
        self.0.entry(escaped(group.as_ref())).or_default();
    }

    /// Whether there is no group.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn on(&self, paper: Paper) -> String {
        let mut lines = Vec::new();
        for (title, entries) in &self.0 {
            lines.push(title.clone());
            for Entry { head, body } in entries {
                // Names may have spaces in them, so two are between those of a head.
                lines.push(head.wrapped(paper, "  ", "  "));
                lines.extend(body.iter().map(|line| line.wrapped(paper, "    ", " ")));
            }
        }
        lines.join("\n")
    }

    /// The list at a width, without colours.
    #[cfg(test)]
    pub(crate) fn at(&self, width: usize) -> String {
        self.on(Paper { width: Some(width), has_colours: false })
    }
}

impl Printed for List {}

impl Display for List {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let is_terminal = io::stdout().is_terminal();
        let width = terminal_size_of(io::stdout()).map(|(Width(width), _)| usize::from(width));
        let (no_color, term) = (env::var_os("NO_COLOR"), env::var_os("TERM"));
        let has_colours = is_terminal && colour::are_wanted(no_color.as_deref(), term.as_deref());
        f.write_str(&self.on(Paper { width, has_colours }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(name: &str) -> List {
        let mut list = List::default();
        let head = Line::default().name(name).words("eu-central-1").words("BPR-1-0-0");
        let body = Line::default().judged("held:", Exit::Left).words("turn on two settings; the mode is approve");
        list.add("222222222222  s3-public-bucket", Entry { head, body: vec![body] });
        list
    }

    #[test]
    fn an_entry_takes_two_lines_and_more_only_where_it_must() {
        for (width, expected) in [
            (
                40,
                "222222222222  s3-public-bucket\n  a-bucket  eu-central-1  BPR-1-0-0\n    held: turn on two settings; the mode\n      \
                 is approve",
            ),
            (
                80,
                "222222222222  s3-public-bucket\n  a-bucket  eu-central-1  BPR-1-0-0\n    held: turn on two settings; the mode \
                 is approve",
            ),
        ] {
            assert_eq!(list("a-bucket").at(width), expected);
        }
        assert_eq!(list("a-bucket").at(120), list("a-bucket").at(80));
        assert_eq!(list("a-bucket").at(200), list("a-bucket").at(80));
    }

    #[test]
    fn a_name_is_never_broken_and_never_cut() {
        for name in [&"long-".repeat(30), "a name with spaces in it that is longer than a line", &"x".repeat(150)] {
            for width in [10, 40, 80, 120, 200] {
                let text = list(name).at(width);
                assert!(text.lines().any(|line| line.contains(name)), "{width}: {text}");
                let rest = text.lines().filter(|line| !line.contains(name));
                assert!(width < 40 || rest.clone().all(|line| line.chars().count() <= width), "{width}: {text}");
            }
        }
    }

    #[test]
    fn a_word_is_coloured_where_that_is_wanted_and_nothing_else_reaches_a_terminal() {
        let list = list("x\u{1b}[2J\u{202e}\u{e000}y");
        let coloured = list.on(Paper { width: Some(80), has_colours: true });
        assert!(coloured.contains("\u{1b}[33mheld:\u{1b}[0m"), "{coloured:?}");
        assert_eq!(coloured.matches('\u{1b}').count(), 2);
        let plain = list.on(Paper { width: None, has_colours: false });
        assert!(!plain.contains(['\u{1b}', '\u{202e}', '\u{e000}']), "{plain:?}");
        assert!(plain.contains("x\\u{1b}[2J\\u{202e}\\u{e000}y"), "{plain}");
    }
}
