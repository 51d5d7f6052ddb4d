//! The fifth station: the changes are written, each only while the policy lets it, the claim holds and there is time.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use remediation::{Error, ErrorKind, Finding, Mode, Policy, Resource, Result, Rule, SessionKind};
use tokio::time::timeout;

use crate::claim::Claimed;
use crate::{Deadline, Engine};

/// What was looked at longer ago than this is looked at again before it is written to.
const FRESH: SignedDuration = SignedDuration::from_secs(30);
/// What is reported of a resource that a run has no time to write.
pub(crate) const NO_TIME: &str = "no time was left to write it; the next poll will";
/// What is reported of a resource that was looked at again, and was not as before.
pub(crate) const CHANGED: &str = "it has changed since it was looked at; the next poll looks again";

/// Whether a look was a while ago: the resource has waited for its turn, or the process stood still. What somebody has
/// done since is not to be written over, nor told to be ours.
pub(crate) fn is_old(looked: Timestamp) -> bool {
    ambient::now().duration_since(looked) > FRESH
}

/// What is written, and on what condition.
pub(crate) struct Order<'a, C> {
    pub(crate) finding: &'a Finding,
    pub(crate) resource: &'a Resource,
    pub(crate) changes: &'a [C],
    /// When the changes were last seen to be still to be made.
    pub(crate) looked: Timestamp,
    /// The session with which it is written.
    pub(crate) session: SessionKind,
    /// The mode that the policy must still allow.
    pub(crate) needs: Mode,
    pub(crate) claimed: &'a Claimed,
    pub(crate) deadline: Deadline,
}

/// How far the writing came.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// So many of the changes were written.
    pub(crate) done: usize,
    /// So many were begun.
    pub(crate) begun: usize,
    /// Those of them, by their places, that somebody else had made already.
    pub(crate) unneeded: BTreeSet<usize>,
    /// What ended it before its time.
    pub(crate) failure: Option<Error>,
}

impl Written {
    /// The place of the change that was begun and may take yet: its end was not awaited, or nobody answered.
    pub(crate) fn may_still_come(&self) -> Option<usize> {
        let goes_on = |error: &Error| error.kind == ErrorKind::Unfinished || error.is_unanswered();
        (self.done < self.begun && self.failure.as_ref().is_some_and(goes_on)).then_some(self.done)
    }

    /// The place of the change that was begun, and of which the answer that is missing may have been a yes.
    pub(crate) fn unanswered(&self) -> Option<usize> {
        let is_open = self.failure.as_ref().is_some_and(is_open);
        (is_open && self.done < self.begun).then_some(self.done)
    }

    /// Whether, after a failure, a look has shown all that this may have put in force: then no other look is needed. What
    /// was written, or may have been because its answer was lost, need not show right after it.
    pub(crate) fn is_seen(&self, took: &[usize]) -> bool {
        let Some(failure) = &self.failure else { return false };
        let count = if is_open(failure) { self.begun } else { self.done };
        (0..count).all(|place| took.contains(&place))
    }
}

/// Whether a write that failed so may have taken all the same.
fn is_open(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Transient | ErrorKind::Throttled | ErrorKind::Unfinished)
}

impl<R: Rule> Engine<R> {
    /// Writes the changes, one after the other. The first that fails ends it.
    pub(crate) async fn write(&self, order: &Order<'_, R::Change>) -> Written {
        let mut written = Written::default();
        written.failure = self.write_all(order, &mut written).await.err();
        written
    }

