# Failed invocations end up in this queue: those of every Lambda, and polls that the scheduler could not start. Only
# people read it, because the next poll is the retry. The alarm is on while there is a message.

resource "aws_sqs_queue" "failures" {
  name                      = local.queue
  message_retention_seconds = 1209600 # 14 days, the longest
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn
  tags                      = var.tags
}

resource "aws_sqs_queue_policy" "failures" {
  queue_url = aws_sqs_queue.failures.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = local.queue_arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

resource "aws_cloudwatch_metric_alarm" "failures" {
  alarm_name          = local.queue
  alarm_description   = "autoremediate: an invocation failed. Its event and its error are in the queue ${local.queue}; the next poll tries again."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = local.queue }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = sort(var.alarm_actions)
  tags                = var.tags
}
