//! Where the policy is kept, to be read anew while writes are under way; with what is paused, and an operator's own beside
//! it, which narrows it.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::keys::POLICY_KEY;
use super::pauses::PausesRecord;
use super::{RecordError, Records, Stored, Version, hexadecimal, organization};
use crate::policy::{Policy, PolicyError, SettingDefaults};

/// An answer that comes later than this is asked for again: the process stood still meanwhile, or the machine slept.
const FRESH: SignedDuration = SignedDuration::from_secs(30);
/// For so long an answer serves all writes of a process. So long after a pause is stored, and one read, no write starts.
const WATCHED: Duration = Duration::from_secs(1);
/// For so long the places of accounts are taken as they were read: they are read anew every few hours anyway.
pub(super) const PLACES_KEPT: SignedDuration = SignedDuration::from_mins(5);
/// So often it is asked for before it counts as unread.
const ATTEMPTS: usize = 3;

/// The policy in a store.
#[derive(Debug, Clone)]
pub struct PolicyRecord {
    records: Records,
    key: String,
    /// The digest of the policy that is meant to be there.
    expected: Option<String>,
    /// What was read last.
    last: Arc<Mutex<Option<Read>>>,
    /// The last policy that was placed.
    placed: Arc<Mutex<Option<Placed>>>,
    pauses: Option<PausesRecord>,
    narrowing: Option<Arc<Narrowing>>,
    /// What was read last for writes.
    watched: Arc<Mutex<Option<Watched>>>,
}

/// What the policy, and all that is laid over it, was at a moment.
#[derive(Debug)]
struct Watched {
    /// When its read began, by both clocks: the one stands still while a machine sleeps, the other can be set.
    began: Instant,
    at: Timestamp,
    policy: Arc<Policy>,
}

/// What narrows a policy.
#[derive(Debug)]
struct Narrowing {
    own: PolicyRecord,
    defaults: SettingDefaults,
    last: Mutex<Option<Narrowed>>,
}

/// Two policies, and the one that allows what both of them allow.
#[derive(Debug)]
struct Narrowed {
    policy: Arc<Policy>,
    own: Arc<Policy>,
    both: Arc<Policy>,
}

/// A policy that takes the places of accounts from the organization, before and after it knew them.
#[derive(Debug)]
struct Placed {
    at: Timestamp,
    policy: Arc<Policy>,
    placed: Arc<Policy>,
}

/// One read of the policy.
#[derive(Debug)]
struct Read {
    version: Version,
    policy: Arc<Policy>,
}

impl PolicyRecord {
    /// The policy under `key`, which nothing pauses.
    pub fn new(records: Records, key: impl Into<String>) -> Self {
        Self {
            records,
            key: key.into(),
            expected: None,
            last: Arc::default(),
            placed: Arc::default(),
            pauses: None,
            narrowing: None,
            watched: Arc::default(),
        }
    }

    /// The policy of a deployment, under the pauses beside it.
    pub fn of_deployment(records: Records) -> Self {
        let pauses = Some(PausesRecord::new(records.clone()));
        Self { pauses, ..Self::new(records, POLICY_KEY) }
    }

    /// Whatever is read and has another SHA-256 digest than this one is told in the log, in the field
    /// `unexpected_policy`, for which Terraform has an alarm: it is not what Terraform has written.
    #[must_use]
    pub fn expecting(mut self, digest: String) -> Self {
        self.expected = Some(digest);
        self
    }

    /// The same, narrowed by the policy that `own` holds; `defaults` are the rules' settings of which neither says
    /// anything.
    #[must_use]
    pub fn narrowed_by(self, own: Self, defaults: SettingDefaults) -> Self {
        let narrowing = Narrowing { own, defaults, last: Mutex::default() };
        Self { narrowing: Some(Arc::new(narrowing)), ..self }
    }

