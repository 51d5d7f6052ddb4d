//! The kept corpus, through the same functions as the fuzzer: what once panicked does not again. And what is like it:
//! `PROPTEST_CASES` says how many texts that differ in a few places from one of the corpus.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use fuzzing::{TARGETS, Target};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{TestRng, TestRunner};

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz"))
}

/// The corpus of a target.
fn corpus(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = folder().join("corpus").join(target.name);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.into_iter().map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

/// The words of the fuzzer's dictionary.
fn words() -> Vec<Vec<u8>> {
    let text = fs::read_to_string(folder().join("words.dict")).unwrap();
    let quoted = text.lines().filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    let plain = quoted.filter(|word| !word.contains("\\x"));
    plain.map(|word| word.replace("\\\"", "\"").replace("\\\\", "\\").into_bytes()).collect()
}

#[test]
fn every_target_takes_its_corpus() {
    let mut failed = Vec::new();
    for target in TARGETS {
        for (file, data) in corpus(target) {
            if catch_unwind(|| (target.feed)(&data)).is_err() {
                failed.push(file);
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn every_corpus_has_a_target() {
    let folders = fs::read_dir(folder().join("corpus")).unwrap();
    let folders = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let targets: BTreeSet<_> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(folders.collect::<BTreeSet<_>>(), targets);
}

/// A place of a text that is another.
#[derive(Debug, Clone)]
enum Edit {
    Byte(Index, u8),
    Cut(Index, usize),
    Repeat(Index, usize),
    Word(Index, Index),
    /// The digits after this place become the word.
    Number(Index, Index),
    /// The rest becomes that of another text.
    Splice(Index, Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Byte(at, byte)),
        (at(), 1..64_usize).prop_map(|(at, length)| Edit::Cut(at, length)),
        (at(), 1..64_usize).prop_map(|(at, length)| Edit::Repeat(at, length)),
        (at(), at()).prop_map(|(at, word)| Edit::Word(at, word)),
        (at(), at()).prop_map(|(at, word)| Edit::Number(at, word)),
        (at(), at(), at()).prop_map(|(at, other, from)| Edit::Splice(at, other, from)),
    ]
}

impl Edit {
    fn make(&self, text: &mut Vec<u8>, corpus: &[(PathBuf, Vec<u8>)], words: &[Vec<u8>]) {
        let place = |at: &Index| at.index(text.len() + 1);
        match self {
            Self::Byte(at, byte) => {
                let at = place(at);
                text.splice(at..(at + 1).min(text.len()), [*byte]);
            }
            Self::Cut(at, length) => drop(text.drain(place(at)..(place(at) + length).min(text.len()))),
            Self::Repeat(at, length) => {
                let part = text[place(at)..(place(at) + length).min(text.len())].to_vec();
                let at = place(at);
                text.splice(at..at, part);
            }
            Self::Word(at, word) => {
                let at = place(at);
                text.splice(at..at, word.get(words).iter().copied());
            }
            Self::Number(at, word) => {
                let at = place(at);
                let Some(begin) = (at..text.len()).find(|place| text[*place].is_ascii_digit()) else { return };
                let end = (begin..text.len()).find(|place| !text[*place].is_ascii_digit()).unwrap_or(text.len());
                text.splice(begin..end, word.get(words).iter().copied());
            }
            Self::Splice(at, other, from) => {
                let (_, other) = other.get(corpus);
                let at = place(at);
                text.splice(at.., other[from.index(other.len() + 1)..].iter().copied());
            }
        }
    }
}

#[test]
fn every_target_takes_what_is_like_its_corpus() {
    let words = words();
    // What fails is put into the corpus by hand
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    for target in TARGETS {
        let corpus = corpus(target);
        let texts = (any::<Index>(), prop::collection::vec(edit(), 1..5));
        let rng = TestRng::deterministic_rng(config.rng_algorithm);
        let outcome = TestRunner::new_with_rng(config.clone(), rng).run(&texts, |(which, edits)| {
            let mut text = which.get(&corpus).1.clone();
            edits.iter().for_each(|edit| edit.make(&mut text, &corpus, &words));
            let shown = String::from_utf8_lossy(&text).into_owned();
            prop_assert!(catch_unwind(|| (target.feed)(&text)).is_ok(), "{}: {shown:?}", target.name);
            Ok(())
        });
        outcome.unwrap();
    }
}
