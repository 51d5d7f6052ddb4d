//! Gathers every rule's `rule.json`, so that a new rule is polled without a change here.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
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
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?);
    fs::write(out.join("manifests.rs"), format!("&[{}]", included.join(", ")))
}
