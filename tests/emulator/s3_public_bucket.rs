//! The rule `s3-public-bucket` through the engine.

use remediation::{ErrorKind, Guard, Mode, Outcome, Region, Rule, RunId, SessionKind};
use rules::s3_public_bucket::{S3PublicBucket, Settings};
use testkit::Result;
use testkit::account::{Account, REGION};
use testkit::emulator::Emulator;
use testkit::organization::{Decision, Organization};
use testkit::subjects::s3_public_bucket::{FIXED, make};

/// A bucket with this public access block in the target account.
async fn bucket(of: &Organization, name: &str, block: Option<[bool; 4]>) -> Result<String> {
    make(&of.target, name, block).await
}

async fn organization() -> Organization {
    Organization::new::<S3PublicBucket>(Emulator::shared().await.unwrap()).await.unwrap()
}

fn count(decisions: &[Decision], action: &str) -> usize {
    decisions.iter().filter(|decision| decision.action == action).count()
}

#[tokio::test]
async fn a_fix_takes_four_calls_and_two_sessions_and_leaves_two_settings_as_found() {
    let of = organization().await;
    for (name, block, fixed) in [
        ("none", None, FIXED),
        ("off", Some([false; 4]), FIXED),
        ("partly", Some([true, true, false, false]), [true, true, false, true]),
    ] {
        let bucket = bucket(&of, name, block).await.unwrap();
        let before = of.decisions().await.unwrap().len();
        let report = of.run::<S3PublicBucket>(of.batch(&[&bucket]), Mode::Apply).await;
        assert_eq!(report.count(Outcome::Fixed), 1, "{report:?}");
        assert_eq!(of.target.public_access_block(&bucket).await.unwrap(), Some(fixed), "{name}");
        let calls = &of.decisions().await.unwrap()[before..];
        assert_eq!(count(calls, "s3:GetBucketPublicAccessBlock"), 2, "{calls:?}");
        assert_eq!(count(calls, "s3:PutBucketPublicAccessBlock"), 1, "{calls:?}");
        // Where nothing is left to change, the guard does not look.
        assert_eq!(count(calls, "s3:GetBucketWebsite"), 1, "{calls:?}");
        assert_eq!(assumed(calls), 2, "{calls:?}");
    }
}

#[tokio::test]
async fn a_complying_bucket_costs_one_call_and_one_session_and_no_plan() {
    let of = organization().await;
    let bucket = bucket(&of, "clean", Some([true; 4])).await.unwrap();
    let report = of.run::<S3PublicBucket>(of.batch(&[&bucket]), Mode::Apply).await;
    assert_eq!((report.count(Outcome::AlreadyCompliant), report.plan), (1, None));
    let calls = of.decisions().await.unwrap();
    let others = count(&calls, "s3:GetBucketWebsite") + count(&calls, "s3:GetBucketTagging");
    assert_eq!((count(&calls, "s3:GetBucketPublicAccessBlock"), others, assumed(&calls)), (1, 0, 1), "{calls:?}");
}

/// How often a role was assumed.
fn assumed(calls: &[Decision]) -> usize {
    count(calls, "sts:AssumeRole")
}

#[tokio::test]
async fn the_guard_warns_of_a_website_holds_it_or_does_not_look() {
    let of = organization().await;
    let website = async |name: &str| {
        let bucket = bucket(&of, name, None).await.unwrap();
        of.target.make_website(&bucket, "index.html").await.unwrap();
        bucket
    };
    let saw = "the bucket serves a website (index document index.html)";
    let apply = async |guard_website, bucket: &str| {
        let batch = of.batch(&[bucket]);
        of.run_with::<S3PublicBucket>(Settings { guard_website }, batch, Mode::Apply).await
    };
    let unseen = apply(Guard::Off, &website("unseen").await).await;
    assert_eq!((unseen.count(Outcome::Fixed), unseen.findings[0].notes.len()), (1, 0), "{unseen:?}");
    assert_eq!(count(&of.decisions().await.unwrap(), "s3:GetBucketWebsite"), 0);

    let seen = website("seen").await;
    let held = of.propose::<S3PublicBucket>(Settings { guard_website: Guard::Hold }, &seen).await.unwrap();
    assert_eq!(held.sights.iter().map(ToString::to_string).collect::<Vec<_>>(), [saw]);
    let warned = apply(Guard::Warn, &seen).await;
    assert_eq!((warned.count(Outcome::Fixed), &warned.findings[0].notes[..]), (1, &[saw.to_owned()][..]));
    let plan = of.plan::<S3PublicBucket>(&warned).await.unwrap();
    assert_eq!(plan.resources[0].sightings.iter().map(ToString::to_string).collect::<Vec<_>>(), [saw]);

    let plain = bucket(&of, "plain", None).await.unwrap();
    let nothing = of.propose::<S3PublicBucket>(Settings { guard_website: Guard::Hold }, &plain).await.unwrap();
    assert_eq!((nothing.proposal.changes.len(), nothing.sights), (1, vec![]));
}

