//! Where accounts are: the organization as AWS Organizations tells it, and what follows for a policy that names units or
//! account tags.
//!
//! The poller reads the organization now and then and keeps it in the bucket (`organization.json`); a policy that has the
//! key `organization` takes the places of accounts from there. So what is known can be old, lack an account that was made
//! an hour ago, or be missing altogether, and an override can make a mode greater as well as smaller. Where it cannot be
//! told whether an override applies, both are possible, and the smallest mode of all possible ones counts: an account whose
//! unit is not known is never written to because of what was meant for another ring. [`Policy::unsure`] tells why.
//!
//! What an entry of `accounts` says itself comes first: its units replace those of the organization, its tags go key by
//! key. A scope believes the organization alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use escape::brief;
use jiff::Timestamp;
use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Account, Explained, Override, OverrideText, Policy, Says, Where, text};
use crate::aws::AccountId;
use crate::domain::Mode;

/// AWS takes 2,000 units in an organization, and raises that for some.
/// <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html>
pub const MOST_UNITS: usize = 10_000;
/// AWS takes 10,000 accounts in an organization, and 50,000 for some.
pub const MOST_ACCOUNTS: usize = 60_000;
/// Units are nested five levels deep at most.
const MOST_DEPTH: usize = 10;
/// How the IDs look.
/// <https://docs.aws.amazon.com/organizations/latest/APIReference/API_Organization.html>
const IDS: &str = "^(o-[a-z0-9]{10,32}|r-[a-z0-9]{4,32}|ou-[a-z0-9]{4,32}-[a-z0-9]{8,32})$";
/// Compiled once. A pattern that is none matches nothing, and a test has texts that must match.
static IS_ID: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(IDS).ok());
/// The states of accounts that are closed or about to be.
/// <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_account_state.html>
const CLOSED: [&str; 3] = ["SUSPENDED", "PENDING_CLOSURE", "CLOSED"];

/// That units and account tags come from AWS Organizations. Terraform's variable `organization` sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Organization")]
pub struct FromOrganization {
    /// What was read of the organization counts for so many days; then the places of accounts are no longer known.
    #[serde(deserialize_with = "text::days_of_a_year")]
    #[schemars(range(min = 1, max = 365))]
    pub max_age_days: u32,
}

impl Default for FromOrganization {
    fn default() -> Self {
        Self { max_age_days: 7 }
    }
}

/// An organization at one moment: its units, and the accounts in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Text", into = "Text")]
pub struct Organization {
    text: Text,
    /// The unit of each path of names; none where two have the same.
    names: BTreeMap<String, Option<String>>,
}

/// An organization as it is stored: each thing once, in the order of the IDs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    id: String,
    read_at: Timestamp,
    root: String,
    tag_keys: BTreeSet<String>,
    units: BTreeMap<String, Unit>,
    accounts: BTreeMap<AccountId, Member>,
}

/// An organizational unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// Its name.
    pub name: String,
    /// The ID of the root or of the unit that it is in.
    pub parent: String,
}

/// An account of an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its state, as Organizations says it: `ACTIVE`, `SUSPENDED` and so on.
    pub state: String,
    /// The ID of the root or of the unit that it is in.
    pub parent: String,
    /// Its tags, of the keys that were asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Something that is no organization.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOrganization {
    /// It is larger than any.
    #[error("it has {units} units and {accounts} accounts; at most {MOST_UNITS} and {MOST_ACCOUNTS} are taken")]
    TooLarge {
        /// Its units.
        units: usize,
        /// Its accounts.
        accounts: usize,
    },
    /// An ID is none.
    #[error("`{0}` is no ID of an organization, a root or a unit")]
    Id(String),
    /// Something is in a unit that is not there, or in itself.
    #[error("`{0}` is in no unit that leads to the root")]
    Astray(String),
}

impl Organization {
    /// The organization with this ID and root as it was at `read_at`, with those tags of accounts whose keys are
    /// `tag_keys`.
    ///
    /// # Errors
    ///
    /// The units and accounts are no tree below the root, or are too many.
    pub fn new(
        id: String,
        root: String,
        read_at: Timestamp,
        tag_keys: BTreeSet<String>,
        units: BTreeMap<String, Unit>,
        accounts: BTreeMap<AccountId, Member>,
    ) -> Result<Self, InvalidOrganization> {
        Text { id, read_at, root, tag_keys, units, accounts }.try_into()
    }

    /// When it was read.
    pub fn read_at(&self) -> Timestamp {
        self.text.read_at
    }

