//! The rule `iam-stale-access-key`: an active access key of a user that is older than it may be.
//!
//! The fix makes the key inactive; it deletes nothing, so that undo brings the same key back. Invariants: every call
//! names the user, because without a name IAM acts on the caller's own keys; a key's age counts from its creation,
//! whether it was ever used or not; one change is one key. When a key was last used is for the guard alone.

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_iam::primitives::DateTime;
use aws_sdk_iam::types::{AccessKeyLastUsed, AccessKeyMetadata, StatusType};
use jiff::{SignedDuration, Timestamp};
use remediation::{Error, Finding, Guard, Proposal, Result, Rule, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// The rule.
#[derive(Debug)]
pub struct IamStaleAccessKey;

/// The rule's part of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How many days old an active key may be; at least one.
    #[serde(deserialize_with = "at_least_one")]
    #[schemars(range(min = 1))]
    pub days: u32,
    /// What is done where a key that would go was in use lately.
    pub guard_recent_use: Guard,
    /// Within how many days a use is a recent one; at least one.
    #[serde(deserialize_with = "at_least_one")]
    #[schemars(range(min = 1))]
    pub guard_recent_use_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { days: 90, guard_recent_use: Guard::default(), guard_recent_use_days: 30 }
    }
}

/// Whether requests may be signed with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// They may.
    Active,
    /// They are refused.
    Inactive,
}

/// Sets the status of one access key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The user's name.
    pub user: String,
    /// The key's ID, which is not a secret.
    pub access_key_id: String,
    /// When the key was made.
    pub created: Timestamp,
    /// What was found.
    pub before: Status,
    /// What is written.
    pub after: Status,
}

impl Rule for IamStaleAccessKey {
    const MANIFEST: &'static str = include_str!("../rule.json");
    type Settings = Settings;
    type Client = aws_sdk_iam::Client;
    type Change = Change;

    fn client(target: &Target) -> Self::Client {
        aws_sdk_iam::Client::new(&target.config)
    }

    async fn plan(client: &Self::Client, finding: &Finding, settings: &Settings) -> Result<Proposal<Change>> {
        let user = user_name(finding)?;
        let (keys, now) = (active_keys(client, user).await?, Timestamp::now());
        let stale = keys.into_iter().filter(|(_, created)| is_older(*created, now, settings.days));
        let change = |(access_key_id, created)| Change {
            user: user.to_owned(),
            access_key_id,
            created,
            before: Status::Active,
            after: Status::Inactive,
        };
        let mut proposal = Proposal::from(stale.map(change).collect::<Vec<_>>());
        if settings.guard_recent_use.is_on() {
            for saw in recent_uses(client, &proposal.changes, now, settings.guard_recent_use_days).await? {
                proposal.guard(settings.guard_recent_use, saw);
            }
        }
        Ok(proposal)
    }

    /// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListUserTags.html>
    async fn tags(client: &Self::Client, finding: &Finding) -> Result<BTreeMap<String, String>> {
        let tags = client.list_user_tags().user_name(user_name(finding)?).into_paginator().items().send();
        let tags = tags.collect::<Result<Vec<_>, _>>().await;
        let tags = tags.map_err(|error| gone_if_there_is_none(Error::api("iam:ListUserTags", error)))?;
        Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
    }

    /// A key that was deleted in the meantime cannot sign any more either: to make it inactive is done, so that the
    /// user's other key is not passed over.
    /// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccessKey.html>
    async fn apply(client: &Self::Client, change: &Change) -> Result<()> {
        let answer = client
            .update_access_key()
            .user_name(&change.user)
            .access_key_id(&change.access_key_id)
            .status(change.after.into())
            .send()
            .await;
        match answer.map_err(|error| gone_if_there_is_none(Error::api("iam:UpdateAccessKey", error))) {
            Err(error) if error.is_gone() && change.after == Status::Inactive => Ok(()),
            other => other.map(drop),
        }
    }

    fn undo(change: &Change) -> Option<Change> {
        Some(Change { before: change.after, after: change.before, ..change.clone() })
    }
}

/// The IDs of a user's active keys, with their dates of creation.
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListAccessKeys.html>
async fn active_keys(client: &aws_sdk_iam::Client, user: &str) -> Result<Vec<(String, Timestamp)>> {
    let action = "iam:ListAccessKeys";
    let (mut keys, mut marker) = (Vec::new(), None);
    loop {
        let call = client.list_access_keys().user_name(user).set_marker(marker);
        let page = call.send().await.map_err(|error| gone_if_there_is_none(Error::api(action, error)))?;
        let active = page.access_key_metadata.into_iter().filter(|key| key.status == Some(StatusType::Active));
        for key in active {
            keys.push(id_and_date(key).ok_or_else(|| Error::unusable(action, "a key without its ID or date"))?);
        }
        match (page.is_truncated, page.marker) {
            (false, _) => return Ok(keys),
            (true, Some(next)) => marker = Some(next),
            (true, None) => return Err(Error::unusable(action, "no marker, although there is more")),
        }
    }
}

