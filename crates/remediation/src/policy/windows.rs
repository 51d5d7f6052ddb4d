//! When changes may be written: weekly change windows, and freezes.
//!
//! A window is open while the clock on the wall of its time zone says so: an hour that the clock shows twice in autumn is
//! in it twice, and a window that lies wholly in the hour that spring skips is not open that day. What says whether a
//! moment is open is one predicate; the search for the next one asks it of every moment at which the answer can become
//! yes: when a window begins, when the clock of its zone is changed, when a freeze ends.
//!
//! Time zones are the ones that are built in, so that a Lambda, which has none, and every machine say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Span, Timestamp, ToSpan, ZonedDateTime};
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::organization::Applies;
use super::{Places, Policy, Where};
use crate::aws::AccountId;

/// A policy has at most so many windows, and so many freezes.
const MOST: usize = 100;
/// So far ahead the next window is looked for.
const A_YEAR: SignedDuration = SignedDuration::from_hours(366 * 24);
/// Most windows open again within this time, so it is looked at first.
const A_WEEK: SignedDuration = SignedDuration::from_hours(8 * 24);
/// How it begins what it says of a closed window.
const NEXT_WINDOW: &str = "next window";
const NO_WINDOW: &str = "no window within a year";
/// The end of a day, in minutes.
const DAY: u16 = 24 * 60;

/// A weekly time in which changes may be written.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "WindowText")]
pub(super) struct ChangeWindow {
    text: WindowText,
    /// In minutes since midnight; `to` is on the next day where it is not after `from`.
    from: u16,
    to: u16,
    time_zone: TimeZone,
}

/// A weekly time in which changes may be written, where everything that is given applies: one of the rules, one of the
/// accounts, one of the organizational units, all of the account tags. Where windows apply, changes wait for one of them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ChangeWindow")]
pub(super) struct WindowText {
    /// The days of the week on which it begins; every day where none is given.
    #[serde(default)]
    days: BTreeSet<Day>,
    /// When it begins, such as `09:00`.
    #[schemars(regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    from: String,
    /// When it ends, such as `17:00`, or `24:00`. What is before `from` is on the next day.
    #[schemars(regex(pattern = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"))]
    to: String,
    /// The IANA name of the time zone of these times, such as `Europe/Berlin`.
    #[serde(default = "utc")]
    time_zone: String,
    /// IDs of rules.
    #[serde(default)]
    rules: Vec<String>,
    /// IDs of accounts.
    #[serde(default)]
    accounts: Vec<AccountId>,
    /// Organizational units.
    #[serde(default)]
    organizational_units: Vec<String>,
    /// Tags of the account.
    #[serde(default)]
    account_tags: BTreeMap<String, String>,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A time in which nothing is changed.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "FreezeText")]
pub(super) struct Freeze {
    text: FreezeText,
    from: Timestamp,
    /// Not in it any more.
    to: Timestamp,
    time_zone: TimeZone,
}

/// A time in which no change is written, where everything that is given applies, as with change windows.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Freeze")]
pub(super) struct FreezeText {
    /// Its first day, such as `2026-12-20`, or when it begins, such as `2026-12-20T18:00`.
    from: String,
    /// Its last day, or when it ends.
    to: String,
    /// The IANA name of the time zone of these times, such as `Europe/Berlin`.
    #[serde(default = "utc")]
    time_zone: String,
    /// Why.
    reason: String,
    /// IDs of rules.
    #[serde(default)]
    rules: Vec<String>,
    /// IDs of accounts.
    #[serde(default)]
    accounts: Vec<AccountId>,
    /// Organizational units.
    #[serde(default)]
    organizational_units: Vec<String>,
    /// Tags of the account.
    #[serde(default)]
    account_tags: BTreeMap<String, String>,
}

/// That nothing may be changed now, and when it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Why there is a freeze, where there is one.
    pub frozen: Option<String>,
    /// The next moment at which something may be changed, where there is one within a year.
    pub next: Option<ZonedDateTime>,
}

impl Closed {
    /// Whether this is what a report says of changes that wait for a window.
    pub fn is_in(detail: &str) -> bool {
        detail.starts_with(NEXT_WINDOW) || detail.starts_with(NO_WINDOW)
    }
}

