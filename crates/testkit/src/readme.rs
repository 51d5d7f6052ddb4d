//! The README's table of rules.

use remediation::Manifest;

use crate::{Result, manifests};

const BEGIN: &str = "<!-- Written by `just generate`, from every rule.json. -->\n\n";
const END: &str = "\n\n<!-- The end of what is written. -->";

/// The README with the table as the rules' manifests have it.
///
/// # Errors
///
/// A manifest cannot be read, or the README does not have the two comments around the table.
pub fn with_table(readme: &str) -> Result<String> {
    let (before, rest) = readme.split_once(BEGIN).ok_or("the README has no table of rules")?;
    let (_, after) = rest.split_once(END).ok_or("the README's table of rules has no end")?;
    Ok(format!("{before}{BEGIN}{}{END}{after}", table(&manifests()?)))
}

fn table(manifests: &[Manifest]) -> String {
    let mut lines = vec![
        "| rule | Netskope's controls | needs in the target account |".to_owned(),
        "| --- | --- | --- |".to_owned(),
    ];
    for Manifest { id, controls, read, write, extra, .. } in manifests {
        let controls: Vec<_> = controls.iter().map(|control| control.short_name.as_str()).collect();
        let permissions = read.iter().chain(write).chain(extra);
        let mut needs: Vec<_> = permissions.map(|permission| permission.action.as_str()).collect();
        // An action on two kinds of resources is two permissions.
        needs.dedup();
        lines.push(format!("| {id} | {} | {} |", controls.join(", "), needs.join(", ")));
    }
    lines.join("\n")
}
