//! Measures the Lambdas of a release build; `--help` says how.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

/// Measures the Lambdas of a release build against stand-ins for AWS and Netskope.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: bench::Options,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match bench::run(&Arguments::parse().options).await {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell it to where standard error is closed.
            drop(writeln!(io::stderr(), "error: {error}"));
            ExitCode::FAILURE
        }
    }
}
