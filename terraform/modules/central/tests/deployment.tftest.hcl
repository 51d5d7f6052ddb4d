# What is deployed, and with which settings.

mock_provider "aws" {
  source = "../../tests/mocks"
}

run "by_default" {
  # Names
  assert {
    condition     = aws_s3_bucket.this.bucket == "autoremediate-111111111111-eu-west-1" && output.bucket == aws_s3_bucket.this.bucket
    error_message = "The bucket is ${aws_s3_bucket.this.bucket}."
  }

  assert {
    condition = { for key, function in aws_lambda_function.function : key => function.function_name } == {
      poller      = "autoremediate-poller"
      first-rule  = "autoremediate-first-rule"
      second-rule = "autoremediate-second-rule"
    }
    error_message = "The functions are ${join(", ", [for function in aws_lambda_function.function : function.function_name])}."
  }

  assert {
    condition = { for key, role in aws_iam_role.function : key => role.name } == {
      poller      = "autoremediate-poller-eu-west-1"
      first-rule  = "autoremediate-first-rule-eu-west-1"
      second-rule = "autoremediate-second-rule-eu-west-1"
    } && aws_iam_role.scheduler.name == "autoremediate-scheduler-eu-west-1"
    error_message = "The roles are ${join(", ", [for role in aws_iam_role.function : role.name])}."
  }

  assert {
    condition     = alltrue([for key, group in aws_cloudwatch_log_group.function : group.name == "/aws/lambda/autoremediate-${key}"])
    error_message = "The log groups are ${jsonencode(output.log_group_names)}."
  }

  assert {
    condition     = aws_secretsmanager_secret.token.name_prefix == "autoremediate-netskope-token-" && aws_sqs_queue.queue["failure"].name == "autoremediate-failures"
    error_message = "The secret or the queue has another name."
  }

  assert {
    condition     = aws_scheduler_schedule_group.this.name == "autoremediate" && output.schedule_names == { first-rule = "first-rule", second-rule = "second-rule" }
    error_message = "The schedules are ${jsonencode(output.schedule_names)}."
  }

  assert {
    condition     = output.rule_function_names == { first-rule = "autoremediate-first-rule", second-rule = "autoremediate-second-rule" } && output.poller_function_name == "autoremediate-poller"
    error_message = "The outputs name other functions: ${jsonencode(output.rule_function_names)}."
  }

  assert {
    condition     = output.target_role_names == { first-rule = "autoremediate-first-rule", second-rule = "autoremediate-second-rule" }
    error_message = "The target roles are ${jsonencode(output.target_role_names)}."
  }

  assert {
    condition     = { for key, policy in aws_iam_policy.person : key => policy.name } == { approver = "autoremediate-approver-eu-west-1", operator = "autoremediate-operator-eu-west-1", pauser = "autoremediate-pauser-eu-west-1", reader = "autoremediate-reader-eu-west-1", retrier = "autoremediate-retrier-eu-west-1" }
    error_message = "The policies for people are ${join(", ", [for policy in aws_iam_policy.person : policy.name])}."
  }

  assert {
    condition     = output.approver_policy_arn == aws_iam_policy.person["approver"].arn && output.operator_policy_arn == aws_iam_policy.person["operator"].arn && output.pauser_policy_arn == aws_iam_policy.person["pauser"].arn && output.retrier_policy_arn == aws_iam_policy.person["retrier"].arn
    error_message = "The outputs name other policies."
  }

  # Functions
  assert {
    condition = alltrue([
      for key, function in aws_lambda_function.function :
      function.runtime == "provided.al2023" && function.handler == "bootstrap" && function.memory_size == (key == "poller" ? 256 : 512) && function.timeout == 900 &&
      function.architectures == tolist(["x86_64"]) && function.filename == "tests/packages/x86_64/${key}.zip" &&
      function.source_code_hash == filebase64sha256("tests/packages/x86_64/${key}.zip") && function.reserved_concurrent_executions == -1
    ])
    error_message = "A function's settings are wrong."
  }

  assert {
    condition = aws_lambda_function.function["poller"].environment[0].variables == tomap({
      BUCKET                       = "autoremediate-111111111111-eu-west-1"
      BUCKET_OWNER                 = "111111111111"
      NETSKOPE_TENANT              = "acme.goskope.com"
      TOKEN_SECRET_ARN             = "arn:aws:secretsmanager:eu-west-1:111111111111:secret:mock-AbCdEf"
      EVENT_AGE                    = "1800"
      MALLOC_MMAP_THRESHOLD_       = "131072"
      POLL_LIMITS                  = jsonencode({ rows = 200000, bytes = 1073741824, batches = 1000, batch_size = 200, passed_requests = 20, passed_days = 7 })
      REGIONS                      = "eu-west-1"
      HOME_REGION                  = "us-east-1"
      METRICS_NAMESPACE            = "autoremediate"
      RUST_LOG                     = "info"
      AWS_LC_SYS_NO_JITTER_ENTROPY = "1"
    })
    error_message = "The poller's environment is ${jsonencode(aws_lambda_function.function["poller"].environment[0].variables)}."
  }

  assert {
    condition = alltrue([
      for id in ["first-rule", "second-rule"] : aws_lambda_function.function[id].environment[0].variables == tomap({
        BUCKET                       = "autoremediate-111111111111-eu-west-1"
        BUCKET_OWNER                 = "111111111111"
        POLICY_DIGEST                = sha256(aws_s3_object.policy.content)
        EVENT_BUS                    = "default"
        TARGET_ROLE_NAME             = "autoremediate-${id}"
        EXTERNAL_ID                  = "the-external-id"
        HOME_REGION                  = "us-east-1"
        REGIONS                      = "eu-west-1"
        METRICS_NAMESPACE            = "autoremediate"
        RUST_LOG                     = "info"
        AWS_LC_SYS_NO_JITTER_ENTROPY = "1"
      })
    ])
    error_message = "A rule's environment is wrong."
  }

  assert {
    condition = alltrue([
      for key, config in aws_lambda_function_event_invoke_config.function :
      config.function_name == "autoremediate-${key}" && config.maximum_retry_attempts == (key == "poller" ? 0 : 2) &&
      config.destination_config[0].on_failure[0].destination == (key == "poller" ? "arn:aws:sqs:eu-west-1:111111111111:autoremediate-failures" : "arn:aws:events:eu-west-1:111111111111:event-bus/autoremediate-failures") &&
      (key == "poller" || config.maximum_event_age_in_seconds == 1800)
    ]) && toset(keys(aws_lambda_function_event_invoke_config.function)) == toset(["poller", "first-rule", "second-rule"])
    error_message = "An invocation that died would be forgotten, the poller's would be retried, or a rule's would not."
  }

  # Every record of a failure is in exactly one of the queues; only what was too old before any Lambda ran is in the one
  # without an alarm
  assert {
    condition = (
      toset(keys(aws_cloudwatch_event_rule.failures)) == toset(["failure", "too_old"]) && keys(aws_cloudwatch_metric_alarm.queue) == ["failure", "override"] &&
      jsondecode(aws_cloudwatch_event_rule.failures["too_old"].event_pattern) == {
        source = ["lambda"]
        detail = {
          requestContext  = { condition = ["EventAgeExceeded"] }
          responseContext = { functionError = [{ exists = false }] }
          requestPayload  = { Records = { s3 = { object = { key = [{ prefix = "findings/" }] } } } }
        }
      } &&
      length(jsondecode(aws_cloudwatch_event_rule.failures["failure"].event_pattern)["$or"]) == 5 &&
      alltrue([
        for key, target in aws_cloudwatch_event_target.failures :
        target.rule == aws_cloudwatch_event_rule.failures[key].name && target.event_bus_name == "autoremediate-failures" && target.input_path == "$.detail" &&
        target.arn == aws_sqs_queue.queue[key].arn && target.dead_letter_config[0].arn == aws_sqs_queue.queue["failure"].arn
      ])
    )
    error_message = "What failed and what was too old are not told apart: ${jsonencode(aws_cloudwatch_event_rule.failures)} ${jsonencode(aws_cloudwatch_event_target.failures)}"
  }

  assert {
    condition     = aws_lambda_function.function["poller"].environment[0].variables.EVENT_AGE == "1800"
    error_message = "The poller does not know how long a batch can wait."
  }

  # Bucket
  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "The bucket has no versions."
  }

  assert {
    condition = (
      aws_s3_bucket_public_access_block.this.block_public_acls && aws_s3_bucket_public_access_block.this.block_public_policy &&
      aws_s3_bucket_public_access_block.this.ignore_public_acls && aws_s3_bucket_public_access_block.this.restrict_public_buckets
    )
    error_message = "The bucket may become public."
  }

  assert {
    condition     = aws_s3_bucket_ownership_controls.this.rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "The bucket has ACLs."
  }

  assert {
    condition     = [for rule in aws_s3_bucket_server_side_encryption_configuration.this.rule : rule.apply_server_side_encryption_by_default[0].sse_algorithm] == ["AES256"]
    error_message = "The bucket is not encrypted with S3's keys."
  }

  assert {
    condition     = aws_s3_bucket.this.force_destroy == false && aws_secretsmanager_secret.token.recovery_window_in_days == 30
    error_message = "Destroying would delete records or the secret at once."
  }

  assert {
    condition = jsonencode({
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.id => {
        prefix     = one(rule.filter[*].prefix)
        days       = one(rule.expiration[*].days)
        noncurrent = one(rule.noncurrent_version_expiration[*].noncurrent_days)
      } if rule.status == "Enabled" && rule.id != "leftovers"
      }) == jsonencode({
      findings  = { prefix = "findings/", days = 30, noncurrent = 1 }
      plans     = { prefix = "plans/", days = 372, noncurrent = 365 }
      reports   = { prefix = "reports/", days = 372, noncurrent = 365 }
      approvals = { prefix = "approvals/", days = 365, noncurrent = 365 }
      resources = { prefix = "resources/", days = 365, noncurrent = 30 }
      ledgers   = { prefix = "ledgers/", days = 30, noncurrent = 1 }
      overrides = { prefix = "overrides/", days = 365, noncurrent = 365 }
      policy    = { prefix = "policy.json", days = null, noncurrent = 365 }
      deployed  = { prefix = "policy.deployed.json", days = null, noncurrent = 365 }
      pauses    = { prefix = "pauses.json", days = null, noncurrent = 365 }
      turns     = { prefix = "netskope-turns.json", days = null, noncurrent = 1 }
    })
    error_message = "The lifecycle is ${jsonencode(aws_s3_bucket_lifecycle_configuration.this.rule)}."
  }

  assert {
    condition = [
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule :
      [one(rule.abort_incomplete_multipart_upload[*].days_after_initiation), one(rule.expiration[*].expired_object_delete_marker)]
      if rule.status == "Enabled" && rule.id == "leftovers"
    ] == [[1, true]]
    error_message = "Parts of uploads, or delete markers, are left over."
  }

  # Notification
  assert {
    condition = [for block in aws_s3_bucket_notification.findings.lambda_function : [block.id, block.filter_prefix, block.filter_suffix, tolist(block.events)]] == [
      ["first-rule", "findings/first-rule/", ".ndjson.gz", tolist(["s3:ObjectCreated:*"])],
      ["second-rule", "findings/second-rule/", ".ndjson.gz", tolist(["s3:ObjectCreated:*"])],
      ["first-rule-plain", "findings/first-rule/", ".ndjson", tolist(["s3:ObjectCreated:*"])],
      ["second-rule-plain", "findings/second-rule/", ".ndjson", tolist(["s3:ObjectCreated:*"])],
      ["first-rule-approvals", "approvals/first-rule/", ".json", tolist(["s3:ObjectCreated:*"])],
      ["second-rule-approvals", "approvals/second-rule/", ".json", tolist(["s3:ObjectCreated:*"])],
    ]
    error_message = "The notification is ${jsonencode(aws_s3_bucket_notification.findings.lambda_function)}."
  }

  # Failures
  assert {
    condition     = aws_sqs_queue.queue["failure"].sqs_managed_sse_enabled && aws_sqs_queue.queue["failure"].message_retention_seconds == 14 * 24 * 3600
    error_message = "The queue is not encrypted, or forgets early."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.queue["failure"].namespace == "AWS/SQS" &&
      aws_cloudwatch_metric_alarm.queue["failure"].metric_name == "ApproximateNumberOfMessagesVisible" &&
      aws_cloudwatch_metric_alarm.queue["failure"].dimensions == tomap({ QueueName = "autoremediate-failures" }) &&
      aws_cloudwatch_metric_alarm.queue["failure"].comparison_operator == "GreaterThanThreshold" &&
      aws_cloudwatch_metric_alarm.queue["failure"].threshold == 0 &&
      length(aws_cloudwatch_metric_alarm.queue["failure"].alarm_actions) == 0
    )
    error_message = "The alarm does not watch the queue."
  }

  assert {
    condition     = strcontains(aws_cloudwatch_metric_alarm.queue["failure"].alarm_description, "autoremediate failures list --records s3://autoremediate-111111111111-eu-west-1. ")
    error_message = "The alarm does not say what to do: ${aws_cloudwatch_metric_alarm.queue["failure"].alarm_description}"
  }

  # Overrides of the policy
  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.overrides.event_pattern) == {
      source      = ["aws.s3"]
      detail-type = ["Object Created"]
      detail      = { bucket = { name = ["autoremediate-111111111111-eu-west-1"] }, object = { key = [{ prefix = "overrides/" }] } }
    } && aws_s3_bucket_notification.findings.eventbridge
    error_message = "Nobody would hear of an override: ${aws_cloudwatch_event_rule.overrides.event_pattern}."
  }

  assert {
    condition     = aws_cloudwatch_event_target.overrides.rule == "autoremediate-overrides" && aws_cloudwatch_event_target.overrides.arn == aws_sqs_queue.queue["override"].arn
    error_message = "An override would reach no queue."
  }

  assert {
    condition     = aws_sqs_queue.queue["override"].sqs_managed_sse_enabled && aws_sqs_queue.queue["override"].message_retention_seconds == 14 * 24 * 3600
    error_message = "The queue is not encrypted, or forgets early."
  }

  assert {
    condition = jsondecode(aws_sqs_queue_policy.queue["override"].policy).Statement[0] == {
      Sid       = "Events"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = "arn:aws:sqs:eu-west-1:111111111111:autoremediate-overrides"
      Condition = { ArnEquals = { "aws:SourceArn" = "arn:aws:events:eu-west-1:111111111111:rule/autoremediate-overrides" } }
    }
    error_message = "The policy is ${aws_sqs_queue_policy.queue["override"].policy}."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.queue["override"].namespace == "AWS/SQS" &&
      aws_cloudwatch_metric_alarm.queue["override"].metric_name == "ApproximateNumberOfMessagesVisible" &&
      aws_cloudwatch_metric_alarm.queue["override"].dimensions == tomap({ QueueName = "autoremediate-overrides" }) &&
      aws_cloudwatch_metric_alarm.queue["override"].comparison_operator == "GreaterThanThreshold" &&
      aws_cloudwatch_metric_alarm.queue["override"].threshold == 0
    )
    error_message = "The alarm does not watch the queue."
  }

  # Every rule plans, every half hour
  assert {
    condition     = jsondecode(aws_s3_object.policy.content) == { schema = 1, scope = { organization = "o-a1b2c3d4e5" }, mode = "plan", rules = { first-rule = { mode = "plan" }, second-rule = { mode = "plan" } } }
    error_message = "The policy is ${aws_s3_object.policy.content}."
  }

  assert {
    condition     = aws_s3_object.policy.key == "policy.json" && aws_s3_object.policy.content_type == "application/json" && aws_s3_object.policy.bucket == aws_s3_bucket.this.id
    error_message = "The policy is another object."
  }

  # What `policy show` compares it with
  assert {
    condition     = aws_s3_object.deployed_policy.key == "policy.deployed.json" && aws_s3_object.deployed_policy.content == aws_s3_object.policy.content && aws_s3_object.deployed_policy.bucket == aws_s3_bucket.this.id
    error_message = "What was deployed is not kept beside the policy."
  }

  assert {
    condition = alltrue([
      for id, schedule in aws_scheduler_schedule.rule :
      can(regex("^cron\\([0-9]+/30 \\* \\* \\* \\? \\*\\)$", schedule.schedule_expression)) && schedule.state == "ENABLED" && schedule.group_name == "autoremediate" &&
      schedule.flexible_time_window[0].mode == "OFF" &&
      schedule.target[0].input == jsonencode({ rule = id, controls = var.rules[id].controls, turns = { place = index(keys(var.rules), id), of = 2 } }) && schedule.target[0].arn == aws_lambda_function.function["poller"].arn &&
      schedule.target[0].role_arn == aws_iam_role.scheduler.arn && schedule.target[0].dead_letter_config[0].arn == aws_sqs_queue.queue["failure"].arn
    ])
    error_message = "A schedule is wrong."
  }
}

