# Findings and approvals come in here; plans, reports and what else is recorded stay here.

resource "aws_s3_bucket" "this" {
  bucket        = local.bucket
  force_destroy = var.force_destroy
  tags          = var.tags
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
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  bucket = aws_s3_bucket.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  # S3 refuses two changes of a bucket's access at a time
  depends_on = [aws_s3_bucket_public_access_block.this]
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    id     = "findings"
    status = "Enabled"
    filter { prefix = "findings/" }
    expiration { days = var.findings_retention_days }
    noncurrent_version_expiration { noncurrent_days = 1 }
  }

  # A record that was overwritten or deleted is kept as long as any other
  dynamic "rule" {
    for_each = ["plans", "reports", "approvals", "fixes"]
    content {
      id     = rule.value
      status = "Enabled"
      filter { prefix = "${rule.value}/" }
      expiration { days = var.record_retention_days }
      noncurrent_version_expiration { noncurrent_days = var.record_retention_days }
    }
  }

  # An undo's exemption lasts hours or days, and a ledger one run
  dynamic "rule" {
    for_each = ["exemptions", "ledgers"]
    content {
      id     = rule.value
      status = "Enabled"
      filter { prefix = "${rule.value}/" }
      expiration { days = 30 }
      noncurrent_version_expiration { noncurrent_days = 1 }
    }
  }

  rule {
    id     = "policy"
    status = "Enabled"
    filter { prefix = "policy.json" }
    noncurrent_version_expiration { noncurrent_days = var.record_retention_days }
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
