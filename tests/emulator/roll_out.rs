//! A roll-out as the README tells it, with its own commands and files: an organization of four units and twelve accounts,
//! one deployment for three regions, ring after ring, paused half way. One account has no roles, and one is the central
//! account, to which both root modules are applied.

use std::fs;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use remediation::{BatchId, Outcome, Report};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::account::Account;
use testkit::central::Central;
use testkit::deployment::{Environment, lay_out};
use testkit::emulator::Emulator;
use testkit::netskope::{FakeNetskope, display_name, row};
use testkit::paths;
use tokio::process::Command;

const PATIENCE: Duration = Duration::from_secs(120);
const RULE: &str = "s3-public-bucket";
const CONTROL: &str = "Ensure S3 Bucket is not publicly accessible.";
/// The first is that of the deployment, and the home region.
const REGIONS: [&str; 3] = ["eu-west-1", "us-east-1", "ap-southeast-2"];
const OPEN: [bool; 4] = [false; 4];
const FIXED: [bool; 4] = [false, true, false, true];
/// The units, each with the place of the one that it is in; and in which of them each account is.
const UNITS: [(&str, Option<usize>); 4] =
    [("Infrastructure", None), ("Sandbox", None), ("Workloads", None), ("Production", Some(2))];
const PLACES: [usize; 12] = [0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3];
/// The central account, which is a target, too; one of a workload, which has no roles of ours; where each ring ends.
const CENTRAL: usize = 0;
const WITHOUT_ROLES: usize = 5;
const SANDBOX: std::ops::Range<usize> = 1..4;
const WORKLOADS: std::ops::Range<usize> = 4..8;
/// People, by their roles, with the managed policy that is attached to each.
const PEOPLE: [(&str, &str); 2] = [("security-engineer", "operator"), ("on-call", "pauser")];
const TOKEN: &str = "a-token";

struct RollOut {
    folder: TempDir,
    emulator: &'static Emulator,
    management: Account,
    accounts: Vec<Account>,
    home: Central,
    scope: String,
    netskope: FakeNetskope,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_leads_from_nothing_to_the_second_ring_and_back() {
    let of = RollOut::found().await;
    of.makes_the_roles_of_all_accounts_but_one().await;
    of.plans_everywhere_and_writes_nowhere().await;
    of.doctor_finds_everything_in_place_but_in_that_account().await;
    of.fixes_the_first_ring().await;
    of.is_paused_before_the_second_and_goes_on_with_it().await;
    of.reports_what_became_of_all().await;
    of.takes_back_what_it_did_in_the_central_account().await;
    of.leaves_nothing_in_the_central_account().await;
}

impl RollOut {
    /// An organization in which every account has an open bucket, and a copy of what is to be applied.
    async fn found() -> Self {
        let emulator = Emulator::shared().await.unwrap();
        let management = Account::fresh(emulator);
        let (root, units) = management.make_units(emulator, &UNITS).await.unwrap();
        let scope = management.organization_id(emulator).await.unwrap();
        let netskope = FakeNetskope::start(TOKEN).await;
        let (mut accounts, mut rows) = (Vec::new(), Vec::new());
        for (number, place) in PLACES.into_iter().enumerate() {
            let id = management.make_member(emulator, number, None, (&root, &units[place])).await.unwrap();
            let account = Account::new(emulator, &id).in_region(REGIONS[number % REGIONS.len()]);
            account.make_bucket(&bucket(&account), Some(OPEN)).await.unwrap();
            rows.push(row(CONTROL, &id, display_name(&account.region).unwrap(), &bucket(&account)));
            accounts.push(account);
        }
        netskope.set_rows(rows);
        let folder = tempfile::Builder::new().prefix("roll-out-").tempdir().unwrap();
        lay_out(folder.path()).await.unwrap();
        let home = Central::of(accounts[CENTRAL].in_region(REGIONS[0]));
        for account in [&management, &home.account] {
            account.make_role("admin", &trust(&account.id), &json!([all()])).await.unwrap();
        }
        for (person, _) in PEOPLE {
            home.account.make_role(person, &trust(&home.account.id), &json!([nothing()])).await.unwrap();
        }
        Self { folder, emulator, management, accounts, home, scope, netskope }
    }

