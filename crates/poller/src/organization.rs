//! The organization, read from AWS Organizations now and then: its units, which accounts are in them, and those tags of
//! accounts that the policy asks for.
//!
//! Organizations is slow to answer many: it throttles by account and by organization, and other tools of the organization
//! ask it, too. So the tree is walked level by level, at most [`A_SECOND`] calls a second and [`AT_ONCE`] at once; 500
//! accounts in 100 units take some 230 calls, and one more an account where the policy uses tags. Of several pollers one
//! reads: it says so in the record first (see [`remediation::records::OrganizationRecord`]), and until that time is over
//! the others go by what is there. The same time keeps a refresh that failed from being tried again at every poll.
//!
//! An account that is moved while it is read can be met twice, or not at all. Either way it is left out: of what is not
//! known, a policy makes the least.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_sdk_organizations::Client;
use aws_sdk_organizations::types::{Account, OrganizationalUnit};
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::SignedDuration;
use remediation::policy::{InvalidOrganization, MOST_ACCOUNTS, MOST_UNITS, Member, Unit};
use remediation::records::{Condition, Record, read};
use remediation::{
    AccountId, Error, InvalidAccountId, ORGANIZATION_KEY, Organization, OrganizationRecord, RecordError, Records, call,
};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

const DESCRIBE: &str = "organizations:DescribeOrganization";
const ROOTS: &str = "organizations:ListRoots";
const UNITS: &str = "organizations:ListOrganizationalUnitsForParent";
const ACCOUNTS: &str = "organizations:ListAccountsForParent";
const TAGS: &str = "organizations:ListTagsForResource";
/// So many calls are begun in a second.
const A_SECOND: u32 = 8;
/// So many are under way at once.
const AT_ONCE: usize = 4;
/// So often the SDK asks before it gives up: it waits longer each time.
const TRIES: u32 = 8;
/// So long a refresh may take, of the fifteen minutes that the Lambda has.
const MOST_TIME: Duration = Duration::from_secs(5 * 60);
/// So long nobody else begins one, and so long nobody does after one that has failed.
const CLAIM: SignedDuration = SignedDuration::from_mins(15);
/// The session's name, for the management account's CloudTrail.
const SESSION: &str = "autoremediate-organization";

/// How the organization is read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// It is read again when it is older than so many hours.
    refresh_hours: u32,
    /// The keys of the accounts' tags that are read.
    #[serde(default)]
    tag_keys: BTreeSet<String>,
    /// The role that is assumed for it; none where the Lambda's own role may read it.
    reader_role_arn: Option<String>,
    /// The external ID that the role asks for.
    external_id: Option<String>,
}

/// Reads the organization, and keeps it beside the policy.
#[derive(Debug)]
pub struct OrganizationReader {
    client: Client,
    settings: Settings,
    pace: Mutex<Interval>,
    most_time: Duration,
}

/// Why the organization could not be read again. What was read before stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// A call failed.
    #[error("{error}. {}", advice(.error))]
    Api {
        /// Which, and how.
        #[from]
        error: Error,
    },
    /// It did not come to an end.
    #[error("it took longer than {} s", .0.as_secs())]
    TooSlow(Duration),
    /// An answer lacks something.
    #[error("{action}: the answer has no {what}")]
    Lacks {
        /// The call.
        action: &'static str,
        /// What it lacks.
        what: &'static str,
    },
    /// An account's ID is none.
    #[error("{ACCOUNTS}: {0}")]
    Account(#[from] InvalidAccountId),
    /// It is no tree, or too large.
    #[error("the organization is not what one can be: {0}")]
    Invalid(#[from] InvalidOrganization),
    /// What was read is too large to be kept.
    #[error(
        "the organization has {found} bytes as {ORGANIZATION_KEY}, and at most {most} are kept: use fewer account tags"
    )]
    TooLarge {
        /// The bytes that it has.
        found: usize,
        /// The most.
        most: usize,
    },
    /// The record could not be read or written.
    #[error(transparent)]
    Record(Box<RecordError>),
    /// The record cannot be written as JSON.
    #[error("{ORGANIZATION_KEY} cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl From<RecordError> for RefreshError {
    fn from(error: RecordError) -> Self {
        Self::Record(Box::new(error))
    }
}

/// What a refused caller can do.
fn advice(error: &Error) -> &'static str {
    match error.code.as_deref() {
        Some("AccessDeniedException" | "AccessDenied") => {
            "Organizations answers the management account, delegated administrators, and who is named in its delegation \
             policy: see \"Rings\" in the README for the three ways"
        }
        Some("AWSOrganizationsNotInUseException") => "The account that asks is in no organization",
        _ => "The next refresh tries again",
    }
}

