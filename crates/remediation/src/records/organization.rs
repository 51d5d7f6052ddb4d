//! The organization in the bucket: one object, written by the poller, read beside the policy.
//!
//! It is stored whole at each refresh, also where nothing has changed, because its age is a part of it: four versions a
//! day are cheaper than a second object that says how old the first one is. Whoever is about to read Organizations says
//! so in it first (`refreshing_until`), on condition that nobody else has, so that of several pollers one makes the calls.
//! What it holds stays as it was until the new one is whole, and a refresh that fails leaves it so.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::schema::{Record, read};
use super::{RecordError, Records};
use crate::policy::{FromOrganization, Organization, Places};

/// Where it is kept.
pub const ORGANIZATION_KEY: &str = "organization.json";
/// The version of its format that this build writes and reads.
pub const ORGANIZATION_SCHEMA: u32 = 1;
/// What was read so far in the future is the fault of somebody's clock, and counts for nothing.
const MOST_AHEAD: SignedDuration = SignedDuration::from_mins(10);

/// What `organization.json` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrganizationRecord {
    schema: u32,
    /// Until when somebody may be reading it anew, or nobody tries because the last try failed.
    pub refreshing_until: Option<Timestamp>,
    /// The organization as it was last read; none before the first time.
    pub organization: Option<Organization>,
}

impl OrganizationRecord {
    /// A record of this build's format.
    pub fn new(refreshing_until: Option<Timestamp>, organization: Option<Organization>) -> Self {
        Self { schema: ORGANIZATION_SCHEMA, refreshing_until, organization }
    }

    /// What it tells at `now` of the places of accounts, for a policy that takes them from it.
    fn places(self, from: FromOrganization, now: Timestamp) -> Places {
        let Some(organization) = self.organization else {
            return Places::Unknown(format!(
                "no poller has read the organization so far: {ORGANIZATION_KEY} holds none"
            ));
        };
        let (read_at, days) = (organization.read_at(), from.max_age_days);
        let age = now.duration_since(read_at);
        if age > SignedDuration::from_hours(24 * i64::from(days)) || -age > MOST_AHEAD {
            return Places::Unknown(format!(
                "{ORGANIZATION_KEY} is of {read_at}, and counts for {days} day(s): the poller's log says why it was not \
                 read again"
            ));
        }
        Places::Known(organization.into())
    }
}

impl Record for OrganizationRecord {
    const KIND: &'static str = "organization";
    const SCHEMA: u32 = ORGANIZATION_SCHEMA;
    /// 50,000 accounts with a few tags each.
    const MOST_BYTES: usize = 16 * 1024 * 1024;
}

