# Who may do what: every policy, whole.

mock_provider "aws" {
  source = "../../tests/mocks"
}

run "exact_policies" {
  # The poller
  assert {
    condition = jsondecode(aws_iam_role_policy.function["poller"].policy) == {
      Version = "2012-10-17"
      Statement = [
        { Sid = "Token", Effect = "Allow", Action = ["secretsmanager:GetSecretValue"], Resource = ["arn:aws:secretsmanager:eu-west-1:111111111111:secret:mock-AbCdEf"], Condition = { ArnEquals = { "lambda:SourceFunctionArn" = "arn:aws:lambda:eu-west-1:111111111111:function:autoremediate-poller" } } },
        { Sid = "Read", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["arn:aws:s3:::autoremediate-111111111111-eu-west-1/policy.json", "arn:aws:s3:::autoremediate-111111111111-eu-west-1/netskope-turns.json", "arn:aws:s3:::autoremediate-111111111111-eu-west-1/findings/*", "arn:aws:s3:::autoremediate-111111111111-eu-west-1/resources/*/awaited-closures.json"], Condition = { ArnEquals = { "lambda:SourceFunctionArn" = "arn:aws:lambda:eu-west-1:111111111111:function:autoremediate-poller" } } },
        { Sid = "List", Effect = "Allow", Action = ["s3:ListBucket"], Resource = ["arn:aws:s3:::autoremediate-111111111111-eu-west-1"], Condition = { ArnEquals = { "lambda:SourceFunctionArn" = "arn:aws:lambda:eu-west-1:111111111111:function:autoremediate-poller" } } },
        { Sid = "Write", Effect = "Allow", Action = ["s3:PutObject"], Resource = ["arn:aws:s3:::autoremediate-111111111111-eu-west-1/netskope-turns.json", "arn:aws:s3:::autoremediate-111111111111-eu-west-1/findings/*"], Condition = { ArnEquals = { "lambda:SourceFunctionArn" = "arn:aws:lambda:eu-west-1:111111111111:function:autoremediate-poller" } } },
        { Sid = "Logs", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = ["arn:aws:logs:eu-west-1:111111111111:log-group:/aws/lambda/autoremediate-poller:*"] },
        { Sid = "Failures", Effect = "Allow", Action = ["sqs:SendMessage"], Resource = ["arn:aws:sqs:eu-west-1:111111111111:autoremediate-failures"] },
      ]
    }
    error_message = "The policy is ${aws_iam_role_policy.function["poller"].policy}."
  }

  assert {
    condition     = aws_iam_role_policy.function["poller"].role == "autoremediate-poller-eu-west-1"
    error_message = "The policy is on the role ${aws_iam_role_policy.function["poller"].role}."
  }

  # A rule
  assert {
    condition = jsondecode(aws_iam_role_policy.function["first-rule"].policy) == {
      Version = "2012-10-17"
      Statement = [
        { Sid = "Read", Effect = "Allow", Action = ["s3:GetObject", "s3:ListBucket"], Resource = [
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/pauses.json",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/policy.json",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/approvals/first-rule/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/findings/first-rule/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/ledgers/first-rule/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/plans/first-rule/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/reports/first-rule/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/resources/first-rule/*",
        ], Condition = { ArnEquals = { "lambda:SourceFunctionArn" = "arn:aws:lambda:eu-west-1:111111111111:function:autoremediate-first-rule" } } },
        { Sid = "Write", Effect = "Allow", Action = ["s3:PutObject", "events:PutEvents"], Resource = [
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/ledgers/first-rule/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/plans/first-rule/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/reports/first-rule/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/resources/first-rule/*",
          "arn:aws:events:eu-west-1:111111111111:event-bus/default",
        ], Condition = { ArnEquals = { "lambda:SourceFunctionArn" = "arn:aws:lambda:eu-west-1:111111111111:function:autoremediate-first-rule" } } },
        { Sid = "Target", Effect = "Allow", Action = ["sts:AssumeRole", "sts:SetSourceIdentity"], Resource = ["arn:aws:iam::*:role/autoremediate-first-rule"], Condition = { ArnEquals = { "lambda:SourceFunctionArn" = "arn:aws:lambda:eu-west-1:111111111111:function:autoremediate-first-rule" }, StringEquals = { "aws:ResourceOrgID" = "o-a1b2c3d4e5" } } },
        { Sid = "Logs", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = ["arn:aws:logs:eu-west-1:111111111111:log-group:/aws/lambda/autoremediate-first-rule:*"] },
        { Sid = "Failures", Effect = "Allow", Action = ["events:PutEvents"], Resource = ["arn:aws:events:eu-west-1:111111111111:event-bus/autoremediate-failures"] },
      ]
    }
    error_message = "The policy is ${aws_iam_role_policy.function["first-rule"].policy}."
  }

  assert {
    condition = alltrue([
      for id in ["first-rule", "second-rule"] :
      aws_iam_role_policy.function[id].role == "autoremediate-${id}-eu-west-1" &&
      aws_iam_role_policy.function[id].policy == replace(aws_iam_role_policy.function["first-rule"].policy, "first-rule", id)
    ])
    error_message = "A rule's policy names another rule, or is on another rule's role."
  }

  # The scheduler
  assert {
    condition = jsondecode(aws_iam_role_policy.scheduler.policy) == {
      Version = "2012-10-17"
      Statement = [
        { Sid = "Poll", Effect = "Allow", Action = ["lambda:InvokeFunction"], Resource = ["arn:aws:lambda:eu-west-1:111111111111:function:autoremediate-poller"] },
        { Sid = "Failures", Effect = "Allow", Action = ["sqs:SendMessage"], Resource = ["arn:aws:sqs:eu-west-1:111111111111:autoremediate-failures"] },
      ]
    }
    error_message = "The policy is ${aws_iam_role_policy.scheduler.policy}."
  }

  assert {
    condition     = aws_iam_role_policy.scheduler.role == aws_iam_role.scheduler.name
    error_message = "The policy is on the role ${aws_iam_role_policy.scheduler.role}."
  }

  # People
  assert {
    condition = jsondecode(aws_iam_policy.person["approver"].policy) == {
      Version = "2012-10-17"
      Statement = [
        { Sid = "Read", Effect = "Allow", Action = ["s3:GetObject"], Resource = [
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/policy.deployed.json",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/pauses.json",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/policy.json",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/approvals/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/overrides/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/plans/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/reports/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/resources/*",
        ] },
        { Sid = "List", Effect = "Allow", Action = ["s3:ListBucket"], Resource = ["arn:aws:s3:::autoremediate-111111111111-eu-west-1"] },
        { Sid = "Write", Effect = "Allow", Action = ["s3:PutObject"], Resource = [
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/approvals/*",
        ] },
      ]
    }
    error_message = "The policy is ${aws_iam_policy.person["approver"].policy}."
  }

  assert {
    condition = jsondecode(aws_iam_policy.person["operator"].policy) == {
      Version = "2012-10-17"
      Statement = [
        { Sid = "Read", Effect = "Allow", Action = ["s3:GetObject"], Resource = [
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/policy.deployed.json",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/pauses.json",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/policy.json",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/approvals/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/findings/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/ledgers/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/overrides/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/plans/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/reports/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/resources/*",
        ] },
        { Sid = "List", Effect = "Allow", Action = ["s3:ListBucket"], Resource = ["arn:aws:s3:::autoremediate-111111111111-eu-west-1"] },
        { Sid = "Write", Effect = "Allow", Action = ["s3:PutObject"], Resource = [
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/ledgers/command-line/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/overrides/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/plans/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/reports/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/resources/*",
        ] },
        { Sid = "Pause", Effect = "Allow", Action = ["s3:PutObject"], Resource = ["arn:aws:s3:::autoremediate-111111111111-eu-west-1/pauses.json"] },
        { Sid = "Bucket", Effect = "Allow", Action = ["s3:GetBucketNotification"], Resource = ["arn:aws:s3:::autoremediate-111111111111-eu-west-1"] },
        { Sid = "NetskopesOwnRoles", Effect = "Allow", Action = ["iam:GetRole"], Resource = [
          "arn:aws:iam::111111111111:role/BPR-0-6-NACLLambdaRole_*",
          "arn:aws:iam::111111111111:role/BPR-1-0-0-S3BucketPublicAccessLambdaRole_*",
          "arn:aws:iam::111111111111:role/BPR-1-9-RedShiftClusterPublicLambdaRole_*",
          "arn:aws:iam::111111111111:role/BPR-3-8-RDSSnapshotsPublicLambdaRole_*",
          "arn:aws:iam::111111111111:role/CIS-1-2-0-1-4-AccessKeyRotationLambdaRole_*",
          "arn:aws:iam::111111111111:role/CIS-1-2-0-2-2-CloudTrailLogFileLambdaRole_*",
          "arn:aws:iam::111111111111:role/CIS-1-2-0-2-9-VPCFlowLogsLambdaRole_*",
          "arn:aws:iam::111111111111:role/CIS-1-2-0-4-1-SecurityGroupsLambdaRole_*",
          "arn:aws:iam::111111111111:role/GetNetskopeCSPMResultsLFRole_*",
        ] },
        { Sid = "Targets", Effect = "Allow", Action = ["sts:AssumeRole", "sts:SetSourceIdentity"], Resource = [
          "arn:aws:iam::*:role/autoremediate-first-rule",
          "arn:aws:iam::*:role/autoremediate-first-rule-undo",
          "arn:aws:iam::*:role/autoremediate-second-rule",
          "arn:aws:iam::*:role/autoremediate-second-rule-undo",
          "arn:aws:iam::*:role/autoremediate-doctor",
        ] },
        { Sid = "Messages", Effect = "Allow", Action = ["events:PutEvents"], Resource = ["arn:aws:events:eu-west-1:111111111111:event-bus/default"] },
      ]
    }
    error_message = "The policy is ${aws_iam_policy.person["operator"].policy}."
  }

  assert {
    condition = jsondecode(aws_iam_policy.person["pauser"].policy) == {
      Version = "2012-10-17"
      Statement = [
        { Sid = "Read", Effect = "Allow", Action = ["s3:GetObject"], Resource = [
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/policy.deployed.json",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/pauses.json",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/policy.json",
        ] },
        { Sid = "List", Effect = "Allow", Action = ["s3:ListBucket"], Resource = ["arn:aws:s3:::autoremediate-111111111111-eu-west-1"] },
        { Sid = "Pause", Effect = "Allow", Action = ["s3:PutObject"], Resource = ["arn:aws:s3:::autoremediate-111111111111-eu-west-1/pauses.json"] },
        { Sid = "Messages", Effect = "Allow", Action = ["events:PutEvents"], Resource = ["arn:aws:events:eu-west-1:111111111111:event-bus/default"] },
      ]
    }
    error_message = "The policy is ${aws_iam_policy.person["pauser"].policy}."
  }

  assert {
    condition = jsondecode(aws_iam_policy.person["reader"].policy) == {
      Version = "2012-10-17"
      Statement = [
        { Sid = "Read", Effect = "Allow", Action = ["s3:GetObject"], Resource = [
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/policy.deployed.json",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/pauses.json",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/policy.json",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/approvals/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/findings/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/plans/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/reports/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/resources/*",
        ] },
        { Sid = "List", Effect = "Allow", Action = ["s3:ListBucket"], Resource = ["arn:aws:s3:::autoremediate-111111111111-eu-west-1"] },
        { Sid = "Targets", Effect = "Allow", Action = ["sts:AssumeRole", "sts:SetSourceIdentity"], Resource = [
          "arn:aws:iam::*:role/autoremediate-first-rule-reader",
          "arn:aws:iam::*:role/autoremediate-second-rule-reader",
        ] },
      ]
    }
    error_message = "The policy is ${aws_iam_policy.person["reader"].policy}."
  }

  assert {
    condition = jsondecode(aws_iam_policy.person["retrier"].policy) == {
      Version = "2012-10-17"
      Statement = [
        { Sid = "Read", Effect = "Allow", Action = ["s3:GetObject"], Resource = [
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/approvals/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/findings/*",
          "arn:aws:s3:::autoremediate-111111111111-eu-west-1/reports/*",
        ] },
        { Sid = "List", Effect = "Allow", Action = ["s3:ListBucket"], Resource = ["arn:aws:s3:::autoremediate-111111111111-eu-west-1"] },
        { Sid = "Queue", Effect = "Allow", Action = ["sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage"], Resource = ["arn:aws:sqs:eu-west-1:111111111111:autoremediate-failures", "arn:aws:sqs:eu-west-1:111111111111:autoremediate-too-old"] },
        { Sid = "Retry", Effect = "Allow", Action = ["lambda:InvokeFunction"], Resource = [
          "arn:aws:lambda:eu-west-1:111111111111:function:autoremediate-first-rule",
          "arn:aws:lambda:eu-west-1:111111111111:function:autoremediate-second-rule",
        ] },
      ]
    }
    error_message = "The policy is ${aws_iam_policy.person["retrier"].policy}."
  }

  # Nobody may delete anything but a message of the failure queue, or list the bucket under a condition: a key that does not exist must answer 404
  assert {
    condition = alltrue(flatten([
      for policy in concat(
        [for policy in aws_iam_role_policy.function : policy.policy],
        [for policy in aws_iam_policy.person : policy.policy],
        ) : [
        for statement in jsondecode(policy).Statement : [
          for action in statement.Action :
          (action == "sqs:DeleteMessage" || !strcontains(lower(action), "delete")) && !strcontains(action, "*") && (action == "s3:ListBucket" ? !strcontains(jsonencode(statement), "s3:prefix") : true)
        ]
      ]
    ]))
    error_message = "Somebody may delete, or may list the bucket only under a condition."
  }

  # Trust
  assert {
    condition = alltrue([
      for role in values(aws_iam_role.function) : jsondecode(role.assume_role_policy) == {
        Version   = "2012-10-17"
        Statement = [{ Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" }, Action = "sts:AssumeRole" }]
      }
    ])
    error_message = "A Lambda's role trusts something else than Lambda."
  }

  assert {
    condition = jsondecode(aws_iam_role.scheduler.assume_role_policy) == {
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Principal = { Service = "scheduler.amazonaws.com" }
        Action    = "sts:AssumeRole"
        Condition = {
          StringEquals = { "aws:SourceAccount" = "111111111111" }
          ArnEquals    = { "aws:SourceArn" = "arn:aws:scheduler:eu-west-1:111111111111:schedule-group/autoremediate" }
        }
      }]
    }
    error_message = "The trust policy is ${aws_iam_role.scheduler.assume_role_policy}."
  }

  # Resources
  assert {
    condition = alltrue([
      for key, of in {
        failure = { name = "autoremediate-failures", rules = ["autoremediate-failures", "autoremediate-too-old"] }
        too_old = { name = "autoremediate-too-old", rules = ["autoremediate-too-old"] }
        } : jsondecode(aws_sqs_queue_policy.queue[key].policy) == {
        Version = "2012-10-17"
        Statement = [
          {
            Sid       = "Failures"
            Effect    = "Allow"
            Principal = { Service = "events.amazonaws.com" }
            Action    = "sqs:SendMessage"
            Resource  = "arn:aws:sqs:eu-west-1:111111111111:${of.name}"
            Condition = { ArnEquals = { "aws:SourceArn" = [for rule in of.rules : "arn:aws:events:eu-west-1:111111111111:rule/autoremediate-failures/${rule}"] } }
          },
          {
            Sid       = "TlsOnly"
            Effect    = "Deny"
            Principal = "*"
            Action    = "sqs:*"
            Resource  = "arn:aws:sqs:eu-west-1:111111111111:${of.name}"
            Condition = { Bool = { "aws:SecureTransport" = "false" } }
          },
        ]
      }
    ])
    error_message = "The queue's policy is ${aws_sqs_queue_policy.queue["failure"].policy}."
  }

  assert {
    condition = alltrue([
      for id, permission in aws_lambda_permission.bucket :
      permission.function_name == "autoremediate-${id}" && permission.principal == "s3.amazonaws.com" && permission.action == "lambda:InvokeFunction" &&
      permission.source_arn == "arn:aws:s3:::autoremediate-111111111111-eu-west-1" && permission.source_account == "111111111111"
    ]) && toset(keys(aws_lambda_permission.bucket)) == toset(["first-rule", "second-rule"])
    error_message = "Others than this bucket, of this account, may start a rule's Lambda."
  }
}

run "customer_key" {
  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.function["poller"].policy).Statement : statement if statement.Sid == "TokenKey"] == [{
      Sid       = "TokenKey"
      Effect    = "Allow"
      Action    = ["kms:Decrypt"]
      Resource  = ["arn:aws:kms:eu-west-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab"]
      Condition = { StringEquals = { "kms:EncryptionContext:SecretARN" = "arn:aws:secretsmanager:eu-west-1:111111111111:secret:mock-AbCdEf" } }
    }]
    error_message = "The policy is ${aws_iam_role_policy.function["poller"].policy}."
  }

  assert {
    condition     = length(jsondecode(aws_iam_role_policy.function["poller"].policy).Statement) == 8
    error_message = "The policy is ${aws_iam_role_policy.function["poller"].policy}."
  }

  # Whoever writes to the bucket or the queue
  assert {
    condition = {
      for name, policy in merge(
        { for key, policy in aws_iam_role_policy.function : key => policy.policy },
        { for key, policy in aws_iam_policy.person : key => policy.policy },
        { scheduler = aws_iam_role_policy.scheduler.policy },
        ) : name => [
        for statement in jsondecode(policy).Statement : jsonencode({ actions = statement.Action, through = statement.Condition.StringLike["kms:ViaService"] })
        if statement.Resource == [var.kms_key_arn] && statement.Sid != "TokenKey"
      ]
      } == {
      poller      = [jsonencode({ actions = ["kms:Decrypt", "kms:GenerateDataKey"], through = ["s3.eu-west-1.*", "sqs.eu-west-1.*"] })]
      first-rule  = [jsonencode({ actions = ["kms:Decrypt", "kms:GenerateDataKey"], through = ["s3.eu-west-1.*"] })]
      second-rule = [jsonencode({ actions = ["kms:Decrypt", "kms:GenerateDataKey"], through = ["s3.eu-west-1.*"] })]
      approver    = [jsonencode({ actions = ["kms:Decrypt", "kms:GenerateDataKey"], through = ["s3.eu-west-1.*"] })]
      operator    = [jsonencode({ actions = ["kms:Decrypt", "kms:GenerateDataKey"], through = ["s3.eu-west-1.*"] })]
      pauser      = [jsonencode({ actions = ["kms:Decrypt", "kms:GenerateDataKey"], through = ["s3.eu-west-1.*"] })]
      reader      = [jsonencode({ actions = ["kms:Decrypt"], through = ["s3.eu-west-1.*"] })]
      retrier     = [jsonencode({ actions = ["kms:Decrypt"], through = ["s3.eu-west-1.*", "sqs.eu-west-1.*"] })]
      scheduler   = [jsonencode({ actions = ["kms:Decrypt", "kms:GenerateDataKey"], through = ["sqs.eu-west-1.*"] })]
    }
    error_message = "Somebody may not use the key, or may use it for more."
  }

  assert {
    condition = alltrue([
      for rule in aws_s3_bucket_server_side_encryption_configuration.this.rule :
      rule.bucket_key_enabled && rule.apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms" &&
      rule.apply_server_side_encryption_by_default[0].kms_master_key_id == var.kms_key_arn
    ])
    error_message = "The bucket is not encrypted with the key."
  }

  assert {
    condition     = alltrue([for queue in aws_sqs_queue.queue : queue.kms_master_key_id == var.kms_key_arn]) && alltrue([for group in aws_cloudwatch_log_group.function : group.kms_key_id == var.kms_key_arn])
    error_message = "The queue or a log group is not encrypted with the key."
  }

  # S3 delivers access logs to no bucket with a KMS key
  assert {
    condition     = [for rule in aws_s3_bucket_server_side_encryption_configuration.access_logs.rule : rule.apply_server_side_encryption_by_default[0].sse_algorithm] == ["AES256"]
    error_message = "No access logs would come."
  }

  assert {
    condition     = aws_secretsmanager_secret.token.kms_key_id == "arn:aws:kms:eu-west-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    error_message = "The secret's key is ${aws_secretsmanager_secret.token.kms_key_id}."
  }
}

run "permissions_boundary" {
  variables {
    permissions_boundary = "arn:aws:iam::111111111111:policy/boundary"
  }

  assert {
    condition = alltrue([
      for role in concat(values(aws_iam_role.function), [aws_iam_role.scheduler]) :
      role.permissions_boundary == "arn:aws:iam::111111111111:policy/boundary"
    ])
    error_message = "A role has no boundary."
  }
}

run "another_partition" {
  override_data {
    target = data.aws_partition.this
    values = { partition = "aws-us-gov" }
  }

  override_data {
    target = data.aws_service.here
    values = { region = "us-gov-west-1" }
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.function["first-rule"].policy).Statement == [
      { Sid = "Read", Effect = "Allow", Action = ["s3:GetObject", "s3:ListBucket"], Resource = [
        "arn:aws-us-gov:s3:::autoremediate-111111111111-us-gov-west-1",
        "arn:aws-us-gov:s3:::autoremediate-111111111111-us-gov-west-1/pauses.json",
        "arn:aws-us-gov:s3:::autoremediate-111111111111-us-gov-west-1/policy.json",
        "arn:aws-us-gov:s3:::autoremediate-111111111111-us-gov-west-1/approvals/first-rule/*",
        "arn:aws-us-gov:s3:::autoremediate-111111111111-us-gov-west-1/findings/first-rule/*",
        "arn:aws-us-gov:s3:::autoremediate-111111111111-us-gov-west-1/ledgers/first-rule/*",
        "arn:aws-us-gov:s3:::autoremediate-111111111111-us-gov-west-1/plans/first-rule/*",
        "arn:aws-us-gov:s3:::autoremediate-111111111111-us-gov-west-1/reports/first-rule/*",
        "arn:aws-us-gov:s3:::autoremediate-111111111111-us-gov-west-1/resources/first-rule/*",
      ], Condition = { ArnEquals = { "lambda:SourceFunctionArn" = "arn:aws-us-gov:lambda:us-gov-west-1:111111111111:function:autoremediate-first-rule" } } },
      { Sid = "Write", Effect = "Allow", Action = ["s3:PutObject", "events:PutEvents"], Resource = [
        "arn:aws-us-gov:s3:::autoremediate-111111111111-us-gov-west-1/ledgers/first-rule/*",
        "arn:aws-us-gov:s3:::autoremediate-111111111111-us-gov-west-1/plans/first-rule/*",
        "arn:aws-us-gov:s3:::autoremediate-111111111111-us-gov-west-1/reports/first-rule/*",
        "arn:aws-us-gov:s3:::autoremediate-111111111111-us-gov-west-1/resources/first-rule/*",
        "arn:aws-us-gov:events:us-gov-west-1:111111111111:event-bus/default",
      ], Condition = { ArnEquals = { "lambda:SourceFunctionArn" = "arn:aws-us-gov:lambda:us-gov-west-1:111111111111:function:autoremediate-first-rule" } } },
      { Sid = "Target", Effect = "Allow", Action = ["sts:AssumeRole", "sts:SetSourceIdentity"], Resource = ["arn:aws-us-gov:iam::*:role/autoremediate-first-rule"], Condition = { ArnEquals = { "lambda:SourceFunctionArn" = "arn:aws-us-gov:lambda:us-gov-west-1:111111111111:function:autoremediate-first-rule" }, StringEquals = { "aws:ResourceOrgID" = "o-a1b2c3d4e5" } } },
      { Sid = "Logs", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = ["arn:aws-us-gov:logs:us-gov-west-1:111111111111:log-group:/aws/lambda/autoremediate-first-rule:*"] },
      { Sid = "Failures", Effect = "Allow", Action = ["events:PutEvents"], Resource = ["arn:aws-us-gov:events:us-gov-west-1:111111111111:event-bus/autoremediate-failures"] },
    ]
    error_message = "The policy is ${aws_iam_role_policy.function["first-rule"].policy}."
  }

  # The mocks' own ARNs (the secret's) are of the partition aws
  assert {
    condition = !strcontains(replace(join("", concat(
      [for policy in aws_iam_role_policy.function : policy.policy],
      [for policy in aws_iam_policy.person : policy.policy],
      [for permission in aws_lambda_permission.bucket : permission.source_arn],
      [aws_iam_role_policy.scheduler.policy, aws_s3_bucket_policy.this.policy, aws_s3_bucket_policy.access_logs.policy, aws_sqs_queue_policy.queue["failure"].policy],
    )), aws_secretsmanager_secret.token.arn, ""), "arn:aws:")
    error_message = "An ARN is of another partition."
  }

  assert {
    condition     = alltrue([for file in fileset(path.module, "*.tf") : !strcontains(file("${path.module}/${file}"), "arn:aws:")])
    error_message = "A partition is written out."
  }
}

run "china" {
  override_data {
    target = data.aws_partition.this
    values = { partition = "aws-cn" }
  }

  override_data {
    target = data.aws_service.here
    values = { region = "cn-north-1" }
  }

  variables {
    home_region        = "cn-north-1"
    operator_role_arns = ["arn:aws-cn:iam::111111111111:role/operator"]
    approver_role_arns = ["arn:aws-cn:iam::111111111111:role/approver"]
  }

  # The mocks' own ARNs (of the secret, of roles and of functions) are of the partition aws
  assert {
    condition = toset(regexall("arn:[^:]*:", replace(replace(join("", concat(
      [for policy in aws_iam_role_policy.function : policy.policy],
      [for policy in aws_iam_policy.person : policy.policy],
      [for permission in aws_lambda_permission.bucket : permission.source_arn],
      [aws_iam_role_policy.scheduler.policy, aws_s3_bucket_policy.this.policy, aws_s3_bucket_policy.access_logs.policy],
      [for policy in aws_sqs_queue_policy.queue : policy.policy],
    )), aws_secretsmanager_secret.token.arn, ""), aws_cloudwatch_event_rule.overrides.arn, ""))) == toset(["arn:aws-cn:"])
    error_message = "An ARN is of another partition."
  }
}
