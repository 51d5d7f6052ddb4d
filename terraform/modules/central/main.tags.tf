# IAM takes no two tags whose keys differ in capitals alone, and the provider adds its default tags to ours: found when it is
# planned, instead of by the first role that is made.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html

data "aws_default_tags" "this" {}

locals {
  clashing_tags = sort([
    for pair in setproduct(keys(var.tags), keys(data.aws_default_tags.this.tags)) : join(" and ", pair)
    if lower(pair[0]) == lower(pair[1]) && pair[0] != pair[1]
  ])
}
