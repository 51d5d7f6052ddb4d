//! What of our writes to a resource is still in force. A look that finds a change still to be made proves that whoever made
//! it before, it was taken back since: who makes it the next time is the one whose it is. An undo goes by that, so that it
//! never opens what somebody else has closed.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::{Card, Ended, Write};
use crate::domain::RunId;

/// The most bytes of the changes of one write that are kept on a card, which remembers fifty writes.
const MOST_OF_CHANGES: usize = 4 * 1024;
/// What was written so long before a look is seen by it: AWS's reads have settled, and clocks are not so far apart.
const LONG_BEFORE: SignedDuration = SignedDuration::from_mins(1);

/// What a look has found to be as it was before our writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundUnmade {
    /// When the look began.
    pub looked: Timestamp,
    /// The writes, and which changes of each.
    pub unmade: Vec<Unmade>,
}

/// Changes of a write that are as they were before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmade {
    /// The run.
    pub run: RunId,
    /// The batch of that run.
    pub batch: u32,
    /// The digest of the resource's part of its plan.
    pub part: String,
    /// The changes, by their places from 0.
    pub places: BTreeSet<usize>,
    /// How many changes the part has.
    pub of: usize,
}

/// The changes as a card keeps them: none where they are too long for it, or cannot be written as JSON.
pub fn kept<C: Serialize>(changes: &[C]) -> Vec<Value> {
    let values: Vec<_> = changes.iter().filter_map(|change| serde_json::to_value(change).ok()).collect();
    let bytes: usize = values.iter().map(|value| value.to_string().len()).sum();
    if values.len() == changes.len() && bytes <= MOST_OF_CHANGES { values } else { Vec::new() }
}

impl FoundUnmade {
    /// A look that says nothing of any write.
    pub fn nothing() -> Self {
        Self { looked: Timestamp::MIN, unmade: Vec::new() }
    }

    /// What it says of this write.
    pub(super) fn of(&self, write: &Write) -> Option<&Unmade> {
        let is_it = |of: &&Unmade| (of.run, of.batch, &of.part) == (write.run, write.batch, &write.part);
        self.unmade.iter().find(is_it)
    }

    /// Whether the look cannot be one that does not see this write yet.
    pub(super) fn is_certain_of(&self, write: &Write) -> bool {
        self.looked.duration_since(write.at) > LONG_BEFORE
    }
}

impl Card {
    /// The same, as far as a look has found changes that were made long before to be still to be made.
    #[must_use]
    pub fn reopened(self, found: &FoundUnmade) -> Self {
        self.without(found, |write| found.is_certain_of(write))
    }

    /// The same after a write of which something took: what it found still to be made was really to be made.
    #[must_use]
    pub fn made_again(self, found: &FoundUnmade) -> Self {
        self.without(found, |_| true)
    }

    /// The same with nothing in force of the changes that a look has found to be still to be made, of writes that count. What
    /// an undo has taken back is of course still to be made; it is in force again where that undo is taken back.
    pub(super) fn without(mut self, found: &FoundUnmade, counts: impl Fn(&Write) -> bool) -> Self {
        for write in self.writes.iter_mut().filter(|write| !write.is_undone() && counts(write)) {
            if let Some(unmade) = found.of(write) {
                write.leave_out(unmade);
            }
        }
        self
    }
}

