# Who may write to the bucket, beside the roles of the Lambdas, and for how long its access logs are kept.

variable "approver_role_arns" {
  type        = set(string)
  description = "ARNs of the roles, with their paths, that may put approvals into the bucket. Without any, nobody can approve. Attach the policy in the output approver_policy_arn to them."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.approver_role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/([0-9A-Za-z_+=,.@-]+/)*[0-9A-Za-z_+=,.@-]{1,64}$", arn))])
    error_message = "An approver must be the ARN of a role, without wildcards."
  }
}

variable "operator_role_arns" {
  type        = set(string)
  description = "ARNs of the roles, with their paths, whose plans, reports and cards the bucket takes from the command line: those in operator_role_arns of the target accounts, and no others. Without any, nobody can apply or undo from the command line with records in the bucket. Attach the policy in the output operator_policy_arn to them."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.operator_role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/([0-9A-Za-z_+=,.@-]+/)*[0-9A-Za-z_+=,.@-]{1,64}$", arn))])
    error_message = "An operator must be the ARN of a role, without wildcards."
  }
}

variable "pauser_role_arns" {
  type        = set(string)
  description = "ARNs of the roles, with their paths, that may pause and resume with `autoremediate pause` and `autoremediate resume`, beside the operators, who may as well. Attach the policy in the output pauser_policy_arn to them."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.pauser_role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/([0-9A-Za-z_+=,.@-]+/)*[0-9A-Za-z_+=,.@-]{1,64}$", arn))])
    error_message = "A pauser must be the ARN of a role, without wildcards."
  }
}

variable "policy_writer_role_arns" {
  type        = set(string)
  description = "ARNs of the roles, with their paths, that may write policy.json: the role that applies this configuration. Who only has to stop something belongs to pauser_role_arns. Without any, it is whoever applies this configuration, which then differs with each of them: name them if there are several."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.policy_writer_role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/([0-9A-Za-z_+=,.@-]+/)*[0-9A-Za-z_+=,.@-]{1,64}$", arn))])
    error_message = "A policy writer must be the ARN of a role, without wildcards."
  }
}

variable "access_log_retention_days" {
  type        = number
  description = "For how many days to keep the bucket's access logs."
  default     = 365
  nullable    = false

  validation {
    condition     = var.access_log_retention_days >= 1 && floor(var.access_log_retention_days) == var.access_log_retention_days
    error_message = "access_log_retention_days must be a whole number, 1 or more."
  }
}

variable "object_lock" {
  type = object({
    mode = string
    days = number
  })
  description = "Retention of plans, reports and approvals by S3 Object Lock: its mode (\"GOVERNANCE\" or \"COMPLIANCE\") and for how many days. Nobody deletes what is locked, and in mode COMPLIANCE not even Amazon: then the bucket cannot be destroyed before. People give the command line the same as OBJECT_LOCK=<mode>/<days>. A bucket keeps Object Lock for good. Null asks for no retention."
  default     = null

  validation {
    condition     = var.object_lock == null ? true : contains(["GOVERNANCE", "COMPLIANCE"], var.object_lock.mode)
    error_message = "The mode of Object Lock must be \"GOVERNANCE\" or \"COMPLIANCE\"."
  }

  validation {
    condition     = var.object_lock == null ? true : var.object_lock.days >= 1 && var.object_lock.days <= 36500 && floor(var.object_lock.days) == var.object_lock.days
    error_message = "The days of Object Lock must be a whole number from 1 to 36,500."
  }
}
