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
    first-rule = {
      read = [
        { action = "s3:GetBucketPublicAccessBlock", resource = "arn:{partition}:s3:::*" },
        { action = "ec2:DescribeVpcs", resource = "*" },
        { action = "s3:GetBucketAcl", resource = "arn:{partition}:s3:::*" },
      ]
      write    = [{ action = "logs:CreateLogGroup", resource = "arn:{partition}:logs:{region}:{account}:log-group:{prefix}-{account}" }]
      directly = [{ action = "redshift:ModifyCluster", resource = "arn:{partition}:redshift:{region}:{account}:cluster:*" }]
      undo = [
        { action = "ec2:CreateNetworkAclEntry", resource = "arn:{partition}:ec2:{region}:{account}:network-acl/*" },
        {
          action    = "s3:PutBucketPublicAccessBlock"
          resource  = "arn:{partition}:s3:::*"
          condition = { StringEquals = { "s3:ResourceAccount" = "{account}" } }
        },
      ]
      extra = [
        {
          action    = "iam:PassRole"
          resource  = "arn:{partition}:iam::{account}:role/{prefix}-first-rule-service"
          condition = { StringEquals = { "iam:PassedToService" = "ssm.amazonaws.com" } }
        },
      ]
      service_role = {
        service = "ssm.amazonaws.com"
        source  = "arn:{partition}:ssm:{region}:{account}:automation-execution/*"
        permissions = [
          { action = "redshift:ModifyCluster", resource = "arn:{partition}:redshift:{region}:{account}:cluster:*" },
          { action = "redshift:DescribeClusters", resource = "*" },
        ]
      }
      runbook = { name = "AWS-FirstRunbook", missing_in = ["aws-cn"] }
    }
    second-rule = {
      read  = [{ action = "iam:ListAccessKeys", resource = "arn:{partition}:iam::{account}:user/*" }]
      write = []
      extra = []
      undo  = [{ action = "iam:UpdateAccessKey", resource = "arn:{partition}:iam::{account}:user/*" }]
    }
  }
}

run "exact_permissions" {
  assert {
    condition     = toset(keys(aws_iam_role_policy.rule)) == toset(["first-rule", "second-rule"])
    error_message = "There is not one policy a rule."
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.rule["first-rule"].policy) == {
      Version = "2012-10-17"
      Statement = [
        { Sid = "Read1", Effect = "Allow", Action = ["ec2:DescribeVpcs"], Resource = "*" },
        { Sid = "Read2", Effect = "Allow", Action = ["s3:GetBucketAcl", "s3:GetBucketPublicAccessBlock"], Resource = "arn:aws:s3:::*" },
        { Sid = "Write1", Effect = "Allow", Action = ["logs:CreateLogGroup"], Resource = "arn:aws:logs:*:222222222222:log-group:autoremediate-222222222222" },
        {
          Sid       = "Extra1"
          Effect    = "Allow"
          Action    = ["iam:PassRole"]
          Resource  = "arn:aws:iam::222222222222:role/autoremediate-first-rule-service"
          Condition = { StringEquals = { "iam:PassedToService" = "ssm.amazonaws.com" } }
        },
      ]
    }
    error_message = "The policy is ${aws_iam_role_policy.rule["first-rule"].policy}."
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.rule["second-rule"].policy) == {
      Version   = "2012-10-17"
      Statement = [{ Sid = "Read1", Effect = "Allow", Action = ["iam:ListAccessKeys"], Resource = "arn:aws:iam::222222222222:user/*" }]
    }
    error_message = "The policy is ${aws_iam_role_policy.rule["second-rule"].policy}."
  }

  assert {
    condition     = alltrue([for id in ["first-rule", "second-rule"] : aws_iam_role_policy.rule[id].role == "autoremediate-${id}"])
    error_message = "A policy is not on the role of its rule."
  }
}

