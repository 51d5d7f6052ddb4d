//! Two policies at once: that of the deployment, and an operator's own file, which can only narrow it.
//!
//! An operator may want less than the deployment allows: fewer changes, one more exemption, one account. Never more: who
//! may widen what is written is who may write the policy. So the two are laid over each other, and whatever one of them
//! forbids is forbidden: the smaller mode and the smaller limits, the exemptions of both, the stricter guard. A setting of
//! a rule is no limit but a meaning (how old is an old key?), of which neither value is the narrower one: one that
//! differs is refused by name.
//!
//! An emergency is no narrowing: [`Policy::lifted`] is the deployment's policy without what keeps an operator from
//! writing at once, the pauses, the modes, the graces and the change windows. What must not be touched at all stays
//! untouched.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Fight, Limits, Pauses, Policy, PolicyError};
use crate::domain::{Guard, Mode};

/// The settings that rules have where a policy does not give them: by the rule's ID, and by the setting's name.
pub type SettingDefaults = BTreeMap<String, Map<String, Value>>;

/// How the settings begin that say what a guard does.
const GUARD: &str = "guard_";

impl Policy {
    /// This policy, narrowed by `own`: it allows what both of them allow.
    ///
    /// # Errors
    ///
    /// `own` gives a rule's setting another value than this policy, or than `defaults` where this policy has none.
    pub fn narrowed_by(&self, own: &Arc<Self>, defaults: &SettingDefaults) -> Result<Self, PolicyError> {
        let mut stricter = SettingDefaults::new();
        for (rule, name, wanted) in own.given_settings() {
            let here = self.setting(rule, name, defaults);
            match (guard(name, here), guard(name, Some(wanted))) {
                (Some(here), Some(own)) if own > here => {
                    stricter.entry(rule.to_owned()).or_default().insert(name.to_owned(), wanted.clone());
                }
                (Some(_), Some(_)) => {}
                _ if here == Some(wanted) => {}
                _ => return Err(differs(rule, name, wanted, here)),
            }
        }
        // Every field is named, so that a new one has to be thought of: either it is laid together here, or, as the modes
        // are, it is asked of each policy.
        let Self {
            schema, paused, mode, rules, organization, accounts, overrides, exemptions, owner_tags, places, ..
        } = self.clone();
        Ok(Self {
            schema,
            paused: paused || own.paused,
            mode,
            rules,
            organization,
            accounts,
            overrides,
            exemptions: exemptions.into_iter().chain(own.exemptions.iter().cloned()).collect(),
            limits: self.limits.narrowed_by(own.limits),
            approval_hours: self.approval_hours.min(own.approval_hours),
            fight: self.fight.narrowed_by(own.fight),
            owner_tags: if owner_tags.is_empty() { own.owner_tags.clone() } else { owner_tags },
            // Each of the two is asked for its own.
            scope: self.scope.clone(),
            // No file of an operator's own pauses anything, or ends a pause.
            pauses: self.pauses.clone(),
            change_windows: self.change_windows.clone(),
            freezes: self.freezes.clone(),
            // No operator's file has to do with it.
            rescan: self.rescan.clone(),
            json: self.json.clone(),
            places,
            narrowing: Some(Arc::clone(own)),
            stricter,
        })
    }

