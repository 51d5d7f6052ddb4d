//! A Lambda binary run by itself: the Runtime API for one invocation.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::process::{Child, Command};
use wiremock::matchers::{method, path, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::Result;

const NEXT: &str = "/2018-06-01/runtime/invocation/next";

/// A Lambda process that works on one event.
#[derive(Debug)]
pub struct Invocation {
    api: MockServer,
    child: Child,
}

impl Invocation {
    /// Starts `binary` with nothing but `environment`, and hands it `event`. It has `timeout` for it. A retry of the
    /// service's has the same `request` as the try before it.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>
    ///
    /// # Errors
    ///
    /// It does not start.
    pub async fn start(
        binary: &Path,
        environment: &[(&str, &str)],
        event: &Value,
        request: &str,
        timeout: Duration,
    ) -> Result<Self> {
        let api = MockServer::start().await;
        let deadline = (SystemTime::now() + timeout).duration_since(UNIX_EPOCH)?.as_millis();
        let arn = "arn:aws:lambda:us-east-1:111111111111:function:test";
        let next = ResponseTemplate::new(200)
            .insert_header("Lambda-Runtime-Aws-Request-Id", request)
            .insert_header("Lambda-Runtime-Deadline-Ms", deadline.to_string().as_str())
            .insert_header("Lambda-Runtime-Invoked-Function-Arn", arn)
            .set_body_json(event);
        Mock::given(path(NEXT)).respond_with(next).up_to_n_times(1).mount(&api).await;
        let wait = ResponseTemplate::new(200).set_delay(Duration::from_secs(3600));
        Mock::given(path(NEXT)).respond_with(wait).mount(&api).await;
        let accepted = ResponseTemplate::new(202).set_body_raw(r#"{"status":"OK"}"#, "application/json");
        Mock::given(method("POST")).and(path_regex("/runtime/")).respond_with(accepted).mount(&api).await;
        let child = Command::new(binary)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", api.address().to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "test")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .envs(environment.iter().copied())
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { api, child })
    }

    /// The answer: `Ok` of a response, `Err` of an error that the function reported.
    ///
    /// # Errors
    ///
    /// The process ended, or `within` is over.
    pub async fn answer(&mut self, within: Duration) -> Result<Result<Value, Value>> {
        let end = Instant::now() + within;
        while Instant::now() < end {
            for request in self.api.received_requests().await.unwrap_or_default() {
                let body = || serde_json::from_slice(&request.body).unwrap_or(Value::Null);
                match request.url.path().rsplit('/').next() {
                    Some("response") => return Ok(Ok(body())),
                    Some("error") => return Ok(Err(body())),
                    _ => {}
                }
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the Lambda process ended: {status}").into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(format!("no answer within {within:?}").into())
    }

    /// The most memory that the process has held so far, in bytes (`VmHWM` in proc(5)).
    ///
    /// # Errors
    ///
    /// The process is gone, or this is not Linux.
    pub fn peak_memory(&self) -> Result<u64> {
        let pid = self.child.id().ok_or("the Lambda process has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM in /proc")?;
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes * 1024)
    }

    /// Ends the process with SIGKILL, as a Lambda that dies does.
    ///
    /// # Errors
    ///
    /// It cannot be killed.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
}
