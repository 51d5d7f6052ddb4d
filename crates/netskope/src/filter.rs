//! By which of the tenant's profiles and policies a list is filtered.
//!
//! The API takes the name of one profile and of one policy; that it takes several is not documented. So several are
//! several lists, one for each pair, and a violation that is on two of them is a duplicate. A name that the tenant does
//! not have gives an empty list, like one without violations: the API has no list of the names to compare with.

use escape::is_unsafe;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Skip;
use crate::violation::{MAX_JSON, folded};

/// The longest name of a profile or a policy that is taken, in characters.
const MOST_OF_NAME: usize = 128;
/// The most lists of one control: each is two requests or more, of the four a second that a tenant takes.
const MOST_LISTS: usize = 16;

/// Of which profile and of which policy a list is. None: of any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The name of the profile (`profile_name`).
    pub profile: Option<String>,
    /// The name of the policy (`policy_name`).
    pub policy: Option<String>,
}

/// The profiles and the policies whose violations are wanted: those that are in one of the profiles and in one of the
/// policies. Where none is named, of any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Names")]
pub struct Filters {
    profiles: Vec<String>,
    policies: Vec<String>,
}

/// Filters as they are written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Names {
    #[serde(default)]
    profiles: Vec<String>,
    #[serde(default)]
    policies: Vec<String>,
}

/// Filters that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFilters {
    /// A name that nothing can have.
    #[error(
        "`{0}` cannot be the name of a Netskope {1}: it must have 1 to {MOST_OF_NAME} characters, none of them a \
         control character or one that cannot be seen, and no space at either end"
    )]
    Name(String, &'static str),
    /// Too many lists.
    #[error(
        "{0} profile(s) and {1} policies are {pairs} lists of each control, and at most {MOST_LISTS} are read: name \
         fewer", pairs = .0.saturating_mul(*.1)
    )]
    Lists(usize, usize),
}

impl Filters {
    /// The filters of these names. A name that comes twice counts once.
    ///
    /// # Errors
    ///
    /// A name that nothing can have, or more lists than are read.
    pub fn new(profiles: Vec<String>, policies: Vec<String>) -> Result<Self, InvalidFilters> {
        let (profiles, policies) = (names(profiles, "profile")?, names(policies, "policy")?);
        if profiles.len().max(1).saturating_mul(policies.len().max(1)) > MOST_LISTS {
            return Err(InvalidFilters::Lists(profiles.len(), policies.len()));
        }
        Ok(Self { profiles, policies })
    }

    /// Whether no profile and no policy is named, so that the violations of all are wanted.
    pub fn is_empty(&self) -> bool {
        self.profiles.is_empty() && self.policies.is_empty()
    }

    /// The filter of each list that has to be read.
    pub fn each(&self) -> Vec<Filter> {
        let (profiles, policies) = (any_or_each(&self.profiles), any_or_each(&self.policies));
        let of_profile = |profile: Option<String>| {
            policies.iter().map(move |policy| Filter { profile: profile.clone(), policy: policy.clone() })
        };
        profiles.into_iter().flat_map(of_profile).collect()
    }
}

impl TryFrom<Names> for Filters {
    type Error = InvalidFilters;

    fn try_from(Names { profiles, policies }: Names) -> Result<Self, InvalidFilters> {
        Self::new(profiles, policies)
    }
}

fn names(mut names: Vec<String>, of: &'static str) -> Result<Vec<String>, InvalidFilters> {
    let is_name = |name: &String| {
        (1..=MOST_OF_NAME).contains(&name.chars().count()) && name.trim() == name && !name.chars().any(is_unsafe)
    };
    if let Some(name) = names.iter().find(|name| !is_name(name)) {
        return Err(InvalidFilters::Name(escape::brief(name), of));
    }
    names.sort();
    names.dedup();
    Ok(names)
}

fn any_or_each(names: &[String]) -> Vec<Option<String>> {
    if names.is_empty() { vec![None] } else { names.iter().cloned().map(Some).collect() }
}

/// What of a row says which profiles and policies it is of.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Lists<'a> {
    #[serde(borrow)]
    profiles: Option<&'a RawValue>,
    #[serde(borrow)]
    policies: Option<&'a RawValue>,
}

impl Filter {
    /// Why a row is not one that was asked for, if it shows that it is not: the API, or a proxy in front of it, ignores
    /// the filter. A row that says nothing of its profiles or policies is what was asked for.
    pub(crate) fn skip(&self, row: &str) -> Result<Option<Skip>, String> {
        if self.profile.is_none() && self.policy.is_none() {
            return Ok(None);
        }
        let lists: Lists<'_> = serde_json::from_str(row).map_err(|error| format!("it cannot be read: {error}"))?;
        Ok(if is_of_others("profiles", self.profile.as_deref(), lists.profiles)? {
            Some(Skip::OtherProfile)
        } else if is_of_others("policies", self.policy.as_deref(), lists.policies)? {
            Some(Skip::OtherPolicy)
        } else {
            None
        })
    }
}