    /// What of `own` is wider than this policy, and so has no effect, in words.
    pub fn without_effect(&self, own: &Self, defaults: &SettingDefaults) -> Vec<String> {
        let mut wider = Vec::new();
        if self.paused && !own.paused {
            wider.push("paused".to_owned());
        }
        for rule in defaults.keys() {
            let (here, own) = (self.mode_of_rule(rule), own.mode_of_rule(rule));
            if own > here {
                wider.push(format!("the mode of {rule} ({here}, not {own})"));
            }
        }
        for (rule, own) in own.rules.iter().filter_map(|(rule, of)| Some((rule, of.grace_days?))) {
            let here = self.grace_days_of_rule(rule);
            if own < here {
                wider.push(format!("the grace of {rule} ({here} days, not {own})"));
            }
        }
        let (here, limits) = (self.limits, own.limits);
        // A limit that the file does not give is not asked for.
        let given: Value = serde_json::from_str(&own.json).unwrap_or_default();
        for (name, here, own) in [
            ("changes_per_day", here.changes_per_day, limits.changes_per_day),
            ("changes_per_run", here.changes_per_run, limits.changes_per_run),
            ("changes_per_rule", here.changes_per_rule, limits.changes_per_rule),
            ("changes_per_account", here.changes_per_account, limits.changes_per_account),
            ("changes_per_account_per_day", here.changes_per_account_per_day, limits.changes_per_account_per_day),
            ("failure_percent", Some(here.failure_percent), Some(limits.failure_percent)),
            ("failure_minimum", Some(here.failure_minimum), Some(limits.failure_minimum)),
        ] {
            if let (Some(here), Some(own)) = (here, own)
                && own > here
                && given["limits"].get(name).is_some()
            {
                wider.push(format!("{name} ({here}, not {own})"));
            }
        }
        for (rule, name, wanted) in own.given_settings() {
            if let (Some(here), Some(own)) =
                (guard(name, self.setting(rule, name, defaults)), guard(name, Some(wanted)))
                && own < here
            {
                wider.push(format!("{name} of {rule} ({here}, not {own})"));
            }
        }
        wider
    }

    /// The same policy with nothing paused and every rule in mode `apply`, at any time and without grace, for an
    /// emergency. Exemptions, limits, guards and the rules' settings stay.
    #[must_use]
    pub fn lifted(&self) -> Self {
        let mut lifted = Self {
            paused: false,
            pauses: Pauses::default(),
            mode: Mode::Apply,
            overrides: Vec::new(),
            change_windows: Vec::new(),
            freezes: Vec::new(),
            ..self.clone()
        };
        for rule in lifted.rules.values_mut() {
            (rule.mode, rule.grace_days) = (None, None);
        }
        lifted
    }

    /// This policy and the one that narrows it: what holds for a resource, such as its mode, must hold in each of them.
    pub(super) fn each(&self) -> impl Iterator<Item = &Self> {
        [self].into_iter().chain(self.narrowing.as_deref())
    }

    /// The settings of rules that it gives.
    fn given_settings(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        self.rules.iter().flat_map(|(rule, of)| {
            let settings = of.settings.iter().filter_map(Value::as_object).flatten();
            settings.map(move |(name, value)| (rule.as_str(), name.as_str(), value))
        })
    }

    /// What it says of a rule's setting, or what the rule itself does.
    fn setting<'a>(&'a self, rule: &str, name: &str, defaults: &'a SettingDefaults) -> Option<&'a Value> {
        let given = self.rules.get(rule).and_then(|of| of.settings.as_ref()?.get(name));
        given.or_else(|| defaults.get(rule)?.get(name))
    }
}

impl Limits {
    /// The smaller of each.
    fn narrowed_by(self, own: Self) -> Self {
        let least = |one: Option<u32>, other: Option<u32>| one.into_iter().chain(other).min();
        Self {
            changes_per_day: least(self.changes_per_day, own.changes_per_day),
            changes_per_run: least(self.changes_per_run, own.changes_per_run),
            changes_per_rule: least(self.changes_per_rule, own.changes_per_rule),
            changes_per_account: least(self.changes_per_account, own.changes_per_account),
            changes_per_account_per_day: least(self.changes_per_account_per_day, own.changes_per_account_per_day),
            failure_percent: self.failure_percent.min(own.failure_percent),
            failure_minimum: self.failure_minimum.min(own.failure_minimum),
        }
    }
}

impl Fight {
    /// What is fought over by one of them is so by both: fewer fixes, in a longer time.
    fn narrowed_by(self, own: Self) -> Self {
        Self { window_days: self.window_days.max(own.window_days), fixes: self.fixes.min(own.fixes) }
    }
}

