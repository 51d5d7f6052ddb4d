//! Ledgers in a folder.

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const ONE: &str = "111111111111";
const TWO: &str = "222222222222";

fn limits(run: Option<u32>, rule: Option<u32>, account: Option<u32>) -> Limits {
    Limits { changes_per_run: run, changes_per_rule: rule, changes_per_account: account, ..Limits::unlimited() }
}

fn later(why: &str) -> Option<HeldBack> {
    Some(HeldBack::Later(why.to_owned()))
}

fn wanted(accounts: &[&str]) -> Vec<(AccountId, u32)> {
    accounts.iter().map(|account| (account.parse().unwrap(), 1)).collect()
}

fn ledger(folder: &TempDir) -> Ledger {
    Ledger::new(Records::Folder(folder.path().into()), "open-door", RunId::start())
}

/// Which limit holds each of `wanted` back.
async fn held(ledger: &Ledger, rule: &str, limits: &Limits, accounts: &[&str]) -> Vec<Option<String>> {
    let taken = ledger.take(rule, limits, &wanted(accounts)).await.unwrap();
    let name = |held: HeldBack| match held {
        HeldBack::Later(why) => why.split(' ').nth(2).unwrap().to_owned(),
        HeldBack::Always(why) => panic!("{why}"),
    };
    taken.into_iter().map(|held| held.map(name)).collect()
}

#[tokio::test]
async fn each_limit_holds_for_all_batches_of_a_run_together() {
    let (folder, no) = (TempDir::new().unwrap(), || None::<String>);
    let over = |name: &str| Some(name.to_owned());
    let of_run = ledger(&folder);
    let limits_of_run = limits(Some(3), None, None);
    assert_eq!(held(&of_run, "a", &limits_of_run, &[ONE, TWO]).await, [no(), no()]);
    assert_eq!(held(&of_run, "b", &limits_of_run, &[ONE, TWO]).await, [no(), over("changes_per_run")]);
    let of_rule = ledger(&folder);
    let limits_of_rule = limits(None, Some(1), None);
    assert_eq!(held(&of_rule, "a", &limits_of_rule, &[ONE, TWO]).await, [no(), over("changes_per_rule")]);
    assert_eq!(held(&of_rule, "b", &limits_of_rule, &[ONE]).await, [no()]);
    let of_account = ledger(&folder);
    let limits_of_account = limits(Some(9), None, Some(1));
    let ends = [no(), over("changes_per_account"), no()];
    assert_eq!(held(&of_account, "a", &limits_of_account, &[ONE, ONE, TWO]).await, ends);
}

#[tokio::test]
async fn what_is_not_limited_is_not_counted() {
    let folder = TempDir::new().unwrap();
    let ledger = ledger(&folder);
    assert_eq!(held(&ledger, "a", &limits(None, None, None), &[ONE, ONE]).await, [None, None]);
    assert!(ledger.records.list("").await.unwrap().is_empty());
}

#[tokio::test]
async fn batches_that_take_at_once_do_not_exceed_the_limit() {
    let folder = TempDir::new().unwrap();
    let ledger = ledger(&folder);
    let limits = limits(Some(7), None, None);
    let batches = (0..20).map(|_| held(&ledger, "a", &limits, &[ONE]));
    let taken = futures::future::join_all(batches).await;
    assert_eq!(taken.iter().filter(|held| held[0].is_none()).count(), 7);
}

#[tokio::test]
async fn a_stopped_run_takes_nothing_more() {
    let folder = TempDir::new().unwrap();
    let ledger = ledger(&folder);
    ledger.stop(Some(&ONE.parse().unwrap()), "too much failed there").await.unwrap();
    let take = async || ledger.take("a", &limits(None, None, None), &wanted(&[ONE, TWO])).await.unwrap();
    assert_eq!(take().await, [later("too much failed there"), None]);
    ledger.stop(None, "too much failed").await.unwrap();
    assert_eq!(take().await, [(); 2].map(|()| later("too much failed")));
}

#[tokio::test]
async fn the_runs_of_a_day_share_its_limit_and_have_their_own() {
    let folder = TempDir::new().unwrap();
    let limits = Limits { changes_per_day: Some(3), ..limits(Some(2), None, None) };
    let (first, second) = (ledger(&folder), ledger(&folder));
    let over = |name: &str| Some(name.to_owned());
    assert_eq!(held(&first, "a", &limits, &[ONE; 3]).await, [None, None, over("changes_per_run")]);
    assert_eq!(held(&second, "a", &limits, &[ONE; 2]).await, [None, over("changes_per_day")]);
    second.stop(None, "too much failed").await.unwrap();
    assert_eq!(held(&first, "a", &limits, &[ONE]).await, [over("changes_per_day")]);
}