    async fn makes_the_roles_of_all_accounts_but_one(&self) {
        let ids = self.accounts.iter().enumerate().filter(|(place, _)| *place != WITHOUT_ROLES);
        let ids: Vec<_> = ids.map(|(_, account)| account.id.as_str()).collect();
        fs::write(self.folder.path().join("accounts.txt"), ids.join("\n")).unwrap();
        let example = fs::read_to_string(self.targets().join("example.tfvars")).unwrap();
        let edited = example.replace("111111111111", &self.home.account.id) + &format!("\nrules = [\"{RULE}\"]\n");
        fs::write(self.targets().join("targets.tfvars"), edited).unwrap();
        let said = self.each_account("apply", "accounts.txt").await;
        assert!(
            said.contains("each-account: apply of 11 accounts in") && said.contains(": 11 done, 0 failed"),
            "{said}"
        );
    }

    async fn plans_everywhere_and_writes_nowhere(&self) {
        // The second of the three ways to read the organization.
        let readme = fs::read_to_string(paths::repository().join("README.md")).unwrap();
        let policy =
            readme.split_once("{\"Version\": \"2012-10-17\", \"Statement\": [{\"Sid\": \"AutoremediateReads\"");
        let (_, rest) = policy.unwrap();
        let rest = rest.split_once("}]}").unwrap().0.replace("111111111111", &self.home.account.id);
        let policy =
            format!("{{\"Version\": \"2012-10-17\", \"Statement\": [{{\"Sid\": \"AutoremediateReads\"{rest}}}]}}");
        let asked = json!({"Content": policy});
        self.management.organizations(self.emulator, "PutResourcePolicy", asked).await.unwrap();

        self.terraform(&["init", "-input=false"]).await;
        self.terraform(&["workspace", "select", "-or-create", REGIONS[0]]).await;
        self.apply_with(&[]).await;
        for (person, kind) in PEOPLE {
            let policy = format!("arn:aws:iam::{}:policy/autoremediate-{kind}-{}", self.home.account.id, REGIONS[0]);
            self.home.account.iam.attach_role_policy().role_name(person).policy_arn(policy).send().await.unwrap();
        }
        let report = self.poll().await;
        assert_eq!((report.count(Outcome::Planned), report.count(Outcome::Failed)), (11, 1), "{report:?}");
        let [problem] = &report.accounts[..] else { panic!("{report:?}") };
        assert_eq!(problem.account.to_string(), self.accounts[WITHOUT_ROLES].id);
        assert!(problem.reason.contains("sts:AssumeRole"), "{problem:?}");
        self.are_fixed(&[]).await;
    }

    async fn doctor_finds_everything_in_place_but_in_that_account(&self) {
        let file = self.folder.path().join("accounts.txt").display().to_string();
        let (records, regions) = (self.records(), REGIONS.join(","));
        let look = ["doctor", "--rule", RULE, "--records", &records, "--regions", &regions];
        let (code, said) = self.run("security-engineer", &[&look[..], &["--accounts-file", &file]].concat()).await;
        assert_eq!(code, 0, "{said}");
        let without = &self.accounts[WITHOUT_ROLES].id;
        let (code, said) = self.run("security-engineer", &[&look[..], &["--account", without]].concat()).await;
        assert!(code == 1 && said.contains(&format!("apply terraform/deploy/targets for account {without}")), "{said}");
    }

    async fn fixes_the_first_ring(&self) {
        self.apply_with(&["Infrastructure", "Sandbox"]).await;
        let report = self.poll().await;
        let counts = [Outcome::Fixed, Outcome::Planned, Outcome::Failed].map(|of| report.count(of));
        assert_eq!(counts, [4, 7, 1], "{report:?}");
        self.are_fixed(&[&[CENTRAL], &places(SANDBOX)[..]].concat()).await;
    }

