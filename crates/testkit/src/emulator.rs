//! The AWS emulator: LocalStack with our plugin package, as a process or in a container.

use std::process::Stdio;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use testcontainers::core::{Mount, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::{ANSWER_WITHIN, Result, get, paths};

/// Chooses how the emulator runs: `process` (the default), `container`, or the `http://…` of one that runs.
pub const VARIABLE: &str = "AUTOREMEDIATE_EMULATOR";
/// `1` makes the emulator listen for TLS, too. Only a process that is started here can.
pub const TLS_VARIABLE: &str = "AUTOREMEDIATE_EMULATOR_TLS";
/// The version of LocalStack, the same as in `localstack/requirements.txt`.
const LOCALSTACK: &str = "4.8.1";
/// The first start installs LocalStack from PyPI, or pulls the image.
const START_WITHIN: Duration = Duration::from_secs(600);
/// How long the emulator may take for an answer while everything else on the machine works, too, and much is asked for.
const BUSY_ANSWER_WITHIN: Duration = Duration::from_secs(120);
/// How much faster than the clock schedules fire.
const SCHEDULE_SPEED: u32 = 1;

/// How the emulator runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// As a process of this machine's Python.
    Process,
    /// In a container, by testcontainers.
    Container,
    /// At this address, by somebody else.
    Running(String),
}

impl Kind {
    /// What [`VARIABLE`] asks for.
    ///
    /// # Errors
    ///
    /// It asks for something else.
    pub fn from_env() -> Result<Self> {
        match std::env::var(VARIABLE).as_deref() {
            Err(_) | Ok("" | "process") => Ok(Self::Process),
            Ok("container") => Ok(Self::Container),
            Ok(url) if url.starts_with("http://") => Ok(Self::Running(url.to_owned())),
            Ok(other) => Err(format!("{VARIABLE}={other}: give process, container or http://…").into()),
        }
    }
}

/// What an emulator that is started listens for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// HTTP, which then counts as `aws:SecureTransport`.
    Plain,
    /// HTTP and, on another port, TLS, which alone counts as `aws:SecureTransport` then.
    Tls,
}

impl Transport {
    /// What [`TLS_VARIABLE`] asks for.
    ///
    /// # Errors
    ///
    /// It asks for something else.
    pub fn from_env() -> Result<Self> {
        match std::env::var(TLS_VARIABLE).as_deref() {
            Err(_) | Ok("" | "0") => Ok(Self::Plain),
            Ok("1") => Ok(Self::Tls),
            Ok(other) => Err(format!("{TLS_VARIABLE}={other}: give 0 or 1").into()),
        }
    }
}

/// An emulator's TLS listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Its address.
    pub url: String,
    /// The file with the certificate of the authority that signed its own.
    pub ca: String,
}

/// An emulator; it ends when this is dropped, or when the process that started it is gone.
#[derive(Debug)]
pub struct Emulator {
    url: String,
    tls: Option<Tls>,
    running: Running,
}

#[derive(Debug)]
enum Running {
    Process(Child),
    Container { container: Box<ContainerAsync<GenericImage>>, plugin: TempDir },
    Elsewhere,
}

impl Emulator {
    /// Starts an emulator, with what [`TLS_VARIABLE`] asks for, and waits until its services answer.
    ///
    /// # Errors
    ///
    /// It does not start: what is missing is in the error.
    pub async fn start(kind: Kind) -> Result<Self> {
        Self::start_with(kind, Transport::from_env()?).await
    }

    /// The same, with what it listens for.
    ///
    /// # Errors
    ///
    /// It does not start, or cannot listen for TLS.
    pub async fn start_with(kind: Kind, transport: Transport) -> Result<Self> {
        let mut emulator = match (kind, transport) {
            (Kind::Process, Transport::Plain) => Self::start_process(&[]).await?,
            (Kind::Process, Transport::Tls) => Self::start_process(&["--tls"]).await?,
            (Kind::Container, Transport::Plain) => Self::start_container().await?,
            (Kind::Container, Transport::Tls) => return Err("the emulator in a container has no TLS listener".into()),
            (Kind::Running(url), _) => Self { url, tls: None, running: Running::Elsewhere },
        };
        emulator.tls = emulator.find_tls().await?;
        if transport == Transport::Tls && emulator.tls.is_none() {
            return Err(format!("the emulator at {} has no TLS listener: start it with --tls", emulator.url).into());
        }
        Ok(emulator)
    }

