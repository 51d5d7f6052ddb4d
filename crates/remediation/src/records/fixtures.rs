//! Records as each version of a format wrote them, in `fixtures/records/`: this build reads those of its own versions and
//! refuses all others by name. A fixture stays as it is; a new version adds its own.

use std::collections::BTreeSet;

use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::aws::AccountId;
use crate::domain::{Mode, Outcome, Resource, RunId};
use crate::policy::{Fight, Limits, PAUSES_SCHEMA, Pauses};

const RUN: &str = "01999999-9999-7999-8999-999999999999";
const EARLIER: &str = "01999999-0000-7999-8999-999999999999";
const RULE: &str = "s3-public-bucket";
/// The digest of the plan's fixture: a plan of yesterday is believed by it.
const DIGEST: &str = "4457bb6870836f80c9b94dd21f13ad28e8b651added9d3654a19472c45ca956e";

const PLAN: &str = include_str!("../../fixtures/records/plan-2.json");
const REPORT: &str = include_str!("../../fixtures/records/report-2.json");
const REPORT_OF_WAVES: &str = include_str!("../../fixtures/records/report-2-waves.json");
const CARD: &str = include_str!("../../fixtures/records/card-1.json");
const WAITING_CARD: &str = include_str!("../../fixtures/records/card-1-waiting.json");
const APPROVAL: &str = include_str!("../../fixtures/records/approval-2.json");
const LEDGER: &str = include_str!("../../fixtures/records/ledger-3.json");
const BATCH: &str = include_str!("../../fixtures/records/batch-1.json");
const PAUSES: &str = include_str!("../../fixtures/records/pauses-1.json");
const OVERRIDE: &str = include_str!("../../fixtures/records/override-1.json");

fn run(id: &str) -> RunId {
    RunId(id.parse().unwrap())
}

fn id() -> BatchId {
    BatchId { rule: RULE.into(), run: run(RUN), batch: 3 }
}

fn at(time: &str) -> jiff::Timestamp {
    time.parse().unwrap()
}

fn bucket() -> Resource {
    let (owner, region) = ("222222222222".parse().unwrap(), crate::aws::Region::code("eu-west-1"));
    let names = ["the website".to_owned()].into();
    Resource { arn: "arn:aws:s3:::website".into(), owner, region, id: "website".into(), names }
}

#[test]
fn a_plan_is_read_and_its_digest_is_what_it_was() {
    let plan: Plan<Value> = read(PLAN.as_bytes()).unwrap();
    assert_eq!((plan.id.clone(), plan.mode, plan.created), (id(), Mode::Approve, at("2025-09-30T07:50:09Z")));
    let [planned] = &plan.resources[..] else { panic!("{plan:?}") };
    assert_eq!(planned.resource, bucket());
    let names: Vec<_> = planned.findings.iter().map(|finding| finding.resource.as_str()).collect();
    assert_eq!(names, ["website", "arn:aws:s3:::website"]);
    assert_eq!(planned.changes[0].change["after"]["restrict_public_buckets"], true);
    assert_eq!(planned.changes[0].summary, "public access block none → ignore ACLs, restrict");
    assert_eq!(planned.awaits, ["the bucket serves a website: start.html (3 objects)"]);
    assert_eq!(planned.held, ["an access point lets everyone in"]);
    assert_eq!(planned.sightings[0].what, "the bucket serves a website: start.html");
    assert_eq!(planned.sightings[0].now.as_deref(), Some("3 objects"));
    assert_eq!(planned.notes, ["an exemption has expired: r (owner: o)"]);
    assert_eq!(plan.digest().unwrap(), DIGEST);
}

