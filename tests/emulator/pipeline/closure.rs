//! What Netskope says of fixes once it has scanned again: from its list to the reports, the metric and the alarm; and that
//! it is asked to.

use jiff::{SignedDuration, Timestamp};
use remediation::records::AwaitedClosures;
use remediation::{BatchId, Outcome};
use testkit::netskope::{POLICY, display_name, passed, row, scanned};

use super::metrics::becomes;
use super::{PATIENCE, Pipeline, REGION};

impl Pipeline {
    /// Of two buckets that were fixed, a scan passes one and still fails the other.
    pub(super) async fn closes_what_netskope_confirms_and_tells_what_it_contests(&self) {
        let (home, rule) = (self.deployment.home(), &self.manifest.id);
        let row = |place: usize| {
            let (account, control) = (&self.targets[place].id, &self.manifest.controls[0].rule_names[0]);
            row(control, account, display_name(REGION).unwrap(), &format!("partly-{account}"))
        };
        // Long enough after the fix, and no later than clocks are apart.
        let scan = Timestamp::now() + SignedDuration::from_mins(10);
        self.netskope.set_rows(vec![passed(row(0), scan), scanned(row(1), scan)]);
        let poll = home.poll_for(rule, PATIENCE).await.unwrap().unwrap();
        self.netskope.set_rows(self.rows.clone());
        assert_eq!((&poll["kept"], &poll["batches"], &poll["closures"]["passed"]), (&1.into(), &2.into(), &1.into()));
        let run = serde_json::from_value(poll["run"].clone()).unwrap();
        let report = async |batch| self.report(&BatchId { rule: rule.clone(), run, batch }).await;

        let listed = report(1).await;
        let [finding] = &listed.findings[..] else { panic!("{listed:?}") };
        assert_eq!((finding.outcome, listed.confirmed.len()), (Outcome::AlreadyCompliant, 0), "{finding:?}");
        assert!(finding.contested.as_ref().is_some_and(|of| of.begins && of.fixed < of.scanned), "{finding:?}");
        let answered = report(2).await;
        let [confirmed] = &answered.confirmed[..] else { panic!("{answered:?}") };
        assert_eq!(confirmed.finding.resource, format!("partly-{}", self.targets[0].id));
        assert!(answered.findings.is_empty() && answered.plan.is_none(), "{answered:?}");
        becomes(home, &[("contested", "ALARM"), ("failed-findings", "OK")]).await;
        self.waits_for_the_others(&confirmed.finding.resource).await;
    }

    /// As Terraform has let it: the policy names what is scanned, and the poller's role may keep when it has asked.
    pub(super) async fn asks_for_a_rescan_once_in_an_interval(&self) {
        let (home, rule) = (self.deployment.home(), &self.manifest.id);
        assert_eq!(self.netskope.scans(), [""; 0], "no scan can see yet what was just fixed");
        let key = format!("resources/{rule}/awaited-closures.json");
        let mut awaited = home.account.json(&home.bucket, &key).await.unwrap();
        let ago = Timestamp::now() - SignedDuration::from_mins(10);
        for fix in awaited["fixes"].as_object_mut().unwrap().values_mut().flat_map(|of| of.as_array_mut().unwrap()) {
            fix["fixed"] = ago.to_string().into();
        }
        self.put(&key, awaited.to_string()).await;
        for expected in ["started", "none"] {
            let poll = home.poll_for(rule, PATIENCE).await.unwrap().unwrap();
            assert_eq!(poll["closures"]["rescan"], expected, "{poll}");
        }
        assert_eq!(self.netskope.scans(), [POLICY]);
    }

    /// What is confirmed waits no more; what is contested may pass yet.
    async fn waits_for_the_others(&self, confirmed: &str) {
        let end = std::time::Instant::now() + PATIENCE;
        let home = self.deployment.home();
        let key = format!("resources/{}/awaited-closures.json", self.manifest.id);
        loop {
            let stored = home.account.json(&home.bucket, &key).await.unwrap();
            let awaited: AwaitedClosures = serde_json::from_value(stored).unwrap();
            let waits = awaited.of(&self.manifest.controls[0].rule_names[0]);
            let named = |name: &str| waits.iter().any(|of| of.resource == name);
            if !named(confirmed) {
                assert!(named(&format!("partly-{}", self.targets[1].id)), "{awaited:?}");
                return;
            }
            assert!(std::time::Instant::now() < end, "{awaited:?}");
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }
}
