# Where accounts are. As `poll_limits`, this type drops unknown keys: the root module looks for them.

variable "organization" {
  type = object({
    reader_role_arn = optional(string)
    external_id     = optional(string)
    refresh_hours   = optional(number, 6)
    max_age_days    = optional(number, 7)
  })
  description = "That the organizational units and tags of accounts, which the policy's overrides and scope name, come from AWS Organizations. The poller reads them again every refresh_hours (6); after max_age_days (7) without success, what depends on them is held. reader_role_arn is the role of the management account that the poller assumes for that, with external_id: the module organization-reader makes it. Without one, this account must be the management account, a delegated administrator, or named in the organization's delegation policy. Null asks Organizations for nothing."
  default     = null

  validation {
    condition     = try(var.organization.reader_role_arn, null) == null ? true : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/([!-~]+/)?[0-9A-Za-z_+=,.@-]{1,64}$", var.organization.reader_role_arn))
    error_message = "organization.reader_role_arn must be the ARN of a role."
  }

  validation {
    condition     = try(var.organization.external_id, null) == null ? true : length(var.organization.external_id) >= 2 && length(var.organization.external_id) <= 1224 && can(regex("^[0-9A-Za-z_+=,.@:/-]*$", var.organization.external_id))
    error_message = "organization.external_id has 2 to 1,224 characters: letters, digits and _+=,.@:/-."
  }

  validation {
    condition     = try(var.organization.reader_role_arn, null) != null || try(var.organization.external_id, null) == null
    error_message = "organization.external_id is sent to the role of organization.reader_role_arn, which is not set."
  }

  validation {
    condition     = var.organization == null ? true : var.organization.refresh_hours >= 1 && var.organization.refresh_hours <= 168 && floor(var.organization.refresh_hours) == var.organization.refresh_hours
    error_message = "organization.refresh_hours must be a whole number from 1 to 168, a week."
  }

  validation {
    condition     = var.organization == null ? true : var.organization.max_age_days >= 1 && var.organization.max_age_days <= 365 && floor(var.organization.max_age_days) == var.organization.max_age_days
    error_message = "organization.max_age_days must be a whole number from 1 to 365."
  }

  validation {
    condition     = var.organization == null ? true : var.organization.refresh_hours < 24 * var.organization.max_age_days
    error_message = "organization.refresh_hours must be less than organization.max_age_days, or what was read is too old before it is read again."
  }
}
