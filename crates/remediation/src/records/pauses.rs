//! Where the pauses are kept: beside the policy, in an object that Terraform never writes.
//!
//! They are read whenever the policy is, so once a second while something is written, and written by compare and swap: of
//! two people who pause or resume at once, one reads again, and nothing of either is lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::again::{Refused, again};
use super::keys::PAUSES_KEY;
use super::schema::{Record, read};
use super::{Condition, RecordError, Records, Stored, Version};
use crate::policy::{PAUSES_SCHEMA, Pauses, Policy, PolicyError};

/// How long somebody tries to write among others.
const PATIENCE: Duration = Duration::from_secs(30);

impl Record for Pauses {
    const KIND: &'static str = "list of pauses";
    const SCHEMA: u32 = PAUSES_SCHEMA;
    const MOST_BYTES: usize = 1024 * 1024;
}

/// The pauses in a store, as whoever writes reads them.
#[derive(Debug, Clone)]
pub(super) struct PausesRecord {
    records: Records,
    /// What was read last.
    last: Arc<Mutex<Option<Read>>>,
    laid: Arc<Mutex<Option<Laid>>>,
}

/// One read of the pauses.
#[derive(Debug)]
struct Read {
    /// None where there is no such record.
    version: Option<Version>,
    pauses: Arc<Pauses>,
}

/// A policy, and the same under pauses.
#[derive(Debug)]
struct Laid {
    policy: Arc<Policy>,
    pauses: Arc<Pauses>,
    both: Arc<Policy>,
}

impl PausesRecord {
    pub(super) fn new(records: Records) -> Self {
        Self { records, last: Arc::default(), laid: Arc::default() }
    }

    /// The pauses; none where there is no record of them. A version that is known is not read into pauses again.
    ///
    /// # Errors
    ///
    /// They cannot be read, or are none: nothing may be written then.
    pub(super) async fn read(&self) -> Result<Arc<Pauses>, PolicyError> {
        let mut last = self.last.lock().await;
        let stored = self.records.find_at_most(PAUSES_KEY, Pauses::MOST_BYTES).await.map_err(unread)?;
        let (bytes, version) = stored.map_or((None, None), |Stored { bytes, version }| (Some(bytes), Some(version)));
        let pauses = match (last.take(), bytes) {
            (Some(read), _) if read.version == version => read.pauses,
            (_, None) => Arc::default(),
            (_, Some(bytes)) => Arc::new(read::<Pauses>(&bytes).map_err(|error| unusable(&error))?),
        };
        *last = Some(Read { version, pauses: Arc::clone(&pauses) });
        Ok(pauses)
    }

    /// A policy under pauses, the same one as long as both are the same.
    pub(super) async fn lay_over(&self, policy: Arc<Policy>, pauses: Arc<Pauses>) -> Arc<Policy> {
        if pauses.is_empty() {
            return policy;
        }
        let mut laid = self.laid.lock().await;
        let is_same = |of: &&Laid| Arc::ptr_eq(&of.policy, &policy) && Arc::ptr_eq(&of.pauses, &pauses);
        if let Some(laid) = laid.as_ref().filter(is_same) {
            return Arc::clone(&laid.both);
        }
        let both = Arc::new(policy.under(Pauses::clone(&pauses)));
        *laid = Some(Laid { policy, pauses, both: Arc::clone(&both) });
        both
    }
}

fn unread(error: RecordError) -> PolicyError {
    match error {
        RecordError::TooLong { .. } => unusable(&error),
        error => PolicyError::Unread { passes: error.passes(), why: error.to_string() },
    }
}

fn unusable(error: &impl ToString) -> PolicyError {
    PolicyError::Pauses { key: PAUSES_KEY, why: error.to_string() }
}

/// The pauses as they are stored; none where there is no record of them.
///
/// # Errors
///
/// They cannot be read, or are none.
pub async fn stored_pauses(records: &Records) -> Result<Pauses, RecordError> {
    Ok(stored(records).await?.0)
}

fn failed<E: From<Box<RecordError>>>(error: RecordError) -> Refused<E> {
    Refused::Failed(Box::new(error).into())
}

fn taken<E: From<Box<RecordError>>>() -> E {
    Box::new(RecordError::Taken { key: PAUSES_KEY.to_owned() }).into()
}

/// Changes the pauses, on condition that they are still those that were read. Gives what `change` gave, and the pauses as
/// they are now.
///
/// # Errors
///
/// They cannot be read or written, or `change` refuses.
pub async fn change_pauses<T, E: From<Box<RecordError>>>(
    records: &Records,
    change: impl Fn(&mut Pauses) -> Result<T, E>,
) -> Result<(T, Pauses), E> {
    let attempt = || async {
        let (mut pauses, condition) = stored(records).await.map_err(failed)?;
        let before = pauses.clone();
        let came = change(&mut pauses).map_err(Refused::Failed)?;
        if pauses != before {
            put(records, &pauses, &condition).await?;
        }
        Ok((came, pauses))
    };
    again(PATIENCE, attempt, taken).await
}

