output "destination" {
  description = "What to give `destination` in the settings of the rule vpc-without-flow-logs."
  value       = local.bucket_arn
}
