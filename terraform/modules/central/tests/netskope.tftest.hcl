# Which of Netskope's lists the poller reads, and what a schedule tells it of a rule.

mock_provider "aws" {
  source = "../../tests/mocks"
}

run "every_list_unless_some_are_named" {
  command = plan

  assert {
    condition     = !can(aws_lambda_function.function["poller"].environment[0].variables.NETSKOPE_FILTERS)
    error_message = "The poller has filters."
  }
}

run "profiles_and_policies" {
  command = plan

  variables {
    netskope_profiles = ["CIS AWS 1.2 & \"more\"", "Bewährtes"]
    netskope_policies = ["production"]
  }

  assert {
    condition = (
      jsondecode(aws_lambda_function.function["poller"].environment[0].variables.NETSKOPE_FILTERS)
      == { profiles = ["Bewährtes", "CIS AWS 1.2 & \"more\""], policies = ["production"] }
    )
    error_message = "The filters are ${aws_lambda_function.function["poller"].environment[0].variables.NETSKOPE_FILTERS}."
  }

  assert {
    condition     = !can(aws_lambda_function.function["first-rule"].environment[0].variables.NETSKOPE_FILTERS)
    error_message = "A rule's Lambda has the filters."
  }
}

run "the_rules_of_a_deployment_take_turns" {
  command = plan

  assert {
    condition     = [for id in keys(var.rules) : jsondecode(aws_scheduler_schedule.rule[id].target[0].input).turns] == [{ place = 0, of = 2 }, { place = 1, of = 2 }]
    error_message = "The turns are ${jsonencode([for schedule in aws_scheduler_schedule.rule : schedule.target[0].input])}."
  }

  assert {
    condition     = !can(aws_lambda_function.function["poller"].environment[0].variables.NETSKOPE_DEPLOYMENTS)
    error_message = "A deployment that is alone shares the tenant with others."
  }
}

run "the_last_of_three_deployments_has_the_last_place" {
  command = plan

  variables {
    netskope_deployments = { count = 3, this = 3 }
  }

  assert {
    condition     = jsondecode(aws_lambda_function.function["poller"].environment[0].variables.NETSKOPE_DEPLOYMENTS) == { place = 2, of = 3 }
    error_message = "The poller's environment is ${jsonencode(aws_lambda_function.function["poller"].environment[0].variables)}."
  }

  assert {
    condition     = [for id in keys(var.rules) : jsondecode(aws_scheduler_schedule.rule[id].target[0].input).turns] == [{ place = 0, of = 2 }, { place = 1, of = 2 }]
    error_message = "The turns are ${jsonencode([for schedule in aws_scheduler_schedule.rule : schedule.target[0].input])}."
  }
}

run "a_deployment_that_is_none_of_them" {
  command = plan

  variables {
    netskope_deployments = { count = 3, this = 4 }
  }

  expect_failures = [var.netskope_deployments]
}

run "half_a_deployment" {
  command = plan

  variables {
    netskope_deployments = { count = 1.5 }
  }

  expect_failures = [var.netskope_deployments]
}

run "no_name" {
  command = plan

  variables {
    netskope_profiles = [""]
  }

  expect_failures = [var.netskope_profiles]
}

run "a_space_at_an_end" {
  command = plan

  variables {
    netskope_profiles = [" CIS"]
  }

  expect_failures = [var.netskope_profiles]
}

run "two_lines" {
  command = plan

  variables {
    netskope_policies = ["production\n"]
  }

  expect_failures = [var.netskope_policies]
}

run "too_long" {
  command = plan

  variables {
    netskope_policies = [join("", [for n in range(129) : "x"])]
  }

  expect_failures = [var.netskope_policies]
}

run "more_lists_than_are_read" {
  command = plan

  variables {
    netskope_profiles = [for n in range(4) : "profile ${n}"]
    netskope_policies = [for n in range(5) : "policy ${n}"]
  }

  expect_failures = [var.netskope_policies]
}

run "more_than_an_environment_has_room_for" {
  command = plan

  variables {
    netskope_profiles = [for n in range(8) : format("%s%d", join("", [for n in range(127) : "界"]), n)]
  }

  # Of characters that JSON writes as three bytes
  expect_failures = [var.netskope_policies]
}

run "a_rule_of_this_repository_needs_no_controls" {
  command = plan

  variables {
    rules       = { s3-public-bucket = { title = "A bucket" } }
    package_dir = "examples/one-rule/tests/packages"
  }

  assert {
    condition     = jsondecode(aws_scheduler_schedule.rule["s3-public-bucket"].target[0].input) == { rule = "s3-public-bucket", turns = { place = 0, of = 1 } }
    error_message = "The schedule sends ${aws_scheduler_schedule.rule["s3-public-bucket"].target[0].input}."
  }
}
