# The root module passes on what it is given.

mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  netskope_tenant = "acme.goskope.com"
  netskope_token  = "a-token"
  home_region     = "us-east-1"
  external_id     = "the-external-id"
}

run "all_rules_by_default" {
  command = plan

  # The packages need not be built for this test
  override_module {
    target = module.central
  }

  assert {
    condition     = toset(keys(module.catalog.rules)) == toset([for file in fileset("${path.module}/../../../crates/rules", "*/rule.json") : dirname(file)])
    error_message = "The rules are not those of crates/rules: ${join(", ", keys(module.catalog.rules))}."
  }
}

run "a_subset" {
  command = plan

  override_module {
    target = module.central
  }

  variables {
    rules = ["s3-public-bucket"]
  }

  assert {
    condition     = keys(module.catalog.rules) == ["s3-public-bucket"]
    error_message = "The rules are ${join(", ", keys(module.catalog.rules))}."
  }
}

run "sources" {
  command = plan

  override_module {
    target = module.central
  }

  assert {
    condition = alltrue([
      for name in flatten([for file in fileset(path.module, "variables*.tf") : regexall("variable \"(\\w+)\"", file("${path.module}/${file}"))]) :
      length(regexall("\\bvar\\.${name}\\b", file("${path.module}/main.tf"))) > 0
    ])
    error_message = "A variable is not used."
  }

  assert {
    condition = alltrue([
      for name in flatten([
        for file in fileset("${path.module}/../../modules/central", "variables*.tf") : regexall("variable \"(\\w+)\"", file("${path.module}/../../modules/central/${file}"))
      ]) :
      length(regexall("\n  ${name} +=", file("${path.module}/main.tf"))) > 0
    ])
    error_message = "A variable of the module cannot be set here."
  }

  assert {
    condition     = alltrue([for file in fileset(path.module, "*.tf") : !strcontains(file("${path.module}/${file}"), "arn:aws:")])
    error_message = "A partition is written out."
  }
}

# A key that no type names would be dropped without a word
run "a_limit_of_polls_that_is_none" {
  command = plan

  override_module {
    target = module.central
  }

  variables {
    poll_limits = { batchs = 7 }
  }

  expect_failures = [var.poll_limits]
}

run "an_organization_with_a_typo" {
  command = plan

  override_module {
    target = module.central
  }

  variables {
    organization = { refresh_hour = 7 }
  }

  expect_failures = [var.organization]
}

run "values_of_every_kind" {
  command = plan

  override_module {
    target = module.central
  }

  variables {
    policy = { rules = {
      security-group-open-admin-port = { settings = { ipv6 = false, wide_rules = "hold", guard_in_use = "off" } }
      vpc-without-flow-logs          = { settings = { retention_days = 90, traffic = "REJECT" } }
      iam-stale-access-key           = { settings = { days = 45 } }
    } }
  }

  assert {
    condition     = var.policy.rules.vpc-without-flow-logs.settings.retention_days == 90
    error_message = "The settings are not taken."
  }
}

run "every_key" {
  command = plan

  override_module {
    target = module.central
  }

  variables {
    policy = {
      schema = 1
      paused = false
      mode   = "plan"
      rules = {
        iam-stale-access-key = { mode = "apply", settings = { days = 60, guard_recent_use = "warn" } }
        s3-public-bucket     = { settings = {} }
        rds-public-snapshot  = {}
      }
      accounts = {
        "222222222222" = { organizational_units = ["ou-ab12-cdefgh34"], tags = { env = "prod", anything = "else" } }
      }
      overrides = [
        { rules = ["s3-public-bucket"], accounts = ["222222222222"], organizational_units = ["ou-ab12-cdefgh34"], account_tags = { any = "key" }, mode = "off" },
      ]
      exemptions = [
        {
          rules   = ["s3-public-bucket"], accounts = ["222222222222"], regions = ["eu-west-1"], resources = ["www"], tags = { any = "key" },
          expires = "2027-01-31", reason = "The web site.", owner = "web@example.com"
        },
      ]
      limits         = { changes_per_run = 100, changes_per_rule = 50, changes_per_account = 20, failure_percent = 50, failure_minimum = 10 }
      approval_hours = 72
      fight          = { window_days = 7, fixes = 3 }
    }
  }

  assert {
    condition     = var.policy.rules.iam-stale-access-key.settings.days == 60
    error_message = "The policy is ${jsonencode(var.policy)}."
  }
}

