# Which of Netskope's lists are read, and how fast.

variable "netskope_profiles" {
  type        = set(string)
  description = "Names of the tenant's profiles, letter by letter, such as that of a benchmark: only violations of one of them are fixed. Empty means of any profile."
  default     = []
  nullable    = false
}

variable "netskope_policies" {
  type        = set(string)
  description = "Names of the tenant's policies, letter by letter: only violations of one of them are fixed. Empty means of any policy."
  default     = []
  nullable    = false
}

variable "netskope_deployments" {
  type = object({
    count = optional(number, 1)
    this  = optional(number, 1)
  })
  description = "How many deployments poll the same tenant, such as one in each region, and which of them this is, counted from 1. Netskope takes four requests a second from a tenant: where there are several deployments, each sends its requests at times of its own, by the clock, so that all of them together keep to that. Give each the same count and a `this` of its own."
  default     = {}
  nullable    = false
}
