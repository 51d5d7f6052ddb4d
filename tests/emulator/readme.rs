//! What the README says of the rules, held against their manifests.

use remediation::Manifest;
use testkit::paths;

#[test]
fn the_table_of_rules_says_what_the_manifests_say() {
    let readme = std::fs::read_to_string(paths::repository().join("README.md")).unwrap();
    for Manifest { id, controls, read, write, extra, .. } in testkit::manifests().unwrap() {
        let controls: Vec<_> = controls.into_iter().map(|control| control.short_name).collect();
        let mut needs: Vec<_> =
            [read, write, extra].into_iter().flatten().map(|permission| permission.action).collect();
        // An action on two kinds of resources is two permissions.
        needs.dedup();
        let row = format!("| {id} | {} | {} |", controls.join(", "), needs.join(", "));
        assert!(readme.contains(&row), "the README's table of rules should have this row:\n{row}");
    }
}
