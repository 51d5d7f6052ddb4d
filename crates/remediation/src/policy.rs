//! The operator's policy: one JSON file that Terraform writes to the bucket, read at each run, and once a second while something is written.
//!
//! Its JSON Schema is generated from these types; each rule's part, its settings, comes from the rule.

mod exemption;
mod explain;
mod grace;
mod narrow;
mod organization;
mod pause;
mod rescan;
mod scope;
mod text;
mod windows;

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::aws::AccountId;
use crate::domain::Mode;
use windows::{ChangeWindow, Freeze};

pub use exemption::{About, Exemption, Names};
pub use explain::{Explained, Says};
pub use narrow::SettingDefaults;
pub use organization::{
    FromOrganization, InvalidOrganization, MOST_ACCOUNTS, MOST_UNITS, Member, Organization, Places, Unit,
};
pub use pause::{LONGEST_REASON, PAUSES_SCHEMA, Pause, PauseError, Pauses, Place, Stops};
pub use rescan::Rescan;
pub use scope::Scope;
pub use text::{PolicyError, line_at, nearest};
pub use windows::Closed;

/// The version of the policy format that this build reads.
const POLICY_SCHEMA: u32 = 1;

/// The operator's policy.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The version of the format.
    #[serde(default = "this_schema")]
    #[schemars(range(min = 1, max = 1))]
    schema: u32,
    /// Stops everything: no write starts any more, not even in a run that is under way.
    #[serde(default)]
    pub paused: bool,
    /// The mode of every rule that has none of its own.
    #[serde(default)]
    mode: Mode,
    /// What holds for single rules, by their IDs.
    #[serde(default)]
    rules: BTreeMap<String, RulePolicy>,
    /// That units and account tags come from AWS Organizations. What `accounts` says of an account comes first.
    #[serde(default)]
    pub organization: Option<FromOrganization>,
    /// What is known of accounts, by their IDs, for the overrides.
    #[serde(default)]
    accounts: BTreeMap<AccountId, Account>,
    /// Other modes or graces for some rules or accounts; of each, the last that applies and says it counts.
    #[serde(default)]
    #[schemars(with = "Vec<OverrideText>")]
    overrides: Vec<Override>,
    /// What is left as it is.
    #[serde(default)]
    #[schemars(with = "Vec<exemption::Text>")]
    exemptions: Vec<Exemption>,
    /// The accounts that are written to.
    #[serde(default)]
    scope: Scope,
    /// How much may be changed.
    #[serde(default)]
    pub limits: Limits,
    /// For how many hours an approval holds: a year at most.
    #[serde(default = "default_approval_hours", deserialize_with = "text::hours_of_a_year")]
    #[schemars(range(min = 1, max = 8_760))]
    pub approval_hours: u32,
    /// When a resource counts as fought over.
    #[serde(default)]
    pub fight: Fight,
    /// What people have stopped beside it.
    #[serde(skip)]
    pauses: Pauses,
    /// The tags that say who owns a resource, such as `owner`: the first that it has is told where its fix waits.
    #[serde(default, deserialize_with = "grace::tag_keys")]
    #[schemars(length(max = 10))]
    owner_tags: Vec<String>,
    /// When changes may be written: at any time where none is given. A hundred at most.
    #[serde(default, deserialize_with = "windows::a_hundred")]
    #[schemars(with = "Vec<windows::WindowText>", length(max = 100))]
    change_windows: Vec<ChangeWindow>,
    /// When no change is written. A hundred at most.
    #[serde(default, deserialize_with = "windows::a_hundred")]
    #[schemars(with = "Vec<windows::FreezeText>", length(max = 100))]
    freezes: Vec<Freeze>,
    /// That Netskope is asked for a scan once something was fixed.
    #[serde(default)]
    pub rescan: Option<Rescan>,
    /// The JSON that it was read from, to find the lines of the rules' settings in.
    #[serde(skip)]
    json: String,
    /// What is known of the organization. That of the policy which is narrowed counts for both.
    #[serde(skip)]
    places: Places,
    /// The policy that narrows this one.
    #[serde(skip)]
    narrowing: Option<Arc<Self>>,
    /// The guards that are stricter than in the JSON, because of that one.
    #[serde(skip)]
    stricter: SettingDefaults,
}

