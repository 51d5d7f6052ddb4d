//! Every rule, once. The command line, the test harness, the tests on the emulator and the demo go by this list, and
//! none of them depends on a rule's crate. The poller, the packages and Terraform read `rule.json` from the same folders.
//!
//! A rule is a type, and a list cannot hold types. Whoever does the same with every rule says what in a [`Visitor`],
//! and [`visit`] calls it with each type in turn. Whoever needs a module for each rule, as the test harness does, takes
//! the names from the macro [`each_rule`].

#[macro_use]
mod visitor;

pub use visitor::Visitor;

// A line for each rule, here and in Cargo.toml.
rules! { $
    cloudtrail_unvalidated_logs::CloudTrailUnvalidatedLogs,
    iam_stale_access_key::IamStaleAccessKey,
    network_acl_open_ingress::NetworkAclOpenIngress,
    rds_public_snapshot::RdsPublicSnapshot,
    redshift_public_cluster::RedshiftPublicCluster,
    s3_public_bucket::S3PublicBucket,
    security_group_open_admin_port::SecurityGroupOpenAdminPort,
    vpc_without_flow_logs::VpcWithoutFlowLogs,
}

#[cfg(test)]
mod tests;
