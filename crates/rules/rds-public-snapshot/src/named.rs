//! What a finding's resource names: an instance, a cluster, a snapshot of either, or, by a bare name, any of them.

use remediation::{Finding, NameForm, Result};

use crate::Kind;

const BOTH: &[Kind] = &[Kind::Instance, Kind::Cluster];

/// What a finding can mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meant {
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

/// The names of databases and snapshots, each in the ARNs of its kind.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_Tagging.ARN.Constructing.html>
const NAME: NameForm = NameForm {
    service: "rds",
    what: "the name or the resource ID of a DB instance, a DB cluster or a snapshot of one",
    in_arn: |resource| match resource.split_once(':')? {
        ("db" | "cluster", name) => Some(name).filter(|name| is_database_name(name)),
        ("snapshot" | "cluster-snapshot", name) => Some(name),
        _ => None,
    },
    is_name: is_snapshot_name,
};

/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DBInstance.html>
pub(crate) fn parse(finding: &Finding) -> Result<Meant> {
    let named = finding.named(&NAME)?;
    let kind = named.arn.and_then(|arn| arn.resource.split_once(':')).map(|(kind, _)| kind);
    let (databases, snapshots): (&'static [Kind], &'static [Kind]) = match (kind, named.name) {
        (None, id) if is_resource_id(id, "db-") => return Ok(by_resource_id(&[Kind::Instance], id)),
        (None, id) if is_resource_id(id, "cluster-") => return Ok(by_resource_id(&[Kind::Cluster], id)),
        (None, name) if is_database_name(name) => (BOTH, BOTH),
        (None, _) => (&[], BOTH),
        (Some("db"), _) => (&[Kind::Instance], &[]),
        (Some("cluster"), _) => (&[Kind::Cluster], &[]),
        (Some("snapshot"), _) => (&[], &[Kind::Instance]),
        (Some(_), _) => (&[], &[Kind::Cluster]),
    };
    let id = Id::Name(named.name.to_ascii_lowercase());
    Ok(Meant { databases, snapshots, id, is_exact: named.is_exact() })
}

fn by_resource_id(databases: &'static [Kind], id: &str) -> Meant {
    Meant { databases, snapshots: &[], id: Id::ResourceId(id.to_owned()), is_exact: true }
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
