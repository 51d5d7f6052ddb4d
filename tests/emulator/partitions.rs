//! Every rule in places that a member account of the partition `aws` does not stand for: in the central account itself, and
//! in the partitions of GovCloud and China, where some runbooks are missing.

use remediation::{Mode, Outcome, partition};
use testkit::account::Account;
use testkit::emulator::Emulator;
use testkit::organization::Organization;
use testkit::subjects::{
    Subject, cloudtrail_unvalidated_logs, iam_stale_access_key, network_acl_open_ingress, rds_public_snapshot,
    redshift_public_cluster, s3_public_bucket, security_group_open_admin_port, vpc_without_flow_logs,
};

/// Fixes a resource, proves it, and takes the fix back; all with the rights that Terraform gives, and no others.
async fn fixed_and_undone<S: Subject>(central: Account, target: Account) {
    let emulator = Emulator::shared().await.unwrap();
    let of = Organization::with_accounts::<S::Rule>(emulator, central, target).await.unwrap();
    of.choose_control(S::CONTROL);
    let (rule, region) = (&of.manifest.id, &of.target.region);
    let resource = S::violating(&of.target, "violating").await.unwrap();
    let settings = serde_json::from_value(S::settings()).unwrap();
    let report = of.run_with::<S::Rule>(settings, of.batch(&[&resource]), Mode::Apply).await;
    assert_eq!(report.count(Outcome::Fixed), 1, "{rule} in {region}: {report:?}");
    assert!(S::complies(&of.target, &resource).await.unwrap(), "{rule} in {region}");
    let arn = &report.findings[0].resource.as_ref().unwrap().arn;
    assert_eq!(arn.split(':').nth(1), Some(partition(region)), "{arn}");
    let undone = of.undo::<S::Rule>(&report, Mode::Apply).await.unwrap();
    assert_eq!(undone.count(Outcome::Undone), 1, "{rule} in {region}: {undone:?}");
    assert!(!S::complies(&of.target, &resource).await.unwrap(), "{rule} in {region}");
}

/// Does it with every rule, each in accounts of its own that `accounts` makes.
async fn every_rule(accounts: impl Fn() -> (Account, Account)) {
    macro_rules! each {
        ($($subject:path),+ $(,)?) => { $({
            let (central, target) = accounts();
            Box::pin(fixed_and_undone::<$subject>(central, target)).await;
        })+ };
    }
    each!(
        cloudtrail_unvalidated_logs::RegionalTrail,
        iam_stale_access_key::User,
        network_acl_open_ingress::DefaultAcl,
        network_acl_open_ingress::SubnetsAcl,
        rds_public_snapshot::Instance,
        redshift_public_cluster::Warehouse,
        s3_public_bucket::Bucket,
        security_group_open_admin_port::Revoked,
        security_group_open_admin_port::Narrowed,
        vpc_without_flow_logs::Vpc,
    );
}

#[tokio::test]
async fn the_central_account_can_be_a_target() {
    let emulator = Emulator::shared().await.unwrap();
    every_rule(|| {
        let both = Account::fresh(emulator);
        (both.clone(), both)
    })
    .await;
}

#[tokio::test]
async fn in_govcloud() {
    in_region("us-gov-west-1").await;
}

#[tokio::test]
async fn in_china() {
    in_region("cn-north-1").await;
}

async fn in_region(region: &str) {
    let emulator = Emulator::shared().await.unwrap();
    every_rule(|| (Account::fresh(emulator).in_region(region), Account::fresh(emulator).in_region(region))).await;
}
