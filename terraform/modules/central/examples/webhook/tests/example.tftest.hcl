mock_provider "aws" {
  source = "../../../../tests/mocks"
}

variables {
  netskope_token = "a-token"
  external_id    = "the-external-id"
  package_dir    = "tests/packages"
  webhook_url    = "https://acme.atlassian.net/rest/api/2/issue"
}

run "a_message_becomes_an_issue" {
  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.webhook.event_pattern).detail.bucket == ["autoremediate-111111111111-eu-west-1"] && aws_cloudwatch_event_rule.webhook.event_bus_name == "default"
    error_message = "The rule listens to something else: ${aws_cloudwatch_event_rule.webhook.event_pattern}."
  }

  # As it is once EventBridge has put the values in
  assert {
    condition = jsondecode(aws_cloudwatch_event_target.webhook.input_transformer[0].input_template) == {
      fields = {
        project     = { key = "SEC" }, issuetype = { name = "Task" }, labels = ["autoremediate"], summary = "<title>"
        description = "<what>\n\n<which>\n<why>\n<origin>\n\nTo see more: <command>"
      }
    } && !strcontains(aws_cloudwatch_event_target.webhook.input_transformer[0].input_template, "\\u003")
    error_message = "The template is ${aws_cloudwatch_event_target.webhook.input_transformer[0].input_template}."
  }

  assert {
    condition     = alltrue([for name, path in aws_cloudwatch_event_target.webhook.input_transformer[0].input_paths : strcontains(aws_cloudwatch_event_target.webhook.input_transformer[0].input_template, "<${name}>")])
    error_message = "A text is not used."
  }

  assert {
    condition     = alltrue([for basic in aws_cloudwatch_event_connection.webhook.auth_parameters[0].basic : basic.password == "written-by-hand"])
    error_message = "A credential would be in the state."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.webhook.policy).Statement[0].Action == "events:InvokeApiDestination" && aws_cloudwatch_event_target.webhook.role_arn == aws_iam_role.webhook.arn
    error_message = "EventBridge may not call the webhook."
  }
}

run "a_webhook_without_tls" {
  command = plan

  variables {
    webhook_url = "http://acme.example.com"
  }

  expect_failures = [var.webhook_url]
}
