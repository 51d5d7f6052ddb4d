//! Ledgers in a folder.

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const ONE: &str = "111111111111";
const TWO: &str = "222222222222";

fn limits(run: Option<u32>, rule: Option<u32>, account: Option<u32>) -> Limits {
    Limits { changes_per_run: run, changes_per_rule: rule, changes_per_account: account, ..Limits::default() }
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
    let name = |why: String| why.split(' ').nth(2).unwrap().to_owned();
    taken.into_iter().map(|why| why.map(name)).collect()
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
    assert_eq!(take().await, [Some("too much failed there".to_owned()), None]);
    ledger.stop(None, "too much failed").await.unwrap();
    assert_eq!(take().await, [(); 2].map(|()| Some("too much failed".to_owned())));
}

#[tokio::test]
async fn two_pages_that_take_the_same_are_two() {
    let (folder, limits) = (TempDir::new().unwrap(), limits(Some(1), None, None));
    let ledger = ledger(&folder);
    let wanted = wanted(&[ONE]);
    let both = futures::future::join_all((0..2).map(|_| ledger.take("a", &limits, &wanted))).await;
    let taken = both.into_iter().filter(|taken| taken.as_ref().unwrap()[0].is_none()).count();
    assert_eq!(taken, 1);
}

#[tokio::test]
async fn a_page_with_a_number_that_nobody_writes_is_none() {
    for number in ["1000000", "4294967295", "99999999999"] {
        let (folder, limits) = (TempDir::new().unwrap(), limits(Some(1), None, None));
        let ledger = ledger(&folder);
        let page = serde_json::to_vec(&Page::empty()).unwrap();
        assert!(ledger.records.create(&format!("{}page-{number}.json", ledger.folder), page).await.unwrap());
        assert_eq!(held(&ledger, "a", &limits, &[ONE]).await, [None]);
        assert_eq!(held(&ledger, "a", &limits, &[ONE]).await, [Some("changes_per_run".to_owned())]);
    }
}

#[tokio::test]
async fn after_the_last_page_nothing_is_taken() {
    let (folder, limits) = (TempDir::new().unwrap(), limits(Some(1), None, None));
    let ledger = ledger(&folder);
    let page = serde_json::to_vec(&Page::empty()).unwrap();
    assert!(ledger.records.create(&ledger.key(LAST_PAGE), page).await.unwrap());
    let error = ledger.take("a", &limits, &wanted(&[ONE])).await.unwrap_err();
    assert!(error.to_string().contains("page-999999.json is the last page"), "{error}");
}

proptest! {
    #[test]
    fn no_counts_overflow_and_no_limit_is_exceeded(
        taken in prop::sample::select(vec![0, 1, u32::MAX / 2, u32::MAX - 1, u32::MAX]),
        changes in prop::sample::select(vec![0, 1, 2, u32::MAX - 1, u32::MAX]),
        limit in prop::option::of(prop::sample::select(vec![0, 1, u32::MAX - 1, u32::MAX])),
    ) {
        let account: AccountId = ONE.parse().unwrap();
        let (rules, accounts) = (BTreeMap::from([("a".into(), taken)]), BTreeMap::from([(account.clone(), taken)]));
        for limits in [limits(limit, None, None), limits(None, limit, None), limits(None, None, limit)] {
            let mut page = Page { changes: taken, rules: rules.clone(), accounts: accounts.clone(), ..Page::empty() };
            let held = page.take("a", &account, changes, &limits);
            let fits = limit.is_none_or(|limit| u64::from(taken) + u64::from(changes) <= u64::from(limit));
            prop_assert_eq!(held.is_none(), fits);
        }
    }
}
