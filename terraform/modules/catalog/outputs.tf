output "rules" {
  description = "The enabled rules by rule ID, each with its manifest (rule.json, decoded)."
  value       = { for id, manifest in local.manifests : id => manifest if var.rules == null ? true : contains(var.rules, id) }

  precondition {
    condition     = alltrue([for problems in values(local.further_problems) : length(problems) == 0])
    error_message = "Of further_rules: ${join("; ", [for path, problems in local.further_problems : "${path}: ${join(", ", problems)}" if length(problems) > 0])}."
  }

  precondition {
    condition     = length(setintersection(keys(local.own), keys(local.further))) == 0 && alltrue([for paths in values(local.further_by_id) : length(paths) == 1])
    error_message = "A rule's ID must be its own: ${join("; ", concat([for id in setintersection(keys(local.own), keys(local.further)) : "${id} is a rule of this repository"], [for id, paths in local.further_by_id : "${id} is in ${join(" and ", paths)}" if length(paths) > 1]))}."
  }

  precondition {
    condition     = alltrue([for id, manifest in local.own : manifest.id == id])
    error_message = "The id in a rule.json must be the name of its folder: ${join(", ", [for id, manifest in local.own : "${id} says ${manifest.id}" if manifest.id != id])}."
  }

  # The longest name made from an ID is a role's, <prefix of 16>-<id>-<region of 15>, which may have 64 characters. The
  # deployment itself uses the names "poller", "scheduler" and "doctor".
  precondition {
    condition = alltrue([
      for id in local.ids : can(regex("^[a-z][a-z0-9-]{0,30}$", id)) && !contains(["poller", "scheduler", "doctor"], id) &&
      !can(regex("-(undo|reader|service)$", id))
    ])
    error_message = "A rule ID must start with a letter, have at most 31 lower-case letters, digits and hyphens, not be poller, scheduler or doctor, and not end in -undo, -reader or -service."
  }
}

output "ids" {
  description = "IDs of all rules, enabled or not."
  value       = local.ids
}

output "built_in" {
  description = "IDs of the rules of this repository, whose controls the poller has in it."
  value       = toset(keys(local.own))
}

output "policy_keys" {
  description = "The keys that a policy may have: its own under `policy`, and those of one entry under `rules`, `accounts`, `overrides`, `exemptions`, `limits`, `fight`, `scope`, `change_windows`, `freezes` and `rescan`."
  value       = local.policy_keys
}

output "policy_settings" {
  description = "The settings of each rule, by rule ID: for each name, the pattern that its value must match."
  value       = local.policy_settings
}

output "policy_settings_refused" {
  description = "The settings of each rule, by rule ID, of which some values are refused although they match: for each name, the pattern that must not be found in its value."
  value       = { for id, patterns in local.policy_settings_refused : id => patterns if length(patterns) > 0 }
}

output "guards_that_hold" {
  description = "Names of the guard settings, by rule ID, that hold a fix until a person approves it unless the policy says otherwise."
  value       = { for id, names in local.guards_that_hold : id => names if length(names) > 0 }
}
