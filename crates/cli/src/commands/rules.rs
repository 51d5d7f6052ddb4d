//! `rules`: the rules of this version, from their manifests.

use clap::Args;
use remediation::{Control, Manifest, Permission, Scope};

use crate::commands::arguments::OutputArgs;
use crate::commands::help::{self, SIMPLE_EXIT_CODES};
use crate::error::Error;
use crate::exit::Exit;
use crate::print::line::Line;
use crate::print::list::{Entry, List};
use crate::print::page::{Format, Page};
use crate::print::table::{Cell, Table};
use crate::session::rules::{self, LoadedRule};

#[derive(Debug, Args)]
pub(crate) struct RulesArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

pub(crate) fn help() -> String {
    help::below(
        SIMPLE_EXIT_CODES,
        "
  List the rules and their permissions:
    autoremediate rules

  The same with everything in their manifests:
    autoremediate rules --json",
    )
}

/// Lists the rules.
pub(crate) fn rules(args: &RulesArgs, page: &mut Page<'_>) -> Result<Exit, Error> {
    print(&rules::all()?, args.output.format, page)?;
    Ok(Exit::NothingLeft)
}

fn print(rules: &[LoadedRule], format: Format, page: &mut Page<'_>) -> Result<(), Error> {
    let manifests = rules::manifests(rules);
    if format == Format::Json {
        return Ok(page.json(&manifests)?);
    }
    if format == Format::Csv {
        return Ok(page.csv(&table(&manifests))?);
    }
    Ok(page.table(&list(&manifests))?)
}

fn table(manifests: &[&Manifest]) -> Table {
    let mut table = Table::new(["rule", "title", "controls", "scope", "reads", "writes"]);
    for manifest in manifests {
        let Manifest { id, title, controls, scope, read, write, extra, .. } = manifest;
        table.row([
            Cell::text(id),
            Cell::text(title),
            Cell::lines(controls.iter().map(names)),
            Cell::text(word(*scope)),
            Cell::lines(actions(read)),
            Cell::lines(actions(write.iter().chain(extra))),
        ]);
    }
    table
}

fn list(manifests: &[&Manifest]) -> List {
    let mut list = List::default();
    for manifest in manifests {
        let Manifest { id, title, controls, scope, read, write, extra, .. } = manifest;
        let reads = format!("reads: {}", actions(read).join(", "));
        let writes = format!("writes: {}", actions(write.iter().chain(extra)).join(", "));
        let body = controls.iter().map(names).chain([reads, writes]).map(|text| Line::default().words(text)).collect();
        list.add(id, Entry { head: Line::default().words(format!("{title} ({})", word(*scope))), body });
    }
    list
}

fn word(scope: Scope) -> &'static str {
    match scope {
        Scope::Regional => "regional",
        Scope::Located => "located",
        Scope::Global => "global",
    }
}

/// A control's short name, and its names in Netskope.
fn names(control: &Control) -> String {
    let names: Vec<_> = control.rule_names.iter().map(|name| format!("\"{name}\"")).collect();
    format!("{}: {}", control.short_name, names.join(" or "))
}

fn actions<'a>(permissions: impl IntoIterator<Item = &'a Permission>) -> Vec<&'a str> {
    let mut actions: Vec<_> = permissions.into_iter().map(|permission| permission.action.as_str()).collect();
    // An action on two kinds of resources is two permissions.
    actions.dedup();
    actions
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn printed(format: Format) -> String {
        let mut out = Vec::new();
        print(&rules::all().unwrap(), format, &mut Page::new(&mut out)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_rules_are_listed_with_their_controls_and_permissions() {
        let text = printed(Format::Table);
        let control = "Ensure S3 Bucket is not publicly accessible.";
        for part in ["s3-public-bucket", "BPR-1-0-0", control, "regional", "s3:PutBucketPublicAccessBlock"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let json: Value = serde_json::from_str(&printed(Format::Json)).unwrap();
        let mut ids = json.as_array().unwrap().iter().map(|rule| &rule["id"]);
        assert!(ids.any(|id| id == "s3-public-bucket"), "{json}");
    }
}
