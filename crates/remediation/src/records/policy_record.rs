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
