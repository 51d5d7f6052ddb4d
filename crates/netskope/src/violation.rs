//! One row of a page: what of it remediation needs. Fields that are not named here are ignored.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;

use crate::Region;

/// A resource that fails a control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The row's position in the whole list, from 1.
    pub position: usize,
    /// The AWS account's ID, as Netskope gave it.
    pub account_id: String,
    /// The resource's region.
    pub region: Region,
    /// The resource's ID; its name where Netskope gave no ID.
    pub resource: String,
    /// Since when it fails, where Netskope says so.
    pub failing_since: Option<Timestamp>,
    /// When Netskope last looked, where it says so.
    pub last_scan_time: Option<Timestamp>,
}

/// A row that lacks what remediation needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidItem {
    /// Its position in the whole list, from 1.
    pub position: usize,
    /// What is wrong with it.
    pub reason: String,
}

#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    account_id: Value,
    #[serde(default)]
    region_name: Value,
    #[serde(default)]
    resource_id: Value,
    #[serde(default)]
    resource_name: Value,
    #[serde(default)]
    failing_since: Value,
    #[serde(default)]
    last_scan_time: Value,
}

impl Violation {
    pub(crate) fn from_json(json: &str, position: usize) -> Result<Self, String> {
        // serde would take an array for an object, member by member
        let object = json.trim_start().starts_with('{');
        let row: Option<Row> = object.then(|| serde_json::from_str(json).ok()).flatten();
        let row = row.ok_or("it is not an object")?;
        let account_id = text(&row.account_id).ok_or("it has no account_id")?;
        // An empty region is how some global resources come; a missing one says nothing.
        let region = row.region_name.as_str().ok_or("it has no region_name")?;
        let resource = text(&row.resource_id).or_else(|| text(&row.resource_name)).ok_or("it has no resource_id")?;
        Ok(Self {
            position,
            account_id,
            region: Region::parse(region),
            resource,
            failing_since: time(&row.failing_since),
            last_scan_time: time(&row.last_scan_time),
        })
    }
}

/// A text that says something; a number is taken for its digits.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    (!text.is_empty()).then_some(text)
}

/// Netskope's own form ("2020-02-12 02:30:17AM", in UTC), or seconds since 1970. Any other form is not known, and no
/// reason to drop the row.
fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(seconds) => Timestamp::from_second(seconds.as_i64()?).ok(),
        Value::String(text) => match text.parse() {
            Ok(seconds) => Timestamp::from_second(seconds).ok(),
            Err(_) => {
                let civil = DateTime::strptime("%Y-%m-%d %I:%M:%S%p", text.trim()).ok()?;
                TimeZone::UTC.to_timestamp(civil).ok()
            }
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROW: &str = r#"{"account_id":"222222222222","region_name":"EU(Frankfurt)","resource_id":"data",
        "last_scan_time":"2020-02-12 02:30:17AM","failing_since":1581474617,"profiles":["a"],"new_field":{"x":[1]}}"#;

    #[test]
    fn a_row_is_read_and_unknown_fields_are_ignored() {
        let violation = Violation::from_json(ROW, 7).unwrap();
        let time: Timestamp = "2020-02-12T02:30:17Z".parse().unwrap();
        assert_eq!(violation.region, Region::Code("eu-central-1"));
        assert_eq!((violation.position, violation.account_id.as_str()), (7, "222222222222"));
        assert_eq!((violation.last_scan_time, violation.failing_since), (Some(time), Some(time)));
    }

    #[test]
    fn a_row_without_account_region_or_resource_says_what_it_lacks() {
        for (without, reason) in [
            (r#"{"region_name":"global","resource_id":"x"}"#, "account_id"),
            (r#"{"account_id":" ","region_name":"global","resource_id":"x"}"#, "account_id"),
            (r#"{"account_id":"222222222222","resource_id":"x"}"#, "region_name"),
            (r#"{"account_id":"222222222222","region_name":null,"resource_id":"x"}"#, "region_name"),
            (r#"{"account_id":"222222222222","region_name":"","resource_id":""}"#, "resource_id"),
            (r#"["not an object"]"#, "not an object"),
        ] {
            let error = Violation::from_json(without, 1).unwrap_err();
            assert!(error.contains(reason), "{without}: {error}");
        }
    }

    #[test]
    fn the_name_stands_in_for_a_missing_id() {
        let row = r#"{"account_id":"222222222222","region_name":"","resource_id":"","resource_name":"alice"}"#;
        let violation = Violation::from_json(row, 1).unwrap();
        assert_eq!((violation.resource.as_str(), violation.region), ("alice", Region::Global));
    }

    proptest! {
        #[test]
        fn no_row_panics(row in "\\PC*", account: Option<i64>, region: Option<String>, when: String) {
            let _ = Violation::from_json(&row, 1);
            let made = serde_json::json!({"account_id": account, "region_name": region, "resource_id": "x",
                "last_scan_time": when});
            let read = Violation::from_json(&made.to_string(), 1);
            prop_assert_eq!(read.is_ok(), account.is_some() && region.is_some());
        }
    }
}