impl Settings {
    /// Reads settings.
    ///
    /// # Errors
    ///
    /// They are no JSON of settings.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

impl OrganizationReader {
    /// A reader with the credentials of `base`, or of the role that `settings` names.
    pub async fn new(base: &SdkConfig, settings: Settings) -> Self {
        let mut config = aws_sdk_organizations::config::Builder::from(base)
            .retry_config(RetryConfig::standard().with_max_attempts(TRIES));
        if let Some(arn) = &settings.reader_role_arn {
            let role = AssumeRoleProvider::builder(arn).session_name(SESSION).configure(base);
            let role = settings.external_id.iter().fold(role, |role, id| role.external_id(id));
            config = config.credentials_provider(role.build().await);
        }
        Self::with(Client::from_conf(config.build()), settings, MOST_TIME)
    }

    fn with(client: Client, settings: Settings, most_time: Duration) -> Self {
        let mut pace = interval(Duration::from_secs(1) / A_SECOND);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { client, settings, pace: Mutex::new(pace), most_time }
    }

    /// Reads the organization again and stores it, where what is stored is old, lacks tags or cannot be read, and nobody
    /// else is at it.
    ///
    /// # Errors
    ///
    /// It could not be read or stored; what was stored before is still there.
    pub async fn refresh(&self, records: &Records) -> Result<(), RefreshError> {
        let stored = match records.find_at_most(ORGANIZATION_KEY, OrganizationRecord::MOST_BYTES).await {
            // Only its version matters, by which it is replaced.
            Err(RecordError::TooLong { .. }) => records.find(ORGANIZATION_KEY).await?,
            stored => stored?,
        };
        let known = stored.as_ref().map(|stored| read::<OrganizationRecord>(&stored.bytes));
        let known = match known {
            Some(Ok(known)) => known,
            Some(Err(error)) => {
                tracing::error!(%error, key = ORGANIZATION_KEY, "what is stored cannot be read, so it is replaced");
                OrganizationRecord::new(None, None)
            }
            None => OrganizationRecord::new(None, None),
        };
        let now = ambient::now();
        if !self.is_due(&known, now) {
            return Ok(());
        }
        let condition = stored.map_or(Condition::Absent, |stored| Condition::Unchanged(stored.version));
        let claimed = OrganizationRecord::new(Some(now + CLAIM), known.organization);
        let claimed = records.put_if(&condition, ORGANIZATION_KEY, bytes_of(&claimed)?).await?;
        let Some(version) = claimed else { return Ok(()) };
        let organization = timeout(self.most_time, self.read()).await;
        let organization = organization.map_err(|_| RefreshError::TooSlow(self.most_time))??;
        tracing::info!(accounts = organization.accounts().len(), "the organization was read");
        let read = OrganizationRecord::new(None, Some(organization));
        // Where it is another by now, somebody has read it after us.
        records.put_if(&Condition::Unchanged(version), ORGANIZATION_KEY, bytes_of(&read)?).await?;
        Ok(())
    }

    fn is_due(&self, known: &OrganizationRecord, now: jiff::Timestamp) -> bool {
        // Nobody claims it for longer.
        if known.refreshing_until.is_some_and(|until| until > now && until <= now + CLAIM) {
            return false;
        }
        let most = SignedDuration::from_hours(i64::from(self.settings.refresh_hours));
        known.organization.as_ref().is_none_or(|of| {
            let age = now.duration_since(of.read_at());
            age >= most || age.is_negative() || !self.settings.tag_keys.is_subset(of.tag_keys())
        })
    }

    /// The organization as it is now.
    async fn read(&self) -> Result<Organization, RefreshError> {
        let read_at = ambient::now();
        self.wait().await;
        let described = call(DESCRIBE, || self.client.describe_organization().send()).await?;
        let id = described.organization.and_then(|of| of.id).ok_or(lacks(DESCRIBE, "ID"))?;
        self.wait().await;
        let roots = call(ROOTS, || self.client.list_roots().send()).await?.roots.unwrap_or_default();
        let root = roots.into_iter().next().and_then(|root| root.id).ok_or(lacks(ROOTS, "root"))?;
        let (mut units, mut accounts) = (BTreeMap::new(), BTreeMap::new());
        let mut level = vec![root.clone()];
        while !level.is_empty() {
            let below = stream::iter(level).map(|parent| self.below(parent)).buffer_unordered(AT_ONCE);
            level = Vec::new();
            for Below { parent, units: own, accounts: members } in below.try_collect::<Vec<_>>().await? {
                for unit in own {
                    let id = unit.id.ok_or(lacks(UNITS, "ID"))?;
                    let unit = Unit { name: unit.name.unwrap_or_default(), parent: parent.clone() };
                    if units.insert(id.clone(), unit).is_none() {
                        level.push(id);
                    }
                }
                for account in members {
                    let (account, member) = member(account, &parent)?;
                    match accounts.entry(account) {
                        Entry::Vacant(place) => drop(place.insert(Some(member))),
                        Entry::Occupied(mut moved) => drop(moved.insert(None)),
                    }
                }
            }
            let (units, accounts) = (units.len(), accounts.len());
            if units > MOST_UNITS || accounts > MOST_ACCOUNTS {
                return Err(InvalidOrganization::TooLarge { units, accounts }.into());
            }
        }
        let accounts = accounts.into_iter().filter_map(|(account, member)| Some((account, member?)));
        let accounts = self.with_tags(accounts.collect()).await?;
        Ok(Organization::new(id, root, read_at, self.settings.tag_keys.clone(), units, accounts)?)
    }

