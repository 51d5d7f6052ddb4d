//! The whole pipeline, deployed by the repository's own Terraform to an emulator: the central account and its targets.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use remediation::{Report, ReportedFinding};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use crate::account::{Account, REGION};
use crate::emulator::Emulator;
use crate::{Result, get, paths};

/// The role through which Terraform reaches a target account, as AWS Organizations makes it.
const DEPLOY_ROLE: &str = "OrganizationAccountAccessRole";
/// The names' first part: the modules' own default.
const PREFIX: &str = "autoremediate";
/// What both sides send and expect.
const EXTERNAL_ID: &str = "an-external-id-of-a-deployment";

/// What is deployed.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The central account.
    pub central: String,
    /// The target accounts.
    pub targets: Vec<String>,
    /// `apply` or `plan`.
    pub mode: String,
    /// The address of the Netskope stand-in.
    pub netskope: String,
    /// The token that it takes.
    pub token: String,
}

/// A deployment: a copy of the repository's Terraform with its state.
#[derive(Debug)]
pub struct Deployment {
    settings: Settings,
    folder: TempDir,
    emulator_url: String,
    /// The central account, with full rights.
    pub central: Account,
    /// The bucket of findings, plans and reports.
    pub bucket: String,
}

impl Deployment {
    /// Packages the built Lambdas, makes the roles that Terraform itself needs and applies both root modules.
    ///
    /// # Errors
    ///
    /// A step failed; the error holds what it printed.
    pub async fn apply(emulator: &Emulator, settings: Settings) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("autoremediate-").tempdir()?;
        copy_terraform(folder.path())?;
        let bucket = format!("{PREFIX}-{}-{REGION}", settings.central);
        let central = Account::new(emulator, &settings.central);
        let deployment = Self { settings, folder, emulator_url: emulator.url().to_owned(), central, bucket };
        let package = deployment.package();
        let roles = deployment.make_deploy_roles(emulator);
        tokio::try_join!(package, roles)?;
        let init = deployment.terraform("central", &["init", "-input=false"]);
        // The targets first: a schedule fires as soon as it is made, and the roles must be there by then.
        tokio::try_join!(init, deployment.each_target("apply", &["-auto-approve"]))?;
        deployment.terraform("central", &["apply", "-input=false", "-auto-approve"]).await?;
        Ok(deployment)
    }

    /// The folder with the copy of the repository's Terraform, its state and the packages.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Whether `terraform plan` of both root modules finds nothing to change.
    ///
    /// # Errors
    ///
    /// There is something to change, or the plan fails; the error holds what Terraform printed.
    pub async fn has_no_drift(&self) -> Result<()> {
        self.terraform("central", &["plan", "-input=false", "-detailed-exitcode"]).await?;
        self.each_target("plan", &["-detailed-exitcode"]).await?;
        Ok(())
    }

    /// Waits until reports speak of at least `count` findings, and gives those of all reports with their keys.
    ///
    /// # Errors
    ///
    /// They do not come in time; the error holds what came.
    pub async fn reported(&self, count: usize, within: Duration) -> Result<Vec<(String, Report)>> {
        let end = Instant::now() + within;
        loop {
            let mut reports = Vec::new();
            for key in self.central.keys(&self.bucket, "reports/").await? {
                let report: Report = serde_json::from_value(self.central.json(&self.bucket, &key).await?)?;
                reports.push((key, report));
            }
            if reports.iter().map(|(_, report)| report.findings.len()).sum::<usize>() >= count {
                return Ok(reports);
            }
            if Instant::now() > end {
                return Err(format!("no reports of {count} findings within {within:?}: {reports:?}").into());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// How many messages wait in a queue of the central account.
    /// <https://docs.localstack.cloud/aws/services/sqs/#developer-endpoints>
    ///
    /// # Errors
    ///
    /// The emulator does not answer.
    pub async fn queued(&self, queue: &str) -> Result<usize> {
        let url = &self.emulator_url;
        let messages = get(&format!("{url}/_aws/sqs/messages/{REGION}/{}/{queue}", self.settings.central)).await?;
        Ok(messages.matches("<Message>").count())
    }

    async fn package(&self) -> Result<()> {
        let (package, out) = (paths::binary("package")?, self.folder.path().join("dist"));
        let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
        let output = Command::new(package)
            .args(["--profile", profile, "--no-build", "--out"])
            .arg(out)
            .current_dir(paths::repository())
            .output()
            .await?;
        succeeded("packaging the Lambdas", output).map(drop)
    }

    async fn make_deploy_roles(&self, emulator: &Emulator) -> Result<()> {
        let principal = format!("arn:aws:iam::{}:root", self.settings.central);
        let trust = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": principal}}]});
        for target in &self.settings.targets {
            let all = json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}]);
            Account::new(emulator, target).make_role(DEPLOY_ROLE, &trust, &all).await?;
        }
        Ok(())
    }

    async fn each_target(&self, action: &str, arguments: &[&str]) -> Result<()> {
        let accounts = self.folder.path().join("accounts.txt");
        tokio::fs::write(&accounts, self.settings.targets.join("\n")).await?;
        let script = self.folder.path().join("terraform/deploy/targets/each-account");
        let mut command = self.command(script);
        command.args([Path::new(action), &accounts]).args(arguments);
        succeeded(&format!("{action} of the target accounts"), command.output().await?).map(drop)
    }

    async fn terraform(&self, module: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command(std::env::var_os("TERRAFORM").unwrap_or_else(|| "terraform".into()));
        let output = command.args(arguments).current_dir(self.module(module)).output().await?;
        succeeded(&format!("terraform {} of {module}", arguments[0]), output)
    }

    fn module(&self, name: &str) -> PathBuf {
        self.folder.path().join("terraform/deploy").join(name)
    }

    /// A command with the central account's credentials and every variable of both root modules.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let Settings { central, mode, netskope, token, .. } = &self.settings;
        let mut command = Command::new(program);
        for ambient in ["AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE"] {
            command.env_remove(ambient);
        }
        command
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .env("TF_IN_AUTOMATION", "1")
            .env("AWS_ENDPOINT_URL", &self.emulator_url)
            .env("AWS_ACCESS_KEY_ID", central)
            .env("AWS_SECRET_ACCESS_KEY", "unused")
            .env("AWS_REGION", REGION)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("TF_VAR_netskope_tenant", "tenant.goskope.com")
            .env("TF_VAR_netskope_token", token)
            .env("TF_VAR_netskope_endpoint", netskope)
            .env("TF_VAR_home_region", REGION)
            .env("TF_VAR_mode", mode)
            .env("TF_VAR_external_id", EXTERNAL_ID)
            .env("TF_VAR_architecture", architecture())
            .env("TF_VAR_package_dir", self.folder.path().join("dist"))
            .env("TF_VAR_force_destroy", "true")
            .env("TF_VAR_organization_check", "false")
            .env("TF_VAR_central_account_id", central)
            .env("TF_VAR_central_regions", json!([REGION]).to_string())
            .env("TF_VAR_deploy_role_name", DEPLOY_ROLE);
        command
    }
}