/// What a guard does, where that is what the setting says.
fn guard(name: &str, value: Option<&Value>) -> Option<Guard> {
    let value = value.filter(|_| name.starts_with(GUARD))?;
    serde_json::from_value(value.clone()).ok()
}

fn differs(rule: &str, name: &str, own: &Value, here: Option<&Value>) -> PolicyError {
    let here = here.map_or_else(|| "no such setting".to_owned(), ToString::to_string);
    PolicyError::Differs { rule: rule.to_owned(), setting: name.to_owned(), own: own.to_string(), here }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::aws::AccountId;

    const RULES: [&str; 3] = ["open-door", "sealed-door", "window"];
    /// A moment of the freezes.
    const FROZEN: &str = "2026-06-01T00:00:00Z";
    const ACCOUNTS: [&str; 3] = ["111111111111", "222222222222", "333333333333"];

    /// The settings of every rule of these tests.
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Settings {
        days: u32,
        guard_use: Guard,
        guard_use_days: u32,
    }

    impl Default for Settings {
        fn default() -> Self {
            Self { days: 90, guard_use: Guard::Warn, guard_use_days: 30 }
        }
    }

    fn defaults() -> SettingDefaults {
        let settings = json!({"days": 90, "guard_use": "warn", "guard_use_days": 30});
        RULES.iter().map(|rule| ((*rule).to_owned(), settings.as_object().unwrap().clone())).collect()
    }

    fn policy(value: &Value) -> Arc<Policy> {
        Arc::new(Policy::from_json(value.to_string().as_bytes()).unwrap())
    }

    fn narrowed(bucket: &Value, own: &Value) -> Result<Policy, PolicyError> {
        policy(bucket).narrowed_by(&policy(own), &defaults())
    }

    fn account(id: &str) -> AccountId {
        id.parse().unwrap()
    }

    #[test]
    fn neither_policy_is_widened_by_the_other() {
        let strict = json!({"mode": "apply", "paused": true, "approval_hours": 5, "rules": {"window": {"mode": "off"}},
            "exemptions": [{"rules": ["window"], "reason": "r", "owner": "o"}], "fight": {"window_days": 9, "fixes": 1},
            "limits": {"changes_per_run": 3, "changes_per_account": 2, "failure_percent": 5, "failure_minimum": 1}});
        let wide = json!({"mode": "apply", "approval_hours": 50, "fight": {"window_days": 1, "fixes": 9},
            "limits": {"changes_per_run": 9, "changes_per_rule": 7, "failure_percent": 90, "failure_minimum": 50}});
        for (bucket, own) in [(&strict, &wide), (&wide, &strict)] {
            let narrowed = narrowed(bucket, own).unwrap();
            assert!(narrowed.paused);
            assert_eq!((narrowed.approval_hours, narrowed.exemptions().len()), (5, 1));
            assert_eq!(narrowed.fight, Fight { window_days: 9, fixes: 1 });
            let Limits { changes_per_run, changes_per_rule, changes_per_account, .. } = narrowed.limits;
            assert_eq!((changes_per_run, changes_per_rule, changes_per_account), (Some(3), Some(7), Some(2)));
            assert_eq!((narrowed.limits.failure_percent, narrowed.limits.failure_minimum), (5, 1));
            let mode = |rule| narrowed.mode(rule, &account(ACCOUNTS[0]));
            assert_eq!((mode("open-door"), mode("window"), narrowed.mode_of_rule("window")), {
                (Mode::Apply, Mode::Off, Mode::Off)
            });
        }
    }

    #[test]
    fn an_account_must_be_in_both_scopes() {
        let bucket = json!({"scope": {"accounts": ["111111111111", "222222222222"]}});
        let own = json!({"scope": {"accounts": ["222222222222", "333333333333"], "organization": "o-a1b2c3d4e5"}});
        for (bucket, own) in [(&bucket, &own), (&own, &bucket)] {
            let narrowed = narrowed(bucket, own).unwrap();
            assert_eq!(ACCOUNTS.map(|id| narrowed.may_include(&account(id))), [false, true, false]);
            assert_eq!(narrowed.scope_of_iam().unwrap(), "the organization o-a1b2c3d4e5");
            assert!(!narrowed.lifted().may_include(&account(ACCOUNTS[0])));
        }
    }

    #[test]
    fn an_account_has_the_smaller_mode_by_what_each_policy_says_of_it() {
        let bucket = json!({"mode": "apply", "accounts": {"111111111111": {"tags": {"env": "prod"}}},
            "overrides": [{"account_tags": {"env": "prod"}, "mode": "approve"}]});
        // The file says nothing of the account's tags, and is not asked for them on the bucket's behalf.
        let own = json!({"mode": "apply", "overrides": [{"accounts": ["222222222222"], "mode": "off"},
            {"accounts": ["111111111111"], "mode": "apply"}]});
        let narrowed = narrowed(&bucket, &own).unwrap();
        let modes = ACCOUNTS.map(|id| narrowed.mode("window", &account(id)));
        assert_eq!(modes, [Mode::Approve, Mode::Off, Mode::Apply]);
    }

    #[test]
    fn a_guard_can_only_become_stricter_and_every_other_setting_must_be_the_same() {
        let given = |settings: Value| json!({"rules": {"window": {"settings": settings}}});
        for (bucket, own, expected) in [
            (json!({}), json!({}), Ok(Settings::default())),
            (json!({"days": 60}), json!({}), Ok(Settings { days: 60, ..Settings::default() })),
            (json!({}), json!({"days": 90}), Ok(Settings::default())),
            (json!({}), json!({"guard_use": "hold"}), Ok(Settings { guard_use: Guard::Hold, ..Settings::default() })),
            (json!({}), json!({"guard_use": "off"}), Ok(Settings::default())),
            (
                json!({"guard_use": "hold", "days": 1}),
                json!({"guard_use": "warn"}),
                Ok(Settings { guard_use: Guard::Hold, days: 1, ..Settings::default() }),
            ),
            (json!({}), json!({"days": 60}), Err("`days` of window is 60 in the file, and 90 in the bucket's policy")),
            (json!({"days": 60}), json!({"days": 90}), Err("`days` of window is 90 in the file, and 60")),
            (json!({}), json!({"guard_use_days": 1}), Err("`guard_use_days` of window is 1 in the file, and 30")),
            (json!({}), json!({"guard_use": "loud"}), Err("`guard_use` of window is \"loud\"")),
            (
                json!({}),
                json!({"guard_none": "hold"}),
                Err("`guard_none` of window is \"hold\" in the file, and no such"),
            ),
        ] {
            let found = narrowed(&given(bucket.clone()), &given(own.clone()));
            let found = found.and_then(|policy| policy.settings::<Settings>("window"));
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{bucket} {own}"),
                (Err(found), Err(expected)) => assert!(found.to_string().contains(expected), "{bucket} {own}: {found}"),
                (found, expected) => panic!("{bucket} {own}: {found:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn what_a_file_asks_for_in_vain_is_named() {
        let bucket = json!({"paused": true, "mode": "approve", "rules": {"window": {"mode": "off"}},
            "limits": {"changes_per_run": 3, "failure_percent": 5}});
        let own = json!({"mode": "apply", "limits": {"changes_per_run": 9, "changes_per_account": 9},
            "rules": {"open-door": {"settings": {"guard_use": "off"}}}});
        let says = policy(&bucket).without_effect(&policy(&own), &defaults());
        assert_eq!(
            says,
            [
                "paused",
                "the mode of open-door (approve, not apply)",
                "the mode of sealed-door (approve, not apply)",
                "the mode of window (off, not apply)",
                "changes_per_run (3, not 9)",
                "guard_use of open-door (warn, not off)",
            ]
        );
        assert!(policy(&own).without_effect(&policy(&bucket), &defaults()).is_empty());
    }

    #[test]
    fn lifted_nothing_but_what_keeps_from_writing_at_once_is_gone() {
        let strict = policy(&json!({"paused": true, "mode": "off", "limits": {"changes_per_run": 3},
            "freezes": [{"from": "2026-01-01", "to": "2026-12-31", "reason": "r"}],
            "change_windows": [{"from": "01:00", "to": "02:00"}],
            "rules": {"window": {"mode": "plan", "grace_days": 7, "settings": {"days": 60, "guard_use": "hold"}}},
            "overrides": [{"accounts": ["111111111111"], "mode": "off"}],
            "exemptions": [{"rules": ["window"], "reason": "r", "owner": "o"}]}));
        let lifted = strict.lifted();
        assert!(!lifted.paused);
        for rule in RULES {
            assert_eq!(lifted.mode(rule, &account(ACCOUNTS[0])), Mode::Apply);
            assert_eq!(lifted.grace_days(rule, &account(ACCOUNTS[0])), 0);
            assert_eq!(lifted.closed(rule, &account(ACCOUNTS[0]), FROZEN.parse().unwrap()), None);
        }
        assert_eq!((lifted.limits, lifted.exemptions().len()), (strict.limits, 1));
        let settings = Settings { days: 60, guard_use: Guard::Hold, ..Settings::default() };
        assert_eq!(lifted.settings::<Settings>("window").unwrap(), settings);
    }

    prop_compose! {
        fn some_mode()(mode in prop::sample::select(vec!["off", "plan", "approve", "apply"])) -> &'static str {
            mode
        }
    }

    prop_compose! {
        fn an_override()(
            mode in some_mode(),
            rule in prop::option::of(prop::sample::select(RULES.to_vec())),
            account in prop::sample::select(ACCOUNTS.to_vec()),
            by_tag in any::<bool>(),
        ) -> Value {
            let mut of = json!({"mode": mode});
            of["rules"] = json!(rule.into_iter().collect::<Vec<_>>());
            if by_tag { of["account_tags"] = json!({"env": "prod"}) } else { of["accounts"] = json!([account]) }
            of
        }
    }

    prop_compose! {
        fn a_policy()(
            mode in some_mode(),
            paused in any::<bool>(),
            rules in prop::collection::btree_map(
                prop::sample::select(RULES.to_vec()),
                (some_mode(), prop::option::of(prop::sample::select(vec!["off", "warn", "hold"]))),
                0..3,
            ),
            overrides in prop::collection::vec(an_override(), 0..3),
            (grace, freeze) in (prop::option::of(0..9_u32), any::<bool>()),
            prod in prop::sample::subsequence(ACCOUNTS.to_vec(), 0..3),
            exempt in prop::sample::subsequence(RULES.to_vec(), 0..3),
            limits in prop::collection::vec(prop::option::of(0..9_u32), 5),
            (percent, minimum) in (1..=100_u32, 1..20_u32),
            (hours, days, fixes) in (1..100_u32, 1..30_u32, 1..9_u32),
        ) -> Value {
            let mut of = serde_json::Map::new();
            for (rule, (mode, guard)) in rules {
                let settings = guard.map(|guard| json!({"guard_use": guard}));
                of.insert(rule.to_owned(), json!({"mode": mode, "settings": settings, "grace_days": grace}));
            }
            let prod: serde_json::Map<_, _> =
                prod.into_iter().map(|id| (id.to_owned(), json!({"tags": {"env": "prod"}}))).collect();
            let exempt: Vec<_> =
                exempt.into_iter().map(|rule| json!({"rules": [rule], "reason": "r", "owner": "o"})).collect();
            let freezes = json!({"from": "2026-01-01", "to": "2026-12-31", "reason": "r", "accounts": [ACCOUNTS[0]]});
            let freezes: Vec<_> = freeze.then_some(freezes).into_iter().collect();
            json!({"mode": mode, "paused": paused, "freezes": freezes, "rules": of, "overrides": overrides, "accounts": prod,
                "exemptions": exempt, "approval_hours": hours, "fight": {"window_days": days, "fixes": fixes},
                "limits": {"changes_per_run": limits[0], "changes_per_rule": limits[1],
                    "changes_per_account": limits[2], "changes_per_account_per_day": limits[3],
                    "changes_per_day": limits[4], "failure_percent": percent, "failure_minimum": minimum}})
        }
    }

    /// Whether there is room for `count` changes.
    fn has_room(limit: Option<u32>, count: u32) -> bool {
        limit.is_none_or(|limit| count <= limit)
    }

    proptest! {
        #[test]
        fn the_narrowed_policy_never_allows_what_either_of_the_two_does_not(
            bucket in a_policy(),
            own in a_policy(),
            count in 0..10_u32,
            (done, failed) in (0..30_u32, 0..30_u32),
            (ago, times) in (0..40_u32, 0..10_u32),
        ) {
            let (bucket, own) = (policy(&bucket), policy(&own));
            let both = bucket.narrowed_by(&own, &defaults()).unwrap();
            for one in [&bucket, &own] {
                prop_assert!(both.paused || !one.paused);
                for rule in RULES {
                    prop_assert!(both.mode_of_rule(rule) <= one.mode_of_rule(rule));
                    for id in ACCOUNTS {
                        prop_assert!(both.mode(rule, &account(id)) <= one.mode(rule, &account(id)), "{rule} in {id}");
                        prop_assert!(both.grace_days(rule, &account(id)) >= one.grace_days(rule, &account(id)));
                        let closed = |policy: &Policy| policy.closed(rule, &account(id), FROZEN.parse().unwrap()).is_some();
                        prop_assert!(closed(&both) || !closed(one));
                    }
                    if one.rules.get(rule).is_some_and(|of| of.settings.is_some()) {
                        let guard = |policy: &Policy| policy.settings::<Settings>(rule).unwrap().guard_use;
                        prop_assert!(guard(&both) >= guard(one));
                    }
                }
                for exemption in one.exemptions() {
                    let same = |other: &super::super::Exemption| other.rules() == exemption.rules();
                    prop_assert!(both.exemptions().iter().any(same));
                }
                for (narrow, wide) in [
                    (both.limits.changes_per_run, one.limits.changes_per_run),
                    (both.limits.changes_per_rule, one.limits.changes_per_rule),
                    (both.limits.changes_per_account, one.limits.changes_per_account),
                    (both.limits.changes_per_account_per_day, one.limits.changes_per_account_per_day),
                    (both.limits.changes_per_day, one.limits.changes_per_day),
                ] {
                    prop_assert!(!has_room(narrow, count) || has_room(wide, count));
                }
                let stops = |limits: Limits| done >= limits.failure_minimum && failed * 100 > done * limits.failure_percent;
                prop_assert!(stops(both.limits) || !stops(one.limits));
                prop_assert!(both.approval_hours <= one.approval_hours);
                let fought = |fight: Fight| ago <= fight.window_days && times >= fight.fixes;
                prop_assert!(fought(both.fight) || !fought(one.fight));
            }
        }

        #[test]
        fn a_policy_narrowed_by_itself_is_the_same(bucket in a_policy()) {
            let bucket = policy(&bucket);
            let both = bucket.narrowed_by(&bucket, &defaults()).unwrap();
            prop_assert!(bucket.without_effect(&bucket, &defaults()).is_empty());
            prop_assert_eq!((both.paused, both.limits, both.fight), (bucket.paused, bucket.limits, bucket.fight));
            for (rule, id) in RULES.iter().zip(ACCOUNTS) {
                prop_assert_eq!(both.mode(rule, &account(id)), bucket.mode(rule, &account(id)));
                let settings = |policy: &Policy| policy.settings::<Settings>(rule).unwrap();
                prop_assert_eq!(settings(&both), settings(&bucket));
            }
        }
    }
}
