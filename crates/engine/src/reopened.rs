//! What a look finds to be still to be made of what earlier runs wrote: it was taken back since, by whomever.

use std::collections::BTreeSet;

use jiff::Timestamp;
use remediation::records::{Ended, FoundUnmade, Unmade, Write};
use remediation::{BatchId, Card, Rule, Side};

use crate::Engine;
use crate::cards::Known;
use crate::decide::Decided;
use crate::resolve::Looked;

/// A resource's part of the plan of a run that looks at it.
pub(crate) struct Part<'a, C> {
    /// Its digest.
    pub(crate) digest: &'a str,
    /// Its changes.
    pub(crate) changes: &'a [C],
}

/// What `state` says of the writes on a card. An attempt of this very batch that came back knows better what it made.
fn unmade<R: Rule>(card: &Card, id: &BatchId, state: &R::State, part: &Part<'_, R::Change>) -> Vec<Unmade> {
    let is_own = |write: &Write| write.ended != Ended::CutOff && (write.run, write.batch) == (id.run, id.batch);
    let unmade = |write: Write| {
        let kept = || write.changes.iter().map(|change| serde_json::from_value(change.clone()).ok());
        let changes: Vec<Option<R::Change>> =
            if write.part == part.digest { part.changes.iter().cloned().map(Some).collect() } else { kept().collect() };
        let is_unmade =
            |change: &Option<R::Change>| change.as_ref().is_some_and(|of| R::side(of, state) == Side::Before);
        let places: BTreeSet<_> = (0..changes.len()).filter(|place| is_unmade(&changes[*place])).collect();
        let Write { run, batch, part, .. } = write;
        (!places.is_empty()).then_some(Unmade { run, batch, part, places, of: changes.len() })
    };
    card.all_writes().filter(|write| !is_own(write)).filter_map(unmade).collect()
}

impl<R: Rule> Engine<R> {
    /// What a look says of the writes on a card.
    pub(crate) fn found_unmade(
        &self,
        card: &Card,
        id: &BatchId,
        looked: &Looked<R>,
        part: &Part<'_, R::Change>,
    ) -> FoundUnmade {
        // Cards go by the clock by which claims end.
        let ago = ambient::now().duration_since(looked.began);
        let began = self.clock.now().checked_sub(ago).unwrap_or(Timestamp::MIN);
        FoundUnmade { looked: began, unmade: unmade::<R>(card, id, &looked.seen.state, part) }
    }

    /// Takes from a card what the look has found to be in force no longer. Where there is a claim, what was set going under it
    /// may take still.
    pub(crate) fn heed_reopened(&self, known: &mut Known, decided: &Decided<R>, id: &BatchId) {
        if known.card.claim.is_some() {
            return;
        }
        let Ok(digest) = decided.planned().digest() else { return };
        let part = Part { digest: &digest, changes: &decided.proposal.changes };
        let found = self.found_unmade(&known.card, id, &decided.work.looked, &part);
        let card = known.card.clone().reopened(&found);
        known.is_news = card != known.card;
        known.card = card;
    }

    /// Keeps that on the card of a resource to which nothing is written.
    pub(crate) async fn remember_reopened(&self, decided: &mut Decided<R>) {
        let Some(known) = decided.known.as_mut().filter(|known| known.is_news) else { return };
        match self.keep_unclaimed(known, &known.card).await {
            Ok(Some(condition)) => known.condition = condition,
            // Whoever was faster has said more of it.
            Ok(None) => {}
            Err(error) => {
                let resource = &decided.work.looked.seen.resource.arn;
                tracing::error!(%error, resource, "what is in force no longer could not be kept on a resource's card");
            }
        }
    }
}
