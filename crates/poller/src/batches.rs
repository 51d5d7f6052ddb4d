//! Collects findings into batches: those of an account together, in the order of their resources' names.
//!
//! A rule makes one plan for a resource and all of its controls, but Netskope lists one control after the other. So
//! findings wait until all lists are read, and findings that name the same resource go into the same batch. If more
//! findings come than may wait, those of the accounts with the most findings are written first. A later finding of the
//! same resource is then in another batch, and the resource's card keeps the two runs apart.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use jiff::Timestamp;
use remediation::{AccountId, Batch, BatchId, Finding, RecordError, Records, Region, RunId};

use crate::Limits;

/// The most findings that wait for others: one or two megabytes, and with the longest names some twenty.
pub(crate) const MOST_WAITING: usize = 7_500;

/// So many batches are stored at once.
const AT_ONCE: u32 = 8;

/// Writes the findings of one run of one rule.
pub(crate) struct Batches<'a> {
    records: &'a Records,
    rule: &'a str,
    run: RunId,
    waiting: BTreeMap<AccountId, Vec<Waiting>>,
    /// The controls and regions, of which each finding that waits has the places.
    controls: Vec<String>,
    regions: Vec<Region>,
    count: usize,
    limits: Limits,
    pub(crate) written: u32,
    /// How many findings were not written, because of that limit.
    pub(crate) left: usize,
}

/// A finding that waits, without what many others have as well: thousands of them are most of a poll's memory.
struct Waiting {
    control: usize,
    region: usize,
    resource: Box<str>,
    first_seen: Option<Timestamp>,
    last_scanned: Option<Timestamp>,
}

impl<'a> Batches<'a> {
    pub(crate) fn new(records: &'a Records, rule: &'a str, run: RunId, limits: Limits) -> Self {
        Self {
            records,
            rule,
            run,
            waiting: BTreeMap::new(),
            controls: Vec::new(),
            regions: Vec::new(),
            count: 0,
            limits,
            written: 0,
            left: 0,
        }
    }

    /// Adds a finding, and writes some batches if too many wait. Once the limit of batches is reached, it is only counted.
    pub(crate) async fn add(&mut self, finding: Finding) -> Result<(), RecordError> {
        if self.written >= self.limits.batches {
            self.left += 1;
            return Ok(());
        }
        let Finding { control, account, region, resource, first_seen, last_scanned } = finding;
        let (control, region) = (place(&mut self.controls, control), place(&mut self.regions, region));
        let waiting = Waiting { control, region, resource: resource.into(), first_seen, last_scanned };
        self.waiting.entry(account).or_default().push(waiting);
        self.count += 1;
        if self.count >= MOST_WAITING { self.write_some().await } else { Ok(()) }
    }

    /// Writes the findings that still wait, as far as the limit of batches allows.
    pub(crate) async fn finish(&mut self) -> Result<(), RecordError> {
        while self.count > 0 && self.written < self.limits.batches {
            self.write_some().await?;
        }
        self.left = self.left.saturating_add(self.count);
        Ok(())
    }

    /// Writes as many batches as are stored at once. One that fails stops none of the others.
    async fn write_some(&mut self) -> Result<(), RecordError> {
        let last = self.written.saturating_add(AT_ONCE).min(self.limits.batches);
        let mut batches = Vec::new();
        while self.count > 0 && self.written < last {
            let batch = self.next();
            // Compressed it is a small part of what it was.
            batches.push((batch.id.findings_key(), batch.findings.len(), batch.to_stored()?));
        }
        let records = self.records;
        let store = |(key, findings, stored): (String, usize, Vec<u8>)| async move {
            records.put_new(&key, stored).await?;
            tracing::info!(findings, key, "batch written");
            Ok(())
        };
        let stored: Vec<_> =
            futures::stream::iter(batches).map(store).buffer_unordered(AT_ONCE as usize).collect().await;
        stored.into_iter().collect()
    }

