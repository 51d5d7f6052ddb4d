//! `policy show`: what is in effect in a deployment, from where, and where that differs from what Terraform wrote.
//!
//! Three objects say it: `policy.json`, which the Lambdas read; `policy.deployed.json`, in which Terraform wrote the same
//! once more, so that an edit by hand shows; and `pauses.json`.

use clap::Args;
use jiff::Timestamp;
use remediation::policy::{Explained, Says};
use remediation::{
    AccountId, DEPLOYED_POLICY_KEY, Error as CallError, Limits, Mode, POLICY_KEY, Pause, Policy, PolicyRecord,
    RecordError, Records,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::commands::arguments::OutputArgs;
use crate::commands::pauses::{BucketArgs, Paused};
use crate::error::Error;
use crate::exit::Exit;
use crate::print::page::{Format, Page};
use crate::print::table::{Cell, Table};
use crate::print::time;
use crate::session::connection::Connection;
use crate::session::policy;
use crate::session::rules::{self, LoadedRule};

/// What a head of an object needs.
const HEAD: &str = "s3:GetObject";
/// The most differences that are shown.
const MOST_DIFFERENCES: usize = 100;

/// What to show of the policy in effect.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Only this rule, by its ID; can be repeated. Default: every rule.
    #[arg(long = "rule", value_name = "ID")]
    rules: Vec<String>,
    /// The modes in this account, by its twelve digits, and what says so; can be repeated.
    #[arg(long = "account", value_name = "ID")]
    accounts: Vec<AccountId>,
    #[command(flatten)]
    bucket: BucketArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// What is in effect.
#[derive(Serialize)]
struct InEffect<'a> {
    policy: Source,
    /// Where it differs from what Terraform wrote last.
    deployed: Deployed,
    /// Whether the policy itself pauses everything.
    paused: bool,
    #[serde(flatten)]
    pauses: Paused<'a>,
    modes: Vec<ModeOf<'a>>,
    overrides: Value,
    expired_exemptions: Vec<String>,
    limits: Value,
    /// The policy as it is stored.
    document: Value,
}

/// Where the policy was read.
#[derive(Serialize)]
struct Source {
    at: String,
    version: Option<String>,
    last_modified: Option<Timestamp>,
}

/// What Terraform wrote.
#[derive(Serialize)]
struct Deployed {
    at: String,
    /// Why it is not known, where that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
    differences: Vec<Difference>,
    /// How many more differences there are.
    more: usize,
}

/// One place in which two policies differ.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Difference {
    path: String,
    /// What Terraform wrote there, if anything.
    deployed: Option<Value>,
    /// What is there now, if anything.
    now: Option<Value>,
}

/// The mode of a rule, in an account where one is asked for.
#[derive(Serialize)]
struct ModeOf<'a> {
    rule: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a AccountId>,
    mode: Mode,
    by: Says,
    /// Why it may be less than it should, where it is not known which overrides apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    unsure: Option<String>,
    /// For how many days a violation is told before it is fixed.
    grace_days: u32,
    /// Until when change windows and freezes keep its fixes waiting, where they do now.
    #[serde(skip_serializing_if = "Option::is_none")]
    closed: Option<String>,
    /// The IDs of the pauses that stop it, all of it or a part.
    paused_by: Vec<&'a str>,
}

/// Shows what is in effect.
pub(crate) async fn show(args: &ShowArgs, page: &mut Page<'_>) -> Result<Exit, Error> {
    let rules = rules::select(&args.rules)?;
    let connection = args.bucket.open().await?;
    let records = &connection.records;
    let source = source(&connection).await?;
    let policy = PolicyRecord::of_deployment(records.clone()).read().await;
    let policy = policy.map_err(|source| policy::unusable(&connection, source))?;
    let bytes = records.get_at_most(POLICY_KEY, Policy::MOST_BYTES).await.map_err(Box::new)?;
    let document = parse(&connection, POLICY_KEY, &bytes)?;
    let now = ambient::now();
    let expired = policy.exemptions().iter().filter(|exemption| exemption.is_expired(now));
    let in_effect = InEffect {
        policy: source,
        deployed: deployed(&connection, &document).await?,
        paused: policy.paused,
        pauses: Paused::of(&connection, policy.pauses()),
        modes: modes(&policy, &rules, &args.accounts, now),
        overrides: document.get("overrides").cloned().unwrap_or_else(|| Value::Array(Vec::new())),
        expired_exemptions: expired.map(ToString::to_string).collect(),
        limits: limits(policy.limits),
        document,
    };
    match args.output.format {
        Format::Json => page.json(&in_effect)?,
        Format::Csv => page.csv(&in_effect.table())?,
        Format::Table => in_effect.print(page)?,
    }
    Ok(Exit::NothingLeft)
}

