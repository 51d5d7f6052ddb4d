//! Records of a make-believe deployment: findings in many accounts, with outcomes such as a deployment's first weeks have.
//!
//! Most findings are fixed at their first or second poll; some wait for a person, some fail, and a few are fixed again, or
//! taken back. No name in them is anybody's.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use remediation::{
    Approval, Approved, BatchId, Finding, Manifest, Mode, Outcome, REPORT_SCHEMA, Records, Region, Report,
    ReportedFinding, Resource, RunId, Scope, StoredPlan, Verification,
};
use serde_json::json;
use uuid::{NoContext, Uuid};

use crate::{Result, manifests};

const SEED: u64 = 15;
/// So many findings are in a batch, as the poller has it.
const BATCH: usize = 200;
const REGIONS: [&str; 6] = ["eu-central-1", "eu-west-1", "us-east-1", "us-west-2", "ap-southeast-2", "sa-east-1"];
const APPROVER: &str = "arn:aws:sts::111111111111:assumed-role/approver/dana";
const HOLDS: [&str; 3] = [
    "a guard holds it: the key was used 3 days ago",
    "the plan waits for an approval",
    "it serves a website: the guard holds it until a person approves",
];
const FAILS: [&str; 2] = [
    "sts:AssumeRole: AccessDenied: the role autoremediate is not there: apply terraform/deploy/targets",
    "ec2:RevokeSecurityGroupIngress: UnauthorizedOperation: a service control policy denies it",
];

/// How much there is of everything.
#[derive(Debug, Clone, Copy)]
pub struct Samples {
    /// How many findings.
    pub findings: u32,
    /// In how many accounts.
    pub accounts: u32,
    /// Over how many days.
    pub days: u32,
    /// The last of them, in UTC.
    pub to: Date,
}

/// What happens to a finding on a day after its first.
struct Row {
    day: u32,
    /// The plan is one that a person has approved.
    approved: bool,
    undo: bool,
    row: ReportedFinding,
}

impl Samples {
    /// Writes the records.
    ///
    /// # Errors
    ///
    /// A manifest cannot be read, or a record not be written.
    pub async fn write(&self, records: &Records) -> Result<()> {
        let mut chance = StdRng::seed_from_u64(SEED);
        let manifests = manifests()?;
        let mut rows: Vec<Vec<Row>> = manifests.iter().map(|_| Vec::new()).collect();
        for number in 0..self.findings {
            // Rules that find much and rules that find little
            let rule = (chance.random_range(0..64_usize).isqrt()).min(manifests.len() - 1);
            let finding = self.finding(&manifests[rule], number, &mut chance)?;
            rows[rule].extend(self.life(&manifests[rule], number, finding, &mut chance)?);
        }
        for (manifest, rows) in manifests.iter().zip(rows) {
            self.store(records, manifest, rows, &mut chance).await?;
        }
        Ok(())
    }

    fn finding(&self, manifest: &Manifest, number: u32, chance: &mut StdRng) -> Result<Finding> {
        let control = &manifest.controls[chance.random_range(0..manifest.controls.len())];
        // Some accounts have many findings, most have few
        let account = chance.random_range(0..self.accounts).min(chance.random_range(0..self.accounts));
        let region = match manifest.scope {
            Scope::Global => Region::global(),
            _ => {
                Region::code(REGIONS[chance.random_range(0..REGIONS.len()).min(chance.random_range(0..REGIONS.len()))])
            }
        };
        let first_seen = self.noon(0)? - SignedDuration::from_hours(chance.random_range(10..900));
        Ok(Finding {
            control: control.rule_names[0].clone(),
            account: format!("{:012}", 200_000_000_001 + u64::from(account) * 3_115_226_337).parse()?,
            region,
            resource: name(&manifest.id, number),
            first_seen: Some(first_seen),
            last_scanned: None,
        })
    }

