//! Makes a scenario that breaks something smaller: fewer steps, faults and things, as long as the same invariant breaks.

use crate::run::run;
use crate::scenario::Scenario;

/// The smallest scenario that was found, after at most so many runs.
pub fn shrink(scenario: Scenario, invariant: &str, runs: usize) -> Scenario {
    let (mut smallest, mut left) = (scenario, runs);
    loop {
        let smaller = candidates(&smallest).into_iter().find(|candidate| {
            if left == 0 {
                return false;
            }
            left -= 1;
            run(candidate.clone()).broken.is_some_and(|broken| broken.invariant == invariant)
        });
        match smaller {
            Some(smaller) => smallest = smaller,
            None => return smallest,
        }
    }
}

/// What is smaller than a scenario by one thing, the largest cuts first.
fn candidates(of: &Scenario) -> Vec<Scenario> {
    let mut candidates = Vec::new();
    let mut cut = of.steps.len() / 2;
    while cut > 0 {
        for start in (0..of.steps.len()).step_by(cut).rev() {
            let mut smaller = of.clone();
            smaller.steps.drain(start..(start + cut).min(of.steps.len()));
            candidates.push(smaller);
        }
        cut /= 2;
    }
    for fault in of.faults.0.keys() {
        let mut smaller = of.clone();
        smaller.faults.0.remove(fault);
        candidates.push(smaller);
    }
    // The places of those that stay do not move.
    if of.things.len() > 1 {
        let mut smaller = of.clone();
        smaller.things.pop();
        candidates.push(smaller);
    }
    candidates
}
