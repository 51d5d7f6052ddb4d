//! A stand-in for Netskope's API: serves a list of rows as the documented call does, page after page until an empty one,
//! starts scans by policies that it has, and refuses what it would refuse. [`Quirks`] are the ways in which an API, or a proxy before it, keeps less than it
//! documents.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::Result;

/// The stand-in; it ends when this is dropped.
#[derive(Debug)]
pub struct FakeNetskope {
    server: MockServer,
    list: Arc<Mutex<List>>,
}

#[derive(Debug)]
struct List {
    token: String,
    rows: Vec<Value>,
    quirks: Quirks,
    /// The policies by which a scan was started.
    scans: Vec<String>,
}

/// The policy of the tenant, of which every row is.
pub const POLICY: &str = "best practices";

/// How the stand-in departs from what is documented.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quirks {
    /// The most rows that a page has, whatever was asked for.
    pub page_size: Option<usize>,
    /// Every row is listed, whatever was asked for.
    pub unfiltered: bool,
    /// Every page is the first one.
    pub ignores_skip: bool,
    /// Every answer is an error, by a body with the status 200.
    pub fails: bool,
}

impl FakeNetskope {
    /// Starts a stand-in that takes `token` and has no rows.
    pub async fn start(token: &str) -> Self {
        let server = MockServer::start().await;
        let list = Arc::new(Mutex::new(List {
            token: token.to_owned(),
            rows: Vec::new(),
            quirks: Quirks::default(),
            scans: Vec::new(),
        }));
        let serve = Serve(Arc::clone(&list));
        Mock::given(method("GET")).and(path("/api/v1/security_assessment")).respond_with(serve).mount(&server).await;
        let scan = Scan(Arc::clone(&list));
        Mock::given(method("GET")).and(path("/api/v1/csa_scan")).respond_with(scan).mount(&server).await;
        Self { server, list }
    }

    /// Its address.
    pub fn url(&self) -> String {
        self.server.uri()
    }

    /// Serves these rows from now on.
    pub fn set_rows(&self, rows: Vec<Value>) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).rows = rows;
    }

    /// Departs from what is documented from now on.
    pub fn set_quirks(&self, quirks: Quirks) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).quirks = quirks;
    }

    /// Takes another token from now on.
    pub fn set_token(&self, token: &str) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).token = token.to_owned();
    }

    /// By which policies scans were started so far.
    pub fn scans(&self) -> Vec<String> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).scans.clone()
    }

    /// The requests so far, each as its query's parameters.
    pub async fn requests(&self) -> Vec<HashMap<String, String>> {
        let requests = self.server.received_requests().await.unwrap_or_default();
        requests.iter().map(query).collect()
    }
}

/// Netskope's name for a region that a test uses, by the region's code.
///
/// # Errors
///
/// Another region.
pub fn display_name(region: &str) -> Result<&'static str> {
    match region {
        "global" => Ok("global"),
        "us-east-1" => Ok("US East(N. Virginia)"),
        "eu-west-1" => Ok("EU(Ireland)"),
        "ap-southeast-2" => Ok("Asia Pacific(Sydney)"),
        other => Err(format!("Netskope's name for {other} is not known here").into()),
    }
}

/// A row as the API gives it.
pub fn row(rule_name: &str, account: &str, region: &str, resource: &str) -> Value {
    json!({
        "status": "Failed", "account_name": "account", "account_id": account, "rule_name": rule_name,
        "remediation_steps": "Follow the steps of the console.", "resource_name": resource, "resource_id": resource,
        "resource_type": "S3", "resource_category": "Storage", "severity": "High", "failing_since": 1_760_000_000,
        "cloud_provider": "AWS", "profiles": ["default"], "policies": [POLICY], "region_name": region,
        "error_msg": "", "last_scan_time": "2026-02-12 02:30:17AM", "tags": [{"name": "team", "value": "web"}],
        "compliance_standards": [{"control": "1.1", "description": "", "section": "", "standard": "CIS",
            "reference_url": ""}],
    })
}

/// The same row by another scan.
pub fn scanned(mut row: Value, at: Timestamp) -> Value {
    row["last_scan_time"] = at.strftime("%Y-%m-%d %I:%M:%S%p").to_string().into();
    row
}

/// The same row by a scan that the resource passes: then nothing says since when it fails.
pub fn passed(row: Value, at: Timestamp) -> Value {
    let mut row = scanned(row, at);
    row["status"] = "Passed".into();
    if let Some(fields) = row.as_object_mut() {
        fields.remove("failing_since");
    }
    row
}

struct Serve(Arc<Mutex<List>>);

impl Respond for Serve {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let (query, list) = (query(request), self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(refusal) = refusal(&query, &list) {
            return refusal;
        }
        let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok());
        let Some(limit) = number("limit").filter(|limit| (1..10_000).contains(limit)) else {
            return error(200, "Invalid Parameter", "limit is required, a positive integer below 10000");
        };
        let Quirks { page_size, unfiltered, ignores_skip, .. } = list.quirks;
        // A row that was never muted has no word of it.
        let filters = [("rule_name", ""), ("status", ""), ("muted", "No"), ("cloud_provider", ""), ("account_id", "")];
        // Letter by letter, because nothing says that the API is any kinder.
        let lists = [("profile_name", "profiles"), ("policy_name", "policies")];
        let is_asked = |row: &&Value| {
            filters.iter().all(|(name, without)| {
                let has = row[*name].as_str().unwrap_or(without);
                query.get(*name).is_none_or(|asked| asked.eq_ignore_ascii_case(has))
            }) && lists.iter().all(|(name, field)| {
                let has = |asked: &String| row[*field].as_array().is_some_and(|names| names.contains(&json!(asked)));
                query.get(*name).is_none_or(has)
            })
        };
        let skip = if ignores_skip { 0 } else { number("skip").unwrap_or_default() };
        let rows = list.rows.iter().filter(|row| unfiltered || is_asked(row)).skip(skip);
        let rows: Vec<_> = rows.take(page_size.map_or(limit, |most| most.min(limit))).collect();
        ResponseTemplate::new(200).set_body_json(json!({"status": "success", "msg": "", "data": rows}))
    }
}

struct Scan(Arc<Mutex<List>>);

impl Respond for Scan {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let (query, mut list) = (query(request), self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(refusal) = refusal(&query, &list) {
            return refusal;
        }
        let given = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
        if given("op") != "start" || given("scan_start_by").is_empty() {
            return error(200, "Invalid Parameter", "op and scan_start_by are required");
        }
        if given("name") != POLICY {
            return error(200, "Invalid Parameter", "there is no such policy");
        }
        list.scans.push(given("name").to_owned());
        let body = json!({"status": "success", "msg": "", "data": {"scan_id": list.scans.len()}});
        ResponseTemplate::new(200).set_body_json(body)
    }
}

fn query(request: &Request) -> HashMap<String, String> {
    request.url.query_pairs().into_owned().collect()
}

/// What every call is refused with, where it is.
fn refusal(query: &HashMap<String, String>, list: &List) -> Option<ResponseTemplate> {
    if query.get("token") != Some(&list.token) {
        return Some(error(403, "Authorization Error", "Invalid REST API Token. Please check the token."));
    }
    list.quirks.fails.then(|| error(200, "Internal Error", "an error of the tenant"))
}

fn error(status: u16, code: &str, message: &str) -> ResponseTemplate {
    let body = json!({"status": "error", "errorCode": code, "errors": [message]});
    ResponseTemplate::new(status).set_body_json(body)
}
