//! The protocol of a resource's card, as a model that is checked exhaustively. Ten minutes are enough to read it:
//!
//! - `model.rs` is the model: who there is, what each of them does next, and what can go wrong meanwhile. Its names
//!   are the code's: the stations of `engine`, `Claim`, `Condition`, `Ended`, `Busy`, `hold`, `release`, `give_up`,
//!   `renew`.
//! - This file says what must hold, in which small worlds it is checked, and that each rule is needed: taken out by a
//!   switch in `Without`, it gives a counterexample.
//!
//! **Modelled.** One resource that is open or closed. Lambdas, which the service may start again with the same request
//! ID, a command line that fixes or takes back and has no deadline, a person who changes the resource by hand, and at
//! the end, when the faults stop, polls. A card that is stored on a condition. A process may die between any two
//! steps, and a Lambda does so at its deadline. An answer of the store may be lost, and a call to it may fail. A write
//! may take although its answer was lost, may go on when nobody waits for it any more, and may be answered although it
//! did not take. It is one call, or a runbook, which goes on whoever dies. Time stops at each moment on which
//! somebody's comparison depends, by anybody's clock.
//!
//! **Not modelled.** Several changes of one resource, two controls, the policy, limits, approvals, two batches of one
//! run, a card or report that cannot be read, a store that answers with something old (S3 does not), a PUT that
//! arrives after its process was told that it had failed, the time that a renewal takes, and a process that is put to
//! sleep between its last check and its write: AWS has no fencing. A look after a write sees what is there. A retry
//! begins when the call of the try before it has ended: the service waits for a minute, and a call for half of one. An
//! exemption does not end. What a run wrote under the claim that it holds on to is told from what it wrote before by a
//! flag; the code tells it by the time. Who could not be sure of its write keeps the claim, and is asked nothing about
//! the runbook that the code asks after.
//!
//! **Bounds.** Two processes and the polls, of which nothing disturbs; one crash, one fault, one change by hand; one
//! renewal of a claim. Where that is more than half a minute's work, one of them is left out. `PROTOCOL_BOUNDS=2` has
//! two of each, and a world of three processes; that takes long, and gigabytes.
//!
//! **What it says of clocks.** A Lambda is dead at its deadline, and its claims hold for 60 s more. So no two write at
//! once while no clock is more than 60 s ahead of the service's; at 61 s they do. A clock that is behind does no harm:
//! a Lambda's own clock cancels out of `until`, and who is behind only waits longer. When a command line's renewal
//! fails, its claim has 100 s left, and its calls have ended after 30: it bears clocks that are 70 s ahead of its own,
//! and not 71.

mod model;

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model, Path, Property};

use model::{
    Action, Actor, Condition, Ended, Means, Protocol, Run, Seconds, State, Station, What, Without, Write, Wrong,
};

const ONE_WRITER: &str = "at most one write to the resource is under way";
const PLANNED: &str = "nothing is written before its plan is stored";
const CLAIMED: &str = "nothing is written without a claim that holds";
const FRESH: &str = "nothing is written on a look since which another run has changed the resource";
const FIXED: &str = "`fixed` and `undone` are said of what was so after the write";
const REMEMBERED: &str = "what a run wrote is on the card";
const OURS: &str = "an undo opens what a fix of ours closed, and nothing else";
const LAST: &str = "an undo opens nothing that a later run has closed";
const EXEMPT: &str = "runs leave alone what an undo has put back";
const CLOSED: &str = "in the end the resource is closed, unless an undo has put it back";
const FREE: &str = "every claim ends";

const BUSY: &str = "a claim comes to nothing, because somebody else was faster";
const DEFERRED: &str = "a poll leaves it to the next";
const HELD: &str = "a claim is held on to";
const LATE: &str = "a write goes on when its process has ended";
const OUTLIVES: &str = "a runbook goes on when its process has ended";
const OWN: &str = "a lost answer is told to be one's own";
const OWN_CLAIM: &str = "a retry goes on with the claim of the try before";
const RENEWAL_FAILS: &str = "a renewal fails while a write is under way";
const RENEWED: &str = "a claim is renewed while a write is under way";
const TAKEN_OVER: &str = "a claim is taken over from a run that never came back";
const UNDONE: &str = "an undo takes back what a run wrote";

