//! The whole pipeline, deployed by the repository's own Terraform to an emulator: the central account and its targets.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use remediation::Manifest;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::account::Account;
use crate::central::{Central, Done};
use crate::emulator::Emulator;
use crate::{Result, manifests, paths};

/// The role through which Terraform reaches a target account, as AWS Organizations makes it.
const DEPLOY_ROLE: &str = "OrganizationAccountAccessRole";
/// The role of the central account that Terraform runs as. Its sessions do not tell its path.
const TERRAFORM_ROLE: Named = Named { path: "/ci/", name: "terraform" };
/// The names' first part: the modules' own default.
pub(crate) const PREFIX: &str = "autoremediate";
/// What both sides send and expect.
const EXTERNAL_ID: &str = "an-external-id-of-a-deployment";

/// The file that has a queue listen to the topics of messages, where there are some: beside the root module.
const LISTENER: &str = r#"
resource "aws_sqs_queue" "listener" {
  name = "autoremediate-messages"
}

resource "aws_sns_topic_subscription" "listener" {
  for_each = { chat = module.central.chat_topic_arn, email = module.central.email_topic_arn }

  topic_arn            = each.value
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.listener.arn
  raw_message_delivery = true
}
"#;

/// The environment of a person's command line.
pub type Environment = Vec<(String, String)>;

/// What is deployed.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The central account.
    pub central: String,
    /// The regions of each deployment, by their codes: first the one that it is in. The first deployment's is the home
    /// region, so that it acts on global findings, too.
    pub regions: Vec<Vec<String>>,
    /// The target accounts, if there are any.
    pub targets: Vec<String>,
    /// The policy, as the variable of that name takes it: such as `{"mode": "apply"}`.
    pub policy: Value,
    /// The address of the Netskope stand-in.
    pub netskope: String,
    /// The token that it takes.
    pub token: String,
}

/// A role of the central account.
#[derive(Debug, Clone, Copy)]
struct Named {
    path: &'static str,
    name: &'static str,
}

impl Named {
    /// The role of people of this kind: approvers have a path, as the roles of single sign-on have, operators have none.
    fn of_people(kind: &str) -> Self {
        match kind {
            "approver" => Self { path: "/people/", name: "approver" },
            "pauser" => Self { path: "/people/", name: "pauser" },
            "retrier" => Self { path: "/people/", name: "retrier" },
            "reader" => Self { path: "/", name: "reader" },
            _ => Self { path: "/", name: "operator" },
        }
    }

    fn arn(self, account: &str) -> String {
        let Self { path, name } = self;
        format!("arn:aws:iam::{account}:role{path}{name}")
    }
}

/// A deployment: a copy of the repository's Terraform with its state.
#[derive(Debug)]
pub struct Deployment {
    settings: Settings,
    folder: TempDir,
    product_variables: Vec<(String, String)>,
    /// The credentials of Terraform, and how it reaches the emulator.
    terraform_variables: Vec<(String, String)>,
    /// The central account's deployments, each in its own region, that of the home region first.
    pub regions: Vec<Central>,
}

impl Deployment {
    /// Packages the built Lambdas, makes the roles that Terraform itself needs and applies both root modules.
    ///
    /// # Errors
    ///
    /// A step failed; the error holds what it printed.
    pub async fn apply(emulator: &Emulator, settings: Settings) -> Result<Self> {
        Self::apply_with(emulator, settings, &[]).await
    }

    /// The same with more variables of the root modules. With `chat_messages`, and then also `email_messages`, a queue listens
    /// to both topics: [`Central::told`].
    ///
    /// # Errors
    ///
    /// A step failed; the error holds what it printed.
    pub async fn apply_with(emulator: &Emulator, settings: Settings, variables: &[(&str, &str)]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("autoremediate-").tempdir()?;
        copy_terraform(folder.path())?;
        if variables.iter().any(|(name, _)| *name == "chat_messages") {
            std::fs::write(folder.path().join("terraform/deploy/central/listener.tf"), LISTENER)?;
        }
        let central = Account::new(emulator, &settings.central);
        let regions = settings.regions.iter().map(|own| Central::new(central.in_region(&own[0]), PREFIX)).collect();
        let product_variables = emulator.variables();
        let mut terraform_variables = terraform_session(&central, &product_variables).await?;
        let more = variables.iter().map(|(name, value)| (format!("TF_VAR_{name}"), (*value).to_owned()));
        terraform_variables.extend(more);
        let deployment = Self { settings, folder, product_variables, terraform_variables, regions };
        let roles = deployment.make_deploy_roles(emulator);
        tokio::try_join!(package(deployment.folder.path()), roles)?;
        // The targets first: a schedule fires as soon as it is made, and the roles must be there by then.
        tokio::try_join!(deployment.init_central(), deployment.each_target("apply", &["-auto-approve"]))?;
        deployment.each_region(&["apply", "-input=false", "-auto-approve"]).await?;
        Ok(deployment)
    }

    /// The folder with the copy of the repository's Terraform, its state and the packages.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The deployment in the home region.
    pub fn home(&self) -> &Central {
        &self.regions[0]
    }

