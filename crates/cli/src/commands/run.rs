//! What `plan` and `apply` share: which findings, and the run of their rules over the same engine as the Lambdas.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use clap::builder::{BoolValueParser, TypedValueParser};
use clap_complete::ArgValueCompleter;
use netskope::Filters;
use remediation::{
    AccountId, Batch, COMMAND_LINE, Ledger, Mode, Outcome, Place, PolicyOverride, Records, Report, RunId,
};

use crate::commands::arguments::{AccessArgs, OutputArgs, PolicyArgs};
use crate::commands::complete;
use crate::commands::interrupts::Interrupts;
use crate::commands::results::{Diff, Results};
use crate::error::Error;
use crate::print::page::complain;
use crate::print::progress::Bar;
use crate::session::connection::Connection;
use crate::session::findings::{self, Gates, Gathered, Query, Source, Span};
use crate::session::plans::PlanInHand;
use crate::session::policy::{self, Asked};
use crate::session::records::RecordsPlace;
use crate::session::rules::{LoadedRule, Planned, Remediate};
use crate::session::tenant::{self, Tenant};
use crate::session::workplace::Workplace;

/// Which findings to work on, and how.
///
/// Only findings of the region are worked on, and those of global resources; the others are counted and skipped, unless
/// --all-regions is given.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Only this rule, by its ID; can be repeated. Default: every rule.
    #[arg(long = "rule", value_name = "ID", add = ArgValueCompleter::new(complete::rule))]
    pub(crate) rules: Vec<String>,
    /// Only this account, by its twelve digits; can be repeated. Default: every account that has findings.
    #[arg(long = "account", value_name = "ID")]
    pub(crate) accounts: Vec<AccountId>,
    /// Only this resource, by its ARN or as its findings name it; can be repeated.
    #[arg(long = "resource", value_name = "NAME")]
    resources: Vec<String>,
    /// Work on the findings of all regions. AWS is asked in each region that has some.
    #[arg(long = "all-regions", action = clap::ArgAction::SetTrue, value_parser = span())]
    span: Span,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    filters: FilterArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    /// Where to keep plans and reports: s3://bucket, or a folder.
    #[arg(long, value_name = "PLACE", default_value = "./autoremediate-records")]
    pub(crate) records: RecordsPlace,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `--all-regions`.
fn span() -> impl TypedValueParser<Value = Span> {
    BoolValueParser::new().map(|is_given| if is_given { Span::AllRegions } else { Span::OneRegion })
}

/// Where findings come from.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct SourceArgs {
    /// Read findings from a file: a batch like those in the bucket's findings/; - is standard input.
    #[arg(long, value_name = "FILE")]
    findings: Option<PathBuf>,
    /// Read findings from this Netskope tenant, by its domain name. NETSKOPE_TOKEN holds its REST API v1 token. Default: the
    /// tenant that NETSKOPE_TENANT names.
    #[arg(long, value_name = "FQDN")]
    netskope_tenant: Option<String>,
    /// Read findings from the Netskope API at another address, such as a proxy.
    #[arg(long, value_name = "URL", hide_short_help = true)]
    netskope_endpoint: Option<String>,
}

/// Which of Netskope's lists are read.
#[derive(Debug, Args)]
struct FilterArgs {
    /// Only violations of this profile of the tenant, by its exact name; can be repeated.
    #[arg(long = "netskope-profile", value_name = "NAME", conflicts_with = "findings")]
    profiles: Vec<String>,
    /// Only violations of this policy of the tenant, by its exact name; can be repeated.
    #[arg(long = "netskope-policy", value_name = "NAME", conflicts_with = "findings")]
    policies: Vec<String>,
}

impl FilterArgs {
    fn filters(&self) -> Result<Filters, Error> {
        Ok(Filters::new(self.profiles.clone(), self.policies.clone())?)
    }
}

impl SourceArgs {
    /// What these arguments mean. clap takes at most one of them; where there is none, the environment names the tenant.
    fn source(&self, filters: Filters, of_environment: Option<Tenant>) -> Result<Source, Error> {
        let Self { findings, netskope_tenant, netskope_endpoint } = self;
        if let Some(file) = findings {
            return Ok(Source::File(file.clone()));
        }
        let domain = netskope_tenant.clone().map(Tenant::Domain);
        let given = domain.or_else(|| netskope_endpoint.clone().map(Tenant::Address));
        given.or(of_environment).map(|tenant| Source::Netskope(tenant, filters)).ok_or(Error::NoSource)
    }
}