/// What must hold in every world, and what must happen in this one.
fn properties(model: &Protocol) -> Vec<Property<Protocol>> {
    let always = Property::<Protocol>::always;
    let eventually = Property::<Protocol>::eventually;
    let holds = [
        always(ONE_WRITER, |_, state| writes_under_way(state) <= 1),
        always(PLANNED, |_, state| state.wrong != Some(Wrong::WrittenUnplanned)),
        always(CLAIMED, |_, state| state.wrong != Some(Wrong::WrittenUnclaimed)),
        always(FRESH, |_, state| state.wrong != Some(Wrong::WrittenOnAnOldLook)),
        always(FIXED, |_, state| state.wrong != Some(Wrong::ProvedUnseen)),
        always(OURS, |_, state| state.wrong != Some(Wrong::OpenedWhatAHandClosed)),
        always(LAST, |_, state| state.wrong != Some(Wrong::OpenedAfterALaterRun)),
        always(EXEMPT, |_, state| state.wrong != Some(Wrong::ClosedWhatIsExempt)),
        always(REMEMBERED, |_, state| (0..state.wrote.len()).all(|run| !state.wrote[run] || is_remembered(state, run))),
        // These two hold at the end alone, when nothing happens any more: so no path that joins another hides one that
        // lacks them.
        eventually(FREE, |model, state| model.is_end(state) && model.is_free(state)),
        eventually(CLOSED, |model, state| model.is_end(state) && (!state.open || is_exempt(state))),
    ];
    let happens = happenings().into_iter().filter(|property| model.happens.contains(&property.name));
    holds.into_iter().chain(happens).collect()
}

/// What may happen.
fn happenings() -> Vec<Property<Protocol>> {
    let sometimes = Property::<Protocol>::sometimes;
    vec![
        sometimes(BUSY, |_, state| {
            let claims = state.processes.iter().filter(|process| process.station == Station::Put(What::Claim));
            claims.into_iter().any(|process| process.condition == Condition::Unchanged(None))
        }),
        sometimes(DEFERRED, |_, state| {
            state.polled.is_some() && state.processes.last().is_some_and(|poll| poll.station == Station::Waiting)
        }),
        sometimes(HELD, |_, state| claim_of(state).is_some_and(|claim| claim.said)),
        sometimes(LATE, |_, state| {
            state.processes.iter().any(|process| process.call.is_some() && !process.is_at_work())
        }),
        sometimes(OUTLIVES, |_, state| state.under_way.is_some_and(|run| !state.processes[run].is_at_work())),
        sometimes(OWN, |_, state| state.processes.iter().any(|process| process.own)),
        sometimes(OWN_CLAIM, |_, state| {
            claim_of(state).is_some_and(|claim| state.processes[claim.holder].station == Station::LookAgain)
        }),
        sometimes(RENEWAL_FAILS, |_, state| state.processes.iter().any(|process| process.lost)),
        sometimes(RENEWED, |_, state| {
            let awaits = |process: &model::Process| process.station == Station::Await && process.renewals == 0;
            state.processes.iter().any(awaits)
        }),
        sometimes(TAKEN_OVER, |_, state| has_written(state, |write| write.ended == Ended::CutOff)),
        sometimes(UNDONE, |_, state| has_written(state, |write| write.is_undone)),
    ]
}

fn writes_under_way(state: &State) -> usize {
    let calls = state.processes.iter().filter(|process| process.call.is_some()).count();
    calls + usize::from(state.under_way.is_some())
}

fn is_remembered(state: &State, run: Run) -> bool {
    state.stored.iter().any(|card| card.all_writes().any(|write| write.run == run))
}

fn is_exempt(state: &State) -> bool {
    state.stored.as_ref().is_some_and(|card| card.exempt)
}

fn claim_of(state: &State) -> Option<&model::Claim> {
    state.stored.as_ref()?.claim.as_ref()
}

fn has_written(state: &State, is_it: fn(&Write) -> bool) -> bool {
    state.stored.iter().flat_map(|card| &card.writes).any(is_it)
}

/// How much more may go wrong than in the tests that always run.
fn bounds() -> u8 {
    std::env::var("PROTOCOL_BOUNDS").ok().and_then(|bounds| bounds.parse().ok()).unwrap_or(1)
}

