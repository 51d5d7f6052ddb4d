# Rules of one's own, whose manifests are outside of this repository. What is wrong with one is told where the rules are
# returned (outputs.tf): until then, what cannot be read counts as an empty manifest.

locals {
  further_files = { for path in var.further_rules : path => try(jsondecode(file(path)), null) }

  # What a manifest may leave out, as Terraform needs it
  further_defaults = { arns = [], directly = [], extra = [], service_role = null, runbook = null }
  further_by_id    = { for path, manifest in local.further_files : try(tostring(manifest.id), path) => path... }
  further = {
    for id, paths in local.further_by_id : id => merge(local.further_defaults, local.further_files[paths[0]]) if can(keys(local.further_files[paths[0]]))
  }

  further_keys = {
    required = ["id", "title", "service", "scope", "controls", "read", "write", "undo", "docs"]
    known    = ["id", "title", "service", "scope", "controls", "read", "write", "undo", "docs", "arns", "directly", "extra", "service_role", "runbook"]
  }

  # What is wrong with each file, in words
  further_problems = {
    for path, manifest in local.further_files : path => compact(concat(
      [
        fileexists(path) ? "" : "there is no such file",
        try(length(file(path)) <= 65536, true) ? "" : "it has more than 65,536 characters",
        !fileexists(path) || can(keys(manifest)) ? "" : "it is not a JSON object",
      ],
      !can(keys(manifest)) ? [] : concat(
        [for key in setsubtract(local.further_keys.required, keys(manifest)) : "it has no ${key}"],
        [for key in setsubtract(keys(manifest), local.further_keys.known) : "its key ${key} is unknown"],
        [
          can(regex("^[^[:cntrl:]]{1,200}$", manifest.title)) ? "" : "its title must have 1 to 200 characters, in one line",
          contains(["regional", "located", "global"], try(manifest.scope, "")) ? "" : "its scope must be regional, located or global",
          try(length(manifest.controls) >= 1 && length(manifest.controls) <= 20, false) ? "" : "it must have 1 to 20 controls",
        ],
        [
          for index, control in try(tolist(manifest.controls), manifest.controls, []) : "controls[${index}] must have 1 to 10 rule_names and a short_name, each with 1 to 512 characters in one line"
          if !try(
            length(control.rule_names) >= 1 && length(control.rule_names) <= 10 &&
            alltrue([for name in concat(control.rule_names, [control.short_name]) : can(regex("^[^[:cntrl:]]{1,512}$", name))]),
            false,
          )
        ],
        flatten([
          for kind in ["read", "write", "directly", "extra", "undo"] : [
            for index, permission in try(manifest[kind], []) : "${kind}[${index}] must have an action such as s3:GetObject, without wildcards, and as its resource an ARN or *"
            if !can(regex("^[a-z0-9-]+:[A-Za-z0-9]+$", permission.action)) || !can(regex("^([*]|arn:[^[:space:]]+)$", permission.resource)) || try(length(permission.resource) > 2048, true)
          ]
        ]),
        [
          for kind in ["read", "write", "undo"] : "its ${kind} must have 1 to 100 permissions"
          if !try(length(manifest[kind]) >= 1 && length(manifest[kind]) <= 100, false)
        ],
      ),
    ))
  }
}
