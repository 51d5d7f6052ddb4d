use std::path::PathBuf;
use std::{env, fs};

use remediation::{Manifest, Rule};

use crate::{Visitor, visit};

mod arns;

struct Id;

struct OfManifest;

impl Visitor for OfManifest {
    type Output = Manifest;

    fn visit<R: Rule>(&self) -> Manifest {
        Manifest::from_json(R::MANIFEST).unwrap()
    }
}

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

/// A bucket's name leads into whatever account has it.
#[test]
fn s3_is_called_for_the_accounts_own_buckets_only() {
    for Manifest { id, read, write, directly, extra, undo, .. } in visit(&OfManifest) {
        let listed = [read, write, directly, extra, undo].concat().into_iter();
        for permission in listed.filter(|permission| permission.action.starts_with("s3:")) {
            let owner = permission.condition.get("StringEquals").and_then(|keys| keys.get("s3:ResourceAccount"));
            assert_eq!(owner.map(String::as_str), Some("{account}"), "{id}: {}", permission.action);
        }
    }
}

#[test]
fn what_is_done_without_a_runbook_is_listed_where_there_is_one() {
    for manifest in visit(&OfManifest) {
        let missing_in = manifest.runbook.iter().flat_map(|runbook| &runbook.missing_in).count();
        assert!(manifest.directly.is_empty() || missing_in > 0, "{}", manifest.id);
        assert!(!manifest.undo.is_empty(), "{} cannot be undone", manifest.id);
    }
}

#[test]
fn modules_are_named_for_the_ids() {
    macro_rules! modules {
        ($($module:ident::$rule:ident,)+) => { [$(stringify!($module).replace('_', "-")),+] };
    }
    assert_eq!(visit(&Id), each_rule!(modules));
}
