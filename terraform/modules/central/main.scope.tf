# Whose accounts the rules may reach at all: the policy's scope, as conditions on the AssumeRole of every rule's role. What
# the Lambdas make of policy.json themselves, IAM holds them to, whatever a batch or the file says.
#
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-resource-properties
# In an Allow, a key that the request does not have is a no: an account without an organization is in none.

locals {
  scope = { for key, value in local.policy.scope : key => value if try(length(value), 0) > 0 }

  # A unit's ID is that of one organization alone
  scope_paths = sort([
    for unit in try(local.scope.organizational_units, []) :
    startswith(unit, "ou-") ? "${try(local.scope.organization, "o-*")}/*/${unit}/*" : unit
  ])

  scope_conditions = {
    StringEquals = {
      for key, value in {
        "aws:ResourceOrgID"   = try(local.scope.organization, null)
        "aws:ResourceAccount" = try(sort(local.scope.accounts), null)
      } : key => value if value != null
    }
    # A key of several values
    "ForAnyValue:StringLike" = {
      for key, value in { "aws:ResourceOrgPaths" = length(local.scope_paths) > 0 ? local.scope_paths : null } : key => value if value != null
    }
  }
}

check "a_scope_is_set" {
  assert {
    condition     = length(local.scope) > 0
    error_message = "The policy has no scope, so a batch that names any account where somebody has made roles of these names is acted on. Set policy.scope: the ID of your organization, paths of its units, or a list of accounts."
  }
}
