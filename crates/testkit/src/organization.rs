//! A central account and a target account with one rule's roles, as Terraform makes them, but in milliseconds: for tests
//! of the engine on the emulator, with IAM enforced.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_config::SdkConfig;
use engine::{Bounds, Clock, Deadline, Drifted, Engine, Taken, Undo};
use jiff::{SignedDuration, Timestamp};
use remediation::records::read;
use remediation::{
    Batch, BatchId, Finding, Folder, Manifest, Mode, PAUSES_KEY, POLICY_KEY, Plan, Proposal, Records, Report, Rule,
    RunId, SERVICE_ROLE_SUFFIX, Seen, SessionKind, Sessions, Sighting, TargetRole, UNDO_ROLE_SUFFIX,
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::account::{Account, service_trust, statements};
use crate::emulator::Emulator;
use crate::{Result, get};

/// How long a claim of a run without a deadline holds here: a test can wait until it is over.
pub(crate) const CLAIM: Duration = Duration::from_secs(20);
const EXTERNAL_ID: &str = "an-external-id-of-a-test";
/// The role of people who use the command line, in the central account.
pub const OPERATOR_ROLE: &str = "operator";
/// Those of Netskope's own roles whose names begin with CIS, in any account.
const NETSKOPES_ROLES: &str = "CIS-1-2-0-*Role_*";
/// The role of the command line's doctor, in the target account.
pub const DOCTOR_ROLE: &str = "autoremediate-doctor";

/// The accounts and roles of one rule.
#[derive(Debug)]
pub struct Organization {
    /// The rule's manifest.
    pub manifest: Manifest,
    /// The central account.
    pub central: Account,
    /// The target account.
    pub target: Account,
    /// The bucket of findings, plans and reports.
    pub bucket: String,
    /// The configuration of the rule's Lambda: a session of its role in the central account.
    pub lambda: SdkConfig,
    emulator_url: String,
    product_variables: Vec<(String, String)>,
    control: AtomicUsize,
    operator: OnceCell<SdkConfig>,
}

/// A decision of the emulator's IAM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whose session called.
    pub principal: String,
    /// The IAM action.
    pub action: String,
    /// The ARN that it was decided for; none where the action knows no resources.
    pub resource: Option<String>,
    /// Whether it was allowed.
    pub allowed: bool,
}

/// What a rule proposes, and what its guard sees of that.
#[derive(Debug)]
pub struct Proposed<C> {
    /// What it proposes.
    pub proposal: Proposal<C>,
    /// What its guard sees; nothing where that is off.
    pub sights: Vec<Sighting>,
}

impl Organization {
    /// Makes the accounts, the bucket and the roles of the rule `R`.
    ///
    /// # Errors
    ///
    /// The emulator refuses something.
    pub async fn new<R: Rule>(emulator: &Emulator) -> Result<Self> {
        Self::with_target::<R>(emulator, Account::fresh(emulator)).await
    }

    /// The same with a target account that exists. The central account works in the same region.
    ///
    /// # Errors
    ///
    /// The emulator refuses something.
    pub async fn with_target<R: Rule>(emulator: &Emulator, target: Account) -> Result<Self> {
        let central = Account::fresh(emulator).in_region(&target.region);
        Self::with_accounts::<R>(emulator, central, target).await
    }