# Netskope takes four requests a second from a tenant, of all pollers together

run "rules_are_polled_for_one_after_the_other" {
  command = plan

  assert {
    condition     = (local.minutes.second-rule - local.minutes.first-rule + 30) % 30 == 15
    error_message = "The rules are polled for at the minutes ${jsonencode(local.minutes)}."
  }

  assert {
    condition = alltrue([
      for id, schedule in aws_scheduler_schedule.rule : schedule.schedule_expression == "cron(${local.minutes[id]}/30 * * * ? *)"
    ])
    error_message = "The schedules are ${jsonencode({ for id, schedule in aws_scheduler_schedule.rule : id => schedule.schedule_expression })}."
  }
}

run "in_another_region_at_other_minutes" {
  command = plan

  override_data {
    target = data.aws_service.here
    values = { region = "us-west-2" }
  }

  assert {
    condition     = local.phase != parseint(substr(sha256("eu-west-1"), 0, 8), 16) % 30
    error_message = "Two regions are polled for at the minute ${local.phase}."
  }
}

run "schedule_and_mode_of_single_rules" {
  variables {
    schedule  = "rate(1 day)"
    schedules = { second-rule = "cron(0 6 ? * MON-FRI *)" }
    policy    = { scope = { organization = "o-a1b2c3d4e5" }, mode = "approve", rules = { first-rule = { mode = "off" } } }
  }

  assert {
    condition     = { for id, schedule in aws_scheduler_schedule.rule : id => schedule.schedule_expression } == { first-rule = "rate(1 day)", second-rule = "cron(0 6 ? * MON-FRI *)" }
    error_message = "The schedules are ${jsonencode({ for id, schedule in aws_scheduler_schedule.rule : id => schedule.schedule_expression })}."
  }

  assert {
    condition     = jsondecode(aws_s3_object.policy.content) == { schema = 1, scope = { organization = "o-a1b2c3d4e5" }, mode = "approve", rules = { first-rule = { mode = "off" }, second-rule = { mode = "approve" } } }
    error_message = "The policy is ${aws_s3_object.policy.content}."
  }

  assert {
    condition     = output.modes == { first-rule = "off", second-rule = "approve" }
    error_message = "The modes are ${jsonencode(output.modes)}."
  }

  assert {
    condition     = { for id, schedule in aws_scheduler_schedule.rule : id => schedule.state } == { first-rule = "DISABLED", second-rule = "ENABLED" }
    error_message = "A rule that is off is polled, or one that is not off is not."
  }
}

