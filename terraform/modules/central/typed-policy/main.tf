# The policy with everything that it leaves out. A type with defaults does that for a variable alone, and the caller's has none,
# so as not to drop a key that is misspelt. It has no settings of rules: their values are of several types.

terraform {
  required_version = ">= 1.11"
}

variable "policy" {
  type = object({
    schema = optional(number, 1)
    paused = optional(bool)
    scope = optional(object({
      organization         = optional(string)
      organizational_units = optional(list(string), [])
      accounts             = optional(list(string), [])
    }), {})
    mode = optional(string, "plan")
    rules = optional(map(object({
      mode       = optional(string)
      grace_days = optional(number)
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
      mode                 = optional(string)
      grace_days           = optional(number)
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
      changes_per_day             = optional(number)
      changes_per_run             = optional(number)
      changes_per_rule            = optional(number)
      changes_per_account         = optional(number)
      changes_per_account_per_day = optional(number)
      failure_percent             = optional(number)
      failure_minimum             = optional(number)
    }), {})
    approval_hours = optional(number)
    fight = optional(object({
      window_days = optional(number)
      fixes       = optional(number)
    }), {})
    owner_tags = optional(list(string), [])
    change_windows = optional(list(object({
      days                 = optional(list(string), [])
      from                 = string
      to                   = string
      time_zone            = optional(string)
      rules                = optional(list(string), [])
      accounts             = optional(list(string), [])
      organizational_units = optional(list(string), [])
      account_tags         = optional(map(string), {})
    })), [])
    freezes = optional(list(object({
      from                 = string
      to                   = string
      time_zone            = optional(string)
      reason               = string
      rules                = optional(list(string), [])
      accounts             = optional(list(string), [])
      organizational_units = optional(list(string), [])
      account_tags         = optional(map(string), {})
    })), [])
    rescan = optional(object({
      netskope_policies = list(string)
      interval_hours    = optional(number)
    }))
  })
  description = "A policy of which every key is known."
  nullable    = false
}

output "policy" {
  description = "The same, with null, an empty list or an empty map for what it leaves out."
  value       = var.policy
}