#[test]
fn a_report_is_read() {
    let report: Report = read(REPORT.as_bytes()).unwrap();
    assert_eq!((report.id.clone(), report.mode), (id(), Mode::Approve));
    assert_eq!((report.started, report.finished), (at("2025-09-30T07:50:05Z"), at("2025-09-30T07:51:04Z")));
    assert_eq!(report.plan, Some(StoredPlan { key: id().plan_key(), digest: DIGEST.into() }));
    assert_eq!(report.undoes, Some(BatchId { batch: 1, ..id() }.plan_key()));
    let Approved { approval, stored_by } = report.approval.clone().unwrap();
    assert_eq!(
        (approval.reason.as_str(), stored_by.as_deref()),
        ("ticket 4711", Some("AWS:AROAEXAMPLEEXAMPLE123:somebody"))
    );
    let counts = [Outcome::Fixed, Outcome::Deferred, Outcome::Failed].map(|outcome| report.count(outcome));
    assert_eq!(counts, [1, 1, 1]);
    let (account, problem) = ("333333333333", &report.accounts[0]);
    assert_eq!((problem.account.as_ref(), problem.findings), (account, 1));
    let [fixed, deferred] = &report.findings[..] else { panic!("{report:?}") };
    assert_eq!((fixed.resource.as_ref(), fixed.written, &fixed.took[..]), (Some(&bucket()), 1, &[0][..]));
    assert_eq!(fixed.verification.as_ref().unwrap().actions, ["s3:GetBucketPublicAccessBlock"]);
    assert_eq!((deferred.outcome, deferred.took.len(), &deferred.resource), (Outcome::Deferred, 0, &None));
    assert_eq!(report.bad_lines[0].line, 4);
    assert_eq!(report.policy_override, None, "the reports of a version that had none are read");
    assert!(report.earlier_plans.is_empty(), "the same");
    assert_eq!(report.plan_of(fixed), Some(id().plan_key().as_str()));
}

#[test]
fn a_report_of_several_plans_is_read() {
    let report: Report = read(REPORT_OF_WAVES.as_bytes()).unwrap();
    let (first, last) = (id().plan_key(), id().plan_key().replace(".json", ".2.json"));
    let plans: Vec<_> = report.plans().map(|stored| (stored.key.as_str(), stored.digest.as_str())).collect();
    assert_eq!(plans, [(first.as_str(), "ab".repeat(32).as_str()), (last.as_str(), "cd".repeat(32).as_str())]);
    let led: Vec<_> = report.findings.iter().map(|row| report.plan_of(row)).collect();
    assert_eq!(led, [Some(first.as_str()), Some(last.as_str())]);
}

#[test]
fn an_override_is_read_by_itself_and_in_a_report() {
    let found: PolicyOverride = read(OVERRIDE.as_bytes()).unwrap();
    assert_eq!((found.run, found.at), (run(RUN), at("2025-09-30T07:50:03Z")));
    assert_eq!(found.by, "arn:aws:sts::111111111111:assumed-role/operator/somebody");
    assert_eq!(found.reason, "ticket 4711");
    assert_eq!(found.key(), format!("overrides/{}/{RUN}.json", run(RUN).date()));
    let mut report: Value = serde_json::from_str(REPORT).unwrap();
    report["policy_override"] = serde_json::from_str(OVERRIDE).unwrap();
    let report: Report = read(report.to_string().as_bytes()).unwrap();
    assert_eq!(report.policy_override, Some(found));
}

#[test]
fn pauses_are_read() {
    let pauses: Pauses = read(PAUSES.as_bytes()).unwrap();
    let [one, all] = &pauses.in_force(at("2025-09-30T11:50:02Z")).collect::<Vec<_>>()[..] else { panic!("{pauses:?}") };
    assert_eq!(one.stops.to_string(), "rule s3-public-bucket; account 222222222222; region eu-west-1, global");
    assert_eq!((one.id.as_str(), one.reason.as_str(), one.at), ("5e0c7a11", "ticket 4711", at("2025-09-30T07:50:03Z")));
    assert_eq!(one.by, "arn:aws:sts::111111111111:assumed-role/on-call/somebody");
    assert_eq!((one.until, all.until), (Some(at("2025-09-30T11:50:03Z")), None));
    assert!(all.stops.everything());
    assert_eq!(pauses.in_force(at("2025-09-30T11:50:03Z")).count(), 1);
}

