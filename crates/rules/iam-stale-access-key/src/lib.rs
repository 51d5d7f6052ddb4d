//! The rule `iam-stale-access-key`: an active access key of a user that is older than it may be.
//!
//! The fix makes the key inactive and deletes nothing, so undo brings the same key back. One change is one key. A key's
//! age counts from its creation, whether it was ever used or not. When a key was last used matters to the guard alone,
//! which holds by default: whatever signs with such a key stops working.
//!
//! Every call names the user. Without a name IAM acts on the caller's own keys, and with it IAM refuses a key of
//! another user. The rule asks for the user by name, because only its ARN has the path, and an exemption may go by that.
//!
//! Calls: compliant 2; fixed 4 and 2 for each stale key (guard, write), 1 with the guard off; held by the guard 2 and 1
//! for each stale key.

use std::fmt;

use aws_sdk_iam::primitives::DateTime;
use aws_sdk_iam::types::{AccessKeyLastUsed, AccessKeyMetadata, StatusType, User};
use jiff::{SignedDuration, Timestamp};
use remediation::{
    Error, Finding, Guard, NameForm, NoParameters, Proposal, Resource, Result, Rule, Seen, Side, Sighting, Tags,
    Target, call, partition,
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

const GET_USER: &str = "iam:GetUser";
const LIST_KEYS: &str = "iam:ListAccessKeys";

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
    /// What the guard does if a key that would be made inactive was used lately.
    pub guard_recent_use: Guard,
    /// For how many days a use counts as recent; at least one.
    #[serde(deserialize_with = "at_least_one")]
    #[schemars(range(min = 1))]
    pub guard_recent_use_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { days: 90, guard_recent_use: Guard::Hold, guard_recent_use_days: 30 }
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

/// Sets the status of one of the user's access keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The key's ID, which is not a secret.
    pub access_key_id: String,
    /// When the key was created.
    pub created: Timestamp,
    /// What was found.
    pub before: Status,
    /// What is written.
    pub after: Status,
}

/// How a user stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The user's keys.
    pub keys: Vec<Key>,
    /// The user's tags.
    pub tags: Tags,
}

/// An access key of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its ID.
    pub id: String,
    /// When it was created.
    pub created: Timestamp,
    /// Whether requests may be signed with it.
    pub status: Status,
}

impl Rule for IamStaleAccessKey {
    const MANIFEST: &'static str = include_str!("../rule.json");
    type Settings = Settings;
    type Control = NoParameters;
    type Client = aws_sdk_iam::Client;
    type State = State;
    type Change = Change;

    fn client(target: &Target) -> Self::Client {
        aws_sdk_iam::Client::new(&target.config)
    }

    /// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetUser.html>
    async fn look(client: &Self::Client, finding: &Finding) -> Result<Seen<State>> {
        let region = client.config().region().map(AsRef::as_ref).unwrap_or_default();
        let asked = finding.named_in(partition(region), &USER_NAME)?.name;
        let (user, listed) = futures::join!(user(client, asked), keys(client, asked));
        let User { arn, user_name: name, user_id, tags, .. } = user?;
        let tags = tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect();
        let keys = if name == asked { listed? } else { keys(client, &name).await? };
        Ok(Seen::now(Resource::of_arn(GET_USER, arn, name)?.called([user_id]), State { keys, tags }))
    }

    fn plan(seen: &Seen<State>, _: &[&NoParameters], settings: &Settings) -> Proposal<Change> {
        let is_stale = |key: &&Key| key.status == Status::Active && is_older(key.created, seen.at, settings.days);
        let change = |key: &Key| Change {
            access_key_id: key.id.clone(),
            created: key.created,
            before: key.status,
            after: Status::Inactive,
        };
        seen.state.keys.iter().filter(is_stale).map(change).collect::<Vec<_>>().into()
    }

    fn guard(settings: &Settings) -> Guard {
        settings.guard_recent_use
    }

    async fn impact(
        client: &Self::Client,
        seen: &Seen<State>,
        changes: &[Change],
        settings: &Settings,
    ) -> Result<Vec<Sighting>> {
        let mut uses = Vec::new();
        for Change { access_key_id, .. } in changes {
            let used = last_use(client, access_key_id).await?;
            uses.extend(
                used.and_then(|used| recent_use(access_key_id, &used, seen.at, settings.guard_recent_use_days)),
            );
        }
        Ok(uses)
    }

    async fn tags(_: &Self::Client, seen: &Seen<State>) -> Result<Tags> {
        Ok(seen.state.tags.clone())
    }

    /// A key that has been deleted cannot sign any more either. To make it inactive then succeeds, so that the user's
    /// other key still gets its turn.
    /// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccessKey.html>
    async fn apply(client: &Self::Client, resource: &Resource, change: &Change) -> Result<()> {
        let update = || {
            let update = client.update_access_key().user_name(&resource.id).access_key_id(&change.access_key_id);
            update.status(change.after.into()).send()
        };
        match call("iam:UpdateAccessKey", update).await.map_err(gone_if_there_is_none) {
            Err(error) if error.is_gone() && change.after == Status::Inactive => Ok(()),
            other => other.map(drop),
        }
    }

