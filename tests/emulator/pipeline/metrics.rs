//! What the deployed pipeline tells of itself: lines of metrics that CloudWatch can read, and alarms that go on when their
//! cause is made.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use remediation::Outcome;
use serde_json::{Value, json};
use testkit::account::Account;
use testkit::central::{Central, Done};
use testkit::emulator::Emulator;
use testkit::netskope::Quirks;

use super::{PATIENCE, Pipeline, TOKEN, log_lines};

/// Metrics of CloudWatch's that are paid for, of one rule at most.
const MOST_OF_RULE: usize = 8;
/// The alarms of every deployment over its metrics, but for the one on what Netskope contests: that has been made to go on
/// before, and LocalStack judges it by all that was within three periods.
const ALARMS: [&str; 6] = ["no-whole-poll", "nothing-listed", "failed-findings", "waiting", "breaker", "throttled"];
/// The alarms look back for a minute here: what was before must have left it.
const WINDOW: Duration = Duration::from_secs(60);

impl Pipeline {
    /// Each invocation ends with one line, by the specification, and a rule has no more metrics than are paid for.
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
    pub(super) async fn writes_one_valid_line_of_metrics_for_each_invocation(&self) {
        let mut of_rule = BTreeMap::<String, BTreeSet<String>>::new();
        for (region, done) in self.deployment.regions.iter().zip(&self.done) {
            for function in functions(done) {
                let lines = log_lines(region, function).await;
                let invocations = lines.iter().filter(|line| line.starts_with("REPORT")).count();
                let documents: Vec<Value> = lines
                    .iter()
                    .filter(|line| line.contains("\"_aws\""))
                    .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
                    .collect();
                assert_eq!(documents.len(), invocations, "{function}: {lines:?}");
                for document in &documents {
                    let rule = document["rule"].as_str().unwrap().to_owned();
                    of_rule.entry(rule).or_default().extend(metrics_of_rule(document));
                }
            }
        }
        for (rule, metrics) in of_rule {
            assert!(metrics.contains("WholePolls") && metrics.len() <= MOST_OF_RULE, "{rule}: {metrics:?}");
        }
    }

    pub(super) async fn raises_each_alarm_when_its_cause_is_made(&self) {
        let (home, other) = (self.deployment.home(), &self.deployment.regions[1]);
        let policy = self.policy().await;
        for region in [home, other] {
            region.poll_for(&self.manifest.id, PATIENCE).await.unwrap().unwrap();
            becomes(region, &ALARMS.map(|alarm| (alarm, "OK"))).await;
        }
        assert_ne!(home.alarms().await.unwrap()["autoremediate-failures"], "ALARM");
        tokio::join!(self.raises_those_of_polls_and_rules(policy), throttles_for_three_periods(home));
    }

    async fn raises_those_of_polls_and_rules(&self, policy: String) {
        let (home, other, since) = (self.deployment.home(), &self.deployment.regions[1], Instant::now());

        // Of neither poll is anything counted as whole, or the sum of both would be more than none.
        self.netskope.set_token("another-token");
        let refused = home.poll_for(&self.manifest.id, PATIENCE).await.unwrap().unwrap_err();
        assert!(refused.contains("Invalid REST API Token"), "{refused}");
        self.netskope.set_token(TOKEN);
        self.netskope.set_quirks(Quirks { fails: true, ..Quirks::default() });
        let failed = home.poll_for(&self.manifest.id, PATIENCE).await.unwrap().unwrap_err();
        assert!(failed.contains("an error of the tenant"), "{failed}");
        self.netskope.set_quirks(Quirks::default());
        not_whole(home, 2).await;

        self.fails_in_an_account_without_the_role().await;
        becomes(home, &[("failed-findings", "ALARM"), ("breaker", "OK")]).await;
        self.has_a_plan_that_waits().await;
        becomes(home, &[("waiting", "ALARM")]).await;
        self.reports_a_batch_that_cannot_be_read_and_fails_the_invocation().await;

        tokio::time::sleep(WINDOW.saturating_sub(since.elapsed())).await;
        becomes(home, &[("no-whole-poll", "ALARM"), ("failures", "ALARM")]).await;
        // The other deployment polls a tenant that lists nothing any more.
        self.netskope.set_rows(Vec::new());
        other.poll_for(&self.manifest.id, PATIENCE).await.unwrap().unwrap();
        becomes(other, &[("nothing-listed", "ALARM"), ("no-whole-poll", "OK"), ("failed-findings", "OK")]).await;

        self.netskope.set_rows(self.rows.clone());
        self.put(remediation::POLICY_KEY, policy).await;
        for region in [home, other] {
            region.poll_for(&self.manifest.id, PATIENCE).await.unwrap().unwrap();
            becomes(region, &[("no-whole-poll", "OK"), ("nothing-listed", "OK")]).await;
        }
    }

