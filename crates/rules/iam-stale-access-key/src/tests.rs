use std::collections::BTreeSet;

use aws_sdk_iam::error::ErrorMetadata;
use aws_sdk_iam::operation::get_access_key_last_used::{GetAccessKeyLastUsedError, GetAccessKeyLastUsedOutput};
use aws_sdk_iam::operation::get_user::{GetUserError, GetUserOutput};
use aws_sdk_iam::operation::list_access_keys::{ListAccessKeysError, ListAccessKeysOutput};
use aws_sdk_iam::operation::update_access_key::{UpdateAccessKeyError, UpdateAccessKeyOutput};
use aws_sdk_iam::types::Tag;
use aws_smithy_mocks::{Rule as MockRule, RuleMode, mock, mock_client};
use proptest::prelude::*;
use remediation::{ErrorKind, Manifest};
use rule_testing::{World, finding, hold, poll};

use super::*;

const ARN: &str = "arn:aws:iam::222222222222:user/of/a/path/alice";
const DAY: i64 = 24 * 60 * 60;

const CONTROL: &str = "Remote access: Ensure access keys are rotated every 90 days or less.";

/// The user alice.
fn user() -> Resource {
    Resource::of_arn(GET_USER, ARN.into(), "alice").unwrap()
}

fn days_ago(days: i64) -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() - days * DAY).unwrap()
}

fn key(id: &str, status: StatusType, days: i64) -> AccessKeyMetadata {
    let created = DateTime::from_secs(days_ago(days).as_second());
    AccessKeyMetadata::builder().user_name("alice").access_key_id(id).status(status).create_date(created).build()
}

/// The page of alice's keys that `marker` asks for, and the marker of the next.
fn page(marker: Option<&'static str>, keys: Vec<AccessKeyMetadata>, next: Option<&'static str>) -> MockRule {
    mock!(aws_sdk_iam::Client::list_access_keys)
        .match_requests(move |request| request.user_name() == Some("alice") && request.marker() == marker)
        .then_output(move || {
            let keys = ListAccessKeysOutput::builder().set_access_key_metadata(Some(keys.clone()));
            keys.is_truncated(next.is_some()).set_marker(next.map(str::to_owned)).build().unwrap()
        })
}

fn keys(keys: Vec<AccessKeyMetadata>) -> MockRule {
    page(None, keys, None)
}

fn refused(code: &'static str) -> MockRule {
    mock!(aws_sdk_iam::Client::list_access_keys).then_error(move || {
        ListAccessKeysError::generic(ErrorMetadata::builder().code(code).message("told so").build())
    })
}

/// The user alice, below a path, with a tag.
fn alice() -> MockRule {
    mock!(aws_sdk_iam::Client::get_user).match_requests(|request| request.user_name() == Some("alice")).then_output(
        || {
            let user = User::builder().user_name("alice").user_id("AIDAALICE").path("/of/a/path/").arn(ARN);
            let user =
                user.create_date(DateTime::from_secs(0)).tags(Tag::builder().key("k").value("v").build().unwrap());
            GetUserOutput::builder().user(user.build().unwrap()).build()
        },
    )
}

async fn look(rules: &[&MockRule], resource: &str) -> Result<Seen<State>> {
    let alice = alice();
    let client = mock_client!(aws_sdk_iam, RuleMode::MatchAny, [rules, &[&alice]].concat());
    IamStaleAccessKey::look(&client, &finding(CONTROL, resource)).await
}

async fn plan(rules: &[&MockRule], resource: &str) -> Result<Vec<Change>> {
    Ok(IamStaleAccessKey::plan(&look(rules, resource).await?, &[], &Settings::default()).changes)
}

/// A key's last use: the days since then, the service and the region.
fn used(days: Option<i64>, service: &str, region: &str) -> GetAccessKeyLastUsedOutput {
    let date = days.map(|days| DateTime::from_secs(days_ago(days).as_second()));
    let used = AccessKeyLastUsed::builder().set_last_used_date(date).service_name(service).region(region);
    GetAccessKeyLastUsedOutput::builder().access_key_last_used(used.build().unwrap()).build()
}

