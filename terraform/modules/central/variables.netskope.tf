# Which of Netskope's lists are read, and how fast.

variable "netskope_profiles" {
  type        = set(string)
  description = "Names of the tenant's profiles, letter by letter, such as that of a benchmark: only violations of one of them are fixed. Empty means of any profile."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.netskope_profiles : can(regex("^[^[:cntrl:]]{1,128}$", name)) && trimspace(name) == name])
    error_message = "The name of a profile has 1 to 128 characters, and no space at either end."
  }
}

variable "netskope_policies" {
  type        = set(string)
  description = "Names of the tenant's policies, letter by letter: only violations of one of them are fixed. Empty means of any policy."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.netskope_policies : can(regex("^[^[:cntrl:]]{1,128}$", name)) && trimspace(name) == name])
    error_message = "The name of a policy has 1 to 128 characters, and no space at either end."
  }

  # A list of each control for each pair, of at least two requests, of which a tenant takes 24 in 5 seconds
  validation {
    condition     = max(1, length(var.netskope_profiles)) * max(1, length(var.netskope_policies)) <= 16
    error_message = "${length(var.netskope_profiles)} profiles and ${length(var.netskope_policies)} policies are ${max(1, length(var.netskope_profiles)) * max(1, length(var.netskope_policies))} lists of each control, and at most 16 are read. Name fewer."
  }

  # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: 4 KB for all of an environment
  validation {
    condition     = length(base64encode(jsonencode([var.netskope_profiles, var.netskope_policies]))) * 3 / 4 <= 2560
    error_message = "The names of the profiles and policies have more than 2,560 bytes together, which the poller's environment has no room for. Name fewer."
  }
}

variable "netskope_deployments" {
  type = object({
    count = optional(number, 1)
    this  = optional(number, 1)
  })
  description = "How many deployments poll the same tenant, such as one in each region, and which of them this is, counted from 1. Netskope takes four requests a second from a tenant: where there are several deployments, each sends its requests at times of its own, by the clock, so that all of them together keep to that. Give each the same count and a `this` of its own."
  default     = {}
  nullable    = false

  validation {
    condition     = var.netskope_deployments.count >= 1 && var.netskope_deployments.count <= 40 && floor(var.netskope_deployments.count) == var.netskope_deployments.count
    error_message = "1 to 40 deployments can poll a tenant, not ${var.netskope_deployments.count}. One deployment can act on many regions: see regions."
  }

  validation {
    condition     = var.netskope_deployments.this >= 1 && var.netskope_deployments.this <= var.netskope_deployments.count && floor(var.netskope_deployments.this) == var.netskope_deployments.this
    error_message = "netskope_deployments.this must be a whole number from 1 to netskope_deployments.count, not ${var.netskope_deployments.this}."
  }
}
