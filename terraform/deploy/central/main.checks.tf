# Only a warning: a guard that holds is a choice. The fixes that it holds wait for a person, so whoever sets a rule to
# apply should know which of its fixes are not made automatically.

locals {
  rules_that_a_guard_holds = sort([
    for id, guards in module.catalog.guards_that_hold : id
    if contains(keys(module.catalog.rules), id)
    && try(coalesce(try(var.policy.rules[id].mode, null), try(var.policy.mode, null)), "plan") == "apply"
    && anytrue([for guard in guards : try(var.policy.rules[id].settings[guard], null) == null])
  ])
}

check "no_rule_is_held_by_a_guard_unasked" {
  assert {
    condition = length(local.rules_that_a_guard_holds) == 0
    error_message = join(" ", [
      "In mode apply, guards of these rules hold fixes that would cut off a service until a person approves them:",
      join("; ", [for id in local.rules_that_a_guard_holds : "${id} (${join(", ", module.catalog.guards_that_hold[id])})"]),
      "Set each of these settings in the policy: \"hold\" to keep this behavior, \"warn\" to have such resources fixed.",
    ])
  }
}
