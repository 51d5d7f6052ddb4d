//! What AWS says a finding's resource is, and a fresh look at it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::aws::{AccountId, Arn, Error, Region, Result};

/// A resource as AWS knows it, whatever the finding called it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Its canonical ARN.
    pub arn: String,
    /// The account that owns it, which need not be the one that sees it.
    pub owner: AccountId,
    /// Its region; global for what has none.
    pub region: Region,
    /// The ID, or the name that serves as one.
    pub id: String,
    /// Whatever else it is called, such as its tag `Name`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub names: BTreeSet<String>,
}

impl Resource {
    /// The resource of a canonical ARN that holds its owner.
    ///
    /// # Errors
    ///
    /// What `action` gave is no such ARN.
    pub fn of_arn(action: &str, arn: String, id: impl Into<String>) -> Result<Self> {
        let parsed = Arn::parse(&arn).and_then(|arn| Some((arn.account.parse().ok()?, arn.region.to_owned())));
        let (owner, region) = parsed.ok_or_else(|| Error::unusable(action, "an ARN without an owner"))?;
        let region = if region.is_empty() { Region::global() } else { Region::code(region) };
        Ok(Self { arn, owner, region, id: id.into(), names: BTreeSet::new() })
    }

    /// The same, called `names` as well.
    #[must_use]
    pub fn called(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.names.extend(names.into_iter().filter(|name| *name != self.id));
        self
    }

    /// Everything that it is called: its ARN, its ID and its names.
    pub fn all_names(&self) -> impl Iterator<Item = &str> {
        [&self.arn, &self.id].into_iter().chain(&self.names).map(String::as_str)
    }
}

/// A fresh look at a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen<S> {
    /// Which resource was looked at.
    pub resource: Resource,
    /// When.
    pub at: Timestamp,
    /// How it stands: what a plan needs to know.
    pub state: S,
}

impl<S> Seen<S> {
    /// A look that ends now.
    pub fn now(resource: Resource, state: S) -> Self {
        Self { resource, at: ambient::now(), state }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_says_who_owns_what_and_where() {
        let resource = Resource::of_arn("rds:X", "arn:aws:rds:eu-west-1:222222222222:db:x".into(), "x").unwrap();
        assert_eq!((resource.owner.as_ref(), resource.region.clone()), ("222222222222", Region::code("eu-west-1")));
        let user = Resource::of_arn("iam:X", "arn:aws:iam::222222222222:user/a/b".into(), "b").unwrap();
        assert!(user.region.is_global());
        for arn in ["arn:aws:s3:::bucket", "bucket", "arn:aws:iam::22:user/x"] {
            assert!(Resource::of_arn("x:X", arn.into(), "x").is_err(), "{arn}");
        }
    }

    #[test]
    fn it_goes_by_its_arn_its_id_and_its_names() {
        let arn = "arn:aws:ec2:eu-west-1:222222222222:security-group/sg-1";
        let group = Resource::of_arn("ec2:X", arn.into(), "sg-1").unwrap().called(["web".into(), "sg-1".into()]);
        assert_eq!(group.all_names().collect::<Vec<_>>(), [arn, "sg-1", "web"]);
    }
}
