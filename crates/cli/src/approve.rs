//! `approve`: a stored plan in, an approval beside it. In the bucket that starts the rule's Lambda on the plan; where the
//! records are in a folder, the plan is carried out here.

use std::io::Write;
use std::time::Duration;

use aws_config::SdkConfig;
use remediation::{Approval, Error as CallError, Mode, Plan, Records, Report};
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::args::{ApproveArgs, RecordsPlace};
use crate::aws;
use crate::error::Error;
use crate::output::{Exit, Format, Results, StoredReport, print_json, print_plan};
use crate::progress::Bar;
use crate::question::{can_be_asked, confirmed};
use crate::rules::{self, LoadedRule};
use crate::workplace::Workplace;

/// How often it is looked whether the report is there.
const PAUSE: Duration = Duration::from_secs(2);

/// What `--json` prints where the rule's Lambda carries out the plan, and is not waited for.
#[derive(Serialize)]
struct Approved<'a> {
    approval_at: String,
    report_at: String,
    approval: &'a Approval,
}

/// Approves a plan; without `--yes`, after a question that shows it.
pub(crate) async fn approve(args: &ApproveArgs, bar: &Bar, out: &mut impl Write) -> Result<Exit, Error> {
    if !args.yes && !can_be_asked(args.json) {
        return Err(Error::Unapproved);
    }
    let rules = rules::select(&[args.plan.rule().to_owned()])?;
    let config = aws::config(&args.access, args.region.as_ref()).await?;
    aws::region(&config)?;
    let records = aws::records(&args.plan.place, &config);
    let bytes = records.get(&args.plan.key).await.map_err(Box::new)?;
    let broken = |source| Error::Broken { place: aws::locate(&records, &args.plan.key), source };
    let mut plan: Plan<Value> = serde_json::from_slice(&bytes).map_err(broken)?;
    plan.findings.retain(|planned| !planned.awaits.is_empty());
    if plan.findings.is_empty() {
        return Err(Error::NothingAwaits(aws::locate(&records, &args.plan.key)));
    }
    if !args.yes {
        print_plan(&plan, &rules, out)?;
        if !confirmed(&format!("Approve these changes of {} resource(s)?", plan.findings.len()))? {
            return Ok(Exit::Left);
        }
    }
    let approval = Approval::new(&plan.id, &args.plan.key, &plan.hash, caller(&config).await?, args.reason.clone());
    let stored = serde_json::to_vec_pretty(&approval)?;
    let key = records.put_new(&Approval::key(&args.plan.key), stored).await.map_err(Box::new)?;
    let approved = Approved {
        approval_at: aws::locate(&records, &key),
        report_at: aws::locate(&records, &approval.id().report_key()),
        approval: &approval,
    };
    match (&args.plan.place, args.wait) {
        (RecordsPlace::Folder(_), _) => {
            let policy = aws::policy(&args.policy, &args.plan.place, &config).await?;
            let workplace = Workplace { config, access: &args.access, records, policy, bar };
            print(args, &rules, &carry_out(&workplace, &rules, &approval, &bytes).await?, out)
        }
        (RecordsPlace::Bucket(_), Some(seconds)) => {
            let report = await_report(&records, &approval, seconds).await?;
            let reports = vec![StoredReport::of(report, &records, Some(approved.report_at))];
            let results = Results { reports, ..Results::default() };
            print(args, &rules, &results, out)
        }
        (RecordsPlace::Bucket(_), None) if args.json => {
            print_json(&approved, out)?;
            Ok(Exit::NothingLeft)
        }
        (RecordsPlace::Bucket(_), None) => {
            writeln!(out, "approval: {}\nreport, when it is done: {}", approved.approval_at, approved.report_at)?;
            Ok(Exit::NothingLeft)
        }
    }
}

/// The ARN of whoever runs this.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>
async fn caller(config: &SdkConfig) -> Result<String, Error> {
    let action = "sts:GetCallerIdentity";
    let identity = aws_sdk_sts::Client::new(config).get_caller_identity().send().await;
    let identity = identity.map_err(|error| Error::Caller(CallError::api(action, error)))?;
    identity.arn.ok_or_else(|| Error::Caller(CallError::unusable(action, "no ARN")))
}

async fn carry_out(
    workplace: &Workplace<'_>,
    rules: &[LoadedRule],
    approval: &Approval,
    plan: &[u8],
) -> Result<Results, Error> {
    let mut results = Results::default();
    for rule in rules {
        let engine = workplace.engine(rule, approval.run, None)?;
        let broken = |source| Error::Broken { place: aws::locate(&workplace.records, &approval.plan), source };
        let report = engine.run_approved(approval, plan).await.map_err(broken)?;
        results.store(report, &workplace.records).await;
    }
    workplace.bar.clear();
    Ok(results)
}

async fn await_report(records: &Records, approval: &Approval, seconds: u64) -> Result<Report, Error> {
    let (key, end) = (approval.id().report_key(), Instant::now() + Duration::from_secs(seconds));
    loop {
        if records.list(&key).await.map_err(Box::new)?.contains(&key) {
            let broken = |source| Error::Broken { place: aws::locate(records, &key), source };
            return serde_json::from_slice(&records.get(&key).await.map_err(Box::new)?).map_err(broken);
        }
        if Instant::now() >= end {
            return Err(Error::NoReportYet { report: aws::locate(records, &key), seconds });
        }
        sleep(PAUSE).await;
    }
}

fn print(args: &ApproveArgs, rules: &[LoadedRule], results: &Results, out: &mut impl Write) -> Result<Exit, Error> {
    results.print(Format::of(args.json, Mode::Approve), rules, out)?;
    Ok(results.exit())
}
