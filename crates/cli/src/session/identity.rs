//! Who runs this.

use aws_config::SdkConfig;
use remediation::{AccountId, Error as CallError};

use crate::error::Error;

const ACTION: &str = "sts:GetCallerIdentity";

/// Whoever the credentials are of. Asking needs no permission.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>
#[derive(Debug)]
pub(crate) struct Identity {
    arn: Option<String>,
    account: Option<String>,
}

impl Identity {
    /// # Errors
    ///
    /// AWS does not answer.
    pub(crate) async fn ask(config: &SdkConfig) -> Result<Self, Error> {
        let answer = aws_sdk_sts::Client::new(config).get_caller_identity().send().await;
        let answer = answer.map_err(|error| Error::Caller(CallError::api(ACTION, error)))?;
        Ok(Self { arn: answer.arn, account: answer.account })
    }

    /// # Errors
    ///
    /// AWS's answer has none.
    pub(crate) fn arn(self) -> Result<String, Error> {
        self.arn.ok_or_else(|| Error::Caller(CallError::unusable(ACTION, "no ARN")))
    }

    /// # Errors
    ///
    /// AWS's answer has none.
    pub(crate) fn account(self) -> Result<AccountId, Error> {
        let account = self.account.and_then(|account| account.parse().ok());
        account.ok_or_else(|| Error::Caller(CallError::unusable(ACTION, "no account")))
    }
}
