//! Grace: for how long a violation is only told before it is fixed, and whom the policy takes for its owner.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::organization::Said;
use super::{Places, Policy, text};
use crate::aws::AccountId;
use crate::domain::Tags;

/// So many tags may say who owns a resource.
const MOST_TAGS: usize = 10;

impl Policy {
    /// For how many days the rule `rule` tells of a violation in `account` before it fixes it: the most of what is
    /// possible, where that is not known for sure.
    pub fn grace_days(&self, rule: &str, account: &AccountId) -> u32 {
        self.each().map(|policy| policy.own_grace_days(&self.places, rule, account)).max().unwrap_or_default()
    }

    fn own_grace_days(&self, places: &Places, rule: &str, account: &AccountId) -> u32 {
        let Said { perhaps, surely, .. } = self.said(places, rule, account, |_, other| other.grace_days);
        let surely = surely.unwrap_or_else(|| self.grace_days_of_rule(rule));
        perhaps.into_iter().fold(surely, u32::max)
    }

    /// For how many days the rule does so where no override says anything else.
    pub fn grace_days_of_rule(&self, rule: &str) -> u32 {
        self.rules.get(rule).and_then(|policy| policy.grace_days).unwrap_or_default()
    }

    /// Whether it names tags that say who owns a resource: only then the resource's are asked for.
    pub fn names_owners(&self) -> bool {
        !self.owner_tags.is_empty()
    }

    /// Who owns a resource with these tags: what the first of the policy's tags that it has says.
    pub fn owner<'a>(&self, tags: &'a Tags) -> Option<&'a str> {
        self.owner_tags.iter().find_map(|key| tags.get(key)).map(String::as_str)
    }
}

pub(super) fn days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    deserializer.deserialize_option(text::Optional(text::WholeNumber(0..=365)))
}

pub(super) fn tag_keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let keys = Vec::<String>::deserialize(deserializer)?;
    if keys.len() > MOST_TAGS {
        return Err(D::Error::custom(format!("{} tags are more than the {MOST_TAGS} that there can be", keys.len())));
    }
    if keys.iter().any(|key| key.trim().is_empty()) {
        return Err(D::Error::custom("an owner's tag has no name"));
    }
    Ok(keys)
}
