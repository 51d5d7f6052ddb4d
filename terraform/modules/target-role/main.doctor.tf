# The role of `autoremediate doctor`: it can ask IAM and Systems Manager what the command shows, and do nothing else.

locals {
  doctor_roles = length(var.operator_role_arns) > 0 ? toset(["doctor"]) : toset([])

  # The roles of Netskope's own stack, <name>_<region>: doctor says whether they are still here
  netskope_roles = [
    "BPR-0-6-NACLTargetRole",
    "BPR-1-0-0-S3BucketPublicAccessTargetRole",
    "BPR-1-9-RedShiftClusterPublicTargetRole",
    "BPR-3-8-RDSSnapshotsPublicTargetRole",
    "CIS-1-2-0-1-4-AccessKeyRotationTargetRole",
    "CIS-1-2-0-2-2-CloudTrailLogFileTargetRole",
    "CIS-1-2-0-2-9-VPCFlowLogsRole",
    "CIS-1-2-0-2-9-VPCFlowLogsTargetRole",
    "CIS-1-2-0-4-1-SecurityGroupsTargetRole",
  ]

  # Those that exist in this partition
  runbooks = sort(distinct([
    for manifest in values(var.rules) : manifest.runbook.name
    if manifest.runbook == null ? false : !contains(manifest.runbook.missing_in, local.partition)
  ]))
}

resource "aws_iam_role" "doctor" {
  for_each = local.doctor_roles

  name                 = "${var.name_prefix}-doctor"
  description          = "autoremediate: lets operators check that this account has what the rules need"
  path                 = "/"
  max_session_duration = 3600
  permissions_boundary = local.permissions_boundary
  tags                 = var.tags
  assume_role_policy   = local.trust_policies[each.key]
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
        {
          Sid      = "NetskopesOwnRoles"
          Effect   = "Allow"
          Action   = ["iam:GetRole"]
          Resource = [for name in local.netskope_roles : "arn:${local.partition}:iam::${data.aws_caller_identity.this.account_id}:role/${name}_*"]
        },
      ],
      # Amazon owns the runbooks, so their ARNs have no account
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
