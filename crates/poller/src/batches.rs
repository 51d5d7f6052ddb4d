//! Findings gathered into batches by account, as they come.

use std::collections::BTreeMap;
use std::mem;

use remediation::{AccountId, Batch, BatchId, Finding, RecordError, Records, RunId};

/// The most findings in a batch.
pub const BATCH_SIZE: usize = 200;
/// The most findings that wait for others of their account; then the largest accounts go first.
pub(crate) const MOST_WAITING: usize = 10 * BATCH_SIZE;

/// Writes the findings of one run of one rule.
pub(crate) struct Batches<'a> {
    records: &'a Records,
    rule: &'a str,
    run: RunId,
    waiting: BTreeMap<AccountId, Vec<Finding>>,
    count: usize,
    pub(crate) written: u32,
}

impl<'a> Batches<'a> {
    pub(crate) fn new(records: &'a Records, rule: &'a str, run: RunId) -> Self {
        Self { records, rule, run, waiting: BTreeMap::new(), count: 0, written: 0 }
    }

    /// Takes a finding; writes a batch where an account has enough for one, or too many wait.
    pub(crate) async fn add(&mut self, finding: Finding) -> Result<(), RecordError> {
        let account = self.waiting.entry(finding.account.clone()).or_default();
        account.push(finding);
        self.count += 1;
        if account.len() >= BATCH_SIZE {
            let full = mem::take(account);
            self.write(full).await?;
        } else if self.count >= MOST_WAITING {
            let largest = self.take_largest();
            self.write(largest).await?;
        }
        Ok(())
    }

    /// Writes what is left.
    pub(crate) async fn finish(&mut self) -> Result<(), RecordError> {
        while self.count > 0 {
            let largest = self.take_largest();
            self.write(largest).await?;
        }
        Ok(())
    }

    /// Up to a batch of findings from the accounts that have most.
    fn take_largest(&mut self) -> Vec<Finding> {
        let mut accounts: Vec<_> = self.waiting.iter().map(|(account, of)| (of.len(), account.clone())).collect();
        accounts.sort_by(|a, b| b.cmp(a));
        let mut taken = Vec::with_capacity(BATCH_SIZE);
        for (count, account) in accounts {
            let room = BATCH_SIZE - taken.len();
            if room == 0 {
                break;
            }
            if let Some(of) = self.waiting.get_mut(&account) {
                taken.extend(of.drain(..count.min(room)));
            }
        }
        taken
    }

    async fn write(&mut self, findings: Vec<Finding>) -> Result<(), RecordError> {
        self.count -= findings.len();
        self.waiting.retain(|_, of| !of.is_empty());
        self.written += 1;
        let id = BatchId { rule: self.rule.to_owned(), run: self.run, batch: self.written };
        let key = id.findings_key();
        let count = findings.len();
        self.records.put_new(&key, Batch::new(id, findings).to_ndjson()?).await?;
        tracing::info!(findings = count, key, "batch written");
        Ok(())
    }
}
