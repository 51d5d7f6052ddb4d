mock_provider "aws" {
  source = "../../tests/mocks"
}

mock_provider "aws" {
  alias  = "caller"
  source = "../../tests/mocks"
}

override_data {
  target = data.aws_caller_identity.target
  values = { account_id = "222222222222" }
}

override_data {
  target = module.target_role.data.aws_caller_identity.this
  values = { account_id = "222222222222" }
}

variables {
  account_id         = "222222222222"
  central_account_id = "111111111111"
  external_id        = "the-external-id"
}

run "all_rules_by_default" {
  assert {
    condition     = output.role_names == { for file in fileset("${path.module}/../../../crates/rules", "*/rule.json") : dirname(file) => "autoremediate-${dirname(file)}" }
    error_message = "The roles are ${jsonencode(output.role_names)}."
  }

  assert {
    condition     = keys(output.role_arns) == keys(output.role_names)
    error_message = "The roles' ARNs are ${jsonencode(output.role_arns)}."
  }
}

run "every_choice" {
  variables {
    rules                = ["s3-public-bucket"]
    deploy_role_name     = null
    operator_role_arns   = ["arn:aws:iam::111111111111:role/security-engineer"]
    reader_role_arns     = ["arn:aws:iam::111111111111:role/auditor"]
    name_prefix          = "acme"
    permissions_boundary = "arn:aws:iam::222222222222:policy/boundary"
    tags                 = { owner = "security" }
  }

  assert {
    condition     = output.role_names == { s3-public-bucket = "acme-s3-public-bucket" }
    error_message = "The roles are ${jsonencode(output.role_names)}."
  }

  assert {
    condition     = output.undo_role_names == { s3-public-bucket = "acme-s3-public-bucket-undo" } && output.reader_role_names == { s3-public-bucket = "acme-s3-public-bucket-reader" }
    error_message = "The roles of people are ${jsonencode([output.undo_role_names, output.reader_role_names])}."
  }

  assert {
    condition     = output.doctor_role_name == "acme-doctor"
    error_message = "The doctor's role is ${jsonencode(output.doctor_role_name)}."
  }
}

run "credentials_of_another_account" {
  command = plan

  variables {
    account_id = "333333333333"
  }

  expect_failures = [data.aws_caller_identity.target]
}

run "account_id_too_short" {
  command = plan

  variables {
    account_id = "22222222222"
  }

  expect_failures = [var.account_id]
}

run "deploy_role_by_arn" {
  command = plan

  variables {
    deploy_role_name = "arn:aws:iam::222222222222:role/OrganizationAccountAccessRole"
  }

  expect_failures = [var.deploy_role_name]
}

run "no_deploy_role" {
  command = plan

  variables {
    deploy_role_name = ""
  }
}

run "sources" {
  command = plan

  assert {
    condition = alltrue([
      for name in flatten(regexall("variable \"(\\w+)\"", file("${path.module}/variables.tf"))) :
      length(regexall("\\bvar\\.${name}\\b", file("${path.module}/main.tf"))) > 0
    ])
    error_message = "A variable is not used."
  }

  assert {
    condition = alltrue([
      for name in flatten(regexall("variable \"(\\w+)\"", file("${path.module}/../../modules/target-role/variables.tf"))) :
      length(regexall("\n  ${name} +=", file("${path.module}/main.tf"))) > 0
    ])
    error_message = "A variable of the module cannot be set here."
  }

  assert {
    condition     = alltrue([for file in fileset(path.module, "*.tf") : !strcontains(file("${path.module}/${file}"), "arn:aws:")])
    error_message = "A partition is written out."
  }
}
