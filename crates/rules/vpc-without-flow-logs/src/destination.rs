//! Where flow logs go: to a log group of the VPC's own, or to a bucket.
//!
//! ```text
//! "cloud-watch-logs"                                /autoremediate/vpc-flow-logs/<account>/<vpc>
//! "arn:aws:s3:::flow-logs"                          that bucket, which can be another account's
//! "arn:aws:s3:::flow-logs-{account}-{region}/vpc/"  a bucket for each account and region, in a folder
//! ```
//!
//! In a bucket, AWS itself goes on with `AWSLogs/<account>/vpcflowlogs/<region>/`.
//! <https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-path.html>

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use regex::Regex;
use remediation::{AccountId, Region};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const LOG_GROUP: &str = "cloud-watch-logs";
/// What a bucket can be called, and a folder, with the parts to fill in. Also Terraform reads it, from the JSON Schema.
const BUCKET: &str = "arn:aws[a-z-]*:s3:::\
    ([a-z0-9]|[{](account|region)[}])(([a-z0-9.-]|[{](account|region)[}]){0,61}([a-z0-9]|[{](account|region)[}]))?\
    (/([0-9A-Za-z_.=-]|[{](account|region)[}])+)*/?";
/// An account, a region of it, or a region of every account.
const PLACE: &str = "[0-9]{12}(/[a-z]{2,}(-[a-z]+)+-[0-9]+)?|[a-z]{2,}(-[a-z]+)+-[0-9]+";
/// Compiled once. A pattern that is none matches nothing, and a test has texts that must match.
static IS_BUCKET: LazyLock<Option<Regex>> = LazyLock::new(|| whole(BUCKET));
static IS_PLACE: LazyLock<Option<Regex>> = LazyLock::new(|| whole(PLACE));
/// The longest region code there is: with it, a name is not too long anywhere.
const LONG_REGION: &str = "ap-southeast-1";
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
const NAME_LENGTHS: RangeInclusive<usize> = 3..=63;
/// "You cannot use AWSLogs as a subfolder name. This is a reserved term."
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFlowLogs.html>
const RESERVED: &str = "AWSLogs";

/// Where the flow logs of some VPCs go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Destination {
    /// To CloudWatch Logs, a log group for each VPC.
    #[default]
    LogGroup,
    /// To the bucket of this ARN, with the folder, if any, behind it; `{account}` and `{region}` are the VPC's.
    Bucket(String),
}

/// Where those of some accounts and regions go instead.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Destinations(BTreeMap<String, Destination>);

/// A destination, or a place, that is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DestinationError {
    #[error(
        "{0:?} is not a destination of flow logs: it must be \"cloud-watch-logs\" or the ARN of a bucket, such as \
         arn:aws:s3:::flow-logs-{{account}}-{{region}} or, with a folder, arn:aws:s3:::flow-logs/vpc/"
    )]
    Form(String),
    #[error("the name of the bucket in {0:?} must have 3 to 63 characters, also with the account and the region in it")]
    Length(String),
    #[error("AWSLogs in {0:?} cannot be a folder, because AWS makes one of that name itself")]
    Reserved(String),
    #[error("{0:?} is not an account ID, a region or both, such as 222222222222/eu-west-1")]
    Place(String),
}

impl Destination {
    fn parse(text: &str) -> Result<Self, DestinationError> {
        if text == LOG_GROUP {
            return Ok(Self::LogGroup);
        }
        if !is_like(&IS_BUCKET, text) {
            return Err(DestinationError::Form(text.into()));
        }
        let filled = fill(text, "222222222222", LONG_REGION);
        let (name, folders) = bucket_of(&filled);
        if !NAME_LENGTHS.contains(&name.len()) {
            return Err(DestinationError::Length(text.into()));
        }
        if folders.split('/').any(|folder| folder == RESERVED) {
            return Err(DestinationError::Reserved(text.into()));
        }
        Ok(Self::Bucket(text.into()))
    }

    fn text(&self) -> &str {
        match self {
            Self::LogGroup => LOG_GROUP,
            Self::Bucket(template) => template,
        }
    }

    /// The ARN of the bucket for the VPCs of an account in a region; none where it is a log group.
    pub(crate) fn bucket_for(&self, account: &AccountId, region: &Region) -> Option<String> {
        match self {
            Self::LogGroup => None,
            Self::Bucket(template) => Some(fill(template, account.as_ref(), region.as_ref())),
        }
    }
}

impl Destinations {
    /// That of the VPCs of an account in a region: of the region of the account, of the account, or of the region, whichever
    /// is there first.
    pub(crate) fn of(&self, account: &AccountId, region: &Region) -> Option<&Destination> {
        let places = [&format!("{account}/{region}"), account.as_ref(), region.as_ref()];
        places.into_iter().find_map(|place| self.0.get(place))
    }
}

impl<'de> Deserialize<'de> for Destination {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Serialize for Destination {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

impl JsonSchema for Destination {
    fn schema_name() -> Cow<'static, str> {
        "Destination".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "pattern": format!("^({LOG_GROUP}|{BUCKET})$"), "not": {"pattern": format!("/{RESERVED}(/|$)")},
        })
    }
}

