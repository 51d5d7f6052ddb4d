output "role_names" {
  description = "Name of each rule's role, by rule ID."
  value       = module.target_role.role_names
}

output "undo_role_names" {
  description = "Name of the role that takes a rule's fixes back, by rule ID. Empty if there are no operators."
  value       = module.target_role.undo_role_names
}

output "reader_role_names" {
  description = "Name of the role that can only look, by rule ID. Empty if there are no readers."
  value       = module.target_role.reader_role_names
}

output "service_role_names" {
  description = "Name of the role that a rule passes to an AWS service, by rule ID."
  value       = module.target_role.service_role_names
}

output "role_arns" {
  description = "ARN of each rule's role, by rule ID."
  value       = module.target_role.role_arns
}

output "doctor_role_name" {
  description = "Name of the role that `autoremediate doctor` assumes. Null if there are no operators."
  value       = module.target_role.doctor_role_name
}
