output "rules" {
  description = "The enabled rules: the manifest (rule.json, decoded) by rule ID."
  value       = { for id, manifest in local.manifests : id => manifest if var.rules == null ? true : contains(var.rules, id) }

  precondition {
    condition     = alltrue([for id, manifest in local.manifests : manifest.id == id])
    error_message = "The id of a rule.json must be the name of its folder: ${join(", ", [for id, manifest in local.manifests : "${id} says ${manifest.id}" if manifest.id != id])}."
  }

  # The longest name made from an ID is a role, <prefix of 16>-<id>-<region of 15>, of 64 characters; "poller",
  # "scheduler" and "doctor" are names of the deployment's own.
  precondition {
    condition = alltrue([
      for id in local.ids : can(regex("^[a-z][a-z0-9-]{0,30}$", id)) && !contains(["poller", "scheduler", "doctor"], id)
    ])
    error_message = "A rule ID has at most 31 lower-case letters, digits and hyphens, starts with a letter, and is not poller, scheduler or doctor."
  }
}

output "ids" {
  description = "IDs of all rules, enabled or not."
  value       = local.ids
}

output "policy_keys" {
  description = "The keys that a policy may have: under `policy` its own, and those of one entry of `rules`, `accounts`, `overrides`, `exemptions`, `limits` and `fight`."
  value       = local.policy_keys
}

output "policy_settings" {
  description = "The rule's settings by rule ID: by its name, the pattern that a setting's value has."
  value       = local.policy_settings
}

output "guards_that_hold" {
  description = "By rule ID: the names of the settings that, unless the policy says otherwise, hold a fix until a person approves it."
  value       = { for id, names in local.guards_that_hold : id => names if length(names) > 0 }
}
