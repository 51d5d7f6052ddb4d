mock_provider "aws" {
  source = "../../../../tests/mocks"
}

override_data {
  target = module.target_role.data.aws_caller_identity.this
  values = { account_id = "222222222222" }
}

variables {
  external_id = "the-external-id"
}

run "it_is_deployed" {
  assert {
    condition     = output.role_names == { s3-public-bucket = "autoremediate-s3-public-bucket" }
    error_message = "The roles are ${jsonencode(output.role_names)}."
  }
}
