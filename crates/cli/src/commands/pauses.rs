//! What `pause`, `resume` and `policy show` share: the deployment's bucket, what is stopped, and how pauses are printed.

use clap::Args;
use clap_complete::ArgValueCompleter;
use remediation::{AccountId, PAUSES_KEY, Pause, Region, Stops};
use serde::Serialize;

use crate::commands::complete;
use crate::error::Error;
use crate::print::page::{Format, Page};
use crate::print::pauses;
use crate::print::question;
use crate::session::access::Access;
use crate::session::connection::Connection;
use crate::session::records::RecordsPlace;
use crate::session::rules;

/// The bucket of a deployment, and how it is reached.
#[derive(Debug, Args)]
pub(crate) struct BucketArgs {
    /// The bucket of the deployment: s3://bucket.
    #[arg(long, value_name = "PLACE", value_parser = bucket)]
    records: RecordsPlace,
    /// The code of the bucket's region. Default: the region of the AWS configuration.
    #[arg(long, value_name = "REGION", add = ArgValueCompleter::new(complete::region))]
    records_region: Option<String>,
    /// The profile of the AWS configuration to use.
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(complete::profile))]
    profile: Option<String>,
}

impl BucketArgs {
    /// Connects to the bucket.
    pub(crate) async fn open(&self) -> Result<Connection, Error> {
        let (profile, region) = (self.profile.clone(), self.records_region.clone());
        let access = Access { profile, region, ask: question::ask, role_name: String::new(), external_id: None };
        let connection = Connection::open(access, self.records.clone()).await;
        connection.map_err(|error| match error {
            Error::NoRegion => Error::NoRecordsRegion,
            error => error,
        })
    }
}

/// What is stopped: everything that is given must apply.
#[derive(Debug, Args)]
pub(crate) struct StopsArgs {
    /// Only this rule, by its ID; can be repeated.
    #[arg(long = "rule", value_name = "ID", add = ArgValueCompleter::new(complete::rule))]
    rules: Vec<String>,
    /// Only this account, by its twelve digits; can be repeated.
    #[arg(long = "account", value_name = "ID")]
    accounts: Vec<AccountId>,
    /// Only what is in this region, by its code or name; global: what has no region, such as IAM users. Can be repeated.
    #[arg(
        long = "region", value_name = "REGION", value_parser = region, add = ArgValueCompleter::new(complete::region)
    )]
    regions: Vec<Region>,
}

impl StopsArgs {
    /// What these arguments mean.
    ///
    /// # Errors
    ///
    /// There is no such rule.
    pub(crate) fn stops(&self) -> Result<Stops, Error> {
        let Self { rules, accounts, regions } = self;
        rules::select(rules)?;
        Ok(Stops { rules: rules.clone(), accounts: accounts.clone(), regions: regions.clone() })
    }
}

/// What is paused now.
#[derive(Serialize)]
pub(crate) struct Paused<'a> {
    pauses_at: String,
    pauses: Vec<&'a Pause>,
}

impl<'a> Paused<'a> {
    pub(crate) fn of(connection: &Connection, pauses: &'a remediation::Pauses) -> Self {
        Self { pauses_at: connection.locate(PAUSES_KEY), pauses: pauses.in_force(ambient::now()).collect() }
    }

    /// Prints it, below what the command has done.
    pub(crate) fn print(&self, done: &str, format: Format, page: &mut Page<'_>) -> Result<(), Error> {
        if format == Format::Json {
            return Ok(page.json(self)?);
        }
        if format == Format::Csv {
            return Ok(page.csv(&pauses::table(&self.pauses))?);
        }
        page.line(done)?;
        if self.pauses.is_empty() {
            return Ok(page.line(format!("{} pauses nothing.", self.pauses_at))?);
        }
        page.line(format!("Paused by {}:", self.pauses_at))?;
        Ok(page.table(&pauses::table(&self.pauses))?)
    }
}

/// Says where the pauses are that could not be read or written, and who may do that.
pub(crate) fn with_place(error: Error, connection: &Connection) -> Error {
    match error {
        Error::Unreadable(source) => Error::Pauses { place: connection.locate(PAUSES_KEY), source },
        error => error,
    }
}

fn bucket(text: &str) -> Result<RecordsPlace, Error> {
    match text.parse()? {
        place @ RecordsPlace::Bucket(_) => Ok(place),
        RecordsPlace::Folder(_) => Err(Error::NoBucket(text.to_owned())),
    }
}

/// A region that there is: one that there is not would be paused, or looked for, in vain.
pub(crate) fn region(text: &str) -> Result<Region, Error> {
    match netskope::Region::parse(text) {
        netskope::Region::Global if !text.trim().is_empty() => Ok(Region::global()),
        known @ netskope::Region::Code(_) if known.is_known() => match known {
            netskope::Region::Code(code) => Ok(Region::code(code)),
            _ => Err(Error::PausedRegion(text.to_owned())),
        },
        _ => Err(Error::PausedRegion(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_in_a_bucket() {
        assert_eq!(bucket("s3://records").unwrap(), RecordsPlace::Bucket("records".into()));
        for text in ["./records", "https://records", "s3://records/x", ""] {
            let error = bucket(text).unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")) && error.contains("s3://<bucket>"), "{error}");
        }
    }

    #[test]
    fn only_a_region_that_there_is_can_be_paused() {
        for (text, code) in [("eu-west-1", "eu-west-1"), ("Europe (Ireland)", "eu-west-1"), ("global", "global")] {
            assert_eq!(region(text).unwrap().as_ref(), code);
        }
        for text in ["eu-west-9", "eu-westt-1", "", " ", "eu-west-1a", "everywhere"] {
            let error = region(text).unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")) && error.contains("eu-central-1"), "{error}");
        }
    }
}