/// Which version of the policy there is, and since when.
async fn source(connection: &Connection) -> Result<Source, Error> {
    let at = connection.locate(POLICY_KEY);
    let Records::Bucket { client, bucket, owner, .. } = &connection.records else {
        return Ok(Source { at, version: None, last_modified: None });
    };
    let head = client.head_object().bucket(bucket).expected_bucket_owner(owner.as_ref()).key(POLICY_KEY).send().await;
    let head = head.map_err(|error| {
        let (bucket, key) = (bucket.clone(), POLICY_KEY.to_owned());
        Box::new(RecordError::Bucket { bucket, key, source: CallError::api(HEAD, error) })
    })?;
    let last_modified = head.last_modified.and_then(|at| Timestamp::new(at.secs(), 0).ok());
    Ok(Source { at, version: head.version_id, last_modified })
}

fn parse(connection: &Connection, key: &str, bytes: &[u8]) -> Result<Value, Error> {
    let text = remediation::utf8(bytes);
    serde_json::from_slice(&text).map_err(|source| Error::Broken { place: connection.locate(key), source })
}

/// What Terraform wrote, beside what is there now.
async fn deployed(connection: &Connection, now: &Value) -> Result<Deployed, Error> {
    let at = connection.locate(DEPLOYED_POLICY_KEY);
    let found = connection.records.find_at_most(DEPLOYED_POLICY_KEY, Policy::MOST_BYTES).await.map_err(Box::new)?;
    let Some(found) = found else {
        let unknown = Some("there is no such object: apply terraform/deploy/central of this version".to_owned());
        return Ok(Deployed { at, unknown, differences: Vec::new(), more: 0 });
    };
    let mut differences = Vec::new();
    compare("", Some(&parse(connection, DEPLOYED_POLICY_KEY, &found.bytes)?), Some(now), &mut differences);
    let more = differences.len().saturating_sub(MOST_DIFFERENCES);
    differences.truncate(MOST_DIFFERENCES);
    Ok(Deployed { at, unknown: None, differences, more })
}

/// Adds every path at which the two differ: the innermost, or the whole where one of the two has nothing there.
fn compare(path: &str, deployed: Option<&Value>, now: Option<&Value>, found: &mut Vec<Difference>) {
    match (deployed, now) {
        (Some(deployed), Some(now)) if deployed == now => {}
        (Some(Value::Object(deployed)), Some(Value::Object(now))) => {
            let added = now.keys().filter(|key| !deployed.contains_key(*key));
            for key in deployed.keys().chain(added) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(&path, deployed.get(key), now.get(key), found);
            }
        }
        (Some(Value::Array(deployed)), Some(Value::Array(now))) => {
            for place in 0..deployed.len().max(now.len()) {
                compare(&format!("{path}[{place}]"), deployed.get(place), now.get(place), found);
            }
        }
        _ => found.push(Difference { path: path.to_owned(), deployed: deployed.cloned(), now: now.cloned() }),
    }
}

/// The modes of these rules: in general, or in each of these accounts.
fn modes<'a>(
    policy: &'a Policy,
    rules: &'a [LoadedRule],
    accounts: &'a [AccountId],
    now: Timestamp,
) -> Vec<ModeOf<'a>> {
    let places: Vec<Option<&AccountId>> =
        if accounts.is_empty() { vec![None] } else { accounts.iter().map(Some).collect() };
    let of = |rule: &'a str, account: Option<&'a AccountId>| {
        let Explained { mode, by } = policy.explained(rule, account);
        let stops = |pause: &&Pause| pause.stops.concern(rule, account);
        let paused_by = policy.pauses().in_force(now).filter(stops).map(|pause| pause.id.as_str()).collect();
        let unsure = account.and_then(|account| policy.unsure(rule, account));
        let grace_days =
            account.map_or_else(|| policy.grace_days_of_rule(rule), |account| policy.grace_days(rule, account));
        let closed = account.and_then(|account| policy.closed(rule, account, now)).map(|closed| closed.to_string());
        ModeOf { rule, account, mode, by, unsure, grace_days, closed, paused_by }
    };
    let rules = rules.iter().map(|rule| rule.manifest.id.as_str());
    rules.flat_map(|rule| places.iter().map(move |account| of(rule, *account))).collect()
}