run "exact_trust" {
  assert {
    condition = jsondecode(aws_iam_role.rule["first-rule"].assume_role_policy) == {
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "Assume"
          Effect    = "Allow"
          Principal = { AWS = "arn:aws:iam::111111111111:root" }
          Action    = "sts:AssumeRole"
          Condition = {
            ArnLike      = { "aws:PrincipalArn" = ["arn:aws:iam::111111111111:role/autoremediate-first-rule-*-*-*"] }
            StringEquals = { "sts:ExternalId" = "the-external-id" }
          }
        },
        {
          Sid       = "SetSourceIdentity"
          Effect    = "Allow"
          Principal = { AWS = "arn:aws:iam::111111111111:root" }
          Action    = "sts:SetSourceIdentity"
          Condition = {
            ArnLike = { "aws:PrincipalArn" = ["arn:aws:iam::111111111111:role/autoremediate-first-rule-*-*-*"] }
          }
        },
      ]
    }
    error_message = "The trust policy is ${aws_iam_role.rule["first-rule"].assume_role_policy}."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role.rule["second-rule"].assume_role_policy).Statement :
      alltrue([for arn in statement.Condition.ArnLike["aws:PrincipalArn"] : startswith(arn, "arn:aws:iam::111111111111:role/autoremediate-second-rule-")])
    ])
    error_message = "A role trusts another rule's central role."
  }
}

run "service_role" {
  assert {
    condition     = output.service_role_names == { first-rule = "autoremediate-first-rule-service" }
    error_message = "The service roles are ${jsonencode(output.service_role_names)}."
  }

  assert {
    condition = jsondecode(aws_iam_role.service["first-rule"].assume_role_policy) == {
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Principal = { Service = "ssm.amazonaws.com" }
        Action    = "sts:AssumeRole"
        Condition = {
          StringEquals = { "aws:SourceAccount" = "222222222222" }
          ArnLike      = { "aws:SourceArn" = "arn:aws:ssm:*:222222222222:automation-execution/*" }
        }
      }]
    }
    error_message = "The trust policy is ${aws_iam_role.service["first-rule"].assume_role_policy}."
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.service["first-rule"].policy) == {
      Version = "2012-10-17"
      Statement = [
        { Sid = "Service1", Effect = "Allow", Action = ["redshift:DescribeClusters"], Resource = "*" },
        { Sid = "Service2", Effect = "Allow", Action = ["redshift:ModifyCluster"], Resource = "arn:aws:redshift:*:222222222222:cluster:*" },
      ]
    }
    error_message = "The policy is ${aws_iam_role_policy.service["first-rule"].policy}."
  }

  assert {
    condition     = aws_iam_role_policy.service["first-rule"].role == "autoremediate-first-rule-service"
    error_message = "The policy is not on the service role."
  }
}

run "roles" {
  assert {
    condition     = output.role_names == { first-rule = "autoremediate-first-rule", second-rule = "autoremediate-second-rule" }
    error_message = "The roles' names are ${jsonencode(output.role_names)}."
  }

  assert {
    condition = alltrue([
      for role in values(aws_iam_role.rule) :
      role.path == "/" && role.max_session_duration == 3600 && role.permissions_boundary == null
    ])
    error_message = "A role's path, session duration or boundary is wrong."
  }

  assert {
    condition     = toset(keys(output.role_arns)) == toset(["first-rule", "second-rule"])
    error_message = "The roles' ARNs are ${jsonencode(output.role_arns)}."
  }
}

run "operators" {
  variables {
    operator_role_arns = [
      "arn:aws:iam::111111111111:role/security-engineer",
      "arn:aws:iam::111111111111:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Security_0123456789abcdef",
    ]
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role.rule["first-rule"].assume_role_policy).Statement :
      statement.Condition.ArnLike["aws:PrincipalArn"] == [
        "arn:aws:iam::111111111111:role/autoremediate-first-rule-*-*-*",
        "arn:aws:iam::111111111111:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Security_0123456789abcdef",
        "arn:aws:iam::111111111111:role/security-engineer",
      ]
    ])
    error_message = "The trust policy is ${aws_iam_role.rule["first-rule"].assume_role_policy}."
  }

  assert {
    condition     = jsondecode(aws_iam_role.rule["first-rule"].assume_role_policy).Statement[0].Condition.StringEquals == { "sts:ExternalId" = "the-external-id" }
    error_message = "An operator gets in without the external ID."
  }
}

# However many regions the central deployments are in

