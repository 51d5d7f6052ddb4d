//! One step of a fix or of its undo, as data.

use std::fmt;

use remediation::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::RUNBOOK;
use crate::ingress::IngressRule;

/// Replaces rules of one security group by others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The security group's ID.
    pub group: String,
    /// The rules that go, as they were found.
    pub take: Vec<IngressRule>,
    /// The rules that come, none of which the group had. The first of those that go becomes the first of them.
    pub give: Vec<IngressRule>,
    /// What else the rules that go let in and must stay open, by other rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<IngressRule>,
    /// Whether the runbook revokes them.
    #[serde(default)]
    pub runbook: bool,
    /// Whether it takes such a change back.
    #[serde(default)]
    pub undoes: bool,
}

impl Change {
    /// Revokes rules.
    pub(crate) fn revoke(group: &str, take: Vec<IngressRule>) -> Self {
        Self { group: group.to_owned(), take, give: Vec::new(), keep: Vec::new(), runbook: false, undoes: false }
    }

    /// The change that takes this one back.
    pub(crate) fn undo(&self) -> Self {
        let Self { take, give, undoes, .. } = self.clone();
        Self { take: give, give: take, undoes: !undoes, ..self.clone() }
    }

    /// What is to be written to a group that lets everyone in by `present`, each rule with its ID.
    ///
    /// # Errors
    ///
    /// Something would be closed that the plan keeps open: the group has changed.
    pub(crate) fn steps(&self, present: &[(IngressRule, String)]) -> Result<Option<Steps>> {
        let find = |rule: &IngressRule| present.iter().find(|(other, _)| other.is_same_as(rule));
        let found: Vec<_> = self.take.iter().filter_map(find).map(|(_, id)| id.clone()).collect();
        // Done, or somebody has closed it since: what narrows a rule would then open what is closed.
        if !self.undoes && found.is_empty() {
            return Ok(None);
        }
        let missing: Vec<_> = self.give.iter().filter(|rule| find(rule).is_none()).cloned().collect();
        if !self.undoes {
            self.check_kept(present)?;
        }
        let mut found = found.into_iter();
        let mut missing = missing.into_iter();
        let can_become = found.len() > 0 && missing.len() > 0;
        let modify = if can_become { found.next().zip(missing.next()) } else { None };
        Ok(Some(Steps { add: missing.collect(), modify, revoke: found.collect() }))
    }

    fn check_kept(&self, present: &[(IngressRule, String)]) -> Result<()> {
        let stay = present.iter().map(|(rule, _)| rule).filter(|rule| !rule.is_in(&self.take));
        let after: Vec<_> = stay.chain(&self.give).collect();
        let closed = self.keep.iter().find(|kept| !after.iter().any(|rule| rule.covers(kept)));
        match closed {
            Some(closed) => {
                let message = format!(
                    "the group has changed since this was planned, and {closed} would be closed as well, so nothing \
                     was written; the next poll plans it again"
                );
                Err(Error::not_now("ec2:DescribeSecurityGroupRules", message))
            }
            None => Ok(()),
        }
    }
}

/// What a change comes to, in the order in which it is written: at every moment what is to stay open is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Steps {
    /// The rules that are added.
    pub(crate) add: Vec<IngressRule>,
    /// The ID of a rule, and what it becomes: without a place in the group's quota.
    pub(crate) modify: Option<(String, IngressRule)>,
    /// The IDs of the rules that are revoked.
    pub(crate) revoke: Vec<String>,
}

/// Rules, for people.
pub(crate) fn list(rules: &[IngressRule]) -> String {
    rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "security group {}: ", self.group)?;
        match (self.take.as_slice(), self.give.as_slice()) {
            ([], give) => write!(f, "add {}", list(give))?,
            (take, []) => write!(f, "revoke {}", list(take))?,
            (take, give) => write!(f, "replace {} by {}", list(take), list(give))?,
        }
        if self.runbook && !self.undoes {
            write!(f, " (by {RUNBOOK})")?;
        }
        Ok(())
    }
}