impl InEffect<'_> {
    /// The mode of each rule, and what says so.
    fn table(&self) -> Table {
        let mut table = Table::new(["rule", "account", "mode", "because of", "waits for", "paused by"]);
        for ModeOf { rule, account, mode, by, unsure, grace_days, closed, paused_by } in &self.modes {
            let grace = (*grace_days > 0).then(|| format!("a grace of {grace_days} days"));
            table.row([
                Cell::text(rule),
                Cell::text(account.map_or("where no override applies", AsRef::as_ref)),
                Cell::text(mode.to_string()),
                Cell::text(unsure.clone().unwrap_or_else(|| because(*by))),
                Cell::text([grace, closed.clone()].into_iter().flatten().collect::<Vec<_>>().join("; ")),
                Cell::text(if self.paused { "the policy".to_owned() } else { paused_by.join(", ") }),
            ]);
        }
        table
    }

    fn print(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let Source { at, version, last_modified } = &self.policy;
        let version = version.as_ref().map(|version| format!(", version {version}")).unwrap_or_default();
        let since = last_modified.map(|at| format!(", since {}", time::shown(at))).unwrap_or_default();
        let paused =
            if self.paused { "Paused: the policy has paused all writes." } else { "The policy pauses nothing." };
        page.line(format!("In effect: {at}{version}{since}"))?;
        self.deployed.print(page)?;
        self.pauses.print(paused, Format::Table, page)?;
        page.table(&self.table())?;
        for (place, other) in self.overrides.as_array().into_iter().flatten().enumerate() {
            page.line(format!("overrides[{place}]: {other}"))?;
        }
        for exemption in &self.expired_exemptions {
            page.line(format!("An exemption has expired: {exemption}"))?;
        }
        Ok(page.line(format!("Limits: {}", self.limits))?)
    }
}

impl Deployed {
    fn print(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let Self { at, unknown, differences, more } = self;
        if let Some(why) = unknown {
            return Ok(page.line(format!("What Terraform wrote is not known: {at}: {why}"))?);
        }
        if differences.is_empty() {
            return Ok(page.line(format!("It is what Terraform wrote ({at})."))?);
        }
        page.line(format!(
            "It is not what Terraform wrote ({at}); the next apply that changes the policy replaces it:"
        ))?;
        let shown = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
        for Difference { path, deployed, now } in differences {
            let path = if path.is_empty() { "all of it" } else { path };
            page.line(format!("  {path}: {}, and Terraform wrote {}", shown(now), shown(deployed)))?;
        }
        if *more > 0 {
            page.line(format!("  and {more} more"))?;
        }
        Ok(())
    }
}

/// The limits, those that the policy does not give as well; null is none.
fn limits(limits: Limits) -> Value {
    json!({
        "changes_per_day": limits.changes_per_day,
        "changes_per_run": limits.changes_per_run,
        "changes_per_rule": limits.changes_per_rule,
        "changes_per_account": limits.changes_per_account,
        "changes_per_account_per_day": limits.changes_per_account_per_day,
        "failure_percent": limits.failure_percent,
        "failure_minimum": limits.failure_minimum,
    })
}

