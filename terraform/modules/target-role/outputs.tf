output "role_names" {
  description = "Name of the role by rule ID."
  value       = { for id, role in aws_iam_role.rule : id => role.name }
}

output "service_role_names" {
  description = "Name, by rule ID, of the role that the rule passes on to an AWS service."
  value       = { for id, role in aws_iam_role.service : id => role.name }
}

output "role_arns" {
  description = "ARN of the role by rule ID."
  value       = { for id, role in aws_iam_role.rule : id => role.arn }
}

output "doctor_role_name" {
  description = "Name of the role that `autoremediate doctor` assumes; null without operators."
  value       = one([for role in aws_iam_role.doctor : role.name])
}
