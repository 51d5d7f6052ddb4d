# One page for the person who looks whether all is well: the alarms first, then what Netskope lists, what became of it, how
# long it takes, and what the Lambdas run into.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html

locals {
  rule_ids      = keys(var.rules)
  per_rule      = { for metric in ["WholePolls", "Findings", "Fixed", "Failed", "Changes", "Throttles"] : metric => [for id in local.rule_ids : [var.name_prefix, metric, "Rule", id, { label = id }]] }
  per_function  = { for metric in ["Duration", "Errors", "Throttles"] : metric => [for name in values(local.function_names) : ["AWS/Lambda", metric, "FunctionName", name, { label = name }]] }
  days_per_rule = { for metric in ["OldestOpen", "OldestWaiting"] : metric => concat([for place, id in local.rule_ids : [var.name_prefix, metric, "Rule", id, { id = "m${place}", visible = false }]], [for place, id in local.rule_ids : [{ expression = "m${place}/86400", label = id }]]) }

  alarm_arns = sort(concat(
    [for alarm in aws_cloudwatch_metric_alarm.deployment : alarm.arn],
    [for alarm in aws_cloudwatch_metric_alarm.throttled : alarm.arn],
    [for alarm in aws_cloudwatch_metric_alarm.queue : alarm.arn],
    [aws_cloudwatch_metric_alarm.unexpected_policy.arn],
  ))

  # Two in a row, 12 columns wide each
  charts = [
    { title = "Whole polls: each rule's line must go on", metrics = local.per_rule.WholePolls, stat = "Sum", period = 3600 },
    { title = "Findings handed on by a poll", metrics = local.per_rule.Findings, stat = "Maximum", period = 3600 },
    { title = "Fixed and proved", metrics = local.per_rule.Fixed, stat = "Sum", period = 3600, stacked = true },
    { title = "Failed", metrics = local.per_rule.Failed, stat = "Sum", period = 3600, stacked = true },
    { title = "Oldest finding that is still open, in days", metrics = local.days_per_rule.OldestOpen, stat = "Maximum", period = 3600 },
    { title = "Oldest plan that waits for a person, in days", metrics = local.days_per_rule.OldestWaiting, stat = "Maximum", period = 3600 },
    { title = "Changes written", metrics = local.per_rule.Changes, stat = "Sum", period = 3600, stacked = true },
    { title = "Requests that AWS throttled", metrics = local.per_rule.Throttles, stat = "Sum", period = 3600, stacked = true },
    { title = "Longest invocation (ms; a Lambda has 900,000)", metrics = local.per_function.Duration, stat = "Maximum", period = 3600 },
    { title = "Invocations that failed", metrics = local.per_function.Errors, stat = "Sum", period = 3600, stacked = true },
    { title = "Invocations that Lambda throttled", metrics = local.per_function.Throttles, stat = "Sum", period = 3600, stacked = true },
    { title = "Messages in the queues of failures and overrides", metrics = [for name in values(local.queue_names) : ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", name, { label = name }]], stat = "Maximum", period = 3600 },
  ]

  dashboard = {
    start = "-P7D"
    widgets = concat(
      [
        {
          type = "text", x = 0, y = 0, width = 12, height = 6
          properties = {
            markdown = join("\n", [
              "# ${var.name_prefix} in ${local.region}",
              "Looks after ${join(", ", local.regions)}. Each alarm's description says what to do.",
              "",
              "* `autoremediate doctor` looks for what is missing in an account.",
              "* `autoremediate pause` stops all writes.",
              "* The saved queries `${var.name_prefix}/…` in Logs Insights say which account, which run and why.",
              "* Reports are in the bucket `${local.bucket}`, below `reports/`.",
            ])
          }
        },
        { type = "alarm", x = 12, y = 0, width = 12, height = 6, properties = { title = "Alarms", alarms = local.alarm_arns } },
      ],
      [
        for place, chart in local.charts : {
          type = "metric", x = 12 * (place % 2), y = 6 + 6 * floor(place / 2), width = 12, height = 6
          properties = {
            title   = chart.title
            view    = "timeSeries"
            region  = local.region
            stat    = chart.stat
            period  = chart.period
            stacked = try(chart.stacked, false)
            yAxis   = { left = { min = 0 } }
            metrics = chart.metrics
          }
        }
      ],
    )
  }
}

resource "aws_cloudwatch_dashboard" "this" {
  count = var.dashboard ? 1 : 0

  # Dashboards are the account's, not the region's
  dashboard_name = "${var.name_prefix}-${local.region}"
  dashboard_body = jsonencode(local.dashboard)

  # It names the regions, of which another deployment may look after one
  depends_on = [aws_iam_policy.region]
}
