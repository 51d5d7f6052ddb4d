//! Which bucket a finding names.

use remediation::{Error, Finding, Result};

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

/// The name in a bucket's name or ARN. Buckets from before March 2018 can have capitals, underscores and up to 255
/// characters.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
pub(crate) fn of(finding: &Finding) -> Result<&str> {
    let resource = finding.resource.as_str();
    let name = finding.arn("s3")?.map_or(resource, |arn| arn.resource);
    let invalid = |what: String| Error::invalid_finding("resource", format!("`{resource}` is {what}"));
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if !(3..=255).contains(&name.len()) || !name.chars().all(allowed) {
        return Err(invalid("neither a bucket's name nor its ARN".into()));
    }
    match NO_BUCKETS.iter().find(|(ending, _)| name.ends_with(ending)) {
        Some((ending, what)) => Err(invalid(format!("{what} ({ending}), and no bucket"))),
        None => Ok(name),
    }
}