#[test]
fn a_card_is_read() {
    let card = Card::from_json(CARD.as_bytes(), RULE, &bucket()).unwrap();
    let claim = card.claim.as_ref().unwrap();
    assert_eq!((claim.run, claim.batch, claim.undoes), (run(RUN), 3, Some(run(EARLIER))));
    assert_eq!((claim.since, claim.until), (at("2025-09-30T07:50:14Z"), at("2025-09-30T08:06:14Z")));
    assert_eq!((claim.holder.as_str(), &claim.part), ("8476a536-e9f4-11e8-9739-2dfe598c3fcd", &"ab".repeat(32)));
    let ended: Vec<_> = card.writes.iter().map(|write| write.ended).collect();
    assert_eq!(ended, [Ended::Proved, Ended::Unproved, Ended::CutOff, Ended::Proved]);
    let undone: Vec<_> = card.writes.iter().map(|write| write.undone_by).collect();
    assert_eq!(undone, [None, None, None, Some(run(RUN))]);
    assert_eq!((card.writes[0].run, card.writes[0].at), (run(EARLIER), at("2025-09-30T07:49:59Z")));
    assert_eq!(
        card.fought_over(Fight::default(), claim.since).unwrap().reports,
        [BatchId { batch: 1, ..id() }.report_key()]
    );
    let waiting = card.waiting.as_ref().unwrap();
    assert_eq!((&waiting.plan, &waiting.digest), (&id().plan_key(), &"ef".repeat(32)));
    let exempt = card.exempt.as_ref().unwrap();
    assert_eq!((exempt.until, exempt.reason.as_str()), (at("2025-10-01T07:50:04Z"), "an undo has put it back"));
}

#[test]
fn a_card_that_says_why_its_plan_waits_is_read() {
    let card = Card::from_json(WAITING_CARD.as_bytes(), RULE, &bucket()).unwrap();
    let waiting = card.waiting.as_ref().unwrap();
    assert_eq!((&waiting.plan, waiting.since), (&id().plan_key(), at("2025-09-30T07:50:02Z")));
    assert_eq!((&waiting.digest, waiting.changes.as_ref()), (&"ef".repeat(32), Some(&"12".repeat(32))));
    let why = [
        WaitsFor::Mode,
        WaitsFor::UnsureMode,
        WaitsFor::Guard,
        WaitsFor::FoughtOver,
        WaitsFor::Grace,
        WaitsFor::Window,
    ];
    assert_eq!(waiting.why, BTreeSet::from(why));
    assert_eq!((waiting.until, &waiting.report), (Some(at("2025-10-07T07:50:02Z")), &Some(id().report_key())));
    let rejected = card.rejects(&"12".repeat(32), at("2025-12-31T07:50:02Z")).unwrap();
    assert_eq!((rejected.reason.as_str(), rejected.since), ("ticket 4711", at("2025-10-02T07:50:02Z")));
    assert_eq!(rejected.by, "arn:aws:sts::111111111111:assumed-role/approver/somebody");
    assert_eq!(card.rejects(&"12".repeat(32), rejected.until), None, "it is over");
    assert_eq!(card.rejects(&"ef".repeat(32), rejected.since), None, "it is of other changes");
    let reported = card.reported.unwrap();
    assert_eq!((reported.report, reported.digest), (id().report_key(), "34".repeat(32)));
    assert_eq!((reported.outcome, reported.at), (Outcome::Held, at("2025-09-30T07:50:03Z")));
}

#[test]
fn an_approval_is_read() {
    let approval = Approval::from_json(APPROVAL.as_bytes(), RULE).unwrap();
    assert_eq!((&approval.plan, &approval.digest), (&id().plan_key(), &"ab".repeat(32)));
    assert_eq!((approval.run, approval.approved), (run(RUN), at("2025-09-30T07:50:34Z")));
    assert_eq!(approval.by, "arn:aws:sts::111111111111:assumed-role/approver/somebody");
    assert_eq!(approval.reason, "ticket 4711");
}

/// What a run may still change whose day has this ledger, in each of two accounts.
async fn taken(ledger: &str) -> Result<Vec<Option<HeldBack>>, RecordError> {
    let folder = TempDir::new().unwrap();
    let records = Records::Folder(folder.path().into());
    records.put_new(&keys::ledger_key(RULE, run(RUN)), ledger.into()).await.unwrap();
    let limits = Limits { changes_per_account: Some(4), ..Limits::unlimited() };
    let accounts = ["222222222222", "222222222222", "333333333333"];
    let wanted = accounts.map(|account| (account.parse::<AccountId>().unwrap(), 1));
    Ledger::new(records, RULE, run(RUN)).take(RULE, &limits, &wanted).await
}

