# Messages: events on a bus, sent by the Lambdas when a report is stored, and by the command line when everything is
# paused. Two topics take them on, each where it is asked for: one for a chat, one for e-mail. The events carry finished
# texts (messages.schema.json), so nothing is composed here.

locals {
  # Of no event bus, nothing
  event_bus_arns = [for name in var.event_bus_name[*] : "arn:${local.partition}:events:${local.region}:${local.account}:event-bus/${name}"]

  message_statements = [
    for arn in local.event_bus_arns : { Sid = "Messages", Effect = "Allow", Action = ["events:PutEvents"], Resource = [arn] }
  ]

  message_kinds = merge(
    { for chat in var.chat_messages[*] : "chat" => sort(chat.kinds) },
    { for email in var.email_messages[*] : "email" => sort(email.kinds) },
  )

  # Each with its rule, of the same name
  message_names      = { for key in keys(local.message_kinds) : key => "${var.name_prefix}-${key}" }
  message_topic_arns = { for key, name in local.message_names : key => "arn:${local.partition}:sns:${local.region}:${local.account}:${name}" }

  # A rule of another bus than the default one has the bus in its ARN
  message_rule_arns = {
    for key, name in local.message_names :
    key => "arn:${local.partition}:events:${local.region}:${local.account}:rule/${var.event_bus_name == "default" ? "" : "${var.event_bus_name}/"}${name}"
  }

  # One line of the e-mail each. EventBridge puts every line of such a template between quotes, and a value into it as it
  # is: the texts have no quotes or line ends of their own.
  # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
  email_lines = ["<title>", "<what>", "<which>", "<why>", "<origin>", "To copy: <command>"]

  # What EventBridge could not pass on ends in the failure queue, with why
  message_failures = [
    for arns in [values(local.message_rule_arns)] : {
      Sid       = "Messages"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = local.queue_arns.failure
      Condition = { ArnEquals = { "aws:SourceArn" = arns } }
    } if length(arns) > 0
  ]
}

resource "aws_sns_topic" "messages" {
  # checkov:skip=CKV_AWS_26:EventBridge cannot send to a topic that is encrypted by AWS's own key of SNS; with kms_key_arn, it is encrypted by that

  for_each = local.message_names

  name              = each.value
  display_name      = var.name_prefix
  kms_master_key_id = var.kms_key_arn
  tags              = var.tags
}

resource "aws_sns_topic_policy" "messages" {
  for_each = local.message_topic_arns

  arn = aws_sns_topic.messages[each.key].arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Events"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = each.value
        Condition = { ArnEquals = { "aws:SourceArn" = local.message_rule_arns[each.key] } }
      },
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = each.value
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each = toset(flatten([for email in var.email_messages[*] : tolist(email.addresses)]))

  topic_arn = aws_sns_topic.messages["email"].arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_cloudwatch_event_rule" "messages" {
  for_each = local.message_kinds

  name           = local.message_names[each.key]
  description    = "autoremediate: messages for ${each.key}"
  event_bus_name = var.event_bus_name
  tags           = var.tags

  event_pattern = jsonencode({
    source = ["autoremediate"]
    # Another deployment may use the same bus
    detail = { bucket = [local.bucket], kind = each.value }
  })
}

resource "aws_cloudwatch_event_target" "messages" {
  for_each = local.message_topic_arns

  rule           = aws_cloudwatch_event_rule.messages[each.key].name
  event_bus_name = var.event_bus_name
  arn            = aws_sns_topic.messages[each.key].arn
  input_path     = each.key == "chat" ? "$.detail.chat" : null

  dynamic "input_transformer" {
    for_each = each.key == "email" ? [local.email_lines] : []

    content {
      input_paths    = { for name in ["title", "what", "which", "why", "origin", "command"] : name => "$.detail.text.${name}" }
      input_template = join("\n", [for line in input_transformer.value : "\"${line}\""])
    }
  }

  dead_letter_config {
    arn = aws_sqs_queue.queue["failure"].arn
  }

  # Without them, a first message would be lost
  depends_on = [aws_sns_topic_policy.messages, aws_sqs_queue_policy.queue]
}