    /// The keys of the tags that were read.
    pub fn tag_keys(&self) -> &BTreeSet<String> {
        &self.text.tag_keys
    }

    /// The accounts, by their IDs.
    pub fn accounts(&self) -> &BTreeMap<AccountId, Member> {
        &self.text.accounts
    }

    /// The IDs of the root and of the units that lead to what is in `parent`, that one included.
    fn chain<'a>(&'a self, parent: &'a str) -> Vec<&'a str> {
        let above = std::iter::successors(Some(parent), |id| self.text.units.get(*id).map(|unit| unit.parent.as_str()));
        let mut chain: Vec<_> = above.take(MOST_DEPTH + 2).collect();
        chain.reverse();
        chain
    }

    /// The path of an account as IAM writes it, such as `o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/`.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_last-accessed-view-data-orgs.html#access_policies_access-advisor-viewing-orgs-entity-path>
    pub fn path(&self, account: &AccountId) -> Option<String> {
        let member = self.text.accounts.get(account)?;
        let chain = self.chain(&member.parent).into_iter();
        Some([self.text.id.as_str()].into_iter().chain(chain).map(|id| format!("{id}/")).collect())
    }

    /// The ID of the unit that `reference` names by its ID, as the root's, or by the names from the root down with `/`
    /// between them.
    fn find(&self, reference: &str) -> Result<&str, String> {
        if let Some((id, _)) = self.text.units.get_key_value(reference) {
            return Ok(id);
        }
        if reference == self.text.root {
            return Ok(&self.text.root);
        }
        let read_at = self.text.read_at;
        match self.names.get(reference) {
            Some(Some(id)) => Ok(id),
            Some(None) => Err(format!("two units have the names `{}`: give the ID", brief(reference))),
            None => Err(format!(
                "the organization {} had no unit `{}` when it was read at {read_at}: was it renamed or deleted?",
                self.text.id,
                brief(reference)
            )),
        }
    }
}

impl From<Organization> for Text {
    fn from(organization: Organization) -> Self {
        organization.text
    }
}

impl TryFrom<Text> for Organization {
    type Error = InvalidOrganization;

    fn try_from(text: Text) -> Result<Self, InvalidOrganization> {
        let (units, accounts) = (text.units.len(), text.accounts.len());
        if units > MOST_UNITS || accounts > MOST_ACCOUNTS {
            return Err(InvalidOrganization::TooLarge { units, accounts });
        }
        let ids = [(&text.id, "o-"), (&text.root, "r-")].into_iter().chain(text.units.keys().map(|id| (id, "ou-")));
        let is_like = |id: &str| IS_ID.as_ref().is_some_and(|pattern| pattern.is_match(id));
        if let Some((id, _)) = ids.into_iter().find(|(id, kind)| !id.starts_with(kind) || !is_like(id)) {
            return Err(InvalidOrganization::Id(brief(id)));
        }
        let mut of = Self { text, names: BTreeMap::new() };
        let leads = |parent: &str| {
            let chain = of.chain(parent);
            chain.len() <= MOST_DEPTH && chain.first() == Some(&of.text.root.as_str())
        };
        let astray = of.text.units.iter().find(|(_, unit)| !leads(&unit.parent)).map(|(id, _)| id.clone());
        let stray = || of.text.accounts.iter().find(|(_, member)| !leads(&member.parent)).map(|(id, _)| id.to_string());
        if let Some(id) = astray.or_else(stray) {
            return Err(InvalidOrganization::Astray(id));
        }
        let mut names = BTreeMap::new();
        for id in of.text.units.keys() {
            let chain = of.chain(id).into_iter().filter_map(|id| of.text.units.get(id));
            let path = chain.map(|unit| unit.name.as_str()).collect::<Vec<_>>().join("/");
            names.entry(path).and_modify(|known| *known = None).or_insert_with(|| Some(id.clone()));
        }
        of.names = names;
        Ok(of)
    }
}

/// What is known of the places of accounts.
#[derive(Debug, Clone, Default)]
pub enum Places {
    /// What the policy itself says of accounts is all.
    #[default]
    Typed,
    /// They should come from the organization, which is not known, for this reason.
    Unknown(String),
    /// As the organization was not long ago.
    Known(Arc<Organization>),
}

impl Places {
    fn member(&self, account: &AccountId) -> Result<(&Organization, &Member), String> {
        match self {
            Self::Typed => Err("the policy says nothing of the account".to_owned()),
            Self::Unknown(why) => Err(why.clone()),
            Self::Known(of) => of.text.accounts.get(account).map(|member| (&**of, member)).ok_or_else(|| {
                let Text { id, read_at, .. } = &of.text;
                format!("the account {account} was not in the organization {id} when that was read at {read_at}")
            }),
        }
    }
}