    fn undo(change: &Change) -> Change {
        Change { before: change.after, after: change.before, ..change.clone() }
    }

    /// A key that has been deleted is neither active nor inactive.
    fn side(change: &Change, state: &State) -> Side {
        let key = state.keys.iter().find(|key| key.id == change.access_key_id);
        key.map_or(Side::Neither, |key| Side::of(&key.status, &change.before, &change.after))
    }
}

/// A user's keys.
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListAccessKeys.html>
async fn user(client: &aws_sdk_iam::Client, name: &str) -> Result<User> {
    let answer = call(GET_USER, || client.get_user().user_name(name).send()).await.map_err(gone_if_there_is_none)?;
    answer.user.ok_or_else(|| Error::unusable(GET_USER, "no user"))
}

async fn keys(client: &aws_sdk_iam::Client, user: &str) -> Result<Vec<Key>> {
    let (mut keys, mut marker) = (Vec::new(), None);
    loop {
        let list = || client.list_access_keys().user_name(user).set_marker(marker.clone()).send();
        let page = call(LIST_KEYS, list).await.map_err(gone_if_there_is_none)?;
        for listed in page.access_key_metadata {
            keys.push(key(listed).ok_or_else(|| Error::unusable(LIST_KEYS, "a key without its ID, date or status"))?);
        }
        match (page.is_truncated, page.marker) {
            (false, _) => return Ok(keys),
            (true, Some(next)) => marker = Some(next),
            (true, None) => return Err(Error::unusable(LIST_KEYS, "no marker, although there is more")),
        }
    }
}

fn key(listed: AccessKeyMetadata) -> Option<Key> {
    let status = if listed.status? == StatusType::Active { Status::Active } else { Status::Inactive };
    Some(Key { id: listed.access_key_id?, created: timestamp(listed.create_date?)?, status })
}

fn timestamp(date: DateTime) -> Option<Timestamp> {
    Timestamp::new(date.secs(), i32::try_from(date.subsec_nanos()).ok()?).ok()
}

/// When and for what a key was last used; none if it has been deleted since it was listed.
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccessKeyLastUsed.html>
async fn last_use(client: &aws_sdk_iam::Client, access_key_id: &str) -> Result<Option<AccessKeyLastUsed>> {
    let get = || client.get_access_key_last_used().access_key_id(access_key_id).send();
    match call("iam:GetAccessKeyLastUsed", get).await.map_err(gone_if_there_is_none) {
        Err(error) if error.is_gone() => Ok(None),
        answer => Ok(answer?.access_key_last_used),
    }
}

/// What the guard sees of a key that was used within so many days. What the key was used for stays the same from one
/// look to the next; the time does not. A key that was never used has no date.
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKeyLastUsed.html>
fn recent_use(access_key_id: &str, used: &AccessKeyLastUsed, now: Timestamp, days: u32) -> Option<Sighting> {
    let date = used.last_used_date.and_then(timestamp).filter(|date| !is_older(*date, now, days))?;
    // IAM does not know the service and the region of every use.
    let known = |text: &str| text != "N/A" && !text.is_empty();
    let service = Some(&used.service_name).filter(|service| known(service));
    let region = Some(&used.region).filter(|region| known(region));
    let with = service.map(|service| format!(" with {service}")).unwrap_or_default();
    let place = region.map(|region| format!(" in {region}")).unwrap_or_default();
    let ago = match now.duration_since(date).as_hours() / 24 {
        ..1 => "less than a day ago".to_owned(),
        1 => "1 day ago".to_owned(),
        days => format!("{days} days ago"),
    };
    let date = date.strftime("%Y-%m-%d");
    Some(Sighting::new(format!("access key {access_key_id} was used{with}{place}")).with(format!("{ago}, on {date}")))
}

fn gone_if_there_is_none(error: Error) -> Error {
    error.gone_if(&["NoSuchEntity"])
}

/// Whether something was more than so many days ago.
fn is_older(date: Timestamp, now: Timestamp, days: u32) -> bool {
    now.duration_since(date) > SignedDuration::from_hours(24 * i64::from(days))
}

/// The names of users. In an ARN, the name follows the path.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>
const USER_NAME: NameForm = NameForm {
    service: "iam",
    what: "the name of an IAM user",
    in_arn: |resource| resource.strip_prefix("user/").and_then(|user| user.rsplit('/').next()),
    is_name: |name| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        (1..=64).contains(&name.len()) && name.chars().all(allowed)
    },
};

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
        let Self { access_key_id, created, before, after } = self;
        let date = created.strftime("%Y-%m-%d");
        write!(f, "access key {access_key_id}, created on {date}: {before:?} → {after:?}")
    }
}

#[cfg(test)]
mod tests;
