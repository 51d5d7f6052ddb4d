output "bucket" {
  description = "Name of the bucket with findings, records and policy.json."
  value       = module.central.bucket
}

output "secret_arn" {
  description = "ARN of the secret that holds the Netskope token."
  value       = module.central.secret_arn
}

output "poller_function_name" {
  description = "Name of the poller Lambda."
  value       = module.central.poller_function_name
}

output "rule_function_names" {
  description = "Name of each rule's Lambda, by rule ID."
  value       = module.central.rule_function_names
}

output "poller_role_arn" {
  description = "ARN of the poller's role."
  value       = module.central.poller_role_arn
}

output "rule_role_arns" {
  description = "ARN of the role of each rule's Lambda, by rule ID. The role in the target account trusts it."
  value       = module.central.rule_role_arns
}

output "target_role_names" {
  description = "Name of the role that each rule's Lambda assumes in every target account, by rule ID."
  value       = module.central.target_role_names
}

output "failure_queue_url" {
  description = "URL of the queue of failed invocations."
  value       = module.central.failure_queue_url
}

output "failure_alarm_name" {
  description = "Name of the alarm on the failure queue."
  value       = module.central.failure_alarm_name
}

output "schedule_group" {
  description = "Name of the group of all schedules."
  value       = module.central.schedule_group
}

output "schedule_names" {
  description = "Name of each rule's schedule, by rule ID."
  value       = module.central.schedule_names
}

output "log_group_names" {
  description = "Name of each Lambda's log group, by rule ID or `poller`."
  value       = module.central.log_group_names
}

output "approver_policy_arn" {
  description = "ARN of the policy for people who approve plans."
  value       = module.central.approver_policy_arn
}

output "operator_policy_arn" {
  description = "ARN of the policy for people who plan, apply and undo from the command line. It does not let them approve."
  value       = module.central.operator_policy_arn
}

output "pauser_policy_arn" {
  description = "ARN of the policy for people who may pause and resume, and see what is in effect."
  value       = module.central.pauser_policy_arn
}

output "reader_policy_arn" {
  description = "ARN of the policy for people who may plan and see, and nothing else."
  value       = module.central.reader_policy_arn
}

output "retrier_policy_arn" {
  description = "ARN of the policy for people who see, retry and drop what is in the failure queue."
  value       = module.central.retrier_policy_arn
}

output "modes" {
  description = "Mode of each rule, by rule ID, where no override sets another."
  value       = module.central.modes
}

output "access_log_bucket" {
  description = "Name of the bucket with the access logs of the bucket."
  value       = module.central.access_log_bucket
}

output "policy_alarm_name" {
  description = "Name of the alarm on policies that Terraform has not written."
  value       = module.central.policy_alarm_name
}

output "alarm_names" {
  description = "Names of the alarms over the deployment's metrics, by what they are about."
  value       = module.central.alarm_names
}

output "dashboard_name" {
  description = "Name of the dashboard; null where there is none."
  value       = module.central.dashboard_name
}

output "event_bus_name" {
  description = "Name of the event bus that messages are sent to; null where nobody is told."
  value       = module.central.event_bus_name
}

output "chat_topic_arn" {
  description = "ARN of the topic with messages for a chat; null where there is none."
  value       = module.central.chat_topic_arn
}

output "email_topic_arn" {
  description = "ARN of the topic with messages for e-mail; null where there is none."
  value       = module.central.email_topic_arn
}