#[tokio::test]
async fn what_no_run_ever_has_room_for_says_so() {
    let folder = TempDir::new().unwrap();
    let take = async |changes: u32, limits: Limits| {
        ledger(&folder).take("a", &limits, &[(ONE.parse().unwrap(), changes)]).await.unwrap().remove(0)
    };
    let over = "its 26 changes are more than the limit changes_per_account (25) ever allows: raise it";
    assert_eq!(take(26, Limits::default()).await, Some(HeldBack::Always(over.into())));
    assert_eq!(take(25, Limits::default()).await, None);
    // The most that a number can be overflows nothing.
    let wide = Limits { changes_per_day: Some(u32::MAX), ..Limits::unlimited() };
    assert_eq!(take(u32::MAX - 25, wide).await, None);
    assert!(matches!(take(u32::MAX, wide).await, Some(HeldBack::Later(_))));
}

#[tokio::test]
async fn by_default_a_day_of_runs_over_ten_thousand_findings_changes_at_most_two_hundred() {
    let folder = TempDir::new().unwrap();
    let mut changed = BTreeMap::new();
    for _ in 0..48 {
        let wanted: Vec<_> = (0..10_000).map(|n| (format!("{:012}", n % 500).parse().unwrap(), 1)).collect();
        let taken = ledger(&folder).take("a", &Limits::default(), &wanted).await.unwrap();
        for ((account, _), _) in wanted.into_iter().zip(taken).filter(|(_, held)| held.is_none()) {
            *changed.entry(account).or_insert(0) += 1;
        }
    }
    assert_eq!(changed.values().sum::<u32>(), 200);
}

#[tokio::test]
async fn one_account_cannot_use_up_the_day_of_the_others() {
    let folder = TempDir::new().unwrap();
    let mut taken = 0;
    for _ in 0..48 {
        let held = ledger(&folder).take("a", &Limits::default(), &vec![(ONE.parse().unwrap(), 1); 1000]).await.unwrap();
        taken += held.iter().filter(|held| held.is_none()).count();
    }
    assert_eq!(taken, 50);
    assert_eq!(
        held(&ledger(&folder), "a", &Limits::default(), &[ONE]).await,
        [Some("changes_per_account_per_day".into())]
    );
    assert_eq!(held(&ledger(&folder), "a", &Limits::default(), &[TWO]).await, [None]);
}

#[tokio::test]
async fn two_batches_that_take_the_same_are_two() {
    let (folder, limits) = (TempDir::new().unwrap(), limits(Some(1), None, None));
    let ledger = ledger(&folder);
    let wanted = wanted(&[ONE]);
    let both = futures::future::join_all((0..2).map(|_| ledger.take("a", &limits, &wanted))).await;
    let taken = both.into_iter().filter(|taken| taken.as_ref().unwrap()[0].is_none()).count();
    assert_eq!(taken, 1);
}

proptest! {
    #[test]
    fn no_counts_overflow_and_no_limit_is_exceeded(
        taken in prop::sample::select(vec![0, 1, u32::MAX / 2, u32::MAX - 1, u32::MAX]),
        changes in prop::sample::select(vec![0, 1, 2, u32::MAX - 1, u32::MAX]),
        limit in prop::option::of(prop::sample::select(vec![0, 1, u32::MAX - 1, u32::MAX])),
    ) {
        let (account, run): (AccountId, _) = (ONE.parse().unwrap(), RunId::start());
        let (rules, accounts) = (BTreeMap::from([("a".into(), taken)]), BTreeMap::from([(account.clone(), taken)]));
        let by_day = Limits { changes_per_day: limit, ..Limits::unlimited() };
        for limits in [by_day, limits(limit, None, None), limits(None, limit, None), limits(None, None, limit)] {
            let of_run = Run { changes: taken, rules: rules.clone(), accounts: accounts.clone(), ..Run::default() };
            let mut day = Day { changes: taken, runs: BTreeMap::from([(run, of_run)]), ..Day::empty() };
            let held = day.take(run, "a", &account, changes, &limits);
            let fits = limit.is_none_or(|limit| u64::from(taken) + u64::from(changes) <= u64::from(limit));
            prop_assert_eq!(held.is_none(), fits);
        }
    }
}