run "a_rule_that_is_off_but_in_one_account" {
  command = plan

  variables {
    policy = {
      scope = { organization = "o-a1b2c3d4e5" }
      mode  = "off"
      overrides = [
        { accounts = ["222222222222"], mode = "off" },
        { rules = ["second-rule"], accounts = ["333333333333"], mode = "apply" },
        { rules = ["first-rule"], grace_days = 7 },
      ]
    }
  }

  assert {
    condition     = { for id, schedule in aws_scheduler_schedule.rule : id => schedule.state } == { first-rule = "DISABLED", second-rule = "ENABLED" }
    error_message = "A rule that is on in an account is not polled, or one that is off everywhere is."
  }

  assert {
    condition     = output.modes == { first-rule = "off", second-rule = "off" }
    error_message = "The modes are ${jsonencode(output.modes)}."
  }
}

run "rules_that_are_off_but_in_one_account" {
  command = plan

  variables {
    policy = { scope = { organization = "o-a1b2c3d4e5" }, mode = "off", overrides = [{ accounts = ["222222222222"], mode = "plan" }] }
  }

  assert {
    condition     = { for id, schedule in aws_scheduler_schedule.rule : id => schedule.state } == { first-rule = "ENABLED", second-rule = "ENABLED" }
    error_message = "A rule that is on in an account is not polled."
  }
}

