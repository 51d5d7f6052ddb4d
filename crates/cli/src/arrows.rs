//! Which module may use which. A drawing goes stale, so this one is a test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each room may use, apart from itself.
const ROOMS: [(&str, &[&str]); 7] = [
    ("main", &[]),
    ("lib", &["commands", "session", "error", "exit", "print"]),
    ("commands", &["session", "print", "error", "exit"]),
    ("session", &["error"]),
    ("print", &["exit"]),
    ("error", &[]),
    ("exit", &[]),
];

/// Every file, by its module path.
fn texts() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    files
        .iter()
        .map(|file| {
            let module = file.strip_prefix(&root).unwrap().with_extension("");
            let parts: Vec<_> = module.iter().map(|part| part.to_str().unwrap()).collect();
            (parts.join("::"), fs::read_to_string(file).unwrap())
        })
        .filter(|(module, _)| module != "arrows")
        .collect()
}

/// The modules that each module uses.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let texts = texts();
    let of = |text: &String| {
        assert!(!text.contains("crate::{") && !text.contains("super::super"), "one crate:: path for each use: {text}");
        text.match_indices("crate::").map(|(at, _)| module_of(&text[at + 7..], &texts)).collect()
    };
    texts.iter().map(|(module, text)| (module.clone(), of(text))).collect()
}

/// The longest module that a path begins with.
fn module_of(path: &str, modules: &BTreeMap<String, String>) -> String {
    let end = path.find(|letter: char| !letter.is_alphanumeric() && !":_".contains(letter)).unwrap_or(path.len());
    let parts: Vec<_> = path[..end].split("::").collect();
    let known = (1..=parts.len()).rev().map(|many| parts[..many].join("::"));
    known.into_iter().find(|module| modules.contains_key(module)).unwrap_or_else(|| panic!("{path:.40}"))
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(path);
        }
    }
}

#[test]
fn a_room_uses_only_what_is_below_it() {
    for (module, used) in uses() {
        let room = module.split("::").next().unwrap();
        let (_, below) = ROOMS.iter().find(|(name, _)| *name == room).unwrap_or_else(|| panic!("no room for {module}"));
        for used in used {
            let other = used.split("::").next().unwrap();
            assert!(other == room || below.contains(&other), "{module} may not use {used}");
        }
    }
}

/// So that nothing is printed unescaped.
#[test]
fn only_print_prints() {
    for (module, text) in texts() {
        let outside = !module.starts_with("print") && module != "lib";
        for way in ["write!(", "writeln!(", "println!(", "eprintln!(", "stdout()", "stderr()", "comfy_table::"] {
            assert!(!(outside && text.contains(way)), "{module} prints by itself: {way}");
        }
    }
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let mut left = uses();
    while !left.is_empty() {
        let free: Vec<_> = left
            .iter()
            .filter(|(module, used)| used.iter().all(|used| used == *module || !left.contains_key(used)))
            .map(|(module, _)| module.clone())
            .collect();
        assert!(!free.is_empty(), "a circle: {}", circle(&left).join(" → "));
        left.retain(|module, _| !free.contains(module));
    }
}

/// Modules that use each other, where each one uses another of them.
fn circle(uses: &BTreeMap<String, BTreeSet<String>>) -> Vec<&str> {
    let mut path: Vec<&str> = uses.keys().take(1).map(String::as_str).collect();
    loop {
        let last = path[path.len() - 1];
        let next = uses[last].iter().find(|used| *used != last && uses.contains_key(*used)).unwrap();
        let seen = path.iter().position(|module| module == next);
        path.push(next);
        if let Some(start) = seen {
            return path.split_off(start);
        }
    }
}
