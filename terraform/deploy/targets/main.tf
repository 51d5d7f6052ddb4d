# The roles of one target account. Apply it once for each account, each time in a workspace named after the account:
#
#   terraform workspace select -or-create 222222222222
#   terraform apply -var account_id=222222222222
#
# Credentials, and the endpoint of an emulator (AWS_ENDPOINT_URL), come from the environment. The credentials must be
# allowed to assume deploy_role_name in the target account or, where deploy_role_name is empty, be the target's own.

# A region can be newer than the provider, so neither compares it with the provider's own list
provider "aws" {
  alias                  = "caller"
  region                 = var.region
  skip_region_validation = true
}

provider "aws" {
  region                 = var.region
  skip_region_validation = true

  dynamic "assume_role" {
    for_each = compact([var.deploy_role_name])
    content {
      role_arn     = "arn:${data.aws_partition.caller.partition}:iam::${var.account_id}:role/${assume_role.value}"
      session_name = "autoremediate-deploy"
    }
  }

  default_tags {
    tags = { application = var.name_prefix }
  }
}

data "aws_partition" "caller" {
  provider = aws.caller
}

# The credentials decide which account gets the roles, so they are checked before anything is planned
data "aws_caller_identity" "target" {
  lifecycle {
    postcondition {
      condition     = self.account_id == var.account_id
      error_message = "The credentials are for account ${self.account_id}, not for ${var.account_id}."
    }

    postcondition {
      condition     = contains(["default", var.account_id], terraform.workspace)
      error_message = "The workspace is ${terraform.workspace}, but the account is ${var.account_id}. Select the workspace that is named after the account."
    }
  }
}

module "catalog" {
  source = "../../modules/catalog"

  rules         = var.rules
  further_rules = var.further_rules
}

module "target_role" {
  source = "../../modules/target-role"

  rules                = module.catalog.rules
  central_account_id   = var.central_account_id
  external_id          = var.external_id
  operator_role_arns   = var.operator_role_arns
  reader_role_arns     = var.reader_role_arns
  name_prefix          = var.name_prefix
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags
}
