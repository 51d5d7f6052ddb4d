//! What was found, in numbers: all that any output prints.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use remediation::records::ScanVerdict;
use serde::Serialize;

use crate::history::Scope;
use crate::life::{Fix, Life, State};

/// The version of the format of `--json`.
const SCHEMA: u32 = 1;

/// How many findings stand how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All.
    pub findings: usize,
    /// [`State::Open`].
    pub open: usize,
    /// [`State::Held`].
    pub held: usize,
    /// [`State::Failed`].
    pub failed: usize,
    /// [`State::Fixed`].
    pub fixed: usize,
    /// [`State::Undone`].
    pub undone: usize,
    /// [`State::Exempt`].
    pub exempt: usize,
    /// [`State::Closed`].
    pub closed: usize,
}

impl Counts {
    /// How many stand so.
    pub fn of(&self, state: State) -> usize {
        match state {
            State::Open => self.open,
            State::Held => self.held,
            State::Failed => self.failed,
            State::Fixed => self.fixed,
            State::Undone => self.undone,
            State::Exempt => self.exempt,
            State::Closed => self.closed,
        }
    }

    /// How many need somebody yet.
    pub fn unsolved(&self) -> usize {
        self.open.saturating_add(self.held).saturating_add(self.failed)
    }

    fn count(&mut self, state: State) {
        let of = match state {
            State::Open => &mut self.open,
            State::Held => &mut self.held,
            State::Failed => &mut self.failed,
            State::Fixed => &mut self.fixed,
            State::Undone => &mut self.undone,
            State::Exempt => &mut self.exempt,
            State::Closed => &mut self.closed,
        };
        *of = of.saturating_add(1);
        self.findings = self.findings.saturating_add(1);
    }
}

/// How long fixes took, in seconds, by the nearest rank: each number is that of some fix.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Times {
    /// The median; none without a fix.
    pub median: Option<i64>,
    /// So long at most took 95 of 100.
    pub p95: Option<i64>,
}

impl Times {
    fn of(mut seconds: Vec<i64>) -> Self {
        seconds.sort_unstable();
        // The smallest number that so many of a hundred do not exceed
        let rank = |percent: usize| {
            let place = seconds.len().saturating_mul(percent).div_ceil(100).checked_sub(1)?;
            seconds.get(place).copied()
        };
        Self { median: rank(50), p95: rank(95) }
    }
}

/// Counts, and how long fixes took.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Numbers {
    /// How many findings stand how.
    #[serde(flatten)]
    pub counts: Counts,
    /// How many fixes were proved; one finding can have several.
    pub fixes: usize,
    /// Findings whose fix Netskope has confirmed.
    pub confirmed: usize,
    /// Findings whose fix it contests.
    pub contested: usize,
    /// Seconds from the first sight, by Netskope or else by us, to the fix.
    pub first_seen_to_fixed: Times,
    /// Seconds from our own first sight to the fix.
    pub found_to_fixed: Times,
}

impl Numbers {
    fn of<'a>(lives: impl IntoIterator<Item = &'a Life>) -> Self {
        let (mut counts, mut fixes, mut confirmed, mut contested) = (Counts::default(), Vec::new(), 0, 0);
        for life in lives {
            counts.count(life.state);
            match life.closure.map(|closure| closure.verdict) {
                Some(ScanVerdict::Confirmed) => confirmed += 1,
                Some(ScanVerdict::Contested) => contested += 1,
                None => {}
            }
            fixes.extend(&life.fixes);
        }
        let times = |of: fn(&Fix) -> i64| Times::of(fixes.iter().copied().map(of).collect());
        Self {
            counts,
            fixes: fixes.len(),
            confirmed,
            contested,
            first_seen_to_fixed: times(Fix::seconds_since_first_seen),
            found_to_fixed: times(Fix::seconds_since_found),
        }
    }
}

/// The numbers of a rule or of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its ID.
    pub id: String,
    /// Its numbers.
    #[serde(flatten)]
    pub numbers: Numbers,
}

