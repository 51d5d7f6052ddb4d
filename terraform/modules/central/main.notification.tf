# A new batch of findings starts the Lambda of its rule, and so does an approval of a plan. EventBridge hears of every new
# object, for main.overrides.tf.

resource "aws_lambda_permission" "bucket" {
  for_each = var.rules

  statement_id   = "bucket"
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.function[each.key].function_name
  principal      = "s3.amazonaws.com"
  source_arn     = local.bucket_arn
  source_account = local.account
}

resource "aws_s3_bucket_notification" "findings" {
  bucket      = aws_s3_bucket.this.id
  eventbridge = true

  dynamic "lambda_function" {
    for_each = var.rules
    content {
      id                  = lambda_function.key
      lambda_function_arn = aws_lambda_function.function[lambda_function.key].arn
      events              = ["s3:ObjectCreated:*"]
      filter_prefix       = "${local.prefixes.findings}${lambda_function.key}/"
      filter_suffix       = ".ndjson.gz"
    }
  }

  # The poller of an earlier version, and people, put what is not compressed
  dynamic "lambda_function" {
    for_each = var.rules
    content {
      id                  = "${lambda_function.key}-plain"
      lambda_function_arn = aws_lambda_function.function[lambda_function.key].arn
      events              = ["s3:ObjectCreated:*"]
      filter_prefix       = "${local.prefixes.findings}${lambda_function.key}/"
      filter_suffix       = ".ndjson"
    }
  }

  dynamic "lambda_function" {
    for_each = var.rules
    content {
      id                  = "${lambda_function.key}-approvals"
      lambda_function_arn = aws_lambda_function.function[lambda_function.key].arn
      events              = ["s3:ObjectCreated:*"]
      filter_prefix       = "${local.prefixes.approvals}${lambda_function.key}/"
      filter_suffix       = ".json"
    }
  }

  # The first batch may arrive at once
  depends_on = [
    aws_lambda_permission.bucket,
    aws_lambda_function_event_invoke_config.function,
    aws_s3_object.policy,
    aws_cloudwatch_event_target.overrides,
  ]
}
