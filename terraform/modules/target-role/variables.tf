variable "rules" {
  type = map(object({
    read     = list(object({ action = string, resource = string, condition = optional(map(map(string))) }))
    write    = list(object({ action = string, resource = string, condition = optional(map(map(string))) }))
    directly = optional(list(object({ action = string, resource = string, condition = optional(map(map(string))) })), [])
    extra    = list(object({ action = string, resource = string, condition = optional(map(map(string))) }))
    undo     = list(object({ action = string, resource = string, condition = optional(map(map(string))) }))
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
  description = "The enabled rules by rule ID, each with its manifest, as the catalog module returns them."
  nullable    = false

  validation {
    condition     = length(var.rules) > 0
    error_message = "At least one rule must be enabled."
  }

  # A pattern on the one's roles would match the other's
  validation {
    condition = length([
      for pair in setproduct(keys(var.rules), keys(var.rules)) : pair if startswith(pair[0], "${pair[1]}-")
    ]) == 0
    error_message = "No rule's ID may begin with another's and a hyphen, because the roles of the one would then be trusted for the other: ${join("; ", [
      for pair in setproduct(keys(var.rules), keys(var.rules)) : join(" begins with ", pair) if startswith(pair[0], "${pair[1]}-")
    ])}."
  }
}

variable "central_account_id" {
  type        = string
  description = "ID of the account that the central module is deployed in."
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.central_account_id))
    error_message = "An account ID must have 12 digits."
  }
}

variable "external_id" {
  type        = string
  description = "External ID that the central roles send when they assume a role here. Must be the same in the central deployment."
  nullable    = false

  validation {
    condition     = length(var.external_id) >= 2 && length(var.external_id) <= 1224
    error_message = "An external ID has 2 to 1,224 characters."
  }

  validation {
    condition     = can(regex("^[0-9A-Za-z_+=,.@:/-]*$", var.external_id))
    error_message = "An external ID can contain only letters, digits and the characters _+=,.@:/-."
  }
}

variable "operator_role_arns" {
  type        = set(string)
  description = "ARNs of roles of the central account for people who use the command line. They may assume the roles too, and must send the external ID as well. If there are any, the role for `autoremediate doctor` is created, and for each rule the role that takes its fixes back."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.operator_role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/([0-9A-Za-z_+=,.@-]+/)*[0-9A-Za-z_+=,.@-]{1,64}$", arn))])
    error_message = "An operator must be the ARN of a role, without wildcards."
  }

  validation {
    condition     = alltrue([for arn in var.operator_role_arns : try(split(":", arn)[4] == var.central_account_id, false)])
    error_message = "The role of an operator must belong to the central account."
  }
}

variable "reader_role_arns" {
  type        = set(string)
  description = "ARNs of roles of the central account for people who may plan and see, and nothing else. If there are any, each rule gets a role for them that can only look. They must send the external ID as well."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.reader_role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/([0-9A-Za-z_+=,.@-]+/)*[0-9A-Za-z_+=,.@-]{1,64}$", arn))])
    error_message = "A reader must be the ARN of a role, without wildcards."
  }

  validation {
    condition     = alltrue([for arn in var.reader_role_arns : try(split(":", arn)[4] == var.central_account_id, false)])
    error_message = "The role of a reader must belong to the central account."
  }
}

variable "name_prefix" {
  type        = string
  description = "First part of the name of every role. Must be the same in the central deployment."
  default     = "autoremediate"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,15}$", var.name_prefix))
    error_message = "A name prefix must start with a letter and have at most 16 lower-case letters, digits and hyphens."
  }
}

variable "permissions_boundary" {
  type        = string
  description = "Name of the policy to set as the permissions boundary of every role, which each account has, with its path if it has one; or its ARN, in which {account} stands for the account that the role is in. Null sets none."
  default     = null

  validation {
    condition     = var.permissions_boundary == null ? true : can(regex("^(arn:[a-z-]+:iam::([0-9]{12}|aws|[{]account[}]):policy/)?([0-9A-Za-z_+=,.@-]+/)*[0-9A-Za-z_+=,.@-]{1,128}$", var.permissions_boundary))
    error_message = "A permissions boundary must be the name of an IAM policy, or its ARN."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags for every role, in addition to the provider's default tags."
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key in keys(var.tags) : length(key) >= 1 && length(key) <= 128])
    error_message = "The key of a tag has 1 to 128 characters."
  }

  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:")])
    error_message = "The key of a tag must not start with aws:, which is reserved."
  }

  validation {
    condition     = alltrue([for value in values(var.tags) : length(value) <= 256])
    error_message = "The value of a tag has at most 256 characters."
  }

  validation {
    condition     = alltrue([for text in concat(keys(var.tags), values(var.tags)) : can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]*$", text))])
    error_message = "A tag can contain only letters, digits, spaces and the characters _.:/=+-@."
  }

  validation {
    condition     = length(distinct([for key in keys(var.tags) : lower(key)])) == length(var.tags)
    error_message = "IAM takes no two tags whose keys differ in capitals alone: ${join(", ", sort(keys(var.tags)))}."
  }
}
