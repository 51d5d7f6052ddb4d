//! What the detector says of our fixes: a scan after a fix either passes the resource or still fails it. No scan, no word.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Card, Ended, Write};
use crate::domain::{Finding, RunId};
use crate::records::closures::is_after_fix;
use crate::records::{BatchId, Confirmed, Contested};

/// So many findings of a resource are remembered: it is listed by a few controls, each under a name or two.
const MOST_CLOSURES: usize = 8;

/// A finding that a fix of ours has ended. The account is the one that owns the resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closure {
    /// The exact name of the Netskope rule.
    pub control: String,
    /// The region of the finding.
    pub region: String,
    /// What the finding called the resource.
    pub resource: String,
    /// The run that has fixed it.
    pub run: RunId,
    /// The batch of that run.
    pub batch: u32,
    /// When the fix was proved.
    pub fixed: Timestamp,
    /// What Netskope says by its newest scan after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<ScanSays>,
}

/// What a scan says of a fix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScanSays {
    /// What.
    pub verdict: ScanVerdict,
    /// When Netskope scanned the resource.
    pub scanned: Timestamp,
    /// Since when we know it.
    pub since: Timestamp,
}

/// Whether a scan after a fix passes the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanVerdict {
    /// It does.
    Confirmed,
    /// It still fails.
    Contested,
}

impl Closure {
    fn is_of(&self, finding: &Finding) -> bool {
        (self.control.as_str(), self.region.as_str(), &self.resource)
            == (finding.control.as_str(), finding.region.as_ref(), &finding.resource)
    }

    fn is_by(&self, write: &Write) -> bool {
        (self.run, self.batch) == (write.run, write.batch)
    }
}

impl Card {
    /// The same after a batch has proved its fix of these findings.
    #[must_use]
    pub fn fixed(mut self, run: RunId, batch: u32, findings: &[Finding]) -> Self {
        let is_fix = |write: &&Write| (write.run, write.batch) == (run, batch) && is_in_force(write);
        let Some(fixed) = self.writes.iter().filter(is_fix).map(|write| write.at).max() else { return self };
        for finding in findings {
            self.closures.retain(|closure| !closure.is_of(finding));
            let (control, resource) = (finding.control.clone(), finding.resource.clone());
            let region = finding.region.to_string();
            self.closures.push(Closure { control, region, resource, run, batch, fixed, said: None });
        }
        let forgotten = self.closures.len().saturating_sub(MOST_CLOSURES);
        self.closures.drain(..forgotten);
        self
    }

    /// That a scan passes the finding after our fix of it; none where that is no news, or the fix is not in force.
    pub fn confirm(&mut self, finding: &Finding, now: Timestamp) -> Option<Passed> {
        let rule = self.rule.clone();
        let (closure, scanned) = self.closure_scanned(finding, now)?;
        if closure.said.as_ref().is_some_and(|said| said.verdict == ScanVerdict::Confirmed || said.scanned >= scanned) {
            return None;
        }
        closure.said = Some(ScanSays { verdict: ScanVerdict::Confirmed, scanned, since: now });
        Some(Passed { fixed: closure.fixed, report: report_of(closure, &rule), scanned })
    }

    /// That a scan fails the finding after our fix of it; none where the fix is not in force, or a later scan has passed it.
    pub fn contest(&mut self, finding: &Finding, now: Timestamp) -> Option<Contested> {
        let rule = self.rule.clone();
        let (closure, scanned) = self.closure_scanned(finding, now)?;
        let (fixed, report) = (closure.fixed, report_of(closure, &rule));
        match &closure.said {
            Some(ScanSays { verdict: ScanVerdict::Contested, since, .. }) => {
                Some(Contested { fixed, report, scanned, since: *since, begins: false })
            }
            Some(ScanSays { verdict: ScanVerdict::Confirmed, scanned: passed, .. }) if *passed >= scanned => None,
            _ => {
                closure.said = Some(ScanSays { verdict: ScanVerdict::Contested, scanned, since: now });
                Some(Contested { fixed, report, scanned, since: now, begins: true })
            }
        }
    }