    async fn is_paused_before_the_second_and_goes_on_with_it(&self) {
        let records = self.records();
        let (code, said) = self.run("on-call", &["pause", "--records", &records, "--reason", "TICKET-1"]).await;
        assert_eq!(code, 0, "{said}");
        self.apply_with(&["Infrastructure", "Sandbox", "Workloads"]).await;
        assert_eq!(self.poll().await.count(Outcome::Held), 12);
        self.are_fixed(&[&[CENTRAL], &places(SANDBOX)[..]].concat()).await;
        let (code, said) = self.run("on-call", &["resume", "--records", &records, "--all"]).await;
        assert_eq!(code, 0, "{said}");
        let report = self.poll().await;
        assert_eq!((report.count(Outcome::Fixed), report.count(Outcome::Failed)), (3, 1), "{report:?}");
        self.are_fixed(&[&[CENTRAL], &places(SANDBOX)[..], &places(WORKLOADS)[..]].concat()).await;
    }

    async fn reports_what_became_of_all(&self) {
        let (code, said) =
            self.run("security-engineer", &["report", "--records", &self.records(), "--days", "2", "--json"]).await;
        let shown: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{code} {said}"));
        let totals = &shown["totals"];
        // What was paused and is planned again is open, and held no more.
        let counts = ["findings", "open", "held", "failed", "fixed"].map(|name| totals[name].as_u64());
        assert_eq!(counts, [Some(12), Some(4), Some(0), Some(1), Some(7)], "{totals}");
    }

    /// As any other target account.
    async fn takes_back_what_it_did_in_the_central_account(&self) {
        let keys = self.home.account.keys(&self.home.bucket, &format!("reports/{RULE}/")).await.unwrap();
        // The second run, in plan mode the first.
        let report = format!("s3://{}/{}", self.home.bucket, keys[1]);
        let id = &self.home.account.id;
        let (code, said) = self.run("security-engineer", &["undo", &report, "--account", id, "--yes"]).await;
        assert!(code == 0 && said.contains("1 finding: 1 undone"), "{code} {said}");
        self.are_fixed(&[&places(SANDBOX)[..], &places(WORKLOADS)[..]].concat()).await;
    }

    async fn leaves_nothing_in_the_central_account(&self) {
        let settings = ["-input=false", "-auto-approve", "-var-file=central.tfvars", "-var=force_destroy=true"];
        for action in ["apply", "destroy"] {
            self.terraform(&[&[action], &settings[..]].concat()).await;
        }
        // The roles of the target account are still there, and go by themselves.
        assert!(self.roles().await.contains(&format!("autoremediate-{RULE}")));
        fs::write(self.folder.path().join("central.txt"), &self.home.account.id).unwrap();
        let said = self.each_account("destroy", "central.txt").await;
        assert!(said.contains(": 1 done, 0 failed"), "{said}");
        assert_eq!(self.roles().await, Vec::<String>::new());
    }

    fn targets(&self) -> PathBuf {
        self.folder.path().join("terraform/deploy/targets")
    }

    fn records(&self) -> String {
        format!("s3://{}", self.home.bucket)
    }

