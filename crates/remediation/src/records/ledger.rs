//! How much the runs of a day have changed so far, kept where all of their batches see it, so that a limit holds for all
//! together.
//!
//! A ledger is one object for a rule and a day. It is written only on condition that it is still as it was read: of two
//! batches that write at once, one reads again. Where hundreds do, one after the other would take minutes: so whoever was
//! slower stands in `line`, where somebody else's write serves all who wait.

mod asked;
mod line;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use self::asked::Asked;
use super::again::{Refused, again};
use super::keys::ledger_key;
use super::schema::{Record, read};
use super::{Condition, RecordError, Records};
use crate::aws::AccountId;
use crate::domain::RunId;
use crate::policy::Limits;

/// The version of the format of ledgers that this build writes and reads.
pub const LEDGER_SCHEMA: u32 = 3;
/// How long a batch tries to write its part among others.
const PATIENCE: Duration = Duration::from_secs(60);

/// The ledger of one run, in that of its day.
#[derive(Debug, Clone)]
pub struct Ledger {
    records: Records,
    key: String,
    run: RunId,
}

/// What holds back a change that is over a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeldBack {
    /// A later run has room for it.
    Later(String),
    /// No run ever has.
    Always(String),
}

/// What the runs of a day have changed, or are about to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Day {
    schema: u32,
    /// What no other version has: two batches that take the same must not think that either's is their own.
    nonce: Uuid,
    changes: u32,
    runs: BTreeMap<RunId, Run>,
    /// What whoever has served a line had for those who stood in it: for each change that was wanted, whether it was taken.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    served: BTreeMap<Uuid, Vec<bool>>,
}

/// What one run has changed, or is about to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
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

impl Record for Day {
    const KIND: &'static str = "ledger";
    const SCHEMA: u32 = LEDGER_SCHEMA;
    const MOST_BYTES: usize = 16 * 1024 * 1024;
}

impl Ledger {
    /// The ledger of the run `run` of `name`: a rule, or whatever runs several.
    pub fn new(records: Records, name: &str, run: RunId) -> Self {
        Self { records, key: ledger_key(name, run), run }
    }

    /// Takes up to the limits what each of `wanted` would change; for each that is over one, what holds it back.
    ///
    /// # Errors
    ///
    /// The ledger cannot be read or written.
    pub async fn take(
        &self,
        rule: &str,
        limits: &Limits,
        wanted: &[(AccountId, u32)],
    ) -> Result<Vec<Option<HeldBack>>, RecordError> {
        let asked = Asked::new(self.run, rule, limits, wanted);
        match self.attempt(&|day: &mut Day| day.take_all(&asked)).await {
            Err(Refused::Taken) => self.stand_in_line(&asked).await,
            Err(Refused::Failed(error)) => Err(error),
            Ok(held) => Ok(held),
        }
    }

    /// Ends the run, or its part in one account: nothing more is taken there.
    ///
    /// # Errors
    ///
    /// The ledger cannot be read or written.
    pub async fn stop(&self, account: Option<&AccountId>, why: &str) -> Result<(), RecordError> {
        self.update(|day| {
            let run = day.runs.entry(self.run).or_default();
            match account {
                Some(account) => drop(run.stopped_accounts.insert(account.clone(), why.to_owned())),
                None => run.stopped = Some(why.to_owned()),
            }
        })
        .await
    }

    async fn update<T>(&self, change: impl Fn(&mut Day) -> T) -> Result<T, RecordError> {
        again(PATIENCE, || self.attempt(&change), || self.taken()).await
    }

    async fn attempt<T>(&self, change: &impl Fn(&mut Day) -> T) -> Result<T, Refused<RecordError>> {
        let (before, condition) = self.read().await?;
        let mut day = before.clone();
        let result = change(&mut day);
        if day == before || self.store(day, &condition).await? { Ok(result) } else { Err(Refused::Taken) }
    }

    /// Whether it could be stored; not where somebody else was faster.
    async fn store(&self, mut day: Day, condition: &Condition) -> Result<bool, RecordError> {
        day.nonce = ambient::uuid_v4();
        let bytes = serde_json::to_vec(&day)?;
        Ok(self.records.put_if(condition, &self.key, bytes).await?.is_some())
    }

