# The role of the management account with which the poller of a central deployment reads where accounts are. Applied in the
# management account, once for all deployments of one central account.
#
# Invariants:
# - it reads the organization, its units, and the accounts and their tags, and nothing else;
# - it trusts only the pollers of one account, by a pattern on the names of their roles, as target-role does, and only with
#   the external ID.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}

locals {
  partition = data.aws_partition.this.partition
  name      = "${var.name_prefix}-organization-reader"
}

resource "aws_iam_role" "reader" {
  name                 = local.name
  description          = "autoremediate: reads units, accounts and their tags for the pollers of ${var.central_account_id}"
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Assume"
      Effect    = "Allow"
      Principal = { AWS = "arn:${local.partition}:iam::${var.central_account_id}:root" }
      Action    = "sts:AssumeRole"
      Condition = {
        # The end of a poller's role is the code of its region
        ArnLike      = { "aws:PrincipalArn" = "arn:${local.partition}:iam::${var.central_account_id}:role/${var.name_prefix}-poller-*-*-*" }
        StringEquals = { "sts:ExternalId" = var.external_id }
      }
    }]
  })
}

resource "aws_iam_role_policy" "reader" {
  name = "organization"
  role = aws_iam_role.reader.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # These take no resource
        Sid      = "Organization"
        Effect   = "Allow"
        Action   = ["organizations:DescribeOrganization", "organizations:ListRoots"]
        Resource = "*"
      },
      {
        Sid    = "Units"
        Effect = "Allow"
        Action = ["organizations:ListAccountsForParent", "organizations:ListOrganizationalUnitsForParent"]
        Resource = [
          for kind in ["ou", "root"] : "arn:${local.partition}:organizations::${data.aws_caller_identity.this.account_id}:${kind}/o-*/*"
        ]
      },
      {
        Sid      = "Tags"
        Effect   = "Allow"
        Action   = ["organizations:ListTagsForResource"]
        Resource = ["arn:${local.partition}:organizations::${data.aws_caller_identity.this.account_id}:account/o-*/*"]
      },
    ]
  })
}
