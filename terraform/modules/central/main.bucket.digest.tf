# Whether the policy that the rules read is the one that Terraform has written. No event says who wrote an object, so each
# Lambda is told the digest, and says in its log when it reads another policy.
#
# An apply that changes the policy can be seen by runs that are under way, which began with the digest before: the alarm
# then ends by itself. It goes on while somebody else's policy is in the bucket. A pause is none: it is an object of its own.

locals {
  policy_document = jsonencode(merge({ schema = 1, mode = local.policy.mode, rules = local.policy_rules }, local.policy_parts))
  policy_digest   = sha256(local.policy_document)
  policy_metric   = "UnexpectedPolicy"
}

resource "aws_cloudwatch_log_metric_filter" "unexpected_policy" {
  for_each = var.rules

  name           = "${local.function_names[each.key]}-unexpected-policy"
  log_group_name = aws_cloudwatch_log_group.function[each.key].name
  pattern        = "{ $.unexpected_policy = * }"

  metric_transformation {
    namespace = var.name_prefix
    name      = local.policy_metric
    value     = "1"
  }
}

resource "aws_cloudwatch_metric_alarm" "unexpected_policy" {
  alarm_name          = "${var.name_prefix}-unexpected-policy"
  alarm_description   = "autoremediate: a rule has read a policy.json that Terraform has not written. If no apply has just changed the policy, see what differs (autoremediate policy show), find out who wrote it (the bucket's access logs, the object's versions), and apply again."
  namespace           = var.name_prefix
  metric_name         = local.policy_metric
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = sort(var.alarm_actions)
  tags                = var.tags
}
