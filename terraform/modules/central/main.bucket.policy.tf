# Who may write what, by the bucket's own policy: whatever IAM policies say, a record is put only by the roles that have to
# write it, so that a record is worth what its author is worth.
#
# Invariants:
# - every statement is a Deny. What a role may do is still for its own policies to allow;
# - the policy denies what is done to objects, and whatever comes without TLS. It never denies s3:PutBucketPolicy to a
#   caller who uses TLS, so that nobody is locked out for good;
# - a writer is known by aws:PrincipalArn, which for a session is the ARN of its role, with the role's path. AWS services
#   have none, so they put nothing here: access logs have a bucket of their own;
# - what is not in main.folders.tf cannot be written to.
#
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html

locals {
  # Built from names, like every ARN here, so that a plan shows the whole policy
  role_arns = {
    for key, name in local.function_names : key => "arn:${local.partition}:iam::${local.account}:role/${name}-${local.region}"
  }

  # Whoever applies this. The ARN of a session does not tell the path of its role, but an account has only one role of a
  # name, whatever its path.
  deployer_name = try(one(regex("^arn:[a-z-]+:sts::[0-9]{12}:assumed-role/([^/]+)/", data.aws_caller_identity.this.arn)), null)
  deployer = local.deployer_name == null ? [data.aws_caller_identity.this.arn] : [
    for path in ["", "*/"] : "arn:${local.partition}:iam::${local.account}:role/${path}${local.deployer_name}"
  ]

  writers = {
    poller        = [local.role_arns.poller]
    rule          = [for id in keys(var.rules) : local.role_arns[id]]
    approver      = sort(var.approver_role_arns)
    operator      = sort(var.operator_role_arns)
    pauser        = sort(var.pauser_role_arns)
    policy_writer = length(var.policy_writer_role_arns) > 0 ? sort(var.policy_writer_role_arns) : local.deployer
  }

  # What each combination of writers may put
  writable_objects = {
    for of in concat(
      [for folder, of in local.undivided : { writers = join(" ", of.writers), objects = "${local.prefixes[folder]}*" }],
      [for prefix in local.rule_ledgers : { writers = "rule", objects = "${prefix}*" }],
      [{ writers = "operator", objects = "${local.command_line_ledgers}*" }],
      [for of in values(local.objects) : { writers = join(" ", of.writers), objects = of.key }],
    ) : of.writers => "${local.bucket_arn}/${of.objects}"...
  }

  # Who may put an object may put it with a retention, where one is asked for
  put_action = var.object_lock == null ? ["s3:PutObject"] : ["s3:PutObject", "s3:PutObjectRetention"]

  # A plan, a report or an approval without a retention is refused, and so is a retention of anything else: what is
  # replaced or expires early must not be kept. To put an object with a retention, the caller needs both actions.
  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
  lockable_objects = [for prefix in values(local.lockable) : "${local.bucket_arn}/${prefix}*"]
  lock_statements = [
    for statement in [
      {
        Sid       = "Retained"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = local.lockable_objects
        Condition = { Null = { "s3:object-lock-mode" = "true" } }
      },
      {
        Sid         = "NothingElseRetained"
        Effect      = "Deny"
        Principal   = "*"
        Action      = "s3:PutObjectRetention"
        NotResource = local.lockable_objects
      },
    ] : jsonencode(statement) if var.object_lock != null
  ]

  put_statements = [
    for writers, objects in local.writable_objects : merge(
      {
        Sid       = join("", ["Only", replace(title(replace(writers, "_", " ")), " ", "")])
        Effect    = "Deny"
        Principal = "*"
        Action    = local.put_action
        Resource  = objects
      },
      # Without a condition where there is nobody: a list of no ARNs is no condition
      {
        for condition in [flatten([for who in split(" ", writers) : local.writers[who]])] :
        "Condition" => { ArnNotLike = { "aws:PrincipalArn" = condition } } if length(condition) > 0
      },
    )
  ]

  # A rule's role is one of the writers of several folders, and puts only below its own ID
  rule_statements = [
    for id in keys(var.rules) : {
      Sid         = "Rule${replace(title(replace(id, "-", " ")), " ", "")}"
      Effect      = "Deny"
      Principal   = "*"
      Action      = local.put_action
      NotResource = [for prefix in local.writable.rule : "${local.bucket_arn}/${prefix}${id}/*"]
      Condition   = { ArnLike = { "aws:PrincipalArn" = local.role_arns[id] } }
    }
  ]

  # Neither a copy nor a part of a multipart upload has these headers, so an object is put whole
  condition_statements = [
    for sid, of in {
      Once        = { once = true, absent = ["s3:if-none-match"] }
      OnCondition = { once = false, absent = ["s3:if-none-match", "s3:if-match"] }
      } : {
      Sid       = sid
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:PutObject"
      Resource = concat(
        [for folder, has in local.folders : "${local.bucket_arn}/${local.prefixes[folder]}*" if has.once == of.once],
        [for object in values(local.objects) : "${local.bucket_arn}/${object.key}" if object.on_condition && !of.once],
      )
      Condition = { Null = { for key in of.absent : key => "true" } }
    }
  ]

  bucket_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid       = "TlsOnly"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:*"
          Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
        {
          Sid         = "NowhereElse"
          Effect      = "Deny"
          Principal   = "*"
          Action      = "s3:PutObject"
          NotResource = sort(flatten(values(local.writable_objects)))
        },
        # Nothing of this is done by anybody. A replication of another bucket to this one needs no s3:PutObject.
        {
          Sid       = "NothingElse"
          Effect    = "Deny"
          Principal = "*"
          Action = concat(var.object_lock == null ? ["s3:PutObjectRetention"] : [], [
            "s3:ObjectOwnerOverrideToBucketOwner",
            "s3:PutObjectAcl",
            "s3:PutObjectTagging",
            "s3:PutObjectVersionAcl",
            "s3:PutObjectVersionTagging",
            "s3:ReplicateDelete",
            "s3:ReplicateObject",
            "s3:ReplicateTags",
          ])
          Resource = ["${local.bucket_arn}/*"]
        },
      ],
      # The lifecycle of the bucket expires what is old, whatever this says
      [
        for deletes in [false] : {
          Sid       = "NobodyDeletes"
          Effect    = "Deny"
          Principal = "*"
          Action = [
            "s3:BypassGovernanceRetention",
            "s3:DeleteObject",
            "s3:DeleteObjectTagging",
            "s3:DeleteObjectVersion",
            "s3:DeleteObjectVersionTagging",
            "s3:PutObjectLegalHold",
          ]
          Resource = ["${local.bucket_arn}/*"]
        } if var.force_destroy == deletes
      ],
      local.put_statements,
      local.rule_statements,
      local.condition_statements,
      [for statement in local.lock_statements : jsondecode(statement)],
    )
  })
}

resource "aws_s3_bucket_policy" "this" {
  bucket = aws_s3_bucket.this.id
  policy = local.bucket_policy

  lifecycle {
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html
    precondition {
      condition     = length(local.bucket_policy) <= 20480
      error_message = "The bucket's policy has ${length(local.bucket_policy)} bytes, and S3 takes 20,480. Name fewer roles in approver_role_arns, operator_role_arns, pauser_role_arns and policy_writer_role_arns, such as one role that several people may assume."
    }

    precondition {
      condition = alltrue([
        for arn in setunion(var.approver_role_arns, var.operator_role_arns, var.pauser_role_arns, var.policy_writer_role_arns) :
        try(split(":", arn)[4], "") == local.account
      ])
      error_message = "The roles of approvers, operators, pausers and policy writers must belong to the account of the bucket, ${local.account}."
    }
  }

  # S3 refuses two changes of a bucket's access at a time
  depends_on = [aws_s3_bucket_public_access_block.this]
}
