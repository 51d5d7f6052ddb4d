//! What the product does, seen from outside: on the emulator, with IAM enforced.

mod command_line;
mod crash;
mod iam_stale_access_key;
mod network_acl_open_ingress;
mod pipeline;
mod rds_public_snapshot;
mod readme;
mod s3_public_bucket;
mod vpc_without_flow_logs;
