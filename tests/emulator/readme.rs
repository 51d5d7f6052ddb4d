//! What the README says of the rules, held against their manifests.

use testkit::{manifests, paths, readme};

fn text() -> String {
    std::fs::read_to_string(paths::repository().join("README.md")).unwrap()
}

#[test]
fn the_table_of_rules_says_what_the_manifests_say() {
    let text = text();
    assert!(readme::with_table(&text).unwrap() == text, "the README's table of rules is old: run `./justw generate`");
}

#[test]
fn each_rule_says_how_it_is_undone_by_hand() {
    let text = text();
    let (_, by_hand) = text.split_once("\nBy hand, ").unwrap();
    for manifest in manifests().unwrap() {
        let row = format!("\n| {} | ", manifest.id);
        assert!(by_hand.contains(&row), "the README's table of undo by hand lacks the rule {}", manifest.id);
    }
}
