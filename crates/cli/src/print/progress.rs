//! The progress bar on standard error, and the log lines above it.

use std::io::{self, Write};
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
pub(crate) struct Bar(ProgressBar);

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
        Self(bar.with_style(style))
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

    fn start(&self, step: &'static str, resources: usize) {
        self.0.reset();
        self.0.set_length(resources as u64);
        self.0.set_message(step);
        self.0.enable_steady_tick(TICK);
    }
}

/// How often the time on the bar moves, also when nothing else does.
const TICK: Duration = Duration::from_secs(1);

const TEMPLATE: &str = "{prefix} {msg} {bar:30} {pos}/{len} {elapsed}";

impl Progress for Bar {
    fn planning(&self, resources: usize) {
        self.start("looking", resources);
    }

    fn applying(&self, resources: usize) {
        self.start("fixing", resources);
    }

    fn done(&self) {
        self.0.inc(1);
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
        bar.planning(3);
        bar.done();
        assert_eq!((bar.0.position(), bar.0.length()), (1, Some(3)));
        bar.applying(2);
        assert_eq!((bar.0.position(), bar.0.length()), (0, Some(2)));
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
