//! The progress bar on standard error, and the log lines above it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::Progress;
use escape::{Log, escaped};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::print::page::Format;

/// A bar on standard error; drawn on a terminal only.
#[derive(Clone)]
pub(crate) struct Bar(ProgressBar, Arc<Mutex<Steps>>);

/// How far a run is. Some resources are fixed while it looks at others: the looks are shown first, with the fixes beside
/// them, and then the fixes.
#[derive(Debug, Default)]
struct Steps {
    looks: Count,
    fixes: Count,
}

/// So many are done.
#[derive(Debug, Default)]
struct Count {
    done: usize,
    of: usize,
}

impl Steps {
    /// Whether it still looks at something, or has nothing else to do.
    fn is_looking(&self) -> bool {
        self.looks.done < self.looks.of || self.fixes.of == 0
    }
}

impl Bar {
    /// A bar that is not drawn yet. Beside JSON and CSV it never is: a script reads that.
    pub(crate) fn new(format: Format) -> Self {
        let target = match format {
            Format::Table => ProgressDrawTarget::stderr(),
            Format::Json | Format::Csv => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(None, target);
        // A test parses the constant template; without it, the plain bar would do.
        let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(bar.with_style(style), Arc::default())
    }

    /// Shows what is being worked on.
    pub(crate) fn on(&self, what: &str) {
        self.0.set_prefix(escaped(what));
    }

    /// Prints something above the bar, if it is there.
    pub(crate) fn above(&self, print: impl FnOnce()) {
        self.0.suspend(print);
    }

    /// Shows what is being waited for, of which nobody can say how long it takes.
    pub(crate) fn waiting(&self, what: &str) {
        self.on(what);
        self.0.reset();
        self.0.set_message("");
        self.0.unset_length();
        self.0.enable_steady_tick(TICK);
    }

    /// Removes the bar from the screen.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }

    /// Shows how far the run is after `change`. What is shown from then on starts from nothing.
    fn show(&self, change: impl FnOnce(&mut Steps)) {
        let Self(bar, steps) = self;
        let mut steps = steps.lock().unwrap_or_else(PoisonError::into_inner);
        let was_looking = steps.is_looking();
        change(&mut steps);
        let Steps { looks, fixes } = &*steps;
        let is_looking = steps.is_looking();
        let Count { done, of } = if is_looking { looks } else { fixes };
        if is_looking != was_looking || *done == 0 {
            bar.reset();
            bar.enable_steady_tick(TICK);
        }
        bar.set_message(match (is_looking, fixes.of) {
            (true, 0) => "looking".to_owned(),
            (true, of) => format!("looking (fixed {} of {of})", fixes.done),
            (false, _) => "fixing".to_owned(),
        });
        bar.set_length(*of as u64);
        bar.set_position(*done as u64);
    }
}

/// How often the time on the bar moves, also when nothing else does.
const TICK: Duration = Duration::from_secs(1);

const TEMPLATE: &str = "{prefix} {msg} {bar:30} {pos}/{len} {elapsed}";

impl Progress for Bar {
    fn planning(&self, resources: usize) {
        self.show(|steps| *steps = Steps { looks: Count { done: 0, of: resources }, ..Steps::default() });
    }

    fn planned(&self) {
        self.show(|steps| steps.looks.done += 1);
    }

    fn applying(&self, resources: usize) {
        self.show(|steps| steps.fixes.of += resources);
    }

    fn applied(&self) {
        self.show(|steps| steps.fixes.done += 1);
    }
}

/// Writes log lines, escaped, above the bar.
struct AboveBar<W> {
    bar: ProgressBar,
    to: Log<W>,
}

impl<W: Write> Write for AboveBar<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bar.suspend(|| self.to.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// What is logged unless `RUST_LOG` is set. Credentials that cannot be loaded are an error of the command, which
/// reports them once.
const LEVEL: &str = "warn,aws_config=error";

/// Sends logs to standard error: warnings and errors, or what `RUST_LOG` selects; never what travels on a connection.
pub(crate) fn log_above(bar: &Bar) {
    let level = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LEVEL));
    let bar = bar.0.clone();
    let lines = tracing_subscriber::fmt::layer()
        // Colours would not survive the escaping.
        .with_ansi(false)
        .with_writer(move || AboveBar { bar: bar.clone(), to: Log::text(io::stderr()) })
        .with_filter(level.and(filter_fn(|metadata| logging::is_safe(metadata.target()))));
    tracing_subscriber::registry().with(lines).init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_and_the_level_can_be_used() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
        assert!(EnvFilter::try_new(LEVEL).is_ok());
    }

    #[test]
    fn a_step_starts_from_nothing() {
        let bar = Bar::new(Format::Json);
        let shows = |message: &str, position: u64, length: u64| {
            assert_eq!((bar.0.message().as_str(), bar.0.position(), bar.0.length()), (message, position, Some(length)));
        };
        bar.planning(3);
        bar.planned();
        shows("looking", 1, 3);
        bar.planned();
        bar.planned();
        bar.applying(2);
        shows("fixing", 0, 2);
        bar.planning(1);
        shows("looking", 0, 1);
    }

    #[test]
    fn what_is_fixed_while_others_are_looked_at_is_shown_beside_them() {
        let bar = Bar::new(Format::Json);
        let shows = |message: &str, position: u64, length: u64| {
            assert_eq!((bar.0.message().as_str(), bar.0.position(), bar.0.length()), (message, position, Some(length)));
        };
        bar.planning(3);
        bar.planned();
        bar.applying(1);
        shows("looking (fixed 0 of 1)", 1, 3);
        bar.applied();
        shows("looking (fixed 1 of 1)", 1, 3);
        bar.planned();
        bar.planned();
        bar.applying(2);
        shows("fixing", 1, 3);
    }

    #[test]
    fn a_log_line_is_escaped_and_whole() {
        let mut log = Vec::new();
        let line = "WARN role \u{1b}[2Jx\u{202e}\nERROR of nobody\n";
        let written = AboveBar { bar: ProgressBar::hidden(), to: Log::text(&mut log) }.write(line.as_bytes()).unwrap();
        assert_eq!(written, line.len());
        assert_eq!(String::from_utf8(log).unwrap(), "WARN role \\u{1b}[2Jx\\u{202e}\\u{a}ERROR of nobody\n");
    }
}
