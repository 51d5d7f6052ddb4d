//! The rule of `docs/add-a-rule.md` goes through the table of cases, and the page shows the files that do.

use std::fs;

use ebs_public_snapshot_example::EbsPublicSnapshot;
use remediation::{Manifest, Rule};
use testkit::paths;

#[path = "../../docs/add-a-rule/subject.rs"]
mod ebs_public_snapshot;

/// What a file says here, and what it says on the page, where the rule is one of the list and its subject a module of
/// the harness. Its crate has another name here, so that whoever follows the page to the letter has room for it.
const ON_THE_PAGE: [(&str, &str); 5] = [
    ("use ebs_public_snapshot_example::", "use rules::ebs_public_snapshot::"),
    ("ebs_public_snapshot_example", "ebs_public_snapshot"),
    ("ebs-public-snapshot-example", "ebs-public-snapshot"),
    (
        "use testkit::Result;\nuse testkit::account::Account;\nuse testkit::subjects::{AnySubject, Subject};\n",
        "use super::{AnySubject, Subject};\nuse crate::Result;\nuse crate::account::Account;\n",
    ),
    ("testkit::rule_cases!", "crate::rule_cases!"),
];

#[test]
fn the_page_shows_the_files() {
    let folder = paths::repository().join("docs");
    let page = fs::read_to_string(folder.join("add-a-rule.md")).unwrap();
    for (language, name) in [
        ("json", "ebs-public-snapshot/rule.json"),
        ("toml", "ebs-public-snapshot/Cargo.toml"),
        ("rust", "ebs-public-snapshot/src/lib.rs"),
        ("rust", "ebs-public-snapshot/src/main.rs"),
        ("rust", "subject.rs"),
    ] {
        let file = fs::read_to_string(folder.join("add-a-rule").join(name)).unwrap();
        let shown = ON_THE_PAGE.iter().fold(file, |text, (here, there)| text.replace(here, there));
        let block = format!("```{language}\n{shown}```\n");
        assert!(page.contains(&block), "docs/add-a-rule.md should show {name} as this block:\n{block}");
    }
}

#[test]
fn its_subjects_stand_for_its_controls() {
    let controls = Manifest::from_json(EbsPublicSnapshot::MANIFEST).unwrap().controls;
    let subjects: Vec<_> = ebs_public_snapshot::SUBJECTS.iter().map(|subject| subject.control).collect();
    assert!(subjects.into_iter().eq(0..controls.len()));
}
