output "role_names" {
  description = "Name of the role by rule ID."
  value       = module.target_role.role_names
}

output "service_role_names" {
  description = "Name, by rule ID, of the role that the rule passes on to an AWS service."
  value       = module.target_role.service_role_names
}

output "role_arns" {
  description = "ARN of the role by rule ID."
  value       = module.target_role.role_arns
}

output "doctor_role_name" {
  description = "Name of the role that `autoremediate doctor` assumes; null without operators."
  value       = module.target_role.doctor_role_name
}
