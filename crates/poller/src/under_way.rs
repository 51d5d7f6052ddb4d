//! What earlier polls have handed on and nobody has reported on yet: it is not handed on again.
//!
//! A batch is under way from the moment when it is stored until its report is: its event waits in Lambda's queue, or a
//! Lambda is at work on it. Where polls come faster than fixes are made, each would otherwise put the same findings behind
//! those that wait already. Two lists say which batches are under way, and only these are read.
//!
//! A Lambda that died, or an event that was dropped, leaves no report. So a batch is under way no longer than its event can
//! wait and a Lambda can work after that; then what is still listed is handed on again. A batch that cannot be read holds
//! nothing back: to hand a finding on twice is only more work, because each resource has one writer at a time.

use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use remediation::records::MOST_OF_BATCH;
use remediation::{Batch, BatchId, Finding, Folder, RecordError, Records};

/// How long a Lambda lives at most, a poller's or a rule's.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html>
const LAMBDA: Duration = Duration::from_secs(900);
/// The most batches, and the most reports, that are listed: what twenty polls of a thousand batches store. Where there are
/// more, nobody can say what is under way, and everything is handed on.
const MOST: usize = 20_000;
/// How many batches are read at once.
const AT_ONCE: usize = 8;

/// The resources, as findings name them, that are under way: eight bytes each.
#[derive(Debug, Default)]
pub(crate) struct UnderWay {
    resources: HashSet<u64>,
    hasher: RandomState,
}

impl UnderWay {
    /// What is under way of `rule`, where an event waits for no longer than `event_age`.
    ///
    /// # Errors
    ///
    /// The bucket cannot be listed, or a batch not be read for a reason that passes.
    pub(crate) async fn find(records: &Records, rule: &str, event_age: Duration) -> Result<Self, RecordError> {
        let now = ambient::now();
        let since = before(now, event_age.saturating_add(LAMBDA));
        let listed = async |folder: Folder| {
            // A poll stores its last batch so long after it began.
            let after = BatchId::keys_since(folder, rule, before(since, LAMBDA));
            records.list_after(&folder.of(rule), &after, MOST).await
        };
        let (batches, reports) = futures::try_join!(listed(Folder::Findings), listed(Folder::Reports))?;
        if batches.len() >= MOST || reports.len() >= MOST {
            tracing::warn!("more than {MOST} batches or reports are listed; findings under way are handed on again");
            return Ok(Self::default());
        }
        let reported: BTreeSet<_> = reports
            .iter()
            .filter_map(|report| BatchId::from_report_key(&report.key, rule))
            .map(|id| id.findings_key())
            .collect();
        let waiting = batches.into_iter().filter(|batch| batch.stored >= since && !reported.contains(&batch.key));
        let waiting: Vec<_> = waiting.map(|batch| batch.key).collect();
        let read = |key: String| async move {
            match records.get_at_most(&key, MOST_OF_BATCH).await {
                Ok(bytes) => Ok(Batch::from_stored(&bytes, rule).inspect_err(|error| warn(&key, error)).ok()),
                Err(error) if error.passes() => Err(error),
                Err(error) => {
                    warn(&key, &error);
                    Ok(None)
                }
            }
        };
        let mut under_way = Self::default();
        let mut batches = futures::stream::iter(waiting).map(read).buffer_unordered(AT_ONCE);
        while let Some(batch) = batches.try_next().await? {
            for finding in batch.into_iter().flat_map(|batch| batch.findings) {
                under_way.resources.insert(under_way.digest(&finding));
            }
        }
        Ok(under_way)
    }

    /// Whether the finding's resource is under way, for whatever control.
    pub(crate) fn has(&self, finding: &Finding) -> bool {
        !self.resources.is_empty() && self.resources.contains(&self.digest(finding))
    }

    fn digest(&self, Finding { account, region, resource, .. }: &Finding) -> u64 {
        self.hasher.hash_one((account.as_ref(), region.as_ref(), resource))
    }
}

fn before(at: Timestamp, time: Duration) -> Timestamp {
    let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    at.checked_sub(time).unwrap_or(Timestamp::MIN)
}

fn warn(key: &str, error: &dyn std::error::Error) {
    tracing::warn!(key, %error, "a batch without a report cannot be read; its findings may be handed on again");
}

#[cfg(test)]
mod tests;
