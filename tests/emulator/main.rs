//! What the product does, seen from outside: on the emulator, with IAM enforced.

mod add_a_rule;
mod arrows;
mod aws_configuration;
mod bucket;
mod chaos;
mod cloudtrail_unvalidated_logs;
mod command_line;
mod crash;
mod doctor;
mod each_account;
mod iam_stale_access_key;
mod memory;
mod network_acl_open_ingress;
mod options;
mod pipeline;
mod proxy;
mod rds_public_snapshot;
mod readme;
mod redshift_public_cluster;
mod roles;
mod s3_public_bucket;
mod security_group_open_admin_port;
mod sessions;
mod soak;
mod terminal;
mod vpc_without_flow_logs;
