//! Why a command could not be carried out. What fails for one rule, batch or finding only is in the output instead.

use std::io;
use std::path::PathBuf;

use remediation::{BatchError, ManifestError, PolicyError, RecordError};

use crate::aws::NoCredentials;

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("there is no rule `{rule}`; there are: {known}")]
    Rule { rule: String, known: String },
    #[error(
        "`{0}` is not a region that this build knows: give a code such as eu-central-1, or, where the region is newer \
         than this build, set AWS_REGION instead"
    )]
    Region(String),
    #[error("no region: give --region, or set AWS_REGION, AWS_DEFAULT_REGION or the profile's region")]
    NoRegion,
    #[error(transparent)]
    Credentials(#[from] NoCredentials),
    #[error("the accounts in {}: {reason}", path.display())]
    Accounts { path: PathBuf, reason: String },
    #[error("`{0}` is no place for records: give s3://<bucket>, without a key, or a folder")]
    Records(String),
    #[error(
        "`{0}` is no report: give s3://<bucket>/reports/<rule>/<date>/<run>-<batch>.json, or such a file in a folder; \
         or the plan of a run that left none"
    )]
    Report(String),
    #[error("`{0}` is no plan: give s3://<bucket>/plans/<rule>/<date>/<run>-<batch>.json, or such a file in a folder")]
    Plan(String),
    #[error("the run of {0} has no reports: did it die? Then undo takes its plan, in plans/")]
    NoReports(String),
    #[error("nothing in {0} waits for an approval")]
    NothingAwaits(String),
    #[error("nothing was approved: approve asks, and there is no terminal to ask on; give --yes to approve")]
    Unapproved,
    #[error("who approves cannot be told: {0}")]
    Caller(remediation::Error),
    #[error("the report did not come within {seconds} s; it will be {report}")]
    NoReportYet { report: String, seconds: u64 },
    #[error("the policy in {}: {source}", path.display())]
    PolicyFile { path: PathBuf, source: io::Error },
    #[error("{0}; --policy names another one")]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Unreadable(#[from] Box<RecordError>),
    #[error("{place} cannot be used: {source}")]
    Broken { place: String, source: serde_json::Error },
    #[error("{0} has no plan: its run had nothing to write, so there is nothing to put back")]
    NoPlan(String),
    #[error("the findings in {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the findings in {}: {source}", path.display())]
    Batch { path: PathBuf, source: BatchError },
    #[error("the findings in {} are of the rule `{found}`, and --rule asks for {asked} only", path.display())]
    OtherRule { path: PathBuf, found: String, asked: String },
    #[error(
        "set NETSKOPE_TOKEN to the token of the tenant's REST API v1; it is no argument, because others could see it"
    )]
    NoToken,
    #[error(transparent)]
    Netskope(#[from] netskope::Error),
    #[error("the folder for what Netskope lists cannot be made: {0}")]
    Scratch(io::Error),
    #[error(
        "nothing was written: apply asks before it writes, and there is no terminal to ask on; give --yes to write \
         without a question, or use plan"
    )]
    Unasked,
    #[error("a rule's manifest is broken: {0}")]
    Manifest(#[from] ManifestError),
    #[error("the asynchronous runtime cannot be started: {0}")]
    Runtime(io::Error),
    #[error("the result cannot be printed: {0}")]
    Output(#[from] io::Error),
    #[error("the result cannot be printed as JSON: {0}")]
    Json(#[from] serde_json::Error),
}
