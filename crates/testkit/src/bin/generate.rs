//! Writes what the READMEs say of the rules, and of Terraform's modules: `just generate`.

use std::fs;

use testkit::{Result, modules, paths, readme};

fn main() -> Result<()> {
    let path = paths::repository().join("README.md");
    fs::write(&path, readme::with_tables(&fs::read_to_string(&path)?)?)?;
    for folder in modules::folders()? {
        let path = folder.join("README.md");
        fs::write(&path, modules::with_tables(&fs::read_to_string(&path)?, &folder)?)?;
    }
    Ok(())
}
