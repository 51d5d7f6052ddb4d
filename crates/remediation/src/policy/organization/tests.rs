//! An organization of two rings, with units below units, and policies over it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const SANDBOX: &str = "111111111111";
const PRODUCTION: &str = "222222222222";
const PAYMENTS: &str = "333333333333";
const CLOSED_ONE: &str = "444444444444";
const TOP: &str = "555555555555";
const STRANGER: &str = "999999999999";
const ACCOUNTS: [&str; 6] = [SANDBOX, PRODUCTION, PAYMENTS, CLOSED_ONE, TOP, STRANGER];
const UNITS: [&str; 4] = ["ou-ab12-11111111", "ou-ab12-22222222", "ou-ab12-33333333", "ou-ab12-44444444"];

fn organization() -> Value {
    let unit = |name: &str, parent: &str| json!({"name": name, "parent": parent});
    let member =
        |state: &str, parent: &str, tags: Value| json!({"name": "n", "state": state, "parent": parent, "tags": tags});
    json!({
        "id": "o-a1b2c3d4e5", "read_at": "2026-11-29T06:00:00Z", "root": "r-ab12", "tag_keys": ["env"],
        "units": {
            "ou-ab12-11111111": unit("Sandbox", "r-ab12"),
            "ou-ab12-22222222": unit("Workloads", "r-ab12"),
            "ou-ab12-33333333": unit("Production", "ou-ab12-22222222"),
            "ou-ab12-44444444": unit("Payments", "ou-ab12-33333333"),
        },
        "accounts": {
            SANDBOX: member("ACTIVE", "ou-ab12-11111111", json!({"env": "test"})),
            PRODUCTION: member("ACTIVE", "ou-ab12-33333333", json!({"env": "prod"})),
            PAYMENTS: member("ACTIVE", "ou-ab12-44444444", json!({})),
            CLOSED_ONE: member("SUSPENDED", "ou-ab12-11111111", json!({})),
            TOP: member("ACTIVE", "r-ab12", json!({})),
        },
    })
}

fn read(value: Value) -> Result<Organization, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

fn known() -> Places {
    Places::Known(Arc::new(read(organization()).unwrap()))
}

fn policy(value: &Value, places: Places) -> Policy {
    Policy::from_json(value.to_string().as_bytes()).unwrap().placed(places)
}

fn modes(policy: &Policy) -> [Mode; 6] {
    ACCOUNTS.map(|account| policy.mode("open-door", &account.parse().unwrap()))
}

fn unsure(policy: &Policy, account: &str) -> String {
    policy.unsure("open-door", &account.parse().unwrap()).unwrap_or_default()
}

#[test]
fn a_unit_holds_what_is_directly_in_it_and_below() {
    use Mode::{Apply, Approve, Plan};
    for (unit, expected) in [
        ("ou-ab12-11111111", [Apply, Plan, Plan, Apply, Plan, Plan]),
        ("ou-ab12-22222222", [Plan, Apply, Apply, Plan, Plan, Plan]),
        ("Workloads/Production", [Plan, Apply, Apply, Plan, Plan, Plan]),
        ("Workloads/Production/Payments", [Plan, Plan, Apply, Plan, Plan, Plan]),
        ("r-ab12", [Apply, Apply, Apply, Apply, Apply, Plan]),
    ] {
        let policy = policy(&json!({"overrides": [{"organizational_units": [unit], "mode": "apply"}]}), known());
        assert_eq!(modes(&policy), expected, "{unit}");
    }
    let rings = json!({"rules": {"open-door": {"mode": "plan"}}, "overrides": [
        {"organizational_units": ["Workloads"], "mode": "approve"},
        {"organizational_units": ["Sandbox"], "mode": "apply"},
        {"organizational_units": ["Workloads/Production/Payments"], "mode": "plan"}]});
    assert_eq!(modes(&policy(&rings, known())), [Apply, Approve, Plan, Apply, Plan, Plan]);
}

#[test]
fn the_smallest_mode_counts_where_a_place_is_not_known() {
    use Mode::{Apply, Approve, Off, Plan};
    let greater = json!({"overrides": [{"organizational_units": ["Sandbox"], "mode": "apply"}]});
    let smaller = json!({"mode": "apply", "overrides": [
        {"organizational_units": ["Workloads"], "mode": "approve"},
        {"organizational_units": ["Sandbox"], "mode": "off"}]});
    let unknown = || Places::Unknown("nobody has read it".into());
    assert_eq!(modes(&policy(&greater, unknown())), [Plan; 6]);
    assert_eq!(modes(&policy(&smaller, unknown())), [Off; 6]);
    assert_eq!(modes(&policy(&smaller, known())), [Off, Approve, Approve, Off, Apply, Off]);
    // What surely applies hides what stands before it.
    let sure = json!({"overrides": [{"organizational_units": ["Sandbox"], "mode": "off"},
        {"accounts": [SANDBOX], "mode": "apply"}]});
    assert_eq!(modes(&policy(&sure, unknown()))[..2], [Apply, Off]);
    // Without the organization, what the policy says itself is all.
    assert_eq!(modes(&policy(&greater, Places::Typed)), [Plan; 6]);
    assert_eq!(modes(&policy(&smaller, Places::Typed)), [Apply; 6]);
}