/// A world of these processes and the polls, whose clocks are `ahead` of the true time.
fn world(actors: &[Actor], ahead: &[Seconds], means: Means) -> Protocol {
    let actors = [actors, &[Actor::Poll]].concat();
    let ahead = [ahead, &[0]].concat();
    let (crashes, faults, without) = (bounds(), bounds(), Without::default());
    Protocol { actors, ahead, means, crashes, faults, hands: 1, hand_closes: false, without, happens: Vec::new() }
}

/// Two Lambdas, each started once.
fn lambdas(means: Means) -> Protocol {
    world(&[Actor::Lambda(1), Actor::Lambda(1)], &[0, 60], means)
}

/// A Lambda that is started again, and another one.
fn retry() -> Protocol {
    Protocol { crashes: 0, hands: 1, ..world(&[Actor::Lambda(2), Actor::Lambda(1)], &[0, 0], Means::Call) }
}

/// A Lambda and a command line that fixes.
fn apply() -> Protocol {
    Protocol { hands: bounds() - 1, ..world(&[Actor::Lambda(1), Actor::Apply], &[60, 0], Means::Call) }
}

/// A Lambda, and a command line that takes back what it wrote.
fn undo(means: Means) -> Protocol {
    world(&[Actor::Lambda(1), Actor::Undo(0)], &[60, 0], means)
}

/// Two Lambdas that fix it one after the other, and a command line that takes back what the first wrote.
fn undo_of_the_first() -> Protocol {
    let actors = [Actor::Lambda(1), Actor::Lambda(1), Actor::Undo(0)];
    Protocol { crashes: bounds() - 1, faults: bounds() - 1, ..world(&actors, &[0, 60, 0], Means::Call) }
}

