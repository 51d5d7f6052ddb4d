# Who may assume the role, and what it may read.

mock_provider "aws" {
  source = "../../tests/mocks"
}

override_data {
  target = data.aws_caller_identity.this
  values = { account_id = "999999999999" }
}

variables {
  central_account_id = "111111111111"
  external_id        = "the-external-id"
}

run "exact_trust" {
  assert {
    condition = jsondecode(aws_iam_role.reader.assume_role_policy) == {
      Version = "2012-10-17"
      Statement = [{
        Sid       = "Assume"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::111111111111:root" }
        Action    = "sts:AssumeRole"
        Condition = {
          ArnLike      = { "aws:PrincipalArn" = "arn:aws:iam::111111111111:role/autoremediate-poller-*-*-*" }
          StringEquals = { "sts:ExternalId" = "the-external-id" }
        }
      }]
    }
    error_message = "The trust policy is ${aws_iam_role.reader.assume_role_policy}."
  }
}

run "it_reads_the_organization_alone" {
  assert {
    condition = jsondecode(aws_iam_role_policy.reader.policy).Statement == [
      { Sid = "Organization", Effect = "Allow", Action = ["organizations:DescribeOrganization", "organizations:ListRoots"], Resource = "*" },
      {
        Sid      = "Units"
        Effect   = "Allow"
        Action   = ["organizations:ListAccountsForParent", "organizations:ListOrganizationalUnitsForParent"]
        Resource = ["arn:aws:organizations::999999999999:ou/o-*/*", "arn:aws:organizations::999999999999:root/o-*/*"]
      },
      {
        Sid      = "Tags"
        Effect   = "Allow"
        Action   = ["organizations:ListTagsForResource"]
        Resource = ["arn:aws:organizations::999999999999:account/o-*/*"]
      },
    ]
    error_message = "The policy is ${aws_iam_role_policy.reader.policy}."
  }
}

run "another_prefix" {
  variables {
    name_prefix = "fixer"
  }

  assert {
    condition     = aws_iam_role.reader.name == "fixer-organization-reader" && strcontains(aws_iam_role.reader.assume_role_policy, ":role/fixer-poller-*-*-*")
    error_message = "The role is ${aws_iam_role.reader.name}: ${aws_iam_role.reader.assume_role_policy}"
  }
}

run "wrong_input" {
  command = plan

  variables {
    central_account_id = "1111"
    external_id        = "x"
    name_prefix        = "UPPER"
  }

  expect_failures = [var.central_account_id, var.external_id, var.name_prefix]
}
