# What people may do with the bucket, and whose roles they may take in the target accounts: policies to attach to their own
# roles. Whoever may make and apply plans cannot approve any: give one person both policies only on purpose. Whoever retries
# what failed needs neither.

locals {
  # The roles of Netskope's own stack, <name>_<region>: doctor says whether they are still here
  netskope_roles = [
    "BPR-0-6-NACLLambdaRole",
    "BPR-1-0-0-S3BucketPublicAccessLambdaRole",
    "BPR-1-9-RedShiftClusterPublicLambdaRole",
    "BPR-3-8-RDSSnapshotsPublicLambdaRole",
    "CIS-1-2-0-1-4-AccessKeyRotationLambdaRole",
    "CIS-1-2-0-2-2-CloudTrailLogFileLambdaRole",
    "CIS-1-2-0-2-9-VPCFlowLogsLambdaRole",
    "CIS-1-2-0-4-1-SecurityGroupsLambdaRole",
    "GetNetskopeCSPMResultsLFRole",
  ]

  # To read a message is to hide it for a while, and to give it back is to change that. A rule's Lambda works on what is in the
  # bucket, whoever invokes it; the poller is invoked by its schedules alone
  retry_statements = [
    {
      Sid      = "Queue"
      Effect   = "Allow"
      Action   = ["sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage"]
      Resource = [local.queue_arns.failure, local.queue_arns.too_old]
    },
    {
      Sid      = "Retry"
      Effect   = "Allow"
      Action   = ["lambda:InvokeFunction"]
      Resource = [for id in keys(var.rules) : "arn:${local.partition}:lambda:${local.region}:${local.account}:function:${local.function_names[id]}"]
    },
  ]

  people = {
    approver = {
      description = "autoremediate: reads plans, reports and cards, and approves plans"
      bucket      = []
      roles       = []
      targets     = []
    }
    operator = {
      description = "autoremediate: plans, applies and undoes from the command line"
      bucket      = ["s3:GetBucketNotification"] # for doctor
      roles       = local.netskope_roles         # for doctor
      targets = concat(
        flatten([for id in keys(var.rules) : ["${var.name_prefix}-${id}", "${var.name_prefix}-${id}-undo"]]),
        ["${var.name_prefix}-doctor"],
      )
    }
    pauser = {
      description = "autoremediate: pauses and resumes, and sees what is in effect"
      bucket      = []
      roles       = []
      targets     = []
    }
    reader = {
      description = "autoremediate: reads findings, plans, reports and cards, and writes nothing"
      bucket      = []
      roles       = []
      targets     = [for id in keys(var.rules) : "${var.name_prefix}-${id}-reader"]
    }
    retrier = {
      description = "autoremediate: sees, retries and drops what is in the failure queue and what was too old"
      bucket      = []
      roles       = []
      targets     = []
    }
  }
}

resource "aws_iam_policy" "person" {
  for_each = local.people

  name        = "${var.name_prefix}-${each.key}-${local.region}"
  description = "${each.value.description}, in ${local.region}"
  tags        = var.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid    = "Read"
        Effect = "Allow"
        Action = ["s3:GetObject"]
        Resource = concat(
          [for key in local.readable_objects[each.key] : "${local.bucket_arn}/${key}"],
          [for prefix in local.readable[each.key] : "${local.bucket_arn}/${prefix}*"],
        )
      },
      local.list_bucket,
      ], [
      for resources in [[for prefix in local.writable[each.key] : "${local.bucket_arn}/${prefix}*"]] : {
        Sid      = "Write"
        Effect   = "Allow"
        Action   = local.put_action
        Resource = resources
      } if length(resources) > 0
      ], [
      for keys in [local.replaceable[each.key]] : {
        Sid      = "Pause"
        Effect   = "Allow"
        Action   = ["s3:PutObject"]
        Resource = [for key in keys : "${local.bucket_arn}/${key}"]
      } if length(keys) > 0
      ], [
      # Who only reads does not encrypt
      for statement in each.key == "retrier" ? local.key_statements.Key : local.key_statements.BucketKey :
      merge(statement, length(concat(local.writable[each.key], local.replaceable[each.key])) > 0 ? {} : { Action = ["kms:Decrypt"] })
      ], [
      for action in each.value.bucket : {
        Sid      = "Bucket"
        Effect   = "Allow"
        Action   = [action]
        Resource = [local.bucket_arn]
      }
      ], [
      for names in [each.value.roles] : {
        Sid      = "NetskopesOwnRoles"
        Effect   = "Allow"
        Action   = ["iam:GetRole"]
        Resource = [for name in names : "arn:${local.partition}:iam::${local.account}:role/${name}_*"]
      } if length(names) > 0
      ], [
      # Which of them lets the caller in is said by each account's own roles: operator_role_arns and reader_role_arns there
      for names in [each.value.targets] : {
        Sid      = "Targets"
        Effect   = "Allow"
        Action   = ["sts:AssumeRole", "sts:SetSourceIdentity"]
        Resource = [for name in names : "arn:${local.partition}:iam::*:role/${name}"]
      } if length(names) > 0
      ], [
      # A pause of everything is told by whoever pauses; and messages are tested
      for statement in local.message_statements : statement if contains(["operator", "pauser"], each.key)
      ], [
      for statement in local.retry_statements : statement if each.key == "retrier"
    ])
  })
}
