//! What is found: so many violations in so many accounts, in batches as the poller makes them.

use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use uuid::Uuid;

use crate::Error;
use crate::aws::{REGION, World};
use crate::rule::Rule;

/// The most findings of a batch, as the poller has it by default.
const BATCH: usize = 200;

/// How many violations in how many accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spread {
    pub(crate) findings: usize,
    pub(crate) accounts: usize,
}

/// A batch: how many findings it has of each account, in the accounts' order.
pub(crate) type Batch = Vec<(usize, usize)>;

/// The `n`th account.
pub(crate) fn account(n: usize) -> String {
    format!("{:012}", 100_000_000_001 + n)
}

impl Spread {
    /// The findings of each account: no account has two more than another.
    fn of_accounts(self) -> impl Iterator<Item = usize> {
        let Self { findings, accounts } = self;
        (0..accounts).map(move |n| findings / accounts + usize::from(n < findings % accounts))
    }

    /// The batches: of whole accounts, as long as these fit; else an account has batches of its own.
    pub(crate) fn batches(self) -> Vec<Batch> {
        let (mut batches, mut batch) = (Vec::new(), Batch::new());
        let mut room = BATCH;
        for (account, mut left) in self.of_accounts().enumerate() {
            if left > room && !batch.is_empty() {
                batches.push(std::mem::take(&mut batch));
                room = BATCH;
            }
            while left > room {
                batches.push(vec![(account, room)]);
                left -= room;
            }
            if left > 0 {
                batch.push((account, left));
                room -= left;
            }
        }
        if !batch.is_empty() {
            batches.push(batch);
        }
        batches
    }
}

/// Makes the violations of a rule and stores the batches of them; gives the batches' keys.
pub(crate) fn violate(world: &mut World, rule: Rule, batches: &[Batch]) -> Result<Vec<String>, Error> {
    let (run, control) = (Uuid::now_v7(), rule.control()?);
    let (region, date) =
        (if rule.is_global() { "global" } else { REGION }, jiff::Timestamp::now().strftime("%Y-%m-%d"));
    let mut made = 0;
    let mut keys = Vec::new();
    for (number, batch) in (1..).zip(batches) {
        let count: usize = batch.iter().map(|(_, count)| count).sum();
        let header = json!({"schema": 1, "rule": rule.id(), "run": run, "batch": number, "findings": count});
        let mut lines = format!("{header}\n");
        for (account, count) in batch.iter().map(|(account, count)| (self::account(*account), *count)) {
            for _ in 0..count {
                let resource = world.violate(rule, &account, made);
                let finding = json!({"control": control, "account": account, "region": region, "resource": resource});
                lines.push_str(&format!("{finding}\n"));
                made += 1;
            }
        }
        let key = format!("findings/{}/{date}/{run}-{number}.ndjson.gz", rule.id());
        world.record(key.clone(), gzip(&lines).map_err(Error::Batch)?);
        keys.push(key);
    }
    Ok(keys)
}

fn gzip(text: &str) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;
    use crate::aws::tests::stored;

    #[test]
    fn batches_have_whole_accounts_where_these_fit() {
        let batches = |findings, accounts| Spread { findings, accounts }.batches();
        assert_eq!(batches(100, 50), [(0..50).map(|n| (n, 2)).collect::<Batch>()]);
        assert_eq!(batches(1_000, 1), vec![vec![(0, 200)]; 5]);
        assert_eq!(batches(450, 1), [vec![(0, 200)], vec![(0, 200)], vec![(0, 50)]]);
        assert_eq!(batches(500, 2), [vec![(0, 200)], vec![(0, 50)], vec![(1, 200)], vec![(1, 50)]]);
        assert_eq!(batches(3, 2), [vec![(0, 2), (1, 1)]]);
        for (findings, accounts) in [(1_000, 50), (10_000, 500), (10_000, 50), (777, 13)] {
            let batches = batches(findings, accounts);
            let sizes = batches.iter().map(|batch| batch.iter().map(|(_, count)| count).sum::<usize>());
            assert!(sizes.clone().all(|size| size <= BATCH) && sizes.sum::<usize>() == findings);
        }
        assert_eq!(batches(1_000, 50).len(), 5);
    }

    #[test]
    fn the_product_reads_every_rules_batches() {
        for rule in Rule::value_variants() {
            let mut world = World::default();
            let batches = Spread { findings: 250, accounts: 3 }.batches();
            let keys = violate(&mut world, *rule, &batches).unwrap();
            let mut resources = std::collections::BTreeSet::new();
            for (key, made) in keys.iter().zip(&batches) {
                let id = remediation::BatchId::from_findings_key(key, rule.id());
                let batch = remediation::Batch::from_stored(&stored(&mut world, key), rule.id()).unwrap();
                assert_eq!((Some(batch.id), batch.bad_lines), (id, vec![]));
                assert_eq!(batch.findings.len(), made.iter().map(|(_, count)| count).sum::<usize>());
                resources.extend(batch.findings.into_iter().map(|finding| finding.resource));
            }
            assert_eq!(resources.len(), 250);
        }
    }
}