/// The windows and freezes of one policy that apply somewhere. What is not known to apply counts where it closes.
struct Calendar<'a> {
    windows: Vec<&'a ChangeWindow>,
    /// Windows of which it cannot be told whether they apply.
    perhaps: Vec<&'a ChangeWindow>,
    freezes: Vec<&'a Freeze>,
}

impl Policy {
    /// Whether the change windows and freezes keep changes of `rule` in `account` waiting at `now`.
    pub fn closed(&self, rule: &str, account: &AccountId, now: Timestamp) -> Option<Closed> {
        let calendars: Vec<_> = self.each().map(|policy| policy.calendar(&self.places, rule, account)).collect();
        if calendars.iter().all(|calendar| calendar.is_open(now)) {
            return None;
        }
        let frozen =
            calendars.iter().find_map(|calendar| calendar.frozen(now)).map(|freeze| freeze.text.reason.clone());
        let next = [A_WEEK, A_YEAR].into_iter().find_map(|ahead| next(&calendars, now, ahead));
        Some(Closed { frozen, next })
    }

    fn calendar(&self, places: &Places, rule: &str, account: &AccountId) -> Calendar<'_> {
        let applies = |to: &Where<'_>| self.applies(to, places, rule, account);
        let (mut windows, mut perhaps) = (Vec::new(), Vec::new());
        for window in &self.change_windows {
            match applies(&window.place()) {
                Applies::No => {}
                Applies::Perhaps(_) => perhaps.push(window),
                Applies::Yes => windows.push(window),
            }
        }
        let freezes = self.freezes.iter().filter(|freeze| applies(&freeze.place()) != Applies::No);
        Calendar { windows, perhaps, freezes: freezes.collect() }
    }

    /// The organizational units that its windows and freezes name.
    pub(super) fn units_of_windows(&self) -> impl Iterator<Item = &String> {
        let windows = self.change_windows.iter().flat_map(|window| &window.text.organizational_units);
        windows.chain(self.freezes.iter().flat_map(|freeze| &freeze.text.organizational_units))
    }

    /// The rules that its windows and freezes name.
    pub(super) fn rules_of_windows(&self) -> impl Iterator<Item = &String> {
        let windows = self.change_windows.iter().flat_map(|window| &window.text.rules);
        windows.chain(self.freezes.iter().flat_map(|freeze| &freeze.text.rules))
    }
}

/// The first moment within `ahead` of `now` at which all calendars are open.
fn next(calendars: &[Calendar<'_>], now: Timestamp, ahead: SignedDuration) -> Option<ZonedDateTime> {
    let until = now.checked_add(ahead).unwrap_or(Timestamp::MAX);
    let mut moments: Vec<_> = calendars.iter().flat_map(|calendar| calendar.moments(now, until)).collect();
    moments.retain(|(at, _)| now < *at && *at <= until);
    moments.sort_by_key(|(at, _)| *at);
    let is_open = |(at, _): &&(Timestamp, &TimeZone)| calendars.iter().all(|calendar| calendar.is_open(*at));
    moments.iter().find(is_open).map(|(at, zone)| at.to_zoned_datetime((*zone).clone()))
}

impl<'a> Calendar<'a> {
    /// Whether something may be changed at a moment, whichever of the windows apply that perhaps do: where there are
    /// windows, in one of them, and in no freeze.
    fn is_open(&self, at: Timestamp) -> bool {
        let is_open = |window: &&ChangeWindow| window.is_open(at);
        let in_window = match &self.windows[..] {
            [] => self.perhaps.iter().all(is_open),
            windows => windows.iter().any(is_open),
        };
        in_window && self.frozen(at).is_none()
    }

    fn frozen(&self, at: Timestamp) -> Option<&'a Freeze> {
        self.freezes.iter().find(|freeze| freeze.from <= at && at < freeze.to).copied()
    }

    /// Every moment from `now` to `until` at which it may become open, each with the time zone in which to tell it.
    fn moments(&self, now: Timestamp, until: Timestamp) -> Vec<(Timestamp, &'a TimeZone)> {
        let mut moments: Vec<_> = self.freezes.iter().map(|freeze| (freeze.to, &freeze.time_zone)).collect();
        for window in self.windows.iter().chain(&self.perhaps) {
            moments.extend(window.begins(now, until).into_iter().map(|at| (at, &window.time_zone)));
        }
        moments
    }
}

