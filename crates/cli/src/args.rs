//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use remediation::AccountId;

use crate::doctor::DoctorArgs;
use crate::error::Error;
use crate::help;

/// Finds and fixes violations of compliance rules in AWS accounts.
#[derive(Debug, Parser)]
#[command(name = "autoremediate", version, after_help = help::all())]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say what would change; write nothing to any account.
    #[command(after_help = help::plan())]
    Plan(RunArgs),
    /// Write the changes, each after its plan is stored, and prove them by a fresh look.
    #[command(after_help = help::apply())]
    Apply {
        #[command(flatten)]
        run: RunArgs,
        /// Do not ask before anything is written. Needed without a terminal, and with --json.
        #[arg(long)]
        yes: bool,
    },
    /// Show how what a run wrote would be put back, from its report; with --yes, put it back and prove it.
    #[command(after_help = help::undo())]
    Undo(UndoArgs),
    /// Approve a stored plan, as it is: its changes that wait for an approval are then written.
    #[command(after_help = help::approve())]
    Approve(ApproveArgs),
    /// Check a policy, or print the JSON Schema of every policy.
    #[command(subcommand, after_help = help::policy())]
    Policy(PolicyCommand),
    /// List the rules, what they serve and what they may do.
    #[command(after_help = help::rules())]
    Rules {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Look whether everything is there that the rules need: token, roles, permissions, runbooks, bucket, clock.
    #[command(after_help = help::doctor())]
    Doctor(DoctorArgs),
    /// Print the script that completes the words of this command in a shell.
    #[command(after_help = help::completions())]
    Completions { shell: Shell },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say what is wrong with a policy, in which line, and what was probably meant.
    Check {
        /// A policy.json, or a .tfvars.json with the variable `policy`; can be repeated.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of every policy.
    Schema,
}

/// What `approve` is about.
#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// The plan: s3://bucket/plans/…, or a file, as reports say where it is.
    #[arg(value_name = "PLAN", value_parser = plan)]
    pub(crate) plan: RecordAt,
    /// Why; it is recorded.
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) reason: String,
    /// Do not show the plan and ask. Needed without a terminal, and with --json.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Wait for the report of the rule's Lambda, for at most so many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) wait: Option<u64>,
    /// The region of the AWS configuration, where the bucket is.
    #[arg(long, value_name = "CODE", value_parser = region)]
    pub(crate) region: Option<String>,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which policy holds.
#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// The policy to keep to, a file. Without it, the bucket's policy.json; with records in a folder, none.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
}

/// What `plan` and `apply` are about.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Only this rule, by its ID; can be repeated. Without it, every rule.
    #[arg(long = "rule", value_name = "ID")]
    pub(crate) rules: Vec<String>,
    /// Only this account, by its twelve digits; can be repeated. Without it, every account of the findings.
    #[arg(long = "account", value_name = "ID")]
    pub(crate) accounts: Vec<AccountId>,
    /// Only this region, and whatever is in no region. Without it, the region of the AWS configuration. Findings of
    /// other regions are counted and skipped.
    #[arg(long, value_name = "CODE", value_parser = region)]
    pub(crate) region: Option<String>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    /// Where plans and reports are kept: s3://bucket, or a folder.
    #[arg(long, value_name = "PLACE", default_value = "./autoremediate-records")]
    pub(crate) records: RecordsPlace,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    /// Print one JSON document with the reports.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How the accounts are reached.
#[derive(Debug, Args)]
pub(crate) struct AccessArgs {
    /// The role to assume in each account; {rule} stands for the rule's ID. The credentials in use must be trusted by
    /// it.
    #[arg(long, value_name = "NAME", default_value = "autoremediate-{rule}")]
    pub(crate) role_name: String,
    /// The external ID that the role asks for.
    #[arg(long, value_name = "ID", env = "EXTERNAL_ID", hide_env_values = true)]
    pub(crate) external_id: Option<String>,
    /// The profile of the AWS configuration to use.
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
}