    /// What is directly in the root or in a unit.
    async fn below(&self, parent: String) -> Result<Below, RefreshError> {
        let (mut units, mut accounts) = (Vec::new(), Vec::new());
        let mut next = None;
        loop {
            self.wait().await;
            let list = || self.client.list_organizational_units_for_parent().parent_id(&parent);
            let page = call(UNITS, || list().set_next_token(next.clone()).send()).await?;
            units.extend(page.organizational_units.unwrap_or_default());
            next = page.next_token;
            if next.is_none() || units.len() > MOST_UNITS {
                break;
            }
        }
        loop {
            self.wait().await;
            let list = || self.client.list_accounts_for_parent().parent_id(&parent);
            let page = call(ACCOUNTS, || list().set_next_token(next.clone()).send()).await?;
            accounts.extend(page.accounts.unwrap_or_default());
            next = page.next_token;
            if next.is_none() || accounts.len() > MOST_ACCOUNTS {
                break;
            }
        }
        Ok(Below { parent, units, accounts })
    }

    /// The accounts with those of their tags that are asked for.
    async fn with_tags(
        &self,
        accounts: BTreeMap<AccountId, Member>,
    ) -> Result<BTreeMap<AccountId, Member>, RefreshError> {
        if self.settings.tag_keys.is_empty() {
            return Ok(accounts);
        }
        let tagged = stream::iter(accounts).map(|(account, member)| async move {
            let tags = self.tags(&account).await?;
            Ok::<_, RefreshError>((account, Member { tags, ..member }))
        });
        tagged.buffer_unordered(AT_ONCE).try_collect().await
    }

    /// An account has at most 50 tags.
    async fn tags(&self, account: &AccountId) -> Result<BTreeMap<String, String>, RefreshError> {
        let (mut tags, mut next) = (BTreeMap::new(), None);
        loop {
            self.wait().await;
            let list = || self.client.list_tags_for_resource().resource_id(account.as_ref());
            let page = call(TAGS, || list().set_next_token(next.clone()).send()).await?;
            let of_page = page.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value));
            tags.extend(of_page.filter(|(key, _)| self.settings.tag_keys.contains(key)));
            next = page.next_token;
            if next.is_none() {
                return Ok(tags);
            }
        }
    }

    /// Until the next call may begin.
    async fn wait(&self) {
        self.pace.lock().await.tick().await;
    }
}

/// What is directly in the root or in a unit.
struct Below {
    parent: String,
    units: Vec<OrganizationalUnit>,
    accounts: Vec<Account>,
}

fn lacks(action: &'static str, what: &'static str) -> RefreshError {
    RefreshError::Lacks { action, what }
}

/// An account in its unit. `Status`, which AWS has retired, is all that older partitions may say of its state.
fn member(account: Account, parent: &str) -> Result<(AccountId, Member), RefreshError> {
    let state = account.state.map(|state| state.as_str().to_owned());
    let state = state.or_else(|| account.status.map(|status| status.as_str().to_owned()));
    let state = state.ok_or(lacks(ACCOUNTS, "State"))?;
    let id = account.id.ok_or(lacks(ACCOUNTS, "ID"))?.parse()?;
    let name = account.name.unwrap_or_default();
    Ok((id, Member { name, state, parent: parent.to_owned(), tags: BTreeMap::new() }))
}

fn bytes_of(record: &OrganizationRecord) -> Result<Vec<u8>, RefreshError> {
    let (bytes, most) = (serde_json::to_vec(record)?, OrganizationRecord::MOST_BYTES);
    if bytes.len() > most {
        return Err(RefreshError::TooLarge { found: bytes.len(), most });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