run "nulls" {
  command = plan

  override_module {
    target = module.central
  }

  variables {
    policy = { mode = null, rules = null, accounts = null, overrides = null, exemptions = [], limits = null, fight = null }
  }

  assert {
    condition     = var.policy.rules == null
    error_message = "The policy is ${jsonencode(var.policy)}."
  }
}

# Last: Terraform cannot do without a module that an earlier run of the same file had
run "every_choice" {
  override_module {
    target = module.catalog
    outputs = {
      rules = {
        first-rule  = { title = "The first", controls = [{ rule_names = ["Ensure the first."], short_name = "T-1" }] }
        second-rule = { title = "The second", controls = [{ rule_names = ["Ensure the second."], short_name = "T-2" }] }
      }
      policy_keys = {
        policy = ["mode", "rules", "scope"], rules = ["mode", "settings"], accounts = [], overrides = [], exemptions = [], limits = [], fight = [],
        scope  = ["organization"], change_windows = [], freezes = []
      }
      policy_settings  = { first-rule = { days = "[1-9][0-9]*" }, second-rule = {} }
      guards_that_hold = {}
    }
  }

  variables {
    name_prefix                 = "acme"
    package_dir                 = "../../modules/central/tests/packages"
    architecture                = "arm64"
    netskope_endpoint           = "https://proxy.example.com/netskope"
    netskope_token_version      = 7
    schedule                    = "rate(1 day)"
    schedules                   = { second-rule = "cron(0 6 ? * MON-FRI *)" }
    policy                      = { mode = "off", scope = { organization = "o-a1b2c3d4e5" }, rules = { first-rule = { mode = "apply", settings = { days = 60 } } } }
    permissions_boundary        = "arn:aws:iam::111111111111:policy/boundary"
    kms_key_arn                 = "arn:aws:kms:eu-west-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    reserved_concurrency        = 5
    poller_reserved_concurrency = 2
    poll_limits                 = { batches = 7 }
    log_retention_days          = 400
    findings_retention_days     = 3
    record_retention_days       = 730
    alarm_actions               = ["arn:aws:sns:eu-west-1:111111111111:on-call"]
    alarm_period                = 172800
    alarm_waiting_hours         = 24
    alarm_throttled_seconds     = 360
    disabled_alarms             = ["breaker", "throttled"]
    dashboard                   = false
    organization                = { refresh_hours = 12 }
    organization_check          = false
    force_destroy               = true
    tags                        = { owner = "security" }
  }

  assert {
    condition     = output.bucket == "acme-111111111111-eu-west-1" && output.poller_function_name == "acme-poller" && output.schedule_group == "acme"
    error_message = "A name does not start with the prefix."
  }

  assert {
    condition     = output.rule_function_names == { first-rule = "acme-first-rule", second-rule = "acme-second-rule" } && output.target_role_names == output.rule_function_names
    error_message = "The rules' functions are ${jsonencode(output.rule_function_names)}."
  }

  assert {
    condition     = output.alarm_names == { for key in ["no-whole-poll", "nothing-listed", "failed-findings", "waiting", "contested"] : key => "acme-${key}" } && output.dashboard_name == null
    error_message = "The alarms are ${jsonencode(output.alarm_names)}, the dashboard ${jsonencode(output.dashboard_name)}."
  }

  assert {
    condition     = output.modes == { first-rule = "apply", second-rule = "off" }
    error_message = "The modes are ${jsonencode(output.modes)}."
  }

  assert {
    condition     = output.schedule_names == { first-rule = "first-rule", second-rule = "second-rule" } && length(output.log_group_names) == 3
    error_message = "The schedules are ${jsonencode(output.schedule_names)}."
  }

  assert {
    condition     = alltrue([for text in [output.failure_queue_url, output.failure_alarm_name, output.secret_arn, output.poller_role_arn, output.approver_policy_arn, output.operator_policy_arn, output.pauser_policy_arn] : text != ""]) && length(output.rule_role_arns) == 2
    error_message = "An output is empty."
  }
}