/// What holds for one rule.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RulePolicy {
    /// What the rule may do.
    #[serde(default)]
    mode: Option<Mode>,
    /// For how many days it tells of a violation before it fixes it: a year's at most.
    #[serde(default, deserialize_with = "grace::days")]
    #[schemars(range(max = 365))]
    grace_days: Option<u32>,
    /// The rule's own settings; the rule gives their shape and defaults.
    #[serde(default)]
    settings: Option<Value>,
}

/// What the operator says of an account.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Account {
    /// The organizational units that it is in, directly or not: in place of those that its organization has it in.
    #[serde(default)]
    organizational_units: Vec<String>,
    /// Its tags, beside those of its organization.
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

/// Another mode or grace, where everything that is given applies: one of the rules, one of the accounts, one of the
/// organizational units, all of the tags.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "OverrideText")]
struct Override(OverrideText);

/// An override as it is written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Override")]
struct OverrideText {
    /// IDs of rules.
    #[serde(default)]
    rules: Vec<String>,
    /// IDs of accounts.
    #[serde(default)]
    accounts: Vec<AccountId>,
    /// Organizational units, with all that is below them: IDs, or names from the root down, such as
    /// `Workloads/Production`.
    #[serde(default)]
    organizational_units: Vec<String>,
    /// Tags of the account.
    #[serde(default)]
    account_tags: BTreeMap<String, String>,
    /// What the rules may do there.
    #[serde(default)]
    mode: Option<Mode>,
    /// For how many days they tell of a violation there before they fix it: a year's at most.
    #[serde(default, deserialize_with = "grace::days")]
    #[schemars(range(max = 365))]
    grace_days: Option<u32>,
}

/// Where something applies: everything that is given must.
struct Where<'a> {
    rules: &'a [String],
    accounts: &'a [AccountId],
    organizational_units: &'a [String],
    account_tags: &'a BTreeMap<String, String>,
}

/// How much may be changed. What is over a limit is deferred.
///
/// By default a rule changes at most 200 things a day: a person can still look through them, and a first week clears a
/// backlog of 1,400. At most 100 of them are in one run. One account has at most 25 of a run's and 50 of a day's, so that
/// it cannot use up what is there for all. `null` lifts a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// At most so many changes of a rule in the runs of a day (UTC).
    pub changes_per_day: Option<u32>,
    /// At most so many changes in a run.
    pub changes_per_run: Option<u32>,
    /// At most so many changes in a run for one rule.
    pub changes_per_rule: Option<u32>,
    /// At most so many changes in a run in one account.
    pub changes_per_account: Option<u32>,
    /// At most so many changes of a rule in the runs of a day (UTC) in one account.
    pub changes_per_account_per_day: Option<u32>,
    /// The percentage of resources whose fix failed above which the rest of the run is deferred.
    #[serde(deserialize_with = "text::percent")]
    #[schemars(range(min = 1, max = 100))]
    pub failure_percent: u32,
    /// From how many resources on that percentage counts.
    #[serde(deserialize_with = "text::at_least_one")]
    #[schemars(range(min = 1))]
    pub failure_minimum: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            changes_per_day: Some(200),
            changes_per_run: Some(100),
            changes_per_account: Some(25),
            changes_per_account_per_day: Some(50),
            ..Self::unlimited()
        }
    }
}

impl Limits {
    /// Whether there is any limit of changes.
    pub fn are_any(&self) -> bool {
        let Self { changes_per_day, changes_per_run, changes_per_rule, changes_per_account, .. } = self;
        let all = [changes_per_day, changes_per_run, changes_per_rule, changes_per_account];
        all.into_iter().chain([&self.changes_per_account_per_day]).any(Option::is_some)
    }

    /// No limit of changes.
    pub const fn unlimited() -> Self {
        Self {
            changes_per_day: None,
            changes_per_run: None,
            changes_per_rule: None,
            changes_per_account: None,
            changes_per_account_per_day: None,
            failure_percent: 50,
            failure_minimum: 10,
        }
    }
}

/// When a resource counts as fought over: it was fixed so often and violates again. It then needs an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Fight {
    /// In so many days: a year's at most.
    #[serde(deserialize_with = "text::days_of_a_year")]
    #[schemars(range(min = 1, max = 365))]
    pub window_days: u32,
    /// So many fixes: no more than a card remembers.
    #[serde(deserialize_with = "text::remembered")]
    #[schemars(range(min = 1, max = 50))]
    pub fixes: u32,
}

