# The roles of one target account, one a rule. Applied in the target account, once, whatever its number of regions.
#
# Invariants:
# - a role allows exactly the actions of its rule's manifest (read, write and extra), and nothing else;
# - a role trusts only the central roles of its own rule: the account, aws:PrincipalArn and the external ID must agree.
#   People get in only by operator_role_arns, under the same conditions.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}

locals {
  partition = data.aws_partition.this.partition

  role_names = { for id in keys(var.rules) : id => "${var.name_prefix}-${id}" }

  # The manifest's permissions, with the placeholders of their resources filled in
  permissions = {
    for id, manifest in var.rules : id => flatten([
      for kind in ["read", "write", "extra"] : [
        for permission in manifest[kind] : {
          kind   = kind
          action = permission.action
          resource = replace(replace(replace(replace(permission.resource,
            "{partition}", local.partition),
            "{account}", data.aws_caller_identity.this.account_id),
            "{region}", "*"),
          "{prefix}", var.name_prefix)
        }
      ]
    ])
  }

  # One statement for each kind and resource
  statements = {
    for id, permissions in local.permissions : id => flatten([
      for kind in ["read", "write", "extra"] : [
        for index, resource in sort(distinct([for p in permissions : p.resource if p.kind == kind])) : {
          Sid      = "${title(kind)}${index + 1}"
          Effect   = "Allow"
          Action   = sort(distinct([for p in permissions : p.action if p.kind == kind && p.resource == resource]))
          Resource = resource
        }
      ]
    ])
  }

  # aws:PrincipalArn of a session is the ARN of its role
  trusted_arns = {
    for id in keys(var.rules) : id => concat(
      [
        for region in sort(var.central_regions) :
        "arn:${local.partition}:iam::${var.central_account_id}:role/${local.role_names[id]}-${region}"
      ],
      sort(var.operator_role_arns),
    )
  }
}

resource "aws_iam_role" "rule" {
  for_each = var.rules

  name                 = local.role_names[each.key]
  description          = "autoremediate: what the rule ${each.key} may do in this account"
  path                 = "/"
  max_session_duration = 3600
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  # Two statements, because STS authorizes the two actions of an AssumeRole call one by one and gives
  # sts:ExternalId only to AssumeRole: on SetSourceIdentity that condition would never hold. By itself,
  # SetSourceIdentity opens nothing.
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Assume"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${var.central_account_id}:root" }
        Action    = "sts:AssumeRole"
        Condition = {
          ArnEquals    = { "aws:PrincipalArn" = local.trusted_arns[each.key] }
          StringEquals = { "sts:ExternalId" = var.external_id }
        }
      },
      {
        Sid       = "NameTheRun"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${var.central_account_id}:root" }
        Action    = "sts:SetSourceIdentity"
        Condition = {
          ArnEquals = { "aws:PrincipalArn" = local.trusted_arns[each.key] }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "rule" {
  for_each = var.rules

  name = "manifest"
  role = aws_iam_role.rule[each.key].name

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.statements[each.key]
  })
}
