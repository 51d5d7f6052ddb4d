//! The deployment's policy, and an operator's command line: what a file of the operator's own can do to it, and what an
//! emergency leaves behind.

use remediation::POLICY_KEY;
use rules::s3_public_bucket::S3PublicBucket;
use serde_json::{Value, json};
use testkit::emulator::Emulator;
use testkit::organization::Organization;

use super::{Desk, outcome};

const FIXED: Option<[bool; 4]> = Some([false, true, false, true]);
const RULE: &str = "s3-public-bucket";

impl Desk {
    /// The desk of somebody who has the role of the rule's Lambda, and no operator's.
    async fn of_lambda() -> Self {
        let of = Organization::new::<S3PublicBucket>(Emulator::shared().await.unwrap()).await.unwrap();
        let environment = of.environment().await.unwrap();
        Self { of, folder: tempfile::tempdir().unwrap(), environment }
    }

    fn records(&self) -> String {
        format!("s3://{}", self.of.bucket)
    }

    async fn deploy(&self, policy: &str) {
        self.of.central.put(&self.of.bucket, POLICY_KEY, policy.into()).await.unwrap();
    }

    /// Writes a policy of the operator's own.
    fn own(&self, policy: &Value) {
        std::fs::write(self.folder.path().join("my.json"), policy.to_string()).unwrap();
    }

    async fn block(&self, bucket: &str) -> Option<[bool; 4]> {
        self.of.target.public_access_block(bucket).await.unwrap()
    }

    /// Applies without being asked, with more arguments.
    fn apply(&self, buckets: &[&str], more: &[&str]) -> (i32, Value, String) {
        let (findings, records) = (self.findings(&self.of.batch(buckets)), self.records());
        self.run(&[&["apply", "--yes", "--findings", &findings, "--records", &records][..], more].concat())
    }

    async fn overrides(&self) -> Vec<String> {
        self.of.central.keys(&self.of.bucket, "overrides/").await.unwrap()
    }
}

