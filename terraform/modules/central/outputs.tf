output "bucket" {
  description = "Name of the bucket with findings, records and policy.json."
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
  description = "Name of each rule's Lambda, by rule ID."
  value       = { for id in keys(var.rules) : id => aws_lambda_function.function[id].function_name }
}

output "poller_role_arn" {
  description = "ARN of the poller's role."
  value       = aws_iam_role.function["poller"].arn
}

output "rule_role_arns" {
  description = "ARN of the role of each rule's Lambda, by rule ID. The role in the target account trusts it."
  value       = { for id in keys(var.rules) : id => aws_iam_role.function[id].arn }
}

output "target_role_names" {
  description = "Name of the role that each rule's Lambda assumes in every target account, by rule ID."
  value       = { for id in keys(var.rules) : id => local.functions[id].environment.TARGET_ROLE_NAME }
}

output "failure_queue_url" {
  description = "URL of the queue of failed invocations."
  value       = aws_sqs_queue.queue["failure"].url
}

output "failure_alarm_name" {
  description = "Name of the alarm on the failure queue."
  value       = aws_cloudwatch_metric_alarm.queue["failure"].alarm_name
}

output "schedule_group" {
  description = "Name of the group of all schedules."
  value       = aws_scheduler_schedule_group.this.name
}

output "schedule_names" {
  description = "Name of each rule's schedule, by rule ID."
  value       = { for id, schedule in aws_scheduler_schedule.rule : id => schedule.name }
}

output "log_group_names" {
  description = "Name of each Lambda's log group, by rule ID or `poller`."
  value       = { for key, group in aws_cloudwatch_log_group.function : key => group.name }
}

output "approver_policy_arn" {
  description = "ARN of the policy for people who approve plans."
  value       = aws_iam_policy.person["approver"].arn
}

output "operator_policy_arn" {
  description = "ARN of the policy for people who plan, apply and undo from the command line. It does not let them approve."
  value       = aws_iam_policy.person["operator"].arn
}

output "pauser_policy_arn" {
  description = "ARN of the policy for people who may pause and resume, and see what is in effect."
  value       = aws_iam_policy.person["pauser"].arn
}

output "reader_policy_arn" {
  description = "ARN of the policy for people who may plan and see, and nothing else."
  value       = aws_iam_policy.person["reader"].arn
}

output "retrier_policy_arn" {
  description = "ARN of the policy for people who see, retry and drop what is in the failure queue."
  value       = aws_iam_policy.person["retrier"].arn
}

output "modes" {
  description = "Mode of each rule, by rule ID, where no override sets another."
  value       = local.modes
}

output "access_log_bucket" {
  description = "Name of the bucket with the access logs of the bucket."
  value       = aws_s3_bucket.access_logs.bucket
}

output "policy_alarm_name" {
  description = "Name of the alarm on policies that Terraform has not written."
  value       = aws_cloudwatch_metric_alarm.unexpected_policy.alarm_name
}

output "alarm_names" {
  description = "Names of the alarms over the deployment's metrics, by what they are about."
  value = merge(
    { for key, alarm in aws_cloudwatch_metric_alarm.deployment : key => alarm.alarm_name },
    { for alarm in aws_cloudwatch_metric_alarm.throttled : "throttled" => alarm.alarm_name },
  )
}

output "dashboard_name" {
  description = "Name of the dashboard; null where there is none."
  value       = one(aws_cloudwatch_dashboard.this[*].dashboard_name)
}

output "event_bus_name" {
  description = "Name of the event bus that messages are sent to; null where nobody is told."
  value       = var.event_bus_name
}

output "chat_topic_arn" {
  description = "ARN of the topic with messages for a chat; null where there is none."
  value       = one([for key, topic in aws_sns_topic.messages : topic.arn if key == "chat"])
}

output "email_topic_arn" {
  description = "ARN of the topic with messages for e-mail; null where there is none."
  value       = one([for key, topic in aws_sns_topic.messages : topic.arn if key == "email"])
}