/// What `undo` is about.
#[derive(Debug, Args)]
pub(crate) struct UndoArgs {
    /// The report of the run: s3://bucket/reports/…, or a file, as plan and apply say where it is. Without the
    /// number of the batch and .json, all reports of the run; where a run has died and left none, its plan.
    #[arg(value_name = "REPORT", value_parser = report_or_plan)]
    pub(crate) report: RecordAt,
    /// Only resources of this account, by its twelve digits; can be repeated.
    #[arg(long = "account", value_name = "ID")]
    pub(crate) accounts: Vec<AccountId>,
    /// Only this resource, as the report names it; can be repeated.
    #[arg(long = "resource", value_name = "NAME")]
    pub(crate) resources: Vec<String>,
    /// The region of the AWS configuration, where the bucket is.
    #[arg(long, value_name = "CODE", value_parser = region)]
    pub(crate) region: Option<String>,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    /// Put it back. Without it, nothing is written to any account.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Put back also what is not as the fix left it any more.
    #[arg(long)]
    pub(crate) force: bool,
    /// For how many hours runs leave alone what was put back.
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    pub(crate) exempt_hours: u32,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    /// Print one JSON document with the reports.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where findings come from.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct SourceArgs {
    /// Findings in a file: a batch as in the bucket's findings/; - is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) findings: Option<PathBuf>,
    /// Findings of this Netskope tenant, by its domain name. NETSKOPE_TOKEN holds the token of its REST API v1.
    #[arg(long, value_name = "FQDN")]
    pub(crate) netskope_tenant: Option<String>,
    /// Findings of the Netskope API at another address, such as a proxy.
    #[arg(long, value_name = "URL", hide_short_help = true)]
    pub(crate) netskope_endpoint: Option<String>,
}

/// Where records are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RecordsPlace {
    Bucket(String),
    Folder(PathBuf),
}

impl FromStr for RecordsPlace {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.strip_prefix("s3://").map(|bucket| bucket.trim_end_matches('/')) {
            None if text.is_empty() || text.contains("://") => Err(Error::Records(text.to_owned())),
            None => Ok(Self::Folder(text.into())),
            Some(bucket) if bucket.is_empty() || bucket.contains('/') => Err(Error::Records(text.to_owned())),
            Some(bucket) => Ok(Self::Bucket(bucket.to_owned())),
        }
    }
}

/// One record, and the place where it and those beside it are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordAt {
    pub(crate) place: RecordsPlace,
    pub(crate) key: String,
}

impl RecordAt {
    /// The last four parts are the key: <kind>/<rule>/<date>/<run>-<batch>.json.
    fn parse(text: &str, kinds: &[&str]) -> Option<Self> {
        let parts: Vec<_> = text.rsplitn(5, '/').collect();
        let [file, date, rule, kind, ..] = parts[..] else { return None };
        let place = match parts.get(4) {
            None => RecordsPlace::Folder(".".into()),
            Some(&"") => RecordsPlace::Folder("/".into()),
            Some(place) => place.parse().ok()?,
        };
        kinds.contains(&kind).then(|| Self { place, key: format!("{kind}/{rule}/{date}/{file}") })
    }

    /// The ID of its rule.
    pub(crate) fn rule(&self) -> &str {
        self.key.split('/').nth(1).unwrap_or_default()
    }
}

fn report_or_plan(text: &str) -> Result<RecordAt, Error> {
    RecordAt::parse(text, &["reports", "plans"]).ok_or_else(|| Error::Report(text.to_owned()))
}

fn plan(text: &str) -> Result<RecordAt, Error> {
    RecordAt::parse(text, &["plans"]).ok_or_else(|| Error::Plan(text.to_owned()))
}

