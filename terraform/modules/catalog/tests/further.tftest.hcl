# Manifests that are outside of this repository: a rule of one's own is one like the others, and what is wrong with a
# manifest is told.

run "a_rule_of_ones_own" {
  command = plan

  variables {
    further_rules = ["tests/further/open-door.json"]
    rules         = ["open-door", "s3-public-bucket"]
  }

  assert {
    condition     = keys(output.rules) == ["open-door", "s3-public-bucket"] && contains(output.ids, "open-door")
    error_message = "The rules are ${join(", ", keys(output.rules))}."
  }

  assert {
    condition     = !contains(output.built_in, "open-door") && contains(output.built_in, "s3-public-bucket")
    error_message = "Built in are ${join(", ", output.built_in)}."
  }

  assert {
    condition     = output.rules.open-door.controls[0].rule_names == ["Ensure every door is closed."] && output.rules.open-door.runbook == null
    error_message = "The manifest is ${jsonencode(output.rules.open-door)}."
  }
}

run "the_same_id_twice" {
  command = plan

  variables {
    further_rules = ["tests/further/open-door.json", "tests/further/same-id.json"]
  }

  expect_failures = [output.rules]
}

run "refused_of_this_repository" {
  command = plan

  variables {
    further_rules = ["tests/further/of-this-repository.json"]
  }

  expect_failures = [output.rules]
}

run "refused_incomplete" {
  command = plan

  variables {
    further_rules = ["tests/further/incomplete.json"]
  }

  expect_failures = [output.rules]
}

run "refused_unknown_key" {
  command = plan

  variables {
    further_rules = ["tests/further/unknown-key.json"]
  }

  expect_failures = [output.rules]
}

run "refused_wildcard" {
  command = plan

  variables {
    further_rules = ["tests/further/wildcard.json"]
  }

  expect_failures = [output.rules]
}

run "refused_no_controls" {
  command = plan

  variables {
    further_rules = ["tests/further/no-controls.json"]
  }

  expect_failures = [output.rules]
}

run "refused_reserved_id" {
  command = plan

  variables {
    further_rules = ["tests/further/reserved-id.json"]
  }

  expect_failures = [output.rules]
}

run "refused_broken" {
  command = plan

  variables {
    further_rules = ["tests/further/broken.json"]
  }

  expect_failures = [output.rules]
}

run "refused_missing" {
  command = plan

  variables {
    further_rules = ["tests/further/missing.json"]
  }

  expect_failures = [output.rules]
}