run "every_key_of_a_policy" {
  command = plan

  variables {
    organization = {}
    policy = {
      schema = 1
      scope = {
        organization         = "o-a1b2c3d4e5"
        organizational_units = ["o-a1b2c3d4e5/r-ab12/*"]
        accounts             = ["222222222222"]
      }
      paused = true
      mode   = "approve"
      rules = {
        first-rule  = { mode = "apply", settings = { days = 60, share = 0.5, ipv6 = false, traffic = "ALL", places = { eu-west-1 = "a-bucket" }, none = null }, grace_days = 7 }
        second-rule = { settings = { wide_rules = "hold" }, grace_days = 14 }
      }
      accounts = {
        "222222222222" = { organizational_units = ["ou-ab12-cdefgh34"], tags = { env = "prod" } }
        "333333333333" = {}
      }
      overrides = [
        { rules = ["first-rule"], accounts = ["222222222222"], organizational_units = ["ou-ab12-cdefgh34"], account_tags = { env = "prod" }, mode = "approve", grace_days = 0 },
        { account_tags = { env = "test" }, mode = "apply" },
      ]
      exemptions = [
        {
          rules   = ["second-rule"], accounts = ["333333333333"], regions = ["eu-west-1"], resources = ["public-*"], tags = { public = "true" },
          expires = "2027-01-31", reason = "The web site.", owner = "web@example.com"
        },
        { resources = ["arn:aws:s3:::www"], reason = "The web site.", owner = "web@example.com" },
      ]
      limits         = { changes_per_day = 200, changes_per_run = 100, changes_per_rule = 50, changes_per_account = 20, changes_per_account_per_day = 40, failure_percent = 100, failure_minimum = 1 }
      approval_hours = 72
      fight          = { window_days = 7, fixes = 3 }
      owner_tags     = ["owner"]
      change_windows = [{
        days  = ["mon", "fri"], from = "22:00", to = "24:00", time_zone = "Europe/Berlin",
        rules = ["first-rule"], accounts = ["222222222222"], organizational_units = ["ou-ab12-cdefgh34"], account_tags = { env = "prod" }
      }]
      freezes = [
        {
          from  = "2026-12-20", to = "2026-12-20T18:00", time_zone = "Europe/Berlin", reason = "The sale.",
          rules = ["first-rule"], accounts = ["222222222222"], organizational_units = ["ou-ab12-cdefgh34"], account_tags = { env = "prod" }
        },
        { from = "2026-12-24", to = "2026-12-24", reason = "Christmas." },
      ]
      rescan = { netskope_policies = ["Best practices"], interval_hours = 12 }
    }
  }

  assert {
    condition = jsondecode(aws_s3_object.policy.content) == {
      organization = { max_age_days = 7 }
      schema       = 1
      scope = {
        organization         = "o-a1b2c3d4e5"
        organizational_units = ["o-a1b2c3d4e5/r-ab12/*"]
        accounts             = ["222222222222"]
      }
      paused = true
      mode   = "approve"
      rules = {
        first-rule  = { mode = "apply", settings = { days = 60, share = 0.5, ipv6 = false, traffic = "ALL", places = { eu-west-1 = "a-bucket" } }, grace_days = 7 }
        second-rule = { mode = "approve", settings = { wide_rules = "hold" }, grace_days = 14 }
      }
      accounts = {
        "222222222222" = { organizational_units = ["ou-ab12-cdefgh34"], tags = { env = "prod" } }
        "333333333333" = {}
      }
      overrides = [
        { rules = ["first-rule"], accounts = ["222222222222"], organizational_units = ["ou-ab12-cdefgh34"], account_tags = { env = "prod" }, mode = "approve", grace_days = 0 },
        { account_tags = { env = "test" }, mode = "apply" },
      ]
      exemptions = [
        {
          rules   = ["second-rule"], accounts = ["333333333333"], regions = ["eu-west-1"], resources = ["public-*"], tags = { public = "true" },
          expires = "2027-01-31", reason = "The web site.", owner = "web@example.com"
        },
        { resources = ["arn:aws:s3:::www"], reason = "The web site.", owner = "web@example.com" },
      ]
      limits         = { changes_per_day = 200, changes_per_run = 100, changes_per_rule = 50, changes_per_account = 20, changes_per_account_per_day = 40, failure_percent = 100, failure_minimum = 1 }
      approval_hours = 72
      fight          = { window_days = 7, fixes = 3 }
      owner_tags     = ["owner"]
      change_windows = [{
        days  = ["mon", "fri"], from = "22:00", to = "24:00", time_zone = "Europe/Berlin",
        rules = ["first-rule"], accounts = ["222222222222"], organizational_units = ["ou-ab12-cdefgh34"], account_tags = { env = "prod" }
      }]
      freezes = [
        {
          from  = "2026-12-20", to = "2026-12-20T18:00", time_zone = "Europe/Berlin", reason = "The sale.",
          rules = ["first-rule"], accounts = ["222222222222"], organizational_units = ["ou-ab12-cdefgh34"], account_tags = { env = "prod" }
        },
        { from = "2026-12-24", to = "2026-12-24", reason = "Christmas." },
      ]
      rescan = { netskope_policies = ["Best practices"], interval_hours = 12 }
    }
    error_message = "The policy is ${aws_s3_object.policy.content}."
  }

  # The variable's type names every key of the schema; what it does not name would be lost
  assert {
    condition = alltrue([
      for pair in [
        [jsondecode(aws_s3_object.policy.content), jsondecode(file("${path.module}/../catalog/policy.schema.json"))],
        [jsondecode(aws_s3_object.policy.content).rules.first-rule, jsondecode(file("${path.module}/../catalog/policy.schema.json"))["$defs"].RulePolicy],
        [jsondecode(aws_s3_object.policy.content).accounts["222222222222"], jsondecode(file("${path.module}/../catalog/policy.schema.json"))["$defs"].Account],
        [jsondecode(aws_s3_object.policy.content).overrides[0], jsondecode(file("${path.module}/../catalog/policy.schema.json"))["$defs"].Override],
        [jsondecode(aws_s3_object.policy.content).exemptions[0], jsondecode(file("${path.module}/../catalog/policy.schema.json"))["$defs"].Exemption],
        [jsondecode(aws_s3_object.policy.content).limits, jsondecode(file("${path.module}/../catalog/policy.schema.json"))["$defs"].Limits],
        [jsondecode(aws_s3_object.policy.content).scope, jsondecode(file("${path.module}/../catalog/policy.schema.json"))["$defs"].Scope],
        [jsondecode(aws_s3_object.policy.content).fight, jsondecode(file("${path.module}/../catalog/policy.schema.json"))["$defs"].Fight],
        [jsondecode(aws_s3_object.policy.content).change_windows[0], jsondecode(file("${path.module}/../catalog/policy.schema.json"))["$defs"].ChangeWindow],
        [jsondecode(aws_s3_object.policy.content).freezes[0], jsondecode(file("${path.module}/../catalog/policy.schema.json"))["$defs"].Freeze],
        [jsondecode(aws_s3_object.policy.content).rescan, jsondecode(file("${path.module}/../catalog/policy.schema.json"))["$defs"].Rescan],
      ] : keys(pair[0]) == keys(pair[1].properties)
    ])
    error_message = "The keys of the policy are not those of policy.schema.json: ${aws_s3_object.policy.content}."
  }
}