    /// Applies the central deployment, in mode `apply` for these units.
    async fn apply_with(&self, units: &[&str]) {
        let mut rings: Vec<_> =
            units.iter().map(|unit| json!({"organizational_units": [unit], "mode": "apply"})).collect();
        rings.push(json!({"organizational_units": ["Workloads/Production"], "mode": "plan"}));
        let policy = json!({"mode": "plan", "overrides": rings, "scope": {"organization": self.scope}});
        let (id, endpoint) = (&self.home.account.id, self.netskope.url());
        let role = |name: &str| json!([format!("arn:aws:iam::{id}:role/{name}")]);
        let settings = [
            ("region", json!(REGIONS[0])),
            ("regions", json!(REGIONS)),
            ("home_region", json!(REGIONS[0])),
            ("netskope_tenant", json!("acme.goskope.com")),
            ("netskope_endpoint", json!(endpoint)),
            ("external_id", json!("autoremediate-5f1c0c7e")),
            ("rules", json!([RULE])),
            ("architecture", json!(if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" })),
            // When the test says, and not by itself.
            ("schedule", json!("cron(0 0 1 1 ? 2199)")),
            ("organization", json!({})),
            ("policy", policy),
            ("operator_role_arns", role("security-engineer")),
            ("pauser_role_arns", role("on-call")),
            ("policy_writer_role_arns", role("admin")),
        ];
        let lines = settings.map(|(name, value)| format!("{name} = {value}\n")).concat();
        fs::write(self.folder.path().join("terraform/deploy/central/central.tfvars"), lines).unwrap();
        self.terraform(&["apply", "-input=false", "-auto-approve", "-var-file=central.tfvars"]).await;
    }

    /// Polls, and waits for the report of the one batch.
    async fn poll(&self) -> Report {
        let answer = self.home.poll_for(RULE, PATIENCE).await.unwrap().unwrap();
        assert_eq!(answer["batches"], 1, "{answer}");
        let run = text(&answer["run"]).parse().unwrap();
        self.home.report(&BatchId { rule: RULE.into(), run, batch: 1 }, PATIENCE).await.unwrap()
    }

    /// Whether these buckets are fixed, and all others are as they were.
    async fn are_fixed(&self, places: &[usize]) {
        for (place, account) in self.accounts.iter().enumerate() {
            let is_fixed = places.contains(&place) && place != WITHOUT_ROLES;
            let block = account.public_access_block(&bucket(account)).await.unwrap();
            assert_eq!(block, Some(if is_fixed { FIXED } else { OPEN }), "{place}");
        }
    }

    /// The names of our roles in the central account.
    async fn roles(&self) -> Vec<String> {
        let pages = self.home.account.iam.list_roles().into_paginator().items().send();
        let roles = pages.collect::<Result<Vec<_>, _>>().await.unwrap();
        roles.into_iter().map(|role| role.role_name).filter(|name| name.starts_with("autoremediate-")).collect()
    }

    /// What a person's command line comes to, and says.
    async fn run(&self, person: &str, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(paths::binary("autoremediate").unwrap());
        command.args(arguments).env("EXTERNAL_ID", "autoremediate-5f1c0c7e");
        let output = self.output(command, self.session(&self.home.account, person).await).await;
        (output.status.code().unwrap(), said(&output))
    }

    async fn terraform(&self, arguments: &[&str]) {
        let mut command = Command::new(std::env::var_os("TERRAFORM").unwrap_or_else(|| "terraform".into()));
        command.args(arguments).current_dir(self.folder.path().join("terraform/deploy/central"));
        command.env("TF_VAR_netskope_token", TOKEN);
        let output = self.output(command, self.session(&self.home.account, "admin").await).await;
        assert!(output.status.success(), "terraform {arguments:?}: {}", said(&output));
    }

    /// By the role that Organizations has made in each account for the management account.
    async fn each_account(&self, action: &str, file: &str) -> String {
        let mut command = Command::new(self.targets().join("each-account"));
        command.arg(action).arg(self.folder.path().join(file)).args(["-var-file=targets.tfvars", "-auto-approve"]);
        command.env("JOBS", "3");
        let output = self.output(command, self.session(&self.management, "admin").await).await;
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    }

    async fn session(&self, account: &Account, role: &str) -> Environment {
        let mut session = account.session(&account.role_arn(role)).await.unwrap();
        session.extend(self.emulator.variables());
        session
    }

    async fn output(&self, mut command: Command, session: Environment) -> Output {
        for ambient in ["TF_WORKSPACE", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE"] {
            command.env_remove(ambient);
        }
        command.env("TF_IN_AUTOMATION", "1").env("AWS_EC2_METADATA_DISABLED", "true").envs(session);
        command.env("AWS_REGION", REGIONS[0]).kill_on_drop(true).output().await.unwrap()
    }
}

fn bucket(account: &Account) -> String {
    format!("rolled-out-{}", account.id)
}

fn places(of: std::ops::Range<usize>) -> Vec<usize> {
    of.collect()
}

fn trust(account: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"AWS": format!("arn:aws:iam::{account}:root")}}]})
}

fn all() -> Value {
    json!({"Effect": "Allow", "Action": "*", "Resource": "*"})
}

/// A policy needs a statement.
fn nothing() -> Value {
    json!({"Effect": "Deny", "Action": "none:Nothing", "Resource": "*"})
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}
