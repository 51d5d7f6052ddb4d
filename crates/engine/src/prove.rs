//! The sixth station: a fresh look says what has become of the resource. What a write answered is not enough.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use remediation::{Error, ErrorKind, Outcome, Proposal, Rule, Seen, SessionKind, Side, Verification};
use tokio::time::Instant;

use crate::breaker::Effect;
use crate::resolve::{Looked, Work};
use crate::workers::About;
use crate::write::Written;
use crate::{Engine, Warrant, summaries};

/// So long a look may show what was: EC2 is eventually consistent, most often by seconds
/// (<https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html>).
pub(crate) const SETTLED: Duration = Duration::from_secs(7);

/// What fresh looks after a write said.
pub(crate) struct Proof {
    /// The proof that the resource complies, or what it is instead.
    pub(crate) found: Result<Verification, Found>,
    /// Where the last look found each of the changes, none where nothing is there any more; nothing where it failed.
    pub(crate) sides: Option<Vec<Side>>,
    /// What the rule noted at the last look.
    pub(crate) notes: Vec<String>,
}

/// What a fresh look after a write said, when it was not that the resource complies.
pub(crate) enum Found {
    Gone(Error),
    Held(String),
    /// Something could not be changed yet.
    Later(String),
    /// It is changed, and not shown to work yet.
    Unproved(String),
    /// It still violates.
    Left(String),
    /// What was shown took, and there is more that was not shown.
    More(String),
    /// There was no look.
    Unseen(Error),
}

/// What follows from a fix.
pub(crate) struct Judged {
    pub(crate) outcome: Outcome,
    pub(crate) detail: Option<String>,
    pub(crate) verification: Option<Verification>,
    pub(crate) effect: Effect,
}

impl<R: Rule> Engine<R> {
    /// Looks afresh until the resource complies with every control by which it is listed, with backoff, for at most
    /// `within`; at least once.
    pub(crate) async fn prove(
        &self,
        work: &Work<R>,
        changes: &[R::Change],
        written: &Written,
        warrant: &Warrant<R::Change>,
        within: Duration,
    ) -> Proof {
        let within = settled(written, within).await;
        let last = Mutex::new((Vec::new(), Vec::new()));
        let look = || async {
            let looked = Box::pin(self.look_again(SessionKind::Read, work.finding(), work.resource())).await;
            let Looked { seen, calls, .. } = looked.map_err(Found::of)?;
            let proposal = self.plan(&work.findings, &seen);
            let sides = sides::<R>(changes, &seen);
            let all_took = sides.iter().all(|side| *side == Side::After);
            *last.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = (sides, proposal.notes.clone());
            match what_is_left(&proposal) {
                None => Ok(calls),
                // What a person has not seen is not written, however often it is looked for.
                Some(Found::Left(left)) if matches!(warrant, Warrant::Shown(_)) && all_took => Err(Found::More(left)),
                Some(found) => Err(found),
            }
        };
        // What is only not proved takes minutes: the next poll looks again.
        let is_seen = || written.is_seen(&after(&last.lock().unwrap_or_else(std::sync::PoisonError::into_inner).0));
        let again = |found: &Found| matches!(found, Found::Left(_) | Found::Later(_) | Found::Unseen(_)) && !is_seen();
        let found = look_until(within, look, again).await;
        let (sides, notes) = last.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let sides = match &found {
            Err(Found::Unseen(_)) => None,
            Err(Found::Gone(_)) => Some(Vec::new()),
            _ => Some(sides),
        };
        Proof { found, sides, notes }
    }
}

/// Waits, after a write to which nobody answered, until a look shows what has come of it: the rule may have taken a step
/// of it back since, and a look right after that can show that step. Gives how much of `within` is left.
pub(crate) async fn settled(written: &Written, within: Duration) -> Duration {
    let wait = if written.unanswered().is_some() { SETTLED.min(within) } else { Duration::ZERO };
    tokio::time::sleep(wait).await;
    within - wait
}

/// Where each of these changes stands.
pub(crate) fn sides<R: Rule>(changes: &[R::Change], seen: &Seen<R::State>) -> Vec<Side> {
    changes.iter().map(|change| R::side(change, &seen.state)).collect()
}

/// The places of those that are in force.
pub(crate) fn after(sides: &[Side]) -> Vec<usize> {
    let sides = sides.iter().enumerate();
    sides.filter(|(_, side)| **side == Side::After).map(|(place, _)| place).collect()
}

fn what_is_left<C: ToString>(proposal: &Proposal<C>) -> Option<Found> {
    let Proposal { changes, held, not_now, unproved, notes: _ } = proposal;
    match (&changes[..], &held[..], &not_now[..], &unproved[..]) {
        ([], [], [], []) => None,
        ([], [], [], unproved) => Some(Found::Unproved(unproved.join("; "))),
        ([], [], not_now, _) => Some(Found::Later(not_now.join("; "))),
        ([], held, ..) => Some(Found::Held(held.join("; "))),
        (changes, ..) => Some(Found::Left(summaries(changes).join("; "))),
    }
}

/// Repeats `look`, which gives the calls that it made, with backoff while it fails with something for which `again`
/// holds, for at most `within`; and once more where a process that stood still got the answer to a look that it had sent
/// right after the write.
pub(crate) async fn look_until<E, F>(
    within: Duration,
    look: impl Fn() -> F,
    again: impl Fn(&E) -> bool,
) -> Result<Verification, E>
where
    F: Future<Output = Result<Vec<String>, E>>,
{
    let (looks, started, last) = (AtomicU32::new(0), Instant::now(), AtomicU64::new(0));
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(5))
        .without_max_times()
        .with_total_delay(Some(within));
    let counted = || {
        looks.fetch_add(1, Ordering::Relaxed);
        last.store(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        look()
    };
    // The backoff counts its own waits; a slow look takes time as well.
    let is_early = || within >= SETTLED && u128::from(last.load(Ordering::Relaxed)) < SETTLED.as_millis();
    let has_time = || started.elapsed() < within || is_early();
    let actions = counted.retry(backoff).when(|error| again(error) && has_time()).await?;
    Ok(Verification { at: ambient::now(), looks: looks.into_inner(), actions })
}

