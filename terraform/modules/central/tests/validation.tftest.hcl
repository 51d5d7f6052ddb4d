# What each variable refuses. Every variable has its list of bad values; the run refused_<n> gives each the n-th of its
# own, and every one of them must be refused.

mock_provider "aws" {
  source = "../../tests/mocks"
}

# What every test begins with is in terraform.tfvars; here, no policy
variables {
  policy = {}
}

run "no_rules" {
  command = plan

  variables {
    rules = {}
  }

  expect_failures = [var.rules]
}

run "a_rule_of_ones_own_without_controls" {
  command = plan

  variables {
    rules = { first-rule = { title = "The first" } }
  }

  expect_failures = [var.rules]
}

run "rule_ids_that_a_pattern_cannot_tell_apart" {
  command = plan

  variables {
    rules = {
      first-rule         = { title = "The first", controls = [{ rule_names = ["Ensure the first."], short_name = "T-1" }] }
      first-rule-of-ours = { title = "Ours", controls = [{ rule_names = ["Ensure the second."], short_name = "T-2" }] }
    }
  }

  expect_failures = [var.rules]
}

run "refused_1" {
  command = plan

  variables {
    netskope_tenant             = "https://acme.goskope.com"                       # a URL
    netskope_token              = ""                                               # empty
    netskope_token_version      = 0                                                # zero
    netskope_endpoint           = "http://proxy.example.com"                       # plain http
    home_region                 = "Ireland"                                        # a name
    schedule                    = "at(2030-01-01T00:00:00)"                        # once
    schedules                   = { first-rule = "every day" }                     # prose
    external_id                 = "x"                                              # too short
    architecture                = "amd64"                                          # not what Lambda calls it
    package_dir                 = ""                                               # empty
    name_prefix                 = "abcdefghijklmnopq"                              # too long
    permissions_boundary        = "a boundary"                                     # a space
    kms_key_arn                 = "arn:aws:kms:eu-west-1:111111111111:alias/token" # an alias
    reserved_concurrency        = 0                                                # zero
    poller_reserved_concurrency = 0                                                # zero
    log_retention_days          = 31                                               # not offered
    findings_retention_days     = 0                                                # zero
    record_retention_days       = 0                                                # zero
    alarm_actions               = ["on-call"]                                      # a name
    alarm_period                = 90                                               # no minutes
    alarm_waiting_hours         = 0                                                # zero
    disabled_alarms             = ["failures"]                                     # another alarm
    tags                        = { "" = "x" }                                     # no key
    policy                      = { mode = "dry-run" }                             # an unknown mode
    maximum_event_age           = 59                                               # shorter than Lambda takes
    poll_limits                 = { rows = 0 }                                     # zero
  }

  expect_failures = [
    var.policy,
    var.netskope_tenant,
    var.netskope_token,
    var.netskope_token_version,
    var.netskope_endpoint,
    var.home_region,
    var.schedule,
    var.schedules,
    var.external_id,
    var.architecture,
    var.package_dir,
    var.name_prefix,
    var.permissions_boundary,
    var.kms_key_arn,
    var.reserved_concurrency,
    var.poller_reserved_concurrency,
    var.log_retention_days,
    var.findings_retention_days,
    var.record_retention_days,
    var.alarm_actions,
    var.alarm_period,
    var.alarm_waiting_hours,
    var.disabled_alarms,
    var.tags,
    var.maximum_event_age,
    var.poll_limits,
  ]
}

