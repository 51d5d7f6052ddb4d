//! The whole benchmark: which measurements, in which order, and what is told of them.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::Error;
use crate::findings::Spread;
use crate::lambda::Log;
use crate::measure::Bench;
use crate::results::{Machine, Results, SCHEMA, Settings};
use crate::rule::Rule;
use crate::table::{compare, tables};

/// What is measured, and how.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Only this part; may be given several times
    #[arg(long = "part", value_enum)]
    pub parts: Vec<Part>,
    /// Only this rule; may be given several times
    #[arg(long = "rule", value_enum)]
    pub rules: Vec<Rule>,
    /// Violations of a run
    #[arg(long, value_delimiter = ',', default_value = "100,1000", value_parser = at_least_one)]
    pub findings: Vec<usize>,
    /// Accounts that they are in
    #[arg(long, value_delimiter = ',', default_value = "50", value_parser = at_least_one)]
    pub accounts: Vec<usize>,
    /// 100, 1,000 and 10,000 violations in 1, 50 and 500 accounts: more than an hour
    #[arg(long, conflicts_with_all = ["findings", "accounts"])]
    pub all: bool,
    /// Rows of the lists that are polled
    #[arg(long, value_delimiter = ',', default_value = "1000,10000,100000", value_parser = at_least_one)]
    pub rows: Vec<usize>,
    /// Pollers that read a list at the same time, as those of several rules do
    #[arg(long, default_value = "1", value_parser = at_least_one)]
    pub pollers: usize,
    /// Milliseconds that each call takes
    #[arg(long, default_value_t = 40)]
    pub latency: u64,
    /// The most Lambda processes of a rule at a time
    #[arg(long, default_value = "5", value_parser = at_least_one)]
    pub processes: usize,
    /// Let the stand-in throttle as AWS documents it
    #[arg(long)]
    pub throttle: bool,
    /// Let the policy limit the changes, so that runs keep a ledger
    #[arg(long)]
    pub limits: bool,
    /// Starts of each Lambda
    #[arg(long, default_value = "20", value_parser = at_least_one)]
    pub starts: usize,
    /// How often each run is repeated; the table shows the median
    #[arg(long, default_value = "1", value_parser = at_least_one)]
    pub repeat: usize,
    /// The folder of the Lambdas [default: where this program is]
    #[arg(long)]
    pub binaries: Option<PathBuf>,
    /// The folder of their zips as `just package` writes it, of which the sizes are told
    #[arg(long)]
    pub zips: Option<PathBuf>,
    /// Write the results as JSON to this file
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Compare with the results in this file
    #[arg(long)]
    pub compare: Option<PathBuf>,
    /// Show what the Lambdas log
    #[arg(long)]
    pub show_log: bool,
}

/// A part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// How long a Lambda takes to ask for work
    Starts,
    /// How long the rules take for their fixes
    Runs,
    /// How long the poller takes for a list
    Polls,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    let number: usize = text.parse().map_err(|error: std::num::ParseIntError| error.to_string())?;
    if number == 0 { Err("it must be 1 or more".into()) } else { Ok(number) }
}

/// Measures, prints the tables and gives the results.
///
/// # Errors
///
/// Something could not be measured, written or compared.
pub async fn run(options: &Options) -> Result<Results, Error> {
    // First, because nobody should wait for a measurement to be told of it.
    let old = options.compare.as_deref().map(read).transpose()?;
    let own = std::env::current_exe().map_err(|source| Error::File { path: "the program".into(), source })?;
    let log = if options.show_log { Log::Shown } else { Log::Discarded };
    let Options { latency, processes, throttle, limits, pollers, .. } = *options;
    let settings = Settings { latency_ms: latency, processes, throttle, limits, pollers };
    let binaries = options.binaries.clone().unwrap_or_else(|| own.with_file_name(""));
    let (empty, zips) = (own.with_file_name("empty-lambda"), options.zips.clone());
    let bench = Bench { binaries, empty, zips, settings: settings.clone(), log };
    let (at, machine) = (jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), machine());
    let (starts, runs, polls) = (Vec::new(), Vec::new(), Vec::new());
    let mut results = Results { schema: SCHEMA, at, machine, settings, starts, runs, polls };
    let has = |part| options.parts.is_empty() || options.parts.contains(&part);
    let rules = if options.rules.is_empty() { Rule::value_variants().to_vec() } else { options.rules.clone() };
    if has(Part::Starts) {
        for lambda in ["poller"].into_iter().chain(rules.iter().map(|rule| rule.id())) {
            progress(&format!("starting {lambda} {} times", options.starts));
            results.starts.push(bench.starts(lambda, options.starts).await?);
        }
    }
    if has(Part::Runs) {
        for (rule, spread) in rules.iter().flat_map(|rule| spreads(options).into_iter().map(|of| (*rule, of))) {
            progress(&format!("{}: {} findings in {} accounts", rule.id(), spread.findings, spread.accounts));
            results.runs.push(bench.runs(rule, spread, options.repeat).await?);
        }
    }
    if has(Part::Polls) {
        for rows in &options.rows {
            progress(&format!("polling a list of {rows} rows"));
            results.polls.push(bench.poll(*rows).await?);
        }
    }
    print(&tables(&results))?;
    if let Some(old) = old {
        print(&compare(&old, &results))?;
    }
    if let Some(path) = &options.json {
        let written = serde_json::to_string_pretty(&results).map(|text| std::fs::write(path, text + "\n"))?;
        written.map_err(|source| Error::File { path: path.clone(), source })?;
    }
    Ok(results)
}

