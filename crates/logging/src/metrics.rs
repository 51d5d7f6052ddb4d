//! Metrics by CloudWatch's embedded metric format (EMF): one line of the log, a JSON object, of which CloudWatch makes
//! metrics, and whose other fields Logs Insights can ask for.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
//!
//! The line goes to the standard output as it is, beside the lines of `tracing`, and CloudWatch Logs knows it by `_aws`. A
//! function of an OS-only runtime writes its lines itself, whatever the log format of the function is.
//! <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html>
//!
//! Each metric is paid for by its name and dimensions, so there are three kinds: of the rule, of the whole deployment, and
//! of both. Alarms watch those of the deployment, so that their number does not grow with the rules.

use std::io::{self, Write};

use escape::Log;
use serde_json::{Map, Value, json};

/// The dimension of the metrics of a rule.
const RULE: &str = "Rule";

/// What a metric is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// The rule: it has the dimension `Rule`.
    Rule,
    /// The whole deployment: it has no dimension.
    Deployment,
    /// One of each, by the same name.
    Both,
}

impl Of {
    const ALL: [Self; 3] = [Self::Rule, Self::Deployment, Self::Both];

    /// Its sets of dimensions: each makes a metric of its own.
    fn dimensions(self) -> Value {
        match self {
            Self::Rule => json!([[RULE]]),
            Self::Deployment => json!([[]]),
            Self::Both => json!([[RULE], []]),
        }
    }
}

/// What a metric counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Seconds.
    Seconds,
}

impl Unit {
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html>
    fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Seconds => "Seconds",
        }
    }
}

/// The metrics and the fields of one invocation.
#[derive(Debug)]
pub struct Line {
    rule: String,
    metrics: Vec<(Of, &'static str, Unit)>,
    members: Map<String, Value>,
}

impl Line {
    /// A line about the rule with the ID `rule`.
    pub fn of(rule: &str) -> Self {
        Self { rule: rule.to_owned(), metrics: Vec::new(), members: Map::new() }
    }

    /// Adds a metric.
    #[must_use]
    pub fn metric(mut self, of: Of, name: &'static str, unit: Unit, value: u64) -> Self {
        self.metrics.push((of, name, unit));
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a field for Logs Insights, which is no metric and costs nothing more.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// The document, with its metrics in `namespace`, at a time in milliseconds since 1970.
    pub fn document(&self, namespace: &str, at: i64) -> Value {
        let directive = |of: Of| {
            let metrics: Vec<_> = self.metrics.iter().filter(|(of_metric, ..)| *of_metric == of).collect();
            let metrics: Vec<_> =
                metrics.iter().map(|(_, name, unit)| json!({ "Name": name, "Unit": unit.name() })).collect();
            let directive = json!({"Namespace": namespace, "Dimensions": of.dimensions(), "Metrics": metrics});
            (!metrics.is_empty()).then_some(directive)
        };
        let directives: Vec<_> = Of::ALL.into_iter().filter_map(directive).collect();
        let mut document = Map::new();
        document.insert("_aws".into(), json!({"Timestamp": at, "CloudWatchMetrics": directives}));
        // As in every other line of the log.
        document.insert("message".into(), "metrics".into());
        document.insert("rule".into(), self.rule.as_str().into());
        document.insert(RULE.into(), self.rule.as_str().into());
        document.extend(self.members.clone());
        document.into()
    }
}

/// Where the lines of a deployment go.
#[derive(Debug, Clone)]
pub struct Metrics {
    namespace: String,
}

impl Metrics {
    /// Those that the variable `METRICS_NAMESPACE` names the namespace of. None where it is not set: then nothing is
    /// written.
    pub fn from_env() -> Option<Self> {
        std::env::var("METRICS_NAMESPACE").ok().map(|namespace| Self { namespace })
    }

    /// Writes a line to the standard output, at a time in milliseconds since 1970. That it cannot be written is no reason
    /// to fail an invocation, and there is nowhere to say it.
    pub fn write(&self, line: &Line, at: i64) {
        let _ = writeln!(Log::json(io::stdout()), "{}", line.document(&self.namespace, at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        Line::of("open-door")
            .metric(Of::Both, "Failed", Unit::Count, 3)
            .metric(Of::Rule, "OldestOpen", Unit::Seconds, 7200)
            .metric(Of::Rule, "Fixed", Unit::Count, 0)
            .metric(Of::Deployment, "Listed", Unit::Count, 5)
            .field("run", "r\u{1b}")
            .field("outcomes", json!({"failed": 3}))
    }

    #[test]
    fn each_metric_is_of_the_rule_of_the_deployment_or_of_both() {
        let expected = json!({
            "_aws": {"Timestamp": 1_700_000_000_000_i64, "CloudWatchMetrics": [
                {"Namespace": "n", "Dimensions": [["Rule"]], "Metrics": [
                    {"Name": "OldestOpen", "Unit": "Seconds"}, {"Name": "Fixed", "Unit": "Count"}]},
                {"Namespace": "n", "Dimensions": [[]], "Metrics": [{"Name": "Listed", "Unit": "Count"}]},
                {"Namespace": "n", "Dimensions": [["Rule"], []], "Metrics": [{"Name": "Failed", "Unit": "Count"}]},
            ]},
            "message": "metrics", "rule": "open-door", "Rule": "open-door", "run": "r\u{1b}", "outcomes": {"failed": 3},
            "Failed": 3, "OldestOpen": 7200, "Fixed": 0, "Listed": 5,
        });
        assert_eq!(line().document("n", 1_700_000_000_000), expected);
    }

    #[test]
    fn a_directive_without_metrics_is_left_out() {
        let document = Line::of("r").metric(Of::Deployment, "Listed", Unit::Count, 1).document("n", 0);
        assert_eq!(document["_aws"]["CloudWatchMetrics"].as_array().unwrap().len(), 1, "{document}");
    }

    /// As CloudWatch asks: no data before or after the object, and one line an event.
    #[test]
    fn what_is_written_is_one_line_and_stays_the_same_document() {
        let mut written = Vec::new();
        writeln!(Log::json(&mut written), "{}", line().document("n", 1)).unwrap();
        let text = String::from_utf8(written).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.starts_with("{\"_aws\":{") && text.ends_with("}\n") && !text.contains('\u{1b}'), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), line().document("n", 1));
    }
}
