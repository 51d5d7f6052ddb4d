# The poller and one Lambda for each enabled rule. They differ only in their environment and their permissions.

locals {
  functions = merge(
    {
      poller = {
        description = "autoremediate: reads findings from Netskope"
        memory_size = 256
        concurrency = var.poller_reserved_concurrency
        environment = merge(
          {
            NETSKOPE_TENANT  = var.netskope_tenant
            TOKEN_SECRET_ARN = aws_secretsmanager_secret.token.arn
            POLL_LIMITS      = jsonencode(var.poll_limits)
            EVENT_AGE        = var.maximum_event_age
            # glibc would raise it to the size of a page of findings, and then cut pages out of its heap, where they leave holes:
            # a long list would take half as much memory again
            MALLOC_MMAP_THRESHOLD_ = 131072
          },
          var.netskope_deployments.count == 1 ? {} : {
            NETSKOPE_DEPLOYMENTS = jsonencode({ place = var.netskope_deployments.this - 1, of = var.netskope_deployments.count })
          },
          var.netskope_endpoint == null ? {} : { NETSKOPE_ENDPOINT = var.netskope_endpoint },
          length(var.netskope_profiles) + length(var.netskope_policies) == 0 ? {} : {
            NETSKOPE_FILTERS = jsonencode({ profiles = var.netskope_profiles, policies = var.netskope_policies })
          },
          local.organization_environment,
        )
        statements = concat(
          [
            {
              Sid      = "Token"
              Effect   = "Allow"
              Action   = ["secretsmanager:GetSecretValue"]
              Resource = [aws_secretsmanager_secret.token.arn]
            },
            {
              Sid    = "Read"
              Effect = "Allow"
              Action = ["s3:GetObject"]
              Resource = concat(
                [for key in local.readable_objects.poller : "${local.bucket_arn}/${key}"],
                [for prefix in local.readable.poller : "${local.bucket_arn}/${prefix}*"],
                ["${local.bucket_arn}/${local.awaited_closures}"],
              )
            },
            # Where no fix waits, where the organization was never read, and before the first rescan, there is no object
            local.list_bucket,
            {
              Sid    = "Write"
              Effect = "Allow"
              Action = ["s3:PutObject"]
              Resource = concat(
                [for key in local.replaceable.poller : "${local.bucket_arn}/${key}"],
                [for prefix in local.writable.poller : "${local.bucket_arn}/${prefix}*"],
              )
            },
          ],
          local.organization_statements,
          [
            for key in var.kms_key_arn == null ? [] : [var.kms_key_arn] : {
              Sid       = "TokenKey"
              Effect    = "Allow"
              Action    = ["kms:Decrypt"]
              Resource  = [key]
              Condition = { StringEquals = { "kms:EncryptionContext:SecretARN" = aws_secretsmanager_secret.token.arn } }
            }
          ],
        )
      }
    },
    {
      for id, rule in var.rules : id => {
        description = "autoremediate: ${rule.title}"
        # Lambda gives a share of a processor by it, which a batch of 200 needs: with half of it, twice the time for the same price
        memory_size = 512
        concurrency = var.reserved_concurrency
        environment = merge(
          {
            TARGET_ROLE_NAME = "${var.name_prefix}-${id}"
            EXTERNAL_ID      = var.external_id
            POLICY_DIGEST    = local.policy_digest
          },
          { for name in var.event_bus_name[*] : "EVENT_BUS" => name },
        )
        statements = [
          # With s3:ListBucket, see list_bucket in main.folders.tf: one statement leaves the scope's accounts more room
          {
            Sid    = "Read"
            Effect = "Allow"
            Action = concat(["s3:GetObject"], local.list_bucket.Action)
            Resource = concat(
              local.list_bucket.Resource,
              [for key in local.readable_objects.rule : "${local.bucket_arn}/${key}"],
              [for prefix in local.readable.rule : "${local.bucket_arn}/${prefix}${id}/*"],
            )
          },
          # With the messages, for the same reason
          {
            Sid    = "Write"
            Effect = "Allow"
            Action = concat(local.put_action, [for arn in local.event_bus_arns : "events:PutEvents"])
            Resource = concat(
              [for prefix in local.writable.rule : "${local.bucket_arn}/${prefix}${id}/*"],
              local.event_bus_arns,
            )
          },
          {
            Sid      = "Target"
            Effect   = "Allow"
            Action   = ["sts:AssumeRole", "sts:SetSourceIdentity"]
            Resource = ["arn:${local.partition}:iam::*:role/${var.name_prefix}-${id}"]
            # Each operator with its keys; what there is of the scope must all hold
            Condition = { for operator, keys in local.scope_conditions : operator => keys if length(keys) > 0 }
          },
        ]
      }
    },
  )

  function_names = { for key in keys(local.functions) : key => "${var.name_prefix}-${key}" }
  log_groups     = { for key, name in local.function_names : key => "/aws/lambda/${name}" }
  packages       = { for key in keys(local.functions) : key => "${var.package_dir}/${var.architecture}/${key}.zip" }

  # What a role may do only in the code of its own function, so that its session is of no use to whoever else gets one.
  # Only in these Allow statements: Lambda itself, which tells of failures, and the services that call KMS for a
  # function, carry no such key, and neither do trust policies or bucket policies know it.
  # https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
  own_function_services = ["events", "s3", "secretsmanager", "sts"]
  own_functions = {
    for key, name in local.function_names : key => {
      ArnEquals = { "lambda:SourceFunctionArn" = "arn:${local.partition}:lambda:${local.region}:${local.account}:function:${name}" }
    }
  }

  function_policies = {
    for key, function in local.functions : key => jsonencode({
      Version = "2012-10-17"
      Statement = concat(
        [
          for statement in function.statements : merge(
            statement,
            alltrue([for action in statement.Action : contains(local.own_function_services, split(":", action)[0])]) ? {
              Condition = merge(try(statement.Condition, {}), local.own_functions[key])
            } : {},
          )
        ],
        [
          {
            Sid      = "Logs"
            Effect   = "Allow"
            Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
            Resource = ["arn:${local.partition}:logs:${local.region}:${local.account}:log-group:${local.log_groups[key]}:*"]
          },
          {
            Sid      = "Failures"
            Effect   = "Allow"
            Action   = [key == "poller" ? "sqs:SendMessage" : "events:PutEvents"]
            Resource = [key == "poller" ? local.queue_arns.failure : local.failure_bus_arn]
          },
        ],
        key == "poller" ? local.key_statements.Key : local.key_statements.BucketKey,
        [for statement in local.network_statements[key] : jsondecode(statement)],
      )
    })
  }
}

