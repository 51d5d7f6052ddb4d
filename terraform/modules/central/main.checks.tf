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

# An account that has not enabled an opt-in region gives no session there, so what has no region would be left as it is in such
# accounts. These regions every account has:
# https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html
locals {
  always_enabled = [
    "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1",
    "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1",
    "us-west-2",
  ]
}

check "the_home_region_is_everywhere" {
  assert {
    condition     = local.partition != "aws" || contains(local.always_enabled, var.home_region)
    error_message = "The home region ${var.home_region} is one that each account has to enable first. What has no region, such as IAM users, is left as it is in accounts that have not. Choose a region that every account has, such as us-east-1."
  }
}
