variable "external_id" {
  type        = string
  description = "External ID that the poller sends."
}
