//! What commands work with: AWS, Netskope, the store of records, the policy and the rules. Nothing here prints, and
//! nothing knows which command works with it.

pub(crate) mod access;
pub(crate) mod connection;
pub(crate) mod credentials;
pub(crate) mod findings;
pub(crate) mod identity;
pub(crate) mod plans;
pub(crate) mod policy;
pub(crate) mod records;
pub(crate) mod rules;
pub(crate) mod runs;
pub(crate) mod tenant;
pub(crate) mod typos;
pub(crate) mod workplace;