/// Whether something applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Applies {
    No,
    /// It cannot be told, for this reason.
    Perhaps(String),
    Yes,
}

impl From<bool> for Applies {
    fn from(applies: bool) -> Self {
        if applies { Self::Yes } else { Self::No }
    }
}

/// The modes that a rule can have in an account: more than one where it cannot be told which.
pub(super) struct Possible {
    /// The least of them, with what says so.
    pub(super) least: Explained,
    most: Mode,
    /// Why there is more than one.
    why: Option<String>,
}

/// What the overrides say of one thing, from the last of them on, until one surely applies.
pub(super) struct Said<T> {
    /// What those say of which it cannot be told whether they apply.
    pub(super) perhaps: Vec<T>,
    /// What the first one says that surely applies.
    pub(super) surely: Option<T>,
    /// Why it cannot be told.
    why: Option<String>,
}

impl Policy {
    /// What the rule `rule` may do in `account`: the least of what is possible, where that is not known for sure.
    pub fn mode(&self, rule: &str, account: &AccountId) -> Mode {
        self.each().map(|policy| policy.possible(&self.places, rule, account).least.mode).min().unwrap_or_default()
    }

    /// Why the rule may do less in the account than it perhaps should, where that is so.
    pub fn unsure(&self, rule: &str, account: &AccountId) -> Option<String> {
        let mode = self.mode(rule, account);
        let possible = self.each().map(|policy| policy.possible(&self.places, rule, account));
        let unsure = possible.into_iter().find(|of| of.least.mode == mode && of.most > mode)?;
        let why = unsure.why.unwrap_or_default();
        Some(format!("the mode is {mode}, the smallest of those that overrides perhaps give it, because {why}"))
    }

    /// The same policy, with what is known of the places of accounts.
    #[must_use]
    pub fn placed(&self, places: Places) -> Self {
        Self { places, ..self.clone() }
    }

    /// What of its units the organization does not have, or has twice; each with the line.
    pub fn units_astray(&self, organization: &Organization) -> Vec<(String, Option<usize>)> {
        let units = self.overrides.iter().flat_map(|other| &other.0.organizational_units);
        let units = units.chain(self.units_of_windows());
        let units = units.filter(|unit| !self.is_typed(unit));
        let wrong = units.filter_map(|unit| organization.find(unit).err().map(|why| (unit, why)));
        let of_scope = self.scope.organizational_units.iter().flatten().filter_map(|unit| {
            let id = unit.trim_end_matches(['/', '*']).rsplit('/').next().unwrap_or_default();
            organization.find(id).err().map(|why| (unit, why))
        });
        wrong.chain(of_scope).map(|(unit, why)| (why, text::line_of_string(&self.json, unit))).collect()
    }

    /// Whether it is a name that only the policy's own accounts have, which has nothing to do with the organization.
    fn is_typed(&self, unit: &str) -> bool {
        self.accounts.values().flat_map(|account| &account.organizational_units).any(|of| of == unit)
    }

    /// The modes that are possible, by the overrides and without them.
    pub(super) fn possible(&self, places: &Places, rule: &str, account: &AccountId) -> Possible {
        let mode = |place, other: &OverrideText| Some(Explained { mode: other.mode?, by: Says::Override(place) });
        let Said { perhaps, surely, why } = self.said(places, rule, account, mode);
        let surely = surely.unwrap_or_else(|| self.explained_of_rule(rule));
        let all = || perhaps.iter().copied().chain([surely]);
        let least = all().min_by_key(|of| of.mode).unwrap_or(surely);
        Possible { least, most: all().map(|of| of.mode).max().unwrap_or(surely.mode), why }
    }

    /// What the overrides say of one thing, each with its place in the list.
    pub(super) fn said<T>(
        &self,
        places: &Places,
        rule: &str,
        account: &AccountId,
        says: impl Fn(usize, &OverrideText) -> Option<T>,
    ) -> Said<T> {
        let (mut perhaps, mut why) = (Vec::new(), None);
        for (place, Override(other)) in self.overrides.iter().enumerate().rev() {
            let Some(says) = says(place, other) else { continue };
            match self.applies(&other.place(), places, rule, account) {
                Applies::No => {}
                Applies::Perhaps(reason) => {
                    perhaps.push(says);
                    why.get_or_insert(reason);
                }
                Applies::Yes => return Said { perhaps, surely: Some(says), why },
            }
        }
        Said { perhaps, surely: None, why }
    }

