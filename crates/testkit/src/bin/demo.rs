//! The demonstration: the whole pipeline on the emulator, from Netskope's list to a proven fix, for every control, in
//! three accounts and three regions.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets::UTF8_FULL};
use remediation::{Outcome, ReportedFinding};
use testkit::Result;
use testkit::account::Account;
use testkit::central::{Central, Done};
use testkit::deployment::{Deployment, Settings};
use testkit::emulator::{Emulator, Kind};
use testkit::netskope::{FakeNetskope, display_name, row};
use testkit::violations::{self, Violation};

const CENTRAL: &str = "111111111111";
const TARGETS: [&str; 3] = ["222222222222", "333333333333", "444444444444"];
/// The regions of each deployment, first the one that it is in. The first of all is the home region, whose deployment acts on
/// global findings.
const REGIONS: [&[&str]; 2] = [&["us-east-1", "ap-southeast-2"], &["eu-west-1"]];
/// A width in which the table reads well, and how its columns share it, so that no name of an API action is broken.
const WIDE: u16 = 160;
const COLUMNS: [u16; 5] = [33, 28, 31, 21, 41];
const CLEAN_BUCKET: &str = "clean";
const BUCKET_CONTROL: &str = "Ensure S3 Bucket is not publicly accessible.";

/// Deploys the pipeline to an emulator on this machine, lets it fix a violation of every control, and shows what happened.
#[derive(Parser)]
struct Arguments {
    /// Leave everything running afterwards, until Ctrl-C, and say how to look around.
    #[arg(long)]
    keep: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match demonstrate(arguments.keep).await {
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
    let shown = tokio::select! {
        // First what is shown: where it waits for Ctrl-C itself, that is its regular end.
        biased;
        shown = show(&emulator, keep, step) => shown,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    };
    emulator.stop().await?;
    shown
}

/// Everything that needs the emulator; `step` says what comes next.
async fn show(emulator: &Emulator, keep: bool, step: impl Fn(&str)) -> Result<()> {
    let token = format!("demo-{}", uuid::Uuid::new_v4());
    let netskope = FakeNetskope::start(&token).await;
    let regions: Vec<_> = REGIONS.concat().into_iter().map(String::from).collect();
    let violations = violate(emulator, &netskope, &regions).await?;
    let (made, accounts) = (violations.len(), TARGETS.len());
    step(&format!("made {made} resources that violate a control, in {accounts} accounts, in {}", regions.join(", ")));
    step("the policy is mode apply, with a guard set to warn where it would hold one of them");
    let [home, other] = REGIONS.map(|own| own.join(" and "));
    step(
        "terraform apply: the roles of each target account, then two deployments of the central account (two minutes):",
    );
    step(&format!("one looks after {home}, the other one after {other}"));
    let settings = Settings {
        central: CENTRAL.into(),
        regions: REGIONS.map(|own| own.iter().map(ToString::to_string).collect()).into(),
        targets: TARGETS.map(String::from).into(),
        policy: violations::policy()?,
        netskope: netskope.url(),
        token,
    };
    let deployment = Deployment::apply(emulator, settings).await?;
    step("waiting for the schedules, the pollers and the rules");
    let done = deployment.done(Duration::from_secs(120)).await?;
    println!("\n{}\n", table(&violations, &done));
    show_regions(&deployment.regions, &done);
    let outcome = check(&violations, &done).await;
    match outcome {
        Ok(()) => step(&format!("done: all {made} are fixed, and a look of our own at each of them says so, too")),
        Err(_) => step("done, but not as it should be"),
    }
    if keep {
        stay(emulator, &netskope, &deployment, &violations).await?;
    }
    outcome
}

/// Makes what violates, and a bucket an account that does not any more, and lists them as Netskope does.
async fn violate(emulator: &Emulator, netskope: &FakeNetskope, regions: &[String]) -> Result<Vec<Violation>> {
    let (mut violations, mut rows) = (Vec::new(), Vec::new());
    for id in TARGETS {
        let account = Account::new(emulator, id);
        violations.extend(Violation::make_all(&account, regions).await?);
        let bucket = format!("{CLEAN_BUCKET}-{id}");
        account.make_bucket(&bucket, Some([true; 4])).await?;
        rows.push(row(BUCKET_CONTROL, id, display_name(&regions[0])?, &bucket));
    }
    for violation in &violations {
        rows.push(violation.row()?);
    }
    netskope.set_rows(rows);
    Ok(violations)
}

/// One row a control.
fn table(violations: &[Violation], done: &[Done]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL).set_content_arrangement(ContentArrangement::Dynamic);
    if !std::io::stdout().is_terminal() {
        table.set_width(WIDE);
    }
    table.set_header(["Netskope's control", "Found", "Changed, for example", "Outcome", "Proved by"]);
    if table.width().is_some_and(|width| width >= WIDE) {
        table.set_constraints(COLUMNS.map(|width| ColumnConstraint::Absolute(Width::Fixed(width))));
    }
    let mut controls: Vec<_> = violations.iter().map(|violation| &violation.control).collect();
    controls.sort_by_key(|control| &control.short_name);
    controls.dedup_by_key(|control| &control.short_name);
    for control in controls {
        let name = &control.rule_names[0];
        let findings: Vec<_> = done.iter().flat_map(Done::findings).filter(|of| of.finding.control == *name).collect();
        let violating: Vec<_> =
            violations.iter().filter(|violation| violation.control.rule_names[0] == *name).collect();
        let example = findings.iter().find(|finding| !finding.changes.is_empty());
        let proof = findings.iter().find_map(|finding| finding.verification.as_ref());
        table.add_row([
            // Netskope's names begin with a chapter's title.
            format!("{}\n{}", control.short_name, name.rsplit(": ").next().unwrap_or(name)),
            found(&violating, findings.len()),
            example.map(|finding| changed(&finding.changes)).unwrap_or_default(),
            outcomes(&findings),
            proof.map(|proof| proof.actions.join("\n")).unwrap_or_default(),
        ]);
    }
    table
}