/// A day, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Day {
    /// Which.
    pub day: Date,
    /// How many findings we found on it.
    pub found: usize,
    /// How many fixes were proved on it.
    pub fixed: usize,
    /// How many findings' fixes were taken back on it.
    pub undone: usize,
    /// How many stood open at its end.
    pub open_at_end: usize,
    /// How many were held.
    pub held_at_end: usize,
    /// How many had failed.
    pub failed_at_end: usize,
}

/// What was found, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The version of the format.
    pub schema: u32,
    /// When it was made.
    pub made: Timestamp,
    /// What it is about.
    #[serde(flatten)]
    pub scope: Scope,
    /// All together.
    pub totals: Numbers,
    /// By rule.
    pub by_rule: Vec<Group>,
    /// By account.
    pub by_account: Vec<Group>,
    /// Day by day.
    pub days: Vec<Day>,
    /// What could not be read: it is in none of the numbers.
    pub problems: Vec<String>,
    /// Every finding.
    pub findings: Vec<Life>,
}

impl Summary {
    pub(crate) fn of(scope: Scope, made: Timestamp, findings: Vec<Life>, problems: Vec<String>) -> Self {
        Self {
            schema: SCHEMA,
            made,
            totals: Numbers::of(&findings),
            by_rule: groups(&findings, |life| &life.rule),
            by_account: groups(&findings, |life| life.account.as_ref()),
            days: days(&scope, &findings),
            scope,
            problems,
            findings,
        }
    }
}

fn groups<'a>(lives: &'a [Life], id: impl Fn(&'a Life) -> &'a str) -> Vec<Group> {
    let mut groups: BTreeMap<&str, Vec<&Life>> = BTreeMap::new();
    for life in lives {
        groups.entry(id(life)).or_default().push(life);
    }
    groups.into_iter().map(|(id, lives)| Group { id: id.to_owned(), numbers: Numbers::of(lives) }).collect()
}

/// The days of the scope. What was before it counts on none of them, and what came after it on the last.
fn days(scope: &Scope, lives: &[Life]) -> Vec<Day> {
    let empty = |day| Day { day, found: 0, fixed: 0, undone: 0, open_at_end: 0, held_at_end: 0, failed_at_end: 0 };
    let mut days: Vec<_> =
        scope.from.series(jiff::Span::new().days(1)).take_while(|day| *day <= scope.to).map(empty).collect();
    let place = |at: Timestamp| {
        let day = at.to_zoned_datetime(TimeZone::UTC).date();
        let number = scope.from.until(day.min(scope.to)).ok()?.get_days();
        usize::try_from(number).ok()
    };
    for life in lives {
        if let Some(day) = place(life.found).and_then(|place| days.get_mut(place)) {
            day.found += 1;
        }
        for fix in &life.fixes {
            if let Some(day) = place(fix.fixed).and_then(|place| days.get_mut(place)) {
                day.fixed += 1;
            }
        }
        for (number, step) in life.steps.iter().enumerate() {
            let Some(from) = place(step.at) else { continue };
            let before = number.checked_sub(1).and_then(|before| life.steps.get(before));
            if step.state == State::Undone
                && before.is_none_or(|before| before.state != State::Undone)
                && let Some(day) = days.get_mut(from)
            {
                day.undone += 1;
            }
            // It stands so at the end of each day until the day of the next step.
            let to = life.steps.get(number + 1).map_or(days.len(), |next| place(next.at).unwrap_or(from));
            for day in days.get_mut(from..to).into_iter().flatten() {
                match step.state {
                    State::Open => day.open_at_end += 1,
                    State::Held => day.held_at_end += 1,
                    State::Failed => day.failed_at_end += 1,
                    _ => {}
                }
            }
        }
    }
    days
}

/// A duration by its two largest units, as the page's script writes it.
pub fn duration(seconds: i64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds % 86_400 / 3_600, seconds % 3_600 / 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_told_by_its_two_largest_units() {
        for (seconds, expected) in
            [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3_599, "59 min"), (3_600, "1 h 0 min"), (90_000, "1 d 1 h")]
        {
            assert_eq!(duration(seconds), expected);
        }
    }
}