/// Runs rules over batches.
pub(crate) struct Runner<'a> {
    workplace: Workplace,
    /// One for all rules: the limits of a run are those of the whole command.
    ledger: Ledger,
    rules: &'a [LoadedRule],
    bar: &'a Bar,
    /// That the policy is not kept to, once that is recorded.
    policy_override: Option<PolicyOverride>,
    interrupts: &'a Interrupts,
    reached_by: String,
}

/// A runner, and the findings that it has to work on.
pub(crate) struct Started<'a> {
    pub(crate) runner: Runner<'a>,
    pub(crate) gathered: Gathered,
}

/// Plans in hand, and what came of planning.
pub(crate) struct InHand {
    pub(crate) results: Results,
    pub(crate) plans: Vec<Box<dyn PlanInHand>>,
}

/// A batch, and the engine that works on it.
struct Work {
    engine: Arc<dyn Remediate>,
    batch: Batch,
}

impl<'a> Runner<'a> {
    /// Reads what is on this machine; then connects, and reads the policy and the findings. So nobody is asked for a code of
    /// a device, say, before a file that is not there.
    pub(crate) async fn start(
        args: &RunArgs,
        asked: Asked<'_>,
        rules: &'a [LoadedRule],
        bar: &'a Bar,
        interrupts: &'a Interrupts,
    ) -> Result<Started<'a>, Error> {
        let source = args.source.source(args.filters.filters()?, tenant::of_environment())?;
        policy::check_own(asked)?;
        let at_hand = findings::at_hand(source, rules)?;
        let connection = Connection::open(args.access.access(), args.records.clone()).await?;
        let policy = policy::in_force(&connection, asked).await?;
        tell_wider(&policy.wider);
        let gates = Gates { span: args.span, accounts: &args.accounts, resources: &args.resources };
        let query = Query { rules, region: &connection.region, gates, place: &connection.place };
        let gathered = findings::gather(at_hand, &query, |what| bar.waiting(what)).await;
        bar.clear();
        let ledger = Ledger::new(connection.records.clone(), COMMAND_LINE, RunId::start());
        let alone = if matches!(connection.place, RecordsPlace::Folder(_)) { " --alone" } else { "" };
        let reached_by = args.access.again() + alone;
        let (progress, interrupt) = (Arc::new(bar.clone()), interrupts.interrupt());
        let workplace = Workplace { connection, policy, progress, interrupt };
        let runner = Self { workplace, ledger, rules, bar, policy_override: None, interrupts, reached_by };
        Ok(Started { runner, gathered: gathered? })
    }

    /// Takes out the findings on whose resources the policy lets nothing be written.
    pub(crate) fn take_unwritable(&self, gathered: &mut Gathered) -> Gathered {
        let is_ours = |id: &str| self.rules.iter().any(|rule| rule.manifest.id == id);
        gathered.take(|rule, finding| {
            let (account, region) = (&finding.account, &finding.region);
            let place = Place { rule, account, region, is_in: None };
            is_ours(rule) && self.workplace.policy.why_not(&place).is_some()
        })
    }

    /// Stores that the policy is not kept to, where `asked` says so. Only then anything is written.
    pub(crate) async fn record_override(&mut self, asked: Asked<'_>) -> Result<(), Error> {
        if let Some(reason) = asked.emergency {
            let stored = policy::record_override(&self.workplace.connection, RunId::start(), reason).await?;
            self.policy_override = Some(stored);
        }
        Ok(())
    }

    /// Nothing came of anything yet.
    fn results(&self, mode: Mode) -> Results {
        let (policy_override, reached_by) = (self.policy_override.clone(), self.reached_by.clone());
        Results { policy_override, reached_by, ..Results::of(mode) }
    }

    /// Runs every batch; each has a report.
    pub(crate) async fn run(&self, gathered: Gathered, mode: Mode) -> Results {
        self.interrupts.begin_work();
        let mut results = self.results(mode);
        let works = self.works(gathered, &mut results).await;
        let batches = works.len();
        for (number, Work { engine, batch }) in (1..).zip(works) {
            self.bar.on(&format!("{}: batch {number} of {batches},", batch.id.rule));
            results.store(engine.run(batch, mode).await, self.records()).await;
        }
        self.bar.clear();
        results
    }

    /// Plans every batch, and keeps the plans in hand: what is shown of them is what [`Runner::fix`] writes.
    pub(crate) async fn plan(&self, gathered: Gathered) -> InHand {
        self.interrupts.begin_work();
        let mut results = self.results(Mode::Plan);
        let mut plans = Vec::new();
        let works = self.works(gathered, &mut results).await;
        let batches = works.len();
        for (number, Work { engine, batch }) in (1..).zip(works) {
            self.bar.on(&format!("{}: batch {number} of {batches},", batch.id.rule));
            let rule = batch.id.rule.clone();
            match engine.plan(batch).await {
                Ok(Planned { report, plan }) => {
                    results.store(report, self.records()).await;
                    plans.extend(plan);
                }
                Err(error) => results.problems.push(format!("{rule}: {error}")),
            }
        }
        let diff = |plan: &dyn PlanInHand| {
            let shown = plan.shown().clone();
            Diff { what: format!("To be changed by {}:", shown.id.rule), shown }
        };
        results.diffs = plans.iter().map(|plan| diff(plan.as_ref())).collect();
        self.bar.clear();
        InHand { results, plans }
    }

    /// Writes what the plans show.
    pub(crate) async fn fix(&self, plans: Vec<Box<dyn PlanInHand>>) -> Results {
        self.interrupts.begin_work();
        let mut results = self.results(Mode::Apply);
        let all = plans.len();
        for (number, plan) in (1..).zip(plans) {
            self.bar.on(&format!("{}: plan {number} of {all},", plan.shown().id.rule));
            results.store(plan.fix().await, self.records()).await;
        }
        self.bar.clear();
        results
    }

    /// The batches, each with its engine. Batches of one run share it, and with it the assumed roles.
    async fn works(&self, gathered: Gathered, results: &mut Results) -> Vec<Work> {
        let Gathered { batches, skipped, problems, without_findings } = gathered;
        results.skipped = skipped;
        results.without_findings = without_findings;
        results.problems.extend(problems);
        let mut works = Vec::<Work>::new();
        for batch in batches {
            let Some(rule) = self.rules.iter().find(|rule| rule.manifest.id == batch.id.rule) else { continue };
            let last =
                works.last().filter(|work| (&work.batch.id.rule, work.batch.id.run) == (&batch.id.rule, batch.id.run));
            let engine = match last {
                Some(work) => Ok(Arc::clone(&work.engine)),
                None => self.workplace.engine(rule, batch.id.run, Some(self.ledger.clone())).map(Arc::from),
            };
            match engine {
                Ok(engine) => works.push(Work { engine, batch }),
                Err(error) => {
                    results.problems.push(format!("{}: {error}", batch.id.rule));
                    results.store(Report::untouched(batch, Outcome::Held, &error.to_string()), self.records()).await;
                }
            }
        }
        works
    }

    fn records(&self) -> &Records {
        &self.workplace.connection.records
    }
}

