# The modules validate these values and say what is wrong with them.

variable "region" {
  type        = string
  description = "Code of the region to deploy in. Null means the region of the environment."
  default     = null

  validation {
    condition     = var.region == null ? true : can(regex("^[a-z]{2,}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "A region must be a code, such as eu-west-1."
  }
}

variable "netskope_tenant" {
  type        = string
  description = "Domain name of the Netskope tenant, such as acme.goskope.com."
  nullable    = false
}

variable "netskope_token" {
  type        = string
  description = "Token for the Netskope API. It is stored in no plan and no state."
  nullable    = false
  ephemeral   = true
  sensitive   = true
}

variable "home_region" {
  type        = string
  description = "Code of the region whose deployment fixes resources that have no region, such as IAM users. Must be the same in the deployments of all regions."
  nullable    = false
}

variable "external_id" {
  type        = string
  description = "External ID to send when assuming a role of a target account. Must be the same in the target accounts."
  nullable    = false
}

variable "rules" {
  type        = set(string)
  description = "IDs of the rules to enable, such as `s3-public-bucket`. Null enables all rules."
  default     = null
}

variable "further_rules" {
  type        = set(string)
  description = "Paths of the manifests (rule.json) of rules of your own, which are outside of this repository. The package of each must be in package_dir, and the target accounts need the same manifests."
  default     = []
  nullable    = false
}

variable "netskope_token_version" {
  type        = number
  description = "Increase this number to write a new token to the secret: Terraform cannot see that the token has changed."
  default     = 1
  nullable    = false
}

variable "netskope_endpoint" {
  type        = string
  description = "Base URL of the Netskope API, if it is reached by a proxy or replaced in a test. Null means https:// and the tenant."
  default     = null
}

variable "regions" {
  type        = set(string)
  description = "Codes of the regions whose resources this deployment looks after. Null means the one that it is deployed in. No other deployment of this account may look after any of them."
  default     = null
}

variable "schedule" {
  type        = string
  description = "When to poll for each rule: a rate(…) or cron(…) expression of EventBridge Scheduler, in UTC. Null means every 30 minutes, each rule at minutes of its own, so that the pollers keep to what Netskope takes from a tenant."
  default     = null
}

variable "schedules" {
  type        = map(string)
  description = "Schedules by rule ID, for rules that should not follow `schedule`."
  default     = {}
  nullable    = false
}

variable "policy" {
  type        = any
  description = "What the rules may do: modes, settings, exemptions and limits. Stored as policy.json. By default every rule only plans and changes nothing."
  default     = {}
  nullable    = false
}

variable "architecture" {
  type        = string
  description = "Architecture of the Lambdas and of their packages: \"x86_64\" or \"arm64\"."
  default     = "x86_64"
  nullable    = false
}

variable "package_dir" {
  type        = string
  description = "Folder with the packages: <architecture>/poller.zip and <architecture>/<rule ID>.zip. Null means the repository's dist."
  default     = null
}

variable "name_prefix" {
  type        = string
  description = "First part of the name of every resource. Must be the same in the target accounts."
  default     = "autoremediate"
  nullable    = false
}

variable "permissions_boundary" {
  type        = string
  description = "Name of the policy to set as the permissions boundary of every role, which each account has, with its path if it has one; or its ARN, in which {account} stands for the account that the role is in. Null sets none."
  default     = null
}

variable "kms_key_arn" {
  type        = string
  description = "ARN of the KMS key that encrypts the secret, the bucket, the logs, the queues and the topics of messages; of your topics in alarm_actions, only you can. Its key policy must let the account's IAM policies decide, and let logs.<region>.amazonaws.com and events.amazonaws.com encrypt with it. Access logs are encrypted by S3's own keys, because S3 delivers them to no others. Null means the keys of AWS."
  default     = null
}

variable "reserved_concurrency" {
  type        = number
  description = "Concurrent executions to reserve for the Lambda of each rule, which cannot use more. Null reserves none and sets no limit."
  default     = null
}

variable "poller_reserved_concurrency" {
  type        = number
  description = "Concurrent executions to reserve for the poller, which cannot use more: so many rules are polled for at the same time, and the others wait. Null reserves none and sets no limit."
  default     = null
}

variable "maximum_event_age" {
  type        = number
  description = "For how many seconds a batch may wait until the Lambda of its rule has room for it, 60 to 21,600: the time between two polls. Then it is dropped, and the next poll hands on again what is still listed. Meanwhile no poll hands on what is in it. An approval waits no longer either, but is then a failure that somebody is told of."
  default     = 1800
  nullable    = false
}

variable "poll_limits" {
  type        = map(number)
  description = "How much one poll of a rule takes at most, whatever Netskope sends: `rows` (200,000) and `bytes` (1 GiB) of its lists, `batches` that it writes (1,000), each of which starts the rule's Lambda, findings in a batch (`batch_size`, 200), and requests for what has passed (`passed_requests`, 20), for so many days after a fix (`passed_days`, 7). What is not named is as in brackets. A poll that reaches a limit fails, says which, and hands on what it has read."
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.poll_limits), ["rows", "bytes", "batches", "batch_size", "passed_requests", "passed_days"])) == 0
    error_message = "poll_limits has no ${join(", ", setsubtract(keys(var.poll_limits), ["rows", "bytes", "batches", "batch_size", "passed_requests", "passed_days"]))}: it has rows, bytes, batches, batch_size, passed_requests and passed_days."
  }
}

variable "log_retention_days" {
  type        = number
  description = "For how many days to keep the logs of the Lambdas."
  default     = 90
  nullable    = false
}

variable "findings_retention_days" {
  type        = number
  description = "For how many days to keep batches of findings."
  default     = 30
  nullable    = false
}

variable "record_retention_days" {
  type        = number
  description = "For how many days to keep plans, reports and approvals: plans and reports a week longer, because for up to a week a later report names them instead of saying the same again. A fix cannot be undone once its plan is gone. The card of a resource (its recent fixes, a waiting plan, an undo's exemption) is kept for as long after its last change, and never less than 30 days, the fight window or approval_hours."
  default     = 365
  nullable    = false
}

variable "force_destroy" {
  type        = bool
  description = "Whether `terraform destroy` deletes the secret at once, and the bucket with all its records. For demonstrations."
  default     = false
  nullable    = false
}

variable "organization" {
  type        = any
  description = "That the organizational units and tags of accounts, which the policy's overrides and scope name, come from AWS Organizations: an object, all of whose keys can be left out. The poller reads them again every refresh_hours (6); after max_age_days (7) without success, what depends on them is held. reader_role_arn is the role of the management account that the poller assumes for that, with external_id. Without one, this account must be the management account, a delegated administrator, or named in the organization's delegation policy. Null asks Organizations for nothing."
  default     = null

  validation {
    condition     = length(setsubtract(try(keys(var.organization), []), ["reader_role_arn", "external_id", "refresh_hours", "max_age_days"])) == 0
    error_message = "organization has no ${join(", ", setsubtract(try(keys(var.organization), []), ["reader_role_arn", "external_id", "refresh_hours", "max_age_days"]))}: it has reader_role_arn, external_id, refresh_hours and max_age_days."
  }
}

variable "organization_check" {
  type        = bool
  description = "Whether to warn if this account is the management account of its organization. Needs organizations:DescribeOrganization. Set it to false in an account that belongs to no organization."
  default     = true
  nullable    = false
}

variable "tags" {
  type        = map(string)
  description = "Tags for every resource, in addition to the provider's default tags."
  default     = {}
  nullable    = false
}
