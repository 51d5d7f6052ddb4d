variable "external_id" {
  type        = string
  description = "External ID that the central roles send when they assume the role."
}