fn id_and_date(key: AccessKeyMetadata) -> Option<(String, Timestamp)> {
    Some((key.access_key_id?, timestamp(key.create_date?)?))
}

fn timestamp(date: DateTime) -> Option<Timestamp> {
    Timestamp::new(date.secs(), i32::try_from(date.subsec_nanos()).ok()?).ok()
}

/// What the guard says of the keys that would go.
async fn recent_uses(
    client: &aws_sdk_iam::Client,
    changes: &[Change],
    now: Timestamp,
    days: u32,
) -> Result<Vec<String>> {
    let mut uses = Vec::new();
    for Change { access_key_id, .. } in changes {
        let used = last_use(client, access_key_id).await?;
        uses.extend(used.and_then(|used| recent_use(access_key_id, &used, now, days)));
    }
    Ok(uses)
}

/// When and for what a key was last used; none where it was deleted since it was listed.
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccessKeyLastUsed.html>
async fn last_use(client: &aws_sdk_iam::Client, access_key_id: &str) -> Result<Option<AccessKeyLastUsed>> {
    let answer = client.get_access_key_last_used().access_key_id(access_key_id).send().await;
    match answer.map_err(|error| gone_if_there_is_none(Error::api("iam:GetAccessKeyLastUsed", error))) {
        Err(error) if error.is_gone() => Ok(None),
        answer => Ok(answer?.access_key_last_used),
    }
}

/// What the guard says of a key that was used within so many days. A key that was never used has no date.
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKeyLastUsed.html>
fn recent_use(access_key_id: &str, used: &AccessKeyLastUsed, now: Timestamp, days: u32) -> Option<String> {
    let date = used.last_used_date.and_then(timestamp).filter(|date| !is_older(*date, now, days))?;
    let ago = match now.duration_since(date).as_hours() / 24 {
        ..1 => "less than a day ago".to_owned(),
        1 => "1 day ago".to_owned(),
        days => format!("{days} days ago"),
    };
    // IAM does not know either of every use.
    let known = |text: &str| text != "N/A" && !text.is_empty();
    let service = Some(&used.service_name).filter(|service| known(service));
    let region = Some(&used.region).filter(|region| known(region));
    let by = service.map(|service| format!(", by {service}")).unwrap_or_default();
    let place = region.map(|region| format!(" in {region}")).unwrap_or_default();
    let date = date.strftime("%Y-%m-%d");
    Some(format!("access key {access_key_id} was used {ago}{by}{place} ({date})"))
}

fn gone_if_there_is_none(error: Error) -> Error {
    error.gone_if(&["NoSuchEntity"])
}

/// Whether something was more than so many days ago.
fn is_older(date: Timestamp, now: Timestamp, days: u32) -> bool {
    now.duration_since(date) > SignedDuration::from_hours(24 * i64::from(days))
}

/// The user's name in a name or an ARN, where it follows the path.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>
fn user_name(finding: &Finding) -> Result<&str> {
    let name = match finding.arn("iam")? {
        None => finding.resource.as_str(),
        Some(arn) => {
            let user = arn.resource.strip_prefix("user/").unwrap_or_default();
            user.rsplit_once('/').map_or(user, |(_, name)| name)
        }
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if (1..=64).contains(&name.len()) && name.chars().all(allowed) {
        Ok(name)
    } else {
        let message = format!("`{}` is neither the name of an IAM user nor its ARN", finding.resource);
        Err(Error::invalid_finding("resource", message))
    }
}

fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let days = u32::deserialize(deserializer)?;
    let too_few = || serde::de::Error::custom("`days` and `guard_recent_use_days` must be at least 1");
    if days >= 1 { Ok(days) } else { Err(too_few()) }
}

impl From<Status> for StatusType {
    fn from(status: Status) -> Self {
        match status {
            Status::Active => Self::Active,
            Status::Inactive => Self::Inactive,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, access_key_id, created, before, after } = self;
        let date = created.strftime("%Y-%m-%d");
        write!(f, "user {user}: access key {access_key_id} of {date}: {before:?} → {after:?}")
    }
}

#[cfg(test)]
mod tests;
