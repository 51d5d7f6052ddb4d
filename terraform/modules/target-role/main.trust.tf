# Who may assume the roles of the rules, of people and of `autoremediate doctor`: a trust policy for each, all of one form.
#
# A rule's central roles are named <prefix>-<rule>-<region>, and are trusted by a pattern: IAM takes 2,048 characters of a
# trust policy, which the ARNs of nine regions fill. Every region code has two hyphens or more, so the pattern matches
# neither -undo nor -reader nor -service, which the central account has as well where it is a target.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html

locals {
  # By role: a rule's ID, the same with -undo or -reader, or `doctor`. aws:PrincipalArn of a session is the ARN of its
  # role.
  trusted_arns = merge(
    {
      for id, name in local.role_names : id => concat(
        ["arn:${local.partition}:iam::${var.central_account_id}:role/${name}-*-*-*"],
        sort(var.operator_role_arns),
      )
    },
    { for id in keys(local.undo_rules) : "${id}-undo" => sort(var.operator_role_arns) },
    { for id in keys(local.reader_rules) : "${id}-reader" => sort(var.reader_role_arns) },
    { for role in local.doctor_roles : role => sort(var.operator_role_arns) },
  )

  # The account, aws:PrincipalArn and the external ID must all agree.
  #
  # Two statements, because STS authorizes the two actions of an AssumeRole call separately and sends sts:ExternalId only
  # with AssumeRole: on SetSourceIdentity that condition would never hold. By itself, SetSourceIdentity opens nothing.
  # A Lambda names its run in the source identity; an operator's session may come with one that it cannot drop.
  trust_policies = {
    for role, arns in local.trusted_arns : role => jsonencode({
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "Assume"
          Effect    = "Allow"
          Principal = { AWS = "arn:${local.partition}:iam::${var.central_account_id}:root" }
          Action    = "sts:AssumeRole"
          Condition = {
            ArnLike      = { "aws:PrincipalArn" = arns }
            StringEquals = { "sts:ExternalId" = var.external_id }
          }
        },
        {
          Sid       = "SetSourceIdentity"
          Effect    = "Allow"
          Principal = { AWS = "arn:${local.partition}:iam::${var.central_account_id}:root" }
          Action    = "sts:SetSourceIdentity"
          Condition = { ArnLike = { "aws:PrincipalArn" = arns } }
        },
      ]
    })
  }
}