    /// One finding of two, so that the batch as a whole does not fail.
    async fn fails_in_an_account_without_the_role(&self) {
        let stranger = Account::fresh(Emulator::shared().await.unwrap());
        let clean = format!("clean-{}", self.targets[0].id);
        let mut batch = self.batch_of(&self.targets[0], &[clean.as_str(), "of-a-stranger"]);
        batch.findings[1].account = stranger.id.parse().unwrap();
        let report = self.run_batch(batch).await;
        let outcomes: Vec<_> = report.findings.iter().map(|row| row.outcome).collect();
        assert_eq!(outcomes, [Outcome::AlreadyCompliant, Outcome::Failed], "{report:?}");
    }

    /// A second look at the same changes finds that they have waited since the first.
    async fn has_a_plan_that_waits(&self) {
        let target = &self.targets[0];
        let bucket = format!("awaits-{}", target.id);
        target.make_bucket(&bucket, None).await.unwrap();
        self.set_policy(json!({"mode": "approve"})).await;
        for _ in 0..2 {
            let report = self.run(target, &bucket).await;
            assert_eq!(report.count(Outcome::Held), 1, "{report:?}");
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
    }
}

/// Throttles a function of which nobody wants anything at the time.
async fn throttles_for_three_periods(region: &Central) {
    for period in 0..3 {
        if period > 0 {
            tokio::time::sleep(WINDOW).await;
        }
        region.throttle("redshift-public-cluster").await.unwrap();
    }
    becomes(region, &[("throttled", "ALARM")]).await;
}

/// The poller, and the rules of which there was a batch.
fn functions(done: &Done) -> BTreeSet<&str> {
    done.reports.iter().map(|(_, report)| report.id.rule.as_str()).chain(["poller"]).collect()
}

/// The names of the metrics with the dimension of a rule, of a document that keeps to the specification.
fn metrics_of_rule(document: &Value) -> BTreeSet<String> {
    let at = document["_aws"]["Timestamp"].as_i64().unwrap();
    let now = jiff::Timestamp::now().as_millisecond();
    assert!((now - 3_600_000..=now + 1000).contains(&at), "no time in milliseconds: {document}");
    let mut of_rule = BTreeSet::new();
    let directives = document["_aws"]["CloudWatchMetrics"].as_array().unwrap();
    assert!(!directives.is_empty(), "{document}");
    for directive in directives {
        assert_eq!(directive["Namespace"], "autoremediate");
        let sets: Vec<Vec<String>> = serde_json::from_value(directive["Dimensions"].clone()).unwrap();
        assert!(!sets.is_empty() && sets.iter().flatten().all(|name| document[name].is_string()), "{document}");
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()), "{document}");
        for metric in metrics {
            let name = metric["Name"].as_str().unwrap();
            assert!(document[name].is_u64(), "{name} has no value: {document}");
            assert!(["Count", "Seconds"].contains(&metric["Unit"].as_str().unwrap()), "{metric}");
            if sets.contains(&vec!["Rule".to_owned()]) {
                of_rule.insert(name.to_owned());
            }
        }
    }
    of_rule
}

/// Waits until the poller's log says that so many polls were not whole.
async fn not_whole(region: &Central, expected: usize) {
    let end = Instant::now() + PATIENCE;
    loop {
        let lines = region.log_lines("poller").await.unwrap();
        let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let found = lines.filter(|line| line["WholePolls"] == 0).count();
        if found == expected {
            return;
        }
        assert!(found < expected && Instant::now() < end, "{found} polls were not whole");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Waits until the alarms of a deployment are in these states.
pub(super) async fn becomes(region: &Central, expected: &[(&str, &str)]) {
    // SQS tells CloudWatch of a queue once a minute.
    let end = Instant::now() + PATIENCE + WINDOW;
    loop {
        let alarms = region.alarms().await.unwrap();
        let wrong: Vec<_> =
            expected.iter().filter(|(name, state)| alarms[format!("autoremediate-{name}")] != *state).collect();
        if wrong.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "{} in {}: {alarms}", json!(wrong), region.account.region);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