impl Write {
    /// That these changes of it are not in force.
    pub(super) fn leave_out(&mut self, unmade: &Unmade) {
        if self.ended == Ended::CutOff {
            // Of what is left, nobody knows more than that it may be in force.
            (self.ended, self.took) = (Ended::Unproved, (0..unmade.of).collect());
        }
        self.took.retain(|place| !unmade.places.contains(place));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Claim;
    use super::*;
    use crate::domain::Resource;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// What run wrote at 150 seconds: three changes, all of them in force.
    fn write(run: RunId, ended: Ended) -> Write {
        let (part, changes) = ("digest".to_owned(), kept(&["one", "two", "three"]));
        let took = if ended == Ended::CutOff { Vec::new() } else { vec![0, 1, 2] };
        Write { run, batch: 1, at: at(150), ended, part, changes, took, undone_by: None }
    }

    fn card(write: Write) -> Card {
        let arn = "arn:aws:test:eu-central-1:222222222222:house/h";
        let resource = Resource::of_arn("test:GetDoors", arn.to_owned(), "h").unwrap();
        Card { writes: vec![write], ..Card::new("open-door", &resource) }
    }

    fn claim(run: RunId) -> Claim {
        let (holder, part, changes) = ("me".to_owned(), "another".to_owned(), kept(&["two"]));
        Claim { run, batch: 1, since: at(100), until: at(200), holder, part, changes, undoes: None }
    }

    /// A look at this second found these of the run's changes to be still to be made.
    fn found(run: RunId, second: i64, places: &[usize]) -> FoundUnmade {
        let places = places.iter().copied().collect();
        FoundUnmade { looked: at(second), unmade: vec![Unmade { run, batch: 1, part: "digest".into(), places, of: 3 }] }
    }

    fn left(card: &Card) -> Vec<(Ended, Vec<usize>)> {
        card.writes.iter().map(|write| (write.ended, write.took.clone())).collect()
    }

    #[test]
    fn what_a_claim_finds_still_to_be_made_is_not_in_force_because_of_an_earlier_run() {
        let run = RunId::start();
        let after = |ended, looked, places: &[usize]| {
            left(&card(write(run, ended)).claim(claim(RunId::start()), &found(run, looked, places)))
        };
        assert_eq!(after(Ended::Unproved, 151, &[1]), [(Ended::Unproved, vec![0, 2])]);
        assert_eq!(after(Ended::Proved, 300, &[1]), [(Ended::Proved, vec![0, 2])]);
        assert_eq!(after(Ended::Proved, 151, &[1]), [(Ended::Proved, vec![0, 1, 2])], "the look may be an old one");
        assert_eq!(after(Ended::CutOff, 151, &[1]), [(Ended::Unproved, vec![0, 2])], "the others may be in force");
        assert_eq!(after(Ended::CutOff, 151, &[0, 1, 2]), [(Ended::Unproved, vec![])], "nothing of it is in force");
        assert_eq!(after(Ended::Proved, 300, &[0, 1, 2]), [(Ended::Proved, vec![])], "it counts as a fix all the same");
    }

    #[test]
    fn a_run_that_never_came_back_is_judged_by_the_changes_of_its_claim() {
        let (dead, next) = (RunId::start(), RunId::start());
        let dead_claim = Claim { part: "digest".into(), changes: kept(&["one", "two", "three"]), ..claim(dead) };
        let claimed = card(write(RunId::start(), Ended::Proved)).claim(dead_claim, &FoundUnmade::nothing());
        assert_eq!(claimed.all_writes().last().map(|write| write.changes.len()), Some(3));
        let taken_over = claimed.clone().claim(claim(next), &found(dead, 151, &[0, 2]));
        assert_eq!(left(&taken_over), [(Ended::Proved, vec![0, 1, 2]), (Ended::Unproved, vec![1])]);
        let wrote_nothing = claimed.clone().claim(claim(next), &found(dead, 151, &[0, 1, 2]));
        assert_eq!(left(&wrote_nothing), [(Ended::Proved, vec![0, 1, 2])]);
        let nothing_known = claimed.claim(claim(next), &FoundUnmade::nothing());
        assert_eq!(left(&nothing_known)[1], (Ended::CutOff, vec![]));
    }

    #[test]
    fn what_is_made_again_is_in_force_because_of_who_made_it_last() {
        let (first, second) = (RunId::start(), RunId::start());
        let again = card(write(first, Ended::Proved)).made_again(&found(first, 151, &[0, 1]));
        assert_eq!(left(&again.hold(write(second, Ended::Proved)))[0], (Ended::Proved, vec![2]));
    }

    #[test]
    fn what_an_undo_took_back_is_not_forgotten_while_that_undo_may_be_taken_back() {
        let run = RunId::start();
        let undone = Write { undone_by: Some(RunId::start()), ..write(run, Ended::Proved) };
        assert_eq!(left(&card(undone).reopened(&found(run, 300, &[0, 1, 2])))[0].1, [0, 1, 2]);
    }

    #[test]
    fn a_look_without_a_claim_says_so_only_long_after_the_write() {
        let run = RunId::start();
        for ended in [Ended::Proved, Ended::Unproved] {
            let card = card(write(run, ended));
            assert_eq!(card.clone().reopened(&found(run, 210, &[0])), card, "a minute after it");
            assert_eq!(left(&card.reopened(&found(run, 211, &[0])))[0].1, [1, 2]);
        }
    }

    #[test]
    fn changes_that_are_long_are_not_kept_on_a_card() {
        let long = "x".repeat(MOST_OF_CHANGES - 2);
        assert_eq!(kept(&[&long]).len(), 1);
        assert!(kept(&[&long, &String::new()]).is_empty());
    }
}
