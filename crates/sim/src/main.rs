//! Runs seeds, or one of them with its story.

#![allow(clippy::print_stdout, reason = "it is what is asked for")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use sim::{Ran, Scenario, run, shrink};

/// So many runs at most make a scenario smaller.
const MOST_RUNS: usize = 600;

/// Simulates the whole loop under faults, by seed.
#[derive(Debug, Parser)]
struct Arguments {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// Tells the story of this seed alone.
    #[arg(long)]
    story: Option<u64>,
    /// Makes the scenario of this seed, which breaks something, smaller, and tells it.
    #[arg(long)]
    shrink: Option<u64>,
    /// Tells the story of the scenario in this file.
    #[arg(long)]
    replay: Option<PathBuf>,
    /// Stops at this many failures.
    #[arg(long, default_value_t = 10)]
    failures: usize,
}

/// The one scenario that is asked for.
fn scenario(arguments: &Arguments) -> Result<Option<Scenario>, String> {
    if let Some(file) = &arguments.replay {
        let text = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        return serde_json::from_slice(&text).map(Some).map_err(|error| format!("{}: {error}", file.display()));
    }
    if let Some(seed) = arguments.shrink {
        let scenario = Scenario::by_seed(seed);
        let broken = run(scenario.clone()).broken.ok_or_else(|| format!("seed {seed} breaks nothing"))?;
        return Ok(Some(shrink(scenario, broken.invariant, MOST_RUNS)));
    }
    Ok(arguments.story.map(Scenario::by_seed))
}

/// Tells a scenario, and what it comes to.
fn tell(scenario: Scenario) -> ExitCode {
    println!("{}", serde_json::to_string(&scenario).unwrap_or_default());
    let Ran { broken, story } = run(scenario);
    for line in story {
        println!("{line}");
    }
    if broken.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match scenario(&arguments) {
        Ok(Some(scenario)) => return tell(scenario),
        Ok(None) => {}
        Err(error) => {
            println!("{error}");
            return ExitCode::FAILURE;
        }
    }
    let (next, failures, began) = (AtomicU64::new(arguments.from), Mutex::new(Vec::new()), Instant::now());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let done = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let enough = failures.lock().is_ok_and(|failures| failures.len() >= arguments.failures);
                    if seed >= arguments.from + arguments.seeds || enough {
                        return;
                    }
                    let ran = run(Scenario::by_seed(seed));
                    done.fetch_add(1, Ordering::Relaxed);
                    if let (Some(broken), Ok(mut failures)) = (ran.broken, failures.lock()) {
                        println!("seed {seed}: {}: {}", broken.invariant, broken.how);
                        failures.push(seed);
                    }
                }
            });
        }
    });
    let failed = failures.lock().map_or(0, |failures| failures.len());
    println!("{} seeds in {:.1} s, {failed} failed", done.into_inner(), began.elapsed().as_secs_f64());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
