//! What a finding's resource names: an instance, a cluster, or, by a bare name, either.

use remediation::{Error, Finding, Result};

use crate::Kind;

/// The database that a finding names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// What it can be, the likelier first.
    pub(crate) kinds: &'static [Kind],
    pub(crate) id: Id,
}

/// How it is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Id {
    /// By its identifier, in lower case, as RDS keeps it.
    Name(String),
    /// By the ID that never changes and is never used again: `db-…`, `cluster-…`.
    ResourceId(String),
}

/// <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_Tagging.ARN.Constructing.html>
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DBInstance.html>
pub(crate) fn parse(finding: &Finding) -> Result<Named> {
    let resource = finding.resource.as_str();
    let (kinds, name): (&'static [Kind], &str) = match finding.arn("rds")? {
        None if is_resource_id(resource, "db-") => return Ok(by_resource_id(&[Kind::Instance], resource)),
        None if is_resource_id(resource, "cluster-") => return Ok(by_resource_id(&[Kind::Cluster], resource)),
        None => (&[Kind::Instance, Kind::Cluster], resource),
        Some(arn) => match arn.resource.split_once(':') {
            Some(("db", name)) => (&[Kind::Instance], name),
            Some(("cluster", name)) => (&[Kind::Cluster], name),
            _ => (&[], ""),
        },
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if (1..=63).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(Named { kinds, id: Id::Name(name.to_ascii_lowercase()) });
    }
    let message = format!("`{resource}` is neither the name, the resource ID nor the ARN of a DB instance or cluster");
    Err(Error::invalid_finding("resource", message))
}

fn by_resource_id(kinds: &'static [Kind], id: &str) -> Named {
    Named { kinds, id: Id::ResourceId(id.to_owned()) }
}

/// Resource IDs are in upper case after their prefix; names are kept in lower case.
fn is_resource_id(text: &str, prefix: &str) -> bool {
    let id = text.strip_prefix(prefix).unwrap_or_default();
    id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && id.bytes().any(|byte| byte.is_ascii_uppercase())
}