#[test]
fn the_longest_grace_counts_where_a_place_is_not_known() {
    let of_production = json!({"rules": {"open-door": {"grace_days": 3}}, "overrides": [
        {"organizational_units": ["Workloads"], "grace_days": 14}, {"organizational_units": ["Sandbox"], "grace_days": 0}]});
    let days = |policy: &Policy| ACCOUNTS.map(|account| policy.grace_days("open-door", &account.parse().unwrap()));
    assert_eq!(days(&policy(&of_production, known())), [0, 14, 14, 0, 3, 14]);
    assert_eq!(days(&policy(&of_production, Places::Unknown("nobody has read it".into()))), [14; 6]);
    assert_eq!(days(&policy(&of_production, Places::Typed)), [3; 6]);
}

#[test]
fn where_a_place_is_not_known_all_windows_must_be_open_and_every_freeze_counts() {
    // A Sunday.
    let at = |time: &str| format!("2026-11-29T{time}:00Z").parse().unwrap();
    let windows = json!({"change_windows": [
        {"from": "08:00", "to": "12:00", "organizational_units": ["Sandbox"]},
        {"from": "10:00", "to": "16:00", "organizational_units": ["Workloads"]}]});
    let open = |policy: &Policy, time: &str| {
        ACCOUNTS.map(|account| policy.closed("open-door", &account.parse().unwrap(), at(time)).is_none())
    };
    let windows_known = policy(&windows, known());
    assert_eq!(open(&windows_known, "09:00"), [true, false, false, true, true, false]);
    assert_eq!(open(&windows_known, "11:00"), [true; 6]);
    assert_eq!(open(&windows_known, "14:00"), [false, true, true, false, true, false]);
    let next = windows_known.closed("open-door", &STRANGER.parse().unwrap(), at("14:00")).unwrap().next.unwrap();
    assert_eq!(next.timestamp(), "2026-11-30T10:00:00Z".parse().unwrap());

    let always = json!({"change_windows": [
        {"from": "08:00", "to": "12:00"}, {"from": "10:00", "to": "16:00", "organizational_units": ["Workloads"]}]});
    assert_eq!(open(&policy(&always, known()), "09:00"), [true; 6], "a window that surely applies is open");

    let freeze = json!({"freezes": [{"from": "2026-11-29", "to": "2026-11-29", "reason": "launch",
        "organizational_units": ["Workloads"]}]});
    assert_eq!(open(&policy(&freeze, known()), "09:00"), [true, false, false, true, true, false]);
}

#[test]
fn why_less_is_done_is_told_and_only_where_it_is_less() {
    let greater = json!({"overrides": [{"organizational_units": ["Sandbox"], "mode": "apply"}]});
    let not_read = policy(&greater, Places::Unknown("nobody has read it".into()));
    assert_eq!(
        unsure(&not_read, SANDBOX),
        "the mode is plan, the smallest of those that overrides perhaps give it, because nobody has read it"
    );
    let policy_of = |value: &Value| policy(value, known());
    assert_eq!((unsure(&policy_of(&greater), SANDBOX), unsure(&policy_of(&greater), PRODUCTION)), Default::default());
    assert!(unsure(&policy_of(&greater), STRANGER).contains("999999999999 was not in the organization o-a1b2c3d4e5"));
    let renamed = json!({"mode": "apply", "overrides": [{"organizational_units": ["Live"], "mode": "plan"}]});
    assert!(unsure(&policy_of(&renamed), SANDBOX).contains("had no unit `Live` when it was read at 2026-11-29"));
    let same = json!({"overrides": [{"organizational_units": ["Live"], "mode": "plan"}]});
    assert_eq!(unsure(&policy_of(&same), SANDBOX), "");
    let tags = json!({"mode": "apply", "overrides": [{"account_tags": {"team": "a"}, "mode": "plan"}]});
    assert!(unsure(&policy_of(&tags), SANDBOX).contains("tags `team` have not been read"));
}

#[test]
fn a_path_of_names_that_two_units_have_stands_for_neither() {
    let mut two = organization();
    two["units"]["ou-ab12-55555555"] = json!({"name": "Workloads/Production", "parent": "r-ab12"});
    let places = Places::Known(Arc::new(read(two).unwrap()));
    let named = json!({"overrides": [{"organizational_units": ["Workloads/Production"], "mode": "apply"}]});
    let named = policy(&named, places);
    assert_eq!(modes(&named), [Mode::Plan; 6]);
    assert!(unsure(&named, PRODUCTION).contains("two units have the names `Workloads/Production`: give the ID"));
}

