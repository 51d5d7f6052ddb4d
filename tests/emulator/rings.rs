//! Modes by organizational unit, deployed: an organization of four units and a dozen accounts, which the poller reads by a
//! role of the management account, and what the rules make of it when an account moves, when it cannot be read any more,
//! and when what is known is too old.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use remediation::{
    AccountId, Batch, BatchId, Finding, Manifest, ORGANIZATION_KEY, Outcome, Region, Report, Rule, RunId,
};
use rules::s3_public_bucket::S3PublicBucket;
use serde_json::{Value, json};
use testkit::account::{Account, REGION};
use testkit::deployment::{Deployment, Settings};
use testkit::emulator::Emulator;
use testkit::netskope::FakeNetskope;

const PATIENCE: Duration = Duration::from_secs(120);
const READER: &str = "autoremediate-organization-reader";
const ORGANIZATION_EXTERNAL_ID: &str = "the-organizations-external-id";
/// The units, each with the place of the one that it is in; and in which of them each account is.
const UNITS: [(&str, Option<usize>); 4] =
    [("Sandbox", None), ("Workloads", None), ("Production", Some(1)), ("Suspended", None)];
const PLACES: [usize; 12] = [0, 2, 3, 0, 1, 1, 2, 2, 0, 3, 1, 0];
/// Accounts by their places in the list: one of each ring that the test acts in, one without our roles, the central one.
const SANDBOX: usize = 0;
const PRODUCTION: usize = 1;
const SUSPENDED: usize = 2;
const WITHOUT_ROLES: usize = 3;
const CENTRAL: usize = 4;

struct Rings {
    emulator: &'static Emulator,
    management: Account,
    root: String,
    units: Vec<String>,
    members: Vec<Account>,
    deployment: Deployment,
    _netskope: FakeNetskope,
}

#[tokio::test]
async fn a_mode_goes_by_the_unit_that_an_account_is_in() {
    let rings = Rings::deploy().await;
    rings.reads_the_organization().await;
    rings.keeps_to_each_rings_mode().await;
    rings.follows_an_account_that_moves().await;
    rings.keeps_what_it_knows_when_it_cannot_be_read().await;
    rings.holds_what_is_too_old().await;
}

impl Rings {
    async fn deploy() -> Self {
        let emulator = Emulator::shared().await.unwrap();
        let management = Account::fresh(emulator);
        let (root, units) = management.make_units(emulator, &UNITS).await.unwrap();
        let mut members = Vec::new();
        for (number, place) in PLACES.into_iter().enumerate() {
            // The role of the usual name is the deployment's to make.
            let (role, to) = (Some("MadeByOrganizations"), (root.as_str(), units[place].as_str()));
            let id = management.make_member(emulator, number, role, to).await.unwrap();
            members.push(Account::new(emulator, &id));
        }
        let central = members[CENTRAL].id.clone();
        make_reader(&management, &central).await;
        let netskope = FakeNetskope::start("a-token").await;
        netskope.set_rows(Vec::new());
        let settings = Settings {
            central,
            regions: vec![vec![REGION.into()]],
            targets: [SANDBOX, PRODUCTION, SUSPENDED].map(|place| members[place].id.clone()).into(),
            policy: json!({"mode": "plan", "overrides": [
                {"organizational_units": ["Sandbox"], "mode": "apply"},
                {"organizational_units": ["Workloads"], "mode": "approve"},
                {"organizational_units": [units[3]], "mode": "off"}]}),
            netskope: netskope.url(),
            token: "a-token".into(),
        };
        let role = format!("arn:aws:iam::{}:role/{READER}", management.id);
        let organization = json!({"reader_role_arn": role, "external_id": ORGANIZATION_EXTERNAL_ID}).to_string();
        let deployment = Deployment::apply_with(emulator, settings, &[("organization", &organization)]).await.unwrap();
        deployment.done(PATIENCE).await.unwrap();
        Self { emulator, management, root, units, members, deployment, _netskope: netskope }
    }

    async fn reads_the_organization(&self) {
        let stored = self.stored().await;
        let read = &stored["organization"];
        assert_eq!((&read["root"], read["units"].as_object().unwrap().len()), (&json!(self.root), 4), "{stored}");
        assert_eq!(read["units"][&self.units[2]], json!({"name": "Production", "parent": self.units[1]}));
        for (member, place) in self.members.iter().zip(PLACES) {
            assert_eq!(read["accounts"][&member.id]["parent"], json!(self.units[place]), "{stored}");
        }
        assert_eq!(read["accounts"].as_object().unwrap().len(), PLACES.len() + 1, "and the management account");
        assert_eq!(self.deployment.home().failures().await.unwrap(), 0);
    }

    async fn keeps_to_each_rings_mode(&self) {
        let stranger = Account::fresh(self.emulator);
        let accounts = [SANDBOX, PRODUCTION, SUSPENDED, WITHOUT_ROLES].map(|place| &self.members[place]);
        let report = self.run("modes", &[&accounts[..], &[&stranger]].concat()).await;
        let rows: Vec<_> =
            report.findings.iter().map(|row| (row.outcome, row.detail.clone().unwrap_or_default())).collect();
        assert_eq!(rows[0].0, Outcome::Fixed, "{rows:?}");
        assert_eq!(rows[1], (Outcome::Held, "needs an approval: the mode is approve".into()));
        assert_eq!(rows[2], (Outcome::Held, "the rule's mode is off".into()));
        assert!(rows[3].0 == Outcome::Failed && rows[3].1.contains("sts:AssumeRole"), "{rows:?}");
        assert!(rows[4].0 == Outcome::Held && rows[4].1.contains("was not in the organization"), "{rows:?}");
        assert!(rows[4].1.contains("the mode is off, the smallest of those"), "{rows:?}");
    }

