//! The findings as the page's script reads them: columns of numbers, and each text once.

use std::collections::HashMap;

use escape::escaped;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use remediation::records::ScanVerdict;
use serde::Serialize;

use crate::life::{Closure, Life, State, Step};
use crate::summary::Summary;

/// Everything. A number of a text is its place in `texts`, 0 where there is none; one of texts, its place in `lists`; a
/// time is in seconds after `zero`, and null where there is none.
#[derive(Default, Serialize)]
struct Data {
    zero: i64,
    states: Vec<&'static str>,
    texts: Vec<String>,
    lists: Vec<Vec<u32>>,
    /// Who approved: by, stored by, when, why.
    people: Vec<Person>,
    life: Lives,
    step: Steps,
}

type Person = (u32, u32, Option<i64>, u32);

#[derive(Default, Serialize)]
struct Lives {
    rule: Vec<u32>,
    control: Vec<u32>,
    account: Vec<u32>,
    region: Vec<u32>,
    resource: Vec<u32>,
    arn: Vec<u32>,
    state: Vec<usize>,
    seen: Vec<Option<i64>>,
    found: Vec<Option<i64>>,
    listed: Vec<Option<i64>>,
    fixed: Vec<Option<i64>>,
    /// Seconds from the first sight to the last fix.
    took: Vec<Option<i64>>,
    waits: Vec<Option<i64>>,
    fought: Vec<Option<i64>>,
    /// What Netskope says of its fix, as the steps' `says`.
    says: Vec<u8>,
    /// The place in `people` and one, or 0.
    approved: Vec<usize>,
    /// The place of its first step.
    steps: Vec<usize>,
}

#[derive(Default, Serialize)]
struct Steps {
    at: Vec<Option<i64>>,
    /// Seconds to the last of them.
    more: Vec<i64>,
    times: Vec<u32>,
    outcome: Vec<u32>,
    undo: Vec<u8>,
    detail: Vec<u32>,
    notes: Vec<u32>,
    changes: Vec<u32>,
    written: Vec<usize>,
    proved: Vec<Option<i64>>,
    actions: Vec<u32>,
    approver: Vec<usize>,
    plan: Vec<u32>,
    report: Vec<u32>,
    /// What Netskope says of a fix: 1 where it is confirmed, 2 where it is contested, else 0; and when it scanned it.
    says: Vec<u8>,
    scanned: Vec<Option<i64>>,
}

/// The data of a page that is made.
#[derive(Default)]
struct Making {
    data: Data,
    texts: HashMap<String, u32>,
    lists: HashMap<Vec<u32>, u32>,
    people: HashMap<Person, usize>,
}

/// The data as JSON that can stand in a `script` element: none of its letters ends or begins anything there.
/// <https://html.spec.whatwg.org/multipage/scripting.html#restrictions-for-contents-of-script-elements>
pub(super) fn json(summary: &Summary) -> serde_json::Result<String> {
    let zero = summary.scope.from.to_zoned_datetime(TimeZone::UTC).map_or(0, |day| day.timestamp().as_second());
    let mut making = Making::default();
    making.data.zero = zero;
    making.data.states = State::ALL.map(State::word).into();
    // The first of each stands for none.
    making.text("");
    making.list(&[]);
    for life in &summary.findings {
        making.life(life);
    }
    Ok(for_script(&serde_json::to_string(&making.data)?))
}

/// In JSON these letters are in strings alone, where an escape means the same.
fn for_script(json: &str) -> String {
    json.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
}

impl Making {
    fn life(&mut self, life: &Life) {
        let approved = life.approved.as_ref().map_or(0, |approver| self.person(approver));
        let [rule, control, account, region, resource] =
            [&life.rule, &life.control, life.account.as_ref(), life.region.as_ref(), &life.resource]
                .map(|text: &str| self.text(text));
        let arn = life.arn.as_ref().map_or(0, |arn| self.text(arn));
        let time = |at: Option<Timestamp>| self.data.time(at);
        let fix = life.fixes.last();
        let (seen, found, listed) = (time(life.first_seen), time(Some(life.found)), time(Some(life.last_listed)));
        let (fixed, waits) = (time(fix.map(|fix| fix.fixed)), time(life.waiting.as_ref().map(|wait| wait.since)));
        let fought = time(life.fought_over_since);
        let (first, of) = (self.data.step.at.len(), &mut self.data.life);
        of.rule.push(rule);
        of.control.push(control);
        of.account.push(account);
        of.region.push(region);
        of.resource.push(resource);
        of.arn.push(arn);
        of.state.push(State::ALL.iter().position(|state| *state == life.state).unwrap_or_default());
        of.seen.push(seen);
        of.found.push(found);
        of.listed.push(listed);
        of.fixed.push(fixed);
        of.took.push(fix.map(|fix| fix.seconds_since_first_seen()));
        of.waits.push(waits);
        of.fought.push(fought);
        of.says.push(says(life.closure));
        of.approved.push(approved);
        of.steps.push(first);
        for step in &life.steps {
            self.step(step);
        }
    }