#[test]
fn what_the_policy_says_of_an_account_comes_first() {
    let of = |account: Value, other: Value| {
        let value = json!({"accounts": {PRODUCTION: account}, "overrides": [other]});
        policy(&value, known()).mode("open-door", &PRODUCTION.parse().unwrap())
    };
    let unit = |unit: &str| json!({"organizational_units": [unit], "mode": "apply"});
    let tag = |key: &str, value: &str| json!({"account_tags": {key: value}, "mode": "apply"});
    let own = json!({"organizational_units": ["my-ring"], "tags": {"team": "a"}});
    assert_eq!(of(own.clone(), unit("my-ring")), Mode::Apply);
    assert_eq!(of(own.clone(), unit("Workloads")), Mode::Plan, "its units replace those of the organization");
    assert_eq!(of(json!({"tags": {"team": "a"}}), unit("Workloads")), Mode::Apply, "an entry without units has none");
    assert_eq!(of(own.clone(), tag("team", "a")), Mode::Apply);
    assert_eq!(of(own, tag("env", "prod")), Mode::Apply, "tags go key by key");
    assert_eq!(of(json!({"tags": {"env": "test"}}), tag("env", "prod")), Mode::Plan);
    // A name that only typed accounts have is known to be none of the organization's.
    let value = json!({"mode": "apply", "accounts": {PRODUCTION: {"organizational_units": ["my-ring"]}},
        "overrides": [{"organizational_units": ["my-ring"], "mode": "off"}]});
    assert_eq!(modes(&policy(&value, known()))[..2], [Mode::Apply, Mode::Off]);
}

#[test]
fn tags_are_those_of_the_organization() {
    let of = |key: &str, value: &str| {
        modes(&policy(&json!({"overrides": [{"account_tags": {key: value}, "mode": "apply"}]}), known()))
    };
    use Mode::{Apply, Plan};
    assert_eq!(of("env", "prod"), [Plan, Apply, Plan, Plan, Plan, Plan]);
    assert_eq!(of("env", "none"), [Plan; 6]);
    assert_eq!(of("team", "a"), [Plan; 6]);
}

#[test]
fn a_scope_knows_its_accounts() {
    let scoped = |scope: Value, places: Places| {
        let policy = policy(&json!({"scope": scope}), places);
        ACCOUNTS.map(|account| policy.why_not_in_scope(&account.parse().unwrap()).unwrap_or_default())
    };
    let within = |scope: Value| scoped(scope, known()).map(|why| why.is_empty());
    let organization = json!({"organization": "o-a1b2c3d4e5"});
    assert_eq!(within(organization.clone()), [true, true, true, false, true, false]);
    let workloads = "o-a1b2c3d4e5/r-ab12/ou-ab12-22222222/";
    for (unit, expected) in [
        ("ou-ab12-22222222", [false, true, true, false, false, false]),
        (&format!("{workloads}*"), [false, true, true, false, false, false]),
        (workloads, [false; 6]),
        (&format!("{workloads}ou-ab12-33333333/"), [false, true, false, false, false, false]),
        ("o-a1b2c3d4e5/r-ab12/", [false, false, false, false, true, false]),
    ] {
        assert_eq!(within(json!({"organizational_units": [unit]})), expected, "{unit}");
    }
    let why = scoped(organization.clone(), known());
    assert!(why[3].contains("444444444444 is SUSPENDED in its organization"), "{why:?}");
    assert!(why[5].contains("999999999999 was not in the organization"), "{why:?}");
    let why = scoped(json!({"organizational_units": ["ou-ab12-22222222"]}), known());
    assert!(why[0].contains("is in o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"), "{why:?}");
    assert!(scoped(json!({"organization": "o-zzzzzzzzzz"}), known()).iter().all(|why| !why.is_empty()));
    // Who asks for neither is asked for neither, and a list of accounts needs nobody to tell it.
    assert_eq!(within(json!({})), [true; 6]);
    let unknown = || Places::Unknown("nobody has read it".into());
    assert!(scoped(json!({"accounts": [SANDBOX]}), unknown())[0].is_empty());
    assert!(scoped(organization.clone(), unknown()).iter().all(|why| why.contains("nobody has read it")));
    // Without the organization it is left to IAM, and to nobody else with it.
    let left = |places| policy(&json!({"scope": organization.clone()}), places).scope_of_iam();
    assert_eq!(left(Places::Typed).unwrap(), "the organization o-a1b2c3d4e5");
    assert_eq!((left(known()), left(unknown())), (None, None));
    assert!(scoped(organization, Places::Typed).iter().all(String::is_empty));
}

