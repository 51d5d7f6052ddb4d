//! Records for tests: plans of buckets, and the cards on which they wait.

use jiff::{SignedDuration, Timestamp};
use remediation::records::{Waiting, WaitsFor, card_key};
use remediation::{
    BatchId, Card, Finding, Mode, Plan, PlannedChange, PlannedResource, Records, Region, Resource, RunId,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::session::plans::{Part, Shown};
use crate::session::rules::{self, LoadedRule};

pub(crate) const RULE: &str = "s3-public-bucket";
pub(crate) const CONTROL: &str = "Ensure S3 Bucket is not publicly accessible.";
pub(crate) const ACCOUNT: &str = "222222222222";

/// A folder of records.
pub(crate) struct Desk {
    pub(crate) records: Records,
    pub(crate) rules: Vec<LoadedRule>,
    _folder: TempDir,
}

/// A plan that is stored.
pub(crate) struct Stored {
    pub(crate) key: String,
    pub(crate) id: BatchId,
    pub(crate) shown: Shown,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { records: Records::Folder(folder.path().into()), rules: rules::all().unwrap(), _folder: folder }
    }

    /// Stores a plan for these buckets, each of which awaits an approval, or not.
    pub(crate) async fn plan(&self, buckets: &[(&str, bool)]) -> Stored {
        let id = BatchId { rule: RULE.into(), run: RunId::start(), batch: 1 };
        let planned = buckets.iter().map(|(name, awaits)| planned(&bucket(name), *awaits)).collect();
        let plan = Plan::new(id.clone(), Mode::Approve, planned);
        let key = self.records.put_new(&id.plan_key(), serde_json::to_vec(&plan).unwrap()).await.unwrap();
        let shown = rules::by_id(&self.rules, RULE).unwrap().show(&self.records, &key).await.unwrap();
        Stored { key, id, shown }
    }

    /// Stores the card of a bucket of the plan on which it waits, after an edit.
    pub(crate) async fn waits(&self, plan: &Stored, name: &str, why: WaitsFor, edit: impl FnOnce(&mut Card)) {
        let (bucket, Part { digest, changes }) = (bucket(name), plan.part(name));
        let mut card = Card::new(RULE, &bucket);
        card.waiting = Some(Waiting {
            plan: plan.key.clone(),
            digest,
            changes: Some(changes),
            since: hours_ago(1),
            why: [why].into(),
            until: None,
            report: Some(plan.id.report_key()),
        });
        edit(&mut card);
        self.records.put_new(&card_key(RULE, &bucket), card.to_json().unwrap()).await.unwrap();
    }

    pub(crate) async fn card(&self, name: &str) -> Card {
        let bucket = bucket(name);
        let bytes = self.records.get(&card_key(RULE, &bucket)).await.unwrap();
        Card::from_json(&bytes, RULE, &bucket).unwrap()
    }
}

impl Stored {
    pub(crate) fn part(&self, name: &str) -> Part {
        let place = self.shown.resources.iter().position(|planned| planned.resource.id == name).unwrap();
        self.shown.parts[place].clone()
    }
}

pub(crate) fn bucket(name: &str) -> Resource {
    let (owner, region) = (ACCOUNT.parse().unwrap(), Region::code("eu-west-1"));
    let names = [format!("the {name}")].into();
    Resource { arn: format!("arn:aws:s3:::{name}"), owner, region, id: name.into(), names }
}

pub(crate) fn hours_ago(hours: i64) -> Timestamp {
    ambient::now() - SignedDuration::from_hours(hours)
}

fn planned(bucket: &Resource, awaits: bool) -> PlannedResource<Value> {
    let finding = Finding {
        control: CONTROL.into(),
        account: bucket.owner.clone(),
        region: bucket.region.clone(),
        resource: format!("listed-{}", bucket.id),
        first_seen: Some("2025-09-01T10:00:00Z".parse().unwrap()),
        last_scanned: None,
    };
    let after = json!({"block_public_acls": false, "block_public_policy": false, "ignore_public_acls": true,
        "restrict_public_buckets": true});
    PlannedResource {
        resource: bucket.clone(),
        findings: vec![finding],
        changes: vec![PlannedChange { summary: "close it".into(), change: json!({"before": null, "after": after}) }],
        awaits: if awaits { vec!["the mode is approve".into()] } else { Vec::new() },
        held: Vec::new(),
        sightings: Vec::new(),
        notes: Vec::new(),
    }
}
