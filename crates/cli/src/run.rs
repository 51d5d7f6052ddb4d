//! `plan` and `apply`: findings in, reports out, over the same engine as the Lambdas.

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::Arc;

use aws_config::SdkConfig;
use remediation::{Batch, Ledger, Mode, Outcome, PolicyError, Records, Report, RunId, Sessions};

use crate::args::RunArgs;
use crate::aws;
use crate::error::Error;
use crate::output::{Exit, Format, Results};
use crate::progress::Bar;
use crate::rules::{self, EngineParts, LoadedRule, PolicyInForce, Remediate};
use crate::source::{self, Gathered};

/// Whose ledger it is, beside those of the rules' Lambdas.
const LEDGER: &str = "command-line";

/// What a run needs beside the findings.
struct Runner<'a> {
    config: SdkConfig,
    records: Records,
    policy: PolicyInForce,
    /// One for all rules: the limits of a run are this command's.
    ledger: Ledger,
    rules: &'a [LoadedRule],
    args: &'a RunArgs,
    bar: &'a Bar,
}

/// Says what would change.
pub(crate) async fn plan(args: &RunArgs, bar: &Bar, out: &mut impl Write) -> Result<Exit, Error> {
    let rules = rules::select(&args.rules)?;
    let (runner, gathered) = Runner::start(args, &rules, bar).await?;
    let results = runner.run(gathered, Mode::Plan).await;
    results.print(Format::of(args.json, Mode::Plan), &rules, out)?;
    Ok(results.exit())
}

/// Writes the changes; without `yes`, after a question that shows them.
pub(crate) async fn apply(args: &RunArgs, yes: bool, bar: &Bar, out: &mut impl Write) -> Result<Exit, Error> {
    if !yes && (args.json || !io::stdin().is_terminal() || !io::stderr().is_terminal()) {
        return Err(Error::Unasked);
    }
    let rules = rules::select(&args.rules)?;
    let (runner, mut gathered) = Runner::start(args, &rules, bar).await?;
    let mut settled = Exit::NothingLeft;
    if !yes {
        let planned = runner.run(gathered, Mode::Plan).await;
        planned.print(Format::Table, &rules, out)?;
        let count = planned.count(Outcome::Planned);
        if count == 0 || !confirmed(&format!("Fix {count} resource(s) as shown?"))? {
            return Ok(planned.exit());
        }
        settled = planned.exit_of(|outcome| outcome != Outcome::Planned);
        // What was not shown as a change is not changed, whatever has happened to it since.
        gathered = Gathered { batches: planned.planned_batches(), ..Gathered::default() };
    }
    let results = runner.run(gathered, Mode::Apply).await;
    results.print(Format::of(args.json, Mode::Apply), &rules, out)?;
    Ok(settled.max(results.exit()))
}

/// What a person answers to a question.
pub(crate) fn confirmed(question: &str) -> Result<bool, Error> {
    let mut answer = String::new();
    write!(io::stderr(), "{question} [y/N] ")?;
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

impl<'a> Runner<'a> {
    async fn start(args: &'a RunArgs, rules: &'a [LoadedRule], bar: &'a Bar) -> Result<(Self, Gathered), Error> {
        let config = aws::config(&args.access, args.region.as_ref()).await?;
        let region = aws::region(&config)?;
        let gathered = source::gather(args, rules, &region, bar).await;
        bar.clear();
        let records = aws::records(&args.records, &config);
        let policy = aws::policy(&args.policy, &args.records, &config).await?;
        let ledger = Ledger::new(records.clone(), LEDGER, RunId::start());
        Ok((Self { config, records, policy, ledger, rules, args, bar }, gathered?))
    }

    async fn run(&self, gathered: Gathered, mode: Mode) -> Results {
        let Gathered { batches, skipped, problems } = gathered;
        let mut results = Results { reports: Vec::new(), skipped, problems };
        let total = batches.len();
        // Batches of one run share an engine, and with it the assumed roles.
        let mut last: Option<(String, RunId, Box<dyn Remediate>)> = None;
        for (number, batch) in (1..).zip(batches) {
            let Some(rule) = self.rules.iter().find(|rule| rule.manifest.id == batch.id.rule) else { continue };
            let (id, run) = (batch.id.rule.clone(), batch.id.run);
            self.bar.on(format!("{id}: batch {number} of {total},"));
            let engine = match last.take() {
                Some((of, when, engine)) if of == id && when == run => engine,
                _ => match self.engine(rule, run) {
                    Ok(engine) => engine,
                    Err(error) => {
                        results.store(Report::held(batch, &error.to_string()), &self.records).await;
                        results.problems.push(format!("{id}: {error}"));
                        continue;
                    }
                },
            };
            self.remediate(engine.as_ref(), batch, mode, &mut results).await;
            last = Some((id, run, engine));
        }
        self.bar.clear();
        results
    }

    async fn remediate(&self, engine: &dyn Remediate, batch: Batch, mode: Mode, results: &mut Results) {
        results.store(engine.run(batch, mode).await, &self.records).await;
    }

    fn engine(&self, rule: &LoadedRule, run: RunId) -> Result<Box<dyn Remediate>, PolicyError> {
        let role = aws::target_role(&self.args.access, &rule.manifest.id);
        rule.engine(EngineParts {
            manifest: rule.manifest.clone(),
            sessions: Sessions::new(self.config.clone(), role, &rule.manifest, run),
            records: self.records.clone(),
            policy: self.policy.clone(),
            ledger: Some(self.ledger.clone()),
            progress: Arc::new(self.bar.clone()),
        })
    }
}