/// Every number of findings over every number of accounts, where there are no more accounts than findings.
fn spreads(options: &Options) -> Vec<Spread> {
    let all = (vec![100, 1_000, 10_000], vec![1, 50, 500]);
    let chosen = (options.findings.clone(), options.accounts.clone());
    let (findings, accounts) = if options.all { all } else { chosen };
    let spreads = findings.iter().flat_map(|findings| accounts.iter().map(|accounts| (*findings, *accounts)));
    let spreads = spreads.filter(|(findings, accounts)| accounts <= findings);
    spreads.map(|(findings, accounts)| Spread { findings, accounts }).collect()
}

fn machine() -> Machine {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, model)| model.trim().to_owned());
    Machine { processors, model }
}

fn read(path: &Path) -> Result<Results, Error> {
    let text = std::fs::read(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
    let unusable = |reason: String| Error::Results { path: path.to_owned(), reason };
    let results: Results = serde_json::from_slice(&text).map_err(|error| unusable(error.to_string()))?;
    if results.schema == SCHEMA { Ok(results) } else { Err(unusable(format!("schema {}", results.schema))) }
}

fn print(text: &str) -> Result<(), Error> {
    writeln!(io::stdout(), "{text}").map_err(Error::Output)
}

/// What is being measured, which can take minutes.
fn progress(what: &str) {
    // Without standard error there is nobody to tell it to.
    drop(writeln!(io::stderr(), "bench: {what}"));
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn parse(line: &[&str]) -> Result<Options, clap::Error> {
        Line::try_parse_from(["bench"].iter().chain(line)).map(|line| line.options)
    }

    #[test]
    fn every_number_of_findings_goes_with_every_number_of_accounts_that_is_not_larger() {
        let pairs = |line: &[&str]| -> Vec<(usize, usize)> {
            spreads(&parse(line).unwrap()).into_iter().map(|of| (of.findings, of.accounts)).collect()
        };
        assert_eq!(pairs(&[]), [(100, 50), (1_000, 50)]);
        assert_eq!(pairs(&["--findings", "100", "--accounts", "1,500"]), [(100, 1)]);
        assert_eq!(pairs(&["--all"]).len(), 8);
        assert!(parse(&["--findings", "0"]).is_err() && parse(&["--all", "--accounts", "1"]).is_err());
    }

    #[test]
    fn results_of_another_version_are_refused_with_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{}").unwrap();
        let error = read(file.path()).unwrap_err().to_string();
        assert!(error.contains(&file.path().display().to_string()) && error.contains("missing field"), "{error}");
        let settings = r#""settings":{"latency_ms":1,"processes":1,"throttle":false,"limits":false}"#;
        let rest =
            format!(r#""at":"","machine":{{"processors":1,"model":""}},{settings},"starts":[],"runs":[],"polls":[]"#);
        for (schema, is_readable) in [(SCHEMA, true), (SCHEMA + 1, false)] {
            std::fs::write(file.path(), format!(r#"{{"schema":{schema},{rest}}}"#)).unwrap();
            assert_eq!(read(file.path()).is_ok(), is_readable, "{schema}");
        }
    }
}
