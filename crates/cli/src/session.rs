//! What commands work with: AWS, Netskope, the store of records, the policy and the rules. Nothing here prints, and
//! nothing knows which command works with it.

pub(crate) mod access;
pub(crate) mod cards;
pub(crate) mod connection;
pub(crate) mod credentials;
pub(crate) mod decisions;
pub(crate) mod findings;
#[cfg(test)]
pub(crate) mod fixtures;
pub(crate) mod history;
pub(crate) mod identity;
pub(crate) mod life;
pub(crate) mod plans;
pub(crate) mod policy;
pub(crate) mod queue;
pub(crate) mod records;
pub(crate) mod retry;
pub(crate) mod rules;
pub(crate) mod runs;
pub(crate) mod tenant;
pub(crate) mod typos;
pub(crate) mod waiting;
pub(crate) mod workplace;
