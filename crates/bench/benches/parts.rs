//! The parts that a finding goes through between two calls: its row of Netskope's list is parsed, the policy is asked,
//! its fix is planned.

#![allow(clippy::panic, reason = "what cannot be set up cannot be measured")]

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;
use iam_stale_access_key::{IamStaleAccessKey, Key, State, Status};
use netskope::{Client, Endpoint, Options, Transport};
use remediation::{AccountId, NoParameters, Policy, Resource, Rule, Seen};
use reqwest::{Request, Response};
use s3_public_bucket::{PublicAccessBlock, S3PublicBucket};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::time::Instant;

const ACCOUNT: &str = "123456789012";
const CONTROL: &str = "Ensure S3 Bucket is not publicly accessible.";

fn main() {
    divan::main();
}

/// Serves the same page, whatever is asked for.
#[derive(Debug)]
struct Pages(String);

impl Transport for Pages {
    fn send(&self, _: Request) -> Pin<Box<dyn Future<Output = Result<Response, String>> + Send + '_>> {
        let body = self.0.clone();
        Box::pin(async move { Ok(http::Response::new(body).into()) })
    }
}

fn row(n: u32) -> Value {
    json!({
        "status": "Failed", "account_name": "account", "account_id": ACCOUNT, "rule_name": CONTROL,
        "resource_name": format!("bucket-{n}"), "resource_id": format!("bucket-{n}"), "resource_type": "S3",
        "cloud_provider": "AWS", "profiles": ["default"], "policies": ["best practices"], "severity": "High",
        "region_name": "US East(N. Virginia)", "last_scan_time": "2026-02-12 02:30:17AM", "failing_since": 1_760_000_000,
        "tags": [{"name": "team", "value": "web"}], "compliance_standards": [{"control": "1.1", "standard": "CIS"}],
    })
}

/// The first page of a list: a client's second request would wait for its turn.
#[divan::bench(args = [100, 1_000, 9_000])]
fn page_of_netskope(bencher: Bencher<'_, '_>, rows: u32) {
    let page = json!({"status": "success", "msg": "", "data": (0..rows).map(row).collect::<Vec<_>>()}).to_string();
    let pages: Arc<dyn Transport> = Arc::new(Pages(page));
    let (runtime, options) = (runtime(), Options { page_size: 9_999, ..Options::default() });
    let list = || {
        let endpoint = Endpoint::tenant("tenant.goskope.com").ok()?.over(Arc::clone(&pages));
        let client = Client::new(endpoint, SecretString::from("token"), options).ok()?;
        Some(client.violations(CONTROL, 0, Instant::now() + Duration::from_secs(60)))
    };
    bencher.counter(ItemsCount::new(rows)).with_inputs(list).bench_local_values(|list| {
        let page = list.and_then(|mut list| runtime.block_on(list.next()).ok()?);
        assert_eq!(page.map(|page| page.violations.len()), usize::try_from(rows).ok());
    });
}

fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap_or_else(|error| panic!("no runtime: {error}"))
}

fn seen<S>(id: usize, state: S) -> Seen<S> {
    let arn = format!("arn:aws:iam::{ACCOUNT}:user/{id}");
    let resource = Resource::of_arn("iam:GetUser", arn, id.to_string());
    Seen::now(resource.unwrap_or_else(|error| panic!("{error}")), state)
}

#[divan::bench(args = [200])]
fn plan_of_access_keys(bencher: Bencher<'_, '_>, states: usize) {
    let key = |n: usize, status| Key { id: format!("AKIA{n}"), created: jiff::Timestamp::UNIX_EPOCH, status };
    let keys = |n| vec![key(n, Status::Active), key(n + states, Status::Inactive)];
    let seen: Vec<_> = (0..states).map(|n| seen(n, State { keys: keys(n), tags: Default::default() })).collect();
    bencher.counter(ItemsCount::new(states)).bench_local(|| plans::<IamStaleAccessKey>(&seen));
}

#[divan::bench(args = [200])]
fn plan_of_buckets(bencher: Bencher<'_, '_>, states: usize) {
    let block = |n: usize| {
        (!n.is_multiple_of(3)).then(|| PublicAccessBlock { ignore_public_acls: n % 3 == 1, ..Default::default() })
    };
    let seen: Vec<_> = (0..states).map(|n| seen(n, block(n))).collect();
    bencher.counter(ItemsCount::new(states)).bench_local(|| plans::<S3PublicBucket>(&seen));
}

fn plans<R: Rule<Control = NoParameters>>(seen: &[Seen<R::State>]) -> usize
where
    R::Settings: Default,
{
    let settings = R::Settings::default();
    seen.iter().map(|seen| R::plan(seen, &[&NoParameters {}], &settings).changes.len()).sum()
}

/// A policy of as many overrides as `args` says, read anew.
#[divan::bench(args = [0, 100, 1_000])]
fn policy_is_read(bencher: Bencher<'_, '_>, overrides: usize) {
    let text = policy(overrides);
    bencher.bench_local(|| Policy::from_json(text.as_bytes()).is_ok());
}

/// What it says of two hundred accounts.
#[divan::bench(args = [0, 100, 1_000])]
fn policy_is_asked(bencher: Bencher<'_, '_>, overrides: usize) {
    let policy = Policy::from_json(policy(overrides).as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let account = |n: u64| format!("{:012}", 100_000_000_001 + n).parse::<AccountId>();
    let accounts: Vec<_> = (0..200).filter_map(|n| account(n).ok()).collect();
    assert_eq!(accounts.len(), 200);
    bencher.counter(ItemsCount::new(accounts.len())).bench_local(|| {
        let asked = accounts.iter().map(|account| policy.mode("s3-public-bucket", account));
        asked.filter(|mode| *mode == remediation::Mode::Apply).count()
    });
}

fn policy(overrides: usize) -> String {
    let account = |n| json!({"accounts": [format!("{:012}", 100_000_000_001_usize + n)], "mode": "plan"});
    json!({"mode": "apply", "overrides": (0..overrides).map(account).collect::<Vec<_>>()}).to_string()
}
