//! What `inbox`, `show`, `approve` and `reject` share: where the records are, and which of what waits is meant.

use clap::Args;
use clap_complete::ArgValueCompleter;
use jiff::SignedDuration;
use remediation::{AccountId, Records, Region};

use crate::commands::arguments::again;
use crate::commands::complete;
use crate::commands::moments::age;
use crate::commands::pauses::region;
use crate::error::Error;
use crate::print::question;
use crate::session::access::Access;
use crate::session::cards::Which;
use crate::session::connection::Connection;
use crate::session::decisions::Asked;
use crate::session::records::{RecordAt, RecordsPlace};
use crate::session::rules;

/// Where AWS is asked who somebody is that works in a folder, where no region is set.
const REGION_OF_FOLDERS: &str = "us-east-1";

/// Where plans, reports and cards are, and how they are reached.
#[derive(Debug, Args)]
pub(crate) struct RecordsArgs {
    /// Where plans, reports and cards are: s3://bucket, or a folder. A plan or report that is named says it itself.
    #[arg(long, value_name = "PLACE")]
    records: Option<RecordsPlace>,
    /// The code of the bucket's region. Default: the region of the AWS configuration.
    #[arg(long, value_name = "REGION", add = ArgValueCompleter::new(complete::region))]
    records_region: Option<String>,
    /// The profile of the AWS configuration to use.
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(complete::profile))]
    profile: Option<String>,
}

/// The roles in the accounts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Roles {
    pub(crate) name: String,
    pub(crate) external_id: Option<String>,
}

impl RecordsArgs {
    /// The place of the records: that of those which are named, or else that of `--records`.
    ///
    /// # Errors
    ///
    /// There is none, or there are several.
    pub(crate) fn place(&self, named: &[RecordAt]) -> Result<RecordsPlace, Error> {
        let places = self.records.iter().chain(named.iter().map(|record| &record.place));
        let mut places = places.collect::<Vec<_>>().into_iter();
        let first = places.next().ok_or(Error::NoRecordsPlace)?;
        match places.find(|place| *place != first) {
            Some(other) => Err(Error::Places { one: first.to_string(), other: other.to_string() }),
            None => Ok(first.clone()),
        }
    }

    /// What reaches the same, with these roles, as arguments of another command.
    pub(crate) fn again(&self, role_name: &String) -> String {
        again(self.records_region.as_ref(), self.profile.as_ref(), role_name)
    }

    /// The records at `place`, to be read. A folder needs neither a region nor credentials.
    ///
    /// # Errors
    ///
    /// There is no region of a bucket, or there are no credentials for it.
    pub(crate) async fn read(&self, place: RecordsPlace) -> Result<Records, Error> {
        match place {
            RecordsPlace::Folder(folder) => Ok(Records::Folder(folder)),
            bucket @ RecordsPlace::Bucket(_) => Ok(self.open(bucket, Roles::default()).await?.records),
        }
    }

    /// Connects to the records at `place`, as somebody who assumes these roles in the accounts, if any. For a folder AWS is
    /// asked only who that is, and for the roles: where no region is set, it is asked in the one that every account of
    /// `aws` has.
    ///
    /// # Errors
    ///
    /// There is no region of a bucket, or there are no credentials.
    pub(crate) async fn open(&self, place: RecordsPlace, roles: Roles) -> Result<Connection, Error> {
        let (profile, region) = (self.profile.clone(), self.records_region.clone());
        let Roles { name: role_name, external_id } = roles;
        let access = Access { profile, region, ask: question::ask, role_name, external_id };
        match (Connection::open(access.clone(), place.clone()).await, &place) {
            (Err(Error::NoRegion), RecordsPlace::Bucket(_)) => Err(Error::NoRecordsRegion),
            (Err(Error::NoRegion), RecordsPlace::Folder(_)) => {
                Connection::open(Access { region: Some(REGION_OF_FOLDERS.into()), ..access }, place).await
            }
            (connection, _) => connection,
        }
    }
}

/// Which resources: all that is given must apply.
#[derive(Debug, Args)]
pub(crate) struct WhichArgs {
    /// Only what is of this rule, by its ID; can be repeated.
    #[arg(long = "rule", value_name = "ID", add = ArgValueCompleter::new(complete::rule))]
    rules: Vec<String>,
    /// Only what is in this account, by its twelve digits; can be repeated.
    #[arg(long = "account", value_name = "ID")]
    accounts: Vec<AccountId>,
    /// Only what is in this region, by its code or name; global: what has no region, such as IAM users. Can be repeated.
    #[arg(
        long = "region", value_name = "REGION", value_parser = region, add = ArgValueCompleter::new(complete::region)
    )]
    regions: Vec<Region>,
    /// Only this resource, by its ARN or the name that the ARN ends with; can be repeated.
    #[arg(long = "resource", value_name = "ARN")]
    resources: Vec<String>,
}

/// Which of what waits: all that is given must apply.
#[derive(Debug, Args)]
pub(crate) struct WaitingArgs {
    #[command(flatten)]
    pub(crate) which: WhichArgs,
    /// Only what has waited for so long, such as 4h or 2d.
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(crate) older_than: Option<SignedDuration>,
}

impl WhichArgs {
    /// What these arguments mean.
    ///
    /// # Errors
    ///
    /// There is no such rule.
    pub(crate) fn which(&self) -> Result<Which, Error> {
        rules::select(&self.rules)?;
        let Self { rules, accounts, regions, resources } = self;
        let (rules, accounts) = (rules.clone(), accounts.clone());
        Ok(Which { rules, accounts, regions: regions.clone(), resources: resources.clone() })
    }
}

impl WaitingArgs {
    /// What these arguments, and these plans, ask for.
    ///
    /// # Errors
    ///
    /// There is no such rule.
    pub(crate) fn asked(&self, plans: &[RecordAt]) -> Result<Asked, Error> {
        let plans = plans.iter().map(|plan| plan.key.clone()).collect();
        Ok(Asked { plans, which: self.which.which()?, older_than: self.older_than })
    }
}
