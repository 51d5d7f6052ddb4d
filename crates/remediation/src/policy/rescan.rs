//! Rescans: of which of the tenant's own policies Netskope is asked for a scan once something was fixed, and how often at most.

use escape::is_unsafe;
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::text;

/// The most policies of the tenant: each is a request, of the few that a tenant takes.
const MOST_POLICIES: usize = 10;
/// The longest name of a policy of the tenant, in characters.
const MOST_OF_NAME: usize = 128;

/// That Netskope is asked for a scan once something was fixed, so that it confirms the fix before its own next scan.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rescan {
    /// The names of the tenant's policies that are scanned, letter by letter.
    #[serde(deserialize_with = "names")]
    #[schemars(length(min = 1, max = 10))]
    pub netskope_policies: Vec<String>,
    /// At most one rescan of them in so many hours: a week's at most.
    #[serde(default = "six_hours", deserialize_with = "hours")]
    #[schemars(range(min = 1, max = 168))]
    interval_hours: u32,
}

impl Rescan {
    /// How long it is at least from one rescan to the next.
    pub fn interval(&self) -> SignedDuration {
        SignedDuration::from_hours(i64::from(self.interval_hours))
    }
}

fn six_hours() -> u32 {
    6
}

fn hours<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    deserializer.deserialize_u32(text::WholeNumber(1..=168))
}

fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    if !(1..=MOST_POLICIES).contains(&names.len()) {
        return Err(D::Error::custom(format!(
            "a rescan names 1 to {MOST_POLICIES} of Netskope's policies, not {}",
            names.len()
        )));
    }
    let is_name = |name: &String| {
        (1..=MOST_OF_NAME).contains(&name.chars().count()) && name.trim() == name && !name.chars().any(is_unsafe)
    };
    if !names.iter().all(is_name) {
        return Err(D::Error::custom(format!(
            "the name of one of Netskope's policies has 1 to {MOST_OF_NAME} characters that can be seen, and no space at \
             either end"
        )));
    }
    Ok(names)
}