    async fn write_all(&self, order: &Order<'_, R::Change>, written: &mut Written) -> Result<()> {
        let located = order.finding.located(self.manifest.scope)?;
        let client = self.client(&located, order.session).await?;
        let mut looked = order.looked;
        for change in order.changes {
            self.is_still_allowed(order).await?;
            if is_old(looked) {
                return Err(Error::not_now("look", "it was looked at too long ago; the next poll looks again"));
            }
            if self.interrupt.is_interrupted() {
                let done = format!("after {} of {} changes", written.done, order.changes.len());
                return Err(Error::not_now("interrupted", format!("nothing more was written to it, {done}")));
            }
            let left = self.time_to_write(order)?;
            written.begun += 1;
            let unfinished = |why: String| {
                let message = format!("the write was begun, but had not ended {why}");
                Error::new(&change.to_string(), ErrorKind::Unfinished, message)
            };
            let apply = timeout(left, self.while_it_holds(order.claimed, R::apply(&client, order.resource, change)));
            let applied = tokio::select! {
                biased;
                () = order.claimed.is_lost() => {
                    return Err(unfinished("when the claim on the resource was lost".into()));
                }
                applied = apply => applied.map_err(|_| unfinished(format!("after {} s", left.as_secs())))?,
            };
            match applied.ok_or_else(|| unfinished("when the claim on the resource was over".into()))? {
                Err(error) if error.kind == ErrorKind::Unneeded => drop(written.unneeded.insert(written.done)),
                applied => applied.map_err(|error| self.in_session(&located, error))?,
            }
            written.done += 1;
            looked = ambient::now();
        }
        Ok(())
    }

    /// What comes of a write; nothing once the claim is over. A process that stood still, or whose machine slept, does
    /// not take one more step of what it had begun: whoever has claimed the resource since would not be the only writer.
    async fn while_it_holds<T>(&self, claimed: &Claimed, apply: impl Future<Output = T>) -> Option<T> {
        let mut apply = Box::pin(apply);
        let step = |context: &mut Context<'_>| {
            if self.clock.now() < claimed.until() { apply.as_mut().poll(context).map(Some) } else { Poll::Ready(None) }
        };
        poll_fn(step).await
    }

    /// How long a write may take: to the deadline and to the end of the claim, whichever comes first. Without a deadline
    /// the claim is renewed, and who cannot do so says that it is lost.
    fn time_to_write(&self, order: &Order<'_, R::Change>) -> Result<Duration> {
        let claimed = order.claimed.until().duration_since(self.clock.now());
        let Some(claimed) = Duration::try_from(claimed).ok().filter(|left| !left.is_zero()) else {
            return Err(Error::not_now("claim", "the claim on the resource has ended, so nothing more is written"));
        };
        let to_deadline = order.deadline.left().saturating_sub(self.bounds.conclude);
        if to_deadline.is_zero() {
            return Err(Error::not_now("deadline", NO_TIME));
        }
        Ok(if order.deadline.is_set() { claimed.min(to_deadline) } else { to_deadline })
    }

    /// Whether the policy, as it was a second ago or later, still lets this be written.
    async fn is_still_allowed(&self, order: &Order<'_, R::Change>) -> Result<()> {
        let Some(record) = &self.policy_record else { return self.is_in_window(order, &self.policy) };
        let Order { finding, resource, needs, .. } = *order;
        let policy = record.watched().await.map_err(|error| match error.passes() {
            true => Error::new("policy", ErrorKind::Transient, error.to_string()),
            false => Error::stopped(error.to_string()),
        })?;
        if let Some(why) = self.why_paused(&policy, finding, Some(resource)) {
            return Err(Error::stopped(why));
        }
        if policy.mode(&self.manifest.id, &finding.account) < needs {
            return Err(Error::stopped("the rule's mode has changed since the plan was made".into()));
        }
        self.in_scope(&policy, &finding.account).map_err(|error| Error::stopped(error.message))?;
        self.is_in_window(order, &policy)
    }

    /// Whether the policy's change windows let it be written now. A way back is open at any time.
    fn is_in_window(&self, order: &Order<'_, R::Change>, policy: &Policy) -> Result<()> {
        if order.session == SessionKind::Undo {
            return Ok(());
        }
        let closed = policy.closed(&self.manifest.id, &order.finding.account, self.clock.now());
        closed.map_or(Ok(()), |closed| Err(Error::not_now("policy", closed.to_string())))
    }
}
