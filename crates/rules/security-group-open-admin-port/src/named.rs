//! What a finding's resource names.

use remediation::{Error, Finding, Result};

/// How a finding names a security group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named<'a> {
    Id(&'a str),
    Name(&'a str),
}

/// A name cannot begin as an ID does.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html>
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html>
pub(crate) fn parse(finding: &Finding) -> Result<Named<'_>> {
    let (id, name) = match finding.arn("ec2")? {
        Some(arn) => (arn.resource.strip_prefix("security-group/").filter(|id| id.starts_with(ID)), None),
        None if finding.resource.starts_with(ID) => (Some(finding.resource.as_str()), None),
        None => (None, Some(finding.resource.as_str())),
    };
    let named = id.filter(|id| is_id(id)).map(Named::Id).or(name.filter(|name| is_name(name)).map(Named::Name));
    named.ok_or_else(|| {
        let message = format!("`{}` is neither the ID, the ARN nor the name of a security group", finding.resource);
        Error::invalid_finding("resource", message)
    })
}

const ID: &str = "sg-";

fn is_id(text: &str) -> bool {
    let digits = text.strip_prefix(ID).unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c);
    (1..=255).contains(&text.len()) && text.chars().all(allowed)
}