    fn step(&mut self, step: &Step) {
        let outcome = step.outcome.map_or(0, |outcome| self.text(&outcome.to_string()));
        let detail = step.detail.as_ref().map_or(0, |detail| self.text(detail));
        let (notes, changes) = (self.list(&step.notes), self.list(&step.changes));
        let actions = step.proof.as_ref().map_or(0, |proof| self.list(&proof.actions));
        let approver = step.approver.as_ref().map_or(0, |approver| self.person(approver));
        let [plan, report] = [&step.plan, &step.report].map(|key| key.as_ref().map_or(0, |key| self.text(key)));
        let (at, proved) = (self.data.time(Some(step.at)), self.data.time(step.proof.as_ref().map(|proof| proof.at)));
        let scanned = self.data.time(step.closure.map(|closure| closure.scanned));
        let of = &mut self.data.step;
        of.at.push(at);
        of.more.push(step.until.duration_since(step.at).as_secs());
        of.times.push(step.times);
        of.outcome.push(outcome);
        of.undo.push(u8::from(step.undo));
        of.detail.push(detail);
        of.notes.push(notes);
        of.changes.push(changes);
        of.written.push(step.written);
        of.proved.push(proved);
        of.actions.push(actions);
        of.approver.push(approver);
        of.plan.push(plan);
        of.report.push(report);
        of.says.push(says(step.closure));
        of.scanned.push(scanned);
    }

    /// The number of a text, as a person is shown it.
    fn text(&mut self, text: &str) -> u32 {
        if let Some(number) = self.texts.get(text) {
            return *number;
        }
        let number = number(self.data.texts.len());
        self.data.texts.push(escaped(text));
        self.texts.insert(text.to_owned(), number);
        number
    }

    fn list(&mut self, texts: &[String]) -> u32 {
        let list: Vec<_> = texts.iter().map(|text| self.text(text)).collect();
        if let Some(number) = self.lists.get(&list) {
            return *number;
        }
        let number = number(self.data.lists.len());
        self.data.lists.push(list.clone());
        self.lists.insert(list, number);
        number
    }

    fn person(&mut self, approver: &crate::life::Approver) -> usize {
        let stored_by = approver.stored_by.as_ref().map_or(0, |by| self.text(by));
        let (by, reason) = (self.text(&approver.by), self.text(&approver.reason));
        let person = (by, stored_by, self.data.time(Some(approver.at)), reason);
        let people = &mut self.data.people;
        *self.people.entry(person).or_insert_with(|| {
            people.push(person);
            people.len()
        })
    }
}

impl Data {
    fn time(&self, at: Option<Timestamp>) -> Option<i64> {
        at.map(|at| at.as_second().saturating_sub(self.zero))
    }
}

fn says(closure: Option<Closure>) -> u8 {
    match closure.map(|closure| closure.verdict) {
        None => 0,
        Some(ScanVerdict::Confirmed) => 1,
        Some(ScanVerdict::Contested) => 2,
    }
}

/// Records hold fewer texts than a number of 32 bits counts: memory ends before.
fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_letter_of_the_data_ends_the_element_that_it_stands_in() {
        let text = "</script><!-- & \u{202e}x";
        let json = for_script(&serde_json::to_string(text).unwrap());
        assert!(!json.contains(['<', '>', '&']), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    #[test]
    fn a_text_is_kept_once_and_as_it_is_shown() {
        let mut making = Making::default();
        assert_eq!([making.text(""), making.text("a\u{202e}b"), making.text("c")], [0, 1, 2]);
        assert_eq!(making.text("a\u{202e}b"), 1);
        assert_eq!(making.data.texts, ["", "a\\u{202e}b", "c"]);
        let lists = [vec![], vec!["c".to_owned()], vec!["c".to_owned()], vec!["d".to_owned()]];
        assert_eq!(lists.map(|list| making.list(&list)), [0, 1, 1, 2]);
    }
}