/// Looks at every state of a world.
fn check(name: &str, model: Protocol, happens: &[&'static str]) {
    let start = std::time::Instant::now();
    let checker = Protocol { happens: happens.to_vec(), ..model }.checker().spawn_bfs().join();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    println!("{name}: {states} unique states, at most {depth} steps, {:?}", start.elapsed());
    for name in happens {
        let path = checker.discovery(name).map(|path| path.into_actions());
        println!("  {name}: {path:?}");
    }
    checker.assert_properties();
}

/// A shortest path to where a property does not hold.
fn counterexample(model: Protocol, property: &'static str) -> Option<Path<State, Action>> {
    let only = HasDiscoveries::AnyOf(BTreeSet::from([property]));
    model.checker().finish_when(only).spawn_bfs().join().discovery(property)
}

#[test]
fn two_lambdas_with_clocks_a_minute_apart_keep_it() {
    check("two Lambdas", lambdas(Means::Call), &[BUSY, DEFERRED, HELD, LATE, OWN, TAKEN_OVER]);
    for ahead in [[60, 0, 0], [-60, 60, 0], [0, -60, 60]] {
        let model = Protocol { ahead: ahead.to_vec(), faults: 0, hands: 0, ..lambdas(Means::Call) };
        check(&format!("two Lambdas, clocks ahead by {ahead:?}"), model, &[TAKEN_OVER]);
    }
}

#[test]
fn two_lambdas_with_a_runbook_keep_it() {
    check("two Lambdas with a runbook", lambdas(Means::Runbook), &[HELD, OUTLIVES, OWN, TAKEN_OVER]);
}

#[test]
fn a_lambda_that_is_started_again_keeps_it() {
    let alone = world(&[Actor::Lambda(2)], &[0], Means::Call);
    check("a Lambda that is started again", alone, &[OWN, OWN_CLAIM, TAKEN_OVER]);
    let with_another = Protocol { crashes: 1, faults: bounds() - 1, hands: bounds() - 1, ..retry() };
    check("a Lambda that is started again, and another", with_another, &[BUSY, OWN_CLAIM, TAKEN_OVER]);
}

#[test]
fn a_command_line_that_fixes_keeps_it() {
    check("a Lambda and a command line", apply(), &[LATE, OWN, RENEWAL_FAILS, RENEWED, TAKEN_OVER]);
}

#[test]
fn a_command_line_that_takes_back_keeps_it() {
    check("an undo", undo(Means::Call), &[DEFERRED, LATE, OWN, RENEWAL_FAILS, RENEWED, UNDONE]);
    check("an undo, and a runbook", undo(Means::Runbook), &[OUTLIVES, UNDONE]);
    if bounds() > 1 {
        check("an undo of the first of two runs", undo_of_the_first(), &[UNDONE]);
    }
}

#[test]
fn clocks_that_are_more_than_a_minute_ahead_let_two_write_at_once() {
    let breaks = |model: Protocol| counterexample(model, ONE_WRITER).is_some();
    let lambda = |ahead| Protocol { ahead: vec![0, ahead, 0], faults: 0, hands: 0, ..lambdas(Means::Call) };
    let command = |ahead| Protocol { ahead: vec![ahead, 0, 0], faults: 0, hands: 0, ..apply() };
    assert_eq!([60, 61].map(|ahead| breaks(lambda(ahead))), [false, true]);
    assert_eq!([70, 71].map(|ahead| breaks(command(ahead))), [false, true]);
    assert!(!breaks(lambda(-600)), "who is behind waits longer");
}

/// The rules that can be taken out without a counterexample to the property beside them; there should be none.
fn unneeded(table: impl IntoIterator<Item = (Without, Protocol, &'static str)>) -> Vec<Without> {
    let is_unneeded = |(without, model, property): (Without, Protocol, &'static str)| {
        let (taken, start) = (format!("{without:?}"), std::time::Instant::now());
        let found = counterexample(Protocol { without, ..model }, property).map(|path| path.into_actions());
        let taken = taken.split(", ").filter(|rule| rule.contains("true")).collect::<Vec<_>>().join(", ");
        println!("{taken}: {property}: {found:?}, {:?}", start.elapsed());
        found.is_none().then_some(without)
    };
    table.into_iter().filter_map(is_unneeded).collect()
}

#[test]
fn each_rule_of_the_claim_is_needed() {
    let (none, lambdas, runbook) = (Without::default(), lambdas(Means::Call), lambdas(Means::Runbook));
    let table = [
        (Without { claim: true, ..none }, lambdas.clone(), ONE_WRITER),
        (Without { condition: true, ..none }, lambdas.clone(), ONE_WRITER),
        (Without { until: true, ..none }, lambdas.clone(), FREE),
        (Without { after_deadline: true, ..none }, lambdas.clone(), ONE_WRITER),
        (Without { under_way: true, ..none }, runbook.clone(), ONE_WRITER),
        (Without { hold: true, ..none }, lambdas, ONE_WRITER),
        (Without { hold: true, ..none }, runbook, ONE_WRITER),
    ];
    assert_eq!(unneeded(table), []);
}

#[test]
fn the_nonce_is_needed() {
    let without = Without { nonce: true, ..Without::default() };
    assert_eq!(unneeded([(without, retry(), FRESH)]), []);
}

#[test]
fn each_rule_of_a_renewal_is_needed() {
    let none = Without::default();
    let rules = [Without { renew: true, ..none }, Without { lose: true, ..none }];
    assert_eq!(unneeded(rules.map(|without| (without, apply(), ONE_WRITER))), []);
}

#[test]
fn each_rule_of_a_fix_is_needed() {
    let (none, lambdas) = (Without::default(), lambdas(Means::Call));
    let table = [
        (Without { second_look: true, ..none }, lambdas.clone(), FRESH),
        (Without { plan: true, ..none }, lambdas.clone(), PLANNED),
        (Without { fresh_look: true, ..none }, lambdas.clone(), FIXED),
        (Without { cut_off: true, ..none }, lambdas, REMEMBERED),
    ];
    assert_eq!(unneeded(table), []);
}

#[test]
fn each_rule_of_an_undo_is_needed() {
    let none = Without::default();
    let twice = world(&[Actor::Lambda(1), Actor::Undo(0), Actor::Undo(0)], &[0, 0, 0], Means::Call);
    let twice = Protocol { crashes: 0, hands: 0, ..twice };
    let table = [
        (Without { hold: true, ..none }, twice, ONE_WRITER),
        (Without { written_after: true, ..none }, undo_of_the_first(), LAST),
        (Without { exempt: true, ..none }, undo(Means::Call), EXEMPT),
    ];
    assert_eq!(unneeded(table), []);
}

/// A run that was cut off before it wrote is on the card as one that may have written: nobody knows. When a person has
/// closed the resource since, its undo opens it, and the code does just that.
#[test]
fn an_undo_of_a_run_that_never_came_back_may_open_what_a_hand_closed() {
    let found = counterexample(Protocol { hand_closes: true, ..undo(Means::Call) }, OURS);
    let actions = found.unwrap().into_actions();
    println!("{actions:?}");
    assert!(actions.contains(&Action::Hand));
}
