//! A simulator of the whole loop, by seed: pollers, rule Lambdas, people with the command line, people who edit by hand,
//! and an operator, over one simulated cloud, bucket, Netskope and clock, in one thread.
//!
//! What is real: the engine, the records and their S3 client, sessions, the runbooks' client, the Lambdas' shell, the
//! poller, and the client of Netskope with its retries and its rate. What is not is below them: the transport of the
//! SDK's clients ([`wire`]: S3, STS and Systems Manager), that of Netskope, the target accounts ([`cloud`]) with two rules
//! of their own ([`rules`]), and, by the crate `ambient`, the time and chance of each process.
//!
//! Time is Tokio's paused clock: it jumps to the next timer when nobody has anything to do. madsim stands in for Tokio
//! itself, which the AWS SDK does not let it; turmoil simulates a network of hosts, and S3, STS, Systems Manager and
//! Netskope would have to be servers behind it. The seam that the product has anyway is the client's transport.
//!
//! A [`Scenario`] is all that is to happen, as data, and follows from a seed: what there is, what is done when, and how
//! often each [`Fault`] strikes. While it runs, the invariants of the design are looked at with root's eyes at every write
//! of a record and of a resource ([`invariants`]); then the faults end, and within three polls what the policy wants fixed
//! is fixed and every claim has ended; then everything is taken back, and the first state is there again but for what
//! people changed. A scenario that breaks something tells its story, is made smaller by [`shrink()`], and is kept in
//! `kept/`, which the tests run again. [`MUTANTS`] are safeguards of the product that the simulator must miss when they
//! are gone.
//!
//! The protocol of a resource's card is also a model of its own, which is checked exhaustively (`protocol`).

// The futures of the whole product, one in the other, down to the SDK's.
#![recursion_limit = "256"]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "it is for tests alone")]
#![allow(clippy::result_large_err, reason = "the errors of the SDK are as large as they are")]

mod actor;
mod automation;
mod chance;
mod cloud;
mod fault;
mod invariants;
mod lambda;
#[cfg(test)]
mod ledger;
mod mutants;
mod netskope;
mod people;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod requests;
mod rules;
mod run;
mod scenario;
mod shrink;
mod store;
mod sts;
#[cfg(test)]
mod tests;
mod wire;
mod world;

pub use fault::{Fault, Faults};
pub use mutants::{MUTANTS, Mutant};
pub use run::{Ran, run};
pub use scenario::{Deed, PolicyText, Scenario, Step, Stopped};
pub use shrink::shrink;
pub use world::{Broken, Line};