run "every_region" {
  variables {
    external_id = "autoremediate-5f1c0c7e-1f7a-4a53-9c44-2f0e3d5b7a10"
    operator_role_arns = [
      for kind in ["SecurityEngineer", "IncidentResponse", "PlatformOperations"] :
      "arn:aws:iam::111111111111:role/aws-reserved/sso.amazonaws.com/ap-southeast-2/AWSReservedSSO_${kind}_0123456789abcdef"
    ]
  }

  assert {
    condition = alltrue([
      for region in [
        "af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1",
        "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
        "ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "cn-north-1", "cn-northwest-1", "eu-central-1",
        "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "eusc-de-east-1",
        "il-central-1", "me-central-1", "me-south-1", "mx-central-1", "sa-east-1", "us-east-1", "us-east-2",
        "us-gov-east-1", "us-gov-west-1", "us-isob-east-1", "us-west-1", "us-west-2",
      ] :
      anytrue([
        for pattern in jsondecode(aws_iam_role.rule["first-rule"].assume_role_policy).Statement[0].Condition.ArnLike["aws:PrincipalArn"] :
        can(regex("^${replace(pattern, "*", ".*")}$", "arn:aws:iam::111111111111:role/autoremediate-first-rule-${region}"))
      ])
    ])
    error_message = "The central role of a region is not trusted."
  }

  # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
  assert {
    condition     = max([for role in values(aws_iam_role.rule) : length(role.assume_role_policy)]...) <= 1500
    error_message = "A trust policy has ${max([for role in values(aws_iam_role.rule) : length(role.assume_role_policy)]...)} characters, of the 2,048 that IAM takes."
  }

  # The central account has these, too, where it is a target
  assert {
    condition = alltrue([
      for other in ["first-rule", "first-rule-undo", "first-rule-reader", "first-rule-service", "second-rule-eu-west-1", "doctor"] :
      !can(regex(
        "^${replace(jsondecode(aws_iam_role.rule["first-rule"].assume_role_policy).Statement[0].Condition.ArnLike["aws:PrincipalArn"][0], "*", ".*")}$",
        "arn:aws:iam::111111111111:role/autoremediate-${other}",
      ))
    ])
    error_message = "A role that is not the rule's central one is trusted."
  }
}

run "more_operators_than_a_trust_policy_holds" {
  command = plan

  variables {
    operator_role_arns = [for number in range(12) : "arn:aws:iam::111111111111:role/aws-reserved/sso.amazonaws.com/ap-southeast-2/AWSReservedSSO_${number}_0123456789abcdef"]
  }

  expect_failures = [aws_iam_role.rule]
}

# The roles of people

run "nobody_undoes_or_reads" {
  assert {
    condition     = length(aws_iam_role.undo) + length(aws_iam_role.reader) == 0 && output.undo_role_names == {} && output.reader_role_names == {}
    error_message = "There are roles for people, and no people."
  }
}

