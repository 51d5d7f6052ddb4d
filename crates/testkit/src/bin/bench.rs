//! Benchmarks of the release Lambdas: how long one takes to ask for its first event and what it holds then, and how the
//! poller's memory grows with the length of Netskope's list.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::{Value, json};
use testkit::account::{Account, REGION, fresh_account};
use testkit::emulator::{Emulator, Kind};
use testkit::lambda::Invocation;
use testkit::netskope::{FakeNetskope, row};
use testkit::{Result, paths};

const CONTROL: &str = "Ensure S3 Bucket is not publicly accessible.";
const TOKEN: &str = "bench";
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// Measures the Lambdas of a release build.
#[derive(Parser)]
struct Arguments {
    /// Starts of each Lambda.
    #[arg(long, default_value_t = 20)]
    starts: usize,
    /// Rows in the longer list.
    #[arg(long, default_value_t = 10_000)]
    rows: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match bench(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn bench(arguments: &Arguments) -> Result<()> {
    let emulator = Emulator::start(Kind::from_env()?).await?;
    let done = measure(&emulator, arguments).await;
    emulator.stop().await?;
    done
}

async fn measure(emulator: &Emulator, arguments: &Arguments) -> Result<()> {
    for name in ["poller", "s3-public-bucket"] {
        let (mut times, mut held) = (Vec::new(), 0);
        for _ in 0..arguments.starts {
            let (time, memory) = start(&release(name)?).await?;
            times.push(time);
            held = held.max(memory);
        }
        times.sort();
        let (least, median, most) = (times[0], times[times.len() / 2], times[times.len() - 1]);
        println!(
            "{name}: first request for work after {least:.1?} / {median:.1?} / {most:.1?} (least / median / most of {}), \
             holding at most {:.1} MiB",
            times.len(),
            held as f64 / MEBIBYTE,
        );
    }
    let short = poll(emulator, 100).await?;
    let long = poll(emulator, arguments.rows).await?;
    println!(
        "poller: peak of {:.1} MiB for 100 rows, {:.1} MiB for {}: {:.1} MiB more",
        short as f64 / MEBIBYTE,
        long as f64 / MEBIBYTE,
        arguments.rows,
        (long as f64 - short as f64) / MEBIBYTE,
    );
    Ok(())
}

fn release(name: &str) -> Result<PathBuf> {
    let path = paths::binaries()?.with_file_name("release").join(name);
    if path.exists() { Ok(path) } else { Err(format!("{} is missing: run `just package`", path.display()).into()) }
}

/// The time from a Lambda's start to its first request for work, and what it has held at most by then.
async fn start(binary: &Path) -> Result<(Duration, u64)> {
    let environment = [
        ("AWS_REGION", REGION),
        ("BUCKET", "bucket"),
        ("BUCKET_OWNER", "111111111111"),
        ("METRICS_NAMESPACE", "autoremediate"),
        ("POLICY_DIGEST", "digest"),
        ("TARGET_ROLE_NAME", "role"),
        ("EXTERNAL_ID", "external-id"),
        ("NETSKOPE_TENANT", "tenant.goskope.com"),
        ("TOKEN_SECRET_ARN", "secret"),
        ("HOME_REGION", REGION),
        ("REGIONS", REGION),
    ];
    let begin = Instant::now();
    let lambda = Invocation::start_idle(binary, &environment).await?;
    lambda.asked_for_work(Duration::from_secs(10)).await?;
    let time = begin.elapsed();
    let memory = lambda.peak_memory()?;
    lambda.kill().await?;
    Ok((time, memory))
}

/// The poller's peak memory for a list of `rows` rows.
async fn poll(emulator: &Emulator, rows: usize) -> Result<u64> {
    let central = Account::fresh(emulator);
    let bucket = format!("bench-{}", central.id);
    central.s3.create_bucket().bucket(&bucket).send().await?;
    let secrets = aws_sdk_secretsmanager::Client::new(&central.config);
    let secret = secrets.create_secret().name("token").secret_string(TOKEN).send().await?;
    let netskope = FakeNetskope::start(TOKEN).await;
    let accounts: Vec<_> = (0..20).map(|_| fresh_account()).collect();
    let listed = (0..rows).map(|n| row(CONTROL, &accounts[n % 20], "US East(N. Virginia)", &format!("bucket-{n}")));
    netskope.set_rows(listed.collect());
    let url = netskope.url();
    let environment = [
        ("AWS_ENDPOINT_URL", emulator.url()),
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", central.id.as_str()),
        ("AWS_SECRET_ACCESS_KEY", "unused"),
        ("BUCKET", &bucket),
        ("BUCKET_OWNER", central.id.as_str()),
        ("NETSKOPE_TENANT", "tenant.goskope.com"),
        ("NETSKOPE_ENDPOINT", &url),
        ("TOKEN_SECRET_ARN", secret.arn().unwrap_or_default()),
        ("REGIONS", REGION),
        ("HOME_REGION", REGION),
        ("RUST_LOG", "off"),
    ];
    let event = json!({"rule": "s3-public-bucket"});
    let timeout = Duration::from_secs(900);
    let mut lambda = Invocation::start(&release("poller")?, &environment, &event, "request", timeout).await?;
    let answer: Value = lambda.answer(Duration::from_secs(300)).await?.map_err(|error| error.to_string())?;
    if answer["kept"] != rows {
        return Err(format!("of {rows} rows were kept: {answer}").into());
    }
    let memory = lambda.peak_memory()?;
    lambda.kill().await?;
    Ok(memory)
}
