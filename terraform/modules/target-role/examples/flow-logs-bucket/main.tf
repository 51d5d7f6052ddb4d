# A central bucket for the flow logs of every account of an organization: what `destination` of the rule
# vpc-without-flow-logs names. In the account whose credentials are in the environment, such as that of the log archive.
# https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-permissions.html

provider "aws" {
  region = "eu-west-1"
}

data "aws_partition" "this" {}

locals {
  bucket_arn = "arn:${data.aws_partition.this.partition}:s3:::${var.bucket}"

  # The delivery service acts for an account. The organization's ID stands for all of them, and fits into the 20 KB that a
  # bucket's policy can have; for accounts outside of an organization, list them in aws:SourceAccount.
  # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-sourceorgid
  source = {
    StringEquals = { "aws:SourceOrgID" = var.organization_id }
    ArnLike      = { "aws:SourceArn" = "arn:${data.aws_partition.this.partition}:logs:*:*:*" }
  }
}

resource "aws_s3_bucket" "flow_logs" {
  # checkov:skip=CKV2_AWS_62:Nothing waits for a file of flow logs; they are read where somebody looks into an incident
  # checkov:skip=CKV_AWS_18:Who reads them is in CloudTrail's data events; a bucket of access logs is the account's own choice
  # checkov:skip=CKV_AWS_21:Each file has a name of its own and is written once; versions would only be paid for
  # checkov:skip=CKV_AWS_144:Flow logs are many and cheap to lose a copy of; a second region would double what they cost
  # checkov:skip=CKV_AWS_145:S3 encrypts every object; a KMS key must let the delivery service in, and costs a call a file
  bucket = var.bucket
}

resource "aws_s3_bucket_ownership_controls" "flow_logs" {
  bucket = aws_s3_bucket.flow_logs.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "flow_logs" {
  bucket = aws_s3_bucket.flow_logs.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "flow_logs" {
  bucket = aws_s3_bucket.flow_logs.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "flow_logs" {
  bucket = aws_s3_bucket.flow_logs.id

  rule {
    id     = "flow-logs"
    status = "Enabled"
    filter {}
    expiration { days = var.days }
    abort_incomplete_multipart_upload { days_after_initiation = 7 }
  }
}

resource "aws_s3_bucket_policy" "flow_logs" {
  bucket = aws_s3_bucket.flow_logs.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AWSLogDeliveryWrite"
        Effect    = "Allow"
        Principal = { Service = "delivery.logs.amazonaws.com" }
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arn}/*"
        Condition = merge(local.source, {
          StringEquals = merge(local.source.StringEquals, { "s3:x-amz-acl" = "bucket-owner-full-control" })
        })
      },
      {
        Sid       = "AWSLogDeliveryAclCheck"
        Effect    = "Allow"
        Principal = { Service = "delivery.logs.amazonaws.com" }
        Action    = ["s3:GetBucketAcl", "s3:ListBucket"]
        Resource  = local.bucket_arn
        Condition = local.source
      },
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}