run "refused_2" {
  command = plan

  variables {
    netskope_tenant             = "acme.goskope.com/api"                          # a path
    netskope_token              = "token\n"                                       # a newline
    netskope_token_version      = 1.5                                             # a fraction
    netskope_endpoint           = "http://127.0.0.1.example.com/"                 # no loopback
    schedule                    = "rate(0 minutes)"                               # no time at all
    schedules                   = { third-rule = "rate(1 hour)" }                 # an unknown rule
    external_id                 = replace(format("%01225d", 0), "0", "x")         # too long
    name_prefix                 = "Autoremediate"                                 # a capital
    permissions_boundary        = "arn:aws:iam::111111111111:role/boundary"       # a role
    kms_key_arn                 = "1234abcd-12ab-34cd-56ef-1234567890ab"          # an ID
    reserved_concurrency        = 2.5                                             # a fraction
    poller_reserved_concurrency = 2.5                                             # a fraction
    log_retention_days          = 0                                               # for ever
    findings_retention_days     = 0.5                                             # a fraction
    record_retention_days       = 1.5                                             # a fraction
    tags                        = { "AWS:owner" = "x" }                           # a reserved key
    policy                      = { rules = { first-rule = { mode = "Apply" } } } # a capital
    maximum_event_age           = 21601                                           # longer than Lambda takes
    poll_limits                 = { rows = 1000001 }                              # more than are counted
    alarm_period                = 100800                                          # a day and a bit
    alarm_waiting_hours         = 8761                                            # more than a year
  }

  expect_failures = [
    var.policy,
    var.netskope_tenant,
    var.netskope_token,
    var.netskope_token_version,
    var.netskope_endpoint,
    var.schedule,
    var.schedules,
    var.external_id,
    var.name_prefix,
    var.permissions_boundary,
    var.kms_key_arn,
    var.reserved_concurrency,
    var.poller_reserved_concurrency,
    var.log_retention_days,
    var.findings_retention_days,
    var.record_retention_days,
    var.tags,
    var.maximum_event_age,
    var.poll_limits,
    var.alarm_period,
    var.alarm_waiting_hours,
  ]
}

run "refused_3" {
  command = plan

  variables {
    netskope_tenant   = "acme"                                                       # not qualified
    netskope_endpoint = "https://user:word@proxy.example.com"                        # a user
    schedule          = "rate(30 seconds)"                                           # seconds
    external_id       = "an id"                                                      # a space
    name_prefix       = "1fix"                                                       # a digit first
    tags              = { (replace(format("%0129d", 0), "0", "k")) = "x" }           # a key too long
    policy            = { overrides = [{ rules = ["first-rule"], mode = "never" }] } # an unknown mode
    poll_limits       = { bytes = 0 }                                                # zero
  }

  expect_failures = [
    var.policy,
    var.netskope_tenant,
    var.netskope_endpoint,
    var.schedule,
    var.external_id,
    var.name_prefix,
    var.tags,
    var.poll_limits,
  ]
}

run "refused_4" {
  command = plan

  variables {
    netskope_tenant   = "${join(".", [for i in range(127) : "a"])}.goskope" # too long
    netskope_endpoint = "https://proxy.example.com/?token=x"                # a query
    schedule          = "cron(0 12 * * ?)"                                  # five fields
    name_prefix       = ""                                                  # empty
    tags              = { owner = replace(format("%0257d", 0), "0", "v") }  # a value too long
    policy            = { rules = { third-rule = { mode = "apply" } } }     # an unknown rule
    poll_limits       = { bytes = 17179869185 }                             # more than 16 GiB
  }

  expect_failures = [
    var.policy,
    var.netskope_tenant,
    var.netskope_endpoint,
    var.schedule,
    var.name_prefix,
    var.tags,
    var.poll_limits,
  ]
}

run "refused_5" {
  command = plan

  variables {
    netskope_endpoint = "ftp://proxy.example.com"                                                 # another scheme
    tags              = { owner = "a;b" }                                                         # a character that AWS refuses
    policy            = { overrides = [{ rules = ["first-rule", "third-rule"], mode = "plan" }] } # an unknown rule
    poll_limits       = { batches = 0 }                                                           # zero
  }

  expect_failures = [
    var.policy,
    var.netskope_endpoint,
    var.tags,
    var.poll_limits,
  ]
}

run "refused_6" {
  command = plan

  variables {
    policy      = { exemptions = [{ rules = ["third-rule"], reason = "why", owner = "who" }] } # an unknown rule
    poll_limits = { batches = 10001 }                                                          # too many Lambdas
  }

  expect_failures = [var.policy, var.poll_limits]
}

