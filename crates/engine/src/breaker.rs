//! The breaker: where too many fixes fail, the rest is deferred: first of the account, then of the run.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use remediation::{AccountId, Limits};

/// How the breaker says why it is open.
const OVER: &str = "more than the limit failure_percent";

/// Whether a finding's detail says that a breaker has deferred it.
pub fn is_by_breaker(detail: &str) -> bool {
    detail.contains(OVER)
}

/// What a fix says of whether fixes work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It worked.
    Worked,
    /// It did not.
    Failed,
    /// Nothing: it was put off, or held.
    Unknown,
}

/// A breaker that has opened just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opened {
    /// Whose it is; none where it is that of all accounts.
    pub(crate) account: Option<AccountId>,
    /// Why.
    pub(crate) why: String,
}

/// Counts fixes and failures, of each account and of all.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    accounts: BTreeMap<AccountId, Counts>,
    all: Option<Counts>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    done: u64,
    failed: u64,
    open: bool,
}

impl Breaker {
    /// Counts a fix in `account`. Gives the breakers that this opens.
    pub(crate) fn count(&self, account: &AccountId, effect: Effect, limits: &Limits) -> Vec<Opened> {
        if effect == Effect::Unknown {
            return Vec::new();
        }
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut opened = Vec::new();
        let counts = state.accounts.entry(account.clone()).or_default();
        counts.count(effect);
        if counts.opens(limits) {
            counts.open = true;
            let why = format!("account {account}: {}", counts.why(limits));
            opened.push(Opened { account: Some(account.clone()), why });
        }
        let all = state.all();
        if state.all.is_none() && all.opens(limits) && state.all_but_the_worst().opens(limits) {
            opened.push(Opened { account: None, why: all.why(limits) });
            state.all = Some(all);
        }
        opened
    }

    /// Why nothing more is written in `account`, where that is so.
    pub(crate) fn is_open(&self, account: &AccountId, limits: &Limits) -> Option<String> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_account = state.accounts.get(account).filter(|counts| counts.open);
        let of_account = || of_account.map(|counts| format!("account {account}: {}", counts.why(limits)));
        state.all.map(|counts| counts.why(limits)).or_else(of_account)
    }
}

impl State {
    /// The counts of all accounts.
    fn all(&self) -> Counts {
        self.accounts.values().map(|counts| counts.in_all()).fold(Counts::default(), Counts::and)
    }

    /// The same without the account that failed the most: no account alone defers the others.
    fn all_but_the_worst(&self) -> Counts {
        let mut counts: Vec<_> = self.accounts.values().map(|counts| counts.in_all()).collect();
        counts.sort_by_key(|counts| counts.failed);
        counts.pop();
        counts.into_iter().fold(Counts::default(), Counts::and)
    }
}

impl Counts {
    fn count(&mut self, effect: Effect) {
        self.done += 1;
        self.failed += u64::from(effect == Effect::Failed);
    }

    /// What they are among those of all accounts: where the account's own breaker is open, a single failure.
    fn in_all(self) -> Self {
        if self.open { Self { done: 1, failed: 1, open: false } } else { self }
    }

    fn and(self, other: Self) -> Self {
        Self { done: self.done + other.done, failed: self.failed + other.failed, ..self }
    }

    /// Whether they are too many failures, for the first time.
    fn opens(self, limits: &Limits) -> bool {
        let over = self.failed * 100 > self.done * u64::from(limits.failure_percent);
        !self.open && self.done >= u64::from(limits.failure_minimum) && over
    }

    fn why(self, limits: &Limits) -> String {
        let Self { done, failed, .. } = self;
        format!("{failed} of {done} fixes failed, {OVER} ({})", limits.failure_percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits::unlimited();

    fn account(number: u64) -> AccountId {
        format!("{number:012}").parse().unwrap()
    }

    fn count(breaker: &Breaker, of: u64, effect: Effect, times: u64) -> Vec<Option<AccountId>> {
        let opened = (0..times).flat_map(|_| breaker.count(&account(of), effect, &LIMITS));
        opened.map(|opened| opened.account).collect()
    }

    #[test]
    fn an_account_in_which_fixes_fail_is_deferred_and_the_others_are_not() {
        let breaker = Breaker::default();
        for of in 1..=3 {
            assert_eq!(count(&breaker, of, Effect::Worked, 10), []);
        }
        assert_eq!(count(&breaker, 4, Effect::Failed, 12), [Some(account(4))]);
        assert_eq!(count(&breaker, 5, Effect::Failed, 12), [Some(account(5))]);
        assert!(breaker.is_open(&account(4), &LIMITS).unwrap().starts_with("account 000000000004: 12 of 12 fixes"));
        assert_eq!(breaker.is_open(&account(1), &LIMITS), None);
    }

    #[test]
    fn where_fixes_fail_in_many_accounts_all_are_deferred() {
        let breaker = Breaker::default();
        for of in 1..=10 {
            assert_eq!(count(&breaker, of, Effect::Failed, 1), []);
        }
        assert_eq!(count(&breaker, 11, Effect::Failed, 1), [None]);
        assert_eq!(
            breaker.is_open(&account(99), &LIMITS).unwrap(),
            "11 of 11 fixes failed, more than the limit failure_percent (50)"
        );
    }

    #[test]
    fn no_account_alone_defers_the_others() {
        let breaker = Breaker::default();
        assert_eq!(count(&breaker, 1, Effect::Failed, 9), []);
        assert_eq!(count(&breaker, 2, Effect::Failed, 1), []);
        assert_eq!(count(&breaker, 1, Effect::Failed, 1), [Some(account(1))]);
        assert_eq!(breaker.is_open(&account(2), &LIMITS), None);
    }

    #[test]
    fn what_says_nothing_of_fixes_counts_for_nothing() {
        let breaker = Breaker::default();
        assert_eq!(count(&breaker, 1, Effect::Unknown, 100), []);
        assert_eq!(breaker.is_open(&account(1), &LIMITS), None);
    }
}
