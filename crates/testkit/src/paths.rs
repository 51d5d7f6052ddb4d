//! Where the repository and the built binaries are.

use std::path::{Path, PathBuf};

use crate::Result;

/// The repository's top folder.
pub fn repository() -> &'static Path {
    let testkit = Path::new(env!("CARGO_MANIFEST_DIR"));
    testkit.ancestors().nth(2).unwrap_or(testkit)
}

/// The folder of the built binaries: that of the running program, or above it where that is a test.
///
/// # Errors
///
/// The running program's own path cannot be found.
pub fn binaries() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().ok_or("the running program is in no folder")?;
    let tests = folder.ends_with("deps");
    Ok(folder.parent().filter(|_| tests).unwrap_or(folder).to_owned())
}

/// A built binary.
///
/// # Errors
///
/// It is not there: the workspace has to be built first.
pub fn binary(name: &str) -> Result<PathBuf> {
    let path = binaries()?.join(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(format!("{} is missing: run `cargo build --workspace --all-targets` first", path.display()).into())
    }
}