    /// The policy as it was at some moment of the last half minute. A version that is known is not read into a policy
    /// again.
    ///
    /// # Errors
    ///
    /// It, the pauses, or the one that narrows it, cannot be read or is none, or the two do not go together: nothing may
    /// be written then.
    pub async fn read(&self) -> Result<Arc<Policy>, PolicyError> {
        for _ in 0..ATTEMPTS {
            let asked = ambient::now();
            let policy = match &self.pauses {
                Some(record) => {
                    let (policy, pauses) = futures::try_join!(self.read_placed(), record.read())?;
                    record.lay_over(policy, pauses).await
                }
                None => self.read_placed().await?,
            };
            let policy = match &self.narrowing {
                Some(narrowing) => narrowing.narrow(policy).await?,
                None => policy,
            };
            // By the clock on the wall: the other one stands still while a machine sleeps.
            if ambient::now().duration_since(asked) <= FRESH {
                return Ok(policy);
            }
        }
        let why = format!("{} came too late {ATTEMPTS} times, so that it may be another by now", self.key);
        Err(PolicyError::Unread { passes: true, why })
    }

    /// The policy as it was a second ago or later: one read serves all that are asked for within that time, and those that
    /// had to wait for it.
    ///
    /// # Errors
    ///
    /// Those of [`PolicyRecord::read`].
    pub async fn watched(&self) -> Result<Arc<Policy>, PolicyError> {
        let asked = Instant::now();
        let mut last = self.watched.lock().await;
        if let Some(watched) = last.as_ref().filter(|watched| watched.serves(asked)) {
            return Ok(Arc::clone(&watched.policy));
        }
        let (began, at) = (Instant::now(), ambient::now());
        let policy = self.read().await?;
        *last = Some(Watched { began, at, policy: Arc::clone(&policy) });
        Ok(policy)
    }

    async fn read_alone(&self) -> Result<Arc<Policy>, PolicyError> {
        let mut last = self.last.lock().await;
        let stored = self.records.fetch_at_most(&self.key, Policy::MOST_BYTES).await;
        let Stored { bytes, version } = stored.map_err(unread)?;
        let policy = match last.take() {
            Some(read) if read.version == version => read.policy,
            _ => {
                if let Some(unexpected_policy) = self.unexpected(&bytes) {
                    let (key, expected) = (&self.key, &self.expected);
                    tracing::error!(unexpected_policy, expected, key, "the policy is not the one that was deployed");
                }
                Arc::new(Policy::from_json(&bytes)?)
            }
        };
        *last = Some(Read { version, policy: Arc::clone(&policy) });
        Ok(policy)
    }

    /// The policy with what is known of the organization, where it asks for that.
    async fn read_placed(&self) -> Result<Arc<Policy>, PolicyError> {
        let policy = self.read_alone().await?;
        let Some(from) = policy.organization else { return Ok(policy) };
        let mut last = self.placed.lock().await;
        let at = ambient::now();
        let is_good = |of: &&Placed| Arc::ptr_eq(&of.policy, &policy) && at.duration_since(of.at).abs() <= PLACES_KEPT;
        if let Some(of) = last.as_ref().filter(is_good) {
            return Ok(Arc::clone(&of.placed));
        }
        let placed = Arc::new(policy.placed(organization::places(&self.records, from, at).await.map_err(unread)?));
        *last = Some(Placed { at, policy, placed: Arc::clone(&placed) });
        Ok(placed)
    }

    /// The digest of these bytes, where it is not the one that is expected.
    fn unexpected(&self, bytes: &[u8]) -> Option<String> {
        let found = hexadecimal(&Sha256::digest(bytes));
        let expected = self.expected.as_ref()?;
        (*expected != found).then_some(found)
    }
}

impl Watched {
    /// Whether it serves who asked then and has waited until now.
    fn serves(&self, asked: Instant) -> bool {
        let age = ambient::now().duration_since(self.at).abs();
        let is_recent = self.began.elapsed() < WATCHED && age < SignedDuration::try_from(WATCHED).unwrap_or_default();
        is_recent || (self.began > asked && age <= FRESH)
    }
}

