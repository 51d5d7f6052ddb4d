//! Organizations, stood in for call by call.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_organizations::error::ErrorMetadata;
use aws_sdk_organizations::operation::describe_organization::{DescribeOrganizationError, DescribeOrganizationOutput};
use aws_sdk_organizations::operation::list_accounts_for_parent::ListAccountsForParentOutput;
use aws_sdk_organizations::operation::list_organizational_units_for_parent::ListOrganizationalUnitsForParentOutput;
use aws_sdk_organizations::operation::list_roots::ListRootsOutput;
use aws_sdk_organizations::operation::list_tags_for_resource::ListTagsForResourceOutput;
use aws_sdk_organizations::types::{AccountState, Root, Tag};
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use jiff::Timestamp;
use serde_json::json;
use tempfile::TempDir;

use super::*;

const ROOT: &str = "r-ab12";
const SANDBOX: &str = "ou-ab12-11111111";
const WORKLOADS: &str = "ou-ab12-22222222";
const PRODUCTION: &str = "ou-ab12-33333333";

fn settings(tag_keys: &[&str]) -> Settings {
    Settings::from_json(&json!({"refresh_hours": 6, "tag_keys": tag_keys}).to_string()).unwrap()
}

/// The units in each parent, and the accounts: two pages of the root's, and one account that is met twice.
fn organization() -> Vec<Rule> {
    let organization = aws_sdk_organizations::types::Organization::builder().id("o-a1b2c3d4e5").build();
    let described = mock!(Client::describe_organization)
        .then_output(move || DescribeOrganizationOutput::builder().organization(organization.clone()).build());
    let roots = mock!(Client::list_roots)
        .then_output(|| ListRootsOutput::builder().roots(Root::builder().id(ROOT).build()).build());
    let mut rules = vec![described, roots];
    let unit = |id: &str, name: &str| OrganizationalUnit::builder().id(id).name(name).build();
    for (parent, units) in [
        (ROOT, vec![unit(SANDBOX, "Sandbox"), unit(WORKLOADS, "Workloads")]),
        (WORKLOADS, vec![unit(PRODUCTION, "Production")]),
        (SANDBOX, vec![]),
        (PRODUCTION, vec![]),
    ] {
        let output = move || {
            ListOrganizationalUnitsForParentOutput::builder().set_organizational_units(Some(units.clone())).build()
        };
        rules.push(
            mock!(Client::list_organizational_units_for_parent)
                .match_requests(move |of| of.parent_id() == Some(parent))
                .then_output(output),
        );
    }
    for (parent, token, accounts, next) in [
        (ROOT, None, vec![], Some("more")),
        (ROOT, Some("more"), vec!["111111111111"], None),
        (SANDBOX, None, vec!["222222222222", "444444444444"], None),
        (WORKLOADS, None, vec!["444444444444"], None),
        (PRODUCTION, None, vec!["333333333333"], None),
    ] {
        let account = |id: &&str| Account::builder().id(*id).name("n").state(AccountState::Active).build();
        let accounts: Vec<_> = accounts.iter().map(account).collect();
        let output = move || {
            let page = ListAccountsForParentOutput::builder().set_accounts(Some(accounts.clone()));
            page.set_next_token(next.map(str::to_owned)).build()
        };
        rules.push(
            mock!(Client::list_accounts_for_parent)
                .match_requests(move |of| (of.parent_id(), of.next_token()) == (Some(parent), token))
                .then_output(output),
        );
    }
    rules
}

fn reader(rules: &[Rule], tag_keys: &[&str]) -> OrganizationReader {
    let rules: Vec<_> = rules.iter().collect();
    let client = mock_client!(aws_sdk_organizations, RuleMode::MatchAny, &rules);
    let reader = OrganizationReader::with(client, settings(tag_keys), MOST_TIME);
    let mut pace = interval(Duration::from_millis(1));
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    OrganizationReader { pace: Mutex::new(pace), ..reader }
}

fn records(folder: &TempDir) -> Records {
    Records::Folder(folder.path().into())
}

fn stored(folder: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(folder.join(ORGANIZATION_KEY)).unwrap()).unwrap()
}

#[tokio::test]
async fn the_tree_is_stored_with_every_account_that_was_met_once() {
    let folder = TempDir::new().unwrap();
    reader(&organization(), &[]).refresh(&records(&folder)).await.unwrap();
    let stored = stored(folder.path());
    let member = |parent: &str| json!({"name": "n", "state": "ACTIVE", "parent": parent});
    assert_eq!(
        stored["organization"]["accounts"],
        json!({"111111111111": member(ROOT), "222222222222": member(SANDBOX), "333333333333": member(PRODUCTION)})
    );
    assert_eq!(
        stored["organization"]["units"],
        json!({SANDBOX: {"name": "Sandbox", "parent": ROOT}, WORKLOADS: {"name": "Workloads", "parent": ROOT},
            PRODUCTION: {"name": "Production", "parent": WORKLOADS}})
    );
    assert_eq!((&stored["schema"], &stored["refreshing_until"]), (&json!(1), &json!(null)));
}

