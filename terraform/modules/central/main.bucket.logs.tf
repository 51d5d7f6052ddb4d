# Who asked the bucket for what: its server access logs, in a bucket of their own, because no AWS service may put anything
# into the bucket of the records. They come within hours, and now and then one is missing:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerLogs.html

locals {
  access_logs     = "${local.bucket}-logs"
  access_logs_arn = "arn:${local.partition}:s3:::${local.access_logs}"
}

resource "aws_s3_bucket" "access_logs" {
  # checkov:skip=CKV2_AWS_62:Nothing waits for an access log; it is read where somebody asks who did what
  # checkov:skip=CKV_AWS_144:Each region's deployment has its own records, and its own access logs
  # checkov:skip=CKV_AWS_145:S3 delivers access logs only to a bucket that is encrypted with its own keys, not with KMS

  bucket        = local.access_logs
  force_destroy = var.force_destroy
  tags          = var.tags
}

resource "aws_s3_bucket_versioning" "access_logs" {
  bucket = aws_s3_bucket.access_logs.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_ownership_controls" "access_logs" {
  bucket = aws_s3_bucket.access_logs.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "access_logs" {
  bucket = aws_s3_bucket.access_logs.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# S3 delivers no logs to a bucket that a KMS key encrypts:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
resource "aws_s3_bucket_server_side_encryption_configuration" "access_logs" {
  bucket = aws_s3_bucket.access_logs.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "access_logs" {
  bucket = aws_s3_bucket.access_logs.id

  rule {
    id     = "logs"
    status = "Enabled"
    filter {}
    expiration { days = var.access_log_retention_days }
    noncurrent_version_expiration { noncurrent_days = 1 }
    abort_incomplete_multipart_upload { days_after_initiation = 1 }
  }

  # Noncurrent versions exist only with versioning
  depends_on = [aws_s3_bucket_versioning.access_logs]
}

resource "aws_s3_bucket_policy" "access_logs" {
  bucket = aws_s3_bucket.access_logs.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid       = "TlsOnly"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:*"
          Resource  = [local.access_logs_arn, "${local.access_logs_arn}/*"]
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
        {
          Sid       = "Delivery"
          Effect    = "Allow"
          Principal = { Service = "logging.s3.amazonaws.com" }
          Action    = "s3:PutObject"
          Resource  = "${local.access_logs_arn}/*"
          Condition = {
            ArnLike      = { "aws:SourceArn" = local.bucket_arn }
            StringEquals = { "aws:SourceAccount" = local.account }
          }
        },
        {
          Sid       = "OnlyDelivery"
          Effect    = "Deny"
          Principal = "*"
          Action    = ["s3:PutObject", "s3:ReplicateObject"]
          Resource  = "${local.access_logs_arn}/*"
          Condition = { Bool = { "aws:PrincipalIsAWSService" = "false" } }
        },
      ],
      [
        for deletes in [false] : {
          Sid       = "NobodyDeletes"
          Effect    = "Deny"
          Principal = "*"
          Action    = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
          Resource  = "${local.access_logs_arn}/*"
        } if var.force_destroy == deletes
      ],
    )
  })

  # S3 refuses two changes of a bucket's access at a time
  depends_on = [aws_s3_bucket_public_access_block.access_logs]
}

resource "aws_s3_bucket_logging" "this" {
  bucket        = aws_s3_bucket.this.id
  target_bucket = aws_s3_bucket.access_logs.id
  target_prefix = "${local.bucket}/"

  depends_on = [aws_s3_bucket_policy.access_logs, aws_s3_bucket_ownership_controls.access_logs]
}
