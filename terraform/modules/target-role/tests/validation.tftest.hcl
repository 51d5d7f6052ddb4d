# What each variable refuses. Every variable has its list of bad values; the run refused_<n> gives each the n-th of its
# own, and every one of them must be refused.

mock_provider "aws" {
  source = "../../tests/mocks"
}

override_data {
  target = data.aws_caller_identity.this
  values = { account_id = "222222222222" }
}

variables {
  central_account_id = "111111111111"
  external_id        = "the-external-id"
  rules = {
    a-rule = {
      read  = [{ action = "s3:GetBucketPublicAccessBlock", resource = "arn:{partition}:s3:::*" }]
      write = []
      extra = []
      undo  = []
    }
  }
}

run "no_rules" {
  command = plan

  variables {
    rules = {}
  }

  expect_failures = [var.rules]
}

run "rule_ids_that_a_pattern_cannot_tell_apart" {
  command = plan

  variables {
    rules = { for id in ["a-rule", "a-rule-of-ours"] : id => { read = [], write = [], extra = [], undo = [] } }
  }

  expect_failures = [var.rules]
}

run "rule_ids_that_only_look_alike" {
  command = plan

  variables {
    rules = { for id in ["a-rule", "a-ruler"] : id => { read = [], write = [], extra = [], undo = [] } }
  }
}

run "operator_is_a_user" {
  command = plan

  variables {
    operator_role_arns = ["arn:aws:iam::111111111111:user/someone"]
  }

  expect_failures = [var.operator_role_arns]
}

run "operator_is_an_account" {
  command = plan

  variables {
    operator_role_arns = ["arn:aws:iam::111111111111:root"]
  }

  expect_failures = [var.operator_role_arns]
}

run "operator_is_a_wildcard" {
  command = plan

  variables {
    operator_role_arns = ["arn:aws:iam::111111111111:role/*"]
  }

  expect_failures = [var.operator_role_arns]
}

run "operator_is_of_another_account" {
  command = plan

  variables {
    operator_role_arns = ["arn:aws:iam::333333333333:role/security-engineer"]
  }

  expect_failures = [var.operator_role_arns]
}

run "reader_is_a_user" {
  command = plan

  variables {
    reader_role_arns = ["arn:aws:iam::111111111111:user/someone"]
  }

  expect_failures = [var.reader_role_arns]
}

run "reader_is_a_wildcard" {
  command = plan

  variables {
    reader_role_arns = ["arn:aws:iam::111111111111:role/*"]
  }

  expect_failures = [var.reader_role_arns]
}

run "reader_is_of_another_account" {
  command = plan

  variables {
    reader_role_arns = ["arn:aws:iam::333333333333:role/auditor"]
  }

  expect_failures = [var.reader_role_arns]
}

run "tags_that_differ_in_capitals" {
  command = plan

  variables {
    tags = { owner = "a", Owner = "b" }
  }

  expect_failures = [var.tags]
}

run "a_tag_that_differs_from_a_default_tag_in_capitals" {
  command = plan

  override_data {
    target = data.aws_default_tags.this
    values = { tags = { application = "autoremediate" } }
  }

  variables {
    tags = { Application = "ours" }
  }

  expect_failures = [aws_iam_role.rule]
}

run "a_tag_in_place_of_a_default_tag" {
  command = plan

  override_data {
    target = data.aws_default_tags.this
    values = { tags = { application = "autoremediate" } }
  }

  variables {
    tags = { application = "ours" }
  }
}

run "refused_1" {
  command = plan

  variables {
    central_account_id   = "11111111111"       # too short
    external_id          = "x"                 # too short
    name_prefix          = "abcdefghijklmnopq" # too long
    permissions_boundary = "a boundary"        # a space
    tags                 = { "" = "x" }        # no key
  }

  expect_failures = [
    var.central_account_id,
    var.external_id,
    var.name_prefix,
    var.permissions_boundary,
    var.tags,
  ]
}

run "refused_2" {
  command = plan

  variables {
    central_account_id   = "11111111111a"                            # a letter
    external_id          = replace(format("%01225d", 0), "0", "x")   # too long
    name_prefix          = "Autoremediate"                           # a capital
    permissions_boundary = "arn:aws:iam::111111111111:role/boundary" # a role
    tags                 = { "AWS:owner" = "x" }                     # a reserved key
  }

  expect_failures = [
    var.central_account_id,
    var.external_id,
    var.name_prefix,
    var.permissions_boundary,
    var.tags,
  ]
}

run "refused_3" {
  command = plan

  variables {
    external_id = "an id"                                            # a space
    name_prefix = "1fix"                                             # a digit first
    tags        = { (replace(format("%0129d", 0), "0", "k")) = "x" } # a key too long
  }

  expect_failures = [
    var.external_id,
    var.name_prefix,
    var.tags,
  ]
}

run "refused_4" {
  command = plan

  variables {
    name_prefix = ""                                                 # empty
    tags        = { owner = replace(format("%0257d", 0), "0", "v") } # a value too long
  }

  expect_failures = [
    var.name_prefix,
    var.tags,
  ]
}

run "refused_5" {
  command = plan

  variables {
    tags = { owner = "a;b" } # a character that AWS refuses
  }

  expect_failures = [
    var.tags,
  ]
}

run "accepted" {
  command = plan

  variables {
    external_id          = replace(format("%01224d", 0), "0", ":")
    name_prefix          = "a234567890123456"
    permissions_boundary = "arn:aws:iam::aws:policy/PowerUserAccess"
    operator_role_arns   = ["arn:aws:iam::111111111111:role/a/b+=,.@-_/c"]
    tags                 = { "Zweck:ü" = "a b_.:/=+-@" }
  }
}
