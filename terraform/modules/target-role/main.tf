# The roles of one target account. Applied in the target account, once, however many regions it uses. Each rule has
#
# - its own role, which fixes: <prefix>-<rule>;
# - where there are operators, a role that takes a fix back, and nobody else can: <prefix>-<rule>-undo (main.people.tf);
# - where there are readers, a role that can only look: <prefix>-<rule>-reader (main.people.tf);
# - where it passes a role to an AWS service, such as Systems Manager for a runbook, that one: <prefix>-<rule>-service.
#
# Invariants:
# - a role allows exactly the actions of its rule's manifest for it, and nothing else: the rule's own read, write and
#   extra, and directly in a partition that lacks the rule's runbook; the one that takes back read and undo; a reader's
#   read;
# - a rule's own role trusts only the central roles of that rule and the roles in operator_role_arns, the one that takes
#   back only those in operator_role_arns, and a reader's only those in reader_role_arns (main.trust.tf);
# - a service role trusts only its service, and only on behalf of this account;
# - the doctor's role, with which the command line checks all of this, trusts only the operators, can only read, and
#   exists only where there are operators.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}

locals {
  partition = data.aws_partition.this.partition

  # A name is that of a policy of this account; an ARN may say where this account's ID goes
  permissions_boundary = var.permissions_boundary == null ? null : replace(
    startswith(var.permissions_boundary, "arn:") ? var.permissions_boundary : "arn:${local.partition}:iam::{account}:policy/${var.permissions_boundary}",
    "{account}",
    data.aws_caller_identity.this.account_id,
  )

  role_names = { for id in keys(var.rules) : id => "${var.name_prefix}-${id}" }

  # The values of the placeholders in a manifest's ARNs
  placeholders = {
    "{partition}" = local.partition
    "{account}"   = data.aws_caller_identity.this.account_id
    "{region}"    = "*"
    "{prefix}"    = var.name_prefix
  }

  service_roles = { for id, manifest in var.rules : id => manifest.service_role if manifest.service_role != null }

  # The permissions of each manifest and of its service role, with the placeholders of their resources filled in.
  # `scope` is what a statement applies to: the resource and its condition.
  permissions = {
    for id, manifest in var.rules : id => flatten([
      for kind, listed in {
        read     = manifest.read
        write    = manifest.write
        directly = try(contains(manifest.runbook.missing_in, local.partition), false) ? manifest.directly : []
        extra    = manifest.extra
        undo     = manifest.undo
        service  = manifest.service_role == null ? [] : manifest.service_role.permissions
        } : [
        for permission in listed : {
          kind   = kind
          action = permission.action
          scope = jsonencode(merge(
            { Resource = join("", [for part in regexall("[{][a-z]+[}]|[^{]+|[{]", permission.resource) : lookup(local.placeholders, part, part)]) },
            permission.condition == null ? {} : {
              Condition = {
                for operator, values in permission.condition : operator => {
                  for key, value in values :
                  key => join("", [for part in regexall("[{][a-z]+[}]|[^{]+|[{]", value) : lookup(local.placeholders, part, part)])
                }
              }
            },
          ))
        }
      ]
    ])
  }

  # One statement for each kind, resource and condition
  statements = {
    for id, permissions in local.permissions : id => {
      for kind in ["read", "write", "directly", "extra", "undo", "service"] : kind => [
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
}

resource "aws_iam_role" "rule" {
  for_each = var.rules

  name                 = local.role_names[each.key]
  description          = "autoremediate: what the rule ${each.key} may do in this account"
  path                 = "/"
  max_session_duration = 3600
  permissions_boundary = local.permissions_boundary
  tags                 = var.tags
  assume_role_policy   = local.trust_policies[each.key]

  # A rule's own role trusts the most: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
  lifecycle {
    precondition {
      condition     = length(local.trust_policies[each.key]) <= 2048
      error_message = "The trust policy of ${local.role_names[each.key]} has ${length(local.trust_policies[each.key])} characters, and IAM takes 2,048 unless the account's quota is higher. Name fewer roles in operator_role_arns, such as one that several people may assume."
    }

    precondition {
      condition     = length(local.clashing_tags) == 0
      error_message = "IAM takes no two tags whose keys differ in capitals alone; of `tags` and of the provider's default tags these do: ${join("; ", local.clashing_tags)}."
    }
  }
}

resource "aws_iam_role_policy" "rule" {
  for_each = var.rules

  name = "manifest"
  role = aws_iam_role.rule[each.key].name

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat([for kind in ["read", "write", "directly", "extra"] : local.statements[each.key][kind]]...)
  })
}

resource "aws_iam_role" "service" {
  for_each = local.service_roles

  name                 = "${local.role_names[each.key]}-service"
  description          = "autoremediate: what ${each.value.service} may do in this account for the rule ${each.key}"
  path                 = "/"
  permissions_boundary = local.permissions_boundary
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