/// Says what of the operator's own policy has no effect.
pub(crate) fn tell_wider(wider: &[String]) {
    if !wider.is_empty() {
        let wider = wider.join(", ");
        complain(format!("The bucket's policy is stricter than the file of --policy, and holds: {wider}."));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_the_tenant_where_no_argument_says_where_findings_are() {
        let args = |findings: Option<&str>, tenant: Option<&str>| SourceArgs {
            findings: findings.map(PathBuf::from),
            netskope_tenant: tenant.map(str::to_owned),
            netskope_endpoint: None,
        };
        let named = || Some(Tenant::Domain("named.goskope.com".into()));
        let source = |args: SourceArgs, of_environment| args.source(Filters::default(), of_environment);
        let of = |domain: &str| Source::Netskope(Tenant::Domain(domain.into()), Filters::default());
        assert_eq!(source(args(None, None), named()).unwrap(), of("named.goskope.com"));
        assert_eq!(source(args(None, Some("given.goskope.com")), named()).unwrap(), of("given.goskope.com"));
        assert_eq!(source(args(Some("x"), None), named()).unwrap(), Source::File("x".into()));
        let error = source(args(None, None), None).unwrap_err().to_string();
        assert!(error.contains("--findings") && error.contains("NETSKOPE_TENANT"), "{error}");
    }
}
