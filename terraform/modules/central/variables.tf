variable "rules" {
  type = map(object({
    title    = string
    controls = optional(list(object({ rule_names = list(string), short_name = string })), [])
  }))
  description = "The enabled rules by rule ID, each with its manifest, as the catalog module returns them."
  nullable    = false

  validation {
    condition     = length(var.rules) > 0
    error_message = "At least one rule must be enabled."
  }

  # The poller has the controls of the others in it
  validation {
    condition     = alltrue([for id, rule in var.rules : contains(module.catalog.built_in, id) || length(rule.controls) > 0])
    error_message = "These rules are not of this repository, so their manifests must have controls: ${join(", ", [for id, rule in var.rules : id if !contains(module.catalog.built_in, id) && length(rule.controls) == 0])}."
  }

  # The target roles trust a rule's central roles by a pattern on their names
  validation {
    condition = length([
      for pair in setproduct(keys(var.rules), keys(var.rules)) : pair if startswith(pair[0], "${pair[1]}-")
    ]) == 0
    error_message = "No rule's ID may begin with another's and a hyphen, because the target roles of the one would then trust the other: ${join("; ", [
      for pair in setproduct(keys(var.rules), keys(var.rules)) : join(" begins with ", pair) if startswith(pair[0], "${pair[1]}-")
    ])}."
  }
}

variable "netskope_tenant" {
  type        = string
  description = "Domain name of the Netskope tenant, such as acme.goskope.com."
  nullable    = false

  validation {
    condition     = can(regex("^([0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?\\.)+[A-Za-z]{2,63}$", var.netskope_tenant))
    error_message = "The tenant must be a full domain name, without https:// and without a path."
  }

  validation {
    condition     = length(var.netskope_tenant) <= 253
    error_message = "A domain name has at most 253 characters."
  }
}

variable "netskope_token" {
  type        = string
  description = "Token for the Netskope API. It is stored in no plan and no state."
  nullable    = false
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = can(regex("^[!-~]+$", var.netskope_token))
    error_message = "The token must be one or more printable ASCII characters, without spaces."
  }
}

variable "netskope_token_version" {
  type        = number
  description = "Increase this number to write a new token to the secret: Terraform cannot see that the token has changed."
  default     = 1
  nullable    = false

  validation {
    condition     = var.netskope_token_version >= 1 && floor(var.netskope_token_version) == var.netskope_token_version
    error_message = "The token's version must be a whole number, 1 or more."
  }
}

variable "netskope_endpoint" {
  type        = string
  description = "Base URL of the Netskope API, if it is reached by a proxy or replaced in a test. Null means https:// and the tenant."
  default     = null

  validation {
    condition     = var.netskope_endpoint == null ? true : can(regex("^(https://[0-9A-Za-z.-]+|http://(localhost|127(\\.[0-9]{1,3}){3}|\\[::1\\]))(:[0-9]{1,5})?(/[^[:space:]?#]*)?$", var.netskope_endpoint))
    error_message = "The endpoint must be an https:// URL, or an http:// URL of the loopback interface, without user, query or fragment."
  }
}

variable "home_region" {
  type        = string
  description = "Code of the region whose deployment fixes resources that have no region, such as IAM users. Must be the same in the deployments of all regions."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2,}(-[a-z]+)+-[0-9]+$", var.home_region))
    error_message = "A region must be a code, such as eu-west-1."
  }
}

variable "regions" {
  type        = set(string)
  description = "Codes of the regions whose resources this deployment looks after. Null means the one that it is deployed in. No other deployment of this account may look after any of them."
  default     = null

  validation {
    condition     = var.regions == null ? true : length(var.regions) > 0
    error_message = "At least one region must be named. Null means the one of the deployment."
  }

  validation {
    condition     = var.regions == null ? true : alltrue([for region in var.regions : can(regex("^[a-z]{2,}(-[a-z]+)+-[0-9]+$", region))])
    error_message = "A region must be a code, such as eu-west-1."
  }
}

variable "schedule" {
  type        = string
  description = "When to poll for each rule: a rate(…) or cron(…) expression of EventBridge Scheduler, in UTC. Null means every 30 minutes, each rule at minutes of its own, so that the pollers keep to what Netskope takes from a tenant."
  default     = null

  validation {
    condition     = var.schedule == null ? true : can(regex("^(rate\\([1-9][0-9]* (minute|hour|day)s?\\)|cron\\([^ ()]+( [^ ()]+){5}\\))$", var.schedule))
    error_message = "A schedule must be rate(number unit) or cron(minutes hours day month weekday year), such as rate(30 minutes)."
  }
}

