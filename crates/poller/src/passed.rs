//! What Netskope lists as Passed, asked for only where a fix waits for that: by its account and control, in few requests.
//!
//! The rule's Lambda says which fixes wait; that is believed only as a question. A row is an answer where it names the
//! finding of such a fix in the same words, and was scanned after the fix. Answers are handed on in batches of their own,
//! in lines that ask for no fix. A finding that this poll still lists as Failed has none: by another profile it may pass.
//! That something cannot be asked fails no poll: the next one asks again.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use netskope::{Client, Violation};
use remediation::records::{AwaitedClosure, AwaitedClosures, is_after_fix};
use remediation::{AccountId, Batch, BatchId, Finding, Regions, RunId};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::event::Polled;
use crate::poll::{Moment, own_region};
use crate::rescan::newest_fix;
use crate::{Limits, PollError, Poller, Rescan};

/// What was asked about fixes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Passed {
    /// How many findings were fixed, are not listed as Failed, and wait.
    pub waiting: usize,
    /// Requests for what has passed.
    pub requests: usize,
    /// How many of them have passed since, and were handed on.
    pub passed: usize,
    /// Whether a rescan was asked for.
    pub rescan: Rescan,
}

/// The fixes of one account's findings of one control that wait, by region and resource.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Question {
    control: String,
    account: AccountId,
    waiting: BTreeMap<(String, String), Timestamp>,
}

/// What is asked: of the controls of the rule alone, and of what has waited for no longer than the limit.
fn questions(
    awaited: &AwaitedClosures,
    controls: impl Iterator<Item = String>,
    limits: Limits,
    now: Timestamp,
    is_listed: impl Fn(&Finding) -> bool,
) -> Vec<Question> {
    let since = since(limits, now);
    let mut questions = BTreeMap::<(String, AccountId), Question>::new();
    for control in controls {
        for awaited in awaited.of(&control).iter().filter(|of| of.fixed >= since && of.fixed <= now) {
            let AwaitedClosure { account, region, resource, fixed } = awaited.clone();
            if is_listed(&finding(&control, &account, region.clone(), &resource, None)) {
                continue;
            }
            let new = || Question { control: control.clone(), account: account.clone(), waiting: BTreeMap::new() };
            let question = questions.entry((control.clone(), account.clone())).or_insert_with(new);
            question.waiting.insert((region.to_string(), resource), fixed);
        }
    }
    questions.into_values().collect()
}

/// What was fixed before is waited for no more.
fn since(limits: Limits, now: Timestamp) -> Timestamp {
    now.checked_sub(SignedDuration::from_hours(24 * i64::from(limits.passed_days))).unwrap_or(Timestamp::MIN)
}

/// In another order at each poll, so that none is always the last, for which no request is left.
fn shuffle(questions: &mut [Question], run: RunId) {
    questions.sort_by_cached_key(|question| {
        Sha256::digest(format!("{run} {} {}", question.account, question.control)).to_vec()
    });
}

impl Question {
    /// The answer that a row is; then it is asked no more.
    fn answer(&mut self, row: Violation, regions: &Regions, now: Timestamp) -> Option<Finding> {
        let region = own_region(regions, &row.region)?;
        let account: AccountId = row.account_id.parse().ok()?;
        let (scanned, name) = (row.last_scan_time?, (region.to_string(), row.resource));
        let fixed = *self.waiting.get(&name)?;
        if account != self.account || !is_after_fix(scanned, fixed, now) {
            return None;
        }
        self.waiting.remove(&name);
        Some(finding(&self.control, &account, region, &name.1, Some(scanned)))
    }
}

fn finding(
    control: &str,
    account: &AccountId,
    region: remediation::Region,
    resource: &str,
    last_scanned: Option<Timestamp>,
) -> Finding {
    let (control, account, resource) = (control.to_owned(), account.clone(), resource.to_owned());
    Finding { control, account, region, resource, first_seen: None, last_scanned }
}