#[tokio::test]
async fn a_ledger_is_read() {
    let [one, over, stopped] = <[_; 3]>::try_from(taken(LEDGER).await.unwrap()).unwrap();
    assert_eq!(one, None);
    let later = |why: &str| Some(HeldBack::Later(why.into()));
    assert_eq!(over, later("the limit changes_per_account (4) has no room for its 1 change(s)"));
    assert_eq!(stopped, later("failure_percent (50): 9 of 10 fixes failed"));
}

#[test]
fn a_batch_is_read() {
    let batch = Batch::from_ndjson(BATCH.as_bytes(), RULE).unwrap();
    assert_eq!((batch.id.clone(), batch.findings.len(), batch.bad_lines.len()), (id(), 2, 0));
    let [by_name, by_arn] = &batch.findings[..] else { panic!("{batch:?}") };
    assert_eq!((by_name.resource.as_str(), by_name.first_seen), ("website", Some(at("2025-09-01T10:00:00Z"))));
    assert_eq!((by_arn.resource.as_str(), by_arn.first_seen), ("arn:aws:s3:::website", None));
}

/// What is said of a record of this kind.
async fn refused(kind: &str, text: &str) -> String {
    match kind {
        "plan" => read::<Plan<Value>>(text.as_bytes()).unwrap_err().to_string(),
        "report" => read::<Report>(text.as_bytes()).unwrap_err().to_string(),
        "card" => Card::from_json(text.as_bytes(), RULE, &bucket()).unwrap_err().to_string(),
        "approval" => Approval::from_json(text.as_bytes(), RULE).unwrap_err().to_string(),
        "ledger" => taken(text).await.unwrap_err().to_string(),
        "batch" => Batch::from_ndjson(text.as_bytes(), RULE).unwrap_err().to_string(),
        "override" => read::<PolicyOverride>(text.as_bytes()).unwrap_err().to_string(),
        "pauses" => read::<Pauses>(text.as_bytes()).unwrap_err().to_string(),
        _ => panic!("{kind}"),
    }
}

#[tokio::test]
async fn what_an_older_version_wrote_is_refused_by_name() {
    for (kind, text, version, written) in [
        ("plan", include_str!("../../fixtures/records/plan-1.json"), 1, PLAN_SCHEMA),
        ("report", include_str!("../../fixtures/records/report-1.json"), 1, REPORT_SCHEMA),
        ("approval", include_str!("../../fixtures/records/approval-1.json"), 1, APPROVAL_SCHEMA),
        ("ledger", include_str!("../../fixtures/records/ledger-2.json"), 2, LEDGER_SCHEMA),
    ] {
        let error = refused(kind, text).await;
        let says = format!("the {kind} has schema version {version}, but this build reads {written}");
        assert!(error.contains(&says), "{error}");
    }
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_refused_by_name() {
    for (kind, text, written) in [
        ("plan", PLAN, PLAN_SCHEMA),
        ("report", REPORT, REPORT_SCHEMA),
        ("card", CARD, CARD_SCHEMA),
        ("approval", APPROVAL, APPROVAL_SCHEMA),
        ("ledger", LEDGER, LEDGER_SCHEMA),
        ("batch", BATCH, BATCH_SCHEMA),
        ("override", OVERRIDE, OVERRIDE_SCHEMA),
        ("pauses", PAUSES, PAUSES_SCHEMA),
    ] {
        let number = format!("\"schema\": {written}");
        assert!(text.contains(&number), "{kind}: the fixture is not of the version that this build writes");
        let error = refused(kind, &text.replacen(&number, "\"schema\": 99", 1)).await;
        assert!(error.contains(kind) && error.contains("schema version 99"), "{error}");
        assert!(error.contains(&format!("this build reads {written}")), "{error}");
    }
}
