use std::path::PathBuf;
use std::{env, fs};

use remediation::{Manifest, Rule};

use crate::{Visitor, visit};

mod arns;

struct Id;

impl Visitor for Id {
    type Output = String;

    fn visit<R: Rule>(&self) -> String {
        Manifest::from_json(R::MANIFEST).unwrap().id
    }
}

/// The folders beside `src` that have a `rule.json`.
fn folders() -> Vec<String> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap());
    let folders = fs::read_dir(here).unwrap().map(|folder| folder.unwrap().path());
    let folders = folders.filter(|folder| folder.join("rule.json").exists());
    let mut names: Vec<_> = folders.map(|folder| folder.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn the_list_has_every_folder_once_in_order() {
    let missing = "crates/rules/Cargo.toml and crates/rules/src/lib.rs need a line for each folder with a rule.json";
    assert_eq!(visit(&Id), folders(), "{missing}, sorted");
}

#[test]
fn modules_are_named_for_the_ids() {
    macro_rules! modules {
        ($($module:ident::$rule:ident,)+) => { [$(stringify!($module).replace('_', "-")),+] };
    }
    assert_eq!(visit(&Id), each_rule!(modules));
}