    async fn follows_an_account_that_moves(&self) {
        let moved = &self.members[PRODUCTION];
        let moves =
            json!({"AccountId": moved.id, "SourceParentId": self.units[2], "DestinationParentId": self.units[0]});
        self.management.organizations(self.emulator, "MoveAccount", moves).await.unwrap();
        // What is known is good until it is read again.
        self.poll().await.unwrap();
        assert_eq!(self.run("before", &[moved]).await.count(Outcome::Held), 1);
        self.age(SignedDuration::from_hours(7)).await;
        self.poll().await.unwrap();
        assert_eq!(self.stored().await["organization"]["accounts"][&moved.id]["parent"], json!(self.units[0]));
        assert_eq!(self.run("after", &[moved]).await.count(Outcome::Fixed), 1);
    }

    async fn keeps_what_it_knows_when_it_cannot_be_read(&self) {
        self.management.take_away(READER, "organizations:ListAccountsForParent").await.unwrap();
        self.age(SignedDuration::from_hours(7)).await;
        let known = self.stored().await["organization"].clone();
        let failed = self.poll().await.unwrap_err();
        assert!(failed.contains("organizations:ListAccountsForParent: AccessDenied"), "{failed}");
        assert!(failed.contains("the poll is done, but the organization could not be read again"), "{failed}");
        let stored = self.stored().await;
        assert_eq!(stored["organization"], known);
        assert!(stored["refreshing_until"].is_string(), "{stored}");
        assert_eq!(self.run("known", &[&self.members[SANDBOX]]).await.count(Outcome::Fixed), 1);
        // It is not tried again at once.
        self.poll().await.unwrap();
    }

    async fn holds_what_is_too_old(&self) {
        self.age(SignedDuration::from_hours(24 * 8)).await;
        let report = self.run("old", &[&self.members[SANDBOX]]).await;
        let detail = report.findings[0].detail.clone().unwrap_or_default();
        assert!(report.findings[0].outcome == Outcome::Held && detail.contains("counts for 7 day(s)"), "{report:?}");
    }

    async fn stored(&self) -> Value {
        let home = self.deployment.home();
        home.account.json(&home.bucket, ORGANIZATION_KEY).await.unwrap()
    }

    /// Makes what is stored older, and nobody at it.
    async fn age(&self, by: SignedDuration) {
        let (home, mut stored) = (self.deployment.home(), self.stored().await);
        stored["organization"]["read_at"] = json!(Timestamp::now() - by);
        stored["refreshing_until"] = Value::Null;
        home.account.put(&home.bucket, ORGANIZATION_KEY, stored.to_string().into_bytes()).await.unwrap();
    }

    async fn poll(&self) -> Result<Value, String> {
        self.deployment.home().poll_for("s3-public-bucket", PATIENCE).await.unwrap()
    }

    /// What becomes of one open bucket in each of the accounts.
    async fn run(&self, name: &str, accounts: &[&Account]) -> Report {
        let manifest = Manifest::from_json(S3PublicBucket::MANIFEST).unwrap();
        let mut findings = Vec::new();
        for account in accounts {
            let bucket = format!("{name}-{}", account.id);
            account.make_bucket(&bucket, Some([false; 4])).await.unwrap();
            findings.push(Finding {
                control: manifest.controls[0].rule_names[0].clone(),
                account: account.id.parse::<AccountId>().unwrap(),
                region: Region::code(REGION),
                resource: bucket,
                first_seen: None,
                last_scanned: None,
            });
        }
        let id = BatchId { rule: manifest.id, run: RunId::start(), batch: 1 };
        let (batch, home) = (Batch::new(id, findings), self.deployment.home());
        let bytes = batch.to_ndjson().unwrap();
        home.account.put(&home.bucket, &batch.id.findings_key(), bytes).await.unwrap();
        let report = home.report(&batch.id, PATIENCE).await.unwrap();
        assert_eq!(report.findings.len(), accounts.len(), "{report:?}");
        report
    }
}

/// The role of the management account, as modules/organization-reader of the Terraform makes it.
async fn make_reader(management: &Account, central: &str) {
    let pollers = format!("arn:aws:iam::{central}:role/autoremediate-poller-*-*-*");
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"AWS": format!("arn:aws:iam::{central}:root")}, "Condition": {
            "ArnLike": {"aws:PrincipalArn": pollers},
            "StringEquals": {"sts:ExternalId": ORGANIZATION_EXTERNAL_ID}}}]});
    let of = |kind: &str| format!("arn:aws:organizations::{}:{kind}/o-*/*", management.id);
    let allowed = json!([
        {"Effect": "Allow", "Action": ["organizations:DescribeOrganization", "organizations:ListRoots"], "Resource": "*"},
        {"Effect": "Allow", "Resource": [of("ou"), of("root")],
            "Action": ["organizations:ListAccountsForParent", "organizations:ListOrganizationalUnitsForParent"]},
        {"Effect": "Allow", "Action": ["organizations:ListTagsForResource"], "Resource": [of("account")]},
    ]);
    management.make_role(READER, &trust, &allowed).await.unwrap();
}
