//! Holds the emulator for a run of tests. `setup` is nextest's setup script: it starts a holder in the background,
//! which ends with nextest itself, and hands its address to the tests. `hold` is that holder. `settle` waits until no
//! holder is left, so that a run of tests ends only when its emulator has.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::parent_id;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use clap::Parser;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use testkit::Result;
use testkit::emulator::{Emulator, Kind, VARIABLE};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// Holds the AWS emulator for a run of tests.
#[derive(Parser)]
enum Action {
    /// Start a holder that ends with the process that called this, and write its address to $NEXTEST_ENV.
    Setup,
    /// Start the emulator, print its address, and stop it when the process is gone.
    Hold {
        /// The process to outlive by a moment.
        #[arg(long)]
        until_pid: i32,
    },
    /// Wait until every holder has stopped its emulator.
    Settle,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Action::parse() {
        Action::Setup => setup().await,
        Action::Hold { until_pid } => hold(until_pid).await,
        Action::Settle => lock_file().and_then(|file| Ok(file.lock()?)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("emulator: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn setup() -> Result<()> {
    let variables = std::env::var("NEXTEST_ENV").map_err(|_| "NEXTEST_ENV is not set: nextest calls this")?;
    let url = match Kind::from_env()? {
        Kind::Running(url) => url,
        Kind::Process | Kind::Container => start_holder().await?,
    };
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(variables)?;
    Ok(writeln!(file, "{VARIABLE}={url}")?)
}

async fn start_holder() -> Result<String> {
    let mut holder = Command::new(std::env::current_exe()?)
        .args(["hold", "--until-pid", &parent_id().to_string()])
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = holder.stdout.take().ok_or("the holder has no standard output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).await?;
    let url = line.trim();
    if url.is_empty() { Err("the emulator did not start; it says why above".into()) } else { Ok(url.to_owned()) }
}

/// Holders share a lock on it for as long as they live.
fn lock_file() -> Result<File> {
    Ok(File::create(testkit::paths::binaries()?.join("emulator.lock"))?)
}

async fn hold(until_pid: i32) -> Result<()> {
    let held = lock_file()?;
    held.lock_shared()?;
    let emulator = Emulator::start(Kind::from_env()?).await?;
    writeln!(std::io::stdout(), "{}", emulator.url())?;
    while kill(Pid::from_raw(until_pid), None).is_ok() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    emulator.stop().await
}
