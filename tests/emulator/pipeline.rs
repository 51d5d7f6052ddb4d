//! The deployed pipeline: Terraform, schedule, poller, rule Lambda, target accounts.

use std::time::Duration;

use remediation::Outcome;
use testkit::account::{Account, fresh_account};
use testkit::deployment::{Deployment, Settings, findings};
use testkit::emulator::Emulator;
use testkit::netskope::{FakeNetskope, row};

const CONTROL: &str = "Ensure S3 Bucket is not publicly accessible.";
const TOKEN: &str = "a-token-that-must-not-be-seen-2f6b";

#[tokio::test]
async fn public_buckets_of_two_accounts_are_fixed_proved_and_recorded() {
    let emulator = Emulator::shared().await.unwrap();
    let targets = [Account::fresh(emulator), Account::fresh(emulator)];
    let netskope = FakeNetskope::start(TOKEN).await;
    let mut rows = Vec::new();
    for target in &targets {
        for (kind, settings) in
            [("public", None), ("partly", Some([false, true, false, false])), ("clean", Some([true; 4]))]
        {
            let bucket = format!("{kind}-{}", target.id);
            target.make_bucket(&bucket, settings).await.unwrap();
            rows.push(row(CONTROL, &target.id, "US East(N. Virginia)", &bucket));
        }
    }
    let listed = rows.len();
    netskope.set_rows(rows);
    let settings = Settings {
        central: fresh_account(),
        targets: targets.iter().map(|target| target.id.clone()).collect(),
        mode: "apply".into(),
        netskope: netskope.url(),
        token: TOKEN.into(),
    };
    let deployment = Deployment::apply(emulator, settings).await.unwrap();
    let reports = deployment.reported(listed, Duration::from_secs(60)).await.unwrap();
    for (_, finding) in findings(&reports) {
        let clean = finding.finding.resource.starts_with("clean");
        let expected = if clean { Outcome::AlreadyCompliant } else { Outcome::Fixed };
        assert_eq!(finding.outcome, expected, "{finding:?}");
        assert_eq!(finding.verification.is_some(), !clean, "{finding:?}");
    }
    for target in &targets {
        for (kind, settings) in [("public", [false, true, false, true]), ("partly", [false, true, false, true])] {
            let found = target.public_access_block(&format!("{kind}-{}", target.id)).await.unwrap();
            assert_eq!(found, Some(settings), "{kind}");
        }
    }
    deployment.has_no_drift().await.unwrap();
}