/// Whether a row's field `field` lists names, and `asked` is not among them.
fn is_of_others(field: &str, asked: Option<&str>, listed: Option<&RawValue>) -> Result<bool, String> {
    let (Some(asked), Some(listed)) = (asked, listed.map(RawValue::get)) else { return Ok(false) };
    if listed.len() > MAX_JSON {
        return Err(format!("its {field} have {} bytes of JSON, and at most {MAX_JSON} are allowed", listed.len()));
    }
    let names = match serde_json::from_str(listed) {
        Ok(Value::Null) => return Ok(false),
        Ok(Value::String(name)) => vec![name],
        Ok(Value::Array(names)) => {
            let names: Option<Vec<_>> = names.iter().map(|name| name.as_str().map(str::to_owned)).collect();
            names.ok_or_else(|| format!("its {field} are no list of names"))?
        }
        _ => return Err(format!("its {field} are no list of names")),
    };
    Ok(!names.iter().any(|name| folded(name) == folded(asked)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(profiles: &[&str], policies: &[&str]) -> Result<Filters, InvalidFilters> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Filters::new(owned(profiles), owned(policies))
    }

    #[test]
    fn each_pair_is_a_list_and_none_named_is_one_of_all() {
        assert_eq!(filters(&[], &[]).unwrap().each(), [Filter::default()]);
        let each = filters(&["CIS", "BPR", "CIS"], &["prod"]).unwrap().each();
        let of = |profile: &str| Filter { profile: Some(profile.into()), policy: Some("prod".into()) };
        assert_eq!(each, [of("BPR"), of("CIS")]);
        assert_eq!(filters(&[], &["prod"]).unwrap().each()[0].profile, None);
    }

    #[test]
    fn names_and_numbers_are_bounded() {
        for name in ["", " CIS", "CIS\n", "C\u{200b}IS", &"x".repeat(129)] {
            assert!(matches!(filters(&[name], &[]), Err(InvalidFilters::Name(_, "profile"))), "{name:?}");
            assert!(matches!(filters(&[], &[name]), Err(InvalidFilters::Name(_, "policy"))), "{name:?}");
        }
        let many: Vec<_> = (0..17).map(|number| number.to_string()).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert!(filters(&many[..16], &[]).is_ok() && filters(&many[..4], &many[..4]).is_ok());
        assert_eq!(filters(&many, &[]), Err(InvalidFilters::Lists(17, 0)));
        let error = filters(&many[..4], &many[..5]).unwrap_err().to_string();
        assert!(error.contains("4 profile(s) and 5 policies are 20 lists"), "{error}");
    }

    #[test]
    fn what_is_stored_is_checked_as_what_is_given_is() {
        let read = |text| serde_json::from_str::<Filters>(text);
        assert_eq!(read(r#"{"profiles": ["CIS"]}"#).unwrap(), filters(&["CIS"], &[]).unwrap());
        assert!(read("{}").unwrap().is_empty());
        for broken in [r#"{"profile": ["CIS"]}"#, r#"{"profiles": "CIS"}"#, r#"{"profiles": [""]}"#] {
            assert!(read(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_row_is_left_where_it_shows_that_it_is_of_others() {
        let filter = Filter { profile: Some("CIS 1.2".into()), policy: Some("prod".into()) };
        for (row, expected) in [
            (r#"{"profiles": ["BPR", "CIS 1.2"], "policies": ["prod"]}"#, Ok(None)),
            (r#"{"profiles": ["cis1.2"], "policies": "Prod"}"#, Ok(None)),
            (r#"{"profiles": null}"#, Ok(None)),
            ("{}", Ok(None)),
            (r#"{"profiles": ["BPR"], "policies": ["prod"]}"#, Ok(Some(Skip::OtherProfile))),
            (r#"{"profiles": []}"#, Ok(Some(Skip::OtherProfile))),
            (r#"{"policies": ["test"]}"#, Ok(Some(Skip::OtherPolicy))),
            (r#"{"profiles": 7}"#, Err("its profiles are no list of names".to_owned())),
            (r#"{"profiles": [["CIS 1.2"]]}"#, Err("its profiles are no list of names".to_owned())),
        ] {
            assert_eq!(filter.skip(row), expected, "{row}");
            assert_eq!(Filter::default().skip(row), Ok(None), "{row}");
        }
        let long = format!(r#"{{"profiles": ["{}"]}}"#, "x".repeat(MAX_JSON));
        assert!(filter.skip(&long).unwrap_err().contains("at most"));
    }
}
