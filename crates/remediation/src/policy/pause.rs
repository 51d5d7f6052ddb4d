//! Pauses: what people have stopped for a time, without touching the policy.
//!
//! A person who has to stop something at once cannot wait for Terraform, and what they write must not be taken back by the
//! next apply. So pauses are a record of their own, beside the policy, and a policy that is read comes with them. A pause
//! is of rules, accounts and regions: all that is given must apply, and one that gives nothing stops everything. It ends
//! when somebody ends it, or by itself when its time is over.
//!
//! A resource without a region, such as an IAM user, is in the region `global`, as in the exemptions of the policy: a pause
//! of `eu-west-1` leaves it alone.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Policy;
use crate::aws::{AccountId, Region};

/// The version of the format of pauses that this build writes and reads.
pub const PAUSES_SCHEMA: u32 = 1;
/// The most characters of a pause's reason.
pub const LONGEST_REASON: usize = 1_000;
/// The most pauses at a time.
const MOST_PAUSES: usize = 100;
/// The most rules, accounts or regions of a pause.
const MOST_NAMES: usize = 500;
/// How many of them are shown.
const NAMES_SHOWN: usize = 5;
/// The most characters of a rule's ID or a region's code.
const LONGEST_NAME: usize = 64;
/// The most characters of an ARN.
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_Role.html>
const LONGEST_ARN: usize = 2_048;
/// The digits of a pause's ID.
const DIGITS_OF_ID: usize = 8;

/// What is stopped: everything that is given must apply. What gives nothing stops everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stops {
    /// IDs of rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// IDs of accounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<AccountId>,
    /// Codes of regions; `global` for what is in none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<Region>,
}

/// One pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// What it is called by whoever ends it.
    pub id: String,
    /// What is stopped.
    pub stops: Stops,
    /// Why.
    pub reason: String,
    /// Who did so, by what the command said: the ARN of its caller.
    pub by: String,
    /// Since when.
    pub at: Timestamp,
    /// When it ends by itself; if none, when somebody ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// All pauses, also those whose time is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Text")]
pub struct Pauses {
    schema: u32,
    pauses: Vec<Pause>,
}

/// Pauses as they are stored.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    schema: u32,
    pauses: Vec<Pause>,
}

/// Pauses that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PauseError {
    /// There are more than anybody overlooks.
    #[error(
        "there are {found} pauses, and at most {MOST_PAUSES} can be at a time: end some with `autoremediate resume`"
    )]
    TooMany {
        /// How many there are.
        found: usize,
    },
    /// One of them cannot be.
    #[error("the pause `{id}` {why}")]
    Unusable {
        /// Which.
        id: String,
        /// What is wrong with it.
        why: String,
    },
}

/// What may be paused: a rule's write to a resource, as far as it is known where that is.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The ID of the rule.
    pub rule: &'a str,
    /// The account.
    pub account: &'a AccountId,
    /// The region that the finding names.
    pub region: &'a Region,
    /// The region that AWS names, once the resource was looked at.
    pub is_in: Option<&'a Region>,
}

impl Stops {
    /// Whether everything is stopped.
    pub fn everything(&self) -> bool {
        self.rules.is_empty() && self.accounts.is_empty() && self.regions.is_empty()
    }

    /// Whether it may stop something that the rule does in the account, or in some account.
    pub fn concern(&self, rule: &str, account: Option<&AccountId>) -> bool {
        (self.rules.is_empty() || self.rules.iter().any(|of| of == rule))
            && (self.accounts.is_empty() || account.is_none_or(|account| self.accounts.contains(account)))
    }

    /// Whether the same is stopped, in whatever order it is named.
    pub fn is_same(&self, other: &Self) -> bool {
        fn same<T: PartialEq>(one: &[T], other: &[T]) -> bool {
            one.iter().all(|name| other.contains(name)) && other.iter().all(|name| one.contains(name))
        }
        same(&self.rules, &other.rules) && same(&self.accounts, &other.accounts) && same(&self.regions, &other.regions)
    }

    /// Whether it stops what is done there.
    fn cover(&self, place: &Place<'_>) -> bool {
        let regions = [Some(place.region), place.is_in].into_iter().flatten();
        self.concern(place.rule, Some(place.account))
            && (self.regions.is_empty() || regions.into_iter().any(|region| self.regions.contains(region)))
    }

