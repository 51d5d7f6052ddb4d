//! The metrics of a poll. Only one that read every list to its end and wrote every finding counts as whole, so that a dead
//! token, or a tenant that answers with errors, never looks like a tenant in which there is nothing to fix.

use jiff::Timestamp;
use logging::{Line, Of, Unit};
use remediation::Traffic;
use serde_json::json;

use crate::{Answer, PollError};

/// When a poll began, and what had been asked of AWS by then.
#[derive(Debug)]
pub(crate) struct Began {
    at: Timestamp,
    before: Traffic,
}

impl Began {
    pub(crate) fn now() -> Self {
        Self { at: ambient::now(), before: Traffic::now() }
    }

    /// The line of a poll for `rule` that ends now. None where there was nothing to poll for.
    pub(crate) fn line(&self, rule: &str, polled: &Result<Answer, PollError>) -> Option<Line> {
        let is_whole = match polled {
            // The lists are complete, and the findings are written.
            Ok(_) | Err(PollError::Organization(_)) => true,
            Err(PollError::Event(_)) => return None,
            Err(_) => false,
        };
        let Traffic { requests, throttled } = Traffic::now().since(self.before);
        let seconds = ambient::now().duration_since(self.at).as_secs();
        let line = Line::of(rule)
            .metric(Of::Both, "WholePolls", Unit::Count, u64::from(is_whole))
            .metric(Of::Rule, "Throttles", Unit::Count, throttled)
            .field("requests", requests)
            .field("seconds", seconds)
            .field("succeeded", polled.is_ok());
        let Ok(answer) = polled else { return Some(line) };
        let line = line
            .metric(Of::Rule, "Findings", Unit::Count, answer.kept as u64)
            // Of every region: whether the tenant lists anything at all.
            .metric(Of::Deployment, "Listed", Unit::Count, answer.listed() as u64)
            .field("run", answer.run.to_string())
            .field("batches", answer.batches)
            .field("under_way", answer.under_way)
            .field("fixes_waiting", answer.closures.waiting)
            .field("fixes_passed", answer.closures.passed)
            .field("rescan", json!(answer.closures.rescan))
            .field("invalid", answer.invalid);
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use netskope::{Filters, Skipped};
    use remediation::RunId;
    use serde_json::Value;

    use super::*;
    use crate::EventError;

    fn line(polled: &Result<Answer, PollError>) -> Option<Value> {
        Began::now().line("open-door", polled).map(|line| line.document("n", 0))
    }

    #[test]
    fn a_whole_poll_says_what_is_listed_in_all_regions_and_what_of_it_is_handed_on() {
        let skipped = Skipped { muted: 1, other_rules: 20, ..Skipped::default() };
        let answer = Answer::new("open-door", RunId::start(), Filters::default());
        let document = line(&Ok(Answer { received: 27, kept: 2, other_regions: 4, skipped, ..answer })).unwrap();
        let values = ["WholePolls", "Findings", "Listed", "succeeded"].map(|name| document[name].to_string());
        // Rows of other rules than was asked for are not of this list.
        assert_eq!(values, ["1", "2", "7", "true"]);
    }

    #[test]
    fn a_poll_that_failed_is_not_whole_and_says_nothing_of_how_much_there_is() {
        let document = line(&Err(PollError::Incomplete(vec!["why".into()]))).unwrap();
        assert_eq!((&document["WholePolls"], &document["succeeded"]), (&0.into(), &false.into()));
        assert!(document.get("Findings").is_none() && document.get("Listed").is_none(), "{document}");
    }

    #[test]
    fn who_asks_for_a_rule_that_is_none_makes_no_metric() {
        let unknown = EventError::UnknownRule { rule: "r".into(), known: String::new() };
        assert!(line(&Err(unknown.into())).is_none());
    }
}
