# A warning only: a guard that holds is a choice. What it holds waits for a person, so whoever sets a rule to apply should
# know which of its fixes do not go by themselves.

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
      "In mode apply, a guard holds fixes that would cut a service off until a person approves them:",
      join("; ", [for id in local.rules_that_a_guard_holds : "${id} (${join(", ", module.catalog.guards_that_hold[id])})"]),
      "Set each of these settings in the policy: \"hold\" to keep it so, \"warn\" to have them fixed.",
    ])
  }
}