run "people" {
  variables {
    operator_role_arns = ["arn:aws:iam::111111111111:role/security-engineer"]
    reader_role_arns   = ["arn:aws:iam::111111111111:role/auditor", "arn:aws:iam::111111111111:role/a/second"]
  }

  assert {
    condition = (
      output.undo_role_names == { first-rule = "autoremediate-first-rule-undo", second-rule = "autoremediate-second-rule-undo" } &&
      output.reader_role_names == { first-rule = "autoremediate-first-rule-reader", second-rule = "autoremediate-second-rule-reader" }
    )
    error_message = "The roles are ${jsonencode([output.undo_role_names, output.reader_role_names])}."
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.undo["first-rule"].policy).Statement == [
      { Sid = "Read1", Effect = "Allow", Action = ["ec2:DescribeVpcs"], Resource = "*" },
      { Sid = "Read2", Effect = "Allow", Action = ["s3:GetBucketAcl", "s3:GetBucketPublicAccessBlock"], Resource = "arn:aws:s3:::*" },
      {
        Sid       = "Undo1"
        Effect    = "Allow"
        Action    = ["s3:PutBucketPublicAccessBlock"]
        Resource  = "arn:aws:s3:::*"
        Condition = { StringEquals = { "s3:ResourceAccount" = "222222222222" } }
      },
      { Sid = "Undo2", Effect = "Allow", Action = ["ec2:CreateNetworkAclEntry"], Resource = "arn:aws:ec2:*:222222222222:network-acl/*" },
    ]
    error_message = "The policy is ${aws_iam_role_policy.undo["first-rule"].policy}."
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.reader["first-rule"].policy).Statement == [
      { Sid = "Read1", Effect = "Allow", Action = ["ec2:DescribeVpcs"], Resource = "*" },
      { Sid = "Read2", Effect = "Allow", Action = ["s3:GetBucketAcl", "s3:GetBucketPublicAccessBlock"], Resource = "arn:aws:s3:::*" },
    ]
    error_message = "The policy is ${aws_iam_role_policy.reader["first-rule"].policy}."
  }

  # Of the first rule's policies: only that of its own role fixes, and only that of the undo takes back
  assert {
    condition = (
      !strcontains(aws_iam_role_policy.rule["first-rule"].policy, "CreateNetworkAclEntry") &&
      !strcontains(aws_iam_role_policy.undo["first-rule"].policy, "CreateLogGroup") &&
      !strcontains(aws_iam_role_policy.undo["first-rule"].policy, "PassRole")
    )
    error_message = "A rule's role can undo, or the one that undoes can fix."
  }

  assert {
    condition = alltrue(flatten([
      for id in ["first-rule", "second-rule"] : [
        for trusted in [[aws_iam_role.undo[id], ["role/security-engineer"]], [aws_iam_role.reader[id], ["role/a/second", "role/auditor"]]] : [
          for statement in jsondecode(trusted[0].assume_role_policy).Statement :
          statement.Principal == { AWS = "arn:aws:iam::111111111111:root" } &&
          statement.Condition.ArnLike["aws:PrincipalArn"] == [for name in trusted[1] : "arn:aws:iam::111111111111:${name}"] &&
          (statement.Action == "sts:SetSourceIdentity" ? true : statement.Condition.StringEquals == { "sts:ExternalId" = "the-external-id" })
        ]
      ]
    ]))
    error_message = "Others than the operators undo, others than the readers read, or somebody does without the external ID."
  }

  assert {
    condition = alltrue([
      for role in values(aws_iam_role.rule) : !strcontains(role.assume_role_policy, "auditor") && strcontains(role.assume_role_policy, "security-engineer")
    ])
    error_message = "A reader may assume the role of a rule, or an operator may not."
  }
}

# The doctor's role

run "no_operator_no_doctor" {
  assert {
    condition     = output.doctor_role_name == null && length(aws_iam_role.doctor) == 0 && length(aws_iam_role_policy.doctor) == 0
    error_message = "There is a doctor's role, and nobody to take it."
  }
}

