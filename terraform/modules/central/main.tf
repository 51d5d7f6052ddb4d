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
data "aws_region" "this" {}

locals {
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition
  # Not its name, which version 6 of the provider deprecates
  region = data.aws_region.this.id

  bucket     = "${var.name_prefix}-${local.account}-${local.region}"
  bucket_arn = "arn:${local.partition}:s3:::${local.bucket}"
}
