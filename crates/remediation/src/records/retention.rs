//! For how long what a run has recorded is locked, where the bucket has Object Lock.
//!
//! The bucket has no retention by default, because that would lock the cards, too: whoever puts a plan, a report or an
//! approval asks for one. <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html>

use std::str::FromStr;

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::ObjectLockMode;
use jiff::Timestamp;

use super::Folder;

/// The folders of what is locked. Terraform's bucket policy takes nothing there without a retention, and one nowhere else.
const LOCKED: [Folder; 3] = [Folder::Plans, Folder::Reports, Folder::Approvals];
/// A hundred years, the most that S3 takes.
const MOST_DAYS: u16 = 36_500;
const SECONDS_A_DAY: i64 = 86_400;

/// A retention, such as `GOVERNANCE/365`: its mode, and for how many days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    mode: ObjectLockMode,
    days: u16,
}

/// A text that is no retention.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a retention: give GOVERNANCE or COMPLIANCE, a slash, and 1 to {MOST_DAYS} days")]
pub struct InvalidRetention(String);

impl FromStr for Retention {
    type Err = InvalidRetention;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidRetention(text.to_owned());
        let (mode, days) = text.split_once('/').ok_or_else(invalid)?;
        let mode = match mode {
            "GOVERNANCE" => ObjectLockMode::Governance,
            "COMPLIANCE" => ObjectLockMode::Compliance,
            _ => return Err(invalid()),
        };
        let days = days.parse().ok().filter(|days| (1..=MOST_DAYS).contains(days)).ok_or_else(invalid)?;
        Ok(Self { mode, days })
    }
}

impl Retention {
    /// Whether the record `key` is put with it.
    pub(super) fn is_of(key: &str) -> bool {
        LOCKED.iter().any(|folder| folder.holds(key))
    }

    pub(super) fn mode(&self) -> ObjectLockMode {
        self.mode.clone()
    }

    /// Until when what is put at `now` is locked.
    pub(super) fn until(&self, now: Timestamp) -> DateTime {
        DateTime::from_secs(now.as_second().saturating_add(i64::from(self.days) * SECONDS_A_DAY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_has_a_mode_and_days() {
        let retention: Retention = "COMPLIANCE/36500".parse().unwrap();
        assert_eq!(retention.mode(), ObjectLockMode::Compliance);
        assert_eq!(retention.until(Timestamp::UNIX_EPOCH), DateTime::from_secs(3_153_600_000));
        assert_eq!("GOVERNANCE/1".parse::<Retention>().unwrap().until(Timestamp::UNIX_EPOCH).secs(), 86_400);
        for text in
            ["", "GOVERNANCE", "GOVERNANCE/", "GOVERNANCE/0", "governance/1", "COMPLIANCE/36501", "COMPLIANCE/-1"]
        {
            assert!(text.parse::<Retention>().unwrap_err().to_string().contains("GOVERNANCE or COMPLIANCE"), "{text}");
        }
    }

    #[test]
    fn plans_reports_and_approvals_are_locked_and_nothing_else() {
        assert!(["plans/r/x.json", "reports/r/x.json", "approvals/r/x.json"].into_iter().all(Retention::is_of));
        let others = ["resources/r/x.json", "ledgers/r/1.json", "findings/r/x.ndjson", "policy.json", "plans2/x"];
        assert!(!others.into_iter().any(Retention::is_of));
    }
}
