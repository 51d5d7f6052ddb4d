output "bucket" {
  description = "Name of the bucket with the reports."
  value       = module.central.bucket
}

output "connection_name" {
  description = "Name of the connection whose credential is written by hand."
  value       = aws_cloudwatch_event_connection.webhook.name
}
