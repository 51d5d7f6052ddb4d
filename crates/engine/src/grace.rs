//! What may be written, but not yet: a violation has its grace, and a change window is closed.
//!
//! A violation is told before it is fixed, where the policy gives it a grace. Its age counts from the first look of ours
//! that saw it, which the resource's card remembers: Netskope may have listed it for long, but nobody told the owner then.
//! A look that finds the resource compliant, or a proved fix, ends it; the next violation has its grace anew. What a
//! person has approved waits for no grace.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use remediation::records::{ApprovedToWait, Condition, Grace, Violation};
use remediation::{Approval, Card, Mode, Outcome, RecordError, Rule};

use crate::cards::Known;
use crate::decide::{Decided, Decision};
use crate::resolve::Verdict;
use crate::{Consent, Engine, Job, Shown, Warrant};

/// The most characters of an owner: as many as a tag's value has.
/// <https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html>
const MOST_OF_OWNER: usize = 256;

impl<R: Rule> Engine<R> {
    /// Why changes that may be written wait all the same.
    pub(crate) async fn wait_for_its_time(&self, decided: &mut Decided<R>, job: &Job<R::Change>) -> Option<Verdict> {
        if !job.warrant.is_approved() {
            decided.grace = self.grace(decided).await;
        }
        let (now, account) = (self.clock.now(), decided.work.account());
        if let Some(grace) = decided.grace.as_ref().filter(|grace| now < grace.until) {
            return Some(Verdict::new(Outcome::Deferred, told(grace, now)));
        }
        decided.closed = self.policy.closed(&self.manifest.id, account, now);
        decided.closed.as_ref().map(|closed| Verdict::new(Outcome::Deferred, closed.to_string()))
    }

    /// The grace of a violation, from the first look that saw it on. Whose the resource is, is asked once.
    async fn grace(&self, decided: &mut Decided<R>) -> Option<Grace> {
        let days = self.policy.grace_days(&self.manifest.id, decided.work.account());
        let now = self.clock.now();
        let known = decided.known.as_ref().filter(|_| days > 0)?;
        let (violation, begins) = match known.card.violation(now) {
            Some(violation) => (violation.clone(), false),
            None => (Violation::new(now, self.owner(decided).await), true),
        };
        let time = SignedDuration::from_hours(24 * i64::from(days));
        let until = violation.first_seen.checked_add(time).unwrap_or(Timestamp::MAX);
        Some(Grace { first_seen: violation.first_seen, until, owner: violation.owner, begins })
    }

    async fn owner(&self, decided: &mut Decided<R>) -> Option<String> {
        if !self.policy.names_owners() {
            return None;
        }
        let looked = &decided.work.looked;
        match Box::pin(R::tags(&looked.client, &looked.seen)).await {
            Ok(tags) => self.policy.owner(&tags).map(|owner| escape::beginning(owner, MOST_OF_OWNER)),
            Err(error) => {
                decided.proposal.notes.push(format!("whose the resource is could not be read: {error}"));
                None
            }
        }
    }

    /// Keeps on the card of a resource that is not written what it has to remember of its time: its violation, or that its
    /// approved changes wait for a change window.
    pub(crate) async fn remember_time(&self, decided: &mut Decided<R>, job: &Job<R::Change>) {
        let (Decision::Leave(_), Some(known)) = (&decided.decision, decided.known.clone()) else { return };
        if let Some(card) = self.with_violation(decided, &known.card) {
            let stored = self.keep_unclaimed(&known, &card).await;
            let stored = stored.map(|condition| {
                let is_kept = condition.is_some();
                if let Some(condition) = condition {
                    decided.known = Some(Known { card, condition, key: known.key.clone(), is_news: false });
                }
                is_kept
            });
            let resource = decided.work.resource().arn.clone();
            if let Some(grace) = &mut decided.grace {
                tell(&resource, grace, stored);
            }
        } else if let Some(card) = self.with_approval(decided, job) {
            let why = match self.keep_unclaimed(&known, &card).await {
                Ok(Some(_)) => return,
                Ok(None) => "another run is at work on it".to_owned(),
                Err(error) => error.to_string(),
            };
            // The service's next try may.
            decided.decision = Decision::defer(format!("a change window is closed, and its card cannot say so: {why}"));
        }
    }

    /// Keeps something on a card that nobody has claimed: the claim's own would not be stored after that.
    pub(crate) async fn keep_unclaimed(&self, known: &Known, card: &Card) -> Result<Option<Condition>, RecordError> {
        if known.card.claimed_by_another(&self.holder, self.clock.now()).is_some() {
            return Ok(None);
        }
        self.keep(known, card).await
    }

