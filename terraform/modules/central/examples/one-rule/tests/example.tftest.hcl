mock_provider "aws" {
  source = "../../../../tests/mocks"
}

variables {
  netskope_token = "a-token"
  external_id    = "the-external-id"
  package_dir    = "tests/packages"
}

run "it_is_deployed" {
  assert {
    condition     = output.bucket == "autoremediate-111111111111-eu-west-1" && module.central.modes == { s3-public-bucket = "plan" }
    error_message = "The bucket is ${output.bucket}, and the modes are ${jsonencode(module.central.modes)}."
  }
}
