//! What stops all findings of an account: said once an account, not once a finding.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use remediation::{AccountId, AccountProblem, Error};

/// The account, and the call with its code that failed there.
type Key = (AccountId, String, Option<String>);

/// Counts the findings that met the same error of their account.
#[derive(Debug, Default)]
pub(crate) struct Problems(Mutex<BTreeMap<Key, AccountProblem>>);

impl Problems {
    /// So many more findings of `account` have met `error`.
    pub(crate) fn count(&self, account: &AccountId, error: &Error, findings: usize) {
        let key = (account.clone(), error.action.clone(), error.code.clone());
        let new = || AccountProblem { account: account.clone(), findings: 0, reason: error.to_string() };
        let mut problems = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        problems.entry(key).or_insert_with(new).findings += findings;
    }

    /// All of them, account by account; from then on it counts anew.
    pub(crate) fn take(&self) -> Vec<AccountProblem> {
        let problems = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        problems.into_values().collect()
    }
}
