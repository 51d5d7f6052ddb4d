//! Lists that fit any width: an entry says what it is, and below it what is to be said of it. A long line goes on below its
//! beginning, but no name is ever cut or broken, so that it can be copied: it rather goes beyond the width.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use escape::escaped;

use crate::print::line::{Line, Paper};
use crate::print::table::Printed;

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
        f.write_str(&self.on(Paper::of_stdout()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

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