    /// What becomes of a finding, day by day.
    fn life(&self, manifest: &Manifest, number: u32, finding: Finding, chance: &mut StdRng) -> Result<Vec<Row>> {
        let last = self.days - 1;
        // The backlog comes first, and the days after it bring less
        let first = chance.random_range(0..self.days).min(chance.random_range(0..self.days));
        let next = (first + chance.random_range(1..4)).min(last);
        let of = |day, outcome, detail: Option<&str>| -> Result<Row> {
            let row = self.row(manifest, number, &finding, day, outcome, detail)?;
            Ok(Row { day, approved: false, undo: outcome == Outcome::Undone, row })
        };
        let chosen = chance.random_range(0..100);
        let hold = HOLDS[number as usize % HOLDS.len()];
        let fail = FAILS[number as usize % FAILS.len()];
        let why = "no time was left to plan it; the next poll will";
        Ok(match chosen {
            0..46 => vec![of(first, Outcome::Fixed, None)?],
            46..58 => vec![of(first, Outcome::Planned, None)?, of(next, Outcome::Fixed, None)?],
            58..66 => vec![of(first, Outcome::Deferred, Some(why))?, of(next, Outcome::Fixed, None)?],
            66..76 => vec![of(first, Outcome::Held, Some(hold))?, of(next, Outcome::Held, Some(hold))?],
            76..80 => {
                let fixed = Row { approved: true, ..of(next, Outcome::Fixed, None)? };
                vec![of(first, Outcome::Held, Some(hold))?, fixed]
            }
            80..84 => vec![of(first, Outcome::Failed, Some(fail))?, of(next, Outcome::Failed, Some(fail))?],
            84..86 => vec![of(first, Outcome::Unverified, Some("a fresh look still finds it open"))?],
            86..91 => vec![of(first, Outcome::Planned, None)?],
            91..93 if next > first => vec![of(first, Outcome::Fixed, None)?, of(next, Outcome::Undone, None)?],
            91..95 => vec![of(first, Outcome::Exempt, Some("exempt until 2027-01-31: TICKET-4711"))?],
            _ => vec![of(first, Outcome::AlreadyCompliant, None)?],
        })
    }

    fn row(
        &self,
        manifest: &Manifest,
        number: u32,
        finding: &Finding,
        day: u32,
        outcome: Outcome,
        detail: Option<&str>,
    ) -> Result<ReportedFinding> {
        let is_written = matches!(outcome, Outcome::Fixed | Outcome::Undone | Outcome::Unverified);
        let has_changes = is_written || matches!(outcome, Outcome::Planned | Outcome::Held);
        let (change, action) = change(&manifest.id, number);
        let verification = (is_written && outcome != Outcome::Unverified).then(|| -> Result<_> {
            Ok(Verification {
                at: self.noon(day)? + SignedDuration::from_secs(48),
                looks: 1,
                actions: vec![action.into()],
            })
        });
        let (service, kind) = arn(&manifest.id);
        let region = if finding.region.is_global() { "" } else { finding.region.as_ref() };
        let arn = format!("arn:aws:{service}:{region}:{}:{kind}{}", finding.account, finding.resource);
        Ok(ReportedFinding {
            resource: Some(Resource::of_arn("sample", arn, finding.resource.clone())?),
            detail: detail.map(str::to_owned),
            changes: if has_changes { vec![change] } else { Vec::new() },
            written: usize::from(is_written),
            took: if is_written { vec![0] } else { Vec::new() },
            verification: verification.transpose()?,
            ..ReportedFinding::unwritten(finding.clone(), outcome, None)
        })
    }

    async fn store(&self, records: &Records, manifest: &Manifest, rows: Vec<Row>, chance: &mut StdRng) -> Result<()> {
        let mut kinds: std::collections::BTreeMap<(u32, bool, bool), Vec<ReportedFinding>> = Default::default();
        for Row { day, approved, undo, row } in rows {
            kinds.entry((day, approved, undo)).or_default().push(row);
        }
        for ((day, approved, undo), rows) in kinds {
            let started = self.noon(day)?;
            let run = run(started, chance)?;
            for (number, rows) in rows.chunks(BATCH).enumerate() {
                let id = BatchId { rule: manifest.id.clone(), run, batch: u32::try_from(number)? + 1 };
                let plan = StoredPlan { key: id.plan_key(), digest: "0".repeat(64) };
                let mut report = Report::done(id, Mode::Apply, started, rows.to_vec(), Vec::new());
                report.finished = started + SignedDuration::from_secs(60);
                report.undoes = undo.then(|| plan.key.clone());
                if approved {
                    let mut approval =
                        Approval::new(&report.id, &plan.key, &plan.digest, APPROVER.into(), "TICKET-4711".into());
                    approval.approved = started - SignedDuration::from_mins(7);
                    report.approval = Some(Approved { approval, stored_by: Some("AWS:AROAEXAMPLE:dana".into()) });
                }
                report.plan = Some(plan);
                assert_eq!(report.schema, REPORT_SCHEMA);
                records.create(&report.id.report_key(), serde_json::to_vec(&report)?).await?;
            }
        }
        Ok(())
    }

