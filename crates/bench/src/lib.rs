//! The benchmark: how long the release Lambdas take, what they hold and what they call, beside the least that each of it
//! could be.
//!
//! A measurement starts a stand-in for AWS ([`mod@aws`]), one for Netskope where the poller is measured, the Lambda Runtime
//! API and the Lambda's own processes, hands these its events, and reads off: the time, what the stand-in has counted,
//! and what Linux says that the processes have used. Everything is on one machine, which the stand-ins share with what is
//! measured. So no figure stands for itself: each is beside its floor ([`floor`]), or beside the same of an empty Lambda
//! or of a shorter list, in the same run.

mod aws;
mod findings;
mod floor;
mod lambda;
mod measure;
mod netskope;
mod results;
mod rule;
mod run;
mod server;
mod table;

use std::io;
use std::path::PathBuf;

pub use results::{Calls, Machine, Poll, Results, Run, SCHEMA, Settings, Start};
pub use rule::Rule;
pub use run::{Options, Part, run};
pub use table::{compare, tables};

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A binary is not there.
    #[error("{} is missing: build the Lambdas first, with `just package`, or name their folder with --binaries", .0.display())]
    Missing(PathBuf),
    /// A process does not start.
    #[error("{} does not start: {source}", binary.display())]
    Start {
        /// Its binary.
        binary: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A Lambda's process ended, which none should.
    #[error("a Lambda's process has ended: {0}. See its log with --show-log")]
    Ended(io::Error),
    /// A Lambda reported an error.
    #[error("a Lambda reported an error: {0}")]
    Function(String),
    /// A Lambda takes longer than Lambda lets it.
    #[error("a Lambda is not done after {0:?}. See its log with --show-log")]
    Late(std::time::Duration),
    /// A stand-in cannot listen.
    #[error("no port is free for a stand-in: {0}")]
    Listen(io::Error),
    /// A batch cannot be compressed.
    #[error("a batch cannot be compressed: {0}")]
    Batch(io::Error),
    /// A poll did not keep every row.
    #[error("the poller did not keep all of {rows} rows: {answer}")]
    Kept {
        /// The list's rows.
        rows: usize,
        /// What the poller answered.
        answer: String,
    },
    /// A rule's `rule.json`, or what a Lambda answered, is not what it should be.
    #[error("unexpected JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A file of results cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds no results of this version.
    #[error("{} holds no results of a benchmark that this version can compare with: {reason}", path.display())]
    Results {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The tables cannot be printed.
    #[error("standard output: {0}")]
    Output(io::Error),
}
