//! Why a mode is what it is, for whoever asks what is in effect.

use serde::Serialize;

use super::Policy;
use crate::aws::AccountId;
use crate::domain::Mode;

/// A mode, and what says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The mode.
    pub mode: Mode,
    /// What says so.
    pub by: Says,
}

/// What of a policy says which mode it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// The policy's own mode, for want of another.
    Policy,
    /// The rule's.
    Rule,
    /// The override of this place in the list, counted from 0: the last that applies.
    Override(usize),
}

impl Policy {
    /// What the rule `rule` may do in `account`, or where no override says anything else; and what says so.
    pub fn explained(&self, rule: &str, account: Option<&AccountId>) -> Explained {
        match account {
            Some(account) => self.possible(&self.places, rule, account).least,
            None => self.explained_of_rule(rule),
        }
    }

    /// What the rule may do where no override says anything else; and what says so.
    pub(super) fn explained_of_rule(&self, rule: &str) -> Explained {
        match self.rules.get(rule).and_then(|policy| policy.mode) {
            Some(mode) => Explained { mode, by: Says::Rule },
            None => Explained { mode: self.mode, by: Says::Policy },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_that_of_the_last_override_that_applies_else_the_rules_else_the_policys() {
        let policy = r#"{"mode": "plan", "rules": {"door": {"mode": "approve"}},
            "accounts": {"222222222222": {"tags": {"env": "prod"}}},
            "overrides": [{"account_tags": {"env": "prod"}, "mode": "off"}, {"rules": ["door"], "account_tags": {"env": "prod"}, "mode": "apply"}]}"#;
        let policy = Policy::from_json(policy.as_bytes()).unwrap();
        let [one, two] = ["111111111111", "222222222222"].map(|account| account.parse().unwrap());
        for (rule, account, mode, by) in [
            ("door", None, Mode::Approve, Says::Rule),
            ("window", None, Mode::Plan, Says::Policy),
            ("door", Some(&one), Mode::Approve, Says::Rule),
            ("door", Some(&two), Mode::Apply, Says::Override(1)),
            ("window", Some(&two), Mode::Off, Says::Override(0)),
        ] {
            assert_eq!(policy.explained(rule, account), Explained { mode, by }, "{rule} {account:?}");
            let asked = account.map_or_else(|| policy.mode_of_rule(rule), |account| policy.mode(rule, account));
            assert_eq!(asked, mode, "it is the mode that holds");
        }
    }
}
