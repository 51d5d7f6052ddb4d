//! Amazon Resource Names.

/// The parts of an ARN.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arn<'a> {
    /// Such as `aws` or `aws-us-gov`.
    pub partition: &'a str,
    /// Such as `iam`.
    pub service: &'a str,
    /// Empty for what has no region, such as a user of IAM.
    pub region: &'a str,
    /// The owner's ID; empty where the name alone says whose it is, such as a bucket's.
    pub account: &'a str,
    /// The rest, in the service's own form, such as `user/path/name` or `db:name`.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// The parts of `text`; none where it is not an ARN.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix("arn:")?.splitn(5, ':');
        let mut part = || parts.next();
        let arn = Self { partition: part()?, service: part()?, region: part()?, account: part()?, resource: part()? };
        let whole = [arn.partition, arn.service, arn.resource].iter().all(|part| !part.is_empty());
        let codes = [arn.partition, arn.service, arn.region, arn.account];
        (whole && codes.iter().all(|part| part.bytes().all(is_of_code))).then_some(arn)
    }
}

/// Codes of partitions, services and regions, and account IDs, are of these characters: a region that has another one
/// would lead a call elsewhere.
fn is_of_code(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}
