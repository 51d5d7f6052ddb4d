# A central deployment, in one region and for one region or many: bucket, poller, one Lambda a rule, schedules, failure queue.
#
# Invariants:
# - the token is only in the secret, written by a write-only argument: in no plan, state, environment variable or log;
# - a role's policy names every resource it may use. Its ARNs are built from names, so that plans show whole policies;
# - a rule's Lambda reads only its own findings and records, writes only its own records, assumes only its own target
#   role, and deletes nothing. Of the other rules' objects it can see the keys, and nothing more;
# - nothing runs before everything it needs exists: the schedules come last;
# - no two deployments of an account look after the same region (main.regions.tf).

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}

# Only for its region: unlike aws_region, it also knows regions that are newer than the provider
data "aws_service" "here" {
  service_id = "lambda"
}

locals {
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition
  region    = data.aws_service.here.region

  # A name is that of a policy of this account; an ARN may say where this account's ID goes
  permissions_boundary = var.permissions_boundary == null ? null : replace(
    startswith(var.permissions_boundary, "arn:") ? var.permissions_boundary : "arn:${local.partition}:iam::{account}:policy/${var.permissions_boundary}",
    "{account}",
    local.account,
  )

  bucket     = "${var.name_prefix}-${local.account}-${local.region}"
  bucket_arn = "arn:${local.partition}:s3:::${local.bucket}"
}
