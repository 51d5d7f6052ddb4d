//! `plan` and `apply`: findings in, reports out, over the same engine as the Lambdas.

use std::io::Write;

use remediation::{Ledger, Mode, Outcome, Report, RunId};

use crate::args::RunArgs;
use crate::aws;
use crate::error::Error;
use crate::output::{Exit, Format, Results};
use crate::progress::Bar;
use crate::question::{can_be_asked, confirmed};
use crate::rules::{self, LoadedRule, Remediate};
use crate::source::{self, Gathered};
use crate::workplace::Workplace;

/// Whose ledger it is, beside those of the rules' Lambdas.
const LEDGER: &str = "command-line";

/// What a run needs beside the findings.
struct Runner<'a> {
    workplace: Workplace<'a>,
    /// One for all rules: the limits of a run are this command's.
    ledger: Ledger,
    rules: &'a [LoadedRule],
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
    if !yes && !can_be_asked(args.json) {
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

impl<'a> Runner<'a> {
    async fn start(args: &'a RunArgs, rules: &'a [LoadedRule], bar: &'a Bar) -> Result<(Self, Gathered), Error> {
        let config = aws::config(&args.access, args.region.as_ref()).await?;
        let region = aws::region(&config)?;
        let gathered = source::gather(args, rules, &region, bar).await;
        bar.clear();
        let records = aws::records(&args.records, &config);
        let policy = aws::policy(&args.policy, &args.records, &config).await?;
        let ledger = Ledger::new(records.clone(), LEDGER, RunId::start());
        let workplace = Workplace { config, access: &args.access, records, policy, bar };
        Ok((Self { workplace, ledger, rules }, gathered?))
    }

    async fn run(&self, gathered: Gathered, mode: Mode) -> Results {
        let Gathered { batches, skipped, problems } = gathered;
        let mut results = Results { reports: Vec::new(), skipped, problems };
        let (records, total) = (&self.workplace.records, batches.len());
        // Batches of one run share an engine, and with it the assumed roles.
        let mut last: Option<(String, RunId, Box<dyn Remediate>)> = None;
        for (number, batch) in (1..).zip(batches) {
            let Some(rule) = self.rules.iter().find(|rule| rule.manifest.id == batch.id.rule) else { continue };
            let (id, run) = (batch.id.rule.clone(), batch.id.run);
            self.workplace.bar.on(format!("{id}: batch {number} of {total},"));
            let engine = match last.take() {
                Some((of, when, engine)) if of == id && when == run => engine,
                _ => match self.workplace.engine(rule, run, Some(self.ledger.clone())) {
                    Ok(engine) => engine,
                    Err(error) => {
                        results.store(Report::held(batch, &error.to_string()), records).await;
                        results.problems.push(format!("{id}: {error}"));
                        continue;
                    }
                },
            };
            results.store(engine.run(batch, mode).await, records).await;
            last = Some((id, run, engine));
        }
        self.workplace.bar.clear();
        results
    }
}