    fn taken(&self) -> RecordError {
        RecordError::Taken { key: self.key.clone() }
    }

    async fn read(&self) -> Result<(Day, Condition), RecordError> {
        let Some(stored) = self.records.find_at_most(&self.key, Day::MOST_BYTES).await? else {
            return Ok((Day::empty(), Condition::Absent));
        };
        let day = read(&stored.bytes).map_err(|source| RecordError::Unusable { key: self.key.clone(), source })?;
        Ok((day, Condition::Unchanged(stored.version)))
    }
}

impl Day {
    fn empty() -> Self {
        Self { schema: LEDGER_SCHEMA, nonce: Uuid::nil(), changes: 0, runs: BTreeMap::new(), served: BTreeMap::new() }
    }

    /// Takes all that is asked for, or says of each what holds it back.
    fn take_all(&mut self, asked: &Asked) -> Vec<Option<HeldBack>> {
        let limits = asked.limits();
        let each = asked.wanted.iter();
        each.map(|(account, changes)| self.take(asked.run, &asked.rule, account, *changes, &limits)).collect()
    }

    /// Takes `changes`, or says what holds them back.
    fn take(&mut self, run: RunId, rule: &str, account: &AccountId, changes: u32, limits: &Limits) -> Option<HeldBack> {
        let held = self.held_back(run, rule, account, changes, limits);
        if held.is_none() && limits.are_any() {
            self.changes = self.changes.saturating_add(changes);
            let run = self.runs.entry(run).or_default();
            run.changes = run.changes.saturating_add(changes);
            add(&mut run.rules, rule.to_owned(), changes);
            add(&mut run.accounts, account.clone(), changes);
        }
        held
    }

    /// What holds `changes` back.
    fn held_back(
        &self,
        run: RunId,
        rule: &str,
        account: &AccountId,
        changes: u32,
        limits: &Limits,
    ) -> Option<HeldBack> {
        let of_day = self.changes;
        let of_run = self.runs.get(&run).cloned().unwrap_or_default();
        if let Some(why) = of_run.stopped.as_ref().or_else(|| of_run.stopped_accounts.get(account)) {
            return Some(HeldBack::Later(why.clone()));
        }
        let of_rule = of_run.rules.get(rule).copied().unwrap_or_default();
        let of_account = of_run.accounts.get(account).copied().unwrap_or_default();
        let of_account_in_runs = self.runs.values().filter_map(|run| run.accounts.get(account));
        let of_account_and_day = of_account_in_runs.fold(0_u32, |sum, taken| sum.saturating_add(*taken));
        let limits = [
            ("changes_per_day", limits.changes_per_day, of_day),
            ("changes_per_run", limits.changes_per_run, of_run.changes),
            ("changes_per_rule", limits.changes_per_rule, of_rule),
            ("changes_per_account", limits.changes_per_account, of_account),
            ("changes_per_account_per_day", limits.changes_per_account_per_day, of_account_and_day),
        ];
        let limited = || limits.iter().filter_map(|(name, limit, taken)| Some((name, (*limit)?, taken)));
        if let Some((name, limit, _)) = limited().find(|(_, limit, _)| changes > *limit) {
            let why = format!("its {changes} changes are more than the limit {name} ({limit}) ever allows: raise it");
            return Some(HeldBack::Always(why));
        }
        // What is more than can be counted is over any limit.
        let is_over = |limit: u32, taken: u32| taken.checked_add(changes).is_none_or(|sum| sum > limit);
        if let Some((name, limit, _)) = limited().find(|(_, limit, taken)| is_over(*limit, **taken)) {
            return Some(HeldBack::Later(format!(
                "the limit {name} ({limit}) has no room for its {changes} change(s)"
            )));
        }
        None
    }
}

fn add<K: Ord>(counts: &mut BTreeMap<K, u32>, key: K, changes: u32) {
    let count = counts.entry(key).or_default();
    *count = count.saturating_add(changes);
}

#[cfg(test)]
mod tests;