fn report_at(shown: &Value) -> &str {
    shown["reports"][0]["report_at"].as_str().unwrap_or_else(|| panic!("{shown:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_file_of_ones_own_says_what_the_bucket_forbids_is_not_written() {
    let desk = Desk::new().await;
    let (fixed, open) = (desk.bucket("fixed", None).await, desk.bucket("open", None).await);
    let (code, shown, log) = desk.apply(&[&fixed], &[]);
    assert_eq!((code, outcome(&shown)), (0, "fixed"), "{log}");
    let report = report_at(&shown).to_owned();
    desk.own(&json!({"mode": "apply", "rules": {RULE: {"mode": "apply"}},
        "overrides": [{"accounts": [desk.of.target.id], "mode": "apply"}]}));
    for (policy, applied, undone) in [
        (json!({"mode": "apply", "paused": true}), ("held", "paused"), "has paused all writes"),
        (json!({"mode": "approve"}), ("held", "the mode is approve"), "is approve"),
        (json!({"mode": "plan"}), ("planned", ""), "is plan"),
        (json!({"mode": "apply", "rules": {RULE: {"mode": "off"}}}), ("held", "the rule's mode is off"), "is off"),
    ] {
        desk.deploy(&policy.to_string()).await;
        for own in [&["--policy", "my.json"][..], &[]] {
            let (code, shown, log) = desk.apply(&[&open], own);
            assert_eq!((code, outcome(&shown)), (2, applied.0), "{policy}: {log}");
            let detail = shown["reports"][0]["report"]["findings"][0]["detail"].as_str().unwrap_or_default();
            assert!(detail.contains(applied.1), "{policy}: {detail}");
            assert_eq!(log.contains("stricter than the file of --policy"), !own.is_empty(), "{policy}: {log}");
            let (code, shown, log) = desk.run(&[&["undo", &report, "--yes"][..], own].concat());
            assert_eq!((code, outcome(&shown)), (2, "held"), "{policy}: {log}");
            assert!(log.contains(undone) && log.contains("--override REASON"), "{policy}: {log}");
            assert_eq!((desk.block(&fixed).await, desk.block(&open).await), (FIXED, None), "{policy}");
        }
    }
    // What waits can be approved: the plan is in the bucket, and says why.
    desk.deploy(r#"{"mode": "approve"}"#).await;
    let (_, shown, _) = desk.apply(&[&open], &["--policy", "my.json"]);
    let plan = shown["reports"][0]["report"]["plan"]["key"].as_str().unwrap();
    let plan = desk.of.central.json(&desk.of.bucket, plan).await.unwrap();
    assert_eq!(plan["resources"][0]["awaits"], json!(["the mode is approve"]), "{plan}");
    assert!(desk.overrides().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_ones_own_narrows_and_drops_nothing() {
    let desk = Desk::new().await;
    let (one, two) = (desk.bucket("one", None).await, desk.bucket("two", None).await);
    let exemption = |name: &str| json!([{"resources": [name], "reason": "r", "owner": "o"}]);
    let outcomes = |bucket: Value, own: Value| {
        let desk = &desk;
        let (one, two) = (&one, &two);
        async move {
            desk.deploy(&bucket.to_string()).await;
            desk.own(&own);
            let (_, shown, log) = desk.apply(&[one, two], &["--policy", "my.json"]);
            let rows = shown["reports"][0]["report"]["findings"].as_array().unwrap_or_else(|| panic!("{log}"));
            let outcomes: Vec<_> = rows.iter().map(|row| row["outcome"].as_str().unwrap().to_owned()).collect();
            for bucket in [one, two] {
                desk.of.target.set_public_access_block(bucket, None).await.unwrap();
            }
            outcomes.join(" ")
        }
    };
    let apply = json!({"mode": "apply", "fight": {"fixes": 50}});
    let with = |keys: Value| {
        let mut policy = apply.clone();
        policy.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        policy
    };
    assert_eq!(outcomes(apply.clone(), apply.clone()).await, "fixed fixed");
    assert_eq!(outcomes(apply.clone(), with(json!({"mode": "plan"}))).await, "planned planned");
    assert_eq!(outcomes(apply.clone(), with(json!({"paused": true}))).await, "held held");
    // Either of them sets the limit, and exempts.
    let (few, many) = (json!({"limits": {"changes_per_run": 1}}), json!({"limits": {"changes_per_run": 9}}));
    let mut limited = outcomes(with(few.clone()), with(many.clone())).await;
    assert_eq!((limited.matches("fixed").count(), limited.matches("deferred").count()), (1, 1), "{limited}");
    limited = outcomes(with(many), with(few)).await;
    assert_eq!((limited.matches("fixed").count(), limited.matches("deferred").count()), (1, 1), "{limited}");
    let of = |name: &str| with(json!({"exemptions": exemption(name)}));
    assert_eq!(outcomes(of(&one), apply.clone()).await, "exempt fixed", "a file that drops it");
    assert_eq!(outcomes(of(&one), of(&two)).await, "exempt exempt");
    // The stricter guard holds, whoever asks for it.
    desk.of.target.make_website(&one, "start.html").await.unwrap();
    let guard = |what: &str| with(json!({"rules": {RULE: {"settings": {"guard_website": what}}}}));
    assert_eq!(outcomes(guard("warn"), guard("off")).await, "fixed fixed");
    assert_eq!(outcomes(guard("hold"), guard("off")).await, "held fixed");
    assert_eq!(outcomes(apply.clone(), guard("hold")).await, "held fixed", "the rule's own default is to warn");
    // Any other setting has to be the same, whatever rule is run.
    desk.deploy(&apply.to_string()).await;
    for (settings, says) in [
        (json!({"iam-stale-access-key": {"settings": {"days": 3}}}), "`days` of iam-stale-access-key is 3"),
        (json!({RULE: {"settings": {"guard_webste": "hold"}}}), "is `guard_website` meant?"),
    ] {
        desk.own(&with(json!({"rules": settings})));
        let (code, shown, log) = desk.apply(&[&one], &["--policy", "my.json"]);
        assert!(code == 1 && shown.is_null() && log.contains(says) && log.contains("my.json"), "{log}");
    }
    assert_eq!((desk.block(&one).await, desk.block(&two).await), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_of_the_bucket_that_cannot_be_read_stops_the_command() {
    let desk = Desk::new().await;
    let bucket = desk.bucket("unread", None).await;
    desk.own(&json!({"mode": "apply"}));
    for policy in [r#"{"pausd": true}"#, "", r#"{"schema": 99}"#] {
        desk.deploy(policy).await;
        for own in [&["--policy", "my.json"][..], &[], &["--override", "ticket 4711"]] {
            let (code, shown, log) = desk.apply(&[&bucket], own);
            assert!(code == 1 && shown.is_null(), "{policy} {own:?}: {log}");
            assert!(log.contains(&format!("{}/policy.json", desk.records())) && log.contains("--override"), "{log}");
        }
    }
    desk.of.central.s3.delete_object().bucket(&desk.of.bucket).key(POLICY_KEY).send().await.unwrap();
    let (code, _, log) = desk.apply(&[&bucket], &["--policy", "my.json"]);
    assert!(code == 1 && log.contains("policy.json"), "{log}");
    assert_eq!((desk.block(&bucket).await, desk.overrides().await), (None, Vec::new()));
    // In an emergency, a file takes its place.
    let (code, shown, log) = desk.apply(&[&bucket], &["--policy", "my.json", "--override", "ticket 4711"]);
    assert_eq!((code, outcome(&shown), desk.overrides().await.len()), (0, "fixed", 1), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_is_recorded_before_anything_is_written_and_in_the_reports() {
    let desk = Desk::new().await;
    let (bucket, exempt) = (desk.bucket("burning", None).await, desk.bucket("exempt", None).await);
    let exemptions = json!([{"resources": [exempt], "reason": "r", "owner": "o"}]);
    desk.deploy(&json!({"mode": "approve", "paused": true, "exemptions": exemptions}).to_string()).await;
    let (code, shown, log) = desk.apply(&[&bucket, &exempt], &["--override", "ticket 4711"]);
    assert_eq!((code, &shown["counts"]), (0, &json!({"exempt": 1, "fixed": 1})), "{log}");
    assert_eq!((desk.block(&bucket).await, desk.block(&exempt).await), (FIXED, None), "it stays exempt");
    let [recorded] = &desk.overrides().await[..] else { panic!("one override") };
    let recorded = desk.of.central.json(&desk.of.bucket, recorded).await.unwrap();
    assert_eq!(recorded["reason"], "ticket 4711");
    assert!(recorded["by"].as_str().unwrap().contains(":assumed-role/operator/"), "{recorded}");
    let report = report_at(&shown).to_owned();
    let key = report.strip_prefix(&format!("{}/", desk.records())).unwrap();
    let stored = desk.of.central.json(&desk.of.bucket, key).await.unwrap();
    assert_eq!(stored["policy_override"], recorded);

    let undo = ["undo", &report, "--yes"];
    let (code, shown, log) = desk.run(&undo);
    assert_eq!((code, outcome(&shown), desk.overrides().await.len()), (2, "held", 1), "{log}");
    let (code, shown, log) = desk.run(&[&undo[..], &["--override", "ticket 4712"]].concat());
    assert_eq!((code, outcome(&shown), desk.overrides().await.len()), (0, "undone", 2), "{log}");
    assert_eq!(shown["reports"][0]["report"]["policy_override"]["reason"], "ticket 4712", "{shown:#}");
    assert_eq!(desk.block(&bucket).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_that_cannot_be_recorded_writes_nothing() {
    // The role of the rule's Lambda may write to the target account, but no override.
    let desk = Desk::of_lambda().await;
    let bucket = desk.bucket("unrecorded", None).await;
    let (code, shown, log) = desk.apply(&[&bucket], &["--override", "ticket 4711"]);
    assert!(code == 1 && shown.is_null() && log.contains("could not be recorded in s3://"), "{log}");
    assert!(log.contains("s3:PutObject"), "{log}");
    // In a folder there is nothing to override.
    let findings = desk.findings(&desk.of.batch(&[&bucket]));
    let (code, _, log) = desk.run(&["apply", "--yes", "--alone", "--findings", &findings, "--override", "why"]);
    assert!(code == 1 && log.contains("nothing to override"), "{log}");
    assert_eq!((desk.block(&bucket).await, desk.overrides().await), (None, Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_about_what_the_policy_does_not_let_be_written() {
    let desk = Desk::new().await;
    let bucket = desk.bucket("asked", None).await;
    let (findings, records) = (desk.findings(&desk.of.batch(&[&bucket])), desk.records());
    let apply = ["apply", "--findings", &findings, "--records", &records];
    desk.deploy(r#"{"mode": "approve"}"#).await;
    let (code, seen) = desk.answer(&apply, async {}).await;
    assert!(code == 2 && seen.contains("held") && !seen.contains("[y/N]"), "{code} {seen}");
    assert!(seen.contains(&format!("plan: {records}/plans/{RULE}/")), "{seen}");
    assert_eq!(desk.block(&bucket).await, None);
    desk.deploy(r#"{"mode": "apply"}"#).await;
    let (code, seen) = desk.answer(&apply, async {}).await;
    assert!(code == 0 && seen.contains("[y/N]"), "{code} {seen}");
    assert_eq!(desk.block(&bucket).await, FIXED);
    let report = seen.rsplit("report: ").next().and_then(|rest| rest.lines().next()).unwrap().trim().to_owned();
    desk.deploy(r#"{"mode": "apply", "paused": true}"#).await;
    let (code, seen) = desk.answer(&["undo", &report], async {}).await;
    assert!(code == 2 && seen.contains("--override REASON") && !seen.contains("[y/N]"), "{code} {seen}");
    assert_eq!(desk.block(&bucket).await, FIXED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_stops_what_it_is_of_until_it_is_over_or_is_ended() {
    let desk = Desk::new().await;
    desk.deploy(r#"{"mode": "apply", "fight": {"fixes": 50}}"#).await;
    let open = desk.bucket("open", None).await;
    let records = desk.records();
    let pause =
        |more: &[&str]| desk.run(&[&["pause", "--records", &records, "--reason", "ticket 4711"], more].concat());
    let applied = || {
        let (_, shown, log) = desk.apply(&[&open], &[]);
        let row = &shown["reports"][0]["report"]["findings"][0];
        (
            row["outcome"].as_str().unwrap_or_else(|| panic!("{log}")).to_owned(),
            row["detail"].as_str().unwrap_or("").to_owned(),
        )
    };
    // Neither of these is of this bucket.
    for other in [["--rule", "iam-stale-access-key"], ["--account", "999999999999"], ["--region", "eu-west-3"]] {
        assert_eq!(pause(&other).0, 0);
    }
    assert_eq!(applied().0, "fixed");
    desk.of.target.set_public_access_block(&open, None).await.unwrap();
    let (code, paused, log) = pause(&["--rule", RULE, "--account", &desk.of.target.id, "--until", "8s"]);
    assert_eq!((code, paused["pauses"].as_array().unwrap().len()), (0, 4), "{log}");
    let (outcome, why) = applied();
    assert!(outcome == "held" && why.contains("paused by arn:aws:") && why.contains("ticket 4711"), "{outcome}: {why}");
    assert_eq!(desk.block(&open).await, None);
    // In an emergency, and with a record of it.
    assert_eq!(desk.apply(&[&open], &["--override", "ticket 4712"]).0, 0);
    assert_eq!((desk.block(&open).await, desk.overrides().await.len()), (FIXED, 1));
    desk.of.target.set_public_access_block(&open, None).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(8)).await;
    assert_eq!(applied().0, "fixed");
    desk.of.target.set_public_access_block(&open, None).await.unwrap();
    // Everything, and then only what was ended goes on.
    let (_, paused, _) = pause(&[]);
    let all = paused["pauses"].as_array().unwrap().iter().find(|pause| pause["stops"] == json!({})).unwrap();
    assert_eq!(applied().0, "held");
    let (code, _, log) = desk.run(&["resume", "--records", &records, "00000000"]);
    assert!(code == 1 && log.contains("no pause is `00000000`") && log.contains(all["id"].as_str().unwrap()), "{log}");
    let (code, left, log) = desk.run(&["resume", "--records", &records, all["id"].as_str().unwrap()]);
    assert_eq!((code, left["pauses"].as_array().unwrap().len()), (0, 3), "{log}");
    assert_eq!(applied().0, "fixed");
    let (code, left, _) = desk.run(&["resume", "--records", &records, "--rule", "iam-stale-access-key"]);
    assert_eq!((code, left["pauses"].as_array().unwrap().len()), (0, 2));
    // What cannot be read stops everything, until all of it is ended.
    desk.of.target.set_public_access_block(&open, None).await.unwrap();
    desk.of.central.put(&desk.of.bucket, remediation::PAUSES_KEY, b"{".to_vec()).await.unwrap();
    let (code, _, log) = desk.apply(&[&open], &[]);
    assert!(code == 1 && log.contains("pauses.json") && log.contains("resume --all"), "{log}");
    assert_eq!((desk.run(&["resume", "--records", &records, "--all"]).0, applied().0.as_str()), (0, "fixed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_effect_is_shown_with_what_says_so_and_what_differs() {
    let desk = Desk::new().await;
    let (records, account) = (desk.records(), desk.of.target.id.clone());
    let show = |more: &[&str]| desk.run(&[&["policy", "show", "--records", &records], more].concat());
    desk.deploy(
        &json!({"schema": 1, "mode": "plan", "rules": {RULE: {"mode": "apply"}}, "paused": true,
        "overrides": [{"accounts": [account], "mode": "off"}],
        "exemptions": [{"resources": ["x"], "reason": "r", "owner": "o", "expires": "2020-01-01"}]})
        .to_string(),
    )
    .await;
    let (code, shown, log) = show(&["--rule", RULE]);
    assert_eq!(code, 0, "{log}");
    assert!(shown["deployed"]["unknown"].as_str().unwrap().contains("apply terraform/deploy/central"), "{shown}");
    assert_eq!((&shown["paused"], &shown["modes"][0]["mode"]), (&json!(true), &json!("apply")), "{shown}");
    assert!(shown["policy"]["last_modified"].is_string() && shown["expired_exemptions"][0].is_string(), "{shown}");
    let deployed = json!({"schema": 1, "mode": "plan", "rules": {RULE: {"mode": "plan"}}});
    desk.of.central.put(&desk.of.bucket, remediation::DEPLOYED_POLICY_KEY, deployed.to_string().into()).await.unwrap();
    let (_, shown, _) = show(&["--rule", RULE, "--account", &account]);
    let paths: Vec<_> =
        shown["deployed"]["differences"].as_array().unwrap().iter().map(|of| of["path"].as_str()).collect();
    assert!(
        [format!("rules.{RULE}.mode").as_str(), "paused", "overrides"].iter().all(|path| paths.contains(&Some(path)))
    );
    assert_eq!(
        (&shown["modes"][0]["mode"], &shown["modes"][0]["by"]),
        (&json!("off"), &json!({"override": 0})),
        "{shown}"
    );
}
