# The rules of this repository, read from crates/rules/*/rule.json, and those of one's own (main.further.tf). Needs no provider.
#
# Nothing else in Terraform reads manifests: a new folder there is deployed without a change here. The other modules
# take the map that this one returns.

locals {
  directory = "${path.module}/../../../crates/rules"

  own = {
    for file in fileset(local.directory, "*/rule.json") :
    dirname(file) => jsondecode(file("${local.directory}/${file}"))
  }
  manifests = merge(local.further, local.own)
  ids       = toset(keys(local.manifests))
}
