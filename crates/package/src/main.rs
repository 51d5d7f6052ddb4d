//! Packs the poller and every rule into the zips that Lambda takes: one entry, `bootstrap`, at the root.
//!
//! Invariants: the same sources, toolchain and registry give the same bytes, wherever the checkout is; no zip is
//! written before every binary is known to be for its architecture and to start with the GLIBC of `provided.al2023`.

mod archive;
mod args;
mod elf;
mod error;
mod workspace;

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use sha2::{Digest, Sha256};

use crate::args::{Architecture, Args, Profile};
use crate::error::Error;
use crate::workspace::Workspace;

/// A binary that passed the checks.
struct Checked {
    name: String,
    bytes: Vec<u8>,
}

fn main() -> ExitCode {
    let result = run(&Args::parse());
    match result.and_then(|table| writeln!(io::stdout(), "{table}").map_err(Error::Output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell it to where standard error is closed.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<Table, Error> {
    let architecture = match &args.target {
        Some(triple) => Architecture::of_target(triple)?,
        None => Architecture::of_target(std::env::consts::ARCH)?,
    };
    let workspace = Workspace::load()?;
    let names = if args.packages.is_empty() { workspace.lambdas()? } else { args.packages.clone() };
    if !args.no_build {
        workspace.build(&names, args.profile, args.target.as_deref())?;
    }
    let folder = workspace.binaries(args.profile, args.target.as_deref());
    let check = |name: String| {
        let path = folder.join(&name);
        let mut bytes = fs::read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        let checked = elf::check(&bytes, architecture).and_then(|()| match args.profile {
            Profile::Release => elf::blank_unwind_tables(&mut bytes),
            Profile::Dev => Ok(()),
        });
        checked.map_err(|source| Error::Binary { path, source })?;
        Ok(Checked { name, bytes })
    };
    let checked: Vec<Checked> = names.into_iter().map(check).collect::<Result<_, Error>>()?;

    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    if args.check_only {
        table.set_header(["lambda", "architecture", "binary"]);
        for Checked { name, bytes } in checked {
            table.add_row([name, architecture.to_string(), size(bytes.len())]);
        }
        return Ok(table);
    }
    table.set_header(["zip", "binary", "size", "SHA-256"]);
    let folder = args.out.join(architecture.to_string());
    for Checked { name, bytes } in checked {
        let zip = archive::zip(&bytes, args.profile).map_err(|source| Error::Zip { name: name.clone(), source })?;
        let path = write(folder.join(format!("{name}.zip")), &zip)?;
        table.add_row([path.display().to_string(), size(bytes.len()), size(zip.len()), sha256(&zip)]);
    }
    Ok(table)
}

fn write(path: PathBuf, bytes: &[u8]) -> Result<PathBuf, Error> {
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, bytes));
    match written {
        Ok(()) => Ok(path),
        Err(source) => Err(Error::Write { path, source }),
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A size in MiB, with two decimals.
fn size(bytes: usize) -> String {
    let hundredths = bytes * 100 / (1024 * 1024);
    format!("{}.{:02} MiB", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_are_in_mebibytes() {
        assert_eq!(super::size(3 * 1024 * 1024 / 2), "1.50 MiB");
        assert_eq!(super::size(0), "0.00 MiB");
    }
}
