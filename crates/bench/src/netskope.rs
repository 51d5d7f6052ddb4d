//! A stand-in for Netskope's list of violations: so many rows of one control, page by page until an empty one, at the rate
//! that the API documents: four requests in the first second and four a second from then on, of which twenty may wait.

use std::fmt::Write as _;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};

use crate::aws::{REGION, TOKEN};
use crate::findings::account;
use crate::server::{Answer, Request, Server};

/// Requests that pass at once.
const BURST: u32 = 4;
/// After that, one passes in each of these.
const TURN: Duration = Duration::from_millis(250);
/// Requests that may wait.
const MOST_WAITING: u32 = 20;
/// The accounts of which there are rows.
const ACCOUNTS: usize = 50;

/// The stand-in; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Netskope {
    server: Server,
    list: Arc<List>,
}

#[derive(Debug)]
struct List {
    control: String,
    rows: usize,
    latency: Duration,
    requests: AtomicUsize,
    queue: Mutex<Queue>,
}

/// Who may go when.
#[derive(Debug)]
struct Queue {
    /// When the next request could go that had to keep to one in each [`TURN`].
    next: Instant,
}

impl Queue {
    /// When a request goes that comes now; none where too many wait.
    fn turn(&mut self, now: Instant) -> Option<Instant> {
        let regular = self.next.max(now);
        let goes = regular.checked_sub(TURN * (BURST - 1)).unwrap_or(now).max(now);
        if goes - now > TURN * MOST_WAITING {
            return None;
        }
        self.next = regular + TURN;
        Some(goes)
    }
}

impl Netskope {
    /// Starts a stand-in that lists `rows` violations of `control`.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub(crate) async fn start(control: String, rows: usize, latency: Duration) -> io::Result<Self> {
        let queue = Mutex::new(Queue { next: Instant::now() });
        let list = Arc::new(List { control, rows, latency, requests: AtomicUsize::default(), queue });
        let answers = Arc::clone(&list);
        let server = Server::start(move |request| {
            let list = Arc::clone(&answers);
            async move { list.answer(&request).await }
        });
        Ok(Self { server: server.await?, list })
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.list.requests.load(Ordering::Relaxed)
    }
}

impl List {
    async fn answer(&self, request: &Request) -> Answer {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let turn = self.queue.lock().unwrap_or_else(PoisonError::into_inner).turn(Instant::now());
        let Some(turn) = turn else { return error(429, "Rate Limit Exceeded", "too many requests") };
        sleep_until(turn).await;
        sleep(self.latency).await;
        self.page(request)
    }

    fn page(&self, request: &Request) -> Answer {
        if request.path != "/api/v1/security_assessment" {
            return error(404, "Not Found", "there is no such call");
        }
        if request.parameter("token").as_deref() != Some(TOKEN) {
            return error(403, "Authorization Error", "Invalid REST API Token. Please check the token.");
        }
        let number = |name: &str| request.parameter(name).and_then(|text| text.parse::<usize>().ok());
        let Some(limit) = number("limit").filter(|limit| (1..10_000).contains(limit)) else {
            return error(200, "Invalid Parameter", "limit is required, a positive integer below 10000");
        };
        let is_of = |name: &str, value: &str| request.parameter(name).is_none_or(|of| of.eq_ignore_ascii_case(value));
        let is_asked_for = is_of("rule_name", &self.control)
            && is_of("status", "Failed")
            && is_of("muted", "No")
            && is_of("cloud_provider", "aws")
            && is_of("region", REGION);
        let rows = if is_asked_for { self.rows } else { 0 };
        let begin = number("skip").unwrap_or_default().min(rows);
        let mut body = String::from(r#"{"status":"success","msg":"","data":["#);
        for n in begin..rows.min(begin + limit) {
            let comma = if n == begin { "" } else { "," };
            let _ = write!(body, "{comma}{}", row(&self.control, n));
        }
        body.push_str("]}");
        Answer::new(200, body).with("content-type", "application/json")
    }
}

/// A row with every field that the API documents.
fn row(control: &str, n: usize) -> serde_json::Value {
    let name = format!("bucket-{n:06}");
    json!({
        "status": "Failed", "account_name": "account", "account_id": account(n % ACCOUNTS), "rule_name": control,
        "remediation_steps": "Follow the steps of the console.", "resource_name": name, "resource_id": name,
        "resource_type": "S3", "resource_category": "Storage", "severity": "High", "failing_since": 1_760_000_000,
        "cloud_provider": "AWS", "profiles": ["default"], "policies": ["best practices"],
        "region_name": "US East(N. Virginia)", "error_msg": "", "last_scan_time": "2026-02-12 02:30:17AM",
        "tags": [{"name": "team", "value": "web"}],
        "compliance_standards": [{"control": "1.1", "description": "", "section": "", "standard": "CIS",
            "reference_url": ""}],
    })
}

fn error(status: u16, code: &str, message: &str) -> Answer {
    Answer::new(status, json!({"status": "error", "errorCode": code, "errors": [message]}).to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tokio::time::{advance, pause};

    use super::*;

    #[tokio::test]
    async fn four_requests_go_at_once_then_four_a_second_and_what_cannot_wait_is_refused() {
        pause();
        let begin = Instant::now();
        let mut queue = Queue { next: begin };
        let turns: Vec<_> = (0..30).map(|_| queue.turn(begin).map(|turn| (turn - begin).as_millis())).collect();
        assert_eq!(turns[..6], [Some(0), Some(0), Some(0), Some(0), Some(250), Some(500)]);
        assert_eq!(turns.iter().flatten().count(), 24);
        // In five seconds the queue is empty, and in one more four requests go at once again.
        advance(Duration::from_secs(6)).await;
        let now = Instant::now();
        let turns: Vec<_> = (0..5).map(|_| queue.turn(now).map(|turn| (turn - now).as_millis())).collect();
        assert_eq!(turns, [Some(0), Some(0), Some(0), Some(0), Some(250)]);
    }

    #[tokio::test]
    async fn the_pages_have_each_row_once_and_the_last_is_empty() {
        let latency = Duration::ZERO;
        let netskope = Netskope::start("a control".into(), 25, latency).await.unwrap();
        let ask = async |more: &str| -> Value {
            let url =
                format!("{}/api/v1/security_assessment?token={TOKEN}&rule_name=a%20control{more}", netskope.url());
            serde_json::from_str(&reqwest::get(url).await.unwrap().text().await.unwrap()).unwrap()
        };
        let mut names = Vec::new();
        for (skip, expected) in [(0, 10), (10, 10), (20, 5), (25, 0)] {
            let page = ask(&format!("&limit=10&skip={skip}")).await;
            let rows = page["data"].as_array().unwrap();
            assert_eq!(rows.len(), expected);
            names.extend(rows.iter().map(|row| row["resource_name"].as_str().unwrap().to_owned()));
        }
        assert_eq!(names, (0..25).map(|n| format!("bucket-{n:06}")).collect::<Vec<_>>());
        assert_eq!(ask("&limit=10&region=eu-west-1").await["data"], json!([]));
        assert_eq!(ask("&limit=10000").await["status"], "error");
        assert_eq!(netskope.requests(), 6);
    }
}
