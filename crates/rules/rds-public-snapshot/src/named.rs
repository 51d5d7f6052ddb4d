//! What a finding's resource names: an instance, a cluster, a snapshot of either, or, by a bare name, any of them.

use remediation::{Error, Finding, Result};

use crate::Kind;

const BOTH: &[Kind] = &[Kind::Instance, Kind::Cluster];

/// What a finding names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// The kinds of database that it can be.
    pub(crate) databases: &'static [Kind],
    /// The kinds of snapshot that it can be.
    pub(crate) snapshots: &'static [Kind],
    pub(crate) id: Id,
    /// Whether it is an ARN or a resource ID, and not a name that somebody may have misspelt.
    pub(crate) is_exact: bool,
}

/// How it is named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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
    let (databases, snapshots, name): (&'static [Kind], &'static [Kind], _) = match finding.arn("rds")? {
        None if is_resource_id(resource, "db-") => return Ok(by_resource_id(&[Kind::Instance], resource)),
        None if is_resource_id(resource, "cluster-") => return Ok(by_resource_id(&[Kind::Cluster], resource)),
        None if is_database_name(resource) => (BOTH, BOTH, resource),
        None => (&[], BOTH, resource),
        Some(arn) => match arn.resource.split_once(':') {
            Some(("db", name)) if is_database_name(name) => (&[Kind::Instance], &[], name),
            Some(("cluster", name)) if is_database_name(name) => (&[Kind::Cluster], &[], name),
            Some(("snapshot", name)) => (&[], &[Kind::Instance], name),
            Some(("cluster-snapshot", name)) => (&[], &[Kind::Cluster], name),
            _ => (&[], &[], ""),
        },
    };
    if !is_snapshot_name(name) {
        let message = format!(
            "`{resource}` is neither the name, the resource ID nor the ARN of a DB instance, a DB cluster or a snapshot \
             of one"
        );
        return Err(Error::invalid_finding("resource", message));
    }
    let is_exact = finding.arn("rds")?.is_some_and(|arn| !arn.account.is_empty() && !arn.region.is_empty());
    Ok(Named { databases, snapshots, id: Id::Name(name.to_ascii_lowercase()), is_exact })
}

fn by_resource_id(databases: &'static [Kind], id: &str) -> Named {
    Named { databases, snapshots: &[], id: Id::ResourceId(id.to_owned()), is_exact: true }
}

/// Resource IDs are in upper case after their prefix; names are kept in lower case.
fn is_resource_id(text: &str, prefix: &str) -> bool {
    let id = text.strip_prefix(prefix).unwrap_or_default();
    id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && id.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html>
fn is_database_name(text: &str) -> bool {
    (1..=63).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Automated ones, and those of AWS Backup, have the name of what made them before a colon.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBSnapshot.html>
fn is_snapshot_name(text: &str) -> bool {
    let name = text.split_once(':').map_or(text, |(_, name)| name);
    (1..=255).contains(&text.len())
        && !name.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-:".contains(&byte))
}