run "doctor" {
  variables {
    operator_role_arns = ["arn:aws:iam::111111111111:role/security-engineer", "arn:aws:iam::111111111111:role/another"]
  }

  assert {
    condition     = output.doctor_role_name == "autoremediate-doctor"
    error_message = "The doctor's role is ${jsonencode(output.doctor_role_name)}."
  }

  assert {
    condition = jsondecode(aws_iam_role.doctor["doctor"].assume_role_policy) == {
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "Assume"
          Effect    = "Allow"
          Principal = { AWS = "arn:aws:iam::111111111111:root" }
          Action    = "sts:AssumeRole"
          Condition = {
            ArnLike      = { "aws:PrincipalArn" = ["arn:aws:iam::111111111111:role/another", "arn:aws:iam::111111111111:role/security-engineer"] }
            StringEquals = { "sts:ExternalId" = "the-external-id" }
          }
        },
        {
          Sid       = "SetSourceIdentity"
          Effect    = "Allow"
          Principal = { AWS = "arn:aws:iam::111111111111:root" }
          Action    = "sts:SetSourceIdentity"
          Condition = {
            ArnLike = { "aws:PrincipalArn" = ["arn:aws:iam::111111111111:role/another", "arn:aws:iam::111111111111:role/security-engineer"] }
          }
        },
      ]
    }
    error_message = "The trust policy is ${aws_iam_role.doctor["doctor"].assume_role_policy}."
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.doctor["doctor"].policy) == {
      Version = "2012-10-17"
      Statement = [
        { Sid = "Roles", Effect = "Allow", Action = ["iam:GetRole", "iam:SimulatePrincipalPolicy"], Resource = ["arn:aws:iam::222222222222:role/autoremediate-*"] },
        { Sid = "NetskopesOwnRoles", Effect = "Allow", Action = ["iam:GetRole"], Resource = [
          "arn:aws:iam::222222222222:role/BPR-0-6-NACLTargetRole_*",
          "arn:aws:iam::222222222222:role/BPR-1-0-0-S3BucketPublicAccessTargetRole_*",
          "arn:aws:iam::222222222222:role/BPR-1-9-RedShiftClusterPublicTargetRole_*",
          "arn:aws:iam::222222222222:role/BPR-3-8-RDSSnapshotsPublicTargetRole_*",
          "arn:aws:iam::222222222222:role/CIS-1-2-0-1-4-AccessKeyRotationTargetRole_*",
          "arn:aws:iam::222222222222:role/CIS-1-2-0-2-2-CloudTrailLogFileTargetRole_*",
          "arn:aws:iam::222222222222:role/CIS-1-2-0-2-9-VPCFlowLogsRole_*",
          "arn:aws:iam::222222222222:role/CIS-1-2-0-2-9-VPCFlowLogsTargetRole_*",
          "arn:aws:iam::222222222222:role/CIS-1-2-0-4-1-SecurityGroupsTargetRole_*",
        ] },
        { Sid = "Runbooks", Effect = "Allow", Action = ["ssm:DescribeDocument"], Resource = ["arn:aws:ssm:*::document/AWS-FirstRunbook"] },
      ]
    }
    error_message = "The policy is ${aws_iam_role_policy.doctor["doctor"].policy}."
  }

  assert {
    condition     = aws_iam_role_policy.doctor["doctor"].role == "autoremediate-doctor"
    error_message = "The policy is not on the doctor's role."
  }
}

run "doctor_without_runbooks" {
  variables {
    operator_role_arns   = ["arn:aws:iam::111111111111:role/security-engineer"]
    name_prefix          = "acme-fix"
    permissions_boundary = "arn:aws:iam::222222222222:policy/boundary"
    tags                 = { owner = "security" }
    rules                = { lone-rule = { read = [], write = [], extra = [], undo = [], runbook = { name = "AWS-Elsewhere", missing_in = ["aws"] } } }
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.doctor["doctor"].policy).Statement[0] == {
      Sid = "Roles", Effect = "Allow", Action = ["iam:GetRole", "iam:SimulatePrincipalPolicy"], Resource = ["arn:aws:iam::222222222222:role/acme-fix-*"]
    } && [for of in jsondecode(aws_iam_role_policy.doctor["doctor"].policy).Statement : of.Sid] == ["Roles", "NetskopesOwnRoles"]
    error_message = "The policy is ${aws_iam_role_policy.doctor["doctor"].policy}."
  }

  assert {
    condition = (
      aws_iam_role.doctor["doctor"].name == "acme-fix-doctor" &&
      aws_iam_role.doctor["doctor"].permissions_boundary == "arn:aws:iam::222222222222:policy/boundary" &&
      aws_iam_role.doctor["doctor"].tags == tomap({ owner = "security" })
    )
    error_message = "The doctor's name, boundary or tags are wrong."
  }
}

run "prefix_boundary_and_tags" {
  variables {
    name_prefix          = "acme-fix"
    permissions_boundary = "arn:aws:iam::222222222222:policy/limits/boundary"
    tags                 = { owner = "cloud security" }
  }

  assert {
    condition = alltrue([
      for id, role in aws_iam_role.rule :
      role.name == "acme-fix-${id}" && role.permissions_boundary == "arn:aws:iam::222222222222:policy/limits/boundary" && role.tags == tomap({ owner = "cloud security" })
    ])
    error_message = "A role's name, boundary or tags are wrong."
  }

  assert {
    condition     = strcontains(aws_iam_role.rule["first-rule"].assume_role_policy, "role/acme-fix-first-rule-*-*-*")
    error_message = "The trust policy is ${aws_iam_role.rule["first-rule"].assume_role_policy}."
  }

  assert {
    condition     = strcontains(aws_iam_role_policy.rule["first-rule"].policy, "role/acme-fix-first-rule-service")
    error_message = "The policy is ${aws_iam_role_policy.rule["first-rule"].policy}."
  }
}

