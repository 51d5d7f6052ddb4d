output "role_arn" {
  description = "ARN of the role: `organization.reader_role_arn` of the central deployment."
  value       = aws_iam_role.reader.arn
}