    /// The same with both accounts, which may be one.
    ///
    /// # Errors
    ///
    /// The emulator refuses something.
    pub async fn with_accounts<R: Rule>(emulator: &Emulator, central: Account, target: Account) -> Result<Self> {
        let manifest = Manifest::from_json(R::MANIFEST)?;
        let bucket = format!("autoremediate-{}-{}", central.id, central.region);
        central.make_private_bucket(&bucket).await?;
        central.s3.put_object().bucket(&bucket).key(POLICY_KEY).body(policy(&manifest).into()).send().await?;
        let lambda = make_lambda_role(&central, &manifest, &bucket).await?;
        let (emulator_url, product_variables) = (emulator.url().to_owned(), emulator.variables());
        let (control, operator) = (AtomicUsize::new(0), OnceCell::new());
        let of = Self { manifest, central, target, bucket, lambda, emulator_url, product_variables, control, operator };
        let trust = of.trust(&[&of.lambda_role(), OPERATOR_ROLE], EXTERNAL_ID);
        let allowed = statements(of.manifest.to_fix(of.target.partition()), &of.target);
        of.target.make_role(&of.target_role(), &trust, &allowed).await?;
        let allowed = statements(of.manifest.to_undo(), &of.target);
        of.target.make_role(&of.undo_role(), &of.trust(&[OPERATOR_ROLE], EXTERNAL_ID), &allowed).await?;
        if let Some(role) = &of.manifest.service_role {
            let allowed = statements(&role.permissions, &of.target);
            of.target.make_role(&of.service_role(), &service_trust(role, &of.target), &allowed).await?;
        }
        Ok(of)
    }

    /// Makes the doctor's role in the target account, as Terraform does where there are operators; gives the environment of
    /// an operator's session.
    ///
    /// # Errors
    ///
    /// The emulator refuses something.
    pub async fn with_operator(&self) -> Result<Vec<(String, String)>> {
        let partition = self.target.partition();
        let runbooks = self.manifest.runbook.iter().map(|of| format!("arn:{partition}:ssm:*::document/{}", of.name));
        let roles = format!("arn:{partition}:iam::{}:role/autoremediate-*", self.target.id);
        let theirs = [NETSKOPES_ROLES, "BPR-*TargetRole_*"].map(|of| self.target.role_arn(of));
        let mut allowed = vec![
            json!({"Effect": "Allow", "Action": ["iam:GetRole", "iam:SimulatePrincipalPolicy"],
            "Resource": roles}),
            json!({"Effect": "Allow", "Action": "iam:GetRole", "Resource": theirs}),
        ];
        allowed.extend(runbooks.map(|of| json!({"Effect": "Allow", "Action": "ssm:DescribeDocument", "Resource": of})));
        let trust = self.trust(&[OPERATOR_ROLE], EXTERNAL_ID);
        self.target.make_role(DOCTOR_ROLE, &trust, &allowed.into()).await?;

        self.environment_of(&self.operator().await?).await
    }