run "boundary_by_name" {
  command = plan

  variables {
    permissions_boundary = "limits/boundary"
  }

  assert {
    condition     = alltrue([for role in values(aws_iam_role.rule) : role.permissions_boundary == "arn:aws:iam::222222222222:policy/limits/boundary"])
    error_message = "The boundary is ${aws_iam_role.rule["first-rule"].permissions_boundary}."
  }
}

run "boundary_of_whichever_account_it_is" {
  command = plan

  variables {
    permissions_boundary = "arn:aws:iam::{account}:policy/boundary"
  }

  assert {
    condition     = alltrue([for role in concat(values(aws_iam_role.rule), values(aws_iam_role.service)) : role.permissions_boundary == "arn:aws:iam::222222222222:policy/boundary"])
    error_message = "The boundary is ${aws_iam_role.rule["first-rule"].permissions_boundary}."
  }
}

run "another_partition" {
  override_data {
    target = data.aws_partition.this
    values = { partition = "aws-us-gov" }
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.rule["first-rule"].policy).Statement[1].Resource == "arn:aws-us-gov:s3:::*"
    error_message = "The policy is ${aws_iam_role_policy.rule["first-rule"].policy}."
  }

  # The runbook is there
  assert {
    condition     = !strcontains(aws_iam_role_policy.rule["first-rule"].policy, "redshift:ModifyCluster")
    error_message = "The policy is ${aws_iam_role_policy.rule["first-rule"].policy}."
  }

  assert {
    condition     = jsondecode(aws_iam_role.rule["first-rule"].assume_role_policy).Statement[0].Principal.AWS == "arn:aws-us-gov:iam::111111111111:root"
    error_message = "The trust policy is ${aws_iam_role.rule["first-rule"].assume_role_policy}."
  }

  assert {
    condition = !strcontains(
      join("", [for id in keys(var.rules) : "${aws_iam_role.rule[id].assume_role_policy}${aws_iam_role_policy.rule[id].policy}"]),
      "arn:aws:",
    )
    error_message = "An ARN is of another partition."
  }

  assert {
    condition     = alltrue([for file in fileset(path.module, "*.tf") : !strcontains(file("${path.module}/${file}"), "arn:aws:")])
    error_message = "A partition is written out."
  }
}

run "partition_without_the_runbook" {
  override_data {
    target = data.aws_partition.this
    values = { partition = "aws-cn" }
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.rule["first-rule"].policy).Statement : statement if startswith(statement.Sid, "Directly")] == [
      { Sid = "Directly1", Effect = "Allow", Action = ["redshift:ModifyCluster"], Resource = "arn:aws-cn:redshift:*:222222222222:cluster:*" },
    ]
    error_message = "The policy is ${aws_iam_role_policy.rule["first-rule"].policy}."
  }
}

# The real manifests, whatever they are: what is allowed is what they list, no more and no less.

run "catalog" {
  command = plan

  module {
    source = "../catalog"
  }

  variables {
    rules = null
  }
}