/// Ends every pause, also where what is stored there cannot be read.
///
/// # Errors
///
/// Nothing can be written there.
pub async fn end_all_pauses(records: &Records) -> Result<Pauses, Box<RecordError>> {
    let attempt = || async {
        let versions = records.versions(PAUSES_KEY).await.map_err(failed)?;
        let Some(version) = versions.get(PAUSES_KEY) else { return Ok(Pauses::default()) };
        let pauses = Pauses::default();
        put(records, &pauses, &Condition::Unchanged(version.clone())).await?;
        Ok(pauses)
    };
    again(PATIENCE, attempt, taken).await
}

/// The pauses as they are stored, with the condition on which they may be replaced.
async fn stored(records: &Records) -> Result<(Pauses, Condition), RecordError> {
    let Some(stored) = records.find_at_most(PAUSES_KEY, Pauses::MOST_BYTES).await? else {
        return Ok((Pauses::default(), Condition::Absent));
    };
    let pauses = read(&stored.bytes).map_err(|source| RecordError::Unusable { key: PAUSES_KEY.to_owned(), source })?;
    Ok((pauses, Condition::Unchanged(stored.version)))
}

async fn put<E: From<Box<RecordError>>>(
    records: &Records,
    pauses: &Pauses,
    condition: &Condition,
) -> Result<(), Refused<E>> {
    let bytes = serde_json::to_vec_pretty(pauses).map_err(|error| failed(RecordError::from(error)))?;
    if bytes.len() > Pauses::MOST_BYTES {
        let (key, most) = (PAUSES_KEY.to_owned(), Pauses::MOST_BYTES);
        return Err(failed(RecordError::TooLong { key, most }));
    }
    match records.put_if(condition, PAUSES_KEY, bytes).await {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(Refused::Taken),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::policy::{Pause, Stops};

    fn pause(number: usize) -> Pause {
        let (id, at) = (format!("{number:08x}"), ambient::now());
        Pause { id, stops: Stops::default(), reason: "r".into(), by: "b".into(), at, until: None }
    }

    async fn add(records: &Records, number: usize) -> Result<Pauses, Box<RecordError>> {
        let add = |pauses: &mut Pauses| {
            pauses.add(pause(number)).unwrap();
            Ok::<_, Box<RecordError>>(())
        };
        Ok(change_pauses(records, add).await?.1)
    }

    #[tokio::test]
    async fn of_many_who_pause_at_once_nobody_is_lost() {
        let folder = TempDir::new().unwrap();
        let records = Records::Folder(folder.path().into());
        futures::future::try_join_all((0..10).map(|number| add(&records, number))).await.unwrap();
        let (pauses, _) = stored(&records).await.unwrap();
        assert_eq!(pauses.in_force(ambient::now()).count(), 10);
    }

    #[tokio::test]
    async fn a_version_is_parsed_once_and_a_policy_is_laid_under_it_once() {
        let folder = TempDir::new().unwrap();
        let records = Records::Folder(folder.path().into());
        let record = PausesRecord::new(records.clone());
        let policy = Arc::new(Policy::unrestricted());
        let none = record.read().await.unwrap();
        assert!(none.is_empty());
        assert!(Arc::ptr_eq(&record.lay_over(Arc::clone(&policy), none).await, &policy));
        add(&records, 1).await.unwrap();
        let one = record.read().await.unwrap();
        assert!(Arc::ptr_eq(&record.read().await.unwrap(), &one));
        let first = record.lay_over(Arc::clone(&policy), Arc::clone(&one)).await;
        assert!(Arc::ptr_eq(&record.lay_over(Arc::clone(&policy), one).await, &first));
        add(&records, 2).await.unwrap();
        let two = record.read().await.unwrap();
        assert_eq!(record.lay_over(policy, two).await.pauses().in_force(ambient::now()).count(), 2);
    }

    #[tokio::test]
    async fn what_cannot_be_read_stops_everything_until_all_of_it_is_ended() {
        for broken in ["", "{", r#"{"schema": 2, "pauses": []}"#, &format!("{{{}", " ".repeat(1024 * 1024))] {
            let folder = TempDir::new().unwrap();
            let records = Records::Folder(folder.path().into());
            let record = PausesRecord::new(records.clone());
            std::fs::write(folder.path().join(PAUSES_KEY), broken).unwrap();
            let error = record.read().await.unwrap_err();
            let says = ["pauses.json", "nothing is written", "autoremediate resume --all"];
            assert!(says.iter().all(|part| error.to_string().contains(part)) && !error.passes(), "{error}");
            assert!(add(&records, 1).await.is_err(), "it is not written over unread");
            end_all_pauses(&records).await.unwrap();
            assert!(record.read().await.unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn where_nothing_was_ever_paused_there_is_nothing_to_end() {
        let folder = TempDir::new().unwrap();
        let records = Records::Folder(folder.path().into());
        assert!(end_all_pauses(&records).await.unwrap().is_empty());
        assert!(records.find(PAUSES_KEY).await.unwrap().is_none());
    }
}
