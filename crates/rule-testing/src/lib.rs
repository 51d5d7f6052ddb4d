//! What the unit tests of rules share: findings, and the laws that every rule's thinking keeps. For tests alone.

#![allow(clippy::expect_used, reason = "it is for tests alone")]

mod calls;
mod laws;
mod wire;

pub use calls::poll;
pub use laws::{World, hold};
pub use wire::{Wire, target};

use remediation::{Finding, Region};

/// The account of [`finding`].
pub const ACCOUNT: &str = "222222222222";
/// The region of [`finding`].
pub const REGION: &str = "eu-central-1";

/// A finding that `resource` fails `control`, in [`ACCOUNT`] and [`REGION`].
///
/// # Panics
///
/// Never: the account's ID is one.
#[must_use]
pub fn finding(control: &str, resource: &str) -> Finding {
    Finding {
        control: control.into(),
        account: ACCOUNT.parse().expect("twelve digits"),
        region: Region::code(REGION),
        resource: resource.into(),
        first_seen: None,
        last_scanned: None,
    }
}
