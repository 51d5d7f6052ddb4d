//! The README's table of rules.

use remediation::{Manifest, Permission};

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
        "| rule | Netskope's controls | needs in the target account | needs to undo |".to_owned(),
        "| --- | --- | --- | --- |".to_owned(),
    ];
    for Manifest { id, controls, read, write, directly, extra, undo, .. } in manifests {
        let controls: Vec<_> = controls.iter().map(|control| control.short_name.as_str()).collect();
        let mut needs = actions(read.iter().chain(write).chain(extra));
        if !directly.is_empty() {
            needs = format!("{needs}; without the runbook {}", actions(directly));
        }
        lines.push(format!("| {id} | {} | {needs} | {} |", controls.join(", "), actions(undo)));
    }
    lines.join("\n")
}

/// Each action once: one on two kinds of resources is two permissions.
fn actions<'a>(permissions: impl IntoIterator<Item = &'a Permission>) -> String {
    let mut actions: Vec<_> = permissions.into_iter().map(|permission| permission.action.as_str()).collect();
    actions.dedup();
    actions.join(", ")
}