#[tokio::test]
async fn a_guard_that_may_not_look_warns_or_holds_as_it_is_set() {
    let of = organization().await;
    let taken = of.take_away("s3:GetBucketWebsite").await.unwrap();
    for (guard_website, outcome) in [(Guard::Hold, Outcome::Held), (Guard::Warn, Outcome::Fixed)] {
        let bucket = bucket(&of, &format!("{guard_website:?}").to_lowercase(), None).await.unwrap();
        let report = of.run_with::<S3PublicBucket>(Settings { guard_website }, of.batch(&[&bucket]), Mode::Apply).await;
        let [finding] = &report.findings[..] else { panic!("{report:?}") };
        assert_eq!(finding.outcome, outcome, "{report:?}");
        let note = "what the fix would break could not be seen: s3:GetBucketWebsite: ";
        assert!(finding.notes.iter().any(|of| of.starts_with(note)), "{report:?}");
    }
    of.give_back(taken).await.unwrap();
}

/// As Netskope can list it: in another region than its own, or in none.
#[tokio::test]
async fn a_bucket_is_fixed_where_it_is_and_put_back_there() {
    let of = organization().await;
    for region in [Region::code(REGION), Region::global(), Region::code("ap-south-1"), Region::code("eu-west-1")] {
        // Another one each time: what was undone is left alone for a while, whatever region it is listed in.
        let there = format!("in-europe-by-{region}-{}", of.target.id);
        of.target.in_region("eu-west-1").make_bucket(&there, Some([false; 4])).await.unwrap();
        let mut batch = of.batch(&[&there]);
        batch.findings[0].region = region.clone();
        let report = of.run::<S3PublicBucket>(batch, Mode::Apply).await;
        assert_eq!(report.count(Outcome::Fixed), 1, "{region}: {report:?}");
        let resource = report.findings[0].resource.as_ref().unwrap();
        assert_eq!(resource.region, Region::code("eu-west-1"), "{region}");
        let undone = of.undo::<S3PublicBucket>(&report, Mode::Apply).await.unwrap();
        assert_eq!(undone.count(Outcome::Undone), 1, "{region}: {undone:?}");
    }
}

#[tokio::test]
async fn another_write_at_the_same_moment_is_waited_for() {
    let (of, emulator) = (organization().await, Emulator::shared().await.unwrap());
    let bucket = bucket(&of, "aborted", None).await.unwrap();
    emulator.fail(&of.target.id, "s3:PutBucketPublicAccessBlock", "OperationAborted").await.unwrap();
    let report = of.run::<S3PublicBucket>(of.batch(&[&bucket]), Mode::Apply).await;
    assert_eq!(report.count(Outcome::Fixed), 1, "{report:?}");
    assert!(emulator.no_faults_left(&of.target.id).await.unwrap());
}

#[tokio::test]
async fn a_bucket_of_another_owner_is_not_touched_and_a_wrong_name_stops_nobody() {
    let of = organization().await;
    let stranger = Account::fresh(Emulator::shared().await.unwrap());
    let theirs = format!("theirs-{}", stranger.id);
    stranger.make_bucket(&theirs, None).await.unwrap();
    let ours = bucket(&of, "ours", None).await.unwrap();
    let report = of.run::<S3PublicBucket>(of.batch(&[&theirs, "Not A Bucket", &ours]), Mode::Apply).await;
    let outcomes: Vec<_> = report.findings.iter().map(|finding| finding.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Failed, Outcome::Fixed], "{report:?}");
    assert_eq!(stranger.public_access_block(&theirs).await.unwrap(), None);
}

#[tokio::test]
async fn the_read_only_session_cannot_write() {
    let of = organization().await;
    let finding = of.finding(&bucket(&of, "read-only", None).await.unwrap());
    let sessions = of.sessions(RunId::start());
    let session = sessions.target(&finding.account, &finding.region, SessionKind::Read).await.unwrap();
    let client = S3PublicBucket::client(&session);
    let seen = S3PublicBucket::look(&client, &finding).await.unwrap();
    let changes = S3PublicBucket::plan(&seen, &[], &Settings::default()).changes;
    let error = S3PublicBucket::apply(&client, &seen.resource, &changes[0]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::AccessDenied, "{error}");
}
