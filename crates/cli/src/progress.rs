//! The progress bar, and logs that do not tear it.

use std::io::{self, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use remediation::Progress;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// A bar on standard error; drawn on a terminal only.
#[derive(Clone)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// A bar that is not drawn yet, or never where `hidden`.
    pub(crate) fn new(hidden: bool) -> Self {
        let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        // The template is a constant that a test parses; the plain bar does as well.
        let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(bar.with_style(style))
    }

    /// Says what is under way.
    pub(crate) fn on(&self, what: String) {
        self.0.set_prefix(what);
    }

    /// Takes the bar off the screen.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }

    fn start(&self, step: &'static str, findings: usize) {
        self.0.reset();
        self.0.set_length(findings as u64);
        self.0.set_message(step);
    }
}

const TEMPLATE: &str = "{prefix} {msg} {bar:30} {pos}/{len} {elapsed}";

impl Progress for Bar {
    fn planning(&self, findings: usize) {
        self.start("looking", findings);
    }

    fn applying(&self, findings: usize) {
        self.start("fixing", findings);
    }

    fn done(&self) {
        self.0.inc(1);
    }
}

/// Standard error above the bar.
struct AboveBar(ProgressBar);

impl Write for AboveBar {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// What is logged where `RUST_LOG` does not say. Credentials that cannot be loaded are an error of the command, told
/// once.
const LEVEL: &str = "warn,aws_config=error";

/// Sends logs to standard error: warnings and errors, or what `RUST_LOG` says; never what travels on a connection.
pub(crate) fn log_above(bar: &Bar) {
    let level = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LEVEL));
    let bar = bar.0.clone();
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        .with_writer(move || AboveBar(bar.clone()))
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
        let bar = Bar::new(true);
        bar.planning(3);
        bar.done();
        assert_eq!((bar.0.position(), bar.0.length()), (1, Some(3)));
        bar.applying(2);
        assert_eq!((bar.0.position(), bar.0.length()), (0, Some(2)));
    }
}
