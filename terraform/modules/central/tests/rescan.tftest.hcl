# Rescans: who keeps when Netskope was last asked for one, and that nobody does unless the policy asks for them.

mock_provider "aws" {
  source = "../../tests/mocks"
}

run "nothing_without_the_setting" {
  assert {
    condition     = !strcontains(aws_iam_role_policy.function["poller"].policy, "rescan.json") && !strcontains(aws_s3_bucket_policy.this.policy, "rescan.json")
    error_message = "The policy is ${aws_iam_role_policy.function["poller"].policy}."
  }

  assert {
    condition     = !can(jsondecode(aws_s3_object.policy.content).rescan)
    error_message = "The policy is ${aws_s3_object.policy.content}."
  }
}

run "with_the_setting" {
  variables {
    policy = { scope = { organization = "o-a1b2c3d4e5" }, rescan = { netskope_policies = ["Best practices"] } }
  }

  assert {
    condition     = jsondecode(aws_s3_object.policy.content).rescan == { netskope_policies = ["Best practices"] }
    error_message = "The policy is ${aws_s3_object.policy.content}."
  }

  # The poller alone reads and writes it, on condition of what it has read
  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.function["poller"].policy).Statement : statement.Sid if strcontains(jsonencode(statement.Resource), "/rescan.json")
    ] == ["Read", "Write"]
    error_message = "The policy is ${aws_iam_role_policy.function["poller"].policy}."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement : statement.Sid if strcontains(jsonencode(try(statement.Resource, "")), "/rescan.json")
    ] == ["OnlyPoller", "OnCondition"]
    error_message = "The bucket's policy is ${aws_s3_bucket_policy.this.policy}."
  }

  assert {
    condition = !anytrue([
      for document in concat([for id in ["first-rule", "second-rule"] : aws_iam_role_policy.function[id].policy], [for of in aws_iam_policy.person : of.policy]) : strcontains(document, "rescan.json")
    ])
    error_message = "Somebody else may read or write it."
  }
}
