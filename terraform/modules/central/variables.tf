variable "rules" {
  type        = map(object({ title = string }))
  description = "The enabled rules, as the catalog module returns them: the manifest by rule ID."
  nullable    = false

  validation {
    condition     = length(var.rules) > 0
    error_message = "At least one rule must be enabled."
  }
}

variable "netskope_tenant" {
  type        = string
  description = "Domain name of the Netskope tenant, such as acme.goskope.com."
  nullable    = false

  validation {
    condition     = can(regex("^([0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?\\.)+[A-Za-z]{2,63}$", var.netskope_tenant))
    error_message = "A tenant is given by its full domain name, without https:// and without a path."
  }

  validation {
    condition     = length(var.netskope_tenant) <= 253
    error_message = "A domain name has at most 253 characters."
  }
}

variable "netskope_token" {
  type        = string
  description = "Token of the Netskope API. Kept in no plan and no state."
  nullable    = false
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = can(regex("^[!-~]+$", var.netskope_token))
    error_message = "A token has at least one character, all of them printable ASCII and none of them a space."
  }
}

variable "netskope_token_version" {
  type        = number
  description = "Raise this number to write a new token to the secret: Terraform cannot see that the token has changed."
  default     = 1
  nullable    = false

  validation {
    condition     = var.netskope_token_version >= 1 && floor(var.netskope_token_version) == var.netskope_token_version
    error_message = "The token's version is a whole number from 1."
  }
}

variable "netskope_endpoint" {
  type        = string
  description = "Another base URL for the Netskope API, for a proxy or a stand-in. Null for https:// and the tenant."
  default     = null

  validation {
    condition     = var.netskope_endpoint == null ? true : can(regex("^(https://[0-9A-Za-z.-]+|http://(localhost|127(\\.[0-9]{1,3}){3}|\\[::1\\]))(:[0-9]{1,5})?(/[^[:space:]?#]*)?$", var.netskope_endpoint))
    error_message = "An endpoint is an https:// URL, or an http:// URL of the loopback interface, without user, query or fragment."
  }
}

variable "home_region" {
  type        = string
  description = "Code of the region whose deployment acts on global findings, such as IAM's. The same in every region's deployment."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2,}(-[a-z]+)+-[0-9]+$", var.home_region))
    error_message = "A region is given by its code, such as eu-west-1."
  }
}

variable "schedule" {
  type        = string
  description = "When to poll each rule: rate(…) or cron(…) of EventBridge Scheduler, in UTC."
  default     = "rate(30 minutes)"
  nullable    = false

  validation {
    condition     = can(regex("^(rate\\([1-9][0-9]* (minute|hour|day)s?\\)|cron\\([^ ()]+( [^ ()]+){5}\\))$", var.schedule))
    error_message = "A schedule is rate(number unit) or cron(minutes hours day month weekday year), such as rate(30 minutes)."
  }
}

variable "schedules" {
  type        = map(string)
  description = "Schedules of single rules, by rule ID, instead of `schedule`."
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for schedule in values(var.schedules) : can(regex("^(rate\\([1-9][0-9]* (minute|hour|day)s?\\)|cron\\([^ ()]+( [^ ()]+){5}\\))$", schedule))])
    error_message = "A schedule is rate(number unit) or cron(minutes hours day month weekday year), such as rate(30 minutes)."
  }

  validation {
    condition     = length(setsubtract(keys(var.schedules), keys(var.rules))) == 0
    error_message = "A schedule is given for a rule that is not enabled: ${join(", ", setsubtract(keys(var.schedules), keys(var.rules)))}."
  }
}