run "refused_7" {
  command = plan

  variables {
    policy      = { accounts = { "22222222222" = {} } } # 11 digits
    poll_limits = { batch_size = 0 }                    # zero
  }

  expect_failures = [var.policy, var.poll_limits]
}

run "refused_8" {
  command = plan

  variables {
    policy      = { overrides = [{ accounts = ["production"], mode = "plan" }] } # a name
    poll_limits = { batch_size = 1001 }                                          # more than a rule reads
  }

  expect_failures = [var.policy, var.poll_limits]
}

run "refused_9" {
  command = plan

  variables {
    policy      = { exemptions = [{ accounts = ["2222-2222-2222"], reason = "why", owner = "who" }] } # hyphens
    poll_limits = { rows = 1.5 }                                                                      # a fraction
  }

  expect_failures = [var.policy, var.poll_limits]
}

run "refused_10" {
  command = plan

  variables {
    policy      = { exemptions = [{ regions = ["Ireland"], reason = "why", owner = "who" }] } # a name
    poll_limits = { batch_size = 2.5 }                                                        # a fraction
  }

  expect_failures = [var.policy, var.poll_limits]
}

run "refused_11" {
  command = plan

  variables {
    policy = { exemptions = [{ resources = ["*"], expires = "2027-02-30", reason = "why", owner = "who" }] } # no such day
  }

  expect_failures = [var.policy]
}

run "refused_12" {
  command = plan

  variables {
    policy = { exemptions = [{ resources = ["*"], expires = "31.01.2027", reason = "why", owner = "who" }] } # another order
  }

  expect_failures = [var.policy]
}

run "refused_13" {
  command = plan

  variables {
    policy = { exemptions = [{ resources = ["*"], expires = "2027-01-31T12:00:00Z", reason = "why", owner = "who" }] } # a time
  }

  expect_failures = [var.policy]
}

run "refused_14" {
  command = plan

  variables {
    policy = { exemptions = [{ resources = ["*"], reason = "", owner = "who" }] } # no reason
  }

  expect_failures = [var.policy]
}

run "refused_15" {
  command = plan

  variables {
    policy = { exemptions = [{ resources = ["*"], reason = "why", owner = " " }] } # nobody
  }

  expect_failures = [var.policy]
}

run "refused_16" {
  command = plan

  variables {
    poll_limits = { passed_requests = 101 }
    policy      = { overrides = [{ rules = [], mode = "plan" }] } # everywhere
  }

  expect_failures = [var.policy, var.poll_limits]
}

run "refused_17" {
  command = plan

  variables {
    poll_limits = { passed_days = 0 }
    policy      = { exemptions = [{ expires = "2027-01-31", reason = "why", owner = "who" }] } # everything
  }

  expect_failures = [var.policy, var.poll_limits]
}

run "refused_18" {
  command = plan

  variables {
    poll_limits = { passed_days = 31 }
    policy      = { limits = { changes_per_run = 0 } } # zero
  }

  expect_failures = [var.policy, var.poll_limits]
}

run "refused_19" {
  command = plan

  variables {
    policy = { limits = { changes_per_rule = 1.5 } } # a fraction
  }

  expect_failures = [var.policy]
}

run "refused_20" {
  command = plan

  variables {
    policy = { limits = { changes_per_account = -1 } } # less than nothing
  }

  expect_failures = [var.policy]
}

run "refused_21" {
  command = plan

  variables {
    policy = { limits = { failure_percent = 101 } } # more than all
  }

  expect_failures = [var.policy]
}

run "refused_22" {
  command = plan

  variables {
    policy = { limits = { failure_percent = 0 } } # zero
  }

  expect_failures = [var.policy]
}

run "refused_23" {
  command = plan

  variables {
    policy = { limits = { failure_minimum = 0 } } # zero
  }

  expect_failures = [var.policy]
}

run "refused_24" {
  command = plan

  variables {
    policy = { approval_hours = 0.5 } # a fraction
  }

  expect_failures = [var.policy]
}

run "refused_25" {
  command = plan

  variables {
    policy = { fight = { window_days = 0 } } # zero
  }

  expect_failures = [var.policy]
}

