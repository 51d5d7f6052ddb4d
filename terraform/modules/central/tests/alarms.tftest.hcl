# What is watched: the alarms, the dashboard and the saved queries.

mock_provider "aws" {
  source = "../../tests/mocks"
}

run "alarms" {
  # As many for two rules as for eighty
  assert {
    condition = {
      for key, alarm in aws_cloudwatch_metric_alarm.deployment :
      key => [alarm.alarm_name, alarm.metric_name, alarm.statistic, alarm.comparison_operator, alarm.threshold, alarm.treat_missing_data]
      } == {
      no-whole-poll   = ["autoremediate-no-whole-poll", "WholePolls", "Sum", "LessThanThreshold", 1, "breaching"]
      nothing-listed  = ["autoremediate-nothing-listed", "Listed", "Sum", "LessThanThreshold", 1, "ignore"]
      failed-findings = ["autoremediate-failed-findings", "Failed", "Sum", "GreaterThanThreshold", 0, "notBreaching"]
      waiting         = ["autoremediate-waiting", "OldestWaiting", "Maximum", "GreaterThanThreshold", 259200, "notBreaching"]
      contested       = ["autoremediate-contested", "Contested", "Sum", "GreaterThanThreshold", 0, "notBreaching"]
      breaker         = ["autoremediate-breaker", "StoppedByBreaker", "Sum", "GreaterThanThreshold", 0, "notBreaching"]
    }
    error_message = "The alarms are ${jsonencode(aws_cloudwatch_metric_alarm.deployment)}."
  }

  # In the namespace that the Lambdas write to, and of the whole deployment
  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.deployment :
      alarm.namespace == "autoremediate" && length(alarm.dimensions == null ? {} : alarm.dimensions) == 0 &&
      alarm.period == 3600 && alarm.evaluation_periods == 1 && alarm.datapoints_to_alarm == 1
    ])
    error_message = "An alarm looks elsewhere, or not at two intervals."
  }

  assert {
    condition     = alltrue([for function in aws_lambda_function.function : function.environment[0].variables.METRICS_NAMESPACE == "autoremediate"])
    error_message = "A Lambda writes its metrics elsewhere."
  }

  assert {
    condition = (
      [for alarm in aws_cloudwatch_metric_alarm.throttled : [alarm.namespace, alarm.metric_name, alarm.statistic, alarm.threshold, alarm.treat_missing_data, alarm.period, alarm.datapoints_to_alarm]] ==
      [["AWS/Lambda", "Throttles", "Sum", 0, "notBreaching", 300, 3]]
    )
    error_message = "The alarm on throttled functions is ${jsonencode(aws_cloudwatch_metric_alarm.throttled)}."
  }

  # SQS goes quiet while there are messages
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.queue : alarm.treat_missing_data == "ignore"])
    error_message = "The alarm on a queue ends when SQS sends no more metrics."
  }

  assert {
    condition     = output.alarm_names == { for key in ["no-whole-poll", "nothing-listed", "failed-findings", "waiting", "contested", "breaker", "throttled"] : key => "autoremediate-${key}" }
    error_message = "The names are ${jsonencode(output.alarm_names)}."
  }
}

run "other_alarms" {
  variables {
    alarm_period        = 172800
    alarm_waiting_hours = 1.5
    disabled_alarms     = ["nothing-listed", "throttled"]
    alarm_actions       = ["arn:aws:sns:eu-west-1:111111111111:on-call"]
    tags                = { owner = "security" }
    dashboard           = false
  }

  # CloudWatch's longest period is a day
  assert {
    condition = {
      for key, alarm in aws_cloudwatch_metric_alarm.deployment : key => [alarm.period, alarm.evaluation_periods, alarm.datapoints_to_alarm]
    } == { no-whole-poll = [86400, 2, 2], failed-findings = [86400, 2, 1], waiting = [86400, 2, 1], contested = [86400, 2, 1], breaker = [86400, 2, 1] }
    error_message = "The periods are ${jsonencode(aws_cloudwatch_metric_alarm.deployment)}."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.deployment["waiting"].threshold == 5400
    error_message = "The time that a plan may wait is ${aws_cloudwatch_metric_alarm.deployment["waiting"].threshold} s."
  }

  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.deployment :
      alarm.alarm_actions == toset(["arn:aws:sns:eu-west-1:111111111111:on-call"]) && alarm.tags == tomap({ owner = "security" })
    ])
    error_message = "An alarm notifies nobody, or has no tags."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.throttled) == 0 && length(aws_cloudwatch_dashboard.this) == 0 && output.dashboard_name == null
    error_message = "What is switched off is there."
  }
}

run "throttled_for_longer" {
  variables {
    alarm_throttled_seconds = 3600
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.throttled[0].period == 1200 && strcontains(aws_cloudwatch_metric_alarm.throttled[0].alarm_description, "for 60 minutes,")
    error_message = "The alarm is ${jsonencode(aws_cloudwatch_metric_alarm.throttled)}."
  }
}

run "no_rule_is_polled_for" {
  variables {
    policy = { scope = { organization = "o-a1b2c3d4e5" }, mode = "off" }
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.deployment) == 0
    error_message = "An alarm waits for polls that nobody makes."
  }
}

run "dashboard" {
  # Its charts name each rule and each function, and the alarm widget each alarm
  assert {
    condition = alltrue([
      for text in ["\"first-rule\"", "\"second-rule\"", "\"autoremediate-poller\"", "\"autoremediate-failures\"", "\"OldestWaiting\""] :
      strcontains(aws_cloudwatch_dashboard.this[0].dashboard_body, text)
    ])
    error_message = "The dashboard is ${aws_cloudwatch_dashboard.this[0].dashboard_body}."
  }

  assert {
    condition     = length([for widget in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : widget if widget.type == "alarm"][0].properties.alarms) == 10
    error_message = "An alarm is not on the dashboard."
  }

  # A grid of 24 columns, and no widget over another
  assert {
    condition = alltrue([
      for widget in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : widget.x + widget.width <= 24
      ]) && length(distinct([
        for widget in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : "${widget.x} ${widget.y}"
    ])) == length(jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets)
    error_message = "A widget covers another."
  }

  # Dashboards are the account's
  assert {
    condition     = output.dashboard_name == "autoremediate-eu-west-1"
    error_message = "The deployments of two regions would share ${output.dashboard_name}."
  }
}

run "queries" {
  assert {
    condition = alltrue([
      for query in aws_cloudwatch_query_definition.this :
      query.log_group_names == tolist(["/aws/lambda/autoremediate-first-rule", "/aws/lambda/autoremediate-poller", "/aws/lambda/autoremediate-second-rule"])
    ])
    error_message = "A query leaves out a log."
  }

  # The alarms' descriptions lead to them
  assert {
    condition = alltrue([
      for name in ["errors", "failed accounts"] : aws_cloudwatch_query_definition.this[name].name == "autoremediate/${name}"
    ])
    error_message = "A query that an alarm names is not there."
  }
}
