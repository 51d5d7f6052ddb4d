# Findings and approvals arrive here; plans, reports and the other records are kept here.

resource "aws_s3_bucket" "this" {
  # checkov:skip=CKV_AWS_144:Each region's deployment has its own records, and a lost batch comes again with the next poll
  # checkov:skip=CKV_AWS_145:S3 encrypts every object; a key of your own is a choice, not a default

  bucket        = local.bucket
  force_destroy = var.force_destroy
  tags          = var.tags

  object_lock_enabled = var.object_lock == null ? null : true

  lifecycle {
    # A bucket that is there gets Object Lock below, instead of being replaced; and it never loses it again
    ignore_changes = [object_lock_enabled]
  }
}

locals {
  # As the Lambdas and the command line read it
  object_lock = var.object_lock == null ? {} : { OBJECT_LOCK = "${var.object_lock.mode}/${var.object_lock.days}" }
}

# Without a default retention, which would lock the cards as well: each writer asks for a retention for what it puts
resource "aws_s3_bucket_object_lock_configuration" "this" {
  for_each = var.object_lock == null ? toset([]) : toset(["enabled"])

  bucket = aws_s3_bucket.this.id

  # Only a bucket with versions can have locks
  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_versioning" "this" {
  bucket = aws_s3_bucket.this.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_ownership_controls" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket = aws_s3_bucket.this.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    # One data key for many objects: S3 then asks KMS seldom
    bucket_key_enabled = var.kms_key_arn != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  # Current versions expire by the time since they were written, earlier ones by the time since they were replaced
  dynamic "rule" {
    for_each = local.folders
    content {
      id     = rule.key
      status = "Enabled"
      filter { prefix = local.prefixes[rule.key] }
      expiration { days = rule.value.days }
      noncurrent_version_expiration { noncurrent_days = rule.value.noncurrent_days }
    }
  }

  # Only their earlier versions
  dynamic "rule" {
    for_each = local.objects
    content {
      id     = rule.key
      status = "Enabled"
      filter { prefix = rule.value.key }
      noncurrent_version_expiration { noncurrent_days = try(rule.value.noncurrent_days, var.record_retention_days) }
    }
  }

  rule {
    id     = "leftovers"
    status = "Enabled"
    filter {}
    expiration { expired_object_delete_marker = true }
    abort_incomplete_multipart_upload { days_after_initiation = 1 }
  }

  # Noncurrent versions exist only with versioning
  depends_on = [aws_s3_bucket_versioning.this]
}
