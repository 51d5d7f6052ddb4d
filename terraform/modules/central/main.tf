# The central deployment of one region: bucket, poller, one Lambda a rule, schedules, failure queue.
#
# Invariants:
# - the token is in no plan, state, environment variable or log: only in the secret, by a write-only argument;
# - a role names every resource that it may use; ARNs in policies are made of names, so that a plan shows whole policies;
# - a rule's Lambda reads only its own findings and records, writes only its own records, assumes only its own target role;
# - nothing runs before everything that it needs is there: schedules come last.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition
  region    = data.aws_region.this.name

  bucket     = "${var.name_prefix}-${local.account}-${local.region}"
  bucket_arn = "arn:${local.partition}:s3:::${local.bucket}"
  queue      = "${var.name_prefix}-failures"
  queue_arn  = "arn:${local.partition}:sqs:${local.region}:${local.account}:${local.queue}"
}