run "nothing_in_a_policy" {
  command = plan

  variables {
    policy = {
      paused = null, mode = null, rules = { first-rule = { mode = null, settings = {} } }, accounts = {}, overrides = [], exemptions = [],
      limits = { changes_per_run = null }, approval_hours = null, fight = null
    }
  }

  expect_failures = [check.a_scope_is_set]

  assert {
    condition     = jsondecode(aws_s3_object.policy.content) == { schema = 1, mode = "plan", rules = { first-rule = { mode = "plan" }, second-rule = { mode = "plan" } } }
    error_message = "The policy is ${aws_s3_object.policy.content}."
  }
}

run "everything_else_chosen" {
  variables {
    name_prefix                 = "acme"
    architecture                = "arm64"
    netskope_endpoint           = "http://127.0.0.1:8080"
    netskope_token_version      = 7
    reserved_concurrency        = 5
    poller_reserved_concurrency = 2
    poll_limits                 = { rows = 1000, batches = 7 }
    log_retention_days          = 400
    findings_retention_days     = 3
    record_retention_days       = 730
    alarm_actions               = ["arn:aws:sns:eu-west-1:111111111111:on-call"]
    force_destroy               = true
    tags                        = { owner = "security" }
  }

  assert {
    condition     = aws_s3_bucket.this.bucket == "acme-111111111111-eu-west-1" && aws_iam_role.function["first-rule"].name == "acme-first-rule-eu-west-1" && aws_lambda_function.function["first-rule"].environment[0].variables.TARGET_ROLE_NAME == "acme-first-rule"
    error_message = "A name does not start with the prefix."
  }

  assert {
    condition = alltrue([
      for key, function in aws_lambda_function.function :
      function.architectures == tolist(["arm64"]) && function.filename == "tests/packages/arm64/${key}.zip"
    ])
    error_message = "A function has another architecture, or another's package."
  }

  assert {
    condition     = aws_lambda_function.function["poller"].environment[0].variables.NETSKOPE_ENDPOINT == "http://127.0.0.1:8080"
    error_message = "The endpoint is not passed on."
  }

  assert {
    condition     = jsondecode(aws_lambda_function.function["poller"].environment[0].variables.POLL_LIMITS) == { rows = 1000, bytes = 1073741824, batches = 7, batch_size = 200, passed_requests = 20, passed_days = 7 }
    error_message = "The limits of a poll are ${aws_lambda_function.function["poller"].environment[0].variables.POLL_LIMITS}."
  }

  assert {
    condition     = aws_secretsmanager_secret_version.token.secret_string_wo_version == 7
    error_message = "The token's version is ${aws_secretsmanager_secret_version.token.secret_string_wo_version}."
  }

  assert {
    condition     = { for key, function in aws_lambda_function.function : key => function.reserved_concurrent_executions } == { poller = 2, first-rule = 5, second-rule = 5 }
    error_message = "The concurrency is not reserved."
  }

  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.function : group.retention_in_days == 400])
    error_message = "A log is kept for another time."
  }

  assert {
    condition = {
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.id => one(rule.expiration[*].days) if strcontains(one(rule.filter[*].prefix) == null ? "" : one(rule.filter[*].prefix), "/")
    } == { findings = 3, plans = 737, reports = 737, approvals = 730, resources = 730, ledgers = 30, overrides = 730 }
    error_message = "The lifecycle is ${jsonencode(aws_s3_bucket_lifecycle_configuration.this.rule)}."
  }

  assert {
    condition = alltrue([
      for alarm in [aws_cloudwatch_metric_alarm.queue["failure"], aws_cloudwatch_metric_alarm.queue["override"]] :
      alarm.alarm_actions == toset(["arn:aws:sns:eu-west-1:111111111111:on-call"])
    ])
    error_message = "An alarm notifies nobody."
  }

  assert {
    condition     = aws_s3_bucket.this.force_destroy && aws_secretsmanager_secret.token.recovery_window_in_days == 0
    error_message = "The demonstration could not be destroyed."
  }

  assert {
    condition = alltrue([
      for tags in concat(
        [for role in aws_iam_role.function : role.tags],
        [for function in aws_lambda_function.function : function.tags],
        [for group in aws_cloudwatch_log_group.function : group.tags],
        [for policy in aws_iam_policy.person : policy.tags],
        [
          aws_s3_bucket.this.tags, aws_secretsmanager_secret.token.tags, aws_sqs_queue.queue["failure"].tags, aws_iam_role.scheduler.tags,
          aws_scheduler_schedule_group.this.tags, aws_cloudwatch_metric_alarm.queue["failure"].tags,
        ],
      ) : tags == tomap({ owner = "security" })
    ])
    error_message = "A resource is not tagged."
  }
}

