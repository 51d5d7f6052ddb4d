# The keys that a policy may have, read from the schema that is generated from the Rust code. Terraform silently drops a
# key that a type does not name, so callers compare the keys of a policy with these.

locals {
  schema      = jsondecode(file("${path.module}/policy.schema.json"))
  definitions = { for name, definition in local.schema["$defs"] : "#/$defs/${name}" => definition }

  # Where a value may be null, anyOf lists its own schema first; a $ref is replaced by its definition
  rule_places  = { for id, place in local.schema.properties.rules.properties : id => try(place.anyOf[0], place) }
  rule_schemas = { for id, place in local.rule_places : id => try(local.definitions[place["$ref"]], place) }

  settings_places  = { for id, rule in local.rule_schemas : id => try(rule.properties.settings.anyOf[0], rule.properties.settings, {}) }
  settings_schemas = { for id, place in local.settings_places : id => try(local.definitions[place["$ref"]], place) }

  policy_keys = {
    # The central module writes `organization` itself
    policy         = setsubtract(keys(local.schema.properties), ["organization"])
    rules          = keys(local.schema["$defs"].RulePolicy.properties)
    accounts       = keys(local.schema["$defs"].Account.properties)
    overrides      = keys(local.schema["$defs"].Override.properties)
    exemptions     = keys(local.schema["$defs"].Exemption.properties)
    limits         = keys(local.schema["$defs"].Limits.properties)
    fight          = keys(local.schema["$defs"].Fight.properties)
    scope          = try(keys(local.schema["$defs"].Scope.properties), [])
    change_windows = keys(local.schema["$defs"].ChangeWindow.properties)
    freezes        = keys(local.schema["$defs"].Freeze.properties)
    rescan         = keys(local.schema["$defs"].Rescan.properties)
  }

  setting_schemas = {
    for id, settings in local.settings_schemas : id => {
      for name, place in try(settings.properties, {}) : name => try(local.definitions[place["$ref"]], place)
    }
  }

  # The values that a setting may have, as a pattern: those that the schema lists, else those of its own pattern or of its
  # type. Of a map, it is that of each entry, as KEY = VALUE.
  types = { boolean = "true|false", integer = "[1-9][0-9]*", string = ".*" }
  policy_settings = {
    for id, settings in local.setting_schemas : id => {
      for name, schema in settings : name => join("|", try(
        schema.enum,
        schema.oneOf[*].const,
        [trimsuffix(trimprefix(schema.pattern, "^"), "$")],
        ["${trimsuffix(trimprefix(schema.propertyNames.pattern, "^"), "$")} = ${trimsuffix(trimprefix(schema.additionalProperties.pattern, "^"), "$")}"],
        [local.types[schema.type]],
      ))
    }
  }

  # What a value must not be like, as a pattern that is looked for anywhere in it; of a map, in each entry
  policy_settings_refused = {
    for id, settings in local.setting_schemas : id => {
      for name, pattern in {
        for name, schema in settings : name => try(schema.not.pattern, schema.additionalProperties.not.pattern, null)
      } : name => pattern if pattern != null
    }
  }

  # The guards whose default is to hold
  guards_that_hold = {
    for id, settings in local.settings_schemas : id => sort([
      for name, place in try(settings.properties, {}) : name if startswith(name, "guard_") && try(place.default, null) == "hold"
    ])
  }
}
