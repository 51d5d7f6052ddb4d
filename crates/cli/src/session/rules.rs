//! The rules of this version, each without its type, so that a command can take whichever it is asked for.

use std::fmt;
use std::sync::{Arc, OnceLock};

use engine::{Bounds, Deadline, Done, Engine, Interrupt, Progress};
use futures::future::BoxFuture;
use remediation::{
    Batch, Guard, Ledger, Manifest, Mode, Policy, PolicyError, PolicyRecord, RecordError, Records, Report, Rule,
    Sessions, SettingDefaults,
};
use rules::Visitor;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use crate::error::Error;
use crate::session::plans::{self, PlanInHand, PlanOf, Shown};

/// A rule that is not of this repository, for `autoremediate::run`.
#[derive(Clone, Copy)]
pub struct FurtherRule(RuleEntry);

impl FurtherRule {
    /// The rule `R`.
    #[must_use]
    pub fn of<R: Rule>() -> Self {
        Self(MakeEntry.visit::<R>())
    }
}

impl fmt::Debug for FurtherRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FurtherRule").field(&self.0.manifest).finish()
    }
}

/// The rules that are not of this repository. Which there are is settled when a binary is built.
static FURTHER: OnceLock<Vec<FurtherRule>> = OnceLock::new();

/// Adds rules that are not of this repository, once and before anything else.
pub(crate) fn add(further: &[FurtherRule]) {
    let _ = FURTHER.set(further.to_vec());
}

/// A rule without its type.
#[derive(Clone, Copy)]
struct RuleEntry {
    manifest: &'static str,
    engine: MakeEngine,
    guard: GuardOf,
    settings_schema: SettingsSchema,
    show: Show,
}

type MakeEngine = fn(EngineParts) -> Result<Box<dyn Remediate>, Error>;
type GuardOf = fn(&Policy, &str) -> Result<Guard, PolicyError>;
type SettingsSchema = fn(&mut SchemaGenerator) -> Schema;
type Show = for<'a> fn(&'a Records, &'a str) -> BoxFuture<'a, Result<Shown, RecordError>>;

/// What an engine is made of, apart from the rule.
pub(crate) struct EngineParts {
    pub(crate) manifest: Manifest,
    pub(crate) sessions: Sessions,
    pub(crate) records: Records,
    pub(crate) policy: PolicyInForce,
    pub(crate) ledger: Ledger,
    pub(crate) progress: Arc<dyn Progress>,
    pub(crate) interrupt: Interrupt,
}

/// The policy in force, and where it is read again while something is written.
#[derive(Debug, Clone)]
pub(crate) struct PolicyInForce {
    pub(crate) policy: Policy,
    pub(crate) record: Option<PolicyRecord>,
    /// What of the operator's own is wider, and so has no effect, in words.
    pub(crate) wider: Vec<String>,
}

/// An engine without its rule's type.
pub(crate) trait Remediate: Send + Sync {
    /// [`Engine::run`], for as long as it takes.
    fn run(&self, batch: Batch, mode: Mode) -> BoxFuture<'_, Report>;

    /// [`Engine::run`] in mode `plan`, with the plan in hand.
    fn plan(&self, batch: Batch) -> BoxFuture<'_, serde_json::Result<Planned>>;

    /// Reads a stored plan.
    fn read<'a>(
        &'a self,
        records: &'a Records,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn PlanInHand>, RecordError>>;
}

/// What was planned.
pub(crate) struct Planned {
    pub(crate) report: Report,
    /// None where there is nothing to change.
    pub(crate) plan: Option<Box<dyn PlanInHand>>,
}

impl<R: Rule> Remediate for Arc<Engine<R>> {
    fn run(&self, batch: Batch, mode: Mode) -> BoxFuture<'_, Report> {
        Box::pin(async move { Engine::run(self, batch, mode, Deadline::never()).await.report })
    }

    fn plan(&self, batch: Batch) -> BoxFuture<'_, serde_json::Result<Planned>> {
        Box::pin(async move {
            let Done { report, plan, .. } = Engine::run(self, batch, Mode::Plan, Deadline::never()).await;
            let plan = plan.map(|plan| PlanOf::new(Arc::clone(self), plan)).transpose()?;
            Ok(Planned { report, plan: plan.map(|plan| Box::new(plan) as Box<dyn PlanInHand>) })
        })
    }

    fn read<'a>(
        &'a self,
        records: &'a Records,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn PlanInHand>, RecordError>> {
        Box::pin(async move {
            let plan = PlanOf::read(Arc::clone(self), records, key).await?;
            Ok(Box::new(plan) as Box<dyn PlanInHand>)
        })
    }
}

/// Makes the entry of a rule.
struct MakeEntry;

impl Visitor for MakeEntry {
    type Output = RuleEntry;

    fn visit<R: Rule>(&self) -> RuleEntry {
        RuleEntry {
            manifest: R::MANIFEST,
            engine: engine::<R>,
            guard: |policy, rule| Ok(R::guard(&policy.settings::<R::Settings>(rule)?)),
            settings_schema: R::Settings::json_schema,
            show: |records, key| Box::pin(plans::show::<R>(records, key)),
        }
    }
}

