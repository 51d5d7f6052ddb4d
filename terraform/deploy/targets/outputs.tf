output "role_names" {
  description = "Name of each rule's role, by rule ID."
  value       = module.target_role.role_names
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
