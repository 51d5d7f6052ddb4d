# Who is told what batches have come to, and who may tell it.

mock_provider "aws" {
  source = "../../tests/mocks"
}

run "by_default_the_bus_is_told_and_no_topic_listens" {
  assert {
    condition     = alltrue([for id in ["first-rule", "second-rule"] : aws_lambda_function.function[id].environment[0].variables.EVENT_BUS == "default"])
    error_message = "A rule's Lambda does not know the bus."
  }

  # Among what it writes, so that nobody else with its session does
  assert {
    condition = alltrue([
      for id in ["first-rule", "second-rule"] : [
        for statement in jsondecode(aws_iam_role_policy.function[id].policy).Statement :
        [statement.Sid, [for resource in statement.Resource : resource if strcontains(resource, ":events:")], statement.Condition]
        if strcontains(jsonencode(statement), "events:") && statement.Sid != "Failures"
        ] == [["Write", ["arn:aws:events:eu-west-1:111111111111:event-bus/default"], {
          ArnEquals = { "lambda:SourceFunctionArn" = "arn:aws:lambda:eu-west-1:111111111111:function:autoremediate-${id}" }
      }]]
    ])
    error_message = "A rule's Lambda may tell another bus, or none: ${aws_iam_role_policy.function["first-rule"].policy}."
  }

  # The poller tells nobody; whoever pauses does
  assert {
    condition = { for key, policy in merge({ poller = aws_iam_role_policy.function["poller"].policy }, { for key, policy in aws_iam_policy.person : key => policy.policy }) :
      key => [for statement in jsondecode(policy).Statement : statement.Resource if strcontains(jsonencode(statement), "events:")]
      } == {
      poller   = [], approver = [], reader = [], retrier = []
      operator = [["arn:aws:events:eu-west-1:111111111111:event-bus/default"]]
      pauser   = [["arn:aws:events:eu-west-1:111111111111:event-bus/default"]]
    }
    error_message = "Somebody else may tell the bus."
  }

  assert {
    condition     = length(aws_sns_topic.messages) == 0 && length(aws_cloudwatch_event_rule.messages) == 0 && output.chat_topic_arn == null && output.email_topic_arn == null
    error_message = "There is a topic that nobody asked for."
  }
}

run "nobody_is_told_without_a_bus" {
  variables {
    event_bus_name = null
  }

  assert {
    condition     = alltrue([for function in aws_lambda_function.function : !contains(keys(function.environment[0].variables), "EVENT_BUS")])
    error_message = "A function knows a bus."
  }

  assert {
    condition     = alltrue([for policy in concat(values(local.function_policies), [for policy in aws_iam_policy.person : policy.policy]) : !strcontains(replace(policy, "event-bus/autoremediate-failures", ""), "event-bus/")])
    error_message = "Somebody may tell a bus."
  }
}

