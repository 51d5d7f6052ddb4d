//! The rules that this build has. A new rule is one line in [`RULES`].

use std::sync::Arc;

use cloudtrail_unvalidated_logs::CloudTrailUnvalidatedLogs;
use futures::future::BoxFuture;
use iam_stale_access_key::IamStaleAccessKey;
use network_acl_open_ingress::NetworkAclOpenIngress;
use rds_public_snapshot::RdsPublicSnapshot;
use redshift_public_cluster::RedshiftPublicCluster;
use remediation::{
    Batch, BatchId, Bounds, Deadline, Engine, Finding, Manifest, Mode, Plan, Progress, Records, Report, Rule, Sessions,
    Undo,
};
use s3_public_bucket::S3PublicBucket;
use security_group_open_admin_port::SecurityGroupOpenAdminPort;
use vpc_without_flow_logs::VpcWithoutFlowLogs;

use crate::error::Error;

const RULES: &[RuleEntry] = &[
    RuleEntry::of::<CloudTrailUnvalidatedLogs>(),
    RuleEntry::of::<IamStaleAccessKey>(),
    RuleEntry::of::<NetworkAclOpenIngress>(),
    RuleEntry::of::<RdsPublicSnapshot>(),
    RuleEntry::of::<RedshiftPublicCluster>(),
    RuleEntry::of::<S3PublicBucket>(),
    RuleEntry::of::<SecurityGroupOpenAdminPort>(),
    RuleEntry::of::<VpcWithoutFlowLogs>(),
];

/// A rule without its type.
struct RuleEntry {
    manifest: &'static str,
    engine: fn(EngineParts) -> Box<dyn Remediate>,
}

/// What an engine is made of, beside the rule.
pub(crate) struct EngineParts {
    pub(crate) manifest: Manifest,
    pub(crate) sessions: Sessions,
    pub(crate) records: Records,
    pub(crate) progress: Arc<dyn Progress>,
}

/// An engine without its rule's type.
pub(crate) trait Remediate: Send + Sync {
    /// [`Engine::run`], for as long as it takes.
    fn run(&self, batch: Batch, mode: Mode) -> BoxFuture<'_, Report>;

    /// [`Engine::undo`] of the findings of a stored plan that are `wanted`, as JSON.
    fn undo<'a>(&'a self, undo: UndoPlan<'a>) -> BoxFuture<'a, serde_json::Result<Report>>;
}

/// What is to be taken back.
pub(crate) struct UndoPlan<'a> {
    /// The batch of the undo's own run.
    pub(crate) id: BatchId,
    /// The plan's key.
    pub(crate) key: &'a str,
    /// The plan.
    pub(crate) plan: &'a [u8],
    /// Which of its findings are meant.
    pub(crate) wanted: &'a (dyn Fn(&Finding) -> bool + Sync),
    pub(crate) how: Undo,
}

impl<R: Rule> Remediate for Engine<R> {
    fn run(&self, batch: Batch, mode: Mode) -> BoxFuture<'_, Report> {
        Box::pin(self.run(batch, mode, Deadline::never()))
    }

    fn undo<'a>(&'a self, undo: UndoPlan<'a>) -> BoxFuture<'a, serde_json::Result<Report>> {
        let UndoPlan { id, key, plan, wanted, how } = undo;
        Box::pin(async move {
            let mut plan: Plan<R::Change> = serde_json::from_slice(plan)?;
            plan.findings.retain(|planned| wanted(&planned.finding));
            Ok(self.undo(id, key, plan, how, Deadline::never()).await)
        })
    }
}

impl RuleEntry {
    const fn of<R: Rule>() -> Self {
        Self { manifest: R::MANIFEST, engine: engine::<R> }
    }
}

fn engine<R: Rule>(parts: EngineParts) -> Box<dyn Remediate> {
    let EngineParts { manifest, sessions, records, progress } = parts;
    let engine = Engine::<R>::new(manifest, R::Settings::default(), sessions, records, Bounds::default());
    Box::new(engine.with_progress(progress))
}

/// A rule of this build, with its manifest read.
pub(crate) struct LoadedRule {
    pub(crate) manifest: Manifest,
    engine: fn(EngineParts) -> Box<dyn Remediate>,
}

impl LoadedRule {
    /// An engine for one run of the rule.
    pub(crate) fn engine(
        &self,
        sessions: Sessions,
        records: Records,
        progress: Arc<dyn Progress>,
    ) -> Box<dyn Remediate> {
        (self.engine)(EngineParts { manifest: self.manifest.clone(), sessions, records, progress })
    }
}

/// Every rule.
pub(crate) fn all() -> Result<Vec<LoadedRule>, Error> {
    let load =
        |entry: &RuleEntry| Ok(LoadedRule { manifest: Manifest::from_json(entry.manifest)?, engine: entry.engine });
    RULES.iter().map(load).collect()
}

/// The rules of the IDs `asked`; every rule where none is asked for.
pub(crate) fn select(asked: &[String]) -> Result<Vec<LoadedRule>, Error> {
    let mut rules = all()?;
    for rule in asked {
        if !rules.iter().any(|known| known.manifest.id == *rule) {
            return Err(Error::Rule { rule: rule.clone(), known: ids(&rules) });
        }
    }
    rules.retain(|rule| asked.is_empty() || asked.contains(&rule.manifest.id));
    Ok(rules)
}

/// The IDs of `rules`, for people.
pub(crate) fn ids(rules: &[LoadedRule]) -> String {
    rules.iter().map(|rule| rule.manifest.id.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_of_the_workspace_is_in_the_list_once() {
        let folders = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../rules")).unwrap();
        let mut folders: Vec<_> = folders
            .map(|folder| folder.unwrap().path())
            .filter(|folder| folder.join("rule.json").exists())
            .map(|folder| folder.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        folders.sort();
        let mut listed: Vec<_> = all().unwrap().into_iter().map(|rule| rule.manifest.id).collect();
        listed.sort();
        assert_eq!(listed, folders);
    }

    #[test]
    fn an_unknown_rule_is_refused_with_those_that_there_are() {
        let error = select(&["s3-public-buckets".into()]).err().unwrap().to_string();
        assert!(error.contains("`s3-public-buckets`") && error.contains(", iam-stale-access-key, "), "{error}");
    }
}