impl ChangeWindow {
    fn place(&self) -> Where<'_> {
        let WindowText { rules, accounts, organizational_units, account_tags, .. } = &self.text;
        Where { rules, accounts, organizational_units, account_tags }
    }

    /// Whether the clock of its time zone shows a time in it.
    fn is_open(&self, at: Timestamp) -> bool {
        let local = self.time_zone.to_datetime(at);
        let minute = minutes(local);
        if self.from < self.to {
            return self.begins_on(local.weekday()) && (self.from..self.to).contains(&minute);
        }
        let (today, yesterday) = (local.weekday(), local.weekday().previous());
        (self.begins_on(today) && minute >= self.from) || (self.begins_on(yesterday) && minute < self.to)
    }

    fn begins_on(&self, day: Weekday) -> bool {
        self.text.days.is_empty() || self.text.days.contains(&Day::from(day))
    }

    /// When it may open from `now` to `until`: on each of its days when the clock shows `from`, once or twice, and
    /// whenever the clock is put forward or back.
    fn begins(&self, now: Timestamp, until: Timestamp) -> Vec<Timestamp> {
        let mut moments: Vec<_> =
            self.time_zone.following(now).map(|of| of.timestamp()).take_while(|at| *at <= until).collect();
        let (hour, minute) = (self.from / 60, self.from % 60);
        let last = self.time_zone.to_datetime(until).date();
        let mut day = Some(self.time_zone.to_datetime(now).date());
        while let Some(date) = day.filter(|date| *date <= last) {
            // Both are below 60.
            if self.begins_on(date.weekday()) {
                let from = date.at(i8::try_from(hour).unwrap_or(0), i8::try_from(minute).unwrap_or(0), 0, 0);
                let at = self.time_zone.to_ambiguous_timestamp(from);
                moments.extend([at.earlier(), at.later()].into_iter().flatten());
            }
            day = date.tomorrow().ok();
        }
        moments
    }
}

impl Freeze {
    fn place(&self) -> Where<'_> {
        let FreezeText { rules, accounts, organizational_units, account_tags, .. } = &self.text;
        Where { rules, accounts, organizational_units, account_tags }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.next {
            Some(next) => write!(f, "{NEXT_WINDOW} {next}")?,
            None => f.write_str(NO_WINDOW)?,
        }
        self.frozen.as_ref().map_or(Ok(()), |reason| write!(f, " (a freeze: {reason})"))
    }
}

impl From<Weekday> for Day {
    fn from(day: Weekday) -> Self {
        match day {
            Weekday::Monday => Self::Mon,
            Weekday::Tuesday => Self::Tue,
            Weekday::Wednesday => Self::Wed,
            Weekday::Thursday => Self::Thu,
            Weekday::Friday => Self::Fri,
            Weekday::Saturday => Self::Sat,
            Weekday::Sunday => Self::Sun,
        }
    }
}

impl TryFrom<WindowText> for ChangeWindow {
    type Error = String;

    fn try_from(text: WindowText) -> Result<Self, String> {
        let (from, to) = (minute_of_day(&text.from)?, minute_of_day(&text.to)?);
        if from == DAY {
            return Err(
                "a change window begins at 00:00 at the earliest and at 23:59 at the latest, not at 24:00".into()
            );
        }
        if from == to {
            return Err(format!(
                "a change window begins and ends at {}: for a whole day, give 00:00 and 24:00",
                text.from
            ));
        }
        Ok(Self { from, to, time_zone: zone(&text.time_zone)?, text })
    }
}

impl TryFrom<FreezeText> for Freeze {
    type Error = String;

    fn try_from(text: FreezeText) -> Result<Self, String> {
        if text.reason.trim().is_empty() {
            return Err("a freeze needs a `reason`".into());
        }
        let time_zone = zone(&text.time_zone)?;
        let (from, to) = (moment(&text.from, &time_zone, 0.days())?, moment(&text.to, &time_zone, 1.day())?);
        if to <= from {
            return Err(format!("a freeze ends before it begins: it is from {} to {}", text.from, text.to));
        }
        Ok(Self { from, to, time_zone, text })
    }
}