resource "aws_cloudwatch_log_group" "function" {
  # checkov:skip=CKV_AWS_158:CloudWatch encrypts every log group; a key of your own is a choice, not a default
  # checkov:skip=CKV_AWS_338:What was done is recorded in the bucket, for a year; how long logs are kept is log_retention_days

  for_each = local.log_groups

  name              = each.value
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

resource "aws_iam_role" "function" {
  for_each = local.function_names

  name                 = "${each.value}-${local.region}"
  description          = "autoremediate: the Lambda ${each.value} in ${local.region}"
  permissions_boundary = local.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })

  lifecycle {
    precondition {
      condition     = length(local.clashing_tags) == 0
      error_message = "IAM takes no two tags whose keys differ in capitals alone; of `tags` and of the provider's default tags these do: ${join("; ", local.clashing_tags)}."
    }
  }
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions

  name = "function"
  role = aws_iam_role.function[each.key].name

  policy = local.function_policies[each.key]

  lifecycle {
    precondition {
      condition     = length(local.function_policies[each.key]) <= 10240
      error_message = "The policy of ${local.function_names[each.key]} has ${length(local.function_policies[each.key])} characters, and IAM takes 10,240: name fewer accounts in the scope of the policy, or an organization or its units instead."
    }
  }
}

resource "aws_lambda_function" "function" {
  # checkov:skip=CKV_AWS_116:Failures go to the queues by the on_failure destination, which says more than a dead letter queue
  # checkov:skip=CKV_AWS_117:It calls public APIs of AWS and of Netskope only; where a network asks for a VPC, `vpc` names one
  # checkov:skip=CKV_AWS_272:source_code_hash pins the package to the one that was planned; a signing profile is the account's own
  # checkov:skip=CKV_AWS_173:Lambda encrypts the environment, which holds names and no secret: the token is in Secrets Manager
  # checkov:skip=CKV_AWS_50:The run's ID leads from log to report to CloudTrail; traces would be paid for and tell no more

  for_each = local.functions

  function_name                  = local.function_names[each.key]
  description                    = each.value.description
  role                           = aws_iam_role.function[each.key].arn
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [var.architecture]
  memory_size                    = each.value.memory_size
  timeout                        = 900
  reserved_concurrent_executions = each.value.concurrency == null ? -1 : each.value.concurrency
  filename                       = local.packages[each.key]
  source_code_hash               = fileexists(local.packages[each.key]) ? filebase64sha256(local.packages[each.key]) : null
  layers                         = var.ca_bundle[*].layer_arn
  tags                           = var.tags

  environment {
    variables = merge(each.value.environment, {
      BUCKET                       = local.bucket
      BUCKET_OWNER                 = local.account
      REGIONS                      = join(",", local.regions)
      HOME_REGION                  = var.home_region
      METRICS_NAMESPACE            = var.name_prefix
      RUST_LOG                     = "info"
      AWS_LC_SYS_NO_JITTER_ENTROPY = "1"
    }, local.object_lock, local.network_environment)
  }

  dynamic "vpc_config" {
    for_each = var.vpc[*]

    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  lifecycle {
    precondition {
      condition     = fileexists(local.packages[each.key])
      error_message = "The package ${local.packages[each.key]} does not exist. Build the packages for ${var.architecture}, or set package_dir."
    }

    precondition {
      condition     = alltrue([for bundle in var.ca_bundle[*] : split(":", bundle.layer_arn)[3] == local.region])
      error_message = "The layer in ca_bundle is not in ${local.region}: a function takes layers of its own region only."
    }

    # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    precondition {
      condition     = length(jsonencode(local.network_environment)) <= 2048
      error_message = "HTTPS_PROXY, NO_PROXY and AWS_CA_BUNDLE have ${length(jsonencode(local.network_environment))} characters. A function has room for 4 KB of environment variables in all: name fewer or shorter entries in proxy.no_proxy, such as one domain for all hosts below it."
    }
  }

  # A log group that Lambda creates itself would keep its logs for ever; and nothing is told of a region that another
  # deployment looks after
  depends_on = [aws_cloudwatch_log_group.function, aws_iam_role_policy.function, aws_iam_policy.region]
}

resource "aws_lambda_function_event_invoke_config" "function" {
  for_each = local.functions

  function_name = aws_lambda_function.function[each.key].function_name

  # A rule's retry is the same run: it goes on with the claims of the attempt that died, and an approval comes with no
  # poll that would. The poller's retry is its next poll.
  maximum_retry_attempts = each.key == "poller" ? 0 : 2

  # What waits for longer, the next poll has listed again, and hands it on again
  maximum_event_age_in_seconds = each.key == "poller" ? null : var.maximum_event_age

  destination_config {
    on_failure {
      destination = each.key == "poller" ? local.queue_arns.failure : local.failure_bus_arn
    }
  }

  # Without them, a first record would be lost
  depends_on = [aws_sqs_queue.queue, aws_cloudwatch_event_target.failures]
}
