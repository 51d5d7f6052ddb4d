//! Structured logs: one JSON object a line, with the fields of every span around it at the top level; and metrics, which are
//! such a line, too.
//!
//! Invariant: no line shows what travels on a connection, whatever `RUST_LOG` says, because the Netskope token does;
//! and no character that a terminal would obey or hide, because somebody may read them there.

mod metrics;

use std::{env, io};

use escape::Log;
use tracing_subscriber::filter::{FilterExt, LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

pub use metrics::{Line, Metrics, Of, Unit};

/// Crates that log requests as they travel: URLs, headers, bodies.
const WIRE: [&str; 9] = [
    "aws_smithy_http_client",
    "aws_smithy_runtime",
    "aws_sigv4",
    "h2",
    "hyper",
    "hyper_util",
    "lambda_runtime",
    "reqwest",
    "rustls",
];

/// Whether a line of `target` may be shown.
pub fn is_safe(target: &str) -> bool {
    let root = target.split("::").next().unwrap_or(target);
    !WIRE.contains(&root)
}

/// Sends the logs of this process to its standard output as JSON. `RUST_LOG` chooses the level, by target where it names any;
/// `info` where it does not. A packaged Lambda has no line below `info`. Called again, it does nothing.
pub fn init() {
    let level = level(env::var("RUST_LOG").ok().as_deref());
    let mut lines = json_subscriber::JsonLayer::new(|| Log::json(io::stdout()));
    lines
        .with_timer("timestamp", tracing_subscriber::fmt::time::SystemTime)
        .with_level("level")
        .with_target("target")
        .with_flattened_event()
        .with_top_level_flattened_span_list();
    let lines = lines.with_filter(level.and(filter_fn(|metadata| is_safe(metadata.target()))));
    // An error means that a subscriber is there already.
    let _ = tracing_subscriber::registry().with(lines).try_init();
}

fn level(text: Option<&str>) -> Targets {
    let chosen = text.filter(|text| !text.is_empty()).and_then(|text| text.parse().ok());
    chosen.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO))
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::filter::LevelFilter;

    use super::{is_safe, level};

    #[test]
    fn the_level_is_info_where_nothing_valid_is_chosen() {
        for text in [None, Some(""), Some("poller=loud")] {
            assert_eq!(level(text).default_level(), Some(LevelFilter::INFO), "{text:?}");
        }
        assert_eq!(level(Some("warn")).default_level(), Some(LevelFilter::WARN));
        let targets: Vec<_> = level(Some("warn,poller=error")).into_iter().collect();
        assert!(targets.contains(&("poller".to_owned(), LevelFilter::ERROR)), "{targets:?}");
    }

    #[test]
    fn the_wire_is_never_shown() {
        assert!(!is_safe("h2::codec::framed_write") && !is_safe("hyper_util::client::legacy::pool"));
        assert!(is_safe("poller") && is_safe("remediation::engine"));
    }
}
