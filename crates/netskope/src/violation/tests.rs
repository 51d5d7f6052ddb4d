//! Rows as Netskope documents them, and as they must not spoil a list.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const RULE: &str = "Ensure S3 Bucket is not publicly accessible.";
const ROW: &str = r#"{"account_id":"222222222222","region_name":"EU(Frankfurt)","resource_id":"data","status":"Failed",
    "last_scan_time":"2020-02-12 02:30:17AM","failing_since":1581474617,"profiles":["a"],"new_field":{"x":[1]},
    "cloud_provider":"AWS","rule_name":"Ensure S3 Bucket is not publicly accessible."}"#;

fn read(json: &str) -> Row {
    Row::from_json(json, &Asked::failed(RULE), &Filter::default(), 7)
}

/// A good row with these fields set.
fn with(fields: Value) -> Row {
    let mut row: Value = serde_json::from_str(ROW).unwrap();
    row.as_object_mut().unwrap().append(&mut fields.as_object().unwrap().clone());
    read(&row.to_string())
}

fn violation(row: Row) -> Violation {
    if let Row::Violation(violation) = row { violation } else { panic!("{row:?}") }
}

fn reason(row: Row) -> String {
    if let Row::Invalid(InvalidItem { position: 7, reason }) = row { reason } else { panic!("{row:?}") }
}

#[test]
fn a_row_is_read_and_unknown_fields_are_ignored() {
    let violation = violation(read(ROW));
    let time: Timestamp = "2020-02-12T02:30:17Z".parse().unwrap();
    assert_eq!(violation.region, Region::Code("eu-central-1".into()));
    assert_eq!((violation.position, violation.account_id.as_str()), (7, "222222222222"));
    assert_eq!((violation.last_scan_time, violation.failing_since), (Some(time), Some(time)));
}

