//! Findings: what somebody called a resource that fails a control.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::aws::{AccountId, Region};

/// One control that one resource fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The exact name of the Netskope rule.
    pub control: String,
    /// The account that owns the resource.
    pub account: AccountId,
    /// The resource's region.
    pub region: Region,
    /// The resource's ID, name or ARN, as Netskope gave it.
    pub resource: String,
    /// Since when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<Timestamp>,
    /// When Netskope last looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_scanned: Option<Timestamp>,
}

#[cfg(test)]
impl Finding {
    /// A finding for tests.
    pub(crate) fn of(account: &str, region: &str, resource: &str) -> Self {
        Self {
            control: "Ensure every door is closed.".into(),
            account: account.parse().unwrap(),
            region: Region::code(region),
            resource: resource.into(),
            first_seen: None,
            last_scanned: None,
        }
    }
}