/// A region's code, from its code or its name.
pub(crate) fn region(text: &str) -> Result<String, Error> {
    match netskope::Region::parse(text) {
        netskope::Region::Code(code) => Ok(code.to_owned()),
        _ => Err(Error::Region(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn plan_args(arguments: &[&str]) -> Result<RunArgs, clap::Error> {
        let line = ["autoremediate", "plan"].iter().chain(arguments);
        match Cli::try_parse_from(line)?.command {
            Command::Plan(run) => Ok(run),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_prints_json_and_takes_a_profile_and_a_region_where_it_calls_aws() {
        let has = |command: &clap::Command, name: &str| command.get_arguments().any(|arg| arg.get_id() == name);
        // What a shell completes is a script in any case, and a schema JSON.
        for command in Cli::command().get_subcommands() {
            if ["completions", "policy"].contains(&command.get_name()) {
                continue;
            }
            assert!(has(command, "json"), "{}", command.get_name());
            if command.get_name() != "rules" {
                assert!(has(command, "profile") && has(command, "region"), "{}", command.get_name());
            }
        }
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let run = plan_args(&["--findings", "-"]).unwrap();
        assert_eq!(run.access.role_name, "autoremediate-{rule}");
        assert_eq!(run.records, RecordsPlace::Folder("./autoremediate-records".into()));
        assert!(run.rules.is_empty() && run.accounts.is_empty() && run.region.is_none() && !run.json);
    }

    #[test]
    fn findings_come_from_exactly_one_place() {
        assert_eq!(plan_args(&[]).unwrap_err().kind(), ErrorKind::MissingRequiredArgument);
        let two = plan_args(&["--findings", "x", "--netskope-tenant", "example.goskope.com"]);
        assert_eq!(two.unwrap_err().kind(), ErrorKind::ArgumentConflict);
    }

    #[test]
    fn a_bad_argument_says_what_is_accepted() {
        for (argument, value, accepted) in [
            ("--account", "1234", "twelve digits"),
            ("--region", "eu-centrall-1", "eu-central-1"),
            ("--region", "global", "eu-central-1"),
            ("--records", "s3://bucket/prefix", "s3://<bucket>"),
            ("--records", "https://bucket", "s3://<bucket>"),
        ] {
            let error = plan_args(&["--findings", "x", argument, value]).unwrap_err().to_string();
            assert!(error.contains(value) && error.contains(accepted), "{error}");
        }
    }

    #[test]
    fn a_region_is_a_code_or_a_name() {
        for text in ["eu-central-1", "Europe (Frankfurt)"] {
            assert_eq!(region(text).unwrap(), "eu-central-1");
        }
    }

    #[test]
    fn records_are_in_a_bucket_or_a_folder() {
        assert_eq!("s3://records/".parse::<RecordsPlace>().unwrap(), RecordsPlace::Bucket("records".into()));
        assert_eq!("records".parse::<RecordsPlace>().unwrap(), RecordsPlace::Folder("records".into()));
    }

    #[test]
    fn a_report_says_where_the_records_are() {
        let (key, bucket) = ("reports/r/2026-01-02/x-1.json", RecordsPlace::Bucket("records".into()));
        for (text, place) in [
            ("s3://records/reports/r/2026-01-02/x-1.json", bucket),
            ("./a/b/reports/r/2026-01-02/x-1.json", RecordsPlace::Folder("./a/b".into())),
            ("/reports/r/2026-01-02/x-1.json", RecordsPlace::Folder("/".into())),
            ("reports/r/2026-01-02/x-1.json", RecordsPlace::Folder(".".into())),
        ] {
            assert_eq!(report_or_plan(text).unwrap(), RecordAt { place, key: key.into() }, "{text}");
        }
        assert!(report_or_plan("s3://records/plans/r/2026-01-02/x-1.json").is_ok());
        for text in
            ["", "x-1.json", "s3://records/findings/r/2026-01-02/x-1.json", "s3://a/b/reports/r/d/x", "s3://records"]
        {
            let error = report_or_plan(text).unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")) && error.contains("reports/<rule>"), "{error}");
            assert!(plan(text).unwrap_err().to_string().contains("plans/<rule>"));
        }
        assert_eq!(plan("plans/r/2026-01-02/x-1.json").unwrap().rule(), "r");
    }

    #[test]
    fn the_token_is_no_argument() {
        let error = plan_args(&["--netskope-tenant", "example.goskope.com", "--netskope-token", "x"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownArgument);
    }
}
