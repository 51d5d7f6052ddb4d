# One rule in one region, which plans and changes nothing.

provider "aws" {
  region = "eu-west-1"
}

module "catalog" {
  source = "../../../catalog"

  rules = ["s3-public-bucket"]
}

module "central" {
  source = "../.."

  rules           = module.catalog.rules
  netskope_tenant = "acme.goskope.com"
  netskope_token  = var.netskope_token
  home_region     = "eu-west-1"
  external_id     = var.external_id
  package_dir     = var.package_dir
  policy          = { mode = "plan", scope = { organization = "o-a1b2c3d4e5" } }
}
