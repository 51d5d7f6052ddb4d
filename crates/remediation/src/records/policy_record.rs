//! Where the policy is kept, to be read anew before each write.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Mutex;

use super::{RecordError, Records, Stored, Version};
use crate::policy::{Policy, PolicyError};

/// The policy in a store.
#[derive(Debug, Clone)]
pub struct PolicyRecord {
    records: Records,
    key: String,
    /// What was read last. Who waits for a read that began after its own question takes that answer.
    last: Arc<Mutex<Option<Read>>>,
}

/// One read of the policy.
#[derive(Debug)]
struct Read {
    began: Timestamp,
    version: Version,
    policy: Arc<Policy>,
}

impl PolicyRecord {
    /// The policy under `key`.
    pub fn new(records: Records, key: impl Into<String>) -> Self {
        Self { records, key: key.into(), last: Arc::default() }
    }

    /// The policy as it is at some moment after this is called. A version that is known is not read into a policy again.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is none: nothing may be written then.
    pub async fn read(&self) -> Result<Arc<Policy>, PolicyError> {
        let asked = Timestamp::now();
        let mut last = self.last.lock().await;
        if let Some(read) = last.as_ref().filter(|read| read.began > asked) {
            return Ok(Arc::clone(&read.policy));
        }
        let began = Timestamp::now();
        let Stored { bytes, version } = self.records.fetch(&self.key).await.map_err(unread)?;
        let policy = match last.take() {
            Some(read) if read.version == version => read.policy,
            _ => Arc::new(Policy::from_json(&bytes)?),
        };
        *last = Some(Read { began, version, policy: Arc::clone(&policy) });
        Ok(policy)
    }
}

fn unread(error: RecordError) -> PolicyError {
    PolicyError::Unread { passes: error.passes(), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

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
}