# A card must not expire before what it remembers

run "cards_outlive_records_that_are_kept_for_days" {
  command = plan

  variables {
    record_retention_days = 2
  }

  assert {
    condition = {
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.id => one(rule.expiration[*].days)
      if contains(["plans", "reports", "approvals", "resources"], rule.id)
    } == { plans = 9, reports = 9, approvals = 2, resources = 30 }
    error_message = "The lifecycle is ${jsonencode(aws_s3_bucket_lifecycle_configuration.this.rule)}."
  }
}

run "cards_outlive_the_fight_window" {
  command = plan

  variables {
    record_retention_days = 2
    policy                = { scope = { organization = "o-a1b2c3d4e5" }, fight = { window_days = 45 }, approval_hours = 24 }
  }

  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.expiration[0].days if rule.id == "resources"] == [45]
    error_message = "The lifecycle is ${jsonencode(aws_s3_bucket_lifecycle_configuration.this.rule)}."
  }
}

run "cards_outlive_an_approval" {
  command = plan

  variables {
    record_retention_days = 2
    policy                = { scope = { organization = "o-a1b2c3d4e5" }, approval_hours = 40 * 24 + 1 }
  }

  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.expiration[0].days if rule.id == "resources"] == [41]
    error_message = "The lifecycle is ${jsonencode(aws_s3_bucket_lifecycle_configuration.this.rule)}."
  }
}

