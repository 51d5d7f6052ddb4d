variable "central_account_id" {
  type        = string
  description = "ID of the account that the central module is deployed in."
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.central_account_id))
    error_message = "An account must be an ID of 12 digits, in quotes."
  }
}

variable "external_id" {
  type        = string
  description = "External ID that the poller sends: `organization.external_id` of the central deployment."
  nullable    = false

  validation {
    condition     = length(var.external_id) >= 2 && length(var.external_id) <= 1224 && can(regex("^[0-9A-Za-z_+=,.@:/-]*$", var.external_id))
    error_message = "An external ID has 2 to 1,224 characters: letters, digits and _+=,.@:/-."
  }
}

variable "name_prefix" {
  type        = string
  description = "First part of the role's name. Must be the same in the central deployment."
  default     = "autoremediate"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,15}$", var.name_prefix))
    error_message = "A name prefix must start with a letter and have at most 16 lower-case letters, digits and hyphens."
  }
}

variable "permissions_boundary" {
  type        = string
  description = "ARN of the policy to set as the permissions boundary of the role. Null sets none."
  default     = null

  validation {
    condition     = var.permissions_boundary == null ? true : can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/[!-~]+$", var.permissions_boundary))
    error_message = "A permissions boundary must be the ARN of an IAM policy."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags for the role, in addition to the provider's default tags."
  default     = {}
  nullable    = false
}
