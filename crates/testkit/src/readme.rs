//! The README's tables that follow from the rules: what each of them serves and needs, which settings the policy has
//! for it, and how it is undone by hand.

use std::fs;

use remediation::{Manifest, Permission};
use serde_json::Value;

use crate::{Result, manifests, paths};

const END: &str = "\n\n<!-- The end of what is written. -->";

/// A table, with the comment that stands before it.
struct Table {
    comment: &'static str,
    head: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

/// The README with the tables as the rules' manifests and the policy's JSON Schema have it.
///
/// # Errors
///
/// A manifest or the schema cannot be read, or the README lacks the two comments around a table.
pub fn with_tables(readme: &str) -> Result<String> {
    let manifests = manifests()?;
    let tables = [
        Table {
            comment: "from every rule.json",
            head: &["rule", "Netskope's controls", "needs in the target account", "needs to undo"],
            rows: manifests.iter().map(needs).collect(),
        },
        Table {
            comment: "from the policy's JSON Schema",
            head: &["rule", "setting", "what it says"],
            rows: settings(&policy_schema()?)?,
        },
        Table {
            comment: "from the docs of every rule.json",
            head: &["rule", "puts back what the change has in `before`"],
            rows: manifests.iter().map(|manifest| vec![manifest.id.clone(), manifest.docs.by_hand.clone()]).collect(),
        },
    ];
    tables.iter().try_fold(readme.to_owned(), |readme, table| table.written_into(&readme))
}

/// The policy's JSON Schema, as it is published.
///
/// # Errors
///
/// It cannot be read.
pub fn policy_schema() -> Result<Value> {
    let path = paths::repository().join("terraform/modules/catalog/policy.schema.json");
    Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
}

impl Table {
    fn written_into(&self, readme: &str) -> Result<String> {
        let begin = format!("<!-- Written by `just generate`, {}. -->\n\n", self.comment);
        let missing = |what| format!("the README has no {what} of the table {}", self.comment);
        let (before, rest) = readme.split_once(&begin).ok_or_else(|| missing("begin"))?;
        let (_, after) = rest.split_once(END).ok_or_else(|| missing("end"))?;
        Ok(format!("{before}{begin}{}{END}{after}", self.text()))
    }

    fn text(&self) -> String {
        let head: Vec<_> = self.head.iter().map(ToString::to_string).collect();
        let line = vec!["---".to_owned(); head.len()];
        let rows = [&head, &line].into_iter().chain(&self.rows);
        let row = |cells: &Vec<String>| {
            let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |", cells.join(" | "))
        };
        rows.map(row).collect::<Vec<_>>().join("\n")
    }
}

fn needs(Manifest { id, controls, read, write, directly, extra, undo, .. }: &Manifest) -> Vec<String> {
    let controls: Vec<_> = controls.iter().map(|control| control.short_name.as_str()).collect();
    let mut needs = actions(read.iter().chain(write).chain(extra));
    if !directly.is_empty() {
        needs = format!("{needs}; without the runbook {}", actions(directly));
    }
    vec![id.clone(), controls.join(", "), needs, actions(undo)]
}

/// A row for each setting of each rule; and, behind them, what all guards have in common.
fn settings(schema: &Value) -> Result<Vec<Vec<String>>> {
    let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let mut rows = Vec::new();
    let mut has_guard = false;
    for (rule, of_rule) in object(&schema["properties"]["rules"]["properties"]) {
        let mut shown = rule.as_str();
        for (name, setting) in object(&of_rule["properties"]["settings"]["properties"]) {
            let type_name = setting["$ref"].as_str().and_then(|of| of.strip_prefix("#/$defs/"));
            let mut what = described(&setting).ok_or_else(|| format!("{rule}: the setting {name} is not described"))?;
            match type_name {
                // Told once, below: most rules have one.
                Some("Guard") => has_guard = true,
                Some(name) => what = format!("{what}: {}", of_choice(&schema["$defs"][name])?),
                None => {}
            }
            let unless_set = setting["default"].as_str().map_or_else(|| setting["default"].to_string(), str::to_owned);
            rows.push(vec![std::mem::take(&mut shown).to_owned(), format!("`{name}` ({unless_set})"), what]);
        }
    }
    if has_guard {
        rows.push(vec!["every guard".to_owned(), "`guard_…`".to_owned(), of_choice(&schema["$defs"]["Guard"])?]);
    }
    Ok(rows)
}

/// The values of a setting that is a choice, each with what it means.
fn of_choice(of: &Value) -> Result<String> {
    let values = of["oneOf"].as_array().ok_or("a type of a setting is no choice")?;
    let value = |value: &Value| Some(format!("`{}`: {}", value["const"].as_str()?, described(value)?));
    let values = values.iter().map(value).collect::<Option<Vec<_>>>().ok_or("a value of a setting is not described")?;
    Ok(values.join("; "))
}

fn described(of: &Value) -> Option<String> {
    Some(of["description"].as_str()?.trim_end_matches('.').to_owned())
}

/// Each action once: one on two kinds of resources is two permissions.
fn actions<'a>(permissions: impl IntoIterator<Item = &'a Permission>) -> String {
    let mut actions: Vec<_> = permissions.into_iter().map(|permission| permission.action.as_str()).collect();
    actions.dedup();
    actions.join(", ")
}