fn ids(changes: &[Change]) -> Vec<&str> {
    changes.iter().map(|change| change.access_key_id.as_str()).collect()
}

#[tokio::test]
async fn each_active_key_older_than_ninety_days_is_one_change() {
    let listed = keys(vec![key("AKIAOLD", StatusType::Active, 91), key("AKIAOLDER", StatusType::Active, 4000)]);
    let changes = plan(&[&listed], "alice").await.unwrap();
    assert_eq!(ids(&changes), ["AKIAOLD", "AKIAOLDER"]);
    assert_eq!((changes[0].before, changes[0].after), (Status::Active, Status::Inactive));
    let date = changes[0].created.strftime("%Y-%m-%d");
    assert_eq!(changes[0].to_string(), format!("access key AKIAOLD, created on {date}: Active → Inactive"));
}

#[tokio::test]
async fn young_keys_and_keys_that_are_not_active_are_left_alone() {
    let listed = [
        key("AKIAYOUNG", StatusType::Active, 89),
        key("AKIAINACTIVE", StatusType::Inactive, 4000),
        key("AKIAEXPIRED", StatusType::Expired, 4000),
    ];
    assert_eq!(plan(&[&keys(listed.into())], "alice").await.unwrap(), []);
    assert_eq!(plan(&[&keys(vec![])], "alice").await.unwrap(), []);
}

#[tokio::test]
async fn every_page_is_read() {
    let first = page(None, vec![key("AKIAYOUNG", StatusType::Active, 1)], Some("second"));
    let second = page(Some("second"), vec![key("AKIAOLD", StatusType::Active, 100)], Some("third"));
    let third = page(Some("third"), vec![key("AKIAOLDER", StatusType::Active, 200)], None);
    let changes = plan(&[&first, &second, &third], "alice").await.unwrap();
    assert_eq!(ids(&changes), ["AKIAOLD", "AKIAOLDER"]);
}

#[tokio::test]
async fn an_answer_that_is_not_whole_is_an_error_and_not_compliance() {
    let truncated = mock!(aws_sdk_iam::Client::list_access_keys).then_output(|| {
        ListAccessKeysOutput::builder().set_access_key_metadata(Some(vec![])).is_truncated(true).build().unwrap()
    });
    let undated = keys(vec![AccessKeyMetadata::builder().access_key_id("AKIA").status(StatusType::Active).build()]);
    let created = DateTime::from_secs(0);
    let unknown = keys(vec![AccessKeyMetadata::builder().access_key_id("AKIA").create_date(created).build()]);
    for rule in [truncated, undated, unknown] {
        let error = plan(&[&rule], "alice").await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Transient, "iam:ListAccessKeys"), "{error}");
    }
}

#[tokio::test]
async fn the_guard_sees_each_key_that_would_go_and_is_in_use() {
    let last_use = |id: &'static str, days, service: &'static str| {
        mock!(aws_sdk_iam::Client::get_access_key_last_used)
            .match_requests(move |request| request.access_key_id() == Some(id))
            .then_output(move || used(days, service, "eu-central-1"))
    };
    let date = days_ago(3).strftime("%Y-%m-%d").to_string();
    let used_lately = Sighting::new("access key AKIAOLD was used with s3 in eu-central-1");
    let used_lately = used_lately.with(format!("3 days ago, on {date}"));
    for (days, expected) in [(30, vec![used_lately]), (2, vec![])] {
        let listed = keys(vec![
            key("AKIAOLD", StatusType::Active, 91),
            key("AKIAOLDER", StatusType::Active, 4000),
            key("AKIAYOUNG", StatusType::Active, 1),
        ]);
        let (recent, long_ago) = (last_use("AKIAOLD", Some(3), "s3"), last_use("AKIAOLDER", Some(31), "ec2"));
        let seen = look(&[&listed], "alice").await.unwrap();
        let settings = Settings { guard_recent_use_days: days, ..Settings::default() };
        let changes = IamStaleAccessKey::plan(&seen, &[], &settings).changes;
        let client = mock_client!(aws_sdk_iam, RuleMode::MatchAny, [&recent, &long_ago]);
        let saw = IamStaleAccessKey::impact(&client, &seen, &changes, &settings).await.unwrap();
        assert_eq!((recent.num_calls(), long_ago.num_calls()), (1, 1));
        assert_eq!(saw, expected);
    }
}

