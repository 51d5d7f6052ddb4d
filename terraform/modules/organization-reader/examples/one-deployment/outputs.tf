output "role_arn" {
  description = "ARN of the role, for the central deployment."
  value       = module.organization_reader.role_arn
}
