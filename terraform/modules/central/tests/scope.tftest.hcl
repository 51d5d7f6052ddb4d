# The policy's scope, as IAM holds the rules' Lambdas to it.

mock_provider "aws" {
  source = "../../tests/mocks"
}

# What every test begins with is in terraform.tfvars; here, no policy
variables {
  policy = {}
}

run "no_scope" {
  command = plan

  expect_failures = [check.a_scope_is_set]
}

run "nothing_in_a_scope" {
  command = plan

  variables {
    policy = { scope = { organization = null, organizational_units = [], accounts = [] } }
  }

  expect_failures = [check.a_scope_is_set]
}

run "an_organization" {
  variables {
    policy = { scope = { organization = "o-a1b2c3d4e5" } }
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.function["first-rule"].policy).Statement : statement.Condition if statement.Sid == "Target"] == [{
      StringEquals = { "aws:ResourceOrgID" = "o-a1b2c3d4e5" }
      ArnEquals    = { "lambda:SourceFunctionArn" = "arn:aws:lambda:eu-west-1:111111111111:function:autoremediate-first-rule" }
    }]
    error_message = "The policy is ${aws_iam_role_policy.function["first-rule"].policy}."
  }

  assert {
    condition     = jsondecode(aws_s3_object.policy.content).scope == { organization = "o-a1b2c3d4e5" }
    error_message = "The policy is ${aws_s3_object.policy.content}."
  }
}

run "everything_in_a_scope" {
  variables {
    policy = {
      scope = {
        organization         = "o-a1b2c3d4e5"
        organizational_units = ["o-a1b2c3d4e5/r-ab12/ou-ab12-22222222/*", "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"]
        accounts             = ["333333333333", "222222222222"]
      }
    }
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.function["first-rule"].policy).Statement : statement.Condition if statement.Sid == "Target"] == [{
      StringEquals             = { "aws:ResourceOrgID" = "o-a1b2c3d4e5", "aws:ResourceAccount" = ["222222222222", "333333333333"] }
      "ForAnyValue:StringLike" = { "aws:ResourceOrgPaths" = ["o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/", "o-a1b2c3d4e5/r-ab12/ou-ab12-22222222/*"] }
      ArnEquals                = { "lambda:SourceFunctionArn" = "arn:aws:lambda:eu-west-1:111111111111:function:autoremediate-first-rule" }
    }]
    error_message = "The policy is ${aws_iam_role_policy.function["first-rule"].policy}."
  }

  # The poller reaches no account
  assert {
    condition     = !strcontains(aws_iam_role_policy.function["poller"].policy, "sts:") && !strcontains(aws_iam_role_policy.function["poller"].policy, "aws:Resource")
    error_message = "The policy is ${aws_iam_role_policy.function["poller"].policy}."
  }
}

run "five_hundred_accounts_fit" {
  variables {
    policy = { scope = { organization = "o-a1b2c3d4e5", accounts = [for number in range(500) : format("%012d", 100000000000 + number)] } }
  }

  assert {
    condition     = length(regexall("1000000[0-9]{5}", aws_iam_role_policy.function["first-rule"].policy)) == 500
    error_message = "Not every account of the scope is there."
  }

  assert {
    condition     = length(aws_iam_role_policy.function["first-rule"].policy) <= 10240
    error_message = "The policy has ${length(aws_iam_role_policy.function["first-rule"].policy)} characters."
  }
}

run "five_hundred_accounts_fit_with_the_longest_id_where_arns_are_long" {
  override_data {
    target = data.aws_service.here
    values = { region = "us-gov-west-1" }
  }

  override_data {
    target = data.aws_partition.this
    values = { partition = "aws-us-gov" }
  }

  variables {
    rules       = { a234567890123456789012345678901 = { title = "The longest", controls = [{ rule_names = ["Ensure the first."], short_name = "T-1" }] } }
    package_dir = "tests/packages"
    policy      = { scope = { organization = "o-a1b2c3d4e5", accounts = [for number in range(500) : format("%012d", 100000000000 + number)] } }
  }

  # Its package does not exist, which is said, and nothing else
  command         = plan
  expect_failures = [aws_lambda_function.function]

  assert {
    condition     = length(local.function_policies["a234567890123456789012345678901"]) <= 10240
    error_message = "The policy has ${length(local.function_policies["a234567890123456789012345678901"])} characters."
  }
}

run "more_accounts_than_a_policy_holds" {
  command = plan

  variables {
    policy = { scope = { accounts = [for number in range(700) : format("%012d", 100000000000 + number)] } }
  }

  expect_failures = [aws_iam_role_policy.function]
}

run "no_organization" {
  command = plan

  variables {
    policy = { scope = { organization = "*" } }
  }

  expect_failures = [var.policy]
}

run "a_unit_that_is_none" {
  command = plan

  variables {
    policy = { scope = { organizational_units = ["ou-ab12"] } }
  }

  expect_failures = [var.policy]
}

run "a_unit_that_another_begins_with" {
  command = plan

  variables {
    policy = { scope = { organizational_units = ["o-a1b2c3d4e5/r-ab12/ou-ab12-11111111*"] } }
  }

  expect_failures = [var.policy]
}

run "any_organization" {
  command = plan

  variables {
    policy = { scope = { organizational_units = ["*"] } }
  }

  expect_failures = [var.policy]
}

run "an_account_that_is_none" {
  command = plan

  variables {
    policy = { scope = { accounts = ["22222222222*"] } }
  }

  expect_failures = [var.policy]
}
