output "bucket" {
  description = "Name of the bucket with findings, plans, reports and policy.json."
  value       = aws_s3_bucket.this.bucket
}

output "secret_arn" {
  description = "ARN of the secret that holds the Netskope token."
  value       = aws_secretsmanager_secret.token.arn
}

output "poller_function_name" {
  description = "Name of the poller Lambda."
  value       = aws_lambda_function.function["poller"].function_name
}

output "rule_function_names" {
  description = "Name of the rule's Lambda by rule ID."
  value       = { for id in keys(var.rules) : id => aws_lambda_function.function[id].function_name }
}

output "poller_role_arn" {
  description = "ARN of the poller's role."
  value       = aws_iam_role.function["poller"].arn
}

output "rule_role_arns" {
  description = "ARN of the role of the rule's Lambda by rule ID. The target account's role trusts it."
  value       = { for id in keys(var.rules) : id => aws_iam_role.function[id].arn }
}

output "target_role_names" {
  description = "Name, by rule ID, of the role that the rule's Lambda assumes in every target account."
  value       = { for id in keys(var.rules) : id => local.functions[id].environment.TARGET_ROLE_NAME }
}

output "failure_queue_url" {
  description = "URL of the queue of invocations that died."
  value       = aws_sqs_queue.failures.url
}

output "failure_alarm_name" {
  description = "Name of the alarm on the failure queue."
  value       = aws_cloudwatch_metric_alarm.failures.alarm_name
}

output "schedule_group" {
  description = "Name of the group of all schedules."
  value       = aws_scheduler_schedule_group.this.name
}

output "schedule_names" {
  description = "Name of the schedule by rule ID."
  value       = { for id, schedule in aws_scheduler_schedule.rule : id => schedule.name }
}

output "log_group_names" {
  description = "Name of the log group by rule ID, and `poller`."
  value       = { for key, group in aws_cloudwatch_log_group.function : key => group.name }
}

output "approver_policy_arn" {
  description = "ARN of the policy for those who approve plans."
  value       = aws_iam_policy.person["approver"].arn
}

output "operator_policy_arn" {
  description = "ARN of the policy for those who plan, apply and undo from the command line. They cannot approve."
  value       = aws_iam_policy.person["operator"].arn
}

output "modes" {
  description = "Mode by rule ID, as policy.json has it, where no override says otherwise."
  value       = local.modes
}
