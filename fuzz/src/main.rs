//! libFuzzer over one target of the crate `fuzzing`: that which `FUZZ_TARGET` names. `./justw fuzz` runs each.
#![no_main]

use std::sync::LazyLock;

use fuzzing::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    TARGETS.iter().find(|target| target.name == name).unwrap_or_else(|| {
        let known: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("fuzz: FUZZ_TARGET is {name:?}, and the targets are {}", known.join(", "));
        std::process::exit(2)
    })
});

fuzz_target!(|data: &[u8]| (TARGET.feed)(data));