run "two_topics" {
  variables {
    event_bus_name = "security"
    chat_messages  = { kinds = ["paused", "failed"] }
    email_messages = { addresses = ["a@example.com", "b@example.com"] }
  }

  assert {
    condition = { for key, rule in aws_cloudwatch_event_rule.messages : key => [rule.name, rule.event_bus_name, rule.event_pattern] } == {
      chat = ["autoremediate-chat", "security", jsonencode({
        detail = { bucket = ["autoremediate-111111111111-eu-west-1"], kind = ["failed", "paused"] }, source = ["autoremediate"]
      })]
      email = ["autoremediate-email", "security", jsonencode({
        detail = { bucket = ["autoremediate-111111111111-eu-west-1"], kind = ["contested", "failed", "fixed", "fought_over", "grace_begins", "paused", "plan_waits"] }, source = ["autoremediate"]
      })]
    }
    error_message = "The rules are ${jsonencode(aws_cloudwatch_event_rule.messages)}."
  }

  # A chat gets the notification that the event carries, an e-mail one line after the other
  assert {
    condition = (
      aws_cloudwatch_event_target.messages["chat"].input_path == "$.detail.chat" && length(aws_cloudwatch_event_target.messages["chat"].input_transformer) == 0 &&
      aws_cloudwatch_event_target.messages["email"].input_path == null &&
      aws_cloudwatch_event_target.messages["email"].input_transformer[0].input_template == "\"<title>\"\n\"<what>\"\n\"<which>\"\n\"<why>\"\n\"<origin>\"\n\"To copy: <command>\""
    )
    error_message = "The targets are ${jsonencode(aws_cloudwatch_event_target.messages)}."
  }

  # What the event must have, by its own schema
  assert {
    condition = alltrue([
      for name, path in aws_cloudwatch_event_target.messages["email"].input_transformer[0].input_paths :
      path == "$.detail.text.${name}" && contains(jsondecode(file("messages.schema.json"))["$defs"].Text.required, name)
    ]) && contains(jsondecode(file("messages.schema.json")).required, "chat")
    error_message = "A message has no such text."
  }

  assert {
    condition     = toset(aws_cloudwatch_event_rule.messages["email"].event_pattern != "" ? jsondecode(aws_cloudwatch_event_rule.messages["email"].event_pattern).detail.kind : []) == toset([for kind in jsondecode(file("messages.schema.json"))["$defs"].Kind.oneOf : kind.const])
    error_message = "The schema has other kinds of messages."
  }

  assert {
    condition = { for key, policy in aws_sns_topic_policy.messages : key => jsondecode(policy.policy).Statement[0] } == {
      for key in ["chat", "email"] : key => {
        Sid       = "Events", Effect = "Allow", Principal = { Service = "events.amazonaws.com" }, Action = "sns:Publish"
        Resource  = "arn:aws:sns:eu-west-1:111111111111:autoremediate-${key}"
        Condition = { ArnEquals = { "aws:SourceArn" = "arn:aws:events:eu-west-1:111111111111:rule/security/autoremediate-${key}" } }
      }
    }
    error_message = "Somebody else may publish: ${jsonencode(aws_sns_topic_policy.messages)}."
  }

  assert {
    condition = (
      alltrue([for target in aws_cloudwatch_event_target.messages : target.dead_letter_config[0].arn == aws_sqs_queue.queue["failure"].arn]) &&
      jsondecode(aws_sqs_queue_policy.queue["failure"].policy).Statement[0].Condition == { ArnEquals = { "aws:SourceArn" = [
        "arn:aws:events:eu-west-1:111111111111:rule/security/autoremediate-chat",
        "arn:aws:events:eu-west-1:111111111111:rule/security/autoremediate-email",
      ] } }
    )
    error_message = "A message that cannot be passed on would be lost: ${aws_sqs_queue_policy.queue["failure"].policy}."
  }

  assert {
    condition     = { for address, subscription in aws_sns_topic_subscription.email : address => subscription.protocol } == { "a@example.com" = "email", "b@example.com" = "email" }
    error_message = "The subscriptions are ${jsonencode(aws_sns_topic_subscription.email)}."
  }

  assert {
    condition     = output.chat_topic_arn == aws_sns_topic.messages["chat"].arn && output.email_topic_arn == aws_sns_topic.messages["email"].arn && output.event_bus_name == "security"
    error_message = "The outputs name other topics."
  }

  assert {
    condition     = alltrue([for topic in aws_sns_topic.messages : topic.kms_master_key_id == null])
    error_message = "EventBridge cannot send to a topic with AWS's own key."
  }
}

run "with_a_key_of_ones_own_and_the_default_bus" {
  variables {
    kms_key_arn   = "arn:aws:kms:eu-west-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    chat_messages = {}
  }

  assert {
    condition     = [for topic in aws_sns_topic.messages : topic.kms_master_key_id] == [var.kms_key_arn]
    error_message = "The topic is not encrypted with the key."
  }

  assert {
    condition     = jsondecode(aws_sns_topic_policy.messages["chat"].policy).Statement[0].Condition.ArnEquals["aws:SourceArn"] == "arn:aws:events:eu-west-1:111111111111:rule/autoremediate-chat"
    error_message = "A rule of the default bus has no bus in its ARN."
  }
}

run "what_cannot_be_is_refused" {
  command = plan

  variables {
    chat_messages  = { kinds = ["fixes"] }
    email_messages = { addresses = ["a"], kinds = [] }
  }

  expect_failures = [var.chat_messages, var.email_messages]
}

run "a_bus_by_its_arn" {
  command = plan

  variables {
    event_bus_name = "arn:aws:events:eu-west-1:111111111111:event-bus/default"
  }

  expect_failures = [var.event_bus_name]
}

run "a_topic_needs_a_bus" {
  command = plan

  variables {
    event_bus_name = null
    chat_messages  = {}
    email_messages = {}
  }

  expect_failures = [var.chat_messages, var.email_messages]
}
