# Which of Netskope's lists are read.

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
