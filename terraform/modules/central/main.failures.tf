# What the Lambdas of rules have failed with, by way of an event bus that nobody else puts anything on. Lambda has one
# destination for all that it gives up, and a queue's alarm counts all that is in the queue. So EventBridge tells apart what
# somebody has to look at from what was only too old: a batch for which the rule's Lambda had no room within
# `maximum_event_age`. Of these the next poll takes care, and they must not wake anybody.
#
# Everything that is not certainly that is a failure: where a Lambda ran and failed before the event was too old; and an
# approval, with which no poll comes.
# https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
#
# A queue gets Lambda's record as Lambda wrote it.

locals {
  failure_bus_arn = "arn:${local.partition}:events:${local.region}:${local.account}:event-bus/${local.queue_names.failure}"

  # Exactly one of them matches, whatever a record has or lacks: an element of the second list is the opposite of one line
  # of the first
  failure_patterns = {
    too_old = {
      source = ["lambda"]
      detail = {
        requestContext  = { condition = ["EventAgeExceeded"] }
        responseContext = { functionError = [{ exists = false }] }
        requestPayload  = { Records = { s3 = { object = { key = [{ prefix = local.prefixes.findings }] } } } }
      }
    }
    failure = {
      source = ["lambda"]
      "$or" = [
        { detail = { requestContext = { condition = [{ anything-but = ["EventAgeExceeded"] }] } } },
        { detail = { requestContext = { condition = [{ exists = false }] } } },
        { detail = { responseContext = { functionError = [{ exists = true }] } } },
        { detail = { requestPayload = { Records = { s3 = { object = { key = [{ anything-but = { prefix = local.prefixes.findings } }] } } } } } },
        { detail = { requestPayload = { Records = { s3 = { object = { key = [{ exists = false }] } } } } } },
      ]
    }
  }

  failure_deliveries = {
    for key in keys(local.failure_patterns) : key => [{
      Sid       = "Failures"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = local.queue_arns[key]
      # What cannot be delivered to the other queue comes here
      Condition = { ArnEquals = { "aws:SourceArn" = [
        for rule in key == "failure" ? keys(local.failure_patterns) : [key] :
        "arn:${local.partition}:events:${local.region}:${local.account}:rule/${local.queue_names.failure}/${local.queue_names[rule]}"
      ] } }
    }]
  }
}

resource "aws_cloudwatch_event_bus" "failures" {
  name = local.queue_names.failure
  tags = var.tags
}

resource "aws_cloudwatch_event_rule" "failures" {
  for_each = local.failure_patterns

  name           = local.queue_names[each.key]
  description    = "autoremediate: ${each.key == "failure" ? "what a rule's Lambda has failed with" : "batches that were too old before a Lambda had room for them"}"
  event_bus_name = aws_cloudwatch_event_bus.failures.name
  event_pattern  = jsonencode(each.value)
  tags           = var.tags
}

resource "aws_cloudwatch_event_target" "failures" {
  for_each = local.failure_patterns

  rule           = aws_cloudwatch_event_rule.failures[each.key].name
  event_bus_name = aws_cloudwatch_event_bus.failures.name
  arn            = aws_sqs_queue.queue[each.key].arn
  input_path     = "$.detail"

  dead_letter_config {
    arn = aws_sqs_queue.queue["failure"].arn
  }

  # Without it, a first record would be lost
  depends_on = [aws_sqs_queue_policy.queue]
}