    /// When our fix of the finding was proved, where a later scan may confirm it yet.
    pub fn awaits_closure(&self, finding: &Finding) -> Option<Timestamp> {
        let is_confirmed = |said: &ScanSays| said.verdict == ScanVerdict::Confirmed;
        let closures = self.closures.iter().filter(|closure| closure.is_of(finding) && self.is_closed_by_us(closure));
        let waits = closures.filter(|closure| !closure.said.as_ref().is_some_and(is_confirmed));
        waits.map(|closure| closure.fixed).max()
    }

    /// Whether the fix of a closure is in force.
    fn is_closed_by_us(&self, closure: &Closure) -> bool {
        self.writes.iter().any(|write| closure.is_by(write) && is_in_force(write))
    }

    /// The closure of a finding whose scan was after the fix, and when that was. An undone fix, and one that somebody has
    /// taken back, is none.
    fn closure_scanned(&mut self, finding: &Finding, now: Timestamp) -> Option<(&mut Closure, Timestamp)> {
        let scanned = finding.last_scanned?;
        let is_fix = |closure: &Closure| {
            closure.is_of(finding) && is_after_fix(scanned, closure.fixed, now) && self.is_closed_by_us(closure)
        };
        let place = self.closures.iter().position(is_fix)?;
        self.closures.get_mut(place).map(|closure| (closure, scanned))
    }
}

/// What a scan that passes a finding says of its fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    fixed: Timestamp,
    report: String,
    scanned: Timestamp,
}

impl Passed {
    /// The same, of this finding and its resource.
    pub fn of(self, finding: Finding, resource: crate::domain::Resource) -> Confirmed {
        let Self { fixed, report, scanned } = self;
        Confirmed { finding, resource, fixed, report, scanned }
    }
}

fn report_of(closure: &Closure, rule: &str) -> String {
    BatchId { rule: rule.to_owned(), run: closure.run, batch: closure.batch }.report_key()
}

