# One schedule for each rule. A rule that is off everywhere is not polled for.
#
# Unless they are set, the rules of a deployment are polled for one after the other, evenly over half an hour, and deployments
# begin at minutes that follow from their regions: Netskope takes four requests a second from a tenant. A rate(…) would do it
# at the moment of the apply, for all rules at once.
#
# Whenever they are polled for, the pollers of a deployment take turns, which they keep in an object of the bucket
# (main.folders.tf), and deployments have turns of their own by the clock (netskope_deployments). The place of its rule is what a
# poller keeps to where it cannot read or write that object.

locals {
  every   = 30 # minutes
  phase   = parseint(substr(sha256(local.region), 0, 8), 16) % local.every
  minutes = { for place, id in keys(var.rules) : id => (local.phase + floor(place * local.every / length(var.rules))) % local.every }
  schedules = {
    for id, minute in local.minutes : id => coalesce(
      try(var.schedules[id], null),
      var.schedule,
      # AWS's fields: minutes, hours, day of the month, month, day of the week, year
      "cron(${minute}/${local.every} * * * ? *)",
    )
  }

  turns = { for place, id in keys(var.rules) : id => { turns = { place = place, of = length(var.rules) } } }

  # What the poller has to know of a rule that is not of this repository
  further_controls = { for id, rule in var.rules : id => contains(module.catalog.built_in, id) ? {} : { controls = rule.controls } }
}

resource "aws_iam_role" "scheduler" {
  name                 = "${var.name_prefix}-scheduler-${local.region}"
  description          = "autoremediate: the schedules in ${local.region}"
  permissions_boundary = local.permissions_boundary
  tags                 = var.tags

  # For this account's group of schedules alone:
  # https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnEquals    = { "aws:SourceArn" = "arn:${local.partition}:scheduler:${local.region}:${local.account}:schedule-group/${var.name_prefix}" }
      }
    }]
  })
}

resource "aws_iam_role_policy" "scheduler" {
  name = "scheduler"
  role = aws_iam_role.scheduler.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.key_statements.QueueKey, [
      {
        Sid      = "Poll"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = ["arn:${local.partition}:lambda:${local.region}:${local.account}:function:${local.function_names.poller}"]
      },
      {
        Sid      = "Failures"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [local.queue_arns.failure]
      },
    ])
  })
}

resource "aws_scheduler_schedule_group" "this" {
  name = var.name_prefix
  tags = var.tags
}

resource "aws_scheduler_schedule" "rule" {
  # checkov:skip=CKV_AWS_297:Its input is the rule's ID, which is no secret, and Scheduler encrypts it with a key of AWS

  for_each = var.rules

  name                = each.key
  group_name          = aws_scheduler_schedule_group.this.name
  description         = "autoremediate: polls for ${each.key}"
  schedule_expression = local.schedules[each.key]
  state               = local.polled[each.key] ? "ENABLED" : "DISABLED"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.function["poller"].arn
    role_arn = aws_iam_role.scheduler.arn
    input    = jsonencode(merge({ rule = each.key }, local.further_controls[each.key], local.turns[each.key]))

    # This is about the delivery to Lambda only; the next poll makes up for a lost one
    retry_policy {
      maximum_event_age_in_seconds = 600
      maximum_retry_attempts       = 3
    }

    dead_letter_config {
      arn = aws_sqs_queue.queue["failure"].arn
    }
  }

  # A rate schedule fires as soon as it exists, and a poll needs all of these
  depends_on = [
    aws_s3_bucket_notification.findings,
    aws_secretsmanager_secret_version.token,
    aws_iam_role_policy.scheduler,
    aws_lambda_function_event_invoke_config.function,
  ]
}
