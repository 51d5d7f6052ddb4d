# The role in the management account, whose credentials are in the environment, for one central account.

provider "aws" {
  region = "us-east-1"
}

module "organization_reader" {
  source = "../.."

  central_account_id = "111111111111"
  external_id        = var.external_id
}
