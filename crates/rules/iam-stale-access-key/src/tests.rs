use aws_sdk_iam::error::ErrorMetadata;
use aws_sdk_iam::operation::list_access_keys::{ListAccessKeysError, ListAccessKeysOutput};
use aws_sdk_iam::operation::update_access_key::{UpdateAccessKeyError, UpdateAccessKeyOutput};
use aws_sdk_iam::primitives::DateTime;
use aws_smithy_mocks::{Rule as MockRule, RuleMode, mock, mock_client};
use proptest::prelude::*;
use remediation::{ErrorKind, Manifest, Region};

use super::*;

const DAY: i64 = 24 * 60 * 60;

fn finding(resource: &str) -> Finding {
    Finding {
        control: "Remote access: Ensure access keys are rotated every 90 days or less.".into(),
        account: "222222222222".parse().unwrap(),
        region: Region::global(),
        resource: resource.into(),
        first_seen: None,
        last_scanned: None,
    }
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

async fn plan(rules: &[&MockRule], resource: &str) -> Result<Vec<Change>> {
    let client = mock_client!(aws_sdk_iam, RuleMode::MatchAny, rules);
    Ok(IamStaleAccessKey::plan(&client, &finding(resource), &Settings::default()).await?.changes)
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
    assert_eq!(changes[0].to_string(), format!("user alice: access key AKIAOLD of {date}: Active → Inactive"));
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
    for rule in [truncated, undated] {
        let error = plan(&[&rule], "alice").await.unwrap_err();
        assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Transient, "iam:ListAccessKeys"), "{error}");
    }
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
    for resource in ["arn:aws:iam::222222222222:user/alice", "arn:aws-cn:iam::222222222222:user/of/a/path/alice"] {
        assert_eq!(plan(&[&keys(vec![])], resource).await.unwrap(), [], "{resource}");
    }
    for (resource, says) in [
        ("", "neither the name"),
        ("<root_account>", "neither the name"),
        ("arn:aws:iam::222222222222:root", "neither the name"),
        ("arn:aws:iam::222222222222:user/", "neither the name"),
        ("arn:aws:iam::222222222222:role/alice", "neither the name"),
        ("arn:aws:s3:::alice", "service s3, not of iam"),
        ("arn:aws:iam::333333333333:user/alice", "account 333333333333, but the finding is of 222222222222"),
    ] {
        let error = plan(&[&keys(vec![])], resource).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidFinding, "{resource}");
        assert!(error.message.contains(says), "{error}");
    }
}

fn change(before: Status, after: Status) -> Change {
    let created = "2020-01-01T00:00:00Z".parse().unwrap();
    Change { user: "alice".into(), access_key_id: "AKIAOLD".into(), created, before, after }
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
        IamStaleAccessKey::apply(&client, &change).await.unwrap();
        assert_eq!(update.num_calls(), 1);
    }
}

#[tokio::test]
async fn a_key_that_is_gone_needs_no_fix_and_cannot_be_brought_back() {
    let update = mock!(aws_sdk_iam::Client::update_access_key).then_error(|| {
        UpdateAccessKeyError::generic(ErrorMetadata::builder().code("NoSuchEntity").message("told so").build())
    });
    let client = mock_client!(aws_sdk_iam, RuleMode::MatchAny, [&update]);
    IamStaleAccessKey::apply(&client, &change(Status::Active, Status::Inactive)).await.unwrap();
    let undo = IamStaleAccessKey::apply(&client, &change(Status::Inactive, Status::Active)).await;
    let error = undo.unwrap_err();
    assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Gone, "iam:UpdateAccessKey"), "{error}");
}

#[test]
fn the_days_are_ninety_unless_the_policy_says_at_least_one() {
    let settings = |text: &str| serde_json::from_str::<Settings>(text).map_err(|error| error.to_string());
    assert_eq!(Settings::default().days, 90);
    assert_eq!(settings("{}"), Ok(Settings { days: 90 }));
    assert_eq!(settings(r#"{"days": 1}"#), Ok(Settings { days: 1 }));
    assert!(settings(r#"{"days": 0}"#).unwrap_err().starts_with("`days` must be at least 1"));
    for text in [r#"{"days": -1}"#, r#"{"days": 1.5}"#, r#"{"day": 1}"#] {
        assert!(settings(text).is_err(), "{text}");
    }
}

#[test]
fn the_manifest_can_be_read_and_serves_the_control() {
    let manifest = Manifest::from_json(IamStaleAccessKey::MANIFEST).unwrap();
    assert!(manifest.control(&finding("alice").control).is_some());
}

proptest! {
    #[test]
    fn a_key_is_stale_from_the_first_second_after_its_last_day(days in 1..40_000_u32, later in -100_i64..100) {
        let now = Timestamp::from_second(4_000_000_000).unwrap();
        let created = Timestamp::from_second(4_000_000_000 - i64::from(days) * DAY - later).unwrap();
        prop_assert_eq!(is_stale(created, now, days), later > 0);
    }

    #[test]
    fn undo_of_undo_is_the_change_itself(forward: bool) {
        let (before, after) =
            if forward { (Status::Active, Status::Inactive) } else { (Status::Inactive, Status::Active) };
        let change = change(before, after);
        let stored: Change = serde_json::from_str(&serde_json::to_string(&change).unwrap()).unwrap();
        let undo = IamStaleAccessKey::undo(&stored).unwrap();
        prop_assert_eq!((undo.before, undo.after), (after, before));
        prop_assert_eq!(IamStaleAccessKey::undo(&undo), Some(change));
    }

    #[test]
    fn no_resource_makes_the_parser_panic(resource: String) {
        let _ = user_name(&finding(&resource));
        let _ = user_name(&finding(&format!("arn:aws:iam::222222222222:{resource}")));
    }

    #[test]
    fn no_number_of_days_makes_the_age_panic(days: u32, second in -62_000_000_000_i64..253_000_000_000) {
        let created = Timestamp::from_second(second).unwrap();
        let _ = is_stale(created, Timestamp::now(), days);
    }
}
