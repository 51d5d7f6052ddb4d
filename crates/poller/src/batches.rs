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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use remediation::Region;
    use tempfile::TempDir;

    use super::*;

    fn finding(account: usize, number: usize) -> Finding {
        Finding {
            control: "Ensure every door is closed.".into(),
            account: format!("{account:012}").parse().unwrap(),
            region: Region::code("us-east-1"),
            resource: format!("r{number}"),
            first_seen: None,
            last_scanned: None,
        }
    }

    /// The batches that come of one finding for each of these accounts, in this order, and the most that waited.
    async fn batches(accounts: &[usize]) -> (Vec<Batch>, usize) {
        let folder = TempDir::new().unwrap();
        let records = Records::Folder(folder.path().into());
        let run = RunId::start();
        let mut batches = Batches::new(&records, "open-door", run);
        let mut most = 0;
        for (number, account) in accounts.iter().enumerate() {
            batches.add(finding(*account, number)).await.unwrap();
            assert_eq!(batches.count, batches.waiting.values().map(Vec::len).sum::<usize>());
            most = most.max(batches.count);
        }
        batches.finish().await.unwrap();
        let mut read = Vec::new();
        for batch in 1..=batches.written {
            let id = BatchId { rule: "open-door".into(), run, batch };
            let text = records.get(&id.findings_key()).await.unwrap();
            read.push(Batch::from_ndjson(&text, "open-door").unwrap());
            assert_eq!(read[read.len() - 1].id, id);
        }
        (read, most)
    }

    fn sizes(batches: &[Batch]) -> Vec<usize> {
        batches.iter().map(|batch| batch.findings.len()).collect()
    }

    #[tokio::test]
    async fn no_findings_make_no_batch() {
        assert!(batches(&[]).await.0.is_empty());
    }

    #[tokio::test]
    async fn an_account_with_enough_findings_has_batches_of_its_own() {
        // Two accounts, row by row in turn.
        let accounts: Vec<_> = (0..500).map(|number| number % 2).collect();
        let (batches, _) = batches(&accounts).await;
        assert_eq!(sizes(&batches), [200, 200, 100]);
        for (batch, account) in batches.iter().zip([0, 1]) {
            assert!(batch.findings.iter().all(|of| of.account == finding(account, 0).account), "{account}");
        }
    }

    #[tokio::test]
    async fn small_accounts_share_batches() {
        let accounts: Vec<_> = (0..250).map(|number| number % 50).collect();
        assert_eq!(sizes(&batches(&accounts).await.0), [200, 50]);
    }

    #[tokio::test]
    async fn a_large_account_is_not_split_to_fill_up_a_batch_of_small_ones() {
        let accounts: Vec<_> = (0..150).map(|number| number % 5).chain([9; 150]).collect();
        let (batches, _) = batches(&accounts).await;
        assert_eq!(sizes(&batches), [200, 100]);
        let large = finding(9, 0).account;
        assert_eq!(batches[0].findings.iter().filter(|of| of.account == large).count(), 150);
    }

    #[tokio::test]
    async fn few_findings_wait_however_many_accounts_there_are() {
        let accounts: Vec<_> = (0..5000).collect();
        let (batches, most) = batches(&accounts).await;
        assert_eq!(sizes(&batches), [BATCH_SIZE; 25]);
        assert!(most < MOST_WAITING, "{most}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn every_finding_is_in_exactly_one_batch_next_to_others_of_its_account(
            accounts in (1..30_usize).prop_flat_map(|most| prop::collection::vec(0..most, 0..2500)),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (batches, most) = runtime.block_on(batches(&accounts));
            prop_assert!(most < MOST_WAITING);
            for batch in &batches {
                prop_assert!((1..=BATCH_SIZE).contains(&batch.findings.len()));
                let mut runs: Vec<_> = batch.findings.iter().map(|of| of.account.clone()).collect();
                runs.dedup();
                let count = runs.len();
                runs.sort();
                runs.dedup();
                prop_assert_eq!(count, runs.len(), "an account's findings are apart");
            }
            let key = |of: &Finding| of.resource[1..].parse::<usize>().unwrap();
            let mut written: Vec<_> = batches.into_iter().flat_map(|batch| batch.findings).collect();
            written.sort_by_key(key);
            let expected: Vec<_> = accounts.iter().enumerate().map(|(n, account)| finding(*account, n)).collect();
            prop_assert_eq!(written, expected);
        }
    }
}