run "another_region" {
  command = plan

  override_data {
    target = data.aws_service.here
    values = { region = "ap-southeast-2" }
  }

  assert {
    condition = alltrue([
      for id in ["first-rule", "second-rule"] :
      aws_lambda_function.function[id].environment[0].variables.REGIONS == "ap-southeast-2" &&
      aws_lambda_function.function[id].environment[0].variables.HOME_REGION == "us-east-1"
    ])
    error_message = "A rule's Lambda is told of other regions than its deployment's own and home_region."
  }

  assert {
    condition = (
      aws_lambda_function.function["poller"].environment[0].variables.REGIONS == "ap-southeast-2" &&
      aws_lambda_function.function["poller"].environment[0].variables.HOME_REGION == "us-east-1"
    )
    error_message = "The poller is told of other regions."
  }

  assert {
    condition     = keys(aws_iam_policy.region) == ["ap-southeast-2"]
    error_message = "The deployment looks after ${join(", ", keys(aws_iam_policy.region))}."
  }
}

run "many_regions" {
  command = plan

  variables {
    regions = ["us-east-1", "eu-west-1", "ap-southeast-2"]
  }

  assert {
    condition = alltrue([
      for function in aws_lambda_function.function : function.environment[0].variables.REGIONS == "ap-southeast-2,eu-west-1,us-east-1"
    ])
    error_message = "A Lambda is told of other regions."
  }

  # What two deployments of an account cannot both have
  assert {
    condition = { for region, policy in aws_iam_policy.region : region => policy.name } == {
      for region in ["ap-southeast-2", "eu-west-1", "us-east-1"] : region => "autoremediate-looks-after-${region}"
    }
    error_message = "The policies are ${jsonencode(values(aws_iam_policy.region)[*].name)}."
  }

  # It is of no use to whoever has it: nobody can be kept from this action
  assert {
    condition     = alltrue([for policy in aws_iam_policy.region : jsondecode(policy.policy).Statement[*].Action == [["sts:GetCallerIdentity"]]])
    error_message = "A policy that only marks a region lets somebody do something."
  }
}

