//! Which resource was fixed when: how the engine sees that somebody, or something, takes its fixes back.
//!
//! Each fix is an empty record whose name says everything, so that one listing tells a resource's history.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::policy::Fight;
use crate::{BatchId, Finding, RecordError, Records, hexadecimal};

/// The last part of the key of the record that a resource is fought over.
const FOUGHT_OVER: &str = "fought-over.json";

/// A resource that was fixed again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FoughtOver {
    since: Timestamp,
    finding: Finding,
    reports: Vec<String>,
}

/// The history of one finding's resource.
#[derive(Debug)]
pub(crate) struct History<'a> {
    records: &'a Records,
    rule: &'a str,
    finding: &'a Finding,
}

impl<'a> History<'a> {
    pub(crate) fn new(records: &'a Records, rule: &'a str, finding: &'a Finding) -> Self {
        Self { records, rule, finding }
    }

    /// Whether it is fought over: now, or since earlier.
    pub(crate) async fn fought_over(&self, fight: Fight, now: Timestamp) -> Result<Option<FoughtOver>, RecordError> {
        let folder = self.folder();
        let keys = self.records.list(&folder).await?;
        let names = || keys.iter().filter_map(|key| key.strip_prefix(&folder));
        if names().any(|name| name == FOUGHT_OVER) {
            let known = self.records.get(&format!("{folder}{FOUGHT_OVER}")).await?;
            return Ok(Some(serde_json::from_slice(&known)?));
        }
        let start = now - SignedDuration::from_hours(24 * i64::from(fight.window_days));
        let fixes = names().filter_map(|name| BatchId::from_name(self.rule, name.strip_suffix(".json")?));
        let mut recent: Vec<_> = fixes.filter(|fix| fix.run.started() >= start).collect();
        if recent.len() < fight.fixes as usize {
            return Ok(None);
        }
        recent.sort_by_key(|fix| fix.run.started());
        let reports = recent.iter().map(BatchId::report_key).collect();
        let fought_over = FoughtOver { since: now, finding: self.finding.clone(), reports };
        // From then on it needs an approval, also when the window has passed.
        self.records.create(&format!("{folder}{FOUGHT_OVER}"), serde_json::to_vec_pretty(&fought_over)?).await?;
        Ok(Some(fought_over))
    }

    /// Keeps that the batch has fixed it.
    pub(crate) async fn fixed_by(&self, id: &BatchId) -> Result<(), RecordError> {
        let key = format!("{}{}-{}.json", self.folder(), id.run, id.batch);
        self.records.create(&key, b"{}".to_vec()).await.map(drop)
    }

    /// A name can hold what a key cannot, so its digest stands for it.
    fn folder(&self) -> String {
        let Finding { control, account, region, resource, .. } = self.finding;
        let digest = hexadecimal(&Sha256::digest(format!("{control}\n{resource}")));
        format!("fixes/{}/{account}/{region}/{digest}/", self.rule)
    }
}

impl fmt::Display for FoughtOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, reports) = (self.reports.len(), self.reports.join(", "));
        write!(f, "fought over: it was fixed {count} times and violates again; the reports: {reports}")
    }
}