#[test]
fn an_operators_own_policy_goes_by_the_places_that_the_buckets_knows() {
    let bucket = policy(&json!({"mode": "apply"}), known());
    let own = json!({"mode": "apply", "overrides": [{"organizational_units": ["Workloads"], "mode": "plan"}],
        "scope": {"organizational_units": ["ou-ab12-22222222"]}});
    let own = Arc::new(Policy::from_json(own.to_string().as_bytes()).unwrap());
    let both = bucket.narrowed_by(&own, &Default::default()).unwrap();
    use Mode::{Apply, Plan};
    assert_eq!(modes(&both), [Apply, Plan, Plan, Apply, Apply, Plan]);
    let within = ACCOUNTS.map(|account| both.may_include(&account.parse().unwrap()));
    assert_eq!(within, [false, true, true, false, false, false]);
}

#[test]
fn units_that_the_organization_does_not_have_are_told_with_their_lines() {
    let text = "{\"accounts\": {\"111111111111\": {\"organizational_units\": [\"mine\"]}},\n\"overrides\": [{\n\
        \"organizational_units\": [\"Sandbox\", \"mine\", \"ou-ab12-99999999\"], \"mode\": \"off\"}],\n\
        \"scope\": {\"organizational_units\": [\"ou-ab12-11111111\",\n\"o-a1b2c3d4e5/r-ab12/ou-ab12-88888888/*\"]},\n\
        \"freezes\": [{\"from\": \"2026-12-18\", \"to\": \"2026-12-19\", \"reason\": \"r\",\n\
        \"organizational_units\": [\"Sandbox\", \"ou-ab12-77777777\"]}]}";
    let policy = Policy::from_json(text.as_bytes()).unwrap();
    let astray = policy.units_astray(&read(organization()).unwrap());
    let lines: Vec<_> = astray.iter().map(|(why, line)| (why.contains("had no unit `ou-ab12-"), *line)).collect();
    assert_eq!(lines, [(true, Some(3)), (true, Some(7)), (true, Some(5))], "{astray:?}");
}

#[test]
fn what_is_no_tree_below_the_root_is_refused() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut value = organization();
        change(&mut value);
        read(value).unwrap_err()
    };
    for (says, error) in [
        ("`ou-ab12-", with(&|of| of["units"]["ou-ab12-22222222"]["parent"] = json!("ou-ab12-33333333"))),
        ("`111111111111` is in no unit", with(&|of| of["accounts"][SANDBOX]["parent"] = json!("ou-ab12-00000000"))),
        ("`o-1` is no ID", with(&|of| of["id"] = json!("o-1"))),
        ("`ou-ab12-11111111` is no ID", with(&|of| of["root"] = json!("ou-ab12-11111111"))),
        ("`ou-../x` is no ID", with(&|of| of["units"]["ou-../x"] = json!({"name": "n", "parent": "r-ab12"}))),
        ("`123` is not an AWS account ID", with(&|of| of["accounts"]["123"] = of["accounts"][SANDBOX].clone())),
        ("unknown field `email`", with(&|of| of["accounts"][SANDBOX]["email"] = json!("a@b"))),
        (
            "60001 accounts",
            with(&|of| {
                let many = (0..60_001).map(|id| (format!("{id:012}"), of["accounts"][TOP].clone()));
                of["accounts"] = many.collect();
            }),
        ),
    ] {
        assert!(error.contains(says), "{says}: {error}");
    }
    assert_eq!(serde_json::to_value(read(organization()).unwrap()).unwrap()["units"], organization()["units"]);
}

proptest! {
    /// What may be done while the organization is not known is never more than what may be done once it is.
    #[test]
    fn what_is_not_known_never_widens(
        overrides in prop::collection::vec((0..4_usize, 0..6_usize, 0..4_usize), 0..6),
        base in 0..4_usize,
    ) {
        let mode = |place: usize| ["off", "plan", "approve", "apply"][place];
        let overrides: Vec<_> = overrides.into_iter().map(|(unit, account, of)| match account {
            5 => json!({"organizational_units": [UNITS[unit]], "mode": mode(of)}),
            4 => json!({"account_tags": {"env": "prod"}, "mode": mode(of)}),
            _ => json!({"accounts": [ACCOUNTS[account]], "organizational_units": [UNITS[unit]], "mode": mode(of)}),
        }).collect();
        let value = json!({"mode": mode(base), "overrides": overrides});
        let (sure, unknown) = (policy(&value, known()), policy(&value, Places::Unknown("why".into())));
        for (known, less) in modes(&sure).into_iter().zip(modes(&unknown)) {
            prop_assert!(less <= known);
        }
    }
}