#[test]
fn what_the_guard_says_leaves_out_what_iam_does_not_know() {
    let now = Timestamp::now();
    for (days, service, region, what, ago) in [
        (Some(0), "iam", "N/A", " with iam", Some("less than a day ago")),
        (Some(1), "N/A", "N/A", "", Some("1 day ago")),
        (Some(29), "sts", "us-east-1", " with sts in us-east-1", Some("29 days ago")),
        (Some(31), "sts", "us-east-1", "", None),
        (None, "N/A", "N/A", "", None),
    ] {
        let date = days_ago(days.unwrap_or_default()).strftime("%Y-%m-%d").to_string();
        let used = used(days, service, region).access_key_last_used.unwrap();
        let expected =
            ago.map(|ago| Sighting::new(format!("access key AKIA was used{what}")).with(format!("{ago}, on {date}")));
        assert_eq!(recent_use("AKIA", &used, now, 30), expected, "{days:?}");
    }
}

#[test]
fn another_service_is_another_sighting_and_another_day_is_not() {
    let now = Timestamp::now();
    let saw = |days, service: &str, region: &str| {
        recent_use("AKIA", &used(Some(days), service, region).access_key_last_used.unwrap(), now, 30).unwrap().what
    };
    assert_eq!(saw(3, "s3", "eu-west-1"), saw(1, "s3", "eu-west-1"));
    assert_ne!(saw(3, "s3", "eu-west-1"), saw(3, "ec2", "eu-west-1"));
    assert_ne!(saw(3, "s3", "eu-west-1"), saw(3, "s3", "us-east-1"));
}

#[tokio::test]
async fn a_use_that_cannot_be_read_fails_by_its_action_unless_the_key_is_gone() {
    let seen = look(&[&keys(vec![key("AKIAOLD", StatusType::Active, 91)])], "alice").await.unwrap();
    let settings = Settings::default();
    let changes = IamStaleAccessKey::plan(&seen, &[], &settings).changes;
    for (code, kind) in [("AccessDenied", Some(ErrorKind::AccessDenied)), ("NoSuchEntity", None)] {
        let refused = mock!(aws_sdk_iam::Client::get_access_key_last_used).then_error(move || {
            GetAccessKeyLastUsedError::generic(ErrorMetadata::builder().code(code).message("told so").build())
        });
        let client = mock_client!(aws_sdk_iam, RuleMode::MatchAny, [&refused]);
        let saw = IamStaleAccessKey::impact(&client, &seen, &changes, &settings).await;
        let expected = kind.map(|kind| (kind, "iam:GetAccessKeyLastUsed".to_owned()));
        assert_eq!(saw.map_err(|error| (error.kind, error.action)), expected.map_or(Ok(vec![]), Err), "{code}");
    }
}

#[tokio::test]
async fn a_user_goes_by_the_arn_with_its_path_by_name_and_by_id() {
    let seen = look(&[&keys(vec![])], "alice").await.unwrap();
    assert_eq!((seen.resource.arn.as_str(), seen.resource.id.as_str()), (ARN, "alice"));
    assert_eq!((seen.resource.owner.as_ref(), seen.resource.region.is_global()), ("222222222222", true));
    assert!(seen.resource.all_names().any(|name| name == "AIDAALICE"));
    let client = mock_client!(aws_sdk_iam, RuleMode::MatchAny, [&alice()]);
    let tags = IamStaleAccessKey::tags(&client, &seen).await.unwrap();
    assert_eq!(tags, [("k".to_owned(), "v".to_owned())].into());
}

