output "role_names" {
  description = "Name of each rule's role, by rule ID."
  value       = { for id, role in aws_iam_role.rule : id => role.name }
}

output "undo_role_names" {
  description = "Name of the role that takes a rule's fixes back, by rule ID. Empty if there are no operators."
  value       = { for id, role in aws_iam_role.undo : id => role.name }
}

output "reader_role_names" {
  description = "Name of the role that can only look, by rule ID. Empty if there are no readers."
  value       = { for id, role in aws_iam_role.reader : id => role.name }
}

output "service_role_names" {
  description = "Name of the role that a rule passes to an AWS service, by rule ID."
  value       = { for id, role in aws_iam_role.service : id => role.name }
}

output "role_arns" {
  description = "ARN of each rule's role, by rule ID."
  value       = { for id, role in aws_iam_role.rule : id => role.arn }
}

output "doctor_role_name" {
  description = "Name of the role that `autoremediate doctor` assumes. Null if there are no operators."
  value       = one([for role in aws_iam_role.doctor : role.name])
}