    /// Whether something that is meant for some rules and accounts is for these.
    pub(super) fn applies(&self, to: &Where<'_>, places: &Places, rule: &str, account: &AccountId) -> Applies {
        let Where { rules, accounts, organizational_units, account_tags } = *to;
        if !(rules.is_empty() || rules.iter().any(|of| of == rule))
            || !(accounts.is_empty() || accounts.contains(account))
        {
            return Applies::No;
        }
        let given = self.accounts.get(account);
        let in_units = organizational_units.iter().map(|unit| self.is_in(unit, given, places, account));
        let in_units = in_units.reduce(|one, other| match (one, other) {
            (Applies::Yes, _) | (_, Applies::Yes) => Applies::Yes,
            (Applies::No, other) => other,
            (perhaps, _) => perhaps,
        });
        let tags = account_tags.iter().map(|(key, value)| has_tag(key, value, given, places, account));
        in_units.into_iter().chain(tags).fold(Applies::Yes, |one, other| match (one, other) {
            (Applies::No, _) | (_, Applies::No) => Applies::No,
            (Applies::Yes, other) => other,
            (perhaps, _) => perhaps,
        })
    }

    /// Whether the account is in a unit, directly or below.
    fn is_in(&self, unit: &str, given: Option<&Account>, places: &Places, account: &AccountId) -> Applies {
        if let Some(given) = given.filter(|given| !given.organizational_units.is_empty()) {
            return given.organizational_units.iter().any(|of| of == unit).into();
        }
        if matches!(places, Places::Typed) || self.is_typed(unit) {
            return Applies::No;
        }
        let place = places.member(account).and_then(|(of, member)| Ok((of.find(unit)?, of.chain(&member.parent))));
        match place {
            Ok((id, chain)) => chain.contains(&id).into(),
            Err(why) => Applies::Perhaps(why),
        }
    }
}

fn has_tag(key: &str, value: &str, given: Option<&Account>, places: &Places, account: &AccountId) -> Applies {
    if let Some(given) = given.and_then(|given| given.tags.get(key)) {
        return (given == value).into();
    }
    if matches!(places, Places::Typed) {
        return Applies::No;
    }
    match places.member(account) {
        Ok((of, member)) if of.text.tag_keys.contains(key) => {
            member.tags.get(key).is_some_and(|found| found == value).into()
        }
        Ok(_) => Applies::Perhaps(format!("the accounts' tags `{}` have not been read", brief(key))),
        Err(why) => Applies::Perhaps(why),
    }
}

impl Policy {
    /// Why an account is not in the scope, or is not known to be, where that is so.
    pub fn why_not_in_scope(&self, account: &AccountId) -> Option<String> {
        let excludes = |policy: &Self| !policy.scope.may_include(account);
        if self.each().any(excludes) {
            return Some(format!("the policy's scope does not include the account {account}"));
        }
        if matches!(self.places, Places::Typed) {
            return None;
        }
        self.each().find_map(|policy| policy.outside_of_organization(&self.places, account))
    }

    /// Why the account is outside of the organization or of the units that the scope asks for.
    fn outside_of_organization(&self, places: &Places, account: &AccountId) -> Option<String> {
        self.scope.of_iam()?;
        let (of, member) = match places.member(account) {
            Ok(known) => known,
            Err(why) => return Some(format!("it is not known that the policy's scope includes the account: {why}")),
        };
        let (id, read_at) = (&of.text.id, of.text.read_at);
        if self.scope.organization.as_ref().is_some_and(|asked| asked != id) {
            return Some(format!("the account {account} is in the organization {id}, and not in that of the scope"));
        }
        if CLOSED.contains(&member.state.as_str()) {
            return Some(format!(
                "the account {account} is {} in its organization (read at {read_at})",
                brief(&member.state)
            ));
        }
        let path = of.path(account).unwrap_or_default();
        let is_named = self.scope.organizational_units.as_ref().is_none_or(|units| {
            units.iter().any(|unit| match unit.strip_suffix('*') {
                Some(above) => path.starts_with(above),
                None if unit.contains('/') => path == *unit,
                None => path.split('/').any(|id| id == unit),
            })
        });
        let outside =
            format!("the account {account} is in {path} (read at {read_at}), which is in no unit of the scope");
        (!is_named).then_some(outside)
    }
}

#[cfg(test)]
mod tests;
