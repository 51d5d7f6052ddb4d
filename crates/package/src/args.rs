//! The command line, and the architectures that Lambda has.

use std::fmt;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::error::Error;

/// Packs the Lambdas (the poller and every rule) into <out>/<architecture>/<name>.zip.
#[derive(Debug, Parser)]
#[command(
    after_help = "A release build maps the paths of the checkout, the target folder and CARGO_HOME to fixed names and \
                  takes no RUSTFLAGS from the environment, so that the same sources, Cargo.lock, Rust version and \
                  registry give the same zips on any machine."
)]
pub(crate) struct Args {
    /// The target triple to build for, such as aarch64-unknown-linux-gnu; without it, this machine's.
    #[arg(long, value_name = "TRIPLE")]
    pub(crate) target: Option<String>,
    /// Where the zips go.
    #[arg(long, value_name = "FOLDER", default_value = "dist")]
    pub(crate) out: PathBuf,
    /// How the binaries are built: `release` with the profile `lambda` of the workspace's Cargo.toml; `dev` compresses
    /// little and is for tests: its binaries are large.
    #[arg(long, value_enum, default_value_t = Profile::Release)]
    pub(crate) profile: Profile,
    /// Take the binaries that are in the target folder.
    #[arg(long)]
    pub(crate) no_build: bool,
    /// Pack this package's binary, whose name is the package's; can be repeated. For rules of your own, in a workspace of
    /// your own. Without it: the poller and every rule of this repository.
    #[arg(long = "package", value_name = "NAME")]
    pub(crate) packages: Vec<String>,
    /// Check the binaries and write no zip.
    #[arg(long)]
    pub(crate) check_only: bool,
}

/// How binaries are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// Small and slow to build: what is deployed.
    Release,
    /// What tests deploy.
    Dev,
}

/// An architecture that Lambda runs, by Lambda's name.
/// <https://docs.aws.amazon.com/lambda/latest/dg/foundation-arch.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Architecture {
    /// 64-bit x86.
    X86_64,
    /// 64-bit Arm (Graviton).
    Arm64,
}

impl Architecture {
    /// The architecture of a target triple, by its first part.
    pub(crate) fn of_target(triple: &str) -> Result<Self, Error> {
        match triple.split('-').next() {
            Some("x86_64") => Ok(Self::X86_64),
            Some("aarch64") => Ok(Self::Arm64),
            _ => Err(Error::Architecture(triple.to_owned())),
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn a_triple_gives_lambdas_name_of_the_architecture() {
        for (triple, name) in [("aarch64-unknown-linux-gnu", "arm64"), ("x86_64-unknown-linux-gnu", "x86_64")] {
            assert_eq!(Architecture::of_target(triple).unwrap().to_string(), name);
        }
    }

    #[test]
    fn an_unknown_architecture_is_refused_with_those_that_are_known() {
        let error = Architecture::of_target("riscv64gc-unknown-linux-gnu").unwrap_err().to_string();
        assert!(
            error.contains("riscv64gc-unknown-linux-gnu") && error.contains("aarch64-unknown-linux-gnu"),
            "{error}"
        );
    }
}