    /// Whether `terraform plan` of both root modules, in every region and every account, finds nothing to change.
    ///
    /// # Errors
    ///
    /// There is something to change, or the plan fails; the error holds what Terraform printed.
    pub async fn has_no_drift(&self) -> Result<()> {
        let central = self.each_region(&["plan", "-input=false", "-detailed-exitcode"]);
        tokio::try_join!(central, self.each_target("plan", &["-detailed-exitcode"]))?;
        Ok(())
    }

    /// Applies another policy to the central account.
    ///
    /// # Errors
    ///
    /// Terraform fails; the error holds what it printed.
    pub async fn change_policy(&mut self, policy: Value) -> Result<()> {
        self.settings.policy = policy;
        self.each_region(&["apply", "-input=false", "-auto-approve"]).await
    }

    /// Lets the deployment in a region look after `regions`.
    ///
    /// # Errors
    ///
    /// Terraform fails; the error holds what it printed.
    pub async fn look_after(&self, region: &str, regions: &[String]) -> Result<()> {
        self.deployment(region, regions, &["apply", "-input=false", "-auto-approve"]).await
    }

    /// Takes down the deployments of the central account, as the variable force_destroy lets an operator do.
    ///
    /// # Errors
    ///
    /// Terraform fails; the error holds what it printed.
    pub async fn destroy_central(&self) -> Result<()> {
        for action in ["apply", "destroy"] {
            self.each_region(&[action, "-input=false", "-auto-approve", "-var=force_destroy=true"]).await?;
        }
        Ok(())
    }

    /// Waits until every region has polled for every rule and has a report of each batch, and gives what each did.
    ///
    /// # Errors
    ///
    /// That does not come in time; the error holds what came.
    pub async fn done(&self, within: Duration) -> Result<Vec<Done>> {
        self.done_for(manifests()?.len(), within).await
    }

    /// The same where so many rules are deployed.
    ///
    /// # Errors
    ///
    /// That does not come in time; the error holds what came.
    pub async fn done_for(&self, rules: usize, within: Duration) -> Result<Vec<Done>> {
        let end = Instant::now() + within;
        try_join_all(self.regions.iter().map(|region| region.done(rules, end))).await
    }