/// Whether a write is a proved fix of which something is in force because of it.
fn is_in_force(write: &Write) -> bool {
    write.ended == Ended::Proved && !write.is_undone() && !write.took.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Resource;
    use crate::records::{FoundUnmade, Unmade};

    const HOUR: i64 = 3_600;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn id() -> BatchId {
        BatchId { rule: "open-door".into(), run: RunId::start(), batch: 1 }
    }

    fn scanned(second: i64) -> Finding {
        Finding { last_scanned: Some(at(second)), ..Finding::of("222222222222", "eu-central-1", "h") }
    }

    /// A card after a fix at one hour.
    fn fixed(id: &BatchId) -> Card {
        let arn = "arn:aws:test:eu-central-1:222222222222:house/h";
        let resource = Resource::of_arn("test:GetDoors", arn.to_owned(), "h").unwrap();
        let (part, changes, took) = ("digest".to_owned(), Vec::new(), vec![0]);
        let (run, batch, at) = (id.run, id.batch, at(HOUR));
        let write = Write { run, batch, at, ended: Ended::Proved, part, changes, took, undone_by: None };
        Card::new("open-door", &resource).hold(write).fixed(id.run, 1, &[scanned(0)])
    }

    #[test]
    fn a_scan_after_the_fix_confirms_it_once_and_one_before_says_nothing() {
        let id = id();
        let (mut card, now) = (fixed(&id), at(3 * HOUR));
        assert_eq!(card.confirm(&Finding { last_scanned: None, ..scanned(0) }, now), None);
        assert_eq!(card.confirm(&scanned(HOUR), now), None, "it has not seen the fix");
        assert_eq!(card.confirm(&scanned(9 * HOUR), now), None, "no clock shows that");
        assert_eq!(card.awaits_closure(&scanned(0)), Some(at(HOUR)), "a later scan may");
        assert_eq!(card, fixed_as(&card, &id));
        let confirmed = card.confirm(&scanned(2 * HOUR), now).unwrap();
        assert_eq!((confirmed.fixed, confirmed.scanned, confirmed.report), (at(HOUR), at(2 * HOUR), id.report_key()));
        assert_eq!(card.confirm(&scanned(3 * HOUR), now), None, "it is known");
        assert_eq!(card.awaits_closure(&scanned(0)), None);
    }

    /// The card without what a scan has said.
    fn fixed_as(card: &Card, id: &BatchId) -> Card {
        Card { nonce: card.nonce, ..fixed(id) }
    }

    #[test]
    fn a_scan_that_still_fails_contests_it_until_a_later_one_passes() {
        let (mut card, now) = (fixed(&id()), at(9 * HOUR));
        assert_eq!(card.contest(&scanned(HOUR), now), None, "the row is as it was before the fix");
        let begins = card.contest(&scanned(2 * HOUR), now).unwrap();
        assert_eq!((begins.begins, begins.since, begins.fixed), (true, now, at(HOUR)));
        let goes_on = card.contest(&scanned(3 * HOUR), at(10 * HOUR)).unwrap();
        assert_eq!((goes_on.begins, goes_on.since), (false, now));
        assert_eq!(card.confirm(&scanned(2 * HOUR), now), None, "no later than what fails");
        assert!(card.confirm(&scanned(4 * HOUR), now).is_some());
        assert_eq!(card.contest(&scanned(4 * HOUR), now), None, "a row of another profile, of the same scan");
        assert!(card.contest(&scanned(5 * HOUR), now).unwrap().begins, "it fails anew");
    }

    #[test]
    fn of_another_finding_or_of_a_fix_that_is_not_in_force_a_scan_says_nothing() {
        let (id, now) = (id(), at(3 * HOUR));
        let says = |mut card: Card, finding: &Finding| {
            (card.clone().confirm(finding, now).is_some(), card.contest(finding, now).is_some())
        };
        let (card, seen) = (fixed(&id), scanned(2 * HOUR));
        assert_eq!(says(card.clone(), &seen), (true, true));
        for other in [
            Finding { control: "another".into(), ..seen.clone() },
            Finding { region: crate::aws::Region::code("us-east-1"), ..seen.clone() },
            Finding { resource: "another".into(), ..seen.clone() },
        ] {
            assert_eq!(says(card.clone(), &other), (false, false), "{other:?}");
        }
        assert_eq!(says(card.clone().undone(&id, "digest", RunId::start()), &seen), (false, false));
        let places = [0].into();
        let unmade = vec![Unmade { run: id.run, batch: 1, part: "digest".into(), places, of: 1 }];
        let reopened = card.clone().reopened(&FoundUnmade { looked: at(2 * HOUR), unmade });
        assert_eq!(says(reopened, &seen), (false, false), "somebody has taken it back");
    }

    #[test]
    fn a_later_fix_is_waited_for_anew_and_what_is_not_proved_is_not() {
        let (first, second) = (id(), id());
        let mut card = fixed(&first);
        card.confirm(&scanned(2 * HOUR), at(2 * HOUR)).unwrap();
        let write = card.writes[0].clone();
        let unproved = Write { run: second.run, at: at(5 * HOUR), ended: Ended::Unproved, ..write.clone() };
        assert_eq!(card.clone().hold(unproved).fixed(second.run, 1, &[scanned(0)]).closures, card.closures);
        let proved = Write { run: second.run, at: at(5 * HOUR), ..write };
        let mut card = card.hold(proved).fixed(second.run, 1, &[scanned(0)]);
        let [closure] = &card.closures[..] else { panic!("{card:?}") };
        assert_eq!((closure.run, closure.fixed, &closure.said), (second.run, at(5 * HOUR), &None));
        assert_eq!(card.confirm(&scanned(4 * HOUR), at(6 * HOUR)), None, "that scan was before this fix");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let id = id();
        let many: Vec<_> = (0..20).map(|number| Finding { control: number.to_string(), ..scanned(0) }).collect();
        let controls: Vec<_> = fixed(&id).fixed(id.run, 1, &many).closures.into_iter().map(|of| of.control).collect();
        assert_eq!(controls, ["12", "13", "14", "15", "16", "17", "18", "19"]);
    }
}
