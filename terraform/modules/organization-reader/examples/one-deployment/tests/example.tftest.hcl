mock_provider "aws" {
  source = "../../../../tests/mocks"
}

variables {
  external_id = "the-external-id"
}

run "it_is_deployed" {
  assert {
    condition     = strcontains(output.role_arn, ":role/")
    error_message = "The role is ${output.role_arn}."
  }
}
