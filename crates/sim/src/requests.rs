//! How often the bucket of records is asked, without faults: what `docs/costs.md` counts with.

use std::sync::Arc;
use std::time::Duration;

use remediation::Mode;
use serde::Deserialize;
use tokio::time::sleep;

use crate::cloud::Thing;
use crate::fault::Faults;
use crate::lambda::{self, RULES};
use crate::people;
use crate::scenario::{PolicyText, Scenario};
use crate::store::Requests;
use crate::world::World;

const MEASURED: &str = include_str!("../../../docs/costs/measured.json");

/// What `docs/costs/measured.json` says.
#[derive(Deserialize)]
struct Measured {
    /// Each poll of a rule, whatever it finds.
    poll: Requests,
    /// For every four requests to Netskope, and so once in most polls.
    turns: Requests,
    found: Handled,
    unchanged: Handled,
    fix: Requests,
    /// Each batch in which something is fixed: that it waits for Netskope is kept.
    batch_of_fixes: Requests,
    /// What Netskope has confirmed.
    closed: Handled,
}

/// What findings ask for: for each batch, for each account that has findings in it, and for each finding.
#[derive(Deserialize)]
struct Handled {
    batch: Requests,
    account: Requests,
    finding: Requests,
}

impl Handled {
    fn of(&self, batches: i64, accounts: i64, findings: i64) -> Requests {
        let sum = |of: fn(&Requests) -> i64| {
            batches * of(&self.batch) + accounts * of(&self.account) + findings * of(&self.finding)
        };
        Requests { put: sum(|of| of.put), list: sum(|of| of.list), get: sum(|of| of.get), turns: 0 }
    }
}

/// A world of so many gates, one a finding, in three accounts.
fn world(findings: usize, batches: usize, mode: Mode) -> Arc<World> {
    World::new(Scenario {
        seed: 1,
        things: (0..findings).map(Thing::open_gate).collect(),
        policy: PolicyText { mode, ..PolicyText::APPLY },
        faults: Faults::default(),
        steps: Vec::new(),
        batch_size: (findings / batches).max(1),
        lambda_seconds: 900,
        rush: false,
        event_age: 1_800,
        concurrency: None,
    })
}

/// The requests of the first poll, and of one half an hour later.
fn polls(findings: usize, batches: usize, mode: Mode) -> [Requests; 2] {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = world(findings, batches, mode);
        people::set_policy(&world, Some(&world.scenario.policy));
        let mut polls = [Requests::default(); 2];
        for requests in &mut polls {
            let before = world.store.asked();
            world.tenant.scan(&world);
            lambda::poll(&world, RULES[0]).await;
            world.lambdas.until_idle().await;
            let asked = minus(world.store.asked(), before);
            assert!(asked.turns > 0, "nobody took turns");
            *requests = Requests { turns: 0, ..asked };
            sleep(Duration::from_secs(1_800)).await;
        }
        assert_eq!(world.broken(), None);
        polls
    })
}

fn plus(one: Requests, other: Requests) -> Requests {
    let turns = one.turns + other.turns;
    Requests { put: one.put + other.put, list: one.list + other.list, get: one.get + other.get, turns }
}

fn minus(one: Requests, other: Requests) -> Requests {
    let turns = one.turns - other.turns;
    Requests { put: one.put - other.put, list: one.list - other.list, get: one.get - other.get, turns }
}

#[test]
fn the_cost_table_counts_the_requests_that_are_made() {
    let measured: Measured = serde_json::from_str(MEASURED).unwrap();
    assert_eq!(measured.turns, Requests { put: 1, get: 1, ..Requests::default() });
    // Three accounts: in one batch, or each in one of its own. More fixes need more polls to be confirmed.
    for (findings, batches) in [(30, 1), (45, 1), (30, 3), (45, 3)] {
        let count = i64::try_from(findings).unwrap();
        let batches_of = i64::try_from(batches).unwrap();
        let of = |handled: &Handled| plus(measured.poll, handled.of(batches_of, 3, count));
        let plan = polls(findings, batches, Mode::Plan);
        assert_eq!(plan, [of(&measured.found), of(&measured.unchanged)], "{findings} in {batches}");
        let [fixed, closed] = polls(findings, batches, Mode::Apply);
        // Batches that end at once write one after the other which fixes wait: so often each may have to try again at most.
        let again = batches_of * (batches_of - 1);
        let least = of(&measured.closed);
        assert!((least.put..=least.put + again).contains(&closed.put), "{closed:?}");
        assert!((least.get..=least.get + 2 * again).contains(&closed.get), "{closed:?}");
        assert_eq!(closed.list, least.list, "{findings} in {batches}");
        // A fix writes the card twice, and the policy is read again before it unless that was a moment ago.
        let found = plus(measured.poll, measured.found.of(batches_of, 3, 0));
        let own = count * measured.fix.put + batches_of * measured.batch_of_fixes.put;
        // Accounts of one batch that are planned one after the other have a plan each.
        let waves = 3 - batches_of;
        assert!((found.put + own..=found.put + own + again + waves).contains(&fixed.put), "{fixed:?}");
        let most = count * measured.fix.get + batches_of * measured.batch_of_fixes.get + again;
        assert!((found.get..=found.get + most).contains(&fixed.get), "{fixed:?}");
        assert_eq!(fixed.list, found.list, "{findings} in {batches}");
    }
}
