//! The cards of many resources, as people ask for them: listed by what their keys say, read side by side, and changed only
//! as they were read.

use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use remediation::records::{CardPlace, Condition, Record as _, Stored, cards_of, is_awaited_key};
use remediation::{AccountId, Card, Folder, RecordError, Records, Region};
use tokio::time::sleep;

use crate::error::Error;

/// How many cards are read, or changed, at a time.
pub(crate) const AT_A_TIME: usize = 32;
/// How often a card is read again that somebody else has changed meanwhile.
const TRIES: u32 = 5;
/// How long to wait before that.
const PAUSE: Duration = Duration::from_millis(200);

/// Which resources are meant: all that is given must apply, and what is not given does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Which {
    /// The IDs of rules.
    pub(crate) rules: Vec<String>,
    pub(crate) accounts: Vec<AccountId>,
    pub(crate) regions: Vec<Region>,
    /// ARNs, or the names that ARNs end with.
    pub(crate) resources: Vec<String>,
}

/// A card, and what its key says.
#[derive(Debug, Clone)]
pub(crate) struct CardAt {
    pub(crate) key: String,
    pub(crate) place: CardPlace,
    pub(crate) card: Card,
}

/// The cards that could be read, in the order of their keys, and what is wrong with the others.
#[derive(Debug, Default)]
pub(crate) struct Cards {
    pub(crate) cards: Vec<CardAt>,
    pub(crate) problems: Vec<String>,
}

impl Which {
    /// Whether what is at `place` may be meant, by its place alone.
    fn may_hold(&self, place: &CardPlace) -> bool {
        (self.rules.is_empty() || self.rules.contains(&place.rule))
            && (self.accounts.is_empty() || self.accounts.contains(&place.account))
            && (self.regions.is_empty() || self.regions.contains(&place.region))
            && (self.resources.is_empty()
                || self.resources.iter().any(|name| !name.starts_with("arn:") || place.is_of(name)))
    }

    /// Whether the resource with this ARN, whose card is at `place`, is meant.
    pub(crate) fn holds(&self, place: &CardPlace, arn: &str) -> bool {
        let is_named = self.resources.is_empty() || self.resources.iter().any(|name| is_called(arn, name));
        self.may_hold(place) && is_named
    }

    /// How the keys of these cards begin.
    fn prefixes(&self) -> Vec<String> {
        let of_accounts = |rule: &String| match &self.accounts[..] {
            [] => vec![Folder::Resources.of(rule)],
            accounts => accounts.iter().map(|account| cards_of(rule, account.as_ref())).collect(),
        };
        match &self.rules[..] {
            [] => vec![format!("{}/", Folder::Resources.name())],
            rules => rules.iter().flat_map(of_accounts).collect(),
        }
    }
}

/// Whether an ARN is `name`, or ends with it as a whole.
pub(crate) fn is_called(arn: &str, name: &str) -> bool {
    arn == name || arn.strip_suffix(name).is_some_and(|rest| !name.is_empty() && rest.ends_with(['/', ':']))
}

/// Reads the cards of these resources. One that cannot be read is a problem, and stops no other.
///
/// # Errors
///
/// They cannot be listed.
pub(crate) async fn read(records: &Records, which: &Which) -> Result<Cards, Error> {
    let (mut wanted, mut found) = (Vec::new(), Cards::default());
    for prefix in which.prefixes() {
        for key in records.list(&prefix).await.map_err(Box::new)? {
            match CardPlace::of_key(&key) {
                Some(place) if which.may_hold(&place) => wanted.push((key, place)),
                Some(_) => {}
                None if is_awaited_key(&key) => {}
                None => found.problems.push(format!("{key} is not the key of a card")),
            }
        }
    }
    let read = |(key, place): (String, CardPlace)| async move {
        match fetch(records, &key, &place).await {
            // Nobody deletes a card, but they expire.
            Ok(None) => Ok(None),
            Ok(Some((card, _))) => Ok(Some(CardAt { key, place, card })),
            Err(why) => Err(why),
        }
    };
    let mut cards = stream::iter(wanted).map(read).buffered(AT_A_TIME);
    while let Some(card) = cards.next().await {
        match card {
            Ok(card) => found.cards.extend(card.filter(|of| which.holds(&of.place, of.card.resource()))),
            Err(why) => found.problems.push(why),
        }
    }
    Ok(found)
}

/// The card at `key`, where there is one, and the condition on which it can be replaced.
///
/// # Errors
///
/// It cannot be read; says which, and why.
pub(crate) async fn fetch(
    records: &Records,
    key: &str,
    place: &CardPlace,
) -> Result<Option<(Card, Condition)>, String> {
    let stored = records.find_at_most(key, Card::MOST_BYTES).await.map_err(|error| error.to_string())?;
    let Some(Stored { bytes, version }) = stored else { return Ok(None) };
    let card = Card::at(&bytes, place).map_err(|error| format!("{key}: {error}"))?;
    Ok(Some((card, Condition::Unchanged(version))))
}

/// Why a card is left as it is.
#[derive(Debug)]
pub(crate) enum Unchanged {
    /// There is nothing to change, or it must not be changed now.
    Left(String),
    Failed(String),
}

/// Changes the card at `key` as `change` says, on condition that it is still as it was read: where somebody else was
/// faster, it is read, and asked about, again. Nobody else's claim is touched: its holder stores the card only as it was.
///
/// # Errors
///
/// [`Unchanged`]: there is no such card, a run is at work on the resource, `change` refuses, or it cannot be stored.
pub(crate) async fn change(
    records: &Records,
    key: &str,
    place: &CardPlace,
    change: impl Fn(Card) -> Result<Card, String>,
) -> Result<(), Unchanged> {
    let failed = |error: RecordError| Unchanged::Failed(error.to_string());
    for _ in 0..TRIES {
        let found = fetch(records, key, place).await.map_err(Unchanged::Failed)?;
        let (card, condition) = found.ok_or_else(|| Unchanged::Left("it has no card any more".to_owned()))?;
        if let Some(claim) = card.claimed_by_another("", ambient::now()) {
            let (run, until) = (claim.run, claim.until);
            return Err(Unchanged::Failed(format!(
                "the run {run} is at work on it, until {until} at most, so nothing was changed: try again after that"
            )));
        }
        let card = change(card).map_err(Unchanged::Left)?;
        let bytes = card.to_json().map_err(|error| Unchanged::Failed(error.to_string()))?;
        if records.put_if(&condition, key, bytes).await.map_err(failed)?.is_some() {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
    Err(Unchanged::Failed("somebody else changes its card again and again, so nothing was changed: try again".into()))
}

/// The time before `now` by `age`.
pub(crate) fn before(now: Timestamp, age: jiff::SignedDuration) -> Timestamp {
    now.checked_sub(age).unwrap_or(Timestamp::MIN)
}
