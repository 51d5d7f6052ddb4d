//! Which bucket a finding names.

use remediation::{Error, Finding, NameForm, Result};

/// How the names of what is no general purpose bucket end: none of it has a public access block of a bucket.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-naming.html>
const NO_BUCKETS: [(&str, &str); 5] = [
    ("--x-s3", "a directory bucket, which cannot be public"),
    ("--table-s3", "a table bucket, which cannot be public"),
    ("-s3alias", "the alias of an access point"),
    ("--ol-s3", "the alias of an Object Lambda access point"),
    (".mrap", "the alias of a Multi-Region Access Point"),
];

/// The names of buckets. Those from before March 2018 can have capitals, underscores and up to 255 characters.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
const NAME: NameForm = NameForm {
    service: "s3",
    what: "a bucket's name",
    in_arn: |resource| Some(resource),
    is_name: |name| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        (3..=255).contains(&name.len()) && name.chars().all(allowed)
    },
};

/// The name in a bucket's name or ARN, in a session of `partition`.
pub(crate) fn of<'a>(finding: &'a Finding, partition: &str) -> Result<&'a str> {
    let named = finding.named_in(partition, &NAME)?;
    let invalid = |what: String| Error::invalid_finding("resource", format!("`{}` is {what}", finding.resource));
    if named.arn.is_some_and(|arn| !arn.region.is_empty() || !arn.account.is_empty()) {
        return Err(invalid("not the ARN of a bucket, which has neither a region nor an account".into()));
    }
    match NO_BUCKETS.iter().find(|(ending, _)| named.name.ends_with(ending)) {
        Some((ending, what)) => Err(invalid(format!("{what} ({ending}), and not a bucket"))),
        None => Ok(named.name),
    }
}
