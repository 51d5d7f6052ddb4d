//! A person's approval of one stored plan.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{BatchId, RunId};

/// The version of the format of approvals that this build writes and reads.
const APPROVAL_SCHEMA: u32 = 1;
/// How far a clock may be ahead.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// That a person wants a plan carried out as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The version of the format.
    schema: u32,
    /// The plan's rule.
    pub rule: String,
    /// The plan's key.
    pub plan: String,
    /// The plan's hash.
    pub hash: String,
    /// The run that carries it out.
    pub run: RunId,
    /// When it was given.
    pub approved: Timestamp,
    /// Who gave it: the ARN of the caller.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// An approval that lets nothing be written.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// It is no approval.
    #[error("the approval cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// It is of another version of the format.
    #[error("the approval has schema version {0}, but this build reads {APPROVAL_SCHEMA}")]
    Schema(u32),
    /// It is of another rule.
    #[error("the approval is of the rule `{found}`, not of `{expected}`")]
    Rule {
        /// The rule that it names.
        found: String,
        /// The rule that reads it.
        expected: String,
    },
    /// The plan is not the one that was approved.
    #[error("the plan's hash is {found}, but {approved} was approved: show the plan again, and approve that")]
    Hash {
        /// The plan's.
        found: String,
        /// The approval's.
        approved: String,
    },
    /// It is too old.
    #[error("the approval of {approved} has expired: it holds for {hours} hours (the policy's approval_hours)")]
    Expired {
        /// When it was given.
        approved: Timestamp,
        /// For how long it holds.
        hours: u32,
    },
    /// It is of a time that has not come.
    #[error("the approval says that it was given at {0}, which is still to come: is a clock wrong?")]
    Early(Timestamp),
}

impl Approval {
    /// An approval of the plan `plan` of `id`, given now, for a run of its own.
    pub fn new(id: &BatchId, plan: &str, hash: &str, by: String, reason: String) -> Self {
        Self {
            schema: APPROVAL_SCHEMA,
            rule: id.rule.clone(),
            plan: plan.to_owned(),
            hash: hash.to_owned(),
            run: RunId::start(),
            approved: Timestamp::now(),
            by,
            reason,
        }
    }

    /// Reads an approval that is meant for `rule`.
    ///
    /// # Errors
    ///
    /// It is none, or is of another rule or version.
    pub fn from_json(bytes: &[u8], rule: &str) -> Result<Self, ApprovalError> {
        let approval: Self = serde_json::from_slice(bytes)?;
        if approval.schema != APPROVAL_SCHEMA {
            return Err(ApprovalError::Schema(approval.schema));
        }
        if approval.rule != rule {
            return Err(ApprovalError::Rule { found: approval.rule, expected: rule.to_owned() });
        }
        Ok(approval)
    }

    /// The batch of the run that carries it out.
    pub fn id(&self) -> BatchId {
        BatchId { rule: self.rule.clone(), run: self.run, batch: 1 }
    }

    /// The key of an approval of the plan `plan`: beside it.
    pub fn key(plan: &str) -> String {
        plan.replacen("plans/", "approvals/", 1)
    }

    /// Whether it holds now for a plan of that hash.
    pub(crate) fn check(&self, hash: &str, hours: u32, now: Timestamp) -> Result<(), ApprovalError> {
        if self.hash != hash {
            return Err(ApprovalError::Hash { found: hash.to_owned(), approved: self.hash.clone() });
        }
        let age = now.duration_since(self.approved);
        if age > SignedDuration::from_hours(i64::from(hours)) {
            return Err(ApprovalError::Expired { approved: self.approved, hours });
        }
        if age < -AHEAD {
            return Err(ApprovalError::Early(self.approved));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approval() -> Approval {
        let id = BatchId { rule: "open-door".into(), run: RunId::start(), batch: 1 };
        Approval::new(&id, &id.plan_key(), "abc", "arn:aws:sts::1:assumed-role/a/b".into(), "why".into())
    }

    #[test]
    fn it_holds_for_its_plan_and_its_time_alone() {
        let (approval, hour) = (approval(), SignedDuration::from_hours(1));
        let now = approval.approved;
        let says = |hash: &str, at| approval.check(hash, 72, at).map_err(|error| error.to_string());
        assert_eq!(says("abc", now), Ok(()));
        assert_eq!(says("abc", now + 72 * hour), Ok(()));
        assert_eq!(says("abc", now - AHEAD), Ok(()));
        assert!(says("abd", now).unwrap_err().contains("hash is abd, but abc"));
        assert!(says("abc", now + 73 * hour).unwrap_err().contains("expired"));
        assert!(says("abc", now - hour).unwrap_err().contains("to come"));
    }

    #[test]
    fn it_is_read_by_its_own_rule_alone() {
        let approval = approval();
        let json = serde_json::to_vec(&approval).unwrap();
        assert_eq!(Approval::from_json(&json, "open-door").unwrap(), approval);
        assert!(matches!(Approval::from_json(&json, "other"), Err(ApprovalError::Rule { .. })));
        let newer = String::from_utf8(json).unwrap().replace("\"schema\":1", "\"schema\":2");
        assert!(matches!(Approval::from_json(newer.as_bytes(), "open-door"), Err(ApprovalError::Schema(2))));
        assert!(matches!(Approval::from_json(b"{}", "open-door"), Err(ApprovalError::Json(_))));
    }

    #[test]
    fn it_is_kept_beside_the_plan() {
        assert_eq!(Approval::key("plans/r/2026-01-02/x-1.json"), "approvals/r/2026-01-02/x-1.json");
    }
}