/// What was made, and how many more were listed.
fn found(violating: &[&Violation], listed: usize) -> String {
    let what = violating.first().map(|violation| violation.found()).unwrap_or_default();
    let others = listed.saturating_sub(violating.len());
    let found = format!("{} × {what}", violating.len());
    if others == 0 { found } else { format!("{found}\n{others} × compliant already") }
}

/// The changes without the resource that they begin with.
fn changed(changes: &[String]) -> String {
    let changes: Vec<_> =
        changes.iter().map(|text| text.split_once(": ").map_or(text.as_str(), |(_, rest)| rest)).collect();
    changes.join("\n")
}

/// How many findings had each outcome.
fn outcomes(findings: &[&ReportedFinding]) -> String {
    let mut counts = BTreeMap::<Outcome, usize>::new();
    for finding in findings {
        *counts.entry(finding.outcome).or_default() += 1;
    }
    let counts: Vec<_> = counts.iter().rev().map(|(outcome, count)| format!("{count} {outcome}")).collect();
    counts.join("\n")
}

/// What each deployment did, and where its records are.
fn show_regions(regions: &[Central], done: &[Done]) {
    for (region, done) in regions.iter().zip(done) {
        let global = done.findings().filter(|finding| finding.finding.region.is_global()).count();
        let left: u64 = done.polls.iter().filter_map(|poll| poll["other_regions"].as_u64()).sum();
        let findings = done.findings().count();
        println!(
            "the deployment in {}: {findings} findings, {global} of them global; {left} rows left to the other one",
            done.region
        );
        println!("reports in s3://{}/reports/, each with its plan of the same name below plans/:", region.bucket);
        for (key, report) in &done.reports {
            println!("  {}  {} findings", key.trim_start_matches("reports/"), report.counts.values().sum::<usize>());
            let same_name = key.replacen("reports/", "plans/", 1);
            for plan in report.plans().filter(|plan| plan.key != same_name) {
                println!("    and the plan {}", plan.key);
            }
        }
        println!();
    }
}

/// Whether everything is fixed, in the reports and in a look of our own, with other credentials than the product has.
async fn check(violations: &[Violation], done: &[Done]) -> Result<()> {
    let mut wrong = Vec::new();
    for violation in violations {
        if !violation.complies().await? {
            wrong.push(format!("{} {}: still {}", violation.account(), violation.resource, violation.found()));
        }
    }
    let mut fixed = 0;
    for finding in done.iter().flat_map(Done::findings) {
        match finding.outcome {
            Outcome::Fixed => fixed += 1,
            Outcome::AlreadyCompliant if finding.finding.resource.starts_with(CLEAN_BUCKET) => {}
            other => wrong.push(format!("{}: {other} ({:?})", finding.finding.resource, finding.detail)),
        }
    }
    if fixed != violations.len() {
        wrong.push(format!("{fixed} findings are fixed, not {}", violations.len()));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

async fn stay(
    emulator: &Emulator,
    netskope: &FakeNetskope,
    deployment: &Deployment,
    violations: &[Violation],
) -> Result<()> {
    let (url, bucket, folder) = (emulator.url(), &deployment.home().bucket, deployment.folder().display());
    let public = violations.iter().find(|violation| violation.control.rule_names[0] == BUCKET_CONTROL);
    let public = public.map(|violation| violation.resource.as_str()).unwrap_or_default();
    let ([home, other], target) = (REGIONS.map(|own| own[0]), TARGETS[0]);
    let other_bucket = deployment.regions.last().map(|region| region.bucket.as_str()).unwrap_or_default();
    println!(
        "\nStill running, until Ctrl-C. Any 12-digit access key has full rights in that account:\n\
         \n  export AWS_ENDPOINT_URL={url} AWS_REGION={home} AWS_SECRET_ACCESS_KEY=unused\n\
         \n  AWS_ACCESS_KEY_ID={CENTRAL} aws s3 ls --recursive s3://{bucket}\
         \n  AWS_ACCESS_KEY_ID={CENTRAL} aws logs tail /aws/lambda/autoremediate-s3-public-bucket\
         \n  AWS_ACCESS_KEY_ID={target} aws s3api get-public-access-block --bucket {public}\n\
         \nThe other deployment, in {other}, has its own bucket {other_bucket} and functions of the same names.\
         \nNetskope stand-in: {}\nTerraform's folder: {folder}/terraform/deploy",
        netskope.url(),
    );
    std::io::stdout().flush()?;
    Ok(tokio::signal::ctrl_c().await?)
}
