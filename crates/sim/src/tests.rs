//! What a run comes to.

use std::path::Path;

use super::*;

fn kept() -> Vec<(String, Scenario)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("kept");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut kept: Vec<_> = files
        .map(|file| {
            let scenario = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            (file.file_stem().unwrap().to_string_lossy().into_owned(), scenario)
        })
        .collect();
    kept.sort_by(|one, other| one.0.cmp(&other.0));
    kept
}

/// Each was found where the safeguard of its name was not there, or not yet.
#[test]
fn what_was_found_once_stays_mended() {
    let kept = kept();
    assert!(!kept.is_empty());
    for (name, scenario) in kept {
        let Ran { broken, story } = run(scenario);
        let told = || story.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert_eq!(broken, None, "{name}:\n{}", told());
    }
}

#[test]
fn a_seed_tells_one_story() {
    for seed in [3, 7, 91] {
        let (one, other) = (run(Scenario::by_seed(seed)), run(Scenario::by_seed(seed)));
        assert!(one.story.len() > 20, "seed {seed} tells nothing");
        assert_eq!(one.story, other.story, "seed {seed}");
    }
}

#[test]
fn batches_are_written_in_waves() {
    let in_waves =
        |seed: &u64| run(Scenario::by_seed(*seed)).story.iter().any(|line| line.to_string().contains(", in waves"));
    assert!((0..20).filter(in_waves).count() >= 4);
}

#[test]
fn a_scenario_can_be_kept_and_read_again() {
    for seed in 0..50 {
        let scenario = Scenario::by_seed(seed);
        let read: Scenario = serde_json::from_str(&serde_json::to_string(&scenario).unwrap()).unwrap();
        assert_eq!(read, scenario);
    }
}
