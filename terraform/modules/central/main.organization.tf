# Where accounts are: the poller reads the organization now and then, and keeps it in the bucket for whoever reads the
# policy. Without the variable nobody asks Organizations for anything, and there is no such object.
#
# Of the accounts' tags it keeps those whose keys the policy names for overrides, change windows and freezes, and asks for none
# if it names none: that is one call an account.

locals {
  # What applies to some accounts alone
  for_accounts     = concat(local.policy.overrides, local.policy.change_windows, local.policy.freezes)
  account_tag_keys = sort(distinct(flatten([for of in local.for_accounts : keys(of.account_tags)])))

  # For the poller's own environment and policy
  organization_environment = var.organization == null ? {} : {
    ORGANIZATION = jsonencode({
      refresh_hours   = var.organization.refresh_hours
      tag_keys        = local.account_tag_keys
      reader_role_arn = var.organization.reader_role_arn
      external_id     = var.organization.external_id
    })
  }
  organization_statements = flatten([
    for organization in var.organization == null ? [] : [var.organization] : [
      [
        for arn in organization.reader_role_arn == null ? [] : [organization.reader_role_arn] : {
          Sid      = "OrganizationReader"
          Effect   = "Allow"
          Action   = ["sts:AssumeRole"]
          Resource = [arn]
        }
      ],
      # Roots, units and accounts have ARNs with the management account's ID and their own, which are not known before
      [
        for own in [organization.reader_role_arn == null] : {
          Sid    = "Organization"
          Effect = "Allow"
          Action = concat(
            [
              "organizations:DescribeOrganization",
              "organizations:ListAccountsForParent",
              "organizations:ListOrganizationalUnitsForParent",
              "organizations:ListRoots",
            ],
            length(local.account_tag_keys) > 0 ? ["organizations:ListTagsForResource"] : [],
          )
          Resource = ["*"]
        } if own
      ],
    ]
  ])
}

check "somebody_tells_where_accounts_are" {
  assert {
    condition = var.organization != null || length(local.policy.accounts) > 0 || alltrue([
      for of in local.for_accounts : length(of.organizational_units) + length(of.account_tags) == 0
    ])
    error_message = "Overrides, change windows or freezes of the policy name organizational units or account tags, but nothing tells which accounts these are, so they apply nowhere. Set `organization`, or list the accounts in policy.accounts."
  }
}