fn utc() -> String {
    "UTC".into()
}

fn zone(name: &str) -> Result<TimeZone, String> {
    let unknown = |_| format!("there is no time zone `{name}`: give an IANA name, such as Europe/Berlin or UTC");
    TimeZoneDatabase::bundled().get(name).map_err(unknown)
}

/// The minutes of a time such as `09:00`.
fn minute_of_day(text: &str) -> Result<u16, String> {
    let digits =
        |part: &str| part.parse().ok().filter(|_| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()));
    let time = text.split_once(':').and_then(|(hours, minutes)| Some((digits(hours)?, digits(minutes)?)));
    match time {
        Some((hours @ 0..=23, minutes @ 0..=59)) => Ok(hours * 60 + minutes),
        Some((24, 0)) => Ok(DAY),
        _ => Err(format!("`{text}` is no time of a day: give one such as 09:00")),
    }
}

fn minutes(local: DateTime) -> u16 {
    // An hour and a minute are never negative.
    u16::try_from(local.hour()).unwrap_or(0) * 60 + u16::try_from(local.minute()).unwrap_or(0)
}

/// A moment such as `2026-12-20T18:00`, or the beginning of a day such as `2026-12-20`, so many days later.
fn moment(text: &str, zone: &TimeZone, days_later: Span) -> Result<Timestamp, String> {
    let wrong =
        || format!("`{text}` is neither a day, such as 2026-12-20, nor a time of one, such as 2026-12-20T18:00");
    let local = if text.contains('T') {
        // An offset of its own would say something else than the time zone.
        text.parse::<DateTime>().map_err(|_| wrong())?
    } else {
        let date: Date = text.parse().map_err(|_| wrong())?;
        date.checked_add(days_later).map_err(|_| wrong())?.into()
    };
    zone.to_ambiguous_timestamp(local).compatible().map_err(|_| wrong())
}

