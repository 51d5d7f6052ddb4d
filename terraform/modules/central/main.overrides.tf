# An operator wrote in spite of the policy. The command line stores that in the bucket before it writes anything, with the
# reason and the ARN of its caller, and EventBridge puts a message into this queue. The alarm is on while there is a
# message: somebody reads the record, and deletes the message.
#
# By EventBridge, because S3 itself sends a test message to a queue whenever a notification is configured, and the alarm
# would go off at each of these: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html

locals {
  overrides           = "${var.name_prefix}-overrides"
  overrides_queue_arn = "arn:${local.partition}:sqs:${local.region}:${local.account}:${local.overrides}"
  overrides_rule_arn  = "arn:${local.partition}:events:${local.region}:${local.account}:rule/${local.overrides}"
}

resource "aws_cloudwatch_event_rule" "overrides" {
  name        = local.overrides
  description = "autoremediate: an operator wrote in spite of the policy"
  tags        = var.tags

  event_pattern = jsonencode({
    source      = ["aws.s3"]
    detail-type = ["Object Created"]
    detail = {
      bucket = { name = [local.bucket] }
      object = { key = [{ prefix = local.prefixes.overrides }] }
    }
  })
}

resource "aws_cloudwatch_event_target" "overrides" {
  rule = aws_cloudwatch_event_rule.overrides.name
  arn  = aws_sqs_queue.overrides.arn

  # Without it, a first event would be lost
  depends_on = [aws_sqs_queue_policy.overrides]
}

resource "aws_sqs_queue" "overrides" {
  name                      = local.overrides
  message_retention_seconds = 1209600 # 14 days, the longest
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn
  tags                      = var.tags
}

resource "aws_sqs_queue_policy" "overrides" {
  queue_url = aws_sqs_queue.overrides.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Events"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = local.overrides_queue_arn
        Condition = { ArnEquals = { "aws:SourceArn" = local.overrides_rule_arn } }
      },
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = local.overrides_queue_arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_cloudwatch_metric_alarm" "overrides" {
  alarm_name          = local.overrides
  alarm_description   = "autoremediate: an operator wrote in spite of the policy. The message in the queue ${local.overrides} names the record in the bucket, which says who and why; delete the message when that is settled."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = local.overrides }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = sort(var.alarm_actions)
  tags                = var.tags
}
