//! Writes what the README says of the rules: `just generate`.

use testkit::{Result, paths, readme};

fn main() -> Result<()> {
    let path = paths::repository().join("README.md");
    let text = std::fs::read_to_string(&path)?;
    Ok(std::fs::write(path, readme::with_tables(&text)?)?)
}
