//! The laws of a rule's pure half, to be tried on every state that a test can think of.

use std::collections::BTreeSet;
use std::fmt::Debug;

use remediation::{Resource, Rule, Seen, Side};

/// A rule with what AWS does to its states, as far as the laws need it.
pub trait World: Rule<State: Clone + PartialEq + Debug, Change: Debug> {
    /// What writing the change makes of the state.
    fn write(state: &mut Self::State, change: &Self::Change);

    /// Everything that the state lets in, in words: a change may make it less and never more.
    fn open(state: &Self::State) -> BTreeSet<String>;
}

/// Asserts every law for one state, the settings and the controls by which the resource is listed.
///
/// # Panics
///
/// A law is broken.
pub fn hold<R: World>(resource: &Resource, state: &R::State, controls: &[R::Control], settings: &R::Settings) {
    let all: Vec<_> = controls.iter().collect();
    let plan = |state: &R::State, controls: &[&R::Control]| {
        R::plan(&Seen::now(resource.clone(), state.clone()), controls, settings)
    };
    let mut now = state.clone();
    let changes = plan(&now, &all).changes;
    for change in &changes {
        assert_eq!(R::side(change, state), Side::Before, "as planned: {change:?}");
        assert_eq!(&R::undo(&R::undo(change)), change, "an undo is taken back");
        let text = serde_json::to_string(change).expect("a change is JSON");
        assert_eq!(&serde_json::from_str::<R::Change>(&text).expect("a change is read back"), change);
    }
    for (written, change) in changes.iter().enumerate() {
        cut_off_here_it_ends_well::<R>(&now, &plan, &all, written);
        R::write(&mut now, change);
        let (open, was_open) = (R::open(&now), R::open(state));
        assert!(open.is_subset(&was_open), "{change:?} opens {:?}", open.difference(&was_open));
    }
    for change in &changes {
        assert_eq!(R::side(change, &now), Side::After, "as written: {change:?}");
        assert_eq!(R::side(&R::undo(change), &now), Side::Before, "before the undo of {change:?}");
    }
    for controls in std::iter::once(&all[..]).chain(all.iter().map(std::slice::from_ref)) {
        let left = plan(&now, controls).changes;
        assert!(left.is_empty(), "written, and there is still to write: {left:?}");
    }
    for change in changes.iter().rev() {
        R::write(&mut now, &R::undo(change));
    }
    for change in &changes {
        assert_eq!(R::side(change, &now), Side::Before, "as undone: {change:?}");
        assert_eq!(R::side(&R::undo(change), &now), Side::After, "after the undo of {change:?}");
    }
    assert_eq!(&now, state, "undone, it is as it was");
}

/// A run that ends after any of its changes leaves what the next run can end.
fn cut_off_here_it_ends_well<R: World>(
    now: &R::State,
    plan: &impl Fn(&R::State, &[&R::Control]) -> remediation::Proposal<R::Change>,
    controls: &[&R::Control],
    written: usize,
) {
    let mut now = now.clone();
    for change in plan(&now, controls).changes {
        R::write(&mut now, &change);
    }
    let left = plan(&now, controls).changes;
    assert!(left.is_empty(), "cut off after {written} changes, the next run leaves {left:?}");
}
