//! What Netskope says of a fix once it has scanned the resource again: it confirms the fix, or contests it.
//!
//! A fix is confirmed where a scan after it passes the finding, and contested where one still fails it. Either counts only
//! while a fresh look finds the resource as the fix has left it: what was undone or opened again since is neither, and nor
//! is a finding whose name leads to another resource by now. A row that is missing says nothing.
//!
//! Findings that Netskope still fails come with every poll, and are looked at as ever; so that one is contested costs no
//! further call, and a fix that its card has and the list of those that wait (`AwaitedClosures`) has not, because a Lambda
//! died in between, is put there. What it passes comes in lines of their own, of the fixes that wait. Nothing is ever
//! written to a resource because of this: these looks are in sessions that can only read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use remediation::records::{Confirmed, Contested};
use remediation::{Card, Finding, Outcome, Rule, SessionKind};

use crate::cards::Known;
use crate::resolve::{Looked, Work};
use crate::workers::{About, Placed};
use crate::{Engine, Job};

/// What came of the lines about findings that have passed.
#[derive(Debug, Default)]
pub(crate) struct Closed {
    /// The cards that say it, each once.
    pub(crate) confirmed: Vec<Closing>,
    /// The findings about which Netskope need not be asked any more, although nothing is confirmed.
    pub(crate) settled: Vec<Finding>,
}

/// A card as it was read, and with what is confirmed.
#[derive(Debug)]
pub(crate) struct Closing {
    pub(crate) known: Known,
    pub(crate) card: Card,
    pub(crate) confirmed: Vec<Confirmed>,
    /// The findings that are waited for no more once the card is stored.
    pub(crate) findings: Vec<Finding>,
}

/// What a look says of a finding that has passed.
enum Seen {
    /// The resource complies with the control, and this is its card.
    Complies(Box<Known>, remediation::Resource),
    /// There is nothing to confirm.
    Otherwise,
    /// Nobody can say now.
    Later,
}

impl Closed {
    /// Adds what another account has.
    pub(crate) fn add(&mut self, other: Self) {
        self.confirmed.extend(other.confirmed);
        self.settled.extend(other.settled);
    }

    pub(crate) fn confirmed(&self) -> Vec<Confirmed> {
        self.confirmed.iter().flat_map(|closing| closing.confirmed.clone()).collect()
    }
}

impl About for Finding {
    fn finding(&self) -> &Finding {
        self
    }
}

impl<R: Rule> Engine<R> {
    /// Looks afresh at the resources of findings that have passed, and confirms the fixes that are in force.
    pub(crate) async fn close(&self, passed: Vec<Finding>, job: &Job<R::Change>) -> Closed {
        let step = |finding: Finding| async move {
            let seen = self.see_passed(&finding, job).await;
            (finding, seen)
        };
        let (mut closed, mut cards) = (Closed::default(), BTreeMap::<String, Closing>::new());
        for (finding, seen) in self.for_each_bounded(passed, step).await {
            match seen {
                Seen::Later => {}
                Seen::Otherwise => closed.settled.push(finding),
                Seen::Complies(known, resource) => {
                    let closing = cards.entry(known.key.clone()).or_insert_with(|| {
                        let card = known.card.clone();
                        Closing { known: *known, card, confirmed: Vec::new(), findings: Vec::new() }
                    });
                    let confirmed = closing.card.confirm(&finding, self.clock.now());
                    closing.confirmed.extend(confirmed.map(|passed| passed.of(finding.clone(), resource)));
                    if closing.card.awaits_closure(&finding).is_none() {
                        closing.findings.push(finding);
                    }
                }
            }
        }
        for closing in cards.into_values() {
            if closing.confirmed.is_empty() {
                closed.settled.extend(closing.findings);
            } else {
                closed.confirmed.push(closing);
            }
        }
        closed
    }

    async fn see_passed(&self, finding: &Finding, job: &Job<R::Change>) -> Seen {
        if self.why_stop(job.deadline, "").is_some() {
            return Seen::Later;
        }
        let (outcome, why) = match self.without_a_call(finding, job) {
            Ok(_) => match Box::pin(self.look_in(SessionKind::Read, finding)).await {
                Ok(looked) => return self.see_card(finding, looked, job).await,
                Err(error) => (error.kind.outcome(), error.to_string()),
            },
            Err(verdict) => (verdict.outcome, verdict.detail.unwrap_or_default()),
        };
        tracing::info!(%outcome, why, "whether a fix is in force could not be seen");
        if outcome == Outcome::Deferred { Seen::Later } else { Seen::Otherwise }
    }

    async fn see_card(&self, finding: &Finding, looked: Looked<R>, job: &Job<R::Change>) -> Seen {
        let placed = Placed { place: 0, finding: finding.clone() };
        if !self.plan(std::slice::from_ref(&placed), &looked.seen).complies() {
            return Seen::Otherwise;
        }
        match job.cards.read(&looked.seen.resource).await {
            Ok(known) if known.card.claimed_by_another(&self.holder, self.clock.now()).is_some() => Seen::Later,
            Ok(known) => Seen::Complies(Box::new(known), looked.seen.resource),
            Err(error) if error.outcome == Outcome::Deferred => Seen::Later,
            Err(error) => {
                tracing::error!(%error, "whether a fix is confirmed is not known");
                Seen::Otherwise
            }
        }
    }

    /// The findings of a resource that complies whose fixes wait for Netskope by its card, each with when that was.
    pub(crate) fn awaited(&self, work: &Work<R>, card: &Card) -> Vec<(Finding, Timestamp)> {
        let awaited = |placed: &Placed| Some((placed.finding.clone(), card.awaits_closure(&placed.finding)?));
        work.findings.iter().filter_map(awaited).collect()
    }

    /// Which findings of a resource that complies Netskope still fails, by a scan after our fix.
    pub(crate) fn contested(&self, work: &Work<R>, card: &mut Card) -> BTreeMap<usize, Contested> {
        let now = self.clock.now();
        let contested = |placed: &Placed| Some((placed.place, card.contest(&placed.finding, now)?));
        work.findings.iter().filter_map(contested).collect()
    }
}
