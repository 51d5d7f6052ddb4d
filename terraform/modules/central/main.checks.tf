# A warning only: this works in the management account, but service control policies do not bind that account, and
# whoever gets hold of it has the organization.
#
# The data source stands outside of the check: inside, it would be read again by every apply, and so no plan would
# ever be empty. Hence the variable, for where it cannot be read.

data "aws_organizations_organization" "this" {
  count = var.organization_check ? 1 : 0
}

check "not_in_the_management_account" {
  assert {
    condition     = alltrue([for organization in data.aws_organizations_organization.this : organization.master_account_id != local.account])
    error_message = "Account ${local.account} is the organization's management account. Deploy to a member account, such as the one of your security tools."
  }
}
