//! How much a run has changed so far, kept where all of its batches see it, so that a limit holds for all together.
//!
//! A ledger is a row of numbered pages. A page is written only where none of its number exists, so that of two batches
//! that write at once, one reads again.

use std::collections::BTreeMap;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::keys::ledger_folder;
use super::schema::Record;
use super::{RecordError, Records};
use crate::aws::AccountId;
use crate::domain::RunId;
use crate::policy::Limits;

/// The version of the format of a ledger's pages that this build writes and reads.
pub const LEDGER_SCHEMA: u32 = 2;
/// The highest number of a page: its name has six digits. Each page is a batch's, so no run comes near it.
const LAST_PAGE: u32 = 999_999;
/// How long a batch tries to write its page among others.
const PATIENCE: Duration = Duration::from_secs(60);

/// The ledger of one run.
#[derive(Debug, Clone)]
pub struct Ledger {
    records: Records,
    folder: String,
}

/// What a run has changed, or is about to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    schema: u32,
    /// What no other page has: two batches that take the same must not think that either's page is their own.
    nonce: Uuid,
    changes: u32,
    rules: BTreeMap<String, u32>,
    accounts: BTreeMap<AccountId, u32>,
    /// Why the rest of the run is deferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stopped: Option<String>,
    /// Why the rest of an account is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    stopped_accounts: BTreeMap<AccountId, String>,
}

impl Record for Page {
    const KIND: &'static str = "ledger";
    const SCHEMA: u32 = LEDGER_SCHEMA;
}

/// Why a page could not be added.
#[derive(Debug)]
enum Refused {
    /// Another batch was faster.
    Taken(String),
    Failed(RecordError),
}

impl Ledger {
    /// The ledger of the run `run` of `name`: a rule, or whatever runs several.
    pub fn new(records: Records, name: &str, run: RunId) -> Self {
        Self { records, folder: ledger_folder(name, run) }
    }

    /// Takes up to the limits what each of `wanted` would change; for each that is over one, what holds it back.
    pub async fn take(
        &self,
        rule: &str,
        limits: &Limits,
        wanted: &[(AccountId, u32)],
    ) -> Result<Vec<Option<String>>, RecordError> {
        self.update(|page| wanted.iter().map(|(account, changes)| page.take(rule, account, *changes, limits)).collect())
            .await
    }

    /// Ends the run, or its part in one account: nothing more is taken there.
    pub async fn stop(&self, account: Option<&AccountId>, why: &str) -> Result<(), RecordError> {
        self.update(|page| match account {
            Some(account) => drop(page.stopped_accounts.insert(account.clone(), why.to_owned())),
            None => page.stopped = Some(why.to_owned()),
        })
        .await
    }

    async fn update<T>(&self, change: impl Fn(&mut Page) -> T) -> Result<T, RecordError> {
        let backoff = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(Duration::from_millis(20))
            .with_max_delay(Duration::from_secs(2))
            .without_max_times()
            .with_total_delay(Some(PATIENCE));
        let attempt = || async {
            let (number, before) = self.last().await.map_err(Refused::Failed)?;
            let mut page = before.clone();
            let result = change(&mut page);
            if page == before {
                return Ok(result);
            }
            if number >= LAST_PAGE {
                return Err(Refused::Failed(RecordError::Full { key: self.key(number) }));
            }
            let key = self.key(number + 1);
            page.nonce = Uuid::new_v4();
            let bytes = serde_json::to_vec(&page).map_err(|error| Refused::Failed(error.into()))?;
            match self.records.create(&key, bytes).await {
                Ok(true) => Ok(result),
                Ok(false) => Err(Refused::Taken(key)),
                Err(error) => Err(Refused::Failed(error)),
            }
        };
        let updated = attempt.retry(backoff).when(|refused| matches!(refused, Refused::Taken(_))).await;
        updated.map_err(|refused| match refused {
            Refused::Taken(key) => RecordError::Taken { key },
            Refused::Failed(error) => error,
        })
    }

    async fn last(&self) -> Result<(u32, Page), RecordError> {
        let start = format!("{}page-", self.folder);
        let keys = self.records.list(&start).await?;
        let number = |key: &String| key.strip_prefix(&start)?.strip_suffix(".json")?.parse::<u32>().ok();
        // A page of a higher number is not of our making, and would be the last one for ever.
        let numbers = keys.iter().filter_map(number).filter(|number| *number <= LAST_PAGE);
        let Some(number) = numbers.max() else { return Ok((0, Page::empty())) };
        Ok((number, self.records.get_as(&self.key(number)).await?))
    }

    fn key(&self, number: u32) -> String {
        format!("{}page-{number:06}.json", self.folder)
    }
}

impl Page {
    fn empty() -> Self {
        Self {
            schema: LEDGER_SCHEMA,
            nonce: Uuid::nil(),
            changes: 0,
            rules: BTreeMap::new(),
            accounts: BTreeMap::new(),
            stopped: None,
            stopped_accounts: BTreeMap::new(),
        }
    }

    /// Takes `changes`, or says what holds them back.
    fn take(&mut self, rule: &str, account: &AccountId, changes: u32, limits: &Limits) -> Option<String> {
        if let Some(why) = self.stopped.as_ref().or_else(|| self.stopped_accounts.get(account)) {
            return Some(why.clone());
        }
        let of_rule = self.rules.get(rule).copied().unwrap_or_default();
        let of_account = self.accounts.get(account).copied().unwrap_or_default();
        let limits = [
            ("changes_per_run", limits.changes_per_run, self.changes),
            ("changes_per_rule", limits.changes_per_rule, of_rule),
            ("changes_per_account", limits.changes_per_account, of_account),
        ];
        let over = |(_, limit, taken): &(_, Option<u32>, u32)| {
            // What is more than can be counted is over any limit.
            limit.is_some_and(|limit| taken.checked_add(changes).is_none_or(|sum| sum > limit))
        };
        if let Some((name, Some(limit), _)) = limits.into_iter().find(over) {
            return Some(format!("the limit {name} ({limit}) has no room for its {changes} change(s)"));
        }
        if limits.iter().any(|(_, limit, _)| limit.is_some()) {
            self.changes = self.changes.saturating_add(changes);
            self.rules.insert(rule.to_owned(), of_rule.saturating_add(changes));
            self.accounts.insert(account.clone(), of_account.saturating_add(changes));
        }
        None
    }
}

#[cfg(test)]
mod tests;