    /// The card with the violation that was seen; none where it says so already.
    fn with_violation(&self, decided: &Decided<R>, card: &Card) -> Option<Card> {
        let Grace { first_seen, owner, .. } = decided.grace.clone()?;
        let now = self.clock.now();
        let known = card.violation(now).filter(|of| of.first_seen == first_seen).cloned();
        let violation = Some(known.map_or_else(|| Violation::new(first_seen, owner), |known| known.seen_again(now)));
        let mut next = card.clone();
        next.violation = violation;
        (next != *card).then_some(next)
    }

    /// The card with the approval that waits for a change window; a poll at which that is open takes it up.
    fn with_approval(&self, decided: &Decided<R>, job: &Job<R::Change>) -> Option<Card> {
        let Warrant::Shown(Shown { consent: Consent::Approval(approved), .. }) = &job.warrant else { return None };
        let known = decided.known.as_ref().filter(|_| decided.closed.is_some())?;
        let Approval { plan, approved: given, .. } = &approved.approval;
        let holds = SignedDuration::from_hours(i64::from(self.policy.approval_hours));
        let until = given.checked_add(holds).unwrap_or(Timestamp::MAX);
        let mut next = known.card.clone();
        let (plan, stored_by) = (plan.clone(), approved.stored_by.clone());
        let approval = Some(approved.approval.own_key()).filter(|key| *key != Approval::key(&plan));
        next.approved = Some(ApprovedToWait { plan, approval, until, stored_by });
        (next != known.card).then_some(next)
    }

    /// The approval that a resource's changes have, where it waited for a change window that is open now. Whether these
    /// changes are still to be made is asked when it is carried out.
    pub(crate) fn approved_before(&self, decided: &Decided<R>) -> Option<WaitsNoMore> {
        let (Decision::Await(_), Some(known)) = (&decided.decision, &decided.known) else { return None };
        let now = self.clock.now();
        let approved = known.card.approved.clone().filter(|of| now < of.until)?;
        let ApprovedToWait { plan, approval, stored_by, .. } = approved;
        let closed = self.policy.closed(&self.manifest.id, decided.work.account(), now);
        let approval = approval.unwrap_or_else(|| Approval::key(&plan));
        closed.is_none().then_some(WaitsNoMore { approval, stored_by })
    }

    /// Forgets a violation that is over, so that the next one has its grace anew, and the plan that waited to fix it; and
    /// keeps that Netskope contests a fix. Who only plans at a command line forgets nothing.
    pub(crate) async fn forget_what_is_over(&self, decided: &mut Decided<R>, job: &Job<R::Change>) {
        let work = &decided.work;
        if !decided.proposal.complies() || !(job.is_poll || job.mode_for(self, work.account()) == Mode::Apply) {
            return;
        }
        let Ok(known) = job.cards.read(work.resource()).await else { return };
        let mut card = known.card.clone();
        (card.violation, card.waiting, card.reported) = (None, None, None);
        let mut contested = if job.is_poll { self.contested(work, &mut card) } else { BTreeMap::new() };
        if card != known.card {
            let stored = self.keep_unclaimed(&known, &card).await;
            if let Err(error) = &stored {
                tracing::error!(%error, resource = work.resource().arn, "what is over could not be kept on its card");
            }
            // What its card does not have is told by the next poll.
            let is_kept = matches!(stored, Ok(Some(_)));
            contested.values_mut().for_each(|of| of.begins &= is_kept);
        }
        decided.awaited = if job.is_poll { self.awaited(work, &card) } else { Vec::new() };
        decided.contested = contested;
    }
}

/// An approval of changes that waited for a change window, which is open now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WaitsNoMore {
    /// The approval's key.
    pub approval: String,
    /// Who stored it.
    pub stored_by: Option<String>,
}

/// Tells that a grace begins, once: by whoever has stored it.
fn tell(resource: &str, grace: &mut Grace, stored: Result<bool, RecordError>) {
    let begins = grace.begins;
    grace.begins = begins && matches!(stored, Ok(true));
    match stored {
        Ok(true) if begins => {
            let Grace { first_seen, until, owner, .. } = &*grace;
            tracing::info!(resource, %first_seen, grace_until = %until, owner, "grace begins");
        }
        // Where somebody else was faster, it is told already; else the next poll begins with it.
        Ok(_) => {}
        Err(error) => tracing::error!(%error, resource, "since when it violates could not be kept on its card"),
    }
}

/// What is reported of a violation in its grace.
fn told(grace: &Grace, now: Timestamp) -> String {
    let Grace { first_seen, until, owner, .. } = grace;
    let age = now.duration_since(*first_seen).as_hours() / 24;
    let owner = owner.as_ref().map(|owner| format!(", owner {owner}")).unwrap_or_default();
    format!("grace until {until} (first seen {first_seen}, {age} days ago{owner})")
}