# A caller that takes the policy as it comes must look for unknown keys itself: this type drops them without a word.
variable "policy" {
  type = object({
    schema = optional(number, 1)
    paused = optional(bool)
    mode   = optional(string, "plan")
    rules = optional(map(object({
      mode     = optional(string)
      settings = optional(map(string), {}) # numbers and booleans, too: they are again what they were in policy.json
    })), {})
    accounts = optional(map(object({
      organizational_units = optional(list(string), [])
      tags                 = optional(map(string), {})
    })), {})
    overrides = optional(list(object({
      rules                = optional(list(string), [])
      accounts             = optional(list(string), [])
      organizational_units = optional(list(string), [])
      account_tags         = optional(map(string), {})
      mode                 = string
    })), [])
    exemptions = optional(list(object({
      rules     = optional(list(string), [])
      accounts  = optional(list(string), [])
      regions   = optional(list(string), [])
      resources = optional(list(string), [])
      tags      = optional(map(string), {})
      expires   = optional(string)
      reason    = string
      owner     = string
    })), [])
    limits = optional(object({
      changes_per_run     = optional(number)
      changes_per_rule    = optional(number)
      changes_per_account = optional(number)
      failure_percent     = optional(number)
      failure_minimum     = optional(number)
    }), {})
    approval_hours = optional(number)
    fight = optional(object({
      window_days = optional(number)
      fixes       = optional(number)
    }), {})
  })
  description = "What the rules may do: modes, settings, exemptions and limits, as policy.json has them."
  default     = {}
  nullable    = false

  validation {
    condition     = var.policy.schema == 1
    error_message = "The schema of a policy is 1."
  }

  validation {
    condition = alltrue([
      for mode in concat([var.policy.mode], values(var.policy.rules)[*].mode, var.policy.overrides[*].mode) :
      mode == null ? true : contains(["off", "plan", "approve", "apply"], mode)
    ])
    error_message = "A mode is \"off\", \"plan\", \"approve\" or \"apply\"."
  }

  validation {
    condition = length(setsubtract(
      concat(keys(var.policy.rules), flatten(var.policy.overrides[*].rules), flatten(var.policy.exemptions[*].rules)),
      keys(var.rules),
    )) == 0
    error_message = "The policy names rules that are not enabled: ${join(", ", setsubtract(
      concat(keys(var.policy.rules), flatten(var.policy.overrides[*].rules), flatten(var.policy.exemptions[*].rules)),
      keys(var.rules),
    ))}. The enabled rules are ${join(", ", keys(var.rules))}."
  }

  validation {
    condition = alltrue([
      for account in concat(keys(var.policy.accounts), flatten(var.policy.overrides[*].accounts), flatten(var.policy.exemptions[*].accounts)) :
      can(regex("^[0-9]{12}$", account))
    ])
    error_message = "An account is given by its ID of 12 digits, in quotes."
  }

  validation {
    condition     = alltrue([for region in flatten(var.policy.exemptions[*].regions) : region == "global" || can(regex("^[a-z]{2,}(-[a-z]+)+-[0-9]+$", region))])
    error_message = "A region is given by its code, such as eu-west-1, or global for what is in none."
  }

  validation {
    condition = alltrue([
      for override in var.policy.overrides :
      length(concat(override.rules, override.accounts, override.organizational_units, keys(override.account_tags))) > 0
    ])
    error_message = "An override says where it holds: by rules, accounts, organizational_units or account_tags."
  }

  validation {
    condition = alltrue([
      for exemption in var.policy.exemptions :
      length(concat(exemption.rules, exemption.accounts, exemption.regions, exemption.resources, keys(exemption.tags))) > 0
    ])
    error_message = "An exemption says what it exempts: by rules, accounts, regions, resources or tags."
  }

  validation {
    condition     = alltrue([for exemption in var.policy.exemptions : trimspace(exemption.reason) != "" && trimspace(exemption.owner) != ""])
    error_message = "An exemption has a reason and an owner."
  }

  # formatdate knows how long a month is, and takes nothing but a whole timestamp
  validation {
    condition = alltrue([
      for date in var.policy.exemptions[*].expires : date == null ? true : can(formatdate("YYYY", "${date}T00:00:00Z"))
    ])
    error_message = "An exemption expires on a date, such as 2027-01-31."
  }

  validation {
    condition = alltrue([
      for number in concat(values(var.policy.limits), [var.policy.approval_hours], values(var.policy.fight)) :
      number == null ? true : number >= 1 && floor(number) == number
    ])
    error_message = "A limit, the hours of an approval and what tells a fight are whole numbers from 1."
  }

  validation {
    condition     = var.policy.limits.failure_percent == null ? true : var.policy.limits.failure_percent <= 100
    error_message = "The percentage of failures is at most 100."
  }
}

variable "external_id" {
  type        = string
  description = "External ID that is sent when a target account's role is assumed. The same in the target accounts."
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

variable "architecture" {
  type        = string
  description = "Architecture of the Lambdas and their packages: \"x86_64\" or \"arm64\"."
  default     = "x86_64"
  nullable    = false

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "An architecture is \"x86_64\" or \"arm64\"."
  }
}

variable "package_dir" {
  type        = string
  description = "Folder with the packages: <architecture>/poller.zip and <architecture>/<rule ID>.zip."
  nullable    = false

  validation {
    condition     = length(var.package_dir) > 0
    error_message = "The folder of the packages must be named."
  }
}

variable "name_prefix" {
  type        = string
  description = "First part of every name. The same in the target accounts."
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

variable "kms_key_arn" {
  type        = string
  description = "ARN of the KMS key that encrypts the secret. Null for the AWS managed key."
  default     = null

  validation {
    condition     = var.kms_key_arn == null ? true : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[0-9A-Za-z-]+$", var.kms_key_arn))
    error_message = "A key is given by its ARN, not by its ID or an alias."
  }
}

variable "reserved_concurrency" {
  type        = number
  description = "Concurrent executions that are reserved for each rule's Lambda, and at most used by it. Null for no limit."
  default     = null

  validation {
    condition     = var.reserved_concurrency == null ? true : var.reserved_concurrency >= 1 && floor(var.reserved_concurrency) == var.reserved_concurrency
    error_message = "The reserved concurrency is a whole number from 1."
  }
}

variable "log_retention_days" {
  type        = number
  description = "Days that the Lambdas' logs are kept."
  default     = 90
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "CloudWatch keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 days."
  }
}

variable "findings_retention_days" {
  type        = number
  description = "Days that batches of findings are kept."
  default     = 30
  nullable    = false

  validation {
    condition     = var.findings_retention_days >= 1 && floor(var.findings_retention_days) == var.findings_retention_days
    error_message = "Findings are kept for a whole number of days from 1."
  }
}

variable "record_retention_days" {
  type        = number
  description = "Days that plans and reports are kept. What is gone cannot be undone from."
  default     = 365
  nullable    = false

  validation {
    condition     = var.record_retention_days >= 1 && floor(var.record_retention_days) == var.record_retention_days
    error_message = "Records are kept for a whole number of days from 1."
  }
}

variable "alarm_actions" {
  type        = set(string)
  description = "ARNs of what the failure alarm notifies, such as an SNS topic."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.alarm_actions : can(regex("^arn:[a-z-]+:[a-z0-9-]+:[a-z0-9-]*:[0-9]{0,12}:.+$", arn))])
    error_message = "An alarm action is given by an ARN."
  }
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
