# The modules validate these values and say what is wrong with them.

variable "region" {
  type        = string
  description = "Code of the region to deploy in. Null takes it from the environment."
  default     = null
}

variable "netskope_tenant" {
  type        = string
  description = "Domain name of the Netskope tenant, such as acme.goskope.com."
  nullable    = false
}

variable "netskope_token" {
  type        = string
  description = "Token of the Netskope API. Kept in no plan and no state."
  nullable    = false
  ephemeral   = true
  sensitive   = true
}

variable "home_region" {
  type        = string
  description = "Code of the region whose deployment acts on global findings, such as IAM's. The same in every region's deployment."
  nullable    = false
}

variable "external_id" {
  type        = string
  description = "External ID that is sent when a target account's role is assumed. The same in the target accounts."
  nullable    = false
}

variable "rules" {
  type        = set(string)
  description = "IDs of the rules to enable, such as `s3-public-bucket`. Null enables all of them."
  default     = null
}

variable "netskope_token_version" {
  type        = number
  description = "Raise this number to write a new token to the secret: Terraform cannot see that the token has changed."
  default     = 1
  nullable    = false
}

variable "netskope_endpoint" {
  type        = string
  description = "Another base URL for the Netskope API, for a proxy or a stand-in. Null for https:// and the tenant."
  default     = null
}

variable "schedule" {
  type        = string
  description = "When to poll each rule: rate(…) or cron(…) of EventBridge Scheduler, in UTC."
  default     = "rate(30 minutes)"
  nullable    = false
}

variable "schedules" {
  type        = map(string)
  description = "Schedules of single rules, by rule ID, instead of `schedule`."
  default     = {}
  nullable    = false
}

# Any type, because Terraform drops a key that a type does not name without a word: a typo would be a policy that is not
# what it says. The modules say which keys there are.
variable "policy" {
  type        = any
  description = "What the rules may do: modes, settings, exemptions and limits, as policy.json has them. By default every rule plans and none writes."
  default     = {}
  nullable    = false

  validation {
    condition     = can(keys(var.policy))
    error_message = "The policy is an object."
  }

  validation {
    condition     = length(setsubtract(try(keys(var.policy), []), module.catalog.policy_keys.policy)) == 0
    error_message = "Unknown in the policy: ${join(", ", setsubtract(try(keys(var.policy), []), module.catalog.policy_keys.policy))} (known there: ${join(", ", module.catalog.policy_keys.policy)})."
  }

  validation {
    condition = alltrue(flatten([
      for place in ["limits", "fight"] : [
        for key in try(keys(var.policy[place]), []) : contains(module.catalog.policy_keys[place], key)
      ]
    ]))
    error_message = "Unknown in the policy: ${join("; ", flatten([
      for place in ["limits", "fight"] : [
        for key in try(keys(var.policy[place]), []) :
        "${place}.${key} (known there: ${join(", ", module.catalog.policy_keys[place])})"
        if !contains(module.catalog.policy_keys[place], key)
      ]
    ]))}."
  }

  validation {
    condition = alltrue(flatten([
      for place in ["rules", "accounts", "overrides", "exemptions"] : try([
        for entry in var.policy[place] : [for key in try(keys(entry), []) : contains(module.catalog.policy_keys[place], key)]
      ], [])
    ]))
    error_message = "Unknown in the policy: ${join("; ", flatten([
      for place in ["rules", "accounts", "overrides", "exemptions"] : try([
        for name, entry in var.policy[place] : [
          for key in try(keys(entry), []) :
          "${place}.${name}.${key} (known there: ${join(", ", module.catalog.policy_keys[place])})"
          if !contains(module.catalog.policy_keys[place], key)
        ]
      ], [])
    ]))}."
  }

  # A rule that there is not is for the module to refuse
  validation {
    condition = alltrue(flatten(try([
      for id, rule in var.policy.rules : [
        for name in try(keys(rule.settings), []) : contains(keys(lookup(module.catalog.policy_settings, id, { (name) = "" })), name)
      ]
    ], [])))
    error_message = "Unknown in the policy: ${join("; ", flatten(try([
      for id, rule in var.policy.rules : [
        for name in try(keys(rule.settings), []) :
        "rules.${id}.settings.${name} (known there: ${coalesce(join(", ", keys(module.catalog.policy_settings[id])), "none")})"
        if !contains(keys(lookup(module.catalog.policy_settings, id, { (name) = "" })), name)
      ]
    ], [])))}."
  }

  validation {
    condition = alltrue(flatten(try([
      for id, rule in var.policy.rules : [
        for name, value in try(rule.settings, {}) :
        can(regex("^(${try(module.catalog.policy_settings[id][name], ".*")})$", value))
      ]
    ], [])))
    error_message = "Unknown in the policy: ${join("; ", flatten(try([
      for id, rule in var.policy.rules : [
        for name, value in try(rule.settings, {}) :
        "rules.${id}.settings.${name} = ${jsonencode(value)} (known there: ${module.catalog.policy_settings[id][name]})"
        if !can(regex("^(${try(module.catalog.policy_settings[id][name], ".*")})$", value))
      ]
    ], [])))}."
  }
}

variable "architecture" {
  type        = string
  description = "Architecture of the Lambdas and their packages: \"x86_64\" or \"arm64\"."
  default     = "x86_64"
  nullable    = false
}

variable "package_dir" {
  type        = string
  description = "Folder with the packages: <architecture>/poller.zip and <architecture>/<rule ID>.zip. Null for the repository's dist."
  default     = null
}

variable "name_prefix" {
  type        = string
  description = "First part of every name. The same in the target accounts."
  default     = "autoremediate"
  nullable    = false
}

variable "permissions_boundary" {
  type        = string
  description = "ARN of the policy to set as every role's permissions boundary. Null sets none."
  default     = null
}

variable "kms_key_arn" {
  type        = string
  description = "ARN of the KMS key that encrypts the secret. Null for the AWS managed key."
  default     = null
}

variable "reserved_concurrency" {
  type        = number
  description = "Concurrent executions that are reserved for each rule's Lambda, and at most used by it. Null for no limit."
  default     = null
}

variable "log_retention_days" {
  type        = number
  description = "Days that the Lambdas' logs are kept."
  default     = 90
  nullable    = false
}

variable "findings_retention_days" {
  type        = number
  description = "Days that batches of findings are kept."
  default     = 30
  nullable    = false
}

variable "record_retention_days" {
  type        = number
  description = "Days that plans and reports are kept. What is gone cannot be undone from."
  default     = 365
  nullable    = false
}

variable "alarm_actions" {
  type        = set(string)
  description = "ARNs of what the failure alarm notifies, such as an SNS topic."
  default     = []
  nullable    = false
}

variable "force_destroy" {
  type        = bool
  description = "Whether destroying deletes the bucket with all its records and the secret at once. For demonstrations."
  default     = false
  nullable    = false
}

variable "organization_check" {
  type        = bool
  description = "Whether to warn if this account is the organization's management account. Needs organizations:DescribeOrganization; set it to false in an account that is in no organization."
  default     = true
  nullable    = false
}

variable "tags" {
  type        = map(string)
  description = "Tags of every resource, beside the provider's default tags."
  default     = {}
  nullable    = false
}