variable "schedules" {
  type        = map(string)
  description = "Schedules by rule ID, for rules that should not follow `schedule`."
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for schedule in values(var.schedules) : can(regex("^(rate\\([1-9][0-9]* (minute|hour|day)s?\\)|cron\\([^ ()]+( [^ ()]+){5}\\))$", schedule))])
    error_message = "A schedule must be rate(number unit) or cron(minutes hours day month weekday year), such as rate(30 minutes)."
  }

  validation {
    condition     = length(setsubtract(keys(var.schedules), keys(var.rules))) == 0
    error_message = "`schedules` names rules that are not enabled: ${join(", ", setsubtract(keys(var.schedules), keys(var.rules)))}."
  }
}

variable "external_id" {
  type        = string
  description = "External ID to send when assuming a role of a target account. Must be the same in the target accounts."
  nullable    = false

  validation {
    condition     = length(var.external_id) >= 2 && length(var.external_id) <= 1224
    error_message = "An external ID has 2 to 1,224 characters."
  }

  validation {
    condition     = can(regex("^[0-9A-Za-z_+=,.@:/-]*$", var.external_id))
    error_message = "An external ID can contain only letters, digits and the characters _+=,.@:/-."
  }
}

variable "architecture" {
  type        = string
  description = "Architecture of the Lambdas and of their packages: \"x86_64\" or \"arm64\"."
  default     = "x86_64"
  nullable    = false

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "The architecture must be \"x86_64\" or \"arm64\"."
  }
}

variable "package_dir" {
  type        = string
  description = "Folder with the packages: <architecture>/poller.zip and <architecture>/<rule ID>.zip."
  nullable    = false

  validation {
    condition     = length(var.package_dir) > 0
    error_message = "The folder of the packages must not be empty."
  }
}

variable "name_prefix" {
  type        = string
  description = "First part of the name of every resource. Must be the same in the target accounts."
  default     = "autoremediate"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,15}$", var.name_prefix))
    error_message = "A name prefix must start with a letter and have at most 16 lower-case letters, digits and hyphens."
  }
}

variable "permissions_boundary" {
  type        = string
  description = "Name of the policy to set as the permissions boundary of every role, which each account has, with its path if it has one; or its ARN, in which {account} stands for the account that the role is in. Null sets none."
  default     = null

  validation {
    condition     = var.permissions_boundary == null ? true : can(regex("^(arn:[a-z-]+:iam::([0-9]{12}|aws|[{]account[}]):policy/)?([0-9A-Za-z_+=,.@-]+/)*[0-9A-Za-z_+=,.@-]{1,128}$", var.permissions_boundary))
    error_message = "A permissions boundary must be the name of an IAM policy, or its ARN."
  }
}

variable "kms_key_arn" {
  type        = string
  description = "ARN of the KMS key that encrypts the secret, the bucket, the logs, the queues and the topics of messages; of your topics in alarm_actions, only you can. Its key policy must let the account's IAM policies decide, and let logs.<region>.amazonaws.com and events.amazonaws.com encrypt with it. Access logs are encrypted by S3's own keys, because S3 delivers them to no others. Null means the keys of AWS."
  default     = null

  validation {
    condition     = var.kms_key_arn == null ? true : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[0-9A-Za-z-]+$", var.kms_key_arn))
    error_message = "A key must be an ARN, not an ID or an alias."
  }
}

variable "reserved_concurrency" {
  type        = number
  description = "Concurrent executions to reserve for the Lambda of each rule, which cannot use more. Null reserves none and sets no limit."
  default     = null

  validation {
    condition     = var.reserved_concurrency == null ? true : var.reserved_concurrency >= 1 && floor(var.reserved_concurrency) == var.reserved_concurrency
    error_message = "The reserved concurrency must be a whole number, 1 or more."
  }
}

variable "poller_reserved_concurrency" {
  type        = number
  description = "Concurrent executions to reserve for the poller, which cannot use more: so many rules are polled for at the same time, and the others wait. Null reserves none and sets no limit."
  default     = null

  validation {
    condition     = var.poller_reserved_concurrency == null ? true : var.poller_reserved_concurrency >= 1 && floor(var.poller_reserved_concurrency) == var.poller_reserved_concurrency
    error_message = "The poller's reserved concurrency must be a whole number, 1 or more."
  }
}

variable "maximum_event_age" {
  type        = number
  description = "For how many seconds a batch may wait until the Lambda of its rule has room for it, 60 to 21,600: the time between two polls. Then it is dropped, and the next poll hands on again what is still listed. Meanwhile no poll hands on what is in it. An approval waits no longer either, but is then a failure that somebody is told of."
  default     = 1800
  nullable    = false

  # https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html
  validation {
    condition     = var.maximum_event_age >= 60 && var.maximum_event_age <= 21600 && floor(var.maximum_event_age) == var.maximum_event_age
    error_message = "maximum_event_age must be a whole number of seconds from 60 to 21,600."
  }
}

