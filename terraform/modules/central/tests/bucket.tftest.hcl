# Who may put what into the bucket: its policy, whole, and how large it gets. tests/emulator tries it, role by role.

mock_provider "aws" {
  source = "../../tests/mocks"
}

run "the_whole_policy" {
  variables {
    approver_role_arns      = ["arn:aws:iam::111111111111:role/people/approver"]
    operator_role_arns      = ["arn:aws:iam::111111111111:role/operator-2", "arn:aws:iam::111111111111:role/operator-1"]
    pauser_role_arns        = ["arn:aws:iam::111111111111:role/on-call"]
    policy_writer_role_arns = ["arn:aws:iam::111111111111:role/ci/terraform", "arn:aws:iam::111111111111:role/platform"]
  }

  assert {
    condition = jsonencode(jsondecode(aws_s3_bucket_policy.this.policy)) == jsonencode({
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "TlsOnly", Effect = "Deny", Principal = "*", Action = "s3:*"
          Resource  = ["arn:aws:s3:::autoremediate-111111111111-eu-west-1", "arn:aws:s3:::autoremediate-111111111111-eu-west-1/*"]
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
        {
          Sid = "NowhereElse", Effect = "Deny", Principal = "*", Action = "s3:PutObject"
          NotResource = [
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/approvals/*",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/findings/*",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/ledgers/command-line/*",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/ledgers/first-rule/*",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/ledgers/second-rule/*",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/netskope-turns.json",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/overrides/*",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/pauses.json",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/plans/*",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/policy.deployed.json",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/policy.json",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/reports/*",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/resources/*",
          ]
        },
        {
          Sid = "NothingElse", Effect = "Deny", Principal = "*"
          Action = [
            "s3:PutObjectRetention", "s3:ObjectOwnerOverrideToBucketOwner", "s3:PutObjectAcl", "s3:PutObjectTagging", "s3:PutObjectVersionAcl",
            "s3:PutObjectVersionTagging", "s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags",
          ]
          Resource = ["arn:aws:s3:::autoremediate-111111111111-eu-west-1/*"]
        },
        {
          Sid = "NobodyDeletes", Effect = "Deny", Principal = "*"
          Action = [
            "s3:BypassGovernanceRetention", "s3:DeleteObject", "s3:DeleteObjectTagging", "s3:DeleteObjectVersion",
            "s3:DeleteObjectVersionTagging", "s3:PutObjectLegalHold",
          ]
          Resource = ["arn:aws:s3:::autoremediate-111111111111-eu-west-1/*"]
        },
        {
          Sid       = "OnlyApprover", Effect = "Deny", Principal = "*", Action = ["s3:PutObject"]
          Resource  = ["arn:aws:s3:::autoremediate-111111111111-eu-west-1/approvals/*"]
          Condition = { ArnNotLike = { "aws:PrincipalArn" = ["arn:aws:iam::111111111111:role/people/approver"] } }
        },
        {
          Sid       = "OnlyOperator", Effect = "Deny", Principal = "*", Action = ["s3:PutObject"]
          Resource  = ["arn:aws:s3:::autoremediate-111111111111-eu-west-1/overrides/*", "arn:aws:s3:::autoremediate-111111111111-eu-west-1/ledgers/command-line/*"]
          Condition = { ArnNotLike = { "aws:PrincipalArn" = ["arn:aws:iam::111111111111:role/operator-1", "arn:aws:iam::111111111111:role/operator-2"] } }
        },
        {
          Sid      = "OnlyOperatorPauser", Effect = "Deny", Principal = "*", Action = ["s3:PutObject"]
          Resource = ["arn:aws:s3:::autoremediate-111111111111-eu-west-1/pauses.json"]
          Condition = { ArnNotLike = { "aws:PrincipalArn" = [
            "arn:aws:iam::111111111111:role/operator-1",
            "arn:aws:iam::111111111111:role/operator-2",
            "arn:aws:iam::111111111111:role/on-call",
          ] } }
        },
        {
          Sid = "OnlyPolicyWriter", Effect = "Deny", Principal = "*", Action = ["s3:PutObject"]
          Resource = [
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/policy.deployed.json",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/policy.json",
          ]
          Condition = { ArnNotLike = { "aws:PrincipalArn" = ["arn:aws:iam::111111111111:role/ci/terraform", "arn:aws:iam::111111111111:role/platform"] } }
        },
        {
          Sid       = "OnlyPoller", Effect = "Deny", Principal = "*", Action = ["s3:PutObject"]
          Resource  = ["arn:aws:s3:::autoremediate-111111111111-eu-west-1/findings/*", "arn:aws:s3:::autoremediate-111111111111-eu-west-1/netskope-turns.json"]
          Condition = { ArnNotLike = { "aws:PrincipalArn" = ["arn:aws:iam::111111111111:role/autoremediate-poller-eu-west-1"] } }
        },
        {
          Sid = "OnlyRule", Effect = "Deny", Principal = "*", Action = ["s3:PutObject"]
          Resource = [
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/ledgers/first-rule/*",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/ledgers/second-rule/*",
          ]
          Condition = { ArnNotLike = { "aws:PrincipalArn" = [
            "arn:aws:iam::111111111111:role/autoremediate-first-rule-eu-west-1",
            "arn:aws:iam::111111111111:role/autoremediate-second-rule-eu-west-1",
          ] } }
        },
        {
          Sid = "OnlyRuleOperator", Effect = "Deny", Principal = "*", Action = ["s3:PutObject"]
          Resource = [
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/plans/*",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/reports/*",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/resources/*",
          ]
          Condition = { ArnNotLike = { "aws:PrincipalArn" = [
            "arn:aws:iam::111111111111:role/autoremediate-first-rule-eu-west-1",
            "arn:aws:iam::111111111111:role/autoremediate-second-rule-eu-west-1",
            "arn:aws:iam::111111111111:role/operator-1",
            "arn:aws:iam::111111111111:role/operator-2",
          ] } }
        },
        {
          Sid = "RuleFirstRule", Effect = "Deny", Principal = "*", Action = ["s3:PutObject"]
          NotResource = [
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/ledgers/first-rule/*",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/plans/first-rule/*",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/reports/first-rule/*",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/resources/first-rule/*",
          ]
          Condition = { ArnLike = { "aws:PrincipalArn" = "arn:aws:iam::111111111111:role/autoremediate-first-rule-eu-west-1" } }
        },
        {
          Sid = "RuleSecondRule", Effect = "Deny", Principal = "*", Action = ["s3:PutObject"]
          NotResource = [
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/ledgers/second-rule/*",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/plans/second-rule/*",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/reports/second-rule/*",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/resources/second-rule/*",
          ]
          Condition = { ArnLike = { "aws:PrincipalArn" = "arn:aws:iam::111111111111:role/autoremediate-second-rule-eu-west-1" } }
        },
        {
          Sid       = "OnCondition", Effect = "Deny", Principal = "*", Action = "s3:PutObject"
          Resource  = ["arn:aws:s3:::autoremediate-111111111111-eu-west-1/ledgers/*", "arn:aws:s3:::autoremediate-111111111111-eu-west-1/resources/*", "arn:aws:s3:::autoremediate-111111111111-eu-west-1/pauses.json", "arn:aws:s3:::autoremediate-111111111111-eu-west-1/netskope-turns.json"]
          Condition = { Null = { "s3:if-match" = "true", "s3:if-none-match" = "true" } }
        },
        {
          Sid = "Once", Effect = "Deny", Principal = "*", Action = "s3:PutObject"
          Resource = [
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/approvals/*",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/findings/*",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/overrides/*",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/plans/*",
            "arn:aws:s3:::autoremediate-111111111111-eu-west-1/reports/*",
          ]
          Condition = { Null = { "s3:if-none-match" = "true" } }
        },
      ]
    })
    error_message = "The bucket's policy is ${aws_s3_bucket_policy.this.policy}."
  }

  # Nobody is locked out: whoever may change the policy can correct it
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement :
      statement.Effect == "Deny" && (statement.Sid == "TlsOnly" || alltrue([
        for action in flatten([statement.Action]) : can(regex("^s3:[A-Za-z]*(Object|Replicate|GovernanceRetention)[A-Za-z]*$", action))
      ]))
    ])
    error_message = "A statement allows something, or denies more than what is done to objects."
  }

  # Every folder, and the objects beside them
  assert {
    condition = toset([
      for arn in one([for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement : statement if statement.Sid == "NowhereElse"]).NotResource :
      split("/", arn)[1]
    ]) == setunion(keys(local.folders), ["policy.json", "policy.deployed.json", "pauses.json", "netskope-turns.json"])
    error_message = "A folder is missing, or may be written to by anybody."
  }
}

run "access_logs" {
  assert {
    condition = (
      aws_s3_bucket_logging.this.bucket == aws_s3_bucket.this.id && aws_s3_bucket_logging.this.target_bucket == aws_s3_bucket.access_logs.id &&
      aws_s3_bucket.access_logs.bucket == "autoremediate-111111111111-eu-west-1-logs"
    )
    error_message = "The access logs go to ${aws_s3_bucket_logging.this.target_bucket}."
  }

  assert {
    condition = jsondecode(aws_s3_bucket_policy.access_logs.policy) == {
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "TlsOnly", Effect = "Deny", Principal = "*", Action = "s3:*"
          Resource  = ["arn:aws:s3:::autoremediate-111111111111-eu-west-1-logs", "arn:aws:s3:::autoremediate-111111111111-eu-west-1-logs/*"]
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
        {
          Sid      = "Delivery", Effect = "Allow", Principal = { Service = "logging.s3.amazonaws.com" }, Action = "s3:PutObject"
          Resource = "arn:aws:s3:::autoremediate-111111111111-eu-west-1-logs/*"
          Condition = {
            ArnLike      = { "aws:SourceArn" = "arn:aws:s3:::autoremediate-111111111111-eu-west-1" }
            StringEquals = { "aws:SourceAccount" = "111111111111" }
          }
        },
        {
          Sid       = "OnlyDelivery", Effect = "Deny", Principal = "*", Action = ["s3:PutObject", "s3:ReplicateObject"]
          Resource  = "arn:aws:s3:::autoremediate-111111111111-eu-west-1-logs/*"
          Condition = { Bool = { "aws:PrincipalIsAWSService" = "false" } }
        },
        {
          Sid      = "NobodyDeletes", Effect = "Deny", Principal = "*", Action = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
          Resource = "arn:aws:s3:::autoremediate-111111111111-eu-west-1-logs/*"
        },
      ]
    }
    error_message = "The policy of the access logs' bucket is ${aws_s3_bucket_policy.access_logs.policy}."
  }

  assert {
    condition = (
      aws_s3_bucket_public_access_block.access_logs.restrict_public_buckets && aws_s3_bucket_public_access_block.access_logs.block_public_policy &&
      aws_s3_bucket_ownership_controls.access_logs.rule[0].object_ownership == "BucketOwnerEnforced" &&
      [for rule in aws_s3_bucket_lifecycle_configuration.access_logs.rule : rule.expiration[0].days] == [365]
    )
    error_message = "The access logs' bucket may become public, has ACLs, or keeps its logs for another time."
  }
}

run "a_policy_that_terraform_has_not_written" {
  assert {
    condition = alltrue([
      for id in ["first-rule", "second-rule"] :
      aws_cloudwatch_log_metric_filter.unexpected_policy[id].log_group_name == "/aws/lambda/autoremediate-${id}" &&
      aws_cloudwatch_log_metric_filter.unexpected_policy[id].pattern == "{ $.unexpected_policy = * }" &&
      aws_cloudwatch_log_metric_filter.unexpected_policy[id].metric_transformation[0].namespace == aws_cloudwatch_metric_alarm.unexpected_policy.namespace &&
      aws_cloudwatch_log_metric_filter.unexpected_policy[id].metric_transformation[0].name == aws_cloudwatch_metric_alarm.unexpected_policy.metric_name &&
      aws_cloudwatch_log_metric_filter.unexpected_policy[id].metric_transformation[0].value == "1"
    ])
    error_message = "A rule that reads another policy is not counted."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.unexpected_policy.statistic == "Sum" && aws_cloudwatch_metric_alarm.unexpected_policy.threshold == 0 &&
      aws_cloudwatch_metric_alarm.unexpected_policy.comparison_operator == "GreaterThanThreshold" &&
      length(aws_cloudwatch_metric_alarm.unexpected_policy.dimensions == null ? {} : aws_cloudwatch_metric_alarm.unexpected_policy.dimensions) == 0
    )
    error_message = "The alarm does not watch the count."
  }
}

# A list of no ARNs is no condition, so nobody may put approvals, pauses, or records from a command line
run "without_people" {
  command = plan

  assert {
    condition = [
      for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement : try(statement.Condition, null)
      if contains(["OnlyApprover", "OnlyOperator", "OnlyOperatorPauser"], statement.Sid)
    ] == [null, null, null]
    error_message = "The bucket's policy is ${aws_s3_bucket_policy.this.policy}."
  }
}

run "applied_by_a_role_whose_path_the_session_does_not_tell" {
  command = plan

  assert {
    condition     = local.writers.policy_writer == tolist(["arn:aws:iam::111111111111:role/terraform", "arn:aws:iam::111111111111:role/*/terraform"])
    error_message = "The policy may be written by ${jsonencode(local.writers.policy_writer)}."
  }
}

run "applied_by_a_user" {
  command = plan

  override_data {
    target = data.aws_caller_identity.this
    values = { account_id = "111111111111", arn = "arn:aws:iam::111111111111:user/people/somebody" }
  }

  assert {
    condition     = local.writers.policy_writer == tolist(["arn:aws:iam::111111111111:user/people/somebody"])
    error_message = "The policy may be written by ${jsonencode(local.writers.policy_writer)}."
  }
}

run "to_be_destroyed" {
  command = plan

  variables {
    force_destroy = true
  }

  assert {
    condition = alltrue([
      for policy in [aws_s3_bucket_policy.this.policy, aws_s3_bucket_policy.access_logs.policy] :
      !anytrue([for statement in jsondecode(policy).Statement : statement.Sid == "NobodyDeletes"])
    ])
    error_message = "A bucket could not be emptied: ${aws_s3_bucket_policy.this.policy}."
  }
}

# S3 takes 20 KB: eight rules with long names in the region with the longest, and sixteen people with roles of SSO
run "the_policy_of_a_large_deployment_fits" {
  command = plan

  override_data {
    target = data.aws_partition.this
    values = { partition = "aws-us-gov" }
  }

  override_data {
    target = data.aws_service.here
    values = { region = "ap-southeast-1" }
  }

  variables {
    name_prefix = "a234567890123456"
    rules       = { for n in range(8) : format("security-group-open-admin-port-%d", n) => { title = "A rule", controls = [{ rule_names = ["Ensure it."], short_name = "T-1" }] } }
    package_dir = "tests/packages"

    approver_role_arns      = [for n in range(4) : "arn:aws-us-gov:iam::111111111111:role/aws-reserved/sso.amazonaws.com/ap-southeast-1/AWSReservedSSO_Approver_${format("%016d", n)}"]
    operator_role_arns      = [for n in range(6) : "arn:aws-us-gov:iam::111111111111:role/aws-reserved/sso.amazonaws.com/ap-southeast-1/AWSReservedSSO_Operator_${format("%016d", n)}"]
    pauser_role_arns        = [for n in range(4) : "arn:aws-us-gov:iam::111111111111:role/aws-reserved/sso.amazonaws.com/ap-southeast-1/AWSReservedSSO_Pauser_${format("%016d", n)}"]
    object_lock             = { mode = "GOVERNANCE", days = 365 }
    policy_writer_role_arns = [for n in range(2) : "arn:aws-us-gov:iam::111111111111:role/aws-reserved/sso.amazonaws.com/ap-southeast-1/AWSReservedSSO_PolicyWriter_${format("%016d", n)}"]
  }

  # The packages of these rules do not exist
  expect_failures = [aws_lambda_function.function]

  assert {
    condition     = length(local.bucket_policy) <= 20480 * 23 / 25
    error_message = "The policy has ${length(local.bucket_policy)} bytes, which leaves little room."
  }
}

run "the_policy_of_a_deployment_that_is_too_large" {
  command = plan

  variables {
    operator_role_arns = [for n in range(100) : "arn:aws:iam::111111111111:role/aws-reserved/sso.amazonaws.com/ap-southeast-1/AWSReservedSSO_Operator_${format("%016d", n)}"]
  }

  expect_failures = [aws_s3_bucket_policy.this]
}

run "a_role_of_another_account" {
  command = plan

  variables {
    approver_role_arns = ["arn:aws:iam::222222222222:role/approver"]
  }

  expect_failures = [aws_s3_bucket_policy.this]
}

run "refused" {
  command = plan

  variables {
    approver_role_arns      = ["arn:aws:iam::111111111111:role/*"]
    operator_role_arns      = ["arn:aws:iam::111111111111:role/operator-?"]
    pauser_role_arns        = ["arn:aws:iam::111111111111:user/on-call"]
    policy_writer_role_arns = ["arn:aws:iam::111111111111:root"]

    access_log_retention_days = 0.5 # a fraction
  }

  expect_failures = [var.approver_role_arns, var.operator_role_arns, var.pauser_role_arns, var.policy_writer_role_arns, var.access_log_retention_days]
}
