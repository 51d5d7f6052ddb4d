# The roles of one target account, one a rule. Applied in the target account, once, whatever its number of regions.
# A rule that passes a role on to an AWS service, such as Systems Manager for a runbook, has that service role, too.
#
# Invariants:
# - a role allows exactly the actions of its rule's manifest (read, write and extra), and nothing else;
# - a role trusts only the central roles of its own rule: the account, aws:PrincipalArn and the external ID must agree.
#   People get in only by operator_role_arns, under the same conditions;
# - a service role trusts only its service, and only for what is of this account;
# - the doctor's role, with which the command line looks whether all of this is so, lets in operators alone, can look and
#   nothing else, and is there only where there are operators.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}

locals {
  partition = data.aws_partition.this.partition

  role_names = { for id in keys(var.rules) : id => "${var.name_prefix}-${id}" }

  # What the placeholders of a manifest's ARNs stand for
  placeholders = {
    "{partition}" = local.partition
    "{account}"   = data.aws_caller_identity.this.account_id
    "{region}"    = "*"
    "{prefix}"    = var.name_prefix
  }

  service_roles = { for id, manifest in var.rules : id => manifest.service_role if manifest.service_role != null }

  # The permissions of the manifest and of its service role, with the placeholders of their resources filled in. `scope`
  # is what a statement is about: the resource and its condition.
  permissions = {
    for id, manifest in var.rules : id => flatten([
      for kind, listed in {
        read    = manifest.read
        write   = manifest.write
        extra   = manifest.extra
        service = manifest.service_role == null ? [] : manifest.service_role.permissions
        } : [
        for permission in listed : {
          kind   = kind
          action = permission.action
          scope = jsonencode(merge(
            { Resource = join("", [for part in regexall("[{][a-z]+[}]|[^{]+|[{]", permission.resource) : lookup(local.placeholders, part, part)]) },
            permission.condition == null ? {} : { Condition = permission.condition },
          ))
        }
      ]
    ])
  }

  # One statement for each kind, resource and condition
  statements = {
    for id, permissions in local.permissions : id => {
      for kind in ["read", "write", "extra", "service"] : kind => [
        for index, scope in sort(distinct([for p in permissions : p.scope if p.kind == kind])) : merge(
          {
            Sid    = "${title(kind)}${index + 1}"
            Effect = "Allow"
            Action = sort(distinct([for p in permissions : p.action if p.kind == kind && p.scope == scope]))
          },
          jsondecode(scope),
        )
      ]
    }
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
    Statement = concat([for kind in ["read", "write", "extra"] : local.statements[each.key][kind]]...)
  })
}

resource "aws_iam_role" "service" {
  for_each = local.service_roles

  name                 = "${local.role_names[each.key]}-service"
  description          = "autoremediate: what ${each.value.service} may do in this account for the rule ${each.key}"
  path                 = "/"
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  # Both conditions: https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = each.value.service }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.this.account_id }
        ArnLike      = { "aws:SourceArn" = join("", [for part in regexall("[{][a-z]+[}]|[^{]+|[{]", each.value.source) : lookup(local.placeholders, part, part)]) }
      }
    }]
  })
}

resource "aws_iam_role_policy" "service" {
  for_each = local.service_roles

  name = "manifest"
  role = aws_iam_role.service[each.key].name

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.statements[each.key].service
  })
}