    /// Noon of a day, counted from the first.
    fn noon(&self, day: u32) -> Result<Timestamp> {
        let back = i64::from(self.days) - 1 - i64::from(day);
        let date = self.to.checked_sub(jiff::Span::new().days(back))?;
        Ok(date.at(12, 0, 0, 0).to_zoned_datetime(TimeZone::UTC)?.timestamp())
    }
}

fn run(started: Timestamp, chance: &mut StdRng) -> Result<RunId> {
    let seconds = u64::try_from(started.as_second())?;
    let stamp = uuid::Timestamp::from_unix(NoContext, seconds, chance.random_range(0..1_000_000_000));
    let mut bytes = *Uuid::new_v7(stamp).as_bytes();
    // The version and the time stay, and chance is that of the seed.
    chance.fill(&mut bytes[9..]);
    Ok(serde_json::from_value(json!(Uuid::from_bytes(bytes)))?)
}

fn name(rule: &str, number: u32) -> String {
    let kind = ["web", "billing", "logs", "data-lake", "ci", "legacy", "staging", "archive"][number as usize % 8];
    match rule {
        "security-group-open-admin-port" => format!("sg-0{number:016x}"),
        "network-acl-open-ingress" => format!("acl-0{number:016x}"),
        "vpc-without-flow-logs" => format!("vpc-0{number:016x}"),
        "iam-stale-access-key" => format!("{kind}-deploy-{number}"),
        _ => format!("{kind}-{number:05}"),
    }
}

/// The service, and what stands before the name in an ARN.
fn arn(rule: &str) -> (&'static str, &'static str) {
    match rule {
        "security-group-open-admin-port" => ("ec2", "security-group/"),
        "network-acl-open-ingress" => ("ec2", "network-acl/"),
        "vpc-without-flow-logs" => ("ec2", "vpc/"),
        "iam-stale-access-key" => ("iam", "user/"),
        "rds-public-snapshot" => ("rds", "snapshot:"),
        "redshift-public-cluster" => ("redshift", "cluster:"),
        "cloudtrail-unvalidated-logs" => ("cloudtrail", "trail/"),
        _ => ("s3", "bucket/"),
    }
}

/// A change in a line, and the call that proves it.
fn change(rule: &str, number: u32) -> (String, &'static str) {
    match rule {
        "security-group-open-admin-port" => {
            (format!("revoke sgr-0{number:016x}: tcp 22 from 0.0.0.0/0"), "ec2:DescribeSecurityGroupRules")
        }
        "network-acl-open-ingress" => {
            ("delete inbound entry 100: all traffic from 0.0.0.0/0".into(), "ec2:DescribeNetworkAcls")
        }
        "vpc-without-flow-logs" => {
            ("create a flow log of ALL traffic, kept for 365 days".into(), "ec2:DescribeFlowLogs")
        }
        "iam-stale-access-key" => ("make the access key inactive, which is 143 days old".into(), "iam:ListAccessKeys"),
        "rds-public-snapshot" => {
            ("take `all` out of those who may restore it".into(), "rds:DescribeDBSnapshotAttributes")
        }
        "redshift-public-cluster" => ("publicly accessible true → false".into(), "redshift:DescribeClusters"),
        "cloudtrail-unvalidated-logs" => ("log file validation off → on".into(), "cloudtrail:DescribeTrails"),
        _ => ("public access block none → ignore ACLs, restrict".into(), "s3:GetBucketPublicAccessBlock"),
    }
}
