//! What `plan` and `apply` share: which findings, and the run of their rules over the same engine as the Lambdas.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use remediation::{AccountId, Ledger, Mode, Report, RunId};

use crate::commands::arguments::{AccessArgs, OutputArgs, PolicyArgs};
use crate::commands::results::Results;
use crate::error::Error;
use crate::print::progress::Bar;
use crate::session::connection::Connection;
use crate::session::findings::{self, Gathered, Query, Source};
use crate::session::records::RecordsPlace;
use crate::session::rules::{LoadedRule, Remediate};
use crate::session::tenant::Tenant;
use crate::session::workplace::Workplace;

/// The ledger of this command, beside those of the rules' Lambdas.
const LEDGER: &str = "command-line";

/// Which findings to work on, and how.
///
/// Only findings of the region are worked on, and those of global resources; the others are counted and skipped.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Only this rule, by its ID; can be repeated. Default: every rule.
    #[arg(long = "rule", value_name = "ID")]
    pub(crate) rules: Vec<String>,
    /// Only this account, by its twelve digits; can be repeated. Default: every account that has findings.
    #[arg(long = "account", value_name = "ID")]
    pub(crate) accounts: Vec<AccountId>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
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

/// Where findings come from.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct SourceArgs {
    /// Read findings from a file: a batch like those in the bucket's findings/; - is standard input.
    #[arg(long, value_name = "FILE")]
    findings: Option<PathBuf>,
    /// Read findings from this Netskope tenant, by its domain name. NETSKOPE_TOKEN holds its REST API v1 token.
    #[arg(long, value_name = "FQDN")]
    netskope_tenant: Option<String>,
    /// Read findings from the Netskope API at another address, such as a proxy.
    #[arg(long, value_name = "URL", hide_short_help = true)]
    netskope_endpoint: Option<String>,
}

impl SourceArgs {
    /// What these arguments mean. clap takes exactly one of them.
    fn source(&self) -> Source {
        let Self { findings, netskope_tenant, netskope_endpoint } = self;
        match (findings, netskope_tenant) {
            (Some(file), _) => Source::File(file.clone()),
            (None, Some(domain)) => Source::Netskope(Tenant::Domain(domain.clone())),
            (None, None) => Source::Netskope(Tenant::Address(netskope_endpoint.clone().unwrap_or_default())),
        }
    }
}

/// Runs rules over batches.
pub(crate) struct Runner<'a> {
    workplace: Workplace,
    /// One for all rules: the limits of a run are those of the whole command.
    ledger: Ledger,
    rules: &'a [LoadedRule],
    bar: &'a Bar,
}

/// A runner, and the findings that it has to work on.
pub(crate) struct Started<'a> {
    pub(crate) runner: Runner<'a>,
    pub(crate) gathered: Gathered,
}

/// The engine of the last batch. Batches of one run share it, and with it the assumed roles.
struct Running {
    rule: String,
    run: RunId,
    engine: Box<dyn Remediate>,
}

impl<'a> Runner<'a> {
    /// Connects, and reads the findings.
    pub(crate) async fn start(args: &RunArgs, rules: &'a [LoadedRule], bar: &'a Bar) -> Result<Started<'a>, Error> {
        let connection = Connection::open(args.access.access(), args.records.clone()).await?;
        let policy = connection.policy(args.policy.policy.as_deref()).await?;
        let query = Query {
            source: args.source.source(),
            rules,
            region: &connection.region,
            accounts: &args.accounts,
            place: &connection.place,
        };
        let gathered = findings::gather(&query, |what| bar.on(what)).await;
        bar.clear();
        let ledger = Ledger::new(connection.records.clone(), LEDGER, RunId::start());
        let workplace = Workplace { connection, policy, progress: Arc::new(bar.clone()) };
        Ok(Started { runner: Self { workplace, ledger, rules, bar }, gathered: gathered? })
    }

    /// Runs every batch; each has a report.
    pub(crate) async fn run(&self, gathered: Gathered, mode: Mode) -> Results {
        let Gathered { batches, skipped, problems } = gathered;
        let mut results = Results { skipped, problems, ..Results::of(mode) };
        let (records, total) = (&self.workplace.connection.records, batches.len());
        let mut last: Option<Running> = None;
        for (number, batch) in (1..).zip(batches) {
            let Some(rule) = self.rules.iter().find(|rule| rule.manifest.id == batch.id.rule) else { continue };
            let (id, run) = (batch.id.rule.clone(), batch.id.run);
            self.bar.on(&format!("{id}: batch {number} of {total},"));
            let running = match last.take() {
                Some(running) if running.rule == id && running.run == run => running,
                _ => match self.workplace.engine(rule, run, Some(self.ledger.clone())) {
                    Ok(engine) => Running { rule: id, run, engine },
                    Err(error) => {
                        results.store(Report::held(batch, &error.to_string()), records).await;
                        results.problems.push(format!("{id}: {error}"));
                        continue;
                    }
                },
            };
            results.store(running.engine.run(batch, mode).await, records).await;
            last = Some(running);
        }
        self.bar.clear();
        results
    }
}