fn engine<R: Rule>(parts: EngineParts) -> Result<Box<dyn Remediate>, Error> {
    let EngineParts { manifest, sessions, records, policy, ledger, progress, interrupt } = parts;
    let PolicyInForce { policy, record, .. } = policy;
    let settings = policy.settings::<R::Settings>(&manifest.id)?;
    let engine = Engine::<R>::new(manifest, settings, sessions, records, Bounds::default())?;
    let engine = engine.under(policy, record).with_progress(progress).with_ledger(ledger).ended_by(interrupt);
    Ok(Box::new(Arc::new(engine)))
}

/// A rule of this version, with its manifest read.
pub(crate) struct LoadedRule {
    pub(crate) manifest: Manifest,
    entry: RuleEntry,
}

impl LoadedRule {
    /// An engine for one run of the rule.
    pub(crate) fn engine(&self, parts: EngineParts) -> Result<Box<dyn Remediate>, Error> {
        (self.entry.engine)(parts)
    }

    /// A stored plan of the rule, as it is shown.
    pub(crate) async fn show(&self, records: &Records, key: &str) -> Result<Shown, RecordError> {
        (self.entry.show)(records, key).await
    }

    /// What the rule's guard does under the policy, where the policy's settings of the rule can be used.
    pub(crate) fn guard(&self, policy: &Policy) -> Result<Guard, PolicyError> {
        (self.entry.guard)(policy, &self.manifest.id)
    }

    /// The JSON Schema of the rule's settings.
    pub(crate) fn settings_schema(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.entry.settings_schema)(generator)
    }
}

/// Every rule, in the order of their IDs.
pub(crate) fn all() -> Result<Vec<LoadedRule>, Error> {
    with(FURTHER.get().map(Vec::as_slice).unwrap_or_default())
}

/// The rules of this repository and `further` ones.
fn with(further: &[FurtherRule]) -> Result<Vec<LoadedRule>, Error> {
    let load = |entry: RuleEntry| Ok(LoadedRule { manifest: Manifest::from_json(entry.manifest)?, entry });
    let entries = rules::visit(&MakeEntry).into_iter().chain(further.iter().map(|rule| rule.0));
    let mut rules = entries.map(load).collect::<Result<Vec<_>, Error>>()?;
    rules.sort_by(|one, other| one.manifest.id.cmp(&other.manifest.id));
    match rules.windows(2).find(|pair| pair[0].manifest.id == pair[1].manifest.id) {
        Some(pair) => Err(Error::TwoRules(pair[0].manifest.id.clone())),
        None => Ok(rules),
    }
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

/// That one of `rules` whose ID is `id`.
pub(crate) fn by_id<'a>(rules: &'a [LoadedRule], id: &str) -> Result<&'a LoadedRule, Error> {
    let rule = rules.iter().find(|rule| rule.manifest.id == id);
    rule.ok_or_else(|| Error::Rule { rule: id.to_owned(), known: ids(rules) })
}

/// What the settings of `rules` are where a policy does not give them: the defaults that their schema publishes.
pub(crate) fn setting_defaults(rules: &[LoadedRule]) -> SettingDefaults {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut of = |rule: &LoadedRule| {
        let schema = rule.settings_schema(&mut generator).to_value();
        let properties = schema["properties"].as_object().into_iter().flatten();
        let default = |(name, property): (&String, &Value)| Some((name.clone(), property.get("default")?.clone()));
        (rule.manifest.id.clone(), properties.filter_map(default).collect())
    };
    rules.iter().map(&mut of).collect()
}

/// The manifests of `rules`.
pub(crate) fn manifests(rules: &[LoadedRule]) -> Vec<&Manifest> {
    rules.iter().map(|rule| &rule.manifest).collect()
}

/// The IDs of `rules`, for people.
pub(crate) fn ids(rules: &[LoadedRule]) -> String {
    rules.iter().map(|rule| rule.manifest.id.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without its default, what a policy that is silent says of a setting could not be compared.
    #[test]
    fn every_setting_of_every_rule_has_the_default_that_the_rule_takes() {
        let rules = all().unwrap();
        let defaults = setting_defaults(&rules);
        let mut generator = SchemaSettings::draft2020_12().into_generator();
        for rule in &rules {
            let (id, given) = (&rule.manifest.id, &defaults[&rule.manifest.id]);
            let schema = rule.settings_schema(&mut generator).to_value();
            let settings = schema["properties"].as_object().cloned().unwrap_or_default();
            assert!(settings.keys().eq(given.keys()), "{id}: {given:?}");
            let policy = serde_json::json!({"rules": {id: {"settings": given}}}).to_string();
            let policy = Policy::from_json(policy.as_bytes()).unwrap();
            assert_eq!(rule.guard(&policy).unwrap(), rule.guard(&Policy::unrestricted()).unwrap(), "{id}");
        }
        assert_eq!(defaults["iam-stale-access-key"]["days"], 90);
        assert_eq!(defaults["network-acl-open-ingress"]["guard_last_allow"], "hold");
    }

    #[test]
    fn a_further_rule_has_an_id_of_its_own() {
        let further = FurtherRule::of::<rules::s3_public_bucket::S3PublicBucket>();
        let error = with(&[further]).err().unwrap().to_string();
        assert!(error.contains("two rules have the ID `s3-public-bucket`"), "{error}");
    }

    #[test]
    fn an_unknown_rule_is_refused_with_those_that_there_are() {
        let error = select(&["s3-public-buckets".into()]).err().unwrap().to_string();
        assert!(error.contains("`s3-public-buckets`") && error.contains(", iam-stale-access-key, "), "{error}");
    }
}
