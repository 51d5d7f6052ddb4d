mock_provider "aws" {
  source = "../../../../tests/mocks"
}

variables {
  bucket          = "flow-logs-example"
  organization_id = "o-a1b2c3d4e5"
}

run "lets_the_organizations_flow_logs_in_and_nobody_else" {
  command = plan

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_s3_bucket_policy.flow_logs.policy).Statement :
      statement.Principal == { Service = "delivery.logs.amazonaws.com" } &&
      statement.Condition.StringEquals["aws:SourceOrgID"] == "o-a1b2c3d4e5" &&
      statement.Condition.ArnLike["aws:SourceArn"] == "arn:aws:logs:*:*:*"
      if statement.Effect == "Allow"
    ])
    error_message = "Somebody else is let in."
  }

  assert {
    condition     = output.destination == "arn:aws:s3:::flow-logs-example"
    error_message = "The destination is ${output.destination}."
  }
}

run "no_organization" {
  command = plan

  variables {
    organization_id = "ou-ab12-11111111"
  }

  expect_failures = [var.organization_id]
}