run "refused_26" {
  command = plan

  variables {
    policy = { fight = { fixes = 2.5 } } # a fraction
  }

  expect_failures = [var.policy]
}

run "refused_27" {
  command = plan

  variables {
    policy = { schema = 2 } # another schema
  }

  expect_failures = [var.policy]
}

run "accepted" {
  command = plan

  variables {
    netskope_tenant        = "a.b-c.EU.goskope.com"
    netskope_token         = "!~0a"
    netskope_token_version = 12
    netskope_endpoint      = "http://[::1]:8080/netskope"
    home_region            = "ap-northeast-3"
    schedule               = "cron(0/15 8-17 ? * MON-FRI *)"
    schedules              = { first-rule = "rate(1 hour)", second-rule = "rate(2 days)" }
    policy = {
      scope      = { organizational_units = ["o-a1b2c3d4e5/r-ab12/", "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*"] }
      mode       = "off"
      exemptions = [{ regions = ["us-gov-west-1"], expires = "2028-02-29", reason = "why", owner = "who" }]
      limits     = { failure_percent = 1 }
    }
    external_id                 = replace(format("%01224d", 0), "0", ":")
    architecture                = "arm64"
    name_prefix                 = "a234567890123456"
    permissions_boundary        = "arn:aws-us-gov:iam::111111111111:policy/a/b"
    kms_key_arn                 = "arn:aws:kms:eu-west-1:111111111111:key/mrk-1234abcd12ab34cd56ef1234567890ab"
    reserved_concurrency        = 1
    poller_reserved_concurrency = 1
    poll_limits                 = { rows = 1000000, bytes = 17179869184, batches = 10000, batch_size = 1000 }
    log_retention_days          = 3653
    findings_retention_days     = 1
    record_retention_days       = 3650
    alarm_actions               = ["arn:aws:sns:eu-west-1:111111111111:on-call"]
    alarm_period                = 604800
    alarm_waiting_hours         = 8760
    disabled_alarms             = ["no-whole-poll", "throttled"]
    tags                        = { "Zweck:ü" = "a b_.:/=+-@" }
    force_destroy               = true
  }
}

run "refused_28" {
  command = plan

  variables {
    policy = { fight = { window_days = 10000000 } } # a window that no card remembers
  }

  expect_failures = [var.policy]
}

run "refused_29" {
  command = plan

  variables {
    policy = { fight = { fixes = 51 } } # more fixes than a card remembers
  }

  expect_failures = [var.policy]
}

run "refused_30" {
  command = plan

  variables {
    policy = { approval_hours = 8761 } # more than a year
  }

  expect_failures = [var.policy]
}

run "refused_31" {
  command = plan

  variables {
    policy = { limits = { changes_per_run = 4294967296 } } # more than can be counted
  }

  expect_failures = [var.policy]
}

run "refused_32" {
  command = plan

  variables {
    policy = { overrides = [{ rules = ["first-rule"] }] } # says nothing
  }

  expect_failures = [var.policy]
}

run "refused_33" {
  command = plan

  variables {
    policy = { rules = { first-rule = { grace_days = 366 } } } # more than a year
  }

  expect_failures = [var.policy]
}

run "refused_34" {
  command = plan

  variables {
    policy = { rules = { first-rule = { grace_days = 1.5 } } } # half a day
  }

  expect_failures = [var.policy]
}

run "refused_35" {
  command = plan

  variables {
    policy = { overrides = [{ rules = ["first-rule"], grace_days = -1 }] } # in the past
  }

  expect_failures = [var.policy]
}

run "refused_36" {
  command = plan

  variables {
    policy = { owner_tags = ["owner", " "] } # no name
  }

  expect_failures = [var.policy]
}

run "refused_37" {
  command = plan

  variables {
    policy = { owner_tags = "owner" } # no list
  }

  expect_failures = [var.policy]
}

run "refused_38" {
  command = plan

  variables {
    policy = { change_windows = [{ days = ["mo"], from = "09:00", to = "17:00" }] } # no day
  }

  expect_failures = [var.policy]
}