    /// The next batch.
    fn next(&mut self) -> Batch {
        let findings = self.take();
        self.count -= findings.len();
        self.waiting.retain(|_, of| !of.is_empty());
        self.written += 1;
        Batch::new(BatchId { rule: self.rule.to_owned(), run: self.run, batch: self.written }, findings)
    }

    /// A batch of the account that has most findings; or, where no account has enough for one, of as many whole accounts
    /// as there is room for, those with most findings first.
    fn take(&mut self) -> Vec<Finding> {
        let mut accounts: Vec<_> = self.waiting.iter().map(|(account, of)| (of.len(), account.clone())).collect();
        accounts.sort_by(|(one, a), (other, b)| other.cmp(one).then_with(|| a.cmp(b)));
        let size = self.limits.batch_size.max(1);
        let Self { controls, regions, .. } = self;
        let finding = |account: &AccountId, of: Waiting| Finding {
            control: controls[of.control].clone(),
            account: account.clone(),
            region: regions[of.region].clone(),
            resource: of.resource.into(),
            first_seen: of.first_seen,
            last_scanned: of.last_scanned,
        };
        let mut taken = Vec::with_capacity(size);
        for (count, account) in accounts {
            let Some(of) = self.waiting.get_mut(&account) else { continue };
            if count > size && taken.is_empty() {
                sort(of, controls, regions);
                let whole = whole_resources(of, size);
                return of.drain(..whole).map(|of| finding(&account, of)).collect();
            }
            if count <= size - taken.len() {
                sort(of, controls, regions);
                taken.extend(of.drain(..).map(|of| finding(&account, of)));
            }
        }
        taken
    }
}

/// The place of `one` among those that are known, where it is from now on.
fn place<T: PartialEq>(known: &mut Vec<T>, one: T) -> usize {
    known.iter().position(|of| *of == one).unwrap_or_else(|| {
        known.push(one);
        known.len() - 1
    })
}

fn sort(findings: &mut [Waiting], controls: &[String], regions: &[Region]) {
    fn key<'a>(of: &'a Waiting, controls: &'a [String], regions: &'a [Region]) -> (&'a str, &'a str, &'a str) {
        (&of.resource, regions[of.region].as_ref(), &controls[of.control])
    }
    findings.sort_by(|one, other| key(one, controls, regions).cmp(&key(other, controls, regions)));
}

