//! What a rule's client is made of: a session in an account and a region.

use aws_config::SdkConfig;
use aws_sdk_s3::config::Region as SdkRegion;

use super::AccountId;

/// What the name of a role that a rule passes on has after the name of the rule's own role.
pub const SERVICE_ROLE_SUFFIX: &str = "-service";

/// What the name of the role that takes a fix back has after the name of the rule's own role.
pub const UNDO_ROLE_SUFFIX: &str = "-undo";

/// What a session may do, and with which of a rule's roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionKind {
    /// The rule's own role, held to the manifest's read actions by a session policy.
    Read,
    /// All that the rule's own role may do: what a fix needs.
    Write,
    /// The role that takes a fix back, held to the manifest's read actions by a session policy.
    ReadForUndo,
    /// All that the role that takes a fix back may do.
    Undo,
}

impl SessionKind {
    /// Whether a session policy holds it to the manifest's read actions.
    pub fn is_read_only(self) -> bool {
        matches!(self, Self::Read | Self::ReadForUndo)
    }

    /// What the name of its role has after the name of the rule's own role.
    pub fn role_suffix(self) -> &'static str {
        match self {
            Self::Read | Self::Write => "",
            Self::ReadForUndo | Self::Undo => UNDO_ROLE_SUFFIX,
        }
    }
}

/// The role that a rule assumes in each target account.
#[derive(Debug, Clone)]
pub struct TargetRole {
    /// Its name, the same in every account.
    pub name: String,
    /// The external ID that its trust policy asks for.
    pub external_id: Option<String>,
}

/// A session in a target account.
#[derive(Debug, Clone)]
pub struct Target {
    /// SDK configuration with the session's credentials and region.
    pub config: SdkConfig,
    /// The account.
    pub account: AccountId,
    /// The region's code.
    pub region: String,
    /// The partition, such as `aws` or `aws-us-gov`.
    pub partition: &'static str,
    /// The ARN of the rule's own role, whichever of its roles was assumed.
    pub role_arn: String,
    /// The session's name, which no other run has.
    pub session_name: String,
}

impl Target {
    /// The same session in another region of the same partition.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        let config = self.config.to_builder().region(SdkRegion::new(region.to_owned())).build();
        Self { config, region: region.to_owned(), ..self.clone() }
    }

    /// The ARN of the role that the rule passes on to an AWS service (`service_role` in `rule.json`).
    pub fn service_role_arn(&self) -> String {
        format!("{}{SERVICE_ROLE_SUFFIX}", self.role_arn)
    }
}