#[tokio::test]
async fn a_user_that_does_not_exist_is_gone() {
    let no_user = mock!(aws_sdk_iam::Client::get_user)
        .then_error(|| GetUserError::generic(ErrorMetadata::builder().code("NoSuchEntity").message("told so").build()));
    let client = mock_client!(aws_sdk_iam, RuleMode::MatchAny, [&no_user, &refused("NoSuchEntity")]);
    let error = IamStaleAccessKey::look(&client, &finding(CONTROL, "alice")).await.unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Gone, "iam:GetUser"), "{error}");
}

#[tokio::test]
async fn the_keys_are_those_of_the_user_that_iam_names() {
    let found = GetUserOutput::builder();
    let user = User::builder().user_name("alice").user_id("AIDAALICE").path("/").arn(ARN);
    let found = found.user(user.create_date(DateTime::from_secs(0)).build().unwrap()).build();
    let user = mock!(aws_sdk_iam::Client::get_user).then_output(move || found.clone());
    let of = |name: &'static str, keys: Vec<AccessKeyMetadata>| {
        mock!(aws_sdk_iam::Client::list_access_keys)
            .match_requests(move |asked| asked.user_name() == Some(name))
            .then_output(move || {
                ListAccessKeysOutput::builder().set_access_key_metadata(Some(keys.clone())).build().unwrap()
            })
    };
    let (asked, named) = (of("Alice", vec![key("AKIAELSES", StatusType::Active, 1)]), of("alice", vec![]));
    let client = mock_client!(aws_sdk_iam, RuleMode::MatchAny, [&user, &asked, &named]);
    let seen = IamStaleAccessKey::look(&client, &finding(CONTROL, "Alice")).await.unwrap();
    assert_eq!((seen.resource.id.as_str(), seen.state.keys), ("alice", vec![]));
}

#[tokio::test]
async fn errors_name_the_action() {
    for (code, kind) in [
        ("NoSuchEntity", ErrorKind::Gone),
        ("AccessDenied", ErrorKind::AccessDenied),
        ("Throttling", ErrorKind::Throttled),
        ("ValidationError", ErrorKind::Permanent),
    ] {
        let error = plan(&[&refused(code)], "alice").await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (kind, "iam:ListAccessKeys"), "{error}");
    }
}

#[tokio::test]
async fn a_user_is_named_by_name_or_arn() {
    for resource in ["arn:aws:iam::222222222222:user/alice", "arn:aws:iam::222222222222:user/of/a/path/alice"] {
        assert_eq!(plan(&[&keys(vec![])], resource).await.unwrap(), [], "{resource}");
    }
    for (resource, says) in [
        ("", "neither the name"),
        ("<root_account>", "neither the name"),
        ("arn:aws:iam::222222222222:root", "neither the name"),
        ("arn:aws:iam::222222222222:user/", "neither the name"),
        ("arn:aws:iam::222222222222:role/alice", "neither the name"),
        ("arn:aws:s3:::alice", "service s3, not of iam"),
        ("arn:aws-cn:iam::222222222222:user/alice", "partition aws-cn, but the finding is of aws"),
        ("arn:aws:iam::333333333333:user/alice", "account 333333333333, but the finding is of 222222222222"),
    ] {
        let error = plan(&[&keys(vec![])], resource).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidFinding, "{resource}");
        assert!(error.message.contains(says), "{error}");
    }
}

fn change(before: Status, after: Status) -> Change {
    let created = "2020-01-01T00:00:00Z".parse().unwrap();
    Change { access_key_id: "AKIAOLD".into(), created, before, after }
}

