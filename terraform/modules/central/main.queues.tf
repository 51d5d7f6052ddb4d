# Queues that only people read. The first two have an alarm that is on while there is a message in them.
#
# Failed invocations end up in the first: those of every Lambda, and polls that the scheduler could not start. The next poll
# is the retry. So do messages that EventBridge could not pass on (main.messages.tf). `autoremediate failures` tells them apart, retries
# and drops them. What comes into the second, main.overrides.tf tells; what into the third, main.failures.tf: that a batch
# was too old before a Lambda had room for it is no failure, and the next poll hands its findings on again.

locals {
  queue_names = merge({ for key in ["failure", "override"] : key => "${var.name_prefix}-${key}s" }, { too_old = "${var.name_prefix}-too-old" })
  queue_arns  = { for key, name in local.queue_names : key => "arn:${local.partition}:sqs:${local.region}:${local.account}:${name}" }

  # What the command line has to be told where the names are others than it expects
  failures_of = var.name_prefix == "autoremediate" ? "" : " --name-prefix ${var.name_prefix}"

  queues = {
    failure = {
      alarm      = "an invocation failed, or a message could not be delivered. The queue ${local.queue_names.failure} says what and why: autoremediate failures list --records s3://${local.bucket}${local.failures_of}. The next poll tries again what is still listed; an approval needs autoremediate failures retry. What is settled: autoremediate failures drop."
      period     = 300
      statements = concat(local.message_failures, local.failure_deliveries.failure)
    }
    too_old = {
      alarm      = null
      period     = null
      statements = local.failure_deliveries.too_old
    }
    override = {
      alarm  = "an operator wrote in spite of the policy. The message in the queue ${local.queue_names.override} names the record in the bucket, which says who and why; delete the message when that is settled."
      period = 60
      statements = [{
        Sid       = "Events"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = local.queue_arns.override
        Condition = { ArnEquals = { "aws:SourceArn" = "arn:${local.partition}:events:${local.region}:${local.account}:rule/${local.queue_names.override}" } }
      }]
    }
  }
}

resource "aws_sqs_queue" "queue" {
  for_each = local.queue_names

  name                      = each.value
  message_retention_seconds = 1209600 # 14 days, the longest
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn
  tags                      = var.tags
}

resource "aws_sqs_queue_policy" "queue" {
  for_each = local.queues

  queue_url = aws_sqs_queue.queue[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(each.value.statements, [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = local.queue_arns[each.key]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }])
  })
}

# SQS sends no metrics of a queue that nobody has used for six hours, though there are messages in it: an alarm that is on
# stays on, until somebody has emptied the queue.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/monitoring-using-cloudwatch.html
resource "aws_cloudwatch_metric_alarm" "queue" {
  for_each = { for key, queue in local.queues : key => queue if queue.alarm != null }

  alarm_name          = local.queue_names[each.key]
  alarm_description   = "autoremediate: ${each.value.alarm}"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = local.queue_names[each.key] }
  statistic           = "Maximum"
  period              = each.value.period
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "ignore"
  alarm_actions       = sort(var.alarm_actions)
  tags                = var.tags
}

# Earlier deployments have these as resources of their own: a queue that is moved keeps its messages.
moved {
  from = aws_sqs_queue.failures
  to   = aws_sqs_queue.queue["failure"]
}

moved {
  from = aws_sqs_queue.overrides
  to   = aws_sqs_queue.queue["override"]
}

moved {
  from = aws_sqs_queue_policy.failures
  to   = aws_sqs_queue_policy.queue["failure"]
}

moved {
  from = aws_sqs_queue_policy.overrides
  to   = aws_sqs_queue_policy.queue["override"]
}

moved {
  from = aws_cloudwatch_metric_alarm.failures
  to   = aws_cloudwatch_metric_alarm.queue["failure"]
}

moved {
  from = aws_cloudwatch_metric_alarm.overrides
  to   = aws_cloudwatch_metric_alarm.queue["override"]
}
