# Messages to a webhook: an issue in Jira for every plan that waits, everything that failed, and everything that is fought
# over. ServiceNow takes an incident in the same way: its address, and its names of the fields, are below in brackets.
#
# The credential is not in here, because a connection of EventBridge keeps in Terraform's state what Terraform writes.
# Before the first message, and whenever it changes, write it yourself:
#
#   aws events update-connection --name autoremediate-webhook --authorization-type BASIC \
#     --auth-parameters file:///dev/stdin <<< '{"BasicAuthParameters": {"Username": "…", "Password": "…"}}'
#
# Then see whether it arrives: autoremediate notify --test --records s3://<bucket>

provider "aws" {
  region = "eu-west-1"
}

module "catalog" {
  source = "../../../catalog"

  rules = ["s3-public-bucket"]
}

module "central" {
  source = "../.."

  rules           = module.catalog.rules
  netskope_tenant = "acme.goskope.com"
  netskope_token  = var.netskope_token
  home_region     = "eu-west-1"
  external_id     = var.external_id
  package_dir     = var.package_dir
  policy          = { mode = "plan", scope = { organization = "o-a1b2c3d4e5" } }
}

resource "aws_cloudwatch_event_connection" "webhook" {
  # checkov:skip=CKV2_AWS_73:EventBridge keeps the credential in a secret of its own in Secrets Manager, encrypted by AWS's key

  name               = "autoremediate-webhook"
  description        = "autoremediate: the credential of the webhook, which is written by hand"
  authorization_type = "BASIC"

  # The first update by hand replaces them
  auth_parameters {
    basic {
      username = "written-by-hand"
      password = "written-by-hand"
    }
  }

  lifecycle {
    ignore_changes = [auth_parameters]
  }
}

resource "aws_cloudwatch_event_api_destination" "webhook" {
  name                             = "autoremediate-webhook"
  description                      = "autoremediate: messages become issues"
  invocation_endpoint              = var.webhook_url # [https://acme.service-now.com/api/now/table/incident]
  http_method                      = "POST"
  invocation_rate_limit_per_second = 5
  connection_arn                   = aws_cloudwatch_event_connection.webhook.arn
}

resource "aws_cloudwatch_event_rule" "webhook" {
  name           = "autoremediate-webhook"
  description    = "autoremediate: messages for the webhook"
  event_bus_name = module.central.event_bus_name

  event_pattern = jsonencode({
    source = ["autoremediate"]
    detail = { bucket = [module.central.bucket], kind = ["failed", "fought_over", "plan_waits"] }
  })
}

resource "aws_cloudwatch_event_target" "webhook" {
  rule           = aws_cloudwatch_event_rule.webhook.name
  event_bus_name = module.central.event_bus_name
  arn            = aws_cloudwatch_event_api_destination.webhook.arn
  role_arn       = aws_iam_role.webhook.arn

  # The texts have no quotes, backslashes or line ends, so they can stand within a string of JSON
  input_transformer {
    input_paths = { for name in ["title", "what", "which", "why", "origin", "command"] : name => "$.detail.text.${name}" }

    # [{ short_description = "<title>", description = "…", urgency = "2" }]
    input_template = replace(replace(jsonencode({
      fields = {
        project     = { key = var.jira_project }
        issuetype   = { name = "Task" }
        labels      = ["autoremediate"]
        summary     = "<title>"
        description = "<what>\n\n<which>\n<why>\n<origin>\n\nTo see more: <command>"
      }
      # JSON in Terraform writes angle brackets as escapes, which EventBridge does not take for a variable
    }), "\\u003c", "<"), "\\u003e", ">")
  }

  dead_letter_config {
    arn = aws_sqs_queue.webhook.arn
  }

  depends_on = [aws_sqs_queue_policy.webhook]
}

# What the webhook does not take within a day, with its error
resource "aws_sqs_queue" "webhook" {
  name                      = "autoremediate-webhook-failures"
  message_retention_seconds = 1209600 # 14 days, the longest
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue_policy" "webhook" {
  queue_url = aws_sqs_queue.webhook.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.webhook.arn
      Condition = { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.webhook.arn } }
    }]
  })
}

resource "aws_iam_role" "webhook" {
  name        = "autoremediate-webhook-eu-west-1"
  description = "autoremediate: EventBridge calls the webhook"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.webhook.arn } }
    }]
  })
}

resource "aws_iam_role_policy" "webhook" {
  name = "webhook"
  role = aws_iam_role.webhook.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "events:InvokeApiDestination"
      Resource = aws_cloudwatch_event_api_destination.webhook.arn
    }]
  })
}
