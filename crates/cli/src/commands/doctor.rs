//! `doctor`: whether the rules have all they need. It looks, and changes nothing.
//!
//! Each module checks one area and never fails as a whole: what cannot be found out is a failed check with its fix, so
//! that one account that is out of reach does not hide the others.

mod account;
mod accounts;
mod bucket;
mod caller;
mod check;
mod dry_run;
mod netskope;
mod predecessor;

use std::path::PathBuf;

use clap::Args;
use clap::builder::{BoolValueParser, TypedValueParser};
use clap_complete::ArgValueCompleter;
use engine::Progress;
use futures::StreamExt;
use futures::stream;
use remediation::AccountId;

use crate::commands::arguments::{self, AccessArgs, OutputArgs};
use crate::commands::complete;
use crate::commands::doctor::account::Visit;
use crate::commands::doctor::caller::{Caller, Credentials};
use crate::commands::doctor::check::{Area, Check, Checks, ShownChecks};
use crate::commands::doctor::predecessor::Stack;
use crate::commands::help::{self, SIMPLE_EXIT_CODES};
use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::Page;
use crate::print::progress::Bar;
use crate::session::access;
use crate::session::records::RecordsPlace;
use crate::session::rules;
use crate::session::tenant::{self, Tenant};

/// How many accounts are checked at the same time.
const AT_ONCE: usize = 8;

/// What to check.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Only what this rule needs, by its ID; can be repeated. Default: every rule.
    #[arg(long = "rule", value_name = "ID", add = ArgValueCompleter::new(complete::rule))]
    rules: Vec<String>,
    /// Check this target account, by its twelve digits; can be repeated.
    #[arg(long = "account", value_name = "ID")]
    accounts: Vec<AccountId>,
    /// Check the target accounts in a file: one ID a line; empty lines and text after # are ignored.
    #[arg(long, value_name = "FILE")]
    accounts_file: Option<PathBuf>,
    #[command(flatten)]
    access: AccessArgs,
    /// Ask AWS in these regions, by their codes or names, with commas between them: for runbooks, dry runs and Netskope's own
    /// stacks. Default: the region that is worked in.
    #[arg(long, value_name = "REGIONS", value_delimiter = ',', value_parser = arguments::region)]
    regions: Vec<String>,
    /// The role to assume in each account for the checks.
    #[arg(long, value_name = "NAME", default_value = "autoremediate-doctor")]
    doctor_role_name: String,
    /// Check this Netskope tenant, by its domain name. NETSKOPE_TOKEN holds its REST API v1 token. Default: the tenant that
    /// NETSKOPE_TENANT names.
    #[arg(long, value_name = "FQDN")]
    netskope_tenant: Option<String>,
    /// Check the Netskope API at another address, such as a proxy.
    #[arg(long, value_name = "URL", hide_short_help = true, conflicts_with = "netskope_tenant")]
    netskope_endpoint: Option<String>,
    /// Check the bucket of the deployment: s3://bucket.
    #[arg(long, value_name = "PLACE", value_parser = bucket)]
    records: Option<String>,
    /// Show every check. Without it, checks that passed are counted.
    #[arg(long = "all", action = clap::ArgAction::SetTrue, value_parser = shown(), alias = "verbose")]
    shown: ShownChecks,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `--all`.
fn shown() -> impl TypedValueParser<Value = ShownChecks> {
    BoolValueParser::new().map(|is_given| if is_given { ShownChecks::All } else { ShownChecks::WithAFix })
}

impl DoctorArgs {
    /// The accounts of the arguments and of the file, each once.
    fn every_account(&self) -> Result<Vec<AccountId>, Error> {
        let mut every = self.accounts.clone();
        if let Some(path) = &self.accounts_file {
            every.extend(accounts::read(path)?);
        }
        every.sort();
        every.dedup();
        Ok(every)
    }

    /// The regions of the arguments, each once; `own` where they name none.
    fn every_region(&self, own: &str) -> Vec<String> {
        let mut every = if self.regions.is_empty() { vec![own.to_owned()] } else { self.regions.clone() };
        every.sort();
        every.dedup();
        every
    }

    fn tenant(&self) -> Option<Tenant> {
        let address = || self.netskope_endpoint.clone().map(Tenant::Address);
        self.netskope_tenant.clone().map(Tenant::Domain).or_else(address).or_else(tenant::of_environment)
    }
}

/// The bucket's name.
fn bucket(text: &str) -> Result<String, Error> {
    match text.parse()? {
        RecordsPlace::Bucket(bucket) => Ok(bucket),
        RecordsPlace::Folder(_) => Err(Error::Records(text.to_owned())),
    }
}

pub(crate) fn help() -> String {
    help::below(
        SIMPLE_EXIT_CODES,
        "
  Check that one account has what all rules need:
    export EXTERNAL_ID=...
    autoremediate doctor --account 111122223333

  Check everything: the accounts in a file, the bucket, and Netskope:
    export NETSKOPE_TOKEN=...
    autoremediate doctor --accounts-file accounts.txt --records s3://bucket --netskope-tenant example.goskope.com

  Check three regions of an account:
    autoremediate doctor --account 111122223333 --regions eu-west-1,eu-central-1,us-east-1

  Show every check, also those that passed:
    autoremediate doctor --account 111122223333 --all

  Check what one rule needs, as JSON:
    autoremediate doctor --rule s3-public-bucket --account 111122223333 --json",
    )
}

/// Checks, and shows what is missing and how to fix it.
pub(crate) async fn doctor(args: &DoctorArgs, bar: &Bar, page: &mut Page<'_>) -> Result<Exit, Error> {
    let rules = rules::select(&args.rules)?;
    let manifests = rules::manifests(&rules);
    let accounts = args.every_account()?;
    let access = args.access.access();
    let config = access.load().await?;
    let region = access::region(&config)?;
    let regions = args.every_region(&region);

    bar.planning(accounts.len());
    let Caller { mut checks, credentials, account } = caller::check(&config, &access).await;
    checks.extend(netskope::check(args.tenant().as_ref(), &manifests).await);
    if credentials == Credentials::Accepted {
        let ids: Vec<_> = manifests.iter().map(|manifest| manifest.id.as_str()).collect();
        let (iam, stack) = (aws_sdk_iam::Client::new(&config), Check::of(Area::Caller, "Netskope's own stack"));
        checks.push(Stack::Central.look(&iam, &ids, &regions, stack).await);
        let (of_bucket, policy) = bucket::check(args.records.as_deref(), account, &rules, &config).await;
        checks.extend(of_bucket);
        let visit =
            Visit::new(access, args.doctor_role_name.clone(), &manifests, config, regions).under(policy.as_ref());
        let visits = stream::iter(&accounts).map(|account| Box::pin(visit.check(account))).buffered(AT_ONCE);
        let visited: Vec<_> = visits.inspect(|_| bar.planned()).collect().await;
        checks.extend(visited.into_iter().flatten());
    }
    if accounts.is_empty() {
        checks.push(Check::of(Area::Account, "accounts").skipped("none given: --account or --accounts-file"));
    }
    bar.clear();
    Checks(checks).print(args.output.format, args.shown, page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bucket_can_be_checked() {
        assert_eq!(bucket("s3://records").unwrap(), "records");
        assert!(bucket("./records").unwrap_err().to_string().contains("s3://<bucket>"));
    }
}
