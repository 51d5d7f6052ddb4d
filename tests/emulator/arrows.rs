//! Which crate may use which, and which room of `remediation`: the arrows of the house, read from the files.

use std::path::{Path, PathBuf};
use std::{fs, iter};

use testkit::paths;

/// Our crates, each with those of ours that it may depend on. Each line may name only crates above it.
const CRATES: [(&str, &[&str]); 25] = [
    ("ambient", &[]),
    ("crc-fast", &[]),
    ("escape", &[]),
    ("network", &["escape"]),
    ("remediation", &["ambient", "escape", "network"]),
    ("failure-queue", &["escape", "remediation"]),
    ("report", &["escape", "remediation"]),
    ("logging", &["escape"]),
    ("netskope", &["ambient", "escape", "network"]),
    ("package", &[]),
    ("bench", &[]),
    ("ec2", &["remediation"]),
    ("engine", &["ambient", "escape", "remediation"]),
    ("messages", &["ambient", "escape", "remediation"]),
    ("runbook", &["remediation"]),
    ("rule-testing", &["remediation"]),
    ("rule-lambda", &["ambient", "engine", "escape", "logging", "messages", "network", "remediation"]),
    (RULE, &["ambient", "ec2", "remediation", "rule-lambda", "runbook"]),
    ("rules", &["remediation", RULE]),
    ("poller", &["ambient", "escape", "logging", "netskope", "network", "remediation"]),
    (
        "autoremediate",
        &[
            "ambient",
            "engine",
            "escape",
            "failure-queue",
            "logging",
            "messages",
            "netskope",
            "network",
            "poller",
            "remediation",
            "report",
            "rules",
        ],
    ),
    ("fuzzing", &["escape", "failure-queue", "netskope", "remediation", "rule-lambda"]),
    ("sim", &["ambient", "engine", "netskope", "poller", "remediation", "rule-lambda", "runbook"]),
    ("testkit", &["engine", "remediation", "rules"]),
    ("tests", &["engine", "remediation", "rules", "testkit", RULE_OF_THE_PAGE]),
];
/// Stands for the crate of any rule.
const RULE: &str = "a rule";
/// The rule that the page about adding a rule adds. It is in no list of rules.
const RULE_OF_THE_PAGE: &str = "ebs-public-snapshot-example";
/// The rooms of `remediation`. Each may use those before it, and the text that people wrote is read alike in all.
const ROOMS: [&str; 4] = ["aws", "domain", "policy", "records"];

/// The crates that may ask the machine itself: the one that is asked by all others, and those that test or measure.
const WITH_A_CLOCK: [&str; 6] = ["ambient", "bench", "fuzzing", "rule-testing", "sim", "testkit"];

/// All files below a folder whose names end so.
fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let below = paths.flat_map(|path| if path.is_dir() { files(&path, end) } else { vec![path] });
    below.filter(|path| path.to_str().unwrap().ends_with(end)).collect()
}

/// The name of a crate, and what its `[dependencies]` name.
fn manifest(path: &Path) -> (String, Vec<String>) {
    let text = fs::read_to_string(path).unwrap();
    let name = text.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).unwrap();
    let (_, dependencies) = text.split_once("[dependencies]\n").unwrap_or_default();
    let dependencies = dependencies.lines().take_while(|line| !line.starts_with('['));
    let dependencies = dependencies.filter_map(|line| line.split(['.', ' ', '=']).next().map(str::to_owned));
    (name.to_owned(), dependencies.collect())
}

/// The folder of a rule has a `rule.json`.
fn kind(path: &Path, name: &str) -> String {
    if path.with_file_name("rule.json").exists() { RULE.to_owned() } else { name.to_owned() }
}

#[test]
fn crates_depend_only_on_what_they_may() {
    let folders = ["crates", "tests", "docs/add-a-rule"].map(|folder| paths::repository().join(folder));
    let manifests: Vec<_> = folders.iter().flat_map(|folder| files(folder, "Cargo.toml")).collect();
    let ours: Vec<_> = manifests.iter().map(|path| (path, manifest(path))).collect();
    assert!(ours.len() > CRATES.len());
    for (path, (name, dependencies)) in &ours {
        let found = CRATES.iter().position(|(of, _)| *of == kind(path, name));
        let (_, allowed) = CRATES[found.unwrap_or_else(|| panic!("{name} is not in the list of crates"))];
        for (path, (of_ours, _)) in ours.iter().filter(|(_, (of_ours, _))| dependencies.contains(of_ours)) {
            let listed = allowed.contains(&kind(path, of_ours).as_str()) || allowed.contains(&of_ours.as_str());
            assert!(listed, "{name} depends on {of_ours}");
        }
    }
    for (index, (name, allowed)) in CRATES.iter().enumerate() {
        let above: Vec<_> = CRATES[..index].iter().map(|(of, _)| *of).chain([RULE_OF_THE_PAGE]).collect();
        assert!(allowed.iter().all(|of| above.contains(of)), "{name} may only use lines above its own");
    }
}

#[test]
fn of_a_rule_only_its_main_knows_that_it_runs_in_a_lambda() {
    let sources = files(&paths::repository().join("crates/rules"), ".rs");
    assert!(sources.len() > 16, "{sources:?}");
    for source in sources.iter().filter(|path| !path.ends_with("main.rs")) {
        assert!(!fs::read_to_string(source).unwrap().contains("rule_lambda::"), "{}", source.display());
    }
}

/// So that a simulation answers, and a clock that is off is thought of.
#[test]
fn what_time_it_is_and_chance_are_asked_of_ambient_alone() {
    let crates = paths::repository().join("crates");
    let sources = files(&crates, ".rs").into_iter().filter(|path| {
        let below: Vec<_> = path.strip_prefix(&crates).unwrap().iter().map(|part| part.to_str().unwrap()).collect();
        let is_test = ["tests", "tests.rs", "fake.rs"].iter().any(|name| below.contains(name));
        !is_test && !WITH_A_CLOCK.contains(&below[0])
    });
    let sources: Vec<_> = sources.collect();
    assert!(sources.len() > 100, "{sources:?}");
    for source in sources {
        let text = fs::read_to_string(&source).unwrap();
        let code: Vec<_> = text.lines().take_while(|line| *line != "#[cfg(test)]").collect();
        for asks in
            ["Timestamp::now", "SystemTime::now", "Zoned::now", "std::time::Instant", "Uuid::new_v4", "Uuid::now_v7"]
        {
            let line = code.iter().find(|line| line.contains(asks));
            assert_eq!(line, None, "{}", source.display());
        }
    }
}

#[test]
fn rooms_of_remediation_use_only_those_before_them() {
    let library = paths::repository().join("crates/remediation/src");
    for (index, room) in ROOMS.iter().enumerate() {
        let may: Vec<_> =
            ROOMS[..=index].iter().chain(iter::once(&"text")).map(|room| format!("crate::{room}")).collect();
        let sources = files(&library.join(room), ".rs");
        assert!(!sources.is_empty(), "no room {room}");
        for source in sources.into_iter().chain([library.join(room).with_extension("rs")]) {
            let text = fs::read_to_string(&source).unwrap();
            let code = text.lines().take_while(|line| *line != "#[cfg(test)]");
            let code = code.filter(|line| !line.trim_start().starts_with("//"));
            for line in code.filter(|line| line.contains("crate::")) {
                assert!(may.iter().any(|may| line.contains(may.as_str())), "{}: {line}", source.display());
            }
        }
    }
}
