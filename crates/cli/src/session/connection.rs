//! A connection: credentials that work, the region, and the store of records.

use aws_config::SdkConfig;
use remediation::{Error as CallError, Records};

use crate::error::Error;
use crate::session::access::{self, Access};
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
    /// Where there are no credentials, or no region.
    pub(crate) async fn open(access: Access, place: RecordsPlace) -> Result<Self, Error> {
        let config = access.load().await;
        access.credentials(&config).await?;
        let region = access::region(&config)?;
        let records = place.open(&config);
        Ok(Self { access, config, region, place, records })
    }

    /// Where a person finds the record `key`.
    pub(crate) fn locate(&self, key: &str) -> String {
        locate(&self.records, key)
    }

    /// The ARN of whoever runs this.
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>
    pub(crate) async fn caller(&self) -> Result<String, Error> {
        let action = "sts:GetCallerIdentity";
        let identity = aws_sdk_sts::Client::new(&self.config).get_caller_identity().send().await;
        let identity = identity.map_err(|error| Error::Caller(CallError::api(action, error)))?;
        identity.arn.ok_or_else(|| Error::Caller(CallError::unusable(action, "no ARN")))
    }
}
