//! Times for people: in their own zone, and in UTC. JSON has timestamps in UTC.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The time in the reader's zone, and in UTC as CloudTrail and the logs have it.
pub(crate) fn shown(at: Timestamp) -> String {
    in_zone(at, TimeZone::system())
}

/// The time of day in UTC, of what has just been done; the report has all of it.
pub(crate) fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%SZ").to_string()
}

fn in_zone(at: Timestamp, zone: TimeZone) -> String {
    let (here, utc) = (at.to_zoned_datetime(zone), at.to_zoned_datetime(TimeZone::UTC));
    // The date is repeated only where it differs.
    let format = if here.date() == utc.date() { "%H:%M:%SZ" } else { "%Y-%m-%d %H:%M:%SZ" };
    format!("{} ({})", here.strftime("%Y-%m-%d %H:%M:%S %:z"), utc.strftime(format))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_the_zone_of_the_reader_and_in_utc() {
        for (at, zone, expected) in [
            ("2026-01-02T03:04:05Z", "Europe/Berlin", "2026-01-02 04:04:05 +01:00 (03:04:05Z)"),
            ("2026-07-02T03:04:05Z", "Europe/Berlin", "2026-07-02 05:04:05 +02:00 (03:04:05Z)"),
            ("2026-01-02T03:04:05.678Z", "America/New_York", "2026-01-01 22:04:05 -05:00 (2026-01-02 03:04:05Z)"),
            ("2026-01-02T03:04:05Z", "UTC", "2026-01-02 03:04:05 +00:00 (03:04:05Z)"),
        ] {
            assert_eq!(in_zone(at.parse().unwrap(), TimeZone::get(zone).unwrap()), expected);
        }
    }
}
