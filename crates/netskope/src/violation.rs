//! One row of a page: what of it remediation needs, and whether it is a row to act on. Fields that are not named here
//! are ignored.
//!
//! A value is read in whatever form it comes (text in any case, boolean, number), but means what it says: where a row
//! names its rule, cloud or status, these must be what was asked for, and a flag that says neither yes nor no makes
//! the row invalid, because it may be the reason to leave the resource alone.
//!
//! In a list of what passes, a row says so itself: one without a status is none. Who has muted it, or would remediate it,
//! does not matter there.

use escape::is_unsafe;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Number, Value};

use crate::list::Asked;
use crate::text::UNREADABLE;
use crate::{Filter, Region, Skip};

/// The longest name of a resource, in bytes: an ARN has at most 2,048.
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html> (`ResourceArns`)
const MAX_RESOURCE: usize = 2_048;
/// The longest of the other texts that are used, in bytes.
const MAX_TEXT: usize = 256;
/// The most bytes of JSON that are read of a field: enough for the longest name with every byte escaped.
pub(crate) const MAX_JSON: usize = 16 * 1024;
/// How many digits an AWS account ID has.
const ACCOUNT_DIGITS: usize = 12;
/// The fewest digits of a text that is read as an account ID without its leading zeros, which spreadsheets drop.
const LEAST_DIGITS: usize = 9;
/// What stands for an empty value where a text is expected.
const NOTHING: [&str; 7] = ["", "none", "null", "n/a", "na", "-", "not applicable"];
const YES: [&str; 6] = ["yes", "y", "true", "1", "on", "muted"];
const NO: [&str; 6] = ["no", "n", "false", "0", "off", "unmuted"];
/// States in which Netskope's own remediation leaves a resource alone.
const IDLE: [&str; 5] = ["disabled", "notconfigured", "notenabled", "notattempted", "notremediated"];
/// The names of the cloud that is asked for.
const AWS: [&str; 2] = ["aws", "amazonwebservices"];

/// A resource that fails a control; or passes it, in a list of those.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The row's position in the whole list, from 1.
    pub position: usize,
    /// The AWS account's ID, with the leading zeros that it loses as a number.
    pub account_id: String,
    /// The resource's region.
    pub region: Region,
    /// The resource's ID; its name where Netskope gave no ID.
    pub resource: String,
    /// Since when it fails, if Netskope says so.
    pub failing_since: Option<Timestamp>,
    /// When Netskope last scanned it, if Netskope says so.
    pub last_scan_time: Option<Timestamp>,
}

impl Violation {
    /// The texts that Netskope sent.
    pub(crate) fn texts(&self) -> [&str; 3] {
        let region = match &self.region {
            Region::Global => "",
            Region::Code(name) | Region::Unknown(name) => name,
        };
        [&self.account_id, region, &self.resource]
    }
}

/// A row that lacks what remediation needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidItem {
    /// Its position in the whole list, from 1.
    pub position: usize,
    /// What is wrong with it: at most some hundred characters, escaped.
    pub reason: String,
}

/// What a row is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Row {
    /// One to act on.
    Violation(Violation),
    /// One to leave alone.
    Skip(Skip),
    /// One that cannot be used.
    Invalid(InvalidItem),
}

/// Declares the fields that are read, as JSON and as values. An optional one that cannot be read says nothing; any
/// other makes the row invalid.
macro_rules! fields {
    (required: $($name:ident),*; optional: $($optional:ident),*) => {
        /// The row's own JSON of each field.
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Texts<'a> {
            $(#[serde(borrow)] $name: Option<&'a RawValue>,)*
            $(#[serde(borrow)] $optional: Option<&'a RawValue>,)*
        }

        /// What each field says.
        struct Fields {
            $($name: Value,)*
            $($optional: Value,)*
        }

        impl TryFrom<Texts<'_>> for Fields {
            type Error = String;

            fn try_from(texts: Texts<'_>) -> Result<Self, String> {
                Ok(Self {
                    $($name: value(stringify!($name), texts.$name)?,)*
                    $($optional: value(stringify!($optional), texts.$optional).unwrap_or_default(),)*
                })
            }
        }
    };
}

fields! {
    required: account_id, auto_remediation_status, cloud_provider, is_auto_remediation, is_muted, mute, muted,
        region_name, remediated_by, resource_id, rule_name, status;
    optional: failing_since, last_scan_time, resource_name
}

/// The value of a field. As a value, a longer one would take many times its size.
fn value(name: &str, json: Option<&RawValue>) -> Result<Value, String> {
    let Some(json) = json.map(RawValue::get) else { return Ok(Value::Null) };
    if json.len() > MAX_JSON {
        return Err(format!("its {name} has {} bytes of JSON, and at most {MAX_JSON} are allowed", json.len()));
    }
    serde_json::from_str(json).map_err(|error| format!("its {name} cannot be read: {error}"))
}

impl Row {
    /// Reads the row of a list that was asked for what has a status by `rule_name` in AWS and `filter` lets through.
    pub(crate) fn from_json(json: &str, asked: &Asked, filter: &Filter, position: usize) -> Self {
        let read = Fields::from_json(json).and_then(|fields| match fields.skip(asked)?.or(filter.skip(json)?) {
            Some(skip) => Ok(Self::Skip(skip)),
            None => fields.violation(position).map(Self::Violation),
        });
        read.unwrap_or_else(|reason| Self::Invalid(InvalidItem { position, reason }))
    }
}