/// What is known at `now` of the places of accounts. One that cannot be read as what it is tells nothing, and the log says
/// so.
///
/// # Errors
///
/// The store does not say what it holds.
pub(super) async fn places(records: &Records, from: FromOrganization, now: Timestamp) -> Result<Places, RecordError> {
    let error = match records.find_at_most(ORGANIZATION_KEY, OrganizationRecord::MOST_BYTES).await {
        Ok(Some(stored)) => match read::<OrganizationRecord>(&stored.bytes) {
            Ok(record) => return Ok(record.places(from, now)),
            Err(error) => error.to_string(),
        },
        Ok(None) => return Ok(Places::Unknown(format!("there is no {ORGANIZATION_KEY}, which the poller writes"))),
        Err(error @ RecordError::TooLong { .. }) => error.to_string(),
        Err(error) => return Err(error),
    };
    tracing::error!(error, key = ORGANIZATION_KEY, "the organization cannot be used");
    Ok(Places::Unknown(format!("{ORGANIZATION_KEY} cannot be used: {error}")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use tempfile::TempDir;

    use super::*;
    use crate::domain::Mode;
    use crate::records::policy_record::PLACES_KEPT;
    use crate::records::stopped_clock::StoppedClock;
    use crate::{POLICY_KEY, PolicyRecord};

    fn record(read_at: Timestamp, unit: &str) -> Vec<u8> {
        json!({"schema": 1, "refreshing_until": null, "organization": {
            "id": "o-a1b2c3d4e5", "read_at": read_at, "root": "r-ab12", "tag_keys": [],
            "units": {"ou-ab12-11111111": {"name": "Sandbox", "parent": "r-ab12"},
                "ou-ab12-22222222": {"name": "Production", "parent": "r-ab12"}},
            "accounts": {"111111111111": {"name": "one", "state": "ACTIVE", "parent": unit}}}})
        .to_string()
        .into_bytes()
    }

    /// The mode of a rule that applies in the sandbox, and only plans elsewhere; and why it does less than it might.
    async fn mode(folder: &TempDir) -> (Mode, Option<String>) {
        let record = PolicyRecord::new(Records::Folder(folder.path().into()), POLICY_KEY);
        let (policy, account) = (record.read().await.unwrap(), "111111111111".parse().unwrap());
        (policy.mode("open-door", &account), policy.unsure("open-door", &account))
    }

    #[tokio::test]
    async fn what_is_missing_broken_or_old_tells_nothing() {
        let folder = TempDir::new().unwrap();
        let put = |key: &str, bytes: Vec<u8>| std::fs::write(folder.path().join(key), bytes).unwrap();
        let policy = json!({"organization": {"max_age_days": 2},
            "overrides": [{"organizational_units": ["Sandbox"], "mode": "apply"}]});
        put(POLICY_KEY, policy.to_string().into_bytes());
        let now = Timestamp::now();
        let before = |hours| now - SignedDuration::from_hours(hours);
        for (bytes, says) in [
            (None, "there is no organization.json"),
            (Some(b"{".to_vec()), "organization.json cannot be used: the organization cannot be read"),
            (Some(br#"{"schema": 2}"#.to_vec()), "schema version 2"),
            (Some(record(now, "ou-ab12-33333333")), "`111111111111` is in no unit that leads to the root"),
            (Some(br#"{"schema": 1}"#.to_vec()), "no poller has read the organization so far"),
            (Some(record(before(49), "ou-ab12-11111111")), "counts for 2 day(s)"),
            (Some(record(before(-1), "ou-ab12-11111111")), "counts for 2 day(s)"),
        ] {
            if let Some(bytes) = bytes {
                put(ORGANIZATION_KEY, bytes);
            }
            let (mode, why) = mode(&folder).await;
            assert!(mode == Mode::Plan && why.as_ref().is_some_and(|why| why.contains(says)), "{says}: {why:?}");
        }
        put(ORGANIZATION_KEY, record(before(47), "ou-ab12-11111111"));
        assert_eq!(mode(&folder).await, (Mode::Apply, None));
        put(ORGANIZATION_KEY, record(now, "ou-ab12-22222222"));
        assert_eq!(mode(&folder).await, (Mode::Plan, None));
    }

    #[tokio::test]
    async fn a_policy_without_the_key_asks_for_nothing() {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join(ORGANIZATION_KEY), record(Timestamp::now(), "ou-ab12-11111111")).unwrap();
        let policy = r#"{"overrides": [{"organizational_units": ["Sandbox"], "mode": "apply"}]}"#;
        std::fs::write(folder.path().join(POLICY_KEY), policy).unwrap();
        assert_eq!(mode(&folder).await, (Mode::Plan, None));
    }

    #[tokio::test]
    async fn an_organization_that_is_read_anew_counts_after_a_while() {
        let folder = TempDir::new().unwrap();
        let put = |key: &str, bytes: Vec<u8>| std::fs::write(folder.path().join(key), bytes).unwrap();
        let policy = r#"{"organization": {}, "overrides": [{"organizational_units": ["Sandbox"], "mode": "apply"}]}"#;
        put(POLICY_KEY, policy.into());
        let (now, account) = (Timestamp::now(), "111111111111".parse().unwrap());
        put(ORGANIZATION_KEY, record(now, "ou-ab12-11111111"));
        let record_of = PolicyRecord::new(Records::Folder(folder.path().into()), POLICY_KEY);
        let first = record_of.read().await.unwrap();
        assert_eq!(first.mode("open-door", &account), Mode::Apply);
        put(ORGANIZATION_KEY, record(now, "ou-ab12-22222222"));
        assert!(Arc::ptr_eq(&record_of.read().await.unwrap(), &first), "it is not read at every write");
        let later = StoppedClock(now + PLACES_KEPT + SignedDuration::from_secs(1));
        let policy = ambient::within(Arc::new(later), record_of.read()).await.unwrap();
        assert_eq!(policy.mode("open-door", &account), Mode::Plan);
    }
}