#[test]
fn a_row_without_account_region_or_resource_says_what_it_lacks() {
    for (without, says) in [
        (r#"{"region_name":"global","resource_id":"x"}"#, "account_id"),
        (r#"{"account_id":" ","region_name":"global","resource_id":"x"}"#, "account_id"),
        (r#"{"account_id":"222222222222","resource_id":"x"}"#, "region_name"),
        (r#"{"account_id":"222222222222","region_name":null,"resource_id":"x"}"#, "region_name"),
        (r#"{"account_id":"222222222222","region_name":"","resource_id":""}"#, "resource_id"),
        (r#"["not an object"]"#, "not an object"),
        ("null", "not an object"),
        ("17", "not an object"),
        (r#"{"account_id":"1","account_id":"2"}"#, "duplicate field"),
    ] {
        let reason = reason(read(without));
        assert!(reason.contains(says), "{without}: {reason}");
    }
}

#[test]
fn the_name_stands_in_for_a_missing_id() {
    let row = r#"{"account_id":"222222222222","region_name":"","resource_id":"","resource_name":"alice"}"#;
    let violation = violation(read(row));
    assert_eq!((violation.resource.as_str(), violation.region), ("alice", Region::Global));
}

#[test]
fn an_account_that_was_a_number_gets_its_zeros_back() {
    for (given, id) in [
        (json!(222_222_222_222_u64), "222222222222"),
        (json!(12_345_678_901_u64), "012345678901"),
        (json!(42), "000000000042"),
        (json!("12345678901"), "012345678901"),
        (json!(" 123456789 "), "000123456789"),
        (json!("012345678901"), "012345678901"),
    ] {
        assert_eq!(violation(with(json!({"account_id": given}))).account_id, id, "{given}");
    }
}

#[test]
fn what_is_no_account_is_invalid() {
    for given in [
        json!(0),
        json!(-222_222_222_222_i64),
        json!(222_222_222_222.0),
        json!(1.5),
        json!(1e30),
        json!(1_222_222_222_222_u64),
        json!("1222222222222"),
        json!("12345"),
        json!("22222222222x"),
        json!("２２２２２２２２２２２２"),
        json!("+22222222222"),
    ] {
        let reason = reason(with(json!({"account_id": given})));
        assert!(reason.contains("is not an AWS account ID: twelve digits"), "{given}: {reason}");
    }
    for given in [json!(true), json!([222_222_222_222_u64]), json!({}), json!(null)] {
        assert_eq!(reason(with(json!({"account_id": given}))), "it has no account_id");
    }
}

#[test]
fn a_row_that_is_not_what_was_asked_for_is_skipped_with_the_reason() {
    for (fields, skip) in [
        (json!({"status": "Passed"}), Skip::NotFailed),
        (json!({"status": "PASSED "}), Skip::NotFailed),
        (json!({"status": "Error"}), Skip::NotFailed),
        (json!({"muted": "Yes"}), Skip::Muted),
        (json!({"mute": "YES", "mute_reason": "known"}), Skip::Muted),
        (json!({"mute": "true"}), Skip::Muted),
        (json!({"muted": true}), Skip::Muted),
        (json!({"muted": 1}), Skip::Muted),
        (json!({"muted": 1.0}), Skip::Muted),
        (json!({"is_muted": "y"}), Skip::Muted),
        (json!({"rule_name": "Ensure another thing"}), Skip::OtherRule),
        (json!({"rule_name": 7}), Skip::OtherRule),
        (json!({"cloud_provider": "Azure"}), Skip::OtherCloud),
        (json!({"cloud_provider": "googlecloud"}), Skip::OtherCloud),
        (json!({"is_auto_remediation": true}), Skip::RemediatedByNetskope),
        (json!({"is_auto_remediation": "Yes"}), Skip::RemediatedByNetskope),
        (json!({"is_auto_remediation": 1}), Skip::RemediatedByNetskope),
        (json!({"remediated_by": "admin@example.com"}), Skip::RemediatedByNetskope),
        (json!({"auto_remediation_status": "In Progress"}), Skip::RemediatedByNetskope),
        // One that cannot be acted on is no less somebody else's.
        (json!({"muted": "Yes", "account_id": null}), Skip::Muted),
    ] {
        assert_eq!(with(fields.clone()), Row::Skip(skip), "{fields}");
    }
}

#[test]
fn a_row_that_says_in_other_words_what_was_asked_for_is_a_violation() {
    for fields in [
        json!({"status": "failed"}),
        json!({"status": " FAILED"}),
        json!({"status": null, "cloud_provider": "", "rule_name": null}),
        json!({"cloud_provider": "aws"}),
        json!({"cloud_provider": "Amazon Web Services"}),
        json!({"rule_name": "ensure S3 bucket  is not publicly accessible. "}),
        json!({"mute": "No", "muted": "FALSE", "is_muted": 0, "mute_reason": "once"}),
        json!({"mute": "", "muted": null, "is_muted": false}),
        json!({"is_auto_remediation": "No", "remediated_by": "", "auto_remediation_status": "N/A"}),
        json!({"is_auto_remediation": false, "remediated_by": null, "auto_remediation_status": "Not Configured"}),
        json!({"is_auto_remediation": 0, "remediated_by": [], "remediation_action_name": "Block"}),
    ] {
        assert_eq!(violation(with(fields.clone())).resource, "data", "{fields}");
    }
}

#[test]
fn a_flag_that_says_neither_yes_nor_no_is_not_guessed() {
    for name in ["mute", "muted", "is_muted", "is_auto_remediation"] {
        let reason = reason(with(json!({name: "perhaps"})));
        assert_eq!(reason, format!("its {name} is `perhaps`, which is neither yes nor no"));
    }
}

#[test]
fn a_name_that_is_too_long_or_has_lost_bytes_is_invalid_and_other_texts_may_be_so() {
    for (fields, says) in [
        (json!({"resource_id": "x".repeat(1 << 20)}), "its resource_id has 1048578 bytes of JSON"),
        (json!({"resource_id": "x".repeat(2_049)}), "its resource_id has 2049 bytes, and at most 2048"),
        (json!({"resource_id": "a\u{fffd}b"}), "has bytes that are not UTF-8"),
        (json!({"resource_id": "a\nb"}), "has control characters"),
        (json!({"resource_id": "a\u{202e}b"}), "has control characters"),
        (json!({"resource_id": "a\u{200b}b"}), "that cannot be seen"),
        (json!({"region_name": "\u{fffd}"}), "its region_name"),
        (json!({"region_name": "x".repeat(1 << 20)}), "its region_name has"),
        (json!({"account_id": "2".repeat(1 << 20)}), "its account_id has"),
        (json!({"account_id": "22222222222\u{fffd}"}), "its account_id"),
    ] {
        let reason = reason(with(fields));
        assert!(reason.contains(says), "{reason}");
    }
    let text = "x\u{fffd}\u{0}".repeat(1 << 20);
    violation(with(json!({"remediation_steps": text, "error_msg": text, "last_scan_time": text})));
    let arn = format!("arn:aws:s3:::{}", "x".repeat(2_000));
    assert_eq!(violation(with(json!({"resource_id": arn}))).resource, arn);
}

#[test]
fn depth_costs_a_row_at_most() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let ignored = ROW.replace("[1]", &deep);
    assert_eq!(violation(read(&ignored)).resource, "data");
    let deep = "[".repeat(5_000) + &"]".repeat(5_000);
    let used = ROW.replace(r#""data""#, &deep);
    assert!(reason(read(&used)).starts_with("its resource_id cannot be read: recursion limit"));
}

/// Any JSON, as deep as a field can be.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec!["Yes", "no", "Failed", "Passed", "AWS", "azure", RULE, "222222222222", "global"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| prop::collection::vec(inner, 0..3).prop_map(Value::from))
}

fn any_row() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "account_id",
        "region_name",
        "resource_id",
        "resource_name",
        "status",
        "mute",
        "muted",
        "rule_name",
        "cloud_provider",
        "is_auto_remediation",
        "remediated_by",
        "auto_remediation_status",
        "last_scan_time",
        "failing_since",
    ]);
    prop::collection::hash_map(names, any_json(), 0..14)
        .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(row in "\\PC*|[{\\[]\"?\\PC*") {
        let _ = read(&row);
    }

    #[test]
    fn a_row_of_any_values_is_one_thing_and_a_violation_can_be_used(row in any_row()) {
        if let Row::Violation(violation) = read(&row.to_string()) {
            prop_assert!(violation.account_id.len() == 12 && violation.account_id.bytes().all(|b| b.is_ascii_digit()));
            prop_assert!(!violation.resource.is_empty() && violation.resource.len() <= MAX_RESOURCE);
            prop_assert!(!violation.resource.chars().any(is_unsafe));
            prop_assert!(row["status"].as_str().is_none_or(|status| status != "Passed"), "{}", row);
        }
    }

    #[test]
    fn every_number_that_can_be_an_account_is_the_same_account(number in 1..1_000_000_000_000_u64) {
        let id = violation(with(json!({"account_id": number}))).account_id;
        prop_assert_eq!((id.len(), id.parse()), (12, Ok(number)));
    }
}

#[test]
fn in_a_list_of_what_passes_a_row_says_itself_that_it_does_and_where() {
    let asked = Asked { passed_in: Some("222222222222".into()), ..Asked::failed(RULE) };
    let read = |fields: Value| {
        let mut row: Value = serde_json::from_str(ROW).unwrap();
        row.as_object_mut().unwrap().append(&mut fields.as_object().unwrap().clone());
        Row::from_json(&row.to_string(), &asked, &Filter::default(), 7)
    };
    for fields in [
        json!({"status": "Passed"}),
        json!({"status": " passed "}),
        json!({"status": "Passed", "muted": "Yes"}),
        json!({"status": "Passed", "mute": "perhaps", "remediated_by": "Netskope"}),
    ] {
        let passed = violation(read(fields.clone()));
        assert!(passed.last_scan_time.is_some() && passed.resource == "data", "{fields}");
    }
    for fields in [
        json!({"status": "Failed"}),
        json!({"status": null}),
        json!({"status": ""}),
        json!({"status": 1}),
        json!({"status": "Passed", "account_id": "333333333333"}),
    ] {
        assert_eq!(read(fields.clone()), Row::Skip(Skip::NotPassed), "{fields}");
    }
    assert_eq!(read(json!({"status": "Passed", "rule_name": "another"})), Row::Skip(Skip::OtherRule));
    assert!(reason(read(json!({"status": "Passed", "account_id": null}))).contains("account_id"));
    assert_eq!(with(json!({"status": "Passed"})), Row::Skip(Skip::NotFailed));
}
