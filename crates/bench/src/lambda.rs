//! The Lambda Runtime API, and the processes that ask it for work.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::sync::Notify;

use crate::Error;
use crate::aws::{BUCKET, REGION};
use crate::server::{Answer, Request, Server};

const INVOCATION: &str = "/2018-06-01/runtime/invocation/";
/// How long an invocation may take, as Terraform sets it.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(900);
/// Ticks a second in `/proc`: Linux gives every program a hundred. proc(5), `sysconf(_SC_CLK_TCK)`
const TICKS: f64 = 100.0;

/// The API: hands its events to whichever process asks first.
#[derive(Debug)]
pub(crate) struct RuntimeApi {
    server: Server,
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Value>,
    handed_out: usize,
    /// How often somebody asked for work, and when first.
    asked: usize,
    first_asked: Option<Instant>,
    /// Answers, and the errors that functions reported.
    answers: Vec<Result<Value, Value>>,
}

impl Inner {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_waiters();
        changed
    }

    /// Waits until `take` gives something.
    async fn until<T>(&self, mut take: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From now on no change is missed.
            changed.as_mut().enable();
            if let Some(taken) = take(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner)) {
                return taken;
            }
            changed.await;
        }
    }

    async fn answer(&self, request: Request) -> Answer {
        let accepted = Answer::new(202, r#"{"status":"OK"}"#);
        match request.path.strip_prefix(INVOCATION) {
            Some("next") => self.next().await,
            Some(rest) => {
                let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
                let answer = if rest.ends_with("/error") { Err(body) } else { Ok(body) };
                self.change(|state| state.answers.push(answer));
                accepted
            }
            None => accepted,
        }
    }

    async fn next(&self) -> Answer {
        self.change(|state| {
            state.asked += 1;
            state.first_asked.get_or_insert_with(Instant::now);
        });
        let take = |state: &mut State| {
            let event = state.events.pop_front()?;
            state.handed_out += 1;
            Some((event, state.handed_out))
        };
        let (event, number) = self.until(take).await;
        let end = (SystemTime::now() + TIMEOUT).duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        Answer::new(200, event.to_string())
            .with("content-type", "application/json")
            .with("lambda-runtime-aws-request-id", format!("request-{number}"))
            .with("lambda-runtime-deadline-ms", end.to_string())
            .with("lambda-runtime-invoked-function-arn", format!("arn:aws:lambda:{REGION}:1:function:bench"))
    }
}

impl RuntimeApi {
    /// Starts the API, which has no events yet.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub(crate) async fn start() -> io::Result<Self> {
        let inner = Arc::<Inner>::default();
        let answers = Arc::clone(&inner);
        let server = Server::start(move |request| {
            let inner = Arc::clone(&answers);
            async move { inner.answer(request).await }
        });
        Ok(Self { server: server.await?, inner })
    }

    /// Waits until so many processes have asked for work, and gives when the first did.
    pub(crate) async fn asked(&self, processes: usize) -> Instant {
        self.inner.until(|state| state.first_asked.filter(|_| state.asked >= processes)).await
    }

    /// Has these events handed out.
    pub(crate) fn hand_out(&self, events: impl IntoIterator<Item = Value>) {
        self.inner.change(|state| state.events.extend(events));
    }

    /// The answers, once there are so many.
    ///
    /// # Errors
    ///
    /// A function reported an error.
    pub(crate) async fn answers(&self, count: usize) -> Result<Vec<Value>, Error> {
        let answers = self.inner.until(|state| {
            let failed = state.answers.iter().any(Result::is_err);
            (failed || state.answers.len() >= count).then(|| state.answers.clone())
        });
        answers.await.into_iter().map(|answer| answer.map_err(|error| Error::Function(error.to_string()))).collect()
    }
}

/// A Lambda's process. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process(Child);

/// What a process has used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used {
    /// The most memory at any time, in bytes.
    pub(crate) peak_memory: u64,
    /// Seconds of a processor.
    pub(crate) processor: f64,
}

