# The rules of this repository, read from crates/rules/*/rule.json. Needs no provider.
#
# Nothing else in Terraform reads the manifests: a new folder there is deployed without a change here. The other modules
# take the map that this one returns.

locals {
  directory = "${path.module}/../../../crates/rules"

  manifests = {
    for file in fileset(local.directory, "*/rule.json") :
    dirname(file) => jsondecode(file("${local.directory}/${file}"))
  }
  ids = toset(keys(local.manifests))
}