# A caller that accepts any limits must look for unknown keys itself: this type silently drops them.
variable "poll_limits" {
  type = object({
    rows       = optional(number, 200000)
    bytes      = optional(number, 1073741824)
    batches    = optional(number, 1000)
    batch_size = optional(number, 200)

    passed_requests = optional(number, 20)
    passed_days     = optional(number, 7)
  })
  description = "How much one poll of a rule takes at most, whatever Netskope sends: rows and bytes of its lists (1 GiB), batches that it writes, each of which starts the rule's Lambda, and findings in a batch. And how many requests for what has passed it sends (0: none), for so many days after a fix. So it hands on at most batches × batch_size findings, and always at least 100,000 unless they are set, however full the batches are. A poll that reaches a limit fails, says which, and hands on what it has read."
  default     = {}
  nullable    = false

  validation {
    condition     = var.poll_limits.rows >= 1 && var.poll_limits.rows <= 1000000 && floor(var.poll_limits.rows) == var.poll_limits.rows
    error_message = "poll_limits.rows must be a whole number from 1 to 1,000,000."
  }

  validation {
    condition     = var.poll_limits.bytes >= 1 && var.poll_limits.bytes <= 17179869184 && floor(var.poll_limits.bytes) == var.poll_limits.bytes
    error_message = "poll_limits.bytes must be a whole number from 1 to 17,179,869,184 (16 GiB)."
  }

  validation {
    condition     = var.poll_limits.batches >= 1 && var.poll_limits.batches <= 10000 && floor(var.poll_limits.batches) == var.poll_limits.batches
    error_message = "poll_limits.batches must be a whole number from 1 to 10,000."
  }

  validation {
    condition     = var.poll_limits.batch_size >= 1 && var.poll_limits.batch_size <= 1000 && floor(var.poll_limits.batch_size) == var.poll_limits.batch_size
    error_message = "poll_limits.batch_size must be a whole number from 1 to 1,000."
  }

  validation {
    condition     = var.poll_limits.passed_requests >= 0 && var.poll_limits.passed_requests <= 100 && floor(var.poll_limits.passed_requests) == var.poll_limits.passed_requests
    error_message = "poll_limits.passed_requests must be a whole number from 0 to 100."
  }

  validation {
    condition     = var.poll_limits.passed_days >= 1 && var.poll_limits.passed_days <= 30 && floor(var.poll_limits.passed_days) == var.poll_limits.passed_days
    error_message = "poll_limits.passed_days must be a whole number from 1 to 30."
  }
}

variable "log_retention_days" {
  type        = number
  description = "For how many days to keep the logs of the Lambdas."
  default     = 90
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "CloudWatch keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 days."
  }
}

variable "findings_retention_days" {
  type        = number
  description = "For how many days to keep batches of findings."
  default     = 30
  nullable    = false

  validation {
    condition     = var.findings_retention_days >= 1 && floor(var.findings_retention_days) == var.findings_retention_days
    error_message = "findings_retention_days must be a whole number, 1 or more."
  }
}

variable "record_retention_days" {
  type        = number
  description = "For how many days to keep plans, reports and approvals: plans and reports a week longer, because for up to a week a later report names them instead of saying the same again. A fix cannot be undone once its plan is gone. The card of a resource (its recent fixes, a waiting plan, an undo's exemption) is kept for as long after its last change, and never less than 30 days, the fight window or approval_hours."
  default     = 365
  nullable    = false

  validation {
    condition     = var.record_retention_days >= 1 && floor(var.record_retention_days) == var.record_retention_days
    error_message = "record_retention_days must be a whole number, 1 or more."
  }
}

variable "force_destroy" {
  type        = bool
  description = "Whether `terraform destroy` deletes the secret at once, and the bucket with all its records. For demonstrations."
  default     = false
  nullable    = false
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

  validation {
    condition     = alltrue([for key in keys(var.tags) : length(key) >= 1 && length(key) <= 128])
    error_message = "The key of a tag has 1 to 128 characters."
  }

  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:")])
    error_message = "The key of a tag must not start with aws:, which is reserved."
  }

  validation {
    condition     = alltrue([for value in values(var.tags) : length(value) <= 256])
    error_message = "The value of a tag has at most 256 characters."
  }

  validation {
    condition     = alltrue([for text in concat(keys(var.tags), values(var.tags)) : can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]*$", text))])
    error_message = "A tag can contain only letters, digits, spaces and the characters _.:/=+-@."
  }

  validation {
    condition     = length(distinct([for key in keys(var.tags) : lower(key)])) == length(var.tags)
    error_message = "IAM takes no two tags whose keys differ in capitals alone: ${join(", ", sort(keys(var.tags)))}."
  }
}
