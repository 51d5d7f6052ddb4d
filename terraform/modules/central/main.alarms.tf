# Alarms over the metrics that the Lambdas write (docs/metrics.md). Each is about the whole deployment, so that their number
# does not grow with the rules: with an alarm for each rule, 40 regions of 8 rules would have some 2,000.
#
# They look at two intervals between polls at once, alarm_period, so that what goes wrong in every poll is one alarm and not
# one an hour. CloudWatch's longest period is a day; a longer time is several of them in a row.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html

locals {
  alarm_days = ceil(var.alarm_period / 86400)

  alarms = {
    no-whole-poll = {
      description = "no poll of any rule has been whole for ${var.alarm_period / 60} minutes, so nobody knows what there is to fix. Usual causes: Netskope refuses the token (write a new one, see netskope_token_version), the tenant answers with errors, or the schedules do not run. See why in the saved query ${var.name_prefix}/errors, and by `autoremediate doctor`."
      metric      = "WholePolls"
      statistic   = "Sum"
      comparison  = "LessThanThreshold"
      threshold   = 1
      # No poll at all is the worst
      missing = "breaching"
    }
    nothing-listed = {
      description = "Netskope lists no violation of any control, in any region. That all were fixed is one reason; a renamed profile, a scan that has stopped, or a token that sees less are others. Compare with Netskope's console. If there really are none, put nothing-listed into disabled_alarms."
      metric      = "Listed"
      statistic   = "Sum"
      comparison  = "LessThanThreshold"
      threshold   = 1
      # Only whole polls say how much is listed
      missing = "ignore"
    }
    failed-findings = {
      description = "findings failed: a call of AWS was refused, or a line of a batch is no finding. The saved queries ${var.name_prefix}/failed accounts and ${var.name_prefix}/errors say where and why, each finding's `detail` in the reports which permission is missing. The next poll tries again."
      metric      = "Failed"
      statistic   = "Sum"
      comparison  = "GreaterThanThreshold"
      threshold   = 0
      missing     = "notBreaching"
    }
    waiting = {
      description = "a plan has waited for a person for more than ${var.alarm_waiting_hours} hours. The reports say `held` with the plan's key: look at it, and approve it (`autoremediate approve`), exempt the resource, or change the rule's mode."
      metric      = "OldestWaiting"
      statistic   = "Maximum"
      comparison  = "GreaterThanThreshold"
      threshold   = var.alarm_waiting_hours * 3600
      missing     = "notBreaching"
    }
    contested = {
      description = "Netskope has scanned resources since they were fixed, and still lists them as Failed, although a fresh look finds the fix in force. The reports have them in rows with `contested`; `autoremediate report` lists them. Compare such a resource with what Netskope's console says of it, and ask Netskope's support. It ends when a scan passes them."
      metric      = "Contested"
      statistic   = "Sum"
      comparison  = "GreaterThanThreshold"
      threshold   = 0
      missing     = "notBreaching"
    }
    breaker = {
      description = "too many fixes failed, so the breaker has deferred the others of the account or of the run. See why they fail in the saved query ${var.name_prefix}/errors before the next poll tries again; `autoremediate pause` stops all writes meanwhile."
      metric      = "StoppedByBreaker"
      statistic   = "Sum"
      comparison  = "GreaterThanThreshold"
      threshold   = 0
      missing     = "notBreaching"
    }
  }

  # Nobody polls where every rule is off
  enabled_alarms = {
    for key, alarm in local.alarms : key => alarm if !contains(var.disabled_alarms, key) && anytrue(values(local.polled))
  }
}

resource "aws_cloudwatch_metric_alarm" "deployment" {
  for_each = local.enabled_alarms

  alarm_name          = "${var.name_prefix}-${each.key}"
  alarm_description   = "autoremediate: ${each.value.description}"
  namespace           = var.name_prefix
  metric_name         = each.value.metric
  statistic           = each.value.statistic
  period              = var.alarm_period / local.alarm_days
  evaluation_periods  = local.alarm_days
  datapoints_to_alarm = each.value.comparison == "LessThanThreshold" ? local.alarm_days : 1
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  treat_missing_data  = each.value.missing
  alarm_actions       = sort(var.alarm_actions)
  tags                = var.tags
}

# Of all functions of the account in this region, because they share its concurrency: one metric, and one alarm, whatever the
# number of rules.
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
resource "aws_cloudwatch_metric_alarm" "throttled" {
  count = contains(var.disabled_alarms, "throttled") ? 0 : 1

  alarm_name          = "${var.name_prefix}-throttled"
  alarm_description   = "autoremediate: Lambda has throttled functions in ${local.region} for ${var.alarm_throttled_seconds / 60} minutes, so polls and batches wait; a batch that waits for more than ${var.maximum_event_age} seconds is dropped into the queue ${local.queue_names.too_old}, and the next poll hands its findings on again. The dashboard says which functions. Raise reserved_concurrency or poller_reserved_concurrency, or the account's quota of concurrent executions. If only functions that are not of autoremediate are throttled, they have used up the account's concurrency."
  namespace           = "AWS/Lambda"
  metric_name         = "Throttles"
  statistic           = "Sum"
  period              = var.alarm_throttled_seconds / 3
  evaluation_periods  = 3
  datapoints_to_alarm = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = sort(var.alarm_actions)
  tags                = var.tags
}