/// A list of windows or freezes, of which there may be a hundred.
pub(super) fn a_hundred<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let items = Vec::deserialize(deserializer)?;
    let count = items.len();
    if count <= MOST {
        Ok(items)
    } else {
        Err(D::Error::custom(format!("{count} are more than the {MOST} that there can be")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const RULE: &str = "open-door";
    const ONE: &str = "111111111111";
    /// With summer time, with half an hour of it, with clocks that change at midnight, and with a day that was left out.
    const ZONES: [&str; 6] =
        ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Pacific/Apia", "UTC"];

    fn policy(value: &Value) -> Policy {
        Policy::from_json(value.to_string().as_bytes()).unwrap()
    }

    fn refused(value: &Value) -> String {
        Policy::from_json(serde_json::to_string_pretty(value).unwrap().as_bytes()).unwrap_err().to_string()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn closed(policy: &Policy, now: &str) -> Option<String> {
        policy.closed(RULE, &ONE.parse().unwrap(), at(now)).map(|closed| closed.to_string())
    }

    fn says(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn changes_wait_for_the_next_window_and_for_the_end_of_a_freeze() {
        let office = json!({"days": ["mon", "tue", "wed", "thu", "fri"], "from": "09:00", "to": "17:00",
            "time_zone": "Europe/Berlin"});
        let policy = policy(&json!({"change_windows": [office],
            "freezes": [{"from": "2026-12-21", "to": "2027-01-03", "time_zone": "Europe/Berlin", "reason": "holidays"}]}));
        for (now, expected) in [
            ("2026-11-30T08:00:00Z", None),
            ("2026-11-30T15:59:59Z", None),
            ("2026-11-30T16:00:00Z", says("next window 2026-12-01T09:00:00+01:00[Europe/Berlin]")),
            ("2026-11-27T23:00:00Z", says("next window 2026-11-30T09:00:00+01:00[Europe/Berlin]")),
            ("2026-12-18T16:30:00Z", says("next window 2027-01-04T09:00:00+01:00[Europe/Berlin]")),
            ("2026-12-22T09:00:00Z", says("next window 2027-01-04T09:00:00+01:00[Europe/Berlin] (a freeze: holidays)")),
        ] {
            assert_eq!(closed(&policy, now), expected, "{now}");
            assert!(closed(&policy, now).is_none_or(|told| Closed::is_in(&told)));
        }
        assert_eq!(closed(&self::policy(&json!({})), "2026-11-30T16:00:00Z"), None, "none: at any time");
    }

    #[test]
    fn a_window_goes_over_midnight_and_a_freeze_without_one_ends_by_itself() {
        let night = policy(&json!({"change_windows": [{"days": ["sat"], "from": "22:00", "to": "02:00"}]}));
        assert_eq!(closed(&night, "2026-11-29T01:59:00Z"), None, "Sunday night is Saturday's");
        assert_eq!(closed(&night, "2026-11-28T01:59:00Z"), says("next window 2026-11-28T22:00:00+00:00[UTC]"));
        let day = policy(&json!({"change_windows": [{"days": ["sun"], "from": "00:00", "to": "24:00"}]}));
        assert_eq!(closed(&day, "2026-11-29T23:59:59Z"), None);
        assert_eq!(closed(&day, "2026-11-30T00:00:00Z"), says("next window 2026-12-06T00:00:00+00:00[UTC]"));
        let freeze = json!({"freezes": [{"from": "2026-11-29T18:00", "to": "2026-11-29T18:30", "reason": "launch"}]});
        let freeze = policy(&freeze);
        assert_eq!(closed(&freeze, "2026-11-29T17:59:59Z"), None);
        assert_eq!(
            closed(&freeze, "2026-11-29T18:00:00Z"),
            says("next window 2026-11-29T18:30:00+00:00[UTC] (a freeze: launch)")
        );
        let long = policy(&json!({"freezes": [{"from": "2026-01-01", "to": "2099-12-31", "reason": "sold"}]}));
        assert_eq!(closed(&long, "2026-11-29T18:00:00Z"), says("no window within a year (a freeze: sold)"));
    }

    #[test]
    fn what_the_clock_skips_is_in_no_window_and_what_it_shows_twice_is_so_twice() {
        let window = |from: &str, to: &str| {
            policy(
                &json!({"change_windows": [{"days": ["sun"], "from": from, "to": to, "time_zone": "Europe/Berlin"}]}),
            )
        };
        // From 02:00 to 03:00 on 29 March there is nothing.
        let skipped = window("02:00", "03:00");
        assert_eq!(
            closed(&skipped, "2026-03-28T12:00:00Z"),
            says("next window 2026-04-05T02:00:00+02:00[Europe/Berlin]")
        );
        let half = window("02:30", "04:00");
        assert_eq!(closed(&half, "2026-03-28T12:00:00Z"), says("next window 2026-03-29T03:00:00+02:00[Europe/Berlin]"));
        // On 25 October it is 02:30 at 00:30 and at 01:30 UTC.
        let twice = window("02:00", "02:31");
        assert_eq!(closed(&twice, "2026-10-25T00:30:00Z"), None);
        assert_eq!(
            closed(&twice, "2026-10-25T00:31:00Z"),
            says("next window 2026-10-25T02:00:00+01:00[Europe/Berlin]")
        );
        assert_eq!(closed(&twice, "2026-10-25T01:30:00Z"), None);
    }

    #[test]
    fn a_freeze_of_production_stops_nothing_else() {
        let policy = policy(&json!({
            "accounts": {ONE: {"tags": {"env": "prod"}, "organizational_units": ["ou-1"]}},
            "freezes": [
                {"from": "2026-01-01", "to": "2026-12-31", "reason": "r", "account_tags": {"env": "prod"}, "rules": ["a"]},
                {"from": "2026-01-01", "to": "2026-12-31", "reason": "r", "organizational_units": ["ou-1"], "rules": ["b"]}],
            "change_windows": [{"from": "09:00", "to": "10:00", "accounts": ["222222222222"]}]}));
        let is_closed =
            |rule, account: &str| policy.closed(rule, &account.parse().unwrap(), at("2026-06-01T12:00:00Z")).is_some();
        let two = "222222222222";
        assert!(is_closed("a", ONE) && is_closed("b", ONE) && !is_closed("c", ONE));
        assert!(is_closed("a", two), "its window is closed");
        assert!(!is_closed("a", "333333333333"));
        let named: Vec<_> = policy.rules_named().into_iter().map(|(rule, _)| rule).collect();
        assert_eq!(named, ["a", "b"]);
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_line() {
        for (key, entry, says) in [
            (
                "change_windows",
                json!({"from": "09:00", "to": "17:00", "time_zone": "Europe/Berln"}),
                "no time zone `Europe/Berln`",
            ),
            ("change_windows", json!({"from": "09:00", "to": "09:00"}), "begins and ends at 09:00"),
            ("change_windows", json!({"from": "24:00", "to": "09:00"}), "not at 24:00"),
            ("change_windows", json!({"from": "9:00", "to": "10:00"}), "`9:00` is no time of a day"),
            ("change_windows", json!({"from": "09:00", "to": "25:00"}), "`25:00` is no time of a day"),
            ("change_windows", json!({"from": "09:00", "to": "24:01"}), "`24:01` is no time of a day"),
            ("change_windows", json!({"from": "09:00", "to": "10:00", "days": ["mo"]}), "unknown variant `mo`"),
            ("change_windows", json!({"from": "09:00", "to": "10:00", "day": ["mon"]}), "is `days` meant?"),
            ("freezes", json!({"from": "2026-12-24", "to": "2026-12-23", "reason": "r"}), "ends before it begins"),
            (
                "freezes",
                json!({"from": "2026-12-24T10:00", "to": "2026-12-24T10:00", "reason": "r"}),
                "ends before it begins",
            ),
            (
                "freezes",
                json!({"from": "2026-02-30", "to": "2026-12-23", "reason": "r"}),
                "`2026-02-30` is neither a day",
            ),
            (
                "freezes",
                json!({"from": "2026-12-01", "to": "2026-12-23T10:00Z", "reason": "r"}),
                "`2026-12-23T10:00Z` is neither",
            ),
            ("freezes", json!({"from": "2026-12-24", "to": "2026-12-24", "reason": " "}), "needs a `reason`"),
            (
                "freezes",
                json!({"from": "2026-12-24", "to": "2026-12-24", "reason": "r", "time_zone": "Berlin"}),
                "no time zone",
            ),
        ] {
            let error = refused(&json!({ key: [entry] }));
            assert!(error.contains(says) && error.contains(" at line "), "{key}: {error}");
        }
        let many = vec![json!({"from": "09:00", "to": "10:00"}); MOST + 1];
        assert!(refused(&json!({"change_windows": many})).contains("101 are more than the 100"));
    }

    #[test]
    fn no_moment_and_no_number_of_windows_is_too_much() {
        let window = |n: usize| json!({"days": ["mon"], "from": format!("{:02}:{:02}", n % 24, n % 60), "to": "24:00", "time_zone": ZONES[n % 6]});
        let windows: Vec<_> = (0..MOST).map(window).collect();
        let policy = policy(&json!({"change_windows": windows,
            "freezes": [{"from": "0001-01-01", "to": "9998-12-31", "reason": "r"}]}));
        for now in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
            drop(policy.closed(RULE, &ONE.parse().unwrap(), now));
        }
    }

    prop_compose! {
        fn a_window()(
            days in prop::sample::subsequence(vec!["mon", "tue", "wed", "thu", "fri", "sat", "sun"], 1..4),
            from in prop::sample::select(vec![0_u16, 1, 90, 120, 150, 179, 180, 1_380, 1_439]),
            to in prop::sample::select(vec![2_u16, 60, 121, 150, 185, 1_400, 1_440]),
            zone in prop::sample::select(ZONES.to_vec()),
        ) -> Value {
            let time = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
            // No two of the numbers are the same, but these.
            let to = if from == to { 1_440 } else { to };
            json!({"days": days, "from": time(from), "to": time(to), "time_zone": zone})
        }
    }

    prop_compose! {
        fn a_freeze()(start in 0..20_000_i64, minutes in 1..4_000_i64, base in moments()) -> Value {
            let time = |minutes: i64| {
                let at = base.checked_add(SignedDuration::from_mins(minutes - 10_000)).unwrap();
                TimeZone::UTC.to_datetime(at).strftime("%Y-%m-%dT%H:%M").to_string()
            };
            json!({"from": time(start), "to": time(start + minutes), "reason": "r"})
        }
    }

    /// A little before the clocks of one of the zones change, or a day is left out.
    fn moments() -> impl Strategy<Value = Timestamp> {
        prop::sample::select(vec![
            at("2026-03-28T23:00:00Z"),
            at("2026-10-24T21:00:00Z"),
            at("2026-11-01T03:30:00Z"),
            at("2026-04-04T12:00:00Z"),
            at("2026-09-05T22:00:00Z"),
            at("2011-12-30T08:00:00Z"),
        ])
    }

    /// What the clock on the wall says, minute by minute.
    fn is_open_by_the_clock(policies: &[&Value], at: Timestamp) -> bool {
        let names = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
        let minute = |time: &Value| {
            let (hours, minutes) = time.as_str().unwrap().split_once(':').unwrap();
            hours.parse::<u32>().unwrap() * 60 + minutes.parse::<u32>().unwrap()
        };
        let in_window = |window: &Value| {
            let zone = TimeZoneDatabase::bundled().get(window["time_zone"].as_str().unwrap()).unwrap();
            let local = zone.to_datetime(at);
            let now = u32::try_from(local.hour()).unwrap() * 60 + u32::try_from(local.minute()).unwrap();
            let (from, to) = (minute(&window["from"]), minute(&window["to"]));
            let on = |days_ago: usize| {
                let today = usize::try_from(local.weekday().to_sunday_zero_offset()).unwrap();
                window["days"].as_array().unwrap().contains(&json!(names[(today + 7 - days_ago) % 7]))
            };
            // The minutes since the midnight at which its day began, today or yesterday.
            let (end, today, since_yesterday) = (if to > from { to } else { to + 1_440 }, now, now + 1_440);
            (on(0) && (from..end).contains(&today)) || (on(1) && (from..end).contains(&since_yesterday))
        };
        let in_freeze = |freeze: &Value| {
            let time = |key: &str| self::at(&format!("{}:00Z", freeze[key].as_str().unwrap()));
            (time("from")..time("to")).contains(&at)
        };
        policies.iter().all(|policy| {
            let windows = policy["change_windows"].as_array().unwrap();
            (windows.is_empty() || windows.iter().any(in_window))
                && !policy["freezes"].as_array().unwrap().iter().any(in_freeze)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn the_next_window_is_the_first_minute_that_the_clock_lets_through(
            windows in prop::collection::vec(a_window(), 0..3),
            own in prop::collection::vec(a_window(), 0..2),
            freezes in prop::collection::vec(a_freeze(), 0..3),
            (base, later) in (moments(), 0..600_i64),
        ) {
            let now = base.checked_add(SignedDuration::from_mins(later)).unwrap();
            let (here, own) = (json!({"change_windows": windows, "freezes": freezes}), json!({"change_windows": own, "freezes": []}));
            let both = policy(&here).narrowed_by(&std::sync::Arc::new(policy(&own)), &super::super::SettingDefaults::new()).unwrap();
            let found = both.closed(RULE, &ONE.parse().unwrap(), now);
            // Two weeks have each window twice, and each change of a clock.
            let mut minutes = (0..20_160_i64).map(|minute| now.checked_add(SignedDuration::from_mins(minute)).unwrap());
            let expected = minutes.find(|at| is_open_by_the_clock(&[&here, &own], *at));
            match (found, expected) {
                (None, expected) => prop_assert_eq!(expected, Some(now)),
                (Some(Closed { next: Some(next), .. }), Some(expected)) => prop_assert_eq!(next.timestamp(), expected),
                (Some(Closed { next, .. }), expected) => {
                    prop_assert_eq!(expected, None);
                    prop_assert!(next.is_none_or(|next| next.timestamp() >= now.checked_add(SignedDuration::from_mins(20_160)).unwrap()));
                }
            }
        }
    }
}
