# Questions to the logs, ready to run in CloudWatch Logs Insights. Each invocation ends with a line `metrics`, whose fields
# cost nothing more: docs/metrics.md.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html

locals {
  # What Logs Insights takes at most
  queried_groups = slice(sort(values(local.log_groups)), 0, min(length(local.log_groups), 50))

  queries = {
    "outcomes by rule"       = <<-EOT
      filter message = "metrics" and ispresent(Fixed)
      | stats sum(outcomes.fixed) as fixed, sum(outcomes.failed) as failed, sum(outcomes.unverified) as unverified,
          sum(outcomes.held) as held, sum(outcomes.planned) as planned, sum(outcomes.deferred) as deferred,
          sum(outcomes.exempt) as exempt, sum(outcomes.already_compliant) as already_compliant, sum(outcomes.gone) as gone,
          sum(Changes) as changes by rule
      | sort rule asc
    EOT
    "polls"                  = <<-EOT
      filter message = "metrics" and ispresent(WholePolls)
      | fields @timestamp, rule, WholePolls, Listed, Findings, batches, invalid, seconds, run
      | sort @timestamp desc
      | limit 200
    EOT
    "failed accounts"        = <<-EOT
      filter level = "WARN" and ispresent(account) and ispresent(findings)
      | stats sum(findings) as failed, latest(message) as reason, latest(@timestamp) as last by account, rule
      | sort failed desc
    EOT
    "errors"                 = <<-EOT
      filter level = "ERROR" or @message like /Task timed out|Runtime exited/
      | fields @timestamp, rule, account, resource, message, error, run
      | sort @timestamp desc
      | limit 200
    EOT
    "requests and throttles" = <<-EOT
      filter message = "metrics"
      | stats count(*) as invocations, sum(requests) as requests, sum(Throttles) as throttled, max(seconds) as longest,
          avg(seconds) as average by rule, bin(1d) as day
      | sort day desc, rule asc
    EOT
    "longest invocations"    = <<-EOT
      filter message = "metrics"
      | fields @timestamp, rule, seconds, batches, requests, Throttles, Changes, run
      | sort seconds desc
      | limit 50
    EOT
    "one run"                = <<-EOT
      filter run = "PUT THE RUN HERE"
      | fields @timestamp, level, account, resource, message, outcome, error
      | sort @timestamp asc
    EOT
  }
}

resource "aws_cloudwatch_query_definition" "this" {
  for_each = local.queries

  name            = "${var.name_prefix}/${each.key}"
  log_group_names = local.queried_groups
  query_string    = each.value

  # A query can be saved before there is a log, and cannot be run
  depends_on = [aws_cloudwatch_log_group.function]
}
