//! Why nothing was packed.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use crate::elf::ElfError;

/// Why nothing was packed, or not all of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("`{0}` is for no architecture of Lambda's: take x86_64-unknown-linux-gnu or aarch64-unknown-linux-gnu")]
    Architecture(String),
    #[error("`cargo {command}` cannot be started: {source}")]
    Cargo { command: &'static str, source: io::Error },
    #[error("`cargo {command}` failed ({status}): its own message is above")]
    CargoFailed { command: &'static str, status: ExitStatus },
    #[error(
        "{} is another workspace than that of autoremediate: name the packages of your rules, such as --package my-rule",
        .0.display()
    )]
    OtherWorkspace(PathBuf),
    #[error("what `cargo metadata` says cannot be read: {0}")]
    Metadata(serde_json::Error),
    #[error("neither CARGO_HOME nor a home folder is known, so that paths in the binaries cannot be made neutral")]
    CargoHome,
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Manifest { path: PathBuf, source: serde_json::Error },
    #[error("{}: {source}", path.display())]
    Binary { path: PathBuf, source: ElfError },
    #[error("the zip of {name}: {source}")]
    Zip { name: String, source: zip::result::ZipError },
    #[error("{}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("the table cannot be printed: {0}")]
    Output(io::Error),
}
