# An operator wrote in spite of the policy. The command line stores that in the bucket before it writes anything, with the
# reason and the ARN of its caller, and EventBridge puts a message into a queue (main.queues.tf): somebody
# reads the record, and deletes the message.
#
# By EventBridge, because S3 itself sends a test message to a queue whenever a notification is configured, and the alarm
# would go off at each of these: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html

resource "aws_cloudwatch_event_rule" "overrides" {
  name        = local.queue_names.override
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
  arn  = aws_sqs_queue.queue["override"].arn

  # Without it, a first event would be lost
  depends_on = [aws_sqs_queue_policy.queue]
}