    /// Why it cannot be, where that is so.
    fn problem(&self) -> Option<String> {
        let Self { rules, accounts, regions } = self;
        for (what, count) in [("rules", rules.len()), ("accounts", accounts.len()), ("regions", regions.len())] {
            if count > MOST_NAMES {
                return Some(format!("names {count} {what}, and at most {MOST_NAMES} are allowed"));
            }
        }
        let names = rules.iter().map(String::as_str).chain(regions.iter().map(AsRef::as_ref));
        let is_none = |name: &&str| name.is_empty() || name.chars().count() > LONGEST_NAME;
        let name = names.into_iter().find(is_none)?;
        Some(format!("names a rule or a region of {} characters: one has 1 to {LONGEST_NAME}", name.chars().count()))
    }
}

impl fmt::Display for Stops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.everything() {
            return f.write_str("everything");
        }
        let Self { rules, accounts, regions } = self;
        let accounts = accounts.iter().map(AsRef::as_ref).collect();
        let regions = regions.iter().map(AsRef::as_ref).collect();
        let rules = rules.iter().map(String::as_str).collect();
        let parts: [(&str, Vec<&str>); 3] = [("rule", rules), ("account", accounts), ("region", regions)];
        let parts = parts.iter().filter(|(_, names)| !names.is_empty());
        let parts: Vec<_> = parts.map(|(what, names)| format!("{what} {}", listed(names))).collect();
        f.write_str(&parts.join("; "))
    }
}

/// The first of these names, and how many more there are: each finding that is held says them.
fn listed(names: &[&str]) -> String {
    let (shown, more) = names.split_at(names.len().min(NAMES_SHOWN));
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    format!("{}{more}", shown.join(", "))
}

impl Pause {
    /// Whether it is in force.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Why it cannot be, where that is so.
    fn problem(&self) -> Option<String> {
        let Self { id, stops, reason, by, .. } = self;
        if id.len() != DIGITS_OF_ID || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Some(format!("has an ID that is not {DIGITS_OF_ID} hexadecimal digits"));
        }
        if reason.trim().is_empty() || reason.chars().count() > LONGEST_REASON {
            return Some(format!("has no reason, or one of more than {LONGEST_REASON} characters"));
        }
        if by.chars().count() > LONGEST_ARN {
            return Some(format!("is by somebody with a name of more than {LONGEST_ARN} characters"));
        }
        stops.problem()
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, stops, reason, by, until, .. } = self;
        let until = until.map_or_else(|| "until somebody resumes it".to_owned(), |until| format!("until {until}"));
        write!(f, "paused by {by} {until}: {reason} (pause {id}, of {stops})")
    }
}

impl Default for Pauses {
    fn default() -> Self {
        Self { schema: PAUSES_SCHEMA, pauses: Vec::new() }
    }
}

impl Pauses {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pauses.is_empty()
    }

    /// An ID that none of them has.
    pub fn free_id(&self) -> String {
        let ids = std::iter::repeat_with(|| ambient::uuid_v4().simple().to_string()[..DIGITS_OF_ID].to_owned());
        let is_free = |id: &String| self.pauses.iter().all(|pause| pause.id != *id);
        ids.take(self.pauses.len() + 1).find(is_free).unwrap_or_default()
    }

    /// Those in force.
    pub fn in_force(&self, now: Timestamp) -> impl Iterator<Item = &Pause> {
        self.pauses.iter().filter(move |pause| pause.is_in_force(now))
    }

    /// The pause that stops what is done there, if one does.
    pub fn of(&self, place: &Place<'_>, now: Timestamp) -> Option<&Pause> {
        self.in_force(now).find(|pause| pause.stops.cover(place))
    }

    /// Adds a pause, and forgets those whose time is over.
    ///
    /// # Errors
    ///
    /// It cannot be, or there are too many.
    pub fn add(&mut self, pause: Pause) -> Result<(), PauseError> {
        let now = pause.at;
        self.pauses.retain(|pause| pause.is_in_force(now));
        self.pauses.push(pause);
        check(&self.pauses)
    }

    /// Ends the pauses that `ends` says, and forgets those whose time is over. Gives those that were ended.
    pub fn end(&mut self, now: Timestamp, ends: impl Fn(&Pause) -> bool) -> Vec<Pause> {
        self.pauses.retain(|pause| pause.is_in_force(now));
        let (ended, left) = std::mem::take(&mut self.pauses).into_iter().partition(ends);
        self.pauses = left;
        ended
    }
}

impl TryFrom<Text> for Pauses {
    type Error = PauseError;

    fn try_from(Text { schema, pauses }: Text) -> Result<Self, PauseError> {
        check(&pauses)?;
        Ok(Self { schema, pauses })
    }
}

