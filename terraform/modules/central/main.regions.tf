# The regions whose resources this deployment looks after. Resources without a region, such as IAM users, belong to the
# deployment that looks after home_region.
#
# Two deployments that look after one region would both fix it, each with cards, limits and records of its own. IAM has one
# policy of a name in an account, whatever region it was made in: so each region has one that is named after it, and the
# second deployment fails before its Lambdas are told of the region. The policy lets nobody do anything that everybody may not.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html

locals {
  regions = sort(coalesce(var.regions, [local.region]))
}

resource "aws_iam_policy" "region" {
  for_each = toset(local.regions)

  name        = "${var.name_prefix}-looks-after-${each.key}"
  description = "autoremediate: ${each.key} is looked after by the deployment in ${local.region}. Nobody needs this policy; it keeps other deployments of this account from looking after that region."
  tags        = var.tags

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Sid = "Nothing", Effect = "Allow", Action = ["sts:GetCallerIdentity"], Resource = ["*"] }]
  })
}
