# What changes with a retention. In a file of its own, because a bucket that is there keeps what it was made with.

mock_provider "aws" {
  source = "../../tests/mocks"
}

run "object_lock" {
  variables {
    object_lock = { mode = "GOVERNANCE", days = 400 }
  }

  assert {
    condition     = aws_s3_bucket.this.object_lock_enabled && keys(aws_s3_bucket_object_lock_configuration.this) == ["enabled"]
    error_message = "The bucket has no Object Lock."
  }

  # A default retention would lock the cards
  assert {
    condition     = length(aws_s3_bucket_object_lock_configuration.this["enabled"].rule) == 0
    error_message = "The bucket has a default retention."
  }

  assert {
    condition = jsonencode([for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement : statement if strcontains(statement.Sid, "Retained")]) == jsonencode([
      {
        Sid = "Retained", Effect = "Deny", Principal = "*", Action = "s3:PutObject"
        Resource = [
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/approvals/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/plans/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/reports/*",
        ]
        Condition = { Null = { "s3:object-lock-mode" = "true" } }
      },
      {
        Sid = "NothingElseRetained", Effect = "Deny", Principal = "*", Action = "s3:PutObjectRetention"
        NotResource = [
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/approvals/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/plans/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/reports/*",
        ]
      },
    ])
    error_message = "The bucket's policy is ${aws_s3_bucket_policy.this.policy}."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement :
      startswith(statement.Sid, "Only") || startswith(statement.Sid, "Rule") ? jsonencode(statement.Action) == jsonencode(["s3:PutObject", "s3:PutObjectRetention"]) : true
    ])
    error_message = "Who may not put a record may retain it: ${aws_s3_bucket_policy.this.policy}."
  }

  assert {
    condition = alltrue([
      for policy in [aws_iam_role_policy.function["first-rule"].policy, aws_iam_policy.person["approver"].policy, aws_iam_policy.person["operator"].policy] :
      [for statement in jsondecode(policy).Statement : jsonencode([for action in statement.Action : action if startswith(action, "s3:")]) if statement.Sid == "Write"] == [jsonencode(["s3:PutObject", "s3:PutObjectRetention"])]
    ])
    error_message = "Somebody who puts records may not retain them."
  }

  assert {
    condition     = alltrue([for function in aws_lambda_function.function : function.environment[0].variables.OBJECT_LOCK == "GOVERNANCE/400"])
    error_message = "A Lambda does not know of the retention."
  }
}

run "object_lock_of_no_mode_and_no_time" {
  command = plan

  variables {
    object_lock = { mode = "governance", days = 0.5 }
  }

  expect_failures = [var.object_lock]
}