impl Found {
    fn of(error: Error) -> Self {
        if error.is_gone() { Self::Gone(error) } else { Self::Unseen(error) }
    }
}

/// What follows from the last look and from the failed write, if there was one.
pub(crate) fn judge(found: Result<Verification, Found>, failure: Option<Error>) -> Judged {
    let (outcome, detail, effect) = match (&found, failure) {
        (Ok(_), None) => (Outcome::Fixed, None, Effect::Worked),
        (Ok(_), Some(error)) if error.kind == ErrorKind::Unfinished => {
            let detail = format!("the resource complies, and what was begun may still change it: {error}");
            (Outcome::Unverified, Some(detail), Effect::Unknown)
        }
        (Ok(_), Some(error)) => {
            let detail = format!("a write failed, and yet the resource complies: {error}");
            (Outcome::Fixed, Some(detail), Effect::Worked)
        }
        (Err(Found::Gone(error)), _) => (Outcome::Gone, Some(error.to_string()), Effect::Unknown),
        (Err(Found::More(left)), _) => {
            let detail = format!("what was shown is written and has taken; not shown, and so left as it is: {left}");
            (Outcome::Held, Some(detail), Effect::Worked)
        }
        (Err(_), Some(error)) => (outcome_of(&error), Some(error.to_string()), effect_of(&error)),
        (Err(Found::Held(held)), None) => (Outcome::Held, Some(held.clone()), Effect::Unknown),
        (Err(Found::Later(later)), None) => (Outcome::Deferred, Some(later.clone()), Effect::Unknown),
        (Err(Found::Unproved(missing)), None) => (Outcome::Unverified, Some(missing.clone()), Effect::Unknown),
        (Err(Found::Left(left)), None) => {
            (Outcome::Unverified, Some(format!("a fresh look still finds: {left}")), Effect::Failed)
        }
        (Err(Found::Unseen(error)), None) => {
            (Outcome::Unverified, Some(format!("a fresh look failed: {error}")), effect_of(error))
        }
    };
    let verification = found.ok().filter(|_| outcome != Outcome::Unverified);
    Judged { outcome, detail, verification, effect }
}

/// The outcome of a write that failed and had no effect that can be seen.
pub(crate) fn outcome_of(error: &Error) -> Outcome {
    // It is there: a look has found it.
    if error.is_gone() { Outcome::Failed } else { error.kind.outcome() }
}

/// What an error says of whether fixes work: nothing, where it passes by itself or is not a fix's.
fn effect_of(error: &Error) -> Effect {
    match outcome_of(error) {
        Outcome::Failed | Outcome::Unverified => Effect::Failed,
        _ => Effect::Unknown,
    }
}

/// Which changes are in force because of this run: of those that were begun, the ones that the last look found so, or all
/// where it failed; and the one that may take yet. One of which the answer was lost and that is half made is, too. What
/// somebody else had made already is none of them.
pub(crate) fn in_force(sides: Option<&[Side]>, written: &Written) -> Vec<usize> {
    let is_seen = |place: &usize| match sides.map(|sides| sides.get(*place)) {
        None | Some(Some(Side::After)) => true,
        Some(Some(Side::Neither)) => written.unanswered() == Some(*place),
        Some(Some(Side::Before) | None) => false,
    };
    let is_ours = |place: &usize| !written.unneeded.contains(place);
    let may_still_come = written.may_still_come();
    (0..written.begun).filter(|place| is_ours(place) && (is_seen(place) || may_still_come == Some(*place))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use remediation::ErrorKind::{AccessDenied, Transient, Unfinished};

    use super::*;
    use crate::fake::failure;

    /// Two changes were begun, and the second one failed.
    fn took(second: Error, sides: Option<&[Side]>, unneeded: &[usize]) -> Vec<usize> {
        let unneeded: BTreeSet<_> = unneeded.iter().copied().collect();
        in_force(sides, &Written { done: 1, begun: 2, unneeded, failure: Some(second) })
    }

    #[test]
    fn in_force_is_what_a_look_finds_so_and_what_may_still_come() {
        use Side::{After, Before, Neither};
        let failed = |kind| failure("test:Close", kind);
        let answered = || Error { code: Some("InternalError".into()), ..failed(Transient) };
        assert_eq!(took(answered(), Some(&[After, Before]), &[]), [0], "a look finds that it did not take");
        assert_eq!(took(answered(), Some(&[After, After]), &[]), [0, 1]);
        assert_eq!(took(answered(), Some(&[After, Neither]), &[]), [0, 1], "it is half made");
        assert_eq!(took(failed(AccessDenied), Some(&[After, Neither]), &[]), [0], "that was somebody else");
        assert!(took(answered(), Some(&[Neither, Before]), &[]).is_empty(), "that was somebody else, after it");
        assert_eq!(took(failed(Unfinished), Some(&[Before, Before]), &[]), [1], "it may still come");
        assert_eq!(took(failed(Transient), Some(&[Before, Before]), &[]), [1], "nobody answered: it may still come");
        assert_eq!(took(answered(), Some(&[After, After]), &[0]), [1], "somebody else had made it already");
        assert_eq!(took(failed(AccessDenied), None, &[]), [0, 1], "nobody has seen that they are not");
        assert!(took(answered(), Some(&[]), &[]).is_empty(), "nothing is there any more");
    }
}
