//! Arguments that several commands share.

use std::path::{Path, PathBuf};

use clap::builder::{BoolValueParser, TypedValueParser};
use clap::{ArgMatches, Args, Command, FromArgMatches};
use clap_complete::ArgValueCompleter;
use remediation::policy::LONGEST_REASON;

use crate::commands::complete;
use crate::error::Error;
use crate::print::page::Format;
use crate::print::pager::Paging;
use crate::print::question::{self, Consent};
use crate::print::text::quoted;
use crate::session::access::Access;
use crate::session::policy::Asked;
use crate::session::records::Company;

/// The role of each rule in the target accounts, as Terraform names it.
pub(crate) const ROLE_NAME: &str = "autoremediate-{rule}";

/// What reaches AWS in the same way, as arguments of another command, which begin with a space.
pub(crate) fn again(region: Option<&String>, profile: Option<&String>, role_name: &String) -> String {
    let role_name = Some(role_name).filter(|name| *name != ROLE_NAME);
    let given = [("--region", region), ("--profile", profile), ("--role-name", role_name)];
    let given = given.into_iter().filter_map(|(flag, value)| Some(format!(" {flag} {}", quoted(value?))));
    given.collect()
}

/// How AWS is reached.
#[derive(Debug, Args)]
pub(crate) struct AccessArgs {
    /// The AWS region to work in, by its code or name. Default: the region of the AWS configuration.
    #[arg(long, value_name = "REGION", value_parser = region, add = ArgValueCompleter::new(complete::region))]
    pub(crate) region: Option<String>,
    /// The profile of the AWS configuration to use.
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(complete::profile))]
    pub(crate) profile: Option<String>,
    /// The role to assume in each account; {rule} stands for the rule's ID. It must trust the caller's identity.
    #[arg(long, value_name = "NAME", default_value = ROLE_NAME)]
    pub(crate) role_name: String,
    /// The external ID that the roles require.
    #[arg(long, value_name = "ID", env = "EXTERNAL_ID", hide_env_values = true)]
    pub(crate) external_id: Option<String>,
}

impl AccessArgs {
    /// The same, as arguments of another command, which begin with a space. The external ID is not among them.
    pub(crate) fn again(&self) -> String {
        again(self.region.as_ref(), self.profile.as_ref(), &self.role_name)
    }

    /// What these arguments mean.
    pub(crate) fn access(&self) -> Access {
        let Self { region, profile, role_name, external_id } = self;
        Access {
            profile: profile.clone(),
            region: region.clone(),
            ask: question::ask,
            role_name: role_name.clone(),
            external_id: external_id.clone(),
        }
    }
}

/// Which policy is in force.
#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// A policy of your own. It can only narrow the bucket's policy.json, which holds in any case; with records in a
    /// folder, it is the only policy.
    #[arg(long = "policy", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl PolicyArgs {
    /// The policy, as it is kept to.
    pub(crate) fn asked(&self) -> Asked<'_> {
        Asked { file: self.file.as_deref(), emergency: None }
    }

    /// The policy, as it is kept to but for an override.
    pub(crate) fn asked_but_for<'a>(&'a self, overriding: &'a OverrideArgs) -> Asked<'a> {
        Asked { emergency: overriding.reason.as_deref(), ..self.asked() }
    }

    /// The file.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

/// Whether the bucket's policy is kept to.
#[derive(Debug, Args)]
pub(crate) struct OverrideArgs {
    /// In an emergency: write although the bucket's policy is paused, or its mode is not apply.
    ///
    /// Its exemptions, limits, guards and settings still hold; with --policy, that file takes the place of all of it. The
    /// reason is recorded in the bucket and in the reports, and an alarm is raised.
    #[arg(long = "override", value_name = "REASON", value_parser = reason)]
    reason: Option<String>,
}

/// A reason, of which a record has room.
pub(crate) fn reason(text: &str) -> Result<String, Error> {
    let text = text.trim();
    let fits = !text.is_empty() && text.chars().count() <= LONGEST_REASON;
    fits.then(|| text.to_owned()).ok_or(Error::Reason { most: LONGEST_REASON })
}

/// Whether anybody else may be at work on the same resources.
#[derive(Debug, Args)]
pub(crate) struct CompanyArgs {
    /// Write although the records are in a folder. Only for when nobody else, person or deployment, is working on these
    /// resources: in a bucket, everybody can see who is working on what.
    #[arg(long = "alone", action = clap::ArgAction::SetTrue, value_parser = company())]
    pub(crate) company: Company,
}

/// `--alone`.
fn company() -> impl TypedValueParser<Value = Company> {
    BoolValueParser::new().map(|is_given| if is_given { Company::Alone } else { Company::Perhaps })
}

/// How the result is printed.
#[derive(Debug)]
pub(crate) struct OutputArgs {
    pub(crate) format: Format,
    /// Whether a result of which nothing is asked may be shown by a pager.
    pub(crate) paging: Paging,
}

/// The arguments of [`OutputArgs`], as they are written.
#[derive(Args)]
struct WrittenOutput {
    /// How to print the result: as a table or list for people, as one JSON document, or as comma-separated values.
    #[arg(long = "output", id = "format", value_name = "FORMAT", value_enum, default_value = "table")]
    format: Format,
    /// Print one JSON document: short for --output json.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Print comma-separated values: short for --output csv.
    #[arg(long, conflicts_with_all = ["format", "json"])]
    csv: bool,
    /// Print a long result at once. On a terminal it is shown by the pager that AUTOREMEDIATE_PAGER or PAGER names, or less.
    #[arg(long)]
    no_pager: bool,
}

impl From<WrittenOutput> for OutputArgs {
    fn from(WrittenOutput { format, json, csv, no_pager }: WrittenOutput) -> Self {
        Self {
            format: match (json, csv) {
                (true, _) => Format::Json,
                (_, true) => Format::Csv,
                _ => format,
            },
            paging: if no_pager { Paging::Off } else { Paging::Allowed },
        }
    }
}

impl FromArgMatches for OutputArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        WrittenOutput::from_arg_matches(matches).map(Self::from)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for OutputArgs {
    fn augment_args(command: Command) -> Command {
        WrittenOutput::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        WrittenOutput::augment_args_for_update(command)
    }
}

/// `--yes`, or a question; after what is printed before a question, there is no pager.
pub(crate) fn paging(consent: Consent, output: &OutputArgs) -> Paging {
    if consent == Consent::Ask { Paging::Asks } else { output.paging }
}

/// `--yes`.
pub(crate) fn consent() -> impl TypedValueParser<Value = Consent> {
    BoolValueParser::new().map(|is_given| if is_given { Consent::Given } else { Consent::Ask })
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
    use super::*;

    #[test]
    fn an_override_has_a_reason() {
        assert_eq!(reason(" ticket 4711\n").unwrap(), "ticket 4711");
        for text in ["", " \t", &"x".repeat(LONGEST_REASON + 1)] {
            assert!(reason(text).unwrap_err().to_string().contains("at most 1000"), "{text}");
        }
    }

    #[test]
    fn a_region_is_a_code_or_a_name() {
        for text in ["eu-central-1", "Europe (Frankfurt)"] {
            assert_eq!(region(text).unwrap(), "eu-central-1");
        }
    }
}
