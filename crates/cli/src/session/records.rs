//! Where plans and reports are kept, as people write it.

use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;
use std::str::FromStr;

use aws_config::SdkConfig;
use remediation::{Folder, Records};

use crate::error::Error;
use crate::session::identity::Identity;

/// The retention of plans, reports and approvals, where the bucket's policy asks for one, as the deployment's variable
/// `object_lock` has it.
const OBJECT_LOCK: &str = "OBJECT_LOCK";

/// A place for records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RecordsPlace {
    Bucket(String),
    Folder(PathBuf),
}

/// Who else may be at work on the same resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Company {
    /// Runs of the deployment, or other people.
    Perhaps,
    /// Nobody: `--alone`.
    Alone,
}

impl RecordsPlace {
    /// Whether something may be written to an account.
    ///
    /// # Errors
    ///
    /// [`Error::NotAlone`] in a folder, where nobody else sees what this command has claimed, unless there is nobody.
    pub(crate) fn may_write(&self, company: Company) -> Result<(), Error> {
        match (self, company) {
            (Self::Folder(folder), Company::Perhaps) => Err(Error::NotAlone { folder: folder.clone() }),
            _ => Ok(()),
        }
    }

    /// The store at this place. A bucket must be of the account of whoever runs this, because its policy takes records
    /// from roles of its own account only.
    ///
    /// # Errors
    ///
    /// AWS does not say which account that is, or the retention that the environment asks for is none.
    pub(crate) async fn open(&self, config: &SdkConfig) -> Result<Records, Error> {
        match self {
            Self::Bucket(bucket) => {
                let (client, owner) = (aws_sdk_s3::Client::new(config), Identity::ask(config).await?.account()?);
                let retention = std::env::var(OBJECT_LOCK).ok().map(|text| text.parse()).transpose()?;
                Ok(Records::Bucket { client, bucket: bucket.clone(), owner, retention })
            }
            Self::Folder(folder) => Ok(Records::Folder(folder.clone())),
        }
    }
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

impl Display for RecordsPlace {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::Bucket(bucket) => format!("s3://{bucket}"),
            Self::Folder(folder) => folder.display().to_string(),
        })
    }
}

/// One record, and the place where it and those beside it are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordAt {
    pub(crate) place: RecordsPlace,
    pub(crate) key: String,
}

impl RecordAt {
    /// A report, or the plan of a run that left none.
    pub(crate) fn report_or_plan(text: &str) -> Result<Self, Error> {
        Self::parse(text, &[Folder::Reports, Folder::Plans]).ok_or_else(|| Error::Report(text.to_owned()))
    }

    /// A plan.
    pub(crate) fn plan(text: &str) -> Result<Self, Error> {
        Self::parse(text, &[Folder::Plans]).ok_or_else(|| Error::Plan(text.to_owned()))
    }

    /// The ID of its rule.
    pub(crate) fn rule(&self) -> &str {
        rule_of(&self.key)
    }

    /// The last four parts are the key: `<kind>/<rule>/<date>/<run>-<batch>.json`.
    fn parse(text: &str, kinds: &[Folder]) -> Option<Self> {
        let parts: Vec<_> = text.rsplitn(5, '/').collect();
        let [file, date, rule, kind, ..] = parts[..] else { return None };
        let place = match parts.get(4) {
            None => RecordsPlace::Folder(".".into()),
            Some(&"") => RecordsPlace::Folder("/".into()),
            Some(place) => place.parse().ok()?,
        };
        kinds.iter().any(|of| of.name() == kind).then(|| Self { place, key: format!("{kind}/{rule}/{date}/{file}") })
    }
}

/// The ID of the rule whose record has this key.
pub(crate) fn rule_of(key: &str) -> &str {
    key.split('/').nth(1).unwrap_or_default()
}

/// Where a person finds the record `key`.
pub(crate) fn locate(records: &Records, key: &str) -> String {
    match records {
        Records::Bucket { bucket, .. } => format!("s3://{bucket}/{key}"),
        Records::Folder(folder) => folder.join(key).display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_in_a_bucket_or_a_folder() {
        assert_eq!("s3://records/".parse::<RecordsPlace>().unwrap(), RecordsPlace::Bucket("records".into()));
        assert_eq!("records".parse::<RecordsPlace>().unwrap(), RecordsPlace::Folder("records".into()));
        for text in ["s3://records", "./records"] {
            assert_eq!(text.parse::<RecordsPlace>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn in_a_folder_only_who_is_alone_may_write() {
        let (bucket, folder) = (RecordsPlace::Bucket("b".into()), RecordsPlace::Folder("./records".into()));
        assert!(bucket.may_write(Company::Perhaps).is_ok() && bucket.may_write(Company::Alone).is_ok());
        assert!(folder.may_write(Company::Alone).is_ok());
        let error = folder.may_write(Company::Perhaps).unwrap_err().to_string();
        assert!(["`./records`", "s3://<bucket>", "--alone"].iter().all(|part| error.contains(part)), "{error}");
    }

    #[test]
    fn a_report_tells_where_the_records_are() {
        let (key, bucket) = ("reports/r/2026-01-02/x-1.json", RecordsPlace::Bucket("records".into()));
        for (text, place) in [
            ("s3://records/reports/r/2026-01-02/x-1.json", bucket),
            ("./a/b/reports/r/2026-01-02/x-1.json", RecordsPlace::Folder("./a/b".into())),
            ("/reports/r/2026-01-02/x-1.json", RecordsPlace::Folder("/".into())),
            ("reports/r/2026-01-02/x-1.json", RecordsPlace::Folder(".".into())),
        ] {
            assert_eq!(RecordAt::report_or_plan(text).unwrap(), RecordAt { place, key: key.into() }, "{text}");
        }
        assert!(RecordAt::report_or_plan("s3://records/plans/r/2026-01-02/x-1.json").is_ok());
        for text in
            ["", "x-1.json", "s3://records/findings/r/2026-01-02/x-1.json", "s3://a/b/reports/r/d/x", "s3://records"]
        {
            let error = RecordAt::report_or_plan(text).unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")) && error.contains("reports/<rule>"), "{error}");
            assert!(RecordAt::plan(text).unwrap_err().to_string().contains("plans/<rule>"));
        }
        assert_eq!(RecordAt::plan("plans/r/2026-01-02/x-1.json").unwrap().rule(), "r");
    }
}