run "refused_39" {
  command = plan

  variables {
    policy = { change_windows = [{ from = "9:00", to = "17:00" }] } # no time
  }

  expect_failures = [var.policy]
}

run "refused_40" {
  command = plan

  variables {
    policy = { change_windows = [{ from = "24:00", to = "17:00" }] } # no time to begin at
  }

  expect_failures = [var.policy]
}

run "refused_41" {
  command = plan

  variables {
    policy = { change_windows = [{ from = "09:00", to = "09:00" }] } # never open
  }

  expect_failures = [var.policy]
}

run "refused_42" {
  command = plan

  variables {
    policy = { change_windows = [{ from = "09:00" }] } # without an end
  }

  expect_failures = [var.policy]
}

run "refused_43" {
  command = plan

  variables {
    policy = { change_windows = [{ from = "09:00", to = "17:00", time_zone = "+01:00" }] } # no time zone
  }

  expect_failures = [var.policy]
}

run "refused_44" {
  command = plan

  variables {
    policy = { change_windows = [{ from = "09:00", to = "17:00", rules = ["third-rule"] }] } # no such rule
  }

  expect_failures = [var.policy]
}

run "refused_45" {
  command = plan

  variables {
    policy = { change_windows = [{ from = "09:00", to = "17:00", until = "2027-01-01" }] } # no such key
  }

  expect_failures = [var.policy]
}

run "refused_46" {
  command = plan

  variables {
    policy = { freezes = [{ from = "2026-12-24", to = "2026-12-23", reason = "why" }] } # ends before it begins
  }

  expect_failures = [var.policy]
}

run "refused_47" {
  command = plan

  variables {
    policy = { freezes = [{ from = "2026-12-24T18:00", to = "2026-12-24T18:00", reason = "why" }] } # ends when it begins
  }

  expect_failures = [var.policy]
}

run "refused_48" {
  command = plan

  variables {
    policy = { freezes = [{ from = "2026-02-30", to = "2026-12-23", reason = "why" }] } # no date
  }

  expect_failures = [var.policy]
}

run "refused_49" {
  command = plan

  variables {
    policy = { freezes = [{ from = "2026-12-24", to = "2026-12-24", reason = " " }] } # no reason
  }

  expect_failures = [var.policy]
}

run "refused_50" {
  command = plan

  variables {
    policy = { freezes = [{ from = "2026-12-24", to = "2026-12-24", reason = "why", accounts = ["1"] }] } # no account
  }

  expect_failures = [var.policy]
}

run "refused_51" {
  command = plan

  variables {
    policy = { rescan = { netskope_policies = [] } } # none
  }

  expect_failures = [var.policy]
}

run "refused_52" {
  command = plan

  variables {
    policy = { rescan = { interval_hours = 6 } } # of none
  }

  expect_failures = [var.policy]
}

run "refused_53" {
  command = plan

  variables {
    policy = { rescan = { netskope_policies = [" a"] } } # a space at an end
  }

  expect_failures = [var.policy]
}

run "refused_54" {
  command = plan

  variables {
    policy = { rescan = { netskope_policies = ["a"], interval_hours = 0 } } # too often
  }

  expect_failures = [var.policy]
}

run "refused_55" {
  command = plan

  variables {
    policy = { rescan = { netskope_policies = ["a"], interval_hours = 169 } } # too rarely
  }

  expect_failures = [var.policy]
}

run "refused_56" {
  command = plan

  variables {
    policy = { rescan = { netskope_policies = ["a"], hours = 6 } } # unknown
  }

  expect_failures = [var.policy]
}

run "refused_57" {
  command = plan

  variables {
    policy                  = { scope = { organization = "o-a1b2c3d4e5" } }
    alarm_throttled_seconds = 200 # no three whole minutes
  }

  expect_failures = [var.alarm_throttled_seconds]
}

run "refused_58" {
  command = plan

  variables {
    policy                  = { scope = { organization = "o-a1b2c3d4e5" } }
    alarm_throttled_seconds = 0
  }

  expect_failures = [var.alarm_throttled_seconds]
}
