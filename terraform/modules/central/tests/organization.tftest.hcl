# Where accounts are: who reads the organization, who writes and reads the record of it, and that nobody does without the
# variable.

mock_provider "aws" {
  source = "../../tests/mocks"
}

run "nothing_without_the_variable" {
  assert {
    condition     = !strcontains(aws_iam_role_policy.function["poller"].policy, "organizations:") && !strcontains(aws_s3_bucket_policy.this.policy, "organization.json")
    error_message = "The policy is ${aws_iam_role_policy.function["poller"].policy}."
  }

  assert {
    condition     = !can(aws_lambda_function.function["poller"].environment[0].variables.ORGANIZATION) && !can(jsondecode(aws_s3_object.policy.content).organization)
    error_message = "The policy is ${aws_s3_object.policy.content}."
  }
}

run "the_pollers_own_role" {
  variables {
    organization = {}
    policy = {
      scope     = { organization = "o-a1b2c3d4e5" }
      overrides = [{ account_tags = { team = "a", env = "prod" }, mode = "approve" }, { account_tags = { env = "test" }, mode = "apply" }]
      freezes   = [{ from = "2026-12-18", to = "2027-01-03", reason = "holidays", account_tags = { stage = "live" } }]
    }
  }

  assert {
    condition = jsondecode(aws_lambda_function.function["poller"].environment[0].variables.ORGANIZATION) == {
      refresh_hours   = 6
      tag_keys        = ["env", "stage", "team"]
      reader_role_arn = null
      external_id     = null
    }
    error_message = "The environment is ${jsonencode(aws_lambda_function.function["poller"].environment[0].variables)}."
  }

  assert {
    condition     = jsondecode(aws_s3_object.policy.content).organization == { max_age_days = 7 }
    error_message = "The policy is ${aws_s3_object.policy.content}."
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.function["poller"].policy).Statement : statement if contains(["Organization", "OrganizationReader"], statement.Sid)] == [{
      Sid    = "Organization"
      Effect = "Allow"
      Action = [
        "organizations:DescribeOrganization", "organizations:ListAccountsForParent", "organizations:ListOrganizationalUnitsForParent",
        "organizations:ListRoots", "organizations:ListTagsForResource",
      ]
      Resource = ["*"]
    }]
    error_message = "The policy is ${aws_iam_role_policy.function["poller"].policy}."
  }

  # The poller alone writes it, on condition of what it has read, and every rule reads it, and every person but who retries failures
  assert {
    condition = [
      for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement : statement.Sid if strcontains(jsonencode(try(statement.Resource, "")), "/organization.json")
    ] == ["OnlyPoller", "OnCondition"]
    error_message = "The bucket's policy is ${aws_s3_bucket_policy.this.policy}."
  }

  assert {
    condition = alltrue([
      for document in concat([for id in ["first-rule", "second-rule"] : aws_iam_role_policy.function[id].policy], [for key, of in aws_iam_policy.person : of.policy if key != "retrier"]) :
      anytrue([for statement in jsondecode(document).Statement : contains(statement.Action, "s3:GetObject") && strcontains(jsonencode(statement.Resource), "/organization.json")])
      && !anytrue([for statement in jsondecode(document).Statement : contains(statement.Action, "s3:PutObject") && strcontains(jsonencode(statement.Resource), "/organization.json")])
    ])
    error_message = "A rule or a person cannot read the organization, or can write it."
  }

  assert {
    condition = [
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule : length(rule.expiration) if rule.id == "organization"
    ] == [0]
    error_message = "The organization expires."
  }
}

run "a_reader_role" {
  variables {
    organization = {
      reader_role_arn = "arn:aws:iam::999999999999:role/autoremediate-organization-reader"
      external_id     = "the-organizations-id"
      refresh_hours   = 1
      max_age_days    = 2
    }
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.function["poller"].policy).Statement : statement if contains(["Organization", "OrganizationReader"], statement.Sid)] == [{
      Sid       = "OrganizationReader"
      Effect    = "Allow"
      Action    = ["sts:AssumeRole"]
      Resource  = ["arn:aws:iam::999999999999:role/autoremediate-organization-reader"]
      Condition = { ArnEquals = { "lambda:SourceFunctionArn" = "arn:aws:lambda:eu-west-1:111111111111:function:autoremediate-poller" } }
    }]
    error_message = "The policy is ${aws_iam_role_policy.function["poller"].policy}."
  }

  assert {
    condition     = jsondecode(aws_lambda_function.function["poller"].environment[0].variables.ORGANIZATION).external_id == "the-organizations-id"
    error_message = "The environment is ${jsonencode(aws_lambda_function.function["poller"].environment[0].variables)}."
  }

  assert {
    condition     = jsondecode(aws_s3_object.policy.content).organization == { max_age_days = 2 }
    error_message = "The policy is ${aws_s3_object.policy.content}."
  }
}

run "a_unit_of_the_scope_by_its_id" {
  variables {
    policy = { scope = { organization = "o-a1b2c3d4e5", organizational_units = ["ou-ab12-22222222", "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"] } }
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.function["first-rule"].policy).Statement : statement.Condition["ForAnyValue:StringLike"] if statement.Sid == "Target"] == [{
      "aws:ResourceOrgPaths" = ["o-a1b2c3d4e5/*/ou-ab12-22222222/*", "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"]
    }]
    error_message = "The policy is ${aws_iam_role_policy.function["first-rule"].policy}."
  }
}

run "units_that_nobody_tells" {
  command = plan

  variables {
    policy = { scope = { organization = "o-a1b2c3d4e5" }, overrides = [{ organizational_units = ["Sandbox"], mode = "apply" }] }
  }

  expect_failures = [check.somebody_tells_where_accounts_are]
}

run "units_of_a_window_that_nobody_tells" {
  command = plan

  variables {
    policy = { scope = { organization = "o-a1b2c3d4e5" }, change_windows = [{ from = "09:00", to = "16:00", organizational_units = ["Sandbox"] }] }
  }

  expect_failures = [check.somebody_tells_where_accounts_are]
}

run "wrong_organizations" {
  command = plan

  variables {
    organization = { reader_role_arn = "reader", external_id = "x", refresh_hours = 200, max_age_days = 0 }
  }

  expect_failures = [var.organization]
}

run "older_than_it_may_be" {
  command = plan

  variables {
    organization = { refresh_hours = 24, max_age_days = 1 }
  }

  expect_failures = [var.organization]
}

run "the_modules_own_key_of_the_policy" {
  command = plan

  variables {
    policy = { scope = { organization = "o-a1b2c3d4e5" }, organization = { max_age_days = 3 } }
  }

  expect_failures = [var.policy]
}
