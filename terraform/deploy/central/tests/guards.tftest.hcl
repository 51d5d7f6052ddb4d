# What a guard holds in mode apply is said, unless the policy says what the guard does.

mock_provider "aws" {
  source = "../../tests/mocks"
}

# The packages need not be built for these tests
override_module {
  target = module.central
}

variables {
  netskope_tenant = "acme.goskope.com"
  netskope_token  = "a-token"
  home_region     = "us-east-1"
  external_id     = "the-external-id"
}

run "in_mode_apply_each_such_rule_is_named" {
  command = plan

  variables {
    policy = { mode = "apply" }
  }

  expect_failures = [check.no_rule_is_held_by_a_guard_unasked]

  assert {
    condition     = local.rules_that_a_guard_holds == tolist(["iam-stale-access-key", "network-acl-open-ingress"])
    error_message = "The rules are ${join(", ", local.rules_that_a_guard_holds)}."
  }
}

run "a_rule_that_does_not_apply_or_has_the_setting_is_not" {
  command = plan

  variables {
    policy = {
      mode = "apply"
      rules = {
        network-acl-open-ingress = { settings = { guard_last_allow = "hold" } }
        iam-stale-access-key     = { mode = "plan" }
      }
    }
  }

  assert {
    condition     = length(local.rules_that_a_guard_holds) == 0
    error_message = "The rules are ${join(", ", local.rules_that_a_guard_holds)}."
  }
}

run "a_rule_that_is_not_enabled_is_not" {
  command = plan

  variables {
    rules  = ["s3-public-bucket"]
    policy = { mode = "apply" }
  }
}

run "by_default_nothing_applies" {
  command = plan
}