impl Fields {
    fn from_json(json: &str) -> Result<Self, String> {
        // serde would take an array for an object, member by member
        if !json.trim_start().starts_with('{') {
            return Err("it is not an object".into());
        }
        let texts: Texts<'_> = serde_json::from_str(json).map_err(|error| format!("it cannot be read: {error}"))?;
        texts.try_into()
    }

    /// Why this row is not one to act on, if it is not.
    fn skip(&self, Asked { rule_name, passed_in }: &Asked) -> Result<Option<Skip>, String> {
        let says_other = |value, is_asked: &dyn Fn(&str) -> bool| said(value).is_some_and(|said| !is_asked(&said));
        if says_other(&self.cloud_provider, &|cloud| AWS.contains(&folded(cloud).as_str())) {
            return Ok(Some(Skip::OtherCloud));
        }
        if says_other(&self.rule_name, &|rule| folded(rule) == folded(rule_name)) {
            return Ok(Some(Skip::OtherRule));
        }
        if let Some(account) = passed_in {
            let passes = said(&self.status).is_some_and(|status| folded(&status) == "passed");
            let of_another = says_other(&self.account_id, &|_| self::account(&self.account_id).as_ref() == Ok(account));
            return Ok((!passes || of_another).then_some(Skip::NotPassed));
        }
        if says_other(&self.status, &|status| folded(status) == "failed") {
            return Ok(Some(Skip::NotFailed));
        }
        for (name, value) in [("mute", &self.mute), ("muted", &self.muted), ("is_muted", &self.is_muted)] {
            if flag(name, value)? {
                return Ok(Some(Skip::Muted));
            }
        }
        let is_handled = flag("is_auto_remediation", &self.is_auto_remediation)?
            || says_other(&self.remediated_by, &is_no)
            || says_other(&self.auto_remediation_status, &|state| {
                is_no(state) || IDLE.contains(&folded(state).as_str())
            });
        Ok(is_handled.then_some(Skip::RemediatedByNetskope))
    }

    fn violation(&self, position: usize) -> Result<Violation, String> {
        let account_id = account(&self.account_id)?;
        // An empty region is how some global resources come; a missing one says nothing.
        let region = self.region_name.as_str().ok_or("it has no region_name")?;
        let region = Region::parse(usable("region_name", region, MAX_TEXT)?);
        let resource = text(&self.resource_id).or_else(|| text(&self.resource_name)).ok_or("it has no resource_id")?;
        usable("resource_id", &resource, MAX_RESOURCE)?;
        let (failing_since, last_scan_time) = (time(&self.failing_since), time(&self.last_scan_time));
        Ok(Violation { position, account_id, region, resource, failing_since, last_scan_time })
    }
}

/// The account's twelve digits: a number has lost its leading zeros, and so may a text that was a number once.
fn account(value: &Value) -> Result<String, String> {
    let text = text(value).ok_or("it has no account_id")?;
    usable("account_id", &text, MAX_TEXT)?;
    let least = if value.is_number() { 1 } else { LEAST_DIGITS };
    let is_id = text.bytes().all(|byte| byte.is_ascii_digit()) && (least..=ACCOUNT_DIGITS).contains(&text.len());
    if is_id && text != "0" {
        Ok(format!("{text:0>ACCOUNT_DIGITS$}"))
    } else {
        Err(format!("its account_id `{text}` is not an AWS account ID: twelve digits"))
    }
}

/// Whether the flag `name` is set; a missing one is not.
fn flag(name: &str, value: &Value) -> Result<bool, String> {
    let Some(said) = said(value) else { return Ok(false) };
    usable(name, &said, MAX_TEXT)?;
    let word = folded(&said);
    if YES.contains(&word.as_str()) {
        Ok(true)
    } else if is_no(&word) {
        Ok(false)
    } else {
        Err(format!("its {name} is `{said}`, which is neither yes nor no"))
    }
}

fn is_no(text: &str) -> bool {
    NO.contains(&folded(text).as_str())
}

/// What a value says, as text; none where it says nothing.
fn said(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::Array(items) if items.is_empty() => return None,
        Value::Object(members) if members.is_empty() => return None,
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => whole(number),
        other => other.to_string(),
    };
    let is_nothing = NOTHING.contains(&text.to_lowercase().as_str());
    (!is_nothing).then_some(text)
}

/// The number's text, with 1.0 as 1.
fn whole(number: &Number) -> String {
    let text = number.to_string();
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// The text without case and spaces, in which its spellings differ.
pub(crate) fn folded(text: &str) -> String {
    text.to_lowercase().chars().filter(|letter| !letter.is_whitespace()).collect()
}

/// The text, if it names something: it is of a length that such a name can have, and nothing in it was lost or is a
/// control character.
fn usable<'a>(name: &str, text: &'a str, longest: usize) -> Result<&'a str, String> {
    if text.len() > longest {
        return Err(format!("its {name} has {} bytes, and at most {longest} are allowed", text.len()));
    }
    if text.contains(UNREADABLE) {
        return Err(format!("its {name} `{text}` has bytes that are not UTF-8"));
    }
    if text.chars().any(is_unsafe) {
        return Err(format!("its {name} `{text}` has control characters, or characters that cannot be seen"));
    }
    Ok(text)
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
mod tests;
