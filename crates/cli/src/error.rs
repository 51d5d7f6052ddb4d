//! Why a command could not be carried out. What fails for one rule, batch or finding only is in the output instead.

use std::io;
use std::path::PathBuf;

use remediation::policy::PauseError;
use remediation::{BatchError, Error as CallError, ErrorKind, ManifestError, PolicyError, RecordError};

/// Why a command could not be carried out, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "there is no rule `{rule}`; the rules are: {known}. A rule of your own is known to a command line that is built \
         with it: docs/own-rule.md"
    )]
    Rule { rule: String, known: String },
    #[error("two rules have the ID `{0}`: a rule that this command line is built with needs an ID of its own")]
    TwoRules(String),
    #[error(
        "`{0}` is not a region: give its code, such as eu-central-1, by --region, AWS_REGION, AWS_DEFAULT_REGION or the \
         profile. A code that is newer than this version will do"
    )]
    Region(String),
    #[error("no region is set: give --region, or set AWS_REGION, AWS_DEFAULT_REGION or the profile's region")]
    NoRegion,
    #[error(transparent)]
    Network(#[from] network::SettingError),
    #[error(transparent)]
    Credentials(#[from] NoCredentials),
    #[error("cannot use the accounts file {}: {reason}", path.display())]
    Accounts { path: PathBuf, reason: String },
    #[error("`{0}` cannot hold records: give s3://<bucket>, without a key, or a folder")]
    Records(String),
    #[error(
        "`{0}` is not a report: give s3://<bucket>/reports/<rule>/<date>/<run>-<batch>.json, or such a file in a \
         folder. If the run left no report, give its plan"
    )]
    Report(String),
    #[error(
        "`{0}` is not a plan: give s3://<bucket>/plans/<rule>/<date>/<run>-<batch>.json, or such a file in a folder"
    )]
    Plan(String),
    #[error("the run of {0} has no reports. If it ended early, give its plan instead: the same path in plans/")]
    NoReports(String),
    #[error("no change in {0} is waiting for approval")]
    NothingAwaits(String),
    #[error("nothing was approved: there is no terminal to ask on. Give --yes to approve without being asked")]
    Unapproved,
    #[error("the environment variable OBJECT_LOCK: {0}")]
    Retention(#[from] remediation::InvalidRetention),
    #[error("nothing was changed: cannot find out who you are, and of which account: {0}")]
    Caller(CallError),
    #[error("no report after {seconds} s. The approval is stored; the report will be at {report}")]
    NoReportYet { report: String, seconds: u64 },
    #[error("cannot use {place}: {source}")]
    Broken { place: String, source: serde_json::Error },
    #[error("cannot read the policy {}: {source}", path.display())]
    PolicyFile { path: PathBuf, source: io::Error },
    #[error("cannot use the policy {}: {}", path.display(), problems.join("; "))]
    OwnTypos { path: PathBuf, problems: Vec<String> },
    #[error("cannot use the organization in {}: {source}", path.display())]
    OrganizationFile { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(
        "cannot use {place}: {source}. Correct it; in an emergency, --override REASON with --policy FILE uses another \
         policy in its place"
    )]
    BucketPolicy { place: String, source: PolicyError },
    #[error("cannot use {}: {source}", path.display())]
    OwnPolicy { path: PathBuf, source: PolicyError },
    #[error(
        "there is nothing to override: the records are in the folder `{}`, where no policy holds but that of --policy",
        folder.display()
    )]
    NothingToOverride { folder: PathBuf },
    #[error(
        "nothing was changed, because the override could not be recorded in {place}: {source}. Your role needs \
         s3:PutObject on it, as in the policy autoremediate-operator-<region>"
    )]
    NotRecorded { place: String, source: Box<RecordError> },
    #[error(
        "--policy has no effect on an approval in a bucket: the rule's Lambda carries out the plan, and keeps to the \
         bucket's policy"
    )]
    PolicyOfLambda,
    #[error("`{0}` is not the bucket of a deployment: give s3://<bucket>")]
    NoBucket(String),
    #[error(
        "`{0}` is not what the names of a deployment begin with: give its name_prefix, of small letters, digits and hyphens"
    )]
    NamePrefix(String),
    #[error("cannot use the queue {queue}: {source}{}", of_queue(source))]
    FailureQueue { queue: String, source: Box<CallError> },
    #[error(
        "nothing was done: {asked} is not among the {read} message(s) of the queue {queue} that were read; \
         `autoremediate failures list` shows them. {}", more.join(" ")
    )]
    NoSuchFailure { asked: String, queue: String, read: usize, more: Vec<String> },
    #[error("nothing was retried: there is no terminal to ask on. Give --yes to retry without being asked")]
    Unretried,
    #[error("nothing was dropped: there is no terminal to ask on. Give --yes to drop without being asked")]
    Undropped,
    #[error(
        "no region is set: give --records-region, the region of the bucket, or set AWS_REGION or the profile's region"
    )]
    NoRecordsRegion,
    #[error(
        "`{0}` is not a region that this version knows. Give a code such as eu-central-1, or `global` for what has no \
         region, such as IAM users; what is in a region newer than this version can be named by its accounts or rules"
    )]
    PausedRegion(String),
    #[error(
        "`{0}` is not a time: give one with its zone, such as 2026-12-01T08:00:00Z, or a duration, such as 4h or 2d"
    )]
    Until(String),
    #[error("`{0}` is over already, so nothing would be changed: give a time to come, or a duration, such as 4h or 2d")]
    UntilPast(String),
    #[error("`{0}` is not a length of time: give one such as 4h or 2d")]
    Age(String),
    #[error(
        "where are the records? Give --records s3://<bucket>, or a folder; or name a plan or report with its place"
    )]
    NoRecordsPlace,
    #[error("`{one}` and `{other}` are in different places: what is decided at once is in one bucket or folder")]
    Places { one: String, other: String },
    #[error("nothing that you asked for is waiting{place}; `autoremediate inbox` shows what is")]
    NothingWaits { place: String },
    #[error("no rejection that you asked for is in force in {0}")]
    NothingRejected(String),
    #[error(
        "nothing is known of `{0}` in {place}: give a resource's ARN, or the name that a finding or the ARN calls it; a \
         plan or report, s3://<bucket>/plans/<rule>/<date>/<run>-<batch>.json; or a run's ID", place = .1
    )]
    NothingKnown(String, String),
    #[error("nothing was rejected: there is no terminal to ask on. Give --yes to reject without being asked")]
    Unrejected,
    #[error("nothing was paused: {0}")]
    Pause(#[from] PauseError),
    #[error(
        "nothing was changed, because {place} could not be read and written: {source}. Run this as a role in \
         pauser_role_arns or operator_role_arns of terraform/deploy/central, with the policy \
         autoremediate-pauser-<region>; what cannot be read there is replaced by `autoremediate resume --all`"
    )]
    Pauses { place: String, source: Box<RecordError> },
    #[error(
        "no message was sent: {0}. It needs events:PutEvents on the event bus, which the policies \
         autoremediate-operator-<region> and autoremediate-pauser-<region> of terraform/deploy/central allow"
    )]
    Messages(#[from] messages::BusError),
    #[error("no pause is {asked}, so nothing was ended; in force are: {in_force}")]
    NoSuchPause { asked: String, in_force: String },
    #[error("`{0}` is not a day: give one as YYYY-MM-DD, such as 2026-11-30")]
    Day(String),
    #[error(
        "the days from {from} to {to} cannot be reported: --from is no later than --to, and they are at most {most} days"
    )]
    Days { from: jiff::civil::Date, to: jiff::civil::Date, most: u16 },
    #[error("cannot write the page {}: {source}", path.display())]
    PageFile { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Page(#[from] report::page::PageError),
    #[error("a reason has at least one letter, and at most {most} characters")]
    Reason { most: usize },
    #[error(transparent)]
    Unreadable(#[from] Box<RecordError>),
    #[error(
        "nothing was changed: the records are in the folder `{}`, where neither the deployment nor anybody else can see what \
         this command is working on. Give the deployment's bucket, s3://<bucket>; or --alone, if nobody else is working \
         on these resources", folder.display()
    )]
    NotAlone { folder: PathBuf },
    #[error("{0} names no plan: its run had nothing to change, so there is nothing to undo")]
    NoPlan(String),
    #[error("cannot read the findings in {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot use the findings in {}: {source}", path.display())]
    Batch { path: PathBuf, source: BatchError },
    #[error("the findings in {} belong to the rule `{found}`, but --rule selects only {asked}", path.display())]
    OtherRule { path: PathBuf, found: String, asked: String },
    #[error(
        "no finding is of {gate}, so nothing was done: the findings are of {found}. Correct the argument, or leave it out"
    )]
    NoneMatches { gate: String, found: String },
    #[error(
        "no finding is of all that was asked for at once, so nothing was done: --account, --region, --resource and --rule \
         each match findings, but no finding matches all of them"
    )]
    NoneMatchesAll,
    #[error(
        "the run changed nothing of {0}, so nothing was put back: give an account or a resource as the report has it"
    )]
    NotInRun(String),
    #[error("these reports are in several places; give those of one bucket or folder at a time")]
    ManyPlaces,
    #[error(
        "where are the findings? Give --findings FILE, or --netskope-tenant FQDN, or set NETSKOPE_TENANT to the tenant's \
         domain name"
    )]
    NoSource,
    #[error(
        "there is no Netskope token: set NETSKOPE_TOKEN (or NETSKOPE_API_TOKEN, as Netskope's own tools call it) to the token of the tenant's REST API v1. It cannot be an \
         argument, because other users of this machine could see it"
    )]
    NoToken,
    #[error(transparent)]
    Netskope(#[from] netskope::Error),
    #[error(transparent)]
    Filters(#[from] netskope::InvalidFilters),
    #[error("cannot create a temporary folder for the findings from Netskope: {0}")]
    Scratch(io::Error),
    #[error(
        "nothing was changed: there is no terminal to ask on. Give --yes to apply without being asked, or use plan to \
         see the changes"
    )]
    Unasked,
    #[error("a rule's manifest cannot be used: {0}")]
    Manifest(#[from] ManifestError),
    #[error("cannot start the asynchronous runtime: {0}")]
    Runtime(io::Error),
    #[error("cannot print the result: {0}")]
    Output(#[from] io::Error),
    #[error("cannot write the record as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl Error {
    /// What is wrong, each thing by itself.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            Self::OwnTypos { path, problems } => {
                problems.iter().map(|problem| format!("cannot use the policy {}: {problem}", path.display())).collect()
            }
            one => vec![one.to_string()],
        }
    }

    /// Whether it is only that nobody reads the result any more, as where `head` has seen enough.
    pub(crate) fn is_unread(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// What to do where the failure queue cannot be used.
fn of_queue(error: &CallError) -> &'static str {
    match (error.kind, error.code.as_deref()) {
        (ErrorKind::AccessDenied, _) => {
            ". Run this as a role with the policy autoremediate-retrier-<region> (retrier_policy_arn of \
             terraform/deploy/central)"
        }
        (_, Some(code)) if code.ends_with("NonExistentQueue") || code.ends_with("QueueDoesNotExist") => {
            ". Give --records-region, if the deployment is in another region, and --name-prefix, if its names begin with \
             something else than autoremediate"
        }
        _ => "",
    }
}

/// Why there are no AWS credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot load AWS credentials: {reason}; {advice}")]
pub(crate) struct NoCredentials {
    pub(crate) reason: String,
    /// What to do about it.
    pub(crate) advice: String,
}
