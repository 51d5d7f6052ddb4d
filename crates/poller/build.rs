//! Gathers every rule's `rule.json`, so that a new rule is polled without a change here.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    // Asked for when it runs, not when it is compiled: another checkout may share the build folder.
    let rules = folder("CARGO_MANIFEST_DIR")?.join("../rules");
    println!("cargo::rerun-if-changed={}", rules.display());
    let mut manifests = Vec::new();
    for folder in fs::read_dir(&rules)? {
        let manifest = folder?.path().join("rule.json");
        if manifest.exists() {
            manifests.push(manifest.canonicalize()?);
        }
    }
    manifests.sort();
    let included: Vec<_> = manifests.iter().map(|path| format!("include_str!({path:?})")).collect();
    fs::write(folder("OUT_DIR")?.join("manifests.rs"), format!("&[{}]", included.join(", ")))
}

/// A folder that Cargo names in the environment.
fn folder(variable: &str) -> io::Result<PathBuf> {
    let path = env::var_os(variable).ok_or_else(|| io::Error::other(format!("{variable} is not set")))?;
    Ok(PathBuf::from(path))
}