/// How many of these sorted findings fill a batch of `size` without a resource that is only in it in part. A resource with more
/// findings than a batch has room for stays whole.
fn whole_resources(findings: &[Waiting], size: usize) -> usize {
    let ends = (1..=findings.len()).filter(|end| match (&findings[end - 1], findings.get(*end)) {
        (last, Some(next)) => last.resource != next.resource,
        (_, None) => true,
    });
    let mut most = 0;
    for end in ends {
        if most > 0 && end > size {
            break;
        }
        most = end;
    }
    most
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    /// What a batch has unless it is set.
    const BATCH_SIZE: usize = 200;

    /// A finding of an account by the number of its resource and of its control.
    fn listed(account: usize, resource: usize, control: usize) -> Finding {
        Finding {
            control: format!("Ensure every door is closed, {control}."),
            account: format!("{account:012}").parse().unwrap(),
            region: Region::code("us-east-1"),
            resource: format!("r{resource}"),
            first_seen: None,
            last_scanned: None,
        }
    }

    /// The batches that come of these findings, in this order, and the most that waited.
    async fn batches_of(findings: &[Finding]) -> (Vec<Batch>, usize) {
        batches_within(Limits { batches: u32::MAX, ..Limits::default() }, findings).await
    }

    async fn batches_within(limits: Limits, findings: &[Finding]) -> (Vec<Batch>, usize) {
        let folder = TempDir::new().unwrap();
        let records = Records::Folder(folder.path().into());
        let run = RunId::start();
        let mut batches = Batches::new(&records, "open-door", run, limits);
        let mut most = 0;
        for finding in findings {
            batches.add(finding.clone()).await.unwrap();
            assert_eq!(batches.count, batches.waiting.values().map(Vec::len).sum::<usize>());
            most = most.max(batches.count);
        }
        batches.finish().await.unwrap();
        let mut read = Vec::new();
        for batch in 1..=batches.written {
            let id = BatchId { rule: "open-door".into(), run, batch };
            let text = records.get(&id.findings_key()).await.unwrap();
            read.push(Batch::from_stored(&text, "open-door").unwrap());
            assert_eq!(read[read.len() - 1].id, id);
        }
        (read, most)
    }

    /// The same of one finding for each of these accounts, each of another resource.
    async fn batches(accounts: &[usize]) -> (Vec<Batch>, usize) {
        let findings = accounts.iter().enumerate().map(|(number, account)| listed(*account, number, 0));
        batches_of(&findings.collect::<Vec<_>>()).await
    }

    fn sizes(batches: &[Batch]) -> Vec<usize> {
        batches.iter().map(|batch| batch.findings.len()).collect()
    }

    /// The places of the batches that have a finding of which this is so.
    fn places(batches: &[Batch], is_it: impl Fn(&Finding) -> bool) -> Vec<usize> {
        (0..batches.len()).filter(|place| batches[*place].findings.iter().any(&is_it)).collect()
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
            assert!(batch.findings.iter().all(|of| of.account == listed(account, 0, 0).account), "{account}");
        }
    }

    #[tokio::test]
    async fn a_batch_has_as_many_findings_as_the_limits_say() {
        let findings: Vec<_> = (0..1_003).map(|resource| listed(resource % 2, resource, 0)).collect();
        for (batch_size, expected) in [(1, vec![1; 1_003]), (1_000, vec![502, 501])] {
            let limits = Limits { batches: u32::MAX, batch_size, ..Limits::default() };
            assert_eq!(sizes(&batches_within(limits, &findings).await.0), expected, "{batch_size}");
        }
        let limits = Limits { batches: 3, batch_size: 10, ..Limits::default() };
        assert_eq!(sizes(&batches_within(limits, &findings).await.0), [10; 3]);
    }

    #[tokio::test]
    async fn small_accounts_share_batches() {
        let accounts: Vec<_> = (0..250).map(|number| number % 50).collect();
        assert_eq!(sizes(&batches(&accounts).await.0), [200, 50]);
    }

    #[tokio::test]
    async fn no_account_is_split_to_fill_up_a_batch_of_others() {
        let accounts: Vec<_> = (0..150).map(|number| number % 5).chain([9; 150]).collect();
        let (batches, _) = batches(&accounts).await;
        assert_eq!(sizes(&batches), [180, 120]);
        for account in [0, 1, 2, 3, 4, 9] {
            let account = listed(account, 0, 0).account;
            assert_eq!(places(&batches, |of| of.account == account).len(), 1, "{account}");
        }
    }

    #[tokio::test]
    async fn a_hundred_thousand_findings_have_room_whatever_accounts_they_are_of() {
        const EACH: usize = BATCH_SIZE / 2 + 1;
        let folder = TempDir::new().unwrap();
        let records = Records::Folder(folder.path().into());
        let most = crate::Limits::default().batches;
        // No two accounts fit into one batch.
        let mut batches =
            Batches::new(&records, "open-door", RunId::start(), Limits { batches: most, ..Limits::default() });
        for number in 0..100_000 {
            batches.add(listed(number / EACH, number, 0)).await.unwrap();
        }
        batches.finish().await.unwrap();
        assert_eq!(batches.left, 0, "in {} batches", batches.written);
    }

    #[tokio::test]
    async fn what_two_lists_have_of_a_resource_is_in_one_batch() {
        // A list of one control, then one of another, in another order.
        let one = (0..300).map(|resource| listed(0, resource, 0));
        let other = (0..300).rev().map(|resource| listed(0, resource, 1));
        let (batches, _) = batches_of(&one.chain(other).collect::<Vec<_>>()).await;
        assert_eq!(sizes(&batches), [200, 200, 200]);
        for resource in 0..300 {
            let name = format!("r{resource}");
            assert_eq!(places(&batches, |of| of.resource == name).len(), 1, "{name}");
        }
        let names: Vec<_> = batches.iter().flat_map(|batch| &batch.findings).map(|of| &of.resource).collect();
        assert!(names.is_sorted(), "{names:?}");
    }

    #[tokio::test]
    async fn a_resource_is_not_cut_where_a_batch_would_end() {
        // Two findings of the last resource that would be in the first batch, of which only one has room.
        let mut findings: Vec<_> = (100..399).map(|resource| listed(0, resource, 0)).collect();
        findings.push(listed(0, 299, 1));
        let (batches, _) = batches_of(&findings).await;
        assert_eq!(sizes(&batches), [199, 101]);
        // One resource that has more findings than a batch has room for.
        let many: Vec<_> = (0..201).map(|control| listed(0, 0, control)).chain([listed(0, 1, 0)]).collect();
        assert_eq!(sizes(&batches_of(&many).await.0), [201, 1]);
    }

    #[tokio::test]
    async fn few_findings_wait_however_many_accounts_there_are() {
        let accounts: Vec<_> = (0..12_000).collect();
        let (batches, most) = batches(&accounts).await;
        assert_eq!(sizes(&batches), [BATCH_SIZE; 60]);
        assert!(most < MOST_WAITING, "{most}");
    }

    #[tokio::test]
    async fn few_findings_wait_of_an_account_that_has_many() {
        let (batches, most) = batches(&[7; 2 * MOST_WAITING]).await;
        assert_eq!(sizes(&batches), [BATCH_SIZE; 2 * MOST_WAITING / BATCH_SIZE]);
        assert!(most < MOST_WAITING, "{most}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn every_finding_is_in_one_batch_with_its_resource_and_its_account_is_in_few(
            rows in (1..30_usize, 1..400_usize).prop_flat_map(|(accounts, resources)| {
                prop::collection::vec((0..accounts, 0..resources, 0..3_usize), 0..2500)
            }),
        ) {
            let mut rows = rows;
            let mut known = std::collections::BTreeSet::new();
            rows.retain(|row| known.insert(*row));
            let findings: Vec<_> = rows.iter().map(|(account, resource, control)| listed(*account, *resource, *control)).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (batches, _) = runtime.block_on(batches_of(&findings));
            let (mut of_resource, mut of_account) = (BTreeMap::new(), BTreeMap::new());
            for (place, batch) in batches.iter().enumerate() {
                prop_assert!((1..=BATCH_SIZE).contains(&batch.findings.len()));
                let mut accounts: Vec<_> = batch.findings.iter().map(|of| of.account.clone()).collect();
                accounts.dedup();
                for account in &accounts {
                    of_account.entry(account.clone()).or_insert_with(Vec::new).push(place);
                }
                let count = accounts.len();
                accounts.sort();
                accounts.dedup();
                prop_assert_eq!(count, accounts.len(), "an account's findings are apart");
                for of in &batch.findings {
                    let first = *of_resource.entry((of.account.clone(), of.resource.clone())).or_insert(place);
                    prop_assert_eq!(first, place, "{} is in two batches", of.resource);
                }
            }
            for batch in batches.iter().rev().skip(1) {
                prop_assert!(batch.findings.len() > BATCH_SIZE / 2, "{} in a batch", batch.findings.len());
            }
            for (account, places) in of_account {
                // A batch that ends before a resource that it has no room for lacks two findings at most.
                let few = findings.iter().filter(|of| of.account == account).count().div_ceil(BATCH_SIZE - 2);
                prop_assert!(places.len() <= few, "{} is in {} batches instead of {}", account, places.len(), few);
            }
            let key = |of: &Finding| (of.account.clone(), of.resource.clone(), of.control.clone());
            let mut written: Vec<_> = batches.into_iter().flat_map(|batch| batch.findings).collect();
            let mut expected = findings;
            written.sort_by_key(key);
            expected.sort_by_key(key);
            prop_assert_eq!(written, expected);
        }
    }
}
