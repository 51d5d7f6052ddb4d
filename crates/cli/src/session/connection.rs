//! A connection: credentials that work, the region, and the store of records.

use aws_config::SdkConfig;
use remediation::Records;

use crate::error::Error;
use crate::session::access::{self, Access};
use crate::session::identity::Identity;
use crate::session::records::{RecordsPlace, locate};

/// What every command that changes or reads records needs.
pub(crate) struct Connection {
    pub(crate) access: Access,
    pub(crate) config: SdkConfig,
    /// The region's code.
    pub(crate) region: String,
    pub(crate) place: RecordsPlace,
    pub(crate) records: Records,
}

impl Connection {
    /// Loads the credentials and opens the store.
    ///
    /// # Errors
    ///
    /// Where there is no region, or there are no credentials.
    pub(crate) async fn open(access: Access, place: RecordsPlace) -> Result<Self, Error> {
        let config = access.load().await?;
        let region = access::region(&config)?;
        access.credentials(&config).await?;
        let records = place.open(&config).await?;
        Ok(Self { access, config, region, place, records })
    }

    /// Where a person finds the record `key`.
    pub(crate) fn locate(&self, key: &str) -> String {
        locate(&self.records, key)
    }

    /// The ARN of whoever runs this.
    pub(crate) async fn caller(&self) -> Result<String, Error> {
        Identity::ask(&self.config).await?.arn()
    }
}
