//! One step of a fix or of its undo, as data.

use std::fmt;

use remediation::{Error, ErrorKind, Result, Side};
use serde::{Deserialize, Serialize};

use crate::RUNBOOK;
use crate::ingress::IngressRule;
use crate::look::DESCRIBE_RULES;

/// Replaces rules of a security group by others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The rules that go, as they were found.
    pub take: Vec<IngressRule>,
    /// The rules that come, none of which the group had. The first of those that go becomes the first of them.
    pub give: Vec<IngressRule>,
    /// What else the wider of these rules let in and must stay open, by other rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<IngressRule>,
    /// What revokes the rules that go.
    #[serde(default)]
    pub by: Means,
}

/// What revokes rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Means {
    /// The API.
    #[default]
    Api,
    /// The runbook, and the API what that leaves.
    Runbook,
}

impl Change {
    /// Revokes rules.
    pub(crate) fn revoke(take: Vec<IngressRule>) -> Self {
        Self { take, give: Vec::new(), keep: Vec::new(), by: Means::Api }
    }

    /// The change that takes this one back.
    pub(crate) fn undo(&self) -> Self {
        Self { take: self.give.clone(), give: self.take.clone(), ..self.clone() }
    }

    /// Where a group that lets everyone in by `present` stands: of tags, descriptions and IDs it knows nothing.
    pub(crate) fn side<'a>(&self, present: impl Iterator<Item = &'a IngressRule> + Clone) -> Side {
        let is_there = |rule: &IngressRule| present.clone().any(|other| other.is_same_as(rule));
        let (all, none) =
            (|rules: &[IngressRule]| rules.iter().all(is_there), |rules: &[IngressRule]| !rules.iter().any(is_there));
        if none(&self.take) && all(&self.give) {
            Side::After
        } else if all(&self.take) && none(&self.give) {
            Side::Before
        } else {
            Side::Neither
        }
    }

    /// Whether the rules that come let nothing in that those which go do not.
    fn narrows(&self) -> bool {
        self.give.iter().all(|given| self.take.iter().any(|taken| taken.covers(given)))
    }

    /// What is to be written to a group that lets everyone in by `present`, each rule with its ID. Nothing: it is done,
    /// or somebody else has closed what was to be narrowed.
    ///
    /// # Errors
    ///
    /// The group has changed, so that something would be closed that the plan keeps open, or would be opened that no fix
    /// has closed.
    pub(crate) fn steps(&self, present: &[(IngressRule, String)]) -> Result<Option<Steps>> {
        let find = |rule: &IngressRule| present.iter().find(|(other, _)| other.is_same_as(rule));
        let found: Vec<_> = self.take.iter().filter_map(find).map(|(_, id)| id.clone()).collect();
        let missing: Vec<_> = self.give.iter().filter(|rule| find(rule).is_none()).cloned().collect();
        if found.is_empty() && missing.is_empty() {
            return Ok(None);
        }
        // Rules come only in the place of rules that go. Where one of those is gone already, somebody else has closed
        // it, and what comes would open that again.
        if !missing.is_empty() && found.len() < self.take.len() {
            return if self.narrows() { Ok(None) } else { Err(self.would_open(&missing)) };
        }
        self.check_kept(present)?;
        let mut found = found.into_iter();
        let mut missing = missing.into_iter();
        let can_become = found.len() > 0 && missing.len() > 0;
        let modify = if can_become { found.next().zip(missing.next()) } else { None };
        let modify = modify.map(|(id, becomes)| Modify { id, becomes });
        Ok(Some(Steps { add: missing.collect(), modify, revoke: found.collect() }))
    }

    fn would_open(&self, missing: &[IngressRule]) -> Error {
        let message = format!(
            "the group has changed since the fix: some of {} was removed, and {} would open that again, so nothing was \
             written. Add the rule by hand if it is still wanted",
            list(&self.take),
            list(missing)
        );
        Error::new(DESCRIBE_RULES, ErrorKind::Permanent, message)
    }

    fn check_kept(&self, present: &[(IngressRule, String)]) -> Result<()> {
        let stay = present.iter().map(|(rule, _)| rule).filter(|rule| !rule.is_in(&self.take));
        let after: Vec<_> = stay.chain(&self.give).collect();
        let closed = self.keep.iter().find(|kept| !after.iter().any(|rule| rule.covers(kept)));
        match closed {
            Some(closed) => {
                let message = format!(
                    "the group has changed since this was planned, and {closed} would be closed as well, so nothing \
                     was written; the next run will plan it again"
                );
                Err(Error::not_now(DESCRIBE_RULES, message))
            }
            None => Ok(()),
        }
    }

    /// Whether what was added is still wanted in a group that let everyone in by `before`, and by `now` after the add:
    /// nobody else has removed, changed or added a rule, who may be closing what is to be narrowed. A look right after an
    /// add need not show it yet.
    pub(crate) fn is_undisturbed(&self, before: &[(IngressRule, String)], now: &[(IngressRule, String)]) -> bool {
        let stays = |(rule, id): &(IngressRule, String)| {
            now.iter().any(|(other, other_id)| other_id == id && other.is_same_as(rule))
        };
        let is_known = |(rule, _): &(IngressRule, String)| {
            rule.is_in(&self.give) || before.iter().any(|(other, _)| other.is_same_as(rule))
        };
        before.iter().all(stays) && now.iter().all(is_known)
    }
}

/// What a change comes to, in the order in which it is written: at every moment what is to stay open is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Steps {
    /// The rules that are added.
    pub(crate) add: Vec<IngressRule>,
    /// The rule that changes in place: it takes no room of the group's quota.
    pub(crate) modify: Option<Modify>,
    /// The IDs of the rules that are revoked.
    pub(crate) revoke: Vec<String>,
}

/// A rule that becomes another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Modify {
    /// Its ID, which stays.
    pub(crate) id: String,
    pub(crate) becomes: IngressRule,
}

/// Rules, for people.
pub(crate) fn list(rules: &[IngressRule]) -> String {
    rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.take.as_slice(), self.give.as_slice(), self.by) {
            ([], give, _) => write!(f, "add {}", list(give)),
            (take, [], Means::Api) => write!(f, "revoke {}", list(take)),
            (take, [], Means::Runbook) => write!(f, "revoke {} (by {RUNBOOK})", list(take)),
            (take, give, _) => write!(f, "replace {} by {}", list(take), list(give)),
        }
    }
}
