//! A person's approval of one stored plan, or of some of its resources.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::BatchId;
use super::keys::Folder;
use super::schema::{Record, SchemaError, read};
use crate::domain::RunId;

/// The version of the format of approvals that this build writes and reads.
pub const APPROVAL_SCHEMA: u32 = 2;
/// How the unique ID of a role begins.
const ROLE: &str = "AROA";
/// How that of a user begins.
const USER: &str = "AIDA";
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
    /// The digest of the plan as it was shown.
    pub digest: String,
    /// The ARNs of the resources whose changes were approved; none where all that wait in the plan were.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub only: BTreeSet<String>,
    /// The run that carries it out.
    pub run: RunId,
    /// When it was given.
    pub approved: Timestamp,
    /// Who gave it, by what the command said: the ARN of its caller.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// An approval that lets nothing be written.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// It is no approval, or is of another version of the format.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// It is of another rule.
    #[error("the approval is of the rule `{found}`, not of `{expected}`")]
    Rule {
        /// The rule that it names.
        found: String,
        /// The rule that reads it.
        expected: String,
    },
    /// The plan is not the one that was approved.
    #[error("the plan's digest is {found}, but {approved} was approved: show the plan again, and approve that")]
    Digest {
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
    pub fn new(id: &BatchId, plan: &str, digest: &str, by: String, reason: String) -> Self {
        Self {
            schema: APPROVAL_SCHEMA,
            rule: id.rule.clone(),
            plan: plan.to_owned(),
            digest: digest.to_owned(),
            only: BTreeSet::new(),
            run: RunId::start(),
            approved: ambient::now(),
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
        let approval: Self = read(bytes)?;
        if approval.rule != rule {
            return Err(ApprovalError::Rule { found: approval.rule, expected: rule.to_owned() });
        }
        Ok(approval)
    }

    /// The batch of the run that carries it out.
    pub fn id(&self) -> BatchId {
        BatchId { rule: self.rule.clone(), run: self.run, batch: 1 }
    }

    /// The key of an approval of all that waits in the plan `plan`: beside it.
    pub fn key(plan: &str) -> String {
        plan.replacen(Folder::Plans.name(), Folder::Approvals.name(), 1)
    }

    /// Its key: beside the plan. One of some resources has its run in its name, so that a plan can have many of them, each
    /// of which leads back to itself.
    pub fn own_key(&self) -> String {
        let key = Self::key(&self.plan);
        match key.strip_suffix(".json") {
            Some(name) if !self.only.is_empty() => format!("{name}.{}.json", self.run),
            _ => key,
        }
    }

    /// Whether it covers the changes to the resource of this ARN.
    pub fn covers(&self, arn: &str) -> bool {
        self.only.is_empty() || self.only.contains(arn)
    }

    /// Whether it holds now for a plan of that digest.
    pub fn check(&self, digest: &str, hours: u32, now: Timestamp) -> Result<(), ApprovalError> {
        if self.digest != digest {
            return Err(ApprovalError::Digest { found: digest.to_owned(), approved: self.digest.clone() });
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

impl Record for Approval {
    const KIND: &'static str = "approval";
    const SCHEMA: u32 = APPROVAL_SCHEMA;
    const MOST_BYTES: usize = 64 * 1024;
}

/// An approval as it is carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approved {
    /// What was stored.
    pub approval: Approval,
    /// Who stored it, by what S3 says in its event: the unique ID of the role, and the session. None where there was no
    /// event, because the approver's own command carries it out.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_by: Option<String>,
}

impl Approved {
    /// Whether it was plainly stored by somebody else than it names: another session, or a user where it names a role.
    /// What S3 says is a role's unique ID and the name of the session, so two roles whose sessions have the same name look
    /// the same here.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids>
    pub fn is_by_another(&self) -> bool {
        let Some(stored) = self.stored_by.as_deref().and_then(|by| by.strip_prefix("AWS:")) else { return false };
        let named = self.approval.by.rsplit_once('/').map(|(_, name)| name);
        let is_session = self.approval.by.contains(":assumed-role/");
        match stored.split_once(':') {
            Some((id, session)) if id.starts_with(ROLE) => !is_session || named != Some(session),
            None if stored.starts_with(USER) => is_session,
            _ => false,
        }
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
        for (approved, now) in [(Timestamp::MIN, Timestamp::MAX), (Timestamp::MAX, Timestamp::MIN)] {
            let approval = Approval { approved, ..approval() };
            assert!(approval.check(&approval.digest, u32::MAX, now).is_err() == (approved > now));
        }
        let (approval, hour) = (approval(), SignedDuration::from_hours(1));
        let now = approval.approved;
        let says = |digest: &str, at| approval.check(digest, 72, at).map_err(|error| error.to_string());
        assert_eq!(says("abc", now), Ok(()));
        assert_eq!(says("abc", now + 72 * hour), Ok(()));
        assert_eq!(says("abc", now - AHEAD), Ok(()));
        assert!(says("abd", now).unwrap_err().contains("digest is abd, but abc"));
        assert!(says("abc", now + 73 * hour).unwrap_err().contains("expired"));
        assert!(says("abc", now - hour).unwrap_err().contains("to come"));
    }

    #[test]
    fn it_is_read_by_its_own_rule_alone() {
        let approval = approval();
        let json = serde_json::to_vec(&approval).unwrap();
        assert_eq!(Approval::from_json(&json, "open-door").unwrap(), approval);
        assert!(matches!(Approval::from_json(&json, "other"), Err(ApprovalError::Rule { .. })));
        let newer = String::from_utf8(json).unwrap().replace("\"schema\":2", "\"schema\":3");
        assert!(matches!(
            Approval::from_json(newer.as_bytes(), "open-door"),
            Err(ApprovalError::Schema(SchemaError::Version { found: 3, .. }))
        ));
        assert!(matches!(
            Approval::from_json(b"{}", "open-door"),
            Err(ApprovalError::Schema(SchemaError::Json { .. }))
        ));
    }

    #[test]
    fn who_stored_it_is_held_against_whom_it_names() {
        let (role, user) = ("arn:aws:sts::1:assumed-role/a/alice", "arn:aws:iam::1:user/team/alice");
        for (by, stored_by, is_by_another) in [
            (role, Some("AWS:AROAEXAMPLE:alice"), false),
            (role, Some("AWS:AROAEXAMPLE:mallory"), true),
            (role, Some("AWS:AROAEXAMPLE:alice:x"), true),
            (role, Some("AWS:AIDAEXAMPLE"), true),
            (user, Some("AWS:AIDAEXAMPLE"), false),
            (user, Some("AWS:AROAEXAMPLE:alice"), true),
            ("nonsense", Some("AWS:AROAEXAMPLE:alice"), true),
            // Of these nothing plain can be said.
            (role, None, false),
            (role, Some("AWS:111111111111"), false),
            (role, Some("a service"), false),
        ] {
            let approval = Approval { by: by.into(), ..approval() };
            let approved = Approved { approval, stored_by: stored_by.map(str::to_owned) };
            assert_eq!(approved.is_by_another(), is_by_another, "{by} {stored_by:?}");
        }
    }

    #[test]
    fn it_is_kept_beside_the_plan() {
        assert_eq!(Approval::key("plans/r/2026-01-02/x-1.json"), "approvals/r/2026-01-02/x-1.json");
    }

    #[test]
    fn one_of_some_resources_covers_these_and_has_a_key_of_its_own() {
        let all = Approval { plan: "plans/r/2026-01-02/x-1.json".into(), ..approval() };
        assert_eq!((all.own_key(), all.covers("arn:one")), (Approval::key(&all.plan), true));
        let some = Approval { only: ["arn:one".to_owned()].into(), ..all.clone() };
        assert_eq!(some.own_key(), format!("approvals/r/2026-01-02/x-1.{}.json", some.run));
        assert!(some.covers("arn:one") && !some.covers("arn:two"));
        for approval in [all, some] {
            let json = serde_json::to_string(&approval).unwrap();
            assert_eq!(json.contains("only"), !approval.only.is_empty());
            assert_eq!(Approval::from_json(json.as_bytes(), "open-door").unwrap(), approval);
        }
    }
}