/// The findings of all reports, each with its report's key.
pub fn findings(reports: &[(String, Report)]) -> impl Iterator<Item = (&str, &ReportedFinding)> {
    reports.iter().flat_map(|(key, report)| report.findings.iter().map(move |finding| (key.as_str(), finding)))
}

/// This machine's architecture, as Lambda calls it.
fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }
}

fn succeeded(what: &str, output: Output) -> Result<Output> {
    if output.status.success() {
        return Ok(output);
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Err(format!("{what} failed, {}:\n{}{}", output.status, text(&output.stdout), text(&output.stderr)).into())
}

/// Copies what Terraform reads, without state or plugins of the working copy.
fn copy_terraform(to: &Path) -> Result<()> {
    let repository = paths::repository();
    copy_folder(&repository.join("terraform"), &to.join("terraform"))?;
    for rule in std::fs::read_dir(repository.join("crates/rules"))? {
        let rule = rule?;
        let folder = to.join("crates/rules").join(rule.file_name());
        std::fs::create_dir_all(&folder)?;
        std::fs::copy(rule.path().join("rule.json"), folder.join("rule.json"))?;
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let text = name.to_string_lossy();
        let kept = !text.starts_with(".terraform") && !text.contains("tfstate");
        if kept && entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to.join(&name))?;
        } else if kept {
            std::fs::copy(entry.path(), to.join(&name))?;
        }
    }
    Ok(())
}
