//! Netskope: scans now and then, and lists what it found, page by page.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use netskope::Transport;
use reqwest::{Request, Response};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::actor::Actor;
use crate::chance::Chance;
use crate::cloud::State;
use crate::fault::Fault;
use crate::wire::latency;
use crate::world::{World, lock};

/// What no record, log or story may hold.
pub(crate) const TOKEN: &str = "the-tenants-token";
/// Netskope's name of the region.
const REGION_NAME: &str = "EU(Ireland)";
const FAILED: &str = "Failed";
const PASSED: &str = "Passed";

/// The tenant.
#[derive(Debug)]
pub(crate) struct Tenant {
    rows: Mutex<Vec<Value>>,
    /// The last page of each list.
    last: Mutex<HashMap<String, Vec<Value>>>,
    chance: Chance,
}

impl Tenant {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rows: Mutex::default(), last: Mutex::default(), chance: Chance::new(seed, "netskope") }
    }

    /// Looks at everything.
    pub(crate) fn scan(&self, world: &World) {
        let mut rows = Vec::new();
        for (thing, name, state) in world.cloud.things() {
            let called = if thing.by_name { &name } else { &thing.id };
            let Some(state) = state else { continue };
            let open = state.open();
            for (control, way) in CONTROLS.into_iter().filter(|(control, _)| is_about(control, &state)) {
                let status = if open.contains(&way) { FAILED } else { PASSED };
                rows.push(row(status, control, &thing.account, called, world.now()));
            }
        }
        let failed = rows.iter().filter(|row| row["status"] == FAILED).count();
        world.tell("netskope", format!("scans: {failed} violation(s)"));
        *lock(&self.rows) = rows;
    }

    fn page(&self, world: &World, query: &BTreeMap<String, String>) -> (u16, Value) {
        if world.strikes(Fault::Failing, &self.chance) {
            return (500, json!({"status": "error", "errors": ["the simulation says so"]}));
        }
        if world.strikes(Fault::Throttled, &self.chance) {
            return (429, json!({"status": "error", "errors": ["the simulation says so"]}));
        }
        let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok()).unwrap_or_default();
        let filters = ["rule_name", "status", "account_id"];
        let asked = filters.map(|name| query.get(name).cloned().unwrap_or_default()).join(" ");
        let is_asked =
            |row: &&Value| filters.iter().all(|name| query.get(*name).is_none_or(|asked| row[*name] == asked.as_str()));
        let rows: Vec<_> = {
            let rows = lock(&self.rows);
            let of_it = rows.iter().filter(is_asked);
            of_it.skip(number("skip")).take(number("limit")).cloned().collect()
        };
        let repeats = number("skip") > 0 && world.strikes(Fault::RepeatedPage, &self.chance);
        let mut last = lock(&self.last);
        let rows = if repeats { last.get(&asked).cloned().unwrap_or(rows) } else { rows };
        last.insert(asked, rows.clone());
        (200, json!({"status": "success", "msg": "", "data": rows}))
    }
}

/// The controls, each with the way that it is about.
pub(crate) const CONTROLS: [(&str, char); 3] =
    [("Ensure the way a is closed.", 'a'), ("Ensure the way b is closed.", 'b'), ("Ensure no pump is public.", 'p')];

/// Whether a control is about such a thing.
pub(crate) fn is_about(control: &str, state: &State) -> bool {
    (control == CONTROLS[2].0) == matches!(state, State::Pump(_))
}

fn row(status: &str, rule_name: &str, account: &str, resource: &str, scanned: Timestamp) -> Value {
    json!({
        "status": status, "account_name": "account", "account_id": account, "rule_name": rule_name,
        "resource_name": resource, "resource_id": resource, "resource_type": "S", "resource_category": "S",
        "severity": "High", "failing_since": 1_760_000_000, "cloud_provider": "AWS", "profiles": ["p"],
        "policies": ["p"], "region_name": REGION_NAME, "error_msg": "", "last_scan_time": scanned.strftime("%Y-%m-%d %I:%M:%S%p").to_string(),
        "tags": [], "compliance_standards": [],
    })
}

/// What carries a poller's requests.
pub(crate) struct Line(pub Arc<World>);

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line")
    }
}

impl Transport for Line {
    fn send(&self, request: Request) -> Pin<Box<dyn Future<Output = Result<Response, String>> + Send + '_>> {
        Box::pin(async move {
            let (world, actor) = (&self.0, Actor::current());
            sleep(latency(world, &actor.chance)).await;
            if world.strikes(Fault::LostAnswer, &actor.chance) {
                return Err("the connection broke".into());
            }
            let query = request.url().query_pairs().into_owned().collect();
            let (status, body) = world.tenant.page(world, &query);
            let answer = http::Response::builder().status(status).body(body.to_string());
            answer.map(Response::from).map_err(|error| error.to_string())
        })
    }
}
