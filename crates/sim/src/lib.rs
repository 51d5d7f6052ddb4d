//! A simulator of the whole loop, by seed: pollers, rule Lambdas, people with the command line, people who edit by hand,
//! and an operator, over one simulated cloud, bucket, Netskope and clock, in one thread.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "it is for tests alone")]

mod actor;
mod automation;
mod chance;
mod cloud;
mod fault;
mod invariants;
mod lambda;
mod mutants;
mod netskope;
mod people;
#[cfg(test)]
mod protocol;
mod rules;
mod run;
mod scenario;
mod shrink;
mod store;
mod sts;
mod wire;
mod world;

pub use fault::{Fault, Faults};
pub use mutants::{MUTANTS, Mutant};
pub use run::{Ran, run};
pub use scenario::{Deed, PolicyText, Scenario, Step};
pub use shrink::shrink;
pub use world::{Broken, Line};