impl Default for Fight {
    fn default() -> Self {
        Self { window_days: 7, fixes: 3 }
    }
}

fn this_schema() -> u32 {
    POLICY_SCHEMA
}

fn default_approval_hours() -> u32 {
    72
}

impl Policy {
    /// A policy that restricts nothing, for a person who works without one.
    pub fn unrestricted() -> Self {
        Self {
            schema: POLICY_SCHEMA,
            paused: false,
            mode: Mode::Apply,
            rules: BTreeMap::new(),
            organization: None,
            accounts: BTreeMap::new(),
            overrides: Vec::new(),
            exemptions: Vec::new(),
            limits: Limits::unlimited(),
            approval_hours: default_approval_hours(),
            fight: Fight::default(),
            owner_tags: Vec::new(),
            change_windows: Vec::new(),
            freezes: Vec::new(),
            rescan: None,
            scope: Scope::default(),
            pauses: Pauses::default(),
            json: "{}".into(),
            places: Places::Typed,
            narrowing: None,
            stricter: SettingDefaults::new(),
        }
    }

    /// Whether an account may be in the scope, as far as that can be told without asking AWS.
    pub fn may_include(&self, account: &AccountId) -> bool {
        self.why_not_in_scope(account).is_none()
    }

    /// What the scope leaves to IAM: of which organization an account must be, or of which of its units. Nothing where
    /// that is known.
    pub fn scope_of_iam(&self) -> Option<String> {
        let is_left = matches!(self.places, Places::Typed);
        self.each().filter(|_| is_left).find_map(|policy| policy.scope.of_iam())
    }

    /// What the rule `rule` may do in an account for which no override says anything else.
    pub fn mode_of_rule(&self, rule: &str) -> Mode {
        self.each().map(|policy| policy.own_mode_of_rule(rule)).min().unwrap_or_default()
    }

    fn own_mode_of_rule(&self, rule: &str) -> Mode {
        self.rules.get(rule).and_then(|policy| policy.mode).unwrap_or(self.mode)
    }

    /// The settings of the rule with the ID `id`.
    ///
    /// # Errors
    ///
    /// The rule does not know one of its settings, or its value; with the line.
    pub fn settings<S: DeserializeOwned + Default>(&self, id: &str) -> Result<S, PolicyError> {
        let given = self.rules.get(id).and_then(|policy| policy.settings.as_ref());
        let settings = match given {
            Some(_) => text::settings(&self.json, id).map(Option::unwrap_or_default)?,
            None => S::default(),
        };
        let Some(stricter) = self.stricter.get(id) else { return Ok(settings) };
        let mut given = given.and_then(Value::as_object).cloned().unwrap_or_default();
        given.extend(stricter.clone());
        serde_json::from_value(Value::Object(given))
            .map_err(|error| PolicyError::Settings { rule: id.to_owned(), message: error.to_string() })
    }

    /// What is left as it is.
    pub fn exemptions(&self) -> &[Exemption] {
        &self.exemptions
    }

    /// The IDs of rules that it names, each with the line, for whoever knows which there are.
    pub fn rules_named(&self) -> Vec<(String, Option<usize>)> {
        let elsewhere = self.overrides.iter().flat_map(|other| &other.0.rules);
        let elsewhere =
            elsewhere.chain(self.exemptions.iter().flat_map(Exemption::rules)).chain(self.rules_of_windows());
        let elsewhere = elsewhere.map(|rule| (rule.clone(), text::line_of_string(&self.json, rule)));
        text::rules(&self.json).into_iter().chain(elsewhere).collect()
    }
}

impl OverrideText {
    fn place(&self) -> Where<'_> {
        let Self { rules, accounts, organizational_units, account_tags, .. } = self;
        Where { rules, accounts, organizational_units, account_tags }
    }
}

impl TryFrom<OverrideText> for Override {
    type Error = &'static str;

    fn try_from(text: OverrideText) -> Result<Self, Self::Error> {
        let OverrideText { rules, accounts, organizational_units, account_tags, .. } = &text;
        if rules.is_empty() && accounts.is_empty() && organizational_units.is_empty() && account_tags.is_empty() {
            return Err("an override names no rule, account, organizational unit or account tag: set `mode` instead");
        }
        if text.mode.is_none() && text.grace_days.is_none() {
            return Err("an override says nothing: give it a `mode`, `grace_days` or both");
        }
        Ok(Self(text))
    }
}

#[cfg(test)]
mod tests;