    /// The operator's role, and a session of it.
    async fn make_operator(&self) -> Result<SdkConfig> {
        let bucket = format!("arn:{}:s3:::{}", self.central.partition(), self.bucket);
        let theirs = [NETSKOPES_ROLES, "BPR-*LambdaRole_*", "GetNetskopeCSPMResultsLFRole_*"];
        let theirs = theirs.map(|of| self.central.role_arn(of));
        // What modules/central of the Terraform allows.
        let written = [Folder::Plans, Folder::Reports, Folder::Ledgers, Folder::Resources, Folder::Overrides]
            .map(|folder| format!("{bucket}/{}/*", folder.name()));
        let written: Vec<_> = written.into_iter().chain([format!("{bucket}/{PAUSES_KEY}")]).collect();
        let allowed = json!([
            {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetBucketNotification"], "Resource": bucket},
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": format!("{bucket}/*")},
            {"Effect": "Allow", "Action": "s3:PutObject", "Resource": written},
            {"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"],
                "Resource": format!("arn:{}:iam::*:role/autoremediate-*", self.central.partition())},
            {"Effect": "Allow", "Action": "iam:GetRole", "Resource": theirs},
        ]);
        make_session(&self.central, OPERATOR_ROLE, &allowed).await
    }

    /// The trust policy of a role in the target account that lets roles of the central account in.
    pub fn trust(&self, roles: &[&str], external_id: &str) -> Value {
        let arns: Vec<_> = roles.iter().map(|role| self.central.role_arn(role)).collect();
        let principal = json!({"AWS": format!("arn:{}:iam::{}:root", self.central.partition(), self.central.id)});
        // SetSourceIdentity has no external ID: a condition on one would never hold.
        json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal, "Condition": {
                "ArnEquals": {"aws:PrincipalArn": arns}, "StringEquals": {"sts:ExternalId": external_id}}},
            {"Effect": "Allow", "Action": "sts:SetSourceIdentity", "Principal": principal, "Condition": {
                "ArnEquals": {"aws:PrincipalArn": arns}}},
        ]})
    }

    /// The actions of the rule's own role.
    pub fn actions(&self) -> BTreeSet<String> {
        self.manifest.to_fix(self.target.partition()).map(|permission| permission.action.clone()).collect()
    }

    /// The actions that an undo writes with.
    pub fn undo_actions(&self) -> BTreeSet<String> {
        self.manifest.undo.iter().map(|permission| permission.action.clone()).collect()
    }

    /// Takes one permission away from the rule's own role; gives the policies as they were.
    ///
    /// # Errors
    ///
    /// IAM refuses.
    pub async fn take_away(&self, action: &str) -> Result<Vec<(String, Value)>> {
        self.target.take_away(&self.target_role(), action).await
    }

    /// Puts back what [`Organization::take_away`] found.
    ///
    /// # Errors
    ///
    /// IAM refuses.
    pub async fn give_back(&self, policies: Vec<(String, Value)>) -> Result<()> {
        self.target.give_back(&self.target_role(), policies).await
    }

    /// Makes [`Organization::finding`] one of the rule's control of this number, from 0. A subject of the shared table
    /// says so when it makes its resource.
    pub fn choose_control(&self, control: usize) {
        self.control.store(control, Ordering::Relaxed);
    }

    /// A finding of the rule's first control, or of the one that was chosen, in the target account.
    pub fn finding(&self, resource: &str) -> Finding {
        self.finding_of(self.control.load(Ordering::Relaxed), resource)
    }

    /// A finding of the rule's control of this number, from 0, in the target account.
    pub fn finding_of(&self, control: usize, resource: &str) -> Finding {
        Finding {
            control: self.manifest.controls[control].rule_names[0].clone(),
            account: self.target.id.parse().unwrap_or_else(|error| unreachable!("{error}")),
            region: remediation::Region::code(&self.target.region),
            resource: resource.to_owned(),
            first_seen: None,
            last_scanned: None,
        }
    }

    /// A batch of a new run with one finding for each resource.
    pub fn batch(&self, resources: &[&str]) -> Batch {
        self.batch_of(self.control.load(Ordering::Relaxed), resources)
    }

    /// The same of the rule's control of this number, from 0.
    pub fn batch_of(&self, control: usize, resources: &[&str]) -> Batch {
        let id = BatchId { rule: self.manifest.id.clone(), run: RunId::start(), batch: 1 };
        Batch::new(id, resources.iter().map(|resource| self.finding_of(control, resource)).collect())
    }

    /// Runs the rule `R` over a batch, as its Lambda would.
    pub async fn run<R: Rule>(&self, batch: Batch, mode: Mode) -> Report {
        self.run_with::<R>(R::Settings::default(), batch, mode).await
    }

    /// The same with settings of the operator's.
    pub async fn run_with<R: Rule>(&self, settings: R::Settings, batch: Batch, mode: Mode) -> Report {
        self.engine::<R>(settings, batch.id.run).run(batch, mode, Deadline::never()).await.report
    }

    /// The same by an engine that has no time to spare at its deadline, and whose time of day is that of `clock`.
    pub async fn run_under<R: Rule>(&self, batch: Batch, deadline: Deadline, clock: Clock) -> Report {
        let bounds = Bounds { reserve: Duration::ZERO, conclude: Duration::ZERO, ..Bounds::default() };
        let engine = self.engine_with::<R>(R::Settings::default(), batch.id.run, bounds).with_clock(clock);
        engine.run(batch, Mode::Apply, deadline).await.report
    }

    /// Takes back what a run wrote, by its report and the plan that this names, or shows it, as a person would: the rule's
    /// Lambda takes nothing back.
    ///
    /// # Errors
    ///
    /// The report has no plan, or it cannot be read.
    pub async fn undo<R: Rule>(&self, report: &Report, mode: Mode) -> Result<Report> {
        let key = report.plan.as_ref().ok_or("the report has no plan")?.key.clone();
        self.undo_plan::<R>(key, Some(report.clone()), mode).await
    }

    /// The same by the key of the plan; without a report, where the run never came back to store one.
    ///
    /// # Errors
    ///
    /// The plan cannot be read.
    pub async fn undo_plan<R: Rule>(&self, key: String, report: Option<Report>, mode: Mode) -> Result<Report> {
        let records = self.records_with(self.central.s3.clone());
        let plan: Plan<R::Change> = records.get_as(&key).await?;
        let id = BatchId { rule: self.manifest.id.clone(), run: RunId::start(), batch: 1 };
        let exempt_until = Timestamp::now() + SignedDuration::from_hours(24);
        let write = Undo::Write { shown: None, drifted: Drifted::Hold, exempt_until };
        let how = if mode == Mode::Apply { write } else { Undo::Show { drifted: Drifted::Hold } };
        let (manifest, sessions) = (self.manifest.clone(), self.sessions_of(self.operator().await?, id.run));
        let engine = Engine::<R>::new(manifest, R::Settings::default(), sessions, records, Bounds::default())?;
        Ok(engine.undo(id, Taken { key, plan, report, only: Default::default() }, &how, Deadline::never()).await.report)
    }

    /// The plan that a report names.
    ///
    /// # Errors
    ///
    /// The report has no plan, or it cannot be read.
    pub async fn plan<R: Rule>(&self, report: &Report) -> Result<Plan<R::Change>> {
        let key = &report.plan.as_ref().ok_or("the report has no plan")?.key;
        Ok(read(&self.central.object(&self.bucket, key).await?)?)
    }

    fn engine<R: Rule>(&self, settings: R::Settings, run: RunId) -> Engine<R> {
        self.engine_with(settings, run, Bounds { claim: CLAIM, ..Bounds::default() })
    }

    fn engine_with<R: Rule>(&self, settings: R::Settings, run: RunId, bounds: Bounds) -> Engine<R> {
        let (manifest, sessions) = (self.manifest.clone(), self.sessions(run));
        let engine = Engine::new(manifest, settings, sessions, self.records(), bounds);
        engine.unwrap_or_else(|error| unreachable!("{error}"))
    }

    /// Sessions in the target account, as the rule's Lambda has them.
    pub fn sessions(&self, run: RunId) -> Sessions {
        self.sessions_of(self.lambda.clone(), run)
    }

    fn sessions_of(&self, base: SdkConfig, run: RunId) -> Sessions {
        let role = TargetRole { name: self.target_role(), external_id: Some(EXTERNAL_ID.into()) };
        Sessions::new(base, self.manifest.access(role, run))
    }

    /// The configuration of an operator.
    async fn operator(&self) -> Result<SdkConfig> {
        Ok(self.operator.get_or_try_init(|| self.make_operator()).await?.clone())
    }

    /// The rule's client in a session that may write.
    ///
    /// # Errors
    ///
    /// The role cannot be assumed.
    pub async fn write_client<R: Rule>(&self) -> Result<R::Client> {
        self.client::<R>(SessionKind::Write).await
    }

    /// The rule's client in a session that may only read.
    ///
    /// # Errors
    ///
    /// The role cannot be assumed.
    pub async fn read_client<R: Rule>(&self) -> Result<R::Client> {
        self.client::<R>(SessionKind::Read).await
    }

    /// The rule's client in a session of an operator that may take a fix back.
    ///
    /// # Errors
    ///
    /// The role cannot be assumed.
    pub async fn undo_client<R: Rule>(&self) -> Result<R::Client> {
        let sessions = self.sessions_of(self.operator().await?, RunId::start());
        let Finding { account, region, .. } = self.finding("");
        Ok(R::client(&sessions.target(&account, &region, SessionKind::Undo).await?))
    }

    async fn client<R: Rule>(&self, kind: SessionKind) -> Result<R::Client> {
        let Finding { account, region, .. } = self.finding("");
        Ok(R::client(&self.sessions(RunId::start()).target(&account, &region, kind).await?))
    }

    /// What the rule `R` sees of a resource, in a session that may only read.
    ///
    /// # Errors
    ///
    /// The look failed.
    pub async fn look<R: Rule>(
        &self,
        client: &R::Client,
        resource: &str,
    ) -> Result<Seen<R::State>, remediation::Error> {
        R::look(client, &self.finding(resource)).await
    }

    /// What the rule `R` proposes for a resource, and what its guard sees of that, in a session that may only read.
    ///
    /// # Errors
    ///
    /// The role cannot be assumed, or the rule fails.
    pub async fn propose<R: Rule>(&self, settings: R::Settings, resource: &str) -> Result<Proposed<R::Change>> {
        let client = self.read_client::<R>().await?;
        let seen = self.look::<R>(&client, resource).await?;
        let control = &self.manifest.controls[self.control.load(Ordering::Relaxed)];
        let control: R::Control = serde_json::from_value(Value::Object(control.parameters.clone()))?;
        let proposal = R::plan(&seen, &[&control], &settings);
        let looks = R::guard(&settings).is_on() && !proposal.changes.is_empty();
        let sights = if looks { R::impact(&client, &seen, &proposal.changes, &settings).await? } else { Vec::new() };
        Ok(Proposed { proposal, sights })
    }

    /// Whether `arn` has one of the forms that the rule's manifest lists for its resources.
    pub fn is_of_manifest(&self, arn: &str) -> bool {
        let has_form = |form: &String| {
            let form = form.replace("{partition}", self.target.partition()).replace("{region}", &self.target.region);
            let form = form.replace("{account}", &self.target.id);
            let (before, after) = form.split_once("{id}").unwrap_or((&form, ""));
            let id = arn.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
            id.is_some_and(|id| !id.is_empty())
        };
        self.manifest.arns.iter().any(has_form)
    }

    /// The bucket, with the rights of the rule's Lambda.
    pub fn records(&self) -> Records {
        self.records_with(aws_sdk_s3::Client::new(&self.lambda))
    }

    fn records_with(&self, client: aws_sdk_s3::Client) -> Records {
        let owner = self.central.id.parse().unwrap_or_else(|error| unreachable!("{error}"));
        Records::Bucket { client, bucket: self.bucket.clone(), owner, retention: None }
    }

    /// The environment of the rule's Lambda.
    ///
    /// # Errors
    ///
    /// Its session has no credentials.
    pub async fn environment(&self) -> Result<Vec<(String, String)>> {
        self.environment_of(&self.lambda).await
    }

    async fn environment_of(&self, session: &SdkConfig) -> Result<Vec<(String, String)>> {
        let provider = session.credentials_provider().ok_or("the session has no credentials")?;
        let credentials = aws_sdk_s3::config::ProvideCredentials::provide_credentials(&provider).await?;
        let variables = [
            ("AWS_REGION", self.central.region.as_str()),
            ("AWS_ACCESS_KEY_ID", credentials.access_key_id()),
            ("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key()),
            ("AWS_SESSION_TOKEN", credentials.session_token().unwrap_or_default()),
            ("BUCKET", &self.bucket),
            ("BUCKET_OWNER", &self.central.id),
            ("METRICS_NAMESPACE", "autoremediate"),
            ("POLICY_DIGEST", "of-no-policy"),
            ("TARGET_ROLE_NAME", &self.target_role()),
            ("EXTERNAL_ID", EXTERNAL_ID),
            ("REGIONS", &self.target.region),
            ("HOME_REGION", &self.target.region),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(self.product_variables.iter().cloned().chain(variables).collect())
    }

    /// What the emulator's IAM decided on the sessions in the target account, and on the role that was assumed there.
    ///
    /// # Errors
    ///
    /// The emulator does not answer.
    pub async fn decisions(&self) -> Result<Vec<Decision>> {
        let url = format!("{}/_remediation/iam/decisions", self.emulator_url);
        let all: Vec<Value> = serde_json::from_str(&get(&url).await?)?;
        let text = |decision: &Value, field: &str| decision[field].as_str().unwrap_or_default().to_owned();
        let ours = |decision: &&Value| {
            let assumes = text(decision, "resource").contains(&format!("::{}:role/", self.target.id));
            assumes || text(decision, "principal").contains(&format!("::{}:", self.target.id))
        };
        let decision = |of: &Value| Decision {
            principal: text(of, "principal"),
            action: text(of, "action"),
            resource: of["resource"].as_str().map(str::to_owned),
            allowed: of["allowed"].as_bool().unwrap_or_default(),
        };
        Ok(all.iter().filter(ours).map(decision).collect())
    }

    /// The actions that sessions of a role of the target account have called.
    ///
    /// # Errors
    ///
    /// The emulator does not answer.
    pub async fn used(&self, role: &str) -> Result<BTreeSet<String>> {
        let sessions = format!("::{}:assumed-role/{role}/", self.target.id);
        let decisions = self.decisions().await?.into_iter();
        Ok(decisions.filter(|of| of.principal.contains(&sessions)).map(|of| of.action).collect())
    }

    fn lambda_role(&self) -> String {
        lambda_role(&self.manifest, &self.central)
    }

    /// The name of the rule's role in the target account.
    pub fn target_role(&self) -> String {
        format!("autoremediate-{}", self.manifest.id)
    }

    /// The name of the role in the target account that takes a fix back.
    pub fn undo_role(&self) -> String {
        format!("{}{}", self.target_role(), UNDO_ROLE_SUFFIX)
    }

    /// The name of the role that the rule passes on to an AWS service.
    pub fn service_role(&self) -> String {
        format!("{}{}", self.target_role(), SERVICE_ROLE_SUFFIX)
    }
}

fn lambda_role(manifest: &Manifest, central: &Account) -> String {
    format!("autoremediate-{}-{}", manifest.id, central.region)
}

fn policy(manifest: &Manifest) -> Vec<u8> {
    json!({"schema": 1, "rules": {&manifest.id: {"mode": "apply"}}}).to_string().into_bytes()
}

/// The role of the rule's Lambda, and a session of it.
async fn make_lambda_role(central: &Account, manifest: &Manifest, bucket: &str) -> Result<SdkConfig> {
    let (id, arn) = (&manifest.id, format!("arn:{}:s3:::{bucket}", central.partition()));
    // What modules/central of the Terraform allows.
    let objects = |folder: Folder| format!("{arn}/{}*", folder.of(id));
    let written = [Folder::Plans, Folder::Reports, Folder::Ledgers, Folder::Resources];
    let read = [Folder::Findings, Folder::Approvals].into_iter().chain(written).map(objects);
    let read: Vec<_> = read.chain([POLICY_KEY, PAUSES_KEY].map(|key| format!("{arn}/{key}"))).collect();
    let written = written.map(objects);
    // Without a condition: else S3 does not tell that a record is not there.
    let allowed = json!([
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": read},
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": written},
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": arn},
        {"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"],
            "Resource": format!("arn:{}:iam::*:role/autoremediate-{id}", central.partition())},
    ]);
    make_session(central, &lambda_role(manifest, central), &allowed).await
}

/// A role of the central account, and a session of it.
async fn make_session(central: &Account, role: &str, allowed: &Value) -> Result<SdkConfig> {
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"AWS": format!("arn:{}:iam::{}:root", central.partition(), central.id)}}]});
    let role = central.make_role(role, &trust, allowed).await?;
    central.as_role(&role).await
}