impl Process {
    /// Starts `binary` with nothing but `environment`.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub(crate) fn start(
        binary: &Path,
        api: &RuntimeApi,
        environment: &[(&str, String)],
        log: Log,
    ) -> Result<Self, Error> {
        let output = || match log {
            Log::Shown => Stdio::inherit(),
            Log::Discarded => Stdio::null(),
        };
        let child = Command::new(binary)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", api.server.address().to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .kill_on_drop(true)
            .spawn();
        child.map(Self).map_err(|source| Error::Start { binary: binary.to_owned(), source })
    }

    /// What it has used so far, by proc(5).
    ///
    /// # Errors
    ///
    /// It has ended.
    pub(crate) fn used(&self) -> Result<Used, Error> {
        used_by(&self.0.id().unwrap_or_default().to_string())
    }

    /// Waits until it ends, which it does not do by itself as long as all is well.
    pub(crate) async fn ends(&mut self) -> Error {
        match self.0.wait().await {
            Ok(status) => Error::Ended(io::Error::other(status.to_string())),
            Err(error) => Error::Ended(error),
        }
    }

    /// Kills it and waits for its end.
    pub(crate) async fn kill(mut self) {
        // One that has ended already needs no kill.
        drop(self.0.kill().await);
    }
}

/// What a process has used so far; `self` is this one.
///
/// # Errors
///
/// It has ended, or this is not Linux.
pub(crate) fn used_by(process: &str) -> Result<Used, Error> {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{process}/{name}")).map_err(Error::Ended);
    parse(&read("status")?, &read("stat")?).ok_or_else(|| Error::Ended(io::ErrorKind::InvalidData.into()))
}

/// What becomes of a Lambda's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    Shown,
    Discarded,
}

fn parse(status: &str, stat: &str) -> Option<Used> {
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?;
    // The name before it may hold spaces; user and system time are the fourteenth and fifteenth field.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some(Used { peak_memory: peak.trim().parse::<u64>().ok()? * 1024, processor: (ticks()? + ticks()?) / TICKS })
}

/// The event of an object that was stored in the bucket.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
pub(crate) fn stored(key: &str) -> Value {
    let bucket =
        json!({"name": BUCKET, "ownerIdentity": {"principalId": "P"}, "arn": format!("arn:aws:s3:::{BUCKET}")});
    json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": REGION, "eventName": "ObjectCreated:Put",
        "eventTime": jiff::Timestamp::now().to_string(), "userIdentity": {"principalId": "AWS:AROA:poller"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"}, "responseElements": {},
        "s3": {"s3SchemaVersion": "1.0", "configurationId": "findings", "bucket": bucket,
            "object": {"key": key, "size": 1, "eTag": "e", "sequencer": "0"}},
    }]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_has_used_is_read_from_proc() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 900 0 0 0 250 75 0 0 20 0 1 0 100 1000 10 18446744073709551615";
        let used = parse("Name:\tlambda\nVmPeak:\t  99999 kB\nVmHWM:\t    2048 kB\n", stat).unwrap();
        assert_eq!((used.peak_memory, used.processor), (2 * 1024 * 1024, 3.25));
        assert!(parse("Name:\tlambda\n", stat).is_none());
    }

    #[tokio::test]
    async fn events_are_handed_out_once_and_an_error_ends_the_wait() {
        let api = RuntimeApi::start().await.unwrap();
        api.hand_out([json!({"n": 1}), json!({"n": 2})]);
        let url = |rest: &str| format!("{}{INVOCATION}{rest}", api.server.url());
        let http = reqwest::Client::new();
        for n in 1..=2 {
            let event = http.get(url("next")).send().await.unwrap();
            assert_eq!(event.headers()["lambda-runtime-aws-request-id"], format!("request-{n}"));
            assert_eq!(event.text().await.unwrap(), json!({"n": n}).to_string());
        }
        let third = http.get(url("next")).timeout(Duration::from_millis(50)).send().await;
        assert!(third.is_err_and(|error| error.is_timeout()));
        api.asked(3).await;
        http.post(url("request-1/response")).body("1").send().await.unwrap();
        assert_eq!(api.answers(1).await.unwrap(), [json!(1)]);
        http.post(url("request-2/error")).body(r#""broken""#).send().await.unwrap();
        let error = api.answers(9).await.unwrap_err().to_string();
        assert!(error.contains("broken"), "{error}");
    }
}
