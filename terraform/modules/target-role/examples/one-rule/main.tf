# The role of one rule in the target account whose credentials are in the environment.

provider "aws" {
  region = "eu-west-1"
}

module "catalog" {
  source = "../../../catalog"

  rules = ["s3-public-bucket"]
}

module "target_role" {
  source = "../.."

  rules              = module.catalog.rules
  central_account_id = "111111111111"
  external_id        = var.external_id
}
