# The role of `autoremediate doctor`: what it asks IAM and Systems Manager, and nothing else.

locals {
  doctor_roles = length(var.operator_role_arns) > 0 ? toset(["doctor"]) : toset([])

  # Those that this partition has
  runbooks = sort(distinct([
    for manifest in values(var.rules) : manifest.runbook.name
    if manifest.runbook == null ? false : !contains(manifest.runbook.missing_in, local.partition)
  ]))
}

resource "aws_iam_role" "doctor" {
  for_each = local.doctor_roles

  name                 = "${var.name_prefix}-doctor"
  description          = "autoremediate: lets operators see whether what the rules need is in this account"
  path                 = "/"
  max_session_duration = 3600
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  # Two statements, as for a rule's role: an operator's session may have a source identity, which goes with it
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Assume"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${var.central_account_id}:root" }
        Action    = "sts:AssumeRole"
        Condition = {
          ArnEquals    = { "aws:PrincipalArn" = sort(var.operator_role_arns) }
          StringEquals = { "sts:ExternalId" = var.external_id }
        }
      },
      {
        Sid       = "KeepTheSource"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${var.central_account_id}:root" }
        Action    = "sts:SetSourceIdentity"
        Condition = {
          ArnEquals = { "aws:PrincipalArn" = sort(var.operator_role_arns) }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "doctor" {
  for_each = local.doctor_roles

  name = "doctor"
  role = aws_iam_role.doctor[each.key].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "Roles"
          Effect   = "Allow"
          Action   = ["iam:GetRole", "iam:SimulatePrincipalPolicy"]
          Resource = ["arn:${local.partition}:iam::${data.aws_caller_identity.this.account_id}:role/${var.name_prefix}-*"]
        },
      ],
      # A runbook is Amazon's, so its ARN has no account
      length(local.runbooks) == 0 ? [] : [
        {
          Sid      = "Runbooks"
          Effect   = "Allow"
          Action   = ["ssm:DescribeDocument"]
          Resource = [for name in local.runbooks : "arn:${local.partition}:ssm:*::document/${name}"]
        },
      ],
    )
  })
}
