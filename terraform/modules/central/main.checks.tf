# Only a warning: the deployment works in the management account, but service control policies do not apply there, and
# whoever takes over that account has the whole organization.
#
# The data source is outside the check: inside, every apply would read it again, and no plan would ever be empty. So it
# needs the variable, for accounts that cannot read it.

data "aws_organizations_organization" "this" {
  count = var.organization_check ? 1 : 0
}

check "not_in_the_management_account" {
  assert {
    condition     = alltrue([for organization in data.aws_organizations_organization.this : organization.master_account_id != local.account])
    error_message = "Account ${local.account} is the management account of the organization. Deploy to a member account instead, such as that of your security tools."
  }
}
