//! The rule of `docs/add-a-rule.md` goes through the table of cases, and the page shows the files that do.

use std::fs;

use testkit::paths;

#[path = "../../docs/add-a-rule/subject.rs"]
mod ebs_public_snapshot;

/// What the subject says here, and what it says in the harness, where it is one of many.
const IN_THE_HARNESS: [(&str, &str); 3] = [
    ("use ebs_public_snapshot::", "use rules::ebs_public_snapshot::"),
    ("\nuse testkit::Result;\nuse testkit::account::Account;\nuse testkit::subjects::{AnySubject, Subject};\n",
        "\nuse super::{AnySubject, Subject};\nuse crate::Result;\nuse crate::account::Account;\n"),
    ("testkit::", "crate::"),
];

#[test]
fn the_page_shows_the_files() {
    let folder = paths::repository().join("docs");
    let page = fs::read_to_string(folder.join("add-a-rule.md")).unwrap();
    let file = |name: &str| fs::read_to_string(folder.join("add-a-rule").join(name)).unwrap();
    let mut subject = file("subject.rs");
    for (here, there) in IN_THE_HARNESS {
        assert!(subject.contains(here), "{here}");
        subject = subject.replace(here, there);
    }
    let of_the_rule = |name: &str| file(&format!("ebs-public-snapshot/{name}"));
    for (language, text) in [
        ("json", of_the_rule("rule.json")),
        ("toml", of_the_rule("Cargo.toml")),
        ("rust", of_the_rule("src/lib.rs")),
        ("rust", of_the_rule("src/main.rs")),
        ("rust", subject),
    ] {
        let block = format!("```{language}\n{text}```\n");
        assert!(page.contains(&block), "docs/add-a-rule.md should have this block:\n{block}");
    }
}
