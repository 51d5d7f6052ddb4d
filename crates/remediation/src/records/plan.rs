//! Plans: what would change, stored before the first write.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::schema::Record;
use super::{BatchId, digest, hexadecimal};
use crate::domain::{Finding, Mode, Resource, Sighting};

/// The version of the format of plans that this build writes and reads.
pub const PLAN_SCHEMA: u32 = 2;

/// One change of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedChange<C> {
    /// The change in one line, for people.
    pub summary: String,
    /// The change as data; undo starts from it.
    pub change: C,
}

/// The changes of one resource, for all the controls by which it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "C: DeserializeOwned"), deny_unknown_fields)]
pub struct PlannedResource<C> {
    /// The resource.
    pub resource: Resource,
    /// The findings that lead to it.
    pub findings: Vec<Finding>,
    /// What would make it comply.
    pub changes: Vec<PlannedChange<C>>,
    /// Why the changes wait for a person's approval; empty where they do not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaits: Vec<String>,
    /// What violates and is left as it is because the rule's settings say so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<String>,
    /// What the guard saw: the changes would break it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sightings: Vec<Sighting>,
    /// What a person should know before the changes are written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl<C: Serialize> PlannedResource<C> {
    /// SHA-256, in hexadecimal, of all that is executed and all that is shown. What moves by itself is in no digest.
    ///
    /// # Errors
    ///
    /// A change that cannot be written as JSON.
    pub fn digest(&self) -> serde_json::Result<String> {
        let Self { resource, findings, changes, awaits, held, sightings, notes } = self;
        let sights: BTreeSet<_> = sightings.iter().map(|sighting| &sighting.what).collect();
        let named: BTreeSet<_> = findings.iter().map(|finding| (&finding.control, &finding.resource)).collect();
        let covered = (resource, named, changes, awaits, held, sights, notes);
        digest(&covered)
    }

    /// SHA-256, in hexadecimal, of the changes alone, and of whose they are: the same while a fix is to do the same,
    /// whatever the guard sees, the policy says, or they are called.
    ///
    /// # Errors
    ///
    /// A change that cannot be written as JSON.
    pub fn digest_of_changes(&self) -> serde_json::Result<String> {
        let changes: Vec<_> = self.changes().collect();
        digest(&(&self.resource.arn, changes))
    }

    /// The changes without their words.
    pub fn changes(&self) -> impl DoubleEndedIterator<Item = &C> {
        self.changes.iter().map(|planned| &planned.change)
    }
}

/// The changes for a batch, computed without writing anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "C: DeserializeOwned"))]
pub struct Plan<C> {
    /// The version of the format.
    schema: u32,
    /// The batch that it is for.
    #[serde(flatten)]
    pub id: BatchId,
    /// The most that the rule was allowed to do with any of the resources.
    pub mode: Mode,
    /// When it was made.
    pub created: Timestamp,
    /// The resources that need changes.
    pub resources: Vec<PlannedResource<C>>,
}

impl<C: DeserializeOwned> Record for Plan<C> {
    const KIND: &'static str = "plan";
    const SCHEMA: u32 = PLAN_SCHEMA;
}

impl<C: Serialize> Plan<C> {
    /// A plan made now.
    pub fn new(id: BatchId, mode: Mode, resources: Vec<PlannedResource<C>>) -> Self {
        Self { schema: PLAN_SCHEMA, id, mode, created: ambient::now(), resources }
    }

    /// The digest of the plan as it is: of its rule and its resources. It is computed, and stored beside the plan only.
    ///
    /// # Errors
    ///
    /// A change that cannot be written as JSON.
    pub fn digest(&self) -> serde_json::Result<String> {
        let mut sum = Sha256::new();
        sum.update(&self.id.rule);
        for resource in &self.resources {
            sum.update(resource.digest()?);
        }
        Ok(hexadecimal(&sum.finalize()))
    }
}

/// Where a plan is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredPlan {
    /// Its key.
    pub key: String,
    /// Its digest.
    pub digest: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RunId;

    fn planned(name: &str, change: u8) -> PlannedResource<u8> {
        let arn = format!("arn:aws:test:us-east-1:222222222222:house/{name}");
        PlannedResource {
            resource: Resource::of_arn("test:GetDoors", arn, name).unwrap(),
            findings: vec![Finding::of("222222222222", "us-east-1", name)],
            changes: vec![PlannedChange { summary: "s".into(), change }],
            awaits: Vec::new(),
            held: Vec::new(),
            sightings: vec![Sighting::new("somebody").with("since 10:00")],
            notes: vec!["a note".into()],
        }
    }

    fn digest(mode: Mode, resources: Vec<PlannedResource<u8>>) -> String {
        let id = BatchId { rule: "open-door".into(), run: RunId::start(), batch: 1 };
        Plan::new(id, mode, resources).digest().unwrap()
    }

    #[test]
    fn plans_that_do_and_show_the_same_have_the_same_digest_and_others_another() {
        let first = digest(Mode::Plan, vec![planned("a", 1), planned("b", 2)]);
        assert_eq!(first, digest(Mode::Apply, vec![planned("a", 1), planned("b", 2)]));
        assert!(first.len() == 64 && first.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')), "{first}");
        for other in
            [vec![planned("a", 1)], vec![planned("a", 1), planned("b", 3)], vec![planned("a", 1), planned("c", 2)]]
        {
            assert_ne!(first, digest(Mode::Plan, other));
        }
    }

    #[test]
    fn all_that_is_executed_or_shown_is_in_the_digest_and_what_moves_is_not() {
        type Edit = fn(&mut PlannedResource<u8>);
        let edits: [(Edit, bool); 9] = [
            (|of| of.changes[0].change = 9, true),
            (|of| of.changes[0].summary = "harmless".into(), true),
            (|of| of.resource.arn.push('x'), true),
            (|of| of.findings[0].resource = "other".into(), true),
            (|of| of.notes.clear(), true),
            (|of| of.held.push("h".into()), true),
            (|of| of.sightings.clear(), true),
            (|of| of.sightings[0].what.push('x'), true),
            (|of| of.sightings[0].now = Some("since 11:00".into()), false),
        ];
        for (number, (edit, changes)) in edits.into_iter().enumerate() {
            let mut edited = planned("a", 1);
            edit(&mut edited);
            assert_eq!(edited.digest().unwrap() != planned("a", 1).digest().unwrap(), changes, "edit {number}");
            let (edited, before) = (edited.digest_of_changes().unwrap(), planned("a", 1).digest_of_changes().unwrap());
            let of_changes = number == 0 || number == 2;
            assert_eq!(edited != before, of_changes, "edit {number}");
        }
    }
}
