# What the operator allows. Every rule's Lambda reads it. The file names every enabled rule with its mode and leaves out
# whatever is null or empty, so that a person can read it.

module "catalog" {
  source = "../catalog"
}

module "typed_policy" {
  source = "./typed-policy"

  policy = var.policy
}

locals {
  policy = module.typed_policy.policy

  modes = { for id in keys(var.rules) : id => coalesce(try(local.policy.rules[id].mode, null), local.policy.mode) }

  # A rule that is off can still be switched on somewhere by an override
  polled = {
    for id, mode in local.modes : id => mode != "off" || anytrue([
      for override in local.policy.overrides : coalesce(override.mode, "off") != "off" && (length(override.rules) == 0 || contains(override.rules, id))
    ])
  }

  policy_rules = {
    for id, mode in local.modes : id => merge({ mode = mode }, {
      for key in ["settings"] : key => {
        for name, value in var.policy.rules[id].settings : name => try(tonumber(value), tobool(value), value) if value != null
      } if try(length(var.policy.rules[id].settings), 0) > 0
      }, {
      for key, value in { grace_days = try(local.policy.rules[id].grace_days, null) } : key => value if value != null
    })
  }

  policy_parts = {
    for key, part in {
      paused         = local.policy.paused
      scope          = local.scope
      organization   = var.organization == null ? null : { max_age_days = var.organization.max_age_days }
      accounts       = { for id, account in local.policy.accounts : id => { for key, value in account : key => value if length(value) > 0 } }
      overrides      = [for override in local.policy.overrides : { for key, value in override : key => value if value != null && try(length(value), 1) > 0 }]
      exemptions     = [for exemption in local.policy.exemptions : { for key, value in exemption : key => value if try(length(value), 0) > 0 }]
      limits         = { for key, value in local.policy.limits : key => value if value != null }
      approval_hours = local.policy.approval_hours
      fight          = { for key, value in local.policy.fight : key => value if value != null }
      owner_tags     = local.policy.owner_tags
      change_windows = [for window in local.policy.change_windows : { for key, value in window : key => value if try(length(value), 0) > 0 }]
      rescan         = local.policy.rescan == null ? null : { for key, value in local.policy.rescan : key => value if value != null }
      freezes        = [for freeze in local.policy.freezes : { for key, value in freeze : key => value if try(length(value), 0) > 0 }]
    } : key => part if part != null && try(length(part), 1) > 0
  }
}

resource "aws_s3_object" "policy" {
  bucket       = aws_s3_bucket.this.id
  key          = local.objects.policy.key
  content_type = "application/json"
  content      = local.policy_document

  # An object can have only 10 tags
  override_provider {
    default_tags {
      tags = {}
    }
  }

  # So that the first version has an ID and is encrypted. The bucket's policy says whether whoever applies this may write
  # the policy; and it is still there when Terraform destroys, which so ends here unless force_destroy is set.
  depends_on = [
    aws_s3_bucket_policy.this,
    aws_s3_bucket_versioning.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
    aws_s3_bucket_ownership_controls.this,
  ]
}

# Written after it, so that whoever sees the two differ while an apply is under way sees the new policy in effect
resource "aws_s3_object" "deployed_policy" {
  bucket       = aws_s3_bucket.this.id
  key          = local.objects.deployed.key
  content_type = "application/json"
  content      = local.policy_document

  # An object can have only 10 tags
  override_provider {
    default_tags {
      tags = {}
    }
  }

  depends_on = [aws_s3_object.policy]
}