run "the_manifests" {
  variables {
    rules              = run.catalog.rules
    operator_role_arns = ["arn:aws:iam::111111111111:role/security-engineer"]
    reader_role_arns   = ["arn:aws:iam::111111111111:role/auditor"]
  }

  assert {
    condition = alltrue(flatten([
      for id, manifest in run.catalog.rules : [
        for listed in [
          [aws_iam_role_policy.rule[id].policy, concat(manifest.read, manifest.write, manifest.extra)],
          [aws_iam_role_policy.undo[id].policy, concat(manifest.read, manifest.undo)],
          [aws_iam_role_policy.reader[id].policy, manifest.read],
          ] : toset(flatten([
            for statement in jsondecode(listed[0]).Statement :
            [for action in statement.Action : "${action} ${statement.Resource}"]
            ])) == toset([
            for permission in listed[1] :
            "${permission.action} ${replace(replace(replace(replace(permission.resource, "{partition}", "aws"), "{account}", "222222222222"), "{region}", "*"), "{prefix}", "autoremediate")}"
        ])
      ]
    ]))
    error_message = "A role does not allow what its manifest lists."
  }

  # What opens again is in no role that a Lambda may assume; what is the same action both ways is told in docs/decisions.md
  assert {
    condition = alltrue([
      for action in ["ec2:CreateNetworkAclEntry", "ec2:DeleteFlowLogs", "redshift:ModifyCluster", "cloudtrail:UpdateTrail"] :
      alltrue([for policy in aws_iam_role_policy.rule : !strcontains(policy.policy, action)]) &&
      anytrue([for policy in aws_iam_role_policy.undo : strcontains(policy.policy, action)])
    ])
    error_message = "A rule's own role can undo."
  }

  # A flow log that we did not make is nobody's to delete, and a bucket of another account nobody's to change
  assert {
    condition = alltrue(flatten([
      for policy in concat(values(aws_iam_role_policy.rule), values(aws_iam_role_policy.undo), values(aws_iam_role_policy.reader)) : [
        for statement in jsondecode(policy.policy).Statement : [
          for action in statement.Action :
          action == "ec2:DeleteFlowLogs" ? statement.Condition == { StringEquals = { "aws:ResourceTag/autoremediate" = "vpc-without-flow-logs" } } :
          startswith(action, "s3:") ? statement.Condition == { StringEquals = { "s3:ResourceAccount" = "222222222222" } } : true
        ]
      ]
    ]))
    error_message = "A flow log without our tag, or a bucket of another account, can be changed."
  }

  assert {
    condition = alltrue([
      for policy in concat(values(aws_iam_role_policy.rule), values(aws_iam_role_policy.undo), values(aws_iam_role_policy.reader)) :
      length(policy.policy) <= 10240 && length(regexall("[{][a-z]+[}]", policy.policy)) == 0
    ])
    error_message = "A policy is too long, or has a placeholder that is not known."
  }

  assert {
    condition     = alltrue([for role in concat(values(aws_iam_role.rule), values(aws_iam_role.service), values(aws_iam_role.undo), values(aws_iam_role.reader)) : length(role.name) <= 64])
    error_message = "A role's name is too long."
  }

  assert {
    condition = alltrue([
      for id, manifest in run.catalog.rules : contains(keys(aws_iam_role.service), id) == (try(manifest.service_role, null) != null)
    ])
    error_message = "A service role is missing, or one too many is there."
  }

  # A rule may pass its own service role on, and only to that role's service
  assert {
    condition = alltrue(flatten([
      for id, manifest in run.catalog.rules : [
        for statement in jsondecode(aws_iam_role_policy.rule[id].policy).Statement :
        statement.Resource == "arn:aws:iam::222222222222:role/${aws_iam_role.service[id].name}" &&
        statement.Condition == { StringEquals = { "iam:PassedToService" = manifest.service_role.service } }
        if contains(statement.Action, "iam:PassRole")
      ]
    ]))
    error_message = "A rule may pass on another role than its own, or to another service."
  }
}

# The same in GovCloud and in China: every ARN is of the partition, and what lacks a runbook is done directly

run "the_manifests_in_govcloud" {
  override_data {
    target = data.aws_partition.this
    values = { partition = "aws-us-gov" }
  }

  variables {
    rules                = run.catalog.rules
    operator_role_arns   = ["arn:aws-us-gov:iam::111111111111:role/security-engineer"]
    reader_role_arns     = ["arn:aws-us-gov:iam::111111111111:role/auditor"]
    permissions_boundary = "boundary"
  }

  assert {
    condition = toset(regexall("arn:[^:]*:", join("", concat(
      [for role in concat(values(aws_iam_role.rule), values(aws_iam_role.undo), values(aws_iam_role.reader), values(aws_iam_role.service), values(aws_iam_role.doctor)) : "${role.assume_role_policy}${role.permissions_boundary}"],
      [for policy in concat(values(aws_iam_role_policy.rule), values(aws_iam_role_policy.undo), values(aws_iam_role_policy.reader), values(aws_iam_role_policy.service), values(aws_iam_role_policy.doctor)) : policy.policy],
    )))) == toset(["arn:aws-us-gov:"])
    error_message = "An ARN is of another partition."
  }

  assert {
    condition = alltrue([
      for id, manifest in run.catalog.rules : alltrue([
        for permission in try(manifest.directly, []) :
        strcontains(aws_iam_role_policy.rule[id].policy, "\"${permission.action}\"") == contains(manifest.runbook.missing_in, "aws-us-gov")
      ])
    ])
    error_message = "A rule whose runbook is missing cannot do without it, or one that has it can."
  }

  assert {
    condition = [for of in jsondecode(aws_iam_role_policy.doctor["doctor"].policy).Statement : of.Resource if of.Sid == "Runbooks"] == [
      ["arn:aws-us-gov:ssm:*::document/AWS-DisablePublicAccessForSecurityGroup"],
    ]
    error_message = "The doctor looks for another runbook than those of the partition."
  }
}

