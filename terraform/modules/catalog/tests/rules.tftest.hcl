# The manifests in crates/rules are the truth: these tests hold for whatever rules there are.

run "all_rules_by_default" {
  command = plan

  assert {
    condition     = length(output.ids) > 0
    error_message = "There are no rules."
  }

  assert {
    condition     = toset(keys(output.rules)) == toset([for file in fileset("${path.module}/../../../crates/rules", "*/rule.json") : dirname(file)])
    error_message = "The rules are not those of crates/rules: ${join(", ", keys(output.rules))}."
  }

  assert {
    condition = alltrue([
      for id, rule in output.rules : rule == jsondecode(file("${path.module}/../../../crates/rules/${id}/rule.json"))
    ])
    error_message = "A rule is not what its manifest says."
  }
}

run "a_subset" {
  command = plan

  variables {
    rules = ["s3-public-bucket"]
  }

  assert {
    condition     = keys(output.rules) == ["s3-public-bucket"]
    error_message = "The rules are ${join(", ", keys(output.rules))}."
  }
}

run "an_unknown_rule" {
  command = plan

  variables {
    rules = ["s3-public-bucket", "s3-public-bukket"]
  }

  expect_failures = [var.rules]
}

run "no_rules" {
  command = plan

  variables {
    rules = []
  }

  expect_failures = [var.rules]
}
