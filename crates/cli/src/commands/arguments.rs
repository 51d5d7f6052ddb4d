//! Arguments that several commands share.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{BoolValueParser, TypedValueParser};
use remediation::policy::LONGEST_REASON;

use crate::error::Error;
use crate::print::page::Format;
use crate::print::question::{self, Consent};
use crate::session::access::Access;
use crate::session::policy::Asked;
use crate::session::records::Company;

/// How AWS is reached.
#[derive(Debug, Args)]
pub(crate) struct AccessArgs {
    /// The AWS region to work in, by its code or name. Default: the region of the AWS configuration.
    #[arg(long, value_name = "REGION", value_parser = region)]
    pub(crate) region: Option<String>,
    /// The profile of the AWS configuration to use.
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// The role to assume in each account; {rule} stands for the rule's ID. It must trust the caller's identity.
    #[arg(long, value_name = "NAME", default_value = "autoremediate-{rule}")]
    pub(crate) role_name: String,
    /// The external ID that the roles require.
    #[arg(long, value_name = "ID", env = "EXTERNAL_ID", hide_env_values = true)]
    pub(crate) external_id: Option<String>,
}

impl AccessArgs {
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
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Print one JSON document.
    #[arg(long = "json", action = clap::ArgAction::SetTrue, value_parser = format())]
    pub(crate) format: Format,
}

/// `--json`.
fn format() -> impl TypedValueParser<Value = Format> {
    BoolValueParser::new().map(|is_given| if is_given { Format::Json } else { Format::Table })
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
