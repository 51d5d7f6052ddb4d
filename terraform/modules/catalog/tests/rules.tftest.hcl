# The manifests in crates/rules are the truth: these tests hold for whatever rules there are.

run "all_rules_by_default" {
  command = plan

  assert {
    condition     = length(output.ids) > 0
    error_message = "There are no rules."
  }

  assert {
    condition     = toset(keys(output.rules)) == toset([for file in fileset("${path.module}/../../../crates/rules", "*/rule.json") : dirname(file)])
    error_message = "The rules are not those of crates/rules: ${join(", ", keys(output.rules))}."
  }

  assert {
    condition = alltrue([
      for id, rule in output.rules : rule == jsondecode(file("${path.module}/../../../crates/rules/${id}/rule.json"))
    ])
    error_message = "A rule is not what its manifest says."
  }
}

run "a_subset" {
  command = plan

  variables {
    rules = ["s3-public-bucket"]
  }

  assert {
    condition     = keys(output.rules) == ["s3-public-bucket"]
    error_message = "The rules are ${join(", ", keys(output.rules))}."
  }
}

run "an_unknown_rule" {
  command = plan

  variables {
    rules = ["s3-public-bucket", "s3-public-bukket"]
  }

  expect_failures = [var.rules]
}

run "no_rules" {
  command = plan

  variables {
    rules = []
  }

  expect_failures = [var.rules]
}

run "the_keys_of_a_policy" {
  command = plan

  assert {
    condition = { for place, names in output.policy_keys : place => join(" ", sort(names)) } == {
      policy         = "accounts approval_hours change_windows exemptions fight freezes limits mode overrides owner_tags paused rescan rules schema scope"
      rules          = "grace_days mode settings"
      accounts       = "organizational_units tags"
      overrides      = "account_tags accounts grace_days mode organizational_units rules"
      exemptions     = "accounts expires owner reason regions resources rules tags"
      limits         = "changes_per_account changes_per_account_per_day changes_per_day changes_per_rule changes_per_run failure_minimum failure_percent"
      fight          = "fixes window_days"
      scope          = "accounts organization organizational_units"
      change_windows = "account_tags accounts days from organizational_units rules time_zone to"
      freezes        = "account_tags accounts from organizational_units reason rules time_zone to"
      rescan         = "interval_hours netskope_policies"
    }
    error_message = "The keys are ${jsonencode(output.policy_keys)}."
  }

  # Of every rule that has settings: the names that no rule has lost since
  assert {
    condition = alltrue([
      for id, names in {
        iam-stale-access-key           = ["days"]
        network-acl-open-ingress       = ["ipv6"]
        security-group-open-admin-port = ["ipv6", "wide_rules"]
        vpc-without-flow-logs          = ["retention_days", "traffic"]
      } : length(setsubtract(names, keys(output.policy_settings[id]))) == 0
    ])
    error_message = "The settings are ${jsonencode(output.policy_settings)}."
  }

  # A setting with a pattern of its own, and a map, whose entries are checked as KEY = VALUE
  assert {
    condition = alltrue(flatten([
      for name, texts in {
        destination  = ["cloud-watch-logs", "arn:aws:s3:::flow-logs", "arn:aws:s3:::flow-{account}-{region}/vpc/"]
        destinations = ["222222222222 = cloud-watch-logs", "eu-west-1 = arn:aws:s3:::flow-logs", "222222222222/eu-west-1 = arn:aws:s3:::flow-logs"]
      } : [for text in texts : can(regex("^(${output.policy_settings.vpc-without-flow-logs[name]})$", text))]
    ]))
    error_message = "A destination of flow logs is not known: ${jsonencode(output.policy_settings.vpc-without-flow-logs)}."
  }

  assert {
    condition     = output.policy_settings_refused == { vpc-without-flow-logs = { destination = "/AWSLogs(/|$)", destinations = "/AWSLogs(/|$)" } }
    error_message = "Refused are ${jsonencode(output.policy_settings_refused)}."
  }

  # The folder of that name, and none that is called alike
  assert {
    condition = {
      for text in ["arn:aws:s3:::a/AWSLogs", "eu-west-1 = arn:aws:s3:::a/b/AWSLogs/", "arn:aws:s3:::a/AWSLogs-of-vpcs", "arn:aws:s3:::a/myAWSLogs"] :
      text => can(regex(output.policy_settings_refused.vpc-without-flow-logs.destinations, text))
    } == { "arn:aws:s3:::a/AWSLogs" = true, "eu-west-1 = arn:aws:s3:::a/b/AWSLogs/" = true, "arn:aws:s3:::a/AWSLogs-of-vpcs" = false, "arn:aws:s3:::a/myAWSLogs" = false }
    error_message = "Refused are ${jsonencode(output.policy_settings_refused)}."
  }

  assert {
    condition     = length(setsubtract(keys(output.policy_settings), output.ids)) == 0
    error_message = "Settings are known of rules that there are not: ${join(", ", keys(output.policy_settings))}."
  }
}
