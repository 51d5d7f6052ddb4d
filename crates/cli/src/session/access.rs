//! How AWS is reached: the configuration of the person who runs this, and the roles in the accounts.

use aws_config::{Region, SdkConfig};
use aws_sdk_sts::config::ProvideCredentials;
use aws_types::os_shim_internal::Env;
use netskope::Region as RegionName;
use remediation::{TargetRole, sdk_loader};

use crate::error::{Error, NoCredentials};
use crate::session::credentials::mfa::Ask;
use crate::session::credentials::{self, Chosen};

/// How AWS is reached.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// The profile of the AWS configuration, if not its default.
    pub(crate) profile: Option<String>,
    /// The region's code, if not that of the AWS configuration.
    pub(crate) region: Option<String>,
    /// How the code of an MFA device is asked for.
    pub(crate) ask: Ask,
    /// The role to assume in each account; `{rule}` stands for the rule's ID.
    pub(crate) role_name: String,
    /// What the trust policy of the roles asks for.
    pub(crate) external_id: Option<String>,
}

impl Access {
    /// The engine's own configuration, with this profile and region. Without a region, it is that of `AWS_REGION`,
    /// `AWS_DEFAULT_REGION` or the profile, in this order, as in the AWS CLI.
    ///
    /// # Errors
    ///
    /// A proxy or a file of certificates of the environment cannot be used, or the AWS configuration cannot be read or lacks
    /// the profile.
    pub(crate) async fn load(&self) -> Result<SdkConfig, Error> {
        let chosen = self.profile();
        let mut loader = sdk_loader(Some(chosen.name())).await?.no_credentials().profile_name(chosen.name());
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let config = loader.load().await;
        let provider = credentials::provider(&chosen, &config, self.ask).await?;
        Ok(config.to_builder().credentials_provider(provider).build())
    }

    /// Loads the credentials once, so that a fault of theirs is reported once and not for every resource.
    pub(crate) async fn credentials(&self, config: &SdkConfig) -> Result<(), NoCredentials> {
        let Some(provider) = config.credentials_provider() else { return Ok(()) };
        let loaded = Box::pin(provider.provide_credentials()).await;
        loaded.map(drop).map_err(|error| credentials::why(&error, &self.profile()))
    }

    fn profile(&self) -> Chosen {
        Chosen::of(self.profile.as_deref(), &Env::real())
    }

    /// The role to assume in the accounts for a rule.
    pub(crate) fn role(&self, rule: &str) -> TargetRole {
        TargetRole { name: self.role_name.replace("{rule}", rule), external_id: self.external_id.clone() }
    }
}

/// The region to work in.
///
/// # Errors
///
/// [`Error::NoRegion`] where neither the arguments nor the AWS configuration name one; [`Error::Region`] where what they
/// name is none.
pub(crate) fn region(config: &SdkConfig) -> Result<String, Error> {
    // A variable that is empty names none.
    let region = config.region().map(Region::as_ref).filter(|text| !text.is_empty()).ok_or(Error::NoRegion)?;
    match RegionName::parse(region) {
        RegionName::Code(code) if code == region => Ok(code),
        _ => Err(Error::Region(region.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_a_code_also_one_that_is_newer_than_this_version() {
        let of = |code: &'static str| region(&SdkConfig::builder().region(Region::new(code)).build());
        for code in ["eu-west-1", "xx-south-9", "mx-central-1", "us-gov-west-1"] {
            assert_eq!(of(code).unwrap(), code);
        }
        for code in ["Europe (Ireland)", "eu-west-1a", "eu west 1", "https://eu-west-1"] {
            assert!(matches!(of(code), Err(Error::Region(_))), "{code}");
        }
        assert!(matches!(of(""), Err(Error::NoRegion)));
        assert!(matches!(region(&SdkConfig::builder().build()), Err(Error::NoRegion)));
    }
}
