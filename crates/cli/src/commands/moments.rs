//! Times and lengths of time, as arguments have them.

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

use crate::error::Error;

/// When something ends: a time to come, or one after so long.
pub(crate) fn until(text: &str) -> Result<Timestamp, Error> {
    let (now, no_time) = (ambient::now(), || Error::Until(text.to_owned()));
    let at = match text.parse::<Timestamp>() {
        Ok(at) => at,
        Err(_) => now.checked_add(length(text).ok_or_else(no_time)?).map_err(|_| no_time())?,
    };
    if at <= now { Err(Error::UntilPast(text.to_owned())) } else { Ok(at) }
}

/// How long something has been so.
pub(crate) fn age(text: &str) -> Result<SignedDuration, Error> {
    let is_one = |length: &SignedDuration| length.is_positive();
    length(text).filter(is_one).ok_or_else(|| Error::Age(text.to_owned()))
}

fn length(text: &str) -> Option<SignedDuration> {
    text.parse::<Span>().ok()?.to_duration(SpanRelativeTo::days_are_24_hours()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTHS: [(&str, i64); 5] =
        [("4h", 14_400), ("2d", 172_800), ("90 minutes", 5_400), ("PT1H", 3_600), ("1w", 604_800)];

    #[test]
    fn something_ends_at_a_time_or_after_a_duration() {
        for (text, seconds) in LENGTHS {
            let from_now = until(text).unwrap().duration_since(ambient::now());
            assert!((from_now - SignedDuration::from_secs(seconds)).abs() < SignedDuration::from_secs(10), "{text}");
            assert_eq!(age(text).unwrap(), SignedDuration::from_secs(seconds));
        }
        assert_eq!(until("2999-01-02T08:00+01:00").unwrap(), "2999-01-02T07:00:00Z".parse().unwrap());
    }

    #[test]
    fn what_is_over_or_is_no_time_is_refused_with_what_to_give() {
        for text in ["2020-01-01T00:00:00Z", "-4h", "0s"] {
            let error = until(text).unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")) && error.contains("is over"), "{error}");
        }
        for text in ["", "tomorrow", "4", "2999-01-01T00:00:00", "1mo", "99999999999h"] {
            let error = until(text).unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")) && error.contains("such as 4h"), "{error}");
        }
        for text in ["", "yesterday", "-4h", "0s", "1mo", "2020-01-01T00:00:00Z"] {
            let error = age(text).unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")) && error.contains("such as 4h"), "{error}");
        }
    }
}