impl Narrowing {
    async fn narrow(&self, policy: Arc<Policy>) -> Result<Arc<Policy>, PolicyError> {
        let own = self.own.read_alone().await?;
        let mut last = self.last.lock().await;
        let is_same = |of: &&Narrowed| Arc::ptr_eq(&of.policy, &policy) && Arc::ptr_eq(&of.own, &own);
        if let Some(narrowed) = last.as_ref().filter(is_same) {
            return Ok(Arc::clone(&narrowed.both));
        }
        let both = Arc::new(policy.narrowed_by(&own, &self.defaults)?);
        *last = Some(Narrowed { policy, own, both: Arc::clone(&both) });
        Ok(both)
    }
}

fn unread(error: RecordError) -> PolicyError {
    PolicyError::Unread { passes: error.passes(), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicI64, Ordering};

    use tempfile::TempDir;

    use super::*;
    use crate::domain::Mode;
    use crate::records::stopped_clock::StoppedClock;

    #[tokio::test]
    async fn a_version_is_parsed_once_however_often_it_is_read() {
        let folder = TempDir::new().unwrap();
        let store = |text: &str| std::fs::write(folder.path().join("policy.json"), text).unwrap();
        let record = PolicyRecord::new(Records::Folder(folder.path().into()), "policy.json");
        store(r#"{"schema": 1, "mode": "plan"}"#);
        let first = record.read().await.unwrap();
        let again = futures::future::try_join_all((0..20).map(|_| record.read())).await.unwrap();
        assert!(again.iter().all(|policy| Arc::ptr_eq(policy, &first)));
        assert!(Arc::ptr_eq(&record.clone().read().await.unwrap(), &first), "those who share the record share it");
        store(r#"{"schema": 1, "mode": "off"}"#);
        let second = record.read().await.unwrap();
        assert!(!Arc::ptr_eq(&second, &first), "another version is read");
        // What cannot be read is not remembered as what it was before.
        store("{");
        assert!(record.read().await.is_err());
        store(r#"{"schema": 1, "mode": "off"}"#);
        assert!(!Arc::ptr_eq(&record.read().await.unwrap(), &second));
    }

    #[tokio::test(start_paused = true)]
    async fn one_read_serves_the_writes_of_a_second_and_no_later_one() {
        let folder = TempDir::new().unwrap();
        let store = |text: &str| std::fs::write(folder.path().join("policy.json"), text).unwrap();
        let record = PolicyRecord::new(Records::Folder(folder.path().into()), "policy.json");
        store(r#"{"schema": 1, "mode": "apply"}"#);
        let first = record.watched().await.unwrap();
        store(r#"{"schema": 1, "paused": true}"#);
        tokio::time::advance(WATCHED - Duration::from_millis(10)).await;
        assert!(Arc::ptr_eq(&record.watched().await.unwrap(), &first), "it was read again within the second");
        assert!(record.read().await.unwrap().paused, "who asks for it as it is now gets that");
        tokio::time::advance(Duration::from_millis(10)).await;
        let many = futures::future::try_join_all((0..20).map(|_| record.watched())).await.unwrap();
        assert!(many.iter().all(|policy| policy.paused && Arc::ptr_eq(policy, &many[0])));
        // What cannot be read serves nobody.
        store("{");
        tokio::time::advance(WATCHED).await;
        assert!(record.watched().await.is_err());
        store(r#"{"schema": 1, "mode": "apply"}"#);
        assert!(!record.watched().await.unwrap().paused);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_from_before_the_machine_slept_serves_nobody() {
        let folder = TempDir::new().unwrap();
        let record = PolicyRecord::new(Records::Folder(folder.path().into()), "policy.json");
        std::fs::write(folder.path().join("policy.json"), "{}").unwrap();
        assert!(!record.watched().await.unwrap().paused);
        std::fs::write(folder.path().join("policy.json"), r#"{"paused": true}"#).unwrap();
        let later = StoppedClock(ambient::now() + SignedDuration::from_secs(2));
        assert!(ambient::within(Arc::new(later), record.watched()).await.unwrap().paused);
    }

    /// A clock on the wall that has jumped by a minute at each of the first looks but the first.
    #[derive(Debug)]
    struct Jumping {
        looks: AtomicI64,
        jumps: i64,
        /// What happens while it stands still.
        meanwhile: fn(&Path),
        folder: PathBuf,
    }

    impl ambient::Surroundings for Jumping {
        fn now(&self) -> Timestamp {
            let look = self.looks.fetch_add(1, Ordering::Relaxed);
            if look > 0 {
                (self.meanwhile)(&self.folder);
            }
            Timestamp::UNIX_EPOCH + SignedDuration::from_mins(look.min(self.jumps))
        }

        fn random(&self) -> [u8; 16] {
            [0; 16]
        }
    }

    #[tokio::test]
    async fn what_was_read_before_the_process_stood_still_is_read_again() {
        let folder = TempDir::new().unwrap();
        let record = PolicyRecord::new(Records::Folder(folder.path().into()), "policy.json");
        let read = |jumps| {
            std::fs::write(folder.path().join("policy.json"), "{}").unwrap();
            let meanwhile = |folder: &Path| std::fs::write(folder.join("policy.json"), r#"{"paused": true}"#).unwrap();
            let (looks, folder) = (AtomicI64::new(0), folder.path().into());
            ambient::within(Arc::new(Jumping { looks, jumps, meanwhile, folder }), record.read())
        };
        assert!(!read(0).await.unwrap().paused);
        assert!(read(1).await.unwrap().paused);
        let error = read(99).await.unwrap_err();
        assert!(error.passes() && error.to_string().contains("policy.json came too late 3 times"), "{error}");
    }

    #[test]
    fn a_policy_of_another_digest_is_told_if_one_is_expected() {
        let folder = TempDir::new().unwrap();
        let record = PolicyRecord::new(Records::Folder(folder.path().into()), "policy.json");
        assert_eq!(record.unexpected(b"{}"), None);
        // sha256sum of the two characters, as Terraform's sha256() gives it
        let digest = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        let record = record.expecting(digest.to_owned());
        assert_eq!(record.unexpected(b"{}"), None);
        let other = record.unexpected(b"{ }").unwrap();
        assert!(other.len() == 64 && other != digest, "{other}");
    }

    #[tokio::test]
    async fn a_change_of_either_policy_counts_from_the_next_read_on() {
        let folder = TempDir::new().unwrap();
        let store = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let record = |name: &str| PolicyRecord::new(Records::Folder(folder.path().into()), name);
        let narrowed = record("policy.json").narrowed_by(record("own.json"), SettingDefaults::new());
        let account = "111111111111".parse().unwrap();
        let mode = || async { narrowed.read().await.map(|policy| policy.mode("open-door", &account)) };
        store("policy.json", r#"{"mode": "approve"}"#);
        store("own.json", r#"{"mode": "apply"}"#);
        assert_eq!(mode().await.unwrap(), Mode::Approve);
        assert_eq!(mode().await.unwrap(), Mode::Approve);
        store("policy.json", r#"{"mode": "apply", "paused": true}"#);
        assert_eq!(mode().await.unwrap(), Mode::Apply);
        assert!(narrowed.read().await.unwrap().paused);
        store("own.json", r#"{"mode": "plan"}"#);
        assert_eq!(mode().await.unwrap(), Mode::Plan);
        store("own.json", r#"{"mod": "apply"}"#);
        assert!(mode().await.unwrap_err().to_string().contains("is `mode` meant?"));
        store("own.json", r#"{"rules": {"open-door": {"settings": {"days": 3}}}}"#);
        assert!(mode().await.unwrap_err().to_string().contains("`days` of open-door is 3"));
        store("own.json", "{}");
        std::fs::remove_file(folder.path().join("policy.json")).unwrap();
        assert!(mode().await.unwrap_err().to_string().contains("policy.json"));
    }
}
