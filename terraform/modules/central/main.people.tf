# What people may do on the bucket, to attach to their roles. Who may apply a plan of its own cannot approve one: give a
# person both policies only if that is meant.

locals {
  people = {
    approver = {
      description = "autoremediate: reads plans and reports, and approves plans"
      read        = ["plans", "reports", "approvals"]
      write       = ["approvals"]
      bucket      = []
    }
    operator = {
      description = "autoremediate: plans, applies and undoes from the command line"
      read        = ["findings", "plans", "reports", "approvals", "exemptions", "fixes", "ledgers"]
      write       = ["plans", "reports", "exemptions", "fixes", "ledgers"]
      bucket      = ["s3:GetBucketNotification"] # for doctor
    }
  }
}

resource "aws_iam_policy" "person" {
  for_each = local.people

  name        = "${var.name_prefix}-${each.key}-${local.region}"
  description = "${each.value.description}, in ${local.region}"
  tags        = var.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "Read"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = concat(["${local.bucket_arn}/policy.json"], [for folder in each.value.read : "${local.bucket_arn}/${folder}/*"])
      },
      {
        Sid      = "Write"
        Effect   = "Allow"
        Action   = ["s3:PutObject"]
        Resource = [for folder in each.value.write : "${local.bucket_arn}/${folder}/*"]
      },
      {
        Sid       = "List"
        Effect    = "Allow"
        Action    = ["s3:ListBucket"]
        Resource  = [local.bucket_arn]
        Condition = { StringLike = { "s3:prefix" = [for folder in each.value.read : "${folder}/*"] } }
      },
      ], [
      for action in each.value.bucket : {
        Sid      = "Bucket"
        Effect   = "Allow"
        Action   = [action]
        Resource = [local.bucket_arn]
      }
    ])
  })
}