    /// The environment of a person's command line: that of the role `kind` of the central account, in the home region,
    /// with the managed policy that Terraform has made for these people, and nothing else.
    ///
    /// # Errors
    ///
    /// IAM refuses.
    pub async fn person(&self, kind: &str) -> Result<Environment> {
        let Account { id, region, iam, .. } = &self.home().account;
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"AWS": format!("arn:aws:iam::{id}:root")}}]});
        let Named { path, name } = Named::of_people(kind);
        let made = iam.create_role().path(path).role_name(name).assume_role_policy_document(trust.to_string());
        let made = made.send().await?;
        let policy = format!("arn:aws:iam::{id}:policy/{PREFIX}-{kind}-{region}");
        iam.attach_role_policy().role_name(kind).policy_arn(policy).send().await?;
        let arn = made.role.ok_or("CreateRole gave no role")?.arn;
        let mut environment = self.home().account.session(&arn).await?;
        environment.extend(self.product_variables.clone());
        environment.extend([
            ("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned()),
            ("EXTERNAL_ID".to_owned(), EXTERNAL_ID.to_owned()),
        ]);
        Ok(environment)
    }

    /// The ARN of a role of the central account that has the managed policies of every kind of people, and is none of
    /// those that the variables name.
    ///
    /// # Errors
    ///
    /// IAM refuses.
    pub async fn stranger(&self) -> Result<String> {
        let Account { id, region, iam, .. } = &self.home().account;
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"AWS": format!("arn:aws:iam::{id}:root")}}]});
        let made =
            iam.create_role().role_name("stranger").assume_role_policy_document(trust.to_string()).send().await?;
        for kind in ["approver", "operator", "pauser"] {
            let policy = format!("arn:aws:iam::{id}:policy/{PREFIX}-{kind}-{region}");
            iam.attach_role_policy().role_name("stranger").policy_arn(policy).send().await?;
        }
        Ok(made.role.ok_or("CreateRole gave no role")?.arn)
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
        if self.settings.targets.is_empty() {
            return Ok(());
        }
        let accounts = self.folder.path().join("accounts.txt");
        tokio::fs::write(&accounts, self.settings.targets.join("\n")).await?;
        let script = self.folder.path().join("terraform/deploy/targets/each-account");
        let mut command = self.command(script);
        command.args([Path::new(action), &accounts]).args(arguments).env("VERBOSE", "yes");
        succeeded(&format!("{action} of the target accounts"), &command.output().await?)
    }

    /// Makes a workspace a region, so that each has a state of its own.
    async fn init_central(&self) -> Result<()> {
        self.central(&["init", "-input=false"], |command| command).await?;
        for own in &self.settings.regions {
            self.central(&["workspace", "select", "-or-create", &own[0]], |command| command).await?;
        }
        Ok(())
    }

    /// Runs Terraform on the central root module in every region at once: only the states are written to, and each
    /// workspace has its own.
    async fn each_region(&self, arguments: &[&str]) -> Result<()> {
        let regions = self.settings.regions.iter().map(|own| self.deployment(&own[0], own, arguments));
        try_join_all(regions).await.map(drop)
    }

    /// Runs Terraform on the central root module for the deployment in a region, which looks after `regions`.
    async fn deployment(&self, region: &str, regions: &[String], arguments: &[&str]) -> Result<()> {
        let regions = json!(regions).to_string();
        self.central(arguments, |command| {
            command.env("TF_WORKSPACE", region).env("AWS_REGION", region).env("TF_VAR_regions", regions)
        })
        .await
    }

    async fn central(&self, arguments: &[&str], set: impl FnOnce(&mut Command) -> &mut Command) -> Result<()> {
        let mut command = self.command(std::env::var_os("TERRAFORM").unwrap_or_else(|| "terraform".into()));
        command.args(arguments).current_dir(self.folder.path().join("terraform/deploy/central"));
        succeeded(&format!("terraform {} of the central account", arguments[0]), &set(&mut command).output().await?)
    }

    /// A command with Terraform's credentials in the central account and every variable of both root modules.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let Settings { central, regions, policy, netskope, token, .. } = &self.settings;
        let mut command = Command::new(program);
        for ambient in ["TF_WORKSPACE", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE"] {
            command.env_remove(ambient);
        }
        command
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .env("TF_IN_AUTOMATION", "1")
            // One that is due as soon as it is made.
            .env("TF_VAR_schedule", "rate(30 minutes)")
            .env("TF_VAR_package_dir", self.folder.path().join("dist"))
            .envs(self.terraform_variables.iter().cloned())
            .env("AWS_REGION", &regions[0][0])
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("TF_VAR_netskope_tenant", "tenant.goskope.com")
            .env("TF_VAR_netskope_token", token)
            .env("TF_VAR_netskope_endpoint", netskope)
            .env("TF_VAR_home_region", &regions[0][0])
            .env("TF_VAR_policy", policy.to_string())
            .env("TF_VAR_external_id", EXTERNAL_ID)
            .env("TF_VAR_architecture", architecture())
            .env("TF_VAR_organization_check", "false")
            .env("TF_VAR_central_account_id", central)
            .env("TF_VAR_approver_role_arns", json!([Named::of_people("approver").arn(central)]).to_string())
            .env("TF_VAR_operator_role_arns", json!([Named::of_people("operator").arn(central)]).to_string())
            .env("TF_VAR_pauser_role_arns", json!([Named::of_people("pauser").arn(central)]).to_string())
            .env("TF_VAR_reader_role_arns", json!([Named::of_people("reader").arn(central)]).to_string())
            .env("TF_VAR_deploy_role_name", DEPLOY_ROLE);
        command
    }
}

/// Lays out in a folder what a person has who has cloned the repository and packaged the Lambdas: its Terraform, and `dist`.
///
/// # Errors
///
/// A file cannot be written, or a Lambda is not built.
pub async fn lay_out(folder: &Path) -> Result<()> {
    copy_terraform(folder)?;
    package(folder).await
}

/// Packages the built Lambdas into `dist` of a folder.
async fn package(folder: &Path) -> Result<()> {
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let output = Command::new(paths::binary("package")?)
        .args(["--profile", profile, "--no-build", "--out"])
        .arg(folder.join("dist"))
        .current_dir(paths::repository())
        .output()
        .await?;
    succeeded("packaging the Lambdas", &output)
}

/// A session of a role that may do everything, as the variables of an environment.
async fn terraform_session(central: &Account, product: &[(String, String)]) -> Result<Vec<(String, String)>> {
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"AWS": format!("arn:aws:iam::{}:root", central.id)}}]});
    let Named { path, name } = TERRAFORM_ROLE;
    let made = central.iam.create_role().path(path).role_name(name).assume_role_policy_document(trust.to_string());
    made.send().await?;
    let all = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    let put = central.iam.put_role_policy().role_name(name).policy_name("all").policy_document(all.to_string());
    put.send().await?;
    let mut variables = central.session(&TERRAFORM_ROLE.arn(&central.id)).await?;
    variables.extend(product.iter().cloned());
    Ok(variables)
}

/// This machine's architecture, as Lambda calls it.
fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }
}

fn succeeded(what: &str, output: &Output) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Err(format!("{what} failed, {}:\n{}{}", output.status, text(&output.stdout), text(&output.stderr)).into())
}

/// Copies what Terraform reads, without state or plugins of the working copy.
fn copy_terraform(to: &Path) -> Result<()> {
    let repository = paths::repository();
    copy_folder(&repository.join("terraform"), &to.join("terraform"))?;
    for Manifest { id, .. } in manifests()? {
        let manifest = Path::new("crates/rules").join(id).join("rule.json");
        std::fs::create_dir_all(to.join(&manifest).with_file_name(""))?;
        std::fs::copy(repository.join(&manifest), to.join(&manifest))?;
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