#[tokio::test]
async fn apply_writes_the_status_of_that_users_key() {
    for (change, status) in [
        (change(Status::Active, Status::Inactive), StatusType::Inactive),
        (change(Status::Inactive, Status::Active), StatusType::Active),
    ] {
        let update = mock!(aws_sdk_iam::Client::update_access_key)
            .match_requests(move |request| {
                request.user_name() == Some("alice")
                    && request.access_key_id() == Some("AKIAOLD")
                    && request.status() == Some(&status)
            })
            .then_output(|| UpdateAccessKeyOutput::builder().build());
        let client = mock_client!(aws_sdk_iam, RuleMode::MatchAny, [&update]);
        IamStaleAccessKey::apply(&client, &user(), &change).await.unwrap();
        assert_eq!(update.num_calls(), 1);
    }
}

#[tokio::test]
async fn a_key_that_is_gone_needs_no_fix_and_cannot_be_brought_back() {
    let update = mock!(aws_sdk_iam::Client::update_access_key).then_error(|| {
        UpdateAccessKeyError::generic(ErrorMetadata::builder().code("NoSuchEntity").message("told so").build())
    });
    let client = mock_client!(aws_sdk_iam, RuleMode::MatchAny, [&update]);
    IamStaleAccessKey::apply(&client, &user(), &change(Status::Active, Status::Inactive)).await.unwrap();
    let undo = IamStaleAccessKey::apply(&client, &user(), &change(Status::Inactive, Status::Active)).await;
    let error = undo.unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Gone, "iam:UpdateAccessKey"), "{error}");
}

#[tokio::test]
async fn it_makes_the_fewest_calls() {
    let old = |id: &str| key(id, StatusType::Active, 100);
    let last_use = || mock!(aws_sdk_iam::Client::get_access_key_last_used).then_output(|| used(Some(3), "s3", "N/A"));
    for (listed, guard, expected) in [
        (vec![key("AKIAYOUNG", StatusType::Active, 1)], Guard::Hold, 2),
        (vec![old("AKIA1")], Guard::Off, 5),
        (vec![old("AKIA1")], Guard::Warn, 6),
        (vec![old("AKIA1"), old("AKIA2")], Guard::Warn, 8),
        (vec![old("AKIA1")], Guard::Hold, 3),
        (vec![old("AKIA1"), old("AKIA2")], Guard::Hold, 4),
    ] {
        let update =
            mock!(aws_sdk_iam::Client::update_access_key).then_output(|| UpdateAccessKeyOutput::builder().build());
        let rules = [&alice(), &keys(listed), &last_use(), &update];
        let client = mock_client!(aws_sdk_iam, RuleMode::MatchAny, &rules);
        let settings = Settings { guard_recent_use: guard, ..Settings::default() };
        let finding = finding(CONTROL, "alice");
        poll::<IamStaleAccessKey>(&client, &finding, &[NoParameters {}], &settings).await.unwrap();
        assert_eq!(rules.iter().map(|rule| rule.num_calls()).sum::<usize>(), expected, "{guard:?}");
    }
}

fn state(keys: &[(&str, Status)]) -> State {
    let key = |(id, status): &(&str, Status)| Key { id: (*id).into(), created: days_ago(100), status: *status };
    State { keys: keys.iter().map(key).collect(), tags: Tags::new() }
}

#[test]
fn a_side_is_that_of_the_key_and_no_settings_matter() {
    let change = change(Status::Active, Status::Inactive);
    for (keys, side) in [
        (&[("AKIAOTHER", Status::Inactive), ("AKIAOLD", Status::Active)][..], Side::Before),
        (&[("AKIAOTHER", Status::Active), ("AKIAOLD", Status::Inactive)], Side::After),
        (&[("AKIAOTHER", Status::Active)], Side::Neither),
    ] {
        assert_eq!(IamStaleAccessKey::side(&change, &state(keys)), side, "{keys:?}");
    }
    // With settings under which nobody would plan it any more, it is still as the change found it.
    let found = state(&[("AKIAOLD", Status::Active)]);
    let later = Settings { days: 3650, ..Settings::default() };
    assert!(IamStaleAccessKey::plan(&Seen::now(user(), found.clone()), &[], &later).complies());
    assert_eq!(IamStaleAccessKey::side(&change, &found), Side::Before);
}

