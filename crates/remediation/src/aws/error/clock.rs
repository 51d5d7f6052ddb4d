//! How far this machine's clock is off AWS's, by an answer's date.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};

/// It in a sentence; none where the answer has no date that can be read.
/// <https://www.rfc-editor.org/rfc/rfc9110#field.date>
pub(super) fn off(response: &HttpResponse) -> Option<String> {
    let theirs = DateTimeParser::new().parse_timestamp(response.headers().get("date")?).ok()?;
    Some(sentence(theirs, ambient::now()))
}

fn sentence(theirs: Timestamp, ours: Timestamp) -> String {
    let ahead = ours.duration_since(theirs);
    let way = if ahead < SignedDuration::ZERO { "behind" } else { "ahead of" };
    let off = match ahead.abs() {
        off if off < SignedDuration::from_mins(2) => format!("{} s", off.as_secs()),
        off => format!("{} min", off.as_mins()),
    };
    format!("this machine's clock is {off} {way} AWS's")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_ahead_or_behind() {
        let theirs: Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
        for (ours, said) in [
            ("2026-11-29T12:20:30Z", "20 min ahead of"),
            ("2026-11-29T11:00:00Z", "60 min behind"),
            ("2026-11-29T12:00:07Z", "7 s ahead of"),
        ] {
            assert_eq!(sentence(theirs, ours.parse().unwrap()), format!("this machine's clock is {said} AWS's"));
        }
    }

    #[test]
    fn an_answer_without_a_date_says_nothing() {
        let mut response = HttpResponse::new(403.try_into().unwrap(), aws_smithy_types::body::SdkBody::empty());
        assert_eq!(off(&response), None);
        response.headers_mut().insert("date", "yesterday");
        assert_eq!(off(&response), None);
    }
}
