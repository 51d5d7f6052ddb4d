//! The tables of inputs and outputs in the READMEs of Terraform's modules.

use std::fs;
use std::path::{Path, PathBuf};

use hcl_edit::Decorate;
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Block, Body};

use crate::{Result, paths};

const BEGIN: &str = "<!-- Written by `just generate`, from the module's own files. -->\n\n";
const END: &str = "\n\n<!-- The end of what is written. -->";
/// The longest type or default that is written out; of a longer one, a reader is better off with the file itself.
const MOST: usize = 60;

/// The folders of all modules and roots.
///
/// # Errors
///
/// A folder cannot be read.
pub fn folders() -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for kind in ["modules", "deploy"] {
        for entry in fs::read_dir(paths::repository().join("terraform").join(kind))? {
            let folder = entry?.path();
            if folder.join("versions.tf").exists() {
                folders.push(folder);
            }
        }
    }
    folders.sort();
    Ok(folders)
}

/// The README of the module in `folder`, with the tables as its files have them.
///
/// # Errors
///
/// A file cannot be read or is no HCL, or the README does not have the two comments around the tables.
pub fn with_tables(readme: &str, folder: &Path) -> Result<String> {
    let lacks = |what: &str| format!("{}/README.md has no {what} of its tables", folder.display());
    let (before, rest) = readme.split_once(BEGIN).ok_or_else(|| lacks("beginning"))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| lacks("end"))?;
    Ok(format!("{before}{BEGIN}{}{END}{after}", tables(&text_of(folder)?)?))
}

/// All of the module's own files, one after the other.
fn text_of(folder: &Path) -> Result<String> {
    let entries: Result<Vec<_>, _> = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut files = entries?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "tf"));
    files.sort();
    Ok(files.into_iter().map(fs::read_to_string).collect::<Result<Vec<_>, _>>()?.join("\n"))
}

fn tables(text: &str) -> Result<String> {
    let body: Body = text.parse()?;
    let mut lines = vec!["| input | type | unless it is set | |".to_owned(), "| --- | --- | --- | --- |".to_owned()];
    for (name, block) in blocks(&body, "variable") {
        let kind = attribute(block, "type").map(|kind| code(&short(kind))).unwrap_or_default();
        let default = attribute(block, "default").map_or_else(|| "required".into(), |default| code(&short(default)));
        lines.push(format!("| `{name}` | {kind} | {default} | {} |", description(block)));
    }
    lines.extend([String::new(), "| output | |".into(), "| --- | --- |".into()]);
    for (name, block) in blocks(&body, "output") {
        lines.push(format!("| `{name}` | {} |", description(block)));
    }
    Ok(lines.join("\n"))
}

/// The blocks of one kind, with their names.
fn blocks<'a>(body: &'a Body, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Block)> {
    let named = |block: &'a Block| Some((block.labels.first()?.as_str(), block));
    body.blocks().filter(move |block| block.has_ident(kind)).filter_map(named)
}

fn attribute<'a>(block: &'a Block, name: &str) -> Option<&'a Expression> {
    block.body.get_attribute(name).map(|attribute| &attribute.value)
}

fn description(block: &Block) -> String {
    let text = attribute(block, "description").and_then(Expression::as_str).unwrap_or_default();
    text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ")
}

/// An expression in one line; of a long one, its beginning up to the first bracket that holds the rest.
fn short(expression: &Expression) -> String {
    let mut expression = expression.clone();
    expression.decor_mut().clear();
    let line = expression.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MOST {
        return line;
    }
    let begin = line.find('{').map_or("", |at| &line[..at]);
    let close = begin.chars().rev().filter_map(|letter| match letter {
        '(' => Some(')'),
        '[' => Some(']'),
        _ => None,
    });
    format!("{begin}{{…}}{}", close.collect::<String>())
}

fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_has_a_readme_with_a_row_for_each_input_and_output() {
        let folders = folders().unwrap();
        assert!(folders.len() >= 5, "{folders:?}");
        for folder in folders {
            let readme = folder.join("README.md");
            let text = fs::read_to_string(&readme).unwrap_or_else(|error| panic!("{}: {error}", readme.display()));
            let written = with_tables(&text, &folder).unwrap();
            assert!(written == text, "{} is old: run `./justw generate`", readme.display());
            for line in text_of(&folder).unwrap().lines() {
                if let Some(name) = line.strip_prefix("variable \"").or_else(|| line.strip_prefix("output \"")) {
                    let row = format!("\n| `{}` | ", name.split('"').next().unwrap_or_default());
                    assert!(text.contains(&row), "{} has no row{row}", readme.display());
                }
            }
        }
    }

    #[test]
    fn a_table_has_what_the_files_say() {
        let text = r#"
            variable "a" {
              type        = map(object({ first = optional(string), second = optional(list(string), []), third = number }))
              description = "One | <other>: \"a\"."
            }
            variable "b" {
              type    = string # why
              default = null
            }
            output "c" {
              description = "What."
              value       = "${var.a}"
            }
        "#;
        let expected = [
            "| input | type | unless it is set | |",
            "| --- | --- | --- | --- |",
            "| `a` | `map(object({…}))` | required | One \\| &lt;other>: \"a\". |",
            "| `b` | `string` | `null` |  |",
            "",
            "| output | |",
            "| --- | --- |",
            "| `c` | What. |",
        ];
        assert_eq!(tables(text).unwrap(), expected.join("\n"));
        assert!(tables("variable {").is_err());
    }

    #[test]
    fn a_readme_without_a_place_for_the_tables_is_an_error() {
        assert!(with_tables("# A module\n", &folders().unwrap()[0]).is_err());
    }
}