impl World for IamStaleAccessKey {
    fn write(state: &mut State, change: &Change) {
        let key = state.keys.iter_mut().find(|key| key.id == change.access_key_id).unwrap();
        key.status = change.after;
    }

    fn open(state: &State) -> BTreeSet<String> {
        state.keys.iter().filter(|key| key.status == Status::Active).map(|key| key.id.clone()).collect()
    }
}

#[test]
fn the_days_are_ninety_unless_the_policy_says_at_least_one() {
    let settings = |text: &str| serde_json::from_str::<Settings>(text).map_err(|error| error.to_string());
    assert_eq!(Settings::default().days, 90);
    let defaults = Settings { days: 90, guard_recent_use: Guard::Hold, guard_recent_use_days: 30 };
    assert_eq!(settings("{}"), Ok(defaults));
    assert_eq!(settings(r#"{"days": 1}"#), Ok(Settings { days: 1, ..defaults }));
    let text = r#"{"guard_recent_use": "off", "guard_recent_use_days": 1}"#;
    assert_eq!(settings(text), Ok(Settings { guard_recent_use: Guard::Off, guard_recent_use_days: 1, ..defaults }));
    for key in ["days", "guard_recent_use_days"] {
        let error = settings(&format!(r#"{{"{key}": 0}}"#)).unwrap_err();
        assert!(error.starts_with("`days` and `guard_recent_use_days` must be at least 1"), "{error}");
    }
    for text in [r#"{"days": -1}"#, r#"{"days": 1.5}"#, r#"{"day": 1}"#] {
        assert!(settings(text).is_err(), "{text}");
    }
}

#[test]
fn the_manifest_can_be_read_and_serves_the_control() {
    let manifest = Manifest::from_json(IamStaleAccessKey::MANIFEST).unwrap();
    assert!(manifest.control(CONTROL).is_some());
}

proptest! {
    #[test]
    fn a_key_is_too_old_from_the_first_second_after_its_last_day(days in 1..40_000_u32, later in -100_i64..100) {
        let now = Timestamp::from_second(4_000_000_000).unwrap();
        let created = Timestamp::from_second(4_000_000_000 - i64::from(days) * DAY - later).unwrap();
        prop_assert_eq!(is_older(created, now, days), later > 0);
    }

    #[test]
    fn the_laws_hold(
        found in prop::collection::vec((0..200_i64, any::<bool>()), 0..5), days in 1..200_u32, is_off: bool,
    ) {
        let key = |(number, (age, is_active)): (usize, (i64, bool))| {
            let status = if is_active { Status::Active } else { Status::Inactive };
            Key { id: format!("AKIA{number}"), created: days_ago(age), status }
        };
        let state = State { keys: found.into_iter().enumerate().map(key).collect(), tags: Tags::new() };
        let guard_recent_use = if is_off { Guard::Off } else { Guard::Hold };
        let settings = Settings { days, guard_recent_use, ..Settings::default() };
        hold::<IamStaleAccessKey>(&user(), &state, &[NoParameters {}], &settings);
    }

    #[test]
    fn no_resource_makes_the_parser_panic(resource: String) {
        let _ = finding(CONTROL, &resource).named(&USER_NAME);
        let _ = finding(CONTROL, &format!("arn:aws:iam::222222222222:{resource}")).named(&USER_NAME);
    }

    #[test]
    fn no_number_of_days_makes_the_age_panic(days: u32, second in -62_000_000_000_i64..253_000_000_000) {
        let created = Timestamp::from_second(second).unwrap();
        let _ = is_older(created, Timestamp::now(), days);
    }
}
