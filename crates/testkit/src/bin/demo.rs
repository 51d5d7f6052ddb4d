//! The demonstration: the whole pipeline on the emulator, from Netskope's list to a proven fix.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use comfy_table::{ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use remediation::{Outcome, ReportedFinding};
use testkit::Result;
use testkit::account::Account;
use testkit::deployment::{Deployment, Settings, findings};
use testkit::emulator::{Emulator, Kind};
use testkit::netskope::{FakeNetskope, row};

const CONTROL: &str = "Ensure S3 Bucket is not publicly accessible.";
const SETTINGS: [&str; 4] = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];
const CENTRAL: &str = "111111111111";
const TARGETS: [&str; 2] = ["222222222222", "333333333333"];

/// Deploys the pipeline to an emulator on this machine, lets it fix public buckets, and shows what happened.
#[derive(Parser)]
struct Arguments {
    /// Leave everything running afterwards, until Ctrl-C, and say how to look around.
    #[arg(long)]
    keep: bool,
}

/// A bucket of the demonstration.
struct Bucket {
    account: Account,
    name: String,
    found: Option<[bool; 4]>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let shown = tokio::select! {
        shown = demonstrate(arguments.keep) => shown,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    };
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn demonstrate(keep: bool) -> Result<()> {
    let started = Instant::now();
    let step = |text: &str| println!("[{:>3} s] {text}", started.elapsed().as_secs());
    step("starting the AWS emulator and the Netskope stand-in");
    let emulator = Emulator::start(Kind::from_env()?).await?;
    let token = format!("demo-{}", uuid::Uuid::new_v4());
    let netskope = FakeNetskope::start(&token).await;
    step("making two target accounts with a public, a partly public and a clean bucket each");
    let buckets = make_buckets(&emulator).await?;
    let rows = buckets.iter().map(|of| row(CONTROL, &of.account.id, "US East(N. Virginia)", &of.name));
    netskope.set_rows(rows.collect());
    step("terraform apply: the central account and both target accounts (about a minute: AWS's provider waits)");
    let settings = Settings {
        central: CENTRAL.into(),
        targets: TARGETS.map(String::from).into(),
        mode: "apply".into(),
        netskope: netskope.url(),
        token,
    };
    let deployment = Deployment::apply(&emulator, settings).await?;
    step("waiting for the schedule to fire and for the reports");
    let reports = deployment.reported(buckets.len(), Duration::from_secs(120)).await?;
    println!("{}", table(&buckets, findings(&reports).map(|(_, finding)| finding)));
    for (key, report) in &reports {
        println!("plan     s3://{}/{}", deployment.bucket, report.plans.first().map_or("-", |plan| &plan.key));
        println!("report   s3://{}/{key}", deployment.bucket);
    }
    let outcome = check(&buckets, findings(&reports).map(|(_, finding)| finding)).await;
    step(if outcome.is_ok() { "done: every listed bucket complies" } else { "done, but not as it should be" });
    if keep {
        stay(&emulator, &netskope, &deployment).await?;
    }
    emulator.stop().await?;
    outcome
}

async fn make_buckets(emulator: &Emulator) -> Result<Vec<Bucket>> {
    let kinds =
        [("public-website", None), ("partly-public", Some([false, true, false, false])), ("clean", Some([true; 4]))];
    let mut buckets = Vec::new();
    for id in TARGETS {
        let account = Account::new(emulator, id);
        for (kind, found) in kinds {
            let name = format!("{kind}-{id}");
            account.make_bucket(&name, found).await?;
            buckets.push(Bucket { account: account.clone(), name, found });
        }
    }
    Ok(buckets)
}

fn table<'a>(buckets: &[Bucket], findings: impl Iterator<Item = &'a ReportedFinding>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    if !std::io::stdout().is_terminal() {
        table.set_width(200);
    }
    table.set_header(["Control", "Account", "Resource", "Found", "Changed", "Outcome", "Proved by"]);
    for finding in findings {
        let bucket = buckets.iter().find(|bucket| bucket.name == finding.finding.resource);
        let proof = finding.verification.as_ref().map(|proof| {
            let at = proof.at.strftime("%H:%M:%S");
            format!("{} at {at} UTC: nothing left to change", proof.actions.join(", "))
        });
        table.add_row([
            finding.finding.control.clone(),
            finding.finding.account.to_string(),
            finding.finding.resource.clone(),
            bucket.map(|bucket| describe(bucket.found)).unwrap_or_default(),
            finding.changes.join("\n").replace(&format!("bucket {}: ", finding.finding.resource), ""),
            finding.outcome.to_string(),
            proof.unwrap_or_else(|| "-".into()),
        ]);
    }
    table
}

fn describe(block: Option<[bool; 4]>) -> String {
    let Some(block) = block else { return "no public access block".into() };
    let on: Vec<_> = SETTINGS.into_iter().zip(block).filter_map(|(name, on)| on.then_some(name)).collect();
    if on.len() == SETTINGS.len() { "all four settings on".into() } else { format!("only {}", on.join(", ")) }
}

/// A look of our own at every bucket, with other credentials than the product has.
async fn check<'a>(buckets: &[Bucket], findings: impl Iterator<Item = &'a ReportedFinding>) -> Result<()> {
    for bucket in buckets {
        let now = bucket.account.public_access_block(&bucket.name).await?;
        if !now.is_some_and(|[_, ignore_acls, _, restrict]| ignore_acls && restrict) {
            return Err(format!("bucket {} is still public: {}", bucket.name, describe(now)).into());
        }
    }
    for finding in findings {
        if !matches!(finding.outcome, Outcome::Fixed | Outcome::AlreadyCompliant) {
            return Err(format!("{}: {} ({:?})", finding.finding.resource, finding.outcome, finding.detail).into());
        }
    }
    Ok(())
}

async fn stay(emulator: &Emulator, netskope: &FakeNetskope, deployment: &Deployment) -> Result<()> {
    let (url, bucket, folder) = (emulator.url(), &deployment.bucket, deployment.folder().display());
    println!(
        "\nStill running, until Ctrl-C. Any 12-digit access key has full rights in that account:\n\
         \n  export AWS_ENDPOINT_URL={url} AWS_REGION=us-east-1 AWS_SECRET_ACCESS_KEY=unused\n\
         \n  AWS_ACCESS_KEY_ID={CENTRAL} aws s3 ls --recursive s3://{bucket}\
         \n  AWS_ACCESS_KEY_ID={CENTRAL} aws logs tail /aws/lambda/autoremediate-s3-public-bucket\
         \n  AWS_ACCESS_KEY_ID={} aws s3api get-public-access-block --bucket public-website-{}\n\
         \nNetskope stand-in: {}\nTerraform's folder: {folder}/terraform/deploy",
        TARGETS[0],
        TARGETS[0],
        netskope.url(),
    );
    std::io::stdout().flush()?;
    Ok(tokio::signal::ctrl_c().await?)
}