#[tokio::test]
async fn only_the_tags_that_are_asked_for_are_kept() {
    let folder = TempDir::new().unwrap();
    let mut rules = organization();
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build().unwrap();
    let tags = vec![tag("env", "prod"), tag("cost-centre", "17")];
    rules.push(
        mock!(Client::list_tags_for_resource)
            .then_output(move || ListTagsForResourceOutput::builder().set_tags(Some(tags.clone())).build()),
    );
    reader(&rules, &["env"]).refresh(&records(&folder)).await.unwrap();
    assert_eq!(stored(folder.path())["organization"]["accounts"]["111111111111"]["tags"], json!({"env": "prod"}));
    // Of another key it is not known yet.
    let called = rules[0].num_calls();
    reader(&rules, &["env"]).refresh(&records(&folder)).await.unwrap();
    assert_eq!(rules[0].num_calls(), called, "what is fresh is not read again");
    reader(&rules, &["env", "cost-centre"]).refresh(&records(&folder)).await.unwrap();
    let all = json!({"env": "prod", "cost-centre": "17"});
    assert_eq!(stored(folder.path())["organization"]["accounts"]["111111111111"]["tags"], all);
}

/// The time on the wall is `now`.
async fn at<T>(now: Timestamp, work: impl Future<Output = T>) -> T {
    #[derive(Debug)]
    struct Stopped(Timestamp);
    impl ambient::Surroundings for Stopped {
        fn now(&self) -> Timestamp {
            self.0
        }

        fn random(&self) -> [u8; 16] {
            [0; 16]
        }
    }
    ambient::within(std::sync::Arc::new(Stopped(now)), work).await
}

#[tokio::test]
async fn it_is_read_again_when_it_is_old_and_of_several_pollers_by_one() {
    let folder = TempDir::new().unwrap();
    let (rules, start) = (organization(), Timestamp::now());
    let after = |minutes| start + SignedDuration::from_mins(minutes);
    let reader = reader(&rules, &[]);
    let records = records(&folder);
    for (minutes, reads) in [(0, 1), (359, 1), (360, 2), (361, 2)] {
        at(after(minutes), reader.refresh(&records)).await.unwrap();
        assert_eq!(rules[0].num_calls(), reads, "after {minutes} minutes");
    }
    let all = (0..8).map(|_| reader.refresh(&records));
    let all = at(after(900), futures::future::join_all(all)).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert_eq!(rules[0].num_calls(), 3, "one of eight made the calls");
}

#[tokio::test]
async fn a_refresh_that_fails_keeps_what_is_known_and_waits() {
    let folder = TempDir::new().unwrap();
    let (records, start) = (records(&folder), Timestamp::now());
    at(start, reader(&organization(), &[]).refresh(&records)).await.unwrap();
    let known = stored(folder.path())["organization"].clone();
    let tries = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&tries);
    let denied = mock!(Client::describe_organization).then_error(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        DescribeOrganizationError::generic(ErrorMetadata::builder().code("AccessDeniedException").build())
    });
    let reader = reader(&[denied], &[]);
    let later = |minutes| start + SignedDuration::from_hours(7) + SignedDuration::from_mins(minutes);
    let error = at(later(0), reader.refresh(&records)).await.unwrap_err().to_string();
    assert!(error.starts_with("organizations:DescribeOrganization: AccessDeniedException"), "{error}");
    assert!(error.contains("see \"Rings\" in the README"), "{error}");
    assert_eq!(stored(folder.path())["organization"], known);
    at(later(14), reader.refresh(&records)).await.unwrap();
    assert_eq!(tries.load(Ordering::Relaxed), 1, "it is not tried again at once");
    at(later(16), reader.refresh(&records)).await.unwrap_err();
    assert_eq!(tries.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn what_takes_too_long_or_cannot_be_read_is_an_error() {
    let folder = TempDir::new().unwrap();
    // The second call may begin after an hour.
    let (pace, most_time) = (Mutex::new(interval(Duration::from_secs(3_600))), Duration::from_millis(20));
    let slow = OrganizationReader { pace, most_time, ..reader(&organization(), &[]) };
    let error = slow.refresh(&records(&folder)).await.unwrap_err();
    assert!(matches!(error, RefreshError::TooSlow(_)), "{error}");
    // What somebody else has put there is replaced.
    std::fs::write(folder.path().join(ORGANIZATION_KEY), "nonsense").unwrap();
    reader(&organization(), &[]).refresh(&records(&folder)).await.unwrap();
    assert_eq!(stored(folder.path())["organization"]["id"], "o-a1b2c3d4e5");
    // Nobody claims it until the next century.
    let claimed = OrganizationRecord::new(Some(Timestamp::MAX), None);
    std::fs::write(folder.path().join(ORGANIZATION_KEY), serde_json::to_vec(&claimed).unwrap()).unwrap();
    reader(&organization(), &[]).refresh(&records(&folder)).await.unwrap();
    assert_eq!(stored(folder.path())["organization"]["id"], "o-a1b2c3d4e5");
}

#[test]
fn an_account_says_its_state_or_as_before_its_status() {
    let of = |account: aws_sdk_organizations::types::builders::AccountBuilder| {
        member(account.id("111111111111").build(), ROOT).map(|(_, member)| member.state)
    };
    let suspended = aws_sdk_organizations::types::AccountStatus::Suspended;
    assert_eq!(of(Account::builder().state(AccountState::Closed)).unwrap(), "CLOSED");
    assert_eq!(of(Account::builder().status(suspended)).unwrap(), "SUSPENDED");
    assert!(of(Account::builder()).unwrap_err().to_string().contains("the answer has no State"));
}

#[test]
fn settings_are_those_that_terraform_gives() {
    let json = r#"{"refresh_hours": 6, "tag_keys": ["env"], "reader_role_arn": null, "external_id": "x"}"#;
    let settings = Settings::from_json(json).unwrap();
    assert!(settings.tag_keys.contains("env") && settings.reader_role_arn.is_none());
    assert!(Settings::from_json(r#"{"refresh_hour": 6}"#).unwrap_err().to_string().contains("refresh_hour"));
}
