output "role_names" {
  description = "Name of the role by rule ID."
  value       = { for id, role in aws_iam_role.rule : id => role.name }
}

output "role_arns" {
  description = "ARN of the role by rule ID."
  value       = { for id, role in aws_iam_role.rule : id => role.arn }
}
