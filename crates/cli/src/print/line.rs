//! Lines that are wrapped, but in which no name is ever broken.

use std::env;
use std::io::{self, IsTerminal};

use anstyle::{AnsiColor, Style};
use escape::escaped;
use terminal_size::{Width, terminal_size_of};
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

use crate::exit::Exit;
use crate::print::colour;

/// Stands for a space within a name while a line is wrapped. It cannot be part of a text: what is escaped has none of
/// Unicode's private letters.
const KEPT_SPACE: char = '\u{e000}';

/// A line, as long as it may be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line(Vec<Part>);

#[derive(Debug, Clone)]
struct Part {
    text: String,
    how: Option<Exit>,
}

/// Where something is printed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paper {
    /// In columns; none where nothing has to fit.
    pub(crate) width: Option<usize>,
    pub(crate) has_colours: bool,
}

impl Paper {
    /// Standard output.
    pub(crate) fn of_stdout() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let width = terminal_size_of(io::stdout()).map(|(Width(width), _)| usize::from(width));
        let (no_color, term) = (env::var_os("NO_COLOR"), env::var_os("TERM"));
        Self { width, has_colours: is_terminal && colour::are_wanted(no_color.as_deref(), term.as_deref()) }
    }
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

    /// The line on `paper`, with `between` between its parts.
    pub(crate) fn wrapped(&self, paper: Paper, indent: &str, between: &str) -> String {
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
