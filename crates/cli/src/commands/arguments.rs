//! Arguments that several commands share.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{BoolValueParser, TypedValueParser};

use crate::error::Error;
use crate::print::page::Format;
use crate::print::question::Consent;
use crate::session::access::Access;
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
            role_name: role_name.clone(),
            external_id: external_id.clone(),
        }
    }
}

/// Which policy is in force.
#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// The policy to obey. Default: the bucket's policy.json; with records in a folder, none.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
}

/// Whether anybody else may be at work on the same resources.
#[derive(Debug, Args)]
pub(crate) struct CompanyArgs {
    /// Write although the records are in a folder: nobody else is at work on these resources, neither a person nor a
    /// deployment. In a bucket, everybody sees who is at work on what.
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
fn region(text: &str) -> Result<String, Error> {
    match netskope::Region::parse(text) {
        netskope::Region::Code(code) => Ok(code.to_owned()),
        _ => Err(Error::Region(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_a_code_or_a_name() {
        for text in ["eu-central-1", "Europe (Frankfurt)"] {
            assert_eq!(region(text).unwrap(), "eu-central-1");
        }
    }
}