fn because(by: Says) -> String {
    match by {
        Says::Policy => "the policy's mode".to_owned(),
        Says::Rule => "the rule's mode".to_owned(),
        Says::Override(place) => format!("overrides[{place}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(deployed: &Value, now: &Value) -> Vec<String> {
        let mut found = Vec::new();
        compare("", Some(deployed), Some(now), &mut found);
        found.into_iter().map(|difference| difference.path).collect()
    }

    #[test]
    fn every_path_that_differs_is_named_and_no_other() {
        let deployed = json!({"schema": 1, "mode": "plan", "rules": {"a": {"mode": "apply"}, "b": {"mode": "off"}},
            "exemptions": [{"reason": "r"}, {"reason": "s"}]});
        assert!(paths(&deployed, &deployed).is_empty());
        let now = json!({"schema": 1, "mode": "plan", "paused": true, "rules": {"a": {"mode": "plan"}},
            "exemptions": [{"reason": "x"}]});
        let mut found = paths(&deployed, &now);
        found.sort();
        assert_eq!(found, ["exemptions[0].reason", "exemptions[1]", "paused", "rules.a.mode", "rules.b"]);
        assert_eq!(paths(&deployed, &json!("x")), [""]);
    }

    #[test]
    fn a_difference_has_both_sides() {
        let mut found = Vec::new();
        compare("", Some(&json!({"a": 1})), Some(&json!({"b": 2})), &mut found);
        let of = |path: &str, deployed, now| Difference { path: path.into(), deployed, now };
        assert_eq!(found, [of("a", Some(json!(1)), None), of("b", None, Some(json!(2)))]);
    }

    #[test]
    fn a_mode_comes_with_what_says_so_and_with_the_pauses_that_concern_it() {
        let rules = rules::select(&["s3-public-bucket".into(), "iam-stale-access-key".into()]).unwrap();
        let policy = r#"{"mode": "plan", "rules": {"s3-public-bucket": {"mode": "apply"}},
            "overrides": [{"accounts": ["222222222222"], "mode": "off"}]}"#;
        let pause =
            |id: &str, stops| json!({"id": id, "stops": stops, "reason": "r", "by": "b", "at": "2026-01-02T03:04:05Z"});
        let pauses = [
            pause("00000001", json!({"rules": ["s3-public-bucket"], "regions": ["eu-west-1"]})),
            pause("00000002", json!({"accounts": ["222222222222"]})),
        ];
        let pauses = serde_json::from_value(json!({"schema": 1, "pauses": pauses})).unwrap();
        let policy = Policy::from_json(policy.as_bytes()).unwrap().under(pauses);
        let of = |accounts: &[AccountId]| {
            let modes = modes(&policy, &rules, accounts, ambient::now());
            let told = |of: &ModeOf<'_>| format!("{} {} {} {:?}", of.rule, of.mode, because(of.by), of.paused_by);
            modes.iter().map(told).collect::<Vec<_>>()
        };
        assert_eq!(
            of(&["111111111111".parse().unwrap()]),
            ["iam-stale-access-key plan the policy's mode []", "s3-public-bucket apply the rule's mode [\"00000001\"]"]
        );
        assert_eq!(
            of(&["222222222222".parse().unwrap()]),
            [
                "iam-stale-access-key off overrides[0] [\"00000002\"]",
                "s3-public-bucket off overrides[0] [\"00000001\", \"00000002\"]"
            ]
        );
        assert_eq!(of(&[]).len(), 2);
    }

    #[test]
    fn a_mode_comes_with_its_grace_and_with_the_window_that_it_waits_for() {
        let rules = rules::select(&["s3-public-bucket".into()]).unwrap();
        let policy = r#"{"mode": "apply", "rules": {"s3-public-bucket": {"grace_days": 3}},
            "overrides": [{"accounts": ["222222222222"], "grace_days": 14}],
            "change_windows": [{"from": "08:00", "to": "12:00", "accounts": ["222222222222"]}]}"#;
        let policy = Policy::from_json(policy.as_bytes()).unwrap();
        let accounts = ["111111111111", "222222222222"].map(|account| account.parse().unwrap());
        let now = "2026-11-29T14:00:00Z".parse().unwrap();
        let of = |accounts: &[AccountId]| {
            let modes = modes(&policy, &rules, accounts, now);
            modes.into_iter().map(|of| (of.grace_days, of.closed)).collect::<Vec<_>>()
        };
        let closed = Some("next window 2026-11-30T08:00:00+00:00[UTC]".to_owned());
        assert_eq!(of(&accounts), [(3, None), (14, closed)]);
        assert_eq!(of(&[]), [(3, None)]);
    }
}