run "no_region" {
  command = plan

  variables {
    regions = []
  }

  expect_failures = [var.regions]
}

run "a_region_by_its_name" {
  command = plan

  variables {
    regions = ["eu-west-1", "EU (Ireland)"]
  }

  expect_failures = [var.regions]
}

# Each folder is spelled in one place only

run "folders" {
  command = plan

  assert {
    condition     = keys(local.folders) == ["approvals", "findings", "ledgers", "overrides", "plans", "reports", "resources"]
    error_message = "The folders are ${join(", ", keys(local.folders))}."
  }

  assert {
    condition = alltrue(flatten([
      # A part of a policy has the name of a folder
      for file in setsubtract(fileset(path.module, "*.tf"), ["variables.policy.tf"]) : [
        for folder in keys(local.folders) : length(regexall("[=\\[,(] *\"${folder}[/\"]|[/}]${folder}/", file("${path.module}/${file}"))) == 0
      ]
    ]))
    error_message = "A folder is spelled out beside main.folders.tf."
  }
}

run "tags_that_differ_in_capitals" {
  command = plan

  variables {
    tags = { owner = "a", Owner = "b" }
  }

  expect_failures = [var.tags]
}

run "a_tag_that_differs_from_a_default_tag_in_capitals" {
  command = plan

  override_data {
    target = data.aws_default_tags.this
    values = { tags = { application = "autoremediate" } }
  }

  variables {
    tags = { Application = "ours" }
  }

  expect_failures = [aws_iam_role.function]
}

run "a_tag_in_place_of_a_default_tag" {
  command = plan

  override_data {
    target = data.aws_default_tags.this
    values = { tags = { application = "autoremediate" } }
  }

  variables {
    tags = { application = "ours" }
  }
}

run "a_package_is_missing" {
  command = plan

  variables {
    package_dir = "tests/no-packages"
  }

  expect_failures = [aws_lambda_function.function]
}

run "in_the_management_account" {
  command = plan

  override_data {
    target = data.aws_organizations_organization.this
    values = { master_account_id = "111111111111" }
  }

  expect_failures = [check.not_in_the_management_account]
}

run "a_home_region_that_accounts_have_to_enable" {
  command = plan

  variables {
    home_region = "eu-central-2"
  }

  expect_failures = [check.the_home_region_is_everywhere]
}

run "a_home_region_of_another_partition" {
  command = plan

  override_data {
    target = data.aws_partition.this
    values = { partition = "aws-us-gov" }
  }

  variables {
    home_region             = "us-gov-west-1"
    approver_role_arns      = []
    operator_role_arns      = []
    policy_writer_role_arns = []
  }
}

run "without_an_organization" {
  command = plan

  override_data {
    target = data.aws_organizations_organization.this
    values = { master_account_id = "111111111111" }
  }

  variables {
    organization_check = false
  }

  assert {
    condition     = length(data.aws_organizations_organization.this) == 0
    error_message = "The organization is read."
  }
}
