//! What the README says of the rules and of the policy, held against the manifests and the policy's JSON Schema.

use serde_json::Value;
use testkit::{manifests, paths, readme};

fn text() -> String {
    std::fs::read_to_string(paths::repository().join("README.md")).unwrap()
}

fn keys(of: &Value) -> Vec<String> {
    of["properties"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn the_tables_say_what_the_manifests_and_the_schema_say() {
    let text = text();
    assert!(readme::with_tables(&text).unwrap() == text, "a table of the README is old: run `./justw generate`");
}

#[test]
fn each_rule_and_each_setting_has_a_row() {
    let text = text();
    let (_, by_hand) = text.split_once("\nBy hand, ").unwrap();
    for manifest in manifests().unwrap() {
        let row = format!("\n| {} | {} |", manifest.id, manifest.docs.by_hand);
        assert!(!manifest.docs.by_hand.trim().is_empty() && by_hand.contains(&row), "{}", manifest.id);
    }
    let (_, settings) = text.split_once("| rule | setting |").unwrap();
    let (settings, _) = settings.split_once("\n\n").unwrap();
    let rules = readme::policy_schema().unwrap()["properties"]["rules"].clone();
    let of_rules = rules["properties"].as_object().unwrap().values();
    let names: Vec<_> = of_rules.filter_map(|rule| rule["properties"]["settings"]["properties"].as_object()).collect();
    let names: Vec<_> = names.iter().flat_map(|settings| settings.keys()).collect();
    assert!(names.len() > 5 && names.iter().all(|name| settings.contains(&format!("| `{name}` ("))), "{names:?}");
    assert_eq!(settings.lines().filter(|line| line.contains("| `")).count(), names.len() + 1, "and one for all guards");
}

#[test]
fn the_policy_of_the_page_has_every_key_and_no_other() {
    let text = text();
    let (_, example) = text.split_once("```hcl\npolicy = {\n").unwrap();
    let (example, after) = example.split_once("\n}\n```").unwrap();
    let (after, _) = after.split_once("\n**").unwrap();
    let schema = readme::policy_schema().unwrap();
    // Terraform writes these two itself.
    let own = |key: &String| key == "schema" || key == "organization";
    let known: Vec<_> = keys(&schema).into_iter().filter(|key| !own(key)).collect();
    let top = example.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let mut shown: Vec<_> = top.filter_map(|line| Some(line.split_once('=')?.0.trim().to_owned())).collect();
    shown.sort();
    assert_eq!(shown, known);
    for (key, name) in [("limits", "Limits"), ("fight", "Fight")] {
        for inner in keys(&schema["$defs"][name]) {
            assert!(
                example.contains(&format!("{inner} = ")) || after.contains(&format!("`{inner}`")),
                "{key}: {inner}"
            );
        }
    }
}
