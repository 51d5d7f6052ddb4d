variable "further_rules" {
  type        = set(string)
  description = "Paths of the manifests (rule.json) of rules of your own, which are outside of this repository."
  default     = []
  nullable    = false
}

variable "rules" {
  type        = set(string)
  description = "IDs of the rules to enable, such as `s3-public-bucket`. Null enables all rules."
  default     = null

  validation {
    condition     = var.rules == null ? true : length(var.rules) > 0
    error_message = "The set of rules must not be empty. Null enables all rules, and mode \"off\" stops them."
  }

  validation {
    condition     = var.rules == null ? true : length(setsubtract(var.rules, local.ids)) == 0
    error_message = "Unknown rules: ${join(", ", var.rules == null ? toset([]) : setsubtract(var.rules, local.ids))}. The rules are ${join(", ", local.ids)}."
  }
}
