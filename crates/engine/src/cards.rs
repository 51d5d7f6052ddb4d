//! The cards of a run's resources. Which cards there are, and of which version, is listed once for an account before its
//! resources are looked at: so whoever writes to a resource after that is seen by the claim, which holds only while the
//! card is still of that version.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use remediation::records::{CardError, Condition, Record as _, Version, card_key, cards_of};
use remediation::{AccountId, Card, Outcome, RecordError, Records, Resource};
use tokio::sync::OnceCell;

/// The cards of an account's resources by their keys, each with its version.
type Listed = BTreeMap<String, Version>;
type Listing = Arc<OnceCell<Result<Listed, CardsError>>>;

/// The cards of one rule's resources.
#[derive(Debug)]
pub(crate) struct Cards {
    records: Records,
    rule: String,
    listed: Mutex<HashMap<AccountId, Listing>>,
}

/// A resource's card as it was read, or that it has none.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) key: String,
    pub(crate) card: Card,
    pub(crate) condition: Condition,
    /// Whether a look has told of a write more than the stored card says: that it is in force no longer.
    pub(crate) is_news: bool,
}

/// Why a resource's card is not known: nothing is written to it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("its card cannot be read, so nothing is written: {why}")]
pub(crate) struct CardsError {
    why: String,
    pub(crate) outcome: Outcome,
}

impl Cards {
    pub(crate) fn new(records: &Records, rule: &str) -> Self {
        Self { records: records.clone(), rule: rule.to_owned(), listed: Mutex::default() }
    }

    /// Lists the cards of an account's resources, the first time that it is asked.
    pub(crate) async fn list(&self, account: &AccountId) -> Result<(), CardsError> {
        let slot = self.slot(account);
        let listed = slot.get_or_init(|| self.listed(account)).await;
        listed.as_ref().map(drop).map_err(Clone::clone)
    }

    /// The card of a resource, as it was when its account's cards were listed or later.
    pub(crate) async fn read(&self, resource: &Resource) -> Result<Known, CardsError> {
        let slot = self.slot(&resource.owner);
        let listed = slot.get_or_init(|| self.listed(&resource.owner)).await.as_ref().map_err(Clone::clone)?;
        let key = card_key(&self.rule, resource);
        let Some(version) = listed.get(&key) else { return Ok(self.none(key, resource)) };
        let known = self.read_again(resource).await?;
        // Who has written the card since it was listed has perhaps written to the resource since it was looked at: on
        // this condition no claim comes about.
        Ok(Known { condition: Condition::Unchanged(version.clone()), ..known })
    }

    /// The card of a resource as it is now.
    pub(crate) async fn read_again(&self, resource: &Resource) -> Result<Known, CardsError> {
        let key = card_key(&self.rule, resource);
        let stored = self.records.find_at_most(&key, Card::MOST_BYTES).await;
        let Some(stored) = stored.map_err(|error| CardsError::unread(&error))? else {
            return Ok(self.none(key, resource));
        };
        let card = Card::from_json(&stored.bytes, &self.rule, resource);
        let card = card.map_err(|error| CardsError::unusable(&key, &error))?;
        Ok(Known { key, card, condition: Condition::Unchanged(stored.version), is_news: false })
    }

    fn none(&self, key: String, resource: &Resource) -> Known {
        Known { key, card: Card::new(&self.rule, resource), condition: Condition::Absent, is_news: false }
    }

    async fn listed(&self, account: &AccountId) -> Result<Listed, CardsError> {
        let listed = self.records.versions(&cards_of(&self.rule, account.as_ref())).await;
        listed.map_err(|error| CardsError::unread(&error))
    }

    fn slot(&self, account: &AccountId) -> Listing {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(listed.entry(account.clone()).or_default())
    }
}

impl CardsError {
    fn unread(error: &RecordError) -> Self {
        Self { why: error.to_string(), outcome: error.outcome() }
    }

    fn unusable(key: &str, error: &CardError) -> Self {
        Self { why: format!("{key}: {error}"), outcome: Outcome::Failed }
    }
}
