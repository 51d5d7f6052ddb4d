# What the policy may not have: a key, a setting or a value that nobody knows. Of a type with names, Terraform would drop such
# a key without a word.

mock_provider "aws" {
  source = "../../tests/mocks"
}

run "catalog" {
  module {
    source = "../catalog"
  }

  variables {
    rules = null
  }
}

run "no_policy" {
  command = plan

  variables {
    rules  = run.catalog.rules
    policy = "apply"
  }

  expect_failures = [var.policy]
}

run "an_unknown_key" {
  command = plan

  variables {
    rules  = run.catalog.rules
    policy = { mode = "plan", pasued = true }
  }

  expect_failures = [var.policy]
}

run "an_unknown_key_of_a_rule" {
  command = plan

  variables {
    rules  = run.catalog.rules
    policy = { rules = { s3-public-bucket = { mod = "apply" } } }
  }

  expect_failures = [var.policy]
}

run "an_unknown_setting" {
  command = plan

  variables {
    rules  = run.catalog.rules
    policy = { rules = { iam-stale-access-key = { settings = { day = 60 } } } }
  }

  expect_failures = [var.policy]
}

run "a_word_that_a_setting_does_not_know" {
  command = plan

  variables {
    rules  = run.catalog.rules
    policy = { rules = { s3-public-bucket = { settings = { guard_website = "hodl" } } } }
  }

  expect_failures = [var.policy]
}

run "a_number_that_a_setting_does_not_take" {
  command = plan

  variables {
    rules  = run.catalog.rules
    policy = { rules = { iam-stale-access-key = { settings = { days = 0 } } } }
  }

  expect_failures = [var.policy]
}

run "a_retention_that_there_is_not" {
  command = plan

  variables {
    rules  = run.catalog.rules
    policy = { rules = { vpc-without-flow-logs = { settings = { retention_days = 42 } } } }
  }

  expect_failures = [var.policy]
}

run "a_destination_of_flow_logs_that_is_no_bucket" {
  command = plan

  variables {
    rules  = run.catalog.rules
    policy = { rules = { vpc-without-flow-logs = { settings = { destination = "arn:aws:s3::flow-logs" } } } }
  }

  expect_failures = [var.policy]
}

run "a_destination_of_a_place_that_is_no_bucket" {
  command = plan

  variables {
    rules = run.catalog.rules
    policy = { rules = { vpc-without-flow-logs = { settings = {
      destinations = { "222222222222" = "cloud-watch-logs", eu-west-1 = "arn:aws:s3:::flow-{acount}" }
    } } } }
  }

  expect_failures = [var.policy]
}

run "a_place_of_a_destination_that_there_is_not" {
  command = plan

  variables {
    rules  = run.catalog.rules
    policy = { rules = { vpc-without-flow-logs = { settings = { destinations = { "2222" = "cloud-watch-logs" } } } } }
  }

  expect_failures = [var.policy]
}

run "a_destination_in_a_folder_of_awss_own" {
  command = plan

  variables {
    rules  = run.catalog.rules
    policy = { rules = { vpc-without-flow-logs = { settings = { destination = "arn:aws:s3:::flow-logs/vpc/AWSLogs" } } } }
  }

  expect_failures = [var.policy]
}

run "a_destination_of_a_place_in_a_folder_of_awss_own" {
  command = plan

  variables {
    rules  = run.catalog.rules
    policy = { rules = { vpc-without-flow-logs = { settings = { destinations = { eu-west-1 = "arn:aws:s3:::flow-logs/AWSLogs/" } } } } }
  }

  expect_failures = [var.policy]
}

run "a_setting_of_another_rule" {
  command = plan

  variables {
    rules  = run.catalog.rules
    policy = { rules = { rds-public-snapshot = { settings = { retention_days = 60 } } } }
  }

  expect_failures = [var.policy]
}

run "an_unknown_key_of_an_account" {
  command = plan

  variables {
    rules  = run.catalog.rules
    policy = { accounts = { "222222222222" = { tag = { env = "prod" } } } }
  }

  expect_failures = [var.policy]
}

run "an_unknown_key_of_an_override" {
  command = plan

  variables {
    rules  = run.catalog.rules
    policy = { overrides = [{ accounts = ["222222222222"], mode = "plan" }, { account = ["333333333333"], rules = ["s3-public-bucket"], mode = "apply" }] }
  }

  expect_failures = [var.policy]
}

run "an_unknown_key_of_an_exemption" {
  command = plan

  variables {
    rules  = run.catalog.rules
    policy = { exemptions = [{ resources = ["*"], expire = "2027-01-31", reason = "why", owner = "who" }] }
  }

  expect_failures = [var.policy]
}

run "an_unknown_limit" {
  command = plan

  variables {
    rules  = run.catalog.rules
    policy = { limits = { changes_per_runs = 1 } }
  }

  expect_failures = [var.policy]
}

run "an_unknown_key_of_a_fight" {
  command = plan

  variables {
    rules  = run.catalog.rules
    policy = { fight = { window = 7 } }
  }

  expect_failures = [var.policy]
}

run "an_unknown_key_of_a_scope" {
  command = plan

  variables {
    rules  = run.catalog.rules
    policy = { scope = { organisation = "o-a1b2c3d4e5" } }
  }

  expect_failures = [var.policy]
}