fn check(pauses: &[Pause]) -> Result<(), PauseError> {
    if pauses.len() > MOST_PAUSES {
        return Err(PauseError::TooMany { found: pauses.len() });
    }
    let unusable = pauses.iter().find_map(|pause| Some((pause, pause.problem()?)));
    match unusable {
        Some((Pause { id, .. }, why)) => Err(PauseError::Unusable { id: escape::beginning(id, LONGEST_NAME), why }),
        None => Ok(()),
    }
}

impl Policy {
    /// The same, under `pauses`.
    #[must_use]
    pub fn under(&self, pauses: Pauses) -> Self {
        Self { pauses, ..self.clone() }
    }

    /// The pauses that it comes with.
    pub fn pauses(&self) -> &Pauses {
        &self.pauses
    }

    /// Why nothing is written there, where that is so.
    pub fn why_paused(&self, place: &Place<'_>, now: Timestamp) -> Option<String> {
        if self.paused {
            return Some("everything is paused by the policy".to_owned());
        }
        self.pauses.of(place, now).map(ToString::to_string)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: &str = "2026-11-29T12:00:00Z";

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    fn pause(id: &str, stops: serde_json::Value) -> Pause {
        let stops = serde_json::from_value(stops).unwrap();
        Pause { id: id.into(), stops, reason: "why".into(), by: "arn:who".into(), at: at(NOW), until: None }
    }

    fn pauses(of: impl IntoIterator<Item = Pause>) -> Pauses {
        Pauses { pauses: of.into_iter().collect(), ..Pauses::default() }
    }

    fn place_of<'a>(rule: &'a str, account: &'a AccountId, region: &'a Region) -> Place<'a> {
        Place { rule, account, region, is_in: None }
    }

    #[test]
    fn a_pause_stops_what_all_that_it_gives_applies_to() {
        let (one, two): (AccountId, AccountId) = ("111111111111".parse().unwrap(), "222222222222".parse().unwrap());
        let (ireland, global) = (Region::code("eu-west-1"), Region::global());
        let here = place_of("open-door", &one, &ireland);
        for (stops, holds, left) in [
            (json!({}), vec![here, place_of("window", &two, &global)], vec![]),
            (
                json!({"rules": ["open-door", "roof"]}),
                vec![here, place_of("open-door", &two, &global)],
                vec![place_of("window", &one, &ireland)],
            ),
            (json!({"accounts": [&one]}), vec![here], vec![place_of("open-door", &two, &ireland)]),
            (json!({"regions": ["eu-west-1"]}), vec![here], vec![place_of("open-door", &one, &global)]),
            (json!({"regions": ["global"]}), vec![place_of("open-door", &one, &global)], vec![here]),
            (
                json!({"rules": ["open-door"], "accounts": [&one], "regions": ["eu-west-1"]}),
                vec![here],
                vec![place_of("window", &one, &ireland), place_of("open-door", &two, &ireland)],
            ),
        ] {
            let pauses = pauses([pause("00000001", stops.clone())]);
            assert!(holds.iter().all(|place| pauses.of(place, at(NOW)).is_some()), "{stops}");
            assert!(left.iter().all(|place| pauses.of(place, at(NOW)).is_none()), "{stops}");
        }
    }

    /// What is where the pause is, by either of the two who say so, is not written to.
    #[test]
    fn a_region_is_that_of_the_finding_or_that_of_the_resource() {
        let (account, ireland, london) =
            ("111111111111".parse().unwrap(), Region::code("eu-west-1"), Region::code("eu-west-2"));
        let pauses = pauses([pause("00000001", json!({"regions": ["eu-west-1"]}))]);
        let is_paused = |region, is_in| {
            pauses.of(&Place { rule: "r", account: &account, region, is_in: Some(is_in) }, at(NOW)).is_some()
        };
        assert!(is_paused(&ireland, &london) && is_paused(&london, &ireland) && !is_paused(&london, &london));
    }

    #[test]
    fn a_pause_ends_by_itself_when_its_time_is_over() {
        let until = Some(at("2026-11-29T16:00:00Z"));
        let pauses = pauses([Pause { until, ..pause("00000001", json!({})) }]);
        let (account, region) = ("111111111111".parse().unwrap(), Region::global());
        let is_paused = |now| pauses.of(&place_of("r", &account, &region), at(now)).is_some();
        assert!(is_paused("2026-11-29T15:59:59Z") && !is_paused("2026-11-29T16:00:00Z"));
    }

    #[test]
    fn a_policy_says_who_has_paused_what_and_why() {
        let until = Some(at("2026-11-29T16:00:00Z"));
        let stops = json!({"rules": ["open-door"], "accounts": ["111111111111", "222222222222"]});
        let policy = Policy::unrestricted().under(pauses([Pause { until, ..pause("00c0ffee", stops) }]));
        let (account, region) = ("111111111111".parse().unwrap(), Region::global());
        let why = |policy: &Policy, rule| policy.why_paused(&place_of(rule, &account, &region), at(NOW));
        assert_eq!(
            why(&policy, "open-door").unwrap(),
            "paused by arn:who until 2026-11-29T16:00:00Z: why (pause 00c0ffee, of rule open-door; account 111111111111, \
             222222222222)"
        );
        assert_eq!(why(&policy, "window"), None);
        let all = Policy::unrestricted().under(pauses([pause("00000001", json!({}))]));
        assert_eq!(
            why(&all, "window").unwrap(),
            "paused by arn:who until somebody resumes it: why (pause 00000001, of everything)"
        );
        let own = std::sync::Arc::new(Policy::unrestricted());
        let narrowed = all.narrowed_by(&own, &std::collections::BTreeMap::new()).unwrap();
        assert!(why(&narrowed, "window").is_some(), "a file of one's own ends no pause");
        assert_eq!(why(&narrowed.lifted(), "window"), None, "an override does");
    }

    #[test]
    fn those_whose_time_is_over_are_forgotten_when_something_is_written() {
        let over = Pause { until: Some(at("2026-11-29T11:00:00Z")), ..pause("00000001", json!({})) };
        let mut pauses = pauses([over]);
        pauses.add(pause("00000002", json!({"rules": ["r"]}))).unwrap();
        assert_eq!(pauses.pauses.iter().map(|pause| &pause.id[..]).collect::<Vec<_>>(), ["00000002"]);
        let ended = pauses.end(at(NOW), |pause| pause.id == "00000002");
        assert!(ended.len() == 1 && pauses.is_empty());
    }

    #[test]
    fn the_same_is_stopped_in_whatever_order_it_is_named() {
        let stops = |value| serde_json::from_value::<Stops>(value).unwrap();
        let one = stops(json!({"rules": ["a", "b"], "regions": ["eu-west-1"]}));
        assert!(one.is_same(&stops(json!({"rules": ["b", "a"], "regions": ["eu-west-1"]}))));
        assert!(!one.is_same(&stops(json!({"rules": ["b"], "regions": ["eu-west-1"]}))));
        assert!(!stops(json!({})).is_same(&one));
    }

    #[test]
    fn what_is_stopped_is_told_in_a_few_words() {
        let told = |stops| serde_json::from_value::<Stops>(stops).unwrap().to_string();
        assert_eq!(told(json!({})), "everything");
        assert_eq!(
            told(json!({"rules": ["a"], "regions": ["global", "eu-west-1"]})),
            "rule a; region global, eu-west-1"
        );
        assert_eq!(told(json!({"rules": ["a", "b", "c", "d", "e", "f", "g"]})), "rule a, b, c, d, e and 2 more");
    }

    #[test]
    fn what_is_stored_is_checked() {
        let read =
            |value: serde_json::Value| serde_json::from_value::<Pauses>(value).map_err(|error| error.to_string());
        let stored = |more: serde_json::Value| {
            let mut pause = json!({"id": "00000001", "stops": {}, "reason": "r", "by": "b", "at": NOW});
            pause.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"schema": 1, "pauses": [pause]})
        };
        assert!(read(stored(json!({}))).is_ok());
        for (more, says) in [
            (json!({"id": "x"}), "8 hexadecimal digits"),
            (json!({"reason": " "}), "no reason"),
            (json!({"reason": "x".repeat(1_001)}), "more than 1000 characters"),
            (json!({"by": "x".repeat(2_049)}), "more than 2048 characters"),
            (json!({"stops": {"rules": [""]}}), "of 0 characters"),
            (json!({"stops": {"regions": ["x".repeat(65)]}}), "of 65 characters"),
            (json!({"stops": {"rules": vec!["r"; 501]}}), "names 501 rules"),
            (json!({"stops": {"accounts": ["1"]}}), "twelve digits"),
            (json!({"stops": {"rule": ["r"]}}), "unknown field `rule`"),
            (json!({"until": "tomorrow"}), "invalid digit"),
        ] {
            let error = read(stored(more.clone())).unwrap_err();
            assert!(error.contains(says), "{more}: {error}");
        }
        let many: Vec<_> = (0..101).map(|number| pause(&format!("{number:08x}"), json!({}))).collect();
        let error = read(serde_json::to_value(pauses(many.clone())).unwrap()).unwrap_err();
        assert!(error.contains("there are 101 pauses") && error.contains("autoremediate resume"), "{error}");
        let mut full = pauses(many.into_iter().take(100));
        assert_eq!(full.add(pause("ffffffff", json!({}))), Err(PauseError::TooMany { found: 101 }));
    }
}
