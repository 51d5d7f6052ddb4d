output "bucket" {
  description = "Name of the bucket with the reports."
  value       = module.central.bucket
}
