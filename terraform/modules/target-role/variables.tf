variable "rules" {
  type = map(object({
    read  = list(object({ action = string, resource = string, condition = optional(map(map(string))) }))
    write = list(object({ action = string, resource = string, condition = optional(map(map(string))) }))
    extra = list(object({ action = string, resource = string, condition = optional(map(map(string))) }))
    service_role = optional(object({
      service     = string
      source      = string
      permissions = list(object({ action = string, resource = string, condition = optional(map(map(string))) }))
    }))
    runbook = optional(object({
      name       = string
      missing_in = optional(list(string), [])
    }))
  }))
  description = "The enabled rules, as the catalog module returns them: the manifest by rule ID."
  nullable    = false

  validation {
    condition     = length(var.rules) > 0
    error_message = "At least one rule must be enabled."
  }
}

variable "central_account_id" {
  type        = string
  description = "ID of the account that the central module is deployed in."
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.central_account_id))
    error_message = "An account ID has 12 digits."
  }
}

variable "central_regions" {
  type        = set(string)
  description = "Codes of the regions that the central module is deployed in. Each has a role of its own for each rule."
  nullable    = false

  validation {
    condition     = length(var.central_regions) > 0
    error_message = "There must be at least one central region."
  }

  validation {
    condition     = alltrue([for region in var.central_regions : can(regex("^[a-z]{2,}(-[a-z]+)+-[0-9]+$", region))])
    error_message = "A region is given by its code, such as eu-west-1."
  }
}

variable "external_id" {
  type        = string
  description = "External ID that the central roles send when they assume a role here. The same in the central deployment."
  nullable    = false

  validation {
    condition     = length(var.external_id) >= 2 && length(var.external_id) <= 1224
    error_message = "An external ID has 2 to 1,224 characters."
  }

  validation {
    condition     = can(regex("^[0-9A-Za-z_+=,.@:/-]*$", var.external_id))
    error_message = "An external ID has only letters, digits and the characters _+=,.@:/-."
  }
}

variable "operator_role_arns" {
  type        = set(string)
  description = "ARNs of further roles of the central account that may assume the roles, for people who use the command line. They must send the external ID too. With any, the account has the role of `autoremediate doctor`."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.operator_role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/([0-9A-Za-z_+=,.@-]+/)*[0-9A-Za-z_+=,.@-]{1,64}$", arn))])
    error_message = "An operator is given by a role's ARN, without wildcards."
  }

  validation {
    condition     = alltrue([for arn in var.operator_role_arns : try(split(":", arn)[4] == var.central_account_id, false)])
    error_message = "An operator's role must be one of the central account."
  }
}

variable "name_prefix" {
  type        = string
  description = "First part of every name. The same in the central deployment."
  default     = "autoremediate"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,15}$", var.name_prefix))
    error_message = "A name prefix has at most 16 lower-case letters, digits and hyphens, and starts with a letter."
  }
}

variable "permissions_boundary" {
  type        = string
  description = "ARN of the policy to set as every role's permissions boundary. Null sets none."
  default     = null

  validation {
    condition     = var.permissions_boundary == null ? true : can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/[0-9A-Za-z_+=,.@/-]+$", var.permissions_boundary))
    error_message = "A permissions boundary is given by the ARN of an IAM policy."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of every role, beside the provider's default tags."
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key in keys(var.tags) : length(key) >= 1 && length(key) <= 128])
    error_message = "A tag's key has 1 to 128 characters."
  }

  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:")])
    error_message = "A tag's key must not start with aws:, which is reserved."
  }

  validation {
    condition     = alltrue([for value in values(var.tags) : length(value) <= 256])
    error_message = "A tag's value has at most 256 characters."
  }

  validation {
    condition     = alltrue([for text in concat(keys(var.tags), values(var.tags)) : can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]*$", text))])
    error_message = "A tag has only letters, digits, spaces and the characters _.:/=+-@."
  }
}