    /// Starts an emulator that takes [faults by chance](Self::set_chaos), as a process.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub async fn start_for_chaos() -> Result<Self> {
        Self::start_process(&["--chaos"]).await
    }

    /// The one emulator of this process.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Emulator> = OnceCell::const_new();
        SHARED.get_or_try_init(|| async { Self::start(Kind::from_env()?).await }).await
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its TLS listener, if it has one.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// The variables with which a program of the product finds it: over TLS, if it has that, with what to trust.
    pub fn variables(&self) -> Vec<(String, String)> {
        let variables = match &self.tls {
            Some(Tls { url, ca }) => vec![("AWS_ENDPOINT_URL", url), ("AWS_CA_BUNDLE", ca)],
            None => vec![("AWS_ENDPOINT_URL", &self.url)],
        };
        variables.into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()
    }

    /// SDK configuration with the full rights of `account`: a 12-digit access key selects an account of LocalStack.
    pub fn config(&self, account: &str, region: &str) -> SdkConfig {
        let credentials = Credentials::new(account, "unused", None, None, "emulator");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&self.url)
            .region(Region::new(region.to_owned()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(RetryConfig::standard())
            .build()
    }

    /// The same configuration, to reach the emulator as a program of the product does: over TLS, if it has that.
    ///
    /// # Errors
    ///
    /// The certificate of its authority cannot be used.
    pub fn as_product(&self, config: &SdkConfig) -> Result<SdkConfig> {
        let Some(Tls { url, ca }) = &self.tls else { return Ok(config.clone()) };
        let trusted = TrustStore::empty().with_pem_certificate(std::fs::read(ca)?);
        let context = TlsContext::builder().with_trust_store(trusted).build()?;
        let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        Ok(config.to_builder().endpoint_url(url).http_client(http.tls_context(context).build_https()).build())
    }

    /// Lets the next two calls of an IAM action by role sessions in `account` fail with `code`.
    ///
    /// # Errors
    ///
    /// The emulator does not answer.
    pub async fn fail(&self, account: &str, action: &str, code: &str) -> Result<()> {
        self.set_faults(account, action, &[code, code]).await
    }

    /// Holds the call of an IAM action by role sessions in `account` that comes after `passing` others: it is never
    /// carried out, and its caller can be killed there.
    ///
    /// # Errors
    ///
    /// The emulator does not answer.
    pub async fn hold(&self, account: &str, action: &str, passing: usize) -> Result<()> {
        self.set_faults(account, action, &[vec!["Pass"; passing], vec!["Hold"]].concat()).await
    }

    /// Lets `slow` calls of an IAM action by role sessions in `account`, those after `passing` others, take five seconds
    /// each. None ends it.
    ///
    /// # Errors
    ///
    /// The emulator does not answer.
    pub async fn slow_down(&self, account: &str, action: &str, passing: usize, slow: usize) -> Result<()> {
        self.set_faults(account, action, &[vec!["Pass"; passing], vec!["Slow"; slow]].concat()).await
    }

    /// Puts a Redshift cluster or an RDS snapshot into a status.
    ///
    /// # Errors
    ///
    /// The emulator refuses.
    pub async fn set_status(&self, arn: &str, status: &str) -> Result<()> {
        let url = format!("{}/_remediation/status", self.url);
        let put = reqwest::Client::new().put(url).body(json!({"Arn": arn, "Status": status}).to_string());
        put.timeout(ANSWER_WITHIN).send().await?.error_for_status()?;
        Ok(())
    }

    /// Faults by chance from now on, for every account, in the form of the emulator's endpoint: its page says which there
    /// are. Only of an emulator that was started for that. No faults end it.
    ///
    /// # Errors
    ///
    /// The emulator refuses.
    pub async fn set_chaos(&self, seed: u64, faults: &Value) -> Result<()> {
        self.put("chaos", &json!({"seed": seed, "faults": faults})).await
    }

    /// The faults by chance that have struck, the oldest first: the last 20,000.
    ///
    /// # Errors
    ///
    /// The emulator does not answer.
    pub async fn struck(&self) -> Result<Vec<Value>> {
        let mut told: Value = serde_json::from_str(&self.ask("chaos").await?)?;
        Ok(serde_json::from_value(told["struck"].take())?)
    }

    /// Changes settings of an account, in the form of the emulator's endpoint.
    ///
    /// # Errors
    ///
    /// The emulator refuses.
    pub async fn set(&self, account: &str, settings: &Value) -> Result<()> {
        self.put(&format!("settings/{account}"), settings).await
    }

    async fn put(&self, path: &str, body: &Value) -> Result<()> {
        let put = reqwest::Client::new().put(format!("{}/_remediation/{path}", self.url)).body(body.to_string());
        put.timeout(BUSY_ANSWER_WITHIN).send().await?.error_for_status()?;
        Ok(())
    }

    async fn ask(&self, path: &str) -> Result<String> {
        let get = reqwest::Client::new().get(format!("{}/_remediation/{path}", self.url)).timeout(BUSY_ANSWER_WITHIN);
        Ok(get.send().await?.error_for_status()?.text().await?)
    }

    async fn set_faults(&self, account: &str, action: &str, codes: &[&str]) -> Result<()> {
        let fault = json!({action: codes}).to_string();
        let put = reqwest::Client::new().put(self.faults(account)).body(fault).timeout(ANSWER_WITHIN);
        put.send().await?.error_for_status()?;
        Ok(())
    }

    /// Whether every fault that was asked for in `account` has happened.
    ///
    /// # Errors
    ///
    /// The emulator does not answer.
    pub async fn no_faults_left(&self, account: &str) -> Result<bool> {
        let left: Value = serde_json::from_str(&get(&self.faults(account)).await?)?;
        Ok(left.as_object().is_some_and(Map::is_empty))
    }

    /// What IAM decided, oldest first: the last 20,000 decisions about role sessions of every account.
    ///
    /// # Errors
    ///
    /// The emulator does not answer.
    pub async fn decisions(&self) -> Result<Vec<Value>> {
        Ok(serde_json::from_str(&get(&format!("{}/_remediation/iam/decisions", self.url)).await?)?)
    }

    /// The sessions of roles in `account` that AssumeRole gave out, oldest first: `role`, the seconds that were `asked` for
    /// and are given, whether it is `chained`, its `source_identity`, how many `calls` were let through, and how many were
    /// `refused` because it had ended.
    ///
    /// # Errors
    ///
    /// The emulator does not answer.
    pub async fn sessions(&self, account: &str) -> Result<Vec<Value>> {
        let every: Vec<Value> = serde_json::from_str(&get(&format!("{}/_remediation/iam/sessions", self.url)).await?)?;
        let role = format!(":iam::{account}:role/");
        Ok(every.into_iter().filter(|session| session["role"].as_str().is_some_and(|of| of.contains(&role))).collect())
    }

    /// The same from the decision of the number `after` on, each with its own number.
    ///
    /// # Errors
    ///
    /// The emulator does not answer, or no longer has all of them.
    pub async fn decisions_after(&self, after: u64) -> Result<Vec<Value>> {
        let found: Vec<Value> = serde_json::from_str(&self.ask(&format!("iam/decisions?after={after}")).await?)?;
        match found.first() {
            Some(first) if first["number"] != after + 1 => Err(format!("decisions after {after} are gone").into()),
            _ => Ok(found),
        }
    }

    /// What was stored in `account` and does not fit AWS's service authorization data: actions that do not exist,
    /// resources and condition keys that an action does not have, by the policies that say so.
    ///
    /// # Errors
    ///
    /// The emulator does not answer.
    pub async fn misfits(&self, account: &str) -> Result<Vec<Value>> {
        let every: Vec<Value> = serde_json::from_str(&get(&format!("{}/_remediation/iam/misfits", self.url)).await?)?;
        Ok(every.into_iter().filter(|misfit| misfit["account"] == account).collect())
    }

    fn faults(&self, account: &str) -> String {
        format!("{}/_remediation/faults/{account}", self.url)
    }

    /// Stops it and waits until nothing of it is left.
    ///
    /// # Errors
    ///
    /// It cannot be stopped.
    pub async fn stop(self) -> Result<()> {
        match self.running {
            Running::Process(mut child) => {
                if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
                    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM)?;
                }
                child.wait().await?;
            }
            Running::Container { container, plugin } => {
                container.rm().await?;
                plugin.close()?;
            }
            Running::Elsewhere => {}
        }
        Ok(())
    }

    async fn find_tls(&self) -> Result<Option<Tls>> {
        let url = format!("{}/_remediation/tls", self.url);
        let answer = reqwest::Client::new().get(url).timeout(ANSWER_WITHIN).send().await?;
        if answer.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let told: Value = serde_json::from_str(&answer.error_for_status()?.text().await?)?;
        let text = |name: &str| told[name].as_str().map(str::to_owned).ok_or(format!("no {name} in {told}"));
        Ok(Some(Tls { url: text("url")?, ca: text("ca")? }))
    }

    async fn start_process(options: &[&str]) -> Result<Self> {
        let script = paths::repository().join("localstack/emulator");
        let mut command = Command::new(&script);
        command.args(["start", "--schedule-speed", &SCHEDULE_SPEED.to_string()]);
        command.args(["--until-pid", &std::process::id().to_string()]);
        command.args(options);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let output = child.stdout.take().ok_or("the emulator has no standard output")?;
        let mut line = String::new();
        timeout(START_WITHIN, BufReader::new(output).read_line(&mut line)).await??;
        let ready = line.strip_prefix("ready ").and_then(|told| told.split_whitespace().next());
        let url = ready.ok_or("the emulator did not start; it says why above")?.to_owned();
        Ok(Self { url, tls: None, running: Running::Process(child) })
    }

    /// The same settings and plugin package as the process has, in the published image. The container shares this
    /// machine's network, so that Lambdas in it reach the Netskope stand-in on the loopback address.
    async fn start_container() -> Result<Self> {
        let plugin = tempfile::tempdir()?;
        let script = paths::repository().join("localstack/emulator");
        let made = Command::new(script).arg("plugin").arg(plugin.path()).status().await?;
        if !made.success() {
            return Err("the emulator's plugin package could not be made; it says why above".into());
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let mount = Mount::bind_mount(plugin.path().display().to_string(), "/opt/autoremediate");
        let mut image = GenericImage::new("localstack/localstack", LOCALSTACK)
            .with_wait_for(WaitFor::message_on_stdout("Ready."))
            .with_network("host")
            .with_mount(mount)
            .with_startup_timeout(START_WITHIN)
            .with_env_var("PYTHONPATH", "/opt/autoremediate")
            .with_env_var("GATEWAY_LISTEN", &address)
            .with_env_var("LOCALSTACK_HOST", &address)
            .with_env_var("REMEDIATION_IAM", "enforce")
            .with_env_var("REMEDIATION_SCHEDULE_SPEED", SCHEDULE_SPEED.to_string());
        let settings = tokio::fs::read_to_string(paths::repository().join("localstack/emulator.env")).await?;
        for (name, value) in settings.lines().filter_map(|line| line.split_once('=')) {
            image = image.with_env_var(name, value);
        }
        let container = image.start().await?;
        Ok(Self {
            url: format!("http://{address}"),
            tls: None,
            running: Running::Container { container: Box::new(container), plugin },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(emulator: &Emulator, name: &str) -> Option<String> {
        emulator.variables().into_iter().find_map(|(found, value)| (found == name).then_some(value))
    }

    #[tokio::test]
    async fn the_product_is_sent_to_the_tls_listener_and_told_whom_to_trust() {
        let emulator = Emulator::start_with(Kind::Process, Transport::Tls).await.unwrap();
        let Tls { url, ca } = emulator.tls().unwrap().clone();
        assert!(
            emulator.url().starts_with("http://127.0.0.1:") && url.starts_with("https://127.0.0.1:"),
            "{emulator:?}"
        );
        assert_eq!(variable(&emulator, "AWS_ENDPOINT_URL").as_ref(), Some(&url));
        assert_eq!(variable(&emulator, "AWS_CA_BUNDLE").as_ref(), Some(&ca));

        let pem = std::fs::read(&ca).unwrap();
        let authority = reqwest::Certificate::from_pem(&pem).unwrap();
        let trusting = reqwest::Client::builder().tls_certs_only([authority]).build().unwrap();
        let health = format!("{url}/_localstack/health");
        assert!(trusting.get(&health).send().await.unwrap().status().is_success());
        reqwest::Client::new().get(&health).send().await.unwrap_err();

        // Another test process, which is given the plain address, finds it, too.
        let found = Emulator::start_with(Kind::Running(emulator.url().to_owned()), Transport::Tls).await.unwrap();
        assert_eq!(found.tls(), emulator.tls());
        emulator.stop().await.unwrap();
        assert!(!std::path::Path::new(&ca).exists());
    }

    #[tokio::test]
    async fn no_tls_is_asked_of_a_container_or_expected_of_nobody() {
        let error = Emulator::start_with(Kind::Container, Transport::Tls).await.unwrap_err().to_string();
        assert!(error.contains("no TLS listener"), "{error}");
        let nobody = Kind::Running("http://127.0.0.1:9".into());
        Emulator::start_with(nobody, Transport::Tls).await.unwrap_err();
    }
}
