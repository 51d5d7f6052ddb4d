//! The scope: the accounts that may be written to, whatever is listed of others.

use std::sync::LazyLock;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use crate::aws::AccountId;

/// How the ID of an organization looks.
/// <https://docs.aws.amazon.com/organizations/latest/APIReference/API_Organization.html>
const ORGANIZATION: &str = "^o-[a-z0-9]{10,32}$";
/// How an organizational unit is written: its path, as in IAM, with or without a wildcard for what is below; or its ID.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>
const UNIT: &str =
    "^(o-[a-z0-9]{10,32}/r-[a-z0-9]{4,32}/(ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}/)*\\*?|ou-[a-z0-9]{4,32}-[a-z0-9]{8,32})$";
/// Compiled once. A pattern that is none matches nothing, and a test has texts that must match.
static IS_ORGANIZATION: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(ORGANIZATION).ok());
static IS_UNIT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(UNIT).ok());

/// The accounts that are written to: those to which everything applies that is given. Without any of it, all that let us
/// in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Scope {
    /// The ID of an organization, such as `o-a1b2c3d4e5`. IAM holds the Lambdas to it.
    #[serde(deserialize_with = "organization")]
    #[schemars(regex(pattern = ORGANIZATION))]
    pub organization: Option<String>,
    /// Organizational units: IDs, each of which stands for all that is below it, too, or paths such as
    /// `o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*`. IAM holds the Lambdas to them.
    #[serde(deserialize_with = "units")]
    #[schemars(with = "Option<Vec<String>>", length(min = 1), inner(regex(pattern = UNIT)))]
    pub organizational_units: Option<Vec<String>>,
    /// IDs of accounts.
    #[serde(deserialize_with = "accounts")]
    #[schemars(length(min = 1))]
    pub accounts: Option<Vec<AccountId>>,
}

impl Scope {
    /// Whether an account may be in it, as far as that can be told without asking AWS.
    pub(super) fn may_include(&self, account: &AccountId) -> bool {
        self.accounts.as_ref().is_none_or(|accounts| accounts.contains(account))
    }

    /// What IAM alone holds an account to: of which organization it must be, and of which of the units.
    pub(super) fn of_iam(&self) -> Option<String> {
        let organization = self.organization.as_ref().map(|id| format!("the organization {id}"));
        let units = self.organizational_units.as_ref().map(|units| format!("the units {}", units.join(", ")));
        let asked: Vec<_> = organization.into_iter().chain(units).collect();
        (!asked.is_empty()).then(|| asked.join(" and "))
    }
}

fn organization<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let id: Option<String> = Option::deserialize(deserializer)?;
    let wrong = |id: &String| !is_like(IS_ORGANIZATION.as_ref(), id);
    match id {
        Some(id) if wrong(&id) => {
            Err(de::Error::custom(format!("`{id}` is no ID of an organization, such as o-a1b2c3d4e5")))
        }
        id => Ok(id),
    }
}

fn units<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let units: Option<Vec<String>> = not_empty(deserializer)?;
    match units.iter().flatten().find(|unit| !is_like(IS_UNIT.as_ref(), unit)) {
        Some(unit) => Err(de::Error::custom(format!(
            "`{unit}` is neither the ID of an organizational unit, such as ou-ab12-11111111, nor its path, such as \
             o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*"
        ))),
        None => Ok(units),
    }
}

fn accounts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<AccountId>>, D::Error> {
    not_empty(deserializer)
}

/// An empty list would leave nothing in the scope, where its author perhaps meant everything.
fn not_empty<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<T>>, D::Error> {
    match Option::<Vec<T>>::deserialize(deserializer)? {
        Some(list) if list.is_empty() => {
            Err(de::Error::custom("an empty list in `scope`: name at least one, or leave it out"))
        }
        list => Ok(list),
    }
}

fn is_like(pattern: Option<&Regex>, text: &str) -> bool {
    pattern.is_some_and(|pattern| pattern.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    fn scope(json: &str) -> Result<Scope, String> {
        let policy = format!("{{\"schema\": 1, \"scope\": {json}}}");
        Policy::from_json(policy.as_bytes()).map(|policy| policy.scope).map_err(|error| error.to_string())
    }

    #[test]
    fn listed_accounts_are_all_that_it_may_include() {
        let [one, two] = ["111111111111", "222222222222"].map(|id| id.parse::<AccountId>().unwrap());
        let listed = scope(r#"{"accounts": ["111111111111"]}"#).unwrap();
        assert_eq!((listed.may_include(&one), listed.may_include(&two)), (true, false));
        let both = scope(r#"{"organization": "o-a1b2c3d4e5", "accounts": ["111111111111"]}"#).unwrap();
        assert_eq!((both.may_include(&one), both.may_include(&two)), (true, false));
        for json in ["{}", r#"{"organization": "o-a1b2c3d4e5", "accounts": null}"#] {
            assert!(scope(json).unwrap().may_include(&two), "{json}");
        }
    }

    #[test]
    fn what_iam_alone_can_tell_is_named() {
        let asks = |json| scope(json).unwrap().of_iam();
        assert_eq!(asks(r#"{"accounts": ["111111111111"]}"#), None);
        assert_eq!(asks(r#"{"organization": "o-a1b2c3d4e5"}"#).unwrap(), "the organization o-a1b2c3d4e5");
        let unit = r#"{"organizational_units": ["o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*"]}"#;
        assert_eq!(asks(unit).unwrap(), "the units o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*");
        let both = r#"{"organization": "o-a1b2c3d4e5", "organizational_units": ["o-a1b2c3d4e5/r-ab12/*"]}"#;
        assert_eq!(asks(both).unwrap(), "the organization o-a1b2c3d4e5 and the units o-a1b2c3d4e5/r-ab12/*");
    }

    #[test]
    fn what_would_mean_another_scope_is_refused() {
        for (json, says) in [
            (r#"{"accounts": []}"#, "an empty list in `scope`"),
            (r#"{"organizational_units": []}"#, "an empty list in `scope`"),
            (r#"{"accounts": ["1111"]}"#, "1111"),
            (r#"{"organization": "o-*"}"#, "`o-*` is no ID of an organization"),
            (r#"{"organizational_units": ["*"]}"#, "`*` is neither the ID of an organizational unit"),
            (r#"{"organizational_units": ["o-a1b2c3d4e5/*"]}"#, "nor its path"),
            (r#"{"account": ["111111111111"]}"#, "unknown field `account`"),
        ] {
            let error = scope(json).unwrap_err();
            assert!(error.contains(says), "{json}: {error}");
        }
        for path in [
            "ou-ab12-11111111",
            "o-a1b2c3d4e5/r-ab12/",
            "o-a1b2c3d4e5/r-ab12/*",
            "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/ou-ab12-22222222/",
        ] {
            assert!(scope(&format!("{{\"organizational_units\": [\"{path}\"]}}")).is_ok(), "{path}");
        }
    }
}
