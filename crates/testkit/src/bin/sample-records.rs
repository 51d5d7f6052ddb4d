//! Writes the records of a make-believe deployment into a folder: `sample-records FOLDER`. For tests of the report, and for
//! the picture of it in the README. The same arguments always give the same records.

use std::path::PathBuf;

use clap::Parser;
use jiff::civil::Date;
use remediation::Records;
use testkit::{Result, samples};

/// What to write.
#[derive(Parser)]
struct Arguments {
    /// The folder, which must not hold records yet.
    folder: PathBuf,
    /// How many findings there are.
    #[arg(long, default_value_t = 2_000)]
    findings: u32,
    /// In how many accounts.
    #[arg(long, default_value_t = 24)]
    accounts: u32,
    /// Over how many days.
    #[arg(long, default_value_t = 14)]
    days: u32,
    /// The last of them.
    #[arg(long, default_value = "2026-11-29")]
    to: Date,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let Arguments { folder, findings, accounts, days, to } = Arguments::parse();
    let samples = samples::Samples { findings, accounts, days, to };
    samples.write(&Records::Folder(folder)).await
}