impl Poller {
    /// Asks for what has passed, after the lists of what fails, of which `is_listed` tells what is in them.
    pub(crate) async fn ask_passed(
        &self,
        client: &Client,
        polled: Polled<'_>,
        run: RunId,
        moment: Moment,
        is_listed: impl Fn(&Finding) -> bool,
    ) -> (Passed, Vec<Finding>) {
        let (mut said, mut answers, now) = (Passed::default(), Vec::new(), ambient::now());
        if self.limits.passed_requests == 0 {
            return (said, answers);
        }
        let awaited = match AwaitedClosures::find(&self.records, polled.rule).await {
            Ok(Some(awaited)) => awaited,
            Ok(None) => return (said, answers),
            Err(error) => {
                tracing::error!(%error, "which fixes wait for Netskope cannot be read; it is not asked about them");
                return (said, answers);
            }
        };
        let controls = polled.controls.iter().flat_map(|control| control.rule_names.clone());
        let mut questions = questions(&awaited, controls, self.limits, now, is_listed);
        said.waiting = questions.iter().map(|question| question.waiting.len()).sum();
        shuffle(&mut questions, run);
        for question in &mut questions {
            let left = self.limits.passed_requests.saturating_sub(said.requests);
            if left == 0 {
                break;
            }
            let (requests, found) = self.ask(client, question, moment, left, now).await;
            said.requests = said.requests.saturating_add(requests);
            answers.extend(found);
        }
        if let Some(fixed) = newest_fix(&awaited, polled, since(self.limits, now), now, &answers) {
            said.rescan = self.rescan(client, fixed, now, moment.until).await;
        }
        (said, answers)
    }