impl<'de> Deserialize<'de> for Destinations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let of = BTreeMap::<String, Destination>::deserialize(deserializer)?;
        match of.keys().find(|place| !is_like(&IS_PLACE, place)) {
            Some(place) => Err(de::Error::custom(DestinationError::Place(place.clone()))),
            None => Ok(Self(of)),
        }
    }
}

impl Serialize for Destinations {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl JsonSchema for Destinations {
    fn schema_name() -> Cow<'static, str> {
        "Destinations".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let destination = Destination::json_schema(generator);
        let place = format!("^({PLACE})$");
        json_schema!({
            "type": "object", "propertyNames": {"pattern": place}, "additionalProperties": destination,
        })
    }
}

fn fill(template: &str, account: &str, region: &str) -> String {
    template.replace("{account}", account).replace("{region}", region)
}

/// The bucket's name in an ARN, and the folder behind it.
fn bucket_of(arn: &str) -> (&str, &str) {
    let resource = arn.rsplit_once(':').map_or(arn, |(_, resource)| resource);
    resource.split_once('/').unwrap_or((resource, ""))
}

/// Whether two ARNs are of one folder of one bucket: a slash at the end says nothing.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

fn whole(pattern: &str) -> Option<Regex> {
    Regex::new(&format!("^({pattern})$")).ok()
}

fn is_like(pattern: &Option<Regex>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(region: &str, account: &str) -> (AccountId, Region) {
        (account.parse().unwrap(), Region::code(region))
    }

    #[test]
    fn a_bucket_is_the_vpcs_accounts_and_regions() {
        let (account, region) = place("eu-west-1", "222222222222");
        for (text, expected) in [
            ("cloud-watch-logs", None),
            ("arn:aws:s3:::flow-logs", Some("arn:aws:s3:::flow-logs")),
            ("arn:aws:s3:::flow-logs/vpc/", Some("arn:aws:s3:::flow-logs/vpc/")),
            ("arn:aws-us-gov:s3:::1.flow-logs/a/b_=c", Some("arn:aws-us-gov:s3:::1.flow-logs/a/b_=c")),
            ("arn:aws:s3:::{account}", Some("arn:aws:s3:::222222222222")),
            (
                "arn:aws:s3:::flow-{account}-{region}/of/{account}/",
                Some("arn:aws:s3:::flow-222222222222-eu-west-1/of/222222222222/"),
            ),
        ] {
            let destination = Destination::parse(text).unwrap();
            assert_eq!(destination.bucket_for(&account, &region).as_deref(), expected, "{text}");
            assert_eq!(serde_json::to_value(&destination).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_destination_is_refused_with_the_reason() {
        let long = |length| format!("arn:aws:s3:::{}{{account}}{{region}}", "a".repeat(length));
        assert!(Destination::parse(&long(37)).is_ok());
        for (text, says) in [
            ("", "is not a destination"),
            ("s3", "is not a destination"),
            ("flow-logs", "is not a destination"),
            ("arn:aws:s3::flow-logs", "is not a destination"),
            ("arn:aws:s3:eu-west-1::flow-logs", "is not a destination"),
            ("arn:aws:s3:::Flow-Logs", "is not a destination"),
            ("arn:aws:s3:::flow-logs-", "is not a destination"),
            ("arn:aws:s3:::flow-{acount}", "is not a destination"),
            ("arn:aws:s3:::flow-logs//vpc", "is not a destination"),
            ("arn:aws:s3:::flow-logs/*", "is not a destination"),
            ("arn:aws:s3:::flow-logs\n", "is not a destination"),
            ("arn:aws:logs:eu-west-1:222222222222:log-group:flow", "is not a destination"),
            ("arn:aws:s3:::ab", "must have 3 to 63 characters"),
            (&long(38), "must have 3 to 63 characters"),
            ("arn:aws:s3:::flow-logs/AWSLogs/", "AWSLogs in"),
        ] {
            let error = Destination::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn the_most_exact_place_counts() {
        let of = r#"{"222222222222/eu-west-1": "arn:aws:s3:::one", "222222222222": "arn:aws:s3:::two", "eu-west-1": "arn:aws:s3:::three"}"#;
        let of: Destinations = serde_json::from_str(of).unwrap();
        for (place, expected) in [
            (("eu-west-1", "222222222222"), Some("arn:aws:s3:::one")),
            (("eu-central-1", "222222222222"), Some("arn:aws:s3:::two")),
            (("eu-west-1", "333333333333"), Some("arn:aws:s3:::three")),
            (("eu-central-1", "333333333333"), None),
        ] {
            let (account, region) = self::place(place.0, place.1);
            assert_eq!(of.of(&account, &region).map(Destination::text), expected, "{place:?}");
        }
        for place in ["", "2222", "eu-west", "eu-west-1/222222222222", "222222222222/", "ou-ab12-11111111"] {
            let of = format!(r#"{{"{place}": "cloud-watch-logs"}}"#);
            let error = serde_json::from_str::<Destinations>(&of).unwrap_err().to_string();
            assert!(error.contains("is not an account ID, a region or both"), "{place}: {error}");
        }
    }

    #[test]
    fn a_slash_at_the_end_says_nothing() {
        assert!(is_same("arn:aws:s3:::a/b/", "arn:aws:s3:::a/b"));
        assert!(!is_same("arn:aws:s3:::a/b", "arn:aws:s3:::a"));
    }
}
