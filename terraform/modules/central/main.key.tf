# The customer's key, if there is one: for the secret, the bucket, the logs, the queues and the topics. Whoever writes to
# the bucket or the failure queue needs it as well. CloudWatch Logs and EventBridge use it by the key's own policy.

locals {
  # By the services through which it is used. Their names differ in other partitions by what comes last.
  key_statements = {
    for sid, services in { BucketKey = ["s3"], QueueKey = ["sqs"], Key = ["s3", "sqs"] } : sid => [
      for key in var.kms_key_arn == null ? [] : [var.kms_key_arn] : {
        Sid       = sid
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = [key]
        Condition = { StringLike = { "kms:ViaService" = [for service in services : "${service}.${local.region}.*"] } }
      }
    ]
  }
}