    /// Asks for one account's and control's until nothing waits there, or the lists have ended. Gives how many requests were
    /// sent, and the answers.
    async fn ask(
        &self,
        client: &Client,
        question: &mut Question,
        moment: Moment,
        most: usize,
        now: Timestamp,
    ) -> (usize, Vec<Finding>) {
        let (mut sent, mut answers) = (0, Vec::new());
        for filter in self.filters.each() {
            let list = client.passed(&question.control, question.account.as_ref(), moment.as_of, moment.until);
            let before = most.saturating_sub(sent);
            let mut list = list.filtered(filter).within(before);
            while !question.waiting.is_empty() && list.requests_left() != Some(0) {
                match list.next().await {
                    Ok(Some(page)) => {
                        answers.extend(
                            page.violations.into_iter().filter_map(|row| question.answer(row, &self.regions, now)),
                        );
                    }
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!(account = %question.account, %error, "what has passed cannot be read in full");
                        break;
                    }
                }
            }
            sent += before.saturating_sub(list.requests_left().unwrap_or_default());
        }
        (sent, answers)
    }

    /// Writes the answers in batches after the `written` ones of the findings, as far as a poll may write.
    pub(crate) async fn hand_on_passed(
        &self,
        rule: &str,
        run: RunId,
        mut written: u32,
        answers: Vec<Finding>,
    ) -> Result<(u32, usize), PollError> {
        let mut handed_on = 0;
        for some in answers.chunks(self.limits.batch_size.max(1)) {
            if written >= self.limits.batches {
                break;
            }
            written += 1;
            let id = BatchId { rule: rule.to_owned(), run, batch: written };
            let key = id.findings_key();
            let batch = Batch::of_passed(id, some.to_vec());
            self.records.put_new(&key, batch.to_stored().map_err(remediation::RecordError::from)?).await?;
            handed_on += some.len();
            tracing::info!(passed = some.len(), key, "batch written");
        }
        Ok((written, handed_on))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use remediation::Region;

    use super::*;

    const DOORS: &str = "Ensure every door is closed.";
    const WINDOWS: &str = "Ensure every window is closed.";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Fixes of these controls, accounts and resources, at these seconds.
    fn awaited(fixes: &[(&str, &str, &str, i64)]) -> AwaitedClosures {
        let mut by_control = BTreeMap::<&str, Vec<serde_json::Value>>::new();
        for (control, account, resource, second) in fixes {
            by_control.entry(control).or_default().push(serde_json::json!({"account": account, "region": "us-east-1",
                "resource": resource, "fixed": at(*second)}));
        }
        let nonce = "00000000-0000-0000-0000-000000000000";
        serde_json::from_value(serde_json::json!({"schema": 1, "nonce": nonce, "fixes": by_control})).unwrap()
    }

    fn asked(awaited: &AwaitedClosures, is_listed: impl Fn(&Finding) -> bool) -> Vec<(String, String, usize)> {
        let limits = Limits { passed_days: 1, ..Limits::default() };
        let questions = questions(awaited, [DOORS.to_owned()].into_iter(), limits, at(100_000), is_listed);
        let of = |question: Question| (question.control, question.account.to_string(), question.waiting.len());
        questions.into_iter().map(of).collect()
    }

    #[test]
    fn only_the_rules_own_controls_are_asked_about_and_only_what_waits_not_too_long() {
        let (one, other) = ("222222222222", "333333333333");
        let awaited = awaited(&[
            (DOORS, one, "a", 50_000),
            (DOORS, one, "b", 60_000),
            (DOORS, other, "c", 60_000),
            (DOORS, other, "long ago", 13_000),
            (DOORS, other, "to come", 100_001),
            (WINDOWS, one, "d", 60_000),
        ]);
        let doors = DOORS.to_owned();
        let all = [(doors.clone(), one.to_owned(), 2), (doors.clone(), other.to_owned(), 1)];
        assert_eq!(asked(&awaited, |_| false), all);
        let left = [(doors, one.to_owned(), 2)];
        assert_eq!(asked(&awaited, |finding| finding.resource == "c"), left, "it is listed as Failed");
    }

    #[test]
    fn each_question_comes_first_at_some_poll() {
        let accounts: Vec<_> = (1..=4).map(|number| format!("{number:012}")).collect();
        let fixes: Vec<_> = accounts.iter().map(|account| (DOORS, account.as_str(), "a", 60_000)).collect();
        let (awaited, mut first) = (awaited(&fixes), BTreeSet::new());
        for _ in 0..200 {
            let controls = [DOORS.to_owned()].into_iter();
            let mut questions = questions(&awaited, controls, Limits::default(), at(100_000), |_| false);
            shuffle(&mut questions, RunId::start());
            first.insert(questions[0].account.clone());
        }
        assert_eq!(first.len(), 4);
    }

    #[test]
    fn a_row_is_an_answer_where_it_is_of_such_a_finding_and_was_scanned_after_the_fix() {
        let awaited = awaited(&[(DOORS, "222222222222", "a", 50_000)]);
        let question = || {
            let controls = [DOORS.to_owned()].into_iter();
            questions(&awaited, controls, Limits::default(), at(100_000), |_| false).remove(0)
        };
        let row = || Violation {
            position: 1,
            account_id: "222222222222".into(),
            region: netskope::Region::Code("us-east-1".into()),
            resource: "a".into(),
            failing_since: None,
            last_scan_time: Some(at(60_000)),
        };
        let regions = Regions::new("us-east-1", "us-east-1").unwrap();
        let answer = |row: Violation| question().answer(row, &regions, at(100_000));
        let found = answer(row()).unwrap();
        assert_eq!((found.region, found.last_scanned), (Region::code("us-east-1"), Some(at(60_000))));
        for (row, why) in [
            (Violation { account_id: "333333333333".into(), ..row() }, "another account"),
            (Violation { account_id: "x".into(), ..row() }, "no account"),
            (Violation { resource: "b".into(), ..row() }, "another resource"),
            (Violation { region: netskope::Region::Global, ..row() }, "another region"),
            (Violation { region: netskope::Region::Unknown("x".into()), ..row() }, "no region"),
            (Violation { last_scan_time: None, ..row() }, "never scanned"),
            (Violation { last_scan_time: Some(at(50_000)), ..row() }, "scanned before"),
            (Violation { last_scan_time: Some(at(200_000)), ..row() }, "scanned in a time to come"),
        ] {
            assert_eq!(answer(row), None, "{why}");
        }
        let mut asked = question();
        assert!(asked.answer(row(), &regions, at(100_000)).is_some());
        assert_eq!(asked.answer(row(), &regions, at(100_000)), None, "it comes once for each profile");
    }
}
