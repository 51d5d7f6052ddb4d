output "role_names" {
  description = "Name of the role, by rule ID."
  value       = module.target_role.role_names
}
