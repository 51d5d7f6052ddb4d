//! One message of each kind, of which nothing has happened: to see that they arrive.

use jiff::{SignedDuration, Timestamp};
use remediation::domain::{FOUGHT_OVER, NEEDS_APPROVAL};
use remediation::records::{Contested, Grace};
use remediation::{
    AccountId, BatchId, Error, Finding, Mode, Outcome, Pause, Region, Report, ReportedFinding, Resource, Result, RunId,
    Stops, StoredPlan,
};

use crate::detail::Message;
use crate::make::{make, paused};

/// An account of the documentation, which is nobody's.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>
const ACCOUNT: &str = "111122223333";
const RULE: &str = "s3-public-bucket";

/// One message of each kind for the deployment with the bucket `bucket`, each marked as a test.
///
/// # Errors
///
/// None is known: the account and the ARN that they are about can be read.
pub fn samples(bucket: &str) -> Result<Vec<Message>> {
    let now = ambient::now();
    let account: AccountId = ACCOUNT.parse().map_err(|_| Error::unusable("test", "no account"))?;
    let grace = Grace { first_seen: now, until: after(now, 7 * 24), owner: Some("team-web".into()), begins: true };
    let (fixed, report) = (now - SignedDuration::from_hours(3), "reports/example.json".into());
    let contested = Contested { fixed, report, scanned: now, since: now, begins: true };
    let fought = format!("{NEEDS_APPROVAL}{FOUGHT_OVER}it was fixed 3 times and violates again");
    let approve = format!("{NEEDS_APPROVAL}the mode is approve");
    let rows = [
        (Outcome::Held, Some(approve)),
        (Outcome::Fixed, None),
        (Outcome::Failed, Some("s3:PutBucketPublicAccessBlock: AccessDenied: not authorized".into())),
        (Outcome::Held, Some(fought)),
        (Outcome::AlreadyCompliant, None),
        (Outcome::Deferred, Some(format!("grace until {}", grace.until))),
    ];
    let mut findings = Vec::new();
    for (place, (outcome, detail)) in (1..).zip(rows) {
        let bucket_of = format!("example-bucket-{place}");
        let finding = Finding {
            control: "Ensure S3 bucket is not publicly accessible".into(),
            account: account.clone(),
            region: Region::code("eu-west-1"),
            resource: bucket_of.clone(),
            first_seen: None,
            last_scanned: None,
        };
        let resource = Resource {
            arn: format!("arn:aws:s3:::{bucket_of}"),
            owner: account.clone(),
            region: finding.region.clone(),
            id: bucket_of,
            names: [].into(),
        };
        findings.push(ReportedFinding {
            resource: Some(resource),
            grace: (outcome == Outcome::Deferred).then(|| grace.clone()),
            contested: (outcome == Outcome::AlreadyCompliant).then(|| contested.clone()),
            changes: vec!["public access block: IgnorePublicAcls false → true".into()],
            ..ReportedFinding::unwritten(finding, outcome, detail)
        });
    }
    let id = BatchId { rule: RULE.into(), run: RunId::start(), batch: 1 };
    let plan = Some(StoredPlan { key: id.plan_key(), digest: "none".into() });
    let key = id.report_key();
    let report = Report { plan, ..Report::done(id, Mode::Apply, now, findings, Vec::new()) };
    let mut messages = make(&report, bucket, &key, true);
    let pause = Pause {
        id: "00000000".into(),
        stops: Stops::default(),
        reason: "TICKET-4711".into(),
        by: format!("arn:aws:iam::{ACCOUNT}:role/on-call"),
        at: now,
        until: Some(after(now, 4)),
    };
    messages.push(paused(&pause, bucket, true));
    Ok(messages)
}

fn after(now: Timestamp, hours: i64) -> Timestamp {
    now.checked_add(SignedDuration::from_hours(hours)).unwrap_or(Timestamp::MAX)
}
