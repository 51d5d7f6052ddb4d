//! A stand-in for Netskope's API: serves a list of rows as the documented call does, and refuses what it would refuse.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

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
}

impl FakeNetskope {
    /// Starts a stand-in that takes `token` and has no rows.
    pub async fn start(token: &str) -> Self {
        let server = MockServer::start().await;
        let list = Arc::new(Mutex::new(List { token: token.to_owned(), rows: Vec::new() }));
        let serve = Serve(Arc::clone(&list));
        Mock::given(method("GET")).and(path("/api/v1/security_assessment")).respond_with(serve).mount(&server).await;
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

    /// Takes another token from now on.
    pub fn set_token(&self, token: &str) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).token = token.to_owned();
    }

    /// The requests so far, each as its query's parameters.
    pub async fn requests(&self) -> Vec<HashMap<String, String>> {
        let requests = self.server.received_requests().await.unwrap_or_default();
        requests.iter().map(|request| request.url.query_pairs().into_owned().collect()).collect()
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
        other => Err(format!("Netskope's name for {other} is not known here").into()),
    }
}

/// A row as the API gives it.
pub fn row(rule_name: &str, account: &str, region: &str, resource: &str) -> Value {
    json!({
        "status": "Failed", "account_name": "account", "account_id": account, "rule_name": rule_name,
        "remediation_steps": "Follow the steps of the console.", "resource_name": resource, "resource_id": resource,
        "resource_type": "S3", "resource_category": "Storage", "severity": "High", "failing_since": 1_760_000_000,
        "cloud_provider": "AWS", "profiles": ["default"], "policies": ["best practices"], "region_name": region,
        "error_msg": "", "last_scan_time": "2026-02-12 02:30:17AM", "tags": [{"name": "team", "value": "web"}],
        "compliance_standards": [{"control": "1.1", "description": "", "section": "", "standard": "CIS",
            "reference_url": ""}],
    })
}

struct Serve(Arc<Mutex<List>>);

impl Respond for Serve {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let query: HashMap<_, _> = request.url.query_pairs().into_owned().collect();
        let list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if query.get("token") != Some(&list.token) {
            return error(403, "Authorization Error", "Invalid REST API Token. Please check the token.");
        }
        let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok());
        let Some(limit) = number("limit").filter(|limit| (1..10_000).contains(limit)) else {
            return error(200, "Invalid Parameter", "limit is required, a positive integer below 10000");
        };
        let wanted = |row: &&Value| query.get("rule_name").is_none_or(|name| row["rule_name"] == name.as_str());
        let skip = number("skip").unwrap_or_default();
        let rows: Vec<_> = list.rows.iter().filter(wanted).skip(skip).take(limit).collect();
        ResponseTemplate::new(200).set_body_json(json!({"status": "success", "msg": "", "data": rows}))
    }
}

fn error(status: u16, code: &str, message: &str) -> ResponseTemplate {
    let body = json!({"status": "error", "errorCode": code, "errors": [message]});
    ResponseTemplate::new(status).set_body_json(body)
}