run "the_manifests_in_china" {
  override_data {
    target = data.aws_partition.this
    values = { partition = "aws-cn" }
  }

  variables {
    rules                = run.catalog.rules
    operator_role_arns   = ["arn:aws-cn:iam::111111111111:role/security-engineer"]
    reader_role_arns     = ["arn:aws-cn:iam::111111111111:role/auditor"]
    permissions_boundary = "boundary"
  }

  assert {
    condition = toset(regexall("arn:[^:]*:", join("", concat(
      [for role in concat(values(aws_iam_role.rule), values(aws_iam_role.undo), values(aws_iam_role.reader), values(aws_iam_role.service), values(aws_iam_role.doctor)) : "${role.assume_role_policy}${role.permissions_boundary}"],
      [for policy in concat(values(aws_iam_role_policy.rule), values(aws_iam_role_policy.undo), values(aws_iam_role_policy.reader), values(aws_iam_role_policy.service), values(aws_iam_role_policy.doctor)) : policy.policy],
    )))) == toset(["arn:aws-cn:"])
    error_message = "An ARN is of another partition."
  }

  assert {
    condition = alltrue([
      for id, manifest in run.catalog.rules : alltrue([
        for permission in try(manifest.directly, []) :
        strcontains(aws_iam_role_policy.rule[id].policy, "\"${permission.action}\"") == contains(manifest.runbook.missing_in, "aws-cn")
      ])
    ])
    error_message = "A rule whose runbook is missing cannot do without it, or one that has it can."
  }

  # The principals of these services are the same in China
  assert {
    condition     = alltrue([for role in values(aws_iam_role.service) : endswith(jsondecode(role.assume_role_policy).Statement[0].Principal.Service, ".amazonaws.com")])
    error_message = "A service role trusts a service by another name."
  }
}

# Both roots in one account, where the central account is a target: no two roles of one name, and no pattern of a central
# role that one of the target's roles has

run "in_the_central_account" {
  override_data {
    target = data.aws_caller_identity.this
    values = { account_id = "111111111111" }
  }

  variables {
    rules              = run.catalog.rules
    operator_role_arns = ["arn:aws:iam::111111111111:role/security-engineer"]
    reader_role_arns   = ["arn:aws:iam::111111111111:role/auditor"]
  }

  assert {
    condition = length(setintersection(
      [for role in concat(values(aws_iam_role.rule), values(aws_iam_role.undo), values(aws_iam_role.reader), values(aws_iam_role.service), values(aws_iam_role.doctor)) : role.name],
      flatten([for region in ["eu-west-1", "us-gov-west-1", "cn-north-1"] : [for id in concat(keys(run.catalog.rules), ["poller", "scheduler"]) : "autoremediate-${id}-${region}"]]),
    )) == 0
    error_message = "A role of the target has the name of one of the central deployment."
  }

  assert {
    condition = alltrue(flatten([
      for id in keys(run.catalog.rules) : [
        for role in concat(values(aws_iam_role.rule), values(aws_iam_role.undo), values(aws_iam_role.reader), values(aws_iam_role.service), values(aws_iam_role.doctor)) :
        !can(regex("^autoremediate-${id}-.*-.*-.*$", role.name))
      ]
    ]))
    error_message = "A role of the target is trusted as a central role."
  }
}
