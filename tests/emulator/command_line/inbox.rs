//! What waits, and what a person decides on it.

use remediation::POLICY_KEY;
use serde_json::{Value, json};
use testkit::account::REGION;

use super::{Desk, outcome};

const FIXED: Option<[bool; 4]> = Some([false, true, false, true]);
const RULE: &str = "s3-public-bucket";

/// The places of the plans that wait, what waits longest first.
fn waiting(shown: &Value) -> Vec<String> {
    let groups = shown["waiting"].as_array().unwrap_or_else(|| panic!("{shown:#}"));
    groups.iter().map(|group| group["plan"].as_str().unwrap().to_owned()).collect()
}

/// What happened to a resource that is shown.
fn events(shown: &Value) -> Vec<&str> {
    let life = shown["resources"][0]["life"].as_array().unwrap_or_else(|| panic!("{shown:#}"));
    life.iter().map(|event| event["event"].as_str().unwrap()).collect()
}

impl Desk {
    /// An operator at the deployment's bucket, with what IAM allows operators; its policy waits for approvals.
    async fn at_bucket() -> (Self, String) {
        let desk = Self::new().await;
        desk.of.central.put(&desk.of.bucket, POLICY_KEY, r#"{"mode": "approve"}"#.into()).await.unwrap();
        let place = format!("s3://{}", desk.of.bucket);
        (desk, place)
    }

    /// Has these buckets planned, and what waits stored.
    fn plan(&self, place: &str, buckets: &[&str]) -> Value {
        let findings = self.findings(&self.of.batch(buckets));
        let (code, shown, log) = self.run(&["apply", "--yes", "--findings", &findings, "--records", place]);
        assert_eq!((code, outcome(&shown)), (2, "held"), "{shown:#} {log}");
        shown
    }

    /// What waits of one bucket.
    fn waiting_of(&self, place: &str, bucket: &str) -> Vec<String> {
        waiting(&self.run(&["inbox", "--records", place, "--resource", bucket]).1)
    }
}

fn detail(shown: &Value) -> &str {
    shown["reports"][0]["report"]["findings"][0]["detail"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_shown_and_what_is_rejected_waits_no_more_until_that_is_taken_back() {
    let (desk, place) = Desk::at_bucket().await;
    let [one, two, three] =
        [desk.bucket("one", None).await, desk.bucket("two", None).await, desk.bucket("3", None).await];
    let inbox = |more: &[&str]| desk.run(&[&["inbox", "--records", &place], more].concat());
    let (code, shown, log) = inbox(&[]);
    assert_eq!((code, &shown["waiting"]), (0, &json!([])), "{log}");

    // Two resources of one plan, then one of another.
    desk.plan(&place, &[&one, &two]);
    desk.plan(&place, &[&three]);
    let (code, shown, log) = inbox(&[]);
    let plans = waiting(&shown);
    assert_eq!((code, plans.len(), &shown["resources"]), (2, 2, &json!(3)), "{shown:#} {log}");
    let group = &shown["waiting"][0];
    assert_eq!((&group["rule"], &group["account"]), (&json!(RULE), &json!(desk.of.target.id)), "{group}");
    assert_eq!(group["needs_approval"], json!(true), "{group}");
    let resources = group["resources"].as_array().unwrap();
    assert_eq!((resources.len(), &resources[0]["region"]), (2, &json!(REGION)), "{group}");
    for (filter, code, found) in [
        (["--account", &desk.of.target.id], 2, 2),
        (["--account", "999999999999"], 0, 0),
        (["--rule", "iam-stale-access-key"], 0, 0),
        (["--resource", &three], 2, 1),
        (["--older-than", "1h"], 0, 0),
    ] {
        let (ended, shown, log) = inbox(&filter);
        assert_eq!((ended, waiting(&shown).len()), (code, found), "{filter:?} {log}");
    }

    // One of the plan's two is not wanted.
    let reject = ["reject", &plans[0], "--resource", &one, "--reason", "ticket 4711"];
    let (code, _, log) = desk.run(&reject);
    assert!(code == 1 && log.contains("--yes"), "{log}");
    let (code, shown, log) = desk.run(&[&reject[..], &["--yes"]].concat());
    assert_eq!((code, shown["rejected"].as_array().map(Vec::len)), (0, Some(1)), "{log}");
    assert_eq!((desk.waiting_of(&place, &one).len(), desk.waiting_of(&place, &two).len()), (0, 1));
    let (code, shown, log) = desk.run(&["show", &one, "--records", &place]);
    let told = events(&shown);
    assert!(code == 0 && ["planned", "waits", "rejected"].iter().all(|of| told.contains(of)), "{shown:#} {log}");
    let (code, shown, log) = desk.run(&["show", &plans[0]]);
    let standing = shown["standing"].as_array().unwrap_or_else(|| panic!("{log}"));
    let stands = |bucket: &str| {
        let of = standing.iter().find(|of| of["resource"].as_str().unwrap().ends_with(bucket)).unwrap();
        of["stands"].as_str().unwrap().to_owned()
    };
    assert_eq!((code, stands(&two).as_str()), (0, "it needs an approval"), "{shown:#}");
    assert!(stands(&one).starts_with("rejected until"), "{shown:#}");

    let withdraw = ["reject", "--withdraw", &plans[0], "--yes"];
    let (code, shown, log) = desk.run(&withdraw);
    assert_eq!((code, shown["withdrawn"].as_array().map(Vec::len)), (0, Some(1)), "{log}");
    assert_eq!(desk.waiting_of(&place, &one), plans[..1]);
    let (code, _, log) = desk.run(&withdraw);
    assert!(code == 1 && log.contains("no rejection"), "{log}");

    // A card that cannot be read is named, and hides none of the others.
    let broken = format!("resources/{RULE}/{}/{REGION}/broken.json", desk.of.target.id);
    desk.of.central.put(&desk.of.bucket, &broken, b"{}".to_vec()).await.unwrap();
    let (code, shown, log) = inbox(&[]);
    assert!(code == 1 && shown["resources"] == 3 && log.contains("broken.json"), "{shown:#} {log}");
}

/// Who takes a rejection back is kept nowhere: from a folder it needs no AWS.
#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_in_a_folder_is_taken_back_without_credentials() {
    let (mut desk, place) = Desk::at_bucket().await;
    let bucket = desk.bucket("folder", None).await;
    desk.plan(&place, &[&bucket]);
    let [plan] = &desk.waiting_of(&place, &bucket)[..] else { panic!("one plan waits") };
    let (code, _, log) = desk.run(&["reject", plan, "--reason", "ticket 4711", "--yes"]);
    assert_eq!(code, 0, "{log}");
    let central = &desk.of.central;
    for key in central.keys(&desk.of.bucket, "resources/").await.unwrap() {
        let card = central.json(&desk.of.bucket, &key).await.unwrap();
        let file = desk.folder.path().join("copy").join(key);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, card.to_string()).unwrap();
    }

    desk.environment.clear();
    let withdraw = ["reject", "--withdraw", "--records", "copy", "--resource", &bucket, "--yes"];
    let (code, shown, log) = desk.run(&withdraw);
    assert_eq!((code, shown["withdrawn"].as_array().map(Vec::len)), (0, Some(1)), "{log}");
    let (code, _, log) = desk.run(&withdraw);
    assert!(code == 1 && log.contains("no rejection"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_rejected_is_held_with_the_reason_and_is_proposed_again_when_it_differs() {
    let (desk, place) = Desk::at_bucket().await;
    let bucket = desk.bucket("rejected", None).await;
    desk.plan(&place, &[&bucket]);
    let first = desk.waiting_of(&place, &bucket);
    let (code, _, log) = desk.run(&["reject", &first[0], "--reason", "ticket 4711", "--yes"]);
    assert_eq!(code, 0, "{log}");
    let shown = desk.plan(&place, &[&bucket]);
    assert!(detail(&shown).contains("rejected") && detail(&shown).contains("ticket 4711"), "{shown:#}");
    assert!(desk.waiting_of(&place, &bucket).is_empty());

    // Other changes were not rejected.
    desk.of.target.set_public_access_block(&bucket, Some([true, false, false, false])).await.unwrap();
    let shown = desk.plan(&place, &[&bucket]);
    assert!(detail(&shown).contains("needs an approval"), "{shown:#}");
    let again = desk.waiting_of(&place, &bucket);
    assert!(again.len() == 1 && again != first, "{again:?}");
}

/// With records in a folder, the command carries out what it approves itself.
#[tokio::test(flavor = "multi_thread")]
async fn several_plans_are_approved_at_once_and_only_what_was_asked_for() {
    let desk = Desk::new().await;
    let (one, two, three) =
        (desk.bucket("one", None).await, desk.bucket("two", None).await, desk.bucket("3", None).await);
    std::fs::write(desk.folder.path().join("policy.json"), r#"{"mode": "approve"}"#).unwrap();
    let policy = ["--policy", "policy.json", "--alone", "--yes"];
    for buckets in [&[one.as_str(), &two][..], &[&three]] {
        let findings = desk.findings(&desk.of.batch(buckets));
        let (code, shown, log) = desk.run(&[&["apply", "--findings", &findings], &policy[..]].concat());
        assert_eq!((code, outcome(&shown)), (2, "held"), "{log}");
    }
    let records = ["--records", "./autoremediate-records"];
    let inbox = || desk.run(&[&["inbox"], &records[..]].concat()).1;
    let plans = waiting(&inbox());
    let approve = |what: &[&str]| desk.run(&[&["approve", "--reason", "a ticket"], what, &policy[..]].concat());
    let block = async |bucket: &str| desk.of.target.public_access_block(bucket).await.unwrap();

    let (code, shown, log) = approve(&[&plans[0], &plans[1], "--resource", &two, "--resource", &three]);
    assert_eq!((code, &shown["counts"]), (0, &json!({"fixed": 2})), "{log}");
    let only =
        |report: usize| shown["reports"][report]["report"]["approval"]["approval"]["only"].as_array().map(Vec::len);
    assert_eq!((only(0), only(1)), (Some(1), None), "the first plan has more: {shown:#}");
    assert_eq!((block(&one).await, block(&two).await, block(&three).await), (None, FIXED, FIXED));
    assert_eq!(waiting(&inbox()), plans[..1]);

    // A plan of which nothing waits any more is told, and is no success.
    let (code, _, log) = approve(&[&plans[1]]);
    assert!(code == 1 && log.contains("nothing of it waits any more"), "{log}");
    let everything = [&records[..], &["--all"]].concat();
    let (code, shown, log) = approve(&everything);
    assert_eq!((code, &shown["counts"], block(&one).await), (0, &json!({"fixed": 1}), FIXED), "{log}");
    let (code, _, log) = approve(&everything);
    assert!(code == 1 && log.contains("nothing that you asked for is waiting"), "{log}");

    let (code, shown, log) = desk.run(&[&["show", &one], &records[..]].concat());
    let life = events(&shown);
    let order: Vec<_> =
        ["planned", "approved", "changed"].iter().map(|of| life.iter().position(|what| what == of)).collect();
    assert!(code == 0 && order.iter().all(Option::is_some) && order.is_sorted(), "{shown:#} {log}");
    assert!(life.contains(&"verified"), "{shown:#}");
    let run = shown["resources"][0]["card"]["writes"][0]["run"].as_str().unwrap();
    let (code, shown, log) = desk.run(&[&["show", run], &records[..]].concat());
    assert_eq!((code, shown["reports"].as_array().map(Vec::len)), (0, Some(1)), "{shown:#} {log}");
}

/// Nothing of AWS is needed to read a folder; who decides is asked of AWS, wherever.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_records_needs_no_region() {
    let mut desk = Desk::new().await;
    let (one, two) = (desk.bucket("one", None).await, desk.bucket("two", None).await);
    std::fs::write(desk.folder.path().join("policy.json"), r#"{"mode": "approve"}"#).unwrap();
    let policy = ["--policy", "policy.json", "--alone", "--yes"];
    for bucket in [&one, &two] {
        let findings = desk.findings(&desk.of.batch(&[bucket]));
        let (code, _, log) = desk.run(&[&["apply", "--findings", &findings], &policy[..]].concat());
        assert_eq!(code, 2, "{log}");
    }
    desk.environment.retain(|(name, _)| !["AWS_REGION", "AWS_DEFAULT_REGION"].contains(&name.as_str()));
    let records = ["--records", "./autoremediate-records"];
    let inbox = |desk: &Desk| desk.run(&[&["inbox"], &records[..]].concat());
    let (code, shown, log) = inbox(&desk);
    let plans = waiting(&shown);
    assert_eq!((code, plans.len()), (2, 2), "{log}");
    let (code, _, log) = desk.run(&["reject", &plans[0], "--reason", "a ticket", "--yes"]);
    assert_eq!(code, 0, "{log}");
    let (code, shown, log) = desk.run(&[&["approve", &plans[1], "--reason", "a ticket"], &policy[..]].concat());
    assert_eq!((code, &shown["counts"]), (0, &json!({"fixed": 1})), "{log}");

    // Without credentials either, who only reads reads.
    desk.environment.retain(|(name, _)| !name.starts_with("AWS_"));
    let (code, shown, log) = inbox(&desk);
    assert_eq!((code, waiting(&shown).len()), (0, 0), "{log}");
    for subject in [&plans[0], &two] {
        let (code, _, log) = desk.run(&[&["show", subject], &records[..]].concat());
        assert_eq!(code, 0, "{log}");
    }
}
