# What the rules may do. Of any type, because Terraform silently drops a key that a type does not name, so that a typo would
# change what the policy says; the catalog module lists the keys. What is left out, the module typed-policy fills in.

variable "policy" {
  type        = any
  description = "What the rules may do: modes, settings, exemptions and limits. Stored as policy.json. By default every rule only plans and changes nothing."
  default     = {}
  nullable    = false

  validation {
    condition     = can(keys(var.policy))
    error_message = "The policy must be an object."
  }

  validation {
    condition     = length(setsubtract(try(keys(var.policy), []), module.catalog.policy_keys.policy)) == 0
    error_message = "Unknown in the policy: ${join(", ", setsubtract(try(keys(var.policy), []), module.catalog.policy_keys.policy))} (known there: ${join(", ", module.catalog.policy_keys.policy)})."
  }

  validation {
    condition = alltrue(flatten([
      for place in ["limits", "fight", "scope", "rescan"] : [
        for key in try(keys(var.policy[place]), []) : contains(module.catalog.policy_keys[place], key)
      ]
    ]))
    error_message = "Unknown in the policy: ${join("; ", flatten([
      for place in ["limits", "fight", "scope", "rescan"] : [
        for key in try(keys(var.policy[place]), []) :
        "${place}.${key} (known there: ${join(", ", module.catalog.policy_keys[place])})"
        if !contains(module.catalog.policy_keys[place], key)
      ]
    ]))}."
  }

  validation {
    condition = alltrue(flatten([
      for place in ["rules", "accounts", "overrides", "exemptions", "change_windows", "freezes"] : try([
        for entry in var.policy[place] : [for key in try(keys(entry), []) : contains(module.catalog.policy_keys[place], key)]
      ], [])
    ]))
    error_message = "Unknown in the policy: ${join("; ", flatten([
      for place in ["rules", "accounts", "overrides", "exemptions", "change_windows", "freezes"] : try([
        for name, entry in var.policy[place] : [
          for key in try(keys(entry), []) :
          "${place}.${name}.${key} (known there: ${join(", ", module.catalog.policy_keys[place])})"
          if !contains(module.catalog.policy_keys[place], key)
        ]
      ], [])
    ]))}."
  }

  # The module refuses a rule that does not exist
  validation {
    condition = alltrue(flatten(try([
      for id, rule in var.policy.rules : [
        for name in try(keys(rule.settings), []) : contains(keys(lookup(module.catalog.policy_settings, id, { (name) = "" })), name)
      ]
    ], [])))
    error_message = format("Unknown in the policy: %s.", join("; ", flatten(try([
      for id, rule in var.policy.rules : [
        for name in try(keys(rule.settings), []) :
        "rules.${id}.settings.${name} (known there: ${coalesce(join(", ", keys(module.catalog.policy_settings[id])), "none")})"
        if !contains(keys(lookup(module.catalog.policy_settings, id, { (name) = "" })), name)
      ]
    ], []))))
  }

  validation {
    condition = alltrue(flatten(try([
      for id, rule in var.policy.rules : [
        for name, value in try(rule.settings, {}) : [
          for text in try([for key, of in value : "${key} = ${of}"], value == null ? [] : [value]) :
          can(regex("^(${try(module.catalog.policy_settings[id][name], ".*")})$", text))
        ]
      ]
    ], [])))
    error_message = format("Unknown in the policy: %s.", join("; ", flatten(try([
      for id, rule in var.policy.rules : [
        for name, value in try(rule.settings, {}) : [
          for text in try([for key, of in value : "${key} = ${of}"], value == null ? [] : [value]) :
          "rules.${id}.settings.${name} = ${jsonencode(text)} (known there: ${module.catalog.policy_settings[id][name]})"
          if !can(regex("^(${try(module.catalog.policy_settings[id][name], ".*")})$", text))
        ]
      ]
    ], []))))
  }

  validation {
    condition = alltrue(flatten(try([
      for id, rule in var.policy.rules : [
        for name, value in try(rule.settings, {}) : [
          for text in try([for key, of in value : "${key} = ${of}"], value == null ? [] : [value]) :
          !can(regex(module.catalog.policy_settings_refused[id][name], text))
        ]
      ]
    ], [])))
    error_message = format("Refused in the policy: %s.", join("; ", flatten(try([
      for id, rule in var.policy.rules : [
        for name, value in try(rule.settings, {}) : [
          for text in try([for key, of in value : "${key} = ${of}"], value == null ? [] : [value]) :
          "rules.${id}.settings.${name} = ${jsonencode(text)} (it must not have ${module.catalog.policy_settings_refused[id][name]} in it)"
          if can(regex(module.catalog.policy_settings_refused[id][name], text))
        ]
      ]
    ], []))))
  }

  validation {
    condition     = coalesce(try(var.policy.schema, null), 1) == 1
    error_message = "The schema of the policy must be 1."
  }

  validation {
    condition     = try(var.policy.scope.organization, null) == null ? true : can(regex("^o-[a-z0-9]{10,32}$", var.policy.scope.organization))
    error_message = "The organization of the scope must be an ID, such as o-a1b2c3d4e5."
  }

  # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-resourceorgpaths
  validation {
    condition = alltrue([
      for path in try([for path in var.policy.scope.organizational_units : path], []) :
      can(regex("^(o-[a-z0-9]{10,32}/r-[0-9a-z]{4,32}(/ou-[0-9a-z]{4,32}-[a-z0-9]{8,32})*/[*]?|ou-[0-9a-z]{4,32}-[a-z0-9]{8,32})$", path))
    ])
    error_message = "A unit of the scope must be an ID, such as ou-ab12-11111111, or a path from the organization down that ends in / or, with all units below it, in /*, such as o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*."
  }

  validation {
    condition     = try(var.policy.organization, null) == null
    error_message = "The module itself writes policy.organization: set the variable `organization` instead."
  }

  validation {
    condition     = alltrue([for account in try([for account in var.policy.scope.accounts : account], []) : can(regex("^[0-9]{12}$", account))])
    error_message = "An account of the scope must be an ID of 12 digits, in quotes."
  }

  validation {
    condition = alltrue([
      for mode in concat(
        [try(var.policy.mode, null)],
        try([for rule in var.policy.rules : try(rule.mode, null)], []),
        try([for override in var.policy.overrides : try(override.mode, null)], []),
      ) :
      mode == null ? true : contains(["off", "plan", "approve", "apply"], mode)
    ])
    error_message = "A mode must be \"off\", \"plan\", \"approve\" or \"apply\"."
  }

  validation {
    condition = length(setsubtract(
      concat(try(keys(var.policy.rules), []), flatten([for of in try(var.policy.overrides, []) : try([for name in of.rules : name], [])]), flatten([for place in ["exemptions", "change_windows", "freezes"] : [for of in try(var.policy[place], []) : try([for name in of.rules : name], [])]])),
      keys(var.rules),
    )) == 0
    error_message = "The policy names rules that are not enabled: ${join(", ", setsubtract(
      concat(try(keys(var.policy.rules), []), flatten([for of in try(var.policy.overrides, []) : try([for name in of.rules : name], [])]), flatten([for place in ["exemptions", "change_windows", "freezes"] : [for of in try(var.policy[place], []) : try([for name in of.rules : name], [])]])),
      keys(var.rules),
    ))}. The enabled rules are ${join(", ", keys(var.rules))}."
  }

  validation {
    condition = alltrue([
      for account in concat(try(keys(var.policy.accounts), []), flatten([for of in try(var.policy.overrides, []) : try([for name in of.accounts : name], [])]), flatten([for place in ["exemptions", "change_windows", "freezes"] : [for of in try(var.policy[place], []) : try([for name in of.accounts : name], [])]])) :
      can(regex("^[0-9]{12}$", account))
    ])
    error_message = "An account must be an ID of 12 digits, in quotes."
  }

  validation {
    condition     = alltrue([for region in flatten([for of in try(var.policy.exemptions, []) : try([for name in of.regions : name], [])]) : region == "global" || can(regex("^[a-z]{2,}(-[a-z]+)+-[0-9]+$", region))])
    error_message = "A region must be a code, such as eu-west-1, or global for resources that have none."
  }

  validation {
    condition = alltrue([
      for override in try([for override in var.policy.overrides : override], []) :
      anytrue([for where in ["rules", "accounts", "organizational_units", "account_tags"] : try(length(override[where]) > 0, false)])
    ])
    error_message = "An override must say where it applies: rules, accounts, organizational_units or account_tags."
  }

  validation {
    condition = alltrue([
      for override in try([for override in var.policy.overrides : override], []) : try(override.mode, null) != null || try(override.grace_days, null) != null
    ])
    error_message = "An override must give a mode, grace_days or both."
  }

  validation {
    condition = alltrue([
      for days in concat(try([for rule in var.policy.rules : try(rule.grace_days, null)], []), try([for override in var.policy.overrides : try(override.grace_days, null)], [])) :
      days == null ? true : try(days >= 0 && days <= 365 && floor(days) == days, false)
    ])
    error_message = "grace_days must be a whole number from 0 to 365."
  }

  validation {
    condition     = try(var.policy.owner_tags, null) == null ? true : can([for key in var.policy.owner_tags : regex("[^ ]", key)]) && try(length(var.policy.owner_tags) <= 10, false)
    error_message = "owner_tags must be a list of at most 10 keys of tags."
  }

  validation {
    condition = alltrue(flatten([
      for window in try([for window in var.policy.change_windows : window], []) : [
        [for day in try([for day in window.days : day], []) : contains(["mon", "tue", "wed", "thu", "fri", "sat", "sun"], day)],
        can(regex("^([01][0-9]|2[0-3]):[0-5][0-9]$", window.from)),
        can(regex("^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", window.to)),
        try(window.from != window.to, false),
      ]
    ]))
    error_message = "A change window must begin and end at times such as 09:00 that are not the same, on days such as mon."
  }

  # Which time zones there are, Terraform does not know: `autoremediate policy check` does
  validation {
    condition = alltrue([
      for zone in flatten([for place in ["change_windows", "freezes"] : try([for of in var.policy[place] : try(of.time_zone, null)], [])]) :
      zone == null ? true : can(regex("^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$", zone))
    ])
    error_message = "A time zone must be an IANA name, such as Europe/Berlin or UTC."
  }

  validation {
    condition = alltrue([
      for freeze in try([for freeze in var.policy.freezes : freeze], []) :
      try(timecmp(
        length(freeze.from) == 10 ? "${freeze.from}T00:00:00Z" : "${freeze.from}:00Z",
        length(freeze.to) == 10 ? "${freeze.to}T23:59:59Z" : "${freeze.to}:00Z",
      ) < 0 && trimspace(freeze.reason) != "", false)
    ])
    error_message = "A freeze must have a reason, and begin before it ends: on days such as 2026-12-20, or at times such as 2026-12-20T18:00."
  }

  validation {
    condition     = alltrue([for place in ["change_windows", "freezes"] : try(length(var.policy[place]), 0) <= 100])
    error_message = "There can be at most 100 change windows and 100 freezes."
  }

  validation {
    condition = try(var.policy.rescan, null) == null ? true : try(
      length(var.policy.rescan.netskope_policies) >= 1 && length(var.policy.rescan.netskope_policies) <= 10
      && alltrue([for name in var.policy.rescan.netskope_policies : can(regex("^[^\\s\\pC]([^\\pC]{0,126}[^\\s\\pC])?$", name))]),
      false,
    )
    error_message = "A rescan must name 1 to 10 of Netskope's policies, each with 1 to 128 characters and no space at either end."
  }

  validation {
    condition     = try(var.policy.rescan.interval_hours, null) == null ? true : try(var.policy.rescan.interval_hours >= 1 && var.policy.rescan.interval_hours <= 168 && floor(var.policy.rescan.interval_hours) == var.policy.rescan.interval_hours, false)
    error_message = "rescan.interval_hours must be a whole number from 1 to 168, a week."
  }

  validation {
    condition = alltrue([
      for exemption in try([for exemption in var.policy.exemptions : exemption], []) :
      anytrue([for what in ["rules", "accounts", "regions", "resources", "tags"] : try(length(exemption[what]) > 0, false)])
    ])
    error_message = "An exemption must say what it exempts: rules, accounts, regions, resources or tags."
  }

  validation {
    condition = alltrue([
      for exemption in try([for exemption in var.policy.exemptions : exemption], []) :
      try(trimspace(exemption.reason) != "" && trimspace(exemption.owner) != "", false)
    ])
    error_message = "An exemption must have a reason and an owner."
  }

  # formatdate knows how long each month is, and accepts only a whole timestamp
  validation {
    condition = alltrue([
      for date in try([for exemption in var.policy.exemptions : try(exemption.expires, null)], []) : date == null ? true : can(formatdate("YYYY", "${date}T00:00:00Z"))
    ])
    error_message = "An exemption must expire on a date, such as 2027-01-31."
  }

  validation {
    condition = alltrue([
      for number in concat(try(values(var.policy.limits), []), [try(var.policy.approval_hours, null)], try(values(var.policy.fight), [])) :
      number == null ? true : try(number >= 1 && floor(number) == number, false)
    ])
    error_message = "All numbers in limits and fight, and approval_hours, must be whole numbers, 1 or more."
  }

  validation {
    condition = alltrue([
      for number in try(values(var.policy.limits), []) : number == null ? true : try(number <= 4294967295, false)
    ])
    error_message = "No number in limits may be more than 4294967295."
  }

  validation {
    condition     = try(var.policy.approval_hours, null) == null ? true : try(var.policy.approval_hours <= 8760, false)
    error_message = "approval_hours must be at most 8760, a year."
  }

  validation {
    condition     = try(var.policy.fight.window_days, null) == null ? true : try(var.policy.fight.window_days <= 365, false)
    error_message = "fight.window_days must be at most 365."
  }

  validation {
    condition     = try(var.policy.fight.fixes, null) == null ? true : try(var.policy.fight.fixes <= 50, false)
    error_message = "fight.fixes must be at most 50, as many as a card remembers."
  }

  validation {
    condition     = try(var.policy.limits.failure_percent, null) == null ? true : try(var.policy.limits.failure_percent <= 100, false)
    error_message = "failure_percent must be at most 100."
  }
}
