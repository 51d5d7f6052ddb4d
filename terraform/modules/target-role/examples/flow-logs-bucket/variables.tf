variable "bucket" {
  type        = string
  description = "Name of the bucket."

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "The name of a bucket has 3 to 63 lower-case letters, digits, dots and hyphens."
  }
}

variable "organization_id" {
  type        = string
  description = "ID of the organization whose accounts' flow logs the bucket takes."

  validation {
    condition     = can(regex("^o-[a-z0-9]{10,32}$", var.organization_id))
    error_message = "The ID of an organization is such as o-a1b2c3d4e5."
  }
}

variable "days" {
  type        = number
  description = "For how many days to keep flow logs."
  default     = 365

  validation {
    condition     = var.days >= 1 && floor(var.days) == var.days
    error_message = "days must be a whole number, 1 or more."
  }
}
